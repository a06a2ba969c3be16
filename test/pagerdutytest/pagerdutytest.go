// Package pagerdutytest is a PagerDuty account that lives in memory: its REST API keeps state and refuses
// what PagerDuty refuses, and every change of an incident or service is sent to the webhook subscriptions
// that match, signed and retried the way PagerDuty does it. Faults make it fail on purpose.
package pagerdutytest

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"
)

// DefaultAPIKey is the account key that a Server takes when Options name none.
const DefaultAPIKey = "pagerdutytest-account-key"

// Options are the choices of a Server. The zero value works.
type Options struct {
	Now       func() time.Time // PagerDuty's clock; default time.Now
	APIKey    string           // the one account key; default DefaultAPIKey
	Account   string           // subdomain in every html_url; default "acme"
	OpenAPI   []byte           // PagerDuty's OpenAPI document (see FindOpenAPI); nil: requests are not checked against it
	RateLimit int              // requests a minute; default 960, PagerDuty's limit per account key

	WebhookTLS     *tls.Config   // RootCAs and client Certificates of the webhook sender; versions and suites stay PagerDuty's
	WebhookRetry   time.Duration // pause before a delivery is tried again; default 1 s (PagerDuty publishes no intervals)
	WebhookTimeout time.Duration // how long the sender waits for an answer; default 5 s, as PagerDuty does

	rateWindow time.Duration // one minute, until SetRateLimit
}

// Server is a PagerDuty account. Its methods may be called from several goroutines.
//
// Methods that set up the account or act as a person panic when they name something that does not exist
// or ask for what PagerDuty refuses: that is a mistake in the test.
type Server struct {
	opts     Options
	document *document
	handler  http.Handler
	listener *httptest.Server

	mu      sync.Mutex
	changed chan struct{} // closed and replaced after every change; see WaitUntil
	lastID  int

	users         []*User
	teams         []*Team
	policies      []*Policy
	services      []*Service
	schedules     []*Schedule
	incidents     []*Incident
	subscriptions []*Subscription

	requests   []*Request
	serving    int // requests that have come and are not answered
	violations []string
	faults     []*Fault
	hook       Hook
	released   chan struct{} // closed by ClearFaults and Close: hanging requests go on
	window     window
	readOnly   bool // the key

	sender sender
}

// New returns an empty account. It panics when the OpenAPI document cannot be read.
func New(opts Options) *Server {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.APIKey == "" {
		opts.APIKey = DefaultAPIKey
	}
	if opts.Account == "" {
		opts.Account = "acme"
	}
	if opts.RateLimit == 0 {
		opts.RateLimit = 960
	}
	opts.rateWindow = time.Minute
	if opts.WebhookRetry == 0 {
		opts.WebhookRetry = time.Second
	}
	if opts.WebhookTimeout == 0 {
		opts.WebhookTimeout = 5 * time.Second
	}
	s := &Server{
		opts:     opts,
		changed:  make(chan struct{}),
		released: make(chan struct{}),
		sender:   sender{lanes: map[laneKey]*lane{}},
	}
	if opts.OpenAPI != nil {
		s.document = must(openDocument(opts.OpenAPI))
	}
	s.handler = s.routes()
	return s
}

// Handler is the REST API. Webhooks leave only between Start and Close.
func (s *Server) Handler() http.Handler { return s.handler }

// Start serves the REST API on a free port of 127.0.0.1 and lets webhooks leave.
func (s *Server) Start() { check(s.StartOn("127.0.0.1:0")) }

// StartOn is Start on a given address.
func (s *Server) StartOn(addr string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("serving PagerDuty's API: %w", err)
	}
	s.listener = &httptest.Server{Listener: l, Config: &http.Server{Handler: s.handler}}
	s.listener.Start()
	s.do(s.startSender)
	return nil
}

// URL is where the REST API is served after Start, without a trailing slash.
func (s *Server) URL() string { return s.listener.URL }

// Close ends hanging requests, the REST API and the webhook sender, and waits for all of them.
func (s *Server) Close() {
	s.ClearFaults()
	s.stopSender()
	if s.listener != nil {
		s.listener.Close()
	}
}

// do runs a change of the account and wakes those who wait for one.
func (s *Server) do(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.announce()
	change()
}

func (s *Server) announce() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// WaitUntil waits until condition holds and gives an error when it does not within the timeout. The
// condition is tried again after every request, delivery or other change; it may call methods of s.
func (s *Server) WaitUntil(timeout time.Duration, condition func() bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	for {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		if condition() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("waiting for the PagerDuty double: condition does not hold after %s", timeout)
		}
	}
}

// id makes the next identifier: deterministic, and unique in the account whatever the prefix.
func (s *Server) id(format string) string {
	s.lastID++
	return fmt.Sprintf(format, s.lastID)
}

func check(err error) {
	if err != nil {
		panic("pagerdutytest: " + err.Error())
	}
}

func must[T any](v T, err error) T {
	check(err)
	return v
}
