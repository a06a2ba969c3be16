package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// sandbox runs the simulators alone, with what an administrator of either system would hand out, so that pdhook can be
// set up by hand as README.md says. It writes to dir, and removes what it wrote at the end.
func sandbox(ctx context.Context, dir string) (err error) {
	if dir == "" {
		return errors.New("--dir DIR: say where to write what pdhook needs to know")
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return fmt.Errorf("%w: remove it, or give another --dir", err)
	}
	s := &stage{dir: dir, status: "http://127.0.0.1:8082"}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.startSimulators(ctx); err != nil {
		return err
	}
	if err := os.WriteFile(s.path("pagerduty-api-key"), []byte(demoKey+"\n"), 0o600); err != nil {
		return err
	}
	if err := os.WriteFile(s.path("env"), []byte(s.environment()), 0o600); err != nil {
		return err
	}
	return s.findable(ctx, func() { fmt.Print(s.handOut()) })
}

// environment is the configuration of pdhook as variables of a shell.
func (s *stage) environment() string {
	var b strings.Builder
	for _, v := range [][2]string{
		{"TELEPORT_ADDR", s.places.Teleport},
		{"TELEPORT_IDENTITY", identityOf(s.dir, plugin)},
		{"PAGERDUTY_API_KEY", s.path("pagerduty-api-key")},
		{"PAGERDUTY_USER_EMAIL", botEmail},
		{"PAGERDUTY_API_ENDPOINT", s.places.API},
		{"WEBHOOK_LISTEN", "127.0.0.1:8081"},
		{"WEBHOOK_SECRETS", s.path("webhook-secret")},
		{"WEBHOOK_TLS_CERT", s.path("tls.crt")},
		{"WEBHOOK_TLS_KEY", s.path("tls.key")},
		{"STORE_PATH", s.path("store")},
	} {
		fmt.Fprintf(&b, "export PDHOOK_%s='%s'\n", v[0], v[1])
	}
	return b.String()
}

// handOut says what is there and what to do with it.
func (s *stage) handOut() string {
	shown := s.path("env")
	if here, err := os.Getwd(); err == nil {
		if short, err := filepath.Rel(here, shown); err == nil && !strings.HasPrefix(short, "..") {
			shown = short
		}
	}
	return fmt.Sprintf(`Teleport and PagerDuty are simulated here until Ctrl-C:

  Teleport    %s, role %s
  PagerDuty   %s, service %q, kim is on call

Set pdhook up in another terminal:

  . %s
  bin/pdhook start &
  bin/pdhook subscribe --url https://127.0.0.1:8081/webhooks/pagerduty
  bin/pdhook check
  make demo-request USER=%s
  make demo-request USER=%s
  bin/pdhook requests --all
`, s.places.Teleport, roleName, s.places.API, serviceName, shown, kim, dana)
}
