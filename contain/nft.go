package contain

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/netip"
	"sekisho"
	"slices"
	"strconv"
	"strings"
)

// MostFenced is how many addresses and prefixes one router takes at most.
const MostFenced = 200_000

// A Fence is what a router is to enforce.
type Fence struct {
	Egress       []netip.Prefix // sources whose way out is cut
	Destinations []netip.Prefix // that nobody may reach, or be reached from
	Inside       []netip.Prefix // what is no outside: it stays reachable
	Open         []netip.Prefix // never cut, as a source; and never closed, as a destination
}

// Fence is what a router enforces of d.
func (d Desired) Fence() Fence {
	o := Only(d, DoesEgress|DoesDestinations)
	return Fence{Egress: o.Egress, Destinations: o.Destinations, Inside: d.Inside, Open: d.Open}
}

// Router is what a firewall must know to cut somebody off the outside and
// nothing else. It is told by whoever runs the router, never by the network.
type Router struct {
	// Table is the name of the table of family inet that is ours alone. Default
	// sekisho.
	Table string `yaml:"table"`
	// Inside lists the prefixes of both families that contained terminals can go
	// on reaching through this router, if it is to be other than what sekisho
	// says (contain.inside).
	Inside []string `yaml:"inside"`
	// Outside lists the router's links to the outside, such as ppp0. Nothing of a
	// contained terminal passes there, whatever address it is for, but to
	// responders. It helps against addresses that only look like inside ones.
	Outside []string `yaml:"outside"`
	// Responders are paths that stay open beside those that sekisho says
	// (contain.open), wherever they lead: an address, a prefix, or
	// tcp/203.0.113.9:443.
	Responders []string `yaml:"responders"`
	// Relays are places inside that pass on to the outside what they are given:
	// proxies, mail relays, a prefix of NAT64. They are closed to contained
	// terminals. Written as responders are.
	Relays []string `yaml:"relays"`
	// Resolvers are name servers inside that a contained terminal may go on
	// asking, because they ask nobody outside for it. Any other name server is
	// closed to it, those inside too: one that forwards questions is a way out.
	Resolvers []string `yaml:"resolvers"`
	// Services of the router itself that a contained terminal may use, such as
	// tcp/22. Addresses by DHCP, ICMP and the discovery of neighbours need no
	// mention.
	Services []string `yaml:"services"`
	// Direct lists links on which terminals are neighbours of the router, with no
	// other router between. There a contained address is contained by its
	// hardware address too, with every other address the machine has or takes.
	Direct []string `yaml:"direct"`
	// Alone says of links on which there is one terminal only, such as a port or
	// a VLAN of its own, which address that has: link to address. It is contained
	// with the whole link.
	Alone map[string]string `yaml:"alone"`
}

// A path is an address or prefix, and perhaps one protocol and port of it.
type path struct {
	to    netip.Prefix
	proto string // tcp, udp; empty: everything
	port  uint16
}

// plan is a Router that was read.
type plan struct {
	table              string
	inside             []netip.Prefix // nil: as the fence says
	outside, direct    []string
	alone              map[string]netip.Addr
	responders, relays []path
	resolvers          []netip.Prefix
	services           []path
}

// reading reads what was configured and names the first mistake.
func (r Router) reading() (p plan, err error) {
	p.table = cmp.Or(r.Table, "sekisho")
	if !plainName(p.table) {
		return p, fmt.Errorf("table %q: use letters, digits and _ only", p.table)
	}
	for _, s := range r.Inside {
		pre, err := sekisho.ParsePrefix(s)
		if err != nil {
			return p, fmt.Errorf("inside: %w", err)
		}
		if pre.Bits() == 0 {
			return p, fmt.Errorf("inside: %s is everybody", s)
		}
		p.inside = append(p.inside, pre)
	}
	for _, s := range r.Resolvers {
		pre, err := sekisho.ParsePrefix(s)
		if err != nil {
			return p, fmt.Errorf("resolvers: %w", err)
		}
		p.resolvers = append(p.resolvers, pre)
	}
	for _, l := range []struct {
		key  string
		list []string
		into *[]path
	}{{"responders", r.Responders, &p.responders}, {"relays", r.Relays, &p.relays}} {
		for _, s := range l.list {
			one, err := parsePath(s)
			if err != nil {
				return p, fmt.Errorf("%s: %w", l.key, err)
			}
			*l.into = append(*l.into, one)
		}
	}
	for _, s := range r.Services {
		proto, port, err := parsePort(s)
		if err != nil {
			return p, fmt.Errorf("services: %w", err)
		}
		p.services = append(p.services, path{proto: proto, port: port})
	}
	for _, l := range []struct {
		key  string
		list []string
		into *[]string
	}{{"outside", r.Outside, &p.outside}, {"direct", r.Direct, &p.direct}} {
		for _, s := range l.list {
			if !linkName(s) {
				return p, fmt.Errorf("%s: %q is no name of a link", l.key, s)
			}
		}
		*l.into = l.list
	}
	p.alone = map[string]netip.Addr{}
	for link, address := range r.Alone {
		a, err := sekisho.ParseAddress(address)
		if err != nil || !linkName(link) {
			return p, fmt.Errorf("alone: %q: %q is not a link with the address of its one terminal", link, address)
		}
		p.alone[link] = a
	}
	return p, nil
}

// parsePath reads 203.0.113.9, 203.0.113.0/28, tcp/203.0.113.9:443 or
// udp/[2001:db8::9]:500.
func parsePath(s string) (path, error) {
	for _, proto := range []string{"tcp", "udp"} {
		rest, ok := strings.CutPrefix(s, proto+"/")
		if !ok {
			continue
		}
		a, err := netip.ParseAddrPort(rest)
		if err != nil || a.Port() == 0 || a.Addr().Zone() != "" {
			return path{}, fmt.Errorf("%q: write an address and a port, such as %s/203.0.113.9:443", s, proto)
		}
		to := a.Addr().Unmap()
		return path{netip.PrefixFrom(to, to.BitLen()), proto, a.Port()}, nil
	}
	to, err := sekisho.ParsePrefix(s)
	return path{to: to}, err
}

// parsePort reads tcp/22.
func parsePort(s string) (proto string, port uint16, err error) {
	proto, number, _ := strings.Cut(s, "/")
	n, err := strconv.ParseUint(number, 10, 16)
	if err != nil || n == 0 || (proto != "tcp" && proto != "udp") {
		return "", 0, fmt.Errorf("%q: write tcp/22 or udp/500", s)
	}
	return proto, uint16(n), nil
}

func plainName(s string) bool {
	return s != "" && len(s) <= 31 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == ""
}

// linkName says whether Linux would take s for a link's name, and nft for
// nothing else.
func linkName(s string) bool {
	return s != "" && len(s) <= 15 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.@") == "" && s != "." && s != ".."
}

// check says what is wrong with a fence.
func (f Fence) check() error {
	if n := len(f.Egress) + len(f.Destinations); n > MostFenced {
		return fmt.Errorf("%d addresses and prefixes are more than the %d that one router takes", n, MostFenced)
	}
	for _, list := range [][]netip.Prefix{f.Egress, f.Destinations, f.Inside, f.Open} {
		for _, p := range list {
			switch {
			case !p.IsValid() || p.Addr().Is4In6() || p.Addr().Zone() != "" || p.Masked() != p:
				return fmt.Errorf("%v is no address or prefix that a router knows", p)
			case p.Bits() == 0:
				return fmt.Errorf("%v is everybody", p)
			}
		}
	}
	return nil
}

func comparePrefixes(a, b netip.Prefix) int {
	return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
}

// Sets by name. Single addresses and prefixes are apart: so an address never
// has to leave a set because a prefix that covers it comes, and what stays
// contained is never touched while others come and go. Kin are the other
// addresses of the same machines.
const (
	hosts4, nets4 = "hosts4", "nets4"
	hosts6, nets6 = "hosts6", "nets6"
	hostile4      = "hostile4"
	hostile6      = "hostile6"
	hostileNets4  = "hostilenets4"
	hostileNets6  = "hostilenets6"
	kin4, kin6    = "kin4", "kin6"
	macs, links   = "macs", "links"
	inside, open_ = "inside", "open"
)

// A setShape is how a set is made.
type setShape struct {
	name     string
	kind     any // as nft names it: "ipv4_addr", or a list for a concatenation
	interval bool
}

// shapes of all sets, in the order in which they are made.
func shapes() []setShape {
	path4, path6 := []string{"ipv4_addr", "inet_proto", "inet_service"}, []string{"ipv6_addr", "inet_proto", "inet_service"}
	return []setShape{
		{hosts4, "ipv4_addr", false}, {nets4, "ipv4_addr", true},
		{hosts6, "ipv6_addr", false}, {nets6, "ipv6_addr", true},
		{hostile4, "ipv4_addr", false}, {hostileNets4, "ipv4_addr", true},
		{hostile6, "ipv6_addr", false}, {hostileNets6, "ipv6_addr", true},
		{kin4, "ipv4_addr", false}, {kin6, "ipv6_addr", false},
		{macs, "ether_addr", false}, {links, "ifname", false},
		{"inside4", "ipv4_addr", true}, {"inside6", "ipv6_addr", true},
		{"open4", "ipv4_addr", true}, {"open6", "ipv6_addr", true},
		{"outside", "ifname", false},
		{"responders4", "ipv4_addr", true}, {"responders6", "ipv6_addr", true},
		{"paths4", path4, false}, {"paths6", path6, false},
		{"relays4", "ipv4_addr", true}, {"relays6", "ipv6_addr", true},
		{"relaying4", path4, false}, {"relaying6", path6, false},
		{"resolvers4", "ipv4_addr", true}, {"resolvers6", "ipv6_addr", true},
		{"services", []string{"inet_proto", "inet_service"}, false},
	}
}

// kin is what else the contained machines are known by at this router.
type kin struct {
	addresses []netip.Addr
	macs      []string
	links     []string
}

func (k kin) same(as kin) bool {
	return slices.Equal(k.addresses, as.addresses) && slices.Equal(k.macs, as.macs) && slices.Equal(k.links, as.links)
}

// sets are the elements of every set.
func (p plan) sets(f Fence, k kin) map[string]elements {
	out := make(map[string]elements, 30)
	for _, s := range shapes() {
		out[s.name] = elements{}
	}
	put := func(list []netip.Prefix, hosts, nets string) {
		for _, a := range list {
			into := nets
			if a.IsSingleIP() {
				into = hosts
			}
			out[into+family(a.Addr())].prefix(a)
		}
	}
	put(f.Egress, "hosts", "nets")
	put(f.Destinations, "hostile", "hostilenets")
	for _, a := range k.addresses {
		out["kin"+family(a)].plain(a.String())
	}
	for _, m := range k.macs {
		out[macs].plain(m)
	}
	for _, l := range k.links {
		out[links].plain(l)
	}
	for _, l := range p.outside {
		out["outside"].plain(l)
	}
	reachable := f.Inside
	if p.inside != nil {
		reachable = p.inside
	}
	put(reachable, inside, inside)
	put(f.Open, open_, open_)
	put(p.resolvers, "resolvers", "resolvers")
	paths := func(list []path, whole, ports string) {
		for _, one := range list {
			if one.proto == "" {
				out[whole+family(one.to.Addr())].prefix(one.to)
			} else {
				out[ports+family(one.to.Addr())].concat(one.to.Addr().String(), one.proto, int(one.port))
			}
		}
	}
	paths(p.responders, "responders", "paths")
	paths(p.relays, "relays", "relaying")
	for _, one := range p.services {
		out["services"].concat(one.proto, int(one.port))
	}
	for _, s := range shapes() {
		if s.interval {
			out[s.name].withoutCovered()
		}
	}
	return out
}

func family(a netip.Addr) string {
	if a.Is4() {
		return "4"
	}
	return "6"
}

// elements of one set: how each is written for nft, by its canonical text. That
// of a prefix is itself, so that address and prefix are told apart.
type elements map[string]any

func (e elements) plain(s string) { e[s] = s }

func (e elements) prefix(p netip.Prefix) {
	if p.IsSingleIP() {
		e.plain(p.Addr().String())
	} else {
		e[p.String()] = map[string]any{"prefix": map[string]any{"addr": p.Addr().String(), "len": p.Bits()}}
	}
}

func (e elements) concat(parts ...any) {
	var name []string
	for _, p := range parts {
		name = append(name, fmt.Sprint(p))
	}
	e[strings.Join(name, " . ")] = map[string]any{"concat": parts}
}

// withoutCovered leaves out what another element covers: a set of intervals
// takes no two that overlap.
func (e elements) withoutCovered() {
	var list []netip.Prefix
	for text := range e {
		if p, err := sekisho.ParsePrefix(text); err == nil {
			list = append(list, p)
		}
	}
	slices.SortFunc(list, comparePrefixes)
	var last netip.Prefix
	for _, p := range list {
		if last.IsValid() && last.Contains(p.Addr()) && last.Bits() <= p.Bits() && last != p {
			if p.IsSingleIP() {
				delete(e, p.Addr().String())
			} else {
				delete(e, p.String())
			}
			continue
		}
		last = p
	}
}

// The words of nft's JSON (libnftables-json(5)) that our rules are made of.
type node = map[string]any

func field(protocol, name string) node {
	return node{"payload": node{"protocol": protocol, "field": name}}
}
func meta(key string) node   { return node{"meta": node{"key": key}} }
func concat(of ...any) node  { return node{"concat": of} }
func one(right ...any) node  { return node{"set": right} }
func is(left, right any) any { return node{"match": node{"op": "==", "left": left, "right": right}} }
func isNot(left, right any) any {
	return node{"match": node{"op": "!=", "left": left, "right": right}}
}
func verdict(v string) any           { return node{v: nil} }
func jump(chain string) any          { return node{"jump": node{"target": chain}} }
func goTo(chain string) any          { return node{"goto": node{"target": chain}} }
func fib(flags ...string) node       { return node{"fib": node{"result": "type", "flags": flags}} }
func within(p string, bits int) node { return node{"prefix": node{"addr": p, "len": bits}} }

// A chain, with its rules in order.
type chain struct {
	name, hook string // hook is empty for one that others jump to
	prio       int
	rules      [][]any
}

// chains of the table. A packet of a contained terminal meets them twice: as it
// comes, before any translation of addresses can make an outside destination
// look like an inside one or the router's own, and again as it is forwarded,
// when it is known where it really goes. Both are stateless, so a connection
// that exists ends as one does that is new.
func chains() []chain {
	accept, drop := verdict("accept"), verdict("drop")
	ports := meta("l4proto")
	tcpOrUDP := is(ports, one("tcp", "udp"))
	to, from := field("th", "dport"), field("th", "sport")
	each := func(version, end, then string, sets ...string) (out [][]any) {
		for _, s := range sets {
			out = append(out, []any{is(field(version, end), "@"+s), jump(then)})
		}
		return out
	}
	// Who comes by a contained machine or link is contained, whatever address it
	// writes as its own; an open one too, then.
	sources := func(then string) [][]any {
		return slices.Concat(
			[][]any{{is(field("ether", "saddr"), "@"+macs), jump(then)}, {is(meta("iifname"), "@"+links), jump(then)}},
			[][]any{{is(field("ip", "saddr"), "@open4"), accept}, {is(field("ip6", "saddr"), "@open6"), accept}},
			each("ip", "saddr", then, hosts4, nets4, kin4), each("ip6", "saddr", then, hosts6, nets6, kin6))
	}
	hostile := func(end, then string) [][]any {
		return slices.Concat(each("ip", end, then, hostile4, hostileNets4), each("ip6", end, then, hostile6, hostileNets6))
	}
	// What comes by lo was sent by this machine: its own programs, the agent's talk
	// to sekisho too, whatever address of theirs a terminal is said to have.
	coming := slices.Concat([][]any{{is(meta("iifname"), "lo"), accept}}, hostile("daddr", "hostile"), sources("from"))
	passing := slices.Concat(hostile("daddr", "hostile"), hostile("saddr", "hostilefrom"), sources("out"),
		[][]any{{is(field("ip", "daddr"), "@open4"), accept}, {is(field("ip6", "daddr"), "@open6"), accept}},
		each("ip", "daddr", "toward", hosts4, nets4, kin4), each("ip6", "daddr", "toward", hosts6, nets6, kin6),
		[][]any{{is(meta("oifname"), "@"+links), jump("toward")}})
	return []chain{
		{name: "refuse", rules: [][]any{
			{node{"counter": nil}},
			{is(ports, "tcp"), node{"limit": node{"rate": 1000, "burst": 1000, "per": "second"}}, node{"reject": node{"type": "tcp reset"}}},
			{isNot(ports, "tcp"), node{"limit": node{"rate": 100, "burst": 100, "per": "second"}}, node{"reject": node{"type": "icmpx", "expr": "admin-prohibited"}}},
			{drop},
		}},
		{name: "router", rules: [][]any{
			{is(ports, one("icmp", "ipv6-icmp")), accept},
			{is(field("udp", "dport"), one(67, 547)), accept}, // DHCP, RFC 2131 and 8415
			{is(concat(ports, to), "@services"), accept},
			{goTo("refuse")},
		}},
		{name: "responder", rules: [][]any{
			{is(field("ip", "daddr"), "@open4"), accept},
			{is(field("ip6", "daddr"), "@open6"), accept},
			{is(field("ip", "daddr"), "@responders4"), accept},
			{is(field("ip6", "daddr"), "@responders6"), accept},
			{is(concat(field("ip", "daddr"), ports, to), "@paths4"), accept},
			{is(concat(field("ip6", "daddr"), ports, to), "@paths6"), accept},
		}},
		{name: "hostile", rules: [][]any{
			{is(field("ip", "daddr"), "@open4"), verdict("return")},
			{is(field("ip6", "daddr"), "@open6"), verdict("return")},
			{goTo("refuse")},
		}},
		{name: "hostilefrom", rules: [][]any{
			{is(field("ip", "saddr"), "@open4"), verdict("return")},
			{is(field("ip6", "saddr"), "@open6"), verdict("return")},
			{goTo("refuse")},
		}},
		{name: "from", rules: [][]any{
			{jump("responder")},
			// Names: RFC 1035, over TLS RFC 7858, over QUIC RFC 9250. Over HTTPS they
			// are outside, or a relay.
			{is(field("ip", "daddr"), "@resolvers4"), tcpOrUDP, is(to, one(53, 853)), accept},
			{is(field("ip6", "daddr"), "@resolvers6"), tcpOrUDP, is(to, one(53, 853)), accept},
			{tcpOrUDP, is(to, one(53, 853)), goTo("refuse")},
			{is(fib("daddr"), "local"), goTo("router")},
			{is(fib("daddr", "iif"), "local"), goTo("router")},
			{is(field("ip", "daddr"), "@relays4"), goTo("refuse")},
			{is(field("ip6", "daddr"), "@relays6"), goTo("refuse")},
			{is(concat(field("ip", "daddr"), ports, to), "@relaying4"), goTo("refuse")},
			{is(concat(field("ip6", "daddr"), ports, to), "@relaying6"), goTo("refuse")},
			// What no router passes on: neighbours, listeners, DHCP.
			{is(field("ip", "daddr"), one(within("224.0.0.0", 24), "255.255.255.255")), accept},
			{is(field("ip6", "daddr"), one(within("fe80::", 10), within("ff02::", 16))), accept},
			{is(field("ip", "daddr"), "@inside4"), accept},
			{is(field("ip6", "daddr"), "@inside6"), accept},
			{goTo("refuse")},
		}},
		{name: "out", rules: [][]any{
			{jump("responder")},
			{is(meta("oifname"), "@outside"), goTo("refuse")},
			{goTo("from")},
		}},
		{name: "toward", rules: [][]any{
			{is(field("ip", "saddr"), "@open4"), accept},
			{is(field("ip6", "saddr"), "@open6"), accept},
			{is(field("ip", "saddr"), "@responders4"), accept},
			{is(field("ip6", "saddr"), "@responders6"), accept},
			{is(concat(field("ip", "saddr"), ports, from), "@paths4"), accept},
			{is(concat(field("ip6", "saddr"), ports, from), "@paths6"), accept},
			{is(meta("iifname"), "@outside"), goTo("refuse")},
			{is(field("ip", "saddr"), "@relays4"), goTo("refuse")},
			{is(field("ip6", "saddr"), "@relays6"), goTo("refuse")},
			{is(concat(field("ip", "saddr"), ports, from), "@relaying4"), goTo("refuse")},
			{is(concat(field("ip6", "saddr"), ports, from), "@relaying6"), goTo("refuse")},
			{is(field("ip", "saddr"), "@inside4"), accept},
			{is(field("ip6", "saddr"), "@inside6"), accept},
			{goTo("refuse")},
		}},
		// Before connections are tracked (-200) and addresses translated (-100).
		{name: "coming", hook: "prerouting", prio: -310, rules: coming},
		{name: "passing", hook: "forward", prio: -10, rules: passing},
	}
}

// command is one line of a transaction.
func command(verb, what string, of node) node { return node{verb: node{what: of}} }

func (p plan) in(of node) node {
	of["family"], of["table"] = "inet", p.table
	return of
}

// script is a transaction in nft's JSON.
func script(commands []node) []byte {
	text, err := json.Marshal(node{"nftables": commands})
	if err != nil {
		panic(err) // strings, numbers and lists of them
	}
	return text
}

// whole makes the table anew, in one transaction, whatever it was.
func (p plan) whole(sets map[string]elements) []node {
	table := node{"family": "inet", "name": p.table}
	out := []node{command("add", "table", table), command("delete", "table", table), command("add", "table", table)}
	for _, s := range shapes() {
		of := p.in(node{"name": s.name, "type": s.kind})
		if s.interval {
			of["flags"] = []string{"interval"}
		}
		out = append(out, command("add", "set", of))
	}
	for _, c := range chains() {
		of := p.in(node{"name": c.name})
		if c.hook != "" {
			of["type"], of["hook"], of["prio"], of["policy"] = "filter", c.hook, c.prio, "accept"
		}
		out = append(out, command("add", "chain", of))
	}
	return append(append(out, p.rules()...), p.change(nil, sets)...)
}

// refill puts the rules of all chains back, in one transaction. The chains stay
// where they are, so no packet meets one that is empty.
func (p plan) refill() (out []node) {
	for _, c := range chains() {
		out = append(out, command("flush", "chain", p.in(node{"name": c.name})))
	}
	return append(out, p.rules()...)
}

func (p plan) rules() (out []node) {
	for _, c := range chains() {
		for _, r := range c.rules {
			out = append(out, command("add", "rule", p.in(node{"chain": c.name, "expr": r})))
		}
	}
	return out
}

// change brings the sets from what they hold to what they should. What is in
// both is not touched: on kernels before 6.17 a lookup can miss, for a moment,
// an element that one transaction takes out and puts back.
func (p plan) change(have, want map[string]elements) (out []node) {
	for _, s := range shapes() {
		var come, go_ []any
		for _, text := range sorted(want[s.name]) {
			if _, ok := have[s.name][text]; !ok {
				come = append(come, want[s.name][text])
			}
		}
		for _, text := range sorted(have[s.name]) {
			if _, ok := want[s.name][text]; !ok {
				go_ = append(go_, have[s.name][text])
			}
		}
		if len(go_) > 0 {
			out = append(out, command("delete", "element", p.in(node{"name": s.name, "elem": go_})))
		}
		if len(come) > 0 {
			out = append(out, command("add", "element", p.in(node{"name": s.name, "elem": come})))
		}
	}
	return out
}

func sorted(e elements) []string {
	out := make([]string, 0, len(e))
	for text := range e {
		out = append(out, text)
	}
	slices.Sort(out)
	return out
}
