package gate

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"sekisho"
	"sekisho/catalog"
)

// veiled is a policy under which staff see only parts of contact, tokens of
// identity, and of travel documents that they are there; for billing they see
// contact as it is.
const veiled = `
@id("staff")
permit (principal in Role::"staff", action in [Action::"read", Action::"export"], resource);

@id("contact")
@mask("partial")
@reason_en("addresses are masked")
@reason_ja("連絡先はマスクされます")
forbid (principal, action in [Action::"read", Action::"export"], resource == Category::"contact")
unless { context.purpose == Purpose::"billing" };

@id("documents")
@mask("blank")
@reason_en("documents are not shown")
@reason_ja("証明書は表示されません")
forbid (principal, action in [Action::"read", Action::"export"], resource == Category::"travel_document");
`

// people is a table with every form of mask, and types that matter.
const people = `
create table crm.person (id bigint primary key, family varchar(20), mail text, phone char(13), passport varchar(9), born date, seen timestamptz(0), score numeric(6,2), tags text[], ref uuid, memo text);
insert into crm.person values
 (1, '佐藤', 'hanako@example.jp', '090-1234-5678', 'TK1234567', '1980-05-17', '2026-02-03 04:05:06+00', 12.50, '{a,b}', '6b1f3c52-0000-4000-8000-000000000001', 'x'),
 (2, 'Smith', 'nobody', '119', null, null, null, null, null, null, null),
 (3, 'O', '@example.jp', '0312345678', 'Z', '1999-12-31', '2026-02-03 04:05:06+00', 1, '{}', '6b1f3c52-0000-4000-8000-000000000003', 'y');
grant select on crm.person to staff, reader;
`

var personTable = catalog.Table{Name: "crm.person", Subject: "holder", Key: "id",
	Columns: map[string]string{"id": "identity", "family": "contact", "mail": "contact", "phone": "contact", "passport": "travel_document", "born": "contact",
		"seen": "contact", "score": "contact", "tags": "contact", "ref": "contact", "memo": "identity"},
	Masks: map[string]string{"family": "name", "mail": "email", "phone": "phone"}}

func withPeople(t testing.TB, token bool) option {
	return func(o *options) {
		ctx, db := context.Background(), o.gate.Upstream.Database
		script := people
		if token {
			b, err := os.ReadFile(filepath.Join("..", "docs", "token.sql"))
			if err != nil {
				t.Fatal(err)
			}
			script += string(b) + "\ngrant usage on schema sekisho to staff; grant execute on function sekisho.token(text) to staff;"
			o.catalog.Functions.Token = "sekisho.token"
		}
		if out, err := cluster.SQL(ctx, db, script); err != nil {
			t.Fatal(err, out)
		}
		table := personTable
		if token {
			table.Columns = maps.Clone(table.Columns)
			table.Columns["memo"] = "relation"
		}
		o.catalog.Tables = append(o.catalog.Tables, table)
	}
}

// seenAs is the names and types that the server gives the columns, through the
// gate.
func (h *house) seenAs(t *testing.T, sql string) (types string) {
	t.Helper()
	return typesOf(t, h.connect("sato"), sql)
}

func (h *house) directTypes(t *testing.T, sql string) (types string) {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), h.directDSN())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	return typesOf(t, conn, sql)
}

func typesOf(t *testing.T, conn *pgx.Conn, sql string) (types string) {
	t.Helper()
	sd, err := conn.Prepare(context.Background(), "s", sql)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range sd.Fields {
		types += fmt.Sprintf("%s:%d:%d:%d ", f.Name, f.DataTypeOID, f.TypeModifier, f.DataTypeSize)
	}
	return types
}

// Every form of mask, in SELECT and both kinds of COPY: the values are masked,
// names and types are those of the table, and the people are named.
func TestMasks(t *testing.T) {
	_, policy := withPolicy(t, veiled)
	h := newHouse(t, withPeople(t, false), policy)
	const masked = "1|佐***|h***@example.jp|*********5678||1980-01-01|2026-01-01 00:00:00+00||||x\n" +
		"2|S***|******|***          |||||||\n" +
		"3|O***|***********|******5678   ||1999-01-01|2026-01-01 00:00:00+00||||y\n"
	const columns = "id, family, mail, phone, passport, born, seen, score, tags, ref, memo"
	setting := "set timezone to 'UTC'; "
	for _, sql := range []string{"select * from crm.person order by id", "select " + columns + " from crm.person p order by p.id", "select p.* from crm.person as p order by 1"} {
		if got := h.psql("sato", setting+sql); got != masked {
			t.Errorf("%s:\n%swant\n%s", sql, got, masked)
		}
		if got, want := h.seenAs(t, sql), h.directTypes(t, sql); got != want {
			t.Errorf("%s: columns\n%s, want\n%s", sql, got, want)
		}
	}
	copied := strings.ReplaceAll(strings.ReplaceAll(strings.ReplaceAll(masked, "||", "|\\N|"), "||", "|\\N|"), "|\n", "|\\N\n")
	copied = strings.ReplaceAll(copied, "|", "\t")
	for _, sql := range []string{"copy crm.person to stdout", "copy (select * from crm.person) to stdout", "copy crm.person (" + columns + ") to stdout"} {
		if got := h.psql("sato", setting+sql); got != copied {
			t.Errorf("%s:\n%swant\n%s", sql, got, copied)
		}
	}
	h.stop()
	for _, a := range h.accounts() {
		if !slices.Equal(a.keys, []string{"1", "2", "3"}) || a.class != sekisho.Exact || a.cats != "identity" || a.columns != "crm.person.id,crm.person.memo" {
			t.Errorf("%+v", a)
		}
	}
	if n := len(h.accounts()); n != 6 {
		t.Errorf("%d accesses", n)
	}
}

// Whatever stands in the statement sees the mask.
func TestConditionsSeeTheMask(t *testing.T) {
	_, policy := withPolicy(t, veiled)
	h := newHouse(t, withPeople(t, false), policy)
	for sql, want := range map[string]string{
		"select id from crm.person where mail = 'hanako@example.jp'":                                                                                 "",
		"select id from crm.person where mail like 'h***@%'":                                                                                         "1\n",
		"select id from crm.person where born = '1980-05-17'":                                                                                        "",
		"select id from crm.person where passport is not null":                                                                                       "",
		"select id, upper(mail) from crm.person where id = 1":                                                                                        "1|H***@EXAMPLE.JP\n",
		"select a.id, b.id from crm.person a join crm.person b on a.born = b.born where a.id <> b.id":                                                "",
		"select p.mail, m.name from crm.person p join crm.member m on m.member_no = p.id + 1000 where p.id = 1":                                      "h***@example.jp|name1\n",
		"select p.mail from crm.person p order by p.mail desc limit 1":                                                                               "h***@example.jp\n",
		"select p.mail, '佐藤' x, p.family from crm.person p where p.id in (1, 3) order by p.id offset 1":                                              "***********|佐藤|O***\n",
		"set sekisho.purpose = 'billing'; select mail, passport from crm.person where mail = 'hanako@example.jp'":                                    "hanako@example.jp|\n",
		"select mail from crm.person where id = 1; select memo from crm.person where id = 3":                                                         "h***@example.jp\ny\n",
		"select \"mail\" as \"from\", coalesce(phone, 'x') from \"crm\".\"person\" as \"p q\" where \"p q\".id = 2 and extract(year from now()) > 0": "******|***          \n",
	} {
		if got := h.psql("sato", sql); got != want {
			t.Errorf("%s:\n%q, want %q", sql, got, want)
		}
	}
	// Different constants in one shape.
	for i := 1; i <= 3; i++ {
		if got, want := h.psql("sato", fmt.Sprintf("select memo, mail from crm.person where id = %d", i)), []string{"x|h***@example.jp\n", "|******\n", "y|***********\n"}[i-1]; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// What a sub-select in the table's place would change is refused, and says
// what to do instead.
func TestMaskedShapesThatAreRefused(t *testing.T) {
	_, policy := withPolicy(t, veiled)
	h := newHouse(t, withPeople(t, false), policy)
	conn := h.connect("sato")
	for sql, hint := range map[string]string{
		"select p from crm.person p":                         "in place of the whole row",
		"select row(p.*) from crm.person p":                  "in place of the whole row",
		"select row_to_json(p) from crm.person p":            "in place of the whole row",
		"select (p).mail from crm.person p":                  "in place of the whole row",
		"select mail, ctid from crm.person":                  "system columns",
		"select p.mail from crm.person p where p.xmin = '1'": "system columns",
		"select mail from only crm.person":                   "ONLY",
		"select mail from crm.person for update":             "FOR UPDATE",
		"select crm.person.mail from crm.person":             "table.column",
		"select crm.person.* from crm.person":                "table.column",
		"table crm.person":                                   "TABLE",
	} {
		for _, mode := range bothWays {
			_, err := conn.Exec(context.Background(), sql, mode)
			if err == nil {
				t.Errorf("%s: passes", sql)
				continue
			}
			if pe := pgError(t, err); pe.Code != "42501" || pe.Message == "" || !strings.Contains(pe.Hint, hint) {
				t.Errorf("%s: %+v", sql, pe)
			}
		}
	}
	h.stop()
	if len(h.accounts()) != 0 {
		t.Error("something was read")
	}
	for _, r := range h.refusals() {
		if r != "policy_mask" {
			t.Errorf("refused as %s", r)
		}
	}
}

// A prepared statement whose masks are no longer due is prepared again, as
// drivers do when the server says so.
func TestMasksOfAPreparedStatement(t *testing.T) {
	_, policy := withPolicy(t, veiled)
	h := newHouse(t, withPeople(t, false), policy)
	ctx := context.Background()
	conn := h.connect("sato")
	read := func() (mail string, err error) {
		err = conn.QueryRow(ctx, "select mail from crm.person where id = $1", 1).Scan(&mail)
		return mail, err
	}
	if mail, err := read(); mail != "h***@example.jp" {
		t.Errorf("%q, %v", mail, err)
	}
	if _, err := conn.Exec(ctx, "set sekisho.purpose = 'billing'"); err != nil {
		t.Fatal(err)
	}
	if _, err := read(); err == nil || pgError(t, err).Code != "0A000" {
		t.Errorf("%v", err)
	}
	if mail, err := read(); mail != "hanako@example.jp" {
		t.Errorf("%q, %v", mail, err)
	}
	if _, err := conn.Exec(ctx, "set sekisho.purpose = 'enquiry'"); err != nil {
		t.Fatal(err)
	}
	read()
	if mail, err := read(); mail != "h***@example.jp" {
		t.Errorf("%q, %v", mail, err)
	}
}

// tokened is a policy under which staff tell people apart by tokens.
const tokened = `
@id("staff")
permit (principal in Role::"staff", action in [Action::"read", Action::"export"], resource);

@id("tokens")
@mask("token")
@reason_en("people are told apart by tokens")
@reason_ja("個人はトークンで区別されます")
forbid (principal, action in [Action::"read", Action::"export"], resource)
when { resource in [Category::"identity", Category::"contact"] };
`

// Tokens are the same for the same value, the key included, and can be compared
// and joined; the people are named all the same.
func TestTokens(t *testing.T) {
	_, policy := withPolicy(t, tokened)
	h := newHouse(t, withPeople(t, true), policy)
	lines := func(sql string) []string {
		return strings.Split(strings.TrimSuffix(h.psql("sato", sql), "\n"), "\n")
	}
	all := lines("select id, mail, family, born, ref, phone, memo from crm.person order by memo nulls first")
	for i, line := range all {
		f := strings.Split(line, "|")
		if len(f) != 7 || len(f[0]) < 10 || f[0] == fmt.Sprint(i+1) || len(f[1]) != 32 || len(f[2]) != 20 || f[3] != "" || f[5] != "" {
			t.Errorf("%q", line)
		}
	}
	if again := lines("select *, id from crm.person p order by memo nulls first"); len(again) != 3 || strings.Count(again[0], "|") != 11 || strings.Split(again[0], "|")[0] != strings.Split(all[0], "|")[0] || strings.HasSuffix(again[1], "|1") {
		t.Errorf("%q", again)
	}
	id := strings.Split(all[1], "|")[0]
	if got := h.psql("sato", "select p.memo, q.memo from crm.person p join crm.person q on q.mail = p.mail where p.id = "+id); got != "x|x\n" {
		t.Errorf("by a token: %q", got)
	}
	if got := h.psql("sato", "select memo from crm.person where id = 1"); got != "" {
		t.Errorf("by the key: %q", got)
	}
	for _, sql := range []string{"select * from crm.person a join crm.person b using (id)", "select a.memo from crm.person a natural join crm.person b"} {
		if got := h.psql("sato", sql); !strings.Contains(got, "ON in place of") {
			t.Errorf("%s: %q", sql, got)
		}
	}
	for _, sql := range []string{"select sekisho.token('1')", "select sekisho.token(memo) from crm.person", "select * from sekisho.token_key"} {
		if got := h.psql("sato", sql); !strings.Contains(got, "ERROR") {
			t.Errorf("%s: %q", sql, got)
		}
	}
	if got := h.direct("select * from sekisho.token_key"); !strings.Contains(got, "permission denied") {
		t.Errorf("the key: %q", got)
	}
	h.stop()
	named := 0
	for _, a := range h.accounts() {
		named += len(a.keys)
		if strings.Contains(a.cats, "identity") || strings.Contains(a.cats, "contact") {
			t.Errorf("%+v", a)
		}
	}
	if named != 8 {
		t.Errorf("%d customers named: %+v", named, h.accounts())
	}
}

// Statements of any other shape are masked at each mention of a table, and
// those behind the answer are told as ever.
func TestMaskedShapesThatAreTold(t *testing.T) {
	_, policy := withPolicy(t, veiled)
	h := newHouse(t, withPeople(t, false), policy)
	for sql, want := range map[string]string{
		"select mail, count(*) from crm.person group by mail order by mail collate \"C\"":                          "******|1\n***********|1\nh***@example.jp|1\n",
		"select max(mail) from crm.person where id = 1":                                                            "h***@example.jp\n",
		"select distinct born from crm.person where id < 3 order by 1":                                             "1980-01-01\n\n",
		"select memo from crm.person p where exists (select from crm.person q where q.mail = 'hanako@example.jp')": "",
		"with x as (select * from crm.person) select mail from x where id = 1":                                     "h***@example.jp\n",
		"select mail from crm.person where id = 1 union all select family from crm.person where id = 3":            "h***@example.jp\nO***\n",
		"select p.mail, (select q.family from crm.person q where q.id = 2) from crm.person p where p.id = 1":       "h***@example.jp|S***\n",
		"begin; declare c cursor for select mail from crm.person where id = 1; fetch c; commit":                    "h***@example.jp\n",
		"prepare x(int) as select mail from crm.person where id = $1; execute x(1)":                                "h***@example.jp\n",
		"copy (select mail, row_number() over (order by id) from crm.person order by id) to stdout":                "h***@example.jp\t1\n******\t2\n***********\t3\n",
		"set sekisho.purpose = 'billing'; select count(*) from crm.person where mail = 'hanako@example.jp'":        "1\n",
		"select count(*) from crm.person where mail = 'hanako@example.jp'":                                         "0\n",
	} {
		if got := h.psql("sato", sql); got != want {
			t.Errorf("%s:\n%q, want %q", sql, got, want)
		}
	}
	// A cursor and a prepared statement keep the masks that they were made with.
	for _, sql := range []string{
		"set sekisho.purpose = 'billing'; begin; declare c cursor for select mail from crm.person where id = 1; set sekisho.purpose = 'enquiry'; fetch c",
		"set sekisho.purpose = 'billing'; prepare x as select mail from crm.person where id = 1; set sekisho.purpose = 'enquiry'; execute x",
	} {
		lines := strings.ReplaceAll(sql, "; ", ";\n")
		if got := h.psql("sato", lines); strings.Contains(got, "hanako") || !strings.Contains(got, "cached plan") {
			t.Errorf("%s: %q", sql, got)
		}
	}
	for sql, hint := range map[string]string{
		"select p, count(*) from crm.person p group by p":           "whole row",
		"select ctid, count(*) from crm.person group by mail, ctid": "system columns",
	} {
		if got := h.psql("sato", sql); !strings.Contains(got, hint) {
			t.Errorf("%s: %q", sql, got)
		}
	}
	h.stop()
	for _, a := range h.accounts() {
		if a.purpose != "billing" && strings.Contains(a.cats, "contact") {
			t.Errorf("%+v", a)
		}
	}
}
