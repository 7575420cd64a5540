package sekisho

// Verb is what a statement does to customers' data. The words are OCSF's for
// Datastore Activity (6005).
type Verb byte

const (
	Read   Verb = 1
	Insert Verb = 2
	Update Verb = 3
	Delete Verb = 4
	Export Verb = 5 // COPY to the client, a download from the console, a list from the command line
	Other  Verb = 6 // not understood; only ever with class AnyRow
)

func (v Verb) String() string {
	switch v {
	case Read:
		return "read"
	case Insert:
		return "insert"
	case Update:
		return "update"
	case Delete:
		return "delete"
	case Export:
		return "export"
	}
	return "other"
}

// Class says how well an access names its customers.
type Class byte

const (
	Exact       Class = 1 // values of exactly these customers went out
	Contributed Class = 2 // their values were aggregated or tested
	AnyRow      Class = 3 // cannot be told: it could be every customer of those tables
)

func (c Class) String() string {
	switch c {
	case Exact:
		return "exact"
	case Contributed:
		return "contributed"
	case AnyRow:
		return "any-row"
	}
	return "unknown"
}

// Shape is what all accesses by one kind of statement have in common. It is
// written once an epoch; accesses name it by its sequence number.
type Shape struct {
	Statement  uint32   // ordinal of its literal-free text in the space "statement"
	Verb       Verb     //
	Space      string   // whose data: a subject of the catalog
	Tables     []string // the catalog's names of the protected tables, sorted
	Columns    []string // the catalog's names (table.column) of the protected columns whose values go out, or, with Contributed, that the statement means, sorted; with Insert, Update and Delete those that are set or destroyed
	Categories Categories
}

func (*Shape) Kind() Kind { return KindShape }
func (b *Shape) code(c *coder) {
	c.uint32(&b.Statement)
	c.byte((*byte)(&b.Verb))
	c.string(&b.Space)
	c.strings(&b.Tables)
	c.strings(&b.Columns)
	cat := uint32(b.Categories)
	c.uint32(&cat)
	b.Categories = Categories(cat)
}

// Access says that these customers' data may have been released. It is durable
// before the first byte is. A long result is many of them, one a chunk, with
// the same Session and Number; the first has More set unless it is also the
// last. Without a closing word everything in it counts as released.
type Access struct {
	Session  uint64 // sequence number of the SessionOpened
	Shape    uint64 // sequence number of the Shape
	Number   uint64 // of the statement in its session, from 1
	Class    Class
	More     bool     // the result goes on: another Access or an AccessClosed follows
	Purpose  uint32   // ordinal in the space "purpose"; 0 for none stated
	Rows     uint64   // rows in this chunk
	Least    uint32   // the least bytes of protected values that one of these rows holds
	Reach    uint64   // with AnyRow, and with Contributed if all of a table are meant: how many customers the tables hold, as far as known
	Subjects []uint32 // ordinals in the shape's space, in the order of the rows; may repeat
}

func (*Access) Kind() Kind { return KindAccess }
func (b *Access) code(c *coder) {
	c.uint(&b.Session)
	c.uint(&b.Shape)
	c.uint(&b.Number)
	c.byte((*byte)(&b.Class))
	c.bool(&b.More)
	c.uint32(&b.Purpose)
	c.uint(&b.Rows)
	c.uint32(&b.Least)
	c.uint(&b.Reach)
	c.ordinals(&b.Subjects)
}

// Outcome is how a statement ended.
type Outcome byte

const (
	Completed  Outcome = 1
	Failed     Outcome = 2 // the server said so
	Cancelled  Outcome = 3
	ClientGone Outcome = 4
	ServerGone Outcome = 5
	CutOff     Outcome = 6 // by the gate
	Unrecorded Outcome = 7 // the ledger refused a later chunk, which was never released
)

func (o Outcome) String() string {
	switch o {
	case Completed:
		return "completed"
	case Failed:
		return "failed"
	case Cancelled:
		return "cancelled"
	case ClientGone:
		return "client gone"
	case ServerGone:
		return "server gone"
	case CutOff:
		return "cut off"
	case Unrecorded:
		return "unrecorded"
	}
	return "open"
}

// AccessClosed narrows an access that did not end in its last chunk, or takes
// back one that was written before its row came, and did not come: of its Access
// entries, only those up to Released may have reached the client.
type AccessClosed struct {
	Session  uint64
	Number   uint64
	Outcome  Outcome
	Released uint64 // sequence number of the last Access of which a byte was handed to the socket; 0 for none
	SQLState string // five characters, or empty
}

func (*AccessClosed) Kind() Kind { return KindAccessClosed }
func (b *AccessClosed) code(c *coder) {
	c.uint(&b.Session)
	c.uint(&b.Number)
	c.byte((*byte)(&b.Outcome))
	c.uint(&b.Released)
	c.string(&b.SQLState)
}

// Refused says that the gate turned a statement away before the database saw
// it.
type Refused struct {
	Session   uint64
	Number    uint64
	Statement uint32   // ordinal in "statement"; 0 if the text could not be parsed
	Tables    []string // the protected tables that it named
	SQLState  string
	Reason    string // a code: "aggregate", "set_operation", "cursor", "not_understood", …
}

func (*Refused) Kind() Kind { return KindRefused }
func (b *Refused) code(c *coder) {
	c.uint(&b.Session)
	c.uint(&b.Number)
	c.uint32(&b.Statement)
	c.strings(&b.Tables)
	c.string(&b.SQLState)
	c.string(&b.Reason)
}
