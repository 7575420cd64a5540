package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sekisho"
	"sekisho/console"
	"sekisho/house"
)

func incidentCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "incident",
		Short: "Work in the room of an incident: facts, roles, tasks, decisions, evidence, lessons, its end",
		Long: `An incident has a room: who does what, what is known and what is not, which
clocks count, and what has to be decided next. Everything that is done in it is
an entry of the ledger first. The same acts are forms of the console's page
/incidents/NUMBER/room.`,
	}
	cmd.AddCommand(incidentList(), incidentShow(), incidentOpen(), incidentAck(), incidentFact(), incidentRole(), incidentPlaybook(), incidentTask(),
		incidentDecide(), incidentAnswer("approve", "approved", "Approve a decision, or the end, that somebody else asked for"),
		incidentAnswer("reject", "rejected", "Reject a decision, or the end, that somebody else asked for"),
		incidentAnswer("withdraw", "withdrawn", "Withdraw a decision, or the end, that you asked for"),
		incidentAnswer("answer", "answered", "Say what something was that was raised, and who made it"),
		incidentRaise(), incidentEvidence(), incidentCustody(), incidentLesson(), incidentClose(), incidentReopen(), incidentManual())
	return cmd
}

// inRoom is a command that asks the running house for a room, after an act or
// without one.
type inRoom struct {
	path, data string
	asJSON     bool
	act        console.RoomAct
}

func (r *inRoom) flags(cmd *cobra.Command) *cobra.Command {
	where(cmd, &r.path, &r.data)
	cmd.Flags().BoolVar(&r.asJSON, "json", false, "print the room as JSON")
	return cmd
}

func (r *inRoom) show(cmd *cobra.Command, ask func(context.Context, *house.Caller) (console.RoomPage, error)) error {
	return atHouse(cmd, r.path, r.data, func(ctx context.Context, c *house.Caller) error {
		p, err := ask(ctx, c)
		if err != nil {
			return err
		}
		if r.asJSON {
			return printJSON(cmd.OutOrStdout(), p)
		}
		printRoom(cmd.OutOrStdout(), &p, c.Zone)
		return nil
	})
}

// does makes the command of one act. fill takes what stands behind the number
// into the act.
func (r *inRoom) does(use, short, act string, args cobra.PositionalArgs, fill func(given []string) error) *cobra.Command {
	return r.flags(&cobra.Command{Use: use, Short: short, Args: args, RunE: func(cmd *cobra.Command, given []string) error {
		n, err := numberOf("incident", given[0])
		if err != nil {
			return err
		}
		if fill != nil {
			if err := fill(given[1:]); err != nil {
				return err
			}
		}
		return r.show(cmd, func(ctx context.Context, c *house.Caller) (console.RoomPage, error) { return c.Act(ctx, n, act, r.act) })
	}})
}

func (r *inRoom) entry(arg string) (err error) {
	r.act.About, err = numberOf("ledger entry", arg)
	return err
}

func incidentList() *cobra.Command {
	var r inRoom
	var all bool
	cmd := &cobra.Command{Use: "list", Short: "List the incidents that are open", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		return atHouse(cmd, r.path, r.data, func(ctx context.Context, c *house.Caller) error {
			p, err := c.Incidents(ctx)
			if err != nil {
				return err
			}
			if !all {
				open := p.Incidents[:0]
				for _, i := range p.Incidents {
					if !i.Closed {
						open = append(open, i)
					}
				}
				p.Incidents = open
			}
			out := cmd.OutOrStdout()
			if r.asJSON {
				return printJSON(out, p)
			}
			if len(p.Incidents) == 0 {
				fmt.Fprintln(out, "no incident is open")
			}
			for _, i := range p.Incidents {
				fmt.Fprintf(out, "%-8d %-9s %-8s %s  %s", i.ID, i.Severity.Level, i.Phase, moment(i.Opened, c.Zone), oneLine(strings.Join(i.Endpoints, ", ")))
				if n := i.Numbers; n != nil {
					fmt.Fprintf(out, "  worst case %s, suspected %s, sent at most %s, confirmed %s", thousands(n.WorstCase), thousands(n.Suspected), thousands(n.SentAtMost), thousands(n.Confirmed))
				}
				if i.Waits != "" {
					fmt.Fprintf(out, "  NOT ACKNOWLEDGED for %s", i.Waits)
				}
				fmt.Fprintln(out)
			}
			return nil
		})
	}}
	cmd.Flags().BoolVar(&all, "all", false, "those that are closed too")
	return r.flags(cmd)
}

func incidentShow() *cobra.Command {
	var r inRoom
	return r.flags(&cobra.Command{Use: "show NUMBER", Short: "Show the room of an incident", Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		n, err := numberOf("incident", args[0])
		if err != nil {
			return err
		}
		return r.show(cmd, func(ctx context.Context, c *house.Caller) (console.RoomPage, error) { return c.Room(ctx, n) })
	}})
}

func incidentOpen() *cobra.Command {
	var r inRoom
	var o console.RoomOpening
	cmd := r.flags(&cobra.Command{Use: "open --text TEXT", Short: "Open an incident for a call, a notice, or something seen", Args: cobra.NoArgs,
		Long: `Open an incident for a call, a notice, or something seen. It climbs the ladder
from the moment at which it was known until somebody takes it on.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return r.show(cmd, func(ctx context.Context, c *house.Caller) (console.RoomPage, error) { return c.OpenIncident(ctx, o) })
		}})
	f := cmd.Flags()
	f.StringVar(&o.Text, "text", "", "what is known")
	f.StringVar(&o.What, "what", "notice", "notice, host_health or question")
	f.StringVar(&o.Source, "source", "person", "who says so: person, ledger, sensor, provider, customer, partner, authority, press, attacker")
	f.StringVar(&o.Known, "known", "", "when somebody of the company first knew; default now")
	f.StringSliceVar(&o.Endpoints, "endpoint", nil, "a machine concerned; several, separated by commas")
	f.StringVar(&o.Person, "person", "", "the account that is asked to look")
	cmd.MarkFlagRequired("text")
	return cmd
}

func incidentAck() *cobra.Command {
	var r inRoom
	cmd := r.does("ack NUMBER", "Take on what waits in an incident", "ack", cobra.ExactArgs(1), nil)
	cmd.Flags().Uint64Var(&r.act.About, "about", 0, "the entry that is taken on; default what waits first")
	cmd.Flags().StringVar(&r.act.Text, "text", "", "a note")
	return cmd
}

func incidentFact() *cobra.Command {
	var r inRoom
	cmd := r.does("fact NUMBER CODE", "State a fact: what happened, when, and when it was known", "fact", cobra.ExactArgs(2), func(given []string) error {
		r.act.Code = given[0]
		return nil
	})
	cmd.Long = `State a fact. CODE is one of the manual's ("sekisho incident manual" prints it),
such as first_malicious, entry, cause, exit, stopped, contained_verified,
recovered, or note for anything else. A fact is never changed: a later one
replaces it with --corrects, and both stay.`
	f := cmd.Flags()
	f.StringVar(&r.act.Text, "text", "", "what happened")
	f.StringVar(&r.act.Happened, "happened", "", "when it happened; empty: not known")
	f.StringVar(&r.act.Known, "known", "", "when somebody of the company first knew; default now")
	f.StringVar(&r.act.Source, "source", "person", "person, ledger, sensor, provider, customer, partner, authority, press, attacker")
	f.StringVar(&r.act.Certainty, "certainty", "likely", "confirmed, likely, possible, withdrawn")
	f.Uint64Var(&r.act.Corrects, "corrects", 0, "the entry of the fact that this one replaces")
	return cmd
}

func incidentRole() *cobra.Command {
	var r inRoom
	cmd := r.does("role NUMBER take|hand-over|give-up ROLE", "Take a role, hand it over, or give it up", "role", cobra.ExactArgs(3), func(given []string) error {
		r.act.Action = map[string]string{"take": "taken", "hand-over": "handed_over", "give-up": "relinquished"}[given[0]]
		if r.act.Role = given[1]; r.act.Action == "" {
			return usage{fmt.Errorf("%q is none of take, hand-over, give-up", given[0])}
		}
		return nil
	})
	cmd.Flags().StringVar(&r.act.Person, "person", "", "the account that takes it; default you")
	cmd.Flags().StringVar(&r.act.Text, "text", "", "what the next one must know")
	return cmd
}

func incidentPlaybook() *cobra.Command {
	var r inRoom
	return r.does("playbook NUMBER NAME", "Put a playbook's tasks before the people of an incident", "playbook", cobra.ExactArgs(2), func(given []string) error {
		r.act.Playbook = given[0]
		return nil
	})
}

func incidentTask() *cobra.Command {
	var r inRoom
	cmd := r.does("task NUMBER done|skip|assign|reopen|add [TASK]", "Say what became of a task, or add one", "task", cobra.RangeArgs(2, 3), func(given []string) error {
		r.act.Action = map[string]string{"done": "done", "skip": "skipped", "assign": "assigned", "reopen": "reopened", "add": "added"}[given[0]]
		switch {
		case r.act.Action == "":
			return usage{fmt.Errorf("%q is none of done, skip, assign, reopen, add", given[0])}
		case (len(given) == 1) != (r.act.Action == "added"):
			return usage{errors.New("every action but add needs the task: see sekisho incident show")}
		case len(given) == 2:
			r.act.Task = given[1]
		}
		return nil
	})
	cmd.Flags().StringVar(&r.act.Person, "person", "", "assign, add: the account whose it is")
	cmd.Flags().StringVar(&r.act.Due, "due", "", "assign, add: until when")
	cmd.Flags().StringVar(&r.act.Text, "text", "", "add: what is to be done; skip: why; else a note")
	return cmd
}

func incidentDecide() *cobra.Command {
	var r inRoom
	cmd := r.does("decide NUMBER CODE --chosen N --reason TEXT", "Record a decision, with its options and its reason", "decide", cobra.ExactArgs(2), func(given []string) error {
		r.act.Code = given[0]
		return nil
	})
	cmd.Long = `Record a decision. CODE is one of the manual's, which brings its options, or
other with --title and at least two --option. What needs a second person stands
only once somebody else has approved it.`
	f := cmd.Flags()
	f.IntVar(&r.act.Chosen, "chosen", 0, "which option, from 1")
	f.StringVar(&r.act.Text, "reason", "", "why")
	f.StringVar(&r.act.Title, "title", "", "what is decided")
	f.StringArrayVar(&r.act.Options, "option", nil, "an option; several times")
	f.BoolVar(&r.act.Two, "two", false, "a second person must approve it, though the manual does not ask for one")
	cmd.MarkFlagRequired("chosen")
	cmd.MarkFlagRequired("reason")
	return cmd
}

func incidentAnswer(verb, action, short string) *cobra.Command {
	r := inRoom{act: console.RoomAct{Action: action}}
	cmd := r.does(verb+" NUMBER ENTRY", short, "answer", cobra.ExactArgs(2), func(given []string) error { return r.entry(given[0]) })
	name := "reason"
	if action == "answered" {
		name = "text"
	}
	cmd.Flags().StringVar(&r.act.Text, name, "", "why, or what it was")
	return cmd
}

func incidentRaise() *cobra.Command {
	var r inRoom
	cmd := r.does("raise NUMBER notice|host_health|question --text TEXT", "Raise something that somebody must look at", "raise", cobra.ExactArgs(2), func(given []string) error {
		r.act.What = given[0]
		return nil
	})
	f := cmd.Flags()
	f.StringVar(&r.act.Text, "text", "", "what it is")
	f.StringVar(&r.act.Source, "source", "person", "who says so")
	f.StringVar(&r.act.Known, "known", "", "when somebody of the company first knew; default now")
	f.StringVar(&r.act.Endpoint, "endpoint", "", "the machine that it is about")
	f.StringVar(&r.act.Person, "person", "", "the account that is asked")
	cmd.MarkFlagRequired("text")
	return cmd
}

// hashed is the SHA-256 and the size of a file, which may be larger than memory.
func hashed(name string) (sum string, size uint64, err error) {
	f, err := os.Open(name)
	if err != nil {
		return "", 0, fmt.Errorf("hashing the evidence: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	if err != nil {
		return "", 0, fmt.Errorf("hashing %s: %w", name, err)
	}
	return hex.EncodeToString(h.Sum(nil)), uint64(n), nil
}

func incidentEvidence() *cobra.Command {
	var r inRoom
	cmd := r.does("evidence NUMBER [FILE] --title TEXT --kept WHERE", "Register evidence: a file's SHA-256 and size, and where it is kept", "evidence", cobra.RangeArgs(1, 2), func(given []string) (err error) {
		if len(given) == 1 {
			r.act.SHA256, r.act.Size, err = hashed(given[0])
		}
		return err
	})
	cmd.Long = `Register evidence. The file is hashed here and not taken in; without one it is
a thing, such as a machine or a sheet of paper.`
	f := cmd.Flags()
	f.StringVar(&r.act.Title, "title", "", "what it is")
	f.StringVar(&r.act.Kept, "kept", "", "where it is kept")
	f.StringVar(&r.act.Taken, "taken", "", "when it was secured; default now")
	f.StringVar(&r.act.Person, "person", "", "the account that has it; default you")
	cmd.MarkFlagRequired("title")
	cmd.MarkFlagRequired("kept")
	return cmd
}

func incidentCustody() *cobra.Command {
	var r inRoom
	cmd := r.does("custody NUMBER ENTRY [FILE] --kept WHERE --reason TEXT", "Hand evidence on; with the file, its hash is compared again", "custody", cobra.RangeArgs(2, 3), func(given []string) (err error) {
		if r.act.Evidence, err = numberOf("ledger entry", given[0]); err == nil && len(given) == 2 {
			r.act.SHA256, _, err = hashed(given[1])
		}
		return err
	})
	f := cmd.Flags()
	f.StringVar(&r.act.Person, "person", "", "the account that has it now; none for somebody outside")
	f.StringVar(&r.act.Kept, "kept", "", "where it is kept now, or who outside has it")
	f.StringVar(&r.act.Text, "reason", "", "why")
	cmd.MarkFlagRequired("kept")
	cmd.MarkFlagRequired("reason")
	return cmd
}

func incidentLesson() *cobra.Command {
	var r inRoom
	cmd := r.does("lesson NUMBER add|change|done|drop [ENTRY] --text TEXT", "Note a lesson with its owner and date, or say what became of one", "lesson", cobra.RangeArgs(2, 3), func(given []string) (err error) {
		r.act.Action = map[string]string{"add": "learned", "change": "changed", "done": "done", "drop": "dropped"}[given[0]]
		switch {
		case r.act.Action == "":
			return usage{fmt.Errorf("%q is none of add, change, done, drop", given[0])}
		case (len(given) == 1) != (r.act.Action == "learned"):
			return usage{errors.New("every action but add needs the lesson's entry")}
		case len(given) == 2:
			r.act.Lesson, err = numberOf("ledger entry", given[1])
		}
		return err
	})
	f := cmd.Flags()
	f.StringVar(&r.act.Text, "text", "", "what will be done; what was done; why it is dropped")
	f.StringVar(&r.act.Person, "person", "", "add, change: the account that owes it")
	f.StringVar(&r.act.Due, "due", "", "add, change: until when")
	cmd.MarkFlagRequired("text")
	return cmd
}

func incidentClose() *cobra.Command {
	var r inRoom
	cmd := r.does("close NUMBER --outcome OUTCOME --reason TEXT", "Ask to close an incident, which somebody else must approve", "close", cobra.ExactArgs(1), nil)
	cmd.Flags().StringVar(&r.act.Outcome, "outcome", "", "resolved, false_alarm, not_reportable, duplicate")
	cmd.Flags().StringVar(&r.act.Text, "reason", "", "why")
	cmd.MarkFlagRequired("outcome")
	cmd.MarkFlagRequired("reason")
	return cmd
}

func incidentReopen() *cobra.Command {
	var r inRoom
	cmd := r.does("reopen NUMBER --reason TEXT", "Begin a closed incident again", "reopen", cobra.ExactArgs(1), nil)
	cmd.Flags().StringVar(&r.act.Text, "reason", "", "why")
	cmd.MarkFlagRequired("reason")
	return cmd
}

func incidentManual() *cobra.Command {
	var path, data, playbook string
	cmd := &cobra.Command{Use: "manual", Short: "Print the risk management manual in force, or one of its playbooks", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		return atHouse(cmd, path, data, func(ctx context.Context, c *house.Caller) error {
			t, err := c.ManualText(ctx, playbook)
			if err != nil {
				return err
			}
			fmt.Fprint(cmd.OutOrStdout(), t.Text)
			if playbook == "" {
				fmt.Fprintf(cmd.OutOrStdout(), "\n# playbooks in force: %s\n", strings.Join(t.Playbooks, ", "))
			}
			return nil
		})
	}}
	where(cmd, &path, &data)
	cmd.Flags().StringVar(&playbook, "playbook", "", "the playbook with this name")
	return cmd
}

// printRoom tells a room in lines.
func printRoom(out io.Writer, p *console.RoomPage, zone *time.Location) {
	at := func(t sekisho.Time) string {
		if t == 0 {
			return "-"
		}
		return moment(t, zone)
	}
	head := func(s string) { fmt.Fprintf(out, "\n%s\n", strings.ToUpper(s)) }
	fmt.Fprintf(out, "incident %d, %s: severity %s (%.3g), opened %s\n", p.ID, p.Phase.Name, p.Severity.Name, p.Severity.Score, at(p.Opened))
	switch {
	case p.Closed:
		fmt.Fprintln(out, "closed")
	case p.Ongoing:
		fmt.Fprintf(out, "still going on, as far as is known (%s)\n", p.Why)
	default:
		fmt.Fprintf(out, "stopped (%s)\n", p.Why)
	}
	fmt.Fprintf(out, "because: %s; %s; %s\n", p.Phase.Why, p.Phase.ISO, p.Phase.NIST)
	if n := p.Numbers; n != nil {
		fmt.Fprintf(out, "worst case %s, suspected %s, sent at most %s, confirmed %s\n", thousands(n.WorstCase), thousands(n.Suspected), thousands(n.SentAtMost), thousands(n.Confirmed))
	} else {
		fmt.Fprintln(out, p.Unasked)
	}
	if len(p.Next) > 0 {
		head("next decision")
		fmt.Fprintf(out, "%s: %s %s (%s)\n", p.Next[0].Key, p.Next[0].Say, p.Next[0].Why, oneLine(p.Next[0].Owner+prefixed(", ", p.Next[0].Who)))
		for i, o := range p.Next[0].Options {
			fmt.Fprintf(out, "  %d %s\n", i+1, o)
		}
	}
	if len(p.Waits)+len(p.Sat) > 0 {
		head("waits, and who had it")
	}
	for _, w := range p.Waits {
		next := "nobody is above"
		if !w.Top {
			next = fmt.Sprintf("next %s %s at %s", w.Role, w.Person, at(w.At))
		}
		fmt.Fprintf(out, "%-8d %s: %s, for %s; %s\n", w.About, w.Stage, w.What, w.For, next)
	}
	for _, s := range p.Sat {
		who, still := s.Person, "had it"
		if who == "" {
			who = "nobody"
		}
		if s.Still {
			still = "has had it"
		}
		fmt.Fprintf(out, "%-8d %s (%s) %s for %s, since %s\n", s.About, who, s.Role, still, s.For, at(s.From))
	}
	if len(p.Facts) > 0 {
		head("known")
	}
	for _, f := range p.Facts {
		if f.Stands {
			fmt.Fprintf(out, "%-8d %s  %s: %s (%s, %s, known %s, by %s)\n", f.Entry, at(f.Happened), f.Code, oneLine(f.Text), f.Certainty, f.Source, at(f.Known), f.By)
		}
	}
	if len(p.Unknown) > 0 {
		head("not known")
	}
	for _, u := range p.Unknown {
		fmt.Fprintf(out, "%s: %s (%s)\n", u.Code, u.Ask, u.Owner)
	}
	head("clocks")
	for _, k := range p.Clocks {
		if k.State != "waiting" {
			fmt.Fprintf(out, "%-8s %s%s%s\n", k.State, k.Name, prefixed(", until ", strings.TrimPrefix(at(k.Due), "-")), prefixed(": ", k.Left))
		}
	}
	head("roles")
	for _, r := range p.Roles {
		switch {
		case r.Person != "":
			fmt.Fprintf(out, "%-20s %s since %s\n", r.Key, r.Person, at(r.Since))
		case len(r.Roster) > 0:
			fmt.Fprintf(out, "%-20s (roster: %s)\n", r.Key, strings.Join(r.Roster, ", "))
		}
	}
	if len(p.Tasks) > 0 {
		head("tasks")
	}
	for _, t := range p.Tasks {
		fmt.Fprintf(out, "%-8s %-34s %s%s%s\n", t.State, t.ID, oneLine(t.Say), prefixed(" · ", t.Person), prefixed(" · ", t.Left))
	}
	if len(p.Decisions) > 0 {
		head("decisions")
	}
	for _, d := range p.Decisions {
		chosen := ""
		if d.Chosen < len(d.Options) {
			chosen = d.Options[d.Chosen]
		}
		second := ""
		if d.Second != nil {
			second = fmt.Sprintf(", %s by %s", d.Second.Action, d.Second.By)
		}
		fmt.Fprintf(out, "%-8d %-9s %s → %s: %s (by %s%s)\n", d.Entry, d.State, oneLine(d.Title), oneLine(chosen), oneLine(d.Why), d.By, second)
	}
	if len(p.Raised) > 0 {
		head("raised")
	}
	for _, q := range p.Raised {
		if q.Answer != nil {
			fmt.Fprintf(out, "%-8d %s: %s → %s (by %s)\n", q.Entry, q.What, oneLine(q.Text), oneLine(q.Answer.Text), q.Answer.By)
		} else {
			fmt.Fprintf(out, "%-8d %s: %s — open for %s\n", q.Entry, q.What, oneLine(q.Text), q.Open)
		}
	}
	if len(p.Evidence) > 0 {
		head("evidence")
	}
	for _, e := range p.Evidence {
		fmt.Fprintf(out, "%-8d %s, %s, %s%s\n", e.Entry, oneLine(e.Title), oneLine(e.Kept), e.Person, prefixed(" sha256 ", e.SHA256))
		for _, m := range e.Chain {
			fmt.Fprintf(out, "         %s %s, %s: %s\n", at(m.At), m.Person, oneLine(m.Kept), oneLine(m.Why))
		}
	}
	if len(p.Lessons) > 0 {
		head("lessons")
	}
	for _, l := range p.Lessons {
		fmt.Fprintf(out, "%-8d %-8s %s, %s, until %s\n", l.Entry, l.State, oneLine(l.Text), l.Person, at(l.Due))
	}
	for _, e := range p.Endings {
		if e.Waits {
			fmt.Fprintf(out, "\n%-8d %s asks to close it as %s: %s; somebody else must approve\n", e.Entry, e.By, e.Outcome, oneLine(e.Why))
		}
	}
}
