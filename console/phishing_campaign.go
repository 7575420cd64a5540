package console

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"sekisho"
	"sekisho/tell"
)

// One campaign: where it stands, what came of it by groups, and what two people
// may see of single ones.

// A PhishingAct does something with a campaign, or with a request to see what
// some people did in it.
type PhishingAct struct {
	Action  string   `json:"action"`            // "approved", "rejected", "withdrawn", "paused", "resumed", "ended", "settled", "names", "names_approved", "names_rejected", "names_withdrawn", "names_shown"
	As      string   `json:"as,omitempty"`      // settled: "sent", "again"
	People  []string `json:"people,omitempty"`  // names: whose
	Request uint64   `json:"request,omitempty"` // of the other acts on names
	Reason  string   `json:"reason,omitempty"`
}

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

func (c *Console) seePhishing(v *visit, n uint64) (page, error) {
	if wantsJSON(v.r) {
		return c.phishingCampaignPage(v, n)
	}
	http.Redirect(v.w, v.r, fmt.Sprintf("/phishing/%d", n), http.StatusSeeOther)
	return nil, errDone
}

func (c *Console) phishingCampaign(v *visit) (page, error) {
	n, err := v.pathNumber("number", "tell_campaign")
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
	n, err := v.pathNumber("number", "tell_campaign")
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
