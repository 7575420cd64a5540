package duty

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"sekisho"
)

// Completions of a learning system that the company has already come as CSV
// with a line of names: person (user name or mail address), course, completed (a
// day or a time); and, if there are any, edition and score. Other columns are
// not looked at.

// An ImportedLine is one completion as another system says it.
type ImportedLine struct {
	Person    string `json:"person"`
	Course    string `json:"course"`
	Edition   string `json:"edition,omitempty"`
	Completed string `json:"completed"`
	Score     string `json:"score,omitempty"`
}

// An Import is a delivery of completions.
type Import struct {
	System string // the other system's name
	// Declared: it is somebody's word, which counts once a second person has
	// countersigned.
	Declared bool
	SHA256   [32]byte
	By       uint32
	Lines    []ImportedLine
}

// An Imported is what became of a delivery.
type Imported struct {
	Lines   int       `json:"lines"`
	Taken   int       `json:"taken"` // or would be
	Known   int       `json:"known"` // the ledger has them already
	Refused []Refused `json:"refused"`
	More    int       `json:"refused_more,omitempty"` // refused lines beyond those that are listed
	Entries []uint64  `json:"entries,omitempty"`      // the first and the last
	DryRun  bool      `json:"dry_run"`
}

// A Refused line of a delivery. It says which, and why, and not whom.
type Refused struct {
	Line int    `json:"line"` // from 1; in CSV the line of names is 1
	Why  string `json:"why"`  // "person", "course", "completed", "future", "before_joining", "score", "edition", "columns", "twice"
}

// Limits on a delivery.
const (
	MaxImport      = 32 << 20 // bytes
	mostImported   = 200_000  // lines
	maxImportField = 320
	mostRefused    = 1000 // that are listed
	importAtOnce   = 1000 // entries
)

// ReadImport reads CSV. It answers lines that cannot be read by their columns;
// what is wrong with the others is Take's to say.
func ReadImport(r io.Reader) (lines []ImportedLine, sum [32]byte, err error) {
	h := sha256.New()
	limited := &io.LimitedReader{R: r, N: MaxImport + 1}
	in := bufio.NewReader(io.TeeReader(limited, h))
	if mark, err := in.Peek(3); err == nil && bytes.Equal(mark, []byte("\xef\xbb\xbf")) { // as spreadsheets write
		in.Discard(3)
	}
	c := csv.NewReader(in)
	c.FieldsPerRecord, c.ReuseRecord, c.LazyQuotes = -1, true, false
	names, err := c.Read()
	if err != nil {
		return nil, sum, fmt.Errorf("reading completions: the line of names: %w", err)
	}
	at := map[string]int{}
	for i, n := range names {
		at[strings.ToLower(strings.TrimSpace(n))] = i
	}
	for _, need := range []string{"person", "course", "completed"} {
		if _, ok := at[need]; !ok {
			return nil, sum, fmt.Errorf("reading completions: there is no column %q: the first line names person, course, completed, and if known edition and score", need)
		}
	}
	width := len(names)
	for {
		record, err := c.Read()
		if err == io.EOF {
			break
		}
		var bad *csv.ParseError
		if errors.As(err, &bad) {
			return nil, sum, fmt.Errorf("reading completions: line %d cannot be read as CSV: %w", bad.Line, bad.Err)
		}
		if err != nil {
			return nil, sum, fmt.Errorf("reading completions: %w", err)
		}
		if len(lines) >= mostImported {
			return nil, sum, fmt.Errorf("reading completions: more than %d lines: cut the file", mostImported)
		}
		field := func(name string) string {
			if i, ok := at[name]; ok && i < len(record) {
				return strings.Clone(strings.TrimSpace(record[i]))
			}
			return ""
		}
		l := ImportedLine{field("person"), field("course"), field("edition"), field("completed"), field("score")}
		if len(record) != width {
			l = ImportedLine{Person: "\x00"} // refused for its columns
		}
		lines = append(lines, l)
	}
	if limited.N <= 0 {
		return nil, sum, fmt.Errorf("reading completions: more than %d bytes", MaxImport)
	}
	io.Copy(io.Discard, in)
	return lines, [32]byte(h.Sum(nil)), nil
}

// Take takes a delivery over, or with dry says what it would do. What was taken
// is durable on return; after a crash in between the same delivery takes the
// rest, since what is known is not taken twice.
func (s *School) Take(ctx context.Context, m Import, dry bool) (*Imported, error) {
	s.planning.Lock()
	defer s.planning.Unlock()
	if len(m.Lines) > mostImported {
		return nil, fmt.Errorf("taking completions over: more than %d lines", mostImported)
	}
	out := &Imported{Lines: len(m.Lines), DryRun: dry, Refused: []Refused{}}
	refuse := func(i int, why string) {
		if len(out.Refused) < mostRefused {
			out.Refused = append(out.Refused, Refused{i, why})
		} else {
			out.More++
		}
	}
	byMail := s.addresses()
	courses := map[string]bool{}
	s.Views.Read(func() {
		for _, e := range s.Training.Editions() {
			courses[e.Body.Course] = true
		}
	})
	type mark struct {
		person uint32
		course string
		when   sekisho.Time
	}
	seen := map[mark]bool{}
	var bodies []sekisho.Body
	for i, l := range m.Lines {
		n := i + 2
		b, why := s.imported(&l, byMail, courses)
		if why != "" {
			refuse(n, why)
			continue
		}
		k := mark{b.Person, b.Course, b.When}
		if seen[k] {
			refuse(n, "twice")
			continue
		}
		seen[k] = true
		if s.has(b) {
			out.Known++
			continue
		}
		b.Source, b.System, b.SHA256, b.By = "import", m.System, m.SHA256, m.By
		if m.Declared {
			b.Source = "declared"
		}
		bodies = append(bodies, b)
	}
	out.Taken = len(bodies)
	if dry {
		return out, nil
	}
	for part := range slices.Chunk(bodies, importAtOnce) {
		first, err := s.record(ctx, part...)
		if err != nil {
			return nil, err
		}
		if out.Entries == nil {
			out.Entries = []uint64{first, 0}
		}
		out.Entries[1] = first + uint64(len(part)) - 1
	}
	return out, nil
}

// has says that the ledger holds a completion of this person and course at this
// time, whoever said so.
func (s *School) has(b *sekisho.TrainingCompleted) (known bool) {
	s.Views.Read(func() {
		for _, c := range s.Training.byPerson[b.Person] {
			known = known || c.State != "withdrawn" && c.Body.Course == b.Course && c.Body.When == b.When
		}
	})
	return known
}

func (s *School) imported(l *ImportedLine, byMail map[string]uint32, courses map[string]bool) (*sekisho.TrainingCompleted, string) {
	for _, f := range []string{l.Person, l.Course, l.Edition, l.Completed, l.Score} {
		if len(f) > maxImportField || !utf8.ValidString(f) || strings.ContainsFunc(f, func(r rune) bool { return r < ' ' }) {
			return nil, "columns"
		}
	}
	name := strings.ToLower(l.Person)
	who, ok := s.Vault.Space("staff").Find(name)
	if !ok || len(s.People.Past(who)) == 0 {
		if who = byMail[name]; who == 0 {
			return nil, "person"
		}
	}
	if !courseName(l.Course) || !courses[l.Course] && s.Config.Elsewhere[l.Course] == "" {
		return nil, "course"
	}
	if l.Edition != "" && !courseName(l.Edition) {
		return nil, "edition"
	}
	b := &sekisho.TrainingCompleted{Person: who, Course: l.Course, Edition: l.Edition}
	for _, layout := range []string{time.RFC3339, "2006-01-02", "2006-01-02 15:04", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006/01/02", "2006/1/2"} {
		if t, err := time.ParseInLocation(layout, l.Completed, s.Zone); err == nil && t.Unix() > 0 {
			b.When = sekisho.At(t)
			break
		}
	}
	switch p := s.People.Past(who); {
	case b.When == 0:
		return nil, "completed"
	case b.When > s.now():
		return nil, "future"
	case p[0].Joined > b.When+86400e6:
		return nil, "before_joining"
	}
	if l.Score != "" {
		n, err := strconv.ParseFloat(strings.TrimSuffix(l.Score, "%"), 64)
		if err != nil || !(n >= 0 && n <= 100) {
			return nil, "score"
		}
		b.Scored, b.Score = true, uint64(n)
	}
	return b, ""
}

// addresses are everybody's mail addresses; 0 stands at one that two have.
func (s *School) addresses() map[string]uint32 {
	by := map[string]uint32{}
	for p := range s.People.PeopleAt(s.now()) {
		if a := strings.ToLower(s.Attributes(p.Staff).Mail); a != "" {
			if _, twice := by[a]; twice {
				by[a] = 0
				continue
			}
			by[a] = p.Staff
		}
	}
	return by
}

// Judge countersigns completions that somebody declared, or takes completions
// back. who says whether two ordinals of "staff" are one person.
func (s *School) Judge(ctx context.Context, seqs []uint64, action, reason string, by uint32, same func(a, b uint32) bool) error {
	seqs = slices.Compact(slices.Sorted(slices.Values(seqs)))
	if len(seqs) == 0 || len(seqs) > mostImported {
		return ErrTraining("completion")
	}
	var err error
	s.Views.Read(func() {
		for _, seq := range seqs {
			c := s.Training.bySeq[seq]
			switch {
			case c == nil || c.State == "withdrawn":
				err = ErrTraining("completion")
			case action == "withdrawn":
			case action != "countersigned":
				err = ErrTraining("action")
			case c.State != "declared":
				err = ErrTraining("completion")
			case same(by, c.Body.By) || same(by, c.Body.Person):
				err = ErrTraining("own")
			}
		}
	})
	if err != nil {
		return err
	}
	if action == "withdrawn" && reason == "" {
		return ErrTraining("reason")
	}
	said, err := s.text("said", reason)
	if err != nil {
		return err
	}
	_, err = s.record(ctx, &sekisho.TrainingJudged{Completions: seqs, Action: action, Reason: said, By: by})
	return err
}

// Change ends or prolongs a plan, excuses people or lets them try anew.
func (s *School) Change(ctx context.Context, b sekisho.TrainingChanged, reason string) error {
	s.planning.Lock()
	defer s.planning.Unlock()
	var err error
	s.Views.Read(func() {
		p := s.Training.Plan(b.Plan)
		switch {
		case p == nil:
			err = ErrTraining("plan")
		case p.Ended != 0:
			err = ErrEnded
		case b.Action == "prolonged" && b.Due <= p.Due:
			err = ErrTraining("due")
		case b.Action == "excused" || b.Action == "again":
			for _, o := range b.People {
				if p.enrolment(o) == nil {
					err = ErrNotAssigned
				}
			}
			if len(b.People) == 0 {
				err = ErrNotAssigned
			}
		case b.Action != "ended" && b.Action != "prolonged":
			err = ErrTraining("action")
		}
	})
	if err != nil {
		return err
	}
	if reason == "" {
		return ErrTraining("reason")
	}
	if b.Reason, err = s.text("said", reason); err != nil {
		return err
	}
	b.People = slices.Compact(slices.Sorted(slices.Values(b.People)))
	_, err = s.record(ctx, &b)
	return err
}

// Declared are completions that wait for a second person, the oldest first.
func (t *Training) Declared(most int) (list []Completion, all int) {
	for _, c := range t.done {
		if c.State == "declared" {
			if all++; len(list) < most {
				list = append(list, *c)
			}
		}
	}
	return list, all
}
