package trace_test

import (
	"iter"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"testing"

	"sekisho"
	"sekisho/disk"
	"sekisho/trace"
	"sekisho/vault"
)

// office makes the entries of many endpoints over 36 days: look-ups that favour
// some customers, and sweeps in key order of up to 100,000 customers in chunks
// of 1,000, until so many records were accessed by the asked endpoints.
func office(members uint32, asked, others int, records int) []sekisho.Entry {
	rng := rand.New(rand.NewPCG(1, 1))
	var entries []sekisho.Entry
	at := 16_000 * day
	put := func(b sekisho.Body) uint64 {
		seq := uint64(len(entries) + 1)
		entries = append(entries, sekisho.Entry{ID: sekisho.ID{Gate: 1, Epoch: 1, Seq: seq}, Time: at, Body: b})
		return seq
	}
	put(&sekisho.LedgerOpened{})
	var shapes, sessions []uint64
	for i := range 4 {
		shapes = append(shapes, put(&sekisho.Shape{Verb: sekisho.Read, Space: "member", Tables: []string{"members"},
			Categories: sekisho.Identity | sekisho.Contact<<i}))
	}
	for i := range asked + others {
		sessions = append(sessions, put(&sekisho.SessionOpened{Door: sekisho.DoorGate, Principal: uint32(i%3000 + 1),
			Endpoint: "pc-" + strconv.Itoa(i), Verified: true}))
	}
	number := uint64(0)
	access := func(endpoint int, subjects []uint32) {
		number++
		put(&sekisho.Access{Session: sessions[endpoint], Shape: shapes[rng.IntN(4)], Number: number, Class: sekisho.Exact,
			Rows: uint64(len(subjects)), Least: 90, Subjects: subjects})
	}
	// A fifth of the records are looked up one by one; all else is sweeps.
	lookups := records / 5
	sweeps := (records - lookups) / 50_000
	perDay := lookups / 36
	for d := range 36 {
		first := 16_000*day + sekisho.Time(d)*day
		sweepAt := map[int]int{}
		for range sweeps / 36 {
			sweepAt[rng.IntN(perDay)]++
		}
		for i := range perDay {
			at = first + 9*hour + sekisho.Time(i)*(8*hour/sekisho.Time(perDay))
			endpoint := rng.IntN(asked)
			u := rng.Float64()
			access(endpoint, []uint32{1 + uint32(u*u*u*float64(members-1))})
			for range min(1, others) * (i % 2) {
				access(asked+rng.IntN(others), []uint32{1 + uint32(rng.IntN(int(members)))})
			}
			for range sweepAt[i] {
				from := 1 + uint32(rng.IntN(int(members-100_000)))
				n := uint32(1 + rng.IntN(100_000))
				for c := uint32(0); c < n; c += 1000 {
					list := make([]uint32, min(1000, n-c))
					for o := range list {
						list[o] = from + c + uint32(o)
					}
					access(endpoint, list)
				}
			}
		}
	}
	at += day
	put(&sekisho.Alert{Detector: "sweep", Endpoint: "pc-0", From: 16_010 * day, Until: 16_012 * day})
	return entries
}

func question(asked int) trace.Question {
	q := trace.Question{Since: 16_000 * day, Until: 16_036 * day, Hostile: []netip.Prefix{netip.PrefixFrom(hostile, 32)}}
	for i := range asked {
		q.Endpoints = append(q.Endpoints, "pc-"+strconv.Itoa(i))
	}
	return q
}

func bigRoster(b *testing.B, members int) *vault.Roster {
	b.Helper()
	v, err := vault.Open(vault.Config{Dir: b.TempDir(), FS: disk.OS{}, Key: [32]byte{1}})
	if err != nil {
		b.Fatal(err)
	}
	rows := iter.Seq2[vault.RosterRow, error](func(yield func(vault.RosterRow, error) bool) {
		for i := range members {
			row := vault.RosterRow{Key: strconv.Itoa(i + 1), Labels: []string{"partner" + strconv.Itoa(i%9), []string{"JP", "JP", "JP", "DE", "FR", "US"}[i%6]}, Dates: []int32{int32(14_000 + i%3000)}}
			if !yield(row, nil) {
				return
			}
		}
	})
	if _, err := v.WriteRoster("member", vault.RosterSchema{Labels: []string{"partner", "residence"}, Dates: []string{"passport_until"}}, rows, nil); err != nil {
		b.Fatal(err)
	}
	r, err := v.Roster("member")
	if err != nil {
		b.Fatal(err)
	}
	return r
}

// BenchmarkImpact asks about 10 million records accessed by 23 endpoints,
// beside others, over 36 days.
func BenchmarkImpact(b *testing.B) {
	for _, members := range []int{1_000_000, 28_000_000} {
		b.Run("members="+strconv.Itoa(members), func(b *testing.B) {
			entries := office(uint32(members), 23, 200, 10_000_000)
			tr := fold(entries)
			for _, with := range []string{"none", "three dimensions"} {
				var r *vault.Roster
				if with != "none" {
					r = bigRoster(b, min(members, 4_000_000))
				}
				b.Run("roster="+with, func(b *testing.B) {
					q := question(23)
					a, err := tr.Impact(q, r)
					if err != nil {
						b.Fatal(err)
					}
					for b.Loop() {
						tr.Impact(q, r)
					}
					b.ReportMetric(float64(a.WorstCase), "customers")
					b.ReportMetric(float64(a.Numbers.WorstCase.Evidence.Entries), "entries")
				})
			}
		})
	}
}

// BenchmarkReplay decodes and folds a million look-ups.
func BenchmarkReplay(b *testing.B) {
	entries := office(1_000_000, 500, 0, 5_000_000)
	entries = slices.DeleteFunc(entries, func(e sekisho.Entry) bool {
		a, ok := e.Body.(*sekisho.Access)
		return ok && len(a.Subjects) > 1
	})
	var encoded [][]byte
	for i := range entries {
		encoded = append(encoded, entries[i].AppendEncode(nil))
	}
	b.ResetTimer()
	for b.Loop() {
		tr := trace.New()
		for _, e := range encoded {
			e, err := sekisho.Decode(e)
			if err != nil {
				b.Fatal(err)
			}
			tr.Apply(&e)
		}
	}
	b.ReportMetric(float64(len(entries)), "entries")
}

func BenchmarkWhoRead(b *testing.B) {
	tr := fold(office(28_000_000, 23, 2000, 2_000_000))
	for b.Loop() {
		tr.WhoRead("member", 12_345, 100)
	}
}
