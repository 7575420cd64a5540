package ledger_test

import (
	"path/filepath"
	"sync"
	"testing"

	"sekisho"
	"sekisho/disk"
	"sekisho/ledger"
)

// BenchmarkOpen opens and closes a ledger of a million entries, and reads it.
func BenchmarkOpen(b *testing.B) {
	cfg := ledger.Config{Dir: filepath.Join(b.TempDir(), "ledger"), Gate: 1, Log: quiet}
	l := mustOpen(b, cfg)
	var all sync.WaitGroup
	for i := range uint64(1_000_000 / 4) {
		all.Add(1)
		l.Submit(&ledger.Request{
			Bodies: []sekisho.Body{access(i), access(i), access(i), access(i)},
			Done:   func(sekisho.ID, error) { all.Done() },
		})
	}
	all.Wait()
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			if err := mustOpen(b, cfg).Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("read", func(b *testing.B) {
		for b.Loop() {
			n := 0
			for _, err := range ledger.Read(disk.OS{}, cfg.Dir, 0) {
				if err != nil {
					b.Fatal(err)
				}
				n++
			}
			b.ReportMetric(float64(n), "entries")
		}
	})
	b.Run("verify", func(b *testing.B) {
		for b.Loop() {
			r, err := ledger.Verify(disk.OS{}, cfg.Dir, nil)
			if err != nil || !r.OK() {
				b.Fatal(err, r.Problems)
			}
		}
	})
}
