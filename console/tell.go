package console

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"sekisho"
	"sekisho/incident"
	"sekisho/tell"
)

// Telling people: the drafts of an incident, sentence by sentence with what each
// rests on, and who agreed to them. Nobody agrees to their own proposal: people
// are compared, not accounts.

// A TellPage is what can be said about an incident, and to whom it was.
type TellPage struct {
	ID       uint64        `json:"incident"`
	Texts    []TextLine    `json:"texts"`
	Mailings []MailingLine `json:"mailings"`
	Partners []string      `json:"partners,omitempty"`
	Lists    []string      `json:"-"`
	Langs    []string      `json:"-"`
	Relay    bool          `json:"can_send"`
	Edition  string        `json:"edition"`
	Source   string        `json:"source"`
}

func (*TellPage) file() string { return "tell" }

// A TextLine is one text in one language.
type TextLine struct {
	Form     string         `json:"form"`
	Name     string         `json:"name"`
	To       string         `json:"to"`
	About    string         `json:"about,omitempty"`
	Language string         `json:"language"`
	State    tell.TextState `json:"state"` // of the latest version; empty: none was kept
	Text     uint64         `json:"text,omitempty"`
	Unknown  int            `json:"unknown"` // sentences under investigation
	Moved    int            `json:"moved"`   // sentences that the facts would have otherwise than the approved version
	Approved uint64         `json:"approved,omitempty"`
	Handed   sekisho.Time   `json:"handed_over,omitempty"`
}

// A textRow is one text in every language.
type textRow struct {
	Name, About string
	Lines       []TextLine
}

// Rows are the texts, the languages of one beside each other.
func (p *TellPage) Rows() (rows []textRow) {
	for i, l := range p.Texts {
		if i == 0 || l.Form != p.Texts[i-1].Form || l.About != p.Texts[i-1].About {
			rows = append(rows, textRow{Name: l.Name, About: l.About})
		}
		last := &rows[len(rows)-1]
		last.Lines = append(last.Lines, l)
	}
	return rows
}

// A DraftPage is one text: what the facts say now, and the versions.
type DraftPage struct {
	ID       uint64         `json:"incident"`
	Form     string         `json:"form"`
	Name     string         `json:"name"`
	To       string         `json:"to"`
	About    string         `json:"about,omitempty"`
	Language string         `json:"language"`
	Edition  string         `json:"edition"`
	Fields   []DraftField   `json:"fields"`
	Unknown  int            `json:"unknown"`
	State    tell.TextState `json:"state"` // of the latest version
	Text     uint64         `json:"text,omitempty"`
	By       string         `json:"by,omitempty"` // who proposed it
	Own      bool           `json:"own"`
	Decide   bool           `json:"can_decide"`
	Fresh    bool           `json:"-"` // there is something to keep or propose
	Changes  []tell.Change  `json:"changes"`
	Moved    []tell.Change  `json:"moved"` // since it was approved
	Approved uint64         `json:"approved,omitempty"`
	Versions []VersionLine  `json:"versions"`
	Partners []string       `json:"-"`
	Langs    []string       `json:"-"`
	Preview  string         `json:"preview,omitempty"`
	Plain    string         `json:"plain"`
}

func (*DraftPage) file() string { return "draft" }

// A DraftField is a box of a form.
type DraftField struct {
	tell.Field
	Whole string `json:"text"`
}

// A VersionLine is a version that was kept.
type VersionLine struct {
	Text   uint64         `json:"text"`
	Time   sekisho.Time   `json:"time"`
	By     string         `json:"by"`
	SHA256 string         `json:"sha256"`
	State  tell.TextState `json:"state"`
	Says   []DecidedLine  `json:"decisions"`
}

// A DecidedLine is what somebody decided.
type DecidedLine struct {
	Entry  uint64       `json:"entry"`
	Time   sekisho.Time `json:"time"`
	Action string       `json:"action"`
	By     string       `json:"by"`
	Reason string       `json:"reason,omitempty"`
}

// A TextAct is what somebody does with a text.
type TextAct struct {
	Action   string            `json:"action"` // "saved", "proposed", "approved", "rejected", "withdrawn", "handed_over"
	Language string            `json:"language"`
	About    string            `json:"about,omitempty"`
	Text     uint64            `json:"text,omitempty"` // the version that was read; 0: the latest, but to approve one it is named
	Reason   string            `json:"reason,omitempty"`
	Texts    map[string]string `json:"texts,omitempty"` // saved: by sentence; empty leaves it out
	Added    map[string]string `json:"added,omitempty"` // saved: a sentence more, by field
}

// office is what can write and send, if this house can.
func (c *Console) office() (*tell.Office, error) {
	if c.cfg.Office == nil {
		return nil, fail(http.StatusConflict, "tell_not_here")
	}
	return c.cfg.Office, nil
}

// toldError turns an office's error into one with a hint.
func toldError(err error) error {
	var w *tell.Wrong
	var n *tell.NotRecorded
	switch {
	case errors.As(err, &w):
		status := http.StatusConflict
		switch w.Code {
		case "incident", "form", "text", "mailing", "partner":
			status = http.StatusNotFound
		case "own", "not_own", "sample_ours":
			status = http.StatusForbidden
		case "action", "list", "reason", "long", "address":
			status = http.StatusBadRequest
		}
		f := &failure{status: status, args: w.Args, cause: err}
		f.key = "tell_" + w.Code
		return f
	case errors.As(err, &n):
		return notRecorded(n.Err)
	}
	return err
}

// onePerson compares members of staff as people.
func (c *Console) onePerson(a, b uint32) bool {
	return a == b || c.users.person(c.named("staff", a)) == c.users.person(c.named("staff", b))
}

func (c *Console) saidLines(list []tell.Said) (out []DecidedLine) {
	for _, s := range list {
		out = append(out, DecidedLine{s.Entry, s.At, s.Action, cmp.Or(c.named("staff", s.By), "sekisho"), c.named("said", s.Reason)})
	}
	return out
}

func formName(n tell.FormName, lang string) string {
	if lang == "ja" {
		return n.Ja
	}
	return n.En
}

func (c *Console) tellPage(v *visit, one *incident.Incident) (*TellPage, error) {
	o, err := c.office()
	if err != nil {
		return nil, err
	}
	g, err := o.Ground(v.r.Context(), one, "")
	if err != nil {
		return nil, toldError(err)
	}
	p := &TellPage{ID: one.Number, Partners: g.Partners(), Lists: tell.Lists, Langs: tell.Languages, Relay: o.Config.Mail.Relay.Server != "", Edition: o.Forms.Edition, Source: o.Forms.Source}
	for _, n := range o.Forms.Names() {
		abouts := []string{""}
		if n.To == "partner" {
			abouts = p.Partners
		}
		for _, about := range abouts {
			for _, lang := range tell.Languages {
				g.About = about
				d, err := o.DraftFrom(tell.Key{Incident: one.Number, Form: n.Key, About: about, Language: lang}, g)
				if err != nil {
					return nil, toldError(err)
				}
				l := TextLine{Form: n.Key, Name: formName(n, v.Lang), To: n.To, About: about, Language: lang, Unknown: d.Now.Unknown(), Moved: len(d.Moved)}
				if k := len(d.Versions); k > 0 {
					l.Text = d.Versions[k-1].Number
					l.State, _ = d.Versions[k-1].State()
				}
				if d.Approved != nil {
					l.Approved = d.Approved.Number
					if s, ok := d.Approved.HandedOver(); ok {
						l.Handed = s.At
					}
				}
				p.Texts = append(p.Texts, l)
			}
		}
	}
	var list []tell.Status
	c.cfg.Views.Read(func() { list = o.Book.Mailings(one.Number) })
	for i := range list {
		p.Mailings = append(p.Mailings, c.mailingLine(&list[i]))
	}
	return p, nil
}

func (c *Console) tell(v *visit) (page, error) {
	one, err := c.caseOf(v)
	if err != nil {
		return nil, err
	}
	return c.tellPage(v, one)
}

func (c *Console) draftPage(v *visit, one *incident.Incident, form, lang, about string) (*DraftPage, error) {
	o, err := c.office()
	if err != nil {
		return nil, err
	}
	if lang == "" {
		lang = v.Lang
	}
	d, err := o.Draft(v.r.Context(), tell.Key{Incident: one.Number, Form: form, About: about, Language: lang})
	if err != nil {
		return nil, toldError(err)
	}
	p := &DraftPage{ID: one.Number, Form: form, Name: formName(d.Name, v.Lang), To: d.Name.To, About: d.Key.About, Language: lang, Edition: d.Now.Edition,
		Unknown: d.Now.Unknown(), Changes: d.Changes, Moved: d.Moved, Partners: d.Partners, Langs: tell.Languages, Plain: d.Now.Text(), Fresh: d.Last == nil || len(d.Changes) > 0}
	for _, f := range d.Now.Fields {
		p.Fields = append(p.Fields, DraftField{f, f.Text(lang)})
	}
	for _, t := range slices.Backward(d.Versions) {
		s, proposer := t.State()
		if t.Replaced == 0 {
			p.State, p.Text, p.By = s, t.Number, c.named("staff", proposer)
			p.Own = proposer != 0 && c.onePerson(proposer, v.who.staff)
			p.Decide = s == tell.Proposed && !p.Own && !c.onePerson(t.Body.By, v.who.staff) && c.mayDecideIn(v.who, one)
		}
		p.Versions = append(p.Versions, VersionLine{t.Number, t.At, c.named("staff", t.Body.By), hexOf(t.Body.SHA256), s, c.saidLines(t.Says)})
	}
	if d.Approved != nil {
		p.Approved = d.Approved.Number
	}
	if p.To == "people" {
		p.Preview = o.Preview(d.Now)
	}
	return p, nil
}

func hexOf(sum [32]byte) string {
	const digits = "0123456789abcdef"
	out := make([]byte, 0, 64)
	for _, b := range sum {
		out = append(out, digits[b>>4], digits[b&15])
	}
	return string(out)
}

func (c *Console) draft(v *visit) (page, error) {
	one, err := c.caseOf(v)
	if err != nil {
		return nil, err
	}
	q := v.r.URL.Query()
	return c.draftPage(v, one, v.r.PathValue("form"), q.Get("lang"), q.Get("about"))
}

// actOn does something with a text.
func (c *Console) actOn(v *visit, one *incident.Incident, form string, act TextAct) error {
	o, err := c.office()
	if err != nil {
		return err
	}
	ctx := v.r.Context()
	k := tell.Key{Incident: one.Number, Form: form, About: act.About, Language: cmp.Or(act.Language, v.Lang)}
	switch act.Action {
	case "saved":
		_, err = o.Save(ctx, k, act.Texts, act.Added, v.who.staff)
	case "proposed":
		_, err = o.Propose(ctx, k, act.Text, v.who.staff)
	default:
		if (act.Action == "approved" || act.Action == "rejected") && !c.mayDecideIn(v.who, one) {
			return fail(http.StatusForbidden, "export_role")
		}
		if act.Text == 0 {
			var list []tell.Text
			c.cfg.Views.Read(func() { list = o.Book.Versions(k) })
			if len(list) > 0 {
				act.Text = list[len(list)-1].Number
			}
			// Who approves has read one version. What was proposed meanwhile is another.
			if act.Action == "approved" && act.Text != 0 {
				return fail(http.StatusBadRequest, "tell_number", strconv.FormatUint(act.Text, 10))
			}
		}
		// Who may decide was asked of this incident, so it is a text of this one.
		ours := false
		c.cfg.Views.Read(func() {
			t, ok := o.Book.Text(act.Text)
			ours = ok && t.Body.Incident == one.Number && t.Body.Form == form
		})
		if !ours {
			return fail(http.StatusNotFound, "tell_text")
		}
		err = o.Decide(ctx, act.Text, act.Action, act.Reason, v.who.staff, c.onePerson)
	}
	return toldError(err)
}

func (c *Console) draftForm(v *visit) (page, error) {
	one, err := c.caseOf(v)
	if err != nil {
		return nil, err
	}
	if err := v.r.ParseForm(); err != nil {
		return nil, tooLarge(err)
	}
	f := v.r.PostForm
	act := TextAct{Action: f.Get("action"), Language: f.Get("lang"), About: f.Get("about"), Reason: f.Get("reason"), Texts: map[string]string{}, Added: map[string]string{}}
	act.Text, _ = strconv.ParseUint(f.Get("text"), 10, 64)
	for name, values := range f {
		if key, ok := strings.CutPrefix(name, "s."); ok {
			act.Texts[key] = values[0]
		}
		if key, ok := strings.CutPrefix(name, "add."); ok {
			act.Added[key] = values[0]
		}
	}
	form := v.r.PathValue("form")
	if err := c.actOn(v, one, form, act); err != nil {
		return nil, err
	}
	if wantsJSON(v.r) {
		return c.draftPage(v, one, form, act.Language, act.About)
	}
	q := url.Values{"lang": {act.Language}}
	if act.About != "" {
		q.Set("about", act.About)
	}
	http.Redirect(v.w, v.r, "/incidents/"+strconv.FormatUint(one.Number, 10)+"/tell/"+url.PathEscape(form)+"?"+q.Encode(), http.StatusSeeOther)
	return nil, errDone
}

// roomTold is the block of the incident's room: what waits, and what went out.
type roomTold struct {
	ID       uint64        `json:"-"`
	Texts    []TextLine    `json:"texts"` // that somebody must look at: proposed, or moved since they were approved
	Mailings []MailingLine `json:"mailings"`
}

func (c *Console) roomTell(v *visit, one *incident.Incident) (any, error) {
	o := c.cfg.Office
	if o == nil {
		return nil, nil
	}
	r := &roomTold{ID: one.Number}
	var list []tell.Status
	c.cfg.Views.Read(func() {
		for _, k := range o.Book.Keys(one.Number) {
			all := o.Book.Versions(k)
			t := all[len(all)-1]
			s, _ := t.State()
			n, _ := o.Forms.Name(k.Form)
			l := TextLine{Form: k.Form, Name: formName(n, v.Lang), To: n.To, About: k.About, Language: k.Language, State: s, Text: t.Number}
			if h, ok := t.HandedOver(); ok {
				l.Handed = h.At
			}
			r.Texts = append(r.Texts, l)
		}
		list = o.Book.Mailings(one.Number)
	})
	for i := range list {
		r.Mailings = append(r.Mailings, c.mailingLine(&list[i]))
	}
	return r, nil
}

// isTold: an entry whose reason stands in the vault's space "said".
func isTold(b sekisho.Body) bool {
	switch b.(type) {
	case *sekisho.TextDecided, *sekisho.MailingAsked, *sekisho.MailingDecided, *sekisho.MailSettled, *sekisho.LureAsked, *sekisho.LureDecided, *sekisho.LureNamed:
		return true
	}
	return false
}
