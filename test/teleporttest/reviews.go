package teleporttest

import (
	"context"
	"slices"
	"strings"

	"github.com/gravitational/teleport/api/types"
	"github.com/gravitational/trace"
)

// Review has author review a request, by the same rules as SubmitAccessReview. In addition it takes
// RequestState_PROMOTED, which only Teleport's web interface proposes.
func (s *Server) Review(id, author string, state types.RequestState, reason string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.review(id, types.AccessReview{Author: author, ProposedState: state, Reason: reason})
	return err
}

// SetState has an admin set the state of a request, resolved or not; only a denied one stays denied.
func (s *Server) SetState(id string, state types.RequestState, reason string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.setState(id, state, reason)
}

// SubmitAccessReview applies the caller's review and answers with the request after it.
func (a *authService) SubmitAccessReview(ctx context.Context, in *types.AccessReviewSubmission) (*types.AccessRequestV3, error) {
	c, err := callerOf(ctx)
	if err != nil {
		return nil, err
	}
	review := in.Review
	if review.Author == "" {
		review.Author = c.user
	}
	if review.Author != c.user {
		return nil, trace.AccessDenied("user %q cannot submit reviews on behalf of %q", c.user, review.Author)
	}
	if len(review.Roles) != 0 || len(review.Annotations) != 0 {
		return nil, trace.NotImplemented("review roles and annotations are not supported")
	}
	if review.ProposedState.IsPromoted() {
		return nil, trace.BadParameter("cannot promote access request %q by review", in.RequestID)
	}
	if err := a.s.checkMFA(); err != nil {
		return nil, err
	}
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	return a.s.review(in.RequestID, review)
}

// review adds a review and resolves the request when a threshold is reached. The caller holds s.mu.
func (s *Server) review(id string, review types.AccessReview) (*types.AccessRequestV3, error) {
	if !review.ProposedState.IsResolved() {
		return nil, trace.BadParameter("invalid review state %q", review.ProposedState)
	}
	if len(review.Reason) > maxReasonSize {
		return nil, trace.BadParameter("access review reason is too long, max %v bytes", maxReasonSize)
	}
	if !s.reviewsAtAll(review.Author) {
		return nil, trace.AccessDenied("user %q cannot submit reviews", review.Author)
	}
	req, ok := s.requests[id]
	if !ok {
		return nil, trace.NotFound("cannot apply review to access request %q (not found)", id)
	}
	if err := s.refusal(req, review.Author); err != nil {
		return nil, err
	}
	if review.Created.IsZero() {
		review.Created = s.opts.Now().UTC()
	}
	return s.change(req, func(req *types.AccessRequestV3) error {
		req.SetReviews(append(req.GetReviews(), review))
		if state := verdict(req, review.ProposedState); state.IsResolved() {
			return resolve(req, state, review)
		}
		return nil
	})
}

// refusal says why author's review is not taken. That one has reviewed already is found before that the
// request is resolved already. The caller holds s.mu.
func (s *Server) refusal(req *types.AccessRequestV3, author string) error {
	if slices.ContainsFunc(req.GetReviews(), func(r types.AccessReview) bool { return r.Author == author }) {
		return trace.AccessDenied("user %q has already reviewed this request", author)
	}
	if !s.mayReview(author, req) {
		return trace.AccessDenied("user %q cannot review request %q", author, req.GetName())
	}
	if state := req.GetState(); state.IsResolved() {
		return trace.AccessDenied("the access request has been already %s", strings.ToLower(state.String()))
	}
	return nil
}

// verdict is the state that the reviews so far lead to, the last of which proposed the given one. Every
// threshold counts all reviews; a count of 0 in it means never. A promotion needs no count.
func verdict(req *types.AccessRequestV3, proposed types.RequestState) types.RequestState {
	if proposed.IsPromoted() {
		return proposed
	}
	var count uint32
	for _, r := range req.GetReviews() {
		if r.ProposedState == proposed {
			count++
		}
	}
	for _, t := range req.GetThresholds() {
		needed := t.Approve
		if proposed.IsDenied() {
			needed = t.Deny
		}
		if needed != 0 && count >= needed {
			return proposed
		}
	}
	return types.RequestState_PENDING
}

// resolve ends the review. From then on the request lives as long as the access that it gives.
func resolve(req *types.AccessRequestV3, state types.RequestState, by types.AccessReview) error {
	if err := req.SetState(state); err != nil {
		return err
	}
	req.SetResolveReason(by.Reason)
	req.SetExpiry(req.GetAccessExpiry())
	if by.AssumeStartTime != nil {
		req.SetAssumeStartTime(*by.AssumeStartTime)
	}
	if state.IsPromoted() {
		req.SetPromotedAccessListName("access-list")
		req.SetPromotedAccessListTitle("Access List")
	}
	return nil
}

// setState resolves a request by an admin's word. The caller holds s.mu.
func (s *Server) setState(id string, state types.RequestState, reason string) error {
	if !state.IsResolved() {
		return trace.BadParameter("cannot set request-state %q", state)
	}
	req, ok := s.requests[id]
	if !ok {
		return trace.NotFound("access request %q is not found", id)
	}
	_, err := s.change(req, func(req *types.AccessRequestV3) error {
		return resolve(req, state, types.AccessReview{Reason: reason})
	})
	return err
}
