package e2e

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gravitational/teleport/api/types"

	"github.com/pdhook/pdhook/test/pagerdutytest"
	"github.com/pdhook/pdhook/test/teleporttest"
)

// A tale is one request and what people do about it, step by step, until it is decided. It is told such that
// its end is exactly known, whenever pdhook is killed: a step waits until what it acts on is there.
type tale struct {
	plot   string
	id     string
	outage string // the incident that has to be acknowledged before the request is approved
	next   int    // step
	stirs  int    // what people did to its incident that changes nothing
}

// plot is a kind of tale.
type plot struct {
	ask      func(w *world, t *tale)
	steps    []step
	services int      // that are notified
	notes    []string // how the notes on each of its incidents begin in the end
}

// step is something that people do.
type step struct {
	ready func(k *killing, t *tale) bool
	take  func(w *world, t *tale)
}

// The plots.
const (
	isDenied       = "denied"
	isApproved     = "approved by two"
	isAcknowledged = "approved once the outage is acknowledged"
	isExpired      = "expired"
	isRetriggered  = "resolved early, reopened and denied"
	isToldTwice    = "denied, with two services to notify"
)

var allPlots = []string{isDenied, isApproved, isAcknowledged, isExpired, isRetriggered, isToldTwice}

const reopenedBy = "This incident was resolved, but the access request is still pending: the incident is open again."

// plots tells what happens in each.
func plots() map[string]plot {
	deny := func(w *world, t *tale) { w.review(t.id, w.kim.Email, types.RequestState_DENIED, "no") }
	approve := func(u func(*world) pagerdutytest.User) func(*world, *tale) {
		return func(w *world, t *tale) { w.review(t.id, u(w).Email, types.RequestState_APPROVED, "fine") }
	}
	lee, kim := func(w *world) pagerdutytest.User { return w.lee }, func(w *world) pagerdutytest.User { return w.kim }
	anytime := func(*killing, *tale) bool { return true }
	return map[string]plot{
		isDenied: {
			ask: asks, steps: []step{{announced, deny}}, services: 1,
			notes: []string{reviewByKim, deniedBy + "\nReason: no"},
		},
		isApproved: {
			ask: func(w *world, t *tale) {
				t.id = w.teleport.CreateRequest(teleporttest.Request{User: w.dana.Email, Roles: []string{"payments-admin"},
					Thresholds: []types.AccessReviewThreshold{{Approve: 2, Deny: 1}}})
			},
			steps:    []step{{announced, approve(lee)}, {anytime, approve(kim)}},
			services: 1,
			notes:    []string{"lee@example.com reviewed the request at ", reviewByKim, approvedBy + "\nReason: fine"},
		},
		isAcknowledged: {
			ask: responds,
			steps: []step{{opened, func(w *world, t *tale) { w.pd.Acknowledge(t.outage, w.kim.ID) }},
				{func(k *killing, t *tale) bool {
					return k.teleport.Request(t.id).GetState() == types.RequestState_APPROVED
				}, func(*world, *tale) {}}},
			services: 1,
			notes:    []string{bot + " reviewed the request at ", approvedBy},
		},
		isExpired: {
			ask: asks, steps: []step{{opened, func(w *world, t *tale) { w.expire(t.id) }}}, services: 1,
			notes: []string{expiredBy},
		},
		isRetriggered: {
			ask: asks,
			steps: []step{
				{opened, func(w *world, t *tale) { w.pd.Resolve(w.incidents(t.id)[0].ID, w.kim.ID) }},
				{func(k *killing, t *tale) bool {
					return slices.ContainsFunc(k.notes(k.incidents(t.id)[0].ID), func(n string) bool { return strings.HasPrefix(n, reopenedBy) })
				}, deny},
			},
			services: 1,
			notes:    []string{reopenedBy, reviewByKim, deniedBy + "\nReason: no"},
		},
		isToldTwice: {
			ask:   func(w *world, t *tale) { t.id = w.request(w.dana.Email, "everything") },
			steps: []step{{announced, deny}}, services: 2,
			notes: []string{reviewByKim, deniedBy + "\nReason: no"},
		},
	}
}

// asks has dana, who is on call for nothing, ask for access.
func asks(w *world, t *tale) { t.id = w.request(w.dana.Email, "payments-admin") }

// responds has kim, who is on call, ask for access to a service with an outage of its own.
func responds(w *world, t *tale) {
	name := fmt.Sprintf("Service %d", len(w.pd.Incidents()))
	service := w.pd.AddService(name, w.payments.ID)
	t.outage = w.alert(service)
	w.teleport.SetRole(name, map[string][]string{"pagerduty_notify_service": {"Payments API"}, "pagerduty_services": {name}})
	t.id = w.request(w.kim.Email, name)
}

// opened: the request has its incidents.
func opened(k *killing, t *tale) bool { return len(k.incidents(t.id)) >= k.plots[t.plot].services }

// announced: the request has its incidents, or a pdhook that is dead has left the claim that there may be some.
// Decided then, it must have them in the end. (While pdhook lives, a request that is decided between claim and
// incident may go without.)
func announced(k *killing, t *tale) bool {
	return opened(k, t) || k.dead() && k.teleport.PluginData(t.id)["pdhook_effect"] == "open"
}

// toldOnce checks that the tale has its one and only end.
func (k *killing) toldOnce(t *tale) {
	k.t.Helper()
	on := map[string]int{}
	all := append(k.incidents(t.id), k.incidents(t.id+"/2")...)
	for _, incident := range all {
		on[incident.Service]++
		k.closed(t, incident)
	}
	if want := k.plots[t.plot].services; len(all) != want || len(on) != want {
		k.t.Errorf("%s (%s): got %d incidents on %d services, want one on each of %d", t.id, t.plot, len(all), len(on), want)
	}
	if t.plot == isAcknowledged {
		k.reviewed(t)
	}
}

// closed checks what happened to an incident of a tale.
func (k *killing) closed(t *tale, incident pagerdutytest.Incident) {
	k.t.Helper()
	if incident.Status != "resolved" {
		k.t.Errorf("%s (%s): its incident is %s, want it resolved", t.id, t.plot, incident.Status)
	}
	if notes, want := k.notes(incident.ID), k.plots[t.plot].notes; !slices.EqualFunc(notes, want, strings.HasPrefix) {
		k.t.Errorf("%s (%s): got notes %q, want those that begin with %q", t.id, t.plot, notes, want)
	}
	wantResolved, wantReopened := 1, 0
	if t.plot == isRetriggered {
		wantResolved, wantReopened = 2, 1 // once by kim
	}
	if resolved, reopened := k.events("incident.resolved", incident.ID), k.events("incident.reopened", incident.ID); resolved != wantResolved || reopened != wantReopened {
		k.t.Errorf("%s (%s): its incident was resolved %d times and reopened %d times, want %d and %d",
			t.id, t.plot, resolved, reopened, wantResolved, wantReopened)
	}
}

// reviewed checks that pdhook approved once, with the proof.
func (k *killing) reviewed(t *tale) {
	k.t.Helper()
	reviews := k.teleport.Request(t.id).GetReviews()
	if len(reviews) != 1 || reviews[0].Author != bot || !strings.Contains(reviews[0].Reason, "\npdhook: basis="+t.outage+" oncall=") {
		k.t.Errorf("%s (%s): got reviews %v, want one by pdhook that rests on %s", t.id, t.plot, reviews, t.outage)
	}
}
