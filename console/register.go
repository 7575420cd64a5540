package console

import (
	"cmp"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"sekisho"
	"sekisho/duty"
)

// registerNouns are the registers, each a list of things.
var registerNouns = []string{"supplier", "contract", "server", "cloud", "council", "membership", "certificate", "law", "audit_scope", "store", assetNoun}

// A RegisterLine is a line of a register. Names, addresses and whatever else is
// told stand in Fields, which the vault keeps.
type RegisterLine struct {
	Noun    string            `json:"noun"`
	Name    string            `json:"name"`
	Ordinal uint32            `json:"ordinal,omitempty"`
	Entry   uint64            `json:"entry,omitempty"`
	Time    sekisho.Time      `json:"time,omitempty"`
	Owner   string            `json:"owner,omitempty"`
	Unit    string            `json:"unit,omitempty"`
	Of      string            `json:"of,omitempty"` // of a contract: the supplier
	Traits  []string          `json:"traits,omitempty"`
	Members []string          `json:"members,omitempty"`
	From    sekisho.Time      `json:"from,omitempty"`
	Until   sekisho.Time      `json:"until,omitempty"`
	Fields  map[string]string `json:"fields,omitempty"`
	Retired bool              `json:"retired,omitempty"`
	State   string            `json:"state"` // "assessed", "due", "unassessed", "ended", "valid", "declared", "retired", "registered"
	Check   uint64            `json:"check,omitempty"`
	Good    sekisho.Time      `json:"good,omitempty"`
	Seen    sekisho.Time      `json:"seen,omitempty"` // of a cloud service: when a sensor saw it last
	Papers  []PaperLine       `json:"papers,omitempty"`
	Reads   *ReadsLine        `json:"reads,omitempty"`
	Lines   []uint64          `json:"lines,omitempty"` // every entry about it
}

// A ReadsLine is what the logins of a supplier's people read at the gate.
type ReadsLine struct {
	Logins    int          `json:"logins"`
	Accesses  uint64       `json:"accesses"`
	Customers uint64       `json:"customers"` // at most: somebody whom two logins read counts twice
	AnyRow    uint64       `json:"any_row"`
	Last      sekisho.Time `json:"last,omitempty"`
}

// A RegistersPage lists one register, what needs somebody first.
type RegistersPage struct {
	Noun   string         `json:"noun"`
	Nouns  []string       `json:"-"`
	Lines  []RegisterLine `json:"lines"`
	Seen   []RegisterLine `json:"seen,omitempty"` // services that a sensor saw and nobody registered
	May    bool           `json:"-"`
	People []string       `json:"-"`
}

func (*RegistersPage) file() string { return "registers" }

// Blank is a line to fill in.
func (p *RegistersPage) Blank() RegisterLine { return RegisterLine{Noun: p.Noun} }

// A ThingPage is one line of a register with its papers and checks.
type ThingPage struct {
	RegisterLine
	Asset  *AssetLine    `json:"asset,omitempty"`
	Checks []CheckLine   `json:"checks"`
	Found  []FindingLine `json:"found"`
	May    bool          `json:"-"`
	Kinds  []string      `json:"-"`
}

func (*ThingPage) file() string { return "thing" }

// Reviewed is the noun of the checks that a line needs; "" for none.
func reviewed(noun string) string {
	return map[string]string{"supplier": "supplier", "contract": "contract", "cloud": "cloud", "council": "meeting", "law": "legal", "audit_scope": "audit", "server": "pentest"}[noun]
}

// A RegisterAsk registers or changes a line. Dates are as people type them.
type RegisterAsk struct {
	Noun    string            `json:"noun"`
	Name    string            `json:"name"`
	Owner   string            `json:"owner,omitempty"`
	Unit    string            `json:"unit,omitempty"`
	Of      string            `json:"of,omitempty"`
	Traits  []string          `json:"traits,omitempty"`
	Members []string          `json:"members,omitempty"`
	From    string            `json:"from,omitempty"`
	Until   string            `json:"until,omitempty"`
	Fields  map[string]string `json:"fields,omitempty"`
	Retire  bool              `json:"retire,omitempty"`
}

func (c *Console) thingLine(t *duty.Thing, now sekisho.Time) RegisterLine {
	b := t.Body
	l := RegisterLine{Noun: b.Noun, Name: strings.TrimPrefix(c.named("thing", t.Ordinal), b.Noun+"/"), Ordinal: t.Ordinal, Entry: t.Entry, Time: t.At, Owner: c.named("staff", b.Owner),
		Traits: b.Traits, Members: c.staffNames(b.Members), From: b.From, Until: b.Until, Retired: t.Retired(), State: "registered"}
	if b.Unit != 0 {
		l.Unit = c.unitLine("unit", b.Unit).Say()
	}
	if b.Of != 0 {
		l.Of = strings.TrimPrefix(c.named("thing", b.Of), "supplier/")
	}
	if text, ok := c.cfg.Vault.Space("document").Key(b.Fields); ok {
		json.Unmarshal([]byte(text), &l.Fields)
	}
	if s := c.cfg.Checks.Service(t.Ordinal); s != nil {
		l.Seen = s.Last
	}
	proven := slices.ContainsFunc(t.Papers, func(p duty.Paper) bool { return p.Body.What == "certificate" })
	switch check := c.cfg.Checks.Assessed(t.Ordinal, reviewed(b.Noun), now); {
	case l.Retired:
		l.State = "retired"
	case b.Noun == assetNoun:
		l.State = c.cfg.Checks.AssetState(t, now)
	case b.Until != 0 && b.Until <= now:
		l.State = "ended"
	case b.Noun == "membership" || b.Noun == "certificate":
		if l.State = "declared"; proven {
			l.State = "valid"
		}
	case check != nil:
		l.State, l.Check, l.Good = "assessed", check.Number, check.Good
	case reviewed(b.Noun) != "":
		l.State = "unassessed"
	}
	return l
}

func registerRank(state string) int {
	return slices.Index([]string{"ended", "missing", "disputed", "overdue", "destroying", "unassessed", "unseen", "declared", "damaged", "elsewhere", "registered", "valid", "assessed", "seen", "destroyed", "retired"}, state)
}

func (c *Console) registersPage(v *visit, noun string) *RegistersPage {
	now := sekisho.At(c.cfg.Now())
	p := &RegistersPage{Noun: noun, Nouns: registerNouns, Lines: []RegisterLine{}, May: c.mayDecide(v.who)}
	c.cfg.Views.Read(func() {
		for _, t := range c.cfg.Checks.Things(noun) {
			l := c.thingLine(t, now)
			if noun == "supplier" {
				l.Reads = c.reads(t)
			}
			p.Lines = append(p.Lines, l)
		}
		if noun == "cloud" {
			for _, s := range c.cfg.Checks.Services() {
				if c.cfg.Checks.Thing(s.Ordinal) == nil {
					p.Seen = append(p.Seen, RegisterLine{Noun: "cloud", Name: strings.TrimPrefix(c.named("thing", s.Ordinal), "cloud/"), Ordinal: s.Ordinal, Entry: s.Entry, State: "unassessed", Seen: s.Last,
						Fields: map[string]string{"machines": number(s.Machines), "days": number(s.Days), "times": number(s.Times)}})
				}
			}
		}
	})
	slices.SortStableFunc(p.Lines, func(a, b RegisterLine) int {
		return cmp.Or(registerRank(a.State)-registerRank(b.State), strings.Compare(a.Name, b.Name))
	})
	slices.SortStableFunc(p.Seen, func(a, b RegisterLine) int { return cmp.Compare(b.Seen, a.Seen) })
	return p
}

// reads measures what the logins of a supplier's people read at the gate, over
// all spaces of customers, from the accesses of a year back.
func (c *Console) reads(t *duty.Thing) *ReadsLine {
	r := &ReadsLine{Logins: len(t.Body.Members)}
	since := sekisho.At(c.cfg.Now().AddDate(-1, 0, 0))
	for _, m := range t.Body.Members {
		for _, space := range c.cfg.Trace.Spaces() {
			for _, d := range c.cfg.Trace.ByPrincipal(space, m, 0) {
				if d.Start < since {
					continue
				}
				r.Accesses += d.Accesses
				r.Customers += d.Customers
				r.AnyRow += d.AnyRow
				r.Last = max(r.Last, d.Start)
			}
		}
	}
	return r
}

func (c *Console) registers(v *visit) (page, error) {
	if err := c.checksReady(); err != nil {
		return nil, err
	}
	noun := cmp.Or(v.r.URL.Query().Get("noun"), "supplier")
	if !slices.Contains(registerNouns, noun) {
		return nil, fail(http.StatusNotFound, "register_noun", noun)
	}
	if v.r.URL.Query().Get("form") == "csv" {
		return nil, c.registerCSV(v, noun)
	}
	return c.registersPage(v, noun), nil
}

func (c *Console) thing(v *visit) (page, error) {
	if err := c.checksReady(); err != nil {
		return nil, err
	}
	o, err := strconv.ParseUint(v.r.PathValue("ordinal"), 10, 32)
	if err != nil {
		return nil, fail(http.StatusNotFound, "register_thing")
	}
	now := sekisho.At(c.cfg.Now())
	var of sekisho.Categories
	c.cfg.Views.Read(func() {
		if t := c.cfg.Checks.Thing(uint32(o)); t != nil {
			of = held(t.Body.Traits)
		}
	})
	witnesses := c.witnesses(of)
	var p *ThingPage
	c.cfg.Views.Read(func() {
		t := c.cfg.Checks.Thing(uint32(o))
		if t == nil {
			return
		}
		p = &ThingPage{RegisterLine: c.thingLine(t, now), May: c.mayDecide(v.who), Kinds: []string{"certificate", "contract", "competence", "proof", "report"}, Checks: []CheckLine{}, Found: []FindingLine{}}
		p.Papers, p.Lines = c.paperLines(t.Papers), t.Lines
		if t.Body.Noun == "supplier" {
			p.Reads = c.reads(t)
		}
		if t.Body.Noun == assetNoun {
			p.Asset = c.assetLine(v, t, witnesses)
		}
		for _, one := range c.cfg.Checks.All() {
			if one.Body.Space == "thing" && slices.Contains(one.Body.Units, t.Ordinal) {
				p.Checks = append(p.Checks, c.checkLine(v, one, now))
			}
		}
		for _, f := range c.cfg.Checks.Found() {
			if f.Body != nil && f.Body.Space == "thing" && f.Body.Unit == t.Ordinal {
				p.Found = append(p.Found, c.findingLine(f, now))
			}
		}
	})
	if p == nil {
		return nil, fail(http.StatusNotFound, "register_thing")
	}
	return p, nil
}

// registered makes the entry of a line, or nil if it says nothing new.
func (c *Console) registered(v *visit, a RegisterAsk) (*sekisho.Registered, error) {
	a.Name = strings.TrimSpace(a.Name)
	if !slices.Contains(registerNouns, a.Noun) {
		return nil, fail(http.StatusBadRequest, "register_noun", a.Noun)
	}
	if a.Name == "" || len(a.Name) > 200 || strings.ContainsFunc(a.Name, func(r rune) bool { return r < ' ' }) {
		return nil, fail(http.StatusBadRequest, "register_name")
	}
	b := &sekisho.Registered{Noun: a.Noun, Action: "registered", By: v.who.staff}
	if b.Thing = c.cfg.Vault.Space("thing").OfText([]byte(a.Noun + "/" + a.Name)); b.Thing == 0 {
		return nil, fmt.Errorf("registering: the vault takes no more")
	}
	var before *sekisho.Registered // entries are never changed
	c.cfg.Views.Read(func() {
		if t := c.cfg.Checks.Thing(b.Thing); t != nil {
			before = t.Body
		}
	})
	if before != nil {
		if b.Action = "changed"; a.Retire {
			again := *before
			again.Action, again.By = "retired", v.who.staff
			return &again, nil
		}
	} else if a.Retire {
		return nil, fail(http.StatusNotFound, "register_thing")
	}
	var err error
	if b.Owner, err = c.account(a.Owner); err != nil {
		return nil, err
	}
	if strings.TrimSpace(a.Unit) != "" {
		if b.Unit, err = c.unit("unit", "", a.Unit); err != nil {
			return nil, err
		}
	}
	if strings.TrimSpace(a.Of) != "" {
		if b.Of, err = c.unit("thing", "supplier", a.Of); err != nil {
			return nil, err
		}
	}
	for _, t := range a.Traits {
		if t = strings.TrimSpace(t); t == "" {
			continue
		}
		if len(t) > 40 || strings.ContainsFunc(t, func(r rune) bool { return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '_') }) {
			return nil, fail(http.StatusBadRequest, "register_trait", t)
		}
		b.Traits = append(b.Traits, t)
	}
	slices.Sort(b.Traits)
	b.Traits = slices.Compact(b.Traits)
	if err := checkAsset(b); err != nil {
		return nil, err
	}
	for _, m := range a.Members {
		o, err := c.account(m)
		if err != nil {
			return nil, err
		}
		if o != 0 && !slices.Contains(b.Members, o) {
			b.Members = append(b.Members, o)
		}
	}
	slices.Sort(b.Members)
	if b.From, err = c.moment(v, a.From); err != nil {
		return nil, err
	}
	if b.Until, err = c.moment(v, a.Until); err != nil {
		return nil, err
	}
	if b.Until != 0 && b.Until <= b.From {
		return nil, fail(http.StatusBadRequest, "room_order")
	}
	for key, value := range a.Fields {
		if value == "" {
			delete(a.Fields, key)
		}
	}
	if len(a.Fields) > 0 {
		text, err := json.Marshal(a.Fields) // by sorted keys: the same fields are the same text
		if err != nil || len(text) > 16<<10 {
			return nil, fail(http.StatusBadRequest, "register_fields")
		}
		if b.Fields = c.cfg.Vault.Space("document").OfText(text); b.Fields == 0 {
			return nil, fmt.Errorf("registering: the vault takes no more")
		}
	}
	if before != nil {
		old := *before
		old.Action, old.By = b.Action, b.By
		if fmt.Sprintf("%+v", old) == fmt.Sprintf("%+v", *b) {
			return nil, nil
		}
	}
	return b, nil
}

// register takes lines into a register: all of them or none. With dry nothing is
// written. It says how many say something new.
func (c *Console) register(v *visit, lines []RegisterAsk, dry bool) (fresh int, err error) {
	if err := c.checksReady(); err != nil {
		return 0, err
	}
	if !c.mayDecide(v.who) {
		return 0, fail(http.StatusForbidden, "export_role")
	}
	c.deciding.Lock()
	defer c.deciding.Unlock()
	if err := c.cfg.Views.WaitFor(v.r.Context(), c.cfg.Ledger.Last()); err != nil {
		return 0, fmt.Errorf("registering: %w", err)
	}
	var bodies []sekisho.Body
	for n, a := range lines {
		b, err := c.registered(v, a)
		if err != nil {
			var f *failure
			if len(lines) > 1 && errors.As(err, &f) && f.status < 500 {
				return 0, fail(f.status, "register_line", number(n+2), v.say("hint."+f.key, f.args...))
			}
			return 0, err
		}
		if b != nil {
			bodies = append(bodies, b)
		}
	}
	if dry || len(bodies) == 0 {
		return len(bodies), nil
	}
	for from := 0; from < len(bodies); from += 500 {
		id, err := c.cfg.Ledger.Append(v.r.Context(), bodies[from:min(from+500, len(bodies))]...)
		if err != nil {
			return 0, notRecorded(err)
		}
		if err := c.cfg.Views.WaitFor(v.r.Context(), id.Seq); err != nil {
			return 0, err
		}
	}
	return len(bodies), c.cfg.Views.WaitFor(v.r.Context(), c.cfg.Ledger.Last())
}

var registerColumns = []string{"name", "owner", "unit", "of", "traits", "members", "from", "until"}

const maxRegisterLines = 20_000

// readRegister reads lines of CSV: the columns that every register has, and
// any others as fields.
func readRegister(noun string, text []byte) (lines []RegisterAsk, err error) {
	r := csv.NewReader(strings.NewReader(strings.TrimPrefix(string(text), "\ufeff")))
	r.TrimLeadingSpace = true
	head, err := r.Read()
	if err != nil || !slices.Contains(head, "name") {
		return nil, fail(http.StatusBadRequest, "register_csv")
	}
	for {
		row, err := r.Read()
		if err == io.EOF {
			return lines, nil
		}
		if err != nil || len(lines) >= maxRegisterLines {
			return nil, fail(http.StatusBadRequest, "register_csv")
		}
		a := RegisterAsk{Noun: noun, Fields: map[string]string{}}
		for i, cell := range row {
			cell = strings.TrimSpace(cell)
			switch strings.ToLower(strings.TrimSpace(head[i])) {
			case "name":
				a.Name = cell
			case "owner":
				a.Owner = cell
			case "unit":
				a.Unit = cell
			case "of":
				a.Of = cell
			case "traits":
				a.Traits = strings.Fields(cell)
			case "members":
				a.Members = strings.Fields(cell)
			case "from":
				a.From = cell
			case "until":
				a.Until = cell
			default:
				if len(head[i]) > 60 {
					return nil, fail(http.StatusBadRequest, "register_csv")
				}
				a.Fields[strings.TrimSpace(head[i])] = cell
			}
		}
		lines = append(lines, a)
	}
}

// registerCSV gives a register out in the form in which it can be taken in.
func (c *Console) registerCSV(v *visit, noun string) error {
	p := c.registersPage(v, noun)
	var more []string
	for _, l := range p.Lines {
		for key := range l.Fields {
			if !slices.Contains(more, key) {
				more = append(more, key)
			}
		}
	}
	slices.Sort(more)
	if err := c.gives(v, noun+".csv", csvMedia, "register", "csv", 0, 0); err != nil {
		return err
	}
	w := csv.NewWriter(v.w)
	w.Write(append(slices.Clone(registerColumns), more...))
	date := func(t sekisho.Time) string {
		if t == 0 {
			return ""
		}
		return t.Go().In(v.zone).Format("2006-01-02")
	}
	for _, l := range p.Lines {
		if l.Retired {
			continue
		}
		row := []string{plainCell(l.Name), l.Owner, plainCell(l.Unit), plainCell(l.Of), strings.Join(l.Traits, " "), strings.Join(l.Members, " "), date(l.From), date(l.Until)}
		for _, key := range more {
			row = append(row, plainCell(l.Fields[key]))
		}
		w.Write(row)
	}
	w.Flush()
	return errDone
}

// plainCell keeps a spreadsheet from taking a text for a formula.
func plainCell(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}

func (c *Console) registerForm(v *visit) (page, error) {
	if strings.HasPrefix(v.r.Header.Get("Content-Type"), "multipart/") {
		if err := v.r.ParseMultipartForm(8 << 20); err != nil {
			return nil, tooLarge(err)
		}
		f, _, err := v.r.FormFile("file")
		if err != nil {
			return nil, fail(http.StatusBadRequest, "register_csv")
		}
		defer f.Close()
		text, err := io.ReadAll(f)
		if err != nil {
			return nil, tooLarge(err)
		}
		noun := v.r.FormValue("noun")
		lines, err := readRegister(noun, text)
		if err != nil {
			return nil, err
		}
		if _, err := c.register(v, lines, false); err != nil {
			return nil, err
		}
		return c.seeRegister(v, noun)
	}
	if err := v.r.ParseForm(); err != nil {
		return nil, tooLarge(err)
	}
	f := v.r.PostForm
	a := RegisterAsk{Noun: f.Get("noun"), Name: f.Get("name"), Owner: f.Get("owner"), Unit: f.Get("unit"), Of: f.Get("of"), Traits: strings.Fields(strings.ReplaceAll(f.Get("traits"), ",", " ")),
		Members: strings.Fields(strings.ReplaceAll(f.Get("members"), ",", " ")), From: f.Get("from"), Until: f.Get("until"), Retire: f.Get("retire") != "", Fields: map[string]string{}}
	for line := range strings.Lines(f.Get("fields")) {
		if key, value, ok := strings.Cut(line, ":"); ok {
			a.Fields[strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
	}
	if _, err := c.register(v, []RegisterAsk{a}, false); err != nil {
		return nil, err
	}
	return c.seeRegister(v, a.Noun)
}

func (c *Console) seeRegister(v *visit, noun string) (page, error) {
	if wantsJSON(v.r) {
		return c.registersPage(v, noun), nil
	}
	http.Redirect(v.w, v.r, "/registers?noun="+noun, http.StatusSeeOther)
	return nil, errDone
}

// thingPaper attaches a document to a line of a register.
func (c *Console) thingPaper(v *visit) (page, error) {
	if err := c.checksReady(); err != nil {
		return nil, err
	}
	o, err := strconv.ParseUint(v.r.PathValue("ordinal"), 10, 32)
	if err != nil {
		return nil, fail(http.StatusNotFound, "register_thing")
	}
	ask, err := paperForm(v)
	if err != nil {
		return nil, err
	}
	if !c.mayDecide(v.who) {
		return nil, fail(http.StatusForbidden, "export_role")
	}
	entry := uint64(0)
	c.cfg.Views.Read(func() {
		if t := c.cfg.Checks.Thing(uint32(o)); t != nil {
			entry = t.Entry
		}
	})
	if entry == 0 {
		return nil, fail(http.StatusNotFound, "register_thing")
	}
	b, err := c.paper(v, entry, ask)
	if err != nil {
		return nil, err
	}
	if _, err := c.enter(v, b); err != nil {
		return nil, err
	}
	http.Redirect(v.w, v.r, fmt.Sprintf("/registers/%d", o), http.StatusSeeOther)
	return nil, errDone
}
