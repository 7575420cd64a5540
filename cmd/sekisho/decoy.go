package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"sekisho/console"
	"sekisho/house"
)

func decoyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "decoy",
		Short: "Customers who do not exist, whose every touch is an alert",
		Long: `Customers who do not exist, whose every touch is an alert.

Put their rows into the tables as you would a customer's, with data that looks
like any other, and tell sekisho who they are. Who is one is known to the vault
alone: their keys come from a file or standard input, never by the arguments.`,
	}
	cmd.AddCommand(decoyOrder("add", "placed", "Place decoys"), decoyOrder("remove", "removed", "Take decoys away"), decoyList("list", false), decoyList("check", true))
	return cmd
}

func decoyOrder(verb, action, short string) *cobra.Command {
	var path, data string
	order := console.DecoyOrder{Action: action}
	cmd := &cobra.Command{
		Use:   verb + " FILE --space SUBJECT",
		Short: short,
		Long: short + `: each line of FILE (- is standard input) has a key and, after white
space, a mailbox, if one stands in the decoy's record.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			in := cmd.InOrStdin()
			if args[0] != "-" {
				f, err := os.Open(args[0])
				if err != nil {
					return fmt.Errorf("reading decoys: %w", err)
				}
				defer f.Close()
				in = f
			}
			if order.Decoys, err = readDecoys(in); err != nil {
				return err
			}
			return atHouse(cmd, path, data, func(ctx context.Context, c *house.Caller) error {
				if err := c.PlaceDecoys(ctx, order); err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s %s\n", counted(len(order.Decoys), "decoy"), action)
				return nil
			})
		},
	}
	where(cmd, &path, &data)
	cmd.Flags().StringVar(&order.Space, "space", "", "the subject of the catalog, such as member")
	cmd.MarkFlagRequired("space")
	if action == "placed" {
		cmd.Flags().StringVar(&order.Group, "group", "", "the terminals that alone see them, by a name of yours")
	}
	return cmd
}

// readDecoys never repeats a line: it says who is a decoy.
func readDecoys(in io.Reader) (list []console.Decoy, err error) {
	lines := bufio.NewScanner(io.LimitReader(in, 4<<20))
	for n := 1; lines.Scan(); n++ {
		words := strings.Fields(lines.Text())
		switch len(words) {
		case 0:
		case 1:
			list = append(list, console.Decoy{Key: words[0]})
		case 2:
			list = append(list, console.Decoy{Key: words[0], Mailbox: words[1]})
		default:
			return nil, fmt.Errorf("reading decoys: line %d has more than a key and a mailbox", n)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading decoys: %w", err)
	}
	if len(list) == 0 {
		return nil, usage{fmt.Errorf("no line has a key")}
	}
	return list, nil
}

func decoyList(verb string, check bool) *cobra.Command {
	var path, data string
	short := "List the decoys that stand"
	if check {
		short = "Look whether the decoys' rows stand in the tables"
	}
	cmd := &cobra.Command{
		Use:   verb,
		Short: short,
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return atHouse(cmd, path, data, func(ctx context.Context, c *house.Caller) error {
				list, err := c.Decoys(ctx, check)
				if err != nil {
					return err
				}
				out, lacking := cmd.OutOrStdout(), false
				for _, d := range list {
					fmt.Fprintf(out, "%s %s  since %s by %s%s%s\n", d.Space, oneLine(d.Key), moment(d.Time, c.Zone), d.By, prefixed(", for ", oneLine(d.Group)), prefixed(", ", oneLine(d.Mailbox)))
					if d.Request != 0 {
						fmt.Fprintf(out, "  in the answer to export %d alone\n", d.Request)
					}
					if !check || d.Request != 0 {
						continue
					}
					none := true
					for _, table := range slices.Sorted(slices.Values(d.Tables)) {
						switch n := d.Rows[table]; n {
						case -1:
							fmt.Fprintf(out, "  %s: sekisho's own login may not read it\n", table)
						default:
							fmt.Fprintf(out, "  %s: %s\n", table, counted(n, "row"))
							none = none && n == 0
						}
					}
					lacking = lacking || none
				}
				if len(list) == 0 {
					fmt.Fprintln(out, "there are no decoys")
				}
				if lacking {
					fmt.Fprintln(out, "a decoy without a row in any table that can be read may catch nobody: put it there")
					return errFound
				}
				return nil
			})
		},
	}
	where(cmd, &path, &data)
	return cmd
}
