package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sekisho"
	"sekisho/act"
	"sekisho/console"
	"sekisho/house"
)

func policyCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "policy", Short: "Who may do what with customers' data: check, explain, simulate"}
	cmd.AddCommand(policyInitCommand(), policyCheckCommand(), policyExplainCommand(), policySimulateCommand())
	return cmd
}

// The file that explains the words of a policy to other Cedar tools.
const schemaName = "sekisho.cedarschema"

func policyInitCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "init DIR",
		Short: "Write the shipped policy, its tests and its schema to a new directory, to begin with",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return writePolicy(args[0], cmd.OutOrStdout())
		},
	}
}

// writePolicy writes the shipped policy to a new directory, and says each
// file's name.
func writePolicy(dir string, out io.Writer) error {
	policies, tables, err := act.Default()
	if err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return both("making a directory for the policy: %v", "規則のディレクトリを作れない: %v", err)
	}
	for _, f := range append(append(policies, tables...), act.File{Name: schemaName, Text: []byte(act.Schema)}) {
		name := filepath.Join(dir, filepath.Base(f.Name))
		if err := os.WriteFile(name, f.Text, 0o644); err != nil {
			return fmt.Errorf("writing the policy: %w", err)
		}
		fmt.Fprintln(out, name)
	}
	return nil
}

// keepPolicy writes the shipped policy where there is none yet.
func keepPolicy(dir string) error {
	if _, err := os.Lstat(dir); err == nil {
		return nil
	}
	return writePolicy(dir, io.Discard)
}

// policyFlags are those of every command that reads a policy.
type policyFlags struct {
	config, zone string
}

func (p *policyFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&p.config, "config", "", "a config whose roles, purposes and tables are all that the policy may name")
	cmd.Flags().StringVar(&p.zone, "time-zone", "", "in which hours and weekdays are told; default: the config's, else Asia/Tokyo")
}

// read reads the files and directories of a policy, with the tables of tests
// beside them. Without any it is the config's, or the shipped one.
func (p *policyFlags) read(paths []string) (set act.Set, conf act.Config, err error) {
	name := p.zone
	if p.config != "" {
		c, base, err := readConfig(p.config)
		if err != nil {
			return act.Set{}, conf, err
		}
		name = cmp.Or(name, c.TimeZone)
		conf = c.Gate.PolicyConfig(&c.Catalog)
		if c.Handling.OffSite {
			c.Handling.File = house.Against(base, c.Handling.File)
			rules, err := c.Handling.Read()
			if err != nil {
				return act.Set{}, conf, fmt.Errorf("config: handling: %w", err)
			}
			set.Narrow = []act.File{act.OffSite(rules, true)}
		}
		if len(paths) == 0 && c.Gate.Policy.Dir != "" {
			paths = []string{house.Against(base, c.Gate.Policy.Dir)}
		}
	}
	zone, err := time.LoadLocation(cmp.Or(name, "Asia/Tokyo"))
	if err != nil {
		return act.Set{}, conf, usage{both("the time zone %s is unknown: use a name such as Asia/Tokyo", "時間帯 %s はない: Asia/Tokyo のように書く", name)}
	}
	conf.Zone = zone
	if len(paths) == 0 {
		set.Policies, set.Tables, err = act.Default()
	} else {
		set.Policies, set.Tables, err = policyFiles(paths)
	}
	return set, conf, err
}

// load reads a policy that is to be asked.
func (p *policyFlags) load(paths []string) (*act.Policy, *time.Location, error) {
	set, conf, err := p.read(paths)
	if err != nil {
		return nil, nil, err
	}
	policy, err := set.Load(conf)
	return policy, conf.Zone, inPolicy(err)
}

// inPolicy says an error about a policy in both languages.
func inPolicy(err error) error {
	if err == nil {
		return nil
	}
	ja := act.Japanese(err.Error())
	var mistakes act.Mistakes
	if errors.As(err, &mistakes) {
		lines := make([]string, len(mistakes))
		for i, m := range mistakes {
			lines[i] = m.In("ja")
		}
		ja = strings.Replace(err.Error(), mistakes.Error(), strings.Join(lines, "\n"), 1)
	}
	return &inBoth{en: err.Error(), ja: ja, cause: err}
}

// policyFiles reads what a person names: files, and directories of them. Tables
// of tests count if they lie beside.
func policyFiles(paths []string) (policies, tables []act.File, err error) {
	var dirs []string
	seen := map[string]bool{}
	read := func(name string, into *[]act.File) error {
		if seen[name] {
			return nil
		}
		seen[name] = true
		text, err := os.ReadFile(name)
		if err != nil {
			return both("reading a policy: %v", "規則を読めない: %v", err)
		}
		*into = append(*into, act.File{Name: name, Text: text})
		return nil
	}
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, nil, both("reading a policy: %v", "規則を読めない: %v", err)
		}
		if !info.IsDir() {
			dirs = append(dirs, filepath.Dir(path))
			into := &policies
			if filepath.Ext(path) == act.TableExt {
				into = &tables
			}
			if err := read(filepath.Clean(path), into); err != nil {
				return nil, nil, err
			}
			continue
		}
		dirs = append(dirs, path)
		names, err := filepath.Glob(filepath.Join(path, "*"+act.PolicyExt))
		if err != nil {
			return nil, nil, err
		}
		if len(names) == 0 {
			return nil, nil, both("%s holds no *%s: `sekisho policy init` writes the shipped ones to a new directory", "%s に *%s がない: 付属の規則は `sekisho policy init` で新しいディレクトリに書き出せる", path, act.PolicyExt)
		}
		for _, name := range names {
			if err := read(name, &policies); err != nil {
				return nil, nil, err
			}
		}
	}
	for _, dir := range dirs {
		names, err := filepath.Glob(filepath.Join(dir, "*"+act.TableExt))
		if err != nil {
			return nil, nil, err
		}
		for _, name := range names {
			if err := read(name, &tables); err != nil {
				return nil, nil, err
			}
		}
	}
	return policies, tables, nil
}

// policyReport is what a check found.
type policyReport struct {
	Policies int            `json:"policies"`
	Tests    int            `json:"tests"`
	Mistakes []act.Mistake  `json:"mistakes"`
	Failed   []failedPolicy `json:"failed"`
	Untested []string       `json:"untested"` // rules that no test names
	SHA256   string         `json:"sha256"`   // by which the ledger names it
}

type failedPolicy struct {
	File string `json:"file"`
	Line int    `json:"line"`
	Test string `json:"test"`
	Got  string `json:"got"`
}

func policyCheckCommand() *cobra.Command {
	var (
		flags  policyFlags
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "check [FILE or DIR]…",
		Short: "Read a policy, name every mistake in it, and run the tests beside it",
		Long: `Reads policies (*.cedar), checks every word in them, and runs the tables of
tests (*.tests) that lie beside them. Without a file it is the shipped policy.
With --config, roles, purposes and tables that the config does not know are
mistakes too: a rule about them would never match.
Exit code 3 means that a mistake was found, or that a test failed.`,
		Example: `  sekisho policy init policy
  sekisho policy check policy --config sekisho.yaml`,
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := checkPolicy(&flags, args)
			if err != nil {
				return err
			}
			if asJSON {
				if err := printJSON(cmd.OutOrStdout(), r); err != nil {
					return err
				}
			} else {
				r.print(cmd.OutOrStdout(), speak(cmd))
			}
			if n := len(r.Mistakes) + len(r.Failed); n > 0 {
				w := speak(cmd)
				return fmt.Errorf("%w: %s", errFound, w.Say("cmd.policy.found", w.Count("cmd.n.mistakes", uint64(len(r.Mistakes))), len(r.Failed), w.Count("cmd.n.tests", uint64(r.Tests))))
			}
			return nil
		},
	}
	flags.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the report as JSON")
	return cmd
}

func checkPolicy(flags *policyFlags, paths []string) (*policyReport, error) {
	set, conf, err := flags.read(paths)
	if err != nil {
		return nil, err
	}
	found, err := set.Check(conf)
	if err != nil {
		return nil, err
	}
	r := &policyReport{Mistakes: append([]act.Mistake{}, found.Mistakes...), Failed: []failedPolicy{}, Untested: []string{}, Tests: found.Tests, SHA256: fmt.Sprintf("%x", set.Sum())}
	for _, f := range found.Failed {
		r.Failed = append(r.Failed, failedPolicy{f.File, f.Line, f.Text, f.Got})
	}
	if found.Policy == nil {
		return r, nil
	}
	for _, id := range found.Policy.Rules() {
		r.Policies++
		if !found.Tested[id] {
			r.Untested = append(r.Untested, id)
		}
	}
	return r, nil
}

func (r *policyReport) print(w io.Writer, say *console.Teller) {
	for _, m := range r.Mistakes {
		fmt.Fprintln(w, m.In(say.Lang()))
	}
	for _, f := range r.Failed {
		fmt.Fprintf(w, "%s:%d: %s\n    %s\n", f.File, f.Line, f.Test, say.Say("cmd.policy.itis", f.Got))
	}
	if len(r.Mistakes) > 0 && r.Policies == 0 {
		return
	}
	line := func(what, text string) { fmt.Fprintf(w, "%s%s\n", console.Pad(say.Say("cmd.policy."+what), 10), text) }
	line("policies", strconv.Itoa(r.Policies))
	line("tests", say.Say("cmd.policy.tests.is", r.Tests, len(r.Failed)))
	line("sha256", r.SHA256)
	if len(r.Untested) > 0 {
		line("untested", say.Join(r.Untested, "answer.comma"))
	}
}

func policyExplainCommand() *cobra.Command {
	var (
		flags  policyFlags
		paths  []string
		asJSON bool
		lang   string
	)
	cmd := &cobra.Command{
		Use:   "explain REQUEST",
		Short: "Say what a policy decides about one request, and why",
		Long: `Decides one request, and names the rules that decided it and those that one
condition kept from deciding. The request is written as in the tables of tests:
a verb (read, insert, update, delete, export, other), categories, "verified" if
a certificate proves the terminal, and any of
  role= post= company= principal= endpoint= posture= place= address= purpose=
  tables= rows= at=2026-04-06T10:00
What is left out is unknown; the time is now.

With any_row it is about a statement that could be about anybody, by a role with
any_row: true, and says whether that runs: any_row alone of one that reads,
any_row and a verb that writes of one that writes too. Without categories it is
of all.`,
		Example: `  sekisho policy explain read identity travel_document role=call_centre \
      verified place=office purpose=support at=2026-04-06T10:00
  sekisho policy explain any_row role=analyst verified place=office purpose=statistics`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			policy, zone, err := flags.load(paths)
			if err != nil {
				return err
			}
			r := act.Request{Time: sekisho.At(time.Now())}
			anybody := false
			for _, arg := range args {
				for _, word := range strings.Fields(arg) {
					if word == anyRow {
						anybody = true
						continue
					}
					if err := r.Set(word, zone); err != nil {
						return usage{inPolicy(err)}
					}
				}
			}
			if anybody {
				return explainAnyRow(cmd.OutOrStdout(), policy, r, asJSON, lang)
			}
			if r.Verb == 0 {
				return usage{inPolicy(errors.New("a request begins with its verb: read, insert, update, delete, export or other"))}
			}
			e := policy.Explain(r)
			if asJSON {
				d := &e.Decision
				return printJSON(cmd.OutOrStdout(), map[string]any{
					"decision": d.String(), "effect": d.Effect.String(), "reason": d.Reason, "hint": d.Hint,
					"policies": append([]string{}, d.Policies...), "questions": e.Questions,
				})
			}
			printExplanation(cmd.OutOrStdout(), &e, lang)
			return nil
		},
	}
	flags.add(cmd)
	cmd.Flags().StringArrayVar(&paths, "policy", nil, "a file or directory of policies; may be given again; default: the shipped policy")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the explanation as JSON")
	takesLanguage(cmd.Flags(), &lang, "", "language: en or ja; default by LANG")
	return cmd
}

// explained are the words of an explanation. What a decision and a rule do keeps
// the words of the policy's language, in which the rule is written.
var explained = map[string]struct{ client, unevaluated, permitted, forbidden, does, none, near string }{
	"en": {
		"the client reads", "%s (%s:%d) cannot be evaluated: %s", "permitted by %s (%s:%d)", "forbidden by %s (%s:%d)",
		"%[4]s, says %[1]s (%[2]s:%[3]d)", "permitted by no rule", "nearly: %s (%s:%d) would %s, if it held that %s",
	},
	"ja": {
		"クライアントに表示される文", "%s（%s:%d）は評価できない: %s", "%s（%s:%d）が許可", "%s（%s:%d）が禁止",
		"%s（%s:%d）により %s", "許可する規則がない", "あと一歩: %s（%s:%d）は、%[5]s であれば %[4]s",
	},
}

// printExplanation says in one language what was decided. What the client reads
// is shown as it gets it, in both.
func printExplanation(w io.Writer, e *act.Explanation, lang string) {
	d, say := &e.Decision, explained[lang]
	line := func(format string, args ...any) { fmt.Fprintf(w, "  "+format+"\n", args...) }
	fmt.Fprintln(w, d)
	if d.Reason.En != "" {
		fmt.Fprintf(w, "\n%s\n  %s\n  %s\n", say.client, d.Reason.En, d.Reason.Ja)
	}
	if d.Hint.En != "" {
		fmt.Fprintf(w, "  %s\n  %s\n", d.Hint.En, d.Hint.Ja)
	}
	for _, q := range e.Questions {
		fmt.Fprintf(w, "\n%s %s\n", q.Verb, q.Category)
		permitted := false
		for _, g := range q.Deciding {
			permitted = permitted || g.Permit && g.Error == ""
			switch {
			case g.Error != "":
				line(say.unevaluated, g.ID, g.File, g.Line, g.Error)
			case g.Permit:
				line(say.permitted, g.ID, g.File, g.Line)
			case g.Does == "forbid":
				line(say.forbidden, g.ID, g.File, g.Line)
			default:
				line(say.does, g.ID, g.File, g.Line, g.Does)
			}
		}
		if !permitted {
			line(say.none)
		}
		for _, g := range q.Near {
			line(say.near, g.ID, g.File, g.Line, g.Does, g.But)
		}
	}
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
