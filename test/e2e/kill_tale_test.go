package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"

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
	ask   func(w *world, t *tale)
	steps []step
	notes []string // how the notes on its one incident begin in the end
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
)

var allPlots = []string{isDenied, isApproved, isAcknowledged, isExpired, isRetriggered}

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
			ask: asks, steps: []step{{announced, deny}},
			notes: []string{reviewByKim, deniedBy + "\nReason: no"},
		},
		isApproved: {
			ask: func(w *world, t *tale) {
				t.id = w.teleport.CreateRequest(teleporttest.Request{User: w.dana.Email, Roles: []string{"payments-admin"},
					Thresholds: []types.AccessReviewThreshold{{Approve: 2, Deny: 1}}})
			},
			steps: []step{{announced, approve(lee)}, {anytime, approve(kim)}},
			notes: []string{"lee@example.com reviewed the request at ", reviewByKim, approvedBy + "\nReason: fine"},
		},
		isAcknowledged: {
			ask: responds,
			steps: []step{{opened, func(w *world, t *tale) { w.pd.Acknowledge(t.outage, w.kim.ID) }},
				{func(k *killing, t *tale) bool {
					return k.teleport.Request(t.id).GetState() == types.RequestState_APPROVED
				}, func(*world, *tale) {}}},
			notes: []string{bot + " reviewed the request at ", approvedBy},
		},
		isExpired: {
			ask: asks, steps: []step{{opened, func(w *world, t *tale) { w.expire(t.id) }}},
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
			notes: []string{reopenedBy, reviewByKim, deniedBy + "\nReason: no"},
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

// opened: the request has its incident.
func opened(k *killing, t *tale) bool { return len(k.incidents(t.id)) > 0 }

// announced: the request has its incident, or a pdhook that is dead has left the claim that there may be one.
// Decided then, it must have one in the end. (While pdhook lives, a request that is decided between claim and
// incident may go without.)
func announced(k *killing, t *tale) bool {
	return opened(k, t) || k.dead() && k.teleport.PluginData(t.id)["pdhook_effect"] == "open"
}

// ended checks that the tale has its one and only end.
func (t *tale) ended(tt testing.TB, k *killing, p plot) {
	tt.Helper()
	all := append(k.incidents(t.id), k.incidents(t.id+"/2")...)
	if len(all) != 1 {
		tt.Errorf("%s (%s): got %d incidents, want 1", t.id, t.plot, len(all))
		return
	}
	if all[0].Status != "resolved" {
		tt.Errorf("%s (%s): its incident is %s, want it resolved", t.id, t.plot, all[0].Status)
	}
	if notes := k.notes(all[0].ID); !slices.EqualFunc(notes, p.notes, strings.HasPrefix) {
		tt.Errorf("%s (%s): got notes %q, want those that begin with %q", t.id, t.plot, notes, p.notes)
	}
	wantResolved, wantReopened := 1, 0
	if t.plot == isRetriggered {
		wantResolved, wantReopened = 2, 1 // once by kim
	}
	if resolved, reopened := k.events("incident.resolved", all[0].ID), k.events("incident.reopened", all[0].ID); resolved != wantResolved || reopened != wantReopened {
		tt.Errorf("%s (%s): its incident was resolved %d times and reopened %d times, want %d and %d",
			t.id, t.plot, resolved, reopened, wantResolved, wantReopened)
	}
	if t.plot == isAcknowledged {
		t.reviewed(tt, k)
	}
}

// reviewed checks that pdhook approved once, with the proof.
func (t *tale) reviewed(tt testing.TB, k *killing) {
	tt.Helper()
	reviews := k.teleport.Request(t.id).GetReviews()
	if len(reviews) != 1 || reviews[0].Author != bot || !strings.Contains(reviews[0].Reason, "\npdhook: basis="+t.outage+" oncall=") {
		tt.Errorf("%s (%s): got reviews %v, want one by pdhook that rests on %s", t.id, t.plot, reviews, t.outage)
	}
}
