package ledger

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"

	"sekisho"
)

// The bytes on disk. Integers are little endian, CRCs are CRC-32C.
//
//	segment header, 128 bytes, at the start of each file
//	  0  magic "SEKISHO\x01"
//	  8  u32  format version
//	 12  u32  gate
//	 16  u64  epoch in which the segment was begun
//	 24  u64  sequence number of its first entry
//	 32  32 B chain hash of the last group of the segment before; zeros in the first
//	124  u32  CRC of the 124 bytes before
//
//	group, one after the other, until four zero bytes or the end of the file
//	  0  magic "GRP1"
//	  4  u32  bytes of entries
//	  8  u32  number of entries
//	 12  u64  sequence number of the first
//	 20  32 B chain hash of the group before
//	 52  u32  CRC of the 52 bytes before
//	 56  entries, each
//	       u32 length of the bytes
//	       u32 CRC of the length and the bytes
//	       the bytes of sekisho.Entry.AppendEncode
//	     32 B chain hash: SHA-256 of everything in this group before it
//
//	a torn group
//	  0  cutMark, while recovery overwrites the group with zeros
//
// The group's header holds the hash of the group before, so each chain hash
// stands for everything that was ever written before it.
const (
	segmentMagic   = "SEKISHO\x01"
	segmentVersion = 1
	segmentHeader  = 128

	groupMagic  = 0x31505247 // "GRP1"
	groupHeader = 56
	entryHeader = 8
	trailer     = sha256.Size

	// cutMark is written over the magic of the group that recovery cuts, and
	// made durable, before any of the rest becomes zeros. What is left of a cut
	// that was itself cut short looks like no torn write; by the mark it is
	// known. Each byte is the complement of groupMagic's: no flipped bit makes one.
	cutMark = "\xb8\xad\xaf\xce"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A hash is a link of the chain.
type hash [sha256.Size]byte

// segmentName is the file of segment n, counted from 1.
func segmentName(n int) string { return fmt.Sprintf("%010d.segment", n) }

// preparing ends the name of a segment whose zeros are still being written.
const preparing = ".preparing"

// segmentNumber is the inverse of segmentName.
func segmentNumber(name string) (int, bool) {
	digits, ok := strings.CutSuffix(name, ".segment")
	if !ok || len(digits) != 10 {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 31)
	return int(n), err == nil && n > 0
}

// A segmentHead is what the first bytes of a segment say.
type segmentHead struct {
	gate  uint32
	epoch uint64
	first uint64
	prev  hash
}

func (h segmentHead) append(b []byte) []byte {
	at := len(b)
	b = append(b, segmentMagic...)
	b = binary.LittleEndian.AppendUint32(b, segmentVersion)
	b = binary.LittleEndian.AppendUint32(b, h.gate)
	b = binary.LittleEndian.AppendUint64(b, h.epoch)
	b = binary.LittleEndian.AppendUint64(b, h.first)
	b = append(b, h.prev[:]...)
	b = append(b, make([]byte, segmentHeader-4-(len(b)-at))...)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[at:], castagnoli))
}

var (
	errUnused   = errors.New("nothing was written here") // zeros
	errDamaged  = errors.New("damaged")
	errTooShort = errors.New("ends early")
)

// parseSegmentHead reads the first bytes of a segment. errUnused says that
// they are zeros: a segment that was prepared and not begun.
func parseSegmentHead(b []byte) (segmentHead, error) {
	var h segmentHead
	if len(b) < segmentHeader {
		return h, errTooShort
	}
	b = b[:segmentHeader]
	if allZero(b) {
		return h, errUnused
	}
	if string(b[:8]) != segmentMagic {
		return h, fmt.Errorf("%w: not the header of a segment", errDamaged)
	}
	if crc32.Checksum(b[:124], castagnoli) != binary.LittleEndian.Uint32(b[124:]) {
		return h, fmt.Errorf("%w: the segment header's checksum does not match", errDamaged)
	}
	if v := binary.LittleEndian.Uint32(b[8:]); v != segmentVersion {
		return h, fmt.Errorf("segment format version %d; this program reads version %d", v, segmentVersion)
	}
	h.gate = binary.LittleEndian.Uint32(b[12:])
	h.epoch = binary.LittleEndian.Uint64(b[16:])
	h.first = binary.LittleEndian.Uint64(b[24:])
	copy(h.prev[:], b[32:64])
	return h, nil
}

// A groupHead is what the first bytes of a group say.
type groupHead struct {
	bytes int // of entries
	count int
	first uint64
	prev  hash
}

// size is what the whole group takes in the file.
func (g groupHead) size() int64 { return groupHeader + int64(g.bytes) + trailer }

// parseGroupHead reads the first bytes of a group.
func parseGroupHead(b []byte) (groupHead, error) {
	var g groupHead
	if len(b) >= 4 && binary.LittleEndian.Uint32(b) == 0 {
		return g, errUnused
	}
	if len(b) < groupHeader {
		return g, errTooShort
	}
	if binary.LittleEndian.Uint32(b) != groupMagic {
		return g, fmt.Errorf("%w: not the header of a group", errDamaged)
	}
	if crc32.Checksum(b[:52], castagnoli) != binary.LittleEndian.Uint32(b[52:]) {
		return g, fmt.Errorf("%w: the group header's checksum does not match", errDamaged)
	}
	g.bytes = int(binary.LittleEndian.Uint32(b[4:]))
	g.count = int(binary.LittleEndian.Uint32(b[8:]))
	g.first = binary.LittleEndian.Uint64(b[12:])
	copy(g.prev[:], b[20:52])
	return g, nil
}

// beginGroup leaves room for a group's header at the end of b.
func beginGroup(b []byte) []byte { return append(b, make([]byte, groupHeader)...) }

// endGroup fills in the header that stands at b[at:] and appends the chain
// hash, which it also returns.
func endGroup(b []byte, at int, count int, first uint64, prev hash) ([]byte, hash) {
	h := b[at:]
	binary.LittleEndian.PutUint32(h, groupMagic)
	binary.LittleEndian.PutUint32(h[4:], uint32(len(h)-groupHeader))
	binary.LittleEndian.PutUint32(h[8:], uint32(count))
	binary.LittleEndian.PutUint64(h[12:], first)
	copy(h[20:52], prev[:])
	binary.LittleEndian.PutUint32(h[52:], crc32.Checksum(h[:52], castagnoli))
	chain := hash(sha256.Sum256(h))
	return append(b, chain[:]...), chain
}

// appendEntry appends e with its length and checksum.
func appendEntry(b []byte, e *sekisho.Entry) []byte {
	at := len(b)
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0)
	b = e.AppendEncode(b)
	frame(b[at:])
	return b
}

// frame fills in the length and checksum before an entry's bytes.
func frame(b []byte) {
	binary.LittleEndian.PutUint32(b, uint32(len(b)-entryHeader))
	binary.LittleEndian.PutUint32(b[4:], entrySum(b))
}

func entrySum(b []byte) uint32 {
	return crc32.Update(crc32.Checksum(b[:4], castagnoli), castagnoli, b[entryHeader:])
}

// nextEntry cuts the entry that b starts with: its bytes, and what follows.
func nextEntry(b []byte) (entry, rest []byte, err error) {
	if len(b) < entryHeader {
		return nil, nil, errTooShort
	}
	n := int64(binary.LittleEndian.Uint32(b))
	if n == 0 || n > sekisho.MaxEntry || n > int64(len(b)-entryHeader) {
		return nil, nil, fmt.Errorf("%w: the length of the entry is wrong", errDamaged)
	}
	whole := b[:entryHeader+n]
	if entrySum(whole) != binary.LittleEndian.Uint32(b[4:]) {
		return nil, nil, fmt.Errorf("%w: the entry's checksum does not match", errDamaged)
	}
	return whole[entryHeader:], b[len(whole):], nil
}

// peek reads the head of an entry's bytes: what every entry has, whatever its
// kind.
func peek(b []byte) (e sekisho.Entry, kind sekisho.Kind, ok bool) {
	if len(b) == 0 || b[0] != 1 {
		return e, 0, false
	}
	var v [5]uint64
	b = b[1:]
	for i := range v {
		x, n := binary.Uvarint(b)
		if n <= 0 {
			return e, 0, false
		}
		v[i], b = x, b[n:]
	}
	e.ID = sekisho.ID{Gate: uint32(v[1]), Epoch: v[2], Seq: v[3]}
	e.Time = sekisho.Time(v[4])
	return e, sekisho.Kind(v[0]), v[1] <= 1<<32-1 && v[4] <= 1<<62
}

// allZero: what is the same when it is moved by a byte is that byte throughout.
func allZero(b []byte) bool {
	return len(b) == 0 || b[0] == 0 && bytes.Equal(b[1:], b[:len(b)-1])
}
