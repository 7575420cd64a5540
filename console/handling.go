package console

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"

	"sekisho"
	"sekisho/catalog"
	"sekisho/duty"
	"sekisho/vault"
)

// HandlingDocument is the name of the document whose version in force says how
// information is handled. Its sort is the same.
const HandlingDocument = "handling"

// Handling is what holds of the categories now.
type Handling struct {
	Rules    *catalog.Handling // in force; by those that nobody approved nothing is allowed
	Version  uint64            // the DocumentWritten in force; 0: none is
	Proposed *catalog.Handling // of the config's file
	Used     sekisho.Categories
	OffSite  bool // the gate enforces them
	// ListOf are the categories of a list of the people of a space.
	ListOf map[string]sekisho.Categories
}

// TextOf is a version's text in a language; "" if it has none, or if it is not
// the one whose SHA-256 the ledger has.
func TextOf(v *vault.Vault, one *duty.Version, lang string) string { return textOf(v, one, lang) }

// checkHandlingText: what is approved as handling rules must be rules, the same in
// both languages.
func checkHandlingText(a *DocumentAsk) error {
	if a.Sort != HandlingDocument && a.Name != HandlingDocument {
		return nil
	}
	if a.Sort != a.Name {
		return fail(http.StatusBadRequest, "handling_name")
	}
	en, err := catalog.HandlingOf(a.English)
	if err != nil {
		return fail(http.StatusBadRequest, "handling_text", "en", err.Error())
	}
	ja, err := catalog.HandlingOf(a.Japanese)
	if err != nil {
		return fail(http.StatusBadRequest, "handling_text", "ja", err.Error())
	}
	if en.SHA256 != ja.SHA256 {
		return fail(http.StatusBadRequest, "handling_differ")
	}
	return nil
}

// A HandlingPage says what may be done with information of each category.
type HandlingPage struct {
	Edition   string         `json:"edition"`
	Effective string         `json:"effective"`
	Source    string         `json:"source"`
	SHA256    string         `json:"sha256"`
	Version   uint64         `json:"version"` // of the document; 0: nobody has approved any
	Since     sekisho.Time   `json:"since,omitempty"`
	OffSite   bool           `json:"offsite_enforced"`
	Proposed  string         `json:"proposed,omitempty"` // another edition, in the config's file
	Waits     uint64         `json:"waits,omitempty"`    // a version that is to be approved
	Acts      []string       `json:"-"`
	Rows      []HandlingRow  `json:"categories"`
	Stores    []HandlingShop `json:"stores"`
	Labels    []LabelLine    `json:"labels"` // the latest
	May       bool           `json:"-"`
}

func (*HandlingPage) file() string { return "handling" }

// A HandlingRow is what holds of one category.
type HandlingRow struct {
	Category string         `json:"category"`
	Name     catalog.Say    `json:"name"`
	Says     string         `json:"-"`
	Class    string         `json:"class"`
	Classed  string         `json:"-"`
	Rank     string         `json:"-"` // the look of the class
	Used     bool           `json:"used"`
	Missing  bool           `json:"missing,omitempty"`
	Cells    []HandlingCell `json:"acts"`
}

// A HandlingCell is what holds of one act.
type HandlingCell struct {
	Act  string      `json:"act"`
	Name string      `json:"-"`
	May  string      `json:"may,omitempty"`
	Says catalog.Say `json:"says"`
	Text string      `json:"-"`
}

// A HandlingShop is one protected table.
type HandlingShop struct {
	Name    string `json:"name"`
	Columns uint64 `json:"columns"`
	Unnamed uint64 `json:"without_category"`
}

// A LabelLine is the label of something that left.
type LabelLine struct {
	Number     uint64       `json:"number"`
	Time       sekisho.Time `json:"taken"`
	What       string       `json:"what"`
	Form       string       `json:"form"`
	About      uint64       `json:"about,omitempty"`
	Categories []string     `json:"categories"`
	Class      string       `json:"class"`
	Edition    string       `json:"edition"`
	SHA256     string       `json:"rules_sha256"`
	Until      sekisho.Time `json:"keep_until,omitempty"`
	Over       bool         `json:"over"` // a copy should be no more
	By         string       `json:"by"`
	Line       string       `json:"line"`
}

// A LabelPage is one label.
type LabelPage struct{ LabelLine }

func (*LabelPage) file() string { return "label" }

// handlingRows are the rules in a tongue, those of the catalog's own categories
// first.
func handlingRows(h *catalog.Handling, used sekisho.Categories, t *tongue) (rows []HandlingRow) {
	lang := t.Lang
	for _, c := range sekisho.AllCategories() {
		r := h.Rule(c)
		if r.Missing && used&c == 0 {
			continue
		}
		rank := slices.IndexFunc(h.Classes, func(one catalog.Coded) bool { return one.ID == r.Class })
		row := HandlingRow{Category: r.Category, Name: r.Name, Says: r.Name.In(lang), Class: r.Class, Classed: catalog.SayOf(h.Classes, r.Class).In(lang), Used: used&c != 0, Missing: r.Missing}
		if r.Missing { // nobody has written down what it is called
			row.Says = t.code("category", r.Category)
		}
		switch rank {
		case len(h.Classes) - 1:
			row.Rank = "alarm"
		case 0:
			row.Rank = "good"
		default:
			row.Rank = "warn"
		}
		for _, act := range catalog.HandlingActs() {
			cell := HandlingCell{Act: act, Name: catalog.ActName(act).In(lang), Says: catalog.Say{En: h.Cell(&r, act, "en"), Ja: h.Cell(&r, act, "ja")}, Text: h.Cell(&r, act, lang)}
			for _, a := range r.Acts() {
				if a.Act == act {
					cell.May = a.May.May
				}
			}
			row.Cells = append(row.Cells, cell)
		}
		rows = append(rows, row)
	}
	slices.SortStableFunc(rows, func(a, b HandlingRow) int {
		if a.Used == b.Used {
			return 0
		}
		if a.Used {
			return -1
		}
		return 1
	})
	return rows
}

func (c *Console) handlingReady() error {
	if c.cfg.Handling == nil || c.cfg.Duty == nil {
		return fail(http.StatusNotFound, "handling_none")
	}
	return nil
}

func (c *Console) handling(v *visit) (page, error) {
	if err := c.handlingReady(); err != nil {
		return nil, err
	}
	now := c.cfg.Handling()
	h := now.Rules
	p := &HandlingPage{Edition: h.Edition, Effective: h.Effective, Source: h.Source, SHA256: hex.EncodeToString(h.SHA256[:]), Version: now.Version, OffSite: now.OffSite,
		Rows: handlingRows(h, now.Used, v.tongue), Stores: []HandlingShop{}, Labels: []LabelLine{}, May: c.mayDecide(v.who)}
	for _, act := range catalog.HandlingActs() {
		p.Acts = append(p.Acts, catalog.ActName(act).In(v.Lang))
	}
	if now.Proposed.SHA256 != h.SHA256 || now.Version == 0 {
		p.Proposed = now.Proposed.Edition
	}
	c.cfg.Views.Read(func() {
		if last, _ := c.cfg.Duty.HandlingRead(); last != nil {
			for i, s := range last.Stores {
				p.Stores = append(p.Stores, HandlingShop{c.named("thing", s), last.Columns[i], last.Unnamed[i]})
			}
		}
		if one, _ := c.cfg.Duty.Version(now.Version); one != nil {
			p.Since = one.From
		}
		if o, ok := c.cfg.Vault.Space("thing").Find(documentSpace + HandlingDocument); ok {
			if d := c.cfg.Duty.Document(o); d != nil {
				if one := d.Versions[len(d.Versions)-1]; one.State(c.approvals(one)) == duty.VersionDraft || one.State(c.approvals(one)) == duty.VersionApproved {
					p.Waits = one.Number
				}
			}
		}
		for _, l := range c.cfg.Duty.Labels() {
			p.Labels = append(p.Labels, c.labelLine(l))
		}
	})
	slices.Reverse(p.Labels)
	if len(p.Labels) > 50 {
		p.Labels = p.Labels[:50]
	}
	return p, nil
}

func (c *Console) labelLine(l duty.Label) LabelLine {
	b, by := l.Body, c.named("staff", l.Body.By)
	return LabelLine{Number: l.Seq, Time: l.At, What: b.What, Form: b.Form, About: b.About, Categories: append([]string{}, b.Categories.Names()...), Class: b.Class, Edition: b.Edition,
		SHA256: hex.EncodeToString(b.SHA256[:]), Until: b.Until, Over: b.Until != 0 && b.Until <= sekisho.At(c.cfg.Now()), By: by, Line: catalog.LabelLine(b, l.Seq, l.At, by)}
}

func (c *Console) handlingLabel(v *visit) (page, error) {
	if err := c.handlingReady(); err != nil {
		return nil, err
	}
	n, err := v.pathNumber("number", "label")
	if err != nil {
		return nil, err
	}
	if err := c.cfg.Views.WaitFor(v.r.Context(), c.cfg.Ledger.Last()); err != nil {
		return nil, err
	}
	var p *LabelPage
	c.cfg.Views.Read(func() {
		if l, ok := c.cfg.Duty.Label(n); ok {
			p = &LabelPage{c.labelLine(l)}
		}
	})
	if p == nil {
		return nil, fail(http.StatusNotFound, "label")
	}
	return p, nil
}

// handlingPropose keeps the rules of the config's file as a version that is to be
// approved.
func (c *Console) handlingPropose(v *visit) (uint64, error) {
	if err := c.handlingReady(); err != nil {
		return 0, err
	}
	if !c.mayDecide(v.who) {
		return 0, fail(http.StatusForbidden, "export_role")
	}
	h := c.cfg.Handling().Proposed
	return c.writeDocument(v, DocumentAsk{Name: HandlingDocument, Sort: HandlingDocument, English: h.Markdown("en"), Japanese: h.Markdown("ja"), Said: h.Edition})
}

func (c *Console) handlingProposeForm(v *visit) (page, error) {
	n, err := c.handlingPropose(v)
	if err != nil {
		return nil, err
	}
	http.Redirect(v.w, v.r, fmt.Sprintf("/documents/%s?version=%d", HandlingDocument, n), http.StatusSeeOther)
	return nil, errDone
}

func (c *Console) controlHandling(handle func(pattern string, limit int64, do func(v *visit) (any, error))) {
	handle("GET /api/handling", maxForm, func(v *visit) (any, error) { return c.handling(v) })
	handle("GET /api/handling/labels/{number}", maxForm, func(v *visit) (any, error) { return c.handlingLabel(v) })
	handle("POST /api/handling/propose", maxForm, func(v *visit) (any, error) {
		n, err := c.handlingPropose(v)
		if err != nil {
			return nil, err
		}
		return c.documentPage(v, HandlingDocument, n)
	})
}

// gives makes a download of what follows: its name, its kind, and its label,
// which is in the ledger before this returns.
func (c *Console) gives(v *visit, name, media, what, form string, about uint64, of sekisho.Categories) error {
	h := v.w.Header()
	if c.cfg.Handling != nil {
		at := sekisho.At(c.cfg.Now())
		l := c.cfg.Handling().Rules.Label(what, form, of, at, v.who.staff)
		l.About = about
		id, err := c.cfg.Ledger.Append(v.r.Context(), l)
		if err != nil {
			return notRecorded(err)
		}
		name = catalog.LabelledName(name, l, id.Seq)
		h.Set("Sekisho-Label", catalog.LabelLine(l, id.Seq, at, v.who.name))
	}
	h.Set("Content-Type", media)
	h.Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", name))
	h.Set("Cache-Control", "no-store")
	return nil
}

// listOf are the categories of a list of people.
func (c *Console) listOf(space string) sekisho.Categories {
	if c.cfg.Handling == nil {
		return sekisho.Identity
	}
	all := c.cfg.Handling().ListOf
	if of, ok := all[space]; ok {
		return of
	}
	of := sekisho.Unclassified
	for _, one := range all { // whichever is meant
		of |= one
	}
	return of
}

// namesCustomers are the pages that may show somebody's data: printed, they are
// of the strictest class that the catalog's categories have.
var namesCustomers = []string{"live", "search", "customer", "person", "endpoint", "entry", "incident", "room", "brief", "tell", "draft", "mailing", "desk", "desk_enquiry", "export", "exports", "directory", "directory_person"}

// printLabel is what stands on a printed page.
func (c *Console) printLabel(v *visit, page string) string {
	now := c.cfg.Handling()
	class := now.Rules.Classes[0].ID
	if slices.Contains(namesCustomers, page) {
		if strictest, _, ok := now.Rules.Class(now.Used); ok {
			class = strictest
		}
	}
	return v.say("handling.printed", catalog.SayOf(now.Rules.Classes, class).In(v.Lang), v.who.name, now.Rules.Edition)
}
