package admin

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Reading is what the gauges show.
type Reading struct {
	Status            Status
	SubscriptionKnown bool  // whether Status tells of the webhook subscription
	Unnotified        int   // pending requests that ought to have an incident and have none
	Store             *Room // nil: it could not be measured
}

// Room is what the store takes and may take of its volume, in bytes.
type Room struct {
	Used      uint64
	Available uint64 // before webhooks are refused
}

// Watch shows a reading, taken once at each scrape. read must be quick and must not wait for a remote side.
func (m *Metrics) Watch(read func() Reading) {
	m.registry.MustRegister(&watched{gauges: gauges(), read: read})
}

// watched collects gauges from one reading, so that they fit together. One whose value is not known is absent: a 0
// would be believed.
type watched struct {
	gauges []gauge
	read   func() Reading
}

type gauge struct {
	desc  *prometheus.Desc
	value func(Reading) (value float64, known bool)
}

func (w *watched) Describe(to chan<- *prometheus.Desc) {
	for _, g := range w.gauges {
		to <- g.desc
	}
}

func (w *watched) Collect(to chan<- prometheus.Metric) {
	now := w.read()
	for _, g := range w.gauges {
		if value, known := g.value(now); known {
			to <- prometheus.MustNewConstMetric(g.desc, prometheus.GaugeValue, value)
		}
	}
}

func gauges() []gauge {
	of := func(name, help string, value func(Reading) (float64, bool)) gauge {
		return gauge{prometheus.NewDesc("pdhook_"+name, help, nil, nil), value}
	}
	return []gauge{
		of("ready", "1 while webhooks can be taken; 0: /readyz says why not.",
			func(r Reading) (float64, bool) { return yes(len(r.Status.Webhook.NotReady) == 0), true }),
		of("subscription_up", "1 while nothing is wrong with PagerDuty's webhook subscription; 0: /status says what. Absent while the API key cannot read it.",
			func(r Reading) (float64, bool) {
				return yes(r.Status.Webhook.Subscription.Problem == ""), r.SubscriptionKnown
			}),
		of("watcher_up", "1 while a watch of Teleport's access requests is open.",
			func(r Reading) (float64, bool) { return yes(r.Status.Teleport.Watching), true }),
		of("requests_pending", "Access requests that wait for a decision in Teleport, with or without PagerDuty's part in them.",
			func(r Reading) (float64, bool) { return float64(r.Status.Pending), true }),
		of("requests_unnotified", "Pending requests that ought to have an incident on each service to notify and lack one.",
			func(r Reading) (float64, bool) { return float64(r.Unnotified), true }),
		of("requests_failing", "Requests whose latest look ended with an error; they are tried again.",
			func(r Reading) (float64, bool) { return float64(r.Status.Queue.Failing), true }),
		of("queue_depth", "Requests that wait for a worker.",
			func(r Reading) (float64, bool) { return float64(r.Status.Queue.Depth), true }),
		of("queue_oldest_seconds", "How long the longest of them has waited.",
			func(r Reading) (float64, bool) { return r.Status.Queue.OldestSeconds, true }),
		of("pagerduty_ratelimit_limit", "Calls that PagerDuty grants in a window, usually a minute. Absent before PagerDuty told.",
			func(r Reading) (float64, bool) { return number(r.Status.PagerDuty.RateLimitLimit) }),
		of("pagerduty_ratelimit_remaining", "Calls left in the window. Absent before PagerDuty told.",
			func(r Reading) (float64, bool) { return number(r.Status.PagerDuty.RateLimitRemaining) }),
		of("identity_expiry_timestamp_seconds", "End of the Teleport identity in use, in Unix seconds. Absent when it is not known.",
			func(r Reading) (float64, bool) { return unix(r.Status.Teleport.IdentityExpires) }),
		of("certificate_expiry_timestamp_seconds", "End of the webhook certificate in use, in Unix seconds. Absent for plain HTTP.",
			func(r Reading) (float64, bool) { return unix(r.Status.Webhook.CertificateExpires) }),
		of("store_bytes", "What the store occupies on its volume.",
			func(r Reading) (float64, bool) { return sized(r.Store, func(room Room) uint64 { return room.Used }) }),
		of("store_available_bytes", "What may still be written to the store's volume, by anybody, before webhooks are refused.",
			func(r Reading) (float64, bool) {
				return sized(r.Store, func(room Room) uint64 { return room.Available })
			}),
	}
}

func yes(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func number(n *int) (float64, bool) {
	if n == nil {
		return 0, false
	}
	return float64(*n), true
}

func unix(t time.Time) (float64, bool) { return float64(t.Unix()), !t.IsZero() }

func sized(room *Room, of func(Room) uint64) (float64, bool) {
	if room == nil {
		return 0, false
	}
	return float64(of(*room)), true
}
