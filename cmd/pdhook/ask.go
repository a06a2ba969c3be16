package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/pdhook/pdhook/config"
	"github.com/pdhook/pdhook/internal/admin"
)

// serviceFlags adds --config and --addr to a command that asks the running service, and gives how to reach it. A
// configuration with mistakes elsewhere than in [admin] does not matter.
func serviceFlags(cmd *cobra.Command) func() (*admin.Client, error) {
	configFile := configFlag(cmd)
	addr := cmd.Flags().String("addr", "", "`address` of the running service (default admin.listen of the configuration)")
	return func() (*admin.Client, error) {
		if *configFile != "" {
			if _, err := os.Stat(*configFile); err != nil {
				return nil, fmt.Errorf("reading the configuration: %w", err)
			}
		}
		section := config.AdminOf(configPath(*configFile), os.Environ())
		if *addr != "" {
			section.Listen = *addr
		}
		token := config.Secret("")
		if section.Token != "" {
			var err error
			if token, err = section.Token.Read(); err != nil {
				return nil, fmt.Errorf("admin.token: %w", err)
			}
		}
		return admin.NewClient(section.Listen, token.Reveal()), nil
	}
}

// withWayOut adds to why the service could not be asked what to do about it.
func withWayOut(err error) error {
	if errors.Is(err, admin.ErrNotRunning) {
		return fmt.Errorf(`%w; start it with "pdhook start", or name the address of its [admin] with --addr`, err)
	}
	return err
}
