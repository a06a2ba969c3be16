package app

import (
	"github.com/pdhook/pdhook/internal/admin"
	"github.com/pdhook/pdhook/internal/pagerduty"
	"github.com/pdhook/pdhook/internal/reconcile"
	"github.com/pdhook/pdhook/internal/webhook"
)

// What is counted of webhook clients whose certificate is not PagerDuty's.
const (
	clientLetThrough = "client certificate let through"
	clientRefused    = "client certificate refused"
)

// newMetrics builds the metrics with the words of all rooms.
func newMetrics(version string) *admin.Metrics {
	return admin.NewMetrics(version, admin.Words{
		Webhooks:  append(webhook.Answers(), [2]string{"", clientLetThrough}, [2]string{"", clientRefused}),
		Decisions: reconcile.Decisions(),
		Effects:   reconcile.Effects(),
		PagerDuty: pagerduty.Answers(),
	})
}

// reading gathers what the gauges show. All of it is in memory, but for a look at the volume at most once a second.
func (a *App) reading() admin.Reading {
	r := admin.Reading{Status: a.status(), SubscriptionKnown: a.subscription.Status().Known, Unnotified: a.reconciler.Unnotified()}
	used, err := a.store.Size()
	if err != nil {
		return r // readiness says why
	}
	if available, err := a.store.Available(); err == nil {
		r.Store = &admin.Room{Used: used, Available: available}
	}
	return r
}
