package survey_test

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"sekisho/catalog"
	"sekisho/demo"
	"sekisho/survey"
)

func config(t *testing.T, text []byte) (c catalog.Config) {
	t.Helper()
	if err := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict()).Decode(&c); err != nil {
		t.Fatal(yaml.FormatError(err, false, true))
	}
	return c
}

type tableOf = catalog.Table

// equal compares tables that stand in the same order.
func equal(a, b []catalog.Table) bool {
	return slices.EqualFunc(a, b, func(a, b catalog.Table) bool {
		return a.Name == b.Name && a.Subject == b.Subject && a.Key == b.Key && maps.Equal(a.Columns, b.Columns)
	})
}

// flat writes a catalog as schema.table.column = category.
func flat(c catalog.Config) map[string]string {
	all := map[string]string{}
	for _, t := range c.Tables {
		for column, category := range t.Columns {
			all[t.Name+"."+column] = category
		}
	}
	return all
}

// A score compares what was proposed with what is true. Unclassified is no
// answer: it costs recall, and never precision.
type score struct {
	answered, right, truth int
	wrong                  []string
}

func judge(got, truth map[string]string) (s score) {
	for _, column := range slices.Sorted(maps.Keys(truth)) {
		want, is := truth[column], got[column]
		if want == "public" {
			if is != "" && is != "unclassified" {
				s.answered++
				s.wrong = append(s.wrong, fmt.Sprintf("%s is public, was taken for %s", column, is))
			}
			continue
		}
		s.truth++
		if is != "" && is != "unclassified" {
			s.answered++
		}
		if is == want {
			s.right++
			continue
		}
		s.wrong = append(s.wrong, fmt.Sprintf("%s is %s, was taken for %q", column, want, is))
	}
	for _, column := range slices.Sorted(maps.Keys(got)) {
		if _, known := truth[column]; !known && got[column] != "unclassified" {
			s.answered++
			s.wrong = append(s.wrong, fmt.Sprintf("%s is nobody's, was taken for %s", column, got[column]))
		}
	}
	return s
}

func (s score) String() string {
	return fmt.Sprintf("precision %.3f, recall %.3f of %d columns", float64(s.right)/float64(max(s.answered, 1)), float64(s.right)/float64(s.truth), s.truth)
}

// grave: never missed, whatever a column is called.
var grave = []string{"credential", "payment", "travel_document"}

// check prints how good a proposal is. What it holds it to is the promise: no
// column with personal data is left unprotected, the tables lead to the right
// people, and in a store whose values or names can be understood nothing grave
// is left as a question.
func check(t *testing.T, p *survey.Plan, truth catalog.Config, understandable bool) {
	t.Helper()
	c := p.Catalog()
	if err := c.Check(); err != nil {
		t.Fatalf("the proposal is no catalog: %v", err)
	}
	s := judge(flat(c), flat(truth))
	t.Logf("%s\n%s", s, strings.Join(s.wrong, "\n"))
	got := flat(c)
	for column, want := range flat(truth) {
		if understandable && slices.Contains(grave, want) && got[column] != want {
			t.Errorf("%s holds %s, which is never to be missed; it was taken for %q", column, want, got[column])
		}
		if want != "public" && got[column] == "" {
			t.Errorf("%s holds %s, and its table would not be protected", column, want)
		}
	}
	keys := func(c catalog.Config) (list []string) {
		subjects := map[string]string{}
		for _, s := range c.Subjects {
			subjects[s.Name] = s.Table + "." + s.Key
		}
		for _, t := range c.Tables {
			list = append(list, fmt.Sprintf("%s by %s of %s", t.Name, t.Key, subjects[t.Subject]))
		}
		slices.Sort(list)
		return list
	}
	if got, want := keys(c), keys(truth); !slices.Equal(got, want) {
		t.Errorf("tables and whose they are:\n got %s\nwant %s", strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
}

// The demo's store, whose catalog somebody wrote by hand.
func TestDemoStore(t *testing.T) {
	check(t, propose(t, demo.Database), config(t, []byte(demo.CatalogYAML)), true)
}

// A shop whose columns are called data1, or in Japanese, or what they are not.
func TestMisleadingNames(t *testing.T) {
	truth, err := os.ReadFile("testdata/shop.yaml")
	if err != nil {
		t.Fatal(err)
	}
	check(t, propose(t, "shop"), config(t, truth), true)
}

// A host system's tables: abbreviated, without foreign keys, dates as digits.
func TestHostSystem(t *testing.T) {
	truth, err := os.ReadFile("testdata/hotel.yaml")
	if err != nil {
		t.Fatal(err)
	}
	check(t, propose(t, "hotel"), config(t, truth), false)
	// What its values show is found, whatever it is called.
	got := flat(propose(t, "hotel").Catalog())
	for column, want := range map[string]string{"CRD.CRD_BNG": "payment", "NINSHO.HSH": "credential", "KAIIN_MST.PPT_NO": "travel_document"} {
		if got["public."+column] != want {
			t.Errorf("%s is taken for %q, its values show %s", column, got["public."+column], want)
		}
	}
}
