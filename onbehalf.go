package sekisho

// Source is where a program said for whom it works.
type Source byte

const (
	SourceNone       Source = 0 // nowhere: it said nothing
	SourceConnection Source = 1 // while connecting
	SourceSession    Source = 2 // SET, which lasts
	SourceLocal      Source = 3 // SET LOCAL, which ends with the transaction
	SourceTag        Source = 4 // a comment at the end of the statement itself
)

func (s Source) String() string {
	switch s {
	case SourceConnection:
		return "connection"
	case SourceSession:
		return "session"
	case SourceLocal:
		return "transaction"
	case SourceTag:
		return "statement"
	}
	return "none"
}

// OnBehalf says for whom one statement of a program's session was made: the
// session's own principal and endpoint are the program's and its server's. It
// stands before the entries that it explains, in the same group or an earlier
// one. Each statement has its own, so that one that was lost cannot give one
// person's accesses to another.
//
// With Number 0 it stands behind the SessionOpened, and says that this session
// works for others: a statement without an OnBehalf of its own was made for
// somebody, at some terminal, and nobody knows which.
type OnBehalf struct {
	Session   uint64 // sequence number of the SessionOpened
	Number    uint64 // of the statement in its session; 0: see above
	Principal uint32 // ordinal in the space "staff"; 0: not said
	Endpoint  string // the terminal; empty: not said, so that it could be any
	Verified  bool   // the program, by the gate's config, has proved which terminal it is; else it takes somebody's word
	Source    Source // of the two that were said, the one that lasts shorter
}

func (*OnBehalf) Kind() Kind { return KindOnBehalf }
func (b *OnBehalf) code(c *coder) {
	c.uint(&b.Session)
	c.uint(&b.Number)
	c.uint32(&b.Principal)
	c.string(&b.Endpoint)
	c.bool(&b.Verified)
	c.byte((*byte)(&b.Source))
}
