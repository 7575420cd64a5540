package console

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"sekisho"
	"sekisho/duty"
)

// A PostsPage says who answers for what: the administrators of each company, and
// the table of responsibilities; with the budget's milestones.
type PostsPage struct {
	Companies []PostLine  `json:"companies"`
	Table     []PostLine  `json:"table"` // duties and stores
	Vacant    int         `json:"vacant"`
	Budget    []MoneyLine `json:"budget"`
	May       bool        `json:"-"`
	Steps     []string    `json:"-"`
}

func (*PostsPage) file() string { return "posts" }

// A PostLine is who holds the posts over one thing.
type PostLine struct {
	Post   string       `json:"post"`
	Space  string       `json:"space"`
	Unit   string       `json:"unit"`
	Say    string       `json:"say"`
	Holder string       `json:"holder"` // "": vacant
	Deputy string       `json:"deputy"`
	Since  sekisho.Time `json:"since,omitempty"` // since when it is held, or vacant
}

// A MoneyLine is a milestone of the budget.
type MoneyLine struct {
	Entry    uint64       `json:"entry"`
	Time     sekisho.Time `json:"time"`
	Year     uint32       `json:"year"`
	Step     string       `json:"step"`
	Amount   uint64       `json:"amount"`
	Currency string       `json:"currency"`
	Meeting  uint64       `json:"meeting,omitempty"`
	Text     string       `json:"text,omitempty"`
	By       string       `json:"by"`
}

func (c *Console) postsPage(v *visit) *PostsPage {
	now := sekisho.At(c.cfg.Now())
	p := &PostsPage{Companies: []PostLine{}, Table: []PostLine{}, Budget: []MoneyLine{}, May: c.mayDecide(v.who), Steps: budgetSteps}
	units := c.unitsNow()
	line := func(post string, u duty.Unit, name, say string) PostLine {
		b := c.cfg.Checks
		l := PostLine{Post: post, Space: u.Space, Unit: name, Say: say, Holder: c.named("staff", b.Holder(post, u, false, now)), Deputy: c.named("staff", b.Holder(post, u, true, now))}
		for _, one := range b.Posts() {
			if x := one.Body; x.Post == post && x.Space == u.Space && x.Unit == u.Ordinal && !x.Deputy {
				switch {
				case l.Holder != "" && x.From <= now:
					l.Since = x.From
				case l.Holder == "" && one.Until <= now:
					l.Since = max(l.Since, one.Until)
				}
			}
		}
		if l.Holder == "" || post == "administrator" && l.Deputy == "" {
			p.Vacant++
		}
		return l
	}
	c.cfg.Views.Read(func() {
		if len(units) == 0 { // without a directory: those that somebody appointed to
			seen := map[uint32]bool{}
			for _, one := range c.cfg.Checks.Posts() {
				if x := one.Body; x.Space == "unit" && !seen[x.Unit] {
					seen[x.Unit] = true
					units = append(units, UnitLine{Space: "unit", Ordinal: x.Unit, Name: c.named("unit", x.Unit)})
				}
			}
		}
		for _, u := range units {
			if !strings.HasPrefix(u.Name, "department/") {
				p.Companies = append(p.Companies, line("administrator", duty.Unit{Space: "unit", Ordinal: u.Ordinal}, u.Name, u.Say()))
			}
		}
		if c.cfg.Duty != nil {
			if i := c.cfg.Duty.Register().Instrument("policy"); i != nil {
				for _, d := range i.Duties {
					p.Table = append(p.Table, line("responsible", d.Unit(), d.ID, d.ID+" "+d.Title.In(v.Lang)))
				}
			}
		}
		for _, t := range c.cfg.Checks.Things("store") {
			if !t.Retired() {
				name := strings.TrimPrefix(c.named("thing", t.Ordinal), "store/")
				p.Table = append(p.Table, line("responsible", duty.Unit{Space: "thing", Ordinal: t.Ordinal}, name, name))
			}
		}
		for _, m := range c.cfg.Checks.Budget() {
			x := m.Body
			p.Budget = append(p.Budget, MoneyLine{m.Entry, x.At, x.Year, x.Step, x.Amount, x.Currency, x.Meeting, c.said(x.Said), c.named("staff", x.By)})
		}
	})
	vacantFirst := func(a, b PostLine) int {
		one, two := a.Holder != "", b.Holder != ""
		if one != two {
			return map[bool]int{false: -1, true: 1}[one]
		}
		return 0
	}
	slices.SortStableFunc(p.Companies, vacantFirst)
	slices.SortStableFunc(p.Table, vacantFirst)
	slices.SortStableFunc(p.Budget, func(a, b MoneyLine) int { return cmp.Or(cmp.Compare(b.Year, a.Year), cmp.Compare(b.Entry, a.Entry)) })
	return p
}

func (c *Console) posts(v *visit) (page, error) {
	if err := c.checksReady(); err != nil {
		return nil, err
	}
	return c.postsPage(v), nil
}

// A PostAsk appoints somebody, or ends their time.
type PostAsk struct {
	Post   string `json:"post"`  // "administrator", "responsible"
	Space  string `json:"space"` // "unit", "duty", "store"
	Unit   string `json:"unit"`
	Person string `json:"person,omitempty"`
	Deputy bool   `json:"deputy,omitempty"`
	Ended  bool   `json:"ended,omitempty"`
	From   string `json:"from,omitempty"` // default now
	Text   string `json:"text,omitempty"`
}

func (c *Console) appoint(v *visit, a PostAsk) error {
	if err := c.checksReady(); err != nil {
		return err
	}
	if !c.mayDecide(v.who) {
		return fail(http.StatusForbidden, "export_role")
	}
	b := &sekisho.PostChanged{Post: a.Post, Deputy: a.Deputy, Action: "appointed", By: v.who.staff}
	var err error
	switch {
	case a.Post == "administrator" && a.Space == "unit":
		b.Space = "unit"
		b.Unit, err = c.unit("unit", "", a.Unit)
	case a.Post == "responsible" && a.Space == "store":
		b.Space = "thing"
		b.Unit, err = c.unit("thing", "store", a.Unit)
	case a.Post == "responsible" && strings.HasPrefix(a.Space, "duty"):
		var d *duty.Duty
		if c.cfg.Duty != nil {
			d = c.cfg.Duty.Register().Duty(a.Unit)
		}
		if d == nil {
			return fail(http.StatusNotFound, "post_duty", a.Unit)
		}
		b.Space, b.Unit = d.Unit().Space, d.Unit().Ordinal
	default:
		return fail(http.StatusBadRequest, "post_what")
	}
	if err != nil {
		return err
	}
	if b.Person, err = c.account(a.Person); err != nil {
		return err
	}
	if a.Ended {
		b.Action = "ended"
	} else if b.Person == 0 {
		return fail(http.StatusBadRequest, "post_who")
	}
	if b.From, err = c.moment(v, a.From); err != nil {
		return err
	}
	if b.From == 0 {
		b.From = sekisho.At(c.cfg.Now())
	}
	// The one and the deputy are two people.
	other := uint32(0)
	c.cfg.Views.Read(func() {
		other = c.cfg.Checks.Holder(b.Post, duty.Unit{Space: b.Space, Ordinal: b.Unit}, !b.Deputy, b.From)
	})
	if !a.Ended && other != 0 && c.onePerson(other, b.Person) {
		return fail(http.StatusConflict, "post_both")
	}
	if b.Said, err = c.write(a.Text); err != nil {
		return err
	}
	_, err = c.enter(v, b)
	return err
}

var budgetSteps = []string{"planned", "decided", "spent"}

// A BudgetAsk records a milestone of the budget.
type BudgetAsk struct {
	Year     uint32 `json:"year"`
	Step     string `json:"step"`
	Amount   uint64 `json:"amount"`
	Currency string `json:"currency,omitempty"` // default JPY
	Meeting  uint64 `json:"meeting,omitempty"`
	At       string `json:"at,omitempty"`
	Text     string `json:"text,omitempty"`
}

func (c *Console) budgeted(v *visit, a BudgetAsk) error {
	if err := c.checksReady(); err != nil {
		return err
	}
	if !c.mayDecide(v.who) {
		return fail(http.StatusForbidden, "export_role")
	}
	b := &sekisho.BudgetDecided{Year: a.Year, Step: a.Step, Amount: a.Amount, Currency: cmp.Or(strings.ToUpper(strings.TrimSpace(a.Currency)), "JPY"), Meeting: a.Meeting, By: v.who.staff}
	if !slices.Contains(budgetSteps, b.Step) || b.Year < 2000 || b.Year > 2200 || len(b.Currency) != 3 {
		return fail(http.StatusBadRequest, "budget_what")
	}
	if b.Meeting != 0 {
		noun := ""
		c.cfg.Views.Read(func() {
			if one := c.cfg.Checks.Check(b.Meeting); one != nil {
				noun = one.Body.Noun
			}
		})
		if noun != "meeting" {
			return fail(http.StatusNotFound, "budget_meeting")
		}
	}
	var err error
	if b.At, err = c.past(v, a.At, sekisho.At(c.cfg.Now())); err != nil {
		return err
	}
	if b.Said, err = c.write(a.Text); err != nil {
		return err
	}
	_, err = c.enter(v, b)
	return err
}

func (c *Console) postForm(v *visit) (page, error) {
	if err := v.r.ParseForm(); err != nil {
		return nil, tooLarge(err)
	}
	f := v.r.PostForm
	var err error
	if f.Get("year") != "" {
		number := func(key string) uint64 {
			n, e := strconv.ParseUint(strings.ReplaceAll(strings.TrimSpace(cmp.Or(f.Get(key), "0")), ",", ""), 10, 64)
			if e != nil {
				err = fail(http.StatusBadRequest, "export_number")
			}
			return n
		}
		a := BudgetAsk{Year: uint32(min(number("year"), 1<<31)), Step: f.Get("step"), Amount: number("amount"), Currency: f.Get("currency"), Meeting: number("meeting"), At: f.Get("at"), Text: f.Get("text")}
		if err == nil {
			err = c.budgeted(v, a)
		}
	} else {
		err = c.appoint(v, PostAsk{Post: f.Get("post"), Space: f.Get("space"), Unit: f.Get("unit"), Person: f.Get("person"), Deputy: f.Get("deputy") != "", Ended: f.Get("ended") != "", From: f.Get("from"), Text: f.Get("text")})
	}
	if err != nil {
		return nil, err
	}
	if wantsJSON(v.r) {
		return c.postsPage(v), nil
	}
	http.Redirect(v.w, v.r, "/posts", http.StatusSeeOther)
	return nil, errDone
}

func (c *Console) controlRegisters(handle func(pattern string, limit int64, do func(v *visit) (any, error))) {
	handle("GET /api/registers", maxForm, func(v *visit) (any, error) { return c.registers(v) })
	handle("POST /api/registers", 16<<20, func(v *visit) (any, error) {
		noun, dry := v.r.URL.Query().Get("noun"), v.r.URL.Query().Get("dry_run") != ""
		text, err := readAll(v)
		if err != nil {
			return nil, err
		}
		lines, err := readRegister(noun, text)
		if err != nil {
			return nil, err
		}
		fresh, err := c.register(v, lines, dry)
		if err != nil {
			return nil, err
		}
		return Taken{Lines: len(lines), Fresh: fresh, Dry: dry}, nil
	})
	handle("POST /api/assets", maxForm, func(v *visit) (any, error) {
		a, err := told[AssetAct](v)
		if err != nil {
			return nil, err
		}
		o, err := c.unit("thing", assetNoun, v.r.URL.Query().Get("name"))
		if err != nil {
			return nil, err
		}
		if a.Action != "" { // else the asset is only shown
			if err := c.actOnAsset(v, o, a); err != nil {
				return nil, err
			}
		}
		v.r.SetPathValue("ordinal", strconv.FormatUint(uint64(o), 10))
		return c.thing(v)
	})
	handle("GET /api/posts", maxForm, func(v *visit) (any, error) { return c.posts(v) })
	handle("POST /api/posts", maxForm, func(v *visit) (any, error) {
		a, err := told[PostAsk](v)
		if err == nil {
			err = c.appoint(v, a)
		}
		if err != nil {
			return nil, err
		}
		return c.postsPage(v), nil
	})
}

// Taken says what became of a file that was taken in.
type Taken struct {
	Lines    int    `json:"lines"`
	Fresh    int    `json:"fresh"`
	Silent   int    `json:"silent,omitempty"`
	Strange  int    `json:"strange,omitempty"`
	Rejected int    `json:"rejected,omitempty"`
	Dry      bool   `json:"dry_run,omitempty"`
	Entry    uint64 `json:"entry,omitempty"`
	Why      string `json:"why,omitempty"` // the first line that was left out
}

func readAll(v *visit) ([]byte, error) {
	var b strings.Builder
	if _, err := io.Copy(&b, v.r.Body); err != nil {
		return nil, tooLarge(fmt.Errorf("reading a file: %w", err))
	}
	return []byte(b.String()), nil
}
