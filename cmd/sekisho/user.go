package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"sekisho/house"
)

func userCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "user", Short: "The console's local users"}
	var path, data string
	reset := &cobra.Command{
		Use:   "reset NAME",
		Short: "Give a console user a new password, and print it",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, err := dataDir(data, path)
			if err != nil {
				return err
			}
			return atControl(cmd.Context(), dir, "", func(c *house.Caller) error {
				password, err := c.ResetUser(cmd.Context(), args[0])
				if err == nil {
					fmt.Fprintln(cmd.OutOrStdout(), password)
				}
				return err
			})
		},
	}
	where(reset, &path, &data)
	cmd.AddCommand(reset, userAdd(), userList(), userRemove())
	return cmd
}

// where adds the flags that say which house is meant.
func where(cmd *cobra.Command, config, data *string) {
	cmd.Flags().StringVar(config, "config", "sekisho.yaml", "the config file of the house")
	cmd.Flags().StringVar(data, "ledger", "", "its data directory, or the ledger's in it, instead of the config")
}

// dataDir is the data directory that the flags mean.
func dataDir(data, config string) (string, error) {
	if data != "" {
		return house.DataDir(data)
	}
	c, base, err := readConfig(config)
	if err != nil {
		return "", err
	}
	return house.DataDir(house.Against(base, c.Data))
}
