package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/pdhook/pdhook/test/tlstest"
)

// stage holds the three processes and the people.
type stage struct {
	dir     string
	places  places
	account *account
	people  map[string]*person
	pdhook  *follower
	status  string // http://host:port of pdhook's [admin]
	running []*exec.Cmd
}

// state is what `demo request` needs to find a running demo.
type state struct {
	Dir    string `json:"dir"`
	Places places `json:"places"`
}

func stateFile() string { return filepath.Join(os.TempDir(), "pdhook-demo.json") }

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
		if s.people[name], err = login(ctx, s.places.Teleport, identityOf(dir, name), name); err != nil {
			return s, err
		}
	}
	s.account = &account{places: s.places}
	if err := s.account.populate(ctx); err != nil {
		return s, err
	}
	return s, s.startPdhook(ctx, binary)
}

func (s *stage) startSimulators(ctx context.Context) error {
	if _, err := tlstest.WriteCertificate(s.path("tls.crt"), s.path("tls.key")); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if err := s.simulator(ctx, self, "teleport", "--dir", s.dir); err != nil {
		return err
	}
	return s.simulator(ctx, self, "pagerduty", "--ca", s.path("tls.crt"))
}

// simulator starts one and reads where it listens.
func (s *stage) simulator(ctx context.Context, self string, args ...string) error {
	cmd := s.command(ctx, self, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := s.start(cmd); err != nil {
		return err
	}
	if err := json.NewDecoder(out).Decode(&s.places); err != nil {
		return fmt.Errorf("starting the %s simulator: %w", args[0], err)
	}
	return nil
}

func (s *stage) startPdhook(ctx context.Context, binary string) error {
	if err := os.WriteFile(s.path("pdhook.toml"), []byte(s.configuration()), 0o600); err != nil {
		return err
	}
	cmd := s.command(ctx, binary, "start", "--config", s.path("pdhook.toml"))
	out, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := s.start(cmd); err != nil {
		return err
	}
	s.pdhook = follow(out, s.path("pdhook.log"))
	line, err := s.pdhook.wait(ctx, func(l line) bool { return l.Message == "pdhook is starting" })
	if err != nil {
		return fmt.Errorf("pdhook did not start: %w\n%s", err, s.pdhook.text())
	}
	s.status = "http://" + line.Admin
	secret, err := s.account.subscribe(ctx, "https://"+line.Webhooks+"/webhooks/pagerduty")
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

// command gives a process that gets SIGTERM when ctx ends, and stays clear of the terminal's Ctrl-C.
func (s *stage) command(ctx context.Context, binary string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	return cmd
}

func (s *stage) start(cmd *exec.Cmd) error {
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", cmd.Path, err)
	}
	s.running = append(s.running, cmd)
	return nil
}

// close ends pdhook first, then the simulators. It reports whether pdhook ended in order.
func (s *stage) close() error {
	var first error
	for _, p := range s.people {
		if p != nil {
			_ = p.client.Close()
		}
	}
	for i := len(s.running) - 1; i >= 0; i-- {
		_ = s.running[i].Process.Signal(syscall.SIGTERM)
		err := s.running[i].Wait()
		if i == 2 && err != nil {
			first = fmt.Errorf("pdhook did not stop in order: %w", err)
		}
	}
	_ = os.Remove(stateFile())
	return errors.Join(first, os.RemoveAll(s.dir))
}

// save tells `demo request` where this demo runs.
func (s *stage) save() error {
	text, err := json.Marshal(state{s.dir, s.places})
	if err != nil {
		return err
	}
	return os.WriteFile(stateFile(), text, 0o600)
}

// line is one line of pdhook's log.
type line struct {
	Message  string `json:"msg"`
	Webhooks string `json:"webhooks"`
	Admin    string `json:"admin"`
	Request  string `json:"request_id"`
	Verdict  string `json:"verdict"`
	Why      string `json:"why"`
	Cause    string `json:"cause"`
}

// follower reads pdhook's log.
type follower struct {
	mu    sync.Mutex
	lines []line
	raw   strings.Builder
	ended bool
}

func follow(from io.Reader, file string) *follower {
	f := &follower{}
	go func() {
		kept, err := os.Create(file)
		if err == nil {
			defer func() { _ = kept.Close() }()
			from = io.TeeReader(from, kept)
		}
		scanner := bufio.NewScanner(from)
		for scanner.Scan() {
			var l line
			_ = json.Unmarshal(scanner.Bytes(), &l)
			f.mu.Lock()
			f.lines = append(f.lines, l)
			f.raw.WriteString(scanner.Text() + "\n")
			f.mu.Unlock()
		}
		f.mu.Lock()
		f.ended = true
		f.mu.Unlock()
	}()
	return f
}

func (f *follower) text() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.raw.String()
}

// wait gives the newest line that matches, as soon as there is one.
func (f *follower) wait(ctx context.Context, match func(line) bool) (found line, err error) {
	err = until(ctx, "pdhook says so", func() (bool, error) {
		f.mu.Lock()
		defer f.mu.Unlock()
		for i := len(f.lines) - 1; i >= 0; i-- {
			if match(f.lines[i]) {
				found = f.lines[i]
				return true, nil
			}
		}
		if f.ended {
			return false, errors.New("pdhook has ended")
		}
		return false, nil
	})
	return found, err
}

// until asks again and again until the answer is yes, for at most 30 s.
func until(ctx context.Context, what string, yes func() (bool, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 30*time.Second, fmt.Errorf("waited 30 s in vain until %s", what))
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		ok, err := yes()
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
	}
}
