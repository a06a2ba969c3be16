package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/internal/policy"
)

// act does what is missing, one effect at a time, and plans anew after each. The review comes first: no incident
// is read or written before it, so that none can hold it up. A dry run does nothing.
func (p *pass) act(ctx context.Context) {
	if p.rules.DryRun {
		return
	}
	p.effects(ctx, func(a policy.Action) bool { return a.Kind == policy.SubmitReview })
	urgentPartOver(ctx)
	p.readIncidents(ctx)
	p.readResolvers(ctx)
	p.denyOnlyWhoIsRefused()
	p.effects(ctx, func(policy.Action) bool { return true })
}

// effects does what is missing until nothing is, or until an effect is not among those wanted.
func (p *pass) effects(ctx context.Context, wanted func(policy.Action) bool) {
	for {
		a, ok := policy.Next(p.work)
		if !ok || !wanted(a) {
			return
		}
		if p.needsClaim(a) && (p.claimed == unclaimed || p.claimed == held && p.unannounced(a)) {
			p.claim(ctx, a)
			continue
		}
		if (p.claimed == held || p.claimed == alone) && !p.again && (a.Kind == policy.OpenIncident || a.Kind == policy.Reopen) && p.work.Request.State == access.Pending {
			if err := p.readAgain(ctx); err != nil {
				p.blockIncidents(err)
				p.work.Blocked[policy.ReviewLane] = true
			}
			continue
		}
		if ctx.Err() != nil {
			p.block(a.Lane(), context.Cause(ctx))
			continue
		}
		p.outcome = ""
		err := p.do(ctx, a)
		p.attempted(a, err)
		if err != nil {
			p.block(a.Lane(), err)
		}
	}
}

// unannounced reports whether the claim does not tell of the reopening, or of how the request ended, which is about to
// be told: the claim may be older than the decision.
func (p *pass) unannounced(a policy.Action) bool {
	switch a.Kind {
	case policy.Reopen:
		return !slices.Contains(p.announced, p.work.Link.Incidents[a.Index].ID)
	case policy.AddNote, policy.Resolve:
		return p.ledger.decided != decisionOn(p.work.Request)
	}
	return false
}

func (p *pass) do(ctx context.Context, a policy.Action) error {
	if a.Kind == policy.SubmitReview {
		return p.approve(ctx)
	}
	linked := &p.work.Link.Incidents[a.Index]
	switch a.Kind {
	case policy.SubmitDenial:
		return p.deny(ctx, a)
	case policy.OpenIncident:
		if p.fallBack(ctx) {
			return nil // other services are to be notified: planned anew
		}
		err := p.open(ctx, linked)
		if lasting(err) && p.work.Request.State != access.Pending && !p.dirty {
			linked.Ended = true // by the time somebody has mended it, nobody need be told any more
		}
		return err
	case policy.Reopen:
		return p.reopen(ctx, linked, a)
	case policy.AddNote:
		err := p.note(ctx, linked, a)
		if lasting(err) && p.work.Request.State != access.Pending {
			err = errors.Join(p.endUntold(ctx, linked), err)
		}
		return err
	default:
		return p.resolve(ctx, linked, a)
	}
}

// needsClaim reports whether the action must happen once over all replicas. Teleport itself keeps a review
// single; it is claimed only together with the incidents that shall be opened whatever becomes of it.
func (p *pass) needsClaim(a policy.Action) bool {
	if a.Kind != policy.SubmitReview {
		return a.Kind != policy.SubmitDenial
	}
	for _, i := range p.work.Link.Incidents {
		if i.ID == "" && !i.Ended && p.rules.Notify == policy.NotifyAlways {
			return p.ledgerErr == nil
		}
	}
	return false
}

// approve submits pdhook's one review. The facts behind it must still be fresh when the call ends (spec §2).
func (p *pass) approve(ctx context.Context) error {
	if err := p.refusals.standing(p.id, p.work.Request, p.now()); err != nil {
		p.reviewFailed = err
		p.work.Blocked[policy.ReviewLane] = true
		return nil
	}
	deadline := p.work.Decision.Evidence.ReadAt.Add(policy.Fresh)
	// Both clocks count: the monotonic one stands still while a machine sleeps.
	if deadline.Sub(p.now()) < time.Second || deadline.Round(0).Sub(p.now().Round(0)) < time.Second {
		return p.putOff(errors.New("approving: the facts are too old by now, reading them again"))
	}
	reviewCtx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	if err := p.readAgain(reviewCtx); err != nil {
		return p.putOff(err)
	}
	switch d := p.work.Decision; {
	case p.work.Request.State != access.Pending || d.Verdict == access.No || d.Verdict == access.Already:
		return nil // somebody reviewed or decided it meanwhile
	case d.Verdict != access.Approve:
		return p.putOff(fmt.Errorf("approving: the request has changed: %s", d.Sentence))
	}
	req, err := p.Requests.SubmitReview(reviewCtx, p.id, access.Approved, policy.ReviewReason(p.work.Decision))
	if err != nil {
		return p.reviewNotTaken(ctx, fmt.Errorf("submitting the approval: %w", err))
	}
	p.work.Request = req
	p.work.Blocked[policy.ReviewLane] = true
	if _, ours := req.ReviewBy(p.Requests.User()); !ours {
		p.outcome = outcomeAlready
		return nil // somebody else decided it a moment earlier
	}
	p.reviewTaken()
	e := p.work.Decision.Evidence
	p.log.Info("Successfully submitted a request approval", "user", req.User, "roles", strings.Join(req.Roles, ","),
		"state", req.State, "pd_user_id", e.User.ID, "why", p.work.Decision.Sentence)
	return nil
}

const reviewsRefused = "Teleport refuses pdhook's reviews; check review_requests of its role"

// reviewTaken notes that Teleport has pdhook's review.
func (p *pass) reviewTaken() {
	p.outcome = outcomeOK
	p.said.over(reviewsRefused)
	p.work.Blocked[policy.ReviewLane] = true // done, even where Teleport wants more approvals
	p.work.Link.Reviewed, p.work.Reviewed = true, true
	p.work.Claimed = p.work.Claimed || p.due()
}

// due reports whether the incidents are opened although the request is decided: pdhook saw it pending, as
// its own review shows, and the approval was not to make the notification superfluous.
func (p *pass) due() bool {
	return policy.Reviewed(p.work.Request, p.Requests.User()) && p.rules.Notify == policy.NotifyAlways
}

// reviewNotTaken judges a failed review by what Teleport says now, never by the error's text alone.
func (p *pass) reviewNotTaken(ctx context.Context, failed error) error {
	if errors.Is(failed, access.ErrDenied) {
		p.outcome = outcomeFailed
		p.refusals.remember(p.id, p.work.Request, failed, p.now())
		p.errorOnce(reviewsRefused, failed)
		p.reviewFailed = failed
		p.work.Blocked[policy.ReviewLane] = true
		return nil
	}
	req, err := p.Requests.Get(ctx, p.id)
	if err == nil {
		p.work.Request = req
		if _, ours := req.ReviewBy(p.Requests.User()); ours {
			p.reviewTaken()
			return nil
		}
		if req.State != access.Pending {
			p.outcome = outcomeAlready
			return nil // decided by others a moment earlier: no review is needed any more
		}
	}
	if err != nil {
		p.blockIncidents(nil)
	}
	return p.putOff(failed)
}

// putOff leaves the review to the next pass, which reads and decides anew. Under unless_approved the first
// failure holds the incident back for the moment that takes; a repeated one does not.
func (p *pass) putOff(failed error) error {
	p.undecided = true
	if p.rules.Notify == policy.NotifyUnlessApproved && !p.linked && p.cause != access.CauseRetry {
		p.blockIncidents(nil)
	}
	p.reviewFailed = failed
	return failed
}
