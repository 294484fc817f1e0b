package report

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write docs/reports.md anew")

// The catalogue has the indicators of the contract, by name, and for people the
// document's label, type and unit.
func TestCatalogueIsTheContracts(t *testing.T) {
	raw, err := os.ReadFile("recount/testdata/indicators.json")
	require.NoError(t, err)
	var contract struct {
		Indicators []struct{ Report, Name, Label, Type, Unit string }
	}
	require.NoError(t, json.Unmarshal(raw, &contract))
	require.Len(t, contract.Indicators, 132)
	left := 0
	for _, r := range Reports {
		left += len(r.Indicators)
		for _, i := range r.Indicators {
			require.NotEmpty(t, i.Meaning, i.Name)
		}
	}
	require.Equal(t, 132, left)
	for _, want := range contract.Indicators {
		for _, r := range Reports {
			if r.Name != want.Report {
				continue
			}
			is := r.Indicator(want.Name)
			require.NotNil(t, is, "%s %s", r.Name, want.Name)
			require.Equal(t, want.Label+" "+want.Type+" "+want.Unit, is.Label+" "+is.Type+" "+string(is.Unit), "%s %s", r.Name,
				want.Name)
		}
	}
}

// docs/reports.md lists what the catalogue has; -update writes it.
func TestReportsAreDocumented(t *testing.T) {
	const file = "../../docs/reports.md"
	raw, err := os.ReadFile(file)
	require.NoError(t, err)
	const from, to = "<!-- indicators: made by go test ./hub/report -update -->\n", "<!-- end of indicators -->\n"
	head, rest, found := strings.Cut(string(raw), from)
	require.True(t, found)
	_, tail, found := strings.Cut(rest, to)
	require.True(t, found)
	var made strings.Builder
	for _, r := range Reports {
		fmt.Fprintf(&made, "\n## %s (%d)\n\n| name | label | unit | what it is |\n|---|---|---|---|\n", r.Title,
			len(r.Indicators))
		for _, i := range r.Indicators {
			fmt.Fprintf(&made, "| `%s` | %s | %s | %s |\n", i.Name, i.Label, i.Unit, i.Meaning)
		}
	}
	want := head + from + made.String() + "\n" + to + tail
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(want), 0o644))
		return
	}
	require.Equal(t, want, string(raw), "go test ./hub/report -run Documented -update")
}

func TestNumbers(t *testing.T) {
	for got, want := range map[string]string{
		average(133, 2):         "66.5",
		average(1, 3):           "0.33",
		average(2, 3):           "0.67",
		average(1, 200):         "0.01", // half up
		average(1, 201):         "0",
		average(4, 2):           "2",
		average(7, 0):           "0",
		percent(2, 3):           "66.67",
		percent(3, 2):           "150",
		percent(1, 20_000):      "0.01",
		percent(1, 16):          "6.25",
		percent(1_799_500, 1e7): "18", // 17.995
		percent(1<<62, 1<<62):   "100",
		percent(1<<61, 1<<62):   "50",
		average(1<<62, 4):       "1152921504606846976",
		seconds(1_799_500):      "1800",
		seconds(499):            "0",
		instant(0):              "null",
		instant(5):              "5",
		whole(-3):               "-3",
	} {
		require.Equal(t, want, got)
	}
}
