package gate

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sekisho"
	"sekisho/disk"
	"sekisho/vault"
)

// Every change that the database has committed is in the ledger, whenever the
// gate dies. Each change says in its value in which life of the gate it was
// made, so that it is looked for in that life's entries.
func TestKilledWhileWriting(t *testing.T) {
	const lives = 40
	h := newWritingHouse(t, "")
	h.lends()
	ctx := context.Background()
	var committed strings.Builder
	rng := rand.New(rand.NewPCG(2, uint64(time.Now().UnixNano())))
	for life := 1; life <= lives; life++ {
		cmd := h.begins(life)
		var clients sync.WaitGroup
		writing := make(chan bool, 8)
		for c := range 4 {
			seed := rng.Uint64()
			clients.Go(func() { h.changes(life, c, seed, writing) })
		}
		<-writing
		time.Sleep(time.Duration(rng.IntN(40_000)) * time.Microsecond)
		cmd.Process.Kill()
		cmd.Wait()
		clients.Wait()
		eventually(t, "the server ends what the dead gate had begun", func() bool {
			out, err := cluster.SQL(ctx, h.dbname, "select count(*) from pg_stat_activity where usename = 'staff' and datname = current_database()")
			return err == nil && strings.TrimSpace(out) == "0"
		})
		out, err := cluster.SQL(ctx, h.dbname, fmt.Sprintf("select member_no || '|%d' from crm.member where city = 'life %d'", life, life))
		if err != nil {
			t.Fatal(err)
		}
		committed.WriteString(out + "\n")
	}
	v, err := vault.Open(vault.Config{Dir: h.dir + "/vault", FS: disk.OS{}, Key: [32]byte{1}})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	named, first := map[string]bool{}, uint64(0)
	shapes := map[uint64]sekisho.Verb{}
	for _, e := range h.entries() {
		switch b := e.Body.(type) {
		case *sekisho.LedgerOpened:
			if first == 0 {
				first = e.ID.Epoch + 1
			}
		case *sekisho.Shape:
			shapes[e.ID.Seq] = b.Verb
		case *sekisho.Access:
			for _, o := range b.Subjects {
				if k, ok := v.Space("member").Key(o); ok && shapes[b.Shape] != sekisho.Read {
					named[fmt.Sprintf("%s|%d", k, e.ID.Epoch-first+1)] = true
				}
			}
		}
	}
	changes := 0
	for line := range strings.Lines(committed.String()) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if changes++; !named[line] {
			t.Errorf("the database holds a change (member|life) %s that no entry names", line)
		}
	}
	t.Logf("%d kills, %d changes in the database, each in the ledger", lives, changes)
	if changes < lives {
		t.Errorf("only %d changes were made in all", changes)
	}
}

// changes is one client's life: it writes to members at random, by one of the
// ways that clients have, until the gate dies.
func (h *house) changes(life, number int, seed uint64, writing chan<- bool) {
	ctx := context.Background()
	said := func() {
		select {
		case writing <- true:
		default:
		}
	}
	defer said()
	conn, err := pgx.Connect(ctx, h.dsn("sato"))
	if err != nil {
		return
	}
	defer conn.Close(ctx)
	rng := rand.New(rand.NewPCG(seed, 0))
	for i := 0; ; i++ {
		no := 1001 + number*200 + rng.IntN(190)
		sql := fmt.Sprintf("update crm.member set city = 'life %d' where member_no between %d and %d", life, no, no+rng.IntN(5))
		switch number {
		case 0:
			_, err = conn.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol)
		case 1:
			_, err = conn.Exec(ctx, "update crm.member set city = $2 where member_no = $1", no, fmt.Sprintf("life %d", life))
		case 2:
			err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
				if _, err := tx.Exec(ctx, sql); err != nil {
					return err
				}
				_, err := tx.Exec(ctx, "update crm.member set city = $2 where member_no = $1", no, fmt.Sprintf("life %d", life))
				return err
			})
		case 3:
			from := 10_000 + life*1000 + i*3
			lines := fmt.Sprintf("%d\tlife %d\n%d\tlife %d\n%d\tlife %d\n", from, life, from+1, life, from+2, life)
			_, err = conn.PgConn().CopyFrom(ctx, strings.NewReader(lines), "copy crm.member (member_no, city) from stdin")
		}
		if err != nil {
			return
		}
		said()
	}
}
