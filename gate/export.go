package gate

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"sekisho"
	"sekisho/act"
	"sekisho/permit"
)

// How many customers one statement may name before a second person has to agree
// (permit). They are counted as their rows come, so nothing has to be guessed:
// up to the limit all goes out, and then the answer is cut or an approval is
// spent. An approval is looked for only there, so that no other statement pays
// for it, and it is spent, durably, before the row that needs it is kept.

// A limit counts the customers that one access names.
type limit struct {
	on      bool
	most    uint64
	request uint64 // the approval that most is of; 0: of the role

	room [4]uint64 // of few: a look-up allocates nothing
	few  []uint64  // who was named, until there are most of them; may repeat
	set  ordinals  // instead of few from then on
	last uint64
}

// allows says whether the customer may be named too, and counts it if so.
func (l *limit) allows(space int, ord uint32) bool {
	key := uint64(space+1)<<32 | uint64(ord)
	if key == l.last {
		return true
	}
	if l.set.slots == nil {
		if uint64(len(l.few)) < l.most {
			if l.few == nil {
				l.few = l.room[:0]
			}
			l.few, l.last = append(l.few, key), key
			return true
		}
		for _, k := range l.few {
			l.set.add(k)
		}
		l.few = nil
	}
	if !l.set.has(key) {
		if uint64(l.set.n) >= l.most {
			return false
		}
		l.set.add(key)
	}
	l.last = key
	return true
}

// allowsNobody is allows for a row without a key, which may be anybody's: each
// counts as one customer more.
func (l *limit) allowsNobody() bool {
	named := uint64(len(l.few))
	if l.set.slots != nil {
		named = uint64(l.set.n)
	}
	if named >= l.most {
		return false
	}
	l.most--
	return true
}

// ordinals is a set of numbers above 0.
type ordinals struct {
	slots []uint64 // a power of two; 0 is free
	n     int
}

func (o *ordinals) at(key uint64) int {
	mask := len(o.slots) - 1
	i := int(key*0x9e3779b97f4a7c15>>32) & mask
	for o.slots[i] != 0 && o.slots[i] != key {
		i = (i + 1) & mask
	}
	return i
}

func (o *ordinals) has(key uint64) bool { return len(o.slots) > 0 && o.slots[o.at(key)] == key }

func (o *ordinals) add(key uint64) {
	if 4*o.n >= 3*len(o.slots) {
		old := o.slots
		o.slots, o.n = make([]uint64, max(64, 2*len(old))), 0
		for _, k := range old {
			if k != 0 {
				o.slots[o.at(k)] = k
				o.n++
			}
		}
	}
	if i := o.at(key); o.slots[i] == 0 {
		o.slots[i] = key
		o.n++
	}
}

// countsIn is how long a use waits to be read back at most.
const countsIn = 30 * time.Second

// askAbove is how many customers a statement of this session may name without
// an approval. Observe mode has no such limit.
func (s *session) askAbove(sp *stmtPlan) (most uint64, on bool) {
	if sp == nil || sp.observe || sp.kind != planExact && !sp.bounded {
		return 0, false
	}
	return s.role.AskAbove, s.role.AskAbove > 0
}

// mayAsk: a statement may come to need an approval.
func (s *session) mayAsk(sp *stmtPlan) bool {
	_, on := s.askAbove(sp)
	return on || sp != nil && !sp.observe && (sp.bounded || sp.kind == planExact && s.g.rules.policy.Load() != nil)
}

// limits is the limit of an access that begins.
func (r *replies) limits(w *want) (l limit) {
	l.most, l.on = r.s.askAbove(w.statement())
	return l
}

// overLimit is asked when a row names more customers than may go: nil if an
// approval was spent for them just now, durably.
func (r *replies) overLimit(w *want, u *run) *refusal {
	if u.limit.request != 0 {
		return &refusal{code: "53400", reason: "export_most",
			text: fmt.Sprintf("the approved export ends here: it is for %d customers at most", u.limit.most),
			hint: fmt.Sprintf("Request %d is used up. Ask for another one, for more customers.", u.limit.request)}
	}
	var why *refusal
	r.t.wait(func() { why = r.s.spend(w, u, nil) })
	return why
}

// spend uses an approval of w's statement for u, or says why there is none and
// how to get one. by is the ruling of the policy that needs it; nil: it is the
// role's own limit.
func (s *session) spend(w *want, u *run, by *ruling) *refusal {
	g, sp := s.g, w.statement()
	limit := u.limit.most
	why := &refusal{code: "53400", reason: "export", tables: sp.judgement.Tables,
		text: fmt.Sprintf("the statement names more than %d customers, and so many need the approval of a second person", limit)}
	if u.everybody > 0 {
		why.text = "the statement could be about anybody, and that needs the approval of a second person"
	}
	if by != nil {
		limit, why = by.AskAbove, s.ruled("policy_second", act.Ask, sp, &by.asked, by.Decision)
		defer func(hint string) { why.hint = hint + " " + why.hint }(why.hint)
	}
	sent := firstSent(limit)
	if u.everybody > 0 {
		sent = everybodyHint(u.everybody)
	}
	st, ok := s.exactly(w, u.by)
	if name := sp.judgement.Unclear; name != "" {
		why.hint = fmt.Sprintf("It cannot be asked for in this form: %s is the name of more than one table or view, and which of them is meant changes with search_path. Write it with its schema.", name)
		return why
	}
	if !ok {
		why.hint = "It cannot be asked for in this form: send the statement itself, with less than 256 KiB of text and values."
		return why
	}
	key := st.Key()
	g.exports.mu.Lock()
	defer g.exports.mu.Unlock()
	over := "" // why what was approved does not let it through
	if ord, known := g.vault.Space("export").Find(string(key)); known && g.conf.Permit != nil {
		spent := func(n uint64) bool { return g.exports.spent[n] }
		if r, state, ok := g.conf.Permit(ord, spent); ok {
			switch state {
			case permit.Approved:
				if r.Decided.Most <= limit || r.Decided.Most < u.everybody { // the approver made it smaller than what goes without
					break
				}
				var boxes []string
				if r.Decoys > 0 {
					if why := markable(w, u); why != nil {
						return why
					}
					if g.conf.Marks != nil {
						boxes = g.conf.Marks(r.Number, int(r.Decoys))
					}
					if len(boxes) == 0 {
						why.hint = fmt.Sprintf("Request %d was approved with decoys, and there is no mailbox for them: set exports.domain in the config, or ask again with --decoys 0.", r.Number)
						return why
					}
				}
				bodies, label := []sekisho.Body{&sekisho.ExportUsed{Request: r.Number, Session: s.id.Load(), Number: u.number}}, s.labels("export", sp, u.number)
				if label != nil {
					bodies = append(bodies, label)
				}
				id, err := g.append(bodies...)
				if err != nil {
					return ledgerRefusal(fmt.Errorf("spending an approval: %w", err))
				}
				ctx, stop := context.WithTimeout(context.Background(), countsIn)
				counts, err := g.conf.Counts(ctx, r.Number, id.Seq)
				stop()
				if err != nil {
					g.exports.spend(r.Number) // it may be
					return ledgerRefusal(fmt.Errorf("spending an approval: %w", err))
				}
				if !counts {
					over = fmt.Sprintf("The approval of request %d was taken back in this moment. ", r.Number)
					break
				}
				s.bears(w, label, id.Seq+1)
				g.exports.spend(r.Number)
				u.limit.most, u.limit.request = r.Decided.Most, r.Number
				if len(boxes) > 0 {
					u.marks = &marks{request: r.Number, by: r.Decided.By, mailboxes: boxes, wait: 4 + rand.IntN(8)}
				}
				return nil
			case permit.Lapsed:
				over = fmt.Sprintf("The approval of request %d no longer holds: whoever gave it has left, or may approve no more. ", r.Number)
			case permit.Asked:
				why.hint = sent + fmt.Sprintf("Request %d for this statement waits for an answer: sekisho export show %d%s.", r.Number, r.Number, g.configFlag())
				return why
			}
		}
	}
	n := g.exports.numberOf(string(key))
	if n == 0 {
		// The number has to mean this statement for ever, so it is durable before
		// anybody reads it.
		bodies := s.explain(u.by, u.number, &sekisho.Refused{Session: s.id.Load(), Number: u.number, Statement: sp.statement, Tables: why.tables, SQLState: why.code, Reason: why.reason})
		id, err := g.append(bodies...)
		if err != nil {
			return ledgerRefusal(fmt.Errorf("recording a refusal: %w", err))
		}
		n, why.recorded = id.Seq+uint64(len(bodies)-1), true
		g.exports.keep(string(key), permit.Turned{Number: n, At: sekisho.At(g.conf.Now()), Plain: sp.statement, Limit: limit, EndsAt: u.endsAt(), Statement: st})
	}
	why.hint = sent + over + fmt.Sprintf("To ask for all of it: sekisho export request %d%s --most N --reason '…', or the console's page Exports. Once it is approved, send the same statement again.", n, g.configFlag())
	if end := u.endsAt(); end != 0 {
		why.hint += fmt.Sprintf(" The policy ends its answer after %d rows even then.", end)
	}
	return why
}

// configFlag names this house's config in a command, as a shell reads it.
func (g *Gate) configFlag() string {
	switch f := g.conf.File; {
	case f == "":
		return ""
	case strings.Trim(f, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-") == "":
		return " --config " + f
	default:
		return " --config '" + strings.ReplaceAll(f, "'", `'\''`) + "'"
	}
}

// exactly is the statement that w's answer belongs to, as an approval is bound
// to it. False: it is too long, or stands somewhere else than in this text.
func (s *session) exactly(w *want, by *said) (st permit.Statement, ok bool) {
	sp := w.statement()
	st = permit.Statement{Principal: s.principal, Role: s.roleName, Verb: sp.judgement.Verb, Tables: sp.judgement.Tables}
	if by != nil && by.behalf != nil {
		st.Person = by.behalf.Principal
	}
	p := w.plan
	switch {
	case w.portal != nil:
		if w.portal.ps.sql || w.portal.long {
			return st, false
		}
		p = w.portal.ps.plan
		st.Parameters, st.Types = w.portal.values, w.portal.ps.types
	default:
		st.Index = w.at
	}
	if p == nil || p.refers || sp.judgement.Unclear != "" || p.original == "" || len(p.original)+len(st.Parameters)+len(st.Types) > permit.MaxKey {
		return st, false
	}
	st.Text = []byte(strings.TrimRight(p.original, "; \t\r\n")) // what clients add at the end or do not
	return st, true
}

// holds keeps what a Bind binds, for a statement that may have to be asked for.
// b is the message from its formats on, up to those of the results.
func (s *session) holds(po *portal, b []byte) {
	if !s.mayAsk(po.ps.stmt) {
		return
	}
	if po.long = len(b) > permit.MaxKey; !po.long && len(b) > 4 { // 4: no formats, no values
		po.values = slices.Clone(b)
	}
}

// exports are the gate's memory of what was turned away, and of what was spent.
type exports struct {
	mu     sync.Mutex
	spent  map[uint64]bool // requests; the ledger knows them too
	byKey  map[string]uint64
	turned []permit.Turned // the oldest first
	bytes  int             // of their texts
}

// What is remembered at most. A statement that was forgotten gets another
// number when it is sent again.
const (
	mostTurned      = 500
	mostTurnedBytes = 8 << 20
)

func (e *exports) spend(request uint64) {
	if e.spent == nil {
		e.spent = map[uint64]bool{}
	}
	e.spent[request] = true
}

func (e *exports) numberOf(key string) uint64 { return e.byKey[key] }

func (e *exports) keep(key string, t permit.Turned) {
	if e.byKey == nil {
		e.byKey = map[string]uint64{}
	}
	e.byKey[key] = t.Number
	e.turned = append(e.turned, t)
	e.bytes += len(key)
	for len(e.turned) > mostTurned || e.bytes > mostTurnedBytes {
		old := string(e.turned[0].Statement.Key())
		delete(e.byKey, old)
		e.bytes -= len(old)
		e.turned = slices.Delete(e.turned, 0, 1)
	}
}

// Turned gives the statements that were turned away because they named too many
// customers, the latest first. The gate remembers some hundreds of them, and
// none of an earlier process.
func (g *Gate) Turned() []permit.Turned {
	g.exports.mu.Lock()
	defer g.exports.mu.Unlock()
	list := slices.Clone(g.exports.turned)
	slices.Reverse(list)
	return list
}

// takeBack takes the customers of a row that does not go out from its entries:
// those of the first n keys that were named.
func (d *desc) takeBack(entries []sekisho.Body, n int, named uint64) {
	for i := range n {
		if named&(1<<i) != 0 {
			a := entries[d.keys[i].space].(*sekisho.Access)
			a.Subjects = a.Subjects[:len(a.Subjects)-1]
		}
	}
}

// firstSent says how many went out before a statement was cut, if any.
func firstSent(n uint64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("The first %d were sent. ", n)
}
