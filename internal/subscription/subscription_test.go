package subscription

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

const here = "https://pdhook.example.com/webhooks/pagerduty"

func TestASubscriptionThatIsAsItShouldBeIsLookedAtEveryFiveMinutesWithoutAWord(t *testing.T) {
	keep(t, []access.Subscription{at("P1", here)}, func(t *testing.T, a *account) {
		later(time.Hour)
		lines(t, a.said())
		enabled, lost := a.did()
		if a.looks != 13 || enabled != "" || lost != 0 {
			t.Errorf("got %d looks, enabled %q, %d times lost events, want 13, none, 0", a.looks, enabled, lost)
		}
		s := a.Status()
		if s.ID != "P1" || s.URL != here || !s.Active || s.Disabled || len(s.Missing) > 0 || s.Problem != "" || time.Since(s.LastLook) > lookEvery {
			t.Errorf("got status %+v", s)
		}
	})
}

func TestADisabledSubscriptionIsEnabledAndPendingRequestsAreLookedAtAgain(t *testing.T) {
	sub := at("P1", here)
	sub.Disabled = true
	keep(t, []access.Subscription{sub}, func(t *testing.T, a *account) {
		lines(t, a.said(), "it is enabled again")
		if enabled, lost := a.did(); enabled != "P1" || lost != 1 {
			t.Errorf("at the start: enabled %q, %d times lost events, want P1, 1", enabled, lost)
		}
		later(time.Hour)
		lines(t, a.said())
		a.has(func() { a.listed[0].Disabled = true })
		later(lookEvery)
		lines(t, a.said(), "it is enabled again")
		if enabled, lost := a.did(); enabled != "P1" || lost != 1 || a.Status().Disabled || a.Status().Problem != "" {
			t.Errorf("the next time: enabled %q, %d times lost events, status %+v", enabled, lost, a.Status())
		}
	})
}

func TestWhatSomebodyElseEnabledLostEventsAllTheSame(t *testing.T) {
	sub := at("P1", here)
	sub.Disabled = true
	for name, set := range map[string]func(a *account){
		"the key may not": func(a *account) { a.enabling = errMayNot },
		"a dry run":       func(a *account) { a.dryRun = true },
	} {
		t.Run(name, func(t *testing.T) {
			keep(t, nil, func(t *testing.T, a *account) {
				a.has(func() { a.listed = []access.Subscription{sub}; set(a) })
				later(lookEvery)
				a.said()
				if _, lost := a.did(); lost != 0 || !a.Status().Disabled {
					t.Errorf("%d times lost events, status %+v, want 0 and disabled", lost, a.Status())
				}
				a.has(func() { a.listed[0].Disabled = false })
				later(lookEvery)
				lines(t, a.said(), "it is enabled again", "as it should be again")
				if _, lost := a.did(); lost != 1 {
					t.Errorf("%d times lost events, want 1", lost)
				}
			})
		})
	}
}

func TestADryRunEnablesNothing(t *testing.T) {
	keep(t, nil, func(t *testing.T, a *account) {
		a.said()
		sub := at("P1", here)
		sub.Disabled = true
		a.has(func() { a.listed = []access.Subscription{sub}; a.dryRun = true })
		later(time.Hour)
		lines(t, a.said(), "a dry run enables nothing")
		if enabled, _ := a.did(); enabled != "" {
			t.Errorf("enabled %q", enabled)
		}
	})
}

func TestAKeyThatMayNotEnableIsToldOnceAndTriedAtEveryLook(t *testing.T) {
	keep(t, nil, func(t *testing.T, a *account) {
		a.said()
		sub := at("P1", here)
		sub.Disabled = true
		a.has(func() { a.listed, a.enabling = []access.Subscription{sub}, errMayNot })
		later(time.Hour)
		log := a.said()
		lines(t, log, "level=ERROR")
		for _, want := range []string{"P1", "may not enable it", "webhook_subscriptions.write"} {
			if !strings.Contains(log, want) {
				t.Errorf("got %q, want %q in it", log, want)
			}
		}
		if enabled, _ := a.did(); enabled != strings.TrimSpace(strings.Repeat("P1 ", 12)) {
			t.Errorf("tried %q, want once at each of 12 looks", enabled)
		}
		a.has(func() { a.enabling = nil })
		later(lookEvery)
		lines(t, a.said(), "it is enabled again", "as it should be again")
	})
}

func TestAnEnablingWhoseAnswerWasLostIsReadAgain(t *testing.T) {
	keep(t, []access.Subscription{at("P1", here)}, func(t *testing.T, a *account) {
		a.has(func() {
			a.listed[0].Disabled, a.performed = true, true
			a.enabling = &access.Failure{Unclear: true, Err: errDown}
		})
		later(lookEvery)
		lines(t, a.said(), "it is enabled again")
		if enabled, lost := a.did(); enabled != "P1" || lost != 1 {
			t.Errorf("enabled %q, %d times lost events, want once", enabled, lost)
		}
		later(lookEvery)
		if enabled, _ := a.did(); enabled != "" {
			t.Errorf("enabled %q, want nothing any more", enabled)
		}
	})
	t.Run("also when that read fails", func(t *testing.T) {
		keep(t, []access.Subscription{at("P1", here)}, func(t *testing.T, a *account) {
			a.has(func() { a.listed[0].Disabled = true; a.enabling = errDown })
			later(lookEvery)
			a.said()
			a.has(func() { a.listing = errDown; a.listed[0].Disabled = false })
			later(retryEvery)
			if _, lost := a.did(); lost != 0 || !strings.Contains(a.Status().Problem, "503") {
				t.Errorf("%d times lost events, status %+v", lost, a.Status())
			}
			a.has(func() { a.listing, a.enabling = nil, nil })
			later(retryEvery)
			lines(t, a.said(), "it is enabled again", "as it should be again")
			if _, lost := a.did(); lost != 1 {
				t.Errorf("%d times lost events, want 1", lost)
			}
		})
	})
}

func TestAnEnablingThatFailsForAMomentIsTriedAgainSoon(t *testing.T) {
	keep(t, []access.Subscription{at("P1", here)}, func(t *testing.T, a *account) {
		a.has(func() { a.listed[0].Disabled, a.enabling = true, errDown })
		later(lookEvery)
		lines(t, a.said(), "did not work yet")
		a.has(func() { a.enabling = nil })
		later(retryEvery)
		lines(t, a.said(), "it is enabled again", "as it should be again")
	})
}

func TestWhatOnlyPeopleCanMendIsToldOnceAndThatItIsOver(t *testing.T) {
	inactive, incomplete := at("P1", here), at("P1", here)
	inactive.Active = false
	incomplete.EventTypes = []string{"incident.triggered", "incident.annotated"}
	for _, c := range []struct {
		name   string
		listed []access.Subscription
		err    error
		want   []string
	}{
		{"none at all", nil, nil, []string{"level=WARN", "the API key sees no webhook subscription", path, "polling alone", "another account or region"}},
		{"none that leads here", []access.Subscription{at("P2", "https://other.example.com/hook")}, nil, []string{"level=WARN", "none of the 1 webhook subscriptions"}},
		{"switched off by its owner", []access.Subscription{inactive}, nil, []string{"level=WARN", "P1 is switched off (active is false)"}},
		{"event types", []access.Subscription{incomplete}, nil, []string{"level=WARN", "P1 lacks", "incident.resolved, service.updated"}},
		{"a key that may not read them", nil, errMayNot, []string{"level=INFO", "cannot be read", "webhook_subscriptions.read"}},
		{"a refusal that lasts", nil, errRefused, []string{"level=WARN", "cannot be read", "418"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			keep(t, []access.Subscription{at("P1", here)}, func(t *testing.T, a *account) {
				a.has(func() { a.listed, a.listing = c.listed, c.err })
				later(time.Hour)
				log := a.said()
				lines(t, log, "The webhook subscription needs attention")
				for _, want := range c.want {
					if !strings.Contains(log, want) {
						t.Errorf("got %q, want %q in it", log, want)
					}
				}
				if enabled, _ := a.did(); enabled != "" {
					t.Errorf("enabled %q, want nothing", enabled)
				}
				if problem := a.Status().Problem; problem == "" || !strings.Contains(log, problem[:20]) {
					t.Errorf("got problem %q in the status", problem)
				}
				a.has(func() { a.listed, a.listing = []access.Subscription{at("P1", here)}, nil })
				later(time.Hour)
				lines(t, a.said(), "as it should be again")
				if problem := a.Status().Problem; problem != "" {
					t.Errorf("got problem %q in the status, want none any more", problem)
				}
			})
		})
	}
}

func TestAnOutageIsShownButNotToldASecondTime(t *testing.T) {
	keep(t, []access.Subscription{at("P1", here)}, func(t *testing.T, a *account) {
		a.has(func() { a.listing = errDown })
		later(10 * time.Minute)
		lines(t, a.said())
		if s := a.Status(); s.ID != "P1" || !strings.Contains(s.Problem, "503") {
			t.Errorf("got status %+v, want what was last seen, and the error", s)
		}
		a.has(func() { a.listing = nil })
		later(retryEvery)
		if s := a.Status(); s.Problem != "" {
			t.Errorf("got problem %q after the outage", s.Problem)
		}
	})
}

func TestItIsKnownHowTheSubscriptionFaresWhereItCanBeReadOrWebhooksAreOverdue(t *testing.T) {
	keep(t, []access.Subscription{at("P1", here)}, func(t *testing.T, a *account) {
		for _, c := range []struct {
			what string
			err  error
			want bool
		}{{"read", nil, true}, {"an outage", errDown, false}, {"read again", nil, true}, {"not permitted", errMayNot, false}} {
			a.has(func() { a.listing = c.err })
			a.Look()
			synctest.Wait()
			if got := a.Status(); got.Known != c.want {
				t.Errorf("%s: got %t, want %t", c.what, got.Known, c.want)
			}
		}
		a.Wrote("Q1", time.Now())
		later(echoWithin + lookEvery)
		if got := a.Status(); !got.Known || !strings.Contains(got.Problem, "Q1") {
			t.Errorf("overdue webhooks: got %+v", got)
		}
	})
}

func TestALookThatIsAskedForComesAtOnce(t *testing.T) {
	keep(t, []access.Subscription{at("P1", here)}, func(t *testing.T, a *account) {
		a.has(func() { a.listed[0].Disabled = true })
		for range 100 {
			a.Look()
		}
		synctest.Wait()
		if enabled, _ := a.did(); enabled != "P1" || a.looks > 4 {
			t.Errorf("enabled %q with %d looks, want P1 with few", enabled, a.looks)
		}
	})
}
