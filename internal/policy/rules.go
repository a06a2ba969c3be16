// Package policy is pdhook's judgement: whether a request is approved automatically, what is still missing
// on its incidents, and every word that is said about it. It is pure: facts in, decisions and actions out,
// no clock and no I/O, so that each rule of spec §4 and §5 can be read and tested as a table.
package policy

import (
	"slices"
	"strings"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

// Notify says for which requests an incident is opened (policy.notify).
type Notify string

// The values of policy.notify.
const (
	NotifyAlways         Notify = "always"
	NotifyUnlessApproved Notify = "unless_approved" // a request that is approved at once opens none
)

// RequireIncident says which incident an approval needs (policy.require_incident).
type RequireIncident string

// The values of policy.require_incident.
const (
	RequireNone         RequireIncident = "none"         // being on call is enough
	RequireOpen         RequireIncident = "open"         // a triggered or acknowledged incident
	RequireAcknowledged RequireIncident = "acknowledged" // one that the requester acknowledged
	RequireAssigned     RequireIncident = "assigned"     // one that is assigned to the requester
)

// OnIncidentResolved says what becomes of a pending request whose incident somebody resolves
// (policy.on_incident_resolved).
type OnIncidentResolved string

// The values of policy.on_incident_resolved.
const (
	ResolvedNote      OnIncidentResolved = "note"      // a note says that the request is still pending
	ResolvedRetrigger OnIncidentResolved = "retrigger" // the incident is reopened once, with that note
	ResolvedDeny      OnIncidentResolved = "deny"      // a person's resolving denies the request; else a note
)

// Rules is the operator's policy, one value for a whole reconcile.
type Rules struct {
	// Names of the annotations (spec §3).
	NotifyService, Services, Schedules, UserEmail string

	AutoApproveRoles   []string      // nil: any role
	MaxEscalationLevel int           // 0: any level
	MaxAccess          time.Duration // 0: any; how far from now the access may end
	MaxRequestAge      time.Duration // 0: any
	Notify             Notify
	Account            string // PagerDuty account that every fact must come from; "": any
	RequireIncident    RequireIncident
	OwnIncidents       bool // may incidents that the requester triggered count?
	OnIncidentResolved OnIncidentResolved
	DryRun             bool // decide and record, change nothing
}

// MostNamed is how many services and schedules of one request are looked up, and on how many services it opens
// incidents: no single request may use up the calls that PagerDuty grants to all.
const MostNamed = 100

// Concerned reports whether the request names anything in PagerDuty; all others are ignored (spec §3).
func (r Rules) Concerned(req access.Request) bool {
	return slices.ContainsFunc([]string{r.NotifyService, r.Services, r.Schedules}, func(name string) bool {
		return len(values(req, name)) > 0
	})
}

// NotifyRefs gives the services to open incidents on, as annotated.
func (r Rules) NotifyRefs(req access.Request) []string { return values(req, r.NotifyService) }

// ServiceRefs gives the services whose on-call engineers are approved, as annotated.
func (r Rules) ServiceRefs(req access.Request) []string { return values(req, r.Services) }

// Email gives the login e-mail under which PagerDuty must know the requester; "" when none can be told. Where
// the annotation is present, however empty, the user name is not used.
func (r Rules) Email(req access.Request) string {
	if _, annotated := req.Annotations[r.UserEmail]; annotated {
		if emails := values(req, r.UserEmail); len(emails) == 1 {
			return emails[0]
		}
		return ""
	}
	if strings.Contains(req.User, "@") {
		return req.User
	}
	return ""
}

// ScheduleRefs gives the schedules whose people on duty are approved, as annotated.
func (r Rules) ScheduleRefs(req access.Request) []string { return values(req, r.Schedules) }

// values gives the values of an annotation without blanks and repetitions.
func values(req access.Request, annotation string) []string { return Refs(req.Annotations[annotation]) }

// Refs gives names of services or schedules without blanks and repetitions.
func Refs(values []string) []string {
	var out []string
	for _, v := range values {
		v = strings.TrimSpace(v)
		if v != "" && !slices.ContainsFunc(out, func(o string) bool { return sameRef(o, v) }) {
			out = append(out, v)
		}
	}
	return out
}

// sameRef compares two values: names in any case, IDs to the letter.
func sameRef(a, b string) bool {
	if strings.HasPrefix(a, "id:") || strings.HasPrefix(b, "id:") {
		return a == b
	}
	return access.SameName(a, b)
}

// Facts is everything a decision rests on, with the time at which it was read.
type Facts struct {
	Now      time.Time // when the decision is made, by our clock
	Cause    string    // why the request is looked at
	Reviewer string    // the Teleport user that pdhook reviews as
	Reviewed bool      // this replica remembers that pdhook has reviewed the request
	Request  access.Request
	User     access.Fact[access.User]
	Services []NamedService // those that the role names for approval
	OnCalls  access.Fact[access.OnCalls]

	Schedules []NamedSchedule // those that the role names for approval

	// Paging is what the schedules of PagedBy say of who is paged.
	Paging map[access.ScheduleID]access.Fact[access.Duty]

	// OnDuty is who is on call for a policy for which the requester is not. It explains and decides nothing.
	OnDuty map[access.PolicyID]access.Fact[access.OnCalls]

	// Incidents are the open incidents on the named services. Read only where one is required and the
	// requester is on call.
	Incidents access.Fact[[]IncidentFact]
}

// NamedSchedule is a schedule as annotated and what PagerDuty says of it.
type NamedSchedule struct {
	Ref  string // a name, or "id:" and an ID
	Fact access.Fact[access.Duty]
}

// IncidentFact is an open incident and whether it is one of pdhook's own notifications, which never count.
type IncidentFact struct {
	access.Incident
	Notification bool
}

// NamedService is a service as annotated and what PagerDuty says of it.
type NamedService struct {
	Ref  string // a name, or "id:" and an ID
	Fact access.Fact[access.Service]
}

// Fresh is how old the facts behind an approval may be at the end of the review call (spec §2).
const Fresh = 10 * time.Second
