package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sekisho"
	"sekisho/disk"
	"sekisho/ledger"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// config is a small ledger in dir whose clock stands still unless a test moves
// it.
func config(fs disk.FS, dir string) ledger.Config {
	return ledger.Config{
		Dir: dir, FS: fs, Gate: 7, Name: "members", Software: "test", SegmentBytes: 16 << 10, Log: quiet,
		Now: func() time.Time { return time.Date(2014, 9, 19, 1, 2, 3, 0, time.UTC) },
	}
}

func mustOpen(t testing.TB, cfg ledger.Config) *ledger.Ledger {
	t.Helper()
	l, err := ledger.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func mustAppend(t testing.TB, l *ledger.Ledger, bodies ...sekisho.Body) sekisho.ID {
	t.Helper()
	id, err := l.Append(t.Context(), bodies...)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func mustClose(t testing.TB, l *ledger.Ledger) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// access is an entry that can be told from any other by n.
func access(n uint64) *sekisho.Access {
	return &sekisho.Access{Session: 1, Shape: 2, Number: n, Class: sekisho.Exact, Rows: 3, Subjects: []uint32{9, 8, uint32(n)}}
}

// read gives everything in the ledger, one line an entry.
func read(t testing.TB, fs disk.FS, dir string, from uint64) []string {
	t.Helper()
	var lines []string
	for e, err := range ledger.Read(fs, dir, from) {
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line(e))
	}
	return lines
}

func line(e sekisho.Entry) string {
	what := strings.TrimPrefix(fmt.Sprintf("%T", e.Body), "*sekisho.")
	if a, ok := e.Body.(*sekisho.Access); ok {
		what = fmt.Sprintf("access %d", a.Number)
	}
	return fmt.Sprintf("%v %s", e.ID, what)
}

func equal(t testing.TB, got []string, want ...string) {
	t.Helper()
	if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
		t.Errorf("got\n%s\n\nwant\n%s", g, w)
	}
}

func TestEpochsFollowEachOther(t *testing.T) {
	fs, dir := disk.OS{}, filepath.Join(t.TempDir(), "ledger")
	l := mustOpen(t, config(fs, dir))
	if got, want := mustAppend(t, l, access(1), access(2)), (sekisho.ID{Gate: 7, Epoch: 1, Seq: 2}); got != want {
		t.Errorf("first is %v, want %v", got, want)
	}
	mustClose(t, l)
	l = mustOpen(t, config(fs, dir))
	mustAppend(t, l, access(3))
	if l.Last() != 6 {
		t.Errorf("last is %d, want 6", l.Last())
	}
	equal(t, read(t, fs, dir, 0), // while it is open
		"7.1.1 LedgerOpened", "7.1.2 access 1", "7.1.3 access 2", "7.1.4 LedgerClosed", "7.2.5 LedgerOpened", "7.2.6 access 3")
	mustClose(t, l)
	equal(t, read(t, fs, dir, 6), "7.2.6 access 3", "7.2.7 LedgerClosed")
	equal(t, read(t, fs, dir, 8))
}

func TestOneHolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ledger")
	l := mustOpen(t, config(disk.OS{}, dir))
	if _, err := ledger.Open(config(disk.OS{}, dir)); err == nil || !strings.Contains(err.Error(), "locked by another process") {
		t.Errorf("a second Open: %v", err)
	}
	mustClose(t, l)
	cfg := config(disk.OS{}, dir)
	cfg.Gate = 8
	if _, err := ledger.Open(cfg); err == nil || !strings.Contains(err.Error(), "belongs to gate 7") {
		t.Errorf("another gate's Open: %v", err)
	}
	mustClose(t, mustOpen(t, config(disk.OS{}, dir)))
}

func TestOnlyTheOwnerMayRead(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ledger")
	mustClose(t, mustOpen(t, config(disk.OS{}, dir)))
	err := filepath.Walk(dir, func(name string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Many writers over many small segments: every entry is there once, in the
// order of its ID, and a follower from the start and one from the middle saw
// the same.
func TestManyWritersManySegments(t *testing.T) {
	fs, dir := disk.OS{}, filepath.Join(t.TempDir(), "ledger")
	l := mustOpen(t, config(fs, dir))
	var followers sync.WaitGroup
	seen := make([][]string, 2)
	for i, from := range []uint64{1, 500} {
		followers.Go(func() {
			for e, err := range l.Follow(t.Context(), from) {
				if err != nil {
					t.Error(err)
				}
				if e.ID.Seq > l.Last() {
					t.Errorf("entry %v was followed before it was durable", e.ID)
				}
				seen[i] = append(seen[i], line(e))
			}
		})
	}
	var writers sync.WaitGroup
	var mu sync.Mutex
	acked := map[uint64]uint64{} // sequence number to number
	for w := range uint64(8) {
		writers.Go(func() {
			for i := range uint64(200) {
				n := w*1000 + i
				id, err := l.Append(t.Context(), access(n), access(n+500))
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				acked[id.Seq], acked[id.Seq+1] = n, n+500
				mu.Unlock()
			}
		})
	}
	writers.Wait()
	mustClose(t, l)
	followers.Wait()

	all := read(t, fs, dir, 0)
	if want := 8*200*2 + 2; len(all) != want || len(acked) != want-2 {
		t.Fatalf("%d entries, %d acknowledged, want %d", len(all), len(acked), want)
	}
	for seq, n := range acked {
		if got, want := all[seq-1], fmt.Sprintf("7.1.%d access %d", seq, n); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	equal(t, seen[0], all...)
	equal(t, seen[1], all[499:]...)
}

func TestFollowEndsWithItsContext(t *testing.T) {
	l := mustOpen(t, config(disk.OS{}, filepath.Join(t.TempDir(), "ledger")))
	defer mustClose(t, l)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var got []string
	for e, err := range l.Follow(ctx, 1) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, line(e))
		cancel()
	}
	equal(t, got, "7.1.1 LedgerOpened")
}

func TestTimeNeverDecreases(t *testing.T) {
	fs, dir := disk.NewForgetful(1), "/ledger"
	cfg := config(fs, dir)
	clock := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	cfg.Now = func() time.Time { return clock }
	l := mustOpen(t, cfg)
	clock = clock.Add(-time.Hour)
	mustAppend(t, l, access(1))
	mustClose(t, l)
	clock = clock.Add(-time.Hour)
	l = mustOpen(t, cfg)
	clock = clock.Add(4 * time.Hour)
	mustAppend(t, l, access(2))
	mustClose(t, l)
	var got []string
	for e, err := range ledger.Read(fs, dir, 0) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e.Time.Go().Format("15:04"))
	}
	equal(t, got, "12:00", "12:00", "12:00", "12:00", "14:00", "14:00")
}

// What Before gives stands ahead of the group that it was asked for, also if
// that group fails for another reason.
func TestBefore(t *testing.T) {
	fs, dir := disk.NewForgetful(1), "/ledger"
	cfg := config(fs, dir)
	var bodies []sekisho.Body
	var fail error
	cfg.Before = func() ([]sekisho.Body, error) {
		b := bodies
		bodies = nil
		return b, fail
	}
	l := mustOpen(t, cfg)
	bodies = []sekisho.Body{&sekisho.Assigned{Space: "member", First: 1, Count: 2}}
	if id := mustAppend(t, l, access(1)); id.Seq != 3 {
		t.Errorf("the access is %v, want it after the assignment", id)
	}
	fail = errors.New("the vault is gone")
	if _, err := l.Append(t.Context(), access(2)); !errors.Is(err, fail) {
		t.Errorf("append: %v", err)
	}
	fail = nil
	mustAppend(t, l, access(3))
	mustClose(t, l)
	equal(t, read(t, fs, dir, 0), "7.1.1 LedgerOpened", "7.1.2 Assigned", "7.1.3 access 1", "7.1.4 access 3", "7.1.5 LedgerClosed")
}

func TestRefusedRequestsFailAlone(t *testing.T) {
	fs, dir := disk.NewForgetful(1), "/ledger"
	l := mustOpen(t, config(fs, dir))
	for _, bad := range [][]sekisho.Body{
		{},
		{nil},
		{access(1), &sekisho.Alert{From: -1}},
		{&sekisho.Shape{Tables: []string{strings.Repeat("x", sekisho.MaxEntry)}}},
	} {
		if _, err := l.Append(t.Context(), bad...); !errors.Is(err, ledger.ErrRefused) {
			t.Errorf("append: %v", err)
		}
	}
	mustAppend(t, l, access(2))
	mustClose(t, l)
	if _, err := l.Append(t.Context(), access(3)); !errors.Is(err, ledger.ErrClosed) {
		t.Errorf("append after Close: %v", err)
	}
	equal(t, read(t, fs, dir, 0), "7.1.1 LedgerOpened", "7.1.2 access 2", "7.1.3 LedgerClosed")
}

// A request larger than a segment gets a segment of its own size.
func TestLargeRequest(t *testing.T) {
	fs, dir := disk.NewForgetful(1), "/ledger"
	l := mustOpen(t, config(fs, dir))
	large := access(1)
	for i := range uint32(100_000) {
		large.Subjects = append(large.Subjects, i%7*1000)
	}
	mustAppend(t, l, large)
	mustAppend(t, l, access(2))
	mustClose(t, l)
	mustClose(t, mustOpen(t, config(fs, dir)))
	equal(t, read(t, fs, dir, 0), "7.1.1 LedgerOpened", "7.1.2 access 1", "7.1.3 access 2", "7.1.4 LedgerClosed",
		"7.2.5 LedgerOpened", "7.2.6 LedgerClosed")
}

// Done is called in the order of Submit, when the entry can be read.
func TestSubmit(t *testing.T) {
	l := mustOpen(t, config(disk.OS{}, filepath.Join(t.TempDir(), "ledger")))
	var done sync.WaitGroup
	var order []uint64
	for i := range uint64(300) {
		done.Add(1)
		l.Submit(&ledger.Request{Bodies: []sekisho.Body{access(i)}, Done: func(first sekisho.ID, err error) {
			if err != nil || l.Last() < first.Seq {
				t.Errorf("done with %v, %v while the last is %d", first, err, l.Last())
			}
			order = append(order, first.Seq)
			done.Done()
		}})
	}
	done.Wait()
	mustClose(t, l)
	for i, seq := range order {
		if seq != uint64(i)+2 {
			t.Fatalf("request %d became entry %d", i, seq)
		}
	}
}

// An event loop queues and commits. What it leaves to the committer, because
// Before would wait for a disk, is committed all the same, in order.
func TestQueueAndCommit(t *testing.T) {
	cfg := config(disk.OS{}, filepath.Join(t.TempDir(), "ledger"))
	var busy atomic.Bool
	cfg.BeforeWaits = busy.Load
	l := mustOpen(t, cfg)
	var order []uint64
	var done sync.WaitGroup
	add := func(how func(*ledger.Request), n uint64) {
		done.Add(1)
		how(&ledger.Request{Bodies: []sekisho.Body{access(n)}, Done: func(first sekisho.ID, err error) {
			if err != nil || l.Last() < first.Seq {
				t.Errorf("done with %v, %v while the last is %d", first, err, l.Last())
			}
			order = append(order, first.Seq)
			done.Done()
		}})
	}
	for round := range uint64(30) {
		busy.Store(round%2 == 1)
		for i := range uint64(10) {
			add(l.Queue, round*20+i)
		}
		l.Commit(func() {})
		add(l.Queue, round*20+10)
		add(l.Submit, round*20+11) // takes along what was queued and not committed
		done.Wait()
	}
	l.Commit(func() {}) // nothing to do
	mustClose(t, l)
	for i, seq := range order {
		if seq != uint64(i)+2 {
			t.Fatalf("request %d became entry %d", i, seq)
		}
	}
	if len(order) != 30*12 {
		t.Errorf("%d answers", len(order))
	}
}
