package e2e

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gravitational/teleport/api/types"

	"github.com/pdhook/pdhook/test/pagerdutytest"
	"github.com/pdhook/pdhook/test/teleporttest"
)

// metrics gives every series of /metrics that is pdhook's, by name and labels as printed.
func (w *world) metrics() map[string]float64 {
	w.t.Helper()
	status, body := w.get("/metrics")
	if status != http.StatusOK {
		w.t.Fatalf("/metrics: got %d %s", status, body)
	}
	found := map[string]float64{}
	for line := range strings.Lines(string(body)) {
		line = strings.TrimSpace(line)
		at := strings.LastIndexByte(line, ' ')
		if !strings.HasPrefix(line, "pdhook_") || at < 0 {
			continue
		}
		value, err := strconv.ParseFloat(line[at+1:], 64)
		if err != nil {
			w.t.Fatalf("/metrics has the line %q", line)
		}
		found[line[:at]] = value
	}
	return found
}

// shows waits until a series has the value.
func (w *world) shows(series string, want float64) {
	w.t.Helper()
	w.eventually(series+" is "+strconv.FormatFloat(want, 'g', -1, 64), func() bool {
		value, there := w.metrics()[series]
		return there && value == want
	})
}

// counts waits until each series is higher than before by one.
func (w *world) counts(before map[string]float64, all ...string) {
	w.t.Helper()
	for _, series := range all {
		if _, there := before[series]; !there {
			w.t.Errorf("%s was not shown before it happened: its first event is no increase", series)
		}
		w.shows(series, before[series]+1)
	}
}

const reactions = "pdhook_event_to_decision_seconds_count"

func TestMetricsTellWhatHappens(t *testing.T) {
	t.Parallel()
	expires := time.Now().Add(3 * time.Hour).Truncate(time.Second)
	w := newWorld(t)
	w.writeIdentity(teleporttest.IdentityOptions{NotAfter: expires})
	w.start()
	for series, want := range map[string]float64{
		"pdhook_ready": 1, "pdhook_watcher_up": 1, "pdhook_subscription_up": 1, "pdhook_requests_pending": 0,
		"pdhook_requests_unnotified": 0, "pdhook_requests_failing": 0, "pdhook_queue_depth": 0, "pdhook_queue_oldest_seconds": 0,
		"pdhook_pagerduty_ratelimit_limit": 960, "pdhook_identity_expiry_timestamp_seconds": float64(expires.Unix()), reactions: 0,
	} {
		w.shows(series, want)
	}
	now := w.metrics()
	if soon := float64(time.Now().Unix()); now["pdhook_certificate_expiry_timestamp_seconds"] <= soon ||
		now["pdhook_store_bytes"] <= 0 || now["pdhook_store_available_bytes"] <= 0 || now["pdhook_pagerduty_ratelimit_remaining"] <= 0 {
		t.Errorf("got %v", now)
	}

	before := w.metrics()
	dana := w.request("dana@example.com", "payments-admin")
	incident := w.opened(dana)
	w.settled()
	w.counts(before, `pdhook_decisions_total{failed_check="on call",verdict="no"}`, `pdhook_effects_total{kind="incident",outcome="ok"}`,
		`pdhook_pagerduty_requests_total{code="201",route="POST /incidents"}`, `pdhook_webhooks_total{event_type="incident.triggered",outcome="accepted"}`,
		"pdhook_requests_pending", reactions)

	before = w.metrics()
	w.pd.Acknowledge(incident.ID, w.lee.ID)
	w.settled()
	w.counts(before, `pdhook_webhooks_total{event_type="incident.acknowledged",outcome="accepted"}`, reactions)
	w.shows(`pdhook_decisions_total{failed_check="on call",verdict="no"}`, 1) // looked at again, decided as before

	before = w.metrics()
	kim := w.request("kim@example.com", "payments-admin")
	w.reaches(kim, types.RequestState_APPROVED)
	w.ended(kim, 1)
	w.settled()
	w.counts(before, `pdhook_decisions_total{failed_check="",verdict="approve"}`, `pdhook_effects_total{kind="review",outcome="ok"}`,
		`pdhook_effects_total{kind="resolve",outcome="ok"}`)

	before = w.metrics()
	e := event("ping-1", "pagey.ping")
	w.accepts(e)
	w.accepts(e)
	w.post(signedBy("a-secret-that-nobody-configured", e))
	w.counts(before, `pdhook_webhooks_total{event_type="pagey.ping",outcome="accepted"}`,
		`pdhook_webhooks_total{event_type="pagey.ping",outcome="duplicate"}`, `pdhook_webhooks_total{event_type="",outcome="bad signature"}`)
}

func TestMetricsTellOfARequestWhoseIncidentIsStillMissing(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	before := w.metrics()
	w.pd.Fault(pagerdutytest.Fault{Kind: pagerdutytest.Status, Status: http.StatusTooManyRequests, Bare: true, Route: "POST /incidents"})
	id := w.request("dana@example.com", "payments-admin")
	w.shows("pdhook_requests_unnotified", 1)
	w.shows("pdhook_requests_failing", 1)
	now := w.metrics()
	for _, series := range []string{`pdhook_pagerduty_requests_total{code="429",route="POST /incidents"}`, `pdhook_effects_total{kind="incident",outcome="failed"}`} {
		if was, there := before[series]; !there || was != 0 || now[series] < 1 {
			t.Errorf("%s: got %v, then %v, want 0 and more", series, was, now[series])
		}
	}
	w.pd.ClearFaults()
	w.within(2*time.Minute, "the request has its incident", func() bool { return len(w.incidents(id)) == 1 })
	w.shows("pdhook_requests_unnotified", 0)
	w.shows("pdhook_requests_failing", 0)
	w.shows(`pdhook_effects_total{kind="incident",outcome="ok"}`, 1)
}

func TestMetricsNameNobodyAndTakeTheirLabelsFromFixedSets(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	id := w.request("dana@example.com", "payments-admin")
	incident := w.opened(id)
	w.reaches(w.request("kim@example.com", "payments-admin"), types.RequestState_APPROVED)
	w.accepts(event("made-up-1", "dana.made.this.up"))
	w.post(post{path: "/dana/made/this/up"})
	w.settled()
	_, body := w.get("/metrics")
	for _, name := range []string{"dana", "kim", "payments", "Payments", "checkout", id, incident.ID, w.paymentsAPI.ID, w.kim.ID, secret, pagerdutytest.DefaultAPIKey} {
		if strings.Contains(string(body), name) {
			t.Errorf("/metrics names %q", name)
		}
	}
	all := w.metrics()
	for series := range all {
		if _, route, ofRoute := strings.Cut(series, `,route=`); ofRoute {
			if _, shown := all[`pdhook_pagerduty_requests_total{code="0",route=`+route]; !shown {
				t.Errorf("%s: that its route gets no answer is not shown as 0 before it happens", series)
			}
		}
	}
	if all[`pdhook_webhooks_total{event_type="unknown",outcome="ignored"}`] != 1 {
		t.Errorf("the event of an unknown type is not counted as one: %v", all)
	}
}
