package reconcile

import (
	"strings"
	"testing"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

func TestTheRecordedDecisionTellsWhatBecameOfItAndWhoDecides(t *testing.T) {
	for _, tt := range []struct {
		name    string
		given   func(w *world)
		review  access.Status // of the check of pdhook's review; "" for none
		instead string        // in it; "" for none at all
	}{
		{"not on call", func(*world) {}, "", "(suggested: bob)"},
		{"approved", func(w *world) { w.aliceIsOnCall() }, "", ""},
		{"more reviews are wanted", func(w *world) { w.aliceIsOnCall(); w.threshold = 2 }, access.Passed, "Teleport wants more reviews than pdhook's"},
		{"Teleport refuses the review", func(w *world) { w.aliceIsOnCall(); w.denied = true }, access.Failed, "(suggested: bob)"},
		{"the review fails", func(w *world) {
			w.aliceIsOnCall()
			w.fail = func(call string, _ int) fault { return map[string]fault{"review": refusing}[call] }
		}, access.Unknown, "(suggested: bob)"},
		{"dry run", func(w *world) { w.aliceIsOnCall(); w.rules.DryRun = true }, access.Failed, "(suggested: bob)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				req := w.requests[request]
				req.SuggestedReviewers = []string{"bob"}
				w.requests[request] = req
				tt.given(w)
				r := w.replica("a")
				for _, cause := range []string{access.CauseCreated, access.CauseTimer} {
					_, _, _ = w.look(r, cause)
					d := w.stores["a"].decisions[request]
					var last access.Check
					for _, c := range d.Checks {
						if c.Name == "review" {
							last = c
						}
					}
					if last.Status != tt.review || (d.Instead == "") != (tt.instead == "") || !strings.Contains(d.Instead, tt.instead) {
						t.Errorf("%s: review %s %q, instead %q", cause, last.Status, last.Sentence, d.Instead)
					}
					if got := w.stores["a"].links[request].Suggested; len(got) != 1 || got[0] != "bob" {
						t.Errorf("%s: suggested reviewers %q", cause, got)
					}
					time.Sleep(time.Minute)
				}
			})
		})
	}
}
