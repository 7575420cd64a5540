package tell

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"sekisho"
	"sekisho/incident"
	"sekisho/law"
	"sekisho/trace"
	"sekisho/vault"
	"sekisho/view"
)

// DeskConfig is the contact point: a public page where a customer asks about
// their own data. Without listen there is none.
type DeskConfig struct {
	// Listen is the address of the public page, such as 0.0.0.0:8443. It is a
	// listener of its own: nothing of the console can be reached there.
	Listen string `yaml:"listen"`
	// Cert and Key are PEM files. Without them the page speaks plain HTTP, and may
	// listen on this machine only, behind something that ends TLS.
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
	// Behind is the address of a proxy on this machine or network that ends TLS and
	// names the visitor in X-Forwarded-For: the last address there is believed.
	Behind []string `yaml:"behind"`

	// Company is its name, Contact the department with its postal address and
	// telephone (APPI art. 32, Order art. 10), in both languages. Policy is the
	// address of the privacy policy.
	Company law.Words `yaml:"company"`
	Contact law.Words `yaml:"contact"`
	Policy  string    `yaml:"policy"`

	// Space is the subject whose people ask here. Default: the catalog's first.
	Space string `yaml:"space"`
	// Others are further subjects whose people ask here as well. Who is found in two
	// of them by what they typed is checked by hand. Default: none.
	Others []string `yaml:"others"`
	// Email is the name of the e-mail address among the roster's match values:
	// default email. Also lists others of them that must agree as well, such as
	// phone.
	Email string   `yaml:"email"`
	Also  []string `yaml:"also"`
	// WithoutNumber lets people who do not know their number be recognised by
	// their address alone, if it is one person's.
	WithoutNumber bool `yaml:"without_number"`

	// Mail is the relay by which codes and notices go out, From their sender.
	// Default: those of tell. Without any, staff check by hand who somebody is.
	Mail Relay  `yaml:"mail"`
	From string `yaml:"from"`

	// Machine lists what sekisho answers itself as soon as it is known who asks.
	// Default: affected and accesses. affected also needs an incident whose
	// answers two people have allowed.
	Machine []string `yaml:"machine"`
	// StaffNames: the list of who has looked names members of staff, not only
	// their departments.
	StaffNames bool `yaml:"staff_names"`
	// Words are what the company calls its roles and purposes towards customers,
	// by their names in the config.
	Words map[string]law.Words `yaml:"words"`
	// Answers is a file that takes the place of the shipped texts and deadlines.
	Answers string `yaml:"answers"`
	// Targets are the company's own times to answer in, by what is asked: 14d for
	// days, 3wd for working days.
	Targets map[string]string `yaml:"targets"`
	// Calendar of working days: jp (the default), or another of sekisho law.
	Calendar string `yaml:"calendar"`
	// Residence is the label of the roster that says where somebody lives, by
	// which the limits of other laws apply. Default: residence.
	Residence string `yaml:"residence"`

	// Retention is for how long after its answer or end an enquiry can be opened
	// with its receipt. Default: 2160h, 90 days.
	Retention time.Duration `yaml:"retention"`

	// PerAddress is how many requests a minute one address may make (default 120:
	// many telephones share one), InAll how many a second everybody together
	// (default 200), AtOnce how many are served at a time (default 128). What is
	// more is told to come back, and nothing of it is kept.
	PerAddress int `yaml:"per_address"`
	InAll      int `yaml:"in_all"`
	AtOnce     int `yaml:"at_once"`

	targets     map[string]span
	mostLetters int // that may wait for the relay before comparing waits
}

// Check fills in defaults and names the first mistake.
func (c *DeskConfig) Check() error {
	def := func(s *string, v string) {
		if *s == "" {
			*s = v
		}
	}
	def(&c.Email, "email")
	def(&c.Calendar, "jp")
	def(&c.Residence, "residence")
	if c.Machine == nil {
		c.Machine = []string{"affected", "accesses"}
	}
	for n, v := range map[*int]int{&c.PerAddress: 120, &c.InAll: 200, &c.AtOnce: 128} {
		if *n == 0 {
			*n = v
		}
		if *n < 0 {
			return errors.New("config: desk: a limit below zero")
		}
	}
	if c.mostLetters == 0 {
		c.mostLetters = mostLetters
	}
	if c.Retention == 0 {
		c.Retention = 90 * 24 * time.Hour
	}
	if c.Listen == "" {
		return nil
	}
	host, _, err := net.SplitHostPort(c.Listen)
	switch {
	case err != nil:
		return fmt.Errorf("config: desk: listen %q: give host:port", c.Listen)
	case (c.Cert == "") != (c.Key == ""):
		return errors.New("config: desk: cert and key come together")
	case c.Cert == "" && !loopback(host):
		return errors.New("config: desk: without cert and key it may listen on this machine only, behind something that ends TLS")
	case c.Company.EN == "" || c.Company.JA == "" || c.Contact.EN == "" || c.Contact.JA == "":
		return errors.New("config: desk: company and contact are missing, in en and ja: the law asks for them")
	case c.Policy != "" && !strings.HasPrefix(c.Policy, "https://"):
		return errors.New("config: desk: policy is no https:// address")
	case c.Mail.Server != "" && !GoodAddress(c.From):
		return errors.New("config: desk: from is missing: the address that codes come from")
	}
	if err := c.Mail.Check(); err != nil {
		return fmt.Errorf("config: desk: mail: %w", err)
	}
	for _, a := range c.Behind {
		if _, err := sekisho.ParseAddress(a); err != nil {
			return fmt.Errorf("config: desk: behind: %w", err)
		}
	}
	for _, m := range c.Machine {
		if m != "affected" && m != "accesses" {
			return fmt.Errorf("config: desk: machine: %q is none of affected, accesses", m)
		}
	}
	c.targets = map[string]span{}
	for asked, text := range c.Targets {
		if !slices.Contains(EnquiryKinds(), asked) {
			return fmt.Errorf("config: desk: targets: %q is none of %s", asked, strings.Join(EnquiryKinds(), ", "))
		}
		if c.targets[asked], err = parseSpan(text); err != nil {
			return fmt.Errorf("config: desk: targets: %w", err)
		}
	}
	_, err = ReadAnswers(c.Answers)
	return err
}

// Sources are what the contact point stands on.
type Sources struct {
	Append    func(ctx context.Context, b ...sekisho.Body) (sekisho.ID, error)
	Last      func() uint64
	Vault     *vault.Vault
	Views     *view.Set
	Trace     *trace.Trace        // in Views
	Incidents *incident.Book      // among its reactions
	Enquiries *incident.Enquiries // in Views
	Law       *law.Book           // nil: no holidays, no limits of law
	Zone      *time.Location
	Now       func() time.Time
	Log       *slog.Logger
}

// A Desk takes enquiries in, finds out who asks, and answers what it can from
// the ledger. Its methods may be called from any goroutine.
//
// Whoever asks is told the same, in the same time, whether the roster knows
// them or not: what they gave is compared after they were answered, by Run, and
// the result goes to nobody but the mailbox of the roster.
type Desk struct {
	Config  DeskConfig
	Answers *Answers
	Sources

	key     [32]byte // of the receipts of this process
	bag     *mailbag
	pushed  time.Time // when it was last told that comparing waits; matchAll's own
	results chan sekisho.Body

	mu        sync.Mutex
	taking    map[[32]byte]chan struct{} // enquiries that are being recorded
	tries     map[uint64]int             // wrong codes, by enquiry
	posting   map[uint64]bool            // letters on their way, by the entry that they tell of
	answering map[uint64]chan struct{}   // closed when the answer stands
	session   uint64                     // the desk's SessionOpened
	number    uint64                     // of the latest look at somebody's accesses
	shapes    map[string]uint64

	lists exposures
	any   anyRows
}

// NewDesk makes the contact point of a config that was checked. Run does what
// it has to do by itself.
func NewDesk(c DeskConfig, s Sources) (*Desk, error) {
	a, err := ReadAnswers(c.Answers)
	if err != nil {
		return nil, err
	}
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	d := &Desk{Config: c, Answers: a, Sources: s, bag: newMailbag(), results: make(chan sekisho.Body, 256),
		taking: map[[32]byte]chan struct{}{}, tries: map[uint64]int{}, posting: map[uint64]bool{}, answering: map[uint64]chan struct{}{}, shapes: map[string]uint64{}}
	rand.Read(d.key[:])
	return d, nil
}

// An Asker is what somebody says of themselves. It stands in the vault, as one
// key, and nowhere else.
type Asker struct {
	Number string            `json:"number,omitempty"` // the member's
	Email  string            `json:"email,omitempty"`
	Also   map[string]string `json:"also,omitempty"`
	Name   string            `json:"name,omitempty"`
	Reach  string            `json:"reach,omitempty"` // where they want the answer of a demand: "page", "post"
	Third  bool              `json:"third,omitempty"` // disclosure: also the records of what was given to third parties
	// Salt is the key of the hashes of their codes: the ledger alone does not
	// suffice to try all codes.
	Salt string `json:"salt"`
}

// Limits on what somebody may write.
const (
	MaxSaid  = 4000 // characters
	maxField = 320  // bytes
)

// Asking is an enquiry as it comes in.
type Asking struct {
	Asked    string
	Language string
	Asker    Asker
	Said     string
	// Once is a text of the page's own: the same form, sent twice with it, is one
	// enquiry with one receipt.
	Once string
	By   uint32 // staff who takes it in
}

// ErrAsked wraps what is wrong with an enquiry: the field's name is its text.
type ErrAsked string

func (e ErrAsked) Error() string { return "the field " + string(e) + " cannot be taken" }

func (d *Desk) checkAsking(a *Asking) error {
	a.Asker.Number, a.Asker.Email, a.Asker.Name = strings.TrimSpace(a.Asker.Number), strings.TrimSpace(a.Asker.Email), strings.TrimSpace(a.Asker.Name)
	a.Said = strings.TrimSpace(strings.ReplaceAll(a.Said, "\r\n", "\n"))
	bad := func(s string) bool {
		return len(s) > maxField || !utf8.ValidString(s) || strings.ContainsAny(s, "\r\n\x00")
	}
	switch {
	case !slices.Contains(EnquiryKinds(), a.Asked):
		return ErrAsked("asked")
	case bad(a.Asker.Number):
		return ErrAsked("number")
	case bad(a.Asker.Name):
		return ErrAsked("name")
	case a.Asker.Email != "" && !GoodAddress(a.Asker.Email):
		return ErrAsked("email")
	case utf8.RuneCountInString(a.Said) > MaxSaid || !utf8.ValidString(a.Said) || strings.ContainsRune(a.Said, 0):
		return ErrAsked("said")
	case a.Said == "" && (a.Asked == "complaint" || a.Asked == "misuse" || a.Asked == "correction"):
		return ErrAsked("said")
	}
	for name, v := range a.Asker.Also {
		if bad(v) || !slices.Contains(d.Config.Also, name) {
			return ErrAsked("also." + name)
		}
	}
	if a.By != 0 || !incident.NeedsIdentity(a.Asked) {
		return nil
	}
	switch {
	case a.Asker.Number == "" && a.Asker.Email == "" && a.Asker.Name == "":
		return ErrAsked("number")
	case a.Asker.Number == "" && a.Asker.Name == "" && !d.Config.WithoutNumber:
		return ErrAsked("number")
	case a.Asker.Email == "" && d.Codes():
		return ErrAsked("email")
	}
	return nil
}

// Codes says whether codes can be mailed at all: to everybody, or to nobody.
func (d *Desk) Codes() bool { return d.Config.Mail.Server != "" }

var receiptText = base32.StdEncoding.WithPadding(base32.NoPadding)

// receiptLen is the letters of a receipt: 120 bits.
const receiptLen = 24

// ReceiptHash is what the ledger holds of a receipt as somebody types it; ok
// is false if it cannot be one.
func ReceiptHash(typed string) (hash [32]byte, ok bool) {
	secret, ok := readReceipt(typed)
	return sha256.Sum256([]byte(secret)), ok
}

// readReceipt forgives what people do to letters: small ones, spaces, hyphens,
// and the digits that no receipt has. Full-width letters are what some
// keyboards make.
func readReceipt(typed string) (string, bool) {
	if len(typed) > 200 {
		return "", false
	}
	s := strings.Map(func(r rune) rune {
		if r >= 0xff01 && r <= 0xff5e {
			r -= 0xfee0
		}
		switch {
		case r >= 'a' && r <= 'z':
			r -= 'a' - 'A'
		case r == '0':
			return 'O'
		case r == '1':
			return 'I'
		case r == '8':
			return 'B'
		}
		if r >= 'A' && r <= 'Z' || r >= '2' && r <= '7' {
			return r
		}
		return -1
	}, typed)
	return s, len(s) == receiptLen
}

// ShownReceipt writes a receipt so that it can be copied by hand.
func ShownReceipt(secret string) string {
	var parts []string
	for len(secret) > 4 {
		parts, secret = append(parts, secret[:4]), secret[4:]
	}
	return strings.Join(append(parts, secret), "-")
}

// Receive records an enquiry. When it returns, the enquiry is durable: receipt
// is the only key to it, and is kept nowhere. What was given is not looked at
// yet, so that the time it takes tells nothing.
func (d *Desk) Receive(ctx context.Context, a Asking) (number uint64, receipt string, err error) {
	if err := d.checkAsking(&a); err != nil {
		return 0, "", err
	}
	plain, err := json.Marshal(a)
	if err != nil {
		return 0, "", err
	}
	key := d.key[:]
	if a.Once == "" {
		key = make([]byte, 32)
		rand.Read(key)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write(plain)
	receipt = receiptText.EncodeToString(mac.Sum(nil))[:receiptLen]
	hash := sha256.Sum256([]byte(receipt))
	for {
		d.mu.Lock()
		other := d.taking[hash]
		if other == nil {
			d.taking[hash] = make(chan struct{})
		}
		d.mu.Unlock()
		if other == nil {
			break
		}
		select {
		case <-other:
		case <-ctx.Done():
			return 0, "", ctx.Err()
		}
	}
	defer func() {
		d.mu.Lock()
		close(d.taking[hash])
		delete(d.taking, hash)
		d.mu.Unlock()
	}()
	if q, ok := d.find(hash); ok {
		return q.Number, receipt, nil
	}
	if a.Asker.Salt == "" {
		a.Asker.Salt = rand.Text()
	}
	asker, err := json.Marshal(a.Asker)
	if err != nil {
		return 0, "", err
	}
	body := &sekisho.EnquiryReceived{Asked: a.Asked, Language: a.Language, Receipt: hash, By: a.By,
		Asker: d.Vault.Space("asker").OfText(asker)}
	if a.Said != "" {
		body.Said = d.Vault.Space("said").OfText([]byte(a.Said))
	}
	if body.Asker == 0 || a.Said != "" && body.Said == 0 {
		return 0, "", errors.New("receiving an enquiry: the vault takes no more")
	}
	id, err := d.Append(ctx, body)
	if err != nil {
		return 0, "", fmt.Errorf("receiving an enquiry: %w", err)
	}
	if err := d.Views.WaitFor(ctx, id.Seq); err != nil { // who sends it again shall find it
		return 0, "", fmt.Errorf("receiving an enquiry: %w", err)
	}
	return id.Seq, receipt, nil
}

// Nth is the number that the asker of an enquiry sees; 0 if there is none.
func (d *Desk) Nth(number uint64) (nth uint64) {
	d.Views.Read(func() {
		if q, ok := d.Enquiries.Get(number); ok {
			nth = q.Nth
		}
	})
	return nth
}

func (d *Desk) find(hash [32]byte) (q incident.Enquiry, ok bool) {
	d.Views.Read(func() { q, ok = d.Enquiries.ByReceipt(hash) })
	return q, ok
}

// ErrReceipt: no enquiry can be opened with it, any more or ever.
var ErrReceipt = errors.New("no enquiry has this receipt")

// Open finds the enquiry of a receipt.
func (d *Desk) Open(ctx context.Context, receipt string) (incident.Enquiry, error) {
	if err := d.Views.WaitFor(ctx, d.Last()); err != nil {
		return incident.Enquiry{}, fmt.Errorf("opening an enquiry: %w", err)
	}
	hash, ok := ReceiptHash(receipt)
	q, known := d.find(hash)
	if !ok || !known || d.over(&q) {
		return incident.Enquiry{}, ErrReceipt
	}
	return q, nil
}

// over says that an enquiry cannot be opened any more: it waits for nothing of
// the company's, and nothing has become of it for as long as the retention.
func (d *Desk) over(q *incident.Enquiry) bool {
	last := max(q.At, q.CheckedAt, q.AnswerAt, q.Closed)
	return !q.Waits() && d.Now().Sub(last.Go()) > d.Config.Retention
}

// Asker is what the asker of an enquiry says of themselves.
func (d *Desk) Asker(q *incident.Enquiry) (a Asker, err error) {
	text, ok := d.Vault.Space("asker").Key(q.Body.Asker)
	if !ok {
		return a, nil // erased
	}
	err = json.Unmarshal([]byte(text), &a)
	return a, err
}

// said is a text of the vault.
func (d *Desk) text(space string, ord uint32) string {
	text, _ := d.Vault.Space(space).Key(ord)
	return text
}

// Said is what the asker wrote.
func (d *Desk) Said(q *incident.Enquiry) string { return d.text("said", q.Body.Said) }

// AnswerText is what the asker was told last; "" for nothing yet.
func (d *Desk) AnswerText(q *incident.Enquiry) string {
	if q.Answer == nil {
		return ""
	}
	return d.text("document", q.Answer.Document)
}

// Codes.
const (
	codeDigits  = 8
	codeLasts   = 30 * time.Minute
	codesEach   = 3 // of one enquiry
	codesDaily  = 5 // of one person, whoever asks
	mostTries   = 10
	mostTracked = 100_000
)

// CodeLasts is how long a code can be used.
const CodeLasts = codeLasts

// codeHash is what the ledger holds of a code.
func codeHash(a *Asker, code string) (sum [32]byte) {
	mac := hmac.New(sha256.New, []byte(a.Salt))
	mac.Write([]byte(code))
	return [32]byte(mac.Sum(nil))
}

// readCode takes the digits of what somebody types.
func readCode(typed string) string {
	if len(typed) > 100 {
		return ""
	}
	return strings.Map(func(r rune) rune {
		if r >= 0xff10 && r <= 0xff19 {
			r -= 0xfee0
		}
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, typed)
}

// Errors of Prove. They are the same whether a code was ever sent or not.
var (
	ErrCode  = errors.New("the code does not fit")
	ErrTries = errors.New("too many wrong codes")
)

// Prove takes the code that somebody read in the mailbox of the roster. When it
// returns without an error, it is durable that they are who they say.
func (d *Desk) Prove(ctx context.Context, receipt, code string) (incident.Enquiry, error) {
	q, err := d.Open(ctx, receipt)
	if err != nil {
		return q, err
	}
	if _, _, known := q.Known(); known || q.Closed != 0 {
		return q, nil
	}
	// Counted before it is looked at, so that many at once are not each the first.
	d.mu.Lock()
	n := d.tries[q.Number]
	if len(d.tries) < mostTracked || n > 0 {
		d.tries[q.Number] = n + 1
	} else {
		n = mostTries
	}
	d.mu.Unlock()
	if n >= mostTries {
		return q, ErrTries
	}
	asker, err := d.Asker(&q)
	if err != nil {
		return q, err
	}
	// The same steps for those without a code: zeros are the hash of none.
	want := [32]byte{}
	var age time.Duration
	if q.Matched != nil {
		want, age = q.Matched.Code, d.Now().Sub(q.MatchAt.Go())
	}
	got := codeHash(&asker, readCode(code))
	if !hmac.Equal(want[:], got[:]) || age > codeLasts {
		return q, ErrCode
	}
	id, err := d.Append(ctx, &sekisho.IdentityChecked{Enquiry: q.Number, Space: q.Matched.Space, Subject: q.Matched.Subject, Means: "code", Result: "confirmed"})
	if err != nil {
		return q, fmt.Errorf("recording who asks: %w", err)
	}
	d.mu.Lock()
	delete(d.tries, q.Number)
	d.mu.Unlock()
	return d.settled(ctx, q.Number, id.Seq)
}

// settled answers what can be answered, and gives the enquiry as it stands
// then.
func (d *Desk) settled(ctx context.Context, number, through uint64) (q incident.Enquiry, err error) {
	if err := d.Views.WaitFor(ctx, through); err != nil {
		return q, err
	}
	if err := d.answer(ctx, number); err != nil {
		// It is kept, and Run tries again.
		d.Log.Error("answering an enquiry", "enquiry", number, "error", err)
	}
	d.Views.Read(func() { q, _ = d.Enquiries.Get(number) })
	return q, nil
}

// ByHand asks for a person to check who the asker is.
func (d *Desk) ByHand(ctx context.Context, receipt string) (incident.Enquiry, error) {
	q, err := d.Open(ctx, receipt)
	if err != nil || q.Standing() != incident.StandProof {
		return q, err
	}
	return d.record(ctx, q.Number, &sekisho.EnquiryRouted{Enquiry: q.Number, Action: "by_hand"})
}

// Withdraw ends an enquiry for whoever asked.
func (d *Desk) Withdraw(ctx context.Context, receipt string) (incident.Enquiry, error) {
	q, err := d.Open(ctx, receipt)
	if err != nil || q.Closed != 0 {
		return q, err
	}
	return d.record(ctx, q.Number, &sekisho.EnquiryClosed{Enquiry: q.Number, Reason: "withdrawn"})
}

// Again has another code made, as far as the limits allow; whether they do, and
// whether there was one before, is not told.
func (d *Desk) Again(ctx context.Context, receipt string) (incident.Enquiry, error) {
	q, err := d.Open(ctx, receipt)
	if err != nil || q.Standing() != incident.StandProof || !d.Codes() {
		return q, err
	}
	// Counted for everybody alike: how often what they gave was compared.
	if q.Matches >= codesEach {
		return q, nil
	}
	return d.record(ctx, q.Number, &sekisho.EnquiryRouted{Enquiry: q.Number, Action: "code"})
}

// record appends what somebody did, and gives the enquiry as it stands then.
func (d *Desk) record(ctx context.Context, number uint64, b ...sekisho.Body) (q incident.Enquiry, err error) {
	id, err := d.Append(ctx, b...)
	if err != nil {
		return q, fmt.Errorf("recording an enquiry: %w", err)
	}
	if err := d.Views.WaitFor(ctx, id.Seq+uint64(len(b))-1); err != nil {
		return q, err
	}
	d.Views.Read(func() { q, _ = d.Enquiries.Get(number) })
	return q, nil
}

// Due is when an enquiry is to be answered, by the target of the house, and by
// a law's limit if where the person lives makes one apply (zero: none is
// known).
func (d *Desk) Due(q *incident.Enquiry) (target, limit time.Time) {
	var calendar *law.Calendar
	if d.Law != nil {
		calendar = d.Law.Calendar(d.Config.Calendar)
	}
	came := q.At.Go().In(d.Zone)
	target = d.Answers.Due(q.Body.Asked, came, d.Zone, calendar, d.Config.targets)
	if q.Promised != 0 {
		target = q.Promised.Go().In(d.Zone)
	}
	space, subject, known := q.Known()
	if !known || d.Law == nil {
		return target, limit
	}
	roster, err := d.Vault.Roster(space)
	if err != nil || roster == nil {
		return target, limit
	}
	dim := slices.Index(roster.Schema().Labels, d.Config.Residence)
	if dim < 0 {
		return target, limit
	}
	home := roster.Label(dim, subject)
	for _, l := range d.Answers.Limits {
		for _, r := range d.Law.Regimes() {
			if home == "" || !slices.Contains(l.Regimes, r.ID) || !slices.Contains(r.Residents, home) {
				continue
			}
			months := l.Months
			if q.Promised != 0 {
				months += l.Extended
			}
			if at := monthsAfter(came, months); limit.IsZero() || at.Before(limit) {
				limit = at
			}
		}
	}
	return target, limit
}

// hashOf is the SHA-256 of a text.
func hashOf(text string) [32]byte { return sha256.Sum256([]byte(text)) }
