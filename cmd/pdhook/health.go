package main

import (
	"github.com/spf13/cobra"

	"github.com/pdhook/pdhook/internal/admin"
)

func healthCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Exit with 0 when the running service is ready, else print why not and exit with 1",
		Args:  cobra.NoArgs,
	}
	section := adminFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		where, err := section()
		if err != nil {
			return err
		}
		return admin.NewClient(where.Listen, "").Ready(cmd.Context()) // which asks for no token
	}
	return cmd
}
