package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/pdhook/pdhook/test/pagerdutytest"
	"github.com/pdhook/pdhook/test/tlstest"
)

const demoKey = pagerdutytest.DefaultAPIKey

// stage holds the three processes and the people.
type stage struct {
	dir        string
	places     places
	account    *account
	people     map[string]*person
	simulators []*process
	pdhook     *process // nil before it runs
	status     string   // http://host:port of pdhook's [admin]
}

// setUp starts the simulators and pdhook. Call close in any case.
func setUp(ctx context.Context, binary string) (*stage, error) {
	dir, err := os.MkdirTemp("", "pdhook-demo-")
	if err != nil {
		return nil, err
	}
	s := &stage{dir: dir, people: map[string]*person{}}
	if err := s.startSimulators(ctx); err != nil {
		return s, err
	}
	for _, name := range people {
		p, err := login(ctx, s.places.Teleport, identityOf(dir, name), name)
		if err != nil {
			return s, err
		}
		s.people[name] = p
	}
	return s, s.startPdhook(ctx, binary)
}

func (s *stage) startSimulators(ctx context.Context) error {
	if _, err := tlstest.WriteCertificate(s.path("tls.crt"), s.path("tls.key")); err != nil {
		return err
	}
	if err := s.simulator(ctx, "teleport", "--dir", s.dir); err != nil {
		return err
	}
	if err := s.simulator(ctx, "pagerduty", "--ca", s.path("tls.crt")); err != nil {
		return err
	}
	s.account = &account{places: s.places}
	return s.account.populate(ctx)
}

// simulator starts one and reads where it listens.
func (s *stage) simulator(ctx context.Context, args ...string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	out, in, err := os.Pipe()
	if err != nil {
		return err
	}
	defer func() { _ = out.Close() }()
	p, err := start(ctx, in, os.Stderr, self, args...)
	_ = in.Close() // the simulator has its own
	if err != nil {
		return err
	}
	s.simulators = append(s.simulators, p)
	if err := json.NewDecoder(out).Decode(&s.places); err != nil {
		return fmt.Errorf("starting the %s simulator: %w", args[0], err)
	}
	return nil
}

func (s *stage) startPdhook(ctx context.Context, binary string) error {
	if err := os.WriteFile(s.path("pdhook.toml"), []byte(s.configuration()), 0o600); err != nil {
		return err
	}
	log, err := os.Create(s.path("pdhook.log"))
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // pdhook has its own
	if s.pdhook, err = start(ctx, nil, log, binary, "start", "--config", s.path("pdhook.toml")); err != nil {
		return err
	}
	started, err := s.journal().wait(ctx, func(l line) bool { return l.Message == "pdhook is starting" })
	if err != nil {
		return fmt.Errorf("pdhook did not start: %w\n%s", err, s.journal().text())
	}
	s.status = "http://" + started.Admin
	secret, err := s.account.subscribe(ctx, "https://"+started.Webhooks+"/webhooks/pagerduty")
	if err != nil {
		return err
	}
	if err := os.WriteFile(s.path("webhook-secret"), []byte(secret), 0o600); err != nil {
		return err
	}
	return s.ready(ctx)
}

// ready waits until pdhook can take webhooks and has listed what Teleport has.
func (s *stage) ready(ctx context.Context) error {
	return until(ctx, "pdhook is ready", func() (bool, error) {
		r, notReady := call[struct{ Ready bool }](ctx, "GET", s.status+"/readyz", nil) // looks for the secret every few seconds
		st, noStatus := call[struct{ Teleport struct{ Watching bool } }](ctx, "GET", s.status+"/status", nil)
		return notReady == nil && noStatus == nil && r.Ready && st.Teleport.Watching, nil
	})
}

func (s *stage) configuration() string {
	return fmt.Sprintf(`[teleport]
addr = %q
identity = %q
[pagerduty]
api_key = %q
user_email = %q
api_endpoint = %q
[webhook]
listen = "127.0.0.1:0"
secrets = [%q]
tls_cert = %q
tls_key = %q
[store]
path = %q
[admin]
listen = "127.0.0.1:0"
[log]
format = "json"
`, s.places.Teleport, identityOf(s.dir, plugin), demoKey, botEmail, s.places.API, s.path("webhook-secret"),
		s.path("tls.crt"), s.path("tls.key"), s.path("store"))
}

func (s *stage) path(name string) string { return filepath.Join(s.dir, name) }

func (s *stage) journal() journal {
	j := journal{file: s.path("pdhook.log")}
	if s.pdhook != nil {
		j.ended = s.pdhook.ended
	}
	return j
}

// close ends pdhook first, then the simulators, and removes the files. It reports when pdhook did not end in order.
func (s *stage) close() error {
	for _, p := range s.people {
		_ = p.client.Close()
	}
	var first error
	if s.pdhook != nil {
		if err := s.pdhook.stop(); err != nil && s.status != "" { // before, it may not listen to signals yet
			first = fmt.Errorf("pdhook did not stop in order: %w", err)
		}
	}
	for _, p := range s.simulators {
		_ = p.stop()
	}
	return errors.Join(first, os.RemoveAll(s.dir))
}
