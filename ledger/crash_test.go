package ledger_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sekisho"
	"sekisho/disk"
	"sekisho/ledger"
)

// TestMain lets the test program be the child that TestKill kills.
func TestMain(m *testing.M) {
	if dir := os.Getenv("SEKISHO_TEST_APPEND"); dir != "" {
		appendForever(dir)
	}
	os.Exit(m.Run())
}

// appendForever appends from several goroutines and says on standard output
// what was acknowledged, one "sequence-number number" a line.
func appendForever(dir string) {
	cfg := config(disk.OS{}, dir)
	cfg.Now = time.Now
	l, err := ledger.Open(cfg)
	if err != nil {
		fmt.Println("failed", err)
		os.Exit(1)
	}
	for w := range uint64(6) {
		go func() {
			for i := uint64(0); ; i++ {
				n := l.Last()*100 + w // told apart from all others, also of another child
				id, err := oneWayOrTheOther(l, w, access(n), access(n))
				if err != nil {
					fmt.Println("failed", err)
					os.Exit(1)
				}
				fmt.Println(id.Seq, n)
			}
		}()
	}
	select {}
}

// oneWayOrTheOther appends as a goroutine does, or, for an odd who, as an event
// loop does.
func oneWayOrTheOther(l *ledger.Ledger, who uint64, bodies ...sekisho.Body) (id sekisho.ID, err error) {
	if who%2 == 0 {
		return l.Append(context.Background(), bodies...)
	}
	done := make(chan struct{})
	l.Queue(&ledger.Request{Bodies: bodies, Done: func(first sekisho.ID, failed error) {
		id, err = first, failed
		close(done)
	}})
	l.Commit(func() {})
	<-done
	return id, err
}

// A child is killed at a random instant under load, a hundred times over the
// same ledger. Whatever it had acknowledged is there, and nothing is half
// there.
func TestKill(t *testing.T) {
	kills := 100
	if testing.Short() {
		kills = 10
	}
	dir := filepath.Join(t.TempDir(), "ledger")
	acked := map[uint64]uint64{}
	rng := rand.New(rand.NewPCG(3, 4))
	for range kills {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), "SEKISHO_TEST_APPEND="+dir)
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		child.Stderr = os.Stderr
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		// The instant is so many acknowledgements later, and then some.
		lines := bufio.NewScanner(out)
		for i, stop := 0, 1+rng.IntN(200); lines.Scan(); i++ {
			if i == stop {
				child.Process.Kill()
			}
			var seq, n uint64
			line := lines.Text()
			if strings.HasPrefix(line, "failed") {
				t.Fatal(line)
			}
			if _, err := fmt.Sscan(line, &seq, &n); err == nil {
				acked[seq] = n
			}
		}
		child.Wait()
	}
	l := mustOpen(t, config(disk.OS{}, dir)) // recovers the last one's
	mustClose(t, l)
	checkAcknowledged(t, disk.OS{}, dir, acked, kills+1)
	t.Logf("%d kills, %d acknowledged", kills, len(acked))
}

// checkAcknowledged verifies the ledger and looks for every acknowledged pair.
func checkAcknowledged(t testing.TB, fs disk.FS, dir string, acked map[uint64]uint64, epochs int) {
	t.Helper()
	r, err := ledger.Verify(fs, dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !r.OK() || r.Torn != 0 {
		t.Errorf("torn %d, problems %v", r.Torn, r.Problems)
	}
	if epochs > 0 && r.Epochs != uint64(epochs) {
		t.Errorf("%d epochs, want %d", r.Epochs, epochs)
	}
	found := map[uint64]uint64{}
	next := uint64(1)
	pairs := map[uint64]int{}
	for e, err := range ledger.Read(fs, dir, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if e.ID.Seq != next {
			t.Fatalf("entry %v where %d was expected", e.ID, next)
		}
		next++
		if a, ok := e.Body.(*sekisho.Access); ok {
			found[e.ID.Seq] = a.Number
			pairs[a.Number]++
		}
	}
	for seq, n := range acked {
		if got, ok := found[seq]; !ok || got != n || found[seq+1] != n {
			t.Errorf("acknowledged entry %d (%d) is lost: %d", seq, n, got)
		}
	}
	for n, k := range pairs {
		if k%2 != 0 {
			t.Errorf("request %d is half there", n)
		}
	}
}

// The machine crashes at a random operation, on a disk that forgets. Some of
// the operations before it fail, sometimes after they took effect.
func TestForgetfulDisk(t *testing.T) {
	seeds := uint64(120)
	if testing.Short() {
		seeds = 50
	}
	var refused, failed, full atomic.Int64
	for seed := range seeds {
		if !t.Run(fmt.Sprint(seed), func(t *testing.T) { forget(t, seed, &refused, &failed, &full) }) {
			t.FailNow()
		}
	}
	t.Logf("of %d ledgers: %d openings failed by a fault, %d appends by ErrFailed, %d by ErrFull", seeds, refused.Load(), failed.Load(), full.Load())
	if failed.Load() == 0 || full.Load() == 0 || refused.Load() == 0 {
		t.Error("the faults did not reach what they were to test")
	}
}

func forget(t *testing.T, seed uint64, refused, failed, full *atomic.Int64) {
	fs, dir := disk.NewForgetful(seed), "/ledger"
	inject := injected(fs)
	rng := rand.New(rand.NewPCG(seed, 9))
	var mu sync.Mutex
	acked := map[uint64]uint64{}
	number := uint64(0)
	for range 8 { // lives
		// A fault in every second life, and the death of the machine in each.
		fault, death := 1+rng.IntN(60), 5+rng.IntN(80)
		kind := disk.Fault{Err: syscall.EIO, Happened: rng.IntN(2) == 0}
		fs.Room(-1)
		if rng.IntN(3) == 0 {
			fs.Room(rng.Int64N(150 << 10))
		}
		faulty := rng.IntN(2) == 0
		var ops atomic.Int64
		dead := make(chan struct{})
		var die sync.Once
		inject(func(op string) disk.Fault {
			n := int(ops.Add(1))
			if n >= death {
				die.Do(func() { close(dead) })
				return disk.Fault{Err: disk.ErrCrashed, Happened: false}
			}
			if faulty && n == fault {
				return kind
			}
			return disk.Fault{}
		})
		cfg := config(fs, dir)
		cfg.SegmentBytes = 4 << 10
		l, err := ledger.Open(cfg)
		if err != nil {
			if errors.Is(err, ledger.ErrCorrupt) {
				t.Fatal(err)
			}
			refused.Add(1)
			fs.Crash()
			continue
		}
		var writers sync.WaitGroup
		for w := range uint64(4) {
			writers.Go(func() {
				for {
					select {
					case <-dead:
						return
					default:
					}
					mu.Lock()
					number++
					n := number
					mu.Unlock()
					a := access(n)
					for i := range n % 300 {
						a.Subjects = append(a.Subjects, uint32(i%2)*1000) // also long runs, and of zeros
						if n%3 == 0 {
							a.Subjects[len(a.Subjects)-1] = a.Subjects[0]
						}
					}
					id, err := oneWayOrTheOther(l, w, a, a)
					switch {
					case err == nil:
						mu.Lock()
						acked[id.Seq] = n
						mu.Unlock()
					case errors.Is(err, ledger.ErrFailed):
						failed.Add(1)
						return
					case errors.Is(err, ledger.ErrFull):
						full.Add(1)
					default:
						t.Error(err)
						return
					}
				}
			})
		}
		writers.Wait()
		restart := rng.IntN(3) == 0 // the process alone dies: the page cache stays
		if !restart {
			fs.Crash()
		}
		inject(func(string) disk.Fault { return disk.Fault{Err: disk.ErrCrashed} })
		l.Close() // of the dead; only to end its goroutine and, after a restart, its lock
	}
	inject(nil)
	fs.Room(-1)
	mustClose(t, mustOpen(t, config(fs, dir)))
	checkAcknowledged(t, fs, dir, acked, 0)
	fs.Crash()
	checkAcknowledged(t, fs, dir, acked, 0) // what was opened and closed stays
}

// Recovery dies at every byte that it writes, with and without the machine. What
// is left of the cut is never taken for damage, nor an acknowledged entry cut.
func TestCutIsCutShort(t *testing.T) {
	for _, tail := range []struct {
		name  string
		first bool // the torn group is the first write to its segment
		hole  bool // a sector within it is missing, not only its end
	}{
		{"in a segment", false, false},
		{"in a segment, with a hole", false, true},
		{"first of a segment", true, false},
		{"first of a segment, with a hole", true, true},
	} {
		t.Run(tail.name, func(t *testing.T) {
			died := 0
			for at := int64(0); ; at++ {
				fs, all := torn(t, tail.first, tail.hole, uint64(at))
				dying := &dyingFS{FS: fs, left: at}
				l, err := ledger.Open(config(dying, dir))
				if err == nil {
					l.Close() // may be what dies
					break
				}
				if !errors.Is(err, disk.ErrCrashed) {
					t.Fatalf("recovery, to die at byte %d: %v", at, err)
				}
				died++
				if at%2 == 0 {
					fs.Crash()
				}
				if r := verify(t, fs); !r.OK() {
					t.Fatalf("recovery died at byte %d: %v", at, r.Problems)
				}
				l, err = ledger.Open(config(fs, dir))
				if err != nil {
					t.Fatalf("recovery died at byte %d: %v", at, err)
				}
				mustClose(t, l)
				equal(t, read(t, fs, dir, 0)[:len(all)], all...)
			}
			if died < 1500 {
				t.Errorf("recovery died %d times, of more than 1,500 bytes", died)
			}
		})
	}
}

// torn is a ledger whose last write lacks its end, and the entries before it.
func torn(t *testing.T, first, hole bool, seed uint64) (*disk.Forgetful, []string) {
	t.Helper()
	fs := disk.NewForgetful(seed)
	cfg := config(fs, dir)
	cfg.SegmentBytes = 4 << 10
	many := func(n uint64) sekisho.Body {
		a := access(n)
		a.Subjects = make([]uint32, 700)
		for i := range a.Subjects {
			a.Subjects[i] = uint32(i%7 + 1)
		}
		return a
	}
	l := mustOpen(t, cfg)
	mustAppend(t, l, access(1))
	if first {
		mustAppend(t, l, many(2), many(3), many(4))
	}
	mustAppend(t, l, many(5), access(6), many(7), access(8))
	names := segments(t, fs)
	name := names[len(names)-1]
	b := load(t, fs, name)
	f := ledger.TakeApart(b)
	last := f.Groups[len(f.Groups)-1]
	if (len(f.Groups) == 1) != first {
		t.Fatalf("the last segment holds %d groups", len(f.Groups))
	}
	mustClose(t, l)
	all := read(t, fs, dir, 0)[:last.First-1]
	end := last.Offsets[len(last.Offsets)-1] // the closing of the ledger came later
	b = append(b[:end:end], make([]byte, len(b)-end)...)
	if hole {
		missing := (last.Offset/512 + 2) * 512
		clear(b[missing : missing+512])
	}
	store(t, fs, name, b)
	if at, err := fs.OpenFile(filepath.Join(dir, name), os.O_RDWR, 0); err != nil || at.Sync() != nil {
		t.Fatal("syncing what was torn:", err)
	}
	if first { // what was torn was not yet followed by a segment prepared for the next one
		if err := fs.Remove(filepath.Join(dir, "0000000003.segment")); err != nil {
			t.Fatal(err)
		}
		if err := fs.SyncDir(dir); err != nil {
			t.Fatal(err)
		}
	}
	return fs, all
}

// A dyingFS dies when so many bytes were written, within a write if need be.
type dyingFS struct {
	disk.FS
	left int64
	dead bool
}

type dyingFile struct {
	disk.File
	fs *dyingFS
}

func (d *dyingFS) OpenFile(name string, flag int, perm uint32) (disk.File, error) {
	f, err := d.FS.OpenFile(name, flag, perm)
	return &dyingFile{f, d}, err
}

func (f *dyingFile) WriteAt(p []byte, off int64) (int, error) {
	if f.fs.dead {
		return 0, disk.ErrCrashed
	}
	if int64(len(p)) > f.fs.left {
		f.fs.dead = true
		n, _ := f.File.WriteAt(p[:f.fs.left], off)
		return n, disk.ErrCrashed
	}
	f.fs.left -= int64(len(p))
	return f.File.WriteAt(p, off)
}

func (f *dyingFile) Sync() error {
	if f.fs.dead {
		return disk.ErrCrashed
	}
	return f.File.Sync()
}

// injected lets a test change what fails while the disk is in use; nil is
// nothing.
func injected(fs *disk.Forgetful) func(func(op string) disk.Fault) {
	var now atomic.Pointer[func(op string) disk.Fault]
	fs.Inject = func(op, _ string) disk.Fault {
		if f := now.Load(); f != nil && *f != nil {
			return (*f)(op)
		}
		return disk.Fault{}
	}
	return func(f func(op string) disk.Fault) { now.Store(&f) }
}

// A torn tail is cut, counted, and its bytes are gone for good.
func TestTornTail(t *testing.T) {
	fs := specimen(t)
	names := segments(t, fs)
	name := names[len(names)-1]
	b := load(t, fs, name)
	f := ledger.TakeApart(b)
	g := f.Groups[len(f.Groups)-2]
	end := f.Groups[len(f.Groups)-1].Offset
	all := read(t, fs, dir, 0)
	torn := 0
	for cut := g.Offset; cut < end; cut++ { // the second last group up to byte cut, and nothing after
		broken := append(append([]byte(nil), b[:cut]...), make([]byte, len(b)-cut)...)
		store(t, fs, name, broken)
		equal(t, read(t, fs, dir, 0), all[:g.First-1]...)
		if r := verify(t, fs); !r.OK() || r.Last.Seq != g.First-1 {
			t.Fatalf("cut at %d: last %v, %v", cut, r.Last, r.Problems)
		}
		l, err := ledger.Open(config(fs, dir))
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		mustClose(t, l)
		for e := range ledger.Read(fs, dir, g.First) {
			opened := e.Body.(*sekisho.LedgerOpened)
			for cut > g.Offset && b[cut-1-torn] == 0 { // trailing zeros of what is there do not count
				torn++
			}
			if want := uint64(cut - g.Offset - torn); opened.Dropped != want {
				t.Errorf("cut at %d: dropped %d, want %d", cut, opened.Dropped, want)
			}
			torn = 0
			break
		}
		if r := verify(t, fs); !r.OK() {
			t.Fatalf("cut at %d, after recovery: %v", cut, r.Problems)
		}
		if t.Failed() {
			return
		}
	}
}

func TestGarbageAfterTheEndIsCut(t *testing.T) {
	fs := specimen(t)
	names := segments(t, fs)
	name := names[len(names)-1]
	b := load(t, fs, name)
	f := ledger.TakeApart(b)
	g := f.Groups[len(f.Groups)-1]
	end := g.Offsets[0] + 8 + len(g.Entries[0]) + 32
	for i := range 100 {
		b[end+i] = byte(200 + i)
	}
	store(t, fs, name, b)
	mustClose(t, mustOpen(t, config(fs, dir)))
	for e := range ledger.Read(fs, dir, g.First+1) {
		if got := e.Body.(*sekisho.LedgerOpened).Dropped; got != 100 {
			t.Errorf("dropped %d bytes, want 100", got)
		}
		break
	}
}

// After a failed sync nothing is accepted, however often it is tried, until
// the ledger is opened again.
func TestFailedSync(t *testing.T) {
	for _, happened := range []bool{false, true} {
		fs := disk.NewForgetful(5)
		inject := injected(fs)
		l := mustOpen(t, config(fs, dir))
		mustAppend(t, l, access(1))
		fail, syncs := true, 0
		inject(func(op string) disk.Fault {
			if op != "sync" {
				return disk.Fault{}
			}
			syncs++
			if fail {
				fail = false
				return disk.Fault{Err: syscall.EIO, Happened: happened}
			}
			return disk.Fault{}
		})
		for range 3 {
			if _, err := l.Append(t.Context(), access(2)); !errors.Is(err, ledger.ErrFailed) || !errors.Is(err, syscall.EIO) {
				t.Errorf("append: %v", err)
			}
		}
		if syncs != 1 {
			t.Errorf("%d syncs after the failed one", syncs-1)
		}
		if err := l.Close(); !errors.Is(err, ledger.ErrFailed) {
			t.Errorf("close: %v", err)
		}
		// The process goes on with what is in the page cache, and then the
		// machine crashes: the reopened ledger must not stand on lost bytes.
		l = mustOpen(t, config(fs, dir))
		id := mustAppend(t, l, access(3))
		fs.Crash()
		mustClose(t, mustOpen(t, config(fs, dir)))
		if r := verify(t, fs); !r.OK() {
			t.Error(r.Problems)
		}
		found := false
		for e := range ledger.Read(fs, dir, 0) {
			found = found || e.ID == id
		}
		if !found {
			t.Errorf("entry %v, acknowledged after the failure, is lost", id)
		}
		inject(func(string) disk.Fault { return disk.Fault{Err: io.ErrClosedPipe} })
		l.Close()
	}
}

func TestFullDisk(t *testing.T) {
	fs := disk.NewForgetful(5)
	cfg := config(fs, dir)
	l := mustOpen(t, cfg)
	fs.Room(cfg.SegmentBytes + 1000)
	large := access(1)
	large.Subjects = make([]uint32, 1000)
	var err error
	for n := 0; err == nil; n++ {
		if _, err = l.Append(t.Context(), large); n > 100 {
			t.Fatal("the disk never got full")
		}
	}
	if !errors.Is(err, ledger.ErrFull) || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("append: %v", err)
	}
	last := l.Last()
	if _, err := l.Append(t.Context(), large); !errors.Is(err, ledger.ErrFull) {
		t.Errorf("append: %v", err)
	}
	fs.Room(-1)
	if id := mustAppend(t, l, large); id.Seq != last+1 {
		t.Errorf("the first entry after is %v, want %d", id, last+1)
	}
	mustClose(t, l)
	if r := verify(t, fs); !r.OK() {
		t.Error(r.Problems)
	}
}

// What the ledger does to its disk, in order. A sync that goes missing is a
// line that goes missing.
func TestSideEffects(t *testing.T) {
	fs := disk.NewForgetful(1)
	var mu sync.Mutex
	var got strings.Builder
	var synced chan string // names of directories
	say := func(line string) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintln(&got, line)
		if strings.HasPrefix(line, "  syncdir ") && synced != nil {
			synced <- line
		}
	}
	fs.Trace = func(line string) { say("  " + line) }
	cfg := config(fs, dir)
	cfg.SegmentBytes = 4 << 10
	cfg.Before = func() ([]sekisho.Body, error) { say("  before the group"); return nil, nil }

	say("open a new ledger")
	l := mustOpen(t, cfg)
	say("append")
	mustAppend(t, l, access(1))
	large := access(2)
	large.Subjects = make([]uint32, 2500)
	synced = make(chan string, 10)
	say("append 2,500 bytes; then, in the background, prepare the next segment")
	mustAppend(t, l, large)
	<-synced
	say("append what needs the next segment; then prepare the one after")
	mustAppend(t, l, large)
	<-synced
	say("close")
	mustClose(t, l)
	say("open again")
	l = mustOpen(t, cfg)
	say("close")
	mustClose(t, l)
	say("open after a crash that tore the last group")
	names := segments(t, fs)
	name := names[len(names)-1]
	b := load(t, fs, name)
	f := ledger.TakeApart(b)
	last := f.Groups[len(f.Groups)-1]
	store(t, fs, name, append(b[:last.Offset+70], make([]byte, len(b)-last.Offset-70)...))
	mustClose(t, mustOpen(t, cfg))
	golden(t, "side_effects.txt", got.String())
}
