package gate

import (
	"strings"
	"testing"

	"sekisho/catalog"
)

// worldly is what the people of the two worlds have besides the members: tables
// with keys of every type, types of their own in them, and a schema of the
// staff's own.
const worldly = `
create schema own authorization staff;
do $$ begin execute format('grant temporary on database %I to staff', current_database()); end $$;
set role staff;
create type own.mood as enum ('sad', 'fine', 'happy');
create type own.pair as (a text, b int);
create type own.line as (member_no bigint, note text);
create table own.kept (a text, b int);
create collation own.plain from "C";
create domain own.mail as text;
create table own.desk (n int, t text);
insert into own.desk select i, chr(96+i) from generate_series(1, 26) i;
create view own.desks as select * from own.desk;
create sequence own.seq;
reset role;
create table crm.extra (member_no bigint primary key references crm.member on delete cascade, mood own.mood, pair own.pair, mail own.mail, n int, spare text default 'd', kept own.kept, word text collate own.plain, unique (n) deferrable initially deferred);
insert into crm.extra select 1000+i, 'fine', row('p'||i, i)::own.pair, 'm'||i||'@example.jp', i, 'd', row('k'||i, i)::own.kept, 'w'||i from generate_series(1, 100) i;
create table crm.typed of own.line (primary key (member_no));
insert into crm.typed select 1000+i, 'note '||i from generate_series(1, 100) i;
create table crm.letters (k char(5) primary key, v text);
insert into crm.letters select 'C'||i, 'v'||i from generate_series(1, 20) i;
create table crm.uuids (k uuid primary key, v text);
insert into crm.uuids select ('00000000-0000-4000-8000-0000000000'||lpad(to_hex(i), 2, '0'))::uuid, 'v'||i from generate_series(1, 20) i;
create table crm.parts (member_no bigint, region text, v text, primary key (member_no, region)) partition by list (region);
create table crm.parts_e partition of crm.parts for values in ('e');
create table crm.parts_w partition of crm.parts for values in ('w');
insert into crm.parts select 1000+i, case when i%2 = 0 then 'e' else 'w' end, 'v'||i from generate_series(1, 100) i;
create table crm.desk (n int, member_no bigint references crm.member deferrable initially deferred);
create table crm.branch (code text primary key, name text);
insert into crm.branch values ('T', 'Tokyo'), ('O', 'Osaka');
create table crm.mid (code text primary key references crm.branch on delete cascade on update cascade);
insert into crm.mid values ('T'), ('O');
create table crm.hangs (member_no bigint primary key, code text references crm.mid on delete cascade on update cascade);
insert into crm.hangs select 1000+i, case when i%2 = 0 then 'T' else 'O' end from generate_series(1, 50) i;
create unique index on crm.member (email);
create function crm.town_of(who bigint) returns text language sql stable as 'select m.city from crm.member m where m.member_no = who';
create function crm.from_town(town text) returns table (who bigint, called text) language sql stable as 'select m.member_no, m.name from crm.member m where m.city = town and m.member_no > 1040 order by m.member_no limit 3';
create materialized view crm.copies as select member_no, mail from crm.extra;
alter materialized view crm.copies owner to staff;
create unique index on crm.copies (member_no);
create materialized view crm.unlisted as select member_no, count(*) as n, sum(100 / (n - 4711)) as x from crm.extra group by member_no with no data;
alter materialized view crm.unlisted owner to staff;
grant usage on schema own to reader;
grant select on all tables in schema crm to reader;
`

// sameRecord writes it anew as it is, so that the rows lie alike in both.
const sameRecord = `
update crm.member set name = name where member_no = 1042;
update crm.extra set n = n where member_no = 1042;
update crm.typed set note = note where member_no = 1042;
update crm.parts set v = v where member_no = 1042;
`

// changedRecord makes another record of the one customer.
const changedRecord = `
update crm.member set email = 'q42@other.org', name = 'zz', city = 'Kobe', joined = '1999-09-09' where member_no = 1042;
update crm.extra set mood = 'sad', pair = row('zz', 7)::own.pair, mail = 'q42@other.org', n = 4711 where member_no = 1042;
update crm.typed set note = 'zz' where member_no = 1042;
update crm.parts set v = 'zz' where member_no = 1042;
`

const noRecord = `
delete from crm.typed where member_no = 1042; delete from crm.parts where member_no = 1042; delete from crm.hangs where member_no = 1042; delete from crm.passport where member_no = 1042;
delete from crm.member where member_no = 1042;
`

func worldlyCatalog(o *options) {
	o.catalog.Subjects = append(o.catalog.Subjects, catalog.Subject{Name: "letter", Table: "crm.letters", Key: "k"}, catalog.Subject{Name: "uuid", Table: "crm.uuids", Key: "k"})
	for _, name := range []string{"crm.extra", "crm.typed", "crm.parts", "crm.hangs", "crm.copies"} {
		o.catalog.Tables = append(o.catalog.Tables, catalog.Table{Name: name, Subject: "member", Key: "member_no"})
	}
	o.catalog.Tables = append(o.catalog.Tables, catalog.Table{Name: "crm.letters", Subject: "letter", Key: "k"}, catalog.Table{Name: "crm.uuids", Subject: "uuid", Key: "k"})
}

// recorded are the tables whose records no script may change unsaid.
var recorded = map[string]string{"crm.member": "member_no", "crm.passport": "member_no", "crm.extra": "member_no", "crm.typed": "member_no", "crm.letters": "k", "crm.uuids": "k", "crm.parts": "member_no", "crm.hangs": "member_no", "crm.copies": "member_no"}

func TestTwoWorldsRead(t *testing.T) {
	compare(t, worlds(t, noRecord), nil, variants(t, "reads.txt"))
	both := worlds(t, changedRecord)
	for _, file := range []string{"reads.txt", "temporary.txt", "sessions.txt"} {
		compare(t, both, nil, variants(t, file))
	}
}

func TestTwoWorldsWritten(t *testing.T) {
	both := worlds(t, changedRecord)
	compare(t, both, recorded, variants(t, "types.txt"))
	compare(t, both, recorded, variants(t, "writes.txt"))
}

// hiddenContact is a policy under which nobody sees contact, but for billing.
const hiddenContact = `
@id("staff")
permit (principal in Role::"staff", action, resource);

@id("contact")
@mask("blank")
@reason_en("addresses are masked")
@reason_ja("連絡先はマスクされます")
forbid (principal, action in [Action::"read", Action::"export"], resource == Category::"contact")
unless { context.purpose == Purpose::"billing" };
`

// What is masked is the same in both worlds to whoever asks, named or not: no
// shape of question, and no write, tells the one from the other.
func TestTwoWorldsMasked(t *testing.T) {
	_, policy := withPolicy(t, hiddenContact)
	both := worlds(t, "update crm.member set email = 'q42@other.org', city = 'Kobe' where member_no = 1042;", policy)
	plays := [2]*play{{h: both[0]}, {h: both[1]}}
	for _, v := range variants(t, "masked.txt") {
		if a, b := plays[0].run(v.script), plays[1].run(v.script); a != b {
			t.Errorf("%s: masked, and yet the answers differ:\n%.2000s\n--- the other:\n%.2000s", v.name, a, b)
		}
	}
}

// What runs code that nobody has read tells of everybody, and of nothing more
// later, to nobody.
func TestTwoWorldsUnread(t *testing.T) {
	both := worlds(t, changedRecord, anyRows)
	list := variants(t, "unread.txt")
	compare(t, both, recorded, list)
	plays := [2]*play{{h: both[0]}, {h: both[1]}}
	for _, v := range list {
		if !strings.Contains(v.script, "\n@b ") {
			continue
		}
		if a, b := plays[0].run(v.script), plays[1].run(v.script); a != b {
			t.Errorf("%s: another person reads what the first one left behind:\n%.2000s\n--- the other:\n%.2000s", v.name, a, b)
		}
	}
}
