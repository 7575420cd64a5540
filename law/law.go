// Package law holds duties to report and to tell as data, and computes from
// the facts of an incident which of them apply and until when. It has no clock
// and no opinion: the time is an argument, a fact that nobody knows stays
// unknown, and a limit that no source settles is said to be unknown.
//
// Nothing here is legal advice. Each rule names its edition, its source and how
// sure its text is.
package law

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Words are one text in the two languages of the house.
type Words struct {
	EN string `yaml:"en" json:"en"`
	JA string `yaml:"ja" json:"ja"`
}

// In is the text in a language, "ja" or any other for English.
func (w Words) In(language string) string {
	if language == "ja" {
		return w.JA
	}
	return w.EN
}

// Answer is what is known of a fact. The zero value is Unknown, which is not
// no: it means that it is still under investigation.
type Answer uint8

const (
	Unknown Answer = iota
	No
	Yes
)

// ParseAnswer reads "yes", "no" or "unknown".
func ParseAnswer(s string) (Answer, error) {
	switch s {
	case "yes":
		return Yes, nil
	case "no":
		return No, nil
	case "unknown", "":
		return Unknown, nil
	}
	return Unknown, fmt.Errorf("%q is no answer: say yes, no or unknown", s)
}

func (a Answer) String() string { return [...]string{"unknown", "no", "yes"}[min(a, 2)] }

// MarshalText and UnmarshalText write and read the word.
func (a Answer) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

func (a *Answer) UnmarshalText(b []byte) (err error) {
	*a, err = ParseAnswer(string(b))
	return err
}

func (a Answer) not() Answer {
	switch a {
	case Yes:
		return No
	case No:
		return Yes
	}
	return Unknown
}

// Facts that the shipped rules ask about. A directory of rules can ask about
// others: rules/facts.yaml lists each with its question.
const (
	SpecialCare        = "special_care"        // APPI art. 2(3)
	PaymentRisk        = "payment_risk"        // APPI Rule 7(ii)
	ImproperPurpose    = "improper_purpose"    // APPI Rule 7(iii)
	Encrypted          = "encrypted"           // by a strong algorithm, properly implemented
	KeysApart          = "keys_apart"          // keys kept apart and protected, or remote wipe, or decryption limited
	Contractor         = "contractor"          // we hold the data for somebody else
	RiskUnlikely       = "risk_unlikely"       // GDPR art. 33(1)
	HighRisk           = "high_risk"           // GDPR art. 34(1)
	Listed             = "listed"              // on a stock exchange of the United States
	Material           = "material"            // SEC form 8-K item 1.05
	AviationSafety     = "aviation_safety"     // Part-IS: a significant risk to aviation safety
	EssentialEntity    = "essential_entity"    // NIS2: an essential or important entity
	SignificantService = "significant_service" // NIS2: a significant incident
	Telecoms           = "telecoms"            // PECR: a public electronic communications service
	DesignatedComputer = "designated_computer" // Japan's act on cyber response capability
)

// Bases on which somebody may know: guideline 3-5-3-1 of Japan's PPC, notes 4
// and 5, and what is none of them.
const (
	Theft      = "n4-a"  // traces of theft on a server with personal data, or a terminal with rights to it
	Malware    = "n4-b"  // malware known to steal information there; detection alone is not enough
	Control    = "n4-c"  // traffic to a known command-and-control address
	Tampering  = "n4-d"  // a page that collects personal information was tampered with
	Told       = "n4-e"  // a grounded notice by a public body, security provider or expert
	Insider    = "n5"    // access that normal work does not need
	OtherBasis = "other" // whatever else made somebody know
)

// Bases lists them all.
func Bases() []string {
	return []string{Theft, Malware, Control, Tampering, Told, Insider, OtherBasis}
}

// Facts of one incident, as far as they are known. Where a fact is missing it
// is unknown, and the rules say what follows from that.
type Facts struct {
	// Aware is every event by which a department may have come to know. Which of
	// them starts a clock is for the rule to say.
	Aware []Aware `json:"aware" yaml:"aware"`
	// Start, if set, is the start that two people settled on instead of the
	// earliest aware event. The events stay.
	Start *time.Time `json:"start,omitempty" yaml:"start"`
	// Answers to yes-or-no facts by name, such as SpecialCare.
	Answers map[string]Answer `json:"answers,omitempty" yaml:"answers"`
	// Statutory says, by the id of a regime, whether the data is of the kinds that
	// its statute lists. It is counsel's answer.
	Statutory map[string]Answer `json:"statutory,omitempty" yaml:"statutory"`
	// At is when a fact with a time of its own came about, such as Material.
	At map[string]time.Time `json:"at,omitempty" yaml:"at"`
	// Categories of data that may be concerned, in the catalog's words: identity,
	// contact, payment, …
	Categories []string `json:"categories,omitempty" yaml:"categories"`
	// Subjects says how many people.
	Subjects Subjects `json:"subjects" yaml:"subjects"`
	// Industry of the company, such as aviation, travel or infrastructure; empty is
	// unknown. It chooses recipients.
	Industry string `json:"industry,omitempty" yaml:"industry"`
	// Established lists where the company has its establishments, as ISO 3166 codes
	// such as JP, DE or US-CA. Their law applies wherever the people live.
	Established []string `json:"established,omitempty" yaml:"established"`
	// Reports are what has been sent, in any order.
	Reports []Report `json:"reports,omitempty" yaml:"reports"`
}

// Aware is one event by which a department may have come to know.
type Aware struct {
	At         time.Time `json:"at" yaml:"at"`
	Department string    `json:"department,omitempty" yaml:"department"`
	Basis      string    `json:"basis" yaml:"basis"`
	By         string    `json:"by,omitempty" yaml:"by"` // a detector, or who told us
	Source     uint64    `json:"source,omitempty" yaml:"source"`
	State      State     `json:"state" yaml:"state"`
	// CertainAt is when it was confirmed with a reasonable degree of certainty,
	// which is where the clocks of the GDPR begin. Zero: at At, if confirmed.
	CertainAt time.Time `json:"certain_at,omitzero" yaml:"certain_at"`
}

// State of an aware event.
type State string

const (
	Provisional State = "provisional" // nobody has judged it yet. It counts
	Confirmed   State = "confirmed"   // a named person did
	Rejected    State = "rejected"    // a named person said, with a reason, that it is none
)

// Subjects is how many people are concerned. A nil number is unknown.
type Subjects struct {
	Upper     *uint64 `json:"upper" yaml:"upper"`         // at most
	Likely    *uint64 `json:"likely" yaml:"likely"`       // suspected
	Confirmed *uint64 `json:"confirmed" yaml:"confirmed"` // proven
	// Residence splits Upper by where people live. Nil: nothing is known of it.
	Residence []Residence `json:"residence,omitempty" yaml:"residence"`
	// History of Upper, oldest first: a duty that hangs on a number begins when the
	// number was passed. Without it the number is taken as known from the start.
	History []Count `json:"history,omitempty" yaml:"history"`
}

// Residence is how many people live in one place.
type Residence struct {
	Place string `json:"place" yaml:"place"` // ISO 3166: JP, DE, US-CA, US where the state is unknown; empty: unknown
	Upper uint64 `json:"upper" yaml:"upper"`
}

// Count is one state of a number.
type Count struct {
	At    time.Time `json:"at" yaml:"at"`
	Upper uint64    `json:"upper" yaml:"upper"`
}

// Report is something that was sent.
type Report struct {
	Regime string    `json:"regime" yaml:"regime"` // id of the regime, such as jp-appi
	Step   string    `json:"step" yaml:"step"`     // preliminary, final, people, …
	At     time.Time `json:"at" yaml:"at"`
	Entry  uint64    `json:"entry,omitempty" yaml:"entry"` // where the ledger says so
}

// Company is what a company knows of itself, whatever happens.
type Company struct {
	Industry    string
	Established []string
	Facts       map[string]Answer
}

// N is a number that is known.
func N(n uint64) *uint64 { return &n }

// Answer gives what is known of a fact.
func (f *Facts) Answer(name string) Answer { return f.Answers[name] }

// Earliest gives the earliest aware event that was not rejected.
func (f *Facts) Earliest() (Aware, bool) { return f.earliest(func(Aware) bool { return true }) }

func (f *Facts) earliest(of func(Aware) bool) (first Aware, ok bool) {
	for _, a := range f.Aware {
		if a.State != Rejected && of(a) && (!ok || a.At.Before(first.At)) {
			first, ok = a, true
		}
	}
	return first, ok
}

// certain gives when the earliest confirmed event became certain.
func (f *Facts) certain() (at time.Time, ok bool) {
	for _, a := range f.Aware {
		if a.State != Confirmed {
			continue
		}
		t := a.CertainAt
		if t.IsZero() {
			t = a.At
		}
		if !ok || t.Before(at) {
			at, ok = t, true
		}
	}
	return at, ok
}

// sent gives the earliest report of a step.
func (f *Facts) sent(regime, step string) (first Report, ok bool) {
	for _, r := range f.Reports {
		if r.Regime == regime && r.Step == step && (!ok || r.At.Before(first.At)) {
			first, ok = r, true
		}
	}
	return first, ok
}

// passed gives when Upper first was more than n, if its history says so.
func (f *Facts) passed(n uint64) (time.Time, bool) {
	for _, c := range f.Subjects.History {
		if c.Upper > n {
			return c.At, true
		}
	}
	return time.Time{}, false
}

// Check names the first thing in the facts that cannot be.
func (f *Facts) Check(b *Book) error {
	for i, a := range f.Aware {
		if a.At.IsZero() {
			return fmt.Errorf("aware: number %d has no time", i+1)
		}
		if !slices.Contains(Bases(), a.Basis) {
			return fmt.Errorf("aware: basis %q of number %d: it is one of %v", a.Basis, i+1, Bases())
		}
		if a.State != Provisional && a.State != Confirmed && a.State != Rejected {
			return fmt.Errorf("aware: state %q of number %d: it is provisional, confirmed or rejected", a.State, i+1)
		}
	}
	for name := range f.Answers {
		if _, ok := b.Fact(name); !ok {
			return fmt.Errorf("answers: no rule asks about %q", name)
		}
	}
	for name := range f.At {
		if _, ok := b.Fact(name); !ok {
			return fmt.Errorf("at: no rule asks about %q", name)
		}
	}
	for id := range f.Statutory {
		if !b.has(id) {
			return fmt.Errorf("statutory: there is no regime %q", id)
		}
	}
	for i, r := range f.Reports {
		if r.At.IsZero() || !b.hasStep(r.Regime, r.Step) {
			return fmt.Errorf("reports: number %d: %q of %q at %v is no step of a rule, or has no time", i+1, r.Step, r.Regime, r.At)
		}
	}
	return nil
}

// Place reads a label of a roster as a place: an ISO 3166 code such as JP or
// us-ca. Whatever else it is, it is a place that nobody knows.
func Place(label string) string {
	place := strings.ToUpper(strings.TrimSpace(label))
	country, part, divided := strings.Cut(place, "-")
	ok := len(country) == 2 && (!divided || len(part) >= 1 && len(part) <= 3)
	for _, r := range country {
		ok = ok && r >= 'A' && r <= 'Z'
	}
	for _, r := range part {
		ok = ok && (r >= 'A' && r <= 'Z' || r >= '0' && r <= '9')
	}
	if !ok {
		return ""
	}
	return place
}
