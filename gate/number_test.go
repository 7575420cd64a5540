package gate

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sekisho/catalog"
)

func backendNumber(t *testing.T, c *pgx.Conn) (pid uint32) {
	t.Helper()
	if err := c.QueryRow(context.Background(), "select pg_backend_pid()").Scan(&pid); err != nil {
		t.Fatal(err)
	}
	return pid
}

// Drivers take the process id of their cancel key for that of the server's
// process: they end each other by it, and know their own notifications by it.
func TestProcessNumbers(t *testing.T) {
	ctx := context.Background()
	h := newHouse(t, func(o *options) { o.gate.Limits.AtOnce, o.catalog = 2, catalog.Config{} })
	h.connect("sato").Close(ctx) // what the server says at the start is known from now on
	eventually(t, "it has left", func() bool { return h.gate.early.Load() == 0 })

	one, two, three := h.connect("sato"), h.connect("sato"), h.connect("sato")
	for _, c := range []*pgx.Conn{one, two} {
		if told, is := c.PgConn().PID(), backendNumber(t, c); told != is {
			t.Errorf("a client was told number %d, and the server says %d", told, is)
		}
	}
	if told, is := three.PgConn().PID(), backendNumber(t, three); told&aboveServers == 0 {
		t.Errorf("the third was told %d, and the server says %d: that could be another's", told, is)
	}

	for _, text := range []string{"listen news", "notify news"} {
		if _, err := one.Exec(ctx, text); err != nil {
			t.Fatal(err)
		}
	}
	n, err := one.WaitForNotification(ctx)
	if err != nil || n.PID != one.PgConn().PID() {
		t.Errorf("its own notification comes from %+v, %v", n, err)
	}

	for _, c := range []*pgx.Conn{one, three} { // under either number a cancel finds its way
		failed := make(chan error)
		go func() {
			_, err := c.Exec(ctx, "select pg_sleep(60)")
			failed <- err
		}()
		var canceled error
		eventually(t, "the statement is cancelled", func() bool {
			c.PgConn().CancelRequest(ctx)
			select {
			case canceled = <-failed:
				return true
			case <-time.After(100 * time.Millisecond):
				return false
			}
		})
		if sqlstate(canceled) != "57014" {
			t.Errorf("cancelled: %v", canceled)
		}
	}

	var ended bool
	if err := one.QueryRow(ctx, "select pg_terminate_backend($1)", int32(two.PgConn().PID())).Scan(&ended); err != nil || !ended {
		t.Fatalf("ended: %t, %v", ended, err)
	}
	if _, err := two.Exec(ctx, "select 1"); err == nil {
		t.Error("it was ended, and goes on")
	}

	// Whoever leaves makes room.
	eventually(t, "another client is told the server's number", func() bool {
		c := h.connect("sato")
		defer c.Close(ctx)
		return c.PgConn().PID() == backendNumber(t, c)
	})
}
