package duty

import (
	"crypto/sha256"
	"maps"
	"net/netip"
	"slices"

	"sekisho"
)

// A Check is something that people looked at, or are to look at: what was
// planned, what they did, and who signed for it.
type Check struct {
	Number    uint64       `json:"number"`
	At        sekisho.Time `json:"planned"`
	Body      *sekisho.CheckPlanned
	Due       sekisho.Time      `json:"due"`
	Lead      uint32            `json:"-"`
	Other     uint32            `json:"-"`
	Held      sekisho.Time      `json:"held"` // 0: not yet
	Answers   map[string]Answer `json:"-"`
	Papers    []Paper           `json:"-"`
	Findings  []uint64          `json:"findings"`
	Signed    []Signature       `json:"-"`
	Attended  *sekisho.Attended `json:"-"`
	Seen      map[uint32]Sight  `json:"-"` // of a stock-taking: by its ordinal in "thing"
	Result    string            `json:"result"`
	Good      sekisho.Time      `json:"good"` // until when its result is good; 0: no end of its own
	Cancelled sekisho.Time      `json:"cancelled"`
	Steps     []Step            `json:"-"`
	// Record is the hash over the entries that the signatures are for: all of it
	// but the signatures themselves.
	Record [32]byte `json:"-"`

	credited bool   // its credits stand, under its number
	state    string // what they say
	good     sekisho.Time
}

// An Answer is the present one to an item of the checklist.
type Answer struct {
	Entry  uint64
	At     sekisho.Time
	Answer string
	Note   uint32
	By     uint32
}

// A Paper is a document or photo.
type Paper struct {
	Entry uint64
	At    sekisho.Time
	Body  *sekisho.PaperAdded
}

// A Signature is one with whether it still is for the record as it stands.
type Signature struct {
	Entry uint64
	At    sekisho.Time
	Body  *sekisho.CheckSigned
}

// A Step is a change, as it was written.
type Step struct {
	Entry uint64
	At    sekisho.Time
	Body  *sekisho.CheckChanged
}

// A Noun says what a kind of check must have before it counts.
type Noun struct {
	Name     string    `json:"name"`
	Evidence string    `json:"evidence"` // the kind of the credit it gives
	Space    string    `json:"space"`    // of what it looks at
	Of       string    `json:"of"`       // in "thing": the noun of the register
	Parties  [2]string `json:"parties"`  // who sign: two different people
	Papers   []string  `json:"papers,omitempty"`
	Result   bool      `json:"result,omitempty"`   // it has to end with one, and a failed one does not count
	Must     bool      `json:"must,omitempty"`     // an item that has to be met and is not keeps it from counting
	Expert   bool      `json:"expert,omitempty"`   // somebody from outside does it
	Attended bool      `json:"attended,omitempty"` // a quorum must have been there
}

// Nouns are the kinds of checks.
func Nouns() []Noun {
	return []Noun{inspection, selfCheck, audit, report, penetration, cloudAssessment, supplierReview, clauseCheck, meeting, legalReview, stocktake}
}

// NounOf is the noun of that name.
func NounOf(name string) (Noun, bool) {
	all := Nouns()
	n := slices.IndexFunc(all, func(n Noun) bool { return n.Name == name })
	if n < 0 {
		return Noun{}, false
	}
	return all[n], true
}

// Checks is the fold of registers, checks and findings.
type Checks struct {
	byNumber map[uint64]*Check
	checks   []*Check
	findings map[uint64]*Finding
	found    []*Finding
	byRef    map[[32]byte]*Finding
	papers   map[uint64]*sekisho.PaperAdded
	registers
	cloud
	terminals
	evaluation
	assets

	// Where what they prove goes; nil: nowhere.
	credit   func(Credit)
	withdraw func(seq uint64)
	// What stands in a register is what duties count.
	enlist func(population string, m Member)
	strike func(population string, u Unit, at int64)
	// posed says how a terminal was found, and for how long that holds; outside
	// counts a session from outside the house.
	posed   func(endpoint string, from, until int64, good bool)
	outside func(permitted bool)

	// Inside says which addresses are the house's own.
	Inside func(netip.Addr) bool
}

// NewChecks is an empty fold.
func NewChecks() *Checks {
	b := &Checks{byNumber: map[uint64]*Check{}, findings: map[uint64]*Finding{}, byRef: map[[32]byte]*Finding{},
		papers: map[uint64]*sekisho.PaperAdded{},
		credit: func(Credit) {}, withdraw: func(uint64) {}, enlist: func(string, Member) {}, strike: func(string, Unit, int64) {},
		posed: func(string, int64, int64, bool) {}, outside: func(bool) {}, Inside: inside}
	b.registers.init()
	b.cloud.init()
	b.terminals.init()
	b.evaluation.init()
	b.assets.init()
	return b
}

// Name is the view's.
func (*Checks) Name() string { return "checks" }

// Check is the check of that number, or nil.
func (b *Checks) Check(number uint64) *Check { return b.byNumber[number] }

// Paper is the document that an entry added, or nil.
func (b *Checks) Paper(entry uint64) *sekisho.PaperAdded { return b.papers[entry] }

// All is every check, in the order in which they were planned.
func (b *Checks) All() []*Check { return b.checks }

// Apply folds one entry.
func (b *Checks) Apply(e *sekisho.Entry) {
	switch x := e.Body.(type) {
	case *sekisho.CheckPlanned:
		c := &Check{Number: e.ID.Seq, At: e.Time, Body: x, Due: x.Due, Lead: x.Lead, Other: x.Other, Answers: map[string]Answer{}}
		b.byNumber[c.Number] = c
		b.checks = append(b.checks, c)
		c.sealed(e)
	case *sekisho.CheckChanged:
		if c := b.byNumber[x.Check]; c != nil {
			c.step(e, x)
			b.prove(c, e)
		}
	case *sekisho.CheckAnswered:
		if c := b.byNumber[x.Check]; c != nil && len(x.Answers) == len(x.Items) && len(x.Notes) == len(x.Items) {
			for i, item := range x.Items {
				c.Answers[item] = Answer{e.ID.Seq, e.Time, x.Answers[i], x.Notes[i], x.By}
			}
			c.sealed(e)
			b.prove(c, e)
		}
	case *sekisho.PaperAdded:
		p := Paper{e.ID.Seq, e.Time, x}
		b.papers[e.ID.Seq] = x
		if c := b.byNumber[x.About]; c != nil {
			c.Papers = append(c.Papers, p)
			c.sealed(e)
			b.prove(c, e)
		} else if f := b.findings[x.About]; f != nil {
			f.Papers = append(f.Papers, p)
		} else {
			b.registerPaper(p)
		}
	case *sekisho.CheckSigned:
		if c := b.byNumber[x.Check]; c != nil {
			c.Signed = append(c.Signed, Signature{e.ID.Seq, e.Time, x})
			b.prove(c, e)
		}
	case *sekisho.Attended:
		if c := b.byNumber[x.Check]; c != nil {
			c.Attended = x
			c.sealed(e)
			b.prove(c, e)
		}
	case *sekisho.FindingRaised:
		b.raised(e, x)
	case *sekisho.ActionChanged:
		b.acted(e, x)
	case *sekisho.LessonNoted:
		b.lesson(e, x)
	default:
		b.register(e)
		b.seen(e)
		b.posture(e)
		b.evaluate(e)
		b.assetEntry(e)
	}
}

// sealed takes an entry into what the signatures are for.
func (c *Check) sealed(e *sekisho.Entry) {
	c.Record = sha256.Sum256(e.AppendEncode(c.Record[:len(c.Record):len(c.Record)]))
}

func (c *Check) step(e *sekisho.Entry, x *sekisho.CheckChanged) {
	c.Steps = append(c.Steps, Step{e.ID.Seq, e.Time, x})
	switch x.Action {
	case "moved":
		c.Due = x.Due
		return // when it was to be is no part of what was found
	case "handed":
		c.Lead = x.Person
	case "named":
		c.Other = x.Person
	case "cancelled":
		c.Cancelled = e.Time
	case "held":
		c.Held = x.At
	case "concluded":
		c.Result, c.Good = x.Result, x.Due
	}
	c.sealed(e)
}

// Signature is the last one of a party that is for the record as it stands, or
// nil.
func (c *Check) Signature(party string) *Signature {
	for n := len(c.Signed) - 1; n >= 0; n-- {
		if s := &c.Signed[n]; s.Body.Party == party && s.Body.SHA256 == c.Record {
			return s
		}
	}
	return nil
}

// has: there is a paper of that sort.
func (c *Check) has(what string) bool {
	return slices.ContainsFunc(c.Papers, func(p Paper) bool { return p.Body.What == what })
}

// Missing is what keeps a check from counting, as codes; none: it counts.
func (b *Checks) Missing(c *Check) (codes []string) {
	n, ok := NounOf(c.Body.Noun)
	if !ok {
		return []string{"unknown_noun"}
	}
	if c.Cancelled != 0 {
		return []string{"cancelled"}
	}
	add := func(missing bool, code string) {
		if missing {
			codes = append(codes, code)
		}
	}
	add(c.Held == 0, "not_held")
	add(slices.ContainsFunc(c.Body.Items, func(i string) bool { _, said := c.Answers[i]; return !said }), "unanswered")
	for _, p := range n.Papers {
		add(!c.has(p), "no_"+p)
	}
	add(n.Name == stocktake.Name && c.unseen(), "unseen")
	add(n.Expert && c.Body.Expert == 0, "no_expert")
	if n.Attended {
		add(c.Attended == nil, "no_attendance")
		add(c.Attended != nil && !b.quorate(c), "no_quorum")
	}
	add(n.Result && c.Result == "", "not_concluded")
	add(n.Result && c.Result == "failed", "failed")
	add(n.Must && slices.ContainsFunc(c.Body.Must, func(i string) bool { a := c.Answers[i].Answer; return a == "no" || a == "partly" }), "unmet")
	one, two := c.Signature(n.Parties[0]), c.Signature(n.Parties[1])
	add(one == nil || two == nil, "unsigned")
	add(one != nil && two != nil && one.Body.Person == two.Body.Person, "same_person")
	add(one != nil && !one.Body.Agreed || two != nil && !two.Body.Agreed, "disagreed")
	return codes
}

// prove gives the credits of a check that took place, and takes back what is no
// longer so.
func (b *Checks) prove(c *Check, e *sekisho.Entry) {
	n, ok := NounOf(c.Body.Noun)
	if !ok || c.Held == 0 {
		return
	}
	state := ""
	if missing := b.Missing(c); len(missing) > 0 {
		state = missing[0]
	}
	if c.credited {
		if c.state == state && c.good == c.Good {
			return
		}
		b.withdraw(c.Number)
	}
	c.credited, c.state, c.good = true, state, c.Good
	if n.Name == stocktake.Name {
		b.proveStocktake(c, e, state)
		return
	}
	for _, u := range c.Body.Units {
		b.credit(Credit{Seq: c.Number, Kind: n.Evidence, Unit: Unit{c.Body.Space, u}, From: int64(c.Held), Until: int64(c.Good), Recorded: int64(e.Time), Item: itemOf(c), State: state})
	}
	if n.Attended && c.Attended != nil {
		b.proveAttendance(c, e, state)
	}
	for _, m := range b.money { // what was decided there, and written down before the minutes were signed
		if n.Name == meeting.Name && m.Body.Meeting == c.Number {
			b.withdraw(m.Entry)
			b.proveMoney(m)
		}
	}
}

// State is how far a check has come at a moment.
func (b *Checks) State(c *Check, now sekisho.Time) string {
	switch missing := b.Missing(c); {
	case c.Cancelled != 0:
		return "cancelled"
	case len(missing) == 0 && c.Good != 0 && now >= c.Good:
		return "lapsed"
	case len(missing) == 0:
		return "complete"
	case c.Held == 0 && c.Due != 0 && now > c.Due:
		return "overdue"
	case c.Held == 0:
		return "planned"
	case slices.Equal(missing, []string{"unsigned"}):
		return "unsigned"
	}
	return "open"
}

// Overdue counts the checks that should have taken place and the findings that
// should have been put right.
func (b *Checks) Overdue(now sekisho.Time) (n int) {
	for _, c := range b.checks {
		if c.Held == 0 && c.Cancelled == 0 && c.Due != 0 && now > c.Due {
			n++
		}
	}
	for _, f := range b.found {
		if s := f.State(now); s == "overdue" || s == "expired" {
			n++
		}
	}
	return n
}

// Clone is a copy to keep while the views go on.
func (c *Check) Clone() *Check {
	d := *c
	d.Answers, d.Seen = maps.Clone(c.Answers), maps.Clone(c.Seen)
	d.Papers, d.Findings, d.Signed, d.Steps = slices.Clone(c.Papers), slices.Clone(c.Findings), slices.Clone(c.Signed), slices.Clone(c.Steps)
	return &d
}
