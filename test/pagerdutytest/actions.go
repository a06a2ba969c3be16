package pagerdutytest

import "slices"

// act runs an action of a person on an incident.
func (s *Server) act(incidentID, userID string, action func(*Incident, Ref) error) {
	s.do(func() { must(s.onIncident(incidentID, userID, action)) })
}

func (s *Server) onIncident(incidentID, userID string, action func(*Incident, Ref) error) (*Incident, error) {
	i, err := s.incident(incidentID)
	if err != nil {
		return nil, err
	}
	by := Ref{}
	if userID != "" {
		u, err := s.user(userID)
		if err != nil {
			return nil, err
		}
		by = UserRef(u.ID)
	}
	return i, action(i, by)
}

// Acknowledge acknowledges an incident as a user, who becomes its assignee.
func (s *Server) Acknowledge(incidentID, userID string) {
	s.act(incidentID, userID, func(i *Incident, by Ref) error { return s.acknowledge(i, by, "website") })
}

// acknowledge also assigns the incident to who does it (seen, and quoted from PagerDuty's migration guide).
func (s *Server) acknowledge(i *Incident, by Ref, channel string) error {
	if !i.open() {
		return alreadyResolved()
	}
	is := func(a Stamp) bool { return a.User == by.ID }
	if slices.ContainsFunc(i.Acknowledgements, is) {
		return badRequest(1002, "Incident Already Acknowledged")
	}
	if i.Status == "triggered" {
		i.Assignments = nil
	}
	now := s.opts.Now()
	s.setStatus(i, "acknowledged", by)
	i.Acknowledgements = append(i.Acknowledgements, Stamp{by.ID, now})
	if !slices.ContainsFunc(i.Assignments, is) {
		i.Assignments = append(i.Assignments, Stamp{by.ID, now})
	}
	s.record(i, "acknowledge", by, channel, "")
	s.emitIncident("incident.acknowledged", i, by)
	return nil
}

// Unacknowledge ends the acknowledgement by the service's time-out: nobody did it.
func (s *Server) Unacknowledge(incidentID string) {
	s.act(incidentID, "", func(i *Incident, by Ref) error { return s.unacknowledge(i, by, "timeout") })
}

func (s *Server) unacknowledge(i *Incident, by Ref, channel string) error {
	if i.Status != "acknowledged" {
		return badRequest(1003, "Invalid Status")
	}
	s.setStatus(i, "triggered", by)
	s.record(i, "unacknowledge", by, channel, "")
	s.emitIncident("incident.unacknowledged", i, by)
	return nil
}

// Resolve resolves an incident as a user; an empty userID is automation, such as auto_resolve_timeout.
func (s *Server) Resolve(incidentID, userID string) {
	channel := "website"
	if userID == "" {
		channel = "timeout"
	}
	s.act(incidentID, userID, func(i *Incident, by Ref) error { return s.resolve(i, by, channel, "") })
}

// resolve: the resolution text becomes the note of the log entry and arrives as an event of its own after
// incident.resolved (seen).
func (s *Server) resolve(i *Incident, by Ref, channel, resolution string) error {
	if !i.open() {
		return alreadyResolved()
	}
	s.setStatus(i, "resolved", by)
	s.record(i, "resolve", by, channel, resolution)
	s.emitIncident("incident.resolved", i, by)
	if resolution != "" {
		s.addNote(i, by, "Resolution Note: "+resolution)
	}
	return nil
}

// Reopen triggers a resolved incident again for who is on call on its policy.
func (s *Server) Reopen(incidentID, userID string) {
	s.act(incidentID, userID, func(i *Incident, by Ref) error { return s.reopen(i, by, "website") })
}

func (s *Server) reopen(i *Incident, by Ref, channel string) error {
	if i.open() {
		return badRequest(1003, "Invalid Status")
	}
	if s.openWithKey(i.Service, i.Key) {
		return badRequest(2002, "Arguments Caused Error", "Open incident with matching dedup key already exists on this service")
	}
	if err := s.follow(i, i.Policy); err != nil {
		return err
	}
	s.setStatus(i, "triggered", by)
	i.Reopened, i.MergedInto = i.Changed, ""
	s.record(i, "reopen", by, channel, "")
	s.emitIncident("incident.reopened", i, by)
	return nil
}

// Reassign gives an incident to other users.
func (s *Server) Reassign(incidentID, userID string, to ...string) {
	s.act(incidentID, userID, func(i *Incident, by Ref) error { return s.reassign(i, by, to, "website") })
}

func (s *Server) reassign(i *Incident, by Ref, to []string, channel string) error {
	if !i.open() {
		return alreadyResolved()
	}
	if err := s.assign(i, to); err != nil {
		return err
	}
	s.record(i, "assign", by, channel, "")
	s.emitIncident("incident.reassigned", i, by)
	return nil
}

// Escalate moves an incident to the next level on which somebody is on call, as a time-out does.
func (s *Server) Escalate(incidentID string) {
	s.act(incidentID, "", func(i *Incident, by Ref) error { return s.escalate(i, by, i.Level+1, "timeout") })
}

func (s *Server) escalate(i *Incident, by Ref, from int, channel string) error {
	level, users := s.firstOnCall(i.levels, max(1, from), s.opts.Now())
	if !i.open() || level == 0 {
		return badRequest(1003, "Invalid Status")
	}
	if err := s.assign(i, users); err != nil {
		return err
	}
	i.Level = level
	s.record(i, "escalate", by, channel, "")
	s.emitIncident("incident.escalated", i, by)
	return nil
}

// Delegate moves an incident to another escalation policy.
func (s *Server) Delegate(incidentID, userID, policyID string) {
	s.act(incidentID, userID, func(i *Incident, by Ref) error { return s.delegate(i, by, policyID, "website") })
}

func (s *Server) delegate(i *Incident, by Ref, policyID, channel string) error {
	if !i.open() {
		return alreadyResolved()
	}
	if err := s.follow(i, policyID); err != nil {
		return err
	}
	s.record(i, "delegate", by, channel, "")
	s.emitIncident("incident.delegated", i, by)
	return nil
}

// Merge merges an incident into another one: it is resolved with the surviving incident as its reason.
func (s *Server) Merge(incidentID, intoID, userID string) {
	s.act(incidentID, userID, func(i *Incident, by Ref) error {
		into, err := s.incident(intoID)
		if err != nil {
			return err
		}
		if !i.open() {
			return badRequest(1019, "Incident Already Merged")
		}
		i.MergedInto = into.ID
		return s.resolve(i, by, "website", "")
	})
}

// MoveIncident moves an incident to another service; its escalation policy stays.
func (s *Server) MoveIncident(incidentID, userID, serviceID string) {
	s.act(incidentID, userID, func(i *Incident, by Ref) error { return s.move(i, by, serviceID, "website") })
}

func (s *Server) move(i *Incident, by Ref, serviceID, channel string) error {
	v, err := s.service(serviceID)
	if err != nil {
		return err
	}
	i.Service = v.ID
	s.record(i, "field_value_change", by, channel, "")
	s.emitIncident("incident.service_updated", i, by)
	return nil
}
