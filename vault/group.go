package vault

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
)

// The vault file, all numbers little-endian:
//
//	header, 512 bytes:
//	  0  "sekisho vault 1\n"
//	  16 id, 16 random bytes: the salt of every key derived for this file
//	  32 key check, 32 bytes derived from Config.Key: tells a wrong key from damage
//	  64 CRC-32C of the bytes before; zeros to 512
//	then groups, each at a multiple of 8, then zeros (room allocated ahead):
//	  0  "skvg"
//	  4  length of the body
//	  8  sequence number of the group: 1, 2, 3, …
//	  16 epoch, 16 random bytes: drawn each time the vault is opened to write
//	  32 nonce of the first row
//	  40 number of rows
//	  44 CRC-32C of the 44 bytes before
//	  48 body, then zeros up to a multiple of 8
//	body: runs of consecutive ordinals, each
//	  kind of run, 1 byte: 1, assignments
//	  length of the space's name, 1 byte; the name
//	  first ordinal, 4 bytes; number of rows, 4 bytes
//	  rows, each: varint (length of the sealed bytes × 2 + 0), sealed bytes
//
// Sealed bytes are AES-256-GCM over salt (16 random bytes) and key text, with
// the row's number in its epoch as the nonce and the space's name and ordinal
// as additional data. The key is derived from Config.Key, the file's id and
// the epoch. A crash may make the same ordinal or place be written twice with
// different keys, but never in the same epoch: so no nonce is used twice.
//
// The tags are the check of the body: there is no CRC over it. One group is
// one write and one sync, and a group is started after the one before it was
// synced. So only the last group can be incomplete after a crash, and a group
// that is no good with a later one behind it is damage.
//
// Erasing a person is not in this version, but has its room. Sealed bytes are
// at least 32, so they can be overwritten in place by the row's commitment,
// HMAC-SHA256(salt, key), with the low bit of the length set; the ledger's
// roots still verify then. As nothing but the row itself covers its bytes, no
// other byte need change. A run of another kind, appended and synced first,
// lets recovery finish an overwrite that a crash interrupted. A reader of this
// version refuses both.
const (
	fileMagic  = "sekisho vault 1\n"
	fileHeader = 512
	idLen      = 16

	groupMagic  = "skvg"
	groupHeader = 48
	epochLen    = 16
	fullBody    = 2 << 20                   // a group with this much is written
	maxBody     = fullBody + MaxKey + 1<<10 // so no body is longer
	maxGroup    = groupHeader + maxBody + 8 // nor a group
	maxName     = 255
	saltLen     = 16
	tagLen      = 16
	kindAssign  = 1
	erasedBit   = 1
	alignment   = 8
	minRow      = 1 + saltLen + tagLen // what a row takes at least
)

// keyring derives the keys of one file.
type keyring struct{ prk []byte }

func newKeyring(master [32]byte, id []byte) keyring {
	prk, err := hkdf.Extract(sha256.New, master[:], id)
	if err != nil {
		panic(err) // only for a hash that FIPS mode forbids
	}
	return keyring{prk}
}

func (k keyring) key(purpose string) []byte {
	key, err := hkdf.Expand(sha256.New, k.prk, purpose, 32)
	if err != nil {
		panic(err)
	}
	return key
}

func (k keyring) rows(epoch [epochLen]byte) (cipher.AEAD, error) {
	return newGCM(k.key("sekisho vault rows " + string(epoch[:])))
}

func newGCM(key []byte) (cipher.AEAD, error) {
	b, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(b)
}

func crc(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

func makeHeader(id [idLen]byte, master [32]byte) []byte {
	b := append(make([]byte, 0, fileHeader), fileMagic...)
	b = append(b, id[:]...)
	b = append(b, newKeyring(master, id[:]).key("sekisho vault key check")...)
	b = binary.LittleEndian.AppendUint32(b, crc(b))
	return b[:fileHeader]
}

func readHeader(b []byte, master [32]byte) (keyring, error) {
	if string(b[:16]) != fileMagic {
		return keyring{}, fmt.Errorf("%w: it does not begin as a vault of version 1", ErrDamaged)
	}
	if binary.LittleEndian.Uint32(b[64:]) != crc(b[:64]) {
		return keyring{}, fmt.Errorf("%w: its header does not match its checksum", ErrDamaged)
	}
	for i, x := range b[68:fileHeader] {
		if x != 0 {
			return keyring{}, fmt.Errorf("%w: byte %d of its header is not zero", ErrDamaged, 68+i)
		}
	}
	k := newKeyring(master, b[16:32])
	if subtle.ConstantTimeCompare(k.key("sekisho vault key check"), b[32:64]) != 1 {
		return keyring{}, fmt.Errorf("%w: give the key file that the vault was made with", ErrKey)
	}
	return k, nil
}

// group is a group's header.
type group struct {
	body  int
	seq   uint64
	epoch [epochLen]byte
	nonce uint64
	rows  uint32
}

// length is what the group takes in the file.
func (g group) length() int64 {
	return (int64(groupHeader+g.body) + alignment - 1) &^ (alignment - 1)
}

func (g group) append(b []byte) []byte {
	at := len(b)
	b = append(b, groupMagic...)
	b = binary.LittleEndian.AppendUint32(b, uint32(g.body))
	b = binary.LittleEndian.AppendUint64(b, g.seq)
	b = append(b, g.epoch[:]...)
	b = binary.LittleEndian.AppendUint64(b, g.nonce)
	b = binary.LittleEndian.AppendUint32(b, g.rows)
	return binary.LittleEndian.AppendUint32(b, crc(b[at:]))
}

// readGroup reads a group's header from the beginning of b.
func readGroup(b []byte) (g group, ok bool) {
	if len(b) < groupHeader || string(b[:4]) != groupMagic ||
		binary.LittleEndian.Uint32(b[44:]) != crc(b[:44]) {
		return group{}, false
	}
	g.body = int(binary.LittleEndian.Uint32(b[4:]))
	g.seq = binary.LittleEndian.Uint64(b[8:])
	g.epoch = [epochLen]byte(b[16:32])
	g.nonce = binary.LittleEndian.Uint64(b[32:])
	g.rows = binary.LittleEndian.Uint32(b[40:])
	return g, g.body <= maxBody && int(g.rows) <= g.body/minRow
}

// run is consecutive ordinals of one space, opened.
type run struct {
	space string
	first uint32
	count uint32
	rows  []byte // lengths and opened rows, each followed by the room of its tag
}

// each calls f with every row, whose bytes are valid for the call only.
func (r run) each(f func(ord uint32, salt *[saltLen]byte, key []byte)) {
	for b, ord := r.rows, r.first; len(b) > 0; ord++ {
		n, w := binary.Uvarint(b)
		row := b[w : w+int(n>>1)-tagLen]
		f(ord, (*[saltLen]byte)(row), row[saltLen:])
		b = b[w+int(n>>1):]
	}
}

// open authenticates and decrypts a group in place: b is the whole group, and
// belongs to the runs afterwards.
func (g group) open(aead cipher.AEAD, b []byte) ([]run, error) {
	for _, x := range b[groupHeader+g.body : g.length()] {
		if x != 0 {
			return nil, fmt.Errorf("%w: group %d does not end in zeros", ErrDamaged, g.seq)
		}
	}
	b = b[groupHeader : groupHeader+g.body]
	var (
		runs  []run
		nonce [12]byte
		next  = g.nonce
		aad   []byte
	)
	for len(b) > 0 {
		if b[0] != kindAssign {
			return nil, fmt.Errorf("%w: group %d has a run of kind %d, which this version does not know", ErrDamaged, g.seq, b[0])
		}
		if len(b) < 2 || len(b) < 10+int(b[1]) || b[1] == 0 {
			return nil, fmt.Errorf("%w: group %d ends within a run", ErrDamaged, g.seq)
		}
		n := 2 + int(b[1])
		r := run{
			space: string(b[2:n]),
			first: binary.LittleEndian.Uint32(b[n:]),
			count: binary.LittleEndian.Uint32(b[n+4:]),
		}
		b = b[n+8:]
		if r.first == 0 || r.count == 0 || r.count-1 > math.MaxUint32-r.first {
			return nil, fmt.Errorf("%w: group %d has a run of ordinals out of range", ErrDamaged, g.seq)
		}
		aad = append(append(aad[:0], r.space...), 0, 0, 0, 0)
		rest := b
		for i := range r.count {
			n, w := binary.Uvarint(b)
			if w <= 0 || n>>1 < saltLen+tagLen || n>>1 > uint64(len(b)-w) {
				return nil, fmt.Errorf("%w: group %d ends within a row", ErrDamaged, g.seq)
			}
			if n&erasedBit != 0 {
				return nil, fmt.Errorf("%w: group %d has an erased row, which this version does not know", ErrDamaged, g.seq)
			}
			sealed := b[w : w+int(n>>1)]
			binary.BigEndian.PutUint64(nonce[4:], next)
			binary.BigEndian.PutUint32(aad[len(r.space):], r.first+i)
			if _, err := aead.Open(sealed[:0], nonce[:], sealed, aad); err != nil {
				return nil, fmt.Errorf("%w: %s %d in group %d does not authenticate", ErrDamaged, r.space, r.first+i, g.seq)
			}
			next++
			b = b[w+int(n>>1):]
		}
		r.rows = rest[:len(rest)-len(b)]
		runs = append(runs, r)
	}
	if next-g.nonce != uint64(g.rows) {
		return nil, fmt.Errorf("%w: group %d has not the rows that its header says", ErrDamaged, g.seq)
	}
	return runs, nil
}

// groupWriter seals rows into the next group. One per opening: it owns the
// epoch and its nonces.
type groupWriter struct {
	epoch [epochLen]byte
	aead  cipher.AEAD
	nonce uint64 // of the next row; never goes back, whatever fails

	buf   []byte // the group being built, room for its header first
	first uint64 // nonce of its first row
	rows  uint32
	runs  []runWriter

	salts []byte // random bytes not yet used
	aad   []byte
	plain []byte
	tmp   []byte
}

type runWriter struct {
	space *Space
	first uint32
	count uint32
	place int // of the count in buf
	tree  merkle
}

func (w *groupWriter) init(keys keyring) (err error) {
	rand.Read(w.epoch[:])
	w.aead, err = keys.rows(w.epoch)
	return err
}

func (w *groupWriter) reset() {
	w.buf = append(w.buf[:0], make([]byte, groupHeader)...)
	w.first, w.rows, w.runs = w.nonce, 0, w.runs[:0]
}

func (w *groupWriter) full() bool { return len(w.buf) >= groupHeader+fullBody }

// begin starts a run.
func (w *groupWriter) begin(s *Space, first uint32) {
	w.buf = append(w.buf, kindAssign, byte(len(s.name)))
	w.buf = append(w.buf, s.name...)
	w.buf = binary.LittleEndian.AppendUint32(w.buf, first)
	w.runs = append(w.runs, runWriter{space: s, first: first, place: len(w.buf)})
	w.buf = append(w.buf, 0, 0, 0, 0)
	w.aad = append(append(w.aad[:0], s.name...), 0, 0, 0, 0)
}

// add seals the next ordinal of the run.
func (w *groupWriter) add() {
	r := &w.runs[len(w.runs)-1]
	ord := r.first + r.count
	if len(w.salts) < saltLen {
		w.salts = make([]byte, 256*saltLen)
		rand.Read(w.salts)
	}
	salt := (*[saltLen]byte)(w.salts)
	w.salts = w.salts[saltLen:]

	w.plain = r.space.appendKey(append(w.plain[:0], salt[:]...), ord)
	var leaf [32]byte
	leaf, w.tmp = commitment(salt, w.plain[saltLen:], w.tmp)
	r.tree.add(leaf[:])

	var nonce [12]byte
	binary.BigEndian.PutUint64(nonce[4:], w.nonce)
	w.nonce++
	binary.BigEndian.PutUint32(w.aad[len(w.aad)-4:], ord)
	w.buf = binary.AppendUvarint(w.buf, uint64(len(w.plain)+tagLen)<<1)
	w.buf = w.aead.Seal(w.buf, nonce[:], w.plain, w.aad)
	r.count++
	w.rows++
}

// finish gives the bytes of the group.
func (w *groupWriter) finish(seq uint64) []byte {
	for _, r := range w.runs {
		binary.LittleEndian.PutUint32(w.buf[r.place:], r.count)
	}
	g := group{body: len(w.buf) - groupHeader, seq: seq, epoch: w.epoch, nonce: w.first, rows: w.rows}
	g.append(w.buf[:0])
	w.buf = append(w.buf, make([]byte, g.length()-int64(len(w.buf)))...)
	return w.buf
}

// merkle is the RFC 6962 tree hash of leaves added one by one: the roots of
// the full subtrees so far, largest first.
type merkle struct {
	roots []([32]byte)
	n     uint64
}

func (m *merkle) add(leaf []byte) {
	var b [1 + 32]byte // the leaves are commitments
	copy(b[1:], leaf)
	h := sha256.Sum256(b[:])
	for n := m.n; n&1 == 1; n >>= 1 {
		h = node(m.roots[len(m.roots)-1], h)
		m.roots = m.roots[:len(m.roots)-1]
	}
	m.roots = append(m.roots, h)
	m.n++
}

func (m *merkle) root() [32]byte {
	if m.n == 0 {
		return sha256.Sum256(nil)
	}
	h := m.roots[len(m.roots)-1]
	for i := len(m.roots) - 2; i >= 0; i-- {
		h = node(m.roots[i], h)
	}
	return h
}

func node(left, right [32]byte) [32]byte {
	var b [65]byte
	b[0] = 1
	copy(b[1:], left[:])
	copy(b[33:], right[:])
	return sha256.Sum256(b[:])
}
