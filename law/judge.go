package law

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Verdict says whether a regime applies.
type Verdict string

const (
	Triggered  Verdict = "triggered" // a trigger holds on known facts, and somebody has confirmed the event
	Maybe      Verdict = "maybe"     // a trigger holds, but only events that nobody has judged yet say so
	Undecided  Verdict = "unknown"   // facts that it hangs on are under investigation; its clocks are shown as if it held
	NotReached Verdict = "not"       // it does not apply, on known facts
	NotInForce Verdict = "not in force"
)

// A Question is what Judge answers.
type Question struct {
	Facts Facts
	Now   time.Time
	// Replay judges by the newest edition, whenever it came into force: an exercise
	// on facts of a time that had no such law.
	Replay bool
}

// A Finding is what one regime says.
type Finding struct {
	Regime       string  `json:"regime"`
	Name         Words   `json:"name"`
	Jurisdiction string  `json:"jurisdiction"`
	Edition      string  `json:"edition"`
	From         string  `json:"from,omitempty"`
	To           string  `json:"to,omitempty"`
	Status       Status  `json:"status"`
	Source       string  `json:"source"`
	Note         Words   `json:"note,omitzero"`
	Disclaimer   Words   `json:"disclaimer"`
	Verdict      Verdict `json:"verdict"`
	// Replayed: the edition was not in force when the clock started.
	Replayed bool `json:"replayed,omitempty"`
	// Reasons of the verdict, in words.
	Reasons  []Words    `json:"reasons"`
	Triggers []Triggers `json:"triggers"`
	// Missing lists the facts under investigation that the verdict, or a limit,
	// hangs on.
	Missing []string `json:"missing,omitempty"`
	Clocks  []Clock  `json:"clocks"`

	rule *Regime
}

// Items gives what a step's report must say, in order.
func (f *Finding) Items(step string) []Item {
	c := f.rule.step(step)
	if c == nil {
		return nil
	}
	var list []Item
	for _, i := range f.rule.Items {
		if len(c.Items) == 0 || slices.Contains(c.Items, i.ID) {
			list = append(list, i)
		}
	}
	return list
}

// Triggers is the state of one trigger or exemption.
type Triggers struct {
	ID      string `json:"id"`
	Article string `json:"article,omitempty"`
	Text    Words  `json:"text"`
	Holds   Answer `json:"holds"`
	Exempts bool   `json:"exempts,omitempty"`
}

// ClockState says where a clock stands.
type ClockState string

const (
	Running      ClockState = "running"
	DueSoon      ClockState = "due soon" // four fifths of the time are over
	Overdue      ClockState = "overdue"
	Met          ClockState = "met"
	MetLate      ClockState = "met late"
	Open         ClockState = "open"          // owed without delay; the text has no number
	LimitUnknown ClockState = "limit unknown" // no source settles the limit
	Waiting      ClockState = "waiting"       // what starts it has not happened
	Lifted       ClockState = "lifted"        // somebody else's report is in its place
)

// A Clock is one duty of one regime, with its limit.
type Clock struct {
	Regime  string     `json:"regime"`
	Step    string     `json:"step"`
	Article string     `json:"article"`
	Name    Words      `json:"name"`
	Text    Words      `json:"text,omitzero"`
	State   ClockState `json:"state"`
	// Provisional: only events that nobody has judged yet start it.
	Provisional bool `json:"provisional,omitempty"`
	// Conditional: facts that it hangs on are unknown (the finding's Missing).
	Conditional bool `json:"conditional,omitempty"`
	// Advice: the number is a guideline's, not the law's.
	Advice bool `json:"advice,omitempty"`

	Start    time.Time `json:"start,omitzero"`
	StartDay string    `json:"start_day,omitempty"` // in Zone: day 1 where the first day counts
	// From is the first day of a window such as "3 to 5 days"; a report may go
	// earlier.
	From string `json:"window_from,omitempty"`
	// Due is the last moment in time. Where days are counted it is the last
	// microsecond of DueDay in Zone.
	Due    time.Time `json:"due,omitzero"`
	DueDay string    `json:"due_day,omitempty"`
	Zone   string    `json:"zone"`
	Amount int       `json:"amount,omitempty"`
	Unit   string    `json:"unit,omitempty"`
	Count  string    `json:"count,omitempty"` // "inclusive" or "elapsed"
	Rolled []Rolled  `json:"rolled,omitempty"`
	// If lists the limits that it would have instead, if triggers under
	// investigation turn out to hold. Due is the one that is certain.
	If []Alternative `json:"if,omitempty"`
	// Computed: the calendar of that year is not announced yet.
	Computed bool `json:"computed,omitempty"`
	// Error says why there is no limit although the rule has one: the year is
	// beyond the calendar.
	Error string `json:"error,omitempty"`

	Sent       time.Time   `json:"sent,omitzero"` // the report that met it
	Entry      uint64      `json:"entry,omitempty"`
	Recipients []Recipient `json:"recipients,omitempty"`
	Items      []Item      `json:"items,omitempty"`
	Status     Status      `json:"status"` // of this rule's text
}

// Alternative is the limit that a clock has if a trigger holds.
type Alternative struct {
	Trigger string    `json:"trigger"`
	Amount  int       `json:"amount"`
	Due     time.Time `json:"due"`
	DueDay  string    `json:"due_day"`
}

// Recipient is to whom a report goes.
type Recipient struct {
	Name   Words  `json:"name"`
	Via    string `json:"via,omitempty"`
	Status Status `json:"status"`
	Note   Words  `json:"note,omitzero"`
}

// Judge says what every regime says about the facts, one finding each, those
// that apply first.
func (b *Book) Judge(q Question) []Finding {
	start, aware := q.Facts.Earliest()
	at := start.At
	if q.Facts.Start != nil {
		at = *q.Facts.Start
	}
	if !aware && q.Facts.Start == nil {
		at = q.Now
	}
	var list []Finding
	rules, inForce := b.editions(at, q.Replay)
	for i, r := range rules {
		j := judge{book: b, rule: r, facts: &q.Facts, now: q.Now}
		list = append(list, j.finding(aware, inForce[i], q.Replay))
	}
	slices.SortStableFunc(list, func(a, c Finding) int { return rank(a.Verdict) - rank(c.Verdict) })
	return list
}

func rank(v Verdict) int {
	switch v {
	case Triggered, Maybe:
		return 0
	case Undecided:
		return 1
	}
	return 2
}

// judge is one regime and one set of facts.
type judge struct {
	book    *Book
	rule    *Regime
	facts   *Facts
	now     time.Time
	missing []string
}

func (j *judge) finding(aware, inForce, replay bool) Finding {
	r := j.rule
	f := Finding{Regime: r.ID, Name: r.Name, Jurisdiction: r.Jurisdiction, Edition: r.Edition, From: r.From, To: r.To, Status: r.Status,
		Source: r.Source, Note: r.Note, Disclaimer: r.Disclaimer, Replayed: !inForce, Reasons: []Words{}, Clocks: []Clock{}, rule: r}
	because := func(en, ja string) { f.Reasons = append(f.Reasons, Words{EN: en, JA: ja}) }

	place, why := j.place()
	f.Reasons = append(f.Reasons, why)
	holding, holds := map[string]Answer{}, No
	for _, t := range r.Triggers {
		a := j.all(t.When)
		holding[t.ID] = a
		holds = or(holds, a)
		f.Triggers = append(f.Triggers, Triggers{ID: t.ID, Article: t.Article, Text: t.Text, Holds: a})
		if a == Yes {
			f.Reasons = append(f.Reasons, t.Text)
		}
	}
	exempt := No
	for _, x := range r.Exempt {
		a := j.all(x.When)
		if a != No && x.Status == StatusUnconfirmed {
			a = Unknown
		}
		exempt = or(exempt, a)
		f.Triggers = append(f.Triggers, Triggers{ID: x.ID, Article: x.Article, Text: x.Text, Holds: a, Exempts: true})
		if a == Yes {
			f.Reasons = append(f.Reasons, x.Text)
		}
	}
	_, confirmed := j.facts.certain()
	// An exemption has to be known: until then the duty stands.
	switch reached := and(place, and(holds, answer(exempt != Yes))); {
	case !inForce && !replay:
		f.Verdict = NotInForce
		because("This edition is in force from "+or2(r.From, "a day that is not known")+until(r.To)+"; the clock would have started on another day.",
			"この版の施行期間（"+or2(r.From, "不明")+"〜"+r.To+"）に起算日が含まれない。")
	case !aware && j.facts.Start == nil:
		f.Verdict = NotReached
		because("No event says that anything has happened or may have happened.", "発生した、または発生したおそれがあるとする事象がない。")
	case reached == No:
		f.Verdict = NotReached
		if place != No && holds == No {
			because("No trigger holds.", "該当する要件がない。")
		}
	case reached == Unknown:
		f.Verdict = Undecided
		because("Facts that it hangs on are under investigation.", "判断に必要な事実が調査中である。")
	case confirmed:
		f.Verdict = Triggered
	default:
		f.Verdict = Maybe
		because("Nobody has confirmed or rejected yet what was noticed.", "覚知した事象を、まだ誰も確認も否定もしていない。")
	}
	if f.Verdict == NotReached || f.Verdict == NotInForce {
		f.Missing = nil
		return f
	}
	for i := range r.Clocks {
		if c, ok := j.clock(&r.Clocks[i], holding); ok {
			c.Conditional = c.Conditional || f.Verdict == Undecided
			f.Clocks = append(f.Clocks, c)
		}
	}
	slices.Sort(j.missing)
	f.Missing = slices.Compact(j.missing)
	return f
}

func or2(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func until(to string) string {
	if to == "" {
		return ""
	}
	return " to " + to
}

// and and or are Kleene's: an unknown fact decides nothing unless the others do.
func and(a, b Answer) Answer {
	switch {
	case a == No || b == No:
		return No
	case a == Yes && b == Yes:
		return Yes
	}
	return Unknown
}

func or(a, b Answer) Answer { return and(a.not(), b.not()).not() }

func (j *judge) all(list []Condition) Answer {
	result := Yes
	var missing []string
	for _, c := range list {
		a := j.holds(c)
		if a == Unknown {
			missing = append(missing, c.missing(j.rule))
		}
		result = and(result, a)
	}
	if result == Unknown {
		j.missing = append(j.missing, missing...)
	}
	return result
}

// missing names the fact that somebody would have to find out.
func (c Condition) missing(r *Regime) string {
	switch c.kind {
	case "fact":
		return c.name
	case "category":
		return "categories"
	case "statutory":
		return "statutory:" + r.ID
	}
	return c.kind
}

func (j *judge) holds(c Condition) (a Answer) {
	f := j.facts
	switch c.kind {
	case "fact":
		a = f.Answers[c.name]
	case "category":
		if len(f.Categories) > 0 {
			a = answer(slices.Contains(f.Categories, c.name))
		}
	case "industry":
		if f.Industry != "" {
			a = answer(f.Industry == c.name)
		}
	case "statutory":
		a = f.Statutory[j.rule.ID]
	case "people":
		a = j.moreThan(c.over)
	}
	if c.negate {
		a = a.not()
	}
	return a
}

func answer(b bool) Answer {
	if b {
		return Yes
	}
	return No
}

// within says whether people in a place (an ISO 3166 code; empty: unknown) live
// where one of the rules' places is. Unknown: they may, as people of US may live
// in US-CA.
func within(place string, rules []string) Answer {
	result := No
	for _, r := range rules {
		switch {
		case place == r || strings.HasPrefix(place, r+"-"):
			return Yes
		case place == "" || strings.HasPrefix(r, place+"-"):
			result = Unknown
		}
	}
	return result
}

// established: the company is, where the rule says; then everybody counts.
func (j *judge) established() bool {
	return j.rule.Anywhere || slices.ContainsFunc(j.facts.Established, func(at string) bool { return within(at, j.rule.Established) == Yes })
}

// living gives how many of the people certainly live in the regime's places,
// and how many may.
func (j *judge) living() (sure, perhaps uint64, known bool) {
	s := &j.facts.Subjects
	if s.Residence == nil {
		if s.Upper == nil {
			return 0, 0, false
		}
		return 0, *s.Upper, true
	}
	var sum uint64
	for _, r := range s.Residence {
		sum += r.Upper
		switch within(r.Place, j.rule.Residents) {
		case Yes:
			sure += r.Upper
		case Unknown:
			perhaps += r.Upper
		}
	}
	if s.Upper == nil {
		return sure, perhaps, false // there may be more
	}
	if *s.Upper > sum {
		perhaps += *s.Upper - sum
	}
	return sure, perhaps, true
}

// place says whether the regime's reach takes the people in.
func (j *judge) place() (Answer, Words) {
	if j.rule.Anywhere {
		return Yes, Words{EN: "It does not hang on where the people live.", JA: "本人の居住地を問わない。"}
	}
	if j.established() {
		return Yes, Words{EN: "The company is established there.", JA: "会社の事業所の所在地である。"}
	}
	sure, perhaps, known := j.living()
	switch {
	case sure > 0:
		return Yes, Words{EN: fmt.Sprintf("At most %d of the people live there.", sure+perhaps), JA: fmt.Sprintf("本人のうち最大 %d 人が居住する。", sure+perhaps)}
	case perhaps > 0 || !known && len(j.rule.Residents) > 0:
		j.missing = append(j.missing, "residence")
		return Unknown, Words{EN: "It is not known whether any of the people live there.", JA: "本人が居住するかどうか不明である。"}
	}
	return No, Words{EN: "None of the people live there, and the company is not established there.", JA: "居住する本人がなく、会社の事業所もない。"}
}

// moreThan says whether more than n people are concerned, by the upper bound:
// that at most so many may be is enough for a duty.
func (j *judge) moreThan(n uint64) Answer {
	s := &j.facts.Subjects
	if j.established() {
		for _, at := range []*uint64{s.Upper, s.Likely, s.Confirmed} {
			if at != nil && *at > n {
				return Yes
			}
		}
		if s.Upper == nil {
			return Unknown
		}
		return No
	}
	sure, perhaps, known := j.living()
	switch {
	case sure > n:
		return Yes
	case !known || sure+perhaps > n:
		return Unknown
	}
	return No
}
