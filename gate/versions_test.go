package gate

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"sekisho/catalog"
)

// What servers after 15 know besides: types that are named by a text, JSON that
// becomes a type, OLD and NEW, MERGE that returns. An older server does not
// know it in either world.
const laterly = worldly + `
create schema hid;
create function hid.peek(text) returns boolean language sql as 'select not exists (select from crm.member where email = $1)';
create domain hid.known as text check (hid.peek(value));
create type hid.knows as (mail hid.known);
create type hid.knownrange as range (subtype = hid.known);
grant usage on schema hid to staff;
grant execute on function hid.peek(text) to staff;
create materialized view crm.matched as select email from crm.member;
create materialized view own.matched as select code from crm.airport;
grant select on crm.matched, own.matched to staff, reader;
`

// laterWorlds are both, as worlds are.
func laterWorlds(t *testing.T, other string, opts ...option) (both [2]*house) {
	t.Helper()
	for i, more := range []string{sameRecord, other} {
		both[i] = newWritingHouse(t, laterly+more, append([]option{worldlyCatalog}, opts...)...)
	}
	return both
}

// eachAlone makes a variant of each Query in a script, so that what one of them
// has recorded does not speak for another. A transaction stays whole.
func eachAlone(list []variant) (all []variant) {
	for _, v := range list {
		if !strings.HasPrefix(v.script, "Q ") || strings.HasPrefix(v.script, "Q begin") {
			all = append(all, v)
			continue
		}
		for i, text := range strings.Split(v.script[len("Q "):], "\nQ ") {
			all = append(all, variant{fmt.Sprintf("%s, %d", v.name, i+1), "Q " + text})
		}
	}
	return all
}

func TestTwoWorldsOfLaterServers(t *testing.T) {
	both := laterWorlds(t, changedRecord)
	compare(t, both, nil, eachAlone(variants(t, "later.txt")))
	compare(t, both, recorded, eachAlone(variants(t, "later_writes.txt")))
}

// What is masked stays so with what later servers know.
func TestTwoWorldsOfLaterServersMasked(t *testing.T) {
	_, policy := withPolicy(t, hiddenContact)
	both := laterWorlds(t, "update crm.member set email = 'q42@other.org', city = 'Kobe' where member_no = 1042;", policy)
	plays := [2]*play{{h: both[0]}, {h: both[1]}}
	for _, v := range eachAlone(variants(t, "later_masked.txt")) {
		if a, b := plays[0].run(v.script), plays[1].run(v.script); a != b {
			t.Errorf("%s: masked, and yet the answers differ:\n%.2000s\n--- the other:\n%.2000s", v.name, a, b)
		} else if testing.Verbose() {
			t.Logf("%s: %s\n%.300s", v.name, v.script, a)
		}
	}
}

// Since PostgreSQL 18 a key may belong to a span of time, a NOT NULL may never
// have been checked, a column may be made as it is read, and a foreign key may
// tie nothing. Whose each row is, is said all the same.
func TestTablesOfLaterServers(t *testing.T) {
	if !atLeast(t, 18) {
		t.Skip("the server is older than 18")
	}
	h := newWritingHouse(t, `
		create extension btree_gist;
		create table crm.stay (member_no bigint, during int4range, room text, primary key (member_no, during without overlaps));
		insert into crm.stay select 1000+i/2, int4range(i, i+1), 'room '||i from generate_series(2, 21) i;
		create table crm.virtual (member_no bigint primary key, email text, loud text generated always as (upper(email)) virtual);
		insert into crm.virtual select 1000+i, 'm'||i||'@example.jp' from generate_series(1, 10) i;
		create table crm.unchecked (member_no bigint, note text);
		insert into crm.unchecked values (1001, 'somebody'), (null, 'anybody');
		alter table crm.unchecked add constraint there not null member_no not valid;
		create table crm.loose (member_no bigint primary key references crm.member on delete cascade not enforced, note text);
		insert into crm.loose values (1001, 'is there'), (99999, 'is not');
		grant select on all tables in schema crm to reader`, func(o *options) {
		for _, name := range []string{"crm.stay", "crm.virtual", "crm.unchecked", "crm.loose"} {
			o.catalog.Tables = append(o.catalog.Tables, catalog.Table{Name: name, Subject: "member", Key: "member_no"})
		}
	})
	for _, c := range []struct {
		sql   string
		tells []string
	}{
		{"select room from crm.stay where during && int4range(4, 7) order by 1", []string{"read crm.stay: 1002 1003"}},
		{"select member_no, count(*) from crm.stay where member_no < 1003 group by member_no order by 1", []string{"read contributed crm.stay: 1001 1002"}},
		{"update crm.stay set room = 'another' where member_no = 1004", []string{"update crm.stay: 1004"}},
		{"delete from crm.stay where member_no = 1005 returning old.room", []string{"delete crm.stay: 1005", "read crm.stay: 1005"}},
		{"select loud from crm.virtual where loud = 'M7@EXAMPLE.JP'", []string{"read crm.virtual: 1007"}},
		{"select max(loud) from crm.virtual where member_no in (1002, 1003)", []string{"read contributed crm.virtual: 1002 1003"}},
		{"update crm.virtual set email = 'x@example.jp' where member_no = 1008 returning old.loud, new.loud", []string{"read crm.virtual: 1008", "update crm.virtual: 1008"}},
		{"select note from crm.unchecked order by 1", []string{"read any-row crm.unchecked: ", "read crm.unchecked: 1001"}},
		{"select note from crm.loose order by 1", []string{"read crm.loose: 1001 99999"}},
		{"delete from crm.member where member_no = 1001", []string{"delete crm.loose,crm.member: 1001"}},
	} {
		conn, before := h.connect("sato"), len(h.wrote())
		_, err := conn.Exec(context.Background(), c.sql, pgx.QueryExecModeSimpleProtocol)
		var got []string
		for _, line := range h.wrote()[before:] {
			what, keys, _ := strings.Cut(line, ": ")
			list := slices.Compact(slices.Sorted(slices.Values(strings.Fields(keys))))
			got = append(got, what+": "+strings.Join(list, " "))
		}
		slices.Sort(got)
		if err != nil || !slices.Equal(got, c.tells) {
			t.Errorf("%s: %v; the ledger says %q and not %q", c.sql, err, got, c.tells)
		}
		conn.Close(context.Background())
	}
}
