package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/internal/policy"
)

// open makes sure that the request has its incident on one service.
func (p *pass) open(ctx context.Context, linked *access.LinkedIncident) error {
	if kept, is := p.unrecorded(*linked); is {
		*linked = kept
		return p.readIncident(ctx, linked)
	}
	if linked.Service == "" {
		service, err := p.service(ctx, linked.Ref)
		if err != nil {
			p.missing = append(p.missing, fmt.Sprintf("%s: %v", linked.Ref, err))
			return err
		}
		linked.Service, linked.ServiceName = service.ID, service.Name
	}
	if p.twin(linked) {
		linked.Ended = true // several values that mean one service are one
		return nil
	}
	if p.dirty {
		found, err := p.find(ctx, linked)
		if err != nil || found {
			return err
		}
	}
	incident, err := p.create(ctx, linked, access.IncidentKey(p.id))
	if errors.Is(err, access.ErrDuplicateKey) {
		found, findErr := p.find(ctx, linked)
		if findErr != nil || found {
			return findErr
		}
		incident, err = p.createBeside(ctx, linked)
	}
	return p.created(linked, incident, err)
}

// unrecorded gives the incident that this replica has opened or found for a service, but could not record: by now the
// name of the service may mean nothing any more. One that another replica has found elsewhere meanwhile stands there.
func (p *pass) unrecorded(linked access.LinkedIncident) (access.LinkedIncident, bool) {
	at := slices.IndexFunc(p.kept, func(k access.LinkedIncident) bool {
		return linked.ID == "" && k.Ref == linked.Ref && k.ID != "" && k.Verified && !p.stands(k.ID) && !p.hasLeft(k.ID)
	})
	if at < 0 {
		return access.LinkedIncident{}, false
	}
	return p.kept[at], true
}

// created records a new incident, or why there is none.
func (p *pass) created(linked *access.LinkedIncident, incident access.Incident, err error) error {
	if err != nil {
		p.missing = append(p.missing, fmt.Sprintf("%s: %v", linked.Ref, err))
		if lasting(err) && linked.ID == "" {
			linked.Service = "" // the name may mean another service by the time somebody has mended it
		}
		return err
	}
	p.seen[incident.ID] = incident
	adopt(linked, incident)
	p.outcome = outcomeOK
	p.log.Info("Successfully created PagerDuty incident", "pd_incident_id", incident.ID, "pd_service_id", linked.Service)
	return nil
}

// createBeside opens an incident where a stranger's holds the request's key.
func (p *pass) createBeside(ctx context.Context, linked *access.LinkedIncident) (access.Incident, error) {
	p.log.Warn("A stranger's open incident holds the request's key; opening another", "pd_service_id", linked.Service)
	return p.create(ctx, linked, access.FallbackIncidentKey(p.id))
}

func (p *pass) create(ctx context.Context, linked *access.LinkedIncident, key string) (access.Incident, error) {
	return p.Incidents.CreateIncident(ctx, access.NewIncident{
		Key: key, Service: linked.Service,
		Title:   policy.Title(p.work.Request),
		Details: policy.Details(p.work.Request, p.work.URL, p.work.Decision, p.reviewFailed),
	})
}

// service looks a service to notify up, unless the evaluation has just done so.
func (p *pass) service(ctx context.Context, ref string) (access.Service, error) {
	for _, s := range p.facts.Services {
		if s.Ref == ref && s.Fact.Known() {
			return s.Fact.Value, nil
		}
	}
	fact := p.Directory.Service(ctx, ref, p.now())
	if errors.Is(fact.Err, access.ErrNotFound) {
		return fact.Value, &access.Failure{Class: access.Permanent, Err: fmt.Errorf("PagerDuty knows no service %q", ref)}
	}
	return fact.Value, fact.Err
}

// twin reports whether another entry stands for the same service.
func (p *pass) twin(linked *access.LinkedIncident) bool {
	for i := range p.work.Link.Incidents {
		other := &p.work.Link.Incidents[i]
		if other != linked && other.Service == linked.Service && (other.ID != "" || !other.Ended && i < p.index(linked)) {
			return true
		}
	}
	return false
}

func (p *pass) index(linked *access.LinkedIncident) int {
	return slices.IndexFunc(p.work.Link.Incidents, func(i access.LinkedIncident) bool { return i.Ref == linked.Ref })
}

// find looks for an incident of ours that was opened but never recorded, over all statuses and dates: one
// that a person resolved meanwhile is not opened a second time. In the place of one that is linked only a later one can be.
func (p *pass) find(ctx context.Context, linked *access.LinkedIncident) (bool, error) {
	for _, key := range []string{access.IncidentKey(p.id), access.FallbackIncidentKey(p.id)} {
		incidents, err := p.Incidents.IncidentsByKey(ctx, key, linked.Service)
		if err != nil {
			p.unclear = true // nothing is written before it was looked up
			return false, err
		}
		for _, incident := range incidents {
			earlier := linked.ID != "" && incident.Created.Before(p.seen[linked.ID].Created)
			if earlier || p.stands(incident.ID) || !incident.Open() && p.hasLeft(incident.ID) {
				continue
			}
			owned, why, err := p.owned(ctx, incident, linked.Service)
			if err != nil {
				p.unclear = true
				return false, err
			}
			if owned {
				p.seen[incident.ID] = incident
				adopt(linked, incident)
				p.outcome = outcomeAlready
				p.log.Info("Found the incident that was opened before", "pd_incident_id", incident.ID)
				return true, p.readResolver(ctx, *linked)
			}
			p.log.Warn("An incident holds the request's key, but is not pdhook's; leaving it alone", "pd_incident_id", incident.ID, "why", why)
		}
	}
	return false, nil
}

// hasLeft reports whether the request, which came back, has left an incident behind; by now it may be on another service.
func (p *pass) hasLeft(id access.IncidentID) bool {
	return slices.ContainsFunc(p.work.Link.Incidents, func(i access.LinkedIncident) bool { return slices.Contains(i.Left, id) })
}

// stands reports whether an incident is linked already, if only for another service, from which it was moved.
func (p *pass) stands(id access.IncidentID) bool {
	return slices.ContainsFunc(p.work.Link.Incidents, func(i access.LinkedIncident) bool { return i.ID == id })
}

// note writes one note, unless it is there already. Notes of a merged incident go to the survivor.
func (p *pass) note(ctx context.Context, linked *access.LinkedIncident, a policy.Action) error {
	target := linked.ID
	if linked.MergedInto != "" {
		target = linked.MergedInto
	}
	if p.dirty {
		written, err := p.written(ctx, target, a.Text)
		if err != nil {
			return err
		}
		if written {
			p.outcome = outcomeAlready
			a.Mark(linked)
			return nil
		}
	}
	err := p.Incidents.AddNote(ctx, target, a.Text)
	if errors.Is(err, access.ErrNotFound) && linked.MergedInto != "" {
		p.log.Warn("PagerDuty no longer has the incident that another was merged into", "pd_incident_id", target)
		linked.Ended = true
		return nil
	}
	if err != nil {
		return err
	}
	a.Mark(linked)
	p.outcome = outcomeOK
	p.log.Info("Added a note to the incident", "pd_incident_id", target, "note", strings.SplitN(a.Text, "\n", 2)[0])
	return nil
}

// written reports whether the incident has the note. Of a request that Teleport's own plugin began, the
// words before the time decide: its times are written otherwise.
func (p *pass) written(ctx context.Context, id access.IncidentID, text string) (bool, error) {
	notes, known := p.notes[id]
	if !known {
		var err error
		if notes, err = p.Incidents.Notes(ctx, id); err != nil {
			p.unread = true
			return false, err
		}
		p.notes[id] = notes
	}
	return slices.ContainsFunc(notes, func(n access.Note) bool {
		if p.ledger.upstream {
			return opening(n.Content) == opening(text)
		}
		return strings.Join(strings.Fields(n.Content), " ") == strings.Join(strings.Fields(text), " ")
	}), nil
}

func opening(note string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(note), "\n")
	before, _, _ := strings.Cut(line, " at ")
	return strings.TrimRight(before, ". ")
}

// resolve ends one incident. Only our own is resolved; one that others resolved or merged is left as it is.
func (p *pass) resolve(ctx context.Context, linked *access.LinkedIncident, a policy.Action) error {
	now := p.seen[linked.ID]
	switch {
	case !now.Open():
		p.outcome = outcomeAlready
	case now.Service != linked.Service:
		p.log.Warn("The incident was moved to another service; leaving it open", "pd_incident_id", linked.ID, "pd_service_id", now.Service)
	default:
		if err := p.Incidents.Resolve(ctx, linked.ID); err != nil {
			return err
		}
		linked.Status = access.Resolved
		p.outcome = outcomeOK
		p.log.Info("Resolved the incident", "pd_incident_id", linked.ID, "state", p.work.Request.State)
	}
	a.Mark(linked)
	return nil
}

// endUntold resolves an incident of which PagerDuty takes no note until somebody has mended that: nobody is to be paged
// on meanwhile. It counts as ended only once it was told everything.
func (p *pass) endUntold(ctx context.Context, linked *access.LinkedIncident) error {
	now := p.seen[linked.ID]
	if !now.Open() || now.Service != linked.Service {
		return nil
	}
	return p.resolve(ctx, linked, policy.Action{Mark: func(*access.LinkedIncident) {}})
}
