package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sekisho"
	"sekisho/budget"
	"sekisho/console"
	"sekisho/disk"
	"sekisho/house"
	"sekisho/ledger"
	"sekisho/vault"
)

func budgetCommand() *cobra.Command {
	var (
		path, data string
		top        int
		asJSON     bool
	)
	cmd := &cobra.Command{
		Use:   "budget",
		Short: "Who has used how much of which budget of customers",
		Long: `Lists what the running sekisho has counted: for each budget of the config and
each that it counts by, how many different customers were read within its time.
The largest shares come first.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return atHouse(cmd, path, data, func(ctx context.Context, c *house.Caller) error {
				p, err := c.Budgets(ctx)
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(cmd.OutOrStdout(), p)
				}
				printBudgets(cmd.OutOrStdout(), &p, top, c.Zone)
				return nil
			})
		},
	}
	where(cmd, &path, &data)
	cmd.Flags().IntVar(&top, "top", 20, "how many lines")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the answer as JSON")
	cmd.AddCommand(budgetSimulateCommand())
	return cmd
}

// printChannel says with whom the budgets are shared, and what that could cost.
func printChannel(out io.Writer, p *console.BudgetsPage, zone *time.Location) {
	if left := p.Channel.Left; left != nil {
		fmt.Fprintf(out, "this house grants no shares of its budgets any more; other gates hold %s still, which count until they have run out and a window has passed: %s\n", counted(int(left.Customers), "customer"), moment(left.Frees, zone))
	}
	switch c := p.Channel; {
	case c.From != nil && c.From.Error != "":
		fmt.Fprintf(out, "gate %d (%s, %s) grants the shares of this one, and is not reached: %s\n", c.From.Number, oneLine(c.From.Name), oneLine(c.From.Address), oneLine(c.From.Error))
	case c.From != nil:
		fmt.Fprintf(out, "gate %d (%s, %s) grants the shares of this one, and answered at %s\n", c.From.Number, oneLine(c.From.Name), oneLine(c.From.Address), moment(c.From.Reached, zone))
	case len(c.Gates) > 0:
		for _, g := range c.Gates {
			asked := "has not asked since sekisho began"
			if g.Asked != 0 {
				asked = "asked at " + moment(g.Asked, zone)
			}
			fmt.Fprintf(out, "gate %d (%s) has shares of these budgets; it %s\n", g.Number, oneLine(g.Name), asked)
		}
		fmt.Fprintf(out, "greatest overshoot: 0; if a gate spends a share that has ended (its clocks or its process stand still for more than %s), at most %s: the shares of all others\n", c.Margin, counted(int(p.Fault), "customer"))
	}
}

func printBudgets(out io.Writer, p *console.BudgetsPage, top int, zone *time.Location) {
	printChannel(out, p, zone)
	if len(p.Budgets) == 0 {
		fmt.Fprintln(out, "the config has no budgets (docs/budgets.md)")
		return
	}
	if len(p.Uses) == 0 {
		fmt.Fprintln(out, "nobody has read a customer under a budget within its time")
		return
	}
	printUses(out, p, top, zone)
}

func printUses(out io.Writer, p *console.BudgetsPage, top int, zone *time.Location) {
	for i, u := range p.Uses {
		if i == top {
			fmt.Fprintf(out, "and %s more\n", thousands(uint64(len(p.Uses)-top+p.More)))
			break
		}
		used := thousands(u.Used)
		if u.AtLeast {
			used = "≥" + used
		}
		line := fmt.Sprintf("%-20s %-32s %9s of %-9s %4d%%  within %-5s", oneLine(u.Budget), holderText(u.Name, u.Holder, u.For, u.Subject), used, thousands(u.Customers), u.Percent, u.Within)
		switch u.State {
		case "near":
			line += "  nearly used"
		case "ended":
			line += "  used up; room again from " + moment(u.Frees, zone)
		}
		if u.Taken != nil && u.Taken.Ended {
			line += fmt.Sprintf("  share of %s, which has ended", thousands(u.Taken.Share))
		} else if u.Taken != nil {
			line += fmt.Sprintf("  share of %s until %s", thousands(u.Taken.Share), moment(u.Taken.Until, zone))
		}
		for _, l := range u.Lent {
			line += fmt.Sprintf("  gate %d: %s, of which %s used", l.Gate, thousands(l.Share), thousands(l.Used))
			if l.Lapsed {
				line += ", lapsed"
			}
		}
		if u.Lapses != 0 {
			line += "; counts until " + moment(u.Lapses, zone)
		}
		fmt.Fprintln(out, line)
	}
}

// holderText is who a budget counts.
func holderText(name string, h budget.Holder, purpose, subject string) string {
	var parts []string
	if h.Principal != 0 {
		parts = append(parts, cmp.Or(oneLine(name), fmt.Sprintf("principal %d", h.Principal)))
	}
	for _, s := range []string{h.Endpoint, h.Role} {
		if s != "" {
			parts = append(parts, oneLine(s))
		}
	}
	if h.Purpose != 0 {
		parts = append(parts, cmp.Or(oneLine(purpose), fmt.Sprintf("purpose %d", h.Purpose)))
	}
	if len(parts) == 0 {
		parts = []string{"everybody"}
	}
	return strings.Join(parts, " ") + " (" + subject + ")"
}

func budgetSimulateCommand() *cobra.Command {
	var (
		path, data   string
		since, until string
		zoneName     string
		top          int
		names        bool
		asJSON       bool
	)
	cmd := &cobra.Command{
		Use:   "simulate --config FILE --ledger DIR",
		Short: "Replay a ledger under other budgets: who would have been cut, when",
		Long: `Replays the accesses of a ledger under the budgets of a config, which need not
be the one that is in force: a file with nothing but the list "budgets" will do.
It says for each holder how many different customers were read within the time at
most, and how many statements would have been cut from when on. So numbers can
be chosen before they are enforced.

The ledger may belong to a running sekisho: it is only read. Each budget is tried
as if it were the only one. What it would have cut is taken for not read; the
rest of the past stays as it was. Every access
counts as enforced, whatever the mode was. The vault is read to know principals
and purposes by name; principals that do not stand in the config are printed as
numbers unless --vault says that they may be named.`,
		Example: `  sekisho budget simulate --config proposed.yaml --ledger /var/lib/sekisho --since 2026-03-01`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, base, err := readConfig(path)
			if err != nil {
				return err
			}
			if len(c.Budgets) == 0 {
				return usage{fmt.Errorf("%s has no budgets: docs/budgets.md shows how they are written", path)}
			}
			if err := c.Budgets.Check(); err != nil {
				return err
			}
			zone, err := time.LoadLocation(cmp.Or(zoneName, c.TimeZone, "Asia/Tokyo"))
			if err != nil {
				return usage{fmt.Errorf("--time-zone %s is unknown: use a name such as Asia/Tokyo", zoneName)}
			}
			if data == "" {
				if c.Data == "" {
					return usage{errors.New("name the ledger with --ledger: the config has no data directory")}
				}
				data = house.Against(base, c.Data)
			}
			dir, err := ledgerAt(data)
			if err != nil {
				return err
			}
			from, err := timeFlag("--since", since, zone)
			if err != nil {
				return err
			}
			end, err := timeFlag("--until", until, zone)
			if err != nil {
				return err
			}
			named, close, err := namesOf(dir)
			if err != nil && (names || selectsByName(c.Budgets)) {
				return err
			}
			defer close()
			r, err := simulateBudgets(cmd.Context(), dir, c.Budgets, from, end, named)
			if err != nil {
				return err
			}
			for i := range r.Holders {
				h := &r.Holders[i]
				if name := named("staff", h.Principal); names || inConfig(&c.Gate, name) {
					h.Name = name
				}
				if names {
					h.For = named("purpose", h.Purpose)
				}
				r.unnamed = r.unnamed || h.Principal != 0 && h.Name == "" || h.Purpose != 0 && h.For == ""
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), r)
			}
			r.print(cmd.OutOrStdout(), top, zone)
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&path, "config", "sekisho.yaml", "a config with the budgets to try")
	f.StringVar(&data, "ledger", "", "the data directory, or the ledger in it; default: the config's")
	f.StringVar(&since, "since", "", "report from then on: a date, or a date and time; what was read before counts")
	f.StringVar(&until, "until", "", "end of the window, itself outside it")
	f.StringVar(&zoneName, "time-zone", "", "of the dates; default: the config's, or Asia/Tokyo")
	f.IntVar(&top, "top", 10, "how many holders of each budget to list")
	f.BoolVar(&names, "vault", false, "name the principals and purposes, from the vault")
	f.BoolVar(&asJSON, "json", false, "print the result as JSON")
	return cmd
}

// selectsByName: the vault is needed to know to whom a budget applies.
func selectsByName(c budget.Config) bool {
	return slices.ContainsFunc(c, func(b budget.Budget) bool { return len(b.Who.Principals)+len(b.Who.Purposes) > 0 })
}

// namesOf opens the vault for reading. The function gives "" for what it does
// not know; it and close are never nil.
func namesOf(dir string) (name func(space string, ordinal uint32) string, close func(), err error) {
	nobody, none := func(string, uint32) string { return "" }, func() {}
	file := filepath.Join(dir, "vault.key")
	if _, err := os.Stat(file); err != nil {
		return nobody, none, fmt.Errorf("the vault's key is needed to know principals and purposes by name: %w", err)
	}
	key, err := vault.LoadOrMakeKey(file)
	if err != nil {
		return nobody, none, err
	}
	v, err := vault.Open(vault.Config{Dir: filepath.Join(dir, "vault"), FS: disk.OS{}, Key: key, ReadOnly: true})
	if err != nil {
		return nobody, none, err
	}
	return func(space string, ordinal uint32) string {
		name, _ := v.Space(space).Key(ordinal)
		return name
	}, func() { v.Close() }, nil
}

// A budgetReport is what a simulation found.
type budgetReport struct {
	From    sekisho.Time   `json:"from"`
	To      sekisho.Time   `json:"to"`
	Holders []budgetHolder `json:"holders"`

	budgets budget.Config
	unnamed bool // somebody is a number
}

type budgetHolder struct {
	budget.Simulated
	Name string `json:"name,omitempty"`
	For  string `json:"for_purpose,omitempty"`
}

func simulateBudgets(ctx context.Context, dir string, c budget.Config, since, until sekisho.Time, name func(string, uint32) string) (*budgetReport, error) {
	s := budget.NewSimulation(c, since, name)
	r := &budgetReport{From: since, Holders: []budgetHolder{}, budgets: c}
	bar := newBar(os.Stderr, "replaying")
	defer bar.done()
	end, begin := sekisho.At(time.Now()), sekisho.Time(0)
	if until != 0 {
		end = min(end, until)
	}
	for e, err := range ledger.Read(disk.OS{}, filepath.Join(dir, "ledger"), 1) {
		if err != nil && !errors.Is(err, sekisho.ErrUnknownKind) {
			return nil, err
		}
		if begin == 0 {
			begin = e.Time
			r.From = max(since, begin)
		}
		if until != 0 && e.Time >= until {
			break
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("replaying the ledger: stopped after entry %v: %w", e.ID, ctx.Err())
		}
		bar.set(int64(e.Time-begin), int64(end-begin))
		if r.To = e.Time; e.Body != nil {
			s.Apply(&e)
		}
	}
	for _, one := range s.Report() {
		r.Holders = append(r.Holders, budgetHolder{Simulated: one})
	}
	return r, nil
}

func (r *budgetReport) print(out io.Writer, top int, zone *time.Location) {
	if len(r.Holders) == 0 {
		fmt.Fprintln(out, "nobody has read a customer under these budgets in that time")
		return
	}
	fmt.Fprintf(out, "from %s to %s\n", moment(r.From, zone), moment(r.To, zone))
	for _, b := range r.budgets {
		var of []budgetHolder
		var most []uint64
		cut, statements := 0, uint64(0)
		for _, h := range r.Holders {
			if h.Budget == b.Name {
				of, most = append(of, h), append(most, h.Most)
				cut += int(min(h.Cut, 1))
				statements += h.Cut
			}
		}
		fmt.Fprintf(out, "\n%s: %s different customers within %s, per %s\n", oneLine(b.Name), thousands(uint64(b.Customers)), b.Within, strings.Join(b.Per, " and "))
		if len(of) == 0 {
			fmt.Fprintln(out, "  applied to nobody")
			continue
		}
		slices.Sort(most)
		share := func(percent int) string { return thousands(most[(len(most)*percent+99)/100-1]) }
		fmt.Fprintf(out, "  %s holders; %s of them would have been cut, in %s statements\n", thousands(uint64(len(of))), thousands(uint64(cut)), thousands(statements))
		fmt.Fprintf(out, "  used at most: half of them %s or less, 9 in 10 %s, 99 in 100 %s, all %s\n", share(50), share(90), share(99), share(100))
		for i, h := range of {
			if i == top {
				fmt.Fprintf(out, "  and %s more\n", thousands(uint64(len(of)-top)))
				break
			}
			line := fmt.Sprintf("  %-40s %9s on %s", holderText(h.Name, h.Holder, h.For, h.Subject), thousands(h.Most), moment(h.MostAt, zone))
			if h.Cut > 0 {
				line += fmt.Sprintf("; %s statements cut, from %s to %s", thousands(h.Cut), moment(h.First, zone), moment(h.Last, zone))
			}
			fmt.Fprintln(out, line)
		}
	}
	if r.unnamed {
		fmt.Fprintf(out, "\nnot known here\n  - %s\n", unnamedNote)
	}
}
