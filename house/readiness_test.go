package house

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"sekisho"
	"sekisho/budget"
	"sekisho/catalog"
	"sekisho/console"
	"sekisho/gate"
)

// The day's report comes when the day has ended where the company is, once,
// however often the house is restarted and whatever the clock does at night.
func TestReadinessComesAtTheDaysEnd(t *testing.T) {
	for _, c := range []struct{ zone, now, next string }{
		{"Asia/Tokyo", "2026-03-31T14:59:59Z", "2026-03-31T15:01:00Z"},
		{"Asia/Tokyo", "2026-03-31T15:00:00Z", "2026-04-01T15:01:00Z"},
		{"Asia/Tokyo", "2026-03-31T15:00:59.999Z", "2026-04-01T15:01:00Z"}, // the timer was early
		{"Asia/Tokyo", "2026-03-31T15:01:00Z", "2026-04-01T15:01:00Z"},
		{"Asia/Tokyo", "2026-12-31T03:00:00Z", "2026-12-31T15:01:00Z"},
		{"Europe/Berlin", "2026-03-28T23:30:00Z", "2026-03-29T22:01:00Z"}, // a day of 23 hours
		{"Europe/Berlin", "2026-10-24T22:30:00Z", "2026-10-25T23:01:00Z"}, // and one of 25
	} {
		zone, err := time.LoadLocation(c.zone)
		must(t, err)
		now, err := time.Parse(time.RFC3339, c.now)
		must(t, err)
		if got := now.Add(untilDayEnds(now, zone)).UTC().Format(time.RFC3339); got != c.next {
			t.Errorf("%s at %s: %s, want %s", c.zone, c.now, got, c.next)
		}
	}
}

// Tables and columns with names in Japanese, in quotes or not, or called as a
// keyword is, are judged as others are; what a statement calls its columns may be
// anybody's name, and is not kept.
func TestReadinessOfNamesThatAreNotPlain(t *testing.T) {
	s := newSite(t)
	s.close()
	s.owner(`create table crm.会員 (会員番号 integer primary key, "氏名" text); create table crm."user" (id integer primary key, "E-Mail" text);
		insert into crm.会員 values (1, '佐藤 花子'), (2, '鈴木 太郎'); insert into crm."user" values (3, 'u3@example.jp');
		grant select on crm.会員, crm."user" to staff`)
	s.config.Catalog.Tables = append(s.config.Catalog.Tables,
		catalog.Table{Name: "crm.会員", Subject: "member", Key: "会員番号", Columns: map[string]string{"氏名": "identity"}},
		catalog.Table{Name: "crm.user", Subject: "member", Key: "id", Columns: map[string]string{"E-Mail": "contact"}})
	seen := s.config.Gate.Roles["staff"]
	seen.Mode = gate.Observe
	s.config.Gate.Roles["staff"] = seen
	s.open()
	c := s.connect("postgres://sato:open%20sesame@" + s.gate + "/crm?sslmode=disable&default_query_exec_mode=simple_protocol")
	s.ask(c, `select 氏名 from crm.会員 where 会員番号 = 1`)
	s.ask(c, `select "氏名" from crm."会員" where "会員番号" = 2`)
	s.ask(c, `select "E-Mail" from crm."user" where id = 3`)
	s.ask(c, `select "E-Mail" as "佐藤 花子" from crm."user" tablesample system (10)`)
	must(t, c.Close(t.Context()))
	must(t, s.house.Settle(t.Context()))
	report, err := Ready(t.Context(), s.config, "/", 0, sekisho.Time(math.MaxInt64), true)
	must(t, err)
	r := report.Roles[0]
	if r.Runs != 4 || r.Statements != 3 || r.Unsure != 1 || r.Keys != 2 || r.Compared != 2 {
		t.Errorf("%d runs of %d, cannot tell %d, keys %d, compared %d: %+v", r.Runs, r.Statements, r.Unsure, r.Keys, r.Compared, r)
	}
	space := s.house.Vault.Space("statement")
	for i := range space.Len() {
		if sql, _ := space.Key(uint32(i + 1)); strings.Contains(sql, "佐藤") {
			t.Errorf("what a statement calls its column is kept: %s", sql)
		}
	}
}

// What a role did while it was observed is judged as if it were enforced, from
// the ledger alone, and the plans with and without hidden keys are compared.
func TestReadiness(t *testing.T) {
	s := newSite(t)
	s.close()
	seen := s.config.Gate.Roles["staff"]
	seen.Mode = gate.Observe
	s.config.Gate.Roles["clean"], s.config.Gate.Roles["mixed"], s.config.Gate.Roles["idle"], s.config.Gate.Roles["clerk"] = seen, seen, seen, seen
	seen.Writes = true
	s.config.Gate.Roles["writer"] = seen
	sato := s.config.Gate.Principals[0]
	for _, role := range []string{"clean", "mixed", "clerk", "writer"} {
		s.config.Gate.Principals = append(s.config.Gate.Principals, gate.Principal{Name: role, Role: role, Verifier: sato.Verifier})
	}
	s.owner("grant update on crm.member to staff")
	s.open()
	run := func(who string, statements ...string) {
		t.Helper()
		c := s.connect("postgres://" + who + ":open%20sesame@" + s.gate + "/crm?sslmode=disable&default_query_exec_mode=simple_protocol")
		for _, sql := range statements {
			s.ask(c, sql)
		}
		must(t, c.Close(t.Context()))
	}
	run("clean", "select name from crm.member where member_no = 1", "select name from crm.member where member_no = 2", "select name from crm.member where member_no in (3, 4, 5)",
		"select code from crm.airport")
	run("mixed", "select name from crm.member where member_no = 1", "explain analyze create temporary table if not exists c as select name from crm.member", "explain analyze create temporary table if not exists c as select name from crm.member",
		`select name as "Herr Müller" from crm.member where member_no = 1`)
	for _, who := range []string{"clerk", "writer"} {
		run(who, "update crm.member set name = 'Ito' where member_no = 1")
	}
	run("sato", "select name from crm.member where member_no = 7")
	must(t, s.house.Settle(t.Context()))

	report, err := Ready(t.Context(), s.config, "/", 0, sekisho.Time(math.MaxInt64), true) // beside the running house
	must(t, err)
	var got []string
	by := map[string]int{}
	for i, r := range report.Roles {
		by[r.Role] = i
		got = append(got, fmt.Sprintf("%s %s %s: %d runs of %d, any-row %d, refused %d of %d, cannot tell %d, keys %d compared %d", r.Role, r.Mode, r.Verdict,
			r.Runs, r.Statements, r.AnyRow, r.StopRuns, len(r.Stops), r.Unsure, r.Keys, r.Compared))
	}
	if want := `clean observe ready: 3 runs of 2, any-row 3, refused 0 of 0, cannot tell 0, keys 2 compared 2
clerk observe not_ready: 1 runs of 1, any-row 1, refused 1 of 1, cannot tell 0, keys 0 compared 0
idle observe unseen: 0 runs of 0, any-row 0, refused 0 of 0, cannot tell 0, keys 0 compared 0
mixed observe not_ready: 4 runs of 3, any-row 4, refused 2 of 1, cannot tell 1, keys 1 compared 1
staff enforce enforced: 1 runs of 1, any-row 0, refused 0 of 0, cannot tell 0, keys 1 compared 1
writer observe ready: 1 runs of 1, any-row 1, refused 0 of 0, cannot tell 0, keys 0 compared 0`; strings.Join(got, "\n") != want {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), want)
	}
	if r := report.Roles[by["mixed"]]; len(r.Stops) == 0 || r.Stops[0].Reason != "explain" || r.Stops[0].Runs != 2 || r.Stops[0].Hint == "" || len(r.Tables) != 1 || r.Tables[0].Unsure != 1 {
		t.Errorf("what would be refused: %+v", r)
	}
	if r := report.Roles[by["clean"]]; r.Worst < 1 || r.Worst > 1.5 || r.NoPlans != "" {
		t.Errorf("the key of one row costs %v times as much (%s)", r.Worst, r.NoPlans)
	}
	later, err := Ready(t.Context(), s.config, "/", sekisho.At(s.now().AddDate(0, 0, 1)), sekisho.Time(math.MaxInt64), false)
	must(t, err)
	if later.First != "" || later.Roles[0].Verdict != "unseen" {
		t.Errorf("nothing was done then: %+v", later)
	}

	must(t, s.house.TellReadiness(t.Context()))
	day, err := LastDay(s.config.Data)
	must(t, err)
	kept := map[string]console.ObservedRole{}
	for _, r := range day.Roles {
		kept[r.Role] = r
	}
	if m := kept["mixed"]; day.Until == 0 || m.Verdict != "not_ready" || m.Refused != 2 || m.Runs != 4 || kept["clean"].Verdict != "ready" || kept["idle"].Verdict != "unseen" || kept["staff"].Role != "" {
		t.Errorf("the day's report: %+v", day)
	}
	if shown := s.house.observedDay(); !reflect.DeepEqual(shown, day) {
		t.Errorf("the console shows %+v, want %+v", shown, day)
	}
	must(t, os.WriteFile(dayFile(s.config.Data), []byte("{"), 0o600))
	if _, err := LastDay(s.config.Data); err == nil || !strings.Contains(err.Error(), "written anew a minute after midnight") {
		t.Errorf("a report that is cut off: %v", err)
	}
	if said := s.log.String(); !strings.Contains(said, "role=mixed verdict=not_ready") || strings.Contains(said, "role=staff verdict") || strings.Contains(said, "member_no") {
		t.Errorf("the house said:\n%s", said)
	}
}

// While a role is observed the policy and the budgets are asked as if they held,
// and the report says what they would have done, with what hidden keys cost.
func TestReadinessKnowsThePolicyAndTheBudgets(t *testing.T) {
	s := newSite(t)
	s.close()
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "own.cedar"), []byte(`
@id("all")
permit (principal, action, resource);

@id("no-writes")
@reason_en("nobody changes members")
@reason_ja("会員情報は変更できません")
@hint_en("Leave them.")
@hint_ja("変更しないでください。")
forbid (principal, action == Action::"update", resource);

@id("two-rows")
@rows("2")
@reason_en("two rows are enough")
@reason_ja("2 行までです")
@hint_en("Search for one.")
@hint_ja("絞り込んでください。")
forbid (principal, action == Action::"read", resource == Category::"identity");
`), 0o600))
	s.config.Gate.Policy.Dir = dir
	role := s.config.Gate.Roles["staff"]
	role.Mode, role.Writes = gate.Observe, true
	s.config.Gate.Roles["staff"] = role
	s.config.Budgets = budget.Config{{Name: "day", Customers: 3, Within: budget.Span(24 * time.Hour)}}
	s.owner("grant update on crm.member to staff")
	s.open()
	c := s.through()
	for range 2 {
		s.ask(c, "select member_no, name from crm.member where member_no <= 5")
	}
	s.ask(c, "update crm.member set name = 'Ito' where member_no = 1")
	must(t, c.Close(t.Context()))
	must(t, s.house.Settle(t.Context()))
	report, err := Ready(t.Context(), s.config, "/", 0, sekisho.Time(math.MaxInt64), false)
	must(t, err)
	r := report.Roles[0]
	var got []string
	for _, p := range r.Policy {
		got = append(got, fmt.Sprintf("%s %v: %d of %d", p.Decision, p.Rules, p.Runs, p.Statements))
	}
	for _, b := range r.Budgets {
		got = append(got, fmt.Sprintf("%s ended for %d, of %d", b.Budget, b.Holders, b.Limit))
	}
	want := []string{"refuse [no-writes]: 1 of 1", "cap 2 rows [all two-rows]: 2 of 1", "day ended for 1, of 3"}
	if !slices.Equal(got, want) || r.Verdict != "not_ready" || r.StopRuns != 0 {
		t.Errorf("%s: %q, want %q", r.Verdict, got, want)
	}
	must(t, s.house.TellReadiness(t.Context()))
	if said := s.log.String(); !strings.Contains(said, "policy_would_refuse=1 budgets_would_end=1 hidden_keys=") || strings.Contains(said, "plans_compared=0") {
		t.Errorf("the house said:\n%s", said)
	}
}
