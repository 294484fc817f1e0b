package bench

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// Report is what a run measured.
type Report struct {
	Machine Machine        `json:"machine"`
	Raw     []Raw          `json:"raw"` // one before each of Hub, and one after the last
	Hub     []*Measurement `json:"hub"`
}

// Machine describes where a run was made.
type Machine struct {
	Cores   int     `json:"cores"`
	CPU     string  `json:"cpu"`
	System  string  `json:"system"`
	Go      string  `json:"go"`
	FsyncMs float64 `json:"fsyncMs"` // median of a write of 4 KiB and its fsync, where the hubs store
	Load    string  `json:"load"`    // load averages at the start, as a hint of other work
}

// Raw is the raw ceiling: what posts straight to the sink reach.
type Raw struct {
	PerSecond float64 `json:"perSecond"`
	AllCPU    float64 `json:"allCPUPerThousand"` // seconds of load and sink per 1,000 posts
	Latency   Latency `json:"latency"`
}

// Measurement is what one case with one store reached, and what it cost.
type Measurement struct {
	Case               Case    `json:"case"`
	Store              Store   `json:"store"`
	Events             int     `json:"events"`
	Deliveries         int     `json:"deliveries"`
	AcceptedPerSecond  float64 `json:"acceptedPerSecond"`
	DeliveredPerSecond float64 `json:"deliveredPerSecond"` // until the last one came, or the folds had all
	FoldsBehind        int     `json:"foldsBehind"`        // events that the folds lacked at the last push
	FoldShare          float64 `json:"foldShare"`          // of the hubs' CPU time, by profile, 0 to 1
	OfRaw              float64 `json:"ofRaw"`              // delivered a second, as a share of the raw ceiling
	OfRawCPU           float64 `json:"ofRawCPU"`           // CPU time of a raw post, as a share of that of a delivery
	AllCPU             float64 `json:"allCPUPerThousand"`  // seconds of all processes, with load and sink, per 1,000 deliveries
	Latency            Latency `json:"latency"`
	CPUPerThousand     float64 `json:"cpuPerThousand"`                  // seconds of the hubs per 1,000 deliveries
	ServerPerThousand  float64 `json:"serverPerThousand,omitempty"`     // the same of PostgreSQL
	Statements         float64 `json:"statementsPerDelivery,omitempty"` // that PostgreSQL ran
	AllocsPerDelivery  float64 `json:"allocsPerDelivery"`
	RowsPerCommit      float64 `json:"rowsPerCommit"` // events and outcomes
	PeakBytes          int64   `json:"peakBytes"`     // resident, of the hubs
	PushedBack         int64   `json:"pushedBack"`    // requests answered 429 or 503, sent again
}

// cost computes what a delivery cost all processes but the load and the sink.
func (m *Measurement) cost(before, after use) {
	n := float64(m.Deliveries)
	m.CPUPerThousand = (after.cpu - before.cpu).Seconds() / n * 1000
	m.ServerPerThousand = (after.serverCPU - before.serverCPU).Seconds() / n * 1000
	m.Statements = float64(after.statements-before.statements) / n
	m.AllocsPerDelivery = (after.mallocs - before.mallocs) / n
	m.RowsPerCommit = (float64(m.Events) + n) / max(after.commits-before.commits, 1)
}

// compare computes the shares of the raw ceiling, which is the mean of the one
// measured before and the one after. On a machine that has other work, the share of
// the CPU time says more than that of the speed.
func (r *Report) compare() {
	for i, m := range r.Hub {
		before, after := r.Raw[i], r.Raw[i+1]
		m.OfRaw = m.DeliveredPerSecond / ((before.PerSecond + after.PerSecond) / 2)
		m.OfRawCPU = (before.AllCPU + after.AllCPU) / 2 / max(m.AllCPU, 1e-9)
	}
}

// Print writes the report as tables for people.
func (r *Report) Print(w io.Writer) error {
	k := r.Machine
	fmt.Fprintf(w, "%d cores (%s), %s, %s, fsync %.2f ms, load %s\n\n", k.Cores, k.CPU, k.System, k.Go, k.FsyncMs, k.Load)

	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tw, "store\tsubs\tevents a request\taccepted/s\tdelivered/s\tof raw\tby CPU\t"+
		"p50 ms\tp95 ms\tp99 ms\tmax ms\tCPU s/1000\tfolds\tbehind\tservers'\tstatements\tallocs\trows/commit\tpeak MiB\tpushed back\t")
	for i, raw := range r.Raw {
		l := raw.Latency
		fmt.Fprintf(tw, "raw\t-\t-\t-\t%.0f\t\t\t%.2f\t%.2f\t%.2f\t%.1f\t-\t-\t-\t-\t-\t-\t-\t-\t-\t\n",
			raw.PerSecond, l.P50, l.P95, l.P99, l.Max)
		if i < len(r.Hub) {
			r.Hub[i].print(tw)
		}
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprint(w, legend)
	return err
}

const legend = `
Every event came exactly once to each subscription. Latency: from sending the event until the sink had the head of its push;
but for the paced line it holds the wait behind all that was sent faster than delivered. By CPU: the share of raw in
CPU time of all processes, which other work on the machine changes less. CPU is of all hubs, and of PostgreSQL and RabbitMQ; statements and allocations are per delivery.
CPU is read once the folds have all events. Folds: their share in it, by a profile of the whole process. Behind: events that they
lacked at the last push; where that is over 5 % of the events, the rates count until they had all.
`

func (m *Measurement) print(w io.Writer) {
	batch := strconv.Itoa(m.Case.Batch)
	if m.Case.Paced {
		batch += " paced"
	}
	server, statements := "-", "-"
	if m.Store.Kind != Embedded {
		server = fmt.Sprintf("%.3f", m.ServerPerThousand)
		statements = fmt.Sprintf("%.2f", m.Statements)
	}
	l := m.Latency
	fmt.Fprintf(w, "%s\t%d\t%s\t%.0f\t%.0f\t%.1f %%\t%.1f %%\t%.2f\t%.2f\t%.2f\t%.1f\t%.3f\t%.0f %%\t%d\t%s\t%s\t%.0f\t%.0f\t%d\t%d\t\n",
		m.Store, m.Case.Subs, batch, m.AcceptedPerSecond, m.DeliveredPerSecond, m.OfRaw*100, m.OfRawCPU*100,
		l.P50, l.P95, l.P99, l.Max, m.CPUPerThousand, m.FoldShare*100, m.FoldsBehind, server, statements,
		m.AllocsPerDelivery, m.RowsPerCommit, m.PeakBytes>>20, m.PushedBack)
}

// examine describes this machine. dir is where the hubs will store.
func examine(dir string) (Machine, error) {
	m := Machine{
		Cores: runtime.GOMAXPROCS(0), System: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version(),
		CPU: "unknown", Load: "unknown",
	}
	if raw, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(raw)) {
			if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
				m.CPU = strings.TrimSpace(value)
				break
			}
		}
	}
	if raw, err := os.ReadFile("/proc/loadavg"); err == nil {
		m.Load = strings.Join(strings.Fields(string(raw))[:3], " ")
	}
	took, err := fsyncTime(dir)
	m.FsyncMs = float64(took.Microseconds()) / 1000
	return m, err
}

// fsyncTime returns the median time of a write and its fsync.
func fsyncTime(dir string) (time.Duration, error) {
	f, err := os.Create(filepath.Join(dir, "fsync"))
	if err != nil {
		return 0, err
	}
	defer os.Remove(f.Name())
	defer f.Close()

	page := make([]byte, 4096)
	took := make([]time.Duration, 100)
	for i := range took {
		began := time.Now()
		if _, err := f.Write(page); err != nil {
			return 0, err
		}
		if err := f.Sync(); err != nil {
			return 0, err
		}
		took[i] = time.Since(began)
	}
	slices.Sort(took)
	return took[len(took)/2], nil
}
