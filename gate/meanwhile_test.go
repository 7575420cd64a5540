package gate

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// What somebody changes in the database, past the gate, between the moment in
// which a statement is judged and that in which the server makes its plan. The
// gate of these tests never looks at the catalog by itself.

func seldom(o *options) { o.gate.Upstream.Refresh = time.Hour }

// before is what stands in the database when the gate looks.
const beforeMeanwhile = `
create schema play;
create view play.places as select code, name from crm.airport;
create view play.mails as select member_no, email from crm.member where member_no = 1042;
create table play.airport2 (code text primary key, name text);
insert into play.airport2 select code, name from crm.airport;
create function play.shown(text) returns text language sql stable as 'select $1';
create function play.one() returns text language sql stable as 'select max(name) from crm.airport';
create table play.notes (x text);
create domain play.word as text;
grant usage on schema play to staff, reader;
grant select, insert on all tables in schema play to staff, reader;
`

var meanwhile = []struct {
	name   string
	warm   string // which the gate has judged before
	change string // by the owner
	script string // after it
}{
	{"a view over nobody becomes one over members",
		"Q select code || '' from play.places",
		"create or replace view play.places as select email::text as code, name::text from crm.member",
		"Q select code || '' from play.places"},
	{"the same, by its column alone",
		"Q select code from play.places",
		"create or replace view play.places as select email::text as code, name::text from crm.member",
		"Q select code from play.places"},
	{"the same, prepared before",
		"P v select code || '' from play.places\nB \"\" v - -\nE \"\" 0\nS",
		"create or replace view play.places as select email::text as code, name::text from crm.member",
		"B \"\" v - -\nE \"\" 0\nS"},
	{"the same, prepared before by SQL",
		"Q prepare v as select code || '' from play.places\nQ execute v",
		"create or replace view play.places as select email::text as code, name::text from crm.member",
		"Q execute v"},
	{"the same, within COPY",
		"Q copy (select code from play.places) to stdout",
		"create or replace view play.places as select email::text as code, name::text from crm.member",
		"Q copy (select code from play.places) to stdout"},
	{"the same, within a repeatable read transaction that has begun",
		"Q begin isolation level repeatable read\nQ select count(*) from crm.airport",
		"create or replace view play.places as select email::text as code, name::text from crm.member",
		"Q select code || '' from play.places\nQ commit"},
	{"the same, by a cursor",
		"Q begin\nQ declare c cursor for select code || '' from play.places\nQ fetch all from c\nQ commit",
		"create or replace view play.places as select email::text as code, name::text from crm.member",
		"Q begin\nQ declare c cursor for select code || '' from play.places\nQ fetch all from c\nQ commit"},
	{"a view over one member becomes one over others",
		"Q select string_agg(email, ',') from play.mails",
		"create or replace view play.mails as select member_no, email from crm.member where member_no between 1050 and 1060",
		"Q select string_agg(email, ',') from play.mails"},
	{"a view gives the keys of others",
		"Q select email from play.mails",
		"create or replace view play.mails as select member_no + 100 as member_no, email from crm.member where member_no between 1050 and 1060",
		"Q select email from play.mails"},
	{"tables swapped by names",
		"Q select max(name), string_agg(code, ',') from play.airport2",
		"alter table play.airport2 rename to gone; create view play.airport2 as select email as code, email as name from crm.member",
		"Q select max(name), string_agg(code, ',') from play.airport2"},
	{"a table of the members takes a name",
		"Q select string_agg(name, ',') from crm.airport",
		"alter table crm.airport rename to old; alter table crm.member rename column name to was; alter table crm.member rename column email to name; alter table crm.member rename to airport",
		"Q select string_agg(name, ',') from crm.airport"},
	{"columns change names",
		"Q select string_agg(city, ',') from crm.member where member_no = 1042",
		"alter table crm.member rename column member_no to was; alter table crm.member add column member_no bigint; update crm.member set member_no = 1042 where was between 1050 and 1060; alter table crm.member rename column city to town; alter table crm.member rename column email to city",
		"Q select string_agg(city, ',') from crm.member where member_no = 1042"},
	{"a function becomes another",
		"Q select play.one()",
		"create or replace function play.one() returns text language sql stable as 'select max(email) from crm.member'",
		"Q select play.one()"},
	{"a rule on a table of nobody",
		"Q insert into play.notes values ('x') returning x",
		"create rule r as on insert to play.notes do instead select email as x from crm.member",
		"Q insert into play.notes values ('x')"},
	{"a child among the rows of a parent",
		"Q select string_agg(name, ',') from play.airport2",
		"create table play.child as select email as code, email as name from crm.member; alter table play.child alter code set not null; alter table play.child inherit play.airport2",
		"Q select string_agg(name, ',') from play.airport2"},
}

func TestTheCatalogChangesMeanwhile(t *testing.T) {
	for _, c := range meanwhile {
		t.Run(c.name, func(t *testing.T) {
			h := newHouse(t, seldom)
			h.asOwner(beforeMeanwhile)
			if err := h.gate.reload(); err != nil {
				t.Fatal(err)
			}
			r := h.raw("sato")
			if got := r.run(c.warm); strings.Contains(got, "\x00C42") {
				t.Errorf("it does not run even before:\n%.600s", got)
			}
			h.asOwner(c.change)
			got := r.run(c.script)
			if h.mustBeTold(c.name, got); !strings.Contains(got, "C40001") && !strings.Contains(got, "C57P03") && !strings.Contains(got, "C0A000") {
				t.Errorf("nothing says that it has changed:\n%.1000s", got)
			}
		})
	}
}

// Who only observes is not kept from anything: what could be about anybody is in
// the ledger as that.
func TestTheCatalogChangesBesideWhoIsObserved(t *testing.T) {
	for _, c := range meanwhile {
		if !strings.HasPrefix(c.name, "a view over nobody") && !strings.HasPrefix(c.name, "a rule") && !strings.HasPrefix(c.name, "a function") {
			continue
		}
		h := newHouse(t, seldom)
		h.asOwner(beforeMeanwhile)
		if err := h.gate.reload(); err != nil {
			t.Fatal(err)
		}
		r := h.raw("watched")
		r.run(c.warm)
		h.asOwner(c.change)
		got := r.run(c.script)
		if !strings.Contains(got, "example.jp") {
			t.Errorf("%s: it was kept back:\n%.600s", c.name, got)
		}
		h.mustBeTold(c.name, got)
	}
}

// What changes elsewhere, and what changes nothing of what is read, stops nobody.
func TestTheCatalogChangesElsewhere(t *testing.T) {
	h := newHouse(t, seldom)
	h.asOwner(beforeMeanwhile)
	if err := h.gate.reload(); err != nil {
		t.Fatal(err)
	}
	r := h.raw("sato")
	for i, change := range []string{
		"select 1", "create table play.other (x int)", "truncate play.airport2", "create index on play.airport2 (name)", "analyze", "vacuum full play.airport2",
		"create function play.other() returns int language sql as 'select 1'", "alter table play.other add y int", "drop table play.other",
	} {
		h.asOwner(change)
		for _, script := range []string{
			"Q select count(*) from crm.member m where exists (select from play.airport2 a where a.name = m.city) or member_no = 1042",
			"Q select a.code || p.name from play.airport2 a right join play.places p using (code)",
			fmt.Sprintf("Q select code || '%d' from play.places as p%d", i, i), // that nobody has asked before
			"Q select string_agg(email, ',') from play.mails",
			"P v select string_agg(email, ',') from play.mails where member_no = $1\nB \"\" v 1042 -\nE \"\" 0\nS\nC S v",
		} {
			if got := r.run(script); strings.Contains(got, "\nE ") || strings.HasPrefix(got, "E ") {
				t.Errorf("%s: %s:\n%.800s", change, script, got)
			}
		}
	}
}
