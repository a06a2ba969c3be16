package reconcile

import (
	"context"
	"sync"

	"github.com/pdhook/pdhook/internal/access"
)

// mostBeside bounds the passes that go on beside the workers.
const mostBeside = 512

// crew is the workers of a queue. So that no approval waits for another request's incidents and notes, a worker
// whose pass comes to those is relieved: another takes its place, and it ends with that pass.
type crew struct {
	queue  *Queue
	look   func(ctx context.Context, id access.RequestID, cause string) (Result, error)
	passes sync.WaitGroup
	beside chan struct{} // holds one for each relieved worker
}

// work looks at one request after the other, until the queue is shut down or the worker is relieved.
func (c *crew) work(ctx context.Context) {
	relieved := false
	relief := func() {
		if relieved {
			return
		}
		select {
		case c.beside <- struct{}{}:
			relieved = true
			c.passes.Go(func() { c.work(ctx) })
		default: // so many are beside already that this one keeps its place
		}
	}
	for !relieved && c.queue.one(context.WithValue(ctx, reliefKey{}, relief), c.look) {
	}
	if relieved {
		<-c.beside
	}
}

type reliefKey struct{}

// urgentPartOver says that what is left of the pass under ctx can wait for others.
func urgentPartOver(ctx context.Context) {
	if relieve, inCrew := ctx.Value(reliefKey{}).(func()); inCrew {
		relieve()
	}
}
