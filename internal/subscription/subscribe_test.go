package subscription

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/test/pagerdutytest"
)

const (
	creating = "POST /webhook_subscriptions"
	updating = "PUT /webhook_subscriptions/{id}"
	deleting = "DELETE /webhook_subscriptions/{id}"
	pinging  = "POST /webhook_subscriptions/{id}/ping"
)

func TestASubscriptionIsMadeItsSecretKeptAndAPingArrives(t *testing.T) {
	d := newDesk(t)
	d.Around(func(r pagerdutytest.Request, performed bool) bool {
		switch {
		case r.Route == creating && performed && !d.Subscriptions()[0].Inactive:
			t.Error("it is active before its secret is kept")
		case r.Route == updating && !performed:
			d.mu.Lock()
			defer d.mu.Unlock()
			if len(d.service.loaded) != 1 {
				t.Error("it is switched on before the running service accepts its secret")
			}
		}
		return true
	})
	result := d.succeeds(Order{})
	s := d.inUse()
	if string(result.SubscriptionID) != s.ID || result.Filter != "account" || result.SecretFile != "the-file" || !slices.Equal(result.Done, d.said) {
		t.Errorf("got the result %+v", result)
	}
	d.tells("Created webhook subscription "+s.ID, "Wrote its signing secret to the-file", "running pdhook has read", "Switched it on: 3 event types, filter account", "ping: it arrived")
	if d.service.refused != 0 || len(d.service.pings) != 1 {
		t.Errorf("got %d deliveries refused and %d pings, want one ping", d.service.refused, len(d.service.pings))
	}
}

func TestASecondRunChangesNothingAndPings(t *testing.T) {
	d := newDesk(t)
	d.succeeds(Order{})
	before := d.inUse()
	writes := d.CountRequests(creating) + d.CountRequests(updating)
	d.succeeds(Order{})
	if after := d.inUse(); after.ID != before.ID || d.CountRequests(creating)+d.CountRequests(updating) != writes {
		t.Errorf("got subscription %s, want %s unchanged", after.ID, before.ID)
	}
	if len(d.service.pings) != 2 {
		t.Errorf("got %d pings, want one of each run", len(d.service.pings))
	}
	d.tells("Webhook subscription "+before.ID+" is as it should be", "ping: it arrived")
}

func TestWhatDiffersIsChangedAndNamed(t *testing.T) {
	d := newDesk(t)
	d.succeeds(Order{})
	s := d.inUse()
	team := d.AddTeam("Payments")
	for _, c := range []struct {
		name   string
		change func(*pagerdutytest.Subscription)
		order  Order
		told   string
	}{
		{"too few event types", func(s *pagerdutytest.Subscription) { s.Events = used[:1] }, Order{}, "event types added: incident.triggered, service.updated"},
		{"event types of no use", func(s *pagerdutytest.Subscription) { s.Events = append(slices.Clone(used), "incident.annotated") }, Order{}, "event types removed, which pdhook does not use: incident.annotated"},
		{"switched off", func(s *pagerdutytest.Subscription) { s.Inactive = true }, Order{}, "switched on"},
		{"another description", func(s *pagerdutytest.Subscription) { s.Description = "by hand" }, Order{}, `description "pdhook" instead of "by hand"`},
		{"another filter", func(*pagerdutytest.Subscription) {}, Order{Filter: &access.SubscriptionFilter{Kind: access.FilterTeam, ID: team.ID}}, "filter team:id:" + team.ID + " instead of account"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d.ChangeSubscription(s.ID, c.change)
			d.succeeds(c.order)
			if d.inUse().ID != s.ID {
				t.Error("it is another subscription")
			}
			d.tells("Changed webhook subscription "+s.ID, c.told, "ping: it arrived")
		})
	}
	d.succeeds(Order{})
	if d.inUse().Team != team.ID {
		t.Error("without --filter the filter was changed, want it kept")
	}
}

func TestASubscriptionThatPagerDutyDisabledIsEnabled(t *testing.T) {
	d := newDesk(t)
	d.succeeds(Order{})
	d.DisableSubscription(d.Subscriptions()[0].ID)
	d.succeeds(Order{})
	d.inUse()
	d.tells("Enabled webhook subscription", "ping: it arrived")
}

func TestACreationWhoseAnswerIsLostLeavesOneSubscription(t *testing.T) {
	d := newDesk(t)
	d.Fault(pagerdutytest.Fault{Kind: pagerdutytest.ResetAfter, Route: creating, Times: 2})
	d.succeeds(Order{})
	d.inUse()
	d.tells("had left unfinished", "Created")
}

func TestACreationThatIsPerformedLateIsDeleted(t *testing.T) {
	d := newDesk(t)
	late := false
	d.Around(func(r pagerdutytest.Request, performed bool) bool {
		if r.Route == creating && performed && !late {
			late = true
			d.Subscribe(pagerdutytest.Subscription{URL: d.url, Events: used, Inactive: true, Description: access.UnfinishedSubscription})
		}
		return true
	})
	d.succeeds(Order{})
	d.inUse()
}

func TestASubscriptionThatSomebodyElseMakesMeanwhileStays(t *testing.T) {
	d := newDesk(t)
	d.Around(func(r pagerdutytest.Request, performed bool) bool {
		if r.Route == creating && performed {
			d.Subscribe(pagerdutytest.Subscription{URL: d.url, Events: used, Description: "mine"})
		}
		return true
	})
	d.fails(Order{}, "has come up meanwhile", d.url)
	if all := d.Subscriptions(); len(all) != 1 || all[0].Description != "mine" {
		t.Errorf("got %d subscriptions, want the other one alone", len(all))
	}
}

func TestWhatARunLeftUnfinishedIsMadeAnew(t *testing.T) {
	d := newDesk(t)
	dead := d.Subscribe(pagerdutytest.Subscription{URL: d.url, Events: used, Inactive: true, Description: access.UnfinishedSubscription})
	d.has(func() { d.file = []string{dead.Secret} }) // whether it was written or not
	d.succeeds(Order{})
	if d.inUse().ID == dead.ID {
		t.Error("the unfinished subscription is in use")
	}
	d.tells("Deleted webhook subscription "+dead.ID, "Created")
}

func TestSeveralSubscriptionsToTheURLAreNamedAndLeftAlone(t *testing.T) {
	d := newDesk(t)
	for _, description := range []string{"first", "second"} {
		d.Subscribe(pagerdutytest.Subscription{URL: d.url, Events: used, Description: description})
	}
	before := d.Subscriptions()
	for _, order := range []Order{{}, {Rotate: true}} {
		d.fails(order, "2 webhook subscriptions", before[0].ID, before[1].ID, `"second"`, "delete all but")
	}
	d.isAsBefore(before, nil)
}

func TestWithoutARunningServiceItIsNotTestedAndSaysSo(t *testing.T) {
	d := newDesk(t)
	d.service.off = true
	result, err := d.runs(Order{})
	if err != nil || result.Tested || !strings.Contains(result.NotTested, "not running") {
		t.Fatalf("got %v and %+v", err, result)
	}
	s := d.inUse()
	d.tells("Created", "Switched it on", "not tested: pdhook is not running. Start pdhook, then run this again")
	if d.CountRequests(pinging) != 0 {
		t.Error("a ping was sent that nobody waits for")
	}
	d.has(func() { d.service = service{loaded: d.file} })
	d.succeeds(Order{})
	if d.inUse().ID != s.ID {
		t.Error("the service has started, and there is another subscription")
	}
}

func TestAPingThatDoesNotArriveHasItAllUndone(t *testing.T) {
	d := newDesk(t)
	d.has(func() { d.file, d.service.loaded = []string{"the-secret-of-before"}, []string{"the-secret-of-before"} })
	good := d.url
	d.url = "http://127.0.0.1:1" + path
	d.fails(Order{Wait: 200 * time.Millisecond}, "no test ping arrived", "http://127.0.0.1:1", "public DNS", "certificate", "the disk is full")
	d.tells("Switched it on", "Undone: webhook subscription", "Undone: the-file is as it was")
	d.isAsBefore(nil, []string{"the-secret-of-before"})
	if !slices.Equal(d.service.loaded, []string{"the-secret-of-before"}) {
		t.Error("the running service has not read the old secret again")
	}
	d.url = good
	d.succeeds(Order{})
	d.inUse()
}

func TestAPingOfBeforeIsNotTakenForOurs(t *testing.T) {
	d := newDesk(t)
	d.url = "http://127.0.0.1:1" + path
	d.Around(func(r pagerdutytest.Request, performed bool) bool {
		if r.Route == pinging && performed { // one that PagerDuty has tried again for ten minutes comes just now
			d.has(func() {
				d.service.pings = append(d.service.pings, access.Event{ID: "OLD", Occurred: time.Now().Add(-10 * time.Minute)})
			})
		}
		return true
	})
	d.fails(Order{Wait: 200 * time.Millisecond}, "no test ping arrived")
}

func TestAServiceThatRefusesToReloadHasItAllUndone(t *testing.T) {
	d := newDesk(t)
	d.service.broken = errReload
	result := d.fails(Order{}, "could not read its configuration", "unknown key")
	d.isAsBefore(nil, nil)
	if len(result.NotUndone) != 1 || !strings.Contains(result.NotUndone[0], "has not read its secrets again") {
		t.Errorf("got not undone %q", result.NotUndone)
	}
	if d.service.reloads != 2 {
		t.Errorf("it was asked %d times, want once, and once after all was undone: its log tells of each", d.service.reloads)
	}
}

func TestASecretThatCannotBeWrittenChangesNothing(t *testing.T) {
	d := newDesk(t)
	d.unwritten = errReload
	d.fails(Order{}, "nothing was changed", errReload.Error())
	if d.CountRequests(creating) != 0 {
		t.Error("a subscription was made whose secret cannot be kept")
	}
}

func TestWhatCannotBeUndoneIsTold(t *testing.T) {
	d := newDesk(t)
	d.Fault(pagerdutytest.Fault{Kind: pagerdutytest.Status, Route: pinging, Status: http.StatusForbidden})
	d.Fault(pagerdutytest.Fault{Kind: pagerdutytest.Status, Route: deleting, Status: http.StatusForbidden})
	result := d.fails(Order{}, "webhook_subscriptions.read and .write")
	s := d.inUse() // and its secret stays where it is needed
	if len(result.NotUndone) != 2 || !strings.Contains(result.NotUndone[0], s.ID+" is still there: delete it in PagerDuty") {
		t.Errorf("got not undone %q", result.NotUndone)
	}
	d.tells("NOT undone: webhook subscription " + s.ID)
}

func TestWhatPagerDutyRefusesIsExplained(t *testing.T) {
	for _, c := range []struct {
		name  string
		set   func(*desk)
		words []string
	}{
		{"ten already", func(d *desk) {
			for range 10 {
				d.Subscribe(pagerdutytest.Subscription{URL: "https://elsewhere.example.com/hook", Events: used})
			}
		}, []string{"2019", "10 webhook subscriptions", "--filter"}},
		{"a key that may not read", func(d *desk) {
			d.Fault(pagerdutytest.Fault{Kind: pagerdutytest.Status, Route: "GET /webhook_subscriptions", Status: http.StatusForbidden})
		}, []string{"403", "webhook_subscriptions.read", "Admin or Owner"}},
		{"a key that may not write", func(d *desk) {
			d.Fault(pagerdutytest.Fault{Kind: pagerdutytest.Status, Route: creating, Status: http.StatusForbidden})
		}, []string{"403", "webhook_subscriptions.read and .write", "Admin or Owner"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDesk(t)
			c.set(d)
			before := d.Subscriptions()
			d.fails(Order{}, c.words...)
			d.isAsBefore(before, nil)
		})
	}
}

func TestALostSecretIsSaidToBeLostForGood(t *testing.T) {
	d := newDesk(t)
	d.succeeds(Order{})
	s := d.inUse()
	d.has(func() { d.file, d.service.loaded = nil, nil })
	d.fails(Order{}, s.ID, "shows a signing secret only once", "--rotate")
	d.succeeds(Order{Rotate: true})
	if d.inUse().ID == s.ID {
		t.Error("the subscription whose secret is lost is still in use")
	}
}

func TestTheSecretOfAnotherSubscriptionIsKept(t *testing.T) {
	d := newDesk(t)
	d.has(func() { d.file = []string{"the-secret-of-staging"} })
	d.Subscribe(pagerdutytest.Subscription{URL: "https://staging.example.com" + path, Events: used})
	d.succeeds(Order{})
	if file, _ := d.Read(); len(file) != 2 || file[0] != "the-secret-of-staging" || file[1] != d.Subscriptions()[1].Secret {
		t.Errorf("the file holds %d secrets, want the other's and then ours", len(file))
	}
	d.tells("Kept the secret that was in the-file")
}

// another has somebody else make the subscription to the URL, when a run first calls the route.
func (d *desk) another(route string, instead func()) (made func() pagerdutytest.Subscription) {
	var other pagerdutytest.Subscription
	once := sync.Once{}
	d.Around(func(r pagerdutytest.Request, performed bool) bool {
		if r.Route == route && !performed {
			once.Do(func() {
				instead()
				other = d.Subscribe(pagerdutytest.Subscription{URL: d.url, Events: used, Description: inUse})
				d.has(func() { d.file = []string{other.Secret} })
			})
		}
		return true
	})
	return func() pagerdutytest.Subscription { return other }
}

func TestTheSecretOfAnotherRunAtTheSameTimeIsNotLost(t *testing.T) {
	d := newDesk(t)
	other := d.another(creating, func() {})
	d.fails(Order{}, "has come up meanwhile")
	if d.inUse().ID != other().ID {
		t.Errorf("got %s, want the subscription of the other run", d.inUse().ID)
	}

	d = newDesk(t)
	other = d.another(updating, func() {
		if err := d.client.DeleteSubscription(t.Context(), access.SubscriptionID(d.Subscriptions()[0].ID)); err != nil {
			t.Error(err)
		}
	})
	d.fails(Order{}, "404")
	if d.inUse().ID != other().ID {
		t.Errorf("got %s, want the subscription of the other run", d.inUse().ID)
	}
	d.tells("which something else has changed meanwhile")
}

func TestPagerDutysRateLimitIsWaitedFor(t *testing.T) {
	d := newDesk(t)
	d.SetRateLimit(3, time.Second)
	d.succeeds(Order{})
	d.inUse()
}
