package house

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"sekisho"
)

// BenchmarkOpen opens a house whose ledger has a million entries: look-ups by
// two hundred members of staff at as many terminals, over thirty days.
func BenchmarkOpen(b *testing.B) {
	c := Config{Name: "bench", Data: b.TempDir()}
	at := time.Date(2014, 8, 1, 0, 0, 0, 0, time.UTC)
	o := Options{Now: func() time.Time { return at }, Log: slog.New(slog.DiscardHandler)}
	fill(b, c, o, &at, 1_000_000)
	for b.Loop() {
		h, err := Open(context.Background(), c, "/", o)
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if h.Trace.Through() < 1_000_000 {
			b.Fatalf("the views stand at %d", h.Trace.Through())
		}
		h.Close()
		b.StartTimer()
	}
	b.ReportMetric(1e6/(b.Elapsed().Seconds()/float64(b.N)), "entries/s")
}

func fill(tb testing.TB, c Config, o Options, at *time.Time, entries int) {
	ctx := context.Background()
	h, err := Open(ctx, c, "/", o)
	if err != nil {
		tb.Fatal(err)
	}
	defer h.Close()
	const desks = 200
	var sessions [desks]uint64
	for i := range sessions {
		id, err := h.Ledger.Append(ctx, &sekisho.SessionOpened{Door: sekisho.DoorGate, Role: "call_centre", Endpoint: fmt.Sprintf("pc-%04d", i), Verified: true,
			Principal: h.Vault.Space("staff").OfText(fmt.Appendf(nil, "staff%d", i))})
		if err != nil {
			tb.Fatal(err)
		}
		sessions[i] = id.Seq
	}
	shape, err := h.Ledger.Append(ctx, &sekisho.Shape{Verb: sekisho.Read, Space: "member", Tables: []string{"crm.member"}, Categories: sekisho.Identity | sekisho.Contact})
	if err != nil {
		tb.Fatal(err)
	}
	members := h.Vault.Space("member")
	batch := make([]sekisho.Body, 0, 1000)
	for n := 0; n < entries; n += len(batch) {
		batch = batch[:0]
		for i := range cap(batch) {
			k := n + i
			batch = append(batch, &sekisho.Access{Session: sessions[k%desks], Shape: shape.Seq, Number: uint64(k/desks + 1), Class: sekisho.Exact, Rows: 1, Least: 90,
				Subjects: []uint32{members.OfInt(int64(k) * 7919 % 1_000_003)}})
		}
		*at = at.Add(30 * 24 * time.Hour / time.Duration(entries/len(batch)))
		if _, err := h.Ledger.Append(ctx, batch...); err != nil {
			tb.Fatal(err)
		}
	}
}
