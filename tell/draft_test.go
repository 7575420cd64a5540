package tell

import (
	"slices"
	"strings"
	"testing"
	"time"

	"sekisho"
	"sekisho/incident"
	"sekisho/sekishotest"
	"sekisho/trace"
)

var jst = time.FixedZone("JST", 9*3600)

// story folds a ledger in which a terminal reads 1,200 customers and sends
// something out. more are lines of its script.
func story(t *testing.T, more ...string) *Ground {
	t.Helper()
	b := sekishotest.New()
	tr, cases := trace.New(), incident.New()
	script := append([]string{
		"shape m member member identity,contact", "session s1 7 clerk pc-0417",
		"time 2014-09-19T02:30:00Z", "read s1 m 1..1200", "sensor zeek for=720h", "alert sweep 7 pc-0417 for=1h",
	}, more...)
	for _, line := range script {
		if err := b.Run(line); err != nil {
			t.Fatal(err)
		}
	}
	b.Now += 1
	number := uint64(0)
	for i := 0; i < len(b.Entries); i++ {
		e := b.Entries[i]
		tr.Apply(&e)
		for _, body := range cases.React(&e) {
			number = b.Put(body)
		}
	}
	i := cases.Get(number)
	q := i.Question("member", tr.LastTime())
	q.Since = b.Entries[0].Time // the ledger's whole life
	a, err := tr.Impact(q, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, body := range i.Revise(a, 3) {
		b.Put(body)
		e := b.Entries[len(b.Entries)-1]
		tr.Apply(&e)
		cases.React(&e)
	}
	return &Ground{Incident: cases.Get(number), Answer: a, Partner: "partner", Company: Company{Name: "日の丸航空", NameEn: "Hinomaru Air", Contact: "0120-000-000"}}
}

func fill(t *testing.T, form, lang string, g *Ground) *Document {
	t.Helper()
	f, err := ReadForms(nil)
	if err != nil {
		t.Fatal(err)
	}
	d, err := f.Fill(form, lang, g, jst)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func sentence(d *Document, key string) (Sentence, bool) {
	for _, f := range d.Fields {
		for _, s := range f.Sentences {
			if s.Key == key {
				return s, true
			}
		}
	}
	return Sentence{}, false
}

// Each sentence rests on entries, or says that it does not know, or says nothing
// of the incident.
func TestEachSentenceSaysWhatItRestsOn(t *testing.T) {
	g := story(t)
	forms, err := ReadForms(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range forms.Names() {
		for _, lang := range Languages {
			g.About = ""
			if n.To == "partner" {
				g.About = "partner-a"
			}
			for _, f := range fill(t, n.Key, lang, g).Fields {
				for _, s := range f.Sentences {
					if s.State == "known" && len(s.Entries) == 0 {
						t.Errorf("%s, %s: %q rests on nothing", n.Key, lang, s.Text)
					}
					if s.State == "unknown" && len(s.Entries) != 0 || s.Text == "" || strings.Contains(s.Text, "<no value>") {
						t.Errorf("%s, %s: %+v", n.Key, lang, s)
					}
				}
			}
		}
	}
}

// The report form has all nine items of Rule 8(1), in both languages.
func TestTheReportHasNineItems(t *testing.T) {
	g := story(t)
	for _, form := range []string{"appi_preliminary", "appi_final"} {
		for _, lang := range Languages {
			var items []string
			for _, f := range fill(t, form, lang, g).Fields {
				if !slices.Contains(items, f.Item) {
					items = append(items, f.Item)
				}
			}
			if got := strings.Join(items, ""); got != "0123456789" {
				t.Errorf("%s, %s: items %s", form, lang, got)
			}
		}
	}
	d := fill(t, "appi_preliminary", "ja", g)
	if s, _ := sentence(fill(t, "appi_final", "ja", g), "kind"); !strings.Contains(s.Text, "確報") {
		t.Errorf("the final report calls itself %q", s.Text)
	}
	s, _ := sentence(d, "people_suspected")
	if s.Text != "漏えいのおそれがある者 1,200人" || s.State != "known" || len(s.Entries) == 0 {
		t.Errorf("%+v", s)
	}
	if s, _ := sentence(d, "cause"); s.State != "unknown" || s.Text != "調査中です。" {
		t.Errorf("%+v", s)
	}
	g.Stated = []Stated{{Key: "cause", Text: "標的型メール", Entry: 99}}
	if s, _ := sentence(fill(t, "appi_preliminary", "ja", g), "cause"); s.State != "stated" || s.Text != "標的型メール" || !slices.Equal(s.Entries, []uint64{99}) {
		t.Errorf("%+v", s)
	}
}

// "No indication that passwords or card numbers were taken" stands only where the
// ledger shows it.
func TestNoSecretsOnlyWhereTheLedgerShowsIt(t *testing.T) {
	for _, c := range []struct {
		name string
		more []string
		want string
	}{
		{"all is on record", nil, "no_secrets"},
		{"a card was read", []string{"shape p member card payment", "read s1 p 5"}, "secrets_taken"},
		{"a password was read", []string{"shape p member login credential", "read s1 p 5"}, "secrets_taken"},
		{"a column is unclassified", []string{"shape p member member unclassified", "read s1 p 5"}, "secrets_unknown"},
		{"something could have read any row", []string{"any s1 m 100000"}, "secrets_unknown"},
		{"the gate was down", []string{"stopped", "wait 1h", "opened"}, "secrets_unknown"},
		{"rows went past the gate", []string{"alert outside 9 elsewhere for=1h"}, "secrets_unknown"},
		{"a terminal that nobody proved read a card", []string{"shape p member card payment", "session s2 8 clerk unverified@10.0.0.9", "read s2 p 5"}, "secrets_taken"},
		{"another terminal, proven, read a card", []string{"shape p member card payment", "session s2 8 clerk pc-0001", "read s2 p 5"}, "no_secrets"},
	} {
		g := story(t, append(c.more, "wait 2h", "session s9 9 clerk pc-0009")...)
		for _, form := range []string{"public"} {
			d := fill(t, form, "en", g)
			for _, key := range []string{"no_secrets", "secrets_taken", "secrets_unknown"} {
				s, there := sentence(d, key)
				if there != (key == c.want) {
					t.Errorf("%s: %s %v", c.name, key, there)
				}
				if there && key == "no_secrets" && (len(s.Entries) == 0 || !strings.Contains(d.Text(), "recorded accesses")) {
					t.Errorf("%s: it does not say what it rests on: %+v", c.name, s)
				}
			}
		}
		_, there := sentence(fill(t, "person", "ja", g), "own_secrets")
		if there != (c.want == "no_secrets") {
			t.Errorf("%s: the notice to people says it: %v", c.name, there)
		}
	}
}

// Mail to decoys is secondary damage.
func TestMailToDecoysIsDamage(t *testing.T) {
	g := story(t)
	g.Mailboxes = []uint64{41}
	d := fill(t, "appi_preliminary", "en", g)
	if s, ok := sentence(d, "damage_no_mail"); !ok || !slices.Equal(s.Entries, []uint64{41}) {
		t.Errorf("%+v", s)
	}
	g.Incident.Alerts = append(g.Incident.Alerts, incident.Alert{Seq: 77, At: g.Incident.Opened, Body: &sekisho.Alert{Detector: "decoy_mail", Observed: 2}})
	d = fill(t, "appi_preliminary", "en", g)
	if s, ok := sentence(d, "damage_mail"); !ok || !strings.HasPrefix(s.Text, "2 message") || !slices.Equal(s.Entries, []uint64{77}) {
		t.Errorf("%+v", s)
	}
	if _, ok := sentence(d, "damage_no_mail"); ok {
		t.Error("it says both")
	}
}

// Reports of misuse at the contact point are damage, until somebody states more.
func TestReportsOfMisuseAreDamage(t *testing.T) {
	g := story(t)
	g.Misuse = []uint64{41, 52}
	d := fill(t, "appi_preliminary", "en", g)
	if s, ok := sentence(d, "damage_reports"); !ok || !strings.Contains(s.Text, "2 reports") || !slices.Equal(s.Entries, []uint64{41, 52}) {
		t.Errorf("%+v", s)
	}
	g.Stated = append(g.Stated, Stated{Key: "misuse", Text: "A member's miles were exchanged.", Entry: 60})
	d = fill(t, "appi_preliminary", "en", g)
	if s, _ := sentence(d, "damage_reports"); !strings.Contains(s.Text, "miles were exchanged") || !slices.Equal(s.Entries, []uint64{60}) {
		t.Errorf("%+v", s)
	}
}

// When the numbers move, what people wrote stays, and says that its ground moved.
func TestNextRevision(t *testing.T) {
	g := story(t)
	first := fill(t, "public", "en", g)
	edited := Edit(first, map[string]string{"public_suspected": "About 1,200 customers.", "public_sorry": ""}, map[string]string{"public_people": "We will say more on Friday."})
	g.Answer.Suspected, g.Answer.Numbers.Suspected.Value = 1500, 1500
	fresh := fill(t, "public", "en", g)
	next := Merge(fresh, edited)
	s, _ := sentence(next, "public_suspected")
	if s.Text != "About 1,200 customers." || s.Moved != "The data of 1,500 people may have been taken." {
		t.Errorf("%+v", s)
	}
	if !strings.Contains(next.Text(), "Friday") || strings.Contains(next.Text(), "apologise") {
		t.Error(next.Text())
	}
	changes := Diff(first, fresh)
	if len(changes) != 1 || changes[0].Key != "public_suspected" || changes[0].Before == changes[0].Now {
		t.Errorf("%+v", changes)
	}
	again := Edit(next, map[string]string{"public_suspected": "The data of 1,500 people may have been taken."}, nil)
	if s, _ := sentence(again, "public_suspected"); s.Edited || s.Moved != "" {
		t.Errorf("%+v", s)
	}
}

// In Japanese, sentences stand side by side: one that is a bare answer gets the
// full stop that keeps it from running into the next.
func TestShortAnswersEndBeforeTheNextSentence(t *testing.T) {
	for want, list := range map[string][]string{
		"漏えいのおそれ。うち確認したものがあります。": {"漏えいのおそれ", "うち確認したものがあります。"},
		"900人（最大 915人）。外部に406人。": {"900人", "（最大 915人）", "外部に406人。"},
		"第3号": {"第3号", ""},
		"":    {},
	} {
		f := Field{}
		for _, s := range list {
			f.Sentences = append(f.Sentences, Sentence{Text: s})
		}
		if got := f.Text("ja"); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	f := Field{Sentences: []Sentence{{Text: "900 people"}, {Text: "of them 8 known."}}}
	if got := f.Text("en"); got != "900 people of them 8 known." {
		t.Errorf("%q", got)
	}
}
