package gate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"sekisho"
	"sekisho/catalog"
	"sekisho/disk"
	"sekisho/ledger"
)

// The oracle asks PostgreSQL itself whom an answer is about, and compares that
// with what the ledger says of the same statement sent through the gate.
//
//   - Recall: without the rows of one customer the answer is another one. Then
//     the ledger must name that customer.
//   - Precision of the class exact: with other values in the columns that the
//     ledger says went out of one named customer, the answer is another one.
//
// A statement that the gate refuses tells nothing, and is counted by the reason.
//
// SEKISHO_ORACLE is how many statements to try, SEKISHO_ORACLE_SEED which ones,
// SEKISHO_ORACLE_SQLSMITH how many of sqlsmith's besides. SEKISHO_ORACLE_ALL
// prints each statement that was released, SEKISHO_ORACLE_WRONG each that the
// server does not take, SEKISHO_ORACLE_REFUSED each that the gate refuses.

// A way is how a statement is sent.
type way byte

const (
	waySimple way = iota
	wayExtended
	wayBinary
	wayPrepare
	wayCursor
	wayCopy
	wayCopyCSV
	wayCopyBinary
	wayWrite // in a transaction that is rolled back
	wayTable // by way of a temporary table
	ways
)

func (w way) String() string {
	return []string{"simple", "extended", "binary", "PREPARE", "cursor", "COPY", "COPY CSV", "COPY BINARY", "write", "temporary table"}[w]
}

// An answer is what a client has of a statement: rows without their order, the
// command's tag, or an error's SQLSTATE.
type answer struct {
	columns   string
	rows      []string
	tag, code string
	message   string
}

func (a *answer) equal(b *answer) bool {
	return a.code == b.code && (a.code != "" || a.columns == b.columns && a.tag == b.tag && slices.Equal(a.rows, b.rows))
}

func (a *answer) add(r *pgconn.Result) {
	var names []string
	for _, f := range r.FieldDescriptions {
		names = append(names, fmt.Sprintf("%s %d", f.Name, f.DataTypeOID))
	}
	a.columns = strings.Join(names, ",")
	for _, row := range r.Rows {
		a.rows = append(a.rows, line(row))
	}
	a.tag = r.CommandTag.String()
	a.fail(r.Err)
}

// readAll runs a script with the simple protocol. The columns are there also
// of a result without rows.
func readAll(conn *pgconn.PgConn, script string) (results []*pgconn.Result, err error) {
	all := conn.Exec(context.Background(), script)
	for all.NextResult() {
		one := all.ResultReader()
		columns := slices.Clone(one.FieldDescriptions())
		for i := range columns {
			columns[i].Name = strings.Clone(columns[i].Name)
		}
		r := one.Read()
		r.FieldDescriptions = columns
		results = append(results, r)
	}
	return results, all.Close()
}

func line(row [][]byte) string {
	var b strings.Builder
	for _, f := range row {
		if f == nil {
			b.WriteString("NULL|")
		} else {
			fmt.Fprintf(&b, "%q|", f)
		}
	}
	return b.String()
}

func (a *answer) fail(err error) {
	var pe *pgconn.PgError
	if errors.As(err, &pe) {
		a.code, a.message = pe.Code, pe.Message
	} else if err != nil {
		a.code, a.message = "lost", err.Error()
	}
}

// tuples are the rows of a binary COPY.
func tuples(data string) (rows []string) {
	at := copyHead
	for at+2 <= len(data) {
		n := int(int16(be.Uint16([]byte(data[at:]))))
		from := at
		at += 2
		for range n {
			at += 4 + max(int(int32(be.Uint32([]byte(data[at:])))), 0)
		}
		rows = append(rows, data[from:at])
	}
	return rows
}

var givenNames atomic.Int64

// ask sends a statement in some way.
func ask(conn *pgconn.PgConn, w way, sql string) *answer {
	ctx := context.Background()
	a := &answer{}
	several := func(scripts ...string) {
		for _, script := range scripts {
			results, err := readAll(conn, script)
			for _, r := range results {
				if tag := r.CommandTag.String(); !slices.Contains([]string{"BEGIN", "ROLLBACK", "PREPARE", "DECLARE CURSOR", "DROP TABLE"}, tag) {
					a.add(r)
				}
			}
			if a.fail(err); err != nil {
				break
			}
		}
		if conn.TxStatus() != 'I' {
			conn.Exec(ctx, "rollback").ReadAll()
		}
	}
	switch w {
	case waySimple:
		several(sql)
	case wayExtended:
		a.add(conn.ExecParams(ctx, sql, nil, nil, nil, nil).Read())
	case wayBinary:
		a.add(conn.ExecParams(ctx, sql, nil, nil, nil, []int16{1}).Read())
	case wayPrepare:
		// A name that has meant something protected means nothing else later.
		name := fmt.Sprintf("p%d", givenNames.Add(1))
		several("prepare "+name+" as "+sql, "execute "+name)
		conn.Exec(ctx, "deallocate all").ReadAll()
	case wayCursor:
		several("begin", "declare c cursor for "+sql, "fetch 3 from c", "fetch all from c", "commit")
	case wayCopy, wayCopyCSV, wayCopyBinary:
		options := ""
		if w == wayCopyBinary {
			options = " with (format binary)"
		}
		if w == wayCopyCSV {
			options = " with (format csv, header)"
		}
		var out strings.Builder
		tag, err := conn.CopyTo(ctx, &out, "copy ("+sql+") to stdout"+options)
		a.tag = tag.String()
		a.fail(err)
		a.rows = strings.Split(out.String(), "\n")
		if w == wayCopyBinary {
			a.rows = tuples(out.String())
		}
	case wayWrite:
		several("BEGIN", sql, "ROLLBACK")
	case wayTable:
		n := givenNames.Add(1)
		name := fmt.Sprintf("t%d", n)
		create := "create temp table " + name + " as " + sql
		if n%2 == 0 {
			a.fail(conn.ExecParams(ctx, create, nil, nil, nil, nil).Read().Err)
		} else {
			_, err := conn.Exec(ctx, create).ReadAll()
			a.fail(err)
		}
		if a.code == "" {
			several("select * from "+name, "drop table "+name)
		}
	}
	slices.Sort(a.rows)
	return a
}

// A trial is one statement, and what came of it.
type trial struct {
	n      int
	source string // whose statement it is
	sql    string
	part   *part // of a generated one
	way    way
	user   string

	direct, through *answer
	from, to        uint64 // the ledger's entries about it: from < seq <= to

	refused []string
	exact   map[string][]string // customer, and the columns said to have gone out
	others  map[string]bool     // contributed
	whole   bool                // everybody contributed
	anyRow  bool
}

// An oracle is a house with the schema air, and a connection behind its back.
type oracle struct {
	*house
	db        *pgconn.PgConn
	gates     map[string]*pgconn.PgConn
	customers []string
}

const oracleSchema = "testdata/oracle.sql"

func newOracle(t *testing.T, more ...option) *oracle {
	script, err := os.ReadFile(oracleSchema)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{"member_no": "identity", "name": "identity", "email": "contact", "city": "contact", "passport_no": "travel_document", "expires_on": "travel_document"}
	protected := func(name string) catalog.Table {
		return catalog.Table{Name: name, Subject: "passenger", Key: "member_no", Columns: all}
	}
	air := func(o *options) {
		if _, err := cluster.SQL(context.Background(), o.gate.Upstream.Database, string(script)); err != nil {
			t.Fatal(err)
		}
		o.catalog.Subjects = append(o.catalog.Subjects, catalog.Subject{Name: "passenger", Table: "air.member", Key: "member_no"})
		o.catalog.Tables = append(o.catalog.Tables, protected("air.member"), protected("air.passport"), protected("air.booking"), protected("air.mile"), protected("air.card"))
		for i := range o.catalog.Tables {
			if name := o.catalog.Tables[i].Name; strings.HasPrefix(name, "air.") {
				o.catalog.Tables[i].Columns = maps.Clone(all)
				if name != "air.member" {
					continue
				}
				o.catalog.Tables[i].Columns["tier"] = "public"
			}
		}
		for i := range o.catalog.Tables { // only columns that it has
			o.catalog.Tables[i].Columns = onlyOf(o.catalog.Tables[i])
		}
		o.log = logToNobody{}
		o.gate.Upstream.Refresh = time.Hour
	}
	h := newHouse(t, append([]option{air}, more...)...)
	o := &oracle{house: h, gates: map[string]*pgconn.PgConn{}}
	o.db, err = pgconn.Connect(context.Background(), fmt.Sprintf("host=%s port=%d user=staff password=upstream dbname=%s options='-c statement_timeout=3000'", cluster.SocketDir(), cluster.Port(), h.dbname))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.db.Close(context.Background()) })
	for _, r := range o.script("select member_no from air.member order by 1")[0].Rows {
		o.customers = append(o.customers, string(r[0]))
	}
	return o
}

func onlyOf(t catalog.Table) map[string]string {
	for _, r := range relations {
		if r.name == t.Name {
			maps.DeleteFunc(t.Columns, func(name, _ string) bool {
				return !slices.ContainsFunc(r.attrs, func(a attr) bool { return a.name == name })
			})
		}
	}
	return t.Columns
}

// script runs the oracle's own statements, which do not fail.
func (o *oracle) script(sql string) []*pgconn.Result {
	results, err := o.db.Exec(context.Background(), sql).ReadAll()
	if err != nil {
		o.t.Fatalf("the oracle's own %s: %v", sql, err)
	}
	return results
}

// send sends a trial directly and through the gate.
func (o *oracle) send(tr *trial) {
	if tr.direct == nil {
		tr.direct = ask(o.db, tr.way, tr.sql)
	}
	conn := o.gates[tr.user]
	if conn == nil || conn.IsClosed() {
		var err error
		if conn, err = pgconn.Connect(context.Background(), o.dsn(tr.user, "options='-c statement_timeout=3000'")); err != nil {
			o.t.Fatal(err)
		}
		o.t.Cleanup(func() { conn.Close(context.Background()) })
		o.gates[tr.user] = conn
	}
	tr.from = o.ledger.Last()
	tr.through = ask(conn, tr.way, tr.sql)
	if tr.through.code != "" {
		// A refusal is noted without waiting, before the client reads of it. The
		// ledger takes entries in order: it stands in front of this one.
		if _, err := o.ledger.Append(context.Background(), &sekisho.SignedIn{}); err != nil {
			o.t.Fatal(err)
		}
	}
	tr.to = o.ledger.Last()
}

// read fills in what the ledger says of each trial.
func (o *oracle) read(trials []*trial) {
	// The ledger takes entries in order: behind this one stands all that was
	// noted without waiting.
	o.send(&trial{sql: "select name from air.member where false", user: "sato", direct: &answer{}})
	shapes := map[uint64]*sekisho.Shape{}
	closed := map[[2]uint64]*sekisho.AccessClosed{}
	var entries []sekisho.Entry
	for e, err := range ledger.Read(disk.OS{}, filepath.Join(o.dir, "ledger"), 1) {
		if err != nil {
			o.t.Fatal(err)
		}
		switch b := e.Body.(type) {
		case *sekisho.Shape:
			shapes[e.ID.Seq] = b
		case *sekisho.AccessClosed:
			closed[[2]uint64{b.Session, b.Number}] = b
		}
		entries = append(entries, e)
	}
	at := 0
	for _, tr := range trials {
		tr.refused, tr.exact, tr.others, tr.whole, tr.anyRow = nil, map[string][]string{}, map[string]bool{}, false, false
	}
	for _, e := range entries {
		for at < len(trials) && e.ID.Seq > trials[at].to {
			at++
		}
		if at == len(trials) {
			return
		}
		tr := trials[at]
		if e.ID.Seq <= tr.from {
			continue
		}
		switch b := e.Body.(type) {
		case *sekisho.Refused:
			tr.refused = append(tr.refused, b.Reason)
		case *sekisho.Access:
			// What an AccessClosed says was never released does not count, just as
			// it does not count in the four numbers.
			if c := closed[[2]uint64{b.Session, b.Number}]; c != nil && e.ID.Seq > c.Released {
				continue
			}
			sh := shapes[b.Shape]
			if sh.Space != "passenger" {
				continue
			}
			tr.anyRow = tr.anyRow || b.Class == sekisho.AnyRow
			tr.whole = tr.whole || b.Class == sekisho.Contributed && b.Reach > 0
			for _, ord := range b.Subjects {
				key, ok := o.vault.Space("passenger").Key(ord)
				if !ok {
					o.t.Fatalf("entry %v names ordinal %d, which the vault does not know", e.ID, ord)
				}
				if b.Class == sekisho.Exact {
					tr.exact[key] = append(tr.exact[key], sh.Columns...)
				} else {
					tr.others[key] = true
				}
			}
		}
	}
}

// names says whether the ledger names a customer.
func (tr *trial) names(key string) bool {
	_, exact := tr.exact[key]
	return tr.anyRow || tr.whole || exact || tr.others[key]
}

// under gives the answers of a statement after each of some changes to the
// database, each of which is taken back.
func (o *oracle) under(sql string, changes []string) []*answer {
	o.script("begin; savepoint s")
	defer o.script("rollback")
	var answers []*answer
	for len(answers) < len(changes) {
		var b strings.Builder
		rest := changes[len(answers):]
		for _, c := range rest {
			b.WriteString(c + ";\n" + sql + ";\nrollback to s;\n")
		}
		results, err := readAll(o.db, b.String())
		for i := 1; i < len(results) && len(answers) < len(changes); i += 3 {
			if results[i].Err != nil {
				break
			}
			a := &answer{}
			a.add(results[i])
			slices.Sort(a.rows)
			answers = append(answers, a)
		}
		if err != nil {
			a := &answer{}
			a.fail(err)
			answers = append(answers, a)
			o.script("rollback to s")
		}
	}
	return answers
}

// stable says whether a statement has one answer, whatever the plan and
// whatever the order of rows on the disk.
func (o *oracle) stable(sql string) (*answer, bool) {
	a := o.under(sql, []string{"select 1", "select oracle.shuffle()",
		"select set_config('enable_hashjoin','off',true), set_config('enable_hashagg','off',true), set_config('enable_nestloop','off',true), oracle.shuffle()"})
	return a[0], a[0].equal(a[1]) && a[0].equal(a[2]) && a[0].code != cancelled
}
