package reconcile

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/internal/policy"
)

// Effects that are claimed.
const (
	effectOpen   = "open"
	effectReopen = "reopen"
	effectNotes  = "notes"
	effectEnd    = "end"
)

func effectOf(a policy.Action) string {
	switch a.Kind {
	case policy.AddNote:
		return effectNotes
	case policy.Reopen:
		return effectReopen
	case policy.Resolve:
		return effectEnd
	}
	return effectOpen
}

type claimState int

const (
	unclaimed claimState = iota
	held                 // ours: until is claimFor after it was taken, and a pass is shorter than that
	alone                // nothing to share: Teleport has neither the request nor its data any more
	refused              // another replica's, or plugin data cannot be written
)

// claim announces in plugin data what this replica is about to do, by compare-and-swap, so that no other
// does it too (spec §13). A claim that ran out, or an earlier one of our own, means that somebody may have
// written to PagerDuty without recording it: then everything is looked up before it is written again.
func (p *pass) claim(ctx context.Context, a policy.Action) {
	l, effect := p.ledger, effectOf(a)
	if p.claimed == held {
		effect = l.raw[keyEffect] // still to be looked for, should this process die
	}
	now := p.now()
	switch {
	case p.ledgerErr != nil:
		p.refuse(nil)
		return
	case l.claim.holder != p.Replica && l.claim.stands(now):
		p.refuse(&access.Failure{Class: access.Wait, NotBefore: l.claim.until.Add(time.Second),
			Err: fmt.Errorf("replica %s is at work on the request", l.claim.holder)})
		return
	}
	// A request that waits for a while without a trace may have lost both plugin data and this store.
	traceless := len(l.raw) == 0 && now.Sub(p.work.Request.Created) > time.Minute
	p.dirty = p.dirty || l.claim.holder != "" || l.upstream || traceless
	next := encode(p.work.Request, p.work.Link.Incidents, p.mine(effect), l.upstream)
	if l.upstream && l.raw[keyReviews] != "" {
		next[keyReviews] = l.raw[keyReviews]
	}
	p.announced = p.reopening()
	set, expect := l.swap(next)
	claimCtx, cancel := ctx, context.CancelFunc(func() {})
	if a.Kind == policy.SubmitReview {
		claimCtx, cancel = context.WithTimeout(ctx, claimBeforeReview)
	}
	err := p.Requests.UpdatePluginData(claimCtx, p.id, set, expect)
	cancel()
	p.wrotePluginData(err)
	switch {
	case errors.Is(err, access.ErrNotFound):
		p.claimed, p.dirty = alone, true
	case err != nil:
		p.refuse(fmt.Errorf("claiming the request: %w", err))
		return
	default:
		p.claimed = held
		p.ledger.raw, p.ledger.decided = merged(l.raw, set), decisionOn(p.work.Request)
	}
}

// mine is this replica's claim from now on.
func (p *pass) mine(effect string) claim {
	return claim{effect: effect, holder: p.Replica, until: p.now().Add(claimFor), reopening: p.reopening()}
}

// reopening names the incidents that may turn out to be open again because of pdhook.
func (p *pass) reopening() []access.IncidentID {
	var ids []access.IncidentID
	for _, i := range p.work.Link.Incidents {
		if !i.Reopened && (p.work.Reopens(i) || slices.Contains(p.ledger.claim.reopening, i.ID)) {
			ids = append(ids, i.ID)
		}
	}
	return ids
}

func (p *pass) refuse(err error) {
	p.claimed = refused
	p.blockIncidents(err)
}

// readAgain reads the request between claim and effect: what was decided meanwhile opens no incident, and what
// was denied meanwhile is not approved.
func (p *pass) readAgain(ctx context.Context) error {
	req, err := p.Requests.Get(ctx, p.id)
	switch {
	case errors.Is(err, access.ErrNotFound):
		// Gone, or not visible yet at the server that answered: the next look tells.
		return &access.Failure{Class: access.Retry, Err: errors.New("the request is not visible in Teleport at the moment")}
	case err != nil:
		return fmt.Errorf("reading the request again: %w", err)
	}
	p.work.Request, p.again = req, p.claimed != unclaimed
	switch {
	case req.State != access.Pending:
		p.work.Claimed = p.work.Claimed || p.due()
	case !p.work.Link.Reviewed: // else the incident shall tell why pdhook approved
		p.judge()
	}
	return nil
}

// record writes what was done: plugin data first, which all replicas share, then this replica's memory.
func (p *pass) record(ctx context.Context) (Result, error) {
	if p.claimed == held || p.leftBehind() {
		c := claim{}
		passing := slices.ContainsFunc(p.errs, func(err error) bool { return !lasting(err) })
		if p.unclear || p.dirty && (p.unread || passing && p.heldBack()) { // the next pass has to look, too
			c = p.mine(p.ledger.raw[keyEffect])
		}
		set, expect := p.ledger.swap(encode(p.work.Request, p.work.Link.Incidents, c, p.ledger.upstream && (p.claimed != held || len(p.errs) > 0)))
		// The pass may be out of time; what it did must be recorded all the same.
		recordCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordFor)
		defer cancel()
		err := p.Requests.UpdatePluginData(recordCtx, p.id, set, expect)
		p.wrotePluginData(err)
		if err != nil && !errors.Is(err, access.ErrNotFound) {
			p.errs = append(p.errs, fmt.Errorf("recording in plugin data: %w", err))
		}
	}
	p.remember(ctx)
	result := Result{}
	if next := p.work.Decision.Next; p.work.Request.State == access.Pending && !next.IsZero() {
		result.After = max(next.Sub(p.now()), time.Second)
	}
	if len(p.errs) > 0 {
		return result, soonest(p.errs)
	}
	return result, nil
}

// leftBehind reports whether a claim was left of which nothing came: nothing turned out to be missing, in no lane.
func (p *pass) leftBehind() bool {
	c := p.ledger.claim
	over := c.holder == p.Replica || !c.stands(p.now())
	return c.holder != "" && over && p.claimed == unclaimed && !p.rules.DryRun && !p.heldBack()
}

func merged(raw, set map[string]string) map[string]string {
	out := maps.Clone(raw)
	if out == nil {
		out = map[string]string{}
	}
	for k, v := range set {
		if v == "" {
			delete(out, k)
			continue
		}
		out[k] = v
	}
	return out
}
