package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"sekisho/console"
	"sekisho/house"
)

func directoryErase() *cobra.Command {
	var path, data string
	var asJSON bool
	var numbers []string
	ask := console.ErasureAsk{}
	cmd := &cobra.Command{
		Use:   "erase [USER] --reason TEXT",
		Short: "Ask to destroy what the vault keeps of a person who is gone, or single records",
		Long: `Ask to destroy what the vault keeps of a person who is gone, or single records:
--space said --record 17. Another person approves it, with "sekisho directory
erasure approve" or in the console, and then the keys are destroyed. The ledger
stays as it is, and verifies as before. --dry-run says what hangs on them.
Copies of the vault made before keep the records, unless they lack its file
"keys"; when an old copy is put back, sekisho erases again at its start.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				ask.User = args[0]
			}
			if (ask.User == "") == (ask.Space == "") {
				return usage{errors.New("name a user, or records by --space and --record")}
			}
			for _, s := range numbers {
				n, err := strconv.ParseUint(s, 10, 32)
				if err != nil || n == 0 {
					return usage{fmt.Errorf("--record %q is no number of a record", s)}
				}
				ask.Ordinals = append(ask.Ordinals, uint32(n))
			}
			return oneErasure(cmd, path, data, asJSON, func(ctx context.Context, c *house.Caller) (console.ErasurePage, error) { return c.AskErasure(ctx, ask) })
		},
	}
	where(cmd, &path, &data)
	cmd.Flags().StringVar(&ask.Reason, "reason", "", "why")
	cmd.Flags().StringVar(&ask.Space, "space", "", "a space of the vault: said, document, member, …")
	cmd.Flags().StringSliceVar(&numbers, "record", nil, "numbers of records in it, separated by commas")
	cmd.Flags().BoolVar(&ask.DryRun, "dry-run", false, "show what hangs on them, and ask for nothing")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func directoryErasure() *cobra.Command {
	cmd := &cobra.Command{Use: "erasure", Short: "Decide on erasures that others asked for"}
	var path, data string
	list := &cobra.Command{
		Use:   "list",
		Short: "List the erasures, those that wait first",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return atHouse(cmd, path, data, func(ctx context.Context, c *house.Caller) error {
				p, err := c.Erasures(ctx)
				for _, e := range p.List {
					fmt.Fprintf(cmd.OutOrStdout(), "%-8d %-10s %s  %d records%s, asked for by %s: %s\n", e.Number, e.State, moment(e.Time, c.Zone), e.Count, prefixed(" of ", e.Person), e.By, oneLine(e.Reason))
				}
				if err == nil && len(p.List) == 0 {
					fmt.Fprintln(cmd.OutOrStdout(), "nobody has asked for anything to be destroyed")
				}
				return err
			})
		},
	}
	where(list, &path, &data)
	cmd.AddCommand(list, erasureShow(),
		erasureAnswer("approve", "approved", "Approve an erasure that somebody else asked for, and carry it out"),
		erasureAnswer("reject", "rejected", "Reject an erasure that somebody else asked for"),
		erasureAnswer("withdraw", "withdrawn", "Withdraw an erasure of your own"))
	return cmd
}

func erasureShow() *cobra.Command {
	var path, data string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show NUMBER",
		Short: "Show an erasure with what hangs on it",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := numberOf("erasure", args[0])
			if err != nil {
				return err
			}
			return oneErasure(cmd, path, data, asJSON, func(ctx context.Context, c *house.Caller) (console.ErasurePage, error) { return c.Erasure(ctx, n) })
		},
	}
	where(cmd, &path, &data)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func erasureAnswer(verb, action, short string) *cobra.Command {
	var path, data string
	var asJSON bool
	answer := console.ErasureAnswer{Action: action}
	cmd := &cobra.Command{
		Use:   verb + " NUMBER",
		Short: short,
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := numberOf("erasure", args[0])
			if err != nil {
				return err
			}
			return oneErasure(cmd, path, data, asJSON, func(ctx context.Context, c *house.Caller) (console.ErasurePage, error) {
				return c.DecideErasure(ctx, n, answer)
			})
		},
	}
	where(cmd, &path, &data)
	cmd.Flags().StringVar(&answer.Reason, "reason", "", "why")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func oneErasure(cmd *cobra.Command, path, data string, machine bool, ask func(context.Context, *house.Caller) (console.ErasurePage, error)) error {
	return atHouse(cmd, path, data, func(ctx context.Context, c *house.Caller) error {
		p, err := ask(ctx, c)
		if err != nil {
			return err
		}
		if machine {
			return asJSON(cmd.OutOrStdout(), p)
		}
		printErasure(cmd.OutOrStdout(), &p)
		return nil
	})
}

func printErasure(out io.Writer, p *console.ErasurePage) {
	if p.Number == 0 {
		fmt.Fprintf(out, "dry run: %d records%s would be destroyed\n", p.Count, prefixed(" of ", p.Person))
	} else {
		fmt.Fprintf(out, "erasure  %d, %s: %d records%s\n", p.Number, p.State, p.Count, prefixed(" of ", p.Person))
		fmt.Fprintf(out, "asked    by %s: %s\n", p.By, oneLine(p.Reason))
	}
	if p.Second != "" {
		fmt.Fprintf(out, "decided  by %s%s\n", p.Second, prefixed(": ", oneLine(p.Answer)))
	}
	spaces := map[string]int{}
	for _, r := range p.Records {
		spaces[r.Space]++
	}
	for _, r := range p.Records {
		if n := spaces[r.Space]; n > 0 {
			fmt.Fprintf(out, "records  %s %d\n", r.Space, n)
			delete(spaces, r.Space)
		}
	}
	for _, h := range p.Hangs {
		fmt.Fprintf(out, "hangs    %s entries of %s\n", thousands(h.Entries), h.Kind)
	}
	if p.State == "asked" {
		fmt.Fprintln(out, "Another person approves it: sekisho directory erasure approve", p.Number)
	}
}
