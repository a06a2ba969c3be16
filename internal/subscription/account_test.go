package subscription

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/pdhook/pdhook/internal/access"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const path = "/webhooks/pagerduty"

var (
	used       = []string{"incident.resolved", "incident.triggered", "service.updated"}
	errDown    = &access.Failure{Err: errors.New("PagerDuty answered 503")}
	errMayNot  = &access.Failure{Class: access.Permanent, Err: access.ErrDenied}
	errRefused = &access.Failure{Class: access.Permanent, Err: errors.New("PagerDuty answered 418")}
)

// account is PagerDuty with its subscriptions, and a Keeper that looks after them.
type account struct {
	*Keeper
	dryRun bool

	mu        sync.Mutex
	listed    []access.Subscription
	listing   error    // of Subscriptions
	enabling  error    // of EnableSubscription
	performed bool     // EnableSubscription enables even where it gives an error
	looks     int      // calls of Subscriptions
	enabled   []string // IDs
	lost      int      // calls of Config.Lost
	log       strings.Builder
}

// at is a subscription that is as it should be.
func at(id, url string) access.Subscription {
	_, rest, _ := strings.Cut(strings.TrimPrefix(url, "https://"), "/")
	return access.Subscription{ID: access.SubscriptionID(id), URL: url, Path: "/" + rest, Active: true, EventTypes: used}
}

func (a *account) Subscriptions(context.Context) ([]access.Subscription, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.looks++
	return slices.Clone(a.listed), a.listing
}

func (a *account) EnableSubscription(_ context.Context, id access.SubscriptionID) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.enabled = append(a.enabled, string(id))
	for i := range a.listed {
		if a.listed[i].ID == id && (a.enabling == nil || a.performed) {
			a.listed[i].Disabled = false
		}
	}
	return a.enabling
}

func (a *account) Write(line []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.log.Write(line)
}

// has changes the account.
func (a *account) has(change func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change()
}

// said gives the log since the last call.
func (a *account) said() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	defer a.log.Reset()
	return a.log.String()
}

// did gives what happened since the last call: which subscriptions were enabled, how often events were lost.
func (a *account) did() (enabled string, lost int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	enabled, lost = strings.Join(a.enabled, " "), a.lost
	a.enabled, a.lost = nil, 0
	return enabled, lost
}

// keep runs the test beside a Keeper that has had its first look.
func keep(t *testing.T, listed []access.Subscription, test func(t *testing.T, a *account)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		a := &account{listed: listed}
		a.Keeper = New(Config{
			Source: a, Path: path, EventTypes: used, Log: slog.New(slog.NewTextHandler(a, nil)),
			DryRun: func() bool { return a.dryRun },
			Lost:   func(context.Context) { a.has(func() { a.lost++ }) },
		})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- a.Run(ctx) }()
		synctest.Wait()
		test(t, a)
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Run: got %v, want nil", err)
		}
	})
}

// later lets time pass and everything come to rest.
func later(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// lines checks that a log holds one line for each of the texts, in order, and nothing else.
func lines(t *testing.T, log string, want ...string) {
	t.Helper()
	got := strings.Split(strings.TrimSpace(log), "\n")
	if log == "" {
		got = nil
	}
	if len(got) != len(want) {
		t.Fatalf("got the log %q, want %d lines: %q", log, len(want), want)
	}
	for i := range got {
		if !strings.Contains(got[i], want[i]) {
			t.Errorf("line %d: got %q, want %q in it", i, got[i], want[i])
		}
	}
}

// eventOn is an accepted event on the incident of a request, or on another incident for request "".
func eventOn(request access.RequestID, from access.SubscriptionID) access.Event {
	e := access.Event{Type: "incident.triggered", Subscription: from, IncidentKey: "disk full"}
	if request != "" {
		e.IncidentKey = access.IncidentKey(request)
	}
	return e
}
