package console

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"sekisho"
	"sekisho/duty"
	"sekisho/tell"
)

// Drills by mail: who is to be written to, with what and when, before anything
// goes out; what came of it, by groups; and, by two people and for a reason,
// what single people did.

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

// A PhishingAct does something with a campaign, or with a request to see what
// some people did in it.
type PhishingAct struct {
	Action  string   `json:"action"`            // "approved", "rejected", "withdrawn", "paused", "resumed", "ended", "settled", "names", "names_approved", "names_rejected", "names_withdrawn", "names_shown"
	As      string   `json:"as,omitempty"`      // settled: "sent", "again"
	People  []string `json:"people,omitempty"`  // names: whose
	Request uint64   `json:"request,omitempty"` // of the other acts on names
	Reason  string   `json:"reason,omitempty"`
}

// A PhishingLine is one campaign in a list.
type PhishingLine struct {
	Number uint64            `json:"number"`
	Title  string            `json:"title"`
	State  tell.MailingState `json:"state"`
	From   sekisho.Time      `json:"from"`
	Until  sekisho.Time      `json:"until"`
	People uint64            `json:"people"`
	Lures  []string          `json:"lures"`
	By     string            `json:"by"`
	Whole  tell.Figures      `json:"figures"`
}

// A LureLine is one template in one language.
type LureLine struct {
	Name     string      `json:"name"`
	Language string      `json:"language"`
	Edition  string      `json:"edition"`
	Teaches  string      `json:"teaches"`
	Asks     string      `json:"asks"`
	Subject  string      `json:"subject"`
	Rating   duty.Rating `json:"rating"`
}

// A PhishingPage lists campaigns and lures.
type PhishingPage struct {
	On        bool           `json:"on"`
	Domains   []string       `json:"domains"`
	Least     int            `json:"least"`
	Campaigns []PhishingLine `json:"campaigns"`
	Lures     []LureLine     `json:"lures"`
	Suspects  int            `json:"suspects_30_days"` // mails reported that were no lures
	Past      []PhishingPast `json:"departments_over_time,omitempty"`
	Over      []PhishingLine `json:"-"` // the columns of Past
	Names     []string       `json:"-"` // of lures, each once
	From      string         `json:"-"`
	Until     string         `json:"-"`
}

func (*PhishingPage) file() string { return "phishing" }

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

// A PhishingGroup is a line of figures.
type PhishingGroup struct {
	Name    string       `json:"name"`
	People  int          `json:"people"`
	Figures tell.Figures `json:"figures"`
}

// A PhishingNaming is a request to see what some people did.
type PhishingNaming struct {
	Number  uint64       `json:"number"`
	State   string       `json:"state"`
	People  []string     `json:"people"`
	Reason  string       `json:"reason"`
	By      string       `json:"by"`
	At      sekisho.Time `json:"at"`
	Decided string       `json:"decided_by,omitempty"`
	Until   sekisho.Time `json:"until,omitempty"`
	Shown   int          `json:"shown"`
	Own     bool         `json:"-"`
	Decide  bool         `json:"-"`
	Look    bool         `json:"-"`
}

// A PhishingPerson is what one person did, as two people asked to see it.
type PhishingPerson struct {
	Person string `json:"person"`
	tell.Part
}

// A PhishingCampaignPage is one campaign.
type PhishingCampaignPage struct {
	PhishingLine
	Reason      string            `json:"reason"`
	Listed      uint64            `json:"listed"`
	Over        uint64            `json:"over"`
	Unclear     uint64            `json:"unclear"`
	Fates       []FateCount       `json:"fates"`
	Why         map[string]uint64 `json:"why,omitempty"`
	Says        []MailingSaid     `json:"says"`
	Forgotten   bool              `json:"forgotten"`
	Levels      []PhishingGroup   `json:"by_difficulty"`
	ByLure      []PhishingGroup   `json:"by_lure"`
	Departments []PhishingGroup   `json:"by_department"`
	Executives  *PhishingGroup    `json:"executives,omitempty"`
	Hidden      int               `json:"hidden"`
	Least       int               `json:"least"`
	Deeds       []DeedLine        `json:"-"`
	Namings     []PhishingNaming  `json:"names"`
	Shown       []PhishingPerson  `json:"shown,omitempty"`
	Own         bool              `json:"-"`
	Decide      bool              `json:"-"`
	MayName     bool              `json:"-"`
	Turns       []PhishingTurn    `json:"-"`
	More        int               `json:"-"`
}

func (*PhishingCampaignPage) file() string { return "phishing_campaign" }

// A FateCount is how many people's mails stand so.
type FateCount struct {
	Fate  string `json:"fate"`
	Count uint64 `json:"count"`
}

// A MailingSaid is a decision.
type MailingSaid struct {
	Action string       `json:"action"`
	By     string       `json:"by"`
	Entry  uint64       `json:"entry"`
	Time   sekisho.Time `json:"time"`
	Reason string       `json:"reason"`
}

// A DeedLine is how many did one thing, by who is held to have done it.
type DeedLine struct {
	Did                       string
	Human, Uncertain, Machine int
}

func (c *Console) lures() (*tell.Lures, error) {
	if c.cfg.Lures == nil {
		return nil, fail(http.StatusNotFound, "phishing_off")
	}
	return c.cfg.Lures, nil
}

// phishingError turns an error of drills into one with a hint.
func phishingError(err error) error {
	var w *tell.Wrong
	if !errors.As(err, &w) {
		return toldError(err)
	}
	status := http.StatusBadRequest
	switch w.Code {
	case "campaign", "names":
		status = http.StatusNotFound
	case "own", "not_own", "own_names":
		status = http.StatusForbidden
	case "mailing_state", "names_state", "names_decided", "names_forgotten", "nobody":
		status = http.StatusConflict
	}
	f := &failure{status: status, args: w.Args, cause: err}
	f.key = "tell_" + w.Code
	return f
}

func lureLine(l *duty.Lure, lang string) LureLine {
	return LureLine{Name: l.Name, Language: lang, Edition: l.Edition, Teaches: l.Teaches, Asks: l.Asks, Subject: l.Versions[lang].Subject, Rating: l.Rate(lang)}
}

func (c *Console) phishingLine(l *tell.Lures, s tell.Status) PhishingLine {
	line := PhishingLine{Number: s.Number, Title: c.named("said", s.Lures.Title), State: s.State, From: s.Lures.From, Until: s.Lures.Until, People: s.Lures.People,
		Lures: s.Lures.Lures, By: c.named("staff", s.Lures.By)}
	if r, err := l.Result(s.Number); err == nil {
		line.Whole = r.Whole
	}
	return line
}

func (c *Console) phishingPage() (*PhishingPage, error) {
	l, err := c.lures()
	if err != nil {
		return nil, err
	}
	p := &PhishingPage{On: len(l.Config.Domains) > 0, Domains: l.Config.Domains, Least: l.Config.Least, Campaigns: []PhishingLine{}}
	var numbers []uint64
	now := c.cfg.Now()
	c.cfg.Views.Read(func() {
		numbers = l.Seen.Numbers()
		p.Suspects = len(l.Seen.Suspects(sekisho.At(now.AddDate(0, 0, -30))))
	})
	for _, n := range numbers[:min(len(numbers), 100)] {
		s, err := l.Campaign(n)
		if err != nil {
			return nil, phishingError(err)
		}
		p.Campaigns = append(p.Campaigns, c.phishingLine(l, s))
	}
	p.Over = p.Campaigns[:min(len(p.Campaigns), mostPast)]
	if p.Past, err = c.departmentsOver(l, p.Over); err != nil {
		return nil, err
	}
	for i := range l.Lures {
		p.Names = append(p.Names, l.Lures[i].Name)
		for _, lang := range duty.LureLanguages() {
			if _, ok := l.Lures[i].Versions[lang]; ok {
				p.Lures = append(p.Lures, lureLine(&l.Lures[i], lang))
			}
		}
	}
	day := now.In(c.cfg.Zone)
	p.From, p.Until = day.AddDate(0, 0, 1).Format("2006-01-02"), day.AddDate(0, 0, 15).Format("2006-01-02")
	return p, nil
}

func (c *Console) phishing(*visit) (page, error) { return c.phishingPage() }

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

func (c *Console) seePhishing(v *visit, n uint64) (page, error) {
	if wantsJSON(v.r) {
		return c.phishingCampaignPage(v, n)
	}
	http.Redirect(v.w, v.r, fmt.Sprintf("/phishing/%d", n), http.StatusSeeOther)
	return nil, errDone
}

func (c *Console) phishingNumber(v *visit) (uint64, error) {
	n, err := strconv.ParseUint(v.r.PathValue("number"), 10, 64)
	if err != nil {
		return 0, fail(http.StatusNotFound, "tell_campaign")
	}
	return n, nil
}

func (c *Console) phishingCampaign(v *visit) (page, error) {
	n, err := c.phishingNumber(v)
	if err != nil {
		return nil, err
	}
	return c.phishingCampaignPage(v, n)
}

func (c *Console) phishingCampaignPage(v *visit, n uint64) (*PhishingCampaignPage, error) {
	l, err := c.lures()
	if err != nil {
		return nil, err
	}
	s, err := l.Campaign(n)
	if err != nil {
		return nil, phishingError(err)
	}
	r, err := l.Result(n)
	if err != nil {
		return nil, phishingError(err)
	}
	p := &PhishingCampaignPage{PhishingLine: c.phishingLine(l, s), Reason: c.named("said", s.Lures.Reason), Listed: s.Lures.Listed, Unclear: s.Unclear, Why: s.Why,
		Forgotten: r.Forgotten, Hidden: r.Hidden, Least: l.Config.Least, Namings: []PhishingNaming{}}
	for _, f := range tell.Fates() {
		if s.Counts[f] > 0 {
			p.Fates = append(p.Fates, FateCount{f.String(), s.Counts[f]})
		}
		if f != tell.Waiting && f != tell.UnderWay && f != tell.Later {
			p.Over += s.Counts[f]
		}
	}
	for _, d := range s.Says {
		p.Says = append(p.Says, MailingSaid{d.Action, c.named("staff", d.By), d.Entry, d.At, c.named("said", d.Reason)})
	}
	for _, g := range r.Levels {
		p.Levels = append(p.Levels, PhishingGroup{g.Key, g.People, g.Figures})
	}
	for _, g := range r.Lures {
		p.ByLure = append(p.ByLure, PhishingGroup{g.Key, g.People, g.Figures})
	}
	for _, g := range r.Departments {
		name := g.Key
		if g.Unit != 0 {
			name = c.named("unit", g.Unit)
		}
		p.Departments = append(p.Departments, PhishingGroup{name, g.People, g.Figures})
	}
	if g := r.Executives; g != nil {
		p.Executives = &PhishingGroup{g.Key, g.People, g.Figures}
	}
	for _, d := range tell.DeedCodes() {
		by := r.Whole.Did[d]
		if len(by) > 0 {
			p.Deeds = append(p.Deeds, DeedLine{d, by["human"], by["uncertain"], by["machine"]})
		}
	}
	p.Own = c.onePerson(v.who.staff, s.Lures.By)
	p.Decide = c.mayDecide(v.who) && !p.Own
	p.MayName = c.mayDecide(v.who) && !r.Forgotten && s.State != tell.Asked
	var namings []tell.Naming
	c.cfg.Views.Read(func() { namings = l.Seen.Namings(n) })
	for i := range namings {
		one := &namings[i]
		line := PhishingNaming{Number: one.Number, State: one.State(sekisho.At(c.cfg.Now())), Reason: c.named("said", one.Asked.Reason), By: c.named("staff", one.Asked.By), At: one.At, Shown: one.Shown,
			Own: c.onePerson(v.who.staff, one.Asked.By)}
		for _, o := range one.Asked.Staff {
			line.People = append(line.People, c.named("staff", o))
		}
		if one.Decided != nil {
			line.Decided, line.Until = c.named("staff", one.Decided.By), one.Decided.Until
		}
		line.Decide = line.State == "asked" && c.mayDecide(v.who) && !line.Own
		line.Look = line.State == "approved" && (line.Own || c.onePerson(v.who.staff, one.Decided.By))
		p.Namings = append(p.Namings, line)
	}
	return p, nil
}

// actOnPhishing does something with a campaign. shown is what single people did,
// if that was opened.
func (c *Console) actOnPhishing(v *visit, n uint64, act PhishingAct) (shown []PhishingPerson, err error) {
	l, err := c.lures()
	if err != nil {
		return nil, err
	}
	if !strings.HasSuffix(act.Action, "withdrawn") && !c.mayDecide(v.who) {
		return nil, fail(http.StatusForbidden, "phishing_role")
	}
	ctx := v.r.Context()
	switch act.Action {
	case "settled":
		_, err = l.Settle(ctx, n, act.As, act.Reason, v.who.staff)
	case "names":
		var staff []uint32
		for _, name := range act.People {
			o, ok := c.cfg.Vault.Space("staff").Find(name)
			if !ok {
				return nil, fail(http.StatusNotFound, "tell_names_unknown")
			}
			staff = append(staff, o)
		}
		_, err = l.AskNames(ctx, n, staff, act.Reason, v.who.staff)
	case "names_approved", "names_rejected", "names_withdrawn":
		err = l.DecideNames(ctx, n, act.Request, strings.TrimPrefix(act.Action, "names_"), act.Reason, v.who.staff, c.onePerson)
	case "names_shown":
		var parts []tell.Part
		if parts, err = l.Named(ctx, n, act.Request, v.who.staff, c.onePerson); err == nil {
			for _, p := range parts {
				shown = append(shown, PhishingPerson{c.named("staff", p.Staff), p})
			}
		}
	default:
		err = l.Decide(ctx, n, act.Action, act.Reason, v.who.staff, c.onePerson)
	}
	return shown, phishingError(err)
}

func (c *Console) phishingActForm(v *visit) (page, error) {
	n, err := c.phishingNumber(v)
	if err != nil {
		return nil, err
	}
	if err := v.r.ParseForm(); err != nil {
		return nil, tooLarge(err)
	}
	f := v.r.PostForm
	act := PhishingAct{Action: f.Get("action"), As: f.Get("as"), People: strings.Fields(strings.ReplaceAll(f.Get("people"), ",", " ")), Reason: f.Get("reason")}
	act.Request, _ = strconv.ParseUint(f.Get("request"), 10, 64)
	shown, err := c.actOnPhishing(v, n, act)
	if err != nil {
		return nil, err
	}
	if shown == nil {
		return c.seePhishing(v, n)
	}
	p, err := c.phishingCampaignPage(v, n)
	if err != nil {
		return nil, err
	}
	p.Shown = shown
	return p, nil
}

// A LurePage shows a lure as it would come, and how its rating came about.
type LurePage struct {
	LureLine
	Source  string       `json:"source"`
	Premise duty.Premise `json:"premise"`
	Cues    []duty.Cue   `json:"cues"`
	Letter  tell.Letter  `json:"-"`
	Other   string       `json:"-"` // language
}

func (*LurePage) file() string { return "lure" }

func (c *Console) lure(v *visit) (page, error) {
	l, err := c.lures()
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(l.Lures, func(t duty.Lure) bool { return t.Name == v.r.PathValue("name") })
	if i < 0 {
		return nil, fail(http.StatusNotFound, "tell_lure_unknown", v.r.PathValue("name"))
	}
	t := &l.Lures[i]
	lang := v.r.URL.Query().Get("in")
	if _, ok := t.Versions[lang]; !ok {
		lang = v.Lang
	}
	if _, ok := t.Versions[lang]; !ok {
		lang = slices.Sorted(maps.Keys(t.Versions))[0]
	}
	p := &LurePage{LureLine: lureLine(t, lang), Source: t.Source, Premise: t.Premise, Cues: t.Versions[lang].Cues, Letter: l.Preview(t, lang)}
	for other := range t.Versions {
		if other != lang {
			p.Other = other
		}
	}
	return p, nil
}

func (c *Console) controlPhishing(handle func(pattern string, limit int64, do func(v *visit) (any, error))) {
	settled := func(do func(v *visit) (any, error)) func(v *visit) (any, error) {
		return func(v *visit) (any, error) {
			if err := c.cfg.Views.WaitFor(v.r.Context(), c.cfg.Ledger.Last()); err != nil {
				return nil, fmt.Errorf("answering a command: %w", err)
			}
			return do(v)
		}
	}
	handle("GET /api/phishing", maxForm, settled(func(*visit) (any, error) { return c.phishingPage() }))
	handle("POST /api/phishing", maxForm, settled(func(v *visit) (any, error) {
		a, err := told[PhishingAsk](v)
		if err != nil {
			return nil, err
		}
		if a.DryRun {
			return c.planPhishing(a)
		}
		n, err := c.askPhishing(v, a)
		if err != nil {
			return nil, err
		}
		return c.phishingCampaignPage(v, n)
	}))
	handle("GET /api/phishing/{number}", maxForm, settled(func(v *visit) (any, error) {
		n, err := c.phishingNumber(v)
		if err != nil {
			return nil, err
		}
		return c.phishingCampaignPage(v, n)
	}))
	handle("POST /api/phishing/{number}", maxForm, settled(func(v *visit) (any, error) {
		n, err := c.phishingNumber(v)
		if err != nil {
			return nil, err
		}
		act, err := told[PhishingAct](v)
		if err != nil {
			return nil, err
		}
		shown, err := c.actOnPhishing(v, n, act)
		if err != nil {
			return nil, err
		}
		p, err := c.phishingCampaignPage(v, n)
		if err == nil {
			p.Shown = shown
		}
		return p, err
	}))
}

// bar is how long a bar for part of a whole is, of width.
func bar(part, whole, width int) int {
	if whole <= 0 {
		return 0
	}
	return max(0, min(width, (part*width+whole/2)/whole))
}
