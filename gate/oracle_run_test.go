package gate

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestOracle(t *testing.T) {
	number := func(name string, otherwise uint64) uint64 {
		if s := os.Getenv(name); s != "" {
			n, err := strconv.ParseUint(s, 10, 64)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			return n
		}
		return otherwise
	}
	n := number("SEKISHO_ORACLE", 300)
	seed := uint64(1) // the same each time, unless somebody sits by
	if os.Getenv("SEKISHO_ORACLE") != "" {
		seed = uint64(time.Now().UnixNano())
	}
	seed = number("SEKISHO_ORACLE_SEED", seed)
	o := newOracle(t)
	g := &gen{Rand: rand.New(rand.NewPCG(seed, 0))}
	var trials []*trial
	for i := range int(n) {
		tr := &trial{source: "grammar", way: waySimple, user: "sato", part: g.statement()}
		switch k := g.IntN(100); {
		case k < 8:
			tr.part, tr.way = g.write(), wayWrite
		case k < 55:
			tr.way = way(g.IntN(int(wayWrite)))
		}
		if g.chance(8) {
			tr.part, tr.way = g.copied(), wayTable
		}
		if g.chance(5) && tr.way <= wayExtended {
			tr.part = g.explained(tr.part)
		}
		if g.chance(12) {
			tr.user = "watched"
		}
		tr.n, tr.sql = i, tr.part.String()
		trials = append(trials, tr)
	}
	for i, sql := range known(t) {
		for _, user := range []string{"sato", "watched"} {
			for _, w := range []way{waySimple, wayExtended} {
				trials = append(trials, &trial{n: i, source: "list", sql: sql, user: user, way: w})
			}
		}
	}
	for i, sql := range o.sqlsmith(int(number("SEKISHO_ORACLE_SQLSMITH", 0)), seed) {
		trials = append(trials, &trial{n: int(n) + i, source: "sqlsmith", sql: sql, user: "sato", way: wayWrite})
	}
	started := time.Now()
	for _, tr := range trials {
		o.send(tr)
	}
	o.read(trials)
	t.Logf("seed %d: %d statements sent in %v", seed, len(trials), time.Since(started))
	started = time.Now()
	sums := map[string]*sums{}
	for _, tr := range trials {
		key := tr.source + ", " + tr.user
		if sums[key] == nil {
			sums[key] = newSums()
		}
		o.check(sums[key], tr, seed)
	}
	t.Logf("judged in %v", time.Since(started))
	for _, key := range slices.Sorted(maps.Keys(sums)) {
		t.Logf("%s:\n%s", key, sums[key])
		if s := sums[key]; s.released < s.statements/10 && strings.HasPrefix(key, "grammar") {
			t.Errorf("%s: of %d statements only %d were released: nothing has been tested", key, s.statements, s.released)
		}
	}
}

// sums are what a run found out.
type sums struct {
	statements, invalid, unstable, slow, strict, released, free int
	refused                                                     map[string]int
	anyRow, named, contributed, whole                           int // released statements over protected data
	disclosed, missed                                           int // customers
	exact, over                                                 int // customers in the class exact
	byDesign                                                    map[string]int
}

func newSums() *sums {
	return &sums{refused: map[string]int{}, byDesign: map[string]int{}}
}

func (s *sums) String() string {
	var b strings.Builder
	row := func(name string, format string, args ...any) {
		fmt.Fprintf(&b, "  %-34s "+format+"\n", append([]any{name}, args...)...)
	}
	share := func(part, whole int) float64 { return float64(part) / float64(max(whole, 1)) }
	row("statements", "%d", s.statements)
	row("  wrong in themselves", "%d", s.invalid)
	row("  without one certain answer", "%d", s.unstable)
	refused := 0
	for _, n := range s.refused {
		refused += n
	}
	row("  refused", "%d", refused)
	reasons := slices.Sorted(maps.Keys(s.refused))
	slices.SortStableFunc(reasons, func(a, b string) int { return s.refused[b] - s.refused[a] })
	for _, r := range reasons {
		row("    "+r, "%d", s.refused[r])
	}
	row("  too slow with their names", "%d", s.slow)
	row("  failing by their names alone", "%d", s.strict)
	row("  released", "%d", s.released)
	row("    of nobody", "%d", s.free)
	of := s.released - s.free + refused
	row("of somebody, as far as is known", "%d", of)
	for _, each := range []struct {
		name string
		n    int
	}{{"exact", s.named}, {"contributed", s.contributed}, {"all contributed", s.whole}, {"any row", s.anyRow}, {"refused", refused}} {
		row("  "+each.name, "%d (%.1f %%)", each.n, 100*share(each.n, of))
	}
	row("customers whom the answers are about", "%d", s.disclosed)
	row("  recall", "%.4f (%d missed)", 1-share(s.missed, s.disclosed), s.missed)
	row("customers in the class exact", "%d", s.exact)
	designed := 0
	for _, n := range s.byDesign {
		designed += n
	}
	row("  precision", "%.4f (%d too many)", 1-share(s.over, s.exact-designed), s.over)
	for _, r := range slices.Sorted(maps.Keys(s.byDesign)) {
		row("  not counted: "+r, "%d", s.byDesign[r])
	}
	return b.String()
}

// check judges one trial.
func (o *oracle) check(s *sums, tr *trial, seed uint64) {
	s.statements++
	where := fmt.Sprintf("seed %d, statement %d of %s, %v as %s", seed, tr.n, tr.source, tr.way, tr.user)
	switch {
	case tr.through.code == "lost":
		o.t.Errorf("%s: the connection ended: %s\n%s", where, tr.through.message, tr.sql)
		return
	case strings.HasPrefix(tr.direct.code, "42") || tr.direct.code == "0A000":
		s.invalid++
		if os.Getenv("SEKISHO_ORACLE_WRONG") != "" {
			o.t.Logf("%s: %s %s\n%s", where, tr.direct.code, tr.direct.message, tr.sql)
		}
		return
	case len(tr.refused) > 0:
		s.refused[tr.refused[0]]++
		if os.Getenv("SEKISHO_ORACLE_REFUSED") != "" {
			o.t.Logf("%s: refused: %s\n%s", where, tr.through.message, tr.sql)
		}
		return
	}
	if (tr.through.code == cancelled) != (tr.direct.code == cancelled) {
		s.slow++ // the names take longer than statement_timeout, or the machine was busy
		return
	}
	if tr.through.code == divided && tr.direct.code == "" && tr.anyRow {
		s.strict++ // they look at rows that the statement itself does not reach
		return
	}
	base, stable := o.stable(tr.sql)
	if stable && (tr.way == waySimple || tr.way == wayWrite) {
		stable = base.equal(tr.direct)
	}
	if !stable || inconstant.MatchString(tr.sql) {
		s.unstable++
		if os.Getenv("SEKISHO_ORACLE_ALL") != "" {
			o.t.Logf("%s: not one answer: %v and %v\n%s", where, tr.direct, base, tr.sql)
		}
		return
	}
	s.released++
	if os.Getenv("SEKISHO_ORACLE_ALL") != "" {
		o.t.Logf("%s: any row %v, exact %v, about %v, error %q\n%s", where, tr.anyRow, slices.Sorted(maps.Keys(tr.exact)), slices.Sorted(maps.Keys(o.about(tr.sql, base))), tr.through.code, tr.sql)
	}
	if !tr.through.equal(tr.direct) {
		o.t.Errorf("%s: the gate's answer is another one\n%s\ndirect: %s %s %.300q\nthrough: %s %s %s %.300q", where, tr.sql, tr.direct.code, tr.direct.tag, tr.direct.rows, tr.through.code, tr.through.message, tr.through.tag, tr.through.rows)
	}
	switch {
	case tr.anyRow:
		s.anyRow++
	case len(tr.exact) > 0:
		s.named++
	case tr.whole:
		s.whole++
	case len(tr.others) > 0:
		s.contributed++
	default:
		s.free++
	}
	if !tr.anyRow {
		about := o.about(tr.sql, base)
		s.disclosed += len(about)
		unnamed := func() (n int) {
			for key := range about {
				if !tr.names(key) {
					n++
				}
			}
			return n
		}
		missed := unnamed()
		if missed > 0 { // it must be so a second time: a busy machine cancels a statement now and then
			again := o.about(tr.sql, base)
			maps.DeleteFunc(about, func(key string, _ *answer) bool { return again[key] == nil })
			missed = unnamed()
		}
		if missed > 0 {
			s.missed += missed
			o.missing(tr, where, missed)
		}
	}
	over := o.overNamed(tr, base)
	s.exact += len(tr.exact)
	for _, key := range slices.Sorted(maps.Keys(over)) {
		if over[key] != "" {
			s.byDesign[over[key]]++
			continue
		}
		s.over++
		o.t.Errorf("%s: customer %s is named exactly for %v, and none of it went out\n%s", where, key, tr.exact[key], tr.sql)
	}
}

// inconstant are statements whose answer depends on chance, on the server's
// state or on what was done before. Those that do so more often than seldom
// show it by themselves.
var inconstant = regexp.MustCompile(`(?i)tablesample|pg_stat_|pg_current_|pg_snapshot|txid_|ctid|xmin|xmax`)

// missing reports a statement that is about somebody whom the ledger does not
// name, as small as it can be made.
func (o *oracle) missing(tr *trial, where string, n int) {
	small := tr.sql
	if tr.part != nil {
		small = tr.part.shrink(250, func(sql string) bool {
			again := &trial{sql: sql, way: tr.way, user: tr.user}
			o.send(again)
			if again.direct.code != "" || again.through.code != "" || len(again.direct.rows) > 2000 {
				return false
			}
			o.read([]*trial{again})
			if again.anyRow {
				return false
			}
			base, stable := o.stable(sql)
			if !stable {
				return false
			}
			for key := range o.about(sql, base) {
				if !again.names(key) {
					return true
				}
			}
			return false
		})
	}
	last := &trial{sql: small, way: tr.way, user: tr.user}
	o.send(last)
	o.read([]*trial{last})
	base, _ := o.stable(small)
	about := o.about(small, base)
	for _, key := range slices.Sorted(maps.Keys(about)) {
		if !last.names(key) {
			o.t.Errorf("%s: %d customers are missing from the ledger\nas generated: %s\nsmallest:     %s\nthe ledger names %v\nfor instance customer %s: %s", where, n, tr.sql, small,
				slices.Sorted(maps.Keys(last.exact)), key, differ(base, about[key]))
			return
		}
	}
	o.t.Errorf("%s: %d customers are missing from the ledger\n%s", where, n, tr.sql)
}

// differ says what is another one about two answers.
func differ(with, without *answer) string {
	if with.code != without.code {
		return fmt.Sprintf("with: error %q, without: error %q", with.code, without.code)
	}
	only := func(a, b []string) (rest []string) {
		b = slices.Clone(b)
		for _, r := range a {
			if i := slices.Index(b, r); i >= 0 {
				b = slices.Delete(b, i, i+1)
			} else {
				rest = append(rest, r)
			}
		}
		return rest
	}
	return fmt.Sprintf("only with: %.300q, only without: %.300q, tags %s, %s", only(with.rows, without.rows), only(without.rows, with.rows), with.tag, without.tag)
}

// cancelled is what a statement ends with that takes longer than
// statement_timeout.
const cancelled = "57014"

// divided is an error that only comes if a row is looked at.
const divided = "22012"

// about gives the customers whom the answer is about, each with what it would
// be without.
func (o *oracle) about(sql string, base *answer) map[string]*answer {
	var changes []string
	refresh := ofAnotherTime(sql)
	for _, key := range o.customers {
		changes = append(changes, fmt.Sprintf("select oracle.forget(%s, %v)", key, refresh))
	}
	about := map[string]*answer{}
	for i, a := range o.under(sql, changes) {
		if !a.equal(base) && a.code != cancelled {
			about[o.customers[i]] = a
		}
	}
	return about
}

// overNamed gives the customers in the class exact of whom nothing that the
// ledger says went out had any influence on the answer. Where that is how the
// gate means it, it says in which way.
func (o *oracle) overNamed(tr *trial, base *answer) map[string]string {
	over := map[string]string{}
	left := slices.Sorted(maps.Keys(tr.exact))
	for try := range 6 {
		var changes []string
		for _, key := range left {
			changes = append(changes, change(key, tr.exact[key], try, ofAnotherTime(tr.sql)))
		}
		answers := o.under(tr.sql, changes)
		var still []string
		for i, key := range left {
			if answers[i].equal(base) {
				still = append(still, key)
			}
		}
		left = still
	}
	if len(left) == 0 {
		return nil
	}
	about := o.about(tr.sql, base)
	for _, key := range left {
		switch {
		case len(tr.exact[key]) == 0:
			over[key] = "no protected column is shown, only that there are rows"
		case about[key] != nil:
			over[key] = "a row of theirs is there, and an expression or another table decides what it shows"
		case o.matters(tr.sql, key):
			over[key] = "a row of theirs is there, and without them another just like it would be"
		case strings.Contains(tr.sql, " join "):
			over[key] = "a row of theirs is joined, shows nothing, and is not needed for the others to be there"
		case strings.Contains(tr.sql, " offset "):
			over[key] = "a row of theirs is there because of OFFSET, and shows what any other would"
		default:
			over[key] = ""
		}
	}
	return over
}

// matters says whether a customer has influence on an answer while some of the
// others are not there: then it is only they who hide it.
func (o *oracle) matters(sql, key string) bool {
	var changes []string
	rng := rand.New(rand.NewPCG(1, 1))
	refresh := ofAnotherTime(sql)
	for world := range 13 { // the last one without anybody else
		var forget []string
		for _, other := range o.customers {
			if other != key && rng.IntN(12) < world {
				forget = append(forget, fmt.Sprintf("oracle.forget(%s, %v)", other, refresh))
			}
		}
		if world == 12 { // nor rows of nobody
			forget = append(forget, "oracle.change('delete from air.booking where member_no is null')")
		}
		changes = append(changes, strings.Join(append([]string{"select 1"}, forget...), ", "),
			strings.Join(append([]string{"select 1", fmt.Sprintf("oracle.forget(%s, %v)", key, refresh)}, forget...), ", "))
	}
	answers := o.under(sql, changes)
	for i := 0; i < len(answers); i += 2 {
		if !answers[i].equal(answers[i+1]) {
			return true
		}
	}
	return false
}

// ofAnotherTime: a statement reads a materialized view.
func ofAnotherTime(sql string) bool {
	return strings.Contains(sql, "city_size") || strings.Contains(sql, "air.tally")
}

// change is a statement that gives a customer other values in some columns:
// fresh ones, none, or those of somebody else.
func change(key string, columns []string, try int, refresh bool) string {
	by := map[string][]attr{}
	rename := false
	for _, c := range slices.Compact(slices.Sorted(slices.Values(columns))) {
		table, name, _ := cutLast(c)
		if table == "air.card" {
			table = "air.member"
		}
		for _, r := range relations {
			for _, a := range r.attrs {
				if r.name != table || a.name != name {
					continue
				}
				if name == "member_no" {
					rename = true
				} else {
					by[table] = append(by[table], a)
				}
			}
		}
	}
	var b strings.Builder
	for _, table := range slices.Sorted(maps.Keys(by)) {
		var sets []string
		for _, a := range by[table] {
			unique := a.name == "id" || a.name == "year"
			value := map[typ]string{typText: "'fresh " + a.name + " '||member_no", typInt: "coalesce(" + a.name + ",0)+1000+member_no::int", typNum: "coalesce(" + a.name + ",0)+1000+member_no",
				typDate: "coalesce(" + a.name + ",date '2000-01-01')+5000", typJSON: `jsonb_build_object('meal','fresh','seat',99)`}[a.typ]
			switch {
			case a.name == "year":
				value = "year+20"
			case try == 1 && !unique:
				value = "null"
			case try > 1 && !unique:
				value = fmt.Sprintf("(select d.%s from %s d where d.%[1]s is distinct from x.%[1]s order by (d.member_no*7+%[3]d*5)%%24, d.%[1]s limit 1)", a.name, table, try)
			}
			sets = append(sets, a.name+" = "+value)
		}
		fmt.Fprintf(&b, "update %s x set %s where member_no = %s;", table, strings.Join(sets, ", "), key)
	}
	if rename {
		fmt.Fprintf(&b, "select oracle.rename(%s, %s+9000)", key, key)
	}
	if b.Len() == 0 {
		return "select 1"
	}
	if refresh {
		b.WriteString(";select oracle.refresh()")
	}
	return "select oracle.change($q$" + b.String() + "$q$)"
}

func cutLast(s string) (before, after string, ok bool) {
	i := strings.LastIndexByte(s, '.')
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

// known are statements that stand in a file.
func known(t *testing.T) (statements []string) {
	text, err := os.ReadFile("testdata/oracle_statements.sql")
	if err != nil {
		t.Fatal(err)
	}
	for sql := range strings.Lines(string(text)) {
		if sql = strings.TrimSpace(sql); !strings.HasPrefix(sql, "--") {
			statements = append(statements, sql)
		}
	}
	return statements
}

// sqlsmith is what Debian's sqlsmith would ask of the schema, without asking.
func (o *oracle) sqlsmith(n int, seed uint64) (texts []string) {
	if n == 0 {
		return nil
	}
	tool, err := exec.LookPath("sqlsmith")
	if err != nil {
		o.t.Skip("there is no sqlsmith: install Debian's package of that name")
	}
	script, err := os.ReadFile(oracleSchema)
	if err != nil {
		o.t.Fatal(err)
	}
	// A database of its own, without the oracle's tools, which it would call.
	tables, _, _ := strings.Cut(string(script), "-- The oracle's own tools")
	ctx := context.Background()
	if _, err := cluster.SQL(ctx, "postgres", "create database smith"); err != nil {
		o.t.Fatal(err)
	}
	if _, err := cluster.SQL(ctx, "smith", tables); err != nil {
		o.t.Fatal(err)
	}
	cmd := exec.Command(tool, fmt.Sprintf("--target=host=%s port=%d user=staff password=upstream dbname=smith", cluster.SocketDir(), cluster.Port()),
		"--dry-run", "--exclude-catalog", fmt.Sprintf("--max-queries=%d", n), fmt.Sprintf("--seed=%d", seed%1_000_000))
	out, err := cmd.Output()
	if err != nil {
		o.t.Fatalf("sqlsmith: %v", err)
	}
	for text := range strings.SplitSeq(string(out), ";\n") {
		if text = strings.TrimSpace(text); text != "" {
			texts = append(texts, text)
		}
	}
	return texts
}
