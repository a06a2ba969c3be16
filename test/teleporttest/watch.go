package teleporttest

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gravitational/teleport/api/client"
	"github.com/gravitational/teleport/api/client/proto"
	"github.com/gravitational/teleport/api/types"
	"github.com/gravitational/trace"
)

const (
	watchQueue    = 1024        // events that a slow watcher may be behind
	watchPatience = time.Minute // for so long
)

// errOverflow ends the watch of a reader who is too slow.
var errOverflow = errors.New("buffer overflow")

// watcher is one open watch. Its fields are guarded by Server.mu, the channels aside.
type watcher struct {
	kinds  []types.WatchKind
	queue  []*proto.Event
	behind time.Time     // since when the queue is over its limit
	wake   chan struct{} // holds a token when the queue is not empty
	end    chan error    // what to end the watch with
}

// Watchers gives the number of open watches, silent ones included. What happens from now on reaches them.
func (s *Server) Watchers() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.watchers)
}

// EndWatches ends all open watches: with nil as a server does that re-initialises (the client sees io.EOF),
// else with err.
func (s *Server) EndWatches(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for w := range s.watchers {
		w.finish(err)
	}
}

// WatchEvents sends INIT and then every event of the confirmed kinds, in order, blocking as long as the
// client does not read.
func (a *authService) WatchEvents(in *proto.Watch, stream proto.AuthService_WatchEventsServer) error {
	c, err := callerOf(stream.Context())
	if err != nil {
		return err
	}
	w, err := a.s.openWatch(c.user, in)
	if err != nil {
		return err
	}
	defer a.s.closeWatch(w)
	for {
		select {
		case <-w.wake:
			if err := a.s.flush(w, stream); err != nil {
				return err
			}
		case ending := <-w.end:
			if err := a.s.flush(w, stream); err != nil { // what happened before the end comes before it
				return err
			}
			return ending
		case <-stream.Context().Done():
			return trace.Wrap(stream.Context().Err())
		}
	}
}

// openWatch registers a watch with INIT as the first event in its queue. While the server is to send no
// INIT, the watch stays without kinds and thus silent.
func (s *Server) openWatch(user string, in *proto.Watch) (*watcher, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kinds, err := s.confirm(user, in)
	if err != nil {
		return nil, err
	}
	w := &watcher{wake: make(chan struct{}, 1), end: make(chan error, 1)}
	if !s.switches.NoInit {
		w.kinds = kinds
		w.enqueue(s.initEvent(kinds))
	}
	s.watchers[w] = struct{}{}
	s.announce()
	return w, nil
}

// initEvent is the first event of a watch. The caller holds s.mu.
func (s *Server) initEvent(kinds []types.WatchKind) *proto.Event {
	event := &proto.Event{Type: proto.Operation_INIT}
	if !s.switches.NoWatchStatus {
		event.Resource = &proto.Event_WatchStatus{WatchStatus: types.NewWatchStatus(kinds)}
	}
	return event
}

// confirm gives the kinds that user may watch. One that is refused ends the watch, unless partial success
// is allowed. The caller holds s.mu.
func (s *Server) confirm(user string, in *proto.Watch) ([]types.WatchKind, error) {
	var confirmed []types.WatchKind
	for _, kind := range in.Kinds {
		err := s.checkWatch(user, kind.Kind)
		switch {
		case err == nil:
			confirmed = append(confirmed, kind)
		case !in.AllowPartialSuccess || s.switches.NoPartialSuccess:
			return nil, err
		}
	}
	if len(confirmed) == 0 {
		return nil, trace.BadParameter("none of the requested kinds can be watched")
	}
	return confirmed, nil
}

// checkWatch refuses a kind that user may not watch or that is not known. The caller holds s.mu.
func (s *Server) checkWatch(user, kind string) error {
	known := kind == types.KindAccessRequest || kind == types.KindAccessMonitoringRule && !s.switches.NoRules
	if !known {
		return trace.AccessDenied("access denied to perform action %q on %q", "read", kind)
	}
	return s.check(user, Permission(kind), types.VerbRead)
}

func (s *Server) closeWatch(w *watcher) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.watchers, w)
	s.announce()
}

// flush sends what is in the queue.
func (s *Server) flush(w *watcher, stream proto.AuthService_WatchEventsServer) error {
	s.mu.Lock()
	events := w.queue
	w.queue = nil
	s.mu.Unlock()
	for _, event := range events {
		if err := stream.Send(event); err != nil {
			return trace.Wrap(err)
		}
	}
	return nil
}

// publish hands an event to all watchers that asked for it. The caller holds s.mu.
func (s *Server) publish(event types.Event) {
	message, err := client.EventToGRPC(event)
	if err != nil {
		panic(fmt.Sprintf("teleporttest: encoding %v event: %v", event.Type, err)) // all kinds are our own
	}
	for w := range s.watchers {
		wanted := slices.ContainsFunc(w.kinds, func(kind types.WatchKind) bool {
			ok, err := kind.Matches(event)
			return ok && err == nil
		})
		if wanted {
			w.enqueue(message)
		}
	}
	s.announce()
}

func (s *Server) publishDelete(kind, version, name string) {
	s.publish(types.Event{Type: types.OpDelete, Resource: &types.ResourceHeader{
		Kind: kind, Version: version, Metadata: types.Metadata{Name: name},
	}})
}

func (w *watcher) enqueue(event *proto.Event) {
	w.queue = append(w.queue, event)
	select {
	case w.wake <- struct{}{}:
	default:
	}
	switch {
	case len(w.queue) <= watchQueue:
		w.behind = time.Time{}
	case w.behind.IsZero():
		w.behind = time.Now()
	case time.Since(w.behind) > watchPatience:
		w.finish(errOverflow)
	}
}

func (w *watcher) finish(err error) {
	select {
	case w.end <- err:
	default: // ends already
	}
}
