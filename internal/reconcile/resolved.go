package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/internal/policy"
)

// readResolvers finds out which persons resolved incidents early, where that denies the request.
func (p *pass) readResolvers(ctx context.Context) {
	p.work.OnResolved = p.rules.OnIncidentResolved
	p.work.Reviewed = p.work.Link.Reviewed || policy.Reviewed(p.work.Request, p.Requests.User())
	p.work.ResolvedBy = map[access.IncidentID]string{}
	for i, incident := range p.work.Link.Incidents {
		if p.work.Blocked[i] {
			continue
		}
		if err := p.readResolver(ctx, incident); err != nil {
			p.block(i, err)
		}
	}
}

func (p *pass) readResolver(ctx context.Context, incident access.LinkedIncident) error {
	if p.rules.OnIncidentResolved != policy.ResolvedDeny || p.work.Request.State != access.Pending || p.work.Reviewed ||
		!policy.ResolvedEarly(incident) || incident.StillNoted {
		return nil
	}
	who, err := p.resolver(ctx, incident.ID)
	if lasting(err) { // nobody is denied for what cannot be told
		p.warnOnce("reading who resolved an incident", err)
		return nil
	}
	p.work.ResolvedBy[incident.ID] = who
	return err
}

// resolver names the person who resolved an incident; "" when it was none, or pdhook itself.
func (p *pass) resolver(ctx context.Context, id access.IncidentID) (string, error) {
	bot, err := p.botID(ctx)
	if err != nil {
		return "", err
	}
	who, err := p.Incidents.Resolver(ctx, id)
	if err != nil || who.ID == "" || who.ID == bot {
		return "", err
	}
	return cmp.Or(who.Name, string(who.ID)), nil
}

// deny submits pdhook's one review because a person resolved the incident (policy.on_incident_resolved). Where
// Teleport refuses pdhook's reviews, the incident gets its note instead.
func (p *pass) deny(ctx context.Context, a policy.Action) error {
	if p.refusals.stands(p.id, p.work.Request, p.now()) {
		p.work.Blocked[policy.ReviewLane] = true
		return nil
	}
	req, err := p.Requests.SubmitReview(ctx, p.id, access.Denied, a.Text)
	if err != nil {
		if err = p.reviewNotTaken(ctx, fmt.Errorf("submitting the denial: %w", err)); err != nil {
			p.holdResolved()
		}
		return err
	}
	p.work.Request = req
	p.work.Blocked[policy.ReviewLane] = true
	p.outcome = outcomeAlready
	if _, ours := req.ReviewBy(p.Requests.User()); ours {
		p.reviewTaken()
		p.log.Info("Successfully submitted a request denial", "user", req.User, "state", req.State, "why", a.Text)
	}
	return nil
}

// denyOnlyWhoIsRefused leaves a denial to the next pass where this one has not read a "no" just now.
func (p *pass) denyOnlyWhoIsRefused() {
	if !p.undecided || p.work.Request.State != access.Pending || !slices.ContainsFunc(p.work.Link.Incidents,
		func(i access.LinkedIncident) bool { return p.work.ResolvedBy[i.ID] != "" }) {
		return
	}
	p.holdResolved()
	p.errs = append(p.errs, &access.Failure{Class: access.Retry, Err: errors.New("an incident was resolved: reading again who is on call before the request is denied")})
}

// holdResolved leaves what somebody resolved to the next pass, which decides anew: no note before that.
func (p *pass) holdResolved() {
	for i, incident := range p.work.Link.Incidents {
		if policy.ResolvedEarly(incident) {
			p.work.Blocked[i] = true
		}
	}
}

// reopen triggers an own incident again that somebody resolved while the request is pending. Where PagerDuty does
// not reopen a resolved incident, a new one with the same key takes its place.
func (p *pass) reopen(ctx context.Context, linked *access.LinkedIncident, a policy.Action) error {
	now := p.seen[linked.ID]
	if now.Service != linked.Service {
		p.log.Warn("The incident was moved to another service; leaving it resolved", "pd_incident_id", linked.ID, "pd_service_id", now.Service)
		a.Mark(linked)
		return nil
	}
	err := p.Incidents.Reopen(ctx, linked.ID)
	if lasting(err) && !access.IsUnclear(err) {
		p.log.Warn("PagerDuty does not reopen the incident; opening another", "pd_incident_id", linked.ID, "error", err)
		err = p.replace(ctx, linked)
	} else if err == nil {
		now.Status = access.Triggered
		p.seen[linked.ID] = now
		adopt(linked, now)
		p.outcome = outcomeOK
		p.log.Info("Reopened the incident", "pd_incident_id", linked.ID)
	}
	if err == nil {
		a.Mark(linked)
	}
	return err
}

// findReplacements finds what was opened in the place of an incident that was to be reopened, where that was never
// recorded: the request may have been decided since, and the new incident has to end with it.
func (p *pass) findReplacements(ctx context.Context) {
	for i := range p.work.Link.Incidents {
		linked := &p.work.Link.Incidents[i]
		if p.work.Blocked[i] || p.seen[linked.ID].Open() || !slices.Contains(p.ledger.claim.reopening, linked.ID) {
			continue
		}
		found, err := p.find(ctx, linked)
		if err != nil {
			p.block(i, err)
		}
		linked.Reopened = linked.Reopened || found
	}
}

// replace opens an incident in the place of one that stays resolved, unless an earlier pass did so already.
func (p *pass) replace(ctx context.Context, linked *access.LinkedIncident) error {
	if found, err := p.find(ctx, linked); err != nil || found {
		return err
	}
	incident, err := p.create(ctx, linked, access.IncidentKey(p.id))
	if errors.Is(err, access.ErrDuplicateKey) {
		incident, err = p.createBeside(ctx, linked)
	}
	return p.created(linked, incident, err)
}
