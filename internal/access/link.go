package access

import "time"

// Link ties a request to its incidents: what pdhook did for it and what it last saw. What must outlive
// the disk is also in Teleport's plugin data (spec §7).
type Link struct {
	Request   RequestID `json:"request"`
	Cluster   string    `json:"cluster,omitempty"` // Teleport cluster of the request
	User      string    `json:"user"`
	Roles     []string  `json:"roles"`
	Reason    string    `json:"reason,omitempty"`
	Created   time.Time `json:"created"`
	Expires   time.Time `json:"expires"` // the request's own expiry as last seen; passed: the request is gone
	State     State     `json:"state"`   // as last seen
	Resolve   string    `json:"resolve_reason,omitempty"`
	Reviews   []Review  `json:"reviews,omitempty"`   // as last seen: their notes outlive the request
	Suggested []string  `json:"suggested,omitempty"` // suggested reviewers, as last seen
	Reviewed  bool      `json:"reviewed,omitempty"`  // pdhook submitted its review
	Finished  time.Time `json:"finished,omitzero"`   // nothing more to do since then

	Incidents []LinkedIncident `json:"incidents,omitempty"`
	Missing   []string         `json:"missing,omitempty"` // why a service to notify has no incident yet
	Named     Named            `json:"named,omitzero"`
	Updated   time.Time        `json:"updated"`
}

// Named is what the roles of a pending request name in PagerDuty, as last resolved: it says which
// webhooks and which on-call changes concern the request. It proves nothing.
type Named struct {
	ServiceNames []string             `json:"service_names,omitempty"` // as annotated; may name services PagerDuty does not know (yet)
	Services     []ServiceID          `json:"services,omitempty"`
	Meant        map[string]ServiceID `json:"meant,omitempty"`     // the service that each name led to
	Policies     []PolicyID           `json:"policies,omitempty"`  // whose on-call entries could approve the requester
	Schedules    []ScheduleID         `json:"schedules,omitempty"` // whose on-call entries could, as escalation policies use them
	Unused       []ScheduleID         `json:"unused,omitempty"`    // schedules whose shifts could, but that no policy uses
	User         UserID               `json:"user,omitempty"`      // the requester in PagerDuty
}

// LinkedIncident is one incident of a request, with what was written to it. The services to notify are
// fixed when the first incident is opened: until its own incident exists, a service has an entry without ID.
type LinkedIncident struct {
	ID          IncidentID `json:"id,omitempty"`
	Ref         string     `json:"ref,omitempty"` // the service as annotated: a name, or "id:" and an ID
	Key         string     `json:"key,omitempty"`
	Service     ServiceID  `json:"service,omitempty"`
	ServiceName string     `json:"service_name,omitempty"`
	URL         string     `json:"url,omitempty"`

	Reviews    int  `json:"reviews,omitempty"`     // review notes written, in Teleport's order
	StillNoted bool `json:"still_noted,omitempty"` // somebody resolved it early: written that the request is still pending
	Reopened   bool `json:"reopened,omitempty"`    // somebody resolved it early: reopened, which happens once
	Noted      bool `json:"noted,omitempty"`       // decision note written
	Ended      bool `json:"ended,omitempty"`       // resolved, or left to others for good

	// Left are incidents that were ended as expired before the request came back: they stand for it no more.
	Left []IncidentID `json:"left,omitempty"`

	// Seen by this replica only; not part of what replicas share.
	Verified       bool           `json:"verified,omitempty"` // passed the own test, or was opened by this replica
	Status         IncidentStatus `json:"status,omitempty"`
	AcknowledgedBy []string       `json:"acknowledged_by,omitempty"`
	MergedInto     IncidentID     `json:"merged_into,omitempty"`
}

// Open reports whether pdhook still has something to do for the link.
func (l Link) Open() bool { return l.Finished.IsZero() }

// Outcome is what one look at a request leaves behind. It is written at once or not at all.
type Outcome struct {
	Request  RequestID
	Link     *Link     // nil: the stored link stays as it is
	Decision *Decision // nil: the stored decision stays as it is
	Finished []EventID // webhook events that took effect on the request; unknown ones are passed over
}
