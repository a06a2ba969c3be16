package reconcile

import (
	"strings"
	"testing"
	"time"

	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/internal/policy"
)

func TestAnotherReplicasClaimHoldsBackTheIncidentButNotTheApproval(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.aliceIsOnCall()
		until := time.Now().Add(claimFor)
		w.data[request] = map[string]string{keyEffect: effectOpen, keyHolder: "b", keyUntil: until.Format(time.RFC3339),
			keyRecord: `{"v":1,"incidents":[{"ref":"payments"}]}`}
		r := w.replica("a")
		_, err, _ := w.look(r, access.CauseCreated)
		w.wantWrites("review")
		if at := access.NotBefore(err); !at.After(until) {
			t.Errorf("the next look is at %s, want after %s; error %v", at, until, err)
		}
		w.settle(r, nil)
		w.wantEnd(`request approved
  review approved by pdhook-bot
incident on SPAY, key teleport-access-request/ID, resolved
  note pdhook-bot reviewed the request at TIME. / Resolution: APPROVED / Reason: ` + reviewReason + `
  note Access request has been approved / Reason: ` + reviewReason)
	})
}

func TestAClaimThatNoReplicaCanHaveMadeHoldsNothingBack(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.data[request] = map[string]string{keyEffect: effectOpen, keyHolder: "b", keyUntil: "9999-12-31T23:59:59Z",
			keyRecord: `{"v":1,"incidents":[{"ref":"payments"}]}`}
		if _, err, _ := w.look(w.replica("a"), access.CauseCreated); err != nil {
			t.Errorf("got %v, want the incident opened at once", err)
		}
		if len(w.incidents) != 1 {
			t.Errorf("want one incident:\n%s", w.end())
		}
	})
}

func TestTwoReplicasSideBySideDoEverythingOnce(t *testing.T) {
	for _, s := range stories {
		t.Run(s.name, func(t *testing.T) {
			var want string
			inWorld(t, func(t *testing.T, w *world) {
				s.tell(t, w, w.replica("a"), nil)
				want = w.end()
			})
			for _, later := range []time.Duration{0, 5 * time.Millisecond, 12 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond} {
				s.sideBySide(t, want, later, 0)
			}
			for _, ahead := range []time.Duration{-50 * time.Second, 50 * time.Second} {
				s.sideBySide(t, want, 12*time.Millisecond, ahead)
			}
		})
	}
}

// sideBySide tells the story to two replicas, one of which hears of everything a moment later and has its clock ahead.
func (s story) sideBySide(t *testing.T, want string, later, ahead time.Duration) {
	t.Helper()
	inWorld(t, func(t *testing.T, w *world) {
		w.latency = map[string]time.Duration{"swap": 20 * time.Millisecond, "create": 30 * time.Millisecond, "review": 10 * time.Millisecond,
			"note": 10 * time.Millisecond, "reopen": 15 * time.Millisecond, "get request": 7 * time.Millisecond}
		if s.begin != nil {
			s.begin(w)
		}
		steps := append([]func(*world){func(*world) {}}, s.steps...)
		replicas := []*Reconciler{w.replica("a"), w.replica("b")}
		replicas[1].now = func() time.Time { return time.Now().Add(ahead) }
		for _, step := range steps {
			step(w)
			done := make(chan struct{})
			for i, r := range replicas {
				go func() {
					defer func() { done <- struct{}{} }()
					time.Sleep(time.Duration(i) * later)
					w.settle(r, nil)
				}()
			}
			<-done
			<-done
		}
		if got := w.end(); got != want {
			t.Errorf("%s later, its clock %s ahead, it ended otherwise\ngot:\n%s\nwant:\n%s\nlog:\n%s", later, ahead, got, want, w.log.String())
		}
	})
}

func TestARequestThatIsDecidedBeforePdhookSeesItOpensNoIncident(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.bob(access.Approved, "")
		w.once(w.replica("a"), access.CauseStart)
		w.wantWrites()
	})
}

func TestARequestThatIsDecidedBetweenClaimAndCreation(t *testing.T) {
	t.Run("opens none when it is seen", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			w.hooks["swap"] = func() { w.bob(access.Denied, "no") }
			r := w.replica("a")
			w.once(r, access.CauseCreated)
			w.once(r, access.CauseChanged)
			w.wantWrites("claim open", "record")
			if w.stores["a"].links[request].Open() {
				t.Error("the link is still open")
			}
		})
	})
	t.Run("opens it when another replica has just approved it", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			w.hooks["swap"] = func() { w.reviewBy(pdhook, access.Approved, "on call") }
			w.once(w.replica("a"), access.CauseCreated)
			w.wantWrites("claim open", "create SPAY", "claim open", "note Q1", "note Q1", "resolve Q1", "record")
		})
	})
	t.Run("opens it after a crash, because it may be open already", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			w.fail = func(call string, _ int) fault { return map[string]fault{"swap": orphaned}[call] }
			_, _, _ = w.look(w.replica("a"), access.CauseCreated)
			w.fail = nil
			w.bob(access.Denied, "no")
			w.settle(w.replica("a"), nil)
			w.wantEnd(`request denied
  review denied by bob
incident on SPAY, key teleport-access-request/ID, resolved
  note bob reviewed the request at TIME. / Resolution: DENIED / Reason: no
  note Access request has been denied / Reason: no`)
		})
	})
}

func TestAPassEndsBeforeItsClaimDoes(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.hooks["create"] = func() { time.Sleep(claimFor) }
		began := time.Now()
		r := w.replica("a")
		_, err, _ := w.look(r, access.CauseCreated)
		if err == nil {
			t.Error("a pass that took a minute succeeded")
		}
		if len(w.incidents) != 0 {
			t.Errorf("an incident was opened %s after the pass began", time.Since(began))
		}
		w.settle(r, nil)
		if len(w.incidents) != 1 {
			t.Errorf("%d incidents, want 1", len(w.incidents))
		}
	})
}

func TestNoClaimIsLeftBehindWhenAllThatFailedWasTheEvaluation(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		time.Sleep(2 * time.Minute) // the request may have lost its traces: everything is looked up
		w.fail = func(call string, nth int) fault {
			if call == "user" && nth < 10 {
				return refusing
			}
			return works
		}
		w.settle(w.replica("a"), nil)
		if len(w.incidents) != 1 || w.data[request][keyHolder] != "" {
			t.Errorf("want an incident and no claim:\n%s\n%v", w.end(), w.calls)
		}
	})
}

func TestARequestThatIsGoneBeforeItIsClaimedOpensNoIncident(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := w.replica("a")
		w.hooks["swap"] = w.expire
		_, _, _ = w.look(r, access.CauseCreated)
		w.settle(r, nil)
		if len(w.incidents) != 0 {
			t.Errorf("an incident was opened for a request that is gone:\n%s", w.end())
		}
	})
}

func TestADecisionIsToldOnceAlsoWhenWhoToldItDiesAndTheRequestIsGoneByThen(t *testing.T) {
	for _, call := range []string{"note", "resolve"} {
		for _, heir := range []string{"a", "b"} {
			inWorld(t, func(t *testing.T, w *world) {
				r := w.replica("a")
				w.settle(r, nil)
				w.bob(access.Approved, "fine")
				w.fail = func(name string, _ int) fault {
					if name == call && (name != "note" || len(w.notes["Q1"]) == 1) {
						return orphaned
					}
					return works
				}
				_, _, _ = w.look(r, access.CauseChanged)
				w.fail = nil
				w.expire()
				time.Sleep(claimFor)
				w.settle(w.replica(heir), nil)
				wantIn(t, w.end(), "note Access request has been approved / Reason: fine\n")
				if n := len(w.notes["Q1"]); n > 2 || w.incidents[0].Open() {
					t.Errorf("killed after its %s, heir %s: want bob's review and the decision told, and the incident ended:\n%s", call, heir, w.end())
				}
			})
		}
	}
}

func TestAnIncidentThatCouldNotBeRecordedIsEndedAlsoWhenItsServiceHasAnotherNameByThen(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := w.replica("a")
		w.fail = w.nothingIsRecorded()
		_, _, _ = w.look(r, access.CauseCreated)
		w.fail = nil
		w.services[0].Name = "old payments"
		w.bob(access.Approved, "fine")
		w.settle(r, nil)
		if len(w.incidents) != 1 || w.incidents[0].Open() || len(w.notes["Q1"]) != 2 {
			t.Errorf("want the incident told and ended:\n%s", w.end())
		}
	})
}

func TestADecisionThatFallsWithinThePassIsToldOnceAlsoWhenTheRequestIsGoneAfterAKill(t *testing.T) {
	for _, heir := range []string{"a", "b"} {
		inWorld(t, func(t *testing.T, w *world) {
			w.aliceIsOnCall()
			w.fail = func(call string, _ int) fault { return map[string]fault{"resolve": orphaned}[call] }
			_, _, _ = w.look(w.replica("a"), access.CauseCreated)
			w.fail = nil
			w.expire()
			time.Sleep(claimFor)
			w.settle(w.replica(heir), nil)
			told := 0
			for _, n := range w.notes["Q1"] {
				if strings.HasPrefix(n.Content, "Access request has been") {
					told++
				}
			}
			if told != 1 || w.incidents[0].Open() {
				t.Errorf("heir %s: want the approval told once, and the incident ended:\n%s", heir, w.end())
			}
		})
	}
}

func TestAnIncidentIsStillLookedForWhenItsCreatorDiedAfterTellingTheDecisionOnAnother(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.annotate("notify", "payments", "shipping")
		w.aliceIsOnCall()
		created := 0
		w.fail = func(call string, _ int) fault {
			switch call {
			case "create":
				created++
				return map[int]fault{1: severed}[created]
			case "note":
				return orphaned
			}
			return works
		}
		_, _, _ = w.look(w.replica("a"), access.CauseCreated)
		w.fail = nil
		w.rules.Notify = policy.NotifyUnlessApproved // else the review alone would have it opened
		time.Sleep(claimFor)
		w.settle(w.replica("b"), nil)
		if len(w.incidents) != 2 || w.incidents[0].Open() || w.incidents[1].Open() {
			t.Errorf("want both incidents ended:\n%s", w.end())
		}
	})
}

func TestAClaimIsGivenUpOnceNothingIsMissingAnyMore(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.annotate("notify", "payments", "shipping")
		failing := map[string]fault{"create": lost, "get incident": refusing} // each once
		w.fail = func(call string, _ int) fault {
			defer delete(failing, call)
			return failing[call]
		}
		r := w.replica("a")
		w.settle(r, nil)
		if left := w.data[request]; left[keyHolder] != "" || left[keyEffect] != "" || left[keyUntil] != "" {
			t.Errorf("a claim is left although everything is done:\n%s", w.end())
		}
		writes := len(w.writes)
		w.once(r, access.CauseTimer)
		if len(w.writes) != writes {
			t.Errorf("another look wrote %q", w.writes[writes:])
		}
	})
}

func TestAClaimIsLeftWhereItIsWhileSomethingMayBeBehindIt(t *testing.T) {
	for _, tt := range []struct {
		name   string
		holder string
		given  func(w *world)
	}{
		{"another replica is at work", "b", func(*world) {}},
		{"the incident cannot be read", "a", func(w *world) {
			w.fail = func(call string, _ int) fault { return map[string]fault{"get incident": refusing}[call] }
		}},
		{"a dry run writes nothing", "a", func(w *world) { w.rules.DryRun = true }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				r := w.replica("a")
				w.settle(r, nil)
				w.data[request][keyEffect], w.data[request][keyHolder] = effectReopen, tt.holder
				w.data[request][keyUntil] = time.Now().Add(claimFor).Format(time.RFC3339)
				tt.given(w)
				_, _, _ = w.look(r, access.CauseTimer)
				if got := w.data[request][keyHolder]; got != tt.holder {
					t.Errorf("the claim is held by %q, want %q", got, tt.holder)
				}
			})
		})
	}
}
