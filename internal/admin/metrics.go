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

// Metrics counts what the rooms report; docs/metrics.md is its reference. Label values come from fixed sets: no
// user, role, request or reason is among them.
type Metrics struct {
	registry  *prometheus.Registry
	webhooks  *prometheus.CounterVec
	decisions *prometheus.CounterVec
	effects   *prometheus.CounterVec
	pagerduty *prometheus.CounterVec
	reactions prometheus.Histogram
}

// Words are pairs of label values that can occur. Each is shown as 0 before it does: else the first event of a
// kind would be no increase.
type Words struct {
	Webhooks  [][2]string // event type and outcome
	Decisions [][2]string // verdict and failed check
	Effects   [][2]string // kind and outcome
	PagerDuty [][2]string // route and status code
}

// reactionBuckets reach from what the budget of spec §14 allows to what PagerDuty's repeated deliveries and an
// outage make of it.
var reactionBuckets = []float64{.025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600}

// NewMetrics builds the metrics of spec §11 that are counted as things happen; Watch adds the others.
func NewMetrics(version string, words Words) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		webhooks: counter("pdhook_webhooks_total",
			"Webhook deliveries by event type and outcome of the answer. The type is empty where the body was not read.", "event_type", "outcome"),
		decisions: counter("pdhook_decisions_total",
			"Decisions whose verdict or deciding check is another than at the last look at the request. failed_check: the first check that failed, or could not be told.",
			"verdict", "failed_check"),
		effects: counter("pdhook_effects_total",
			"Attempts to change something in Teleport or PagerDuty. already: it was done, or somebody else was first. failed ones are tried again.", "kind", "outcome"),
		pagerduty: counter("pdhook_pagerduty_requests_total",
			"Calls to PagerDuty's REST API by route and status code; code 0: no answer.", "route", "code"),
		reactions: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "pdhook_event_to_decision_seconds",
			Help:    "Time from the receipt of a webhook event, or the creation of a request in Teleport, to the decision it caused.",
			Buckets: reactionBuckets,
		}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "pdhook_build_info", Help: "Always 1; the labels say what runs.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	})
	build.Set(1)
	m.registry.MustRegister(m.webhooks, m.decisions, m.effects, m.pagerduty, m.reactions, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	expect(m.webhooks, words.Webhooks)
	expect(m.decisions, words.Decisions)
	expect(m.effects, words.Effects)
	expect(m.pagerduty, words.PagerDuty)
	return m
}

func counter(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

func expect(c *prometheus.CounterVec, pairs [][2]string) {
	for _, pair := range pairs {
		c.WithLabelValues(pair[0], pair[1])
	}
}

// Webhook counts the answer to a delivery.
func (m *Metrics) Webhook(eventType, outcome string) {
	m.webhooks.WithLabelValues(eventType, outcome).Inc()
}

// Decided counts a decision that is news.
func (m *Metrics) Decided(verdict, failedCheck string) {
	m.decisions.WithLabelValues(verdict, failedCheck).Inc()
}

// Effect counts an attempt to change something.
func (m *Metrics) Effect(kind, outcome string) { m.effects.WithLabelValues(kind, outcome).Inc() }

// Reacted takes the time from an event to the decision it caused.
func (m *Metrics) Reacted(after time.Duration) { m.reactions.Observe(after.Seconds()) }

// PagerDuty counts a call.
func (m *Metrics) PagerDuty(route string, code int) {
	m.pagerduty.WithLabelValues(route, strconv.Itoa(code)).Inc()
}

// Handler serves the metrics in Prometheus' format. What cannot be told is left out: the rest is wanted most then.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
}
