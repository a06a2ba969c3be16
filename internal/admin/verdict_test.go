package admin

import (
	"testing"

	"github.com/pdhook/pdhook/internal/access"
)

func TestTheVerdictSaysWhereARequestStands(t *testing.T) {
	review := func(status access.Status) []access.Check {
		return []access.Check{{Name: "user", Status: access.Passed}, {Name: "review", Status: status, Sentence: "access denied"}}
	}
	pendingAs := func(v access.Verdict, sentence string, checks ...access.Check) Request {
		return Request{State: access.Pending, Decision: &access.Decision{Verdict: v, Sentence: sentence, Checks: checks}}
	}
	decided := pendingAs(access.Approve, "on call").Decision
	for _, tt := range []struct {
		name         string
		request      Request
		verdict, why string
	}{
		{"new", Request{State: access.Pending}, "Not looked at yet", ""},
		{"refused", pendingAs(access.No, "not on call"), "Not approved automatically", "not on call"},
		{"unclear", pendingAs(access.CouldNotTell, "503"), "Could not be evaluated", "503"},
		{"approvable", pendingAs(access.Approve, "on call"), "Qualifies, the approval is on its way", "on call"},
		{"review refused", pendingAs(access.Approve, "on call", review(access.Failed)...), "Qualifies, but is not approved", "access denied"},
		{"reviewed before", pendingAs(access.Already, "on call", review(access.Passed)...), "Reviewed automatically, but more approvals are needed", "on call"},
		{"reviewed before, by hand", pendingAs(access.Already, access.AlreadySentence, review(access.Passed)...), "Reviewed automatically, but more approvals are needed", ""},
		{"denied", Request{State: access.Denied, Decision: decided}, "Denied", ""},
		{"approved by a person", Request{State: access.Approved, Decision: &access.Decision{Verdict: access.No, Sentence: "not on call"}}, "Approved", ""},
		{"approved by a person after Teleport refused pdhook's review", Request{State: access.Approved, Decision: decided}, "Approved", ""},
		{"approved", Request{State: access.Approved, Reviewed: true, Decision: decided}, "Approved automatically", "on call"},
		{"not known", Request{}, "Not known", ""},
	} {
		if verdict, why := tt.request.Verdict(); verdict != tt.verdict || why != tt.why {
			t.Errorf("%s: got %q because %q, want %q because %q", tt.name, verdict, why, tt.verdict, tt.why)
		}
	}
}

func TestTheVerdictOnWhatWaitsTellsOfADryRunAndOfReviews(t *testing.T) {
	r := Request{State: access.Pending, Decision: &access.Decision{Verdict: access.Approve, Sentence: "on call"}, DryRun: true}
	if verdict, why := r.Verdict(); verdict != "Would be approved automatically, but this is a dry run" || why != "on call" {
		t.Errorf("in a dry run: got %q because %q", verdict, why)
	}
	r.DryRun, r.Reviewed = false, true
	if verdict, why := r.Verdict(); verdict != "Reviewed automatically, but more approvals are needed" || why != "on call" {
		t.Errorf("once reviewed: got %q because %q", verdict, why)
	}
	r.Reviewed, r.Decision.Verdict = false, access.No
	if verdict, _ := r.Verdict(); verdict != "Not approved automatically" {
		t.Errorf("not approvable, in a dry run: got %q", verdict)
	}
}
