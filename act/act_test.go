package act

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sekisho"
)

func tokyo(t testing.TB) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation("Asia/Tokyo")
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

func shipped(t testing.TB) (*Policy, []Case) {
	t.Helper()
	policies, tables, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	p, err := Load(Config{Zone: tokyo(t)}, policies...)
	if err != nil {
		t.Fatal(err)
	}
	var cases []Case
	for _, f := range tables {
		more, err := ReadTable(f, tokyo(t))
		if err != nil {
			t.Fatal(err)
		}
		cases = append(cases, more...)
	}
	return p, cases
}

// What the shipped policy does stands in default/*.tests, to be read by whoever
// answers for it.
func TestShippedPolicy(t *testing.T) {
	p, cases := shipped(t)
	decides := map[string]bool{}
	for _, c := range cases {
		if got := c.Check(p); got != "" {
			t.Errorf("%s:%d: %s\nit is: %s", c.File, c.Line, c.Text, got)
		}
		for _, id := range c.By {
			decides[id] = true
		}
	}
	for _, r := range p.rules {
		if !decides[r.id] {
			t.Errorf("%s:%d: no line of a table names the rule %s", r.file, r.line, r.id)
		}
	}
	if len(cases) < 50 {
		t.Errorf("only %d lines were read", len(cases))
	}
}

// Every word of the context, both ways: testdata/words.cedar has one rule for
// each, and testdata/words.tests asks it.
func TestWords(t *testing.T) {
	text := func(name string) File {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return File{name, b}
	}
	p, err := Load(Config{Zone: tokyo(t)}, text("testdata/words.cedar"))
	if err != nil {
		t.Fatal(err)
	}
	cases, err := ReadTable(text("testdata/words.tests"), tokyo(t))
	if err != nil {
		t.Fatal(err)
	}
	words := p.uses
	words.rowCuts = nil
	if all := (uses{true, true, true, true, true, true, true, true, true, true, true, true, true, true, true, true, true, nil, false}); !reflect.DeepEqual(words, all) {
		t.Errorf("words.cedar does not use every word: %+v", words)
	}
	for _, c := range cases {
		if got := c.Check(p); got != "" {
			t.Errorf("%s:%d: %s\nit is: %s", c.File, c.Line, c.Text, got)
		}
	}
}

// A table that expects something else says so, and what it is.
func TestTableFails(t *testing.T) {
	p, _ := shipped(t)
	for line, want := range map[string]string{
		"read public -> allow":                                                 "",
		"read identity -> mask identity=blank":                                 "",
		"read identity -> mask identity=blank by dba-masked":                   "mask identity=blank by dba-masked, dba-maintains",
		"read   identity->mask identity=blank  by  dba-masked , dba-maintains": "",
		"update identity -> allow":                                             "refuse by no rule",
		"update identity -> refuse by never-by-people":                         "refuse by no rule",
		"update identity -> refuse by no rule":                                 "",
	} {
		cases, err := ReadTable(File{"t.tests", []byte("given role=dba verified place=office purpose=maintenance at=2026-04-06T10:00\n" + line)}, tokyo(t))
		if err != nil || len(cases) != 1 {
			t.Fatalf("%s: %v, %v", line, cases, err)
		}
		if got := cases[0].Check(p); got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
	_, err := ReadTable(File{"t.tests", []byte(strings.Join([]string{
		"given role call_centre", "read identity", "identity -> allow", "read place=moon -> allow", "read at=yesterday -> allow", "read color=red -> allow",
	}, "\n"))}, nil)
	for _, want := range []string{`t.tests:1: "role" is neither a verb`, "t.tests:2: no arrow", "t.tests:3: a request without its verb", "t.tests:4: place=moon: use office", "t.tests:5: at=yesterday is no time", "t.tests:6: unknown word color="} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in\n%v", want, err)
		}
	}
}

// A rule that cannot be evaluated refuses everything that it could have spoken
// of, and is named; the client reads nothing of why.
func TestBrokenRuleRefuses(t *testing.T) {
	for _, effect := range []string{
		`permit`,
		`@reason_en("r") @reason_ja("r") @rows("5") forbid`,
	} {
		p, err := Load(Config{}, File{"p.cedar", []byte(`@id("all") permit (principal, action, resource);
@id("sums") ` + effect + ` (principal, action == Action::"read", resource) when { context.rows * 9223372036854775807 > 5 };`)})
		if err != nil {
			t.Fatal(err)
		}
		r := Request{Verb: sekisho.Read, Categories: sekisho.Identity, Rows: 2}
		d := p.Decide(r)
		if d.Effect != Refuse || !slices.Equal(d.Policies, []string{"sums"}) || !strings.Contains(d.Reason.En, "sums") || !strings.Contains(d.Reason.Ja, "sums") {
			t.Errorf("a broken %s decides %+v", effect, d)
		}
		if strings.Contains(d.Reason.En+d.Hint.En, "overflow") {
			t.Errorf("the client reads %q", d.Reason.En)
		}
		e := p.Explain(r)
		if !slices.ContainsFunc(e.Questions[0].Deciding, func(g Ground) bool { return g.ID == "sums" && strings.Contains(g.Error, "overflow") }) {
			t.Errorf("explained as %+v", e.Questions[0].Deciding)
		}
		r.Verb = sekisho.Update
		if d := p.Decide(r); d.Effect != Allow {
			t.Errorf("a rule about reading that is broken: an update is %s", d.String())
		}
	}
}

// What this program does not know is refused, however wide the policy.
func TestUnknownIsRefused(t *testing.T) {
	p, err := Load(Config{}, File{"p.cedar", []byte(`@id("all") permit (principal, action, resource);`)})
	if err != nil {
		t.Fatal(err)
	}
	if d := p.Decide(Request{Verb: sekisho.Read, Categories: sekisho.Identity | 1<<20}); d.Effect != Refuse || d.Reason.En == "" {
		t.Errorf("a category of the future: %+v", d)
	}
	for _, v := range []sekisho.Verb{0, sekisho.Other, 77} {
		p, err := Load(Config{}, File{"p.cedar", []byte(`@id("all") permit (principal, action, resource);
@id("no-delete") @reason_en("r") @reason_ja("r") @hint_en("h") @hint_ja("h") forbid (principal, action == Action::"delete", resource);`)})
		if err != nil {
			t.Fatal(err)
		}
		if d := p.Decide(Request{Verb: v, Categories: sekisho.Identity}); d.Effect != Refuse || !slices.Equal(d.Policies, []string{"no-delete"}) {
			t.Errorf("verb %d: %+v", v, d)
		}
	}
	if d := (Decision{}); d.Effect != Refuse || d.String() != "refuse" {
		t.Errorf("the empty decision is %s", d.String())
	}
}

// An explanation names the rules that decided, and those that all but one
// condition would have made decide, with that condition.
func TestExplain(t *testing.T) {
	p, _ := shipped(t)
	at, _ := time.ParseInLocation("2006-01-02T15:04", "2026-04-06T10:00", tokyo(t))
	e := p.Explain(Request{Role: "call_centre", Verified: true, Place: Remote, Purpose: "support", Time: sekisho.At(at), Verb: sekisho.Read, Categories: sekisho.Identity})
	if e.Decision.Effect != Refuse || len(e.Questions) != 1 {
		t.Fatalf("%+v", e)
	}
	var deciding, near []string
	for _, g := range e.Questions[0].Deciding {
		deciding = append(deciding, g.ID+": "+g.Does)
	}
	for _, g := range e.Questions[0].Near {
		near = append(near, g.ID+": "+g.But)
	}
	if want := []string{"call-centre-500: cap 500 rows", "remote-50: cap 50 rows"}; !slices.Equal(deciding, want) {
		t.Errorf("deciding: %q", deciding)
	}
	want := []string{
		`night-second-person: context.hour < 6 || context.hour >= 23`,
		`bad-endpoint: context.posture == Posture::"bad"`,
		`call-centre-reads: context.place == Place::"office"`,
		`consultant-works: principal in Role::"travel_consultant"`,
	}
	if !slices.Equal(near, want) {
		t.Errorf("near:\n%s\nwant\n%s", strings.Join(near, "\n"), strings.Join(want, "\n"))
	}
}

// One policy is asked by many sessions at once.
func TestManyAsk(t *testing.T) {
	p, cases := shipped(t)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for _, c := range cases {
				if got := c.Check(p); got != "" {
					t.Errorf("%s: %s", c.Text, got)
				}
			}
		})
	}
	all.Wait()
}

// Two remedies of a kind: the stricter holds, whichever stands first.
func TestStrictest(t *testing.T) {
	words := ` @reason_en("r") @reason_ja("r") @hint_en("h") @hint_ja("h") `
	scope := ` forbid (principal, action == Action::"read", resource);` + "\n"
	p, err := Load(Config{}, File{"p.cedar", []byte(`@id("all") permit (principal, action, resource);` + "\n" +
		`@id("m1") @mask("token")` + words + scope + `@id("m2") @mask("partial")` + words + scope +
		`@id("r1") @rows("500")` + words + scope + `@id("r2") @rows("50")` + words + scope +
		`@id("a1") @ask("second_person") @rows("20")` + words + scope + `@id("a2") @ask("second_person") @rows("30")` + words + scope +
		`@id("b1") @customers("500") @window("1d")` + words + scope + `@id("b2") @customers("100") @window("1h")` + words + scope)})
	if err != nil {
		t.Fatal(err)
	}
	d := p.Decide(Request{Verb: sekisho.Read, Categories: sekisho.Identity | sekisho.Unclassified})
	want := "mask identity=token unclassified=token, cap 50 rows, at most 500 customers in 1d, at most 100 customers in 1h, ask above 20 rows"
	if d.String() != want || d.Effect != Ask {
		t.Errorf("%s (%v)\nwant %s", d.String(), d.Effect, want)
	}
	if want := []string{"all", "m1", "m2", "r1", "r2", "a1", "a2", "b1", "b2"}; !slices.Equal(d.Policies, want) {
		t.Errorf("by %v", d.Policies)
	}
}

// Of roles that no permit names, nothing is permitted, and the hint does not send
// the client looking for a better terminal.
func TestRolesWithoutARule(t *testing.T) {
	p, _ := shipped(t)
	if p.Silent("call_centre") || !p.Silent("front_desk") {
		t.Error("the shipped policy knows the call centre and no front desk")
	}
	d := p.Decide(Request{Verb: sekisho.Read, Role: "front_desk", Categories: sekisho.Contact})
	if d.Effect != Refuse || !strings.Contains(d.Hint.En, "about the role front_desk") || !strings.Contains(d.Hint.Ja, "front_desk") {
		t.Errorf("%+v", d)
	}
	open := load(t, []File{{Name: "all.cedar", Text: []byte(`@id("posts") permit (principal in Post::"agent", action, resource);`)}})
	if open.Silent("front_desk") {
		t.Error("a rule about a post may be about somebody of any role")
	}
}
