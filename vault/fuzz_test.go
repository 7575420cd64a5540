package vault

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/maphash"
	"math"
	"reflect"
	"testing"
)

var fuzzKeys = newKeyring([32]byte{9}, []byte("0123456789abcdef"))

// makeGroup seals keys as one group.
func makeGroup(t testing.TB, space string, keys ...string) []byte {
	v := &Vault{spaces: map[string]*Space{}, keys: fuzzKeys, texts: maphash.MakeSeed()}
	s := v.Space(space)
	for _, k := range keys {
		s.OfText([]byte(k))
	}
	var w groupWriter
	if err := w.init(fuzzKeys); err != nil {
		t.Fatal(err)
	}
	w.reset()
	w.begin(s, 1)
	for range keys {
		w.add()
	}
	return bytes.Clone(w.finish(1))
}

// Whatever the bytes are, reading a group neither panics nor takes more than
// it was given; and no row is accepted that was not sealed as it stands.
func FuzzGroup(f *testing.F) {
	good := makeGroup(f, "member", "1", "22", "three")
	f.Add(good)
	f.Add(makeGroup(f, "s", string(bytes.Repeat([]byte("long"), 100))))
	f.Add(good[:groupHeader])
	g, _ := readGroup(good)
	aead, err := fuzzKeys.rows(g.epoch)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, ok := readGroup(b)
		if !ok {
			// A header that no one sealed is the likeliest: go on as if its
			// checksum were right.
			if len(b) < groupHeader {
				return
			}
			h = g
			h.body = len(b) - groupHeader
		}
		if h.length() > int64(len(b)) {
			b = append(bytes.Clone(b), make([]byte, h.length()-int64(len(b)))...)
		}
		runs, err := h.open(aead, bytes.Clone(b[:h.length()]))
		if err != nil {
			if !errors.Is(err, ErrDamaged) {
				t.Error(err)
			}
			return
		}
		rows := uint32(0)
		for _, r := range runs {
			n := uint32(0)
			if r.slot != 0 {
				t.Errorf("accepted rows with keys")
				continue
			}
			r.each(func(one *row) {
				n++
				if one.gone { // whoever can write the file can destroy a row: the ledger's root shows it
					return
				}
				if want := []string{"1", "22", "three"}; r.space != "member" || string(one.key) != want[one.ord-1] {
					t.Errorf("accepted %s %d = %q", r.space, one.ord, one.key)
				}
			})
			if n != r.count {
				t.Errorf("%d rows in a run of %d", n, r.count)
			}
			rows += n
		}
		if rows != h.rows {
			t.Errorf("%d rows in a group of %d", rows, h.rows)
		}
	})
}

func FuzzHeader(f *testing.F) {
	f.Add(makeHeader([idLen]byte{1}, [32]byte{2}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) != fileHeader {
			return
		}
		if _, err := readHeader(b, [32]byte{2}); err == nil {
			if want := makeHeader([idLen]byte(b[16:32]), [32]byte{2}); !bytes.Equal(b, want) {
				t.Errorf("accepted %x", b[:72])
			}
		}
	})
}

// The roster's plain form is authenticated, so its decoder never meets an
// outsider's bytes unless the key is lost; it holds out all the same, and
// accepts only what encode writes.
func FuzzRoster(f *testing.F) {
	r := &Roster{
		space:   "member",
		schema:  RosterSchema{Labels: []string{"partner"}, Dates: []string{"until"}, Match: []string{"email"}},
		count:   2,
		present: []uint64{6},
		names:   [][]string{{"", "a", "b"}},
		labels:  [][]uint16{make([]uint16, 64)},
		dates:   [][]int32{make([]int32, 64)},
		hashes:  [][]uint64{make([]uint64, 64)},
		sorted:  [][]uint32{{2, 1}},
	}
	r.labels[0][1] = 2
	r.dates[0][2] = NoDate
	r.hashes[0][1], r.hashes[0][2] = math.MaxUint64, 1
	back, err := decodeRoster(r.encode())
	if err != nil || !reflect.DeepEqual(back, r) {
		f.Fatalf("%+v, %v, want %+v", back, err, r)
	}
	f.Add(r.encode())
	f.Add((&Roster{space: "s"}).encode())
	f.Add(binary.LittleEndian.AppendUint32(nil, math.MaxUint32))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decodeRoster(b)
		if err != nil {
			return
		}
		if !bytes.Equal(r.encode(), b) {
			t.Errorf("accepted %x", b)
		}
		for ord := range uint32(r.Top() + 2) {
			r.Has(ord)
			for dim := range r.labels {
				r.Label(dim, ord)
			}
		}
	})
}

// What an erasure overwrites is read only as it was written.
func FuzzErasing(f *testing.F) {
	id := [idLen]byte{1}
	good := erasing(id, []overwrite{{inKeys, 512, []byte("abc")}, {inVault, 600, nil}})
	f.Add(good)
	f.Fuzz(func(t *testing.T, b []byte) {
		all, err := readErasing(b, id)
		if err == nil && !bytes.Equal(erasing(id, all), b) {
			t.Errorf("accepted %x", b)
		}
	})
}
