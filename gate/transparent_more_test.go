package gate

import (
	"context"
	"encoding/hex"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// Besides messages, a turn may be
//
//	until X			and messages below it: hear as far as a message of the kind X
//	elsewhere SQL		somebody else does this, in the same database
//	cancel SQL		ask this, which is to sleep, and cancel it
//	quietly		and messages below it: say them, and do not wait for an answer
//
// moreTalks are about what comes unasked, late, in part, or not at all.
var moreTalks = []conversation{
	{name: "flush without sync", turns: []string{
		"until D\nP \"\" select 'flushed'\nB \"\" \"\" - -\nE \"\" 0\nH", "until 1\nP two select name from town where id = $1\nH",
		"until 2\nB p two 1 -\nH", "until T\nD P p\nH", "until D\nE p 1\nH", "until s\nH", "until 3\nC P p\nH", "S"}},
	{name: "an error, and flushed after it", turns: []string{
		"until E\nP \"\" select nothing_at_all from town\nH", "P \"\" select 1\nB \"\" \"\" - -\nE \"\" 0\nH\nD P \"\"\nH\nS", "Q select 'on it goes'"}},
	{name: "errors in a pipeline", turns: []string{
		"P \"\" insert into child values (1, $1)\nB \"\" \"\" 1 -\nE \"\" 0\nB \"\" \"\" 0 -\nE \"\" 0\nB \"\" \"\" 2 -\nE \"\" 0\nS\nQ select count(*) from child",
		"Q begin\nP \"\" insert into child values (1, $1)\nB \"\" \"\" 1 -\nE \"\" 0\nS\nB \"\" \"\" 0 -\nE \"\" 0\nS\nP \"\" select 1\nS\nQ select 1\nQ rollback",
		"P \"\" select * from town where id = $1\nB \"\" \"\" 1,2 -\nE \"\" 0\nS", "P \"\" select * from town where id = $1\nB \"\" \"\" - -\nE \"\" 0\nS", "P \"\" select id, name from town\nB \"\" \"\" - 1,0,1\nE \"\" 0\nS", "P \"\" select id from town\nB \"\" \"\" - 7\nE \"\" 0\nS",
		"P \"\" select 1/$1\nB a \"\" 1 -\nB b \"\" 0 -\nE b 0\nE a 0\nS\nE a 0\nS", "P \"\" begin\nB \"\" \"\" - -\nE \"\" 0\nP \"\" select 1/0\nB \"\" \"\" - -\nE \"\" 0\nS\nP \"\" commit\nB \"\" \"\" - -\nE \"\" 0\nS",
		"P x select 1\nP x select 2\nP y select 3\nS\nB \"\" x - -\nE \"\" 0\nB \"\" y - -\nE \"\" 0\nS", "C S x\nC S y\nC S z\nC P z\nS"}},
	{name: "queries among extended messages", turns: []string{
		"P a select id from town order by id\nB p a - -\nE p 2\nQ select 'between'\nE p 2\nS", "P b select 1\nQ selec\nB \"\" b - -\nE \"\" 0\nS", "H\nH\nS\nH", "Q select 1"}, deaf: true},
	{name: "portals side by side", turns: []string{"Q begin",
		"P s select id, name, n from town order by id\nB p s - 1\nB q s - 0,0,1\nE p 2\nE q 3\nE p 1\nD P q\nE q 0\nE p 0\nS", "E p 1\nS", "Q rollback", "Q begin",
		"P t insert into town (id, name) values ($1, 'p') returning id, name\nB p t 7001 -\nE p 1\nE p 1\nB q t 7002 -\nE q 0\nS", "B p t 7003 -\nB p t 7004 -\nS", "Q rollback",
		"Q begin; declare cur cursor for select id from town order by id", "E cur 2\nS", "Q fetch 1 from cur", "D P cur\nS", "C P cur\nS", "Q rollback"}},
	{name: "names that SQL and the protocol share", turns: []string{
		"P mine select $1::int + 1\nS", "Q execute mine(1)", "Q prepare yours(int) as select $1 + 2", "D S yours\nB \"\" yours 5 -\nE \"\" 0\nS", "Q deallocate mine", "B \"\" mine 5 -\nE \"\" 0\nS", "Q deallocate all", "D S yours\nS", "Q discard all"}, deaf: true},
	{name: "transactions that fail", turns: []string{"Q begin", "Q select 1/0", "P \"\" select 1\nD S \"\"\nB \"\" \"\" - -\nE \"\" 0\nS", "Q listen x", "Q copy town to stdout", "P \"\" rollback\nB \"\" \"\" - -\nE \"\" 0\nS",
		"Q begin; set timezone = 'Asia/Tokyo'; select 1/0", "Q rollback", "Q begin; set local timezone = 'Asia/Tokyo'; set application_name = 'inside'", "Q commit; show timezone", "Q begin; insert into child values (1, 1); savepoint s; insert into child values (1, 0)", "Q rollback to s; commit", "Q truncate child", "Q begin and chain", "Q commit and chain", "Q begin read only; commit and chain; insert into child values (1, 1)", "Q rollback"}},
	{name: "copy, in other ways", turns: []string{
		"P \"\" copy (select id, name from town where id < 4 order by id) to stdout\nB \"\" \"\" - -\nD P \"\"\nE \"\" 0\nS", "P \"\" copy child from stdin\nB \"\" \"\" - -\nE \"\" 0\nd 1\t5\nc\nS", "P \"\" copy child from stdin\nB \"\" \"\" - -\nE \"\" 0\nd 1\tx\nc\nS", "Q truncate child",
		"Q copy child from stdin; select count(*) from child; copy child to stdout\nd 1\t5\nd 2\t6\nc", "Q copy (select 1) to stdout; copy (select 2) to stdout; select 3", "Q copy child (v, id) from stdin (delimiter '|', null '-')\nd 5|1\nd 6|2\nd \\.\nc", "Q copy child from stdin\nc", "Q copy child from stdin\nf ",
		"Q copy child from stdin\n" + strings.Repeat("d 3\t4\n", 3000) + "c", "Q copy child to stdout (format csv, quote '''', force_quote *)", "Q truncate child", "Q copy (select i, repeat('x', i) from generate_series(1, 2000) i) to stdout",
		"Q copy town (id, name, b) from stdin (format binary)\nf no", "Q copy (delete from child returning *) to stdout", "Q select 'and on'", "d 1\nc\nQ select 'nobody asked for data'"}},
	{name: "heard while idle", turns: []string{"Q listen ch", "elsewhere notify ch, 'from outside'", "until A\n", "Q begin", "elsewhere notify ch, 'kept'", "Q select 1", "until A\nQ commit", "elsewhere notify ch; notify ch, 'two'; notify ch, 'three'", "until A\n", "until A\n", "until A\n", "Q unlisten ch"}, deaf: true},
	{name: "cancelled", turns: []string{"cancel select pg_sleep(600)", "Q select 'after it'", "Q begin", "cancel select count(*), pg_sleep(600) from town", "Q select 1", "Q rollback", "Q set statement_timeout = 20", "Q select pg_sleep(600)", "Q reset statement_timeout"}},
	{name: "notices of many kinds", turns: []string{"Q do $$ begin raise info 'i'; raise log 'l'; raise debug 'd'; raise notice using message = 'm', errcode = '01ABC', column = 'c', constraint = 'k', datatype = 'd', table = 't', schema = 's'; end $$",
		"Q set client_min_messages = debug1", "Q select shouts('x'||i) from generate_series(1, 200) i", "Q set client_min_messages = warning", "Q truncate town cascade; rollback", "Q begin; truncate town cascade; rollback", "Q drop table if exists a, b cascade", "Q rollback", "Q select shouts('x')/0"}, deaf: true},
	{name: "many parameters and columns", turns: []string{
		"P \"\" select " + numbered(1600, "$%d::int") + "\nD S \"\"\nB \"\" \"\" " + numbered(1600, "%d") + " 1\nD P \"\"\nE \"\" 0\nS", "P \"\" select " + numbered(1665, "%d") + "\nS", "P \"\" select count(*) from unnest(array[" + numbered(9000, "$%d::int") + "])\nB \"\" \"\" " + numbered(9000, "%d") + " -\nE \"\" 0\nS",
		"Q insert into widest values (" + numbered(1600, "%d") + ")", "Q select * from widest", "Q copy widest to stdout", "P \"\" select * from widest\nD S \"\"\nB \"\" \"\" - 1\nE \"\" 0\nS", "Q truncate widest", "Q create temp table wider (" + numbered(1601, "c%d int") + ")"}, deaf: true},
	{name: "what is not text", turns: []string{"\x00510000000073656c6563742027ff2700", "\x00510000000073656c656374202727", "Q set client_encoding = 'LATIN1'", "\x00510000000073656c6563742027e92700", "\x005000000000" + "00" + hex.EncodeToString([]byte("select 'x")) + "c327" + "00" + "0000", "S", "Q reset client_encoding", "Q select e'\\xff'", "Q select U&'\\00e9'"}, deaf: true},
	{name: "long names", turns: []string{"P " + strings.Repeat("n", 100) + " select 1\nB " + strings.Repeat("p", 100) + " " + strings.Repeat("n", 100) + " - -\nE " + strings.Repeat("p", 100) + " 0\nC S " + strings.Repeat("n", 100) + "\nS", "Q select 1 as " + strings.Repeat("c", 100), "Q set application_name = '" + strings.Repeat("a", 200) + "'"}, deaf: true},
	{name: "a function by number, and what is wrong with it", turns: []string{
		"\x004600000000000006a80001000100010000000461626364" + "0000", "\x0046000000000098967f00000000" + "0000", "\x004600000000000006a800000000" + "0000", "\x004600000000000006a8000100010001" + "ffffffff" + "0001", "Q begin; select 1/0", "\x004600000000000006a80001000100010000000461626364" + "0000", "Q rollback"}, deaf: true},
	{name: "large objects by number", turns: []string{"Q begin; select lo_create(77002); select lo_put(77002, 0, decode(repeat('00ff41', 30000), 'hex'))",
		"\x0046000000000000" + "03b8" + "00010001" + "0002" + "0000000400012cca" + "0000000400060000" + "0001", // lo_open(77002, INV_READ | INV_WRITE)
		"\x0046000000000000" + "03ba" + "00010001" + "0002" + "0000000400000000" + "0000000400010000" + "0001", // loread(0, 65536)
		"\x0046000000000000" + "03bb" + "00010001" + "0002" + "0000000400000000" + "0000000461626364" + "0001", // lowrite
		"\x0046000000000000" + "03b9" + "00010001" + "0001" + "0000000400000000" + "0001",                      // lo_close
		"Q select lo_unlink(77002)", "Q rollback", "Q select lo_get(77002)"}},
	{name: "nothing at all", turns: []string{"Q ", "Q  \t ", "Q -- only a comment", "Q /* and */ ; ; -- more", "P \"\" \nD S \"\"\nB \"\" \"\" - -\nD P \"\"\nE \"\" 0\nS", "P \"\" ;\nB \"\" \"\" - -\nE \"\" 0\nS", "S", "H\nS", "P e \nS\nB \"\" e - -\nE \"\" 1\nE \"\" 1\nS"}},
	{name: "settings by the extended protocol", turns: []string{"P \"\" set timezone = 'Asia/Tokyo'\nB \"\" \"\" - -\nE \"\" 0\nS", "P \"\" select set_config('application_name', $1, false)\nB \"\" \"\" set -\nE \"\" 0\nS", "P \"\" set datestyle = german\nB \"\" \"\" - -\nE \"\" 0\nP \"\" select 1/0\nB \"\" \"\" - -\nE \"\" 0\nS", "Q show datestyle", "Q set session characteristics as transaction read only", "Q insert into child values (1, 1)", "Q reset all", "Q set nothing_such = 1", "Q set a.b = 'c'", "Q show a.b"}, deaf: true},
	{name: "a text of a megabyte, and one message in many", turns: []string{"Q select length('" + strings.Repeat("y", 1_000_000) + "')", strings.Repeat("Q select 1\n", 500), "P \"\" select $1::int\n" + strings.Repeat("B \"\" \"\" 1 -\nE \"\" 0\n", 500) + "S", strings.Repeat("P \"\" select 1\nB \"\" \"\" - -\nE \"\" 0\nS\n", 200)}},
	{name: "data for a COPY that has failed", turns: []string{"Q copy child from stdin\nd 1\tx\n" + strings.Repeat("d 1\t1\n", 5000) + "c", "Q copy no_such_table from stdin\nd 1\nd 2\nc", "Q select 'and on'"}},
	{name: "the end in the middle of a transaction", turns: []string{"Q begin; insert into town (id, name) values (8001, 'gone')\nX"}, ends: true},
	{name: "a message that ends too soon", turns: []string{"\x0042000000000070"}, deaf: true},
	{name: "replication by SQL", turns: []string{"Q IDENTIFY_SYSTEM", "Q START_REPLICATION 0/0", "Q select pg_create_logical_replication_slot('s', 'test_decoding')"}, deaf: true},
	{name: "a portal in parts, each flushed", turns: []string{"Q begin", "until 1\nP s select id, name from town order by id\nH", "until s\nB p s - -\nE p 2\nH", "until s\nE p 3\nH", "until D\nB q s - 1\nE q 1\nE p 1\nH", "until 3\nC P q\nH", "until C\nE p 0\nH", "until C\nE p 1\nH", "S", "Q commit",
		"until s\nP \"\" select id from town order by id\nB \"\" \"\" - -\nE \"\" 1\nH", "until s\nE \"\" 1\nH", "until C\nE \"\" 0\nH\nC P \"\"", "S", "E \"\" 1\nS"}},
	{name: "closing what is not there, flushed", turns: []string{"until 3\nC S nope\nH", "until 3\nC P nope\nH", "until 3\nC S \"\"\nC P \"\"\nH", "S", "Q begin", "Q select 1/0", "C S nope\nC P nope\nS", "Q rollback"}},
	{name: "ten thousand messages and one Sync", turns: []string{"P many select $1::int\nS", strings.Repeat("B \"\" many 1 -\nE \"\" 0\n", 5000) + "S", strings.Repeat("B \"\" many 1 -\nE \"\" 0\n", 2500) + "B \"\" many x -\n" + strings.Repeat("B \"\" many 1 -\nE \"\" 0\n", 2500) + "S",
		"until 2\n" + strings.Repeat("B \"\" many 1 -\nE \"\" 0\n", 5000) + "H", "S", strings.Repeat("C S not_there\n", 10_000) + "S", strings.Repeat("H\n", 10_000) + "S"}},
	{name: "a COPY that the client gives up half-way", turns: []string{"Q copy child from stdin\n" + strings.Repeat("d 1\t5\n", 5000) + "f half-way", "Q select count(*) from child",
		"P \"\" copy child from stdin\nB \"\" \"\" - -\nE \"\" 0\n" + strings.Repeat("d 1\t5\n", 5000) + "f half-way\nS", "Q begin; truncate child; copy child from stdin; select 'not reached'\nd 1\t5\nf in a transaction", "Q select 1", "Q rollback",
		"quietly\nQ copy child from stdin\nd 1\t5\nH\nS\nd 2\t6\nS", "until Z\nc", "Q select count(*) from child; truncate child"}},
	{name: "a COPY whose client goes", turns: []string{"Q copy child from stdin\nd 1\t5\nX"}, ends: true},
	{name: "a query among the data of a COPY", turns: []string{"quietly\nQ copy child from stdin\nd 1\t5\nQ select 'swallowed'", "until Z\n", "Q select count(*) from child"}, deaf: true},
	{name: "settings that change in the middle", turns: []string{"Q set timezone = 'Asia/Tokyo'; select at from town where id = 1; set timezone = 'UTC'; select at from town where id = 1; set application_name = 'twice'; select 1",
		"Q begin; set local timezone = 'Asia/Tokyo'; select id from town where id < 3 order by id; rollback; select 2", "P \"\" set application_name = 'by parts'\nB \"\" \"\" - -\nE \"\" 0\nP \"\" select id from town order by id\nB \"\" \"\" - -\nE \"\" 3\nH\nE \"\" 0\nS",
		"Q set timezone = 'Asia/Tokyo'; select 1/0; select 2", "Q show timezone", "Q reset all"}},
	{name: "a function that changes settings", turns: []string{"Q select set_config('timezone', z, false) from (values ('Asia/Tokyo'), ('UTC'), ('Asia/Tokyo')) v(z)", "P \"\" select set_config('application_name', 'a'||i, false) from generate_series(1, 5) i\nB \"\" \"\" - -\nE \"\" 2\nH\nE \"\" 0\nS", "Q discard all"}, deaf: true},
	{name: "notified by itself, among results", turns: []string{"Q listen ch", "Q begin; notify ch, 'kept'; select id from town where id < 3 order by id; commit; select 'after'", "P \"\" notify ch\nB \"\" \"\" - -\nE \"\" 0\nP \"\" select id from town where id < 3 order by id\nB \"\" \"\" - -\nE \"\" 0\nS", "Q notify ch; select 1/0", "Q notify ch, ''; select 1", "Q unlisten *"}, deaf: true},
}

// numbered is a list with commas of a form with each number.
func numbered(n int, form string) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, form, i+1)
	}
	return b.String()
}

// asleep waits until somebody sleeps in this database.
func asleep(t *testing.T, database string) {
	t.Helper()
	eventually(t, "the statement sleeps", func() bool {
		out, err := cluster.SQL(context.Background(), "postgres", "select count(*) from pg_stat_activity where wait_event = 'PgSleep' and datname = '"+database+"'")
		return err == nil && strings.TrimSpace(out) == "1"
	})
}

// cancels sends a CancelRequest, and waits until the server has taken it.
func cancels(t *testing.T, conf *pgconn.Config, pid uint32, key []byte) {
	t.Helper()
	network, address := pgconn.NetworkAddress(conf.Host, conf.Port)
	conn, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	request := be.AppendUint32(be.AppendUint32(be.AppendUint32(nil, uint32(12+len(key))), codeCancel), pid)
	conn.Write(append(request, key...))
	conn.Read(make([]byte, 1))
}
