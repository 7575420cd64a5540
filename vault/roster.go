package vault

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sekisho"
)

// NoDate stands for a date that a row has not.
const NoDate = math.MinInt32

// RosterSchema names the dimensions of a roster.
type RosterSchema struct {
	Labels []string // such as partner, residence: few distinct values, kept as they are
	Dates  []string // such as passport_until
	Match  []string // such as email, phone: kept only as keyed hashes, to be recognised again
}

// RosterRow is one subject. The slices are as long as the schema's, and are
// the caller's again when it gives the next row.
type RosterRow struct {
	Key    string
	Labels []string // "" if none
	Dates  []int32  // days since 1970-01-01; NoDate if none
	Match  []string // "" if none
}

// Roster is the list of everybody in a space, as it was last read: columns
// indexed by ordinal. It does not change, and all that it returns is shared:
// not to be written to.
type Roster struct {
	schema  RosterSchema
	space   string
	sha256  [32]byte
	count   uint32
	present []uint64   // bit set: the ordinal is in the roster
	names   [][]string // of each label dimension; 0 is ""
	labels  [][]uint16 // of each label dimension, by ordinal, into names
	dates   [][]int32
	hashes  [][]uint64 // of each match field, by ordinal; 0 for none
	sorted  [][]uint32 // of each match field: the ordinals that have one, by hash
	match   []byte     // key of the hashes
}

// The most of each that a roster may have: what a wrong query or a wrong file
// could ask for is refused before memory is given to it.
const (
	maxDimensions = 64
	maxLabels     = math.MaxUint16 // distinct values, "" included
	maxLabel      = 1 << 10        // bytes
)

// Schema gives the names of the dimensions.
func (r *Roster) Schema() RosterSchema { return r.schema }

// SHA256 is the hash of the roster file, as in its RosterRead entry.
func (r *Roster) SHA256() [32]byte { return r.sha256 }

// Count is how many subjects the roster has.
func (r *Roster) Count() uint32 { return r.count }

// Top is one more than the highest ordinal: the length of Labels and Dates.
func (r *Roster) Top() int { return len(r.present) * 64 }

// Has says whether a subject is in the roster.
func (r *Roster) Has(ord uint32) bool {
	return int(ord/64) < len(r.present) && r.present[ord/64]&(1<<(ord%64)) != 0
}

// Present has bit ord%64 of word ord/64 set for each subject in the roster.
func (r *Roster) Present() []uint64 { return r.present }

// LabelNames gives the values of a label dimension; the first is "", for none.
func (r *Roster) LabelNames(dim int) []string { return r.names[dim] }

// Labels gives, by ordinal, the place in LabelNames; 0 for a subject that is
// not in the roster.
func (r *Roster) Labels(dim int) []uint16 { return r.labels[dim] }

// Dates gives a date dimension by ordinal, in days since 1970-01-01.
func (r *Roster) Dates(dim int) []int32 { return r.dates[dim] }

// Label gives the value of a label dimension, "" if there is none.
func (r *Roster) Label(dim int, ord uint32) string {
	if int(ord) >= len(r.labels[dim]) {
		return ""
	}
	return r.names[dim][r.labels[dim][ord]]
}

// Date gives a date dimension, NoDate if there is none.
func (r *Roster) Date(dim int, ord uint32) int32 {
	if int(ord) >= len(r.dates[dim]) {
		return NoDate
	}
	return r.dates[dim][ord]
}

// FindBy gives everybody whose match field agrees with value, ascending. Two
// different values are taken for one with probability 2^-64.
func (r *Roster) FindBy(field int, value string) []uint32 {
	h := matchHash(r.match, field, value)
	if h == 0 {
		return nil
	}
	all, hashes := r.sorted[field], r.hashes[field]
	i, ok := slices.BinarySearchFunc(all, h, func(ord uint32, h uint64) int { return cmp.Compare(hashes[ord], h) })
	if !ok {
		return nil
	}
	j := i
	for j < len(all) && hashes[all[j]] == h {
		j++
	}
	return slices.Clone(all[i:j])
}

// Agrees says whether a subject's match field has that value. No value agrees
// with nothing.
func (r *Roster) Agrees(ord uint32, field int, value string) bool {
	if int(ord) >= len(r.hashes[field]) {
		return false
	}
	h := matchHash(r.match, field, value)
	return h != 0 && r.hashes[field][ord] == h
}

// matchHash is 64 bits of HMAC-SHA256 over the number of the field and the
// normalised value; 0 for no value.
func matchHash(key []byte, field int, value string) uint64 {
	value = Normalise(value)
	if value == "" {
		return 0
	}
	var room [192]byte
	mac, _ := commitment((*[saltLen]byte)(key), append([]byte{byte(field)}, value...), room[:0])
	return max(binary.LittleEndian.Uint64(mac[:]), 1)
}

// WriteRoster reads the list of everybody in a space and replaces the roster
// of that space with it, all or nothing: after an error, or a crash at any
// moment, the old one stands. Keys that were never seen get an ordinal, which
// is durable before the roster is. When it returns, the roster is durable;
// the caller appends what it returns to the ledger.
//
// progress, if not nil, is called now and then with the number of rows read.
// No error holds a value of a row, unless rows gave it.
func (v *Vault) WriteRoster(space string, schema RosterSchema, rows iter.Seq2[RosterRow, error], progress func(n int)) (*sekisho.RosterRead, error) {
	read, err := v.writeRoster(space, schema, rows, progress)
	if err != nil {
		return nil, fmt.Errorf("writing the roster of %q: %w", space, err)
	}
	return read, nil
}

func (v *Vault) writeRoster(space string, schema RosterSchema, rows iter.Seq2[RosterRow, error], progress func(n int)) (*sekisho.RosterRead, error) {
	if v.cfg.ReadOnly {
		return nil, ErrReadOnly
	}
	if n := len(schema.Labels) + len(schema.Dates) + len(schema.Match); n > maxDimensions {
		return nil, fmt.Errorf("%d dimensions, the limit is %d", n, maxDimensions)
	}
	for _, name := range slices.Concat(schema.Labels, schema.Dates, schema.Match) {
		if name == "" || len(name) > maxLabel {
			return nil, fmt.Errorf("a dimension with a name of %d bytes", len(name))
		}
	}
	w := newRosterWriter(v, v.Space(space), schema)
	n := 0
	for row, err := range rows {
		if err == nil {
			err = w.add(row)
		}
		if err != nil {
			return nil, fmt.Errorf("row %d: %w", n+1, err)
		}
		n++
		// In portions, so that a Flush never finds a million waiting.
		if n%(1<<14) == 0 {
			if err := v.persistNow(); err != nil {
				return nil, err
			}
		}
		if n%(1<<12) == 0 && progress != nil {
			progress(n)
		}
	}
	if err := v.persistNow(); err != nil {
		return nil, err
	}
	if progress != nil {
		progress(n)
	}
	r := w.finish()
	if err := v.replaceRoster(r); err != nil {
		return nil, err
	}
	return &sekisho.RosterRead{
		Space:      space,
		Count:      r.count,
		Dimensions: slices.Concat(schema.Labels, schema.Dates, schema.Match),
		SHA256:     r.sha256,
	}, nil
}

// persistNow makes what is assigned durable, and leaves the commitments to
// the next Flush.
func (v *Vault) persistNow() error {
	if v.unsettled.Load() == 0 {
		return nil
	}
	v.write.Lock()
	defer v.write.Unlock()
	return v.persist()
}

// Roster gives the roster of a space, nil if none was written. A vault that is
// open for writing reads each from the disk once: nobody else replaces it.
func (v *Vault) Roster(space string) (*Roster, error) {
	if !v.cfg.ReadOnly {
		v.rosters.Lock()
		defer v.rosters.Unlock()
		if r := v.read[space]; r != nil {
			return r, nil
		}
	}
	r, err := v.readRoster(space)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the roster of %q: %w", space, err)
	}
	if !v.cfg.ReadOnly {
		if v.read == nil {
			v.read = map[string]*Roster{}
		}
		v.read[space] = r
	}
	return r, nil
}

func (v *Vault) rosterName(space string) string {
	return filepath.Join(v.cfg.Dir, "roster-"+url.PathEscape(space))
}

// replaceRoster writes beside the old roster and renames. Two at once for one
// space are kept apart by v.rosters.
func (v *Vault) replaceRoster(r *Roster) error {
	v.rosters.Lock()
	defer v.rosters.Unlock()
	delete(v.read, r.space)
	b, err := v.sealRoster(r)
	if err != nil {
		return err
	}
	r.sha256 = sha256.Sum256(b)
	fsys, name := v.cfg.FS, v.rosterName(r.space)
	f, err := fsys.OpenFile(name+".new", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(b, 0)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = fsys.Rename(name+".new", name)
	}
	if err != nil {
		return errors.Join(err, fsys.Remove(name+".new"))
	}
	return fsys.SyncDir(v.cfg.Dir)
}

func (v *Vault) readRoster(space string) (*Roster, error) {
	f, err := v.cfg.FS.OpenFile(v.rosterName(space), os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	b := make([]byte, size)
	if n, err := f.ReadAt(b, 0); n < len(b) {
		return nil, err
	}
	sum := sha256.Sum256(b)
	r, err := v.openRoster(b)
	if err != nil {
		return nil, err
	}
	r.sha256 = sum
	if r.space != space {
		return nil, fmt.Errorf("%w: the file holds the roster of %q", ErrDamaged, r.space)
	}
	// To a reader beside a writer the roster may be newer than what it last saw.
	s := v.Space(space)
	if r.Top() > (s.Len()/64+1)*64 {
		if err := v.Refresh(); err != nil {
			return nil, err
		}
	}
	if r.Top() > (s.Len()/64+1)*64 {
		return nil, fmt.Errorf("%w: the roster has ordinals up to %d or more, the vault only up to %d", ErrDamaged, r.Top()-64, s.Len())
	}
	return r, nil
}

// rosterWriter collects the columns.
type rosterWriter struct {
	*Roster
	v       *Vault
	s       *Space
	numbers []map[string]uint16 // of each label dimension
	key     []byte
}

func newRosterWriter(v *Vault, s *Space, schema RosterSchema) *rosterWriter {
	w := &rosterWriter{v: v, s: s, Roster: &Roster{
		schema: RosterSchema{slices.Clone(schema.Labels), slices.Clone(schema.Dates), slices.Clone(schema.Match)},
		space:  s.name,
		names:  make([][]string, len(schema.Labels)),
		labels: make([][]uint16, len(schema.Labels)),
		dates:  make([][]int32, len(schema.Dates)),
		hashes: make([][]uint64, len(schema.Match)),
		sorted: make([][]uint32, len(schema.Match)),
		match:  v.keys.key("sekisho roster match " + s.name)[:saltLen],
	}}
	for i := range w.names {
		w.names[i] = []string{""}
		w.numbers = append(w.numbers, map[string]uint16{"": 0})
	}
	w.grow(s.count.Load())
	return w
}

// grow makes room for ord, in steps of 64 ordinals.
func (w *rosterWriter) grow(ord uint32) {
	words := int(ord/64) + 1
	if words <= len(w.present) {
		return
	}
	w.present = append(w.present, make([]uint64, words-len(w.present))...)
	n := words * 64
	for i := range w.labels {
		w.labels[i] = append(w.labels[i], make([]uint16, n-len(w.labels[i]))...)
	}
	for i := range w.dates {
		for range n - len(w.dates[i]) {
			w.dates[i] = append(w.dates[i], NoDate)
		}
	}
	for i := range w.hashes {
		w.hashes[i] = append(w.hashes[i], make([]uint64, n-len(w.hashes[i]))...)
	}
}

func (w *rosterWriter) add(row RosterRow) error {
	if len(row.Labels) != len(w.labels) || len(row.Dates) != len(w.dates) || len(row.Match) != len(w.hashes) {
		return fmt.Errorf("%d labels, %d dates and %d match values; the schema has %d, %d and %d",
			len(row.Labels), len(row.Dates), len(row.Match), len(w.labels), len(w.dates), len(w.hashes))
	}
	w.key = append(w.key[:0], row.Key...)
	ord := w.s.OfText(w.key)
	if ord == 0 {
		return fmt.Errorf("a key of %d bytes, the limit is %d (or the space is full)", len(row.Key), MaxKey)
	}
	w.grow(ord)
	if w.Has(ord) {
		return fmt.Errorf("the key of ordinal %d was in an earlier row: the query must give each subject once", ord)
	}
	w.present[ord/64] |= 1 << (ord % 64)
	w.count++
	for i, label := range row.Labels {
		n, ok := w.numbers[i][label]
		if !ok {
			if len(w.names[i]) > maxLabels || len(label) > maxLabel {
				return fmt.Errorf("%q is no label: more than %d values, or one over %d bytes", w.schema.Labels[i], maxLabels, maxLabel)
			}
			label = strings.Clone(label)
			n = uint16(len(w.names[i]))
			w.names[i] = append(w.names[i], label)
			w.numbers[i][label] = n
		}
		w.labels[i][ord] = n
	}
	for i, d := range row.Dates {
		w.dates[i][ord] = d
	}
	for i, value := range row.Match {
		w.hashes[i][ord] = matchHash(w.match, i, value)
	}
	return nil
}

// finish sorts. The labels come in the order of their text, so that the same
// rows in another order make the same roster.
func (w *rosterWriter) finish() *Roster {
	for i, names := range w.names {
		sorted := slices.Clone(names)
		slices.Sort(sorted)
		place := make([]uint16, len(names))
		for n, label := range sorted {
			place[w.numbers[i][label]] = uint16(n)
		}
		for ord, n := range w.labels[i] {
			w.labels[i][ord] = place[n]
		}
		w.names[i] = sorted
	}
	for i, hashes := range w.hashes {
		var all []uint32
		for ord, h := range hashes {
			if h != 0 {
				all = append(all, uint32(ord))
			}
		}
		slices.SortFunc(all, func(a, b uint32) int {
			if c := cmp.Compare(hashes[a], hashes[b]); c != 0 {
				return c
			}
			return cmp.Compare(a, b)
		})
		w.sorted[i] = all
	}
	return w.Roster
}
