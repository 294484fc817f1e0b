package operate

import "syscall"

const clockError = 5 // TIME_ERROR of adjtimex(2)

// clockSynced asks the kernel whether something keeps its clock right. known is
// false if it does not say.
func clockSynced() (synced, known bool) {
	state, err := syscall.Adjtimex(&syscall.Timex{}) // changes nothing
	return state != clockError, err == nil
}
