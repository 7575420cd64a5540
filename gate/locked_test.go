package gate

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Whoever changes a view, fills it anew or empties what it is made of locks it for
// as long as that takes. Who reads it then waits, as at the server; but what the
// gate has not seen the definition of, or not as it is, it does not pass.
func TestViewsThatAreLocked(t *testing.T) {
	h := newHouse(t)
	h.asOwner(`
		create materialized view crm.addresses as select m.member_no as no, m.email from crm.member m;
		create view crm.mail as select m.member_no as no, m.email from crm.member m;
		create view crm.mail_again as select v.no, v.email from crm.mail v;
		create domain crm.town as text;
		create view crm.towns as select m.member_no as no, m.city::crm.town as email from crm.member m;
		create table crm.kept as select member_no, city from crm.member;
		create view crm.keepers as select m.member_no as no, m.email from crm.member m join crm.kept k on k.member_no = m.member_no;
		create function crm.shown(t text) returns text language plpgsql as $$begin return t; end$$;
		grant usage, create on schema crm to staff;
		grant all on all tables in schema crm to staff;
		alter materialized view crm.addresses owner to staff;
		alter view crm.mail owner to staff;
		alter view crm.keepers owner to staff;
		alter view crm.towns owner to staff`)
	ctx := context.Background()
	owner, err := pgx.Connect(ctx, h.directDSN())
	if err != nil {
		t.Fatal(err)
	}
	defer owner.Close(ctx)
	// With the lock, and what is changed beside it, the gate looks at the catalog.
	locked := func(by, meanwhile string, then func()) {
		t.Helper()
		for _, sql := range []string{"begin", by} {
			if _, err := owner.Exec(ctx, sql); err != nil {
				t.Fatal(err)
			}
		}
		if meanwhile != "" {
			h.asOwner(meanwhile)
		}
		if err := h.gate.reload(); err != nil {
			t.Fatal(err)
		}
		then()
		if _, err := owner.Exec(ctx, "rollback"); err != nil {
			t.Fatal(err)
		}
	}
	waits := func(sql, tells string) func() {
		return func() {
			t.Helper()
			before := len(h.wrote())
			got := make(chan string, 1)
			go func() { got <- h.psql("sato", sql) }()
			h.until("the statement waits for the lock", func() bool {
				return len(got) > 0 || strings.TrimSpace(h.direct("select count(*) from pg_locks where not granted and mode = 'AccessShareLock' and database = (select oid from pg_database where datname = current_database())")) != "0"
			})
			if len(got) > 0 {
				t.Errorf("%s: %s", sql, <-got)
				return
			}
			if _, err := owner.Exec(ctx, "commit"); err != nil {
				t.Fatal(err)
			}
			if got := <-got; got != "m3@example.jp\n" {
				t.Errorf("%s: %s", sql, got)
			}
			if got := h.wrote()[before:]; !slices.Equal(got, []string{tells}) {
				t.Errorf("%s tells %q", sql, got)
			}
		}
	}
	refused := func(sql string) func() {
		return func() {
			t.Helper()
			// What is passed in spite of all waits for the lock.
			if got := h.psql("sato", "set lock_timeout = '5s';\n"+sql); !strings.Contains(got, "somebody has locked this view") || !strings.Contains(got, "HINT:  Try again") {
				t.Errorf("%s: %s", sql, got)
			}
		}
	}
	passes := func(sql, want string) {
		t.Helper()
		if err := h.gate.reload(); err != nil {
			t.Fatal(err)
		}
		if got := h.psql("sato", sql); got != want {
			t.Errorf("%s: %s", sql, got)
		}
	}
	const ofCopy, ofView, ofAgain, ofKeepers = "select email from crm.addresses where no = 1003", "select email from crm.mail where no = 1003", "select email from crm.mail_again where no = 1003", "select email from crm.keepers where no = 1003"

	passes(ofCopy, "m3@example.jp\n")
	locked("refresh materialized view crm.addresses", "", waits(ofCopy, "read crm.member: 1003"))
	locked("alter view crm.mail owner to staff", "", waits(ofAgain, "read crm.member: 1003"))
	locked("lock table crm.member in access exclusive mode", "", waits(ofView, "read crm.member: 1003"))
	passes(ofView, "m3@example.jp\n")

	// What it is made of has other columns or another name now, its text names a type
	// that may have, it says something else than before, or was never seen.
	locked("alter view crm.mail owner to staff", "alter table crm.member add column note text", refused(ofView))
	passes(ofView, "m3@example.jp\n")
	locked("alter view crm.keepers owner to staff", "alter table crm.kept rename to put", refused(ofKeepers))
	passes(ofKeepers, "m3@example.jp\n")
	locked("alter view crm.towns owner to staff", "", refused("select email from crm.towns where no = 1003"))
	h.asOwner("create or replace view crm.mail as select m.member_no as no, crm.shown(m.email) as email from crm.member m")
	locked("alter view crm.mail owner to staff", "", refused(ofView))
	h.asOwner("create materialized view crm.late as select m.member_no as no, m.email from crm.member m; alter materialized view crm.late owner to staff")
	locked("alter materialized view crm.late owner to staff", "", refused("select email from crm.late where no = 1003"))
	passes("select email from crm.late where no = 1003", "m3@example.jp\n")
}
