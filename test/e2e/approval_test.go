package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gravitational/teleport/api/types"

	"github.com/pdhook/pdhook/test/pagerdutytest"
	"github.com/pdhook/pdhook/test/teleporttest"
)

func TestWhoIsOnCallIsApprovedWithTheEvidenceInTheReview(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	id := w.request("kim@example.com", "payments-admin")
	w.reaches(id, types.RequestState_APPROVED)
	reviews := w.teleport.Request(id).GetReviews()
	if len(reviews) != 1 || reviews[0].Author != bot {
		t.Fatalf("got reviews %v, want one by %s", reviews, bot)
	}
	reason := reviews[0].Reason
	for _, part := range []string{
		"kim@example.com is on call for Payments API (level 1, since ",
		"\npdhook: basis=none oncall=" + w.payments.ID + "/1/" + w.kim.ID, " read=20",
	} {
		if !strings.Contains(reason, part) {
			t.Errorf("the review's reason %q lacks %q", reason, part)
		}
	}
	incident := w.ended(id, 1)[0]
	if !strings.Contains(incident.Details, "Approved automatically: kim@example.com is on call for Payments API") {
		t.Errorf("got details %q", incident.Details)
	}
	notes := w.notes(incident.ID)
	if len(notes) != 2 || !strings.HasPrefix(notes[0], bot+" reviewed the request at ") || !strings.HasPrefix(notes[1], "Access request has been approved") {
		t.Errorf("got notes %q, want pdhook's review and the decision", notes)
	}
	w.proc.says("Successfully submitted a request approval")
}

func TestWhoIsApproved(t *testing.T) {
	for _, c := range []struct {
		name    string
		user    string
		setUp   func(w *world)
		role    map[string][]string
		roles   []string
		approve bool
		why     string
	}{
		{name: "on call by a schedule", user: "kim@example.com", approve: true, why: "kim@example.com is on call for Payments API (level 1"},
		{name: "on call at the second level", user: "lee@example.com", approve: true, why: "(level 2, always)"},
		{name: "e-mail in other case", user: "KIM@Example.com", approve: true, why: "KIM@Example.com is on call"},
		{name: "not on call", user: "dana@example.com", why: "dana@example.com is not on call for Payments API"},
		{name: "on call for an unrelated service", user: "sam@example.com", why: "sam@example.com is not on call for Payments API"},
		{name: "on call for the second named service", user: "sam@example.com",
			role: map[string][]string{"pagerduty_services": {"Payments API", "Search API"}}, approve: true, why: "on call for Search API"},
		{name: "service named in other case", user: "kim@example.com",
			role: map[string][]string{"pagerduty_services": {"PAYMENTS api"}}, approve: true, why: "on call for Payments API"},
		{name: "service that PagerDuty does not know", user: "kim@example.com",
			role: map[string][]string{"pagerduty_services": {"Payments"}}, why: `PagerDuty knows no service "Payments"`},
		{name: "unknown to PagerDuty", user: "eve@example.com", why: "PagerDuty knows no user with the login e-mail eve@example.com"},
		{name: "part of another's e-mail", user: "im@example.com", why: "PagerDuty knows no user with the login e-mail im@example.com"},
		{name: "user name is no e-mail", user: "kim", why: "user name kim is no e-mail address"},
		{name: "user name is no e-mail, e-mail by annotation", user: "kim", approve: true, why: "kim@example.com is on call",
			role: map[string][]string{"pagerduty_services": {"Payments API"}, "pagerduty_user_email": {"kim@example.com"}}},
		{name: "annotation overrules the user name", user: "kim@example.com", why: "dana@example.com is not on call",
			role: map[string][]string{"pagerduty_services": {"Payments API"}, "pagerduty_user_email": {"dana@example.com"}}},
		{name: "two e-mails by annotation", user: "kim", why: "holds 2 e-mail addresses",
			role: map[string][]string{"pagerduty_services": {"Payments API"}, "pagerduty_user_email": {"kim@example.com", "lee@example.com"}}},
		{name: "only notified about, not approved by", user: "kim@example.com",
			role: map[string][]string{"pagerduty_notify_service": {"Payments API"}}, why: "names no service or schedule to be on call for"},
		{name: "two roles, on call for one of their services", user: "kim@example.com", roles: []string{"role", "payments-admin"},
			role: map[string][]string{"pagerduty_services": {"Search API"}}, why: "ask for one role per request"},
		{name: "two roles, on call for the service of both", user: "kim@example.com", roles: []string{"role", "payments-admin"},
			role: map[string][]string{"pagerduty_services": {"Payments API"}}, approve: true, why: "on call for Payments API"},
		{name: "level above the allowed one", user: "lee@example.com", setUp: func(w *world) { w.conf["policy.max_escalation_level"] = "1" },
			why: "only at level 2, at most 1 is allowed"},
		{name: "role that is not on the list", user: "kim@example.com", setUp: func(w *world) { w.conf["policy.auto_approve_roles"] = `["demo-role"]` },
			why: "role payments-admin is not among the roles that are approved automatically", roles: []string{"payments-admin"}},
		{name: "key of another account", user: "kim@example.com", setUp: func(w *world) { w.conf["pagerduty.account"] = `"other"` },
			why: "the API key belongs to account acme, pagerduty.account is other"},
		{name: "access longer than allowed", user: "kim@example.com", setUp: func(w *world) { w.conf["policy.max_access"] = `"1h"` },
			why: "at most 1h from now is allowed"},
		{name: "PagerDuty ignores filters", user: "dana@example.com",
			setUp: func(w *world) { w.pd.Fault(pagerdutytest.Fault{Kind: pagerdutytest.IgnoreFilters}) }, why: "dana@example.com is not on call"},
		{name: "at level 3, two are allowed", user: "dana@example.com",
			setUp: func(w *world) {
				w.conf["policy.max_escalation_level"] = "2"
				w.pd.SetLevels(w.payments.ID, []pagerdutytest.Target{w.primary}, []pagerdutytest.Target{w.lee}, []pagerdutytest.Target{w.dana})
			}, why: "only at level 3, at most 2 is allowed: level 1 is kim@example.com, level 2 is lee@example.com"},
		{name: "at level 3 and level 1, one is allowed", user: "kim@example.com", approve: true,
			setUp: func(w *world) {
				w.conf["policy.max_escalation_level"] = "1"
				w.pd.SetLevels(w.payments.ID, []pagerdutytest.Target{w.primary}, []pagerdutytest.Target{w.lee}, []pagerdutytest.Target{w.kim})
			}, why: "on call for Payments API (level 1"},
		{name: "PagerDuty answers HTML", user: "kim@example.com",
			setUp: func(w *world) { w.pd.Fault(pagerdutytest.Fault{Kind: pagerdutytest.HTML, Route: "GET /users"}) }, why: "could not be read"},
		{name: "PagerDuty loses the second page", user: "kim@example.com", role: map[string][]string{"pagerduty_services": {"Checkout"}},
			setUp: func(w *world) {
				for i := range 120 {
					w.pd.AddService(fmt.Sprintf("Checkout %03d", i), w.payments.ID)
				}
				w.pd.AddService("Checkout", w.payments.ID)
				w.pd.Fault(pagerdutytest.Fault{Kind: pagerdutytest.LosePage, Route: "GET /services"})
			}, why: "could not be read"},
		{name: "the service is on the second page", user: "kim@example.com", role: map[string][]string{"pagerduty_services": {"Checkout"}},
			setUp: func(w *world) {
				for i := range 120 {
					w.pd.AddService(fmt.Sprintf("A Checkout %03d", i), w.payments.ID)
				}
				w.pd.AddService("Checkout", w.payments.ID)
			}, approve: true, why: "on call for Checkout"},
		{name: "PagerDuty answers {}", user: "kim@example.com",
			setUp: func(w *world) {
				w.pd.Fault(pagerdutytest.Fault{Kind: pagerdutytest.EmptyObject, Route: "GET /oncalls"})
			}, why: "could not be read"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if c.setUp != nil {
				c.setUp(w)
			}
			roles := c.roles
			if c.role != nil {
				w.teleport.SetRole("role", c.role)
			}
			if roles == nil && c.role != nil {
				roles = []string{"role"}
			}
			if roles == nil {
				roles = []string{"payments-admin"}
			}
			w.start()
			id := w.request(c.user, roles...)
			if why := w.decided(id); !strings.Contains(why, c.why) {
				t.Errorf("pdhook decided because %q, want %q", why, c.why)
			}
			if c.approve {
				w.reaches(id, types.RequestState_APPROVED)
				return
			}
			w.pd.ClearFaults()
			w.stays(id)
		})
	}
}

func TestAnApprovalThatIsNotEnoughLeavesTheRequestPendingAndSaysSo(t *testing.T) {
	t.Parallel()
	w := startWorld(t, with("policy.notify", `"unless_approved"`))
	id := w.teleport.CreateRequest(teleporttest.Request{User: "kim@example.com", Roles: []string{"payments-admin"},
		Thresholds: []types.AccessReviewThreshold{{Approve: 2, Deny: 1}}})
	incident := w.opened(id)
	if !strings.Contains(incident.Details, "more approvals are needed") {
		t.Errorf("got details %q", incident.Details)
	}
	if err := w.teleport.Review(id, "lee@example.com", types.RequestState_APPROVED, "second"); err != nil {
		t.Fatal(err)
	}
	if notes := w.notes(w.ended(id, 1)[0].ID); len(notes) != 3 {
		t.Errorf("got notes %q, want two reviews and the decision", notes)
	}
	if reviews := w.teleport.Request(id).GetReviews(); len(reviews) != 2 {
		t.Errorf("got %d reviews, want one by pdhook and one by lee", len(reviews))
	}
}

func TestARequestThatIsApprovedAtOnceOpensNoIncidentWhereThatIsConfigured(t *testing.T) {
	t.Parallel()
	w := startWorld(t, with("policy.notify", `"unless_approved"`))
	approved := w.request("kim@example.com", "payments-admin")
	w.reaches(approved, types.RequestState_APPROVED)
	w.opened(w.request("dana@example.com", "payments-admin")) // came later, and has one
	if got := len(w.incidents(approved)); got != 0 {
		t.Errorf("got %d incidents, want none", got)
	}
}

func TestADeniedReviewRulesOutTheAutomaticApproval(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	id := w.teleport.CreateRequest(teleporttest.Request{User: "dana@example.com", Roles: []string{"payments-admin"},
		Thresholds: []types.AccessReviewThreshold{{Approve: 1, Deny: 2}}})
	incident := w.opened(id)
	if err := w.teleport.Review(id, "lee@example.com", types.RequestState_DENIED, "no"); err != nil {
		t.Fatal(err)
	}
	w.eventually("the review is noted", func() bool { return len(w.notes(incident.ID)) == 1 })
	w.pd.Override(w.primary.ID, w.dana.ID, time.Now().Add(-time.Minute), time.Now().Add(time.Hour))
	w.pd.Acknowledge(incident.ID, w.kim.ID) // makes pdhook look again
	w.eventually("pdhook decides again", func() bool {
		return len(w.proc.find(func(l logLine) bool { return strings.Contains(l.text("why"), "lee@example.com has denied the request") })) > 0
	})
	w.stays(id)
}
