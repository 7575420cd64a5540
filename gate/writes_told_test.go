package gate

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// A write that reads protected tables elsewhere than in a join names whom it
// reads, too.
func TestWhomAWriteReads(t *testing.T) {
	h := newWritingHouse(t, "")
	ctx := context.Background()
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeExec, pgx.QueryExecModeCacheStatement} {
		conn := h.connect("sato")
		for _, c := range []struct {
			sql, tag string
			tells    []string
		}{
			{"insert into crm.member (member_no, name, city) select member_no + 7000, passport_no, 'told' from crm.passport where member_no between 1003 and 1006", "INSERT 0 2",
				[]string{"insert crm.member,crm.passport: 8003 8006", "read crm.member,crm.passport: 1003 1006"}},
			{"update crm.member set city = 'Nara' where member_no in (select member_no from crm.passport where member_no in (1003, 1004))", "UPDATE 1",
				[]string{"read contributed crm.member,crm.passport: 1003", "update crm.member,crm.passport: 1003"}},
			{"update crm.member m set city = (select passport_no from crm.passport p where p.member_no = m.member_no) where member_no = 1003", "UPDATE 1",
				[]string{"read crm.member,crm.passport: 1003", "update crm.member,crm.passport: 1003"}},
			{"delete from crm.member where member_no > 7000 and not exists (select from crm.passport p where p.passport_no = 'none' and p.member_no = 1003)", "DELETE 2",
				[]string{"delete crm.member,crm.passport: 8003 8006", "read contributed crm.member,crm.passport: 8003 8006"}},
			{"with x as (select member_no from crm.member where email like 'm7@%') update crm.member m set city = 'Uji' from x where x.member_no = m.member_no -- the seventh", "UPDATE 1",
				[]string{"read contributed crm.member: 1007", "update crm.member: 1007"}},
			{"insert into crm.member (member_no, name) values (9001, (select name from crm.member where member_no = 1006)) returning member_no", "INSERT 0 1",
				[]string{"insert crm.member: 9001", "read contributed crm.member: 1006", "read crm.member: 9001"}},
			{"delete from crm.member where member_no = 9001", "DELETE 1", []string{"delete crm.member: 9001"}},
			{"update crm.member set city = 'Uji' where member_no = 1002 and not exists (select from crm.member where email = 'm9@example.jp')", "UPDATE 0",
				[]string{"read contributed crm.member: 1009", "update crm.member: "}},
		} {
			before := len(h.wrote())
			tag, err := conn.Exec(ctx, c.sql, mode)
			if err != nil || tag.String() != c.tag {
				t.Errorf("%v %s: %q %v", mode, c.sql, tag, err)
			}
			got := slices.Clone(h.wrote()[before:])
			slices.Sort(got)
			if !slices.Equal(got, c.tells) {
				t.Errorf("%s tells\n  %s\nand not\n  %s", c.sql, strings.Join(got, "\n  "), strings.Join(c.tells, "\n  "))
			}
		}
	}
}

// A sub-select of another column of the row to be changed would be asked again,
// if somebody else changes that row meanwhile: its names would be of before.
func TestASubSelectThatMayBeAskedAgain(t *testing.T) {
	h := newWritingHouse(t, "")
	conn := h.connect("sato")
	for _, sql := range []string{
		"update crm.member set city = (select p.passport_no from crm.passport p where p.passport_no = email) where member_no = 1007",
		"update crm.member m set city = (select p.passport_no from crm.passport p where p.passport_no = m.email) where member_no = 1007",
		"delete from crm.member m where exists (select from crm.passport p where p.passport_no = m.city)",
		"update crm.member m set city = 'x' where exists (select from crm.passport p where p is not distinct from m)",
	} {
		_, err := conn.Exec(context.Background(), sql)
		if sqlstate(err) != "0A000" || !strings.Contains(fmt.Sprint(err), "join its table instead") {
			t.Errorf("%s: %v", sql, err)
		}
	}
}
