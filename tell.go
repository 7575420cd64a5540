package sekisho

// What is said about an incident, and who was told. Texts are whole documents in
// the vault; a mailing is a frozen list of people, sent in windows: who is in a
// window stands here before the first of its mails goes out, and what became of
// each after.

// TextWritten is one version of a text about an incident. It never changes: an
// edit is another version.
type TextWritten struct {
	Incident uint64   // sequence number of its IncidentOpened
	Form     string   // which text: "appi_preliminary", "person", "public", …
	About    string   // whom it is about or for, where there are several of the form: a partner; else empty
	Language string   // "ja", "en"
	Before   uint64   // sequence number of the TextWritten that it replaces; 0 for the first
	Revision uint64   // sequence number of the IncidentRevised whose numbers it tells; 0 for none
	Through  uint64   // every entry up to this one was looked at
	Document uint32   // ordinal in "document": the text with what each sentence rests on
	SHA256   [32]byte // of the document's bytes
	By       uint32   // ordinal in "staff"
}

func (*TextWritten) Kind() Kind { return KindTextWritten }
func (b *TextWritten) code(c *coder) {
	c.uint(&b.Incident)
	c.string(&b.Form)
	c.string(&b.About)
	c.string(&b.Language)
	c.uint(&b.Before)
	c.uint(&b.Revision)
	c.uint(&b.Through)
	c.uint32(&b.Document)
	c.hash(&b.SHA256)
	c.uint32(&b.By)
}

// TextDecided is what somebody says to one version of a text. A version is
// approved when two different people have said so: who proposes it is the first.
type TextDecided struct {
	Text   uint64 // sequence number of the TextWritten
	Action string // "proposed", "approved", "rejected", "withdrawn", "handed_over"
	Reason uint32 // ordinal in "said": why, or to whom it was handed over and under which number; 0 for none given
	By     uint32 // ordinal in "staff"
}

func (*TextDecided) Kind() Kind { return KindTextDecided }
func (b *TextDecided) code(c *coder) {
	c.uint(&b.Text)
	c.string(&b.Action)
	c.uint32(&b.Reason)
	c.uint32(&b.By)
}

// MailingAsked asks to tell people by mail. Its list follows in MailingListed
// entries; until the last of them there is no mailing.
type MailingAsked struct {
	Incident uint64
	Revision uint64   // sequence number of the IncidentRevised whose list it is
	List     string   // "worst-case", "suspected", "confirmed"
	Again    bool     // people who were told of an earlier revision are told again
	Texts    []uint64 // the approved TextWritten entries, one for each language
	Space    string   // a subject of the catalog
	Listed   uint64   // how many people the list had
	People   uint64   // how many of them are to be told
	Reason   uint32   // ordinal in "said"; 0 for none given
	By       uint32   // ordinal in "staff"
}

func (*MailingAsked) Kind() Kind { return KindMailingAsked }
func (b *MailingAsked) code(c *coder) {
	c.uint(&b.Incident)
	c.uint(&b.Revision)
	c.string(&b.List)
	c.bool(&b.Again)
	c.uints(&b.Texts)
	c.string(&b.Space)
	c.uint(&b.Listed)
	c.uint(&b.People)
	c.uint32(&b.Reason)
	c.uint32(&b.By)
}

// MailingListed is a part of a mailing's list. With the part that has More
// unset the mailing waits for a second person.
type MailingListed struct {
	Mailing  uint64 // sequence number of the MailingAsked
	More     bool
	Subjects []uint32 // ordinals in its space, ascending
}

func (*MailingListed) Kind() Kind { return KindMailingListed }
func (b *MailingListed) code(c *coder) {
	c.uint(&b.Mailing)
	c.bool(&b.More)
	c.ordinals(&b.Subjects)
}

// MailingDecided is what somebody says to a mailing. After "ended" nobody else
// is written to.
type MailingDecided struct {
	Mailing uint64 // sequence number of the MailingAsked
	Action  string // "approved", "rejected", "withdrawn", "paused", "resumed", "ended"
	Reason  uint32 // ordinal in "said"; 0 for none given
	By      uint32 // ordinal in "staff"
}

func (*MailingDecided) Kind() Kind { return KindMailingDecided }
func (b *MailingDecided) code(c *coder) {
	c.uint(&b.Mailing)
	c.string(&b.Action)
	c.uint32(&b.Reason)
	c.uint32(&b.By)
}

// MailStarted says that these people's mails may go out from here on. Without a
// MailEnded nobody can tell which of them did.
type MailStarted struct {
	Mailing  uint64   // sequence number of the MailingAsked or LureAsked
	Subjects []uint32 // in the order in which they are written to
}

func (*MailStarted) Kind() Kind { return KindMailStarted }
func (b *MailStarted) code(c *coder) {
	c.uint(&b.Mailing)
	c.ordinals(&b.Subjects)
}

// MailEnded says what became of the mails of a MailStarted. Who is in none of
// its lists was not written to, and waits again.
type MailEnded struct {
	Started uint64   // sequence number of the MailStarted
	Taken   []uint32 // the mail server took responsibility (RFC 5321, 4.2.5)
	Denied  []uint32 // it refused for good
	Later   []uint32 // it asked to try again later
	Unclear []uint32 // the whole mail was sent and no answer is known (RFC 1047)
}

func (*MailEnded) Kind() Kind { return KindMailEnded }
func (b *MailEnded) code(c *coder) {
	c.uint(&b.Started)
	c.ordinals(&b.Taken)
	c.ordinals(&b.Denied)
	c.ordinals(&b.Later)
	c.ordinals(&b.Unclear)
}

// MailUnsent says that these people cannot be told by mail.
type MailUnsent struct {
	Mailing  uint64   // sequence number of the MailingAsked
	Why      string   // "no_address", "bad_address", "given_up"
	Subjects []uint32 // ascending
}

func (*MailUnsent) Kind() Kind { return KindMailUnsent }
func (b *MailUnsent) code(c *coder) {
	c.uint(&b.Mailing)
	c.string(&b.Why)
	c.ordinals(&b.Subjects)
}

// MailBounced says what a mail server reported of mails that had been accepted
// (RFC 3464).
type MailBounced struct {
	Mailing  uint64   // sequence number of the MailingAsked
	Status   string   // "5.1.1" (RFC 3463); empty where the report has none
	Final    bool     // it was not delivered and will not be; else it is late
	Subjects []uint32 // whose
}

func (*MailBounced) Kind() Kind { return KindMailBounced }
func (b *MailBounced) code(c *coder) {
	c.uint(&b.Mailing)
	c.string(&b.Status)
	c.bool(&b.Final)
	c.ordinals(&b.Subjects)
}

// MailSettled is a person's decision on mails of which nobody can tell whether
// they went out.
type MailSettled struct {
	Mailing  uint64   // sequence number of the MailingAsked
	As       string   // "sent": held to have gone out; "again": write again, and some may have two; "post": told by another way
	Subjects []uint32 // ascending
	Reason   uint32   // ordinal in "said"
	By       uint32   // ordinal in "staff"
}

func (*MailSettled) Kind() Kind { return KindMailSettled }
func (b *MailSettled) code(c *coder) {
	c.uint(&b.Mailing)
	c.string(&b.As)
	c.ordinals(&b.Subjects)
	c.uint32(&b.Reason)
	c.uint32(&b.By)
}
