package e2e

import (
	"fmt"
	"slices"
	"testing"

	"github.com/gravitational/teleport/api/types"

	"github.com/pdhook/pdhook/test/pagerdutytest"
)

// A replica that starts with an empty store knows as little of an event as any does after 72 hours.
func TestAnEventThatIsReplayedAfterItWasForgottenOnlyMakesPdhookLookAgain(t *testing.T) {
	t.Parallel()
	w := startWorld(t, with("log.severity", `"DEBUG"`), with("policy.require_incident", `"acknowledged"`))
	outage := w.pd.AddIncident(w.paymentsAPI.ID, pagerdutytest.IncidentOptions{Title: "Checkout is down"})
	w.pd.Acknowledge(outage.ID, w.kim.ID)
	w.reaches(w.request(w.kim.Email, "payments-admin"), types.RequestState_APPROVED)
	w.pd.Resolve(outage.ID, w.lee.ID)
	w.settled()
	captured := slices.DeleteFunc(w.pd.Deliveries(), func(d pagerdutytest.Delivery) bool {
		return d.EventType == "incident.resolved" || d.State != pagerdutytest.Delivered
	})
	if len(captured) < 2 {
		t.Fatalf("captured %d deliveries, want at least that of the incident and that of its acknowledgement", len(captured))
	}

	w.proc.stop()
	w.conf["store.path"] = quote(w.path("another-store"))
	w.start()
	id := w.request(w.kim.Email, "payments-admin") // kim is on call, and nothing is on fire
	own := w.opened(id)
	w.decided(id)
	for _, event := range captured {
		w.accepts(string(event.Body))
		w.dispatched(event.EventID)
		w.accepts(string(event.Body)) // and within 72 hours
	}
	w.looksAgain(own.ID, func() { w.pd.Acknowledge(own.ID, w.lee.ID) })
	w.looksAgain(own.ID, func() { w.pd.Acknowledge(own.ID, w.kim.ID) }) // the look before is over
	w.stays(id)
	seen := map[string]int{}
	for _, event := range captured {
		seen[event.EventType]++
	}
	for kind, n := range seen {
		if got := w.counted(kind, "duplicate"); got != fmt.Sprint(n) {
			t.Errorf("%s: %s are counted as known, want each of the %d once", kind, got, n)
		}
	}
	if woken := w.proc.find(func(l logLine) bool {
		return l.text("msg") == "webhook dispatched" && l.text("event_id") == captured[len(captured)-1].EventID
	}); len(woken) != 1 {
		t.Errorf("an event was dispatched %d times, want once", len(woken))
	}
}
