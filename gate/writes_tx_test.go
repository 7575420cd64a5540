package gate

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"sekisho"
)

func TestWritesInTransactionsAndPipelines(t *testing.T) {
	h := newWritingHouse(t, "")
	ctx := context.Background()
	conn := h.connect("sato")
	tx, err := conn.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if _, err := tx.Exec(ctx, "update crm.member set city = $2 where member_no = $1", 1010+i, "Naha"); err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	batch := &pgx.Batch{}
	for i := range 60 {
		batch.Queue("update crm.member set city = $2 where member_no = $1", 1101+i, "Naha")
	}
	batch.Queue("select count(*) from crm.airport")
	if err := conn.SendBatch(ctx, batch).Close(); err != nil {
		t.Fatal(err)
	}
	// An error in a batch undoes what came before it.
	batch = &pgx.Batch{}
	batch.Queue("update crm.member set city = 'Otaru' where member_no = 1200")
	batch.Queue("insert into crm.airport values ('HND', 'again')")
	if err := conn.SendBatch(ctx, batch).Close(); sqlstate(err) != "23505" {
		t.Errorf("a batch that fails: %v", err)
	}
	// So it does in one text, which is one transaction.
	if out := h.psql("sato", "update crm.member set city = 'Otaru' where member_no = 1201\\; select 1/0"); !strings.Contains(out, "division by zero") {
		t.Errorf("a text that fails: %q", out)
	}
	if out := h.psql("sato", "select code from crm.airport where code = 'HND'\\; update crm.member set city = 'Otaru' where member_no = 1202 returning member_no\\; select 1"); out != "HND\n1202\n1\n" {
		t.Errorf("a text of several statements: %q", out)
	}
	if out := h.psql("sato", "begin\\; update crm.member set city = 'Otaru' where member_no = 1203\\; rollback\\; update crm.member set city = 'Otaru' where member_no = 1204"); out != "" {
		t.Errorf("a text with a transaction: %q", out)
	}
	if out := h.direct("select count(*) filter (where city = 'Naha'), string_agg(member_no::text, ' ' order by member_no) filter (where city = 'Otaru') from crm.member"); out != "63|1202 1204\n" {
		t.Errorf("the database holds %q", out)
	}
	h.stop()
	named := map[string]bool{}
	for _, a := range h.accounts() {
		if a.verb == sekisho.Update && a.class == sekisho.Exact {
			for _, k := range a.keys {
				named[k] = true
			}
		}
	}
	for _, k := range []string{"1010", "1012", "1101", "1160", "1200", "1201", "1202", "1203", "1204"} {
		if !named[k] {
			t.Errorf("nobody says that the record of %s may have been changed", k)
		}
	}
}

// writers are how clients send a write.
var writers = map[string]func(context.Context, *pgx.Conn, string) error{
	"simple": func(ctx context.Context, conn *pgx.Conn, sql string) error {
		_, err := conn.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol)
		return err
	},
	"prepared": func(ctx context.Context, conn *pgx.Conn, sql string) error {
		_, err := conn.Exec(ctx, sql)
		return err
	},
	"a batch": func(ctx context.Context, conn *pgx.Conn, sql string) error {
		b := &pgx.Batch{}
		b.Queue("insert into crm.airport values ('KIX', 'Kansai') on conflict do nothing")
		b.Queue(sql)
		b.Queue("update crm.airport set name = 'Osaka' where code = 'KIX'")
		return conn.SendBatch(ctx, b).Close()
	},
	"a transaction": func(ctx context.Context, conn *pgx.Conn, sql string) error {
		return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, sql)
			return err
		})
	},
	"a copy": func(ctx context.Context, conn *pgx.Conn, _ string) error {
		_, err := conn.PgConn().CopyFrom(ctx, strings.NewReader("6001\tNara\n"), "copy crm.member (member_no, city) from stdin")
		return err
	},
}

// A write whose entries the ledger refuses is not in the database either.
func TestAWriteThatCannotBeRecordedIsRolledBack(t *testing.T) {
	for name, way := range writers {
		t.Run(name, func(t *testing.T) {
			d := &faulty{}
			h := newWritingHouse(t, "", withDisk(d, 16<<10))
			ctx := context.Background()
			conn := h.connect("sato")
			if err := way(ctx, conn, "update crm.member set city = 'Kobe' where member_no = 1007"); err != nil {
				t.Fatal(err)
			}
			cluster.SQL(ctx, h.dbname, "delete from crm.airport where code = 'KIX'; delete from crm.member where member_no = 6001")
			before := h.direct("select count(*) filter (where city = 'Kobe'), count(*) filter (where city = 'Nara') from crm.member; select * from crm.airport order by code")
			d.broken.Store(true)
			err := way(ctx, conn, "update crm.member set city = 'Nara' where member_no = 1007")
			if code := sqlstate(err); code != "53100" {
				t.Errorf("the client reads %v", err)
			}
			if after := h.direct("select count(*) filter (where city = 'Kobe'), count(*) filter (where city = 'Nara') from crm.member; select * from crm.airport order by code"); after != before {
				t.Errorf("the database holds\n%s and not\n%s", after, before)
			}
			if _, err := conn.Exec(ctx, "update crm.airport set name = 'Itami' where code = 'ITM'"); err != nil {
				t.Errorf("what is about nobody: %v", err)
			}
		})
	}
}

// While the disk has not answered, no other session can see the change.
func TestAWriteIsNotSeenBeforeItIsRecorded(t *testing.T) {
	for name, way := range writers {
		t.Run(name, func(t *testing.T) {
			d := &faulty{}
			h := newWritingHouse(t, "", withDisk(d, 64<<10))
			ctx := context.Background()
			conn := h.connect("sato")
			if err := way(ctx, conn, "update crm.member set city = 'Kobe' where member_no = 1007"); err != nil {
				t.Fatal(err)
			}
			cluster.SQL(ctx, h.dbname, "delete from crm.member where member_no = 6001")
			const look = "select city from crm.member where member_no in (1007, 6001) order by city"
			before := h.direct(look)
			until := make(chan struct{})
			d.hangs.Store(&until)
			done := make(chan error, 1)
			go func() { done <- way(ctx, conn, "update crm.member set city = 'Nara' where member_no = 1007") }()
			eventually(t, "the disk is asked", func() bool { return d.kept.Load() > 0 })
			if seen := h.direct(look); seen != before {
				t.Errorf("committed and not recorded: %q", seen)
			}
			select {
			case err := <-done:
				t.Errorf("the client was answered: %v", err)
			default:
			}
			d.hangs.Store(nil)
			close(until)
			if err := <-done; err != nil {
				t.Error(err)
			}
			if seen := h.direct(look); !strings.Contains(seen, "Nara") {
				t.Errorf("the change is not there: %q", seen)
			}
		})
	}
}
