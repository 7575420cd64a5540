package duty

import "sekisho"

// Stated is a piece of evidence that somebody stated, with what a second person
// said of it.
type Stated struct {
	Seq  uint64
	At   int64
	Body *sekisho.EvidenceStated

	Signed   uint64 // the EvidenceSigned that countersigned or rejected it; 0: none
	SignedAt int64
	Verdict  string // "countersigned", "rejected"; "" while nobody has
	SignedBy uint32
	Said     uint32
	Gone     uint64 // the EvidenceSigned that withdrew it
}

// Waits: nobody has signed or rejected it.
func (s *Stated) Waits() bool { return s.Verdict == "" && s.Gone == 0 && s.Body.Producer != "S" }

func (b *Book) stated(e *sekisho.Entry, x *sekisho.EvidenceStated) {
	s := &Stated{Seq: e.ID.Seq, At: int64(e.Time), Body: x}
	b.evidence[s.Seq] = s
	b.order = append(b.order, s.Seq)
	b.creditStated(s)
}

// creditStated gives a statement's credits in its state of now. What a system
// reports needs no signature; what a person states, of the company or outside,
// waits for one where the duty asks for a second person.
func (b *Book) creditStated(s *Stated) {
	x := s.Body
	state := x.State
	if state == "" && s.Waits() {
		state = Unsigned
	}
	if s.Verdict == "rejected" {
		state = "rejected"
	}
	space, units := x.Space, x.Units
	if space == "" || space == Group.Space {
		space, units = Group.Space, []uint32{Group.Ordinal}
	}
	for _, u := range units {
		b.credit(Credit{Seq: s.Seq, Kind: x.Evidence, Unit: Unit{space, u}, From: int64(x.From), Until: int64(x.Until), Recorded: s.At, Item: x.Item, State: state, Value: int64(min(x.Value, 1<<62))})
	}
}

func (b *Book) signed(e *sekisho.Entry, x *sekisho.EvidenceSigned) {
	s := b.evidence[x.Evidence]
	if s == nil || s.Gone != 0 {
		return
	}
	switch x.Action {
	case "withdrawn":
		s.Gone = e.ID.Seq
		b.withdraw(s.Seq)
		return
	case "countersigned", "rejected":
		// Nobody signs for themselves, whatever door let the entry in.
		if s.Verdict != "" || x.By == s.Body.By {
			return
		}
		s.Signed, s.SignedAt, s.Verdict, s.SignedBy, s.Said = e.ID.Seq, int64(e.Time), x.Action, x.By, x.Said
		b.withdraw(s.Seq)
		b.creditStated(s)
	}
}

// Stated is one piece of stated evidence.
func (b *Book) Stated(seq uint64) (Stated, bool) {
	s := b.evidence[seq]
	if s == nil {
		return Stated{}, false
	}
	return *s, true
}

// Unsigned are the statements that wait for a second person, newest first.
func (b *Book) Unsigned(most int) (list []Stated) {
	for n := len(b.order) - 1; n >= 0 && len(list) < most; n-- {
		if s := b.evidence[b.order[n]]; s.Waits() {
			list = append(list, *s)
		}
	}
	return list
}
