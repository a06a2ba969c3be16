package subscription

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/internal/pagerduty"
	"github.com/pdhook/pdhook/test/pagerdutytest"
)

// desk is a PagerDuty account, a file of secrets, a service that takes webhooks, and a person who runs the command.
type desk struct {
	*pagerdutytest.Server
	t      *testing.T
	client *pagerduty.Client
	url    string // leads to the service

	mu        sync.Mutex
	file      []string // nil: not there
	unwritten error    // why the file cannot be written
	service   service
	said      []string
}

// service is a pdhook that runs, or does not.
type service struct {
	off     bool
	loaded  []string
	broken  error // of Reload
	reloads int
	pings   []access.Event
	refused int // deliveries whose signature matched no loaded secret
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{t: t, Server: pagerdutytest.New(pagerdutytest.Options{OpenAPI: pagerdutytest.FindOpenAPI(), WebhookRetry: 20 * time.Millisecond})}
	d.Start()
	receiver := httptest.NewServer(d)
	d.url = receiver.URL + path
	var err error
	d.client, err = pagerduty.New(pagerduty.Config{
		Endpoint: d.URL(), From: "pdhook@example.com", Key: func() string { return pagerdutytest.DefaultAPIKey },
		Transport: &http.Transport{DisableKeepAlives: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		d.Close()
		receiver.Close()
		d.client.Close()
		if v := d.Violations(); len(v) > 0 {
			t.Errorf("requests that PagerDuty's OpenAPI document forbids: %q", v)
		}
	})
	return d
}

// ServeHTTP takes a webhook.
func (d *desk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var in struct {
		Event struct {
			ID       access.EventID
			Type     string    `json:"event_type"`
			Occurred time.Time `json:"occurred_at"`
		}
	}
	_ = json.Unmarshal(body, &in)
	d.mu.Lock()
	defer d.mu.Unlock()
	signed := func(secret string) bool {
		return r.Header.Get("X-PagerDuty-Signature") == pagerdutytest.Sign(secret, body)
	}
	switch {
	case d.service.off:
		w.WriteHeader(http.StatusBadGateway)
	case !slices.ContainsFunc(d.service.loaded, signed):
		d.service.refused++
		w.WriteHeader(http.StatusForbidden)
	default:
		if in.Event.Type == TestEvent {
			d.service.pings = append(d.service.pings, access.Event{ID: in.Event.ID, Occurred: in.Event.Occurred, Received: time.Now()})
		}
		w.WriteHeader(http.StatusAccepted)
	}
}

// has changes file and service.
func (d *desk) has(change func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change()
}

func (d *desk) Pings(context.Context) ([]access.Event, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.service.off {
		return nil, ErrNotRunning
	}
	return slices.Clone(d.service.pings), nil
}

func (d *desk) Reload(context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.service.reloads++
	if d.service.broken == nil {
		d.service.loaded = slices.Clone(d.file)
	}
	return d.service.broken
}

func (d *desk) NotReady(context.Context) []string { return []string{"the disk is full"} }

func (d *desk) Read() ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.file), nil
}

func (d *desk) Writable() error { return d.unwritten }

func (d *desk) Write(secrets []string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.file = slices.Clone(secrets)
	return nil
}

// runs runs the command.
func (d *desk) runs(order Order) (Result, error) {
	d.t.Helper()
	order.URL = d.url
	if order.Wait == 0 {
		order.Wait = 20 * time.Second
	}
	d.mu.Lock()
	have := len(d.file) > 0
	d.said = nil
	d.mu.Unlock()
	result, err := Subscribe(d.t.Context(), SubscribeConfig{
		PagerDuty: d.client, Running: d, File: d, FileName: "the-file", HaveSecret: have, Path: path, EventTypes: used,
		Say:      func(line string) { d.said = append(d.said, line) },
		underWay: time.Millisecond, firstPause: time.Millisecond,
	}, order)
	told := strings.Join(d.said, "\n")
	if err != nil {
		told += err.Error()
	}
	for _, s := range d.Subscriptions() {
		if strings.Contains(told, s.Secret) {
			d.t.Errorf("a signing secret is told: %s", told)
		}
	}
	return result, err
}

// succeeds runs the command, which has to succeed with a test.
func (d *desk) succeeds(order Order) Result {
	d.t.Helper()
	result, err := d.runs(order)
	if err != nil || !result.Tested || len(result.NotUndone) > 0 {
		d.t.Fatalf("got %v and %+v, want success", err, result)
	}
	return result
}

// fails runs the command, which has to fail with words in its error.
func (d *desk) fails(order Order, words ...string) Result {
	d.t.Helper()
	result, err := d.runs(order)
	if err == nil {
		d.t.Fatalf("got %+v, want an error", result)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			d.t.Errorf("got the error %v, want %q in it", err, w)
		}
	}
	return result
}

// tells checks that the last run said these words, in this order.
func (d *desk) tells(words ...string) {
	d.t.Helper()
	rest := strings.Join(d.said, "\n")
	for _, w := range words {
		_, after, found := strings.Cut(rest, w)
		if !found {
			d.t.Fatalf("got %q, want %q in it, in order", d.said, words)
		}
		rest = after
	}
}

// inUse checks that there is exactly one subscription to the URL, which delivers, whose secret alone is in the file.
func (d *desk) inUse() pagerdutytest.Subscription {
	d.t.Helper()
	all := d.Subscriptions()
	if len(all) != 1 {
		d.t.Fatalf("got %d subscriptions, want one", len(all))
	}
	s := all[0]
	if s.Inactive || s.Description != "pdhook" || s.URL != d.url || !slices.Equal(s.Events, used) || d.TemporarilyDisabled(s.ID) {
		d.t.Errorf("got the subscription %s: inactive %t, %q, to %s, with %q", s.ID, s.Inactive, s.Description, s.URL, s.Events)
	}
	if file, _ := d.Read(); !slices.Equal(file, []string{s.Secret}) {
		d.t.Errorf("the file holds %d secrets, want the one of the subscription alone", len(file))
	}
	return s
}

// isAsBefore checks that nothing is left of what a run did.
func (d *desk) isAsBefore(subscriptions []pagerdutytest.Subscription, file []string) {
	d.t.Helper()
	now := d.Subscriptions()
	if len(now) != len(subscriptions) {
		d.t.Fatalf("got %d subscriptions, want %d as before", len(now), len(subscriptions))
	}
	for i, s := range now {
		if s.ID != subscriptions[i].ID || s.Inactive != subscriptions[i].Inactive || s.Description != subscriptions[i].Description {
			d.t.Errorf("got the subscription %s (%q), want it as before", s.ID, s.Description)
		}
	}
	if left, _ := d.Read(); !slices.Equal(left, file) {
		d.t.Errorf("the file holds %d secrets, want those of before", len(left))
	}
}

var errReload = errors.New("pdhook.toml: unknown key")
