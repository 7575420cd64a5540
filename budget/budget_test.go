package budget

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"sekisho"
)

const (
	second = sekisho.Time(1e6)
	hour   = 3600 * second
	day    = 24 * hour
	begin  = sekisho.Time(1_407_000_000e6)
)

func nobody(string, uint32) string { return "" }

func checked(t testing.TB, c ...Budget) Config {
	t.Helper()
	if err := Config(c).Check(); err != nil {
		t.Fatal(err)
	}
	return c
}

func span(d time.Duration) Span { return Span(d) }

// naive is the definition, slowly: who was seen in the running step or in the
// sixty before it.
type naive struct {
	step sekisho.Time
	last map[uint32]sekisho.Time
	anys []sekisho.Time
}

func (n *naive) inside(now, at sekisho.Time) bool { return now/n.step-at/n.step <= steps }

func (n *naive) used(now sekisho.Time) (used int) {
	for _, at := range n.last {
		if n.inside(now, at) {
			used++
		}
	}
	for _, at := range n.anys {
		if n.inside(now, at) {
			used++
		}
	}
	return used
}

// Whatever is asked, at whatever times, the answer is that of the definition.
func TestSpendIsExact(t *testing.T) {
	for seed := range uint64(15) {
		r := rand.New(rand.NewPCG(seed, 1))
		limit := 1 + r.IntN(60)
		people := uint32(limit + r.IntN(3*limit+2))
		within := []time.Duration{time.Minute, time.Hour, 30 * 24 * time.Hour}[r.IntN(3)]
		b := New(checked(t, Budget{Name: "b", Customers: uint32(limit), Within: span(within)}), nobody)
		a := b.Account(Holder{Principal: 1}, "member")
		truth := &naive{step: b.rules[0].step, last: map[uint32]sekisho.Time{}}
		now := begin
		for range 3000 {
			now += sekisho.Time(r.Int64N(int64(truth.step) * int64(1+r.IntN(12)) / 4))
			if r.IntN(300) == 0 {
				now += truth.step * sekisho.Time(50+r.IntN(30))
			}
			if r.IntN(40) == 0 {
				within, _ := a.SpendAny(now, true)
				if want := truth.used(now) < limit; within != want {
					t.Fatalf("seed %d: an any-row access passes: %v, want %v", seed, within, want)
				} else if want {
					truth.anys = append(truth.anys, now)
				}
				continue
			}
			ord := 1 + r.Uint32N(people)
			at, seen := truth.last[ord]
			want := seen && truth.inside(now, at) || truth.used(now) < limit
			n, _ := a.Spend(now, []uint32{ord}, true)
			if (n == 1) != want {
				t.Fatalf("seed %d: customer %d at %v passes: %v, want %v; %d of %d used", seed, ord, now, n == 1, want, truth.used(now), limit)
			}
			if want {
				truth.last[ord] = now
				continue
			}
			frees := a.Ending().Frees
			if truth.used(frees-1) < limit || truth.used(frees) >= limit {
				t.Fatalf("seed %d: there is room again at %v, it says: %d used just before, %d then, of %d", seed, frees, truth.used(frees-1), truth.used(frees), limit)
			}
		}
	}
}

// Where nothing is cut, more than the limit come. However many are forgotten to
// bound the memory, whether the budget has ended is told as by the definition.
func TestForgettingChangesNoAnswer(t *testing.T) {
	for seed := range uint64(10) {
		r := rand.New(rand.NewPCG(seed, 2))
		limit := 1 + r.IntN(20)
		b := New(checked(t, Budget{Name: "b", Customers: uint32(limit), Within: span(time.Hour)}), nobody)
		a := b.Account(Holder{Principal: 1}, "member")
		truth := &naive{step: b.rules[0].step, last: map[uint32]sekisho.Time{}}
		now, forgot := begin, false
		for range 4000 {
			now += sekisho.Time(r.Int64N(int64(truth.step) / 2))
			if r.IntN(200) == 0 {
				now += truth.step * sekisho.Time(r.IntN(62))
			}
			ord := 1 + r.Uint32N(uint32(6*limit+200))
			a.Spend(now, []uint32{ord}, false)
			truth.last[ord] = now
			h := a.lines[0].h
			used := truth.used(now)
			forgot = forgot || h.used() < used
			if got, want := h.used() >= limit, used >= limit; got != want || used <= limit && h.used() != used {
				t.Fatalf("seed %d: %d used of %d, want %d", seed, h.used(), limit, used)
			}
			if most := h.rule.most; h.n > most || len(h.last.table) > 64+4*most {
				t.Fatalf("seed %d: it keeps %d customers in a table of %d, of a limit of %d", seed, h.n, len(h.last.table), limit)
			}
		}
		if !forgot {
			t.Errorf("seed %d: nothing was ever forgotten", seed)
		}
	}
}

// Several at once never get more than there is, and get all of it.
func TestNobodyOverspends(t *testing.T) {
	const limit, sessions = 1000, 8
	b := New(checked(t, Budget{Name: "b", Per: []string{"role"}, Customers: limit, Within: span(time.Hour)},
		Budget{Name: "own", Customers: limit, Within: span(time.Hour)}), nobody)
	var all sync.Map
	var wg sync.WaitGroup
	for s := range sessions {
		a := b.Account(Holder{Principal: uint32(s + 1), Role: "r"}, "member")
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(s), 3))
			for range 4000 {
				ords := []uint32{1 + r.Uint32N(5000), 1 + r.Uint32N(5000)}
				n, _ := a.Spend(begin, ords, true)
				for _, o := range ords[:n] {
					all.Store(o, true)
				}
			}
		})
	}
	wg.Wait()
	n := 0
	all.Range(func(any, any) bool { n++; return true })
	if n != limit {
		t.Errorf("%d customers passed, want %d", n, limit)
	}
}

// A ledger makes entries of what a test says was read.
type ledger struct {
	seq     uint64
	entries []*sekisho.Entry
}

func (l *ledger) add(at sekisho.Time, b sekisho.Body) uint64 {
	l.seq++
	l.entries = append(l.entries, &sekisho.Entry{ID: sekisho.ID{Gate: 1, Epoch: 1, Seq: l.seq}, Time: at, Body: b})
	return l.seq
}

// fold gives the book that the entries make.
func (l *ledger) fold(c Config, name func(string, uint32) string) *Book {
	b := New(c, name)
	for _, e := range l.entries {
		b.Apply(e)
	}
	return b
}

func (b *Book) tables() (list []string) {
	for _, h := range b.order {
		var in []string
		for ord, step := range h.last.all(h.now) {
			in = append(in, fmt.Sprintf("%d@%d", ord, step))
		}
		slices.Sort(in)
		list = append(list, fmt.Sprint(h.key.rule.Name, h.key.Holder, h.key.space, h.any, in))
	}
	slices.Sort(list)
	return list
}

// What the gate spent ahead and the ledger gave back is what a restart folds:
// the same customers, to the step, and the same warnings given.
func TestRestartForgetsNothing(t *testing.T) {
	conf := checked(t, Budget{Name: "hour", Customers: 40, Within: span(time.Hour)},
		Budget{Name: "terminal", Per: []string{"endpoint", "purpose"}, Customers: 60, Within: span(30 * 24 * time.Hour)})
	live, l := New(conf, nobody), &ledger{}
	live.Ahead()
	r := rand.New(rand.NewPCG(1, 4))
	write := func(at sekisho.Time, b sekisho.Body) uint64 {
		seq := l.add(at, b)
		live.Apply(l.entries[len(l.entries)-1])
		return seq
	}
	shape := write(begin, &sekisho.Shape{Space: "member"})
	now := begin
	for s := range 60 {
		who := Holder{Principal: uint32(s%5 + 1), Endpoint: fmt.Sprint("pc-", s%3), Purpose: uint32(s % 2)}
		id := write(now, &sekisho.SessionOpened{Door: sekisho.DoorGate, Principal: who.Principal, Endpoint: who.Endpoint})
		a := live.Account(who, "member")
		for range 20 {
			now += sekisho.Time(r.Int64N(int64(3 * 60 * second)))
			if r.IntN(10) == 0 {
				if ok, _ := a.SpendAny(now, true); ok {
					write(now, &sekisho.Access{Session: id, Shape: shape, Class: sekisho.AnyRow, Purpose: who.Purpose, Reach: 1000})
				}
				continue
			}
			ords := []uint32{1 + r.Uint32N(300), 1 + r.Uint32N(300)}
			n, tell := a.Spend(now, ords, true)
			write(now+second/1000, &sekisho.Access{Session: id, Shape: shape, Class: sekisho.Exact, Purpose: who.Purpose, Subjects: ords[:n]})
			if tell {
				for _, e := range a.Entries(id) {
					write(now+second/1000, e)
				}
			}
		}
		write(now, &sekisho.SessionClosed{Session: id})
	}
	again := l.fold(conf, nobody)
	if got, want := again.tables(), live.tables(); !slices.Equal(got, want) {
		t.Errorf("folded again:\n%v\nlive:\n%v", got, want)
	}
	for _, h := range live.order {
		i := slices.IndexFunc(again.order, func(g *holder) bool { return g.rule.Name == h.rule.Name && g.key.Holder == h.key.Holder })
		if g := again.order[i]; g.told != h.told || g.over != h.over {
			t.Errorf("%s %v: told %v and over %v before the restart, and %v and %v after it", h.rule.Name, h.key.Holder, h.told, h.over, g.told, g.over)
		}
	}
}

// What somebody writes is not read: a restart charges it as little as the gate
// did. Where it cannot be told whose it is, rows may have come back.
func TestWritesCostNothing(t *testing.T) {
	conf := checked(t, Budget{Name: "hour", Customers: 40, Within: span(time.Hour)})
	for _, c := range []struct {
		verb  sekisho.Verb
		class sekisho.Class
		want  int
	}{
		{sekisho.Read, sekisho.Exact, 2}, {sekisho.Insert, sekisho.Exact, 0}, {sekisho.Update, sekisho.Exact, 0},
		{sekisho.Delete, sekisho.Exact, 0}, {sekisho.Update, sekisho.AnyRow, 3}, {sekisho.Read, sekisho.Contributed, 2},
	} {
		l := &ledger{}
		id := l.add(begin, &sekisho.SessionOpened{Door: sekisho.DoorGate, Principal: 1})
		shape := l.add(begin, &sekisho.Shape{Space: "member", Verb: c.verb})
		l.add(begin, &sekisho.Access{Session: id, Shape: shape, Class: c.class, Subjects: []uint32{1, 2}})
		used := 0
		for _, u := range l.fold(conf, nobody).Uses(begin) {
			used += int(u.Used)
		}
		if used != c.want {
			t.Errorf("%v, %v: %d used, want %d", c.verb, c.class, used, c.want)
		}
	}
}

// One word for each time that a budget is nearly used, and one for each that it
// ends, however often it is asked.
func TestToldOnce(t *testing.T) {
	b := New(checked(t, Budget{Name: "b", Customers: 10, Within: span(time.Hour)}), nobody)
	told := func(a *Account, at sekisho.Time, cut bool, from, to uint32) (list []sekisho.BudgetState) {
		for o := from; o <= to; o++ {
			if _, tell := a.Spend(at, []uint32{o}, cut); tell {
				for _, e := range a.Entries(7) {
					list = append(list, e.(*sekisho.BudgetReached).State)
				}
			}
		}
		return list
	}
	a, other := b.Account(Holder{Principal: 1}, "member"), b.Account(Holder{Principal: 1}, "member")
	for _, c := range []struct {
		by   *Account
		at   sekisho.Time
		from uint32
		to   uint32
		want []sekisho.BudgetState
	}{
		{a, begin, 1, 7, nil},
		{other, begin, 8, 10, []sekisho.BudgetState{sekisho.BudgetNear}},
		{a, begin, 1, 10, nil},
		{a, begin, 11, 20, []sekisho.BudgetState{sekisho.BudgetEnded}},
		{other, begin + hour/2, 11, 20, nil},
		{other, begin + 2*hour, 1, 7, nil}, // all were free again
		{other, begin + 2*hour, 8, 12, []sekisho.BudgetState{sekisho.BudgetNear, sekisho.BudgetEnded}},
	} {
		if got := told(c.by, c.at, true, c.from, c.to); !slices.Equal(got, c.want) {
			t.Errorf("customers %d to %d: told %v, want %v", c.from, c.to, got, c.want)
		}
	}
	observed := b.Account(Holder{Principal: 2}, "member")
	if got, want := told(observed, begin+2*hour, false, 1, 30), []sekisho.BudgetState{sekisho.BudgetNear, sekisho.BudgetObserved}; !slices.Equal(got, want) {
		t.Errorf("in observe mode: told %v, want %v", got, want)
	}
}

// JAL in 2014, before anybody noticed: 139 customers in seven weeks, a few on
// each working day, by one terminal whose user hardly reads customers. No hour
// and no day shows it; thirty days do.
func TestThreeCustomersADay(t *testing.T) {
	conf := checked(t,
		Budget{Name: "hour", Customers: 60, Within: span(time.Hour)},
		Budget{Name: "day", Customers: 60, Within: span(24 * time.Hour)},
		Budget{Name: "week", Customers: 60, Within: span(7 * 24 * time.Hour)},
		Budget{Name: "month", Per: []string{"endpoint"}, Customers: 60, Within: span(30 * 24 * time.Hour)})
	l := &ledger{}
	b := New(conf, nobody)
	b.Ahead()
	shape := l.add(begin, &sekisho.Shape{Space: "member"})
	b.Apply(l.entries[0])
	read, cutAfter := uint32(0), sekisho.Time(0)
	for d := range sekisho.Time(49) {
		// Each day another session, by another of three stolen accounts; sekisho is
		// restarted each week.
		if d%7 == 0 {
			b = l.fold(conf, nobody)
			b.Ahead()
		}
		at := begin + d*day
		who := Holder{Principal: uint32(1 + d%3), Endpoint: "pc-0417"}
		id := l.add(at, &sekisho.SessionOpened{Door: sekisho.DoorGate, Principal: who.Principal, Endpoint: who.Endpoint})
		b.Apply(l.entries[len(l.entries)-1])
		a := b.Account(who, "member")
		for range min(3, 139-read) {
			read++
			at += hour
			n, tell := a.Spend(at, []uint32{read}, true)
			if n == 0 {
				if got := a.Ending(); got.Name != "month" {
					t.Fatalf("the budget %s ended", got.Name)
				}
				if cutAfter == 0 {
					cutAfter = d
				}
			}
			l.add(at, &sekisho.Access{Session: id, Shape: shape, Class: sekisho.Exact, Subjects: []uint32{read}[:n]})
			b.Apply(l.entries[len(l.entries)-1])
			if tell {
				for _, e := range a.Entries(id) {
					if r := e.(*sekisho.BudgetReached); r.Budget != "month" {
						t.Fatalf("the budget %s was %v", r.Budget, r.State)
					}
				}
			}
		}
	}
	if read != 139 || cutAfter != 20 {
		t.Errorf("%d customers were asked for; the long window cut after %d days, want 139 and 20", read, cutAfter)
	}
}

func TestWhoABudgetAppliesTo(t *testing.T) {
	names := map[string]string{"staff1": "sato", "staff2": "svc-mail", "purpose1": "enquiry"}
	name := func(space string, n uint32) string { return names[fmt.Sprint(space, n)] }
	sato := Holder{Principal: 1, Role: "call_centre", Endpoint: "pc-0417", Purpose: 1}
	for _, c := range []struct {
		who     Who
		subject string
		holder  Holder
		want    bool
	}{
		{Who{}, "", sato, true},
		{Who{}, "member", sato, true},
		{Who{}, "driver", sato, false},
		{Who{Principals: []string{"suzuki", "sato"}}, "", sato, true},
		{Who{Principals: []string{"svc-*"}}, "", sato, false},
		{Who{Principals: []string{"svc-*"}}, "", Holder{Principal: 2}, true},
		{Who{Principals: []string{"*"}}, "", Holder{Principal: 9}, true},
		{Who{Roles: []string{"call_*"}, Endpoints: []string{"pc-0*7"}}, "", sato, true},
		{Who{Roles: []string{"call_*"}, Endpoints: []string{"unverified@*"}}, "", sato, false},
		{Who{Endpoints: []string{"pc-04*417"}}, "", sato, false},
		{Who{Purposes: []string{"enquiry"}}, "", sato, true},
		{Who{Purposes: []string{"*"}}, "", Holder{Principal: 1}, false},
	} {
		b := New(checked(t, Budget{Name: "b", Who: c.who, Subject: c.subject, Customers: 1, Within: span(time.Hour)}), name)
		if got := b.Account(c.holder, "member") != nil; got != c.want {
			t.Errorf("%+v of %q applies to %+v: %v", c.who, c.subject, c.holder, got)
		}
	}
}

func TestSpanReadsWhatItWrites(t *testing.T) {
	for text, want := range map[string]time.Duration{"1m": time.Minute, "90s": 90 * time.Second, "24h": 24 * time.Hour, "30d": 720 * time.Hour, "1h30m": 90 * time.Minute} {
		var s, again Span
		if err := s.UnmarshalText([]byte(text)); err != nil || time.Duration(s) != want {
			t.Errorf("%s reads as %v, %v", text, time.Duration(s), err)
		}
		if err := again.UnmarshalText([]byte(s.String())); err != nil || again != s {
			t.Errorf("%s writes itself as %s", text, s)
		}
	}
	for _, text := range []string{"", "d", "3", "3dd", "-1d", "1.5d", "99999999999999999999d", "month"} {
		if err := new(Span).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is a length of time", text)
		}
	}
}

// A holder that has used nothing for a window is given back; the account that
// knew it goes on with a new one.
func TestIdleHoldersAreGivenBack(t *testing.T) {
	b := New(checked(t, Budget{Name: "b", Customers: 5, Within: span(time.Minute)}), nobody)
	a := b.Account(Holder{Principal: 1}, "member")
	for p := range uint32(100) {
		b.Account(Holder{Principal: p + 1}, "member").Spend(begin, []uint32{1}, true)
	}
	for i := range sekisho.Time(300) {
		b.Apply(&sekisho.Entry{ID: sekisho.ID{Seq: uint64(i + 1)}, Time: begin + hour, Body: &sekisho.LedgerOpened{}})
	}
	if len(b.holders) != 0 || len(b.order) != 0 {
		t.Errorf("%d holders are left", len(b.holders))
	}
	for o := range uint32(6) {
		if n, _ := a.Spend(begin+hour, []uint32{o + 1}, true); (n == 1) != (o < 5) {
			t.Errorf("customer %d passes: %v", o+1, n == 1)
		}
	}
	if len(b.holders) != 1 {
		t.Errorf("%d holders", len(b.holders))
	}
}

// A lookup of one customer under four budgets allocates nothing.
func TestSpendAllocatesNothing(t *testing.T) {
	a := four(t).Account(Holder{Principal: 1, Role: "r", Endpoint: "pc"}, "member")
	ord, at := []uint32{0}, begin
	one := func() {
		ord[0] = ord[0]%500 + 1
		at += second / 100
		a.Spend(at, ord, true)
	}
	for range 1000 {
		one()
	}
	if n := testing.AllocsPerRun(1000, one); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func four(t testing.TB) *Book {
	return New(checked(t,
		Budget{Name: "hour", Customers: 1000, Within: span(time.Hour)},
		Budget{Name: "day", Customers: 1000, Within: span(24 * time.Hour)},
		Budget{Name: "terminal", Per: []string{"endpoint"}, Customers: 2000, Within: span(30 * 24 * time.Hour)},
		Budget{Name: "role", Per: []string{"role"}, Customers: 100_000, Within: span(24 * time.Hour)}), nobody)
}

func BenchmarkSpendLookupUnderFourBudgets(b *testing.B) {
	a := four(b).Account(Holder{Principal: 1, Role: "r", Endpoint: "pc"}, "member")
	ord, at := []uint32{0}, begin
	b.ReportAllocs()
	for b.Loop() {
		ord[0] = ord[0]*1103515245%997 + 1
		at += 100
		a.Spend(at, ord, true)
	}
}

// A long answer: a million different customers, each new.
func BenchmarkSpendMillion(b *testing.B) {
	conf := checked(b, Budget{Name: "all", Customers: 1 << 21, Within: span(24 * time.Hour)})
	b.ReportAllocs()
	for b.Loop() {
		a := New(conf, nobody).Account(Holder{Principal: 1}, "member")
		for o := range uint32(1_000_000) {
			a.Spend(begin, []uint32{o + 1}, true)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1e6, "ns/customer")
}

// What a thousand people, each with 2,000 customers in thirty days, take.
func BenchmarkMemoryOfAThousandHolders(b *testing.B) {
	conf := checked(b, Budget{Name: "month", Customers: 2000, Within: span(30 * 24 * time.Hour)})
	var before, after runtime.MemStats
	for b.Loop() {
		runtime.GC()
		runtime.ReadMemStats(&before)
		book := New(conf, nobody)
		r := rand.New(rand.NewPCG(1, 5))
		for p := range uint32(1000) {
			a := book.Account(Holder{Principal: p + 1}, "member")
			for i := range sekisho.Time(2000) {
				a.Spend(begin+day*30*i/2000, []uint32{1 + r.Uint32N(1_000_000)}, true)
			}
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/1e6, "MB")
		runtime.KeepAlive(book)
	}
}

// Under budgets that were not there: what would have been cut is not charged,
// and how much was used at most is what the past shows.
func TestSimulation(t *testing.T) {
	conf := checked(t, Budget{Name: "day", Customers: 50, Within: span(12 * time.Hour)},
		Budget{Name: "terminals", Per: []string{"endpoint"}, Customers: 1000, Within: span(30 * 24 * time.Hour)})
	l := &ledger{}
	shape := l.add(begin, &sekisho.Shape{Space: "member"})
	for p := range uint32(3) { // 20, 40 and 60 customers on each of five days, ten by each statement
		for d := range sekisho.Time(5) {
			at := begin + d*day + hour
			id := l.add(at, &sekisho.SessionOpened{Door: sekisho.DoorGate, Principal: p + 1, Endpoint: "pc"})
			for n := range 2 * (p + 1) {
				ords := make([]uint32, 10)
				for i := range ords {
					ords[i] = 1000*(p+1) + uint32(d)*100 + 10*n + uint32(i)
				}
				l.add(at+sekisho.Time(n)*second, &sekisho.Access{Session: id, Shape: shape, Number: uint64(n + 1), Class: sekisho.Exact, Subjects: ords, More: true})
			}
			l.add(at+hour, &sekisho.SessionClosed{Session: id})
		}
	}
	slices.SortStableFunc(l.entries, func(a, b *sekisho.Entry) int { return int(a.Time - b.Time) })
	for _, since := range []sekisho.Time{0, begin + 3*day} {
		s := NewSimulation(conf, since, nobody)
		for _, e := range l.entries {
			s.Apply(e)
		}
		var got []string
		for _, one := range s.Report() {
			got = append(got, fmt.Sprintf("%s %d%s: %d of %d, %d cut", one.Budget, one.Principal, one.Endpoint, one.Most, one.Customers, one.Cut))
			if one.Cut > 0 && (one.First != max(begin+hour, since+hour)+5*second || one.Last != begin+4*day+hour+5*second) {
				t.Errorf("%s: cut from %v to %v", one.Budget, one.First, one.Last)
			}
		}
		want := []string{"day 3: 60 of 50, 5 cut", "day 2: 40 of 50, 0 cut", "terminals 0pc: 600 of 1000, 0 cut", "day 1: 20 of 50, 0 cut"}
		if since > 0 {
			want[0] = "day 3: 60 of 50, 2 cut"
		}
		if !slices.Equal(got, want) {
			t.Errorf("since %v:\n got %q\nwant %q", since, got, want)
		}
	}
}

func TestUses(t *testing.T) {
	b := New(checked(t, Budget{Name: "b", Customers: 10, Within: span(time.Hour)}), nobody)
	for p, n := range []uint32{3, 9, 10} {
		a := b.Account(Holder{Principal: uint32(p + 1)}, "member")
		for o := range n {
			a.Spend(begin+sekisho.Time(o)*60*second, []uint32{o + 1}, true)
		}
	}
	var got []string
	for _, u := range b.Uses(begin + 30*60*second) {
		got = append(got, fmt.Sprint(u.Principal, " ", u.Used, " ", u.State, " ", u.Frees != 0))
	}
	if want := []string{"3 10 ended true", "2 9 near false", "1 3 free false"}; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	if list := b.Uses(begin + 3*hour); len(list) != 0 {
		t.Errorf("hours later: %+v", list)
	}
}

// Folding the entries of look-ups, as at a start, under four budgets.
func BenchmarkFold(b *testing.B) {
	book := four(b)
	seq := uint64(0)
	apply := func(at sekisho.Time, body sekisho.Body) uint64 {
		seq++
		book.Apply(&sekisho.Entry{ID: sekisho.ID{Gate: 1, Epoch: 1, Seq: seq}, Time: at, Body: body})
		return seq
	}
	shape := apply(begin, &sekisho.Shape{Space: "member"})
	var sessions []uint64
	for p := range uint32(100) {
		sessions = append(sessions, apply(begin, &sekisho.SessionOpened{Door: sekisho.DoorGate, Principal: p + 1, Role: "r", Endpoint: fmt.Sprint("pc-", p)}))
	}
	a, n := &sekisho.Access{Shape: shape, Class: sekisho.Exact, Subjects: []uint32{0}}, 0
	at := begin
	for b.Loop() {
		n++
		at += second / 20
		a.Session, a.Subjects[0] = sessions[n%100], uint32(n)*1103515245%100_000+1
		apply(at, a)
	}
}
