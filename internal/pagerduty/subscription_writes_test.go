package pagerduty

import (
	"errors"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/test/pagerdutytest"
)

// wantedSubscription is one that is not in use yet.
func wantedSubscription() access.Subscription {
	return access.Subscription{
		URL: "https://pdhook.example.com/hook", Description: access.UnfinishedSubscription,
		Filter: access.SubscriptionFilter{Kind: access.FilterAccount}, EventTypes: []string{"incident.resolved", "service.updated"},
	}
}

func TestCreatingASubscriptionGivesItsSecretWhichNothingShowsAgain(t *testing.T) {
	a := newAccount(t, pagerdutytest.Options{})
	made, secret, err := a.client.CreateSubscription(t.Context(), wantedSubscription())
	if err != nil {
		t.Fatal(err)
	}
	kept := a.Subscriptions()[0]
	if secret == "" || secret != kept.Secret || string(made.ID) != kept.ID || !made.Unfinished() || !kept.Inactive {
		t.Errorf("got %+v and a secret of %d bytes, want what PagerDuty has, inactive: %+v", made, len(secret), kept.ID)
	}
	if !slices.Equal(kept.Events, wantedSubscription().EventTypes) || kept.URL != "https://pdhook.example.com/hook" {
		t.Errorf("PagerDuty has %q to %s", kept.Events, kept.URL)
	}
}

func TestACreationThatIsNotSeenToEndIsUnclear(t *testing.T) {
	a := newAccount(t, pagerdutytest.Options{})
	a.Fault(pagerdutytest.Fault{Kind: pagerdutytest.ResetAfter, Route: "POST /webhook_subscriptions", Times: 1})
	if _, _, err := a.client.CreateSubscription(t.Context(), wantedSubscription()); !access.IsUnclear(err) || len(a.Subscriptions()) != 1 {
		t.Errorf("the answer was lost: got %v and %d subscriptions, want that it is unclear, and no second try", err, len(a.Subscriptions()))
	}
	for _, body := range []string{
		`{}`, `{"webhook_subscription":{"id":"P1","delivery_method":{"secret":null}}}`,
		`{"webhook_subscription":{"id":"","delivery_method":{"secret":"s"}}}`,
	} {
		if _, _, err := always(200, body).start(t).CreateSubscription(t.Context(), wantedSubscription()); !access.IsUnclear(err) {
			t.Errorf("%s: got %v, want that it is unclear", body, err)
		}
	}
}

func TestAnEleventhSubscriptionMeetsTheLimit(t *testing.T) {
	a := newAccount(t, pagerdutytest.Options{})
	for range 10 {
		if _, _, err := a.client.CreateSubscription(t.Context(), wantedSubscription()); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := a.client.CreateSubscription(t.Context(), wantedSubscription()); !errors.Is(err, access.ErrLimit) || !access.IsPermanent(err) {
		t.Errorf("got %v, want access.ErrLimit", err)
	}
	ofService := wantedSubscription()
	ofService.Filter = access.SubscriptionFilter{Kind: access.FilterService, ID: a.payments.ID}
	if _, _, err := a.client.CreateSubscription(t.Context(), ofService); err != nil {
		t.Errorf("a service has a limit of its own: got %v", err)
	}
}

func TestASubscriptionIsUpdatedPingedAndDeleted(t *testing.T) {
	a := newAccount(t, pagerdutytest.Options{})
	team := a.AddTeam("Payments")
	s, _, err := a.client.CreateSubscription(t.Context(), wantedSubscription())
	if err != nil {
		t.Fatal(err)
	}
	s.Description, s.Active, s.EventTypes = "pdhook", true, []string{"incident.triggered"}
	s.Filter = access.SubscriptionFilter{Kind: access.FilterTeam, ID: team.ID}
	for range 2 { // again is harmless
		if err := a.client.UpdateSubscription(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	kept := a.Subscriptions()[0]
	if kept.Inactive || kept.Description != "pdhook" || kept.Team != team.ID || !slices.Equal(kept.Events, s.EventTypes) {
		t.Errorf("PagerDuty has %+v", kept)
	}
	if at, err := a.client.PingSubscription(t.Context(), s.ID); err != nil || time.Since(at).Abs() > time.Minute {
		t.Errorf("pinging: got %s, %v", at, err)
	}
	if d := a.Deliveries(); len(d) != 1 || d[0].EventType != "pagey.ping" {
		t.Errorf("got the deliveries %v, want a ping", d)
	}
	if err := a.client.DeleteSubscription(t.Context(), s.ID); err != nil || len(a.Subscriptions()) != 0 {
		t.Errorf("deleting: got %v and %d subscriptions", err, len(a.Subscriptions()))
	}
	_, pinging := a.client.PingSubscription(t.Context(), s.ID)
	for what, err := range map[string]error{
		"update": a.client.UpdateSubscription(t.Context(), s), "delete": a.client.DeleteSubscription(t.Context(), s.ID), "ping": pinging,
	} {
		if !errors.Is(err, access.ErrNotFound) {
			t.Errorf("%s of what is gone: got %v, want not found", what, err)
		}
	}
}

func TestAnUpdateThatPagerDutyDidNotMakeIsNoSuccess(t *testing.T) {
	s := wantedSubscription()
	s.ID = "P1"
	for what, body := range map[string]string{
		"another one":       `{"webhook_subscription":{"id":"P2","active":false,"description":"pdhook: being set up, not in use","events":["service.updated","incident.resolved"],"filter":{"type":"account_reference"}}}`,
		"still active":      `{"webhook_subscription":{"id":"P1","active":true,"description":"pdhook: being set up, not in use","events":["service.updated","incident.resolved"],"filter":{"type":"account_reference"}}}`,
		"other event types": `{"webhook_subscription":{"id":"P1","active":false,"description":"pdhook: being set up, not in use","events":["service.updated"],"filter":{"type":"account_reference"}}}`,
		"another filter":    `{"webhook_subscription":{"id":"P1","active":false,"description":"pdhook: being set up, not in use","events":["service.updated","incident.resolved"],"filter":{"type":"team_reference","id":"PT"}}}`,
		"nothing":           `{}`,
	} {
		if err := always(200, body).start(t).UpdateSubscription(t.Context(), s); !access.IsUnclear(err) {
			t.Errorf("%s: got %v, want that it is unclear", what, err)
		}
	}
	as := `{"webhook_subscription":{"id":"P1","active":false,"description":"pdhook: being set up, not in use","events":["service.updated","incident.resolved"],"filter":{"type":"account_reference","id":"PACCOUNT"}}}`
	if err := always(200, as).start(t).UpdateSubscription(t.Context(), s); err != nil {
		t.Errorf("as ordered: got %v", err)
	}
}

func TestNoSubscriptionIsAskedForWithoutAnID(t *testing.T) {
	a := newAccount(t, pagerdutytest.Options{})
	before := a.CountRequests("")
	_, pinging := a.client.PingSubscription(t.Context(), "")
	for _, err := range []error{
		pinging, a.client.DeleteSubscription(t.Context(), "P1/../../services"), a.client.UpdateSubscription(t.Context(), access.Subscription{}),
	} {
		if !access.IsPermanent(err) {
			t.Errorf("got %v, want a permanent error", err)
		}
	}
	if n := a.CountRequests(""); n != before {
		t.Errorf("%d requests were made", n-before)
	}
}

func TestATeamIsFoundByItsWholeNameOrItsID(t *testing.T) {
	a := newAccount(t, pagerdutytest.Options{})
	a.AddTeam("Payments EU")
	want := a.AddTeam("Payments")
	for _, ref := range []string{"Payments", "pAyments", "id:" + want.ID} {
		if got, err := a.client.Team(t.Context(), ref); err != nil || got.ID != want.ID || got.Name != "Payments" {
			t.Errorf("%s: got %+v, %v", ref, got, err)
		}
	}
	for _, ref := range []string{"Pay", "id:PGONE", "id:../users/me"} {
		if got, err := a.client.Team(t.Context(), ref); !errors.Is(err, access.ErrNotFound) {
			t.Errorf("%s: got %+v, %v, want not found", ref, got, err)
		}
	}
	a.AddTeam("PAYMENTS")
	_, err := a.client.Team(t.Context(), "Payments")
	if _, ambiguous := errors.AsType[*access.AmbiguousError](err); !ambiguous {
		t.Errorf("got %v, want that the name is ambiguous", err)
	}
	if _, err := a.client.Team(t.Context(), " "); !access.IsPermanent(err) {
		t.Errorf("an empty name: got %v", err)
	}
	a.Fault(pagerdutytest.Fault{Kind: pagerdutytest.Status, Route: "GET /teams", Status: http.StatusForbidden})
	if _, err := a.client.Team(t.Context(), "Payments"); !errors.Is(err, access.ErrDenied) || a.client.Status().LastError != "" {
		t.Errorf("got %v, want denied, and no trouble with PagerDuty", err)
	}
}
