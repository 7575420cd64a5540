package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"sekisho/console"
	"sekisho/directory"
	"sekisho/house"
)

func directoryCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "directory",
		Short: "Who works in the group, where and since when",
		Long: `Who works in the group, where and since when: companies, departments, posts and
people. A table of staff, a SCIM client and an LDAP server fill the same
directory; what differs from it becomes entries of the ledger.`,
	}
	cmd.AddCommand(directoryImport(), directoryPull(), directoryShow(), directoryErase(), directoryErasure())
	return cmd
}

func directoryImport() *cobra.Command {
	var path, data string
	var columns []string
	var asJSON, all bool
	ask := console.DirectoryImport{}
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Compare a table of staff with the directory, and record what differs",
		Long: `Compare a table of staff (CSV or tab-separated, in UTF-8 or Shift_JIS) with the
directory, and record what differs. One row is one posting: who has two posts
has two rows. Columns are found by their headings, in English and Japanese;
--map names the others. Who was in an earlier table of the same source and is
not in this one has left, unless a row could not be read, or --part is given.
Look at it with --dry-run first.

Fields: ` + strings.Join(house.DirectoryFields(), ", "),
		Example: `  sekisho directory import staff.csv --dry-run
  sekisho directory import staff.csv --map user=社員CD --map department=部門
  sekisho directory import april.csv --effective 2026-04-01`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ask.Columns = map[string]string{}
			for _, one := range columns {
				field, column, ok := strings.Cut(one, "=")
				if !ok || field == "" || column == "" {
					return usage{fmt.Errorf("--map %q: write FIELD=COLUMN, such as user=ログインID", one)}
				}
				ask.Columns[field] = column
			}
			var file io.Reader = cmd.InOrStdin()
			if args[0] != "-" {
				f, err := os.Open(args[0])
				if err != nil {
					return err
				}
				defer f.Close()
				file = f
			}
			return atHouse(cmd, path, data, func(ctx context.Context, c *house.Caller) error {
				p, err := c.ImportDirectory(ctx, ask, file)
				if err != nil {
					return err
				}
				return showDirectoryPlan(cmd.OutOrStdout(), &p, asJSON, all)
			})
		},
	}
	where(cmd, &path, &data)
	f := cmd.Flags()
	f.BoolVar(&ask.DryRun, "dry-run", false, "show what would be recorded, and record nothing")
	f.StringArrayVar(&columns, "map", nil, "FIELD=COLUMN: the column that holds a field")
	f.StringVar(&ask.Source, "source", "hr", "the name of the source: whose people this table lists")
	f.StringVar(&ask.Encoding, "encoding", "", "utf-8, shift_jis, …; otherwise it is judged")
	f.StringVar(&ask.Effective, "effective", "", "the day from which changes hold, such as 2026-04-01; otherwise now")
	f.BoolVar(&ask.Part, "part", false, "the table is a part of the source: nobody has left who is not in it")
	f.IntVar(&ask.Leavers, "leavers", 0, "so many may have left, although it looks like half a file")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	f.BoolVar(&all, "all", false, "print every line, not the first 50 of each kind")
	return cmd
}

// showDirectoryPlan prints what would change, and says so if it was refused.
func showDirectoryPlan(out io.Writer, p *console.DirectoryPlan, asJSON, all bool) error {
	if asJSON {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		if err := e.Encode(p); err != nil {
			return err
		}
	} else {
		printDirectoryPlan(out, p, all)
	}
	if p.Refusal != "" {
		return errors.New(p.Refusal)
	}
	return nil
}

func directoryPull() *cobra.Command {
	var path, data string
	var asJSON, all bool
	ask := console.DirectoryPullAsk{}
	cmd := &cobra.Command{
		Use:   "pull NAME",
		Short: "Read a directory server of the config now",
		Long: `Read a directory server of the config (directory.ldap, directory.pull) now, and
record what differs. sekisho does the same by itself every so often.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ask.Source = args[0]
			return atHouse(cmd, path, data, func(ctx context.Context, c *house.Caller) error {
				p, err := c.PullDirectory(ctx, ask)
				if err != nil {
					return err
				}
				return showDirectoryPlan(cmd.OutOrStdout(), &p, asJSON, all)
			})
		},
	}
	where(cmd, &path, &data)
	f := cmd.Flags()
	f.BoolVar(&ask.DryRun, "dry-run", false, "show what would be recorded, and record nothing")
	f.IntVar(&ask.Leavers, "leavers", 0, "so many may have left, although it looks like half of the people")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	f.BoolVar(&all, "all", false, "print every line, not the first 50 of each kind")
	return cmd
}

func printDirectoryPlan(out io.Writer, p *console.DirectoryPlan, all bool) {
	shown := func(list []directory.Change, action string) {
		n := 0
		for _, c := range list {
			if c.Action != action {
				continue
			}
			if n++; n > 50 && !all {
				continue
			}
			fmt.Fprintf(out, "%-8s %s%s%s%s\n", action, oneLine(c.User), oneLine(c.Unit), prefixed(": ", strings.Join(c.What, ", ")), prefixed("  ", c.Where))
		}
		if n > 50 && !all {
			fmt.Fprintf(out, "%-8s … and %s more (--all)\n", action, thousands(uint64(n-50)))
		}
	}
	for _, action := range []string{"opened", "changed", "closed"} {
		shown(p.Units, action)
	}
	for _, action := range []string{"joined", "returned", "changed", "left"} {
		shown(p.People, action)
	}
	for i, r := range p.Refused {
		if i == 50 && !all {
			fmt.Fprintf(out, "refused  … and %s more (--all)\n", thousands(uint64(len(p.Refused)-50)))
			break
		}
		fmt.Fprintf(out, "refused  %s: %s\n", r.Where, oneLine(r.Why))
	}
	did := "recorded"
	switch {
	case p.DryRun:
		did = "dry run, nothing is recorded"
	case !p.Recorded:
		did = "nothing is recorded"
	}
	fmt.Fprintf(out, "read %s, had %d: joined %d, changed %d, left %d, units %d, rows refused %d (%s)\n",
		people(int(p.Read)), p.Had, p.Joined, p.Changed, p.Left, len(p.Units), len(p.Refused), did)
	if len(p.Refused) > 0 && p.Left == 0 {
		fmt.Fprintln(out, "As rows were refused, nobody is taken for gone.")
	}
}

func directoryShow() *cobra.Command {
	var path, data, at string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Show the companies and departments, with how many work there",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return atHouse(cmd, path, data, func(ctx context.Context, c *house.Caller) error {
				p, err := c.Directory(ctx, url.QueryEscape(at))
				if err != nil {
					return err
				}
				out := cmd.OutOrStdout()
				if asJSON {
					e := json.NewEncoder(out)
					e.SetIndent("", "  ")
					return e.Encode(p)
				}
				printUnits(out, p.Tree, "")
				fmt.Fprintf(out, "the directory on %s: %s; companies %d, executives %d, agency staff %d, secondees %d, with concurrent posts %d, on leave %d\n",
					p.Day, people(int(p.People)), p.Companies, p.Executives, p.Agency, p.Secondees, p.Concurrent, p.Leave)
				return nil
			})
		},
	}
	where(cmd, &path, &data)
	cmd.Flags().StringVar(&at, "at", "", "on this day, such as 2026-04-01; otherwise today")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func printUnits(out io.Writer, list []*console.DirectoryUnit, indent string) {
	for _, u := range list {
		title := ""
		if u.Title != "" {
			title = " " + oneLine(u.Title)
		}
		fmt.Fprintf(out, "%s%s%s  %d\n", indent, oneLine(u.Key), title, u.People)
		printUnits(out, u.Below, indent+"  ")
	}
}
