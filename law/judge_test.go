package law_test

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"sekisho/law"
)

func at(t *testing.T, s string) time.Time {
	t.Helper()
	when, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return when
}

func finding(t *testing.T, list []law.Finding, regime string) law.Finding {
	t.Helper()
	i := slices.IndexFunc(list, func(f law.Finding) bool { return f.Regime == regime })
	if i < 0 {
		t.Fatalf("no finding of %s", regime)
	}
	return list[i]
}

// all is facts under which every shipped duty is owed.
func all(known time.Time) law.Facts {
	f := leak(known, law.Yes)
	f.Subjects.Residence = []law.Residence{{Place: "JP", Upper: 5000}, {Place: "DE", Upper: 2000}, {Place: "GB", Upper: 900}, {Place: "US-CA", Upper: 501}, {Place: "US-FL", Upper: 500}, {Place: "US-NY", Upper: 1}, {Place: "US-TX", Upper: 250}, {Place: "US-CO", Upper: 9}, {Place: "US-DE", Upper: 9}}
	f.Subjects.Upper = nil
	f.Established = []string{"JP", "DE"}
	for _, name := range []string{law.HighRisk, law.Listed, law.Material, law.AviationSafety, law.EssentialEntity, law.SignificantService, law.Telecoms, law.DesignatedComputer, "part_is_entity"} {
		f.Answers[name] = law.Yes
	}
	for _, name := range []string{law.RiskUnlikely, law.Encrypted, law.KeysApart, law.Contractor, law.SpecialCare, law.PaymentRisk} {
		f.Answers[name] = law.No
	}
	f.At = map[string]time.Time{law.Material: known}
	f.Statutory = map[string]law.Answer{}
	for _, id := range []string{"us-ca", "us-fl", "us-ny", "us-tx", "us-co", "us-de"} {
		f.Statutory[id] = law.Yes
	}
	return f
}

// Limits over year ends, Golden Week, leap days, the change to summer time and
// back, holidays of two countries.
func TestMoreVectors(t *testing.T) {
	b := shipped(t)
	for _, c := range []struct{ what, known, regime, step, due string }{
		{"29 December to 3 January and the weekend behind", "2026-11-29T12:00:00+09:00", "jp-appi", "final60", "2027-01-27T23:59:59+09:00"},
		{"rolls over the turn of the year", "2025-11-30T12:00:00+09:00", "jp-appi", "final", "2026-01-05T23:59:59+09:00"},
		{"28 December is a working day", "2025-11-29T12:00:00+09:00", "jp-appi", "final", "2026-01-05T23:59:59+09:00"}, // a Sunday
		{"28 December, a Monday", "2026-11-29T00:00:00+09:00", "jp-appi", "final", "2026-12-28T23:59:59+09:00"},
		{"the second before its midnight", "2026-11-28T23:59:59+09:00", "jp-appi", "final", "2026-12-28T23:59:59+09:00"}, // Sunday the 27th
		{"Golden Week of 2019, ten days", "2019-03-29T09:00:00+09:00", "jp-appi", "final", "2019-05-07T23:59:59+09:00"},
		{"Golden Week of 2026, its substitute on Wednesday", "2026-04-04T09:00:00+09:00", "jp-appi", "final", "2026-05-07T23:59:59+09:00"},
		{"silver week with a day between holidays", "2026-08-23T09:00:00+09:00", "jp-appi", "final", "2026-09-24T23:59:59+09:00"},
		{"over 29 February", "2024-02-01T09:00:00+09:00", "jp-appi", "final", "2024-03-01T23:59:59+09:00"},
		{"the same of a year without it", "2023-02-01T09:00:00+09:00", "jp-appi", "final", "2023-03-02T23:59:59+09:00"},
		{"the last second of a day in Tokyo", "2026-06-01T14:59:59Z", "jp-appi", "final", "2026-06-30T23:59:59+09:00"},
		{"the first second of the next", "2026-06-01T15:00:00Z", "jp-appi", "final", "2026-07-01T23:59:59+09:00"},
		{"72 hours into summer time", "2026-03-27T12:00:00+01:00", "eu-gdpr", "authority", "2026-03-30T13:00:00+02:00"},
		{"72 hours out of it", "2026-10-23T12:00:00+02:00", "eu-gdpr", "authority", "2026-10-26T11:00:00+01:00"},
		{"in London", "2026-03-27T12:00:00Z", "gb-gdpr", "authority", "2026-03-30T13:00:00+01:00"},
		{"telecoms in London", "2026-03-28T12:00:00Z", "gb-gdpr", "telecoms", "2026-03-29T13:00:00+01:00"},
		{"NIS2, one day", "2026-12-31T23:30:00+01:00", "eu-nis2", "early_warning", "2027-01-01T23:30:00+01:00"},
		{"NIS2, three days", "2026-12-31T23:30:00+01:00", "eu-nis2", "notification", "2027-01-03T23:30:00+01:00"},
		{"Part-IS", "2026-12-31T23:30:00+01:00", "eu-part-is", "report", "2027-01-03T23:30:00+01:00"},
		{"California, 30 days from discovery", "2026-11-20T23:30:00-08:00", "us-ca", "people", "2026-12-20T23:59:59-08:00"},
		{"a day earlier there than in Tokyo", "2026-11-21T09:00:00+09:00", "us-ca", "people", "2026-12-20T23:59:59-08:00"},
		{"New York", "2026-11-20T12:00:00-05:00", "us-ny", "people", "2026-12-20T23:59:59-05:00"},
		{"Florida, its attorney general", "2026-11-20T12:00:00-05:00", "us-fl", "attorney_general", "2026-12-20T23:59:59-05:00"},
		{"Delaware", "2026-11-20T12:00:00-05:00", "us-de", "people", "2027-01-19T23:59:59-05:00"},
		{"SEC, over Thanksgiving", "2026-11-25T12:00:00-05:00", "us-sec", "form_8k", "2026-12-02T23:59:59-05:00"},
		{"SEC, over a holiday that is kept on Friday", "2026-07-01T12:00:00-04:00", "us-sec", "form_8k", "2026-07-08T23:59:59-04:00"},
	} {
		known := at(t, c.known)
		f := all(known)
		step := c.step
		if f.Answers[law.ImproperPurpose] = law.No; step == "final60" {
			f.Answers[law.ImproperPurpose], step = law.Yes, "final"
		}
		got := clock(t, b.Judge(law.Question{Facts: f, Now: known, Replay: true}), c.regime, step)
		if want := at(t, c.due); !got.Due.Truncate(time.Second).Equal(want) || got.DueDay != c.due[:10] || got.State == law.LimitUnknown {
			t.Errorf("%s: %s until %v (%s), want %s", c.what, c.known, got.Due, got.DueDay, c.due)
		}
	}
}

// A month that has no such day ends with its last one.
func TestAMonthAfterTheNotification(t *testing.T) {
	b := shipped(t)
	for sent, want := range map[string]string{
		"2027-01-31T10:00:00+01:00": "2027-02-28T10:00:00+01:00",
		"2028-01-31T10:00:00+01:00": "2028-02-29T10:00:00+01:00",
		"2026-12-15T10:00:00+01:00": "2027-01-15T10:00:00+01:00",
		"2026-10-24T10:00:00+02:00": "2026-11-24T10:00:00+01:00",
	} {
		f := all(at(t, sent))
		list := b.Judge(law.Question{Facts: f, Now: at(t, sent), Replay: true})
		if c := clock(t, list, "eu-nis2", "final"); c.State != law.Waiting || !c.Due.IsZero() {
			t.Errorf("before the notification is sent: %+v", c)
		}
		f.Reports = []law.Report{{Regime: "eu-nis2", Step: "notification", At: at(t, sent)}}
		if c := clock(t, b.Judge(law.Question{Facts: f, Now: at(t, sent), Replay: true}), "eu-nis2", "final"); !c.Due.Equal(at(t, want)) {
			t.Errorf("sent %s: until %v, want %s", sent, c.Due, want)
		}
	}
}

// Whether a regime applies, and why, by what is known.
func TestVerdicts(t *testing.T) {
	b, known := shipped(t), at(t, "2026-11-20T09:30:00+09:00")
	for _, c := range []struct {
		what, regime string
		change       func(f *law.Facts)
		want         law.Verdict
		missing      string
	}{
		{"all is known", "jp-appi", func(*law.Facts) {}, law.Triggered, ""},
		{"nobody has judged the event", "jp-appi", func(f *law.Facts) { f.Aware[0].State = law.Provisional }, law.Maybe, ""},
		{"it was rejected", "jp-appi", func(f *law.Facts) { f.Aware[0].State = law.Rejected }, law.NotReached, ""},
		{"encrypted, and the keys apart", "jp-appi", func(f *law.Facts) { f.Answers["encrypted"], f.Answers["keys_apart"] = law.Yes, law.Yes }, law.NotReached, ""},
		{"encrypted, and the keys beside", "jp-appi", func(f *law.Facts) { f.Answers["encrypted"] = law.Yes }, law.Triggered, ""},
		{"perhaps encrypted: an exemption has to be known", "jp-appi", func(f *law.Facts) { f.Answers = map[string]law.Answer{law.ImproperPurpose: law.Yes} }, law.Triggered, "encrypted"},
		{"nothing is known but the event", "jp-appi", func(f *law.Facts) { f.Answers, f.Subjects = nil, law.Subjects{} }, law.Undecided, "improper_purpose"},
		{"1,000 people, and nothing else", "jp-appi", func(f *law.Facts) {
			f.Answers[law.ImproperPurpose] = law.No
			f.Subjects = law.Subjects{Upper: law.N(1000)}
		}, law.NotReached, ""},
		{"at most 1,001", "jp-appi", func(f *law.Facts) {
			f.Answers[law.ImproperPurpose] = law.No
			f.Subjects = law.Subjects{Upper: law.N(1001), Confirmed: law.N(3)}
		}, law.Triggered, ""},
		{"one person, special care", "jp-appi", func(f *law.Facts) {
			f.Answers[law.ImproperPurpose], f.Answers[law.SpecialCare] = law.No, law.Yes
			f.Subjects = law.Subjects{Upper: law.N(1)}
		}, law.Triggered, ""},
		{"a company of Japan, people of elsewhere", "jp-appi", func(f *law.Facts) { f.Subjects.Residence = []law.Residence{{Place: "FR", Upper: 5000}} }, law.Triggered, ""},
		{"a company of elsewhere, people of Japan", "jp-appi", func(f *law.Facts) { f.Established = []string{"US"} }, law.Triggered, ""},
		{"neither", "jp-appi", func(f *law.Facts) {
			f.Established, f.Subjects = []string{"US"}, law.Subjects{Upper: law.N(9), Residence: []law.Residence{{Place: "US-NY", Upper: 9}}}
		}, law.NotReached, ""},
		{"nobody knows where they live", "gb-gdpr", func(f *law.Facts) { f.Subjects.Residence = nil }, law.Undecided, "residence"},
		{"some live nobody knows where", "gb-gdpr", func(f *law.Facts) { f.Subjects.Residence = []law.Residence{{Place: "JP", Upper: 5}, {Upper: 1}} }, law.Undecided, "residence"},
		{"the list is shorter than the number", "gb-gdpr", func(f *law.Facts) {
			f.Subjects = law.Subjects{Upper: law.N(6), Residence: []law.Residence{{Place: "JP", Upper: 5}}}
		}, law.Undecided, "residence"},
		{"the list is whole, and none lives there", "gb-gdpr", func(f *law.Facts) {
			f.Subjects = law.Subjects{Upper: law.N(5), Residence: []law.Residence{{Place: "JP", Upper: 5}}}
		}, law.NotReached, ""},
		{"a region of the country", "eu-gdpr", func(f *law.Facts) {
			f.Established, f.Subjects.Residence = nil, []law.Residence{{Place: "DE-BY", Upper: 1}}
		}, law.Triggered, ""},
		{"Norway, which a sheet could take for a no", "eu-gdpr", func(f *law.Facts) {
			f.Established, f.Subjects.Residence = nil, []law.Residence{{Place: "NO", Upper: 1}}
		}, law.Triggered, ""},
		{"somewhere in the United States", "us-ca", func(f *law.Facts) { f.Subjects.Residence = []law.Residence{{Place: "US", Upper: 1}} }, law.Undecided, "residence"},
		{"a risk is unlikely", "eu-gdpr", func(f *law.Facts) { f.Answers[law.RiskUnlikely] = law.Yes }, law.NotReached, ""},
		{"nobody has weighed the risk", "eu-gdpr", func(f *law.Facts) { delete(f.Answers, law.RiskUnlikely) }, law.Undecided, "risk_unlikely"},
		{"counsel has not spoken", "us-ca", func(f *law.Facts) { f.Statutory = nil }, law.Undecided, "statutory:us-ca"},
		{"not listed", "us-sec", func(f *law.Facts) { f.Answers[law.Listed] = law.No }, law.NotReached, ""},
	} {
		f := all(known)
		c.change(&f)
		got := finding(t, b.Judge(law.Question{Facts: f, Now: known}), c.regime)
		if got.Verdict != c.want || c.missing != "" && !slices.Contains(got.Missing, c.missing) || len(got.Reasons) == 0 {
			t.Errorf("%s: %s is %s, missing %v, because %v; want %s, missing %q", c.what, c.regime, got.Verdict, got.Missing, got.Reasons, c.want, c.missing)
		}
		if owes := len(got.Clocks) > 0; owes == (got.Verdict == law.NotReached) {
			t.Errorf("%s: %s with %d clocks", c.what, got.Verdict, len(got.Clocks))
		}
		if got.Disclaimer.EN == "" || got.Disclaimer.JA == "" || got.Edition == "" || got.Source == "" {
			t.Errorf("%s does not say how far it can be relied on: %+v", c.regime, got)
		}
	}
}

// A limit that no source settles is unknown, whatever else is known: no rule
// that is unconfirmed ever gives a day.
func TestWhatIsUnknownIsNeverInvented(t *testing.T) {
	b, known := shipped(t), at(t, "2026-11-20T09:30:00+09:00")
	unknown := 0
	for _, f := range b.Judge(law.Question{Facts: all(known), Now: known.AddDate(1, 0, 0)}) {
		for _, c := range f.Clocks {
			if c.Status == law.StatusUnconfirmed && !c.Due.IsZero() {
				t.Errorf("%s %s has a limit that nobody confirmed: %v", f.Regime, c.Step, c.Due)
			}
			if c.State == law.LimitUnknown {
				unknown++
				if !c.Due.IsZero() || c.DueDay != "" || c.Amount != 0 || !strings.Contains(c.Text.EN, "UNKNOWN") || !strings.Contains(c.Text.JA, "不") {
					t.Errorf("%s %s does not say that its limit is unknown: %+v", f.Regime, c.Step, c)
				}
			}
		}
	}
	if unknown != 4 { // Japan's cyber act; Texas twice; Colorado's attorney general
		t.Errorf("%d limits are unknown, want 4", unknown)
	}
	if f := finding(t, b.Judge(law.Question{Facts: all(known), Now: known}), "jp-cyber"); f.Verdict != law.Triggered || f.Status != law.StatusUnconfirmed || f.Clocks[0].State != law.LimitUnknown {
		t.Errorf("Japan's act on cyber response: %+v", f)
	}
	before := at(t, "2026-09-30T23:59:59+09:00")
	if f := finding(t, b.Judge(law.Question{Facts: all(before), Now: before}), "jp-cyber"); f.Verdict != law.NotInForce || len(f.Clocks) != 0 {
		t.Errorf("a day before it comes into force: %s", f.Verdict)
	}
}

// Two start times for one incident: Japan's clock runs from what may have
// occurred, the GDPR's from when somebody was certain. Until then it is shown
// from the first event, provisionally.
func TestTwoStartsForOneIncident(t *testing.T) {
	b, known := shipped(t), at(t, "2026-11-20T09:30:00+09:00")
	f := all(known)
	f.Aware[0].State = law.Provisional
	list := b.Judge(law.Question{Facts: f, Now: known})
	if c := clock(t, list, "eu-gdpr", "authority"); !c.Provisional || !c.Start.Equal(known) {
		t.Errorf("before anybody is certain: %+v", c)
	}
	certain := known.Add(30 * time.Hour)
	f.Aware[0].State, f.Aware[0].CertainAt = law.Confirmed, certain
	list = b.Judge(law.Question{Facts: f, Now: certain})
	if c := clock(t, list, "eu-gdpr", "authority"); c.Provisional || !c.Due.Equal(certain.Add(72*time.Hour)) {
		t.Errorf("once somebody is: %+v", c)
	}
	if c := clock(t, list, "jp-appi", "final"); c.StartDay != "2026-11-20" {
		t.Errorf("and yet Japan's starts %s", c.StartDay)
	}
}

// A contractor that tells the entrusting operator owes no report of its own.
func TestContractor(t *testing.T) {
	b, known := shipped(t), at(t, "2026-11-20T09:30:00+09:00")
	f := all(known)
	f.Answers[law.Contractor] = law.Yes
	list := b.Judge(law.Question{Facts: f, Now: known})
	if c := clock(t, list, "jp-appi", "entrusting"); c.From != "2026-11-22" || c.DueDay != "2026-11-24" || c.Recipients[0].Name.EN != "The operator that entrusted the data" {
		t.Errorf("the notice to the entrusting operator: %+v", c)
	}
	if c := clock(t, list, "jp-appi", "final"); c.State != law.Running {
		t.Errorf("before it is told: %s", c.State)
	}
	f.Reports = []law.Report{{Regime: "jp-appi", Step: "entrusting", At: known.Add(time.Hour)}}
	list = b.Judge(law.Question{Facts: f, Now: known.AddDate(0, 3, 0)})
	for step, want := range map[string]law.ClockState{"entrusting": law.Met, "preliminary": law.Lifted, "final": law.Lifted, "people": law.Lifted} {
		if c := clock(t, list, "jp-appi", step); c.State != want {
			t.Errorf("once it is told, %s is %s, want %s", step, c.State, want)
		}
	}
}

// Recipients are rows by industry and day.
func TestRecipients(t *testing.T) {
	own := fstest.MapFS{"x.yaml": {Data: []byte(`
regime: xx
name: {en: x, ja: x}
jurisdiction: XX
edition: "1"
zone: Asia/Tokyo
status: confirmed
source: s
established: [JP]
triggers: [{id: a, text: {en: a, ja: a}, when: [improper_purpose]}]
clocks: [{step: report, article: "1", name: {en: r, ja: r}, to: authority, start: any, limit: prompt}]
recipients:
  - {to: authority, until: "2026-03-31", name: {en: old, ja: old}, status: confirmed}
  - {to: authority, from: "2026-04-01", name: {en: new, ja: new}, status: confirmed}
  - {to: authority, industry: travel, from: "2026-07-01", name: {en: tourism, ja: tourism}, status: one source}
`)}}
	b, err := law.Load(law.Shipped(), own)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ industry, now, want string }{
		{"", "2026-03-31T23:59:59+09:00", "old"}, {"", "2026-04-01T00:00:00+09:00", "new"},
		{"travel", "2026-06-30T12:00:00+09:00", "new"}, {"travel", "2026-07-01T00:00:00+09:00", "tourism"}, {"aviation", "2026-07-01T00:00:00+09:00", "new"},
	} {
		f := leak(at(t, c.now), law.Yes)
		f.Industry = c.industry
		got := clock(t, b.Judge(law.Question{Facts: f, Now: at(t, c.now)}), "xx", "report").Recipients
		if len(got) != 1 || got[0].Name.EN != c.want {
			t.Errorf("%s on %s: %+v, want %s", c.industry, c.now, got, c.want)
		}
	}
	f := leak(at(t, "2026-11-20T09:30:00+09:00"), law.Yes)
	f.Industry = "aviation"
	if got := clock(t, b.Judge(law.Question{Facts: f, Now: f.Aware[0].At}), "jp-appi", "final").Recipients; len(got) != 1 || got[0].Status != law.StatusUnconfirmed {
		t.Errorf("whether an airline reports elsewhere is unconfirmed, and the answer says %+v", got)
	}
}

// The edition in force on the day on which the clock starts decides; a replay
// takes the newest.
func TestEditions(t *testing.T) {
	edition := func(name, from, to, amount string) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte(`
regime: xx
name: {en: x, ja: x}
jurisdiction: XX
edition: "` + name + `"
from: "` + from + `"
to: "` + to + `"
zone: Asia/Tokyo
status: confirmed
source: s
established: [JP]
triggers: [{id: a, text: {en: a, ja: a}, when: [improper_purpose]}]
clocks: [{step: report, article: "1", name: {en: r, ja: r}, to: authority, start: any, limit: fixed, count: elapsed, unit: days, amount: ` + amount + `}]
`)}
	}
	b, err := law.Load(law.Shipped(), fstest.MapFS{"b.yaml": edition("second", "2026-04-01", "", "10"), "a.yaml": edition("first", "2020-01-01", "2026-03-31", "20")})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		known   string
		replay  bool
		edition string
		verdict law.Verdict
	}{
		{"2026-03-31T23:59:59+09:00", false, "first", law.Triggered}, {"2026-04-01T00:00:00+09:00", false, "second", law.Triggered},
		{"2019-12-31T23:59:59+09:00", false, "first", law.NotInForce}, {"2019-12-31T23:59:59+09:00", true, "second", law.Triggered},
	} {
		known := at(t, c.known)
		got := finding(t, b.Judge(law.Question{Facts: leak(known, law.Yes), Now: known, Replay: c.replay}), "xx")
		if got.Edition != c.edition || got.Verdict != c.verdict || got.Replayed != (known.Year() < 2020) {
			t.Errorf("%s (replay %v): %s, %s, replayed %v; want %s, %s", c.known, c.replay, got.Edition, got.Verdict, got.Replayed, c.edition, c.verdict)
		}
	}
}

// Each mistake in a file is named with the file.
func TestMistakesInRulesAreNamed(t *testing.T) {
	good := `
regime: xx
name: {en: x, ja: x}
jurisdiction: XX
edition: "1"
zone: Asia/Tokyo
calendar: jp
status: confirmed
source: s
established: [JP]
triggers: [{id: a, text: {en: a, ja: a}, when: ["people > 10"]}]
clocks: [{step: report, article: "1", name: {en: r, ja: r}, to: authority, start: any, limit: fixed, count: elapsed, unit: days, amount: 3}]
`
	if _, err := law.Load(law.Shipped(), fstest.MapFS{"x.yaml": {Data: []byte(good)}}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ old, new, want string }{
		{"zone: Asia/Tokyo", "zone: Asia/Edo", "zone"},
		{"calendar: jp", "calendar: mars", "no calendar"},
		{"source: s", "source: ''", "must be there"},
		{"people > 10", "people > many", "no number of people"},
		{"people > 10", "improper", "no fact is called"},
		{"people > 10", "people beyond 10", "is none"},
		{"amount: 3", "amount: 0", "amount"},
		{"unit: days", "unit: weeks", "unit"},
		{"count: elapsed", "count: sometimes", "count"},
		{"count: elapsed", "count: inclusive if moon.is_full", "no parameter"},
		{"start: any", "start: sent:other", "start"},
		{"start: any", "start: fact:unheard_of", "start"},
		{"limit: fixed", "limit: soon", "limit"},
		{"limit: fixed", "limit: unknown", "has no amount"},
		{"status: confirmed", "status: unconfirmed", "nothing is computed from an unconfirmed amount"},
		{"status: confirmed", "status: sure", "status"},
		{"established: [JP]", "", "where it applies"},
		{"edition: \"1\"", "edition: \"1\"\nfrom: 1.4.2026", "is no day"},
		{"to: authority", "to: authority, met_by: [final]", "no step"},
		{"to: authority", "to: authority, items: ['9']", "no item"},
	} {
		text := strings.Replace(good, c.old, c.new, 1)
		_, err := law.Load(law.Shipped(), fstest.MapFS{"x.yaml": {Data: []byte(text)}})
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "x.yaml") {
			t.Errorf("%s instead of %s: %v, want x.yaml and %q", c.new, c.old, err, c.want)
		}
	}
}
