package pagerdutytest

import "strings"

// Service is a PagerDuty service.
type Service struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Policy      string `json:"policy"` // ID of its escalation policy
	Disabled    bool   `json:"disabled,omitempty"`
	Maintenance bool   `json:"maintenance,omitempty"`

	deleted bool
}

func (v *Service) id() string { return v.ID }

// AddService adds a service. Names are unique, ignoring case (seen).
func (s *Server) AddService(name, policyID string) (v Service) {
	s.do(func() { v = must(s.addService(name, policyID)) })
	return v
}

func (s *Server) addService(name, policyID string) (Service, error) {
	if _, err := s.policy(policyID); err != nil {
		return Service{}, err
	}
	for _, v := range s.services {
		if !v.deleted && strings.EqualFold(v.Name, name) {
			return Service{}, invalid("Name has already been taken")
		}
	}
	v := &Service{ID: s.id("P%06d"), Name: name, Policy: policyID}
	s.services = append(s.services, v)
	s.emitService("service.created", v)
	return *v, nil
}

// DisableService disables a service: no incident can be opened on it.
func (s *Server) DisableService(id string) {
	s.changeService(id, func(v *Service) { v.Disabled = true })
}

// EnableService ends DisableService and maintenance.
func (s *Server) EnableService(id string) {
	s.changeService(id, func(v *Service) { v.Disabled, v.Maintenance = false, false })
}

// StartMaintenance opens a maintenance window: no incident can be opened on the service.
func (s *Server) StartMaintenance(id string) {
	s.changeService(id, func(v *Service) { v.Maintenance = true })
}

// RenameService gives a service another name; its ID stays.
func (s *Server) RenameService(id, name string) {
	s.changeService(id, func(v *Service) { v.Name = name })
}

// MoveService gives a service another escalation policy. The webhook says neither which nor that it did.
func (s *Server) MoveService(id, policyID string) {
	s.changeService(id, func(v *Service) {
		must(s.policy(policyID))
		v.Policy = policyID
	})
}

func (s *Server) changeService(id string, change func(*Service)) {
	s.do(func() {
		v := must(s.service(id))
		change(v)
		s.emitService("service.updated", v)
	})
}

// DeleteService deletes a service: its ID is gone, its incidents stay.
func (s *Server) DeleteService(id string) {
	s.do(func() {
		v := must(s.service(id))
		s.emitService("service.deleted", v)
		v.deleted = true
	})
}

func (s *Server) service(id string) (*Service, error) {
	if v, ok := byID(s.services, id); ok && !v.deleted {
		return v, nil
	}
	return nil, unknown("service", id)
}

// serviceStatus: critical and warning come from the service's open incidents.
func (s *Server) serviceStatus(v *Service) string {
	status := "active"
	for _, i := range s.incidents {
		switch {
		case i.Service != v.ID:
		case i.Status == "triggered":
			status = "critical"
		case i.Status == "acknowledged" && status == "active":
			status = "warning"
		}
	}
	if v.Maintenance {
		status = "maintenance"
	}
	if v.Disabled {
		status = "disabled"
	}
	return status
}

func (s *Server) renderService(c *call, v *Service) object {
	o := s.identity(Ref{"service", v.ID}, v.Name)
	o["name"] = v.Name
	o["description"] = nil
	o["status"] = s.serviceStatus(v)
	o["auto_resolve_timeout"] = nil
	o["acknowledgement_timeout"] = nil
	o["alert_creation"] = "create_alerts_and_incidents"
	o["teams"] = []object{}
	o["integrations"] = []object{}
	o["escalation_policy"] = s.ref(Ref{"escalation_policy", v.Policy})
	if including(c.query, "escalation_policies") {
		o["escalation_policy"] = s.renderPolicy(must(s.policy(v.Policy)))
	}
	return o
}

// listServices: query is a substring of the name, ignoring case (seen). name is the whole name; whether it
// minds case is not documented, here it does not.
func (s *Server) listServices(c *call) (answer, error) {
	var found []object
	for _, v := range s.services {
		named := !c.query.Has("name") || strings.EqualFold(v.Name, c.query.Get("name"))
		if !v.deleted && named && containsFold(v.Name, c.query.Get("query")) {
			found = append(found, s.renderService(c, v))
		}
	}
	return page(c, "services", found)
}

func (s *Server) getService(c *call) (answer, error) {
	v, err := s.service(c.PathValue("id"))
	if err != nil {
		return answer{}, err
	}
	return ok(object{"service": s.renderService(c, v)})
}
