package vault

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"

	"sekisho/disk"
)

// The file "erasing" holds what an erasure overwrites, before it does: after a
// crash the next Open finishes it. It holds commitments, and nothing of what is
// erased. Numbers little-endian:
//
//	0  "sekisho erasing\n"
//	16 the vault's id
//	32 number of overwrites, 4 bytes; then each: which file (1: the vault file,
//	   2: the record keys), 1 byte; place, 8 bytes; length, 4 bytes; the bytes
//	   CRC-32C of all bytes before
const (
	erasingName  = "erasing"
	erasingMagic = "sekisho erasing\n"
	inVault      = 1
	inKeys       = 2
)

// overwrite is some bytes of one of the two files.
type overwrite struct {
	file  byte
	at    int64
	bytes []byte
}

// Erase destroys the records of ordinals, for ever: their keys can be read
// neither from the vault's memory nor from its files when it returns nil, and
// the ledger's commitments still verify. Ordinals that are erased already are
// passed over. It returns how many were destroyed now.
//
// After a crash at any line, and once "erasing" is in place, the next Open
// finishes what was begun; before, nothing has happened. An error other than
// ErrDamaged at the beginning leaves the vault failed: open it again.
//
// What it cannot reach: copies of the vault's files that were made before, and
// what a disk keeps of overwritten blocks. Rosters are files of their own.
func (v *Vault) Erase(space string, ordinals []uint32) (int, error) {
	v.write.Lock()
	defer v.write.Unlock()
	n, err := v.erase(space, ordinals)
	if err != nil {
		return n, fmt.Errorf("erasing from the vault: %w", err)
	}
	return n, nil
}

func (v *Vault) erase(space string, ordinals []uint32) (int, error) {
	if err := v.persist(); err != nil { // their rows must be in the file
		return 0, err
	}
	v.mu.RLock()
	s := v.spaces[space]
	v.mu.RUnlock()
	if s == nil {
		return 0, fmt.Errorf("there is no space %q", space)
	}
	ordinals = slices.Compact(slices.Sorted(slices.Values(ordinals)))
	var all []overwrite
	var gone []uint32
	for i := 0; i < len(ordinals); {
		if ordinals[i] == 0 || ordinals[i] > s.durable {
			return 0, fmt.Errorf("%q has no %d", space, ordinals[i])
		}
		at, _ := s.runOf(ordinals[i])
		opened, err := v.readRun(s, at)
		if err != nil {
			return 0, err
		}
		opened.each(func(one *row) {
			if i == len(ordinals) || one.ord != ordinals[i] {
				return
			}
			i++
			gone = append(gone, one.ord)
			if one.gone {
				return
			}
			leaf, _ := commitment(one.salt, one.key, nil)
			if opened.slot != 0 {
				slot := opened.slot + uint64(one.ord-opened.first)
				all = append(all, overwrite{inKeys, slotAt(slot), makeSlot(slot, slotGone, leaf[:])})
				return
			}
			b := binary.AppendUvarint(nil, uint64(saltLen+len(one.key)+tagLen)<<1|erasedBit)
			b = append(b, leaf[:]...)
			all = append(all, overwrite{inVault, at.group + int64(one.at), append(b, make([]byte, one.size-len(b))...)})
		})
	}
	if len(all) > 0 {
		if err := v.overwriteAll(all); err != nil {
			return 0, err
		}
	}
	for _, ord := range gone {
		s.forget(ord)
	}
	return len(all), nil
}

// runOf finds the durable run that an ordinal is in.
func (s *Space) runOf(ord uint32) (runAt, bool) {
	s.runsMu.Lock()
	defer s.runsMu.Unlock()
	i, ok := slices.BinarySearchFunc(s.runs, ord, func(r runAt, ord uint32) int {
		switch {
		case r.first+(r.count-1) < ord:
			return -1
		case r.first > ord:
			return 1
		}
		return 0
	})
	if !ok {
		return runAt{}, false
	}
	return s.runs[i], true
}

// overwriteAll makes overwrites durable, all or, after a crash, none.
func (v *Vault) overwriteAll(all []overwrite) error {
	name := filepath.Join(v.cfg.Dir, erasingName)
	b := erasing(v.id, all)
	f, err := v.cfg.FS.OpenFile(name+".new", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(b, 0)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err != nil {
		return fmt.Errorf("writing down what is to be erased: %w", err)
	}
	if err := v.cfg.FS.Rename(name+".new", name); err != nil {
		return v.fail("beginning to erase from", err)
	}
	if err := v.cfg.FS.SyncDir(v.cfg.Dir); err != nil {
		return v.fail("beginning to erase from", err)
	}
	// From here on it happens, whatever ends this process.
	if err := apply(all, v.file, v.records.file); err != nil {
		return v.fail("erasing from", err)
	}
	if err := v.endErasing(); err != nil {
		return v.fail("erasing from", err)
	}
	return nil
}

// erasing is the bytes of the file "erasing".
func erasing(id [idLen]byte, all []overwrite) []byte {
	b := append([]byte(erasingMagic), id[:]...)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(all)))
	for _, o := range all {
		b = append(b, o.file)
		b = binary.LittleEndian.AppendUint64(b, uint64(o.at))
		b = binary.LittleEndian.AppendUint32(b, uint32(len(o.bytes)))
		b = append(b, o.bytes...)
	}
	return binary.LittleEndian.AppendUint32(b, crc(b))
}

func apply(all []overwrite, file, keys disk.File) error {
	for _, o := range all {
		f := file
		if o.file == inKeys {
			f = keys
		}
		if f == nil {
			return fmt.Errorf("%w: there is no file of record keys", errRecordKey)
		}
		if size, err := f.Size(); err != nil {
			return err
		} else if o.at < fileHeader || o.at+int64(len(o.bytes)) > size {
			return fmt.Errorf("%w: an overwrite at byte %d of a file of %d", ErrDamaged, o.at, size)
		}
		if _, err := f.WriteAt(o.bytes, o.at); err != nil {
			return err
		}
	}
	for _, f := range []disk.File{file, keys} {
		if f != nil {
			if err := f.Sync(); err != nil {
				return err
			}
		}
	}
	return nil
}

// endErasing takes the file away once everything in it is durable.
func (v *Vault) endErasing() error {
	if err := v.cfg.FS.Remove(filepath.Join(v.cfg.Dir, erasingName)); err != nil {
		return err
	}
	return v.cfg.FS.SyncDir(v.cfg.Dir)
}

// finishErasing does again what a crash may have interrupted, before the vault
// is read.
func (v *Vault) finishErasing() error {
	all, err := v.begunErasing()
	if err != nil || all == nil {
		return err
	}
	keys, err := v.cfg.FS.OpenFile(filepath.Join(v.cfg.Dir, keysName), os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		keys = nil
	} else if err != nil {
		return err
	}
	// Whoever began it may have died, or failed, before the name was durable. A
	// crash that took it away in the midst of the overwriting would leave half of
	// it, and nothing to finish it by.
	if err = v.cfg.FS.SyncDir(v.cfg.Dir); err == nil {
		err = apply(all, v.file, keys)
	}
	if keys != nil {
		err = errors.Join(err, keys.Close())
	}
	if err != nil {
		return fmt.Errorf("finishing an erasure that a crash interrupted: %w", err)
	}
	v.log.Warn("an erasure that a crash interrupted is finished", "records", len(all))
	return v.endErasing()
}

// begunErasing is what an erasure overwrites that was begun and not ended; nil if
// there is none.
func (v *Vault) begunErasing() ([]overwrite, error) {
	f, err := v.cfg.FS.OpenFile(filepath.Join(v.cfg.Dir, erasingName), os.O_RDONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	size, err := f.Size()
	var b []byte
	if err == nil {
		b = make([]byte, size)
		_, err = f.ReadAt(b, 0)
	}
	f.Close()
	if err != nil {
		return nil, fmt.Errorf("reading what is to be erased: %w", err)
	}
	return readErasing(b, v.id)
}

// foresee has a reader, who may finish nothing, read the files as they will be
// when the erasure that was begun has ended: after a crash, or beside a writer,
// some of its bytes are there and some not. What is erased stays so, so bytes
// that were foreseen are right for ever. False: none was begun that is not known.
func (v *Vault) foresee() (news bool, err error) {
	all, err := v.begunErasing()
	if err != nil || all == nil {
		return false, err
	}
	known := v.begun.Swap(&all)
	return known == nil || !slices.EqualFunc(*known, all, func(a, b overwrite) bool {
		return a.file == b.file && a.at == b.at && bytes.Equal(a.bytes, b.bytes)
	}), nil
}

// foreseen is a file of the vault as foresee has it read.
type foreseen struct {
	disk.File
	which byte
	v     *Vault
}

func (f *foreseen) ReadAt(b []byte, at int64) (int, error) {
	n, err := f.File.ReadAt(b, at)
	if begun := f.v.begun.Load(); begun != nil {
		for _, o := range *begun {
			from, to := max(o.at, at), min(o.at+int64(len(o.bytes)), at+int64(n))
			if o.file == f.which && from < to {
				copy(b[from-at:to-at], o.bytes[from-o.at:])
			}
		}
	}
	return n, err
}

// follow loads what a reader does not know yet.
func (v *Vault) follow() error {
	return v.settled(func() (bool, error) {
		err := v.load()
		return v.torn, err
	})
}

// How many erasures may come in between while a reader reads, and how often it
// reads again without seeing one: some begin and end meanwhile.
const mostErasures, unheard = 50, 5

// settled has a reader read again what looks damaged, or cut off: it may be in
// the midst of an erasure that began after the reader looked for one. It is so
// when it looks so in several readings in a row, with no other erasure begun.
func (v *Vault) settled(read func() (cutOff bool, err error)) error {
	cutOff, err := read()
	if !v.cfg.ReadOnly {
		return err
	}
	for tries, quiet := 0, 0; (cutOff || errors.Is(err, ErrDamaged)) && tries < mostErasures && quiet < unheard; tries++ {
		news, ferr := v.foresee()
		if ferr != nil {
			return ferr
		}
		if quiet++; news {
			quiet = 0
		}
		cutOff, err = read()
	}
	return err
}

func readErasing(b []byte, id [idLen]byte) (all []overwrite, err error) {
	bad := fmt.Errorf("%w: the file %q is none that this vault wrote", ErrDamaged, erasingName)
	if len(b) < 40 || string(b[:16]) != erasingMagic || [idLen]byte(b[16:]) != id ||
		binary.LittleEndian.Uint32(b[len(b)-4:]) != crc(b[:len(b)-4]) {
		return nil, bad
	}
	n, b := binary.LittleEndian.Uint32(b[32:]), b[36:len(b)-4]
	for range n {
		if len(b) < 13 || b[0] != inVault && b[0] != inKeys {
			return nil, bad
		}
		o := overwrite{file: b[0], at: int64(binary.LittleEndian.Uint64(b[1:]))}
		size := binary.LittleEndian.Uint32(b[9:])
		if b = b[13:]; uint64(size) > uint64(len(b)) || o.at < 0 {
			return nil, bad
		}
		o.bytes, b = b[:size], b[size:]
		all = append(all, o)
	}
	if len(b) > 0 {
		return nil, bad
	}
	return all, nil
}

// Erased says whether an ordinal was given out, and its key is destroyed.
func (s *Space) Erased(ord uint32) bool {
	if ord == 0 || ord > s.count.Load() {
		return false
	}
	i := ord & (pageSize - 1)
	return (*s.pages.Load())[ord>>pageBits].gone[i/64].Load()&(1<<(i%64)) != 0
}

// restoreGone gives the next ordinal to a record that was erased.
func (s *Space) restoreGone() {
	s.mu.Lock()
	defer s.mu.Unlock()
	ord := s.count.Load() + 1
	p, i := s.pageOf(ord), ord&(pageSize-1)
	p.text[i/64].Or(1 << (i % 64))
	p.gone[i/64].Or(1 << (i % 64))
	s.count.Store(ord)
}

// forget takes a key out of memory. Whoever reads beside it sees the tables of
// before or those of after: nothing that can be read is changed.
func (s *Space) forget(ord uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.Erased(ord) {
		return
	}
	old := (*s.pages.Load())[ord>>pageBits]
	i := ord & (pageSize - 1)
	fresh := &page{val: old.val}
	fresh.val[i] = 0
	for w := range old.text {
		fresh.text[w].Store(old.text[w].Load())
		fresh.gone[w].Store(old.gone[w].Load())
	}
	fresh.text[i/64].Or(1 << (i % 64))
	fresh.gone[i/64].Or(1 << (i % 64))
	pages := slices.Clone(*s.pages.Load())
	pages[ord>>pageBits] = fresh
	if val := old.val[i]; old.text[i/64].Load()&(1<<(i%64)) == 0 {
		s.forgetInt(int64(val), ord)
		s.pages.Store(&pages)
	} else {
		s.forgetSlot(val, ord)
		s.pages.Store(&pages) // before the text goes: see Space.Key
		s.forgetText(val)
	}
}

func (s *Space) forgetInt(key int64, ord uint32) {
	at := &s.ints[s.hashInt(key)>>(64-shardBits)]
	t := at.Load()
	fresh := &intTable{slots: make([]intSlot, len(t.slots))}
	for i := range t.slots {
		if o := t.slots[i].ord.Load(); o != 0 && o != ord {
			fresh.put(t.slots[i].key, s.hashInt(t.slots[i].key), o)
		}
	}
	at.Store(fresh)
}

func (s *Space) forgetSlot(place uint64, ord uint32) {
	at := &s.texts[maphash.Bytes(s.v.texts, s.textAt(place))>>(64-shardBits)]
	t := at.Load()
	fresh := &textTable{slots: make([]atomic.Uint64, len(t.slots))}
	for i := range t.slots {
		if slot := t.slots[i].Load(); slot != 0 && uint32(slot) != ord {
			fresh.put(uint32(slot>>32), uint32(slot))
		}
	}
	at.Store(fresh)
}

func (s *Space) forgetText(place uint64) {
	blocks := slices.Clone(*s.blocks.Load())
	b := slices.Clone(blocks[place>>32])
	n, w := binary.Uvarint(b[uint32(place):])
	clear(b[uint32(place)+uint32(w):][:n])
	blocks[place>>32] = b
	s.blocks.Store(&blocks)
}
