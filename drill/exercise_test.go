package drill

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sekisho"
	"sekisho/contain"
	"sekisho/disk"
	"sekisho/ledger"
)

// hurry is fast enough for a test: the waits between injects are not asserted
// on.
const hurry = 200_000

// runLive runs an exercise to its end. meanwhile is called with each inject.
func runLive(t *testing.T, one *Case, rows int, notes []string, meanwhile func(x *Exercise, text string)) (*Score, string) {
	t.Helper()
	c := smallJtb(t, DefaultSeedJtb, rows)
	x, err := OpenExercise(t.Context(), c, one, teller(t, "en"))
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go x.House.KeepRevised(ctx)
	typed := make(chan string, len(notes))
	for _, n := range notes {
		typed <- n
	}
	score, err := x.Run(ctx, Going{Speed: hurry, Wait: time.Hour, Notes: typed, Say: func(_ time.Time, text string) {
		if meanwhile != nil {
			meanwhile(x, text)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	return score, c.Dir
}

// When people act in time, the list of 2016 is never written.
func TestAnExerciseThatPeopleWin(t *testing.T) {
	one, err := ShippedCase(Jtb2016)
	if err != nil {
		t.Fatal(err)
	}
	acted := false
	score, dir := runLive(t, one, 3000, []string{"the mail was read at once"}, func(x *Exercise, text string) {
		if acted || !strings.Contains(text, "suspicious traffic") {
			return
		}
		acted = true
		if err := x.House.Settle(t.Context()); err != nil {
			t.Error(err)
		}
		staff := func(name string) contain.Actor {
			n := x.House.Vault.Space("staff").OfText([]byte(name))
			return contain.Actor{Staff: n, Person: name, May: true, Same: func(o uint32) bool { return o == n }}
		}
		order, err := x.House.Contain.Propose(t.Context(), contain.Ask{Principals: []string{reporting}, Cuts: []string{"gate"}, Alone: true, For: "720h", Reason: "the account of a program is used elsewhere"}, staff("anna"))
		if err != nil {
			t.Error(err)
			return
		}
		if err := x.House.Contain.Decide(t.Context(), order, "approved", "", staff("bert")); err != nil {
			t.Error(err)
		}
	})
	if !acted {
		t.Fatal("nobody was told of the provider's call")
	}
	prevented := 0
	for _, i := range score.Injects {
		if i.Prevented {
			prevented++
		}
	}
	if prevented != 3 {
		t.Errorf("%d injects were prevented: %+v", prevented, score.Injects)
	}
	if i := slices.IndexFunc(score.Injects, func(i InjectMade) bool { return i.Result != "" }); i < 0 {
		t.Error("the copy was not refused")
	}
	for _, m := range score.Marks {
		switch m.What {
		case "decided", "contained":
			if m.Entry == 0 {
				t.Errorf("%s: %+v", m.What, m)
			}
		case "reported":
			if m.Entry != 0 || m.Met {
				t.Errorf("nobody reported anything: %+v", m)
			}
		}
	}
	if score.Alert == nil || score.Numbers != nil && score.Numbers.Suspected >= 3000 {
		t.Errorf("first alert %+v, numbers %+v", score.Alert, score.Numbers)
	}
	if len(score.Notes) != 1 || score.Notes[0].Text != "the mail was read at once" {
		t.Errorf("notes: %+v", score.Notes)
	}
	evidence(t, score, dir)
	var text strings.Builder
	score.Text(&text, teller(t, "ja"))
	if !strings.Contains(text.String(), "これは訓練") || strings.Contains(text.String(), "[exercise.") {
		t.Error(text.String())
	}
}

// evidence: the report lies beside the ledger, which has its hash, and says at
// its beginning that it is a drill.
func evidence(t *testing.T, score *Score, dir string) {
	t.Helper()
	raw, err := os.ReadFile(score.Report)
	if err != nil {
		t.Fatal(err)
	}
	var first *sekisho.LedgerOpened
	var last *sekisho.DrillStep
	for e, err := range ledger.Read(disk.OS{}, filepath.Join(dir, "ledger"), 1) {
		if err != nil {
			t.Fatal(err)
		}
		switch b := e.Body.(type) {
		case *sekisho.LedgerOpened:
			first = b
		case *sekisho.DrillStep:
			last = b
		}
	}
	if last == nil || last.Action != "ended" || last.SHA256 != sha256.Sum256(raw) || first.Drill != score.Case {
		t.Errorf("the ledger begins with %+v and ends with %+v", first, last)
	}
	var back struct {
		Drill bool
		Case  string
	}
	if err := json.Unmarshal(raw, &back); err != nil || !back.Drill || back.Case != score.Case {
		t.Errorf("%+v, %v", back, err)
	}
}

// A case of one's own runs to its end, and nobody acts.
func TestACaseOfOnesOwn(t *testing.T) {
	one, err := ReadCase([]byte(`
case: lost-laptop
title: {en: A laptop is missing}
begins: 2026-05-11T09:00:00+09:00
servers: [{endpoint: srv-files-01, holds: none}]
expect: {noticed: 1h, reported: 72h}
injects:
  - {after: 0h, tell: {en: "Somebody has left a laptop on a train."}}
  - after: 2h
    source: agents
    events: [{class_uid: 1001, activity_id: 1, severity_id: 1, device: {hostname: srv-files-01}, file: {path: /tmp/members.csv, name: members.csv, size: 900000}}]
  - after: 3h
    tell: {en: "An account copies customers."}
    copy: {account: agent-2, endpoint: pc-1102, share: 0.5}
`))
	if err != nil {
		t.Fatal(err)
	}
	score, dir := runLive(t, one, 3000, nil, nil)
	if len(score.Injects) != 2 || score.Alert == nil || score.Alert.By != "file_birth" {
		t.Errorf("injects %+v, first alert %+v", score.Injects, score.Alert)
	}
	for _, m := range score.Marks {
		if m.What != "counted" && m.Entry != 0 {
			t.Errorf("%s happened by itself: %+v", m.What, m)
		}
	}
	// The clock runs so fast that the copy lasts for hours: of its last hour too
	// little may come to be judged.
	if score.Numbers == nil || score.Numbers.WorstCase != 1500 || score.Numbers.Suspected == 0 || score.Numbers.Suspected > 1500 {
		t.Errorf("numbers %+v", score.Numbers)
	}
	evidence(t, score, dir)
}

func TestEveryShippedCaseIsOne(t *testing.T) {
	if len(Cases()) != 5 {
		t.Errorf("cases: %v", Cases())
	}
	for _, name := range Cases() {
		one, err := ShippedCase(name)
		if err != nil {
			t.Error(err)
			continue
		}
		if one.Name != name || one.Title.En == "" || one.Title.Ja == "" {
			t.Errorf("%s: %+v", name, one.Title)
		}
		s, err := one.stage(Config{Seed: DefaultSeedJtb, Members: 2000})
		if err != nil {
			t.Error(err)
			continue
		}
		for _, lang := range []string{"en", "ja"} {
			told := 0
			for i := range s.beats {
				if s.beats[i].tell(teller(t, lang)) != "" {
					told++
				}
			}
			if told < 5 {
				t.Errorf("%s tells %d things in %s", name, told, lang)
			}
		}
	}
}

func TestMistakesInACaseAreNamed(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"case: A b\nbegins: 2026-05-11T09:00:00+09:00", "small letters"},
		{"case: a\nbegins: tomorrow\ninjects: [{after: 0h, tell: {en: x}}]", "begins is a time"},
		{"case: a\nbegins: 2026-05-11T09:00:00+09:00", "1 to 1000 injects"},
		{"case: a\nbegins: 2026-05-11T09:00:00+09:00\ninjects: [{after: 2h, tell: {en: x}}, {after: 1h, tell: {en: x}}]", "inject 2: after"},
		{"case: a\nbegins: 2026-05-11T09:00:00+09:00\ninjects: [{after: 2h}]", "does nothing"},
		{"case: a\nbegins: 2026-05-11T09:00:00+09:00\ninjects: [{after: 2h, events: [{class_uid: 4001}]}]", "source is missing"},
		{"case: a\nbegins: 2026-05-11T09:00:00+09:00\ninjects: [{after: 2h, copy: {account: root, endpoint: x, share: 1}}]", "a copy is by"},
		{"case: a\nbegins: 2026-05-11T09:00:00+09:00\nexpect: {noticed: soon}\ninjects: [{after: 2h, tell: {en: x}}]", "noticed is a time"},
		{"case: a\nbegin: x", "begin"},
	} {
		if _, err := ReadCase([]byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.text, err, c.want)
		}
	}
}
