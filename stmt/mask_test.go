package stmt_test

import (
	"errors"
	"strings"
	"testing"

	"sekisho/stmt"
)

// member is a table of three columns of which one is masked, or two with the
// key.
func member(relation int, key bool) stmt.MaskedTable {
	t := stmt.MaskedTable{Relation: relation, Key: "no", Columns: []stmt.MaskedColumn{{Name: "no"}, {Name: "Name"}, {Name: "mail", Mask: "pg_catalog.upper(" + stmt.MaskedValue("mail") + ")"}}}
	if key {
		t.Columns[0].Mask = "(NULL::bigint)"
	}
	return t
}

func TestWithMasks(t *testing.T) {
	const (
		plain = `(SELECT "sekisho masked"."no", "sekisho masked"."Name", pg_catalog.upper("sekisho masked"."mail") AS "mail" FROM $ AS "sekisho masked")`
		keyed = `(SELECT (NULL::bigint) AS "no", "sekisho masked"."Name", pg_catalog.upper("sekisho masked"."mail") AS "mail", "sekisho masked"."no" AS "__sekisho_k" FROM $ AS "sekisho masked")`
	)
	for _, c := range []struct {
		sql  string
		key  bool
		want string // $1 and $2 are the sub-selects over what stands in []
		err  error
	}{
		{sql: `select mail from m`, want: `select mail , "m"."no" AS __sekisho_1 from [m] AS "m"`},
		{sql: `select * from crm.m as x where x.mail = 'a' -- c`, want: `select * , "x"."no" AS __sekisho_1 from [crm.m] as x where x.mail = 'a' -- c`},
		{sql: `select * from crm . "M y" x`, want: `select * , "x"."no" AS __sekisho_1 from [crm . "M y"] x`},
		{sql: `select *, 1 from m x join t on t.a = x.no`, key: true, want: `select "x"."no", "x"."Name", "x"."mail", "t".*, 1 , "x"."__sekisho_k" AS __sekisho_1 from [m] x join t on t.a = x.no`},
		{sql: `select t.*, x.* from t, m x limit 3`, key: true, want: `select t.*, "x"."no", "x"."Name", "x"."mail" , "x"."__sekisho_k" AS __sekisho_1 from t, [m] x limit 3`},
		{sql: `select x.mail from m x limit 3 offset $1`, want: `select x.mail , "x"."no" AS __sekisho_1 from [m] x limit (coalesce(($1)::bigint, 0) OPERATOR(pg_catalog.+) 3) offset least(($1)::bigint, 0)`},
		{sql: `select * from m join t using (no)`, key: true, err: stmt.ErrMaskStar},
		{sql: `select mail from m natural join t`, key: true, err: stmt.ErrMaskStar},
		{sql: `select mail from m natural join t`, want: `select mail , "m"."no" AS __sekisho_1 from [m] AS "m" natural join t`},
		{sql: `select m from m`, err: stmt.ErrMaskWhole},
		{sql: `select f(m) from m`, err: stmt.ErrMaskWhole},
		{sql: `select row(m.*) from m`, err: stmt.ErrMaskWhole},
		{sql: `select (m.*) is null from m`, err: stmt.ErrMaskWhole},
		{sql: `select 1 from m where m is null`, err: stmt.ErrMaskWhole},
		{sql: `select 1 from m order by m`, err: stmt.ErrMaskWhole},
		{sql: `select s.m.mail from s.m`, err: stmt.ErrMaskQualified},
		{sql: `select s.m.* from s.m`, err: stmt.ErrMaskQualified},
		{sql: `select tableoid from m`, err: stmt.ErrMaskShape},
		{sql: `select mail from only m`, err: stmt.ErrMaskShape},
		{sql: `select mail from m for share`, err: stmt.ErrMaskShape},
		{sql: `select a.mail from a.m, b.m`, err: stmt.ErrMaskShape},
		{sql: `table m`, err: stmt.ErrMaskShape},
		{sql: `select mail from m *`, err: stmt.ErrRewrite},
		{sql: `select __sekisho_k from m`, err: stmt.ErrRewrite},
	} {
		st := understood(t, c.sql)
		relation := 0
		for i, r := range st.Relations {
			if r.Name.Name == "m" || r.Name.Name == "M y" {
				relation = i
				break
			}
		}
		r, err := st.WithMasks([]stmt.MaskedTable{member(relation, c.key)}, []stmt.KeyRef{{relation, "no"}})
		if c.err != nil {
			if !errors.Is(err, c.err) {
				t.Errorf("%s: %v, %v", c.sql, r.Text, err)
			}
			continue
		}
		want := c.want
		if at, end := strings.IndexByte(want, '['), strings.IndexByte(want, ']'); at >= 0 {
			sub := plain
			if c.key {
				sub = keyed
			}
			want = want[:at] + strings.ReplaceAll(sub, "$", want[at+1:end]) + want[end+1:]
		}
		if err != nil || r.Text != want {
			t.Errorf("%s:\n%s\n%s, %v", c.sql, r.Text, want, err)
		}
	}
}

func understood(t *testing.T, sql string) *stmt.Statement {
	t.Helper()
	all, err := stmt.Analyse(sql)
	if err != nil || len(all) != 1 {
		t.Fatalf("%s: %v", sql, err)
	}
	return &all[0]
}

// The same masks fit other texts of a shape, or none.
func TestMasksOfAShape(t *testing.T) {
	st := understood(t, "select mail from m where no = 5")
	r, err := st.WithMasks([]stmt.MaskedTable{member(0, true)}, []stmt.KeyRef{{0, "no"}})
	if err != nil {
		t.Fatal(err)
	}
	other := "select mail from m where no = 77"
	key, _ := stmt.ShapeKey(other)
	if got, ok := r.Apply(other, key); !ok || got != strings.Replace(r.Text, "= 5", "= 77", 1) {
		t.Errorf("%q, %v", got, ok)
	}
	if _, ok := r.Apply("select mail from n where no = 77", "select mail from n where no = \x01"); ok {
		t.Error("applied to another shape")
	}
	st = understood(t, "select 'x', mail from m where no = 5")
	if r, err = st.WithMasks([]stmt.MaskedTable{member(0, true)}, []stmt.KeyRef{{0, "no"}}); err != nil {
		t.Fatal(err)
	}
	key, _ = stmt.ShapeKey("select 'y', mail from m where no = 5")
	if _, ok := r.Apply("select 'y', mail from m where no = 5", key); ok {
		t.Error("applied behind a literal")
	}
}

// A mask that is more than an expression over its own column is no mask.
func TestMasksAreProven(t *testing.T) {
	st := understood(t, "select mail from m")
	for _, mask := range []string{
		"1) AS x, (2", `"sekisho masked"."Name"`, "(select 1)", "$1", "secret", `1 FROM other AS "sekisho masked") x, (SELECT 1`, "", `* `, `1, 2`,
		`1 FROM m AS "sekisho masked" WHERE true OR "sekisho masked"."mail" = ('x'`,
	} {
		table := member(0, false)
		table.Columns[2] = stmt.MaskedColumn{Name: "mail", Mask: mask}
		if mask == "" {
			table.Columns[2].Name = `mail", "Name`
		}
		r, err := st.WithMasks([]stmt.MaskedTable{table}, []stmt.KeyRef{{0, "no"}})
		if err == nil && mask != "" {
			t.Errorf("%s: %s", mask, r.Text)
		}
		if mask == "" && (err != nil || !strings.Contains(r.Text, `"mail"", ""Name"`)) {
			t.Errorf("%s, %v", r.Text, err)
		}
	}
}
