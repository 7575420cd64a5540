package gate

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"sekisho"
	"sekisho/budget"
	"sekisho/catalog"
	"sekisho/demo"
	"sekisho/disk"
	"sekisho/ledger"
	"sekisho/vault"
	"sekisho/view"
)

// The tests stand a gate in front of a real PostgreSQL, with the real ledger
// and vault, and ask it things through real clients.

var cluster *demo.Cluster

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		gateToBeKilled(dir)
	}
	dir, err := os.MkdirTemp("", "gate-test")
	if err != nil {
		panic(err)
	}
	os.Chmod(dir, 0o711)
	cluster, err = demo.StartCluster(context.Background(), demo.ClusterConfig{Dir: dir, Bin: os.Getenv("SEKISHO_TEST_POSTGRES"), Settings: clusterSettings()})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if err := makeTemplate(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		cluster.Stop()
		os.Exit(1)
	}
	code := m.Run()
	cluster.Stop()
	os.RemoveAll(dir)
	os.Exit(code)
}

// schema is what the tests read: members m1 to m1000, whose keys are 1001 to
// 2000, a passport for every third of them, and a table about nobody.
const schema = `
create schema crm;
create table crm.member (member_no bigint primary key, name text, email text, city text, joined date);
insert into crm.member select 1000+i, 'name'||i, 'm'||i||'@example.jp', case when i%2=0 then 'Tokyo' else 'Osaka' end, date '2010-01-01'+i from generate_series(1,1000) i;
create table crm.passport (member_no bigint references crm.member, passport_no text, expires_on date);
insert into crm.passport select 1000+i, 'TK'||i, date '2020-01-01'+i from generate_series(3,1000,3) i;
create table crm.airport (code text primary key, name text);
insert into crm.airport values ('HND','Haneda'),('NRT','Narita'),('ITM','Itami');
create table crm.textual (who text primary key, note text);
insert into crm.textual select 'K-'||i, 'note, "quoted" '||i from generate_series(1,50) i;
create view crm.everybody as select name, email from crm.member;
create role staff login password 'upstream';
create role reader login password 'upstream';
grant usage on schema crm to staff, reader;
grant select on all tables in schema crm to staff, reader;
grant insert, update, delete on crm.airport to staff;
` + odd + `analyze;
`

// houseTemplate is the database that each house's is a copy of.
const houseTemplate = "house"

func makeTemplate() error {
	if _, err := cluster.SQL(context.Background(), "postgres", "create database "+houseTemplate); err != nil {
		return err
	}
	login, err := makeVerifier("upstream", fewIterations)
	if err != nil {
		return err
	}
	_, err = cluster.SQL(context.Background(), houseTemplate, schema+"alter role staff password '"+login+"'; alter role reader password '"+login+"';")
	return err
}

// fewIterations is what the passwords of the tests are hashed with: there are
// thousands of sign-ins, none of which is about how dear it is to guess. What
// people have is parsed by TestSCRAMExchange, and used by the tests of the
// commands.
const fewIterations = 16

func testCatalog() catalog.Config {
	return catalog.Config{
		Subjects: []catalog.Subject{{Name: "member", Table: "crm.member", Key: "member_no"}, {Name: "holder", Table: "crm.textual", Key: "who"}},
		Tables: []catalog.Table{
			{Name: "crm.member", Subject: "member", Key: "member_no", Columns: map[string]string{"member_no": "identity", "name": "identity", "email": "contact", "city": "contact"}},
			{Name: "crm.passport", Subject: "member", Key: "member_no", Columns: map[string]string{"member_no": "identity", "passport_no": "travel_document", "expires_on": "travel_document"}},
			{Name: "crm.textual", Subject: "holder", Key: "who", Columns: map[string]string{"who": "identity"}},
		},
	}
}

var oddTable = catalog.Table{Name: "crm.odd", Subject: "holder", Key: "who", Columns: map[string]string{"who": "identity"}}

// A house is a gate with all it stands on.
type house struct {
	t      testing.TB
	gate   *Gate
	ledger *ledger.Ledger
	vault  *vault.Vault
	dir    string
	addr   string
	ca     *authority
	dbname string
	stop   func()
	made   options
	book   *budget.Book // nil without budgets

	followed func() bool // the book stands at the ledger's end
}

var dbNumber struct {
	sync.Mutex
	n int
}

// options are what a test may change before its house stands.
type options struct {
	gate    Config
	ledger  ledger.Config
	catalog catalog.Config
	budgets budget.Config
	limits  []budget.Limit // of the policy
	log     io.Writer
}

type option func(*options)

func newHouse(t testing.TB, opts ...option) *house {
	t.Helper()
	ctx := context.Background()
	dbNumber.Lock()
	dbNumber.n++
	h := &house{t: t, dir: t.TempDir(), dbname: "gate" + strconv.Itoa(dbNumber.n)}
	dbNumber.Unlock()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := cluster.SQL(ctx, "postgres", "create database "+h.dbname+" template "+houseTemplate)
	must(err)
	pw := filepath.Join(h.dir, "pw")
	must(os.WriteFile(pw, []byte("upstream\n"), 0o600))

	lc := ledger.Config{Dir: filepath.Join(h.dir, "ledger"), FS: disk.OS{}, Gate: 1, Name: "test", Now: time.Now, SegmentBytes: 4 << 20}
	h.ca = newAuthority(t)
	cert, key := h.ca.server(t, h.dir)
	verifier, err := makeVerifier("open sesame", fewIterations)
	must(err)
	conf := Config{
		Listen: "127.0.0.1:0",
		TLS:    TLS{Cert: cert, Key: key, ClientCA: h.ca.file},
		Upstream: Upstream{Host: cluster.SocketDir(), Port: uint16(cluster.Port()), Database: h.dbname,
			Reader: Login{User: "reader", PasswordFile: pw}, Refresh: 200 * time.Millisecond},
		Roles: map[string]Role{
			"staff":    {Login: Login{User: "staff", PasswordFile: pw}, Purposes: []string{"enquiry", "billing"}},
			"observed": {Login: Login{User: "staff", PasswordFile: pw}, Mode: Observe},
		},
		Principals: []Principal{{Name: "sato", Role: "staff", Verifier: verifier}, {Name: "watched", Role: "observed", Verifier: verifier}},
	}
	h.made = options{gate: conf, ledger: lc, catalog: testCatalog(), log: logTo{t}}
	for _, change := range opts {
		change(&h.made)
	}
	h.open()
	t.Cleanup(func() { h.stop() })
	return h
}

// open stands the house up on what is on the disk: the first time, or again
// after stop.
func (h *house) open() {
	t, o, ctx := h.t, h.made, context.Background()
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var err error
	h.vault, err = vault.Open(vault.Config{Dir: filepath.Join(h.dir, "vault"), FS: disk.OS{}, Key: [32]byte{1}})
	must(err)
	o.ledger.Before, o.ledger.BeforeWaits = h.vault.Flush, h.vault.Unsettled
	h.ledger, err = ledger.Open(o.ledger)
	must(err)
	must(h.vault.Reconcile(h.assigned()))
	h.gate, err = New(ctx, o.gate, o.catalog, h.ledger, h.vault, slog.New(slog.NewTextHandler(o.log, nil)))
	must(err)
	following, unfollow := context.WithCancel(ctx)
	if o.budgets != nil {
		must(o.budgets.Check())
		h.book = budget.New(o.budgets, func(space string, n uint32) string {
			name, _ := h.vault.Space(space).Key(n)
			return name
		})
		for _, l := range o.limits {
			h.book.Under(l)
		}
		views := view.New(view.Config{Follow: h.ledger.Follow, Hurry: h.ledger.Hurry, Last: h.ledger.Last, Views: []view.View{h.book}})
		h.followed = func() bool { return views.Applied() == h.ledger.Last() }
		go views.Run(following)
		must(views.WaitFor(ctx, h.ledger.Last()))
		h.gate.Budget(h.book)
	}
	if withoutTheLoop {
		h.gate.loop.end()
		h.gate.loop = nil
	}
	l, err := net.Listen("tcp", o.gate.Listen)
	must(err)
	h.addr = l.Addr().String()
	gctx, cancel := context.WithCancel(ctx)
	served := make(chan error, 1)
	go func() { served <- h.gate.Serve(gctx, l) }()
	h.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
		h.gate.Close()
		unfollow()
		h.ledger.Close()
		h.vault.Close()
	})
}

// assigned is how far the ledger knows each of the vault's spaces.
func (h *house) assigned() map[string]uint32 {
	highest := map[string]uint32{}
	for _, e := range h.entries() {
		if a, ok := e.Body.(*sekisho.Assigned); ok {
			highest[a.Space] = max(highest[a.Space], a.First+a.Count-1)
		}
	}
	return highest
}

// logTo prints the gate's log with the test.
type logTo struct{ t testing.TB }

func (l logTo) Write(b []byte) (int, error) {
	l.t.Log(strings.TrimSpace(string(b)))
	return len(b), nil
}

// An authority signs the test's certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

func newAuthority(t testing.TB) *authority {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, _ := x509.ParseCertificate(der)
	file := filepath.Join(t.TempDir(), "ca.pem")
	os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644)
	return &authority{cert, key, file}
}

func (a *authority) issue(t testing.TB, dir, name string, usage x509.ExtKeyUsage) (cert, key string) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{usage}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"}}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, &k.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	kb, _ := x509.MarshalPKCS8PrivateKey(k)
	cert, key = filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key")
	os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644)
	os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: kb}), 0o600)
	return cert, key
}

func (a *authority) server(t testing.TB, dir string) (cert, key string) {
	return a.issue(t, dir, "gate", x509.ExtKeyUsageServerAuth)
}

func (h *house) dsn(user string, extra ...string) string {
	host, port, _ := net.SplitHostPort(h.addr)
	return fmt.Sprintf("host=%s port=%s user=%s password='open sesame' dbname=%s sslmode=disable %s", host, port, user, h.dbname, strings.Join(extra, " "))
}

func (h *house) connect(user string, extra ...string) *pgx.Conn {
	h.t.Helper()
	conn, err := pgx.Connect(context.Background(), h.dsn(user, extra...))
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

// psql runs a script through the gate and gives what it printed.
func (h *house) psql(user, script string, extra ...string) string {
	h.t.Helper()
	cmd := exec.Command("psql", "-XqAt", "-d", h.dsn(user, extra...), "-f", "-")
	cmd.Stdin = strings.NewReader(script)
	out, _ := cmd.CombinedOutput()
	return string(out)
}

// direct runs a script without the gate, as the same upstream role.
func (h *house) direct(script string) string {
	h.t.Helper()
	cmd := exec.Command("psql", "-XqAt", "-d", fmt.Sprintf("host=%s port=%d user=staff password=upstream dbname=%s", cluster.SocketDir(), cluster.Port(), h.dbname), "-f", "-")
	cmd.Stdin = strings.NewReader(script)
	out, _ := cmd.CombinedOutput()
	return string(out)
}

// entries are all entries of the ledger so far.
func (h *house) entries() (all []sekisho.Entry) {
	h.t.Helper()
	for e, err := range ledger.Read(disk.OS{}, filepath.Join(h.dir, "ledger"), 1) {
		if err != nil {
			h.t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

// An account is what the ledger says of one access.
type account struct {
	verb    sekisho.Verb
	class   sekisho.Class
	tables  string
	columns string
	cats    string
	rows    uint64
	least   uint32
	keys    []string
	open    bool
	closed  *sekisho.AccessClosed
	session uint64
	purpose string
	reach   uint64
}

// accounts folds the ledger's entries into accesses, in their order.
func (h *house) accounts() []*account {
	h.t.Helper()
	f := h.folds()
	for _, e := range h.entries() {
		f.take(e)
	}
	return f.all
}

// A fold makes accesses of a ledger's entries, and goes on with those that come
// later.
type fold struct {
	h      *house
	last   uint64
	shapes map[uint64]*sekisho.Shape
	by     map[[3]uint64]*account
	closes map[[2]uint64][]*account
	all    []*account
}

func (h *house) folds() *fold {
	return &fold{h: h, shapes: map[uint64]*sekisho.Shape{}, by: map[[3]uint64]*account{}, closes: map[[2]uint64][]*account{}}
}

func (f *fold) take(e sekisho.Entry) {
	h := f.h
	h.t.Helper()
	f.last = e.ID.Seq
	switch b := e.Body.(type) {
	case *sekisho.Shape:
		f.shapes[e.ID.Seq] = b
	case *sekisho.Access:
		k := [3]uint64{b.Session, b.Number, b.Shape}
		a := f.by[k]
		sh := f.shapes[b.Shape]
		if sh == nil {
			h.t.Fatalf("entry %v names shape %d, which is not there", e.ID, b.Shape)
		}
		if a == nil {
			a = &account{session: b.Session, verb: sh.Verb, class: b.Class, tables: strings.Join(sh.Tables, ","), columns: strings.Join(sh.Columns, ","), cats: sh.Categories.String(), reach: b.Reach}
			a.purpose, _ = h.vault.Space("purpose").Key(b.Purpose)
			f.by[k] = a
			f.closes[[2]uint64{b.Session, b.Number}] = append(f.closes[[2]uint64{b.Session, b.Number}], a)
			f.all = append(f.all, a)
		}
		a.rows += b.Rows
		a.open = b.More
		if a.least == 0 || b.Least > 0 && b.Least < a.least {
			a.least = b.Least
		}
		for _, o := range b.Subjects {
			key, ok := h.vault.Space(sh.Space).Key(o)
			if !ok {
				h.t.Fatalf("entry %v names ordinal %d of %s, which the vault does not know", e.ID, o, sh.Space)
			}
			a.keys = append(a.keys, key)
		}
	case *sekisho.AccessClosed:
		for _, a := range f.closes[[2]uint64{b.Session, b.Number}] {
			a.closed = b
		}
	}
}

func (h *house) refusals() (reasons []string) {
	for _, e := range h.entries() {
		if r, ok := e.Body.(*sekisho.Refused); ok {
			reasons = append(reasons, r.Reason)
		}
	}
	return reasons
}

func TestSimpleQueryNamesTheCustomer(t *testing.T) {
	h := newHouse(t)
	if got := h.psql("sato", "select name, city from crm.member where member_no = 1042"); got != "name42|Tokyo\n" {
		t.Fatalf("psql printed %q", got)
	}
	h.stop()
	got := h.accounts()
	if len(got) != 1 {
		t.Fatalf("%d accesses", len(got))
	}
	a := got[0]
	if !slices.Equal(a.keys, []string{"1042"}) || a.rows != 1 || a.open || a.class != sekisho.Exact || a.tables != "crm.member" ||
		a.columns != "crm.member.city,crm.member.name" || a.cats != "identity,contact" || a.least != 11 || a.purpose != "enquiry" {
		t.Errorf("%+v", *a)
	}
}

func TestExtendedQuery(t *testing.T) {
	h := newHouse(t)
	ctx := context.Background()
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeCacheStatement, pgx.QueryExecModeDescribeExec, pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeCacheDescribe} {
		conn := h.connect("sato")
		for i := range 3 {
			var name string
			var joined time.Time
			err := conn.QueryRow(ctx, "select name, joined from crm.member where member_no = $1", mode, 1100+i).Scan(&name, &joined)
			if err != nil || name != fmt.Sprintf("name%d", 100+i) {
				t.Fatalf("mode %v: %q, %v", mode, name, err)
			}
		}
	}
	h.stop()
	for i, a := range h.accounts() {
		if want := []string{strconv.Itoa(1100 + i%3)}; !slices.Equal(a.keys, want) || a.open {
			t.Errorf("access %d: %v, want %v", i, a.keys, want)
		}
	}
	if n := len(h.accounts()); n != 15 {
		t.Errorf("%d accesses, want 15", n)
	}
}

func TestRefusalIsAnErrorThatBothSidesAgreeOn(t *testing.T) {
	h := newHouse(t)
	ctx := context.Background()
	conn := h.connect("sato")
	for _, sql := range []string{"select count(*) from crm.member tablesample system (50)", "select * from crm.member for update skip locked", "delete from crm.member", "create table x as select city from crm.member"} {
		for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeDescribeExec} {
			tx, err := conn.Begin(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := tx.Exec(ctx, "insert into crm.airport values ('XXX', 'x')"); err != nil {
				t.Fatal(err)
			}
			_, err = tx.Exec(ctx, sql, mode)
			var pe *pgconn.PgError
			if !errors.As(err, &pe) || pe.Code != "0A000" || pe.Hint == "" {
				t.Fatalf("%s: %v", sql, err)
			}
			if conn.PgConn().TxStatus() != 'E' {
				t.Errorf("%s: transaction status %c, want E", sql, conn.PgConn().TxStatus())
			}
			if _, err := tx.Exec(ctx, "select 1"); err == nil {
				t.Errorf("%s: the transaction went on", sql)
			}
			tx.Rollback(ctx)
		}
	}
	var n int
	if err := conn.QueryRow(ctx, "select count(*) from crm.airport").Scan(&n); err != nil || n != 3 {
		t.Errorf("airports: %d, %v", n, err)
	}
	h.stop()
	for _, e := range h.entries() {
		if r, ok := e.Body.(*sekisho.Refused); ok {
			if text, known := h.vault.Space("statement").Key(r.Statement); !known || !strings.Contains(text, "crm.") {
				t.Errorf("a refusal of statement %d, %q", r.Statement, text)
			}
		}
	}
	if got := h.refusals(); len(got) != 8 {
		t.Errorf("refusals in the ledger: %v", got)
	}
	if got := h.accounts(); len(got) != 0 {
		t.Errorf("accesses: %d", len(got))
	}
}

func TestLongResult(t *testing.T) {
	h := newHouse(t)
	sql := "select m.*, repeat('x', 300) from crm.member m order by member_no"
	if got, want := h.psql("sato", sql), h.direct(sql); got != want {
		t.Errorf("through the gate: %d bytes, directly: %d", len(got), len(want))
	}
	h.stop()
	a := h.accounts()[0]
	if len(a.keys) != 1000 || a.rows != 1000 || a.open || a.keys[0] != "1001" || a.keys[999] != "2000" {
		t.Errorf("%d keys, %d rows, open %v", len(a.keys), a.rows, a.open)
	}
}
