package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/cmd/hookline/bench"
	"github.com/hookline/hookline/hub/hubtest/pgtest"
)

// asHookline in the environment makes the test binary the program itself, for
// tests that need processes of their own.
const asHookline = "TEST_AS_HOOKLINE"

func TestMain(m *testing.M) {
	if os.Getenv(asHookline) != "" {
		main()
		return
	}
	code := m.Run()
	if builtIn != "" {
		if err := os.RemoveAll(builtIn); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	os.Exit(code)
}

// benchBuilt runs hookline bench with processes of the binary as it is built for users.
// They need a fraction of the time of this test binary, which watches for races.
// TestBench has processes of this test binary.
func benchBuilt(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	return do(t, "", append(append([]string{"bench"}, args...), "--program", build(t))...)
}

// Hub, receiver and load as processes of their own: small, but all of it.
func TestBench(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves out what takes long")
	}
	t.Setenv(asHookline, "1")
	dir := t.TempDir()
	report := filepath.Join(dir, "report.json")
	code, out, stderr := do(t, "", "bench", "--case", "1x1", "--case", "5x100", "--case", "paced", "--case", "two-parts", "--events", "200", "--fan-events", "40", "--warmup", "20", "--paced", "1s", "--dir", dir,
		"--json", report, "--profiles", filepath.Join(dir, "profiles"), "--ids")
	require.Zero(t, code, stderr)
	require.Contains(t, out, "delivered/s")

	raw, err := os.ReadFile(report)
	require.NoError(t, err)
	var r bench.Report
	require.NoError(t, json.Unmarshal(raw, &r))
	require.Len(t, r.Raw, 5)
	deliveries := []int{}
	for _, m := range r.Hub {
		deliveries = append(deliveries, m.Deliveries)
		require.Positive(t, m.DeliveredPerSecond, m.Case.Name)
		require.Positive(t, m.OfRaw, m.Case.Name)
		require.Positive(t, m.Latency.P50, m.Case.Name)
		require.Positive(t, m.AllocsPerDelivery, m.Case.Name)
		require.Greater(t, m.PeakBytes, int64(1<<20), m.Case.Name)
		profile, err := os.Stat(filepath.Join(dir, "profiles", m.Case.Name+".pprof"))
		require.NoError(t, err)
		require.Positive(t, profile.Size())
	}
	require.Equal(t, []int{200, 200, 100, 200}, deliveries)
	left, err := filepath.Glob(filepath.Join(dir, "hookline-bench-*"))
	require.NoError(t, err)
	require.Empty(t, left)
}

// The measurement of fairness, small: the flood is refused in part, and the other
// tenant's events all arrive.
func TestBenchFairness(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves out what takes long")
	}
	t.Parallel()
	code, out, stderr := benchBuilt(t, "fairness", "--rounds", "1", "--paced", "1s", "--rate", "20", "--json", "-", "--dir", t.TempDir())
	require.Zero(t, code, stderr)
	var r bench.Fairness
	require.NoError(t, json.NewDecoder(strings.NewReader(out)).Decode(&r))
	require.Len(t, r.Flooded, 1)
	require.Len(t, r.Control, 1)
	require.Len(t, r.Compared, 3)
	for _, c := range r.Compared {
		require.Positive(t, c.Flooded, c.What)
		require.Positive(t, c.Control, c.What)
	}
	require.NotEmpty(t, r.Flooded[0].Answers["ingest"])
	for status := range r.Control[0].Answers["ingest"] {
		require.Contains(t, []int{0, 429}, status)
	}
	require.Less(t, r.PeakBytes, int64(512<<20))
}

// The same with two hubs on a PostgreSQL of its own.
func TestBenchPostgres(t *testing.T) {
	pgtest.Needed(t)
	t.Parallel()
	code, out, stderr := benchBuilt(t, "--store", "postgres", "--processes", "2", "--case", "1x1", "--events", "200", "--warmup", "20", "--json", "-")
	require.Zero(t, code, stderr)
	var r bench.Report
	require.NoError(t, json.Unmarshal([]byte(out), &r))
	require.Len(t, r.Hub, 1)
	m := r.Hub[0]
	require.Equal(t, bench.Store{Kind: bench.Postgres, Processes: 2}, m.Store)
	require.Equal(t, 200, m.Deliveries)
	require.Positive(t, m.Statements)
	require.Positive(t, m.ServerPerThousand)
	require.Greater(t, m.AllCPU, m.CPUPerThousand+m.ServerPerThousand)
	require.Positive(t, m.OfRawCPU)
}

// A receiver is dead, and comes back: all of it, small.
func TestBenchBacklog(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves out what takes long")
	}
	t.Parallel()
	code, out, stderr := benchBuilt(t, "backlog", "--pending", "2000", "--events", "200", "--warmup", "20", "--paced", "1s", "--json", "-")
	require.Zero(t, code, stderr)
	var b bench.Backlog
	require.NoError(t, json.Unmarshal([]byte(out), &b))
	require.Equal(t, 2000, b.Pending)
	for _, s := range []bench.Beside{b.Before, b.With} {
		require.Positive(t, s.AcceptedPerSecond)
		require.Positive(t, s.Paced.P50)
	}
	require.Positive(t, b.Draining.P50)
	require.Positive(t, b.DrainSeconds)
	require.Positive(t, b.PauseMs)
	require.EqualValues(t, -1, b.RowsHeld)
}

func TestBenchRefuses(t *testing.T) {
	for _, args := range [][]string{{"--events", "0"}, {"--rate", "10001"}, {"--paced", "1ms"}, {"--case", "9x9"}, {"--store", "postgres", "--processes", "17"}, {"backlog", "--pending", "0"}, {"--dir", "/no such folder"}} {
		code, _, stderr := do(t, "", append([]string{"bench"}, args...)...)
		require.Equal(t, 1, code, "%v", args)

		require.Contains(t, stderr, "hookline: ", "%v", args)
	}
}
