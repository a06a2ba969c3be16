package reconcile

import (
	"context"
	"fmt"
	"runtime/debug"

	"github.com/pdhook/pdhook/internal/access"
)

// attempt looks at one request. A panic of the look is a failure of this request, which is tried again like any other:
// the process would come back to it at each start, and all other requests would wait for it (spec §12).
func attempt(ctx context.Context, id access.RequestID, cause string, look func(context.Context, access.RequestID, string) (Result, error)) (result Result, err error) {
	defer func() {
		if reason := recover(); reason != nil {
			result, err = Result{}, &panicked{reason, debug.Stack()}
		}
	}()
	return look(ctx, id, cause)
}

// panicked is the failure of a look that came upon a mistake in pdhook.
type panicked struct {
	reason any
	stack  []byte
}

func (p *panicked) Error() string {
	return fmt.Sprintf("a mistake in pdhook, please report it with its line in the log: %v", p.reason)
}
