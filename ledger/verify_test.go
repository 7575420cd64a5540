package ledger_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"sekisho"
	"sekisho/disk"
	"sekisho/ledger"
)

const dir = "/ledger"

// specimen is a ledger of three epochs over several segments, with groups of
// one entry and of many.
func specimen(t testing.TB) *disk.Forgetful {
	fs := disk.NewForgetful(1)
	cfg := config(fs, dir)
	cfg.SegmentBytes = 4 << 10
	n := uint64(0)
	for range 3 {
		l := mustOpen(t, cfg)
		for range 10 {
			var bodies []sekisho.Body
			for range n%7 + 1 {
				n++
				bodies = append(bodies, access(n))
			}
			mustAppend(t, l, bodies...)
			mustAppend(t, l, &sekisho.SessionRefused{Endpoint: fmt.Sprint("pc-", n), Reason: "password"})
			n++
		}
		mustClose(t, l)
	}
	return fs
}

func segments(t testing.TB, fs disk.FS) (names []string) {
	t.Helper()
	all, err := fs.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range all {
		if strings.HasSuffix(name, ".segment") && len(ledger.TakeApart(load(t, fs, name)).Groups) > 0 {
			names = append(names, name)
		}
	}
	return names
}

func load(t testing.TB, fs disk.FS, name string) []byte {
	t.Helper()
	f, err := fs.OpenFile(filepath.Join(dir, name), os.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, size)
	if _, err := f.ReadAt(b, 0); err != nil {
		t.Fatal(err)
	}
	return b
}

func store(t testing.TB, fs disk.FS, name string, b []byte) {
	t.Helper()
	f, err := fs.OpenFile(filepath.Join(dir, name), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(b, 0); err != nil {
		t.Fatal(err)
	}
}

func verify(t testing.TB, fs disk.FS) ledger.Report {
	t.Helper()
	r, err := ledger.Verify(fs, dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestVerifySound(t *testing.T) {
	fs := specimen(t)
	var done, total int64
	r, err := ledger.Verify(fs, dir, func(d, n int64) { done, total = d, n })
	if err != nil {
		t.Fatal(err)
	}
	if !r.OK() || len(r.Notes) > 0 || r.Torn != 0 {
		t.Errorf("problems in a sound ledger: %v %v, torn %d", r.Problems, r.Notes, r.Torn)
	}
	if done != total || total == 0 {
		t.Errorf("progress ended at %d of %d", done, total)
	}
	all := read(t, fs, dir, 0)
	if r.Entries != uint64(len(all)) || r.Epochs != 3 || !slices.Equal(r.Gates, []uint32{7}) || r.Segments != len(segments(t, fs)) || r.Segments < 3 {
		t.Errorf("report %+v of %d entries", r, len(all))
	}
	if first, last := strings.Fields(all[0])[0], strings.Fields(all[len(all)-1])[0]; r.First.String() != first || r.Last.String() != last {
		t.Errorf("from %v to %v, want %s to %s", r.First, r.Last, first, last)
	}
	// What the chain hash stands for.
	mustClose(t, mustOpen(t, config(fs, dir)))
	if again := verify(t, fs); again.Chain == r.Chain {
		t.Error("the chain hash did not change with the ledger")
	}
}

// One flipped bit anywhere in what was written is found; inside an entry, that
// entry and no other is named. Open does not cut it away.
func TestFlippedBits(t *testing.T) {
	fs := specimen(t)
	names := segments(t, fs)
	rng := rand.New(rand.NewPCG(1, 2))
	for _, name := range names {
		b := load(t, fs, name)
		f := ledger.TakeApart(b)
		used := f.Groups[len(f.Groups)-1]
		end := used.Offsets[len(used.Offsets)-1] + 8 + len(used.Entries[len(used.Entries)-1]) + 32
		for range 300 {
			at, bit := rng.IntN(end), byte(1)<<rng.IntN(8)
			flipped := slices.Clone(b)
			flipped[at] ^= bit
			store(t, fs, name, flipped)

			r := verify(t, fs)
			where := fmt.Sprintf("%s, byte %d, bit %d", name, at, bit)
			if want := entryAt(f, at); want != 0 {
				if len(r.Problems) != 1 || r.Problems[0].What != ledger.Damaged || r.Problems[0].Entry.Seq != want || r.Problems[0].Through != want {
					t.Errorf("%s, in entry %d: %v", where, want, r.Problems)
				}
				// The epoch itself may have been hit where nothing else tells it.
				if id := idOf(f, want); len(r.Problems) == 1 && r.Problems[0].Entry != id && !opensEpoch(f, want) {
					t.Errorf("%s, in entry %v: %v", where, id, r.Problems)
				}
			} else if len(r.Problems) != 1 {
				t.Errorf("%s: %v", where, r.Problems)
			}
			if name == names[len(names)-1] {
				if l, err := ledger.Open(config(fs, dir)); !errors.Is(err, ledger.ErrCorrupt) || !strings.Contains(err.Error(), "sekisho ledger verify") {
					t.Fatalf("%s: Open: %v, %v", where, l, err)
				}
			}
			var readErr error
			n := uint64(0)
			for e, err := range ledger.Read(fs, dir, 0) {
				if readErr = err; err == nil {
					n = e.ID.Seq
				}
			}
			if !errors.Is(readErr, ledger.ErrCorrupt) {
				t.Errorf("%s: Read went to entry %d and ended with %v", where, n, readErr)
			}
			if t.Failed() {
				return
			}
		}
		store(t, fs, name, b)
	}
	if r := verify(t, fs); !r.OK() {
		t.Errorf("after all bits were flipped back: %v", r.Problems)
	}
}

// entryAt is the sequence number of the entry that byte at belongs to; 0 if it
// belongs to none.
func entryAt(f ledger.Forged, at int) uint64 {
	for _, g := range f.Groups {
		for i, from := range g.Offsets {
			if at >= from && at < from+8+len(g.Entries[i]) {
				return g.First + uint64(i)
			}
		}
	}
	return 0
}

func opensEpoch(f ledger.Forged, seq uint64) bool {
	e, _ := sekisho.Decode(bytesOf(f, seq))
	return e.Body.Kind() == sekisho.KindLedgerOpened
}

func idOf(f ledger.Forged, seq uint64) sekisho.ID {
	e, _ := sekisho.Decode(bytesOf(f, seq))
	return e.ID
}

func bytesOf(f ledger.Forged, seq uint64) []byte {
	for _, g := range f.Groups {
		if i := seq - g.First; i < uint64(len(g.Entries)) {
			return g.Entries[i]
		}
	}
	return nil
}

// Forgers who leave every length, count and checksum right.
func TestForgeries(t *testing.T) {
	type forgery struct {
		name string
		do   func(f *ledger.Forged, g int)
	}
	remove := func(i int) func(f *ledger.Forged, g int) {
		return func(f *ledger.Forged, g int) {
			f.Groups[g].Entries = slices.Delete(slices.Clone(f.Groups[g].Entries), i, i+1)
		}
	}
	forgeries := []forgery{
		{"remove the second entry", remove(1)},
		{"remove the first entry", remove(0)},
		{"remove the first entry and renumber", func(f *ledger.Forged, g int) { remove(0)(f, g); f.Groups[g].First++ }},
		{"remove the last entry", func(f *ledger.Forged, g int) { remove(len(f.Groups[g].Entries)-1)(f, g) }},
		{"swap two entries", func(f *ledger.Forged, g int) {
			e := slices.Clone(f.Groups[g].Entries)
			e[0], e[2] = e[2], e[0]
			f.Groups[g].Entries = e
		}},
		{"remove a group", func(f *ledger.Forged, g int) { f.Groups = slices.Delete(f.Groups, g, g+1) }},
		{"swap two groups", func(f *ledger.Forged, g int) { f.Groups[g], f.Groups[g+1] = f.Groups[g+1], f.Groups[g] }},
		{"change an entry", func(f *ledger.Forged, g int) {
			e, err := sekisho.Decode(f.Groups[g].Entries[1])
			if err != nil {
				panic(err)
			}
			e.Body.(*sekisho.Access).Subjects[0] = 77
			f.Groups[g].Entries = slices.Clone(f.Groups[g].Entries)
			f.Groups[g].Entries[1] = e.AppendEncode(nil)
		}},
		{"turn back an entry's time", func(f *ledger.Forged, g int) {
			e, err := sekisho.Decode(f.Groups[g].Entries[1])
			if err != nil {
				panic(err)
			}
			e.Time -= 5_000_000
			f.Groups[g].Entries = slices.Clone(f.Groups[g].Entries)
			f.Groups[g].Entries[1] = e.AppendEncode(nil)
		}},
	}
	var got strings.Builder
	for _, rehash := range []bool{false, true} {
		for _, forge := range forgeries {
			fs := specimen(t)
			name := segments(t, fs)[1]
			b := load(t, fs, name)
			f := ledger.TakeApart(b)
			g := 1 // a group of several entries, neither first nor last in its segment
			for len(f.Groups[g].Entries) < 3 {
				g++
			}
			forge.do(&f, g)
			store(t, fs, name, f.PutTogether(len(b), rehash))
			r := verify(t, fs)
			fmt.Fprintf(&got, "%s, chain hashed again in that segment: %t\n", forge.name, rehash)
			for _, p := range r.Problems {
				fmt.Fprintf(&got, "  %v\n", p)
			}
			if r.OK() {
				t.Errorf("%s was not found", forge.name)
			}
		}
	}
	golden(t, "forgeries.txt", got.String())
}

func TestMissingSegments(t *testing.T) {
	var got strings.Builder
	for i := range 2 { // of three
		fs := specimen(t)
		name := segments(t, fs)[i]
		fmt.Fprintf(&got, "without %s\n", name)
		if err := fs.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		for _, p := range verify(t, fs).Problems {
			fmt.Fprintf(&got, "  %v\n", p)
		}
		if _, err := ledger.Open(config(fs, dir)); !errors.Is(err, ledger.ErrCorrupt) {
			t.Errorf("Open without %s: %v", name, err)
		}
	}
	golden(t, "missing_segments.txt", got.String())
}

// Several problems at once are all named.
func TestSeveralProblems(t *testing.T) {
	fs := specimen(t)
	var want, got []string
	for _, name := range segments(t, fs) {
		b := load(t, fs, name)
		f := ledger.TakeApart(b)
		for _, g := range f.Groups {
			if len(g.Entries) > 4 {
				for _, i := range []int{1, 3} {
					b[g.Offsets[i]+12] ^= 4
					want = append(want, fmt.Sprint(g.First+uint64(i)))
				}
			}
		}
		store(t, fs, name, b)
	}
	for _, p := range verify(t, fs).Problems {
		got = append(got, fmt.Sprint(p.Entry.Seq))
	}
	equal(t, got, want...)
}

// Somebody may be writing while others read and verify.
func TestVerifyWhileWriting(t *testing.T) {
	fs, dir := disk.OS{}, filepath.Join(t.TempDir(), "ledger")
	l := mustOpen(t, config(fs, dir))
	var writers sync.WaitGroup
	for w := range uint64(4) {
		writers.Go(func() {
			for i := range uint64(500) {
				if _, err := l.Append(t.Context(), access(w*1000+i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	closed := make(chan error, 1)
	go func() { writers.Wait(); closed <- l.Close() }()
	for l.Last() < 2002 {
		before := l.Last()
		r, err := ledger.Verify(fs, dir, nil)
		if err != nil || !r.OK() {
			t.Fatal(err, r.Problems)
		}
		if r.Last.Seq < before {
			t.Errorf("verified up to %d when %d was durable before", r.Last.Seq, before)
		}
		n := uint64(0)
		for _, err := range ledger.Read(fs, dir, 0) {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		if n < before {
			t.Errorf("read up to %d when %d was durable before", n, before)
		}
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
}
