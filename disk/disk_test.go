package disk_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"sekisho/disk"
)

// Both implementations keep the same contract.
func TestContract(t *testing.T) {
	for name, d := range map[string]disk.FS{"OS": disk.OS{}, "Forgetful": disk.NewForgetful(1)} {
		t.Run(name, func(t *testing.T) { contract(t, d, filepath.Join(t.TempDir(), "a", "b")) })
	}
}

func contract(t *testing.T, d disk.FS, dir string) {
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ok(d.MkdirAll(dir, 0o700))
	ok(d.MkdirAll(dir, 0o700))
	one, two := filepath.Join(dir, "one"), filepath.Join(dir, "two")
	if _, err := d.OpenFile(one, os.O_RDWR, 0o600); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("opening what is not there: %v", err)
	}
	f, err := d.OpenFile(one, os.O_RDWR|os.O_CREATE, 0o600)
	ok(err)
	if _, err := d.OpenFile(one, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600); !errors.Is(err, fs.ErrExist) {
		t.Errorf("making what is there: %v", err)
	}
	ok(f.Allocate(3000))
	ok(f.Allocate(100)) // never shrinks
	n, err := f.WriteAt([]byte("hello"), 2990)
	if ok(err); n != 5 {
		t.Errorf("wrote %d bytes", n)
	}
	b := make([]byte, 20)
	if n, err := f.ReadAt(b, 2985); n != 15 || err != io.EOF || !bytes.Equal(b[:n], []byte("\x00\x00\x00\x00\x00hello\x00\x00\x00\x00\x00")) {
		t.Errorf("read %q, %v", b[:n], err)
	}
	ok(f.Sync())
	ok(f.Truncate(2992))
	ok(f.Truncate(2994)) // what comes back is zeros
	if n, err := f.ReadAt(b, 2990); n != 4 || err != io.EOF || string(b[:n]) != "he\x00\x00" {
		t.Errorf("read %q, %v", b[:n], err)
	}
	if size, err := f.Size(); size != 2994 || err != nil {
		t.Errorf("size %d, %v", size, err)
	}
	ok(d.Rename(one, two))
	ok(d.SyncDir(dir))
	if names, err := d.List(dir); err != nil || !slices.Equal(names, []string{"two"}) {
		t.Errorf("list %q, %v", names, err)
	}
	if _, err := f.WriteAt([]byte("j"), 2990); err != nil {
		t.Errorf("an open file after its renaming: %v", err)
	}
	ok(f.Close())
	if _, err := f.WriteAt([]byte("x"), 0); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("writing to a closed file: %v", err)
	}
	ok(d.Remove(two))
	if err := d.Remove(two); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("removing twice: %v", err)
	}
	lock, err := d.Lock(filepath.Join(dir, "lock"))
	ok(err)
	if _, err := d.Lock(filepath.Join(dir, "lock")); err == nil {
		t.Error("two hold the lock")
	}
	ok(lock.Close())
	lock, err = d.Lock(filepath.Join(dir, "lock"))
	ok(err)
	ok(lock.Close())
}

// What was synced is there after every crash. What was not is there after
// some, is gone after some, and is there in part after some, in sectors.
func TestForgetfulForgetsSectors(t *testing.T) {
	outcomes := map[string]int{}
	for seed := range uint64(200) {
		d := disk.NewForgetful(seed)
		d.MkdirAll("/d", 0o700)
		f, _ := d.OpenFile("/d/f", os.O_RDWR|os.O_CREATE, 0o600)
		f.Allocate(1024)
		f.WriteAt(bytes.Repeat([]byte("s"), 1024), 0)
		f.Sync()
		d.SyncDir("/d")
		f.WriteAt(bytes.Repeat([]byte("u"), 624), 400) // in both sectors
		d.Crash()
		if _, err := f.WriteAt([]byte("x"), 0); !errors.Is(err, disk.ErrCrashed) {
			t.Errorf("a file of before the crash: %v", err)
		}
		f, err := d.OpenFile("/d/f", os.O_RDONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 1024)
		if _, err := f.ReadAt(b, 0); err != nil {
			t.Fatal(err)
		}
		outcomes[string([]byte{b[0], b[399], b[400], b[511], b[512], b[1023]})]++
	}
	for _, want := range []string{"ssssss", "ssuuss", "ssssuu", "ssuuuu"} {
		if outcomes[want] == 0 {
			t.Errorf("%s never came out", want)
		}
		delete(outcomes, want)
	}
	if len(outcomes) > 0 {
		t.Errorf("what no disk does: %v", outcomes)
	}
}

// Without SyncDir a new name may be lost, or a removed one come back.
func TestForgetfulForgetsNames(t *testing.T) {
	var made, kept int
	for seed := range uint64(100) {
		d := disk.NewForgetful(seed)
		d.MkdirAll("/d", 0o700)
		d.OpenFile("/d/old", os.O_RDWR|os.O_CREATE, 0o600)
		d.SyncDir("/d")
		d.OpenFile("/d/new", os.O_RDWR|os.O_CREATE, 0o600)
		d.Remove("/d/old")
		d.Crash()
		names, _ := d.List("/d")
		if slices.Contains(names, "new") {
			made++
		}
		if slices.Contains(names, "old") {
			kept++
		}
	}
	if made == 0 || made == 100 || kept == 0 || kept == 100 {
		t.Errorf("of 100 crashes, the new name survived %d and the removed one %d", made, kept)
	}
}

// What a failed sync left out, a later one does not bring back.
func TestForgetfulSyncFailsOnce(t *testing.T) {
	lost := 0
	for seed := range uint64(50) {
		d := disk.NewForgetful(seed)
		d.MkdirAll("/d", 0o700)
		f, _ := d.OpenFile("/d/f", os.O_RDWR|os.O_CREATE, 0o600)
		f.Allocate(512)
		f.Sync()
		d.SyncDir("/d")
		f.WriteAt([]byte("x"), 0)
		d.Inject = func(string, string) disk.Fault { return disk.Fault{Err: syscall.EIO} }
		if err := f.Sync(); !errors.Is(err, syscall.EIO) {
			t.Fatal(err)
		}
		d.Inject = nil
		if err := f.Sync(); err != nil {
			t.Fatal(err)
		}
		d.Crash()
		f, _ = d.OpenFile("/d/f", os.O_RDONLY, 0)
		b := make([]byte, 1)
		f.ReadAt(b, 0)
		if b[0] == 0 {
			lost++
		}
	}
	if lost == 0 || lost == 50 {
		t.Errorf("lost in %d of 50 crashes", lost)
	}
}

func TestRoom(t *testing.T) {
	d := disk.NewForgetful(1)
	d.MkdirAll("/d", 0o700)
	d.Room(1000)
	f, _ := d.OpenFile("/d/f", os.O_RDWR|os.O_CREATE, 0o600)
	if err := f.Allocate(1001); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("allocate: %v", err)
	}
	if err := f.Allocate(1000); err != nil {
		t.Error(err)
	}
	if _, err := f.WriteAt([]byte("ab"), 999); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("write: %v", err)
	}
}
