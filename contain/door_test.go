package contain_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"sekisho"
	"sekisho/contain"
	"sekisho/sekishotest/handtest"
	"sekisho/sekishotest/network"
)

// The test's own program is also the agent, the fetcher and the probe, so that
// tests can start one in a machine of theirs and kill it.
func TestMain(m *testing.M) {
	what, file, _ := strings.Cut(os.Getenv("SEKISHO_TEST_RUN"), " ")
	if what == "" {
		os.Exit(m.Run())
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	text, err := os.ReadFile(file)
	var run func(context.Context) error
	switch what {
	case "agent":
		var c contain.AgentConfig
		err = errors.Join(err, json.Unmarshal(text, &c))
		a, e := contain.NewAgent(c, filepath.Dir(file), log)
		err, run = errors.Join(err, e), a.Run
	case "probe":
		var c contain.ProbeConfig
		err = errors.Join(err, json.Unmarshal(text, &c))
		p, e := contain.NewProber(c, filepath.Dir(file), log)
		err, run = errors.Join(err, e), p.Run
	case "fetcher":
		var c contain.FetchConfig
		err = errors.Join(err, json.Unmarshal(text, &c))
		f, e := contain.NewFetcher(c, filepath.Dir(file), log)
		err, run = errors.Join(err, e), f.Run
	}
	if err == nil {
		err = run(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// beside starts one of them in a machine.
func (q *headquarters) beside(m *network.Machine, what string, conf any) *exec.Cmd {
	q.t.Helper()
	text, err := json.Marshal(conf)
	if err != nil {
		q.t.Fatal(err)
	}
	q.started++
	file := q.write(fmt.Sprintf("%s-%d.json", what, q.started), string(text))
	self, err := os.Executable()
	if err != nil {
		q.t.Fatal(err)
	}
	return m.Start(context.Background(), func(cmd *exec.Cmd) {
		cmd.Env = append(os.Environ(), "SEKISHO_TEST_RUN="+what+" "+file)
		cmd.Stderr = &says{t: q.t, who: what}
	}, self, "-test.run=^$")
}

// headquarters is sekisho's side: a door in a machine of the office.
type headquarters struct {
	t    *testing.T
	dir  string
	conf contain.Hands
	at   *network.Machine
	addr netip.Addr
	key  string // the public one
	door *contain.Door
	stop func()

	started int
	running *exec.Cmd // the agent
}

func newHeadquarters(t *testing.T, at *network.Machine, addr netip.Addr) *headquarters {
	t.Helper()
	q := &headquarters{t: t, dir: t.TempDir(), at: at, addr: addr, stop: func() {}}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	terms := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "sekisho"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{addr.AsSlice()}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	cert, err := x509.CreateCertificate(rand.Reader, terms, terms, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	q.write("cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})))
	q.write("key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})))
	q.write("edge.token", "edge-token-of-thirty-characters\n")
	q.write("probe.token", "probe-token-of-thirty-characters\n")
	q.write("squid.password", "squid-password-of-thirty-chars\n")
	q.conf = contain.Hands{Listen: "0.0.0.0:8443", Cert: "cert.pem", Key: "key.pem",
		Routers: []contain.RouterHand{{Name: "edge", TokenFile: "edge.token"}},
		Lists:   []contain.ListHand{{Name: "proxies", Readers: []contain.Reader{{Name: "squid", PasswordFile: "squid.password"}}}}}
	if err := q.conf.Check(q.dir); err != nil {
		t.Fatal(err)
	}
	return q
}

func (q *headquarters) write(name, text string) string {
	q.t.Helper()
	name = filepath.Join(q.dir, name)
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		q.t.Fatal(err)
	}
	return name
}

// start is a start of sekisho: hands that know nothing but what is on disk.
func (q *headquarters) start() *contain.Door {
	q.t.Helper()
	key, err := contain.LoadOrMakeKey(filepath.Join(q.dir, "hands.key"))
	if err != nil {
		q.t.Fatal(err)
	}
	q.key = contain.PublicKey(key)
	q.door, err = contain.NewDoor(q.conf, contain.Outfit{Ledger: "member-db", Dir: filepath.Join(q.dir, "published"), Key: key, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		q.t.Fatal(err)
	}
	var l net.Listener
	q.at.Do(func() { l, err = net.Listen("tcp", q.conf.Listen) })
	if err != nil {
		q.t.Fatal(err)
	}
	srv := q.door.Server()
	ended := make(chan struct{})
	go func() { srv.ServeTLS(l, q.conf.Cert, q.conf.Key); close(ended) }()
	q.stop = func() { srv.Close(); <-ended; q.stop = func() {} }
	q.t.Cleanup(func() { q.stop() })
	return q.door
}

func (q *headquarters) url() string { return "https://" + netip.AddrPortFrom(q.addr, 8443).String() }

func (q *headquarters) hand(name string) contain.Hand {
	for _, h := range q.door.Hands {
		if h.Name() == name {
			return h
		}
	}
	q.t.Fatalf("no hand %s", name)
	return nil
}

// agent starts the agent on a router.
func (q *headquarters) agent(router *network.Machine, change func(*contain.AgentConfig)) *exec.Cmd {
	q.t.Helper()
	c := contain.AgentConfig{Name: "edge", Sekisho: q.url(), CA: "cert.pem", TokenFile: "edge.token", Keys: []string{q.key}, State: "router", Every: 100 * time.Millisecond}
	if change != nil {
		change(&c)
	}
	q.running = q.beside(router, "agent", c)
	return q.running
}

// agentStop ends the agent; what it has put in force stays.
func (q *headquarters) agentStop() {
	q.running.Process.Kill()
	q.running.Wait()
}

// says passes what a program says to the test's log.
type says struct {
	t   *testing.T
	who string
}

func (s *says) Write(b []byte) (int, error) {
	if s.t.Context().Err() == nil {
		s.t.Logf("%s: %s", s.who, bytes.TrimSpace(b))
	}
	return len(b), nil
}

// wait waits for a condition.
func wait(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited for %s", what)
		}
	}
}

// The suite, over the agent.
func TestAgentKeepsTheContract(t *testing.T) {
	o := newOffice(t)
	q := newHeadquarters(t, o.inside, o.inside4)
	q.start()
	q.agent(o.router, nil)
	o.a.Run("ip", "addr", "add", "10.1.1.3/24", "dev", "eth0")
	handtest.Run(t, handtest.Case{
		Open: func(*testing.T) contain.Hand { q.stop(); q.start(); return q.hand("edge") },
		Break: func(t *testing.T) {
			o.router.Run("nft", "delete", "element", "inet", "sekisho", "hosts4", "{", "10.1.1.2", "}")
		},
		From: []netip.Addr{o.a4, netip.MustParseAddr("10.1.1.3"), o.a6}, To: o.out4, Inside: o.inside4,
		Cut: func(t *testing.T, from, to netip.Addr) bool {
			if from.Is6() && to == o.out4 {
				to = o.out6
			} else if from.Is6() {
				return false
			}
			return !reaches(o.a, "tcp", from, to, 7)
		},
	})
}

// What is contained stays so while sekisho is away, while the agent is away,
// and when the router starts with nothing but its disk.
func TestAgentHoldsOn(t *testing.T) {
	o := newOffice(t)
	q := newHeadquarters(t, o.inside, o.inside4)
	q.start()
	forward := func(c *contain.AgentConfig) { c.Forward = true }
	agent := q.agent(o.router, forward)
	d := o.desired(o.a4, o.a6)
	for i := range d.Targets { // an end that is far off is no end
		d.Targets[i].Until = sekisho.At(time.Now().Add(time.Hour))
	}
	o.apply(q.hand("edge"), d)
	cut := func(when string) {
		t.Helper()
		if reaches(o.a, "tcp", netip.Addr{}, o.out4, 7) || reaches(o.a, "udp", netip.Addr{}, o.out6, 7) || resolves(o.a, o.out4) {
			t.Errorf("%s: the contained terminal reaches the outside", when)
		}
	}
	cut("at first")

	q.stop()
	cut("sekisho is away")
	o.router.Run("nft", "delete", "table", "inet", "sekisho")
	wait(t, "the agent to put the table back by itself", func() bool { return !reaches(o.a, "tcp", netip.Addr{}, o.out4, 7) })

	agent.Process.Kill()
	agent.Wait()
	cut("the agent is away")

	// The router starts: no table, and no forwarding. A terminal that asks all the
	// time never gets through.
	o.router.Run("nft", "flush", "ruleset")
	o.router.Write("/proc/sys/net/ipv4/ip_forward", "0")
	o.router.Write("/proc/sys/net/ipv6/conf/all/forwarding", "0")
	var got net.PacketConn
	var err error
	o.outside.Do(func() { got, err = net.ListenPacket("udp", ":9999") })
	if err != nil {
		t.Fatal(err)
	}
	defer got.Close()
	flood, err := dial(o.a, "udp", netip.Addr{}, netip.AddrPortFrom(o.out4, 9999))
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		for {
			if _, err := flood.Write([]byte("leak")); err != nil && strings.Contains(err.Error(), "closed") {
				close(ended)
				return
			}
		}
	}()
	q.agent(o.router, forward)
	wait(t, "the router to forward", func() bool { return reaches(o.b, "tcp", netip.Addr{}, o.out4, 7) })
	flood.Close()
	<-ended
	got.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if n, _, err := got.ReadFrom(make([]byte, 10)); err == nil {
		t.Errorf("%d bytes leaked while the router started", n)
	}
	cut("after a restart")

	// sekisho comes back, knowing nothing but its ledger, and gives a back.
	q.start()
	o.apply(q.hand("edge"), o.desired(o.b4))
	if !reaches(o.a, "tcp", netip.Addr{}, o.out4, 7) || reaches(o.b, "tcp", netip.Addr{}, o.out4, 7) {
		t.Error("the new state is not the one in force")
	}
}

// A router without a state of its own, or with a damaged one, forwards nothing
// before sekisho has told it.
func TestAgentDoesNotGuess(t *testing.T) {
	o := newOffice(t)
	q := newHeadquarters(t, o.inside, o.inside4)
	q.start()
	o.router.Write("/proc/sys/net/ipv4/ip_forward", "0")
	if err := os.MkdirAll(filepath.Join(q.dir, "router"), 0o700); err != nil {
		t.Fatal(err)
	}
	q.write("router/state", "damaged")
	q.agent(o.router, func(c *contain.AgentConfig) { c.Forward = true })
	// It says what it has, which is nothing, and does not forward.
	if got, err := q.hand("edge").Enforced(t.Context()); err != nil || len(got.Egress) != 0 {
		t.Fatalf("%+v, %v", got, err)
	}
	if reaches(o.b, "tcp", netip.Addr{}, o.out4, 7) {
		t.Error("it forwards")
	}
	o.apply(q.hand("edge"), o.desired(o.a4))
	if !reaches(o.b, "tcp", netip.Addr{}, o.out4, 7) || reaches(o.a, "tcp", netip.Addr{}, o.out4, 7) {
		t.Error("told, it should forward for b and not for a")
	}
}

// What was to end by itself ends at the router, too, if sekisho is not there to
// say so, and only then.
func TestAgentEndsWhatWasToEnd(t *testing.T) {
	o := newOffice(t)
	q := newHeadquarters(t, o.inside, o.inside4)
	q.start()
	q.agent(o.router, func(c *contain.AgentConfig) { c.Silent = time.Second })
	d := o.desired(o.a4, o.b4)
	d.Targets[0].Until = sekisho.At(time.Now().Add(-time.Second)) // and sekisho has not lifted it
	o.apply(q.hand("edge"), d)
	o.apply(q.hand("edge"), d)
	if reaches(o.a, "tcp", netip.Addr{}, o.out4, 7) {
		t.Fatal("sekisho is there, and it has ended by itself")
	}
	q.stop()
	wait(t, "the end", func() bool { return reaches(o.a, "tcp", netip.Addr{}, o.out4, 7) })
	if reaches(o.b, "tcp", netip.Addr{}, o.out4, 7) {
		t.Error("what had no end has ended, too")
	}
}

// Drift is put right by the agent at once, and told all the same.
func TestAgentTellsDrift(t *testing.T) {
	o := newOffice(t)
	q := newHeadquarters(t, o.inside, o.inside4)
	q.start()
	q.agent(o.router, nil)
	h, d := q.hand("edge"), o.desired(o.a4, o.a6)
	o.apply(h, d)
	began := time.Now()
	o.router.Run("nft", "flush", "chain", "inet", "sekisho", "from")
	wait(t, "the agent to put the rule back", func() bool {
		return strings.Contains(o.router.Run("nft", "list", "chain", "inet", "sekisho", "from"), "goto refuse")
	})
	back := time.Now()
	diff := o.compare(h, d)
	t.Logf("put back after %v, told after %v", back.Sub(began).Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
	if !slices.Contains(diff.Faults, contain.FaultRules) || len(diff.Missing) != 2 {
		t.Errorf("sekisho is told %+v", diff)
	}
	if diff := o.compare(h, d); !diff.None() {
		t.Errorf("then %+v", diff)
	}
}

// An agent takes a state only from who holds the key, for itself, and never an
// older one; the door lets in nobody without its word.
func TestAgentTakesNoForgery(t *testing.T) {
	o := newOffice(t)
	q := newHeadquarters(t, o.inside, o.inside4)
	q.start()
	q.agent(o.router, nil)
	o.apply(q.hand("edge"), o.desired(o.a4))
	kept, err := os.ReadFile(filepath.Join(q.dir, "router", "state"))
	if err != nil {
		t.Fatal(err)
	}
	// Somebody else's sekisho, with the same certificate and the same token.
	q.stop()
	if err := os.Remove(filepath.Join(q.dir, "hands.key")); err != nil {
		t.Fatal(err)
	}
	right := q.key
	q.start()
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Second)
	defer stop()
	if err := q.hand("edge").Apply(ctx, contain.Desired{}); err == nil {
		t.Error("the agent has taken a state of somebody else's")
	}
	if reaches(o.a, "tcp", netip.Addr{}, o.out4, 7) {
		t.Error("somebody else has opened the way")
	}
	key, err := contain.ParsePublicKey(right)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what, hand string
		text       []byte
	}{
		{"another hand's", "edge2", kept},
		{"one with a prefix less", "edge", bytes.Replace(kept, []byte("10.1.1.2/32"), nil, 1)},
		{"one without a signature", "edge", kept[bytes.IndexByte(kept, '\n')+1:]},
		{"one cut off", "edge", kept[:len(kept)-1]},
		{"nothing", "edge", nil},
	} {
		if _, err := contain.OpenState(c.text, c.hand, nil); err == nil {
			t.Errorf("%s was taken without a key", c.what)
		}
		if _, err := contain.OpenState(c.text, c.hand, keysOf(key)); err == nil {
			t.Errorf("%s was taken", c.what)
		}
	}
	if s, err := contain.OpenState(kept, "edge", keysOf(key)); err != nil || s.Number == 0 {
		t.Errorf("the right one: %+v, %v", s, err)
	}
}

func keysOf(keys ...ed25519.PublicKey) []ed25519.PublicKey { return keys }
