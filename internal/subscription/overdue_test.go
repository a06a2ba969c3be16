package subscription

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

func TestAWebhookThatDoesNotComeIsToldOnceAndThatItIsOver(t *testing.T) {
	keep(t, []access.Subscription{at("P1", here)}, func(t *testing.T, a *account) {
		a.Wrote("Q1", time.Now())
		later(time.Minute)
		a.Wrote("Q2", time.Now())
		later(time.Hour)
		log := a.said()
		lines(t, log, "no webhook came for incident Q1")
		if !strings.Contains(log, "level=WARN") || !strings.Contains(log, "ingress") || !strings.Contains(a.Status().Problem, "Q1") {
			t.Errorf("got %q and status %+v", log, a.Status())
		}
		if _, lost := a.did(); lost != 1 {
			t.Errorf("%d times lost events, want 1", lost)
		}
		a.Accepted(eventOn("", "P1")) // not of an incident of pdhook's own
		a.Look()
		synctest.Wait()
		lines(t, a.said())
		a.Accepted(eventOn("R2", "P1"))
		synctest.Wait()
		lines(t, a.said(), "as it should be again")
		if _, lost := a.did(); lost != 1 || a.Status().Problem != "" {
			t.Errorf("%d times lost events and status %+v, want 1 and no problem", lost, a.Status())
		}
		later(time.Hour)
		lines(t, a.said())
	})
}

func TestWebhooksInTimeAreNoNews(t *testing.T) {
	keep(t, []access.Subscription{at("P1", here)}, func(t *testing.T, a *account) {
		for range 20 {
			a.Wrote("Q1", time.Now())
			later(4 * time.Minute)
			a.Accepted(eventOn("R1", "P1"))
			later(3 * time.Minute)
		}
		began := time.Now()
		later(time.Second)
		a.Accepted(eventOn("R1", "P1"))
		a.Wrote("Q2", began) // the event overtook PagerDuty's answer
		later(time.Hour)
		lines(t, a.said())
		if a.looks > 13*5 {
			t.Errorf("%d looks in three hours and a half", a.looks)
		}
	})
}

func TestNothingIsAwaitedWhereNothingCanCome(t *testing.T) {
	for name, change := range map[string]func(s *access.Subscription){
		"switched off by its owner": func(s *access.Subscription) { s.Active = false },
		"disabled by PagerDuty":     func(s *access.Subscription) { s.Disabled = true },
		"leads elsewhere":           func(s *access.Subscription) { s.Path = "/" },
	} {
		t.Run(name, func(t *testing.T) {
			keep(t, []access.Subscription{at("P1", here)}, func(t *testing.T, a *account) {
				a.has(func() { change(&a.listed[0]); a.enabling = errMayNot })
				a.Wrote("Q1", time.Now())
				later(time.Hour)
				a.has(func() { a.listed[0] = at("P1", here) })
				later(time.Hour)
				if log := a.said(); strings.Contains(log, "Q1") {
					t.Errorf("got %q, want nothing of the incident", log)
				}
			})
		})
	}
}

func TestWhoMayNotReadSubscriptionsIsToldOfMissingWebhooks(t *testing.T) {
	keep(t, nil, func(t *testing.T, a *account) {
		a.has(func() { a.listing = errMayNot })
		later(lookEvery)
		a.said()
		a.Wrote("Q1", time.Now())
		later(time.Hour)
		lines(t, a.said(), "no webhook came for incident Q1")
	})
}
