package gate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"sekisho"
	"sekisho/disk"
)

// faulty is the machine's own disk, which can be full or broken, or hang.
type faulty struct {
	disk.OS
	full   atomic.Bool
	broken atomic.Bool
	grace  atomic.Int64                  // syncs that still succeed on a broken disk
	hangs  atomic.Pointer[chan struct{}] // syncs do not return before it is closed
	quick  atomic.Bool                   // syncs do nothing, at once
	kept   atomic.Int64                  // how many of them there were
}

func (d *faulty) OpenFile(name string, flag int, perm uint32) (disk.File, error) {
	f, err := d.OS.OpenFile(name, flag, perm)
	return &faultyFile{f, d}, err
}

type faultyFile struct {
	disk.File
	d *faulty
}

func (f *faultyFile) Allocate(size int64) error {
	if f.d.full.Load() {
		return fmt.Errorf("allocate: %w", syscall.ENOSPC)
	}
	return f.File.Allocate(size)
}

func (f *faultyFile) Sync() error {
	if f.d.broken.Load() && f.d.grace.Add(-1) < 0 {
		return fmt.Errorf("sync: %w", syscall.EIO)
	}
	if until := f.d.hangs.Load(); until != nil {
		f.d.kept.Add(1)
		<-*until
	}
	if f.d.quick.Load() {
		return nil
	}
	return f.File.Sync()
}

func withDisk(d *faulty, segment int64) option {
	return func(o *options) { o.ledger.FS, o.ledger.SegmentBytes = d, segment }
}

// eventually waits for a condition that must come true.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("it never came true that %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func sqlstate(err error) string {
	var pe *pgconn.PgError
	if errors.As(err, &pe) {
		return pe.Code
	}
	return fmt.Sprint(err)
}

var memberName = regexp.MustCompile(`name(\d+)`)

// named are the keys of the members whose names stand in what a client got.
func named(transcript string) (keys []string) {
	for _, m := range memberName.FindAllStringSubmatch(transcript, -1) {
		n, _ := strconv.Atoi(m[1])
		keys = append(keys, strconv.Itoa(1000+n))
	}
	return keys
}

// mustName fails if the ledger does not name each of keys.
func (h *house) mustName(keys []string) {
	h.t.Helper()
	has := map[string]bool{}
	for _, a := range h.accounts() {
		if a.class == sekisho.AnyRow {
			return
		}
		for _, k := range a.keys {
			has[k] = true
		}
	}
	for _, k := range keys {
		if !has[k] {
			h.t.Errorf("a client has read member %s, and the ledger does not say so", k)
		}
	}
}

const long = "select m.name, repeat('x', 3000) from crm.member m order by member_no"

func TestFullDisk(t *testing.T) {
	d := &faulty{}
	h := newHouse(t, withDisk(d, 16<<10))
	ctx := context.Background()
	conn := h.connect("sato")
	lookup := func(i int) error {
		var name string
		return conn.QueryRow(ctx, "select name from crm.member where member_no = $1", 1000+i).Scan(&name)
	}
	if err := lookup(1); err != nil {
		t.Fatal(err)
	}
	d.full.Store(true)
	reached := 0
	for i := 1; i <= 1000; i++ {
		if err := lookup(i); err != nil {
			if sqlstate(err) != "53100" {
				t.Fatalf("lookup %d: %v", i, err)
			}
			reached = i
			break
		}
	}
	if reached == 0 {
		t.Fatal("the disk never got full")
	}
	for range 3 {
		if err := lookup(reached); sqlstate(err) != "53100" {
			t.Errorf("a protected statement on a full disk: %v", err)
		}
		var n int
		if err := conn.QueryRow(ctx, "select count(*) from crm.airport").Scan(&n); err != nil || n != 3 {
			t.Errorf("an unprotected statement on a full disk: %d, %v", n, err)
		}
	}
	tx, err := conn.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := lookup(reached); sqlstate(err) != "53100" || conn.PgConn().TxStatus() != 'E' {
		t.Errorf("in a transaction: %v, status %c", err, conn.PgConn().TxStatus())
	}
	tx.Rollback(ctx)
	if got := h.psql("sato", "select code from crm.airport where code='HND'"); got != "HND\n" {
		t.Errorf("a new client on a full disk: %q", got)
	}
	if got := h.psql("sato", "select name from crm.member where member_no=1999"); strings.Contains(got, "name") || !strings.Contains(got, "could not be recorded") {
		t.Errorf("a new client's protected statement: %q", got)
	}
	d.full.Store(false)
	eventually(t, "lookups work again when there is room", func() bool { return lookup(reached) == nil })
	if got := h.psql("sato", "select name from crm.member where member_no=1998"); got != "name998\n" {
		t.Errorf("a new client when there is room: %q", got)
	}
	h.stop()
	var want []string
	for i := 1; i <= reached; i++ {
		want = append(want, strconv.Itoa(1000+i))
	}
	h.mustName(append(want, "1998"))
	for _, a := range h.accounts() {
		for _, k := range a.keys {
			if k == "1999" {
				t.Error("member 1999 was never released")
			}
		}
	}
}

// A disk that does not answer keeps those who must be recorded, and nobody
// else: not those who come after, and not those whom the same loop serves.
func TestADiskThatHangs(t *testing.T) {
	d := &faulty{}
	d.quick.Store(true) // so that the loop commits by itself
	h := newHouse(t, withDisk(d, 8<<20))
	ctx := context.Background()
	waits, goesOn := h.connect("sato"), h.connect("sato")
	const lookup = "select name from crm.member where member_no = 1001"
	var name string
	for range 50 { // long enough to know the disk for a quick one
		if err := waits.QueryRow(ctx, lookup).Scan(&name); err != nil {
			t.Fatal(err)
		}
	}
	free := func(conn *pgx.Conn) {
		t.Helper()
		var n int
		if err := conn.QueryRow(ctx, "select count(*) from crm.airport").Scan(&n); err != nil || n != 3 {
			t.Errorf("an unprotected statement: %d, %v", n, err)
		}
	}
	free(goesOn)
	again := make(chan struct{})
	d.hangs.Store(&again)
	got := make(chan error, 1)
	go func() { got <- waits.QueryRow(ctx, lookup).Scan(&name) }()
	eventually(t, "the lookup hangs", func() bool { return d.kept.Load() > 0 })
	for range 5 {
		free(goesOn)
	}
	select {
	case err := <-got:
		t.Errorf("it was answered before it was recorded: %v", err)
	default:
	}
	d.hangs.Store(nil)
	close(again)
	if err := <-got; err != nil {
		t.Error(err)
	}
	free(waits)
	if err := waits.QueryRow(ctx, lookup).Scan(&name); err != nil {
		t.Error(err)
	}
	free(h.connect("sato"))
}

// The disk ends while a long result is on its way.
func TestFullDiskInTheMiddleOfAResult(t *testing.T) {
	d := &faulty{}
	h := newHouse(t, withDisk(d, 4<<10))
	r := h.raw("sato")
	r.run("Q select name from crm.member where member_no=1001") // its shape is in the ledger
	d.full.Store(true)
	seen := ""
	for range 100 {
		got := r.run("Q " + long + "\nQ select code from crm.airport where code='HND'")
		seen += got
		if strings.Contains(got, "C53100") {
			if !strings.Contains(got, `D "HND"`) || strings.Contains(got, "the connection ends") {
				t.Errorf("the session did not go on: %s", got[max(0, len(got)-600):])
			}
			break
		}
	}
	if !strings.Contains(seen, "C53100") {
		t.Fatal("the disk never got full")
	}
	if got := r.run("P a select name from crm.member\nB \"\" a - -\nE \"\" 0\nS\nQ select 1"); strings.Contains(got, `D "name`) || !strings.Contains(got, "C53100") {
		t.Errorf("in a pipeline: %s", got)
	}
	d.full.Store(false)
	eventually(t, "members can be read again", func() bool {
		return strings.Contains(r.run("Q select name from crm.member where member_no=1500"), `D "name500"`)
	})
	r.conn.Close()
	h.stop()
	h.mustName(named(seen))
}

// A sync fails while answers of a pipeline wait for it.
func TestBrokenDisk(t *testing.T) {
	for _, c := range []struct{ name, script, ends string }{
		{"nothing but reads", "P \"\" select name from crm.member where member_no=1001\nB \"\" \"\" - -\nE \"\" 0\nS", ""},
		{"and copies", "Q copy crm.member (name) to stdout", ""},
		{"a write behind it", "P \"\" select name from crm.member where member_no=1001\nB \"\" \"\" - -\nE \"\" 0\nP \"\" insert into crm.airport values (md5(random()::text),'x')\nB \"\" \"\" - -\nE \"\" 0\nS", "C08007"},
		{"a transaction around it", "Q begin; select name from crm.member where member_no=1001", "C25000"},
		{"a long one", "Q " + long, ""},
	} {
		d := &faulty{}
		h := newHouse(t, withDisk(d, 8<<20))
		r := h.raw("sato")
		r.run(c.script + "\nQ rollback") // their shapes are in the ledger
		d.grace.Store(2)
		d.broken.Store(true)
		got := r.run(c.script + "\nQ select code from crm.airport where code='HND'")
		seen := got
		for range 3 { // the first ones may still have been recorded
			if strings.Contains(got, "C53100") {
				break
			}
			got = r.run(c.script + "\nQ select code from crm.airport where code='HND'")
			seen += got
		}
		if !strings.Contains(got, "C53100") {
			t.Errorf("%s: no error:\n%s", c.name, got)
		}
		over := strings.Contains(got, "the connection ends")
		if c.ends != "" && (!over || !strings.Contains(got, c.ends)) && !strings.Contains(got, "refused") {
			t.Errorf("%s: not %s:\n%s", c.name, c.ends, got)
		}
		if c.ends == "" && (over || !strings.Contains(got, `D "HND"`)) {
			t.Errorf("%s: the session did not go on:\n%s", c.name, got[max(0, len(got)-600):])
		}
		if got := h.psql("sato", "select code from crm.airport where code='HND'"); got != "HND\n" {
			t.Errorf("%s: the next client: %q", c.name, got)
		}
		r.conn.Close()
		h.stop()
		h.mustName(named(seen))
	}
}

// begins starts the long query and takes some of its rows.
func (r *raw) begins(rows int) (seen string) {
	r.t.Helper()
	r.send(messages("Q " + strings.ReplaceAll(long, "3000", "30000")))
	for n := 0; n < rows; {
		typ, body, ok := r.receive()
		if !ok {
			r.t.Fatal("the connection ended")
		}
		if typ == 'D' {
			n++
			seen += string(body[:min(40, len(body))]) + "\n"
		}
	}
	return seen
}

func (r *raw) rest() (seen string) {
	for {
		typ, body, ok := r.receive()
		if !ok {
			return seen
		}
		if typ == 'D' {
			body = body[:min(40, len(body))]
			seen += string(body) + "\n"
			continue
		}
		seen += printMessage(typ, body) + "\n"
	}
}

func (h *house) backends() string {
	out, err := cluster.SQL(context.Background(), "postgres", "select count(*) from pg_stat_activity where usename='staff' and datname='"+h.dbname+"'")
	if err != nil {
		h.t.Fatal(err)
	}
	return out
}

// onlyAccess is the one access of the ledger, with its closing word.
func (h *house) onlyAccess() *account {
	h.t.Helper()
	all := h.accounts()
	if len(all) != 1 || all[0].closed == nil {
		h.t.Fatalf("accesses: %+v", all)
	}
	return all[0]
}

// released are the keys of Access entries that the closing word leaves.
func (h *house) released(a *account) string {
	keys := " "
	for _, e := range h.entries() {
		if b, ok := e.Body.(*sekisho.Access); ok && e.ID.Seq <= a.closed.Released {
			for _, o := range b.Subjects {
				k, _ := h.vault.Space("member").Key(o)
				keys += k + " "
			}
		}
	}
	return keys
}

func TestServerDiesInTheMiddleOfAResult(t *testing.T) {
	h := newHouse(t)
	r := h.raw("sato")
	seen := r.begins(3)
	if _, err := cluster.SQL(context.Background(), "postgres", "select pg_terminate_backend(pid) from pg_stat_activity where usename='staff' and datname='"+h.dbname+"'"); err != nil {
		t.Fatal(err)
	}
	rest := r.rest()
	if strings.Count(rest, "SFATAL") != 1 || !strings.Contains(rest, "57P01") && !strings.Contains(rest, "08006") {
		t.Errorf("the client is told: %s", rest[max(0, len(rest)-400):])
	}
	if got := h.psql("sato", "select 1"); got != "1\n" {
		t.Errorf("the next client: %q", got)
	}
	h.stop()
	a := h.onlyAccess()
	if a.closed.Outcome != sekisho.ServerGone {
		t.Errorf("outcome %v", a.closed.Outcome)
	}
	for _, k := range named(seen + rest) {
		if !strings.Contains(h.released(a), " "+k+" ") {
			t.Errorf("member %s reached the client, and is not among the released", k)
		}
	}
}

func TestClientVanishesInTheMiddleOfAResult(t *testing.T) {
	h := newHouse(t)
	r := h.raw("sato")
	seen := r.begins(3)
	r.conn.(*net.TCPConn).SetLinger(0)
	r.conn.Close()
	eventually(t, "its server process is gone", func() bool { return h.backends() == "0" })
	if got := h.psql("sato", "select 1"); got != "1\n" {
		t.Errorf("the next client: %q", got)
	}
	h.stop()
	a := h.onlyAccess()
	if a.closed.Outcome != sekisho.ClientGone || len(a.keys) == 1000 {
		t.Errorf("outcome %v, %d keys", a.closed.Outcome, len(a.keys))
	}
	released := h.released(a)
	for _, k := range named(seen) {
		if !strings.Contains(released, " "+k+" ") {
			t.Errorf("member %s reached the client, and is not among the released", k)
		}
	}
}

func TestCloseInTheMiddleOfAResult(t *testing.T) {
	h := newHouse(t)
	r := h.raw("sato")
	seen := r.begins(3)
	stopped := make(chan string)
	go func() { stopped <- r.rest() }()
	h.stop()
	seen += <-stopped
	a := h.onlyAccess()
	if a.closed.Outcome != sekisho.CutOff {
		t.Errorf("outcome %v", a.closed.Outcome)
	}
	released := h.released(a)
	for _, k := range named(seen) {
		if !strings.Contains(released, " "+k+" ") {
			t.Errorf("member %s reached the client, and is not among the released", k)
		}
	}
	if n := h.backends(); n != "0" {
		t.Errorf("%s server processes are left", n)
	}
}

// A client that takes nothing and does not go keeps no gate from closing.
func TestCloseWithAClientThatDoesNotRead(t *testing.T) {
	h := newHouse(t)
	r := h.raw("sato")
	r.begins(1)
	h.stop()
	if a := h.onlyAccess(); a.closed.Outcome != sekisho.CutOff {
		t.Errorf("outcome %v", a.closed.Outcome)
	}
}

// A cancel ends what runs, and nothing that comes later.
func TestCancel(t *testing.T) {
	h := newHouse(t)
	ctx := context.Background()
	conn := h.connect("sato")
	for range 20 {
		done := make(chan error)
		go func() { _, err := conn.Exec(ctx, "select pg_sleep(30)"); done <- err }()
		eventually(t, "the query runs", func() bool {
			out, _ := cluster.SQL(ctx, "postgres", "select count(*) from pg_stat_activity where datname='"+h.dbname+"' and state='active' and query like '%pg_sleep(30)'")
			return out == "1"
		})
		if err := conn.PgConn().CancelRequest(ctx); err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		if err := <-done; sqlstate(err) != "57014" {
			t.Fatalf("a cancelled query: %v", err)
		}
		var n int
		if err := conn.QueryRow(ctx, "select 1").Scan(&n); err != nil {
			t.Fatalf("after a cancel: %v", err)
		}
		// Nothing runs now: this one must find nothing to hit.
		conn.PgConn().CancelRequest(ctx)
		if _, err := conn.Exec(ctx, "select pg_sleep(0.005)"); err != nil {
			t.Fatalf("hit by a cancel of the past: %v", err)
		}
	}
}

func TestCancelledAccess(t *testing.T) {
	h := newHouse(t)
	r := h.raw("sato")
	seen := r.begins(3)
	if _, err := cluster.SQL(context.Background(), "postgres", "select pg_cancel_backend(pid) from pg_stat_activity where usename='staff' and datname='"+h.dbname+"'"); err != nil {
		t.Fatal(err)
	}
	r.send(messages("X"))
	rest := r.rest()
	if !strings.Contains(rest, "C57014") {
		t.Errorf("the client is told %s", rest[max(0, len(rest)-400):])
	}
	h.stop()
	a := h.onlyAccess()
	if a.closed.Outcome != sekisho.Cancelled || a.closed.SQLState != "57014" {
		t.Errorf("%+v", *a.closed)
	}
	for _, k := range named(seen + rest) {
		if !strings.Contains(h.released(a), " "+k+" ") {
			t.Errorf("member %s reached the client, and is not among the released", k)
		}
	}
}
