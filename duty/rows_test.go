package duty

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"sekisho"
)

// group is a directory of three people in two companies, with two departments.
func group() Directory {
	people := []Member{
		{Unit: Unit{"staff", 1}, Company: 1, Department: 11, Kind: "employee"},
		{Unit: Unit{"staff", 2}, Company: 1, Department: 11, Kind: "executive", Executive: true},
		{Unit: Unit{"staff", 3}, Company: 2, Department: 21, Kind: "secondee"},
		{Unit: Unit{"staff", 4}, Company: 2, Department: 21, Kind: "agency"},
	}
	units := map[string][]Member{"company": {{Unit: Unit{"unit", 1}}, {Unit: Unit{"unit", 2}}}, "department": {{Unit: Unit{"unit", 11}, Company: 1}, {Unit: Unit{"unit", 21}, Company: 2}}}
	return Directory{
		People:  func(int64) iter.Seq[Member] { return slices.Values(people) },
		Units:   func(kind string, _ int64) iter.Seq[Member] { return slices.Values(units[kind]) },
		Version: func() uint64 { return 1 },
	}
}

// prove writes evidence of one kind as entries: stated by one person, signed by
// another. State, if any, says why it does not count.
func (h *hand) prove(kind string, s Spec, u Unit, from, until int64, item, state string, value int64) {
	seq := h.at(h.b.at, &sekisho.EvidenceStated{Evidence: kind, Producer: s.Producer, Space: u.Space, Units: []uint32{u.Ordinal}, From: sekisho.Time(from), Until: sekisho.Time(until),
		Item: item, State: state, Value: uint64(value), By: 8})
	if s.Producer != "S" && state == "" {
		h.at(h.b.at, &sekisho.EvidenceSigned{Evidence: seq, Action: "countersigned", By: 9})
	}
}

// prover makes a duty met, or lapse, in a window by entries of the kinds that
// prove it.
type prover func(h *hand, d *Duty, w Window, good bool)

// item is one that a spec takes.
func (s Spec) item(n int) string {
	if head, ok := strings.CutSuffix(s.Item, "*"); ok {
		return fmt.Sprintf("%s-%d", head, n)
	}
	if s.Item != "" {
		return s.Item
	}
	return fmt.Sprintf("item-%d", n)
}

// byUnits proves each unit of the population, so often as it owes: after the days
// in which what is done still counts for the window before, as late.
func byUnits(h *hand, d *Duty, w Window, good bool) {
	if !good {
		return
	}
	for _, m := range h.b.live(d.Population, w, w.Until-1).members {
		for _, s := range d.heads() {
			for n := range d.Cadence.Times {
				item := s.item(n)
				if n < len(d.Cadence.Among) {
					item = Spec{Item: d.Cadence.Among[n]}.item(n)
				}
				h.prove(s.Kind, s, m.Unit, w.From+int64(d.Cadence.LateDays+n*(d.Cadence.GapDays+1))*microsADay, 0, item, "", 0)
			}
			if d.Need != "all" {
				break
			}
		}
	}
}

// bySpans proves that a condition held for all of the window, and no longer.
func bySpans(h *hand, d *Duty, w Window, good bool) {
	if !good {
		return
	}
	for _, m := range h.b.live(d.Population, w, w.Until-1).members {
		for n, s := range d.heads() {
			h.prove(s.Kind, s, m.Unit, w.From, w.Until, s.item(n), "", 0)
		}
	}
}

func byMilestones(h *hand, d *Duty, w Window, good bool) {
	for _, m := range d.Milestones {
		if good {
			s := d.heads()[0]
			h.prove(s.Kind, s, Group, w.From+microsADay, 0, m.Item, "", 0)
		}
	}
}

// byEvents has one event end in time, or never.
func byEvents(h *hand, d *Duty, w Window, good bool) {
	s := d.heads()[0]
	start := w.From + microsADay
	done := int64(0)
	if good {
		done = start + microsAMinute
	}
	h.prove(s.Kind, Spec{Producer: "S"}, Group, start, done, s.item(1), "", start+microsADay)
}

func byCases(h *hand, d *Duty, w Window, good bool) {
	s, state := d.heads()[0], ""
	if !good {
		state = "failed"
	}
	h.prove(s.Kind, s, Group, w.From+microsADay, 0, s.item(1), state, 0)
}

// ownProvers are the rows whose evidence sekisho makes of other entries.
var ownProvers = map[string]prover{
	"P4a": func(h *hand, d *Duty, w Window, good bool) {
		i := h.b.Register().Instrument("iso27001")
		for n, c := range i.Clauses {
			if !c.Control || !good {
				continue
			}
			s := &sekisho.ControlStated{Instrument: "iso27001", Control: c.Ref, Applicable: n%9 != 0, From: sekisho.Time(w.From), Review: sekisho.Time(w.Until), By: 8}
			if s.Applicable {
				s.Claim, s.Basis = "implemented", []uint64{1}
			}
			h.at(h.b.at, s)
		}
	},
	"P4b": func(h *hand, d *Duty, w Window, good bool) {
		session := h.at(max(h.b.at, w.From), &sekisho.SessionOpened{Endpoint: "pc-1", Verified: true})
		purpose := uint32(3)
		if !good {
			purpose = 0
		}
		number := uint64(0)
		for day := w.From; day < w.Until; day += microsADay {
			h.at(day+1, &sekisho.LedgerVerified{OK: true})
			number++
			h.at(day+2, &sekisho.Access{Session: session, Number: number, Purpose: purpose, More: true})
			h.at(day+3, &sekisho.Access{Session: session, Number: number, Purpose: purpose})
		}
	},
	"P8d": func(h *hand, d *Duty, w Window, good bool) {
		n := h.at(w.From+microsADay, &sekisho.LessonNoted{Incident: 5, Action: "learned", Person: 4, Due: sekisho.Time(w.From + 10*microsADay), By: 8})
		if good {
			h.at(w.From+2*microsADay, &sekisho.LessonNoted{Incident: 5, Lesson: n, Action: "done", By: 4})
			h.at(w.From+100*microsADay, &sekisho.ActionChanged{Finding: n, Action: "verified", By: 9})
		}
	},
	"P9b": func(h *hand, d *Duty, w Window, good bool) {
		n := h.at(w.From+microsADay, &sekisho.EnquiryReceived{Asked: "disclosure"})
		if good {
			h.at(w.From+2*microsADay, &sekisho.EnquiryAnswered{Enquiry: n, By: 8})
			h.at(w.From+3*microsADay, &sekisho.EnquiryClosed{Enquiry: n, Reason: "answered", By: 8})
		}
	},
	"M2b": func(h *hand, d *Duty, w Window, good bool) {
		for n := range 2 {
			if good {
				h.at(w.From+int64(n+1)*30*microsADay, &sekisho.DrillStep{Action: "began", Case: "jtb-2016"})
				h.at(w.From+int64(n+1)*30*microsADay+3600_000_000, &sekisho.DrillStep{Action: "ended", Case: "jtb-2016"})
			}
		}
	},
}

func proverOf(d *Duty) prover {
	if p := ownProvers[d.ID]; p != nil {
		return p
	}
	switch d.Kind {
	case PerPerson, PerEntity:
		return byUnits
	case State:
		return bySpans
	case Programme:
		return byMilestones
	case EventClock:
		return byEvents
	}
	if d.Formula == "ratio" {
		return byCases
	}
	return bySpans
}

// Every row goes from missing to met to lapsed, by entries.
func TestEveryRow(t *testing.T) {
	register, err := Read(nil)
	if err != nil {
		t.Fatal(err)
	}
	rows := register.Instrument("policy").Duties
	if len(rows) != 45 {
		t.Errorf("the policy has %d rows, want the 44 and the one on flight safety", len(rows))
	}
	auto, stated := map[string]int{}, []string{}
	for _, d := range rows {
		auto[d.Auto]++
		if d.Cadence.Origin == "stated" {
			stated = append(stated, d.ID)
		}
		t.Run(d.ID, func(t *testing.T) {
			h := newBook(t, group())
			d := h.b.Register().Duty(d.ID)
			start := day("2025-04-01")
			h.at(start, &sekisho.LedgerOpened{})
			switch d.Population {
			case "council_member":
				h.at(start, &sekisho.UnitListed{Population: d.Population, Space: "staff", Unit: 2, Action: "listed", From: sekisho.Time(start)})
			default:
				for n := range uint32(2) {
					h.at(start, &sekisho.UnitListed{Population: d.Population, Space: "thing", Unit: n + 1, Action: "listed", From: sekisho.Time(start)})
				}
			}
			first := h.b.calendar.at(d.Cadence.Window, start)
			second := h.b.calendar.at(d.Cadence.Window, first.Until)
			third := h.b.calendar.at(d.Cadence.Window, second.Until)
			judge := func(w Window) Tally {
				t.Helper()
				for _, j := range h.b.Judge(d, w.Until) {
					if j.Window == w {
						return j.Total
					}
				}
				t.Fatalf("no window %s", w.Name)
				return Tally{}
			}
			h.at(second.From, &sekisho.SessionClosed{}) // time goes on
			if got := judge(first); got.Met != 0 || got.Num != 0 {
				t.Errorf("without evidence: %+v", got)
			}
			proverOf(d)(h, d, second, true)
			if got := judge(second); got.Met == 0 || got.Missed+got.Late+got.Unknown+got.Open != 0 || got.Num != got.Den || got.Den == 0 {
				t.Errorf("with evidence: %+v", got)
			}
			h.at(max(h.b.at, third.From), &sekisho.SessionClosed{})
			proverOf(d)(h, d, third, false)
			if got := judge(third); got.Met != 0 || got.Missed+got.Unknown == 0 {
				t.Errorf("lapsed: %+v", got)
			}
			if got := judge(second); got.Num != got.Den || got.Den == 0 {
				t.Errorf("what was met stays met: %+v", got)
			}
		})
	}
	if auto["S"] != 24 || auto["P"] != 15 || auto["H"] != 6 {
		t.Errorf("by who can evidence them: %v", auto)
	}
	if got := strings.Join(stated, " "); got != "M1b M2b M3a M3b M5b" {
		t.Errorf("stated by the page: %s", got)
	}
}

// What one person states of a duty that needs a second is unknown until somebody
// else has signed.
func TestASecondPersonSigns(t *testing.T) {
	h := newBook(t, group())
	h.write("2026-04-01", &sekisho.LedgerOpened{})
	visit := h.write("2026-05-01", &sekisho.EvidenceStated{Evidence: "inspection_visit", Producer: "H", Space: "unit", Units: []uint32{1, 2}, From: sekisho.Time(day("2026-05-01")), Item: "inspection", By: 8})
	d := h.b.Register().Duty("M5a")
	at := func() Tally { return h.b.Judge(d, day("2027-04-01"))[0].Total }
	if got := at(); got.Unknown != 2 || got.Num != 0 || got.Dark != 2 {
		t.Errorf("with one person's word: %+v", got)
	}
	h.write("2026-05-02", &sekisho.EvidenceSigned{Evidence: visit, Action: "countersigned", By: 8})
	if got := at(); got.Unknown != 2 {
		t.Errorf("signed by the same person: %+v", got)
	}
	h.write("2026-05-03", &sekisho.EvidenceSigned{Evidence: visit, Action: "countersigned", By: 9})
	if got := at(); got.Met != 2 {
		t.Errorf("signed by somebody else: %+v", got)
	}
	h.write("2026-05-04", &sekisho.EvidenceSigned{Evidence: visit, Action: "withdrawn", By: 8})
	if got := at(); got.Missed != 2 {
		t.Errorf("withdrawn: %+v", got)
	}
}

// An exception needs a second person, covers some, and ends.
func TestExceptions(t *testing.T) {
	h := newBook(t, group())
	h.write("2026-04-01", &sekisho.LedgerOpened{})
	d := h.b.Register().Duty("M5a")
	ask := h.write("2026-04-02", &sekisho.ExceptionAsked{Duty: "policy/M5a", Space: "unit", Units: []uint32{2}, What: "waived", From: sekisho.Time(day("2026-04-02")), Until: sekisho.Time(day("2027-06-01")), Owner: 5, By: 8})
	at := func(now string) (list []string) {
		for _, j := range h.b.Judge(d, day(now)) {
			list = append(list, fmt.Sprint(j.status[0], " ", j.status[1]))
		}
		return list
	}
	for _, c := range []struct {
		by     uint32
		action string
		now    string
		want   string
	}{
		{8, "approved", "2027-04-01", "MISSED MISSED, OPEN OPEN"}, // the asker
		{5, "approved", "2027-04-01", "MISSED MISSED, OPEN OPEN"}, // who answers for it
		{9, "approved", "2027-04-01", "MISSED WAIVED, OPEN WAIVED"},
		{0, "", "2027-06-01", "MISSED WAIVED, OPEN OPEN"},
		{9, "ended", "2027-04-01", "MISSED MISSED, OPEN OPEN"},
	} {
		if c.action != "" {
			h.write("2026-04-03", &sekisho.ExceptionDecided{Exception: ask, Action: c.action, By: c.by})
		}
		if got := strings.Join(at(c.now), ", "); got != c.want {
			t.Errorf("%s by %d, on %s: %s, want %s", c.action, c.by, c.now, got, c.want)
		}
	}
}

// Every control and clause of the standards stands, each once.
func TestInstruments(t *testing.T) {
	r, err := Read(nil)
	if err != nil {
		t.Fatal(err)
	}
	count := func(id string) (controls, clauses int) {
		for _, c := range r.Instrument(id).Clauses {
			if c.Control {
				controls++
			} else {
				clauses++
			}
		}
		return controls, clauses
	}
	if controls, clauses := count("iso27001"); controls != 93 || clauses != 30 {
		t.Errorf("ISO/IEC 27001 has %d controls and %d clauses", controls, clauses)
	}
	if controls, _ := count("appi"); controls != 17 {
		t.Errorf("APPI has %d security measures", controls)
	}
	if controls, clauses := count("mlit-avi"); controls+clauses != 0 {
		t.Error("the aviation guideline is shipped empty: no number is invented")
	}
	under := func(instrument, ref string) (ids []string) {
		for _, d := range r.Under(r.Instrument(instrument), ref) {
			ids = append(ids, d.ID)
		}
		return ids
	}
	if got := strings.Join(under("iso27001", "A.6.3"), " "); got != "B1 P5b M3a M3b" {
		t.Errorf("A.6.3 is borne by %s", got)
	}
	if got := under("appi", "10-4"); !slices.Contains(got, "M3a") || !slices.Contains(got, "P5a") {
		t.Errorf("chapter 10-4 is borne by %v", got)
	}
}
