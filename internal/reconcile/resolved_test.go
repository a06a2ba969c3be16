package reconcile

import (
	"testing"
	"time"

	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/internal/policy"
)

const decideAt = "Decide it at https://proxy.example.com/web/requests/" + string(request)

// resolveEarly opens the request's incident and has it resolved.
func resolveEarly(w *world, r *Reconciler, who access.User) {
	w.t.Helper()
	w.settle(r, nil)
	w.resolvedBy(w.incidents[0].ID, who)
	w.writes = nil
	w.settle(r, nil)
}

func TestAnIncidentResolvedEarlyIsReopenedOnce(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		retrigger(w)
		r := w.replica("a")
		const reopened = "\n  note This incident was resolved, but the access request is still pending: the incident is open again. / " + decideAt
		resolveEarly(w, r, bobInPagerDuty)
		w.wantWrites("claim reopen", "reopen Q1", "note Q1", "record")
		w.wantEnd("request pending\nincident on SPAY, key teleport-access-request/ID, triggered" + reopened)
		w.resolvedBySomebody("Q1")
		w.settle(r, nil)
		w.settle(w.replica("b"), nil)
		w.wantEnd("request pending\nincident on SPAY, key teleport-access-request/ID, resolved" + reopened)
	})
}

func TestAnIncidentThatWasMovedAndResolvedIsNotReopened(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		retrigger(w)
		r := w.replica("a")
		w.settle(r, nil)
		w.incidents[0].Service = "SSHIP"
		w.resolvedBySomebody("Q1")
		w.settle(r, nil)
		w.wantEnd("request pending\nincident on SSHIP, key teleport-access-request/ID, resolved\n" +
			"  note This incident is resolved, but the access request is still pending. / " + decideAt)
	})
}

func TestARequestThatIsDecidedBeforeItsIncidentIsReopenedLeavesItResolved(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		retrigger(w)
		r := w.replica("a")
		w.settle(r, nil)
		w.resolvedBySomebody("Q1")
		w.writes = nil
		w.hooks["swap"] = func() { w.bob(access.Denied, "no") }
		w.once(r, access.CauseChanged)
		w.wantWrites("claim reopen", "claim reopen", "note Q1", "note Q1", "record")
	})
}

func TestWhatWasToldUnderOnePolicyIsNotDoneUnderAnother(t *testing.T) {
	for _, other := range []policy.OnIncidentResolved{policy.ResolvedRetrigger, policy.ResolvedDeny} {
		inWorld(t, func(t *testing.T, w *world) {
			r := w.replica("a")
			resolveEarly(w, r, bobInPagerDuty)
			w.rules.OnIncidentResolved = other
			w.writes = nil
			w.once(r, access.CauseReload)
			w.wantWrites()
		})
	}
}

func TestAPersonsResolvingDeniesTheRequest(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		deny(w)
		resolveEarly(w, w.replica("a"), bobInPagerDuty)
		const reason = "Denied by pdhook: Bob resolved PagerDuty incident Q, which asked for this decision."
		w.wantEnd(`request denied
  review denied by pdhook-bot
incident on SPAY, key teleport-access-request/ID, resolved
  note pdhook-bot reviewed the request at TIME. / Resolution: DENIED / Reason: ` + reason + `
  note Access request has been denied / Reason: ` + reason)
		if got := w.requests[request].Reviews[0].Reason; got != "Denied by pdhook: Bob resolved PagerDuty incident Q1, which asked for this decision." {
			t.Errorf("reason = %q", got)
		}
		wantIn(t, w.log.String(), "Successfully submitted a request denial")
		if link := w.stores["a"].links[request]; link.Open() || !link.Reviewed {
			t.Errorf("link = %+v, want it finished and reviewed", link)
		}
	})
}

func TestAPersonsResolvingDeniesAlsoWhereTheIncidentWasNeverRecorded(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		deny(w)
		w.fail = func(call string, _ int) fault { return map[string]fault{"create": orphaned}[call] }
		_, _, _ = w.look(w.replica("a"), access.CauseCreated)
		w.fail = nil
		w.resolvedBySomebody("Q1")
		time.Sleep(claimFor)
		w.settle(w.replica("b"), nil)
		wantIn(t, w.end(), "request denied\n  review denied by pdhook-bot")
	})
}

func TestAReopeningThatWasNeverRecordedIsNotForgotten(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		retrigger(w)
		w.annotate("notify", "payments", "shipping")
		w.threshold = 2
		r := w.replica("a")
		w.settle(r, nil)
		w.resolvedBySomebody("Q1")
		w.fail = func(call string, _ int) fault { return map[string]fault{"reopen": orphaned}[call] }
		_, _, _ = w.look(r, access.CauseChanged)
		time.Sleep(claimFor)
		// The next one cannot read the incident, and fails at the other one under a claim of its own.
		w.bob(access.Approved, "fine")
		read := false
		w.fail = func(call string, _ int) fault {
			if call == "get incident" && !read {
				read = true
				return refusing
			}
			return map[string]fault{"note": lost}[call]
		}
		_, _, _ = w.look(w.replica("b"), access.CauseStart)
		w.fail = nil
		time.Sleep(claimFor)
		w.settle(w.replica("c"), nil)
		wantIn(t, w.end(), "note This incident was resolved, but the access request is still pending: the incident is open again.")
	})
}

func TestAPersonWithoutANameDeniesByID(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		deny(w)
		resolveEarly(w, w.replica("a"), access.User{ID: "UBOB"})
		wantIn(t, w.end(), "request denied", "Denied by pdhook: UBOB resolved")
	})
}

func TestNobodyIsDeniedWithoutAPersonWhoResolved(t *testing.T) {
	const told = "  note This incident is resolved, but the access request is still pending. / " + decideAt
	for _, tt := range []struct {
		name  string
		who   access.User
		begin func(w *world)
		step  func(w *world)
		want  string
	}{
		{name: "a time-out", want: "request pending\n"},
		{name: "pdhook itself", who: access.User{ID: bot, Name: "pdhook"}, want: "request pending\n"},
		{name: "pdhook has already reviewed", who: bobInPagerDuty, want: "request pending\n  review approved by pdhook-bot\n",
			begin: func(w *world) { w.aliceIsOnCall(); w.threshold = 2 }},
		{name: "Teleport refuses pdhook's reviews", who: bobInPagerDuty, want: "request pending\n",
			begin: func(w *world) { w.denied = true }},
		{name: "PagerDuty does not let pdhook read who", who: bobInPagerDuty, want: "request pending\n",
			begin: func(w *world) { w.noResolver = &access.Failure{Class: access.Permanent, Err: access.ErrDenied} }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				deny(w)
				if tt.begin != nil {
					tt.begin(w)
				}
				r := w.replica("a")
				resolveEarly(w, r, tt.who)
				w.once(r, access.CauseTimer)
				end := tt.want + "incident on SPAY, key teleport-access-request/ID, resolved\n"
				if w.threshold == 2 {
					end += "  note pdhook-bot reviewed the request at TIME. / Resolution: APPROVED / Reason: " + reviewReason + "\n"
				}
				w.wantEnd(end + told)
			})
		})
	}
}

func TestADenialWhoseOutcomeIsUnclearIsDecidedAnew(t *testing.T) {
	for _, kind := range []fault{refusing, lost, severed} {
		t.Run(faultNames[kind], func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				deny(w)
				r := w.replica("a")
				w.settle(r, nil)
				w.resolvedBySomebody("Q1")
				w.fail = func(call string, _ int) fault { return map[string]fault{"review": kind}[call] }
				_, err, _ := w.look(r, access.CauseChanged)
				if taken := kind == severed; taken != (err == nil) {
					t.Errorf("error = %v", err)
				} else if err != nil {
					wantIn(t, err.Error(), "submitting the denial")
					if len(w.notes["Q1"]) != 0 {
						t.Errorf("notes = %v, want none before it is known whether the request is denied", w.notes["Q1"])
					}
				}
				w.fail = nil
				if err != nil { // meanwhile somebody puts alice on call: the next pass decides anew
					w.aliceIsOnCall()
					w.once(r, access.CauseRetry)
					if got := w.requests[request].State; got != access.Approved {
						t.Errorf("state = %s, want approved", got)
					}
				}
			})
		})
	}
}

func TestAnotherIncidentIsOpenedWhileADenialFails(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		deny(w)
		w.annotate("notify", "payments", "shipping")
		w.refuse["SSHIP"] = &access.Failure{Class: access.Permanent, Err: access.ErrDenied}
		r := w.replica("a")
		w.settle(r, nil)
		w.resolvedBySomebody("Q1")
		delete(w.refuse, "SSHIP")
		w.fail = func(call string, _ int) fault { return map[string]fault{"review": refusing}[call] }
		_, _, _ = w.look(r, access.CauseChanged)
		if len(w.incidents) != 2 {
			t.Fatalf("%d incidents, want 2", len(w.incidents))
		}
		wantIn(t, w.opened["Q2"].Details, "Not approved automatically: alice@example.com is not on call for payments: nobody is.")
	})
}

func TestNobodyIsDeniedByARememberedNo(t *testing.T) {
	for name, forget := range map[string]func(w *world){
		"with all that was read":               func(*world) {},
		"beside a user who was looked up anew": func(w *world) { delete(w.remembered, "user "+alice) },
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				deny(w)
				r := w.replica("a")
				w.settle(r, nil)
				w.resolvedBy(w.incidents[0].ID, bobInPagerDuty)
				w.aliceIsOnCall() // her shift began, and the webhook of the resolving is late
				time.Sleep(30 * time.Second)
				forget(w)
				_, _, _ = w.look(r, access.CauseTimer)
				if got := w.requests[request].State; got == access.Denied {
					t.Fatal("denied because alice was not on call 30 s ago")
				}
				w.settle(r, nil)
				if got := w.requests[request].State; got != access.Approved {
					t.Errorf("state = %s, want approved", got)
				}
			})
		})
	}
}
