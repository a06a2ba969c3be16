package teleporttest

import (
	"context"
	"fmt"
	"time"

	"github.com/gravitational/teleport/api/types"
)

// patience bounds every wait of a test.
const patience = time.Minute

// Await returns as soon as condition holds. It is looked at again whenever the server changes: requests,
// plugin data, locks, rules, watches, arriving calls. It may call all methods of the server. After 15 s,
// or at the end of ctx, Await gives an error with what was waited for.
func (s *Server) Await(ctx context.Context, what string, condition func() bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("not within %s", patience))
	defer cancel()
	for {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		if condition() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w", what, context.Cause(ctx))
		}
	}
}

// AwaitState waits until a request has the state.
func (s *Server) AwaitState(ctx context.Context, id string, state types.RequestState) error {
	return s.Await(ctx, fmt.Sprintf("request %s to be %s", id, state), func() bool {
		req := s.Request(id)
		return req != nil && req.GetState() == state
	})
}

// AwaitWatchers waits until n watches are open.
func (s *Server) AwaitWatchers(ctx context.Context, n int) error {
	return s.Await(ctx, fmt.Sprintf("%d watchers", n), func() bool { return s.Watchers() == n })
}

// AwaitCalls waits until a method has been called n times or more.
func (s *Server) AwaitCalls(ctx context.Context, method string, n int) error {
	return s.Await(ctx, fmt.Sprintf("%d calls of %s", n, method), func() bool { return s.Calls(method) >= n })
}

// announce tells everybody in Await to look again. The caller holds s.mu.
func (s *Server) announce() {
	close(s.changed)
	s.changed = make(chan struct{})
}
