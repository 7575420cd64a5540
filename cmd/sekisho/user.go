package main

import (
	"errors"
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
			return atControl(cmd, dir, "", func(c *house.Caller) error {
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
	if data == "" {
		c, base, err := readConfig(config)
		if err != nil {
			return "", err
		}
		data = house.Against(base, c.Data)
	}
	return ledgerAt(data)
}

// ledgerAt is the data directory with the ledger that a path means.
func ledgerAt(path string) (string, error) {
	dir, err := house.DataDir(path)
	if err != nil {
		err = both("%[1]v", "%[2]s に台帳がない: 設定のデータディレクトリか、その中の ledger を指定する", err, path)
	}
	return dir, err
}

// call finds the house that runs on a data directory, which answers in the language
// of whoever typed the command.
func call(cmd *cobra.Command, dir string) (*house.Caller, error) {
	c, err := house.Call(cmd.Context(), dir)
	if errors.Is(err, house.ErrNotRunning) {
		return nil, both("%[1]v: start it with sekisho up", "%[2]s で動いている sekisho がない: sekisho up で起動する", err, dir)
	}
	if err == nil {
		c.Lang = spoken(cmd)
	}
	return c, err
}
