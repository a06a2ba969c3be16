package app

import (
	"context"
	"time"

	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/internal/admin"
	"github.com/pdhook/pdhook/internal/pagerduty"
	"github.com/pdhook/pdhook/internal/subscription"
)

// lost brings back what is pending: webhooks that would have done so did not come.
func (a *App) lost(ctx context.Context) { a.watcher.Remind(ctx, access.CauseDelivery) }

// echoed tells of the incidents that pdhook opens and resolves: each has to come back as a webhook.
type echoed struct {
	*pagerduty.Client
	wrote func(id access.IncidentID, since time.Time)
}

func (e echoed) CreateIncident(ctx context.Context, n access.NewIncident) (access.Incident, error) {
	since := time.Now()
	opened, err := e.Client.CreateIncident(ctx, n)
	if err == nil {
		e.wrote(opened.ID, since)
	}
	return opened, err
}

func (e echoed) Resolve(ctx context.Context, id access.IncidentID) error {
	since := time.Now()
	err := e.Client.Resolve(ctx, id)
	if err == nil {
		e.wrote(id, since)
	}
	return err
}

func shown(s subscription.Status) admin.Subscription {
	return admin.Subscription{
		ID: string(s.ID), URL: s.URL, Active: s.Active, TemporarilyDisabled: s.Disabled,
		MissingEventTypes: append([]string{}, s.Missing...), Problem: s.Problem, LastLook: s.LastLook,
	}
}
