package teleporttest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gravitational/teleport/api/mfa"
	"github.com/gravitational/teleport/api/types"
	"github.com/gravitational/trace"
)

func approval(id string) types.AccessReviewSubmission {
	return types.AccessReviewSubmission{RequestID: id, Review: types.AccessReview{ProposedState: types.RequestState_APPROVED, Reason: "on call"}}
}

func TestReviewIsTheCallersAndResolves(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	s := start(t, Options{Now: func() time.Time { return now }})
	id := s.CreateRequest(Request{User: engineer, Roles: []string{"prod"}})
	got, err := connect(t, s, plugin).SubmitAccessReview(brief(t), approval(id))
	must(t, err)
	if !got.GetState().IsApproved() || got.GetResolveReason() != "on call" {
		t.Errorf("got %v %q, want approved on call", got.GetState(), got.GetResolveReason())
	}
	reviews := got.GetReviews()
	if len(reviews) != 1 || reviews[0].Author != plugin || !reviews[0].Created.Equal(now) {
		t.Errorf("got %+v, want one of the caller with the server's time", reviews)
	}
	must(t, s.AwaitState(t.Context(), id, types.RequestState_APPROVED))
}

// TestRefusedReviews has a row for every refusal; all of them leave the request as it was.
func TestRefusedReviews(t *testing.T) {
	const other = "carol@example.com"
	twoNeeded := []types.AccessReviewThreshold{{Approve: 2, Deny: 1}}
	review := func(s *Server, id, author string, state types.RequestState) error {
		return s.Review(id, author, state, "")
	}
	for name, row := range map[string]struct {
		user    string // of the request; default the engineer
		before  func(s *Server, id string) error
		edit    func(*types.AccessReviewSubmission)
		want    string // ID stands for the request
		refusal func(error) bool
	}{
		"author is somebody else": {
			edit: func(r *types.AccessReviewSubmission) { r.Review.Author = other },
			want: `user "access-plugin" cannot submit reviews on behalf of "carol@example.com"`, refusal: trace.IsAccessDenied,
		},
		"own request": {
			user: plugin,
			want: `user "access-plugin" cannot review request "ID"`, refusal: trace.IsAccessDenied,
		},
		"roles do not match": {
			before: func(s *Server, _ string) error { s.LimitReviews(plugin, "staging"); return nil },
			want:   `user "access-plugin" cannot review request "ID"`, refusal: trace.IsAccessDenied,
		},
		"no right to review": {
			before: func(s *Server, _ string) error { s.Deny(plugin, ReviewRequests); return nil },
			want:   `user "access-plugin" cannot submit reviews`, refusal: trace.IsAccessDenied,
		},
		"already reviewed": {
			before: func(s *Server, id string) error { return review(s, id, plugin, types.RequestState_APPROVED) },
			want:   `user "access-plugin" has already reviewed this request`, refusal: trace.IsAccessDenied,
		},
		"already reviewed, then resolved": {
			before: func(s *Server, id string) error {
				return errors.Join(review(s, id, plugin, types.RequestState_APPROVED), review(s, id, other, types.RequestState_APPROVED))
			},
			want: `user "access-plugin" has already reviewed this request`, refusal: trace.IsAccessDenied,
		},
		"already approved": {
			before: func(s *Server, id string) error { return s.SetState(id, types.RequestState_APPROVED, "") },
			want:   `the access request has been already approved`, refusal: trace.IsAccessDenied,
		},
		"already denied": {
			before: func(s *Server, id string) error { return review(s, id, other, types.RequestState_DENIED) },
			want:   `the access request has been already denied`, refusal: trace.IsAccessDenied,
		},
		"already promoted": {
			before: func(s *Server, id string) error { return review(s, id, other, types.RequestState_PROMOTED) },
			want:   `the access request has been already promoted`, refusal: trace.IsAccessDenied,
		},
		"gone": {
			before: func(s *Server, id string) error { return s.Expire(id) },
			want:   `cannot apply review to access request "ID" (not found)`, refusal: trace.IsNotFound,
		},
		"promotion": {
			edit: func(r *types.AccessReviewSubmission) { r.Review.ProposedState = types.RequestState_PROMOTED },
			want: `cannot promote access request "ID" by review`, refusal: trace.IsBadParameter,
		},
		"no state": {
			edit: func(r *types.AccessReviewSubmission) { r.Review.ProposedState = types.RequestState_PENDING },
			want: `invalid review state "PENDING"`, refusal: trace.IsBadParameter,
		},
		"long reason": {
			edit: func(r *types.AccessReviewSubmission) { r.Review.Reason = strings.Repeat("x", 4097) },
			want: `access review reason is too long, max 4096 bytes`, refusal: trace.IsBadParameter,
		},
		"roles of its own": {
			edit: func(r *types.AccessReviewSubmission) { r.Review.Roles = []string{"prod"} },
			want: `review roles and annotations are not supported`, refusal: trace.IsNotImplemented,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, Options{Thresholds: twoNeeded})
			if row.user == "" {
				row.user = engineer
			}
			id := s.CreateRequest(Request{User: row.user, Roles: []string{"prod"}})
			if row.before != nil {
				must(t, row.before(s, id))
			}
			before := s.Request(id)
			submission := approval(id)
			if row.edit != nil {
				row.edit(&submission)
			}
			_, err := connect(t, s, plugin).SubmitAccessReview(brief(t), submission)
			want := strings.ReplaceAll(row.want, "ID", id)
			if err == nil || err.Error() != want || !row.refusal(err) {
				t.Errorf("got  %v (%T)\nwant %s", err, trace.Unwrap(err), want)
			}
			if after := s.Request(id); before != nil && len(after.GetReviews()) != len(before.GetReviews()) {
				t.Errorf("got %d reviews, want %d", len(after.GetReviews()), len(before.GetReviews()))
			}
		})
	}
}

func TestThresholdsDecide(t *testing.T) {
	const yes, no = types.RequestState_APPROVED, types.RequestState_DENIED
	for name, row := range map[string]struct {
		thresholds []types.AccessReviewThreshold
		reviews    []types.RequestState
		want       types.RequestState
	}{
		"one approval is enough by default":   {nil, []types.RequestState{yes}, yes},
		"one denial is enough by default":     {nil, []types.RequestState{no}, no},
		"one approval of two":                 {[]types.AccessReviewThreshold{{Approve: 2, Deny: 1}}, []types.RequestState{yes}, types.RequestState_PENDING},
		"two approvals of two":                {[]types.AccessReviewThreshold{{Approve: 2, Deny: 1}}, []types.RequestState{yes, yes}, yes},
		"a denial after an approval":          {[]types.AccessReviewThreshold{{Approve: 2, Deny: 1}}, []types.RequestState{yes, no}, no},
		"one denial of two":                   {[]types.AccessReviewThreshold{{Approve: 1, Deny: 2}}, []types.RequestState{no}, types.RequestState_PENDING},
		"zero means never":                    {[]types.AccessReviewThreshold{{Approve: 1}}, []types.RequestState{no, no}, types.RequestState_PENDING},
		"the lowest of several":               {[]types.AccessReviewThreshold{{Approve: 3}, {Approve: 2}}, []types.RequestState{yes, yes}, yes},
		"a promotion needs no threshold":      {[]types.AccessReviewThreshold{{Approve: 9, Deny: 9}}, []types.RequestState{types.RequestState_PROMOTED}, types.RequestState_PROMOTED},
		"approvals and denials do not add up": {[]types.AccessReviewThreshold{{Approve: 2, Deny: 2}}, []types.RequestState{yes, no}, types.RequestState_PENDING},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := New(Options{})
			must(t, err)
			id := s.CreateRequest(Request{User: engineer, Roles: []string{"prod"}, Thresholds: row.thresholds})
			for i, state := range row.reviews {
				must(t, s.Review(id, string(rune('a'+i)), state, ""))
			}
			if got := s.Request(id).GetState(); got != row.want {
				t.Errorf("got %v, want %v", got, row.want)
			}
		})
	}
}

func TestApprovedRequestCanBeDeniedByAnAdmin(t *testing.T) {
	s, err := New(Options{})
	must(t, err)
	id := s.CreateRequest(Request{User: engineer, Roles: []string{"prod"}})
	must(t, s.Review(id, reviewer, types.RequestState_APPROVED, "fine"))
	must(t, s.SetState(id, types.RequestState_DENIED, "not fine"))
	if got := s.Request(id); !got.GetState().IsDenied() || got.GetResolveReason() != "not fine" {
		t.Errorf("got %v %q", got.GetState(), got.GetResolveReason())
	}
}

func TestOnlyOneOfManySimultaneousReviewsOfAUserIsTaken(t *testing.T) {
	s := start(t, Options{Thresholds: []types.AccessReviewThreshold{{Approve: 100}}})
	c := connect(t, s, plugin)
	id := s.CreateRequest(Request{User: engineer, Roles: []string{"prod"}})
	errs := inParallel(10, func(int) error { _, err := c.SubmitAccessReview(brief(t), approval(id)); return err })
	if won := len(slices.DeleteFunc(errs, func(err error) bool { return err != nil })); won != 1 {
		t.Errorf("%d reviews were taken, want 1", won)
	}
}

func TestReviewIsAnAdminActionWhereMFAIsRequired(t *testing.T) {
	s := start(t, Options{})
	s.Switch(func(sw *Switches) { sw.RequireMFA = true })
	id := s.CreateRequest(Request{User: engineer, Roles: []string{"prod"}})
	_, err := connect(t, s, plugin).SubmitAccessReview(brief(t), approval(id))
	if !trace.IsAccessDenied(err) || !errors.Is(err, &mfa.ErrAdminActionMFARequired) {
		t.Errorf("got %v, want %v", err, &mfa.ErrAdminActionMFARequired)
	}
}

func TestAwaitGivesUpWithItsContext(t *testing.T) {
	s, err := New(Options{})
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.AwaitWatchers(ctx, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}
