package ledger_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"os"
	"sekisho"
	"sekisho/disk"
	"sekisho/ledger"
)

// A bare committer is the physical limit to compare with: the same queue and
// the same grouping over one preallocated file, with no entry, checksum or
// chain.
type bare struct {
	mu    sync.Mutex
	work  sync.Cond
	queue []*bareCall
	over  bool
	file  disk.File
}

type bareCall struct {
	b    []byte
	done chan struct{}
}

func (c *bare) run(tb testing.TB) {
	var group []*bareCall
	var buf []byte
	off := int64(0)
	for {
		c.mu.Lock()
		for len(c.queue) == 0 && !c.over {
			c.work.Wait()
		}
		group, c.queue = c.queue, group[:0]
		over := c.over
		c.mu.Unlock()
		if over {
			return
		}
		buf = buf[:0]
		for _, r := range group {
			buf = append(buf, r.b...)
		}
		if off+int64(len(buf)) > 256<<20 {
			off = 0
		}
		if _, err := c.file.WriteAt(buf, off); err != nil {
			tb.Error(err)
		}
		if err := c.file.Sync(); err != nil {
			tb.Error(err)
		}
		off += int64(len(buf))
		for _, r := range group {
			r.done <- struct{}{}
		}
	}
}

// BenchmarkAppend appends entries of 200 bytes, durable on return, from 16 and
// from 256 goroutines, through the ledger and through the bare committer. Run
// it with -count: the two alternate.
func BenchmarkAppend(b *testing.B) {
	for _, writers := range []int{16, 256} {
		b.Run(fmt.Sprintf("bare/%d", writers), func(b *testing.B) {
			f, err := disk.OS{}.OpenFile(filepath.Join(b.TempDir(), "bare"), os.O_RDWR|os.O_CREATE, 0o600)
			if err != nil {
				b.Fatal(err)
			}
			defer f.Close()
			if err := f.Allocate(256 << 20); err != nil {
				b.Fatal(err)
			}
			c := &bare{file: f}
			c.work.L = &c.mu
			var stopped sync.WaitGroup
			stopped.Go(func() { c.run(b) })
			share(b, writers, func() func() {
				r := &bareCall{b: make([]byte, 200), done: make(chan struct{}, 1)}
				return func() {
					c.mu.Lock()
					c.queue = append(c.queue, r)
					first := len(c.queue) == 1
					c.mu.Unlock()
					if first {
						c.work.Signal()
					}
					<-r.done
				}
			})
			c.mu.Lock()
			c.over = true
			c.mu.Unlock()
			c.work.Signal()
			stopped.Wait()
		})
		b.Run(fmt.Sprintf("ledger/%d", writers), func(b *testing.B) {
			l := mustOpen(b, ledger.Config{Dir: filepath.Join(b.TempDir(), "ledger"), Gate: 1, Log: quiet, SegmentBytes: 512 << 20})
			ctx := context.Background()
			share(b, writers, func() func() {
				a := access(1)
				for i := range uint32(167) { // which makes 200 bytes with its framing
					a.Subjects = append(a.Subjects, i)
				}
				bodies := []sekisho.Body{a}
				return func() {
					if _, err := l.Append(ctx, bodies...); err != nil {
						b.Error(err)
					}
				}
			})
			if err := l.Close(); err != nil {
				b.Error(err)
			}
		})
	}
}

// share lets writers goroutines do b.N operations between them.
func share(b *testing.B, writers int, start func() func()) {
	var left atomic.Int64
	left.Store(int64(b.N))
	var all sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	for range writers {
		do := start()
		all.Go(func() {
			for left.Add(-1) >= 0 {
				do()
			}
		})
	}
	all.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "appends/s")
}
