package pack

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"

	"sekisho"
	"sekisho/duty"
)

// A Figure is one line of figures.jsonl: a duty in one window, of the group, its
// executives or one company.
type Figure struct {
	Duty     string     `json:"duty"`
	Title    duty.Words `json:"title"`
	Window   string     `json:"window"`
	From     string     `json:"from"`
	Until    string     `json:"until"`
	Closed   bool       `json:"closed"`
	Frozen   bool       `json:"frozen"` // the population is the one that was frozen at the close
	Headline bool       `json:"headline,omitempty"`
	Of       string     `json:"of"` // "group", "executives", "company"
	Company  uint32     `json:"company,omitempty"`
	duty.Tally
	NoCase bool   `json:"no_case,omitempty"`
	Low    int64  `json:"low_permille"`
	High   int64  `json:"high_permille"`
	Proof  string `json:"proof"` // Recomputed, Stated
}

// What a figure rests on.
const (
	Recomputed = "entries" // on entries that are in the pack
	Stated     = "stated"  // on the word of whoever made the pack: the entries are not in it
)

// A ClauseLine is one line of clauses.jsonl: as good as its worst duty.
type ClauseLine struct {
	Instrument string     `json:"instrument"`
	Ref        string     `json:"ref"`
	Title      duty.Words `json:"title"`
	Duties     []string   `json:"duties,omitempty"`
	Worst      string     `json:"worst,omitempty"`
	Low        int64      `json:"low_permille"`
	NoCase     bool       `json:"no_case,omitempty"`
	Mean       int64      `json:"mean_permille"`
	Proof      string     `json:"proof"`
	Claim      *Claim     `json:"claim,omitempty"`
}

// A Claim is a line of the statement of applicability.
type Claim struct {
	Entry      uint64   `json:"entry"`
	Applicable bool     `json:"applicable"`
	Claim      string   `json:"claim"`
	Basis      []uint64 `json:"basis,omitempty"`
}

// An Obligation is what one unit owes in one window.
type Obligation struct {
	Duty    string      `json:"duty"`
	Window  string      `json:"window"`
	Unit    duty.Unit   `json:"unit"`
	Company uint32      `json:"company,omitempty"`
	Status  duty.Status `json:"status"`
	Done    string      `json:"done,omitempty"`
	Owed    int         `json:"owed,omitempty"`
	Entries []uint64    `json:"entries,omitempty"` // that count; at most mostBehind
	Pending []uint64    `json:"pending,omitempty"` // that may come to
	More    int         `json:"more,omitempty"`
}

const mostBehind = 50

// stamp is a moment as the pack's files have it.
func stamp(t int64) string {
	if t == 0 {
		return ""
	}
	return sekisho.Time(t).String()
}

// figuresOf are a duty's figures, in the windows that end after from.
func (e *engine) figuresOf(d *duty.Duty, from, now int64) (list []Figure, head *duty.Judged) {
	line, ok := e.duty.Line(d, duty.Scope{}, now)
	if !ok {
		return nil, nil
	}
	for _, j := range e.duty.Judge(d, now) {
		if j.Window.Until <= from && j != line.Head {
			continue
		}
		one := Figure{Duty: d.Name(), Title: d.Title, Window: j.Window.Name, From: stamp(j.Window.From), Until: stamp(j.Window.Until),
			Closed: j.Closed, Frozen: j.Frozen, Headline: j == line.Head, Proof: Recomputed}
		add := func(of string, company uint32, t duty.Tally) {
			f := one
			f.Of, f.Company, f.Tally = of, company, t
			low, high, some := t.Bounds()
			f.Low, f.High, f.NoCase = low, high, !some
			list = append(list, f)
		}
		add("group", 0, j.Total)
		if d.Population == "people" {
			add("executives", 0, j.Executives)
		}
		for _, c := range sorted(j.Companies) {
			add("company", c, *j.Companies[c])
		}
	}
	return list, line.Head
}

func sorted[V any](m map[uint32]V) []uint32 {
	list := make([]uint32, 0, len(m))
	for k := range m {
		list = append(list, k)
	}
	slices.Sort(list)
	return list
}

// A sheetWriter writes lines of JSON.
type sheetWriter struct {
	w   *bufio.Writer
	enc *json.Encoder
	err error
}

func newSheetWriter(w io.Writer) *sheetWriter {
	b := bufio.NewWriterSize(w, 1<<16)
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	return &sheetWriter{w: b, enc: enc}
}

func (s *sheetWriter) line(v any) {
	if s.err == nil {
		s.err = s.enc.Encode(v)
	}
}

func (s *sheetWriter) close() error {
	if err := s.w.Flush(); s.err == nil {
		s.err = err
	}
	return s.err
}

// write makes one derived file.
func write(open func(name string) (io.WriteCloser, error), name string, lines func(s *sheetWriter)) error {
	f, err := open(name)
	if err != nil {
		return err
	}
	s := newSheetWriter(f)
	lines(s)
	if err := s.close(); err != nil {
		f.Close()
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return f.Close()
}

// derive writes what follows from the folded entries. stated are the figures of
// duties that cannot be computed from them, by the duty's name.
func (e *engine) derive(m *Manifest, stated map[string][]Figure, open func(name string) (io.WriteCloser, error)) error {
	register, now, from := e.duty.Register(), int64(m.now()), int64(m.from())
	lines := map[*duty.Duty]duty.Line{}
	err := write(open, ExceptionsFile, func(s *sheetWriter) {
		for _, o := range e.duty.Exceptions() {
			s.line(map[string]any{"entry": o.Seq, "duty": o.Body.Duty, "what": o.Body.What, "space": o.Body.Space, "units": o.Body.Units,
				"from": o.Body.From.String(), "until": o.Body.Until.String(), "owner": o.Body.Owner, "by": o.Body.By, "action": o.Action, "decided": o.Decided, "decided_by": o.By, "ended": stamp(o.Ended)})
		}
	})
	if err != nil {
		return err
	}
	err = write(open, FiguresFile, func(s *sheetWriter) {
		for _, d := range register.Duties() {
			list, head := e.figuresOf(d, from, now)
			if others, ok := stated[d.Name()]; ok {
				list = others
			}
			for _, f := range list {
				if f.Headline && f.Of == "group" {
					lines[d] = duty.Line{Duty: d, Head: head, Tally: f.Tally}
				}
				s.line(f)
			}
		}
	})
	if err != nil {
		return err
	}
	err = write(open, ClausesFile, func(s *sheetWriter) {
		for _, i := range register.Instruments {
			for _, st := range register.Stand(i, lines) {
				s.line(e.clause(i, st, stated))
			}
		}
	})
	if err != nil {
		return err
	}
	return write(open, ObligationsFile, func(s *sheetWriter) {
		for _, d := range register.Duties() {
			if _, ok := stated[d.Name()]; ok {
				continue
			}
			line, ok := e.duty.Line(d, duty.Scope{}, now)
			if !ok {
				continue
			}
			e.obligations(s, d, line.Head)
			if line.Now != line.Head {
				e.obligations(s, d, line.Now)
			}
		}
	})
}

func (e *engine) clause(i *duty.Instrument, st duty.Standing, stated map[string][]Figure) ClauseLine {
	c := ClauseLine{Instrument: i.ID, Ref: st.Clause.Ref, Title: st.Clause.Title, NoCase: true, Mean: st.Mean, Proof: Recomputed}
	for _, l := range st.Lines {
		c.Duties = append(c.Duties, l.Duty.Name())
		if _, ok := stated[l.Duty.Name()]; ok {
			c.Proof = Stated
		}
	}
	if st.Worst != nil {
		low, _, ok := st.Worst.Tally.Bounds()
		c.Worst, c.Low, c.NoCase = st.Worst.Duty.Name(), low, !ok
	}
	if k, ok := e.duty.Claimed(i.ID, st.Clause.Ref); ok && st.Clause.Control {
		c.Claim = &Claim{k.Seq, k.Body.Applicable, k.Body.Claim, k.Body.Basis}
	}
	return c
}

func (e *engine) obligations(s *sheetWriter, d *duty.Duty, j *duty.Judged) {
	list, _ := e.duty.Obligations(j, duty.Scope{}, nil, 0, 1<<30)
	for _, o := range list {
		line := Obligation{Duty: d.Name(), Window: j.Window.Name, Unit: o.Member.Unit, Company: o.Member.Company, Status: o.Status, Done: stamp(o.Done), Owed: o.Owed}
		proofs := e.duty.Behind(d, o.Member.Unit, j.Window)
		if o.Event != nil {
			proofs = []duty.Proof{{Credit: *o.Event, Counts: true}}
		}
		for _, p := range proofs {
			switch {
			case len(line.Entries)+len(line.Pending) >= mostBehind:
				line.More++
			case p.Counts:
				line.Entries = append(line.Entries, p.Seq)
			case p.Pending:
				line.Pending = append(line.Pending, p.Seq)
			}
		}
		s.line(line)
	}
}

// An EntryLine is one entry as people read it: entries.jsonl.
type EntryLine struct {
	Entry string         `json:"entry"`
	Seq   uint64         `json:"seq"`
	Time  string         `json:"time"`
	Kind  int            `json:"kind"`
	Name  string         `json:"name"`
	Group uint64         `json:"group"` // the first entry of the group in whose hash it stands
	Says  map[string]any `json:"says"`
}

func entryLine(e *sekisho.Entry, group uint64) EntryLine {
	v := reflect.ValueOf(e.Body).Elem()
	l := EntryLine{Entry: e.ID.String(), Seq: e.ID.Seq, Time: e.Time.String(), Kind: int(e.Body.Kind()), Name: v.Type().Name(), Group: group, Says: map[string]any{}}
	for n := range v.NumField() {
		if f := v.Type().Field(n); f.IsExported() && !v.Field(n).IsZero() {
			l.Says[f.Name] = plain(v.Field(n))
		}
	}
	return l
}

// plain is a field's value as JSON has it: hashes as hexadecimal digits, times as
// people read them.
func plain(v reflect.Value) any {
	switch x := v.Interface().(type) {
	case [32]byte:
		return hex.EncodeToString(x[:])
	case sekisho.Time:
		return x.String()
	}
	return v.Interface()
}

// A DocumentLine is a document that an entry names by its hash: documents.jsonl.
type DocumentLine struct {
	Entry  uint64 `json:"entry"`
	Kind   string `json:"kind"`
	What   string `json:"what"` // the entry's field
	SHA256 string `json:"sha256"`
}

// documents are the hashes of documents in an entry. The documents themselves are
// never in a pack: whoever is shown one compares it with these.
func documents(e *sekisho.Entry) (list []DocumentLine) {
	v := reflect.ValueOf(e.Body).Elem()
	for n := range v.NumField() {
		f := v.Type().Field(n)
		sum, ok := v.Field(n).Interface().([32]byte)
		if ok && sum != [32]byte{} && (strings.Contains(f.Name, "SHA") || f.Name == "Original") {
			list = append(list, DocumentLine{e.ID.Seq, v.Type().Name(), f.Name, hex.EncodeToString(sum[:])})
		}
	}
	return list
}

// A PopulationLine is a frozen population: populations.jsonl. Its members are in
// the entries.
type PopulationLine struct {
	Population string   `json:"population"`
	From       string   `json:"from"`
	At         string   `json:"at"`
	Members    int      `json:"members"`
	Executives int      `json:"executives"`
	Entries    []uint64 `json:"entries"`
	whole      bool
}

// frozen collects them as entries come: the first that is whole counts.
type frozen struct {
	list    []*PopulationLine
	through map[*PopulationLine]uint64
}

func (f *frozen) apply(e *sekisho.Entry) {
	x, ok := e.Body.(*sekisho.PopulationFrozen)
	if !ok {
		return
	}
	var l *PopulationLine
	for _, one := range f.list {
		if one.Population == x.Population && one.From == x.From.String() && one.At == x.At.String() {
			l = one
		}
	}
	if f.through == nil {
		f.through = map[*PopulationLine]uint64{}
	}
	switch {
	case l != nil && l.whole:
		return
	case l == nil:
		l = &PopulationLine{Population: x.Population, From: x.From.String(), At: x.At.String()}
		f.list = append(f.list, l)
	case f.through[l] != x.Through: // one that a crash cut off was begun again
		l.Members, l.Executives, l.Entries = 0, 0, nil
	}
	f.through[l] = x.Through
	l.Members, l.Executives, l.Entries, l.whole = l.Members+len(x.Units), l.Executives+len(x.Executives), append(l.Entries, e.ID.Seq), !x.More
}
