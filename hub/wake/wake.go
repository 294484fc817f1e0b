// Package wake wakes goroutines that sleep until there is something to do.
package wake

// Up wakes a goroutine that receives from c. If nobody receives now, the next one
// that does finds the call waiting. Any number of calls until then count as one,
// for a channel of capacity 1, and Up never blocks.
func Up(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
