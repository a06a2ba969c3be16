package reconcile

import (
	"testing"
	"time"

	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/internal/policy"
)

func TestAnIncidentThatPagerDutyDoesNotReopenIsReplaced(t *testing.T) {
	const replaced = "request pending\nincident on SPAY, key teleport-access-request/ID, resolved\n"
	const reopened = "\n  note This incident was resolved, but the access request is still pending: the incident is open again. / " + decideAt
	t.Run("by one with the same key", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			retrigger(w)
			w.noReopen = true
			r := w.replica("a")
			resolveEarly(w, r, bobInPagerDuty)
			w.wantWrites("claim reopen", "create SPAY", "note Q2", "record")
			w.wantEnd(replaced + "incident on SPAY, key teleport-access-request/ID, triggered" + reopened)
			if got := w.data[request][keyIncident]; got != "Q2" {
				t.Errorf("incident_id = %q, want Q2", got)
			}
		})
	})
	t.Run("by one with the second key where a stranger took the first", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			retrigger(w)
			w.noReopen = true
			w.hooks["reopen"] = func() { w.incident(access.IncidentKey(request), "SPAY", stranger) }
			resolveEarly(w, w.replica("a"), bobInPagerDuty)
			w.wantEnd(replaced + "incident on SPAY, key teleport-access-request/ID, triggered\n" +
				"incident on SPAY, key teleport-access-request/ID/2, triggered" + reopened)
		})
	})
	t.Run("not a second time after a crash, although somebody resolved the new one, too", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			retrigger(w)
			w.noReopen = true
			r := w.replica("a")
			w.settle(r, nil)
			w.resolvedBySomebody("Q1")
			w.fail = func(call string, _ int) fault { return map[string]fault{"create": orphaned}[call] }
			_, _, _ = w.look(r, access.CauseChanged)
			w.fail = nil
			w.resolvedBySomebody("Q2")
			time.Sleep(claimFor)
			w.settle(w.replica("b"), nil)
			w.wantEnd(replaced + "incident on SPAY, key teleport-access-request/ID, resolved\n" +
				"  note This incident is resolved, but the access request is still pending. / " + decideAt)
		})
	})
	t.Run("or reported as missing", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			retrigger(w)
			r := w.replica("a")
			w.settle(r, nil)
			w.noReopen = true
			w.refuse["SPAY"] = &access.Failure{Class: access.Permanent, Err: access.ErrDenied}
			w.resolvedBySomebody("Q1")
			if _, err, _ := w.look(r, access.CauseChanged); !lasting(err) {
				t.Errorf("error = %v, want a lasting one", err)
			}
			if got := w.stores["a"].links[request].Missing; len(got) != 1 {
				t.Errorf("missing = %q, want the reason", got)
			}
			delete(w.refuse, "SPAY")
			w.settle(r, nil)
			w.wantEnd(replaced + "incident on SPAY, key teleport-access-request/ID, triggered" + reopened)
		})
	})
}

func TestAReplacementThatWasNeverRecordedIsEndedWithTheRequest(t *testing.T) {
	for _, tt := range []struct {
		name  string
		given func(w *world)
	}{
		{"decided before the next look", func(w *world) { w.bob(access.Denied, "no") }},
		{"gone before the next look", (*world).expire},
		{"decided after a look under another policy", func(w *world) {
			w.rules.OnIncidentResolved = policy.ResolvedNote
			w.settle(w.replica("a"), nil)
			w.bob(access.Denied, "no")
		}},
	} {
		for _, heir := range []string{"a", "b"} {
			t.Run(tt.name+", heir "+heir, func(t *testing.T) {
				inWorld(t, func(t *testing.T, w *world) {
					retrigger(w)
					w.noReopen = true
					r := w.replica("a")
					w.settle(r, nil)
					w.resolvedBySomebody("Q1")
					once(w, "create", orphaned)
					_, _, _ = w.look(r, access.CauseChanged)
					w.fail = nil
					time.Sleep(claimFor)
					tt.given(w)
					w.settle(w.replica(heir), nil)
					if len(w.incidents) != 2 || w.incidents[1].Open() || len(w.notes["Q2"]) == 0 {
						t.Errorf("want the incident that took the first one's place told and ended:\n%s", w.end())
					}
				})
			})
		}
	}
}

func TestAReplacementBesideAStrangersIncidentIsFoundAgain(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		retrigger(w)
		w.noReopen = true
		r := w.replica("a")
		w.settle(r, nil)
		time.Sleep(time.Minute)
		w.resolvedBySomebody("Q1")
		w.incident(access.IncidentKey(request), "SPAY", stranger)
		w.fail = func(call string, _ int) fault { return map[string]fault{"create": severed}[call] }
		_, _, _ = w.look(r, "webhook incident.resolved")
		w.fail = nil
		w.settle(r, nil)
		w.bob(access.Denied, "no")
		w.settle(r, nil)
		if n := len(w.incidents); n != 3 || w.incidents[2].Open() || len(w.notes["Q3"]) != 3 {
			t.Errorf("want one replacement, told and ended:\n%s", w.end())
		}
	})
}

func TestWhatIsOlderThanTheResolvedIncidentDoesNotReplaceIt(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		retrigger(w)
		w.noReopen = true
		older := w.incident(access.IncidentKey(request), "SPAY", bot) // opened by whoever lost its store and record
		w.resolvedBySomebody(older.ID)
		time.Sleep(time.Second)
		r := w.replica("a")
		w.settle(r, nil)
		w.resolvedBySomebody("Q2")
		w.settle(r, nil)
		if len(w.incidents) != 3 || !w.incidents[2].Open() {
			t.Errorf("want another incident, which is open:\n%s", w.end())
		}
	})
}
