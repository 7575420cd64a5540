package gate

import (
	"context"
	"strings"
	"testing"

	"sekisho/catalog"
)

// Which element of a column is written tells of what says so: whose row that is is
// named, or the write refused.
func TestSubscriptsTellOfWhatTheyAreMadeOf(t *testing.T) {
	h := newWritingHouse(t, `
		create function crm.length_of(who bigint) returns int language sql stable as 'select length(m.name) from crm.member m where m.member_no = who';
		create table crm.own (id int primary key, a int[]);
		insert into crm.own values (1, '{}');
		create table crm.listed (member_no bigint primary key, a int[]);
		insert into crm.listed select i, '{}' from generate_series(1001, 1010) i;`, func(o *options) {
		o.catalog.Tables = append(o.catalog.Tables, catalog.Table{Name: "crm.listed", Subject: "member", Key: "member_no"})
	})
	const at = "a[(select length(m.name) from crm.member m where m.member_no = 1042)]"
	for _, sql := range []string{
		"update crm.listed set " + at + " = 5 where member_no = 1001",
		"update crm.listed set a[crm.length_of(1042)] = 5 where member_no = 1001",
		"update crm.listed l set a[length(m.name)] = 5 from crm.member m where m.member_no = 1042 and l.member_no = 1001",
		"update crm.own set " + at + " = 5",
		"insert into crm.listed (member_no, " + at + ") values (1101, 5)",
		"insert into crm.listed (member_no, " + at + ") select member_no, 5 from crm.member where member_no = 1102",
		"insert into crm.listed (member_no, a[crm.length_of(1042)]) select member_no, 5 from crm.member where member_no = 1103",
		"with w as (insert into crm.listed (member_no, " + at + ") select member_no, 5 from crm.member where member_no = 1104 returning member_no) select * from w",
		"insert into crm.listed (member_no) values (1001) on conflict (member_no) do update set " + at + " = 5",
		"insert into crm.own (id, " + at + ") values (2, 5)",
		"merge into crm.listed l using (values (1001)) v (n) on l.member_no = v.n when matched then update set " + at + " = 5",
		"merge into crm.listed l using crm.member m on l.member_no = m.member_no and m.member_no = 1105 when not matched then insert (member_no, " + at + ") values (m.member_no, 5)",
		"merge into crm.own o using (values (1)) v (n) on o.id = v.n when matched then update set " + at + " = 5",
	} {
		for _, mode := range bothWays {
			before := len(h.wrote())
			conn := h.connect("sato")
			_, err := conn.Exec(context.Background(), sql, mode)
			conn.Close(context.Background())
			if told := strings.Join(h.wrote()[before:], "\n"); err == nil && !strings.Contains(told, "1042") && !strings.Contains(told, "read any-row crm.listed,crm.member") && !strings.Contains(told, "read any-row crm.member,crm.listed") && !strings.Contains(told, "read any-row crm.member,crm.own") {
				t.Errorf("%s tells\n%s", sql, told)
			}
		}
	}
}
