package subscription

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/test/pagerdutytest"
)

func TestARotationReplacesTheSubscriptionAndItsSecretWithoutARefusal(t *testing.T) {
	d := newDesk(t)
	team := d.AddTeam("Payments")
	d.succeeds(Order{Filter: &access.SubscriptionFilter{Kind: access.FilterTeam, ID: team.ID}})
	old := d.inUse()
	d.Around(func(r pagerdutytest.Request, performed bool) bool {
		if r.Route != deleting {
			return true
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		if len(d.service.loaded) != 2 || d.service.loaded[0] != old.Secret {
			t.Error("while the old subscription is deleted its secret is not accepted any more")
		}
		return true
	})
	d.succeeds(Order{Rotate: true})
	now := d.inUse()
	if now.ID == old.ID || now.Secret == old.Secret || now.Team != team.ID || !slices.Equal(d.service.loaded, []string{now.Secret}) {
		t.Errorf("got %s, want another subscription with the same filter, whose secret alone is accepted", now.ID)
	}
	if d.service.refused > 0 {
		t.Errorf("%d deliveries were refused", d.service.refused)
	}
	d.tells("Created", "Switched it on beside webhook subscription "+old.ID, "ping: it arrived", "Deleted webhook subscription "+old.ID, "Removed the old signing secret", "Webhook subscription "+now.ID+" is as it should be")
}

func TestARotationWhosePingDoesNotArriveLeavesTheOldSubscription(t *testing.T) {
	d := newDesk(t)
	d.succeeds(Order{})
	before, file := d.Subscriptions(), slices.Clone(d.file)
	d.Around(func(r pagerdutytest.Request, performed bool) bool {
		if r.Route == pinging && !performed {
			d.DisableSubscription(d.Subscriptions()[1].ID) // which then delivers nothing
		}
		return true
	})
	d.fails(Order{Rotate: true, Wait: 200 * time.Millisecond}, "no test ping arrived")
	d.isAsBefore(before, file)
	if !slices.Equal(d.service.loaded, file) {
		t.Error("the running service still accepts the secret of the deleted subscription")
	}
}

func TestARotationNeedsTheRunningServiceAndASubscription(t *testing.T) {
	d := newDesk(t)
	d.fails(Order{Rotate: true}, "none to rotate")
	d.succeeds(Order{})
	before, file := d.Subscriptions(), slices.Clone(d.file)
	d.has(func() { d.service.off = true })
	d.fails(Order{Rotate: true}, "nothing was changed", "not running")
	d.has(func() { d.service.off = false })
	d.ChangeSubscription(before[0].ID, func(s *pagerdutytest.Subscription) { s.Headers = map[string]string{"X-Ingress": "key"} })
	d.fails(Order{Rotate: true}, "nothing was changed", "custom headers")
	d.isAsBefore(before, file)
}

func TestAnOldSubscriptionThatCannotBeDeletedIsToldAndGoesWithTheNextRun(t *testing.T) {
	d := newDesk(t)
	d.succeeds(Order{})
	d.Fault(pagerdutytest.Fault{Kind: pagerdutytest.Status, Route: deleting, Status: http.StatusForbidden})
	d.fails(Order{Rotate: true}, "both webhook subscriptions are in use", "run this again")
	if n := len(d.Subscriptions()); n != 2 {
		t.Fatalf("got %d subscriptions, want both", n)
	}
	d.ClearFaults()
	d.succeeds(Order{})
	d.inUse()
	d.tells("that an earlier run began is not over")
}

// rotated gives a desk at which a rotation ended after its second subscription came into use.
func rotated(t *testing.T) (d *desk, old, next pagerdutytest.Subscription) {
	t.Helper()
	d = newDesk(t)
	d.succeeds(Order{})
	old = d.inUse()
	next = d.Subscribe(pagerdutytest.Subscription{URL: d.url, Events: used, Description: takesPlaceOf + old.ID})
	d.has(func() { d.file = []string{old.Secret, next.Secret} })
	return d, old, next
}

func TestARotationThatWasKilledIsFinishedByTheNextRun(t *testing.T) {
	for _, order := range []Order{{}, {Rotate: true}} {
		d, _, next := rotated(t)
		d.succeeds(order)
		if d.inUse().ID != next.ID {
			t.Errorf("got %s, want %s, which was to take the place of the first", d.inUse().ID, next.ID)
		}
	}
	d, old, next := rotated(t)
	if err := d.client.DeleteSubscription(t.Context(), access.SubscriptionID(old.ID)); err != nil {
		t.Fatal(err)
	}
	d.succeeds(Order{}) // killed after the first one was deleted
	if d.inUse().ID != next.ID {
		t.Errorf("got %s, want %s", d.inUse().ID, next.ID)
	}
}

func TestARotationThatWasKilledBeforeItsSecretWasLoadedBeginsAnew(t *testing.T) {
	d := newDesk(t)
	d.succeeds(Order{})
	old := d.inUse()
	dead := d.Subscribe(pagerdutytest.Subscription{URL: d.url, Events: used, Inactive: true, Description: access.UnfinishedSubscription})
	d.has(func() { d.file = []string{old.Secret, dead.Secret} })
	d.succeeds(Order{Rotate: true})
	if now := d.inUse(); now.ID == old.ID || now.ID == dead.ID {
		t.Errorf("got %s, want a new subscription", now.ID)
	}
}

func TestARotationWhoseSecondSubscriptionDoesNotDeliverIsUndoneByTheNextRun(t *testing.T) {
	d, old, next := rotated(t)
	d.ChangeSubscription(next.ID, func(s *pagerdutytest.Subscription) { s.Secret = "not the one in the file, as it was mangled" })
	d.fails(Order{Wait: 200 * time.Millisecond}, "no test ping arrived")
	if d.inUse().ID != old.ID {
		t.Errorf("got %s, want %s", d.inUse().ID, old.ID)
	}
}

func TestARotationLeavesTheSecretOfAnotherSubscriptionAlone(t *testing.T) {
	d := newDesk(t)
	d.has(func() { d.file = []string{"the-secret-of-staging"} })
	d.Subscribe(pagerdutytest.Subscription{URL: "https://staging.example.com" + path, Events: used})
	d.succeeds(Order{})
	before, file := d.Subscriptions(), slices.Clone(d.file)
	d.fails(Order{Rotate: true}, "nothing was changed", "2 signing secrets", before[1].ID)
	d.isAsBefore(before, file)
	d.has(func() { d.file = file[1:] })
	d.succeeds(Order{Rotate: true})
	if now, _ := d.Read(); len(now) != 1 || now[0] == file[1] {
		t.Errorf("the file holds %d secrets, want the new one alone", len(now))
	}
}
