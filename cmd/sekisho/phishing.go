package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sekisho/console"
	"sekisho/house"
	post "sekisho/tell"
)

func phishingCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "phishing",
		Short: "Drills by mail: plan, approve, and read what came of them",
		Long: `Lures go to the company's own people alone: to addresses of the directory, in
the domains that the config lists. One person proposes a drill, which freezes
who gets which lure when; another approves it. What counts is who reports.`,
	}
	cmd.AddCommand(phishingLures(), phishingList(), phishingPropose(), phishingShow(),
		phishingAnswer("approve", "approved", "Approve a drill of somebody else: its mails go out from then on"),
		phishingAnswer("reject", "rejected", "Reject a drill of somebody else"),
		phishingAnswer("withdraw", "withdrawn", "Withdraw a drill of your own"),
		phishingAnswer("pause", "paused", "Stop the mails of a drill for now"),
		phishingAnswer("resume", "resumed", "Go on with a drill"),
		phishingAnswer("end", "ended", "End a drill: nobody else is written to"),
		phishingSettle(), phishingNames())
	return cmd
}

// phishingAsk runs f with the running house, and prints its answer as JSON if
// that is wanted, else by text.
func phishingAsk[T any](cmd *cobra.Command, path, data string, machine bool, f func(ctx context.Context, c *house.Caller) (T, error), text func(w io.Writer, zone *time.Location, t T)) error {
	return atHouse(cmd, path, data, func(ctx context.Context, c *house.Caller) error {
		t, err := f(ctx, c)
		if err != nil {
			return err
		}
		if machine {
			return asJSON(cmd.OutOrStdout(), t)
		}
		text(cmd.OutOrStdout(), c.Zone, t)
		return nil
	})
}

func phishingLures() *cobra.Command {
	var path, data string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "lures",
		Short: "List the lures, with how hard they are to see through",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return phishingAsk(cmd, path, data, asJSON, func(ctx context.Context, c *house.Caller) (console.PhishingPage, error) { return c.Phishing(ctx) },
				func(w io.Writer, _ *time.Location, p console.PhishingPage) {
					for _, l := range p.Lures {
						fmt.Fprintf(w, "%-20s %s  %-5s %-10s %2d cues (%s), premise %2d (%s): %s\n", l.Name, l.Language, l.Teaches, l.Asks, l.Rating.Cues, l.Rating.CueLevel, l.Rating.Premise, l.Rating.Alignment, strings.ReplaceAll(l.Rating.Difficulty, "_", " to "))
					}
				})
		},
	}
	where(cmd, &path, &data)
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return cmd
}

func rateOf(f post.Figures) string {
	s := fmt.Sprintf("reported %d of %d", f.Reported, f.Mailed)
	if f.Unclear > 0 {
		s += fmt.Sprintf(" (%d unknown)", f.Unclear)
	}
	if f.FirstReport >= 0 {
		s += fmt.Sprintf(", first after %v, median %v", time.Duration(f.FirstReport)*time.Second, time.Duration(f.MedianReport)*time.Second)
	}
	return s
}

func phishingList() *cobra.Command {
	var path, data string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the drills, the latest first",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return phishingAsk(cmd, path, data, asJSON, func(ctx context.Context, c *house.Caller) (console.PhishingPage, error) { return c.Phishing(ctx) },
				func(w io.Writer, zone *time.Location, p console.PhishingPage) {
					for _, l := range p.Campaigns {
						fmt.Fprintf(w, "%-8d %-9s %s  %s people  %s: %s\n", l.Number, l.State, moment(l.From, zone), thousands(l.People), oneLine(l.Title), rateOf(l.Whole))
					}
					if len(p.Campaigns) == 0 {
						fmt.Fprintln(w, "there was no drill yet")
					}
				})
		},
	}
	where(cmd, &path, &data)
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return cmd
}

func phishingPropose() *cobra.Command {
	var path, data string
	var asJSON, do bool
	var ask console.PhishingAsk
	cmd := &cobra.Command{
		Use:   "propose --title TEXT --lure NAME,… --from DATE --until DATE --reason TEXT",
		Short: "Show what a drill would be; with --propose and its seed, put it before a second person",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if do {
				return phishingAsk(cmd, path, data, asJSON, func(ctx context.Context, c *house.Caller) (console.PhishingCampaignPage, error) {
					return c.AskPhishing(ctx, ask)
				}, printPhishing)
			}
			return phishingAsk(cmd, path, data, asJSON, func(ctx context.Context, c *house.Caller) (console.PhishingPlanPage, error) {
				return c.PlanPhishing(ctx, ask)
			}, printLures)
		},
	}
	where(cmd, &path, &data)
	f := cmd.Flags()
	f.BoolVar(&asJSON, "json", false, "as JSON")
	f.BoolVar(&do, "propose", false, "propose it; else nothing happens")
	f.StringVar(&ask.Title, "title", "", "what the drill is called")
	f.StringSliceVar(&ask.Lures, "lure", nil, "names of lures: each person gets one of them, by chance")
	f.StringSliceVar(&ask.Units, "unit", nil, "keys of units, such as department/0001/sales (default everybody)")
	f.StringVar(&ask.From, "from", "", "beginning, such as 2026-11-30 or 2026-11-30T09:00")
	f.StringVar(&ask.Until, "until", "", "end")
	f.StringVar(&ask.Opens, "opens", "09:00", "time of the day from which mails go out")
	f.StringVar(&ask.Closes, "closes", "18:00", "and until which")
	f.IntSliceVar(&ask.Days, "days", nil, "days of the week, 0 is Sunday (default 1,2,3,4,5)")
	f.StringVar(&ask.Reason, "reason", "", "why")
	f.Uint64Var(&ask.Seed, "seed", 0, "of a dry run: the drill that it showed")
	for _, name := range []string{"title", "lure", "from", "until", "reason"} {
		cmd.MarkFlagRequired(name)
	}
	return cmd
}

func printLures(w io.Writer, zone *time.Location, p console.PhishingPlanPage) {
	fmt.Fprintf(w, "nothing has happened: this drill would write to %s of %s, in %s at least\n", thousands(uint64(p.People)), people(p.Listed), counted(p.Minutes, "minute"))
	for _, why := range slices.Sorted(maps.Keys(p.Excluded)) {
		fmt.Fprintf(w, "  not to %d: %s\n", p.Excluded[why], strings.ReplaceAll(why, "_", " "))
	}
	for _, l := range p.Lures {
		fmt.Fprintf(w, "  %-20s %s  %5d people  %s\n", l.Name, l.Language, l.People, strings.ReplaceAll(l.Rating.Difficulty, "_", " to "))
	}
	for _, d := range p.Days {
		fmt.Fprintf(w, "  %s  %5d people\n", d.Day.Go().In(zone).Format("2006-01-02"), d.People)
	}
	const most = 10
	for _, t := range p.Turns[:min(len(p.Turns), most)] {
		fmt.Fprintf(w, "  %s  %-16s %s\n", moment(t.At, zone), t.Person, t.Lure)
	}
	if n := len(p.Turns) - most; n > 0 {
		fmt.Fprintf(w, "  and %d more: --json has them all\n", n)
	}
	fmt.Fprintf(w, "to propose exactly this: the same command with --propose --seed %d\n", p.Ask.Seed)
}

func printPhishing(w io.Writer, zone *time.Location, p console.PhishingCampaignPage) {
	fmt.Fprintf(w, "drill %d %s: %s\n", p.Number, p.State, oneLine(p.Title))
	fmt.Fprintf(w, "  %s to %s, %s of %s people, proposed by %s: %s\n", moment(p.From, zone), moment(p.Until, zone), thousands(p.People), thousands(p.Listed), p.By, oneLine(p.Reason))
	for _, f := range p.Fates {
		fmt.Fprintf(w, "  %-10s %d\n", strings.ReplaceAll(f.Fate, "_", " "), f.Count)
	}
	if p.State == post.Asked {
		fmt.Fprintf(w, "it waits for another person: sekisho phishing approve %d\n", p.Number)
		return
	}
	fmt.Fprintf(w, "all: %s; fell for it %s\n", rateOf(p.Whole), classesOf(p.Whole.Fell))
	groups := func(what string, list []console.PhishingGroup) {
		for _, g := range list {
			fmt.Fprintf(w, "%s %s: %s, %s; fell for it %s\n", what, strings.ReplaceAll(g.Name, "_", " to "), people(g.People), rateOf(g.Figures), classesOf(g.Figures.Fell))
		}
	}
	groups("difficulty", p.Levels)
	groups("department", p.Departments)
	if p.Hidden > 0 {
		fmt.Fprintf(w, "in departments of fewer than %d, of which nothing is shown apart: %s\n", p.Least, people(p.Hidden))
	}
	for _, n := range p.Namings {
		fmt.Fprintf(w, "request %d to see %s: %s, by %s: %s\n", n.Number, strings.Join(n.People, ", "), n.State, n.By, oneLine(n.Reason))
	}
	for _, s := range p.Shown {
		fmt.Fprintf(w, "%s: %s, %v\n", s.Person, s.Lure, s.Did)
	}
}

func classesOf(by map[string]int) string {
	return fmt.Sprintf("%d by people, %d uncertain, %d by machines", by["human"], by["uncertain"], by["machine"])
}

// campaignCommand is a command about one drill.
func campaignCommand(use, short string, act func(ctx context.Context, c *house.Caller, n uint64) (console.PhishingCampaignPage, error), flags func(*cobra.Command)) *cobra.Command {
	var path, data string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   use + " NUMBER",
		Short: short,
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := numberOf("drill", args[0])
			if err != nil {
				return err
			}
			return phishingAsk(cmd, path, data, asJSON, func(ctx context.Context, c *house.Caller) (console.PhishingCampaignPage, error) {
				return act(ctx, c, n)
			}, printPhishing)
		},
	}
	where(cmd, &path, &data)
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	if flags != nil {
		flags(cmd)
	}
	return cmd
}

func phishingShow() *cobra.Command {
	return campaignCommand("show", "Show a drill and what came of it", func(ctx context.Context, c *house.Caller, n uint64) (console.PhishingCampaignPage, error) {
		return c.PhishingCampaign(ctx, n)
	}, nil)
}

func phishingAnswer(use, action, short string) *cobra.Command {
	act := console.PhishingAct{Action: action}
	return campaignCommand(use, short, func(ctx context.Context, c *house.Caller, n uint64) (console.PhishingCampaignPage, error) {
		return c.ActOnPhishing(ctx, n, act)
	}, func(cmd *cobra.Command) { cmd.Flags().StringVar(&act.Reason, "reason", "", "why") })
}

func phishingSettle() *cobra.Command {
	act := console.PhishingAct{Action: "settled"}
	return campaignCommand("settle", "Decide on lures of which nobody can tell whether they went out", func(ctx context.Context, c *house.Caller, n uint64) (console.PhishingCampaignPage, error) {
		return c.ActOnPhishing(ctx, n, act)
	}, func(cmd *cobra.Command) {
		cmd.Flags().StringVar(&act.As, "as", "", "sent: held to have gone out; again: write again, and some may have two")
		cmd.Flags().StringVar(&act.Reason, "reason", "", "why")
		cmd.MarkFlagRequired("as")
		cmd.MarkFlagRequired("reason")
	})
}

func phishingNames() *cobra.Command {
	var act console.PhishingAct
	var action string
	return campaignCommand("names", "Ask to see what single people did, answer such a request, or look", func(ctx context.Context, c *house.Caller, n uint64) (console.PhishingCampaignPage, error) {
		if act.Action = "names"; action != "ask" {
			words := map[string]string{"approve": "names_approved", "reject": "names_rejected", "withdraw": "names_withdrawn", "look": "names_shown"}
			if act.Action = words[action]; act.Action == "" {
				return console.PhishingCampaignPage{}, usage{fmt.Errorf("--do %q is none of ask, approve, reject, withdraw, look", action)}
			}
		}
		return c.ActOnPhishing(ctx, n, act)
	}, func(cmd *cobra.Command) {
		cmd.Flags().StringVar(&action, "do", "ask", "ask, approve, reject, withdraw or look")
		cmd.Flags().StringSliceVar(&act.People, "people", nil, "ask: user names")
		cmd.Flags().Uint64Var(&act.Request, "request", 0, "the number of the request, for everything but ask")
		cmd.Flags().StringVar(&act.Reason, "reason", "", "why")
	})
}
