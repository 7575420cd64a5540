package sekisho

// Drills by mail: lures are sent to the company's own staff, so that they learn
// to report them. Who is written to, with which lure and when, is frozen in
// LureListed entries; the mails themselves are MailStarted and MailEnded, as of
// notices. What people do with a lure stands here under a pseudonym, which only
// the campaign's key in the vault joins to a person.

// LureAsked proposes a campaign. Its list follows in LureListed entries; until
// the last of them there is no campaign.
type LureAsked struct {
	Title     uint32   // ordinal in "said"
	Lures     []string // the templates, each "name language edition"
	Documents []uint32 // ordinals in "document": each template as it is used
	SHA256    [32]byte // of the documents, one after the other
	From      Time     // nobody is written to before
	Until     Time     // nor after
	Opens     uint64   // minutes of the day in the company's zone from which mails go out
	Closes    uint64   // and until which
	Days      uint64   // of the week: bit 0 is Sunday
	Units     []uint32 // ordinals in "unit": whose people; empty for everybody
	Listed    uint64   // how many people the directory had there
	People    uint64   // how many of them are written to
	Key       uint32   // ordinal in "lure_key": what makes this campaign's pseudonyms
	Reason    uint32   // ordinal in "said"
	By        uint32   // ordinal in "staff"
}

func (*LureAsked) Kind() Kind { return KindLureAsked }
func (b *LureAsked) code(c *coder) {
	c.uint32(&b.Title)
	c.strings(&b.Lures)
	c.ordinals(&b.Documents)
	c.hash(&b.SHA256)
	c.time(&b.From)
	c.time(&b.Until)
	c.uint(&b.Opens)
	c.uint(&b.Closes)
	c.uint(&b.Days)
	c.ordinals(&b.Units)
	c.uint(&b.Listed)
	c.uint(&b.People)
	c.uint32(&b.Key)
	c.uint32(&b.Reason)
	c.uint32(&b.By)
}

// LureSorted says what each lure of a campaign teaches to see through. It stands
// before the campaign's list.
type LureSorted struct {
	Campaign uint64   // sequence number of the LureAsked
	Teaches  []string // one for each of its Lures: "virus", "bec"
}

func (*LureSorted) Kind() Kind { return KindLureSorted }
func (b *LureSorted) code(c *coder) {
	c.uint(&b.Campaign)
	c.strings(&b.Teaches)
}

// LureLinked names, for people who get a lure for the first time, the secret in
// the vault without which none of their pseudonyms can be made again: destroying
// it takes a person out of every drill.
type LureLinked struct {
	Staff []uint32 // ordinals in "staff", ascending
	Links []uint32 // for each: ordinal in "lure_link"
}

func (*LureLinked) Kind() Kind { return KindLureLinked }
func (b *LureLinked) code(c *coder) {
	c.ordinals(&b.Staff)
	c.ordinals(&b.Links)
}

// LureListed is a part of a campaign's list. With the part that has More unset
// the campaign waits for a second person.
type LureListed struct {
	Campaign uint64 // sequence number of the LureAsked
	More     bool
	Staff    []uint32 // ordinals in "staff", ascending
	Lures    []uint32 // for each: which of the campaign's lures, from 0
	At       []uint32 // for each: seconds after the campaign's From
}

func (*LureListed) Kind() Kind { return KindLureListed }
func (b *LureListed) code(c *coder) {
	c.uint(&b.Campaign)
	c.bool(&b.More)
	c.ordinals(&b.Staff)
	c.ordinals(&b.Lures)
	c.ordinals(&b.At)
}

// LureDecided is what somebody says to a campaign. After "ended" nobody else is
// written to.
type LureDecided struct {
	Campaign uint64 // sequence number of the LureAsked
	Action   string // "approved", "rejected", "withdrawn", "paused", "resumed", "ended"
	Reason   uint32 // ordinal in "said"; 0 for none given
	By       uint32 // ordinal in "staff"; 0 for sekisho
}

func (*LureDecided) Kind() Kind { return KindLureDecided }
func (b *LureDecided) code(c *coder) {
	c.uint(&b.Campaign)
	c.string(&b.Action)
	c.uint32(&b.Reason)
	c.uint32(&b.By)
}

// LureSeen says that something was done with one lure. It holds nothing that was
// typed, and no address.
type LureSeen struct {
	Campaign uint64   // sequence number of the LureAsked
	Who      uint64   // pseudonym within the campaign
	Lure     uint32   // which of the campaign's lures, from 0
	Did      string   // "opened", "clicked", "attachment", "typed", "left_empty", "replied", "reported", "trap" (a link that no human sees), "stirred" (a script saw a hand), "learned"
	Visit    uint32   // what was done from one place with one program has one number; 0 for mail
	Signs    []string // what speaks for a machine: "network", "agent", "head", "script", …; sorted
}

func (*LureSeen) Kind() Kind { return KindLureSeen }
func (b *LureSeen) code(c *coder) {
	c.uint(&b.Campaign)
	c.uint(&b.Who)
	c.uint32(&b.Lure)
	c.string(&b.Did)
	c.uint32(&b.Visit)
	c.strings(&b.Signs)
}

// LureNamed is about joining some people's pseudonyms in one campaign to them:
// one person asks, another approves, and each look is recorded before it is
// given.
type LureNamed struct {
	Campaign uint64   // sequence number of the LureAsked
	Action   string   // "asked", "approved", "rejected", "withdrawn", "shown"
	Request  uint64   // sequence number of the LureNamed that asked; 0 in that one
	Staff    []uint32 // asked: whose, ascending
	Until    Time     // approved: when it ends by itself
	Reason   uint32   // ordinal in "said"; 0 for none given
	By       uint32   // ordinal in "staff"
}

func (*LureNamed) Kind() Kind { return KindLureNamed }
func (b *LureNamed) code(c *coder) {
	c.uint(&b.Campaign)
	c.string(&b.Action)
	c.uint(&b.Request)
	c.ordinals(&b.Staff)
	c.time(&b.Until)
	c.uint32(&b.Reason)
	c.uint32(&b.By)
}

// LureSummed is what stays of a campaign, for one unit or for all, when its
// people are forgotten.
type LureSummed struct {
	Campaign uint64   // sequence number of the LureAsked
	Unit     uint32   // ordinal in "unit"; 0 for the whole campaign
	Level    string   // difficulty; empty for all
	Figures  []string // names of what was counted
	Counts   []uint64 // one for each
}

func (*LureSummed) Kind() Kind { return KindLureSummed }
func (b *LureSummed) code(c *coder) {
	c.uint(&b.Campaign)
	c.uint32(&b.Unit)
	c.string(&b.Level)
	c.strings(&b.Figures)
	c.uints(&b.Counts)
}

// LureForgotten says that a campaign's key is destroyed after this entry: from
// then on nobody can join a pseudonym to a person.
type LureForgotten struct {
	Campaign uint64 // sequence number of the LureAsked
}

func (*LureForgotten) Kind() Kind      { return KindLureForgotten }
func (b *LureForgotten) code(c *coder) { c.uint(&b.Campaign) }

// SuspectReported says that somebody of the staff reported a mail that is no
// lure of ours.
type SuspectReported struct {
	Staff    uint32   // ordinal in "staff"; 0 for somebody whom the directory does not know
	How      string   // "mail", "button"
	Document uint32   // ordinal in "document": the mail; 0 if it is not kept
	SHA256   [32]byte // of the mail
}

func (*SuspectReported) Kind() Kind { return KindSuspectReported }
func (b *SuspectReported) code(c *coder) {
	c.uint32(&b.Staff)
	c.string(&b.How)
	c.uint32(&b.Document)
	c.hash(&b.SHA256)
}
