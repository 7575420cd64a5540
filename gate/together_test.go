package gate

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"sekisho"
	"sekisho/budget"
)

// bulk is what a server sends in answer to one statement: rows that the gate is
// about to read.
type bulk struct {
	d    *desc
	sp   *stmtPlan
	typ  byte
	sent []byte
	most uint64 // so many customers go without an approval; 0: all
}

// reading is the server side of a session that has the answer in its buffer.
func (a *bulk) reading(g *Gate) *replies {
	d := &desc{fields: a.d.fields, hidden: a.d.hidden, keys: a.d.keys, shapes: a.d.shapes, held: a.d.held}
	s := &session{g: g, role: &Role{AskAbove: a.most}, roleName: "staff", latest: unsaid, log: g.log, opened: &sekisho.SessionOpened{}, desc: d}
	s.utf8.Store(true)
	s.wants.queue = []*want{{typ: 'Q', number: 1, copyOut: a.typ == 'd', plan: &plan{stmts: []*stmtPlan{a.sp}}}}
	r := &replies{s: s, t: goroutine, fd: -1}
	a.again(r)
	return r
}

// again has it stand before the first row.
func (a *bulk) again(r *replies) {
	if r.c != nil {
		r.c.recycle()
	}
	r.c = newChunk(max(len(a.sent), smallChunk+1))
	r.w, r.scan, r.n = 0, 0, copy(r.c.buf, a.sent)
	r.open, r.rows, r.s.running = r.open[:0], nil, nil
}

// oneByOne reads the rows one after the other.
func oneByOne(r *replies) error {
	for r.scan < r.n && !r.cutting {
		from := r.scan
		r.scan += int(be.Uint32(r.c.buf[from+1:])) + 1
		if err := r.message(r.c.buf[from], from, r.scan); err != nil {
			return err
		}
	}
	return nil
}

func (r *replies) outcome() string {
	a := r.c.bodies[0].(*sekisho.Access)
	return fmt.Sprintf("%d rows to %v of at least %d bytes, %d and more are left, the smallest has %d", a.Rows, a.Subjects, a.Least, r.s.running.left, r.s.desc.least.Load())
}

// longAnswer makes one up.
func longAnswer(g *Gate, rnd *rand.Rand, rows int) *bulk {
	a := &bulk{typ: 'D', sp: &stmtPlan{kind: planExact, observe: rnd.IntN(4) == 0}}
	if rnd.IntN(3) == 0 {
		a.sp.expects = &expects{param: 1}
	}
	fields := 1 + rnd.IntN(5)
	a.d = &desc{fields: fields + 1, hidden: 1, shapes: []shapeRef{{seq: 7, space: "member"}}}
	k := keyAt{field: fields, of: g.vault.Space("member"), typ: keyInt8}
	if rnd.IntN(3) == 0 {
		k.typ, k.of = keyText, g.vault.Space("customer")
	}
	switch rnd.IntN(3) {
	case 0:
		a.typ, a.sp.csv = 'd', rnd.IntN(2) == 0
	case 1:
		k.field = rnd.IntN(fields)
		a.d.hidden, a.d.fields = 0, fields
		fallthrough
	default:
		for range fields {
			a.d.held = append(a.d.held, rnd.IntN(2) == 0)
		}
	}
	a.d.keys = []keyAt{k}
	for n := range rows {
		key := strconv.Itoa(1000 + n + rnd.IntN(3))
		if k.typ == keyText {
			key = "é" + key
		}
		var cells []string
		for i := range a.d.fields {
			cells = append(cells, strings.Repeat("x", rnd.IntN(30)))
			if i == k.field || a.typ == 'd' && i == fields {
				cells[i] = key
			}
		}
		if a.typ == 'd' {
			sep := "\t"
			if a.sp.csv {
				sep = ","
				if rnd.IntN(2) == 0 {
					cells[0] = "\"a,\nb\""
				}
			} else if rnd.IntN(2) == 0 {
				cells[0] = `\t\N\\`
			}
			a.sent = appendMessage(a.sent, 'd', strings.Join(cells, sep)+"\n")
			continue
		}
		b := be.AppendUint16(nil, uint16(len(cells)))
		for i, c := range cells {
			if i != k.field && rnd.IntN(8) == 0 {
				b = be.AppendUint32(b, 1<<32-1) // NULL
				continue
			}
			b = append(be.AppendUint32(b, uint32(len(c))), c...)
		}
		a.sent = appendMessage(a.sent, 'D', string(b))
	}
	return a
}

// What goes out, who is named and what is charged is the same, whether rows are
// taken together or one after the other.
func TestTogetherAsOneByOne(t *testing.T) {
	g, stop := lone(t)
	defer stop()
	accounts := func(customers, warn uint32) *budget.Book {
		return budget.New(budget.Config{{Name: "hour", Customers: customers, Warn: warn, Within: budget.Span(time.Hour), AtEnd: budget.Alert, Per: []string{"role"}}}, func(string, uint32) string { return "" })
	}
	for seed := range uint64(300) {
		rnd := rand.New(rand.NewPCG(seed, 3))
		a := longAnswer(g, rnd, 1+rnd.IntN(300))
		var got, charged [2]string
		var sent [2][]byte
		customers, warn := uint32(1+rnd.IntN(400)), uint32(1+rnd.IntN(100))
		for i := range 2 {
			g.budgets = accounts(customers, warn)
			r := a.reading(g)
			read := r.scanMessages
			if i == 1 {
				read = func() error { return oneByOne(r) }
			}
			if err := read(); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			got[i], sent[i] = r.outcome(), slices.Clone(r.c.buf[:r.w])
			charged[i] = fmt.Sprint(g.budgets.Uses(sekisho.At(time.Now()))[0].Used)
		}
		if got[0] != got[1] || charged[0] != charged[1] {
			t.Fatalf("seed %d: together %s, %s charged; one by one %s, %s charged", seed, got[0], charged[0], got[1], charged[1])
		}
		if !bytes.Equal(sent[0], sent[1]) {
			t.Fatalf("seed %d: together %q, one by one %q", seed, sent[0], sent[1])
		}
	}
}

// BenchmarkRows is what the gate does with each row of a long answer, with two
// budgets: a thousand rows of fifty bytes, of which the key is taken away.
func BenchmarkRows(b *testing.B) {
	for _, typ := range []string{"SELECT", "COPY"} {
		b.Run(typ, func(b *testing.B) {
			g, stop := lone(b)
			defer stop()
			var conf budget.Config
			for _, within := range []time.Duration{time.Hour, 30 * 24 * time.Hour} {
				conf = append(conf, budget.Budget{Name: within.String(), Customers: 1 << 30, Warn: 80, Within: budget.Span(within), Per: []string{"role"}})
			}
			g.budgets = budget.New(conf, func(string, uint32) string { return "" })
			a := &bulk{typ: 'D', sp: &stmtPlan{kind: planExact}, d: &desc{fields: 3, hidden: 1, shapes: []shapeRef{{seq: 7, space: "member"}},
				keys: []keyAt{{field: 2, of: g.vault.Space("member"), typ: keyInt8}}}}
			const rows = 1000
			for n := range rows {
				cells := []string{fmt.Sprintf("name of %d", 500_000+n), fmt.Sprintf("mail%d@example.jp", 500_000+n), strconv.Itoa(500_000 + n)}
				if typ == "COPY" {
					a.typ = 'd'
					a.sent = appendMessage(a.sent, 'd', strings.Join(cells, "\t")+"\n")
					continue
				}
				row := be.AppendUint16(nil, 3)
				for _, c := range cells {
					row = append(be.AppendUint32(row, uint32(len(c))), c...)
				}
				a.sent = appendMessage(a.sent, 'D', string(row))
			}
			r := a.reading(g)
			b.ReportAllocs()
			for b.Loop() {
				a.again(r)
				if err := r.scanMessages(); err != nil || r.scan != r.n {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/row")
		})
	}
}
