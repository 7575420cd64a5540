package sekisho

// EnquiryReceived says that a person asked the company something about
// themselves, or complained, or told of misuse. Who they say they are, and what
// they wrote, is in the vault.
type EnquiryReceived struct {
	Asked    string   // "affected", "accesses", "complaint", "disclosure", "correction", "stop", "misuse"
	Language string   // in which they want the answer: "en", "ja"
	Asker    uint32   // ordinal in "asker": what they say of themselves; 0 for nothing
	Said     uint32   // ordinal in "said": what they wrote; 0 for nothing
	Receipt  [32]byte // SHA-256 of the secret with which they come back
	By       uint32   // ordinal in "staff": who took it in, by telephone or letter; 0 for the page
}

func (*EnquiryReceived) Kind() Kind { return KindEnquiryReceived }
func (b *EnquiryReceived) code(c *coder) {
	c.string(&b.Asked)
	c.string(&b.Language)
	c.uint32(&b.Asker)
	c.uint32(&b.Said)
	c.hash(&b.Receipt)
	c.uint32(&b.By)
}

// EnquiryMatched says whether what an asker gave agrees with the roster. It is
// written for everybody who asks, member or not. It identifies nobody: see
// IdentityChecked.
type EnquiryMatched struct {
	Enquiry uint64   // sequence number of the EnquiryReceived
	Space   string   // a subject of the catalog
	Subject uint32   // ordinal in Space; 0 for nobody
	Code    [32]byte // HMAC-SHA256, by the receipt's secret, of the code that is mailed after this entry; zeros for none
}

func (*EnquiryMatched) Kind() Kind { return KindEnquiryMatched }
func (b *EnquiryMatched) code(c *coder) {
	c.uint(&b.Enquiry)
	c.string(&b.Space)
	c.uint32(&b.Subject)
	c.hash(&b.Code)
}

// EnquiryMailed says what became of a letter to an asker.
type EnquiryMailed struct {
	Enquiry uint64
	Letter  string // "code", "answer"
	Basis   uint64 // sequence number of the EnquiryMatched or EnquiryAnswered that it tells of
	Outcome string // "taken" by the relay, "refused", "failed"
}

func (*EnquiryMailed) Kind() Kind { return KindEnquiryMailed }
func (b *EnquiryMailed) code(c *coder) {
	c.uint(&b.Enquiry)
	c.string(&b.Letter)
	c.uint(&b.Basis)
	c.string(&b.Outcome)
}

// IdentityChecked says that it was established who an asker is, or that it
// could not be. Documents that were looked at are kept nowhere.
type IdentityChecked struct {
	Enquiry uint64
	Space   string
	Subject uint32 // ordinal in Space; 0 if refused, or if they are nobody in the roster
	Means   string // "code", "licence", "passport", "my_number_card", "residence_card", "two_documents", "callback", "in_person", "agent"
	Result  string // "confirmed", "refused"
	By      uint32 // ordinal in "staff"; 0 for the code
}

func (*IdentityChecked) Kind() Kind { return KindIdentityChecked }
func (b *IdentityChecked) code(c *coder) {
	c.uint(&b.Enquiry)
	c.string(&b.Space)
	c.uint32(&b.Subject)
	c.string(&b.Means)
	c.string(&b.Result)
	c.uint32(&b.By)
}

// EnquiryRouted says who has an enquiry in hand, or to what it belongs.
type EnquiryRouted struct {
	Enquiry  uint64
	Action   string // "assigned", "by_hand" (the asker wants a person to check who they are), "code" (the asker wants another code), "incident"
	To       uint32 // assigned: ordinal in "staff"; 0 for nobody any more
	Incident uint64 // incident: its number; 0 for none
	By       uint32 // ordinal in "staff"; 0 for the asker
}

func (*EnquiryRouted) Kind() Kind { return KindEnquiryRouted }
func (b *EnquiryRouted) code(c *coder) {
	c.uint(&b.Enquiry)
	c.string(&b.Action)
	c.uint32(&b.To)
	c.uint(&b.Incident)
	c.uint32(&b.By)
}

// EnquiryAnswered says what an asker was told. It is durable before they can
// read it. The latest is the answer.
type EnquiryAnswered struct {
	Enquiry  uint64
	Template string   // with its edition, such as "affected 2026-11-01"; empty for words of one's own
	Document uint32   // ordinal in "document": the answer
	SHA256   [32]byte // of the answer
	Result   string   // "informed", "granted", "partly", "refused", "extended"
	Through  uint64   // every entry up to this one was considered; 0 if it rests on none
	Until    Time     // extended: when an answer is promised
	By       uint32   // ordinal in "staff"; 0 for sekisho
}

func (*EnquiryAnswered) Kind() Kind { return KindEnquiryAnswered }
func (b *EnquiryAnswered) code(c *coder) {
	c.uint(&b.Enquiry)
	c.string(&b.Template)
	c.uint32(&b.Document)
	c.hash(&b.SHA256)
	c.string(&b.Result)
	c.uint(&b.Through)
	c.time(&b.Until)
	c.uint32(&b.By)
}

// EnquiryClosed ends an enquiry.
type EnquiryClosed struct {
	Enquiry uint64
	Reason  string // "answered", "withdrawn", "not_identified", "duplicate"
	By      uint32 // ordinal in "staff"; 0 for sekisho
}

func (*EnquiryClosed) Kind() Kind { return KindEnquiryClosed }
func (b *EnquiryClosed) code(c *coder) {
	c.uint(&b.Enquiry)
	c.string(&b.Reason)
	c.uint32(&b.By)
}

// AnswersAllowed is about whether people who are identified are told by
// sekisho itself what an incident means for them: one person asks, another
// approves.
type AnswersAllowed struct {
	Incident uint64
	Action   string // "asked", "approved", "rejected", "ended"
	Request  uint64 // sequence number of the AnswersAllowed that asked; 0 in that one
	TextEn   uint32 // asked: ordinal in "document": what the company says about the incident
	TextJa   uint32
	Reason   uint32 // ordinal in "said"; 0 for none given
	By       uint32 // ordinal in "staff"
}

func (*AnswersAllowed) Kind() Kind { return KindAnswersAllowed }
func (b *AnswersAllowed) code(c *coder) {
	c.uint(&b.Incident)
	c.string(&b.Action)
	c.uint(&b.Request)
	c.uint32(&b.TextEn)
	c.uint32(&b.TextJa)
	c.uint32(&b.Reason)
	c.uint32(&b.By)
}
