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
//	  kind of run, 1 byte: 3, assignments under keys of their own; 1, as they
//	    were before there were such
//	  length of the space's name, 1 byte; the name
//	  first ordinal, 4 bytes; number of rows, 4 bytes
//	  of kind 3: slot of the first row's key in the file of record keys, 8 bytes;
//	    those of the others follow it
//	  rows, each: varint (length of the sealed bytes × 2 + 0), sealed bytes
//
// Sealed bytes are AES-256-GCM over salt (16 random bytes) and key text; with kind
// 3 these two encrypted under the record's key, and 8 bytes that tell whether it
// is that key (checkOf). They are sealed with
// the row's number in its epoch as the nonce and the space's name and ordinal
// as additional data, and with kind 3 the slot of the run's first row. The key is derived from Config.Key, the file's id and
// the epoch. A crash may make the same ordinal or place be written twice with
// different keys, but never in the same epoch: so no nonce is used twice.
//
// The tags are the check of the body: there is no CRC over it. One group is
// one write and one sync, and a group is started after the one before it was
// synced. So only the last group can be incomplete after a crash, and a group
// that is no good with a later one behind it is damage.
//
// A record of kind 3 is erased by destroying its key (recordkey.go), and the
// row stays as it is. One of kind 1 is overwritten in place by its commitment,
// HMAC-SHA256(salt, key), and zeros, with the low bit of the length set: sealed
// bytes are at least 32. As nothing but the row itself covers its bytes, no
// other byte changes. What is to be overwritten is durable in a file of its own
// before (erase.go).
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
	kindKeyed   = 3
	erasedBit   = 1
	keyCheck    = 8
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

// Secret is one for this purpose alone: nobody can tell it who has not the
// vault's key, and it stays the same as long as the vault does.
func (v *Vault) Secret(purpose string) []byte { return v.keys.key("sekisho secret " + purpose) }

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
	slot  uint64 // of the first row's key; 0 if the rows have none
	rows  []byte // lengths and opened rows, each followed by the room of its tag
	place int    // of rows in the group
	nonce uint64 // of the first row
	epoch [epochLen]byte
	slots []byte // as they are in the file of record keys
}

// A row is what a run holds of one ordinal. Its bytes are valid for the call
// only.
type row struct {
	ord  uint32
	salt *[saltLen]byte
	key  []byte

	content []byte   // salt and key
	gone    bool     // salt and key are destroyed
	leaf    [32]byte // the commitment, of one that is gone
	at      int      // where the row is in the group
	size    int      // and how long
}

// commitment is the row's leaf.
func (r *row) commitment(scratch []byte) ([32]byte, []byte) {
	if r.gone {
		return r.leaf, scratch
	}
	return commitment(r.salt, r.key, scratch)
}

// each calls f with every row.
func (r run) each(f func(one *row)) {
	b := r.rows
	for i := range r.count {
		n, w := binary.Uvarint(b)
		content := b[w : w+int(n>>1)-tagLen]
		if r.slot != 0 {
			content = content[:len(content)-keyCheck]
		}
		one := row{ord: r.first + i, at: r.place + len(r.rows) - len(b), size: w + int(n>>1)}
		switch {
		case n&erasedBit != 0:
			one.gone, one.leaf = true, [32]byte(b[w:])
		case r.slot != 0 && binary.LittleEndian.Uint32(r.slots[i*slotLen:]) == slotGone:
			one.gone, one.leaf = true, [32]byte(r.slots[i*slotLen+4:])
		default:
			one.content, one.salt, one.key = content, (*[saltLen]byte)(content), content[saltLen:]
		}
		f(&one)
		b = b[w+int(n>>1):]
	}
}

// unmask decrypts the rows by their records' keys, which slots reads.
func (r *run) unmask(slots func(first uint64, count uint32) ([]byte, error)) (err error) {
	if r.slot == 0 {
		return nil
	}
	if r.slots, err = slots(r.slot, r.count); err != nil {
		return err
	}
	r.each(func(one *row) {
		i := one.ord - r.first
		if one.gone || err != nil {
			return
		}
		key := r.slots[i*slotLen+4 : i*slotLen+36]
		if check := checkOf(key); string(one.content[len(one.content):][:keyCheck]) != string(check[:]) {
			err = fmt.Errorf("%w: slot %d is the key of another record: put back the file of keys that belongs to this vault file", errRecordKey, r.slot+uint64(i))
			return
		}
		if err = mask(key, r.epoch, r.nonce+uint64(i), one.content); err != nil {
			return
		}
	})
	return err
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
	whole := len(b)
	for len(b) > 0 {
		kind := b[0]
		if kind != kindAssign && kind != kindKeyed {
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
		r.epoch, r.nonce = g.epoch, next
		if kind == kindKeyed {
			if len(b) < 8 {
				return nil, fmt.Errorf("%w: group %d ends within a run", ErrDamaged, g.seq)
			}
			if r.slot, b = binary.LittleEndian.Uint64(b), b[8:]; r.slot == 0 || r.slot > 1<<40 {
				return nil, fmt.Errorf("%w: group %d has a slot out of range", ErrDamaged, g.seq)
			}
		}
		r.place = groupHeader + whole - len(b)
		if r.first == 0 || r.count == 0 || r.count-1 > math.MaxUint32-r.first {
			return nil, fmt.Errorf("%w: group %d has a run of ordinals out of range", ErrDamaged, g.seq)
		}
		aad = append(append(aad[:0], r.space...), 0, 0, 0, 0)
		if kind == kindKeyed {
			aad = binary.LittleEndian.AppendUint64(aad, r.slot)
		}
		rest := b
		least := uint64(saltLen + tagLen)
		if kind == kindKeyed {
			least += keyCheck
		}
		for i := range r.count {
			n, w := binary.Uvarint(b)
			if w <= 0 || n>>1 < least || n>>1 > uint64(len(b)-w) {
				return nil, fmt.Errorf("%w: group %d ends within a row", ErrDamaged, g.seq)
			}
			if n&erasedBit != 0 && kind == kindAssign {
				// Nothing seals it. What is behind its commitment is zeros, and
				// whether that is what it was, Check says.
				for _, x := range b[w+sha256.Size : w+int(n>>1)] {
					if x != 0 {
						return nil, fmt.Errorf("%w: an overwritten row of group %d does not end in zeros", ErrDamaged, g.seq)
					}
				}
				next++
				b = b[w+int(n>>1):]
				continue
			}
			if n&erasedBit != 0 {
				return nil, fmt.Errorf("%w: group %d has an overwritten row that has a key", ErrDamaged, g.seq)
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

	records *recordKeys // nil: rows without keys of their own

	salts []byte // random bytes not yet used
	aad   []byte
	ord   int // where the ordinal is in aad
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
	kind := byte(kindAssign)
	if w.records != nil {
		kind = kindKeyed
	}
	w.buf = append(w.buf, kind, byte(len(s.name)))
	w.buf = append(w.buf, s.name...)
	w.buf = binary.LittleEndian.AppendUint32(w.buf, first)
	w.runs = append(w.runs, runWriter{space: s, first: first, place: len(w.buf)})
	w.buf = append(w.buf, 0, 0, 0, 0)
	if w.records != nil {
		w.buf = binary.LittleEndian.AppendUint64(w.buf, w.records.next)
	}
	w.aad = append(append(w.aad[:0], s.name...), 0, 0, 0, 0)
	w.ord = len(s.name)
	if w.records != nil {
		w.aad = binary.LittleEndian.AppendUint64(w.aad, w.records.next)
	}
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

	if w.records != nil {
		key := w.records.take()
		if err := mask(key[:], w.epoch, w.nonce, w.plain); err != nil {
			panic(err) // of the key's length
		}
		check := checkOf(key[:])
		w.plain = append(w.plain, check[:]...)
		clear(key[:])
	}
	var nonce [12]byte
	binary.BigEndian.PutUint64(nonce[4:], w.nonce)
	w.nonce++
	binary.BigEndian.PutUint32(w.aad[w.ord:], ord)
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
