package source

import "github.com/prometheus/client_golang/prometheus"

// Metrics counts inputs. A nil *Metrics counts nothing.
type Metrics struct {
	inputs *prometheus.CounterVec
}

// NewMetrics registers the metrics of sources. It panics if reg has them already.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{inputs: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "hookline_source_inputs_total",
		Help: "Inputs of sources, by kind of source, what became of them, and why.",
	}, []string{"source_kind", "status", "reason"})}
	reg.MustRegister(m.inputs)
	return m
}

func (m *Metrics) count(kind, status, reason string, n int) {
	if m != nil {
		m.inputs.WithLabelValues(kind, status, reason).Add(float64(n))
	}
}
