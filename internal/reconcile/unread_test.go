package reconcile

import (
	"testing"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

// TestWhatAKilledProcessMayHaveWrittenIsLookedForAlsoWhenTheFirstLookIsRefused: PagerDuty, or a proxy before it, refuses
// to show something once, as if only an admin could mend that, while the rest of the pass goes well.
func TestWhatAKilledProcessMayHaveWrittenIsLookedForAlsoWhenTheFirstLookIsRefused(t *testing.T) {
	for _, call := range []string{"get incident", "notes", "incidents by key", "bot"} {
		for _, written := range []string{"create", "note", "resolve"} {
			for _, heir := range []string{"a", "b"} {
				inWorld(t, func(t *testing.T, w *world) {
					w.annotate("notify", "payments", "shipping")
					r := w.replica("a")
					if written != "create" {
						w.settle(r, nil)
						w.bob(access.Denied, "no")
					}
					once(w, written, orphaned)
					if _, _, died := w.look(r, access.CauseChanged); !died {
						t.Fatalf("nobody died of %q", written)
					}
					time.Sleep(claimFor)
					once(w, call, barred)
					r = w.replica(heir)
					_, _, _ = w.look(r, access.CauseStart)
					w.fail = nil
					w.settle(r, nil)
					if written == "create" {
						w.bob(access.Denied, "no")
						w.settle(r, nil)
					}
					for _, i := range w.incidents {
						if n := len(w.notes[i.ID]); n != 2 || i.Open() || len(w.incidents) != 2 {
							t.Errorf("killed after %q, %q refused to heir %s: want two incidents, each with two notes and ended:\n%s", written, call, heir, w.end())
						}
					}
				})
			}
		}
	}
}

// once lets the next call of that name fail.
func once(w *world, name string, kind fault) {
	w.fail = func(call string, _ int) fault {
		if call != name || kind == works {
			return works
		}
		defer func() { kind = works }()
		return kind
	}
}

func TestAnIncidentThatMayHaveBeenOpenedIsLookedForUntilItIsKnownWhoOpenedIt(t *testing.T) {
	for _, call := range []string{"incidents by key", "bot"} {
		inWorld(t, func(t *testing.T, w *world) {
			once(w, "create", orphaned)
			_, _, _ = w.look(w.replica("a"), access.CauseCreated)
			once(w, call, barred)
			r := w.replica("a")
			_, _, _ = w.look(r, access.CauseStart)
			w.resolvedBySomebody("Q1")
			w.settle(r, nil)
			if len(w.incidents) != 1 {
				t.Errorf("%q refused: a second incident was opened\n%s", call, w.end())
			}
		})
	}
}
