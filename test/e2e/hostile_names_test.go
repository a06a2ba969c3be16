package e2e

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gravitational/teleport/api/types"

	"github.com/pdhook/pdhook/test/pagerdutytest"
	"github.com/pdhook/pdhook/test/teleporttest"
)

func TestWhoQuotesPdhooksReviewHoldsUpNobody(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	earlier := w.request("kim@example.com", "payments-admin")
	w.reaches(earlier, types.RequestState_APPROVED)
	quote := w.teleport.Request(earlier).GetReviews()[0].Reason
	quote = quote[:strings.LastIndex(quote, "read=")] + "read=" + time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)
	id := w.teleport.CreateRequest(teleporttest.Request{User: "dana@example.com", Roles: []string{"payments-admin"},
		Thresholds: []types.AccessReviewThreshold{{Approve: 2, Deny: 1}}})
	incident := w.opened(id)
	w.decided(id)
	if err := w.teleport.Review(id, "lee@example.com", types.RequestState_APPROVED, quote); err != nil {
		t.Fatal(err)
	}
	w.eventually("the review is noted", func() bool { return len(w.notes(incident.ID)) == 1 })
	w.comesOnCall(w.dana)
	w.pd.Acknowledge(incident.ID, w.kim.ID) // makes pdhook look again
	w.reaches(id, types.RequestState_APPROVED)
	authors := []string{}
	for _, r := range w.teleport.Request(id).GetReviews() {
		authors = append(authors, r.Author)
	}
	if !slices.Equal(authors, []string{"lee@example.com", bot}) {
		t.Errorf("reviewed by %q, want lee, then pdhook", authors)
	}
}

func TestANameThatLooksLikeAnothersIsAnother(t *testing.T) {
	kelvin, cyrillic, wide, joined, turned := "\u212aim@example.com", "k\u0456m@example.com", "\uff4bim@example.com", "ki\u200bm@example.com", "\u202ekim@example.com"
	for _, c := range []struct {
		name    string
		user    string
		setUp   func(w *world)
		approve bool
	}{
		{name: "other case of ASCII letters", user: "KIM@EXAMPLE.COM", approve: true},
		{name: "the Kelvin sign", user: kelvin},
		{name: "a Cyrillic letter", user: cyrillic},
		{name: "a wide letter", user: wide},
		{name: "a character of no width", user: joined},
		{name: "a change of direction", user: turned},
		{name: "a line break", user: "kim@example.com\n"},
		{name: "a null byte", user: "kim@example.com\x00"},
		{name: "a beginning", user: "im@example.com"},
		{name: "the other is on call", user: "dana@example.com", setUp: func(w *world) {
			for _, mail := range []string{"d\u0430na@example.com", "dana\u200b@example.com", "xdana@example.com", "dana@example.com.evil.example"} {
				w.comesOnCall(w.pd.AddUser("Dana", mail))
			}
		}},
		{name: "the other is on call and the same person is known, too", user: "kim@example.com", approve: true, setUp: func(w *world) {
			w.pd.AddUser("Kim", cyrillic)
			w.pd.AddUser("Kim", joined)
		}},
		{name: "a service that looks like the named one", user: "sam@example.com", setUp: func(w *world) {
			for _, name := range []string{"Payments\u00a0API", "Payments AP\u0406", "Payments API ", "Payments\u200b API", "Payments  API"} {
				w.pd.AddService(name, w.searching.ID)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if c.setUp != nil {
				c.setUp(w)
			}
			w.start()
			id := w.request(c.user, "payments-admin")
			if c.approve {
				w.reaches(id, types.RequestState_APPROVED)
				return
			}
			w.opened(id)
			w.decided(id)
			w.stays(id)
			w.logged()
		})
	}
}

// foreign is a signed event about things of another account, or of no account at all.
func foreign(id, kind, incident, key, service string) string {
	return `{"event":{"id":"` + id + `","event_type":"` + kind + `","resource_type":"incident","occurred_at":"2026-01-01T00:00:00Z",` +
		`"agent":{"id":"PX","type":"user_reference","html_url":"https://evil.pagerduty.com/users/PX"},"data":{"id":"` + incident + `","type":"incident",` +
		`"html_url":"https://evil.pagerduty.com/incidents/X","self":"https://api.evil.example/incidents/X","status":"resolved","incident_key":"` + key + `",` +
		`"service":{"id":"` + service + `","type":"service_reference","summary":"Payments API","html_url":"https://evil.pagerduty.com/services/X"},` +
		`"assignees":[{"id":"` + service + `"}]}}}`
}

func TestASignedEventOfAnotherAccountOnlyMakesPdhookLook(t *testing.T) {
	t.Parallel()
	w := startWorld(t, with("log.severity", `"DEBUG"`), with("policy.on_incident_resolved", `"deny"`))
	id := w.request(w.dana.Email, "payments-admin")
	own := w.opened(id)
	w.decided(id)
	w.settled()
	for i, e := range []struct{ incident, key, service string }{
		{"QFOREIGN", "", "PFOREIGN"},
		{"QFOREIGN", "teleport-access-request/" + id, "PFOREIGN"},
		{"QFOREIGN", "teleport-access-request/" + id + "/2", w.paymentsAPI.ID},
		{own.ID, "teleport-access-request/00000000-0000-0000-0000-000000000000", "PFOREIGN"},
		{"../users/me", "teleport-access-request/../../" + id, "../users"},
		{"Q1?include[]=x", "teleport-access-request/%2e%2e", "P1#x"},
		{"Q1/../../users/me", "teleport-access-request/" + strings.Repeat("x", 250), "id:P1"},
		{strings.Repeat("Q", 300), strings.Repeat("k", 2000), strings.Repeat("P", 300)},
		{`Q1\u0000\n\u202e`, `teleport-access-request/\u0000\n`, `P\u001b[2J`},
		{"Ü\U0001F692", "ключ", "サービス"},
	} {
		event := "01FOREIGN" + string(rune('A'+i))
		w.accepts(foreign(event, "incident.resolved", e.incident, e.key, e.service))
		w.dispatched(event)
	}
	w.looksAgain(own.ID, func() { w.pd.Acknowledge(own.ID, w.kim.ID) }) // so all looks before are over
	w.settled()
	w.stays(id)
	if got := w.notes(own.ID); len(got) != 0 {
		t.Errorf("got notes %q, want none: the incident is not resolved", got)
	}
	if got := w.incidents(id); len(got) != 1 || got[0].Status == "resolved" {
		t.Errorf("got incidents %+v, want the one that is open", got)
	}
	for _, r := range w.pd.Requests() {
		if r.Route == "" || strings.Contains(r.Path, "FOREIGN") || r.Status >= http.StatusBadRequest {
			t.Errorf("pdhook sent %s %s, which was answered %d", r.Method, r.Path, r.Status)
		}
	}
	w.logged()
}

func TestAnIncidentOfSomebodyElseWithAKeyOfPdhooksProvesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, with("policy.require_incident", `"open"`))
	w.pd.AddIncident(w.paymentsAPI.ID, pagerdutytest.IncidentOptions{
		Title: poison, Key: "teleport-access-request/not-a-request\n" + poison, By: w.kim.ID,
	})
	w.start()
	id := w.request("kim@example.com", "payments-admin")
	w.opened(id)
	if why := w.decided(id); !strings.Contains(why, "is pdhook's own notification") {
		t.Errorf("pdhook decided %q", why)
	}
	w.stays(id)
	outage := w.pd.AddIncident(w.paymentsAPI.ID, pagerdutytest.IncidentOptions{Title: poison, Key: poison})
	w.reaches(id, types.RequestState_APPROVED)
	reason := w.teleport.Request(id).GetReviews()[0].Reason
	harmless(t, "the review's reason", reason, 4096, "Approved by pdhook: ", "pdhook: basis="+outage.ID+" oncall=\\S+ read=\\S+$")
	w.logged()
}
