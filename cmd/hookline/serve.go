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

	"github.com/hookline/hookline/hub"
	"github.com/hookline/hookline/hub/config"
	"github.com/hookline/hookline/hub/operate"
)

// ServeCmd runs the hub.
type ServeCmd struct {
	config.Config `embed:""`
	JSON          bool   `name:"json" help:"Print the keys of the first start as JSON."`
	CPUProfile    string `name:"cpuprofile" hidden:"" placeholder:"FILE" help:"Write a CPU profile of the whole run."`
}

// Help is shown by --help.
func (*ServeCmd) Help() string {
	return `Every flag is an environment variable too; a variable HOOKLINE_… that is not listed here stops the start.
The first start on an empty folder makes a platform key and the tenant "demo" with an owner key, and
prints both keys, this once, on standard output. The log goes to standard error. SIGTERM or Ctrl-C stops
in order: no new requests, pushes in flight end and are recorded.`
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
	if first := h.First(); first != nil {
		if err := printFirst(s.out, first, c.JSON); err != nil {
			return errors.Join(err, h.Close())
		}
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

// printFirst shows the keys of the first start.
func printFirst(w io.Writer, k *hub.FirstKeys, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(map[string]string{
			"platformKey": k.Platform, "companyId": k.CompanyID, "ownerKey": k.Owner,
		})
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\nFirst start. These keys are shown this once:\n\n")
	if k.Platform != "" {
		fmt.Fprintf(&b, "  platform key            %s\n", k.Platform)
	}
	fmt.Fprintf(&b, "  owner key of %-10s %s\n\n", k.CompanyID, k.Owner)
	_, err := io.WriteString(w, b.String())
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

func isTerminal(w io.Writer) bool {
	f, isFile := w.(*os.File)
	if !isFile {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
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
