package teleport

import (
	"maps"
	"slices"
	"time"

	"github.com/gravitational/teleport/api/types"

	"github.com/pdhook/pdhook/internal/access"
)

// requestOf puts a request into the words of the domain. Nothing of it is shared with r.
func requestOf(r types.AccessRequest) access.Request {
	req := access.Request{
		ID:            access.RequestID(r.GetName()),
		User:          r.GetUser(),
		Roles:         slices.Sorted(slices.Values(r.GetRoles())),
		State:         stateOf(r.GetState()),
		Reason:        r.GetRequestReason(),
		ResolveReason: r.GetResolveReason(),
		Created:       known(r.GetCreationTime()),
		Expires:       known(r.Expiry()),
		AccessExpires: known(r.GetAccessExpiry()),
		Annotations:   annotationsOf(r.GetSystemAnnotations()),

		SuggestedReviewers: slices.Clone(r.GetSuggestedReviewers()),
	}
	if start := r.GetAssumeStartTime(); start != nil {
		req.AssumeStart = known(*start)
	}
	for _, id := range r.GetRequestedResourceIDs() {
		req.Resources = append(req.Resources, types.ResourceIDToString(id))
	}
	for _, v := range r.GetReviews() {
		req.Reviews = append(req.Reviews, access.Review{
			Author: v.Author, State: stateOf(v.ProposedState), Reason: v.Reason, Time: known(v.Created),
		})
	}
	return req
}

func requestsOf(list []*types.AccessRequestV3) []access.Request {
	requests := make([]access.Request, 0, len(list))
	for _, r := range list {
		requests = append(requests, requestOf(r))
	}
	return requests
}

// stateOf gives Teleport's own name for a state that pdhook does not know: it is nobody's approval.
func stateOf(s types.RequestState) access.State {
	switch s {
	case types.RequestState_PENDING:
		return access.Pending
	case types.RequestState_APPROVED:
		return access.Approved
	case types.RequestState_DENIED:
		return access.Denied
	case types.RequestState_PROMOTED:
		return access.Promoted
	}
	return access.State(s.String())
}

// proposed gives the state that a review can propose, and false for any other.
func proposed(s access.State) (types.RequestState, bool) {
	switch s {
	case access.Approved:
		return types.RequestState_APPROVED, true
	case access.Denied:
		return types.RequestState_DENIED, true
	}
	return types.RequestState_NONE, false
}

// known maps both of Teleport's ways to say "no time", zero and the Unix epoch, to zero.
func known(t time.Time) time.Time {
	if t.IsZero() || t.Unix() == 0 {
		return time.Time{}
	}
	return t.UTC()
}

func annotationsOf(m map[string][]string) map[string][]string {
	annotations := maps.Clone(m)
	for name, values := range annotations {
		annotations[name] = slices.Clone(values)
	}
	return annotations
}
