package teleporttest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/gravitational/teleport/api/constants"
	"github.com/gravitational/teleport/api/types"
	"github.com/gravitational/teleport/api/utils"
	"github.com/gravitational/trace"
)

const (
	sessionTTL    = 12 * time.Hour     // the requester's remaining login; access ends with it unless a duration is asked for
	reviewTime    = 7 * 24 * time.Hour // longest time that a request stays pending
	maxAccess     = 14 * 24 * time.Hour
	maxReasonSize = 4096
)

// Request is what somebody asks for. User and one of Roles and Resources are required.
type Request struct {
	User               string
	Roles              []string
	Resources          []types.ResourceID
	Reason             string
	Annotations        map[string][]string // nil: those of the roles, see SetRole
	SuggestedReviewers []string

	MaxDuration  time.Duration // length of the access; 0: as long as the requester's login, 12 hours
	AccessExpiry time.Time     // end of the access; zero: by MaxDuration
	Expiry       time.Time     // end of the review; zero: the earlier of 7 days and the end of the access
	AssumeStart  time.Time     // begin of the access; zero: at approval

	Thresholds []types.AccessReviewThreshold // nil: Options.Thresholds
}

// CreateRequest has a user ask for access, and gives the ID of the new pending request. It panics when the
// request is one that Teleport refuses: that is a mistake in the test.
func (s *Server) CreateRequest(r Request) (id string) {
	req := &types.AccessRequestV3{Spec: types.AccessRequestSpecV3{
		User:                 r.User,
		Roles:                slices.Clone(r.Roles),
		RequestedResourceIDs: slices.Clone(r.Resources),
		RequestReason:        r.Reason,
		SuggestedReviewers:   slices.Clone(r.SuggestedReviewers),
		Thresholds:           slices.Clone(r.Thresholds),
		Expires:              r.AccessExpiry.UTC(),
	}}
	if r.MaxDuration != 0 {
		req.SetMaxDuration(s.opts.Now().UTC().Add(r.MaxDuration))
	}
	if !r.Expiry.IsZero() {
		req.SetExpiry(r.Expiry)
	}
	if !r.AssumeStart.IsZero() {
		req.SetAssumeStartTime(r.AssumeStart.UTC())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	annotations := r.Annotations
	if annotations == nil {
		annotations = s.roleAnnotations(r.Roles)
	}
	if err := s.complete(req, annotations); err != nil {
		panic(fmt.Sprintf("teleporttest: creating request: %v", err))
	}
	s.put(req)
	return req.GetName()
}

// SetRole says which annotations requests for the role get. They are the requester's roles' in Teleport;
// naming them by the requested role is enough here.
func (s *Server) SetRole(name string, annotations map[string][]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.roles[name] = maps.Clone(annotations)
}

// Request gives a copy of a request, nil when there is none.
func (s *Server) Request(id string) types.AccessRequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	if req, ok := s.requests[id]; ok {
		return req.Copy()
	}
	return nil
}

// Delete has an admin delete a request. Watchers see what they see when one expires.
func (s *Server) Delete(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.remove(id)
}

// Expire removes a request as Teleport does when its time is over, without waiting for that time.
func (s *Server) Expire(id string) error { return s.Delete(id) }

// SweepExpired removes all requests and plugin data whose time is over by the clock, and gives the number
// of requests. Until it is called, expired requests are only hidden from lists: Teleport's own sweep comes
// minutes late, too.
func (s *Server) SweepExpired() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, n := s.opts.Now(), 0
	for _, id := range slices.Sorted(maps.Keys(s.requests)) {
		if expired(s.requests[id], now) && s.remove(id) == nil {
			n++
		}
	}
	maps.DeleteFunc(s.data, func(_ string, d *pluginData) bool { return !now.Before(d.expires) })
	return n
}

// RunSweeper calls SweepExpired every so often until ctx ends.
func (s *Server) RunSweeper(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.SweepExpired()
		case <-ctx.Done():
			return
		}
	}
}

func expired(req *types.AccessRequestV3, now time.Time) bool { return !now.Before(req.Expiry()) }

// complete fills in what the server decides about a new request. The caller holds s.mu.
func (s *Server) complete(req *types.AccessRequestV3, annotations map[string][]string) error {
	now := s.opts.Now().UTC()
	if len(req.GetRequestReason()) > maxReasonSize {
		return trace.BadParameter("access request reason is too long, max %v bytes", maxReasonSize)
	}
	if start := req.GetAssumeStartTime(); start != nil && start.After(now.Add(constants.MaxAssumeStartDuration)) {
		return trace.BadParameter("assume start time is too far in the future, latest time is %v", now.Add(constants.MaxAssumeStartDuration))
	}
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("drawing request ID: %w", err)
	}
	req.SetName(id.String())
	req.Spec.State = types.RequestState_PENDING
	req.Spec.Reviews = nil
	req.SetCreationTime(now)
	req.SetSessionTLL(now.Add(sessionTTL))
	req.SetSystemAnnotations(normalised(annotations))
	if len(req.GetThresholds()) == 0 {
		req.SetThresholds(slices.Clone(s.opts.Thresholds))
	}
	setTimes(req, now)
	return req.CheckAndSetDefaults()
}

func setTimes(req *types.AccessRequestV3, now time.Time) {
	if limit := now.Add(maxAccess); req.GetMaxDuration().After(limit) {
		req.SetMaxDuration(limit)
	}
	if req.GetAccessExpiry().IsZero() {
		end := req.GetMaxDuration()
		if end.IsZero() {
			end = now.Add(sessionTTL)
		}
		req.SetAccessExpiry(end)
	}
	if req.Expiry().IsZero() {
		end := now.Add(reviewTime)
		if access := req.GetAccessExpiry(); access.Before(end) {
			end = access
		}
		req.SetExpiry(end)
	}
}

// roleAnnotations merges the annotations of roles. The caller holds s.mu.
func (s *Server) roleAnnotations(roles []string) map[string][]string {
	merged := make(map[string][]string)
	for _, role := range roles {
		for key, values := range s.roles[role] {
			merged[key] = append(merged[key], values...)
		}
	}
	return merged
}

// normalised sorts and deduplicates values, as Teleport does: "the first value" is the alphabetically first.
func normalised(annotations map[string][]string) map[string][]string {
	if len(annotations) == 0 {
		return nil
	}
	result := make(map[string][]string, len(annotations))
	for key, values := range annotations {
		result[key] = slices.Compact(slices.Sorted(slices.Values(values)))
	}
	return result
}

// put stores a request and tells the watchers. The caller holds s.mu and gives req away.
func (s *Server) put(req *types.AccessRequestV3) {
	s.requests[req.GetName()] = req
	s.publish(types.Event{Type: types.OpPut, Resource: req})
}

// change stores and gives a changed copy of a request. The caller holds s.mu.
func (s *Server) change(req *types.AccessRequestV3, edit func(*types.AccessRequestV3) error) (*types.AccessRequestV3, error) {
	next := utils.CloneProtoMsg(req)
	if err := edit(next); err != nil {
		return nil, err
	}
	s.put(next)
	return next, nil
}

// remove deletes a request; its plugin data stays. The caller holds s.mu.
func (s *Server) remove(id string) error {
	if _, ok := s.requests[id]; !ok {
		return trace.NotFound("access request %q is not found", id)
	}
	delete(s.requests, id)
	s.publishDelete(types.KindAccessRequest, types.V3, id)
	return nil
}
