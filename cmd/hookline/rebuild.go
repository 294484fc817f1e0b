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

// RebuildCmd makes folds anew: records, boards, reports.
type RebuildCmd struct {
	config.Config `embed:""`
	Tenant        string   `placeholder:"COMPANYID" help:"Of this tenant alone."`
	Fold          []string `placeholder:"NAME" help:"Only this; may be repeated."`
}

// Help is shown by --help.
func (*RebuildCmd) Help() string {
	return `What the query APIs answer from is folded from the events. A rebuild makes it anew from those whose bodies
are still kept: ` + strings.Join(operate.FoldNames(), ", ") + `.
With HOOKLINE_DATABASE_URL hubs may go on serving: queries of a tenant wait until its rebuild is done. The hub of a
data folder must be stopped.`
}

// Run rebuilds.
func (c *RebuildCmd) Run(ctx context.Context, s streams) error {
	return rebuild(ctx, s, c.Config, c.Tenant, c.Fold)
}

// RebuildReportsCmd is RebuildCmd for what reports are made of.
type RebuildReportsCmd struct {
	config.Config `embed:""`
	Tenant        string `placeholder:"COMPANYID" help:"Of this tenant alone."`
}

// Run rebuilds.
func (c *RebuildReportsCmd) Run(ctx context.Context, s streams) error {
	return rebuild(ctx, s, c.Config, c.Tenant, []string{"reports"})
}

func rebuild(ctx context.Context, s streams, cfg config.Config, tenant string, folds []string) error {
	if err := checkEnvironment(os.Environ()); err != nil {
		return err
	}
	return operate.Rebuild(ctx, cfg, operate.Rebuilding{CompanyID: tenant, Folds: folds, Done: func(companyID string, took time.Duration) {
		fmt.Fprintf(s.out, "%s: rebuilt in %s\n", companyID, took.Round(time.Millisecond))
	}}, newLogger(cfg, s.err))
}
