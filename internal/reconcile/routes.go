package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/internal/policy"
)

// Routes knows which services Access Monitoring Rules name for a request. It answers from memory.
type Routes interface {
	// Services gives the recipients of all rules that match, as values of an annotation.
	Services(req access.Request) []string
}

// route asks the rules which services they name. They are not asked again in this pass.
func (p *pass) route() {
	if p.Routes != nil {
		p.routes = policy.Refs(p.Routes.Services(p.work.Request))
	}
}

// notifyRefs gives the services to notify: those that rules name, else those of the annotation (spec §3).
func (p *pass) notifyRefs() []string {
	if len(p.routes) > 0 {
		return p.routes
	}
	return p.rules.NotifyRefs(p.work.Request)
}

// plan plans an incident on each of the services, keeping what is known of those planned before.
func (p *pass) plan(refs []string) {
	if len(refs) > policy.MostNamed {
		p.warnOnce("A request names too many services to notify", fmt.Errorf("it names %d, and incidents are opened on the first %d", len(refs), policy.MostNamed))
		refs = refs[:policy.MostNamed]
	}
	kept := p.work.Link.Incidents
	p.work.Link.Incidents = nil
	var left []access.IncidentID // by the same service under another name, as it may be
	for _, k := range kept {
		left = append(left, k.Left...)
	}
	for _, ref := range refs {
		incident := access.LinkedIncident{Ref: ref, Left: left}
		if at := slices.IndexFunc(kept, func(k access.LinkedIncident) bool { return k.Ref == ref }); at >= 0 {
			incident = kept[at]
		}
		p.work.Link.Incidents = append(p.work.Link.Incidents, incident)
	}
}

// fallBack lets the annotation hold where PagerDuty surely knows none of the services that rules name. It
// reports whether that changed the plan. It is called right before the first incident is opened, so that it
// holds no approval up; while PagerDuty cannot tell, the rules hold: the first incident fixes the services.
func (p *pass) fallBack(ctx context.Context) bool {
	named := len(p.routes) > 0
	p.routes = nil // looked up once a pass
	annotated := p.rules.NotifyRefs(p.work.Request)
	if !named || len(annotated) == 0 || slices.ContainsFunc(p.work.Link.Incidents, p.begunOn) {
		return false
	}
	errs := p.findServices(ctx)
	if slices.ContainsFunc(errs, func(err error) bool { return !lasting(err) }) {
		return false
	}
	p.warnOnce("Access Monitoring Rules that match name no service that can be notified; the annotation holds", errors.Join(errs...))
	p.plan(annotated)
	return true
}

// begunOn reports whether the service of an incident is known, or its incident.
func (p *pass) begunOn(i access.LinkedIncident) bool {
	_, unrecorded := p.unrecorded(i)
	return i.ID != "" || i.Service != "" || i.Ended || unrecorded
}

// findServices looks the planned services up, side by side, and gives an error or nil for each.
func (p *pass) findServices(ctx context.Context) []error {
	incidents := p.work.Link.Incidents
	errs := make([]error, len(incidents))
	var wg sync.WaitGroup
	for i := range incidents {
		wg.Go(func() {
			var service access.Service
			if service, errs[i] = p.service(ctx, incidents[i].Ref); errs[i] == nil {
				incidents[i].Service, incidents[i].ServiceName = service.ID, service.Name
			}
		})
	}
	wg.Wait()
	return errs
}
