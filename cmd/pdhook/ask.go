package main

import (
	"errors"
	"fmt"
	"io"
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
		return adminSection(cmd.ErrOrStderr(), configPath(*configFile), *configFile != "", *addr)
	}
}

// adminSection gives [admin] of the configuration at path, with addr where that is given. Where somebody named a file
// that cannot be read the defaults must not stand in for it: another pdhook may listen there.
func adminSection(stderr io.Writer, path string, named bool, addr string) (config.Admin, error) {
	section, err := config.AdminOf(path, os.Environ())
	switch {
	case err != nil && named:
		return config.Admin{}, err
	case addr != "":
		section.Listen = addr
	case err != nil:
		report(stderr, fmt.Errorf("%w; asking at %s", err, section.Listen))
	}
	return section, nil
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
