package admin

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

// scraped gives what /metrics answers, one line each.
func scraped(m *Metrics) map[string]bool {
	body := get(desk(func(c *Config) { c.Metrics = m.Handler() }), "/metrics", nil).Body.String()
	found := map[string]bool{}
	for line := range strings.Lines(body) {
		found[strings.TrimSpace(line)] = true
	}
	return found
}

func wantLines(t *testing.T, found map[string]bool, want ...string) {
	t.Helper()
	for _, line := range want {
		if !found[line] {
			t.Errorf("%q is missing", line)
		}
	}
}

// full is a reading in which everything is known.
func full() Reading {
	return Reading{
		Status: Status{
			Teleport:  Teleport{Watching: true, IdentityExpires: time.Unix(1772000000, 5)},
			PagerDuty: PagerDuty{RateLimitLimit: new(960), RateLimitRemaining: new(900)},
			Webhook:   Webhook{CertificateExpires: time.Unix(1773000000, 0)},
			Queue:     Queue{Depth: 2, OldestSeconds: 1.5, Failing: 4},
			Pending:   3,
		},
		SubscriptionKnown: true, Unnotified: 1, Store: &Room{Used: 4096, Available: 8192},
	}
}

func TestWhatCanHappenIsShownAsNoughtBeforeAndCountedAfter(t *testing.T) {
	m := NewMetrics("v1", Words{
		Webhooks:  [][2]string{{"", "bad signature"}, {"incident.triggered", "accepted"}},
		Decisions: [][2]string{{"approve", ""}, {"no", "on call"}},
		Effects:   [][2]string{{"review", "failed"}, {"note", "ok"}},
		PagerDuty: [][2]string{{"GET /oncalls", "0"}, {"GET /oncalls", "429"}},
	})
	m.Webhook("incident.triggered", "accepted")
	m.Decided("no", "on call")
	m.Effect("note", "ok")
	m.PagerDuty("GET /oncalls", 429)
	m.PagerDuty("GET /oncalls", 418)
	m.Reacted(200 * time.Millisecond)
	found := scraped(m)
	wantLines(t, found,
		`pdhook_webhooks_total{event_type="",outcome="bad signature"} 0`,
		`pdhook_webhooks_total{event_type="incident.triggered",outcome="accepted"} 1`,
		`pdhook_decisions_total{failed_check="",verdict="approve"} 0`,
		`pdhook_decisions_total{failed_check="on call",verdict="no"} 1`,
		`pdhook_effects_total{kind="review",outcome="failed"} 0`,
		`pdhook_effects_total{kind="note",outcome="ok"} 1`,
		`pdhook_pagerduty_requests_total{code="0",route="GET /oncalls"} 0`,
		`pdhook_pagerduty_requests_total{code="429",route="GET /oncalls"} 1`,
		`pdhook_pagerduty_requests_total{code="418",route="GET /oncalls"} 1`,
		`pdhook_event_to_decision_seconds_bucket{le="0.1"} 0`,
		`pdhook_event_to_decision_seconds_bucket{le="0.25"} 1`,
		`pdhook_event_to_decision_seconds_count 1`,
	)
	for line := range found {
		if strings.HasPrefix(line, "pdhook_build_info") && (!strings.Contains(line, `{goversion="go`) || !strings.HasSuffix(line, `,version="v1"} 1`)) {
			t.Errorf("got %s", line)
		}
	}
}

func TestGaugesShowWhatIsNow(t *testing.T) {
	m := NewMetrics("v1", Words{})
	now := full()
	m.Watch(func() Reading { return now })
	wantLines(t, scraped(m),
		"pdhook_ready 1",
		"pdhook_subscription_up 1",
		"pdhook_watcher_up 1",
		"pdhook_requests_pending 3",
		"pdhook_requests_unnotified 1",
		"pdhook_requests_failing 4",
		"pdhook_queue_depth 2",
		"pdhook_queue_oldest_seconds 1.5",
		"pdhook_pagerduty_ratelimit_limit 960",
		"pdhook_pagerduty_ratelimit_remaining 900",
		"pdhook_identity_expiry_timestamp_seconds 1.772e+09",
		"pdhook_certificate_expiry_timestamp_seconds 1.773e+09",
		"pdhook_store_bytes 4096",
		"pdhook_store_available_bytes 8192",
	)
	now.Status.Webhook.NotReady = []string{"store: disk full"}
	now.Status.Webhook.Subscription.Problem = "switched off"
	now.Status.Teleport.Watching = false
	now.Status.PagerDuty.RateLimitRemaining = new(0)
	wantLines(t, scraped(m), "pdhook_ready 0", "pdhook_subscription_up 0", "pdhook_watcher_up 0", "pdhook_pagerduty_ratelimit_remaining 0")
}

func TestAGaugeThatIsNotKnownIsAbsent(t *testing.T) {
	m := NewMetrics("v1", Words{})
	m.Watch(func() Reading { return Reading{} })
	for line := range scraped(m) {
		for _, name := range []string{"pdhook_subscription_up", "pdhook_pagerduty_ratelimit", "pdhook_identity_expiry", "pdhook_certificate_expiry", "pdhook_store"} {
			if strings.Contains(line, name) {
				t.Errorf("got %s", line)
			}
		}
	}
	wantLines(t, scraped(m), "pdhook_watcher_up 0", "pdhook_requests_unnotified 0")
}

func TestMetricsKeepToTheCustomsOfPrometheus(t *testing.T) {
	m := NewMetrics("v1", Words{Webhooks: [][2]string{{"", ""}}, Decisions: [][2]string{{"", ""}}, Effects: [][2]string{{"", ""}}, PagerDuty: [][2]string{{"", ""}}})
	m.Watch(full)
	body := get(desk(func(c *Config) { c.Metrics = m.Handler() }), "/metrics", nil).Body
	problems, err := promlint.New(body).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}
