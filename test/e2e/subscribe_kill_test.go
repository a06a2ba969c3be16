package e2e

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/pdhook/pdhook/test/pagerdutytest"
)

func TestTheEventsOfAnInterruptedRotationAreNotLost(t *testing.T) {
	t.Parallel()
	w := startWorld(t, unsubscribed)
	w.subscribeSays(0, []string{"--url", w.hook()}, "test ping: it arrived")
	old := w.theOne()
	w.killsAt(updatingSubscription, true, "--rotate") // both subscriptions deliver, both secrets are in the file
	if ours := w.ours(); len(ours) != 2 || ours[1].Description != "pdhook: takes the place of "+old.ID || strings.Count(w.read("webhook-secret"), "\n") != 2 {
		t.Fatalf("got %d subscriptions", len(ours))
	}
	w.proc.stop()
	w.start() // reads the file with both
	w.pd.AddIncident(w.search.ID, pagerdutytest.IncidentOptions{Title: "Search is slow"})
	w.eventually("it arrives through both", func() bool {
		n := 0
		for _, d := range w.pd.Deliveries() {
			if d.EventType == "incident.triggered" && d.Subscription != w.sub.ID && d.Status == http.StatusAccepted {
				n++
			}
		}
		return n == 2
	})
	w.subscribeSays(0, []string{"--url", w.hook()}, "that an earlier run began is not over", "Deleted webhook subscription "+old.ID, "Removed the old signing secret")
	w.theOne()
}

func TestASubscribeThatIsKilledIsMadeGoodByTheNext(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name      string
		route     string
		performed bool // when it is killed
		rotate    bool
	}{
		{"before it creates", creatingSubscription, false, false},
		{"before it has the secret", creatingSubscription, true, false},
		{"before it switches on", updatingSubscription, false, false},
		{"after it switched on", updatingSubscription, true, false},
		{"before the ping", pingingSubscription, false, false},
		{"before it has the second secret", creatingSubscription, true, true},
		{"before it switches the second on", updatingSubscription, false, true},
		{"before it pings the second", pingingSubscription, false, true},
		{"before it deletes the first", deletingSubscription, false, true},
		{"after it deleted the first", deletingSubscription, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := startWorld(t, unsubscribed)
			var flags []string
			if c.rotate {
				w.subscribeSays(0, []string{"--url", w.hook()}, "test ping: it arrived")
				flags = []string{"--rotate"}
			}
			w.killsAt(c.route, c.performed, flags...)
			w.subscribeSays(0, []string{"--url", w.hook()}, "test ping: it arrived")
			s := w.theOneInUse()
			w.shownSubscription("that all is well", func(shown subscriptionStatus) bool { return shown.Problem == "" && shown.ID == s.ID })
			if !c.rotate {
				w.theOne()
				return
			}
			w.subscribeSays(0, []string{"--url", w.hook(), "--rotate"}, "Deleted webhook subscription "+s.ID)
			w.theOne() // and no secret is left over
		})
	}
}

// killsAt runs pdhook subscribe and kills it before or after PagerDuty performs a request.
func (w *world) killsAt(route string, performed bool, flags ...string) {
	w.t.Helper()
	started := make(chan *process, 1)
	w.pd.Around(func(r pagerdutytest.Request, done bool) bool {
		if r.Route != route || done != performed {
			return true
		}
		p := <-started
		p.kill()
		started <- p
		return false
	})
	p := launch(w.t, w.env, slices.Concat([]string{"subscribe", "--config", w.configure(), "--url", w.hook()}, flags)...)
	started <- p
	if code := p.wait(patience); code != -1 {
		w.t.Fatalf("it ended with %d before it could be killed:\n%s", code, p.output())
	}
	w.pd.Around(nil)
}

func TestPeopleWhoSubscribeAtTheSameTimeLoseNoSecret(t *testing.T) {
	t.Parallel()
	for _, flags := range [][]string{nil, {"--rotate"}} {
		w := startWorld(t, unsubscribed)
		if flags != nil {
			w.subscribeSays(0, []string{"--url", w.hook()}, "test ping: it arrived")
		}
		args := slices.Concat([]string{"subscribe", "--config", w.configure(), "--url", w.hook()}, flags)
		var people []*process
		for range 3 {
			people = append(people, launch(t, w.env, args...))
		}
		for _, p := range people {
			p.wait(patience)
		}
		for _, s := range w.ours() {
			if !s.Inactive && !strings.Contains(w.read("webhook-secret"), s.Secret) {
				t.Errorf("the secret of %s (%q) is lost:\n%s\n%s\n%s", s.ID, s.Description, people[0].output(), people[1].output(), people[2].output())
			}
		}
		w.subscribeSays(0, []string{"--url", w.hook()}, "test ping: it arrived")
		w.theOneInUse()
	}
}
