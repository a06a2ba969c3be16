package pagerduty

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

// longestGather is how long a call waits for the one under way: longer than PagerDuty usually takes, short
// beside the 10 s in which an approval has to be over.
const longestGather = 200 * time.Millisecond

// gatherer lets those who want the same kind of thing at the same moment share one call. Whoever comes alone is
// served at once; while a call is under way, those who come gather for the next one, which begins when the first
// is over, and in any case soon. So what a caller gets was always asked for after the caller came.
type gatherer[A, K comparable, V any] struct {
	most  int  // keys of one call; 0: any number
	write bool // who gives up waiting does not know whether it was done
	// call asks for keys that have about in common, and gives what it can tell. An error is everybody's.
	call func(ctx context.Context, about A, keys []K) (map[K]V, error)

	mu    sync.Mutex
	lanes map[lane[A]]*traffic[K, V] // those with a call under way or gathering
}

// outcome is what a call tells of one key.
type outcome[V any] struct {
	value V
	err   error
}

// lane keeps apart what must not share a call: no urgent call waits for one that may be held back.
type lane[A comparable] struct {
	priority Priority
	about    A
}

// traffic is what happens on one lane.
type traffic[K comparable, V any] struct {
	next    *batch[K, V]  // gathering; nil: none
	calls   int           // under way
	arrived chan struct{} // closed when the latest call is over; nil: there was none
}

// batch is one call and those who wait for it.
type batch[K comparable, V any] struct {
	traffic  *traffic[K, V]
	wanted   map[K]int // by how many
	waiting  int
	end      context.CancelFunc
	done     chan struct{}
	outcomes map[K]outcome[V] // set before done is closed
}

// get gives what a call that begins from now on tells of key.
func (g *gatherer[A, K, V]) get(ctx context.Context, about A, key K) (V, error) {
	var none V
	if ctx.Err() != nil {
		return none, &access.Failure{Err: fmt.Errorf("%w: %w", errNotSent, context.Cause(ctx))}
	}
	b := g.join(ctx, lane[A]{priorityOf(ctx), about}, key)
	select {
	case <-b.done:
	case <-ctx.Done():
		g.leave(b, key)
		return none, &access.Failure{Unclear: g.write, Err: fmt.Errorf("waiting for PagerDuty: %w", context.Cause(ctx))}
	}
	return b.outcomes[key].value, b.outcomes[key].err
}

func (g *gatherer[A, K, V]) join(ctx context.Context, l lane[A], key K) *batch[K, V] {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.lanes == nil {
		g.lanes = map[lane[A]]*traffic[K, V]{}
	}
	t := g.lanes[l]
	if t == nil {
		t = &traffic[K, V]{}
		g.lanes[l] = t
	}
	b := t.next
	if b == nil || g.most > 0 && len(b.wanted) >= g.most && b.wanted[key] == 0 {
		b = &batch[K, V]{traffic: t, wanted: map[K]int{}, done: make(chan struct{})}
		ctx, b.end = context.WithCancel(context.WithoutCancel(ctx))
		t.next = b
		t.calls++
		go g.run(ctx, l, b, t.arrived)
		t.arrived = b.done
	}
	b.wanted[key]++
	b.waiting++
	return b
}

// run waits for the call before, and makes its own.
func (g *gatherer[A, K, V]) run(ctx context.Context, l lane[A], b *batch[K, V], before <-chan struct{}) {
	defer close(b.done)
	defer b.end()
	if before != nil {
		soon := time.NewTimer(longestGather)
		select {
		case <-before:
		case <-soon.C:
		case <-ctx.Done():
		}
		soon.Stop()
	}
	if keys := g.begin(b); len(keys) > 0 {
		b.outcomes = g.ask(ctx, l.about, keys)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if b.traffic.calls--; b.traffic.calls == 0 {
		delete(g.lanes, l)
	}
}

// begin closes the batch and gives what is still wanted of it.
func (g *gatherer[A, K, V]) begin(b *batch[K, V]) []K {
	g.mu.Lock()
	defer g.mu.Unlock()
	b.shut()
	return slices.Collect(maps.Keys(b.wanted))
}

// shut lets nobody join any more.
func (b *batch[K, V]) shut() {
	if b.traffic.next == b {
		b.traffic.next = nil
	}
}

// ask makes the call. A key that its answer leaves out is asked for by itself, and each of them where a failure may
// be due to one: one bad object stands in nobody else's way.
func (g *gatherer[A, K, V]) ask(ctx context.Context, about A, keys []K) map[K]outcome[V] {
	told, err := g.call(ctx, about, keys)
	each := make([]outcome[V], len(keys))
	var wg sync.WaitGroup
	for i, key := range keys {
		value, shown := told[key]
		switch {
		case len(keys) > 1 && (dueToOne(err) || err == nil && !shown):
			wg.Go(func() { each[i] = g.ask(ctx, about, keys[i:i+1])[key] })
		case err != nil:
			each[i].err = err
		case !shown:
			each[i].err = &access.Failure{Unclear: g.write, Err: errors.New("PagerDuty's answer leaves out what it was asked for")}
		default:
			each[i].value = value
		}
	}
	wg.Wait()
	all := make(map[K]outcome[V], len(keys))
	for i, key := range keys {
		all[key] = each[i]
	}
	return all
}

// dueToOne reports whether a call may have failed because of one object among others: PagerDuty refuses it for
// good, or shows something that cannot be read.
func dueToOne(err error) bool {
	return access.IsPermanent(err) && !errors.Is(err, access.ErrDenied) || errors.Is(err, errUnreadable)
}

// leave gives up waiting. What nobody waits for any more is left out of a call that has not begun; the last one
// to leave ends the call and sees it out.
func (g *gatherer[A, K, V]) leave(b *batch[K, V], key K) {
	g.mu.Lock()
	if b.wanted[key]--; b.wanted[key] == 0 {
		delete(b.wanted, key)
	}
	b.waiting--
	last := b.waiting == 0
	if last {
		b.shut()
	}
	g.mu.Unlock()
	if last {
		b.end()
		<-b.done
	}
}

// alone is the call of a gatherer for what cannot be asked for together: those who want the very same share it.
func alone[A comparable, V any](ask func(context.Context, A) (V, error)) func(context.Context, A, []struct{}) (map[struct{}]V, error) {
	return func(ctx context.Context, about A, _ []struct{}) (map[struct{}]V, error) {
		value, err := ask(ctx, about)
		return map[struct{}]V{{}: value}, err
	}
}
