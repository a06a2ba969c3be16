package pagerdutytest

import "net/http"

// idRef is a reference in a request body.
type idRef struct{ ID string }

// assignees are the assignments of a request body.
type assignees []struct{ Assignee idRef }

func (a assignees) users() (ids []string) {
	for _, one := range a {
		ids = append(ids, one.Assignee.ID)
	}
	return ids
}

// createIncident: 201 with the incident, or why there is none.
func (s *Server) createIncident(c *call) (answer, error) {
	var body struct {
		Incident struct {
			Type, Title, Urgency string
			Key                  string `json:"incident_key"`
			Service              *idRef
			Body                 struct{ Details string }
			Policy               *idRef `json:"escalation_policy"`
			Assignments          assignees
		}
	}
	if err := c.decode(&body); err != nil {
		return answer{}, err
	}
	in := body.Incident
	switch {
	case in.Type != "incident" || in.Title == "" || in.Service == nil:
		return answer{}, badRequest(2001, "Incident could not be created", "type, title and service are required")
	case in.Policy != nil && in.Assignments != nil:
		return answer{}, badRequest(2001, "Incident could not be created", "Cannot specify both assignments and escalation policy")
	case len(in.Assignments) > 1:
		return answer{}, badRequest(2001, "Incident could not be created", "Only one assignee is allowed")
	}
	opts := IncidentOptions{
		Title: in.Title, Key: in.Key, Details: in.Body.Details, Urgency: in.Urgency, Assignees: in.Assignments.users(),
	}
	if in.Policy != nil {
		opts.Policy = in.Policy.ID
	}
	i, err := s.trigger(in.Service.ID, opts, UserRef(c.from.ID), "api")
	if err != nil {
		return answer{}, err
	}
	return created(object{"incident": s.renderIncident(c, i)})
}

// incidentUpdate is what PUT may change of an incident.
type incidentUpdate struct {
	ID, Type, Status, Resolution, Title, Urgency string
	Assignments                                  assignees
	Policy                                       *idRef `json:"escalation_policy"`
	Level                                        int    `json:"escalation_level"`
	Service                                      *idRef // only in the single form
}

func (s *Server) updateIncident(c *call) (answer, error) {
	var body struct{ Incident incidentUpdate }
	if err := c.decode(&body); err != nil {
		return answer{}, err
	}
	body.Incident.ID = c.PathValue("id")
	i, err := s.update(c, body.Incident)
	if err != nil {
		return answer{}, err
	}
	return ok(object{"incident": s.renderIncident(c, i)})
}

// updateIncidents takes at most 250 incidents, else 413. It stops at the first that is refused; whether
// PagerDuty takes back those before it is not documented.
func (s *Server) updateIncidents(c *call) (answer, error) {
	var body struct{ Incidents []incidentUpdate }
	if err := c.decode(&body); err != nil {
		return answer{}, err
	}
	if len(body.Incidents) > 250 {
		return answer{}, &refusal{http.StatusRequestEntityTooLarge, 2001, "Too Many Incidents", nil}
	}
	changed := []object{}
	for _, u := range body.Incidents {
		u.Service = nil
		i, err := s.update(c, u)
		if err != nil {
			return answer{}, err
		}
		changed = append(changed, s.renderIncident(c, i))
	}
	return ok(object{"incidents": changed})
}

// update applies one update as the From user.
func (s *Server) update(c *call, u incidentUpdate) (*Incident, error) {
	i, err := s.incident(u.ID)
	if err != nil {
		return nil, err
	}
	by := UserRef(c.from.ID)
	if err := s.updateStatus(c, i, u, by); err != nil {
		return nil, err
	}
	if u.Title != "" {
		i.Title = u.Title
	}
	if u.Urgency != "" {
		i.Urgency = u.Urgency
	}
	switch {
	case u.Policy != nil:
		err = s.delegate(i, by, u.Policy.ID, "api")
	case u.Assignments != nil:
		err = s.reassign(i, by, u.Assignments.users(), "api")
	case u.Level > 0:
		err = s.escalate(i, by, u.Level, "api")
	case u.Service != nil:
		err = s.move(i, by, u.Service.ID, "api")
	}
	return i, err
}

// updateStatus: triggered or acknowledged on a resolved incident reopens it (OpenAPI document), or is
// refused (knowledge base), see RefuseReopen.
func (s *Server) updateStatus(c *call, i *Incident, u incidentUpdate, by Ref) error {
	reopening := !i.open() && (u.Status == "triggered" || u.Status == "acknowledged")
	if reopening && c.faults.has(RefuseReopen) {
		return alreadyResolved()
	}
	if reopening {
		if err := s.reopen(i, by, "api"); err != nil {
			return err
		}
	}
	switch u.Status {
	case "":
		return nil
	case "resolved":
		return s.resolve(i, by, "api", u.Resolution)
	case "acknowledged":
		return s.acknowledge(i, by, "api")
	case "triggered":
		if i.Status == "acknowledged" {
			return s.unacknowledge(i, by, "api")
		}
		return nil
	default:
		return badRequest(1003, "Invalid Status")
	}
}
