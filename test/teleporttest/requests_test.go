package teleporttest

import (
	"slices"
	"testing"
	"time"

	"github.com/gravitational/teleport/api/client"
	"github.com/gravitational/teleport/api/client/proto"
	"github.com/gravitational/teleport/api/types"
	"github.com/gravitational/trace"
)

// list gives the IDs that the real client finds.
func list(t *testing.T, c *client.Client, filter types.AccessRequestFilter) []string {
	t.Helper()
	found, err := c.ListAllAccessRequests(brief(t), &proto.ListAccessRequestsRequest{Filter: &filter, Limit: 2})
	must(t, err)
	var ids []string
	for _, req := range found {
		ids = append(ids, req.GetName())
	}
	return ids
}

func createFive(s *Server) (ids []string) {
	for range 5 {
		ids = append(ids, s.CreateRequest(Request{User: engineer, Roles: []string{"prod"}}))
	}
	return ids
}

func TestListPagesInOrderOfCreation(t *testing.T) {
	s := start(t, Options{})
	want := createFive(s)
	if got := list(t, connect(t, s, plugin), types.AccessRequestFilter{}); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if n := s.Calls("ListAccessRequests"); n != 3 {
		t.Errorf("got %d pages of 2, want 3", n)
	}
}

func TestListPagesBackwards(t *testing.T) {
	s := start(t, Options{})
	want := createFive(s)
	slices.Reverse(want)
	found, err := connect(t, s, plugin).ListAllAccessRequests(brief(t), &proto.ListAccessRequestsRequest{Limit: 2, Descending: true})
	must(t, err)
	var got []string
	for _, req := range found {
		got = append(got, req.GetName())
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestListFilters(t *testing.T) {
	s := start(t, Options{})
	c := connect(t, s, plugin)
	pending := s.CreateRequest(Request{User: engineer, Roles: []string{"prod"}})
	approved := s.CreateRequest(Request{User: "carol@example.com", Roles: []string{"prod"}})
	must(t, s.SetState(approved, types.RequestState_APPROVED, ""))
	for name, row := range map[string]struct {
		filter types.AccessRequestFilter
		want   []string
	}{
		"everything":    {types.AccessRequestFilter{}, []string{pending, approved}},
		"by ID":         {types.AccessRequestFilter{ID: approved}, []string{approved}},
		"by unknown ID": {types.AccessRequestFilter{ID: "0197-unknown"}, nil},
		"by state":      {types.AccessRequestFilter{State: types.RequestState_PENDING}, []string{pending}},
		"by user":       {types.AccessRequestFilter{User: "carol@example.com"}, []string{approved}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := list(t, c, row.filter); !slices.Equal(got, row.want) {
				t.Errorf("got %v, want %v", got, row.want)
			}
		})
	}
}

func TestClientFallsBackWhenListingIsNotImplemented(t *testing.T) {
	s := start(t, Options{})
	want := createFive(s)
	s.Fail("ListAccessRequests", Fault{Times: Always, Err: trace.NotImplemented("unknown method")})
	if got := list(t, connect(t, s, plugin), types.AccessRequestFilter{}); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestEngineerCreatesARequestThroughTheClient(t *testing.T) {
	s := start(t, Options{})
	s.SetRole("prod", map[string][]string{"pagerduty_services": {"web", "api"}})
	s.SetRole("db", map[string][]string{"pagerduty_services": {"api"}, "team": {"storage"}})
	asked, err := types.NewAccessRequest("chosen-by-the-client", engineer, "prod", "db")
	must(t, err)
	asked.SetRequestReason("incident 17")
	asked.SetThresholds([]types.AccessReviewThreshold{{Approve: 9}})
	created, err := connect(t, s, engineer).CreateAccessRequestV2(brief(t), asked)
	must(t, err)

	if created.GetName() == "chosen-by-the-client" || s.Request(created.GetName()) == nil {
		t.Errorf("ID: got %s, want one chosen and stored by the server", created.GetName())
	}
	if got := created.GetThresholds(); len(got) != 1 || got[0].Approve != 1 {
		t.Errorf("thresholds: got %v, want the server's", got)
	}
	annotations := created.GetSystemAnnotations()
	if got := annotations["pagerduty_services"]; !slices.Equal(got, []string{"api", "web"}) {
		t.Errorf("merged annotation: got %v, want sorted api, web", got)
	}
	if got := annotations["team"]; !slices.Equal(got, []string{"storage"}) {
		t.Errorf("annotation of one role: got %v", got)
	}
	if created.GetRequestReason() != "incident 17" || !created.GetState().IsPending() || created.GetCreationTime().IsZero() {
		t.Errorf("got %v", created)
	}
}

func TestNobodyCreatesRequestsForOthers(t *testing.T) {
	s := start(t, Options{})
	asked, err := types.NewAccessRequest("x", "carol@example.com", "prod")
	must(t, err)
	if _, err := connect(t, s, engineer).CreateAccessRequestV2(brief(t), asked); !trace.IsAccessDenied(err) {
		t.Errorf("got %v, want access denied", err)
	}
}

func TestDryRunIsNotStored(t *testing.T) {
	s := start(t, Options{})
	asked, err := types.NewAccessRequest("x", engineer, "prod")
	must(t, err)
	asked.SetDryRun(true)
	created, err := connect(t, s, engineer).CreateAccessRequestV2(brief(t), asked)
	must(t, err)
	if s.Request(created.GetName()) != nil {
		t.Error("a dry run is stored")
	}
}

func TestTimesOfARequest(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	s := start(t, Options{Now: func() time.Time { return now }})
	at := now.Add
	day := 24 * time.Hour
	for name, row := range map[string]struct {
		request        Request
		review, access time.Time
	}{
		"by default both end with the login":   {Request{}, at(12 * time.Hour), at(12 * time.Hour)},
		"a long access is reviewed for a week": {Request{MaxDuration: 10 * day}, at(7 * day), at(10 * day)},
		"access ends after two weeks":          {Request{MaxDuration: 30 * day}, at(7 * day), at(14 * day)},
		"what is given holds":                  {Request{Expiry: at(time.Hour), AccessExpiry: at(2 * time.Hour)}, at(time.Hour), at(2 * time.Hour)},
	} {
		t.Run(name, func(t *testing.T) {
			row.request.User, row.request.Roles = engineer, []string{"prod"}
			got := s.Request(s.CreateRequest(row.request))
			if !got.Expiry().Equal(row.review) || !got.GetAccessExpiry().Equal(row.access) {
				t.Errorf("got review until %v and access until %v, want %v and %v", got.Expiry(), got.GetAccessExpiry(), row.review, row.access)
			}
		})
	}
}

func TestResolvedRequestLivesAsLongAsItsAccess(t *testing.T) {
	s := start(t, Options{})
	id := s.CreateRequest(Request{User: engineer, Roles: []string{"prod"}, MaxDuration: 10 * 24 * time.Hour})
	must(t, s.Review(id, reviewer, types.RequestState_APPROVED, ""))
	if got := s.Request(id); !got.Expiry().Equal(got.GetAccessExpiry()) {
		t.Errorf("got %v, want %v", got.Expiry(), got.GetAccessExpiry())
	}
}

func TestExpiredRequestIsHiddenUntilItIsSwept(t *testing.T) {
	now := time.Now()
	s := start(t, Options{Now: func() time.Time { return now }})
	c := connect(t, s, plugin)
	id := s.CreateRequest(Request{User: engineer, Roles: []string{"prod"}, Expiry: now.Add(time.Hour)})
	stays := s.CreateRequest(Request{User: engineer, Roles: []string{"prod"}})
	if n := s.SweepExpired(); n != 0 {
		t.Errorf("swept %d before the time, want 0", n)
	}
	now = now.Add(time.Hour)
	if got := list(t, c, types.AccessRequestFilter{}); !slices.Equal(got, []string{stays}) {
		t.Errorf("listed: got %v, want only %s", got, stays)
	}
	if s.Request(id) == nil {
		t.Error("the request is gone before the sweep")
	}
	if n := s.SweepExpired(); n != 1 || s.Request(id) != nil || s.Request(stays) == nil {
		t.Errorf("swept %d, want 1", n)
	}
}

func TestOnlyAdminsSetStateAndDelete(t *testing.T) {
	s := start(t, Options{})
	id := s.CreateRequest(Request{User: engineer, Roles: []string{"prod"}})
	deny := types.AccessRequestUpdate{RequestID: id, State: types.RequestState_DENIED, Reason: "no"}
	anybody, admin := connect(t, s, reviewer), connect(t, s, "root", AdminRole)

	if err := anybody.SetAccessRequestState(brief(t), deny); !trace.IsAccessDenied(err) {
		t.Errorf("setting the state: got %v, want access denied", err)
	}
	if err := anybody.DeleteAccessRequest(brief(t), id); !trace.IsAccessDenied(err) {
		t.Errorf("deleting: got %v, want access denied", err)
	}
	must(t, admin.SetAccessRequestState(brief(t), deny))
	if got := s.Request(id); !got.GetState().IsDenied() || got.GetResolveReason() != "no" {
		t.Errorf("got %v %q", got.GetState(), got.GetResolveReason())
	}
	if err := s.SetState(id, types.RequestState_APPROVED, ""); !trace.IsBadParameter(err) {
		t.Errorf("approving a denied request: got %v, want bad parameter", err)
	}
	must(t, admin.DeleteAccessRequest(brief(t), id))
	if err := admin.DeleteAccessRequest(brief(t), id); !trace.IsNotFound(err) {
		t.Errorf("deleting again: got %v, want not found", err)
	}
}

func TestWithoutTheRightToReadAListShowsWhatOneMayReview(t *testing.T) {
	s := start(t, Options{})
	c := connect(t, s, reviewer)
	mine := s.CreateRequest(Request{User: reviewer, Roles: []string{"prod"}})
	ours := s.CreateRequest(Request{User: engineer, Roles: []string{"prod"}})
	theirs := s.CreateRequest(Request{User: engineer, Roles: []string{"prod", "root"}})

	s.LimitReviews(reviewer, "prod")
	if got, want := list(t, c, types.AccessRequestFilter{}), []string{mine, ours, theirs}; !slices.Equal(got, want) {
		t.Errorf("with the right: got %v, want %v", got, want)
	}
	s.Deny(reviewer, ReadRequests)
	if got, want := list(t, c, types.AccessRequestFilter{}), []string{mine, ours}; !slices.Equal(got, want) {
		t.Errorf("without it: got %v, want %v", got, want)
	}
}
