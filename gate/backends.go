package gate

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/jackc/pgx/v5/pgconn"

	"sekisho/catalog"
)

// Which of the database's sessions are the gate's. Whoever looks for sessions
// that are not asks here, and must never be told of one of the gate's own; so
// the order of things counts, and no time does.

// mostEnded bounds what is kept while nobody looks.
const mostEnded = 1 << 16

// backends are the server's processes that work for the gate.
type backends struct {
	mu     sync.Mutex
	held   map[int32]bool
	ended  map[int32]bool         // let go of, and the server may not have seen it yet
	coming map[chan struct{}]bool // connections under way: the server may show them before their number is known here
	look   sync.Mutex             // one at a time
}

// dial connects upstream. Every connection of the gate's that can be seen as a
// session of the database begins here, and ends with over.
func (g *Gate) dial(ctx context.Context, conf *pgconn.Config) (*pgconn.PgConn, error) {
	b, here := &g.backends, make(chan struct{})
	b.mu.Lock()
	if b.coming == nil {
		b.held, b.ended, b.coming = map[int32]bool{}, map[int32]bool{}, map[chan struct{}]bool{}
	}
	b.coming[here] = true
	b.mu.Unlock()
	conn, err := pgconn.ConnectConfig(ctx, conf)
	b.mu.Lock()
	if err == nil {
		b.held[int32(conn.PID())] = true
		delete(b.ended, int32(conn.PID())) // the server has given the number anew
	}
	delete(b.coming, here)
	b.mu.Unlock()
	close(here)
	return conn, err
}

// over says that the gate has closed a connection, or is about to.
func (b *backends) over(pid uint32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.held[int32(pid)] {
		return
	}
	delete(b.held, int32(pid))
	if len(b.ended) >= mostEnded {
		clear(b.ended)
	}
	b.ended[int32(pid)] = true
}

// Backends calls look, which reads who is connected to the database and gives
// the process numbers that it saw. Of those, it returns the gate's own: each
// that the gate held at any time while look ran, also one that had just been
// made or closed. It waits for connections that were being made meanwhile.
//
// A process that the gate let go of stays its own until a look does not find it
// any more, for a server may go on working for a client that has left.
func (g *Gate) Backends(ctx context.Context, look func() (seen []int32, err error)) (own map[int32]bool, err error) {
	b := &g.backends
	b.look.Lock()
	defer b.look.Unlock()
	b.mu.Lock()
	before := slices.Collect(maps.Keys(b.ended))
	b.mu.Unlock()
	seen, err := look()
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	coming := slices.Collect(maps.Keys(b.coming))
	b.mu.Unlock()
	for _, here := range coming {
		select {
		case <-here:
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for connections to the database that are being made: %w", ctx.Err())
		}
	}
	own = map[int32]bool{}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, pid := range seen {
		if b.held[pid] || b.ended[pid] {
			own[pid] = true
		}
	}
	for _, pid := range before {
		if !own[pid] {
			delete(b.ended, pid)
		}
	}
	return own, nil
}

// Reading is the database as the gate's reader sees it.
type Reading struct {
	Query   catalog.Query // read-only
	Catalog *catalog.Catalog
	// Backend is the process number that the server gave this connection; the
	// server itself may say another, if something else than the server answers.
	Backend int32
}

// Read calls f with a connection of its own, which ends with f.
func (g *Gate) Read(ctx context.Context, f func(Reading) error) error {
	return g.ReadAs(ctx, g.conf.Upstream.Reader, f)
}

// ReadAs is Read with a login of its own, which may know less than the reader.
func (g *Gate) ReadAs(ctx context.Context, login Login, f func(Reading) error) error {
	r, err := g.readerAs(ctx, login)
	if err != nil {
		return err
	}
	defer r.close()
	return f(Reading{r.query, g.plans.catalog(), int32(r.conn.PID())})
}

// Logins are the database users that the gate connects as, sorted.
func (g *Gate) Logins() []string {
	list := []string{g.conf.Upstream.Reader.User}
	for _, r := range g.conf.Roles {
		list = append(list, r.User)
	}
	slices.Sort(list)
	return slices.Compact(list)
}
