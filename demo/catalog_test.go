package demo_test

import (
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"sekisho/catalog"
	"sekisho/demo"
)

// Every column of the store about members is classified, and nothing that
// does not exist is.
func TestCatalogMatchesTheStore(t *testing.T) {
	t.Parallel()
	var config catalog.Config
	if err := yaml.UnmarshalWithOptions([]byte(demo.CatalogYAML), &config, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	if err := config.Check(); err != nil {
		t.Fatal(err)
	}
	c := start(t, t.TempDir())
	fill(t, c, 50, seed)

	inStore := map[string]bool{}
	for _, column := range strings.Fields(store(t, c, `select format('%s.%s.%s', n.nspname, r.relname, a.attname)
		from pg_attribute a join pg_class r on r.oid = a.attrelid join pg_namespace n on n.oid = r.relnamespace
		where n.nspname = 'crm' and r.relkind = 'r' and a.attnum > 0
		and exists (select from pg_attribute k where k.attrelid = r.oid and k.attname = 'member_no')`)) {
		inStore[column] = true
	}
	listed := map[string]bool{}
	for _, table := range config.Tables {
		for column := range table.Columns {
			listed[table.Name+"."+column] = true
		}
	}
	for column := range inStore {
		if !listed[column] {
			t.Errorf("%s is in the store but not in the catalog", column)
		}
	}
	for column := range listed {
		if !inStore[column] {
			t.Errorf("%s is in the catalog but not in the store", column)
		}
	}

	roster := config.Subjects[0].Roster
	rows, err := as(t, c, demo.Reader, "select count(*), count(distinct member_no) from ("+roster.Query+") r")
	if err != nil || rows != "50|50" {
		t.Errorf("the roster has %s rows and members, want 50|50: %v", rows, err)
	}
	for _, named := range []map[string]string{roster.Labels, roster.Dates, roster.Match} {
		for _, column := range named {
			if out, err := as(t, c, demo.Reader, "select "+column+" from ("+roster.Query+") r"); err != nil {
				t.Errorf("the roster's column %s: %s", column, out)
			}
		}
	}
}
