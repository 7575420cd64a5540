package gate

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"sekisho"
	"sekisho/permit"
)

// askAbove gives the role staff a limit, a second member and a book of permits
// that is folded from the ledger at each question.
func askAbove(most uint64, h **house) option {
	return func(o *options) {
		r := o.gate.Roles["staff"]
		r.AskAbove = most
		o.gate.Roles["staff"] = r
		o.gate.Principals = append(o.gate.Principals, Principal{Name: "suzuki", Role: "staff", Verifier: o.gate.Principals[0].Verifier})
		fromLedger(&o.gate, func() *permit.Book { return (*h).permits() })
	}
}

// fromLedger lets a gate know of approvals what book has folded.
func fromLedger(conf *Config, book func() *permit.Book) {
	conf.Permit = func(exact uint32, spent func(uint64) bool) (permit.Request, permit.State, bool) {
		now := sekisho.At(time.Now())
		r, ok := book().For(exact, now, func(r *permit.Request) bool { return spent(r.Number) })
		return r, r.State(now), ok
	}
	conf.Counts = func(_ context.Context, request, entry uint64) (bool, error) {
		r, _ := book().Get(request)
		return r.UseSeq == entry, nil
	}
}

func (h *house) permits() *permit.Book {
	b := permit.New()
	for _, e := range h.entries() {
		b.Apply(&e)
	}
	return b
}

// approve asks for the statement with a reference and approves it.
func (h *house) approve(reference, most uint64, until time.Time) (request uint64) {
	h.t.Helper()
	return h.approveBy(0, reference, most, until)
}

// approveBy is approve by somebody in the space "staff".
func (h *house) approveBy(approver uint32, reference, most uint64, until time.Time) (request uint64) {
	h.t.Helper()
	i := slices.IndexFunc(h.gate.Turned(), func(t permit.Turned) bool { return t.Number == reference })
	if i < 0 {
		h.t.Fatalf("the gate knows no statement %d", reference)
	}
	st := h.gate.Turned()[i].Statement
	id, err := h.ledger.Append(context.Background(), &sekisho.ExportAsked{Refused: reference, Principal: st.Principal, Role: st.Role,
		Exact: h.vault.Space("export").OfText(st.Key()), Tables: st.Tables, Most: most})
	if err == nil {
		_, err = h.ledger.Append(context.Background(), &sekisho.ExportDecided{Request: id.Seq, By: approver, Action: "approved", Most: most, Until: sekisho.At(until)})
	}
	if err != nil {
		h.t.Fatal(err)
	}
	return id.Seq
}

var requestNumber = regexp.MustCompile(`sekisho export request (\d+)`)

// reference is the number that a refusal tells to ask by.
func reference(t *testing.T, said string) uint64 {
	t.Helper()
	m := requestNumber.FindStringSubmatch(said)
	if m == nil {
		t.Fatalf("no number to ask by in %.300q", said)
	}
	n, _ := strconv.ParseUint(m[1], 10, 64)
	return n
}

// named counts the customers that the ledger names, access by access.
func (h *house) named() (counts []int) {
	for _, a := range h.accounts() {
		slices.Sort(a.keys)
		counts = append(counts, len(slices.Compact(a.keys)))
	}
	return counts
}

// Above the limit a statement ends at the row that would name one customer too
// many. Approved, the same statement goes through once, for its sender alone.
func TestExportNeedsAnApprovalAndUsesItOnce(t *testing.T) {
	var h *house
	h = newHouse(t, askAbove(10, &h))
	const sql = "select name, city from crm.member where city <> 'Kyoto' order by member_no"
	said := h.psql("sato", sql)
	if strings.Contains(said, "name1|") || !strings.Contains(said, "more than 10 customers") {
		t.Fatalf("psql printed %q", said)
	}
	n := reference(t, said)
	if again := reference(t, h.psql("sato", sql+" ;")); again != n {
		t.Errorf("sent again, the statement has the number %d and not %d", again, n)
	}
	request := h.approve(n, 2000, time.Now().Add(time.Hour))
	for _, c := range []struct{ who, sql string }{{"suzuki", sql}, {"sato", strings.Replace(sql, "Kyoto", "Nara", 1)}, {"sato", strings.Replace(sql, "name,", "email,", 1)}} {
		if other := reference(t, h.psql(c.who, c.sql)); other == n {
			t.Errorf("%s's %q has the number of another statement", c.who, c.sql)
		}
	}
	if got, want := h.psql("sato", sql), h.direct(sql); got != want {
		t.Errorf("approved: %d bytes through the gate, %d directly: %s", len(got), len(want), got[max(0, len(got)-300):])
	}
	if third := h.psql("sato", sql); !strings.Contains(third, "more than 10 customers") {
		t.Errorf("used twice: %d bytes", len(third))
	}
	h.stop()
	if got := fmt.Sprint(h.named()); got != "[10 10 10 10 10 1000 10]" {
		t.Errorf("customers named: %s", got)
	}
	// The approval is spent before the ledger names anybody whom it is needed for.
	used, eleventh, rows := uint64(0), uint64(0), map[uint64]uint64{}
	for _, e := range h.entries() {
		switch b := e.Body.(type) {
		case *sekisho.ExportUsed:
			if b.Request != request || used != 0 {
				t.Errorf("entry %d uses request %d", e.ID.Seq, b.Request)
			}
			used = e.ID.Seq
		case *sekisho.Access:
			if rows[b.Session] += b.Rows; rows[b.Session] > 10 && eleventh == 0 {
				eleventh = e.ID.Seq
			}
		}
	}
	if used == 0 || used > eleventh {
		t.Errorf("the approval was used in entry %d, the eleventh customer is named in %d", used, eleventh)
	}
	if r, _ := h.permits().Get(request); r.State(sekisho.At(time.Now())) != permit.Used {
		t.Errorf("the request is %s", r.State(sekisho.At(time.Now())))
	}
	for _, e := range h.entries() {
		if s := fmt.Sprintf("%+v", e.Body); strings.Contains(s, "Kyoto") || strings.Contains(s, "Nara") {
			t.Errorf("an entry holds a literal: %s", s)
		}
	}
}

// Who asks, and who decides, is told where the policy ends the answer whatever is
// approved.
func TestExportSaysWhereThePolicyEndsIt(t *testing.T) {
	_, policy := withPolicy(t, office)
	var h *house
	h = newHouse(t, policy, askAbove(10, &h))
	const sql = "select name from crm.member order by member_no"
	said := h.psql("sato", sql)
	if !strings.Contains(said, "more than 10 customers") || !strings.Contains(said, "The policy ends its answer after 30 rows even then.") {
		t.Fatalf("psql printed %q", said)
	}
	n := reference(t, said)
	if turned := h.gate.Turned(); len(turned) != 1 || turned[0].EndsAt != 30 {
		t.Errorf("turned away: %+v", turned)
	}
	h.approve(n, 2000, time.Now().Add(time.Hour))
	if said := h.psql("sato", sql); !strings.Contains(said, "thirty rows are enough") {
		t.Errorf("approved: psql printed %q", said)
	}
	h.stop()
	if got := fmt.Sprint(h.named()); got != "[10 30]" {
		t.Errorf("customers named: %s", got)
	}
}

// An approval is for so many customers, and for so long.
func TestExportEndsAtTheApprovedNumberAndTime(t *testing.T) {
	var h *house
	h = newHouse(t, askAbove(10, &h))
	const sql = "copy (select name from crm.member order by member_no) to stdout"
	n := reference(t, h.psql("sato", sql))
	h.approve(n, 25, time.Now().Add(time.Hour))
	if said := h.psql("sato", sql); !strings.HasPrefix(said, "name1\n") || !strings.Contains(said, "name25\n") || strings.Contains(said, "name26\n") || !strings.Contains(said, "25 customers at most") {
		t.Errorf("psql printed %q", said)
	}
	h.approve(n, 1000, time.Now().Add(-time.Second))
	if said := h.psql("sato", sql); !strings.Contains(said, "name10\n") || strings.Contains(said, "name11\n") {
		t.Errorf("with an approval that has ended, psql printed %q", said)
	}
	h.stop()
	if got := fmt.Sprint(h.named()); got != "[10 25 10]" {
		t.Errorf("customers named: %s", got)
	}
	if got := fmt.Sprint(h.refusals()); got != "[export export_most export]" {
		t.Errorf("refusals: %s", got)
	}
}

// A statement with parameters is bound to their values, in whatever pieces its
// rows are fetched.
func TestExportIsBoundToParameters(t *testing.T) {
	var h *house
	h = newHouse(t, askAbove(10, &h))
	ctx := context.Background()
	conn := h.connect("sato")
	read := func(from int) (rows int, err error) {
		r, err := conn.Query(ctx, "select name from crm.member where member_no >= $1 order by member_no", pgx.QueryExecModeDescribeExec, from)
		if err != nil {
			return 0, err
		}
		for r.Next() {
			rows++
		}
		return rows, r.Err()
	}
	said := func(err error) string {
		var pe *pgconn.PgError
		if !errors.As(err, &pe) || pe.Code != "53400" {
			t.Fatalf("the answer is %v", err)
		}
		return pe.Hint
	}
	rows, err := read(1501)
	if rows != 10 {
		t.Errorf("%d rows came before the refusal", rows)
	}
	h.approve(reference(t, said(err)), 1000, time.Now().Add(time.Hour))
	if rows, err := read(1502); rows != 10 {
		t.Errorf("with another value: %d rows, %v", rows, err)
	}
	if rows, err := read(1501); rows != 500 || err != nil {
		t.Errorf("approved: %d rows, %v", rows, err)
	}
	if rows, err := read(1991); rows != 10 || err != nil {
		t.Errorf("up to the limit: %d rows, %v", rows, err)
	}
}

// A customer counts once, however many rows they have, and in observe mode
// nobody is asked.
func TestExportCountsCustomersOnce(t *testing.T) {
	var h *house
	h = newHouse(t, askAbove(10, &h), func(o *options) {
		r := o.gate.Roles["observed"]
		r.AskAbove = 10
		o.gate.Roles["observed"] = r
	})
	const many = "select m.name, a.code from crm.member m cross join crm.airport a cross join crm.airport b where member_no <= 10%02d order by a.code, b.code, member_no"
	if got := strings.Count(h.psql("sato", fmt.Sprintf(many, 10)), "\n"); got != 90 {
		t.Errorf("ten customers in %d rows", got)
	}
	if got := h.psql("sato", fmt.Sprintf(many, 11)); !strings.Contains(got, "more than 10") {
		t.Errorf("eleven customers: %s", got)
	}
	if got := strings.Count(h.psql("watched", "select member_no from crm.member"), "\n"); got != 1000 {
		t.Errorf("observed: %d rows", got)
	}
}

// Where a program works for others, an approval is that person's, and nobody's
// else behind the same program.
func TestExportIsThePersonsBehindAProgram(t *testing.T) {
	var h *house
	h = newHouse(t, askAbove(10, &h), speaking)
	as := func(person string) string {
		return h.psql("web", "set sekisho.\"user\" = '"+person+"';\nselect name from crm.member order by member_no")
	}
	n := reference(t, as("ito"))
	i := slices.IndexFunc(h.gate.Turned(), func(t permit.Turned) bool { return t.Number == n })
	turned := h.gate.Turned()[i]
	if who, _ := h.vault.Space("staff").Key(turned.Statement.Whose()); who != "ito" {
		t.Errorf("the statement is %q's", who)
	}
	h.approve(n, 1000, time.Now().Add(time.Hour))
	if other := reference(t, as("kato")); other == n {
		t.Error("somebody else's statement has the same number")
	}
	if got := strings.Count(as("ito"), "\n"); got != 1000 {
		t.Errorf("approved: %d rows", got)
	}
}
