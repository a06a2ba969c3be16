package reconcile

import (
	"testing"

	"github.com/pdhook/pdhook/internal/access"
)

// TestAnIncidentWhoseNotesAreRefusedIsResolvedAllTheSame: nobody is paged on because PagerDuty, or a proxy that reads
// along, does not take a note.
func TestAnIncidentWhoseNotesAreRefusedIsResolvedAllTheSame(t *testing.T) {
	for _, tt := range []struct {
		name  string
		given func(w *world)
		open  bool
		notes int
	}{
		{"decided", func(w *world) { w.bob(access.Denied, "no") }, false, 2},
		{"gone", (*world).expire, false, 1},
		{"reviewed and pending", func(w *world) { w.threshold = 2; w.bob(access.Approved, "fine") }, true, 1},
		{"decided, and moved to another service", func(w *world) { w.incidents[0].Service = "SSHIP"; w.bob(access.Denied, "no") }, true, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				r := w.replica("a")
				w.settle(r, nil)
				tt.given(w)
				w.fail = func(call string, _ int) fault { return map[string]fault{"note": barred}[call] }
				for range 2 {
					if _, err, _ := w.look(r, access.CauseChanged); err == nil {
						t.Error("the look succeeded: nobody tries the notes again")
					}
				}
				if w.incidents[0].Open() != tt.open {
					t.Errorf("the incident is open: %v, want %v\n%s", !tt.open, tt.open, w.end())
				}
				w.fail = nil
				w.once(r, access.CauseRetry)
				if len(w.notes["Q1"]) != tt.notes || w.incidents[0].Open() != tt.open {
					t.Errorf("want %d notes once they are taken:\n%s", tt.notes, w.end())
				}
			})
		})
	}
}
