package gate

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"sekisho"
	"sekisho/catalog"
	"sekisho/disk"
	"sekisho/ledger"
)

// The truth about a write is what PostgreSQL holds before and after it, customer
// by customer. Whoever's records differ must be named.

const writeSchema = `
create schema w;
create table w.person (no bigint primary key, name text, email text unique, points int default 0, loud text generated always as (upper(name)) stored);
create table w.card (id serial primary key, no bigint references w.person on delete cascade, pan text, unique (no, pan));
create table w.trip (id serial, no bigint references w.person on delete set null, place text, office text) partition by list (office);
create table w.office (code text primary key);
create table w.trip_a partition of w.trip (primary key (id)) for values in ('a');
create table w.trip_b partition of w.trip (primary key (id)) for values in ('b');
create table w.visit (office text references w.office on delete cascade on update cascade, no bigint, note text);
create table w.word (word text, n int);
insert into w.office values ('a'), ('b'), ('c');
insert into w.person select i, 'p'||i, 'p'||i||'@example.jp', i from generate_series(1, 40) i;
insert into w.card (no, pan) select 1 + i % 40, 'pan'||i from generate_series(1, 60) i;
insert into w.trip (no, place, office) select 1 + i % 40, 'place'||i, case when i % 2 = 0 then 'a' else 'b' end from generate_series(1, 60) i;
insert into w.visit select case when i % 3 = 0 then 'a' else 'c' end, 1 + i % 40, 'note'||i from generate_series(1, 30) i;
insert into w.word select 'p'||i, i from generate_series(1, 20) i;
create function w.pan_of(who bigint) returns text language sql stable as 'select max(c.pan) from w.card c where c.no = who';
create function w.away(town text) returns setof bigint language sql stable as 'select t.no from w.trip t where t.office = town group by t.no having count(*) > 0';
create function w.best(floor bigint) returns table (who bigint, called text) language sql stable as 'select p.no, p.name || coalesce(w.pan_of(p.no), '''') from w.person p where p.points > floor order by p.points limit 5';
grant usage on schema w to staff, reader;
grant select on all tables in schema w to reader;
grant all on all tables in schema w to staff;
grant usage on all sequences in schema w to staff;
`

func writeTables(o *options) {
	_, err := cluster.SQL(context.Background(), o.gate.Upstream.Database, writeSchema)
	if err != nil {
		panic(err)
	}
	o.catalog.Subjects = append(o.catalog.Subjects, catalog.Subject{Name: "person", Table: "w.person", Key: "no"})
	for _, table := range []string{"w.person", "w.card", "w.trip", "w.visit"} {
		o.catalog.Tables = append(o.catalog.Tables, catalog.Table{Name: table, Subject: "person", Key: "no"})
	}
}

// holdings are what the database holds of each person, in all tables.
func (h *house) holdings() map[string]string {
	h.t.Helper()
	out, err := cluster.SQL(context.Background(), h.dbname, `
		select coalesce(no::text, '-') || '|' || string_agg(row, ';' order by row) from (
			select no, t::text as row from w.person t union all select no, 'card' || t::text from w.card t
			union all select no, 'trip' || t::text from w.trip t union all select no, 'visit' || t::text from w.visit t) x
		group by no`)
	if err != nil {
		h.t.Fatal(err)
	}
	all := map[string]string{}
	for line := range strings.Lines(out) {
		no, rows, _ := strings.Cut(strings.TrimSpace(line), "|")
		if no != "" && no != "-" {
			all[no] = rows
		}
	}
	return all
}

// randomWrite is a write of the kinds that applications send.
func randomWrite(r *rand.Rand) string {
	no := func() int { return 1 + r.IntN(60) }
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	where := pick(fmt.Sprintf("no = %d", no()), fmt.Sprintf("no between %d and %d", no(), no()), fmt.Sprintf("no in (%d, %d)", no(), no()),
		fmt.Sprintf("no in (select n from w.word where n > %d)", no()), fmt.Sprintf("no > %d", no()))
	returning := pick("", "", "", " returning *", " returning no")
	value := fmt.Sprintf("'v%d'", r.IntN(1000))
	switch r.IntN(22) {
	case 18:
		return fmt.Sprintf("update w.visit set no = no + %d, note = %s where %s%s", r.IntN(3), value, where, returning)
	case 19:
		return fmt.Sprintf("update w.card set no = (select max(no) from w.person where %s) where pan like 'pan%d%%'%s", where, r.IntN(10), returning)
	case 20:
		return fmt.Sprintf("update w.trip t set no = p.no, office = '%s' from w.person p where p.points = t.id%s", pick("a", "b"), pick("", " returning p.no, place"))
	case 21:
		return fmt.Sprintf("update w.person set no = %d, name = %s where %s%s", 40+r.IntN(40), value, pick("email = 'p"+strconv.Itoa(no())+"@example.jp'", "no = "+strconv.Itoa(no())), returning)
	case 14:
		return fmt.Sprintf("with moved as (delete from w.card where %s returning no, pan) insert into w.visit (office, no, note) select 'c', no, pan from moved%s", where, returning)
	case 15:
		return fmt.Sprintf("with u as (update w.person set name = %s where %s returning no), v as (delete from w.visit where no = %d) select count(*) from u", value, where, no())
	case 16:
		return fmt.Sprintf("insert into w.card (no, pan) select no, %s || no from w.person where %s on conflict do nothing%s", value, where, returning)
	case 17:
		return fmt.Sprintf("update w.person set points = (select count(*) from w.trip t where t.no = person.no) where %s%s", where, returning)
	case 0:
		return fmt.Sprintf("update w.person set name = %s where %s%s", value, where, returning)
	case 1:
		return fmt.Sprintf("update w.person p set points = points + 1 from w.card c where c.no = p.no and c.pan like 'pan%d%%'", r.IntN(10))
	case 2:
		return fmt.Sprintf("update w.person set name = n.name from (values (%d, %s), (%d, 'y')) n (no, name) where w.person.no = n.no%s", no(), value, no(), pick("", " returning w.person.no"))
	case 3:
		return fmt.Sprintf("update w.card set pan = pan || 'x' where %s%s", where, returning)
	case 4:
		return fmt.Sprintf("update w.trip set office = '%s', place = %s where %s", pick("a", "b"), value, where) // from one partition into the other
	case 5:
		return fmt.Sprintf("insert into w.person (no, name, email) values (%d, %s, 'e%d')%s", no(), value, r.IntN(200), returning)
	case 6:
		return fmt.Sprintf("insert into w.person (no, name, email) values (%d, %s, 'p%d@example.jp'), (%d, 'z', 'f%d') on conflict %s", no(), value, no(), 100+r.IntN(900), r.IntN(5000),
			pick("do nothing", "(no) do nothing", "(email) do update set name = excluded.name", "(email) do update set points = w.person.points + 1 where w.person.points > 5"))
	case 7:
		return fmt.Sprintf("insert into w.card (no, pan) values (%d, %s), (%d, %s)%s", no(), value, no(), value, returning)
	case 8:
		return fmt.Sprintf("insert into w.visit (office, no, note) select 'c', n, word from w.word where n < %d%s", r.IntN(6), returning)
	case 9:
		return fmt.Sprintf("delete from w.person where no = %d%s", no(), returning) // and cards, and the names on trips
	case 10:
		return fmt.Sprintf("delete from w.card using w.person p where p.no = w.card.no and p.points < %d", r.IntN(6))
	case 11:
		return fmt.Sprintf("delete from w.trip where %s%s", where, returning)
	case 12:
		return pick("delete from w.office where code = 'c'", "update w.office set code = code || 'x' where code like 'c%'", "insert into w.office values ('c') on conflict do nothing", "truncate w.visit")
	}
	return fmt.Sprintf("with x as (select word, n from w.word where n < %d) update w.person p set name = x.word from x where x.n = p.no", r.IntN(10))
}

// namesSince gives whom the ledger names from the entry behind last on, in
// accesses of a shape that counts, and whether one of them could be anybody's.
// It moves last, and keeps the shapes.
func (h *house) namesSince(last *uint64, shapes map[uint64]*sekisho.Shape, counts func(*sekisho.Shape) bool) (keys map[string]bool, anyRow bool) {
	h.t.Helper()
	keys = map[string]bool{}
	for e, err := range ledger.Read(disk.OS{}, filepath.Join(h.dir, "ledger"), *last+1) {
		if err != nil {
			h.t.Fatal(err)
		}
		*last = e.ID.Seq
		switch b := e.Body.(type) {
		case *sekisho.Shape:
			shapes[*last] = b
		case *sekisho.Access:
			if !counts(shapes[b.Shape]) {
				continue
			}
			anyRow = anyRow || b.Class == sekisho.AnyRow
			for _, o := range b.Subjects {
				k, _ := h.vault.Space(shapes[b.Shape].Space).Key(o)
				keys[k] = true
			}
		}
	}
	return keys, anyRow
}

func TestWhoIsWrittenIsNamed(t *testing.T) {
	h := newWritingHouse(t, "", writeTables)
	ctx := context.Background()
	r := rand.New(rand.NewPCG(7, 2026))
	conn := h.connect("sato")
	modes := []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeExec, pgx.QueryExecModeCacheStatement}
	var last uint64
	shapes := map[uint64]*sekisho.Shape{}
	written := func() (map[string]bool, bool) {
		return h.namesSince(&last, shapes, func(sh *sekisho.Shape) bool { return sh.Verb != sekisho.Read })
	}
	written()
	statements, changed, anyRows, spare, failed := 300, 0, 0, 0, map[string]int{}
	before := h.holdings()
	knows := atLeast(t, 17)
	for i := range statements {
		sql := randomWrite(r)
		if knows && r.IntN(6) == 0 {
			sql = merges(func(of ...string) string { return of[r.IntN(len(of))] }, func() string { return strconv.Itoa(1 + r.IntN(60)) })
			if r.IntN(2) == 0 {
				sql = mergesInWith(sql, r.IntN)
			}
		}
		mode := modes[r.IntN(len(modes))]
		var err error
		if r.IntN(4) == 0 { // two in one text
			sql += "; " + randomWrite(r)
			if strings.Contains(sql, "truncate") {
				continue
			}
			_, err = conn.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol)
		} else {
			_, err = conn.Exec(ctx, sql, mode)
		}
		if err != nil {
			code := sqlstate(err)
			if code != "23505" && code != "23503" && code != "23514" {
				t.Errorf("%s: %v", sql, err)
			}
			failed[code]++
		}
		after := h.holdings()
		keys, anyRow := written()
		if anyRow {
			anyRows++
		}
		for no := range keys {
			if before[no] == after[no] {
				spare++
			}
		}
		for no := range maps.Keys(union(before, after)) {
			if before[no] == after[no] {
				continue
			}
			if changed++; !keys[no] && !anyRow {
				t.Errorf("statement %d, %v: what is held of %s was\n  %s\nand is\n  %s\nafter\n  %s\nwhich names %v", i, mode, no, before[no], after[no], sql, slices.Sorted(maps.Keys(keys)))
			}
		}
		before = after
	}
	t.Logf("%d statements changed what is held of %d customers; %d were any-row, %d named too many, refused by the database: %v", statements, changed, anyRows, spare, failed)
	if changed < statements {
		t.Errorf("only %d changes were seen", changed)
	}
}

func union(a, b map[string]string) map[string]string {
	c := maps.Clone(a)
	maps.Copy(c, b)
	return c
}
