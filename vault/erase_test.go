package vault_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"sekisho"
	"sekisho/disk"
	"sekisho/vault"
)

// gone fails the test unless these ordinals are erased, and nothing else is.
func gone(t *testing.T, v *vault.Vault, keys map[uint32]string, erased map[uint32]bool) {
	t.Helper()
	s := v.Space("staff_record")
	for ord, key := range keys {
		got, ok := s.Key(ord)
		if erased[ord] {
			if ok || got != "" || !s.Erased(ord) {
				t.Errorf("%d is erased, and is %q", ord, got)
			}
			if found, ok := s.Find(key); ok && found == ord {
				t.Errorf("the key of %d, which is erased, finds it", ord)
			}
			continue
		}
		if !ok || got != key || s.Erased(ord) {
			t.Errorf("%d is %.40q, want %.40q", ord, got, key)
		}
		if found, _ := s.Find(key); found != ord {
			t.Errorf("%.40q finds %d, want %d", key, found, ord)
		}
	}
}

// records are keys of every form: numbers, texts, empty, long.
func records(n int) []string {
	var list []string
	for i := range n {
		switch i % 4 {
		case 0:
			list = append(list, fmt.Sprint(1000+i))
		case 1:
			list = append(list, fmt.Sprintf(`{"staff":%d,"name":"Suzuki %d"}`, i, i))
		case 2:
			list = append(list, strings.Repeat(fmt.Sprintf("a long text %d ", i), 200))
		case 3:
			list = append(list, fmt.Sprintf("%03d", i))
		}
	}
	return append(list, "")
}

// What is erased is gone from memory and from the files, for old rows and for
// new; the ledger's commitments hold as before; and who comes back is somebody
// new.
func TestErase(t *testing.T) {
	for _, old := range []bool{false, true} {
		c := config(t.TempDir(), disk.OS{})
		v := open(t, c)
		if old {
			vault.Before(v)
		}
		s := v.Space("staff_record")
		keys := map[uint32]string{}
		for _, k := range records(60) {
			keys[s.OfText([]byte(k))] = k
		}
		b := book(flush(t, v))
		v.Close()
		v = open(t, c) // an old vault is opened by this program
		if err := v.Reconcile(b.highest(t)); err != nil {
			t.Fatal(err)
		}
		copied := get(t, disk.OS{}, filepath.Join(c.Dir, "vault"))

		erased := map[uint32]bool{1: true, 2: true, 3: true, 40: true, 61: true}
		n, err := v.Erase("staff_record", []uint32{40, 2, 1, 3, 61, 2})
		if err != nil || n != 5 {
			t.Fatalf("old %v: erased %d, %v", old, n, err)
		}
		gone(t, v, keys, erased)
		if n, err = v.Erase("staff_record", []uint32{1, 4}); err != nil || n != 1 {
			t.Fatalf("erased %d again, %v", n, err)
		}
		erased[4] = true
		b.check(t, v)
		for _, bad := range []uint32{0, 62} {
			if _, err := v.Erase("staff_record", []uint32{bad}); err == nil {
				t.Errorf("erased %d, which there is not", bad)
			}
		}
		v.Close()

		v = open(t, c)
		if err := v.Reconcile(b.highest(t)); err != nil {
			t.Fatal(err)
		}
		gone(t, v, keys, erased)
		b.check(t, v)
		s = v.Space("staff_record")
		if again := s.OfText([]byte(keys[2])); again != 62 {
			t.Errorf("who was erased comes back as %d", again)
		}
		b = append(b, flush(t, v)...)
		v.Close()
		v = open(t, c)
		gone(t, v, keys, erased)
		b.check(t, v)
		v.Close()
		for _, name := range []string{"vault", "keys"} {
			if bytes.Contains(get(t, disk.OS{}, filepath.Join(c.Dir, name)), []byte("Suzuki 1")) {
				t.Errorf("%s holds a name", name)
			}
		}
		if old {
			continue
		}
		// The vault file of before, with the keys of today: nobody comes back.
		now := get(t, disk.OS{}, filepath.Join(c.Dir, "vault"))
		if bytes.Equal(now[:len(copied)], copied) == false && !old {
			// Only what was assigned since may differ.
			copied = append(copied[:len(copied):len(copied)], now[len(copied):]...)
		}
		put(t, disk.OS{}, filepath.Join(c.Dir, "vault"), copied)
		v = open(t, c)
		gone(t, v, keys, erased)
		v.Close()
	}
}

// Power goes at any operation of an erasure. The next opening finds none of it
// done or finishes all of it; once Erase has returned, nothing comes back; and
// the commitments hold at every moment.
func TestEraseCrashes(t *testing.T) {
	for _, old := range []bool{false, true} {
		finished, undone := 0, 0
		for cut := 0; ; cut++ {
			d := disk.NewForgetful(uint64(cut))
			c := config("/house/vault", d)
			v := open(t, c)
			if old {
				vault.Before(v)
			}
			keys := map[uint32]string{}
			for _, k := range records(20) {
				keys[v.Space("staff_record").OfText([]byte(k))] = k
			}
			b := book(flush(t, v))
			rng := rand.New(rand.NewPCG(uint64(cut), 9))
			left := cut / 2
			reached := false
			d.Inject = func(string, string) disk.Fault {
				if left--; left < 0 {
					reached = true
					return disk.Fault{Err: errors.New("power cut"), Happened: cut%2 == 0 || rng.IntN(2) == 0}
				}
				return disk.Fault{}
			}
			_, err := v.Erase("staff_record", []uint32{2, 3, 9, 21})
			v.Close()
			d.Inject = nil
			d.Crash()
			// A reader comes first, who finishes nothing, and sees what will be.
			ro := c
			ro.ReadOnly = true
			r := open(t, ro)
			seen := map[uint32]bool{}
			if r.Space("staff_record").Erased(2) {
				seen = map[uint32]bool{2: true, 3: true, 9: true, 21: true}
			}
			gone(t, r, keys, seen)
			b.check(t, r)
			v = open(t, c)
			if v.Space("staff_record").Erased(2) != r.Space("staff_record").Erased(2) {
				t.Errorf("cut at %d: to the reader %d was erased: %v", cut, 2, len(seen) > 0)
			}
			b.check(t, r) // and who finished it does not disturb the reader
			r.Close()
			if rerr := v.Reconcile(b.highest(t)); rerr != nil {
				t.Fatalf("cut at %d: %v", cut, rerr)
			}
			erased := map[uint32]bool{}
			if v.Space("staff_record").Erased(2) {
				erased = map[uint32]bool{2: true, 3: true, 9: true, 21: true}
				finished++
			} else {
				undone++
				if err == nil {
					t.Fatalf("cut at %d: what Erase had destroyed is back", cut)
				}
			}
			gone(t, v, keys, erased)
			b.check(t, v)
			// And again, now to the end.
			if _, err := v.Erase("staff_record", []uint32{2, 3, 9, 21}); err != nil {
				t.Fatalf("cut at %d: %v", cut, err)
			}
			b.check(t, v)
			v.Close()
			if !reached {
				break
			}
		}
		if finished < 5 || undone < 5 {
			t.Errorf("old %v: %d were finished and %d not begun: the cuts miss something", old, finished, undone)
		}
	}
}

// Power goes while an erasure that was cut before is being finished.
func TestEraseCrashesTwice(t *testing.T) {
	for cut := range 40 {
		d := disk.NewForgetful(uint64(cut))
		c := config("/house/vault", d)
		v := open(t, c)
		keys := map[uint32]string{}
		for _, k := range records(20) {
			keys[v.Space("staff_record").OfText([]byte(k))] = k
		}
		b := book(flush(t, v))
		d.Inject = func(op, name string) disk.Fault {
			if filepath.Base(name) == "keys" { // "erasing" is in place
				return disk.Fault{Err: errors.New("power cut")}
			}
			return disk.Fault{}
		}
		if _, err := v.Erase("staff_record", []uint32{2, 5}); !errors.Is(err, vault.ErrFailed) {
			t.Fatal(err)
		}
		if _, err := v.Flush(); err == nil && v.Unsettled() {
			t.Error("a failed vault flushes")
		}
		v.Close()
		d.Crash()
		left := cut / 2
		d.Inject = func(string, string) disk.Fault {
			if left--; left < 0 {
				return disk.Fault{Err: errors.New("power cut"), Happened: cut%2 == 0}
			}
			return disk.Fault{}
		}
		if v, err := vault.Open(c); err == nil {
			v.Close()
		}
		d.Inject = nil
		d.Crash()
		v = open(t, c)
		if err := v.Reconcile(b.highest(t)); err != nil {
			t.Fatal(err)
		}
		gone(t, v, keys, map[uint32]bool{2: true, 5: true})
		b.check(t, v)
		v.Close()
	}
}

// Lives of a vault that ends at any operation, of its recovery too: the process
// dies and another opens what the machine remembers, or the machine dies, or
// both in turn. What was flushed is there, what was erased is gone, none of it
// is taken for damage, and a group of before cannot be told from one of today.
func TestLives(t *testing.T) {
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 11))
		d := disk.NewForgetful(seed)
		c := config("/house/vault", d)
		old := rng.IntN(2) == 0
		var b book
		made := 0
		flushed := map[uint32]string{}
		erased := map[uint32]bool{}
		var begun []uint32 // of an erasure that failed: all of them or none
		look := func(v *vault.Vault, life int) {
			t.Helper()
			s := v.Space("staff_record")
			if len(begun) > 0 && s.Erased(begun[0]) {
				for _, ord := range begun {
					erased[ord] = true
				}
			}
			gone(t, v, flushed, erased)
			b.check(t, v)
			if t.Failed() {
				t.Fatalf("seed %d, life %d, old rows %v, erasing %v", seed, life, old, begun)
			}
			begun = nil
		}
		for life := range 16 {
			left := rng.IntN(24)
			cut := errors.New("cut")
			d.Inject = func(op, name string) disk.Fault {
				if left--; left < 0 {
					return disk.Fault{Err: cut, Happened: rng.IntN(2) == 0}
				}
				return disk.Fault{}
			}
			v, err := vault.Open(c)
			if err == nil {
				if old {
					vault.Before(v)
				}
				err = v.Reconcile(b.highest(t))
				if err == nil {
					look(v, life)
				}
				for err == nil {
					s := v.Space("staff_record")
					given := map[uint32]string{}
					for range 1 + rng.IntN(12) {
						made++
						key := fmt.Sprint(made, " ", strings.Repeat("x", rng.IntN(600)))
						given[s.OfText([]byte(key))] = key
					}
					var bodies []sekisho.Body
					if bodies, err = v.Flush(); err != nil {
						break
					}
					for ord, key := range given {
						flushed[ord] = key
					}
					if rng.IntN(8) == 0 {
						break // before the ledger's write
					}
					for _, body := range bodies {
						b = append(b, asAssigned(body))
					}
					if rng.IntN(3) > 0 {
						continue
					}
					var some []uint32
					for range 1 + rng.IntN(6) {
						if ord := 1 + rng.Uint32N(uint32(len(flushed))); !erased[ord] {
							some = append(some, ord)
						}
					}
					if _, err = v.Erase("staff_record", some); err != nil {
						begun = some
						break
					}
					for _, ord := range some {
						erased[ord] = true
					}
				}
				v.Close()
			}
			if err != nil && !errors.Is(err, cut) {
				t.Fatalf("seed %d, life %d, old rows %v: %v", seed, life, old, err)
			}
			d.Inject = nil
			if rng.IntN(2) == 0 {
				d.Crash()
			}
			if rng.IntN(2) == 0 {
				continue // the next opening is cut, too
			}
			v = open(t, c)
			if err := v.Reconcile(b.highest(t)); err != nil {
				t.Fatalf("seed %d, life %d, old rows %v: %v", seed, life, old, err)
			}
			look(v, life)
			b = append(b, flush(t, v)...)
			v.Close()
		}
	}
}

// Without its file of record keys, or with another's, a vault is not opened,
// and nothing is taken for a torn end.
func TestRecordKeysAreMissed(t *testing.T) {
	c := config(t.TempDir(), disk.OS{})
	v := open(t, c)
	v.Space("member").OfInt(1)
	flush(t, v)
	v.Close()
	other := config(t.TempDir(), disk.OS{})
	open(t, other).Close()
	path := filepath.Join(c.Dir, "keys")
	good := get(t, disk.OS{}, path)
	damaged := bytes.Clone(good)
	damaged[512+10] ^= 1
	for name, b := range map[string][]byte{"none": nil, "another's": get(t, disk.OS{}, filepath.Join(other.Dir, "keys")), "cut": good[:512+20], "damaged": damaged} {
		os.Remove(path)
		if b != nil {
			put(t, disk.OS{}, path, b)
		}
		for _, readOnly := range []bool{false, true} {
			c.ReadOnly = readOnly
			if v, err := vault.Open(c); !errors.Is(err, vault.ErrDamaged) || !strings.Contains(err.Error(), "keys") {
				t.Errorf("%s, read only %v: %v", name, readOnly, err)
				if err == nil {
					v.Close()
				}
			}
		}
		c.ReadOnly = false
	}
	put(t, disk.OS{}, path, good)
	open(t, c).Close()

	// A copy from before the last records were made: its slots hold other keys.
	v = open(t, c)
	if err := v.Reconcile(map[string]uint32{"member": 1}); err != nil {
		t.Fatal(err)
	}
	v.Space("member").OfInt(2)
	flush(t, v)
	v.Close()
	put(t, disk.OS{}, path, good)
	if _, err := vault.Open(c); !errors.Is(err, vault.ErrDamaged) || !strings.Contains(err.Error(), "another record") {
		t.Errorf("an older file of keys: %v", err)
	}
}

// Erasing goes on beside readers and writers: nobody ever sees another's key
// behind an ordinal.
func TestEraseBesideReaders(t *testing.T) {
	v := open(t, config(t.TempDir(), disk.OS{}))
	s := v.Space("staff_record")
	const n = 400
	for i := range n {
		s.OfText(fmt.Appendf(nil, "record %d", i+1))
	}
	flush(t, v)
	done := make(chan struct{})
	var readers sync.WaitGroup
	for w := range 3 {
		readers.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(w), 1))
			for {
				select {
				case <-done:
					return
				default:
				}
				ord := 1 + rng.Uint32N(n)
				want := fmt.Sprintf("record %d", ord)
				if key, ok := s.Key(ord); ok && key != want {
					t.Errorf("%d is %q", ord, key)
					return
				}
				if got, ok := s.Find(want); ok && got != ord && got <= n {
					t.Errorf("%q finds %d", want, got)
					return
				}
				s.OfText(fmt.Appendf(nil, "more %d %d", w, rng.IntN(1000)))
			}
		})
	}
	for ord := uint32(2); ord <= 100; ord += 7 {
		if _, err := v.Erase("staff_record", []uint32{ord}); err != nil {
			t.Error(err)
		}
	}
	close(done)
	readers.Wait()
	for ord := uint32(2); ord <= 100; ord += 7 {
		if key, ok := s.Key(ord); ok {
			t.Errorf("%d is still %q", ord, key)
		}
	}
}

// Another process that reads the files while somebody is erased never takes
// what it finds for damage, nor for the end of the file.
func TestReadersOfFilesBesideErasing(t *testing.T) {
	for _, old := range []bool{false, true} {
		c := config(t.TempDir(), disk.OS{})
		v := open(t, c)
		if old {
			vault.Before(v)
		}
		for i := range 200 {
			v.Space("staff_record").OfText(fmt.Appendf(nil, "%d %s", i, strings.Repeat("long ", 300)))
		}
		b := book(flush(t, v))
		ro := c
		ro.ReadOnly = true
		done := make(chan error, 1)
		go func() {
			for ord := uint32(1); ord <= 200; ord += 4 {
				if _, err := v.Erase("staff_record", []uint32{ord, ord + 1}); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
		for running := true; running; {
			select {
			case err := <-done:
				if running = false; err != nil {
					t.Fatal(err)
				}
			default:
			}
			r, err := vault.Open(ro)
			if err != nil {
				t.Fatal(err)
			}
			if n := r.Space("staff_record").Len(); n != 200 {
				t.Fatalf("old %v: a reader finds %d of 200", old, n)
			}
			b.check(t, r)
			r.Close()
		}
	}
}
