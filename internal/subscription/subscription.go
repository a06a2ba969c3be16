// Package subscription makes the webhook subscription that brings PagerDuty's events here, and looks after it.
//
// Subscribe, which a person calls, promises that a signing secret is on disk before anything is signed with it, that
// none is given up while PagerDuty may still sign with it, and that it leaves one subscription or what there was.
//
// The Keeper, beside the running service, promises that a subscription which PagerDuty switched off after dropped
// deliveries is switched on again at the next look, that pending requests are looked at again where events may have
// been lost, and that what only people can mend is told once. It changes nothing else of a subscription.
package subscription

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

const (
	lookEvery  = 5 * time.Minute
	retryEvery = 30 * time.Second // after a failure that may pass
	echoWithin = 5 * time.Minute  // what pdhook did comes back as a webhook within seconds; then it is overdue

	// TestEvent is the type of event that comes when somebody asks PagerDuty for it.
	TestEvent = "pagey.ping"

	maxHeard = 64 // subscriptions that may deliver here; PagerDuty allows 10 for each service, team and the account
)

// Source is PagerDuty.
type Source interface {
	// Subscriptions lists what the key may see; access.ErrDenied when it may see none.
	Subscriptions(ctx context.Context) ([]access.Subscription, error)
	// EnableSubscription ends what PagerDuty began when it had to drop deliveries. Doing it again is harmless.
	EnableSubscription(ctx context.Context, id access.SubscriptionID) error
}

// Config is what a Keeper needs. Every field is required.
type Config struct {
	Source     Source
	Path       string                // webhook.path: what the URL of the subscription leads to
	EventTypes []string              // that pdhook uses
	DryRun     func() bool           // as of now: nothing is enabled while it is true
	Lost       func(context.Context) // brings pending requests back: events may have been lost
	Log        *slog.Logger
}

// Keeper looks after the subscription. Its methods may be called from several goroutines.
type Keeper struct {
	cfg   Config
	asked chan struct{} // holds a token when a look is wanted at once

	mu      sync.Mutex
	heard   map[access.SubscriptionID]bool // that delivered here, correctly signed; at most maxHeard
	awaited echo                           // the oldest that has not come
	lastOwn time.Time                      // when an event on an incident of pdhook's own was accepted last
	silent  bool                           // awaited is overdue, and that was told
	status  Status

	// Of Run alone.
	disabled map[access.SubscriptionID]bool // as last seen; bounded by what PagerDuty lists
	said     string
}

// echo is the webhook that has to come because of what pdhook did to an incident of its own.
type echo struct {
	incident access.IncidentID // "": nothing is awaited
	since    time.Time
}

// Status is how the subscription fares, for people. With several, it is the first that has a problem.
type Status struct {
	ID       access.SubscriptionID // "": none was found
	URL      string                // without anything that may be a secret
	Active   bool
	Disabled bool      // by PagerDuty
	Missing  []string  // event types that pdhook uses and the subscription does not ask for
	Problem  string    // "": none
	Known    bool      // the latest look could tell whether there is a problem
	LastLook time.Time // at which PagerDuty's answer was complete; zero: none yet
}

// New makes a Keeper. It calls nobody.
func New(cfg Config) *Keeper {
	return &Keeper{
		cfg: cfg, asked: make(chan struct{}, 1),
		heard: map[access.SubscriptionID]bool{}, disabled: map[access.SubscriptionID]bool{},
	}
}

// Run looks at once, every five minutes and when asked, until ctx ends.
func (k *Keeper) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		k.wait(ctx, k.look(ctx))
	}
	return nil
}

func (k *Keeper) wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-k.asked:
	}
}

// Look asks for a look at once.
func (k *Keeper) Look() {
	select {
	case k.asked <- struct{}{}:
	default: // asked already
	}
}

// Status tells how the subscription fares.
func (k *Keeper) Status() Status {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.status
}

// Accepted takes note of a new event that was correctly signed. It does not block.
func (k *Keeper) Accepted(e access.Event) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if e.Subscription != "" && len(k.heard) < maxHeard {
		k.heard[e.Subscription] = true
	}
	if e.Type == TestEvent {
		k.Look() // somebody has changed something, and tries it
	}
	if _, own := access.RequestOfKey(e.IncidentKey); !own {
		return
	}
	k.awaited, k.lastOwn = echo{}, time.Now()
	if k.silent {
		k.Look() // which tells that it is over
	}
}

// Wrote takes note that pdhook opened or resolved an incident by a call that began at since. PagerDuty has to send
// an event of it. Only our own clock counts here, which both moments are told by.
func (k *Keeper) Wrote(incident access.IncidentID, since time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.awaited.incident == "" && k.lastOwn.Before(since) { // else the event overtook PagerDuty's answer
		k.awaited = echo{incident, since}
	}
}

// overdue gives the incident of which no event came in time, "" when none is awaited any longer than that.
// unless drops what is awaited: it cannot come.
func (k *Keeper) overdue(unless bool) access.IncidentID {
	k.mu.Lock()
	defer k.mu.Unlock()
	if unless {
		k.awaited = echo{}
	}
	if k.awaited.incident == "" || time.Since(k.awaited.since) < echoWithin {
		return ""
	}
	return k.awaited.incident
}
