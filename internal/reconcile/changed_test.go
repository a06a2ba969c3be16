package reconcile

import (
	"slices"
	"testing"
	"time"

	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/internal/policy"
)

// justBeforeTheReview changes the request after the facts for it were read, so that only the read between the claim
// and the review shows it.
func justBeforeTheReview(w *world, change func(*access.Request)) {
	w.fail = func(call string, nth int) fault {
		if call == "get request" && slices.Contains(w.calls, "on-calls") {
			req := w.requests[request]
			req.Annotations = map[string][]string{"notify": {"payments"}, "services": {"payments"}}
			change(&req)
			w.requests[request] = req
			w.fail = nil
		}
		return works
	}
}

func TestARequestThatChangesBeforeTheReviewIsNotApprovedOnWhatItAskedBefore(t *testing.T) {
	for name, change := range map[string]func(*access.Request){
		"another service":      func(r *access.Request) { r.Annotations["services"] = []string{"shipping"} },
		"no service":           func(r *access.Request) { delete(r.Annotations, "services") },
		"another schedule":     func(r *access.Request) { r.Annotations = map[string][]string{"schedules": {"day"}} },
		"another user":         func(r *access.Request) { r.User = "bob@example.com" },
		"an address of theirs": func(r *access.Request) { r.Annotations["email"] = []string{"bob@example.com"} },
		"two addresses":        func(r *access.Request) { r.Annotations["email"] = []string{alice, "bob@example.com"} },
		"more roles, services": func(r *access.Request) {
			r.Roles, r.Annotations["services"] = []string{"dev", "ops"}, []string{"payments", "shipping"}
		},
		"another role": func(r *access.Request) { r.Roles = []string{"ops"} },
		"a denial": func(r *access.Request) {
			r.Reviews = []access.Review{{Author: "bob", State: access.Denied}}
		},
		"a later start": func(r *access.Request) { r.AssumeStart = time.Now().Add(time.Hour) },
		"a longer stay": func(r *access.Request) { r.AccessExpires = time.Now().Add(48 * time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.aliceIsOnCall()
				w.onCalls = w.onCalls[:1] // for payments alone
				w.users["bob@example.com"] = access.User{ID: "UBOB", Email: "bob@example.com"}
				w.schedules = []access.Schedule{{ID: "SDAY", Name: "day"}}
				w.rules.AutoApproveRoles = []string{"dev"}
				if name == "more roles, services" {
					w.rules.AutoApproveRoles = nil
				}
				w.rules.Notify = policy.NotifyUnlessApproved
				justBeforeTheReview(w, change)
				w.settle(w.replica("a"), nil)
				if got := w.requests[request].Reviews; slices.ContainsFunc(got, func(r access.Review) bool { return r.Author == pdhook }) {
					t.Errorf("approved: %s", got[0].Reason)
				}
			})
		})
	}
}
