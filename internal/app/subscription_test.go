package app

import (
	"testing"
	"time"

	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/internal/pagerduty"
	"github.com/pdhook/pdhook/test/pagerdutytest"
)

func TestWhatPdhookOpensAndResolvesHasToComeBackAsAWebhook(t *testing.T) {
	pd := pagerdutytest.New(pagerdutytest.Options{})
	pd.Start()
	t.Cleanup(pd.Close)
	bot := pd.AddUser("pdhook", "pdhook@example.com")
	service := pd.AddService("Payments API", pd.AddPolicy("Payments", []pagerdutytest.Target{bot}).ID)
	client, err := pagerduty.New(pagerduty.Config{
		Endpoint: pd.URL(), From: bot.Email, Key: func() string { return pagerdutytest.DefaultAPIKey },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	var wrote []access.IncidentID
	e := echoed{client, func(id access.IncidentID, since time.Time) { wrote = append(wrote, id) }}

	opened, err := e.CreateIncident(t.Context(), access.NewIncident{Key: access.IncidentKey("R"), Service: access.ServiceID(service.ID), Title: "a"})
	if err != nil || len(wrote) != 1 || wrote[0] != opened.ID {
		t.Errorf("opened: %v, told of %q", err, wrote)
	}
	if err := e.Resolve(t.Context(), opened.ID); err != nil || len(wrote) != 2 || wrote[1] != opened.ID {
		t.Errorf("resolved: %v, told of %q", err, wrote)
	}
	if err := e.Resolve(t.Context(), "PNONE"); err == nil || len(wrote) != 2 {
		t.Errorf("failed: %v, told of %q", err, wrote)
	}
}
