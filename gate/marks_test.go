package gate

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"sekisho"
	"sekisho/catalog"
)

// mailboxes has approved exports carry decoys whose addresses a test can tell.
func mailboxes(o *options) {
	o.gate.Marks = func(request uint64, n int) (list []string) {
		for i := range n {
			list = append(list, fmt.Sprintf("d%d.of%d@decoy.example.jp", i, request))
		}
		return list
	}
}

// approveWithDecoys is approve, for an answer that is to carry so many decoys.
func (h *house) approveWithDecoys(reference, most, decoys uint64) uint64 {
	h.t.Helper()
	for _, t := range h.gate.Turned() {
		if t.Number == reference {
			if _, err := h.ledger.Append(context.Background(), &sekisho.ExportMarked{Exact: h.vault.Space("export").OfText(t.Statement.Key()), Decoys: decoys}); err != nil {
				h.t.Fatal(err)
			}
		}
	}
	return h.approve(reference, most, time.Now().Add(time.Hour))
}

// decoys are the keys and mailboxes that the ledger says were placed for a request.
func (h *house) decoys(request uint64) (list [][2]string) {
	for _, e := range h.entries() {
		if b, ok := e.Body.(*sekisho.DecoyPlaced); ok && b.Request == request {
			key, _ := h.vault.Space(b.Space).Key(b.Subject)
			box, _ := h.vault.Space("mailbox").Key(b.Mailbox)
			list = append(list, [2]string{key, box})
		}
	}
	return list
}

// Whatever way an approved export is read, its answer has so many rows more, each
// with a key and a mailbox that the ledger knew before; the rest is as it was, and
// the server's own count and the client's agree.
func TestAnExportCarriesItsOwnDecoys(t *testing.T) {
	var h *house
	h = newHouse(t, askAbove(10, &h), mailboxes)
	const sql = "select member_no, name, email, joined, city from crm.member where city <> '%s' order by member_no"
	for i, c := range []struct {
		name string
		run  func(sql string) string // the answer as text, with the tag
	}{
		{"simple", func(sql string) string { return h.raw("sato").run("Q " + sql) }},
		{"extended", func(sql string) string { return h.raw("sato").run("P a " + sql + "\nB \"\" a - -\nE \"\" 0\nS") }},
		{"copy", func(sql string) string { return h.raw("sato").run("Q copy (" + sql + ") to stdout") }},
		{"copy as csv", func(sql string) string {
			return h.raw("sato").run("Q copy (" + sql + ") to stdout (format csv, header)")
		}},
		{"binary", func(sql string) string { return h.raw("sato").run("P a " + sql + "\nB \"\" a - 1\nE \"\" 0\nS") }},
		{"copy in binary", func(sql string) string {
			return h.raw("sato").run("Q copy (" + sql + ") to stdout (format binary)")
		}},
	} {
		sql := fmt.Sprintf(sql, fmt.Sprint("Nara", i))
		request := h.approveWithDecoys(reference(t, c.run(sql)), 2000, 3)
		got := c.run(sql)
		placed := h.decoys(request)
		if len(placed) != 3 {
			t.Errorf("%s: the ledger has placed %v:\n%.400s", c.name, placed, got[max(0, len(got)-400):])
			continue
		}
		for _, d := range placed {
			if strings.Count(got, d[1]) != 1 || !strings.Contains(c.name, "binary") && strings.Count(got, d[0]) < 1 {
				t.Errorf("%s: %v is not once in the answer", c.name, d)
			}
		}
		if !regexp.MustCompile(`(SELECT|COPY) 1003`).MatchString(got) {
			t.Errorf("%s: the tag: %.200s", c.name, got[max(0, len(got)-200):])
		}
		if n := strings.Count(got, "@"); n != 1003 && !strings.Contains(c.name, "binary") {
			t.Errorf("%s: %d addresses", c.name, n)
		}
	}
	// Nobody else's answer has them, and no access names them.
	for _, keys := range h.sessions() {
		for _, k := range keys {
			if k[0] == '9' {
				t.Errorf("an access names the decoy %s", k)
			}
		}
	}
}

// What comes out can be read in again: a table of the same types takes it.
func TestDecoysHaveTheAnswersTypes(t *testing.T) {
	var h *house
	h = newHouse(t, askAbove(10, &h), mailboxes)
	const sql = "select member_no, name, email, joined from crm.member where member_no < 1900"
	rows := func() (list []string, err error) {
		c := h.connect("sato")
		defer c.Close(context.Background())
		got, err := c.Query(t.Context(), sql)
		if err != nil {
			return nil, err
		}
		for got.Next() {
			var no int64
			var name, email string
			var joined time.Time
			if err := got.Scan(&no, &name, &email, &joined); err != nil {
				return nil, err
			}
			list = append(list, fmt.Sprint(no, " ", email))
		}
		return list, got.Err()
	}
	_, err := rows()
	request := h.approveWithDecoys(reference(t, wordsOf(err)), 2000, 5)
	list, err := rows()
	if err != nil || len(list) != 899+5 {
		t.Fatalf("%d rows: %v", len(list), err)
	}
	for _, d := range h.decoys(request) {
		if !slices.Contains(list, d[0]+" "+d[1]) {
			t.Errorf("%v is not in the answer", d)
		}
	}
}

// An answer that cannot carry them does not go out, and its approval is not spent.
func TestNoDecoysNoExport(t *testing.T) {
	var h *house
	h = newHouse(t, askAbove(10, &h), mailboxes)
	for _, sql := range []string{"select name from crm.member order by member_no offset 5", "select m.name, p.passport_no from crm.member m join crm.passport p using (member_no) join crm.member n on n.member_no = m.member_no + 1"} {
		request := h.approveWithDecoys(reference(t, h.psql("sato", sql)), 2000, 2)
		if said := h.psql("sato", sql); !strings.Contains(said, "cannot carry the decoys") {
			t.Errorf("%s: %.300s", sql, said)
		}
		if r, ok := h.permits().Get(request); !ok || r.Used != nil || r.Decoys != 2 {
			t.Errorf("%s: %+v", sql, r)
		}
	}
}

// wordsOf is what the gate says of a refusal, all of it.
func wordsOf(err error) string {
	var said *pgconn.PgError
	if errors.As(err, &said) {
		return said.Message + " " + said.Hint
	}
	return fmt.Sprint(err)
}

// A decoy's key is nobody's, also nobody's of whom sekisho has never heard: four of
// five keys that could be drawn here are people who came without it.
func TestNoCustomerHasADecoysKey(t *testing.T) {
	var h *house
	h = newHouse(t, askAbove(10, &h), mailboxes, func(o *options) {
		if _, err := cluster.SQL(t.Context(), o.gate.Upstream.Database, `
			create table crm.crew (no smallint primary key, email text);
			insert into crm.crew select n, 'c' || n || '@example.jp' from generate_series(1, 60) n;
			insert into crm.crew select n, 'c' || n || '@example.jp' from generate_series(9200, 9999) n;
			grant select on crm.crew to public`); err != nil {
			t.Fatal(err)
		}
		o.catalog.Subjects = append(o.catalog.Subjects, catalog.Subject{Name: "crew", Table: "crm.crew", Key: "no"})
		o.catalog.Tables = append(o.catalog.Tables, catalog.Table{Name: "crm.crew", Subject: "crew", Key: "no", Columns: map[string]string{"no": "identity", "email": "contact"}})
	})
	const sql = "select no, email from crm.crew where no <= 60"
	request := h.approveWithDecoys(reference(t, h.psql("sato", sql)), 2000, 8)
	if got := h.psql("sato", sql); strings.Count(got, "@") != 68 {
		t.Fatalf("%.400s", got)
	}
	placed := h.decoys(request)
	for _, d := range placed {
		if d[0] >= "9200" || len(d[0]) != 4 {
			t.Errorf("the decoy %s is a customer", d[0])
		}
	}
	if len(placed) != 8 {
		t.Errorf("placed %v", placed)
	}
}
