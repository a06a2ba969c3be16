package subscription

import (
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/pdhook/pdhook/internal/access"
)

func TestWhichSubscriptionsArePdhooks(t *testing.T) {
	exact := at("PEXACT", here)
	twin := at("PTWIN", "https://staging.example.com/webhooks/pagerduty")
	prefixed := at("PPREFIX", "https://ingress.example.com/pdhook/webhooks/pagerduty")
	rewritten := at("PREWRITTEN", "https://ingress.example.com/hooks/4711")
	slash := at("PSLASH", here+"/")
	beside := at("PBESIDE", "https://pdhook.example.com/mywebhooks/pagerduty")
	for _, c := range []struct {
		name   string
		listed []access.Subscription
		heard  []access.SubscriptionID
		want   string
	}{
		{"by the path", []access.Subscription{rewritten, exact, beside}, nil, "PEXACT"},
		{"behind an ingress that takes a prefix off", []access.Subscription{rewritten, prefixed}, nil, "PPREFIX"},
		{"the whole path before the end of one", []access.Subscription{prefixed, exact}, nil, "PEXACT"},
		{"all that may be, before one delivered", []access.Subscription{exact, twin}, nil, "PEXACT PTWIN"},
		{"the one that delivered", []access.Subscription{exact, twin}, []access.SubscriptionID{"PEXACT"}, "PEXACT"},
		{"the one that delivered with a prefix", []access.Subscription{exact, prefixed}, []access.SubscriptionID{"PPREFIX"}, "PPREFIX"},
		{"both that delivered", []access.Subscription{exact, twin, prefixed}, []access.SubscriptionID{"PTWIN", "PEXACT"}, "PEXACT PTWIN"},
		{"a header names what PagerDuty does not list", []access.Subscription{exact}, []access.SubscriptionID{"PMADEUP"}, "PEXACT"},
		{"a header names one that leads elsewhere", []access.Subscription{exact, rewritten}, []access.SubscriptionID{"PREWRITTEN"}, "PEXACT"},
		{"behind an ingress that changes the whole path", []access.Subscription{rewritten, beside}, []access.SubscriptionID{"PREWRITTEN"}, "PREWRITTEN"},
		{"none", []access.Subscription{rewritten, slash, beside}, nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			keep(t, c.listed, func(t *testing.T, a *account) {
				for _, id := range c.heard {
					a.Accepted(eventOn("", id))
				}
				var got []access.SubscriptionID
				for _, s := range a.ours(c.listed) {
					got = append(got, s.ID)
				}
				if fmt.Sprint(got) != "["+c.want+"]" {
					t.Errorf("got %s, want %s", got, c.want)
				}
			})
		})
	}
}

func TestOnlyOursIsEnabled(t *testing.T) {
	foreign, ours := at("PFOREIGN", "https://staging.example.com/webhooks/pagerduty"), at("POURS", here)
	keep(t, []access.Subscription{foreign, ours}, func(t *testing.T, a *account) {
		a.Accepted(eventOn("", "POURS"))
		a.has(func() { a.listed[0].Disabled, a.listed[1].Disabled = true, true })
		later(lookEvery)
		if enabled, _ := a.did(); enabled != "POURS" {
			t.Errorf("enabled %q, want POURS", enabled)
		}
	})
}

func TestOneThatDeliversMakesUpForOneThatItsOwnerSwitchedOff(t *testing.T) {
	old, current := at("POLD", here), at("PNEW", here)
	old.Active = false
	old.Disabled = true
	keep(t, []access.Subscription{old, current}, func(t *testing.T, a *account) {
		lines(t, a.said())
		if s := a.Status(); s.ID != "PNEW" || s.Problem != "" {
			t.Errorf("got status %+v", s)
		}
		a.has(func() { a.listed[1].EventTypes = nil })
		a.Look()
		synctest.Wait()
		lines(t, a.said(), "PNEW lacks event types")
		if s := a.Status(); s.ID != "PNEW" || len(s.Missing) != len(used) {
			t.Errorf("got status %+v, want the one with a problem", s)
		}
		if enabled, _ := a.did(); enabled != "" {
			t.Errorf("enabled %q, want nothing: its owner has switched it off", enabled)
		}
	})
}

func TestMadeUpIDsTakeNoMemory(t *testing.T) {
	keep(t, []access.Subscription{at("P1", here)}, func(t *testing.T, a *account) {
		for i := range 10_000 {
			a.Accepted(eventOn("", access.SubscriptionID(fmt.Sprint("PMADEUP", i))))
		}
		if len(a.heard) > maxHeard {
			t.Errorf("%d IDs are kept", len(a.heard))
		}
	})
}

func TestASubscriptionThatIsBeingSetUpIsNobodysConcern(t *testing.T) {
	unfinished := at("P2", "https://pdhook.example.com"+path)
	unfinished.Active, unfinished.Description = false, access.UnfinishedSubscription
	keep(t, []access.Subscription{unfinished}, func(t *testing.T, a *account) {
		lines(t, a.said(), "the API key sees no webhook subscription")
		if s := a.Status(); s.ID != "" {
			t.Errorf("got status %+v, want that there is none", s)
		}
	})
}

func TestATestPingHasTheSubscriptionLookedAtAtOnce(t *testing.T) {
	keep(t, nil, func(t *testing.T, a *account) {
		a.said()
		a.has(func() { a.listed = []access.Subscription{at("P1", "https://pdhook.example.com"+path)} })
		a.Accepted(access.Event{Type: "pagey.ping", Subscription: "P1"})
		synctest.Wait()
		if s := a.Status(); s.ID != "P1" || s.Problem != "" {
			t.Errorf("got status %+v, want the new subscription", s)
		}
		lines(t, a.said(), "as it should be again")
	})
}

func TestWhoOnlyLooksSeesTheSameSubscriptions(t *testing.T) {
	listed := []access.Subscription{at("PELSEWHERE", "https://ingress.example.com/hooks/4711"), at("POURS", here)}
	if got := Ours(listed, "/webhooks/pagerduty"); len(got) != 1 || got[0].ID != "POURS" || len(listed) != 2 {
		t.Errorf("got %v", got)
	}
	if got := Missing(access.Subscription{EventTypes: []string{"a"}}, []string{"a", "b"}); fmt.Sprint(got) != "[b]" {
		t.Errorf("got %v, want [b]", got)
	}
}
