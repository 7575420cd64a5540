package survey_test

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"sekisho/demo"
	"sekisho/house"
	"sekisho/survey"
)

// A database made to break the file that is written about it, and to lead the
// proposal astray.
const odd = `
create table "yes" (id int primary key, "e: mail # no" text, "null" text, "- a" text, "line
feed" text, "quote""d" text, "2014-09-19" date, "タブ	" text, "%s %d" text);
comment on column "yes"."null" is 'phone
# not: yaml';
insert into "yes" select n, 'user' || n || '@example.com', '03-0000-' || lpad(n::text, 4, '0'), 'x', 'y', 'z', now(), 'w', 'v' from generate_series(1, 40) n;

-- Taken by sekisho itself.
create table staff (staff_no text primary key, name text, email text, boss text references staff);
insert into staff select 's' || n, 'Sato Hanako', 's' || n || '@example.com', null from generate_series(1, 40) n;

-- They lead to each other: the person is who is described, not the address.
create table client (client_id int primary key, full_name text, email text, birth_date date, main_address int);
create table client_address (address_id int primary key, client_id int references client, street text, phone text);
alter table client add foreign key (main_address) references client_address;

-- Two steps away, and no key of the person.
create table client_order (order_no int primary key, client_id int not null references client, created_by text references staff);
create table order_line (order_no int references client_order, line int, product text, primary key (order_no, line));

-- About people, and no single column is unique.
create table raffle (day date, email text);
insert into raffle select date '2026-01-01', 'r' || n || '@example.com' from generate_series(1, 40) n;

-- A parent with children by inheritance; and a dot in a schema's name.
create table visit (visit_no int primary key, client_id int references client, note text);
create table visit_old () inherits (visit);
create schema "a.b";
create table "a.b".person (id int primary key, email text);
create table stamp (at timestamptz, created_by text references staff, colour text);
`

func TestOddNames(t *testing.T) {
	if _, err := cluster.SQL(t.Context(), "postgres", "create database odd"); err != nil {
		t.Fatal(err)
	}
	if _, err := cluster.SQL(t.Context(), "odd", odd); err != nil {
		t.Fatal(err)
	}
	p := propose(t, "odd")
	for _, lang := range survey.Languages {
		w, err := survey.Speak(lang)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := p.Write(&b, survey.Where{Host: "::1", Port: 5432, Database: "no", User: "o'hara: {", TLS: true, Password: true}, w); err != nil {
			t.Fatal(err)
		}
		var c house.Config
		if err := yaml.NewDecoder(bytes.NewReader(b.Bytes()), yaml.Strict()).Decode(&c); err != nil {
			t.Fatalf("%s: %s\n%s", lang, yaml.FormatError(err, false, true), b.String())
		}
		if err := c.Check("/somewhere"); err != nil {
			t.Errorf("%s: %v", lang, err)
		}
		if c.Gate.Upstream.Host != "::1" || c.Gate.Upstream.Database != "no" || c.Gate.Upstream.Reader.User != "o'hara: {" || c.Gate.Upstream.SSLMode != "require" {
			t.Errorf("%s: the upstream reads back as %+v", lang, c.Gate.Upstream)
		}
		if want := p.Catalog(); !reflect.DeepEqual(c.Catalog, want) && !equal(c.Catalog.Tables, want.Tables) {
			t.Errorf("%s: the catalog reads back as\n%+v\nwant\n%+v", lang, c.Catalog, want)
		}
		for _, value := range []string{"@example.com", "03-0000", "Sato"} {
			if strings.Contains(b.String(), value) {
				t.Errorf("%s: the file holds a value: %s", lang, value)
			}
		}
	}
	if got := p.Catalog().Tables; !slices.ContainsFunc(got, func(t tableOf) bool {
		return t.Name == "public.yes" && t.Columns["e: mail # no"] == "contact" && t.Columns["null"] == "contact"
	}) {
		t.Errorf("the table called yes came out as %+v", got)
	}

	w, err := survey.Speak("en")
	if err != nil {
		t.Fatal(err)
	}
	r := p.Report(w)
	var subjects, tables, loose, skipped []string
	for _, s := range r.Subjects {
		subjects = append(subjects, s.Name+"="+s.Table)
	}
	for _, t := range r.Tables {
		tables = append(tables, t.Name+" of "+t.Subject+" by "+t.Key)
	}
	for _, l := range r.Loose {
		loose = append(loose, l.Table)
	}
	for _, s := range r.Skipped {
		skipped = append(skipped, s.Table+" "+s.Reason)
	}
	for _, x := range []struct {
		what      string
		got, want []string
	}{
		{"subjects", subjects, []string{"client=public.client", "staff_person=public.staff", "yes=public.yes"}},
		{"tables", tables, []string{"public.client of client by client_id", "public.client_address of client by client_id", "public.client_order of client by client_id",
			"public.visit of client by client_id", "public.staff of staff_person by staff_no", "public.yes of yes by id"}},
		{"not protected", loose, []string{"public.order_line", "public.raffle"}},
		{"not looked into", skipped, []string{"a.b.person dot_in_name"}},
	} {
		slices.Sort(x.got)
		slices.Sort(x.want)
		if !slices.Equal(x.got, x.want) {
			t.Errorf("%s:\n got %q\nwant %q", x.what, x.got, x.want)
		}
	}
}

// A login that may not read everything sees names and types of the rest.
func TestLimitedLogin(t *testing.T) {
	db := connect(t, demo.CallCentre, demo.Database)
	s, err := survey.Look(t.Context(), db.Query, survey.Limits{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var skipped []string
	for _, k := range s.Skipped {
		skipped = append(skipped, k.Table+" "+k.Reason)
	}
	if want := []string{"crm.card not_permitted", "crm.credential not_permitted", "demo.filled not_permitted"}; !slices.Equal(skipped, want) {
		t.Errorf("skipped %q, want %q", skipped, want)
	}
	got := flat(s.Propose().Catalog())
	if got["crm.card.card_no"] != "payment" || got["crm.credential.password_hash"] != "credential" {
		t.Errorf("by their names: card %q, password %q", got["crm.card.card_no"], got["crm.credential.password_hash"])
	}
}

// The connection cannot write, and its errors hold no value.
func TestLookingWritesNothing(t *testing.T) {
	db := connect(t, "", demo.Database)
	for sql, code := range map[string]string{
		"create table crm.mine (n int)":                                "25006",
		"update crm.member set email = email":                          "25006",
		"select email::int from crm.member limit 1":                    "22P02",
		"set statement_timeout = 50; select pg_catalog.pg_sleep(1)":    "42601", // one statement at a time
		"select pg_catalog.set_config('statement_timeout', '1', true)": "",
	} {
		_, err := db.Query(t.Context(), sql)
		switch {
		case code == "" && err != nil:
			t.Errorf("%s: %v", sql, err)
		case code != "" && (err == nil || !strings.Contains(err.Error(), code) || strings.Contains(err.Error(), "@")):
			t.Errorf("%s: %v, want %s", sql, err, code)
		}
	}
}

// A small sample of a large table, and a table that is locked by somebody.
func TestBoundedSample(t *testing.T) {
	holder := connect(t, "", demo.Database)
	for _, sql := range []string{"begin read write", "lock table crm.card in access exclusive mode"} {
		if _, err := holder.Query(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	var told []int
	s, err := survey.Look(t.Context(), connect(t, "", demo.Database).Query, survey.Limits{Rows: 100, Bytes: 60}, func(done, total int) { told = append(told, done) })
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range s.Tables {
		if table.Sampled > 100 || table.Sampled < 30 && table.Rows > 1000 && table.Name != "card" {
			t.Errorf("%s: %d rows of %d were looked at", table.Name, table.Sampled, table.Rows)
		}
	}
	if want := []survey.Skip{{Table: "crm.card", Reason: "timed_out"}}; !slices.Equal(s.Skipped, want) {
		t.Errorf("skipped %v, want %v", s.Skipped, want)
	}
	if len(told) != len(s.Tables)+1 || told[len(told)-1] != len(s.Tables) {
		t.Errorf("progress was told %v", told)
	}
	check(t, s.Propose(), config(t, []byte(demo.CatalogYAML)), true)
}

// Who may write today keeps the right once the role is enforced, what the writes set
// off is told, and a table that is still empty is somebody's by the name of its key.
func TestProposesWhoWrites(t *testing.T) {
	if _, err := cluster.SQL(t.Context(), "postgres", "create database ledgers"); err != nil {
		t.Fatal(err)
	}
	if _, err := cluster.SQL(t.Context(), "ledgers", `
		create table kaiin (kaiin_no int primary key, simei text, email text, tanjobi date);
		insert into kaiin select n, '佐藤 花子', 'k' || n || '@example.jp', date '1950-01-01' + n * 100 from generate_series(1, 200) n;
		create table rireki (id bigserial primary key, kaiin_no int, note text);
		create table stock (id bigserial primary key, note text);
		create function log_change() returns trigger language plpgsql as 'begin return new; end';
		create trigger log after update on kaiin for each row execute function log_change();
		create role clerk login; create role viewer login; create role storer login;
		grant select on all tables in schema public to clerk, viewer, storer;
		grant update (simei) on kaiin to clerk; grant insert on rireki to clerk; grant insert on stock to storer`); err != nil {
		t.Fatal(err)
	}
	p := propose(t, "ledgers")
	w, err := survey.Speak("en")
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := p.Write(&text, survey.Where{Host: "db", Port: 5432, Database: "ledgers"}, w); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"writes: true  # the login may change public.kaiin, public.rireki today;",
		"# Writes set off public.log_change: have it read,",
		"# Whose: kaiin_no is called like the key of public.kaiin,",
		"  - name: public.rireki\n      subject: kaiin\n      key: kaiin_no\n",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, text.String())
		}
	}
	if n := strings.Count(text.String(), "writes: true"); n != 1 {
		t.Errorf("%d logins write to protected tables", n)
	}
	if strings.Contains(text.String(), "- name: public.stock") {
		t.Error("what is nobody's is protected")
	}
}
