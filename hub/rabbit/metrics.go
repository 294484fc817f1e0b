package rabbit

import "github.com/prometheus/client_golang/prometheus"

// Metrics counts what a process does with RabbitMQ.
type Metrics struct {
	connected *prometheus.GaugeVec
	lost      *prometheus.CounterVec
	messages  *prometheus.CounterVec
	rejected  *prometheus.CounterVec
	batch     prometheus.Histogram
	nudges    *prometheus.CounterVec
	waiting   prometheus.Gauge
}

// NewMetrics registers the metrics. It panics if reg has them already.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		connected: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "hookline_amqp_connected",
			Help: "1 while a connection to RabbitMQ is there: ingest, rejected, nudges.",
		}, []string{"connection"}),
		lost: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hookline_amqp_connections_lost_total",
			Help: "Connections to RabbitMQ that ended, or could not be made.",
		}, []string{"connection"}),
		messages: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hookline_amqp_messages_total",
			Help: "Messages of the ingest queue: acknowledged, rejected (in part or as a whole), redelivered (among either).",
		}, []string{"result"}),
		rejected: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hookline_amqp_rejected_total",
			Help: "Messages that went to the rejected queue, by the code of the reason.",
		}, []string{"reason"}),
		batch: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "hookline_amqp_batch_messages",
			Help: "Messages stored together.", Buckets: prometheus.ExponentialBuckets(1, 2, 9), // to 256
		}),
		waiting: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "hookline_amqp_waiting_messages",
			Help: "Messages that wait because their tenant sends more events a second than it may.",
		}),
		nudges: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hookline_amqp_nudges_total",
			Help: "Nudges between processes: sent, received, refused while the broker was away.",
		}, []string{"result"}),
	}

	// Each series exists from the start with the value 0. Otherwise the first message
	// would not show as an increase.
	for _, name := range []string{"ingest", "rejected", "nudges"} {
		m.connected.WithLabelValues(name)
		m.lost.WithLabelValues(name)
	}
	for _, result := range []string{"acknowledged", "rejected", "redelivered"} {
		m.messages.WithLabelValues(result)
	}
	for _, reason := range []string{"unknown_tenant", "malformed_json", "rate"} {
		m.rejected.WithLabelValues(reason)
	}
	for _, result := range []string{"sent", "received", "refused"} {
		m.nudges.WithLabelValues(result)
	}

	reg.MustRegister(m.connected, m.lost, m.messages, m.rejected, m.batch, m.nudges, m.waiting)
	return m
}
