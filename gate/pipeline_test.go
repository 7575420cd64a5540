package gate

import (
	"context"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
)

// conversations are held with the server itself and through the gate; every
// byte of the answers must be the same. keys are the customers whose rows came,
// in order.
var conversations = []struct{ name, script, keys string }{
	{"empty queries", "Q \nQ ;\nQ -- nothing", ""},
	{"several statements in one text", "Q select 1; select name from crm.member where member_no=1003; select code from crm.airport order by 1; select member_no from crm.passport where passport_no='TK6'", "1003 1006"},
	{"an error ends the text", "Q select name from crm.member where member_no=1003; select 1/0; select name from crm.member where member_no=1004", "1003"},
	{"a transaction over several", "Q begin\nQ select name from crm.member where member_no=1001\nQ savepoint a\nQ selec\nQ select 1\nQ rollback to a\nQ select name from crm.member where member_no=1002\nQ commit", "1001 1002"},
	{"the usual extended query", "P \"\" select name, joined from crm.member where member_no=$1\nB \"\" \"\" 1007 -\nD P \"\"\nE \"\" 0\nS", "1007"},
	{"execute without describe", "P s select name from crm.member where member_no=$1\nB \"\" s 1007 -\nE \"\" 0\nB \"\" s 1008 1\nE \"\" 0\nB \"\" s 9 -\nE \"\" 0\nS", "1007 1008"},
	{"formats, one for each column", "P s select name, member_no, joined from crm.member where member_no=$1\nD S s\nB a s 1001 0,1,1\nD P a\nE a 0\nB b s 1002 1,1,0\nE b 0\nB c s 1003 1\nD P c\nE c 0\nB d s 1004 -\nE d 0\nS", "1001 1002 1003 1004"},
	{"a portal in pieces", "Q begin\nP s select name from crm.member where member_no <= 1007 order by member_no\nB p s - -\nE p 3\nE p 3\nE p 3\nE p 3\nS\nQ commit", "1001 1002 1003 1004 1005 1006 1007"},
	{"a portal that is left", "P s select name from crm.member order by member_no\nB p s - -\nE p 2\nS\nE p 2\nS", "1001 1002"},
	{"two portals interleaved", "Q begin\nP s select name from crm.member where member_no>=$1 order by member_no\nB a s 1001 -\nB b s 1501 1\nE a 2\nE b 1\nE a 1\nE b 2\nC P a\nE b 1\nE a 1\nS\nQ rollback", "1001 1002 1003 1501 1502 1503 1504"},
	{"flush without sync", "P s select name from crm.member where member_no=$1\nH\nB \"\" s 1010 -\nH\nE \"\" 0\nH\nC S s\nH\nS", "1010"},
	{"several cycles in flight", "P s select name from crm.member where member_no=$1\nB \"\" s 1011 -\nE \"\" 0\nS\nB \"\" s x -\nE \"\" 0\nS\nB \"\" s 1012 -\nE \"\" 0\nS\nS\nS", "1011 1012"},
	{"an error in the middle", "P a select name from crm.member where member_no=$1\nB \"\" a 1013 -\nE \"\" 0\nP b selec\nP c select 1\nB \"\" a 1014 -\nE \"\" 0\nS\nB \"\" c - -\nE \"\" 0\nS\nB \"\" a 1015 -\nE \"\" 0\nS", "1013 1015"},
	{"a name is taken", "P a select name from crm.member where member_no=$1\nP a select code from crm.airport\nS\nB \"\" a 1020 -\nE \"\" 0\nS", "1020"},
	{"the unnamed statement is replaced", "P \"\" select name from crm.member where member_no=$1\nP \"\" select code from crm.airport order by 1\nB \"\" \"\" - -\nE \"\" 0\nS\nQ select 1\nB \"\" \"\" - -\nE \"\" 0\nS", ""},
	{"closing", "P a select name from crm.member where member_no=$1\nC S a\nC S never\nC P never\nB \"\" a 1 -\nS\nP a select code from crm.airport order by 1\nB \"\" a - -\nE \"\" 0\nS", ""},
	{"an empty statement", "P e -- nothing\nD S e\nB \"\" e - -\nD P \"\"\nE \"\" 0\nS", ""},
	{"pages", "Q select name from crm.member order by member_no limit 2 offset 3\nQ select name from crm.member where member_no <= 1004 order by member_no offset 3; select name from crm.member where member_no < 1003 order by member_no offset 0\nQ select name from crm.member order by member_no offset 1 rows fetch next 1 rows only\nQ select name from crm.member where member_no < 1003 order by 1 limit all offset 5", "1001 1002 1003 1004 1005 1001 1002 1003 1004 1001 1002 1001 1002 1001 1002"},
	{"pages by parameters", "P s select name from crm.member where member_no <= $1 order by member_no limit $2 offset $3\nD S s\nB \"\" s 1009,2,3 -\nD P \"\"\nE \"\" 0\nB \"\" s 1003,NULL,1 1\nE \"\" 0\nB \"\" s 1002,2,NULL -\nE \"\" 0\nB \"\" s 1002,2,7 -\nE \"\" 0\nS\nB \"\" s 1002,2,-1 -\nE \"\" 0\nS", "1001 1002 1003 1004 1005 1001 1002 1003 1001 1002 1001 1002"},
	{"a page in pieces", "Q begin\nP s select name from crm.member where member_no <= 1007 order by member_no offset 2\nB p s - -\nE p 2\nE p 2\nE p 2\nE p 2\nS\nQ commit\nP \"\" select name from crm.member order by member_no fetch first $1 rows only offset $2 rows\nB \"\" \"\" 1,1 -\nE \"\" 5\nS", "1001 1002 1003 1004 1005 1006 1007 1001 1002"},
	{"a page that nobody may see", "Q select name from crm.member order by member_no limit 1 offset -1\nQ select name from crm.member order by member_no limit -1", ""},
	{"what is not there", "D S never\nS\nD P never\nS\nE never 0\nS\nB \"\" never - -\nS", ""},
	{"two statements in one parse", "P a select 1; select 2\nS\nP \"\" select name from crm.member; select 1\nS", ""},
	{"wrong SQL", "Q select nothing from crm.member\nQ select from where\nQ select name from crm.membre\nP a select 'x'::int from crm.airport\nS\nQ select name, nosuch(1) from crm.airport\nQ select name from crm.airport where codex = '1'", ""},
	{"copy in", "Q begin\nQ copy crm.airport from stdin\nd KIX\tKansai\nd CTS\tChitose\nc\nQ select count(*) from crm.airport\nQ rollback", ""},
	{"copy in, given up", "Q copy crm.airport from stdin\nd KIX\tKansai\nf no more\nQ select 1", ""},
	{"copy in, broken", "Q copy crm.airport from stdin\nd KIX\tKansai\td\td\nd more\nc\nP a select 1\nB \"\" a - -\nE \"\" 0\nS", ""},
	{"copy in that fails before it begins", "Q copy crm.nosuch from stdin\nd KIX\tKansai\nc\nP a copy crm.nosuch from stdin\nB \"\" a - -\nE \"\" 0\nd x\nc\nS\nQ select 1", ""},
	{"copy in, extended", "Q begin\nP a copy crm.airport from stdin\nB \"\" a - -\nD P \"\"\nE \"\" 0\nS\nd KIX\tKansai\nH\nS\nd CTS\tChitose\nc\nS\nQ rollback", ""},
	{"copy in, extended, given up", "P a copy crm.airport from stdin\nB \"\" a - -\nE \"\" 0\nd KIX\tKansai\nf no more\nP b select 1\nS\nQ select 1", ""},
	{"copy in, extended, broken", "P a copy crm.airport from stdin\nB \"\" a - -\nE \"\" 0\nd KIX\ta\ta\ta\nd b\nc\nS\nQ select 1", ""},
	{"copy data that nobody asked for", "d x\nc\nd y\nf z\nQ select 1\nd x\nc\nS", ""},
	{"copy out of nothing protected", "Q copy crm.airport to stdout\nQ copy (select * from crm.airport order by 1) to stdout (format csv, header)\nQ copy crm.airport to stdout binary\nP a copy crm.airport to stdout\nB \"\" a - -\nE \"\" 0\nS", ""},
	{"copy out of members", "Q copy (select member_no, name from crm.member where member_no < 1004 order by 1) to stdout\nP a copy (select name, city from crm.member where member_no < 1003 order by member_no) to stdout (format csv, header)\nB \"\" a - -\nE \"\" 0\nS\nB \"\" a - -\nE \"\" 0\nS", "1001 1002 1003 1001 1002 1001 1002"},
	{"no columns at all", "Q select from crm.member where member_no < 1003\nQ copy (select from crm.member where member_no < 1003 order by member_no) to stdout", "1001 1002 1001 1002"},
	{"left joins with nobody", "Q select m.name, p.passport_no from crm.member m left join crm.passport p on p.member_no = m.member_no where m.member_no between 1002 and 1003 order by m.member_no\nQ copy (select m.name, p.passport_no from crm.member m left join crm.passport p on p.member_no = m.member_no where m.member_no between 1002 and 1003 order by m.member_no) to stdout\nQ select a.code, t.note from crm.airport a left join crm.textual t on t.who = a.code order by 1", "1002 1003 1003 1002 1003 1003"},
	{"a table with itself", "Q select a.name, b.name from crm.member a join crm.member b on b.member_no = a.member_no+1 where a.member_no < 1003 order by 1", "1001 1002 1002 1003"},
	{"two kinds of people in one row", "Q select m.name, t.note from crm.member m join crm.textual t on t.who = 'K-'||(m.member_no-1000) where m.member_no < 1003 order by 1", "1001 1002 K-1 K-2"},
	{"keys that need care", "Q copy (select note from crm.odd order by n) to stdout\nQ copy (select note from crm.odd order by n) to stdout (format csv)\nQ select note from crm.odd order by n\nQ copy (select who, n from crm.odd order by n) to stdout (format csv, header true)",
		strings.Repeat("a\"b c,d e\tf g\\h \\N \\. NL x, \",\" ", 4)},
	{"the server's settings", "Q set timezone to 'Asia/Tokyo'\nQ show timezone\nQ set application_name to 'x'\nQ set datestyle to 'SQL'\nQ select joined from crm.member where member_no=1001\nQ reset all", "1001"},
	{"listening", "Q listen news\nQ notify news\nQ unlisten news\nQ select 1", ""},
	{"prepare and execute", "Q prepare p(text) as select name from crm.airport where code=$1\nQ execute p('HND')\nP x execute p('NRT')\nB \"\" x - -\nD P \"\"\nE \"\" 0\nS\nB \"\" p ITM -\nD P \"\"\nE \"\" 0\nS\nD S p\nS\nQ deallocate p\nQ execute p('HND')", ""},
	{"a cursor", "Q begin\nQ declare c cursor for select code from crm.airport order by 1\nQ fetch 2 from c\nQ fetch c\nQ move c\nE c 1\nS\nQ close c\nQ commit", ""},
	{"notices", "Q drop table if exists crm.nosuch", ""},
	{"a name that still means what it meant", "P a select name from crm.member where member_no=1020\nS\nP b selec\nC S a\nP a select code from crm.airport order by 1\nS\nB \"\" a - -\nE \"\" 0\nS", "1020"},
	{"an unnamed one that does", "P \"\" select name from crm.member where member_no=1020\nS\nP b selec\nP \"\" select code from crm.airport order by 1\nS\nB \"\" \"\" - -\nE \"\" 0\nS", "1020"},
	{"a portal that does", "Q begin\nP a select name from crm.member where member_no=1020\nB p a - -\nS\nP b selec\nS\nQ rollback", ""},
	{"a query inside a failed cycle", "P a selec\nQ select 1\nS\nQ select 2", ""},
	{"deferred to the commit", "Q begin\nQ create temp table t (a int unique deferrable initially deferred)\nQ insert into t values (1),(1)\nQ commit\nQ select 1", ""},
}

// odd are keys with every character that a text or a csv line must quote.
const odd = `create table crm.odd (n int, who text, note text);
insert into crm.odd values (1, 'a"b', 'one'), (2, 'c,d', 'two, "quoted"'), (3, E'e\tf', E'tab\there'), (4, E'g\\h', E'back\\slash'), (5, E'\\N', null), (6, E'\\.', ''), (7, E'NL', E'new\nline'), (8, 'x,', ','), (9, '","', '""'), (10, null, 'nobody''s');
grant select on crm.odd to staff, reader;
`

func withOdd(o *options) {
	if _, err := cluster.SQL(context.Background(), o.gate.Upstream.Database, "alter table crm.passport alter member_no set not null"); err != nil {
		panic(err)
	}
	o.catalog.Tables = append(o.catalog.Tables, oddTable)
}

func converse(t *testing.T, h *house, split bool) {
	for i, c := range conversations {
		direct, through := h.rawDirect(), h.raw("sato")
		if split {
			through.split = rand.New(rand.NewPCG(1, uint64(i)))
		}
		want, got := direct.run(c.script), through.run(c.script)
		direct.conn.Close()
		through.send(messages("X"))
		if typ, body, more := through.receive(); more {
			t.Errorf("%s: after the end came %s", c.name, printMessage(typ, body))
		}
		diff(t, c.name, got, want)
	}
	h.stop()
	sessions := h.sessions()
	if len(sessions) != len(conversations) {
		t.Fatalf("%d sessions in the ledger, %d were held", len(sessions), len(conversations))
	}
	for i, c := range conversations {
		if got, want := strings.Join(sessions[i], " "), strings.TrimSpace(c.keys); got != want {
			t.Errorf("%s: the ledger names\n %q, the rows are of\n %q", c.name, got, want)
		}
	}
	for _, a := range h.accounts() {
		if a.open && a.closed == nil {
			t.Errorf("an access stays open: %+v", *a)
		}
	}
}

var (
	errorCode = regexp.MustCompile(`\\x00C[0-9A-Z]{5}`)
	ownNumber = regexp.MustCompile(`^A ".{3,16}news|pg_temp_\d+`) // the number of a server process
)

// diff shows the first line in which two transcripts differ.
func diff(t *testing.T, name, got, want string) {
	t.Helper()
	if got == want {
		return
	}
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range w {
		if i < len(g) && strings.Contains(g[i], "withheld by sekisho") {
			g[i] = errorCode.FindString(g[i])
			w[i] = errorCode.FindString(w[i])
		}
		if i < len(g) {
			g[i], w[i] = ownNumber.ReplaceAllString(g[i], ""), ownNumber.ReplaceAllString(w[i], "")
		}
		if i >= len(g) || g[i] != w[i] {
			at := ""
			if i < len(g) {
				at = g[i]
			}
			t.Errorf("%s: reply %d\n  gate   %s\n  direct %s", name, i+1, at, w[i])
			return
		}
	}
	if len(g) > len(w) {
		t.Errorf("%s: the gate says more: %s", name, strings.Join(g[len(w)-1:], "\n"))
	}
}

func TestSameAnswersAndTheTruthInTheLedger(t *testing.T) {
	h := newHouse(t, withOdd)
	converse(t, h, false)
}

func TestSameAnswersInCrumbs(t *testing.T) {
	dir := crumbs(t, 7)
	h := newHouse(t, withOdd, func(o *options) { o.gate.Upstream.Host = dir })
	converse(t, h, true)
}
