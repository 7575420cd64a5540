package tell

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"sekisho"
)

// A behaviour is somebody, or something, that gets a lure: what it asks for, and
// when.
type behaviour struct {
	name  string
	share int  // of a hundred lures
	human bool // somebody followed the link
	play  func(g *mix)
}

// A mix makes the deeds of one lure out of behaviours.
type mix struct {
	*rand.Rand
	lures  *Lures
	mailed sekisho.Time
	token  Token
	deeds  []Deed
}

const (
	second = sekisho.Time(1e6)
	minute = 60 * second
	hour   = 60 * minute

	desktop = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36"
	phone   = "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.0 Mobile/15E148 Safari/604.1"
	sandbox = "Mozilla/5.0 (X11; Linux x64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/141.0.0.0 Safari/537.36"
)

func (g *mix) between(a, b sekisho.Time) sekisho.Time { return a + sekisho.Time(g.Int64N(int64(b-a))) }

func (g *mix) office() netip.Addr { return netip.AddrFrom4([4]byte{198, 51, 100, byte(g.IntN(250))}) }
func (g *mix) cloud() netip.Addr  { return netip.AddrFrom4([4]byte{203, 0, 113, byte(g.IntN(250))}) }

// ask is one request, a time after the mail was taken.
func (g *mix) ask(after sekisho.Time, did string, from netip.Addr, agent, method string, head ...string) {
	h := map[string]string{"Accept-Language": "ja,en;q=0.7"}
	for i := 0; i+1 < len(head); i += 2 {
		h[head[i]] = head[i+1]
	}
	c := Caller{Address: from, Agent: agent, Method: method, Head: h}
	g.deeds = append(g.deeds, Deed{At: g.mailed + after, Did: did, Visit: g.lures.visitOf(g.token, c), Signs: g.lures.Signs(from, agent, method, h)})
}

// behaviours are described by what makers of gateways, and people who ran drills,
// write of them; the shares are ours.
var behaviours = []behaviour{
	{"nobody does anything", 40, false, func(g *mix) {}},
	{"a person at a desk", 14, true, func(g *mix) {
		at, from := g.between(20*second, 20*hour), g.office()
		g.ask(at, "clicked", from, desktop, "GET")
		g.ask(at+g.between(second, 20*second), "stirred", from, desktop, "POST")
	}},
	{"a person with a telephone", 6, true, func(g *mix) {
		at, from := g.between(10*second, 30*hour), g.cloud()
		g.ask(at, "clicked", from, phone, "GET")
		g.ask(at+g.between(second, 5*second), "stirred", from, phone, "POST")
	}},
	{"a person whose browser runs no scripts", 2, true, func(g *mix) { g.ask(g.between(minute, 8*hour), "clicked", g.office(), desktop, "GET") }},
	{"a person without scripts who reads to the end", 1, true, func(g *mix) {
		at, from := g.between(minute, 8*hour), g.office()
		g.ask(at, "clicked", from, desktop, "GET")
		g.ask(at+minute, "learned", from, desktop, "POST")
	}},
	{"a person who was waiting for the mail", 1, true, func(g *mix) {
		at, from := g.between(2*second, 5*second), g.office()
		g.ask(at, "clicked", from, desktop, "GET")
		g.ask(at+2*second, "stirred", from, desktop, "POST")
	}},
	{"a person behind a gateway that looks first", 6, true, func(g *mix) {
		gate := g.cloud()
		g.ask(second, "clicked", gate, "Mozilla/5.0 (compatible; GatewayScanner/3.1)", "GET")
		g.ask(2*second, "trap", gate, "Mozilla/5.0 (compatible; GatewayScanner/3.1)", "GET")
		at, from := g.between(minute, 20*hour), g.office()
		g.ask(at, "clicked", from, desktop, "GET")
		g.ask(at+4*second, "stirred", from, desktop, "POST")
	}},
	{"a scanner at delivery", 10, false, func(g *mix) {
		from := g.cloud()
		for i, did := range []string{"opened", "clicked", "trap"} {
			g.ask(sekisho.Time(i)*second, did, from, "Mozilla/5.0 (compatible; GatewayScanner/3.1)", "GET")
		}
	}},
	{"a scanner at delivery that names itself a browser", 6, false, func(g *mix) { g.ask(g.between(second/10, 4*second), "clicked", g.cloud(), desktop, "GET") }},
	{"a sandbox, minutes later, that follows every link", 4, false, func(g *mix) {
		at := g.between(5*minute, hour)
		g.ask(at, "clicked", g.cloud(), desktop, "GET")
		g.ask(at+3*second, "trap", g.cloud(), desktop, "GET")
	}},
	{"a sandbox whose browser says so", 2, false, func(g *mix) { g.ask(g.between(minute, hour), "clicked", g.cloud(), sandbox, "GET") }},
	{"a checker that asks for the head only", 1, false, func(g *mix) { g.ask(g.between(minute, hour), "clicked", g.cloud(), desktop, "HEAD") }},
	{"a reputation service, from three places", 3, false, func(g *mix) {
		at := g.between(10*minute, 3*hour)
		for i := range 3 {
			g.ask(at+sekisho.Time(i)*4*second, "clicked", netip.AddrFrom4([4]byte{192, 0, 2, byte(10 + i)}), desktop, "GET")
		}
	}},
	{"a program that shows previews in a chat", 1, false, func(g *mix) {
		g.ask(g.between(minute, 5*hour), "clicked", g.cloud(), "Slackbot-LinkExpanding 1.0", "GET")
	}},
	{"a sandbox that passes for a person's browser", 2, false, func(g *mix) {
		g.ask(g.between(20*minute, 5*hour), "clicked", netip.AddrFrom4([4]byte{192, 0, 2, 77}), desktop, "GET")
	}},
	{"a sandbox that moves a mouse", 1, false, func(g *mix) {
		at, from := g.between(20*minute, 2*hour), netip.AddrFrom4([4]byte{192, 0, 2, 78})
		g.ask(at, "clicked", from, desktop, "GET")
		g.ask(at+3*second, "stirred", from, desktop, "POST")
	}},
}

// How well people are told from machines on a mix of both that is labelled. What
// cannot be told is uncertain, and counts for neither.
func TestPeopleAndMachines(t *testing.T) {
	l := &Lures{Config: LuresConfig{Scanners: Scanners{Agents: []string{"GatewayScanner"}}}}
	r := rand.New(rand.NewPCG(20261122, 7))
	total := 0
	for _, b := range behaviours {
		total += b.share
	}
	if total != 100 {
		t.Fatalf("the shares are %d hundredths", total)
	}
	got := map[string]map[string]int{} // behaviour → class → lures
	truth := map[bool]map[string]int{true: {}, false: {}}
	const lures = 20_000
	for n := range lures {
		i, at := 0, r.IntN(100)
		for at >= behaviours[i].share {
			at -= behaviours[i].share
			i++
		}
		b := behaviours[i]
		g := &mix{Rand: r, lures: l, mailed: 1_780_000_000_000_000, token: Token{Campaign: 1, Who: uint64(n)}}
		b.play(g)
		slices.SortStableFunc(g.deeds, func(a, b Deed) int { return int(a.At - b.At) })
		o := outcomeOf(g.deeds, g.mailed)
		class := "nothing"
		if c, ok := o.did["clicked"]; ok {
			class = c.String()
		}
		if got[b.name] == nil {
			got[b.name] = map[string]int{}
		}
		got[b.name][class]++
		if class != "nothing" {
			truth[b.human][class]++
		}
	}
	var text strings.Builder
	for _, b := range behaviours {
		fmt.Fprintf(&text, "%-50s %v\n", b.name, got[b.name])
	}
	h, m := truth[true], truth[false]
	ratio := func(a, b int) string { return fmt.Sprintf("%d / %d = %.3f", a, b, float64(a)/float64(b)) }
	fmt.Fprintf(&text, "people: precision %s, recall %s\n", ratio(h["human"], h["human"]+m["human"]), ratio(h["human"], h["human"]+h["uncertain"]+h["machine"]))
	fmt.Fprintf(&text, "machines: precision %s, recall %s\n", ratio(m["machine"], h["machine"]+m["machine"]), ratio(m["machine"], m["human"]+m["uncertain"]+m["machine"]))
	fmt.Fprintf(&text, "uncertain: %d of %d\n", h["uncertain"]+m["uncertain"], h["human"]+h["uncertain"]+h["machine"]+m["human"]+m["uncertain"]+m["machine"])
	golden(t, "testdata/people-and-machines.txt", text.String())
}

// golden compares a text with a file, which is written by hand of what a test
// says.
func golden(t *testing.T, name, got string) {
	t.Helper()
	want, err := os.ReadFile(name)
	if err != nil || string(want) != got {
		t.Errorf("%s (%v) differs; got\n%s", name, err, got)
	}
}
