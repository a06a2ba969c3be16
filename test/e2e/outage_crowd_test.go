package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/gravitational/teleport/api/types"

	"github.com/pdhook/pdhook/test/pagerdutytest"
)

// What pdhook promises of calls to PagerDuty, see internal/pagerduty.
const (
	mostCalls  = 64 // under way at once
	firstCalls = 4  // the same when PagerDuty has just come back
)

// A crowd is requests that are made while PagerDuty does not do its work: half of them can be approved.
type crowd struct {
	*world
	approvable, others []string
	away, back         int // numbers of the first call to PagerDuty in the outage and after it
	returned           time.Time
}

// outage breaks PagerDuty, has n people on call and as many others ask for access, waits until every request
// was tried in vain, and mends PagerDuty.
func (w *world) outage(n int, broken ...pagerdutytest.Fault) *crowd {
	w.t.Helper()
	c := &crowd{world: w, away: len(w.pd.Requests())}
	for _, f := range broken {
		w.pd.Fault(f)
	}
	c.ask(n)
	w.within(3*patience, "every request was tried in vain", func() bool { return w.failing() == 2*n })
	c.mend()
	return c
}

// mend ends the outage. From then on an answer takes PagerDuty its usual time.
func (c *crowd) mend() {
	c.back, c.returned = len(c.pd.Requests()), time.Now()
	c.pd.ClearFaults()
	c.pd.Fault(pagerdutytest.Fault{Kind: pagerdutytest.Delay, Delay: 150 * time.Millisecond})
}

// hire makes the role crowd, for whose service n people are on call.
func (w *world) hire(n int) {
	var onCall []pagerdutytest.Target
	for i := range n {
		onCall = append(onCall, w.pd.AddUser(fmt.Sprint("On call ", i), fmt.Sprintf("oncall%d@example.com", i)))
		w.pd.AddUser(fmt.Sprint("Other ", i), fmt.Sprintf("other%d@example.com", i))
	}
	w.pd.AddService("Crowd API", w.pd.AddPolicy("Crowd", onCall).ID)
	w.teleport.SetRole("crowd", map[string][]string{"pagerduty_notify_service": {"Crowd API"}, "pagerduty_services": {"Crowd API"}})
}

func (c *crowd) ask(n int) {
	first := len(c.approvable)
	for i := first; i < first+n; i++ {
		c.others = append(c.others, c.request(fmt.Sprintf("other%d@example.com", i), "crowd"))
		c.approvable = append(c.approvable, c.request(fmt.Sprintf("oncall%d@example.com", i), "crowd"))
	}
}

// failing is how many requests pdhook could not bring to their end.
func (w *world) failing() int {
	w.t.Helper()
	var s struct{ Queue struct{ Failing int } }
	if _, body := w.get("/status"); json.Unmarshal(body, &s) != nil {
		return -1
	}
	return s.Queue.Failing
}

// served waits until all requests of the crowd are where they should be, and checks that nothing was done twice.
func (c *crowd) served(limit time.Duration) {
	c.t.Helper()
	done := func(id string, state types.RequestState, status string, notes int) bool {
		all := c.incidents(id)
		return c.teleport.Request(id).GetState() == state && len(all) > 0 && all[0].Status == status && len(c.pd.Notes(all[0].ID)) >= notes
	}
	c.within(limit, "all requests are served", func() bool {
		return !slices.ContainsFunc(c.approvable, func(id string) bool { return !done(id, types.RequestState_APPROVED, "resolved", 2) }) &&
			!slices.ContainsFunc(c.others, func(id string) bool { return !done(id, types.RequestState_PENDING, "triggered", 0) })
	})
	c.settled()
	for _, id := range c.approvable {
		c.told(id, bot+" reviewed the request at ", approvedBy)
		if n := len(c.teleport.Request(id).GetReviews()); n != 1 {
			c.t.Errorf("request %s has %d reviews, want 1", id, n)
		}
	}
	for _, id := range c.others {
		if n := len(c.incidents(id)); n != 1 {
			c.t.Errorf("request %s has %d incidents, want 1", id, n)
		}
	}
}

// inOrder checks the order in which Teleport and PagerDuty saw the effects after the outage: approvals, then
// incidents, then notes. Some of each may overtake: what comes back first finds nobody more urgent.
func (c *crowd) inOrder() {
	c.t.Helper()
	var reviews, incidents, notes ranking
	for _, id := range c.approvable {
		reviews = append(reviews, c.teleport.Request(id).GetReviews()[0].Created.Sub(c.returned))
	}
	for _, r := range c.pd.Requests()[c.back:] {
		switch after := r.Time.Sub(c.returned); {
		case r.Status < 200 || r.Status > 299:
		case r.Route == "POST /incidents":
			incidents = append(incidents, after)
		case r.Route == "POST /incidents/{id}/notes":
			notes = append(notes, after)
		}
	}
	ordered := reviews.part(0.5) < incidents.part(0.75) && incidents.part(0.5) < notes.part(0.5) && reviews.part(0.9) < notes.part(0.25)
	if !ordered {
		c.t.Errorf("want approvals, then incidents, then notes; got\napprovals %s\nincidents %s\nnotes     %s", reviews, incidents, notes)
	}
}

// ranking is when effects of one kind happened.
type ranking []time.Duration

// part gives when a part of all had happened.
func (r ranking) part(share float64) time.Duration {
	return slices.Sorted(slices.Values(r))[int(share*float64(len(r)-1))]
}

func (r ranking) String() string {
	return fmt.Sprintf("from %s, a quarter by %s, half by %s, most by %s, all by %s", r.part(0), r.part(0.25), r.part(0.5), r.part(0.9), r.part(1))
}

// noHerd checks that PagerDuty was asked little while it was away, and not overrun when it came back: at first
// with few calls at once, never with many, and never beyond its limit.
func (c *crowd) noHerd() {
	c.t.Helper()
	all := c.pd.Requests()
	routes, seconds := 8, int(c.returned.Sub(all[c.away].Time)/time.Second)+1
	if n, most := c.back-c.away, mostCalls+routes*(6+seconds); n > most { // a probe a second of each, after six failures
		c.t.Errorf("PagerDuty was asked %d times while it was away, want at most %d", n, most)
	}
	for i, r := range all[c.back:] {
		if before := c.back - c.away; before > mostCalls/2 && r.AtOnce > firstCalls+routes+i || r.AtOnce > mostCalls {
			c.t.Errorf("call %d after the return found %d under way", i+1, r.AtOnce-1)
		}
		if r.Status == http.StatusTooManyRequests {
			c.t.Errorf("call %d after the return, %s, was beyond the limit", i+1, r.Route)
		}
	}
}

func TestWhatWaitedForPagerDutyIsServedOnceItIsBack(t *testing.T) {
	for _, c := range []struct {
		name  string
		fault pagerdutytest.Fault
	}{
		{"503", pagerdutytest.Fault{Kind: pagerdutytest.Status, Status: http.StatusServiceUnavailable}},
		{"503 from a proxy", pagerdutytest.Fault{Kind: pagerdutytest.Status, Status: http.StatusServiceUnavailable, Bare: true}},
		{"hanging", pagerdutytest.Fault{Kind: pagerdutytest.Hang}},
		{"connections reset", pagerdutytest.Fault{Kind: pagerdutytest.ResetBefore}},
		{"429", pagerdutytest.Fault{Kind: pagerdutytest.Status, Status: http.StatusTooManyRequests}},
		{"429 without headers", pagerdutytest.Fault{Kind: pagerdutytest.Status, Status: http.StatusTooManyRequests, Bare: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.hire(20)
			w.pd.SetRateLimit(960, 10*time.Second)
			w.start()
			crowd := w.outage(20, c.fault)
			crowd.served(3 * patience)
			crowd.noHerd()
		})
	}
}

func TestApprovalsGoBeforeIncidentsAndThoseBeforeNotes(t *testing.T) {
	for _, c := range []struct {
		name     string
		requests int // and as many that cannot be approved
		calls    int // in a window of five seconds
	}{{"the limit is far", 100, 9600}, {"several windows are needed", 50, 240}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.hire(c.requests)
			w.pd.SetRateLimit(c.calls, 5*time.Second)
			w.start()
			crowd := w.outage(c.requests, pagerdutytest.Fault{Kind: pagerdutytest.Status, Status: http.StatusServiceUnavailable})
			crowd.served(5 * patience)
			crowd.inOrder()
			crowd.noHerd()
		})
	}
}

func TestNobodyIsApprovedBeforeTheResetOfA429(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.hire(5)
	w.start()
	w.pd.SetRateLimit(960, 6*time.Second)
	w.pd.Fault(pagerdutytest.Fault{Kind: pagerdutytest.Status, Status: http.StatusTooManyRequests, Times: 1})
	c := &crowd{world: w}
	c.ask(5)
	c.served(3 * patience)
	all := w.pd.Requests()
	at := slices.IndexFunc(all, func(r pagerdutytest.Request) bool { return r.Status == http.StatusTooManyRequests })
	for _, id := range c.approvable {
		if early := all[at].Reset.Sub(w.teleport.Request(id).GetReviews()[0].Created); early > 0 {
			t.Errorf("request %s was approved %s before the reset: PagerDuty was asked all the same", id, early)
		}
	}
}
