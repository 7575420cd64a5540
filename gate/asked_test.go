package gate

import (
	"slices"
	"strings"
	"testing"
)

// inOneText sends statements in one text, and gives their rows.
func inOneText(t *testing.T, h *house, sql string) (rows []string) {
	t.Helper()
	results, err := readAll(h.connect("sato").PgConn(), sql)
	if err != nil {
		t.Errorf("%s: %v", sql, err)
	}
	for _, r := range results {
		for _, row := range r.Rows {
			rows = append(rows, string(row[0]))
		}
	}
	return rows
}

// What is stated can be asked for, also when nothing is.
func TestWhatIsNotStatedIsEmpty(t *testing.T) {
	h := newHouse(t)
	for sql, want := range map[string][]string{
		"show sekisho.purpose": {""},
		"show sekisho.terminal; set sekisho.purpose = 'billing'; show sekisho.purpose; reset sekisho.purpose; show sekisho.purpose": {"", "billing", ""},
		"select current_setting('sekisho.purpose') = ''": {"t"},
	} {
		if got := inOneText(t, h, sql); !slices.Equal(got, want) {
			t.Errorf("%s: %q", sql, got)
		}
	}
}

// A name may be given and run in one text.
func TestGivenAndRunInOneText(t *testing.T) {
	h := newHouse(t)
	for sql, want := range map[string][]string{
		"prepare one as select 1 + $1::int; execute one(4)":                                                     {"5"},
		"prepare two as select name from crm.member where member_no = $1; execute two(1003); execute two(1004)": {"name3", "name4"},
		"begin; declare c cursor for select 7; fetch c; commit":                                                 {"7"},
	} {
		if got := inOneText(t, h, sql); !slices.Equal(got, want) {
			t.Errorf("%s: %q", sql, got)
		}
	}
	h.stop()
	named := ""
	for _, a := range h.accounts() {
		named += strings.Join(a.keys, " ") + ";"
	}
	if named != "1003;1004;" {
		t.Errorf("the ledger names %s", named)
	}
}
