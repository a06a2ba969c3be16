package pagerduty

import (
	"context"
	"net/url"
	"strconv"

	"github.com/pdhook/pdhook/internal/access"
)

// resolvedPerCall is how many incidents PagerDuty updates at once.
const resolvedPerCall = 250

// placed is an incident and the service on which it is thought to be.
type placed struct {
	id      access.IncidentID
	service access.ServiceID
}

// readIncidents reads several incidents by listing their services' latest: of whatever status, so that the list
// only grows while its pages are read. It leaves out what it does not find there: moved elsewhere, or on a page that
// would cost more than reading it by itself.
func (c *Client) readIncidents(ctx context.Context, _ struct{}, wanted []placed) (map[placed]access.Incident, error) {
	if len(wanted) == 1 {
		found, err := c.readIncident(ctx, wanted[0].id)
		return map[placed]access.Incident{wanted[0]: found}, err
	}
	services := servicesOf(wanted)
	if len(services) == 0 {
		return nil, nil
	}
	q := call{route: "GET /incidents", path: "/incidents", query: url.Values{
		"service_ids[]": services,
		"date_range":    {"all"},
		"sort_by":       {"created_at:desc"},
		"include[]":     withTrigger(),
		"limit":         {strconv.Itoa(pageSize)},
	}}
	found := map[placed]access.Incident{}
	for pages, offset := 0, 0; pages < max(1, len(wanted)/2) && len(found) < len(wanted); pages++ {
		q.query.Set("offset", strconv.Itoa(offset))
		a, err := c.do(ctx, q)
		if err != nil {
			return nil, err
		}
		listed, next, err := page[incident](a, "incidents", offset)
		if err != nil {
			return nil, err
		}
		c.pick(found, wanted, listed)
		if next == 0 {
			break
		}
		offset += next
	}
	return found, nil
}

// pick puts those that are wanted into found. One that cannot be read is not.
func (c *Client) pick(found map[placed]access.Incident, wanted []placed, listed []incident) {
	shown := map[access.IncidentID]incident{}
	for _, raw := range listed {
		shown[access.IncidentID(raw.ID)] = raw
	}
	for _, w := range wanted {
		if raw, listed := shown[w.id]; listed && w.id != "" {
			if i, err := c.incident(raw); err == nil {
				found[w] = i
			}
		}
	}
}

// servicesOf gives each service once, none that PagerDuty would take for all.
func servicesOf(wanted []placed) []string {
	var ids []access.ServiceID
	for _, w := range wanted {
		if validID(w.service) {
			ids = append(ids, w.service)
		}
	}
	return texts(unique(ids))
}

// resolveAll resolves several incidents. It leaves out those that PagerDuty does not show as resolved.
func (c *Client) resolveAll(ctx context.Context, _ struct{}, ids []access.IncidentID) (map[access.IncidentID]struct{}, error) {
	if len(ids) == 1 {
		return map[access.IncidentID]struct{}{ids[0]: {}}, c.resolve(ctx, ids[0])
	}
	orders := make([]map[string]string, len(ids))
	for n, id := range ids {
		if !validID(id) {
			return nil, errNoIncidentID()
		}
		orders[n] = map[string]string{"id": string(id), "type": "incident_reference", "status": string(access.Resolved)}
	}
	a, err := c.do(ctx, call{route: "PUT /incidents", path: "/incidents", body: map[string]any{"incidents": orders}})
	if err != nil {
		return nil, err
	}
	listed, err := part[[]incident](a, "incidents")
	if err != nil {
		return nil, err
	}
	resolved := map[access.IncidentID]struct{}{}
	for _, raw := range listed {
		if i, err := c.incident(raw); err == nil && !i.Open() {
			resolved[i.ID] = struct{}{}
		}
	}
	return resolved, nil
}
