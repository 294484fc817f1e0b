package ingest

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/hookline/hookline/hub/event"
)

// Metrics counts what comes in. A nil *Metrics counts nothing.
type Metrics struct {
	accepted, duplicate, rejected prometheus.Counter
	warnings                      *prometheus.CounterVec
	refused                       *prometheus.CounterVec
	bytes                         prometheus.Histogram
}

// NewMetrics registers the metrics of the way in. It panics if reg has them already.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	events := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "hookline_ingest_events_total",
		Help: "Events that came in, by what became of them: accepted, duplicate, rejected.",
	}, []string{"status"})
	m := &Metrics{
		accepted:  events.WithLabelValues(string(Accepted)),
		duplicate: events.WithLabelValues(string(Duplicate)),
		rejected:  events.WithLabelValues(string(Rejected)),
		warnings: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hookline_ingest_warnings_total",
			Help: "Odd but readable values in accepted events, by code.",
		}, []string{"code"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hookline_ingest_refused_requests_total",
			Help: "Requests of which nothing was taken, by HTTP status.",
		}, []string{"status"}),
		bytes: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "hookline_ingest_request_bytes",
			Help:    "Size of request bodies after decompression.",
			Buckets: prometheus.ExponentialBuckets(256, 4, 9), // to 16 MiB
		}),
	}
	reg.MustRegister(events, m.warnings, m.refused, m.bytes)
	return m
}

func (m *Metrics) request(size int) {
	if m != nil {
		m.bytes.Observe(float64(size))
	}
}

func (m *Metrics) refusal(status string) {
	if m != nil {
		m.refused.WithLabelValues(status).Inc()
	}
}

func (m *Metrics) result(s Status, warnings []event.Problem) {
	if m == nil {
		return
	}
	switch s {
	case Accepted:
		m.accepted.Inc()
		for _, w := range warnings {
			m.warnings.WithLabelValues(w.Code).Inc()
		}
	case Duplicate:
		m.duplicate.Inc()
	case Rejected:
		m.rejected.Inc()
	}
}
