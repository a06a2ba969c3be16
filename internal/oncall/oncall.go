// Package oncall asks PagerDuty once for all pending requests who is on call, and brings back those whose
// requester has come on call since the last look: overrides and edited schedules send no webhook (spec §5).
// It only says where to look; nobody is approved by its answers.
package oncall

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
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
	// Schedule gives a schedule by "id:" and ID with the shifts that cover now.
	Schedule(ctx context.Context, ref string, until time.Time) (access.Schedule, time.Time, error)
}

// Poller asks at an interval while, and only while, a pending request could change by the answer.
type Poller struct {
	pending   Pending
	directory Directory
	interval  func() time.Duration // policy.oncall_poll_interval, read before each wait
	hint      func(id access.RequestID, cause string)
	log       *slog.Logger

	posts  map[access.RequestID][]string // where each requester stood at the last poll
	failed string                        // text of the last failure, "" after a success
	due    atomic.Pointer[time.Time]     // of the next poll; nil before Run
}

// New builds a Poller.
func New(pending Pending, directory Directory, interval func() time.Duration, hint func(access.RequestID, string), log *slog.Logger) *Poller {
	return &Poller{pending: pending, directory: directory, interval: interval, hint: hint, log: log, posts: map[access.RequestID][]string{}}
}

// Run polls until the context ends.
func (p *Poller) Run(ctx context.Context) error {
	timer := time.NewTimer(p.next(time.Time{}))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		notBefore, err := p.poll(ctx)
		switch {
		case err == nil:
			p.failed = ""
		case ctx.Err() == nil && err.Error() != p.failed:
			p.failed = err.Error()
			p.log.Warn("Polling who is on call is put off", "error", err)
		}
		timer.Reset(p.next(notBefore))
	}
}

// next tells how long to wait for the next poll, which cannot work before notBefore.
func (p *Poller) next(notBefore time.Time) time.Duration {
	wait := max(p.interval(), time.Until(notBefore))
	due := time.Now().Add(wait)
	p.due.Store(&due)
	return wait
}

// Next tells when a poll asks for the request; zero when none does. One that is under way was due a moment ago.
func (p *Poller) Next(l access.Link) time.Time {
	due := p.due.Load()
	if due == nil || !waits(l) {
		return time.Time{}
	}
	return *due
}

// poll brings back the requests whose requester has come on call, or at another level. Where that could not be told, the answer of
// the last poll holds. Before notBefore another poll cannot work.
func (p *Poller) poll(ctx context.Context) (notBefore time.Time, err error) {
	links, err := p.pending.OpenLinks(ctx)
	if err != nil {
		return time.Time{}, fmt.Errorf("listing pending requests: %w", err)
	}
	links = slices.DeleteFunc(links, func(l access.Link) bool { return !waits(l) })
	found := ask(ctx, p.directory, links)
	before := p.posts
	p.posts = map[access.RequestID][]string{}
	for _, l := range links {
		now := found.posts(l)
		if slices.ContainsFunc(now, func(post string) bool { return !slices.Contains(before[l.Request], post) }) {
			p.hint(l.Request, access.CausePoll)
		}
		if found.incompleteFor(l) {
			now = append(now, before[l.Request]...)
			slices.Sort(now)
			now = slices.Compact(now)
		}
		p.posts[l.Request] = now
	}
	return found.notBefore, errors.Join(found.errs...)
}
