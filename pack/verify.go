package pack

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"sekisho"
	"sekisho/disk"
	"sekisho/duty"
	"sekisho/law"
	"sekisho/ledger"
)

// Check says with what a pack is compared beside itself.
type Check struct {
	// Ledger, if given, is the directory of the ledger's segments: whoever is
	// beside it can see that the pack is of this ledger, and that what it leaves
	// out is nothing on which figures rest.
	FS     disk.FS
	Ledger string
	// Noted are chain hashes that somebody wrote down at some time, in hexadecimal
	// digits.
	Noted []string
	// SHA256, if given, is what somebody was told pack.json has.
	SHA256 string
	// Documents are files that belong to entries, as they were handed over.
	Documents []string
	Progress  func(done, total uint64)
}

// A Report is what Verify found.
type Report struct {
	*Manifest
	SHA256 string `json:"sha256"` // of pack.json
	// Problem is the first thing that does not fit; empty: everything does.
	Problem string `json:"problem,omitempty"`
	// Figures that were computed again, and those that are only stated.
	Recomputed int      `json:"figures_recomputed"`
	Stated     []string `json:"figures_stated,omitempty"`
	// Tied are entries whose bytes are proven to stand in the ledger that has the
	// noted hashes; without any, none are.
	Tied        uint64     `json:"entries_tied"`
	Noted       []NotedAt  `json:"noted,omitempty"`
	AtLedger    bool       `json:"compared_with_ledger"`
	Documents   []Matched  `json:"documents,omitempty"`
	Editions    []string   `json:"editions_unproven,omitempty"` // instruments of whose edition no entry speaks
	Left        []Left     `json:"left_out,omitempty"`
	Settings    Settings   `json:"settings"`
	PackMade    []PastPack `json:"earlier_packs,omitempty"`
	firstGroups []place
}

// OK: nothing was found that does not fit.
func (r *Report) OK() bool { return r.Problem == "" }

// NotedAt is a noted hash, with the entry behind which it stands; 0: it is not in
// the pack.
type NotedAt struct {
	Hash string `json:"hash"`
	Last uint64 `json:"last"`
}

// Matched is a document that was handed over, with the entries that name it.
type Matched struct {
	File    string         `json:"file"`
	SHA256  string         `json:"sha256"`
	Entries []DocumentLine `json:"entries"`
}

// A PastPack is an earlier pack of which the ledger tells.
type PastPack struct {
	Entry   uint64 `json:"entry"`
	Through uint64 `json:"through"`
	SHA256  string `json:"sha256"`
}

type place struct {
	first, last uint64
	whole       bool
	chain       [32]byte
}

// misfit is the first thing that does not fit. Other errors say that the pack
// could not be read.
type misfit struct{ text string }

func (m *misfit) Error() string { return m.text }

func wrong(format string, args ...any) error { return &misfit{fmt.Sprintf(format, args...)} }

const (
	maxManifest = 16 << 20
	maxText     = 4 << 20
)

// Verify checks a pack, a directory or an opened zip file, with nothing but what
// is in it. It writes only to a temporary directory. An error says that the pack
// could not be read; what does not fit is in the report.
func Verify(ctx context.Context, pack fs.FS, c Check) (*Report, error) {
	v := &verifier{pack: pack, check: c, r: &Report{}}
	err := v.run(ctx)
	var m *misfit
	if errors.As(err, &m) {
		v.r.Problem = m.text
		err = nil
	}
	if err != nil {
		err = fmt.Errorf("verifying a pack: %w", err)
	}
	return v.r, err
}

type verifier struct {
	pack  fs.FS
	check Check
	r     *Report
	m     *Manifest
}

func (v *verifier) run(ctx context.Context) error {
	if err := v.manifest(); err != nil {
		return err
	}
	if err := v.files(); err != nil {
		return err
	}
	register, rules, err := v.texts()
	if err != nil {
		return err
	}
	e, err := newEngine(&v.m.Settings, register, rules)
	if err != nil {
		return wrong("%s: settings: %v", ManifestFile, err)
	}
	dir, err := os.MkdirTemp("", "sekisho-verify-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	w := &writer{dir: dir}
	if err := v.fold(ctx, e, w); err != nil {
		return err
	}
	if err := v.editions(e, register); err != nil {
		return err
	}
	stated, err := v.stated(register)
	if err != nil {
		return err
	}
	if err := e.derive(v.m, stated, w.open); err != nil {
		return err
	}
	for _, name := range derived {
		if err := v.compare(name, os.DirFS(dir)); err != nil {
			return err
		}
	}
	if err := v.tie(); err != nil {
		return err
	}
	if err := v.documents(); err != nil {
		return err
	}
	if v.check.Ledger != "" {
		return v.beside(ctx)
	}
	return nil
}

func (v *verifier) read(name string, most int64) ([]byte, error) {
	f, err := v.pack.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, wrong("%s is not there", name)
	}
	if err != nil {
		return nil, wrong("%s cannot be read: %v", name, err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, wrong("%s cannot be read: %v", name, err)
	}
	if int64(len(text)) > most {
		return nil, wrong("%s has more than %d bytes", name, most)
	}
	return text, nil
}

func (v *verifier) manifest() error {
	text, err := v.read(ManifestFile, maxManifest)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(text)
	v.r.SHA256 = hex.EncodeToString(sum[:])
	line, err := v.read(SumFile, 1<<10)
	if err != nil {
		return err
	}
	if want := v.r.SHA256 + "  " + ManifestFile + "\n"; string(line) != want {
		return wrong("%s: its SHA-256 is %s, and %s says otherwise", ManifestFile, v.r.SHA256, SumFile)
	}
	if want := strings.ToLower(strings.TrimSpace(v.check.SHA256)); want != "" && want != v.r.SHA256 {
		return wrong("%s: its SHA-256 is %s, and the one given is %s: this is another pack", ManifestFile, v.r.SHA256, want)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	m := &Manifest{}
	if err := d.Decode(m); err != nil {
		return wrong("%s: %v", ManifestFile, err)
	}
	if m.Format != Format {
		return wrong("%s: it is of format %d; this program reads %d", ManifestFile, m.Format, Format)
	}
	if m.At == 0 || m.At > 1<<62 || m.AtText != m.now().String() {
		return wrong("%s: %q is not the moment %d", ManifestFile, m.AtText, m.At)
	}
	v.m, v.r.Manifest, v.r.Left, v.r.Settings = m, m, m.Left, m.Settings
	return nil
}

// files: each that the manifest names is there and as it was, and no other is.
func (v *verifier) files() error {
	named := map[string]bool{ManifestFile: true, SumFile: true}
	for _, f := range v.m.Files {
		if !fs.ValidPath(f.Name) || named[f.Name] {
			return wrong("%s names the file %q, which cannot be", ManifestFile, f.Name)
		}
		named[f.Name] = true
		in, err := v.pack.Open(f.Name)
		if err != nil {
			return wrong("%s is not there", f.Name)
		}
		h := sha256.New()
		n, err := io.Copy(h, io.LimitReader(in, f.Bytes+1))
		in.Close()
		if err != nil {
			return wrong("%s cannot be read: %v", f.Name, err)
		}
		if n != f.Bytes || hex.EncodeToString(h.Sum(nil)) != f.SHA256 {
			return wrong("%s is not the file that %s names: %d bytes of %d, SHA-256 %x", f.Name, ManifestFile, n, f.Bytes, h.Sum(nil))
		}
	}
	for _, name := range append(slices.Clone(derived), GroupsFile, NamesFile, ReadmeFile) {
		if !named[name] {
			return wrong("%s does not name %s", ManifestFile, name)
		}
	}
	return fs.WalkDir(v.pack, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !e.IsDir() && !named[name] {
			return wrong("%s is in the pack, and %s does not name it", name, ManifestFile)
		}
		return nil
	})
}

func (v *verifier) texts() (register *duty.Register, rules *law.Book, err error) {
	var texts [][]byte
	for _, f := range v.m.Files { // in the order of their names
		if path.Dir(f.Name) == "instruments" {
			text, err := v.read(f.Name, maxText)
			if err != nil {
				return nil, nil, err
			}
			texts = append(texts, text)
		}
	}
	if register, err = duty.ReadTexts(texts); err != nil {
		return nil, nil, wrong("instruments: %v", err)
	}
	if v.m.Settings.LawParts < 1 || v.m.Settings.LawParts > 100 {
		return nil, nil, wrong("%s: settings: %d directories of rules", ManifestFile, v.m.Settings.LawParts)
	}
	var dirs []fs.FS
	for n := range v.m.Settings.LawParts {
		sub, err := fs.Sub(v.pack, fmt.Sprintf("law/%d", n))
		if err != nil {
			return nil, nil, err
		}
		dirs = append(dirs, sub)
	}
	if rules, err = v.m.Settings.Rules(dirs); err != nil {
		return nil, nil, wrong("%v", err)
	}
	return register, rules, nil
}

// fold reads the groups: the chain, each hash and each entry.
func (v *verifier) fold(ctx context.Context, e *engine, w *writer) error {
	f, err := v.pack.Open(GroupsFile)
	if err != nil {
		return err
	}
	defer f.Close()
	g, err := newGroupReader(f)
	if err != nil {
		return wrong("%v", err)
	}
	l, err := newListing(w.open)
	if err != nil {
		return err
	}
	var groups, skipped, entries uint64
	var before sekisho.Time
	var name string
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		one, err := g.group()
		if err == io.EOF {
			break
		}
		if err != nil {
			return wrong("%v", err)
		}
		groups++
		v.r.firstGroups = append(v.r.firstGroups, place{one.First, one.Last(), one.Raw != nil, one.Chain})
		if one.Raw == nil {
			skipped++
			continue
		}
		entries += one.Count
		list, _, err := decode(&one)
		if err != nil {
			return wrong("%s: %v", GroupsFile, err)
		}
		for n := range list {
			x := &list[n]
			if seq := one.First + uint64(n); x.ID.Seq != seq {
				return wrong("%s: entry %d stands where entry %d belongs", GroupsFile, x.ID.Seq, seq)
			}
			if x.Time < before {
				return wrong("%s: entry %d is of %v, and one before it of %v", GroupsFile, x.ID.Seq, x.Time, before)
			}
			before = x.Time
			if x.Body == nil {
				continue
			}
			switch b := x.Body.(type) {
			case *sekisho.LedgerOpened:
				if name == "" {
					name = b.Name
				}
			case *sekisho.PackMade:
				v.r.PackMade = append(v.r.PackMade, PastPack{x.ID.Seq, b.Through, hex.EncodeToString(b.SHA256[:])})
			}
			e.apply(x)
			l.apply(x, one.First)
		}
		if v.check.Progress != nil {
			v.check.Progress(one.Last(), v.m.Through)
		}
	}
	if err := l.close(); err != nil {
		return err
	}
	last := g.next - 1
	switch chain := hex.EncodeToString(g.prev[:]); {
	case last != v.m.Through:
		return wrong("%s ends with entry %d, and %s says %d", GroupsFile, last, ManifestFile, v.m.Through)
	case chain != v.m.Chain:
		return wrong("%s ends with the chain hash %s, and %s says %s", GroupsFile, chain, ManifestFile, v.m.Chain)
	case groups != v.m.Groups || skipped != v.m.Skipped || entries != v.m.Entries:
		return wrong("%s holds %d entries and %d groups, %d of them as hashes; %s says %d, %d and %d", GroupsFile, entries, groups, skipped, ManifestFile, v.m.Entries, v.m.Groups, v.m.Skipped)
	case v.m.Whole && skipped > 0:
		return wrong("%s says that every entry is in, and %d groups are not", ManifestFile, skipped)
	case name != v.m.Ledger:
		return wrong("the ledger's name is %q, and %s says %q", name, ManifestFile, v.m.Ledger)
	}
	return nil
}

// editions: the texts are those of which the ledger says that they were in force.
func (v *verifier) editions(e *engine, register *duty.Register) error {
	for _, i := range register.Instruments {
		said, ok := e.duty.Edition(i.ID)
		switch {
		case !ok:
			v.r.Editions = append(v.r.Editions, i.ID)
		case said.Body.SHA256 != i.SHA256:
			return wrong("the text of the instrument %s has the SHA-256 %x; entry %d says that %x was in force", i.ID, i.SHA256, said.Seq, said.Body.SHA256)
		}
	}
	return nil
}

// stated takes the figures that are only stated from the pack: there is nothing
// to compare them with.
func (v *verifier) stated(register *duty.Register) (map[string][]Figure, error) {
	list := map[string][]Figure{}
	for _, name := range v.m.Stated {
		if d := register.Duty(name); d == nil || d.Name() != name {
			return nil, wrong("%s: %q is no duty of its instruments", ManifestFile, name)
		}
		if v.m.Whole {
			return nil, wrong("%s: every entry is in, so the figures of %s must not be stated only", ManifestFile, name)
		}
		list[name] = nil
	}
	f, err := v.pack.Open(FiguresFile)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := lineReader(f)
	for n := 1; lines.Scan(); n++ {
		var one Figure
		d := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		d.DisallowUnknownFields()
		if err := d.Decode(&one); err != nil {
			return nil, wrong("%s, line %d: %v", FiguresFile, n, err)
		}
		v.r.Recomputed++
		if one.Proof != Stated {
			continue
		}
		v.r.Recomputed--
		if _, ok := list[one.Duty]; !ok {
			return nil, wrong("%s, line %d: the figure of %s is only stated, and %s does not say so", FiguresFile, n, one.Duty, ManifestFile)
		}
		list[one.Duty] = append(list[one.Duty], one)
	}
	v.r.Stated = v.m.Stated
	return list, lines.Err()
}

func lineReader(r io.Reader) *bufio.Scanner {
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 1<<16), 64<<20)
	return s
}

// compare names the first line of a file that is not the one that follows from
// the entries.
func (v *verifier) compare(name string, again fs.FS) error {
	a, err := v.pack.Open(name)
	if err != nil {
		return err
	}
	defer a.Close()
	b, err := again.Open(name)
	if err != nil {
		return err
	}
	defer b.Close()
	x, y := lineReader(a), lineReader(b)
	for n := 1; ; n++ {
		here, there := x.Scan(), y.Scan()
		switch {
		case x.Err() != nil || y.Err() != nil:
			return wrong("%s, line %d: %v", name, n, errors.Join(x.Err(), y.Err()))
		case !here && !there:
			return nil
		case !there:
			return wrong("%s, line %d: the pack says %s, and the entries give no such line", name, n, short(x.Bytes()))
		case !here:
			return wrong("%s, line %d: the entries give %s, and the pack ends before it", name, n, short(y.Bytes()))
		case !bytes.Equal(x.Bytes(), y.Bytes()):
			return wrong("%s, line %d: %s", name, n, difference(x.Bytes(), y.Bytes()))
		}
	}
}

// difference says what two lines differ in.
func difference(pack, entries []byte) string {
	var a, b map[string]any
	if json.Unmarshal(pack, &a) == nil && json.Unmarshal(entries, &b) == nil {
		var about []string
		for _, key := range []string{"duty", "instrument", "ref", "window", "of", "company", "unit", "seq", "entry"} {
			if v, ok := b[key]; ok {
				about = append(about, fmt.Sprintf("%s %v", key, v))
			}
		}
		var keys []string
		for key := range b {
			keys = append(keys, key)
		}
		for key := range a {
			if _, ok := b[key]; !ok {
				keys = append(keys, key)
			}
		}
		slices.Sort(keys)
		for _, key := range keys {
			if x, y := fmt.Sprint(a[key]), fmt.Sprint(b[key]); x != y {
				return fmt.Sprintf("%s: %s is %s in the pack, and %s by the entries", strings.Join(about, ", "), key, x, y)
			}
		}
	}
	return fmt.Sprintf("the pack says %s, and the entries give %s", short(pack), short(entries))
}

func short(b []byte) string {
	const most = 400
	if len(b) > most {
		return string(b[:most]) + "…"
	}
	return string(b)
}

// tie says which entries are proven by hashes that were noted elsewhere. Behind a
// noted hash stands every group before it, up to the first of which only the hash
// is here. An entry that is proven can state an earlier hash itself: whoever
// verified the ledger then wrote it down, and so did whoever made a pack.
func (v *verifier) tie() error {
	at := map[string]int{}
	last := map[uint64]int{}
	for n, g := range v.r.firstGroups {
		at[hex.EncodeToString(g.chain[:])] = n
		last[g.last] = n
	}
	tied := make([]bool, len(v.r.firstGroups))
	var queue []int
	for _, h := range v.check.Noted {
		h = strings.ToLower(strings.TrimSpace(h))
		n, ok := at[h]
		if !ok {
			return wrong("the noted hash %s is in no place of the ledger up to entry %d", h, v.m.Through)
		}
		v.r.Noted = append(v.r.Noted, NotedAt{h, v.r.firstGroups[n].last})
		queue = append(queue, n)
	}
	if len(queue) == 0 {
		return nil
	}
	states := map[uint64][]stating{}
	if err := v.states(states); err != nil {
		return err
	}
	for len(queue) > 0 {
		n := queue[0]
		queue = queue[1:]
		for ; n >= 0 && v.r.firstGroups[n].whole && !tied[n]; n-- {
			tied[n] = true
			g := v.r.firstGroups[n]
			v.r.Tied += g.last - g.first + 1
			for _, s := range states[g.first] {
				k, ok := last[s.through]
				if !ok || v.r.firstGroups[k].chain != s.chain {
					return wrong("entry %d states the chain hash %x behind entry %d, and the pack has another one there", s.entry, s.chain, s.through)
				}
				queue = append(queue, k)
			}
		}
	}
	return nil
}

// A stating is an entry that states an earlier chain hash.
type stating struct {
	entry, through uint64
	chain          [32]byte
}

// states are those entries, by the first entry of their group.
func (v *verifier) states(into map[uint64][]stating) error {
	f, err := v.pack.Open(GroupsFile)
	if err != nil {
		return err
	}
	defer f.Close()
	g, err := newGroupReader(f)
	if err != nil {
		return err
	}
	for {
		one, err := g.group()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if one.Raw == nil {
			continue
		}
		list, _, err := decode(&one)
		if err != nil {
			return err
		}
		for _, e := range list {
			switch b := e.Body.(type) {
			case *sekisho.LedgerVerified:
				if b.OK {
					into[one.First] = append(into[one.First], stating{e.ID.Seq, b.Through, b.Hash})
				}
			case *sekisho.PackMade:
				into[one.First] = append(into[one.First], stating{e.ID.Seq, b.Through, b.Chain})
			}
		}
	}
}

// documents finds files that were handed over among those that entries name.
func (v *verifier) documents() error {
	if len(v.check.Documents) == 0 {
		return nil
	}
	by := map[string][]DocumentLine{}
	f, err := v.pack.Open(DocumentsFile)
	if err != nil {
		return err
	}
	defer f.Close()
	lines := lineReader(f)
	for lines.Scan() {
		var d DocumentLine
		if err := json.Unmarshal(lines.Bytes(), &d); err != nil {
			return err
		}
		by[d.SHA256] = append(by[d.SHA256], d)
	}
	if err := lines.Err(); err != nil {
		return err
	}
	for _, name := range v.check.Documents {
		in, err := os.Open(name)
		if err != nil {
			return err
		}
		h := sha256.New()
		_, err = io.Copy(h, in)
		in.Close()
		if err != nil {
			return fmt.Errorf("reading %s: %w", name, err)
		}
		sum := hex.EncodeToString(h.Sum(nil))
		if len(by[sum]) == 0 {
			return wrong("%s has the SHA-256 %s, which no entry of the pack names", name, sum)
		}
		v.r.Documents = append(v.r.Documents, Matched{name, sum, by[sum]})
	}
	return nil
}

// beside compares the pack with the ledger itself: each group, and that what the
// pack leaves out is nothing on which figures rest.
func (v *verifier) beside(ctx context.Context) error {
	n := 0
	f, err := v.pack.Open(GroupsFile)
	if err != nil {
		return err
	}
	defer f.Close()
	g, err := newGroupReader(f)
	if err != nil {
		return err
	}
	for one, err := range ledger.Groups(v.check.FS, v.check.Ledger, v.m.Through) {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		here, err := g.group()
		if err != nil {
			return wrong("the ledger has a group that begins with entry %d, and the pack: %v", one.First, err)
		}
		n++
		switch {
		case here.First != one.First || here.Count != one.Count || here.Chain != one.Chain:
			return wrong("the group that begins with entry %d is another one in the ledger", one.First)
		case here.Raw != nil:
			if !bytes.Equal(here.Raw, one.Raw) {
				return wrong("the group that begins with entry %d has other bytes in the ledger", one.First)
			}
		default:
			list, take, err := decode(&one)
			if err != nil {
				return err
			}
			if take {
				for k := range list {
					if list[k].Body == nil || Needs(&list[k]) {
						return wrong("the pack leaves out entry %d of the ledger, on which figures rest", list[k].ID.Seq)
					}
				}
			}
		}
	}
	v.r.AtLedger = true
	return v.recorded(ctx)
}

// recorded: the ledger says that this pack was made.
func (v *verifier) recorded(context.Context) error {
	for e, err := range ledger.Read(v.check.FS, v.check.Ledger, v.m.Through) {
		if errors.Is(err, sekisho.ErrUnknownKind) {
			continue
		}
		if err != nil {
			return err
		}
		if b, ok := e.Body.(*sekisho.PackMade); ok && hex.EncodeToString(b.SHA256[:]) == v.r.SHA256 {
			return nil
		}
	}
	return wrong("no entry of the ledger says that this pack was made")
}
