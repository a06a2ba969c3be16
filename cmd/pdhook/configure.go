package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/pdhook/pdhook/config"
)

func configureCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "configure",
		Short: "Print the example configuration, with every key, its variable and its default",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprint(cmd.OutOrStdout(), config.Example())
			return err
		},
	}
}
