package gate

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"sekisho"
)

// The truth about what a write reads: without the rows of one customer, does it
// do something else to the others, or say something else? Then that customer
// must be named, as one whose records it wrote or as one whom it read.

// outcome is what a write did and said, but for what concerns one customer.
func outcome(conn *pgconn.PgConn, forget, sql string) string {
	const holdings = `select 'person' as t, no, p::text as row from w.person p union all select 'card', no, pan from w.card
		union all select 'trip', no, place || ',' || office from w.trip union all select 'visit', no, v::text from w.visit v`
	var b strings.Builder
	script := "savepoint s; "
	if forget != "" {
		for _, table := range []string{"card", "trip", "visit", "person"} {
			script += fmt.Sprintf("delete from w.%s where no = %s; ", table, forget)
		}
	}
	results, err := readAll(conn, script+sql)
	if err != nil {
		a := &answer{}
		a.fail(err)
		b.WriteString(a.code)
	} else {
		for _, r := range results[len(results)-(1+strings.Count(sql, ";")):] {
			a := &answer{}
			a.add(r)
			slices.Sort(a.rows)
			fmt.Fprintln(&b, a.tag, a.rows)
		}
		rows, err := readAll(conn, "select t, no, row from ("+holdings+") x order by 1, 2, 3")
		if err != nil {
			panic(err)
		}
		for _, r := range rows[0].Rows {
			fmt.Fprintln(&b, line(r))
		}
	}
	if _, err := readAll(conn, "rollback to s"); err != nil {
		panic(err)
	}
	return b.String()
}

// without leaves out of an outcome what is said of one customer's own rows.
func without(outcome, no string) string {
	var b strings.Builder
	for l := range strings.Lines(outcome) {
		if strings.HasPrefix(l, `"`) && strings.Contains(l, fmt.Sprintf(`|%q|`, no)) {
			continue
		}
		b.WriteString(l)
	}
	return b.String()
}

// readingWrite is a write that reads protected tables elsewhere than in a join.
func readingWrite(r *rand.Rand) string {
	no := func() int { return 1 + r.IntN(24) }
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	where := func(alias string) string {
		return pick(fmt.Sprintf("%sno = %d", alias, no()), fmt.Sprintf("%sno < %d", alias, no()), fmt.Sprintf("%sno in (%d, %d, %d)", alias, no(), no(), no()))
	}
	inner := func() string { // a query of one column of keys
		return pick(
			fmt.Sprintf("select c.no from w.card c where c.pan like 'pan%d%%'", r.IntN(4)),
			"select c.no from w.card c where "+where("c."),
			"select no from w.trip where office = 'a' group by no having count(*) > "+strconv.Itoa(r.IntN(2)),
			"select no from w.person where points = (select "+pick("max", "min")+"(points) from w.person where "+where("")+")",
			"select c.no from w.card c join w.trip t on t.no = c.no where "+where("t."),
			"select no from w.person where "+where("")+" order by points limit 2",
			"select distinct no from w.visit where note <> 'note1'",
			"select no from w.person where "+where("")+" except select no from w.card where pan > 'pan3'",
			"select f.no from w.away('"+pick("a", "b")+"') f (no)",
			fmt.Sprintf("select f.who as no from w.best(%d) f where f.called like '%%pan%d%%'", no(), r.IntN(4)),
		)
	}
	value := func() string {
		return pick("(select max(pan) from w.card where "+where("")+")", "(select string_agg(place, ',' order by place) from w.trip where "+where("")+")",
			"(select count(*)::text from w.person where points > "+strconv.Itoa(no())+")", "coalesce((select email from w.person where no = "+strconv.Itoa(no())+"), 'none')",
			fmt.Sprintf("w.pan_of(%d)", no()), fmt.Sprintf("(select max(called) from w.best(%d))", no()))
	}
	cond := pick("no in ("+inner()+")", "not exists (select from w.card c where c.no = person.no)", "exists ("+inner()+" ) and "+where(""),
		"(select count(*) from w.trip t where t.no = person.no) > 1", "no = any (array(select t.no from w.trip t where "+where("t.")+"))",
		"points > (select avg(points) from w.person)", where("")+" and name not in (select pan from w.card where pan is not null)",
		"w.pan_of(no) > 'pan3'", "w.pan_of(person.no) is null and "+where(""), "no in (select f from w.away('a') f)")
	returning := pick("", "", "", " returning no", " returning *", " returning person.name, (select count(*) from w.card where card.no = person.no)", " returning w.pan_of(person.no)")
	switch r.IntN(15) {
	case 0:
		return fmt.Sprintf("update w.person set name = %s where %s%s", pick("'x'", value()), cond, returning)
	case 1:
		return fmt.Sprintf("update w.person set (name, points) = (select max(t.place), count(*) from w.trip t where t.no = person.no) where %s", cond)
	case 2:
		return fmt.Sprintf("delete from w.person where %s%s", cond, returning)
	case 3:
		return fmt.Sprintf("insert into w.visit (office, no, note) select 'c', x.no, %s from (%s) x%s", pick("'n'", value()), inner(), pick("", " returning note, no"))
	case 4:
		return fmt.Sprintf("insert into w.card (no, pan) select p.no, p.email || %s from w.person p where p.no in (%s) on conflict do nothing", pick("''", "'x'"), inner())
	case 5:
		return fmt.Sprintf("insert into w.visit values ('a', %d, %s), ('b', %d, 'plain')", no(), value(), no())
	case 6:
		return fmt.Sprintf("with x as (%s), y as (select count(*) as n from x) update w.person p set name = y.n::text from x, y where x.no = p.no%s", inner(), pick("", " returning p.no, y.n"))
	case 7:
		return fmt.Sprintf("delete from w.trip using (%s) x where x.no = trip.no and trip.no < %d", inner(), no())
	}
	switch r.IntN(9) {
	case 6:
		return fmt.Sprintf("update w.visit v set no = x.no from (%s) x where x.no > v.no and v.note like 'note%d%%'%s", inner(), r.IntN(4), pick("", " returning note"))
	case 7:
		return fmt.Sprintf("update w.card set no = (select max(no) from w.person where %s), pan = %s where %s", where(""), pick("pan", value()), pick(where(""), "exists ("+inner()+") and "+where("")))
	case 0:
		return fmt.Sprintf("with moved as (delete from w.card where no in (%s) returning no, pan) insert into w.visit (office, no, note) select 'c', no, pan from moved", inner())
	case 1:
		return fmt.Sprintf("with u as (update w.person set points = points + 1 where %s returning no, name) select u.name, (select count(*) from w.card c where c.no = u.no) from u where u.name > 'p1'", cond)
	case 2:
		return fmt.Sprintf("with i as (insert into w.visit select 'c', no, 'x' from w.person where %s returning no as who) select p.name, p.email from w.person p join i on i.who = p.no", cond)
	case 3:
		return fmt.Sprintf("with d as (delete from w.trip where no in (%s) returning no) update w.person set points = points + (select count(*) from d where d.no = person.no) where no in (select no from d)%s", inner(), returning)
	case 4:
		return fmt.Sprintf("with a as (%s), u as (update w.card set pan = '-' from a where a.no = card.no returning card.no), e as (select max(points) as most from w.person where no in (select no from u)) select (select count(*) from u), most from e", inner())
	case 5:
		return fmt.Sprintf("with i as (insert into w.card (no, pan) select no, %s from w.person where %s on conflict do nothing returning *) select count(*), max(pan) from i", pick("'pan1'", value()), where(""))
	}
	return fmt.Sprintf("update w.card set pan = pan || coalesce((select left(name, 3) from w.person where person.no = card.no), '-') from (%s) x where x.no = card.no", inner())
}

func TestWhoIsReadByAWriteIsNamed(t *testing.T) {
	statements := 200
	if s := os.Getenv("SEKISHO_ORACLE"); s != "" {
		statements, _ = strconv.Atoi(s)
	}
	h := newWritingHouse(t, "", writeTables)
	ctx := context.Background()
	h.direct("delete from w.trip where no > 24; delete from w.card where no > 24; delete from w.visit where no > 24; delete from w.person where no > 24")
	r := rand.New(rand.NewPCG(11, 2026))
	behind, err := pgconn.Connect(ctx, fmt.Sprintf("host=%s port=%d user=staff password=upstream dbname=%s", cluster.SocketDir(), cluster.Port(), h.dbname))
	if err != nil {
		t.Fatal(err)
	}
	defer behind.Close(ctx)
	conn := h.connect("sato")
	modes := []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeExec, pgx.QueryExecModeCacheStatement}
	var last uint64
	shapes := map[uint64]*sekisho.Shape{}
	names := func() (map[string]bool, bool) {
		return h.namesSince(&last, shapes, func(*sekisho.Shape) bool { return true })
	}
	names()
	refused, wrong, failed, anyRows, matter, named := 0, 0, 0, 0, 0, 0
	knows := atLeast(t, 17)
	for i := range statements {
		sql, mode := readingWrite(r), modes[r.IntN(len(modes))]
		if knows && r.IntN(4) == 0 {
			sql = merges(func(of ...string) string { return of[r.IntN(len(of))] }, func() string { return strconv.Itoa(1 + r.IntN(24)) })
			if r.IntN(2) == 0 {
				sql = mergesInWith(sql, r.IntN)
			}
		}
		if _, err := readAll(behind, "begin"); err != nil {
			t.Fatal(err)
		}
		base := outcome(behind, "", sql)
		if len(base) == 5 && base != "23503" && base != "23505" {
			wrong++ // the grammar's mistake
			t.Logf("%s: %s", base, sql)
		}
		without1 := map[string]string{}
		for no := 1; no <= 24; no++ {
			without1[strconv.Itoa(no)] = outcome(behind, strconv.Itoa(no), sql)
		}
		if _, err := readAll(behind, "rollback"); err != nil {
			t.Fatal(err)
		}
		tx, err := conn.Begin(ctx)
		if err != nil {
			t.Fatal(err)
		}
		rows, err := tx.Query(ctx, sql, mode)
		if err == nil {
			rows.Close()
			err = rows.Err()
		}
		keys, anyRow := names()
		if err := tx.Rollback(ctx); err != nil {
			t.Fatal(err)
		}
		switch code := sqlstate(err); {
		case code == "0A000":
			if refused++; refused < 5 {
				t.Logf("refused: %s: %v", sql, err)
			}
			continue
		case err != nil && code != base:
			t.Errorf("%v %s: %v, and directly %.80s", mode, sql, err, base)
		case err != nil:
			failed++
		}
		if anyRow {
			anyRows++
		}
		named += len(keys)
		for no, other := range without1 {
			if without(base, no) == without(other, no) {
				continue
			}
			if matter++; !keys[no] && !anyRow {
				t.Errorf("statement %d, %v: without %s it is another outcome, and nobody says that it is about them\n  %s\nnamed are %v", i, mode, no, sql, keys)
			}
		}
	}
	t.Logf("%d statements: %d refused, %d failed, %d wrong, %d any-row; %d times a customer mattered, %d names", statements, refused, failed, wrong, anyRows, matter, named)
	if refused > statements/5 || wrong > statements/20 || matter < statements {
		t.Errorf("too little was tried")
	}
}
