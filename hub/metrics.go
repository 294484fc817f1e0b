package hub

import (
	"cmp"
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/rabbit"
	"github.com/hookline/hookline/storage"
	"github.com/hookline/hookline/storage/folds"
)

// metrics holds the metrics of delivery and storage. Ingest and the broker have their
// own. No metric has a label that grows with tenants or subscriptions.
type metrics struct {
	registry *prometheus.Registry
	attempts *prometheus.CounterVec   // by result
	outcomes *prometheus.CounterVec   // by the state that ended a run
	request  prometheus.Histogram     // seconds of an attempt
	lag      *prometheus.HistogramVec // seconds from acceptance to delivery, by class
	batch    *prometheus.HistogramVec // rows in a commit, by kind
	commit   prometheus.Histogram     // seconds of a commit
	rabbit   *rabbit.Metrics
	log      *slog.Logger
}

func newMetrics(log *slog.Logger) *metrics {
	latency := []float64{.001, .002, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}
	m := &metrics{
		registry: prometheus.NewRegistry(),
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hookline_delivery_attempts_total",
			Help: "HTTP requests made, by what came of them: ok, or the error class.",
		}, []string{"result"}),
		outcomes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hookline_deliveries_ended_total",
			Help: "Runs that ended, by state.",
		}, []string{"state"}),
		request: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "hookline_delivery_attempt_seconds",
			Help: "Duration of an attempt.", Buckets: latency,
		}),
		lag: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "hookline_delivery_lag_seconds",
			Help: "From the acceptance of an event to its delivery.", Buckets: append(latency, 60, 600, 3600),
		}, []string{"class"}),
		batch: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "hookline_store_batch_rows",
			Help: "Events and outcomes committed together.", Buckets: prometheus.ExponentialBuckets(1, 2, 12),
		}, []string{"kind"}),
		commit: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "hookline_store_commit_seconds",
			Help: "Duration of a commit, with its statements.", Buckets: latency,
		}),
		log: log,
	}

	m.registry.MustRegister(m.attempts, m.outcomes, m.request, m.lag, m.batch, m.commit,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.rabbit = rabbit.NewMetrics(m.registry)
	return m
}

// addGauges adds the metrics whose values are read when somebody asks.
func (m *metrics) addGauges(db *storage.DB, d *delivery.Dispatcher) {
	gauge := func(name, help string, f func() float64) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, f))
	}
	gauge("hookline_deliveries_pending", "Runs that are pending.", func() float64 {
		backlog, err := db.Backlog(context.Background())
		if err != nil {
			m.log.Error("count pending", "err", err)
			return -1
		}
		sum := 0
		for _, n := range backlog {
			sum += n
		}
		return float64(sum)
	})
	gauge("hookline_deliveries_oldest_pending_seconds", "Age of the oldest pending run; 0: none.", func() float64 {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		at, err := db.OldestPending(ctx)
		if err != nil {
			m.log.Error("oldest pending", "err", err)
			return -1
		}
		if at == 0 {
			return 0
		}
		return time.Since(time.UnixMilli(at)).Seconds()
	})
	gauge("hookline_lanes", "Subscriptions with work at hand.", func() float64 { return float64(d.Lanes()) })

	counter := func(name, help string, f func() int64) {
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help},
			func() float64 { return float64(f()) }))
	}
	st := db.Stats()
	counter("hookline_store_commits_total", "Commits.", st.Commits.Load)
	counter("hookline_store_events_total", "Events stored.", st.Events.Load)
	counter("hookline_store_conflicts_total",
		"Transactions made anew because another process got in their way.", st.Conflicts.Load)
	counter("hookline_store_fenced_total",
		"Outcomes not recorded because another process owns their shard by now.", st.Fenced.Load)
	counter("hookline_store_failures_total", "Commits that failed and were tried again or refused.", st.Failures.Load)
}

// addFoldGauges adds what folds lack. It is asked for once for all metrics of a scrape.
func (m *metrics) addFoldGauges(f *folds.Folds) {
	m.registry.MustRegister(&foldMetrics{
		folds: f, log: m.log,
		events: prometheus.NewDesc("hookline_fold_lag_events",
			"Events accepted and not folded, by fold; of each tenant 100,000 are counted at most.", []string{"fold"}, nil),
		seconds: prometheus.NewDesc("hookline_fold_lag_seconds",
			"Age of the oldest event that is not folded, by fold; 0: all are.", []string{"fold"}, nil),
	})
}

// foldMetrics collects what folds lack.
type foldMetrics struct {
	folds           *folds.Folds
	log             *slog.Logger
	events, seconds *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (m *foldMetrics) Describe(to chan<- *prometheus.Desc) {
	to <- m.events
	to <- m.seconds
}

// Collect implements prometheus.Collector.
func (m *foldMetrics) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	lags, err := m.folds.Lags(ctx)
	if err != nil {
		m.log.Error("lag of folds", "err", err)
		return
	}

	for _, l := range lags {
		age := 0.0
		if l.Oldest > 0 {
			age = max(0, time.Since(time.UnixMilli(l.Oldest)).Seconds())
		}
		to <- prometheus.MustNewConstMetric(m.events, prometheus.GaugeValue, float64(l.Events), l.Fold)
		to <- prometheus.MustNewConstMetric(m.seconds, prometheus.GaugeValue, age, l.Fold)
	}
}

// committed counts a commit.
func (m *metrics) committed(events, outcomes int, took time.Duration) {
	if events > 0 {
		m.batch.WithLabelValues("events").Observe(float64(events))
	}
	if outcomes > 0 {
		m.batch.WithLabelValues("outcomes").Observe(float64(outcomes))
	}
	m.commit.Observe(took.Seconds())
}

// observe counts an outcome, and writes its line of the log.
func (m *metrics) observe(r delivery.Report) {
	a, it := r.Attempt, r.Item
	if r.Verdict.State != delivery.Pending {
		m.outcomes.WithLabelValues(r.Verdict.State.String()).Inc()
	}
	if a == nil {
		m.log.LogAttrs(context.Background(), slog.LevelWarn, "ended without attempt",
			slog.String("delivery", delivery.PublicID(it.Sub, it.Seq, it.AcceptedAt)),
			slog.String("state", r.Verdict.State.String()))
		return
	}

	// Count the attempt.
	result := "ok"
	if a.Class != delivery.None {
		result = a.Class.String()
	}
	m.attempts.WithLabelValues(result).Inc()
	m.request.Observe(a.Total.Seconds())
	if r.Verdict.State == delivery.Delivered {
		lag := float64(a.At-it.AcceptedAt)/1000 + a.Total.Seconds()
		m.lag.WithLabelValues(it.Type.Class().String()).Observe(lag)
	}

	// Write its line, unless the level of the log leaves it out.
	level := slog.LevelInfo
	if a.Class != delivery.None {
		level = slog.LevelWarn
	}
	if !m.log.Enabled(context.Background(), level) {
		return
	}
	attrs := make([]slog.Attr, 0, 16)
	attrs = append(attrs,
		slog.String("delivery", delivery.PublicID(it.Sub, it.Seq, it.AcceptedAt)),
		slog.String("tenant", r.Sub.CompanyID),
		slog.String("subscription", r.Sub.ID),
		slog.String("type", it.Type.String()),
		slog.Int64("seq", it.Seq),
		slog.Int("run", it.Run),
		slog.Int("attempt", a.N),
		slog.Int("status", a.StatusCode),
		slog.String("result", result),
		slog.String("state", r.Verdict.State.String()),
		slog.Float64("ms", float64(a.Total.Microseconds())/1000),
		slog.String("ip", a.RemoteIP))
	if a.Err != "" {
		attrs = append(attrs, slog.String("error", cmp.Or(a.Cause, a.Err)))
	}
	if r.Verdict.State == delivery.Pending {
		attrs = append(attrs, slog.Time("due", time.UnixMilli(r.Verdict.DueAt)))
	}
	if a.Late {
		attrs = append(attrs, slog.Bool("late", true))
	}
	m.log.LogAttrs(context.Background(), level, "attempt", attrs...)
}
