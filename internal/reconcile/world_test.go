package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/internal/policy"
)

const (
	request  = access.RequestID("11111111-1111-1111-1111-111111111111")
	alice    = "alice@example.com"
	pdhook   = "pdhook-bot" // the Teleport user that reviews
	bot      = access.UserID("UBOT")
	stranger = access.UserID("USTRANGER")
)

// world is Teleport, PagerDuty and the replicas' stores in memory. It refuses what the real ones refuse,
// and a test can make any of its calls fail. It lives in a synctest bubble: its clock is the bubble's.
type world struct {
	t  *testing.T
	mu sync.Mutex

	rules     policy.Rules
	requests  map[access.RequestID]access.Request
	data      map[access.RequestID]map[string]string
	threshold int  // approvals that Teleport wants
	denials   int  // denials that Teleport wants
	denied    bool // Teleport refuses pdhook's reviews
	cluster   string
	gone      map[access.RequestID]bool

	users     map[string]access.User
	services  []access.Service
	schedules []access.Schedule
	onCalls   []access.OnCall
	incidents []access.Incident
	opened    map[access.IncidentID]access.NewIncident
	notes     map[access.IncidentID][]access.Note
	refuse    map[access.ServiceID]error // why PagerDuty opens no incident on the service
	noReopen  bool                       // PagerDuty does not reopen resolved incidents

	resolvers  map[access.IncidentID]access.User // who resolved which; nobody for a time-out
	noResolver error                             // why PagerDuty does not tell

	remembered map[string]any // answers of the directory, which all replicas share here

	stores map[string]*memory // by replica

	calls   []string // every call, by name
	writes  []string // those that change Teleport or PagerDuty, with what they write
	fail    func(call string, nth int) fault
	around  func(ctx context.Context, call, write string, perform func() error) error // nil: a call fares as fail, hooks and latency say
	hooks   map[string]func()                                                         // run before the call of that name, once
	latency map[string]time.Duration
	limits  []time.Time // deadlines of the review calls
	log     strings.Builder
	logger  *slog.Logger
}

// fault is how a call fails.
type fault int

const (
	works    fault = iota
	refusing       // refused for a moment, not performed
	lost           // not performed, and the caller cannot know
	severed        // performed, and the caller cannot know
	killed         // the process dies before the call
	orphaned       // the process dies after the call
	barred         // refused as if only an admin could mend it, not performed
	limited        // refused until a moment that is told, not performed
)

var faultNames = map[fault]string{refusing: "refused", lost: "lost", severed: "performed but severed",
	killed: "killed before", orphaned: "killed after", barred: "barred", limited: "limited"}

// failure is what a call fails with that was not performed.
func (f fault) failure(call string) error {
	switch f {
	case lost:
		return &access.Failure{Unclear: true, Err: fmt.Errorf("%s: connection lost", call)}
	case barred:
		return &access.Failure{Class: access.Permanent, Err: fmt.Errorf("%s: 403", call)}
	case limited:
		return &access.Failure{Class: access.Wait, NotBefore: time.Now().Add(20 * time.Second), Err: fmt.Errorf("%s: 429", call)}
	}
	return fmt.Errorf("%s: 503", call)
}

// crash is what a dying process panics with.
type crash struct{}

// newWorld has one pending request of alice, whose role names the service payments, on call for which is
// somebody else.
func newWorld(t *testing.T) *world {
	w := &world{
		t: t,
		rules: policy.Rules{NotifyService: "notify", Services: "services", Schedules: "schedules", UserEmail: "email",
			MaxAccess: 24 * time.Hour, MaxRequestAge: 12 * time.Hour, Notify: policy.NotifyAlways,
			RequireIncident: policy.RequireNone, OnIncidentResolved: policy.ResolvedNote},
		requests:  map[access.RequestID]access.Request{},
		data:      map[access.RequestID]map[string]string{},
		threshold: 1,
		denials:   1,
		gone:      map[access.RequestID]bool{},
		users:     map[string]access.User{alice: {ID: "UALICE", Name: "Alice", Email: alice}},
		services:  []access.Service{{ID: "SPAY", Name: "payments", Policy: "PPAY"}, {ID: "SSHIP", Name: "shipping", Policy: "PSHIP"}},
		opened:    map[access.IncidentID]access.NewIncident{},
		notes:     map[access.IncidentID][]access.Note{},
		refuse:    map[access.ServiceID]error{},
		resolvers: map[access.IncidentID]access.User{},
		stores:    map[string]*memory{},
		hooks:     map[string]func(){},
		latency:   map[string]time.Duration{},

		remembered: map[string]any{},
	}
	w.logger = slog.New(slog.NewTextHandler(&w.log, nil))
	w.requests[request] = access.Request{
		ID: request, User: alice, Roles: []string{"dev"}, State: access.Pending, Reason: "disk is full",
		Created: time.Now(), Expires: time.Now().Add(time.Hour), AccessExpires: time.Now().Add(8 * time.Hour),
		Annotations: map[string][]string{"notify": {"payments"}, "services": {"payments"}},
	}
	return w
}

// inWorld runs a test in a bubble of its own.
func inWorld(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, newWorld(t)) })
}

// aliceIsOnCall puts alice on call for payments and shipping, at level 1, since an hour.
func (w *world) aliceIsOnCall() {
	w.onCalls = nil
	for _, id := range []access.PolicyID{"PPAY", "PSHIP"} {
		w.onCalls = append(w.onCalls, access.OnCall{User: w.users[alice], Policy: id, Schedule: "SCHED", Level: 1,
			Start: time.Now().Add(-time.Hour), End: time.Now().Add(5 * time.Hour)})
	}
}

// aliceIsOnDuty puts alice on the schedule night, which no escalation policy uses, since an hour.
func (w *world) aliceIsOnDuty() {
	w.schedules = []access.Schedule{{ID: "SNIGHT", Name: "night",
		Shifts: []access.Shift{{User: "UALICE", Start: time.Now().Add(-time.Hour), End: time.Now().Add(5 * time.Hour)}}}}
}

// annotate changes the request's annotation.
func (w *world) annotate(name string, values ...string) {
	req := w.requests[request]
	req.Annotations = maps.Clone(req.Annotations)
	req.Annotations[name] = values
	w.requests[request] = req
}

// replica builds a Reconciler with the store of that name.
func (w *world) replica(name string) *Reconciler {
	if w.stores[name] == nil {
		w.stores[name] = newMemory()
	}
	return New(Config{
		Requests: teleport{w}, Presence: presence{w}, Directory: directory{w, w.remembered}, Incidents: pagerduty{w},
		Links: links{w, w.stores[name]}, Replica: name,
		Rules: func() policy.Rules { return w.rules },
		Log:   w.logger,
	})
}

// look runs one pass. It reports true when the process was killed in it.
func (w *world) look(r *Reconciler, cause string) (result Result, err error, died bool) {
	defer func() {
		if dead := recover(); dead != nil {
			if _, ok := dead.(crash); !ok {
				panic(dead)
			}
			died = true
		}
	}()
	result, err = r.Reconcile(w.t.Context(), request, cause)
	return result, err, false
}

// settle looks until nothing is left to do, as the queue would, starting afresh as another process where
// one is killed.
func (w *world) settle(r *Reconciler, restart func() *Reconciler) *Reconciler {
	w.t.Helper()
	cause := access.CauseCreated
	var err error
	for range 20 {
		var died bool
		_, err, died = w.look(r, cause)
		switch at := access.NotBefore(err); {
		case died:
			r, cause = restart(), access.CauseStart
			continue
		case err == nil:
			return r
		case !at.IsZero():
			time.Sleep(time.Until(at))
		case lasting(err):
			return r
		default:
			time.Sleep(time.Second)
		}
		cause = access.CauseRetry
	}
	w.t.Fatalf("does not settle: %v\n%s", err, w.log.String())
	return nil
}

// once looks once and wants success.
func (w *world) once(r *Reconciler, cause string) {
	w.t.Helper()
	if _, err, _ := w.look(r, cause); err != nil {
		w.t.Fatalf("looking because of %q: %v", cause, err)
	}
}

// call is entered by every call of the fakes; perform changes the world.
func (w *world) call(ctx context.Context, name, write string, perform func() error) error {
	if w.around != nil {
		return w.around(ctx, name, write, perform)
	}
	w.mu.Lock()
	hook, wait := w.hooks[name], w.latency[name]
	delete(w.hooks, name)
	w.mu.Unlock()
	if hook != nil {
		hook()
	}
	if wait > 0 {
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	kind := works
	if w.fail != nil {
		kind = w.fail(name, len(w.calls))
	}
	w.calls = append(w.calls, name)
	switch kind {
	case killed:
		panic(crash{})
	case refusing, barred, limited, lost:
		return kind.failure(name)
	}
	if err := perform(); err != nil {
		return err
	}
	if write != "" {
		w.writes = append(w.writes, write)
	}
	switch kind {
	case severed:
		return &access.Failure{Unclear: true, Err: fmt.Errorf("%s: connection lost", name)}
	case orphaned:
		panic(crash{})
	}
	return nil
}

// review is Teleport taking a review, by whomever.
func (w *world) review(id access.RequestID, author string, state access.State, reason string) (access.Request, error) {
	req, err := teleport{w}.stored(id)
	if err != nil {
		return req, err
	}
	if _, again := req.ReviewBy(author); again {
		return req, errors.New("already reviewed")
	}
	if req.State != access.Pending {
		return req, fmt.Errorf("the request has been already %s", req.State)
	}
	req.Reviews = append(req.Reviews, access.Review{Author: author, State: state, Reason: reason, Time: time.Now()})
	approvals, denials := 0, 0
	for _, r := range req.Reviews {
		switch r.State {
		case access.Approved:
			approvals++
		case access.Denied:
			denials++
		}
	}
	if denials >= w.denials || approvals >= w.threshold {
		req.State, req.ResolveReason = state, reason
	}
	w.requests[id] = req
	return req, nil
}

// nothingIsRecorded lets claims be taken, and none be recorded over: what the next pass does stays off the record.
func (w *world) nothingIsRecorded() func(call string, nth int) fault {
	claimed := false
	return func(call string, _ int) fault {
		if call != "swap" {
			return works
		}
		if !claimed {
			claimed = true
			return works
		}
		return refusing
	}
}

// bob reviews in Teleport, as a person does.
func (w *world) bob(state access.State, reason string) {
	w.t.Helper()
	w.reviewBy("bob", state, reason)
}

func (w *world) reviewBy(author string, state access.State, reason string) {
	w.t.Helper()
	if _, err := w.review(request, author, state, reason); err != nil {
		w.t.Fatalf("%s's review: %v", author, err)
	}
}

// expire takes the request out of Teleport; the plugin data stays for an hour.
func (w *world) expire() {
	delete(w.requests, request)
	w.gone[request] = true
}

// lose is expire for a request that is only lost for a while, until comesBack is called.
func (w *world) lose() (comesBack func()) {
	kept := w.requests[request]
	w.expire()
	return func() {
		w.requests[request] = kept
		delete(w.gone, request)
	}
}

// incident puts an open incident into PagerDuty.
func (w *world) incident(key string, service access.ServiceID, by access.UserID) access.Incident {
	id := access.IncidentID(fmt.Sprintf("Q%d", len(w.incidents)+1))
	name := ""
	for _, s := range w.services {
		if s.ID == service {
			name = s.Name
		}
	}
	incident := access.Incident{ID: id, Key: key, Service: service, ServiceName: name, Status: access.Triggered,
		URL: "https://pd.example.com/" + string(id), Created: time.Now(), TriggeredBy: by}
	w.incidents = append(w.incidents, incident)
	return incident
}

// resolvedBySomebody resolves an incident in PagerDuty, as a person does.
func (w *world) resolvedBySomebody(id access.IncidentID) {
	w.resolvedBy(id, access.User{ID: "UBOB", Name: "Bob"})
}

// theFirstIsResolvedBy resolves the first incident, where there is one: a dry run opens none.
func theFirstIsResolvedBy(who access.User) func(*world) {
	return func(w *world) {
		if len(w.incidents) > 0 {
			w.resolvedBy(w.incidents[0].ID, who)
		}
	}
}

// acknowledgedBy acknowledges an incident in PagerDuty.
func (w *world) acknowledgedBy(id access.IncidentID, who access.User) {
	incident, err := pagerduty{w}.find(id)
	if err != nil {
		w.t.Fatal(err)
	}
	incident.Status, incident.Acknowledged = access.Acknowledged, []access.User{who}
}

// resolvedBy resolves an incident in PagerDuty; the zero User stands for a time-out or automation.
func (w *world) resolvedBy(id access.IncidentID, who access.User) {
	incident, err := pagerduty{w}.find(id)
	if err != nil {
		w.t.Fatal(err)
	}
	incident.Status, incident.ResolvedBy = access.Resolved, who.Name
	w.resolvers[id] = who
}
