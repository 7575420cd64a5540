package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sort"
	"sync"
	"syscall"
)

// ErrCrashed is what everything opened before Crash answers after it.
var ErrCrashed = errors.New("the machine has crashed")

// sector is what a disk writes whole or not at all.
const sector = 512

// Fault is what becomes of one operation.
type Fault struct {
	Err      error // nil: nothing unusual
	Happened bool  // the operation took effect and only its answer was lost; else it took none, or, for a write, a part
}

// Forgetful is a disk in memory that keeps to the contract of FS and to
// nothing beyond it. Until Crash it behaves like any file system; Crash leaves
// of everything unsynced what chance leaves of it. Directories themselves are
// not forgotten. Safe for concurrent use.
type Forgetful struct {
	// Inject, if set, is asked before every operation that changes something
	// or makes it durable: "create", "allocate", "write", "truncate", "sync",
	// "syncdir", "rename", "remove", with the file's base name. It is called
	// with the disk locked and must not call it. Set it before the disk is used
	// by another goroutine.
	Inject func(op, name string) Fault
	// Trace, if set, is told every such operation that took effect, in order,
	// as one line of text. Called as Inject is.
	Trace func(line string)

	mu    sync.Mutex
	rng   *rand.Rand
	life  int // how often the machine crashed
	now   map[string]*inode
	safe  map[string]*inode // the names as they are on the platter
	moves []move            // name changes that no SyncDir covers, in order
	dirs  map[string]bool
	locks map[string]bool
	room  int64 // bytes that files may hold in all; below 0: no limit
}

// A move is one change of names: what a crash keeps or loses as one.
type move struct {
	dir      string
	from, to string // either may be empty
	node     *inode
}

type inode struct {
	name       string             // as it is called now
	data, safe []byte             // as read now; as on the platter
	dirty      map[int64][][]byte // the contents that a sector has had since it was last synced
	lost       map[int64][][]byte // the same, of a sync that failed: a later one no longer covers them
	sizes      []int              // the sizes that the file has had since
}

// NewForgetful gives an empty disk. One seed forgets the same things each time
// that the same is done to it.
func NewForgetful(seed uint64) *Forgetful {
	return &Forgetful{
		rng:   rand.New(rand.NewPCG(seed, 0x5e)),
		now:   map[string]*inode{},
		safe:  map[string]*inode{},
		dirs:  map[string]bool{},
		locks: map[string]bool{},
		room:  -1,
	}
}

// Room limits what the files may hold in all; below 0 lifts the limit.
func (d *Forgetful) Room(bytes int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.room = bytes
}

// Crash stops the machine and starts it again. Open files and locks are gone,
// and everything that was not synced is there, or not, or in part.
func (d *Forgetful) Crash() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.life++
	d.locks = map[string]bool{}
	for _, m := range d.moves {
		if d.rng.IntN(2) == 0 {
			m.apply(d.safe)
		}
	}
	d.moves = nil
	d.now = map[string]*inode{}
	names := make([]string, 0, len(d.safe))
	for name := range d.safe {
		names = append(names, name)
	}
	sort.Strings(names) // so that a seed means the same each time
	for _, name := range names {
		n := d.safe[name]
		n.name = name
		n.forget(d.rng)
		d.now[name] = n
	}
}

func (m move) apply(names map[string]*inode) {
	if m.from != "" {
		delete(names, m.from)
	}
	if m.to != "" {
		names[m.to] = m.node
		m.node.name = m.to
	}
}

// forget lets chance decide, sector by sector, which of the contents since the
// last sync the platter holds.
func (n *inode) forget(rng *rand.Rand) {
	size := len(n.safe)
	if k := rng.IntN(len(n.sizes) + 1); k > 0 {
		size = n.sizes[k-1]
	}
	n.safe = resize(n.safe, size)
	n.abandon()
	n.dirty, n.lost = n.lost, nil
	sectors := make([]int64, 0, len(n.dirty))
	for s := range n.dirty {
		sectors = append(sectors, s)
	}
	sort.Slice(sectors, func(i, j int) bool { return sectors[i] < sectors[j] })
	for _, s := range sectors {
		had := n.dirty[s]
		if k := rng.IntN(len(had) + 1); k > 0 && s*sector < int64(size) {
			copy(n.safe[s*sector:], had[k-1])
		}
	}
	n.data = append([]byte(nil), n.safe...)
	n.dirty, n.sizes = nil, nil
}

// settle brings the platter up to what is read now.
func (n *inode) settle() {
	n.safe = resize(n.safe, len(n.data))
	for s := range n.dirty {
		if s*sector < int64(len(n.data)) {
			copy(n.safe[s*sector:], n.data[s*sector:min((s+1)*sector, int64(len(n.data)))])
		}
	}
	n.dirty, n.sizes = nil, nil
}

// abandon is a sync that failed: as a kernel does, it takes the contents for
// written, so that they still read back, and never writes them again.
func (n *inode) abandon() {
	if n.lost == nil {
		n.lost = map[int64][][]byte{}
	}
	for s, had := range n.dirty {
		n.lost[s] = append(n.lost[s], had...)
	}
	n.dirty = nil
}

func resize(b []byte, size int) []byte {
	if size <= len(b) {
		return b[:size:size]
	}
	return append(b[:len(b):len(b)], make([]byte, size-len(b))...)
}

// touch notes the contents of the sectors in [from, to) as ones that the
// platter may come to hold.
func (n *inode) touch(from, to int64) {
	if n.dirty == nil {
		n.dirty = map[int64][][]byte{}
	}
	for s := from / sector; s*sector < to; s++ {
		end := min((s+1)*sector, int64(len(n.data)))
		if s*sector >= end {
			break
		}
		n.dirty[s] = append(append(n.dirty[s], n.lost[s]...), append([]byte(nil), n.data[s*sector:end]...))
		delete(n.lost, s)
	}
}

// grow changes the size; what is new reads as zeros.
func (n *inode) grow(size int64) {
	old := int64(len(n.data))
	n.data = resize(n.data, int(size))
	n.sizes = append(n.sizes, int(size))
	if size > old {
		n.touch(old, size)
	}
}

// ask puts the operation to Inject. It returns the error to give and whether
// the operation is to be carried out.
func (d *Forgetful) ask(op, name string) (do bool, err error) {
	if d.Inject == nil {
		return true, nil
	}
	f := d.Inject(op, filepath.Base(name))
	if f.Err == nil {
		return true, nil
	}
	return f.Happened, &fs.PathError{Op: op, Path: name, Err: f.Err}
}

func (d *Forgetful) tell(format string, args ...any) {
	if d.Trace != nil {
		d.Trace(fmt.Sprintf(format, args...))
	}
}

// OpenFile knows O_CREATE, O_EXCL and O_TRUNC.
func (d *Forgetful) OpenFile(name string, flag int, _ uint32) (File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	name = filepath.Clean(name)
	n := d.now[name]
	switch {
	case n == nil && flag&os.O_CREATE == 0:
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	case n != nil && flag&(os.O_CREATE|os.O_EXCL) == os.O_CREATE|os.O_EXCL:
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrExist}
	case n == nil:
		do, err := d.ask("create", name)
		if do {
			n = &inode{}
			d.moveName(move{dir: filepath.Dir(name), to: name, node: n})
			d.tell("create %s", filepath.Base(name))
		}
		if err != nil {
			return nil, err
		}
	case flag&os.O_TRUNC != 0:
		do, err := d.ask("truncate", name)
		if do {
			n.grow(0)
			d.tell("truncate %s to 0", filepath.Base(name))
		}
		if err != nil {
			return nil, err
		}
	}
	return &forgetfulFile{d: d, n: n, name: name, life: d.life}, nil
}

func (d *Forgetful) moveName(m move) {
	m.apply(d.now)
	d.moves = append(d.moves, m)
}

func (d *Forgetful) Rename(from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	from, to = filepath.Clean(from), filepath.Clean(to)
	n := d.now[from]
	if n == nil {
		return &fs.PathError{Op: "rename", Path: from, Err: fs.ErrNotExist}
	}
	do, err := d.ask("rename", from)
	if do {
		d.moveName(move{dir: filepath.Dir(to), from: from, to: to, node: n})
		d.tell("rename %s to %s", filepath.Base(from), filepath.Base(to))
	}
	return err
}

func (d *Forgetful) Remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	name = filepath.Clean(name)
	if d.now[name] == nil {
		return &fs.PathError{Op: "remove", Path: name, Err: fs.ErrNotExist}
	}
	do, err := d.ask("remove", name)
	if do {
		d.moveName(move{dir: filepath.Dir(name), from: name})
		d.tell("remove %s", filepath.Base(name))
	}
	return err
}

func (d *Forgetful) List(dir string) ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	dir = filepath.Clean(dir)
	if !d.dirs[dir] {
		return nil, &fs.PathError{Op: "open", Path: dir, Err: fs.ErrNotExist}
	}
	var names []string
	for name := range d.now {
		if filepath.Dir(name) == dir {
			names = append(names, filepath.Base(name))
		}
	}
	sort.Strings(names)
	return names, nil
}

func (d *Forgetful) MkdirAll(dir string, _ uint32) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for dir = filepath.Clean(dir); !d.dirs[dir]; dir = filepath.Dir(dir) {
		d.dirs[dir] = true
	}
	return nil
}

func (d *Forgetful) SyncDir(dir string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	dir = filepath.Clean(dir)
	do, err := d.ask("syncdir", dir)
	if do {
		var later []move
		for _, m := range d.moves {
			if m.dir == dir {
				m.apply(d.safe)
			} else {
				later = append(later, m)
			}
		}
		d.moves = later
		d.tell("syncdir %s", filepath.Base(dir))
	}
	return err
}

func (d *Forgetful) Lock(name string) (io.Closer, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	name = filepath.Clean(name)
	if d.locks[name] {
		return nil, fmt.Errorf("%s is locked by another process", name)
	}
	d.locks[name] = true
	return &forgetfulLock{d: d, name: name, life: d.life}, nil
}

type forgetfulLock struct {
	d    *Forgetful
	name string
	life int
}

func (l *forgetfulLock) Close() error {
	l.d.mu.Lock()
	defer l.d.mu.Unlock()
	if l.life == l.d.life {
		delete(l.d.locks, l.name)
	}
	return nil
}

type forgetfulFile struct {
	d    *Forgetful
	n    *inode
	name string
	life int
	shut bool
}

// enter locks the disk and says whether the file may still be used.
func (f *forgetfulFile) enter(op string) error {
	f.d.mu.Lock()
	switch {
	case f.life != f.d.life:
		return &fs.PathError{Op: op, Path: f.name, Err: ErrCrashed}
	case f.shut:
		return &fs.PathError{Op: op, Path: f.name, Err: fs.ErrClosed}
	}
	return nil
}

func (f *forgetfulFile) base() string { return filepath.Base(f.n.name) }

func (f *forgetfulFile) ReadAt(p []byte, off int64) (int, error) {
	err := f.enter("read")
	defer f.d.mu.Unlock()
	if err != nil {
		return 0, err
	}
	if off >= int64(len(f.n.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.n.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *forgetfulFile) WriteAt(p []byte, off int64) (int, error) {
	err := f.enter("write")
	defer f.d.mu.Unlock()
	if err != nil {
		return 0, err
	}
	if grows := off + int64(len(p)) - int64(len(f.n.data)); grows > 0 && !f.d.fits(grows) {
		return 0, &fs.PathError{Op: "write", Path: f.name, Err: syscall.ENOSPC}
	}
	do, err := f.d.ask("write", f.n.name)
	if !do {
		p = p[:f.d.rng.IntN(len(p)+1)] // a part of it, to the byte, may have got through
	}
	if len(p) > 0 {
		end := off + int64(len(p))
		if end > int64(len(f.n.data)) {
			f.n.grow(end)
		}
		copy(f.n.data[off:], p)
		f.n.touch(off, end)
	}
	if err != nil {
		return 0, err
	}
	f.d.tell("write %s %d bytes at %d", f.base(), len(p), off)
	return len(p), nil
}

func (d *Forgetful) fits(more int64) bool {
	if d.room < 0 {
		return true
	}
	for _, n := range d.now {
		more += int64(len(n.data))
	}
	return more <= d.room
}

func (f *forgetfulFile) Close() error {
	err := f.enter("close")
	defer f.d.mu.Unlock()
	f.shut = true
	return err
}

func (f *forgetfulFile) Size() (int64, error) {
	err := f.enter("stat")
	defer f.d.mu.Unlock()
	return int64(len(f.n.data)), err
}

func (f *forgetfulFile) Truncate(size int64) error {
	err := f.enter("truncate")
	defer f.d.mu.Unlock()
	if err != nil {
		return err
	}
	do, err := f.d.ask("truncate", f.n.name)
	if do {
		f.n.grow(size)
		f.d.tell("truncate %s to %d", f.base(), size)
	}
	return err
}

func (f *forgetfulFile) Allocate(size int64) error {
	err := f.enter("allocate")
	defer f.d.mu.Unlock()
	if err != nil {
		return err
	}
	more := size - int64(len(f.n.data))
	if more <= 0 {
		return nil
	}
	if !f.d.fits(more) {
		return &fs.PathError{Op: "allocate", Path: f.name, Err: syscall.ENOSPC}
	}
	do, err := f.d.ask("allocate", f.n.name)
	if do {
		f.n.grow(size)
		f.d.tell("allocate %s to %d", f.base(), size)
	}
	return err
}

// Start does nothing: an unsynced write may be there after a crash or not.
func (f *forgetfulFile) Start(off, n int64) {}

func (f *forgetfulFile) Sync() error {
	err := f.enter("sync")
	defer f.d.mu.Unlock()
	if err != nil {
		return err
	}
	do, err := f.d.ask("sync", f.n.name)
	if do {
		f.n.settle()
		f.d.tell("sync %s", f.base())
	} else {
		f.n.abandon()
	}
	return err
}
