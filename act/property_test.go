package act

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cedar-policy/cedar-go"

	"sekisho"
)

// A maker makes policies and requests from a small vocabulary, so that many
// rules match and many requests meet.
type maker struct {
	*rand.Rand
	n int
}

func newMaker(t *testing.T) *maker {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	return &maker{Rand: rand.New(rand.NewPCG(seed, 0))}
}

func one[T any](m *maker, of ...T) T { return of[m.IntN(len(of))] }

func (m *maker) condition() string {
	return one(m,
		`context.verified`,
		`context.place == Place::"office"`,
		`context.posture != Posture::"bad"`,
		`context.purpose in [Purpose::"support", Purpose::"booking"]`,
		`context.purpose == Purpose::""`,
		`context.rows > 50`,
		`500 >= context.rows`,
		`context.rows < 50 || context.hour >= 23`,
		`context.rows != 7`,
		`context.hour < 6`,
		`context.minute < 30`,
		`context.hour * 60 + context.minute >= 510`,
		`[Weekday::"saturday", Weekday::"sunday"].contains(context.weekday)`,
		`context.tables.contains(Table::"crm.member")`,
		`context.tables.containsAny([Table::"crm.passport", Table::"crm.member"])`,
		`principal in Post::"agent"`,
		`principal in Company::"elsewhere"`,
		`principal == Principal::"sato"`,
		`context.endpoint == Endpoint::"pc-1"`,
		`context has address && context.address.isInRange(ip("10.0.0.0/8"))`,
		`resource in [Category::"identity", Category::"contact", Category::"public"]`,
		`resource != Category::"travel_document"`,
	)
}

func (m *maker) scope() string {
	return fmt.Sprintf("(%s, %s, %s)",
		one(m, "principal", "principal", `principal in Role::"call_centre"`, `principal in Role::"dba"`, `principal is Principal in Post::"agent"`),
		one(m, "action", `action == Action::"read"`, `action == Action::"read"`, `action in [Action::"read", Action::"export"]`, `action in Action::"update"`),
		one(m, "resource", "resource", "resource is Category", `resource is Category in Category::"contact"`, `resource == Category::"identity"`, `resource in Category::"travel_document"`))
}

func (m *maker) rule(effect, annotations string) string {
	m.n++
	s := fmt.Sprintf("@id(\"r%d\") %s %s %s\n", m.n, annotations, effect, m.scope())
	for range m.IntN(3) {
		s += fmt.Sprintf(" %s { %s }\n", one(m, "when", "unless"), m.condition())
	}
	return s + ";\n"
}

func (m *maker) permit() string { return m.rule("permit", "") }

func (m *maker) forbid() string {
	words := `@reason_en("r") @reason_ja("r") @hint_en("h") @hint_ja("h")`
	switch m.IntN(5) {
	case 0:
		return m.rule("forbid", words)
	case 1:
		s := m.rule("forbid", words+fmt.Sprintf(" @mask(%q)", one(m, "partial", "token", "blank")))
		return strings.Replace(strings.Replace(s, ", action,", `, action == Action::"read",`, 1), `action in Action::"update"`, `action == Action::"export"`, 1)
	case 2:
		return m.rule("forbid", words+fmt.Sprintf(` @ask("second_person") @rows("%d")`, one(m, 5, 50, 500)))
	case 3:
		return m.rule("forbid", words+fmt.Sprintf(` @customers("%d") @window("%s")`, one(m, 5, 50), one(m, "1h", "1d")))
	}
	return m.rule("forbid", words+fmt.Sprintf(` @rows("%d")`, one(m, 5, 50, 500)))
}

func (m *maker) policy() []File {
	var files []File
	for range 1 + m.IntN(4) {
		files = append(files, File{fmt.Sprintf("p%d.cedar", len(files)), []byte(m.permit() + m.permit())})
	}
	for range m.IntN(5) {
		files = append(files, File{fmt.Sprintf("p%d.cedar", len(files)), []byte(m.forbid())})
	}
	return files
}

func (m *maker) request() Request {
	start := time.Date(2026, 4, 4, 0, 0, 0, 0, time.UTC)
	r := Request{
		Principal: one(m, "sato", "suzuki"), Role: one(m, "call_centre", "dba"), Post: one(m, "agent", ""), Company: one(m, "house", "elsewhere"),
		Endpoint: one(m, "pc-1", "pc-2"), Verified: one(m, true, false), Posture: one(m, PostureGood, PostureBad), Place: one(m, Office, Remote),
		Address: one(m, netip.Addr{}, netip.MustParseAddr("10.1.2.3"), netip.MustParseAddr("203.0.113.9")),
		Verb:    one(m, sekisho.Read, sekisho.Read, sekisho.Read, sekisho.Export, sekisho.Update, sekisho.Other),
		Tables:  one(m, nil, []string{"crm.member"}, []string{"crm.member", "crm.passport"}),
		Purpose: one(m, "", "support", "booking"),
		Time:    sekisho.At(start.Add(time.Duration(m.IntN(3*24*60)) * time.Minute)),
		Rows:    one[uint64](m, 0, 1, 7, 49, 50, 51, 499, 500, 501, 1<<62, 1<<63),
	}
	for range m.IntN(3) {
		r.Categories |= one(m, sekisho.Identity, sekisho.TravelDoc, sekisho.Contact)
	}
	return r
}

func load(t *testing.T, files []File) *Policy {
	t.Helper()
	p, err := Load(Config{Zone: tokyo(t)}, files...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// wider: a lets something out that b does not.
func wider(a, b *Decision) string {
	switch {
	case a.Effect == Refuse:
		return ""
	case b.Effect == Refuse:
		return "it was refused"
	case b.RowCap != 0 && (a.RowCap == 0 || a.RowCap > b.RowCap):
		return "more rows"
	case b.Second && (!a.Second || a.AskAbove > b.AskAbove):
		return "without a second person"
	}
	for _, c := range sekisho.AllCategories() {
		if a.Masks.Of(c) < b.Masks.Of(c) {
			return "a weaker mask for " + c.String()
		}
	}
	for _, budget := range b.Budgets {
		if !slices.Contains(a.Budgets, budget) {
			return "without the budget " + budget.String()
		}
	}
	return ""
}

// One more forbid, with a remedy or without, in whatever place, lets nothing
// more out; one more permit takes nothing away.
func TestForbidsNarrowAndPermitsWiden(t *testing.T) {
	m := newMaker(t)
	changed := 0
	for range 150 {
		files := m.policy()
		before := load(t, files)
		narrower := load(t, slices.Insert(slices.Clone(files), m.IntN(len(files)+1), File{"more.cedar", []byte(m.forbid())}))
		widened := load(t, slices.Insert(slices.Clone(files), m.IntN(len(files)+1), File{"more.cedar", []byte(m.permit())}))
		for range 30 {
			r := m.request()
			was, narrow, wide := before.Decide(r), narrower.Decide(r), widened.Decide(r)
			if why := wider(&narrow, &was); why != "" {
				t.Fatalf("a forbid made %q of %q: %s\n%+v\n%s", narrow.String(), was.String(), why, r, texts(narrower))
			}
			if why := wider(&was, &wide); why != "" {
				t.Fatalf("a permit made %q of %q: %s\n%+v\n%s", wide.String(), was.String(), why, r, texts(widened))
			}
			if narrow.String() != was.String() || wide.String() != was.String() {
				changed++
			}
		}
	}
	if changed < 100 {
		t.Errorf("only %d decisions were changed at all: the test tests little", changed)
	}
}

// Sekisho allows without conditions what Cedar allows, and nothing else. So a
// Cedar analysis of the files holds for sekisho.
func TestUnconditionalIsCedars(t *testing.T) {
	m := newMaker(t)
	answers := map[cedar.Decision]int{}
	for range 150 {
		p := load(t, m.policy())
		all := cedar.NewPolicySet()
		for _, r := range p.rules {
			all.Add(cedar.PolicyID(r.id), r.cedar)
		}
		for range 30 {
			r := m.request()
			d, w, allow := p.Decide(r), p.world(&r), cedar.Allow
			r.each(func(verb, slot int) {
				w.request.Action, w.request.Resource = actionOf(verb), categoryOf(slot)
				one, _ := cedar.Authorize(all, w, w.request)
				allow = allow && one
			})
			answers[allow]++
			if (d.Effect == Allow) != bool(allow) {
				t.Fatalf("Cedar: %v, sekisho: %s\n%+v\n%s", allow, d.String(), r, texts(p))
			}
		}
	}
	if answers[cedar.Allow] < 100 || answers[cedar.Deny] < 100 {
		t.Errorf("too much of one kind: %v", answers)
	}
}

// The order of files and rules decides nothing but which of several reasons is
// told.
func TestOrderDoesNotMatter(t *testing.T) {
	m := newMaker(t)
	for range 100 {
		files := m.policy()
		p := load(t, files)
		m.Shuffle(len(files), func(i, j int) { files[i], files[j] = files[j], files[i] })
		q := load(t, files)
		for range 30 {
			r := m.request()
			a, b := p.Decide(r), q.Decide(r)
			slices.Sort(a.Policies)
			slices.Sort(b.Policies)
			slices.SortFunc(a.Budgets, func(x, y Budget) int { return strings.Compare(x.String(), y.String()) })
			slices.SortFunc(b.Budgets, func(x, y Budget) int { return strings.Compare(x.String(), y.String()) })
			if a.String() != b.String() || !slices.Equal(a.Policies, b.Policies) || a.Refused != b.Refused {
				t.Fatalf("%q by %v and %q by %v\n%+v\n%s", a.String(), a.Policies, b.String(), b.Policies, r, texts(p))
			}
		}
	}
}

// Requests with one key and the same tables have one decision.
func TestKey(t *testing.T) {
	m := newMaker(t)
	met := 0
	for range 80 {
		p := load(t, m.policy())
		type at struct {
			key    Key
			tables string
		}
		known := map[at]Decision{}
		of := map[at]Request{}
		for range 300 {
			r := m.request()
			k := at{p.Key(&r), strings.Join(r.Tables, ",")}
			d := p.Decide(r)
			if before, ok := known[k]; ok {
				met++
				if !reflect.DeepEqual(before, d) {
					t.Fatalf("one key, but %q and %q\n%+v\n%+v\n%s", before.String(), d.String(), of[k], r, texts(p))
				}
			}
			known[k], of[k] = d, r
		}
	}
	if met < 100 { // some 600, as chance has it
		t.Errorf("only %d requests met another of their key", met)
	}
}

// A memo answers as its policy does, also when the policy changes, when there
// are more keys than it keeps, and when many ask.
func TestMemo(t *testing.T) {
	m := newMaker(t)
	policies := []*Policy{load(t, m.policy()), load(t, m.policy())}
	var memo Memo
	requests := make([]Request, 3*memoSize)
	for i := range requests {
		requests[i] = m.request()
		requests[i].Tables = []string{"crm.member"}
		requests[i].Principal = fmt.Sprintf("p%d", i)
		requests[i].Endpoint = fmt.Sprintf("pc-%d", i)
	}
	var all sync.WaitGroup
	for _, p := range policies {
		all.Go(func() {
			for i := range 200 {
				r := requests[i%50]
				if got, want := memo.Decide(p, &r), p.Decide(r); !reflect.DeepEqual(*got, want) {
					t.Errorf("remembered %q, decided %q", got.String(), want.String())
				}
			}
		})
	}
	all.Wait()
	p := load(t, []File{{"p.cedar", []byte(`@id("a") permit (principal == Principal::"p7", action, resource);`)}})
	for i := range requests {
		d := memo.Decide(p, &requests[i])
		if len(memo.known) > memoSize {
			t.Fatalf("it keeps %d decisions", len(memo.known))
		}
		if (d.Effect == Allow) != (i == 7) {
			t.Fatalf("request %d: %s", i, d.String())
		}
	}
	r := requests[0]
	memo.Decide(p, &r)
	if n := testing.AllocsPerRun(100, func() { memo.Decide(p, &r) }); n != 0 {
		t.Errorf("%v allocations for what is remembered", n)
	}
}

func texts(p *Policy) string {
	var s string
	for _, r := range p.rules {
		s += r.text
	}
	return s
}
