package admin

import (
	"testing"

	"github.com/pdhook/pdhook/internal/access"
)

func TestTheVerdictSaysWhereARequestStands(t *testing.T) {
	review := func(status access.Status) []access.Check {
		return []access.Check{{Name: "user", Status: access.Passed}, {Name: "review", Status: status, Sentence: "access denied"}}
	}
	for _, tt := range []struct {
		name         string
		state        access.State
		decision     *access.Decision
		dry          bool
		verdict, why string
	}{
		{"new", access.Pending, nil, false, "not looked at yet", ""},
		{"refused", access.Pending, &access.Decision{Verdict: access.No, Sentence: "not on call"}, false, "not approved", "not on call"},
		{"refused in a dry run", access.Pending, &access.Decision{Verdict: access.No, Sentence: "not on call"}, true, "not approved", "not on call"},
		{"unclear", access.Pending, &access.Decision{Verdict: access.CouldNotTell, Sentence: "503"}, false, "could not be evaluated", "503"},
		{"dry run", access.Pending, &access.Decision{Verdict: access.Approve, Sentence: "on call", Checks: review(access.Failed)}, true, "dry run, would be approved", "on call"},
		{"review refused", access.Pending, &access.Decision{Verdict: access.Approve, Sentence: "on call", Checks: review(access.Failed)}, false, "not approved yet", "access denied"},
		{"reviewed", access.Pending, &access.Decision{Verdict: access.Approve, Sentence: "on call", Checks: review(access.Passed)}, false, "more approvals are needed", "on call"},
		{"reviewed before", access.Pending, &access.Decision{Verdict: access.Already, Sentence: "already", Checks: review(access.Passed)}, false, "more approvals are needed", "already"},
		{"approved", access.Approved, &access.Decision{Verdict: access.Approve, Sentence: "on call"}, false, "approved automatically", "on call"},
		{"approved by a person", access.Approved, &access.Decision{Verdict: access.No, Sentence: "not on call"}, false, "approved", "because"},
		{"denied", access.Denied, &access.Decision{Verdict: access.Approve, Sentence: "on call"}, false, "denied", "because"},
		{"not known", "", nil, false, "not known", "because"},
	} {
		r := Request{State: tt.state, Decision: tt.decision, DryRun: tt.dry, ResolveReason: "because"}
		if verdict, why := r.Verdict(); verdict != tt.verdict || why != tt.why {
			t.Errorf("%s: got %q because %q, want %q because %q", tt.name, verdict, why, tt.verdict, tt.why)
		}
	}
}
