package console

import (
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"sekisho"
	"sekisho/duty"
)

// Policies, handbooks and other texts of the company: their versions, who
// approved them, what is in force and shown to the world, and who acknowledged
// it.

// DocumentsConfig says who approves texts, and where the world reads them.
type DocumentsConfig struct {
	// Approvals are, by the sort of a text (policy, handbook, rule, duty-sheet,
	// nda, handling), the roles of which each must approve a version, each a person of its
	// own and none of them its writer. Default: {policy: [ciso, president],
	// handbook: [privacy], …}: see docs/documents.md.
	Approvals map[string][]string `yaml:"approvals"`
	// Holders are the accounts that hold a role. A role without any can be taken by
	// whoever may decide in the console.
	Holders map[string][]string `yaml:"holders"`
	// Listen is the address of the public pages, such as 127.0.0.1:8095. It is a
	// listener of its own. Without it nothing is shown to the world from here.
	Listen string `yaml:"listen"`
	// Cert and Key are PEM files. Without them it speaks plain HTTP, and may listen
	// on this machine only, behind something that ends TLS.
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
	// Pages are where the world reads a text, if that is not here: each is fetched
	// once a day and compared with the approved version.
	Pages []DocumentAddress `yaml:"pages"`
}

// DocumentAddress is one page in the world.
type DocumentAddress struct {
	Document string `yaml:"document"`
	Language string `yaml:"language"` // en or ja
	URL      string `yaml:"url"`
}

// Sorts of texts, and who approves each if the config does not say.
var documentSorts = []string{"policy", "handbook", "rule", "duty-sheet", "nda", "handling"}

// Check fills in defaults and names the first mistake.
func (c *DocumentsConfig) Check() error {
	defaults := map[string][]string{"policy": {"ciso", "president"}, "handbook": {"privacy"}, "rule": {"ciso"}, "duty-sheet": {"hr"}, "nda": {"hr"}, "handling": {"ciso", "privacy"}}
	for sort, roles := range c.Approvals {
		if !slices.Contains(documentSorts, sort) {
			return fmt.Errorf("config: documents: approvals: %q: use %s", sort, strings.Join(documentSorts, ", "))
		}
		if len(roles) == 0 || len(roles) > 8 {
			return fmt.Errorf("config: documents: approvals: %s: name one to eight roles: nothing is in force without approval", sort)
		}
		defaults[sort] = roles
	}
	c.Approvals = defaults
	if (c.Cert == "") != (c.Key == "") {
		return errors.New("config: documents: cert and key come together")
	}
	if c.Listen != "" && c.Cert == "" && !onThisMachine(c.Listen) {
		return fmt.Errorf("config: documents: without cert it may listen on this machine only, and %s is more", c.Listen)
	}
	for _, p := range c.Pages {
		if !documentName.MatchString(p.Document) || p.Language != "en" && p.Language != "ja" {
			return fmt.Errorf("config: documents: pages: %q in %q: name a document and en or ja", p.Document, p.Language)
		}
		if !strings.HasPrefix(p.URL, "https://") && !strings.HasPrefix(p.URL, "http://127.0.0.1:") && !strings.HasPrefix(p.URL, "http://[::1]:") {
			return fmt.Errorf("config: documents: pages: %s: use an https address", p.URL)
		}
	}
	return nil
}

// documentName is what a document may be called: it stands in addresses.
var documentName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

const (
	documentSpace = "document/"
	maxDocument   = 512 << 10 // bytes of a text in one language
	mostVersions  = 1000      // of one document
)

// A DocumentLine is one document in the list.
type DocumentLine struct {
	Name    string       `json:"name"`
	Title   string       `json:"title"`
	Sort    string       `json:"sort"`
	InForce uint64       `json:"in_force,omitempty"` // version
	Count   int          `json:"version,omitempty"`
	From    sekisho.Time `json:"from,omitempty"`
	Review  sekisho.Time `json:"review_due,omitempty"`
	Late    bool         `json:"review_late,omitempty"`
	Draft   uint64       `json:"draft,omitempty"` // a later version that waits
	State   string       `json:"draft_state,omitempty"`
	Signed  int          `json:"acknowledged"`
	People  int          `json:"people,omitempty"` // who must
	Page    string       `json:"page,omitempty"`   // "same", "differs", "unreachable"
	Checked sekisho.Time `json:"page_checked,omitempty"`
	Retired sekisho.Time `json:"retired,omitempty"`
	Public  bool         `json:"public"`
	Must    bool         `json:"must_acknowledge"`
}

// A DocumentsPage lists the documents, those that need somebody first.
type DocumentsPage struct {
	Documents []DocumentLine `json:"documents"`
	Sorts     []string       `json:"-"`
	Approvals map[string]string
}

func (*DocumentsPage) file() string { return "documents" }

// A DocumentPage is one version of a document, with the others and what can be
// done.
type DocumentPage struct {
	DocumentLine
	Version   DocumentVersion   `json:"shown"`
	Versions  []DocumentVersion `json:"versions"`
	English   string            `json:"english,omitempty"`
	Japanese  string            `json:"japanese,omitempty"`
	Texts     []DocumentText
	Said      []DocumentSaid `json:"said"`
	Wanting   []string       `json:"wanting"` // roles that have not approved
	MayAs     []string       `json:"may_approve_as"`
	Own       bool           `json:"own"` // the visitor wrote it
	Reviews   []ReviewLine   `json:"reviews"`
	Checks    []CheckedLine  `json:"checks"`
	Days      uint64         `json:"review_days"`
	Missing   int            `json:"not_acknowledged"`
	Unknown   bool           `json:"-"` // nobody knows how many must
	Companies []SignedLine   `json:"companies"`
}

func (*DocumentPage) file() string { return "document" }

// A DocumentText is a text as it is read, and how it differs from the one
// before.
type DocumentText struct {
	Language string        `json:"language"`
	SHA256   string        `json:"sha256"`
	HTML     template.HTML `json:"-"`
	Diff     []DiffLine    `json:"diff,omitempty"`
	Added    int           `json:"added"`
	Removed  int           `json:"removed"`
}

// A DocumentVersion is one version.
type DocumentVersion struct {
	Number uint64       `json:"number"`
	Count  int          `json:"count"`
	At     sekisho.Time `json:"written"`
	By     string       `json:"by"`
	State  string       `json:"state"`
	From   sekisho.Time `json:"from,omitempty"`
	Until  sekisho.Time `json:"until,omitempty"`
	Said   string       `json:"what_is_new,omitempty"`
}

// A DocumentSaid is what somebody said to a version.
type DocumentSaid struct {
	Entry  uint64       `json:"entry"`
	At     sekisho.Time `json:"time"`
	Action string       `json:"action"`
	Role   string       `json:"role,omitempty"`
	By     string       `json:"by"`
	Text   string       `json:"text,omitempty"`
}

// A ReviewLine is a review of what is in force.
type ReviewLine struct {
	Entry   uint64       `json:"entry"`
	At      sekisho.Time `json:"time"`
	Outcome string       `json:"outcome"`
	By      string       `json:"by"`
	Text    string       `json:"text,omitempty"`
	Answer  string       `json:"answer,omitempty"`
	Second  string       `json:"second,omitempty"`
	Mine    bool         `json:"-"`
}

// A CheckedLine is a comparison with what the world sees.
type CheckedLine struct {
	Entry    uint64       `json:"entry"`
	At       sekisho.Time `json:"time"`
	English  string       `json:"english,omitempty"`
	Japanese string       `json:"japanese,omitempty"`
}

// A SignedLine says how far a company has come with acknowledging.
type SignedLine struct {
	Company string `json:"company"`
	Signed  int    `json:"acknowledged"`
	People  int    `json:"people"`
}

func (c *Console) documentsReady() error {
	if c.cfg.Duty == nil {
		return fail(http.StatusNotFound, "documents_off")
	}
	return nil
}

// documentOf finds a document by its name.
func (c *Console) documentOf(name string) (*duty.Document, error) {
	if err := c.documentsReady(); err != nil {
		return nil, err
	}
	if documentName.MatchString(name) {
		if o, ok := c.cfg.Vault.Space("thing").Find(documentSpace + name); ok {
			if d := c.cfg.Duty.Document(o); d != nil {
				return d, nil
			}
		}
	}
	return nil, fail(http.StatusNotFound, "document", name)
}

func (c *Console) nameOf(d *duty.Document) string { return DocumentName(c.named("thing", d.Thing)) }

// DocumentName is a document's name by its key in the vault.
func DocumentName(key string) string { return strings.TrimPrefix(key, documentSpace) }

// documentText is a text of a version; "" if the version has none in that language.
func (c *Console) documentText(v *duty.Version, lang string) string {
	o := v.Body.English
	if lang == "ja" {
		o = v.Body.Japanese
	}
	if o == 0 {
		return ""
	}
	text, _ := c.cfg.Vault.Space("document").Key(o)
	return text
}

// titleOf is the first heading of a text, in the reader's language if there is
// one.
func (c *Console) titleOf(v *duty.Version, lang, otherwise string) string {
	other := map[string]string{"en": "ja", "ja": "en"}[lang]
	for _, text := range []string{c.documentText(v, lang), c.documentText(v, other)} {
		if h := headingOf(text); h != "" {
			return h
		}
	}
	return otherwise
}

// approvals are the roles that must approve a document's versions.
func (c *Console) approvals(v *duty.Version) []string {
	return c.cfg.Documents.Approvals[v.Body.Sort]
}

// documentLine is a document as it stands. The views stand still.
func (c *Console) documentLine(v *visit, d *duty.Document) DocumentLine {
	now := sekisho.At(c.cfg.Now())
	last := d.Versions[len(d.Versions)-1]
	l := DocumentLine{Name: c.nameOf(d), Sort: last.Body.Sort, Retired: d.Retired, Public: last.Body.Public, Must: last.Body.Acknowledge}
	shown := last
	if f := d.InForce; f != nil {
		shown = f
		l.InForce, l.Count, l.From, l.Review, l.Signed, l.Sort = f.Number, f.Count, f.From, f.Due(), f.Signed, f.Body.Sort
		l.Public, l.Must = f.Body.Public, f.Body.Acknowledge
		l.Late = l.Review != 0 && l.Review < now
		if n := len(f.Checks); n > 0 {
			b := f.Checks[n-1].Body
			l.Checked, l.Page = f.Checks[n-1].At, "same"
			for _, s := range []string{b.English, b.Japanese} {
				if s != "" && s != "same" {
					l.Page = s
				}
			}
		}
		if l.Must {
			l.People = c.headcount(now)
		}
	}
	if last != d.InForce {
		if s := last.State(c.approvals(last)); s == duty.VersionDraft || s == duty.VersionApproved {
			l.Draft, l.State = last.Number, s
		}
	}
	l.Title = c.titleOf(shown, v.Lang, l.Name)
	return l
}

// headcount is how many people there are; 0: no directory says so.
func (c *Console) headcount(now sekisho.Time) (n int) {
	if c.cfg.Directory == nil {
		return 0
	}
	for range c.cfg.Directory.PeopleAt(now) {
		n++
	}
	return n
}

func (c *Console) documents(v *visit) (page, error) {
	p, err := c.documentsPage(v)
	if err != nil {
		return nil, err
	}
	return p, nil
}

func (c *Console) documentsPage(v *visit) (*DocumentsPage, error) {
	if err := c.documentsReady(); err != nil {
		return nil, err
	}
	p := &DocumentsPage{Documents: []DocumentLine{}, Sorts: documentSorts, Approvals: map[string]string{}}
	for sort, roles := range c.cfg.Documents.Approvals {
		p.Approvals[sort] = strings.Join(roles, ", ")
	}
	c.cfg.Views.Read(func() {
		for _, d := range c.cfg.Duty.Documents() {
			p.Documents = append(p.Documents, c.documentLine(v, d))
		}
	})
	urgent := func(l DocumentLine) int {
		switch {
		case l.Retired != 0:
			return 4
		case l.Page == "differs":
			return 0
		case l.Late:
			return 1
		case l.Draft != 0:
			return 2
		}
		return 3
	}
	slices.SortStableFunc(p.Documents, func(a, b DocumentLine) int {
		return cmp.Or(urgent(a)-urgent(b), strings.Compare(a.Name, b.Name))
	})
	return p, nil
}

func (c *Console) document(v *visit) (page, error) {
	number := uint64(0)
	if s := v.r.URL.Query().Get("version"); s != "" {
		var err error
		if number, err = strconv.ParseUint(s, 10, 64); err != nil || number == 0 {
			return nil, fail(http.StatusNotFound, "document_version", s)
		}
	}
	p, err := c.documentPage(v, v.r.PathValue("name"), number)
	if err != nil {
		return nil, err
	}
	return p, nil
}

// documentPage is a document with one version; 0 is the one that waits for
// somebody, else the one in force.
func (c *Console) documentPage(v *visit, name string, number uint64) (p *DocumentPage, err error) {
	d, err := c.documentOf(name)
	if err != nil {
		return nil, err
	}
	c.cfg.Views.Read(func() { p, err = c.documentAt(v, d, number) })
	if err != nil {
		return nil, err
	}
	return p, nil
}

func (c *Console) documentAt(v *visit, d *duty.Document, number uint64) (*DocumentPage, error) {
	p := &DocumentPage{DocumentLine: c.documentLine(v, d), Said: []DocumentSaid{}, Reviews: []ReviewLine{}, Checks: []CheckedLine{}}
	number = cmp.Or(number, p.Draft, p.InForce, d.Versions[len(d.Versions)-1].Number)
	one, of := c.cfg.Duty.Version(number)
	if one == nil || of != d {
		return nil, fail(http.StatusNotFound, "document_version", strconv.FormatUint(number, 10))
	}
	roles := c.approvals(one)
	for n := len(d.Versions) - 1; n >= 0 && len(p.Versions) < 200; n-- {
		p.Versions = append(p.Versions, c.versionLine(d.Versions[n]))
	}
	p.Version, p.Wanting, p.Days = c.versionLine(one), one.Wanting(roles), one.Body.ReviewDays
	p.Own = c.same(v, c.named("staff", one.Body.By))
	if one.State(roles) == duty.VersionDraft {
		p.MayAs = c.mayApproveAs(v, one)
	}
	p.English, p.Japanese = c.documentText(one, "en"), c.documentText(one, "ja")
	before, _ := c.cfg.Duty.Version(one.Body.Before)
	for _, t := range []struct {
		lang, text string
		sha        [32]byte
	}{{"ja", p.Japanese, one.Body.JapaneseSHA}, {"en", p.English, one.Body.EnglishSHA}} {
		if t.text == "" {
			continue
		}
		line := DocumentText{Language: t.lang, SHA256: hex.EncodeToString(t.sha[:])}
		if hashOf(t.text) != t.sha {
			return nil, fmt.Errorf("the text of version %d in %q is not the one of the ledger", number, t.lang)
		}
		var err error
		if line.HTML, err = c.texts.html(t.text); err != nil {
			return nil, err
		}
		if before != nil {
			line.Diff, line.Added, line.Removed = difference(c.documentText(before, t.lang), t.text)
		}
		p.Texts = append(p.Texts, line)
	}
	for _, o := range one.Said {
		p.Said = append(p.Said, DocumentSaid{o.Entry, o.At, o.Body.Action, o.Body.Role, c.named("staff", o.Body.By), c.named("said", o.Body.Said)})
	}
	for _, r := range one.Reviews {
		l := ReviewLine{Entry: r.Entry, At: r.At, Outcome: r.Body.Outcome, By: c.named("staff", r.Body.By), Text: c.named("said", r.Body.Said), Mine: c.same(v, c.named("staff", r.Body.By))}
		if r.Answer != nil {
			l.Answer, l.Second = r.Answer.Outcome, c.named("staff", r.Answer.By)
		}
		p.Reviews = append(p.Reviews, l)
	}
	for n := len(one.Checks) - 1; n >= 0 && len(p.Checks) < 30; n-- {
		k := one.Checks[n]
		p.Checks = append(p.Checks, CheckedLine{k.Entry, k.At, k.Body.English, k.Body.Japanese})
	}
	if one.Body.Acknowledge && one == d.InForce {
		c.signedBy(v, p, one)
	}
	return p, nil
}

// signedBy counts who acknowledged, company by company.
func (c *Console) signedBy(v *visit, p *DocumentPage, one *duty.Version) {
	if p.Unknown = c.cfg.Directory == nil; p.Unknown {
		return
	}
	now := sekisho.At(c.cfg.Now())
	by := map[uint32]*SignedLine{}
	var order []uint32
	for person := range c.cfg.Directory.PeopleAt(now) {
		company := uint32(0)
		if list := c.cfg.Directory.Companies(person, now); len(list) > 0 {
			company = list[0]
		}
		l := by[company]
		if l == nil {
			l = &SignedLine{Company: cmp.Or(c.named("unit", company), v.say("document.company.none"))}
			by[company] = l
			order = append(order, company)
		}
		l.People++
		if one.Acknowledged(person.Staff) {
			l.Signed++
		} else {
			p.Missing++
		}
	}
	for _, o := range order {
		p.Companies = append(p.Companies, *by[o])
	}
	slices.SortStableFunc(p.Companies, func(a, b SignedLine) int { return (b.People - b.Signed) - (a.People - a.Signed) })
}

func (c *Console) versionLine(one *duty.Version) DocumentVersion {
	return DocumentVersion{Number: one.Number, Count: one.Count, At: one.At, By: c.named("staff", one.Body.By), State: one.State(c.approvals(one)),
		From: one.From, Until: one.Until, Said: c.named("said", one.Body.Said)}
}

// mayApproveAs are the roles that the visitor can still approve a version as.
func (c *Console) mayApproveAs(v *visit, one *duty.Version) (roles []string) {
	if v.who == nil || c.spoke(v, one) {
		return nil
	}
	for _, role := range one.Wanting(c.approvals(one)) {
		if c.holds(v, role) {
			roles = append(roles, role)
		}
	}
	return roles
}

// holds: the visitor holds a role among those who approve.
func (c *Console) holds(v *visit, role string) bool {
	holders := c.cfg.Documents.Holders[role]
	if len(holders) == 0 {
		return c.mayDecide(v.who)
	}
	return slices.ContainsFunc(holders, func(name string) bool { return c.same(v, name) })
}

// spoke: the visitor wrote the version, or has approved or rejected it already.
func (c *Console) spoke(v *visit, one *duty.Version) bool {
	if c.same(v, c.named("staff", one.Body.By)) {
		return true
	}
	return slices.ContainsFunc(one.Said, func(o duty.Opinion) bool {
		return o.Body.Action != "reviewed" && c.same(v, c.named("staff", o.Body.By))
	})
}

// checkPagesForm compares what the world reads with what was approved, now.
func (c *Console) checkPagesForm(v *visit) (page, error) {
	if c.cfg.CheckPages == nil {
		return nil, fail(http.StatusNotFound, "documents_pages")
	}
	if err := c.cfg.CheckPages(v.r.Context()); err != nil {
		return nil, err
	}
	http.Redirect(v.w, v.r, "/documents", http.StatusSeeOther)
	return nil, errDone
}
