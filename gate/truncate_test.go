package gate

import (
	"strings"
	"testing"
)

// TRUNCATE … CASCADE empties whatever refers to a table, however the foreign key
// is meant: it may be all of a protected one.
func TestTruncateCascade(t *testing.T) {
	h := newWritingHouse(t, "create table crm.kind (id int primary key); create table crm.sort (id int primary key references crm.kind); create table crm.alone (id int primary key); alter table crm.passport add column sort int references crm.sort")
	for _, c := range []struct {
		sql   string
		tells []string
	}{
		{"truncate crm.alone cascade", nil},
		{"truncate crm.alone", nil},
		{"truncate crm.kind, crm.alone cascade", []string{"delete any-row crm.passport: "}},
		{"truncate crm.member cascade", []string{"delete any-row crm.member,crm.passport: "}},
		{"truncate crm.passport cascade", []string{"delete any-row crm.passport: "}},
	} {
		before := len(h.wrote())
		if got := h.psql("sato", c.sql); strings.Contains(got, "ERROR") {
			t.Errorf("%s: %s", c.sql, got)
		}
		if got := h.wrote()[before:]; strings.Join(got, "\n") != strings.Join(c.tells, "\n") {
			t.Errorf("%s tells %q and not %q", c.sql, got, c.tells)
		}
	}
	reads := newHouse(t)
	reads.asOwner("create table crm.kind (id int primary key); alter table crm.passport add column kind int references crm.kind; grant all on crm.kind, crm.passport to staff")
	if got := reads.psql("sato", "truncate crm.kind cascade"); !strings.Contains(got, "does not write") {
		t.Errorf("a role that only reads empties a protected table: %s", got)
	}
	if got := reads.direct("select count(*) > 0 from crm.passport"); strings.TrimSpace(got) != "t" {
		t.Errorf("it is empty: %s", got)
	}
}
