package reconcile

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/internal/policy"
)

// Observer counts what passes come to. Decisions and Effects list the words it can hear.
type Observer interface {
	// Decided is told of a decision with another verdict, or by another check, than the request's last one.
	Decided(verdict, failedCheck string)
	// Effect is told of each attempt to change something in Teleport or PagerDuty.
	Effect(kind, outcome string)
	// Reacted is told how long after an event the decision came that it caused.
	Reacted(after time.Duration)
}

// The outcomes of an attempt.
const (
	outcomeOK      = "ok"
	outcomeAlready = "already" // it was there, or somebody else was first
	outcomeFailed  = "failed"  // what is still missing then is tried again
)

// effectPluginData is the kind of effect that writes what replicas share; the others are policy's kinds of actions.
const effectPluginData = "plugin data"

// Decisions lists all that Decided can be told.
func Decisions() [][2]string {
	pairs := [][2]string{{string(access.Approve), ""}, {string(access.Already), ""}}
	for _, check := range policy.Checks() {
		pairs = append(pairs, [2]string{string(access.No), check}, [2]string{string(access.CouldNotTell), check})
	}
	return pairs
}

// Effects lists all that Effect can be told.
func Effects() [][2]string {
	var pairs [][2]string
	for _, kind := range append(policy.Kinds(), effectPluginData) {
		for _, outcome := range []string{outcomeOK, outcomeAlready, outcomeFailed} {
			pairs = append(pairs, [2]string{string(kind), outcome})
		}
	}
	return pairs
}

// failedCheck names the check that a decision rests on: the first that failed, else the first that could not be told;
// "" for an approval, which waits for Teleport at most.
func failedCheck(d access.Decision) string {
	if d.Verdict == access.Approve || d.Verdict == access.Already {
		return ""
	}
	for _, status := range []access.Status{access.Failed, access.Unknown} {
		if i := slices.IndexFunc(d.Checks, func(c access.Check) bool { return c.Status == status }); i >= 0 {
			return d.Checks[i].Name
		}
	}
	return ""
}

// attempted counts an effect that did not turn out to be none.
func (p *pass) attempted(a policy.Action, err error) {
	if err != nil {
		p.outcome = outcomeFailed
	}
	if p.outcome != "" {
		p.Observer.Effect(string(a.Kind), p.outcome)
	}
}

// wrotePluginData counts a write of plugin data. That Teleport has neither the request nor its data any more is none.
func (p *pass) wrotePluginData(err error) {
	switch {
	case err == nil:
		p.Observer.Effect(effectPluginData, outcomeOK)
	case errors.Is(err, access.ErrConflict):
		p.Observer.Effect(effectPluginData, outcomeAlready)
	case !errors.Is(err, access.ErrNotFound):
		p.Observer.Effect(effectPluginData, outcomeFailed)
	}
}

// counted remembers what was counted of each request, so that looking again counts nothing.
type counted struct {
	mu sync.Mutex
	of map[access.RequestID]tally // bounded by the requests at hand; forgotten with each
}

type tally struct {
	decision   [2]string // verdict and check; empty before the first
	events     map[access.EventID]bool
	unnotified bool
}

func (c *counted) get(id access.RequestID) tally {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.of[id]
}

func (c *counted) set(id access.RequestID, now tally) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of == nil {
		c.of = map[access.RequestID]tally{}
	}
	c.of[id] = now
}

func (c *counted) forget(id access.RequestID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.of, id)
}

// Unnotified is how many pending requests ought to have an incident on each service to notify and lack one, as the
// latest look at each found. A dry run notifies nobody.
func (r *Reconciler) Unnotified() (n int) {
	r.counted.mu.Lock()
	defer r.counted.mu.Unlock()
	for _, c := range r.counted.of {
		if c.unnotified {
			n++
		}
	}
	return n
}

// report counts what the pass decided and left undone, before it is recorded.
func (p *pass) report(ctx context.Context) {
	now := p.counted.get(p.id)
	if d := p.work.Decision; d.Verdict != "" {
		now.decision = p.reportDecision(ctx, now.decision)
		now.events = p.reportEvents(ctx, now.events)
	}
	now.unnotified = p.work.Request.State == access.Pending && !p.rules.DryRun && slices.ContainsFunc(p.work.Link.Incidents,
		func(i access.LinkedIncident) bool { return i.ID == "" && !i.Ended })
	p.counted.set(p.id, now)
}

// reportDecision counts a decision that is not as before. The store knows what was decided before a restart.
func (p *pass) reportDecision(ctx context.Context, before [2]string) [2]string {
	d := p.work.Decision
	now := [2]string{string(d.Verdict), failedCheck(d)}
	if before == [2]string{} {
		last, err := p.Links.Decision(ctx, p.id)
		switch {
		case err == nil:
			before = [2]string{string(last.Verdict), failedCheck(last)}
		case errors.Is(err, access.ErrNotFound) && !p.work.Request.Created.IsZero():
			p.Observer.Reacted(max(0, d.Time.Sub(p.work.Request.Created))) // Teleport's clock may be ahead
		}
	}
	if now != before {
		p.Observer.Decided(now[0], now[1])
	}
	return now
}

// reportEvents tells how long after each event the decision came. One that an earlier pass decided on, but that has
// not taken effect on the incidents yet, is told no more; those are returned.
func (p *pass) reportEvents(ctx context.Context, told map[access.EventID]bool) map[access.EventID]bool {
	all := map[access.EventID]bool{}
	for _, id := range p.events {
		all[id] = true
		if told[id] {
			continue
		}
		if event, err := p.Links.Event(ctx, id); err == nil {
			p.Observer.Reacted(max(0, p.work.Decision.Time.Sub(event.Received)))
		}
	}
	return all
}

// nobody counts nothing.
type nobody struct{}

func (nobody) Decided(string, string) {}
func (nobody) Effect(string, string)  {}
func (nobody) Reacted(time.Duration)  {}
