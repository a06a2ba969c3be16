package pagerduty

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// How many calls have a place at once, at most. The less urgent ones leave room for approvals, which so never
// wait for an answer to something else.
const (
	mostCalls  = 64
	firstCalls = 4 // after an outage; each answer makes room for one more

	// longestPlace is how long a call keeps its place: one that hangs must not keep out those that PagerDuty answers.
	longestPlace = 2 * time.Second
)

// gate lets calls go to PagerDuty: the most urgent first, those that are equally urgent in the order in which
// they came, and so many at once that PagerDuty can answer them. After an outage it opens by and by, so that
// all that has waited does not meet a PagerDuty that has just come back.
type gate struct {
	mu      sync.Mutex
	width   int // calls that may be under way at once
	inside  int // calls that are
	waiting [Background + 1][]chan struct{}
}

func newGate() *gate { return &gate{width: mostCalls} }

// room is how many calls may be under way when one of priority p joins them.
func (g *gate) room(p Priority) int {
	switch p {
	case Background:
		return max(1, g.width/4)
	case Creation:
		return max(1, g.width/2)
	}
	return g.width
}

// enter waits until the call may go; leave ends it. An error says that the caller gave up before.
func (g *gate) enter(ctx context.Context, p Priority) error {
	turn := make(chan struct{})
	g.mu.Lock()
	g.waiting[p] = append(g.waiting[p], turn)
	g.wave()
	g.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
	}
	g.giveUp(p, turn)
	return fmt.Errorf("%w: %w", errNotSent, context.Cause(ctx))
}

// giveUp ends the wait of a caller, or the call that was let in at the same moment.
func (g *gate) giveUp(p Priority, turn chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if at := slices.Index(g.waiting[p], turn); at >= 0 {
		g.waiting[p] = slices.Delete(g.waiting[p], at, at+1)
	} else {
		g.inside--
	}
	g.wave()
}

// leave ends a call.
func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside--
	g.wave()
}

// wave lets in who may go now.
func (g *gate) wave() {
	for p := range g.waiting {
		for len(g.waiting[p]) > 0 {
			if g.inside >= g.room(Priority(p)) {
				return
			}
			close(g.waiting[p][0])
			g.waiting[p] = g.waiting[p][1:]
			g.inside++
		}
	}
}

// widen makes room for one more call, because PagerDuty has answered one.
func (g *gate) widen() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.width = min(g.width+1, mostCalls)
	g.wave()
}

// narrow begins anew, because PagerDuty does not answer.
func (g *gate) narrow() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.width = firstCalls
}
