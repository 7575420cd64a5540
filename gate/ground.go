package gate

import (
	"context"
	"sync"

	"sekisho"
	"sekisho/catalog"
)

// What a statement reads may be made anew by somebody else after the gate has
// judged it and before the server makes its plan. From then on the server keeps
// it as it is. So the gate asks once more when the first reply to the statement
// comes, before any of it goes out, unless the origins of its columns say the
// same.

// looks is the connection by which the gate asks. Whoever comes while a look at
// the same has not begun shares it, so many who run one statement cost few.
type looks struct {
	mu    sync.Mutex
	begin map[*catalog.Ground]*look // that have not begun

	turn sync.Mutex // of the connection
	r    *reader
}

// A look is one question to the database, and its answer once done is closed.
type look struct {
	done          chan struct{}
	holds, unsure bool
	err           error
}

// holds says whether what a statement rests on is still what it was, at some
// instant after the call. unsure: see catalog.Ground.
func (g *Gate) holds(of *catalog.Ground) (holds, unsure bool, err error) {
	l := &g.looks
	l.mu.Lock()
	k := l.begin[of]
	if k != nil {
		l.mu.Unlock()
		<-k.done
		return k.holds, k.unsure, k.err
	}
	k = &look{done: make(chan struct{})}
	if l.begin == nil {
		l.begin = map[*catalog.Ground]*look{}
	}
	l.begin[of] = k
	l.mu.Unlock()

	l.turn.Lock()
	l.mu.Lock()
	delete(l.begin, of) // who comes from here on may have seen a later plan
	l.mu.Unlock()
	k.holds, k.unsure, k.err = g.ask(of)
	l.turn.Unlock()
	close(k.done)
	return k.holds, k.unsure, k.err
}

// ask asks the database. looks.turn is held.
func (g *Gate) ask(of *catalog.Ground) (holds, unsure bool, err error) {
	ctx, stop := context.WithTimeout(context.Background(), reloadTimeout)
	defer stop()
	for again := g.looks.r != nil; ; again = false {
		if g.looks.r == nil {
			if g.looks.r, err = g.reader(ctx); err != nil {
				g.looks.r = nil
				return false, false, err
			}
		}
		if holds, unsure, err = of.Holds(ctx, g.looks.r.often); err == nil {
			return holds, unsure, nil
		}
		g.looks.end()
		if !again {
			return false, false, err
		}
	}
}

// end closes the connection. turn is held, or nobody asks any more.
func (l *looks) end() {
	if l.r != nil {
		l.r.close()
		l.r = nil
	}
}

// movedRefusal is of what reads something else than it did when it was judged.
var movedRefusal = &refusal{code: "40001", reason: "moved", text: "what the statement reads has just been changed in the database, so nothing of it is released", hint: "Try again: the gate has read the catalog anew."}

// stands asks, with the first reply to a statement, whether it still reads what
// it was judged to read. The refusal says that it may not.
func (r *replies) stands(w *want, typ byte) *refusal {
	if r.cutting || w == nil || w.typ != 'Q' && w.typ != 'E' && w.typ != 'B' {
		return nil
	}
	sp := w.statement()
	if sp == nil || sp.ground == nil || w.looked > w.at || w.portal != nil && w.portal.looked || w.refuse != nil {
		return nil
	}
	switch typ {
	case 'D', 'd', 'H', 'C', 's', 'E', 'N', 'S':
	default:
		return nil
	}
	if typ == 'C' && sp.ground.Silent() {
		return nil
	}
	d := r.descOf(w)
	if (typ == 'D' || typ == 'd') && d != nil && d.refuse != nil {
		return nil // its rows go nowhere
	}
	w.looked = w.at + 1
	if w.typ == 'E' && w.portal != nil {
		w.portal.looked = true
	}
	if d != nil && d.shows {
		return nil
	}
	var holds, unsure bool
	var err error
	r.t.wait(func() {
		if holds, unsure, err = r.s.g.holds(sp.ground); err == nil && !holds {
			err = r.s.g.reload()
		}
	})
	if err == nil && unsure {
		holds = r.judgedTheSame(w)
	}
	switch {
	case holds:
		return nil
	case err != nil:
		r.s.g.log.Warn("asking whether what a statement reads has changed", "error", err)
	}
	if r.s.role.observes() || sp.kind == planFree && sp.judgement.Verb != sekisho.Read && sp.judgement.Verb != sekisho.Export {
		// It goes on, or may have been done: then nobody can tell to whom.
		if why := r.recordUnknown(w); why != nil || r.s.role.observes() {
			return why
		}
	}
	if err != nil {
		return catalogRefusal
	}
	return movedRefusal
}

// judgedTheSame: by the catalog as it is now, the same text would go upstream
// for what was sent, to be accounted in the same way.
func (r *replies) judgedTheSame(w *want) bool {
	p := w.plan
	if w.portal != nil {
		p = w.portal.ps.plan
	}
	if p == nil || p.original == "" {
		return false
	}
	now := r.s.g.planMasked(r.s, p.original, p.masks, r.t)
	if now.refuse != nil || now.speak != nil || now.text != p.text || len(now.stmts) != len(p.stmts) {
		return false
	}
	for i, sp := range now.stmts {
		if was := p.stmts[i]; sp.kind != was.kind || sp.sent != was.sent || !sp.judgement.Same(was.judgement) {
			return false
		}
	}
	return true
}

// recordUnknown records that what a statement does could be about anybody.
func (r *replies) recordUnknown(w *want) *refusal {
	s := r.s
	if s.unknown == nil {
		s.unknown = unknownPlan()
	}
	if err := r.recordAnyRow(s.unknown, s.number.Add(1), w.by()); err != nil {
		return refusalFor(err)
	}
	return nil
}

// unknownPlan is of a statement of which nothing is known.
func unknownPlan() *stmtPlan {
	return &stmtPlan{judgement: catalog.Judgement{Kind: catalog.Opaque, Verb: sekisho.Other}, shapes: map[string]uint64{}}
}
