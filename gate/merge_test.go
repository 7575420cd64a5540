package gate

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// atLeast says whether the tests run on a server of this major version, or a
// later one.
func atLeast(t testing.TB, major int) bool {
	t.Helper()
	out, err := cluster.SQL(context.Background(), "postgres", "show server_version_num")
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(out))
	if err != nil {
		t.Fatal(err)
	}
	return n >= major*10_000
}

// Since PostgreSQL 17 a MERGE says by RETURNING whose records it has written;
// before, it may be anybody's, and is recorded before it runs.
func TestMergeNamesItsCustomers(t *testing.T) {
	if !atLeast(t, 15) {
		t.Skip("the server is older than MERGE")
	}
	h := newWritingHouse(t, "")
	knows := atLeast(t, 17)
	for _, c := range []struct {
		sql, tag string
		tells    []string
		before   []string // PostgreSQL 17
	}{
		{"merge into crm.member m using (values (1001, 'one'), (7001, 'new')) s (no, name) on m.member_no = s.no when matched then update set name = s.name when not matched then insert (member_no, name) values (s.no, s.name)", "MERGE 2",
			[]string{"read contributed crm.member: 1001", "update crm.member: 1001 7001"},
			[]string{"read any-row crm.member: ", "update any-row crm.member: "}},
		{"merge into crm.member m using crm.passport p on m.member_no = p.member_no and p.member_no < 1007 when matched then update set city = p.passport_no", "MERGE 2",
			[]string{"read crm.member,crm.passport: 1003 1006", "update crm.member,crm.passport: 1003 1006"},
			[]string{"read any-row crm.member,crm.passport: ", "update any-row crm.member,crm.passport: "}},
		{"merge into crm.passport p using (select 1009 as no) s on p.member_no = s.no when matched then delete", "MERGE 1",
			[]string{"delete crm.passport: 1009", "read contributed crm.passport: 1009"},
			[]string{"delete any-row crm.passport: ", "read any-row crm.passport: "}},
		{"merge into crm.member m using (select 1002 as no) s on m.member_no = s.no when matched then do nothing", "MERGE 0",
			[]string{"insert crm.member: ", "read contributed crm.member: 1002"},
			[]string{"insert any-row crm.member: ", "read any-row crm.member: "}},
	} {
		for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeExec} {
			if mode != pgx.QueryExecModeSimpleProtocol && !strings.Contains(c.sql, "p.member_no < 1007") {
				continue // once only
			}
			conn := h.connect("sato")
			before := len(h.wrote())
			tag, err := conn.Exec(context.Background(), c.sql, mode)
			got := slices.Clone(h.wrote()[before:])
			conn.Close(context.Background())
			slices.Sort(got)
			if !knows {
				c.tells = c.before
			}
			if err != nil || tag.String() != c.tag || !slices.Equal(got, c.tells) {
				t.Errorf("%v %s: %q %v tells\n  %s\nand not\n  %s", mode, c.sql, tag, err, strings.Join(got, "\n  "), strings.Join(c.tells, "\n  "))
			}
		}
	}
	refused := []string{"merge into crm.airport a using crm.member m on false when not matched then insert values (m.name, m.email)"}
	if knows {
		refused = append(refused, "merge into crm.member m using (select 1002 as no) s on m.member_no = s.no when matched then update set member_no = 5",
			"merge into crm.member m using crm.airport a on a.code = m.city when matched and exists (select from crm.passport p where p.passport_no = m.email) then delete")
	}
	for _, sql := range refused {
		if got := h.psql("sato", sql); !strings.Contains(got, "ERROR") || !strings.Contains(got, "HINT") {
			t.Errorf("%s: %s", sql, got)
		}
	}
}

// In a WITH a MERGE is told like other writes there: by what it returns.
func TestMergeInWith(t *testing.T) {
	if !atLeast(t, 17) {
		t.Skip("the server is older than MERGE … RETURNING")
	}
	h := newWritingHouse(t, "create table crm.note (at timestamptz default now(), what text)")
	const one = "with m as (merge into crm.member m using (values (1001::bigint, 'one'), (7001, 'new')) s (no, called) on m.member_no = s.no when matched then update set name = s.called when not matched then insert (member_no, name) values (s.no, s.called)"
	for _, c := range []struct {
		sql, rows, tag string
		tells          []string
	}{
		{one + ") select 'done'", "done", "SELECT 1", []string{"read contributed crm.member: 1001", "update crm.member: 1001 7001"}},
		{one + " returning merge_action(), s.called, m.member_no) select called, member_no from m order by called", "new,7001 one,1001", "SELECT 2", []string{"read crm.member: 1001 7001", "update crm.member: 1001 7001"}},
		{one + " returning m.name) select count(*) from m", "2", "SELECT 1", []string{"read contributed crm.member: 1001 7001", "update crm.member: 1001 7001"}},
		{"with d as (merge into crm.passport p using (select 1009::bigint as no) s on p.member_no = s.no when matched then delete returning p.passport_no, s.no) select * from d", "TK9,1009", "SELECT 1", []string{"delete crm.passport: 1009", "read crm.passport: 1009"}},
		{"with m as (merge into crm.member m using crm.passport p on m.member_no = p.member_no and p.member_no < 1007 when matched then update set city = p.passport_no returning p.passport_no, m.member_no) select passport_no from m order by 1", "TK3 TK6", "SELECT 2", []string{"read crm.member,crm.passport: 1003 1006", "update crm.member,crm.passport: 1003 1006"}},
		{"with d as (delete from crm.passport where member_no = 1012 returning member_no, passport_no), m as (merge into crm.member m using d on d.member_no = m.member_no when matched then update set city = d.passport_no) select 'moved'", "moved", "SELECT 1", []string{"delete crm.member,crm.passport: 1012", "read contributed crm.member,crm.passport: 1012", "update crm.member,crm.passport: 1012"}},
	} {
		for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeExec} {
			ctx := context.Background()
			conn := h.connect("sato")
			if _, err := conn.Exec(ctx, "begin"); err != nil {
				t.Fatal(err)
			}
			before := len(h.wrote())
			rows, err := conn.Query(ctx, c.sql, mode)
			var got []string
			if err == nil {
				for rows.Next() {
					values, _ := rows.Values()
					line := make([]string, len(values))
					for i, v := range values {
						line[i] = fmt.Sprint(v)
					}
					got = append(got, strings.Join(line, ","))
				}
				rows.Close()
				err = rows.Err()
			}
			if err != nil || strings.Join(got, " ") != c.rows || rows.CommandTag().String() != c.tag {
				t.Errorf("%v %s: %q %q %v", mode, c.sql, got, rows.CommandTag(), err)
			}
			tells := slices.Clone(h.wrote()[before:])
			for i, line := range tells {
				head, keys, _ := strings.Cut(line, ": ")
				list := strings.Fields(keys)
				slices.Sort(list)
				tells[i] = head + ": " + strings.Join(slices.Compact(list), " ")
			}
			if slices.Sort(tells); !slices.Equal(slices.Compact(tells), c.tells) {
				t.Errorf("%v %s tells\n  %s\nand not\n  %s", mode, c.sql, strings.Join(tells, "\n  "), strings.Join(c.tells, "\n  "))
			}
			if _, err := conn.Exec(ctx, "rollback"); err != nil {
				t.Fatal(err)
			}
			conn.Close(ctx)
		}
	}
	for _, sql := range []string{
		"with m as (merge into crm.member m using (select 1002 as no) s on m.member_no = s.no when matched then update set member_no = 5 returning 1 as one) select * from m",
		"with m as (merge into crm.note n using crm.member m on false when not matched then insert (what) values (m.email)) select 1",
		"with d as (delete from crm.passport where member_no = 1003 returning member_no) merge into crm.member m using d on d.member_no = m.member_no when matched then delete",
		"with m as (merge into crm.member m using crm.airport a on a.code = m.city when matched and exists (select from crm.passport p where p.passport_no = m.email) then delete) select 1",
	} {
		if got := h.psql("sato", sql); !strings.Contains(got, "ERROR") || !strings.Contains(got, "HINT") {
			t.Errorf("%s: %s", sql, got)
		}
	}
}

// merges are what writesOracle and its like try besides, where the server knows
// MERGE with RETURNING.
func merges(pick func(...string) string, no func() string) string {
	source := pick("(values ("+no()+"::bigint, 'x'), ("+no()+", 'y')) s (no, name)", "(select no, pan as name from w.card where no < "+no()+" and id in (select min(id) from w.card group by no)) s",
		"(select no, name from w.person where points > "+no()+") s")
	on := pick("t.no = s.no", "t.no = s.no and t.points < "+no(), "t.name = s.name")
	return "merge into w.person t using " + source + " on " + on +
		pick(" when matched then update set name = s.name || 'm'", " when matched and t.points > 5 then delete when matched then update set points = t.points + 1", " when matched then do nothing") +
		pick("", " when not matched and s.no > 30 then insert (no, name) values (s.no + 100, s.name)", " when not matched by source and t.no < "+no()+" then update set points = 0") +
		pick("", " returning t.no, merge_action()", " returning t.name")
}

// mergesInWith puts a MERGE of merges in a WITH.
func mergesInWith(merge string, n func(int) int) string {
	columns := "*"
	switch {
	case strings.HasSuffix(merge, "returning t.name"):
		columns = "name"
	case !strings.Contains(merge, " returning "):
		return "with m as (" + merge + ") select count(*) from w.word"
	}
	return "with m as (" + merge + ") " + []string{"select " + columns + " from m", "select count(*) from m", "select max(p.email) from w.person p where p.no in (select length(m::text) from m)"}[n(3)]
}
