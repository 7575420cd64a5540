package directory

import (
	"fmt"
	"slices"
	"strings"

	"sekisho"
)

// A Record is a person as a source says.
type Record struct {
	User string // the user name: the key in "staff"
	Attributes
	Kind      string // "employee" if empty
	Executive bool
	Leave     bool
	Joined    sekisho.Time // 0: the source does not say
	Left      sekisho.Time
	Places    []Place
	Where     string // "line 12": for people who look for a mistake
}

// A Place is a posting with the keys of its units.
type Place struct {
	Unit, Post  string
	As          string
	From, Until sekisho.Time
}

// A UnitRecord is a unit as a source says. What its key begins with is its
// kind.
type UnitRecord struct {
	Key    string
	Title  string // empty: the source does not say
	Parent string // key; empty: none
	Closed bool   // the source says that it is no more
}

// A Refusal is a line or record that is not taken, and why.
type Refusal struct {
	Where string `json:"where"`
	Why   string `json:"why"`
}

// A Snapshot is what a source says at a moment.
type Snapshot struct {
	Source, Form string
	SHA256       [32]byte
	// Whole: who is not in it has left, and a unit of this source that is not in
	// it is closed.
	Whole   bool
	People  []Record
	Units   []UnitRecord
	Refused []Refusal
	// Effective is the day from which changes hold that state no day of their
	// own.
	Effective sekisho.Time
}

// Names reach the vault.
type Names struct {
	Find   func(space, key string) (uint32, bool)
	Key    func(space string, ordinal uint32) (string, bool)
	Assign func(space, key string) uint32 // a new ordinal if there is none; 0 if the vault cannot take the key
}

// A Change is one difference between a source and the book.
type Change struct {
	User   string   `json:"user,omitempty"`
	Unit   string   `json:"unit,omitempty"`
	Action string   `json:"action"`
	What   []string `json:"what,omitempty"` // of "changed": which fields
	Where  string   `json:"where,omitempty"`

	record *Record
	unit   *UnitRecord
	before *Person
	from   sekisho.Time
}

// A Plan is all differences: what an import would record, and records.
type Plan struct {
	Snapshot *Snapshot
	Units    []Change
	People   []Change
	Had      int // people of this source whom the book has
}

// Count is how many people have an action.
func (p *Plan) Count(action string) (n int) {
	for i := range p.People {
		if p.People[i].Action == action {
			n++
		}
	}
	return n
}

// Empty: there is nothing to record.
func (p *Plan) Empty() bool { return len(p.Units)+len(p.People) == 0 }

// Plan compares a snapshot with the book. Nothing is assigned or recorded.
func (b *Book) Plan(s *Snapshot, names Names) *Plan {
	p := &Plan{Snapshot: s}
	first := true
	for _, r := range b.Reads() {
		first = first && r.Source != s.Source
	}
	s.placeUnits()
	b.planUnits(p, names)
	seen := map[uint32]bool{}
	for i := range s.People {
		r := &s.People[i]
		staff, known := names.Find("staff", r.User)
		seen[staff] = known
		if c, differs := b.planPerson(s, r, staff, names); differs {
			if c.Action == "joined" && r.Joined == 0 && !first { // a source that was read before would have had them
				r.Joined = s.Effective
			}
			p.People = append(p.People, c)
		}
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, staff := range b.staff {
		h := b.people[staff]
		last := h.recorded[len(h.recorded)-1]
		if last.Source != s.Source {
			continue
		}
		spells := h.spells(0)
		if end := spells[len(spells)-1].left; end != 0 && end <= s.Effective {
			continue
		}
		p.Had++
		if s.Whole && !seen[staff] {
			user, _ := names.Key("staff", staff)
			before := h.at(s.Effective, 0)
			if before == nil {
				before = h.first(0)
			}
			p.People = append(p.People, Change{User: user, Action: "left", before: before, from: s.Effective})
		}
	}
	return p
}

// placeUnits adds the units that people are posted in, with the parents that
// their keys tell: "department/0001/sales/tickets" is below
// "department/0001/sales", and that below "company/0001".
func (s *Snapshot) placeUnits() {
	have := map[string]bool{}
	for i := range s.Units {
		have[s.Units[i].Key] = true
	}
	var add func(key string) string
	add = func(key string) string {
		if key == "" || have[key] {
			return key
		}
		have[key] = true
		u := UnitRecord{Key: key}
		if rest, ok := strings.CutPrefix(key, "department/"); ok {
			if i := strings.LastIndexByte(rest, '/'); i > 0 {
				if above := rest[:i]; strings.Contains(above, "/") {
					u.Parent = add("department/" + above)
				} else {
					u.Parent = add("company/" + above)
				}
			}
		}
		s.Units = append(s.Units, u)
		return key
	}
	for i := range s.Units {
		add(s.Units[i].Parent)
	}
	for i := range s.People {
		for _, one := range s.People[i].Places {
			add(one.Unit)
			add(one.Post)
		}
	}
}

func (b *Book) planUnits(p *Plan, names Names) {
	s, seen := p.Snapshot, map[uint32]bool{}
	for i := range s.Units {
		u := &s.Units[i]
		unit, known := names.Find("unit", u.Key)
		seen[unit] = known
		var is *Unit
		if known {
			is = b.Unit(unit, s.Effective)
		}
		c := Change{Unit: u.Key, unit: u, from: s.Effective}
		switch {
		case u.Closed && (is == nil || is.Closed != 0):
			continue
		case u.Closed:
			c.Action = "closed"
		case is == nil || is.Closed != 0:
			c.Action = "opened"
		default:
			if parent, _ := names.Find("unit", u.Parent); parent != is.Parent || parent == 0 && u.Parent != "" {
				c.What = append(c.What, "parent")
			}
			title, _ := names.Key("said", is.Title)
			if u.Title != "" && u.Title != title {
				c.What = append(c.What, "title")
			}
			if c.Action = "changed"; c.What == nil {
				continue
			}
			if u.Title == "" {
				u.Title = title
			}
		}
		p.Units = append(p.Units, c)
	}
	if !s.Whole {
		return
	}
	for u := range b.UnitsAt("", s.Effective) {
		if u.Source == s.Source && !seen[u.Unit] {
			key, _ := names.Key("unit", u.Unit)
			title, _ := names.Key("said", u.Title)
			parent, _ := names.Key("unit", u.Parent)
			p.Units = append(p.Units, Change{Unit: key, Action: "closed", unit: &UnitRecord{Key: key, Title: title, Parent: parent}, from: s.Effective})
		}
	}
}

func (b *Book) planPerson(s *Snapshot, r *Record, staff uint32, names Names) (Change, bool) {
	if r.Kind == "" {
		r.Kind = "employee"
	}
	r.Executive = r.Executive || r.Kind == "executive"
	c := Change{User: r.User, Action: "joined", Where: r.Where, record: r, from: s.Effective}
	was := b.Last(staff, s.Effective)
	gone := r.Left != 0 && r.Left <= s.Effective
	switch {
	case was == nil:
		if r.Joined != 0 {
			c.from = r.Joined
		}
		return c, true
	case was.Left != 0 && was.Left <= s.Effective && !gone:
		c.Action = "returned"
		if r.Joined <= was.Left { // of the employment before
			r.Joined = s.Effective
		}
		c.from = r.Joined
		return c, true
	}
	if r.Joined == 0 {
		r.Joined = was.Joined
	}
	r.Attributes.Staff = staff
	differs := func(what string, does bool) {
		if does {
			c.What = append(c.What, what)
		}
	}
	record, _ := names.Key("staff_record", was.Record)
	differs("attributes", record != r.Attributes.Key())
	differs("employed", was.Kind != r.Kind)
	differs("executive", was.Executive != r.Executive)
	differs("leave", was.Leave != r.Leave)
	differs("joined", was.Joined != r.Joined)
	differs("left", was.Left != r.Left)
	differs("source", was.Source != s.Source)
	differs("postings", !slices.Equal(r.postings(func(key string) uint32 { o, _ := names.Find("unit", key); return o }), was.Postings))
	if c.Action = "changed"; gone && (was.Left == 0 || was.Left > s.Effective) {
		c.Action, c.What = "left", nil
		return c, true
	}
	return c, c.What != nil
}

func (r *Record) postings(unit func(string) uint32) (list []Posting) {
	for _, one := range r.Places {
		p := Posting{Unit: unit(one.Unit), As: one.As, From: one.From, Until: one.Until}
		if one.Post != "" {
			p.Post = unit(one.Post)
		}
		list = append(list, p)
	}
	return list
}

// Read is the entry before the changes.
func (p *Plan) Read(by uint32) *sekisho.DirectoryRead {
	s := p.Snapshot
	return &sekisho.DirectoryRead{Source: s.Source, Form: s.Form, SHA256: s.SHA256, Whole: s.Whole, People: uint64(len(s.People)),
		Joined: uint64(p.Count("joined") + p.Count("returned")), Changed: uint64(p.Count("changed")), Left: uint64(p.Count("left")),
		Units: uint64(len(p.Units)), Refused: uint64(len(s.Refused)), By: by}
}

// Bodies are the entries that follow the DirectoryRead with that sequence
// number: the units first, so that whoever follows the ledger knows them. They
// give ordinals to what has none.
func (p *Plan) Bodies(names Names, read uint64) (list []sekisho.Body, err error) {
	assign := func(space, key string) uint32 {
		if key == "" {
			return 0
		}
		o := names.Assign(space, key)
		if o == 0 && err == nil {
			err = fmt.Errorf("the vault takes no more keys in %q, or not one of %d bytes", space, len(key))
		}
		return o
	}
	unit := func(key string) uint32 { return assign("unit", key) }
	for i := range p.Units {
		c := &p.Units[i]
		kind, _, _ := strings.Cut(c.unit.Key, "/")
		list = append(list, &sekisho.UnitChanged{Read: read, Unit: unit(c.unit.Key), Action: c.Action, Is: kind,
			Parent: unit(c.unit.Parent), Title: assign("said", c.unit.Title), Effective: c.from})
	}
	for i := range p.People {
		c := &p.People[i]
		body := &sekisho.PersonChanged{Read: read, Action: c.Action, Effective: max(c.from, 0)}
		var postings []Posting
		if r := c.record; r != nil {
			body.Staff = assign("staff", r.User)
			a := r.Attributes
			a.Staff = body.Staff
			body.Joined, body.Left, body.Employed, body.Executive, body.Leave = r.Joined, r.Left, r.Kind, r.Executive, r.Leave
			body.Record = assign("staff_record", a.Key())
			postings = r.postings(unit)
		} else {
			was := c.before
			body.Staff, body.Joined, body.Left, body.Employed, body.Executive, body.Leave, body.Record, postings = was.Staff, was.Joined, c.from, was.Kind, was.Executive, was.Leave, was.Record, was.Postings
		}
		for _, one := range postings {
			body.Postings = append(body.Postings, sekisho.PersonPosting(one))
		}
		list = append(list, body)
	}
	return list, err
}
