package vault_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"

	"sekisho"
	"sekisho/disk"
	"sekisho/vault"
)

var testKey = [32]byte{1, 2, 3}

func config(dir string, fsys disk.FS) vault.Config {
	return vault.Config{Dir: dir, FS: fsys, Key: testKey, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
}

func open(t testing.TB, c vault.Config) *vault.Vault {
	t.Helper()
	v, err := vault.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.Close() })
	return v
}

func flush(t testing.TB, v *vault.Vault) []*sekisho.Assigned {
	t.Helper()
	bodies, err := v.Flush()
	if err != nil {
		t.Fatal(err)
	}
	var as []*sekisho.Assigned
	for _, b := range bodies {
		as = append(as, b.(*sekisho.Assigned))
	}
	return as
}

// get and put read and replace a file behind the vault's back.
func get(t testing.TB, fsys disk.FS, name string) []byte {
	t.Helper()
	f, err := fsys.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	size, _ := f.Size()
	b := make([]byte, size)
	if _, err := f.ReadAt(b, 0); err != nil {
		t.Fatal(err)
	}
	return b
}

func put(t testing.TB, fsys disk.FS, name string, b []byte) {
	t.Helper()
	f, err := fsys.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err == nil {
		_, err = f.WriteAt(b, 0)
	}
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
}

// A book is the part of a ledger that the vault cares about.
type book []*sekisho.Assigned

// highest fails the test if the entries do not cover every ordinal once, in
// order.
func (b book) highest(t testing.TB) map[string]uint32 {
	t.Helper()
	top := map[string]uint32{}
	for _, a := range b {
		if a.First != top[a.Space]+1 || a.Count == 0 {
			t.Fatalf("%s: Assigned from %d, %d of them, after %d", a.Space, a.First, a.Count, top[a.Space])
		}
		top[a.Space] += a.Count
	}
	return top
}

func (b book) check(t testing.TB, v *vault.Vault) {
	t.Helper()
	for _, a := range b {
		if err := v.Check(a.Space, a.First, a.Count, a.Root); err != nil {
			t.Fatal(err)
		}
	}
}

func TestIntegersAndTextsAreOneSpace(t *testing.T) {
	s := open(t, config(t.TempDir(), disk.OS{})).Space("member")
	keys := []string{"42", "042", "+42", "-42", "0", "-0", "00", "", "-", " 42", "42 ",
		strconv.Itoa(math.MaxInt64), "9223372036854775808", strconv.Itoa(math.MinInt64), "-9223372036854775809",
		"99999999999999999999", "１２", "kärnten", "\x00", "\xff\xfe"}
	for i, k := range keys {
		if _, ok := s.Find(k); ok {
			t.Errorf("%q has an ordinal before it was given one", k)
		}
		if got := s.OfText([]byte(k)); got != uint32(i+1) {
			t.Errorf("OfText(%q) = %d, want %d", k, got, i+1)
		}
	}
	for i, k := range keys {
		if got, ok := s.Key(uint32(i + 1)); got != k || !ok {
			t.Errorf("Key(%d) = %q, want %q", i+1, got, k)
		}
		if got, ok := s.Find(k); got != uint32(i+1) || !ok {
			t.Errorf("Find(%q) = %d, want %d", k, got, i+1)
		}
	}
	for i, k := range keys {
		if n, err := strconv.ParseInt(k, 10, 64); err == nil && strconv.FormatInt(n, 10) == k {
			if got := s.OfInt(n); got != uint32(i+1) {
				t.Errorf("OfInt(%d) = %d, want %d", n, got, i+1)
			}
		}
	}
	for _, ord := range []uint32{0, uint32(len(keys) + 1), math.MaxUint32} {
		if k, ok := s.Key(ord); ok {
			t.Errorf("Key(%d) = %q, and there is no such ordinal", ord, k)
		}
	}
	if s.OfText(make([]byte, vault.MaxKey+1)) != 0 {
		t.Error("a key beyond the limit has an ordinal")
	}
	if s.Len() != len(keys) {
		t.Errorf("Len() = %d, want %d", s.Len(), len(keys))
	}
}

// The vault against plain maps, over many random steps, reopenings included.
func TestAgainstPlainMaps(t *testing.T) {
	for seed := range uint64(4) {
		rng := rand.New(rand.NewPCG(seed, 1))
		c := config("/v", disk.NewForgetful(seed))
		v := open(t, c)
		spaces := []string{"member", "staff", "statement"}
		oracle := map[string]map[string]uint32{} // space → key → ordinal
		durable := map[string]int{}
		var b book
		for _, s := range spaces {
			oracle[s] = map[string]uint32{}
		}
		for range 3000 {
			name := spaces[rng.IntN(len(spaces))]
			s, m := v.Space(name), oracle[name]
			switch r := rng.IntN(100); {
			case r < 60:
				k := rng.Int64N(2000) - 500
				key := strconv.FormatInt(k, 10)
				if m[key] == 0 {
					m[key] = uint32(len(m) + 1)
				}
				if got := s.OfInt(k); got != m[key] {
					t.Fatalf("seed %d: OfInt(%d) = %d, want %d", seed, k, got, m[key])
				}
			case r < 90:
				key := fmt.Sprintf("%0*d", 1+rng.IntN(5), rng.IntN(300))
				if rng.IntN(50) == 0 {
					key += string(make([]byte, rng.IntN(100_000)))
				}
				if m[key] == 0 {
					m[key] = uint32(len(m) + 1)
				}
				if got := s.OfText([]byte(key)); got != m[key] {
					t.Fatalf("seed %d: OfText(%.20q) = %d, want %d", seed, key, got, m[key])
				}
			case r < 97:
				b = append(b, flush(t, v)...)
				for s, m := range oracle {
					durable[s] = len(m)
				}
			default:
				v.Close()
				v = open(t, c)
				if err := v.Reconcile(b.highest(t)); err != nil {
					t.Fatal(err)
				}
				for s, m := range oracle {
					maps.DeleteFunc(m, func(_ string, ord uint32) bool { return ord > uint32(durable[s]) })
				}
			}
			if s := v.Space(name); s.Len() != len(m) {
				t.Fatalf("seed %d: %s has %d keys, want %d", seed, name, s.Len(), len(m))
			}
		}
		b = append(b, flush(t, v)...)
		for name, m := range oracle {
			for key, ord := range m {
				if got, ok := v.Space(name).Key(ord); got != key || !ok {
					t.Fatalf("seed %d: %s %d is %.20q, want %.20q", seed, name, ord, got, key)
				}
				if got, ok := v.Space(name).Find(key); got != ord || !ok {
					t.Fatalf("seed %d: %.20q is %s %d, want %d", seed, key, name, got, ord)
				}
			}
			if got := b.highest(t)[name]; got != uint32(len(m)) {
				t.Errorf("seed %d: the ledger covers %s up to %d, want %d", seed, name, got, len(m))
			}
		}
		b.check(t, v)
	}
}

// Goroutines that see the same keys at the same time see the same ordinals,
// and what one of them has seen before a Flush is covered after it.
func TestManyGoroutines(t *testing.T) {
	v := open(t, config(t.TempDir(), disk.OS{}))
	s := v.Space("member")
	const keys, workers = 20_000, 8
	var mu sync.Mutex
	var covered uint32
	seen := make([][]uint32, workers)
	var wg sync.WaitGroup
	for w := range workers {
		seen[w] = make([]uint32, keys)
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(w), 2))
			for i, k := range rng.Perm(keys) {
				var ord uint32
				if k%3 == 0 {
					ord = s.OfText(fmt.Appendf(nil, "text %d", k))
				} else {
					ord = s.OfInt(int64(k))
				}
				seen[w][k] = ord
				if i%1000 != 0 {
					continue
				}
				mu.Lock()
				bodies, err := v.Flush()
				for _, b := range bodies {
					covered += b.(*sekisho.Assigned).Count
				}
				if err != nil || covered < ord {
					t.Errorf("flushed up to %d after %d was given out: %v", covered, ord, err)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for k := range keys {
		for w := range workers {
			if seen[w][k] != seen[0][k] {
				t.Fatalf("key %d is %d to one goroutine and %d to another", k, seen[0][k], seen[w][k])
			}
		}
	}
	if s.Len() != keys {
		t.Errorf("%d ordinals for %d keys", s.Len(), keys)
	}
}

// What the committer relies on: a Flush with nothing new is free and gives
// nothing.
func TestFlushWithNothingPending(t *testing.T) {
	forgetful := disk.NewForgetful(1)
	v := open(t, config("/v", forgetful))
	s := v.Space("member")
	s.OfInt(1)
	if got := flush(t, v); len(got) != 1 {
		t.Fatalf("%d commitments, want 1", len(got))
	}
	var ops []string
	forgetful.Trace = func(line string) { ops = append(ops, line) }
	if allocs := testing.AllocsPerRun(100, func() {
		s.OfInt(1)
		if b, err := v.Flush(); len(b) != 0 || err != nil {
			t.Fatal(b, err)
		}
	}); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
	if len(ops) != 0 {
		t.Errorf("the disk was touched: %q", ops)
	}
}

// The root in an Assigned entry is the one of RFC 6962, section 2.1, written
// here once more from its recursive definition.
func TestRootIsRFC6962(t *testing.T) {
	var mth func(leaves [][]byte) [32]byte
	mth = func(leaves [][]byte) [32]byte {
		if len(leaves) == 1 {
			return sha256.Sum256(append([]byte{0}, leaves[0]...))
		}
		k := 1
		for k*2 < len(leaves) {
			k *= 2
		}
		l, r := mth(leaves[:k]), mth(leaves[k:])
		return sha256.Sum256(append(append([]byte{1}, l[:]...), r[:]...))
	}
	for n := 1; n <= 40; n++ {
		v := open(t, config("/v", disk.NewForgetful(uint64(n))))
		s := v.Space("member")
		for i := range n {
			s.OfText(fmt.Appendf(nil, "member %d", i))
		}
		a := flush(t, v)[0]
		var leaves [][]byte
		for _, row := range vault.Rows(v, "member") {
			mac := hmac.New(sha256.New, row.Salt)
			io.WriteString(mac, row.Key)
			leaves = append(leaves, mac.Sum(nil))
		}
		if want := mth(leaves); len(leaves) != n || a.Root != want {
			t.Errorf("%d leaves: root %x, want %x", n, a.Root, want)
		}
	}
}

func TestCheckFindsASwap(t *testing.T) {
	v := open(t, config(t.TempDir(), disk.OS{}))
	for i := range 10 {
		v.Space("member").OfInt(int64(i))
	}
	a := flush(t, v)[0]
	if err := v.Check("member", 1, 10, a.Root); err != nil {
		t.Error(err)
	}
	a.Root[7] ^= 1
	for what, err := range map[string]error{
		"another root":     v.Check("member", 1, 10, a.Root),
		"too many":         v.Check("member", 1, 11, a.Root),
		"none":             v.Check("member", 1, 0, a.Root),
		"from 0":           v.Check("member", 0, 10, a.Root),
		"far too many":     v.Check("member", 2, math.MaxUint32, a.Root),
		"an unknown space": v.Check("staff", 1, 10, a.Root),
	} {
		if !errors.Is(err, vault.ErrDamaged) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// Whatever ordinal is guessed from, the answer is that of OfInt; and a wrong
// guess assigns nothing.
func TestOfIntAfter(t *testing.T) {
	v := open(t, config(t.TempDir(), disk.OS{}))
	s := v.Space("member")
	rng := rand.New(rand.NewPCG(3, 3))
	var keys []int64
	for i := range 20_000 {
		switch i % 7 {
		case 3:
			s.OfText(fmt.Appendf(nil, "K-%d", i)) // an ordinal that is no integer's
		default:
			keys = append(keys, rng.Int64N(1<<40)-1<<39)
			s.OfInt(keys[len(keys)-1])
		}
	}
	before := s.Len()
	for i := range 100_000 {
		k := keys[rng.IntN(len(keys))]
		want := s.OfInt(k)
		hint := []uint32{0, want - 1, want, uint32(rng.IntN(before + 2)), math.MaxUint32}[i%5]
		if got := s.OfIntAfter(k, hint); got != want {
			t.Fatalf("OfIntAfter(%d, %d) = %d, OfInt gives %d", k, hint, got, want)
		}
	}
	if s.Len() != before {
		t.Errorf("%d ordinals were assigned by looking", s.Len()-before)
	}
	if got := s.OfIntAfter(1<<50, uint32(before)); got != uint32(before)+1 {
		t.Errorf("a new key got %d after %d", got, before)
	}
}
