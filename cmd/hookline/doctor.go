package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/hookline/hookline/hub/config"
	"github.com/hookline/hookline/hub/operate"
)

// DoctorCmd checks what a hub with these settings needs.
type DoctorCmd struct {
	config.Config `embed:""`
	URL           string `placeholder:"URL" help:"Also try to connect to this callback URL, as a push would; nothing is sent."`
	JSON          bool   `name:"json" help:"Print the findings as JSON."`
}

// Run prints a line per finding. It fails if one of the checks did.
func (c *DoctorCmd) Run(ctx context.Context, s streams) error {
	findings := operate.Examine(ctx, c.Config, c.URL)
	if err := checkEnvironment(os.Environ()); err != nil {
		findings = append(findings, operate.Finding{
			Check: "environment", Level: operate.Fail, Detail: err.Error(),
			Advice: "unset or correct it: serve does not start so",
		})
	}
	failed := 0
	for _, f := range findings {
		if f.Level == operate.Fail {
			failed++
		}
	}

	if c.JSON {
		if err := json.NewEncoder(s.out).Encode(map[string]any{"findings": findings}); err != nil {
			return err
		}
	} else {
		for _, f := range findings {
			fmt.Fprintf(s.out, "%-4s  %-18s %s\n", f.Level, f.Check, clean(f.Detail))
			if f.Level != operate.OK && f.Advice != "" {
				fmt.Fprintf(s.out, "%26s%s\n", "→ ", f.Advice)
			}
		}
	}

	if failed > 0 {
		return errors.New(fmt.Sprint(failed, " of ", len(findings), " checks failed"))
	}
	return nil
}
