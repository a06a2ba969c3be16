package e2e

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gravitational/teleport/api/types"

	"github.com/pdhook/pdhook/test/pagerdutytest"
)

// How long PagerDuty takes to answer, and its limit where no test is about that.
const (
	callTakes = 150 * time.Millisecond
	noLimit   = 1_000_000 // calls a minute
)

// company is people in teams: each team has a service, a policy and a role that notifies and approves by the service.
// Person n is of team n modulo teams; the first half of all people is on call for the own team.
type company struct {
	*world
	services []pagerdutytest.Service
	people   []pagerdutytest.User
}

// teams is how many teams a company has.
const teams = 5

func (w *world) hires(people int) *company {
	c := &company{world: w}
	levels := make([][]pagerdutytest.Target, teams)
	for n := range people {
		u := w.pd.AddUser(fmt.Sprintf("Person %d", n), fmt.Sprintf("person%d@example.com", n))
		c.people = append(c.people, u)
		if n < people/2 {
			levels[n%teams] = append(levels[n%teams], u)
		}
	}
	for n := range teams {
		policy := w.pd.AddPolicy(fmt.Sprintf("Team %d", n), levels[n])
		c.services = append(c.services, w.pd.AddService(fmt.Sprintf("Service %d", n), policy.ID))
		names := []string{c.services[n].Name}
		w.teleport.SetRole(fmt.Sprintf("team-%d", n), map[string][]string{"pagerduty_notify_service": names, "pagerduty_services": names})
	}
	return c
}

func (c *company) onCall(n int) bool { return n < len(c.people)/2 }

// asks has person n ask for the role of the own team.
func (c *company) asks(n int) string {
	return c.request(c.people[n].Email, fmt.Sprintf("team-%d", n%len(c.services)))
}

// calls counts those to PagerDuty from the call number from on, and tells them by route.
func (w *world) calls(from int) (total int, byRoute string) {
	count := map[string]int{}
	for _, r := range w.pd.Requests()[from:] {
		count[r.Route]++
		total++
	}
	var routes []string
	for _, route := range slices.Sorted(maps.Keys(count)) {
		routes = append(routes, fmt.Sprintf("%s %d", route, count[route]))
	}
	return total, strings.Join(routes, ", ")
}

// quiet waits until pdhook has left PagerDuty alone for longer than it puts off what webhooks bring.
func (w *world) quiet() {
	w.t.Helper()
	w.settled()
	w.eventually("PagerDuty is left alone", func() bool {
		all := w.pd.Requests()
		return time.Since(all[len(all)-1].Time) > 4*time.Second
	})
}

// burst is requests made at one moment. Of those whose requester is not on call, half are denied by a person as
// soon as their incident is open, and half expire. What a request costs depends on this mix: a denial needs a note
// more than an expiry, and each person has to be looked up once.
type burst struct {
	approvable, denied, expired []string
}

func (c *company) burst(requests int) (b burst) {
	for n := range requests {
		person := n % len(c.people)
		id := c.asks(person)
		switch {
		case c.onCall(person):
			b.approvable = append(b.approvable, id)
		case n%2 == 0:
			b.denied = append(b.denied, id)
		default:
			b.expired = append(b.expired, id)
		}
	}
	return b
}

// lives lets the requests come to their end, and checks that each was brought there. limit bounds each wait.
func (b burst) lives(w *world, limit time.Duration, approvedHaveIncidents bool) {
	w.t.Helper()
	opened := func(id string) {
		w.within(limit, "the request has an incident", func() bool { return len(w.incidents(id)) > 0 })
	}
	for n := range max(len(b.denied), len(b.expired)) {
		if n < len(b.denied) {
			opened(b.denied[n])
			w.review(b.denied[n], "kim@example.com", types.RequestState_DENIED, "no")
		}
		if n < len(b.expired) {
			opened(b.expired[n])
			w.expire(b.expired[n])
		}
	}
	incidents := len(b.denied) + len(b.expired)
	if approvedHaveIncidents {
		incidents += len(b.approvable)
	}
	w.within(limit, "all incidents are resolved", func() bool {
		all := w.pd.Incidents()
		return len(all) >= incidents && !slices.ContainsFunc(all, func(i pagerdutytest.Incident) bool { return i.Status != "resolved" })
	})
	for _, id := range b.denied {
		w.told(id, "kim@example.com reviewed the request at ", "Access request has been denied")
	}
	for _, id := range b.expired {
		w.told(id, "Access request has been expired")
	}
	for _, id := range b.approvable {
		w.reaches(id, types.RequestState_APPROVED)
		if approvedHaveIncidents {
			w.told(id, "pdhook reviewed the request at ", "Access request has been approved")
		} else if got := len(w.incidents(id)); got != 0 {
			w.t.Errorf("request %s was approved at once and has %d incidents", id, got)
		}
	}
}

func TestARequestCostsFewCallsOverItsWholeLife(t *testing.T) {
	for _, c := range []struct {
		notify string
		most   float64 // calls a request
	}{
		{"always", 3.5},
		{"unless_approved", 2.5},
	} {
		t.Run(c.notify, func(t *testing.T) {
			t.Parallel()
			w := startWorld(t, with("policy.notify", quote(c.notify)))
			company := w.hires(60)
			w.pd.SetRateLimit(noLimit, time.Minute)
			w.pd.Fault(pagerdutytest.Fault{Kind: pagerdutytest.Delay, Delay: callTakes})
			before, began := len(w.pd.Requests()), time.Now()
			company.burst(300).lives(w, 3*patience, c.notify == "always")
			took := time.Since(began)
			n, routes := w.calls(before)
			t.Logf("%.2f calls a request in %s: %s", float64(n)/300, took.Round(time.Second/10), routes)
			// A machine that is busy with something else looks at the requests further apart, and has each team read
			// once more for each second.
			late := teams * max(0, took-10*time.Second).Seconds()
			if got := (float64(n) - late) / 300; got > c.most {
				t.Errorf("got %.2f calls a request, want at most %.1f", got, c.most)
			}
		})
	}
}

// It has the machine to itself: how many requests share a call depends on how close together they are looked at.
func TestAStormOfWebhooksCostsLittleMoreThanOneLookAtEverything(t *testing.T) {
	w := startWorld(t)
	c := w.hires(20)
	for n := range 50 {
		c.asks(10 + n%10)
	}
	var others []string
	for n := range 20 {
		others = append(others, w.pd.AddIncident(c.services[n%5].ID, pagerdutytest.IncidentOptions{Title: "Disk full"}).ID)
	}
	w.eventually("all have their incidents", func() bool { return len(w.pd.Incidents()) == 50+len(others) })
	w.quiet()
	w.pd.Fault(pagerdutytest.Fault{Kind: pagerdutytest.Delay, Delay: callTakes})

	w.proc.stop()
	before := len(w.pd.Requests())
	w.start()
	w.quiet()
	look, routes := w.calls(before)
	t.Logf("one look at everything: %d calls: %s", look, routes)

	before = len(w.pd.Requests())
	began := time.Now()
	for n := range 25 {
		for _, id := range others {
			if n%2 == 0 {
				w.pd.Acknowledge(id, w.kim.ID)
			} else {
				w.pd.Unacknowledge(id)
			}
		}
	}
	w.eventually("all webhooks are delivered", func() bool { return w.pd.WaitDelivered(time.Second) == nil })
	looks := 1 + int(time.Since(began)/(2*time.Second)) // webhooks have a request looked at every 2 s
	w.quiet()
	storm, routes := w.calls(before)
	t.Logf("500 webhooks, for %d looks: %d calls: %s", looks, storm, routes)
	if delivered := len(w.pd.Deliveries()); delivered < 500 {
		t.Errorf("only %d webhooks were sent", delivered)
	}
	if got := float64(storm) / float64(looks*look); got > 1.5 {
		t.Errorf("500 webhooks cost %d calls in %d looks, %.2f times the %d of one, want at most 1.5", storm, looks, got, look)
	}
	for _, r := range w.pd.Requests() {
		if r.Status == 429 {
			t.Errorf("%s was answered 429", r.Route)
		}
	}
}

func TestARequestThatComesAloneCostsNoMoreThanThePageOnScaleSays(t *testing.T) {
	page, err := os.ReadFile("../../docs/scale.md")
	if err != nil {
		t.Fatal(err)
	}
	for user, words := range map[string]string{"dana@example.com": `at most (\d+) calls when a person denies it`, "kim@example.com": `at most (\d+) when it is approved`} {
		t.Run(user, func(t *testing.T) {
			t.Parallel()
			stated := regexp.MustCompile(words).FindSubmatch(page)
			if stated == nil {
				t.Fatal("docs/scale.md does not say it")
			}
			most, err := strconv.Atoi(string(stated[1]))
			if err != nil {
				t.Fatal(err)
			}
			w := startWorld(t)
			w.quiet()
			before := len(w.pd.Requests())
			id := w.request(user, "payments-admin")
			w.opened(id)
			if user == w.dana.Email {
				w.review(id, "lee@example.com", types.RequestState_DENIED, "no")
			}
			w.ended(id, 1)
			w.quiet()
			if calls, routes := w.calls(before); calls > most || calls < most-3 {
				t.Errorf("it cost %d calls, docs/scale.md says at most %d: %s", calls, most, routes)
			}
		})
	}
}
