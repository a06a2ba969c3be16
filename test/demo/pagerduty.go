package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/pdhook/pdhook/internal/webhook"
	"github.com/pdhook/pdhook/test/pagerdutytest"
)

// account is the PagerDuty simulator as the story uses it.
type account struct {
	places
	users             map[string]string // e-mail to ID
	schedule, service string            // IDs
}

// incident is an incident with its notes, as the account shows it.
type incident struct {
	pagerdutytest.Incident
	Notes []pagerdutytest.Note `json:"notes"`
}

type withID struct {
	ID string `json:"id"`
}

// populate makes the people, one schedule with kim on call, one policy and one service.
func (a *account) populate(ctx context.Context) error {
	a.users = map[string]string{}
	for _, email := range append([]string{botEmail}, people...) {
		made, err := call[withID](ctx, http.MethodPost, a.Control+"/users", map[string]string{"name": short(email), "email": email})
		if err != nil {
			return err
		}
		a.users[email] = made.ID
	}
	schedule, err := call[withID](ctx, http.MethodPost, a.Control+"/schedules", map[string]string{"name": "Payments primary"})
	if err != nil {
		return err
	}
	a.schedule = schedule.ID
	if err := a.onCall(ctx, "/oncall", kim); err != nil {
		return err
	}
	policy, err := call[withID](ctx, http.MethodPost, a.Control+"/policies", map[string]any{
		"name": "Payments", "levels": [][]map[string]string{{{"kind": "schedule", "id": a.schedule}}},
	})
	if err != nil {
		return err
	}
	service, err := call[withID](ctx, http.MethodPost, a.Control+"/services", map[string]string{"name": serviceName, "policy": policy.ID})
	a.service = service.ID
	return err
}

// override has somebody take over the shift of whoever is on call. PagerDuty sends no webhook for it.
func (a *account) override(ctx context.Context, email string) error {
	return a.onCall(ctx, "/overrides", email)
}

func (a *account) onCall(ctx context.Context, path, email string) error {
	_, err := call[any](ctx, http.MethodPost, a.Control+path, map[string]string{"schedule": a.schedule, "user": a.users[email]})
	return err
}

// alert triggers an incident on the service, as a monitoring system does.
func (a *account) alert(ctx context.Context, title string) (incident, error) {
	return call[incident](ctx, http.MethodPost, a.Control+"/incidents", map[string]string{"service": a.service, "title": title})
}

// acknowledge has somebody acknowledge an incident; PagerDuty sends a webhook.
func (a *account) acknowledge(ctx context.Context, id, email string) error {
	_, err := call[any](ctx, http.MethodPost, a.Control+"/incidents/"+id+"/acknowledge", map[string]string{"user": a.users[email]})
	return err
}

// subscribe creates the webhook subscription over PagerDuty's API, and gives its signing secret, which
// PagerDuty shows only in this answer.
func (a *account) subscribe(ctx context.Context, url string) (string, error) {
	type method struct {
		Type   string `json:"type"`
		URL    string `json:"url"`
		Secret string `json:"secret,omitempty"`
	}
	type subscription struct {
		Type     string            `json:"type"`
		Delivery method            `json:"delivery_method"`
		Events   []string          `json:"events"`
		Filter   map[string]string `json:"filter"`
	}
	type envelope struct {
		Subscription subscription `json:"webhook_subscription"`
	}
	made, err := call[envelope](ctx, http.MethodPost, a.API+"/webhook_subscriptions", envelope{subscription{
		Type: "webhook_subscription", Delivery: method{Type: "http_delivery_method", URL: url},
		Events: webhook.EventTypes(), Filter: map[string]string{"type": "account_reference"},
	}})
	return made.Subscription.Delivery.Secret, err
}

// of gives the newest incident that a request opened.
func (a *account) of(ctx context.Context, request string) (incident, bool, error) {
	all, err := call[[]incident](ctx, http.MethodGet, a.Control+"/incidents", nil)
	for _, i := range all {
		if i.Key == "teleport-access-request/"+request {
			return i, true, err
		}
	}
	return incident{}, false, err
}

// assignees gives the short names of those whom an incident is assigned to.
func (a *account) assignees(i incident) string {
	var names []string
	for email, id := range a.users {
		if slices.ContainsFunc(i.Assignments, func(s pagerdutytest.Stamp) bool { return s.User == id }) {
			names = append(names, short(email))
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// call sends JSON and reads JSON.
func call[Out any](ctx context.Context, method, url string, in any) (out Out, err error) {
	body, err := json.Marshal(in)
	if err != nil {
		return out, err
	}
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return out, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/vnd.pagerduty+json;version=2")
	req.Header.Set("Authorization", "Token token="+pagerdutytest.DefaultAPIKey)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return out, err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return out, err
	}
	if resp.StatusCode >= 300 {
		return out, fmt.Errorf("%s %s: %s: %s", method, url, resp.Status, answer)
	}
	return out, json.Unmarshal(answer, &out)
}
