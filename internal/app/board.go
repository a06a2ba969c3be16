package app

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/internal/admin"
	"github.com/pdhook/pdhook/internal/watch"
)

// latestDecisions is how many decided requests the board shows beside those that wait.
const latestDecisions = 100

// board shows what the rooms know of requests, for people.
type board struct{ *App }

// Requests gives what has something left to do, the oldest first, then the latest of the others.
func (b board) Requests(ctx context.Context, all bool) ([]admin.Request, error) {
	links, err := b.store.OpenLinks(ctx)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(links, func(x, y access.Link) int {
		return cmp.Or(x.Created.Compare(y.Created), cmp.Compare(x.Request, y.Request))
	})
	shown := make([]admin.Request, 0, len(links))
	open := map[access.RequestID]bool{}
	failing := b.queue.Status().Failing
	for _, l := range links {
		r, err := b.of(ctx, l, failing)
		if err != nil {
			return nil, err
		}
		open[l.Request] = true
		shown = append(shown, r)
	}
	if !all {
		return shown, nil
	}
	decisions, err := b.store.Decisions(ctx, latestDecisions)
	if err != nil {
		return nil, err
	}
	for _, d := range decisions {
		if open[d.Request] {
			continue
		}
		r, err := b.Request(ctx, d.Request)
		switch {
		case errors.Is(err, access.ErrNotFound): // forgotten meanwhile
		case err != nil:
			return nil, err
		default:
			shown = append(shown, r)
		}
	}
	return shown, nil
}

// Request gives one request.
func (b board) Request(ctx context.Context, id access.RequestID) (admin.Request, error) {
	link, err := b.store.Link(ctx, id)
	if err != nil {
		return admin.Request{}, err
	}
	return b.of(ctx, link, b.queue.Status().Failing)
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
func (b board) of(ctx context.Context, l access.Link, failing map[access.RequestID]string) (admin.Request, error) {
	r := admin.Request{
		ID: l.Request, User: l.User, Roles: append([]string{}, l.Roles...), State: l.State, Incidents: incidents(l),
		Reason: l.Reason, ResolveReason: l.Resolve, Reviews: l.Reviews, Created: l.Created, Expires: l.Expires,
		URL: b.teleport.RequestURL(l.Request), Unnotified: l.Missing, Failing: failing[l.Request],
	}
	decision, err := b.store.Decision(ctx, l.Request)
	switch {
	case err == nil:
		r.Decision = &decision
	case !errors.Is(err, access.ErrNotFound):
		return r, err
	}
	if l.Open() {
		r.NextLook, r.NextLookWhy = b.next(l.Request)
	}
	return r, nil
}

// next tells when the request is looked at again whatever happens, and why: at a moment that it was put off to, or
// with all others after the next list.
func (b board) next(id access.RequestID) (time.Time, string) {
	at, why := b.queue.Next(id)
	listed := b.watcher.Status().LastResync
	if all := listed.Add(watch.ResyncEvery); !listed.IsZero() && (at.IsZero() || all.Before(at)) {
		return all, access.CauseTimer
	}
	return at, why
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
