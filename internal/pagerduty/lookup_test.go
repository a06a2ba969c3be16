package pagerduty

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

func TestUserIsFoundByTheWholeEmailOverAllPages(t *testing.T) {
	var users []object
	for i := range 250 {
		users = append(users, userObject(fmt.Sprintf("P%d", i), fmt.Sprintf("%d.a@example.com", i)))
	}
	users = append(users, userObject("PME", "A@Example.COM"))
	f := paged("users", 100, users...)
	c := f.start(t)

	got, err := c.User(t.Context(), "a@example.com")
	want := access.User{ID: "PME", Name: "Name of PME", Email: "A@Example.COM", Account: "acme"}
	if err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	if f.count() != 3 || f.query(-1).Get("offset") != "200" || f.query(0).Get("query") != "a@example.com" || f.query(0).Get("limit") != "100" {
		t.Errorf("got %d calls, the last %v, want 3 with offset 200, query and limit", f.count(), f.query(-1))
	}
	if got := c.Status().Account; got != "acme" {
		t.Errorf("got account %q in the status, want acme", got)
	}
}

func TestNamesAreEqualButForTheCaseOfASCIILetters(t *testing.T) {
	tests := []struct {
		shown, asked string
		found        bool
	}{
		{"André", "andré", true},
		{"Zoë", "ZOë", true},
		{"É", "é", false},
		{"kiosk", "\u212aiosk", false}, // the Kelvin sign folds to k
		{"straße", "STRASSE", false},
		{"payments", "payments ", false},
		{"payments", "payment", false},
	}
	for _, tt := range tests {
		_, err := paged("services", 100, serviceObject("PSVC", tt.shown)).start(t).Service(t.Context(), tt.asked)
		if found := err == nil; found != tt.found || !found && !errors.Is(err, access.ErrNotFound) {
			t.Errorf("service %q asked for as %q: got found %t, want %t: %v", tt.shown, tt.asked, found, tt.found, err)
		}
		_, err = paged("users", 100, userObject("PUSER", tt.shown)).start(t).User(t.Context(), tt.asked)
		if found := err == nil; found != tt.found || !found && !errors.Is(err, access.ErrNotFound) {
			t.Errorf("user %q asked for as %q: got found %t, want %t: %v", tt.shown, tt.asked, found, tt.found, err)
		}
	}
}

func TestTwoObjectsOfOneNameAreAmbiguous(t *testing.T) {
	_, err := paged("services", 1, serviceObject("P2", "Payments"), serviceObject("PX", "payments-eu"), serviceObject("P1", "payments")).start(t).Service(t.Context(), "payments")
	wantAmbiguous(t, err, "service")
	_, err = paged("users", 1, userObject("P2", "a@example.com"), userObject("P1", "A@example.com")).start(t).User(t.Context(), "a@example.com")
	wantAmbiguous(t, err, "user")
}

func wantAmbiguous(t *testing.T, err error, kind string) {
	t.Helper()
	a, ok := errors.AsType[*access.AmbiguousError](err)
	if !ok || a.Kind != kind || !slices.Equal(a.IDs, []string{"P1", "P2"}) || !access.IsPermanent(err) {
		t.Errorf("got %v, want a permanent *access.AmbiguousError of a %s with P1 and P2", err, kind)
	}
}

func TestAnObjectListedTwiceIsOne(t *testing.T) {
	got, err := paged("services", 1, serviceObject("P1", "payments"), serviceObject("P1", "payments")).start(t).Service(t.Context(), "payments")
	if err != nil || got.ID != "P1" {
		t.Errorf("got %+v, %v, want P1", got, err)
	}
}

func TestServiceShowsPolicyAndAccount(t *testing.T) {
	f := always(200, encode(object{"service": serviceObject("PSVC", "Payments")}))
	got, err := f.start(t).Service(t.Context(), "id:PSVC")
	if want := (access.Service{ID: "PSVC", Name: "Payments", Policy: "PPOL", Account: "acme"}); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	if path := f.asked[0].URL.Path; path != "/services/PSVC" {
		t.Errorf("got path %s, want /services/PSVC", path)
	}
}

func TestAnotherServiceThanAskedForIsCouldNotTell(t *testing.T) {
	_, err := always(200, encode(object{"service": serviceObject("POTHER", "Payments")})).start(t).Service(t.Context(), "id:PSVC")
	if err == nil || errors.Is(err, access.ErrNotFound) || failure(t, err).Class != access.Retry {
		t.Errorf("got %v, want Retry", err)
	}
}

func TestAnUnknownServiceIDIsNotFound(t *testing.T) {
	_, err := always(404, `{"error":{"message":"Not Found","code":2100}}`).start(t).Service(t.Context(), "id:PSVC")
	if !errors.Is(err, access.ErrNotFound) || !access.IsPermanent(err) {
		t.Errorf("got %v, want a permanent ErrNotFound", err)
	}
}

func TestAMissingPageIsCouldNotTell(t *testing.T) {
	one := encode(serviceObject("P1", "payments"))
	tests := map[string]string{
		"list left out":      `{"limit":1,"offset":1,"more":false}`,
		"list empty":         `{"services":[],"limit":1,"offset":1,"more":false}`,
		"first page again":   `{"services":[` + one + `],"limit":1,"offset":0,"more":true}`,
		"later page":         `{"services":[` + one + `],"limit":1,"offset":2,"more":false}`,
		"offset left out":    `{"services":[` + one + `],"limit":1,"more":false}`,
		"more left out":      `{"services":[` + one + `],"limit":1,"offset":1}`,
		"more null":          `{"services":[` + one + `],"limit":1,"offset":1,"more":null}`,
		"pages of nothing":   `{"services":[` + one + `],"limit":0,"offset":1,"more":true}`,
		"pages without size": `{"services":[` + one + `],"offset":1,"more":true}`,
	}
	for name, second := range tests {
		f := &fake{respond: func(r *http.Request) (int, string) {
			if r.URL.Query().Get("offset") == "0" {
				return 200, `{"services":[` + one + `],"limit":1,"offset":0,"more":true}`
			}
			return 200, second
		}}
		_, err := f.start(t).Service(t.Context(), "payments")
		if err == nil || failure(t, err).Class != access.Retry || !strings.Contains(err.Error(), "could not tell") {
			t.Errorf("%s: got %v, want could not tell", name, err)
		}
		if f.count() != 2 {
			t.Errorf("%s: got %d calls, want 2", name, f.count())
		}
	}
}

func TestAListBeyondPagerDutysEndIsAnError(t *testing.T) {
	f := &fake{respond: func(r *http.Request) (int, string) {
		return 200, `{"services":[` + encode(serviceObject("P1", "payments")) + `],"limit":100,"offset":` + r.URL.Query().Get("offset") + `,"more":true}`
	}}
	_, err := f.start(t).Service(t.Context(), "payments")
	if !access.IsPermanent(err) || f.count() != 100 {
		t.Errorf("got %v after %d calls, want a permanent error after 100", err, f.count())
	}
}

func TestTheBotIsRememberedForFiveMinutes(t *testing.T) {
	f := paged("users", 100, userObject("PBOT", testFrom))
	now := time.Now()
	c := f.startWith(t, Config{now: func() time.Time { return now }})
	for _, step := range []struct {
		after time.Duration
		calls int
	}{{0, 1}, {botMemory - 1, 1}, {1, 2}} {
		now = now.Add(step.after)
		got, err := c.Bot(t.Context())
		if err != nil || got.ID != "PBOT" || f.count() != step.calls {
			t.Errorf("got %+v, %v after %d calls, want PBOT after %d", got, err, f.count(), step.calls)
		}
	}
}

func TestAHangingLookForTheBotHoldsUpNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		c := newClient(t, Config{Endpoint: "https://api.pagerduty.com", Transport: hanging(func(*http.Request) bool { return calls.Add(1) == 1 })})
		var hangs sync.WaitGroup
		hangs.Go(func() { _, _ = c.Bot(t.Context()) })
		time.Sleep(time.Second)
		began := time.Now()
		if _, err := c.Bot(t.Context()); err != nil || time.Since(began) > time.Second {
			t.Errorf("got %v after %s, want the user at once", err, time.Since(began))
		}
		hangs.Wait()
	})
}

func TestAnUnknownBotNamesTheKeyToMend(t *testing.T) {
	_, err := paged("users", 100).start(t).Bot(t.Context())
	if !errors.Is(err, access.ErrNotFound) || !strings.Contains(err.Error(), "pagerduty.user_email") {
		t.Errorf("got %v, want ErrNotFound that names pagerduty.user_email", err)
	}
}
