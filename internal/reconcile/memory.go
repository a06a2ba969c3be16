package reconcile

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/internal/policy"
)

// remember writes this replica's link, the decision and the events that took effect.
func (p *pass) remember(ctx context.Context) {
	link := &p.work.Link
	req := p.work.Request
	link.User, link.Roles, link.Reason, link.Created = req.User, req.Roles, req.Reason, req.Created
	link.Expires, link.State, link.Resolve, link.Reviews = req.Expires, req.State, req.ResolveReason, req.Reviews
	link.Suggested = req.SuggestedReviewers
	link.Missing = p.missing
	link.Cluster = cmp.Or(p.Requests.Cluster(), link.Cluster)
	link.Updated = p.now()
	link.Reviewed = link.Reviewed || policy.Reviewed(req, p.Requests.User())
	link.Finished = time.Time{} // of a request that came back, too
	if req.State == access.Pending {
		named := p.named()
		p.sayMovedNames(link.Named.Meant, named.Meant)
		link.Named = named
	} else if policy.Finished(p.work) && len(p.errs) == 0 {
		link.Finished = p.now()
		p.refusals.forget(p.id)
	}
	outcome := access.Outcome{Request: p.id, Link: link}
	if p.work.Decision.Verdict != "" {
		decision := policy.Conclude(p.rules, p.work, p.reviewFailed)
		outcome.Decision = &decision
	}
	if !slices.ContainsFunc(p.errs, func(err error) bool { return !lasting(err) }) {
		outcome.Finished = p.events
	}
	p.sayDecision(ctx) // a conflict may have led to another
	p.report(ctx)
	if !link.Open() {
		p.counted.forget(p.id)
	}
	if err := p.write(ctx, outcome); err != nil {
		p.errs = append(p.errs, err)
	}
}

// introduce records what a new request names before anything is asked about it: a webhook that comes meanwhile
// must find it.
func (p *pass) introduce(ctx context.Context) {
	link, req := p.work.Link, p.work.Request
	link.User, link.Roles, link.Reason, link.Created = req.User, req.Roles, req.Reason, req.Created
	link.Expires, link.State, link.Updated = req.Expires, req.State, p.now()
	link.Named = p.named()
	_ = p.write(ctx, access.Outcome{Request: p.id, Link: &link}) // finishes nothing
}

// sayMovedNames reports a name that leads to another service than before (spec §3).
func (p *pass) sayMovedNames(before, now map[string]access.ServiceID) {
	for _, name := range slices.Sorted(maps.Keys(now)) {
		if was := before[name]; was != "" && was != now[name] {
			p.log.Warn("A name leads to another PagerDuty service than before", "name", name, "before", was, "now", now[name])
		}
	}
}

// sayDecision logs a decision that differs from the last one, before what is done because of it.
func (p *pass) sayDecision(ctx context.Context) {
	d := p.work.Decision
	if d.Verdict == "" || d.Verdict == p.told.Verdict && d.Sentence == p.told.Sentence {
		return
	}
	last, err := p.Links.Decision(ctx, p.id)
	p.told = d
	if err == nil && last.Verdict == d.Verdict && last.Sentence == d.Sentence {
		return
	}
	p.log.Info("Decided", "verdict", d.Verdict, "why", d.Sentence, "cause", d.Cause, "user", p.work.Request.User)
}

// forget finishes the events of a request that is none of pdhook's business any more.
func (p *pass) forget(ctx context.Context) error {
	p.counted.forget(p.id)
	p.refusals.forget(p.id)
	if len(p.events) == 0 {
		return nil
	}
	return p.write(ctx, access.Outcome{Request: p.id, Finished: p.events})
}

// write stores what a pass came to. What fails is stored by the next look, which comes by itself while the request is
// pending or its link open; else events would wait for ever, and the error asks for another look.
func (p *pass) write(ctx context.Context, o access.Outcome) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	err := p.Links.Record(ctx, o)
	switch {
	case err == nil:
		return nil
	case len(o.Finished) > 0 && p.work.Request.State != access.Pending:
		return fmt.Errorf("finishing webhook events: %w", err)
	}
	p.warnOnce("writing the store", err)
	return nil
}

// named says which webhooks and on-call changes concern the request from now on.
func (p *pass) named() access.Named {
	n := access.Named{User: p.facts.User.Value.ID, Policies: p.policies()}
	for _, s := range p.facts.Schedules {
		switch schedule := s.Fact.Value.Schedule; {
		case !s.Fact.Known():
		case schedule.Used:
			n.Schedules = append(n.Schedules, schedule.ID)
		default:
			n.Unused = append(n.Unused, schedule.ID)
		}
	}
	refs := append(p.rules.ServiceRefs(p.work.Request), p.rules.NotifyRefs(p.work.Request)...)
	for _, i := range p.work.Link.Incidents { // rules may name others
		refs = append(refs, i.Ref)
	}
	for _, ref := range policy.Refs(refs) {
		if id, ok := strings.CutPrefix(ref, "id:"); ok {
			n.Services = append(n.Services, access.ServiceID(id))
		} else {
			n.ServiceNames = append(n.ServiceNames, ref)
		}
	}
	n.Meant = map[string]access.ServiceID{}
	for _, s := range p.facts.Services {
		n.Services = append(n.Services, s.Fact.Value.ID)
		if s.Fact.Known() {
			n.Meant[s.Ref] = s.Fact.Value.ID
		}
	}
	for _, i := range p.work.Link.Incidents {
		n.Services = append(n.Services, i.Service)
	}
	if v := p.work.Decision.Verdict; v != access.Approve && v != access.No {
		n = keeping(n, p.work.Link.Named)
	}
	slices.Sort(n.Services)
	n.Services = slices.DeleteFunc(slices.Compact(n.Services), func(id access.ServiceID) bool { return id == "" })
	slices.Sort(n.ServiceNames)
	n.ServiceNames = slices.Compact(n.ServiceNames)
	return n
}

// keeping adds what was known before to what a pass that could not tell has found.
func keeping(n, before access.Named) access.Named {
	n.User = cmp.Or(n.User, before.User)
	n.Services = append(n.Services, before.Services...)
	n.Policies = slices.Compact(slices.Sorted(slices.Values(append(n.Policies, before.Policies...))))
	n.Schedules = slices.Compact(slices.Sorted(slices.Values(append(n.Schedules, before.Schedules...))))
	n.Unused = slices.Compact(slices.Sorted(slices.Values(append(n.Unused, before.Unused...))))
	for name, id := range before.Meant {
		if n.Meant[name] == "" {
			n.Meant[name] = id
		}
	}
	return n
}

// refusals remembers which reviews Teleport refused for want of a permission. They are tried again when the
// request changes, somebody or something gives a reason to, and hourly (spec §4).
type refusals struct {
	mu sync.Mutex
	of map[access.RequestID]refusal // bounded by the pending requests; forgotten with each
}

type refusal struct {
	err     error
	reviews int
	until   time.Time
}

const refusalHolds = time.Hour

func (r *refusals) remember(id access.RequestID, req access.Request, err error, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.of == nil {
		r.of = map[access.RequestID]refusal{}
	}
	r.of[id] = refusal{err: err, reviews: len(req.Reviews), until: now.Add(refusalHolds)}
}

// standing gives the refusal that still holds for the request as it is, or nil.
func (r *refusals) standing(id access.RequestID, req access.Request, now time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if kept, ok := r.of[id]; ok && kept.reviews == len(req.Reviews) && now.Before(kept.until) {
		return kept.err
	}
	return nil
}

// stands reports whether there is one.
func (r *refusals) stands(id access.RequestID, req access.Request, now time.Time) bool {
	return r.standing(id, req, now) != nil
}

// hinted forgets a refusal when the request is looked at for another reason than time passing.
func (r *refusals) hinted(id access.RequestID, cause string) {
	if cause == access.CausePoll || passing(cause) && cause != access.CauseReload {
		return
	}
	r.forget(id)
}

func (r *refusals) forget(id access.RequestID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.of, id)
}

// said keeps a failure that concerns the whole service from being logged once per request: a line comes
// again only when its text changes, of which the request's ID is no part, or when it was over meanwhile.
type said struct {
	mu   sync.Mutex
	last map[string]string
}

func (s *said) changed(id access.RequestID, message string, err error) bool {
	text := strings.ReplaceAll(err.Error(), string(id), "")
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil {
		s.last = map[string]string{}
	}
	if s.last[message] == text {
		return false
	}
	s.last[message] = text
	return true
}

// over notes that what the message tells of is no more.
func (s *said) over(message string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.last, message)
}

func (p *pass) warnOnce(message string, err error) {
	if p.said.changed(p.id, message, err) {
		p.log.Warn(message, "error", err)
	}
}

func (p *pass) errorOnce(message string, err error) {
	if p.said.changed(p.id, message, err) {
		p.log.Error(message, "error", err)
	}
}
