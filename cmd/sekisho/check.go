package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"sekisho"
	"sekisho/console"
	"sekisho/house"
)

func checkCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Inspections, audits, reviews, meetings: list, show, plan, and act",
		Long: `What the company looks at. A check counts as evidence when its record is
complete and two different people have signed it; the console's page /checks
does all of it.`,
	}
	cmd.AddCommand(checkList(), checkShow(), checkPlan(), checkAct(), findingCommand())
	return cmd
}

// printed answers with JSON, or by f.
func printed(out io.Writer, asJSON bool, what any, f func()) error {
	if !asJSON {
		f()
		return nil
	}
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(what)
}

func checkList() *cobra.Command {
	var path, data, noun string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List checks and open findings, those that are late first",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return atHouse(cmd, path, data, func(ctx context.Context, c *house.Caller) error {
				p, err := c.Checks(ctx, noun)
				if err != nil {
					return err
				}
				out := cmd.OutOrStdout()
				return printed(out, asJSON, p, func() {
					if len(p.Checks) == 0 && len(p.Findings) == 0 {
						fmt.Fprintln(out, "nothing is planned, and no finding is open")
					}
					for _, l := range p.Checks {
						at := l.Held
						if at == 0 {
							at = l.Due
						}
						fmt.Fprintf(out, "%-8d %-10s %-10s %s  %s%s\n", l.Number, l.Noun, l.State, dayOf(at, c), unitNames(l.Units), prefixed(": ", strings.Join(l.Missing, ", ")))
					}
					for _, f := range p.Findings {
						fmt.Fprintf(out, "%-8d finding    %-10s %s  %s: %s\n", f.Number, f.State, dayOf(f.Due, c), f.Unit.Say(), oneLine(f.Title))
					}
				})
			})
		},
	}
	where(cmd, &path, &data)
	cmd.Flags().StringVar(&noun, "noun", "", "one kind alone, such as inspection")
	cmd.Flags().BoolVar(&asJSON, "json", false, "for a program")
	return cmd
}

func dayOf(t sekisho.Time, c *house.Caller) string {
	if t == 0 {
		return "-         "
	}
	return moment(t, c.Zone)[:10]
}

func unitNames(list []console.UnitLine) string {
	var names []string
	for _, u := range list {
		names = append(names, u.Say())
	}
	if len(names) > 3 {
		names = append(names[:3], fmt.Sprintf("and %d more", len(names)-3))
	}
	return strings.Join(names, ", ")
}

func printCheck(out io.Writer, p console.CheckPage, c *house.Caller) {
	fmt.Fprintf(out, "check      %d, %s, %s\nabout      %s\ndue        %s\n", p.Number, p.Noun, p.State, unitNames(p.Units), dayOf(p.Due, c))
	if p.Held != 0 {
		fmt.Fprintf(out, "held       %s\n", dayOf(p.Held, c))
	}
	fmt.Fprintf(out, "led by     %s%s\n", p.Lead, prefixed(", for the other side ", p.Other))
	if p.Items > 0 {
		fmt.Fprintf(out, "answered   %d of %d\n", p.Answered, p.Items)
	}
	for _, m := range p.Missing {
		fmt.Fprintf(out, "missing    %s\n", m)
	}
	for _, x := range p.Papers {
		fmt.Fprintf(out, "paper      %s %s %s\n", x.What, x.SHA256[:16], oneLine(x.Title))
	}
	for _, f := range p.Found {
		fmt.Fprintf(out, "finding    %d, %s, %s: %s\n", f.Number, f.Grade, f.State, oneLine(f.Title))
	}
	for _, s := range p.Signed {
		stands := ""
		if !s.Stands {
			stands = ", for an earlier record"
		}
		fmt.Fprintf(out, "signed     %s by %s%s\n", s.Party, s.Person, stands)
	}
	fmt.Fprintf(out, "record     %s\n", p.Record)
}

func checkShow() *cobra.Command {
	var path, data string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show NUMBER",
		Short: "Show a check with its record",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := numberOf("check", args[0])
			if err != nil {
				return err
			}
			return atHouse(cmd, path, data, func(ctx context.Context, c *house.Caller) error {
				p, err := c.Check(ctx, n)
				if err != nil {
					return err
				}
				return printed(cmd.OutOrStdout(), asJSON, p, func() { printCheck(cmd.OutOrStdout(), p, c) })
			})
		},
	}
	where(cmd, &path, &data)
	cmd.Flags().BoolVar(&asJSON, "json", false, "for a program")
	return cmd
}

func checkPlan() *cobra.Command {
	var path, data string
	var a console.CheckPlan
	cmd := &cobra.Command{
		Use:   "plan NOUN UNIT... --due DAY",
		Short: "Plan a check of units, or of things in a register",
		Args:  cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			a.Noun, a.Units = args[0], args[1:]
			return atHouse(cmd, path, data, func(ctx context.Context, c *house.Caller) error {
				p, err := c.PlanCheck(ctx, a)
				if err == nil {
					printCheck(cmd.OutOrStdout(), p, c)
				}
				return err
			})
		},
	}
	where(cmd, &path, &data)
	cmd.Flags().StringVar(&a.Due, "due", "", "until when, such as 2026-11-30")
	cmd.Flags().StringVar(&a.Lead, "lead", "", "who does it; default you")
	cmd.Flags().StringVar(&a.Other, "other", "", "who answers for the other side")
	cmd.Flags().StringVar(&a.Expert, "expert", "", "of an audit: the outside expert")
	cmd.Flags().StringVar(&a.Scope, "scope", "", "what is looked at, and what is not")
	cmd.Flags().StringVar(&a.Checklist, "checklist", "", "another checklist than the usual one")
	cmd.MarkFlagRequired("due")
	return cmd
}

func checkAct() *cobra.Command {
	var path, data, file, what, title string
	var a console.CheckAct
	cmd := &cobra.Command{
		Use:   "act NUMBER ACT",
		Short: "Do one thing with a check: held, name, hand, move, cancel, paper, conclude, finding, sign",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := numberOf("check", args[0])
			if err != nil {
				return err
			}
			if file != "" {
				text, err := os.ReadFile(file)
				if err != nil {
					return fmt.Errorf("reading a document: %w", err)
				}
				a.Paper = &console.PaperAsk{What: what, Title: title, Text: text}
			}
			return atHouse(cmd, path, data, func(ctx context.Context, c *house.Caller) error {
				p, err := c.ActOnCheck(ctx, n, args[1], a)
				if err == nil {
					printCheck(cmd.OutOrStdout(), p, c)
				}
				return err
			})
		},
	}
	where(cmd, &path, &data)
	cmd.Flags().StringVar(&a.At, "at", "", "held: when it took place")
	cmd.Flags().StringVar(&a.Due, "due", "", "move, finding: the day; conclude: until when the result is good")
	cmd.Flags().StringVar(&a.Person, "person", "", "hand, name: who")
	cmd.Flags().StringVar(&a.Result, "result", "", "conclude: passed, conditions or failed")
	cmd.Flags().StringVar(&a.Text, "text", "", "why, or what was found")
	cmd.Flags().StringVar(&a.Grade, "grade", "", "finding: critical, high, medium, low or remark")
	cmd.Flags().StringVar(&a.Owner, "owner", "", "finding: who puts it right")
	cmd.Flags().StringVar(&a.Record, "record", "", "sign: the record's SHA-256, as show prints it")
	cmd.Flags().StringVar(&file, "file", "", "paper: the document")
	cmd.Flags().StringVar(&what, "what", "report", "paper: photo, report, minutes, certificate, contract, competence or proof")
	cmd.Flags().StringVar(&title, "title", "", "paper: its title")
	return cmd
}

func findingCommand() *cobra.Command {
	var path, data string
	var a console.CheckAct
	cmd := &cobra.Command{
		Use:   "finding NUMBER [assign|done|verify|reopen|accept|drop]",
		Short: "Show a finding, or do one thing about it",
		Args:  cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := numberOf("finding", args[0])
			if err != nil {
				return err
			}
			return atHouse(cmd, path, data, func(ctx context.Context, c *house.Caller) error {
				var p console.FindingPage
				if len(args) == 1 {
					p, err = c.Finding(ctx, n)
				} else {
					p, err = c.ActOnFinding(ctx, n, args[1], a)
				}
				if err != nil {
					return err
				}
				out := cmd.OutOrStdout()
				fmt.Fprintf(out, "finding    %d, %s, %s\nabout      %s: %s\nowner      %s, due %s\n", p.Number, p.Grade, p.State, p.Unit.Say(), oneLine(p.Title), p.Owner, dayOf(p.Due, c))
				for _, s := range p.Steps {
					fmt.Fprintf(out, "%-10s %s by %s%s\n", s.Action, moment(s.Time, c.Zone), s.By, prefixed(": ", oneLine(s.Text)))
				}
				return nil
			})
		},
	}
	where(cmd, &path, &data)
	cmd.Flags().StringVar(&a.Person, "person", "", "assign: who owes it")
	cmd.Flags().StringVar(&a.Due, "due", "", "assign, accept: until when")
	cmd.Flags().StringVar(&a.At, "at", "", "done, verify: when it took place")
	cmd.Flags().StringVar(&a.Text, "text", "", "what was done, seen, or why")
	return cmd
}

// registerCommand takes files in and gives registers out.
func registerCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "register",
		Short: "The registers: suppliers, servers, cloud services, terminals, and what scanners found",
		Long: `The registers, as files. A register is given out as CSV and taken in again in
the same form, all of its lines or none. Scanners' output, terminals by an MDM
and the services that sensors saw come in by files, too.`,
	}
	cmd.AddCommand(
		taking("import NOUN FILE", "Take a register in from CSV, all of it or nothing", 2, func(args []string) (string, string) { return "/api/registers?noun=" + args[0], args[1] }),
		taking("scan FILE", "Take in what a scanner found: nmap's XML, SARIF 2.1.0, or CSV", 1, func(args []string) (string, string) { return "/api/scans?", args[0] }),
		taking("terminals FILE", "Take in the terminals that an MDM exports as CSV", 1, func(args []string) (string, string) { return "/api/terminals?", args[0] }),
		taking("services FILE", "Take in the services that machines used: Zeek's dns.log or ssl.log", 1, func(args []string) (string, string) { return "/api/services?", args[0] }),
		registerExport(), assetCommand())
	return cmd
}

func taking(use, short string, args int, to func(args []string) (path, file string)) *cobra.Command {
	var path, data string
	var dry bool
	cmd := &cobra.Command{
		Use:   use,
		Short: short,
		Args:  cobra.ExactArgs(args),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, name := to(args)
			file, err := os.Open(name)
			if err != nil {
				return fmt.Errorf("opening what is to be taken in: %w", err)
			}
			defer file.Close()
			return atHouse(cmd, path, data, func(ctx context.Context, c *house.Caller) error {
				t, err := c.TakeIn(ctx, api, file, dry)
				if err != nil {
					return err
				}
				out := cmd.OutOrStdout()
				fmt.Fprintf(out, "%d lines, %d new", t.Lines, t.Fresh)
				for _, more := range []struct {
					n    int
					what string
				}{{t.Silent, "servers did not answer"}, {t.Strange, "addresses stand in no register"}, {t.Rejected, "lines could not be read"}} {
					if more.n > 0 {
						fmt.Fprintf(out, ", %d %s", more.n, more.what)
					}
				}
				if dry {
					fmt.Fprint(out, "; nothing was written")
				}
				fmt.Fprintln(out)
				if t.Why != "" {
					fmt.Fprintln(out, oneLine(t.Why))
				}
				return nil
			})
		},
	}
	where(cmd, &path, &data)
	cmd.Flags().BoolVar(&dry, "dry-run", false, "say what would come in, and write nothing")
	return cmd
}

func registerExport() *cobra.Command {
	var path, data string
	cmd := &cobra.Command{
		Use:   "export NOUN",
		Short: "Print a register as CSV",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return atHouse(cmd, path, data, func(ctx context.Context, c *house.Caller) error {
				return c.Register(ctx, args[0], cmd.OutOrStdout())
			})
		},
	}
	where(cmd, &path, &data)
	return cmd
}
