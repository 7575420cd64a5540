package pack

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"slices"

	"sekisho"
	"sekisho/disk"
	"sekisho/duty"
	"sekisho/ledger"
)

// Format is the version of pack.json and of what stands beside it.
const Format = 1

// A Manifest is pack.json: what the pack is of, what figures depend on, and the
// hash of every other file.
type Manifest struct {
	Format   int      `json:"format"`
	Ledger   string   `json:"ledger"` // its name
	Drill    string   `json:"drill,omitempty"`
	Software string   `json:"software"`
	By       uint32   `json:"by"`            // who asked for it, as an ordinal
	At       uint64   `json:"at_micros"`     // the moment at which the figures stand: microseconds since 1970, UTC
	AtText   string   `json:"at"`            // the same, to be read
	From     uint64   `json:"from_micros"`   // windows that end later are in
	Whole    bool     `json:"whole"`         // every entry is in
	Through  uint64   `json:"through"`       // the last entry that is counted
	Chain    string   `json:"chain"`         // chain hash of the group that ends with it
	Entries  uint64   `json:"entries"`       // whose bytes are in
	Groups   uint64   `json:"groups"`        // of the ledger up to there
	Skipped  uint64   `json:"groups_hashes"` // of those, that stand in as their hashes alone
	Left     []Left   `json:"left_out,omitempty"`
	Stated   []string `json:"stated,omitempty"` // duties whose figures cannot be computed from what is in
	Settings Settings `json:"settings"`
	Files    []File   `json:"files"`
}

// Left counts entries of a kind that are not in the pack.
type Left struct {
	Kind    int    `json:"kind"`
	Name    string `json:"name"`
	Entries uint64 `json:"entries"`
}

// A File of the pack.
type File struct {
	Name   string `json:"name"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

func (m *Manifest) now() sekisho.Time  { return sekisho.Time(m.At) }
func (m *Manifest) from() sekisho.Time { return sekisho.Time(m.From) }

// A Source is what a pack is made from.
type Source struct {
	FS       disk.FS
	Dir      string // of the ledger's segments
	Through  uint64 // the last entry that is counted: durable
	Register *duty.Register
	Law      []fs.FS // the directories of rules, as the house reads them
	Settings Settings
	Software string
	By       uint32
	Now      sekisho.Time // the moment at which the figures stand
	From     sekisho.Time // windows that end later are in
	Whole    bool         // every entry, not only those that figures rest on
	// Named is the name of a company, for people to read; nil: none are in.
	Named func(space string, ordinal uint32) string
	// Readme is what README.txt says.
	Readme string
	// Progress, if not nil, is told entries done and their total.
	Progress func(done, total uint64)
}

// Make writes a pack into dir, which is made and must be empty. It reads the
// ledger's files once, and folds them twice: all entries, and those that are in
// the pack. Where the two disagree about a duty, its figures are stated, and say
// so. The SHA-256 it returns is that of pack.json.
func Make(ctx context.Context, s Source, dir string) (m *Manifest, sum [32]byte, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("making an auditor's pack: %w", err)
		}
	}()
	w := &writer{dir: dir}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, sum, err
	}
	if there, err := os.ReadDir(dir); err != nil || len(there) > 0 {
		return nil, sum, errors.Join(err, fmt.Errorf("%s is not empty", dir))
	}
	s.Settings.LawParts = len(s.Law)
	m = &Manifest{Format: Format, Software: s.Software, By: s.By, At: uint64(s.Now), AtText: s.Now.String(), From: uint64(s.From), Whole: s.Whole, Through: s.Through, Settings: s.Settings}
	rules, err := s.Settings.Rules(s.Law)
	if err != nil {
		return nil, sum, err
	}
	in, err := newEngine(&s.Settings, s.Register, rules)
	if err != nil {
		return nil, sum, err
	}
	all := in
	if !s.Whole {
		if all, err = newEngine(&s.Settings, s.Register, rules); err != nil {
			return nil, sum, err
		}
	}
	if err := w.texts(&s); err != nil {
		return nil, sum, err
	}
	if err := takeGroups(ctx, &s, m, w, in, all); err != nil {
		return nil, sum, err
	}
	stated := map[string][]Figure{}
	if !s.Whole {
		for _, d := range s.Register.Duties() {
			truth, _ := all.figuresOf(d, int64(s.From), int64(s.Now))
			here, _ := in.figuresOf(d, int64(s.From), int64(s.Now))
			if !counted(d) && reflect.DeepEqual(truth, here) {
				continue
			}
			for n := range truth {
				truth[n].Proof = Stated
			}
			stated[d.Name()] = truth
			m.Stated = append(m.Stated, d.Name())
		}
	}
	if err := in.derive(m, stated, w.open); err != nil {
		return nil, sum, err
	}
	if err := w.names(&s, in); err != nil {
		return nil, sum, err
	}
	if err := w.put(ReadmeFile, []byte(s.Readme)); err != nil {
		return nil, sum, err
	}
	m.Files = w.files
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return nil, sum, err
	}
	text = append(text, '\n')
	sum = sha256.Sum256(text)
	if err := os.WriteFile(filepath.Join(dir, ManifestFile), text, 0o600); err != nil {
		return nil, sum, err
	}
	line := fmt.Sprintf("%x  %s\n", sum, ManifestFile)
	return m, sum, os.WriteFile(filepath.Join(dir, SumFile), []byte(line), 0o600)
}

// takeGroups reads the ledger once: it writes the groups, and folds.
func takeGroups(ctx context.Context, s *Source, m *Manifest, w *writer, in, all *engine) error {
	out, err := w.open(GroupsFile)
	if err != nil {
		return err
	}
	groups := &groupWriter{w: out}
	if err := groups.begin(); err != nil {
		return err
	}
	listing, err := newListing(w.open)
	if err != nil {
		return err
	}
	left := map[sekisho.Kind]uint64{}
	names := map[sekisho.Kind]string{}
	for g, err := range ledger.Groups(s.FS, s.Dir, s.Through) {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		if g.Last() > s.Through {
			return fmt.Errorf("entry %d is not the last of its group", s.Through)
		}
		entries, take, err := decode(&g)
		if err != nil {
			return err
		}
		m.Groups++
		m.Chain = hex.EncodeToString(g.Chain[:])
		if take = take || s.Whole; take {
			m.Entries += g.Count
			err = groups.whole(&g)
		} else {
			m.Skipped++
			err = groups.skip(&g)
		}
		if err != nil {
			return fmt.Errorf("writing %s: %w", GroupsFile, err)
		}
		for n := range entries {
			e := &entries[n]
			if e.Body == nil { // of a kind that a newer sekisho wrote
				continue
			}
			if x, ok := e.Body.(*sekisho.LedgerOpened); ok && m.Ledger == "" {
				m.Ledger, m.Drill = x.Name, x.Drill
			}
			if take {
				in.apply(e)
				listing.apply(e, g.First)
			} else {
				left[e.Body.Kind()]++
				names[e.Body.Kind()] = reflect.TypeOf(e.Body).Elem().Name()
			}
			if all != in {
				all.apply(e)
			}
		}
		if s.Progress != nil {
			s.Progress(g.Last(), s.Through)
		}
	}
	for k, n := range left {
		m.Left = append(m.Left, Left{int(k), names[k], n})
	}
	slices.SortFunc(m.Left, func(a, b Left) int { return a.Kind - b.Kind })
	if err := errors.Join(groups.end(), out.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", GroupsFile, err)
	}
	return listing.close()
}

// decode reads a group's entries, and says whether figures rest on one of them.
func decode(g *ledger.Group) (list []sekisho.Entry, take bool, err error) {
	for seq, b := range g.Entries() {
		e, err := sekisho.Decode(b)
		switch {
		case errors.Is(err, sekisho.ErrUnknownKind):
			e.Body = nil
			take = true // it may be what a newer sekisho counts
		case err != nil:
			return nil, false, fmt.Errorf("entry %d: %w", seq, err)
		default:
			take = take || Needs(&e)
		}
		list = append(list, e)
	}
	return list, take, nil
}

// A listing writes what is told entry by entry.
type listing struct {
	entries, documents *sheetWriter
	files              []io.Closer
	frozen             frozen
	open               func(name string) (io.WriteCloser, error)
}

func newListing(open func(name string) (io.WriteCloser, error)) (*listing, error) {
	l := &listing{open: open}
	for name, to := range map[string]**sheetWriter{EntriesFile: &l.entries, DocumentsFile: &l.documents} {
		f, err := open(name)
		if err != nil {
			return nil, err
		}
		l.files = append(l.files, f)
		*to = newSheetWriter(f)
	}
	return l, nil
}

func (l *listing) apply(e *sekisho.Entry, group uint64) {
	if !Needs(e) {
		return
	}
	l.entries.line(entryLine(e, group))
	for _, d := range documents(e) {
		l.documents.line(d)
	}
	l.frozen.apply(e)
}

func (l *listing) close() error {
	errs := []error{l.entries.close(), l.documents.close()}
	for _, f := range l.files {
		errs = append(errs, f.Close())
	}
	errs = append(errs, write(l.open, PopulationsFile, func(s *sheetWriter) {
		for _, p := range l.frozen.list {
			if p.whole {
				s.line(p)
			}
		}
	}))
	return errors.Join(errs...)
}

// A writer writes files and remembers their hashes.
type writer struct {
	dir   string
	files []File
}

type hashedFile struct {
	f   *os.File
	sum hash.Hash
	n   int64
	w   *writer
	as  string
}

func (w *writer) open(name string) (io.WriteCloser, error) {
	at := filepath.Join(w.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(at, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return &hashedFile{f: f, sum: sha256.New(), w: w, as: name}, nil
}

func (h *hashedFile) Write(b []byte) (int, error) {
	h.sum.Write(b)
	n, err := h.f.Write(b)
	h.n += int64(n)
	return n, err
}

func (h *hashedFile) Close() error {
	err := h.f.Close()
	h.w.files = append(h.w.files, File{h.as, h.n, hex.EncodeToString(h.sum.Sum(nil))})
	slices.SortFunc(h.w.files, func(a, b File) int { return bytes.Compare([]byte(a.Name), []byte(b.Name)) })
	return err
}

func (w *writer) put(name string, text []byte) error {
	f, err := w.open(name)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Close())
}

// texts writes the instruments and the rules as they were read.
func (w *writer) texts(s *Source) error {
	for n, i := range s.Register.Instruments {
		if err := w.put(instrumentFile(n, i.ID), i.Text()); err != nil {
			return err
		}
	}
	for n, dir := range s.Law {
		err := fs.WalkDir(dir, ".", func(name string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() || path.Ext(name) != ".yaml" {
				return err
			}
			text, err := fs.ReadFile(dir, name)
			if err != nil {
				return err
			}
			return w.put(fmt.Sprintf("law/%d/%s", n, name), text)
		})
		if err != nil {
			return fmt.Errorf("reading the rules of the law: %w", err)
		}
	}
	return nil
}

// instrumentFile has the place among the others in its name: duties stand in the
// order of instruments.
func instrumentFile(n int, id string) string { return fmt.Sprintf("instruments/%02d-%s.yaml", n, id) }

// names writes what companies are called. It is a help to the reader, and not
// proven.
func (w *writer) names(s *Source, e *engine) error {
	return write(w.open, NamesFile, func(out *sheetWriter) {
		if s.Named == nil {
			return
		}
		for _, m := range e.duty.Units("company", int64(s.Now)) {
			out.line(map[string]any{"space": m.Unit.Space, "ordinal": m.Unit.Ordinal, "name": s.Named(m.Unit.Space, m.Unit.Ordinal)})
		}
	})
}
