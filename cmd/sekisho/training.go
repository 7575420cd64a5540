package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sekisho/console"
	"sekisho/house"
)

func trainingCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "training",
		Short: "Who is to take which course, and how far they have come",
		Long: `Courses are assigned to people until a due date; they read and answer at the
employees' door. These commands plan, show how far people have come, and take
over what another learning system says.`,
	}
	cmd.AddCommand(trainingList(), trainingCourses(), trainingPlan(), trainingShow(), trainingChange(), trainingImport(), trainingDeclared(),
		trainingJudge("countersign", "countersigned", "Confirm completions that somebody else declared"), trainingJudge("withdraw", "withdrawn", "Take completions back that are wrong"))
	return cmd
}

// share is a figure with what it is made of.
func trainingShare(f console.TrainingFigure) string {
	if f.Denominator == 0 {
		return "nobody"
	}
	return fmt.Sprintf("%3d %%  %d of %d, unknown %d, begun %d, open %d, failed %d, missed %d", f.Percent(), f.Numerator, f.Denominator, f.Unknown, f.Begun, f.Open, f.Failed, f.Missed)
}

// trainingListing is a command that prints a part of what stands on the page of
// training: all of it as JSON, or line by line.
func trainingListing(use, short string, part func(console.TrainingPage) any, print func(io.Writer, console.TrainingPage, *time.Location)) *cobra.Command {
	var f deskFlags
	cmd := &cobra.Command{
		Use:   use,
		Short: short,
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return atHouse(cmd, f.path, f.data, func(ctx context.Context, c *house.Caller) error {
				p, err := c.Training(ctx)
				if err != nil {
					return err
				}
				if f.json {
					return asJSON(cmd.OutOrStdout(), part(p))
				}
				print(cmd.OutOrStdout(), p, c.Zone)
				return nil
			})
		},
	}
	f.add(cmd)
	return cmd
}

func trainingList() *cobra.Command {
	return trainingListing("list", "List plans, the latest first", func(p console.TrainingPage) any { return p.Plans }, func(w io.Writer, p console.TrainingPage, zone *time.Location) {
		for _, l := range p.Plans {
			fmt.Fprintf(w, "%-8d %-20s %-12s by %s  %s\n", l.Number, l.Course+" "+l.Edition, l.Whom, moment(l.Due, zone)[:10], trainingShare(l.All))
		}
		if len(p.Plans) == 0 {
			fmt.Fprintln(w, "nothing was planned yet")
		}
	})
}

func trainingCourses() *cobra.Command {
	return trainingListing("courses", "List the editions of courses that can be planned", func(p console.TrainingPage) any { return p.Courses }, func(w io.Writer, p console.TrainingPage, _ *time.Location) {
		for _, l := range p.Courses {
			fmt.Fprintf(w, "%-20s %-10s %s: %d pages, %d of %d questions, %d %% to pass, %d attempts\n", l.Course, l.Edition, oneLine(l.Title), l.Pages, l.Draw, l.Questions, l.Pass, l.Attempts)
		}
	})
}

func trainingPlan() *cobra.Command {
	var f deskFlags
	var ask console.TrainingAsk
	var going bool
	cmd := &cobra.Command{
		Use:   "plan COURSE --due DAY",
		Short: "Say whom a plan would reach, and with --go make it",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ask.Course, ask.DryRun = args[0], !going
			return atHouse(cmd, f.path, f.data, func(ctx context.Context, c *house.Caller) error {
				d, err := c.PlanTraining(ctx, ask)
				if err != nil {
					return err
				}
				out := cmd.OutOrStdout()
				if f.json {
					return asJSON(out, d)
				}
				fmt.Fprintf(out, "%s %s, %s, %d without a mail address\n", d.Course, d.Edition, people(d.People), d.Without)
				if d.Same != 0 {
					fmt.Fprintf(out, "the same people have this course within a year (plan %d): it is no second, distinct one\n", d.Same)
				}
				if d.Near != 0 {
					fmt.Fprintf(out, "another course for them is due less than 60 days before (plan %d): of two taken close together one counts\n", d.Near)
				}
				if d.Number != 0 {
					fmt.Fprintf(out, "planned as %d\n", d.Number)
				} else {
					fmt.Fprintln(out, "nothing has happened: --go plans it")
				}
				return nil
			})
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&ask.Edition, "edition", "", "the edition; default the latest")
	cmd.Flags().StringVar(&ask.Whom, "whom", "all", "all, executives, company/CODE, department/CODE or makeup/PLAN")
	cmd.Flags().StringSliceVar(&ask.Kinds, "kinds", nil, "only these: employee, executive, agency, secondee")
	cmd.Flags().StringVar(&ask.From, "from", "", "the first day; default now")
	cmd.Flags().StringVar(&ask.Due, "due", "", "the last day, such as 2026-06-30")
	cmd.Flags().Uint64Var(&ask.Joiners, "joiners", 30, "days for those who come later; 0: they are not assigned")
	cmd.Flags().StringVar(&ask.Reason, "reason", "", "why")
	cmd.Flags().BoolVar(&going, "go", false, "plan it")
	cmd.MarkFlagRequired("due")
	return cmd
}

// people is a number of them.
func people(n int) string {
	if n == 1 {
		return "1 person"
	}
	return thousands(uint64(n)) + " people"
}

func trainingShow() *cobra.Command {
	var f deskFlags
	var show, within string
	cmd := &cobra.Command{
		Use:   "show PLAN",
		Short: "Show how far the people of a plan have come",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := numberOf("plan", args[0])
			if err != nil {
				return err
			}
			return atHouse(cmd, f.path, f.data, func(ctx context.Context, c *house.Caller) error {
				p, err := c.TrainingPlan(ctx, n, show, within)
				if err != nil {
					return err
				}
				out := cmd.OutOrStdout()
				if f.json {
					return asJSON(out, p)
				}
				fmt.Fprintf(out, "%s %s, %s, by %s\n", p.Course, p.Edition, p.Whom, moment(p.Due, c.Zone)[:10])
				fmt.Fprintf(out, "%-24s %s\n", "all", trainingShare(p.All))
				fmt.Fprintf(out, "%-24s %s\n", "executives", trainingShare(p.Executives))
				for _, u := range p.Companies {
					fmt.Fprintf(out, "%-24s %s\n", oneLine(u.Title), trainingShare(u))
				}
				fmt.Fprintf(out, "beside: excused %d, on leave %d, left %d; counted up to entry %d\n", p.All.Excused, p.All.Away, p.All.Left, p.Through)
				for _, one := range p.People {
					fmt.Fprintf(out, "  %-20s %-8s by %s  attempts %d\n", oneLine(one.User), one.State, moment(one.Due, c.Zone)[:10], one.Attempts)
				}
				if more := p.AllPeople - len(p.People); more > 0 {
					fmt.Fprintf(out, "  and %d more\n", more)
				}
				return nil
			})
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&show, "show", "", "list people: behind, open, begun, missed, failed, unknown, late, done or excused")
	cmd.Flags().StringVar(&within, "within", "", "only of this company or department, or executives")
	return cmd
}

func trainingChange() *cobra.Command {
	var f deskFlags
	var act console.TrainingAct
	cmd := &cobra.Command{
		Use:   "change PLAN prolonged|ended|excused|again --reason TEXT",
		Short: "Prolong or end a plan, excuse people from it, or let them try anew",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := numberOf("plan", args[0])
			if err != nil {
				return err
			}
			act.Action = args[1]
			return atHouse(cmd, f.path, f.data, func(ctx context.Context, c *house.Caller) error {
				p, err := c.ChangeTraining(ctx, n, act)
				if err != nil {
					return err
				}
				if f.json {
					return asJSON(cmd.OutOrStdout(), p)
				}
				fmt.Fprintf(cmd.OutOrStdout(), "plan %d: %s\n", n, act.Action)
				return nil
			})
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&act.Due, "due", "", "prolonged: the new last day")
	cmd.Flags().StringSliceVar(&act.People, "people", nil, "excused, again: user names")
	cmd.Flags().StringVar(&act.Reason, "reason", "", "why")
	cmd.MarkFlagRequired("reason")
	return cmd
}

func trainingImport() *cobra.Command {
	var f deskFlags
	var system string
	var declared, going bool
	cmd := &cobra.Command{
		Use:   "import FILE --system NAME",
		Short: "Say which completions of another system would be taken over, and with --go take them",
		Long: `FILE (- is standard input) is CSV with a line of names: person (user name or mail
address), course, completed, and if known edition and score. Lines that are not
taken are named with their reason; exit status 3 says that there are any.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			in := cmd.InOrStdin()
			if args[0] != "-" {
				file, err := os.Open(args[0])
				if err != nil {
					return fmt.Errorf("reading completions: %w", err)
				}
				defer file.Close()
				in = file
			}
			return atHouse(cmd, f.path, f.data, func(ctx context.Context, c *house.Caller) error {
				took, err := c.ImportTraining(ctx, system, declared, !going, io.NopCloser(in))
				if err != nil {
					return err
				}
				out := cmd.OutOrStdout()
				if f.json {
					if err := asJSON(out, took); err != nil {
						return err
					}
				} else {
					fmt.Fprintf(out, "%d lines: %d taken, %d known already, %d refused\n", took.Lines, took.Taken, took.Known, len(took.Refused)+took.More)
					for _, r := range took.Refused {
						fmt.Fprintf(out, "line %d: %s\n", r.Line, strings.ReplaceAll(r.Why, "_", " "))
					}
					if took.DryRun {
						fmt.Fprintln(out, "nothing has happened: --go takes them over")
					}
				}
				if len(took.Refused) > 0 {
					return errFound
				}
				return nil
			})
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&system, "system", "", "the system that they come from")
	cmd.Flags().BoolVar(&declared, "declared", false, "somebody's word: it counts once a second person has countersigned")
	cmd.Flags().BoolVar(&going, "go", false, "take them over")
	cmd.MarkFlagRequired("system")
	return cmd
}

func trainingDeclared() *cobra.Command {
	return trainingListing("declared", "List completions that wait for a second person", func(p console.TrainingPage) any { return p.Waiting }, func(w io.Writer, p console.TrainingPage, zone *time.Location) {
		for _, l := range p.Waiting {
			fmt.Fprintf(w, "%-8d %-20s %-20s %s  from %s, by %s\n", l.Entry, oneLine(l.Person), l.Course, moment(l.When, zone)[:10], oneLine(l.System), oneLine(l.By))
		}
		fmt.Fprintf(w, "%d in all\n", p.Declared)
	})
}

func trainingJudge(verb, action, short string) *cobra.Command {
	var f deskFlags
	verdict := console.TrainingVerdict{Action: action}
	cmd := &cobra.Command{
		Use:   verb + " ENTRY …",
		Short: short,
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, a := range args {
				n, err := numberOf("completion", a)
				if err != nil {
					return err
				}
				verdict.Completions = append(verdict.Completions, n)
			}
			return atHouse(cmd, f.path, f.data, func(ctx context.Context, c *house.Caller) error {
				if err := c.JudgeTraining(ctx, verdict); err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s %s\n", counted(len(verdict.Completions), "completion"), action)
				return nil
			})
		},
	}
	where(cmd, &f.path, &f.data)
	cmd.Flags().StringVar(&verdict.Reason, "reason", "", "why; needed to withdraw")
	return cmd
}
