package main

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sekisho"
	"sekisho/catalog"
	"sekisho/console"
	"sekisho/house"
	"sekisho/sheet"
	"sekisho/survey"
	"sekisho/trace"
)

func readinessCommand() *cobra.Command {
	var (
		path, since, until, lang string
		role                     string
		noPlans, asJSON, latest  bool
		top                      int
	)
	cmd := &cobra.Command{
		Use:   "readiness",
		Short: "What enforcement would refuse, role by role, and what it would cost",
		Long: `Reads what the roles have done in the ledger, judges it as the gate would enforce
it today, and says for each role how much of it would be refused and why, what
cannot be told, and whether the role is ready. For statements that would get
hidden keys it asks the database's planner for both plans, with the role's own
login: nothing of the tables is read. The ledger may belong to a running sekisho.

The ledger holds statements over protected tables, without their literals. What
touches nothing protected is not in it, and passes.

Exit status: 0 if every observed role is ready, 3 if one is not, or it cannot be
told.`,
		Example: `  sekisho readiness --config sekisho.yaml --since 2026-04-01 --role call_centre`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, base, err := readConfig(path)
			if err != nil {
				return err
			}
			if err := c.Check(base); err != nil {
				return err
			}
			zone, err := time.LoadLocation(c.TimeZone)
			if err != nil {
				return err
			}
			from, err := timeFlag("--since", since, zone)
			if err != nil {
				return err
			}
			to, err := timeFlag("--until", until, zone)
			if err != nil {
				return err
			}
			if to == 0 {
				to = sekisho.Time(math.MaxInt64)
			}
			if latest {
				return printDay(cmd.OutOrStdout(), house.Against(base, c.Data), role, lang, zone, asJSON)
			}
			report, err := house.Ready(cmd.Context(), c, base, from, to, !noPlans)
			if err != nil {
				return err
			}
			if role != "" {
				if report.Roles = only(report.Roles, role); len(report.Roles) == 0 {
					return usage{fmt.Errorf("--role %s: the config has no such role", role)}
				}
			}
			if asJSON {
				err = printJSON(cmd.OutOrStdout(), report)
			} else {
				var words *console.Teller
				if words, err = console.NewTeller(lang, zone); err == nil {
					printRoad(cmd.OutOrStdout(), report, words, top)
				}
			}
			if err != nil {
				return err
			}
			for _, r := range report.Roles {
				if r.Mode == "observe" && r.Verdict != "ready" {
					return fmt.Errorf("%w: not every observed role is ready", errFound)
				}
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&path, "config", "sekisho.yaml", "the config file")
	f.StringVar(&since, "since", "", "start of what counts: a date, or a date and time; default: the ledger's beginning")
	f.StringVar(&until, "until", "", "end of it, itself outside it")
	f.StringVar(&role, "role", "", "of one role only")
	f.BoolVar(&latest, "latest", false, "print the report that the running house made of the last day, and judge nothing anew")
	f.BoolVar(&noPlans, "no-plans", false, "do not ask the database for plans")
	f.IntVar(&top, "top", 10, "how many statements of a role to list")
	takesLanguage(f, &lang, "", "language: en or ja; default by LANG")
	f.BoolVar(&asJSON, "json", false, "print the result as JSON")
	return cmd
}

// printDay prints what a house has kept of the last day of its observed roles.
func printDay(out io.Writer, data, role, lang string, zone *time.Location, asJSON bool) error {
	day, err := house.LastDay(data)
	if err != nil {
		return err
	}
	if role != "" {
		day.Roles = slices.DeleteFunc(day.Roles, func(r console.ObservedRole) bool { return r.Role != role })
	}
	if asJSON {
		return printJSON(out, day)
	}
	w, err := console.NewTeller(lang, zone)
	if err != nil {
		return err
	}
	if day.Until == 0 {
		fmt.Fprintln(out, w.Say("ready.day.none"))
		return nil
	}
	fmt.Fprintln(out, w.Say("ready.day", w.When(day.Until.Go().Format(time.RFC3339Nano))))
	for _, r := range day.Roles {
		fmt.Fprintf(out, "\n%s: %s\n", r.Role, w.Say("ready.verdict."+r.Verdict))
		line := func(n uint64, key string, args ...any) {
			if n > 0 {
				fmt.Fprintf(out, "  %s\n", w.Say(key, args...))
			}
		}
		line(r.Runs, "ready.day.runs", r.Runs, r.Statements, r.Exact, r.Other, r.AnyRow)
		line(r.Refused, "ready.day.refused", r.Refused, r.Runs, trace.Share(r.Refused, r.Runs))
		line(r.Policy, "ready.day.policy", r.Policy, r.Runs)
		line(r.Unsure, "ready.day.unsure", r.Unsure, r.Runs, trace.Share(r.Unsure, r.Runs))
		line(uint64(r.Budgets), "ready.day.budgets", r.Budgets)
		line(r.Keys, "ready.keys", r.Keys, r.Compared)
		line(r.Compared, "ready.worst", fmt.Sprintf("%.2f", r.Worst))
	}
	return nil
}

func only(roles []survey.Readiness, name string) []survey.Readiness {
	for _, r := range roles {
		if r.Role == name {
			return []survey.Readiness{r}
		}
	}
	return nil
}

// printRoad writes a report as people read it.
func printRoad(out io.Writer, report *house.RoadReport, w *console.Teller, top int) {
	if report.First == "" {
		fmt.Fprintln(out, w.Say("ready.nothing"))
	} else {
		fmt.Fprintln(out, w.Say("ready.span", w.When(report.First), w.When(report.Last), report.Days))
	}
	fmt.Fprintln(out, w.Say("ready.scope"))
	for _, r := range report.Roles {
		fmt.Fprintf(out, "\n%s: %s\n", r.Role, w.Say("ready.verdict."+r.Verdict))
		if r.Statements == 0 {
			continue
		}
		fmt.Fprintf(out, "  %s\n", w.Say("ready.runs", r.Runs, r.Statements, r.Exact, r.Other, r.AnyRow, r.Refused))
		fmt.Fprintf(out, "  %s\n", w.Say("ready.stops", r.StopRuns, r.Runs, trace.Share(r.StopRuns, r.Runs), len(r.Stops)))
		if r.Unsure > 0 {
			fmt.Fprintf(out, "  %s\n", w.Say("ready.unsure", r.Unsure, r.Runs, trace.Share(r.Unsure, r.Runs), r.Unknown))
		}
		for _, line := range alike(r.Tables) {
			names := make([]string, len(line))
			for i, t := range line {
				names[i] = t.Name
			}
			fmt.Fprintf(out, "    %s\n", w.Say("ready.table", sheet.Few(names), line[0].Runs, line[0].Refused, line[0].Unsure))
		}
		for i, s := range r.Stops {
			if i == top {
				fmt.Fprintf(out, "    %s\n", w.Say("ready.more", len(r.Stops)-top))
				break
			}
			fmt.Fprintf(out, "    %s  %s\n      %s\n", w.Say("ready.times", s.Runs), w.Code("refusal", s.Reason), shorten(s.Statement))
			hint := s.Hint
			if w.Lang() == "ja" {
				hint = cmp.Or(catalog.RemedyJa(s.Reason, s.Hint), s.Hint)
			}
			if hint != "" {
				fmt.Fprintf(out, "      → %s\n", hint)
			}
		}
		for _, p := range r.Policy {
			fmt.Fprintf(out, "  %s\n", w.Say("ready.policy", p.Decision, cmp.Or(strings.Join(p.Rules, ", "), w.Say("ready.norule")), p.Statements, p.Runs))
		}
		for _, b := range r.Budgets {
			fmt.Fprintf(out, "  %s\n", w.Say("ready.budget", b.Budget, b.Limit, b.Holders, b.Most))
		}
		if r.Keys > 0 {
			text := w.Say("ready.keys", r.Keys, r.Compared)
			if r.Compared > 0 {
				text += " " + w.Say("ready.worst", fmt.Sprintf("%.2f", r.Worst))
			}
			fmt.Fprintf(out, "  %s\n", text)
			if r.NoPlans != "" {
				fmt.Fprintf(out, "    %s\n", w.Say("ready.noplans", r.NoPlans))
			}
			for _, c := range r.Dearer {
				if c.Ratio > 1.01 {
					fmt.Fprintf(out, "    × %.2f  %s\n", c.Ratio, shorten(c.Statement))
				}
			}
		}
	}
}

// alike puts tables with the same figures into one line, where there are many: a
// statement that could be about anybody counts at every table.
func alike(tables []survey.Over) (lines [][]survey.Over) {
	at := map[survey.Over]int{}
	for _, t := range tables {
		key := t
		key.Name = ""
		if len(tables) <= 12 {
			key.Name = t.Name
		}
		i, ok := at[key]
		if !ok {
			i = len(lines)
			at[key], lines = i, append(lines, nil)
		}
		lines[i] = append(lines[i], t)
	}
	return lines
}

// shorten makes a statement one line of a terminal.
func shorten(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if r := []rune(text); len(r) > 140 {
		return string(r[:139]) + "…"
	}
	return text
}
