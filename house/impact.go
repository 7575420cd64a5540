package house

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sekisho"
	"sekisho/disk"
	"sekisho/ledger"
	"sekisho/sensor"
	"sekisho/trace"
	"sekisho/vault"
	"sekisho/view"
)

// A Question is what `sekisho impact` asks, as it is typed.
type Question struct {
	Space       string   `json:"space,omitempty"`
	Endpoints   []string `json:"endpoints"`
	Since       string   `json:"since"` // a date or a time, in the house's time zone
	Until       string   `json:"until"` // exclusive
	Hostile     []string `json:"hostile,omitempty"`
	Compression float64  `json:"compression,omitempty"`
	// List is "confirmed", "suspected" or "worst-case": who they are.
	List string `json:"list,omitempty"`
	// File says what the recovered file that comes with the question is called.
	File string `json:"file,omitempty"`
	// AllowKeyOnly: see sensor.FileOptions.
	AllowKeyOnly bool   `json:"allow_key_only,omitempty"`
	Encoding     string `json:"encoding,omitempty"`
}

// Findings are the answer to a Question.
type Findings struct {
	*trace.Answer
	File *sensor.FileReport `json:"file,omitempty"`
	List *List              `json:"-"`
}

// A List names the customers of one of the numbers.
type List struct {
	Which string
	Space string
	Head  []string
	Rows  [][]string
}

// WriteCSV writes the list so that a spreadsheet opens it as it is: UTF-8 with
// a byte order mark, and no cell that it would take for a formula.
func (l *List) WriteCSV(w io.Writer) error {
	if _, err := io.WriteString(w, "\ufeff"); err != nil {
		return err
	}
	c := csv.NewWriter(w)
	c.UseCRLF = true
	c.Write(l.Head)
	for _, row := range l.Rows {
		safe := make([]string, len(row))
		for i, v := range row {
			if v != "" && strings.ContainsRune("=+-@\t\r", rune(v[0])) {
				v = "'" + v
			}
			safe[i] = v
		}
		c.Write(safe)
	}
	c.Flush()
	return c.Error()
}

// ParseTime reads a date or a time as a person types it. A date is its first
// moment.
func ParseTime(s string, zone *time.Location) (sekisho.Time, error) {
	for _, layout := range []string{"2006-01-02", "2006-01-02 15:04", "2006-01-02T15:04", "2006-01-02 15:04:05", time.RFC3339} {
		if t, err := time.ParseInLocation(layout, s, zone); err == nil {
			return sekisho.At(t), nil
		}
	}
	return 0, fmt.Errorf("%q is no date or time: write 2014-08-18, 2014-08-18 09:30 or 2014-08-18T09:30:00+09:00", s)
}

// settle turns a Question into the index's own.
func (q Question) settle(zone *time.Location) (trace.Question, error) {
	out := trace.Question{Space: q.Space, Endpoints: q.Endpoints, Compression: q.Compression, Lists: q.List != ""}
	var err error
	switch q.List {
	case "", "confirmed", "suspected", "worst-case":
	default:
		return out, fmt.Errorf("list %q: use confirmed, suspected or worst-case", q.List)
	}
	if len(q.Endpoints) == 0 {
		return out, errors.New("no endpoint is named: give the terminals held to be compromised, with --endpoint")
	}
	if out.Since, err = ParseTime(q.Since, zone); err != nil {
		return out, fmt.Errorf("since: %w", err)
	}
	if out.Until, err = ParseTime(q.Until, zone); err != nil {
		return out, fmt.Errorf("until: %w", err)
	}
	if out.Hostile, err = ParsePrefixes(q.Hostile); err != nil {
		return out, fmt.Errorf("hostile: %w", err)
	}
	return out, nil
}

// Roster is the roster of a space, or nil if none was read.
func (h *House) Roster(space string) (*vault.Roster, error) {
	h.rosters.Lock()
	defer h.rosters.Unlock()
	if r := h.rosters.read[space]; r != nil {
		return r, nil
	}
	r, err := h.Vault.Roster(space)
	if err != nil {
		return nil, fmt.Errorf("reading the roster of %s: %w", space, err)
	}
	if h.rosters.read == nil {
		h.rosters.read = map[string]*vault.Roster{}
	}
	h.rosters.read[space] = r
	return r, nil
}

// forgetRoster makes the next question read the roster anew.
func (h *House) forgetRoster(space string) {
	h.rosters.Lock()
	defer h.rosters.Unlock()
	delete(h.rosters.read, space)
}

// Impact answers a question. A recovered file is compared with the roster
// first, which is an entry; a list of people is an access, recorded before it
// is given. who is the member of staff who asks.
func (h *House) Impact(ctx context.Context, q Question, file io.Reader, who string) (*Findings, error) {
	tq, err := q.settle(h.Zone)
	if err != nil {
		return nil, err
	}
	if tq.Space == "" {
		if tq.Space, err = h.onlySpace(); err != nil {
			return nil, err
		}
	}
	roster, err := h.Roster(tq.Space)
	if err != nil {
		return nil, err
	}
	f := &Findings{}
	if file != nil {
		matched, report, err := sensor.MatchFile(ctx, file, sensor.FileOptions{Name: q.File, Encoding: q.Encoding, AllowKeyOnly: q.AllowKeyOnly}, roster, h.Vault.Space(tq.Space))
		if err != nil {
			return nil, err
		}
		matched.By = h.Vault.Space("staff").OfText([]byte(who))
		if _, err := h.Ledger.Append(ctx, matched); err != nil {
			return nil, fmt.Errorf("recording the comparison of %s: %w", q.File, err)
		}
		f.File, tq.File = report, matched
	}
	if err := h.Settle(ctx); err != nil {
		return nil, err
	}
	h.Views.Read(func() { f.Answer, err = h.Trace.Impact(tq, roster) })
	if err != nil {
		return nil, err
	}
	if q.List != "" {
		f.List = listOf(q.List, tq.Space, f.Answer.Lists, h.Vault.Space(tq.Space), roster)
		if err := h.recordExport(ctx, q.List, tq.Space, f.Answer.Lists, roster, who); err != nil {
			return nil, err
		}
	}
	return f, nil
}

func (h *House) onlySpace() (string, error) {
	var spaces []string
	h.Views.Read(func() { spaces = h.Trace.Spaces() })
	switch len(spaces) {
	case 0:
		return "", errors.New("the ledger holds no access yet, so there is nothing to ask it")
	case 1:
		return spaces[0], nil
	}
	return "", fmt.Errorf("the ledger knows several kinds of people: say which with --space (%s)", strings.Join(spaces, ", "))
}

func pick(which string, l trace.Lists) []uint32 {
	switch which {
	case "confirmed":
		return l.Confirmed
	case "suspected":
		return l.Suspected
	}
	return l.WorstCase
}

func listOf(which, space string, lists trace.Lists, keys *vault.Space, roster *vault.Roster) *List {
	l := &List{Which: which, Space: space, Head: []string{space}}
	var schema vault.RosterSchema
	if roster != nil {
		schema = roster.Schema()
		l.Head = append(append(l.Head, schema.Labels...), schema.Dates...)
	}
	for _, ord := range pick(which, lists) {
		key, _ := keys.Key(ord)
		row := []string{key}
		for i := range schema.Labels {
			row = append(row, roster.Label(i, ord))
		}
		for i := range schema.Dates {
			day := ""
			if d := roster.Date(i, ord); d != vault.NoDate {
				day = time.Unix(int64(d)*86400, 0).UTC().Format("2006-01-02")
			}
			row = append(row, day)
		}
		l.Rows = append(l.Rows, row)
	}
	return l
}

// recordExport says in the ledger that a list of people was given out, and to
// whom.
func (h *House) recordExport(ctx context.Context, which, space string, lists trace.Lists, roster *vault.Roster, who string) error {
	subjects := pick(which, lists)
	columns := []string{"ledger." + strings.ReplaceAll(which, "-", "_")}
	session, err := h.Ledger.Append(ctx, &sekisho.SessionOpened{
		Door: sekisho.DoorCommand, Principal: h.Vault.Space("staff").OfText([]byte(who)), Role: "local", Endpoint: "sekisho", Verified: true,
	})
	if err != nil {
		return fmt.Errorf("recording who asked for the list: %w", err)
	}
	categories := sekisho.Identity
	if roster != nil {
		categories |= sekisho.Relation
	}
	shape, err := h.Ledger.Append(ctx, &sekisho.Shape{Verb: sekisho.Export, Space: space, Columns: columns, Categories: categories})
	if err != nil {
		return fmt.Errorf("recording the list: %w", err)
	}
	if _, err = h.Ledger.Append(ctx,
		&sekisho.Access{Session: session.Seq, Shape: shape.Seq, Number: 1, Class: sekisho.Exact, Rows: uint64(len(subjects)), Subjects: subjects},
		&sekisho.SessionClosed{Session: session.Seq, Reason: "terminate"},
	); err != nil {
		return fmt.Errorf("recording the list: %w", err)
	}
	return nil
}

// A Stopped ledger is read without being opened: no lock, no new epoch, no
// mark.
type Stopped struct {
	Dir     string // of the data
	Opened  *sekisho.LedgerOpened
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
			return dir, nil
		}
	}
	return "", fmt.Errorf("%s holds no ledger: name the data directory of the config, or the directory ledger in it", path)
}

// ReadStopped folds the ledger of a data directory.
func ReadStopped(dir string) (*Stopped, error) {
	s := &Stopped{Dir: dir, Trace: trace.New()}
	var err error
	for e, err := range ledger.Read(disk.OS{}, ledgerDir(dir), 1) {
		if err != nil {
			return nil, err
		}
		if b, ok := e.Body.(*sekisho.LedgerOpened); ok {
			s.Opened, s.Gate = b, e.ID.Gate
		}
		if s.Opened != nil {
			break
		}
	}
	if s.Opened == nil {
		return nil, fmt.Errorf("%s: the ledger is empty", ledgerDir(dir))
	}
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
func (s *Stopped) Impact(q Question, zone *time.Location) (*Findings, error) {
	tq, err := q.settle(zone)
	if err != nil {
		return nil, err
	}
	if spaces := s.Trace.Spaces(); tq.Space == "" && len(spaces) == 1 {
		tq.Space = spaces[0]
	}
	roster, err := s.Vault.Roster(tq.Space)
	if err != nil {
		return nil, fmt.Errorf("reading the roster of %s: %w", tq.Space, err)
	}
	a, err := s.Trace.Impact(tq, roster)
	if err != nil {
		return nil, err
	}
	return &Findings{Answer: a}, nil
}

// Reopen opens the ledger of a stopped house without its config, for a
// question that has to be recorded.
func Reopen(ctx context.Context, s *Stopped, zone string, o Options) (*House, error) {
	if o.Drill == "" {
		o.Drill = s.Opened.Drill
	}
	return Open(ctx, Config{Name: s.Opened.Name, Data: s.Dir, Number: s.Gate, TimeZone: zone}, s.Dir, o)
}
