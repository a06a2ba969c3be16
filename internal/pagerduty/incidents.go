package pagerduty

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"

	"github.com/pdhook/pdhook/internal/access"
)

type incident struct {
	ID          string     `json:"id"`
	Status      string     `json:"status"`
	Key         string     `json:"incident_key"`
	HTMLURL     string     `json:"html_url"`
	Created     string     `json:"created_at"`
	Service     reference  `json:"service"`
	ChangedBy   *reference `json:"last_status_change_by"`
	Assignments []struct {
		Assignee *reference `json:"assignee"`
	} `json:"assignments"`
	Acknowledgements []struct {
		Acknowledger *reference `json:"acknowledger"`
	} `json:"acknowledgements"`
	ResolveReason *struct {
		Type     string    `json:"type"`
		Incident reference `json:"incident"`
	} `json:"resolve_reason"`
	FirstTrigger *struct {
		Agent maybe[reference] `json:"agent"`
	} `json:"first_trigger_log_entry"`
}

// withTrigger are the includes without which the own test of an incident cannot be made.
func withTrigger() []string { return []string{"first_trigger_log_entries", "acknowledgers"} }

// Incident gives the incident id, with who triggered it. None: access.ErrNotFound. Several that are read at the
// same moment are looked for among the latest on the services where they are thought to be.
func (c *Client) Incident(ctx context.Context, id access.IncidentID, service access.ServiceID) (access.Incident, error) {
	found, err := c.incidents.get(WithPriority(ctx, Background), struct{}{}, placed{id, service})
	if err != nil {
		return access.Incident{}, fmt.Errorf("reading incident %q: %w", id, err)
	}
	return found, nil
}

func (c *Client) readIncident(ctx context.Context, id access.IncidentID) (access.Incident, error) {
	if !validID(id) {
		return access.Incident{}, errNoIncidentID()
	}
	a, err := c.do(ctx, call{
		route: "GET /incidents/{id}",
		path:  "/incidents/" + string(id),
		query: url.Values{"include[]": withTrigger()},
	})
	if err != nil {
		return access.Incident{}, err
	}
	return c.incidentIn(a, id)
}

// incidentIn reads the incident of an answer; it must be the one that was meant, "" for any.
func (c *Client) incidentIn(a answer, meant access.IncidentID) (access.Incident, error) {
	raw, err := part[incident](a, "incident")
	if err != nil {
		return access.Incident{}, err
	}
	found, err := c.incident(raw)
	if err != nil {
		return access.Incident{}, a.unreadable(err)
	}
	if meant != "" && found.ID != meant {
		return access.Incident{}, a.unreadable(fmt.Errorf("incident %s came instead", found.ID))
	}
	return found, nil
}

// IncidentsByKey gives all incidents with this incident_key on the service, of whatever status and age,
// newest first.
func (c *Client) IncidentsByKey(ctx context.Context, key string, service access.ServiceID) ([]access.Incident, error) {
	found, err := c.findIncidents(WithPriority(ctx, Creation), key, service)
	if err != nil {
		return nil, fmt.Errorf("looking for incidents with key %q on service %q: %w", key, service, err)
	}
	return found, nil
}

func (c *Client) findIncidents(ctx context.Context, key string, service access.ServiceID) ([]access.Incident, error) {
	if key == "" || !validID(service) {
		return nil, permanent(errors.New("a key and a PagerDuty ID of a service are needed")) // an empty key lists all incidents
	}
	q := call{route: "GET /incidents", path: "/incidents", query: url.Values{
		"incident_key":  {key},
		"service_ids[]": {string(service)},
		"date_range":    {"all"},
		"include[]":     withTrigger(),
	}}
	return c.listIncidents(ctx, q, func(i access.Incident, _ incident) (bool, error) {
		return i.Key == key && i.Service == service, nil
	})
}

// listIncidents gives the listed incidents that were asked for, newest first, each once.
func (c *Client) listIncidents(ctx context.Context, q call, asked func(access.Incident, incident) (bool, error)) ([]access.Incident, error) {
	listed, _, err := list[incident](ctx, c, q, "incidents")
	if err != nil {
		return nil, err
	}
	var found []access.Incident
	seen := map[access.IncidentID]bool{}
	for _, raw := range listed {
		i, err := c.incident(raw)
		keep := false
		if err == nil {
			keep, err = asked(i, raw)
		}
		if err != nil {
			return nil, answer{call: q}.unreadable(err)
		}
		if keep && !seen[i.ID] {
			seen[i.ID] = true
			found = append(found, i)
		}
	}
	slices.SortFunc(found, func(a, b access.Incident) int {
		return cmp.Or(b.Created.Compare(a.Created), cmp.Compare(b.ID, a.ID))
	})
	return found, nil
}

// OpenIncidents gives the triggered and acknowledged incidents on the services, of whatever age, newest first.
func (c *Client) OpenIncidents(ctx context.Context, services []access.ServiceID) ([]access.Incident, error) {
	found, err := c.openIncidents(ctx, services)
	if err != nil {
		return nil, fmt.Errorf("looking for open incidents on services %q: %w", services, err)
	}
	return found, nil
}

func (c *Client) openIncidents(ctx context.Context, services []access.ServiceID) ([]access.Incident, error) {
	if len(services) == 0 || !allValid(services) {
		return nil, permanent(errors.New("PagerDuty IDs of services are needed")) // no filter lists all incidents
	}
	q := call{route: "GET /incidents", path: "/incidents", query: url.Values{
		"service_ids[]": texts(unique(services)),
		"statuses[]":    {string(access.Triggered), string(access.Acknowledged)},
		"date_range":    {"all"},
		"include[]":     withTrigger(),
	}}
	return c.listIncidents(ctx, q, func(i access.Incident, raw incident) (bool, error) {
		// A status that PagerDuty may introduce is none that the operator asked for.
		known := i.Status == access.Triggered || i.Status == access.Acknowledged
		if !known || !slices.Contains(services, i.Service) {
			return false, nil
		}
		if raw.Assignments == nil || raw.Acknowledgements == nil {
			return false, fmt.Errorf("incident %s does not show who has it", i.ID)
		}
		return true, nil
	})
}

// incident puts an incident into the domain's words.
func (c *Client) incident(raw incident) (access.Incident, error) {
	if raw.ID == "" || raw.Status == "" || raw.Service.ID == "" {
		return access.Incident{}, fmt.Errorf("incident %q shows no id, status or service", raw.ID)
	}
	i := access.Incident{
		ID:              access.IncidentID(raw.ID),
		Key:             raw.Key,
		Service:         access.ServiceID(raw.Service.ID),
		ServiceName:     raw.Service.Summary,
		Status:          access.IncidentStatus(raw.Status),
		URL:             raw.HTMLURL,
		TriggerNotShown: true,
	}
	c.health.saw(accountOf(raw.HTMLURL))
	if raw.Created != "" {
		var err error
		if i.Created, err = parseTime(raw.Created); err != nil {
			return access.Incident{}, fmt.Errorf("reading created_at of incident %s: %w", raw.ID, err)
		}
	}
	if raw.FirstTrigger != nil {
		var by access.User
		by, i.TriggerNotShown = agentOf(raw.FirstTrigger.Agent)
		i.TriggeredBy = by.ID
	}
	if i.Status == access.Acknowledged {
		for _, a := range raw.Acknowledgements {
			i.Acknowledged = append(i.Acknowledged, person(a.Acknowledger)...)
		}
	}
	if i.Open() {
		for _, a := range raw.Assignments {
			i.Assigned = append(i.Assigned, person(a.Assignee)...)
		}
	}
	if i.Status == access.Resolved && raw.ChangedBy.isUser() {
		i.ResolvedBy = raw.ChangedBy.label()
	}
	if r := raw.ResolveReason; r != nil && r.Type == "merge_resolve_reason" {
		if i.MergedInto = access.IncidentID(r.Incident.ID); i.MergedInto == "" {
			return access.Incident{}, fmt.Errorf("incident %s is merged into one that is not shown", raw.ID)
		}
	}
	return i, nil
}

// person gives a user by ID and name; nobody for a service, which may acknowledge, too.
func person(r *reference) []access.User {
	if !r.isUser() || r.ID == "" {
		return nil
	}
	return []access.User{{ID: access.UserID(r.ID), Name: r.label()}}
}

// agentOf gives the user that a log entry names: the zero User when it was an integration or automation,
// notShown when the entry is a mere reference, without agent.
func agentOf(agent maybe[reference]) (user access.User, notShown bool) {
	switch {
	case !agent.shown:
		return access.User{}, true
	case agent.value == nil:
		return access.User{}, false
	}
	for _, u := range person(agent.value) {
		return u, false
	}
	return access.User{}, agent.value.Type == "" || agent.value.isUser()
}
