package pack

import (
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

	"sekisho/disk"
	"sekisho/duty"
	"sekisho/law"
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
