package teleport

import (
	"reflect"
	"testing"
	"time"

	"github.com/gravitational/teleport/api/types"

	"github.com/pdhook/pdhook/internal/access"
)

func TestARequestIsConvertedWhole(t *testing.T) {
	at := func(hour int) time.Time { return time.Date(2026, 1, 2, hour, 0, 0, 0, time.UTC) }
	r, err := types.NewAccessRequestWithResources("r1", "alice@example.com", []string{"b", "a"},
		[]types.ResourceID{{ClusterName: "c", Kind: "node", Name: "n"}})
	if err != nil {
		t.Fatal(err)
	}
	annotations := map[string][]string{"pagerduty_services": {"payments"}}
	r.SetCreationTime(at(1))
	r.SetExpiry(at(2))
	r.SetAccessExpiry(at(3))
	r.SetAssumeStartTime(at(4))
	r.SetRequestReason("on fire")
	r.SetResolveReason("fine")
	r.SetSystemAnnotations(annotations)
	reviewers := []string{"bob", "team-leads"}
	r.SetSuggestedReviewers(reviewers)
	r.SetReviews([]types.AccessReview{
		{Author: "bob", ProposedState: types.RequestState_APPROVED, Reason: "ok", Created: at(5)},
		{Author: "ann", ProposedState: types.RequestState_DENIED, Created: at(6)},
	})
	if err := r.SetState(types.RequestState_DENIED); err != nil {
		t.Fatal(err)
	}
	want := access.Request{
		ID: "r1", User: "alice@example.com", Roles: []string{"a", "b"}, Resources: []string{"/c/node/n"},
		State: access.Denied, Reason: "on fire", ResolveReason: "fine",
		Created: at(1), Expires: at(2), AccessExpires: at(3), AssumeStart: at(4),
		Annotations: map[string][]string{"pagerduty_services": {"payments"}},
		Reviews: []access.Review{
			{Author: "bob", State: access.Approved, Reason: "ok", Time: at(5)},
			{Author: "ann", State: access.Denied, Time: at(6)},
		},
		SuggestedReviewers: []string{"bob", "team-leads"},
	}
	got := requestOf(r)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	annotations["pagerduty_services"][0] = "changed"
	if got.Annotations["pagerduty_services"][0] != "payments" {
		t.Error("annotations are shared with Teleport's object")
	}
	reviewers[0] = "changed"
	if got.SuggestedReviewers[0] != "bob" {
		t.Error("suggested reviewers are shared with Teleport's object")
	}
}

func TestWhatARequestDoesNotSayStaysZero(t *testing.T) {
	got := requestOf(&types.AccessRequestV3{})
	if !got.Created.IsZero() || !got.Expires.IsZero() || !got.AccessExpires.IsZero() || !got.AssumeStart.IsZero() {
		t.Errorf("times are not zero: %+v", got)
	}
	if got.State == access.Pending || got.State == access.Approved {
		t.Errorf("state of a request without one: %q", got.State)
	}
}

func TestStatesKeepTheirNames(t *testing.T) {
	for from, want := range map[types.RequestState]access.State{
		types.RequestState_PENDING:  access.Pending,
		types.RequestState_APPROVED: access.Approved,
		types.RequestState_DENIED:   access.Denied,
		types.RequestState_PROMOTED: access.Promoted,
		types.RequestState(99):      "99",
	} {
		if got := stateOf(from); got != want {
			t.Errorf("%v: got %q, want %q", from, got, want)
		}
	}
}

func TestEventsThatTellNothingOfRequestsAndRulesAreLeftOut(t *testing.T) {
	for name, event := range map[string]types.Event{
		"put without resource":    {Type: types.OpPut},
		"put of something else":   {Type: types.OpPut, Resource: &types.ResourceHeader{Kind: types.KindUser}},
		"delete without resource": {Type: types.OpDelete},
		"delete of something else": {Type: types.OpDelete,
			Resource: &types.ResourceHeader{Kind: types.KindUser, Metadata: types.Metadata{Name: "alice"}}},
	} {
		if got, ok := changeOf(event); ok {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}
