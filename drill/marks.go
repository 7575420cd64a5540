package drill

import (
	_ "embed"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sekisho"
	"sekisho/console"
	"sekisho/disk"
	"sekisho/house"
	"sekisho/incident"
	"sekisho/ledger"
	"sekisho/sheet"
)

// What a case took then stands in a file, with sources. What it takes here is
// read from the drill's ledger.

//go:embed then.yaml
var thenYAML []byte

type then struct {
	Case    string `yaml:"case"`
	Began   public `yaml:"began"`
	Noticed public `yaml:"noticed"`
	Cut     public `yaml:"cut"`
	Counted public `yaml:"counted"`
	Told    public `yaml:"told"`
}

// public is a date of the public reports.
type public struct {
	At     string `yaml:"at"`
	Source Saying `yaml:"source"`
}

// compare lays beside each other what a case took then and here: noticed, cut
// off, counted, told. Its entries are those of the incident in the house's
// ledger.
func compare(h *house.House, scenario string, members int, number uint64, began time.Time) (*console.Compared, error) {
	var all []then
	if err := sheet.Read(thenYAML, &all); err != nil {
		return nil, fmt.Errorf("reading what the cases took then: %w", err)
	}
	i := slices.IndexFunc(all, func(t then) bool { return t.Case == scenario })
	if i < 0 {
		return nil, fmt.Errorf("nothing is written of what %s took then", scenario)
	}
	c := &console.Compared{Case: scenario, Members: members, Incident: number, Began: began.Format(time.RFC3339), BeganThen: all[i].Began.At, BeganSource: all[i].Began.Source.En, BeganSourceJa: all[i].Began.Source.Ja}
	days, err := daysThen(scenario)
	if err != nil {
		return nil, err
	}
	here, err := milestones(h, number, began)
	if err != nil {
		return nil, err
	}
	for _, row := range []struct {
		what string
		public
	}{{"noticed", all[i].Noticed}, {"cut", all[i].Cut}, {"counted", all[i].Counted}, {"told", all[i].Told}} {
		r := console.ComparedRow{What: row.what, Then: row.At, ThenDays: days[row.what], Source: row.Source.En, SourceJa: row.Source.Ja, Here: here[row.what]}
		c.Rows = append(c.Rows, r)
	}
	return c, nil
}

// daysThen is how many days each step of a real case took, from its first act;
// nothing of a case that is not written of.
func daysThen(scenario string) (map[string]int, error) {
	var all []then
	if err := sheet.Read(thenYAML, &all); err != nil {
		return nil, fmt.Errorf("reading what the cases took then: %w", err)
	}
	days := map[string]int{}
	for _, t := range all {
		if t.Case != scenario {
			continue
		}
		first, err := time.ParseInLocation(time.DateOnly, t.Began.At, japan)
		if err != nil {
			return nil, err
		}
		for what, p := range map[string]public{"noticed": t.Noticed, "cut": t.Cut, "counted": t.Counted, "told": t.Told} {
			at, err := time.ParseInLocation(time.DateOnly, p.At, japan)
			if err != nil {
				return nil, err
			}
			days[what] = int(at.Sub(first).Hours()/24 + 0.5)
		}
	}
	return days, nil
}

// milestones are the moments of an incident, as its ledger has them. noticed
// and counted count from the first act, cut from the approval of the order, and
// told from when a person last asked for the numbers.
func milestones(h *house.House, number uint64, began time.Time) (map[string]*console.Milestone, error) {
	out := map[string]*console.Milestone{}
	mark := func(what string, from, at sekisho.Time, entry uint64, by string) {
		if out[what] == nil {
			out[what] = &console.Milestone{At: at.Go().In(japan).Format(time.RFC3339), Seconds: float64(at-from) / 1e6, Entry: entry, By: by}
		}
	}
	start := sekisho.At(began)
	h.Views.Read(func() {
		one := h.Incidents.Get(number)
		if one == nil {
			return
		}
		alerts := slices.Clone(one.Alerts)
		slices.SortFunc(alerts, func(a, b incident.Alert) int { return int(int64(a.Seq) - int64(b.Seq)) })
		for _, a := range alerts {
			if a.At >= start {
				mark("noticed", start, a.At, a.Seq, a.Body.Detector)
			}
		}
		// The first revision with which the count of the suspected stood.
		n := len(one.Revisions)
		for n > 0 && one.Revisions[n-1].Body.Suspected == one.Revisions[len(one.Revisions)-1].Body.Suspected {
			n--
		}
		if n < len(one.Revisions) && one.Revisions[n].Body.Suspected > 0 {
			mark("counted", start, one.Revisions[n].At, one.Revisions[n].Seq, "")
		}
	})
	var asked sekisho.Time
	approved := map[uint64]sekisho.Time{}
	hands := map[uint64][]string{}
	for e, err := range ledger.Read(disk.OS{}, filepath.Join(h.Config.Data, "ledger"), 1) {
		if err != nil {
			return nil, err
		}
		if personAsked(&e, number) {
			asked = e.Time
		}
		switch b := e.Body.(type) {
		case *sekisho.ContainmentProposed:
			if b.Incident == number {
				hands[e.ID.Seq] = slices.Clone(b.Hands)
			}
		case *sekisho.ContainmentDecided:
			if b.Action == "approved" || b.Action == "broken_glass" {
				approved[b.Order] = e.Time
			}
		case *sekisho.ContainmentReported:
			for _, order := range b.Orders {
				waiting, ours := hands[order]
				if !ours || approved[order] == 0 || b.State != "applied" {
					continue
				}
				hands[order] = slices.DeleteFunc(waiting, func(name string) bool { return name == b.Hand })
				if len(hands[order]) == 0 {
					mark("cut", approved[order], e.Time, e.ID.Seq, b.Hand)
				}
			}
		case *sekisho.TextWritten:
			if b.Incident == number && asked != 0 {
				mark("told", asked, e.Time, e.ID.Seq, b.Form)
			}
		}
	}
	return out, nil
}

// Table writes what the cases took then and take here, for people to read.
func Table(out io.Writer, w *console.Teller, cases []*console.Compared) {
	pad := func(s string, n int) string { return console.Pad(s, n) }
	fmt.Fprintf(out, "%s\n", w.Say("then.head"))
	for _, c := range cases {
		fmt.Fprintf(out, "\n  %s\n", w.Say("then.case", c.Case, thousands(uint64(c.Members)), c.BeganThen))
		fmt.Fprintf(out, "    %s%s%s\n", pad("", 14), pad(w.Say("then.then"), 34), w.Say("then.here"))
		for _, r := range c.Rows {
			fmt.Fprintf(out, "    %s%s%s\n", pad(w.Say("then."+r.What), 14), pad(w.Say("then.days", r.Then, r.ThenDays), 34), c.Tell(w, r))
		}
	}
	fmt.Fprintf(out, "\n%s\n", strings.TrimSpace(w.Say("then.what")))
}
