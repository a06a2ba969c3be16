package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pdhook/pdhook/config"
)

func healthCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Exit with 0 when the running service is ready, else print why not and exit with 1",
		Args:  cobra.NoArgs,
	}
	configFile := configFlag(cmd)
	addr := cmd.Flags().String("addr", "", "`address` of the running service (default admin.listen of the configuration)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *addr != "" {
			return askReadiness(cmd.Context(), *addr)
		}
		if *configFile != "" {
			if _, err := os.Stat(*configFile); err != nil {
				return fmt.Errorf("reading the configuration: %w", err)
			}
		}
		return askReadiness(cmd.Context(), config.AdminListen(configPath(*configFile), os.Environ()))
	}
	return cmd
}

// patience is how long a service that is alive may take to answer.
const patience = 3 * time.Second

// askReadiness gives nil when the service at address says that it is ready, else why it is not.
func askReadiness(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("no answer within %s", patience))
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, readinessURL(address), nil)
	if err != nil {
		return fmt.Errorf("asking for readiness: %w", err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(r)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return fmt.Errorf("asking %s: %w", r.URL, cause)
	}
	if err != nil {
		return fmt.Errorf("asking for readiness: %w", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode == http.StatusOK {
		return nil
	}
	return errors.New("not ready: " + reasons(answer))
}

// reasons gives what the service says is missing, or the status when it says nothing.
func reasons(answer *http.Response) string {
	var body struct {
		Reasons []string `json:"reasons"`
	}
	err := json.NewDecoder(io.LimitReader(answer.Body, 64<<10)).Decode(&body)
	if err != nil || len(body.Reasons) == 0 {
		return "answered " + answer.Status
	}
	return strings.Join(body.Reasons, "; ")
}

// readinessURL gives where to ask. A service that listens on every address is asked on this machine's own.
func readinessURL(address string) string {
	if strings.Contains(address, "://") {
		return strings.TrimRight(address, "/") + "/readyz"
	}
	host, port, err := net.SplitHostPort(address)
	if err == nil && (host == "" || net.ParseIP(host).IsUnspecified()) {
		address = net.JoinHostPort("127.0.0.1", port)
	}
	return "http://" + address + "/readyz"
}
