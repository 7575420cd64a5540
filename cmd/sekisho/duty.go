package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"sekisho/console"
	"sekisho/duty"
	"sekisho/house"
)

// dutyCommand is the register of duties.
func dutyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "duty",
		Short: "What the policy promises, and what has become of it",
		Long: `Asks the running sekisho for its register of duties, and does there what people
do: records evidence, signs that of others, asks for exceptions and answers them,
states which controls apply. docs/duties.md explains it.`,
	}
	cmd.AddCommand(dutyListCommand(), dutyShowCommand(), dutyRecordCommand(), dutySignCommand(), dutyExceptCommand(), dutyDecideCommand(), dutyControlCommand(), dutyUnitCommand(), dutyInstrumentCommand(), dutyPackCommand(), dutyVerifyCommand(), dutyReviewCommand())
	return cmd
}

// asked is what the commands of duties share.
type asked struct {
	path, data string
	asJSON     bool
	dry        bool
}

func (a *asked) flags(cmd *cobra.Command) {
	where(cmd, &a.path, &a.data)
	cmd.Flags().BoolVar(&a.asJSON, "json", false, "print the answer as JSON")
}

func figureText(f console.DutyFigure) string {
	if f.NoCase {
		return "no case"
	}
	text := f.Percent()
	if up := f.Upper(); up != "" {
		text += " to " + up
	}
	text += fmt.Sprintf("  (%d/%d, %d unknown", f.Num, f.Den, f.Dark)
	for _, more := range []struct {
		n    int64
		what string
	}{{f.Late, "late"}, {f.Open, "open"}, {f.Waived, "waived"}, {f.NA, "not applicable"}} {
		if more.n > 0 {
			text += fmt.Sprintf(", %d %s", more.n, more.what)
		}
	}
	return text + ")"
}

func dutyListCommand() *cobra.Command {
	var a asked
	var company, department, instrument string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Every duty with its figure, clause by clause",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return atHouse(cmd, a.path, a.data, func(ctx context.Context, c *house.Caller) error {
				p, err := c.DutyList(ctx, url.Values{"instrument": {instrument}, "company": {company}, "department": {department}})
				if err != nil {
					return err
				}
				if a.asJSON {
					return printJSON(cmd.OutOrStdout(), p)
				}
				printRegister(cmd.OutOrStdout(), &p)
				return nil
			})
		},
	}
	a.flags(cmd)
	cmd.Flags().StringVar(&instrument, "instrument", "policy", "which set of duties or controls")
	cmd.Flags().StringVar(&company, "company", "", "of one company, by its code in the directory")
	cmd.Flags().StringVar(&department, "department", "", "of one department, by its code in the directory")
	return cmd
}

func printRegister(out io.Writer, p *console.DutiesPage) {
	fmt.Fprintf(out, "%s, edition %s, counted up to entry %d\n", p.Title, p.Edition, p.Through)
	if len(p.Clauses) == 0 {
		fmt.Fprintln(out, "it is empty: import the edition in force (docs/duties.md)")
	}
	for _, c := range p.Clauses {
		if len(c.Duties) == 0 && c.Claim == nil {
			continue
		}
		fmt.Fprintf(out, "\n%s %s", c.Ref, c.Title)
		if c.Figure != nil {
			fmt.Fprintf(out, "  worst: %s %s, mean %d.%d %%", c.Worst, c.Figure.Percent(), c.Mean/10, c.Mean%10)
		}
		fmt.Fprintln(out)
		if k := c.Claim; k != nil {
			claim := k.Claim
			if !k.Applicable {
				claim = "does not apply"
			}
			fmt.Fprintf(out, "  stated: %s, %s\n", claim, k.Why)
		}
		for _, d := range c.Duties {
			origin := ""
			if d.Origin == "default" {
				origin = ", our default"
			} else if d.Part != "" {
				origin = ", our default: " + d.Part
			}
			fmt.Fprintf(out, "  %-5s %s (%s%s)\n        %s  %s\n", d.ID, d.Title, d.Cadence, origin, d.Window, figureText(d.Figure))
			if d.Now != nil {
				fmt.Fprintf(out, "        so far  %s\n", figureText(*d.Now))
			}
			if w := d.Worry; w != nil {
				fmt.Fprintf(out, "        at this pace missed by %d (at least %d) in %s\n", w.Missed, w.AtLeast, w.Month)
			}
		}
	}
}

func dutyShowCommand() *cobra.Command {
	var a asked
	var window, status string
	var page int
	cmd := &cobra.Command{
		Use:   "show DUTY",
		Short: "One duty: its figure, history, and what each unit owes",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			instrument, id, ok := strings.Cut(args[0], "/")
			if !ok {
				instrument, id = "policy", args[0]
			}
			return atHouse(cmd, a.path, a.data, func(ctx context.Context, c *house.Caller) error {
				p, err := c.DutyShow(ctx, instrument, id, url.Values{"window": {window}, "status": {status}, "page": {strconv.Itoa(page)}})
				if err != nil {
					return err
				}
				if a.asJSON {
					return printJSON(cmd.OutOrStdout(), p)
				}
				printDuty(cmd.OutOrStdout(), &p)
				return nil
			})
		},
	}
	a.flags(cmd)
	cmd.Flags().StringVar(&window, "window", "", "such as 2026 or 2026-H1; without it the one that it is judged by")
	cmd.Flags().StringVar(&status, "status", "", "only what is met, late, missed, unknown, open, waived or na")
	cmd.Flags().IntVar(&page, "page", 1, "of the obligations, 50 to a page")
	return cmd
}

func printDuty(out io.Writer, p *console.DutyPage) {
	fmt.Fprintf(out, "%s %s: %s\n", p.Name, p.Title, p.Promise)
	fmt.Fprintf(out, "how often: %s (%s)\nmeasure:   %s\nowner:     %s, then %s\n", p.Cadence, map[string]string{"stated": "stated by the page", "default": "our default"}[p.Origin], p.Measure, p.Owner, p.Approver)
	fmt.Fprintf(out, "figure:    %s  %s\n", p.Shown.Name, figureText(p.Shown.Figure))
	if p.Executives != nil {
		fmt.Fprintf(out, "executives: %s\n", figureText(*p.Executives))
	}
	for _, b := range p.Beside {
		fmt.Fprintf(out, "beside:    %s %s\n", b.Kind, figureText(b.Figure))
	}
	if w := p.Worry; w != nil {
		fmt.Fprintf(out, "forecast:  at this pace missed by %d (at least %d) in %s\n", w.Missed, w.AtLeast, w.Month)
	}
	fmt.Fprintln(out, "\nhistory:")
	for _, w := range p.History {
		state := "running"
		if w.Frozen {
			state = "frozen"
		} else if w.Closed {
			state = "closed"
		}
		fmt.Fprintf(out, "  %-8s %-8s %s\n", w.Name, state, figureText(w.Figure))
	}
	if len(p.Listed) > 0 {
		fmt.Fprintf(out, "\nobligations (%d):\n", p.Total)
	}
	for _, o := range p.Listed {
		fmt.Fprintf(out, "  %-8s %s", o.Status, o.Unit)
		for _, e := range o.Entries {
			fmt.Fprintf(out, "  #%d %s %s", e.Entry, e.Kind, e.Item)
		}
		fmt.Fprintln(out)
	}
	for _, w := range p.Waiting {
		fmt.Fprintf(out, "waits for a second person: #%d %s %s by %s\n", w.Entry, w.Kind, w.Item, w.By)
	}
	for _, e := range p.Exceptions {
		state := e.Action
		if state == "" {
			state = "waits"
		}
		fmt.Fprintf(out, "exception #%d: %s, %s, asked by %s, answered for by %s\n", e.Entry, e.What, state, e.By, e.Owner)
	}
}

// act does one thing and says what it came to.
func (a *asked) act(cmd *cobra.Command, what console.DutyAct, say func(done console.DutyDone) string) error {
	what.Dry = a.dry
	return atHouse(cmd, a.path, a.data, func(ctx context.Context, c *house.Caller) error {
		done, err := c.DutyAct(ctx, what)
		if err != nil {
			return err
		}
		if a.asJSON {
			return printJSON(cmd.OutOrStdout(), done)
		}
		if done.Dry {
			fmt.Fprintln(cmd.OutOrStdout(), "dry run: nothing was written")
			return nil
		}
		fmt.Fprintf(cmd.OutOrStdout(), "entry %d: %s\n", done.Entry, say(done))
		return nil
	})
}

func dutyRecordCommand() *cobra.Command {
	var a asked
	var what console.DutyAct
	var file string
	cmd := &cobra.Command{
		Use:   "record DUTY KIND",
		Short: "Record evidence that sekisho does not make itself",
		Long: `Records a piece of evidence for a duty: of one kind, about some units, good from
one day on. What a person states waits for a second person's signature where the
duty asks for one, and is unknown until then.`,
		Example: `  sekisho duty record M5a inspection_visit --unit airline --from 2026-11-10 --say "visit on site" --file report.pdf
  sekisho duty record B3 minutes --unit risk-council --from 2026-10-02 --say "autumn meeting"`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			what.Do, what.Duty, what.Kind = "record", args[0], args[1]
			if file != "" {
				text, err := os.ReadFile(file)
				if err != nil {
					return fmt.Errorf("reading the document: %w", err)
				}
				what.Document = base64.StdEncoding.EncodeToString(text)
			}
			return a.act(cmd, what, func(done console.DutyDone) string {
				if done.State == duty.Unsigned {
					return "recorded; where the duty needs a second person it waits for a signature (sekisho duty sign)"
				}
				return "recorded"
			})
		},
	}
	a.flags(cmd)
	f := cmd.Flags()
	f.BoolVar(&a.dry, "dry-run", false, "check it and write nothing")
	f.StringArrayVar(&what.Units, "unit", nil, "whom or what it is about; may be repeated. Not needed where the whole group owes the duty")
	f.StringVar(&what.From, "from", "", "from when it holds: a day, or a moment of RFC 3339 (default now)")
	f.StringVar(&what.Until, "until", "", "until when; empty: the duty decides how long it is fresh")
	f.StringVar(&what.Item, "item", "", "what distinguishes two of one kind: a course, a meeting, a milestone")
	f.StringVar(&what.State, "state", "", "why it does not count, such as failed")
	f.Uint64Var(&what.Value, "value", 0, "a score or measure")
	f.StringVar(&what.Said, "say", "", "what it is")
	f.StringVar(&what.SHA256, "sha256", "", "of a document that is kept elsewhere")
	f.StringVar(&what.Producer, "producer", "H", "H a person of the company, X somebody outside, S another system")
	f.StringVar(&file, "file", "", "a document of up to 1 MiB, kept in the vault")
	return cmd
}

func dutySignCommand() *cobra.Command {
	var a asked
	what := console.DutyAct{Do: "sign", Action: "countersigned"}
	var reject, withdraw bool
	cmd := &cobra.Command{
		Use:   "sign ENTRY",
		Short: "Sign evidence that somebody else stated, or reject it",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if what.Entry, err = strconv.ParseUint(args[0], 10, 64); err != nil {
				return errors.New("give the number of the entry: sekisho duty show lists what waits")
			}
			switch {
			case reject:
				what.Action = "rejected"
			case withdraw:
				what.Action = "withdrawn"
			}
			return a.act(cmd, what, func(console.DutyDone) string { return what.Action })
		},
	}
	a.flags(cmd)
	cmd.Flags().BoolVar(&reject, "reject", false, "it is not so")
	cmd.Flags().BoolVar(&withdraw, "withdraw", false, "take back one's own")
	cmd.Flags().StringVar(&what.Said, "say", "", "a remark")
	return cmd
}

func dutyExceptCommand() *cobra.Command {
	var a asked
	what := console.DutyAct{Do: "except"}
	cmd := &cobra.Command{
		Use:   "except DUTY",
		Short: "Ask for an exception, which has an owner and an end",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			what.Duty = args[0]
			return a.act(cmd, what, func(console.DutyDone) string {
				return "asked; it holds once a second person approves it (sekisho duty decide)"
			})
		},
	}
	a.flags(cmd)
	f := cmd.Flags()
	f.BoolVar(&a.dry, "dry-run", false, "check it and write nothing")
	f.StringVar(&what.What, "what", "waived", "waived, or na: it does not apply")
	f.StringArrayVar(&what.Units, "unit", nil, "for whom; may be repeated. Without it, for all")
	f.StringVar(&what.From, "from", "", "from which day (default now)")
	f.StringVar(&what.Until, "until", "", "its end, at most 366 days later; needed")
	f.StringVar(&what.Owner, "owner", "", "who answers for it: a user name; needed")
	f.StringVar(&what.Said, "say", "", "why; needed")
	return cmd
}

func dutyDecideCommand() *cobra.Command {
	var a asked
	what := console.DutyAct{Do: "decide", Action: "approved"}
	var reject, withdraw, end bool
	cmd := &cobra.Command{
		Use:   "decide ENTRY",
		Short: "Approve an exception that somebody else asked for, reject or end it",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if what.Entry, err = strconv.ParseUint(args[0], 10, 64); err != nil {
				return errors.New("give the number of the entry: sekisho duty show lists the exceptions")
			}
			switch {
			case reject:
				what.Action = "rejected"
			case withdraw:
				what.Action = "withdrawn"
			case end:
				what.Action = "ended"
			}
			return a.act(cmd, what, func(console.DutyDone) string { return what.Action })
		},
	}
	a.flags(cmd)
	cmd.Flags().BoolVar(&reject, "reject", false, "say no")
	cmd.Flags().BoolVar(&withdraw, "withdraw", false, "take back one's own request")
	cmd.Flags().BoolVar(&end, "end", false, "end one that is in force")
	cmd.Flags().StringVar(&what.Said, "say", "", "why")
	return cmd
}

func dutyControlCommand() *cobra.Command {
	var a asked
	what := console.DutyAct{Do: "control", Applicable: true}
	var not bool
	var basis []uint
	cmd := &cobra.Command{
		Use:   "control INSTRUMENT CONTROL",
		Short: "State whether a control applies, and what is claimed of it",
		Long: `Writes one line of the statement of applicability. A claim of implemented counts
only with entries that bear it out (--basis); without them it is one's own word,
and unknown.`,
		Example: `  sekisho duty control iso27001 A.5.1 --claim implemented --basis 812 --say "policy approved and published"
  sekisho duty control iso27001 A.8.30 --not-applicable --say "nothing is developed outside"`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			what.Instrument, what.Control, what.Applicable = args[0], args[1], !not
			for _, n := range basis {
				what.Basis = append(what.Basis, uint64(n))
			}
			return a.act(cmd, what, func(console.DutyDone) string { return "stated" })
		},
	}
	a.flags(cmd)
	f := cmd.Flags()
	f.BoolVar(&not, "not-applicable", false, "it does not apply")
	f.StringVar(&what.Claim, "claim", "", "implemented, partly, planned or unknown")
	f.UintSliceVar(&basis, "basis", nil, "entries that bear it out")
	f.StringVar(&what.From, "from", "", "from which day (default now)")
	f.StringVar(&what.Until, "review", "", "when it must be looked at again")
	f.StringVar(&what.Owner, "owner", "", "who answers for it: a user name")
	f.StringVar(&what.Said, "say", "", "how, or why not; needed")
	return cmd
}

func dutyUnitCommand() *cobra.Command {
	var a asked
	what := console.DutyAct{Do: "unit", Action: "listed"}
	var strike bool
	cmd := &cobra.Command{
		Use:   "unit POPULATION NAME",
		Short: "List something that duties count, such as a council or a membership",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			what.Population, what.Units = args[0], args[1:]
			if strike {
				what.Action = "struck"
			}
			return a.act(cmd, what, func(console.DutyDone) string { return what.Action })
		},
	}
	a.flags(cmd)
	f := cmd.Flags()
	f.BoolVar(&strike, "strike", false, "take it off the list")
	f.StringVar(&what.From, "from", "", "from which day (default now)")
	f.StringVar(&what.Company, "company", "", "whose it is, by the company's code")
	f.StringVar(&what.Owner, "owner", "", "who answers for it: a user name")
	f.StringVar(&what.Said, "say", "", "a remark")
	return cmd
}

func dutyInstrumentCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "instrument [NAME]",
		Short: "Print a shipped instrument, to begin one of your own with",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				fmt.Fprintln(cmd.OutOrStdout(), strings.Join(duty.Shipped(), "\n"))
				return nil
			}
			text, err := duty.Text(args[0])
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(text)
			return err
		},
	}
}
