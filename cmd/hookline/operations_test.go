package main

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/config"
)

var update = flag.Bool("update", false, "write the settings into docs/operations.md")

const operationsPage = "../../docs/operations.md"

// The table of settings is the one that the code has.
func TestOperationsHasTheSettings(t *testing.T) {
	var table strings.Builder
	table.WriteString("| variable | default | meaning |\n|---|---|---|\n")
	for field := range reflect.TypeFor[config.Config]().Fields() {
		if _, hidden := field.Tag.Lookup("hidden"); hidden {
			continue
		}
		standard := field.Tag.Get("default")
		if field.Type.Kind() == reflect.Bool {
			standard = cmp.Or(standard, "false")
		}
		if standard != "" {
			standard = "`" + standard + "`"
		}
		fmt.Fprintf(&table, "| `%s` | %s | %s |\n", field.Tag.Get("env"), standard,
			strings.ReplaceAll(field.Tag.Get("help"), "|", `\|`))
	}
	text, err := os.ReadFile(operationsPage)
	require.NoError(t, err)
	block := regexp.MustCompile(`(?s)(<!-- settings: [^\n]* -->\n)(.*)(<!-- /settings -->)`)
	at := block.FindSubmatchIndex(text)
	require.NotNil(t, at, "the page has a place for them")
	if *update {
		require.NoError(t,
			os.WriteFile(operationsPage, slices.Concat(text[:at[4]], []byte(table.String()), text[at[5]:]), 0o644))
		return
	}
	require.Equal(t, table.String(), string(text[at[4]:at[5]]), "go test ./cmd/hookline -run Operations -update")
	for _, name := range regexp.MustCompile(`HOOKLINE_[A-Z_]+`).FindAllString(string(text), -1) {
		require.NoError(t, checkEnvironment([]string{name + "="}))
	}
}
