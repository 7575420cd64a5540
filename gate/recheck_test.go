package gate

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// At READ COMMITTED a write that waited for a row takes it as somebody else has
// left it, and makes its values and answers again of that, with the functions and
// sub-selects that it calls. Whom they read then is named, also where it is the
// key that has changed meanwhile; where that cannot be, the write is refused.
func TestRowsThatAreReadAgain(t *testing.T) {
	h := newWritingHouse(t, inSQL)
	ctx := context.Background()
	const rekeyed, changed = "update crm.passport set member_no = 1005 where passport_no = 'TK3'", "update crm.passport set passport_no = 'name50' where passport_no = 'TK3'"
	for _, c := range []struct {
		meanwhile, sql string
		rows           string   // of the answer
		reads          []string // for what the write leaves and answers; none: it is refused
	}{
		{"update crm.passport set expires_on = null where member_no = 1003", "update crm.passport p set passport_no = crm.called(p.member_no) where p.passport_no = 'TK3' returning passport_no", "name3", []string{"1003"}},
		{rekeyed, "update crm.passport p set passport_no = crm.called(p.member_no) where p.passport_no = 'TK3' returning passport_no", "name5", []string{"1003", "1005"}},
		{rekeyed, "update crm.passport p set passport_no = (select m.name from crm.member m where m.member_no = p.member_no) where p.passport_no = 'TK3' returning passport_no", "name5", []string{"1003", "1005"}},
		{rekeyed, "update crm.passport set passport_no = crm.called(member_no) where passport_no = 'TK3' and crm.called(member_no) > 'a' returning crm.called(member_no)", "name5", []string{"1003", "1005"}},
		{rekeyed, "delete from crm.passport p where p.passport_no = 'TK3' returning crm.called(p.member_no)", "name5", []string{"1003", "1005"}},
		{rekeyed, "with u as (update crm.passport p set passport_no = crm.called(p.member_no) where p.passport_no = 'TK3' returning p.passport_no) select * from u", "name5", []string{"1003", "1005"}},
		{rekeyed, "delete from crm.passport p where p.passport_no = 'TK3' returning p.member_no + 1 in (select m.member_no from crm.member m where m.member_no < 1010)", "t", []string{"1003", "1005", "1006"}},
		{rekeyed, "delete from crm.passport p where p.passport_no = 'TK3' returning crm.called(1006)", "name6", []string{"1003", "1005", "1006"}},
		{changed, "delete from crm.passport p where p.member_no = 1003 returning p.passport_no in (select m.name from crm.member m)", "t", []string{"1003", "1050"}},
		{changed, "update crm.passport p set expires_on = null where p.member_no = 1003 and (p.passport_no = 'name50' and crm.called(1050) > 'a' or p.expires_on is not null) returning passport_no", "name50", []string{"1003", "1050"}},
		{changed, "update crm.passport p set expires_on = case when p.passport_no = 'name50' and crm.called(1050) > 'a' then null else p.expires_on end where p.member_no = 1003 returning expires_on is null", "t", []string{"1003", "1050"}},

		{rekeyed, "update crm.passport p set passport_no = crm.called(p.member_no + 1) where p.passport_no = 'TK3'", "", nil},
		{rekeyed, "update crm.passport p set passport_no = (select m.name from crm.member m where m.member_no = p.member_no + 1) where p.passport_no = 'TK3'", "", nil},
		{rekeyed, "update crm.passport p set passport_no = 'x' where p.passport_no = 'TK3' returning crm.called(p.member_no + 1)", "", nil},
		{rekeyed, "delete from crm.passport p where p.passport_no = 'TK3' returning (select max(m.name) from crm.member m where m.member_no - 1 = p.member_no)", "", nil},
		{rekeyed, "delete from crm.passport p where p.passport_no = 'TK3' and crm.called(p.member_no + 1) < 'z'", "", nil},
		{rekeyed, "with u as (update crm.passport p set passport_no = crm.called(p.member_no + 1) where p.passport_no = 'TK3' returning p.passport_no) select * from u", "", nil},
		{rekeyed, "delete from crm.passport p where p.passport_no = 'TK3' returning (select m.name from crm.member m where m.member_no = p.member_no and exists (select from crm.member n where n.member_no = m.member_no + 1))", "", nil},
		{rekeyed, "delete from crm.passport p where p.passport_no = 'TK3' returning (select max(n.name) from crm.member m left join crm.member n on n.joined > m.joined where m.member_no = p.member_no)", "", nil},
		{rekeyed, "delete from crm.passport p where p.passport_no = 'TK3' returning (select max(m.name) from crm.member m where m.member_no = p.member_no or m.city = 'Tokyo')", "", nil},
		{rekeyed, "delete from crm.passport p where p.passport_no = 'TK3' returning (select max(p.name) from (select p.member_no + 1) p (member_no), crm.member m where m.member_no = p.member_no)", "", nil},
		{changed, "delete from crm.passport p where p.member_no = 1003 returning (select max(m.name) from crm.member m, generate_series(1, 2) where m.name = passport_no)", "", nil},
	} {
		for _, level := range []string{"read committed", "repeatable read"} {
			other, err := pgx.Connect(ctx, h.directDSN())
			if err != nil {
				t.Fatal(err)
			}
			run := func(sql string) {
				t.Helper()
				if _, err := other.Exec(ctx, sql); err != nil {
					t.Fatal(err)
				}
			}
			run("begin")
			run(c.meanwhile)
			before := len(h.accounts())
			conn := h.connect("sato")
			if _, err := conn.Exec(ctx, "begin isolation level "+level); err != nil {
				t.Fatal(err)
			}
			done := make(chan error, 1)
			got := ""
			go func() {
				all, err := conn.PgConn().Exec(ctx, c.sql).ReadAll()
				for _, r := range all {
					for _, row := range r.Rows {
						got += string(row[0])
					}
				}
				done <- err
			}()
			h.until("the write waits for the row, or is answered", func() bool {
				return strings.TrimSpace(h.direct("select count(*) from pg_locks where not granted")) != "0" || len(done) > 0
			})
			run("commit")
			err = <-done
			named := map[string]bool{}
			for _, a := range h.accounts()[before:] {
				for _, k := range a.keys {
					named[k] = true
				}
			}
			var refused *pgconn.PgError
			errors.As(err, &refused)
			switch {
			case len(c.reads) == 0:
				if refused == nil || refused.Code != "0A000" {
					t.Errorf("%s, %s: %q, %v", level, c.sql, got, err)
				}
			case level == "repeatable read":
				if refused == nil || refused.Code != "40001" {
					t.Errorf("%s, %s: %q, %v", level, c.sql, got, err)
				}
			case err != nil || got != c.rows:
				t.Errorf("%s: %q, %v", c.sql, got, err)
			default:
				for _, k := range c.reads {
					if !named[k] {
						t.Errorf("%s: %s is read, and named are %v", c.sql, k, slices.Sorted(maps.Keys(named)))
					}
				}
			}
			if _, err := conn.Exec(ctx, "rollback"); err != nil {
				t.Fatal(err)
			}
			conn.Close(ctx)
			run("delete from crm.passport where member_no in (1003, 1005); insert into crm.passport values (1003, 'TK3', '2020-01-04')")
			other.Close(ctx)
		}
	}
}
