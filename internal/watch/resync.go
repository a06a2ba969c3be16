package watch

import (
	"context"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

// ResyncEvery bounds the time that a lost hint costs (spec §2).
const ResyncEvery = 5 * time.Minute

// resyncs lists all requests after each watch opened and on a timer, also while no watch can be opened,
// until ctx ends. A list that fails beside an open watch is tried again without ending the watch.
func (w *Watcher) resyncs(ctx context.Context, sessions <-chan context.Context) {
	session, end := context.WithCancel(ctx)
	end() // none yet
	var pauses backoff
	failures := failureLog{log: w.log}
	cause := access.CauseTimer
	hinted := w.named()
	due := time.NewTimer(ResyncEvery)
	defer due.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case session = <-sessions:
			w.readRules(ctx)
			cause = w.openingCause()
			pauses.reset()
		case <-due.C:
		}

		err := w.resync(ctx, session, cause)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			failures.forget()
			pauses.reset()
			cause, hinted = access.CauseTimer, w.named()
			due.Reset(ResyncEvery)
			continue
		}
		if time.Since(hinted) >= ResyncEvery {
			w.Remind(ctx, access.CauseTimer)
			hinted = w.named()
		}
		if session.Err() != nil { // the next watch lists at once
			due.Reset(time.Until(hinted.Add(ResyncEvery)))
			continue
		}
		failures.report("Listing access requests failed", err)
		pause := pauses.next()
		if access.IsPermanent(err) {
			pause = deniedPause
		}
		due.Reset(pause)
	}
}

// named notes that everything pending was named just now, and gives the moment.
func (w *Watcher) named() time.Time {
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.nextRound = now.Add(ResyncEvery)
	return now
}

// rulesFirst is how long the list after a watch opened waits for the rules, so that what was requested
// while no watch was open meets the rules of today. Rules that take longer hold nobody up.
const rulesFirst = time.Second

func (w *Watcher) readRules(ctx context.Context) {
	select {
	case <-w.rules():
	case <-ctx.Done():
	case <-time.After(rulesFirst):
	}
}

// openingCause says why the list after a watch opened is made.
func (w *Watcher) openingCause() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.lastResync.IsZero() {
		return access.CauseStart
	}
	return access.CauseReconnect
}

// resync lists all requests once and hints what has to be looked at. Only a list during which the watch
// of session was open the whole time proves that what it lacks is gone.
func (w *Watcher) resync(ctx, session context.Context, cause string) error {
	watched := session.Err() == nil
	if watched {
		ctx = session
	}
	// Read before the list: what is linked by now, the list must show or it is gone.
	links := w.links(ctx)
	since := w.mark()
	requests, err := w.src.List(ctx)
	if err != nil {
		return err
	}
	w.pass(w.merge(list{since, requests, links, watched && session.Err() == nil, cause}))
	return nil
}

func (w *Watcher) mark() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.roster.learnt
}

func (w *Watcher) merge(l list) []hinted {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lastResync = time.Now()
	return w.roster.merge(l)
}

// Remind hints what is known to be pending or unfinished, without asking Teleport.
func (w *Watcher) Remind(ctx context.Context, cause string) {
	w.mu.Lock()
	var h hints
	h.add(cause, w.roster.pending()...)
	w.mu.Unlock()
	h.add(cause, w.links(ctx)...)
	w.pass(h.list)
}

func (w *Watcher) pass(list []hinted) {
	for _, h := range list {
		w.hint(h.id, h.cause)
	}
}

// links gives the requests with an unfinished link. A store that cannot tell holds nothing up.
func (w *Watcher) links(ctx context.Context) []access.RequestID {
	ids, err := w.open(ctx)
	if err != nil && ctx.Err() == nil {
		w.log.Error("Reading unfinished links failed", "error", err)
	}
	return ids
}
