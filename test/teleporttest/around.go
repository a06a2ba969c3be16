package teleporttest

import (
	"context"
	"path"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Hook is called when a call of a method with one answer has arrived and is not yet performed, and again when
// it is performed and not yet answered. The method is named as for Fail, in is the message of the protocol.
// It runs in the call's own goroutine and may call every method of the Server. Where it returns false the call
// goes no further: the caller, if it is still there, is told that the server is not available.
type Hook func(method string, in any, performed bool) (goOn bool)

// Around has the hook called around every call to come; nil: none any more.
func (s *Server) Around(h Hook) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hook = h
}

var errStopped = status.Error(codes.Unavailable, "the connection was lost")

// around puts the hook around the handler of a call.
func (s *Server) around(fullMethod string, handler grpc.UnaryHandler) grpc.UnaryHandler {
	s.mu.Lock()
	hook := s.hook
	s.mu.Unlock()
	if hook == nil {
		return handler
	}
	method := path.Base(fullMethod)
	return func(ctx context.Context, in any) (any, error) {
		if !hook(method, in, false) {
			return nil, errStopped
		}
		answer, err := handler(ctx, in)
		if !hook(method, in, true) {
			return nil, errStopped
		}
		return answer, err
	}
}
