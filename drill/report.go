package drill

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"sekisho"
	"sekisho/console"
	"sekisho/disk"
	"sekisho/incident"
	"sekisho/ledger"
	"sekisho/sensor"
	"sekisho/trace"
	"sekisho/vault"
)

// Report is how a drill went: what sekisho answered, and what was true. The
// names of its JSON are stable.
type Report struct {
	Scenario string  `json:"scenario"`
	Seed     uint64  `json:"seed"`
	Members  int     `json:"members"`
	Elapsed  float64 `json:"elapsed_seconds"` // by the machine's clock

	WorstCase  uint64 `json:"worst_case"`
	Suspected  uint64 `json:"suspected"`
	SentAtMost uint64 `json:"sent_at_most"`
	Confirmed  uint64 `json:"confirmed"`

	Truth      Truth    `json:"truth"`
	Lists      Lists    `json:"lists"`
	Violations []string `json:"violations"` // of the inequalities that must hold; empty if all do

	Timeline []Event            `json:"timeline"`
	Answer   *trace.Answer      `json:"answer"`
	File     *sensor.FileReport `json:"file"` // what was made of the recovered file
	Spared   Spared             `json:"spared"`
	Incident uint64             `json:"incident"`              // number of the incident that the bursts belong to; 0 if none was opened
	Learning int                `json:"alerts_while_learning"` // before the case began
	Alerts   Alerts             `json:"alerts"`
	// Compared is what the case took then, and took here.
	Compared *console.Compared `json:"then_and_here"`
}

// Alerts is what became of every alert: Before + Judging + Sent + Other is all
// of them, and all but Before are spread over the incidents.
type Alerts struct {
	All       int        `json:"all"`
	Before    int        `json:"before"`  // recorded before the first infection
	Judging   int        `json:"judging"` // the suspected: what was read at the infected terminals in the window
	Sent      int        `json:"sent"`    // what was sent from them
	Other     int        `json:"other"`   // at another terminal, or outside the window
	Incidents []Incident `json:"incidents"`
}

// Incident is one that holds alerts of the case.
type Incident struct {
	Number uint64 `json:"number"`
	Alerts int    `json:"alerts"`
}

// Truth is what the actors did, by their own account.
type Truth struct {
	Read       uint64 `json:"read"`        // people read at the infected terminals in the window, by anybody
	AttackRead uint64 `json:"attack_read"` // of these, people whom the attacker read
	BurstRead  uint64 `json:"burst_read"`  // people read in the two bursts
	TrialRead  uint64 `json:"trial_read"`  // people read in the trial, from July on
	Taken      uint64 `json:"taken"`       // people whose data arrived at the drop site
	SentBytes  int64  `json:"sent_bytes"`  // that arrived there
	Recovered  uint64 `json:"recovered"`   // people of whom the recovered file has a row, damaged or not
	Undamaged  uint64 `json:"undamaged"`   // of these, people whose row is whole
}

// Lists says how well each list of people agrees with the truth.
type Lists struct {
	WorstCase Agreement `json:"worst_case"` // with the people read at the infected terminals in the window
	Suspected Agreement `json:"suspected"`  // with the people read in the bursts
	Confirmed Agreement `json:"confirmed"`  // with the people of whom the recovered file has a row
}

// Agreement of a list with the truth. A list of nobody errs in nobody: its
// precision is 1; so is the recall of a truth about nobody.
type Agreement struct {
	Listed    uint64  `json:"listed"`
	True      uint64  `json:"true"`
	Both      uint64  `json:"both"`
	Precision float64 `json:"precision"`
	Recall    float64 `json:"recall"`
}

func agreement(listed, true []int64) Agreement {
	a := Agreement{Listed: uint64(len(listed)), True: uint64(len(true)), Both: common(listed, true), Precision: 1, Recall: 1}
	if a.Listed > 0 {
		a.Precision = float64(a.Both) / float64(a.Listed)
	}
	if a.True > 0 {
		a.Recall = float64(a.Both) / float64(a.True)
	}
	return a
}

// Event is one line of the timeline.
type Event struct {
	At   time.Time `json:"at"`
	Code string    `json:"code"` // "infected", "trial", "burst", "sent", "alert", "incident", "recovered"
	What string    `json:"what"`
	// Facts are the figures of What, in order, so that it can be told in another
	// language.
	Facts []string `json:"facts,omitempty"`
	// Seen is when sekisho recorded an alert about it; zero if never. Delay is
	// how long that took, in the drill's seconds.
	Seen  time.Time `json:"seen,omitzero"`
	Delay *float64  `json:"delay_seconds,omitempty"`
	By    string    `json:"by,omitempty"` // the detector
	// Unseen: there was something to be seen, and nobody did.
	Unseen bool `json:"unseen,omitempty"`
}

// Spared says whether the ledger knows of any access at the infected terminals
// in the window that gave out credentials or payment data.
type Spared struct {
	Credentials bool `json:"credentials"`
	Payment     bool `json:"payment"`
}

// ask has the recovered file compared, asks for the four numbers, and compares
// them with the truth.
func (s *stage) ask(ctx context.Context, p *Played) error {
	s.Progress("comparing with the truth", 0, 1)
	p.Recovered = filepath.Join(s.Dir, "recovered.csv")
	n := min(len(s.loot), s.script.count(s.script.stream(streamRecovered), recoveredShare))
	whole, err := recovered(p.Recovered, s.loot[:n], s.script.stream(streamRecovered+1000))
	if err != nil {
		return err
	}
	for _, rec := range s.loot[:n] {
		m, err := strconv.ParseInt(rec[0], 10, 64)
		if err != nil {
			return errors.New("a recovered record has no member number")
		}
		s.truth.recovered = append(s.truth.recovered, m)
	}
	s.truth.undamaged = whole
	s.truth.settle()

	r := &Report{Scenario: s.Scenario, Seed: s.Seed, Members: s.Members, Violations: []string{}}
	p.Report = r
	alerts, err := s.alerts()
	if err != nil {
		return err
	}
	i := s.theIncident()
	if i != nil {
		r.Incident = i.Number
	}
	q := trace.Question{
		Space: "member", Incident: r.Incident, Endpoints: infected[:], Since: sekisho.At(windowOn), Until: sekisho.At(windowOff),
		Hostile: []netip.Prefix{netip.MustParsePrefix(dropSite + "/32")}, Lists: true,
	}
	var matched *sekisho.FileMatched
	if matched, r.File, err = s.compare(ctx, p.Recovered, r.Incident); err != nil {
		return err
	}
	q.Files = []*sekisho.FileMatched{matched}
	if r.Answer, err = s.house.Impact(ctx, q); err != nil {
		return err
	}
	if i != nil {
		if err := s.record(ctx, i, r.Answer, s.house.Vault.Space("staff").OfText([]byte(responder))); err != nil {
			return err
		}
	}
	a := r.Answer
	r.WorstCase, r.Suspected, r.SentAtMost, r.Confirmed = a.WorstCase, a.Suspected, a.SentAtMost, a.Confirmed
	s.compareWithTruth(r)
	s.spared(r)
	if err := s.timeline(r, alerts); err != nil {
		return err
	}
	s.count(r, alerts)
	if r.Incident != 0 {
		if err := respond(ctx, s.house, s.clock, r.Incident, infected[:], []string{supervisor, marketer}); err != nil {
			return err
		}
	}
	if r.Compared, err = compare(s.house, s.Scenario, s.Members, r.Incident, beaconOn); err != nil {
		return err
	}
	s.Progress("comparing with the truth", 1, 1)
	return nil
}

// compare has the recovered file matched, as whoever leads the response would.
func (s *stage) compare(ctx context.Context, path string, incident uint64) (*sekisho.FileMatched, *sensor.FileReport, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	return s.house.TakeFile(ctx, f, "member", incident, responder)
}

// responder is the member of staff who leads the response.
const responder = "security.officer"

// alerts are the sweep and egress alerts of the ledger, in its order.
func (s *stage) alerts() (list []sekisho.Entry, err error) {
	for e, err := range ledger.Read(disk.OS{}, filepath.Join(s.Dir, "ledger"), 1) {
		if err != nil {
			return nil, err
		}
		if _, ok := e.Body.(*sekisho.Alert); ok {
			list = append(list, e)
		}
	}
	return list, nil
}

// theIncident is the incident that the alerts of the bursts opened or joined;
// nil if there was none.
func (s *stage) theIncident() (found *incident.Incident) {
	s.house.Views.Read(func() {
		for _, i := range s.house.Incidents.List() {
			for _, a := range i.Alerts {
				if a.Body.Detector == "sweep" && a.At >= sekisho.At(bursts[0].from) && slices.Contains(infected[:], a.Body.Endpoint) {
					found = i
				}
			}
		}
	})
	return found
}

// keepUp has the numbers of the incident revised if alerts have come since.
func (s *stage) keepUp(ctx context.Context) error {
	i := s.theIncident()
	if i == nil || len(i.Alerts) == s.revised {
		return nil
	}
	s.revised = len(i.Alerts)
	a, err := s.house.Impact(ctx, i.Question("member", sekisho.At(s.clock.now())))
	if err != nil {
		return err
	}
	return s.record(ctx, i, a, 0)
}

// record makes an answer the incident's latest state.
func (s *stage) record(ctx context.Context, i *incident.Incident, a *trace.Answer, by uint32) error {
	moved := i.Revise(a, by)
	if moved == nil {
		return nil
	}
	if _, err := s.house.Ledger.Append(ctx, moved...); err != nil {
		return fmt.Errorf("recording the revision: %w", err)
	}
	return s.settle(ctx)
}

// compareWithTruth is the only place where what sekisho says and what the
// actors know meet.
func (s *stage) compareWithTruth(r *Report) {
	t := s.truth
	r.Truth = Truth{
		Read: uint64(len(t.terminal)), AttackRead: uint64(len(t.attack)), BurstRead: uint64(len(t.bursts)), TrialRead: uint64(len(t.trial)),
		Taken: uint64(len(t.taken)), SentBytes: t.sent, Recovered: uint64(len(t.recovered)), Undamaged: t.undamaged,
	}
	space := s.house.Vault.Space(r.Answer.Space)
	l := &r.Answer.Lists
	worst, suspected, confirmed := keys(space, l.WorstCase), keys(space, l.Suspected), keys(space, l.Confirmed)
	r.Lists = Lists{agreement(worst, t.terminal), agreement(suspected, t.bursts), agreement(confirmed, t.recovered)}

	r.Violations = append(r.Violations, contradicted(r.Confirmed, r.Truth.Taken, r.WorstCase, r.SentAtMost)...)
	if r.Lists.WorstCase.Both < r.Lists.WorstCase.True {
		r.Violations = append(r.Violations, fmt.Sprintf("%d people were read and are not in the list of the worst case", r.Lists.WorstCase.True-r.Lists.WorstCase.Both))
	}
}

// contradicted says which of the inequalities do not hold that must, whatever the
// case: what was found was taken, and what was taken is within both bounds.
func contradicted(confirmed, taken, worst, sent uint64) (list []string) {
	for _, c := range []struct {
		less, more     uint64
		lessIs, moreIs string
	}{{confirmed, taken, "confirmed", "taken"}, {taken, worst, "taken", "worst case"}, {taken, sent, "taken", "sent at most"}} {
		if c.less > c.more {
			list = append(list, fmt.Sprintf("%s %d > %s %d", c.lessIs, c.less, c.moreIs, c.more))
		}
	}
	return list
}

// keys are the member numbers of a list, ascending.
func keys(space *vault.Space, ords []uint32) []int64 {
	list := make([]int64, 0, len(ords))
	for _, o := range ords {
		if k, ok := space.Key(o); ok {
			if m, err := strconv.ParseInt(k, 10, 64); err == nil {
				list = append(list, m)
			}
		}
	}
	slices.Sort(list)
	return list
}

// spared looks for credentials and payment data among the categories of the
// worst case. Any-row accesses name nobody, so their categories are not in the
// breakdown: with one of them nothing is shown.
func (s *stage) spared(r *Report) {
	r.Spared = Spared{Credentials: true, Payment: true}
	for _, p := range r.Answer.Numbers.WorstCase.Breakdown {
		if p.Kind != "category" || p.Count == 0 {
			continue
		}
		switch p.Value {
		case sekisho.Credential.String():
			r.Spared.Credentials = false
		case sekisho.Payment.String():
			r.Spared.Payment = false
		}
	}
	for _, n := range r.Answer.NotObserved {
		if n.Code == "any_row" {
			r.Spared = Spared{}
		}
	}
}

// timeline tells what happened, and when sekisho saw it.
func (s *stage) timeline(r *Report, alerts []sekisho.Entry) error {
	words, err := console.NewTeller("en", japan)
	if err != nil {
		return err
	}
	add := func(e Event) {
		e.What = e.tell(words)
		r.Timeline = append(r.Timeline, e)
	}
	add(Event{At: beaconOn, Code: "infected", Facts: []string{firstPC, deskPC, marketingPC, relay}})
	for i := range alerts {
		if alerts[i].Time < sekisho.At(beaconOn) && alerts[i].Body.(*sekisho.Alert).Learning {
			r.Learning++
		}
	}
	stolen := []uint32{0}
	for _, account := range []string{supervisor, marketer} {
		if ord, ok := s.house.Vault.Space("staff").Find(account); ok {
			stolen = append(stolen, ord)
		}
	}
	// seen finds the first alert about what e tells of, until an end: of a
	// detector, at one of the terminals, and about the stolen accounts if it is
	// about accounts at all.
	seen := func(e Event, until time.Time, detector string, endpoints ...string) Event {
		for i := range alerts {
			a := alerts[i].Body.(*sekisho.Alert)
			if a.Detector != detector || !slices.Contains(endpoints, a.Endpoint) || !slices.Contains(stolen, a.Principal) ||
				alerts[i].Time < sekisho.At(e.At) || a.Until <= sekisho.At(e.At) || a.From >= sekisho.At(until) {
				continue
			}
			e.Seen, e.By = alerts[i].Time.Go().In(japan), detector
			d := e.Seen.Sub(e.At).Seconds()
			e.Delay = &d
			return e
		}
		return e
	}
	add(seen(Event{At: trialOn, Code: "trial", Facts: []string{supervisor, marketer, thousands(r.Truth.TrialRead), trialOff.Format(time.DateOnly)}},
		trialOff.AddDate(0, 0, 1), "sweep", infected[:]...))
	for _, b := range bursts {
		add(seen(Event{At: b.from, Code: "burst", Facts: []string{b.until.Format("15:04"), deskPC, marketingPC}}, b.until, "sweep", infected[:]...))
		for _, p := range b.send {
			add(seen(Event{At: p.at, Code: "sent", Facts: []string{p.endpoint, dropSite}}, p.at.Add(24*time.Hour), "egress", p.endpoint))
		}
	}
	if r.Incident != 0 {
		s.house.Views.Read(func() {
			if i := s.house.Incidents.Get(r.Incident); i != nil {
				add(Event{At: i.Opened.Go().In(japan), Code: "incident", Facts: []string{fmt.Sprint(i.Number)}})
			}
		})
	}
	add(Event{At: askedAt, Code: "recovered", Facts: []string{deskPC, thousands(uint64(r.File.Matched)), thousands(uint64(r.File.Rows))}})
	slices.SortStableFunc(r.Timeline, func(a, b Event) int { return cmp.Compare(a.At.UnixNano(), b.At.UnixNano()) })
	return nil
}

// count says what became of every alert.
func (s *stage) count(r *Report, alerts []sekisho.Entry) {
	a := &r.Alerts
	of := map[uint64]bool{}
	for i := range alerts {
		b := alerts[i].Body.(*sekisho.Alert)
		at := slices.Contains(infected[:], b.Endpoint) && b.Until > sekisho.At(windowOn) && b.From < sekisho.At(windowOff)
		a.All++
		if alerts[i].Time < sekisho.At(beaconOn) {
			a.Before++
			continue
		}
		of[alerts[i].ID.Seq] = true
		switch {
		case at && b.Detector == "egress":
			a.Sent++
		case at:
			a.Judging++
		default:
			a.Other++
		}
	}
	s.house.Views.Read(func() {
		for _, i := range s.house.Incidents.List() {
			n := 0
			for _, one := range i.Alerts {
				if of[one.Seq] {
					n++
				}
			}
			if n > 0 {
				a.Incidents = append(a.Incidents, Incident{i.Number, n})
			}
		}
	})
	slices.SortFunc(a.Incidents, func(x, y Incident) int { return cmp.Compare(x.Number, y.Number) })
}
