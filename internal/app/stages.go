package app

import (
	"context"
	"errors"

	"golang.org/x/sync/errgroup"
)

// stage is parts that start and end together.
type stage []func(ctx context.Context) error

// runInOrder starts all stages and waits for ctx to end or a part to fail; then it ends one stage after the
// other, the first one first, waiting for each. The first failure is returned.
func runInOrder(ctx context.Context, stages ...stage) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	type running struct {
		stop context.CancelFunc
		wait func() error
	}
	var all []running
	for _, s := range stages {
		stageCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
		var group errgroup.Group
		for _, part := range s {
			group.Go(func() error {
				err := part(stageCtx)
				if err != nil && stageCtx.Err() == nil {
					fail(err)
				}
				return err
			})
		}
		all = append(all, running{stop, group.Wait})
	}
	<-ctx.Done()
	var first error
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		first = cause
	}
	for _, r := range all {
		r.stop()
		if err := r.wait(); err != nil && first == nil {
			first = err
		}
	}
	return first
}
