package sekisho

// Policies, handbooks and other texts that the company gives itself. A document
// is an ordinal in "thing", whose key is "document/NAME"; a version of it is
// named by the sequence number of its DocumentWritten.

// DocumentWritten is a version of a document, in the languages that it has. It
// holds of nothing until it is approved and published.
type DocumentWritten struct {
	Document    uint32   // ordinal in "thing"
	Sort        string   // "policy", "handbook", "rule", "duty-sheet", "nda"
	Before      uint64   // the version that it replaces; 0: the first
	English     uint32   // ordinal in "document" of the text, in Markdown; 0: there is none
	EnglishSHA  [32]byte // of the text
	Japanese    uint32
	JapaneseSHA [32]byte
	Public      bool   // the published version is shown to everybody
	Acknowledge bool   // everybody of the company must acknowledge it
	ReviewDays  uint64 // for how long it is good without another look
	Owner       uint32 // ordinal in "staff"
	Said        uint32 // what is new in it
	By          uint32
}

func (*DocumentWritten) Kind() Kind { return KindDocumentWritten }
func (b *DocumentWritten) code(c *coder) {
	c.uint32(&b.Document)
	c.string(&b.Sort)
	c.uint(&b.Before)
	c.uint32(&b.English)
	c.hash(&b.EnglishSHA)
	c.uint32(&b.Japanese)
	c.hash(&b.JapaneseSHA)
	c.bool(&b.Public)
	c.bool(&b.Acknowledge)
	c.uint(&b.ReviewDays)
	c.uint32(&b.Owner)
	c.uint32(&b.Said)
	c.uint32(&b.By)
}

// DocumentDecided is what somebody says to one version.
type DocumentDecided struct {
	Version uint64
	Action  string // "reviewed", "approved", "rejected", "withdrawn"
	Role    string // as what somebody approves, such as "ciso"; empty otherwise
	Said    uint32
	By      uint32
}

func (*DocumentDecided) Kind() Kind { return KindDocumentDecided }
func (b *DocumentDecided) code(c *coder) {
	c.uint(&b.Version)
	c.string(&b.Action)
	c.string(&b.Role)
	c.uint32(&b.Said)
	c.uint32(&b.By)
}

// DocumentPublished puts an approved version into force in place of the one
// before, or, with the action "retired", ends the document.
type DocumentPublished struct {
	Version uint64
	Action  string // "published", "retired"
	From    Time   // since when it is in force
	Said    uint32
	By      uint32
}

func (*DocumentPublished) Kind() Kind { return KindDocumentPublished }
func (b *DocumentPublished) code(c *coder) {
	c.uint(&b.Version)
	c.string(&b.Action)
	c.time(&b.From)
	c.uint32(&b.Said)
	c.uint32(&b.By)
}

// DocumentReviewed says that somebody looked whether a document in force still
// fits. It counts when a second person has agreed.
type DocumentReviewed struct {
	Version uint64
	Review  uint64 // 0: this is the review; else the one that a second person answers
	Outcome string // "keep", "change"; of an answer "agreed", "disagreed"
	Said    uint32
	By      uint32
}

func (*DocumentReviewed) Kind() Kind { return KindDocumentReviewed }
func (b *DocumentReviewed) code(c *coder) {
	c.uint(&b.Version)
	c.uint(&b.Review)
	c.string(&b.Outcome)
	c.uint32(&b.Said)
	c.uint32(&b.By)
}

// PublicationChecked says whether the page that the world sees is the version
// that was approved, in each language.
type PublicationChecked struct {
	Version  uint64
	English  string // "same", "differs", "unreachable"; empty: there is none
	Japanese string
	Found    [2][32]byte // SHA-256 of what was found, English and Japanese
}

func (*PublicationChecked) Kind() Kind { return KindPublicationChecked }
func (b *PublicationChecked) code(c *coder) {
	c.uint(&b.Version)
	c.string(&b.English)
	c.string(&b.Japanese)
	c.hash(&b.Found[0])
	c.hash(&b.Found[1])
}

// DocumentAcknowledged says that a person read a version, in one language, and
// acknowledges it.
type DocumentAcknowledged struct {
	Version uint64
	Staff   uint32
	SHA256  [32]byte // of the text that was shown
}

func (*DocumentAcknowledged) Kind() Kind { return KindDocumentAcknowledged }
func (b *DocumentAcknowledged) code(c *coder) {
	c.uint(&b.Version)
	c.uint32(&b.Staff)
	c.hash(&b.SHA256)
}
