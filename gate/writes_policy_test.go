package gate

import (
	"strings"
	"testing"
)

// behindMasks is a policy under which staff write everything, read contact
// masked, and travel documents not at all.
const behindMasks = `
@id("staff")
permit (principal in Role::"staff", action, resource);

@id("contact")
@mask("partial")
@reason_en("addresses are masked")
@reason_ja("連絡先はマスクされます")
forbid (principal, action == Action::"read", resource == Category::"contact");

@id("documents")
@reason_en("documents are not shown")
@reason_ja("証明書は表示されません")
@hint_en("Ask the counter.")
@hint_ja("窓口に依頼してください。")
forbid (principal, action == Action::"read", resource == Category::"travel_document");
`

// What may not be read may not be put where it may be read.
func TestWritesDoNotCarryWhatIsMasked(t *testing.T) {
	_, policy := withPolicy(t, behindMasks)
	h := newHouse(t, writing, withPeople(t, false), policy)
	h.asOwner("grant all on crm.person to staff; alter table crm.person add unique (mail)")
	for _, sql := range []string{
		"update crm.person set memo = mail where id = 1",
		"update crm.person set memo = passport where id = 1",
		"update crm.person set mail = substr(mail, 2) where id = 1",
		"update crm.person set (memo, tags) = (mail, tags) where id = 1",
		"update crm.person p set (memo, tags) = (select p.mail, p.tags) where id = 1",
		"update crm.person set memo = person::text where id = 1",
		"update crm.person p set memo = (p).mail where id = 1",
		"update crm.person set tags[length(mail)] = 'z' where id = 1",
		"update crm.person p set memo = m.email from crm.member m where p.id = 1 and m.member_no = 1042",
		"update crm.person p set memo = x.m from crm.person q, lateral (select q.mail as m) x where p.id = 1 and q.id = 2",
		"insert into crm.person as p (id) values (1) on conflict (id) do update set memo = p.mail",
		"insert into crm.person as p (id) values (1) on conflict (id) do update set memo = case when p.passport like 'TK%' then 'a' end",
		"update crm.person set memo = 'z' where id = 1 and mail like 'h%'",
		"update crm.person set mail = 'z' where id = 1 and mail like 'h%'",
		"update crm.person set memo = 'z' where id = 1 returning mail",
		"update crm.person set mail = 'z' where id = 1 returning *",
		"delete from crm.person where id = 1 and passport > 'T'",
		"update crm.person p set memo = 'z' from crm.member m where m.member_no = 1042 and m.email like 'm%' and p.id = 1",
		"insert into crm.person as p (id) values (1) on conflict (id) do update set memo = 'a' where p.mail like 'h%'",
		"insert into crm.person as p (id, mail) values (9, 'hanako@example.jp') on conflict (mail) do update set memo = p.memo returning id",
		"insert into crm.person as p (id, mail) values (9, 'hanako@example.jp') on conflict (mail) do nothing",
		"insert into crm.person as p (id, mail) values (9, 'hanako@example.jp') on conflict on constraint person_mail_key do update set memo = 'z'",
		"with w as (insert into crm.person as p (id, mail) values (9, 'hanako@example.jp') on conflict (mail) do update set memo = p.memo returning id) select * from w",
	} {
		if got := h.raw("sato").run("Q " + sql); !strings.Contains(got, "are masked") && !strings.Contains(got, "are not shown") {
			t.Errorf("%s:\n%s", sql, got)
		}
	}
	if out := h.direct("select mail, memo from crm.person where id = 1"); out != "hanako@example.jp|x\n" {
		t.Errorf("written: %q", out)
	}
	for _, sql := range []string{
		"update crm.person set mail = 'new@example.jp', memo = memo || 'y' where id = 1",
		"insert into crm.person (id, mail) values (1, 'b@example.jp') on conflict (id) do update set mail = excluded.mail",
		// As applications do that check a version: what they write may be what they
		// would not be shown.
		"update crm.person set mail = 'c@example.jp', passport = 'TK77' where id = 1 and memo = 'xy'",
		"update crm.person set mail = 'b@example.jp' where id = 1 and memo = 'xy' returning id, memo",
	} {
		if got := h.raw("sato").run("Q " + sql); strings.Contains(got, "ERROR") {
			t.Errorf("%s:\n%s", sql, got)
		}
	}
	if out := h.direct("select mail, memo from crm.person where id = 1"); out != "b@example.jp|xy\n" {
		t.Errorf("written: %q", out)
	}
}

// adding is a policy under which staff add addresses, and change none.
const adding = `
@id("staff")
permit (principal in Role::"staff", action, resource);

@id("addresses")
@reason_en("addresses are not changed")
@reason_ja("連絡先は変更できません")
@hint_en("Ask the counter.")
@hint_ja("窓口に依頼してください。")
forbid (principal, action == Action::"update", resource == Category::"contact");
`

// An INSERT that changes the row that is there is a change too, and of the
// columns that it then sets.
func TestUpsertsAreAskedAsChanges(t *testing.T) {
	_, policy := withPolicy(t, adding)
	h := newHouse(t, writing, policy)
	h.asOwner("grant all on crm.member to staff")
	for sql, refused := range map[string]bool{
		"insert into crm.member (member_no, email) values (1042, 'x') on conflict (member_no) do update set email = excluded.email":                          true,
		"insert into crm.member (member_no) values (1042) on conflict (member_no) do update set email = 'x'":                                                 true,
		"with w as (insert into crm.member (member_no) values (1042) on conflict (member_no) do update set email = 'x' returning member_no) select * from w": true,
		"insert into crm.member (member_no, name) values (1042, 'x') on conflict (member_no) do update set name = 'x'":                                       false,
		"insert into crm.member (member_no, email) values (9042, 'x') on conflict (member_no) do nothing":                                                    false,
	} {
		if got := h.raw("sato").run("Q " + sql); strings.Contains(got, "are not changed") != refused || strings.Contains(got, "SERROR") != refused {
			t.Errorf("%s:\n%s", sql, got)
		}
	}
	last := h.accounts()
	for _, a := range last {
		if a.columns != "crm.member.member_no,crm.member.name" && a.columns != "crm.member.email,crm.member.member_no" {
			t.Errorf("it is of %s", a.columns)
		}
	}
}
