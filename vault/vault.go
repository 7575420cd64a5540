// Package vault keeps who is behind an ordinal: the one place in the house
// where a customer, a member of staff or a statement text has a name. The
// ledger holds ordinals only.
//
// Everything is encrypted at rest under keys derived from Config.Key. An
// assignment is durable before the ledger group that first uses it, and the
// ledger holds a commitment to it (sekisho.Assigned), so that the map can
// neither be lost nor swapped unseen.
//
// The order at start is: Open, fold the ledger, Reconcile, serve.
package vault

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"sekisho"
	"sekisho/disk"
)

// Errors that a caller may want to tell apart. They come wrapped with the
// place and the reason.
var (
	// ErrDamaged: the vault's bytes are none that this program wrote.
	ErrDamaged = errors.New("the vault is damaged")
	// ErrKey: the vault was made with another key.
	ErrKey = errors.New("this is not the vault's key")
	// ErrFailed: a write or sync failed, so nothing is known of what the disk
	// holds. Open the vault again, as after a crash.
	ErrFailed = errors.New("the vault failed and must be opened again")
	// ErrNotReconciled: see Reconcile.
	ErrNotReconciled = errors.New("the vault was not reconciled with the ledger")
	// ErrReadOnly: the vault was opened to read only.
	ErrReadOnly = errors.New("the vault is open to read only")
)

// MaxKey is the most bytes that a key may have.
const MaxKey = 1 << 20

// Config says where the vault is.
type Config struct {
	Dir string // made if need be, for the owner alone
	FS  disk.FS
	Key [32]byte // from LoadOrMakeKey
	// ReadOnly takes no lock and writes nothing. It may be used beside a
	// process that writes; see Refresh.
	ReadOnly bool
	Log      *slog.Logger // slog.Default if nil
}

// Vault is an open vault. Its methods may be called from any goroutine.
type Vault struct {
	cfg  Config
	lock io.Closer // nil if read only
	file disk.File
	id   [idLen]byte
	keys keyring
	log  *slog.Logger

	seed  uint64 // of the hash of integer keys
	texts maphash.Seed

	mu     sync.RWMutex
	spaces map[string]*Space

	// unsettled counts the assignments that no Flush has announced yet. An
	// assignment is counted before anybody can see its ordinal, so that 0 means
	// that no entry can be waiting for one.
	unsettled atomic.Int64

	// The writer's state: one write at a time.
	write      sync.Mutex
	last       int64 // where the last group is, or the header if there is none
	end        int64 // where the next group goes
	size       int64 // of the file, allocated room included
	seq        uint64
	torn       bool // the bytes from end on are a torn group: clear them before the next write
	recovered  bool // the file held assignments when it was opened
	reconciled bool
	failed     error // set once a write or sync failed
	group      groupWriter
	records    recordKeys
	announce   []sekisho.Body // durable, not yet given out by Flush

	begun atomic.Pointer[[]overwrite] // of a reader: what an erasure overwrites that another process has begun

	rosters sync.Mutex         // one roster file is replaced at a time
	read    map[string]*Roster // guarded by rosters: those read so far
}

// Open opens the vault, making it if there is none. Unless ReadOnly is set it
// takes the directory's lock. A group of assignments that a crash left
// incomplete is dropped: nothing in a ledger can stand on it. (If it was
// complete once and is damaged now, Reconcile finds that.)
func Open(cfg Config) (*Vault, error) {
	if cfg.Key == [32]byte{} {
		return nil, errors.New("opening the vault: no key is set")
	}
	v := &Vault{cfg: cfg, log: cfg.Log, spaces: map[string]*Space{}, texts: maphash.MakeSeed()}
	if v.log == nil {
		v.log = slog.Default()
	}
	v.seed = maphash.Comparable(v.texts, 0)
	if err := v.open(); err != nil {
		v.Close()
		return nil, fmt.Errorf("opening the vault in %s: %w", cfg.Dir, err)
	}
	return v, nil
}

func (v *Vault) open() (err error) {
	fsys, name := v.cfg.FS, filepath.Join(v.cfg.Dir, "vault")
	if v.cfg.ReadOnly {
		if v.file, err = fsys.OpenFile(name, os.O_RDONLY, 0); err != nil {
			return err
		}
	} else {
		if err := fsys.MkdirAll(v.cfg.Dir, 0o700); err != nil {
			return err
		}
		if v.lock, err = fsys.Lock(filepath.Join(v.cfg.Dir, "lock")); err != nil {
			return fmt.Errorf("taking the lock (is another sekisho running?): %w", err)
		}
		v.file, err = fsys.OpenFile(name, os.O_RDWR, 0o600)
		if errors.Is(err, fs.ErrNotExist) {
			v.file, err = v.create(name)
		}
		if err != nil {
			return err
		}
	}
	var head [fileHeader]byte
	if _, err := v.file.ReadAt(head[:], 0); err == io.EOF {
		return fmt.Errorf("%w: it ends within its header", ErrDamaged)
	} else if err != nil {
		return err
	}
	if v.keys, err = readHeader(head[:], v.cfg.Key); err != nil {
		return err
	}
	v.id = [idLen]byte(head[16:])
	if v.cfg.ReadOnly {
		v.file = &foreseen{File: v.file, which: inVault, v: v}
		if _, err := v.foresee(); err != nil {
			return err
		}
	} else if err := v.finishErasing(); err != nil {
		return err
	}
	if err := v.openKeys(); err != nil {
		return err
	}
	v.end = fileHeader
	if v.cfg.ReadOnly {
		return v.follow()
	}
	if err := v.load(); err != nil {
		return err
	}
	// A process that was killed, or that a failed sync ended, leaves what this
	// one can read and a power cut can still take away: its last group, and the
	// file's name. The group is written again, because after a failed sync the
	// kernel takes it for written.
	last := make([]byte, v.end-v.last)
	if _, err := v.file.ReadAt(last, v.last); err != nil {
		return err
	}
	if _, err := v.file.WriteAt(last, v.last); err != nil {
		return err
	}
	if err := v.file.Sync(); err != nil {
		return err
	}
	for _, dir := range []string{v.cfg.Dir, filepath.Dir(v.cfg.Dir)} {
		if err := fsys.SyncDir(dir); err != nil {
			return err
		}
	}
	v.recovered = v.seq > 0
	if v.records.file == nil { // a vault of before, or a new one
		if err := v.createKeys(); err != nil {
			return err
		}
	}
	v.group.records = &v.records
	return v.group.init(v.keys)
}

// create makes the file under another name first, so that a file named
// "vault" always has a whole header.
func (v *Vault) create(name string) (disk.File, error) {
	fsys, fresh := v.cfg.FS, name+".new"
	f, err := fsys.OpenFile(fresh, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	var id [idLen]byte
	rand.Read(id[:])
	_, err = f.WriteAt(makeHeader(id, v.cfg.Key), 0)
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = fsys.Rename(fresh, name) // durable once open has synced the directory
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("making the vault file: %w", err)
	}
	return f, nil
}

// Close gives up the lock and the file. Assignments not yet flushed are lost,
// as in a crash.
func (v *Vault) Close() error {
	v.write.Lock()
	defer v.write.Unlock()
	var errs []error
	if v.file != nil {
		errs = append(errs, v.file.Close())
	}
	if v.records.file != nil {
		errs = append(errs, v.records.file.Close())
	}
	if v.lock != nil {
		errs = append(errs, v.lock.Close())
	}
	v.file, v.records.file, v.lock = nil, nil, nil
	if v.failed == nil {
		v.failed = errors.New("the vault is closed")
	}
	return errors.Join(errs...)
}

// Space gives the space of that name, which is made with its first ordinal.
// The name must have 1 to 255 bytes; it is no secret.
func (v *Vault) Space(name string) *Space {
	v.mu.RLock()
	s := v.spaces[name]
	v.mu.RUnlock()
	if s != nil {
		return s
	}
	if name == "" || len(name) > maxName {
		panic(fmt.Sprintf("vault: a space's name of %d bytes", len(name)))
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if s = v.spaces[name]; s == nil {
		s = newSpace(v, strings.Clone(name))
		v.spaces[s.name] = s
	}
	return s
}

// allSpaces is every space, in the order of names.
func (v *Vault) allSpaces() []*Space {
	v.mu.RLock()
	defer v.mu.RUnlock()
	all := make([]*Space, 0, len(v.spaces))
	for _, s := range v.spaces {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b *Space) int { return strings.Compare(a.name, b.name) })
	return all
}

// commitment is HMAC-SHA256(salt, key), the leaf of sekisho.Assigned's tree.
// scratch is used for its memory only.
func commitment(salt *[saltLen]byte, key, scratch []byte) ([32]byte, []byte) {
	const block = sha256.BlockSize
	var pad [block]byte
	copy(pad[:], salt[:])
	for i := range pad {
		pad[i] ^= 0x36
	}
	scratch = append(append(scratch[:0], pad[:]...), key...)
	inner := sha256.Sum256(scratch)
	var outer [block + sha256.Size]byte
	for i := range pad {
		outer[i] = pad[i] ^ 0x36 ^ 0x5c
	}
	copy(outer[block:], inner[:])
	return sha256.Sum256(outer[:]), scratch
}
