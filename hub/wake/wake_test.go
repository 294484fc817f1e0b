package wake_test

import (
	"testing"

	"github.com/hookline/hookline/hub/wake"
)

// Calls that come before anybody listens are one, and no call waits.
func TestUp(t *testing.T) {
	c := make(chan struct{}, 1)
	for range 3 {
		wake.Up(c)
	}
	<-c
	select {
	case <-c:
		t.Fatal("woken twice")
	default:
	}
	wake.Up(make(chan struct{})) // nobody can hear it
}
