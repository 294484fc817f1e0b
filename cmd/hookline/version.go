package main

import (
	"encoding/json"
	"fmt"

	"github.com/hookline/hookline/hub/operate"
)

// VersionCmd says what this program was built from.
type VersionCmd struct {
	JSON bool `name:"json" help:"Print it as JSON."`
}

// Run prints the version.
func (c *VersionCmd) Run(s streams) error {
	v := operate.Version()
	if c.JSON {
		return json.NewEncoder(s.out).Encode(v)
	}

	commit := v.Commit
	if v.Modified {
		commit += " with changes"
	}
	_, err := fmt.Fprintf(s.out, "commit  %s\ngo      %s\nschema  %d\n", commit, v.Go, v.Schema)
	return err
}
