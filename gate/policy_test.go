package gate

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"sekisho"
	"sekisho/act"
)

// office is a policy for the tests' house: staff read identity and contact,
// thirty rows at a time, and more than five of contact only if a second person
// agrees; exports need one in any case; nobody reads travel documents.
const office = `
@id("staff-reads")
permit (principal in Role::"staff", action in [Action::"read", Action::"export"], resource)
when { resource in [Category::"public", Category::"identity", Category::"contact", Category::"unclassified"] };

@id("thirty")
@rows("30")
@reason_en("thirty rows are enough")
@reason_ja("30 行までです")
@hint_en("Search for one member.")
@hint_ja("会員を絞り込んでください。")
forbid (principal in Role::"staff", action == Action::"read", resource);

@id("five")
@ask("second_person")
@rows("5")
@reason_en("more than five addresses need a second person")
@reason_ja("5 件を超える連絡先の参照には承認が必要です")
@hint_en("Ask for approval.")
@hint_ja("承認を依頼してください。")
forbid (principal in Role::"staff", action == Action::"read", resource == Category::"contact");

@id("export-asked")
@ask("second_person")
@reason_en("an export needs a second person")
@reason_ja("出力には承認が必要です")
@hint_en("File a request.")
@hint_ja("申請してください。")
forbid (principal, action == Action::"export", resource);

@id("no-billing-at-night")
@reason_en("there is no billing at night")
@reason_ja("夜間の請求業務はありません")
@hint_en("Come back in the morning.")
@hint_ja("朝になってから実行してください。")
forbid (principal, action, resource)
when { context.purpose == Purpose::"billing" && context.hour < 6 };

@id("bad-terminal")
@reason_en("this terminal is not in order")
@reason_ja("この端末は利用できません")
@hint_en("Use another one.")
@hint_ja("別の端末を使ってください。")
forbid (principal, action, resource)
when { context.posture == Posture::"bad" };
`

// withPolicy puts a policy before the gate.
func withPolicy(t testing.TB, text string) (dir string, o option) {
	dir = t.TempDir()
	writeFile(t, filepath.Join(dir, "rules.cedar"), text)
	return dir, func(o *options) {
		o.gate.Policy.Dir, o.gate.Policy.Refresh = dir, 20*time.Millisecond
	}
}

func writeFile(t testing.TB, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// rulingsIn are what the ledger says of decisions: decision, rules and number.
func (h *house) rulingsIn() (all []*sekisho.Ruled) {
	for _, e := range h.entries() {
		if r, ok := e.Body.(*sekisho.Ruled); ok {
			all = append(all, r)
		}
	}
	return all
}

func pgError(t testing.TB, err error) *pgconn.PgError {
	t.Helper()
	var pe *pgconn.PgError
	if !errors.As(err, &pe) {
		t.Fatalf("%v is no error of the server's", err)
	}
	return pe
}

var bothWays = []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeCacheStatement}

func TestPolicyRefusesInItsOwnWords(t *testing.T) {
	_, policy := withPolicy(t, office)
	h := newHouse(t, policy)
	ctx := context.Background()
	conn := h.connect("sato")
	for _, mode := range bothWays {
		if _, err := conn.Exec(ctx, "select m.name, p.passport_no from crm.member m join crm.passport p on p.member_no = m.member_no where m.member_no = 1003", mode); err == nil {
			t.Fatal("a passport went out")
		} else if pe := pgError(t, err); pe.Code != "42501" || !strings.Contains(pe.Message, "travel_document") || pe.Hint == "" {
			t.Errorf("%+v", pe)
		}
		// A column that is only tested is asked for like one that is shown.
		if _, err := conn.Exec(ctx, "select p.member_no from crm.passport p where p.passport_no = 'TK3'", mode); err == nil {
			t.Error("a passport was tested")
		}
		var name string
		if err := conn.QueryRow(ctx, "select name from crm.member where member_no = $1", mode, 1003).Scan(&name); err != nil || name != "name3" {
			t.Errorf("%q, %v", name, err)
		}
		if _, err := conn.Exec(ctx, "copy crm.airport to stdout"); err != nil {
			t.Errorf("what is about nobody: %v", err)
		}
	}
	h.stop()
	if got := h.refusals(); !slices.Equal(got, []string{"policy_refused", "policy_refused", "policy_refused", "policy_refused"}) {
		t.Errorf("refusals %v", got)
	}
	ruled := h.rulingsIn()
	if len(ruled) != 4 || ruled[0].Decision != "refuse" || !ruled[0].Enforced || ruled[0].Number == 0 || ruled[0].Statement == 0 || ruled[0].ReasonJa == "" ||
		ruled[0].Categories != sekisho.Identity|sekisho.TravelDoc {
		t.Errorf("%+v", ruled)
	}
	if n := len(h.accounts()); n != 2 {
		t.Errorf("%d accesses", n)
	}
}

// What comes from the database is cut at the row, and named up to there.
func TestPolicyCutsAtTheRow(t *testing.T) {
	_, policy := withPolicy(t, office)
	h := newHouse(t, policy)
	ctx := context.Background()
	conn := h.connect("sato")
	for _, mode := range bothWays {
		rows, err := conn.Query(ctx, "select name from crm.member order by member_no", mode)
		n := 0
		for err == nil && rows.Next() {
			n++
		}
		pe := pgError(t, rows.Err())
		if n != 30 || pe.Code != "42501" || pe.Message != "thirty rows are enough" || pe.Hint != "Search for one member." {
			t.Errorf("%d rows, %+v", n, pe)
		}
		if _, err := conn.Exec(ctx, "select 1"); err != nil {
			t.Fatalf("the session does not go on: %v", err)
		}
		// As many as are allowed are no matter.
		if tag, err := conn.Exec(ctx, "select name from crm.member limit 30", mode); err != nil || tag.RowsAffected() != 30 {
			t.Errorf("%v, %v", tag, err)
		}
		// A page counts by what it shows.
		if tag, err := conn.Exec(ctx, "select name from crm.member order by member_no limit 20 offset 100", mode); err != nil || tag.RowsAffected() != 20 {
			t.Errorf("%v, %v", tag, err)
		}
	}
	h.stop()
	cut := 0
	for _, a := range h.accounts() {
		if a.closed == nil {
			continue
		}
		cut++
		if a.closed.Outcome != sekisho.CutOff || a.closed.SQLState != "42501" || a.rows != 30 || len(a.keys) != 30 || a.keys[29] != "1030" {
			t.Errorf("%+v, %+v", a, a.closed)
		}
	}
	if cut != 2 {
		t.Errorf("%d accesses were cut", cut)
	}
	if got := h.refusals(); !slices.Equal(got, []string{"policy_rows", "policy_rows"}) {
		t.Errorf("refusals %v", got)
	}
	if got := h.rulingsIn(); len(got) != 2 || got[0].Decision != "cap 30 rows" || !slices.Contains(got[0].Rules, "thirty") {
		t.Errorf("%+v", got)
	}
}

// A portal that is fetched from in pieces has one limit.
func TestPolicyCutsAPortal(t *testing.T) {
	_, policy := withPolicy(t, office)
	h := newHouse(t, policy)
	got := h.raw("sato").run("Q begin\nP s select name from crm.member order by member_no\nB p s - -\nE p 20\nE p 20\nS\nQ rollback")
	if rows := strings.Count(got, "name"); rows != 30 || !strings.Contains(got, "thirty rows are enough") {
		t.Errorf("%d rows in\n%s", rows, got)
	}
}

// What needs a second person ends there, unless an approval of this statement
// is spent, which does not lift other limits.
func TestPolicyAsksForASecondPerson(t *testing.T) {
	_, policy := withPolicy(t, office)
	var h *house
	h = newHouse(t, policy, askAbove(0, &h))
	ctx := context.Background()
	conn := h.connect("sato")
	count := func(sql string) (int, *pgconn.PgError) {
		rows, err := conn.Query(ctx, sql)
		n := 0
		for err == nil && rows.Next() {
			n++
		}
		if err = errors.Join(err, rows.Err()); err == nil {
			return n, nil
		}
		return n, pgError(t, err)
	}
	for _, one := range []struct {
		sql    string
		before int // rows without an approval
		after  int
		words  string
	}{
		{"select email from crm.member order by member_no limit 20", 5, 20, ""},
		{"select email from crm.member order by member_no", 5, 30, "thirty rows are enough"},
	} {
		n, pe := count(one.sql)
		if n != one.before || pe == nil || pe.Code != "42501" || pe.Message != "more than five addresses need a second person" || !strings.HasPrefix(pe.Hint, "Ask for approval. ") {
			t.Fatalf("%s: %d rows, %+v", one.sql, n, pe)
		}
		h.approve(reference(t, pe.Hint), 1000, time.Now().Add(time.Hour))
		if n, pe = count(one.sql); n != one.after || (pe == nil) != (one.words == "") || pe != nil && pe.Message != one.words {
			t.Errorf("%s: with an approval: %d rows, %+v", one.sql, n, pe)
		}
		if n, _ := count(one.sql); n != one.before {
			t.Errorf("%s: an approval serves twice: %d rows", one.sql, n)
		}
	}
	if n, pe := count("select email from crm.member limit 5"); n != 5 || pe != nil {
		t.Errorf("%d rows, %+v", n, pe)
	}
	const export = "copy (select name from crm.member) to stdout"
	_, err := conn.Exec(ctx, export)
	if pe := pgError(t, err); pe.Message != "an export needs a second person" {
		t.Errorf("%+v", pe)
	}
	h.approve(reference(t, pgError(t, err).Hint), 1000, time.Now().Add(time.Hour))
	if tag, err := conn.Exec(ctx, export); err != nil || tag.RowsAffected() != 1000 {
		t.Errorf("with an approval: %v, %v", tag, err)
	}
	h.stop()
	if got := fmt.Sprint(h.refusals()); got != "[policy_second policy_second policy_second policy_rows policy_second policy_second]" {
		t.Errorf("refusals %v", got)
	}
	if got := fmt.Sprint(h.named()); got != "[5 20 5 5 30 5 5 1000]" {
		t.Errorf("customers named: %s", got)
	}
	for _, r := range h.rulingsIn() {
		if r.Number == 0 || len(r.Rules) < 2 {
			t.Errorf("%+v", r)
		}
	}
}

// The hour, the purpose and the terminal's posture count at each statement.
func TestPolicyLooksAtTheMoment(t *testing.T) {
	postures := filepath.Join(t.TempDir(), "postures")
	writeFile(t, postures, "pc-0417 good\n")
	_, policy := withPolicy(t, office)
	var hour atomic.Int32
	hour.Store(10)
	h := newHouse(t, policy, func(o *options) {
		o.gate.Policy.Postures, o.gate.Policy.Language = postures, "both"
		o.gate.Now = func() time.Time { return time.Date(2026, 4, 6, int(hour.Load()), 0, 0, 0, time.UTC) }
	})
	cert, key := h.ca.issue(t, h.dir, "pc-0417", x509.ExtKeyUsageClientAuth)
	ctx := context.Background()
	conn := h.connect("sato", "sslmode=verify-ca", "sslrootcert="+h.ca.file, "sslcert="+cert, "sslkey="+key)
	read := func() error {
		var name string
		return conn.QueryRow(ctx, "select name from crm.member where member_no = $1", 1003).Scan(&name)
	}
	set := func(purpose string) {
		t.Helper()
		if _, err := conn.Exec(ctx, "set sekisho.purpose = '"+purpose+"'"); err != nil {
			t.Fatal(err)
		}
	}
	if err := read(); err != nil {
		t.Error(err)
	}
	hour.Store(3)
	if err := read(); err != nil {
		t.Error(err)
	}
	set("billing")
	if err := read(); err == nil || pgError(t, err).Message != "there is no billing at night / 夜間の請求業務はありません" {
		t.Errorf("billing at night: %v", err)
	}
	if _, err := conn.Exec(ctx, "set sekisho.purpose = 'enquiry'; select name from crm.member where member_no = 1003"); err != nil {
		t.Errorf("a purpose holds for the text that states it: %v", err)
	}
	if err := read(); err != nil {
		t.Error(err)
	}
	writeFile(t, postures, "pc-0417 bad # since this morning\npc-0417 good\n")
	eventually(t, "the terminal's posture counts", func() bool { err := read(); return err != nil && strings.Contains(err.Error(), "not in order") })
	writeFile(t, postures, "pc-0417 splendid\n")
	if err := read(); err == nil {
		t.Error("a broken file makes a bad terminal good")
	}
}

// Another policy decides once the ledger says so; a wrong one never does.
func TestPolicyIsReadAgain(t *testing.T) {
	dir, policy := withPolicy(t, office)
	h := newHouse(t, policy)
	ctx := context.Background()
	conn := h.connect("sato")
	rows := func() int64 {
		tag, err := conn.Exec(ctx, "select name from crm.member limit 25")
		if err != nil {
			return -1
		}
		return tag.RowsAffected()
	}
	reads := func(n int) func() bool {
		return func() bool {
			got := 0
			for _, e := range h.entries() {
				if _, ok := e.Body.(*sekisho.PolicyRead); ok {
					got++
				}
			}
			return got == n
		}
	}
	if rows() != 25 {
		t.Fatal("the first policy is not in force")
	}
	file := filepath.Join(dir, "rules.cedar")
	stricter := strings.ReplaceAll(office, `@rows("30")`, `@rows("10")`)
	writeFile(t, file, stricter)
	eventually(t, "the second policy is in force", func() bool { return rows() == -1 })

	for i, wrong := range []string{"permit (", strings.ReplaceAll(office, `Role::"staff"`, `Role::"stuff"`)} {
		writeFile(t, file, wrong)
		eventually(t, "a wrong policy is in the ledger", reads(3+i))
		if rows() != -1 {
			t.Fatal("a wrong policy is in force")
		}
	}
	writeFile(t, filepath.Join(dir, "rules.tests"), "read identity role=staff -> allow\n")
	writeFile(t, file, office)
	eventually(t, "a policy whose test fails is in the ledger", reads(5))
	if rows() != -1 {
		t.Error("a policy whose test fails is in force")
	}
	writeFile(t, filepath.Join(dir, "rules.tests"), "read identity role=staff -> cap 30 rows\n")
	writeFile(t, file, office+"\n")
	eventually(t, "the last policy is in force", func() bool { return rows() == 25 })
	h.stop()
	var taken []string
	for _, e := range h.entries() {
		if r, ok := e.Body.(*sekisho.PolicyRead); ok {
			if r.SHA256 == [32]byte{} {
				t.Error("a policy without its sum")
			}
			taken = append(taken, fmt.Sprint(r.Rules, r.Mistakes > 0))
		}
	}
	if want := []string{"6 false", "6 false", "0 true", "0 true", "6 true", "6 false"}; !slices.Equal(taken, want) {
		t.Errorf("policies in the ledger: %v, want %v", taken, want)
	}
	want := act.Set{Policies: []act.File{{Name: "rules.cedar", Text: []byte(office + "\n")}}}.Sum()
	if h.gate.rules.sum != want {
		t.Errorf("the sum is %x, want %x", h.gate.rules.sum, want)
	}
}

// A gate does not start with a policy that is wrong.
func TestPolicyMustBeRightAtStart(t *testing.T) {
	dir, policy := withPolicy(t, `permit (principal in Role::"stuff", action, resource);`)
	h := newHouse(t)
	o := options{gate: h.gate.conf, catalog: h.gate.catalog}
	policy(&o)
	for _, step := range []func(){func() {}, func() { os.Remove(filepath.Join(dir, "rules.cedar")) }, func() { o.gate.Policy.Dir = filepath.Join(dir, "nowhere") }} {
		step()
		if _, err := New(context.Background(), o.gate, o.catalog, h.ledger, h.vault, h.gate.log); err == nil {
			t.Error("the gate starts")
		} else {
			t.Log(err)
		}
	}
}

// Observe mode does nothing, and says what would have been done, once an hour.
func TestPolicyObserved(t *testing.T) {
	_, policy := withPolicy(t, office)
	now := time.Date(2026, 4, 6, 10, 0, 0, 0, time.UTC)
	var later atomic.Int64
	h := newHouse(t, policy, func(o *options) {
		o.gate.Now = func() time.Time { return now.Add(time.Duration(later.Load())) }
	})
	ctx := context.Background()
	conn := h.connect("watched")
	for _, step := range []time.Duration{0, time.Minute, 59 * time.Minute, time.Hour, 61 * time.Minute} {
		later.Store(int64(step))
		for range 3 {
			if tag, err := conn.Exec(ctx, "select name from crm.member"); err != nil || tag.RowsAffected() != 1000 {
				t.Fatalf("%v, %v", tag, err)
			}
			if _, err := conn.Exec(ctx, "select count(*) from crm.passport"); err != nil {
				t.Fatal(err)
			}
		}
	}
	h.stop()
	by := map[string]int{}
	for _, r := range h.rulingsIn() {
		if r.Enforced {
			t.Errorf("%+v", r)
		}
		by[strings.Join(r.Tables, ",")+" "+r.Decision]++
	}
	if len(by) != 2 || by["crm.member refuse"] != 2 || by["crm.member,crm.passport,crm.textual refuse"]+by["crm.passport refuse"] != 2 {
		t.Errorf("%v", by)
	}
	if got := h.refusals(); len(got) != 0 {
		t.Errorf("refusals %v", got)
	}
}

// A write is asked for the columns that it writes, also where it shows and tests
// none of them.
func TestPolicyOfWrites(t *testing.T) {
	_, policy := withPolicy(t, `
@id("correct")
permit (principal in Role::"staff", action in [Action::"read", Action::"update", Action::"insert"], resource)
when { resource in [Category::"identity", Category::"contact"] };
`)
	h := newHouse(t, policy, func(o *options) {
		r := o.gate.Roles["staff"]
		r.Writes = true
		o.gate.Roles["staff"] = r
		if _, err := cluster.SQL(context.Background(), o.gate.Upstream.Database, "grant insert, update on crm.member, crm.passport to staff"); err != nil {
			panic(err)
		}
	})
	conn := h.connect("sato")
	for _, mode := range bothWays {
		if tag, err := conn.Exec(context.Background(), "update crm.member set email = 'new@example.jp' where member_no = 1003", mode); err != nil || tag.RowsAffected() != 1 {
			t.Errorf("%v, %v", tag, err)
		}
		for _, sql := range []string{
			"update crm.passport set passport_no = 'TK0' where member_no = 1003",
			"update crm.passport set passport_no = 'TK0'",
			"insert into crm.passport values (1003, 'TK0', '2030-01-01')",
			"insert into crm.passport (member_no, expires_on) values (1003, '2030-01-01')",
		} {
			if _, err := conn.Exec(context.Background(), sql, mode); err == nil || pgError(t, err).Code != "42501" {
				t.Errorf("%s: %v", sql, err)
			}
		}
	}
}

// Whatever stands in the file of postures, it is read as a whole or not at all,
// and who is called bad is never good.
func FuzzPostures(f *testing.F) {
	f.Add("pc-0417 good\n# note\n\npc-0533\tbad # since Monday\n")
	f.Add("pc-0417 bad\npc-0417 good")
	f.Add("pc-0417")
	f.Fuzz(func(t *testing.T, text string) {
		by, err := parsePostures([]byte(text))
		if err != nil {
			return
		}
		for line := range strings.Lines(text) {
			line, _, _ = strings.Cut(line, "#")
			if words := strings.Fields(line); len(words) == 2 && words[1] == "bad" && by[words[0]] != act.PostureBad {
				t.Errorf("%q is not bad", words[0])
			}
		}
	})
}
