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
	followed   bool // on an incident of pdhook's own it makes the request be looked at (spec §5)
}

// eventTypes holds every type that PagerDuty documents
// (https://developer.pagerduty.com/docs/webhooks-overview), and the test event. A type that is not asked
// for changes no fact that a decision rests on; a note, for one, would come back for each note that pdhook
// writes. A subscription made by hand may send them all the same.
var eventTypes = map[string]eventType{
	"incident.triggered":             {incidentItself, true, false},
	"incident.acknowledged":          {incidentItself, true, true},
	"incident.unacknowledged":        {incidentItself, true, true},
	"incident.resolved":              {incidentItself, true, true},
	"incident.reopened":              {incidentItself, true, true},
	"incident.escalated":             {incidentItself, true, true},
	"incident.reassigned":            {incidentItself, true, true},
	"incident.delegated":             {incidentItself, true, true},
	"incident.service_updated":       {incidentItself, true, true},
	"incident.priority_updated":      {incidentItself, true, false},
	"incident.incident_type.changed": {incidentItself, true, false},
	"incident.responder.added":       {aboutIncident, true, true},
	"incident.responder.replied":     {aboutIncident, true, true},

	"incident.role.assigned":                {roleAssignments, false, false},
	"incident.annotated":                    {aboutIncident, false, false},
	"incident.status_update_published":      {aboutIncident, false, false},
	"incident.conference_bridge.updated":    {aboutIncident, false, false},
	"incident.custom_field_values.updated":  {aboutIncident, false, false},
	"incident.task.created":                 {aboutIncident, false, false},
	"incident.task.updated":                 {aboutIncident, false, false},
	"incident.task.completed":               {aboutIncident, false, false},
	"incident.action_invocation.created":    {aboutIncident, false, false},
	"incident.action_invocation.updated":    {aboutIncident, false, false},
	"incident.action_invocation.terminated": {aboutIncident, false, false},
	"incident.workflow.started":             {aboutIncident, false, false},
	"incident.workflow.completed":           {aboutIncident, false, false},

	"service.created":                     {serviceItself, true, false},
	"service.updated":                     {serviceItself, true, false},
	"service.deleted":                     {serviceItself, true, false},
	"service.custom_field_values.updated": {aboutService, false, false},

	"pagey.ping": {ping, false, false},
}

// EventTypes lists the event types that pdhook's webhook subscription asks for, sorted.
func EventTypes() []string {
	types := maps.Clone(eventTypes)
	maps.DeleteFunc(types, func(_ string, t eventType) bool { return !t.subscribed })
	return slices.Sorted(maps.Keys(types))
}

// used reports whether an event of this type can make pdhook look at a request.
func used(name string) bool { return eventTypes[name].subscribed }

// label is the type as a metrics label: what senders may make up is "unknown".
func label(name string) string {
	if _, known := eventTypes[name]; known {
		return name
	}
	return "unknown"
}
