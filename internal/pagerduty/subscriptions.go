package pagerduty

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/pdhook/pdhook/internal/access"
)

const httpDelivery = "http_delivery_method"

// subscription is a webhook subscription, https://developer.pagerduty.com/docs/webhooks-overview.
type subscription struct {
	ID          string          `json:"id"`
	Active      *bool           `json:"active"` // true when it is not shown
	Description string          `json:"description"`
	Events      []string        `json:"events"`
	Filter      typedID         `json:"filter"`
	OAuthClient json.RawMessage `json:"oauth_client"`
	Delivery    struct {
		Type     string          `json:"type"`
		URL      string          `json:"url"`
		Disabled bool            `json:"temporarily_disabled"`
		Headers  json.RawMessage `json:"custom_headers"`
		Secret   string          `json:"secret"` // only in the answer to its creation
	} `json:"delivery_method"`
}

// Subscriptions lists the webhook subscriptions that the key may see, but for those that do not deliver by HTTP.
// access.ErrDenied: it may see none.
func (c *Client) Subscriptions(ctx context.Context) ([]access.Subscription, error) {
	q := call{route: "GET /webhook_subscriptions", path: "/webhook_subscriptions", query: url.Values{}, optional: true}
	listed, _, err := list[subscription](WithPriority(ctx, Background), c, q, "webhook_subscriptions")
	if errors.Is(err, access.ErrDenied) && !forbidden(err) {
		return nil, fmt.Errorf("listing webhook subscriptions: %v", err) // the key is refused altogether, of which Run tells
	}
	if err != nil {
		return nil, fmt.Errorf("listing webhook subscriptions: %w", err)
	}
	var all []access.Subscription
	for _, s := range listed {
		if s.Delivery.Type == httpDelivery && validID(s.ID) {
			all = append(all, s.inWords())
		}
	}
	return all, nil
}

// EnableSubscription ends what three dropped deliveries in a row began. access.ErrDenied: the key may not.
func (c *Client) EnableSubscription(ctx context.Context, id access.SubscriptionID) error {
	if err := c.enableSubscription(WithPriority(ctx, Background), string(id)); err != nil {
		return fmt.Errorf("enabling webhook subscription %q: %w", id, err)
	}
	return nil
}

func (c *Client) enableSubscription(ctx context.Context, id string) error {
	if !validID(id) {
		return permanent(errors.New("that is no PagerDuty ID"))
	}
	a, err := c.do(ctx, call{
		route: "POST /webhook_subscriptions/{id}/enable", path: "/webhook_subscriptions/" + id + "/enable", optional: true,
	})
	if err != nil {
		return err
	}
	after, err := part[subscription](a, "webhook_subscription")
	switch {
	case err != nil:
		return err
	case after.ID != id:
		return a.unreadable(fmt.Errorf("subscription %q came instead of %q", after.ID, id))
	case after.Delivery.Disabled:
		return a.unreadable(errors.New("it is still disabled"))
	}
	return nil
}

// inWords leaves out of the URL what may be a secret: user, password, query.
func (s subscription) inWords() access.Subscription {
	kind, _ := strings.CutSuffix(s.Filter.Type, "_reference")
	all := access.Subscription{
		ID: access.SubscriptionID(s.ID), Description: s.Description, EventTypes: s.Events,
		Active: s.Active == nil || *s.Active, Disabled: s.Delivery.Disabled,
		Filter: access.SubscriptionFilter{Kind: access.FilterKind(kind), ID: s.Filter.ID},
	}
	if all.Filter.Kind == access.FilterAccount {
		all.Filter.ID = "" // there is only the one
	}
	switch {
	case !slices.Contains([]string{"", "null", "[]"}, string(s.Delivery.Headers)):
		all.Extras = "custom headers"
	case !slices.Contains([]string{"", "null"}, string(s.OAuthClient)):
		all.Extras = "an OAuth token"
	}
	if u, err := url.Parse(s.Delivery.URL); err == nil && u.Host != "" {
		all.Path = "/"
		if u.Path != "" {
			all.Path = u.Path
		}
		all.URL = (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}).String()
	}
	return all
}
