package sekisho

// The directory says who works in the group, where, and since when. Times that
// people state (joined, effective) stand apart from the time of the entry: a
// change may be recorded before or after the day from which it holds.

// DirectoryRead says that people or units were compared with a source. The
// changes follow in entries of their own, which name this one.
type DirectoryRead struct {
	Source  string   // its name: "hr", "entra", "ldap-tokyo"
	Form    string   // "csv", "scim", "ldap"
	SHA256  [32]byte // of the bytes that were read, in the order in which they came
	Whole   bool     // everybody of the source was read: who was not there has left it
	People  uint64   // people read
	Joined  uint64   // of these, and of those who were not there any more: what follows
	Changed uint64
	Left    uint64
	Units   uint64 // units opened, changed or closed
	Refused uint64 // lines or records that were not taken
	By      uint32 // ordinal in "staff"; 0: the source itself
}

func (*DirectoryRead) Kind() Kind { return KindDirectoryRead }
func (b *DirectoryRead) code(c *coder) {
	c.string(&b.Source)
	c.string(&b.Form)
	c.hash(&b.SHA256)
	c.bool(&b.Whole)
	c.uint(&b.People)
	c.uint(&b.Joined)
	c.uint(&b.Changed)
	c.uint(&b.Left)
	c.uint(&b.Units)
	c.uint(&b.Refused)
	c.uint32(&b.By)
}

// PersonChanged is all that the ledger knows of a person from Effective on, up
// to the next PersonChanged that takes effect.
type PersonChanged struct {
	Read      uint64 // sequence number of the DirectoryRead
	Staff     uint32 // ordinal in "staff"
	Action    string // "joined", "changed", "left", "returned"
	Effective Time
	Joined    Time   // first day of this employment; 0: not known
	Left      Time   // from here on not one of us any more; 0: no end is known
	Employed  string // "employee", "executive", "agency", "secondee"
	Executive bool   // an officer of the company, whatever Employed says
	Leave     bool   // on leave
	Record    uint32 // ordinal in "staff_record": name, mail address, language
	Postings  []PersonPosting
}

// PersonPosting is a place that a person has in a unit.
type PersonPosting struct {
	Unit  uint32 // ordinal in "unit": a department, a company or a group
	Post  uint32 // ordinal in "unit"; 0 for none
	As    string // "main", "concurrent", "secondment", "group"
	From  Time   // 0: as long as the person is as the entry says
	Until Time   // the first moment at which it is over; 0: no end is known
}

func (*PersonChanged) Kind() Kind { return KindPersonChanged }
func (b *PersonChanged) code(c *coder) {
	c.uint(&b.Read)
	c.uint32(&b.Staff)
	c.string(&b.Action)
	c.time(&b.Effective)
	c.time(&b.Joined)
	c.time(&b.Left)
	c.string(&b.Employed)
	c.bool(&b.Executive)
	c.bool(&b.Leave)
	c.uint32(&b.Record)
	n := c.length(len(b.Postings), 5)
	if c.reading && n > 0 {
		b.Postings = make([]PersonPosting, n)
	}
	for i := range n {
		p := &b.Postings[i]
		c.uint32(&p.Unit)
		c.uint32(&p.Post)
		c.string(&p.As)
		c.time(&p.From)
		c.time(&p.Until)
	}
}

// UnitChanged is all that the ledger knows of a unit from Effective on: where
// it stands in the group, and what it is called.
type UnitChanged struct {
	Read      uint64 // sequence number of the DirectoryRead
	Unit      uint32 // ordinal in "unit": "company/0001", "department/0001/sales", "post/director"
	Action    string // "opened", "changed", "closed"
	Is        string // "company", "department", "post", "group"
	Parent    uint32 // ordinal in "unit"; 0 for none
	Title     uint32 // ordinal in "said"; 0 for none
	Effective Time
}

func (*UnitChanged) Kind() Kind { return KindUnitChanged }
func (b *UnitChanged) code(c *coder) {
	c.uint(&b.Read)
	c.uint32(&b.Unit)
	c.string(&b.Action)
	c.string(&b.Is)
	c.uint32(&b.Parent)
	c.uint32(&b.Title)
	c.time(&b.Effective)
}
