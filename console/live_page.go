package console

import (
	"fmt"
	"net/http"
	"strings"

	"sekisho"
)

// A liveFilter narrows the live page. Empty fields let everything through.
type liveFilter struct {
	Endpoint  string `json:"endpoint"`
	Principal string `json:"principal"`
	Category  string `json:"category"`
	category  sekisho.Categories
	rows      int // how many at most; 0 is liveFirst
}

func readLiveFilter(r *http.Request) (liveFilter, error) {
	q := r.URL.Query()
	f := liveFilter{rows: liveFirst, Endpoint: strings.TrimSpace(q.Get("endpoint")), Principal: strings.TrimSpace(q.Get("principal")), Category: q.Get("category")}
	if q.Get("rows") == "more" {
		f.rows = livePage1
	}
	if f.Category != "" {
		c, err := sekisho.ParseCategory(f.Category)
		if err != nil {
			return f, fail(http.StatusBadRequest, "category")
		}
		f.category = c
	}
	return f, nil
}

// A liveAccess is one statement on the live page.
type liveAccess struct {
	Session     uint64       `json:"session"`
	Number      uint64       `json:"number"`
	Entry       uint64       `json:"entry"`
	Time        sekisho.Time `json:"time"`
	Principal   string       `json:"principal"`
	Endpoint    string       `json:"endpoint"`
	Verified    bool         `json:"verified"`
	Through     string       `json:"through,omitempty"` // where the program runs that they are behind
	Program     string       `json:"program,omitempty"` // its principal
	Lost        bool         `json:"terminal_unknown,omitempty"`
	Application string       `json:"application,omitempty"`
	Purpose     string       `json:"purpose,omitempty"`
	Verb        string       `json:"verb,omitempty"`
	Door        string       `json:"door"`
	Categories  []string     `json:"categories"`
	Customers   uint64       `json:"customers"`
	Rows        uint64       `json:"rows"`
	Reach       uint64       `json:"reach,omitempty"`
	Class       string       `json:"class,omitempty"`
	Outcome     string       `json:"outcome"`
	SQLState    string       `json:"sqlstate,omitempty"`
	Reason      string       `json:"reason,omitempty"`
	Policy      *policySaid  `json:"policy,omitempty"`
	Tables      []string     `json:"tables"`
}

// policySaid is what the policy said of a statement, in its own words.
type policySaid struct {
	Enforced bool     `json:"enforced"` // false: it is what would have come of it
	Decision string   `json:"decision"`
	Rules    []string `json:"rules"`
	En       string   `json:"reason_en"`
	Ja       string   `json:"reason_ja"`
}

type livePage struct {
	Filter   liveFilter   `json:"filter"`
	Accesses []liveAccess `json:"accesses"` // newest first
	Chart    *minuteChart `json:"per_minute"`
	Cursor   uint64       `json:"cursor"`
	Open     uint64       `json:"sessions_open"`
	Any      []string     `json:"-"` // every category, for the filter
	Query    string       `json:"-"`
	Rows     int          `json:"-"`       // how many at most
	More     string       `json:"-"`       // the query that shows more; empty if this one does
	Partial  bool         `json:"partial"` // there were more than the page shows
	Alarm    *alarmLine   `json:"alert,omitempty"`
}

// alarmLine is the latest alert, for a day.
type alarmLine struct {
	Entry     uint64       `json:"entry"`
	Time      sekisho.Time `json:"time"`
	Detector  string       `json:"detector"`
	Endpoint  string       `json:"endpoint"`
	Principal string       `json:"principal,omitempty"`
}

func (*livePage) file() string { return "live" }

// minuteChart is the last hour, oldest first, up to and with the minute Until.
type minuteChart struct {
	Until   sekisho.Time `json:"until"`
	Minutes []minuteBar  `json:"minutes"`
}

type minuteBar struct {
	Time       sekisho.Time `json:"time"`
	Customers  uint64       `json:"customers"`
	Statements uint64       `json:"statements"`
	AnyRow     uint64       `json:"any_row"`
	Refused    uint64       `json:"refused"`
}

func (c *Console) live(v *visit) (page, error) {
	filter, err := readLiveFilter(v.r)
	if err != nil {
		return nil, err
	}
	p := c.liveSince(filter, 0)
	for _, one := range sekisho.AllCategories() {
		p.Any = append(p.Any, one.Names()...)
	}
	p.Query, p.Rows = v.r.URL.RawQuery, filter.rows
	if filter.rows < livePage1 {
		q := v.r.URL.Query()
		q.Set("rows", "more")
		p.More = q.Encode()
	}
	return p, nil
}

// liveSince is what changed after the cursor, newest first.
func (c *Console) liveSince(f liveFilter, cursor uint64) *livePage {
	most := f.rows
	if most == 0 {
		most = liveFirst
	}
	rows, alarm, p := c.cfg.Live.since(cursor, c.cfg.Now())
	p.Filter = f
	if alarm != nil {
		p.Alarm = &alarmLine{alarm.seq, alarm.at, alarm.body.Detector, alarm.body.Endpoint, c.named("staff", alarm.body.Principal)}
	}
	for i := range rows {
		a := c.liveAccess(&rows[i])
		if !f.match(&a, rows[i].shape) {
			continue
		}
		if len(p.Accesses) == most {
			p.Partial = true
			break
		}
		p.Accesses = append(p.Accesses, a)
	}
	return p
}

func (f *liveFilter) match(a *liveAccess, s *sekisho.Shape) bool {
	return (f.Endpoint == "" || strings.Contains(a.Endpoint, f.Endpoint) || strings.Contains(a.Through, f.Endpoint)) &&
		(f.Principal == "" || strings.Contains(a.Principal, f.Principal) || strings.Contains(a.Program, f.Principal)) &&
		(f.category == 0 || s != nil && s.Categories&f.category != 0)
}

func (c *Console) liveAccess(r *liveRow) liveAccess {
	a := liveAccess{Session: r.key.session, Number: r.key.number, Entry: r.first, Time: r.at, Customers: r.customers,
		Rows: r.rows, Outcome: r.outcome, SQLState: r.sqlState, Reason: r.reason, Tables: r.tables, Reach: r.reach,
		Purpose: c.named("purpose", r.purpose)}
	if a.Outcome == "" {
		a.Outcome = "open"
	}
	if r.class != 0 {
		a.Class = r.class.String()
	}
	if p := r.ruled; p != nil {
		a.Policy = &policySaid{p.Enforced, p.Decision, p.Rules, p.ReasonEn, p.ReasonJa}
	}
	if r.session != nil {
		a.Principal = c.named("staff", r.session.Principal)
		a.Endpoint, a.Verified, a.Door = r.session.Endpoint, r.session.Verified, r.session.Door.String()
		a.Application = c.named("application", r.session.Application)
	}
	if r.through != nil {
		a.Through, a.Program, a.Lost = r.through.Endpoint, c.named("staff", r.through.Principal), r.lost
		a.forget()
	}
	if r.shape != nil {
		a.Verb, a.Categories = r.shape.Verb.String(), r.shape.Categories.Names()
	}
	return a
}

// forget takes out what stands in place of what is not known: the program's own.
func (a *liveAccess) forget() {
	if a.Lost {
		a.Endpoint, a.Verified = "", false
	}
	if a.Principal == a.Program {
		a.Principal = ""
	}
}

// named is the key behind an ordinal, or its number if it was erased.
func (c *Console) named(space string, ord uint32) string {
	if ord == 0 {
		return ""
	}
	if c.veiled && space != "unit" {
		return fmt.Sprintf("#%d", ord)
	}
	if key, ok := c.cfg.Vault.Space(space).Key(ord); ok {
		return key
	}
	return fmt.Sprintf("#%d", ord)
}
