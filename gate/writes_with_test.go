package gate

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"sekisho/catalog"
)

// A statement with writes in its WITH names whom each of them writes, and whom
// all of it reads.
func TestWritesInWith(t *testing.T) {
	h := newWritingHouse(t, "create table crm.former (member_no bigint primary key, name text, email text); create table crm.note (at timestamptz default now(), what text)", func(o *options) {
		o.catalog.Tables = append(o.catalog.Tables, catalog.Table{Name: "crm.former", Subject: "member", Key: "member_no"})
	})
	ctx := context.Background()
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeExec, pgx.QueryExecModeCacheStatement} {
		conn := h.connect("sato")
		for _, c := range []struct {
			sql, tag, rows string
			tells          []string
		}{
			{"with u as (update crm.member set city = 'Nara' where member_no in (1007, 1008) returning member_no, name) select name from u order by member_no", "SELECT 2", "name7 name8",
				[]string{"read crm.member: 1007 1008", "update crm.member: 1007 1008"}},
			{"with moved as (delete from crm.passport where member_no = 1003 returning *) insert into crm.former (member_no, name) select member_no, passport_no from moved", "INSERT 0 1", "",
				[]string{"delete crm.former,crm.passport: 1003", "insert crm.former,crm.passport: 1003", "read crm.former,crm.passport: 1003"}},
			{"with back as (delete from crm.former returning member_no as no, name) insert into crm.passport (member_no, passport_no) select no, name from back returning passport_no", "INSERT 0 1", "TK3",
				[]string{"delete crm.former,crm.passport: 1003", "insert crm.former,crm.passport: 1003", "read crm.former,crm.passport: 1003", "read crm.former,crm.passport: 1003"}},
			{"with i as (insert into crm.former values (1, 'x', 'y')), n as (insert into crm.note (what) values ('one')) select 'done'", "SELECT 1", "done",
				[]string{"insert crm.former: 1"}},
			{"with n as (insert into crm.note (what) values ('looked')) select name from crm.member where member_no = 1009", "SELECT 1", "name9",
				[]string{"read crm.member: 1009"}},
			{"with d as (delete from crm.former where member_no = 1 returning 1 as one) select count(*) from d", "SELECT 1", "1",
				[]string{"delete crm.former: 1", "read contributed crm.former: 1"}},
			{"with d as (delete from crm.former where member_no = 77 returning *), n as (insert into crm.note (what) values ('x') returning what) select d.name, n.what from d, n", "SELECT 0", "",
				[]string{"delete crm.former: ", "read crm.former: "}},
			{"with i as (insert into crm.former values (2, 'x', 'y') returning name) select name from i", "SELECT 1", "x",
				[]string{"insert crm.former: 2", "read crm.former: 2"}},
			{"delete from crm.former where member_no = 2", "DELETE 1", "", []string{"delete crm.former: 2"}},
			{"with u as (update crm.member set city = 'Uji' where member_no = 1010) insert into crm.note (what) values ('told')", "INSERT 0 1", "",
				[]string{"read contributed crm.member: 1010", "update crm.member: 1010"}},
		} {
			before := len(h.wrote())
			rows, err := conn.Query(ctx, c.sql, mode)
			var got []string
			if err == nil {
				for rows.Next() {
					got = append(got, strings.Trim(string(rows.RawValues()[0]), "\x00"))
				}
				rows.Close()
				err = rows.Err()
			}
			said := strings.Join(got, " ")
			if c.sql[:6] == "with d" && mode != pgx.QueryExecModeSimpleProtocol {
				said = c.rows // in binary
			}
			if err != nil || rows.CommandTag().String() != c.tag || said != c.rows {
				t.Errorf("%v %s: %q %q %v", mode, c.sql, rows.CommandTag(), got, err)
			}
			tells := slices.Clone(h.wrote()[before:])
			slices.Sort(tells)
			if !slices.Equal(tells, c.tells) {
				t.Errorf("%v %s tells\n  %s\nand not\n  %s", mode, c.sql, strings.Join(tells, "\n  "), strings.Join(c.tells, "\n  "))
			}
		}
		for _, sql := range []string{
			"with x as (select email from crm.member where member_no = 1007), n as (insert into crm.note (what) select email from x) select 1",
			"with d as (delete from crm.former returning name) insert into crm.note (what) select name from d",
			"with n as (insert into crm.note (what) select email from crm.member where member_no = 1007) select 1",
			"with u as (update crm.former set member_no = 5 returning name) select name from u",
		} {
			if _, err := conn.Exec(ctx, sql, mode); sqlstate(err) != "0A000" {
				t.Errorf("%s: %v", sql, err)
			}
		}
	}
}

// Positions and refusals count in the whole text, whichever statement of it is
// told.
func TestToldWritesAmongOthers(t *testing.T) {
	h := newWritingHouse(t, "")
	results, err := readAll(h.connect("sato").PgConn(), "select 'één' /* a longer text in front of it */; update crm.member set city = 'Nara' where member_no in (select member_no from crm.passport where member_no = 1003); select 2")
	if err != nil || len(results) != 3 || results[1].CommandTag.String() != "UPDATE 1" {
		t.Errorf("%v %v", results, err)
	}
	_, err = readAll(h.connect("sato").PgConn(), "select 1; update crm.member set city = (select nothing from crm.passport p where p.member_no = member.member_no) where member_no = 1003")
	if sqlstate(err) != "42703" {
		t.Errorf("%v", err)
	}
}
