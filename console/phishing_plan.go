package console

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"sekisho"
	"sekisho/tell"
)

// What a campaign would be, before anything goes out.

// A PhishingAsk proposes a campaign, or asks what it would be.
type PhishingAsk struct {
	Title  string   `json:"title"`
	Lures  []string `json:"lures"`
	Units  []string `json:"units,omitempty"` // keys of units, such as department/0001/sales
	From   string   `json:"from"`            // 2026-11-30 or 2026-11-30 09:00
	Until  string   `json:"until"`
	Opens  string   `json:"opens"`
	Closes string   `json:"closes"`
	Days   []int    `json:"days,omitempty"`
	Reason string   `json:"reason"`
	Seed   uint64   `json:"seed,omitempty"` // of a dry run: the same campaign
	DryRun bool     `json:"dry_run,omitempty"`
}

// A PhishingTurn is one person's part of a plan.
type PhishingTurn struct {
	Person string       `json:"person"`
	Lure   string       `json:"lure"`
	At     sekisho.Time `json:"at"`
}

// A PhishingPlanPage is what a campaign would be.
type PhishingPlanPage struct {
	Ask      PhishingAsk    `json:"ask"`
	People   int            `json:"people"`
	Listed   int            `json:"listed"`
	Excluded map[string]int `json:"excluded"`
	Lures    []PlannedLure  `json:"lures"`
	Days     []PlannedDay   `json:"days"`
	Turns    []PhishingTurn `json:"turns"` // the first of them on the page, all in JSON
	More     int            `json:"-"`
	Minutes  int            `json:"minutes_at_least"`
	Hours    string         `json:"-"`
}

// A PlannedLure is how many get one lure, and how it looks.
type PlannedLure struct {
	LureLine
	People int         `json:"people"`
	Letter tell.Letter `json:"-"`
}

// A PlannedDay is how many are written to on one day.
type PlannedDay struct {
	Day    sekisho.Time `json:"day"`
	People int          `json:"people"`
}

func (*PhishingPlanPage) file() string { return "phishing_plan" }

// lureAsk reads what somebody wants to send.
func (c *Console) lureAsk(a PhishingAsk) (ask tell.LureAsk, err error) {
	ask = tell.LureAsk{Title: a.Title, Lures: a.Lures, Opens: a.Opens, Closes: a.Closes, Days: a.Days, Reason: a.Reason, Seed: a.Seed}
	for _, one := range []struct {
		text string
		into *time.Time
	}{{a.From, &ask.From}, {a.Until, &ask.Until}} {
		ok := false
		for _, layout := range []string{"2006-01-02", "2006-01-02 15:04", "2006-01-02T15:04", time.RFC3339} {
			if t, err := time.ParseInLocation(layout, strings.TrimSpace(one.text), c.cfg.Zone); err == nil {
				*one.into, ok = t, true
				break
			}
		}
		if !ok {
			return ask, fail(http.StatusBadRequest, "tell_lure_window")
		}
	}
	for _, key := range a.Units {
		u, ok := c.cfg.Vault.Space("unit").Find(key)
		if !ok {
			return ask, fail(http.StatusBadRequest, "phishing_unit", key)
		}
		ask.Units = append(ask.Units, u)
	}
	return ask, nil
}

const shownTurns = 100

func (c *Console) planPhishing(a PhishingAsk) (*PhishingPlanPage, error) {
	l, err := c.lures()
	if err != nil {
		return nil, err
	}
	ask, err := c.lureAsk(a)
	if err != nil {
		return nil, err
	}
	plan, err := l.Plan(ask)
	if err != nil {
		return nil, phishingError(err)
	}
	a.Seed, a.Opens, a.Closes, a.Days = plan.Ask.Seed, plan.Ask.Opens, plan.Ask.Closes, plan.Ask.Days
	p := &PhishingPlanPage{Ask: a, People: len(plan.Turns), Listed: plan.Listed, Excluded: plan.Excluded, Minutes: int(plan.Takes.Minutes()) + 1}
	for _, v := range plan.Lures {
		p.Lures = append(p.Lures, PlannedLure{LureLine: lureLine(v.Lure, v.Language), Letter: l.Preview(v.Lure, v.Language)})
	}
	days := map[sekisho.Time]int{}
	for _, t := range plan.Turns {
		p.Lures[t.Lure].People++
		y, m, d := t.At.Go().In(c.cfg.Zone).Date()
		days[sekisho.At(time.Date(y, m, d, 0, 0, 0, 0, c.cfg.Zone))]++
		p.Turns = append(p.Turns, PhishingTurn{c.named("staff", t.Staff), plan.Lures[t.Lure].Lure.ID(plan.Lures[t.Lure].Language), t.At})
	}
	for d, n := range days {
		p.Days = append(p.Days, PlannedDay{d, n})
	}
	slices.SortFunc(p.Days, func(a, b PlannedDay) int { return int(a.Day/1e6 - b.Day/1e6) })
	slices.SortFunc(p.Turns, func(a, b PhishingTurn) int { return int(a.At/1e6 - b.At/1e6) })
	p.Lures = slices.DeleteFunc(p.Lures, func(l PlannedLure) bool { return l.People == 0 })
	return p, nil
}

func (c *Console) askPhishing(v *visit, a PhishingAsk) (uint64, error) {
	l, err := c.lures()
	if err != nil {
		return 0, err
	}
	if !c.mayDecide(v.who) {
		return 0, fail(http.StatusForbidden, "phishing_role")
	}
	ask, err := c.lureAsk(a)
	if err != nil {
		return 0, err
	}
	n, err := l.Ask(v.r.Context(), ask, v.who.staff)
	return n, phishingError(err)
}

func (c *Console) phishingForm(v *visit) (page, error) {
	if err := v.r.ParseForm(); err != nil {
		return nil, tooLarge(err)
	}
	f := v.r.PostForm
	a := PhishingAsk{Title: f.Get("title"), Lures: f["lure"], From: f.Get("from"), Until: f.Get("until"), Opens: f.Get("opens"), Closes: f.Get("closes"), Reason: f.Get("reason")}
	a.Units = append(a.Units, strings.Fields(f.Get("units"))...)
	a.Seed, _ = strconv.ParseUint(f.Get("seed"), 10, 64)
	if f.Get("action") != "ask" {
		p, err := c.planPhishing(a)
		if err != nil {
			return nil, err
		}
		if !wantsJSON(v.r) && len(p.Turns) > shownTurns {
			p.More = len(p.Turns) - shownTurns
			p.Turns = p.Turns[:shownTurns]
		}
		return p, nil
	}
	n, err := c.askPhishing(v, a)
	if err != nil {
		return nil, err
	}
	return c.seePhishing(v, n)
}
