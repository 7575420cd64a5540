package incident

import (
	"sekisho"
)

// Phase is how far an incident has come. It is derived from what is known, and
// never set: it goes back when a fact takes it back.
type Phase string

// The phases, with where they stand in ISO/IEC 27035-1:2023 (its five phases)
// and NIST SP 800-61r3 (functions of CSF 2.0).
const (
	Detect  Phase = "detect"  // ISO: detection and reporting; NIST: Detect
	Assess  Phase = "assess"  // ISO: assessment and decision; NIST: Detect (DE.AE), Respond (RS.MA)
	Respond Phase = "respond" // ISO: responses; NIST: Respond
	Recover Phase = "recover" // ISO: responses; NIST: Recover
	Learn   Phase = "learn"   // ISO: lessons learnt; NIST: Improvement (ID.IM)
	Ended   Phase = "closed"
)

// Phases is all of them in their usual order.
func Phases() []Phase { return []Phase{Detect, Assess, Respond, Recover, Learn, Ended} }

// A Step says in which phase an incident is, and the moment that put it there.
type Step struct {
	Phase Phase  `json:"phase"`
	Why   string `json:"why"` // the code of the mark, or "nothing"
	Mark  Mark   `json:"mark"`
}

// Phase derives it from the marks.
func (i *Incident) Phase() Step {
	marks := i.Marks()
	last := i.Opened
	for _, a := range i.Alerts {
		last = max(last, a.At)
	}
	if end, closed := i.Closed(); closed {
		return Step{Ended, "closed", Mark{At: end.Answer.At, Known: end.Answer.At, Seq: end.Answer.Seq, Word: true}}
	}
	first := func(codes ...string) (Step, bool) {
		for _, code := range codes {
			if m, ok := marks[code]; ok {
				return Step{Why: code, Mark: m}, true
			}
		}
		return Step{}, false
	}
	// What came to light after it was over puts it back to work.
	fresh := func(s Step) bool { return max(s.Mark.At, s.Mark.Known) >= last }
	if s, ok := first("recovered"); ok && fresh(s) {
		s.Phase = Learn
		return s
	}
	if s, ok := first("contained_verified", "stopped"); ok && fresh(s) {
		s.Phase = Recover
		return s
	}
	if s, ok := first("triaged", "contained_partial"); ok {
		s.Phase = Respond
		return s
	}
	if s, ok := first("acknowledged"); ok {
		s.Phase = Assess
		return s
	}
	s, _ := first("detected")
	s.Phase = Detect
	return s
}

// Ongoing: nothing shows that it has stopped, or something came after that. What
// is not known counts as going on.
func (i *Incident) Ongoing() (ongoing bool, why string) {
	if _, closed := i.Closed(); closed {
		return false, "closed"
	}
	latest, at := "", sekisho.Time(0)
	for _, code := range []string{"stopped", "ongoing", "contained_verified"} {
		if m, ok := i.Marks()[code]; ok && max(m.At, m.Known) >= at {
			latest, at = code, max(m.At, m.Known)
		}
	}
	for _, a := range i.Alerts {
		if latest != "" && a.At > at {
			return true, "alert"
		}
	}
	switch latest {
	case "":
		return true, "unknown"
	case "ongoing":
		return true, latest
	}
	return false, latest
}

// Marks are the moments that clocks count from and end with: stated by people,
// or seen in the ledger. What people state wins; of a fact stated twice the
// earliest.
//
//	first_malicious     the first act of the attacker
//	indicator           the first sign, whoever saw it
//	detected            the first alert or notice here
//	acknowledged        a person took it on
//	triaged             judged: a playbook was chosen, or a person says so
//	contained_partial, contained_verified
//	aware_personal_data somebody knew that people's data may be concerned
//	escalated_exec      an executive knew
//	scope               the first state of the four numbers
//	recovered, lessons_done, closed
func (i *Incident) Marks() map[string]Mark {
	out := map[string]Mark{}
	seen := func(code string, at sekisho.Time, seq uint64) {
		if m, ok := out[code]; at != 0 && (!ok || at < m.At) {
			out[code] = Mark{At: at, Known: at, Seq: seq}
		}
	}
	seen("opened", i.Opened, i.Number)
	seen("detected", i.Opened, i.Number)
	for _, a := range i.Alerts {
		seen("detected", a.At, a.Seq)
		// A detector may judge a window that is not over yet.
		seen("indicator", min(a.Body.Until, a.At), a.Seq)
		seen("first_malicious", a.Body.From, a.Seq)
	}
	for _, q := range i.Room.Raised {
		if q.Body.What == "notice" {
			seen("detected", q.Body.Known, q.Seq)
			seen("indicator", q.Body.Known, q.Seq)
		}
	}
	for _, r := range i.Revisions {
		seen("scope", r.At, r.Seq)
		if r.Body.WorstCase > 0 {
			seen("aware_personal_data", r.At, r.Seq)
		}
	}
	for _, s := range i.Room.Seen {
		seen("acknowledged", s.At, s.Seq)
	}
	for _, p := range i.Room.Playbooks {
		seen("triaged", p.At, p.Seq)
	}
	for _, c := range i.Room.Climbed {
		if c.Body.Role == "executive" && c.Body.Person != 0 {
			seen("escalated_exec", c.At, c.Seq)
		}
	}
	for _, h := range i.Room.Roles {
		if h.Body.Role == "executive" {
			seen("escalated_exec", h.At, h.Seq)
		}
	}
	for _, r := range i.Legal.Reports {
		if code, ok := reportMarks[r.Body.Step]; ok && r.Mistaken == 0 {
			seen(code, r.Body.Sent, r.Seq)
		}
	}
	owed := false
	for _, l := range i.Room.Lessons {
		owed = owed || l.Open()
	}
	if n := len(i.Room.Lessons); n > 0 && !owed {
		last := i.Room.Lessons[0]
		for _, l := range i.Room.Lessons {
			if l.Over > last.Over {
				last = l
			}
		}
		seen("lessons_done", last.Over, last.Seq)
	}
	if end, closed := i.Closed(); closed {
		seen("closed", end.Answer.At, end.Answer.Seq)
	}
	for code, m := range i.Room.marks {
		out[code] = m
	}
	word := map[string]Mark{}
	for _, f := range i.Room.Facts {
		if !f.Stands() || f.Body.Code == "note" {
			continue
		}
		m := Mark{At: f.Body.Happened, Known: f.Body.Known, Seq: f.Seq, Word: true}
		if m.At == 0 {
			m.At = m.Known
		}
		old, ok := word[f.Body.Code]
		// What stops or starts again is told by its latest fact.
		if again := f.Body.Code == "ongoing" || f.Body.Code == "stopped" || f.Body.Code == "recovered"; !ok || again && m.At >= old.At || !again && m.At < old.At {
			word[f.Body.Code] = m
		}
	}
	for code, m := range word {
		out[code] = m
	}
	return out
}

// reportMarks are the moments that reports under the law bring about, by the
// step of the rules.
var reportMarks = map[string]string{"preliminary": "regulator_prelim", "final": "regulator_final", "people": "subjects_notified", "entrusting": "partners_notified", "controller": "partners_notified", "authority": "regulator_prelim"}
