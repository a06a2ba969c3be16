// Package directory remembers for a while what PagerDuty said of people, duty and open incidents, and lets
// those who ask the same at the same time share one question. Every answer carries the time at which it was
// asked for, and the caller says how old it may be: a remembered answer may delay an access, it never grants
// one (spec §2).
package directory

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

// Source answers from PagerDuty itself.
type Source interface {
	User(ctx context.Context, email string) (access.User, error)
	Service(ctx context.Context, ref string) (access.Service, error)
	Schedule(ctx context.Context, ref string, until time.Time) (access.Schedule, time.Time, error)
	OnCalls(ctx context.Context, q access.OnCallQuery) ([]access.OnCall, time.Time, error)
	OnDuty(ctx context.Context, policy access.PolicyID) ([]access.OnCall, time.Time, error)
	OpenIncidents(ctx context.Context, services []access.ServiceID) ([]access.Incident, error)
}

// Directory answers questions. It may be used by several goroutines at once; its answers are shared and must
// not be changed. An answer was asked for at since or later, by our clock; ReadAt says when.
type Directory struct {
	source    Source
	users     memory[access.User]
	services  memory[access.Service]
	schedules memory[access.Duty]
	onCalls   memory[access.OnCalls]
	onDuty    memory[access.OnCalls]
	incidents memory[[]access.Incident]
}

// New builds a Directory.
func New(source Source) *Directory {
	return &Directory{
		source:    source,
		users:     memory[access.User]{lasts: people},
		services:  memory[access.Service]{lasts: remembered},
		schedules: memory[access.Duty]{lasts: remembered},
		onCalls:   memory[access.OnCalls]{lasts: remembered},
		onDuty:    memory[access.OnCalls]{lasts: remembered},
		incidents: memory[[]access.Incident]{lasts: remembered},
	}
}

// User gives the user with a login e-mail.
func (d *Directory) User(ctx context.Context, email string, since time.Time) access.Fact[access.User] {
	return d.users.get(ctx, query{key: email, since: since}, func(ctx context.Context) (access.User, error) {
		return d.source.User(ctx, email)
	})
}

// Service gives a service by name or "id:" and ID.
func (d *Directory) Service(ctx context.Context, ref string, since time.Time) access.Fact[access.Service] {
	return d.services.get(ctx, query{key: ref, since: since}, func(ctx context.Context) (access.Service, error) {
		return d.source.Service(ctx, ref)
	})
}

// Schedule gives a schedule by name or "id:" and ID, with its shifts up to until or somewhat later.
func (d *Directory) Schedule(ctx context.Context, ref string, until, since time.Time) access.Fact[access.Duty] {
	until = roundUp(until)
	return d.schedules.get(ctx, query{key: ref, until: until, since: since}, func(ctx context.Context) (access.Duty, error) {
		s, now, err := d.source.Schedule(ctx, ref, until)
		return access.Duty{Schedule: s, Now: now}, err
	})
}

// OnCalls gives the on-call entries of a user up to until or somewhat later.
func (d *Directory) OnCalls(ctx context.Context, user access.UserID, until, since time.Time) access.Fact[access.OnCalls] {
	until = roundUp(until)
	return d.onCalls.get(ctx, query{key: string(user), until: until, since: since}, func(ctx context.Context) (access.OnCalls, error) {
		entries, now, err := d.source.OnCalls(ctx, access.OnCallQuery{Users: []access.UserID{user}, Until: until})
		return access.OnCalls{Entries: entries, Now: now}, err
	})
}

// OnDuty gives who is on call for a policy right now, at every level.
func (d *Directory) OnDuty(ctx context.Context, policy access.PolicyID, since time.Time) access.Fact[access.OnCalls] {
	return d.onDuty.get(ctx, query{key: string(policy), since: since}, func(ctx context.Context) (access.OnCalls, error) {
		entries, now, err := d.source.OnDuty(ctx, policy)
		return access.OnCalls{Entries: entries, Now: now}, err
	})
}

// OpenIncidents gives the open incidents on services.
func (d *Directory) OpenIncidents(ctx context.Context, services []access.ServiceID, since time.Time) access.Fact[[]access.Incident] {
	services = slices.Compact(slices.Sorted(slices.Values(services)))
	var key strings.Builder
	for _, id := range services {
		key.WriteString(string(id) + " ")
	}
	return d.incidents.get(ctx, query{key: key.String(), since: since}, func(ctx context.Context) ([]access.Incident, error) {
		return d.source.OpenIncidents(ctx, services)
	})
}

// Forget drops everything but people, whom neither webhooks nor polls tell of. Who waits for an answer already
// gets it all the same.
func (d *Directory) Forget() {
	d.services.clear()
	d.schedules.clear()
	d.onCalls.clear()
	d.onDuty.clear()
	d.incidents.clear()
}

// ForgetIncidents drops what an event about an incident may have made untrue.
func (d *Directory) ForgetIncidents() { d.incidents.clear() }

// grain is what a look-ahead is rounded up to: requests expire at moments of their own, and what is asked for
// one is to do for the next.
const grain = time.Hour

func roundUp(until time.Time) time.Time {
	if until.IsZero() {
		return until
	}
	return until.Add(grain - 1).Truncate(grain)
}
