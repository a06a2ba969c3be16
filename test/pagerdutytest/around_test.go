package pagerdutytest

import (
	"sync/atomic"
	"testing"
)

func TestAHookStopsARequestBeforeOrAfterItIsPerformed(t *testing.T) {
	for _, c := range []struct {
		name string
		stop func(performed bool) bool
		want int
	}{
		{"before", func(performed bool) bool { return !performed }, 0},
		{"after", func(performed bool) bool { return performed }, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, Options{})
			var seen atomic.Int64 // how many incidents there were when the hook ran last
			w.Around(func(r Request, performed bool) bool {
				seen.Store(int64(len(w.Incidents())))
				return r.Route != "POST /incidents" || !c.stop(performed)
			})
			if _, err := w.post("key"); err == nil {
				t.Error("the request was answered")
			}
			w.Around(nil)
			if got := len(w.Incidents()); got != c.want || seen.Load() != int64(c.want) {
				t.Errorf("got %d incidents, %d when the hook ran; want %d", got, seen.Load(), c.want)
			}
			if got := w.create("another"); got.ID == "" {
				t.Error("nothing works without the hook")
			}
		})
	}
}
