package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sekisho"
	"sekisho/survey"
)

func initCommand() *cobra.Command {
	var look lookAt
	cmd := &cobra.Command{
		Use:   "init postgres://user@host:5432/database",
		Short: "Look at a database, and propose a config that says whose data is where",
		Long: `Looks at the tables, types, comments and foreign keys of a database, and at a
sample of its values, and writes a commented sekisho.yaml: who the people are,
which tables lead to them, what each column holds, each guess with its confidence
and its reasons. The gate in it stands in observe mode. The shipped policy is written to the
directory policy beside it, if there is none.

It only reads, a bounded sample of each table with a time limit for each
statement, in transactions that cannot write. No value is printed, logged or
written. A column of which it is not sure stays unclassified, which protects it,
and is listed as a question.

What the connection string does not say comes from the environment, the password
file and the service file, as with psql: PGPASSWORD, ~/.pgpass, PGSERVICE. Never
give a password as an argument: others on the machine can read it.`,
		Example: `  PGPASSWORD=… sekisho init postgres://owner@db.example.internal/crm
  sekisho init "service=crm" --out crm.yaml --lang ja`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				look.dsn = args[0]
			}
			return look.run(cmd.Context(), cmd.OutOrStdout())
		},
	}
	f := cmd.Flags()
	f.StringVar(&look.out, "out", "sekisho.yaml", "the file to write; - is standard output")
	f.BoolVar(&look.force, "force", false, "replace the file if it is there")
	f.BoolVar(&look.asJSON, "json", false, "print the proposal as JSON, and write no file")
	f.IntVar(&look.limits.Rows, "rows", 1000, "rows to look at in each table, at most")
	f.DurationVar(&look.limits.Timeout, "timeout", 5*time.Second, "of each statement")
	takesLanguage(f, &look.lang, "", "language of comments and summary: en or ja; default by LANG")
	return cmd
}

type lookAt struct {
	dsn, out, lang string
	force, asJSON  bool
	limits         survey.Limits
}

func (l *lookAt) run(ctx context.Context, out io.Writer) error {
	w, err := survey.Speak(l.lang)
	if err != nil {
		return err
	}
	toFile := !l.asJSON && l.out != "-"
	if toFile && !l.force {
		// Before the work. The write below refuses again.
		if _, err := os.Lstat(l.out); err == nil {
			return usage{fmt.Errorf("%s is there already: name another file with --out, or replace it with --force", l.out)}
		}
	}
	if survey.HasPassword(l.dsn) {
		fmt.Fprintln(os.Stderr, w.Say("init.password"))
	}
	db, err := survey.Connect(ctx, l.dsn, l.limits.Timeout)
	if err != nil {
		if of := survey.Hindrance(err); of != "" {
			return fmt.Errorf("%w\n%s", err, w.Say("init.cannot."+of))
		}
		return err
	}
	defer db.Close()
	bar := newBar(os.Stderr, "sampling")
	schema, err := survey.Look(ctx, db.Query, l.limits, func(done, total int) { bar.set(int64(done), int64(total)) })
	bar.done()
	if err != nil {
		return err
	}
	plan := schema.Propose()
	report := plan.Report(w)
	if l.asJSON {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return e.Encode(report)
	}
	var text bytes.Buffer
	if err := plan.Write(&text, db.Where(), w); err != nil {
		return err
	}
	if !toFile {
		_, err := out.Write(text.Bytes())
		return err
	}
	if err := writeNew(l.out, text.Bytes(), l.force); err != nil {
		return err
	}
	if err := keepPolicy(filepath.Join(filepath.Dir(l.out), survey.PolicyDir)); err != nil {
		return err
	}
	printSummary(out, report, db.Where().Database, l.out, w)
	return nil
}

// tongue is what --lang takes.
type tongue string

func (t *tongue) String() string { return string(*t) }
func (t *tongue) Type() string   { return "string" }

func (t *tongue) Set(s string) error {
	if s != "en" && s != "ja" {
		return errors.New("use en or ja")
	}
	*t = tongue(s)
	return nil
}

// takesLanguage gives a command the flag --lang, which is otherwise so, or what the
// environment says.
func takesLanguage(f *pflag.FlagSet, into *string, otherwise, usage string) {
	f.Var((*tongue)(into), "lang", usage)
	*into = language(otherwise)
}

// language is what was asked for, else what the environment says, as other programs
// read it (locale(7)).
func language(asked string) string {
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if asked == "" {
			asked = os.Getenv(name)
		}
	}
	if asked == "ja" || strings.HasPrefix(asked, "ja_") || strings.HasPrefix(asked, "ja.") {
		return "ja"
	}
	return "en"
}

// writeNew writes a file that is not there, or with force replaces it whole.
func writeNew(name string, text []byte, force bool) error {
	if force {
		fresh := name + ".new"
		if err := os.WriteFile(fresh, text, 0o600); err != nil {
			return fmt.Errorf("writing the config: %w", err)
		}
		if err := os.Rename(fresh, name); err != nil {
			return errors.Join(fmt.Errorf("replacing the config: %w", err), os.Remove(fresh))
		}
		return nil
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return usage{fmt.Errorf("%s is there already: name another file with --out, or replace it with --force", name)}
	}
	if err != nil {
		return fmt.Errorf("writing the config: %w", err)
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("writing the config: %w", err)
	}
	return nil
}

func printSummary(out io.Writer, r survey.Report, database, file string, w *survey.Words) {
	say := func(key string, args ...any) { fmt.Fprintln(out, w.Say(key, args...)) }
	say("init.looked", r.Looked, database, r.Sampled)
	if len(r.Subjects) == 0 {
		say("init.nobody")
		if r.Looked == 0 {
			say("init.empty")
		}
	} else {
		var people []string
		for _, s := range r.Subjects {
			people = append(people, fmt.Sprintf("%s (%s.%s)", s.Name, s.Table, s.Key))
		}
		say("init.subjects", strings.Join(people, ", "))
	}
	say("init.protect", len(r.Tables), r.Classified, r.Questions)
	if r.Questions > 0 {
		say("init.ask")
		for _, t := range r.Tables {
			for _, c := range t.Columns {
				if c.Category == sekisho.Unclassified.String() {
					fmt.Fprintf(out, "            %s.%s\n", t.Name, c.Name)
				}
			}
		}
	}
	for _, l := range r.Loose {
		say("init.loose", l.Table, l.Reason)
	}
	for _, s := range r.Skipped {
		say("init.skipped", s.Table, w.Say("skip."+s.Reason))
	}
	say("init.wrote", file)
	say("init.next", file)
}
