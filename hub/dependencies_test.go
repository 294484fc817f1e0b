package hub_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// docs/dependencies.md names every module that we chose, at its version.
func TestDependenciesAreExplained(t *testing.T) {
	mod, err := os.ReadFile("../go.mod")
	require.NoError(t, err)
	page, err := os.ReadFile("../docs/dependencies.md")
	require.NoError(t, err)
	// the others end in "// indirect"
	chosen := regexp.MustCompile(`(?m)^\t(\S+) (v\S+)$`).FindAllStringSubmatch(string(mod), -1)
	require.NotEmpty(t, chosen)
	for _, m := range chosen {
		require.Contains(t, string(page), "| "+m[1]+" | "+m[2]+" |", "say in docs/dependencies.md what it is for, and why it")
	}
	rows := strings.Count(string(page), "\n| ") - 3 // three headings
	require.Equal(t, len(chosen), rows, "docs/dependencies.md has a row of something that go.mod does not")
}
