package pagerduty

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/test/pagerdutytest"
)

func TestSubscriptionsAreListedWithoutWhatMayBeASecret(t *testing.T) {
	a := newAccount(t, pagerdutytest.Options{})
	a.Subscribe(pagerdutytest.Subscription{URL: "https://user:s3cret@pdhook.example.com:8443/a%20b/hook?token=s3cret#s3cret", Events: []string{"incident.resolved"},
		Headers: map[string]string{"X-Key": "s3cret"}})
	a.Subscribe(pagerdutytest.Subscription{URL: "https://other.example.com", Events: []string{"service.updated"}, Inactive: true, Service: "P000001", Description: "staging"})
	a.DisableSubscription(a.Subscribe(pagerdutytest.Subscription{URL: "https://s3cret:\x7f", Events: []string{"service.updated"}}).ID)
	got, err := a.client.Subscriptions(t.Context())
	if err != nil || len(got) != 3 {
		t.Fatalf("got %+v, %v", got, err)
	}
	account := access.SubscriptionFilter{Kind: access.FilterAccount}
	for i, want := range []access.Subscription{
		{URL: "https://pdhook.example.com:8443/a%20b/hook", Path: "/a b/hook", Active: true, EventTypes: []string{"incident.resolved"}, Filter: account, Extras: "custom headers"},
		{URL: "https://other.example.com", Path: "/", EventTypes: []string{"service.updated"}, Description: "staging", Filter: access.SubscriptionFilter{Kind: access.FilterService, ID: "P000001"}},
		{Active: true, Disabled: true, EventTypes: []string{"service.updated"}, Filter: account},
	} {
		want.ID = access.SubscriptionID(a.Subscriptions()[i].ID)
		if fmt.Sprintf("%+v", got[i]) != fmt.Sprintf("%+v", want) {
			t.Errorf("got  %+v\nwant %+v", got[i], want)
		}
	}
	if strings.Contains(fmt.Sprintf("%+v", got), "s3cret") {
		t.Errorf("a secret is told: %+v", got)
	}
}

func TestAllPagesOfSubscriptionsAreRead(t *testing.T) {
	a := newAccount(t, pagerdutytest.Options{})
	for range 201 {
		a.Subscribe(pagerdutytest.Subscription{URL: "https://pdhook.example.com/hook", Events: []string{"incident.resolved"}})
	}
	if got, err := a.client.Subscriptions(t.Context()); err != nil || len(got) != 201 {
		t.Errorf("got %d subscriptions, %v, want 201", len(got), err)
	}
	a.Fault(pagerdutytest.Fault{Kind: pagerdutytest.LosePage, Route: "GET /webhook_subscriptions"})
	if got, err := a.client.Subscriptions(t.Context()); err == nil || access.IsPermanent(err) {
		t.Errorf("a lost page: got %d subscriptions, %v, want that it cannot be told", len(got), err)
	}
}

func TestOddSubscriptionsAreLeftOutOrReadAsDocumented(t *testing.T) {
	hook := object{"type": "http_delivery_method", "url": "https://pdhook.example.com/hook"}
	f := paged("webhook_subscriptions", 100,
		object{"id": "PMAIL", "delivery_method": object{"type": "smtp_delivery_method", "url": "https://pdhook.example.com/hook"}},
		object{"id": "../users/me", "delivery_method": hook},
		object{"id": "PDEFAULT", "delivery_method": hook},
		object{"id": "PNOTHING"},
	)
	got, err := f.start(t).Subscriptions(t.Context())
	if err != nil || len(got) != 1 || got[0].ID != "PDEFAULT" || !got[0].Active || got[0].Disabled {
		t.Errorf("got %+v, %v, want PDEFAULT, which is active as it shows nothing else", got, err)
	}
	for _, body := range []string{`{}`, `{"webhook_subscriptions":null}`, `{"webhook_subscriptions":[{"id":1}],"more":false,"offset":0,"limit":100}`} {
		if got, err := always(200, body).start(t).Subscriptions(t.Context()); err == nil {
			t.Errorf("%s: got %+v, want an error", body, got)
		}
	}
}

func TestEnablingASubscription(t *testing.T) {
	a := newAccount(t, pagerdutytest.Options{})
	sub := a.Subscribe(pagerdutytest.Subscription{URL: "https://pdhook.example.com/hook", Events: []string{"incident.resolved"}})
	id := access.SubscriptionID(sub.ID)
	for range 2 { // again is harmless
		a.DisableSubscription(sub.ID)
		if err := a.client.EnableSubscription(t.Context(), id); err != nil || a.TemporarilyDisabled(sub.ID) {
			t.Errorf("got %v, disabled: %v", err, a.TemporarilyDisabled(sub.ID))
		}
	}
	a.DisableSubscription(sub.ID)
	a.Fault(pagerdutytest.Fault{Kind: pagerdutytest.ResetAfter, Route: "POST /webhook_subscriptions/{id}/enable", Times: 1})
	if err := a.client.EnableSubscription(t.Context(), id); !access.IsUnclear(err) || access.IsPermanent(err) || a.TemporarilyDisabled(sub.ID) {
		t.Errorf("the answer was lost: got %v, disabled: %v, want that it is unclear", err, a.TemporarilyDisabled(sub.ID))
	}
	before := a.CountRequests("")
	if err := a.client.EnableSubscription(t.Context(), "P1/../P2"); !access.IsPermanent(err) || a.CountRequests("") != before {
		t.Errorf("no ID: got %v, want that nothing is asked", err)
	}
	if err := a.client.EnableSubscription(t.Context(), "PGONE"); !errors.Is(err, access.ErrNotFound) {
		t.Errorf("gone: got %v, want not found", err)
	}
	for _, body := range []string{
		`{}`, `{"webhook_subscription":{"id":"POTHER","delivery_method":{}}}`,
		`{"webhook_subscription":{"id":"P1","delivery_method":{"temporarily_disabled":true}}}`,
	} {
		if err := always(200, body).start(t).EnableSubscription(t.Context(), "P1"); !access.IsUnclear(err) {
			t.Errorf("%s: got %v, want that it is unclear", body, err)
		}
	}
}

func TestAKeyWithoutRightsOnSubscriptionsIsNoTroubleWithPagerDuty(t *testing.T) {
	a := newAccount(t, pagerdutytest.Options{})
	a.Fault(pagerdutytest.Fault{Kind: pagerdutytest.Status, Route: "GET /webhook_subscriptions", Status: http.StatusForbidden})
	a.Fault(pagerdutytest.Fault{Kind: pagerdutytest.Status, Route: "POST /webhook_subscriptions/{id}/enable", Status: http.StatusForbidden})
	if _, err := a.client.Subscriptions(t.Context()); !errors.Is(err, access.ErrDenied) || !access.IsPermanent(err) {
		t.Errorf("got %v, want denied", err)
	}
	if err := a.client.EnableSubscription(t.Context(), "P1"); !errors.Is(err, access.ErrDenied) {
		t.Errorf("got %v, want denied", err)
	}
	if s := a.client.Status(); s.LastError != "" || !s.Reachable {
		t.Errorf("got status %+v, want no error", s)
	}
	a.ClearFaults()
	a.Fault(pagerdutytest.Fault{Kind: pagerdutytest.Status, Route: "GET /webhook_subscriptions", Status: http.StatusUnauthorized, Bare: true})
	_, err := a.client.Subscriptions(t.Context())
	if err == nil || errors.Is(err, access.ErrDenied) || access.IsPermanent(err) || a.client.Status().LastError == "" {
		t.Errorf("a refused key: got %v and status %+v, want another try, and the error in the status", err, a.client.Status())
	}
}

func TestSubscriptionsAreAskedForWithWhatOthersLeave(t *testing.T) {
	var seen []Priority
	c := newClient(t, Config{Endpoint: "https://api.pagerduty.example", Transport: wire(func(r *http.Request) (*http.Response, error) {
		seen = append(seen, priorityOf(r.Context()))
		return nil, context.DeadlineExceeded
	})})
	_, _ = c.Subscriptions(t.Context())
	_ = c.EnableSubscription(t.Context(), "P1")
	_, _, _ = c.CreateSubscription(t.Context(), access.Subscription{})
	_ = c.UpdateSubscription(t.Context(), access.Subscription{ID: "P1"})
	_ = c.DeleteSubscription(t.Context(), "P1")
	_, _ = c.PingSubscription(t.Context(), "P1")
	_, _ = c.Team(t.Context(), "Payments")
	if len(seen) < 7 || slices.ContainsFunc(seen, func(p Priority) bool { return p != Background }) {
		t.Errorf("got priorities %v, want all in the background", seen)
	}
}
