package gate

import (
	"context"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// What is masked has no say in an answer: in a database that differs in masked
// characters alone, whoever sees the masks gets the same answers, rows, order
// of nothing, errors and all.

// otherwise changes what the policy veiled masks, and leaves the masks as they
// are: of text in partial masks its length shows, of blank ones nothing.
const otherwise = `
set session_replication_role = replica;
update air.member set email = reverse(email), city = case city when '東京' then '奈良' when '大阪' then '奈良' when '札幌' then '大阪' else '東京' end where city is not null or email is not null;
update air.member set city = null where city is not null and member_no = -1;
update air.passport set passport_no = 'other ' || member_no % 5, expires_on = date '1999-01-01' + (member_no % 7)::int * 400;
`

func TestWhatIsMaskedHasNoSay(t *testing.T) {
	n := 200
	if s := os.Getenv("SEKISHO_ORACLE"); s != "" {
		n, _ = strconv.Atoi(s)
	}
	_, policy := withPolicy(t, veiled)
	o := newOracle(t, policy)
	ctx := context.Background()
	run := func(script string) {
		if _, err := cluster.SQL(ctx, o.dbname, script); err != nil {
			t.Fatal(err)
		}
	}
	run("update air.member set city = '旅先' where city is null; analyze air.member") // so that no NULL becomes another city
	g := &gen{Rand: rand.New(rand.NewPCG(5, 0))}
	type one struct {
		sql    string
		way    way
		direct *answer
		masked [2]*answer
	}
	var all []*one
	for range n {
		all = append(all, &one{sql: g.statement().String(), way: []way{waySimple, wayExtended, wayCopy, wayCursor}[g.IntN(4)]})
	}
	var conn *pgconn.PgConn
	through := func(c *one) *answer {
		if conn == nil || conn.IsClosed() {
			var err error
			if conn, err = pgconn.Connect(ctx, o.dsn("sato", "options='-c statement_timeout=3000'")); err != nil {
				t.Fatal(err)
			}
		}
		return ask(conn, c.way, c.sql)
	}
	for _, c := range all {
		c.direct = ask(o.db, c.way, c.sql)
		c.masked[0] = through(c)
	}
	run("select oracle.shuffle()")
	for _, c := range all {
		c.masked[1] = through(c)
	}
	run(otherwise)
	compared, refused, unstable, differ := 0, 0, 0, 0
	for _, c := range all {
		first := c.masked[0]
		switch {
		case first.code == "0A000" || first.code == "42501":
			refused++
			continue
		case !first.equal(c.masked[1]) || first.code == cancelled || inconstant.MatchString(c.sql):
			unstable++
			continue
		}
		compared++
		if !ask(o.db, c.way, c.sql).equal(c.direct) {
			differ++
		}
		if now := through(c); !now.equal(first) && now.code != cancelled {
			t.Errorf("%v: what is masked decides over the answer of\n%s\n%s %.300q\n%s %.300q", c.way, c.sql, first.code, first.rows, now.code, now.rows)
		}
	}
	t.Logf("%d statements: %d refused, %d without one certain answer, %d compared, of which %d have another answer without masks", n, refused, unstable, compared, differ)
	if compared < n/4 || differ < n/20 {
		t.Error("too little was tried")
	}
}

// A statement that cannot be masked is refused however it is sent, and does not
// run.
func TestWhatCannotBeMaskedDoesNotRun(t *testing.T) {
	_, policy := withPolicy(t, veiled)
	o := newOracle(t, policy)
	conn := o.connect("sato").PgConn()
	for _, sql := range []string{
		"select count(*) from air.contact t1 where exists (select 1 from air.member t5 where t5.name = t1.name)",
		"select email from air.contact",
		"select max(email) from air.contact",
		"select m from air.member m",
	} {
		for range 2 {
			r := conn.ExecParams(context.Background(), sql, nil, nil, nil, nil).Read()
			if sqlstate(r.Err) != "42501" || len(r.Rows) > 0 {
				t.Errorf("%s: %q %v", sql, r.Rows, r.Err)
			}
		}
	}
}
