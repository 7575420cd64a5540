package gate

import (
	"slices"
	"strings"
	"testing"
)

func TestLocksOfProtectedTablesAreRecorded(t *testing.T) {
	h := newWritingHouse(t, "")
	for _, c := range []struct {
		script string
		tells  []string
	}{
		{"Q begin; lock table crm.member in access share mode; rollback", []string{"read crm.member: "}},
		{"Q begin; lock crm.airport; rollback", nil},
		{"Q begin\nP \"\" lock crm.member, crm.textual in exclusive mode\nB \"\" \"\" - -\nE \"\" 0\nS\nQ rollback", []string{"update crm.member,crm.textual: ", "update crm.member,crm.textual: "}},
	} {
		before := len(h.wrote())
		if got := h.raw("sato").run(c.script); !strings.Contains(got, "LOCK TABLE") || strings.Contains(got, "ERROR") {
			t.Errorf("%s: %s", c.script, got)
		}
		if got := h.wrote()[before:]; !slices.Equal(got, c.tells) {
			t.Errorf("%s tells\n  %s\nand not\n  %s", c.script, strings.Join(got, "\n  "), strings.Join(c.tells, "\n  "))
		}
	}
	reads := newHouse(t)
	if got := reads.psql("sato", "begin; lock crm.member in exclusive mode; rollback"); !strings.Contains(got, "does not write") {
		t.Errorf("a role that only reads locks out the others: %s", got)
	}
	if got := reads.psql("watched", "begin; lock crm.member in access share mode; rollback"); got != "" {
		t.Errorf("observed: %s", got)
	}
	if got := reads.wrote(); !slices.Equal(got, []string{"read crm.member: "}) {
		t.Errorf("observed: %v", got)
	}
}
