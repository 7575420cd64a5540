package gate

import (
	"context"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sekisho"
	"sekisho/budget"
)

func withBudgets(list ...budget.Budget) option {
	return func(o *options) { o.budgets = list }
}

func hourly(customers uint32) budget.Budget {
	return budget.Budget{Name: "hour", Customers: customers, Within: budget.Span(time.Hour), Ask: "the privacy office"}
}

// reached lists what the ledger says of budgets: near, ended, …
func (h *house) reached() (list []string) {
	for _, e := range h.entries() {
		if b, ok := e.Body.(*sekisho.BudgetReached); ok {
			list = append(list, fmt.Sprintf("%s %v %d/%d", b.Budget, b.State, b.Used, b.Limit))
		}
	}
	return list
}

// different are the different keys that the ledger names, sorted.
func (h *house) different() (keys []string) {
	for _, a := range h.accounts() {
		keys = append(keys, a.keys...)
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// However the rows are asked for, exactly ten customers come, the eleventh row
// does not, and the client reads why. The ledger names those ten.
func TestBudgetCutsAtTheRow(t *testing.T) {
	members := "select name from crm.member where member_no <= 1400 order by member_no"
	cases := []struct {
		name, script string
		rows         int // that the client gets
	}{
		{"simple", "Q " + members, 10},
		{"with wide rows", "Q select name, repeat('x', 3000) from crm.member order by member_no", 10},
		{"extended", "P a " + members + "\nB \"\" a - -\nE \"\" 0\nS", 10},
		{"in binary", "P a " + members + "\nB \"\" a - 1\nE \"\" 0\nS", 10},
		{"in pieces", "Q begin\nP a " + members + "\nB p a - -\nE p 4\nE p 4\nE p 4\nE p 4\nS", 10},
		{"one by one", "Q select name from crm.member where member_no=1001; select name from crm.member where member_no=1001;" + members, 12},
		{"a page", "Q select name from crm.member order by member_no limit 8 offset 6", 4},
		{"with a passport", "Q select m.name, p.passport_no from crm.member m join crm.passport p using (member_no) order by 2", 10},
		{"copy", "Q copy (" + members + ") to stdout", 10},
		{"copy as csv with a header", "P a copy (" + members + ") to stdout (format csv, header)\nB \"\" a - -\nE \"\" 0\nS", 10},
		{"two members in each row", "Q select a.name, b.name from crm.member a join crm.member b on b.member_no = a.member_no+1 order by a.member_no", 9},
		{"the same again", "Q " + members + "\nQ " + members, 20},
	}
	// Each is somebody else, with a budget of their own.
	h := newHouse(t, withBudgets(hourly(10)), func(o *options) {
		for i := range cases {
			o.gate.Principals = append(o.gate.Principals, Principal{Name: fmt.Sprint("p", i), Role: "staff", Verifier: o.gate.Principals[0].Verifier})
		}
	})
	for i, c := range cases {
		r := h.raw(fmt.Sprint("p", i))
		got := r.run(c.script)
		if rows := strings.Count(got, `D "name`) + len(regexp.MustCompile(`d "name\d`).FindAllString(got, -1)); rows != c.rows {
			t.Errorf("%s: %d rows, want %d:\n%.600s", c.name, rows, c.rows, got)
		}
		for _, want := range []string{"C53400", `the budget \"hour\" has ended: 10 different customers within 1h`, "Ask the privacy office."} {
			if !strings.Contains(got, want) {
				t.Errorf("%s: the client does not read %q:\n%.600s", c.name, want, got)
			}
		}
		r.conn.Close()
	}
	h.stop()
	for i, keys := range h.sessions() {
		slices.Sort(keys)
		if keys = slices.Compact(keys); len(keys) != 10 {
			t.Errorf("%s: the ledger names %d: %v", cases[i].name, len(keys), keys)
		}
	}
	told := h.reached()
	slices.Sort(told)
	if want := slices.Concat(slices.Repeat([]string{"hour ended 10/10"}, len(cases)), slices.Repeat([]string{"hour near 8/10"}, len(cases))); !slices.Equal(told, want) {
		t.Errorf("the ledger tells of budgets: %v", told)
	}
	for _, reason := range h.refusals() {
		if reason != "budget" {
			t.Errorf("refused: %s", reason)
		}
	}
	for _, a := range h.accounts() {
		if a.open && (a.closed == nil || a.closed.Outcome != sekisho.CutOff || a.closed.SQLState != "53400") {
			t.Errorf("an access stays open: %+v, %+v", *a, a.closed)
		}
	}
}

// A long result is cut in its middle, many chunks after it has begun.
func TestBudgetCutsALongResult(t *testing.T) {
	h := newHouse(t, withBudgets(hourly(700)))
	r := h.raw("sato")
	got := r.run("Q select name, repeat('x', 3000) from crm.member order by member_no\nQ select code from crm.airport where code='HND'")
	if n := strings.Count(got, `D "name`); n != 700 || !strings.Contains(got, `D "HND"`) {
		t.Errorf("%d rows; then %.300s", n, got[max(0, len(got)-300):])
	}
	r.conn.Close()
	h.stop()
	keys := h.different()
	if len(keys) != 700 || keys[0] != "1001" || keys[699] != "1700" {
		t.Errorf("the ledger names %d, from %s", len(keys), keys[0])
	}
}

// After a cut both sides agree on what happened: the session goes on where
// nothing was changed, and ends where the client cannot know.
func TestBudgetAndTransactions(t *testing.T) {
	const members = "select name from crm.member order by member_no"
	const first, second = "P \"\" insert into crm.airport values ('%s','x')\nB \"\" \"\" - -\nE \"\" 0\n", "P \"\" " + members + "\nB \"\" \"\" - -\nE \"\" 0\n"
	cases := []struct {
		name, script string
		ends         string // the SQLSTATE of the connection's end
		kept         bool   // whether the airport is there afterwards
	}{
		{"nothing else", "Q " + members, "", false},
		{"a write that is done", "Q insert into crm.airport values ('%s','x')\nQ " + members, "", true},
		{"a write before it", first + second + "S", "08007", true},
		{"a write behind it", second + first + "S", "08007", true},
		{"a write before it in one text", "Q insert into crm.airport values ('%s','x'); " + members, "08007", true},
		{"a write behind it in one text", "Q " + members + "; insert into crm.airport values ('%s','x')", "08007", true},
		{"a transaction in one text", "Q begin; insert into crm.airport values ('%s','x'); " + members + "; commit", "08007", true},
		{"a transaction with its end on its way", "Q begin\nQ insert into crm.airport values ('%s','x')\nQ " + members + "\nQ commit", "08007", true},
	}
	h := newHouse(t, withBudgets(hourly(10)), func(o *options) {
		for i := range cases {
			o.gate.Principals = append(o.gate.Principals, Principal{Name: fmt.Sprint("p", i), Role: "staff", Verifier: o.gate.Principals[0].Verifier})
		}
	})
	airport := func(code string) bool { return strings.Contains(h.direct("select code from crm.airport"), code) }
	for i, c := range cases {
		code := fmt.Sprint("X", i)
		r := h.raw(fmt.Sprint("p", i))
		got := r.run(strings.ReplaceAll(c.script, "%s", code))
		r.conn.Close()
		if ended := strings.Contains(got, "the connection ends"); !strings.Contains(got, "C53400") || ended != (c.ends != "") || !strings.Contains(got, "C"+c.ends) {
			t.Errorf("%s: ended %v, want %q:\n%.1200s", c.name, ended, c.ends, got)
		}
		if n := strings.Count(got, `D "name`); n != 10 {
			t.Errorf("%s: %d rows", c.name, n)
		}
		if kept := airport(code); kept != c.kept {
			t.Errorf("%s: the airport was kept: %v, want %v", c.name, kept, c.kept)
		}
	}

	// A client that waits for each answer reads that it is rolled back, and it is.
	ctx := context.Background()
	conn := h.connect("sato")
	tx, err := conn.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(ctx, "insert into crm.airport values ('YYY','x')"); err != nil {
		t.Fatal(err)
	}
	if _, err = tx.Exec(ctx, members); sqlstate(err) != "25000" { // the last of two errors
		t.Errorf("beyond the budget: %v", err)
	}
	if err := tx.Commit(ctx); err == nil || !conn.IsClosed() {
		t.Errorf("it was committed: %v", err)
	}
	eventually(t, "its session ends", func() bool { return strings.TrimSpace(h.backends()) == "0" })
	if airport("YYY") {
		t.Error("what was rolled back is there")
	}
}

// Sessions side by side, with and without TLS, of two people, reconnecting all
// the time: what their clients got, taken together, is what the budget allows,
// to the customer, and the ledger names exactly those.
func TestBudgetOfManySessionsAtOnce(t *testing.T) {
	const limit, sessions = 150, 6
	h := newHouse(t, withBudgets(budget.Budget{Name: "all", Per: []string{"all"}, Customers: limit, Within: budget.Span(time.Hour)}))
	ctx := context.Background()
	var mu sync.Mutex
	got := map[string]bool{}
	var wg sync.WaitGroup
	for s := range sessions {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(s), 6))
			for range 6 {
				dsn := h.dsn("sato")
				if s%2 == 0 {
					dsn = strings.Replace(dsn, "sslmode=disable", "sslmode=require", 1)
				}
				conn, err := pgx.Connect(ctx, dsn)
				if err != nil {
					t.Error(err)
					return
				}
				for range 15 {
					from := 1001 + rng.IntN(990)
					rows, err := conn.Query(ctx, "select name from crm.member where member_no between $1 and $2 order by member_no", from, from+rng.IntN(8))
					for err == nil && rows.Next() {
						var name string
						if err = rows.Scan(&name); err == nil {
							mu.Lock()
							got[strconv.Itoa(1000+must(strconv.Atoi(strings.TrimPrefix(name, "name"))))] = true
							mu.Unlock()
						}
					}
					if err == nil {
						err = rows.Err()
					}
					if code := sqlstate(err); err != nil && code != "53400" {
						t.Error(err)
						return
					}
				}
				conn.Close(ctx)
			}
		})
	}
	wg.Wait()
	h.stop()
	if len(got) != limit {
		t.Errorf("the clients got %d customers, want %d", len(got), limit)
	}
	if keys := h.different(); len(keys) != limit {
		t.Errorf("the ledger names %d, want %d", len(keys), limit)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Neither a new connection nor a restart gives anything back; only time does.
func TestBudgetOutlivesTheGate(t *testing.T) {
	var ahead atomic.Int64
	now := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	h := newHouse(t, withBudgets(hourly(10)), func(o *options) { o.gate.Now, o.ledger.Now = now, now })
	reads := func(what string, from, to, want int) {
		t.Helper()
		got := h.raw("sato").run(fmt.Sprintf("Q select member_no from crm.member where member_no between %d and %d order by 1", from, to))
		if n := strings.Count(got, "D \"1") + strings.Count(got, "D \"2"); n != want {
			t.Errorf("%s: %d members, want %d: %s", what, n, want, got)
		}
	}
	reads("at first", 1001, 1006, 6)
	reads("by another connection", 1005, 1008, 4)
	h.stop()
	h.open()
	reads("after a restart", 1007, 1020, 4) // 1007 and 1008 are known, 1009 and 1010 are new
	reads("those that were read before", 1001, 1010, 10)
	reads("one more", 1500, 1500, 0)
	ahead.Add(int64(59 * time.Minute))
	reads("an hour later, nearly", 1500, 1500, 0)
	ahead.Add(int64(3 * time.Minute))
	h.stop()
	h.open()
	reads("an hour later", 1500, 1520, 10)
	h.stop()
	if told, want := h.reached(), []string{"hour near 8/10", "hour ended 10/10", "hour near 8/10", "hour ended 10/10"}; !slices.Equal(told, want) {
		t.Errorf("told: %v, want %v", told, want)
	}
}

// 139 customers in seven weeks, three on a day, by stolen accounts at one
// terminal: neither the hour nor the day shows it, thirty days do. sekisho is
// restarted each week.
func TestBudgetOfSevenWeeks(t *testing.T) {
	var ahead atomic.Int64
	now := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	h := newHouse(t, withBudgets(hourly(60),
		budget.Budget{Name: "day", Customers: 60, Within: budget.Span(24 * time.Hour)},
		budget.Budget{Name: "terminal", Per: []string{"endpoint"}, Customers: 60, Within: budget.Span(30 * 24 * time.Hour)}),
		func(o *options) {
			o.gate.Now, o.ledger.Now = now, now
			o.gate.Principals = append(o.gate.Principals, Principal{Name: "suzuki", Role: "staff", Verifier: o.gate.Principals[0].Verifier})
		})
	member, cut := 1000, -1
	for day := range 49 {
		if day%7 == 6 {
			h.stop()
			h.open()
		}
		r := h.raw([]string{"sato", "suzuki"}[day%2])
		for range min(3, 1139-member) {
			member++
			got := r.run(fmt.Sprintf("Q select name from crm.member where member_no = %d", member))
			if strings.Contains(got, `the budget \"terminal\" has ended`) && cut < 0 {
				cut = day
			} else if !strings.Contains(got, `D "name`) && cut < 0 {
				t.Fatal(got)
			}
		}
		r.conn.Close()
		ahead.Add(int64(24 * time.Hour))
	}
	h.stop()
	if member != 1139 || cut != 20 {
		t.Errorf("%d customers were asked for; the first refusal came after %d days, want 20", member-1000, cut)
	}
	if told := h.reached(); len(told) < 2 || told[0] != "terminal near 48/60" || told[1] != "terminal ended 60/60" {
		t.Errorf("told: %v", told)
	}
}

// Observe mode cuts nothing, and says what it would have done.
func TestBudgetObserves(t *testing.T) {
	h := newHouse(t, withBudgets(hourly(10)))
	for _, c := range []struct{ sql, want string }{
		{"select member_no from crm.member where member_no <= 1050 order by 1", "1050\n"},
		{"select count(*) from crm.member", "1000\n"},
	} {
		if got := h.psql("watched", c.sql); !strings.HasSuffix(got, c.want) {
			t.Errorf("%s: %s", c.sql, got)
		}
	}
	h.stop()
	if told := h.reached(); !slices.Equal(told, []string{"hour near 8/10", "hour observed 11/10"}) {
		t.Errorf("told: %v", told)
	}
	if len(h.refusals()) != 0 {
		t.Errorf("refused: %v", h.refusals())
	}
}

// An error can answer a question about anybody. It counts as one customer each
// time, and ends when the budget does.
func TestBudgetOfErrors(t *testing.T) {
	h := newHouse(t, withBudgets(hourly(3)))
	ask := "select 1/(member_no-member_no) from crm.member where member_no = 1042"
	for i := range 5 {
		got := h.psql("sato", ask)
		if over := strings.Contains(got, "has ended"); over != (i >= 3) || !over && !strings.Contains(got, "division by zero") && !strings.Contains(got, "division_by_zero") {
			t.Errorf("the %d. time: %s", i+1, got)
		}
	}
	if got := h.psql("sato", "select name from crm.member where member_no = 1042"); !strings.Contains(got, "has ended") {
		t.Errorf("then a member: %s", got)
	}
}

// Aggregates are charged with those who are behind them; what is about all of a
// table is refused, or counts as one customer where the budget says so.
func TestBudgetOfAggregates(t *testing.T) {
	pass := budget.Budget{Name: "lenient", Who: budget.Who{Principals: []string{"suzuki"}}, AnyRow: budget.Pass, Customers: 10, Within: budget.Span(time.Hour)}
	strict := hourly(10)
	strict.Who.Principals = []string{"sato"}
	h := newHouse(t, withBudgets(pass, strict), func(o *options) {
		o.gate.Principals = append(o.gate.Principals, Principal{Name: "suzuki", Role: "staff", Verifier: o.gate.Principals[0].Verifier})
	})
	for _, c := range []struct{ who, sql, want string }{
		{"sato", "select count(*) from crm.member where member_no <= 1006", "6\n"},
		{"sato", "select count(*) from crm.member where member_no between 1005 and 1011", `the budget "hour" has ended`},
		{"sato", "select count(*) from crm.member where member_no between 1003 and 1010", "8\n"},
		{"sato", "select max(name) from crm.member where member_no = 1011", `the budget "hour" has ended`},
		{"sato", "select count(*) from crm.member", "may be about any or all of them"},
		{"suzuki", "select count(*) from crm.member where member_no <= 1009", "9\n"},
		{"suzuki", "select count(*) from crm.member", "1000\n"},
		{"suzuki", "select count(*) from crm.member", `the budget "lenient" has ended`},
	} {
		if got := h.psql(c.who, c.sql); !strings.Contains(got, c.want) {
			t.Errorf("%s: %s: %s", c.who, c.sql, got)
		}
	}
	h.stop()
	h.open()
	for _, u := range h.book.Uses(sekisho.At(time.Now())) {
		if u.Used != 10 {
			t.Errorf("after a restart: %+v", u)
		}
	}
}

// Budgets are about those whom they name; others pass.
func TestBudgetOfAPurpose(t *testing.T) {
	h := newHouse(t, withBudgets(budget.Budget{Name: "billing", Who: budget.Who{Principals: []string{"sa*"}, Purposes: []string{"billing"}}, Per: []string{"purpose"},
		Subject: "member", Customers: 2, Within: budget.Span(time.Hour)}))
	members := "select member_no from crm.member where member_no <= 1005;"
	if got := h.psql("sato", members); strings.Count(got, "\n") != 5 {
		t.Errorf("for another purpose: %s", got)
	}
	if got := h.psql("sato", "set sekisho.purpose = 'billing'; "+members); !strings.Contains(got, "the budget \"billing\" has ended") {
		t.Errorf("for billing: %s", got)
	}
	if got := h.psql("sato", "set sekisho.purpose = 'billing'; select who from crm.textual;"); strings.Count(got, "\n") != 50 {
		t.Errorf("of another subject: %s", got)
	}
}

// A policy's rule may ask for a budget. It is each principal's, for all that the
// principal reads; the client reads the rule's words.
func TestPolicyBudget(t *testing.T) {
	_, policy := withPolicy(t, `
@id("staff-reads")
permit (principal in Role::"staff", action, resource);
@id("ten-an-hour")
@customers("10")
@window("1h")
@reason_en("ten members an hour are enough")
@reason_ja("1 時間に 10 人までです")
@hint_en("Go home.")
@hint_ja("お帰りください。")
forbid (principal in Role::"staff", action == Action::"read", resource == Category::"contact");
`)
	limit := budget.Limit{Customers: 10, Within: time.Hour}
	h := newHouse(t, policy, func(o *options) { o.budgets, o.limits = budget.Config{}, []budget.Limit{limit} })
	reads := func(what, sql string, want int) {
		t.Helper()
		got := h.raw("sato").run("Q " + sql)
		if n := strings.Count(got, `D "m`) + strings.Count(got, `D "name`); n != want {
			t.Errorf("%s: %d rows, want %d: %s", what, n, want, got)
		}
		if over := strings.Contains(got, "ten members an hour are enough") && strings.Contains(got, "Go home."); over != strings.Contains(got, "C42501") {
			t.Errorf("%s: %s", what, got)
		}
	}
	reads("addresses", "select email from crm.member where member_no <= 1006 order by member_no", 6)
	h.stop()
	h.open()
	reads("names, which the rule is not about", "select name from crm.member where member_no between 1101 and 1102", 2)
	reads("more addresses", "select email from crm.member where member_no <= 1020 order by member_no", 10-2) // two are gone for the names
	reads("names again", "select name from crm.member where member_no between 1201 and 1230", 30)
	h.stop()
	if got := h.refusals(); !slices.Equal(got, []string{"policy_customers"}) {
		t.Errorf("refused: %v", got)
	}
	if told := h.reached(); !slices.Contains(told, "policy: 10 in 1h ended 10/10") {
		t.Errorf("told: %v", told)
	}

	// Without anybody who counts, nothing passes that the rule is about.
	h = newHouse(t, policy)
	reads("addresses that nobody counts", "select email from crm.member where member_no = 1001", 0)
}

// An approved export has a number of its own: neither is it cut by a budget that
// has ended, nor does it use one up, also after a restart.
func TestBudgetAndAnApprovedExport(t *testing.T) {
	var ahead atomic.Int64
	now := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	var h *house
	h = newHouse(t, askAbove(10, &h), withBudgets(hourly(15)), func(o *options) { o.gate.Now, o.ledger.Now = now, now })
	const export = "select name, city from crm.member where city <> 'Kyoto' order by member_no"
	h.approve(reference(t, h.psql("sato", export)), 2000, time.Now().Add(10*time.Hour))
	ahead.Add(int64(2 * time.Hour))
	for from := 1500; from < 1520; from += 5 {
		got := h.psql("sato", fmt.Sprintf("select name from crm.member where member_no between %d and %d", from, from+4))
		if over := strings.Contains(got, "has ended"); over != (from == 1515) {
			t.Fatalf("from %d: %s", from, got)
		}
	}
	if got, want := h.psql("sato", export), h.direct(export); got != want {
		t.Errorf("approved: %.300s", got)
	}
	h.stop()
	h.open()
	if got := h.psql("sato", "select name from crm.member where member_no = 1520"); !strings.Contains(got, "has ended") {
		t.Errorf("another one: %s", got)
	}
	ahead.Add(int64(2 * time.Hour))
	if got := h.psql("sato", "select name from crm.member where member_no between 1600 and 1609"); strings.Count(got, "name") != 10 {
		t.Errorf("hours later: %s", got)
	}
	h.stop()
	for _, e := range h.book.Uses(sekisho.At(now())) {
		if e.Used != 10 {
			t.Errorf("used: %+v", e)
		}
	}
}

// A statement that asks for a customer by the key is recorded before the row
// comes. Where there is no room nothing is foretold: else the customer would be
// known the second time.
func TestBudgetOfForetoldCustomers(t *testing.T) {
	h := newHouse(t, withBudgets(hourly(10)))
	h.psql("watched", "select member_no from crm.member") // everybody has an ordinal
	ctx := context.Background()
	var conns []*pgx.Conn
	for range 4 {
		conns = append(conns, h.connect("sato"))
	}
	got := map[int]bool{}
	var mu sync.Mutex
	for range 3 {
		var wg sync.WaitGroup
		for i, conn := range conns {
			wg.Go(func() {
				for n := range 20 {
					member := 1001 + (n+5*i)%20
					var name string
					err := conn.QueryRow(ctx, "select name from crm.member where member_no = $1", member).Scan(&name)
					switch {
					case err == nil:
						mu.Lock()
						got[member] = true
						mu.Unlock()
					case sqlstate(err) != "53400":
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		eventually(t, "the book has seen all", func() bool { return h.followed() })
	}
	if len(got) != 10 {
		t.Errorf("the clients got %d customers", len(got))
	}
	h.stop()
	named := map[string]bool{}
	for _, keys := range h.sessions()[1:] {
		for _, k := range keys {
			named[k] = true
		}
	}
	if len(named) != 10 {
		t.Errorf("the ledger names %d customers", len(named))
	}
}

// What a row costs where four budgets apply, beside what it costs anyhow.
func BenchmarkCharge(b *testing.B) {
	day := budget.Span(24 * time.Hour)
	conf := budget.Config{{Name: "hour", Customers: 1000, Within: budget.Span(time.Hour)}, {Name: "day", Customers: 1000, Within: day},
		{Name: "terminal", Per: []string{"endpoint"}, Customers: 2000, Within: 30 * day}, {Name: "role", Per: []string{"role"}, Customers: 100_000, Within: day}}
	if err := conf.Check(); err != nil {
		b.Fatal(err)
	}
	book := budget.New(conf, func(string, uint32) string { return "" })
	for name, g := range map[string]*Gate{"none": {}, "four": {budgets: book}} {
		b.Run(name, func(b *testing.B) {
			g.conf.Now = time.Now
			s := &session{g: g, principal: 1, roleName: "staff", opened: &sekisho.SessionOpened{Endpoint: "pc-0417"}}
			r := &replies{s: s}
			d, by := &desc{shapes: []shapeRef{{space: "member"}}}, &said{}
			access := &sekisho.Access{}
			entries := []sekisho.Body{access}
			sp, ord := &stmtPlan{}, uint32(0)
			u := &run{}
			b.ReportAllocs()
			for b.Loop() { // each is a statement of its own
				ord = (ord*1103515245+12345)%997 + 1
				r.at = 0
				u.accounts = r.accountsFor(d, by, nil)
				r.beforeRow(u, entries)
				access.Subjects = append(access.Subjects[:0], ord)
				if why := r.charge(nil, sp, u, entries); why != nil {
					b.Fatal(why.text)
				}
				access.Subjects = access.Subjects[:0]
			}
		})
	}
}

// What tells of anybody is told why it is refused where a budget has ended, and
// all of a table is charged though no row comes.
func TestBudgetOfAnswersWithoutRows(t *testing.T) {
	h := newHouse(t, writing, withBudgets(hourly(1)))
	h.asOwner("grant all on crm.member to staff")
	r := h.raw("sato")
	if got := r.run("Q select name from crm.member where member_no = 1001"); !strings.Contains(got, "name1") {
		t.Fatal(got)
	}
	for _, sql := range []string{
		"select count(*) from crm.member having count(*) > 5000",
		"insert into crm.member (member_no) values (1042) on conflict do nothing",
	} {
		if got := r.run("Q " + sql); !strings.Contains(got, "C53400") || strings.Contains(got, "C \"SELECT 0") || strings.Contains(got, "C \"INSERT") {
			t.Errorf("%s:\n%s", sql, got)
		}
	}
}

// Keys that look alike are as many customers as they are in the table, each
// counts once, and none for nothing.
func TestBudgetOfKeysThatLookAlike(t *testing.T) {
	keys := []string{"a", "a ", "A", "é", "e\u0301", "", " ", "42", "042", "+42", "42.0", "a\u200b", "Ａ", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"}
	h := newHouse(t, withBudgets(hourly(uint32(len(keys)))))
	for _, k := range append(keys, "one more") {
		if _, err := cluster.SQL(context.Background(), h.dbname, "insert into crm.textual values ('"+k+"', 'x')"); err != nil {
			t.Fatal(err)
		}
	}
	conn := h.connect("sato")
	read := func(key string, simple bool) error {
		mode := pgx.QueryExecModeExec
		if simple {
			mode = pgx.QueryExecModeSimpleProtocol
		}
		var got, note string
		err := conn.QueryRow(context.Background(), "select who, note from crm.textual where who = $1", mode, key).Scan(&got, &note)
		if err == nil && got != key {
			t.Errorf("%q was asked for, and %q came", key, got)
		}
		return err
	}
	for round := range 2 {
		for _, k := range keys {
			if err := read(k, round == 0); err != nil {
				t.Errorf("round %d, %q: %v", round, k, err)
			}
		}
	}
	if err := read("one more", true); sqlstate(err) != "53400" {
		t.Errorf("one more than there is room for: %v", err)
	}
	conn.Close(context.Background())
	h.stop()
	named := map[string]bool{}
	for _, list := range h.sessions() {
		for _, k := range list {
			named[k] = true
		}
	}
	if len(named) != len(keys) {
		t.Errorf("%d customers are named, and %d were read", len(named), len(keys))
	}
}
