package reconcile

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/internal/policy"
)

func TestTheReviewComesBeforeTheIncident(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.aliceIsOnCall()
		w.once(w.replica("a"), access.CauseCreated)
		w.wantWrites("claim open", "review", "create SPAY", "claim open", "note Q1", "note Q1", "resolve Q1", "record")
		wantIn(t, w.details(), "Approved automatically: alice@example.com is on call for payments (level 1, since 1999-12-31T23:00:00Z).")
		reason := w.requests[request].Reviews[0].Reason
		if want := "\npdhook: basis=none oncall=PPAY/1/UALICE/SCHED read=2000-01-01T00:00:00Z"; !strings.HasSuffix(reason, want) {
			t.Errorf("review reason = %q, want it to end in %q", reason, want)
		}
		wantIn(t, w.log.String(), "Successfully created PagerDuty incident", "Successfully submitted a request approval")
	})
}

func TestTheReviewIsOverWithinTenSecondsOfTheOldestFact(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.aliceIsOnCall()
		w.latency = map[string]time.Duration{"user": time.Second, "on-calls": 2 * time.Second, "swap": 2 * time.Second}
		w.once(w.replica("a"), access.CauseCreated)
		oldest := w.stores["a"].decisions[request].Evidence.ReadAt
		if age := w.limits[0].Sub(oldest); age > 10*time.Second || age < 9*time.Second {
			t.Errorf("the review call ends %s after the oldest fact, at most 10s are allowed", age)
		}
		if !oldest.Equal(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)) {
			t.Errorf("the oldest fact counts from %s, want when its question was asked", oldest)
		}
	})
}

func TestFactsThatGrewTooOldAreReadAgain(t *testing.T) {
	for _, notify := range []policy.Notify{policy.NotifyAlways, policy.NotifyUnlessApproved} {
		inWorld(t, func(t *testing.T, w *world) {
			w.aliceIsOnCall()
			w.rules.Notify = notify
			w.hooks["on-calls"] = func() { time.Sleep(9500 * time.Millisecond) }
			r := w.replica("a")
			if _, err, _ := w.look(r, access.CauseCreated); err == nil {
				t.Fatal("a pass whose facts are too old succeeded")
			}
			if slices.Contains(w.writes, "review") {
				t.Error("the review was submitted on old facts")
			}
			if len(w.incidents) == 1 {
				wantIn(t, w.details(), "Not approved automatically, although alice@example.com is on call for payments")
			}
			w.settle(r, nil)
			if got := w.requests[request].State; got != access.Approved {
				t.Errorf("state = %s, want approved", got)
			}
			if want := map[policy.Notify]int{policy.NotifyAlways: 1}[notify]; len(w.incidents) != want {
				t.Errorf("%s: %d incidents, want %d", notify, len(w.incidents), want)
			}
		})
	}
}

func TestAReviewThatIsSlowIsGivenUpAtTheDeadline(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.aliceIsOnCall()
		w.rules.Notify = policy.NotifyUnlessApproved
		w.hooks["review"] = func() { time.Sleep(11 * time.Second) }
		w.settle(w.replica("a"), nil)
		w.wantEnd("request approved\n  review approved by pdhook-bot")
		if len(w.limits) != 2 {
			t.Errorf("%d review calls, want 2", len(w.limits))
		}
	})
}

func TestUnlessApproved(t *testing.T) {
	t.Run("opens no incident for a request that is approved at once", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			w.aliceIsOnCall()
			w.rules.Notify = policy.NotifyUnlessApproved
			r := w.replica("a")
			w.once(r, access.CauseCreated)
			w.once(r, access.CauseChanged)
			w.wantWrites("review")
		})
	})
	t.Run("says so where a threshold leaves the request pending", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			w.aliceIsOnCall()
			w.rules.Notify, w.threshold = policy.NotifyUnlessApproved, 2
			w.once(w.replica("a"), access.CauseCreated)
			w.wantWrites("review", "claim open", "create SPAY", "note Q1", "record")
			wantIn(t, w.details(), "Reviewed automatically, but more approvals are needed: alice@example.com is on call for payments (level 1")
		})
	})
	t.Run("opens the incident when Teleport refuses the review", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			w.aliceIsOnCall()
			w.rules.Notify, w.denied = policy.NotifyUnlessApproved, true
			w.once(w.replica("a"), access.CauseCreated)
			wantIn(t, w.details(), "Not approved automatically, although alice@example.com is on call for payments", "access denied")
			wantIn(t, w.log.String(), "level=ERROR", "review_requests")
		})
	})
	t.Run("opens the incident when the review fails again", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			w.aliceIsOnCall()
			w.rules.Notify = policy.NotifyUnlessApproved
			w.fail = func(call string, _ int) fault { return map[string]fault{"review": refusing}[call] }
			r := w.replica("a")
			_, _, _ = w.look(r, access.CauseCreated)
			if len(w.incidents) != 0 {
				t.Error("an incident was opened after the first failure")
			}
			_, _, _ = w.look(r, access.CauseRetry)
			wantIn(t, w.details(), "Not approved automatically, although", "503")
		})
	})
	t.Run("opens the incident when PagerDuty cannot be asked", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			w.rules.Notify = policy.NotifyUnlessApproved
			w.fail = func(call string, _ int) fault { return map[string]fault{"on-calls": refusing}[call] }
			_, _, _ = w.look(w.replica("a"), access.CauseCreated)
			wantIn(t, w.details(), "Could not be evaluated: who is on call for payments could not be read: on-calls: 503.")
		})
	})
}

const reviewReason = "Approved by pdhook: alice@example.com is on call for payments (level 1, since TIME). pdhook: basis=none oncall=PPAY/1/UALICE/SCHED read=TIME"

func TestAFailureBesideTheApprovalDoesNotHoldItUp(t *testing.T) {
	for _, call := range []string{"get plugin data", "swap", "create", "note", "resolve", "notes"} {
		t.Run(call, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.aliceIsOnCall()
				w.fail = func(c string, _ int) fault { return map[string]fault{call: refusing}[c] }
				_, _, _ = w.look(w.replica("a"), access.CauseCreated)
				if got := w.requests[request].State; got != access.Approved {
					t.Errorf("state = %s, want approved\n%s", got, w.log.String())
				}
			})
		})
	}
	t.Run("store", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			w.aliceIsOnCall()
			r := w.replica("a")
			w.stores["a"].broken = errors.New("disk full")
			w.once(r, access.CauseCreated)
			w.once(r, access.CauseTimer)
			w.wantWrites("claim open", "review", "create SPAY", "claim open", "note Q1", "note Q1", "resolve Q1", "record")
			if got := strings.Count(w.log.String(), "disk full"); got != 2 { // reading and writing
				t.Errorf("the store's failure was logged %d times, want once each for reading and writing", got)
			}
		})
	})
	t.Run("a newer pdhook's plugin data", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			w.aliceIsOnCall()
			w.data[request] = map[string]string{keyRecord: `{"v":2}`}
			_, err, _ := w.look(w.replica("a"), access.CauseCreated)
			w.wantWrites("review")
			if !access.IsPermanent(err) {
				t.Errorf("error = %v, want a permanent one", err)
			}
		})
	})
}

func TestAReviewThatTeleportRefusesIsTriedAgainForAReason(t *testing.T) {
	for _, tt := range []struct {
		cause string
		wait  time.Duration
		again bool
	}{
		{cause: access.CauseTimer, again: false},
		{cause: access.CausePoll, again: false},
		{cause: access.CauseRetry, again: false},
		{cause: access.CauseReconnect, again: false},
		{cause: access.CauseTimer, wait: 59 * time.Minute, again: false},
		{cause: access.CauseTimer, wait: time.Hour, again: true},
		{cause: access.CauseChanged, again: true},
		{cause: access.CauseReload, again: true},
		{cause: "webhook incident.acknowledged", again: true},
	} {
		t.Run(fmt.Sprintf("%s after %s", tt.cause, tt.wait), func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.aliceIsOnCall()
				w.denied = true
				r := w.replica("a")
				w.once(r, access.CauseCreated)
				time.Sleep(tt.wait)
				w.once(r, tt.cause)
				if got := len(w.limits) == 2; got != tt.again {
					t.Errorf("%d review calls", len(w.limits))
				}
				w.denied = false
				w.once(r, access.CauseChanged)
				if got := w.requests[request].State; got != access.Approved {
					t.Errorf("state = %s, want approved once it is allowed", got)
				}
			})
		})
	}
}

func TestARequestThatIsReviewedAlreadyIsNotReviewedAgain(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.aliceIsOnCall()
		w.threshold = 2
		w.reviewBy(pdhook, access.Approved, "by hand")
		w.once(w.replica("a"), access.CauseStart)
		wantIn(t, w.details(), "pdhook has already reviewed the request")
		if len(w.limits) != 0 {
			t.Error("a second review was submitted")
		}
		if !w.stores["a"].links[request].Reviewed {
			t.Error("the link does not say that pdhook has reviewed")
		}
	})
}

func TestSomebodyElseApprovesAtTheSameMoment(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.aliceIsOnCall()
		w.hooks["review"] = func() { w.bob(access.Approved, "me first") }
		r := w.replica("a")
		w.once(r, access.CauseCreated) // no error: nothing is left to try again
		w.once(r, access.CauseChanged)
		w.wantEnd("request approved\n  review approved by bob")
	})
}
