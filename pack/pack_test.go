package pack

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sekisho"
	"sekisho/disk"
	"sekisho/duty"
	"sekisho/law"
	"sekisho/ledger"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var tokyo = time.FixedZone("JST", 9*60*60)

func day(text string) sekisho.Time {
	at, err := time.ParseInLocation("2006-01-02", text, tokyo)
	if err != nil {
		panic(err)
	}
	return sekisho.At(at)
}

// A firm is a company of three whose year is in a ledger on disk.
type firm struct {
	t        *testing.T
	dir      string
	now      time.Time
	ledger   *ledger.Ledger
	register *duty.Register
	document string // a report that somebody keeps
}

func (f *firm) on(date string, bodies ...sekisho.Body) uint64 {
	f.t.Helper()
	f.now = day(date).Go()
	id, err := f.ledger.Append(f.t.Context(), bodies...)
	must(f.t, err)
	return id.Seq
}

func newFirm(t *testing.T) *firm {
	f := &firm{t: t, dir: filepath.Join(t.TempDir(), "ledger"), now: day("2026-04-01").Go()}
	var err error
	f.register, err = duty.Read(nil)
	must(t, err)
	f.ledger, err = ledger.Open(ledger.Config{Dir: f.dir, FS: disk.OS{}, Gate: 1, Name: "member-db", Software: "test", Now: func() time.Time { return f.now }, SegmentBytes: 1 << 20})
	must(t, err)
	t.Cleanup(func() { f.ledger.Close() })
	for _, i := range f.register.Instruments {
		f.on("2026-04-01", &sekisho.InstrumentRead{Instrument: i.ID, Edition: i.Edition, SHA256: i.SHA256, Duties: uint64(len(i.Duties)), Clauses: uint64(len(i.Clauses))})
	}
	f.on("2026-04-01", &sekisho.UnitChanged{Unit: 1, Action: "opened", Is: "company", Effective: day("2026-04-01")})
	for staff := range uint32(3) {
		f.on("2026-04-01", &sekisho.PersonChanged{Staff: staff + 1, Action: "joined", Effective: day("2026-04-01"), Joined: day("2026-04-01"), Employed: "employee", Postings: []sekisho.PersonPosting{{Unit: 1, As: "main"}}})
	}
	// A clerk reads customers, which no figure but two counts.
	session := f.on("2026-05-01", &sekisho.SessionOpened{Door: sekisho.DoorGate, Principal: 1, Role: "clerk", Endpoint: "pc-1", Verified: true})
	shape := f.on("2026-05-01", &sekisho.Shape{Verb: sekisho.Read, Space: "member", Tables: []string{"crm.member"}})
	for n := range uint64(5) {
		f.on("2026-05-02", &sekisho.Access{Session: session, Shape: shape, Number: n, Class: sekisho.Exact, Rows: 1, Least: 40, Subjects: []uint32{uint32(n) + 1}})
	}
	report := []byte("the minutes of the council\n")
	f.document = filepath.Join(t.TempDir(), "minutes.txt")
	must(t, os.WriteFile(f.document, report, 0o600))
	for staff := range uint32(2) {
		seq := f.on("2026-06-01", &sekisho.EvidenceStated{Evidence: "training_completion", Producer: "H", Space: "staff", Units: []uint32{staff + 1}, From: day("2026-06-01"), Item: "spring", SHA256: sha256.Sum256(report), By: 8})
		f.on("2026-06-02", &sekisho.EvidenceSigned{Evidence: seq, Action: "countersigned", By: 9})
	}
	f.on("2026-06-03", &sekisho.ExceptionAsked{Duty: "policy/M3a", Space: "staff", Units: []uint32{3}, What: "waived", From: day("2026-06-03"), Until: day("2026-12-01"), Owner: 7, By: 8})
	return f
}

func (f *firm) source(whole bool) Source {
	through := f.ledger.Last()
	return Source{FS: disk.OS{}, Dir: f.dir, Through: through, Register: f.register, Law: []fs.FS{law.Shipped()}, Software: "test", By: 8, Now: day("2026-07-15"), Whole: whole,
		Settings: Settings{Zone: "Asia/Tokyo", YearBegins: 4, Company: law.Company{Established: []string{"JP"}}}, Readme: "read me\n",
		Named: func(string, uint32) string { return "company/airline" }}
}

func (f *firm) pack(whole bool) (dir string, m *Manifest) {
	f.t.Helper()
	dir = filepath.Join(f.t.TempDir(), "pack")
	m, sum, err := Make(f.t.Context(), f.source(whole), dir)
	must(f.t, err)
	chain, err := hex.DecodeString(m.Chain)
	must(f.t, err)
	f.on("2026-07-16", &sekisho.PackMade{Until: m.now(), Through: m.Through, Chain: [32]byte(chain), Whole: whole, Entries: m.Entries, Stated: uint64(len(m.Stated)), SHA256: sum, By: 8})
	return dir, m
}

func verify(t *testing.T, dir string, c Check) *Report {
	t.Helper()
	c.FS = disk.OS{}
	r, err := Verify(t.Context(), os.DirFS(dir), c)
	must(t, err)
	return r
}

func fits(t *testing.T, r *Report) {
	t.Helper()
	if !r.OK() {
		t.Fatalf("it does not fit: %s", r.Problem)
	}
}

// A pack as it was made verifies by itself; it says which figures it only states,
// and beside the ledger that it leaves out nothing.
func TestPackVerifies(t *testing.T) {
	f := newFirm(t)
	for _, whole := range []bool{false, true} {
		dir, m := f.pack(whole)
		r := verify(t, dir, Check{Ledger: f.dir, Documents: []string{f.document}})
		fits(t, r)
		if r.Recomputed < 50 || !r.AtLedger || len(r.Documents) != 1 || len(r.Documents[0].Entries) != 2 || len(r.Editions) != 0 {
			t.Errorf("whole %v: %+v", whole, r)
		}
		if whole != (len(r.Stated) == 0) || !whole && !slices.Equal(r.Stated, []string{"policy/P4b", "policy/M1e"}) && !slices.Contains(r.Stated, "policy/P4b") {
			t.Errorf("whole %v: stated are %q", whole, r.Stated)
		}
		if whole != (m.Skipped == 0) {
			t.Errorf("whole %v: %d groups as hashes", whole, m.Skipped)
		}
		lines := read(t, dir, ObligationsFile)
		for unit, want := range map[string]string{`{"space":"staff","ordinal":1}`: `"status":"OPEN"`, `{"space":"staff","ordinal":3}`: `"status":"OPEN"`} {
			if !strings.Contains(lines, `"duty":"policy/M3a","window":"2026","unit":`+unit) || !strings.Contains(lines, want) {
				t.Errorf("no obligation of %s with %s in\n%.600s", unit, want, lines)
			}
		}
		if whole && strings.Contains(read(t, dir, EntriesFile), `"Access"`) {
			t.Error("accesses are listed as what figures rest on")
		}
	}
}

// The console's book, folded from the whole ledger, has the figures of the pack.
func TestPackHasTheFiguresOfTheRegister(t *testing.T) {
	f := newFirm(t)
	dir, m := f.pack(false)
	rules, err := law.Load(law.Shipped())
	must(t, err)
	e, err := newEngine(&m.Settings, f.register, rules)
	must(t, err)
	for one, err := range ledger.Read(disk.OS{}, f.dir, 1) {
		must(t, err)
		if one.ID.Seq <= m.Through {
			e.apply(&one)
		}
	}
	seen := 0
	for line := range strings.Lines(read(t, dir, FiguresFile)) {
		var got Figure
		must(t, json.Unmarshal([]byte(line), &got))
		if got.Of != "group" || !got.Headline {
			continue
		}
		seen++
		l, ok := e.duty.Line(f.register.Duty(got.Duty), duty.Scope{}, int64(m.now()))
		if !ok || l.Tally != got.Tally {
			t.Errorf("%s: the pack says %+v, the register %+v", got.Duty, got.Tally, l.Tally)
		}
	}
	if seen < 45 {
		t.Errorf("%d duties have a figure", seen)
	}
}

// One flipped bit in any file is found, and the file is named.
func TestPackFlippedBit(t *testing.T) {
	f := newFirm(t)
	dir, _ := f.pack(false)
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		at := filepath.Join(dir, name)
		text, err := os.ReadFile(at)
		if err != nil || len(text) == 0 {
			return err
		}
		for _, place := range []int{0, len(text) / 3, len(text) - 1} {
			flipped := bytes.Clone(text)
			flipped[place] ^= 1 << (place % 8)
			must(t, os.WriteFile(at, flipped, 0o600))
			if r := verify(t, dir, Check{}); r.OK() || !strings.Contains(r.Problem, name) && name != SumFile {
				t.Errorf("%s, byte %d: %q", name, place, r.Problem)
			}
		}
		return os.WriteFile(at, text, 0o600)
	})
	must(t, err)
	fits(t, verify(t, dir, Check{}))
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	must(t, err)
	return string(text)
}

// forge changes a file and every hash above it, as whoever makes packs could.
func forge(t *testing.T, dir, name string, change func([]byte) []byte, more ...func(*Manifest)) {
	t.Helper()
	text := change([]byte(read(t, dir, name)))
	must(t, os.WriteFile(filepath.Join(dir, name), text, 0o600))
	var m Manifest
	must(t, json.Unmarshal([]byte(read(t, dir, ManifestFile)), &m))
	for n := range m.Files {
		if m.Files[n].Name == name {
			m.Files[n].Bytes, m.Files[n].SHA256 = int64(len(text)), fmt.Sprintf("%x", sha256.Sum256(text))
		}
	}
	for _, one := range more {
		one(&m)
	}
	out, err := json.MarshalIndent(m, "", "  ")
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, ManifestFile), out, 0o600))
	must(t, os.WriteFile(filepath.Join(dir, SumFile), fmt.Appendf(nil, "%x  %s\n", sha256.Sum256(out), ManifestFile), 0o600))
}

// regroup writes the file of groups again, as drop says for each group that is
// in: whether its hash alone shall stand in its place.
func regroup(t *testing.T, text []byte, drop func(list []sekisho.Entry) bool, m *Manifest) []byte {
	t.Helper()
	g, err := newGroupReader(bytes.NewReader(text))
	must(t, err)
	var out bytes.Buffer
	w := &groupWriter{w: &out}
	must(t, w.begin())
	for {
		one, err := g.group()
		if err != nil {
			break
		}
		if one.Raw == nil {
			must(t, w.skip(&one))
			continue
		}
		list, _, err := decode(&one)
		must(t, err)
		if drop(list) {
			m.Skipped++
			m.Entries -= one.Count
			must(t, w.skip(&one))
			continue
		}
		must(t, w.whole(&one))
	}
	must(t, w.end())
	return out.Bytes()
}

// What somebody changes who makes every hash anew is found all the same.
func TestPackForged(t *testing.T) {
	f := newFirm(t)
	swap := func(from, to string) func([]byte) []byte {
		return func(text []byte) []byte {
			if !bytes.Contains(text, []byte(from)) {
				t.Errorf("there is no %s", from)
			}
			return bytes.Replace(text, []byte(from), []byte(to), 1)
		}
	}
	same := func(text []byte) []byte { return text }
	for what, one := range map[string]struct {
		name   string
		change func([]byte) []byte
		more   func(*Manifest)
		says   string
	}{
		"an altered figure":          {FiguresFile, swap(`"missed":0`, `"missed":1`), nil, "missed is 1 in the pack, and 0 by the entries"},
		"an altered clause":          {ClausesFile, swap(`"no_case":true`, `"no_case":false`), nil, "no_case"},
		"an altered obligation":      {ObligationsFile, swap(`"status":"UNKNOWN"`, `"status":"MET"`), nil, "status is MET in the pack, and UNKNOWN by the entries"},
		"a lost obligation":          {ObligationsFile, func(text []byte) []byte { return text[bytes.IndexByte(text, '\n')+1:] }, nil, ObligationsFile + ", line 1"},
		"an altered entry as text":   {EntriesFile, swap(`"countersigned"`, `"rejected"`), nil, "countersigned"},
		"an altered document's hash": {DocumentsFile, swap(`"sha256":"`, `"sha256":"0`), nil, DocumentsFile},
		"an altered exception":       {ExceptionsFile, swap(`"action":""`, `"action":"approved"`), nil, "action is approved in the pack"},
		"another text of the policy": {"instruments/03-policy.yaml", swap("times: 2", "times: 1"), nil, "the text of the instrument policy has the SHA-256"},
		"another moment":             {FiguresFile, same, func(m *Manifest) { m.At = uint64(day("2027-07-15")); m.AtText = m.now().String() }, FiguresFile},
		"another beginning of years": {FiguresFile, same, func(m *Manifest) { m.Settings.YearBegins = 1 }, FiguresFile},
		"another last entry":         {FiguresFile, same, func(m *Manifest) { m.Through-- }, GroupsFile + " ends with entry"},
		"another chain hash":         {FiguresFile, same, func(m *Manifest) { m.Chain = strings.Repeat("0", 64) }, GroupsFile + " ends with the chain hash"},
		"a figure that is stated":    {FiguresFile, swap(`"proof":"entries"`, `"proof":"stated"`), nil, "only stated"},
		"a lost group": {GroupsFile, func(text []byte) []byte {
			n := bytes.Index(text[20:], []byte("GGRP1"))
			_ = n
			return dropRecord(t, text, 2)
		}, nil, "entries are missing"},
		"the end cut off": {GroupsFile, func(text []byte) []byte { return text[:len(text)-60] }, nil, "ends early"},
	} {
		t.Run(what, func(t *testing.T) {
			dir, _ := f.pack(false)
			var more []func(*Manifest)
			if one.more != nil {
				more = append(more, one.more)
			}
			forge(t, dir, one.name, one.change, more...)
			if r := verify(t, dir, Check{}); r.OK() || !strings.Contains(r.Problem, one.says) {
				t.Errorf("found: %q", r.Problem)
			}
		})
	}
}

// dropRecord leaves out the nth group that is in, from 0.
func dropRecord(t *testing.T, text []byte, nth int) []byte {
	t.Helper()
	g, err := newGroupReader(bytes.NewReader(text))
	must(t, err)
	var out bytes.Buffer
	w := &groupWriter{w: &out}
	must(t, w.begin())
	for n := 0; ; {
		one, err := g.group()
		if err != nil {
			break
		}
		if one.Raw == nil {
			must(t, w.skip(&one))
			continue
		}
		if n++; n != nth+1 {
			must(t, w.whole(&one))
		}
	}
	must(t, w.end())
	return out.Bytes()
}

// Entries of which a pack keeps the hash alone are missed by the figures; if
// whoever forges it computes those anew, too, by whoever is beside the ledger.
func TestPackWithAnEntryLeftOut(t *testing.T) {
	f := newFirm(t)
	unsigned := func(list []sekisho.Entry) bool {
		_, ok := list[0].Body.(*sekisho.EvidenceSigned)
		return ok
	}
	dir, _ := f.pack(false)
	var counts Manifest
	text := regroup(t, []byte(read(t, dir, GroupsFile)), unsigned, &counts)
	forge(t, dir, GroupsFile, func([]byte) []byte { return text }, func(m *Manifest) { m.Skipped += counts.Skipped; m.Entries += counts.Entries })
	r := verify(t, dir, Check{})
	if r.OK() || !strings.Contains(r.Problem, EntriesFile) {
		t.Errorf("found: %q", r.Problem)
	}

	// All derived files are made anew from what is left: the pack agrees with
	// itself, which a pack that is not whole cannot help.
	must(t, rederive(t, dir, f))
	fits(t, verify(t, dir, Check{}))
	if r := verify(t, dir, Check{Ledger: f.dir}); r.OK() || !strings.Contains(r.Problem, "the pack leaves out entry") {
		t.Errorf("beside the ledger: %q", r.Problem)
	}
}

// rederive makes the derived files of a pack follow from its groups again.
func rederive(t *testing.T, dir string, f *firm) error {
	t.Helper()
	var m Manifest
	must(t, json.Unmarshal([]byte(read(t, dir, ManifestFile)), &m))
	rules, err := law.Load(law.Shipped())
	must(t, err)
	e, err := newEngine(&m.Settings, f.register, rules)
	must(t, err)
	again := t.TempDir()
	w := &writer{dir: again}
	v := &verifier{pack: os.DirFS(dir), m: &m, r: &Report{}}
	must(t, v.fold(t.Context(), e, w))
	stated, err := v.stated(f.register)
	must(t, err)
	must(t, e.derive(&m, stated, w.open))
	for _, name := range derived {
		forge(t, dir, name, func([]byte) []byte { return []byte(read(t, again, name)) })
	}
	return nil
}

// A hash that somebody noted ties every entry before it to that ledger, where the
// pack is whole; where it is not, those up to the first gap.
func TestPackNotedHash(t *testing.T) {
	f := newFirm(t)
	verified, err := ledger.Verify(disk.OS{}, f.dir, nil)
	must(t, err)
	noted := hex.EncodeToString(verified.Chain[:])
	f.on("2026-07-01", &sekisho.EvidenceStated{Evidence: "minutes", Producer: "H", From: day("2026-07-01"), By: 8})
	for _, whole := range []bool{false, true} {
		dir, m := f.pack(whole)
		r := verify(t, dir, Check{Noted: []string{noted}})
		fits(t, r)
		if len(r.Noted) != 1 || r.Noted[0].Last != verified.Last.Seq {
			t.Errorf("noted: %+v", r.Noted)
		}
		if whole && r.Tied != verified.Last.Seq || !whole && (r.Tied == 0 || r.Tied >= m.Entries) {
			t.Errorf("whole %v: %d entries of %d are tied to the hash", whole, r.Tied, m.Entries)
		}
		if r := verify(t, dir, Check{Noted: []string{strings.Repeat("ab", 32)}}); r.OK() || !strings.Contains(r.Problem, "is in no place of the ledger") {
			t.Errorf("another hash: %q", r.Problem)
		}
	}

	// Another company's pack is not of this ledger.
	other := newFirm(t)
	other.on("2026-07-01", &sekisho.EvidenceStated{Evidence: "minutes", Producer: "H", From: day("2026-07-01"), By: 7})
	dir, _ := other.pack(true)
	if r := verify(t, dir, Check{Ledger: f.dir}); r.OK() || !strings.Contains(r.Problem, "is another one in the ledger") {
		t.Errorf("another ledger: %q", r.Problem)
	}
}

// A zip file of a pack is the pack; what is in it besides is found.
func TestPackAsZip(t *testing.T) {
	f := newFirm(t)
	dir, _ := f.pack(false)
	name := filepath.Join(t.TempDir(), "pack.zip")
	out, err := os.Create(name)
	must(t, err)
	must(t, Zip(dir, out))
	must(t, out.Close())
	in, done, err := Open(name)
	must(t, err)
	defer done.Close()
	r, err := Verify(t.Context(), in, Check{})
	must(t, err)
	fits(t, r)
	again := filepath.Join(t.TempDir(), "again")
	must(t, Unzip(name, again))
	fits(t, verify(t, again, Check{SHA256: r.SHA256}))
	must(t, os.WriteFile(filepath.Join(again, "more.txt"), nil, 0o600))
	if r := verify(t, again, Check{}); r.OK() || !strings.Contains(r.Problem, "more.txt is in the pack") {
		t.Errorf("found: %q", r.Problem)
	}
	if r := verify(t, dir, Check{SHA256: strings.Repeat("0", 64)}); r.OK() || !strings.Contains(r.Problem, "this is another pack") {
		t.Errorf("found: %q", r.Problem)
	}
}

func FuzzGroups(f *testing.F) {
	f.Add([]byte(groupsMagic + "E"))
	f.Add([]byte(groupsMagic + "S\x01\x05" + strings.Repeat("x", 32) + "E"))
	f.Fuzz(func(t *testing.T, text []byte) {
		g, err := newGroupReader(bytes.NewReader(text))
		if err != nil {
			return
		}
		for next := uint64(1); ; {
			one, err := g.group()
			if err != nil {
				return
			}
			if one.First != next || one.Count == 0 {
				t.Fatalf("group %+v where entry %d is next", one, next)
			}
			next += one.Count
		}
	})
}
