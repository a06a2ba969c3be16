package reconcile

import (
	"slices"
	"testing"
	"time"

	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/internal/policy"
)

func TestRequestsOfOneMomentShareTheirNames(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := w.replica("a")
		w.once(r, access.CauseCreated)
		w.wantQuestions("first look", "on-calls", "service", "user")
		time.Sleep(shared)
		w.once(r, access.CauseChanged)
		w.wantQuestions("in the same moment", "on-calls")
		w.once(r, access.CauseRetry)
		w.wantQuestions("repeated look", "on-calls", "service")
		time.Sleep(shared + 1)
		w.once(r, access.CauseChanged)
		w.wantQuestions("later", "on-calls", "service")
		w.rules.OnIncidentResolved = policy.ResolvedDeny
		time.Sleep(time.Nanosecond)
		w.once(r, access.CauseChanged)
		w.wantQuestions("look that may deny", "on-calls", "service")
	})
}

func TestAQuestionAboutDutyThatHangsCostsALookItsTimeOnce(t *testing.T) {
	for _, cause := range []string{access.CauseCreated, "webhook incident.acknowledged", access.CauseTimer} {
		t.Run(cause, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.threshold = 2
				r := w.replica("a")
				if cause != access.CauseCreated {
					w.once(r, access.CauseCreated)
					time.Sleep(2 * remembered)
				}
				w.bob(access.Approved, "fine")
				w.latency["on-calls"] = 10 * time.Second
				w.fail = func(call string, _ int) fault { return map[string]fault{"on-calls": refusing}[call] }
				began := time.Now()
				_, _, _ = w.look(r, cause)
				if took := time.Since(began); took > w.latency["on-calls"] || len(w.notes["Q1"]) != 1 {
					t.Errorf("after a look of %s: %v, want bob's review told after 10s", took, w.notes["Q1"])
				}
			})
		})
	}
}

func TestAQuestionAboutDutyThatHangsHoldsUpNobodyWhoIsOnDutyByASchedule(t *testing.T) {
	for _, cause := range []string{"webhook incident.acknowledged", access.CauseTimer} {
		inWorld(t, func(t *testing.T, w *world) {
			w.annotate("schedules", "night")
			r := w.replica("a")
			_, _, _ = w.look(r, access.CauseCreated)
			time.Sleep(2 * remembered)
			w.aliceIsOnDuty()
			w.fail = func(call string, _ int) fault { return map[string]fault{"on-calls": refusing}[call] }
			_, _, _ = w.look(r, cause)
			if got := w.requests[request].State; got != access.Approved {
				t.Errorf("%s: state = %s, want approved", cause, got)
			}
		})
	}
}

func TestWhatHasJustBeenMadeIsFound(t *testing.T) {
	for name, missing := range map[string]func(w *world) (put func()){
		"user": func(w *world) func() {
			u := w.users[alice]
			delete(w.users, alice)
			return func() { w.users[alice] = u }
		},
		"service": func(w *world) func() { s := w.services; w.services = nil; return func() { w.services = s } },
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.aliceIsOnCall()
				put := missing(w)
				r := w.replica("a")
				_, _, _ = w.look(r, access.CauseCreated)
				put()
				time.Sleep(time.Nanosecond)
				_, _, _ = w.look(r, access.CauseChanged)
				if got := w.requests[request].State; got != access.Approved {
					t.Errorf("state = %s, want it approved", got)
				}
			})
		})
	}
}

func TestAShiftThatStartsWhileThePassIsRunningIsNotMissed(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.onCalls = []access.OnCall{{User: w.users[alice], Policy: "PPAY", Level: 1, Start: time.Now().Add(2 * time.Second)}}
		w.latency["swap"] = 3 * time.Second // after which it is decided again, on the same facts
		result, err, _ := w.look(w.replica("a"), access.CauseCreated)
		if err != nil || result.After <= 0 || result.After > 2*time.Second {
			t.Errorf("result = %+v, %v, want another look at once", result, err)
		}
	})
}

func TestFactsThatWereTrueElevenSecondsAgoApproveNobody(t *testing.T) {
	outage := func(w *world) {
		w.rules.RequireIncident = policy.RequireOpen
		w.incident("outage", "SPAY", stranger)
	}
	for slow, begin := range map[string]func(w *world){
		"on-calls":       func(*world) {},
		"service":        func(*world) {},
		"user":           func(*world) {},
		"schedule":       func(w *world) { w.annotate("schedules", "night"); w.aliceIsOnDuty() },
		"open incidents": outage,
		"bot":            outage,
		"swap":           func(*world) {},
	} {
		t.Run("because of "+slow, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.aliceIsOnCall()
				begin(w)
				w.hooks[slow] = func() { time.Sleep(11 * time.Second) }
				r := w.replica("a")
				if _, err, _ := w.look(r, access.CauseCreated); err == nil {
					t.Error("the look succeeded")
				}
				if len(w.limits) != 0 {
					t.Error("a review was submitted")
				}
				w.settle(r, nil)
				if got := w.requests[request].State; got != access.Approved {
					t.Errorf("state = %s, want approved on fresh facts", got)
				}
			})
		})
	}
}

func TestAnAcknowledgedOutageApprovesWhoAcknowledgedIt(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.aliceIsOnCall()
		w.rules.RequireIncident = policy.RequireAcknowledged
		outage := w.incident("outage", "SPAY", stranger)
		r := w.replica("a")
		w.once(r, access.CauseCreated)
		wantIn(t, w.opened["Q2"].Details, "Not approved automatically: no open incident on payments counts: Q1 is not acknowledged by alice@example.com.")
		w.acknowledgedBy("Q2", w.users[alice]) // pdhook's own never counts
		w.once(r, "webhook incident.acknowledged")
		wantIn(t, w.stores["a"].decisions[request].Sentence, "Q2 is pdhook's own notification, Q1 is not acknowledged by alice@example.com")
		w.acknowledgedBy(outage.ID, bobInPagerDuty)
		w.once(r, "webhook incident.acknowledged")
		if got := w.requests[request].State; got != access.Pending {
			t.Fatalf("state = %s, want pending", got)
		}
		w.acknowledgedBy(outage.ID, w.users[alice])
		w.once(r, "webhook incident.acknowledged")
		reason := w.requests[request].Reviews[0].Reason
		wantIn(t, reason, "incident Q1 on payments (triggered by USTRANGER) is acknowledged by alice@example.com.\n", "pdhook: basis=Q1 oncall=PPAY/1/UALICE/SCHED read=")
		if !w.incidents[0].Open() {
			t.Error("the outage was resolved with the request")
		}
	})
}

func TestNotificationsNeverCount(t *testing.T) {
	for name, incident := range map[string]func(w *world){
		"by their key":         func(w *world) { w.incident(access.KeyPrefix+"another", "SPAY", stranger) },
		"by who triggers them": func(w *world) { w.incident("test", "SPAY", bot) },
		"by a link": func(w *world) {
			i := w.incident("x", "SPAY", stranger)
			w.stores["a"].links["R2"] = access.Link{Request: "R2", Incidents: []access.LinkedIncident{{ID: i.ID}}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.aliceIsOnCall()
				w.rules.RequireIncident, w.rules.OwnIncidents = policy.RequireOpen, true
				r := w.replica("a")
				incident(w)
				w.once(r, access.CauseCreated)
				if got := w.requests[request].State; got != access.Pending {
					t.Errorf("state = %s, want pending", got)
				}
			})
		})
	}
	t.Run("but the survivor of one that was merged does", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			w.aliceIsOnCall()
			w.rules.RequireIncident = policy.RequireOpen
			r := w.replica("a")
			survivor := w.incident("outage", "SPAY", stranger)
			w.stores["a"].links["R2"] = access.Link{Request: "R2", Incidents: []access.LinkedIncident{{ID: "Q9", MergedInto: survivor.ID}}}
			w.once(r, access.CauseCreated)
			if got := w.requests[request].State; got != access.Approved {
				t.Errorf("state = %s, want approved", got)
			}
		})
	})
	t.Run("where it cannot be told who pdhook is, nobody is approved yet", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			w.aliceIsOnCall()
			w.rules.RequireIncident = policy.RequireOpen
			w.incident("outage", "SPAY", stranger)
			w.fail = func(call string, _ int) fault { return map[string]fault{"bot": refusing}[call] }
			r := w.replica("a")
			_, _, _ = w.look(r, access.CauseCreated)
			wantIn(t, w.opened["Q2"].Details, "Could not be evaluated: what is open on payments could not be read: bot: 503.")
			w.fail = nil
			w.settle(r, nil)
			if got := w.requests[request].State; got != access.Approved {
				t.Errorf("state = %s, want approved", got)
			}
		})
	})
}

func TestIncidentsAreAskedForOnlyWhereOneIsRequiredAndTheRequesterIsOnCall(t *testing.T) {
	for _, tt := range []struct {
		name  string
		given func(w *world)
		asked bool
	}{
		{"none required", (*world).aliceIsOnCall, false},
		{"required, not on call", func(w *world) { w.rules.RequireIncident = policy.RequireOpen }, false},
		{"required, on call", func(w *world) { w.rules.RequireIncident = policy.RequireOpen; w.aliceIsOnCall() }, true},
	} {
		inWorld(t, func(t *testing.T, w *world) {
			tt.given(w)
			w.once(w.replica("a"), access.CauseCreated)
			if got := slices.Contains(w.calls, "open incidents"); got != tt.asked {
				t.Errorf("%s: asked = %v, want %v", tt.name, got, tt.asked)
			}
		})
	}
}

func TestADryRunDecidesAndRecordsAndChangesNothing(t *testing.T) {
	for _, s := range stories {
		t.Run(s.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				if s.begin != nil {
					s.begin(w)
				}
				w.rules.DryRun = true
				data, reviews := len(w.data[request]), len(w.requests[request].Reviews)
				r := w.replica("a")
				w.writes = nil
				w.settle(r, nil)
				if d := w.stores["a"].decisions[request]; d.Verdict == "" || d.Sentence == "" {
					t.Errorf("decision = %+v, want it recorded", d)
				}
				for _, step := range s.steps {
					by := w.requests[request]
					step(w)
					if changed := w.requests[request]; len(changed.Reviews) > len(by.Reviews) {
						reviews += len(changed.Reviews) - len(by.Reviews)
					}
					w.settle(r, nil)
				}
				w.wantWrites()
				if len(w.data[request]) != data {
					t.Errorf("plugin data was written: %v", w.data[request])
				}
				if req, there := w.requests[request]; there && len(req.Reviews) != reviews {
					t.Errorf("reviews = %+v", req.Reviews)
				}
			})
		})
	}
	t.Run("and begins in earnest once it is switched off", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			w.aliceIsOnCall()
			w.rules.DryRun = true
			r := w.replica("a")
			w.settle(r, nil)
			if got := w.stores["a"].decisions[request].Verdict; got != access.Approve {
				t.Errorf("verdict = %s, want approve", got)
			}
			w.rules.DryRun = false
			w.once(r, access.CauseReload)
			w.wantWrites("claim open", "review", "create SPAY", "claim open", "note Q1", "note Q1", "resolve Q1", "record")
		})
	})
}
