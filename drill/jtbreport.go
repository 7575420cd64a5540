package drill

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"sekisho"
	"sekisho/console"
	"sekisho/disk"
	"sekisho/incident"
	"sekisho/ledger"
	"sekisho/trace"
)

// JtbReport is how jtb-2016 went. The names of its JSON are stable, and those
// that jal-2014 has too mean the same.
type JtbReport struct {
	Scenario string  `json:"scenario"`
	Seed     uint64  `json:"seed"`
	Members  int     `json:"members"`         // rows of the store; one row counts as one customer
	Elapsed  float64 `json:"elapsed_seconds"` // by the machine's clock
	Rate     float64 `json:"copied_rows_per_second"`

	WorstCase  uint64 `json:"worst_case"`
	Suspected  uint64 `json:"suspected"`
	SentAtMost uint64 `json:"sent_at_most"`
	Confirmed  uint64 `json:"confirmed"`
	SentKnown  bool   `json:"sent_known"` // false: nothing bounds what was sent but the worst case

	// Verdict is "suspected", "sent" or "confirmed": the most that the ledger
	// shows.
	Verdict      string        `json:"verdict"`
	ExitObserved bool          `json:"exit_observed"` // traffic to a hostile destination with bytes, or a file found elsewhere
	Missing      []trace.Note  `json:"missing_sources"`
	Passports    Passports     `json:"passports"`
	PartnerRows  uint64        `json:"partner_rows"`
	File         ReportedFile  `json:"file"`
	Destinations Destinations  `json:"destinations"`
	Truth        JtbTruth      `json:"truth"`
	Lists        Lists         `json:"lists"`
	Violations   []string      `json:"violations"`
	Timeline     []Event       `json:"timeline"`
	Readers      []string      `json:"readers"` // terminals at which the attachment was opened, as reported
	Endpoints    []string      `json:"endpoints"`
	Answer       *trace.Answer `json:"answer"`
	Incident     uint64        `json:"incident"`
	Alerts       JtbAlerts     `json:"alerts"`
	// Compared is what the case took then, and took here.
	Compared *console.Compared `json:"then_and_here"`
}

// Passports of the customers in the suspected.
type Passports struct {
	All   uint64 `json:"all"`
	Valid uint64 `json:"valid"`
}

// ReportedFile is the file as the ledger knows it.
type ReportedFile struct {
	Rows  uint64 `json:"rows"` // of the statement that filled it
	Bytes uint64 `json:"bytes"`
}

// Destinations of the intruder.
type Destinations struct {
	Known   int `json:"known"`   // in the end
	Blocked int `json:"blocked"` // when the first of them was
	// First is how many were known and blocked when sekisho first raised the
	// alarm that only some of them are.
	First struct {
		At      time.Time `json:"at,omitzero"`
		Known   uint64    `json:"known"`
		Blocked uint64    `json:"blocked"`
	} `json:"first_alarm"`
	AllBlocked time.Time `json:"all_blocked,omitzero"`
}

// JtbTruth is what the actors did, by their own account.
type JtbTruth struct {
	Read     uint64 `json:"read"`      // rows read at the machines that were taken over, from the mail on
	FileRows uint64 `json:"file_rows"` // in the intruder's file
	Taken    uint64 `json:"taken"`     // that were carried out, by a way that nobody watches; 0 or all
	Infected int    `json:"infected"`  // machines
}

// JtbAlerts is what became of every alert.
type JtbAlerts struct {
	All        int            `json:"all"`
	Before     int            `json:"before"` // the mail
	InIncident int            `json:"in_incident"`
	By         map[string]int `json:"by_detector"`
}

// ask asks for the four numbers of the incident that sekisho gathered, and
// compares them with the truth.
func (s *travel) ask(ctx context.Context, p *Played) error {
	s.Progress("comparing with the truth", 0, 1)
	r := &JtbReport{Scenario: Jtb2016, Seed: s.Seed, Members: s.Members, Rate: s.rate, Violations: []string{}, Missing: []trace.Note{}}
	p.Jtb = r
	entries, err := jtbEntries(s.Dir)
	if err != nil {
		return err
	}
	one := s.theIncident()
	if one == nil {
		return fmt.Errorf("no incident was opened for the case")
	}
	r.Incident, r.Endpoints = one.Number, one.Endpoints
	q := one.Question("customer", sekisho.At(s.clock.now()))
	q.Since, q.Lists = sekisho.At(jtbLure), true
	if r.Answer, err = s.house.Impact(ctx, q); err != nil {
		return err
	}
	if moved := one.Revise(r.Answer, s.house.Vault.Space("staff").OfText([]byte(responder))); moved != nil {
		if _, err := s.house.Ledger.Append(ctx, moved...); err != nil {
			return fmt.Errorf("recording the revision: %w", err)
		}
		if err := s.settle(ctx); err != nil {
			return err
		}
	}
	a := r.Answer
	r.WorstCase, r.Suspected, r.SentAtMost, r.Confirmed, r.SentKnown = a.WorstCase, a.Suspected, a.SentAtMost, a.Confirmed, a.SentKnown
	r.ExitObserved = a.Confirmed > 0 || a.SentKnown && a.Numbers.SentAtMost.Evidence.Entries > 0
	switch {
	case a.Confirmed > 0:
		r.Verdict = "confirmed"
	case r.ExitObserved:
		r.Verdict = "sent"
	case a.Suspected > 0:
		r.Verdict = "suspected"
	}
	for _, n := range a.NotObserved {
		if missing(n) {
			r.Missing = append(r.Missing, n)
		}
	}
	for _, part := range a.Numbers.Suspected.Breakdown {
		switch {
		case part.Dimension == "passport" && part.Value == "told":
			r.Passports.All = part.Count
		case part.Dimension == "passport_until":
			r.Passports.Valid = part.Count
		case part.Dimension == "partner" && part.Value == partnerCode:
			r.PartnerRows = part.Count
		}
	}
	s.fromLedger(r, entries, one)
	over := []string{web, control}
	for _, i := range s.cast.infected {
		over = append(over, agencyPC(i))
	}
	if err := respond(ctx, s.house, s.clock, r.Incident, over, []string{reporting}); err != nil {
		return err
	}
	if r.Compared, err = compare(s.house, s.Scenario, s.Members, r.Incident, jtbLure); err != nil {
		return err
	}
	s.compareWithTruth(r)
	if err := s.timeline(r, entries); err != nil {
		return err
	}
	s.Progress("comparing with the truth", 1, 1)
	return nil
}

// jtbEntries are the alerts, observations and revisions of the ledger.
func jtbEntries(dir string) (list []sekisho.Entry, err error) {
	for e, err := range ledger.Read(disk.OS{}, filepath.Join(dir, "ledger"), 1) {
		if err != nil {
			return nil, err
		}
		switch e.Body.(type) {
		case *sekisho.Alert, *sekisho.Observation, *sekisho.IncidentRevised:
			list = append(list, e)
		}
	}
	return list, nil
}

// theIncident is the one that the mail opened; of several the one with the
// most alerts.
func (s *travel) theIncident() (found *incident.Incident) {
	s.house.Views.Read(func() {
		for _, i := range s.house.Incidents.List() {
			if i.Latest >= sekisho.At(jtbLure) && (found == nil || len(i.Alerts) > len(found.Alerts)) {
				found = i
			}
		}
	})
	return found
}

// fromLedger reads off what is in no answer: the file, the destinations, who
// opened the mail.
func (s *travel) fromLedger(r *JtbReport, entries []sekisho.Entry, one *incident.Incident) {
	r.Alerts.By = map[string]int{}
	hostile := map[string]bool{}
	for _, p := range r.Answer.Hostile {
		hostile[p.Addr().String()] = true
	}
	r.Destinations.Known = len(hostile)
	var first time.Time
	prevented := map[string]bool{}
	for i := range entries {
		switch b := entries[i].Body.(type) {
		case *sekisho.Alert:
			r.Alerts.All++
			if entries[i].Time < sekisho.At(jtbLure) {
				r.Alerts.Before++
				continue
			}
			r.Alerts.By[b.Detector]++
			switch b.Detector {
			case "opened":
				r.Readers = append(r.Readers, b.Endpoint)
			case "file_birth":
				r.File.Bytes = max(r.File.Bytes, b.Observed)
			case "half_blocked":
				if r.Destinations.First.At.IsZero() {
					r.Destinations.First.At, r.Destinations.First.Known, r.Destinations.First.Blocked = entries[i].Time.Go().In(japan), b.Limit, b.Observed
				}
			}
		case *sekisho.Observation:
			if to := b.Target.String(); b.Blocked && hostile[to] && !prevented[to] {
				if prevented[to] = true; first.IsZero() {
					first = b.At.Go()
				}
				if b.At.Go().Equal(first) {
					r.Destinations.Blocked++
				}
				if len(prevented) == len(hostile) {
					r.Destinations.AllBlocked = b.At.Go().In(japan)
				}
			}
		}
	}
	r.Alerts.InIncident = len(one.Alerts)
	for _, a := range one.Alerts {
		if a.Body.Detector == "bulk" {
			r.File.Rows = s.rowsOf(a.Body)
		}
	}
}

// rowsOf adds up the statement that a bulk alert is about, as the ledger has
// it.
func (s *travel) rowsOf(a *sekisho.Alert) (rows uint64) {
	var key [2]uint64
	for e, err := range ledger.Read(disk.OS{}, filepath.Join(s.Dir, "ledger"), a.Basis[0]) {
		if err != nil {
			return rows
		}
		b, ok := e.Body.(*sekisho.Access)
		if !ok {
			continue
		}
		if e.ID.Seq == a.Basis[0] {
			key = [2]uint64{b.Session, b.Number}
		}
		if key != [2]uint64{b.Session, b.Number} {
			continue
		}
		if rows += b.Rows; !b.More {
			break
		}
	}
	return rows
}

func (s *travel) compareWithTruth(r *JtbReport) {
	t := &s.truth
	slices.Sort(t.copied)
	t.terminal = append(t.terminal, t.copied...)
	slices.Sort(t.terminal)
	t.copied, t.terminal = slices.Compact(t.copied), slices.Compact(t.terminal)
	r.Truth = JtbTruth{Read: uint64(len(t.terminal)), FileRows: s.file.rows, Infected: infectedPCs + 2}
	if t.left {
		r.Truth.Taken = s.file.rows
	}
	space := s.house.Vault.Space(r.Answer.Space)
	worst, suspected := keys(space, r.Answer.Lists.WorstCase), keys(space, r.Answer.Lists.Suspected)
	r.Lists = Lists{WorstCase: agreement(worst, t.terminal), Suspected: agreement(suspected, t.copied), Confirmed: agreement(nil, nil)}
	broken := func(format string, args ...any) { r.Violations = append(r.Violations, fmt.Sprintf(format, args...)) }
	r.Violations = append(r.Violations, contradicted(r.Confirmed, r.Truth.Taken, r.WorstCase, r.SentAtMost)...)
	if r.Lists.WorstCase.Both < r.Lists.WorstCase.True {
		broken("%d rows were read and are not in the list of the worst case", r.Lists.WorstCase.True-r.Lists.WorstCase.Both)
	}
	if r.File.Rows != r.Truth.FileRows {
		broken("the ledger has %d rows of the file, which holds %d", r.File.Rows, r.Truth.FileRows)
	}
}

// timeline tells what happened, and when sekisho saw it.
func (s *travel) timeline(r *JtbReport, entries []sekisho.Entry) error {
	words, err := console.NewTeller("en", japan)
	if err != nil {
		return err
	}
	for i := range s.beats {
		b := &s.beats[i]
		if b.code == "" {
			continue
		}
		e := Event{At: b.at, Code: b.code, Facts: b.facts}
		if b.code == "jtb_bulk" {
			e.Facts = append(slices.Clone(e.Facts[:2]), thousands(s.file.rows))
		}
		for j := range entries {
			a, ok := entries[j].Body.(*sekisho.Alert)
			if !ok || b.seen.detector == "" || a.Detector != b.seen.detector || b.seen.endpoint != "" && a.Endpoint != b.seen.endpoint || entries[j].Time < sekisho.At(b.at) {
				continue
			}
			e.Seen, e.By = entries[j].Time.Go().In(japan), a.Detector
			d := e.Seen.Sub(e.At).Seconds()
			e.Delay = &d
			break
		}
		e.Unseen = b.seen.detector != "" && e.Delay == nil
		e.What = e.tell(words)
		r.Timeline = append(r.Timeline, e)
	}
	slices.SortStableFunc(r.Timeline, func(a, b Event) int { return cmp.Compare(a.At.UnixNano(), b.At.UnixNano()) })
	return nil
}
