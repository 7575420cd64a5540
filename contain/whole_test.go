package contain_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sekisho"
	"sekisho/catalog"
	"sekisho/contain"
	"sekisho/demo"
	"sekisho/gate"
	"sekisho/house"
	"sekisho/incident"
	"sekisho/sekishotest/network"
	"sekisho/sensor"
)

// A whole company: a database with its gate on the inside server, a router with
// its agent, a Squid that reads the list, two terminals, and somewhere outside.
type company struct {
	*office
	q     *headquarters
	proxy *proxy
	conf  house.Config
	dir   string
	house *house.House
	shut  func()
}

func newCompany(t *testing.T) *company {
	t.Helper()
	dir := t.TempDir()
	os.Chmod(filepath.Dir(dir), 0o711)
	os.Chmod(dir, 0o711)
	cluster, err := demo.StartCluster(t.Context(), demo.ClusterConfig{Dir: filepath.Join(dir, "postgres"), Settings: map[string]string{"fsync": "off"}})
	if errors.Is(err, demo.ErrNoPostgreSQL) {
		t.Skip(err)
	}
	mustDo(t, err)
	t.Cleanup(func() { cluster.Stop() })
	_, err = cluster.SQL(t.Context(), "postgres", `create table member (member_no bigint primary key, name text);
insert into member select i, 'name' || i from generate_series(1, 1000) i;
create role staff login password 'upstream'; create role reader login password 'upstream';
grant select on member to staff, reader`)
	mustDo(t, err)
	o := newOffice(t)
	c := &company{office: o, q: newHeadquarters(t, o.inside, o.inside4), dir: dir, shut: func() {}}
	password := c.q.write("upstream", "upstream\n")
	verifier, err := gate.MakeVerifier("open sesame")
	mustDo(t, err)
	login := func(user string) gate.Login { return gate.Login{User: user, PasswordFile: password} }
	c.conf = house.Config{
		Name: "crm", Data: filepath.Join(dir, "data"), Hands: c.q.conf,
		Catalog: catalog.Config{
			Subjects: []catalog.Subject{{Name: "member", Table: "public.member", Key: "member_no"}},
			Tables:   []catalog.Table{{Name: "public.member", Subject: "member", Key: "member_no", Columns: map[string]string{"name": "identity"}}},
		},
		Gate: gate.Config{
			Listen:     netip.AddrPortFrom(o.inside4, 5433).String(),
			Upstream:   gate.Upstream{Host: cluster.SocketDir(), Port: uint16(cluster.Port()), Database: "postgres", Reader: login("reader")},
			Roles:      map[string]gate.Role{"staff": {Login: login("staff")}},
			Principals: []gate.Principal{{Name: "sato", Role: "staff", Verifier: verifier}},
		},
		Contain: contain.Config{Every: time.Second, Contact: "call 119"},
		Sensors: house.Sensors{Bindings: []sensor.Binding{
			{Address: o.a4.String(), Endpoint: "pc-1"}, {Address: o.a6.String(), Endpoint: "pc-1"}, {Address: o.b4.String(), Endpoint: "pc-2"},
		}},
	}
	c.open()
	t.Cleanup(func() { c.close() })
	return c
}

// open is a start of sekisho, with its doors in the order of `sekisho up`.
func (c *company) open() {
	c.t.Helper()
	h, err := house.Open(c.t.Context(), c.conf, c.dir, house.Options{Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	mustDo(c.t, err)
	c.house = h
	mustDo(c.t, h.OpenHands())
	listen := func(at string) (l net.Listener) {
		c.inside.Do(func() { l, err = net.Listen("tcp", at) })
		mustDo(c.t, err)
		return l
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	serve := func(f func()) { go func() { f(); done <- struct{}{} }() }
	hands := listen(h.Config.Hands.Listen)
	serve(func() { h.ServeHands(ctx, hands) })
	if c.q.key == "" {
		key, err := contain.LoadOrMakeKey(h.Config.HandsKey())
		mustDo(c.t, err)
		c.q.key = contain.PublicKey(key)
		c.q.agent(c.router, func(a *contain.AgentConfig) { a.Forward = true })
	}
	mustDo(c.t, h.OpenGate(c.t.Context()))
	clients := listen(h.Config.Gate.Listen)
	serve(func() { h.Gate.Serve(ctx, clients) })
	serve(func() { h.KeepContained(ctx) })
	c.shut = func() {
		stop()
		for range 3 {
			<-done
		}
		mustDo(c.t, h.Close())
		c.shut = func() {}
	}
}

func (c *company) close() { c.shut() }

func (c *company) by(name string) contain.Actor {
	n := c.house.Vault.Space("staff").OfText([]byte(name))
	return contain.Actor{Staff: n, Person: name, May: true, Same: func(other uint32) bool { return other == n }}
}

// reads connects to the gate from a terminal.
func (c *company) reads(m *network.Machine) (*pgx.Conn, error) {
	conf, err := pgx.ParseConfig("postgres://sato:open%20sesame@" + c.conf.Gate.Listen + "/postgres?sslmode=disable")
	mustDo(c.t, err)
	conf.DialFunc = func(_ context.Context, proto, at string) (net.Conn, error) {
		return dial(m, proto, netip.Addr{}, netip.MustParseAddrPort(at))
	}
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	conn, err := pgx.ConnectConfig(ctx, conf)
	if err != nil {
		return nil, err
	}
	c.t.Cleanup(func() { conn.Close(context.Background()) })
	var name string
	if err := conn.QueryRow(ctx, "select name from member where member_no = 7").Scan(&name); err != nil {
		conn.Close(context.Background())
		return nil, err
	}
	return conn, nil
}

// flows says what a terminal can do: g through the gate, 4 and 6 through the
// router, p by the proxy.
func (c *company) flows(m *network.Machine) (does string) {
	at4, at6 := c.a4, c.a6
	if m == c.b {
		at4, at6 = c.b4, c.b6
	}
	if conn, err := c.reads(m); err == nil {
		conn.Close(context.Background())
		does += "g"
	}
	if reaches(m, "tcp", at4, c.out4, 7) {
		does += "4"
	}
	if reaches(m, "tcp", at6, c.out6, 7) {
		does += "6"
	}
	if c.proxy.get(at4, c.out4.String()) == 200 {
		does += "p"
	}
	return does
}

// expect waits until the first terminal can do this. The other can do everything
// all the time.
func (c *company) expect(when, want string) {
	c.t.Helper()
	got := ""
	for end := time.Now().Add(time.Minute); ; {
		if got = c.flows(c.a); got == want {
			break
		}
		if time.Now().After(end) {
			c.t.Fatalf("%s: pc-1 can do %q, want %q; the hands: %+v", when, got, want, c.house.Contain.Hands())
		}
	}
	// Squid takes nobody in for a moment while it reads its lists anew.
	c.until(when+": pc-2 can do everything", func() bool {
		got := c.flows(c.b)
		if !strings.HasPrefix(got, "g46") {
			c.t.Errorf("%s: pc-2 can do %q", when, got)
		}
		return got == "g46p"
	})
}

// history is what was recorded of a hand.
func (c *company) history(number uint64, hand string) string {
	var list []string
	c.house.Views.Read(func() {
		for _, h := range c.house.Incidents.Order(number).History {
			if h.Body.Hand == hand {
				list = append(list, h.Body.State)
			}
		}
	})
	return strings.Join(list, " ")
}

func (c *company) until(what string, ok func() bool) {
	c.t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			c.t.Fatalf("not within a minute: %s", what)
		}
	}
}

// One order at three real hands: the gate in front of a real database, nftables
// on a router, and a Squid that reads the list. It is asked for, approved by
// another, and carried out by all; what is open ends; what somebody takes away
// at one hand is seen and put right; sekisho starts again while the router boots
// with an empty ruleset, and then once more without its disk; and it is given back
// in stages.
func TestContainTheWholeCompany(t *testing.T) {
	c := newCompany(t)
	ctx := t.Context()
	// Something is published before anybody fetches it.
	c.until("the hands stand by", func() bool {
		for _, h := range c.house.Contain.Hands() {
			if h.Looked == 0 {
				return false
			}
		}
		return true
	})
	c.proxy = c.squid()
	c.proxy.fetch(c.q)
	c.expect("before anything", "g46p")
	session, err := c.reads(c.a)
	mustDo(t, err)
	out, err := dial(c.a, "tcp", c.a4, netip.AddrPortFrom(c.out4, 7))
	mustDo(t, err)
	defer out.Close()
	if got, err := said(out, []byte("steady")); err != nil || string(got) != "steady" {
		t.Fatalf("a connection gives %q, %v", got, err)
	}

	number, err := c.house.Contain.Propose(ctx, contain.Ask{Endpoints: []string{"pc-1"}, Cuts: []string{"egress", "gate"}, For: "2h", Reason: "malware"}, c.by("suzuki"))
	mustDo(t, err)
	c.expect("proposed", "g46p")
	refused(t, c.house.Contain.Decide(ctx, number, "approved", "", c.by("suzuki")), "own")
	mustDo(t, c.house.Contain.Decide(ctx, number, "approved", "", c.by("tanaka")))
	c.expect("approved", "")
	if _, err := session.Exec(ctx, "select name from member where member_no = 8"); err == nil {
		t.Error("its session at the gate goes on")
	}
	if _, err := said(out, []byte("more")); err == nil {
		t.Error("its connection to the outside goes on")
	}
	for _, hand := range []string{"gate", "edge", "proxies"} {
		c.until("recorded as carried out by "+hand, func() bool { return strings.HasSuffix(c.history(number, hand), "applied") })
	}

	// Somebody opens the router.
	c.router.Run("nft", "flush", "set", "inet", "sekisho", "hosts4")
	c.until("the drift is recorded, and that it was put right", func() bool { return strings.Contains(c.history(number, "edge"), "drift applied") })
	c.expect("after a drift", "")
	if told := c.told(); told == 0 {
		t.Error("nobody was told of the drift")
	}

	// sekisho ends. The router loses everything but its disk, and boots.
	boot := func() {
		c.q.agentStop()
		c.router.Run("nft", "flush", "ruleset")
		c.router.Write("/proc/sys/net/ipv4/ip_forward", "0")
		c.router.Write("/proc/sys/net/ipv6/conf/all/forwarding", "0")
	}
	c.close()
	boot()
	if got, err := dial(c.b, "tcp", c.b4, netip.AddrPortFrom(c.out4, 7)); err == nil {
		got.Close()
		t.Fatal("a router without its agent passes packets on")
	}
	c.q.agent(c.router, func(a *contain.AgentConfig) { a.Forward = true })
	c.until("the router is up", func() bool { return reaches(c.b, "tcp", c.b4, c.out4, 7) && reaches(c.b, "tcp", c.b6, c.out6, 7) })
	if reaches(c.a, "tcp", c.a4, c.out4, 7) || reaches(c.a, "tcp", c.a6, c.out6, 7) {
		t.Error("the router has booted, and pc-1 reaches the outside")
	}
	if got := c.proxy.get(c.a4, c.out4.String()); got != 403 {
		t.Errorf("sekisho is away, and pc-1 gets %d of the proxy", got)
	}
	c.open()
	c.expect("after a start", "")

	// It boots again, and its disk is lost as well: sekisho tells it anew.
	boot()
	mustDo(t, os.RemoveAll(filepath.Join(c.q.dir, "router")))
	c.q.agent(c.router, func(a *contain.AgentConfig) { a.Forward = true })
	c.until("the router is up again", func() bool { return reaches(c.b, "tcp", c.b4, c.out4, 7) })
	c.expect("after the loss of the router's disk", "")

	// Back in stages: the gate, then a part of the way out, which is one cut at two
	// hands, and so comes back at both.
	lift := func(ask contain.LiftAsk) {
		ask.Reason = "cleaned"
		mustDo(t, c.house.Contain.Lift(ctx, number, ask, c.by("tanaka")))
	}
	lift(contain.LiftAsk{Endpoints: []string{"pc-1"}, Cuts: []string{"gate"}})
	c.expect("a first stage", "g")
	lift(contain.LiftAsk{All: true})
	c.expect("given back", "g46p")
	for _, hand := range []string{"gate", "edge", "proxies"} {
		c.until(fmt.Sprintf("it is recorded that %s has let go", hand), func() bool { return strings.HasSuffix(c.history(number, hand), "lifted") })
	}
	if o := c.order(number); o.Over == 0 || o.Decided.Action != "approved" {
		t.Errorf("the order in the end: %+v", o)
	}
}

func (c *company) order(number uint64) (o *incident.Order) {
	c.house.Views.Read(func() { o = c.house.Incidents.Order(number) })
	return o
}

// told counts the alerts about containments.
func (c *company) told() (n int) {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	last := c.house.Ledger.Last()
	for e, err := range c.house.Ledger.Follow(ctx, 1) {
		mustDo(c.t, err)
		if a, ok := e.Body.(*sekisho.Alert); ok && a.Detector == "containment" {
			n++
		}
		if e.ID.Seq >= last {
			break
		}
	}
	return n
}
