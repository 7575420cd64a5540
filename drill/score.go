package drill

import (
	"fmt"
	"io"
	"path/filepath"
	"time"

	"sekisho"
	"sekisho/console"
	"sekisho/disk"
	"sekisho/house"
	"sekisho/ledger"
)

// Score is how an exercise went, by its ledger. The names of its JSON are
// stable.
type Score struct {
	Case     string       `json:"case"`
	Drill    bool         `json:"drill"` // always true: this happened in an exercise
	Speed    float64      `json:"speed"`
	Began    time.Time    `json:"began"`
	Ended    time.Time    `json:"ended"`
	Entry    uint64       `json:"entry"` // with which it began
	Alert    *ScoreMark   `json:"first_alert"`
	Marks    []ScoreMark  `json:"marks"`
	Injects  []InjectMade `json:"injects"`
	Notes    []Note       `json:"notes"`
	Incident uint64       `json:"incident,omitempty"`
	Numbers  *Four        `json:"numbers,omitempty"` // of that incident, at the end
	Report   string       `json:"-"`                 // the file that it was written to
}

// ScoreMark is one step, and how long it took in the case's time.
type ScoreMark struct {
	What    string    `json:"what"` // "noticed", "decided", "contained", "counted", "reported"
	At      time.Time `json:"at,omitzero"`
	Seconds float64   `json:"seconds,omitempty"`
	Entry   uint64    `json:"entry,omitempty"` // 0: it did not happen
	By      string    `json:"by,omitempty"`
	Within  float64   `json:"within_seconds,omitempty"` // what was expected; 0 for nothing
	Met     bool      `json:"met"`
	// ThenDays is what the real case took, in days from its first act; 0 if the
	// public reports do not say.
	ThenDays int `json:"then_days,omitempty"`
}

// InjectMade is an inject as it was put before the people.
type InjectMade struct {
	Step      uint32    `json:"step,omitempty"`
	Due       time.Time `json:"due"`
	Text      string    `json:"text"`
	Result    string    `json:"result,omitempty"`
	Hidden    bool      `json:"hidden,omitempty"`    // they were not told
	Prevented bool      `json:"prevented,omitempty"` // it could not happen any more
}

// Note is an observer's.
type Note struct {
	At   time.Time `json:"at"`
	By   string    `json:"by,omitempty"`
	Text string    `json:"text"`
}

// Four is the four numbers.
type Four struct {
	WorstCase  uint64 `json:"worst_case"`
	Suspected  uint64 `json:"suspected"`
	SentAtMost uint64 `json:"sent_at_most"`
	Confirmed  uint64 `json:"confirmed"`
}

// read takes the score off the ledger.
func (s *Score) read(h *house.House, c *Case) error {
	found := map[string]*ScoreMark{}
	began := sekisho.At(c.begins)
	name := func(space string, n uint32) string {
		text, _ := h.Vault.Space(space).Key(n)
		return text
	}
	for e, err := range ledger.Read(disk.OS{}, filepath.Join(h.Config.Data, "ledger"), s.Entry) {
		if err != nil {
			return fmt.Errorf("scoring the exercise: %w", err)
		}
		mark := func(what string, by uint32) {
			if found[what] == nil {
				found[what] = &ScoreMark{What: what, At: e.Time.Go().In(japan), Seconds: max(0, float64(e.Time-began)/1e6), Entry: e.ID.Seq, By: name("staff", by)}
			}
		}
		switch b := e.Body.(type) {
		case *sekisho.Alert:
			if mark("alert", 0); found["alert"].By == "" {
				found["alert"].By = b.Detector
			}
		case *sekisho.Acknowledged:
			mark("noticed", b.By)
		case *sekisho.FactStated:
			mark("noticed", b.By)
		case *sekisho.RoleChanged:
			mark("noticed", b.By)
		case *sekisho.DecisionMade:
			mark("noticed", b.By)
			mark("decided", b.By)
		case *sekisho.ContainmentProposed:
			mark("noticed", b.By)
		case *sekisho.ContainmentDecided:
			if b.Action == "approved" || b.Action == "broken_glass" {
				mark("decided", b.By)
			}
		case *sekisho.ContainmentReported:
			if b.State == "applied" && b.Intended > 0 {
				mark("contained", 0)
			}
		case *sekisho.IncidentRevised:
			if b.Suspected > 0 || b.By != 0 {
				mark("counted", b.By)
			}
		case *sekisho.TextDecided:
			if b.Action == "approved" {
				mark("reported", b.By)
			}
		case *sekisho.DutyReported:
			if b.Action == "sent" {
				mark("reported", b.By)
			}
		case *sekisho.DrillStep:
			if b.Action == "noted" && b.Step == 0 {
				s.Notes = append(s.Notes, Note{e.Time.Go().In(japan), name("staff", b.By), name("said", b.Said)})
			}
		}
	}
	s.Alert = found["alert"]
	past, err := daysThen(c.Name)
	if err != nil {
		return err
	}
	for _, want := range c.Expect.all() {
		m := ScoreMark{What: want.what}
		if f := found[want.what]; f != nil {
			m = *f
		}
		if d, err := time.ParseDuration(want.within); err == nil {
			m.Within = d.Seconds()
		}
		m.ThenDays = past[map[string]string{"noticed": "noticed", "contained": "cut", "counted": "counted", "reported": "told"}[m.What]]
		m.Met = m.Entry != 0 && (m.Within == 0 || m.Seconds <= m.Within)
		s.Marks = append(s.Marks, m)
	}
	h.Views.Read(func() {
		most := -1
		for _, i := range h.Incidents.List() {
			if i.Latest < began {
				continue
			}
			// The one that most people are in; of equal ones that with most alerts.
			four, weight := (*Four)(nil), len(i.Alerts)
			if n := len(i.Revisions); n > 0 {
				r := i.Revisions[n-1].Body
				four = &Four{r.WorstCase, r.Suspected, r.SentAtMost, r.Confirmed}
				weight += 1000 * int(r.Suspected)
			}
			if weight > most {
				most, s.Incident, s.Numbers = weight, i.Number, four
			}
		}
	})
	return nil
}

// Text writes the score for people to read.
func (s *Score) Text(out io.Writer, w *console.Teller) {
	line := func(key string, args ...any) { fmt.Fprintln(out, w.Say("exercise."+key, args...)) }
	line("head", s.Case)
	line("span", s.Began.In(japan).Format("2006-01-02 15:04"), s.Ended.Format("2006-01-02 15:04"), fmt.Sprint(s.Speed))
	fmt.Fprintln(out)
	if s.Alert != nil {
		line("alert", w.Duration(s.Alert.Seconds), w.Code("reason", s.Alert.By), s.Alert.Entry)
	}
	met := 0
	for _, m := range s.Marks {
		what := console.Pad(w.Say("exercise."+m.What), 14)
		switch {
		case m.Entry == 0:
			fmt.Fprintf(out, "  %s%s", what, w.Say("exercise.not"))
		default:
			fmt.Fprintf(out, "  %s%s", what, w.Say("exercise.after", w.Duration(m.Seconds), m.Entry))
		}
		if m.Within > 0 {
			fmt.Fprintf(out, "  %s", w.Say("exercise.within", w.Duration(m.Within)))
		}
		if m.ThenDays > 0 {
			fmt.Fprintf(out, "  %s", w.Say("exercise.then", m.ThenDays))
		}
		if m.Met {
			met++
			fmt.Fprintf(out, "  %s", w.Say("exercise.met"))
		}
		fmt.Fprintln(out)
	}
	fmt.Fprintf(out, "  %s\n", w.Say("exercise.score", met, len(s.Marks)))
	if s.Numbers != nil {
		n := s.Numbers
		fmt.Fprintf(out, "\n%s\n", w.Say("exercise.numbers", s.Incident, thousands(n.WorstCase), thousands(n.Suspected), thousands(n.SentAtMost), thousands(n.Confirmed)))
	}
	fmt.Fprintln(out)
	line("injects")
	for _, i := range s.Injects {
		text := i.Text
		if i.Hidden {
			text = w.Say("exercise.hidden", text)
		}
		if i.Prevented {
			text = w.Say("exercise.prevented", text)
		}
		fmt.Fprintf(out, "  %s  %s", i.Due.In(japan).Format("2006-01-02 15:04"), text)
		if i.Result != "" {
			fmt.Fprintf(out, "  → %s", i.Result)
		}
		fmt.Fprintln(out)
	}
	if len(s.Notes) > 0 {
		fmt.Fprintln(out)
		line("notes")
		for _, n := range s.Notes {
			fmt.Fprintf(out, "  %s  %s %s\n", n.At.Format("2006-01-02 15:04"), n.By, n.Text)
		}
	}
	if s.Report != "" {
		fmt.Fprintln(out)
		line("report", s.Report)
	}
}
