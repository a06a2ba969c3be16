package teleport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/gravitational/teleport/api/types"
	"github.com/gravitational/trace"

	"github.com/pdhook/pdhook/internal/access"
)

// initTimeout is how long Teleport may take to confirm a watch.
const initTimeout = 15 * time.Second

// Watch waits for a connection, opens a watch of access requests and Access Monitoring Rules, calls ready once
// Teleport has confirmed that of requests and change for each event, from the calling goroutine. It always
// returns an error that says why the watch ended; it also ends when a renewal replaced the connection.
func (c *Client) Watch(ctx context.Context, ready func(), change func(access.Change)) error {
	conn, err := c.await(ctx)
	if err != nil {
		return err
	}
	defer conn.calls.Done()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(conn.life, func() { cancel(context.Cause(conn.life)) })()

	if err := watchKinds(ctx, conn, ready, change); ctx.Err() == nil {
		return err
	}
	return &access.Failure{Class: access.Retry, Err: fmt.Errorf("watching access requests: %w", context.Cause(ctx))}
}

// watchKinds watches rules, too, where Teleport lets it. Old servers refuse the whole watch for one kind
// that may not be watched: then it is opened again for requests alone, which also gives Teleport's own words
// where it is the requests that are refused.
func watchKinds(ctx context.Context, conn *connection, ready func(), change func(access.Change)) error {
	confirmed := false
	err := watch(ctx, conn, types.Watch{AllowPartialSuccess: true, Kinds: []types.WatchKind{
		{Kind: types.KindAccessRequest}, {Kind: types.KindAccessMonitoringRule},
	}}, func() { confirmed = true; ready() }, change)
	if confirmed || !access.IsPermanent(err) {
		return err
	}
	return watch(ctx, conn, types.Watch{Kinds: []types.WatchKind{{Kind: types.KindAccessRequest}}}, ready, change)
}

// watch follows one stream of events until it or ctx ends.
func watch(ctx context.Context, conn *connection, kinds types.Watch, ready func(), change func(access.Change)) error {
	w, err := conn.teleport.NewWatcher(ctx, kinds)
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
				if !requestsConfirmed(event) {
					return failure(ctx, "watching access requests", trace.AccessDenied("Teleport did not confirm the watch"))
				}
				confirm.Stop()
				ready()
			} else if ch, ok := changeOf(event); ok {
				change(ch)
			}
		}
	}
}

// requestsConfirmed reports whether a watch that was opened in part is one of access requests. Servers that
// name no kinds have confirmed all.
func requestsConfirmed(init types.Event) bool {
	status, ok := init.Resource.(types.WatchStatus)
	return !ok || slices.ContainsFunc(status.GetKinds(), func(k types.WatchKind) bool { return k.Kind == types.KindAccessRequest })
}

// ended gives an orderly end of the stream, which Teleport makes when it restarts its cache, a better name.
func ended(err error) error {
	if err == nil || trace.IsEOF(err) || errors.Is(err, io.EOF) {
		return errors.New("Teleport ended the watch")
	}
	return err
}

// changeOf puts an event into the words of the domain; false for one that tells nothing of requests and rules.
func changeOf(event types.Event) (access.Change, bool) {
	if event.Resource == nil || event.Type != types.OpPut && event.Type != types.OpDelete {
		return access.Change{}, false
	}
	switch event.Resource.GetKind() {
	case types.KindAccessMonitoringRule:
		return access.Change{Kind: access.RulesChanged}, true
	case types.KindAccessRequest:
		if event.Type == types.OpDelete { // only a header comes
			return access.Change{Kind: access.Delete, Request: access.Request{ID: access.RequestID(event.Resource.GetName())}}, true
		}
		if r, ok := event.Resource.(types.AccessRequest); ok {
			return access.Change{Kind: access.Put, Request: requestOf(r)}, true
		}
	}
	return access.Change{}, false
}
