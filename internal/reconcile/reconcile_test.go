package reconcile

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

// details gives the body with which the world's only incident was opened.
func (w *world) details() string {
	w.t.Helper()
	if len(w.incidents) != 1 {
		w.t.Fatalf("%d incidents exist, want 1\n%s", len(w.incidents), w.log.String())
	}
	return w.opened[w.incidents[0].ID].Details
}

func (w *world) wantWrites(want ...string) {
	w.t.Helper()
	if !slices.Equal(w.writes, want) {
		w.t.Errorf("what was written, in order\ngot  %q\nwant %q\n%s", w.writes, want, w.log.String())
	}
}

func (w *world) wantEnd(want string) {
	w.t.Helper()
	lines := slices.DeleteFunc(strings.Split(w.end(), "\n"), func(l string) bool { return l == "" || strings.HasPrefix(l, "data ") })
	if got := strings.Join(lines, "\n"); got != want {
		w.t.Errorf("the end\ngot:\n%s\nwant:\n%s\nlog:\n%s", got, want, w.log.String())
	}
}

func wantIn(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q is missing in\n%s", part, text)
		}
	}
}

func TestARequestOpensAnIncidentThatTellsItsDecisionAndIsResolved(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := w.replica("a")
		w.once(r, access.CauseCreated)
		w.wantWrites("claim open", "create SPAY", "record")
		wantIn(t, w.details(), "User: alice@example.com", "Roles: dev", "Reason: disk is full", "Request ID: "+string(request),
			"Link: https://proxy.example.com/web/requests/"+string(request),
			"Not approved automatically: alice@example.com is not on call for payments: nobody is.")
		if got := w.opened[w.incidents[0].ID].Title; got != "Access request from alice@example.com" {
			t.Errorf("title = %q", got)
		}
		w.writes = nil
		w.bob(access.Denied, "not\ntoday")
		w.once(r, access.CauseChanged)
		w.wantWrites("claim notes", "note Q1", "note Q1", "resolve Q1", "record")
		w.wantEnd(`request denied
  review denied by bob
incident on SPAY, key teleport-access-request/ID, resolved
  note bob reviewed the request at TIME. / Resolution: DENIED / Reason: not today
  note Access request has been denied / Reason: not today`)
		if w.stores["a"].links[request].Open() {
			t.Error("the link is still open")
		}
	})
}

func TestLookingTwiceDoesNothingTheSecondTime(t *testing.T) {
	for _, s := range stories {
		t.Run(s.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				r := w.replica("a")
				s.tell(t, w, r, nil)
				w.writes = nil
				for _, cause := range []string{access.CauseTimer, access.CauseChanged, "webhook incident.resolved"} {
					w.once(r, cause)
				}
				w.once(w.replica("a"), access.CauseStart)
				w.wantWrites()
			})
		})
	}
	t.Run("while it is pending", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			r := w.replica("a")
			w.once(r, access.CauseCreated)
			w.writes = nil
			w.once(r, access.CauseChanged)
			w.once(w.replica("b"), access.CauseStart)
			w.wantWrites()
		})
	})
}

func TestARequestThatIsGoneIsExpired(t *testing.T) {
	const end = `request gone
incident on SPAY, key teleport-access-request/ID, resolved
  note Access request has been expired`
	for name, mine := range map[string]string{"its own replica": "a", "another replica": "b"} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.once(w.replica("a"), access.CauseCreated)
				w.expire()
				w.once(w.replica(mine), access.CauseGone)
				w.wantEnd(end)
				if got := w.data[request][keyResolution]; got != "expired" {
					t.Errorf("resolution = %q, want expired", got)
				}
			})
		})
	}
	t.Run("when its time is over, whatever the watch says", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			r := w.replica("a")
			w.once(r, access.CauseCreated)
			delete(w.requests, request)
			time.Sleep(time.Hour + time.Second)
			w.once(r, access.CauseTimer)
			w.wantEnd(end)
		})
	})
	t.Run("when its plugin data is gone, too", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			r := w.replica("a")
			w.once(r, access.CauseCreated)
			w.expire()
			delete(w.data, request)
			w.fail = func(call string, _ int) fault { return map[string]fault{"resolve": refusing}[call] }
			_, _, _ = w.look(r, access.CauseGone)
			w.fail = nil
			w.once(r, access.CauseRetry)
			w.wantEnd(end)
		})
	})
	t.Run("and keeps the notes of reviews that only the link remembers", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			w.threshold = 2
			r := w.replica("a")
			w.once(r, access.CauseCreated)
			w.bob(access.Approved, "fine")
			w.fail = func(call string, _ int) fault { return map[string]fault{"note": refusing}[call] }
			_, _, _ = w.look(r, access.CauseChanged)
			w.fail = nil
			w.expire()
			w.once(r, access.CauseGone)
			w.wantEnd(`request gone
incident on SPAY, key teleport-access-request/ID, resolved
  note bob reviewed the request at TIME. / Resolution: APPROVED / Reason: fine
  note Access request has been expired`)
		})
	})
}

func TestARequestThatIsMerelyNotVisibleIsReportedAndLeftAlone(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := w.replica("a")
		w.once(r, access.CauseCreated)
		delete(w.requests, request)
		w.writes = nil
		_, err, _ := w.look(r, access.CauseTimer)
		if err == nil || !strings.Contains(err.Error(), "not visible") || lasting(err) {
			t.Errorf("error = %v, want one that says not visible, and another look soon", err)
		}
		w.wantWrites()
	})
}

func TestALateEventOfAFinishedRequestIsNoReasonToLookForItAfterARestart(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := w.replica("a")
		w.once(r, access.CauseCreated)
		w.expire()
		w.once(r, access.CauseGone)
		w.stores["a"].events[request] = []access.EventID{"E1"} // of the incident that pdhook resolved
		delete(w.gone, request)                                // a new process has not seen it go
		w.writes = nil
		w.once(w.replica("a"), "webhook")
		w.wantWrites()
		if left := w.stores["a"].events[request]; len(left) != 0 {
			t.Errorf("events left = %q, want none", left)
		}
	})
}

func TestARequestThatNamesNothingIsIgnored(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.annotate("notify")
		w.annotate("services")
		w.once(w.replica("a"), access.CauseCreated)
		if want := []string{"get request"}; !slices.Equal(w.calls, want) {
			t.Errorf("calls = %q, want %q", w.calls, want)
		}
	})
}

func TestEventsAreFinishedOnlyByALookThatSucceeded(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := w.replica("a")
		w.stores["a"].events[request] = []access.EventID{"E1"}
		for _, call := range []string{"get request", "create", "on-calls"} {
			w.fail = func(c string, _ int) fault { return map[string]fault{call: refusing}[c] }
			_, _, _ = w.look(r, access.CauseCreated)
			if len(w.stores["a"].events[request]) != 1 {
				t.Errorf("the event was finished although %q failed", call)
			}
		}
		w.fail = nil
		w.hooks["get request"] = func() { w.stores["a"].events[request] = append(w.stores["a"].events[request], "E2") }
		w.once(r, access.CauseRetry)
		if got := w.stores["a"].events[request]; !slices.Equal(got, []access.EventID{"E2"}) {
			t.Errorf("events left = %q, want only the one that came during the pass", got)
		}
	})
}

func TestTheLinkKeepsWhoAcknowledgedAndWhatTheRoleNames(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := w.replica("a")
		w.annotate("services", "payments", "id:SSHIP")
		w.once(r, access.CauseCreated)
		w.incidents[0].Status, w.incidents[0].Acknowledged = access.Acknowledged, []access.User{{ID: "PBOB", Name: "Bob"}}
		w.once(r, "webhook incident.acknowledged")
		link := w.stores["a"].links[request]
		if got := link.Incidents[0]; got.Status != access.Acknowledged || !slices.Equal(got.AcknowledgedBy, []string{"Bob"}) {
			t.Errorf("incident = %+v", got)
		}
		want := access.Named{ServiceNames: []string{"payments"}, Services: []access.ServiceID{"SPAY", "SSHIP"},
			Meant:    map[string]access.ServiceID{"payments": "SPAY", "id:SSHIP": "SSHIP"},
			Policies: []access.PolicyID{"PPAY", "PSHIP"}, User: "UALICE"}
		if got := fmt.Sprint(link.Named); got != fmt.Sprint(want) {
			t.Errorf("named = %v, want %v", got, want)
		}
	})
}

func TestTheNextLookIsWhenTheShiftStarts(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.onCalls = []access.OnCall{{User: w.users[alice], Policy: "PPAY", Level: 1, Start: time.Now().Add(10 * time.Minute)}}
		r := w.replica("a")
		result, err, _ := w.look(r, access.CauseCreated)
		if err != nil || result.After != 10*time.Minute {
			t.Fatalf("result = %+v, %v, want a look after 10m", result, err)
		}
		time.Sleep(result.After)
		w.once(r, access.CauseShift)
		if got := w.requests[request].State; got != access.Approved {
			t.Errorf("state = %s, want approved", got)
		}
	})
}

func TestAWebhookForAFinishedRequestThatIsGoneIsDoneWithAfterARestart(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.settle(w.replica("a"), nil)
		w.expire()
		r := w.replica("a")
		w.settle(r, nil)
		w.gone[request] = false // the watch of a new process has never seen it
		w.stores["a"].events[request] = []access.EventID{"E1"}
		w.once(r, "webhook incident.resolved")
		if left := w.stores["a"].events[request]; len(left) != 0 {
			t.Errorf("events %v still wait", left)
		}
	})
}

func TestAnEventOnARequestThatIsOverIsFinishedAsSoonAsTheStoreTakesIt(t *testing.T) {
	for _, tt := range []struct {
		name  string
		given func(*memory)
	}{
		{"its link is finished", func(*memory) {}},
		{"its link was never stored", func(store *memory) { clear(store.links) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				r, store := w.replica("a"), w.stores["a"]
				w.settle(r, nil)
				w.bob(access.Denied, "no")
				w.settle(r, nil)
				tt.given(store)
				store.events[request] = []access.EventID{"E1"}
				store.full = errors.New("disk full")
				if _, err, _ := w.look(r, "webhook"); err == nil {
					t.Error("the look succeeded: nobody looks again")
				}
				store.full = nil
				w.once(r, access.CauseRetry)
				if left := store.events[request]; len(left) > 0 {
					t.Errorf("%v wait for ever", left)
				}
			})
		})
	}
}
