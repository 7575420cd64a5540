package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sekisho/console"
	"sekisho/house"
)

func deskCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "desk",
		Short: "The contact point: what customers ask, and what they are told",
		Long: `The contact point is a public page on which customers ask about their own data.
These commands show what waits, answer it, and say what sekisho may answer by
itself. To show one enquiry is an access to that customer, and is recorded.`,
	}
	cmd.AddCommand(deskList(), deskShow(), deskAnswer(), deskIdentify(), deskAssign(), deskClose(), deskStats(), deskAllow(), deskDecide("approve", "approved", "Approve that sekisho answers about an incident: somebody else than who asked"),
		deskDecide("reject", "rejected", "Reject it"), deskDecide("end", "ended", "Stop sekisho from answering about an incident"))
	return cmd
}

// asJSON prints what a command got for machines.
func asJSON(out io.Writer, v any) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// deskFlags are those of every command here.
type deskFlags struct {
	path, data string
	json       bool
}

func (f *deskFlags) add(cmd *cobra.Command) {
	where(cmd, &f.path, &f.data)
	cmd.Flags().BoolVar(&f.json, "json", false, "for machines")
}

func deskList() *cobra.Command {
	var f deskFlags
	var show, asked string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List enquiries, the most urgent first; the list names nobody",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return atHouse(cmd, f.path, f.data, func(ctx context.Context, c *house.Caller) error {
				p, err := c.Desk(ctx, show, asked)
				if err != nil {
					return err
				}
				out := cmd.OutOrStdout()
				if f.json {
					return asJSON(out, p.Lines)
				}
				for _, l := range p.Lines {
					due := ""
					if l.Due != 0 {
						due = "due " + moment(l.Due, c.Zone)
						if l.Late {
							due = "LATE, " + due
						}
					}
					fmt.Fprintf(out, "%-8d %-10s %-8s %s  %s%s\n", l.Number, l.Asked, l.Standing, moment(l.Time, c.Zone), due, prefixed("  in hand of ", oneLine(l.To)))
				}
				if len(p.Lines) == 0 {
					fmt.Fprintln(out, "no enquiry of this kind")
				}
				if p.More > 0 {
					fmt.Fprintf(out, "and %d more\n", p.More)
				}
				return nil
			})
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&show, "show", "waiting", "waiting, late, mine, proof (that wait for the asker) or all")
	cmd.Flags().StringVar(&asked, "asked", "", "only what asks for this: affected, accesses, disclosure, correction, stop, complaint or misuse")
	return cmd
}

// oneEnquiry does something with an enquiry, and prints how it stands then.
func oneEnquiry(cmd *cobra.Command, f *deskFlags, arg string, do func(ctx context.Context, c *house.Caller, n uint64) (console.DeskEnquiryPage, error)) error {
	n, err := numberOf("enquiry", arg)
	if err != nil {
		return err
	}
	return atHouse(cmd, f.path, f.data, func(ctx context.Context, c *house.Caller) error {
		p, err := do(ctx, c, n)
		if err != nil {
			return err
		}
		if f.json {
			return asJSON(cmd.OutOrStdout(), p)
		}
		printEnquiry(cmd.OutOrStdout(), &p, c.Zone)
		return nil
	})
}

// actOnEnquiry does one thing with an enquiry, and shows what became of it.
func actOnEnquiry(cmd *cobra.Command, f *deskFlags, arg string, a console.DeskAct) error {
	return oneEnquiry(cmd, f, arg, func(ctx context.Context, c *house.Caller, n uint64) (console.DeskEnquiryPage, error) {
		return c.ActOnEnquiry(ctx, n, a)
	})
}

func printEnquiry(out io.Writer, p *console.DeskEnquiryPage, zone *time.Location) {
	line := func(what, format string, args ...any) {
		fmt.Fprintf(out, "%-10s%s\n", what, strings.ReplaceAll(visible(fmt.Sprintf(format, args...)), "\n", "\n          "))
	}
	line("enquiry", "%d (the asker's number %d), %s, %s", p.Number, p.Nth, p.Asked, p.Standing)
	line("came", "%s%s", moment(p.Time, zone), prefixed(", taken in by ", p.By))
	if p.Due != 0 {
		late := ""
		if p.Late {
			late = " (LATE)"
		}
		line("due", "%s%s", moment(p.Due, zone), late)
	}
	if p.Limit != 0 {
		line("by law", "%s", moment(p.Limit, zone))
	}
	if p.To != "" {
		line("hand", "%s", p.To)
	}
	if p.Incident != 0 {
		line("incident", "%d", p.Incident)
	}
	line("says", "number %q, address %q, name %q", p.Asker.Number, p.Asker.Email, p.Asker.Name)
	switch {
	case p.Match != "":
		line("roster", "all of it agrees with customer %s, which proves nothing yet", p.Match)
	case p.Compared:
		line("roster", "agrees with nobody")
	}
	if p.Checked == "confirmed" {
		line("identity", "customer %s, by %s%s", p.Known, p.Means, prefixed(", ", p.CheckedBy))
	} else if p.Checked != "" {
		line("identity", "not established%s", prefixed(", ", p.CheckedBy))
	}
	if p.Said != "" {
		line("wrote", "%s", p.Said)
	}
	if p.Answer != "" {
		by := p.AnswerBy
		if by == "" {
			by = "sekisho"
		}
		line("answered", "%s by %s, %s%s", moment(p.AnswerAt, zone), by, p.Result, prefixed(", from ", p.Template))
		line("", "%s", strings.TrimSpace(p.Answer))
	}
	if p.Draft != "" {
		line("draft", "%s", strings.TrimSpace(p.Draft))
	}
	if p.Closed != 0 {
		line("closed", "%s", moment(p.Closed, zone))
	}
}

func deskShow() *cobra.Command {
	var f deskFlags
	var template string
	cmd := &cobra.Command{
		Use:   "show NUMBER",
		Short: "Show an enquiry; that you have seen whose it is is recorded",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return oneEnquiry(cmd, &f, args[0], func(ctx context.Context, c *house.Caller, n uint64) (console.DeskEnquiryPage, error) {
				return c.DeskEnquiry(ctx, n, template)
			})
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&template, "template", "", "fill this template in, as a draft")
	return cmd
}

func deskAnswer() *cobra.Command {
	var f deskFlags
	var file string
	a := console.DeskAct{Act: "reply"}
	cmd := &cobra.Command{
		Use:   "answer NUMBER --file TEXT --result RESULT",
		Short: "Answer an enquiry; the asker can read it at once",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if file != "" {
				b, err := readText(cmd, file)
				if err != nil {
					return fmt.Errorf("reading the answer: %w", err)
				}
				a.Text = b
			}
			return actOnEnquiry(cmd, &f, args[0], a)
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&file, "file", "", "the text; - is standard input")
	cmd.Flags().StringVar(&a.Template, "template", "", "the template that it comes from; without --file, filled in as it is")
	cmd.Flags().StringVar(&a.Result, "result", "", "informed, granted, partly, refused or extended; default the template's")
	cmd.Flags().StringVar(&a.Until, "until", "", "extended: the day on which the answer is promised")
	cmd.Flags().BoolVar(&a.Close, "close", false, "and close it")
	return cmd
}

// readText reads a file of some length, or standard input.
func readText(cmd *cobra.Command, name string) (string, error) {
	var in io.Reader = cmd.InOrStdin()
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return "", err
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, 1<<20))
	return string(b), err
}

func deskIdentify() *cobra.Command {
	var f deskFlags
	a := console.DeskAct{Act: "identify"}
	cmd := &cobra.Command{
		Use:   "identify NUMBER --customer KEY --means MEANS",
		Short: "Record that you have established who asks; documents are kept nowhere",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return actOnEnquiry(cmd, &f, args[0], a)
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&a.Key, "customer", "", "the customer's number")
	cmd.Flags().StringVar(&a.Means, "means", "", "licence, passport, my_number_card, residence_card, two_documents, callback, in_person or agent")
	cmd.Flags().BoolVar(&a.Refused, "refused", false, "it could not be established")
	cmd.MarkFlagRequired("means")
	return cmd
}

func deskAssign() *cobra.Command {
	var f deskFlags
	a := console.DeskAct{Act: "assign"}
	var incident uint64
	cmd := &cobra.Command{
		Use:   "assign NUMBER --to NAME | --incident N",
		Short: "Give an enquiry to somebody, or say to which incident it belongs",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("incident") {
				a.Act, a.Incident = "lay", incident
			}
			return actOnEnquiry(cmd, &f, args[0], a)
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&a.To, "to", "", "a console user; empty gives it back")
	cmd.Flags().Uint64Var(&incident, "incident", 0, "the number of an incident; 0 takes it back")
	cmd.MarkFlagsOneRequired("to", "incident")
	cmd.MarkFlagsMutuallyExclusive("to", "incident")
	return cmd
}

func deskClose() *cobra.Command {
	var f deskFlags
	a := console.DeskAct{Act: "close"}
	cmd := &cobra.Command{
		Use:   "close NUMBER --reason REASON",
		Short: "Close an enquiry",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return actOnEnquiry(cmd, &f, args[0], a)
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&a.Reason, "reason", "answered", "answered, withdrawn, not_identified or duplicate")
	return cmd
}

func deskStats() *cobra.Command {
	var f deskFlags
	cmd := &cobra.Command{
		Use:   "stats",
		Short: "Count enquiries: received, waiting, answered in time",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return atHouse(cmd, f.path, f.data, func(ctx context.Context, c *house.Caller) error {
				p, err := c.Desk(ctx, "waiting", "")
				if err != nil {
					return err
				}
				out, s := cmd.OutOrStdout(), p.Stats
				if f.json {
					return asJSON(out, s)
				}
				fmt.Fprintf(out, "received %s; %s wait for the company, %s of them late; %s wait for the asker\n", thousands(s.Received), thousands(s.Waiting), thousands(s.Late), thousands(s.Proof))
				fmt.Fprintf(out, "answered %s, %s in time, %s by sekisho itself; %s ended without an answer; %s report misuse\n\n", thousands(s.Answered), thousands(s.InTime), thousands(s.Machine), thousands(s.Withdrew), thousands(s.Misuse))
				fmt.Fprintf(out, "%-12s %9s %9s %9s %9s\n", "asked", "received", "waiting", "answered", "in time")
				for _, k := range s.Kinds {
					fmt.Fprintf(out, "%-12s %9s %9s %9s %9s\n", k.Asked, thousands(k.Received), thousands(k.Waiting), thousands(k.Answered), thousands(k.InTime))
				}
				if len(s.Days) > 0 {
					fmt.Fprintf(out, "\n%-12s %9s %9s %9s\n", "day", "received", "answered", "backlog")
				}
				for _, d := range s.Days {
					fmt.Fprintf(out, "%-12s %9s %9s %9s\n", moment(d.Start, c.Zone)[:10], thousands(d.Received), thousands(d.Answered), thousands(d.Backlog))
				}
				return nil
			})
		},
	}
	f.add(cmd)
	return cmd
}

func deskAllow() *cobra.Command {
	var f deskFlags
	var en, ja string
	cmd := &cobra.Command{
		Use:   "allow INCIDENT --en FILE --ja FILE",
		Short: "Ask that sekisho tells identified people what an incident means for them",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			a := console.DeskAllowAsk{Action: "asked"}
			if a.Incident, err = numberOf("incident", args[0]); err != nil {
				return err
			}
			if a.TextEn, err = readText(cmd, en); err == nil {
				a.TextJa, err = readText(cmd, ja)
			}
			if err != nil {
				return fmt.Errorf("reading what the company says about the incident: %w", err)
			}
			return allowed(cmd, &f, a)
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&en, "en", "", "a file: what the company says about it, in English")
	cmd.Flags().StringVar(&ja, "ja", "", "the same in Japanese")
	cmd.MarkFlagRequired("en")
	cmd.MarkFlagRequired("ja")
	return cmd
}

func deskDecide(verb, action, short string) *cobra.Command {
	var f deskFlags
	a := console.DeskAllowAsk{Action: action}
	cmd := &cobra.Command{
		Use:   verb + " REQUEST",
		Short: short,
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if a.Request, err = numberOf("request", args[0]); err != nil {
				return err
			}
			return allowed(cmd, &f, a)
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&a.Reason, "reason", "", "why")
	return cmd
}

// allowed asks or decides, and prints how the answers by sekisho stand.
func allowed(cmd *cobra.Command, f *deskFlags, a console.DeskAllowAsk) error {
	return atHouse(cmd, f.path, f.data, func(ctx context.Context, c *house.Caller) error {
		p, err := c.AllowAnswers(ctx, a)
		if err != nil {
			return err
		}
		if f.json {
			return asJSON(cmd.OutOrStdout(), p.Allowed)
		}
		for _, r := range p.Allowed {
			fmt.Fprintf(cmd.OutOrStdout(), "%-8d incident %d, %s, asked by %s%s\n", r.Request, r.Incident, r.State, r.By, prefixed(", decided by ", r.DecidedBy))
		}
		return nil
	})
}
