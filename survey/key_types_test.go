package survey_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"sekisho/catalog"
	"sekisho/survey"
)

// What the gate cannot read as a key is no subject's in a proposal, and a
// failure in a config that names it all the same: a house that the doctor calls
// sound must not answer nothing, or take every answer for anybody's.
func TestKeysThatTheGateCannotRead(t *testing.T) {
	if _, err := cluster.SQL(t.Context(), "postgres", "create database key_types"); err != nil {
		t.Fatal(err)
	}
	script := `create extension citext; create type mood as enum ('a', 'b'); create domain number as int; create domain word as text;
		create collation loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);`
	read := []string{"smallint", "int", "bigint", "text", "varchar(9)", "char(9)", "numeric", "numeric(10)", "numeric(12,2)", "uuid"}
	unread := []string{"citext", "mood", "number", "word", "bytea", "inet", "timestamptz", "name", "varchar(9)[]"}
	table := func(i int, typ string) string { return fmt.Sprintf("t%d_%.4s", i, typ) }
	var c catalog.Config
	var readable, not []string
	for i, typ := range append(slices.Clone(read), unread...) {
		name := table(i, typ)
		script += fmt.Sprintf("create table %s (id %s primary key, full_name text, email text, phone text, birth_date date);\n", name, typ)
		name = "public." + name
		c.Subjects = append(c.Subjects, catalog.Subject{Name: fmt.Sprintf("s%d", i), Table: name, Key: "id"})
		c.Tables = append(c.Tables, catalog.Table{Name: name, Subject: fmt.Sprintf("s%d", i), Key: "id", Columns: map[string]string{"email": "contact"}})
		if i < len(read) {
			readable = append(readable, name)
		} else {
			not = append(not, name)
		}
	}
	script += `create table equal (id text collate loose primary key, email text);`
	c.Subjects = append(c.Subjects, catalog.Subject{Name: "equal", Table: "public.equal", Key: "id"})
	c.Tables = append(c.Tables, catalog.Table{Name: "public.equal", Subject: "equal", Key: "id", Columns: map[string]string{"email": "contact"}})
	if _, err := cluster.SQL(t.Context(), "key_types", script); err != nil {
		t.Fatal(err)
	}

	w, err := survey.Speak("en")
	if err != nil {
		t.Fatal(err)
	}
	r := propose(t, "key_types").Report(w)
	for _, name := range readable {
		if !slices.ContainsFunc(r.Subjects, func(s survey.ReportSubject) bool { return s.Table == name }) {
			t.Errorf("%s is no subject", name)
		}
	}
	for _, name := range not {
		if slices.ContainsFunc(r.Subjects, func(s survey.ReportSubject) bool { return s.Table == name }) {
			t.Errorf("%s is a subject", name)
		}
		i := slices.IndexFunc(r.Loose, func(l survey.ReportLoose) bool { return l.Table == name })
		if i < 0 {
			t.Errorf("nothing is said of %s", name)
		} else if !strings.Contains(r.Loose[i].Reason, "its key id is of the type ") {
			t.Errorf("of %s it is said: %s", name, r.Loose[i].Reason)
		}
	}

	not = append(not, "public.equal")
	of := func(names []string) (some catalog.Config) {
		for i, table := range c.Tables {
			if slices.Contains(names, table.Name) {
				some.Subjects, some.Tables = append(some.Subjects, c.Subjects[i]), append(some.Tables, table)
			}
		}
		return some
	}
	p := sound(t)
	p.Upstream.Database, p.Catalog = "key_types", of(readable)
	if found := examine(t, p)["key_types"]; len(found) != 0 {
		t.Errorf("the doctor says of keys that can be read: %q", found)
	}
	for some := range slices.Chunk(not, 5) { // the doctor names a few of a long list
		p.Catalog = of(append(some[:len(some):len(some)], readable...))
		found := examine(t, p)["key_types"]
		if len(found) != 1 || !strings.HasPrefix(found[0], "failure: ") {
			t.Fatalf("the doctor says of the keys of %s: %q", some, found)
		}
		for _, name := range some {
			if !strings.Contains(found[0], name+".id") {
				t.Errorf("the doctor does not name %s: %s", name, found[0])
			}
		}
		for _, name := range readable {
			if strings.Contains(found[0], name+".id") {
				t.Errorf("the doctor names %s: %s", name, found[0])
			}
		}
	}
}
