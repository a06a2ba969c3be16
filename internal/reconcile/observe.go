package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/internal/policy"
)

// observe reads what is true now. It reports false when the request is none of pdhook's business, or is
// finished.
func (p *pass) observe(ctx context.Context) (concerned bool, err error) {
	p.recall(ctx)
	req, err := p.Requests.Get(ctx, p.id)
	switch {
	case errors.Is(err, access.ErrNotFound):
		return p.observeGone(ctx)
	case err != nil:
		return false, fmt.Errorf("reading the request: %w", err)
	}
	p.work.Request = req
	p.work.URL = p.Requests.RequestURL(p.id)
	if p.linked && !p.work.Link.Open() && req.State != access.Pending && p.work.Link.State != access.Expired {
		return false, nil // not so one that came back and was decided: an earlier process may have gone on with it
	}
	p.route()
	named := p.linked || p.rules.Concerned(req) || len(p.routes) > 0
	if !named && p.Routes == nil {
		return false, nil
	}
	if err := p.readLedger(ctx); err != nil {
		if req.State != access.Pending {
			return false, err
		}
		p.ledgerErr = err // the evaluation goes on: approval needs no plugin data
		p.errs = append(p.errs, err)
	}
	if !named && len(p.ledger.incidents) == 0 {
		return false, nil // nor did a rule name it that is gone by now, together with the store
	}
	p.work.Claimed = p.work.Claimed || p.due()
	if p.work.Request.State != access.Pending && !p.begun() && !p.work.Claimed {
		return p.linked, nil // decided before pdhook did anything for it: opens no incident
	}
	if p.Presence.Gone(p.id) {
		p.errs = append(p.errs, &access.Failure{Class: access.Retry, Err: errors.New("Teleport still shows the request, although it reported it gone")})
	}
	p.comeBack()
	p.planIncidents()
	return true, nil
}

// comeBack starts anew for a request that pdhook ended as expired, but that is pending all the same: a list that
// lagged behind had lost it. Its incident was resolved and tells nobody any more, unless its end was not even begun.
func (p *pass) comeBack() {
	if p.work.Request.State != access.Pending {
		return
	}
	for i, incident := range p.work.Link.Incidents {
		if !p.endedAsExpired(incident) {
			continue
		}
		ended, left := incident.ID, incident.Left
		if kept, is := p.unrecorded(incident); is && begunToEnd(kept) {
			ended = kept.ID
		}
		if ended != "" {
			left = append(slices.Clone(left), ended)
			p.dirty = true // it may not be resolved after all
		}
		p.work.Link.Incidents[i] = access.LinkedIncident{Ref: incident.Ref, Service: incident.Service, ServiceName: incident.ServiceName, Left: left}
	}
}

// endedAsExpired reports whether the end of an incident was begun because the request seemed to be gone: by what all
// replicas share, or by what this one remembers, which may not be on record. What it does not remember may be the new
// incident, which another replica has opened by now.
func (p *pass) endedAsExpired(incident access.LinkedIncident) bool {
	here, anywhere := p.work.Link.State == access.Expired, access.State(p.ledger.raw[keyResolution]) == access.Expired
	if incident.ID == "" {
		return here || anywhere
	}
	return anywhere && begunToEnd(incident) || here && slices.ContainsFunc(p.kept, func(k access.LinkedIncident) bool {
		return k.ID == incident.ID && (begunToEnd(k) || begunToEnd(incident))
	})
}

func begunToEnd(i access.LinkedIncident) bool { return i.Noted || i.Ended }

// recall reads this replica's memory. It only helps: plugin data and the two systems are the truth.
func (p *pass) recall(ctx context.Context) {
	events, err := p.Links.EventsFor(ctx, p.id)
	if err != nil {
		p.warnOnce("reading the store", err)
	}
	p.events = events
	link, err := p.Links.Link(ctx, p.id)
	switch {
	case err == nil:
		p.linked = true
	case !errors.Is(err, access.ErrNotFound):
		p.warnOnce("reading the store", err)
	}
	link.Request = p.id
	p.kept = slices.Clone(link.Incidents)
	p.work.Link = link
}

// observeGone handles a request that Teleport does not show. That alone proves nothing: without the right
// to read, nothing is shown either (spec §12).
func (p *pass) observeGone(ctx context.Context) (bool, error) {
	link := p.work.Link
	if p.linked && !link.Open() {
		return false, nil // whether it is gone does not matter any more
	}
	if here := p.Requests.Cluster(); here != "" && link.Cluster != "" && here != link.Cluster {
		return false, &access.Failure{Class: access.Permanent, Err: fmt.Errorf(
			"the request is of cluster %s, pdhook is connected to %s: each cluster needs a store.path of its own", link.Cluster, here)}
	}
	gone := p.Presence.Gone(p.id) || (p.linked && !link.Expires.IsZero() && p.now().After(link.Expires))
	if !gone {
		if !p.linked && p.Presence.User(p.id) == "" {
			return false, nil
		}
		// What lists show may lag behind the watch for a moment, so the next looks come soon.
		return false, &access.Failure{Class: access.Retry,
			Err: errors.New("the request is not visible in Teleport: may pdhook's role list and read access_request?")}
	}
	if err := p.readLedger(ctx); err != nil {
		return false, err
	}
	if !p.linked && !p.begun() {
		return false, nil
	}
	p.work.Request = p.lastSeen()
	p.planIncidents()
	return true, nil
}

// lastSeen rebuilds a request that is gone. Without a decision on record it is expired.
func (p *pass) lastSeen() access.Request {
	link := p.work.Link
	req := p.ledger.request(p.id)
	if p.linked {
		state, reason := link.State, link.Resolve
		if state == access.Pending {
			state, reason = req.State, req.ResolveReason
		}
		req = access.Request{ID: p.id, User: link.User, Roles: link.Roles, Reason: link.Reason, Created: link.Created,
			Expires: link.Expires, State: state, ResolveReason: reason, Reviews: link.Reviews}
	}
	if req.State != access.Approved && req.State != access.Denied && req.State != access.Promoted {
		req.State, req.ResolveReason = access.Expired, ""
	}
	return req
}

// readLedger reads plugin data and lets it overrule what this replica remembers of the incidents.
func (p *pass) readLedger(ctx context.Context) error {
	raw, err := p.Requests.PluginData(ctx, p.id)
	if err != nil && !errors.Is(err, access.ErrNotFound) {
		return fmt.Errorf("reading plugin data: %w", err)
	}
	l, err := parseLedger(raw)
	if err != nil {
		return &access.Failure{Class: access.Permanent, Err: err}
	}
	p.ledger = l
	if len(l.raw) == 0 {
		return nil // nothing yet, or past its time: what this replica remembers holds
	}
	mine := p.work.Link.Incidents
	p.work.Link.Incidents = slices.Clone(l.incidents)
	for i := range p.work.Link.Incidents {
		incident := &p.work.Link.Incidents[i]
		at := slices.IndexFunc(mine, func(m access.LinkedIncident) bool { return m.ID != "" && m.ID == incident.ID })
		if at >= 0 {
			incident.Verified, incident.Status = mine[at].Verified, mine[at].Status
			incident.AcknowledgedBy, incident.MergedInto = mine[at].AcknowledgedBy, mine[at].MergedInto
		}
	}
	p.work.Claimed = l.claim.effect == effectOpen
	return nil
}

// begun reports whether pdhook or Teleport's own plugin did or announced anything for the request.
func (p *pass) begun() bool {
	return len(p.ledger.raw) > 0 || len(p.work.Link.Incidents) > 0
}

// planIncidents names the services to notify. They are fixed once the first incident is open (spec §5), or may
// be: a claim that was left behind says so. Of a request that is gone no annotations are left: what plugin data
// names of it stays.
func (p *pass) planIncidents() {
	fixed := slices.ContainsFunc(p.work.Link.Incidents, func(i access.LinkedIncident) bool { return i.ID != "" })
	fixed = fixed || p.ledger.claim.effect == effectOpen && len(p.ledger.incidents) > 0
	open := p.work.Request.State == access.Pending || p.work.Claimed && len(p.rules.NotifyRefs(p.work.Request)) > 0
	if fixed || !open {
		return
	}
	p.plan(p.notifyRefs())
}

// readIncidents reads every linked incident that is not ended, and drops those that are not ours. Where none of ours is
// left, the services that foreign hands named with theirs say nothing either.
func (p *pass) readIncidents(ctx context.Context) {
	foreign := false
	for i := range p.work.Link.Incidents {
		incident := &p.work.Link.Incidents[i]
		if incident.ID == "" || incident.Ended {
			continue
		}
		if err := p.readIncident(ctx, incident); err != nil {
			p.block(i, err)
		}
		foreign = foreign || incident.ID == ""
	}
	if !foreign {
		return
	}
	p.planIncidents()
	if p.claimed == refused {
		p.blockIncidents(nil)
	}
}

func (p *pass) readIncident(ctx context.Context, linked *access.LinkedIncident) (err error) {
	defer func() { p.unread = p.unread || err != nil }()
	now, err := p.Incidents.Incident(ctx, linked.ID, linked.Service)
	switch {
	case errors.Is(err, access.ErrNotFound) && linked.Verified:
		p.log.Warn("PagerDuty no longer has the incident", "pd_incident_id", linked.ID)
		linked.Ended = true
		return nil
	case errors.Is(err, access.ErrNotFound):
		p.disown(linked, "PagerDuty does not know it")
		return nil
	case err != nil:
		return err
	}
	p.seen[linked.ID] = now
	if !linked.Verified {
		owned, why, err := p.owned(ctx, now, linked.Service)
		if err != nil {
			return err
		}
		// One that was moved is told everything, whichever replica looks, but not resolved or reopened.
		if moved, _ := policy.Owned(now, p.id, now.Service, p.bot); !owned && !moved {
			p.disown(linked, why)
			return nil
		}
	}
	adopt(linked, now)
	if !slices.Contains(p.ledger.claim.reopening, now.ID) {
		return nil
	}
	// What was announced may have been done before it could be recorded: by another incident, where PagerDuty does not
	// reopen one.
	linked.Reopened = now.Open()
	if !now.Open() {
		linked.Reopened, err = p.find(ctx, linked)
	}
	return err
}

// disown forgets an incident that plugin data names, but that pdhook did not open.
func (p *pass) disown(linked *access.LinkedIncident, why string) {
	p.log.Warn("Plugin data names an incident that is not pdhook's; leaving it alone", "pd_incident_id", linked.ID, "why", why)
	*linked = access.LinkedIncident{Ref: linked.Ref, Service: linked.Service, Left: linked.Left}
}

// owned is the own test of spec §5, which needs to know who pdhook is in PagerDuty.
func (p *pass) owned(ctx context.Context, i access.Incident, service access.ServiceID) (bool, string, error) {
	if i.TriggerNotShown {
		return false, "", &access.Failure{Class: access.Permanent, Err: fmt.Errorf("PagerDuty does not show who triggered incident %s", i.ID)}
	}
	bot, err := p.botID(ctx)
	if err != nil {
		return false, "", err
	}
	owned, why := policy.Owned(i, p.id, service, bot)
	return owned, why, nil
}

// botID gives who pdhook is in PagerDuty.
func (p *pass) botID(ctx context.Context) (access.UserID, error) {
	if p.bot == "" {
		bot, err := p.Incidents.Bot(ctx)
		if err != nil {
			return "", err
		}
		p.bot = bot.ID
	}
	return p.bot, nil
}

// adopt takes over what PagerDuty shows of an incident that passed the own test.
func adopt(linked *access.LinkedIncident, now access.Incident) {
	linked.ID, linked.Key, linked.URL, linked.ServiceName = now.ID, now.Key, now.URL, now.ServiceName
	linked.Verified = true
	linked.Status, linked.MergedInto = now.Status, now.MergedInto
	if len(now.Acknowledged) > 0 {
		linked.AcknowledgedBy = nil
		for _, u := range now.Acknowledged {
			linked.AcknowledgedBy = append(linked.AcknowledgedBy, u.Name)
		}
	}
}

// lasting reports whether only somebody's action can make the error go away.
func lasting(err error) bool {
	var ambiguous *access.AmbiguousError
	return access.IsPermanent(err) || errors.As(err, &ambiguous)
}

// soonest gives the error after which another try can help first.
func soonest(errs []error) error {
	rank := func(err error) int64 {
		if at := access.NotBefore(err); !at.IsZero() {
			return at.UnixNano()
		}
		if lasting(err) {
			return math.MaxInt64
		}
		return 0
	}
	return slices.MinFunc(errs, func(a, b error) int { return cmp.Compare(rank(a), rank(b)) })
}
