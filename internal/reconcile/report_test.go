package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/internal/policy"
)

// tallied is an Observer that keeps what it is told.
type tallied struct {
	t         *testing.T
	mu        sync.Mutex
	decisions []string
	effects   []string
	reactions []time.Duration
}

func (o *tallied) Decided(verdict, check string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.decisions = append(o.decisions, verdict+": "+check)
	if !slices.Contains(Decisions(), [2]string{verdict, check}) {
		o.t.Errorf("%s: %s is not among the decisions that are shown as 0 before they happen", verdict, check)
	}
}

func (o *tallied) Effect(kind, outcome string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.effects = append(o.effects, kind+" "+outcome)
	if !slices.Contains(Effects(), [2]string{kind, outcome}) {
		o.t.Errorf("%s %s is not among the effects that are shown as 0 before they happen", kind, outcome)
	}
}

func (o *tallied) Reacted(after time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.reactions = append(o.reactions, after)
}

// wants checks what was told since the last check, in order.
func (o *tallied) wants(what string, got *[]string, want ...string) {
	o.t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	if !slices.Equal(*got, want) {
		o.t.Errorf("%s: got %q, want %q", what, *got, want)
	}
	*got = nil
}

func (o *tallied) wantsReactions(want ...time.Duration) {
	o.t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	if !slices.Equal(o.reactions, want) {
		o.t.Errorf("times to a decision: got %v, want %v", o.reactions, want)
	}
	o.reactions = nil
}

// observed is replica a with an Observer.
func (w *world) observed() (*Reconciler, *tallied) {
	o := &tallied{t: w.t}
	r := w.replica("a")
	r.Observer = o
	return r, o
}

// late is Teleport whose reviews always come a moment after somebody else's, and are not taken.
type late struct{ Requests }

func (l late) SubmitReview(ctx context.Context, id access.RequestID, _ access.State, _ string) (access.Request, error) {
	return l.Get(ctx, id)
}

func TestADecisionIsCountedWhenItsVerdictOrItsCheckChanges(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r, o := w.observed()
		for range 3 {
			w.once(r, access.CauseTimer)
		}
		o.wants("decisions on somebody who is not on call", &o.decisions, "no: on call")

		r, o = w.observed()
		w.once(r, access.CauseStart)
		o.wants("the same decision after a restart", &o.decisions)

		w.rules.AutoApproveRoles = []string{"other"}
		w.once(r, access.CauseReload)
		o.wants("another check", &o.decisions, "no: roles")

		w.rules.AutoApproveRoles = nil
		w.fail = func(call string, _ int) fault { return map[string]fault{"on-calls": refusing}[call] }
		_, _, _ = w.look(r, access.CauseRetry)
		_, _, _ = w.look(r, access.CauseRetry)
		o.wants("PagerDuty does not tell", &o.decisions, "could not tell: on call")

		w.fail = nil
		w.aliceIsOnCall()
		w.once(r, access.CauseRetry)
		w.once(r, access.CauseChanged)
		o.wants("on call", &o.decisions, "approve: ")
	})
}

func TestAnApprovalThatTeleportDoesNotTakeIsCountedOnceAlsoOverARestart(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.aliceIsOnCall()
		w.rules.DryRun = true
		r, o := w.observed()
		w.once(r, access.CauseCreated)
		o.wants("a dry run", &o.decisions, "approve: ")

		r, o = w.observed()
		w.once(r, access.CauseStart)
		o.wants("the same decision after a restart", &o.decisions)
	})
}

func TestLooksOfARequestAreForgottenWithIt(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r, _ := w.observed()
		w.once(r, access.CauseCreated)
		if len(r.counted.of) != 1 {
			t.Errorf("%d requests are remembered, want one", len(r.counted.of))
		}
		w.expire()
		w.once(r, access.CauseGone)
		if len(r.counted.of) != 0 {
			t.Errorf("%d requests are remembered after the end, want none", len(r.counted.of))
		}
	})
}

func TestADecisionIsCountedOnceWhileTheStoreFails(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r, o := w.observed()
		w.stores["a"].broken = fmt.Errorf("disk on fire")
		for range 3 {
			w.once(r, access.CauseTimer)
		}
		o.wants("decisions", &o.decisions, "no: on call")
		o.wantsReactions() // nobody knows whether it is the first decision
	})
}

func TestEachEffectIsCountedByHowItWent(t *testing.T) {
	t.Run("done", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			w.aliceIsOnCall()
			r, o := w.observed()
			w.settle(r, nil)
			o.wants("an approval with its incident", &o.effects,
				"plugin data ok", "review ok", "incident ok", "plugin data ok", "note ok", "note ok", "resolve ok", "plugin data ok")
			w.once(r, access.CauseTimer)
			o.wants("nothing left to do", &o.effects)
		})
	})
	t.Run("refused by Teleport", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			w.aliceIsOnCall()
			w.denied = true
			r, o := w.observed()
			w.once(r, access.CauseCreated)
			w.once(r, access.CauseTimer)
			o.wants("effects", &o.effects, "plugin data ok", "review failed", "incident ok", "plugin data ok")
		})
	})
	t.Run("failed and done again", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			r, o := w.observed()
			w.fail = func(call string, _ int) fault { return map[string]fault{"create": refusing}[call] }
			_, _, _ = w.look(r, access.CauseCreated)
			o.wants("effects", &o.effects, "plugin data ok", "incident failed", "plugin data ok")
			w.fail = func(call string, _ int) fault { return map[string]fault{"swap": refusing}[call] }
			_, _, _ = w.look(r, access.CauseRetry)
			o.wants("effects", &o.effects, "plugin data failed")
			w.fail = nil
			w.once(r, access.CauseRetry)
			o.wants("effects", &o.effects, "plugin data ok", "incident ok", "plugin data ok")
		})
	})
	t.Run("done by others before", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			r, o := w.observed()
			w.fail = func(call string, _ int) fault { return map[string]fault{"create": severed}[call] }
			_, _, _ = w.look(r, access.CauseCreated)
			w.fail = nil
			w.once(r, access.CauseRetry)
			o.wants("effects", &o.effects, "plugin data ok", "incident failed", "plugin data ok",
				"plugin data ok", "incident already", "plugin data ok")
		})
	})
	t.Run("decided by others meanwhile", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			w.aliceIsOnCall()
			w.rules.Notify = policy.NotifyUnlessApproved
			w.hooks["review"] = func() { w.bob(access.Approved, "ok") }
			r, o := w.observed()
			w.once(r, access.CauseCreated)
			o.wants("effects", &o.effects, "review already")
		})
	})
	t.Run("denied because somebody resolved the incident", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			w.rules.OnIncidentResolved = policy.ResolvedDeny
			r, o := w.observed()
			w.once(r, access.CauseCreated)
			o.wants("effects", &o.effects, "plugin data ok", "incident ok", "plugin data ok")
			theFirstIsResolvedBy(access.User{ID: "UBOB", Name: "Bob"})(w)
			w.settle(r, nil)
			o.wants("effects", &o.effects, "denial ok", "plugin data ok", "note ok", "note ok", "resolve already", "plugin data ok")
		})
	})
	t.Run("somebody else's review came first", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			w.rules.OnIncidentResolved = policy.ResolvedDeny
			r, o := w.observed()
			r.Requests = late{r.Requests}
			w.once(r, access.CauseCreated)
			theFirstIsResolvedBy(access.User{ID: "UBOB", Name: "Bob"})(w)
			o.effects = nil
			_, _, _ = w.look(r, access.CauseChanged)
			o.wants("denying", &o.effects, "denial already", "plugin data ok", "note ok", "plugin data ok")
			w.aliceIsOnCall()
			_, _, _ = w.look(r, access.CauseChanged)
			o.wants("approving", &o.effects, "review already")
		})
	})
	t.Run("nothing to do for another name of the same service", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			w.annotate("notify", "payments", "id:SPAY")
			r, o := w.observed()
			w.once(r, access.CauseCreated)
			o.wants("effects", &o.effects, "plugin data ok", "incident ok", "plugin data ok")
		})
	})
	t.Run("reopened", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			w.rules.OnIncidentResolved = policy.ResolvedRetrigger
			r, o := w.observed()
			w.once(r, access.CauseCreated)
			o.effects = nil
			theFirstIsResolvedBy(access.User{ID: "UBOB", Name: "Bob"})(w)
			w.settle(r, nil)
			o.wants("effects", &o.effects, "plugin data ok", "reopen ok", "note ok", "plugin data ok")
		})
	})
	t.Run("none in a dry run", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			w.aliceIsOnCall()
			w.rules.DryRun = true
			r, o := w.observed()
			w.once(r, access.CauseCreated)
			o.wants("effects", &o.effects)
			o.wants("decisions", &o.decisions, "approve: ")
		})
	})
}

func TestTheTimeFromAnEventToItsDecisionIsTakenOnce(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r, o := w.observed()
		time.Sleep(300 * time.Millisecond)
		w.once(r, access.CauseCreated)
		o.wantsReactions(300 * time.Millisecond) // since the request was made

		comes := func(id access.EventID) {
			w.stores["a"].events[request] = append(w.stores["a"].events[request], id)
			w.stores["a"].received[id] = time.Now()
		}
		comes("E1")
		time.Sleep(time.Hour) // pdhook was down
		r, o = w.observed()
		comes("E2")
		w.fail = func(call string, _ int) fault { return map[string]fault{"get request": refusing}[call] }
		_, _, _ = w.look(r, access.CauseStart)
		o.wantsReactions() // nothing was decided
		time.Sleep(time.Second)

		w.bob(access.Approved, "half") // a note will be missing
		w.threshold = 2
		req := w.requests[request]
		req.State = access.Pending
		w.requests[request] = req
		w.fail = func(call string, _ int) fault { return map[string]fault{"note": refusing}[call] }
		_, _, _ = w.look(r, access.CauseRetry)
		o.wantsReactions(time.Hour+time.Second, time.Second)
		if left := w.stores["a"].events[request]; len(left) != 2 {
			t.Fatalf("events left = %q, want both: a note is missing", left)
		}
		time.Sleep(time.Second)
		comes("E3")
		w.fail = nil
		w.once(r, access.CauseRetry)
		o.wantsReactions(0) // the two were decided on before
		time.Sleep(5 * time.Minute)
		w.once(r, access.CauseTimer)
		o.wantsReactions()
	})
}

func TestUnnotifiedAreThePendingRequestsThatLackAnIncident(t *testing.T) {
	refusing := func(w *world) { w.refuse["SPAY"] = fmt.Errorf("PagerDuty answered 503") }
	for _, tt := range []struct {
		name  string
		given func(*world)
		want  int
	}{
		{"notified", func(*world) {}, 0},
		{"PagerDuty opens no incident", refusing, 1},
		{"one of two services is not known", func(w *world) { w.annotate("notify", "payments", "nowhere") }, 1},
		{"names nothing to notify", func(w *world) { w.annotate("notify") }, 0},
		{"a dry run", func(w *world) { w.rules.DryRun = true; refusing(w) }, 0},
		{"decided", func(w *world) { refusing(w); w.aliceIsOnCall() }, 0},
		{"two names of one service", func(w *world) { w.annotate("notify", "payments", "id:SPAY") }, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				tt.given(w)
				r, _ := w.observed()
				_, _, _ = w.look(r, access.CauseCreated)
				if got := r.Unnotified(); got != tt.want {
					t.Errorf("got %d, want %d", got, tt.want)
				}
				w.refuse = map[access.ServiceID]error{}
				w.annotate("notify", "payments")
				if w.requests[request].State == access.Pending {
					w.bob(access.Denied, "no")
				}
				_, _, _ = w.look(r, access.CauseChanged)
				if got := r.Unnotified(); got != 0 {
					t.Errorf("after the end: got %d, want none", got)
				}
			})
		})
	}
}

func TestARefusedReviewIsForgottenWithTheRequestAlsoWhereTheStoreNeverTookIt(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.annotate("notify")
		w.aliceIsOnCall()
		w.denied = true
		r := w.replica("a")
		w.stores["a"].full = errors.New("disk full")
		w.settle(r, nil)
		if len(r.refusals.of) != 1 {
			t.Fatalf("%d refusals are remembered, want one", len(r.refusals.of))
		}
		w.bob(access.Approved, "fine")
		_, _, _ = w.look(r, access.CauseTimer) // no hint, which would forget it
		if len(r.refusals.of) != 0 {
			t.Errorf("%d refusals are remembered after the end, want none", len(r.refusals.of))
		}
	})
}
