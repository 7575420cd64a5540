package console

import (
	"fmt"
	"io"
	"net/url"
	"testing"
	"time"

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

// An incident as large as JAL's of 2014: 1,000,000 members, 750,000 read by 23
// endpoints in 36 days, 190,000 of them in a sweep.
func BenchmarkIncidentPage(b *testing.B) {
	h := newHouse(b)
	h.roster(1_000_000)
	shape := h.append(&sekisho.Shape{Verb: sekisho.Read, Space: "member", Tables: []string{"crm.member"}, Columns: []string{"crm.member.name"}, Categories: sekisho.Identity | sekisho.Contact})
	next := uint32(1)
	var last string
	for day := range 36 {
		for pc := range 23 {
			last = fmt.Sprintf("pc-%04d", 400+pc)
			s := h.append(&sekisho.SessionOpened{Door: sekisho.DoorGate, Principal: h.staff(fmt.Sprint("staff", pc%7)), Endpoint: last, Verified: true})
			var bodies []sekisho.Body
			for n := range uint64(23) {
				var who []uint32
				for range 40 {
					who = append(who, next%750_000+1)
					next += 7919
				}
				bodies = append(bodies, &sekisho.Access{Session: s, Shape: shape, Number: n + 1, Class: sekisho.Exact, Rows: 40, Least: 60, Subjects: who})
			}
			h.append(bodies...)
		}
		if day < 35 {
			h.clock.pass(24 * time.Hour)
		}
	}
	from := sekisho.At(h.clock.now())
	s := h.append(&sekisho.SessionOpened{Door: sekisho.DoorGate, Principal: h.staff("staff1"), Endpoint: last, Verified: true})
	for i := range uint32(190) {
		who := make([]uint32, 1000)
		for j := range who {
			who[j] = i*1000 + uint32(j) + 1
		}
		h.append(&sekisho.Access{Session: s, Shape: shape, Number: uint64(i + 1), Class: sekisho.Exact, Rows: 1000, Least: 60, Subjects: who})
	}
	h.clock.pass(time.Hour)
	h.append(&sekisho.Alert{Detector: "sweep", Principal: h.staff("staff1"), Endpoint: last, From: from, Until: sekisho.At(h.clock.now()), Observed: 190_000, Limit: 200})
	visitor := h.signedIn("ja")
	form := url.Values{"since": {"2014-09-20"}, "until": {"2014-11-01"}, "hostile": {"203.0.113.66"}}
	for pc := range 23 {
		form.Set("endpoints", form.Get("endpoints")+fmt.Sprintf(" pc-%04d", 400+pc))
	}
	path := visitor.post("/incidents", form).header.Get("Location")
	for b.Loop() {
		if a := visitor.get(path); a.status != 200 {
			b.Fatal(a.status)
		}
	}
}
