package pagerdutytest

import "testing"

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
			seen := 0 // how many incidents there were when the hook ran last
			w.Around(func(r Request, performed bool) bool {
				seen = len(w.Incidents())
				return r.Route != "POST /incidents" || !c.stop(performed)
			})
			if _, err := w.post("key"); err == nil {
				t.Error("the request was answered")
			}
			w.Around(nil)
			if got := len(w.Incidents()); got != c.want || seen != c.want {
				t.Errorf("got %d incidents, %d when the hook ran; want %d", got, seen, c.want)
			}
			if got := w.create("another"); got.ID == "" {
				t.Error("nothing works without the hook")
			}
		})
	}
}
