package pagerduty

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/pdhook/pdhook/internal/access"
)

type typedID struct {
	Type string `json:"type"`
	ID   string `json:"id,omitempty"`
}

type newIncident struct {
	Type    string        `json:"type"`
	Title   string        `json:"title"`
	Service typedID       `json:"service"`
	Key     string        `json:"incident_key"`
	Body    *incidentBody `json:"body,omitempty"`
}

type incidentBody struct {
	Type    string `json:"type"`
	Details string `json:"details"`
}

// CreateIncident opens an incident. While an open one holds the key on the service:
// access.ErrDuplicateKey; PagerDuty does not say which.
func (c *Client) CreateIncident(ctx context.Context, n access.NewIncident) (access.Incident, error) {
	opened, err := c.createIncident(WithPriority(ctx, Creation), n)
	if err != nil {
		return access.Incident{}, fmt.Errorf("creating incident %q on service %q: %w", n.Key, n.Service, err)
	}
	return opened, nil
}

func (c *Client) createIncident(ctx context.Context, n access.NewIncident) (access.Incident, error) {
	if n.Key == "" || n.Title == "" || !validID(n.Service) {
		return access.Incident{}, permanent(errors.New("a key, a title and a PagerDuty ID of a service are needed"))
	}
	order := newIncident{
		Type:    "incident",
		Title:   n.Title,
		Service: typedID{Type: "service_reference", ID: string(n.Service)},
		Key:     n.Key,
	}
	if n.Details != "" {
		order.Body = &incidentBody{Type: "incident_body", Details: n.Details}
	}
	a, err := c.do(ctx, call{route: "POST /incidents", path: "/incidents", body: map[string]any{"incident": order}})
	if err != nil {
		return access.Incident{}, whyNotOpened(err)
	}
	opened, err := c.incidentIn(a, "")
	if err != nil {
		return access.Incident{}, err
	}
	if opened.Key != n.Key || opened.Service != n.Service {
		return access.Incident{}, a.unreadable(fmt.Errorf("incident %s has key %q on service %s", opened.ID, opened.Key, opened.Service))
	}
	return opened, nil
}

// whyNotOpened adds what a refused creation means. How PagerDuty words a disabled service is not
// documented.
func whyNotOpened(err error) error {
	r, ok := errors.AsType[*refusal](err)
	switch {
	case !ok || r.status != http.StatusBadRequest || errors.Is(err, access.ErrDenied) || errors.Is(err, access.ErrNotFound):
		return err
	case r.says("matching dedup key already exists"):
		return permanent(fmt.Errorf("%w: %w", access.ErrDuplicateKey, r))
	case r.code == codeNobodyOnCall:
		return permanent(fmt.Errorf("nobody is on call on the service's escalation policy: %w", r))
	}
	return permanent(fmt.Errorf("the service may be disabled or in maintenance, or have nobody on call: %w", r))
}

// Resolve resolves the incident, together with others that are to be resolved at the same moment. One that is
// resolved already is success.
func (c *Client) Resolve(ctx context.Context, id access.IncidentID) error {
	if _, err := c.ends.get(WithPriority(ctx, Background), struct{}{}, id); err != nil {
		return fmt.Errorf("resolving incident %q: %w", id, err)
	}
	return nil
}

func (c *Client) resolve(ctx context.Context, id access.IncidentID) error {
	err := c.setStatus(ctx, id, access.Resolved)
	if r, ok := errors.AsType[*refusal](err); ok && r.code == codeAlreadyResolved {
		return nil
	}
	return err
}

// Reopen triggers a resolved incident again. Whether PagerDuty does that is not settled by its documents: where
// it refuses, the error is permanent.
func (c *Client) Reopen(ctx context.Context, id access.IncidentID) error {
	if err := c.setStatus(WithPriority(ctx, Background), id, access.Triggered); err != nil {
		return fmt.Errorf("reopening incident %q: %w", id, err)
	}
	return nil
}

func (c *Client) setStatus(ctx context.Context, id access.IncidentID, status access.IncidentStatus) error {
	if !validID(id) {
		return errNoIncidentID()
	}
	a, err := c.do(ctx, call{
		route: "PUT /incidents/{id}",
		path:  "/incidents/" + string(id),
		body:  map[string]any{"incident": map[string]string{"type": "incident_reference", "status": string(status)}},
	})
	if err != nil {
		return err
	}
	after, err := c.incidentIn(a, id)
	if err != nil {
		return err
	}
	if after.Open() != (status != access.Resolved) {
		return a.unreadable(fmt.Errorf("it is still %s", after.Status))
	}
	return nil
}
