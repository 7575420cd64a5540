package contain_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"sekisho/sekishotest/network"
)

// office is a company of six machines: two terminals and an inside server, a
// router, and outside a server and a responder. The inside server also answers
// for names, by asking the outside one, as resolvers do.
type office struct {
	t                                            *testing.T
	a, b, router, inside, outside                *network.Machine
	a4, a6, b4, b6, inside4, inside6, out4, out6 netip.Addr
	responder4                                   netip.Addr
}

func newOffice(t *testing.T) *office {
	t.Helper()
	addr := netip.MustParseAddr
	o := &office{t: t,
		a4: addr("10.1.1.2"), a6: addr("fd00:1:1::2"), b4: addr("10.1.2.2"), b6: addr("fd00:1:2::2"),
		inside4: addr("10.2.0.2"), inside6: addr("fd00:2::2"), out4: addr("203.0.113.2"), out6: addr("2001:db8:113::2"), responder4: addr("203.0.113.9"),
	}
	o.router = network.New(t, "router")
	o.a, o.b, o.inside, o.outside = network.New(t, "a"), network.New(t, "b"), network.New(t, "inside"), network.New(t, "outside")
	join := func(m *network.Machine, link string, own, others []string) {
		network.Join(m, "eth0", own, o.router, link, others)
		var via []string
		for _, s := range others {
			via = append(via, netip.MustParsePrefix(s).Addr().String())
		}
		m.Gateway(via...)
	}
	join(o.a, "lan-a", []string{"10.1.1.2/24", "fd00:1:1::2/64"}, []string{"10.1.1.1/24", "fd00:1:1::1/64"})
	join(o.b, "lan-b", []string{"10.1.2.2/24", "fd00:1:2::2/64"}, []string{"10.1.2.1/24", "fd00:1:2::1/64"})
	join(o.inside, "servers", []string{"10.2.0.2/24", "fd00:2::2/64"}, []string{"10.2.0.1/24", "fd00:2::1/64"})
	join(o.outside, "wan", []string{"203.0.113.2/24", "203.0.113.9/24", "203.0.113.3/24", "2001:db8:113::2/64"}, []string{"203.0.113.1/24", "2001:db8:113::1/64"})
	o.router.Forward()
	for _, m := range []*network.Machine{o.inside, o.outside} {
		o.echo(m, ":7")
		o.echo(m, ":443")
	}
	o.names(o.outside, answer)
	o.names(o.inside, func(question []byte) []byte {
		reply, _ := ask(o.inside, netip.AddrPortFrom(o.out4, 53), question)
		return reply
	})
	return o
}

// echo answers on TCP and UDP.
func (o *office) echo(m *network.Machine, at string) {
	var l net.Listener
	var u net.PacketConn
	var err error
	m.Do(func() {
		if l, err = net.Listen("tcp", at); err == nil {
			u, err = net.ListenPacket("udp", at)
		}
	})
	if err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(func() { l.Close(); u.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { io.Copy(c, c); c.Close() }()
		}
	}()
	go func() {
		b := make([]byte, 1500)
		for {
			n, from, err := u.ReadFrom(b)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil {
				u.WriteTo(b[:n], from)
			}
		}
	}()
}

// names serves DNS over UDP.
func (o *office) names(m *network.Machine, reply func([]byte) []byte) {
	var u net.PacketConn
	var err error
	m.Do(func() { u, err = net.ListenPacket("udp", ":53") })
	if err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(func() { u.Close() })
	go func() {
		b := make([]byte, 1500)
		for {
			n, from, err := u.ReadFrom(b)
			if err != nil {
				return
			}
			if r := reply(b[:n]); r != nil {
				u.WriteTo(r, from)
			}
		}
	}()
}

// answer gives 192.0.2.80 for every name (RFC 1035, section 4).
func answer(question []byte) []byte {
	if len(question) < 12 {
		return nil
	}
	r := append([]byte(nil), question...)
	r[2], r[3], r[7], r[9], r[11] = 0x84, 0, 1, 0, 0
	end := 12
	for end < len(r) && r[end] != 0 {
		end += int(r[end]) + 1
	}
	if end+5 > len(r) {
		return nil
	}
	return append(r[:end+5], 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 80)
}

// patience is how long a try waits for an answer that may never come. On a link
// that passes an answer it comes in less than a thousandth of it.
const patience = 2 * time.Second

// dial opens a connection from a machine.
func dial(m *network.Machine, proto string, from netip.Addr, to netip.AddrPort) (c net.Conn, err error) {
	d := net.Dialer{Timeout: patience}
	switch {
	case !from.IsValid():
	case proto == "tcp":
		d.LocalAddr = &net.TCPAddr{IP: from.AsSlice()}
	default:
		d.LocalAddr = &net.UDPAddr{IP: from.AsSlice()}
	}
	m.Do(func() { c, err = d.Dial(proto, to.String()) })
	return c, err
}

// ask sends one datagram and waits for the answer.
func ask(m *network.Machine, to netip.AddrPort, what []byte) ([]byte, error) {
	c, err := dial(m, "udp", netip.Addr{}, to)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return said(c, what)
}

func said(c net.Conn, what []byte) ([]byte, error) {
	c.SetDeadline(time.Now().Add(patience))
	if _, err := c.Write(what); err != nil {
		return nil, err
	}
	b := make([]byte, 1500)
	n, err := c.Read(b)
	return b[:n], err
}

// reaches tries to exchange a word.
func reaches(m *network.Machine, proto string, from, to netip.Addr, port uint16) bool {
	c, err := dial(m, proto, from, netip.AddrPortFrom(to, port))
	if err != nil {
		return false
	}
	defer c.Close()
	b, err := said(c, []byte("hello"))
	return err == nil && string(b) == "hello"
}

// resolves asks a name server, as any program does.
func resolves(m *network.Machine, server netip.Addr) bool {
	r := net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return dial(m, "udp", netip.Addr{}, netip.AddrPortFrom(server, 53))
	}}
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	got, err := r.LookupHost(ctx, fmt.Sprintf("secret-%d.example.com.", time.Now().UnixNano()))
	return err == nil && strings.Join(got, " ") == "192.0.2.80"
}

// view is what a machine can reach, as text.
func (o *office) view(m *network.Machine) string {
	type try struct {
		what string
		ok   func() bool
	}
	none := netip.Addr{}
	tries := []try{
		{"outside tcp4", func() bool { return reaches(m, "tcp", none, o.out4, 7) }},
		{"outside tcp6", func() bool { return reaches(m, "tcp", none, o.out6, 7) }},
		{"outside udp4", func() bool { return reaches(m, "udp", none, o.out4, 7) }},
		{"outside udp6", func() bool { return reaches(m, "udp", none, o.out6, 7) }},
		{"outside names4", func() bool { return resolves(m, o.out4) }},
		{"outside names6", func() bool { return resolves(m, o.out6) }},
		{"inside names", func() bool { return resolves(m, o.inside4) }},
		{"inside tcp4", func() bool { return reaches(m, "tcp", none, o.inside4, 7) }},
		{"inside tcp6", func() bool { return reaches(m, "tcp", none, o.inside6, 7) }},
		{"inside udp4", func() bool { return reaches(m, "udp", none, o.inside4, 7) }},
		{"inside udp6", func() bool { return reaches(m, "udp", none, o.inside6, 7) }},
		{"responder tcp 443", func() bool { return reaches(m, "tcp", none, o.responder4, 443) }},
		{"responder tcp 7", func() bool { return reaches(m, "tcp", none, o.responder4, 7) }},
	}
	results := make([]bool, len(tries))
	done := make(chan int)
	for i := range tries {
		go func() { results[i] = tries[i].ok(); done <- i }()
	}
	for range tries {
		<-done
	}
	var out strings.Builder
	for i, one := range tries {
		word := "cut"
		if results[i] {
			word = "open"
		}
		fmt.Fprintf(&out, "%-18s %s\n", one.what, word)
	}
	return out.String()
}
