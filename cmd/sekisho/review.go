package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"sekisho/console"
	"sekisho/house"
)

func dutyReviewCommand() *cobra.Command {
	var a asked
	var ask console.ReviewAsk
	var lang string
	cmd := &cobra.Command{
		Use:   "review",
		Short: "What a management review needs (ISO/IEC 27001:2022 clause 9.3.2), from the books",
		Long: `Prints what is laid before a management review: actions of earlier ones, changes,
findings, duties with their trend, incidents with their four numbers, drills,
audits, clauses and forecasts, enquiries, risks, exceptions that end soon. Each
figure comes with entries behind it, and what is unknown says so.

With --meeting it is put, in both languages, among the papers of a meeting that
was planned (sekisho check plan). What is decided stands there: minutes, two
signatures, and actions as findings with an owner and a day.`,
		Example: `  sekisho duty review --from 2026-04-01
  sekisho duty review --meeting 812`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return atHouse(cmd, a.path, a.data, func(ctx context.Context, c *house.Caller) error {
				if ask.Meeting != 0 {
					done, err := c.AttachReview(ctx, ask)
					if err != nil {
						return err
					}
					if a.asJSON {
						return printJSON(cmd.OutOrStdout(), done)
					}
					fmt.Fprintf(cmd.OutOrStdout(), "entry %d: the review is among the papers of meeting %d\n", done.Entry, ask.Meeting)
					return nil
				}
				p, err := c.Review(ctx, ask, lang)
				if err != nil {
					return err
				}
				if a.asJSON {
					return printJSON(cmd.OutOrStdout(), p)
				}
				printReview(cmd.OutOrStdout(), &p)
				return nil
			})
		},
	}
	a.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&ask.From, "from", "", "from which day (default: a year before)")
	f.StringVar(&ask.Until, "until", "", "until which day or moment (default now)")
	f.Uint64Var(&ask.Meeting, "meeting", 0, "put it among the papers of this meeting, in both languages")
	takesLanguage(f, &lang, "", "language: en or ja; default by LANG")
	return cmd
}

func printReview(out io.Writer, p *console.ReviewPage) {
	fmt.Fprintf(out, "%s to %s, counted up to entry %d\n", p.From, p.Until, p.Through)
	for _, s := range p.Sections {
		fmt.Fprintf(out, "\n%s  %s\n", s.Ref, s.Title)
		for _, l := range s.Lines {
			mark := " "
			if l.Alarm {
				mark = "!"
			}
			if l.Unknown {
				mark = "?"
			}
			fmt.Fprintf(out, "%s %s: %s", mark, l.What, l.Figure)
			for _, e := range l.Entries {
				fmt.Fprintf(out, " #%d", e)
			}
			fmt.Fprintln(out)
		}
	}
}
