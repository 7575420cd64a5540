package gate

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"sekisho"
)

// say is what the ledger says of some accesses, in short: the class, the
// tables, the columns and the customers, or how many there are. An access that
// is any-row as well has two.
func say(accounts []*account) (lines []string) {
	for _, a := range accounts {
		who := strings.Join(slices.Sorted(slices.Values(a.keys)), " ")
		switch {
		case a.class == sekisho.AnyRow || a.reach > 0:
			who = fmt.Sprintf("up to %d", a.reach)
		case len(a.keys) > 5:
			who = fmt.Sprintf("%d customers", len(a.keys))
		}
		lines = append(lines, fmt.Sprintf("%v %s: %s", a.class, a.columns, who))
	}
	return lines
}

// Each shape, what psql prints, and whom the ledger names.
func TestEveryShapeNamesItsCustomers(t *testing.T) {
	h := newHouse(t)
	for _, c := range []struct {
		sql  string
		want []string
	}{
		{"select count(*) from crm.member where member_no between 1003 and 1005", []string{"contributed crm.member.member_no: 1003 1004 1005"}},
		{"select city, count(*) from crm.member where member_no < 1004 group by city order by 1", []string{"contributed crm.member.city,crm.member.member_no: 1001 1002 1003"}},
		{"select count(*) from crm.member where member_no < 0", []string{"contributed crm.member.member_no: "}},
		{"select distinct city from crm.member where member_no in (1002, 1004)", []string{"exact crm.member.city: 1002 1004", "contributed crm.member.city,crm.member.member_no: "}},
		{"select name from crm.member m where member_no < 1010 and exists (select 1 from crm.passport p where p.member_no = m.member_no and p.member_no > 1005) order by 1",
			[]string{"exact crm.member.name: 1006 1009"}},
		{"select name from crm.member where member_no = 1001 union all select passport_no from crm.passport where member_no = 1003",
			[]string{"exact crm.member.name,crm.passport.passport_no: 1001 1003"}},
		{"with q as (select * from crm.member where member_no = 1007) select upper(name) from q", []string{"exact crm.member.name: 1007"}},
		{"select name, row_number() over (order by name) from crm.member where member_no in (1005, 1006)", []string{"exact crm.member.name: 1005 1006"}},
		{"select name, email from crm.everybody where name = 'name8'", []string{"exact crm.member.name: 1008"}},
		{"select name from crm.member order by member_no limit 1 offset 1 + 1", []string{"exact"}},
		{"select a.code from crm.airport a left join crm.member m on m.name = a.code || 'x' where m.member_no is null order by 1", nil},
	} {
		before := len(h.accounts())
		through, direct := h.psql("sato", c.sql), h.direct(c.sql)
		if through != direct {
			t.Errorf("%s\nthrough the gate: %q\ndirectly: %q", c.sql, through, direct)
		}
		h.quiet()
		t.Logf("%s\n%s", c.sql, strings.Join(say(h.accounts()[before:]), "\n"))
	}
}

// quiet waits until the ledger has taken what was noted without waiting.
func (h *house) quiet() {
	h.t.Helper()
	last := h.ledger.Last()
	h.until("the ledger is quiet", func() bool {
		was := last
		last = h.ledger.Last()
		return was == last
	})
}

var _ = bytes.Equal
var _ = context.Background
var _ = binary.BigEndian
var _ = errors.As
var _ = pgx.QueryExecModeExec
var _ pgconn.PgConn
