package main

import (
	"context"
	"errors"
	"fmt"
	"net"
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
	s := &stage{dir: dir}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.startSimulators(ctx); err != nil {
		return err
	}
	if err := os.WriteFile(s.path("pagerduty-api-key"), []byte(demoKey+"\n"), 0o600); err != nil {
		return err
	}
	webhooks, err := free(ctx, "127.0.0.1:8081")
	if err != nil {
		return err
	}
	admin, err := free(ctx, "127.0.0.1:8082")
	if err != nil {
		return err
	}
	s.status = "http://" + admin
	if err := s.trustTheAuthority(); err != nil {
		return err
	}
	if err := os.WriteFile(s.path("env"), []byte(s.environment(webhooks, admin)), 0o600); err != nil {
		return err
	}
	return s.findable(ctx, func() { fmt.Print(s.handOut(webhooks)) })
}

// free gives the address, or another of this machine where a program listens on it.
func free(ctx context.Context, address string) (string, error) {
	var listening net.ListenConfig
	listener, err := listening.Listen(ctx, "tcp", address)
	if err != nil {
		listener, err = listening.Listen(ctx, "tcp", "127.0.0.1:0")
	}
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

// authorities are those that the simulated internet trusts: pdhook check would warn of the certificate otherwise.
const authorities = "authorities"

func (s *stage) trustTheAuthority() error {
	certificate, err := os.ReadFile(s.path("tls.crt"))
	if err != nil {
		return err
	}
	if err := os.Mkdir(s.path(authorities), 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(s.path(authorities), "sandbox.pem"), certificate, 0o600)
}

// environment is the configuration of pdhook as variables of a shell.
func (s *stage) environment(webhooks, admin string) string {
	var b strings.Builder
	for _, v := range [][2]string{
		{"TELEPORT_ADDR", s.places.Teleport},
		{"TELEPORT_IDENTITY", identityOf(s.dir, plugin)},
		{"PAGERDUTY_API_KEY", s.path("pagerduty-api-key")},
		{"PAGERDUTY_USER_EMAIL", botEmail},
		{"PAGERDUTY_API_ENDPOINT", s.places.API},
		{"WEBHOOK_LISTEN", webhooks},
		{"WEBHOOK_SECRETS", s.path("webhook-secret")},
		{"WEBHOOK_TLS_CERT", s.path("tls.crt")},
		{"WEBHOOK_TLS_KEY", s.path("tls.key")},
		{"STORE_PATH", s.path("store")},
		{"ADMIN_LISTEN", admin},
	} {
		fmt.Fprintf(&b, "export PDHOOK_%s='%s'\n", v[0], v[1])
	}
	fmt.Fprintf(&b, "export SSL_CERT_DIR='/etc/ssl/certs:%s'\n", s.path(authorities))
	return b.String()
}

// handOut says what is there and what to do with it.
func (s *stage) handOut(webhooks string) string {
	dir := s.dir
	if here, err := os.Getwd(); err == nil {
		if short, err := filepath.Rel(here, dir); err == nil && !strings.HasPrefix(short, "..") {
			dir = short
		}
	}
	return fmt.Sprintf(`Teleport and PagerDuty are simulated here until Ctrl-C:

  Teleport    %[1]s, role %[2]s
  PagerDuty   %[3]s, service %[4]q, kim is on call

Set pdhook up in another terminal:

  . %[5]s/env
  bin/pdhook check                      # what is still missing: the signing secret and the subscription
  bin/pdhook start 2> %[5]s/log &
  bin/pdhook subscribe --url https://%[6]s/webhooks/pagerduty
  bin/pdhook check                      # nothing is missing
  make demo-request USER=%[7]s   # approved at once
  make demo-request USER=%[8]s  # has to wait: kim is paged
  bin/pdhook requests

Why dana waits: bin/pdhook explain REQUEST, or %[9]s in a browser.
`, s.places.Teleport, roleName, s.places.API, serviceName, dir, webhooks, kim, dana, s.status)
}
