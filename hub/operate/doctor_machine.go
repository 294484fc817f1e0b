package operate

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/hookline/hookline/hub/config"
)

// folder checks the data folder, and reports whether there is one that can be written.
func (d *doctor) folder() bool {
	const check = "data folder"
	info, err := os.Stat(d.cfg.Data)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		d.ok(check, d.cfg.Data+" is not there; the first start makes it")
		return false
	case err != nil:
		d.fail(check, err.Error(), "set HOOKLINE_DATA to a folder that the hub may write")
		return false
	case !info.IsDir():
		d.fail(check, d.cfg.Data+" is no folder", "set HOOKLINE_DATA to a folder that the hub may write")
		return false
	}

	if info.Mode().Perm()&0o077 != 0 {
		detail := fmt.Sprintf("%s may be opened by others (%s)", d.cfg.Data, info.Mode().Perm())
		d.warn(check, detail, "chmod 700 "+d.cfg.Data)
		return true
	}
	d.ok(check, d.cfg.Data)
	return true
}

// disk checks how much room the data folder has, and how fast a commit is there.
func (d *doctor) disk() {
	var st syscall.Statfs_t
	if err := syscall.Statfs(d.cfg.Data, &st); err != nil {
		d.warn("space", err.Error(), "look at the disk")
	} else {
		free := int64(st.Bavail) * int64(st.Bsize)
		detail := size(free) + " free"
		switch {
		case free < noSpace:
			d.fail("space", detail, "make room: a full disk refuses every event")
		case free < lowSpace:
			d.warn("space", detail, "make room, or lower payloadDays of the tenants")
		default:
			d.ok("space", detail)
		}
	}

	took, drift, err := trySync(d.cfg.Data)
	if err != nil {
		d.fail("write", err.Error(), "the hub must be able to write "+d.cfg.Data)
		return
	}
	detail := fmt.Sprintf("a synced write takes %s (median of %d)", took.Round(10*time.Microsecond), syncTries)
	if took > slowSync {
		d.warn("write", detail,
			"every commit waits for it: use a local SSD; senders gain by more events per request")
	} else {
		d.ok("write", detail)
	}

	if drift > clockDrift {
		d.warn("disk clock", fmt.Sprintf("files are dated %s away from now", drift.Round(time.Second)),
			"this is a network disk or a wrong clock; SQLite needs a local disk")
	}
}

const syncTries = 15

// trySync writes as a commit does. It returns how long that takes, and how far the
// clock that dates files is from this machine's.
func trySync(dir string) (median, drift time.Duration, err error) {
	f, err := os.CreateTemp(dir, ".doctor-*")
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()

	page := make([]byte, 4096)
	took := make([]time.Duration, 0, syncTries)
	for range syncTries {
		began := time.Now()
		if _, err := f.Write(page); err != nil {
			return 0, 0, err
		}
		if err := f.Sync(); err != nil {
			return 0, 0, err
		}
		took = append(took, time.Since(began))
	}

	info, err := f.Stat()
	if err != nil {
		return 0, 0, err
	}
	slices.Sort(took)
	return took[syncTries/2], time.Since(info.ModTime()).Abs(), nil
}

// addresses tries to listen where the hub would.
func (d *doctor) addresses(ctx context.Context) {
	for _, a := range []struct{ check, addr string }{
		{"HOOKLINE_ADDR", d.cfg.Addr},
		{"HOOKLINE_METRICS_ADDR", d.cfg.MetricsAddr},
	} {
		if a.addr == "" || a.check == "HOOKLINE_METRICS_ADDR" && a.addr == d.cfg.Addr {
			continue
		}
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", a.addr)
		switch {
		case err == nil:
			_ = l.Close() // it was only tried
			d.ok(a.check, a.addr+" is free")
		case d.condition.Served && errors.Is(err, syscall.EADDRINUSE):
			d.ok(a.check, a.addr+" is taken, and the store served: the hub runs")
		default:
			d.fail(a.check, err.Error(), "choose another address, or stop what uses it")
		}
	}
}

// files checks how many files this process may open: each push in flight needs one.
func (d *doctor) files() {
	var lim syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &lim); err != nil {
		d.warn("open files", err.Error(), "look at ulimit -n")
		return
	}
	detail := fmt.Sprintf("%d allowed: %d requests in flight", lim.Cur, config.MaxRequests())
	if lim.Cur < fewFiles {
		d.warn("open files", detail, fmt.Sprintf("ulimit -n %d, or LimitNOFILE= of systemd", fewFiles))
		return
	}
	d.ok("open files", detail)
}

func (d *doctor) clock() {
	const check = "clock"
	now := time.Now().UTC().Format(time.RFC3339)
	switch synced, known := clockSynced(); {
	case !known:
		d.ok(check, now+"; whether it is synchronised is not known here")
	case !synced:
		d.warn(check, now+", not synchronised", "run an NTP client: receivers refuse signatures whose time is minutes off")
	default:
		d.ok(check, now+", synchronised")
	}
}
