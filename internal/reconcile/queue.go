package reconcile

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"k8s.io/client-go/util/workqueue"

	"github.com/pdhook/pdhook/internal/access"
)

// Work queue timing.
const (
	// WakeEvery is how often webhooks make one request be looked at; the last hint always counts (spec §2).
	WakeEvery = 2 * time.Second

	firstRetry = 500 * time.Millisecond
	lastRetry  = time.Minute     // back-off of one request that fails for reasons that pass
	slowRetry  = 5 * time.Minute // for reasons that only an admin can mend

	firstPurge = 1024
)

// Queue holds the IDs of requests to look at: each once, never in two hands at once, a change meanwhile
// brings it back once. It is client-go's work queue with fairness by requester, back-off per request, the
// remote side's "not before", and the throttle for webhooks on top.
type Queue struct {
	queue   workqueue.TypedRateLimitingInterface[access.RequestID]
	backoff workqueue.TypedRateLimiter[access.RequestID] // for failures that pass
	lasting workqueue.TypedRateLimiter[access.RequestID] // for those that only somebody's action ends
	owner   func(access.RequestID) string
	log     *slog.Logger
	now     func() time.Time
	random  func(below time.Duration) time.Duration

	mu       sync.Mutex // taken under the work queue's lock, never the other way round
	of       map[access.RequestID]*ticket
	purgeAt  int // tickets in of that make it worth looking for idle ones
	draining bool
}

// ticket is what the queue remembers of one request.
type ticket struct {
	user    string
	cause   string    // of the latest hint
	since   time.Time // waiting since; zero: not waiting
	looked  time.Time // start of the latest pass
	failing string    // text of the last error; "" after a success
	due     time.Time // when it comes back by itself, because of putOff; zero: no such moment
	putOff  string
	timer   time.Time // the earliest moment that the delaying queue keeps for it, passed or not
	running string    // cause of the pass under way; "" when there is none
}

// NewQueue builds a queue. owner gives a request's user, whom the queue treats fairly: one user's burst does
// not hold up another's single request.
func NewQueue(owner func(access.RequestID) string, log *slog.Logger) *Queue {
	q := &Queue{
		owner:   owner,
		log:     log,
		now:     time.Now,
		random:  rand.N[time.Duration],
		of:      map[access.RequestID]*ticket{},
		purgeAt: firstPurge,
	}
	q.backoff = jitter{workqueue.NewTypedItemExponentialFailureRateLimiter[access.RequestID](firstRetry, lastRetry), q}
	q.lasting = jitter{workqueue.NewTypedItemExponentialFailureRateLimiter[access.RequestID](firstRetry, slowRetry), q}
	waiting := workqueue.NewTypedWithConfig(workqueue.TypedQueueConfig[access.RequestID]{Queue: newOrder(q.userOf, q.urgent)})
	delaying := workqueue.NewTypedDelayingQueueWithConfig(workqueue.TypedDelayingQueueConfig[access.RequestID]{Queue: waiting})
	q.queue = workqueue.NewTypedRateLimitingQueueWithConfig(q.backoff,
		workqueue.TypedRateLimitingQueueConfig[access.RequestID]{DelayingQueue: delaying})
	return q
}

// urgent reports whether something happened to the request: time alone, or an earlier failure, brings it back
// behind those.
func (q *Queue) urgent(id access.RequestID) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	t := q.of[id]
	return t == nil || !passing(t.cause)
}

// passing reports whether a cause is only time passing.
func passing(cause string) bool {
	switch cause {
	case access.CauseTimer, access.CauseRetry, access.CauseReconnect, access.CauseReload, access.CauseRecovered, access.CauseRules, access.CauseDelivery:
		return true
	}
	return false
}

func (q *Queue) userOf(id access.RequestID) string {
	q.mu.Lock()
	defer q.mu.Unlock()
	if t := q.of[id]; t != nil {
		return t.user
	}
	return ""
}

// Add asks for a look at the request as soon as a worker is free.
func (q *Queue) Add(id access.RequestID, cause string) {
	q.note(id, cause)
	q.queue.Add(id)
}

// Wake is Add for webhooks: at once, then at most every WakeEvery.
func (q *Queue) Wake(id access.RequestID, cause string) {
	t := q.note(id, cause)
	q.queue.AddAfter(id, max(0, WakeEvery-q.now().Sub(t.looked)))
}

// RetryFailing brings back at once every request whose latest look failed, or that is being looked at: what it
// failed for may be over.
func (q *Queue) RetryFailing() {
	var ids []access.RequestID
	q.mu.Lock()
	for id, t := range q.of {
		if t.failing != "" || t.running != "" {
			ids = append(ids, id)
		}
	}
	q.mu.Unlock()
	slices.Sort(ids) // the oldest first: they are UUIDs that begin with the time
	for _, id := range ids {
		q.Add(id, access.CauseRecovered)
	}
}

// note keeps the cause. A later pass of time does not hide a change that still waits; a look that may rest on
// remembered answers hides nothing.
func (q *Queue) note(id access.RequestID, cause string) ticket {
	user := q.owner(id)
	q.mu.Lock()
	defer q.mu.Unlock()
	t := q.of[id]
	if t == nil {
		t = &ticket{}
		q.of[id] = t
	}
	t.user = user
	weak := mayRemember(cause) || cause == access.CausePoll || cause == access.CauseRetry || cause == access.CauseReconnect
	switch {
	case t.since.IsZero(): // a cause kept for later does not count yet
		t.since, t.cause = q.now(), cause
	case !weak || mayRemember(t.cause):
		t.cause = cause
	}
	return *t
}

// Run looks at requests with the given number of workers until the context ends. A pass whose urgent part is
// over goes on beside them. Passes that run by then get grace to finish.
func (q *Queue) Run(ctx context.Context, workers int, grace time.Duration, look func(ctx context.Context, id access.RequestID, cause string) (Result, error)) error {
	passes, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	c := &crew{queue: q, look: look, beside: make(chan struct{}, mostBeside)}
	for range workers {
		c.passes.Go(func() { c.work(passes) })
	}
	<-ctx.Done()
	q.mu.Lock()
	q.draining = true
	q.mu.Unlock()
	q.queue.ShutDown()
	stop := time.AfterFunc(grace, cancel)
	defer stop.Stop()
	c.passes.Wait()
	return nil
}

// one takes a request and looks at it; false when the queue is shut down.
func (q *Queue) one(ctx context.Context, look func(context.Context, access.RequestID, string) (Result, error)) bool {
	id, shutdown := q.queue.Get()
	if shutdown {
		return false
	}
	defer q.queue.Done(id)
	cause, due := q.begin(id)
	if !due {
		return true
	}
	result, err := attempt(ctx, id, cause, look)
	q.end(id, result, err)
	return true
}

// begin gives the cause of the look that is due now.
func (q *Queue) begin(id access.RequestID) (cause string, due bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	t := q.of[id]
	switch {
	case q.draining: // what still waits is found again at the next start
		return "", false
	case t == nil: // forgotten since the look was put off
		t = &ticket{cause: access.CauseTimer}
		q.of[id] = t
	case t.cause == "": // the delayed copy of a hint that is served already
		return "", false
	}
	cause, t.cause = t.cause, ""
	t.since, t.looked, t.running = time.Time{}, q.now(), cause
	t.due, t.putOff = time.Time{}, ""
	return cause, true
}

// end brings the request back when it has to be looked at again, and logs a failure when its text is new.
func (q *Queue) end(id access.RequestID, result Result, err error) {
	q.mu.Lock()
	t := q.of[id]
	t.running = ""
	text := ""
	if err != nil {
		text = err.Error()
	}
	isNew := text != "" && text != t.failing
	t.failing = text
	q.purge()
	q.mu.Unlock()
	if mistake, is := errors.AsType[*panicked](err); is && isNew {
		q.log.Error("A look at a request panicked, it is tried again", "request_id", id, "error", text, "stack", string(mistake.stack))
	} else if isNew {
		q.log.Warn("A request could not be brought to its end, it is tried again", "request_id", id, "error", text)
	}
	if result.After > 0 { // also beside a failure: the earlier look comes first
		q.later(id, access.CauseShift, result.After)
	}
	switch at := access.NotBefore(err); {
	case err == nil:
		q.backoff.Forget(id)
		q.lasting.Forget(id)
	case at.After(q.now()):
		q.later(id, access.CauseRetry, at.Sub(q.now())+q.random(time.Second))
	case lasting(err): // what looks lasting may be a proxy's passing answer: the first tries come soon
		q.later(id, access.CauseRetry, q.lasting.When(id))
	default:
		q.later(id, access.CauseRetry, q.backoff.When(id))
	}
}

// purge forgets requests that neither wait, nor fail, nor come back by themselves, nor were looked at so lately that a
// webhook must be held back, whenever their number has doubled: memory stays in proportion to the work at hand.
func (q *Queue) purge() {
	if len(q.of) < q.purgeAt {
		return
	}
	for id, t := range q.of {
		if t.since.IsZero() && t.running == "" && t.failing == "" && t.due.IsZero() && q.now().Sub(t.looked) > 2*patience {
			delete(q.of, id)
		}
	}
	q.purgeAt = max(firstPurge, 2*len(q.of))
}

func (q *Queue) later(id access.RequestID, cause string, after time.Duration) {
	q.mu.Lock()
	if t := q.of[id]; t != nil {
		if t.since.IsZero() {
			t.cause = cause
		}
		due := q.now().Add(after)
		if t.timer.After(q.now()) && t.timer.Before(due) {
			due = t.timer // of an earlier look: the delaying queue keeps the first of two moments
		}
		t.timer = due
		if t.due.IsZero() || due.Before(t.due) {
			t.due, t.putOff = due, cause
		}
	}
	q.mu.Unlock()
	q.queue.AddAfter(id, after)
}

// Status is what the queue shows of itself.
type Status struct {
	Depth   int                         // requests that wait for a worker
	Oldest  time.Duration               // how long the longest of them has waited
	Failing map[access.RequestID]string // requests that are tried again, with the last error
}

// Status gives the queue's state now.
func (q *Queue) Status() Status {
	s := Status{Depth: q.queue.Len(), Failing: map[access.RequestID]string{}}
	q.mu.Lock()
	defer q.mu.Unlock()
	for id, t := range q.of {
		if !t.since.IsZero() {
			s.Oldest = max(s.Oldest, q.now().Sub(t.since))
		}
		if t.failing != "" {
			s.Failing[id] = t.failing
		}
	}
	return s
}

// Outlook is what the queue knows of one request.
type Outlook struct {
	Looked  time.Time // start of the latest pass; zero: none that is remembered
	Next    time.Time // when it comes back by itself: now while it waits or is looked at; zero: only by hints
	Cause   string    // of that look, one of access.Cause…
	Failing string    // why the latest pass did not come to its end; "" when it did
}

// Outlook tells when a request was looked at and when it will be.
func (q *Queue) Outlook(id access.RequestID) Outlook {
	q.mu.Lock()
	defer q.mu.Unlock()
	t := q.of[id]
	if t == nil {
		return Outlook{}
	}
	o := Outlook{Looked: t.looked, Failing: t.failing}
	switch {
	case t.running != "":
		o.Next, o.Cause = q.now(), t.running
	case !t.since.IsZero():
		o.Next, o.Cause = q.now(), t.cause
	case !t.due.IsZero():
		o.Next, o.Cause = t.due, t.putOff
	}
	return o
}

// jitter spreads retries, so that what failed together does not come back together.
type jitter struct {
	workqueue.TypedRateLimiter[access.RequestID]
	queue *Queue
}

// When gives the next delay of the request, up to a quarter longer.
func (j jitter) When(id access.RequestID) time.Duration {
	d := max(j.TypedRateLimiter.When(id), 0)
	return d + j.queue.random(d/4+time.Millisecond)
}
