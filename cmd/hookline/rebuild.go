package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/hookline/hookline/hub/config"
	"github.com/hookline/hookline/hub/operate"
)

// RebuildCmd makes folds again: records, boards, reports.
type RebuildCmd struct {
	config.Config `embed:""`
	Tenant        string   `placeholder:"COMPANYID" help:"Of this tenant alone."`
	Fold          []string `placeholder:"NAME" help:"Only this; may be repeated."`
}

// Help is shown by --help.
func (*RebuildCmd) Help() string {
	return `What the query APIs answer from is folded from the events. A rebuild makes it again from those whose bodies
are still kept: ` + strings.Join(operate.FoldNames(), ", ") + `.
Without --fold the bytes of events and recordings, by which limits go, are counted again too.
With HOOKLINE_DATABASE_URL hubs may go on serving: queries of a tenant wait until its rebuild is done. The hub of a
data folder must be stopped.`
}

// Run rebuilds, and prints a line for each tenant.
func (c *RebuildCmd) Run(ctx context.Context, s streams) error {
	if err := checkEnvironment(os.Environ()); err != nil {
		return err
	}
	what := operate.Rebuilding{
		CompanyID: c.Tenant,
		Folds:     c.Fold,
		Done: func(companyID string, took time.Duration) {
			fmt.Fprintf(s.out, "%s: rebuilt in %s\n", companyID, took.Round(time.Millisecond))
		},
	}
	return operate.Rebuild(ctx, c.Config, what, newLogger(c.Config, s.err))
}
