package contain_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sekisho/contain"
	"sekisho/sekishotest/handtest"
	"sekisho/sekishotest/network"
)

// onRouter is a hand whose nft runs on the office's router.
type onRouter struct {
	*contain.Nftables
	at *network.Machine
}

func (h onRouter) do(f func() error) (err error) {
	h.at.Do(func() { err = f() })
	return err
}

func (h onRouter) Apply(ctx context.Context, d contain.Desired) error {
	return h.do(func() error { return h.Nftables.Apply(ctx, d) })
}

func (h onRouter) Enforced(ctx context.Context) (o contain.Observed, err error) {
	err = h.do(func() (err error) { o, err = h.Nftables.Enforced(ctx); return err })
	return o, err
}

func (o *office) hand(r contain.Router) onRouter {
	o.t.Helper()
	n, err := contain.NewNftables("edge", "router", "", r)
	if err != nil {
		o.t.Fatal(err)
	}
	return onRouter{n, o.router}
}

func (o *office) desired(cut ...netip.Addr) contain.Desired {
	d := contain.Desired{Through: 1, Orders: []uint64{1}, Inside: prefixes("10.0.0.0/8", "fd00::/8")}
	for i, a := range cut {
		d.Targets = append(d.Targets, contain.Target{Endpoint: fmt.Sprintf("pc-%d", i), Addresses: []netip.Prefix{netip.PrefixFrom(a, a.BitLen())}, Cuts: 1, Orders: []uint64{1}})
	}
	return d
}

func (o *office) apply(h contain.Hand, d contain.Desired) {
	o.t.Helper()
	if err := h.Apply(o.t.Context(), d); err != nil {
		o.t.Fatal(err)
	}
	if diff := o.compare(h, d); !diff.None() {
		o.t.Fatalf("after applying: %+v", diff)
	}
}

func (o *office) compare(h contain.Hand, d contain.Desired) contain.Difference {
	o.t.Helper()
	got, err := h.Enforced(o.t.Context())
	if err != nil {
		o.t.Fatal(err)
	}
	return contain.Compare(contain.Only(d, h.Does()), got)
}

// The suite, on a real router, tried by real terminals.
func TestNftablesKeepsTheContract(t *testing.T) {
	o := newOffice(t)
	o.a.Run("ip", "addr", "add", "10.1.1.3/24", "dev", "eth0")
	handtest.Run(t, handtest.Case{
		Open: func(*testing.T) contain.Hand { return o.hand(contain.Router{}) },
		Break: func(t *testing.T) {
			o.router.Run("nft", "delete", "element", "inet", "sekisho", "hosts4", "{", "10.1.1.2", "}")
		},
		From: []netip.Addr{o.a4, netip.MustParseAddr("10.1.1.3"), o.a6}, To: o.out4, Inside: o.inside4,
		Cut: func(t *testing.T, from, to netip.Addr) bool {
			if from.Is6() && to == o.out4 {
				to = o.out6
			} else if from.Is6() {
				return false // the suite's inside has one address, of the other family
			}
			return !reaches(o.a, "tcp", from, to, 7)
		},
	})
}

// What a contained terminal reaches, and what its neighbour does, before, during
// and after.
func TestNftablesCutsOutsideOnly(t *testing.T) {
	o := newOffice(t)
	h := o.hand(contain.Router{Responders: []string{"tcp/203.0.113.9:443"}})
	all := o.view(o.b)
	if strings.Contains(all, "cut") {
		t.Fatalf("nothing is contained, and b sees\n%s", all)
	}
	o.apply(h, o.desired(o.a4, o.a6))
	want := `outside tcp4       cut
outside tcp6       cut
outside udp4       cut
outside udp6       cut
outside names4     cut
outside names6     cut
inside names       cut
inside tcp4        open
inside tcp6        open
inside udp4        open
inside udp6        open
responder tcp 443  open
responder tcp 7    cut
`
	if got := o.view(o.a); got != want {
		t.Errorf("a, contained, sees\n%swant\n%s", got, want)
	}
	if got := o.view(o.b); got != all {
		t.Errorf("b, not contained, sees\n%s", got)
	}
	if reaches(o.outside, "tcp", netip.Addr{}, o.a4, 7) || reaches(o.outside, "udp", netip.Addr{}, o.a6, 7) {
		t.Error("the outside reaches a")
	}
	o.apply(h, contain.Desired{})
	if got := o.view(o.a); got != all {
		t.Errorf("a, given back, sees\n%s", got)
	}

	// A name server that asks nobody outside may be left to it.
	o.apply(o.hand(contain.Router{Resolvers: []string{o.inside4.String()}}), o.desired(o.a4, o.a6))
	if !resolves(o.a, o.inside4) || resolves(o.a, o.out4) {
		t.Error("of two name servers the declared one is to answer, and it alone")
	}
	// A machine inside that passes on what it is given is outside.
	o.apply(o.hand(contain.Router{Relays: []string{"tcp/10.2.0.2:443"}}), o.desired(o.a4, o.a6))
	if reaches(o.a, "tcp", netip.Addr{}, o.inside4, 443) || !reaches(o.a, "tcp", netip.Addr{}, o.inside4, 7) {
		t.Error("the relay's port is to be closed, and no other")
	}
}

// Nobody may reach a hostile destination, nor be reached from it; others may.
func TestNftablesClosesDestinations(t *testing.T) {
	o := newOffice(t)
	d := contain.Desired{Destinations: prefixes("203.0.113.2/32", "2001:db8:113::/64")}
	h := o.hand(contain.Router{})
	c, err := dial(o.b, "tcp", netip.Addr{}, netip.AddrPortFrom(o.out4, 7))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	o.apply(h, d)
	if _, err := said(c, []byte("more")); err == nil {
		t.Error("an open connection to it goes on")
	}
	if reaches(o.b, "tcp", netip.Addr{}, o.out4, 7) || reaches(o.b, "udp", netip.Addr{}, o.out6, 7) {
		t.Error("the destinations are reached")
	}
	if !reaches(o.b, "tcp", netip.Addr{}, o.responder4, 7) {
		t.Error("its neighbour is not")
	}
}

// Connections that exist end: both sides are told.
func TestNftablesEndsConnections(t *testing.T) {
	for name, before := range map[string]string{
		"plain": "",
		"a stateful firewall that lets established connections pass": "table inet site { chain f { type filter hook forward priority filter; policy drop; ct state established,related accept; iifname { lan-a, lan-b } accept\n}\n}",
		"with addresses translated":                                  "table inet site { chain n { type nat hook postrouting priority srcnat; oifname wan masquerade\n}\n}",
	} {
		t.Run(name, func(t *testing.T) {
			o := newOffice(t)
			o.router.Feed(before, "nft", "-f", "-")
			h := o.hand(contain.Router{})
			streams := map[string]net.Conn{}
			open := func(what string, m *network.Machine, to netip.Addr) {
				c, err := dial(m, "tcp", netip.Addr{}, netip.AddrPortFrom(to, 7))
				if err != nil {
					t.Fatal(what, err)
				}
				t.Cleanup(func() { c.Close() })
				streams[what] = c
				if _, err := said(c, []byte("word")); err != nil {
					t.Fatal(what, err)
				}
			}
			open("a to outside 4", o.a, o.out4)
			open("a to outside 6", o.a, o.out6)
			open("a to inside", o.a, o.inside4)
			open("b to outside", o.b, o.out4)
			o.apply(h, o.desired(o.a4, o.a6))
			for what, c := range streams {
				_, err := said(c, []byte("more"))
				cut := strings.HasPrefix(what, "a to outside")
				if (err != nil) != cut {
					t.Errorf("%s: %v", what, err)
				}
				if cut && !strings.Contains(fmt.Sprint(err), "reset") {
					t.Errorf("%s: %v: a program should not have to wait for its end", what, err)
				}
			}
		})
	}
}

// A router that has web traffic taken to a proxy of its own must not let a
// contained terminal out by it: what is translated looks like the router's own.
func TestNftablesSeesThroughTranslation(t *testing.T) {
	o := newOffice(t)
	o.echo(o.router, ":3128")
	o.router.Feed("table ip site { chain n { type nat hook prerouting priority dstnat; tcp dport 80 redirect to :3128; ip daddr 203.0.113.50 dnat to 10.2.0.2; ip daddr 10.2.0.50 dnat to 203.0.113.2\n}\n}", "nft", "-f", "-")
	for _, way := range []struct {
		to   string
		port uint16
	}{{"203.0.113.2", 80}, {"203.0.113.50", 7}, {"10.2.0.50", 7}, {"10.1.1.1", 3128}} {
		to := netip.MustParseAddr(way.to)
		if !reaches(o.a, "tcp", netip.Addr{}, to, way.port) {
			t.Fatalf("%v is not reached before anything is contained", way)
		}
		o.apply(o.hand(contain.Router{}), o.desired(o.a4))
		if reaches(o.a, "tcp", netip.Addr{}, to, way.port) {
			t.Errorf("%v is reached by a contained terminal", way)
		}
		o.apply(o.hand(contain.Router{}), contain.Desired{})
	}
}

// A terminal is more than the address by which it is known: on a direct link
// its other addresses are cut too, those it has not yet used as well.
func TestNftablesContainsTheMachine(t *testing.T) {
	o := newOffice(t)
	private := netip.MustParseAddr("fd00:1:1::aaaa")
	o.a.Run("ip", "-6", "addr", "add", private.String()+"/64", "dev", "eth0", "nodad")
	reaches(o.a, "tcp", netip.Addr{}, o.inside4, 7) // so that the router knows its neighbour
	h := o.hand(contain.Router{Direct: []string{"lan-a", "lan-b"}})
	d := o.desired(o.a4)
	o.apply(h, d)
	for _, from := range []netip.Addr{o.a6, private} {
		if reaches(o.a, "tcp", from, o.out6, 7) {
			t.Errorf("from %v, of which nobody had told, the outside is reached", from)
		}
		if !reaches(o.a, "tcp", from, o.inside6, 7) {
			t.Errorf("from %v the inside is not reached", from)
		}
	}
	o.a.Run("ip", "addr", "add", "10.1.1.77/24", "dev", "eth0")
	if reaches(o.a, "tcp", netip.MustParseAddr("10.1.1.77"), o.out4, 7) {
		t.Error("a new address leads outside")
	}
	if !reaches(o.b, "tcp", netip.Addr{}, o.out6, 7) {
		t.Error("b is cut")
	}
	o.apply(h, contain.Desired{})
	if !reaches(o.a, "tcp", private, o.out6, 7) {
		t.Error("given back, it stays cut")
	}
	o.apply(o.hand(contain.Router{Alone: map[string]string{"lan-a": o.a4.String()}}), d)
	if reaches(o.a, "tcp", private, o.out6, 7) || !reaches(o.b, "tcp", netip.Addr{}, o.out6, 7) {
		t.Error("its link is cut as a whole, and no other")
	}
}

// Whatever is changed by hand at the router is seen and put back.
func TestNftablesSeesDrift(t *testing.T) {
	o := newOffice(t)
	h := o.hand(contain.Router{})
	d := o.desired(o.a4, o.a6)
	d.Targets[0].Addresses = append(d.Targets[0].Addresses, prefixes("10.1.0.0/23", "10.1.1.0/24")...)
	d.Destinations = prefixes("198.51.100.7/32")
	o.apply(h, d)
	for _, by := range []string{
		"flush ruleset",
		"delete table inet sekisho",
		"flush chain inet sekisho coming",
		"flush chain inet sekisho refuse",
		"insert rule inet sekisho from accept",
		"add chain inet sekisho coming { policy drop ; }",
		"flush set inet sekisho hosts6",
		"delete element inet sekisho hosts4 { 10.1.1.2 }",
		"delete element inet sekisho nets4 { 10.1.0.0/23 }",
		"delete element inet sekisho hostile4 { 198.51.100.7 }",
		"add element inet sekisho hosts4 { 10.9.9.9 }",
		`add element inet sekisho hosts4 { 10.9.9.8 comment "mine" }`,
		"add element inet sekisho inside4 { 203.0.113.0/24 }",
		"add element inet sekisho open4 { 10.1.1.0/24 }",
		"add element inet sekisho relays4 { 10.2.0.2 }",
		"add element inet sekisho macs { 02:00:00:00:00:01 }",
		"add set inet sekisho more { type ipv4_addr ; }",
	} {
		o.router.Feed(by, "nft", "-f", "-")
		if diff := o.compare(h, d); diff.None() {
			t.Errorf("%s: not seen", by)
		}
		o.apply(h, d)
	}
	// A rule taken out by its number, as a person at the router would.
	rules := o.router.Run("nft", "-a", "list", "chain", "inet", "sekisho", "passing")
	for line := range strings.Lines(rules) {
		if _, handle, ok := strings.Cut(strings.TrimSpace(line), "jump out # handle "); ok {
			o.router.Run("nft", "delete", "rule", "inet", "sekisho", "passing", "handle", handle)
			break
		}
	}
	if diff := o.compare(h, d); diff.None() {
		t.Error("a rule taken out is not seen")
	}
	o.apply(h, d)
	if reaches(o.a, "tcp", netip.Addr{}, o.out4, 7) {
		t.Error("put back, it does not hold")
	}
}

// While others come and go and rules are put back, not one datagram of the
// contained gets out and not one of others is lost for it.
func TestNftablesDoesNotLeakWhileItChanges(t *testing.T) {
	o := newOffice(t)
	h := o.hand(contain.Router{})
	var fromA, fromB atomic.Int64
	var sink net.PacketConn
	var err error
	o.outside.Do(func() { sink, err = net.ListenPacket("udp", ":9999") })
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	go func() {
		b := make([]byte, 100)
		for {
			_, from, err := sink.ReadFrom(b)
			if err != nil {
				return
			}
			switch a := from.(*net.UDPAddr).AddrPort().Addr().Unmap(); a {
			case o.a4, o.a6:
				fromA.Add(1)
			case o.b4:
				fromB.Add(1)
			}
		}
	}()
	stop := make(chan struct{})
	done := make(chan struct{})
	flood := func(m *network.Machine, to netip.Addr, pause time.Duration) {
		c, err := dial(m, "udp", netip.Addr{}, netip.AddrPortFrom(to, 9999))
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			defer func() { c.Close(); done <- struct{}{} }()
			for {
				select {
				case <-stop:
					return
				default:
					c.Write([]byte("leak"))
					time.Sleep(pause)
				}
			}
		}()
	}
	flood(o.a, o.out4, 20*time.Microsecond)
	flood(o.a, o.out6, 20*time.Microsecond)
	flood(o.b, o.out4, 100*time.Microsecond)
	for fromA.Load() == 0 || fromB.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	var others []netip.Addr
	for i := range 2000 {
		others = append(others, netip.AddrFrom4([4]byte{10, 50, byte(i >> 8), byte(i)}))
	}
	few, many := o.desired(o.a4, o.a6), o.desired(append(slices.Clone(others), o.a4, o.a6)...)
	many.Targets[0].Addresses = append(many.Targets[0].Addresses, prefixes("10.60.0.0/16")...)
	o.apply(h, few)
	// What was on the way arrives, and whatever b sends after it.
	more := func(n int64) {
		for upTo := fromB.Load() + n; fromB.Load() < upTo; {
			time.Sleep(time.Millisecond)
		}
	}
	more(1000)
	leaked := fromA.Load()
	rounds := 30
	for i := range rounds {
		o.apply(h, []contain.Desired{few, many}[i%2])
		if i%3 == 0 {
			o.router.Run("nft", "add", "rule", "inet", "sekisho", "refuse", "counter")
		}
	}
	more(10)
	close(stop)
	for range 3 {
		<-done
	}
	if n := fromA.Load() - leaked; n != 0 {
		t.Errorf("%d datagrams of the contained terminal got out in %d changes", n, rounds)
	}
}

// Ten thousand terminals.
func TestNftablesManyTerminals(t *testing.T) {
	o := newOffice(t)
	h := o.hand(contain.Router{})
	o.apply(h, contain.Desired{})
	var all []netip.Addr
	for i := range 5000 {
		all = append(all, netip.AddrFrom4([4]byte{10, 50, byte(i >> 8), byte(i)}), netip.AddrFrom16([16]byte{0xfd, 0, 14: byte(i >> 8), 15: byte(i)}))
	}
	d := o.desired(append(all, o.a4)...)
	began := time.Now()
	if err := h.Apply(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	applied := time.Now()
	diff := o.compare(h, d)
	t.Logf("%d terminals: applied and read back in %v, read back again in %v", len(d.Targets), applied.Sub(began).Round(time.Millisecond), time.Since(applied).Round(time.Millisecond))
	if !diff.None() || diff.Enforced != len(all)+1 {
		t.Errorf("%d of %d enforced, %+v", diff.Enforced, diff.Intended, diff.Faults)
	}
	if reaches(o.a, "tcp", netip.Addr{}, o.out4, 7) {
		t.Error("the last of them reaches the outside")
	}
}

// What the firewall cannot be told is refused before anything is changed.
func TestNftablesRefuses(t *testing.T) {
	for _, r := range []contain.Router{
		{Table: "a b"}, {Inside: []string{"0.0.0.0/0"}}, {Inside: []string{"x"}}, {Outside: []string{"eth0; drop"}}, {Direct: []string{`"`}},
		{Responders: []string{"tcp/203.0.113.9"}}, {Relays: []string{"sctp/10.0.0.1:1"}}, {Resolvers: []string{"dns"}}, {Services: []string{"22"}},
		{Services: []string{"tcp/0"}}, {Alone: map[string]string{"eth9": "who"}},
	} {
		if _, err := contain.NewNftables("edge", "router", "", r); err == nil {
			t.Errorf("%+v was taken", r)
		}
	}
	n, err := contain.NewNftables("edge", "router", "/nonexistent/nft", contain.Router{})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []contain.Fence{
		{Egress: prefixes("0.0.0.0/0")}, {Egress: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/8")}}, {Destinations: []netip.Prefix{{}}},
		{Inside: prefixes("::/0")}, {Egress: []netip.Prefix{netip.MustParsePrefix("::ffff:10.0.0.1/128")}},
	} {
		if err := n.Fence(t.Context(), f); err == nil || !strings.Contains(err.Error(), "router") {
			t.Errorf("%+v: %v", f, err)
		}
	}
	if err := n.Fence(t.Context(), contain.Fence{}); err == nil || errors.Is(err, contain.ErrPartial) {
		t.Errorf("without nft: %v", err)
	}
	if _, err := n.Enforced(t.Context()); err == nil {
		t.Error("without nft it can say what is in force")
	}

}
