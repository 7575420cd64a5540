package duty

import (
	"slices"
	"strconv"
	"strings"

	"sekisho"
)

// A meeting of a council counts when its minutes are there, a quorum was, and
// two people signed them.
var meeting = Noun{Name: "meeting", Evidence: "minutes", Space: "thing", Of: "council", Parties: [2]string{"chair", "secretary"}, Papers: []string{"minutes"}, Attended: true}

// A law is reviewed: what changed, what it asks for, what was decided.
var legalReview = Noun{Name: "legal", Evidence: "legal_review", Space: "thing", Of: "law", Parties: [2]string{"owner", "assessor"}, Result: true}

// A Thing is a line of a register as it stands.
type Thing struct {
	Ordinal uint32
	Entry   uint64 // the last Registered
	First   sekisho.Time
	At      sekisho.Time
	Body    *sekisho.Registered
	Lines   []uint64 // every Registered of it
	Papers  []Paper

	members map[uint32]bool // of a council: those that are counted
}

// Retired: it stands in the register no more.
func (t *Thing) Retired() bool { return t.Body.Action == "retired" }

// In: it stood in the register at a moment.
func (t *Thing) In(now sekisho.Time) bool {
	return t.First <= now && (!t.Retired() || now < t.At) && (t.Body.Until == 0 || now < t.Body.Until)
}

// Has: rules that hang on a trait hold of it.
func (t *Thing) Has(trait string) bool { return slices.Contains(t.Body.Traits, trait) }

// Quorum is how many members of a council must be there: its trait "quorum_N",
// else more than half.
func (t *Thing) Quorum() int {
	for _, trait := range t.Body.Traits {
		if s, ok := strings.CutPrefix(trait, "quorum_"); ok {
			if n, err := strconv.Atoi(s); err == nil && n > 0 {
				return n
			}
		}
	}
	return len(t.Body.Members)/2 + 1
}

// A Post is one time in which somebody holds a post.
type Post struct {
	Entry uint64
	At    sekisho.Time
	Body  *sekisho.PostChanged
	Until sekisho.Time // 0: still
}

// A Money is a milestone of the budget.
type Money struct {
	Entry uint64
	At    sekisho.Time
	Body  *sekisho.BudgetDecided
}

type registers struct {
	things map[uint32]*Thing
	order  []*Thing
	posts  []*Post
	money  []Money
	lines  map[uint64]*Thing // by the entry of a Registered
}

func (r *registers) init() {
	r.things, r.lines = map[uint32]*Thing{}, map[uint64]*Thing{}
}

// Thing is a line of a register by its ordinal in "thing", or nil.
func (b *Checks) Thing(ordinal uint32) *Thing { return b.things[ordinal] }

// Things are the lines of one noun, or of all for "", in the order in which
// they were registered.
func (b *Checks) Things(noun string) (list []*Thing) {
	for _, t := range b.order {
		if noun == "" || t.Body.Noun == noun {
			list = append(list, t)
		}
	}
	return list
}

// Posts is every time in which somebody held a post.
func (b *Checks) Posts() []*Post { return b.posts }

// Holder is who holds a post over something at a moment; 0: nobody.
func (b *Checks) Holder(post string, over Unit, deputy bool, now sekisho.Time) uint32 {
	for n := len(b.posts) - 1; n >= 0; n-- {
		p := b.posts[n]
		if x := p.Body; x.Post == post && x.Space == over.Space && x.Unit == over.Ordinal && x.Deputy == deputy && x.From <= now && (p.Until == 0 || now < p.Until) {
			return x.Person
		}
	}
	return 0
}

// Budget is every milestone of it.
func (b *Checks) Budget() []Money { return b.money }

func (b *Checks) register(e *sekisho.Entry) {
	switch x := e.Body.(type) {
	case *sekisho.Registered:
		t := b.things[x.Thing]
		if t == nil {
			t = &Thing{Ordinal: x.Thing, First: e.Time, members: map[uint32]bool{}}
			b.things[x.Thing] = t
			b.order = append(b.order, t)
		}
		before := t.Entry
		t.Entry, t.At, t.Body = e.ID.Seq, e.Time, x
		t.Lines = append(t.Lines, e.ID.Seq)
		b.lines[e.ID.Seq] = t
		if before != 0 {
			b.withdraw(before)
		}
		b.enlistThing(t)
		b.proveThing(t)
		for _, c := range b.checks { // a council's members, and so its quorum
			if n, _ := NounOf(c.Body.Noun); n.Attended && slices.Contains(c.Body.Units, t.Ordinal) {
				b.prove(c, e)
			}
		}
	case *sekisho.PostChanged:
		b.post(e, x)
	case *sekisho.PersonChanged:
		if x.Action == "left" { // a post does not outlive its holder's employment
			for _, p := range b.posts {
				if p.Body.Person == x.Staff && p.Until == 0 {
					b.endPost(p, x.Effective)
				}
			}
		}
	case *sekisho.BudgetDecided:
		b.money = append(b.money, Money{e.ID.Seq, e.Time, x})
		b.proveMoney(Money{e.ID.Seq, e.Time, x})
	}
}

// enlistThing: what stands in a register is there to be counted, under the
// register's name; certificates as the certified, of servers those that the public reaches, and of suppliers
// and contracts those that handle personal data.
func (b *Checks) enlistThing(t *Thing) {
	u := Unit{"thing", t.Ordinal}
	counted, population := !t.Retired(), t.Body.Noun
	switch t.Body.Noun {
	case "server":
		counted = counted && t.Has("public")
	case "supplier", "contract":
		counted = counted && t.Has("personal_data")
	case "certificate":
		population = "certified"
	case "cloud":
		counted = counted && !t.Has("no_service")
	case "council":
		b.enlistMembers(t)
	case "asset":
		if at := b.assets.assets[t.Ordinal].Destroyed(); at != 0 {
			return // it was struck when the last witness had spoken
		}
	}
	if !counted {
		b.strike(population, u, int64(t.At))
		return
	}
	from := t.Body.From
	if from == 0 {
		from = t.First
	}
	b.enlist(population, Member{Unit: u, Company: t.Body.Unit, Owner: t.Body.Owner, From: int64(from), Until: int64(t.Body.Until)})
}

// enlistMembers: the members of a council in which executives oversee the risks
// owe their attendance, for as long as they are members.
func (b *Checks) enlistMembers(t *Thing) {
	for m := range t.members {
		if !slices.Contains(t.Body.Members, m) || t.Retired() || !t.Has("oversight") {
			b.strike("council_member", Unit{"staff", m}, int64(t.At))
			delete(t.members, m)
		}
	}
	if t.Retired() || !t.Has("oversight") {
		return
	}
	for _, m := range t.Body.Members {
		if !t.members[m] {
			t.members[m] = true
			b.enlist("council_member", Member{Unit: Unit{"staff", m}, Company: t.Body.Unit, From: int64(t.At)})
		}
	}
}

// proveThing: a membership or a certificate counts for as long as it says, once
// the paper that proves it is attached.
func (b *Checks) proveThing(t *Thing) {
	noun := t.Body.Noun
	if noun != "membership" && noun != "certificate" || t.Retired() {
		return
	}
	state := "declared"
	if slices.ContainsFunc(t.Papers, func(p Paper) bool { return p.Body.What == "certificate" && p.At >= t.First }) {
		state = ""
	}
	b.credit(Credit{Seq: t.Entry, Kind: "certificate", Unit: Unit{"thing", t.Ordinal}, From: int64(t.Body.From), Until: int64(t.Body.Until), Recorded: int64(t.At), Item: noun, State: state})
}

func (b *Checks) registerPaper(p Paper) {
	if t := b.lines[p.Body.About]; t != nil {
		t.Papers = append(t.Papers, p)
		b.withdraw(t.Entry)
		b.proveThing(t)
	}
}

// post folds who holds what. One holder at a time: who is appointed ends the
// time of whoever was before.
func (b *Checks) post(e *sekisho.Entry, x *sekisho.PostChanged) {
	for _, p := range b.posts {
		if y := p.Body; p.Until == 0 && y.Post == x.Post && y.Space == x.Space && y.Unit == x.Unit && y.Deputy == x.Deputy {
			b.endPost(p, x.From)
		}
	}
	if x.Action != "appointed" {
		return
	}
	p := &Post{Entry: e.ID.Seq, At: e.Time, Body: x}
	b.posts = append(b.posts, p)
	b.provePost(p)
}

func (b *Checks) endPost(p *Post, at sekisho.Time) {
	p.Until = max(at, p.Body.From)
	b.withdraw(p.Entry)
	if p.Until > p.Body.From {
		b.provePost(p)
	}
}

func (b *Checks) provePost(p *Post) {
	x := p.Body
	item := x.Post
	switch {
	case x.Deputy && x.Post == "administrator":
		item = "deputy"
	case x.Deputy:
		item += "/deputy"
	}
	b.credit(Credit{Seq: p.Entry, Kind: "role_assignment", Unit: Unit{x.Space, x.Unit}, From: int64(x.From), Until: int64(p.Until), Recorded: int64(p.At), Item: item})
}

// proveMoney: a plan is one person's word, a decision rests on the minutes of a
// meeting that count.
func (b *Checks) proveMoney(m Money) {
	x := m.Body
	item, ok := map[string]string{"planned": "budget-planned", "decided": "budget-decided", "spent": "budget-reviewed"}[x.Step]
	if !ok {
		return
	}
	state := Unsigned
	if c := b.byNumber[x.Meeting]; c != nil && len(b.Missing(c)) == 0 {
		state = ""
	}
	unit := Group
	if x.Unit != 0 {
		unit = Unit{"unit", x.Unit}
	}
	b.credit(Credit{Seq: m.Entry, Kind: "budget_item", Unit: unit, From: int64(x.At), Recorded: int64(m.At), Item: item, State: state, Value: int64(min(x.Amount, 1<<62))})
}

// quorate: enough members of the council were there.
func (b *Checks) quorate(c *Check) bool {
	for _, u := range c.Body.Units {
		t := b.things[u]
		if t == nil {
			return false
		}
		there := 0
		for _, m := range t.Body.Members {
			if slices.Contains(c.Attended.Present, m) {
				there++
			}
		}
		if there < t.Quorum() {
			return false
		}
	}
	return len(c.Body.Units) > 0
}

// proveAttendance says of each member whether they were at a meeting.
func (b *Checks) proveAttendance(c *Check, e *sekisho.Entry, state string) {
	one := func(list []uint32, state string) {
		for _, m := range list {
			b.credit(Credit{Seq: c.Number, Kind: "minutes", Unit: Unit{"staff", m}, From: int64(c.Held), Recorded: int64(e.Time), Item: "attended/" + strconv.FormatUint(c.Number, 10), State: state})
		}
	}
	one(c.Attended.Present, state)
	one(c.Attended.Absent, "absent")
}
