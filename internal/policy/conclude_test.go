package policy

import (
	"fmt"
	"testing"

	"github.com/pdhook/pdhook/internal/access"
)

func TestADecisionTellsWhatBecameOfItAndWhoDecidesMeanwhile(t *testing.T) {
	const people = "Whoever may review it in Teleport can decide it, also by: tsh request review --approve R"
	for _, tt := range []struct {
		name    string
		given   func(s *situation, w *Work)
		failed  error
		status  access.Status // of the check of the review, "" where there is none
		told    string
		remedy  string
		instead string
	}{
		{name: "not approved", given: func(s *situation, _ *Work) { s.onCall() }, instead: people},
		{name: "not approved, with suggested reviewers", given: func(s *situation, _ *Work) {
			s.onCall()
			s.Request.SuggestedReviewers = []string{"bob", "team\nleads\u202e"}
		}, instead: "Whoever may review it in Teleport can decide it (suggested: bob, team leads), also by: tsh request review --approve R"},
		{name: "could not tell", given: func(s *situation, _ *Work) { s.OnCalls = unknown[access.OnCalls](errDown) }, instead: people},
		{name: "approved", given: func(_ *situation, w *Work) { w.Request.State, w.Link.Reviewed = access.Approved, true }},
		{name: "not approved, and decided by now", given: func(s *situation, w *Work) { s.onCall(); w.Request.State = access.Denied }},
		{name: "Teleport wants more", given: func(_ *situation, w *Work) { w.Link.Reviewed = true }, status: access.Passed,
			told: "pdhook has reviewed the request, and Teleport wants more reviews", instead: "Teleport wants more reviews than pdhook's. " + people},
		{name: "Teleport still wants more", given: func(s *situation, _ *Work) { s.Reviewed = true }, status: access.Passed,
			told: "pdhook has reviewed the request, and Teleport wants more reviews", instead: "Teleport wants more reviews than pdhook's. " + people},
		{name: "Teleport refuses the review", failed: fmt.Errorf("submitting the approval: %w", access.ErrDenied), status: access.Failed,
			told:   "Teleport refuses pdhook's review: submitting the approval: access denied",
			remedy: "an admin lets the Teleport role of pdhook review dev: review_requests.roles names it, and review_requests.where holds for this request", instead: people},
		{name: "the review fails", failed: errDown, status: access.Unknown, told: "the review could not be submitted: PagerDuty answers 503",
			remedy: "Teleport takes the review; pdhook tries again by itself", instead: people},
		{name: "dry run", given: func(s *situation, _ *Work) { s.DryRun = true }, status: access.Failed,
			told: "dry run: pdhook would approve the request, and changes nothing", remedy: "an admin sets policy.dry_run = false, and reloads pdhook", instead: people},
		{name: "dry run that would not approve", given: func(s *situation, _ *Work) { s.DryRun = true; s.onCall() }, instead: people},
		{name: "nothing was decided", given: func(_ *situation, w *Work) { w.Decision.Verdict = "none" }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, w := approvable(), Work{}
			w.Request.State = access.Pending
			if tt.given != nil {
				tt.given(&s, &w)
			}
			state, undecided := w.Request.State, w.Decision.Verdict != ""
			w.Request, w.Decision = s.Request, Decide(s.Rules, s.Facts)
			w.Request.State = state
			if undecided {
				w.Decision = access.Decision{}
			}
			d := Conclude(s.Rules, w, tt.failed)
			c, found := checkNamed(d.Checks, "review")
			if found != (tt.status != "") || c.Status != tt.status || c.Sentence != tt.told || c.Remedy != tt.remedy {
				t.Errorf("review: got %+v, want %s %q, %q", c, tt.status, tt.told, tt.remedy)
			}
			if d.Instead != tt.instead {
				t.Errorf("instead:\ngot  %q\nwant %q", d.Instead, tt.instead)
			}
			if len(w.Decision.Checks) == len(d.Checks) && found {
				t.Error("the decision that was given has changed")
			}
		})
	}
}
