package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"sekisho/disk"
	"sekisho/house"
	"sekisho/ledger"
)

func ledgerCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "ledger", Short: "The ledger itself"}
	var asJSON bool
	verify := &cobra.Command{
		Use:   "verify DIR",
		Short: "Read every byte of a ledger and name what is wrong: a flipped bit, a missing or a reordered entry",
		Long: `Reads every entry of the ledger in DIR (a data directory, or the ledger in it),
checks its bytes, its place and the chain of hashes, and names each entry that
is not as it was written. It needs no key, takes no lock and changes nothing.
Exit code 3 means that something was found.

A chain of hashes cannot show that its end was cut off: compare the last
sequence number and the last hash with what was noted elsewhere.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := args[0]
			if data, err := house.DataDir(dir); err == nil {
				dir = filepath.Join(data, "ledger")
			}
			bar := newBar(os.Stderr, "verifying")
			report, err := ledger.Verify(disk.OS{}, dir, func(done, total int64) { bar.set(done, total) })
			bar.done()
			if err != nil {
				return err
			}
			if asJSON {
				if err := json.NewEncoder(cmd.OutOrStdout()).Encode(report); err != nil {
					return err
				}
			} else {
				printReport(cmd.OutOrStdout(), report)
			}
			if !report.OK() {
				return fmt.Errorf("%w: %d problems in the ledger", errFound, len(report.Problems))
			}
			return nil
		},
	}
	verify.Flags().BoolVar(&asJSON, "json", false, "print the report as JSON")
	cmd.AddCommand(verify)
	return cmd
}
