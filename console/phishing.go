package console

import (
	"errors"
	"net/http"

	"sekisho"
	"sekisho/duty"
	"sekisho/tell"
)

// Drills by mail: who is to be written to, with what and when, before anything
// goes out; what came of it, by groups; and, by two people and for a reason,
// what single people did.

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

func (c *Console) controlPhishing(handle func(pattern string, limit int64, do func(v *visit) (any, error))) {
	handle("GET /api/phishing", maxForm, c.settled(func(*visit) (any, error) { return c.phishingPage() }))
	handle("POST /api/phishing", maxForm, c.settled(func(v *visit) (any, error) {
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
	handle("GET /api/phishing/{number}", maxForm, c.settled(func(v *visit) (any, error) {
		n, err := v.pathNumber("number", "tell_campaign")
		if err != nil {
			return nil, err
		}
		return c.phishingCampaignPage(v, n)
	}))
	handle("POST /api/phishing/{number}", maxForm, c.settled(func(v *visit) (any, error) {
		n, err := v.pathNumber("number", "tell_campaign")
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
