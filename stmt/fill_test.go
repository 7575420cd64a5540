package stmt_test

import (
	"fmt"
	"strings"
	"testing"

	"sekisho/stmt"
)

func TestFillsOfTables(t *testing.T) {
	for sql, want := range map[string]string{
		"create temp table x as select member_no, name as n, upper(email) from air.member":                           "pg_temp.x made of member_no=key n=air.member.name upper=?",
		"create temporary table x (a, b) on commit drop as select c.*, 1 from air.card c":                            "pg_temp.x made of a=key b=air.card.name tier=air.card.tier ?column?=?",
		"select p.member_no, c.* into temp t from air.card c join air.passport p using (member_no) where c.tier = 1": "pg_temp.t made of member_no=key member_no=key name=air.card.name tier=air.card.tier",
		"create temp table x as select * from air.card natural join air.passport":                                    "pg_temp.x made of which columns it has cannot be told",
		"create table pg_temp.x as with y as (select member_no as k, name from air.member) select k, y.name from y":  "pg_temp.x made of k=key name=air.member.name",
		"create temp table x as select member_no from air.member union select referred_by from air.member":           "pg_temp.x made of member_no=air.member.member_no+air.member.referred_by",
		"create temp table x as select member_no from air.member union all select member_no from air.mile":           "pg_temp.x made of member_no=key",
		"insert into x (a, b) select name, member_no from air.member":                                                "x of a=air.member.name b=key",
		"insert into x select name from (select name, member_no from air.member) z":                                  "x of name=air.member.name",
		"create table x as select 1": "none", "create temp table if not exists x as select 1": "none", "insert into x values (1)": "none",
		"create temp table x as select 1 with no data": "none", "create temp table x as execute y": "none", "create materialized view x as select 1": "none",
	} {
		all, err := stmt.Analyse(sql)
		if err != nil {
			t.Fatal(sql, err)
		}
		got := "none"
		if f := all[0].Fill; f != nil {
			var b strings.Builder
			b.WriteString(f.Table.String())
			if f.Made {
				b.WriteString(" made")
				for _, text := range []string{f.Create, f.Insert} {
					if _, err := stmt.Analyse(text); err != nil {
						t.Errorf("%s: %q: %v", sql, text, err)
					}
				}
				if !strings.HasPrefix(f.Create, "CREATE TEMPORARY TABLE ") && !strings.HasPrefix(f.Create, "CREATE TABLE pg_temp.") || !strings.HasSuffix(f.Create, "WITH NO DATA") {
					t.Errorf("%s: makes by %q", sql, f.Create)
				}
			}
			b.WriteString(" of")
			gives, err := f.Gives(func(n stmt.Name) (stmt.Table, error) {
				t, err := airline(n)
				t.Full = n.String()
				return t, err
			})
			for _, g := range gives {
				of := "?"
				switch {
				case g.Key != "":
					of = "key"
				case !g.Computed:
					var from []string
					for _, c := range g.From {
						from = append(from, c[0]+"."+c[1])
					}
					of = strings.Join(from, "+")
				}
				fmt.Fprintf(&b, " %s=%s", g.Name, of)
			}
			if err != nil {
				b.WriteString(" " + err.Error())
			}
			got = b.String()
		}
		if got != want {
			t.Errorf("%s: %s, want %s", sql, got, want)
		}
	}
}
