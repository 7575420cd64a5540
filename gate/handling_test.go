package gate

import (
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"sekisho"
	"sekisho/act"
	"sekisho/catalog"
)

// handled is a house whose gate has the handling rules before it. Everybody comes
// from 127.0.0.1, which is the office if office says so.
type handled struct {
	*house
	approved atomic.Bool
	offSite  atomic.Pointer[OffSite]
	cert     []string
}

func handledHouse(t *testing.T, office ...string) *handled {
	t.Helper()
	return handledHouseBy(t, office, func(*catalog.Handling) {})
}

func handledHouseBy(t *testing.T, office []string, change func(*catalog.Handling)) *handled {
	t.Helper()
	rules, err := catalog.ReadHandling(catalog.ShippedHandling())
	if err != nil {
		t.Fatal(err)
	}
	change(rules)
	h := &handled{}
	h.offSite.Store(&OffSite{})
	h.approved.Store(true)
	_, policy := withPolicy(t, `@id("all") permit (principal, action, resource);`)
	h.house = newHouse(t, policy, askAbove(0, &h.house), func(o *options) {
		o.gate.Policy.Office = office
		o.gate.Policy.Narrow = func() []act.File { return []act.File{act.OffSite(rules, h.approved.Load())} }
		o.gate.Policy.OffSite = func() *OffSite { return h.offSite.Load() }
	})
	cert, key := h.ca.issue(t, h.dir, "pc-0417", x509.ExtKeyUsageClientAuth)
	h.cert = []string{"sslmode=verify-ca", "sslrootcert=" + h.ca.file, "sslcert=" + cert, "sslkey=" + key}
	return h
}

// ready lets pc-0417 be used outside the office, for what sato has a permit.
func (h *handled) ready(permits sekisho.Categories) {
	h.offSite.Store(&OffSite{Ready: map[string]bool{"pc-0417": true}, Permits: map[Permitted]sekisho.Categories{{"sato", "pc-0417"}: permits}})
}

const (
	passports = "select passport_no from crm.passport where member_no = 1003"
	names     = "select name from crm.member where member_no = 1003"
	addresses = "select email from crm.member where member_no = 1003"
)

// Outside the office a passport does not go out, whoever asks and by whatever
// protocol; what the handling rules allow there does.
func TestHandlingRulesHoldOutsideTheOffice(t *testing.T) {
	for _, place := range []struct {
		name   string
		office []string
	}{{"remote", []string{"192.0.2.0/24"}}, {"unknown", nil}} {
		t.Run(place.name, func(t *testing.T) {
			h := handledHouse(t, place.office...)
			conn := h.connect("sato", h.cert...)
			ask := func(sql string, mode pgx.QueryExecMode) (got string, err error) {
				return got, conn.QueryRow(context.Background(), sql, mode).Scan(&got)
			}
			for _, mode := range bothWays {
				_, err := ask(names, mode)
				if err == nil {
					t.Fatal("a terminal of which nothing is known was served outside")
				}
				if pe := pgError(t, err); pe.Code != "42501" || !strings.Contains(pe.Message, "only at a terminal") || !strings.Contains(pe.Hint, "sekisho register terminals") {
					t.Errorf("%+v", pe)
				}
			}
			h.ready(0)
			eventually(t, "the register's word counts", func() bool {
				_, err := ask(names, bothWays[0])
				return err != nil && strings.Contains(err.Error(), "a permit")
			})
			h.ready(sekisho.Identity | sekisho.Contact | sekisho.TravelDoc)
			eventually(t, "the permit counts", func() bool { _, err := ask(names, bothWays[0]); return err == nil })
			for _, mode := range bothWays {
				if got, err := ask(names, mode); err != nil || got == "" {
					t.Errorf("%q, %v", got, err)
				}
				if got, err := ask(addresses, mode); err != nil || !strings.Contains(got, "*") {
					t.Errorf("an address outside the office: %q, %v", got, err)
				}
				_, err := ask(passports, mode)
				if err == nil {
					t.Fatal("a passport went out")
				}
				if pe := pgError(t, err); pe.Code != "42501" || !strings.Contains(pe.Message, "handling rules (edition 2026-11) forbid passports") || !strings.Contains(pe.Hint, "in the office") || !strings.Contains(pe.Hint, "crm.passport.passport_no: travel_document") {
					t.Errorf("%+v", pe)
				}
			}
			if plain := h.connect("sato"); plain.QueryRow(context.Background(), names).Scan(new(string)) == nil {
				t.Error("a terminal that no certificate proves is taken for the one of the register")
			}
			if last := h.rulingsIn(); !slices.ContainsFunc(last, func(r *sekisho.Ruled) bool {
				return slices.Equal(r.Rules, []string{"handling-travel_document-off_site"}) && r.Enforced
			}) {
				t.Errorf("the ledger names no handling rule: %+v", last)
			}
			h.offSite.Store(&OffSite{})
			eventually(t, "a permit that ended", func() bool { _, err := ask(names, bothWays[0]); return err != nil })
		})
	}
}

// In the office the rules refuse nothing.
func TestHandlingRulesLeaveTheOfficeAlone(t *testing.T) {
	h := handledHouse(t, "127.0.0.0/8")
	for _, sql := range []string{passports, names, addresses} {
		var got string
		if err := h.connect("sato").QueryRow(context.Background(), sql).Scan(&got); err != nil || strings.Contains(got, "*") {
			t.Errorf("%s: %q, %v", sql, got, err)
		}
	}
}

// While nobody has approved rules nothing goes out of the office; once they are
// approved they hold, without a restart, and the ledger says which policy decides.
func TestHandlingRulesBeforeAnyApproval(t *testing.T) {
	h := handledHouse(t, "192.0.2.0/24")
	h.approved.Store(false)
	h.ready(sekisho.Identity)
	conn := h.connect("sato", h.cert...)
	ask := func() error { return conn.QueryRow(context.Background(), names).Scan(new(string)) }
	eventually(t, "rules that nobody approved refuse", func() bool { err := ask(); return err != nil && strings.Contains(err.Error(), "nobody has approved") })
	h.approved.Store(true)
	eventually(t, "approved rules hold", func() bool { return ask() == nil })
	sums := map[[32]byte]bool{}
	for _, e := range h.entries() {
		if r, ok := e.Body.(*sekisho.PolicyRead); ok {
			sums[r.SHA256] = true
		}
	}
	if len(sums) != 2 {
		t.Errorf("%d different policies are in the ledger; want both", len(sums))
	}
}

// Where the gate only observes it refuses nothing, and records what it would have.
func TestHandlingRulesObserved(t *testing.T) {
	h := handledHouse(t, "192.0.2.0/24")
	if err := h.connect("watched", h.cert...).QueryRow(context.Background(), passports).Scan(new(string)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "what would have been is recorded", func() bool {
		return slices.ContainsFunc(h.rulingsIn(), func(r *sekisho.Ruled) bool {
			return !r.Enforced && r.Decision == "refuse" && slices.Contains(r.Rules, "handling-travel_document-off_site")
		})
	})
}

// labelling is a house whose gate labels what leaves.
func labelling(t *testing.T) option {
	t.Helper()
	rules, err := catalog.ReadHandling(catalog.ShippedHandling())
	if err != nil {
		t.Fatal(err)
	}
	return func(o *options) {
		o.gate.Label = func(of sekisho.Categories, at sekisho.Time, by uint32) *sekisho.Labelled {
			return rules.Label("", "", of, at, by)
		}
	}
}

func (h *house) labels() (all []*sekisho.Labelled, numbers []uint64) {
	for _, e := range h.entries() {
		if l, ok := e.Body.(*sekisho.Labelled); ok {
			all, numbers = append(all, l), append(numbers, e.ID.Seq)
		}
	}
	return all, numbers
}

// What leaves by COPY bears a label, which is in the ledger before the first line;
// the data is what it is without one.
func TestCopyBearsItsLabel(t *testing.T) {
	h := newHouse(t, labelling(t))
	const copyOut = "copy (select member_no, name from crm.member order by 1) to stdout;\n"
	plain := h.direct(copyOut)
	said := h.psql("sato", copyOut+"select 1;\n")
	all, numbers := h.labels()
	if len(all) != 1 || all[0].What != "copy" || all[0].Class != "confidential" || all[0].Categories != sekisho.Identity || all[0].By == 0 || all[0].Until == 0 {
		t.Fatalf("%+v", all)
	}
	notice := fmt.Sprintf("NOTICE:  sekisho label=%d class=confidential categories=identity by=sato", numbers[0])
	if !strings.Contains(said, notice) || !strings.Contains(said, fmt.Sprintf("sekisho handling label %d", numbers[0])) {
		t.Errorf("psql shows no %q: %.400q", notice, said[max(0, len(said)-400):])
	}
	if !strings.Contains(said, plain) {
		t.Error("the lines are not those of the table")
	}
	first := uint64(0)
	for _, e := range h.entries() {
		if _, ok := e.Body.(*sekisho.Access); ok && first == 0 {
			first = e.ID.Seq
		}
	}
	if first == 0 || first < numbers[0] {
		t.Errorf("the first customers are named in %d, the label is %d", first, numbers[0])
	}
	if h.psql("sato", "select name from crm.member where member_no = 1003;\n"); len(all) != 1 {
		t.Error("a look-up bears a label")
	}
}

// An approved bulk read bears one, by both protocols, and a client that reads
// notices gets it.
func TestApprovedExportBearsItsLabel(t *testing.T) {
	var h *house
	h = newHouse(t, askAbove(10, &h), labelling(t))
	const sql = "select name, city from crm.member order by member_no"
	n := reference(t, h.psql("sato", sql))
	h.approve(n, 5000, time.Now().Add(time.Hour))
	config, err := pgx.ParseConfig(h.dsn("sato"))
	if err != nil {
		t.Fatal(err)
	}
	var notices []string
	config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { notices = append(notices, n.Severity+" "+n.Message) }
	conn, err := pgx.ConnectConfig(context.Background(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	rows, err := conn.Query(context.Background(), sql)
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for rows.Next() {
		count++
	}
	if err := rows.Err(); err != nil || count < 100 {
		t.Fatalf("%d rows, %v", count, err)
	}
	all, numbers := h.labels()
	if len(all) != 1 || all[0].What != "export" || all[0].Categories != sekisho.Identity|sekisho.Contact {
		t.Fatalf("%+v", all)
	}
	if len(notices) != 1 || !strings.HasPrefix(notices[0], fmt.Sprintf("NOTICE sekisho label=%d class=confidential categories=identity,contact by=sato", numbers[0])) {
		t.Errorf("%q", notices)
	}
	if err := conn.QueryRow(context.Background(), names).Scan(new(string)); err != nil || len(notices) != 1 {
		t.Errorf("the next statement: %v, %q", err, notices)
	}
}

// What the rules let be used outside the office with a second person's agreement
// is asked for as an export is: refused with a number to ask by, released once
// somebody has agreed, and refused again. In the office nobody is asked.
func TestASecondPersonOutsideTheOffice(t *testing.T) {
	second := func(h *catalog.Handling) {
		for i := range h.Rules {
			if h.Rules[i].Category == "contact" {
				h.Rules[i].OffSite = catalog.May{May: catalog.Conditions, With: []string{"second_person"}}
			}
		}
	}
	h := handledHouseBy(t, []string{"192.0.2.0/24"}, second)
	h.ready(sekisho.Identity | sekisho.Contact)
	conn := h.connect("sato", h.cert...)
	ask := func(mode pgx.QueryExecMode) (got string, err error) {
		return got, conn.QueryRow(context.Background(), addresses, mode).Scan(&got)
	}
	eventually(t, "only a second person is missing", func() bool {
		_, err := ask(bothWays[0])
		return err != nil && strings.Contains(err.Error(), "a second person")
	})
	for _, mode := range bothWays {
		for range 2 { // an approval serves once
			_, err := ask(mode)
			if err == nil {
				t.Fatal("an address went out of the office, and nobody had agreed")
			}
			pe := pgError(t, err)
			if pe.Code != "42501" || !strings.Contains(pe.Message, "outside the office") || !strings.Contains(pe.Hint, "sekisho export request") || strings.Contains(pe.Hint, "were sent") {
				t.Fatalf("%s: %q (%q)", pe.Code, pe.Message, pe.Hint)
			}
			h.approve(reference(t, pe.Hint), 10, time.Now().Add(time.Hour))
			if got, err := ask(mode); err != nil || !strings.Contains(got, "@") || strings.Contains(got, "*") {
				t.Errorf("with an approval: %q, %v", got, err)
			}
		}
	}
	if last := h.rulingsIn(); !slices.ContainsFunc(last, func(r *sekisho.Ruled) bool {
		return slices.Contains(r.Rules, "handling-contact-off_site-second_person")
	}) {
		t.Errorf("the ledger names no rule of a second person: %+v", last)
	}

	inside := handledHouseBy(t, []string{"127.0.0.0/8"}, second)
	var got string
	if err := inside.connect("sato").QueryRow(context.Background(), addresses).Scan(&got); err != nil || !strings.Contains(got, "@") {
		t.Errorf("in the office: %q, %v", got, err)
	}
}
