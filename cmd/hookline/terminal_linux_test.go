package main

import (
	"fmt"
	"io"
	"os"
	"syscall"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// terminal is a pseudo terminal: what is written to screen, out gathers.
type terminal struct {
	screen *os.File
	out    buffer
	ended  chan struct{}
}

// newTerminal opens a pseudo terminal.
func newTerminal(t *testing.T) *terminal {
	t.Helper()
	control, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	require.NoError(t, err)
	ioctl := func(request uintptr, value *int32) {
		_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, control.Fd(), request, uintptr(unsafe.Pointer(value)))
		require.Zero(t, errno, "%v", errno)
	}
	var number, unlocked int32
	ioctl(syscall.TIOCGPTN, &number)
	ioctl(syscall.TIOCSPTLCK, &unlocked)
	screen, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	require.NoError(t, err)

	term := &terminal{screen: screen, ended: make(chan struct{})}
	go func() {
		defer close(term.ended)
		_, _ = io.Copy(&term.out, control) // ends with an error when the screen is closed
	}()
	t.Cleanup(func() {
		_ = screen.Close() // the second time it was closed already
		<-term.ended
		require.NoError(t, control.Close())
	})
	return term
}

// text closes the screen, and returns what was written to it.
func (t *terminal) text() string {
	_ = t.screen.Close()
	<-t.ended
	return t.out.String()
}
