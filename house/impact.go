package house

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"sekisho"
	"sekisho/disk"
	"sekisho/incident"
	"sekisho/ledger"
	"sekisho/sensor"
	"sekisho/trace"
	"sekisho/vault"
	"sekisho/view"
)

// Impact answers a question at the ledger's present end; one that does not say whose
// data, over all subjects.
func (h *House) Impact(ctx context.Context, q trace.Question) (a *trace.Answer, err error) {
	if err := h.Settle(ctx); err != nil {
		return nil, err
	}
	rosters, err := rostersOf(h.Vault, q.Space, h.subjects)
	if err != nil {
		return nil, err
	}
	h.Views.Read(func() { a, err = h.Trace.Whole(q, rosters) })
	if err == nil {
		a.NotObserved = append(a.NotObserved, h.silent(a.Question)...)
	}
	return a, err
}

// rostersOf reads the roster of a subject; of every one, where none is named.
func rostersOf(v *vault.Vault, space string, all func() []string) (map[string]*vault.Roster, error) {
	spaces := []string{space}
	if space == "" {
		spaces = all()
	}
	rosters := map[string]*vault.Roster{}
	for _, s := range spaces {
		r, err := v.Roster(s)
		if err != nil {
			return nil, fmt.Errorf("reading the roster of %s: %w", s, err)
		}
		rosters[s] = r
	}
	return rosters, nil
}

// MatchFile compares a recovered file with the roster of a space. Whoever
// calls appends the entry, with the incident and the person filled in. exports are
// the requests of those whose own decoys the file holds; also beside an error.
func (h *House) MatchFile(ctx context.Context, file io.Reader, space string) (matched *sekisho.FileMatched, exports []uint64, err error) {
	matched, report, err := h.matchFile(ctx, file, space)
	if err := h.foundMarks(ctx, matched, report); err != nil {
		return nil, nil, err
	}
	if report != nil {
		exports = report.Exports
	}
	return matched, exports, err
}

func (h *House) matchFile(ctx context.Context, file io.Reader, space string) (*sekisho.FileMatched, *sensor.FileReport, error) {
	roster, err := h.Vault.Roster(space)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the roster of %s: %w", space, err)
	}
	looked := h.lookForMarks(file)
	matched, report, err := sensor.MatchFile(ctx, looked, sensor.FileOptions{Name: "the file"}, roster, h.Vault.Space(space))
	if report == nil {
		// It is no table of customers, and can be an export all the same.
		if _, unread := io.Copy(io.Discard, looked); unread != nil {
			return nil, nil, errors.Join(err, unread)
		}
		report = &sensor.FileReport{}
	}
	report.Exports = looked.requests()
	return matched, report, err
}

// TakeFile compares a recovered file and puts what it found in the ledger.
// who is the member of staff, by name.
func (h *House) TakeFile(ctx context.Context, file io.Reader, space string, incident uint64, who string) (*sekisho.FileMatched, *sensor.FileReport, error) {
	matched, report, err := h.matchFile(ctx, file, space)
	if err != nil {
		return nil, nil, err
	}
	matched.Incident, matched.By = incident, h.Vault.Space("staff").OfText([]byte(who))
	if _, err := h.Ledger.Append(ctx, matched); err != nil {
		return nil, nil, fmt.Errorf("recording the comparison of a file: %w", err)
	}
	return matched, report, nil
}

// Revise brings the numbers of every open incident up to date: each change is
// an entry, so that it can be seen how they moved and why.
func (h *House) Revise(ctx context.Context) error {
	if err := h.Settle(ctx); err != nil {
		return err
	}
	var open []*incident.Incident
	h.Views.Read(func() { open = h.Incidents.List() })
	if len(h.subjects()) == 0 {
		return nil
	}
	for _, i := range open {
		if len(i.Endpoints) == 0 {
			continue // somebody opened it, and nobody has said yet where
		}
		a, err := h.Impact(ctx, h.questionOf(i))
		var unseen *trace.UnknownEndpoint
		if errors.As(err, &unseen) {
			continue // no number can be given while one of its terminals is unknown: 0 would be read as innocence
		}
		if err != nil {
			return fmt.Errorf("revising incident %d: %w", i.Number, err)
		}
		if r := i.Revise(a, 0); r != nil {
			if _, err := h.Ledger.Append(ctx, r...); err != nil {
				return fmt.Errorf("recording the revision of incident %d: %w", i.Number, err)
			}
		}
	}
	return nil
}

// A Stopped ledger is read without being opened: no lock, no new epoch, no
// mark.
type Stopped struct {
	Dir     string                // of the data
	Opened  *sekisho.LedgerOpened // the first of its epochs
	Gate    uint32
	Trace   *trace.Trace
	Vault   *vault.Vault
	Entries uint64
}

// DataDir is the data directory that a person means by a path: it, or the
// directory of the ledger in it.
func DataDir(path string) (string, error) {
	for _, dir := range []string{path, filepath.Dir(filepath.Clean(path))} {
		if names, err := (disk.OS{}).List(ledgerDir(dir)); err == nil && len(names) > 0 {
			return filepath.Abs(dir)
		}
	}
	return "", fmt.Errorf("%s holds no ledger: name the data directory of the config, or the directory ledger in it", path)
}

// ReadStopped folds the ledger of a data directory.
func ReadStopped(dir string) (*Stopped, error) {
	s := &Stopped{Dir: dir, Trace: trace.New()}
	for e, err := range ledger.Read(disk.OS{}, ledgerDir(dir), 1) {
		if err != nil {
			return nil, err
		}
		if b, ok := e.Body.(*sekisho.LedgerOpened); ok {
			s.Opened, s.Gate = b, e.ID.Gate
		}
		break
	}
	if s.Opened == nil {
		return nil, fmt.Errorf("%s: the ledger does not begin as one", ledgerDir(dir))
	}
	var err error
	if s.Entries, err = view.Fold(ledger.Read(disk.OS{}, ledgerDir(dir), 1), s.Trace); err != nil {
		return nil, err
	}
	if _, err := os.Stat(keyFile(dir)); err != nil {
		return nil, fmt.Errorf("the vault's key is needed to name anybody: %w", err)
	}
	key, err := vault.LoadOrMakeKey(keyFile(dir))
	if err != nil {
		return nil, err
	}
	if s.Vault, err = vault.Open(vault.Config{Dir: vaultDir(dir), FS: disk.OS{}, Key: key, ReadOnly: true}); err != nil {
		return nil, err
	}
	return s, nil
}

// Impact answers a question that needs nothing recorded.
func (s *Stopped) Impact(q trace.Question) (*trace.Answer, error) {
	rosters, err := rostersOf(s.Vault, q.Space, s.Trace.Spaces)
	if err != nil {
		return nil, err
	}
	return s.Trace.Whole(q, rosters)
}

// Reopen opens the ledger of a stopped house without its config, for what has
// to be recorded.
func Reopen(ctx context.Context, dir, zone string, o Options) (*House, error) {
	s, err := ReadStopped(dir)
	if err != nil {
		return nil, err
	}
	s.Vault.Close()
	o.Drill, o.Quiet = s.Opened.Drill, true
	return Open(ctx, Config{Name: s.Opened.Name, Data: s.Dir, Number: s.Gate, TimeZone: zone}, s.Dir, o)
}
