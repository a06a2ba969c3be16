// Package oncall asks PagerDuty once for all pending requests who is on call, and brings back those whose
// requester has come on call since the last look: overrides and edited schedules send no webhook (spec §5).
// It only says where to look; nobody is approved by its answers.
package oncall

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

// Pending gives the requests that may be waiting for a shift.
type Pending interface {
	OpenLinks(ctx context.Context) ([]access.Link, error)
}

// Directory answers who is on call. A poll uses no more of PagerDuty's call budget than approvals leave.
type Directory interface {
	OnCalls(ctx context.Context, q access.OnCallQuery) ([]access.OnCall, time.Time, error)
}

// Poller asks at an interval while, and only while, a pending request could change by the answer.
type Poller struct {
	pending   Pending
	directory Directory
	interval  func() time.Duration // policy.oncall_poll_interval, read before each wait
	hint      func(id access.RequestID, cause string)
	log       *slog.Logger

	onCall map[access.RequestID]bool // those whose requester was on call at the last poll
	failed string                    // text of the last failure, "" after a success
}

// New builds a Poller.
func New(pending Pending, directory Directory, interval func() time.Duration, hint func(access.RequestID, string), log *slog.Logger) *Poller {
	return &Poller{pending: pending, directory: directory, interval: interval, hint: hint, log: log, onCall: map[access.RequestID]bool{}}
}

// Run polls until the context ends.
func (p *Poller) Run(ctx context.Context) error {
	timer := time.NewTimer(p.interval())
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		if err := p.poll(ctx); err != nil && ctx.Err() == nil && err.Error() != p.failed {
			p.failed = err.Error()
			p.log.Warn("Polling who is on call is put off", "error", err)
		} else if err == nil {
			p.failed = ""
		}
		timer.Reset(p.interval())
	}
}

func (p *Poller) poll(ctx context.Context) error {
	links, err := p.pending.OpenLinks(ctx)
	if err != nil {
		return fmt.Errorf("listing pending requests: %w", err)
	}
	links = slices.DeleteFunc(links, func(l access.Link) bool {
		return l.State != access.Pending || l.Reviewed || l.Named.User == "" || len(l.Named.Policies) == 0
	})
	if len(links) == 0 {
		clear(p.onCall)
		return nil
	}
	entries, now, err := p.directory.OnCalls(ctx, question(links))
	if err != nil {
		return fmt.Errorf("asking who is on call: %w", err)
	}
	before := p.onCall
	p.onCall = map[access.RequestID]bool{}
	for _, l := range links {
		if !onCall(l, entries, now) {
			continue
		}
		p.onCall[l.Request] = true
		if !before[l.Request] {
			p.hint(l.Request, access.CausePoll)
		}
	}
	return nil
}

// question puts all links into one query.
func question(links []access.Link) access.OnCallQuery {
	users, policies := map[access.UserID]bool{}, map[access.PolicyID]bool{}
	for _, l := range links {
		users[l.Named.User] = true
		for _, id := range l.Named.Policies {
			policies[id] = true
		}
	}
	return access.OnCallQuery{Users: slices.Sorted(maps.Keys(users)), Policies: slices.Sorted(maps.Keys(policies))}
}

func onCall(l access.Link, entries []access.OnCall, now time.Time) bool {
	return slices.ContainsFunc(entries, func(e access.OnCall) bool {
		return e.User.ID == l.Named.User && slices.Contains(l.Named.Policies, e.Policy) && e.At(now)
	})
}
