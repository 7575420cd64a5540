package tell

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"sekisho"
	"sekisho/incident"
	"sekisho/trace"
	"sekisho/vault"
	"sekisho/view"
	"sekisho/watch"
)

// Config says how people outside are told of an incident.
type Config struct {
	// Company is who speaks in drafts and notices.
	Company Company `yaml:"company"`
	// Words is a directory of forms (*.yaml) that replaces the house's own.
	Words string `yaml:"words"`
	// Partner is the label of the rosters that says through which partner somebody
	// came. Default partner.
	Partner string `yaml:"partner"`
	// Mail is how notices go out. Without a relay there are drafts only.
	Mail Mail `yaml:"mail"`
	// Addresses say where the e-mail addresses of a subject's people are, by the
	// subject's name. Neither the ledger nor the vault has them.
	Addresses map[string]Addresses `yaml:"addresses"`
	// Language says in which language somebody is written to.
	Language Language `yaml:"language"`
	// Names say what the subjects, labels and dates of the catalog are called in
	// texts, by name. Common ones, such as member and passport_until, have words.
	Names map[string]Called `yaml:"names"`
}

// Mail is how notices go out.
type Mail struct {
	// Relay is the company's mail server.
	Relay Relay `yaml:"relay"`
	// From is the address that notices come from, and answers go to.
	From string `yaml:"from"`
	// Name of the sender, as people read it. Default: the company's.
	Name string `yaml:"name"`
	// Returns is the domain to which undeliverable notices come back. Its mail must
	// reach sensors.mail.listen. Without it bounces are not seen.
	Returns string `yaml:"returns"`
	// PerSecond, Connections and Window are how fast.
	Pace `yaml:",inline"`
}

// Addresses say where the addresses of some people are.
type Addresses struct {
	// Email is the column of the subject's table, or of Query, with the address.
	Email string `yaml:"email"`
	// Query, if set, gives the subject's key column and Email instead of the
	// subject's table.
	Query string `yaml:"query"`
	// User and PasswordFile are a login at the database for these reads alone.
	// Default: the gate's reader.
	User         string `yaml:"user"`
	PasswordFile string `yaml:"password_file"`
	// File is a CSV file with a header line and the columns key and email, instead
	// of the database: for addresses that a person brings.
	File string `yaml:"file"`
}

// Language says in which language somebody is written to.
type Language struct {
	// Label of the roster that decides, such as residence.
	Label string `yaml:"label"`
	// Japanese are the label's values for which the notice is in Japanese.
	Japanese []string `yaml:"japanese"`
	// Default is the language of everybody where Label is empty, and else of those
	// who have no label: ja or en. Default ja.
	Default string `yaml:"default"`
}

// Check fills in the defaults and names the first mistake. subjects are those of
// the catalog.
func (c *Config) Check(subjects []string) error {
	if c.Partner == "" {
		c.Partner = "partner"
	}
	if c.Language.Default == "" {
		c.Language.Default = "ja"
	}
	if !slices.Contains(Languages, c.Language.Default) {
		return fmt.Errorf("tell: language: default %q: use ja or en", c.Language.Default)
	}
	m := &c.Mail
	if err := m.Relay.Check(); err != nil {
		return fmt.Errorf("tell: mail: relay: %w", err)
	}
	if err := m.Pace.Check(); err != nil {
		return fmt.Errorf("tell: mail: %w", err)
	}
	if m.Relay.Server != "" && !GoodAddress(m.From) {
		return fmt.Errorf("tell: mail: from %q is no address: give one that people can answer to", m.From)
	}
	if m.Returns != "" && !GoodAddress("b@"+m.Returns) {
		return fmt.Errorf("tell: mail: returns %q is no domain", m.Returns)
	}
	if m.Name == "" {
		m.Name = c.Company.Name
	}
	for s, a := range c.Addresses {
		switch {
		case !slices.Contains(subjects, s):
			return fmt.Errorf("tell: addresses: there is no subject %q in the catalog", s)
		case (a.Email == "") == (a.File == ""):
			return fmt.Errorf("tell: addresses: %s: give email (a column) or file", s)
		case (a.User == "") != (a.PasswordFile == ""):
			return fmt.Errorf("tell: addresses: %s: user and password_file come together", s)
		}
	}
	return nil
}

// An Office writes texts, has them approved, and sends them. It is safe for
// concurrent use.
type Office struct {
	Config    Config
	Forms     *Forms
	Append    func(ctx context.Context, b ...sekisho.Body) (sekisho.ID, error) // durable on return
	Last      func() uint64
	Views     *view.Set
	Book      *Book // in Views
	Incidents *incident.Book
	Trace     *trace.Trace
	Decoys    *watch.Decoys
	Vault     *vault.Vault

	// Ask answers a question at the ledger's present end; Question is what an
	// incident asks.
	Ask      func(ctx context.Context, q trace.Question) (*trace.Answer, error)
	Question func(i *incident.Incident) trace.Question
	// Read gives the addresses of some people, by key, from the database.
	Read func(ctx context.Context, space string, keys []string) (map[string]string, error)
	// More are facts that other parts of the house know of an incident. May be nil.
	More func(i *incident.Incident, g *Ground)

	Key   [32]byte // for return addresses and Message-IDs
	Now   func() time.Time
	Zone  *time.Location
	Drill string // notices of a drill say so, in the subject and the first line
	Log   *slog.Logger

	mu      sync.Mutex // one decision at a time
	reading sync.Mutex
	session map[uint64]readSession // by mailing: the session in which its addresses are read
	texts   sync.Map               // by TextWritten: its *Document
}

// readSession is a session of the house's own, with the statement that it repeats.
type readSession struct {
	session, shape uint64
	number         uint64
}

// A Wrong is what whoever asked can act on: a code, for which the console has
// words.
type Wrong struct {
	Code string
	Args []any
}

func (w *Wrong) Error() string { return fmt.Sprintf("telling people: %s %v", w.Code, w.Args) }

func wrong(code string, args ...any) error { return &Wrong{code, args} }

// Drafted is a text as it stands: what the facts say now, with what people wrote,
// and the versions that were kept.
type Drafted struct {
	Key      Key
	Name     FormName
	Now      *Document // from the facts, with people's edits
	Versions []Text    // the latest last
	Last     *Document // the latest version; nil: none was kept
	Approved *Text     // the latest approved version; nil: none
	Old      *Document // that version
	Changes  []Change  // from the latest version to Now
	Moved    []Change  // from the approved version to Now
	Partners []string  // that the text could be about
}

// Incident gives an incident, or says that there is none.
func (o *Office) Incident(number uint64) (i *incident.Incident, err error) {
	o.Views.Read(func() { i = o.Incidents.Get(number) })
	if i == nil {
		return nil, wrong("incident")
	}
	return i, nil
}

// Ground gathers the facts about an incident. ctx bounds the question.
func (o *Office) Ground(ctx context.Context, i *incident.Incident, about string) (*Ground, error) {
	a, err := o.Ask(ctx, o.Question(i))
	if err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		a = nil // no terminal is known yet, or none that was seen: the numbers are under investigation
	}
	g := &Ground{Incident: i, Answer: a, About: about, Partner: o.Config.Partner, Company: o.Config.Company, Called: o.Config.Called}
	o.Views.Read(func() {
		g.Mailings = o.Book.Mailings(i.Number)
		if o.Decoys != nil {
			for _, p := range o.Decoys.List() {
				if p.Body.Mailbox != 0 {
					g.Mailboxes = append(g.Mailboxes, p.Entry)
				}
			}
		}
		for _, lang := range Languages {
			if t, ok := o.Book.Approved(Key{i.Number, "public", "", lang}); ok {
				if d, ok := t.HandedOver(); ok && (g.Published == nil || d.At < g.Published.At) {
					g.Published = &d
				}
			}
		}
	})
	if o.More != nil {
		o.More(i, g)
	}
	return g, nil
}

// Partners are those whose people an incident concerns.
func (g *Ground) Partners() (list []string) {
	if g.Answer != nil {
		for _, p := range g.Answer.Numbers.WorstCase.Breakdown {
			if p.Dimension == g.Partner && p.Value != "" {
				list = append(list, p.Value)
			}
		}
	}
	return list
}

// Draft gives a text as it stands. Nothing is recorded.
func (o *Office) Draft(ctx context.Context, k Key) (*Drafted, error) {
	i, err := o.Incident(k.Incident)
	if err != nil {
		return nil, err
	}
	g, err := o.Ground(ctx, i, k.About)
	if err != nil {
		return nil, err
	}
	return o.DraftFrom(k, g)
}

// DraftFrom is Draft on a ground that was gathered for the text's About.
func (o *Office) DraftFrom(k Key, g *Ground) (*Drafted, error) {
	name, ok := o.Forms.Name(k.Form)
	if !ok || !slices.Contains(Languages, k.Language) {
		return nil, wrong("form")
	}
	d := &Drafted{Key: k, Name: name, Partners: g.Partners()}
	if name.To == "partner" {
		if k.About == "" && len(d.Partners) > 0 {
			d.Key.About, g.About = d.Partners[0], d.Partners[0]
		}
		if !slices.Contains(d.Partners, d.Key.About) {
			return nil, wrong("partner")
		}
	} else if k.About != "" {
		return nil, wrong("partner")
	}
	fresh, err := o.Forms.Fill(k.Form, k.Language, g, o.Zone)
	if err != nil {
		return nil, err
	}
	o.Views.Read(func() {
		d.Versions = o.Book.Versions(d.Key)
		if t, ok := o.Book.Approved(d.Key); ok {
			d.Approved = &t
		}
	})
	if n := len(d.Versions); n > 0 {
		if d.Last, err = o.Document(d.Versions[n-1]); err != nil {
			return nil, err
		}
	}
	d.Now = Merge(fresh, d.Last)
	if d.Last != nil {
		d.Changes = Diff(d.Last, d.Now)
	}
	if d.Approved != nil {
		if d.Old, err = o.Document(*d.Approved); err != nil {
			return nil, err
		}
		d.Moved = Diff(d.Old, d.Now)
	}
	return d, nil
}

// Document reads a version out of the vault, and compares it with its hash.
func (o *Office) Document(t Text) (*Document, error) {
	if d, ok := o.texts.Load(t.Number); ok {
		return d.(*Document), nil
	}
	raw, ok := o.Vault.Space("document").Key(t.Body.Document)
	if !ok {
		return nil, fmt.Errorf("reading text %d: the vault does not have it", t.Number)
	}
	d, err := ParseDocument([]byte(raw))
	if err != nil {
		return nil, fmt.Errorf("reading text %d: %w", t.Number, err)
	}
	if _, sum, err := d.Bytes(); err != nil || sum != t.Body.SHA256 {
		return nil, fmt.Errorf("reading text %d: the vault's text is not the one that the ledger has the hash of", t.Number)
	}
	o.texts.Store(t.Number, d)
	return d, nil
}

// Save keeps a version, which the ledger knows on return: what the facts say, with
// texts and added put into it. Without a change it gives the version before.
func (o *Office) Save(ctx context.Context, k Key, texts, added map[string]string, by uint32) (uint64, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.save(ctx, k, texts, added, by)
}

func (o *Office) save(ctx context.Context, k Key, texts, added map[string]string, by uint32) (uint64, error) {
	d, err := o.Draft(ctx, k)
	if err != nil {
		return 0, err
	}
	raw, sum, err := Edit(d.Now, texts, added).Bytes()
	if err != nil {
		return 0, err
	}
	if len(raw) > vault.MaxKey {
		return 0, wrong("long")
	}
	before := uint64(0)
	if n := len(d.Versions); n > 0 {
		before = d.Versions[n-1].Number
		if d.Versions[n-1].Body.SHA256 == sum {
			return before, nil
		}
	}
	i, err := o.Incident(k.Incident)
	if err != nil {
		return 0, err
	}
	w := &sekisho.TextWritten{Incident: k.Incident, Form: k.Form, About: d.Key.About, Language: k.Language, Before: before,
		Document: o.Vault.Space("document").OfText(raw), SHA256: sum, By: by}
	if n := len(i.Revisions); n > 0 {
		w.Revision, w.Through = i.Revisions[n-1].Seq, i.Revisions[n-1].Body.Through
	}
	if w.Document == 0 {
		return 0, fmt.Errorf("keeping a text: the vault takes no more")
	}
	return o.append(ctx, w)
}

// append makes entries durable and waits until the book knows them. It gives the
// number of the first.
func (o *Office) append(ctx context.Context, b ...sekisho.Body) (uint64, error) {
	id, err := o.Append(ctx, b...)
	if err != nil {
		return 0, &NotRecorded{err}
	}
	return id.Seq, o.Views.WaitFor(ctx, id.Seq+uint64(len(b))-1)
}

// NotRecorded: the ledger took no entry, so nothing was done.
type NotRecorded struct{ Err error }

func (n *NotRecorded) Error() string { return "recording it: " + n.Err.Error() }
func (n *NotRecorded) Unwrap() error { return n.Err }

// Propose keeps the text as it stands and puts it before a second person. seen is
// the version that its proposer has read: a later one, in which somebody else may
// have put words into their mouth, is refused. 0: there was none, or whichever it
// is.
func (o *Office) Propose(ctx context.Context, k Key, seen uint64, by uint32) (uint64, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if seen != 0 {
		replaced := true
		o.Views.Read(func() {
			t, ok := o.Book.Text(seen)
			replaced = !ok || t.Replaced != 0
		})
		if replaced {
			return 0, wrong("replaced")
		}
	}
	n, err := o.save(ctx, k, nil, nil, by)
	if err != nil {
		return 0, err
	}
	var t Text
	o.Views.Read(func() { t, _ = o.Book.Text(n) })
	if s, _ := t.State(); s == Proposed || s == Approved {
		return n, wrong("proposed")
	}
	_, err = o.append(ctx, &sekisho.TextDecided{Text: n, Action: "proposed", By: by})
	return n, err
}

const maxSaid = 2000 // bytes of a reason

func (o *Office) said(text string) (uint32, error) {
	text = strings.TrimSpace(text)
	switch {
	case text == "":
		return 0, nil
	case len(text) > maxSaid:
		return 0, wrong("reason")
	}
	if n := o.Vault.Space("said").OfText([]byte(text)); n != 0 {
		return n, nil
	}
	return 0, fmt.Errorf("keeping a reason: the vault takes no more")
}

// Decide records what somebody says to a version. same says whether two members
// of staff are one person.
func (o *Office) Decide(ctx context.Context, text uint64, action, reason string, by uint32, same func(a, b uint32) bool) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	var t Text
	ok := false
	o.Views.Read(func() { t, ok = o.Book.Text(text) })
	if !ok {
		return wrong("text")
	}
	said, err := o.said(reason)
	if err != nil {
		return err
	}
	state, proposer := t.State()
	switch action {
	case "approved", "rejected":
		switch {
		case state != Proposed:
			return wrong("not_proposed")
		case t.Replaced != 0:
			return wrong("replaced")
		case same(by, proposer):
			return wrong("own")
		// Else who wrote it could wait for somebody to propose it unread.
		case action == "approved" && same(by, t.Body.By):
			return wrong("own")
		}
	case "withdrawn":
		if state != Proposed || !same(by, proposer) {
			return wrong("not_proposed")
		}
	case "handed_over":
		if state != Approved {
			return wrong("not_approved")
		}
		if said == 0 {
			return wrong("reason")
		}
	default:
		return wrong("action")
	}
	_, err = o.append(ctx, &sekisho.TextDecided{Text: text, Action: action, Reason: said, By: by})
	return err
}

// houseAddress stands for the machine that the house runs on.
var houseAddress = netip.MustParseAddr("127.0.0.1")

// Addresses is the Sender's: the read stands in the ledger as an access of these
// people, by whoever approved the mailing, before anything is read.
//
// It does not go through the gate as a client would, which would be one password
// and one budget more in the way of a duty to tell people; the entries are the
// same as if it did, and the text of the statement is fixed.
func (o *Office) Addresses(ctx context.Context, m Status, subjects []uint32) (map[uint32]string, error) {
	o.reading.Lock()
	defer o.reading.Unlock()
	from := o.Config.Addresses[m.Asked.Space]
	if from.File == "" && (from.Email == "" || o.Read == nil) {
		return nil, fmt.Errorf("the config does not say where the addresses of %s are: tell: addresses", m.Asked.Space)
	}
	r, err := o.readerFor(ctx, m)
	if err != nil {
		return nil, err
	}
	r.number++
	_, err = o.Append(ctx, &sekisho.Access{Session: r.session, Shape: r.shape, Number: r.number, Class: sekisho.Exact, Rows: uint64(len(subjects)), Subjects: subjects})
	if err != nil {
		return nil, fmt.Errorf("recording that addresses are read: %w", err)
	}
	o.session[m.Number] = r
	of := make(map[string]uint32, len(subjects))
	keys := make([]string, 0, len(subjects))
	space := o.Vault.Space(m.Asked.Space)
	for _, s := range subjects {
		if key, ok := space.Key(s); ok {
			of[key] = s
			keys = append(keys, key)
		}
	}
	var found map[string]string
	if from.File != "" {
		found, err = readAddressFile(ctx, from.File, of)
	} else {
		found, err = o.Read(ctx, m.Asked.Space, keys)
	}
	if err != nil {
		return nil, err
	}
	to := make(map[uint32]string, len(found))
	for key, a := range found {
		if s, ok := of[key]; ok {
			to[s] = strings.TrimSpace(a)
		}
	}
	return to, nil
}

// readerFor opens the session of a mailing, once a process.
func (o *Office) readerFor(ctx context.Context, m Status) (readSession, error) {
	if r, ok := o.session[m.Number]; ok {
		return r, nil
	}
	who := m.Asked.By
	for _, s := range m.Says {
		if s.Action == "approved" || s.Action == "resumed" {
			who = s.By
		}
	}
	first, err := o.Append(ctx,
		&sekisho.SessionOpened{Door: sekisho.DoorNotice, Principal: who, Role: "notice", Endpoint: "sekisho", Verified: true, Address: houseAddress},
		&sekisho.Shape{Verb: sekisho.Read, Space: m.Asked.Space, Tables: []string{"sekisho.addresses"}, Columns: []string{"sekisho.addresses.email"}, Categories: sekisho.Contact,
			Statement: o.Vault.Space("statement").OfText([]byte("sekisho: addresses of people who are told of an incident"))})
	if err != nil {
		return readSession{}, fmt.Errorf("recording that addresses are read: %w", err)
	}
	if o.session == nil {
		o.session = map[uint64]readSession{}
	}
	r := readSession{session: first.Seq, shape: first.Seq + 1}
	o.session[m.Number] = r
	return r, nil
}

// languageOf is the language in which somebody is written to.
func (o *Office) languageOf(r *vault.Roster) func(uint32) string {
	c := o.Config.Language
	dim := -1
	if r != nil && c.Label != "" {
		dim = slices.Index(r.Schema().Labels, c.Label)
	}
	return func(ord uint32) string {
		if dim < 0 {
			return c.Default
		}
		switch v := r.Label(dim, ord); {
		case v == "":
			return c.Default
		case slices.Contains(c.Japanese, v):
			return "ja"
		}
		return "en"
	}
}

// Compose is the Sender's: one person's letter.
func (o *Office) Compose(_ context.Context, m Status, subject uint32) (Letter, error) {
	roster, err := o.Vault.Roster(m.Asked.Space)
	if err != nil {
		return Letter{}, err
	}
	lang := o.languageOf(roster)(subject)
	var d *Document
	for _, n := range m.Asked.Texts {
		var t Text
		o.Views.Read(func() { t, _ = o.Book.Text(n) })
		if t.Body != nil && (d == nil || t.Body.Language == lang) {
			if d, err = o.Document(t); err != nil {
				return Letter{}, err
			}
		}
	}
	if d == nil {
		return Letter{}, fmt.Errorf("mailing %d has no text", m.Number)
	}
	return o.letter(d, o.own(m, subject), m, subject), nil
}

// Own is what a notice says of one person.
type Own struct {
	Categories  sekisho.Categories
	First, Last sekisho.Time
}

// own is what the terminals of the incident read of a person in its window.
func (o *Office) own(m Status, subject uint32) (own Own) {
	o.Views.Read(func() {
		i := o.Incidents.Get(m.Asked.Incident)
		if i == nil {
			return
		}
		for _, r := range i.Revisions {
			if r.Seq != m.Asked.Revision {
				continue
			}
			for _, a := range o.Trace.WhoRead(m.Asked.Space, subject, 0) {
				if a.At < r.Body.Since || a.At >= r.Body.Until || a.Door != sekisho.DoorGate || a.Verified && !slices.Contains(r.Body.Endpoints, a.Endpoint) {
					continue
				}
				own.Categories |= a.Categories
				own.Last = max(own.Last, a.At)
				if own.First == 0 || a.At < own.First {
					own.First = a.At
				}
			}
		}
	})
	return own
}

func (o *Office) letter(d *Document, own Own, m Status, subject uint32) Letter {
	items := map[string]string{"ja": "記録からは特定できません（いずれの項目も対象となりえます）", "en": "cannot be told from the records: it may be any of them"}[d.Language]
	first, last := "–", "–"
	if own.Categories != 0 {
		var names []string
		for _, c := range own.Categories.Names() {
			w := categoryWords[c]
			names = append(names, w[map[string]int{"en": 0, "ja": 1}[d.Language]])
		}
		items = strings.Join(names, map[string]string{"ja": "、", "en": ", "}[d.Language])
		first, last = Day(own.First, d.Language, o.Zone), Day(own.Last, d.Language, o.Zone)
	}
	text := strings.NewReplacer("{items}", items, "{first}", first, "{last}", last).Replace(d.Text())
	subjectLine := oneLine(d.Subject()) // a person may have edited it, and no relay is given a header with line ends
	if o.Drill != "" {
		mark := map[string]string{"ja": "【訓練】", "en": "[DRILL] "}[d.Language]
		subjectLine, text = mark+subjectLine, mark+o.Drill+"\n\n"+text
	}
	l := Letter{From: o.Config.Mail.From, Name: o.Config.Mail.Name, Subject: subjectLine, Text: text, Date: o.Now()}
	if m.Number != 0 {
		l.ID = o.messageID(m, subject)
		if o.Config.Mail.Returns != "" {
			l.Return = o.ReturnAddress(m.Number, subject)
		}
	}
	return l
}

// Preview is one language's notice as somebody would get it.
func (o *Office) Preview(d *Document) string {
	l := o.letter(d, o.example(), Status{}, 0)
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\n\n%s", l.Subject, l.Text)
	return b.String()
}

func (o *Office) example() Own {
	now := sekisho.At(o.Now())
	return Own{Categories: sekisho.Identity | sekisho.Contact, First: now, Last: now}
}

// Sample sends the notice as it stands, for a person who does not exist, to an
// address of whoever asks.
func (o *Office) Sample(ctx context.Context, number uint64, lang, to string) error {
	if o.Config.Mail.Relay.Server == "" {
		return wrong("no_relay")
	}
	if !GoodAddress(to) {
		return wrong("address")
	}
	// A sample is one person's word, and anybody may write into a draft: it stays
	// in the house.
	if !sameHouse(to, o.Config.Mail.From) {
		return wrong("sample_ours")
	}
	d, err := o.Draft(ctx, Key{Incident: number, Form: "person", Language: lang})
	if err != nil {
		return err
	}
	l := o.letter(d.Now, o.example(), Status{}, 0)
	l.To, l.Subject = to, map[string]string{"ja": "【見本】", "en": "[SAMPLE] "}[lang]+l.Subject
	if err := Send(ctx, o.Config.Mail.Relay, l); err != nil {
		o.Log.Error("sending a sample", "error", err)
		return wrong("sample")
	}
	return nil
}

// sameHouse: an address is of the domain that notices come from, or of one above
// it, as people are whose company mails from a subdomain.
func sameHouse(to, from string) bool {
	domain := func(a string) string { return strings.ToLower(a[strings.LastIndexByte(a, '@')+1:]) }
	return domain(to) == domain(from) || strings.HasSuffix(domain(from), "."+domain(to))
}
