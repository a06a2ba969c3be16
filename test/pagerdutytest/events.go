package pagerdutytest

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// event is one V3 event on its way to the subscriptions.
type event struct {
	kind     string // event_type
	resource string // ID of the incident or service; PagerDuty keeps the order per resource
	service  string // ID of the service that it concerns
	agent    Ref    // zero: automation, null
	data     any
}

// envelope renders an event as PagerDuty sends it: compact JSON, one event a request
// (https://developer.pagerduty.com/docs/webhooks/v3-overview/).
func (s *Server) envelope(e event) (id string, body []byte) {
	now := s.opts.Now()
	id = eventID(now, s.id("%016d"))
	resource, _, _ := strings.Cut(e.kind, ".")
	body = must(json.Marshal(object{"event": object{
		"id":            id,
		"event_type":    e.kind,
		"resource_type": resource,
		"occurred_at":   now.UTC().Format("2006-01-02T15:04:05.000Z"),
		"agent":         s.ref(e.agent),
		"client":        nil,
		"data":          e.data,
	}}))
	return id, body
}

// eventID is shaped like PagerDuty's: ten characters of time and sixteen that are unique in the account.
// The time keeps two accounts, such as a double that was started again, from using the same ID.
func eventID(now time.Time, unique string) string {
	return fmt.Sprintf("%010X%s", now.UnixMilli()&0xFFFFFFFFFF, unique)
}

// emitIncident sends an event about an incident with its state at this moment.
func (s *Server) emitIncident(kind string, i *Incident, agent Ref) {
	assignees := []any{}
	for _, a := range i.Assignments {
		assignees = append(assignees, s.ref(UserRef(a.User)))
	}
	data := s.identity(i.ref(), "")
	delete(data, "summary")
	data["number"] = i.Number
	data["status"] = i.Status
	data["incident_key"] = i.Key
	data["created_at"] = stamp(i.Created)
	data["title"] = i.Title
	data["service"] = s.ref(Ref{"service", i.Service})
	data["assignees"] = assignees
	data["escalation_policy"] = s.ref(Ref{"escalation_policy", i.Policy})
	data["teams"] = []object{}
	data["priority"] = nil
	data["urgency"] = i.Urgency
	data["conference_bridge"] = nil
	data["resolve_reason"] = s.resolveReason(i)
	data["incident_type"] = object{"name": "incident_default"}
	if !i.Reopened.IsZero() {
		data["reopened_at"] = stamp(i.Reopened)
	}
	s.emit(event{kind, i.ID, i.Service, agent, data})
}

// emitService sends an event about a service. It says neither what changed nor the escalation policy.
func (s *Server) emitService(kind string, v *Service) {
	data := s.identity(Ref{"service", v.ID}, v.Name)
	data["alert_creation"] = "create_alerts_and_incidents"
	data["teams"] = []object{}
	s.emit(event{kind, v.ID, v.ID, Ref{}, data})
}

// emit queues an event for every subscription that wants it.
func (s *Server) emit(e event) {
	id, body := s.envelope(e)
	for _, sub := range s.subscriptions {
		if sub.wants(e) {
			s.queue(sub, Delivery{EventID: id, EventType: e.kind, Resource: e.resource, Body: body})
		}
	}
}
