package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"sekisho"
	"sekisho/disk"
	"sekisho/house"
	"sekisho/ledger"
	"sekisho/vault"
)

func ledgerCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "ledger", Short: "The ledger itself"}
	var (
		asJSON             bool
		vaultPath, keyPath string
	)
	verify := &cobra.Command{
		Use:   "verify DIR",
		Short: "Read every byte of a ledger and name what is wrong: a flipped bit, a missing or a reordered entry",
		Long: `Reads every entry of the ledger in DIR (a data directory, or the ledger in it),
checks its bytes, its place and the chain of hashes, and names each entry that
is not as it was written. It needs no key, takes no lock and changes nothing.
Exit code 3 means that something was found.

With --vault it also opens the vault, which needs its key, and compares every
key and salt in it with what the ledger commits to: that no name was swapped.

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
			var names *nameReport
			if vaultPath != "" && report.OK() && report.Segments > 0 {
				if names, err = verifyNames(dir, vaultPath, keyPath); err != nil {
					return err
				}
			}
			if asJSON {
				both := struct {
					ledger.Report
					Vault *nameReport `json:",omitempty"`
				}{report, names}
				if err := json.NewEncoder(cmd.OutOrStdout()).Encode(both); err != nil {
					return err
				}
			} else {
				printReport(cmd.OutOrStdout(), report)
				if names != nil {
					names.print(cmd.OutOrStdout())
				}
			}
			if !report.OK() {
				return fmt.Errorf("%w: %s in the ledger", errFound, counted(len(report.Problems)+report.More, "problem"))
			}
			if report.Segments == 0 {
				// Of a ledger that was taken away nothing is left to be wrong.
				return fmt.Errorf("%w: no entry of a ledger is in %s: name the data directory of the config, or the ledger in it", errFound, args[0])
			}
			if names != nil && len(names.Problems) > 0 {
				return fmt.Errorf("%w: %s in the vault", errFound, counted(len(names.Problems), "problem"))
			}
			return nil
		},
	}
	verify.Flags().StringVar(&vaultPath, "vault", "", "compare the vault in this directory, too")
	verify.Flags().StringVar(&keyPath, "key", "", "the vault's key file (default: vault.key beside the vault)")
	verify.Flags().BoolVar(&asJSON, "json", false, "print the report as JSON")
	cmd.AddCommand(verify)
	return cmd
}

// A nameReport is how the vault agrees with a ledger.
type nameReport struct {
	Commitments int      // of the ledger, that were compared
	Keys        uint64   // that they cover
	Problems    []string `json:",omitempty"`
}

// verifyNames compares every commitment of a ledger that is whole with the
// vault. It writes nothing.
func verifyNames(dir, vaultPath, keyPath string) (r *nameReport, err error) {
	if keyPath == "" {
		keyPath = filepath.Join(filepath.Dir(filepath.Clean(vaultPath)), "vault.key")
	}
	if _, err := os.Stat(keyPath); err != nil { // it would be made
		return nil, fmt.Errorf("reading the vault's key: %w: name its file with --key", err)
	}
	key, err := vault.LoadOrMakeKey(keyPath)
	if err != nil {
		return nil, err
	}
	v, err := vault.Open(vault.Config{Dir: vaultPath, FS: disk.OS{}, Key: key, ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, v.Close()) }()
	r = &nameReport{}
	for e, err := range ledger.Read(disk.OS{}, dir, 1) {
		if err != nil {
			return nil, err
		}
		b, ok := e.Body.(*sekisho.Assigned)
		if !ok {
			continue
		}
		r.Commitments++
		r.Keys += uint64(b.Count)
		if err := v.Check(b.Space, b.First, b.Count, b.Root); err != nil {
			r.Problems = append(r.Problems, fmt.Sprintf("entry %v: %v", e.ID, err))
		}
	}
	return r, nil
}
