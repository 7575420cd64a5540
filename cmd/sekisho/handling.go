package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"sekisho"
	"sekisho/act"
	"sekisho/catalog"
	"sekisho/console"
	"sekisho/house"
)

func handlingCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "handling",
		Short: "How information of each category is handled: show, check, propose, and the labels of what left",
		Long: `Says for each category of the catalog whether it may be stored, sent, printed,
carried out and used outside the office, for how long it is kept, and how it is
destroyed. What holds is the version that was approved and is in force.`,
	}
	cmd.AddCommand(handlingShow(), handlingCheck(), handlingRules(), handlingPropose(), handlingLabel())
	return cmd
}

func handlingRules() *cobra.Command {
	return &cobra.Command{
		Use: "rules", Short: "Print the shipped rules, to begin your own with", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := cmd.OutOrStdout().Write(catalog.ShippedHandling())
			return err
		},
	}
}

func handlingShow() *cobra.Command {
	var path, data, lang string
	var asJSON bool
	cmd := &cobra.Command{
		Use: "show [CATEGORY]", Short: "Show what holds now", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return atHouse(cmd, path, data, func(ctx context.Context, c *house.Caller) error {
				p, err := c.Handling(ctx)
				if err != nil {
					return err
				}
				if len(args) == 1 {
					if _, err := sekisho.ParseCategory(args[0]); err != nil {
						return usage{err}
					}
					var rows []console.HandlingRow
					for _, r := range p.Rows {
						if r.Category == args[0] {
							rows = append(rows, r)
						}
					}
					p.Rows = rows
				}
				out := cmd.OutOrStdout()
				return printed(out, asJSON, p, func() { printHandling(out, p, lang) })
			})
		},
	}
	where(cmd, &path, &data)
	takesLanguage(cmd.Flags(), &lang, "", "language: en or ja; default by LANG")
	cmd.Flags().BoolVar(&asJSON, "json", false, "for a program")
	return cmd
}

func printHandling(w io.Writer, p console.HandlingPage, lang string) {
	state := "approved, in force as version " + fmt.Sprint(p.Version) + " of the document handling"
	if p.Version == 0 {
		state = "nobody has approved any: everything is forbidden"
	}
	gate := "the gate enforces them outside the office"
	if !p.OffSite {
		gate = "the gate does not enforce them (handling.offsite)"
	}
	fmt.Fprintf(w, "edition    %s, SHA-256 %s\nstate      %s\ngate       %s\n", p.Edition, p.SHA256, state, gate)
	if p.Proposed != "" {
		fmt.Fprintf(w, "proposed   edition %s of the config's file: sekisho handling propose\n", p.Proposed)
	}
	for _, s := range p.Stores {
		if s.Unnamed > 0 {
			fmt.Fprintf(w, "store      %s: %d of %s without a category\n", s.Name, s.Unnamed, counted(s.Columns, "column"))
		}
	}
	for _, r := range p.Rows {
		note := ""
		if r.Missing {
			note = ", NO RULE: the strictest"
		} else if !r.Used {
			note = ", not in this catalog"
		}
		fmt.Fprintf(w, "\n%s: %s (%s%s)\n", r.Category, r.Name.In(lang), r.Class, note)
		for _, c := range r.Cells {
			fmt.Fprintf(w, "  %-10s %s\n", c.Act, c.Says.In(lang))
		}
	}
}

func handlingCheck() *cobra.Command {
	var config string
	var cedar, asJSON bool
	cmd := &cobra.Command{
		Use:   "check [FILE]",
		Short: "Read a file of rules, name every mistake, and what the catalog uses without a rule",
		Long: `Reads handling rules and names every mistake in them. With --config it is the
config's file unless another is named, and a category that the config's catalog
uses without a rule is named too: it is handled as the strictest. Exit code 3
means that one was found.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var from house.Handling
			var used sekisho.Categories
			if config != "" {
				c, base, err := readConfig(config)
				if err != nil {
					return err
				}
				from.File, used = house.Against(base, c.Handling.File), c.Catalog.Used()
			}
			if len(args) == 1 {
				from.File = args[0]
			}
			h, err := from.Read()
			if err != nil {
				if os.IsNotExist(err) {
					return fmt.Errorf("reading handling rules: %w", err)
				}
				return err
			}
			out := cmd.OutOrStdout()
			unruled := h.Unruled(used)
			if cedar {
				_, err := out.Write(act.OffSite(h, true).Text)
				return err
			}
			report := map[string]any{"edition": h.Edition, "sha256": hex.EncodeToString(h.SHA256[:]), "categories": len(h.Rules), "without_rule": append([]string{}, unruled.Names()...)}
			if err := printed(out, asJSON, report, func() {
				fmt.Fprintf(out, "edition     %s\ncategories  %d\nsha256      %x\n", h.Edition, len(h.Rules), h.SHA256)
				if unruled != 0 {
					fmt.Fprintf(out, "no rule     %s\n", strings.Join(unruled.Names(), ", "))
				}
			}); err != nil {
				return err
			}
			if unruled != 0 {
				return fmt.Errorf("%w: the catalog uses %s without a rule: nothing is allowed with it", errFound, strings.Join(unruled.Names(), ", "))
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&config, "config", "", "a config, whose catalog says which categories are used")
	cmd.Flags().BoolVar(&cedar, "cedar", false, "print what the gate makes of them outside the office")
	cmd.Flags().BoolVar(&asJSON, "json", false, "for a program")
	return cmd
}

func handlingPropose() *cobra.Command {
	var path, data string
	var asJSON bool
	cmd := &cobra.Command{
		Use: "propose", Short: "Keep the config's rules as a version that others approve", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return documentAsk(cmd, path, data, asJSON, func(ctx context.Context, c *house.Caller) (console.DocumentPage, error) {
				return c.ProposeHandling(ctx)
			}, printDocument)
		},
	}
	where(cmd, &path, &data)
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return cmd
}

func handlingLabel() *cobra.Command {
	var path, data string
	var asJSON bool
	cmd := &cobra.Command{
		Use: "label NUMBER", Short: "Show the label of something that left", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := numberOf("label", args[0])
			if err != nil {
				return err
			}
			return atHouse(cmd, path, data, func(ctx context.Context, c *house.Caller) error {
				p, err := c.HandlingLabel(ctx, n)
				if err != nil {
					return err
				}
				out := cmd.OutOrStdout()
				return printed(out, asJSON, p, func() { fmt.Fprintln(out, p.Line) })
			})
		},
	}
	where(cmd, &path, &data)
	cmd.Flags().BoolVar(&asJSON, "json", false, "for a program")
	return cmd
}
