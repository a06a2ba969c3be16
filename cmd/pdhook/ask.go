package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/pdhook/pdhook/config"
	"github.com/pdhook/pdhook/internal/admin"
)

// adminFlags adds --config and --addr to a command that asks the running service, and gives [admin] with them. A
// configuration with mistakes elsewhere does not matter.
func adminFlags(cmd *cobra.Command) func() (config.Admin, error) {
	configFile := configFlag(cmd)
	addr := cmd.Flags().String("addr", "", "`address` of the running service (default admin.listen of the configuration)")
	return func() (config.Admin, error) {
		if *configFile != "" {
			if _, err := os.Stat(*configFile); err != nil {
				return config.Admin{}, fmt.Errorf("reading the configuration: %w", err)
			}
		}
		section := config.AdminOf(configPath(*configFile), os.Environ())
		if *addr != "" {
			section.Listen = *addr
		}
		return section, nil
	}
}

// serviceFlags is adminFlags for a command that needs the token, too.
func serviceFlags(cmd *cobra.Command) func() (*admin.Client, error) {
	flags := adminFlags(cmd)
	return func() (*admin.Client, error) {
		section, err := flags()
		if err != nil {
			return nil, err
		}
		token := config.Secret("")
		if section.Token != "" {
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
