package duty

import (
	"strings"
	"testing"
	"testing/fstest"
)

// Every course that is shipped can be read, and reads back from the vault's
// form as it was.
func TestShippedCourses(t *testing.T) {
	list, err := ReadCourses(ShippedCourses())
	if err != nil {
		t.Fatal(err)
	}
	if len(list) == 0 {
		t.Fatal("there is no course")
	}
	for _, c := range list {
		text, sum := c.document()
		again, err := openDocument(string(text))
		if err != nil {
			t.Errorf("%s: %v", c.Name, err)
			continue
		}
		if _, other := again.document(); other != sum {
			t.Errorf("%s: the course of the vault is another", c.Name)
		}
		if uint64(len(c.Questions)) == c.Draw {
			t.Errorf("%s: every attempt would have the same questions", c.Name)
		}
	}
}

const small = `course: a
edition: "1"
effective: 2026-11-01
source: here
title: {en: A, ja: あ}
about: {en: A, ja: あ}
seconds: 1
draw: 1
pass: 50
attempts: 2
attestation: {en: I did, ja: しました}
pages:
  - {page: one, title: {en: One, ja: 一}}
questions:
  - question: q
    page: one
    ask: {en: "?", ja: "?"}
    options: [{say: {en: yes, ja: はい}, right: true}, {say: {en: no, ja: いいえ}}]
    why: {en: so, ja: そう}
`

// A mistake in a course is named.
func TestMistakesInCourses(t *testing.T) {
	for _, c := range []struct{ from, to, want string }{
		{"", "", ""},
		{"draw: 1", "draw: 2", "draw 2 of 1 questions"},
		{"pass: 50", "pass: 101", "pass: a share"},
		{"ja: しました", `ja: ""`, "attestation is missing"},
		{", right: true", "", "no option is right"},
		{"page: one\n    ask", "page: two\n    ask", `no page "two"`},
		{"2026-11-01", "2026-13-01", "is no day"},
		{"attempts: 2", "attempt: 2", "attempt"},
		{"course: a", "course: ../a", "course and edition"},
	} {
		dir := fstest.MapFS{"x/course.yaml": {Data: []byte(strings.Replace(small, c.from, c.to, 1))}, "x/one.en.md": {Data: []byte("text")}, "x/one.ja.md": {Data: []byte("本文")}}
		_, err := ReadCourses(dir)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%q for %q: %v, want %q", c.to, c.from, err, c.want)
		}
	}
	dir := fstest.MapFS{"x/course.yaml": {Data: []byte(small)}, "x/one.en.md": {Data: []byte("text")}}
	if _, err := ReadCourses(dir); err == nil || !strings.Contains(err.Error(), "one.ja.md") {
		t.Errorf("a page without Japanese: %v", err)
	}
}
