package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"reflect"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"slices"
	"strings"

	"golang.org/x/term"

	"github.com/hookline/hookline/hub"
	"github.com/hookline/hookline/hub/config"
	"github.com/hookline/hookline/hub/operate"
)

// ServeCmd runs the hub.
type ServeCmd struct {
	config.Config `embed:""`
	JSON          bool   `name:"json" help:"Print the keys of the first start, on a terminal, as JSON."`
	SignInLink    bool   `name:"sign-in-link" help:"Print the one-time link that signs in to the console also if standard output is not a terminal. Only for output that nobody else reads."`
	CPUProfile    string `name:"cpuprofile" hidden:"" placeholder:"FILE" help:"Write a CPU profile of the whole run."`
}

// Help is shown by --help.
func (*ServeCmd) Help() string {
	return `Every flag is an environment variable too; a variable HOOKLINE_… that is not listed here stops the start.
The first start without a platform key makes one, and the tenant "demo" with an owner key. It prints both
keys, this once, if standard output is a terminal. Otherwise they are in the file first-keys in the data
folder, as JSON, for its owner only; the log names the file. The log goes to standard error. SIGTERM or
Ctrl-C stops in order: no new requests, pushes in flight end and are recorded.`
}

// Run serves until ctx ends.
func (c *ServeCmd) Run(ctx context.Context, s streams) (err error) {
	if c.CPUProfile != "" {
		stop, failed := startProfile(c.CPUProfile)
		if failed != nil {
			return failed
		}
		defer func() { err = errors.Join(err, stop()) }()
	}
	if err := checkEnvironment(os.Environ()); err != nil {
		return err
	}

	log := newLogger(c.Config, s.err)
	h, err := hub.New(ctx, c.Config, log)
	if err != nil {
		return err
	}
	if os.Getenv("GOGC") == "" { // or the operator has decided
		collectLess()
	}
	if err := c.showFirst(h, s.out, log); err != nil {
		return errors.Join(err, h.Close())
	}
	if err := c.showLink(ctx, h, s.out); err != nil {
		return errors.Join(err, h.Close())
	}
	return errors.Join(h.Run(ctx), h.Close())
}

// startProfile writes a CPU profile to a file until stop is called.
func startProfile(path string) (stop func() error, err error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		return f.Close()
	}, nil
}

// collectLess lets garbage take up to three times the memory that is in use, but no
// more than 128 MiB after the start. With little in use, Go's default would spend
// most of the time collecting. With a hundred thousand subscriptions, three times
// would be too much memory.
func collectLess() {
	const garbage = 128 << 20
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	debug.SetGCPercent(int(min(max(garbage*100/(m.HeapAlloc+1), 50), 300)))
	debug.FreeOSMemory() // what loading took, and is free now
}

// MigrateCmd brings the store to this version's schema, without serving.
type MigrateCmd struct {
	config.Config `embed:""`
}

// Run migrates the store.
func (c *MigrateCmd) Run(ctx context.Context, s streams) error {
	if err := checkEnvironment(os.Environ()); err != nil {
		return err
	}
	return operate.Migrate(ctx, c.Config, newLogger(c.Config, s.err))
}

// showFirst prints the keys of the first start on a terminal. Elsewhere standard output may
// be a log that others read, so it only says in which file the keys are.
func (c *ServeCmd) showFirst(h *hub.Hub, w io.Writer, log *slog.Logger) error {
	first := h.First()
	switch {
	case first == nil:
		return nil
	case !isTerminal(w):
		log.Warn("the keys of the first start are in a file: read it, then delete it", "file", h.FirstFile())
		return nil
	}
	if err := printFirst(w, first, c.JSON); err != nil {
		return err
	}
	return h.Shown()
}

// showLink prints a link that signs in to the console, once and for ten minutes, on a
// terminal. Only a hub on loopback with the demo tenant has one.
func (c *ServeCmd) showLink(ctx context.Context, h *hub.Hub, w io.Writer) error {
	if c.JSON || !c.SignInLink && !isTerminal(w) {
		return nil
	}
	link, err := h.SignInLink(ctx)
	if err != nil || link == "" {
		return err
	}
	_, err = fmt.Fprintf(w, "Open the console, signed in (this link works once, for ten minutes):\n\n  %s\n\n", link)
	return err
}

// printFirst prints the keys of the first start.
func printFirst(w io.Writer, k *hub.FirstKeys, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(k)
	}
	_, err := fmt.Fprintf(w, "\nFirst start. These keys are shown this once:\n\n"+
		"  platform key            %s\n  owner key of %-10s %s\n\n", k.Platform, k.CompanyID, k.Owner)
	return err
}

// newLogger returns the logger that the settings ask for.
func newLogger(c config.Config, w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.LogLevel)) // cannot fail: the flag takes only four words
	opts := &slog.HandlerOptions{Level: level}
	if c.Log == "json" || c.Log == "" && !isTerminal(w) {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}

// isTerminal reports whether w is a terminal, which /dev/null is not.
func isTerminal(w io.Writer) bool {
	f, isFile := w.(*os.File)
	return isFile && term.IsTerminal(int(f.Fd()))
}

// clientVariables are the variables of the commands that talk to a hub.
var clientVariables = []string{"HOOKLINE_URL", "HOOKLINE_KEY"}

// checkEnvironment refuses HOOKLINE_ variables that no command knows: most likely
// they are misspelled.
func checkEnvironment(environ []string) error {
	known := slices.Clone(clientVariables)
	t := reflect.TypeFor[config.Config]()
	for field := range t.Fields() {
		known = append(known, field.Tag.Get("env"))
	}
	for _, kv := range environ {
		name, _, _ := strings.Cut(kv, "=")
		if strings.HasPrefix(name, "HOOKLINE_") && !slices.Contains(known, name) {
			return fmt.Errorf("unknown setting %s; hookline serve --help lists them", name)
		}
	}
	return nil
}
