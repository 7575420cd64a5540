package sekisho

// AuditorAdmitted says that somebody from outside may look at the console's pages
// for auditors until a day, or not any more. It is durable before the account can
// be used.
type AuditorAdmitted struct {
	User   uint32 // ordinal in "staff"
	Action string // "admitted", "prolonged", "ended"
	Until  Time   // 0 of "ended"
	Said   uint32 // ordinal in "said": for whom, and what for
	By     uint32 // ordinal in "staff"
}

func (*AuditorAdmitted) Kind() Kind { return KindAuditorAdmitted }
func (b *AuditorAdmitted) code(c *coder) {
	c.uint32(&b.User)
	c.string(&b.Action)
	c.time(&b.Until)
	c.uint32(&b.Said)
	c.uint32(&b.By)
}

// AuditorLooked says that an auditor asked for a page. It is durable before
// anything is shown.
type AuditorLooked struct {
	Session uint64 // sequence number of the SessionOpened
	Page    string // the page's place in the table of contents, as "GET /duties"
	About   string // its address where it was shown; empty where it was refused
	Refused bool
}

func (*AuditorLooked) Kind() Kind { return KindAuditorLooked }
func (b *AuditorLooked) code(c *coder) {
	c.uint(&b.Session)
	c.string(&b.Page)
	c.string(&b.About)
	c.bool(&b.Refused)
}
