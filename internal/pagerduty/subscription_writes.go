package pagerduty

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

// CreateSubscription makes a webhook subscription as s says and gives it with its signing secret, which PagerDuty
// never shows again: whoever loses it can only delete the subscription. An unclear error means that one may have been
// made. access.ErrLimit: there are as many as PagerDuty allows; access.ErrDenied: the key may not.
func (c *Client) CreateSubscription(ctx context.Context, s access.Subscription) (access.Subscription, string, error) {
	made, secret, err := c.createSubscription(WithPriority(ctx, Background), s)
	if err != nil {
		return access.Subscription{}, "", fmt.Errorf("creating a webhook subscription for %s: %w", s.URL, err)
	}
	return made, secret, nil
}

func (c *Client) createSubscription(ctx context.Context, s access.Subscription) (access.Subscription, string, error) {
	order := inTheirWords(s)
	order["type"] = "webhook_subscription"
	order["delivery_method"] = map[string]string{"type": httpDelivery, "url": s.URL}
	a, err := c.do(ctx, call{
		route: "POST /webhook_subscriptions", path: "/webhook_subscriptions", optional: true,
		body: map[string]any{"webhook_subscription": order},
	})
	if err != nil {
		return access.Subscription{}, "", err
	}
	made, err := part[subscription](a, "webhook_subscription")
	switch {
	case err != nil:
		return access.Subscription{}, "", err
	case !validID(made.ID):
		return access.Subscription{}, "", a.unreadable(errors.New("it shows no ID"))
	case made.Delivery.Secret == "":
		return access.Subscription{}, "", a.unreadable(errors.New("it shows no signing secret"))
	}
	return made.inWords(), made.Delivery.Secret, nil
}

// UpdateSubscription makes description, event types, filter and switch of a webhook subscription those of s. Nothing
// else of one can be changed. Doing it again is harmless.
func (c *Client) UpdateSubscription(ctx context.Context, s access.Subscription) error {
	q, err := onSubscription("PUT /webhook_subscriptions/{id}", s.ID, "")
	q.body = map[string]any{"webhook_subscription": inTheirWords(s)}
	var a answer
	if err == nil {
		a, err = c.do(WithPriority(ctx, Background), q)
	}
	if err == nil {
		err = checkSubscription(a, s)
	}
	if err != nil {
		return fmt.Errorf("updating webhook subscription %q: %w", s.ID, err)
	}
	return nil
}

// DeleteSubscription deletes a webhook subscription, with what is queued for it. access.ErrNotFound: there is none.
func (c *Client) DeleteSubscription(ctx context.Context, id access.SubscriptionID) error {
	q, err := onSubscription("DELETE /webhook_subscriptions/{id}", id, "")
	q.bodiless = true
	if err == nil {
		_, err = c.do(WithPriority(ctx, Background), q)
	}
	if err != nil {
		return fmt.Errorf("deleting webhook subscription %q: %w", id, err)
	}
	return nil
}

// PingSubscription has PagerDuty deliver a test event soon, and gives PagerDuty's time at its answer; zero when it did
// not tell.
func (c *Client) PingSubscription(ctx context.Context, id access.SubscriptionID) (time.Time, error) {
	q, err := onSubscription("POST /webhook_subscriptions/{id}/ping", id, "/ping")
	q.bodiless = true
	var a answer
	if err == nil {
		a, err = c.do(WithPriority(ctx, Background), q)
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("pinging webhook subscription %q: %w", id, err)
	}
	return a.date, nil
}

// onSubscription prepares a call on one subscription.
func onSubscription(route string, id access.SubscriptionID, tail string) (call, error) {
	if !validID(id) {
		return call{}, permanent(errors.New("that is no PagerDuty ID"))
	}
	return call{route: route, path: "/webhook_subscriptions/" + string(id) + tail, optional: true}, nil
}

// inTheirWords gives what can be chosen at any time.
func inTheirWords(s access.Subscription) map[string]any {
	return map[string]any{
		"description": s.Description, "events": s.EventTypes, "active": s.Active,
		"filter": typedID{Type: string(s.Filter.Kind) + "_reference", ID: s.Filter.ID},
	}
}

// checkSubscription reads the subscription of an answer, which must be as it was ordered.
func checkSubscription(a answer, ordered access.Subscription) error {
	raw, err := part[subscription](a, "webhook_subscription")
	if err != nil {
		return err
	}
	after := raw.inWords()
	switch {
	case after.ID != ordered.ID:
		return a.unreadable(fmt.Errorf("subscription %q came instead", after.ID))
	case after.Active != ordered.Active, after.Description != ordered.Description, after.Filter != ordered.Filter:
		return a.unreadable(fmt.Errorf("it is not as ordered: active %t, %q, for %s", after.Active, after.Description, after.Filter))
	case !slices.Equal(unique(after.EventTypes), unique(ordered.EventTypes)):
		return a.unreadable(errors.New("it has other event types than ordered"))
	}
	return nil
}
