package trace

import (
	"encoding/binary"
	"math/bits"
	"slices"

	"sekisho"
)

const blockSize = 64

// pack lays the postings, ascending, into blocks.
func (s *set) pack(posts []uint64) {
	s.n = len(posts)
	if s.n == 0 {
		return
	}
	s.bits = uint8(bits.Len(uint(len(s.slots) - 1)))
	w := bitWriter{}
	for block := range slices.Chunk(posts, blockSize) {
		widest, one := uint64(0), true
		for i := 1; i < len(block); i++ {
			widest |= block[i]>>32 - block[i-1]>>32
			one = one && uint32(block[i]) == uint32(block[0])
		}
		m := blockMeta{word: uint32(len(w.words)), slot: uint32(block[0]), width: uint8(bits.Len64(widest)), one: one}
		s.heads = append(s.heads, uint32(block[0]>>32))
		s.metas = append(s.metas, m)
		prev := block[0] >> 32
		for _, p := range block {
			gap := p>>32 - prev
			if prev = p >> 32; one {
				w.put(gap, m.width)
			} else {
				w.put(gap<<s.bits|p&0xffffffff, m.width+s.bits)
			}
		}
		w.align()
	}
	s.heads, s.metas = slices.Clip(s.heads), slices.Clip(s.metas)
	// 8 bytes more, so that a reader may load 8 from wherever a field begins.
	s.packed = make([]byte, 0, len(w.words)*8+8)
	for _, x := range w.words {
		s.packed = binary.LittleEndian.AppendUint64(s.packed, x)
	}
	s.packed = append(s.packed, 0, 0, 0, 0, 0, 0, 0, 0)
}

// unpack reads block i: its subjects and slots. Both arrays are the caller's.
// A field is at most 57 bits wide, so that one load holds it wherever in a
// byte it begins: 32 of the gap, and a page has far fewer than 2^25 slots.
func (s *set) unpack(i int, subjects, slots *[blockSize]uint32) int {
	n := min(blockSize, s.n-i*blockSize)
	m := &s.metas[i]
	subject, data := s.heads[i], s.packed[m.word*8:]
	pos := uint(0)
	if m.one {
		width, slot := uint(m.width), m.slot
		mask := uint64(1)<<width - 1
		for j := range n {
			subject += uint32(binary.LittleEndian.Uint64(data[pos>>3:]) >> (pos & 7) & mask)
			subjects[j], slots[j] = subject, slot
			pos += width
		}
		return n
	}
	low := uint(s.bits)
	width := uint(m.width) + low
	mask, lowMask := uint64(1)<<width-1, uint32(1)<<low-1
	for j := range n {
		v := binary.LittleEndian.Uint64(data[pos>>3:]) >> (pos & 7) & mask
		subject += uint32(v >> (low & 63))
		subjects[j], slots[j] = subject, uint32(v)&lowMask
		pos += width
	}
	return n
}

type bitWriter struct {
	words []uint64
	free  uint // bits left in the last word
}

func (w *bitWriter) put(v uint64, width uint8) {
	n := uint(width)
	if n == 0 {
		return
	}
	if w.free == 0 {
		w.words, w.free = append(w.words, 0), 64
	}
	last := &w.words[len(w.words)-1]
	*last |= v << (64 - w.free)
	if n <= w.free {
		w.free -= n
		return
	}
	rest := n - w.free
	w.words = append(w.words, v>>(n-rest))
	w.free = 64 - rest
}

func (w *bitWriter) align() { w.free = 0 }

// packedRows is the rows of a sealed page as varints, in order, each as the
// difference from the one before. What repeats (session, shape, purpose,
// class) is an index into kinds.
type packedRows struct {
	n     int
	kinds []rowKind
	bytes []byte
}

type rowKind struct {
	session, shape, purpose uint32
	class                   sekisho.Class
	many, gone              bool
}

func packRows(list []row) *packedRows {
	k := &packedRows{n: len(list)}
	index := map[rowKind]uint64{}
	var prev row
	var b []byte
	for _, r := range list {
		kind := rowKind{r.session, r.shape, r.purpose, r.class, r.many, r.gone}
		i, ok := index[kind]
		if !ok {
			i = uint64(len(k.kinds))
			index[kind] = i
			k.kinds = append(k.kinds, kind)
		}
		b = binary.AppendUvarint(b, i)
		b = binary.AppendVarint(b, int64(r.at-prev.at))
		b = binary.AppendVarint(b, int64(r.seq-prev.seq))
		b = binary.AppendVarint(b, int64(r.number)-int64(prev.number))
		b = binary.AppendVarint(b, int64(r.least)-int64(prev.least))
		b = binary.AppendVarint(b, int64(r.start)-int64(prev.start))
		b = binary.AppendUvarint(b, uint64(r.n))
		prev = r
	}
	k.bytes, k.kinds = slices.Clone(b), slices.Clip(k.kinds)
	return k
}

func (k *packedRows) each(f func(r *row) bool) {
	var r row
	b := k.bytes
	signed := func() int64 {
		v, n := binary.Varint(b)
		b = b[n:]
		return v
	}
	unsigned := func() uint64 {
		v, n := binary.Uvarint(b)
		b = b[n:]
		return v
	}
	for range k.n {
		kind := &k.kinds[unsigned()]
		r.session, r.shape, r.purpose = kind.session, kind.shape, kind.purpose
		r.class, r.many, r.gone = kind.class, kind.many, kind.gone
		r.at += sekisho.Time(signed())
		r.seq += uint64(signed())
		r.number = uint32(int64(r.number) + signed())
		r.least = uint32(int64(r.least) + signed())
		r.start = uint32(int64(r.start) + signed())
		r.n = uint32(unsigned())
		if !f(&r) {
			return
		}
	}
}

func (k *packedRows) unpack() []row {
	list := make([]row, 0, k.n)
	k.each(func(r *row) bool { list = append(list, *r); return true })
	return list
}
