package gate

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"sekisho/catalog"
)

// A reader is sekisho's own connection to the database, for the catalog and
// the roster. Its search path holds nothing that a user could have made, and
// its transactions cannot write.
type reader struct {
	conn *pgconn.PgConn
	over func()            // to be called when it is closed
	kept map[string]string // names of what is asked often, by text
}

func (g *Gate) reader(ctx context.Context) (*reader, error) {
	return g.readerAs(ctx, g.conf.Upstream.Reader)
}

// readerAs is a reader with another login.
func (g *Gate) readerAs(ctx context.Context, login Login) (*reader, error) {
	conf, err := g.upstreamConfig(login)
	if err != nil {
		return nil, err
	}
	for k, v := range map[string]string{
		"application_name": "sekisho", "search_path": "pg_catalog", "default_transaction_read_only": "on",
		"client_encoding": "UTF8", "datestyle": "ISO, YMD", "intervalstyle": "postgres", "extra_float_digits": "1",
		"lock_timeout": "5s", // nobody's lock keeps the gate from looking again
	} {
		conf.RuntimeParams[k] = v
	}
	conn, err := g.dial(ctx, conf)
	if err != nil {
		return nil, fmt.Errorf("connecting upstream as the reader %s: %w", login.User, err)
	}
	return &reader{conn: conn, over: func() { g.backends.over(conn.PID()) }}, nil
}

func (r *reader) close() {
	ctx, stop := context.WithTimeout(context.Background(), 2*time.Second)
	defer stop()
	r.conn.Close(ctx)
	r.over()
}

// query is a catalog.Query.
func (r *reader) query(ctx context.Context, sql string, args ...string) (out [][]*string, err error) {
	err = r.each(ctx, sql, args, into(&out))
	return out, err
}

// into adds each row to out.
func into(out *[][]*string) func(row []*string) error {
	return func(row []*string) error {
		*out = append(*out, slices.Clone(row))
		return nil
	}
}

// each calls f with each row, which is valid until it returns; its values stay.
func (r *reader) each(ctx context.Context, sql string, args []string, f func(row []*string) error) error {
	params, types := texts(args)
	return taken(r.conn.ExecParams(ctx, sql, params, types, nil, nil), f)
}

// often is query for what is asked again and again: the server keeps its plan,
// which is the same for all args.
func (r *reader) often(ctx context.Context, sql string, args ...string) (out [][]*string, err error) {
	params, types := texts(args)
	name, ok := r.kept[sql]
	if !ok {
		if len(r.kept) == 0 {
			if _, err := r.conn.Exec(ctx, "SET plan_cache_mode = force_generic_plan").ReadAll(); err != nil {
				return nil, err
			}
			r.kept = map[string]string{}
		}
		name = "often" + strconv.Itoa(len(r.kept))
		if _, err := r.conn.Prepare(ctx, name, sql, types); err != nil {
			return nil, err
		}
		r.kept[sql] = name
	}
	err = taken(r.conn.ExecPrepared(ctx, name, params, nil, nil), into(&out))
	return out, err
}

// texts are args as parameters of type text.
func texts(args []string) (params [][]byte, types []uint32) {
	params, types = make([][]byte, len(args)), make([]uint32, len(args))
	for i, a := range args {
		params[i], types[i] = []byte(a), 25
	}
	return params, types
}

// taken calls f with each row of an answer.
func taken(res *pgconn.ResultReader, f func(row []*string) error) error {
	var failed error
	var row []*string
	for res.NextRow() {
		if failed != nil {
			continue
		}
		row = row[:0]
		for _, v := range res.Values() {
			if v == nil {
				row = append(row, nil)
				continue
			}
			s := string(v)
			row = append(row, &s)
		}
		failed = f(row)
	}
	if _, err := res.Close(); err != nil {
		return err
	}
	return failed
}

// refresh loads the database's catalog anew. Plans made by the old one are
// made again when they are next used.
func (g *Gate) refresh(ctx context.Context) error {
	r, err := g.reader(ctx)
	if err != nil {
		return err
	}
	defer r.close()
	cat, err := catalog.Load(ctx, r.query, g.catalog)
	if err != nil {
		return err
	}
	if err := g.count(ctx, r, cat); err != nil {
		return err
	}
	g.plans.reset(cat)
	if nullable := cat.NullableKeys(); len(nullable) > 0 {
		g.log.Warn("key columns may be null: a row without a key counts as anybody's; make them NOT NULL", "columns", nullable)
	}
	return nil
}

// population is how many people each subject has, as the database last said.
type population struct {
	mu sync.Mutex
	by map[string]uint64
}

// populationOf is how many people an access to any row of a subject's tables
// can reach: as many as the database says there are, or have ever been seen.
func (g *Gate) populationOf(space string) uint64 {
	g.population.mu.Lock()
	defer g.population.mu.Unlock()
	return max(g.population.by[space], uint64(g.vault.Space(space).Len()))
}

// count asks the database how many people there are.
func (g *Gate) count(ctx context.Context, r *reader, cat *catalog.Catalog) error {
	by := map[string]uint64{}
	for _, subject := range cat.Subjects() {
		sql, ok := cat.Population(subject)
		if !ok {
			continue
		}
		rows, err := r.query(ctx, sql)
		if err != nil {
			return fmt.Errorf("counting the people of subject %s: %w", subject, err)
		}
		if len(rows) == 1 && len(rows[0]) == 1 && rows[0][0] != nil {
			by[subject], _ = strconv.ParseUint(*rows[0][0], 10, 64)
		}
	}
	g.population.mu.Lock()
	defer g.population.mu.Unlock()
	g.population.by = by
	return nil
}

// countEvery is how often people are counted anew.
const countEvery = time.Hour

// keepFresh compares the database with the catalog again and again. While the
// database cannot be asked, the gate goes on with what it knows: clients cannot
// reach it either.
func (g *Gate) keepFresh(ctx context.Context) {
	tick := time.NewTicker(g.conf.Upstream.Refresh)
	defer tick.Stop()
	counted := time.Now()
	var r *reader
	defer func() {
		if r != nil {
			r.close()
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-g.plans.stale:
		}
		err := func() (err error) {
			if r == nil {
				if r, err = g.reader(ctx); err != nil {
					return err
				}
			}
			if time.Since(counted) > countEvery {
				if err := g.count(ctx, r, g.plans.catalog()); err != nil {
					return err
				}
				counted = time.Now()
			}
			fresh, err := g.plans.catalog().Fresh(ctx, r.query)
			if err != nil || fresh {
				return err
			}
			cat, err := g.plans.catalog().Again(ctx, r.query)
			if err != nil {
				return err
			}
			g.plans.reset(cat)
			g.log.Info("the database's catalog has changed; statements are judged anew")
			return nil
		}()
		if err != nil && ctx.Err() == nil {
			g.log.Warn("comparing the database's catalog", "error", err)
			g.templates.clear() // who comes next shall hear while connecting that the database is away
			if r != nil {
				r.close()
				r = nil
			}
		}
	}
}
