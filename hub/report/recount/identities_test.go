package recount

import (
	"encoding/json"
	"flag"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	firstSeed = flag.Uint64("seed", 1, "of the first random tenant; the others follow")
	tenants   = flag.Int("tenants", 20, "random tenants")
)

// The identities of the contract hold on what plain counting gives, whatever
// happened and whatever is asked, and no indicator is always nothing.
func TestIdentities(t *testing.T) {
	n := tally{}
	for seed := *firstSeed; seed < *firstSeed+uint64(*tenants); seed++ {
		t.Log("seed", seed)
		g := newRandom(seed)
		var lines []line
		dir := directory{map[string]string{}, map[string][]string{}}
		for range loads {
			for range events {
				var l line
				require.NoError(t, json.Unmarshal([]byte(g.envelope()), &l))
				lines = append(lines, l)
			}
			w := newWorld(lines)
			g.directory(dir)
			cfg := configOf(g.zone, g.settings(), dir)
			for range requests {
				q := g.query()
				_, err := json.Marshal(g.request(q))
				require.NoError(t, err)
				a := evaluate(w, cfg, q)
				check(t, q, a)
				n.count(q, a)
			}
		}
	}
	n.complete(t)
}

// Of each tenant: how often events come, how many at a time, and how many
// requests follow each time.
const (
	loads    = 3
	events   = 250
	requests = 18
)

// tally counts values that are neither 0 nor null, nor 100 percent, by report and indicator.
type tally map[string]int

func (n tally) count(q query, a answer) {
	for _, r := range a.rows {
		for i, name := range q.fields {
			if v := r.value[i]; v != "0" && v != "null" && v != "100" {
				n[q.report+" "+name]++
			}
		}
	}
}

// complete fails when an indicator never had a value to speak of.
func (n tally) complete(t *testing.T) {
	t.Helper()
	for _, i := range catalogue {
		require.NotZero(t, n[i.Report+" "+i.Name], "%s %s was nothing in every request", i.Report, i.Name)
	}
}

// check holds the identities of the contract on an answer.
func check(t testing.TB, q query, a answer) {
	t.Helper()
	for _, r := range append(a.rows, a.amount) {
		identities(t, q.report, valuesOf(q, r), fmt.Sprint(r.keys))
		exactly(t, r.cell)
	}
	if q.dimensions == 1 && len(a.rows) == a.total {
		var rows []map[string]string
		for _, r := range a.rows {
			rows = append(rows, valuesOf(q, r))
		}
		addsUp(t, q.report, rows, valuesOf(q, a.amount))
	}
}
