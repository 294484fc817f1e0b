package main

import (
	"encoding/json"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestVersion(t *testing.T) {
	code, out, err := do(t, "", "version")
	require.Zero(t, code, err)
	require.Regexp(t, `^commit  \S+( with changes)?\ngo      go\S+\nschema  [1-9][0-9]*\n$`, out)

	code, out, err = do(t, "", "version", "--json")
	require.Zero(t, code, err)
	var v struct {
		Commit, Go string
		Schema     int
	}
	require.NoError(t, json.Unmarshal([]byte(out), &v))
	require.Equal(t, runtime.Version(), v.Go)
	require.NotEmpty(t, v.Commit)
	require.Positive(t, v.Schema)
}
