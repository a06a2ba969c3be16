package access

import "time"

// User is a PagerDuty user.
type User struct {
	ID      UserID
	Name    string
	Email   string // login e-mail, case as entered in PagerDuty
	Account string // subdomain of the account, from the user's html_url; "" when it is not shown
}

// Service is a PagerDuty service.
type Service struct {
	ID      ServiceID
	Name    string
	Policy  PolicyID // its escalation policy now
	Account string   // subdomain of the account, from the service's html_url; "" when it is not shown
}

// OnCall is one unbroken stretch of duty of one user at one level of one escalation policy
// (PagerDuty's GET /oncalls).
type OnCall struct {
	User     User
	Policy   PolicyID
	Schedule ScheduleID // "" when the user stands on the policy directly
	Level    int        // 1 is paged first
	Start    time.Time  // zero: always on call
	End      time.Time  // zero: no end known

	ShiftBased bool // the schedule is a shift-based one: it tells who is paged
}

// At reports whether the entry covers the moment now.
func (o OnCall) At(now time.Time) bool {
	return !o.Start.After(now) && (o.End.IsZero() || o.End.After(now))
}

// Schedule is a PagerDuty schedule of either kind, with who is on duty by it.
type Schedule struct {
	ID      ScheduleID
	Name    string
	Account string // subdomain of the account, from the schedule's html_url; "" when it is not shown
	Used    bool   // by an escalation policy: its shifts are among the on-call entries
	Shifts  []Shift
}

// Shift is one stretch of duty by a schedule of a user who is paged.
type Shift struct {
	User  UserID
	Start time.Time
	End   time.Time // zero: no end known
}

// At reports whether the shift covers the moment now.
func (s Shift) At(now time.Time) bool {
	return !s.Start.After(now) && (s.End.IsZero() || s.End.After(now))
}

// OnCallQuery asks where users are on call, now and up to Until. Users must hold at least one ID: PagerDuty
// takes a missing filter for "everybody".
type OnCallQuery struct {
	Users []UserID
	Until time.Time // zero: only now
}

// OnCalls is PagerDuty's answer to an on-call question.
type OnCalls struct {
	Entries []OnCall
	Now     time.Time // PagerDuty's own time at the answer
}

// Duty is a schedule as PagerDuty answered.
type Duty struct {
	Schedule Schedule
	Now      time.Time // PagerDuty's own time at the answer
}

// Incident is a PagerDuty incident.
type Incident struct {
	ID              IncidentID
	Key             string // incident_key
	Service         ServiceID
	ServiceName     string
	Status          IncidentStatus
	URL             string
	Created         time.Time
	TriggeredBy     UserID // agent of the first trigger log entry; "" when it was no user
	Acknowledged    []User // who acknowledged it (ID and name), while it is acknowledged
	Assigned        []User // whom it is assigned to (ID and name), while it is open
	ResolvedBy      string // name of the user who resolved it; "" for a time-out or automation
	MergedInto      IncidentID
	TriggerNotShown bool // PagerDuty gave no first trigger log entry: who triggered it is not known
}

// IncidentStatus is an incident's status in PagerDuty's words.
type IncidentStatus string

// PagerDuty's incident statuses; more may be introduced.
const (
	Triggered    IncidentStatus = "triggered"
	Acknowledged IncidentStatus = "acknowledged"
	Resolved     IncidentStatus = "resolved"
)

// Open reports whether the incident still pages somebody: everything but resolved.
func (i Incident) Open() bool { return i.Status != Resolved }

// NewIncident is what pdhook asks PagerDuty to open.
type NewIncident struct {
	Key     string
	Service ServiceID
	Title   string
	Details string
}

// Note is a note of an incident.
type Note struct {
	Content string
	Created time.Time
}

// Subscription is a webhook subscription: it says which events PagerDuty sends, and where to.
type Subscription struct {
	ID          SubscriptionID
	URL         string // scheme, host and path: the rest may hold a secret
	Path        string // of the URL, decoded; "/" when it has none
	Description string
	Filter      SubscriptionFilter
	Active      bool   // the owner's switch
	Disabled    bool   // PagerDuty's own: set when it had to drop three deliveries in a row, for 24 h or until enabled
	Extras      string // what it sends that PagerDuty does not show again: "custom headers", "an OAuth token"; "": nothing
	EventTypes  []string
}

// UnfinishedSubscription is the description of a subscription of pdhook's while its signing secret may be nowhere yet.
// It is inactive and leads nowhere: it can be deleted at any time.
const UnfinishedSubscription = "pdhook: being set up, not in use"

// Unfinished reports whether the subscription was left behind while it was being made.
func (s Subscription) Unfinished() bool { return !s.Active && s.Description == UnfinishedSubscription }

// SubscriptionFilter says whose events a webhook subscription is for.
type SubscriptionFilter struct {
	Kind FilterKind
	ID   string // of the service or team; "" for the account
}

// FilterKind is what a webhook subscription is filtered by.
type FilterKind string

// PagerDuty's filters of webhook subscriptions.
const (
	FilterAccount FilterKind = "account"
	FilterService FilterKind = "service"
	FilterTeam    FilterKind = "team"
)

// String names the filter as "pdhook subscribe --filter" takes it.
func (f SubscriptionFilter) String() string {
	if f.ID == "" {
		return string(f.Kind)
	}
	return string(f.Kind) + ":id:" + f.ID
}

// Team is a PagerDuty team.
type Team struct {
	ID   string
	Name string
}

// Event is a PagerDuty V3 webhook event, cut down to where it tells pdhook to look. It proves nothing:
// what counts is read again (spec §2).
type Event struct {
	ID          EventID
	Type        string // e.g. "incident.acknowledged"
	Occurred    time.Time
	Received    time.Time
	Incidents   []IncidentID
	IncidentKey string // of the incident the event is about, where the event shows it
	Service     ServiceID
	ServiceName string
	Malformed   bool // known type, unexpected shape

	// Subscription is named by a header that is not signed: it may choose among what PagerDuty lists, and is
	// not kept.
	Subscription SubscriptionID
	Body         []byte // as signed; kept only until the event took effect
}
