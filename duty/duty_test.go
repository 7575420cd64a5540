package duty

import (
	"iter"
	"testing"
	"time"

	"sekisho"
)

var tokyo = time.FixedZone("JST", 9*3600)

func day(text string) int64 {
	t, err := time.ParseInLocation("2006-01-02", text, tokyo)
	if err != nil {
		panic(err)
	}
	return t.UnixMicro()
}

// A hand writes entries as they would come from a ledger.
type hand struct {
	b   *Book
	seq uint64
}

func (h *hand) write(at string, body sekisho.Body) uint64 {
	return h.at(day(at), body)
}

func (h *hand) at(at int64, body sekisho.Body) uint64 {
	h.seq++
	h.b.Apply(&sekisho.Entry{ID: sekisho.ID{Gate: 1, Epoch: 1, Seq: h.seq}, Time: sekisho.Time(at), Body: body})
	return h.seq
}

// staff are people who were always there.
func staff(n int) Directory {
	return Directory{
		People: func(int64) iter.Seq[Member] {
			return func(yield func(Member) bool) {
				for i := range n {
					if !yield(Member{Unit: Unit{"staff", uint32(i + 1)}, Company: uint32(i%2 + 1), Kind: "employee"}) {
						return
					}
				}
			}
		},
		Version: func() uint64 { return 1 },
	}
}

func newBook(t *testing.T, d Directory) *hand {
	t.Helper()
	r, err := Read(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &hand{b: New(Setup{Register: r, Directory: d, Zone: tokyo})}
}

// Two people owe two courses a year. One does both in time, one comes too late
// with the second.
func TestTrainingTwiceAYear(t *testing.T) {
	h := newBook(t, staff(2))
	h.write("2026-04-01", &sekisho.LedgerOpened{})
	course := func(at, item string, who ...uint32) {
		h.write(at, &sekisho.EvidenceStated{Evidence: "training_completion", Producer: "S", Space: "staff", Units: who, From: sekisho.Time(day(at)), Item: item})
	}
	course("2026-05-10", "mail", 1, 2)
	course("2026-06-10", "cloud", 2) // thirty days later: too near to count
	course("2026-12-10", "cloud", 1)
	d := h.b.Register().Duty("M3a")
	for _, c := range []struct {
		now, want string
	}{
		{"2026-05-11", "OPEN OPEN"},
		{"2026-12-11", "MET OPEN"},
		{"2027-04-01", "MET MISSED"},
	} {
		list := h.b.Judge(d, day(c.now))
		if got := list[0].status[0].String() + " " + list[0].status[1].String(); got != c.want {
			t.Errorf("on %s: %s, want %s", c.now, got, c.want)
		}
	}
	course("2027-04-20", "phones", 2)
	if got := h.b.Judge(d, day("2027-05-01"))[0].Total; got.Met != 1 || got.Late != 1 || got.Num != 1 || got.Den != 2 {
		t.Errorf("after a late course: %+v", got)
	}
	// What made up for the last year does not count for this one.
	course("2027-09-01", "passwords", 2)
	if got := h.b.Judge(d, day("2028-04-01"))[1].status[1]; got != Missed {
		t.Errorf("the next year: %v", got)
	}
}
