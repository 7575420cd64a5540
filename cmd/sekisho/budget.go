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
				printBudgets(cmd.OutOrStdout(), &p, top, c.Zone, speak(cmd))
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
func printChannel(out io.Writer, p *console.BudgetsPage, zone *time.Location, w *console.Teller) {
	say := func(key string, args ...any) { fmt.Fprintln(out, w.Say("cmd.budget."+key, args...)) }
	if left := p.Channel.Left; left != nil {
		say("left", w.Count("n.customers", left.Customers), moment(left.Frees, zone))
	}
	switch c := p.Channel; {
	case c.From != nil && c.From.Error != "":
		say("unreached", c.From.Number, oneLine(c.From.Name), oneLine(c.From.Address), oneLine(c.From.Error))
	case c.From != nil:
		say("reached", c.From.Number, oneLine(c.From.Name), oneLine(c.From.Address), moment(c.From.Reached, zone))
	case len(c.Gates) > 0:
		for _, g := range c.Gates {
			asked := w.Say("cmd.budget.unasked")
			if g.Asked != 0 {
				asked = w.Say("cmd.budget.asked", moment(g.Asked, zone))
			}
			say("gate", g.Number, oneLine(g.Name), asked)
		}
		say("overshoot", c.Margin, w.Count("n.customers", p.Fault))
	}
}

func printBudgets(out io.Writer, p *console.BudgetsPage, top int, zone *time.Location, w *console.Teller) {
	printChannel(out, p, zone, w)
	if len(p.Budgets) == 0 {
		fmt.Fprintln(out, w.Say("cmd.budget.none"))
		return
	}
	if len(p.Uses) == 0 {
		fmt.Fprintln(out, w.Say("cmd.budget.unused"))
		return
	}
	printUses(out, p, top, zone, w)
}

func printUses(out io.Writer, p *console.BudgetsPage, top int, zone *time.Location, w *console.Teller) {
	for i, u := range p.Uses {
		if i == top {
			fmt.Fprintln(out, w.Say("cmd.more", thousands(uint64(len(p.Uses)-top+p.More))))
			break
		}
		used := thousands(u.Used)
		if u.AtLeast {
			used = "≥" + used
		}
		line := w.Say("cmd.budget.use", console.Pad(oneLine(u.Budget), 20), console.Pad(holderText(w, u.Name, u.Holder, u.For, u.Subject), 32), used, thousands(u.Customers), u.Percent, u.Within)
		switch u.State {
		case "near":
			line += "  " + w.Say("cmd.budget.near")
		case "ended":
			line += "  " + w.Say("cmd.budget.ended", moment(u.Frees, zone))
		}
		if u.Taken != nil && u.Taken.Ended {
			line += "  " + w.Say("cmd.budget.shareended", thousands(u.Taken.Share))
		} else if u.Taken != nil {
			line += "  " + w.Say("cmd.budget.share", thousands(u.Taken.Share), moment(u.Taken.Until, zone))
		}
		for _, l := range u.Lent {
			line += "  " + w.Say("cmd.budget.lent", l.Gate, thousands(l.Share), thousands(l.Used))
			if l.Lapsed {
				line += w.Say("cmd.budget.lapsed")
			}
		}
		if u.Lapses != 0 {
			line += w.Say("cmd.budget.lapses", moment(u.Lapses, zone))
		}
		fmt.Fprintln(out, line)
	}
}

// holderText is who a budget counts.
func holderText(w *console.Teller, name string, h budget.Holder, purpose, subject string) string {
	var parts []string
	if h.Principal != 0 {
		parts = append(parts, cmp.Or(oneLine(name), w.Say("cmd.principal", h.Principal)))
	}
	for _, s := range []string{h.Endpoint, h.Role} {
		if s != "" {
			parts = append(parts, oneLine(s))
		}
	}
	if h.Purpose != 0 {
		parts = append(parts, cmp.Or(oneLine(purpose), w.Say("cmd.purpose", h.Purpose)))
	}
	if len(parts) == 0 {
		parts = []string{w.Say("cmd.everybody")}
	}
	return w.Say("cmd.budget.holder", strings.Join(parts, " "), subject)
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
				return usage{both("%s has no budgets: docs/budgets.md shows how they are written", "%s に予算がない: 書き方は docs/budgets.md", path)}
			}
			if err := c.Budgets.Check(); err != nil {
				return err
			}
			zone, err := time.LoadLocation(cmp.Or(zoneName, c.TimeZone, "Asia/Tokyo"))
			if err != nil {
				return usage{both("--time-zone %s is unknown: use a name such as Asia/Tokyo", "--time-zone %s という時間帯はない: Asia/Tokyo のように書く", zoneName)}
			}
			if data == "" {
				if c.Data == "" {
					return usage{both("name the ledger with --ledger: the config has no data directory", "--ledger で台帳を指定する: 設定にデータディレクトリがない")}
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
			r.print(cmd.OutOrStdout(), top, zone, speak(cmd))
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

// per says by what a budget counts, in words.
func per(w *console.Teller, by []string) (list []string) {
	for _, one := range by {
		list = append(list, w.Code("cmd.per", one))
	}
	return list
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
		return nobody, none, both("the vault's key is needed to know principals and purposes by name: %v", "主体と目的の名前を知るには保管庫の鍵が要る: %v", err)
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
			return nil, both("replaying the ledger: stopped after entry %v: %v", "台帳の再生: エントリ %v の後で中断: %v", e.ID, ctx.Err())
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

func (r *budgetReport) print(out io.Writer, top int, zone *time.Location, w *console.Teller) {
	say := func(before, key string, args ...any) {
		fmt.Fprintln(out, before+w.Say("cmd.budget."+key, args...))
	}
	if len(r.Holders) == 0 {
		say("", "sim.nobody")
		return
	}
	say("", "sim.span", moment(r.From, zone), moment(r.To, zone))
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
		say("\n", "sim.budget", oneLine(b.Name), w.Count("cmd.n.different", uint64(b.Customers)), b.Within, w.Join(per(w, b.Per), "cmd.and"))
		if len(of) == 0 {
			say("  ", "sim.unused")
			continue
		}
		slices.Sort(most)
		share := func(percent int) string { return thousands(most[(len(most)*percent+99)/100-1]) }
		say("  ", "sim.cut", w.Count("cmd.n.holders", uint64(len(of))), thousands(uint64(cut)), w.Count("cmd.n.statements", statements))
		say("  ", "sim.shares", share(50), share(90), share(99), share(100))
		for i, h := range of {
			if i == top {
				fmt.Fprintln(out, "  "+w.Say("cmd.more", thousands(uint64(len(of)-top))))
				break
			}
			line := "  " + w.Say("cmd.budget.sim.holder", console.Pad(holderText(w, h.Name, h.Holder, h.For, h.Subject), 40), thousands(h.Most), moment(h.MostAt, zone))
			if h.Cut > 0 {
				line += w.Say("cmd.budget.sim.holdercut", w.Count("cmd.n.statements", h.Cut), moment(h.First, zone), moment(h.Last, zone))
			}
			fmt.Fprintln(out, line)
		}
	}
	if r.unnamed {
		fmt.Fprintf(out, "\n%s\n  - %s\n", w.Say("cmd.notknown"), w.Say("cmd.note.unnamed"))
	}
}
