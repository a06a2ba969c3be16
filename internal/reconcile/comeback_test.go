package reconcile

import (
	"strings"
	"testing"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

// A list that lags behind may lose a request for a while: it is ended as expired, and comes back.

func TestARequestThatComesBackAfterAnUnclearEndGetsAnIncident(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := w.replica("a")
		w.settle(r, nil)
		comesBack := w.lose()
		w.fail = func(call string, _ int) fault { return map[string]fault{"resolve": severed}[call] }
		_, _, _ = w.look(r, access.CauseGone)
		w.fail = nil
		comesBack()
		w.settle(r, nil)
		open := 0
		for _, i := range w.incidents {
			if i.Open() {
				open++
			}
		}
		if open != 1 {
			t.Errorf("%d open incidents, want one\n%s\n%s", open, w.end(), w.log.String())
		}
	})
}

func TestARequestThatComesBackToAnotherReplicaIsToldOnce(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.threshold = 2
		w.bob(access.Approved, "fine")
		a, b := w.replica("a"), w.replica("b")
		w.settle(a, nil)
		comesBack := w.lose()
		w.settle(a, nil)
		comesBack()
		w.settle(b, nil)
		w.settle(a, nil)
		if len(w.incidents) != 2 || len(w.notes["Q2"]) != 1 {
			t.Errorf("want one note on the new incident:\n%s", w.end())
		}
	})
}

func TestARequestThatComesBackBeforeItsEndCouldBeToldGoesOn(t *testing.T) {
	for _, failing := range []string{"get incident", "note", "resolve"} {
		inWorld(t, func(t *testing.T, w *world) {
			w.threshold = 2
			r := w.replica("a")
			w.bob(access.Approved, "fine")
			w.settle(r, nil)
			comesBack := w.lose()
			w.fail = func(call string, _ int) fault { return map[string]fault{failing: refusing}[call] }
			_, _, _ = w.look(r, access.CauseGone)
			w.fail = nil
			comesBack()
			w.settle(r, nil)
			told := 0
			for _, n := range w.notes["Q1"] {
				if strings.HasPrefix(n.Content, "bob reviewed") {
					told++
				}
			}
			if len(w.incidents) != 1 || !w.incidents[0].Open() || told != 1 {
				t.Errorf("%s failed: want the one incident open, and bob's review told once:\n%s", failing, w.end())
			}
		})
	}
}

func TestARequestThatComesBackAndIsApprovedAtOnceIsBroughtToItsEnd(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := w.replica("a")
		w.settle(r, nil)
		comesBack := w.lose()
		w.settle(r, nil)
		comesBack()
		w.aliceIsOnCall()
		w.fail = func(call string, _ int) fault { return map[string]fault{"create": severed}[call] }
		_, _, _ = w.look(r, access.CauseChanged)
		w.fail = nil
		w.settle(r, nil)
		if len(w.incidents) != 2 || w.incidents[1].Open() || w.requests[request].State != access.Approved {
			t.Errorf("want the request approved, and its second incident ended:\n%s", w.end())
		}
	})
}

func TestARequestThatComesBackIsBroughtToItsEndAlsoByAnHeir(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := w.replica("a")
		w.settle(r, nil)
		comesBack := w.lose()
		w.settle(r, nil)
		comesBack()
		w.aliceIsOnCall()
		w.fail = func(call string, _ int) fault { return map[string]fault{"create": orphaned}[call] }
		if _, _, died := w.look(r, access.CauseChanged); !died {
			t.Fatal("the process lives")
		}
		w.fail = nil
		w.settle(w.replica("a"), nil)
		if len(w.incidents) != 2 || w.incidents[1].Open() {
			t.Errorf("want the second incident ended with the request:\n%s", w.end())
		}
	})
}

func TestARequestThatComesBackDoesNotTakeWhatWasMovedForItsIncident(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.annotate("notify", "payments", "shipping")
		r := w.replica("a")
		w.settle(r, nil)
		comesBack := w.lose()
		w.settle(r, nil)
		w.incidents[0].Service = "SSHIP"
		comesBack()
		w.settle(r, nil)
		if len(w.incidents) != 4 || !w.incidents[2].Open() || !w.incidents[3].Open() {
			t.Errorf("want two open incidents after the ended ones:\n%s", w.end())
		}
	})
}

func TestARequestThatComesBackBeforeItsEndIsOnRecordGetsAnIncident(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := w.replica("a")
		w.settle(r, nil)
		comesBack := w.lose()
		w.fail = w.nothingIsRecorded()
		_, _, _ = w.look(r, access.CauseGone)
		w.fail = nil
		comesBack()
		w.settle(r, nil)
		if len(w.incidents) != 2 || !w.incidents[1].Open() {
			t.Errorf("want an open incident after the ended one:\n%s", w.end())
		}
	})
}

func TestARequestThatComesBackUnderAnotherRuleGetsAnIncident(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := w.replica("a")
		w.settle(r, nil)
		comesBack := w.lose()
		w.settle(r, nil)
		comesBack()
		w.settle(w.routed("a", &byRules{services: []string{"id:SPAY"}}), nil)
		if len(w.incidents) != 2 || !w.incidents[1].Open() {
			t.Errorf("want an open incident after the ended one:\n%s", w.end())
		}
	})
}

func TestARequestThatComesBackGetsAnIncidentAlsoAfterAnUnclearClaim(t *testing.T) {
	for _, heir := range []string{"a", "b"} {
		inWorld(t, func(t *testing.T, w *world) {
			r := w.replica("a")
			w.settle(r, nil)
			comesBack := w.lose()
			w.settle(r, nil)
			comesBack()
			w.fail = func(call string, _ int) fault { return map[string]fault{"swap": severed}[call] }
			_, _, _ = w.look(r, access.CauseChanged)
			w.fail = nil
			time.Sleep(claimFor)
			w.settle(w.replica(heir), nil)
			if len(w.incidents) != 2 || !w.incidents[1].Open() {
				t.Errorf("want an open incident after the ended one:\n%s", w.end())
			}
		})
	}
}

func TestARequestThatComesBackBesideAStrangersIncidentGetsItsOwn(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := w.replica("a")
		w.settle(r, nil)
		comesBack := w.lose()
		w.settle(r, nil)
		w.incident(access.IncidentKey(request), "SPAY", stranger)
		comesBack()
		w.settle(r, nil)
		open := 0
		for _, i := range w.incidents {
			if i.Open() && i.TriggeredBy == bot {
				open++
			}
		}
		if open != 1 {
			t.Errorf("%d open incidents of ours, want one\n%s", open, w.end())
		}
	})
}

func TestARequestThatComesBackGetsAnIncidentAlsoWhenNothingOfTheEndedOneIsOnRecord(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := w.replica("a")
		w.fail = w.nothingIsRecorded()
		_, _, _ = w.look(r, access.CauseCreated)
		comesBack := w.lose()
		w.fail = w.nothingIsRecorded()
		_, _, _ = w.look(r, access.CauseGone)
		w.fail = nil
		comesBack()
		w.settle(r, nil)
		if len(w.incidents) != 2 || w.incidents[0].Open() || !w.incidents[1].Open() {
			t.Errorf("want an open incident after the ended one:\n%s", w.end())
		}
	})
}
