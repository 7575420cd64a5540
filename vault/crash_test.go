package vault_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sekisho/disk"
	"sekisho/vault"
)

// The disk forgets at random, at any operation. What Flush had returned is
// there after it, under the same ordinals; the ledger, which may have missed
// the last commitments, gets them again, once.
func TestCrashes(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 3))
		d := disk.NewForgetful(seed)
		c := config("/v", d)
		var b book
		promised := map[string]uint32{} // key → ordinal, flushed
		for life := range 12 {
			left := rng.IntN(30)
			d.Inject = func(op, name string) disk.Fault {
				if left--; left < 0 {
					return disk.Fault{Err: errors.New("power cut"), Happened: rng.IntN(2) == 0}
				}
				return disk.Fault{}
			}
			v, err := vault.Open(c)
			if err == nil {
				err = v.Reconcile(b.highest(t))
				if err != nil {
					t.Fatalf("seed %d, life %d: %v", seed, life, err)
				}
				s := v.Space("member")
				for err == nil {
					given := map[string]uint32{}
					for range rng.IntN(200) {
						key := fmt.Sprint(rng.IntN(5000))
						if rng.IntN(20) == 0 {
							key += strings.Repeat("x", rng.IntN(3000))
						}
						given[key] = s.OfText([]byte(key))
					}
					bodies, ferr := v.Flush()
					if err = ferr; err != nil {
						break
					}
					for k, ord := range given {
						if promised[k] != 0 && promised[k] != ord {
							t.Fatalf("seed %d: %.20q was %d and is %d", seed, k, promised[k], ord)
						}
						promised[k] = ord
					}
					if rng.IntN(8) == 0 {
						break // the crash comes before the ledger's write
					}
					for _, body := range bodies {
						b = append(b, asAssigned(body))
					}
				}
				v.Close()
			}
			d.Inject = nil
			d.Crash()
			v = open(t, c)
			for k, ord := range promised {
				if got, _ := v.Space("member").Find(k); got != ord {
					t.Fatalf("seed %d, life %d: %.20q is %d after the crash, was %d", seed, life, k, got, ord)
				}
			}
			if err := v.Reconcile(b.highest(t)); err != nil {
				t.Fatalf("seed %d, life %d: %v", seed, life, err)
			}
			b = append(b, flush(t, v)...)
			if got := b.highest(t)["member"]; int(got) != v.Space("member").Len() {
				t.Fatalf("seed %d, life %d: the ledger covers %d of %d", seed, life, got, v.Space("member").Len())
			}
			b.check(t, v)
			v.Close()
		}
	}
}

// A roster is replaced whole or not at all, and never names an ordinal that a
// crash took away.
func TestRosterCrashes(t *testing.T) {
	for cut := range 60 {
		d := disk.NewForgetful(uint64(cut))
		c := config("/v", d)
		v := open(t, c)
		if err := v.Reconcile(nil); err != nil {
			t.Fatal(err)
		}
		writeRoster(t, v, people(0, 100))
		left := cut / 2
		d.Inject = func(op, name string) disk.Fault {
			if left--; left < 0 {
				return disk.Fault{Err: errors.New("power cut"), Happened: cut%2 == 0}
			}
			return disk.Fault{}
		}
		_, err := v.WriteRoster("member", schema, each(people(50, 300)), nil)
		v.Close()
		d.Inject = nil
		d.Crash()

		v = open(t, c)
		r, rerr := v.Roster("member")
		if rerr != nil {
			t.Fatalf("cut at %d: %v", cut, rerr)
		}
		switch {
		case r.Count() == 250:
			same(t, v, r, people(50, 300))
		case r.Count() == 100 && err != nil:
			same(t, v, r, people(0, 100))
		default:
			t.Errorf("cut at %d: %d rows, after %v", cut, r.Count(), err)
		}
		v.Close()
	}
}

// After a failed sync nothing is known of the file: it is not touched again.
func TestFailedSync(t *testing.T) {
	d := disk.NewForgetful(1)
	v := open(t, config("/v", d))
	v.Space("member").OfInt(1)
	d.Inject = func(op, _ string) disk.Fault {
		if op == "sync" {
			return disk.Fault{Err: syscall.EIO}
		}
		return disk.Fault{}
	}
	if _, err := v.Flush(); !errors.Is(err, vault.ErrFailed) || !errors.Is(err, syscall.EIO) {
		t.Error(err)
	}
	d.Inject = nil
	d.Trace = func(line string) { t.Errorf("after a failed sync: %s", line) }
	if b, err := v.Flush(); len(b) > 0 || !errors.Is(err, vault.ErrFailed) {
		t.Error(b, err)
	}
	if _, err := v.WriteRoster("member", schema, each(people(0, 1)), nil); !errors.Is(err, vault.ErrFailed) {
		t.Error(err)
	}
}

// A process dies between write and sync. The next one reads what was written,
// and must not announce it before it is synced: the machine may die too.
func TestUnsyncedButRead(t *testing.T) {
	for seed := range uint64(20) {
		d := disk.NewForgetful(seed)
		c := config("/house/vault", d)
		v := open(t, c)
		v.Space("member").OfInt(1)
		d.Inject = func(op, name string) disk.Fault {
			if op == "sync" && filepath.Base(name) == "vault" {
				return disk.Fault{Err: errors.New("killed")}
			}
			return disk.Fault{}
		}
		if _, err := v.Flush(); err == nil {
			t.Fatal("flushed without a sync")
		}
		d.Inject = nil
		v.Close()

		v = open(t, c)
		if err := v.Reconcile(nil); err != nil {
			t.Fatal(err)
		}
		b := book(flush(t, v))
		if len(b) != 1 {
			t.Fatalf("%d announced, want 1", len(b))
		}
		v.Close()
		d.Crash()

		v = open(t, c)
		if err := v.Reconcile(b.highest(t)); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
		v.Close()
	}
}

func TestFullDisk(t *testing.T) {
	d := disk.NewForgetful(1)
	v := open(t, config("/v", d))
	s := v.Space("member")
	s.OfInt(1)
	var b book
	b = append(b, flush(t, v)...)
	d.Room(0)
	long := bytes.Repeat([]byte("long"), 200_000)
	s.OfText(long)
	for range 2 {
		if _, err := v.Flush(); !errors.Is(err, syscall.ENOSPC) || errors.Is(err, vault.ErrFailed) {
			t.Fatalf("on a full disk: %v", err)
		}
	}
	s.OfInt(3)
	d.Room(-1)
	b = append(b, flush(t, v)...)
	if b.highest(t)["member"] != 3 {
		t.Error("not everything was announced once there was room again")
	}
	b.check(t, v)
}

// A process is killed at a random instant. Whatever it had told us was
// flushed is there.
func TestKill(t *testing.T) {
	if dir := os.Getenv("VAULT_TEST_CHILD"); dir != "" {
		childOfTestKill(dir)
		return
	}
	dir := t.TempDir()
	told := map[string]string{} // ordinal → key
	for range 10 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKill$")
		cmd.Env = append(os.Environ(), "VAULT_TEST_CHILD="+dir)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		after := rand.IntN(40)
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			if ord, key, ok := strings.Cut(lines.Text(), " "); ok {
				if was, ok := told[ord]; ok && was != key {
					t.Fatalf("ordinal %s was %q, and is %q", ord, was, key)
				}
				told[ord] = key
			}
			if n == after {
				time.AfterFunc(rand.N(time.Millisecond), func() { cmd.Process.Kill() })
			}
		}
		cmd.Wait()
	}
	v := open(t, config(dir, disk.OS{}))
	for ord, key := range told {
		if got, _ := v.Space("member").Find(key); fmt.Sprint(got) != ord {
			t.Errorf("%q is %d, and was flushed as %s", key, got, ord)
		}
	}
	if len(told) < 100 {
		t.Errorf("only %d assignments were flushed", len(told))
	}
}

// childOfTestKill assigns and flushes, and tells after each Flush, until it
// is killed.
func childOfTestKill(dir string) {
	v, err := vault.Open(config(dir, disk.OS{}))
	if err == nil {
		err = v.Reconcile(nil)
	}
	for n := 0; err == nil; n++ {
		s := v.Space("member")
		key := fmt.Sprintf("%d-%d", os.Getpid(), n)
		ord := s.OfText([]byte(key))
		for i := range rand.IntN(500) {
			s.OfText(fmt.Appendf(nil, "%s-%d", key, i))
		}
		if _, err = v.Flush(); err == nil {
			fmt.Println(ord, key)
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// Any one flipped bit of the vault file is found: by Open, or at the end of
// the file, where it could be a crash's doing, by Reconcile. No ordinal ever
// has another key.
func TestFlippedBit(t *testing.T) {
	c := config("/v", disk.NewForgetful(1))
	v := open(t, c)
	var b book
	for g := range 3 {
		for i := range 2 {
			v.Space("member").OfInt(int64(100*g + i))
			v.Space("staff").OfText(fmt.Appendf(nil, "staff %d %d", g, i))
		}
		b = append(b, flush(t, v)...)
	}
	v.Close()
	whole := get(t, c.FS, "/v/vault")
	used := len(bytes.TrimRight(whole, "\x00"))
	damaged := bytes.Clone(whole[:used+16])
	last := bytes.LastIndex(whole, []byte("skvg"))
	for i := range used {
		damaged[i] ^= 1 << (i % 8)
		put(t, c.FS, "/v/vault", damaged)
		v, err := vault.Open(c)
		if err == nil {
			if i < last {
				t.Errorf("bit %d of byte %d, and the last group begins at %d: Open noticed nothing", i%8, i, last)
			}
			if err = v.Reconcile(b.highest(t)); err == nil {
				t.Errorf("bit %d of byte %d of %d: nothing was noticed", i%8, i, used)
			}
			for ord := uint32(1); ord <= 6; ord++ {
				want := fmt.Sprint((ord-1)/2*100 + (ord-1)%2)
				if k, ok := v.Space("member").Key(ord); ok && k != want {
					t.Errorf("bit %d of byte %d: the key of %d is %q, was %q", i%8, i, ord, k, want)
				}
			}
			v.Close()
		}
		if !errors.Is(err, vault.ErrDamaged) && !errors.Is(err, vault.ErrKey) {
			t.Errorf("bit %d of byte %d: %v", i%8, i, err)
		}
		damaged[i] ^= 1 << (i % 8)
	}

	// The same beside a running writer: Check reads the file again.
	put(t, c.FS, "/v/vault", whole)
	v = open(t, c)
	b.check(t, v)
	whole[used-9] ^= 4
	put(t, c.FS, "/v/vault", whole)
	a := b[len(b)-1]
	if err := v.Check(a.Space, a.First, a.Count, a.Root); !errors.Is(err, vault.ErrDamaged) {
		t.Errorf("Check of a damaged row: %v", err)
	}
}

// Whole sectors that vanish are damage too, unless they are the last group's.
func TestCutFile(t *testing.T) {
	c := config("/v", disk.NewForgetful(1))
	v := open(t, c)
	var b book
	for i := range 3 {
		v.Space("member").OfInt(int64(i))
		b = append(b, flush(t, v)...)
	}
	v.Close()
	whole := get(t, c.FS, "/v/vault")
	used := len(bytes.TrimRight(whole, "\x00"))
	for n := 0; n < used; n++ {
		put(t, c.FS, "/v/vault", whole[:n])
		v, err := vault.Open(c)
		if err == nil {
			err = v.Reconcile(b.highest(t))
			v.Close()
		}
		if !errors.Is(err, vault.ErrDamaged) {
			t.Fatalf("cut to %d of %d bytes: %v", n, used, err)
		}
	}
	put(t, c.FS, "/v/vault", whole[:used])
	// What was cut off after the last group's zeros is no loss.
	v = open(t, c)
	if err := v.Reconcile(b.highest(t)); err == nil {
		b.check(t, v)
	} else if used%8 == 0 {
		t.Error(err)
	}
}

func TestOneWriter(t *testing.T) {
	c := config(t.TempDir(), disk.OS{})
	open(t, c)
	if _, err := vault.Open(c); err == nil || !strings.Contains(err.Error(), "another sekisho") {
		t.Errorf("a second writer: %v", err)
	}
}

func TestWrongKey(t *testing.T) {
	c := config(t.TempDir(), disk.OS{})
	open(t, c).Close()
	c.Key[5]++
	if _, err := vault.Open(c); !errors.Is(err, vault.ErrKey) {
		t.Error(err)
	}
	c.Key = [32]byte{}
	if _, err := vault.Open(c); err == nil {
		t.Error("opened with no key")
	}
}

// A vault that was not empty must be compared with its ledger before it may
// announce anything.
func TestReconcileComesFirst(t *testing.T) {
	c := config("/v", disk.NewForgetful(1))
	v := open(t, c)
	v.Space("member").OfInt(1)
	flush(t, v) // and the ledger never gets it
	v.Close()

	v = open(t, c)
	if b, err := v.Flush(); len(b) > 0 || err != nil {
		t.Error("with nothing new:", b, err)
	}
	v.Space("member").OfInt(2)
	if _, err := v.Flush(); !errors.Is(err, vault.ErrNotReconciled) {
		t.Error(err)
	}
	if err := v.Reconcile(nil); err != nil {
		t.Error(err)
	}
	if top := (book(flush(t, v))).highest(t)["member"]; top != 2 {
		t.Errorf("announced up to %d, want 2", top)
	}
	if err := v.Reconcile(nil); err == nil {
		t.Error("reconciled twice")
	}
}

// A reader beside a writer sees whole groups only, and never takes a write
// under way for damage.
func TestReadOnlyBesideAWriter(t *testing.T) {
	c := config(t.TempDir(), disk.OS{})
	ro := c
	ro.ReadOnly = true
	if _, err := vault.Open(ro); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("reading a vault that is not there: %v", err)
	}
	w := open(t, c)
	r := open(t, ro)
	done := make(chan error)
	go func() {
		for i := range 300 {
			for j := range 1 + i%37 {
				w.Space("member").OfInt(int64(i*100 + j))
			}
			if _, err := w.Flush(); err != nil {
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
		if err := r.Refresh(); err != nil {
			t.Fatal(err)
		}
	}
	s := r.Space("member")
	if s.Len() != w.Space("member").Len() {
		t.Errorf("the reader sees %d, the writer %d", s.Len(), w.Space("member").Len())
	}
	for ord := uint32(1); int(ord) <= s.Len(); ord++ {
		got, _ := s.Key(ord)
		if want, _ := w.Space("member").Key(ord); got != want {
			t.Fatalf("%d is %q to the reader and %q to the writer", ord, got, want)
		}
	}
	if s.OfInt(-7) != 0 {
		t.Error("a reader assigned an ordinal")
	}
	if _, err := r.WriteRoster("member", schema, each(nil), nil); !errors.Is(err, vault.ErrReadOnly) {
		t.Error(err)
	}
}

// The files hold no key and no value in the clear, and nobody else may read
// them.
func TestNothingInTheClear(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "vault")
	v := open(t, config(dir, disk.OS{}))
	planted := []string{"4971036215", "sato.hanako@example.jp", "佐藤花子", "ナリタ提携会社"}
	v.Space("member").OfInt(4971036215)
	v.Space("member").OfText([]byte(planted[2]))
	rows := []vault.RosterRow{{
		Key: "77", Labels: []string{planted[3], "JP"}, Dates: []int32{1}, Match: []string{planted[1], ""},
	}}
	writeRoster(t, v, rows)
	flush(t, v)
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
		if e.IsDir() {
			return nil
		}
		b, err := os.ReadFile(name)
		for _, p := range planted {
			if bytes.Contains(b, []byte(p)) {
				t.Errorf("%s holds %q", name, p)
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// The order of what is done to the disk is a promise too.
func TestSideEffects(t *testing.T) {
	d := disk.NewForgetful(1)
	var log strings.Builder
	d.Trace = func(line string) { fmt.Fprintln(&log, line) }
	v := open(t, config("/v", d))
	fmt.Fprintln(&log, "-- a first assignment")
	v.Space("member").OfInt(1)
	flush(t, v)
	fmt.Fprintln(&log, "-- two more")
	v.Space("member").OfInt(2)
	v.Space("staff").OfText([]byte("a"))
	flush(t, v)
	fmt.Fprintln(&log, "-- a roster with a new member")
	writeRoster(t, v, people(7, 8))
	fmt.Fprintln(&log, "-- its commitment")
	flush(t, v)
	v.Close()
	golden(t, "side_effects.txt", log.String())
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	name = filepath.Join("testdata", name)
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil && err != io.EOF {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s (UPDATE_GOLDEN=1 writes it anew):\n%s", name, got)
	}
}
