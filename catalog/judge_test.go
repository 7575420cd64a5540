package catalog_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"sekisho/catalog"
	"sekisho/stmt"
)

var update = flag.Bool("update", false, "write the golden files")

func config() catalog.Config {
	return catalog.Config{
		Subjects: []catalog.Subject{{
			Name: "member", Table: "crm.member", Key: "member_no",
			Roster: catalog.Roster{
				Query:  `SELECT m.member_no, m.partner, m.email, p."valid until" AS until FROM crm.member m LEFT JOIN crm.passport p USING (member_no);`,
				Labels: map[string]string{"partner": "partner"},
				Dates:  map[string]string{"passport_until": "until"},
				Match:  map[string]string{"email": "email"},
			},
		}},
		Tables: []catalog.Table{
			{Name: "crm.member", Subject: "member", Key: "member_no", Columns: map[string]string{
				"member_no": "public", "name": "identity", "email": "contact", "email_upper": "contact", "joined": "public", "points": "loyalty"}},
			{Name: "crm.passport", Subject: "member", Key: "member_no", Columns: map[string]string{
				"passport_id": "public", "member_no": "public", "number": "travel_document", "valid until": "travel_document"}},
			{Name: "crm.booking", Subject: "member", Key: "member_no", Columns: map[string]string{"route": "itinerary", "flown": "itinerary"}},
			{Name: "app.trip_tokyo", Subject: "member", Key: "member_no", Columns: map[string]string{"place": "itinerary"}},
			{Name: "app.member_card", Subject: "member", Key: "member_no", Columns: map[string]string{"name": "identity", "email": "contact", "member_no": "public"}},
		},
		Unprotected: []string{"app.member_total"},
		Functions:   catalog.Functions{Reviewed: []string{"app.distance"}},
	}
}

// shared is one catalog for the tests that change nothing in the database.
var shared = sync.OnceValues(func() (*catalog.Catalog, error) {
	return catalog.Load(context.Background(), postgres.query, config())
})

func loaded(t testing.TB) *catalog.Catalog {
	t.Helper()
	c, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func load(t testing.TB) *catalog.Catalog {
	t.Helper()
	c, err := catalog.Load(context.Background(), postgres.query, config())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// describe is a judgement in the words of the golden files.
func describe(c *catalog.Catalog, j catalog.Judgement) string {
	var b strings.Builder
	b.WriteString(j.Kind.String())
	if j.Reason != "" {
		fmt.Fprintf(&b, " %s", j.Reason)
	}
	if j.Unknown {
		b.WriteString(" unknown")
	}
	if j.Ties && j.Kind == catalog.Free {
		b.WriteString(" ties")
	}
	if j.Changes {
		b.WriteString(" changes")
	}
	if all := c.Tables("member"); j.Kind == catalog.Opaque && len(j.Tables) == len(all) {
		b.WriteString(" over everything")
	} else if j.Kind == catalog.Opaque && len(j.Tables) > 0 {
		fmt.Fprintf(&b, " over %s", strings.Join(j.Tables, " "))
	}
	b.WriteString("\n")
	for _, n := range j.Head {
		class := "contributed"
		if n.Exact {
			class = "exact"
		}
		fmt.Fprintf(&b, "  %s %s by %d\n", n.Space, class, n.TypeOID)
	}
	for _, n := range j.Whole {
		fmt.Fprintf(&b, "  all of %s\n", n.Space)
	}
	if j.Kind == catalog.Told {
		fmt.Fprintf(&b, "  of %s\n", strings.Join(j.Tested, " "))
	}
	if j.Kind == catalog.Plain {
		for _, in := range j.Instances {
			fmt.Fprintf(&b, "  %s as %s by %s.%s\n", in.Table, in.Alias, in.Space, in.Key)
		}
		fmt.Fprintf(&b, "  %s\n", j.Rewrite.Text)
		columns, categories := j.Static()
		fmt.Fprintf(&b, "  shows %s (%v)\n", strings.Join(columns, " "), categories)
		if len(j.Tested) > 0 {
			fmt.Fprintf(&b, "  tests %s\n", strings.Join(j.Tested, " "))
		}
		if w := j.Write; w != nil {
			fmt.Fprintf(&b, "  %ss %s in %s\n", j.Verb, strings.Join(w.Columns, " "), strings.Join(j.Tables, " "))
			for _, more := range []struct {
				is   bool
				what string
			}{{w.AnyRow, "of anybody"}, {w.Passes, "and may pass over"}, {w.Quiet && !w.AnyRow, "quietly"}} {
				if more.is {
					fmt.Fprintf(&b, "  %s\n", more.what)
				}
			}
			for _, one := range j.Carrying() {
				fmt.Fprintf(&b, "  carried on to anybody in %s: %s\n", strings.Join(one.Tables, " "), strings.Join(one.Write.Columns, " "))
			}
			if len(w.Reads) > 0 {
				fmt.Fprintf(&b, "  tells of %s\n", strings.Join(w.Reads, " "))
			}
			if w.Copy != nil {
				fmt.Fprintf(&b, "  field %d of each line\n", w.Copy.Field)
			}
		}
	}
	return b.String()
}

// TestJudge runs the golden files: each block is a statement, a line of
// dashes, and what is judged. After a change that is meant, run with -update
// and read the difference.
func TestJudge(t *testing.T) {
	c := loaded(t)
	files, _ := filepath.Glob("testdata/*.txt")
	if len(files) == 0 {
		t.Fatal("no golden files")
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			for _, block := range strings.Split(string(text), "\n\n") {
				block = strings.Trim(block, "\n")
				if block == "" {
					continue
				}
				if strings.HasPrefix(block, "#") {
					out.WriteString(block + "\n\n")
					continue
				}
				sql, want, _ := strings.Cut(block, "\n----\n")
				var got strings.Builder
				statements, err := stmt.Analyse(sql)
				if err != nil {
					fmt.Fprintf(&got, "error: %v\n", err)
				}
				for i := range statements {
					j := c.JudgeAs(&statements[i], "postgres")
					got.WriteString(describe(c, j))
					if (j.Kind == catalog.Opaque || j.Kind == catalog.Denied) && (j.Message == "" || j.SQLState == "") {
						t.Errorf("%s\nno message or SQLSTATE", sql)
					}
				}
				if !*update && strings.TrimSpace(want) != strings.TrimSpace(got.String()) {
					t.Errorf("%s\ngot:\n%swant:\n%s", sql, got.String(), want)
				}
				fmt.Fprintf(&out, "%s\n----\n%s\n", sql, got.String())
			}
			if *update {
				if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}
