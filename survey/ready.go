package survey

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"sekisho"
	"sekisho/catalog"
	"sekisho/stmt"
	"sekisho/view"
)

// The road from observing to enforcing: what each role has sent, by the ledger,
// and what would become of it if it were enforced.

// A Road folds what the roles did. It is a view.
type Road struct {
	since, until sekisho.Time // of what counts
	behind       *view.Behind
	shapes       map[uint64]*sekisho.Shape
	counted      map[uint64]uint64 // by session: the number of the statement counted last
	lines        map[roadKey]*roadLine
	decided      decided
	first, last  sekisho.Time // of what was counted
}

type roadKey struct {
	role      string
	statement uint32
}

type roadLine struct {
	tables  map[string]bool
	exact   uint64
	other   uint64 // contributed
	anyRow  uint64
	refused map[string]uint64 // by reason
}

// NewRoad counts what was done from since (inclusive) until until (exclusive).
func NewRoad(since, until sekisho.Time) *Road {
	return &Road{since: since, until: until, behind: view.NewBehind(), shapes: map[uint64]*sekisho.Shape{}, counted: map[uint64]uint64{}, lines: map[roadKey]*roadLine{}, decided: newDecided()}
}

// Name is the view's.
func (*Road) Name() string { return "road" }

// Apply folds one entry.
func (r *Road) Apply(e *sekisho.Entry) {
	r.behind.Apply(e)
	switch b := e.Body.(type) {
	case *sekisho.LedgerOpened:
		clear(r.shapes)
		clear(r.counted)
	case *sekisho.SessionClosed:
		delete(r.counted, b.Session)
	case *sekisho.Shape:
		r.shapes[e.ID.Seq] = b
	case *sekisho.Access:
		h := r.shapes[b.Shape]
		if h == nil || r.counted[b.Session] == b.Number {
			return // another piece of the same answer, or of the same statement for another kind of people
		}
		if l := r.line(e, b.Session, b.Number, h.Statement, h.Tables); l != nil {
			r.counted[b.Session] = b.Number
			switch b.Class {
			case sekisho.Exact:
				l.exact++
			case sekisho.AnyRow:
				l.anyRow++
			default:
				l.other++
			}
		}
	case *sekisho.Ruled, *sekisho.BudgetReached:
		r.decides(e)
	case *sekisho.Refused:
		if l := r.line(e, b.Session, b.Number, b.Statement, b.Tables); l != nil {
			l.refused[b.Reason]++
		}
	}
}

// line is where a statement of the gate is counted; nil if it is not.
func (r *Road) line(e *sekisho.Entry, session, number uint64, statement uint32, tables []string) *roadLine {
	c := r.behind.Of(session, number)
	if c == nil || c.Door != sekisho.DoorGate || e.Time < r.since || e.Time >= r.until {
		return nil
	}
	if r.first == 0 {
		r.first = e.Time
	}
	r.last = e.Time
	k := roadKey{c.Role, statement}
	l := r.lines[k]
	if l == nil {
		l = &roadLine{tables: map[string]bool{}, refused: map[string]uint64{}}
		r.lines[k] = l
	}
	for _, t := range tables {
		l.tables[t] = true
	}
	return l
}

// Traveller is one role of the config.
type Traveller struct {
	Name    string
	Observe bool // its mode is observe, for all tables or some
	Writes  bool // it may write to protected tables once it is enforced
	AnyRow  bool // it may run what could be about anybody
	Login   Login
}

// Readiness is where a role stands. Its JSON names are stable.
type Readiness struct {
	Role    string `json:"role"`
	Mode    string `json:"mode"`    // "observe" or "enforce"
	Verdict string `json:"verdict"` // "ready", "not_ready", "unknown", "unseen", "enforced"

	Statements uint64 `json:"statements"` // different texts, literals left out
	Runs       uint64 `json:"runs"`
	Exact      uint64 `json:"exact"` // runs, by what the ledger says of them now
	Other      uint64 `json:"contributed"`
	AnyRow     uint64 `json:"any_row"`
	Refused    uint64 `json:"refused"`

	Stops    []Stop `json:"would_be_refused"` // the most frequent first
	StopRuns uint64 `json:"would_be_refused_runs"`
	Unknown  uint64 `json:"cannot_tell_statements"` // whose text without its literals is not SQL any more
	Unsure   uint64 `json:"cannot_tell_runs"`
	Tables   []Over `json:"tables"`

	Keys     uint64  `json:"hidden_keys_statements"`  // would be rewritten
	Compared uint64  `json:"hidden_keys_compared"`    // of them, with plans to compare
	Dearer   []Cost  `json:"hidden_keys_dearest"`     // the worst first
	Worst    float64 `json:"hidden_keys_worst_ratio"` // of the planner's cost; 1 is no change, 0 if nothing was compared
	NoPlans  string  `json:"no_plans,omitempty"`      // why none could be asked for

	Policy  []Ruling `json:"policy"`  // what it would have decided, the strictest first
	Budgets []Spent  `json:"budgets"` // those that would have ended
}

// Stop is a statement that enforcement would refuse.
type Stop struct {
	Statement string   `json:"statement"`
	Tables    []string `json:"tables"`
	Reason    string   `json:"reason"`
	Hint      string   `json:"hint"`
	Runs      uint64   `json:"runs"`
}

// Over is what would become of a role's statements over one protected table.
type Over struct {
	Name    string `json:"name"`
	Runs    uint64 `json:"runs"`
	Refused uint64 `json:"would_be_refused"`
	Unsure  uint64 `json:"cannot_tell"`
}

// Cost compares what the planner expects of a statement as it stands and with
// its hidden keys.
type Cost struct {
	Statement     string  `json:"statement"`
	Before, After float64 `json:"-"`
	Ratio         float64 `json:"ratio"`
}

// mostCosts are listed.
const mostCosts = 5

// Report judges what was counted as the gate would enforce it today. text gives
// a statement's text by its ordinal. connect connects as a role's login, to ask
// for plans; nil asks for none.
func (r *Road) Report(ctx context.Context, roles []Traveller, cat *catalog.Catalog, text func(uint32) (string, bool), connect func(context.Context, Login) (*Database, error)) []Readiness {
	var out []Readiness
	for _, who := range roles {
		one := Readiness{Role: who.Name, Mode: "enforce", Stops: []Stop{}, Tables: []Over{}, Dearer: []Cost{}, Policy: []Ruling{}, Budgets: []Spent{}}
		if who.Observe {
			one.Mode = "observe"
		}
		r.judge(ctx, &one, who, cat, text, connect)
		r.overruled(&one)
		switch {
		case one.Statements == 0:
			one.Verdict = "unseen"
		case !who.Observe:
			one.Verdict = "enforced"
		case one.StopRuns > 0 || slices.ContainsFunc(one.Policy, func(p Ruling) bool { return p.Refuses }):
			one.Verdict = "not_ready"
		case one.Unsure > 0:
			one.Verdict = "unknown"
		default:
			one.Verdict = "ready"
		}
		out = append(out, one)
	}
	return out
}

func (r *Road) judge(ctx context.Context, one *Readiness, who Traveller, cat *catalog.Catalog, text func(uint32) (string, bool), connect func(context.Context, Login) (*Database, error)) {
	var db *Database
	defer func() {
		if db != nil {
			db.Close()
		}
	}()
	tables := map[string]*Over{}
	for _, k := range slices.SortedFunc(maps.Keys(r.lines), func(a, b roadKey) int {
		return cmp.Or(cmp.Compare(a.role, b.role), cmp.Compare(a.statement, b.statement))
	}) {
		if k.role != who.Name {
			continue
		}
		l := r.lines[k]
		refused := uint64(0)
		for _, n := range l.refused {
			refused += n
		}
		runs := l.exact + l.other + l.anyRow + refused
		one.Statements++
		one.Runs += runs
		one.Exact, one.Other, one.AnyRow, one.Refused = one.Exact+l.exact, one.Other+l.other, one.AnyRow+l.anyRow, one.Refused+refused
		stop, rewritten, known := judgeText(cat, who, k.statement, text)
		if known && stop == nil && refused > 0 && runs == refused {
			// The literals decided, or the policy, or something else than the text.
			for _, reason := range slices.Sorted(maps.Keys(l.refused)) {
				stop = &Stop{Reason: reason}
			}
			stop.Statement, _ = text(k.statement)
		}
		list := slices.Sorted(maps.Keys(l.tables))
		for _, name := range list {
			if tables[name] == nil {
				tables[name] = &Over{Name: name}
			}
			t := tables[name]
			t.Runs += runs
			switch {
			case !known:
				t.Unsure += runs
			case stop != nil:
				t.Refused += runs
			}
		}
		switch {
		case !known:
			one.Unknown++
			one.Unsure += runs
		case stop != nil:
			stop.Tables, stop.Runs = list, runs
			one.Stops = append(one.Stops, *stop)
			one.StopRuns += runs
		case rewritten != "":
			one.Keys++
			if connect == nil || one.NoPlans != "" {
				break
			}
			if db == nil {
				var err error
				if db, err = connect(ctx, who.Login); err == nil {
					_, err = db.Query(ctx, `SELECT pg_catalog.set_config('plan_cache_mode', 'force_generic_plan', false), pg_catalog.set_config('search_path', '"$user", public', false)`)
				}
				if err != nil {
					one.NoPlans = err.Error()
					break
				}
			}
			plain, _ := text(k.statement)
			before, err := db.cost(ctx, readable(plain))
			after, err2 := db.cost(ctx, rewritten)
			if err != nil || err2 != nil || before <= 0 {
				break // the text alone does not say enough, such as the type of a parameter
			}
			one.Compared++
			c := Cost{Statement: plain, Before: before, After: after, Ratio: after / before}
			one.Worst = max(one.Worst, c.Ratio)
			one.Dearer = append(one.Dearer, c)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(tables)) {
		one.Tables = append(one.Tables, *tables[name])
	}
	slices.SortStableFunc(one.Stops, func(a, b Stop) int { return cmp.Compare(b.Runs, a.Runs) })
	slices.SortStableFunc(one.Dearer, func(a, b Cost) int { return cmp.Compare(b.Ratio, a.Ratio) })
	one.Dearer = one.Dearer[:min(len(one.Dearer), mostCosts)]
}

// readable makes SQL again of a text without its literals, where lists of them
// have become one and an ellipsis.
func readable(text string) string { return strings.ReplaceAll(text, ", …", "") }

// judgeText says what enforcement makes of a statement of a role: nil if it passes, and
// then the text that goes to the server in its place, if that is another.
// known is false where the text without its literals does not tell.
func judgeText(cat *catalog.Catalog, who Traveller, statement uint32, text func(uint32) (string, bool)) (stop *Stop, rewritten string, known bool) {
	plain, ok := text(statement)
	if statement == 0 || !ok || strings.Contains(plain, `"?"`) {
		return nil, "", false
	}
	list, err := stmt.Analyse(readable(plain))
	if err != nil || len(list) != 1 {
		return nil, "", false
	}
	j := cat.JudgeAs(&list[0], who.Login.User)
	if j.Kind == catalog.Plain && j.Write != nil && !who.Writes {
		j = catalog.Refused("write")
	}
	if j.Bound != nil && j.Bound.Unread && who.AnyRow {
		return nil, "", false // it runs if it only reads, and nobody has read whether it does
	}
	if j.Bound != nil && who.AnyRow {
		if !j.Bound.Writes() || who.Writes {
			return nil, "", true // it runs as it is, recorded as any-row
		}
		j = catalog.Refused("write")
	}
	switch {
	case j.Kind == catalog.Opaque || j.Kind == catalog.Denied:
		return &Stop{Statement: plain, Reason: j.Reason, Hint: j.Hint}, "", true
	case list[0].Kind == stmt.Select && j.Rewrite.Text != "":
		return nil, j.Rewrite.Text, true
	}
	return nil, "", true
}

// cost is what the planner expects of a statement whose parameters have no
// values: of a plan that serves them all.
func (d *Database) cost(ctx context.Context, text string) (float64, error) {
	if _, err := d.Query(ctx, "PREPARE sekisho_ready AS "+text); err != nil {
		return 0, err
	}
	defer d.Query(ctx, "DEALLOCATE sekisho_ready")
	n, err := d.Query(ctx, "SELECT pg_catalog.cardinality(parameter_types) FROM pg_catalog.pg_prepared_statements WHERE name = 'sekisho_ready'")
	if err != nil || len(n) != 1 || n[0][0] == nil {
		return 0, fmt.Errorf("counting a statement's parameters: %w", cmp.Or(err, errNoPlan))
	}
	values := ""
	if *n[0][0] != "0" {
		count := 0
		fmt.Sscan(*n[0][0], &count)
		values = "(" + strings.TrimSuffix(strings.Repeat("NULL,", count), ",") + ")"
	}
	rows, err := d.Query(ctx, "EXPLAIN (FORMAT JSON) EXECUTE sekisho_ready"+values)
	if err != nil {
		return 0, err
	}
	var plans []struct {
		Plan struct {
			Cost float64 `json:"Total Cost"`
		}
	}
	if len(rows) != 1 || rows[0][0] == nil || json.Unmarshal([]byte(*rows[0][0]), &plans) != nil || len(plans) != 1 {
		return 0, errNoPlan
	}
	return plans[0].Plan.Cost, nil
}

var errNoPlan = fmt.Errorf("the database gave no plan that can be read")

// Span is when the first and the last statement were counted; 0 if there was
// none.
func (r *Road) Span() (first, last sekisho.Time) { return r.first, r.last }
