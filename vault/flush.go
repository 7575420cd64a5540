package vault

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"os"
	"slices"

	"sekisho"
)

// runAt says where a run of durable ordinals is.
type runAt struct {
	first, count uint32
	group        int64 // the group's place in the file
}

// Unsettled: Flush would have something to write.
func (v *Vault) Unsettled() bool { return v.unsettled.Load() != 0 }

// Flush makes every assignment that was given out before the call durable,
// and returns the commitments to those that became durable since the last
// Flush: at most one sekisho.Assigned for each space and group of the file,
// ascending within a space. The caller puts them in the ledger no later than
// the first entry that uses one of the ordinals, and keeps them until it has.
//
// With nothing new it is one atomic load. After a crash between Flush and the
// ledger's write, Reconcile brings the commitments back. If the disk is full
// (syscall.ENOSPC) nothing is lost and a later Flush may succeed; after
// another failed write or sync every Flush is ErrFailed until the vault is
// opened again.
func (v *Vault) Flush() ([]sekisho.Body, error) {
	if v.unsettled.Load() == 0 {
		return nil, nil
	}
	v.write.Lock()
	defer v.write.Unlock()
	if err := v.persist(); err != nil {
		return nil, fmt.Errorf("flushing the vault: %w", err)
	}
	bodies := v.announce
	v.announce = nil
	for _, b := range bodies {
		v.unsettled.Add(-int64(b.(*sekisho.Assigned).Count))
	}
	return bodies, nil
}

// persist writes and syncs what is assigned. It holds v.write. Should it fail
// half-way, the groups that were synced stay, and are announced by the next
// Flush.
func (v *Vault) persist() error {
	switch {
	case v.failed != nil:
		return v.failed
	case v.cfg.ReadOnly:
		return ErrReadOnly
	case v.recovered && !v.reconciled:
		return ErrNotReconciled
	}
	var fresh uint64
	for _, s := range v.allSpaces() {
		fresh += uint64(s.count.Load() - s.durable)
	}
	if fresh == 0 {
		return nil
	}
	w := &v.group
	w.reset()
	if err := v.drawKeys(fresh); err != nil {
		return err
	}
	for _, s := range v.allSpaces() {
		// What is assigned meanwhile waits for the next Flush: its key is not drawn.
		last := s.count.Load()
		if more := uint64(last - s.durable); more > fresh {
			last = s.durable + uint32(fresh)
		}
		fresh -= uint64(last - s.durable)
		for ord, begun := s.durable+1, false; ord <= last && ord != 0; ord++ {
			if !begun {
				w.begin(s, ord)
				begun = true
			}
			w.add()
			if w.full() {
				if err := v.commit(); err != nil {
					return err
				}
				w.reset()
				begun = false
			}
		}
	}
	if w.rows == 0 {
		return nil
	}
	return v.commit()
}

// commit writes the group and syncs it. When it returns nil the group's
// assignments are durable; after a crash before that they are all there or
// all gone.
func (v *Vault) commit() error {
	if v.torn {
		// Zeros first, so that no byte of the torn group is left behind the next.
		if err := v.clear(); err != nil {
			return v.fail("clearing an incomplete group", err)
		}
	}
	b := v.group.finish(v.seq + 1)
	if err := v.makeRoom(v.end + int64(len(b))); err != nil {
		return fmt.Errorf("making room for %d bytes in the vault file: %w", len(b), err)
	}
	if _, err := v.file.WriteAt(b, v.end); err != nil {
		return v.fail("writing", err)
	}
	if err := v.file.Sync(); err != nil {
		return v.fail("syncing", err)
	}
	for i := range v.group.runs {
		r := &v.group.runs[i]
		r.space.addRun(runAt{r.first, r.count, v.end})
		r.space.durable += r.count
		v.announce = append(v.announce, &sekisho.Assigned{
			Space: r.space.name, First: r.first, Count: r.count, Root: r.tree.root()})
	}
	v.end += int64(len(b))
	v.seq++
	return nil
}

func (v *Vault) fail(doing string, err error) error {
	v.failed = fmt.Errorf("%w: %s the vault file: %w", ErrFailed, doing, err)
	return v.failed
}

func (v *Vault) clear() error {
	if err := v.file.Truncate(v.end); err != nil {
		return err
	}
	v.size = v.end
	if err := v.file.Sync(); err != nil {
		return err
	}
	v.torn = false
	return nil
}

// makeRoom allocates the file ahead, so that most groups do not change its
// size. It fails before anything is written.
func (v *Vault) makeRoom(need int64) error {
	if need <= v.size {
		return nil
	}
	ahead := (need + min(max(need/8, 256<<10), 4<<20)) &^ 4095
	if err := v.file.Allocate(ahead); err != nil {
		if err := v.file.Allocate(need); err != nil {
			return err
		}
		ahead = need
	}
	v.size = ahead
	return nil
}

func (s *Space) addRun(r runAt) {
	s.runsMu.Lock()
	s.runs = append(s.runs, r)
	s.runsMu.Unlock()
}

// Reconcile compares the vault with the ledger: highest is, for each space,
// the highest ordinal that an Assigned entry covers. It fails if the vault
// lacks one of them: it was lost, damaged at its end, or put back from an
// older copy, and nothing may be served with it. Assignments that the vault
// has and the ledger has not, because of a crash between the two, are
// announced by the next Flush.
//
// It must be called once after Open, when the ledger was read and before
// anything is assigned: a vault that was not empty refuses to Flush before.
func (v *Vault) Reconcile(highest map[string]uint32) error {
	v.write.Lock()
	defer v.write.Unlock()
	if v.reconciled {
		return errors.New("reconciling the vault with the ledger: this was done before")
	}
	for name, top := range highest {
		if name == "" || len(name) > maxName {
			return fmt.Errorf("reconciling the vault with the ledger: the ledger has a space with a name of %d bytes", len(name))
		}
		if has := v.Space(name).recoveredTop(); has < top {
			return fmt.Errorf("reconciling the vault with the ledger: %w: the ledger knows %q up to %d, the vault only up to %d; put back the vault that belongs to this ledger",
				ErrDamaged, name, top, has)
		}
	}
	for _, s := range v.allSpaces() {
		for _, r := range s.runsAfter(highest[s.name]) {
			root, err := v.rootOf(s, r.first, r.count)
			if err != nil {
				return fmt.Errorf("reconciling the vault with the ledger: %w", err)
			}
			v.announce = append(v.announce, &sekisho.Assigned{Space: s.name, First: r.first, Count: r.count, Root: root})
			v.unsettled.Add(int64(r.count))
		}
	}
	v.reconciled = true
	return nil
}

// recoveredTop is what Reconcile may compare: a vault that was new at Open
// may have flushed assignments of its own since.
func (s *Space) recoveredTop() uint32 {
	if s.v.recovered {
		return s.recovered
	}
	return s.durable
}

// runsAfter is the recovered runs after the ordinal top, the first one cut to
// what lies after it.
func (s *Space) runsAfter(top uint32) []runAt {
	s.runsMu.Lock()
	defer s.runsMu.Unlock()
	var after []runAt
	for _, r := range s.runs {
		if last := r.first + (r.count - 1); last <= top || r.first > s.recovered {
			continue
		}
		if r.first <= top {
			r.count -= top + 1 - r.first
			r.first = top + 1
		}
		after = append(after, r)
	}
	return after
}

// Check says whether the vault holds, for count ordinals from first on, the
// very keys and salts that root commits to. It reads the file, not the memory.
func (v *Vault) Check(space string, first, count uint32, root [32]byte) error {
	return v.settled(func() (bool, error) { return false, v.check(space, first, count, root) })
}

func (v *Vault) check(space string, first, count uint32, root [32]byte) error {
	v.mu.RLock()
	s := v.spaces[space]
	v.mu.RUnlock()
	if s == nil {
		return fmt.Errorf("checking the vault: %w: it has no space %q", ErrDamaged, space)
	}
	got, err := v.rootOf(s, first, count)
	if err != nil {
		return fmt.Errorf("checking the vault: %w", err)
	}
	if subtle.ConstantTimeCompare(got[:], root[:]) != 1 {
		return fmt.Errorf("checking the vault: %w: the keys of %q %d to %d are not those that the ledger commits to",
			ErrDamaged, space, first, first+(count-1))
	}
	return nil
}

// rootOf computes the root over durable ordinals from the file.
func (v *Vault) rootOf(s *Space, first, count uint32) ([32]byte, error) {
	s.runsMu.Lock()
	runs := s.runs // only ever appended to
	s.runsMu.Unlock()

	last := uint64(first) + uint64(count) - 1
	var have uint64
	if n := len(runs); n > 0 {
		have = uint64(runs[n-1].first) + uint64(runs[n-1].count) - 1
	}
	if first == 0 || count == 0 || last > have {
		return [32]byte{}, fmt.Errorf("%w: %q %d to %d asked for, %d there", ErrDamaged, s.name, first, last, have)
	}
	i, _ := slices.BinarySearchFunc(runs, first, func(r runAt, first uint32) int {
		if r.first+(r.count-1) < first {
			return -1
		}
		return 1
	})
	var tree merkle
	var tmp []byte
	for ; i < len(runs) && uint64(runs[i].first) <= last; i++ {
		opened, err := v.readRun(s, runs[i])
		if err != nil {
			return [32]byte{}, err
		}
		opened.each(func(one *row) {
			if one.ord >= first && uint64(one.ord) <= last {
				var leaf [32]byte
				leaf, tmp = one.commitment(tmp)
				tree.add(leaf[:])
			}
		})
	}
	if tree.n != uint64(count) {
		return [32]byte{}, fmt.Errorf("%w: %q %d to %d: %d rows found", ErrDamaged, s.name, first, last, tree.n)
	}
	return tree.root(), nil
}

func (v *Vault) readRun(s *Space, at runAt) (run, error) {
	var head [groupHeader]byte
	if _, err := v.file.ReadAt(head[:], at.group); err != nil {
		return run{}, err
	}
	g, ok := readGroup(head[:])
	if !ok {
		return run{}, fmt.Errorf("%w: no group at byte %d", ErrDamaged, at.group)
	}
	b := make([]byte, g.length())
	if _, err := v.file.ReadAt(b, at.group); err != nil {
		return run{}, err
	}
	aead, err := v.keys.rows(g.epoch)
	if err != nil {
		return run{}, err
	}
	runs, err := g.open(aead, b)
	if err != nil {
		return run{}, err
	}
	for _, r := range runs {
		if r.space == s.name && r.first <= at.first && at.first-r.first < r.count {
			return r, r.unmask(v.slots)
		}
	}
	return run{}, fmt.Errorf("%w: the group at byte %d has no %q %d", ErrDamaged, at.group, s.name, at.first)
}

// Refresh takes in what another process has flushed since Open or the last
// Refresh. For a vault open to read only. What was erased since stays readable
// until it is opened again.
func (v *Vault) Refresh() error {
	if !v.cfg.ReadOnly {
		return nil
	}
	v.write.Lock()
	defer v.write.Unlock()
	if v.file == nil {
		return os.ErrClosed
	}
	if v.records.file == nil { // a vault of before, that another process opened meanwhile
		if err := v.openKeys(); err != nil {
			return fmt.Errorf("refreshing the vault in %s: %w", v.cfg.Dir, err)
		}
	}
	if err := v.follow(); err != nil {
		return fmt.Errorf("refreshing the vault in %s: %w", v.cfg.Dir, err)
	}
	return nil
}
