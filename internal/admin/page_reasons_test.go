package admin

import (
	"testing"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

func failed(name, sentence, remedy string) *access.Decision {
	return decision(access.No, sentence, access.Check{Name: name, Status: access.Failed, Sentence: sentence, Remedy: remedy})
}

func untold(name, sentence string) *access.Decision {
	return decision(access.CouldNotTell, sentence, access.Check{Name: name, Status: access.Unknown, Sentence: sentence})
}

// approvable is a decision that approves, with what became of the review.
func approvable(status access.Status, sentence string) *access.Decision {
	return decision(access.Approve, "kim@example.com is on call for Payments", access.Check{Name: "review", Status: status, Sentence: sentence})
}

func TestThePageAnswersWhyARequestIsStillPending(t *testing.T) {
	ours := []access.Review{{Author: "pdhook", State: access.Approved, Reason: "Approved by pdhook: kim@example.com is on call for Payments.\npdhook: basis=none"}}
	quoted := []access.Review{{Author: "eve@example.com", State: access.Approved, Reason: ours[0].Reason}}
	theirs := []access.Review{{Author: "lee@example.com", State: access.Denied, Reason: "not tonight"}}
	for _, tt := range []struct {
		why     string
		request Request
		want    []string
	}{
		{"not on call", Request{Decision: failed("on call", "kim@example.com is not on call for Payments", "somebody puts kim@example.com on call for Payments")},
			[]string{"✗ not approved", "Not approved automatically: kim@example.com is not on call for Payments", "Approvable once somebody puts kim@example.com on call for Payments"}},
		{"the shift starts later", Request{Decision: failed("on call", "kim@example.com is not on call for Payments, next from 2026-11-23T02:00:00Z", ""), NextLookWhy: access.CauseShift},
			[]string{"next from 23 Nov 02:00 UTC", "a shift or the access starts"}},
		{"no PagerDuty user", Request{Decision: failed("user", "PagerDuty knows no user with the login e-mail kim@example.com", "")},
			[]string{"Not approved automatically: PagerDuty knows no user with the login e-mail kim@example.com", "✗ PagerDuty user"}},
		{"unknown service", Request{Decision: failed("on call", `PagerDuty knows no service "Paymints"`, "")},
			[]string{`Not approved automatically: PagerDuty knows no service "Paymints"`}},
		{"ambiguous service", Request{Decision: untold("on call", `the service "Payments" could not be read: service "Payments" is ambiguous: P1, P2`)},
			[]string{`Could not be evaluated: the service "Payments" could not be read: service "Payments" is ambiguous: P1, P2`, "? could not tell"}},
		{"no annotation", Request{Decision: failed("on call", "the requested role names no service or schedule to be on call for", "")},
			[]string{"Not approved automatically: the requested role names no service or schedule to be on call for"}},
		{"role not in the list", Request{Decision: failed("roles", "role root is not among the roles that are approved automatically", "an admin adds root to policy.auto_approve_roles")},
			[]string{"role root is not among the roles that are approved automatically", "Approvable once an admin adds root to policy.auto_approve_roles"}},
		{"no incident", Request{Decision: failed("incident", "no incident is open on Payments", "")},
			[]string{"Not approved automatically: no incident is open on Payments", "✗ Incident"}},
		{"incident not acknowledged", Request{Decision: failed("incident", "no open incident on Payments counts: Q7 is not acknowledged by kim@example.com", "")},
			[]string{"Q7 is not acknowledged by kim@example.com"}},
		{"access too long", Request{Decision: failed("window", "the access would last until 2026-12-24T18:00:00Z, at most 24h0m0s from now is allowed", "")},
			[]string{"the access would last until 24 Dec 18:00 UTC, at most 24h0m0s from now is allowed", "✗ Time window"}},
		{"access starts later", Request{Decision: failed("window", "the access starts later, at 2026-12-24T18:00:00Z", "")},
			[]string{"the access starts later, at 24 Dec 18:00 UTC"}},
		{"request too old", Request{Decision: failed("window", "the request is 13h0m0s old, at most 12h0m0s is allowed", "")},
			[]string{"the request is 13h0m0s old, at most 12h0m0s is allowed"}},
		{"denied by a person", Request{Decision: failed("reviews", "lee@example.com has denied the request", ""), Reviews: theirs},
			[]string{"Not approved automatically: lee@example.com has denied the request", "✗ Reviews", "lee@example.com not tonight ✗ denied"}},
		{"PagerDuty unreachable", Request{Decision: untold("on call", "who is on call for Payments could not be read: connection refused"), Failing: "asking who is on call: connection refused", NextLookWhy: access.CauseRetry},
			[]string{"Could not be evaluated: who is on call for Payments could not be read: connection refused", "Not finished, it is tried again: asking who is on call: connection refused", "(it is tried again)"}},
		{"more approvals needed", Request{Decision: approvable(access.Passed, "pdhook has reviewed the request, and Teleport wants more reviews"), Reviews: ours, Reviewed: true},
			[]string{"½ more approvals needed", "Reviewed automatically, but more approvals are needed: kim@example.com is on call for Payments", "✓ pdhook’s review"}},
		{"somebody writes as pdhook does", Request{Decision: failed("on call", "kim@example.com is not on call for Payments", ""), Reviews: quoted},
			[]string{"Not approved automatically: kim@example.com is not on call for Payments"}},
		{"more approvals needed, later", Request{Decision: decision(access.Already, "kim@example.com is on call for Payments")},
			[]string{"Reviewed automatically, but more approvals are needed: kim@example.com is on call for Payments"}},
		{"Teleport refused the review", Request{Decision: approvable(access.Failed, "Teleport refuses pdhook's review: access denied")},
			[]string{"Qualifies, but is not approved: Teleport refuses pdhook's review: access denied", "✗ pdhook’s review"}},
		{"the review is on its way", Request{Decision: decision(access.Approve, "kim@example.com is on call for Payments")},
			[]string{"Qualifies, the approval is on its way: kim@example.com is on call for Payments"}},
		{"dry run", Request{Decision: approvable(access.Failed, "dry run: pdhook would approve the request, and changes nothing"), DryRun: true},
			[]string{"Would be approved automatically, but this is a dry run: kim@example.com is on call for Payments"}},
		{"not looked at yet", Request{}, []string{"… not looked at yet"}},
	} {
		t.Run(tt.why, func(t *testing.T) {
			r := tt.request
			r.ID, r.User, r.Roles, r.State, r.NextLook = "r1", "kim@example.com", []string{"payments-admin"}, access.Pending, time.Now().Add(time.Minute)
			h := open(&shownBoard{open: []Request{r}}, nil)
			wantIn(t, spoken(get(h, "/requests/r1", nil).Body.String()), tt.want...)
			wantIn(t, spoken(get(h, "/", nil).Body.String()), tt.want[0])
		})
	}
}
