package app

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/internal/admin"
	"github.com/pdhook/pdhook/internal/policy"
	"github.com/pdhook/pdhook/internal/reconcile"
	"github.com/pdhook/pdhook/internal/store"
)

// latestDecisions is how many decided requests the board shows beside those that wait.
const latestDecisions = 100

// board shows what the rooms know of requests, for people.
type board struct {
	store   *store.Store
	outlook func(access.RequestID) reconcile.Outlook
	poll    func(access.Link) time.Time // when a poll asks for the request; zero when none does
	round   func() time.Time            // when everything pending is looked at again; zero before the first
	url     func(access.RequestID) string
	user    func() string // whom pdhook is in Teleport
	dryRun  func() bool
}

func (a *App) board() board {
	return board{
		store: a.store, outlook: a.queue.Outlook, poll: a.poller.Next, url: a.teleport.RequestURL, user: a.teleport.User,
		round:  func() time.Time { return a.watcher.Status().NextRound },
		dryRun: func() bool { return a.current.Load().Policy.DryRun },
	}
}

// Requests gives what has something left to do, the oldest first, then the latest of the others. It reads one state
// of the store.
func (b board) Requests(ctx context.Context, all bool) ([]admin.Request, error) {
	finished := 0
	if all {
		finished = latestDecisions
	}
	records, err := b.store.Records(ctx, finished)
	if err != nil {
		return nil, err
	}
	open := slices.IndexFunc(records, func(r store.Record) bool { return !r.Link.Open() })
	if open < 0 {
		open = len(records)
	}
	slices.SortFunc(records[:open], func(x, y store.Record) int {
		return cmp.Or(x.Link.Created.Compare(y.Link.Created), cmp.Compare(x.Link.Request, y.Link.Request))
	})
	shown := make([]admin.Request, len(records))
	round := b.round()
	for i, r := range records {
		shown[i] = b.of(r, round)
	}
	return shown, nil
}

// Request gives one request.
func (b board) Request(ctx context.Context, id access.RequestID) (admin.Request, error) {
	record, err := b.store.RecordOf(ctx, id)
	if err != nil {
		return admin.Request{}, err
	}
	return b.of(record, b.round()), nil
}

// Deliveries gives the latest webhook events.
func (b board) Deliveries(ctx context.Context, limit int) ([]admin.Delivery, error) {
	latest, err := b.store.Deliveries(ctx, limit)
	shown := make([]admin.Delivery, len(latest))
	for i, d := range latest {
		shown[i] = admin.Delivery(d)
	}
	return shown, err
}

// of puts together what is known of one request.
func (b board) of(record store.Record, round time.Time) admin.Request {
	l, o := record.Link, b.outlook(record.Link.Request)
	r := admin.Request{
		ID: l.Request, User: l.User, Roles: append([]string{}, l.Roles...), State: l.State, Incidents: incidents(l),
		Decision: record.Decision, Reason: l.Reason, ResolveReason: l.Resolve, Reviews: l.Reviews,
		Created: l.Created, Expires: l.Expires, URL: b.url(l.Request),
		Unnotified: l.Missing, Failing: o.Failing, LastLook: o.Looked,
		Reviewed: slices.ContainsFunc(l.Reviews, func(v access.Review) bool { return policy.ApprovedBy(b.user(), v) }),
	}
	if l.Open() {
		r.NextLook, r.NextLookWhy = b.next(l, o, round)
	}
	if l.State == access.Pending {
		r.SuggestedReviewers, r.DryRun = l.Suggested, b.dryRun()
	} else if r.Decision != nil {
		r.Decision = settled(*r.Decision)
	}
	return r
}

// next tells when the request is looked at again whatever happens, and why: at a moment that it was put off to, when
// a poll asks who is on call, or with all others.
func (b board) next(l access.Link, o reconcile.Outlook, round time.Time) (at time.Time, why string) {
	at, why = o.Next, o.Cause
	earlier := func(moment time.Time, cause string) {
		if !moment.IsZero() && (at.IsZero() || moment.Before(at)) {
			at, why = moment, cause
		}
	}
	earlier(b.poll(l), access.CausePoll)
	earlier(round, access.CauseTimer)
	if now := time.Now(); !at.IsZero() && at.Before(now) { // due, and on its way
		at = now
	}
	return at, why
}

// settled is a decision on a request that waits no more: nobody need decide it, and nothing need be done about it.
func settled(d access.Decision) *access.Decision {
	d.Instead, d.Next, d.Checks = "", time.Time{}, withoutRemedies(d.Checks)
	return &d
}

func withoutRemedies(checks []access.Check) []access.Check {
	checks = slices.Clone(checks)
	for i := range checks {
		checks[i].Remedy, checks[i].Children = "", withoutRemedies(checks[i].Children)
	}
	return checks
}

// incidents gives the incidents of a link; a service that waits for its own has none yet.
func incidents(l access.Link) []admin.Incident {
	shown := []admin.Incident{}
	for _, i := range l.Incidents {
		if i.ID == "" {
			continue
		}
		shown = append(shown, admin.Incident{
			ID: i.ID, Service: cmp.Or(i.ServiceName, i.Ref), Status: i.Status, URL: i.URL,
			AcknowledgedBy: i.AcknowledgedBy, MergedInto: i.MergedInto,
		})
	}
	return shown
}
