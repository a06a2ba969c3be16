package teleporttest

import (
	"context"
	"path"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
)

// Always is for Fault.Times.
const Always = -1

// Fault is what befalls calls of a method. Its parts come in the order of the fields.
type Fault struct {
	Times     int           // how many calls; 0: one; Always: until ClearFaults
	Performed bool          // the call is carried out first: only its answer is lost
	Delay     time.Duration // wait first
	Hang      bool          // then answer nothing until the caller gives up or the server stops
	Err       error         // answer this instead; an error of package trace or a gRPC status; nil: answer properly
}

// Fail lays a fault on a method, named as in the protocol, e.g. "SubmitAccessReview". Several faults of a
// method take their turns.
func (s *Server) Fail(method string, f Fault) {
	if f.Times == 0 {
		f.Times = 1
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[method] = append(s.faults[method], f)
}

// ClearFaults takes all faults away. Calls that hang already go on hanging.
func (s *Server) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.faults)
}

// Switches change what kind of server it is. The zero value is a recent Teleport in good order.
type Switches struct {
	NoWatchStatus    bool // INIT comes without the list of confirmed kinds
	NoPartialSuccess bool // AllowPartialSuccess is not known, as 11.1.2
	NoInit           bool // new watches stay silent
	NoRules          bool // access monitoring rules are not implemented
	HideRequests     bool // lists answer nothing although there are requests
	RequireMFA       bool // reviews and other admin actions need a second factor
}

// Switch changes the switches for calls and watches to come.
func (s *Server) Switch(set func(*Switches)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	set(&s.switches)
}

// Calls gives the number of calls of a method so far, those that fail included.
func (s *Server) Calls(method string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[method]
}

// arrive counts a call and gives the fault that is due; the zero Fault does nothing.
func (s *Server) arrive(fullMethod string) Fault {
	method := path.Base(fullMethod)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[method]++
	s.announce()
	due := s.faults[method]
	if len(due) == 0 {
		return Fault{}
	}
	fault := due[0]
	if due[0].Times--; due[0].Times == 0 {
		s.faults[method] = due[1:]
	}
	return fault
}

// strike waits, hangs and fails as the fault says.
func (f Fault) strike(ctx context.Context) error {
	if f.Delay > 0 {
		timer := time.NewTimer(f.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	if f.Hang {
		<-ctx.Done()
	}
	if err := ctx.Err(); err != nil {
		return status.FromContextError(err).Err() // what the caller finds out by himself at the same moment
	}
	return f.Err
}

func (s *Server) interceptUnary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	fault := s.arrive(info.FullMethod)
	handler = s.around(info.FullMethod, handler)
	if !fault.Performed {
		if err := fault.strike(ctx); err != nil {
			return nil, err
		}
		return handler(ctx, req)
	}
	answer, err := handler(ctx, req)
	if err != nil {
		return nil, err
	}
	return answer, fault.strike(ctx)
}

func (s *Server) interceptStream(service any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	fault := s.arrive(info.FullMethod)
	if !fault.Performed {
		if err := fault.strike(stream.Context()); err != nil {
			return err
		}
		return handler(service, stream)
	}
	if err := handler(service, stream); err != nil {
		return err
	}
	return fault.strike(stream.Context())
}
