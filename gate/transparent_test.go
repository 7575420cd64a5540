package gate

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"sekisho/catalog"
)

// A conversation is what a client says, in turns: it says the next when the
// server has said all there is to say to the one before.
type conversation struct {
	name  string
	turns []string // as for raw; "\x00" begins hexadecimal bytes as they are
	// deaf: what of it does not pass a gate that has something to protect.
	deaf bool
	ends bool // the server closes the connection
}

// The unprotected tables that they are about.
var plainSchema = `
create table public.town (id int primary key, name text not null, note text default 'none', at timestamptz, n numeric, b bytea);
insert into public.town select i, 'town '||i, null, timestamptz '2014-09-22 00:00+09' + i * interval '1 hour', i/7.0, decode(lpad(to_hex(i),4,'0'),'hex') from generate_series(1,2000) i;
create table public.child (id int references public.town, v int check (v > 0));
create function public.shouts(t text) returns int language plpgsql as $$ begin raise notice 'hears %', t using hint = 'nothing to do', detail = 'a detail'; raise warning 'and again'; return length(t); end $$;
create table public.widest (` + numbered(1600, "c%d int") + `);
grant all on public.town, public.child, public.widest to staff;
`

var wide = func() string {
	var b strings.Builder
	for i := range 1600 {
		fmt.Fprintf(&b, ", %d as c%d", i, i)
	}
	return b.String()[1:]
}()

var talks = []conversation{
	{name: "simple", turns: []string{"Q select * from town where id < 4 order by id", "Q ", "Q ;", "Q select", "Q select null, '', 'å旅'", "Q select 1; select 2 as two; ; select 'three'"}},
	{name: "all of a table", turns: []string{"Q select * from town order by id", "Q table town limit 3", "Q select t from town t where id=1"}},
	{name: "errors", turns: []string{"Q selec 1", "Q select nothing from town", "Q select 1/0", "Q select 1; select 1/0; select 2", "Q insert into town (id) values (1)", "Q insert into child values (99999, 1)", "Q insert into child values (1, -1)", "Q select * from nowhere.at_all", "Q select 'x'::int"}},
	{name: "transactions", turns: []string{"Q begin", "Q select 1", "Q savepoint a", "Q select 1/0", "Q select 2", "Q rollback to a", "Q commit", "Q commit", "Q begin; insert into town values (5000,'x'); rollback", "Q begin isolation level serializable read only", "Q insert into town values (5001,'x')", "Q end"}},
	{name: "settings", turns: []string{"Q set application_name = 'a b'", "Q set datestyle = 'SQL, DMY'", "Q select at from town where id=1", "Q set timezone = 'Asia/Tokyo'", "Q select at from town where id=1", "Q begin; set local intervalstyle = 'iso_8601'", "Q rollback", "Q reset all", "Q show server_version", "Q set client_encoding = 'EUC_JP'", "Q set client_encoding = 'UTF8'", "Q discard all"}},
	{name: "writes", turns: []string{"Q insert into town values (6000,'new') returning id, note", "Q update town set name = 'newer' where id = 6000 returning name", "Q delete from town where id = 6000", "Q truncate child", "Q insert into child values (1,1),(2,2)", "Q with d as (delete from child returning *) select count(*) from d"}},
	{name: "copy out", turns: []string{"Q copy town to stdout", "Q copy (select id, name from town where id < 5 order by id) to stdout (format csv, header)", "Q copy (select id, n, b from town where id < 5 order by id) to stdout (format binary)", "Q copy nothing to stdout", "Q copy (select 1/(id-2) from generate_series(1, 3) id) to stdout"}},
	{name: "copy in", turns: []string{"Q copy child from stdin\nd 1\t5\nd 2\t6\nc", "Q copy child from stdin\nd 1\t5\nf the client gave up", "Q copy child from stdin\nd 1\tx\nc", "Q copy child from stdin\nd 99999\t1\nc", "Q copy child from stdin (format csv)\nd 1,7\nd 2,8\nc", "Q select count(*) from child", "Q truncate child"}},
	{name: "extended", turns: []string{
		"P \"\" select name from town where id = $1\nD S \"\"\nB \"\" \"\" 7 -\nD P \"\"\nE \"\" 0\nS",
		"P s1 select id, n, b from town where id between $1 and $2 order by id\nS", "B \"\" s1 1,3 1\nE \"\" 0\nS", "B \"\" s1 1,3 0,1,1\nD P \"\"\nE \"\" 0\nS", "D S s1\nS", "C S s1\nS", "C S s1\nS", "B \"\" s1 1,3 -\nE \"\" 0\nS",
		"P \"\" insert into child values ($1, 1)\nB \"\" \"\" 1 -\nE \"\" 0\nS", "P \"\" \nB \"\" \"\" - -\nE \"\" 0\nS", "P \"\" truncate child\nB \"\" \"\" - -\nE \"\" 0\nS"}},
	{name: "portals", turns: []string{"Q begin", "P s select id from town order by id\nB p1 s - -\nE p1 2\nE p1 3\nH\nS", "E p1 1\nB p2 s - 1\nE p2 2\nE p1 1\nC P p1\nE p1 1\nS", "Q rollback", "P \"\" select id from town order by id\nB \"\" \"\" - -\nE \"\" 5\nE \"\" 5\nS", "E \"\" 5\nS"}},
	{name: "cursors", turns: []string{"Q begin; declare c scroll cursor for select id, name from town order by id", "Q fetch 3 from c", "Q fetch backward 1 from c", "Q move 5 in c", "Q fetch next from c", "Q close c; commit", "Q declare h cursor with hold for select id from town order by id", "Q fetch 2 from h", "Q close h", "Q prepare q(int) as select name from town where id = $1", "Q execute q(5)", "Q explain (costs off) execute q(5)", "Q deallocate q", "Q execute q(5)"}},
	{name: "pipelines", turns: []string{
		"P \"\" select 1\nB \"\" \"\" - -\nE \"\" 0\nP \"\" select 1/0\nB \"\" \"\" - -\nE \"\" 0\nP x select 3\nB \"\" x - -\nE \"\" 0\nS\nP \"\" select 4\nB \"\" \"\" - -\nE \"\" 0\nS\nB \"\" x - -\nE \"\" 0\nS",
		"P a select 1\nP a select 2\nS\nP a select 2\nS\nC S a\nS", "B \"\" nope - -\nS", "P \"\" select $1::int\nB \"\" \"\" - -\nS", "P \"\" select $1::int\nB \"\" \"\" x -\nE \"\" 0\nS", "P \"\" select 1; select 2\nS", "D S gone\nS", "D P gone\nS", "E gone 0\nS", "S\nS\nS",
		"Q select 1\nQ select 2\nQ selec\nQ select 3"}},
	{name: "notices", turns: []string{"Q select shouts('hello')", "P \"\" select shouts('x')\nB \"\" \"\" - -\nE \"\" 0\nS", "Q drop table if exists not_there", "Q set client_min_messages = error", "Q select shouts('hello')"}, deaf: true},
	{name: "notifications", turns: []string{"Q listen ch", "Q notify ch, 'a payload'", "Q begin; notify ch; notify ch, 'two'; commit", "Q unlisten *", "Q notify ch, 'nobody'"}, deaf: true},
	{name: "code", turns: []string{"Q do $$ begin raise notice 'from a block'; end $$", "Q do $$ begin perform 1/0; end $$", "Q create temp table made as select id from town where id < 3", "Q select id+0 from made", "Q drop table made"}, deaf: true},
	{name: "strings", turns: []string{`Q set standard_conforming_strings = off`, `Q select 'a\'b'`, `Q set standard_conforming_strings = on`, `Q select 'a\b', e'a\nb', U&'\0061'`}, deaf: true},
	{name: "another encoding", turns: []string{"Q set client_encoding = 'SJIS'", "\x0051000000170073656c6563742027957c27", "Q set client_encoding = 'UTF8'"}, deaf: true},
	{name: "roles", turns: []string{"Q select current_user", "Q set role staff", "Q reset role", "Q set session authorization default", "Q set role nobody_at_all"}, deaf: true},
	{name: "large", turns: []string{"Q select repeat('x', 3000000)", "Q select repeat('x', 1000000) from generate_series(1,5)", "P \"\" select length($1), $1::text\nB \"\" \"\" " + strings.Repeat("long ", 1)[:4] + " -\nE \"\" 0\nS", "Q select '" + strings.Repeat("z", 900_000) + "'"}},
	{name: "wide", turns: []string{"Q select" + wide, "P \"\" select" + wide + "\nB \"\" \"\" - 1\nD P \"\"\nE \"\" 0\nS"}},
	{name: "large objects", turns: []string{"Q begin", "Q select lo_create(77001)", "Q select lo_put(77001, 0, 'abcdef')", "Q select lo_get(77001)", "Q select lo_open(77001, 393216)",
		// loread(0, 3), and then of a descriptor that is not open.
		"\x0046000000000000" + "03ba" + "00010001" + "0002" + "0000000400000000" + "0000000400000003" + "0001",
		"\x0046000000000000" + "03ba" + "00010001" + "0002" + "0000000400000063" + "0000000400000003" + "0001",
		"Q select 1", "Q rollback"}},
	{name: "a function by number", turns: []string{"\x00460000001a000006a80001000100010000000461626364" + "0000"}, deaf: true},
	{name: "the server ends it", turns: []string{"Q select pg_terminate_backend(pg_backend_pid())"}, deaf: true, ends: true},
	{name: "a message that nobody knows", turns: []string{"\x00790000000400"}, deaf: true, ends: true},
	{name: "a goodbye in the middle", turns: []string{"Q select 1\nX"}, ends: true},
}

// bytesOf are what a turn sends.
func bytesOf(turn string) []byte {
	if hexed, ok := strings.CutPrefix(turn, "\x00"); ok {
		var b []byte
		fmt.Sscanf(hexed, "%x", &b)
		if len(b) > 5 || b[0] == 'F' {
			binary.BigEndian.PutUint32(b[1:], uint32(len(b)-1)) // the length need not be counted by hand
		}
		return b
	}
	return messages(turn)
}

// cycles is how many ReadyForQuery answer a turn.
func cycles(b []byte) (n int) {
	for len(b) >= 5 {
		if strings.IndexByte("QSF", b[0]) >= 0 {
			n++
		}
		b = b[min(len(b), 1+int(binary.BigEndian.Uint32(b[1:]))):]
	}
	return n
}

// A road is how a client comes to a server.
type road struct {
	name   string
	secure *tls.Config
	direct bool // TLS from the first byte
	crumbs bool // what it sends comes in small pieces
}

// hold has a conversation, and gives all that the server said, from the
// AuthenticationOk on. Process ids are those of keys, so they are left out.
func hold(t *testing.T, dsn string, by road, c conversation) []byte {
	t.Helper()
	var heard bytes.Buffer
	up := dialHeard(t, dsn, by, &heard)
	conf, err := pgconn.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	r := &raw{t: t, conn: up.Conn}
	defer r.conn.Close()
	for _, turn := range c.turns {
		if sql, ok := strings.CutPrefix(turn, "elsewhere "); ok {
			if _, err := cluster.SQL(context.Background(), conf.Database, sql); err != nil {
				t.Fatal(err)
			}
			continue
		}
		until, cancel, quietly := byte(0), false, false
		if after, ok := strings.CutPrefix(turn, "until "); ok {
			until, turn = after[0], after[2:]
		} else if after, ok := strings.CutPrefix(turn, "quietly\n"); ok {
			turn, quietly = after, true
		} else if sql, ok := strings.CutPrefix(turn, "cancel "); ok {
			cancel, turn = true, "Q "+sql
		}
		b := bytesOf(turn)
		if r.split = nil; by.crumbs && len(b) < 4<<10 {
			r.split = rand.New(rand.NewPCG(uint64(len(b)), 1))
		}
		sent := make(chan struct{})
		go func() { r.send(b); close(sent) }()
		if cancel {
			asleep(t, conf.Database)
			cancels(t, conf, up.PID, up.SecretKey)
		}
		n := cycles(b)
		if quietly {
			n = 0
		}
		for n > 0 || until != 0 || c.ends {
			typ, body, ok := r.receive()
			if !ok {
				heard.WriteString("(the end)")
				return heard.Bytes()
			}
			if typ == 'A' {
				clear(body[:4])
			}
			heard.Write(appendMessage(nil, typ, string(body)))
			if typ == 'Z' {
				n--
			}
			if typ == until {
				until = 0
			}
		}
		<-sent
	}
	return heard.Bytes()
}

// dialHeard connects, and writes what the server said after it had taken the
// password into heard.
func dialHeard(t *testing.T, dsn string, by road, heard *bytes.Buffer) *pgconn.HijackedConn {
	t.Helper()
	conf, err := pgconn.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	network, address := pgconn.NetworkAddress(conf.Host, conf.Port)
	conn, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(5 * time.Minute))
	if by.direct {
		conn = tls.Client(conn, by.secure)
	} else if by.secure != nil {
		if conn, err = encrypted(context.Background(), conn, by.secure); err != nil {
			t.Fatal(err)
		}
	}
	// pgconn says who we are; what it reads is heard as well.
	ear := &ear{Conn: conn}
	conf.DialFunc = func(context.Context, string, string) (net.Conn, error) { return ear, nil }
	c, err := pgconn.ConnectConfig(context.Background(), conf)
	if err != nil {
		t.Fatal(err)
	}
	up, err := c.Hijack()
	if err != nil {
		t.Fatal(err)
	}
	if err := quiet(up); err != nil {
		t.Fatal(err)
	}
	all := ear.heard.Bytes()
	ok, _ := (&pgproto3.AuthenticationOk{}).Encode(nil)
	_, said, found := bytes.Cut(all, ok)
	if !found {
		t.Fatalf("no AuthenticationOk in %q", all)
	}
	for len(said) > 0 {
		n := 1 + int(binary.BigEndian.Uint32(said[1:]))
		if said[0] != 'K' {
			heard.Write(said[:n])
		}
		said = said[n:]
	}
	return up
}

type ear struct {
	net.Conn
	heard bytes.Buffer
}

func (e *ear) Read(b []byte) (int, error) {
	n, err := e.Conn.Read(b)
	e.heard.Write(b[:n])
	return n, err
}

// Where nothing is protected, the gate is as if it were not there: the same
// bytes, whatever is said. Where something else is, the same holds for all that
// a gate lets pass.
func TestTransparent(t *testing.T) {
	ctx := context.Background()
	model := newHouse(t) // makes the roles
	model.stop()
	make_ := func(name string) string {
		t.Helper()
		if name == "town_model" {
			_, err := cluster.SQL(ctx, "postgres", "create database "+name)
			if err == nil {
				_, err = cluster.SQL(ctx, name, plainSchema)
			}
			if err != nil {
				t.Fatal(err)
			}
			return name
		}
		if _, err := cluster.SQL(ctx, "postgres", "create database "+name+" template town_model"); err != nil {
			t.Fatal(err)
		}
		return name
	}
	make_("town_model")
	for _, c := range []struct {
		name    string
		protect bool
	}{{"nothing is protected", false}, {"something else is protected", true}} {
		t.Run(c.name, func(t *testing.T) {
			suffix := fmt.Sprintf("%t", c.protect)
			open := make_("town_direct_" + suffix)
			gated := make_("town_gate_" + suffix)
			if c.protect {
				for _, db := range []string{open, gated} {
					if _, err := cluster.SQL(ctx, db, "create table public.secret (who int primary key); grant select on public.secret to staff, reader"); err != nil {
						t.Fatal(err)
					}
				}
			}
			h := newHouse(t, func(o *options) {
				o.gate.Upstream.Database = gated
				o.catalog = catalog.Config{}
				if c.protect {
					o.catalog.Subjects = []catalog.Subject{{Name: "secret", Table: "public.secret", Key: "who"}}
					o.catalog.Unprotected = []string{catalog.LargeObjects}
					o.catalog.Tables = []catalog.Table{{Name: "public.secret", Subject: "secret", Key: "who"}}
				}
			})
			h.dbname = gated
			direct := fmt.Sprintf("host=%s port=%d user=staff password=upstream dbname=%s sslmode=disable", cluster.SocketDir(), cluster.Port(), open)
			secure := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"postgresql"}}
			roads := []road{{name: "as it is"}, {name: "in crumbs", crumbs: true}, {name: "by TLS", secure: secure}, {name: "by TLS from the start", secure: secure, direct: true}}
			if c.protect {
				roads = roads[:2]
			}
			for _, conv := range slices.Concat(talks, moreTalks) {
				if c.protect && conv.deaf {
					continue
				}
				for _, by := range roads {
					// What one conversation leaves in the database, the next finds: so
					// each is held as often directly.
					want := hold(t, direct, road{}, conv)
					got := hold(t, h.dsn("sato"), by, conv)
					if !bytes.Equal(got, want) {
						i := 0
						for i < min(len(got), len(want)) && got[i] == want[i] {
							i++
						}
						t.Errorf("%s (%s): from byte %d on\n got %q\nwant %q", conv.name, by.name, i, got[max(0, i-100):min(len(got), i+300)], want[max(0, i-100):min(len(want), i+300)])
					}
				}
			}
			h.stop()
			if a := h.accounts(); len(a) != 0 {
				t.Errorf("%d accesses", len(a))
			}
		})
	}
}
