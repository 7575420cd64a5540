package disk

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sort"
	"syscall"

	"golang.org/x/sys/unix"
)

// OS is the operating system's file system.
type OS struct{}

// OpenFile is os.OpenFile.
func (OS) OpenFile(name string, flag int, perm uint32) (File, error) {
	f, err := os.OpenFile(name, flag|syscall.O_CLOEXEC, os.FileMode(perm))
	if err != nil {
		return nil, err
	}
	return &osFile{f: f, fd: int(f.Fd())}, nil
}

func (OS) Rename(from, to string) error           { return os.Rename(from, to) }
func (OS) Remove(name string) error               { return os.Remove(name) }
func (OS) MkdirAll(dir string, perm uint32) error { return os.MkdirAll(dir, os.FileMode(perm)) }

// List gives the names in dir, sorted.
func (OS) List(dir string) ([]string, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	sort.Strings(names)
	return names, err
}

// SyncDir makes the names in dir durable.
func (OS) SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	return errors.Join(err, d.Close())
}

// Lock takes a flock(2). It belongs to the open file, so that a second Lock in
// the same process fails too, and it dies with the process.
func (OS) Lock(name string) (io.Closer, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := ignoringEINTR(func() error {
		return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	}); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%s is locked by another process", name)
		}
		return nil, &os.PathError{Op: "flock", Path: name, Err: err}
	}
	return f, nil
}

type osFile struct {
	f  *os.File
	fd int // kept so that Sync does not go through the runtime's poller lock twice
}

func (f *osFile) ReadAt(p []byte, off int64) (int, error)  { return f.f.ReadAt(p, off) }
func (f *osFile) WriteAt(p []byte, off int64) (int, error) { return f.f.WriteAt(p, off) }
func (f *osFile) Close() error                             { return f.f.Close() }
func (f *osFile) Truncate(size int64) error                { return f.f.Truncate(size) }

func (f *osFile) Size() (int64, error) {
	st, err := f.f.Stat()
	if err != nil {
		return 0, err
	}
	return st.Size(), nil
}

// Start is sync_file_range with SYNC_FILE_RANGE_WRITE alone, which neither waits
// nor takes note of an error of writing back: that is left for fdatasync to
// find. A file system that does not know it loses the head start, no more.
func (f *osFile) Start(off, n int64) {
	_ = unix.SyncFileRange(f.fd, off, n, unix.SYNC_FILE_RANGE_WRITE)
}

func (f *osFile) Sync() error {
	if err := ignoringEINTR(func() error { return syscall.Fdatasync(f.fd) }); err != nil {
		return &os.PathError{Op: "fdatasync", Path: f.f.Name(), Err: err}
	}
	return nil
}

// zeros is how much Allocate writes at a time. Each piece is flushed before
// the next, so that a commit to another file never waits behind a whole
// segment's worth of dirty pages.
const zeros = 2 << 20

// Allocate reserves the blocks first, which is where a full disk shows, and
// then writes zeros over what is new: a reserved but never written block would
// cost the file system a journal commit at the first fdatasync after its first
// write.
func (f *osFile) Allocate(size int64) error {
	old, err := f.Size()
	if err != nil {
		return err
	}
	if size <= old {
		return nil
	}
	err = ignoringEINTR(func() error { return syscall.Fallocate(f.fd, 0, old, size-old) })
	if errors.Is(err, syscall.EOPNOTSUPP) {
		err = nil // then the zeros alone do it
	}
	piece := make([]byte, min(zeros, size-old))
	for at := old; err == nil && at < size; {
		n := min(int64(len(piece)), size-at)
		if _, err = f.f.WriteAt(piece[:n], at); err == nil {
			err = f.Sync()
		}
		at += n
	}
	if err != nil {
		return errors.Join(fmt.Errorf("allocating %d bytes for %s: %w", size, f.f.Name(), err), f.f.Truncate(old))
	}
	return nil
}

func ignoringEINTR(call func() error) error {
	for {
		if err := call(); err != syscall.EINTR {
			return err
		}
	}
}
