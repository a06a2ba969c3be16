package e2e

import (
	"slices"
	"strings"
	"testing"

	"github.com/gravitational/teleport/api/types"
)

// story gives the messages of all log lines in which the request's ID stands: what one grep finds.
func (w *world) story(id string) []string {
	lines := w.proc.find(func(l logLine) bool { return strings.Contains(l.text("request_id"), id) })
	told := make([]string, len(lines))
	for i, l := range lines {
		told[i] = l.text("msg")
	}
	return told
}

func TestOneGrepFindsTheStoryOfARequest(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	id := w.request("dana@example.com", "payments-admin")
	incident := w.opened(id)
	w.pd.Acknowledge(incident.ID, w.kim.ID)
	w.eventually("the webhook is told of", func() bool { return slices.Contains(w.story(id), "webhook dispatched") })
	w.review(id, "lee@example.com", types.RequestState_APPROVED, "go")
	w.eventually("the end is told of", func() bool { return slices.Contains(w.story(id), "Resolved the incident") })

	want := []string{"Decided", "Successfully created PagerDuty incident", "webhook dispatched", "Added a note to the incident", "Resolved the incident"}
	told := w.story(id)
	at := 0
	for _, line := range told {
		if at < len(want) && line == want[at] {
			at++
		}
	}
	if at < len(want) {
		t.Errorf("got %q, want %q in it in this order", told, want)
	}
	for _, l := range w.proc.find(func(l logLine) bool { return l.text("msg") == "webhook dispatched" && l.text("level") == "INFO" }) {
		if l.text("pd_incident_id") != incident.ID || l.text("event_id") == "" || l.text("event_type") == "" {
			t.Errorf("got %v, want the incident, the event and its type", l)
		}
	}
}

func TestPdhookWorksOnWhenNobodyReadsItsLogAnyMore(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	w.proc.leaveAlone()
	w.opened(w.request("dana@example.com", "payments-admin"))
	w.reaches(w.request("kim@example.com", "payments-admin"), types.RequestState_APPROVED)
	w.proc.stop()
}

func TestPdhookWorksOnWhenTheReaderOfItsLogStandsStill(t *testing.T) {
	t.Parallel()
	w := startWorld(t, with("log.severity", `"DEBUG"`))
	w.proc.standStill()
	for range 20 { // each fills more than a quarter of the pipe
		w.opened(w.request("dana@example.com", "payments-admin"))
	}
	w.reaches(w.request("kim@example.com", "payments-admin"), types.RequestState_APPROVED)
	w.proc.stop()
}
