package gate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"sekisho"
	"sekisho/catalog"
)

// writing lets the staff write, and gives them something to write to.
func writing(o *options) {
	r := o.gate.Roles["staff"]
	r.Writes = true
	o.gate.Roles["staff"] = r
}

// newWritingHouse is a house whose staff may write to all of its tables. more
// is run by the database's owner before.
func newWritingHouse(t testing.TB, more string, opts ...option) *house {
	t.Helper()
	prepareWith := func(o *options) {
		_, err := cluster.SQL(context.Background(), o.gate.Upstream.Database, more+";grant usage on schema crm to staff; grant all on all tables in schema crm to staff; grant usage on all sequences in schema crm to staff")
		if err != nil {
			t.Fatal(err)
		}
	}
	return newHouse(t, append([]option{writing, prepareWith}, opts...)...)
}

// wrote are the accesses of a verb, as "verb table: keys".
func (h *house) wrote() (all []string) {
	h.t.Helper()
	for _, a := range h.accounts() {
		class := ""
		if a.class != sekisho.Exact {
			class = " " + a.class.String()
		}
		if a.open {
			class += " open"
		}
		all = append(all, fmt.Sprintf("%s%s %s: %s", a.verb, class, a.tables, strings.Join(a.keys, " ")))
	}
	return all
}

func (h *house) tellsOf(want ...string) {
	h.t.Helper()
	if got := h.wrote(); !slices.Equal(got, want) {
		h.t.Errorf("the ledger says\n  %s\nand not\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

func TestWritesNameTheirCustomers(t *testing.T) {
	h := newWritingHouse(t, "")
	conn := h.connect("sato")
	ctx := context.Background()
	for i, c := range []struct{ sql, tag string }{
		{"insert into crm.member values (5001, 'new', 'new@example.jp', 'Kobe', '2020-01-01')", "INSERT 0 1"},
		{"insert into crm.member (member_no, name) values (5002, 'a'), (5003, 'b');", "INSERT 0 2"},
		{"update crm.member set city = 'Nara' where member_no = 1007 -- moved", "UPDATE 1"},
		{"update crm.member m set city = 'Nara' where member_no between 1008 and 1010", "UPDATE 3"},
		{"delete from crm.passport where member_no = 1003", "DELETE 1"},
		{"delete from crm.member where member_no = 1001", "DELETE 1"},
		{"update crm.member set city = 'Nara' where member_no = 1", "UPDATE 0"},
	} {
		for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeExec, pgx.QueryExecModeCacheStatement} {
			if (i < 2 || i == 4 || i == 5) && mode != pgx.QueryExecModeSimpleProtocol {
				continue // once only
			}
			tag, err := conn.Exec(ctx, c.sql, mode)
			if err != nil || tag.String() != c.tag {
				t.Errorf("%s: %q, %v", c.sql, tag, err)
			}
		}
	}
	if out, want := h.direct("select count(*), count(*) filter (where city = 'Nara') from crm.member"), "1002|4\n"; out != want {
		t.Errorf("the database holds %q, want %q", out, want)
	}
	h.stop()
	h.tellsOf(
		"insert crm.member: 5001",
		"insert crm.member: 5002 5003",
		"update crm.member: 1007", "update crm.member: 1007", "update crm.member: 1007",
		"update crm.member: 1008 1009 1010", "update crm.member: 1008 1009 1010", "update crm.member: 1008 1009 1010",
		"delete crm.passport: 1003",
		"delete crm.member: 1001",
		"update crm.member: ", "update crm.member: ", "update crm.member: ",
	)
}

func TestReturningIsTheClientsOwn(t *testing.T) {
	h := newWritingHouse(t, "")
	conn := h.connect("sato")
	ctx := context.Background()
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeExec, pgx.QueryExecModeCacheStatement, pgx.QueryExecModeDescribeExec} {
		var name, city string
		err := conn.QueryRow(ctx, "update crm.member set city = 'Nara' where member_no = 1007 returning name, city", mode).Scan(&name, &city)
		if err != nil || name != "name7" || city != "Nara" {
			t.Errorf("%v: %q %q %v", mode, name, city, err)
		}
	}
	h.stop()
	got := h.accounts()
	if len(got) != 8 {
		t.Fatalf("%v", h.wrote())
	}
	for i := 0; i < len(got); i += 2 {
		if w := got[i]; w.verb != sekisho.Update || w.columns != "crm.member.city" || !slices.Equal(w.keys, []string{"1007"}) {
			t.Errorf("the write: %+v", *w)
		}
		if r := got[i+1]; r.verb != sekisho.Read || r.class != sekisho.Exact || r.columns != "crm.member.city,crm.member.name" || !slices.Equal(r.keys, []string{"1007"}) {
			t.Errorf("what it shows: %+v", *r)
		}
	}
}

func TestARoleThatMayNotWrite(t *testing.T) {
	h := newHouse(t)
	conn := h.connect("sato")
	_, err := conn.Exec(context.Background(), "update crm.member set city = 'Nara' where member_no = 1007")
	var pe *pgconn.PgError
	if !errors.As(err, &pe) || pe.Code != "0A000" || pe.Hint == "" {
		t.Errorf("%v", err)
	}
	h.stop()
	if got := h.refusals(); !slices.Equal(got, []string{"write"}) {
		t.Errorf("refusals: %v", got)
	}
}

// What a write tells besides is recorded besides.
func TestWhatAWriteTells(t *testing.T) {
	h := newWritingHouse(t, "alter table crm.member add unique (email); create table crm.office (code text primary key); create table crm.desk (office text references crm.office on delete cascade, member_no bigint); insert into crm.office values ('a'), ('b'); insert into crm.desk values ('a', 1001)", func(o *options) {
		o.catalog.Tables = append(o.catalog.Tables, catalog.Table{Name: "crm.desk", Subject: "member", Key: "member_no"})
	})
	conn := h.connect("sato")
	ctx := context.Background()
	for _, c := range []struct {
		sql, code string
		tells     []string
	}{
		{"update crm.member set city = 'Nara' where member_no = 1007", "", []string{"update crm.member: 1007"}},
		{"update crm.member set city = 'Nara' where email = 'm8@example.jp'", "", []string{"update crm.member: 1008", "read contributed crm.member: 1008"}},
		{"update crm.member set city = 'Nara' where email = 'nobody'", "", []string{"update crm.member: ", "read contributed crm.member: "}},
		{"update crm.member m set city = 'Nara' from crm.passport p where p.member_no = m.member_no and m.member_no = 1003", "", []string{"update crm.member,crm.passport: 1003", "read contributed crm.member,crm.passport: 1003 1003"}},
		{"insert into crm.member (member_no, email) values (6001, 'm9@example.jp')", "23505", []string{"read any-row crm.member: "}},
		{"insert into crm.member (member_no, email) values (6001, 'm9@example.jp') on conflict do nothing", "", []string{"insert crm.member: ", "read any-row crm.member: "}},
		{"insert into crm.member (member_no, email) values (1001, 'new') on conflict (member_no) do nothing", "", []string{"insert crm.member: "}},
		{"insert into crm.member (member_no, email) values (6002, 'm9@example.jp') on conflict (email) do update set city = 'Nara'", "", []string{"insert crm.member: 1009"}},
		{"delete from crm.office where code = 'a'", "", []string{"delete any-row crm.desk: "}},
		{"truncate crm.desk", "", []string{"delete any-row crm.desk: "}},
		{"update crm.member set member_no = 1 where member_no = 1010", "", []string{"update crm.member: 1 1010"}},
		{"insert into crm.airport select member_no::text, email from crm.member", "0A000", nil},
	} {
		before := len(h.wrote())
		if _, err := conn.Exec(ctx, c.sql); err != nil && sqlstate(err) != c.code || err == nil && c.code != "" {
			t.Errorf("%s: %v", c.sql, err)
		}
		got, want := slices.Clone(h.wrote()[before:]), slices.Clone(c.tells)
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s tells\n  %s\nand not\n  %s", c.sql, strings.Join(got, "\n  "), strings.Join(want, "\n  "))
		}
	}
}

// Drivers ask for one row of what has none (JDBC), or for some of many.
func TestExecutesWithALimit(t *testing.T) {
	h := newWritingHouse(t, "")
	conn := h.connect("sato").PgConn()
	ctx := context.Background()
	if _, err := conn.Prepare(ctx, "quiet", "update crm.member set city = 'Nara' where member_no between 1001 and 1005", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Prepare(ctx, "loud", "update crm.member set city = 'Kobe' where member_no between 1001 and 1005 returning name", nil); err != nil {
		t.Fatal(err)
	}
	hijacked, err := conn.Hijack()
	if err != nil {
		t.Fatal(err)
	}
	defer hijacked.Conn.Close()
	front := hijacked.Frontend
	ask := func(name string) (got []string) {
		front.Send(&pgproto3.Bind{PreparedStatement: name})
		front.Send(&pgproto3.Execute{MaxRows: 1})
		front.Send(&pgproto3.Sync{})
		if err := front.Flush(); err != nil {
			t.Fatal(err)
		}
		for {
			m, err := front.Receive()
			if err != nil {
				t.Fatal(err)
			}
			switch m := m.(type) {
			case *pgproto3.CommandComplete:
				got = append(got, string(m.CommandTag))
			case *pgproto3.ErrorResponse:
				got = append(got, m.Code)
			case *pgproto3.ReadyForQuery:
				return append(got, string(m.TxStatus))
			case *pgproto3.BindComplete:
			default:
				got = append(got, fmt.Sprintf("%T", m))
			}
		}
	}
	if got := ask("quiet"); !slices.Equal(got, []string{"UPDATE 5", "I"}) {
		t.Errorf("without RETURNING: %v", got)
	}
	if got := ask("loud"); !slices.Equal(got, []string{"0A000", "I"}) {
		t.Errorf("with RETURNING: %v", got)
	}
	if out := h.direct("select count(*) from crm.member where city = 'Kobe'"); out != "0\n" {
		t.Errorf("%s records were changed", out)
	}
	h.tellsOf("update crm.member: 1001 1002 1003 1004 1005")
}
