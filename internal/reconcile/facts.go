package reconcile

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/internal/policy"
)

// remembered is how old the answers behind a "no" may be when only time has passed (spec §2).
const remembered = time.Minute

// decide reads the facts that the decision needs and decides. A remembered answer is good enough to look again
// only where it says "no", and announced no change that is due by now: else everything is asked for anew.
func (p *pass) decide(ctx context.Context) {
	p.facts = policy.Facts{Cause: p.cause, Reviewer: p.Requests.User(), Reviewed: p.work.Link.Reviewed, Request: p.work.Request}
	if p.work.Request.State != access.Pending {
		return
	}
	began := p.now()
	since := began
	if p.linked && mayRemember(p.cause) && len(p.events) == 0 {
		since = began.Add(-remembered)
	}
	if p.facts.Reviewed || policy.Reviewed(p.work.Request, p.facts.Reviewer) {
		p.judge()
		return
	}
	p.evaluate(ctx, freshness{since, p.namesSince(since, began), began.Add(-people)})
	d := p.work.Decision
	due := !d.Next.IsZero() && !d.Next.After(began)
	if since.Before(began) && !p.dutyHangs() && (due || d.Verdict == access.Approve || d.Verdict == access.CouldNotTell) {
		p.evaluate(ctx, freshness{began, began, began})
	}
	p.undecided = since.Before(began) && p.work.Decision.Verdict == access.No
	if p.work.Decision.Verdict == access.CouldNotTell {
		err := p.factErrors()
		p.undecided = !lasting(err)
		p.errs = append(p.errs, err)
	}
}

// explainWithin bounds what telling who is on call instead may take: it decides nothing, and holds nothing up.
const explainWithin = 2 * time.Second

// explain asks who is on call for the policies for which the requester is not.
func (p *pass) explain(ctx context.Context, since time.Time) {
	ctx, cancel := context.WithTimeout(ctx, explainWithin)
	defer cancel()
	unexplained := policy.Unexplained(p.rules, p.facts)
	answers := make([]access.Fact[access.OnCalls], len(unexplained))
	var wg sync.WaitGroup
	for i, id := range unexplained {
		wg.Go(func() { answers[i] = p.Directory.OnDuty(ctx, id, since) })
	}
	wg.Wait()
	p.facts.OnDuty = map[access.PolicyID]access.Fact[access.OnCalls]{}
	for i, id := range unexplained {
		p.facts.OnDuty[id] = answers[i]
	}
}

// mayRemember reports whether a look because of the cause may rest on remembered answers: nothing points at a
// change of what could approve somebody.
func mayRemember(cause string) bool {
	return cause == access.CauseTimer || cause == access.CauseRules
}

// judge decides on the facts at hand.
func (p *pass) judge() {
	p.facts.Now = p.now()
	p.facts.Request = p.work.Request
	p.work.Decision = policy.Decide(p.rules, p.facts)
}

// readFacts asks PagerDuty for the requester, the named services and schedules, the requester's duty and, where
// one is required, open incidents. Each fact carries the time at which its question was asked.
func (p *pass) readFacts(ctx context.Context, as freshness) {
	f, since := &p.facts, as.duty
	f.User, f.OnCalls, f.Incidents = access.Fact[access.User]{}, access.Fact[access.OnCalls]{}, access.Fact[[]policy.IncidentFact]{}
	f.Services, f.Schedules, f.Paging = nil, nil, nil
	for n, ref := range p.rules.ServiceRefs(p.work.Request) {
		f.Services = append(f.Services, policy.NamedService{Ref: ref, Fact: access.Fact[access.Service]{Err: tooMany(n)}})
	}
	for n, ref := range p.rules.ScheduleRefs(p.work.Request) {
		f.Schedules = append(f.Schedules, policy.NamedSchedule{Ref: ref, Fact: access.Fact[access.Duty]{Err: tooMany(len(f.Services) + n)}})
	}
	until := p.work.Request.Expires
	// A remembered ID spares a question's time: what it brings counts only if the confirming answer, asked for at
	// the same moment, shows the same ID.
	guess, guessed := p.work.Link.Named.User, access.Fact[access.OnCalls]{}
	var wg sync.WaitGroup
	if guess != "" && len(f.Services) > 0 {
		wg.Go(func() { guessed = p.Directory.OnCalls(ctx, guess, until, since) })
	}
	if email := p.rules.Email(p.work.Request); email != "" {
		wg.Go(func() {
			f.User = found(since, as.user, func(since time.Time) access.Fact[access.User] { return p.Directory.User(ctx, email, since) })
		})
	}
	for i := range min(len(f.Services), policy.MostNamed) {
		s := &f.Services[i]
		wg.Go(func() {
			s.Fact = found(since, as.names, func(since time.Time) access.Fact[access.Service] { return p.Directory.Service(ctx, s.Ref, since) })
		})
	}
	for i := range max(0, min(len(f.Schedules), policy.MostNamed-len(f.Services))) {
		wg.Go(func() { f.Schedules[i].Fact = p.Directory.Schedule(ctx, f.Schedules[i].Ref, until, since) })
	}
	wg.Wait()
	if !f.User.Known() || f.User.Value.ID == "" {
		return
	}
	switch {
	case len(p.policies()) == 0:
	case guess == f.User.Value.ID:
		f.OnCalls = guessed
	default:
		f.OnCalls = p.Directory.OnCalls(ctx, f.User.Value.ID, until, since)
	}
	f.Paging = p.paging(ctx, policy.PagedBy(*f), since)
	if services := policy.IncidentsWanted(p.rules, *f); len(services) > 0 {
		f.Incidents = p.openIncidents(ctx, services, since)
	}
}

// paging asks schedules whom they page right now.
func (p *pass) paging(ctx context.Context, ids []access.ScheduleID, since time.Time) map[access.ScheduleID]access.Fact[access.Duty] {
	answers := make([]access.Fact[access.Duty], len(ids))
	var wg sync.WaitGroup
	for i, id := range ids {
		wg.Go(func() { answers[i] = p.Directory.Schedule(ctx, "id:"+string(id), time.Time{}, since) })
	}
	wg.Wait()
	paging := map[access.ScheduleID]access.Fact[access.Duty]{}
	for i, id := range ids {
		paging[id] = answers[i]
	}
	return paging
}

// tooMany is why the name at position n of all that a request names is not looked up; nil when it is.
func tooMany(n int) error {
	if n < policy.MostNamed {
		return nil
	}
	return &access.Failure{Class: access.Permanent,
		Err: fmt.Errorf("of all the services and schedules that the request names, the first %d are looked up", policy.MostNamed)}
}

// openIncidents reads the open incidents on services, and which of them are pdhook's own notifications.
func (p *pass) openIncidents(ctx context.Context, services []access.ServiceID, since time.Time) access.Fact[[]policy.IncidentFact] {
	open := p.Directory.OpenIncidents(ctx, services, since)
	fact := access.Fact[[]policy.IncidentFact]{Err: open.Err, ReadAt: open.ReadAt}
	for _, i := range open.Value {
		ours, err := p.notification(ctx, i)
		if err != nil {
			fact.Err = errors.Join(fact.Err, err)
		}
		fact.Value = append(fact.Value, policy.IncidentFact{Incident: i, Notification: ours})
	}
	return fact
}

// notification reports whether an incident is one of pdhook's own: by its key, by who triggered it, or because
// it is linked to a request.
func (p *pass) notification(ctx context.Context, i access.Incident) (bool, error) {
	if strings.HasPrefix(i.Key, access.KeyPrefix) {
		return true, nil
	}
	bot, err := p.botID(ctx)
	if err != nil || i.TriggeredBy == bot {
		return i.TriggeredBy == bot, err
	}
	return p.linkedToARequest(ctx, i.ID), nil
}

// linkedToARequest asks this replica's memory, which adds to what key and trigger have shown already: where it
// cannot be read, nobody is held up.
func (p *pass) linkedToARequest(ctx context.Context, id access.IncidentID) bool {
	requests, err := p.Links.RequestsOfIncident(ctx, id)
	for _, request := range requests {
		link, failed := p.Links.Link(ctx, request)
		if slices.ContainsFunc(link.Incidents, func(l access.LinkedIncident) bool { return l.ID == id }) {
			return true
		}
		err = errors.Join(err, failed)
	}
	if err != nil && !errors.Is(err, access.ErrNotFound) {
		p.warnOnce("reading the store", err)
	}
	return false
}

// policies gives the escalation policies of the named services, each once.
func (p *pass) policies() []access.PolicyID {
	ids := map[access.PolicyID]bool{}
	for _, s := range p.facts.Services {
		if s.Fact.Known() && s.Fact.Value.Policy != "" {
			ids[s.Fact.Value.Policy] = true
		}
	}
	return slices.Sorted(maps.Keys(ids))
}

// factErrors gives what kept the decision from being told, so that the queue knows when to look again.
func (p *pass) factErrors() error {
	errs := []error{p.facts.User.Err, p.facts.OnCalls.Err, p.facts.Incidents.Err}
	for _, s := range p.facts.Services {
		errs = append(errs, s.Fact.Err)
	}
	for _, s := range p.facts.Schedules {
		errs = append(errs, s.Fact.Err)
	}
	for _, duty := range p.facts.Paging {
		errs = append(errs, duty.Err)
	}
	errs = slices.DeleteFunc(errs, func(err error) bool { return err == nil || errors.Is(err, access.ErrNotFound) })
	if len(errs) == 0 {
		errs = append(errs, &access.Failure{Class: access.Permanent, Err: errors.New(p.work.Decision.Sentence)})
	}
	return fmt.Errorf("evaluating the request: %w", soonest(errs))
}
