package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sekisho"
	"sekisho/console"
	"sekisho/contain"
	"sekisho/house"
	"sekisho/incident"
)

func containCommand() *cobra.Command {
	var path, data string
	var ask contain.Ask
	var dry, asJSON bool
	cmd := &cobra.Command{
		Use:   "contain --system NAME|--endpoint NAME|--principal NAME|--role NAME|--table NAME|--destination ADDRESS --reason TEXT",
		Short: "Cut off the outside, or the affected system",
		Long: `Propose to cut something off. With --system it is every terminal that read the
affected system, or may: that set is computed from the ledger, the policy, the
certificates and the config, and their way to the outside is cut. With
--endpoint it is those terminals, also at the gate.

--dry-run shows the set first, whose terminals they are and which business
stops. An order that needs it waits for somebody else's approval.`,
		Example: `  sekisho contain --system member-db --dry-run
  sekisho contain --system member-db --incident 120 --reason "malware on office PCs"
  sekisho contain --endpoint pc-0417 --reason "plugged a stick in"`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return atHouse(cmd, path, data, func(ctx context.Context, c *house.Caller) error {
				if dry {
					p, err := c.PlanContainment(ctx, ask)
					if err != nil {
						return err
					}
					if asJSON {
						return writeJSON(cmd.OutOrStdout(), p)
					}
					printPlan(cmd.OutOrStdout(), &p, c.Zone)
					return nil
				}
				return containPage(cmd, asJSON, c, func() (console.ContainmentPage, error) { return c.ProposeContainment(ctx, ask) })
			})
		},
	}
	where(cmd, &path, &data)
	f := cmd.Flags()
	f.StringVar(&ask.System, "system", "", "every terminal that read this system, or may: the ledger's name")
	f.StringSliceVar(&ask.Endpoints, "endpoint", nil, "terminals, by name or pattern")
	f.StringSliceVar(&ask.Principals, "principal", nil, "accounts: shut out at the gate")
	f.StringSliceVar(&ask.Roles, "role", nil, "roles: shut out at the gate")
	f.StringSliceVar(&ask.Tables, "table", nil, "tables: shut for everybody, with their schema")
	f.StringSliceVar(&ask.Destinations, "destination", nil, "hostile addresses or prefixes: blocked for everybody; those of the incident need not be named")
	f.Uint64Var(&ask.Incident, "incident", 0, "the incident; hostile destinations that become known later are blocked as well")
	f.StringSliceVar(&ask.Cuts, "cut", nil, "what terminals lose: egress, gate (default egress of a system, both of named terminals)")
	f.StringVar(&ask.For, "for", "", "how long, such as 24h (default the config's)")
	f.BoolVar(&ask.Keep, "keep", false, "after its time it stays in force, with an alarm, until somebody lifts it")
	f.StringVar(&ask.Owner, "owner", "", "who is warned before it ends (default you)")
	f.StringVar(&ask.Executive, "executive", "", "on whose word protected terminals are cut as well")
	f.BoolVar(&ask.Alone, "one-hand", false, "one hand is enough")
	f.BoolVar(&ask.BreakGlass, "break-glass", false, "at once, on your word alone; somebody else reviews it afterwards")
	f.StringVar(&ask.Reason, "reason", "", "why")
	f.BoolVar(&dry, "dry-run", false, "only show what it would do")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	cmd.AddCommand(containList(), containShow(),
		containAnswer("approve", "approved", "Approve an order of somebody else: its hands move at once"),
		containAnswer("reject", "rejected", "Reject an order of somebody else"),
		containAnswer("withdraw", "withdrawn", "Withdraw an order of your own that waits"),
		containAnswer("break-glass", "broken_glass", "Give an order that waits alone; somebody else reviews it afterwards"),
		containLift(), containProlong(), containReview())
	return cmd
}

func writeJSON(out io.Writer, v any) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

func containPage(cmd *cobra.Command, asJSON bool, c *house.Caller, ask func() (console.ContainmentPage, error)) error {
	p, err := ask()
	if err != nil {
		return err
	}
	if asJSON {
		return writeJSON(cmd.OutOrStdout(), p)
	}
	printContainment(cmd.OutOrStdout(), &p, c.Zone)
	return nil
}

func containList() *cobra.Command {
	var path, data string
	var all, asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the orders that wait or are in force, and the hands",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return atHouse(cmd, path, data, func(ctx context.Context, c *house.Caller) error {
				p, err := c.Containments(ctx)
				if err != nil {
					return err
				}
				out := cmd.OutOrStdout()
				if asJSON {
					return writeJSON(out, p)
				}
				shown := 0
				for _, o := range p.Orders {
					if !all && o.State != incident.OrderProposed && o.State != incident.OrderInForce && o.State != incident.OrderOverdue && !o.ToReview {
						continue
					}
					shown++
					note := ""
					if o.ToReview {
						note = ", to be reviewed"
					}
					if o.Alarming() && !o.ToReview {
						note += ", ALARM"
					}
					if len(o.NoHand) > 0 {
						note += ", NO HAND FOR: " + strings.Join(o.NoHand, ", ")
					}
					fmt.Fprintf(out, "%-8d %-9s %s  %s%s, by %s: %s\n", o.Number, o.State, moment(o.Time, c.Zone), containWhat(&o), note, o.By, oneLine(o.Reason))
				}
				if shown == 0 {
					fmt.Fprintln(out, "no order waits or is in force")
				}
				for _, h := range p.Hands {
					fmt.Fprintf(out, "hand     %-12s %-10s %d of %d in force%s\n", h.Name, h.State, h.Enforced, h.Intended, prefixed(", last complete ", when(h.Verified, c.Zone)))
				}
				return nil
			})
		},
	}
	where(cmd, &path, &data)
	cmd.Flags().BoolVar(&all, "all", false, "those that are over too")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func when(t sekisho.Time, zone *time.Location) string {
	if t == 0 {
		return ""
	}
	return moment(t, zone)
}

// containWhat is an order in a few words.
func containWhat(o *console.ContainmentLine) string {
	var parts []string
	if o.Terminals > 0 {
		left := ""
		if o.Left != o.Terminals && o.Left > 0 {
			left = fmt.Sprintf(", %d still cut", o.Left)
		}
		parts = append(parts, fmt.Sprintf("%s of %s%s", o.Cuts, counted(uint64(o.Terminals), "terminal"), left))
	}
	for _, list := range []struct {
		what string
		of   []string
	}{{"account", o.Principals}, {"role", o.Roles}, {"table", o.Tables}, {"destination", o.Destinations}} {
		if len(list.of) > 0 {
			parts = append(parts, list.what+" "+strings.Join(list.of[:min(3, len(list.of))], ", "))
		}
	}
	return strings.Join(parts, "; ")
}

func containShow() *cobra.Command {
	var path, data string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show NUMBER",
		Short: "Show an order, and what each hand has in force of it",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := numberOf("order", args[0])
			if err != nil {
				return err
			}
			return atHouse(cmd, path, data, func(ctx context.Context, c *house.Caller) error {
				return containPage(cmd, asJSON, c, func() (console.ContainmentPage, error) { return c.Containment(ctx, n) })
			})
		},
	}
	where(cmd, &path, &data)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// containDo is a command that does something with one order.
func containDo(use, short string, do func(cmd *cobra.Command, c *house.Caller, n uint64) (console.ContainmentAnswer, bool, error)) (*cobra.Command, *console.ContainmentAnswer) {
	var path, data string
	var asJSON bool
	a := &console.ContainmentAnswer{}
	cmd := &cobra.Command{
		Use:   use + " NUMBER",
		Short: short,
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := numberOf("order", args[0])
			if err != nil {
				return err
			}
			return atHouse(cmd, path, data, func(ctx context.Context, c *house.Caller) error {
				answer := *a
				if do != nil {
					var goOn bool
					if answer, goOn, err = do(cmd, c, n); err != nil || !goOn {
						return err
					}
				}
				return containPage(cmd, asJSON, c, func() (console.ContainmentPage, error) { return c.AnswerContainment(ctx, n, answer) })
			})
		},
	}
	where(cmd, &path, &data)
	cmd.Flags().StringVar(&a.Reason, "reason", "", "why")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd, a
}

func containAnswer(verb, action, short string) *cobra.Command {
	cmd, a := containDo(verb, short, nil)
	a.Action = action
	return cmd
}

func containReview() *cobra.Command {
	var objected bool
	var a *console.ContainmentAnswer
	cmd, a := containDo("review", "Judge an order that somebody gave alone", func(*cobra.Command, *house.Caller, uint64) (console.ContainmentAnswer, bool, error) {
		a.Action = "upheld"
		if objected {
			a.Action = "objected"
		}
		return *a, true, nil
	})
	cmd.Flags().BoolVar(&objected, "object", false, "it should not have been given; lift it by itself")
	return cmd
}

func containProlong() *cobra.Command {
	cmd, a := containDo("prolong", "Give an order another end, counted from now", nil)
	a.Action = "prolonged"
	cmd.Flags().StringVar(&a.For, "for", "24h", "how long from now")
	cmd.Flags().StringVar(&a.Owner, "owner", "", "who is warned before it ends")
	return cmd
}

func containLift() *cobra.Command {
	var dry bool
	var ask contain.LiftAsk
	var a *console.ContainmentAnswer
	cmd, a := containDo("lift", "Give back some of what an order cuts, or all", func(cmd *cobra.Command, c *house.Caller, n uint64) (console.ContainmentAnswer, bool, error) {
		a.Action, a.Lift = "lifted", ask
		if !dry {
			return *a, true, nil
		}
		p, err := c.PlanLift(cmd.Context(), n, ask)
		if err != nil {
			return *a, false, err
		}
		out := cmd.OutOrStdout()
		fmt.Fprintf(out, "order %d: %s of %s would be given back, %d would stay cut by it", n, p.CutsNamed, counted(uint64(len(p.Back)), "terminal"), p.Still)
		if p.Others > 0 {
			fmt.Fprintf(out, ", %d are cut by other orders as well", p.Others)
		}
		fmt.Fprintln(out)
		if len(p.Hostile) > 0 {
			fmt.Fprintf(out, "everybody could reach again: %s\n", strings.Join(p.Hostile, ", "))
		}
		for _, alarm := range p.Alarms {
			fmt.Fprintf(out, "against it: %s\n", alarmEn[alarm])
		}
		if p.Ends {
			fmt.Fprintln(out, "the order would end")
		}
		return *a, false, nil
	})
	cmd.Use = "lift NUMBER [--endpoint NAME] [--cut egress|gate] | --all"
	cmd.Flags().StringSliceVar(&ask.Endpoints, "endpoint", nil, "which terminals, by name or pattern (default every one that is left)")
	cmd.Flags().StringSliceVar(&ask.Cuts, "cut", nil, "what they get back: egress, gate (default both)")
	cmd.Flags().BoolVar(&ask.All, "all", false, "all of the order, and it ends")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "only show what would be given back")
	return cmd
}

// alarmEn are the topics of alarms about an order.
var alarmEn = map[string]string{
	"alone": "it is in force at fewer than two independent places", "destinations": "hostile destinations can still be reached", "leak": "a sensor saw traffic leave all the same",
	"expiring": "it ends soon", "overdue": "its time is over", "to_review": "it was given alone and nobody has reviewed it",
}

func printPlan(out io.Writer, p *contain.Plan, zone *time.Location) {
	line := func(what, format string, args ...any) {
		fmt.Fprintf(out, "%-13s%s\n", what, fmt.Sprintf(format, args...))
	}
	line("dry run", "nothing has happened")
	if len(p.Terminals) > 0 {
		line("cut", "%s of %s, for %s", p.Cuts, counted(uint64(len(p.Terminals)), "terminal"), p.Lasts)
	}
	counts := map[string]int{}
	for _, t := range p.Terminals {
		for _, why := range t.Why {
			counts[why]++
		}
	}
	for _, why := range []struct{ code, text string }{{"read", "have read it"}, {"may_read", "may read it, by the policy"}, {"session", "have been at the gate"}, {"stated", "are known by a program's word"},
		{"certificate", "hold a certificate"}, {"listed", "stand in the config"}, {"named", "were named"}} {
		if n := counts[why.code]; n > 0 {
			line("", "%s %s", thousands(uint64(n)), why.text)
		}
	}
	if p.Cut > 0 {
		line("", "%s are cut already", thousands(uint64(p.Cut)))
	}
	for _, one := range p.Departments {
		line("whose", "%s of %s", counted(uint64(one.Terminals), "terminal"), or(one.Name, "people the config does not know"))
	}
	for _, b := range p.Businesses {
		line("stops", "%s, at %s%s", b.Name, counted(uint64(b.Terminals), "terminal"), prefixed(": ", b.Stops))
	}
	for _, list := range []struct {
		what string
		of   []string
	}{{"accounts", p.Principals}, {"roles", p.Roles}, {"tables", p.Tables}, {"destinations", p.Destinations}} {
		if len(list.of) > 0 {
			line(list.what, "%s", strings.Join(list.of, ", "))
		}
	}
	if p.Follow {
		line("", "hostile destinations that become known later are blocked as well")
	}
	groups := map[string]int{}
	for _, s := range p.Spared {
		groups[s.Group]++
	}
	for _, g := range sortedNames(groups) {
		line("protected", "%s of %s kept out", counted(groups[g], "terminal"), g)
	}
	for _, s := range p.Protected {
		line("PROTECTED", "%s of %s would be cut on an executive's word", s.Endpoint, s.Group)
	}
	for _, h := range p.Hands {
		line("hand", "%s at %s, for: %s; now %s%s", h.Name, h.Place, strings.Join(h.Does, ", "), h.State, prefixed(": ", h.Error))
	}
	for _, w := range p.Warnings {
		text := map[string]string{"one_hand": "fewer than two independent hands: give --one-hand if that must do",
			"no_egress":       "no hand is configured that closes the way out: that part would not be cut (docs/hands.md)",
			"no_gate":         "no hand is configured that shuts out at the gate: that part would not be cut",
			"no_destinations": "no hand is configured that blocks destinations: they would stay reachable (docs/hands.md)",
			"no_address":      fmt.Sprintf("terminals of which no address is known, which only the gate can cut off: %d", p.Unlocated),
			"shared":          fmt.Sprintf("addresses where others sit as well, who are cut off with them: %d", len(p.Shared)), "hand_away": "a hand does not answer at the moment", "protected": "protected terminals are among them"}[w]
		line("beware", "%s", or(text, w))
	}
	if p.Second {
		line("approval", "somebody else has to approve it, here or in the console")
	}
	const most = 20
	for i, t := range p.Terminals {
		if i == most {
			line("", "… and %s more (--json has all)", thousands(uint64(len(p.Terminals)-most)))
			break
		}
		last := "never read"
		if t.Read != 0 {
			last = "last read " + moment(t.Read, zone)
		}
		line("  "+t.Name, "%s; %s", strings.Join(t.Addresses, ", "), last)
	}
}

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func sortedNames(m map[string]int) (list []string) {
	for name := range m {
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}

func printContainment(out io.Writer, p *console.ContainmentPage, zone *time.Location) {
	line := func(what, format string, args ...any) {
		fmt.Fprintf(out, "%-11s%s\n", what, fmt.Sprintf(format, args...))
	}
	line("order", "%d, %s", p.Number, p.State)
	if p.Incident != 0 {
		line("incident", "%d", p.Incident)
	}
	line("cuts", "%s", containWhat(&p.ContainmentLine))
	line("asked", "%s by %s: %s", moment(p.Time, zone), p.By, oneLine(p.Reason))
	if d := p.Decision; d != nil {
		line("decided", "%s %s by %s%s", moment(d.Time, zone), d.Action, d.By, prefixed(": ", oneLine(d.Reason)))
		if d.Verdict != "" {
			line("reviewed", "%s %s by %s%s", moment(d.Reviewed, zone), d.Verdict, d.Reviewer, prefixed(": ", oneLine(d.Review)))
		}
	} else {
		line("next", "somebody else approves it, in the console or by: sekisho contain approve %d", p.Number)
	}
	if p.ToReview {
		line("next", "it was given alone; somebody else reviews it: sekisho contain review %d", p.Number)
	}
	if p.Over != 0 {
		line("over", "%s", moment(p.Over, zone))
	} else if p.Until != 0 {
		line("until", "%s, owner %s%s", moment(p.Until, zone), p.Owner, map[bool]string{true: "; kept after that"}[p.Keep])
	}
	for _, h := range p.Hands {
		text := fmt.Sprintf("%s: %s", h.Name, h.State)
		if h.Intended > 0 {
			text += fmt.Sprintf(", %d of %d in force", h.Enforced, h.Intended)
		}
		if h.Verified != 0 {
			text += ", last read back complete " + moment(h.Verified, zone)
		}
		if len(h.Missing) > 0 && h.State != "applied" {
			text += ", missing " + oneLine(strings.Join(h.Missing, ", "))
		}
		if h.Why != "" && h.State != "applied" {
			text += ", " + oneLine(h.Why) + " (docs/hands.md)"
		}
		if h.Gone {
			text += ", NOT IN THE CONFIG ANY MORE"
		}
		line("hand", "%s", text)
	}
	for _, part := range p.NoHand {
		line("beware", "%s", map[string]string{"egress": "no hand is configured that closes the way out: that part is not cut (docs/hands.md)",
			"gate": "no hand is configured that shuts out at the gate: that part is not cut", "destinations": "no hand is configured that blocks destinations: they stay reachable (docs/hands.md)"}[part])
	}
	for _, a := range p.Alarms {
		if a.State != "alarm" {
			continue
		}
		text := or(alarmEn[a.Topic], a.Topic)
		if a.Of > 0 {
			text += fmt.Sprintf(": %d of %d", a.Is, a.Of)
		}
		line("ALARM", "%s%s", text, prefixed(", ", strings.Join(a.What, ", ")))
	}
}
