package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/pdhook/pdhook/config"
	"github.com/pdhook/pdhook/internal/admin"
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
			return admin.NewClient(*addr, "").Ready(cmd.Context())
		}
		if *configFile != "" {
			if _, err := os.Stat(*configFile); err != nil {
				return fmt.Errorf("reading the configuration: %w", err)
			}
		}
		return admin.NewClient(config.AdminListen(configPath(*configFile), os.Environ()), "").Ready(cmd.Context())
	}
	return cmd
}
