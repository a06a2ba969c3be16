package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

// memory is one replica's store.
type memory struct {
	links     map[access.RequestID]access.Link
	decisions map[access.RequestID]access.Decision
	events    map[access.RequestID][]access.EventID
	received  map[access.EventID]time.Time
	broken    error
	full      error // why nothing is written
}

func newMemory() *memory {
	return &memory{links: map[access.RequestID]access.Link{}, decisions: map[access.RequestID]access.Decision{},
		events: map[access.RequestID][]access.EventID{}, received: map[access.EventID]time.Time{}}
}

type teleport struct{ w *world }

func (t teleport) User() string    { return pdhook }
func (t teleport) Cluster() string { return t.w.cluster }
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

func (t teleport) PluginData(ctx context.Context, id access.RequestID) (data map[string]string, err error) {
	err = t.w.call(ctx, "get plugin data", "", func() error { data = maps.Clone(t.w.data[id]); return nil })
	return data, err
}

func (t teleport) UpdatePluginData(ctx context.Context, id access.RequestID, set, expect map[string]string) error {
	what := "record"
	if next := merged(expect, set); next[keyHolder] != "" {
		what = "claim " + next[keyEffect]
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

type directory struct {
	w          *world
	remembered map[string]any // by question
}

// ask answers a question by memory where the caller takes one of that age, else by a call. It is honest: a fact
// carries the time at which its question was asked, and a failure is not remembered.
func ask[T any](ctx context.Context, d directory, name, about string, since time.Time, answer func() (T, error)) access.Fact[T] {
	fact := access.Fact[T]{ReadAt: time.Now()}
	key := name + " " + about
	d.w.mu.Lock()
	kept, known := d.remembered[key].(access.Fact[T])
	d.w.mu.Unlock()
	if known && since.Before(fact.ReadAt) && !kept.ReadAt.Before(since) {
		return kept
	}
	fact.Err = d.w.call(ctx, name, "", func() (err error) { fact.Value, err = answer(); return err })
	if fact.Known() || errors.Is(fact.Err, access.ErrNotFound) {
		d.w.mu.Lock()
		d.remembered[key] = fact
		d.w.mu.Unlock()
	}
	return fact
}

func (d directory) User(ctx context.Context, email string, since time.Time) access.Fact[access.User] {
	return ask(ctx, d, "user", email, since, func() (access.User, error) {
		for known, u := range d.w.users {
			if access.SameName(known, email) {
				return u, nil
			}
		}
		return access.User{}, fmt.Errorf("user %s: %w", email, access.ErrNotFound)
	})
}

func (d directory) Service(ctx context.Context, ref string, since time.Time) access.Fact[access.Service] {
	return ask(ctx, d, "service", ref, since, func() (access.Service, error) {
		for _, s := range d.w.services {
			if access.SameName(s.Name, ref) || "id:"+string(s.ID) == ref {
				return s, nil
			}
		}
		return access.Service{}, fmt.Errorf("service %s: %w", ref, access.ErrNotFound)
	})
}

func (d directory) Schedule(ctx context.Context, ref string, until, since time.Time) access.Fact[access.Duty] {
	return ask(ctx, d, "schedule", ref, since, func() (access.Duty, error) {
		for _, s := range d.w.schedules {
			if access.SameName(s.Name, ref) || "id:"+string(s.ID) == ref {
				s.Shifts = slices.DeleteFunc(slices.Clone(s.Shifts), func(sh access.Shift) bool { return sh.Start.After(until) && !sh.At(time.Now()) })
				return access.Duty{Schedule: s, Now: time.Now()}, nil
			}
		}
		return access.Duty{}, fmt.Errorf("schedule %s: %w", ref, access.ErrNotFound)
	})
}

func (d directory) OnCalls(ctx context.Context, user access.UserID, until, since time.Time) access.Fact[access.OnCalls] {
	return ask(ctx, d, "on-calls", string(user), since, func() (access.OnCalls, error) {
		if user == "" {
			d.w.t.Error("an on-call question without a user was asked")
		}
		entries := slices.DeleteFunc(slices.Clone(d.w.onCalls), func(e access.OnCall) bool { return e.User.ID != user || e.Start.After(until) })
		return access.OnCalls{Entries: entries, Now: time.Now()}, nil
	})
}

func (d directory) OnDuty(ctx context.Context, policy access.PolicyID, since time.Time) access.Fact[access.OnCalls] {
	return ask(ctx, d, "on duty", string(policy), since, func() (access.OnCalls, error) {
		entries := slices.DeleteFunc(slices.Clone(d.w.onCalls), func(e access.OnCall) bool { return e.Policy != policy })
		return access.OnCalls{Entries: entries, Now: time.Now()}, nil
	})
}

func (d directory) OpenIncidents(ctx context.Context, services []access.ServiceID, since time.Time) access.Fact[[]access.Incident] {
	return ask(ctx, d, "open incidents", fmt.Sprint(services), since, func() (open []access.Incident, err error) {
		if len(services) == 0 {
			d.w.t.Error("open incidents were asked for without a service")
		}
		for _, i := range slices.Backward(d.w.incidents) {
			if i.Open() && slices.Contains(services, i.Service) {
				open = append(open, i)
			}
		}
		return open, nil
	})
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

func (p pagerduty) Incident(ctx context.Context, id access.IncidentID, _ access.ServiceID) (incident access.Incident, err error) {
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

func (p pagerduty) Reopen(ctx context.Context, id access.IncidentID) error {
	return p.w.call(ctx, "reopen", "reopen "+string(id), func() error {
		incident, err := p.find(id)
		switch {
		case err != nil:
			return err
		case p.w.noReopen:
			return &access.Failure{Class: access.Permanent, Err: errors.New("a resolved incident cannot be reopened")}
		}
		incident.Status = access.Triggered
		return nil
	})
}

func (p pagerduty) Resolver(ctx context.Context, id access.IncidentID) (who access.User, err error) {
	err = p.w.call(ctx, "resolver", "", func() error {
		if p.w.noResolver != nil {
			return p.w.noResolver
		}
		who = p.w.resolvers[id]
		_, err := p.find(id)
		return err
	})
	return who, err
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

func (l links) RequestsOfIncident(_ context.Context, id access.IncidentID) (requests []access.RequestID, err error) {
	for request, link := range l.links {
		if slices.ContainsFunc(link.Incidents, func(i access.LinkedIncident) bool { return i.ID == id || i.MergedInto == id }) {
			requests = append(requests, request)
		}
	}
	return requests, l.broken
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

func (l links) Event(_ context.Context, id access.EventID) (access.Event, error) {
	return access.Event{ID: id, Received: l.received[id]}, l.broken
}

func (l links) Record(_ context.Context, o access.Outcome) error {
	if err := cmp.Or(l.broken, l.full); err != nil {
		return err
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
