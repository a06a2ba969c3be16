package pagerdutytest

import (
	"fmt"
	"net/http"
	"slices"
	"time"
)

// Incident is a PagerDuty incident with everything that happened to it.
type Incident struct {
	ID      string `json:"id"`
	Number  int    `json:"number"`
	Key     string `json:"incident_key"`
	Title   string `json:"title"`
	Details string `json:"details,omitempty"`
	Urgency string `json:"urgency"`
	Service string `json:"service"` // ID
	Policy  string `json:"policy"`  // ID
	Level   int    `json:"level"`   // 1-based escalation level; 0: assigned to users directly
	Status  string `json:"status"`  // triggered, acknowledged, resolved

	Created  time.Time `json:"created"`
	Changed  time.Time `json:"changed"` // last change of status
	Resolved time.Time `json:"resolved,omitzero"`
	Reopened time.Time `json:"reopened,omitzero"`

	TriggeredBy      Ref     `json:"triggered_by"` // a user, an integration
	ChangedBy        Ref     `json:"changed_by"`   // of the last change of status; zero: automation
	Assignments      []Stamp `json:"assignments"`
	Acknowledgements []Stamp `json:"acknowledgements"`
	MergedInto       string  `json:"merged_into,omitempty"`

	levels [][]Ref // the policy as it was when the incident triggered
	log    []logEntry
	notes  []Note
}

// Stamp is a user and when: an assignment, an acknowledgement.
type Stamp struct {
	User string    `json:"user"` // ID
	At   time.Time `json:"at"`
}

func (i *Incident) id() string { return i.ID }

func (i *Incident) open() bool { return i.Status != "resolved" }

func (i *Incident) ref() Ref { return Ref{"incident", i.ID} }

func (i *Incident) copy() Incident {
	c := *i
	c.Assignments = slices.Clone(i.Assignments)
	c.Acknowledgements = slices.Clone(i.Acknowledgements)
	c.log, c.notes = nil, nil
	return c
}

// IncidentOptions say how an incident comes about.
type IncidentOptions struct {
	Title     string
	Key       string // "": PagerDuty makes one up
	Details   string
	Urgency   string   // "": high
	By        string   // ID of the user who triggers it; "": an integration does
	Policy    string   // ID; "": the service's
	Assignees []string // user IDs; instead of a policy
}

// AddIncident triggers an incident as a person on the website or an integration does. It obeys the same
// rules as the API.
func (s *Server) AddIncident(serviceID string, opts IncidentOptions) (i Incident) {
	s.do(func() { i = must(s.addIncident(serviceID, opts)).copy() })
	return i
}

func (s *Server) addIncident(serviceID string, opts IncidentOptions) (*Incident, error) {
	if opts.By == "" {
		return s.trigger(serviceID, opts, Ref{"inbound_integration", "PINTEGR"}, "api")
	}
	if _, err := s.user(opts.By); err != nil {
		return nil, err
	}
	return s.trigger(serviceID, opts, UserRef(opts.By), "website")
}

// trigger opens an incident, or refuses as PagerDuty does.
func (s *Server) trigger(serviceID string, opts IncidentOptions, by Ref, channel string) (*Incident, error) {
	v, err := s.service(serviceID)
	if err != nil {
		// The OpenAPI document lists no 404 for POST /incidents.
		return nil, badRequest(5002, "Service Not Found")
	}
	if v.Disabled || v.Maintenance {
		// Documented: no incident is created. The code is not.
		return nil, badRequest(2001, "Incident could not be created", "Service is disabled or in maintenance")
	}
	if s.openWithKey(serviceID, opts.Key) {
		// Seen word for word; the ID of the other incident is not in the answer.
		return nil, badRequest(2002, "Arguments Caused Error", "Open incident with matching dedup key already exists on this service")
	}
	now := s.opts.Now()
	i := &Incident{
		ID: s.id("Q%013d"), Number: len(s.incidents) + 1, Key: opts.Key, Title: opts.Title, Details: opts.Details,
		Urgency: opts.Urgency, Service: v.ID, Policy: v.Policy, Status: "triggered", Created: now, Changed: now, TriggeredBy: by, ChangedBy: by,
	}
	if i.Key == "" {
		i.Key = fmt.Sprintf("%032x", s.lastID)
	}
	if i.Urgency == "" {
		i.Urgency = "high"
	}
	if opts.Policy != "" {
		i.Policy = opts.Policy
	}
	if len(opts.Assignees) > 0 {
		err = s.assign(i, opts.Assignees)
	} else {
		err = s.follow(i, i.Policy)
	}
	if err != nil {
		return nil, err
	}
	s.incidents = append(s.incidents, i)
	s.record(i, "trigger", by, channel, "")
	s.record(i, "assign", Ref{}, "auto", "")
	// Documented: an incident for oneself starts as acknowledged, without a page.
	selfAssigned := slices.Equal(opts.Assignees, []string{by.ID})
	if selfAssigned {
		i.Status = "acknowledged"
		i.Acknowledgements = []Stamp{{by.ID, now}}
		s.record(i, "acknowledge", by, channel, "")
	}
	s.emitIncident("incident.triggered", i, by)
	if selfAssigned {
		s.emitIncident("incident.acknowledged", i, by) // both were captured, 0.13 s apart
	}
	return i, nil
}

// openWithKey: the key of an incident is unique among the open incidents of its service.
func (s *Server) openWithKey(serviceID, key string) bool {
	return key != "" && slices.ContainsFunc(s.incidents, func(i *Incident) bool {
		return i.open() && i.Service == serviceID && i.Key == key
	})
}

// follow assigns an incident to who is on call on a policy. Nobody on the whole policy: refused (the
// code is not documented, 1015 says it best).
func (s *Server) follow(i *Incident, policyID string) error {
	p, err := s.policy(policyID)
	if err != nil {
		return badRequest(1014, "Escalation Policy Not Found")
	}
	levels := make([][]Ref, len(p.Levels))
	for n, targets := range p.Levels {
		levels[n] = slices.Clone(targets)
	}
	level, users := s.firstOnCall(levels, 1, s.opts.Now())
	if level == 0 {
		return badRequest(1015, "Escalation Policy Has No User On Call")
	}
	i.Policy, i.levels = policyID, levels
	if err := s.assign(i, users); err != nil {
		return err
	}
	i.Level = level
	return nil
}

// assign makes users the assignees.
func (s *Server) assign(i *Incident, users []string) error {
	var assignments []Stamp
	for _, u := range users {
		if _, err := s.user(u); err != nil {
			return badRequest(2001, "Invalid Input Provided", "Assignee not found")
		}
		assignments = append(assignments, Stamp{u, s.opts.Now()})
	}
	i.Assignments, i.Level = assignments, 0
	return nil
}

// incident finds an incident by ID or number.
func (s *Server) incident(id string) (*Incident, error) {
	for _, i := range s.incidents {
		if i.ID == id || fmt.Sprint(i.Number) == id {
			return i, nil
		}
	}
	return nil, unknown("incident", id)
}

// setStatus changes an incident's status.
func (s *Server) setStatus(i *Incident, status string, by Ref) {
	i.Status, i.Changed, i.ChangedBy = status, s.opts.Now(), by
	if status != "acknowledged" {
		i.Acknowledgements = nil
	}
	i.Resolved = time.Time{}
	if status == "resolved" {
		i.Resolved = i.Changed
		i.Assignments = nil
	}
}

// Incidents gives all incidents, oldest first.
func (s *Server) Incidents() []Incident {
	return s.incidentsWhere(func(*Incident) bool { return true })
}

// IncidentsByKey gives the incidents with an incident_key, open or not, oldest first.
func (s *Server) IncidentsByKey(key string) []Incident {
	return s.incidentsWhere(func(i *Incident) bool { return i.Key == key })
}

func (s *Server) incidentsWhere(is func(*Incident) bool) (found []Incident) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, i := range s.incidents {
		if is(i) {
			found = append(found, i.copy())
		}
	}
	return found
}

// alreadyResolved is the answer to resolving a resolved incident, also one that was merged away.
func alreadyResolved() *refusal {
	return &refusal{http.StatusBadRequest, 1001, "Incident Already Resolved", []string{"Incident Already Resolved"}}
}
