package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sekisho"
	"sekisho/console"
	"sekisho/house"
	"sekisho/permit"
)

func exportCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Ask for an export, and decide on those of others",
		Long: `A statement that names more customers than its role may read at once is cut,
and the error tells a number. With that number an approval can be asked for.
Somebody else approves, and then the same statement goes through once.`,
	}
	cmd.AddCommand(exportRequest(), exportList(), exportShow(),
		exportAnswer("approve", "approved", "Approve a request of somebody else"),
		exportAnswer("reject", "rejected", "Reject a request of somebody else"),
		exportAnswer("withdraw", "withdrawn", "Withdraw a request of your own, or take back an approval that was not used"))
	return cmd
}

// atHouse runs f with the running house; nothing can be asked of a stopped one,
// which has no gate.
func atHouse(cmd *cobra.Command, path, data string, f func(ctx context.Context, c *house.Caller) error) error {
	dir, err := dataDir(data, path)
	if err != nil {
		return err
	}
	c, err := call(cmd, dir)
	if err != nil {
		return err
	}
	defer c.Close()
	err = f(cmd.Context(), c)
	if c.Label != "" { // beside what was printed, so that a file stays what it is
		fmt.Fprintln(cmd.ErrOrStderr(), c.Label)
	}
	return err
}

// article puts the indefinite article before a noun.
func article(noun string) string {
	if strings.ContainsAny(noun[:1], "aeiou") {
		return "an " + noun
	}
	return "a " + noun
}

// numbered is what has a number, in Japanese.
var numbered = map[string]string{
	"statement": "文", "request": "申請", "incident": "インシデント", "enquiry": "問い合わせ", "ledger entry": "台帳のエントリ", "order": "封じ込め", "plan": "計画", "check": "点検",
	"finding": "指摘", "completion": "修了", "drill": "訓練", "mailing": "送信", "erasure": "消去", "label": "ラベル",
}

// numberOf reads what something is called by, as a person copies it: #1,234, too.
func numberOf(what, arg string) (uint64, error) {
	n, err := strconv.ParseUint(strings.NewReplacer(",", "", "#", "").Replace(arg), 10, 64)
	if err != nil || n == 0 {
		return 0, usage{both("%[1]q is not the number of %[3]s, such as 412", "%[1]q は%[2]sの番号ではない（例: 412）", arg, cmp.Or(numbered[what], what), article(what))}
	}
	return n, nil
}

func exportRequest() *cobra.Command {
	var path, data string
	var ask console.ExportAsk
	cmd := &cobra.Command{
		Use:   "request REFERENCE --most N --reason TEXT",
		Short: "Ask for the statement that was turned away with this number",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if ask.Reference, err = numberOf("statement", args[0]); err != nil {
				return err
			}
			return oneExport(cmd, path, data, func(ctx context.Context, c *house.Caller) (console.ExportPage, error) { return c.AskExport(ctx, ask) })
		},
	}
	where(cmd, &path, &data)
	cmd.Flags().Uint64Var(&ask.Most, "most", 0, "how many customers at most")
	cmd.Flags().StringVar(&ask.Reason, "reason", "", "why")
	decoys := cmd.Flags().Uint64("decoys", 0, "how many records of nobody the answer shall carry that no other has; default: the config's")
	cmd.PreRun = func(cmd *cobra.Command, _ []string) {
		if cmd.Flags().Changed("decoys") {
			ask.Decoys = decoys
		}
	}
	cmd.Flags().StringVar(&ask.Lasts, "lasts", "24h", "how long an approval shall last")
	cmd.MarkFlagRequired("most")
	cmd.MarkFlagRequired("reason")
	return cmd
}

func exportList() *cobra.Command {
	var path, data string
	var all bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the requests that wait or can be used, and what can be asked for",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return atHouse(cmd, path, data, func(ctx context.Context, c *house.Caller) error {
				p, err := c.Exports(ctx)
				if err != nil {
					return err
				}
				out, w := cmd.OutOrStdout(), speak(cmd)
				shown := 0
				for _, r := range p.Requests {
					if all || r.State == permit.Asked || r.State == permit.Approved {
						shown++
						fmt.Fprintf(out, "%-8d %s %s  %s\n", r.Number, console.Pad(w.Code("cmd.export.state", string(r.State)), 9), moment(r.Time, c.Zone),
							w.Say("cmd.export.line", r.Principal, r.Role, w.Count("n.customers", r.Most), r.By, oneLine(r.Reason)))
					}
				}
				if shown == 0 {
					fmt.Fprintln(out, w.Say("cmd.export.none"))
				}
				for _, t := range p.Turned {
					fmt.Fprintf(out, "%-8d %s\n", t.Reference, w.Say("cmd.export.turned", moment(t.Time, c.Zone), t.Principal, t.Role, oneLine(t.Statement)))
				}
				return nil
			})
		},
	}
	where(cmd, &path, &data)
	cmd.Flags().BoolVar(&all, "all", false, "those that are finished too")
	return cmd
}

func exportShow() *cobra.Command {
	var path, data string
	cmd := &cobra.Command{
		Use:   "show NUMBER",
		Short: "Show a request with the exact text that it is for",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := numberOf("request", args[0])
			if err != nil {
				return err
			}
			return oneExport(cmd, path, data, func(ctx context.Context, c *house.Caller) (console.ExportPage, error) { return c.Export(ctx, n) })
		},
	}
	where(cmd, &path, &data)
	return cmd
}

func exportAnswer(verb, action, short string) *cobra.Command {
	var path, data string
	answer := console.ExportAnswer{Action: action}
	cmd := &cobra.Command{
		Use:   verb + " NUMBER",
		Short: short,
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := numberOf("request", args[0])
			if err != nil {
				return err
			}
			return oneExport(cmd, path, data, func(ctx context.Context, c *house.Caller) (console.ExportPage, error) {
				return c.DecideExport(ctx, n, answer)
			})
		},
	}
	where(cmd, &path, &data)
	cmd.Flags().StringVar(&answer.Reason, "reason", "", "why")
	if action == "approved" {
		cmd.Flags().Uint64Var(&answer.Most, "most", 0, "fewer customers than were asked for")
	}
	return cmd
}

// oneExport asks the running house something that it answers with one request,
// and prints that.
func oneExport(cmd *cobra.Command, path, data string, ask func(context.Context, *house.Caller) (console.ExportPage, error)) error {
	return atHouse(cmd, path, data, func(ctx context.Context, c *house.Caller) error {
		p, err := ask(ctx, c)
		if err == nil {
			printExport(cmd.OutOrStdout(), &p, c.Zone, speak(cmd))
		}
		return err
	})
}

func moment(t sekisho.Time, zone *time.Location) string {
	if zone == nil {
		zone = time.UTC
	}
	return t.Go().In(zone).Format("2006-01-02 15:04:05")
}

// oneLine is a text of others' on a terminal: nothing in it moves the cursor.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	if len(s) > 120 {
		return strings.ToValidUTF8(s[:117], "") + "…"
	}
	return s
}

func printExport(out io.Writer, p *console.ExportPage, zone *time.Location, w *console.Teller) {
	head := func(what, text string) {
		fmt.Fprintf(out, "%s%s\n", console.Pad(what, 11), strings.ReplaceAll(text, "\n", "\n           "))
	}
	line := func(what string, args ...any) {
		head(w.Say("cmd.export."+what), w.Say("cmd.export."+what+".is", args...))
	}
	line("request", p.Number, w.Code("cmd.export.state", string(p.State)))
	line("asked", moment(p.Time, zone), p.By, oneLine(p.Reason))
	line("for", p.Principal, p.Role, w.Join(p.Tables, "answer.comma"))
	line("most", w.Count("n.customers", p.Most))
	if p.Decoys > 0 {
		line("decoys", w.Count("cmd.n.decoys", p.Decoys))
	}
	if p.Rows > 0 {
		line("estimate", w.Count("cmd.n.rows", p.Rows))
	}
	if p.EndsAt > 0 {
		line("ends", w.Count("cmd.n.rows", p.EndsAt))
	}
	if d := p.Decision; d != nil {
		line("decided", moment(d.Time, zone), w.Code("cmd.export.state", d.Action), d.By, prefixed(": ", oneLine(d.Reason)))
		if d.Action == "approved" {
			line("approved", w.Count("n.customers", d.Most), moment(d.Until, zone))
		}
	}
	if p.UsedAt != 0 {
		line("used", moment(p.UsedAt, zone), p.Session)
	}
	if p.Text != "" {
		head(w.Say("cmd.export.statement"), visible(p.Text))
	}
	for i, v := range p.Parameters {
		head(fmt.Sprintf("  $%d", i+1), visible(v))
	}
}

// visible is a text of several lines without what a terminal obeys.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '\uFFFD'
		}
		return r
	}, s)
}

func prefixed(before, s string) string {
	if s == "" {
		return ""
	}
	return before + s
}

// The console's users.

func userAdd() *cobra.Command {
	var path, data string
	var u console.UserLine
	cmd := &cobra.Command{
		Use:   "add NAME --role administrator|approver|user|hr|auditor",
		Short: "Make a console user, and print the password",
		Long: `Make a console user, and print the password.

A user looks, and asks for exports; an approver decides those of others too; an
administrator does all of it. An hr alone sees the evaluation, and decides
nothing else. An auditor is somebody from outside who looks at the duties until
the last day that --until names, and changes nothing (docs/audit.md). --also names the other accounts of the same
person, such as the login at the gate or an account of this machine, so that
nobody decides their own requests from another one.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			u.Name = args[0]
			return atHouse(cmd, path, data, func(ctx context.Context, c *house.Caller) error {
				password, err := c.AddUser(ctx, u)
				if err == nil {
					fmt.Fprintln(cmd.OutOrStdout(), password)
				}
				return err
			})
		},
	}
	where(cmd, &path, &data)
	cmd.Flags().StringVar(&u.Role, "role", "user", "administrator, approver, user, hr or auditor")
	cmd.Flags().StringVar(&u.Until, "until", "", "of an auditor: the last day on which they may look; needed")
	cmd.Flags().StringVar(&u.For, "for", "", "of an auditor: whom they work for, and what for; needed")
	cmd.Flags().StringSliceVar(&u.Also, "also", nil, "other accounts of the same person, separated by commas")
	return cmd
}

func userList() *cobra.Command {
	var path, data string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the console's users",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return atHouse(cmd, path, data, func(ctx context.Context, c *house.Caller) error {
				list, err := c.Users(ctx)
				for _, u := range list {
					fmt.Fprintf(cmd.OutOrStdout(), "%-20s %-14s%s\n", u.Name, u.Role, prefixed(" also ", strings.Join(u.Also, ", ")))
				}
				return err
			})
		},
	}
	where(cmd, &path, &data)
	return cmd
}

func userRemove() *cobra.Command {
	var path, data string
	cmd := &cobra.Command{
		Use:   "remove NAME",
		Short: "Take a console user away",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if args[0] == "" {
				return usage{errors.New("the name is missing")}
			}
			return atHouse(cmd, path, data, func(ctx context.Context, c *house.Caller) error { return c.RemoveUser(ctx, args[0]) })
		},
	}
	where(cmd, &path, &data)
	return cmd
}
