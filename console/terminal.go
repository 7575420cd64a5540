package console

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"sekisho"
	"sekisho/duty"
)

// Terminals: what an MDM says of each, beside what the gate and the sensors saw,
// and who may work with what outside the house.

// A TerminalsPage lists terminals, those that cannot be trusted first.
type TerminalsPage struct {
	Terminals  []TerminalLine `json:"terminals"`
	Good       int            `json:"good"`
	All        int            `json:"all"`
	Permits    []OffsiteLine  `json:"permits"`
	May        bool           `json:"-"`
	Categories []string       `json:"-"`
}

func (*TerminalsPage) file() string { return "terminals" }

// Share is how many of all can be trusted, of a thousand; the picture's width.
func (p *TerminalsPage) Share() int {
	if p.All == 0 {
		return 0
	}
	return 1000 * p.Good / p.All
}

// A TerminalLine is one terminal.
type TerminalLine struct {
	Endpoint  string       `json:"endpoint"`
	State     string       `json:"state"` // "good", or why it is not
	Source    string       `json:"source,omitempty"`
	At        sekisho.Time `json:"at,omitempty"`
	Entry     uint64       `json:"entry,omitempty"`
	Managed   string       `json:"managed,omitempty"`
	Encrypted string       `json:"encrypted,omitempty"`
	Patched   string       `json:"patched,omitempty"`
	Offsite   string       `json:"offsite,omitempty"`
	Platform  string       `json:"platform,omitempty"`
	Holder    string       `json:"holder,omitempty"`
	Verified  sekisho.Time `json:"verified,omitempty"` // the last session that a certificate proved
	Plain     sekisho.Time `json:"plain,omitempty"`    // the last one without
	Malware   sekisho.Time `json:"malware,omitempty"`
	Reported  uint64       `json:"reported,omitempty"`
}

// An OffsiteLine is a permit.
type OffsiteLine struct {
	Number     uint64       `json:"number"`
	State      string       `json:"state"`
	Person     string       `json:"person"`
	Endpoint   string       `json:"endpoint"`
	Categories []string     `json:"categories"`
	From       sekisho.Time `json:"from"`
	Until      sekisho.Time `json:"until"`
	Text       string       `json:"text"`
	By         string       `json:"by"`
	Decided    string       `json:"decided,omitempty"`
	CanDecide  bool         `json:"can_decide"`
	CanEnd     bool         `json:"can_end"`
}

func (c *Console) terminalsPage(v *visit) *TerminalsPage {
	now := sekisho.At(c.cfg.Now())
	p := &TerminalsPage{Terminals: []TerminalLine{}, Permits: []OffsiteLine{}, May: c.mayDecide(v.who)}
	for _, k := range sekisho.AllCategories() {
		p.Categories = append(p.Categories, k.String())
	}
	c.cfg.Views.Read(func() {
		for _, t := range c.cfg.Checks.Terminals() {
			l := TerminalLine{Endpoint: t.Endpoint, Entry: t.Entry, Verified: t.Verified, Plain: t.Plain, Malware: t.Malware, Reported: t.Reported, State: t.State(now)}
			if x := t.Posture; x != nil {
				l.Source, l.At, l.Managed, l.Encrypted, l.Patched, l.Offsite, l.Platform, l.Holder = x.Source, x.At, x.Managed, x.Encrypted, x.Patched, x.Offsite, x.Platform, c.named("staff", x.Holder)
			}
			if p.All++; l.State == "good" {
				p.Good++
			}
			p.Terminals = append(p.Terminals, l)
		}
		for _, o := range c.cfg.Checks.Permits() {
			b := o.Body
			l := OffsiteLine{Number: o.Number, State: o.State(now), Person: c.named("staff", b.Person), Endpoint: b.Endpoint, Categories: b.Categories.Names(), From: b.From, Until: b.Until, Text: c.said(b.Said), By: c.named("staff", b.By)}
			if o.Decided != nil {
				l.Decided = c.named("staff", o.Decided.By)
			}
			l.CanDecide = l.State == "asked" && c.mayDecide(v.who) && !c.same(v, l.By) && !c.same(v, l.Person)
			l.CanEnd = l.State == "approved" && (c.mayDecide(v.who) || c.same(v, l.Person))
			p.Permits = append(p.Permits, l)
		}
	})
	slices.SortStableFunc(p.Terminals, func(a, b TerminalLine) int {
		one, two := a.State == "good", b.State == "good"
		if one != two {
			return map[bool]int{false: -1, true: 1}[one]
		}
		return strings.Compare(a.Endpoint, b.Endpoint)
	})
	p.Terminals = p.Terminals[:min(len(p.Terminals), 1000)]
	slices.SortStableFunc(p.Permits, func(a, b OffsiteLine) int {
		rank := []string{"asked", "approved", "rejected", "ended"}
		return cmp.Or(slices.Index(rank, a.State)-slices.Index(rank, b.State), cmp.Compare(b.Number, a.Number))
	})
	p.Permits = p.Permits[:min(len(p.Permits), maxListed)]
	return p
}

func (c *Console) terminals(v *visit) (page, error) {
	if err := c.checksReady(); err != nil {
		return nil, err
	}
	return c.terminalsPage(v), nil
}

// tri reads a yes or no as MDMs write it.
func tri(s string) string {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "yes", "true", "1", "compliant", "encrypted", "managed", "はい":
		return "yes"
	case "no", "false", "0", "noncompliant", "not compliant", "not encrypted", "unmanaged", "いいえ":
		return "no"
	}
	return "unknown"
}

// readPostures takes in what an MDM exports: CSV with a column for the name by
// which the gate knows the terminal, and any of managed, encrypted, patched,
// offsite, platform, holder, at. With dry nothing is written.
func (c *Console) readPostures(v *visit, source string, text []byte, dry bool) (Taken, error) {
	t := Taken{Dry: dry}
	if err := c.checksReady(); err != nil {
		return t, err
	}
	if !c.mayDecide(v.who) {
		return t, fail(http.StatusForbidden, "export_role")
	}
	if source == "" || len(source) > 60 {
		return t, fail(http.StatusBadRequest, "terminal_csv")
	}
	r := csv.NewReader(strings.NewReader(strings.TrimPrefix(string(text), "\ufeff")))
	r.FieldsPerRecord = -1
	head, err := r.Read()
	if err != nil {
		return t, fail(http.StatusBadRequest, "terminal_csv")
	}
	at := func(names ...string) int {
		return slices.IndexFunc(head, func(h string) bool { return slices.Contains(names, strings.ToLower(strings.TrimSpace(h))) })
	}
	name, managed, encrypted, patched := at("endpoint", "terminal", "device name", "hostname"), at("managed", "management state"), at("encrypted", "encryption"), at("patched", "compliance", "os up to date")
	offsite, platform, holder, when := at("offsite", "off-site"), at("platform", "os", "os version"), at("holder", "user", "primary user upn"), at("at", "last check-in", "last sync")
	if name < 0 {
		return t, fail(http.StatusBadRequest, "terminal_csv")
	}
	now := sekisho.At(c.cfg.Now())
	var bodies []sekisho.Body
	for {
		row, err := r.Read()
		if err == io.EOF {
			break
		}
		if t.Lines++; t.Lines > 200_000 {
			return t, fail(http.StatusBadRequest, "terminal_csv")
		}
		cell := func(i int) string {
			if i < 0 || i >= len(row) {
				return ""
			}
			return strings.TrimSpace(row[i])
		}
		endpoint := ""
		if err == nil {
			endpoint = strings.ToLower(cell(name))
		}
		if endpoint == "" || len(endpoint) > 200 || strings.ContainsFunc(endpoint, func(r rune) bool { return r <= ' ' }) {
			if t.Rejected++; t.Why == "" {
				t.Why = v.say("terminal.rejected", number(t.Lines+1))
			}
			continue
		}
		b := &sekisho.PostureSeen{Source: source, Endpoint: endpoint, At: now, Managed: tri(cell(managed)), Encrypted: tri(cell(encrypted)), Patched: tri(cell(patched)), Offsite: tri(cell(offsite)),
			Platform: strings.ToValidUTF8(cell(platform)[:min(len(cell(platform)), 80)], ""), By: v.who.staff}
		if s := cell(when); s != "" {
			if b.At, err = c.moment(v, s); err != nil || b.At > now {
				if t.Rejected++; t.Why == "" {
					t.Why = v.say("terminal.rejected", number(t.Lines+1))
				}
				continue
			}
		}
		if who := cell(holder); who != "" {
			b.Holder, _ = c.cfg.Vault.Space("staff").Find(who)
		}
		if b.Thing = c.cfg.Vault.Space("thing").OfText([]byte("terminal/" + endpoint)); b.Thing == 0 {
			return t, fmt.Errorf("taking postures in: the vault takes no more")
		}
		bodies = append(bodies, b)
	}
	t.Fresh = len(bodies)
	if dry {
		return t, nil
	}
	for from := 0; from < len(bodies); from += 500 {
		if _, err := c.cfg.Ledger.Append(v.r.Context(), bodies[from:min(from+500, len(bodies))]...); err != nil {
			return t, notRecorded(err)
		}
	}
	return t, c.cfg.Views.WaitFor(v.r.Context(), c.cfg.Ledger.Last())
}

// An OffsiteAsk asks for a permit to work outside, or answers one.
type OffsiteAsk struct {
	Permit     uint64   `json:"permit,omitempty"`
	Action     string   `json:"action"` // "asked", "approved", "rejected", "ended"
	Person     string   `json:"person,omitempty"`
	Endpoint   string   `json:"endpoint,omitempty"`
	Categories []string `json:"categories,omitempty"`
	From       string   `json:"from,omitempty"`
	Until      string   `json:"until,omitempty"`
	Text       string   `json:"text,omitempty"`
}

func (c *Console) offsite(v *visit, a OffsiteAsk) error {
	if err := c.checksReady(); err != nil {
		return err
	}
	c.deciding.Lock()
	defer c.deciding.Unlock()
	b := &sekisho.OffsiteDecided{Permit: a.Permit, Action: a.Action, By: v.who.staff}
	var err error
	now := sekisho.At(c.cfg.Now())
	if a.Permit != 0 {
		var line *OffsiteLine
		for _, l := range c.terminalsPage(v).Permits {
			if l.Number == a.Permit {
				line = &l
			}
		}
		switch {
		case line == nil:
			return fail(http.StatusNotFound, "offsite")
		case (a.Action == "approved" || a.Action == "rejected") && line.CanDecide, a.Action == "ended" && line.CanEnd:
		default:
			return fail(http.StatusForbidden, "offsite_decide")
		}
	} else {
		b.Action = "asked"
		if b.Person, err = c.account(a.Person); err != nil {
			return err
		}
		if b.Person == 0 {
			b.Person = v.who.staff
		}
		for _, name := range a.Categories {
			k, err := sekisho.ParseCategory(name)
			if err != nil {
				return fail(http.StatusBadRequest, "offsite_what")
			}
			b.Categories |= k
		}
		if b.From, err = c.moment(v, a.From); err != nil {
			return err
		}
		if b.Until, err = c.moment(v, a.Until); err != nil {
			return err
		}
		if b.From == 0 {
			b.From = now
		}
		b.Endpoint = strings.ToLower(strings.TrimSpace(a.Endpoint))
		if b.Endpoint == "" || len(b.Endpoint) > 200 || b.Categories == 0 || b.Until <= b.From || b.Until <= now || b.Until > now+366*24*3600e6 || strings.TrimSpace(a.Text) == "" || len(a.Text) > maxSaid {
			return fail(http.StatusBadRequest, "offsite_what")
		}
		state := "unknown"
		c.cfg.Views.Read(func() { state = c.cfg.Checks.OffsiteReady(b.Endpoint, now) })
		if state != "" {
			return fail(http.StatusConflict, "offsite_terminal", v.code("terminal.state", state))
		}
	}
	if b.Said, err = c.write(a.Text); err != nil {
		return err
	}
	_, err = c.enter(v, b)
	return err
}

func (c *Console) terminalForm(v *visit) (page, error) {
	if strings.HasPrefix(v.r.Header.Get("Content-Type"), "multipart/") {
		text, err := fileOf(v, maxScanUpload)
		if err != nil {
			return nil, err
		}
		if _, err := c.readPostures(v, cmp.Or(strings.TrimSpace(v.r.FormValue("source")), "mdm"), text, false); err != nil {
			return nil, err
		}
	} else {
		if err := v.r.ParseForm(); err != nil {
			return nil, tooLarge(err)
		}
		f := v.r.PostForm
		a := OffsiteAsk{Action: f.Get("action"), Person: f.Get("person"), Endpoint: f.Get("endpoint"), Categories: f["categories"], From: f.Get("from"), Until: f.Get("until"), Text: f.Get("text")}
		if s := f.Get("permit"); s != "" {
			var err error
			if a.Permit, err = strconv.ParseUint(s, 10, 64); err != nil {
				return nil, fail(http.StatusNotFound, "offsite")
			}
		}
		if err := c.offsite(v, a); err != nil {
			return nil, err
		}
	}
	if wantsJSON(v.r) {
		return c.terminalsPage(v), nil
	}
	http.Redirect(v.w, v.r, "/terminals", http.StatusSeeOther)
	return nil, errDone
}

// readNames takes in a Zeek log of names asked for (dns.log) or of servers
// spoken to (ssl.log): the services outside that our machines use.
func (c *Console) readNames(v *visit, sensor string, text []byte, dry bool) (Taken, error) {
	t := Taken{Dry: dry}
	if err := c.checksReady(); err != nil {
		return t, err
	}
	if !c.mayDecide(v.who) {
		return t, fail(http.StatusForbidden, "export_role")
	}
	if sensor == "" || len(sensor) > 60 {
		return t, fail(http.StatusBadRequest, "names_log")
	}
	read, err := duty.ReadNames(text, c.cfg.EndpointAt)
	if err != nil {
		return t, &failure{status: http.StatusBadRequest, key: "names_log", cause: err}
	}
	t.Lines, t.Rejected = read.Lines, read.Rejected
	var bodies []sekisho.Body
	c.cfg.Views.Read(func() {
		for _, one := range read.Services {
			b := one.Seen(sensor, c.cfg.Vault.Space("thing"))
			if b == nil {
				continue
			}
			// The same log twice is the same days: what is known of a day stays.
			if s := c.cfg.Checks.Service(b.Thing); s != nil && s.Last >= b.Last {
				continue
			}
			bodies = append(bodies, b)
		}
	})
	t.Fresh = len(bodies)
	if dry || len(bodies) == 0 {
		return t, nil
	}
	for from := 0; from < len(bodies); from += 500 {
		if _, err := c.cfg.Ledger.Append(v.r.Context(), bodies[from:min(from+500, len(bodies))]...); err != nil {
			return t, notRecorded(err)
		}
	}
	return t, c.cfg.Views.WaitFor(v.r.Context(), c.cfg.Ledger.Last())
}
