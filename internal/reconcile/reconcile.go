// Package reconcile is the queue of request IDs and the one loop behind it: observe, decide, act, record
// (spec §2). Whatever happens anywhere only brings a request's ID here. A pass reads what is true now,
// decides by package policy, does only what is missing, and leaves the rest to the next pass; running it
// twice does nothing the second time.
package reconcile

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/internal/policy"
)

// Requests is Teleport.
type Requests interface {
	// Get fails with access.ErrNotFound when Teleport does not show the request.
	Get(ctx context.Context, id access.RequestID) (access.Request, error)
	// SubmitReview gives the request after the review; access.ErrDenied when the role does not allow it.
	SubmitReview(ctx context.Context, id access.RequestID, state access.State, reason string) (access.Request, error)
	// PluginData gives the entry of plugin "pagerduty", empty when there is none.
	PluginData(ctx context.Context, id access.RequestID) (map[string]string, error)
	// UpdatePluginData swaps; access.ErrConflict when expect does not hold, access.ErrNotFound when the
	// request is gone and has no data.
	UpdatePluginData(ctx context.Context, id access.RequestID, set, expect map[string]string) error
	// User is the Teleport user that pdhook reviews as.
	User() string
	// Cluster is the name of the cluster, "" before it was told.
	Cluster() string
	// RequestURL is the request's page, "" when the cluster has no public address.
	RequestURL(id access.RequestID) string
}

// Presence knows which requests are in Teleport by its watch.
type Presence interface {
	// Gone reports that the request surely is no more (spec §12).
	Gone(id access.RequestID) bool
	// User is the requester, "" for a request that the watch has not seen.
	User(id access.RequestID) string
}

// Directory is PagerDuty's knowledge of people, duty and open incidents. An answer was asked for at since or
// later; it may have been remembered.
type Directory interface {
	User(ctx context.Context, email string, since time.Time) access.Fact[access.User]
	Service(ctx context.Context, ref string, since time.Time) access.Fact[access.Service]
	Schedule(ctx context.Context, ref string, until, since time.Time) access.Fact[access.Duty]
	OnCalls(ctx context.Context, user access.UserID, until, since time.Time) access.Fact[access.OnCalls]
	// OnDuty is everybody on a policy, to tell who is on call instead of the requester.
	OnDuty(ctx context.Context, policy access.PolicyID, since time.Time) access.Fact[access.OnCalls]
	OpenIncidents(ctx context.Context, services []access.ServiceID, since time.Time) access.Fact[[]access.Incident]
}

// Incidents is PagerDuty's incidents. Bot is the user that pdhook writes as (user_email).
type Incidents interface {
	Bot(ctx context.Context) (access.User, error)
	// Incident reads an incident; service is where it is thought to be, "" unknown.
	Incident(ctx context.Context, id access.IncidentID, service access.ServiceID) (access.Incident, error)
	IncidentsByKey(ctx context.Context, key string, service access.ServiceID) ([]access.Incident, error)
	CreateIncident(ctx context.Context, n access.NewIncident) (access.Incident, error)
	Notes(ctx context.Context, id access.IncidentID) ([]access.Note, error)
	AddNote(ctx context.Context, id access.IncidentID, text string) error
	Resolve(ctx context.Context, id access.IncidentID) error
	Reopen(ctx context.Context, id access.IncidentID) error
	// Resolver is the user who resolved the incident; the zero User for a time-out or automation.
	Resolver(ctx context.Context, id access.IncidentID) (access.User, error)
}

// Links is this replica's memory. A failure to read or write it never holds a request up.
type Links interface {
	// Link fails with access.ErrNotFound for a request that was never recorded.
	Link(ctx context.Context, id access.RequestID) (access.Link, error)
	// RequestsOfIncident gives the requests linked to an incident.
	RequestsOfIncident(ctx context.Context, id access.IncidentID) ([]access.RequestID, error)
	// Decision is the last one recorded; access.ErrNotFound when there is none.
	Decision(ctx context.Context, id access.RequestID) (access.Decision, error)
	// EventsFor gives the webhook events that still wait for a pass over the request.
	EventsFor(ctx context.Context, id access.RequestID) ([]access.EventID, error)
	// Event gives one of them.
	Event(ctx context.Context, id access.EventID) (access.Event, error)
	// Record writes the outcome at once or not at all.
	Record(ctx context.Context, o access.Outcome) error
}

// Config is what a Reconciler needs. Every field but Routes and Observer is required.
type Config struct {
	Requests  Requests
	Presence  Presence
	Directory Directory
	Incidents Incidents
	Links     Links
	Replica   string              // names this replica in claims; the same again after a restart
	Rules     func() policy.Rules // read once a pass: one reconcile uses one configuration
	Routes    Routes              // nil: annotations alone name the services to notify
	Observer  Observer            // nil: nobody counts
	Log       *slog.Logger
}

// Result says when a request wants to be looked at again without any hint.
type Result struct {
	After time.Duration // 0: only by hints
}

// Reconciler runs passes. Its methods may be called side by side for different requests.
type Reconciler struct {
	Config
	refusals refusals
	said     said
	counted  counted
	now      func() time.Time
}

// New builds a Reconciler.
func New(cfg Config) *Reconciler {
	if cfg.Observer == nil {
		cfg.Observer = nobody{}
	}
	return &Reconciler{Config: cfg, now: time.Now}
}

// A pass ends before a claim of its own runs out, so that nobody else takes over what is being written.
const (
	patience  = 45 * time.Second
	recordFor = 6 * time.Second // on top of patience, and of the grace at the end: what was done is recorded in any case
	claimFor  = 60 * time.Second

	// claimBeforeReview bounds what may stand between the facts and the approval that rests on them.
	claimBeforeReview = 3 * time.Second
)

var errPatience = errors.New("the pass over this request took too long")

// pass is one look at one request.
type pass struct {
	*Reconciler
	id    access.RequestID
	cause string
	rules policy.Rules
	log   *slog.Logger

	events  []access.EventID // that had come before the pass began
	facts   policy.Facts
	work    policy.Work
	ledger  ledger
	linked  bool                    // the store knows the request
	kept    []access.LinkedIncident // as the store knows them
	bot     access.UserID
	seen    map[access.IncidentID]access.Incident // read in this pass
	errs    []error
	missing []string // why a service to notify has no incident
	routes  []string // the services to notify that rules name

	ledgerErr    error
	claimed      claimState
	dirty        bool // something may have been written that is not recorded: look before writing
	unclear      bool // a write of this pass may have happened or not
	unread       bool // an incident, or its notes, could not be read
	reviewFailed error
	notes        map[access.IncidentID][]access.Note

	told      access.Decision     // the last that sayDecision saw
	undecided bool                // another look may approve: nobody is denied before it
	announced []access.IncidentID // that the claim says may be reopened
	again     bool                // the request was read again since the claim
	outcome   string              // of the effect under way; "" while there is none to count
}

// Reconcile looks at one request. An error means that something is still to be done; access.NotBefore and
// access.IsPermanent say when another look can help.
func (r *Reconciler) Reconcile(ctx context.Context, id access.RequestID, cause string) (Result, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errPatience)
	defer cancel()
	p := &pass{
		Reconciler: r, id: id, cause: cause, rules: r.Rules(),
		log:   r.Log.With("request_id", id),
		work:  policy.Work{Blocked: map[int]bool{}},
		seen:  map[access.IncidentID]access.Incident{},
		notes: map[access.IncidentID][]access.Note{},
	}
	r.refusals.hinted(id, cause)
	concerned, err := p.observe(ctx)
	if err != nil {
		return Result{}, err
	}
	if !concerned {
		return Result{}, p.forget(ctx)
	}
	if !p.linked && p.work.Request.State == access.Pending {
		p.introduce(ctx)
	}
	p.decide(ctx)
	p.sayDecision(ctx)
	p.act(ctx)
	return p.record(ctx)
}

// block ends a lane for this pass. A nil error blocks silently.
func (p *pass) block(lane int, err error) {
	p.work.Blocked[lane] = true
	if err != nil {
		p.errs = append(p.errs, err)
		p.unclear = p.unclear || access.IsUnclear(err)
	}
}

// blockIncidents ends every lane but the review's, whose approval nothing on PagerDuty's side may hold up.
func (p *pass) blockIncidents(err error) {
	for i := range p.work.Link.Incidents {
		p.work.Blocked[i] = true
	}
	if err != nil {
		p.errs = append(p.errs, err)
	}
}

// heldBack reports whether something on an incident was left to the next pass.
func (p *pass) heldBack() bool {
	for lane, blocked := range p.work.Blocked {
		if blocked && lane != policy.ReviewLane {
			return true
		}
	}
	return false
}
