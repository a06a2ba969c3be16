package teleporttest

import (
	"context"
	"maps"
	"slices"

	"github.com/gravitational/teleport/api/client/proto"
	"github.com/gravitational/teleport/api/types"
	"github.com/gravitational/teleport/api/utils"
	"github.com/gravitational/trace"
	"google.golang.org/protobuf/types/known/emptypb"
)

// Locks gives all locks, in force or not, ordered by name.
func (s *Server) Locks() []types.Lock {
	s.mu.Lock()
	defer s.mu.Unlock()
	var locks []types.Lock
	for _, name := range slices.Sorted(maps.Keys(s.locks)) {
		locks = append(locks, utils.CloneProtoMsg(s.locks[name]))
	}
	return locks
}

// UpsertLock stores a lock; time and author are the server's.
func (a *authService) UpsertLock(ctx context.Context, in *types.LockV2) (*emptypb.Empty, error) {
	c, err := a.s.callerWith(ctx, UseLocks, types.VerbCreate)
	if err != nil {
		return nil, err
	}
	lock := utils.CloneProtoMsg(in)
	if err := lock.CheckAndSetDefaults(); err != nil {
		return nil, err
	}
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	lock.SetCreatedAt(a.s.opts.Now().UTC())
	lock.SetCreatedBy(c.user)
	a.s.locks[lock.GetName()] = lock
	a.s.announce()
	return &emptypb.Empty{}, nil
}

// GetLock reads one lock.
func (a *authService) GetLock(ctx context.Context, in *proto.GetLockRequest) (*types.LockV2, error) {
	if _, err := a.s.callerWith(ctx, UseLocks, types.VerbRead); err != nil {
		return nil, err
	}
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	lock, ok := a.s.locks[in.Name]
	if !ok {
		return nil, trace.NotFound("lock %q is not found", in.Name)
	}
	return lock, nil
}

// GetLocks reads the locks that match one of the targets, or all when no target is given.
func (a *authService) GetLocks(ctx context.Context, in *proto.GetLocksRequest) (*proto.GetLocksResponse, error) {
	if _, err := a.s.callerWith(ctx, UseLocks, types.VerbList); err != nil {
		return nil, err
	}
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	now, answer := a.s.opts.Now(), new(proto.GetLocksResponse)
	for _, name := range slices.Sorted(maps.Keys(a.s.locks)) {
		lock := a.s.locks[name]
		if in.InForceOnly && !lock.IsInForce(now) {
			continue
		}
		if len(in.Targets) == 0 || slices.ContainsFunc(in.Targets, func(t *types.LockTarget) bool { return t.Match(lock) }) {
			answer.Locks = append(answer.Locks, lock)
		}
	}
	return answer, nil
}

// DeleteLock removes one lock.
func (a *authService) DeleteLock(ctx context.Context, in *proto.DeleteLockRequest) (*emptypb.Empty, error) {
	if _, err := a.s.callerWith(ctx, UseLocks, types.VerbDelete); err != nil {
		return nil, err
	}
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	if _, ok := a.s.locks[in.Name]; !ok {
		return nil, trace.NotFound("lock %q is not found", in.Name)
	}
	delete(a.s.locks, in.Name)
	a.s.announce()
	return &emptypb.Empty{}, nil
}
