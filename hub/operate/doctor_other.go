//go:build !linux

package operate

// clockSynced cannot find out whether the clock is kept right.
func clockSynced() (synced, known bool) { return false, false }
