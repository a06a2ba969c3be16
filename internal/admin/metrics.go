package admin

import (
	"net/http"
	"runtime"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics counts what the rooms report. Label values come from fixed sets: route templates, event types.
type Metrics struct {
	registry  *prometheus.Registry
	webhooks  *prometheus.CounterVec
	pagerduty *prometheus.CounterVec
}

// NewMetrics builds the metrics of spec §11 that are counted as things happen.
func NewMetrics(version string) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		webhooks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pdhook_webhooks_total", Help: "Webhook deliveries by event type and outcome.",
		}, []string{"event_type", "outcome"}),
		pagerduty: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pdhook_pagerduty_requests_total", Help: "Calls to PagerDuty's REST API by route and status code; code 0: no answer.",
		}, []string{"route", "code"}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "pdhook_build_info", Help: "Always 1; the labels say what runs.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	})
	build.Set(1)
	m.registry.MustRegister(m.webhooks, m.pagerduty, build, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Expiry shows when something ends, which is asked for at each scrape.
func (m *Metrics) Expiry(name, help string, expires func() time.Time) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help},
		func() float64 { return float64(expires().Unix()) }))
}

// Webhook counts the answer to a delivery.
func (m *Metrics) Webhook(eventType, outcome string) {
	m.webhooks.WithLabelValues(eventType, outcome).Inc()
}

// PagerDuty counts a call.
func (m *Metrics) PagerDuty(route string, code int) {
	m.pagerduty.WithLabelValues(route, strconv.Itoa(code)).Inc()
}

// Handler serves the metrics in Prometheus' format.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}
