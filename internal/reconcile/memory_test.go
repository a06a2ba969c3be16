package reconcile

import (
	"slices"
	"testing"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

// questions gives the questions about facts that were asked since the last time.
func (w *world) questions() []string {
	asked := slices.DeleteFunc(slices.Clone(w.calls), func(c string) bool { return !slices.Contains(factNames, c) })
	slices.Sort(asked)
	w.calls = nil
	return asked
}

func (w *world) wantQuestions(when string, want ...string) {
	w.t.Helper()
	if got := w.questions(); !slices.Equal(got, want) {
		w.t.Errorf("%s: asked %q, want %q", when, got, want)
	}
}

func TestARememberedNoCostsNoQuestionWhenOnlyTimeHasPassed(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := w.replica("a")
		w.once(r, access.CauseCreated)
		w.wantQuestions("first look", "on-calls", "service", "user")
		time.Sleep(59 * time.Second)
		w.once(r, access.CauseTimer)
		w.wantQuestions("timer after 59 s")
		time.Sleep(2 * time.Second)
		w.once(r, access.CauseTimer)
		w.wantQuestions("timer after 61 s", "on-calls", "service") // which show nobody of that address on duty
		time.Sleep(people)
		w.once(r, access.CauseTimer)
		w.wantQuestions("timer after an hour", "on-calls", "service", "user")
	})
}

func TestARememberedUserCountsOnlyAsFarAsDutyConfirmsIt(t *testing.T) {
	for _, tt := range []struct {
		name    string
		changes func(w *world)
		user    access.UserID // who is approved; "": nobody
		asked   []string
	}{
		{"nothing changed", func(*world) {}, "", []string{"on-calls", "service"}},
		{"came on call", func(w *world) { w.aliceIsOnCall() }, "UALICE", []string{"on-calls", "service"}},
		{"the address is another user's now, who is on call", func(w *world) {
			w.users[alice] = access.User{ID: "UNEW", Name: "Alice", Email: alice}
			w.aliceIsOnCall()
		}, "UNEW", []string{"on-calls", "service", "user"}},
		{"the user has another address now and is on call", func(w *world) {
			w.aliceIsOnCall()
			w.users[alice] = access.User{ID: "UNEW", Name: "Alice", Email: alice}
			for i := range w.onCalls {
				w.onCalls[i].User.Email = "smith@example.com"
			}
		}, "", []string{"on-calls", "service", "user"}},
		{"PagerDuty leaves the address out", func(w *world) {
			w.aliceIsOnCall()
			for i := range w.onCalls {
				w.onCalls[i].User.Email = ""
			}
		}, "", []string{"on-calls", "service", "user"}},
		{"who is on duty cannot be read", func(w *world) {
			w.fail = func(call string, _ int) fault {
				if call == "on duty" {
					return refusing
				}
				return works
			}
		}, "", []string{"on-calls", "service", "user"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				r := w.replica("a")
				w.once(r, access.CauseCreated)
				time.Sleep(2 * remembered)
				w.questions()
				tt.changes(w)
				_, _, _ = w.look(r, "webhook incident.acknowledged")
				if got := slices.Compact(w.questions()); !slices.Equal(got, tt.asked) {
					t.Errorf("asked %q, want %q", got, tt.asked)
				}
				if got := w.requests[request].State == access.Approved; got != (tt.user != "") {
					t.Errorf("approved = %v, want %v", got, tt.user != "")
				}
				if tt.user != "" {
					wantIn(t, w.log.String(), "pd_user_id="+string(tt.user))
				}
			})
		})
	}
}

func TestAFirstLookRefusesNobodyForNamesThatWereLookedUpBefore(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.once(w.replica("another request"), access.CauseCreated)
		w.services[0].Policy = "PNEW" // and no webhook tells of it
		w.aliceIsOnCall()
		w.onCalls[0].Policy = "PNEW"
		time.Sleep(time.Second)
		w.once(w.replica("a"), access.CauseCreated)
		if got := w.requests[request].State; got != access.Approved {
			t.Errorf("state = %s, want approved: alice is on call for payments", got)
		}
	})
}

func TestARememberedYesIsAlwaysAskedAgain(t *testing.T) {
	t.Run("and is a yes only if it still is", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			w.aliceIsOnCall()
			w.rules.DryRun = true // so that the yes is remembered
			r := w.replica("a")
			w.once(r, access.CauseCreated)
			w.rules.DryRun = false
			w.onCalls = nil
			time.Sleep(2 * time.Second)
			w.questions()
			w.once(r, access.CauseTimer)
			w.wantQuestions("timer", "on-calls", "service", "user")
			if got := w.requests[request].State; got != access.Pending {
				t.Errorf("state = %s: alice was approved because she was on call 2 s ago", got)
			}
		})
	})
	t.Run("and rests on what was read just before", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			w.aliceIsOnCall()
			w.rules.DryRun = true
			r := w.replica("a")
			w.once(r, access.CauseCreated)
			w.rules.DryRun = false
			time.Sleep(50 * time.Second)
			began := time.Now()
			w.once(r, access.CauseTimer)
			if got := w.stores["a"].decisions[request].Evidence.ReadAt; got.Before(began) {
				t.Errorf("approved on facts read %s before the look", began.Sub(got))
			}
			if got := w.requests[request].State; got != access.Approved {
				t.Errorf("state = %s, want approved", got)
			}
		})
	})
}

func TestOnlyALookBecauseOfTheTimerUsesMemory(t *testing.T) {
	for _, cause := range []string{access.CauseStart, access.CauseReconnect, access.CauseCreated, access.CauseChanged, access.CauseReload,
		access.CauseShift, access.CausePoll, access.CauseRetry, "webhook incident.acknowledged"} {
		t.Run(cause, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				r := w.replica("a")
				w.once(r, access.CauseCreated)
				time.Sleep(time.Second)
				w.aliceIsOnCall()
				w.once(r, cause)
				if got := w.requests[request].State; got != access.Approved {
					t.Errorf("state = %s, want approved", got)
				}
			})
		})
	}
	t.Run("not the first one of a replica", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			w.once(w.replica("a"), access.CauseCreated)
			time.Sleep(time.Second)
			w.aliceIsOnCall()
			w.once(w.replica("b"), access.CauseTimer)
			if got := w.requests[request].State; got != access.Approved {
				t.Errorf("state = %s, want approved", got)
			}
		})
	})
	t.Run("not one with a webhook that has not taken effect", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			r := w.replica("a")
			w.once(r, access.CauseCreated)
			time.Sleep(time.Second)
			w.aliceIsOnCall()
			w.stores["a"].events[request] = []access.EventID{"E1"}
			w.once(r, access.CauseTimer)
			if got := w.requests[request].State; got != access.Approved {
				t.Errorf("state = %s, want approved", got)
			}
		})
	})
}

func TestTheStartOfAShiftIsNeverAnsweredFromMemory(t *testing.T) {
	for name, begin := range map[string]func(w *world, start time.Time){
		"of a policy": func(w *world, start time.Time) {
			w.onCalls = []access.OnCall{{User: w.users[alice], Policy: "PPAY", Level: 1, Start: start, End: start.Add(time.Hour)}}
		},
		"of a schedule": func(w *world, start time.Time) {
			w.annotate("schedules", "night")
			w.schedules = []access.Schedule{{ID: "SNIGHT", Name: "night", Shifts: []access.Shift{{User: "UALICE", Start: start, End: start.Add(time.Hour)}}}}
		},
	} {
		for _, cause := range []string{access.CauseShift, access.CauseTimer} { // a timer that comes first must not swallow it
			t.Run(name+", "+cause, func(t *testing.T) {
				inWorld(t, func(t *testing.T, w *world) {
					begin(w, time.Now().Add(30*time.Second))
					r := w.replica("a")
					result, err, _ := w.look(r, access.CauseCreated)
					if err != nil || result.After != 30*time.Second {
						t.Fatalf("result = %+v, %v, want a look after 30s", result, err)
					}
					time.Sleep(10 * time.Second)
					if result, err, _ = w.look(r, access.CauseTimer); err != nil || result.After != 20*time.Second {
						t.Fatalf("result = %+v, %v, want a look after 20s", result, err)
					}
					time.Sleep(20 * time.Second)
					w.once(r, cause)
					if got := w.requests[request].State; got != access.Approved {
						t.Errorf("state = %s, want approved", got)
					}
				})
			})
		}
	}
}
