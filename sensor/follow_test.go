package sensor

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sekisho"
)

// A book stands for the ledger: it outlives every reader of a test.
type book struct {
	t      *testing.T
	mu     sync.Mutex
	bodies []sekisho.Body
	grown  chan struct{}
	fail   error
}

func newBook(t *testing.T) *book { return &book{t: t, grown: make(chan struct{}, 1)} }

func (b *book) emit(bodies []sekisho.Body) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.bodies = append(b.bodies, bodies...)
	select {
	case b.grown <- struct{}{}:
	default:
	}
	return b.fail
}

// refs lists the connections in the book, and reads counts its SensorReads.
func (b *book) refs() (refs []string, reads int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, x := range b.bodies {
		if e, ok := x.(*sekisho.Egress); ok {
			refs = append(refs, e.Ref)
		} else {
			reads++
		}
	}
	return refs, reads
}

// until waits for a state of the book.
func (b *book) until(what string, ok func(refs []string, reads int) bool) {
	b.t.Helper()
	deadline := time.After(2 * time.Minute)
	for {
		if refs, reads := b.refs(); ok(refs, reads) {
			return
		}
		select {
		case <-b.grown:
		case <-deadline:
			refs, reads := b.refs()
			b.t.Fatalf("never came: %s; there are %d connections and %d reads", what, len(refs), reads)
		}
	}
}

func (b *book) connections(n int) {
	b.t.Helper()
	b.until(fmt.Sprint(n, " connections"), func(refs []string, _ int) bool { return len(refs) >= n })
}

// follow begins to follow path; stop ends it in order.
func (b *book) follow(path string, change func(*FollowOptions)) (stop func()) {
	b.t.Helper()
	seen := seenBefore(b.bodies)
	opt := FollowOptions{ConnOptions: ConnOptions{Seen: seen}, State: path + ".position", Poll: time.Millisecond, Log: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&opt)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		err := Follow(ctx, path, opt, b.emit)
		if err != nil {
			b.t.Error(err)
		}
		done <- err
	}()
	return func() {
		b.t.Helper()
		cancel()
		if err := <-done; err != nil {
			b.t.Fatal(err)
		}
	}
}

func conn(i int) string {
	return fmt.Sprintf("{\"ts\":%d.25,\"uid\":\"C%d\",\"id.orig_h\":\"10.0.0.1\",\"id.resp_h\":\"203.0.113.66\",\"proto\":\"tcp\",\"orig_bytes\":%d}\n", 1411099200+i, i, i)
}

func conns(from, to int) string {
	var b strings.Builder
	for i := from; i < to; i++ {
		b.WriteString(conn(i))
	}
	return b.String()
}

func add(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

// exactly checks that connections 0 to n-1 are in the book, each once.
func (b *book) exactly(n int) {
	b.t.Helper()
	refs, _ := b.refs()
	slices.Sort(refs)
	var want []string
	for i := range n {
		want = append(want, fmt.Sprint("C", i))
	}
	slices.Sort(want)
	if !slices.Equal(refs, want) {
		b.t.Fatalf("the book has %d connections, want %d, each once", len(refs), n)
	}
}

func TestFollowLiveLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "conn.log")
	b := newBook(t)
	stop := b.follow(path, nil) // before Zeek has made it
	add(t, path, conns(0, 3))
	b.connections(3)
	half := conn(3)
	add(t, path, half[:40])
	add(t, path, half[40:])
	b.connections(4)

	// Zeek rotates; the last line is cut off by the change of files.
	add(t, path, strings.TrimSuffix(conn(4), "\n"))
	rename(t, path, filepath.Join(filepath.Dir(path), "conn-14.log"))
	add(t, path, conns(5, 8))
	b.connections(8)
	b.until("the rotated log's SensorRead", func(_ []string, reads int) bool { return reads == 1 })
	stop()
	b.exactly(8)
	if _, reads := b.refs(); reads != 2 {
		t.Errorf("%d SensorReads, want one for each file", reads)
	}
	lines := uint64(0)
	for _, x := range b.bodies {
		if r, ok := x.(*sekisho.SensorRead); ok {
			lines += r.Lines
			if r.Rejected != 0 {
				t.Errorf("%+v", r)
			}
		}
	}
	if lines != 8 {
		t.Errorf("the SensorReads tell of %d lines, want 8", lines)
	}
}

// A tab-separated log is taken up in the middle, where its header is far above.
func TestFollowTabSeparated(t *testing.T) {
	path := filepath.Join(t.TempDir(), "conn.log")
	lines := strings.SplitAfter(string(file(t, "conn.tsv")), "\n")
	b := newBook(t)
	stop := b.follow(path, nil)
	add(t, path, strings.Join(lines[:10], ""))
	b.connections(2)
	stop()
	stop = b.follow(path, nil)
	add(t, path, strings.Join(lines[10:], ""))
	b.connections(5)
	stop()
	all, _ := readConn(t, bytes.NewReader(file(t, "conn.tsv")), ConnOptions{})
	if refs, _ := b.refs(); len(refs) != len(all) {
		t.Errorf("%v", refs)
	}
}

func TestFollowCutInPlace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "conn.log")
	b := newBook(t)
	stop := b.follow(path, nil)
	add(t, path, conns(0, 5))
	b.connections(5)
	if err := os.WriteFile(path, []byte(conns(5, 20)), 0o600); err != nil {
		t.Fatal(err)
	}
	b.connections(20)
	stop()
	b.exactly(20)
}

// While nobody followed, the log was rotated twice, once packed.
func TestFollowAfterRotations(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "conn.log")
	b := newBook(t)
	stop := b.follow(path, nil)
	add(t, path, conns(0, 5))
	b.connections(5)
	stop()
	add(t, path, conns(5, 9))
	packed, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "conn.1.log.gz"), zip(packed), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(conns(9, 12)), 0o600); err != nil {
		t.Fatal(err)
	}
	rename(t, path, filepath.Join(dir, "conn-2.log"))
	add(t, filepath.Join(dir, "conn.readme"), "not a log\n")
	add(t, path, conns(12, 14))
	stop = b.follow(path, nil)
	b.connections(14)
	stop()
	b.exactly(14)
	for _, x := range b.bodies {
		if r, ok := x.(*sekisho.SensorRead); ok && r.Rejected != 0 {
			t.Errorf("something was missed: %+v", r)
		}
	}
}

// The rotated log is nowhere: what it may have held is one rejected line.
func TestFollowTellsOfAGap(t *testing.T) {
	path := filepath.Join(t.TempDir(), "conn.log")
	b := newBook(t)
	stop := b.follow(path, nil)
	add(t, path, conns(0, 5))
	b.connections(5)
	stop()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	add(t, path, conns(5, 7))
	var told []*Result
	stop = b.follow(path, func(o *FollowOptions) { o.Read = func(r *Result) { told = append(told, r) } })
	b.connections(7)
	stop()
	b.exactly(7)
	if len(told) != 1 || told[0].Reasons["rotated away before it was read"] != 1 {
		t.Errorf("%+v", told)
	}
}

func TestFollowLongLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "conn.log")
	b := newBook(t)
	var told []*Result
	stop := b.follow(path, func(o *FollowOptions) { o.Read = func(r *Result) { told = append(told, r) } })
	add(t, path, conn(0))
	for range 3 {
		add(t, path, strings.Repeat("x", maxLine))
	}
	add(t, path, "\n"+conn(1))
	b.connections(2)
	stop()
	if b.exactly(2); len(told) != 1 || told[0].Read.Rejected != 1 || told[0].Read.Lines != 3 || told[0].Samples[0].Number != 2 {
		t.Errorf("%+v", told[0])
	}
}

// The reader dies at random: the append may have happened or not, the position
// may be lost, old or new, the log may be rotated meanwhile.
func TestFollowThroughCrashes(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	dir := t.TempDir()
	path := filepath.Join(dir, "conn.log")
	b := newBook(t)
	written, files := 0, 0
	for range 60 {
		n := rnd.IntN(40)
		add(t, path, conns(written, written+n))
		written += n
		seen := seenBefore(b.bodies)
		opt := FollowOptions{ConnOptions: ConnOptions{Seen: seen}, State: path + ".position", Log: slog.New(slog.DiscardHandler)}
		happened := rnd.IntN(2) == 0
		f := &follower{path: path, opt: opt, c: newConnReader(opt.ConnOptions, func(bodies []sekisho.Body) error {
			if happened {
				b.emit(bodies[:rnd.IntN(len(bodies)+1)])
			}
			return fmt.Errorf("the process dies here")
		})}
		if rnd.IntN(3) > 0 {
			f.c.emit = b.emit
		}
		if f.resume(context.Background()) == nil && f.look(context.Background()) == nil && rnd.IntN(2) == 0 {
			if err := f.save(); err != nil {
				t.Fatal(err)
			}
		}
		f.close()
		if rnd.IntN(5) == 0 && written > 0 {
			files++
			if _, err := os.Stat(path); err == nil && f.offset > 0 {
				rename(t, path, filepath.Join(dir, fmt.Sprintf("conn-%d.log", files)))
			}
		}
	}
	add(t, path, conn(written))
	stop := b.follow(path, nil)
	b.connections(written + 1)
	stop()
	b.exactly(written + 1)
}
