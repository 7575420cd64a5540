package gate

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// An UPDATE that gives records to another customer names both, and is answered
// as it would be without the gate.
func TestUpdatesOfTheKeyNameBoth(t *testing.T) {
	h := newWritingHouse(t, "")
	ctx := context.Background()
	for _, c := range []struct {
		sql   string
		args  []any
		tag   string
		tells []string
	}{
		{"update crm.passport set member_no = $1, passport_no = $2 where member_no = $3", []any{1004, "TK3", 1003}, "UPDATE 1",
			[]string{"update crm.passport: 1004 1003"}},
		{"update crm.passport set member_no = $1, expires_on = $2 where passport_no = $3", []any{1003, "2030-01-01", "TK3"}, "UPDATE 1",
			[]string{"update crm.passport: 1003 1004", "read contributed crm.passport: 1003", "read contributed crm.passport: 1004"}},
		{"update crm.passport set member_no = member_no where passport_no in ($1, 'TK9')", []any{"TK6"}, "UPDATE 2",
			[]string{"update crm.passport: 1006 1009 1006 1009", "read contributed crm.passport: 1006 1009", "read contributed crm.passport: 1006 1009"}},
		{"update crm.passport set member_no = 1 where passport_no = $1", []any{"none"}, "UPDATE 0",
			[]string{"update crm.passport: ", "read contributed crm.passport: ", "read contributed crm.passport: "}},
		{"update crm.passport p set member_no = (select m.member_no from crm.member m where m.email = $1) where p.member_no = 1012", []any{"m11@example.jp"}, "UPDATE 1",
			[]string{"update crm.member,crm.passport: 1011 1012", "read contributed crm.member,crm.passport: 1011", "read contributed crm.member,crm.passport: 1012 1012 1011"}},
		{"update crm.passport p set member_no = m.member_no + 1 from crm.member m where m.member_no = p.member_no and m.name = $1", []any{"name15"}, "UPDATE 1",
			[]string{"update crm.member,crm.passport: 1016 1015", "read contributed crm.member,crm.passport: 1016 1015", "read contributed crm.member,crm.passport: 1015"}},
	} {
		conn := h.connect("sato")
		before := len(h.wrote())
		tag, err := conn.Exec(ctx, c.sql, append([]any{pgx.QueryExecModeExec}, c.args...)...)
		if err != nil || tag.String() != c.tag {
			t.Errorf("%s: %q, %v", c.sql, tag, err)
		}
		if got := h.wrote()[before:]; !slices.Equal(got, c.tells) {
			t.Errorf("%s tells\n  %s\nand not\n  %s", c.sql, strings.Join(got, "\n  "), strings.Join(c.tells, "\n  "))
		}
		conn.Close(ctx)
	}
	var no int64
	if err := h.connect("sato").QueryRow(ctx, "update crm.passport set member_no = 1019 where member_no = 1018 returning member_no").Scan(&no); err != nil || no != 1019 {
		t.Errorf("RETURNING gives %d, %v", no, err)
	}
}

// A record that somebody else gives to another customer while the UPDATE waits
// for it is named as it is then.
func TestARecordThatChangesHandsMeanwhile(t *testing.T) {
	h := newWritingHouse(t, "")
	ctx := context.Background()
	other, err := pgx.Connect(ctx, h.directDSN())
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close(ctx)
	run := func(sql string) {
		t.Helper()
		if _, err := other.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	run("begin")
	run("update crm.passport set member_no = 1005 where passport_no = 'TK3'")
	conn := h.connect("sato")
	done := make(chan error, 1)
	go func() {
		_, err := conn.Exec(ctx, "update crm.passport set member_no = 1007 where passport_no = 'TK3'", pgx.QueryExecModeExec)
		done <- err
	}()
	h.until("the UPDATE waits for the row", func() bool {
		return strings.TrimSpace(h.direct("select count(*) from pg_locks where not granted")) != "0"
	})
	run("commit")
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for _, a := range h.accounts() {
		for _, k := range a.keys {
			named[k] = true
		}
	}
	if !named["1005"] || !named["1007"] {
		t.Errorf("it was 1005's, and is 1007's; named are %v", named)
	}
}

func TestKeysThatChangeOtherwise(t *testing.T) {
	h := newWritingHouse(t, "")
	for sql, want := range map[string]string{
		"with x as (update crm.passport set member_no = 1 where passport_no = 'TK3' returning 1) select * from x":                                                   "whose it was",
		"update crm.passport set member_no = 1004 where expires_on < clock_timestamp()":                                                                             "whose it was",
		"insert into crm.member (member_no, email) values (1001, 'x') on conflict (member_no) do update set member_no = excluded.member_no + 1":                     "whose it was",
		"insert into crm.member (member_no, email) values (1001, 'x') on conflict (member_no) do update set member_no = excluded.member_no, email = excluded.email": "",
		"insert into crm.textual (who, note) values ('K-1', 'x') on conflict (who) do update set who = excluded.who, note = excluded.note":                          "whose it was",
		"update crm.textual set who = 'K-100', note = 'moved' where note like '%1' and who = 'K-1'":                                                                 "",
	} {
		got := h.psql("sato", sql)
		if want == "" && got != "" || want != "" && !strings.Contains(got, want) {
			t.Errorf("%s: %q", sql, got)
		}
	}
}
