package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"sekisho/house"
)

// versionCommand says which sekisho this is: for whoever reports a mistake.
func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Say which sekisho this is",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s (%s, %s/%s)\n", house.Software, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}
