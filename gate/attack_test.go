package gate

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"sekisho"
	"sekisho/catalog"
)

// What somebody with a login and the protocol at hand tries, to read of a
// customer whom the ledger does not name.

// asOwner runs SQL as the database's owner, behind the gate's back.
func (h *house) asOwner(sql string) {
	h.t.Helper()
	if _, err := cluster.SQL(context.Background(), h.dbname, sql); err != nil {
		h.t.Fatal(err)
	}
}

// until waits for the gate to see what changed behind its back.
func (h *house) until(what string, ok func() bool) {
	h.t.Helper()
	for end := time.Now().Add(2 * time.Minute); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			h.t.Fatalf("still not: %s", what)
		}
	}
}

// told is what the ledger says of what has been released so far: whom exactly,
// and how often "any row".
func (h *house) told() (keys []string, anyRow int) {
	h.t.Helper()
	for _, a := range h.accounts() {
		keys = append(keys, a.keys...)
		if a.class == sekisho.AnyRow {
			anyRow++
		}
	}
	return keys, anyRow
}

var address = regexp.MustCompile(`m(\d+)@example\.jp`)

// mustBeTold fails where an e-mail address was read of a member whom the ledger
// does not name.
func (h *house) mustBeTold(name, read string) {
	h.t.Helper()
	keys, anyRow := h.told()
	for _, m := range address.FindAllStringSubmatch(read, -1) {
		n := 0
		fmt.Sscan(m[1], &n)
		if anyRow == 0 && !slices.Contains(keys, fmt.Sprint(1000+n)) {
			h.t.Errorf("%s: %s was read, and the ledger names %v:\n%.2000s", name, m[0], keys, read)
			return
		}
	}
	if strings.Contains(read, "__sekisho") {
		h.t.Errorf("%s: a hidden key came out:\n%.2000s", name, read)
	}
}

// large is a column whose rows do not fit into the gate's buffer.
const large = "email||repeat('x',400000)"

func TestNamesThatChangeHandsLeakNothing(t *testing.T) {
	h := newHouse(t)
	secret := "select email from crm.member where member_no = 1042"
	unknown := "select email, crm._airport('{}') from crm.member where member_no < 1010"
	for _, c := range []struct {
		name    string
		scripts []string
		want    string // what must stand in the last answer
	}{
		{"EXECUTE of a name that a Parse took over", []string{"Q prepare x as select 1\nQ deallocate x\nP x " + secret + "\nP \"\" execute x\nB \"\" \"\" - -\nE \"\" 0"}, "does not pass EXECUTE"},
		{"EXECUTE that was parsed before the Parse took over", []string{"Q prepare x as select 1\nP e execute x\nS\nQ deallocate x\nP x " + secret + "\nB \"\" e - -\nE \"\" 0"}, "C0A000"},
		{"FETCH from a portal in a cursor's place", []string{"Q begin\nQ declare c cursor for select 1\nQ close c\nP x " + secret + "\nB c x - -\nP \"\" fetch all from c\nB \"\" \"\" - -\nE \"\" 0\nS\nQ commit"}, "does not know this cursor"},
		{"a refused text under the unnamed statement", []string{"P \"\" select 1\nS\nP \"\" " + unknown + "\nS\nB \"\" \"\" - -\nE \"\" 0\nS"}, "C26000"},
		{"a refused text under a name", []string{"P s1 " + unknown + "\nS\nB \"\" s1 - -\nE \"\" 0\nS"}, "C26000"},
		{"a refused text under a name, later", []string{"P s1 " + unknown + "\nS", "B \"\" s1 - -\nE \"\" 0\nS"}, "C26000"},
		{"a refused text with large rows", []string{"P s1 " + strings.Replace(unknown, "email", large, 1) + "\nS\nB \"\" s1 - -\nE \"\" 0\nS"}, "C26000"},
		{"a refused text that fails on a value", []string{"P s1 select email::int, crm._airport('{}') from crm.member where member_no = 1042\nS", "B \"\" s1 - -\nE \"\" 0\nS"}, "C26000"},
		{"a Close that the server skipped, and an error", []string{"P s1 select email::int from crm.member where member_no = 1042\nS", "P \"\" select 1 from\nC S s1\nS\nB \"\" s1 - -\nE \"\" 0\nS"}, "withheld by sekisho"},
		{"a Close and a Parse that the server skipped", []string{"P s1 select " + large + " from crm.member where member_no between 1042 and 1043\nS", "P \"\" select 1 from\nC S s1\nP s1 select 1\nS\nB \"\" s1 - -\nE \"\" 0\nS"}, "SELECT 2"},
		{"a name cut at 63 bytes", []string{"P " + strings.Repeat("n", 63) + "a select 1\nS\nP " + strings.Repeat("n", 63) + "b " + secret + "\nS\nB \"\" " + strings.Repeat("n", 63) + "c - -\nE \"\" 0\nS"}, ""},
	} {
		before := len(h.accounts())
		r := h.raw("sato")
		got := ""
		for _, script := range c.scripts {
			got = r.run(script)
		}
		if !strings.Contains(got, c.want) {
			t.Errorf("%s: no %q in\n%.3000s", c.name, c.want, got)
		}
		h.mustBeTold(c.name, got)
		if strings.Contains(got, "D 400020") && len(h.accounts()) == before {
			t.Errorf("%s: large rows came, and no entry", c.name)
		}
	}
}

func TestErrorsAnswerNoQuestionUnseen(t *testing.T) {
	h := newHouse(t)
	for _, user := range []string{"sato", "watched"} {
		for _, c := range []struct{ name, script, code string }{
			{"another database's name", `Q select ('"'||email||'".b.c')::regclass from crm.member where member_no=1042`, "0A000"},
			{"to_regclass", `Q select to_regclass('"'||email||'".b.c') from crm.member where member_no=1042`, "0A000"},
			{"a type of another database", `Q select ('"'||email||'".b.c')::regtype from crm.member where member_no=1042`, "0A000"},
			{"too long a word", `Q select (email||repeat('x',3000))::tsquery from crm.member where member_no=1042`, "54000"},
			{"a question", `Q select 1/(case when email like 'm42@%' then 0 else 1 end) from crm.member where member_no=1042`, "22012"},
			{"a question, extended", "P \"\" select 1/(case when email like 'm42@%' then 0 else 1 end) from crm.member where member_no=1042\nB \"\" \"\" - -\nE \"\" 0\nS", "22012"},
		} {
			_, before := h.told()
			got := h.raw(user).run(c.script)
			if !strings.Contains(got, "C"+c.code) {
				t.Errorf("%s: no %s:\n%s", c.name, c.code, got)
			}
			if strings.Contains(got, "example.jp") {
				t.Errorf("%s: the error holds the value:\n%s", c.name, got)
			}
			_, after := h.told()
			if after != before+1 {
				t.Errorf("%s, %s: %d entries say that it was about somebody, want 1", user, c.name, after-before)
			}
		}
	}
	for _, a := range h.accounts() {
		if a.reach < 1000 {
			t.Errorf("an access to any row reaches %d", a.reach)
		}
	}
	// What is wrong with the text alone tells nothing of anybody.
	_, before := h.told()
	h.raw("sato").run("Q select nothing from crm.member\nP \"\" select nothing from crm.member\nS")
	if _, after := h.told(); after != before {
		t.Error("a mistyped column is an access")
	}
}

// A Sync among the data of a COPY that fails is answered or not: the gate must
// not guess which, and take one statement's rows for another's.
func TestCopyThatFailsDoesNotShiftTheAnswers(t *testing.T) {
	h := newHouse(t)
	for _, prepared := range []string{"select email, member_no from crm.member where member_no < 1004", "select email from crm.member where member_no < 1004"} {
		got := h.raw("sato").run(`
			Q create temp table tt(a text)
			P s1 ` + prepared + `
			P f1 select note, who from crm.textual where who = 'K-1'
			P cp copy tt from stdin
			S
			B "" cp - -
			E "" 0
			d a	b
			S
			B "" s1 - -
			E "" 0
			S
			B "" f1 - -
			E "" 0
			S
			B "" f1 - -
			E "" 0
			S`)
		if !strings.Contains(got, "the connection ends") || strings.Contains(got, "\nD ") {
			t.Errorf("the session goes on:\n%s", got)
		}
		h.mustBeTold("a COPY that fails", got)
	}
	// Before any data it is what libpq sends.
	got := h.raw("sato").run("Q begin\nP cp copy crm.airport from stdin\nB \"\" cp - -\nE \"\" 0\nS\nd XXX\tx\nc\nS\nQ select name from crm.airport where code='XXX'\nQ rollback")
	if !strings.Contains(got, `D "x"`) {
		t.Errorf("a COPY as libpq sends it:\n%s", got)
	}
}

func TestDefaultsOfTheDatabaseDoNotDecideHowTextIsRead(t *testing.T) {
	h := newHouse(t)
	defer h.asOwner("alter role staff in database " + h.dbname + " reset all")
	h.asOwner("alter role staff in database " + h.dbname + " set standard_conforming_strings = off; alter role staff in database " + h.dbname + " set client_encoding = 'SJIS'")
	got := h.psql("sato", `show standard_conforming_strings; show client_encoding; select '\', ' || email from crm.member limit 3 --';
;`)
	if !strings.HasPrefix(got, "on\nUTF8\n") || address.MatchString(got) {
		t.Error(got)
	}
}

func TestLettersOfAnotherEncoding(t *testing.T) {
	h := newHouse(t, func(o *options) {
		cluster.SQL(context.Background(), o.gate.Upstream.Database, `create table crm."旅" (who text primary key, "名" text); insert into crm."旅" values ('K-1','secret one'), ('é-1','two'); grant select on crm."旅" to staff, reader`)
		o.catalog.Tables = append(o.catalog.Tables, catalog.Table{Name: "crm.旅", Subject: "holder", Key: "who", Columns: map[string]string{"who": "identity"}})
	})
	// 旅 is CE B9 in EUC_JP, and 名 CC BE: both are letters in UTF-8 too.
	eucjp := "select \xcc\xbe||'' from crm.\xce\xb9"
	for _, script := range []string{
		"Q set client_encoding to 'EUC_JP'\nQ " + eucjp,
		"P s set client_encoding to 'EUC_JP'\nB \"\" s - -\nE \"\" 0\nP \"\" " + eucjp + "\nB \"\" \"\" - -\nE \"\" 0\nS",
		"Q select set_config('client_encoding','EUC_JP',false)\nQ " + eucjp,
		"Q begin\nQ set client_encoding to 'EUC_JP'\nQ savepoint a\nQ set client_encoding to 'UTF8'\nQ rollback to a\nQ " + eucjp + "\nQ rollback",
	} {
		if got := h.raw("sato").run(script); strings.Contains(got, "secret") || !strings.Contains(got, "in UTF-8 only") {
			t.Errorf("%s:\n%s", script, got)
		}
	}
	got := h.psql("sato", "select who from crm.旅 order by 1;\nreset all;\nselect 名 from crm.旅 where who = 'é-1';")
	if got != "K-1\né-1\ntwo\n" {
		t.Errorf("in UTF-8: %q", got)
	}
	keys, _ := h.told()
	if !slices.Equal(keys, []string{"K-1", "é-1", "é-1"}) {
		t.Errorf("the ledger names %q", keys)
	}
}

func TestKeyInAnotherEncodingNamesNobodyElse(t *testing.T) {
	h := newHouse(t)
	h.asOwner("insert into crm.textual values ('é-1','n1')")
	got := h.raw("sato").run("Q set client_encoding to 'LATIN1'; select note from crm.textual where note='n1'\nQ select note from crm.textual where note='n1'")
	if strings.Contains(got, `D "n1"`) || strings.Count(got, "in a form that the gate cannot read") != 2 {
		t.Error(got)
	}
}

func TestKeyThatTheVaultDoesNotTake(t *testing.T) {
	h := newHouse(t)
	h.asOwner("alter table crm.textual drop constraint textual_pkey; insert into crm.textual values (repeat('k', 1500000), 'n1')")
	got := h.raw("sato").run("Q select note from crm.textual where note='n1'\nQ copy (select note from crm.textual where note='n1') to stdout")
	if strings.Contains(got, `D "n1"`) || strings.Contains(got, `d "n1`) || strings.Count(got, "in a form that the gate cannot read") != 2 {
		t.Error(got)
	}
}

func TestNotificationsCarryNoValue(t *testing.T) {
	h := newHouse(t)
	r := h.raw("sato")
	r.run("Q listen changed")
	h.asOwner("select pg_notify('changed', email) from crm.member where member_no=1042")
	got := ""
	h.until("a notification came", func() bool { got += r.run("Q select 1"); return strings.Contains(got, "changed") })
	if strings.Contains(got, "example.jp") {
		t.Error(got)
	}
}

func TestPreparedNameIsJudgedByTodaysCatalog(t *testing.T) {
	h := newHouse(t)
	h.asOwner("create view crm.v as select code as c from crm.airport; grant select on crm.v to staff")
	r := h.raw("sato")
	h.until("the view is known", func() bool { return strings.Contains(r.run("Q select c||'' from crm.v"), "HND") })
	if got := r.run("Q prepare p as select c||'' from crm.v limit 3\nQ execute p\nP e execute p\nS"); !strings.Contains(got, "HND") {
		t.Fatal(got)
	}
	h.asOwner("create or replace view crm.v as select email as c from crm.member")
	h.until("the view has changed", func() bool { r.run("Q select c||'' from crm.v"); return len(h.accounts()) > 0 })
	for _, script := range []string{"Q execute p", "B \"\" p - -\nE \"\" 0\nS", "P \"\" execute p\nB \"\" \"\" - -\nE \"\" 0\nS", "B \"\" e - -\nE \"\" 0\nS"} {
		if got := r.run(script); strings.Contains(got, "example.jp") || !strings.Contains(got, "C0A000") {
			t.Errorf("%s: it was prepared as something else\n%s", script, got)
		}
	}
}

func TestBindingIsRecordedBeforeItRunsAnything(t *testing.T) {
	h := newHouse(t)
	h.asOwner("create function crm.imm(n bigint) returns int immutable language plpgsql as $$ begin raise exception using errcode='57014', message=(select email from crm.member where member_no=n); end $$")
	got := h.raw("watched").run("P s1 select crm.imm(1042)\nS\nB \"\" s1 - -\nS")
	if _, n := h.told(); n == 0 || strings.Contains(got, "example.jp") {
		t.Errorf("%d entries:\n%s", n, got)
	}
}

func TestLargeRowsOfARenamedTable(t *testing.T) {
	h := newHouse(t, func(o *options) { o.gate.Upstream.Refresh = time.Hour })
	r := h.raw("sato")
	h.asOwner("alter table crm.airport rename to old; alter table crm.member rename to airport")
	got := r.run("P \"\" select name, email, repeat('x',400000) from crm.airport where member_no < 1004\nB \"\" \"\" - -\nE \"\" 0\nS")
	if strings.Contains(got, "D 4000") || !strings.Contains(got, "other tables than the gate was told of") {
		t.Errorf("%.3000s", got)
	}
}

func TestRowWithoutAKeyIsAnybodys(t *testing.T) {
	h := newHouse(t)
	h.asOwner("insert into crm.passport values (null, 'SECRET', null), (null, 'SECRET2', null)")
	for _, sql := range []string{"select passport_no from crm.passport where member_no is null", "copy (select passport_no from crm.passport where member_no is null) to stdout"} {
		_, before := h.told()
		if got := h.psql("sato", sql); !strings.Contains(got, "SECRET2") {
			t.Fatal(got)
		}
		if _, after := h.told(); after != before+1 {
			t.Errorf("%s: %d entries say that it may be anybody", sql, after-before)
		}
	}
}

// A client that neither reads nor stops sending, while its statement is cut.
func TestCutWhileTheServerIsNotRead(t *testing.T) {
	h := newHouse(t)
	h.asOwner("alter table crm.textual drop constraint textual_pkey; insert into crm.textual values (repeat('k', 1100000), 'n1')")
	r := h.raw("sato")
	said := messages("Q select pg_sleep(0.5)\nQ select note from crm.textual where note='n1'; select repeat('y',8000000)")
	pad := bytes.Repeat([]byte("p"), 500_000)
	for range 30 {
		said = append(said, messages("Q select 2 /*"+string(pad)+"*/")...)
	}
	go r.send(append(said, messages("Q select 'the last'")...))
	for last := false; !last; {
		typ, body, ok := r.receive()
		if !ok {
			return // ended with a word, which is an end
		}
		last = typ == 'D' && bytes.Contains(body, []byte("the last"))
	}
}

func TestFailedTriesDoNotFillTheDisk(t *testing.T) {
	var c tries
	now := time.Unix(1_800_000_000, 0)
	one, other := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	recorded, longest := 0, time.Duration(0)
	for range 1000 {
		v := c.failed(one, now)
		if v.record {
			recorded++
		}
		longest = max(longest, v.delay)
	}
	if recorded != triesPerAddress || longest != triesMostDelay {
		t.Errorf("%d entries of one address, longest delay %v", recorded, longest)
	}
	if v := c.failed(other, now); !v.record || v.delay != 0 {
		t.Errorf("another address: %+v", v)
	}
	for i := range 100_000 {
		if c.failed(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), now).record {
			recorded++
		}
	}
	if recorded+1 != triesInAll || len(c.by) > triesAddresses+1 {
		t.Errorf("%d entries in all, %d addresses kept", recorded+1, len(c.by))
	}
	v6 := [2]netip.Addr{netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2")}
	later := now.Add(time.Minute)
	if v := c.failed(v6[0], later); !v.record || v.before != 1000-triesPerAddress+100_000-(triesInAll-1-triesPerAddress) {
		t.Errorf("a minute later: %+v", v)
	}
	for range triesPerAddress {
		c.failed(v6[0], later)
	}
	if c.failed(v6[1], later).record {
		t.Error("a neighbour in the same network counts anew")
	}
}

func TestRefusedSessionsAreLimitedInTheLedger(t *testing.T) {
	var c verdict
	h := newHouse(t)
	minute := time.Now().Unix() / 60
	for range triesPerAddress + 5 { // as if they had just come
		c = h.gate.tries.failed(netip.MustParseAddr("127.0.0.1"), time.Now())
	}
	h.knock(startup(3<<16, "user", "nobody", "replication", "true"))
	h.stop()
	if time.Now().Unix()/60 != minute {
		t.Skip("the minute is over, and the count began anew")
	}
	for _, e := range h.entries() {
		if _, is := e.Body.(*sekisho.SessionRefused); is && !c.record {
			t.Error("one more entry than a minute may have")
		}
	}
}

// A foreign key tells whether a protected row is there (M2). The code stays,
// the words that name the value do not.
func TestForeignKeysTellNoValues(t *testing.T) {
	h := newHouse(t, func(o *options) {}, func(o *options) {
		_, err := cluster.SQL(context.Background(), o.gate.Upstream.Database, `
create table crm.desk (n int, member_no bigint references crm.member);
grant insert on crm.desk to staff;`)
		if err != nil {
			t.Fatal(err)
		}
	})
	got := h.psql("sato", "insert into crm.desk values (1, 987654)")
	if !strings.Contains(got, "foreign key violation") || strings.Contains(got, "987654") || strings.Contains(got, "not present") {
		t.Errorf("psql printed %q", got)
	}
}
