package sekisho

// PolicyRead says that another policy was read. From here on the gate decides
// by it, unless it has mistakes: then the one before stays in force. An epoch
// without a PolicyRead had no policy.
type PolicyRead struct {
	SHA256   [32]byte // of the set of files, as act.Sum says
	Rules    uint32
	Mistakes uint32 // also tests that fail; 0: it is in force
}

func (*PolicyRead) Kind() Kind { return KindPolicyRead }
func (b *PolicyRead) code(c *coder) {
	c.hash(&b.SHA256)
	c.uint32(&b.Rules)
	c.uint32(&b.Mistakes)
}

// Ruled says what the policy decided about a statement: of each one that it
// refused or cut, before its Refused. Once an hour for each principal, statement
// and decision it also says, in observe mode, what would have been; and
// otherwise what was asked, where the Shape does not say all of it because
// columns are masked or only tested.
type Ruled struct {
	Session    uint64 // sequence number of the SessionOpened
	Number     uint64 // of the statement in its session
	Statement  uint32 // ordinal in "statement"
	Verb       Verb
	Tables     []string
	Categories Categories // of all columns that it shows, tests or writes
	Purpose    uint32     // ordinal in "purpose"; 0 for none stated
	Enforced   bool       // false: observe mode, so nothing came of it
	Decision   string     // in the words of the tables of tests: "mask travel_document=partial, cap 500 rows"; what is due, whether or not it comes to bear
	Rules      []string   // the ids of those that decided
	ReasonEn   string     // the policy's words, as the client reads them
	ReasonJa   string
}

func (*Ruled) Kind() Kind { return KindRuled }
func (b *Ruled) code(c *coder) {
	c.uint(&b.Session)
	c.uint(&b.Number)
	c.uint32(&b.Statement)
	c.byte((*byte)(&b.Verb))
	c.strings(&b.Tables)
	cat := uint32(b.Categories)
	c.uint32(&cat)
	b.Categories = Categories(cat)
	c.uint32(&b.Purpose)
	c.bool(&b.Enforced)
	c.string(&b.Decision)
	c.strings(&b.Rules)
	c.string(&b.ReasonEn)
	c.string(&b.ReasonJa)
}
