package gate

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"

	"sekisho/act"
	"sekisho/catalog"
	"sekisho/stmt"
)

// The plans that are kept, and how the next one is made.

// planCache keeps plans. It forgets the older half when it is full.
type planCache struct {
	cat   atomic.Pointer[catalog.Catalog]
	stale chan struct{} // something may have changed the database's catalog

	mu       sync.RWMutex
	now, old map[planKey]*plan
}

type planKey struct {
	role, text string
	masks      act.Masks
}

const planCacheSize = 4096

// longestKept is the longest text that a plan is kept for: 8,192 of them are
// 128 MiB, and long ones seldom come twice.
const longestKept = 16 << 10

// mostJudged is how many bytes of texts are being read at once. A parse tree is
// some hundred times as large as its text.
const mostJudged = 4 << 20

// A room lets in so much at once. Who is too large for it goes in alone.
type room struct {
	mu     sync.Mutex
	size   int
	inside int
	left   sync.Cond
}

// enter waits until there is room for n, and gives the way out.
func (r *room) enter(n int) (leave func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.left.L = &r.mu
	for r.inside > 0 && r.inside+n > r.size {
		r.left.Wait()
	}
	r.inside += n
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.inside -= n
		r.left.Broadcast()
	}
}

func (c *planCache) catalog() *catalog.Catalog { return c.cat.Load() }

// reset starts again with a new snapshot.
func (c *planCache) reset(cat *catalog.Catalog) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cat.Store(cat)
	if c.stale == nil {
		c.stale = make(chan struct{}, 1)
	}
	c.now, c.old = map[planKey]*plan{}, nil
}

func (c *planCache) get(k planKey) *plan {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if p := c.now[k]; p != nil {
		return p
	}
	return c.old[k]
}

func (c *planCache) put(k planKey, p *plan) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p.cat != c.cat.Load() {
		return
	}
	if len(c.now) >= planCacheSize {
		c.now, c.old = map[planKey]*plan{}, c.now
	}
	c.now[k] = p
}

// shapePrefix tells the keys of shapes from texts, which cannot hold NUL.
const shapePrefix = "\x00"

// planFor is the plan for a text of this session, without masks.
func (g *Gate) planFor(s *session, text string, t *strand) *plan {
	return g.planMasked(s, text, act.Masks{}, t)
}

// planMasked is the plan for a text of this session in which these categories
// are masked.
func (g *Gate) planMasked(s *session, text string, masks act.Masks, t *strand) *plan {
	shape, literals, shaped := stmt.Shape(text)
	own := s.temps.any.Load() // what texts mean to it, they mean to nobody else
	if shaped && !own {
		if p := g.plans.get(planKey{s.roleName, shapePrefix + shape, masks}); p != nil {
			if q := p.forText(text, shape, &literals); q != nil {
				return q
			}
		}
	}
	if p := g.plans.get(planKey{s.roleName, text, masks}); p != nil && !own {
		return p
	}
	var p *plan
	var keep bool
	t.wait(func() {
		if p, keep = g.makePlan(s, text, masks); p.refuse != nil && len(p.stmts) > 0 {
			p.statement = g.statementOrdinal(text)
		}
	})
	if shaped {
		p.asks = p.asksIn(text, &literals)
	}
	if keep && !own && len(text) <= longestKept {
		if shaped && p.forText(text, shape, &literals) != nil {
			g.plans.put(planKey{s.roleName, shapePrefix + shape, masks}, p)
		} else {
			g.plans.put(planKey{s.roleName, text, masks}, p)
		}
	}
	return p
}

// forText is the plan for another text of the same shape, or nil if that is
// not certain to be right.
func (p *plan) forText(text, shape string, literals *stmt.Literals) *plan {
	if p.refuse != nil || p.speak != nil || p.changes || p.states || p.encodes || p.refers || len(p.stmts) != 1 {
		return nil
	}
	if p.stmts[0].skip != nil || p.stmts[0].told() {
		return nil // its OFFSET is a literal, or they stand in its names too
	}
	if p.original == text {
		return p
	}
	q := *p
	q.original, q.text, q.asks = text, text, p.asksIn(text, literals)
	if sp := p.stmts[0]; len(sp.hidden) > 0 {
		var ok bool
		// The rewriting knows the statement without its semicolon.
		bare := strings.TrimSuffix(strings.TrimRight(shape, " \t\r\n"), ";")
		if q.text, ok = sp.judgement.Rewrite.Apply(text, bare); !ok {
			return nil
		}
	}
	return &q
}

// current is p, or what would be decided today if the catalog has changed.
func (g *Gate) current(s *session, p *plan, t *strand) *plan {
	if p.cat == s.catalog() || p.original == "" { // SQL-level names are judged again by themselves
		return p
	}
	fresh := g.planMasked(s, p.original, p.masks, t)
	if fresh.speak != nil {
		return fresh.refusedWith(fresh.speak)
	}
	if fresh.refuse == nil && fresh.text != p.text {
		// It would be rewritten in another way: the prepared one is of the past.
		return fresh.refusedWith(changedRefusal)
	}
	return fresh
}

// mostReloads is how often a text is judged anew because the database's catalog
// has changed meanwhile. Somebody may be changing it all the time.
const mostReloads = 2

// makePlan reads and judges a text. keep is false for what depends on this
// session alone.
func (g *Gate) makePlan(s *session, text string, masks act.Masks) (p *plan, keep bool) {
	for reloads := 0; ; reloads++ {
		p, keep = g.judge(s, text, masks)
		if !p.unknown || reloads == mostReloads {
			return p, keep
		}
		if err := g.reload(); err != nil {
			if p.guessed && p.refuse == nil && !s.role.observes() {
				p.refuse = catalogRefusal
			}
			return p, false
		}
		if s.catalog() == p.cat {
			return p, keep
		}
	}
}

// catalogRefusal is of what is unknown, and may have been made since, of
// protected data.
var catalogRefusal = &refusal{code: "57P03", reason: "catalog", text: "the statement names something that the gate does not know, and the database's catalog cannot be read now", hint: "Try again later."}

// reload compares the database with the catalog now, because a statement names
// something unknown.
func (g *Gate) reload() error {
	ctx, stop := context.WithTimeout(context.Background(), reloadTimeout)
	defer stop()
	r, err := g.reader(ctx)
	if err != nil {
		return err
	}
	defer r.close()
	fresh, err := g.plans.catalog().Fresh(ctx, r.query)
	if err != nil || fresh {
		return err
	}
	cat, err := g.plans.catalog().Again(ctx, r.query)
	if err != nil {
		return err
	}
	g.plans.reset(cat)
	return nil
}

const reloadTimeout = 10e9
