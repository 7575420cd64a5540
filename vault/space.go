package vault

import (
	"encoding/binary"
	"hash/maphash"
	"math"
	"math/bits"
	"strconv"
	"sync"
	"sync/atomic"
)

// Space numbers keys from 1 on, in the order in which they were first seen.
//
// Looking up a key that has an ordinal takes no lock: tables only ever gain
// slots, a slot is published by one atomic store of its ordinal after all that
// belongs to it, and a table that grows is replaced by a copy. Whoever finds
// nothing takes the lock and looks again.
type Space struct {
	v    *Vault
	name string

	// By key. Split into shards only to keep the pause of one growing short.
	ints  [shards]atomic.Pointer[intTable]
	texts [shards]atomic.Pointer[textTable]

	// By ordinal.
	count  atomic.Uint32 // the highest ordinal
	pages  atomic.Pointer[[]*page]
	blocks atomic.Pointer[[][]byte] // text keys, each after its length

	mu   sync.Mutex // for whoever assigns
	fill int        // bytes used in the last block

	// Under Vault.write:
	durable   uint32 // the highest ordinal that is synced
	recovered uint32 // the highest that was found when the vault was opened

	runsMu sync.Mutex
	runs   []runAt // where the durable ordinals are in the file, ascending
}

const (
	shardBits = 6
	shards    = 1 << shardBits
	pageBits  = 13
	pageSize  = 1 << pageBits
	blockSize = 256 << 10
)

// page is the keys of pageSize ordinals: an integer itself, or the block and
// place of a text.
type page struct {
	val  [pageSize]uint64
	text [pageSize / 64]atomic.Uint64 // bit set: val is a place
	gone [pageSize / 64]atomic.Uint64 // bit set: erased; then text is set too, and val is nothing
}

type intSlot struct {
	key int64
	ord atomic.Uint32 // 0: free. Stored after key
}

type intTable struct {
	slots []intSlot // a power of two
	used  int       // under Space.mu
}

// A text slot is 32 bits of the key's hash, then the ordinal; 0 is free.
type textTable struct {
	slots []atomic.Uint64
	used  int
}

func newSpace(v *Vault, name string) *Space {
	s := &Space{v: v, name: name}
	s.pages.Store(new([]*page))
	s.blocks.Store(new([][]byte))
	return s
}

// Name is the space's name.
func (s *Space) Name() string { return s.name }

// Len is the number of keys that have an ordinal: the highest ordinal.
func (s *Space) Len() int { return int(s.count.Load()) }

// OfInt gives the ordinal of the key with that decimal form, assigning the
// next one if it has none. An ordinal may be used in an entry at once: the
// Flush before the entry's group makes it durable. It is 0 if the vault is
// read only and the key unknown, or if the space is full.
func (s *Space) OfInt(key int64) uint32 {
	h := s.hashInt(key)
	if ord := s.ints[h>>(64-shardBits)].Load().find(key, h); ord != 0 {
		return ord
	}
	return s.assignInt(key, h)
}

// OfIntAfter is OfInt for a key that often is the next one after the key whose
// ordinal is before: rosters and tables are read in the same order again and
// again. A right guess costs no look into the table of keys, which for a
// million keys is a miss of every cache.
func (s *Space) OfIntAfter(key int64, before uint32) uint32 {
	// The count is published after the key that it counts.
	if ord := before + 1; before != 0 && ord != 0 && ord <= s.count.Load() {
		p, i := (*s.pages.Load())[ord>>pageBits], ord&(pageSize-1)
		if p.val[i] == uint64(key) && p.text[i/64].Load()&(1<<(i%64)) == 0 {
			return ord
		}
	}
	return s.OfInt(key)
}

// OfText is OfInt for a key in text form. "42" is the integer 42; "042" and
// "+42" are texts of their own. A key over MaxKey bytes has no ordinal: 0.
func (s *Space) OfText(key []byte) uint32 {
	if i, ok := canonicalInt(key); ok {
		return s.OfInt(i)
	}
	h := maphash.Bytes(s.v.texts, key)
	if ord := s.findText(key, h); ord != 0 {
		return ord
	}
	return s.assignText(key, h)
}

// Find gives the ordinal of a key if it has one.
func (s *Space) Find(key string) (uint32, bool) {
	b := []byte(key)
	var ord uint32
	if i, ok := canonicalInt(b); ok {
		ord = s.FindInt(i)
	} else {
		ord = s.findText(b, maphash.Bytes(s.v.texts, b))
	}
	return ord, ord != 0
}

// FindInt is Find for the key with that decimal form; 0 if it has no ordinal.
func (s *Space) FindInt(key int64) uint32 {
	h := s.hashInt(key)
	return s.ints[h>>(64-shardBits)].Load().find(key, h)
}

// Key gives the key of an ordinal; false if there is none, or it was erased.
func (s *Space) Key(ord uint32) (string, bool) {
	if ord == 0 || ord > s.count.Load() || s.Erased(ord) {
		return "", false
	}
	var room [20]byte
	key := string(s.appendKey(room[:0], ord))
	// An erasure shows in the page before it takes the text away: what was read
	// meanwhile may be neither.
	if s.Erased(ord) {
		return "", false
	}
	return key, true
}

// appendKey appends the key of an ordinal that exists.
func (s *Space) appendKey(dst []byte, ord uint32) []byte {
	p := (*s.pages.Load())[ord>>pageBits]
	i := ord & (pageSize - 1)
	if p.text[i/64].Load()&(1<<(i%64)) == 0 {
		return strconv.AppendInt(dst, int64(p.val[i]), 10)
	}
	return append(dst, s.textAt(p.val[i])...)
}

func (s *Space) textAt(place uint64) []byte {
	b := (*s.blocks.Load())[place>>32][uint32(place):]
	n, w := binary.Uvarint(b)
	return b[w : w+int(n)]
}

// hashInt mixes all bits of the key, starting from a number that a client
// cannot know, so that nobody can choose keys that collide.
func (s *Space) hashInt(key int64) uint64 {
	hi, lo := bits.Mul64(uint64(key)^s.v.seed, 0x9e3779b97f4a7c15)
	h := (hi ^ lo) * 0xd6e8feb86659fd93
	return h ^ h>>32
}

func (t *intTable) find(key int64, h uint64) uint32 {
	if t == nil {
		return 0
	}
	slots := t.slots
	for mask := uint64(len(slots) - 1); ; h++ {
		slot := &slots[h&mask]
		ord := slot.ord.Load()
		if ord == 0 || slot.key == key {
			return ord
		}
	}
}

func (t *intTable) put(key int64, h uint64, ord uint32) {
	for mask := uint64(len(t.slots) - 1); ; h++ {
		if slot := &t.slots[h&mask]; slot.ord.Load() == 0 {
			slot.key = key
			slot.ord.Store(ord)
			t.used++
			return
		}
	}
}

func (s *Space) findText(key []byte, h uint64) uint32 {
	t := s.texts[h>>(64-shardBits)].Load()
	if t == nil {
		return 0
	}
	mask := uint32(len(t.slots) - 1)
	for i := uint32(h); ; i++ {
		slot := t.slots[i&mask].Load()
		if slot == 0 {
			return 0
		}
		if uint32(slot>>32) == uint32(h) {
			ord := uint32(slot)
			p := (*s.pages.Load())[ord>>pageBits]
			if string(s.textAt(p.val[ord&(pageSize-1)])) == string(key) {
				return ord
			}
		}
	}
}

func (t *textTable) put(h uint32, ord uint32) {
	mask := uint32(len(t.slots) - 1)
	for i := h; ; i++ {
		if slot := &t.slots[i&mask]; slot.Load() == 0 {
			slot.Store(uint64(h)<<32 | uint64(ord))
			t.used++
			return
		}
	}
}

func (s *Space) assignInt(key int64, h uint64) uint32 {
	if s.v.cfg.ReadOnly {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if ord := s.ints[h>>(64-shardBits)].Load().find(key, h); ord != 0 {
		return ord
	}
	if s.count.Load() == math.MaxUint32 {
		return 0
	}
	s.v.unsettled.Add(1)
	return s.addInt(key, h)
}

func (s *Space) assignText(key []byte, h uint64) uint32 {
	if s.v.cfg.ReadOnly || len(key) > MaxKey {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if ord := s.findText(key, h); ord != 0 {
		return ord
	}
	if s.count.Load() == math.MaxUint32 {
		return 0
	}
	s.v.unsettled.Add(1)
	return s.addText(key, h)
}

// restore gives the next ordinal to a key read from the file. It reports
// false if the key has an ordinal already.
func (s *Space) restore(key []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i, ok := canonicalInt(key); ok {
		h := s.hashInt(i)
		if s.ints[h>>(64-shardBits)].Load().find(i, h) != 0 {
			return false
		}
		s.addInt(i, h)
		return true
	}
	h := maphash.Bytes(s.v.texts, key)
	if s.findText(key, h) != 0 {
		return false
	}
	s.addText(key, h)
	return true
}

// addInt publishes the count before the slot: who finds the ordinal can turn
// it back into its key, and a Flush after that takes it along.
func (s *Space) addInt(key int64, h uint64) uint32 {
	ord := s.count.Load() + 1
	s.pageOf(ord).val[ord&(pageSize-1)] = uint64(key)
	s.count.Store(ord)

	at := &s.ints[h>>(64-shardBits)]
	t := at.Load()
	if t == nil || t.used*4 >= len(t.slots)*3 {
		grown := &intTable{slots: make([]intSlot, 16)}
		if t != nil {
			grown.slots = make([]intSlot, 2*len(t.slots))
			for i := range t.slots {
				if o := t.slots[i].ord.Load(); o != 0 {
					grown.put(t.slots[i].key, s.hashInt(t.slots[i].key), o)
				}
			}
		}
		at.Store(grown)
		t = grown
	}
	t.put(key, h, ord)
	return ord
}

func (s *Space) addText(key []byte, h uint64) uint32 {
	ord := s.count.Load() + 1
	p, i := s.pageOf(ord), ord&(pageSize-1)
	p.val[i] = s.storeText(key)
	p.text[i/64].Or(1 << (i % 64))
	s.count.Store(ord)

	at := &s.texts[h>>(64-shardBits)]
	t := at.Load()
	if t == nil || t.used*4 >= len(t.slots)*3 {
		grown := &textTable{slots: make([]atomic.Uint64, 16)}
		if t != nil {
			grown.slots = make([]atomic.Uint64, 2*len(t.slots))
			for i := range t.slots {
				if slot := t.slots[i].Load(); slot != 0 {
					grown.put(uint32(slot>>32), uint32(slot))
				}
			}
		}
		at.Store(grown)
		t = grown
	}
	t.put(uint32(h), ord)
	return ord
}

func (s *Space) pageOf(ord uint32) *page {
	pages := *s.pages.Load()
	if int(ord>>pageBits) == len(pages) {
		pages = append(pages, new(page)) // readers of the shorter slice never look past its end
		s.pages.Store(&pages)
	}
	return pages[ord>>pageBits]
}

func (s *Space) storeText(key []byte) uint64 {
	need := binary.MaxVarintLen32 + len(key)
	blocks := *s.blocks.Load()
	if len(blocks) == 0 || s.fill+need > len(blocks[len(blocks)-1]) {
		// The first block of a space is small: most spaces are.
		size := blockSize
		if len(blocks) == 0 {
			size = 4 << 10
		}
		blocks = append(blocks, make([]byte, max(size, need)))
		s.blocks.Store(&blocks)
		s.fill = 0
	}
	last := len(blocks) - 1
	place := uint64(last)<<32 | uint64(s.fill)
	b := blocks[last][s.fill:]
	n := binary.PutUvarint(b, uint64(len(key)))
	s.fill += n + copy(b[n:], key)
	return place
}

// canonicalInt reads the one decimal form of an int64: no plus sign, no
// leading zero, no minus zero.
func canonicalInt(b []byte) (int64, bool) {
	digits := b
	negative := len(b) > 0 && b[0] == '-'
	if negative {
		digits = b[1:]
	}
	if len(digits) == 0 || len(digits) > 19 || digits[0] == '0' && (len(digits) > 1 || negative) {
		return 0, false
	}
	var n uint64
	for _, d := range digits {
		if d < '0' || d > '9' {
			return 0, false
		}
		n = n*10 + uint64(d-'0') // 19 digits fit in 64 bits
	}
	if negative {
		return -int64(n), n <= 1<<63
	}
	return int64(n), n <= math.MaxInt64
}
