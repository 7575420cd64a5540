package console

import (
	"io"
	"testing"

	"sekisho"
)

// What the live page costs the follower, for each entry.
func BenchmarkLiveApply(b *testing.B) {
	l := NewLive()
	l.Apply(&sekisho.Entry{ID: sekisho.ID{Seq: 1}, Body: &sekisho.SessionOpened{Door: sekisho.DoorGate}})
	l.Apply(&sekisho.Entry{ID: sekisho.ID{Seq: 2}, Body: &sekisho.Shape{}})
	e := &sekisho.Entry{Body: &sekisho.Access{Session: 1, Shape: 2, Class: sekisho.Exact, Rows: 1, Subjects: []uint32{7}}}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		e.ID.Seq, e.Time = uint64(i+3), sekisho.Time(i*100)
		l.Apply(e)
	}
}

func BenchmarkWriteList(b *testing.B) {
	h := newHouse(b)
	h.roster(750_000)
	subjects := make([]uint32, 750_000)
	for i := range subjects {
		subjects[i] = uint32(i + 1)
	}
	roster, err := h.vault.Roster("member")
	must(b, err)
	for b.Loop() {
		must(b, writeList(io.Discard, "member", h.vault.Space("member"), roster, subjects))
	}
}
