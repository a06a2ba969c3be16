package e2e

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gravitational/teleport/api/types"

	"github.com/pdhook/pdhook/test/pagerdutytest"
	"github.com/pdhook/pdhook/test/teleporttest"
)

// stillPending is the note on an incident that others resolved before the request was decided.
func stillPending(id string) string {
	return "This incident is resolved, but the access request is still pending.\n" +
		"Decide it at https://teleport.example.com/web/requests/" + id
}

// decides has kim deny a request.
func (w *world) decides(id string) {
	w.t.Helper()
	if err := w.teleport.Review(id, w.kim.Email, types.RequestState_DENIED, "not now"); err != nil {
		w.t.Fatal(err)
	}
}

const decision = "Access request has been denied\nReason: not now"

// wantNotes checks which notes an incident has by what they begin with.
func (w *world) wantNotes(incident string, begin ...string) {
	w.t.Helper()
	notes := w.notes(incident)
	if !slices.EqualFunc(notes, begin, strings.HasPrefix) {
		w.t.Errorf("got notes %q, want those that begin with %q", notes, begin)
	}
}

// incident gives an incident as it is now.
func (w *world) incident(id string) pagerdutytest.Incident {
	w.t.Helper()
	all := w.pd.Incidents()
	at := slices.IndexFunc(all, func(i pagerdutytest.Incident) bool { return i.ID == id })
	if at < 0 {
		w.t.Fatalf("no incident %s", id)
	}
	return all[at]
}

// recorded waits until pdhook has written to Teleport that it told of the decision, so nothing is left to do.
func (w *world) recorded(id string) {
	w.t.Helper()
	w.eventually("the end is recorded", func() bool {
		data := w.teleport.PluginData(id)
		return data["resolution"] != "" && data["pdhook_holder"] == ""
	})
}

func TestWhateverHappensToTheLinkedIncidentMakesPdhookLookAgain(t *testing.T) {
	for happens, act := range onAnIncident {
		t.Run(happens, func(t *testing.T) {
			t.Parallel()
			w := startWorld(t)
			id := w.request(w.dana.Email, "payments-admin")
			incident := w.opened(id)
			w.decided(id)
			if happens == "unacknowledged" {
				w.looksAgain(incident.ID, func() { w.prepare(incident.ID, happens) })
			}
			w.comesOnCall(w.dana)
			act(w, incident.ID)
			w.approvedBecauseOf(id, "webhook incident."+happens)
			for _, r := range w.pd.Requests() {
				if strings.Contains(r.Body, "acknowledged") {
					t.Errorf("pdhook acknowledged the incident: %s %s", r.Route, r.Body)
				}
			}
		})
	}
}

func TestALookThatChangesNothingSaysNothing(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	id := w.request(w.dana.Email, "payments-admin")
	incident := w.opened(id)
	w.looksAgain(incident.ID, func() { w.pd.Acknowledge(incident.ID, w.kim.ID) })
	w.looksAgain(incident.ID, func() { w.pd.Acknowledge(incident.ID, w.lee.ID) }) // the look before is over
	if got := w.proc.find(func(l logLine) bool { return l.text("msg") == "Decided" }); len(got) != 1 {
		t.Errorf("got %d decisions in the log, want the first only: %v", len(got), got)
	}
	if got := w.incident(incident.ID); got.Status != "acknowledged" || len(got.Acknowledgements) != 2 {
		t.Errorf("got a %s incident with %v, want the acknowledgements of kim and lee", got.Status, got.Acknowledgements)
	}
	w.wantNotes(incident.ID)
}

func TestAnIncidentThatIsResolvedEarlyIsToldOnceThatTheRequestIsStillPending(t *testing.T) {
	for name, by := range map[string]func(w *world) string{
		"by a person":   func(w *world) string { return w.kim.ID },
		"by automation": func(*world) string { return "" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := startWorld(t)
			id := w.request(w.dana.Email, "payments-admin")
			incident := w.opened(id)
			w.pd.Resolve(incident.ID, by(w))
			w.eventually("it is noted", func() bool { return len(w.notes(incident.ID)) > 0 })
			w.wantNotes(incident.ID, stillPending(id))

			w.looksAgain(incident.ID, func() { w.pd.Reopen(incident.ID, w.kim.ID) })
			w.looksAgain(incident.ID, func() { w.pd.Resolve(incident.ID, by(w)) })
			w.proc.kill()
			w.looksAgain(incident.ID, w.start)
			w.looksAgain(incident.ID, func() { w.pd.RenameService(w.paymentsAPI.ID, "Payments api") })
			w.wantNotes(incident.ID, stillPending(id))
			w.stays(id)

			w.decides(id)
			w.recorded(id)
			w.wantNotes(incident.ID, stillPending(id), "kim@example.com reviewed the request at ", decision)
			if got := len(w.ended(id, 1)); got != 1 {
				t.Errorf("got %d incidents, want one", got)
			}
			if got := w.pd.CountRequests("PUT /incidents/{id}"); got != 0 {
				t.Errorf("pdhook changed the incident %d times, want it left as it is", got)
			}
		})
	}
}

func TestNotesFollowAMergedIncidentWhichIsNotResolved(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	id := w.teleport.CreateRequest(teleporttest.Request{User: w.dana.Email, Roles: []string{"payments-admin"},
		Thresholds: []types.AccessReviewThreshold{{Approve: 2, Deny: 1}}})
	incident := w.opened(id)
	outage := w.pd.AddIncident(w.paymentsAPI.ID, pagerdutytest.IncidentOptions{Title: "Checkout is down"})
	w.pd.Merge(incident.ID, outage.ID, w.kim.ID)
	if err := w.teleport.Review(id, w.lee.Email, types.RequestState_APPROVED, "fine"); err != nil {
		t.Fatal(err)
	}
	w.eventually("the review is noted on the survivor", func() bool { return len(w.notes(outage.ID)) == 1 })
	w.decides(id)
	w.recorded(id)
	w.wantNotes(outage.ID, "lee@example.com reviewed the request at ", "kim@example.com reviewed the request at ", decision)
	w.wantNotes(incident.ID)
	if got := w.incident(outage.ID).Status; got != "triggered" {
		t.Errorf("the survivor is %s, want it still triggered", got)
	}
	if got := len(w.incidents(id)); got != 1 {
		t.Errorf("got %d incidents for the request, want one", got)
	}
}

func TestAnIncidentThatWasMovedToAnotherServiceIsNotedOnButNotResolved(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	id := w.request(w.dana.Email, "payments-admin")
	incident := w.opened(id)
	w.looksAgain(incident.ID, func() { w.pd.MoveIncident(incident.ID, w.kim.ID, w.search.ID) })
	w.decides(id)
	w.recorded(id)
	w.wantNotes(incident.ID, "kim@example.com reviewed the request at ", decision)
	if got := w.incident(incident.ID); got.Status != "triggered" || len(w.incidents(id)) != 1 {
		t.Errorf("the incident is %s and one of %d, want it triggered and alone", got.Status, len(w.incidents(id)))
	}
	if line := w.proc.says("The incident was moved to another service; leaving it open"); line.text("pd_incident_id") != incident.ID {
		t.Errorf("got the log line %v", line)
	}
}

func TestAStrangersIncidentWithTheRequestsKeyIsLeftAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.request(w.dana.Email, "payments-admin")
	stranger := w.pd.AddIncident(w.paymentsAPI.ID, pagerdutytest.IncidentOptions{
		Title: "Not an access request", Key: "teleport-access-request/" + id, By: w.sam.ID,
	})
	w.start()
	w.eventually("pdhook opens its own", func() bool { return len(w.incidents(id+"/2")) == 1 })
	own := w.incidents(id + "/2")[0]
	w.decides(id)
	w.recorded(id)
	w.wantNotes(own.ID, "kim@example.com reviewed the request at ", decision)
	if got := w.incident(own.ID).Status; got != "resolved" {
		t.Errorf("pdhook's incident is %s, want it resolved", got)
	}
	w.wantNotes(stranger.ID)
	if got := w.incident(stranger.ID); got.Status != "triggered" || len(w.incidents(id)) != 1 {
		t.Errorf("the stranger's incident is %s and one of %d, want it triggered and alone", got.Status, len(w.incidents(id)))
	}
	w.proc.says("A stranger's open incident holds the request's key")
}

func TestAServiceThatIsDisabledGetsItsIncidentOnceItIsEnabled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.teleport.SetRole("everything", map[string][]string{"pagerduty_notify_service": {"Payments API", "Search API"}})
	w.pd.DisableService(w.paymentsAPI.ID)
	w.start()
	id := w.request(w.dana.Email, "everything")
	other := w.opened(id)
	if other.Service != w.search.ID {
		t.Fatalf("got an incident on %s, want one on the service that works, %s", other.Service, w.search.ID)
	}
	refused := w.proc.says("could not be brought to its end")
	if !strings.Contains(refused.text("error"), w.paymentsAPI.ID) && !strings.Contains(refused.text("error"), "Payments API") {
		t.Errorf("the warning does not name the service: %v", refused)
	}
	w.looksAgain(other.ID, func() { w.pd.RenameService(w.search.ID, "search API") }) // and is refused again
	w.looksAgain(other.ID, func() { w.pd.Acknowledge(other.ID, w.sam.ID) })
	if got := w.proc.find(func(l logLine) bool { return l.text("level") == "WARN" }); len(got) != 1 {
		t.Errorf("got %d warnings, want one: %v", len(got), got)
	}
	w.pd.EnableService(w.paymentsAPI.ID)
	w.eventually("the missing incident is opened", func() bool { return len(w.incidents(id)) == 2 })
	w.decides(id)
	for _, incident := range w.ended(id, 2) {
		w.wantNotes(incident.ID, "kim@example.com reviewed the request at ", decision)
	}
}

func TestWritesSurviveFailuresOfPagerDutyAndHappenOnce(t *testing.T) {
	const create, note, put = "POST /incidents", "POST /incidents/{id}/notes", "PUT /incidents/{id}"
	type fault = pagerdutytest.Fault
	for _, c := range []struct {
		name  string
		fault fault
	}{
		{"everything is down", fault{Kind: pagerdutytest.Status, Status: 503, Times: 9}},
		{"creation is down", fault{Kind: pagerdutytest.Status, Status: 503, Route: create, Times: 2}},
		{"creation is down behind a proxy", fault{Kind: pagerdutytest.Status, Status: 502, Bare: true, Route: create, Times: 2}},
		{"creation loses its connection before", fault{Kind: pagerdutytest.ResetBefore, Route: create, Times: 1}},
		{"creation loses its answer", fault{Kind: pagerdutytest.ResetAfter, Route: create, Times: 1}},
		{"creation is done and answered 500", fault{Kind: pagerdutytest.StatusAfter, Status: 500, Route: create, Times: 1}},
		{"creation is done and its answer does not come in time", fault{Kind: pagerdutytest.HangAfter, Route: create, Times: 1}},
		{"creation is done and answered {}", fault{Kind: pagerdutytest.EmptyObject, Route: create, Times: 1}},
		{"creation meets a limit that does not say for how long", fault{Kind: pagerdutytest.Status, Status: 429, Bare: true, Route: create, Times: 1}},
		{"a note is down", fault{Kind: pagerdutytest.Status, Status: 500, Route: note, Times: 2}},
		{"a note loses its answer", fault{Kind: pagerdutytest.ResetAfter, Route: note, Times: 1}},
		{"a note is done and answered 503", fault{Kind: pagerdutytest.StatusAfter, Status: 503, Route: note, Times: 1}},
		{"resolving is down", fault{Kind: pagerdutytest.Status, Status: 503, Route: put, Times: 2}},
		{"resolving loses its answer", fault{Kind: pagerdutytest.ResetAfter, Route: put, Times: 1}},
		{"resolving is done and answered 502", fault{Kind: pagerdutytest.StatusAfter, Status: 502, Bare: true, Route: put, Times: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := startWorld(t)
			w.pd.Fault(c.fault)
			id := w.request(w.dana.Email, "payments-admin")
			incident := w.opened(id)
			w.eventually("pdhook knows the incident", func() bool { return w.teleport.PluginData(id)["incident_id"] == incident.ID })
			w.decides(id)
			w.recorded(id)
			w.ended(id, 1)
			w.wantNotes(incident.ID, "kim@example.com reviewed the request at ", decision)
		})
	}
}

func TestAnIncidentThatAPersonResolvedBeforePdhookKnewOfItIsNotOpenedAgain(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	w.pd.Fault(pagerdutytest.Fault{Kind: pagerdutytest.Status, Status: 503, Route: "GET /incidents"}) // no look at what became of it
	w.pd.Fault(pagerdutytest.Fault{Kind: pagerdutytest.ResetAfter, Route: "POST /incidents", Times: 1})
	id := w.request(w.dana.Email, "payments-admin")
	incident := w.opened(id)
	w.pd.Resolve(incident.ID, w.kim.ID)
	w.pd.ClearFaults()
	w.eventually("pdhook finds the incident", func() bool { return len(w.notes(incident.ID)) > 0 })
	w.decides(id)
	w.recorded(id)
	w.wantNotes(incident.ID, stillPending(id), "kim@example.com reviewed the request at ", decision)
	if got := len(w.incidents(id)) + len(w.incidents(id+"/2")); got != 1 {
		t.Errorf("got %d incidents, want one", got)
	}
}

func TestARateLimitIsWaitedOut(t *testing.T) {
	for _, route := range []string{"GET /users", "POST /incidents", "POST /incidents/{id}/notes", "PUT /incidents/{id}"} {
		t.Run(route, func(t *testing.T) {
			t.Parallel()
			w := startWorld(t)
			w.pd.SetRateLimit(960, 4*time.Second) // PagerDuty's minute would take too long
			w.pd.Fault(pagerdutytest.Fault{Kind: pagerdutytest.Status, Status: 429, Route: route, Times: 1})
			id := w.request(w.dana.Email, "payments-admin")
			incident := w.opened(id)
			w.decides(id)
			w.recorded(id)
			w.ended(id, 1)
			w.wantNotes(incident.ID, "kim@example.com reviewed the request at ", decision)
			var reset time.Time
			for _, r := range w.pd.Requests() {
				if r.Route == route && r.Time.Before(reset) {
					t.Errorf("asked again %s too early", reset.Sub(r.Time))
				}
				if r.Status == 429 {
					reset = r.Reset
				}
			}
			if reset.IsZero() {
				t.Error("nothing met the rate limit")
			}
		})
	}
}
