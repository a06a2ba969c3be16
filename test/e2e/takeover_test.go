package e2e

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gravitational/teleport/api/types"

	"github.com/pdhook/pdhook/test/pagerdutytest"
	"github.com/pdhook/pdhook/test/teleporttest"
)

// begun gives a request that Teleport's own plugin began before pdhook came: its incident, and what the
// plugin wrote down.
func (w *world) begun(incident pagerdutytest.IncidentOptions) (id, incidentID string, data map[string]string) {
	w.t.Helper()
	id = w.teleport.CreateRequest(teleporttest.Request{User: "dana@example.com", Roles: []string{"payments-admin"},
		Reason: "checkout fails", Thresholds: []types.AccessReviewThreshold{{Approve: 2, Deny: 1}}})
	if incident.Key == "" {
		incident.Key = "teleport-access-request/" + id
	}
	incident.Title, incident.Details = "Access request from dana@example.com", "dana@example.com requested permissions"
	opened := w.pd.AddIncident(w.paymentsAPI.ID, incident)
	data = map[string]string{
		"incident_id": opened.ID, "service_id": w.paymentsAPI.ID, "user": "dana@example.com", "roles": "payments-admin",
		"created":        strconv.FormatInt(w.teleport.Request(id).GetCreationTime().Unix(), 10),
		"request_reason": "checkout fails", "reviews_count": "0",
	}
	return id, opened.ID, data
}

func (w *world) keep(id string, data map[string]string) {
	w.t.Helper()
	if err := w.teleport.SetPluginData(id, data); err != nil {
		w.t.Fatal(err)
	}
}

func TestARequestOfTeleportsOwnPluginIsTakenOver(t *testing.T) {
	const ofThePlugin = "lee@example.com reviewed the request at 22 Nov 26 10:00 UTC.\nResolution: APPROVED.\nReason: one of two"
	const reviewByLee = "lee@example.com reviewed the request at "
	lee := func(w *world, id string) { w.review(id, "lee@example.com", types.RequestState_APPROVED, "one of two") }
	for _, c := range []struct {
		name  string
		setUp func(w *world, id, incident string, data map[string]string)
		notes []string // how they begin in the end, before kim's review and the decision
	}{
		{name: "without a review", setUp: func(*world, string, string, map[string]string) {}},
		{name: "with a review, noted and counted", notes: []string{ofThePlugin},
			setUp: func(w *world, id, incident string, data map[string]string) {
				lee(w, id)
				w.pd.Note(incident, w.agent.ID, ofThePlugin)
				data["reviews_count"] = "1"
			}},
		{name: "with a review, noted but not counted", notes: []string{ofThePlugin},
			setUp: func(w *world, id, incident string, _ map[string]string) {
				lee(w, id)
				w.pd.Note(incident, w.agent.ID, ofThePlugin)
			}},
		{name: "with a review, counted but not noted", notes: []string{reviewByLee},
			setUp: func(w *world, id, _ string, data map[string]string) {
				lee(w, id)
				data["reviews_count"] = "1"
			}},
		{name: "whose incident is not written down", setUp: func(_ *world, _, _ string, data map[string]string) {
			delete(data, "incident_id")
			delete(data, "service_id")
		}},
		{name: "marked as denied too early", setUp: func(_ *world, _, _ string, data map[string]string) {
			data["resolution"], data["resolve_reason"] = "denied", "not now"
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			id, incident, data := w.begun(pagerdutytest.IncidentOptions{By: w.agent.ID})
			c.setUp(w, id, incident, data)
			w.keep(id, data)
			w.start()
			w.opened(w.request("sam@example.com", "payments-admin")) // came later, and is served
			w.settled()

			w.review(id, "kim@example.com", types.RequestState_DENIED, "not now")
			w.told(id, append(c.notes, reviewByKim, deniedBy+"\nReason: not now")...)
			if got := w.incidents(id)[0].ID; got != incident {
				t.Errorf("got incident %s, want the plugin's %s", got, incident)
			}
		})
	}
}

func TestWhatTeleportsOwnPluginLeftUndoneIsFinished(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, incident, data := w.begun(pagerdutytest.IncidentOptions{By: w.agent.ID})
	w.review(id, "kim@example.com", types.RequestState_DENIED, "not now")
	data["reviews_count"], data["resolution"], data["resolve_reason"] = "1", "denied", "not now" // it marks before it acts
	w.keep(id, data)
	w.start()
	w.told(id, reviewByKim, deniedBy+"\nReason: not now")
	if got := w.incidents(id)[0].ID; got != incident {
		t.Errorf("got incident %s, want the plugin's %s", got, incident)
	}
}

func TestAnIncidentOfSomebodyElseThatPluginDataNamesIsLeftAlone(t *testing.T) {
	for _, c := range []struct {
		name     string
		incident func(w *world) pagerdutytest.IncidentOptions
		key      string // of the incident that pdhook opens, after the request's own
	}{
		{"an alert's", func(*world) pagerdutytest.IncidentOptions {
			return pagerdutytest.IncidentOptions{Key: "checkout-is-down"}
		}, ""},
		{"the bot's, for another request", func(w *world) pagerdutytest.IncidentOptions {
			return pagerdutytest.IncidentOptions{Key: "teleport-access-request/another", By: w.agent.ID}
		}, ""},
		{"a person's, with the request's key", func(w *world) pagerdutytest.IncidentOptions {
			return pagerdutytest.IncidentOptions{By: w.sam.ID}
		}, "/2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			id, foreign, data := w.begun(c.incident(w))
			w.keep(id, data)
			w.start()
			key := "teleport-access-request/" + id + c.key
			w.eventually("pdhook opens its own incident", func() bool {
				return slices.ContainsFunc(w.pd.IncidentsByKey(key), func(i pagerdutytest.Incident) bool { return i.ID != foreign })
			})
			w.review(id, "kim@example.com", types.RequestState_DENIED, "no")
			w.eventually("pdhook's own incident is resolved", func() bool {
				return slices.ContainsFunc(w.pd.IncidentsByKey(key), func(i pagerdutytest.Incident) bool { return i.ID != foreign && i.Status == "resolved" })
			})
			w.settled()
			for _, i := range w.pd.Incidents() {
				if i.ID == foreign && i.Status != "triggered" {
					t.Errorf("the foreign incident is %s, want it triggered", i.Status)
				}
			}
			if notes := w.notes(foreign); len(notes) > 0 {
				t.Errorf("got notes %q on the foreign incident, want none", notes)
			}
			w.proc.says("leaving it alone")
		})
	}
}

func TestPluginDataServesTeleportsOwnPluginAfterARollBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.teleport.SetRole("search-reader", map[string][]string{"pagerduty_notify_service": {"Search API"}})
	w.start()
	id := w.teleport.CreateRequest(teleporttest.Request{User: "dana@example.com", Roles: []string{"payments-admin", "search-reader"},
		Reason: "checkout fails", Thresholds: []types.AccessReviewThreshold{{Approve: 2, Deny: 1}}})
	w.eventually("both services have an incident", func() bool { return len(w.incidents(id)) == 2 })
	first := w.incidents(id)[slices.IndexFunc(w.incidents(id), func(i pagerdutytest.Incident) bool { return i.Service == w.paymentsAPI.ID })]
	pending := map[string]string{
		"incident_id": first.ID, "service_id": w.paymentsAPI.ID, "user": "dana@example.com", "roles": "payments-admin,search-reader",
		"created":        strconv.FormatInt(w.teleport.Request(id).GetCreationTime().Unix(), 10),
		"request_reason": "checkout fails",
	}
	w.leaves(id, pending)

	w.review(id, "lee@example.com", types.RequestState_APPROVED, "one of two")
	reviewed := maps.Clone(pending)
	reviewed["reviews_count"] = "1"
	w.leaves(id, reviewed)

	w.review(id, "kim@example.com", types.RequestState_DENIED, "not now")
	w.ended(id, 2)
	denied := maps.Clone(pending)
	denied["reviews_count"], denied["resolution"], denied["resolve_reason"] = "2", "denied", "not now"
	w.leaves(id, denied)
}

// leaves waits until the keys of Teleport's own plugin are as wanted, pdhook's own keys aside.
func (w *world) leaves(id string, want map[string]string) {
	w.t.Helper()
	var got map[string]string
	defer func() {
		if w.t.Failed() {
			w.t.Errorf("got plugin data %v, want %v", got, want)
		}
	}()
	w.eventually("plugin data is as wanted", func() bool {
		got = w.teleport.PluginData(id)
		maps.DeleteFunc(got, func(key, _ string) bool { return strings.HasPrefix(key, "pdhook_") })
		return maps.Equal(got, want)
	})
}

func TestTwoReplicasDoEverythingOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, with("policy.oncall_poll_interval", `"1s"`))
	other := w.beside()
	w.start()
	other.start()
	const each = 5
	var own, others []string
	for range each {
		own = append(own, w.request("kim@example.com", "payments-admin"))
		others = append(others, w.request("dana@example.com", "payments-admin"))
	}
	for _, id := range others {
		incident := w.opened(id)
		w.pd.Acknowledge(incident.ID, w.kim.ID) // both get the webhook
	}
	for _, id := range others {
		w.review(id, "kim@example.com", types.RequestState_DENIED, "no")
	}
	// A replica that meets the other's claim comes back when the claim would have run out.
	w.eventually("every incident is resolved", func() bool {
		return len(w.pd.Incidents()) == 2*each && !slices.ContainsFunc(w.pd.Incidents(), func(i pagerdutytest.Incident) bool { return i.Status != "resolved" })
	})
	for _, id := range own {
		w.told(id, bot+" reviewed the request at ", approvedBy)
		if reviews := w.teleport.Request(id).GetReviews(); len(reviews) != 1 {
			t.Errorf("request %s has %d reviews, want 1", id, len(reviews))
		}
	}
	for _, id := range others {
		w.told(id, reviewByKim, deniedBy+"\nReason: no")
	}
	w.proc.stop()
	other.proc.stop()
	if all := len(w.pd.Incidents()); all != 2*each {
		t.Errorf("got %d incidents, want %d", all, 2*each)
	}
}

func TestAReplicaFinishesWhatAnotherLeftWhenItWasKilled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := w.beside()
	w.start()
	w.pd.Fault(pagerdutytest.Fault{Kind: pagerdutytest.HangAfter, Route: "POST /incidents", Times: 1})
	id := w.request("dana@example.com", "payments-admin")
	w.opened(id) // it exists, but the answer never comes
	w.proc.kill()
	w.pd.ClearFaults()
	other.start()
	other.proc.says("is at work on the request")
	// The claim runs out a minute after it was taken; nobody wants to wait for that here.
	over := map[string]string{"pdhook_until": time.Now().Add(-time.Second).UTC().Format(time.RFC3339)}
	if err := w.teleport.SetPluginData(id, over); err != nil {
		t.Fatal(err)
	}
	w.review(id, "kim@example.com", types.RequestState_DENIED, "no")
	w.eventually("the incident is resolved", func() bool { return w.incidents(id)[0].Status == "resolved" })
	w.told(id, reviewByKim, deniedBy+"\nReason: no")
	w.leaves(id, map[string]string{
		"incident_id": w.incidents(id)[0].ID, "service_id": w.paymentsAPI.ID, "user": "dana@example.com", "roles": "payments-admin",
		"created":        strconv.FormatInt(w.teleport.Request(id).GetCreationTime().Unix(), 10),
		"request_reason": "checkout fails", "reviews_count": "1", "resolution": "denied", "resolve_reason": "no",
	})
}
