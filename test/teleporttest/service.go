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

const maxPage = 1000

// CreateAccessRequestV2 stores a request of the caller. ID, state, annotations, thresholds and the time of
// creation are the server's.
func (a *authService) CreateAccessRequestV2(ctx context.Context, in *types.AccessRequestV3) (*types.AccessRequestV3, error) {
	c, err := callerOf(ctx)
	if err != nil {
		return nil, err
	}
	if in.GetUser() != c.user {
		return nil, trace.AccessDenied("user %q cannot create access requests for %q", c.user, in.GetUser())
	}
	req := utils.CloneProtoMsg(in)
	req.SetThresholds(nil)
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	if err := a.s.complete(req, a.s.roleAnnotations(req.GetRoles())); err != nil {
		return nil, err
	}
	if !req.GetDryRun() { // dry runs are validated only
		a.s.put(req)
	}
	return req, nil
}

// ListAccessRequests pages through the requests in the order of their creation. An unknown ID is no error.
func (a *authService) ListAccessRequests(ctx context.Context, in *proto.ListAccessRequestsRequest) (*proto.ListAccessRequestsResponse, error) {
	if in.Sort != proto.AccessRequestSort_DEFAULT && in.Sort != proto.AccessRequestSort_CREATED {
		return nil, trace.NotImplemented("sort order %v is not supported", in.Sort)
	}
	found, err := a.find(ctx, in.Filter)
	if err != nil {
		return nil, err
	}
	if in.Descending {
		slices.Reverse(found)
	}
	return page(found, in.StartKey, int(in.Limit), in.Descending), nil
}

// page cuts the part of requests that begins at the ID start; the next page begins at NextKey.
func page(requests []*types.AccessRequestV3, start string, limit int, descending bool) *proto.ListAccessRequestsResponse {
	if limit <= 0 || limit > maxPage {
		limit = maxPage
	}
	if start != "" {
		first := slices.IndexFunc(requests, func(r *types.AccessRequestV3) bool {
			return r.GetName() == start || r.GetName() > start != descending
		})
		if first < 0 {
			first = len(requests)
		}
		requests = requests[first:]
	}
	if len(requests) <= limit {
		return &proto.ListAccessRequestsResponse{AccessRequests: requests}
	}
	return &proto.ListAccessRequestsResponse{AccessRequests: requests[:limit], NextKey: requests[limit].GetName()}
}

// GetAccessRequestsV2 is what clients fall back to when ListAccessRequests is not implemented.
func (a *authService) GetAccessRequestsV2(filter *types.AccessRequestFilter, stream proto.AuthService_GetAccessRequestsV2Server) error {
	found, err := a.find(stream.Context(), filter)
	if err != nil {
		return err
	}
	for _, req := range found {
		if err := stream.Send(req); err != nil {
			return err
		}
	}
	return nil
}

// find gives the requests that match filter and that the caller may see, ordered by ID, which is the order
// of creation.
func (a *authService) find(ctx context.Context, filter *types.AccessRequestFilter) ([]*types.AccessRequestV3, error) {
	c, err := callerOf(ctx)
	if err != nil {
		return nil, err
	}
	f := types.AccessRequestFilter{}
	if filter != nil {
		f = *filter
	}
	f.Requester = c.user
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	if a.s.switches.HideRequests {
		return nil, nil
	}
	now := a.s.opts.Now()
	var found []*types.AccessRequestV3
	for _, id := range slices.Sorted(maps.Keys(a.s.requests)) {
		req := a.s.requests[id]
		if !expired(req, now) && f.Match(req) && a.s.maySee(c.user, req) {
			found = append(found, req)
		}
	}
	return found, nil
}

// DeleteAccessRequest is for administrators.
func (a *authService) DeleteAccessRequest(ctx context.Context, in *proto.RequestID) (*emptypb.Empty, error) {
	if err := a.s.checkAdmin(ctx, "delete"); err != nil {
		return nil, err
	}
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	if err := a.s.remove(in.ID); err != nil {
		return nil, err
	}
	return &emptypb.Empty{}, nil
}

// SetAccessRequestState is for administrators.
func (a *authService) SetAccessRequestState(ctx context.Context, in *proto.RequestStateSetter) (*emptypb.Empty, error) {
	if err := a.s.checkAdmin(ctx, "update"); err != nil {
		return nil, err
	}
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	if err := a.s.setState(in.ID, in.State, in.Reason); err != nil {
		return nil, err
	}
	return &emptypb.Empty{}, nil
}
