package catalog_test

import (
	"testing"

	"sekisho/catalog"
)

// The owner of the database has put code where no statement shows it: it runs
// when a table is written, or read.
func TestCodeThatRunsUnasked(t *testing.T) {
	const schema = `
create schema own;
create function own.hide(text) returns text language plpgsql immutable as $$ begin return $1; end $$;
create function own.hides(text) returns boolean language plpgsql immutable as $$ begin return true; end $$;
create function own.cut(text) returns app.colour language sql immutable as $$ select 'blue'::app.colour $$;
create operator own.~~> (leftarg = text, rightarg = text, function = app.spy);
create domain own.checked as text check (own.hides(value));
create domain own.short as text check (length(value) < 4);
create domain own.checked_again as own.checked;
create domain own.sly as text check (value operator(own.~~>) 'x');
create type own.pair as (a integer, b own.checked);

create table own.by_default (a integer, b text default own.hide('x'));
create table own.by_check (a integer, b text check (own.hides(b)));
create table own.by_table_check (a integer, b text, check (a > 0 and b operator(own.~~>) 'x'));
create table own.by_generated (a integer, b text, c text generated always as (own.hide(b)) stored);
create table own.by_index (a integer, b text);
create index on own.by_index (own.hide(b));
create table own.by_predicate (a integer, b text);
create index on own.by_predicate (a) where own.hides(b);
create table own.by_domain (a integer, b own.checked);
create table own.by_domain_of_domain (a integer, b own.checked_again);
create table own.by_operator_in_domain (a integer, b own.sly);
create table own.by_array (a integer, b own.checked[]);
create table own.by_row (a integer, b own.pair);
create table own.by_partition_key (a integer, b text) partition by list (own.hide(b));
create table own.by_partition (a integer, b text) partition by list (a);
create table own.by_partition_1 partition of own.by_partition (check (own.hides(b))) for values in (1);
create table own.by_heir (a integer, b text);
create table own.by_heir_1 (c text default own.hide('x')) inherits (own.by_heir);
create table own.by_cascade (a integer primary key, b text);
create table own.by_cascade_1 (a integer references own.by_cascade on delete cascade, check (own.hides(a::text)));
create view own.by_view as select * from own.by_default;

create table own.plain (a serial primary key, b text default lower('X') check (b <> ''), c own.short unique, d text generated always as (upper(b)) stored);
create index on own.plain (lower(b)) where length(b) > 3;
create index on own.plain (app.distance(b, b));

create table own.policed (a integer, b text);
alter table own.policed enable row level security;
create policy p on own.policed using (own.hides(b));
create table own.policed_by_member (a integer, b text);
alter table own.policed_by_member enable row level security;
create policy p on own.policed_by_member using (exists (select from crm.member m where m.member_no = a and m.email like b || '%'));
create table own.policed_by_view (a integer, b text);
alter table own.policed_by_view enable row level security;
create policy p on own.policed_by_view for insert with check (b in (select email from app.member_mail));
create view own.over_policed as select b from own.policed_by_member;
create table own.policed_off (a integer, b text);
create policy p on own.policed_off using (own.hides(b));
create table own.policed_plain (a integer, b text);
alter table own.policed_plain enable row level security;
create policy p on own.policed_plain using (b = current_user or exists (select from app.route r where r.code = b));
`
	if _, err := postgres.psql(schema); err != nil {
		t.Fatal(err)
	}
	drop := func() {
		if _, err := postgres.psql("set client_min_messages = error; drop schema own cascade"); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(drop)
	c := load(t)
	for _, table := range []string{
		"by_default", "by_check", "by_table_check", "by_generated", "by_index", "by_predicate", "by_domain", "by_domain_of_domain",
		"by_operator_in_domain", "by_array", "by_row", "by_partition_key", "by_partition", "by_partition_1", "by_heir", "by_heir_1",
		"by_cascade", "by_view",
	} {
		for _, sql := range []string{"insert into own." + table + " (a) values (1)", "update own." + table + " set a = 2", "copy own." + table + " from stdin"} {
			if j := judge(t, c, sql); j.Kind != catalog.Opaque || j.Reason != "write_sets_off" {
				t.Errorf("%v %s: %s", j.Kind, j.Reason, sql)
			}
		}
		if j := judge(t, c, "select * from own."+table); j.Kind != catalog.Free {
			t.Errorf("%v %s: reading %s", j.Kind, j.Reason, table)
		}
	}
	// A table made in the likeness of one does the same, and may be temporary.
	for _, sql := range []string{
		"create temp table route (like own.by_default including all)", "create table own.x () inherits (own.by_check)",
		"create table own.x partition of own.by_partition for values in (2)", "create schema x create table y (like own.by_index including indexes)",
	} {
		if j := judge(t, c, sql); j.Kind != catalog.Opaque || j.Reason != "write_sets_off" {
			t.Errorf("%v %s: %s", j.Kind, j.Reason, sql)
		}
	}
	for _, sql := range []string{"create temp table x (like own.plain including all)", "create table own.x () inherits (own.policed_plain)", "comment on table own.by_default is 'x'"} {
		if j := judge(t, c, sql); j.Kind != catalog.Free {
			t.Errorf("%v %s: %s", j.Kind, j.Reason, sql)
		}
	}
	for _, table := range []string{"policed", "policed_by_member", "policed_by_view"} {
		for _, sql := range []string{"select b from own." + table, "select 1 from crm.member m join own." + table + " x on x.a = m.member_no"} {
			if j := judge(t, c, sql); j.Kind != catalog.Opaque || j.Reason != "policy" {
				t.Errorf("%v %s: %s", j.Kind, j.Reason, sql)
			}
		}
		if j := judge(t, c, "insert into own."+table+" values (1)"); j.Kind != catalog.Opaque {
			t.Errorf("%v %s: writing %s", j.Kind, j.Reason, table)
		}
	}
	if j := judge(t, c, "select b from own.over_policed"); j.Kind != catalog.Opaque || j.Reason != "view" {
		t.Errorf("%v %s: a view over a table with a policy", j.Kind, j.Reason)
	}
	for _, sql := range []string{
		"insert into own.plain (b) values ('x')", "update own.plain set c = 'y'", "select * from own.plain", "select b from own.policed_off",
		"select b from own.policed_plain", "insert into own.policed_plain values (1, 'x')",
	} {
		if j := judge(t, c, sql); j.Kind != catalog.Free {
			t.Errorf("%v %s: %s", j.Kind, j.Reason, sql)
		}
	}
	// What somebody has read may run.
	cfg := config()
	cfg.Functions.Reviewed = append(cfg.Functions.Reviewed, "own.hide", "own.hides", "app.spy")
	c, err := catalog.Load(t.Context(), postgres.query, cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{
		"insert into own.by_default (a) values (1)", "update own.by_table_check set a = 1", "update own.by_row set a = 1", "insert into own.by_partition_key values (1, 'x')",
		"delete from own.by_cascade", "select b from own.policed",
	} {
		if j := judge(t, c, sql); j.Kind != catalog.Free {
			t.Errorf("%v %s: %s", j.Kind, j.Reason, sql)
		}
	}
	if j := judge(t, c, "select b from own.policed_by_member"); j.Kind != catalog.Opaque || j.Reason != "policy" {
		t.Errorf("%v %s: the policy still reads a protected table", j.Kind, j.Reason)
	}

	// A cast of a column's type runs when a value is written to the column.
	if _, err := postgres.psql("create table own.by_cast (a integer, b app.colour); create cast (text as app.colour) with function own.cut(text) as assignment"); err != nil {
		t.Fatal(err)
	}
	c = load(t)
	if j := judge(t, c, "insert into own.by_cast select 1, note from app.route"); j.Kind != catalog.Opaque || j.Reason != "write_sets_off" {
		t.Errorf("%v %s: a cast runs", j.Kind, j.Reason)
	}
	// One between PostgreSQL's own types may run in any write.
	if _, err := postgres.psql("drop cast (text as app.colour); create function own.number(text) returns integer language sql as 'select 1'; create cast (text as integer) with function own.number(text) as assignment"); err != nil {
		t.Fatal(err)
	}
	c = load(t)
	if j := judge(t, c, "insert into app.route (code, miles) select note, note from app.route"); j.Kind != catalog.Opaque || j.Reason != "type" {
		t.Errorf("%v %s: a cast runs", j.Kind, j.Reason)
	}
}
