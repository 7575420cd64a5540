package duty

import (
	"crypto/sha256"
	"embed"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"sekisho/sheet"
)

//go:embed instruments/*.yaml
var shipped embed.FS

// Words are one text in both languages.
type Words struct {
	En string `yaml:"en" json:"en"`
	Ja string `yaml:"ja" json:"ja"`
}

// In is the text in a language; English for one that it does not have.
func (w Words) In(lang string) string {
	if lang == "ja" {
		return w.Ja
	}
	return w.En
}

func (w Words) both() bool {
	return strings.TrimSpace(w.En) != "" && strings.TrimSpace(w.Ja) != ""
}

// An Instrument is a set of duties or controls: a policy, a standard, a
// guideline. Its editions are files.
type Instrument struct {
	ID        string   `yaml:"instrument" json:"instrument"`
	Edition   string   `yaml:"edition" json:"edition"`
	Effective string   `yaml:"effective" json:"effective"` // a date
	Ends      string   `yaml:"ends" json:"ends,omitempty"` // a date; empty: in force
	Title     Words    `yaml:"title" json:"title"`
	Source    string   `yaml:"source" json:"source"`
	Note      Words    `yaml:"note" json:"note"`
	Clauses   []Clause `yaml:"clauses" json:"clauses"`
	Duties    []*Duty  `yaml:"duties" json:"duties,omitempty"`
	// SHA256 is that of the text.
	SHA256 [32]byte `yaml:"-" json:"-"`
	text   []byte
}

// Text is the instrument as it was read, which others can read again: see
// ReadTexts. It must not be changed.
func (i *Instrument) Text() []byte { return i.text }

// A Clause is a paragraph, requirement or control of an instrument.
type Clause struct {
	Ref   string `yaml:"ref" json:"ref"`
	Title Words  `yaml:"title" json:"title"`
	// Control: a line of the statement of applicability.
	Control bool `yaml:"control" json:"control,omitempty"`
	// Maps names clauses of other instruments that ask for the same, as
	// "instrument/ref".
	Maps []string `yaml:"maps" json:"maps,omitempty"`
}

// Kind is how a duty is judged.
type Kind string

// The kinds of duties.
const (
	PerPerson  Kind = "PER_PERSON"  // each person of the population, so many times a window
	PerEntity  Kind = "PER_ENTITY"  // each company, supplier, …, so many times a window
	Continuous Kind = "CONTINUOUS"  // without a gap: covered of due minutes, or right ones of all
	EventClock Kind = "EVENT_CLOCK" // each event within a time
	State      Kind = "STATE"       // a condition that holds: satisfied of due days, or at the close
	Programme  Kind = "PROGRAMME"   // milestones of a plan
)

// A Duty is one promise: who owes it, for whom, how often, with what evidence.
type Duty struct {
	ID         string   `yaml:"id" json:"id"`
	Clauses    []string `yaml:"clauses" json:"clauses"`
	Title      Words    `yaml:"title" json:"title"`
	Promise    Words    `yaml:"promise" json:"promise"`
	Kind       Kind     `yaml:"kind" json:"kind"`
	Owner      string   `yaml:"owner" json:"owner"`       // role who sees to it
	Approver   string   `yaml:"approver" json:"approver"` // role to whom it is escalated
	Population string   `yaml:"population" json:"population"`
	Counted    Words    `yaml:"counted" json:"counted"` // what one unit is, for the reader
	Cadence    Cadence  `yaml:"cadence" json:"cadence"`
	Evidence   []Spec   `yaml:"evidence" json:"evidence"`
	// Need is "any" of the headline kinds, or "all" of them; empty: any.
	Need    string `yaml:"need" json:"need,omitempty"`
	Formula string `yaml:"formula" json:"formula"` // "units", "in_date", "days", "minutes", "ratio", "on_time", "milestones"
	Auto    string `yaml:"auto" json:"auto"`       // "S", "P", "H"
	Measure Words  `yaml:"measure" json:"measure"` // the formula, in words
	// Maps names clauses of other instruments, as "instrument/ref", or all of one,
	// whose numbers are not known yet.
	Maps       []string    `yaml:"maps" json:"maps,omitempty"`
	Milestones []Milestone `yaml:"milestones" json:"milestones,omitempty"`
	// Note says what is left out at present.
	Note Words `yaml:"note" json:"note"`

	instrument *Instrument
}

// Name is the duty's, among all instruments: "policy/M3a".
func (d *Duty) Name() string { return d.instrument.ID + "/" + d.ID }

// Instrument is where the duty stands.
func (d *Duty) Instrument() *Instrument { return d.instrument }

// Unit is the duty itself as a unit of others, such as of the table of
// responsibilities.
func (d *Duty) Unit() Unit { return own("duty/"+d.instrument.ID, d.ID) }

func (d *Duty) milestone(item string) Unit { return own("milestone/"+d.Name(), item) }

// A Milestone is one step of a programme's year.
type Milestone struct {
	Item  string `yaml:"item" json:"item"`
	Title Words  `yaml:"title" json:"title"`
}

// Cadence says how often, and from where that number comes.
type Cadence struct {
	Times  int    `yaml:"times" json:"times,omitempty"`
	Window string `yaml:"window" json:"window"` // "year", "half", "quarter", "month"
	// Origin is "stated" if the page itself says how often, else "default". Part,
	// if given, says which part of a stated cadence is a default.
	Origin string `yaml:"origin" json:"origin"`
	Part   Words  `yaml:"part" json:"part"`
	Say    Words  `yaml:"say" json:"say"`
	// Among are items, such as "bec*", of each of which one must be among what
	// counts, by whoever owes at least so many.
	Among []string `yaml:"among" json:"among,omitempty"`
	// Distinct: two of one item count once.
	Distinct bool `yaml:"distinct" json:"distinct,omitempty"`
	// GapDays must lie between two that count.
	GapDays int `yaml:"gap_days" json:"gap_days,omitempty"`
	// MaxGapDays may lie between one window's last and the next: what comes later
	// is late, though within its window.
	MaxGapDays int `yaml:"max_gap_days" json:"max_gap_days,omitempty"`
	// LateDays after a window's end what is done counts for it as late, and then
	// not for the next.
	LateDays int `yaml:"late_days" json:"late_days,omitempty"`
	// JoinDays: who joins owes it within so many days. Without, what a joiner owes
	// is in proportion to the days of the window that are left, rounded to the
	// nearest whole; days on leave count as days away.
	JoinDays int `yaml:"join_days" json:"join_days,omitempty"`
	// Minutes is the clock of EVENT_CLOCK; 0: each event has its own (Credit.Value).
	Minutes int64 `yaml:"minutes" json:"minutes,omitempty"`
	// Least, in thousandths, of the days or minutes makes a unit met; 0: all.
	Least int64 `yaml:"least" json:"least,omitempty"`
}

// A Spec is one kind of evidence that a duty rests on.
type Spec struct {
	Kind     string `yaml:"kind" json:"kind"`
	Producer string `yaml:"producer" json:"producer"` // "S", "H", "X"
	// Item, if given, is the only one that counts; "x*" is any that begins so.
	Item string `yaml:"item" json:"item,omitempty"`
	// FreshDays after it began a piece without an end of its own counts no more.
	FreshDays int `yaml:"fresh_days" json:"fresh_days,omitempty"`
	// Second: a person's word needs a second person's signature; until then it is
	// unknown.
	Second bool `yaml:"second" json:"second,omitempty"`
	// Least is the value that counts; what has less does not.
	Least int64 `yaml:"least" json:"least,omitempty"`
	// Minutes is the clock of events of this kind, where it is another than the
	// cadence's.
	Minutes int64 `yaml:"minutes" json:"minutes,omitempty"`
	// Beside: shown beside the figure, and not counted in it.
	Beside bool `yaml:"beside" json:"beside,omitempty"`
}

// A Register is every instrument in force.
type Register struct {
	Instruments []*Instrument
	duties      map[string]*Duty
	called      map[Unit]Words
}

// Kinds are the evidence kinds that sekisho knows, in the reference's groups.
var Kinds = []string{
	"access_ledger", "ledger_witness",
	"policy_version", "publication_hash", "acknowledgement", "role_assignment", "minutes", "legal_review",
	"category_label", "asset_entry", "terminal_posture", "offsite_permit",
	"training_completion", "phish_result", "phish_report", "evaluation_record", "sanction_record",
	"drill_run", "inject_decision", "incident_timeline", "notice_sent", "regulator_receipt",
	"inspection_visit", "finding", "corrective_action", "audit_report", "certificate", "pentest_report", "vuln_scan", "cloud_assessment",
	"supplier_review", "contract_clause_check",
	"monitor_heartbeat", "shift_handover", "intel_item",
	"contact_case", "dsar_case", "budget_item",
	"risk_assessment", "control_claim",
}

// Config is what a company says of its register.
type Config struct {
	// Instruments are files that add instruments, or replace shipped ones of the
	// same name. "sekisho duty instrument NAME" prints one to begin with.
	Instruments []string `yaml:"instruments"`
	// YearBegins is the month in which a year of duties begins, 1 to 12. Empty: 4,
	// as Japan's fiscal year.
	YearBegins int `yaml:"year_begins"`
	// Since is the day from which duties are counted, as 2026-04-01. Empty: the day
	// of the ledger's first entry.
	Since string `yaml:"since"`
	// People are the kinds of people who count as everybody: employee, executive,
	// secondee, agency. Empty: the first three.
	People []string `yaml:"people"`
	// Owners names the accounts behind the roles that owe duties, such as ciso: who
	// is reminded, then who stands in.
	Owners map[string][]string `yaml:"owners"`
	// Remind says how many days before the end of a window, and after it (negative),
	// whoever owes a duty is told, and to whom it goes. Empty: 60, 30 and 7 days
	// before the owner, 7 days after the approver, 30 days after the council.
	Remind []Rung `yaml:"remind"`
	// NoVerify: the whole chain of the ledger is not read again each day. It is
	// part of the evidence of P4b; days without it are unknown.
	NoVerify bool `yaml:"no_verify"`
}

// A Rung is one reminder.
type Rung struct {
	Days int    `yaml:"days"` // before the end of the window; negative: after it
	To   string `yaml:"to"`   // "owner", "approver", "council"
}

// People counts of everybody by default.
var everybody = []string{"employee", "executive", "secondee"}

// Shipped are the names of the instruments that come with sekisho.
func Shipped() (names []string) {
	files, err := fs.Glob(shipped, "instruments/*.yaml")
	if err != nil {
		panic(err) // a pattern of our own
	}
	for _, f := range files {
		names = append(names, strings.TrimSuffix(filepath.Base(f), ".yaml"))
	}
	return names
}

// Text is the shipped text of an instrument.
func Text(name string) ([]byte, error) {
	text, err := shipped.ReadFile("instruments/" + filepath.Base(name) + ".yaml")
	if err != nil {
		return nil, fmt.Errorf("no instrument %q is shipped; there are %s", name, strings.Join(Shipped(), ", "))
	}
	return text, nil
}

// Read reads the shipped instruments, and those of files beside or instead of
// them.
func Read(files []string) (*Register, error) {
	r := &Register{duties: map[string]*Duty{}, called: map[Unit]Words{}}
	for _, name := range Shipped() {
		text, err := Text(name)
		if err != nil {
			return nil, err
		}
		if err := r.add(name+".yaml", text); err != nil {
			return nil, err
		}
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("reading an instrument of duties: %w", err)
		}
		if err := r.add(file, text); err != nil {
			return nil, err
		}
	}
	return r, r.finish()
}

// ReadTexts reads instruments from their texts alone: nothing that is shipped
// stands beside them.
func ReadTexts(texts [][]byte) (*Register, error) {
	r := &Register{duties: map[string]*Duty{}, called: map[Unit]Words{}}
	for n, text := range texts {
		if err := r.add(fmt.Sprintf("instrument %d", n+1), text); err != nil {
			return nil, err
		}
	}
	return r, r.finish()
}

// add reads one text, which replaces an instrument of the same name.
func (r *Register) add(file string, text []byte) error {
	one := new(Instrument)
	if err := sheet.Read(text, one); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if err := one.check(); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	one.SHA256, one.text = sha256.Sum256(text), text
	at := slices.IndexFunc(r.Instruments, func(i *Instrument) bool { return i.ID == one.ID })
	if at >= 0 {
		r.Instruments[at] = one
	} else {
		r.Instruments = append(r.Instruments, one)
	}
	return nil
}

var (
	goodID   = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,63}$`)
	goodRef  = regexp.MustCompile(`^[^\s/]{1,40}$`)
	goodDate = regexp.MustCompile(`^\d{4}-\d\d-\d\d$`)
)

func (i *Instrument) check() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !goodID.MatchString(i.ID) {
		wrong("instrument %q: give it a name of letters, digits, - and _", i.ID)
	}
	if i.Edition == "" || !goodDate.MatchString(i.Effective) || i.Ends != "" && !goodDate.MatchString(i.Ends) {
		wrong("instrument %s: it needs an edition, and the day from which it is in force, as 2026-04-01", i.ID)
	}
	if !i.Title.both() {
		wrong("instrument %s: its title must stand in both languages", i.ID)
	}
	refs := map[string]bool{}
	for _, c := range i.Clauses {
		if !goodRef.MatchString(c.Ref) || refs[c.Ref] || !c.Title.both() {
			wrong("clause %q of %s: a reference without spaces, once, with a title in both languages", c.Ref, i.ID)
		}
		refs[c.Ref] = true
	}
	ids := map[string]bool{}
	for _, d := range i.Duties {
		d.instrument = i
		if !goodID.MatchString(d.ID) || ids[d.ID] {
			wrong("duty %q of %s: a name of letters and digits, once", d.ID, i.ID)
		}
		ids[d.ID] = true
		for _, c := range d.Clauses {
			if !refs[c] {
				wrong("duty %s names the clause %q, which %s does not have", d.ID, c, i.ID)
			}
		}
		if err := d.check(); err != nil {
			wrong("duty %s: %w", d.ID, err)
		}
	}
	return errors.Join(errs...)
}

var formulas = map[Kind][]string{
	PerPerson: {"units"}, PerEntity: {"units"}, Continuous: {"minutes", "ratio"}, EventClock: {"on_time"}, State: {"days", "in_date"}, Programme: {"milestones"},
}

func (d *Duty) check() error {
	switch allowed, known := formulas[d.Kind]; {
	case !known:
		return fmt.Errorf("its kind %q is none of PER_PERSON, PER_ENTITY, CONTINUOUS, EVENT_CLOCK, STATE, PROGRAMME", d.Kind)
	case d.Formula == "":
		d.Formula = allowed[0]
	case !slices.Contains(allowed, d.Formula):
		return fmt.Errorf("the formula of %s is one of %s, not %q", d.Kind, strings.Join(allowed, ", "), d.Formula)
	}
	c := &d.Cadence
	switch {
	case len(d.Clauses) == 0:
		return errors.New("it belongs to no clause")
	case !d.Title.both() || !d.Promise.both() || !d.Measure.both() || !d.Counted.both() || !c.Say.both():
		return errors.New("title, promise, measure, counted and cadence.say must stand in both languages")
	case d.Owner == "" || d.Population == "":
		return errors.New("it needs an owner and a population")
	case !slices.Contains([]string{"year", "half", "quarter", "month"}, c.Window):
		return fmt.Errorf("its window %q is none of year, half, quarter, month", c.Window)
	case c.Origin != "stated" && c.Origin != "default":
		return fmt.Errorf("the origin of its cadence %q is neither stated nor default", c.Origin)
	case (d.Kind == PerPerson || d.Kind == PerEntity) && (c.Times < 1 || c.Times > 12):
		return errors.New("cadence.times must be 1 to 12")
	case d.Kind == Programme && len(d.Milestones) == 0:
		return errors.New("a programme needs milestones")
	case c.Least < 0 || c.Least > 1000 || c.GapDays < 0 || c.LateDays < 0 || c.JoinDays < 0 || c.MaxGapDays < 0 || c.Minutes < 0:
		return errors.New("a number of its cadence is out of range")
	case len(c.Among) > 0 && (d.Kind != PerPerson && d.Kind != PerEntity || len(c.Among) > c.Times || d.Need == "all"):
		return errors.New("cadence.among is for what each unit owes several times: at most so many items, and without need: all")
	case d.Need != "" && d.Need != "any" && d.Need != "all":
		return fmt.Errorf("need is any or all, not %q", d.Need)
	case c.LateDays > shortest[c.Window]:
		return fmt.Errorf("late_days: at most %d, else it would count for the window after the next", shortest[c.Window])
	}
	heads := 0
	for _, s := range d.Evidence {
		if s.Kind == "" || !slices.Contains([]string{"S", "H", "X"}, s.Producer) || s.FreshDays < 0 {
			return fmt.Errorf("evidence %q needs a producer: S, H or X", s.Kind)
		}
		if !slices.Contains(Kinds, s.Kind) {
			return fmt.Errorf("evidence %q is no kind that sekisho knows", s.Kind)
		}
		if !s.Beside {
			heads++
		}
	}
	if heads == 0 {
		return errors.New("it has no evidence that counts")
	}
	return nil
}

// shortest is how many days a window has at least.
var shortest = map[string]int{"year": 365, "half": 181, "quarter": 90, "month": 28}

// finish checks what instruments say of one another.
func (r *Register) finish() error {
	var errs []error
	clauses := map[string]bool{}
	call := func(u Unit, what, name string, title Words) {
		if _, twice := r.called[u]; twice {
			errs = append(errs, fmt.Errorf("%s: its name comes to the same number as another's: give it another one", what))
		}
		r.called[u] = Words{name + " " + title.En, name + " " + title.Ja}
	}
	for _, i := range r.Instruments {
		call(UnitOf(i.ID), i.ID, i.ID, i.Title)
		for _, c := range i.Clauses {
			clauses[i.ID+"/"+c.Ref] = true
			if c.Control {
				call(ControlUnit(i.ID, c.Ref), i.ID+"/"+c.Ref, c.Ref, c.Title)
			}
		}
		for _, d := range i.Duties {
			r.duties[d.Name()] = d
			call(d.Unit(), d.Name(), d.ID, d.Title)
			for _, m := range d.Milestones {
				call(d.milestone(m.Item), d.Name()+" "+m.Item, "·", m.Title)
			}
		}
	}
	for _, i := range r.Instruments {
		look := func(what string, maps []string) {
			for _, m := range maps {
				to, ref, _ := strings.Cut(m, "/")
				if i := r.Instrument(to); ref != "" && !clauses[m] && i != nil && len(i.Clauses) > 0 {
					errs = append(errs, fmt.Errorf("%s maps to %s, which is not there", what, m))
				}
			}
		}
		for _, c := range i.Clauses {
			look(i.ID+"/"+c.Ref, c.Maps)
		}
		for _, d := range i.Duties {
			look(d.Name(), d.Maps)
		}
	}
	return errors.Join(errs...)
}

// Duty is one by its name.
func (r *Register) Duty(name string) *Duty {
	if d := r.duties[name]; d != nil {
		return d
	}
	return r.duties["policy/"+name]
}

// Duties are all, in the order of the instruments.
func (r *Register) Duties() (list []*Duty) {
	for _, i := range r.Instruments {
		list = append(list, i.Duties...)
	}
	return list
}

// Instrument is one by its name, or nil.
func (r *Register) Instrument(id string) *Instrument {
	for _, i := range r.Instruments {
		if i.ID == id {
			return i
		}
	}
	return nil
}

// Clause is one by its reference.
func (i *Instrument) Clause(ref string) (Clause, bool) {
	for _, c := range i.Clauses {
		if c.Ref == ref {
			return c, true
		}
	}
	return Clause{}, false
}

// control: the reference is one of the instrument's controls.
func (i *Instrument) control(ref string) bool {
	c, ok := i.Clause(ref)
	return ok && c.Control
}

// ParseSince is Config.Since as a time; 0 for none.
func (c Config) ParseSince(zone *time.Location) (int64, error) {
	if c.Since == "" {
		return 0, nil
	}
	t, err := time.ParseInLocation("2006-01-02", c.Since, zone)
	if err != nil {
		return 0, fmt.Errorf("config: duties.since: %q is no day as 2026-04-01", c.Since)
	}
	return t.UnixMicro(), nil
}

// own is a unit that has no vault behind it. Its ordinal is a hash of its name
// (FNV-1a), so that it stays when another edition has other things before it.
func own(space, name string) Unit {
	h := fnv.New32a()
	h.Write([]byte(name))
	return Unit{space, h.Sum32()}
}

// UnitOf is an instrument as a unit of duties, such as of the reports about it.
func UnitOf(instrument string) Unit { return own("instrument", instrument) }

// ControlUnit is a control as a unit.
func ControlUnit(instrument, ref string) Unit { return own("control/"+instrument, ref) }

// Called is what a unit without a vault is called: a duty, control, instrument or
// milestone; false for all others.
func (r *Register) Called(u Unit) (Words, bool) {
	w, ok := r.called[u]
	return w, ok
}

// Check says what is wrong with a config.
func (c Config) Check(zone *time.Location) error {
	if _, err := c.ParseSince(zone); err != nil {
		return err
	}
	if c.YearBegins < 0 || c.YearBegins > 12 {
		return fmt.Errorf("config: duties.year_begins: %d is no month: 1 to 12", c.YearBegins)
	}
	for n, r := range c.Remind {
		if r.To != "owner" && r.To != "approver" && r.To != "council" {
			return fmt.Errorf("config: duties.remind: to is owner, approver or council, not %q", r.To)
		}
		if n > 0 && r.Days >= c.Remind[n-1].Days {
			return fmt.Errorf("config: duties.remind: the days go down: %d stands behind %d", r.Days, c.Remind[n-1].Days)
		}
	}
	return nil
}
