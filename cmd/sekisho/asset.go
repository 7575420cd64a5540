package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"sekisho/console"
	"sekisho/house"
)

// assetCommand shows an asset, and takes it to its end before witnesses.
func assetCommand() *cobra.Command {
	var path, data string
	var asJSON bool
	var a console.AssetAct
	cmd := &cobra.Command{
		Use:   "asset NAME [destroyed|witnessed|disputed|withdrawn]",
		Short: "Show an asset, destroy it, or say as a witness what you saw of that",
		Long: `Shows a line of the register of assets: what it is, what stock-takings found of
it, and its end. With "destroyed" you say that you have destroyed it, and how;
then as many others as the handling rules ask for say "witnessed" or "disputed",
each in their own account. Only then is it counted no more. "withdrawn" takes your own
statement back while it waits for witnesses.`,
		Example: `  sekisho register asset "passport copies" destroyed --how shredded --pieces 40
  sekisho register asset "passport copies" witnessed
  sekisho register asset "passport copies" disputed --text "the box was still full"`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 2 {
				switch a.Action = args[1]; a.Action {
				case "destroyed", "witnessed", "disputed", "withdrawn":
				default:
					return usage{fmt.Errorf("%s is none of destroyed, witnessed, disputed, withdrawn", oneLine(args[1]))}
				}
			}
			return atHouse(cmd, path, data, func(ctx context.Context, c *house.Caller) error {
				p, err := c.Asset(ctx, args[0], a)
				if err != nil {
					return err
				}
				out := cmd.OutOrStdout()
				return printed(out, asJSON, p, func() { printAsset(out, p, c) })
			})
		},
	}
	where(cmd, &path, &data)
	cmd.Flags().StringVar(&a.How, "how", "", "destroyed: shredded, pulped, incinerated, wiped, degaussed, crushed or returned")
	cmd.Flags().StringVar(&a.At, "at", "", "destroyed: when (default now)")
	cmd.Flags().Uint64Var(&a.Pieces, "pieces", 0, "destroyed: how many pieces")
	cmd.Flags().StringVar(&a.Text, "text", "", "what you saw, or why")
	cmd.Flags().Uint64Var(&a.End, "end", 0, "witnessed, disputed, withdrawn: which destruction, by its entry (default the one that waits)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "for a program")
	return cmd
}

func printAsset(out io.Writer, p console.ThingPage, c *house.Caller) {
	of := strings.Join(p.Asset.Categories, ", ")
	if of == "" {
		of = "no personal data"
	}
	fmt.Fprintf(out, "asset      %s, %s, %s\nholds      %s\nowner      %s\n", oneLine(p.Name), p.Asset.Kind, p.State, of, p.Owner)
	if place := p.Fields["place"]; place != "" {
		fmt.Fprintf(out, "place      %s\n", oneLine(place))
	}
	fmt.Fprintf(out, "its end    must be seen by %s\n", counted(p.Asset.Witnesses, "other"))
	for _, s := range p.Asset.Seen {
		fmt.Fprintf(out, "%-10s %s, %s, by %s, check %d%s\n", s.State, moment(s.Time, c.Zone), counted(s.Pieces, "piece"), s.By, s.Check, prefixed(": ", oneLine(s.Note)))
	}
	for _, e := range p.Asset.Ends {
		state := e.State
		if state == "destroying" {
			state = fmt.Sprintf("waits for %d more witnesses", e.Waits)
		}
		fmt.Fprintf(out, "end %-6d %s %s, %s, by %s: %s%s\n", e.Entry, e.How, moment(e.Time, c.Zone), counted(e.Pieces, "piece"), e.By, state, prefixed(": ", oneLine(e.Text)))
		for _, w := range e.Witnesses {
			fmt.Fprintf(out, "           %s %s by %s%s\n", w.Action, moment(w.Time, c.Zone), w.By, prefixed(": ", oneLine(w.Text)))
		}
	}
}
