package gate

import (
	"context"
	"errors"
	"strconv"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// A connection that the server shows already, and whose number the gate does not
// know yet, is the gate's all the same: who asks has to wait for it.
func TestBackendsWaitForConnections(t *testing.T) {
	h := newHouse(t)
	conf, err := h.gate.upstreamConfig(h.gate.conf.Upstream.Reader)
	if err != nil {
		t.Fatal(err)
	}
	shown, known := make(chan int32, 1), make(chan struct{})
	conf.AfterConnect = func(_ context.Context, c *pgconn.PgConn) error {
		shown <- int32(c.PID())
		<-known
		return nil
	}
	ended := make(chan error, 1)
	go func() {
		c, err := h.gate.dial(t.Context(), conf)
		if err == nil {
			err = c.Close(t.Context())
		}
		ended <- err
	}()
	pid := <-shown
	look := func() ([]int32, error) {
		out, err := cluster.SQL(t.Context(), "postgres", "select count(*) from pg_stat_activity where usename = 'reader' and pid = "+strconv.Itoa(int(pid)))
		if err == nil && out[0] != '1' {
			err = errors.New("the server does not show the connection")
		}
		return []int32{pid, 1}, err
	}

	hurry, stop := context.WithCancel(t.Context())
	stop()
	if own, err := h.gate.Backends(hurry, look); !errors.Is(err, context.Canceled) {
		t.Errorf("without waiting the gate's own are %v, %v", own, err)
	}
	own, err := h.gate.Backends(t.Context(), func() ([]int32, error) {
		defer close(known)
		return look()
	})
	if err != nil || !own[pid] || len(own) != 1 {
		t.Errorf("the gate's own are %v, %v: want %d alone", own, err, pid)
	}

	// Closed, it stays the gate's until a look does not find it any more; after
	// that the number may be anybody's.
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	h.gate.backends.over(uint32(pid))
	for _, step := range []struct {
		what string
		seen []int32
		want bool
	}{
		{"the server still shows it", []int32{pid}, true},
		{"and still", []int32{pid}, true},
		{"it is gone", nil, false},
		{"somebody else has its number", []int32{pid}, false},
	} {
		own, err := h.gate.Backends(t.Context(), func() ([]int32, error) { return step.seen, nil })
		if err != nil || own[pid] != step.want {
			t.Errorf("%s: %v, %v", step.what, own, err)
		}
	}
}
