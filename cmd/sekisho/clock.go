package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sekisho/console"
	"sekisho/house"
	"sekisho/law"
)

func clockCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "clock",
		Short: "The clocks of the law in the incidents of the running house",
		Long: `The clocks of the law in the incidents of the running house: what was noticed
and starts them, what people say of it, what the law asks for until when, and
what was reported.

What may have occurred counts by itself, until a named person confirms or
rejects it. One person's word is not enough to let a clock start later, nor to
take back what another has confirmed.`,
	}
	cmd.AddCommand(clockList(), clockNotice(), clockJudge("confirm", "confirmed", "Confirm that what was noticed occurred, or may have"),
		clockJudge("reject", "rejected", "Reject it: it was nothing of the kind"), clockFact(), clockMove(),
		clockAnswer("approve", "approved", "Approve another start that somebody else asked for"),
		clockAnswer("refuse", "rejected", "Refuse it"), clockAnswer("withdraw", "withdrawn", "Withdraw a request of your own"),
		clockReported(), clockMistaken())
	return cmd
}

// shownAs are the flags of how an answer is printed.
type shownAs struct {
	path, data, language string
	json                 bool
}

func (s *shownAs) flags(cmd *cobra.Command) {
	where(cmd, &s.path, &s.data)
	takesLanguage(cmd.Flags(), &s.language, "", "language: en or ja; default by LANG")
	cmd.Flags().BoolVar(&s.json, "json", false, "as JSON")
}

// oneIncident asks the running house something that it answers with the clocks of
// one incident, and prints them.
func (s *shownAs) oneIncident(cmd *cobra.Command, ask func(ctx context.Context, c *house.Caller) (console.ClocksPage, error)) error {
	return atHouse(cmd, s.path, s.data, func(ctx context.Context, c *house.Caller) error {
		p, err := ask(ctx, c)
		if err != nil {
			return err
		}
		return s.print(cmd.OutOrStdout(), []console.ClocksPage{p}, c.Zone)
	})
}

func (s *shownAs) print(out io.Writer, list []console.ClocksPage, zone *time.Location) error {
	if s.json {
		return printJSON(out, list)
	}
	for i := range list {
		printClocks(out, &list[i], zone, s.language)
	}
	return nil
}

func printClocks(out io.Writer, p *console.ClocksPage, zone *time.Location, language string) {
	say := func(en, ja string) string { return law.Words{EN: en, JA: ja}.In(language) }
	fmt.Fprintf(out, "== %s %d ==\n", say("incident", "インシデント"), p.ID)
	start := p.Earliest
	if p.Settled != 0 {
		start = p.Settled
	}
	if start != 0 {
		fmt.Fprintf(out, "%s %s\n", say("the clocks start at", "起算"), moment(start, zone))
	}
	for _, n := range p.Noticed {
		state := string(n.State)
		if n.State == law.Provisional && !n.Counts {
			state = say("waits for a person's word", "人の確認待ち")
		}
		if n.Doubted != "" {
			state += say(", rejected by ", "、否定:") + n.Doubted + say(": a second person is needed", "（二人目が必要）")
		}
		what := n.Detector
		if what == "" {
			what = n.Source
		}
		fmt.Fprintf(out, "  %-8d %s  %-5s %s %s: %s\n", n.Entry, moment(n.At, zone), n.Basis, what, n.Endpoint, strings.TrimSpace(state+prefixed("; ", oneLine(n.Text))))
	}
	for _, m := range p.Moves {
		if m.Answer == nil {
			fmt.Fprintf(out, "  %-8d %s\n", m.Entry, say("another start waits for a second person: ", "起算日時の変更が二人目を待っている: ")+moment(m.Start, zone)+prefixed(" — ", oneLine(m.Why)))
		}
	}
	for _, r := range p.Reports {
		fmt.Fprintf(out, "  %-8d %s %s/%s %s%s\n", r.Entry, moment(r.Sent, zone), r.Regime, r.Step, say("was sent", "送付"), prefixed(": ", oneLine(r.Reference)))
	}
	printDuties(out, p.Findings, language, false)
}

func clockList() *cobra.Command {
	var s shownAs
	var number uint64
	cmd := &cobra.Command{
		Use:   "list [--incident NUMBER]",
		Short: "Show the clocks of every open incident, or of one",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return atHouse(cmd, s.path, s.data, func(ctx context.Context, c *house.Caller) error {
				list, err := c.Clocks(ctx, number)
				if err == nil && len(list) == 0 && !s.json {
					fmt.Fprintln(cmd.OutOrStdout(), "no incident is open")
				}
				if err != nil {
					return err
				}
				return s.print(cmd.OutOrStdout(), list, c.Zone)
			})
		},
	}
	s.flags(cmd)
	cmd.Flags().Uint64Var(&number, "incident", 0, "the incident's number")
	return cmd
}

func clockNotice() *cobra.Command {
	var s shownAs
	var a console.NoticeAct
	cmd := &cobra.Command{
		Use:   "notice --source WHO --text TEXT [--received TIME]",
		Short: "Register that somebody told us that something may have happened",
		Long: `Register that somebody told a department of the company that something may have
happened. The clocks start with the time at which it was received. Without
--incident the notice joins the incident of its terminal, or opens one.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.oneIncident(cmd, func(ctx context.Context, c *house.Caller) (console.ClocksPage, error) {
				return c.RegisterNotice(ctx, a)
			})
		},
	}
	s.flags(cmd)
	cmd.Flags().StringVar(&a.Source, "source", "", "provider, authority, police, expert, contractor, partner, customer, employee, press, attacker or other")
	cmd.Flags().StringVar(&a.Text, "text", "", "what was told, by whom")
	cmd.Flags().StringVar(&a.Received, "received", "", "when the department got it (default: now)")
	cmd.Flags().StringVar(&a.Department, "department", "", "which department got it")
	cmd.Flags().StringVar(&a.Endpoint, "endpoint", "", "the machine that it is about")
	cmd.Flags().StringVar(&a.Ground, "ground", "", "what it counts as: "+strings.Join(law.Bases(), ", ")+" (default: by the source)")
	cmd.Flags().Uint64Var(&a.Incident, "incident", 0, "the incident to which it belongs")
	cmd.MarkFlagRequired("source")
	cmd.MarkFlagRequired("text")
	return cmd
}

// clockAct is a command that does one thing in an incident. The first argument is
// the incident; fill reads the others.
func clockAct(use, short string, args cobra.PositionalArgs, a *console.ClockAct, fill func(rest []string) error) *cobra.Command {
	s := &shownAs{}
	cmd := &cobra.Command{
		Use: use, Short: short, Args: args,
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := numberOf("incident", args[0])
			if err != nil {
				return err
			}
			if err := fill(args[1:]); err != nil {
				return err
			}
			return s.oneIncident(cmd, func(ctx context.Context, c *house.Caller) (console.ClocksPage, error) {
				return c.ActOnClock(ctx, n, *a)
			})
		},
	}
	s.flags(cmd)
	return cmd
}

func reasoned(cmd *cobra.Command, a *console.ClockAct, required bool) *cobra.Command {
	cmd.Flags().StringVar(&a.Reason, "reason", "", "why")
	if required {
		cmd.MarkFlagRequired("reason")
	}
	return cmd
}

// entryOf fills the entry that an act is about from an optional argument.
func entryOf(a *console.ClockAct) func(rest []string) error {
	return func(rest []string) (err error) {
		if len(rest) > 0 {
			a.About, err = numberOf("entry", rest[0])
		}
		return err
	}
}

func clockJudge(verb, action, short string) *cobra.Command {
	a := &console.ClockAct{Act: "judge", Action: action}
	cmd := clockAct(verb+" INCIDENT [ENTRY] --reason TEXT", short+". Without an entry: all that was noticed so far", cobra.RangeArgs(1, 2), a, entryOf(a))
	return reasoned(cmd, a, true)
}

func clockFact() *cobra.Command {
	a := &console.ClockAct{Act: "fact"}
	cmd := clockAct("fact INCIDENT NAME=yes|no|unknown --reason TEXT", `Answer a question on which duties hang ("sekisho law facts" lists them)`, cobra.ExactArgs(2), a, func(rest []string) error {
		a.Question, a.Action, _ = strings.Cut(rest[0], "=")
		if !slices.Contains([]string{"yes", "no", "unknown"}, a.Action) {
			return usage{fmt.Errorf("%q: write NAME=yes, NAME=no or NAME=unknown", rest[0])}
		}
		return nil
	})
	cmd.Flags().StringVar(&a.Time, "at", "", "when it came about, where a clock starts with it (default: now)")
	return reasoned(cmd, a, true)
}

func clockMove() *cobra.Command {
	a := &console.ClockAct{Act: "move"}
	cmd := clockAct("move INCIDENT [TIME] --reason TEXT", "Ask for another start of the clocks; without a time, for the earliest event again", cobra.RangeArgs(1, 2), a, func(rest []string) error {
		if len(rest) > 0 {
			a.Time = rest[0]
		}
		return nil
	})
	return reasoned(cmd, a, true)
}

func clockAnswer(verb, action, short string) *cobra.Command {
	a := &console.ClockAct{Act: "answer", Action: action}
	cmd := clockAct(verb+" INCIDENT REQUEST", short, cobra.ExactArgs(2), a, entryOf(a))
	return reasoned(cmd, a, false)
}

func clockReported() *cobra.Command {
	a := &console.ClockAct{Act: "report"}
	cmd := clockAct("reported INCIDENT REGIME/STEP [--at TIME] [--reference TEXT]", "Record that a report went out, such as jp-appi/preliminary", cobra.ExactArgs(2), a, func(rest []string) error {
		var ok bool
		if a.Regime, a.Step, ok = strings.Cut(rest[0], "/"); !ok {
			return usage{fmt.Errorf("%q: write REGIME/STEP, such as jp-appi/preliminary; sekisho law rules REGIME lists the steps", rest[0])}
		}
		return nil
	})
	cmd.Flags().StringVar(&a.Time, "at", "", "when it went out (default: now)")
	cmd.Flags().StringVar(&a.Reason, "reference", "", "the recipient's number, or what else proves it")
	return cmd
}

func clockMistaken() *cobra.Command {
	a := &console.ClockAct{Act: "mistaken"}
	cmd := clockAct("mistaken INCIDENT ENTRY --reason TEXT", "Say that the record of a report was a mistake", cobra.ExactArgs(2), a, entryOf(a))
	return reasoned(cmd, a, true)
}
