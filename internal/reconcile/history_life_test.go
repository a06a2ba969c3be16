package reconcile

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/internal/policy"
)

// life is one process of pdhook: its queue and workers, its store, and what its sources know. Once dead, all it does
// fails without effect, until it is stopped and another takes its place.
type life struct {
	run     *run
	name    string
	store   *memory
	queue   *Queue
	answers map[string]any // of its directory
	seen    map[access.RequestID]sighting
	dice    *rand.Rand
	dead    bool // guarded by the world's lock, as all above
	died    chan struct{}
	told    chan struct{} // closed when it is to finish what it is at, and end
	stop    context.CancelFunc
	stopped chan struct{}
}

// sighting is what the watch knows of a request.
type sighting struct {
	user    string
	state   access.State
	reviews int
	gone    bool
}

const (
	reminders = 5 * time.Minute // as package watch has it
	grace     = time.Second     // for what is under way when a process is told to end: some of it is cut off
)

// start starts a process on a store.
func (r *run) start(name string, store *memory) *life {
	l := &life{run: r, name: name, store: store, answers: map[string]any{}, seen: map[access.RequestID]sighting{},
		died: make(chan struct{}), told: make(chan struct{}), stopped: make(chan struct{})}
	w := r.w
	l.dice = rand.New(rand.NewPCG(uint64(name[0]), uint64(len(name))))
	l.queue = NewQueue(l.User, w.logger)
	l.queue.random = l.random // so that the same history is told in the same way again
	reconciler := New(Config{
		Requests: teleport{w}, Presence: l, Directory: directory{w, l.answers}, Incidents: pagerduty{w},
		Links: disk{l, links{w, store}}, Replica: name,
		Rules: r.rules, Routes: l,
		Log: w.logger.With("replica", name),
	})
	ctx, stop := context.WithCancel(r.over)
	l.stop = stop
	go func() {
		defer close(l.stopped)
		_ = l.queue.Run(ctx, 4, grace, func(ctx context.Context, id access.RequestID, cause string) (Result, error) {
			return reconciler.Reconcile(context.WithValue(ctx, callerKey{}, caller{l, id}), id, cause)
		})
	}()
	l.resync(access.CauseStart)
	for _, id := range l.waiting() {
		l.queue.Wake(id, "webhook")
	}
	return l
}

// rules are those of the moment.
func (r *run) rules() policy.Rules {
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	return r.h.rules
}

// random draws a delay, each process by dice of its own.
func (l *life) random(below time.Duration) time.Duration {
	l.run.w.mu.Lock()
	defer l.run.w.mu.Unlock()
	return time.Duration(l.dice.Int64N(int64(below)))
}

// keep keeps a replica running: it reminds, and where its process dies an heir starts.
func (r *run) keep(slot int) {
	remind := time.NewTimer(reminders)
	defer remind.Stop()
	l := r.life(slot)
	for {
		select {
		case <-r.over.Done():
			l.end()
			return
		case <-remind.C:
			r.w.mu.Lock()
			late := r.late
			r.w.mu.Unlock()
			time.Sleep(late)
			l.resync(access.CauseTimer)
		case <-l.told:
			l.end()
			if l = r.follow(l, slot); l == nil {
				return
			}
		case <-l.died:
			l.end()
			if l = r.follow(l, slot); l == nil {
				return
			}
		}
		remind.Reset(reminders)
	}
}

// follow lets the heir of a process that has ended take its place; nil when the history is over.
func (r *run) follow(l *life, slot int) *life {
	r.w.mu.Lock()
	l.dead = true
	r.w.mu.Unlock()
	h := r.heir()
	time.Sleep(h.after)
	if l = r.born(l, h); l == nil {
		return nil
	}
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	r.living[slot] = l
	return l
}

// heir gives how the process that died is followed.
func (r *run) heir() heir {
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	if len(r.heirs) == 0 {
		return heir{after: time.Second}
	}
	h := r.heirs[0]
	r.heirs = r.heirs[1:]
	return h
}

// born starts the heir of a dead process; nil when the history is over.
func (r *run) born(dead *life, h heir) *life {
	if r.over.Err() != nil {
		return nil
	}
	name, store := dead.name, dead.store
	if h.empty {
		r.w.mu.Lock()
		r.births++
		r.forgotten()
		name, store = fmt.Sprintf("%c%d", name[0], r.births), newMemory()
		r.w.mu.Unlock()
	}
	return r.start(name, store)
}

// die kills the process, as kill -9 does. It is called with the world locked.
func (l *life) die() {
	if !l.dead {
		l.dead, l.run.killed = true, true
		close(l.died)
	}
}

// sigterm asks the process to end.
func (l *life) sigterm() {
	l.run.w.mu.Lock()
	defer l.run.w.mu.Unlock()
	select {
	case <-l.told:
	default:
		close(l.told)
	}
}

func (l *life) end() {
	l.stop()
	<-l.stopped
}

// wait lets time pass in a call.
func (l *life) wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	case <-l.died:
		return errDead
	}
}

// hear takes a hint as the source does that it came by.
func (l *life) hear(h hint) {
	switch h.source {
	case "watch":
		l.see(h.request, h.cause)
	case "webhook":
		l.accept(h.event)
	case "poll":
		l.poll(h.user)
	case "list":
		l.resync(access.CauseReconnect)
	case "rules":
		l.resync(access.CauseRules)
	case "reload":
		l.resync(access.CauseReload)
	}
}

// see is a change that the watch reports. While Teleport is away no watch is open.
func (l *life) see(id access.RequestID, cause string) {
	w := l.run.w
	w.mu.Lock()
	deaf := l.dead || l.run.away("Teleport")
	if !deaf {
		l.sight(id)
	}
	w.mu.Unlock()
	if !deaf {
		l.queue.Add(id, cause)
	}
}

// sight enters what Teleport shows of a request, and reports whether it is news.
func (l *life) sight(id access.RequestID) bool {
	before := l.seen[id]
	now := sighting{user: before.user, state: before.state, reviews: before.reviews, gone: true}
	if req := l.run.w.requests[id]; l.run.shown(id) {
		now = sighting{user: req.User, state: req.State, reviews: len(req.Reviews)}
	}
	l.seen[id] = now
	return now != before
}

// resync lists all requests and hints what is pending, changed, gone or unfinished. While Teleport is away it hints what
// is known.
func (l *life) resync(cause string) {
	w := l.run.w
	w.mu.Lock()
	if l.dead {
		w.mu.Unlock()
		return
	}
	ids := map[access.RequestID]string{}
	for id, link := range l.store.links {
		if link.Open() {
			ids[id] = cause
		}
	}
	if !l.run.away("Teleport") {
		for id := range l.run.made {
			_, known := l.seen[id]
			if (known || l.run.shown(id) || ids[id] != "") && l.sight(id) {
				ids[id] = cause
			}
		}
	}
	for id, s := range l.seen {
		if s.state == access.Pending && !s.gone {
			ids[id] = cause
		}
	}
	w.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(ids)) {
		l.queue.Add(id, ids[id])
	}
}

// accept is a webhook: on disk first, then dispatched.
func (l *life) accept(e access.Event) {
	w := l.run.w
	w.mu.Lock()
	if l.dead {
		w.mu.Unlock()
		return
	}
	clear(l.answers)
	l.run.events++
	e.ID = access.EventID(fmt.Sprintf("E%d", l.run.events))
	l.store.received[e.ID] = time.Now()
	concerned := l.concerned(e)
	for _, id := range concerned {
		l.store.events[id] = append(l.store.events[id], e.ID)
	}
	w.mu.Unlock()
	for _, id := range concerned {
		l.queue.Wake(id, "webhook "+e.Type)
	}
}

// concerned gives the requests that an event may touch, as package webhook finds them.
func (l *life) concerned(e access.Event) []access.RequestID {
	ids := map[access.RequestID]bool{}
	own, ours := access.RequestOfKey(e.IncidentKey)
	if ours {
		ids[own] = e.Type != "incident.triggered"
	}
	for id, link := range l.store.links {
		linked := slices.ContainsFunc(link.Incidents, func(i access.LinkedIncident) bool {
			return slices.Contains(e.Incidents, i.ID) || i.MergedInto != "" && slices.Contains(e.Incidents, i.MergedInto)
		})
		named := !ours && link.State == access.Pending &&
			(slices.Contains(link.Named.Services, e.Service) || e.ServiceName != "" && slices.Contains(link.Named.ServiceNames, e.ServiceName))
		ids[id] = ids[id] || linked || named
	}
	maps.DeleteFunc(ids, func(_ access.RequestID, concerned bool) bool { return !concerned })
	return slices.Sorted(maps.Keys(ids))
}

// waiting gives the requests that events wait for.
func (l *life) waiting() []access.RequestID {
	l.run.w.mu.Lock()
	defer l.run.w.mu.Unlock()
	var ids []access.RequestID
	for id, events := range l.store.events {
		if len(events) > 0 {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// poll has found that somebody's duty changed.
func (l *life) poll(user string) {
	w := l.run.w
	w.mu.Lock()
	var ids []access.RequestID
	if !l.dead && !l.run.away("PagerDuty") {
		clear(l.answers)
		for id, link := range l.store.links {
			if link.User == user && link.Open() {
				ids = append(ids, id)
			}
		}
	}
	w.mu.Unlock()
	slices.Sort(ids)
	for _, id := range ids {
		l.queue.Add(id, access.CausePoll)
	}
}

// Gone and User make the life the Presence of its reconciler.
func (l *life) Gone(id access.RequestID) bool {
	l.run.w.mu.Lock()
	defer l.run.w.mu.Unlock()
	return l.seen[id].gone
}

func (l *life) User(id access.RequestID) string {
	l.run.w.mu.Lock()
	defer l.run.w.mu.Unlock()
	return l.seen[id].user
}

// Services makes it the Routes of its reconciler, which rules decide.
func (l *life) Services(access.Request) []string {
	l.run.w.mu.Lock()
	defer l.run.w.mu.Unlock()
	return l.run.named
}
