package sekisho

// How information of each category may be handled, what leaves the house under
// which label, and the assets, paper among them, in which it lies.

// HandlingRead says which handling rules hold from here on, and which of the
// catalog's stores and columns have a category.
type HandlingRead struct {
	Edition string
	SHA256  [32]byte   // of the text of the rules
	Version uint64     // the DocumentWritten in force that has this text; 0: nobody has approved any, and everything counts as the strictest
	Unruled Categories // used by the catalog, and not in the rules: they count as the strictest
	Stores  []uint32   // ordinals in "thing", "store/SCHEMA.TABLE": the protected tables
	Columns []uint64   // of each store
	Unnamed []uint64   // of these, without a category, or of one that the rules do not know
}

func (*HandlingRead) Kind() Kind { return KindHandlingRead }
func (b *HandlingRead) code(c *coder) {
	c.string(&b.Edition)
	c.hash(&b.SHA256)
	c.uint(&b.Version)
	c.uint32((*uint32)(&b.Unruled))
	c.ordinals(&b.Stores)
	c.uints(&b.Columns)
	c.uints(&b.Unnamed)
}

// Labelled says under which label something leaves the house. It is durable
// before the first byte of it, and its sequence number is the label's.
type Labelled struct {
	What       string // "incident_list", "mailing_list", "register", "export", "copy", …
	Form       string // "csv", "json", "text", "rows", "page"
	About      uint64 // the entry that it is about: an incident, a request, a session; 0: none
	Number     uint64 // at the gate: the statement in the session About
	Categories Categories
	Class      string   // of the handling rules: the strictest of its categories
	Edition    string   // of the rules
	SHA256     [32]byte // of their text
	Until      Time     // until when a copy may be kept; 0: the rules set no end
	By         uint32   // ordinal in "staff"
}

func (*Labelled) Kind() Kind { return KindLabelled }
func (b *Labelled) code(c *coder) {
	c.string(&b.What)
	c.string(&b.Form)
	c.uint(&b.About)
	c.uint(&b.Number)
	c.uint32((*uint32)(&b.Categories))
	c.string(&b.Class)
	c.string(&b.Edition)
	c.hash(&b.SHA256)
	c.time(&b.Until)
	c.uint32(&b.By)
}

// AssetSeen says what a stock-taking found of some assets.
type AssetSeen struct {
	Check  uint64   // the stock-taking's CheckPlanned
	At     Time     // when somebody stood before them
	Things []uint32 // ordinals in "thing"
	States []string // of each: "seen", "elsewhere", "damaged", "missing"
	Counts []uint64 // of each: how many pieces
	Notes  []uint32 // of each: ordinal in "said"; 0 for none
	By     uint32
}

func (*AssetSeen) Kind() Kind { return KindAssetSeen }
func (b *AssetSeen) code(c *coder) {
	c.uint(&b.Check)
	c.time(&b.At)
	c.ordinals(&b.Things)
	c.strings(&b.States)
	c.uints(&b.Counts)
	c.ordinals(&b.Notes)
	c.uint32(&b.By)
}

// AssetEnded is a step towards the end of an asset: somebody says that it was
// destroyed, others that they saw it.
type AssetEnded struct {
	Thing     uint32
	End       uint64 // of an answer: the entry "destroyed" that it is for; 0: this is that entry
	Action    string // "destroyed", "witnessed", "disputed", "withdrawn"
	How       string // "shredded", "incinerated", "pulped", "wiped", "degaussed", "crushed", "returned"
	At        Time   // when it took place
	Pieces    uint64
	Witnesses uint64 // how many must have seen it, as the rules said then
	Said      uint32
	By        uint32
}

func (*AssetEnded) Kind() Kind { return KindAssetEnded }
func (b *AssetEnded) code(c *coder) {
	c.uint32(&b.Thing)
	c.uint(&b.End)
	c.string(&b.Action)
	c.string(&b.How)
	c.time(&b.At)
	c.uint(&b.Pieces)
	c.uint(&b.Witnesses)
	c.uint32(&b.Said)
	c.uint32(&b.By)
}
