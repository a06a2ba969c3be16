package teleport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/gravitational/teleport/api/types"
	"github.com/gravitational/trace"

	"github.com/pdhook/pdhook/internal/access"
)

// initTimeout is how long Teleport may take to confirm a watch.
const initTimeout = 15 * time.Second

// Watch waits for a connection, opens a watch of access requests, calls ready once Teleport has confirmed it
// and change for each event, from the calling goroutine. It always returns an error that says why the watch
// ended; it also ends when a renewal replaced the connection.
func (c *Client) Watch(ctx context.Context, ready func(), change func(access.Change)) error {
	conn, err := c.await(ctx)
	if err != nil {
		return err
	}
	defer conn.calls.Done()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(conn.life, func() { cancel(context.Cause(conn.life)) })()

	if err := c.watch(ctx, conn, ready, change); ctx.Err() == nil {
		return err
	}
	return &access.Failure{Class: access.Retry, Err: fmt.Errorf("watching access requests: %w", context.Cause(ctx))}
}

// watch follows one stream of events until it or ctx ends.
func (c *Client) watch(ctx context.Context, conn *connection, ready func(), change func(access.Change)) error {
	w, err := conn.teleport.NewWatcher(ctx, types.Watch{Kinds: []types.WatchKind{{Kind: types.KindAccessRequest}}})
	if err != nil {
		return failure(ctx, "watching access requests", err)
	}
	defer func() { _ = w.Close() }() // it only cancels and never fails
	confirm := time.NewTimer(initTimeout)
	defer confirm.Stop()
	for {
		select { // Events is never closed
		case <-w.Done():
			return failure(ctx, "watching access requests", ended(w.Error()))
		case <-confirm.C:
			return &access.Failure{Class: access.Retry, Err: fmt.Errorf("watching access requests: not confirmed within %v", initTimeout)}
		case event := <-w.Events():
			if event.Type == types.OpInit {
				confirm.Stop()
				ready()
			} else if ch, ok := changeOf(event); ok {
				change(ch)
			}
		}
	}
}

// ended gives an orderly end of the stream, which Teleport makes when it restarts its cache, a better name.
func ended(err error) error {
	if err == nil || trace.IsEOF(err) || errors.Is(err, io.EOF) {
		return errors.New("Teleport ended the watch")
	}
	return err
}

// changeOf puts an event into the words of the domain; false for one that tells nothing of a request.
func changeOf(event types.Event) (access.Change, bool) {
	switch event.Type {
	case types.OpPut:
		if r, ok := event.Resource.(types.AccessRequest); ok {
			return access.Change{Kind: access.Put, Request: requestOf(r)}, true
		}
	case types.OpDelete: // only a header comes
		if event.Resource != nil && event.Resource.GetKind() == types.KindAccessRequest {
			return access.Change{Kind: access.Delete, Request: access.Request{ID: access.RequestID(event.Resource.GetName())}}, true
		}
	}
	return access.Change{}, false
}
