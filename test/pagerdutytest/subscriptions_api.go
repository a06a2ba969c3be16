package pagerdutytest

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// subscriptionBody is a subscription in a request.
type subscriptionBody struct {
	Subscription struct {
		Description *string
		Active      *bool
		Events      []string
		Filter      *struct{ Type, ID string }
		Delivery    struct {
			URL     string
			Headers []struct{ Name, Value string } `json:"custom_headers"`
		} `json:"delivery_method"`
	} `json:"webhook_subscription"`
}

// apply changes what PUT may change: neither URL, custom headers nor secret, which it ignores.
func (b subscriptionBody) apply(s *Server, sub *Subscription) error {
	in := b.Subscription
	if in.Description != nil {
		sub.Description = *in.Description
	}
	if in.Active != nil {
		sub.Inactive = !*in.Active
	}
	if in.Events != nil {
		sub.Events = in.Events
	}
	if in.Filter != nil {
		sub.Service, sub.Team = "", ""
		switch in.Filter.Type {
		case "account_reference":
		case "service_reference":
			sub.Service = in.Filter.ID
		case "team_reference":
			sub.Team = in.Filter.ID
		default:
			return invalid("filter type is unknown")
		}
		if in.Filter.Type != "account_reference" && in.Filter.ID == "" {
			return invalid("filter id is required")
		}
	}
	return s.sound(sub)
}

// sound refuses a subscription that PagerDuty would not have.
func (s *Server) sound(sub *Subscription) error {
	if len(sub.Events) == 0 {
		return invalid("events are required")
	}
	seen := map[string]bool{"pagey.ping": true} // is sent on demand, and no event type to subscribe to
	for _, kind := range sub.Events {
		if seen[kind] || !strings.HasPrefix(kind, "incident.") && !strings.HasPrefix(kind, "service.") {
			return invalid("events hold " + kind + ", which is unknown or there twice")
		}
		seen[kind] = true
	}
	if sub.Service != "" {
		if _, err := s.service(sub.Service); err != nil {
			return err
		}
	}
	if _, ok := byID(s.teams, sub.Team); sub.Team != "" && !ok {
		return unknown("team", sub.Team)
	}
	return nil
}

// renderSubscription hides the secret: it is shown once, in the answer to the create request.
func (s *Server) renderSubscription(sub *Subscription) object {
	filter := object{"type": "account_reference"}
	if sub.Service != "" {
		filter = object{"type": "service_reference", "id": sub.Service}
	}
	if sub.Team != "" {
		filter = object{"type": "team_reference", "id": sub.Team}
	}
	headers := []object{}
	for _, name := range slices.Sorted(maps.Keys(sub.Headers)) {
		headers = append(headers, object{"name": name, "value": "-- redacted --"})
	}
	return object{
		"id": sub.ID, "type": "webhook_subscription", "active": !sub.Inactive, "description": sub.Description,
		"events": sub.Events, "filter": filter, "oauth_client": nil,
		"delivery_method": object{
			"id": "D" + sub.ID, "type": "http_delivery_method", "url": sub.URL, "secret": nil,
			"temporarily_disabled": s.disabled(sub), "custom_headers": headers,
		},
	}
}

// listSubscriptions: filter_id is required for the filter types service and team.
func (s *Server) listSubscriptions(c *call) (answer, error) {
	kind, id := c.query.Get("filter_type"), c.query.Get("filter_id")
	if (kind == "service" || kind == "team") && id == "" {
		return answer{}, invalid("filter_id is required")
	}
	var found []object
	for _, sub := range s.subscriptions {
		matches := kind == "" ||
			kind == "account" && sub.Service == "" && sub.Team == "" ||
			kind == "service" && sub.Service == id ||
			kind == "team" && sub.Team == id
		if matches {
			found = append(found, s.renderSubscription(sub))
		}
	}
	return page(c, "webhook_subscriptions", found)
}

// createSubscription: at most 10 per service, per team and for the account (code 2019). The status is 200
// in the document.
func (s *Server) createSubscription(c *call) (answer, error) {
	var body subscriptionBody
	if err := c.decode(&body); err != nil {
		return answer{}, err
	}
	in := body.Subscription
	if len(in.Events) == 0 || in.Filter == nil {
		return answer{}, invalid("delivery_method, events and filter are required")
	}
	if u, err := url.Parse(in.Delivery.URL); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return answer{}, invalid("delivery_method url is not valid")
	}
	sub := Subscription{URL: in.Delivery.URL, Headers: map[string]string{}}
	for _, h := range in.Delivery.Headers {
		sub.Headers[h.Name] = h.Value
	}
	if err := body.apply(s, &sub); err != nil {
		return answer{}, err
	}
	same := 0
	for _, other := range s.subscriptions {
		if other.Service == sub.Service && other.Team == sub.Team {
			same++
		}
	}
	if same >= 10 {
		return answer{}, badRequest(2019, "Product Limit Reached")
	}
	added := s.subscribe(sub)
	shown := s.renderSubscription(added)
	shown["delivery_method"].(object)["secret"] = added.Secret
	return ok(object{"webhook_subscription": shown})
}

// withSubscription answers with the subscription that the path names, after change.
func (s *Server) withSubscription(c *call, change func(*Subscription) error) (answer, error) {
	sub, err := s.subscription(c.PathValue("id"))
	if err != nil {
		return answer{}, err
	}
	if err := change(sub); err != nil {
		return answer{}, err
	}
	return ok(object{"webhook_subscription": s.renderSubscription(sub)})
}

func (s *Server) getSubscription(c *call) (answer, error) {
	return s.withSubscription(c, func(*Subscription) error { return nil })
}

func (s *Server) updateSubscription(c *call) (answer, error) {
	return s.withSubscription(c, func(sub *Subscription) error {
		var body subscriptionBody
		if err := c.decode(&body); err != nil {
			return err
		}
		return body.apply(s, sub)
	})
}

// enableSubscription clears temporarily_disabled.
func (s *Server) enableSubscription(c *call) (answer, error) {
	return s.withSubscription(c, func(sub *Subscription) error {
		sub.disabledUntil = time.Time{}
		return nil
	})
}

func (s *Server) deleteSubscription(c *call) (answer, error) {
	sub, err := s.subscription(c.PathValue("id"))
	if err != nil {
		return answer{}, err
	}
	s.dropQueue(sub)
	s.subscriptions = slices.DeleteFunc(s.subscriptions, func(other *Subscription) bool { return other == sub })
	return answer{status: http.StatusNoContent}, nil
}

// pingSubscription: 202, and a pagey.ping later, whatever event types are subscribed.
func (s *Server) pingSubscription(c *call) (answer, error) {
	sub, err := s.subscription(c.PathValue("id"))
	if err != nil {
		return answer{}, err
	}
	id, body := s.envelope(event{kind: "pagey.ping", data: object{"message": "Hello from your friend Pagey!", "type": "ping"}})
	s.queue(sub, Delivery{EventID: id, EventType: "pagey.ping", Body: body})
	return answer{status: http.StatusAccepted}, nil
}
