package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/pdhook/pdhook/test/pagerdutytest"
	"github.com/pdhook/pdhook/test/teleporttest"
)

const (
	plugin   = "pdhook"             // the Teleport user that pdhook is
	botEmail = "pdhook@example.com" // and the PagerDuty user
	roleName = "payments-admin"

	serviceName = "Payments API"
)

// places says where a simulator listens. It is the first line that its process prints.
type places struct {
	Teleport string `json:"teleport,omitempty"`
	API      string `json:"api,omitempty"`
	Control  string `json:"control,omitempty"`
}

// runTeleport serves a cluster with one role, and writes everybody's identity to dir.
func runTeleport(ctx context.Context, dir string) error {
	server, err := teleporttest.New(teleporttest.Options{})
	if err != nil {
		return err
	}
	defer server.Close()
	if err := server.Start(); err != nil {
		return err
	}
	server.SetRole(roleName, map[string][]string{
		"pagerduty_notify_service": {serviceName},
		"pagerduty_services":       {serviceName},
	})
	for _, user := range append([]string{plugin}, people...) {
		if err := server.WriteIdentity(identityOf(dir, user), user, teleporttest.IdentityOptions{TTL: 24 * time.Hour}); err != nil {
			return err
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(places{Teleport: server.Addr()}); err != nil {
		return err
	}
	server.RunSweeper(ctx, time.Second)
	return nil
}

func identityOf(dir, user string) string { return filepath.Join(dir, user+".identity") }

// runPagerDuty serves an empty account, and a second address where the story acts as people do.
func runPagerDuty(ctx context.Context, ca string) error {
	pem, err := os.ReadFile(ca)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	server := pagerdutytest.New(pagerdutytest.Options{WebhookTLS: &tls.Config{RootCAs: roots}})
	server.Start()
	defer server.Close()
	var listening net.ListenConfig
	listener, err := listening.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	control := &http.Server{Handler: server.ControlHandler(), ReadHeaderTimeout: time.Second}
	served := make(chan error, 1)
	go func() { served <- control.Serve(listener) }()
	if err := json.NewEncoder(os.Stdout).Encode(places{API: server.URL(), Control: "http://" + listener.Addr().String()}); err != nil {
		return err
	}
	<-ctx.Done()
	return errors.Join(control.Close(), ignoreClosed(<-served))
}

func ignoreClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
