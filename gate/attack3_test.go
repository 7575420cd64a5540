package gate

import (
	"context"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sekisho/catalog"
)

// What is tried with letters that are read in two ways, keys that are equal and
// not the same, what was proven before, and two hands at once.

// In a collation of this kind two spellings are one key to the database, which
// would be two people to the ledger, or one of two.
func TestKeysThatAreEqualAndNotTheSame(t *testing.T) {
	h := newHouse(t, func(o *options) {
		_, err := cluster.SQL(context.Background(), o.gate.Upstream.Database, `
create collation crm.loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
create table crm.loose (who text collate crm.loose primary key, email text);
create table crm.tied (who text collate crm.loose references crm.loose, note text);
insert into crm.loose values ('Alice', 'm1@example.jp'), ('bob', 'm2@example.jp');
insert into crm.tied values ('ALICE', 'm1@example.jp'), ('alice', 'm1@example.jp'), ('BOB', 'm2@example.jp');
grant select on crm.loose, crm.tied to staff, reader;`)
		if err != nil {
			t.Fatal(err)
		}
		o.catalog.Tables = append(o.catalog.Tables, catalog.Table{Name: "crm.loose", Subject: "holder", Key: "who"}, catalog.Table{Name: "crm.tied", Subject: "holder", Key: "who"})
	})
	for _, sql := range []string{
		"select note from crm.tied where who = 'aLiCe'", "select count(*) from crm.tied", "select who from crm.tied group by who",
		"select email from crm.loose where who = 'ALICE'", "copy crm.tied to stdout", "select string_agg(note, ',') from crm.tied join crm.loose using (who)",
	} {
		if got := h.raw("sato").run("Q " + sql); strings.Contains(got, "\nD ") && !strings.Contains(got, "E \"") || strings.Contains(got, "example.jp") {
			t.Errorf("%s: it went out:\n%.600s", sql, got)
		}
	}
	h.raw("watched").run("Q select note from crm.tied where who = 'aLiCe'")
	if keys, anyRow := h.told(); anyRow == 0 {
		t.Errorf("observed: the ledger names %v, and not everybody", keys)
	}
}

// inEncoding makes the house's database anew, in another encoding.
func inEncoding(t *testing.T, encoding, key string) option {
	return func(o *options) {
		name := o.gate.Upstream.Database
		for _, c := range []struct{ in, sql string }{
			{"postgres", "drop database " + name},
			{"postgres", "create database " + name + " encoding '" + encoding + "' locale 'C' template template0"},
			{name, `set client_encoding = UTF8; create schema crm;
create table crm.member (member_no bigint primary key, name text, email text, city text, joined date);
insert into crm.member select 1000+i, 'name'||i, 'm'||i||'@example.jp', 'Tokyo', '2010-01-01' from generate_series(1, 50) i;
create table crm.passport (member_no bigint references crm.member, passport_no text, expires_on date);
create table crm.textual (who text primary key, note text);
insert into crm.textual values ('K-1', 'm1@example.jp'), (` + key + `, 'other');
grant usage on schema crm to staff, reader; grant select on all tables in schema crm to staff, reader;`},
		} {
			if _, err := cluster.SQL(context.Background(), c.in, c.sql); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestDatabasesInOtherEncodings(t *testing.T) {
	for _, c := range []struct {
		encoding, key string
		reads         string // the key, if the gate can read it
	}{
		{"EUC_JP", "'表-1'", "表-1"}, {"LATIN1", "'é-1'", "é-1"}, {"SQL_ASCII", `E'\x95\x5c-1'`, ""}, {"EUC_KR", "'表-1'", "表-1"},
	} {
		t.Run(c.encoding, func(t *testing.T) {
			h := newHouse(t, inEncoding(t, c.encoding, c.key))
			got := h.raw("sato").run("Q select note from crm.textual where note = 'other'")
			keys, _ := h.told()
			if c.reads == "" {
				if strings.Contains(got, `"other"`) {
					t.Errorf("a key that is no UTF-8:\n%s", got)
				}
			} else if !strings.Contains(got, `D "other"`) || !slices.Contains(keys, c.reads) {
				t.Errorf("the ledger names %q:\n%s", keys, got)
			}
			// 0x95 0x5C is a letter in Shift JIS, and ends in a backslash in all that
			// read byte by byte; so does 0xA5 0x5C in Big5, and 0x81 0x5C in GBK.
			for _, as := range []struct{ encoding, letter string }{{"SJIS", "\x95\x5c"}, {"BIG5", "\xa5\x5c"}, {"GBK", "\x81\x5c"}, {"EUC_JP", "\xc9\xbd"}, {"LATIN1", "\xc3\x5c"}} {
				for _, before := range []string{"Q set client_encoding = '" + as.encoding + "'\n", "Q select set_config('client_encoding', '" + as.encoding + "', false)\n", "Q begin; set local client_encoding = '" + as.encoding + "'\n"} {
					for _, off := range []string{"", "Q set standard_conforming_strings = off\n", "Q set backslash_quote = on\n"} {
						for _, script := range []string{
							"Q select '" + as.letter + "', email from crm.member where member_no = 1042 --'",
							"Q select E'" + as.letter + "', email from crm.member where member_no = 1042 --'",
							"Q select 'x' as \"" + as.letter + "\", email from crm.member where member_no = 1042",
						} {
							r := h.raw("sato")
							got := r.run(before + off + script + "\nQ rollback")
							h.mustBeTold(c.encoding+" "+as.encoding+" "+before+off+script, got)
							r.conn.Close()
						}
					}
				}
			}
		})
	}
}

// A scramTry is the beginning of one authentication, by hand.
type scramTry struct {
	conn  net.Conn
	first string // the server's
}

func (h *house) scram(user, nonce string) *scramTry {
	h.t.Helper()
	conn, err := net.Dial("tcp", h.addr)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { conn.Close() })
	s := &scramTry{conn: conn}
	conn.Write(startup(3<<16, "user", user, "database", h.dbname))
	s.receive(h.t)
	first := "n,,n=,r=" + nonce
	conn.Write(appendMessage(nil, 'p', scramPlain+"\x00"+string(be.AppendUint32(nil, uint32(len(first))))+first))
	_, body := s.receive(h.t)
	s.first = body[4:]
	return s
}

func (s *scramTry) receive(t testing.TB) (typ byte, body string) {
	t.Helper()
	s.conn.SetReadDeadline(time.Now().Add(2 * time.Minute))
	var head [5]byte
	if _, err := io.ReadFull(s.conn, head[:]); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, be.Uint32(head[1:])-4)
	if _, err := io.ReadFull(s.conn, b); err != nil {
		t.Fatal(err)
	}
	return head[0], string(b)
}

func (s *scramTry) parts() (nonce, salt string, iterations int) {
	for part := range strings.SplitSeq(s.first, ",") {
		switch k, v, _ := strings.Cut(part, "="); k {
		case "r":
			nonce = v
		case "s":
			salt = v
		case "i":
			iterations, _ = strconv.Atoi(v)
		}
	}
	return
}

// final is the client's last message, with a proof for these nonces.
func (s *scramTry) final(t testing.TB, password, nonce string) string {
	own, salt, iterations := s.parts()
	raw, err := base64.StdEncoding.DecodeString(salt)
	if err != nil {
		t.Fatal(err)
	}
	salted, err := pbkdf2.Key(sha256.New, password, raw, iterations, sha256.Size)
	if err != nil {
		t.Fatal(err)
	}
	clientKey := mac(salted, "Client Key")
	stored := sha256.Sum256(clientKey)
	without := "c=biws,r=" + own
	signature := mac(stored[:], "n=,r="+nonce+","+s.first+","+without)
	subtle.XORBytes(clientKey, clientKey, signature)
	return without + ",p=" + base64.StdEncoding.EncodeToString(clientKey)
}

// What was proven once proves nothing again.
func TestProofsOfAnotherConnection(t *testing.T) {
	h := newHouse(t)
	one := h.scram("sato", "abc")
	proof := one.final(t, "open sesame", "abc")
	one.conn.Write(appendMessage(nil, 'p', proof))
	if typ, body := one.receive(t); typ != 'R' || !strings.Contains(body, "v=") {
		t.Fatalf("the proof itself: %c %q", typ, body)
	}
	for _, change := range []func(s *scramTry) string{
		func(*scramTry) string { return proof },
		func(s *scramTry) string {
			nonce, _, _ := s.parts()
			old, _, _ := one.parts()
			return strings.Replace(proof, old, nonce, 1)
		},
		func(s *scramTry) string { return strings.Replace(s.final(t, "open sesame", "abc"), "biws", "eSws", 1) }, // y instead of n
		func(s *scramTry) string { return s.final(t, "open sesame", "abc") + ",p=AAAA" },
		func(s *scramTry) string {
			return strings.Replace(s.final(t, "open sesame", "abc"), "r=abc", "r=abd", 1)
		},
		func(s *scramTry) string { return strings.Repeat("x", maxSASL) + proof },
	} {
		s := h.scram("sato", "abc")
		msg := change(s)
		s.conn.Write(appendMessage(nil, 'p', msg))
		if typ, body := s.receive(t); typ != 'E' {
			t.Errorf("%.80q is taken: %c %q", msg, typ, body)
		}
	}
}

// Whether a name exists cannot be told from what comes before the proof, by
// asking twice, or again after the gate was started anew.
func TestNamesThatNobodyHasLookLikeOthers(t *testing.T) {
	h := newHouse(t, func(o *options) {
		o.gate.Principals[0].Verifier = "SCRAM-SHA-256$10000:" + base64.StdEncoding.EncodeToString([]byte("a salt of twenty-four by")) + "$" + strings.SplitN(o.gate.Principals[0].Verifier, "$", 3)[2]
		o.gate.Principals[1].Verifier = o.gate.Principals[0].Verifier
	})
	looks := func() (all []string) {
		for _, user := range []string{"sato", "nobody", "somebody"} {
			_, salt, iterations := h.scram(user, "abc").parts()
			if len(salt) != 32 || iterations != 10000 {
				t.Errorf("%s: a salt of %d letters, %d iterations", user, len(salt), iterations)
			}
			all = append(all, salt)
		}
		return all
	}
	before := looks()
	if again := looks(); !slices.Equal(before, again) || before[1] == before[2] {
		t.Errorf("asked twice: %v, then %v", before, again)
	}
	h.stop()
	h.open()
	if after := looks(); !slices.Equal(before, after) {
		t.Errorf("the gate was started again: %v, then %v", before, after)
	}
}

// Two connections that use one approval at the same moment: one of them does.
func TestAnApprovalForTwoAtOnce(t *testing.T) {
	var h *house
	h = newHouse(t, askAbove(10, &h))
	const sql = "select name from crm.member where city <> 'Kyoto'"
	raws := []*raw{h.raw("sato"), h.raw("sato")}
	for round := range 5 {
		h.approve(reference(t, h.psql("sato", sql)), 2000, time.Now().Add(time.Hour))
		var both sync.WaitGroup
		var got [2]string
		for i, r := range raws {
			both.Go(func() { got[i] = r.run([]string{"Q " + sql, "Q begin\nQ " + sql + "\nQ rollback"}[round%2]) })
		}
		both.Wait()
		if all := strings.Count(got[0]+got[1], "SELECT 1000"); all != 1 {
			t.Errorf("round %d: %d went through", round, all)
		}
	}
	// Rolled back, and under a savepoint, it is used all the same; another spelling
	// or another who asks has none.
	h.approve(reference(t, h.psql("sato", sql)), 2000, time.Now().Add(time.Hour))
	for i, c := range []struct{ who, script string }{
		{"suzuki", "Q " + sql}, {"sato", "Q select name  from crm.member where city <> 'Kyoto' or false"}, {"sato", "Q select name from crm.member where city <> 'kyoto'"},
		{"sato", "Q begin\nQ savepoint a\nQ " + sql + "\nQ rollback to a\nQ " + sql + "\nQ rollback"}, {"sato", "Q " + sql},
	} {
		want := 0
		if i == 3 {
			want = 1
		}
		if all := strings.Count(h.raw(c.who).run(c.script), "SELECT 1000"); all != want {
			t.Errorf("%s, %s: %d went through, want %d", c.who, c.script, all, want)
		}
	}
}

// Cancels at every moment: what came before is in the ledger, the session goes
// on, and nobody else is hit.
func TestCancelsAtEveryMoment(t *testing.T) {
	h := newHouse(t)
	ctx := context.Background()
	one, other := h.connect("sato"), h.connect("sato")
	done := make(chan bool)
	var hands sync.WaitGroup
	end := sync.OnceFunc(func() { close(done); hands.Wait() })
	defer end()
	hands.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				one.PgConn().CancelRequest(ctx)
			}
		}
	})
	hands.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				if _, err := other.Exec(ctx, "select pg_sleep(0.002), count(*) from crm.airport"); err != nil {
					t.Errorf("another session was hit: %v", err)
					return
				}
			}
		}
	})
	var read strings.Builder
	cancelled, through := 0, 0
	for i := range 120 {
		from := 1001 + i*8
		lines := []string{
			fmt.Sprintf("select email from crm.member where member_no between %d and %d", from, from+7),
			fmt.Sprintf("begin; select email from crm.member where member_no between %d and %d; commit", from, from+7),
			fmt.Sprintf("select string_agg(email, ',') from crm.member where member_no between %d and %d", from, from+7),
			fmt.Sprintf("copy (select email from crm.member where member_no between %d and %d) to stdout", from, from+7),
		}
		var err error
		switch k := i % 4; k {
		case 3:
			_, err = one.PgConn().CopyTo(ctx, &read, lines[k])
		default:
			results := one.PgConn().Exec(ctx, lines[k])
			for results.NextResult() {
				rows := results.ResultReader()
				for rows.NextRow() {
					fmt.Fprintf(&read, "%s\n", rows.Values()[0])
				}
				rows.Close()
			}
			err = results.Close()
		}
		switch {
		case err == nil:
			through++
		case sqlstate(err) == "57014":
			cancelled++
			for err != nil { // which may be hit, too
				_, err = one.Exec(ctx, "rollback", pgx.QueryExecModeSimpleProtocol)
			}
		default:
			t.Fatalf("statement %d: %v", i, err)
		}
	}
	end()
	h.mustBeAllTold(read.String())
	t.Logf("%d were cancelled, %d went through", cancelled, through)
}

// mustBeAllTold is mustBeTold for much: the ledger names everybody.
func (h *house) mustBeAllTold(read string) {
	h.t.Helper()
	keys, _ := h.told()
	told := map[string]bool{}
	for _, k := range keys {
		told[k] = true
	}
	for _, m := range address.FindAllStringSubmatch(read, -1) {
		n, _ := strconv.Atoi(m[1])
		if !told[strconv.Itoa(1000+n)] {
			h.t.Errorf("%s was read, and the ledger does not name them", m[0])
		}
	}
}
