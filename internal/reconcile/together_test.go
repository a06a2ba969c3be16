package reconcile

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/internal/policy"
)

func TestExplainingANoDoesNotHoldUpAnApproval(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.annotate("services", "payments", "shipping")
		w.onCalls = []access.OnCall{{User: w.users[alice], Policy: "PPAY", Level: 1, Start: time.Now().Add(-time.Hour)}}
		w.latency["on duty"] = 11 * time.Second // PagerDuty hangs on the question that only explains
		r := w.replica("a")
		for _, cause := range []string{access.CauseCreated, access.CauseRetry, access.CauseRetry, access.CauseRetry} {
			_, _, _ = w.look(r, cause)
			time.Sleep(time.Minute + time.Second)
		}
		if got := w.requests[request].State; got != access.Approved {
			t.Errorf("state = %s, want approved: alice is on call for payments", got)
		}
	})
}

func TestExplainingANoDoesNotHoldUpTheIncident(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.services = append(w.services, access.Service{ID: "S3", Name: "three", Policy: "P3"}, access.Service{ID: "S4", Name: "four", Policy: "P4"})
		w.annotate("services", "payments", "shipping", "three", "four")
		w.latency["on duty"] = 15 * time.Second
		began := time.Now()
		_, _, _ = w.look(w.replica("a"), access.CauseCreated)
		if len(w.incidents) != 1 {
			t.Errorf("%d incidents after a look of %s, want 1", len(w.incidents), time.Since(began))
		}
	})
}

func TestADenialIsNoSecondReviewUnderAnotherName(t *testing.T) {
	for _, stored := range []bool{true, false} {
		inWorld(t, func(t *testing.T, w *world) {
			w.rules.OnIncidentResolved = policy.ResolvedDeny
			w.threshold = 2
			w.aliceIsOnCall()
			r := w.replica("a")
			w.once(r, access.CauseCreated)
			req := w.requests[request]
			if len(req.Reviews) != 1 || len(w.incidents) != 1 {
				t.Fatal(w.end())
			}
			req.Reviews = slices.Clone(req.Reviews)
			req.Reviews[0].Author = "pdhook-old"
			w.requests[request] = req
			w.resolvedBySomebody("Q1")
			if !stored {
				r = w.replica("b")
			}
			w.settle(r, nil)
			if got := w.requests[request]; len(got.Reviews) != 1 || got.State != access.Pending {
				t.Errorf("pdhook reviewed twice:\n%s", w.end())
			}
		})
	}
}

func TestAnIncidentIsReopenedOnceAlsoWhenTheClaimWasTakenForTheReview(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		retrigger(w)
		w.threshold = 2
		w.annotate("notify", "payments", "shipping")
		w.refuse["SSHIP"] = &access.Failure{Class: access.Permanent, Err: access.ErrDenied}
		r := w.replica("a")
		w.settle(r, nil)
		w.resolvedBySomebody("Q1")
		w.aliceIsOnCall()
		w.fail = func(call string, _ int) fault { return map[string]fault{"reopen": orphaned}[call] }
		_, _, _ = w.look(r, access.CauseChanged)
		w.fail = nil
		time.Sleep(claimFor)
		w.settle(w.replica("a"), nil)
		w.resolvedBySomebody("Q1")
		w.settle(w.replica("a"), nil)
		n := 0
		for _, x := range w.writes {
			if strings.HasPrefix(x, "reopen") {
				n++
			}
		}
		if n != 1 {
			t.Errorf("reopened %d times, want once\n%v\n%s", n, w.writes, w.end())
		}
	})
}

func TestARequestDecidedBetweenClaimAndCreationOpensNoIncidentWhenTheReviewIsRefused(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.refuse["SPAY"] = &access.Failure{Class: access.Permanent, Err: access.ErrDenied}
		w.aliceIsOnCall()
		w.denied = true
		r := w.replica("a")
		w.settle(r, nil)
		delete(w.refuse, "SPAY")
		w.hooks["swap"] = func() { w.bob(access.Denied, "no") }
		_, _, _ = w.look(r, access.CauseRetry)
		if len(w.incidents) != 0 {
			t.Errorf("an incident was opened for a request that was denied meanwhile\n%v\n%s", w.writes, w.end())
		}
	})
}

func TestARequestDecidedBeforeCreationOpensNoIncidentWhenTheFactsAreTooOld(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.aliceIsOnCall()
		w.hooks["on-calls"] = func() { time.Sleep(9500 * time.Millisecond); w.bob(access.Denied, "no") }
		_, _, _ = w.look(w.replica("a"), access.CauseCreated)
		if len(w.incidents) != 0 {
			t.Errorf("an incident was opened for a request that was denied meanwhile\n%v\n%s", w.writes, w.end())
		}
	})
}

func TestWebhooksDoNotHoldTheIncidentBackUnderUnlessApproved(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.rules.Notify = policy.NotifyUnlessApproved
		w.aliceIsOnCall()
		w.fail = func(call string, _ int) fault { return map[string]fault{"review": refusing}[call] }
		r := w.replica("a")
		_, _, _ = w.look(r, access.CauseCreated)
		for range 30 {
			time.Sleep(2 * time.Second)
			_, _, _ = w.look(r, "webhook incident.annotated")
		}
		if len(w.incidents) != 1 {
			t.Errorf("%d incidents after a minute of failing reviews", len(w.incidents))
		}
	})
}

func TestAnApprovalThatFailsForAMomentLeavesTheDenialToTheNextLook(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.rules.OnIncidentResolved = policy.ResolvedDeny
		r := w.replica("a")
		w.settle(r, nil)
		w.aliceIsOnCall()
		w.resolvedBySomebody("Q1")
		w.fail = func(call string, _ int) fault { return map[string]fault{"review": refusing}[call] }
		_, _, _ = w.look(r, "webhook incident.resolved")
		w.fail = nil
		w.onCalls = nil
		time.Sleep(time.Second)
		w.settle(r, nil)
		if got := w.requests[request].State; got != access.Denied {
			t.Errorf("state = %s, want denied\n%s", got, w.end())
		}
	})
}

func TestARuleThatIsMendedCountsAfterACrash(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.annotate("notify")
		rules := &byRules{services: []string{"nowhere"}}
		r := w.routed("a", rules)
		w.fail = func(call string, _ int) fault { return map[string]fault{"swap": orphaned}[call] }
		_, _, _ = w.look(r, access.CauseCreated)
		w.fail = nil
		r = w.routed("a", rules)
		_, _, _ = w.look(r, access.CauseStart)
		rules.services = []string{"payments"}
		for range 3 {
			time.Sleep(2 * time.Minute)
			_, _, _ = w.look(r, access.CauseRules)
		}
		if len(w.incidents) != 1 {
			t.Errorf("%d incidents, want one on payments:\n%s", len(w.incidents), w.end())
		}
	})
}

func TestWhatCouldNotBeToldDeniesNobody(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		deny(w)
		r := w.replica("a")
		w.settle(r, nil)
		w.aliceIsOnCall()
		w.resolvedBySomebody("Q1")
		w.fail = func(call string, _ int) fault { return map[string]fault{"on-calls": refusing}[call] }
		_, _, _ = w.look(r, "webhook incident.resolved")
		w.fail = nil
		time.Sleep(time.Second)
		w.settle(r, nil)
		if got := w.requests[request].State; got != access.Approved {
			t.Errorf("state = %s, want approved: alice is on call\n%s", got, w.end())
		}
	})
}

func TestARememberedNoDeniesNobody(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		deny(w)
		r := w.replica("a")
		w.settle(r, nil)
		time.Sleep(50 * time.Second)
		w.aliceIsOnCall() // an override, which sends no webhook
		w.resolvedBySomebody("Q1")
		_, _, _ = w.look(r, access.CauseTimer)
		time.Sleep(time.Second)
		w.settle(r, nil)
		if got := w.requests[request].State; got != access.Approved {
			t.Errorf("state = %s, want approved: alice is on call\n%s", got, w.end())
		}
	})
}

func TestADryRunWritesNothingInAnyCase(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.rules.DryRun = true
		w.aliceIsOnCall()
		r := w.replica("a")
		_, _, _ = w.look(r, access.CauseCreated)
		w.bob(access.Approved, "ok")
		_, _, _ = w.look(r, access.CauseChanged)
		w.expire()
		_, _, _ = w.look(r, access.CauseGone)
		if len(w.writes) != 0 || w.stores["a"].links[request].Open() {
			t.Errorf("writes %v, link %+v", w.writes, w.stores["a"].links[request])
		}
	})
}

func TestANameThatLeadsToAnotherServiceThanBeforeIsReported(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := w.replica("a")
		w.once(r, access.CauseCreated)
		w.services[0].ID = "SNEW"
		time.Sleep(shared + 1)
		w.once(r, "webhook service.updated")
		wantIn(t, w.log.String(), "A name leads to another PagerDuty service than before", "name=payments before=SPAY now=SNEW")
	})
}

func TestALookThatCouldNotTellForgetsNothingThatThePollNeeds(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := w.replica("a")
		w.once(r, access.CauseCreated)
		known := w.stores["a"].links[request].Named
		w.fail = func(call string, _ int) fault {
			return map[string]fault{"user": refusing, "service": refusing}[call]
		}
		_, _, _ = w.look(r, "webhook service.updated")
		if got := w.stores["a"].links[request].Named; !reflect.DeepEqual(got, known) {
			t.Errorf("named = %+v, want %+v as before", got, known)
		}
	})
}

func TestAStoreOfAnotherClusterEndsNothing(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.cluster = "one"
		r := w.replica("a")
		w.once(r, access.CauseCreated)
		w.cluster = "two"
		w.expire() // as far as cluster two knows, the request does not exist
		w.writes = nil
		_, err, _ := w.look(r, access.CauseStart)
		if err == nil || !lasting(err) || !strings.Contains(err.Error(), "cluster one") {
			t.Errorf("error = %v, want one that names the other cluster", err)
		}
		w.wantWrites()
		if !w.incidents[0].Open() {
			t.Error("the incident of the other cluster's request was resolved")
		}
	})
}
