package pack

import (
	"fmt"
	"io/fs"
	"time"

	"sekisho"
	"sekisho/directory"
	"sekisho/duty"
	"sekisho/incident"
	"sekisho/law"
)

// Settings are what figures depend on beside entries and texts.
type Settings struct {
	Zone       string      `json:"zone"`
	YearBegins int         `json:"year_begins"`
	Since      string      `json:"since,omitempty"`
	People     []string    `json:"people,omitempty"`
	Company    law.Company `json:"company"`
	// LawParts is how many directories of rules there are: law/0, law/1, …
	LawParts int `json:"law_parts"`
	// FirstDayExclusive: the day of knowing is not day 1 of Japan's preliminary
	// report.
	FirstDayExclusive bool `json:"first_day_exclusive,omitempty"`
	Drill             bool `json:"drill,omitempty"`
}

// Rules reads the rules of the law as the settings want them.
func (s *Settings) Rules(dirs []fs.FS) (*law.Book, error) {
	rules, err := law.Load(dirs...)
	if err == nil && s.FirstDayExclusive {
		err = rules.Set("jp-appi", "prelim.first_day_inclusive", false)
	}
	return rules, err
}

// An engine folds entries into figures: the views that the console asks.
type engine struct {
	duty      *duty.Book
	directory *directory.Book
	incidents *incident.Book
}

func newEngine(s *Settings, register *duty.Register, rules *law.Book) (*engine, error) {
	zone, err := time.LoadLocation(s.Zone)
	if err != nil {
		return nil, fmt.Errorf("the time zone %q: %w", s.Zone, err)
	}
	config := duty.Config{YearBegins: s.YearBegins, Since: s.Since, People: s.People}
	if err := config.Check(zone); err != nil {
		return nil, err
	}
	e := &engine{directory: directory.New(), incidents: incident.New()}
	e.duty = duty.New(duty.Setup{Register: register, Directory: duty.From(e.directory), Zone: zone, Config: config,
		Events: Events(e.incidents, rules, s.Company, s.Drill)})
	return e, nil
}

func (e *engine) apply(one *sekisho.Entry) {
	e.directory.Apply(one)
	e.incidents.Apply(one)
	e.duty.Apply(one)
}

// Events gives the clocks of incidents as evidence of duties: when each was
// contained, and when its notices were due and went out. Both are functions of
// the ledger and the rules. Where people live is not asked here, so a duty that
// hangs on it counts as one that holds.
func Events(book *incident.Book, rules *law.Book, company law.Company, drill bool) func(kind string, now int64) []duty.Credit {
	return func(kind string, now int64) (list []duty.Credit) {
		if kind != "incident_timeline" && kind != "notice_sent" {
			return nil
		}
		for _, i := range book.List() {
			if i.Number == 0 {
				continue
			}
			if kind == "incident_timeline" {
				c := duty.Credit{Seq: i.Number, Kind: kind, Unit: duty.Group, From: int64(i.Opened), Recorded: int64(i.Opened), Item: fmt.Sprintf("contain/%d", i.Number)}
				if m, ok := i.Marks()["contained_verified"]; ok {
					c.Until, c.Seq = max(int64(m.At), c.From), m.Seq
				} else if end, closed := i.Closed(); closed {
					// Closed without anything to contain.
					c.Until, c.Seq = int64(end.At), end.Seq
				}
				list = append(list, c)
				continue
			}
			for _, f := range i.Clocks(rules, company, incident.Concerned{}, time.UnixMicro(now), drill) {
				if f.Verdict == law.NotReached || f.Verdict == law.NotInForce {
					continue
				}
				for _, k := range f.Clocks {
					if k.Due.IsZero() || k.Start.IsZero() {
						continue
					}
					c := duty.Credit{Seq: i.Number, Kind: kind, Unit: duty.Group, From: k.Start.UnixMicro(), Value: k.Due.UnixMicro(), Recorded: int64(i.Opened), Item: f.Regime + "/" + k.Step}
					if !k.Sent.IsZero() {
						c.Until = max(k.Sent.UnixMicro(), c.From)
					}
					list = append(list, c)
				}
			}
		}
		return list
	}
}

// counted says that a figure counts each access to customers' data, or each
// session that made one: entries that a pack leaves out unless it is whole.
func counted(d *duty.Duty) bool {
	return len(d.Population) > 8 && d.Population[:8] == "counter:"
}

// Needs says that figures rest on an entry. What is not listed is left out, and a
// figure that turns out to rest on it all the same is found when a pack is made,
// and marked.
func Needs(e *sekisho.Entry) bool {
	switch b := e.Body.(type) {
	case *sekisho.LedgerOpened, *sekisho.LedgerVerified, *sekisho.PackMade:
		return true
	case *sekisho.InstrumentRead, *sekisho.EvidenceStated, *sekisho.EvidenceSigned, *sekisho.UnitListed, *sekisho.ExceptionAsked, *sekisho.ExceptionDecided,
		*sekisho.ControlStated, *sekisho.PopulationFrozen, *sekisho.DutyReminded:
		return true
	case *sekisho.DirectoryRead, *sekisho.PersonChanged, *sekisho.UnitChanged:
		return true
	case *sekisho.CourseRead, *sekisho.TrainingPlanned, *sekisho.TrainingAssigned, *sekisho.TrainingChanged, *sekisho.TrainingCompleted, *sekisho.TrainingJudged:
		return true
	case *sekisho.LureAsked, *sekisho.MailStarted, *sekisho.MailEnded, *sekisho.MailSettled, *sekisho.MailBounced, *sekisho.SuspectReported, *sekisho.LureSorted,
		*sekisho.HandlingRead, *sekisho.SubjectRevised:
		return true
	case *sekisho.LureSeen: // of what people do with lures only that somebody reported
		return b.Did == "reported"
	case *sekisho.DrillStep, *sekisho.EnquiryReceived, *sekisho.EnquiryAnswered, *sekisho.EnquiryClosed:
		return true
	}
	k := e.Body.Kind()
	switch {
	case k >= sekisho.KindDocumentWritten && k <= sekisho.KindDocumentAcknowledged,
		k >= sekisho.KindRegistered && k <= sekisho.KindEvaluationConfirmed,
		k >= sekisho.KindAlert && k <= sekisho.KindFileMatched,         // incidents,
		k >= sekisho.KindFactStated && k <= sekisho.KindIncidentEnding, // their rooms,
		k >= sekisho.KindContainmentProposed && k <= sekisho.KindContainmentProlonged,
		k >= sekisho.KindNoticeReceived && k <= sekisho.KindLegalFactStated: // and clocks
		return true
	}
	return false
}
