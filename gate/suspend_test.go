package gate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"sekisho"
	"sekisho/catalog"
)

// A million members more, so that whoever copies them is in the middle for a
// while.
const million = `insert into crm.member select 1000+i, 'name'||i, 'm'||i||'@example.jp', 'Kyoto', date '2010-01-01' from generate_series(1001,1000000) i`

// A counted reads a COPY and tells when it has begun.
type counted struct {
	rows, partial int
	begun         chan struct{}
	once          sync.Once
}

func (c *counted) Write(b []byte) (int, error) {
	c.rows += strings.Count(string(b), "\n")
	if c.partial = 0; len(b) > 0 && b[len(b)-1] != '\n' {
		c.partial = 1
	}
	if c.rows > 1000 {
		c.once.Do(func() { close(c.begun) })
	}
	return len(b), nil
}

var everyone = map[string]func(h *house) *Suspension{
	"endpoint": func(*house) *Suspension {
		return &Suspension{Endpoints: map[string]uint64{"unverified@127.0.0.1": 7}, Contact: "Call 1234."}
	},
	"address": func(*house) *Suspension {
		return &Suspension{Addresses: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Contact: "Call 1234."}
	},
	"principal": func(h *house) *Suspension {
		return &Suspension{Principals: map[uint32]uint64{h.vault.Space("staff").OfText([]byte("sato")): 7}, Contact: "Call 1234."}
	},
	"role": func(*house) *Suspension {
		return &Suspension{Roles: map[string]uint64{"staff": 7}, Contact: "Call 1234."}
	},
}

// Whoever is shut out in the middle of a million rows reads why, gets no more
// of them, and does not come in again before it is lifted; whatever they got
// stands in the ledger.
func TestSuspendInTheMiddleOfAMillionRows(t *testing.T) {
	h := newHouse(t)
	h.asOwner(million)
	for name, tls := range map[string]string{"without TLS": "disable", "TLS": "require"} {
		for what, of := range everyone {
			t.Run(name+" by "+what, func(t *testing.T) {
				before := len(h.accounts())
				dsn := strings.Replace(h.dsn("sato"), "sslmode=disable", "sslmode="+tls, 1)
				conn, err := pgconn.Connect(t.Context(), dsn)
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close(context.Background())
				got := &counted{begun: make(chan struct{})}
				ended := make(chan error, 1)
				go func() {
					_, err := conn.CopyTo(context.Background(), got, "copy crm.member to stdout")
					ended <- err
				}()
				<-got.begun
				if n := h.gate.Suspend(of(h)); n != 1 {
					t.Errorf("%d sessions were ended, want 1", n)
				}
				shutOut(t, <-ended, "57P01", "Call 1234.")
				if got.rows >= 1_000_000 || got.partial != 0 {
					t.Errorf("%d whole rows, and %d cut through", got.rows, got.partial)
				}
				_, err = pgconn.Connect(t.Context(), dsn)
				shutOut(t, err, "28000", "Call 1234.")
				h.gate.Suspend(nil)
				again, err := pgconn.Connect(t.Context(), dsn)
				if err != nil {
					t.Fatalf("after the lift: %v", err)
				}
				if r := again.ExecParams(t.Context(), "select name from crm.member where member_no = 1001", nil, nil, nil, nil).Read(); r.Err != nil || len(r.Rows) != 1 {
					t.Errorf("after the lift: %d rows, %v", len(r.Rows), r.Err)
				}
				again.Close(context.Background())
				h.until("the access is closed", func() bool {
					all := h.accounts()[before:]
					return len(all) > 0 && all[0].closed != nil
				})
				if a := h.accounts()[before]; len(a.keys) < got.rows || a.closed.Outcome != sekisho.CutOff {
					t.Errorf("the client has %d rows, the ledger %d (%v)", got.rows, len(a.keys), a.closed.Outcome)
				}
			})
		}
	}
	h.stop()
	var reasons []string
	for _, e := range h.entries() {
		switch b := e.Body.(type) {
		case *sekisho.SessionClosed:
			reasons = append(reasons, "closed "+b.Reason)
		case *sekisho.SessionRefused:
			reasons = append(reasons, "refused "+b.Reason)
		}
	}
	slices.Sort(reasons)
	if got := fmt.Sprint(slices.Compact(reasons)); got != "[closed contained closed terminate refused contained]" {
		t.Errorf("the ledger says %s", got)
	}
}

func shutOut(t *testing.T, err error, code, hint string) {
	t.Helper()
	var pe *pgconn.PgError
	if !errors.As(err, &pe) || pe.Code != code || !strings.Contains(pe.Hint, hint) {
		t.Errorf("the client reads %v, want %s and the hint %q", err, code, hint)
	}
}

// Sessions that wait, for their first word or between two, are ended as well.
func TestSuspendEndsWhoWaits(t *testing.T) {
	h := newHouse(t)
	h.connect("sato") // the first one reaches the server at once
	asleep := h.raw("sato")
	idle := h.raw("sato")
	idle.send(messages("Q begin"))
	idle.hear('Z')
	other := h.raw("watched")
	h.gate.Suspend(everyone["principal"](h))
	for name, r := range map[string]*raw{"asleep": asleep, "in a transaction": idle} {
		rest, err := io.ReadAll(r.conn)
		if err != nil || !strings.Contains(string(rest), "57P01") || !strings.Contains(string(rest), "Call 1234.") {
			t.Errorf("%s: it reads %q, %v", name, rest, err)
		}
	}
	other.send(messages("Q select 1"))
	other.hear('C')
	h.until("nobody is left", func() bool { _, n := h.gate.Suspended(); return n == 0 })
}

// hear reads messages up to one of this type.
func (r *raw) hear(last byte) {
	r.t.Helper()
	for {
		typ, body, ok := r.receive()
		if !ok || typ == 'E' {
			r.t.Fatalf("instead of %c it hears %c %q", last, typ, body)
		}
		if typ == last {
			return
		}
	}
}

// What was sent ahead of time is not answered either.
func TestSuspendEndsAPipeline(t *testing.T) {
	h := newHouse(t)
	r := h.raw("sato")
	var script strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&script, "P \"\" select m.* from crm.member m where member_no > %d\nB \"\" \"\" - -\nE \"\" 0\nS\n", i)
	}
	r.send(messages(script.String()))
	r.hear('Z')
	h.gate.Suspend(everyone["principal"](h))
	rest, err := io.ReadAll(r.conn)
	if answers := strings.Count(string(rest), "SELECT 1000"); err != nil || answers > 1000 || !strings.Contains(string(rest), "57P01") {
		t.Errorf("%d answers more, %v", answers, err)
	}
}

// A table is shut for everybody: statements over it end where they are, new
// ones are refused, by every way in, and the rest goes on.
func TestSuspendTable(t *testing.T) {
	h := newHouse(t)
	h.asOwner(million)
	ctx := t.Context()
	conn, err := pgconn.Connect(ctx, h.dsn("sato"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	prepared := h.connect("sato", "default_query_exec_mode=cache_statement")
	var name string
	if err := prepared.QueryRow(ctx, "select name from crm.member where member_no = $1", 1001).Scan(&name); err != nil {
		t.Fatal(err)
	}
	writer := h.raw("sato")
	got := &counted{begun: make(chan struct{})}
	ended := make(chan error, 1)
	go func() {
		_, err := conn.CopyTo(context.Background(), got, "copy crm.member to stdout")
		ended <- err
	}()
	<-got.begun
	h.gate.Suspend(&Suspension{Tables: map[string]uint64{"crm.member": 9}, Contact: "Call 1234."})
	shutOut(t, <-ended, "42501", "Call 1234.")
	if got.rows >= 1_000_000 {
		t.Error("all rows came")
	}
	// The session goes on with what is not shut.
	if r := conn.ExecParams(ctx, "select passport_no from crm.passport where member_no = 1003", nil, nil, nil, nil).Read(); r.Err != nil || len(r.Rows) != 1 {
		t.Errorf("another table: %v", r.Err)
	}
	shutOut(t, prepared.QueryRow(ctx, "select name from crm.member where member_no = $1", 1002).Scan(&name), "42501", "Call 1234.")
	for what, sql := range map[string]string{
		"a query":  "select name from crm.member where member_no = 1002",
		"a view":   "select name from crm.everybody limit 1",
		"a join":   "select passport_no from crm.passport join crm.member using (member_no) where member_no = 1003",
		"a count":  "select count(*) from crm.member",
		"a cursor": "declare c cursor with hold for select name from crm.member where member_no = 1002",
		"a copy":   "copy crm.member to stdout",
	} {
		if _, err := prepared.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol); err == nil || !strings.Contains(err.Error(), "42501") && !strings.Contains(err.Error(), "0A000") {
			t.Errorf("%s: %v", what, err)
		}
	}
	// Where the gate cannot tell what a statement is over, it may be over this.
	watched := h.connect("watched")
	if _, err := watched.Exec(ctx, "select * from crm.everybody limit 1", pgx.QueryExecModeSimpleProtocol); err == nil {
		t.Error("an observed role reads it by a view")
	}
	h.gate.Suspend(nil)
	if err := prepared.QueryRow(ctx, "select name from crm.member where member_no = $1", 1002).Scan(&name); err != nil {
		t.Errorf("after the lift: %v", err)
	}
	writer.conn.Close()
	if !slices.Contains(h.refusals(), "contained") {
		t.Errorf("the ledger says %v", h.refusals())
	}
}

// Behind a program single people and terminals are shut out, and the program
// goes on for others.
func TestSuspendBehindAProgram(t *testing.T) {
	h := newHouse(t, speaking)
	h.asOwner(million)
	ctx := t.Context()
	web := h.connect("web", "default_query_exec_mode=simple_protocol")
	say := func(user, terminal string) {
		t.Helper()
		if _, err := web.Exec(ctx, fmt.Sprintf("set sekisho.\"user\" = '%s'; set sekisho.terminal = '%s'", user, terminal)); err != nil {
			t.Fatal(err)
		}
	}
	ask := func() error {
		var name string
		return web.QueryRow(ctx, "select name from crm.member where member_no = 1001").Scan(&name)
	}
	for what, su := range map[string]*Suspension{
		"person":   {Principals: map[uint32]uint64{h.vault.Space("staff").OfText([]byte("tanaka")): 3}},
		"terminal": {Endpoints: map[string]uint64{"pc-3": 3}},
	} {
		say("tanaka", "pc-3")
		if err := ask(); err != nil {
			t.Fatalf("%s, before: %v", what, err)
		}
		h.gate.Suspend(su)
		shutOut(t, ask(), "42501", "")
		say("suzuki", "pc-4")
		if err := ask(); err != nil {
			t.Errorf("%s: for somebody else: %v", what, err)
		}
		h.gate.Suspend(nil)
		// In the middle of an answer.
		say("tanaka", "pc-3")
		got := &counted{begun: make(chan struct{})}
		ended := make(chan error, 1)
		go func() {
			_, err := web.PgConn().CopyTo(context.Background(), got, "copy crm.member to stdout")
			ended <- err
		}()
		<-got.begun
		h.gate.Suspend(su)
		shutOut(t, <-ended, "42501", "")
		h.gate.Suspend(nil)
	}
}

// A gate that protects no table relays; it shuts people out all the same.
func TestSuspendInARelay(t *testing.T) {
	h := newHouse(t, func(o *options) { o.catalog = catalog.Config{} })
	h.asOwner(million)
	for name, tls := range map[string]string{"without TLS": "disable", "TLS": "require"} {
		t.Run(name, func(t *testing.T) {
			conn, err := pgconn.Connect(t.Context(), strings.Replace(h.dsn("sato"), "sslmode=disable", "sslmode="+tls, 1))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close(context.Background())
			got := &counted{begun: make(chan struct{})}
			ended := make(chan error, 1)
			go func() {
				_, err := conn.CopyTo(context.Background(), got, "copy crm.member to stdout")
				ended <- err
			}()
			<-got.begun
			h.gate.Suspend(everyone["principal"](h))
			shutOut(t, <-ended, "57P01", "Call 1234.")
			if got.rows >= 1_000_000 {
				t.Error("all rows came")
			}
			h.gate.Suspend(nil)
		})
	}
}

// While sessions come and go, nobody slips in beside a change.
func TestSuspendNobodySlipsIn(t *testing.T) {
	h := newHouse(t)
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	var clients sync.WaitGroup
	coming := make(chan struct{})
	for range 8 {
		clients.Go(func() {
			for {
				select {
				case <-coming:
					return
				default:
				}
				conn, err := pgconn.Connect(ctx, h.dsn("sato"))
				if err != nil {
					continue
				}
				conn.ExecParams(ctx, "select name from crm.member where member_no = 1001", nil, nil, nil, nil).Read()
				conn.Close(ctx)
			}
		})
	}
	for range 20 {
		h.gate.Suspend(everyone["principal"](h))
		h.until("nobody is in", func() bool {
			h.gate.mu.Lock()
			defer h.gate.mu.Unlock()
			return len(h.gate.sessions) == 0
		})
		n := len(h.accounts())
		if _, err := pgconn.Connect(ctx, h.dsn("sato")); err == nil {
			t.Fatal("somebody who is shut out came in")
		}
		if more := len(h.accounts()) - n; more != 0 {
			t.Fatalf("%d accesses while everybody was shut out", more)
		}
		h.gate.Suspend(nil)
	}
	close(coming)
	clients.Wait()
}

// What is shut is not destroyed or changed from another table either.
func TestNothingIsCarriedIntoAShutTable(t *testing.T) {
	h := newWritingHouse(t, "alter table crm.member add unique (email); create table crm.note (email text references crm.member (email) on update cascade, member_no bigint); insert into crm.note values ('m8@example.jp', 1001)", func(o *options) {
		o.catalog.Tables = append(o.catalog.Tables, catalog.Table{Name: "crm.note", Subject: "member", Key: "member_no"})
	})
	conn := h.connect("sato")
	h.gate.Suspend(&Suspension{Tables: map[string]uint64{"crm.note": 9}, Contact: "Call 1234."})
	write := func() error {
		_, err := conn.Exec(context.Background(), "update crm.member set email = 'm8@example.com' where member_no = 1008")
		return err
	}
	shutOut(t, write(), "42501", "Call 1234.")
	h.gate.Suspend(nil)
	if err := write(); err != nil {
		t.Errorf("after the lift: %v", err)
	}
}
