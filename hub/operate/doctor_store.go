package operate

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/hookline/hookline/signing"
	"github.com/hookline/hookline/storage"
)

// masterKey checks that there is a key that can be read, and opens the box with it.
func (d *doctor) masterKey() {
	const check = "master key"
	key, err := d.cfg.FindMasterKey()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, err := os.Stat(filepath.Join(d.cfg.Data, storage.File)); err == nil {
			d.fail(check, "there is a store, and no key to it",
				"bring back "+d.cfg.KeyFile()+" or set HOOKLINE_MASTER_KEY; a new key cannot open the old secrets")
			return
		}
		d.ok(check, "none yet; the first start makes it")
		return
	case err != nil:
		d.fail(check, err.Error(), "it is 32 bytes in base64 or hex")
		return
	}

	if d.settings.Box, err = signing.NewBox(key); err != nil {
		d.fail(check, err.Error(), "it is 32 bytes in base64 or hex")
		return
	}

	if d.cfg.MasterKey != "" {
		d.ok(check, "from HOOKLINE_MASTER_KEY")
		return
	}
	if info, err := os.Stat(d.cfg.KeyFile()); err == nil && info.Mode().Perm()&0o077 != 0 {
		detail := fmt.Sprintf("%s may be read by others (%s)", d.cfg.KeyFile(), info.Mode().Perm())
		d.warn(check, detail, "chmod 600 "+d.cfg.KeyFile())
		return
	}
	d.ok(check, d.cfg.KeyFile()+"; keep a copy apart from the backups")
}

// store checks that the store can be read, is sound, and opens with the key.
func (d *doctor) store(ctx context.Context) {
	const check = "store"
	c, err := storage.Inspect(ctx, d.cfg.Store(), d.settings.Box)
	d.condition = c
	if c.Server != nil {
		d.server(c.Server)
	}
	switch {
	case err != nil && d.cfg.DatabaseURL != "":
		d.fail(check, err.Error(),
			"HOOKLINE_DATABASE_URL must name a database that its user may use, and the server let this machine in")
		return
	case err != nil:
		d.fail(check, err.Error(), "the hub must be able to read "+d.cfg.Data)
		return
	case !c.Exists:
		d.ok(check, "none yet")
		return
	case c.Damage != nil:
		d.fail(check, "damaged: "+c.Damage.Error(),
			"stop the hub, keep a copy of the folder, and restore the latest backup")
		return
	case c.Key != nil:
		d.fail(check, c.Key.Error(), "bring back the key that this store was made with")
		return
	}
	d.ok(check, fmt.Sprintf("sound; %s, schema %d", size(c.Bytes), c.Schema))
	if c.Server != nil {
		return
	}

	// The rest is about the embedded store.
	if c.WALBytes > bigLog {
		d.warn("write-ahead log", size(c.WALBytes),
			"something reads the store for very long, as a backup does; if it stays, restart the hub")
	} else {
		d.ok("write-ahead log", size(c.WALBytes))
	}
	if ahead := time.Until(time.UnixMilli(c.LastAt)); ahead > clockDrift {
		d.warn("latest event", fmt.Sprintf("was accepted %s in the future", ahead.Round(time.Second)),
			"the clock was set back; times are true again once it has caught up")
	}
}

// What a PostgreSQL server must have.
const (
	oldestServer = 140000 // what the driver supports
	connections  = 28     // of one process: 8 that write, 16 that read, the rest for shards and notices
)

// server judges the PostgreSQL that the store is on.
func (d *doctor) server(s *storage.Server) {
	const check = "PostgreSQL"
	detail := "version " + s.Version
	switch {
	case s.Numeric < oldestServer:
		d.fail(check, detail, "use PostgreSQL 14 or later")
	case s.ReadOnly:
		d.fail(check, detail+", read only", "name the primary: this server, or database, takes no writes")
	case !s.Durable:
		d.warn(check, detail+"; fsync, full_page_writes or synchronous_commit is off",
			"set them to on: an event that was accepted may be lost with the machine")
	default:
		d.ok(check, detail)
	}

	if ahead := s.Ahead.Abs(); ahead > clockDrift {
		d.warn("server clock", fmt.Sprintf("%s away from this machine's", ahead.Round(time.Millisecond)),
			"run an NTP client on both")
	}

	detail = fmt.Sprintf("%d of %d connections in use; a hub takes up to %d", s.Connections, s.Most, connections)
	if s.Most-s.Connections < connections {
		d.warn("connections", detail, "raise max_connections, or see who holds them")
	} else {
		d.ok("connections", detail)
	}
}
