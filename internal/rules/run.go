package rules

import (
	"context"
	"errors"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

const (
	// readEvery bounds the time that a change costs which nobody told of.
	readEvery = 5 * time.Minute
	// restAfter keeps a flood of changes from becoming a flood of lists.
	restAfter = time.Second
	// Bounds of the pauses after failures that may go away by themselves.
	firstPause   = time.Second
	longestPause = time.Minute
)

// Refresh asks Run to read the rules again. The channel is closed when that is over, with or without success.
func (b *Book) Refresh() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.awaits == nil {
		b.awaits = make(chan struct{})
	}
	select {
	case b.wanted <- struct{}{}:
	default:
	}
	return b.awaits
}

// Run reads the rules when asked to and every five minutes until ctx ends, which is the only way it ends.
func (b *Book) Run(ctx context.Context) error {
	reader := reader{Book: b}
	due := time.NewTimer(readEvery)
	defer due.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-b.wanted:
		case <-due.C:
		}
		over := b.begin()
		next := reader.read(ctx)
		close(over)
		due.Reset(next)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(restAfter):
		}
	}
}

// begin gives the channel of those who wait for the read that begins now. Who asks from now on waits for the
// one after.
func (b *Book) begin() chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	over := b.awaits
	b.awaits = nil
	if over == nil {
		over = make(chan struct{})
	}
	return over
}

// reader reads the rules and remembers how that went.
type reader struct {
	*Book
	pause time.Duration
	said  string // the failure that was logged last; "" after a success
}

// read puts in force what the source has and gives the time until the next read. While the rules cannot be
// read for a moment those in force stay; where only somebody's action can change that, annotations hold.
func (r *reader) read(ctx context.Context) time.Duration {
	rules, err := r.src.ListRules(ctx)
	if ctx.Err() != nil {
		return readEvery
	}
	r.tell(err)
	if err != nil && !access.IsPermanent(err) {
		r.pause = min(max(2*r.pause, firstPause), longestPause)
		return r.pause
	}
	if err != nil {
		rules = nil
	}
	if r.Set(rules) {
		r.log.Info("Access Monitoring Rules have changed", "rules", len(rules))
		r.changed(ctx)
	}
	r.pause = 0
	return readEvery
}

// tell logs a failure once, and again when its text changes.
func (r *reader) tell(err error) {
	if err == nil {
		r.said = ""
		return
	}
	if r.said == err.Error() {
		return
	}
	r.said = err.Error()
	switch {
	case errors.Is(err, access.ErrDenied):
		r.log.Warn("Access Monitoring Rules may not be read: annotations alone name the services to notify",
			"error", err, "hint", "the role of pdhook's Teleport user needs the rule access_monitoring_rule: [list, read]")
	case access.IsPermanent(err):
		r.log.Warn("Access Monitoring Rules cannot be read: annotations alone name the services to notify", "error", err)
	default:
		r.log.Warn("Reading Access Monitoring Rules failed, those known stay in force", "error", err)
	}
}
