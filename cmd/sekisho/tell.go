package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"sekisho/console"
	"sekisho/house"
	texts "sekisho/tell"
)

func tellCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "tell",
		Short: "Say what happened: drafts, their approval, and notices by mail",
		Long: `Texts about an incident are filled from the ledger as it stands; every sentence
says what it rests on. Two people agree to a text before it counts as approved,
and two to a list before anybody is written to.`,
	}
	cmd.AddCommand(tellDrafts(), tellShow(),
		tellAct("propose", "proposed", "Put a text as it stands before a second person"),
		tellApprove("approve", "approved", "Approve a text, or with --mailing a list, of somebody else"),
		tellApprove("reject", "rejected", "Reject a text, or with --mailing a list, of somebody else"),
		tellApprove("withdraw", "withdrawn", "Withdraw what you have asked for"),
		tellAct("handed-over", "handed_over", "Note to whom an approved text was given (--reason)"),
		tellSend(), tellStatus(),
		mailingAct("pause", "paused", "Pause a mailing"), mailingAct("resume", "resumed", "Resume a mailing"), mailingAct("end", "ended", "End a mailing: nobody else of its list is written to"),
		tellSettle())
	return cmd
}

// inForm prints JSON, or calls text.
func inForm(out io.Writer, asJSON bool, v any, text func()) error {
	if !asJSON {
		text()
		return nil
	}
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

func tellDrafts() *cobra.Command {
	var path, data string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "drafts INCIDENT",
		Short: "List the texts about an incident, and how far each has come",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := numberOf("incident", args[0])
			if err != nil {
				return err
			}
			return atHouse(cmd, path, data, func(ctx context.Context, c *house.Caller) error {
				p, err := c.Told(ctx, n)
				if err != nil {
					return err
				}
				out := cmd.OutOrStdout()
				return inForm(out, asJSON, p, func() {
					for _, t := range p.Texts {
						state := string(t.State)
						if state == "" {
							state = "draft"
						}
						note := ""
						if t.Unknown > 0 {
							note = fmt.Sprintf(", %s under investigation", counted(t.Unknown, "sentence"))
						}
						if t.Approved != 0 && t.Moved > 0 {
							note += fmt.Sprintf(", %s moved since it was approved", counted(t.Moved, "sentence"))
						}
						fmt.Fprintf(out, "%-18s %s  %-9s %s%s%s\n", t.Form, t.Language, state, t.Name, prefixed(": ", t.About), note)
					}
					fmt.Fprintf(out, "words of %s; not legal advice\n", p.Edition)
				})
			})
		},
	}
	where(cmd, &path, &data)
	cmd.Flags().BoolVar(&asJSON, "json", false, "for programs")
	return cmd
}

func textFlags(cmd *cobra.Command, lang, about *string) {
	takesLanguage(cmd.Flags(), lang, "ja", "language: ja or en")
	cmd.Flags().StringVar(about, "about", "", "the partner, for a text about one")
}

func tellShow() *cobra.Command {
	var path, data, lang, about string
	var asJSON, plain bool
	cmd := &cobra.Command{
		Use:   "show INCIDENT FORM",
		Short: "Show a text, each sentence with what it rests on",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := numberOf("incident", args[0])
			if err != nil {
				return err
			}
			return atHouse(cmd, path, data, func(ctx context.Context, c *house.Caller) error {
				p, err := c.Draft(ctx, n, args[1], lang, about)
				if err != nil {
					return err
				}
				out := cmd.OutOrStdout()
				return inForm(out, asJSON, p, func() {
					if plain {
						fmt.Fprint(out, p.Plain)
						return
					}
					showDraft(out, &p)
				})
			})
		},
	}
	where(cmd, &path, &data)
	textFlags(cmd, &lang, &about)
	cmd.Flags().BoolVar(&asJSON, "json", false, "for programs")
	cmd.Flags().BoolVar(&plain, "plain", false, "the text alone")
	return cmd
}

func showDraft(out io.Writer, p *console.DraftPage) {
	for _, f := range p.Fields {
		fmt.Fprintf(out, "%s%s\n", prefixedBy(f.Item, ". "), f.Title)
		for _, s := range f.Sentences {
			var on []string
			for _, e := range s.Entries {
				on = append(on, strconv.FormatUint(e, 10))
			}
			text, mark := s.Text, s.State
			if text == "" {
				text = "(left out) " + s.Filled
			}
			if s.Edited {
				mark += ", edited"
			}
			fmt.Fprintf(out, "  %s  [%s%s]\n", oneLine(text), mark, prefixed(": ", strings.Join(on, " ")))
			if s.Moved != "" {
				fmt.Fprintf(out, "    the facts now say: %s\n", oneLine(s.Moved))
			}
		}
	}
	for _, c := range p.Moved {
		fmt.Fprintf(out, "moved since it was approved, %s:\n  - %s\n  + %s\n", c.Field, oneLine(c.Before), oneLine(c.Now))
	}
	if p.Text != 0 {
		fmt.Fprintf(out, "version %d: %s%s\n", p.Text, p.State, prefixed(", proposed by ", p.By))
	}
}

func prefixedBy(s, after string) string {
	if s == "" {
		return ""
	}
	return s + after
}

func tellAct(verb, action, short string) *cobra.Command {
	var path, data string
	var act console.TextAct
	cmd := &cobra.Command{
		Use:   verb + " INCIDENT FORM",
		Short: short,
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return actOnText(cmd, path, data, action, args, act)
		},
	}
	where(cmd, &path, &data)
	textFlags(cmd, &act.Language, &act.About)
	if action != "proposed" {
		cmd.Flags().StringVar(&act.Reason, "reason", "", "to whom, how, under which number")
		cmd.MarkFlagRequired("reason")
	}
	return cmd
}

func actOnText(cmd *cobra.Command, path, data, action string, args []string, act console.TextAct) error {
	n, err := numberOf("incident", args[0])
	if err != nil {
		return err
	}
	act.Action = action
	return atHouse(cmd, path, data, func(ctx context.Context, c *house.Caller) error {
		p, err := c.ActOnText(ctx, n, args[1], act)
		if err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "version %d of %s (%s): %s\n", p.Text, p.Form, p.Language, strings.ReplaceAll(action, "_", " "))
		return nil
	})
}

func tellApprove(verb, action, short string) *cobra.Command {
	var path, data string
	var act console.TextAct
	var mailing uint64
	cmd := &cobra.Command{
		Use:   verb + " INCIDENT FORM | --mailing N",
		Short: short,
		Args:  cobra.MaximumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if mailing != 0 && len(args) == 0 {
				return actOnMailing(cmd, path, data, mailing, console.MailingAct{Action: action, Reason: act.Reason})
			}
			if mailing != 0 || len(args) != 2 {
				w := speak(cmd)
				return wrong(cmd, w, w.Say("cmd.formormailing"))
			}
			return actOnText(cmd, path, data, action, args, act)
		},
	}
	where(cmd, &path, &data)
	textFlags(cmd, &act.Language, &act.About)
	cmd.Flags().StringVar(&act.Reason, "reason", "", "why")
	cmd.Flags().Uint64Var(&act.Text, "text", 0, "the version that was read; approve needs it, and refuses another one")
	cmd.Flags().Uint64Var(&mailing, "mailing", 0, "the list's number")
	return cmd
}

func tellSend() *cobra.Command {
	var path, data string
	var asJSON bool
	var ask console.MailingAsk
	cmd := &cobra.Command{
		Use:   "send INCIDENT --list suspected|confirmed|worst-case",
		Short: "Freeze a list of people to be told; it waits for somebody else",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if ask.Incident, err = numberOf("incident", args[0]); err != nil {
				return err
			}
			return atHouse(cmd, path, data, func(ctx context.Context, c *house.Caller) error {
				out := cmd.OutOrStdout()
				if ask.DryRun || ask.Sample != "" {
					p, err := c.PlanMailing(ctx, ask)
					if err != nil {
						return err
					}
					return inForm(out, asJSON, p, func() { showPlan(out, &p) })
				}
				p, err := c.AskMailing(ctx, ask)
				if err != nil {
					return err
				}
				return inForm(out, asJSON, p, func() {
					for _, other := range p.Others {
						fmt.Fprintf(out, "%s people of %s wait in mailing %d, asked for with it\n", thousands(other.People), other.Space, other.Number)
					}
					fmt.Fprintf(out, "%s people wait in mailing %d; nothing goes out before somebody else approves:\n  sekisho tell approve --mailing %d\n", thousands(p.People), p.Number, p.Number)
				})
			})
		},
	}
	where(cmd, &path, &data)
	cmd.Flags().StringVar(&ask.List, "list", "suspected", "which list of the incident")
	cmd.Flags().BoolVar(&ask.Again, "again", false, "also people who were told of an earlier revision")
	cmd.Flags().BoolVar(&ask.DryRun, "dry-run", false, "say to how many it would go; nothing is recorded or sent")
	cmd.Flags().StringVar(&ask.Sample, "sample", "", "send the notice, with made-up data, to this address of your own")
	takesLanguage(cmd.Flags(), &ask.Language, "ja", "language of the sample")
	cmd.Flags().StringVar(&ask.Reason, "reason", "", "why")
	cmd.Flags().BoolVar(&asJSON, "json", false, "for programs")
	return cmd
}

func showPlan(out io.Writer, p *console.PlanPage) {
	fmt.Fprintf(out, "%s people would be written to: %s are on the list %q, %s of them are nobody (decoys), %s are told already or wait\n",
		thousands(p.People), thousands(p.Listed), p.List, thousands(p.Decoys), thousands(p.Told))
	if len(p.Spaces) > 1 {
		for _, s := range p.Spaces {
			fmt.Fprintf(out, "  %s: %s people of %s on the list\n", s.Space, thousands(s.People), thousands(s.Listed))
		}
	}
	if p.Unlisted > 0 {
		fmt.Fprintf(out, "%s more may have been reached by accesses that name nobody: they are in no list\n", thousands(p.Unlisted))
	}
	for _, lang := range texts.Languages {
		if n := p.Languages[lang]; n > 0 && p.Texts[lang] == 0 {
			fmt.Fprintf(out, "%s: %s people, and no approved text: sekisho tell propose %d person --lang %s\n", lang, thousands(n), p.Incident, lang)
		} else if n > 0 {
			fmt.Fprintf(out, "%s: %s people, text %d\n", lang, thousands(n), p.Texts[lang])
		}
	}
	fmt.Fprintf(out, "at the config's pace that takes %s; addresses are read then\n", tookAbout(p.Seconds))
	if p.Sampled != "" {
		fmt.Fprintln(out, "a sample was sent")
	}
}

func tookAbout(seconds float64) string {
	switch {
	case seconds < 120:
		return fmt.Sprintf("%.0f seconds", seconds)
	case seconds < 7200:
		return fmt.Sprintf("%.0f minutes", seconds/60)
	}
	return fmt.Sprintf("%.1f hours", seconds/3600)
}

func tellStatus() *cobra.Command {
	var path, data string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status [MAILING]",
		Short: "List the mailings, or say what became of everybody in one",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return atHouse(cmd, path, data, func(ctx context.Context, c *house.Caller) error {
				out := cmd.OutOrStdout()
				if len(args) == 0 {
					list, err := c.Mailings(ctx)
					if err != nil {
						return err
					}
					return inForm(out, asJSON, list, func() {
						for _, m := range list {
							fmt.Fprintf(out, "%-8d incident %d  %-10s %-10s %-9s %s of %s settled\n", m.Number, m.Incident, m.List, m.Space, m.State, thousands(m.Over), thousands(m.People))
						}
						if len(list) == 0 {
							fmt.Fprintln(out, "there are no mailings")
						}
					})
				}
				n, err := numberOf("mailing", args[0])
				if err != nil {
					return err
				}
				p, err := c.Mailing(ctx, n)
				if err != nil {
					return err
				}
				return inForm(out, asJSON, p, func() { showMailing(out, &p) })
			})
		},
	}
	where(cmd, &path, &data)
	cmd.Flags().BoolVar(&asJSON, "json", false, "for programs")
	return cmd
}

func showMailing(out io.Writer, p *console.MailingPage) {
	fmt.Fprintf(out, "mailing %d, incident %d, list %q: %s, %s of %s people settled\n", p.Number, p.Incident, p.List, p.State, thousands(p.Over), thousands(p.People))
	for _, f := range p.Fates {
		if f.Count > 0 {
			fmt.Fprintf(out, "  %-10s %s\n", strings.ReplaceAll(f.Fate, "_", " "), thousands(f.Count))
		}
	}
	if p.Unclear > 0 {
		fmt.Fprintf(out, "whether the unclear went out nobody can tell; decide: sekisho tell settle %d --as sent|again|post --reason TEXT\n", p.Number)
	}
}

func actOnMailing(cmd *cobra.Command, path, data string, n uint64, act console.MailingAct) error {
	return atHouse(cmd, path, data, func(ctx context.Context, c *house.Caller) error {
		p, err := c.ActOnMailing(ctx, n, act)
		if err != nil {
			return err
		}
		showMailing(cmd.OutOrStdout(), &p)
		return nil
	})
}

func mailingAct(verb, action, short string) *cobra.Command {
	var path, data, reason string
	cmd := &cobra.Command{
		Use:   verb + " MAILING",
		Short: short,
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := numberOf("mailing", args[0])
			if err != nil {
				return err
			}
			return actOnMailing(cmd, path, data, n, console.MailingAct{Action: action, Reason: reason})
		},
	}
	where(cmd, &path, &data)
	cmd.Flags().StringVar(&reason, "reason", "", "why")
	return cmd
}

func tellSettle() *cobra.Command {
	var path, data string
	act := console.MailingAct{Action: "settled"}
	cmd := &cobra.Command{
		Use:   "settle MAILING --as sent|again|post --reason TEXT",
		Short: "Decide on mails of which nobody can tell whether they went out",
		Long: `Decide on mails of which nobody can tell whether they went out.

"sent" holds them to have gone out, "again" writes once more (some may have two,
with the same Message-ID), "post" notes that they are told by another way. With
--of it is about others: denied, unsent or bounced.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := numberOf("mailing", args[0])
			if err != nil {
				return err
			}
			return actOnMailing(cmd, path, data, n, act)
		},
	}
	where(cmd, &path, &data)
	cmd.Flags().StringVar(&act.As, "as", "", "sent, again or post")
	cmd.Flags().StringSliceVar(&act.Fates, "of", nil, "unclear (the default), denied, unsent, bounced")
	cmd.Flags().StringVar(&act.Reason, "reason", "", "why")
	cmd.MarkFlagRequired("as")
	cmd.MarkFlagRequired("reason")
	return cmd
}
