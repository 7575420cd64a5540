package act

import (
	"errors"
	"os"
	"strings"
	"testing"

	"sekisho"
)

// Each block of testdata/mistakes.txt is a policy and everything that is wrong
// with it.
func TestMistakes(t *testing.T) {
	text, err := os.ReadFile("testdata/mistakes.txt")
	if err != nil {
		t.Fatal(err)
	}
	known := Names{Roles: []string{"call_centre", "dba"}, Purposes: []string{"support"}}
	for _, block := range strings.Split(string(text), "====\n") {
		parts := strings.Split(block, "----\n")
		t.Run(strings.TrimSpace(parts[0]), func(t *testing.T) {
			_, err := Load(Config{Known: known}, File{"p.cedar", []byte(parts[1])})
			var mistakes Mistakes
			if !errors.As(err, &mistakes) {
				t.Fatalf("it loads, or fails otherwise: %v", err)
			}
			if got, want := mistakes.Error(), strings.TrimSpace(parts[2]); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			for _, m := range mistakes {
				if ja := (Mistake{m.File, m.Line, Japanese(m.What), Japanese(m.Do)}); m.Do == "" || ja.What == m.What && m.What[0] != '@' || ja.Do == m.Do || ja.String() != m.In("ja") || m.In("en") != m.String() {
					t.Errorf("in Japanese: %s", m.In("ja"))
				}
			}
		})
	}
}

func TestNothingToLoad(t *testing.T) {
	for _, files := range [][]File{nil, {{"p.cedar", []byte("// nothing\n")}}} {
		if _, err := Load(Config{}, files...); err == nil {
			t.Error("a policy without rules loads")
		}
	}
	big := File{"p.cedar", []byte(strings.Repeat(" ", MaxFile+1))}
	if _, err := Load(Config{}, big); err == nil || !strings.Contains(err.Error(), "the limit is") {
		t.Errorf("a file that is too large: %v", err)
	}
	verified := File{"p.cedar", []byte(`@id("a") permit (principal, action, resource) when { context.verified` + strings.Repeat(" && context.verified", 150) + " };")}
	if _, err := Load(Config{}, verified); err != nil {
		t.Errorf("long is not deep: %v", err)
	}
	ifs := File{"p.cedar", []byte(`@id("a") permit (principal, action, resource) when { ` + strings.Repeat("if context.verified then true else ", 150) + "false };")}
	if _, err := Load(Config{}, ifs); err == nil || !strings.Contains(err.Error(), "nested deeper than") {
		t.Errorf("ifs in ifs: %v", err)
	}
	many := File{"p.cedar", nil}
	for i := range maxRules + 1 {
		many.Text = append(many.Text, `@id("r`+strings.Repeat("i", i%8)+`x") permit (principal, action, resource);`...)
	}
	if _, err := Load(Config{}, many); err == nil || !strings.Contains(err.Error(), "513 policies; the limit is 512") {
		t.Errorf("too many policies: %v", err)
	}
}

// The words of the schema are those of the ledger: a category or verb that one
// of them lacked could be neither permitted nor forbidden.
func TestSchemaHasTheLedgersWords(t *testing.T) {
	types, err := readSchema()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{"public": true}
	for _, c := range sekisho.AllCategories() {
		want[c.String()] = true
	}
	have := idsOf(types.Enums["Category"])
	if len(have) != len(want) || len(want) != slots {
		t.Errorf("%d categories in the schema, %d slots, %d in the ledger with public", len(have), slots, len(want))
	}
	for _, id := range have {
		if !want[id] {
			t.Errorf("the ledger knows no category %s", id)
		}
	}
	if len(types.Actions) != verbs {
		t.Errorf("%d actions for %d verbs", len(types.Actions), verbs)
	}
	for v := range verbs {
		if _, ok := types.Actions[actionOf(v)]; !ok {
			t.Errorf("the schema has no action %v", actionOf(v))
		}
	}
	for s := range slots {
		c := bitOf(s)
		if got := string(categoryOf(s).ID); s > 0 && got != c.String() {
			t.Errorf("slot %d is %s in Cedar and %v in the ledger", s, got, c)
		}
	}
	for _, c := range sekisho.AllCategories() {
		r := Request{Verb: sekisho.Read, Categories: c}
		r.each(func(verb, slot int) {
			if slot < 0 || bitOf(slot) != c {
				t.Errorf("category %v is asked for as slot %d", c, slot)
			}
		})
	}
}

// The manual explains every word, annotation and rule that is shipped.
func TestManualIsComplete(t *testing.T) {
	b, err := os.ReadFile("../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	manual := string(b)
	types, err := readSchema()
	if err != nil {
		t.Fatal(err)
	}
	for word := range types.Actions[actionOf(0)].AppliesTo.Context {
		if !strings.Contains(manual, "`context."+string(word)+"`") {
			t.Errorf("policy.md does not explain context.%s", word)
		}
	}
	for _, a := range annotationNames {
		if !strings.Contains(manual, "`@"+a+"(") {
			t.Errorf("policy.md does not explain @%s", a)
		}
	}
	for _, id := range idsOf(types.Enums["Category"]) {
		if !strings.Contains(manual, `"`+id+`"`) {
			t.Errorf("policy.md does not name the category %s", id)
		}
	}

	// What it shows as an example is one.
	p, _ := shipped(t)
	policies, lines := 0, 0
	for i, block := range strings.Split(manual, "```") {
		if block = strings.TrimSpace(block); i%2 == 0 {
			continue
		}
		switch {
		case strings.Contains(block, "@id("):
			policies++
			if _, err := Load(Config{}, File{"policy.md", []byte(block)}); err != nil {
				t.Error(err)
			}
		case strings.HasPrefix(block, "given"):
			cases, err := ReadTable(File{"policy.md", []byte(block)}, tokyo(t))
			if err != nil {
				t.Error(err)
			}
			for _, c := range cases {
				lines++
				if got := c.Check(p); got != "" {
					t.Errorf("policy.md shows %s\nit is: %s", c.Text, got)
				}
			}
		}
	}
	if policies < 2 || lines < 5 {
		t.Errorf("%d policies and %d lines of tests were found in the manual", policies, lines)
	}
}

// Whatever stands in a file, the loader says what is wrong or gives a policy
// that decides.
func FuzzLoad(f *testing.F) {
	policies, _, err := Default()
	if err != nil {
		f.Fatal(err)
	}
	for _, p := range policies {
		f.Add(p.Text)
	}
	text, err := os.ReadFile("testdata/mistakes.txt")
	if err != nil {
		f.Fatal(err)
	}
	for _, block := range strings.Split(string(text), "====\n") {
		f.Add([]byte(strings.Split(block, "----\n")[1]))
	}
	requests := []Request{
		{},
		{Role: "call_centre", Verb: sekisho.Read, Categories: sekisho.Identity | sekisho.TravelDoc, Verified: true, Place: Office, Purpose: "support"},
		{Principal: "sato", Verb: sekisho.Other, Categories: ^sekisho.Categories(0), Tables: []string{"crm.member"}, Rows: 1 << 63},
	}
	lines := func(text []byte) int { return 1 + strings.Count(string(text), "\n") }
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := Load(Config{}, File{"p.cedar", text})
		var mistakes Mistakes
		if errors.As(err, &mistakes) {
			for _, m := range mistakes {
				if m.Line < 1 || m.Line > lines(text) || m.What == "" || m.Do == "" {
					t.Errorf("a mistake that helps nobody: %+v", m)
				}
			}
		}
		if err != nil {
			return
		}
		for _, r := range requests {
			d := p.Decide(r)
			e := p.Explain(r)
			if d.String() != e.Decision.String() {
				t.Errorf("decided as %v, explained as %v", d, e.Decision)
			}
			if d.Effect == Refuse && (d.Reason.En == "" || d.Reason.Ja == "" || d.Hint.En == "" || d.Hint.Ja == "") {
				t.Errorf("a refusal without words: %+v", d)
			}
		}
	})
}

func FuzzTable(f *testing.F) {
	_, tables, err := Default()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(tables[0].Text)
	f.Add([]byte("given\nread at=2026 -> allow\nread => refuse\n-> allow"))
	p, _ := shipped(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		cases, err := ReadTable(File{"p.tests", text}, nil)
		if err != nil && cases != nil {
			t.Errorf("%d cases and %v", len(cases), err)
		}
		for _, c := range cases {
			c.Check(p)
		}
	})
}

// The names of which the shipped policies speak are exactly those that are said.
func TestDefaultNames(t *testing.T) {
	policies, _, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	names := DefaultNames()
	if _, err := Load(Config{Known: names}, policies...); err != nil {
		t.Error(err)
	}
	for _, list := range []*[]string{&names.Roles, &names.Purposes, &names.Posts} {
		for i, name := range *list {
			all := *list
			*list = append(append([]string{}, all[:i]...), all[i+1:]...)
			if _, err := Load(Config{Known: names}, policies...); err == nil {
				t.Errorf("no policy speaks of %s", name)
			}
			*list = all
		}
	}
}
