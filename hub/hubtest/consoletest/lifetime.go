package consoletest

import (
	"context"
	"fmt"
	"os"
	"testing"
)

// lifetime is a testing.TB that lasts as long as the test binary, for what all tests share.
type lifetime struct {
	testing.TB // nil: only the methods below are used
	cleanups   []func()
	failed     bool
}

func (l *lifetime) Helper()                      {}
func (l *lifetime) Name() string                 { return "shared" }
func (l *lifetime) Context() context.Context     { return context.Background() }
func (l *lifetime) Cleanup(f func())             { l.cleanups = append(l.cleanups, f) }
func (l *lifetime) Logf(format string, a ...any) { fmt.Fprintf(os.Stderr, format+"\n", a...) }
func (l *lifetime) Log(a ...any)                 { fmt.Fprintln(os.Stderr, a...) }

func (l *lifetime) Errorf(format string, a ...any) {
	l.failed = true
	l.Logf(format, a...)
}

func (l *lifetime) Error(a ...any) {
	l.failed = true
	l.Log(a...)
}

// FailNow ends the test that asked for what is shared.
func (l *lifetime) FailNow() { panic("what all tests share did not start") }

func (l *lifetime) Fatal(a ...any) {
	l.Error(a...)
	l.FailNow()
}

func (l *lifetime) Fatalf(format string, a ...any) {
	l.Errorf(format, a...)
	l.FailNow()
}

func (l *lifetime) TempDir() string {
	dir, err := os.MkdirTemp("", "console")
	if err != nil {
		l.Fatal(err)
	}
	l.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// end undoes everything, the last first.
func (l *lifetime) end() {
	for len(l.cleanups) > 0 {
		last := l.cleanups[len(l.cleanups)-1]
		l.cleanups = l.cleanups[:len(l.cleanups)-1]
		last()
	}
}
