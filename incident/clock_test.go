package incident_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"sekisho"
	"sekisho/incident"
	"sekisho/law"
)

// desk plays a ledger with a clock of its own into the book of incidents.
type desk struct {
	t     *testing.T
	rules *law.Book
	cases *incident.Book
	seq   uint64
	now   time.Time
}

func newDesk(t *testing.T, now string) *desk {
	t.Helper()
	rules, err := law.Load(law.Shipped())
	if err != nil {
		t.Fatal(err)
	}
	d := &desk{t: t, rules: rules, cases: incident.New()}
	d.at(now)
	return d
}

func (d *desk) at(s string) {
	d.t.Helper()
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		d.t.Fatal(err)
	}
	d.now = t
}

func moment(t *testing.T, s string) sekisho.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return sekisho.At(at)
}

// put appends an entry and whatever the book answers to it, and gives the
// entry's number.
func (d *desk) put(b sekisho.Body) uint64 {
	d.seq++
	mine := d.seq
	e := sekisho.Entry{ID: sekisho.ID{Gate: 1, Epoch: 1, Seq: mine}, Time: sekisho.At(d.now), Body: b}
	for _, answer := range d.cases.React(&e) {
		d.put(answer)
	}
	return mine
}

func (d *desk) only() *incident.Incident {
	d.t.Helper()
	list := d.cases.List()
	if len(list) != 1 {
		d.t.Fatalf("%d incidents, want one", len(list))
	}
	return list[0]
}

var carrier = law.Company{Industry: "travel", Established: []string{"JP"}}

// clock gives a clock of an incident as it stands now.
func (d *desk) clock(regime, step string) (law.Finding, law.Clock) {
	d.t.Helper()
	for _, f := range d.only().Clocks(d.rules, carrier, incident.Concerned{}, d.now, true) {
		if f.Regime != regime {
			continue
		}
		for _, c := range f.Clocks {
			if c.Step == step {
				return f, c
			}
		}
		return f, law.Clock{}
	}
	d.t.Fatalf("no regime %s", regime)
	return law.Finding{}, law.Clock{}
}

func (d *desk) want(step string, state law.ClockState, provisional bool, start, due string) {
	d.t.Helper()
	f, c := d.clock("jp-appi", step)
	if c.State != state || c.Provisional != provisional || c.StartDay != start || c.DueDay != due {
		d.t.Errorf("%v %s: %s (provisional %v), from %s until %s; want %s (%v), from %s until %s; %v", d.now, step, c.State, c.Provisional, c.StartDay, c.DueDay, state, provisional, start, due, f.Verdict)
	}
}

// JTB's Saturday: the provider calls, and the clock runs from that call on,
// before anybody has judged it and whoever was at home.
func TestTheProvidersCallStartsTheClock(t *testing.T) {
	d := newDesk(t, "2016-03-19T11:00:00+09:00")
	call := d.put(&sekisho.NoticeReceived{Source: "provider", Ground: law.Told, Received: moment(t, "2016-03-19T10:00:00+09:00"), Endpoint: "web-2", Department: 1, Said: 2, By: 3})
	number := d.only().Number
	if number == 0 || number == call || len(d.only().Endpoints) != 1 {
		t.Fatalf("the notice opened %+v", d.only())
	}
	d.want("preliminary", law.Running, true, "2016-03-19", "2016-03-23")
	d.want("final", law.Running, true, "2016-03-19", "2016-04-18")
	if f, _ := d.clock("jp-appi", "final"); f.Verdict != law.Undecided || !f.Replayed {
		t.Errorf("verdict %s, replayed %v: what nobody knows yet is unknown, and there was no such law in 2016", f.Verdict, f.Replayed)
	}

	// Four fifths of the five days are over; then all of them.
	d.at("2016-03-23T09:00:00+09:00")
	d.want("preliminary", law.DueSoon, true, "2016-03-19", "2016-03-23")
	d.at("2016-03-23T23:59:59+09:00")
	d.want("preliminary", law.DueSoon, true, "2016-03-19", "2016-03-23")
	d.at("2016-03-24T00:00:00+09:00")
	d.want("preliminary", law.Overdue, true, "2016-03-19", "2016-03-23")

	// Somebody finds out that it was an attack, and confirms the call.
	d.put(&sekisho.LegalFactStated{Incident: number, Question: law.ImproperPurpose, Answer: "yes", Said: 4, By: 5})
	d.put(&sekisho.AwareJudged{Incident: number, About: call, Action: "confirmed", Said: 6, By: 5})
	d.want("final", law.Running, false, "2016-03-19", "2016-05-17")
	if f, _ := d.clock("jp-appi", "final"); f.Verdict != law.Triggered {
		t.Errorf("verdict %s, want triggered", f.Verdict)
	}

	// The report went out late, and that stays visible.
	sent := d.put(&sekisho.DutyReported{Incident: number, Regime: "jp-appi", Step: "preliminary", Action: "sent", Sent: sekisho.At(d.now), Reference: 7, By: 5})
	d.want("preliminary", law.MetLate, false, "2016-03-19", "2016-03-23")
	d.put(&sekisho.DutyReported{Incident: number, Regime: "jp-appi", Step: "preliminary", Action: "mistaken", Request: sent, By: 5})
	d.want("preliminary", law.Overdue, false, "2016-03-19", "2016-03-23")
	d.put(&sekisho.DutyReported{Incident: number, Regime: "jp-appi", Step: "final", Action: "sent", Sent: sekisho.At(d.now), By: 5})
	d.want("final", law.Met, false, "2016-03-19", "2016-05-17")
	d.want("preliminary", law.MetLate, false, "2016-03-19", "2016-03-23") // one report serves as both
}

// A notice whose machine belongs to an open incident joins it.
func TestNoticesJoinTheIncidentOfTheirMachine(t *testing.T) {
	d := newDesk(t, "2026-11-02T09:00:00Z")
	d.put(&sekisho.Alert{Detector: "sweep", Endpoint: "pc-1", Principal: 4, From: sekisho.At(d.now) - 1, Until: sekisho.At(d.now)})
	d.put(&sekisho.NoticeReceived{Source: "police", Ground: law.Told, Received: sekisho.At(d.now), Endpoint: "pc-1", By: 1})
	d.put(&sekisho.NoticeReceived{Incident: 99, Source: "police", Ground: law.Told, Received: sekisho.At(d.now), By: 1}) // of no incident that there is
	if got := len(d.only().Aware(d.rules)); got != 2 {
		t.Errorf("%d events, want the alert and the notice", got)
	}
}

// Where one person's word would let a clock start later, or take back what
// another has confirmed, a second person is needed.
func TestOnePersonDoesNotMoveAStart(t *testing.T) {
	d := newDesk(t, "2026-11-02T09:00:00+09:00")
	alert := func() uint64 {
		return d.put(&sekisho.Alert{Detector: "sweep", Endpoint: "pc-1", Principal: 4, From: sekisho.At(d.now) - 1, Until: sekisho.At(d.now)})
	}
	first := alert()
	d.at("2026-11-04T09:00:00+09:00")
	second := alert()
	number := d.only().Number
	say := func(about uint64, action string, by uint32) {
		d.put(&sekisho.AwareJudged{Incident: number, About: about, Action: action, Said: 1, By: by})
	}
	start := func(want string) {
		t.Helper()
		earliest, _ := d.only().Start(d.rules)
		if got := earliest.Go().Format(time.DateOnly); earliest == 0 && want != "" || earliest != 0 && got != want {
			t.Errorf("the clocks start on %v, want %q", earliest, want)
		}
	}
	start("2026-11-02")
	say(first, "rejected", 5)
	start("2026-11-02")
	say(first, "rejected", 5) // the same person again is no second one
	start("2026-11-02")
	say(first, "rejected", 6)
	start("2026-11-04")
	say(first, "confirmed", 6) // and back: both stay in the ledger
	start("2026-11-02")
	say(second, "rejected", 5) // it started nothing: one is enough
	start("2026-11-02")
	say(first, "rejected", 5) // what another confirmed takes two again
	start("2026-11-02")
	say(first, "rejected", 6)
	start("")
	if f, c := d.clock("jp-appi", "preliminary"); f.Verdict != law.NotReached || c.Step != "" {
		t.Errorf("all is rejected, and yet %s, %+v", f.Verdict, c)
	}
	third := alert() // what comes later is judged anew
	start("2026-11-04")
	say(0, "rejected", 5) // all of it, and nobody had confirmed any
	start("")
	if got := d.only().Aware(d.rules); got[len(got)-1].Seq != third || len(got[0].Judged) != 7 {
		t.Errorf("what was said does not stay: %+v", got)
	}
}

// Two people can settle on another start; the events stay, and so does what was
// asked and refused.
func TestTwoPeopleMoveAStart(t *testing.T) {
	d := newDesk(t, "2026-11-05T09:00:00+09:00")
	d.put(&sekisho.Alert{Detector: "egress", Endpoint: "pc-1", From: sekisho.At(d.now) - 1, Until: sekisho.At(d.now)})
	number := d.only().Number
	earlier := moment(t, "2026-11-01T22:00:00+09:00")
	ask := d.put(&sekisho.ClockMoved{Incident: number, Action: "asked", Was: sekisho.At(d.now), Start: earlier, Said: 1, By: 5})
	d.want("preliminary", law.Running, true, "2026-11-05", "2026-11-09")
	d.put(&sekisho.ClockMoved{Incident: number, Request: ask, Action: "approved", By: 5}) // one's own
	d.want("preliminary", law.Running, true, "2026-11-05", "2026-11-09")
	d.put(&sekisho.ClockMoved{Incident: number, Request: ask, Action: "approved", By: 6})
	d.want("preliminary", law.DueSoon, true, "2026-11-01", "2026-11-05")
	if l := d.only().Legal; len(l.Moves) != 1 || l.Moves[0].Body.Was == 0 || len(d.only().Aware(d.rules)) != 1 {
		t.Errorf("what was before is gone: %+v", l)
	}
	back := d.put(&sekisho.ClockMoved{Incident: number, Action: "asked", Was: earlier, By: 6})
	d.put(&sekisho.ClockMoved{Incident: number, Request: back, Action: "approved", By: 5})
	d.want("preliminary", law.Running, true, "2026-11-05", "2026-11-09")
}

// The number of people passes 1,000 later: the duty that hangs on it starts
// there, unless another may hold from the start.
func TestThePassingOfANumberStartsItsClock(t *testing.T) {
	d := newDesk(t, "2026-11-02T09:00:00+09:00")
	d.put(&sekisho.Alert{Detector: "sweep", Endpoint: "pc-1", From: sekisho.At(d.now) - 1, Until: sekisho.At(d.now)})
	number := d.only().Number
	revise := func(n uint64) { d.put(&sekisho.IncidentRevised{Incident: number, WorstCase: n, Reason: "ledger"}) }
	revise(1000)
	for _, name := range []string{law.SpecialCare, law.PaymentRisk, law.ImproperPurpose} {
		d.want("final", law.Running, true, "2026-11-02", "2026-12-01")
		d.put(&sekisho.LegalFactStated{Incident: number, Question: name, Answer: "no", By: 5})
	}
	if f, c := d.clock("jp-appi", "final"); f.Verdict != law.NotReached || c.Step != "" {
		t.Errorf("1,000 people are not more than 1,000: %s", f.Verdict)
	}
	d.at("2026-11-10T09:00:00+09:00")
	revise(1001)
	d.want("final", law.Running, true, "2026-11-10", "2026-12-09")
	d.put(&sekisho.LegalFactStated{Incident: number, Question: law.PaymentRisk, Answer: "yes", By: 5})
	d.want("final", law.Running, true, "2026-11-02", "2026-12-01")
}

// What an alert counts as is data: a detector that nobody has named opens no
// clock by itself, and a person's word lets it count.
func TestDetectorsCountByTheRules(t *testing.T) {
	d := newDesk(t, "2026-11-02T09:00:00+09:00")
	seq := d.put(&sekisho.Alert{Detector: "of another house", Endpoint: "pc-1", From: sekisho.At(d.now) - 1, Until: sekisho.At(d.now)})
	if earliest, _ := d.only().Start(d.rules); earliest != 0 {
		t.Errorf("the clocks start at %v", earliest)
	}
	d.put(&sekisho.AwareJudged{Incident: d.only().Number, About: seq, Action: "confirmed", By: 5})
	if earliest, _ := d.only().Start(d.rules); earliest == 0 {
		t.Error("a person has confirmed it, and no clock runs")
	}
}

// Every detector of the house has a row that says what its alert counts as.
func TestEveryDetectorHasABasis(t *testing.T) {
	text, err := os.ReadFile("../alert.go")
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(text), "type Alert struct")
	list, _, ok := strings.Cut(list, "Detector  string")
	names := regexp.MustCompile(`"([a-z_]+)"`).FindAllStringSubmatch(list, -1)
	if !ok || len(names) < 10 {
		t.Fatalf("alert.go does not list its detectors any more: %v", names)
	}
	d := newDesk(t, "2026-11-02T09:00:00Z")
	for _, m := range names {
		rule, known := d.rules.Detector(m[1])
		if !known || rule.Why.EN == "" || rule.Why.JA == "" {
			t.Errorf("law/rules/common.yaml does not say what an alert of %q counts as", m[1])
		}
		if rule.Basis == law.Malware && rule.Opens {
			t.Errorf("%q opens a clock by itself: the detection of malware alone is not enough (FAQ 6-14)", m[1])
		}
	}
}
