package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"sekisho/console"
	"sekisho/disk"
	"sekisho/house"
	"sekisho/pack"
)

func dutyPackCommand() *cobra.Command {
	var a asked
	var o console.PackOrder
	var out string
	cmd := &cobra.Command{
		Use:   "pack --out FILE.zip|DIR",
		Short: "Make the auditor's pack: every figure with the entries behind it, to be checked by an outsider",
		Long: `Has the running sekisho make an auditor's pack, and writes it to a zip file or a
new directory. It holds how the duties stand, the texts that they are judged by,
and the bytes of the ledger behind every figure. No person is in it: people are
the ordinals of the entries. That it was made is an entry, durable before the
first byte is given out.

Whoever gets it runs "sekisho duty verify" on a machine of their own. Give them
the SHA-256 that this prints by another way.`,
		Example: `  sekisho duty pack --out pack.zip
  sekisho duty pack --out pack --from 2026-04-01 --whole`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if out == "" {
				return usage{errors.New("name the file or directory to write: --out pack.zip")}
			}
			if _, err := os.Lstat(out); err == nil {
				return fmt.Errorf("%s is there already: name another one", out)
			}
			return atHouse(cmd, a.path, a.data, func(ctx context.Context, c *house.Caller) error {
				made, err := c.MakePack(ctx, o)
				if err != nil {
					return err
				}
				if err := fetchPack(ctx, c, made.Entry, out); err != nil {
					return err
				}
				if a.asJSON {
					return printJSON(cmd.OutOrStdout(), made)
				}
				what := fmt.Sprintf("%d entries of %d", made.Entries, made.Through)
				if made.Whole {
					what = fmt.Sprintf("every entry up to %d", made.Through)
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s: %s, recorded as entry %d\n", out, what, made.Entry)
				if made.Stated > 0 {
					fmt.Fprintf(cmd.OutOrStdout(), "the figures of %s are only stated: they count entries that are left out (--whole)\n", counted(int(made.Stated), "duty"))
				}
				fmt.Fprintf(cmd.OutOrStdout(), "SHA-256 of pack.json: %s\n", made.SHA256)
				return nil
			})
		},
	}
	a.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&out, "out", "", "a file that ends in .zip, or a directory; it must not be there yet")
	f.StringVar(&o.From, "from", "", "windows that end after this day are in (default: a year before)")
	f.StringVar(&o.Until, "until", "", "the figures stand as of this day or moment (default now)")
	f.BoolVar(&o.Whole, "whole", false, "every entry of the ledger, so that the pack proves that nothing was left out")
	return cmd
}

// fetchPack writes a pack to a zip file or a directory. What is half written after
// an error goes.
func fetchPack(ctx context.Context, c *house.Caller, entry uint64, out string) (err error) {
	name := out
	if !strings.HasSuffix(out, ".zip") {
		temp, err := os.MkdirTemp("", "sekisho-pack-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(temp)
		name = filepath.Join(temp, "pack.zip")
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("writing the pack: %w", err)
	}
	if err := errors.Join(c.FetchPack(ctx, entry, f), f.Close()); err != nil {
		return errors.Join(fmt.Errorf("writing the pack: %w", err), os.Remove(name))
	}
	if name != out {
		return pack.Unzip(name, out)
	}
	return nil
}

func dutyVerifyCommand() *cobra.Command {
	var c pack.Check
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "verify PACK",
		Short: "Check an auditor's pack: compute every figure again from the entries in it",
		Long: `Checks an auditor's pack, a zip file or a directory, on a machine that needs
neither ledger nor vault, config or network. Every file's hash, the chain of the
ledger's groups, each entry and the texts of the instruments are checked; then
the entries are folded again, and every figure, obligation and list is compared
with what comes out. The first thing that does not fit is named; the exit code is
then 3.

A pack that is not whole cannot show by itself that nothing was left out: beside
the ledger, --ledger compares both. --noted takes chain hashes that were written
down at some time ("sekisho ledger verify" prints one): it ties the pack's entries
to that ledger. --document says which entries name a document that was handed
over. docs/audit.md says what is proved.`,
		Example: `  sekisho duty verify pack.zip --sha256 3f1c…
  sekisho duty verify pack.zip --noted 9f2c… --document minutes.pdf`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			in, done, err := pack.Open(args[0])
			if err != nil {
				return err
			}
			defer done.Close()
			if c.FS = (disk.OS{}); c.Ledger != "" {
				data, err := house.DataDir(c.Ledger)
				if err != nil {
					return err
				}
				c.Ledger = filepath.Join(data, "ledger")
			}
			bar := newBar(os.Stderr, "verifying")
			c.Progress = func(done, total uint64) { bar.set(int64(done), int64(total)) }
			r, err := pack.Verify(cmd.Context(), in, c)
			bar.done()
			if err != nil {
				return err
			}
			if asJSON {
				err = printJSON(cmd.OutOrStdout(), r)
			} else {
				printPackReport(cmd.OutOrStdout(), r, &c)
			}
			if err == nil && !r.OK() {
				err = fmt.Errorf("%w: the pack does not fit", errFound)
			}
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&c.SHA256, "sha256", "", "what pack.json must have, as you were told by another way")
	f.StringArrayVar(&c.Noted, "noted", nil, "a chain hash that was written down; may be repeated")
	f.StringArrayVar(&c.Documents, "document", nil, "a file that was handed over; may be repeated")
	f.StringVar(&c.Ledger, "ledger", "", "compare with the ledger in this data directory, too")
	f.BoolVar(&asJSON, "json", false, "print the report as JSON")
	return cmd
}

func printPackReport(out io.Writer, r *pack.Report, c *pack.Check) {
	if r.Manifest != nil {
		m := r.Manifest
		drill := ""
		if m.Drill != "" {
			drill = fmt.Sprintf(" (a drill: %s)", m.Drill)
		}
		fmt.Fprintf(out, "pack      of the ledger %s%s, by %s\n", m.Ledger, drill, m.Software)
		fmt.Fprintf(out, "as of     %s, up to entry %d, chain %s\n", m.AtText, m.Through, m.Chain)
		fmt.Fprintf(out, "SHA-256   %s\n", r.SHA256)
		fmt.Fprintf(out, "settings  %s, years begin in month %d\n", m.Settings.Zone, max(m.Settings.YearBegins, 0))
	}
	if !r.OK() {
		fmt.Fprintf(out, "PROBLEM   %s\n", r.Problem)
		return
	}
	fmt.Fprintf(out, "figures   %d computed again, and equal\n", r.Recomputed)
	for _, d := range r.Stated {
		fmt.Fprintf(out, "          only stated, not proved: %s\n", d)
	}
	fmt.Fprintf(out, "entries   %d in the pack, each as its hash has it\n", r.Entries)
	for _, i := range r.Editions {
		fmt.Fprintf(out, "          no entry says which edition of %s was in force\n", i)
	}
	switch {
	case r.Whole:
		fmt.Fprintf(out, "complete  every entry from the first to %d is there: nothing was left out up to there\n", r.Through)
	case r.AtLedger:
		fmt.Fprintf(out, "complete  the ledger has nothing more on which figures rest\n")
	default:
		fmt.Fprintf(out, "complete  not shown: of %d of %d groups only the hash is here. Ask for --whole, or verify beside the ledger with --ledger\n", r.Skipped, r.Groups)
	}
	if r.AtLedger {
		fmt.Fprintln(out, "ledger    each group is the same there, and an entry says that this pack was made")
	}
	for _, n := range r.Noted {
		fmt.Fprintf(out, "noted     %s stands behind entry %d\n", n.Hash, n.Last)
	}
	if len(c.Noted) > 0 {
		fmt.Fprintf(out, "tied      %d of %d entries are proven to stand in the ledger with the noted hashes\n", r.Tied, r.Entries)
	} else if !r.AtLedger {
		fmt.Fprintln(out, "tied      to no hash that you noted: whoever keeps the ledger could have written it anew (--noted)")
	}
	for _, p := range r.PackMade {
		fmt.Fprintf(out, "earlier   entry %d tells of a pack up to entry %d, SHA-256 %s\n", p.Entry, p.Through, p.SHA256)
	}
	for _, d := range r.Documents {
		fmt.Fprintf(out, "document  %s is named by", d.File)
		for _, e := range d.Entries {
			fmt.Fprintf(out, " entry %d (%s)", e.Entry, e.Kind)
		}
		fmt.Fprintln(out)
	}
	fmt.Fprintln(out, "everything fits")
}
