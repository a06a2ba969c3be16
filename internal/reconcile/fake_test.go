package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"regexp"
	"slices"
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
	denied    bool // Teleport refuses pdhook's reviews
	gone      map[access.RequestID]bool

	users     map[string]access.User
	services  []access.Service
	onCalls   []access.OnCall
	incidents []access.Incident
	opened    map[access.IncidentID]access.NewIncident
	notes     map[access.IncidentID][]access.Note
	refuse    map[access.ServiceID]error // why PagerDuty opens no incident on the service

	stores map[string]*memory // by replica

	calls   []string // every call, by name
	writes  []string // those that change Teleport or PagerDuty, with what they write
	fail    func(call string, nth int) fault
	hooks   map[string]func() // run before the call of that name, once
	latency map[string]time.Duration
	limits  []time.Time // deadlines of the review calls
	log     strings.Builder
	logger  *slog.Logger
}

// fault is how a call fails.
type fault int

const (
	works    fault = iota
	refused5 fault = iota // refused for a moment, not performed
	lost                  // not performed, and the caller cannot know
	severed               // performed, and the caller cannot know
	killed                // the process dies before the call
	orphaned              // the process dies after the call
)

var faultNames = map[fault]string{refused5: "refused", lost: "lost", severed: "performed but severed",
	killed: "killed before", orphaned: "killed after"}

// crash is what a dying process panics with.
type crash struct{}

// memory is one replica's store.
type memory struct {
	links     map[access.RequestID]access.Link
	decisions map[access.RequestID]access.Decision
	events    map[access.RequestID][]access.EventID
	broken    error
}

func newMemory() *memory {
	return &memory{links: map[access.RequestID]access.Link{}, decisions: map[access.RequestID]access.Decision{},
		events: map[access.RequestID][]access.EventID{}}
}

// newWorld has one pending request of alice, whose role names the service payments, on call for which is
// somebody else.
func newWorld(t *testing.T) *world {
	w := &world{
		t: t,
		rules: policy.Rules{NotifyService: "notify", Services: "services", Schedules: "schedules", UserEmail: "email",
			MaxAccess: 24 * time.Hour, MaxRequestAge: 12 * time.Hour, Notify: policy.NotifyAlways},
		requests:  map[access.RequestID]access.Request{},
		data:      map[access.RequestID]map[string]string{},
		threshold: 1,
		gone:      map[access.RequestID]bool{},
		users:     map[string]access.User{alice: {ID: "UALICE", Name: "Alice", Email: alice}},
		services:  []access.Service{{ID: "SPAY", Name: "payments", Policy: "PPAY"}, {ID: "SSHIP", Name: "shipping", Policy: "PSHIP"}},
		opened:    map[access.IncidentID]access.NewIncident{},
		notes:     map[access.IncidentID][]access.Note{},
		refuse:    map[access.ServiceID]error{},
		stores:    map[string]*memory{},
		hooks:     map[string]func(){},
		latency:   map[string]time.Duration{},
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
		Requests: teleport{w}, Presence: presence{w}, Directory: directory{w}, Incidents: pagerduty{w},
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
	w.mu.Lock()
	hook, wait := w.hooks[name], w.latency[name]
	delete(w.hooks, name)
	w.mu.Unlock()
	if hook != nil {
		hook()
	}
	if wait > 0 {
		time.Sleep(wait)
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
	case refused5:
		return fmt.Errorf("%s: 503", name)
	case lost:
		return &access.Failure{Unclear: true, Err: fmt.Errorf("%s: connection lost", name)}
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

type teleport struct{ w *world }

func (t teleport) User() string { return pdhook }
func (t teleport) RequestURL(id access.RequestID) string {
	return "https://proxy.example.com/web/requests/" + string(id)
}
func (t teleport) stored(id access.RequestID) (access.Request, error) {
	req, ok := t.w.requests[id]
	if !ok {
		return req, fmt.Errorf("request %s: %w", id, access.ErrNotFound)
	}
	req.Reviews = slices.Clone(req.Reviews)
	return req, nil
}

func (t teleport) Get(ctx context.Context, id access.RequestID) (req access.Request, err error) {
	err = t.w.call(ctx, "get request", "", func() (err error) { req, err = t.stored(id); return err })
	return req, err
}

func (t teleport) SubmitReview(ctx context.Context, id access.RequestID, state access.State, reason string) (req access.Request, err error) {
	deadline, _ := ctx.Deadline()
	t.w.mu.Lock()
	t.w.limits = append(t.w.limits, deadline)
	t.w.mu.Unlock()
	err = t.w.call(ctx, "review", "review", func() (err error) {
		if t.w.denied {
			return &access.Failure{Class: access.Permanent, Err: fmt.Errorf("review_requests: %w", access.ErrDenied)}
		}
		req, err = t.w.review(id, pdhook, state, reason)
		return err
	})
	if err != nil {
		req = access.Request{}
	}
	return req, err
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
	approvals := 0
	for _, r := range req.Reviews {
		if r.State == access.Approved {
			approvals++
		}
	}
	if state == access.Denied || approvals >= w.threshold {
		req.State, req.ResolveReason = state, reason
	}
	w.requests[id] = req
	return req, nil
}

// bob reviews in Teleport, as a person does.
func (w *world) bob(state access.State, reason string) {
	w.t.Helper()
	if _, err := w.review(request, "bob", state, reason); err != nil {
		w.t.Fatalf("bob's review: %v", err)
	}
}

// expire takes the request out of Teleport; the plugin data stays for an hour.
func (w *world) expire() {
	delete(w.requests, request)
	w.gone[request] = true
}

func (t teleport) PluginData(ctx context.Context, id access.RequestID) (data map[string]string, err error) {
	err = t.w.call(ctx, "get plugin data", "", func() error { data = maps.Clone(t.w.data[id]); return nil })
	return data, err
}

func (t teleport) UpdatePluginData(ctx context.Context, id access.RequestID, set, expect map[string]string) error {
	what := "record"
	if set[keyHolder] != "" {
		what = "claim " + set[keyEffect]
	}
	return t.w.call(ctx, "swap", what, func() error {
		now := t.w.data[id]
		if _, there := t.w.requests[id]; !there && now == nil {
			return fmt.Errorf("plugin data of %s: %w", id, access.ErrNotFound)
		}
		for k, want := range expect {
			if now[k] != want {
				return fmt.Errorf("plugin data of %s: %w", id, access.ErrConflict)
			}
		}
		t.w.data[id] = merged(now, set)
		return nil
	})
}

type presence struct{ w *world }

func (p presence) Gone(id access.RequestID) bool {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	return p.w.gone[id]
}

func (p presence) User(id access.RequestID) string {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	return p.w.requests[id].User
}

type directory struct{ w *world }

func (d directory) User(ctx context.Context, email string) (user access.User, err error) {
	err = d.w.call(ctx, "user", "", func() error {
		for known, u := range d.w.users {
			if access.SameName(known, email) {
				user = u
				return nil
			}
		}
		return fmt.Errorf("user %s: %w", email, access.ErrNotFound)
	})
	return user, err
}

func (d directory) Service(ctx context.Context, ref string) (service access.Service, err error) {
	err = d.w.call(ctx, "service", "", func() error {
		for _, s := range d.w.services {
			if access.SameName(s.Name, ref) || "id:"+string(s.ID) == ref {
				service = s
				return nil
			}
		}
		return fmt.Errorf("service %s: %w", ref, access.ErrNotFound)
	})
	return service, err
}

func (d directory) OnCalls(ctx context.Context, q access.OnCallQuery) (entries []access.OnCall, now time.Time, err error) {
	err = d.w.call(ctx, "on-calls", "", func() error {
		if len(q.Users) == 0 || len(q.Policies) == 0 {
			d.w.t.Errorf("an on-call question without users or policies was asked: %+v", q)
		}
		for _, e := range d.w.onCalls {
			if slices.Contains(q.Users, e.User.ID) && slices.Contains(q.Policies, e.Policy) {
				entries = append(entries, e)
			}
		}
		now = time.Now()
		return nil
	})
	return entries, now, err
}

type pagerduty struct{ w *world }

func (p pagerduty) Bot(ctx context.Context) (user access.User, err error) {
	err = p.w.call(ctx, "bot", "", func() error { user = access.User{ID: bot}; return nil })
	return user, err
}

func (p pagerduty) find(id access.IncidentID) (*access.Incident, error) {
	i := slices.IndexFunc(p.w.incidents, func(i access.Incident) bool { return i.ID == id })
	if i < 0 {
		return nil, fmt.Errorf("incident %s: %w", id, access.ErrNotFound)
	}
	return &p.w.incidents[i], nil
}

func (p pagerduty) Incident(ctx context.Context, id access.IncidentID) (incident access.Incident, err error) {
	err = p.w.call(ctx, "get incident", "", func() error {
		found, err := p.find(id)
		if err == nil {
			incident = *found
		}
		return err
	})
	return incident, err
}

func (p pagerduty) IncidentsByKey(ctx context.Context, key string, service access.ServiceID) (found []access.Incident, err error) {
	err = p.w.call(ctx, "incidents by key", "", func() error {
		if key == "" || service == "" {
			p.w.t.Errorf("incidents were asked for with key %q and service %q", key, service)
		}
		for _, i := range slices.Backward(p.w.incidents) {
			if i.Key == key && i.Service == service {
				found = append(found, i)
			}
		}
		return nil
	})
	return found, err
}

func (p pagerduty) CreateIncident(ctx context.Context, n access.NewIncident) (incident access.Incident, err error) {
	err = p.w.call(ctx, "create", "create "+string(n.Service), func() error {
		if err := p.w.refuse[n.Service]; err != nil {
			return err
		}
		for _, i := range p.w.incidents {
			if i.Key == n.Key && i.Service == n.Service && i.Open() {
				return fmt.Errorf("creating: %w", access.ErrDuplicateKey)
			}
		}
		incident = p.w.incident(n.Key, n.Service, bot)
		p.w.opened[incident.ID] = n
		return nil
	})
	if err != nil {
		incident = access.Incident{}
	}
	return incident, err
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

func (p pagerduty) Notes(ctx context.Context, id access.IncidentID) (notes []access.Note, err error) {
	err = p.w.call(ctx, "notes", "", func() error {
		notes = slices.Clone(p.w.notes[id])
		_, err := p.find(id)
		return err
	})
	return notes, err
}

func (p pagerduty) AddNote(ctx context.Context, id access.IncidentID, text string) error {
	return p.w.call(ctx, "note", "note "+string(id), func() error {
		if _, err := p.find(id); err != nil {
			return err
		}
		p.w.notes[id] = append(p.w.notes[id], access.Note{Content: text, Created: time.Now()})
		return nil
	})
}

func (p pagerduty) Resolve(ctx context.Context, id access.IncidentID) error {
	return p.w.call(ctx, "resolve", "resolve "+string(id), func() error {
		incident, err := p.find(id)
		if err != nil {
			return err
		}
		if !incident.Open() {
			return errors.New("incident already resolved")
		}
		incident.Status = access.Resolved
		return nil
	})
}

// resolvedBySomebody resolves an incident in PagerDuty, as a person does.
func (w *world) resolvedBySomebody(id access.IncidentID) {
	incident, err := pagerduty{w}.find(id)
	if err != nil {
		w.t.Fatal(err)
	}
	incident.Status, incident.ResolvedBy = access.Resolved, "Bob"
}

type links struct {
	w *world
	*memory
}

func (l links) Link(_ context.Context, id access.RequestID) (access.Link, error) {
	if l.broken != nil {
		return access.Link{}, l.broken
	}
	link, ok := l.links[id]
	if !ok {
		return link, access.ErrNotFound
	}
	link.Incidents = slices.Clone(link.Incidents)
	return link, nil
}

func (l links) Decision(_ context.Context, id access.RequestID) (access.Decision, error) {
	if l.broken != nil {
		return access.Decision{}, l.broken
	}
	d, ok := l.decisions[id]
	if !ok {
		return d, access.ErrNotFound
	}
	return d, nil
}

func (l links) EventsFor(_ context.Context, id access.RequestID) ([]access.EventID, error) {
	return slices.Clone(l.events[id]), l.broken
}

func (l links) Record(_ context.Context, o access.Outcome) error {
	if l.broken != nil {
		return l.broken
	}
	if o.Link != nil {
		link := *o.Link
		link.Incidents = slices.Clone(link.Incidents)
		l.links[o.Request] = link
	}
	if o.Decision != nil {
		l.decisions[o.Request] = *o.Decision
	}
	l.events[o.Request] = slices.DeleteFunc(l.events[o.Request], func(id access.EventID) bool { return slices.Contains(o.Finished, id) })
	return nil
}

// moments are the parts of the texts that depend on how long something took.
var moments = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`)

// end tells how everything ended, in the words that people see there.
func (w *world) end() string {
	var b strings.Builder
	if req, ok := w.requests[request]; ok {
		fmt.Fprintf(&b, "request %s\n", req.State)
		for _, r := range req.Reviews {
			fmt.Fprintf(&b, "  review %s by %s\n", r.State, r.Author)
		}
	} else {
		b.WriteString("request gone\n")
	}
	incidents := slices.Clone(w.incidents)
	slices.SortFunc(incidents, func(a, b access.Incident) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Key, b.Key))
	})
	for _, i := range incidents {
		key := strings.Replace(i.Key, string(request), "ID", 1)
		fmt.Fprintf(&b, "incident on %s, key %s, %s\n", i.Service, key, i.Status)
		for _, n := range w.notes[i.ID] {
			fmt.Fprintf(&b, "  note %s\n", strings.ReplaceAll(moments.ReplaceAllString(n.Content, "TIME"), "\n", " / "))
		}
	}
	data := w.data[request]
	for _, k := range slices.Sorted(maps.Keys(data)) {
		if k != keyRecord && k != keyIncident && k != keyCreated {
			fmt.Fprintf(&b, "data %s=%s\n", k, strings.ReplaceAll(moments.ReplaceAllString(data[k], "TIME"), "\n", " / "))
		}
	}
	if len(w.incidents) > 0 && data[keyHolder] == "" && !slices.ContainsFunc(w.incidents, func(i access.Incident) bool { return string(i.ID) == data[keyIncident] }) {
		fmt.Fprintf(&b, "data %s=%q names no incident\n", keyIncident, data[keyIncident])
	}
	return b.String()
}
