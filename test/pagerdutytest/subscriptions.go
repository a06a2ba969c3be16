package pagerdutytest

import (
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"slices"
	"time"
)

// Subscription is a webhook subscription.
type Subscription struct {
	ID          string
	URL         string
	Secret      string            // signs the deliveries; "": PagerDuty makes one
	Events      []string          // event types
	Service     string            // ID: only events of this service; "": the whole account
	Team        string            // ID: matches nothing, as no service of this account is a team's
	Description string            //
	Inactive    bool              // the owner's switch
	Headers     map[string]string // sent with each delivery, never shown
	TLS         *tls.Config       // RootCAs and Certificates; nil: Options.WebhookTLS

	disabledUntil time.Time // temporarily disabled by PagerDuty
	dropped       int       // deliveries dropped in a row
}

func (sub *Subscription) id() string { return sub.ID }

// wants reports whether the subscription is to hear of an event.
func (sub *Subscription) wants(e event) bool {
	concerned := sub.Team == "" && (sub.Service == "" || sub.Service == e.service)
	return !sub.Inactive && concerned && slices.Contains(sub.Events, e.kind)
}

// Subscribe adds a subscription; ID is made up, and Secret when empty.
func (s *Server) Subscribe(sub Subscription) (added Subscription) {
	s.do(func() { added = *s.subscribe(sub) })
	return added
}

func (s *Server) subscribe(sub Subscription) *Subscription {
	sub.ID = s.id("P%06d")
	if sub.Secret == "" {
		secret := make([]byte, 48)
		_, _ = rand.Read(secret) // never fails (Go 1.24)
		sub.Secret = base64.StdEncoding.EncodeToString(secret)
	}
	s.subscriptions = append(s.subscriptions, &sub)
	return &sub
}

// Subscriptions gives all subscriptions, with their secrets.
func (s *Server) Subscriptions() []Subscription {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Subscription, len(s.subscriptions))
	for i, sub := range s.subscriptions {
		all[i] = *sub
	}
	return all
}

// ChangeSubscription does what the owner, or a proxy in front of the receiver, may do at any time. What PagerDuty
// keeps for itself is left as it is.
func (s *Server) ChangeSubscription(subscriptionID string, change func(*Subscription)) {
	s.do(func() { change(must(s.subscription(subscriptionID))) })
}

// TemporarilyDisabled reports whether PagerDuty has given up on a subscription for a day.
func (s *Server) TemporarilyDisabled(subscriptionID string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.disabled(must(s.subscription(subscriptionID)))
}

// UseWebhookTLS replaces Options.WebhookTLS for deliveries to come.
func (s *Server) UseWebhookTLS(c *tls.Config) {
	s.do(func() { s.opts.WebhookTLS = c })
}

// DisableSubscription does what three dropped deliveries in a row do.
func (s *Server) DisableSubscription(subscriptionID string) {
	s.do(func() { s.disable(must(s.subscription(subscriptionID))) })
}

// disable: for 24 hours, or until enabled, events are lost; so is what is queued.
func (s *Server) disable(sub *Subscription) {
	sub.disabledUntil = s.opts.Now().Add(24 * time.Hour)
	sub.dropped = 0
	s.dropQueue(sub)
}

func (s *Server) disabled(sub *Subscription) bool { return s.opts.Now().Before(sub.disabledUntil) }

func (s *Server) subscription(id string) (*Subscription, error) {
	if sub, ok := byID(s.subscriptions, id); ok {
		return sub, nil
	}
	return nil, unknown("webhook subscription", id)
}
