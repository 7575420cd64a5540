package vault

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
)

// The roster file:
//
//	0  "sekisho roster1\n"
//	16 salt, 32 random bytes: each file has a key of its own, derived from
//	   Config.Key, the vault file's id and the salt
//	48 chunks of 1 MiB, the last shorter, each sealed with AES-256-GCM: nonce
//	   the chunk's number, its first byte 1 for the last chunk, so that chunks
//	   can neither be exchanged nor left out
//
// The chunks together hold, little-endian: the space; the names of the label,
// date and match dimensions; for each label dimension its values; the count of
// subjects; the words of present; then the columns: labels 2 bytes, dates 4,
// hashes 8 for each ordinal, and the sorted ordinals 4 for each.
// Texts and lists are preceded by their length, 4 bytes.
const (
	rosterMagic  = "sekisho roster1\n"
	rosterHeader = 48
	rosterChunk  = 1 << 20
)

func rosterNonce(i, n int) []byte {
	var nonce [12]byte
	binary.BigEndian.PutUint64(nonce[4:], uint64(i))
	if i == n-1 {
		nonce[0] = 1
	}
	return nonce[:]
}

func (v *Vault) sealRoster(r *Roster) ([]byte, error) {
	plain := r.encode()
	out := append(make([]byte, 0, len(plain)+len(plain)/rosterChunk*tagLen+1024), rosterMagic...)
	var salt [32]byte
	rand.Read(salt[:])
	out = append(out, salt[:]...)
	aead, err := newGCM(v.keys.key("sekisho roster " + string(salt[:])))
	if err != nil {
		return nil, err
	}
	n := (len(plain) + rosterChunk - 1) / rosterChunk
	for i := range n {
		chunk := plain[i*rosterChunk : min((i+1)*rosterChunk, len(plain))]
		out = aead.Seal(out, rosterNonce(i, n), chunk, nil)
	}
	return out, nil
}

// openRoster decrypts b in place, on all cores.
func (v *Vault) openRoster(b []byte) (*Roster, error) {
	if len(b) < rosterHeader+tagLen || string(b[:16]) != rosterMagic {
		return nil, fmt.Errorf("%w: the file does not begin as a roster of version 1", ErrDamaged)
	}
	aead, err := newGCM(v.keys.key("sekisho roster " + string(b[16:rosterHeader])))
	if err != nil {
		return nil, err
	}
	sealed := b[rosterHeader:]
	const sealedChunk = rosterChunk + tagLen
	n := (len(sealed) + sealedChunk - 1) / sealedChunk
	var next atomic.Int64
	var bad atomic.Bool
	var wg sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			for i := int(next.Add(1) - 1); i < n && !bad.Load(); i = int(next.Add(1) - 1) {
				chunk := sealed[i*sealedChunk : min((i+1)*sealedChunk, len(sealed))]
				if _, err := aead.Open(chunk[:0], rosterNonce(i, n), chunk, nil); err != nil {
					bad.Store(true)
				}
			}
		})
	}
	wg.Wait()
	if bad.Load() {
		return nil, fmt.Errorf("%w: the roster does not authenticate", ErrDamaged)
	}
	plain := make([]byte, 0, len(sealed))
	for i := range n {
		chunk := sealed[i*sealedChunk : min((i+1)*sealedChunk, len(sealed))]
		plain = append(plain, chunk[:len(chunk)-tagLen]...)
	}
	r, err := decodeRoster(plain)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	r.match = v.keys.key("sekisho roster match " + r.space)[:saltLen]
	return r, nil
}

func (r *Roster) encode() []byte {
	rows := r.Top()
	b := make([]byte, 0, rows*(1+2*len(r.labels)+4*len(r.dates)+12*len(r.hashes))+4096)
	le := binary.LittleEndian
	text := func(s string) { b = append(le.AppendUint32(b, uint32(len(s))), s...) }
	texts := func(list []string) {
		b = le.AppendUint32(b, uint32(len(list)))
		for _, s := range list {
			text(s)
		}
	}
	text(r.space)
	texts(r.schema.Labels)
	texts(r.schema.Dates)
	texts(r.schema.Match)
	for _, names := range r.names {
		texts(names)
	}
	b = le.AppendUint32(b, r.count)
	b = le.AppendUint32(b, uint32(len(r.present)))
	for _, w := range r.present {
		b = le.AppendUint64(b, w)
	}
	for _, column := range r.labels {
		for _, n := range column {
			b = le.AppendUint16(b, n)
		}
	}
	for _, column := range r.dates {
		for _, d := range column {
			b = le.AppendUint32(b, uint32(d))
		}
	}
	for _, column := range r.hashes {
		for _, h := range column {
			b = le.AppendUint64(b, h)
		}
	}
	for _, column := range r.sorted {
		b = le.AppendUint32(b, uint32(len(column)))
		for _, ord := range column {
			b = le.AppendUint32(b, ord)
		}
	}
	return b
}

// rosterReader reads what encode wrote. After the first error everything it
// gives is empty.
type rosterReader struct {
	b   []byte
	err error
}

func (d *rosterReader) take(n int) []byte {
	if d.err == nil && (n < 0 || n > len(d.b)) {
		d.err = errors.New("the roster ends too soon")
	}
	if d.err != nil {
		return nil
	}
	b := d.b[:n]
	d.b = d.b[n:]
	return b
}

// list is the count of a list whose items take at least size bytes each.
func (d *rosterReader) list(size, limit int) int {
	b := d.take(4)
	if b == nil {
		return 0
	}
	n := binary.LittleEndian.Uint32(b)
	if uint64(n)*uint64(size) > uint64(len(d.b)) || uint64(n) > uint64(limit) {
		d.err = fmt.Errorf("a list of %d in a roster", n)
		return 0
	}
	return int(n)
}

func (d *rosterReader) text() string { return string(d.take(d.list(1, maxLabel))) }

func (d *rosterReader) texts(limit int) []string {
	n := d.list(4, limit)
	if n == 0 {
		return nil
	}
	list := make([]string, n)
	for i := range list {
		list[i] = d.text()
	}
	return list
}

func decodeRoster(b []byte) (*Roster, error) {
	le := binary.LittleEndian
	d := &rosterReader{b: b}
	r := &Roster{space: d.text()}
	r.schema = RosterSchema{d.texts(maxDimensions), d.texts(maxDimensions), d.texts(maxDimensions)}
	for range r.schema.Labels {
		names := d.texts(maxLabels + 1)
		if len(names) == 0 || names[0] != "" {
			d.err = errors.Join(d.err, errors.New("a label dimension without its first value"))
		}
		r.names = append(r.names, names)
	}
	if count := d.take(4); count != nil {
		r.count = le.Uint32(count)
	}
	r.present = make([]uint64, d.list(8, math.MaxUint32/64+1))
	for i := range r.present {
		if w := d.take(8); w != nil {
			r.present[i] = le.Uint64(w)
		}
	}
	rows := r.Top()
	for dim := range r.schema.Labels {
		from := d.take(2 * rows)
		column := make([]uint16, len(from)/2)
		for i := range column {
			if column[i] = le.Uint16(from[2*i:]); int(column[i]) >= len(r.names[dim]) {
				return nil, errors.New("a label that the roster does not name")
			}
		}
		r.labels = append(r.labels, column)
	}
	for range r.schema.Dates {
		from := d.take(4 * rows)
		column := make([]int32, len(from)/4)
		for i := range column {
			column[i] = int32(le.Uint32(from[4*i:]))
		}
		r.dates = append(r.dates, column)
	}
	for range r.schema.Match {
		from := d.take(8 * rows)
		column := make([]uint64, len(from)/8)
		for i := range column {
			column[i] = le.Uint64(from[8*i:])
		}
		r.hashes = append(r.hashes, column)
	}
	for range r.schema.Match {
		from := d.take(4 * d.list(4, rows))
		column := make([]uint32, len(from)/4)
		for i := range column {
			if column[i] = le.Uint32(from[4*i:]); int(column[i]) >= rows {
				return nil, errors.New("an ordinal that the roster does not have")
			}
		}
		r.sorted = append(r.sorted, column)
	}
	if d.err == nil && len(d.b) > 0 {
		d.err = fmt.Errorf("%d bytes left over in a roster", len(d.b))
	}
	return r, d.err
}
