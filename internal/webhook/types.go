package webhook

import (
	"maps"
	"slices"
)

// shape says where an event of PagerDuty names what it is about.
type shape int

const (
	incidentItself  shape = iota + 1 // data is the incident
	aboutIncident                    // data.incident refers to it
	roleAssignments                  // data.incident_role_assignments[].incident refers to it
	serviceItself                    // data is a reference to the service
	aboutService                     // data.service refers to it
	ping                             // the test event, about nothing
)

// eventType is what pdhook knows of a type of event.
type eventType struct {
	shape      shape
	subscribed bool // pdhook asks PagerDuty for it
}

// eventTypes holds every type that PagerDuty documents
// (https://developer.pagerduty.com/docs/webhooks-overview), and the test event. A type that is not asked
// for changes no fact that a decision rests on; a note, for one, would come back for each note that pdhook
// writes. A subscription made by hand may send them all the same.
var eventTypes = map[string]eventType{
	"incident.triggered":             {incidentItself, true},
	"incident.acknowledged":          {incidentItself, true},
	"incident.unacknowledged":        {incidentItself, true},
	"incident.resolved":              {incidentItself, true},
	"incident.reopened":              {incidentItself, true},
	"incident.escalated":             {incidentItself, true},
	"incident.reassigned":            {incidentItself, true},
	"incident.delegated":             {incidentItself, true},
	"incident.service_updated":       {incidentItself, true},
	"incident.priority_updated":      {incidentItself, true},
	"incident.incident_type.changed": {incidentItself, true},
	"incident.responder.added":       {aboutIncident, true},
	"incident.responder.replied":     {aboutIncident, true},

	"incident.role.assigned":                {roleAssignments, false},
	"incident.annotated":                    {aboutIncident, false},
	"incident.status_update_published":      {aboutIncident, false},
	"incident.conference_bridge.updated":    {aboutIncident, false},
	"incident.custom_field_values.updated":  {aboutIncident, false},
	"incident.task.created":                 {aboutIncident, false},
	"incident.task.updated":                 {aboutIncident, false},
	"incident.task.completed":               {aboutIncident, false},
	"incident.action_invocation.created":    {aboutIncident, false},
	"incident.action_invocation.updated":    {aboutIncident, false},
	"incident.action_invocation.terminated": {aboutIncident, false},
	"incident.workflow.started":             {aboutIncident, false},
	"incident.workflow.completed":           {aboutIncident, false},

	"service.created":                     {serviceItself, true},
	"service.updated":                     {serviceItself, true},
	"service.deleted":                     {serviceItself, true},
	"service.custom_field_values.updated": {aboutService, false},

	"pagey.ping": {ping, false},
}

// EventTypes lists the event types that pdhook's webhook subscription asks for, sorted.
func EventTypes() []string {
	types := maps.Clone(eventTypes)
	maps.DeleteFunc(types, func(_ string, t eventType) bool { return !t.subscribed })
	return slices.Sorted(maps.Keys(types))
}

// used reports whether an event of this type can make pdhook look at a request.
func used(name string) bool {
	switch eventTypes[name].shape {
	case incidentItself, aboutIncident, roleAssignments, serviceItself:
		return true
	}
	return false
}

// label is the type as a metrics label: what senders may make up is "unknown".
func label(name string) string {
	if _, known := eventTypes[name]; known {
		return name
	}
	return "unknown"
}
