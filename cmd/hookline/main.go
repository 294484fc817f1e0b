// Command hookline is the hub and the tools around it: one binary, one
// subcommand each.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

// CLI lists the subcommands.
type CLI struct {
	Serve   ServeCmd   `cmd:"" help:"Run the hub."`
	Migrate MigrateCmd `cmd:"" help:"Bring the store to this version's schema, without serving."`
	Rebuild RebuildCmd `cmd:"" help:"Make records, boards and reports again from the events."`
	Backup  BackupCmd  `cmd:"" help:"Copy the store into a new folder, also while it is served."`
	Doctor  DoctorCmd  `cmd:"" help:"Check the configuration, the store and the machine."`
	Health  HealthCmd  `cmd:"" help:"Ask a hub whether it is ready."`
	Version VersionCmd `cmd:"" help:"Print what this program was built from."`

	Tenant       TenantCmd       `cmd:"" help:"Tenants of a hub: create, list, get, update."`
	Key          KeyCmd          `cmd:"" help:"API keys: create, list, revoke."`
	Subscription SubscriptionCmd `cmd:"" help:"Subscriptions: create, list, get, update, delete, pause, resume."`
	Send         SendCmd         `cmd:"" help:"Post a file of events."`
	Replay       ReplayCmd       `cmd:"" help:"Send deliveries again."`
	Tail         TailCmd         `cmd:"" help:"Print attempts as they happen."`
	Verify       VerifyCmd       `cmd:"" help:"Check a captured push, or the audit log."`
	Sink         SinkCmd         `cmd:"" help:"Receive pushes: verify, print, count, check the order, misbehave on request."`
	Simulate     SimulateCmd     `cmd:"" help:"Play a contact centre: events as NDJSON, or to a hub."`
	Bench        BenchCmd        `cmd:"" help:"Measure the speed of hubs on this machine."`
}

// renamedCommands are the names of commands in earlier versions, with what to call
// instead.
var renamedCommands = map[string]string{"rebuild-reports": "rebuild --fold reports"}

// streams are what a command reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the process at once
	code := run(ctx, os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr})
	stop()
	os.Exit(code)
}

// exitCode is the value of the panic by which kong ends the program, as after
// --help.
type exitCode int

// run is the whole program. It returns 0 if all went well, 1 if the command failed,
// and 2 if the arguments were not understood.
func run(ctx context.Context, args []string, s streams) (code int) {
	defer func() {
		if v := recover(); v != nil {
			exit, isExit := v.(exitCode)
			if !isExit {
				panic(v)
			}
			code = int(exit)
		}
	}()
	if len(args) > 0 {
		if now, renamed := renamedCommands[args[0]]; renamed {
			fmt.Fprintf(s.err, "hookline: %s is now hookline %s\n", args[0], now)
			return 2
		}
	}

	var cli CLI
	parser, err := kong.New(&cli,
		kong.Name("hookline"),
		kong.Description("A push hub for contact centres."),
		kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Writers(s.out, s.err),
		kong.Exit(func(code int) { panic(exitCode(code)) }),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(s),
	)
	if err != nil {
		panic(err) // a fault in the tags of a command, which no user can cause
	}

	command, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintf(s.err, "hookline: %v\n", err)
		return 2
	}
	if err := command.Run(); err != nil {
		fmt.Fprintf(s.err, "hookline: %v\n", err)
		return 1
	}
	return 0
}
