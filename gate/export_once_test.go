package gate

import (
	"context"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sekisho"
	"sekisho/disk"
	"sekisho/ledger"
	"sekisho/permit"
)

// An approval that many sessions use at the same moment lets one of them through.
func TestExportIsUsedOnceByManyAtOnce(t *testing.T) {
	var h *house
	h = newHouse(t, askAbove(10, &h))
	const sql = "select name from crm.member order by member_no"
	for range 3 {
		h.approve(reference(t, h.psql("sato", sql)), 2000, time.Now().Add(time.Hour))
		var all sync.WaitGroup
		begin, rows := make(chan bool), make(chan int, 8)
		for i := range cap(rows) {
			conn := h.connect("sato")
			mode := []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeDescribeExec}[i%3]
			all.Go(func() {
				<-begin
				r, _ := conn.Query(context.Background(), sql, mode)
				n := 0
				for r.Next() {
					n++
				}
				rows <- n
			})
		}
		close(begin)
		all.Wait()
		close(rows)
		whole := 0
		for n := range rows {
			switch n {
			case 1000:
				whole++
			case 10:
			default:
				t.Errorf("%d rows", n)
			}
		}
		if whole != 1 {
			t.Fatalf("%d of 8 got everything", whole)
		}
	}
}

// What is taken back in the moment of its use is not used: the ledger's order
// decides, and nothing leaves before it is known.
func TestExportTakenBackInTheMomentOfItsUse(t *testing.T) {
	var h *house
	var request uint64
	h = newHouse(t, askAbove(10, &h), func(o *options) {
		book := o.gate.Permit
		o.gate.Permit = func(exact uint32, spent func(uint64) bool) (permit.Request, permit.State, bool) {
			r, state, ok := book(exact, spent)
			if ok && state == permit.Approved { // the gate has read it, and has recorded nothing yet
				if _, err := h.ledger.Append(t.Context(), &sekisho.ExportDecided{Request: r.Number, Action: "withdrawn"}); err != nil {
					t.Error(err)
				}
			}
			return r, state, ok
		}
	})
	const sql = "copy (select name from crm.member order by member_no) to stdout"
	request = h.approve(reference(t, h.psql("sato", sql)), 2000, time.Now().Add(time.Hour))
	said := h.psql("sato", sql)
	if !strings.Contains(said, "name10\n") || strings.Contains(said, "name11\n") || !strings.Contains(said, "was taken back in this moment") {
		t.Errorf("psql printed %q", said)
	}
	if r, _ := h.permits().Get(request); r.State(sekisho.At(time.Now())) != permit.Withdrawn {
		t.Errorf("the request is %s", r.State(sekisho.At(time.Now())))
	}
	if again := h.psql("sato", sql); strings.Contains(again, "name11\n") {
		t.Errorf("sent again: %d bytes", len(again))
	}
}

// Whatever differs in a statement, it is another one.
func TestExportIsBoundToEveryByte(t *testing.T) {
	var h *house
	h = newHouse(t, askAbove(10, &h))
	const sql = "select name from crm.member where city <> 'Kyoto' order by member_no"
	n := reference(t, h.psql("sato", sql))
	h.approve(n, 2000, time.Now().Add(time.Hour))
	conn := h.connect("sato").PgConn()
	rows := func(sql string) (n int) {
		all, _ := conn.Exec(t.Context(), sql).ReadAll() // psql would take a text apart
		for _, one := range all {
			n = max(n, len(one.Rows))
		}
		return n
	}
	for _, other := range []string{" " + sql, "/* a letter */ " + sql, sql + " -- a letter", strings.Replace(sql, "name from", "name  from", 1), strings.Replace(sql, "select", "SELECT", 1),
		strings.Replace(sql, "'Kyoto'", "'kyoto'", 1), strings.Replace(sql, "'Kyoto'", "'Kyoto '", 1), "select 1; " + sql, sql + "; select 1", strings.Replace(sql, "crm.member", `crm."member"`, 1),
		strings.Replace(sql, "order", "\norder", 1), "begin; " + sql + "; commit"} {
		if n := rows(other); n > 10 {
			t.Errorf("%q: %d rows went out by another's approval", other, n)
		}
		if conn.IsClosed() { // its transaction was cut off
			conn = h.connect("sato").PgConn()
		}
	}
	if r, _ := h.permits().Get(h.permits().List()[0].Number); r.State(sekisho.At(time.Now())) != permit.Approved {
		t.Errorf("after the others the request is %s", r.State(sekisho.At(time.Now())))
	}
	if got, want := h.psql("sato", sql+";\n"), h.direct(sql); got != want {
		t.Errorf("approved: %d bytes through the gate, %d directly", len(got), len(want))
	}
}

// A name that search_path decides is not what an approval can be bound to: neither
// when it is asked for, nor when another table of the name has come meanwhile.
func TestExportOfANameThatTwoTablesHave(t *testing.T) {
	var h *house
	h = newHouse(t, askAbove(10, &h))
	const path, sql = "set search_path to crm;\n", "select name from member order by member_no"
	n := reference(t, h.psql("sato", path+sql))
	h.approve(n, 2000, time.Now().Add(time.Hour))
	h.asOwner("create schema other; create table other.member (member_no bigint primary key, name text); insert into other.member select * from generate_series(1, 50) n, lateral (select 'other'||n) s; grant usage on schema other to staff, reader; grant select on other.member to staff, reader")
	if err := h.gate.refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{path, "set search_path to other, crm;\n", ""} {
		said := h.psql("sato", path+sql)
		if strings.Contains(said, "name11\n") || path != "" && strings.Contains(said, "approval of a second person") && !strings.Contains(said, "member is the name of more than one table or view") {
			t.Errorf("with %q psql printed %.400q", path, said)
		}
	}
	if r, _ := h.permits().Get(h.permits().List()[0].Number); r.State(sekisho.At(time.Now())) != permit.Approved {
		t.Errorf("the request is %s", r.State(sekisho.At(time.Now())))
	}
	const clear = "select name from crm.member order by member_no"
	h.approve(reference(t, h.psql("sato", clear)), 2000, time.Now().Add(time.Hour))
	if got, want := h.psql("sato", "set search_path to other;\n"+clear), h.direct(clear); !strings.HasSuffix(got, want) {
		t.Errorf("with its schema: %d bytes through the gate, %d directly", len(got), len(want))
	}
}

// A gate that dies, and a client that goes, between the use of an approval and the
// end of its answer leave it used: the next try is told how to ask again.
func TestExportThatIsCutOffIsUsed(t *testing.T) {
	var h *house
	h = newHouse(t, askAbove(10, &h))
	const client, killed = "select m.name, repeat('x', 1000) from crm.member m, generate_series(1, 50) order by member_no", "select m.name, repeat('y', 1000) from crm.member m, generate_series(1, 50) order by member_no"
	var requests []uint64
	for _, sql := range []string{client, killed} {
		said := h.psql("sato", sql)
		requests = append(requests, h.approve(reference(t, said[max(0, len(said)-1000):]), 2000, time.Now().Add(time.Hour)))
	}
	read := func(sql string, most int) (rows int) {
		conn := h.connect("sato")
		r, err := conn.Query(t.Context(), sql, pgx.QueryExecModeSimpleProtocol)
		if err != nil {
			t.Fatal(err)
		}
		for rows < most && r.Next() {
			rows++
		}
		conn.PgConn().Conn().Close()
		return rows
	}
	if rows := read(client, 600); rows != 600 {
		t.Fatalf("%d rows came", rows)
	}
	h.lends()
	one := h.begins(1)
	conn := h.connect("sato")
	r, err := conn.Query(t.Context(), killed, pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		t.Fatal(err)
	}
	// Nobody reads, so the answer does not end.
	h.until("the approval is used", func() bool {
		r, _ := h.permitsOnDisk().Get(requests[1])
		return r.Used != nil
	})
	if err := one.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	one.Wait()
	r.Close()
	two := h.begins(2)
	for i, sql := range []string{client, killed} {
		if got, _ := h.permitsOnDisk().Get(requests[i]); got.State(sekisho.At(time.Now())) != permit.Used {
			t.Errorf("request %d is %s", requests[i], got.State(sekisho.At(time.Now())))
		}
		said := h.psql("sato", sql)
		if strings.Contains(said, "name11|") || reference(t, said[max(0, len(said)-1000):]) == 0 {
			t.Errorf("sent again, psql printed %d bytes", len(said))
		}
	}
	two.Process.Kill()
	two.Wait()
}

// permitsOnDisk is permits, of a ledger that another process writes.
func (h *house) permitsOnDisk() *permit.Book {
	b := permit.New()
	for e, err := range ledger.Read(disk.OS{}, filepath.Join(h.dir, "ledger"), 0) {
		if err != nil {
			break // what is being written
		}
		b.Apply(&e)
	}
	return b
}

// The same of what could be about anybody, which a name that two tables have does
// not keep from running: the approval is all that stands before it.
func TestExportOfAnyRowOfANameThatTwoTablesHave(t *testing.T) {
	var h *house
	h = newWritingHouse(t, unnamed, reachable, anyRows, func(o *options) { askAbove(10, &h)(o) })
	const path, sql = "set search_path to crm;\n", "select name, crm.shout(member_no) from member order by member_no"
	request := h.approve(reference(t, h.psql("sato", path+sql)), 1000, time.Now().Add(time.Hour))
	h.asOwner("create schema other; create table other.member (member_no bigint primary key, name text); grant usage on schema other to staff, reader; grant select on other.member to staff, reader")
	if err := h.gate.refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{path, "set search_path to other, crm;\n"} {
		said := h.psql("sato", path+sql)
		if strings.Contains(said, "NAME") || !strings.Contains(said, "member is the name of more than one table or view") {
			t.Errorf("with %q psql printed %.400q", path, said)
		}
	}
	if r, _ := h.permits().Get(request); r.State(sekisho.At(time.Now())) != permit.Approved {
		t.Errorf("the request is %s", r.State(sekisho.At(time.Now())))
	}
}

// An approval is worth what its approver's is: once their account is removed, the
// statement is cut as one that nobody approved, and who sends it is told why.
func TestExportWhoseApproverIsGone(t *testing.T) {
	var h *house
	h = newHouse(t, askAbove(10, &h))
	const sql = "select name from crm.member order by member_no"
	approver := h.vault.Space("staff").OfText([]byte("suzuki"))
	n := reference(t, h.psql("sato", sql))
	approve := func() {
		t.Helper()
		h.approveBy(approver, n, 2000, time.Now().Add(time.Hour))
	}
	approve()
	if _, err := h.ledger.Append(t.Context(), &sekisho.UserChanged{User: approver, Action: "removed"}); err != nil {
		t.Fatal(err)
	}
	if said := h.psql("sato", sql); strings.Contains(said, "name11\n") || !strings.Contains(said, "no longer holds: whoever gave it has left") || !strings.Contains(said, "sekisho export request") {
		t.Errorf("psql printed %.600q", said)
	}
	approve() // by one of the same name, who came afterwards
	if got, want := h.psql("sato", sql), h.direct(sql); got != want {
		t.Errorf("approved anew: %d bytes through the gate, %d directly", len(got), len(want))
	}
}
