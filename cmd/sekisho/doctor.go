package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"sekisho/gate"
	"sekisho/house"
	"sekisho/survey"
)

func doctorCommand() *cobra.Command {
	var path, lang string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check config, machine and database, and who can pass the gate by",
		Long: `Checks everything that has to be right for the gate to keep its promise: the
config; the ledger's disk, its room and how long a sync takes; the keys' and
passwords' files; certificates, ports and the clock; the database's version,
tables, settings, logins and what they may do; and the ways round the gate: who
else may log in and read, what pg_hba.conf lets in, who is connected past the
gate now, and what others have read (pg_stat_statements).

One line for each check: ok, warning, failure, or unknown, with a hint for each
that is not ok. It only reads, but for a file of its own in the data directory to
time the disk, which it removes again.

Exit status: 0 if every check is ok, 1 if there are warnings or unknowns, 2 if
there is a failure.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			w, err := survey.Speak(lang)
			if err != nil {
				return err
			}
			found := survey.Doctor(cmd.Context(), patient(cmd.Context(), path))
			if asJSON {
				err = printFindingsJSON(cmd.OutOrStdout(), found, w)
			} else {
				printFindings(cmd.OutOrStdout(), found, w)
			}
			if err != nil {
				return err
			}
			switch survey.Worst(found) {
			case survey.OK:
				return nil
			case survey.Failure:
				return status{2, summary(found, w)}
			}
			return status{1, summary(found, w)}
		},
	}
	cmd.Flags().StringVar(&path, "config", "sekisho.yaml", "the config file")
	takesLanguage(cmd.Flags(), &lang, "", "language: en or ja; default by LANG")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the findings as JSON")
	return cmd
}

// status is an exit status that a command has promised, with what stands on
// standard error.
type status struct {
	code int
	text string
}

func (s status) Error() string { return s.text }

// patient reads a config as far as it goes.
func patient(ctx context.Context, path string) survey.Patient {
	p := survey.Patient{File: path}
	c, base, err := readConfig(path)
	if err == nil {
		err = c.Check(base)
	}
	if err == nil {
		err = c.Gate.Check() // a config for doctor has a gate
	}
	if err != nil {
		p.Broken = err
		return p
	}
	g := c.Gate
	p.Data, p.Users, p.Catalog = c.Data, cmp.Or(c.Console.Users, c.Data), c.Catalog
	p.Upstream = survey.Upstream{Host: g.Upstream.Host, Port: g.Upstream.Port, Database: g.Upstream.Database, SSLMode: g.Upstream.SSLMode, SSLRootCert: g.Upstream.SSLRootCert}
	p.Reader = survey.Login{User: g.Upstream.Reader.User, PasswordFile: g.Upstream.Reader.PasswordFile}
	p.Roles = map[string]survey.Login{}
	for name, r := range g.Roles {
		p.Roles[name] = survey.Login{User: r.User, PasswordFile: r.PasswordFile}
		if r.AnyRow && r.Mode != gate.Observe {
			if p.AnyRow == nil {
				p.AnyRow = map[string]bool{}
			}
			p.AnyRow[name] = r.AskAbove > 0
		}
	}
	p.Gate = survey.Door{Listen: g.Listen, Cert: g.TLS.Cert, Key: g.TLS.Key, ClientCA: g.TLS.ClientCA, Require: g.TLS.Require}
	p.Console = survey.Door{Listen: c.Console.Listen, Cert: c.Console.Cert, Key: c.Console.Key}
	p.Peers, p.PeersLocal = c.Outside.Peers()
	switch l := c.Leases; {
	case l.Borrows():
		p.With, p.Shares = fmt.Sprintf("gate %d (%s, %s)", l.From.Number, l.From.Name, l.From.Address), func(ctx context.Context) error { return house.CheckLeases(ctx, l, c.Number, c.Budgets) }
	case l.Issues():
		p.With, p.Shares = fmt.Sprintf("%s, at %s", counted(len(l.Gates), "gate"), l.Listen), func(context.Context) error { return house.CheckLender(l) }
	}
	if caller, err := house.Call(ctx, filepath.Clean(c.Data)); err == nil {
		p.Lending = lending(ctx, caller)
		caller.Close()
		p.Running = true
		p.Leavers = func(ctx context.Context) ([]string, error) { return leavers(ctx, c.Data) }
	}
	if g.Policy.Dir != "" {
		p.Policy = func() error { return gate.TryPolicy(house.Against(base, g.Policy.Dir), g.PolicyConfig(&c.Catalog)) }
		// Where it cannot be read, that is what there is to say of it.
		p.Silent, _ = silent(&c, base)
	}
	return p
}

// silent are the roles to which the policy gives nothing, and whether one of each
// one's tables is enforced.
func silent(c *house.Config, base string) (map[string]bool, error) {
	g := c.Gate
	set, err := gate.ReadPolicy(house.Against(base, g.Policy.Dir))
	if err != nil {
		return nil, err
	}
	policy, err := set.Load(g.PolicyConfig(&c.Catalog))
	if err != nil {
		return nil, fmt.Errorf("the policy: %w", err)
	}
	list := map[string]bool{}
	for name, r := range g.Roles {
		if policy.Silent(name) {
			list[name] = r.Enforces()
		}
	}
	return list, nil
}

// leavers asks a running sekisho who has left and is let in still.
func leavers(ctx context.Context, data string) (list []string, err error) {
	caller, err := house.Call(ctx, filepath.Clean(data))
	if err != nil {
		return nil, err
	}
	defer caller.Close()
	found, err := caller.Leavers(ctx)
	for _, l := range found {
		line := l.What + " " + oneLine(l.Name)
		if l.Person != l.Name {
			line += " (" + oneLine(l.Person) + ")"
		}
		list = append(list, line+", left "+moment(l.Left, caller.Zone)[:10])
	}
	return list, err
}

func count(found []survey.Finding) map[survey.Level]int {
	n := map[survey.Level]int{}
	for _, f := range found {
		n[f.Level]++
	}
	return n
}

func summary(found []survey.Finding, w *survey.Words) string {
	n := count(found)
	return w.Say("doctor.summary", n[survey.OK], n[survey.Warning], n[survey.Failure], n[survey.Unknown])
}

func printFindings(out io.Writer, found []survey.Finding, w *survey.Words) {
	for _, f := range found {
		fmt.Fprintf(out, "%-8s %s\n", w.Say("level."+string(f.Level)), f.Text(w))
		if hint := f.Hint(w); hint != "" {
			fmt.Fprintf(out, "         → %s\n", hint)
		}
	}
	if survey.Worst(found) == survey.OK {
		fmt.Fprintln(out, summary(found, w)) // else it is the last word on standard error
	}
}

func printFindingsJSON(out io.Writer, found []survey.Finding, w *survey.Words) error {
	type finding struct {
		Check string       `json:"check"`
		Level survey.Level `json:"level"`
		Text  string       `json:"text"`
		Hint  string       `json:"hint,omitempty"`
	}
	list := make([]finding, len(found))
	for i, f := range found {
		list[i] = finding{f.Check, f.Level, f.Text(w), f.Hint(w)}
	}
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(struct {
		Worst    survey.Level         `json:"worst"`
		Counts   map[survey.Level]int `json:"counts"`
		Findings []finding            `json:"findings"`
	}{survey.Worst(found), count(found), list})
}
