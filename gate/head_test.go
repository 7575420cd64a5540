package gate

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sekisho"
)

// say is what the ledger says of some accesses, in short: the class, the
// columns and the customers, or how many there may be.
func say(accounts []*account) string {
	var lines []string
	for _, a := range accounts {
		who := strings.Join(slices.Sorted(slices.Values(a.keys)), " ")
		switch {
		case a.class == sekisho.AnyRow || a.reach > 0:
			who = fmt.Sprintf("up to %d", a.reach)
		case len(a.keys) > 5:
			who = fmt.Sprintf("%d customers", len(a.keys))
		case a.class == sekisho.Contributed && who == "" && len(accounts) > 1:
			continue // nobody beside those who are shown
		}
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%v %s: %s", a.class, strings.ReplaceAll(a.columns, "crm.", ""), who)))
	}
	return strings.Join(lines, "; ")
}

// Each shape: what comes is what the server gives, and the ledger names whom it
// rests on.
func TestEveryShapeNamesItsCustomers(t *testing.T) {
	h := newHouse(t)
	h.asOwner("insert into crm.passport values (null, 'TKNONE', null); delete from crm.passport where member_no is null; alter table crm.passport alter member_no set not null")
	h.until("no passport is without a member", func() bool {
		before := len(h.accounts())
		h.psql("sato", "select count(*) from crm.passport where member_no = 1003")
		return len(h.accounts()) == before+1
	})
	for _, c := range []struct{ sql, want string }{
		{"select count(*) from crm.member where member_no between 1003 and 1005", "contributed member.member_no: 1003 1004 1005"},
		{"select city, count(*) from crm.member where member_no < 1004 group by city order by 1", "contributed member.city,member.member_no: 1001 1002 1003"},
		{"select city from crm.member where member_no < 1004 group by city having count(*) > 1", "contributed member.city,member.member_no: 1001 1002 1003"},
		{"select count(*) from crm.member where member_no < 0", "contributed member.member_no:"},
		{"select distinct city from crm.member where member_no in (1002, 1004)", "exact member.city: 1002 1004"},
		{"select name from crm.member m where member_no < 1010 and exists (select 1 from crm.passport p where p.member_no = m.member_no and p.member_no > 1005) order by 1", "exact member.name: 1006 1009"},
		{"select a.code from crm.airport a where exists (select 1 from crm.member m where m.member_no = 1042 and m.name > a.code) order by 1", "contributed member.member_no,member.name: 1042"},
		{"select name from crm.member where member_no = 1001 union all select passport_no from crm.passport where member_no = 1003", "exact member.member_no,member.name,passport.member_no,passport.passport_no: 1001 1003"},
		{"with q as (select * from crm.member where member_no = 1007) select upper(name) from q", "exact member.city,member.email,member.joined,member.member_no,member.name: 1007"},
		{"select name, row_number() over (order by name) from crm.member where member_no in (1005, 1006)", "exact member.member_no,member.name: 1005 1006"},
		{"select name, email from crm.everybody where name = 'name8'", "exact member.email,member.name: 1008"},
		{"select x.name from crm.airport a, lateral (select name from crm.member where member_no = 1010 and name > a.code) x", "contributed member.member_no,member.name: 1010"},
		{"select name from crm.member order by member_no limit 1 offset 1 + 1", "contributed member.member_no,member.name: 1000 customers"},
		{"select a.code from crm.airport a left join crm.member m on m.member_no < 1003 and m.name > a.code where m.name is null", "contributed member.member_no,member.name: 1001 1002"},
		{"copy (select count(*) from crm.member where member_no = 1011) to stdout", "contributed member.member_no: 1011"},
		{"copy (select distinct name, null from crm.member where member_no = 1012) to stdout with (format csv, header)", "exact member.member_no,member.name: 1012"},
		{"select max(note), count(*) from crm.textual where who in ('K-1', 'K-2', 'K-x')", "contributed textual.note,textual.who: K-1 K-2"},
		// No condition at all: everybody, unread.
		{"select count(*), max(name) from crm.member", "contributed member.name: up to 1000"},
		{"copy (select count(*) from crm.member) to stdout", "contributed : up to 1000"},
	} {
		before := len(h.accounts())
		through, direct := h.psql("sato", c.sql), h.direct(c.sql)
		if through != direct {
			t.Errorf("%s\nthrough the gate: %q\ndirectly: %q", c.sql, through, direct)
		}
		if got := say(h.accounts()[before:]); got != c.want {
			t.Errorf("%s\nthe ledger says: %s\nwant: %s", c.sql, got, c.want)
		}
	}
	for _, a := range h.accounts() {
		if a.open {
			t.Errorf("an access that has not ended: %+v", *a)
		}
	}
}

// However a statement is sent, what comes is what the server sends, byte for
// byte, and the ledger names whom it rests on before.
func TestHeadsByEveryPath(t *testing.T) {
	h := newHouse(t)
	const (
		some = "select m.city, count(*) from crm.member m where m.member_no < 1007 and m.city > '' group by m.city order by 1"
		one  = "select distinct name from crm.member where member_no = 1042"
	)
	bothCities := []string{"1001", "1002", "1003", "1004", "1005", "1006"}
	for _, c := range []struct {
		script string
		who    []string
	}{
		{"Q " + some, bothCities},
		{"Q begin; " + some + "; " + one + "; commit", append([]string{"1042"}, bothCities...)},
		{"P \"\" " + some + "\nB \"\" \"\" - -\nD P \"\"\nE \"\" 0\nS", bothCities},
		{"P a " + some + "\nD S a\nS\nB \"\" a - -\nE \"\" 0\nB \"\" a - -\nE \"\" 0\nS", bothCities},
		{"P \"\" " + some + "\nB \"\" \"\" - -\nE \"\" 1\nE \"\" 1\nE \"\" 1\nS", bothCities},
		{"P \"\" " + some + "\nB \"\" \"\" - -\nE \"\" 1\nS", bothCities},
		{"P \"\" " + one + " and name = $1\nB \"\" \"\" name42 -\nE \"\" 0\nS", []string{"1042"}},
		{"Q prepare p(bigint) as select count(*) from crm.member where member_no = $1; execute p(1009)\nQ execute p(1008)\nQ deallocate p", []string{"1008", "1009"}},
		{"Q prepare p as " + one + "\nP \"\" execute p\nB \"\" \"\" - -\nE \"\" 0\nS\nQ deallocate p", []string{"1042"}},
		{"Q begin; declare c no scroll cursor for " + some + "; fetch 1 from c; fetch c; fetch c; close c; commit", bothCities},
		{"Q begin\nQ declare c cursor for " + some + "\nQ fetch all from c\nQ commit", bothCities},
		{"Q begin\nQ declare c cursor with hold for " + some + "\nQ commit\nQ move 1 in c\nQ fetch 7 from c\nQ close c", bothCities},
		{"Q begin\nP \"\" declare c cursor for " + some + "\nB \"\" \"\" - -\nE \"\" 0\nS\nP \"\" fetch 1 from c\nB \"\" \"\" - -\nD P \"\"\nE \"\" 0\nS\nE c 0\nS\nQ commit", bothCities},
		{"Q copy (" + some + ") to stdout with (format csv, header)", bothCities},
		{"Q select name from crm.member where member_no = 1042 and name = 'nobody' union select name from crm.member where name = '' and member_no = 1001", nil},
	} {
		before := len(h.accounts())
		through, direct := h.raw("sato").run(c.script), h.rawDirect().run(c.script)
		if through != direct {
			t.Errorf("%s\nthrough the gate:\n%s\ndirectly:\n%s", c.script, through, direct)
		}
		var who []string
		for _, a := range h.accounts()[before:] {
			if who = append(who, a.keys...); a.open {
				t.Errorf("%s: an access that has not ended: %+v", c.script, *a)
			}
		}
		slices.Sort(who)
		if who = slices.Compact(who); !slices.Equal(who, slices.Sorted(slices.Values(c.who))) {
			t.Errorf("%s: the ledger names %v, want %v", c.script, who, c.who)
		}
	}
	if r := h.refusals(); len(r) > 0 {
		t.Errorf("refused: %v", r)
	}
}

// A driver asks for binary results: one format for all, or one for each.
func TestHeadsInBinary(t *testing.T) {
	h := newHouse(t)
	ctx := context.Background()
	conn := h.connect("sato")
	for range 2 {
		var n int64
		if err := conn.QueryRow(ctx, "select count(*) from crm.member where member_no < $1", 1004).Scan(&n); err != nil || n != 3 {
			t.Fatalf("%d, %v", n, err)
		}
		var note string
		if err := conn.QueryRow(ctx, "select count(*), max(note) from crm.textual where who = any($1)", []string{"K-7"}).Scan(&n, &note); err != nil || n != 1 {
			t.Fatalf("%d, %v", n, err)
		}
	}
	r := h.raw("sato")
	for _, formats := range []string{"1", "1.1"} { // also for all at once
		got := r.run("P \"\" select count(*), max(who) from crm.textual where who = 'K-8'\nB \"\" \"\" - " + formats + "\nE \"\" 0\nS")
		if !strings.Contains(got, "K-8") || !strings.Contains(got, "SELECT 1") {
			t.Errorf("formats %s:\n%s", formats, got)
		}
	}
	h.stop()
	all := h.accounts()
	want := [][]string{{"1001", "1002", "1003"}, {"K-7"}, {"1001", "1002", "1003"}, {"K-7"}, {"K-8"}, {"K-8"}}
	if len(all) != len(want) {
		t.Fatalf("%d accesses", len(all))
	}
	for i, a := range all {
		if got := slices.Sorted(slices.Values(a.keys)); !slices.Equal(got, want[i]) {
			t.Errorf("access %d names %v, want %v", i, got, want[i])
		}
	}
}

// Names of statements and cursors that change hands show no head and leave
// nobody out.
func TestHeadsOfNamesThatChangeHands(t *testing.T) {
	h := newHouse(t)
	const (
		secret = "select string_agg(email, ',') from crm.member where member_no = 1042"
		other  = "select string_agg(who, ',') from crm.textual where who = 'K-3'"
		free   = "select string_agg(name, ',') from crm.airport"
	)
	for _, script := range []string{
		"Q prepare p as " + free + "\nQ deallocate p; prepare p as " + secret + "; execute p",
		"Q prepare p as " + free + "\nP e execute p\nS\nQ deallocate p; prepare p as " + secret + "\nB \"\" e - -\nE \"\" 0\nS",
		"Q prepare p as " + other + "\nP e execute p\nS\nQ deallocate p; prepare p as " + secret + "\nB \"\" e - -\nE \"\" 0\nS",
		"Q prepare p as " + other + "\nQ deallocate p; prepare p as " + secret + "; execute p",
		"Q prepare p as " + other + "\nQ prepare p as " + secret + "\nQ execute p",
		"Q begin; declare c cursor for " + other + "\nQ close c; declare c cursor for " + secret + "; fetch c; rollback",
		"Q begin; declare c cursor for " + free + "\nQ close c; declare c cursor for " + secret + "; fetch c; rollback",
		"Q begin; declare c cursor for " + secret + "\nQ fetch absolute 1 from c\nQ rollback",
		"Q begin; declare c cursor for " + secret + "\nQ fetch first from c\nQ rollback",
		"Q begin; declare c cursor for " + secret + "\nQ fetch all from c\nQ fetch backward all from c\nQ rollback",
		"Q begin; declare c scroll cursor for " + secret + "\nQ fetch all from c\nQ rollback",
		"Q begin; declare c cursor for " + secret + "\nE c 0\nS\nQ rollback",
		"Q select 1 as __sekisho_0",
	} {
		got := h.raw("sato").run(script)
		h.mustBeTold(script, strings.ReplaceAll(got, "T __sekisho_0:", ""))
		if strings.Contains(got, "{1042}") || strings.Contains(got, "{K-3}") {
			t.Errorf("%s: a head came out\n%s", script, got)
		}
	}
}

// The same name may be given to something about nobody afterwards.
func TestNamesThatMeanNobodyAgain(t *testing.T) {
	h := newHouse(t)
	for _, script := range []string{
		"Q prepare p as select count(*) from crm.member where member_no = 1042\nQ execute p\nQ deallocate p\nQ prepare p as select count(*) from crm.airport\nQ execute p\nP e execute p\nB \"\" e - -\nE \"\" 0\nS",
		"Q begin; declare c cursor for select count(*) from crm.member where member_no = 1042\nQ fetch all from c\nQ commit\nQ begin; declare c cursor for select code from crm.airport order by 1\nQ fetch 2 from c\nE c 0\nS\nQ commit",
	} {
		if through, direct := h.raw("sato").run(script), h.rawDirect().run(script); through != direct {
			t.Errorf("%s\nthrough the gate:\n%s\ndirectly:\n%s", script, through, direct)
		}
	}
	if n := len(h.accounts()); n != 3 { // the cursor's head, and what was fetched
		t.Errorf("%d accesses, want 3: %s", n, say(h.accounts()))
	}
}

// A head that names more than may be named without a second person keeps all
// rows back.
func TestHeadsOverTheLimit(t *testing.T) {
	h := newHouse(t, func(o *options) {
		r := o.gate.Roles["staff"]
		r.AskAbove = 10
		o.gate.Roles["staff"] = r
	})
	for sql, passes := range map[string]bool{
		"select count(*) from crm.member where member_no <= 1010":           true,
		"select count(*) from crm.member where member_no <= 1011":           false,
		"select count(*) from crm.member":                                   false,
		"select count(*) from crm.member having count(*) > 5000":            false, // that no row comes is an answer
		"select count(*) from crm.member limit 0":                           false,
		"copy (select 1 from crm.member having max(email) < 'a') to stdout": false,
	} {
		got := h.psql("sato", sql)
		if strings.Contains(got, "second person") == passes || passes != (got == "10\n") {
			t.Errorf("%s: %q", sql, got)
		}
	}
	// A cursor stays in the server when its head was turned away, and gives nothing.
	got := h.raw("sato").run("Q declare c cursor with hold for select name, count(*) from crm.member where member_no <= 1011 group by name\nQ fetch all from c\nP \"\" fetch all from c\nB \"\" \"\" - -\nE \"\" 0\nS")
	if strings.Contains(got, `D "name`) || !strings.Contains(got, "whom this cursor rests on is not in the ledger") {
		t.Errorf("a cursor:\n%s", got)
	}
	for _, a := range h.accounts() {
		if len(a.keys) > 10 {
			t.Errorf("%d customers are named, and nothing went out about them", len(a.keys))
		}
	}
}

// If the names cannot be recorded, no row goes.
func TestHeadsWaitForTheLedger(t *testing.T) {
	d := &faulty{}
	h := newHouse(t, withDisk(d, 16<<10))
	ctx := context.Background()
	conn := h.connect("sato")
	d.full.Store(true)
	for i := 0; ; i++ {
		var n int
		err := conn.QueryRow(ctx, "select count(*) from crm.member where member_no <= $1", 1400).Scan(&n)
		if err != nil {
			if sqlstate(err) != "53100" {
				t.Fatal(err)
			}
			break
		}
		if i == 200 {
			t.Fatal("the disk never got full")
		}
	}
}

// A view runs with its owner's rights, its names with those of whoever asks.
func TestViewsThatAreClosedToTheLogin(t *testing.T) {
	h := newHouse(t)
	h.asOwner("create table crm.ours (member_no bigint references crm.member, mark text); insert into crm.ours values (1001, 'x'); create view crm.marked as select m.name, o.mark from crm.member m join crm.ours o using (member_no); grant select on crm.marked to staff")
	refused := regexp.MustCompile("may not read")
	h.until("the view is known", func() bool { return refused.MatchString(h.psql("sato", "select mark from crm.marked")) })
	h.asOwner("grant select on crm.ours to staff")
	h.until("the grant is known", func() bool { return h.psql("sato", "select mark from crm.marked") == "x\n" })
	if keys, _ := h.told(); !slices.Contains(keys, "1001") {
		t.Errorf("the ledger names %v", keys)
	}
	h.asOwner("alter table crm.ours enable row level security; create policy p on crm.ours using (mark = 'y')")
	h.until("the policy is known", func() bool {
		return strings.Contains(h.psql("sato", "select mark from crm.marked"), "row level security")
	})
}

// Copies of protected data, and what the server knows of how it would read it,
// are not for clients: nobody could say later whose they are.
func TestWhatHasNoNamesIsRefused(t *testing.T) {
	h := newHouse(t)
	r, n := h.raw("sato"), 0
	for sql, reason := range map[string]string{
		"create temp table x as select city from crm.member group by city":                                                    "create_table_as",
		"select city into temp x from crm.member group by city":                                                               "create_table_as",
		"select count(*) from crm.member tablesample system (10)":                                                             "tablesample",
		"select distinct name from crm.member where random() < 0.5":                                                           "function",
		"prepare p as select count(*) from crm.member tablesample system (10)":                                                "names",
		"begin; declare p cursor for select count(*) from crm.member tablesample system (10)":                                 "names",
		"prepare p as select count(*) from crm.member where member_no = 1001; prepare p as delete from crm.member; execute p": "prepare",
		"select m.count from crm.member m":                                                                                    "unknown_column",
		"select count(*) from crm.member m, lateral json_to_record(null) as x(a int)":                                         "function_in_from",
	} {
		got := r.run("Q " + sql)
		if !strings.Contains(got, "C0A000") {
			t.Errorf("%s: want a refusal\n%s", sql, got)
		}
		n++
		h.until("the refusal is in the ledger", func() bool { return len(h.refusals()) == n })
		if got := h.refusals()[n-1]; got != reason {
			t.Errorf("%s: refused for %s, want %s", sql, got, reason)
		}
	}
}

func TestElementsOfAnArray(t *testing.T) {
	for in, want := range map[string]string{
		`{}`: ``, `{1}`: `1|`, `{1,NULL,-3}`: `1|NULL|-3|`, `{"a b","","x\"y\\z","NULL",ü}`: `a b||x"y\z|NULL!|ü|`,
		``: `error`, `{`: `error`, `1`: `error`, `{,}`: `error`, `{1,}`: `error`, `{"a}`: `error`, `{"a"x}`: `error`, `{{1},{2}}`: `error`, `{"a",}`: `error`, `{"\`: `error`,
	} {
		var b strings.Builder
		err := eachElement([]byte(in), false, func(v []byte) error {
			switch {
			case v == nil:
				b.WriteString("NULL|")
			case string(v) == "NULL":
				b.WriteString("NULL!|")
			default:
				b.WriteString(string(v) + "|")
			}
			return nil
		})
		if got := b.String(); err == nil && got != want || err != nil && want != "error" {
			t.Errorf("%s: %q, %v", in, got, err)
		}
	}
}

// Arrays of any form are read or refused.
func FuzzElementsOfAnArray(f *testing.F) {
	f.Add([]byte(`{1,NULL,"a\"b"}`), false)
	var b []byte
	for _, n := range []uint32{1, 0, 20, 2, 1, 8, 0, 7, 0xffffffff} {
		b = binary.BigEndian.AppendUint32(b, n)
	}
	f.Add(b, true)
	f.Fuzz(func(t *testing.T, v []byte, isBinary bool) {
		size := 0
		before := bytes.Clone(v)
		err := eachElement(v, isBinary, func(e []byte) error {
			if size += len(e); size > len(v) {
				return errors.New("more than there is")
			}
			return nil
		})
		if !bytes.Equal(before, v) || err != nil && !errors.Is(err, errKey) {
			t.Errorf("%q: %v", v, err)
		}
	})
}
