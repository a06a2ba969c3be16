package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gravitational/teleport/api/types"

	"github.com/pdhook/pdhook/test/teleporttest"
)

func TestARequestOpensAnIncidentThatTellsWhoWantsWhatAndWhyItWasNotApproved(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	id := w.request("dana@example.com", "payments-admin")
	incident := w.opened(id)
	created := w.teleport.Request(id).GetCreationTime().UTC().Format("2006-01-02T15:04:05Z")
	want := strings.Join([]string{
		"User: dana@example.com",
		"Roles: payments-admin",
		"Reason: checkout fails",
		"Time: " + created,
		"Link: https://teleport.example.com/web/requests/" + id,
		"Request ID: " + id,
		"Not approved automatically: dana@example.com is not on call for Payments API: level 1 is kim@example.com, level 2 is lee@example.com.",
	}, "\n")
	if incident.Title != "Access request from dana@example.com" {
		t.Errorf("got title %q", incident.Title)
	}
	if incident.Details != want {
		t.Errorf("got details\n%s\nwant\n%s", incident.Details, want)
	}
	if incident.Service != w.paymentsAPI.ID || incident.Status != "triggered" {
		t.Errorf("got a %s incident on %s, want a triggered one on %s", incident.Status, incident.Service, w.paymentsAPI.ID)
	}
	w.stays(id)
	if line := w.proc.says("Successfully created PagerDuty incident"); line.text("pd_incident_id") != incident.ID {
		t.Errorf("the log line names incident %q, want %q", line.text("pd_incident_id"), incident.ID)
	}
}

func TestReviewsAndTheDecisionAreWrittenToTheIncident(t *testing.T) {
	for _, c := range []struct {
		name   string
		decide func(w *world, id string) error
		last   string
	}{
		{"approved", func(w *world, id string) error {
			return w.teleport.Review(id, "kim@example.com", types.RequestState_APPROVED, "go ahead")
		}, "Access request has been approved\nReason: go ahead"},
		{"denied", func(w *world, id string) error {
			return w.teleport.Review(id, "kim@example.com", types.RequestState_DENIED, "not now")
		}, "Access request has been denied\nReason: not now"},
		{"promoted", func(w *world, id string) error {
			return w.teleport.Review(id, "kim@example.com", types.RequestState_PROMOTED, "joined the list")
		}, "Access request has been promoted\nReason: joined the list"},
		{"state set by an admin", func(w *world, id string) error {
			return w.teleport.SetState(id, types.RequestState_DENIED, "maintenance")
		}, "Access request has been denied\nReason: maintenance"},
		{"expired", func(w *world, id string) error { return w.teleport.Expire(id) }, "Access request has been expired"},
		{"deleted", func(w *world, id string) error { return w.teleport.Delete(id) }, "Access request has been expired"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := startWorld(t)
			id := w.request("dana@example.com", "payments-admin")
			w.opened(id)
			if err := c.decide(w, id); err != nil {
				t.Fatal(err)
			}
			incident := w.ended(id, 1)[0]
			notes := w.notes(incident.ID)
			if len(notes) == 0 || notes[len(notes)-1] != c.last {
				t.Fatalf("got notes %q, want the last to be %q", notes, c.last)
			}
			var want []string
			if req := w.teleport.Request(id); req != nil {
				for _, r := range req.GetReviews() {
					want = append(want, fmt.Sprintf("%s reviewed the request at %s.\nResolution: %s\nReason: %s",
						r.Author, r.Created.UTC().Format(time.RFC3339), r.ProposedState, r.Reason))
				}
			}
			if want = append(want, c.last); !slices.Equal(notes, want) {
				t.Errorf("got notes %q, want %q", notes, want)
			}
		})
	}
}

func TestEveryReviewOfAThresholdIsNotedInOrder(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	id := w.teleport.CreateRequest(teleporttest.Request{User: "dana@example.com", Roles: []string{"payments-admin"},
		Thresholds: []types.AccessReviewThreshold{{Approve: 2, Deny: 1}}})
	w.opened(id)
	for _, author := range []string{"kim@example.com", "lee@example.com"} {
		if err := w.teleport.Review(id, author, types.RequestState_APPROVED, "fine\nby me"); err != nil {
			t.Fatal(err)
		}
	}
	notes := w.notes(w.ended(id, 1)[0].ID)
	if len(notes) != 3 {
		t.Fatalf("got %d notes, want two reviews and the decision: %q", len(notes), notes)
	}
	for i, begin := range []string{"kim@example.com reviewed the request at ", "lee@example.com reviewed the request at ", "Access request has been approved"} {
		if !strings.HasPrefix(notes[i], begin) {
			t.Errorf("note %d is %q, want it to begin with %q", i+1, notes[i], begin)
		}
	}
	if !strings.Contains(notes[0], "Reason: fine by me") {
		t.Errorf("the line break of a reason was kept: %q", notes[0])
	}
}

func TestEachNotifiedServiceGetsItsOwnIncident(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.teleport.SetRole("everything", map[string][]string{
		"pagerduty_notify_service": {"Payments API", "search api", "Nobody Knows", "id:" + w.search.ID},
	})
	w.start()
	id := w.request("dana@example.com", "everything")
	w.eventually("both services have an incident", func() bool { return len(w.incidents(id)) == 2 })
	on := []string{w.incidents(id)[0].Service, w.incidents(id)[1].Service}
	slices.Sort(on)
	want := []string{w.paymentsAPI.ID, w.search.ID}
	slices.Sort(want)
	if !slices.Equal(on, want) {
		t.Errorf("got incidents on %v, want %v", on, want)
	}
	w.proc.says(`PagerDuty knows no service "Nobody Knows"`)
	if err := w.teleport.Review(id, "kim@example.com", types.RequestState_DENIED, "no"); err != nil {
		t.Fatal(err)
	}
	for _, incident := range w.ended(id, 2) {
		if got := len(w.notes(incident.ID)); got != 2 {
			t.Errorf("incident %s has %d notes, want a review and a decision", incident.ID, got)
		}
	}
}

func TestARequestThatNamesNothingInPagerDutyIsIgnored(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ignored := w.request("dana@example.com", "some-other-role")
	w.opened(w.request("dana@example.com", "payments-admin")) // came later, and is served
	if got := w.incidents(ignored); len(got) != 0 {
		t.Errorf("got %d incidents, want none", len(got))
	}
	w.stays(ignored)
}
