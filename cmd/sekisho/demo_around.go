package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"net/mail"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"sekisho/contain"
	"sekisho/demo"
	"sekisho/house"
	"sekisho/sensor"
)

// surroundings is what stands around the demo's sekisho and is no part of it: a
// router between two terminals and an outside, a proxy that reads the list, a
// switch that is told by webhook, a probe, a mail server in which all letters end.
// Everything is on this machine and ends with the process; no packet leaves it.
type surroundings struct {
	dir     string        // of the demo
	net     *demo.Network // nil: there is none
	running sync.WaitGroup
	failed  chan error
	stop    context.CancelFunc
	ctx     context.Context
	maps    atlas
}

// atlas is what `sekisho demo reach` must know of the running demo.
type atlas struct {
	Terminals map[string]terminalAt
	Proxy     string // where terminals find it
	Outside   string // where the outside really listens, if there is no network
}

type terminalAt struct {
	Net   string // of the namespace; empty if there is none
	Local string // the address that it comes from, without one
}

const (
	demoIntruder         = "tanaka"
	demoIntruderEndpoint = "pc-0102"
	outsideAt            = demo.OutsideV4 + ":80"
	mostLetters          = 2000 // that the mail server keeps
)

var demoTerminals = []string{demoEndpoint, demoIntruderEndpoint}

// loopbackOf is what stands for a terminal's address where there is no network.
func loopbackOf(n int) string { return fmt.Sprintf("127.0.77.%d", n) }

// network makes the network, if this process may.
func network() (*demo.Network, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("it needs root")
	}
	for _, program := range []string{"ip", "nft"} {
		if _, err := exec.LookPath(program); err != nil {
			return nil, fmt.Errorf("%s is not installed: apt-get install nftables iproute2", program)
		}
	}
	return demo.NewNetwork(demoTerminals...)
}

// surround opens what the config of the demo's house speaks to. ca is who vouches
// for that house's certificate.
func (d *demonstration) surround(ctx context.Context, c house.Config, ca string) (s *surroundings, err error) {
	s = &surroundings{dir: d.dir, net: d.net, failed: make(chan error, 8), maps: atlas{Terminals: map[string]terminalAt{}}}
	s.ctx, s.stop = context.WithCancel(ctx)
	begun := s
	defer func() {
		if err != nil {
			begun.close()
		}
	}()
	for i, name := range demoTerminals {
		at := terminalAt{Local: loopbackOf(i + 1)}
		if d.net != nil {
			at = terminalAt{Net: d.net.Terminals[name].Path()}
		}
		s.maps.Terminals[name] = at
	}
	if err := s.mailServer(c); err != nil {
		return nil, err
	}
	if err := s.outside(); err != nil {
		return nil, err
	}
	if err := s.proxy(c, ca); err != nil {
		return nil, err
	}
	if err := s.switches(c); err != nil {
		return nil, err
	}
	if err := s.router(c, ca); err != nil {
		return nil, err
	}
	b, err := json.Marshal(s.maps)
	if err != nil {
		return nil, err
	}
	return s, os.WriteFile(filepath.Join(d.dir, "hands", "network.json"), b, 0o600)
}

// close ends everything, and waits for it.
func (s *surroundings) close() {
	s.stop()
	s.running.Wait()
	os.Remove(filepath.Join(s.dir, "hands", "network.json"))
}

func (s *surroundings) run(what string, f func() error) {
	s.running.Go(func() {
		if err := f(); err != nil && s.ctx.Err() == nil {
			s.failed <- fmt.Errorf("the demo's %s: %w", what, err)
		}
	})
}

// serve serves pages until the end.
func (s *surroundings) serve(what string, l net.Listener, h http.Handler, cert, key string) {
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	s.run(what, func() error {
		stop := context.AfterFunc(s.ctx, func() { srv.Close() })
		defer stop()
		var err error
		if cert != "" {
			err = srv.ServeTLS(l, cert, key)
		} else {
			err = srv.Serve(l)
		}
		if errors.Is(err, http.ErrServerClosed) {
			return nil
		}
		return err
	})
}

// mailServer takes every letter, and keeps it as it came and to be read.
func (s *surroundings) mailServer(c house.Config) error {
	at := c.Tell.Mail.Relay.Server
	host, _, _ := net.SplitHostPort(at)
	if a, err := netip.ParseAddr(host); err != nil || !a.IsLoopback() {
		return nil // the person's own relay
	}
	dir := filepath.Join(s.dir, "mail")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	have, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", at)
	if err != nil {
		return fmt.Errorf("opening the demo's mail server (tell.mail.relay in the config): %w", err)
	}
	var mu sync.Mutex
	number := len(have)
	s.run("mail server", func() error {
		return sensor.ReceiveMail(s.ctx, l, sensor.MailOptions{Any: true, Come: func(_ context.Context, m sensor.Mail) error {
			text, err := readable(m)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			number++
			if number > mostLetters {
				return nil // taken, and not kept
			}
			return os.WriteFile(filepath.Join(dir, fmt.Sprintf("%06d.txt", number)), text, 0o600)
		}})
	})
	return nil
}

// readable is a letter as a person reads it.
func readable(m sensor.Mail) ([]byte, error) {
	letter, err := mail.ReadMessage(bytes.NewReader(m.Text))
	if err != nil {
		return nil, err
	}
	var body io.Reader = letter.Body
	if strings.EqualFold(letter.Header.Get("Content-Transfer-Encoding"), "base64") {
		body = base64.NewDecoder(base64.StdEncoding, body)
	}
	text, err := io.ReadAll(body)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	words := new(mime.WordDecoder)
	for _, h := range []string{"From", "To", "Subject", "Date", "Message-ID"} {
		v, err := words.DecodeHeader(letter.Header.Get(h))
		if err != nil {
			v = letter.Header.Get(h)
		}
		fmt.Fprintf(&b, "%s: %s\n", h, v)
	}
	fmt.Fprintf(&b, "Given to: %s\n\n%s\n", strings.Join(m.To, ", "), strings.ReplaceAll(string(text), "\r\n", "\n"))
	return b.Bytes(), nil
}

// outside is a server that everybody inside may reach while nobody cuts them off.
func (s *surroundings) outside() error {
	page := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "This is the outside: whatever you send here has left the company.")
	})
	if s.net == nil {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		s.maps.Outside = l.Addr().String()
		s.serve("outside", l, page, "", "")
		return nil
	}
	l, err := s.net.Outside.Listen(":80")
	if err != nil {
		return err
	}
	s.serve("outside", l, page, "", "")
	if l, err = s.net.Servers.Listen(":80"); err != nil { // what stays open to everybody
		return err
	}
	s.serve("server inside", l, http.NotFoundHandler(), "", "")
	return nil
}

// dialOutside is the proxy's way out: to the demo's outside and nowhere else.
func (s *surroundings) dialOutside(ctx context.Context, network, _ string) (net.Conn, error) {
	if s.net == nil {
		return new(net.Dialer).DialContext(ctx, network, s.maps.Outside)
	}
	return s.net.Servers.Dial(ctx, network, outsideAt)
}

// proxy stands inside, and turns away whom the list names, which it fetches as a
// firewall does.
func (s *surroundings) proxy(c house.Config, ca string) error {
	if len(c.Hands.Lists) == 0 || len(c.Hands.Lists[0].Readers) == 0 {
		return nil
	}
	list := c.Hands.Lists[0]
	dir := filepath.Join(s.dir, "hands")
	for _, name := range []string{"terminals", "destinations"} {
		file := filepath.Join(dir, "proxy-"+name+".txt")
		if _, err := os.Stat(file); errors.Is(err, os.ErrNotExist) {
			if err := os.WriteFile(file, []byte(contain.ListEnd+"\n"), 0o644); err != nil {
				return err
			}
		}
		f, err := contain.NewFetcher(contain.FetchConfig{List: "https://" + c.Hands.Listen + "/lists/" + list.Name + "/" + name + ".txt", Name: list.Readers[0].Name,
			PasswordFile: house.Against(s.dir, list.Readers[0].PasswordFile), CA: ca, Into: file, Every: time.Second}, dir, quiet())
		if err != nil {
			return err
		}
		s.run("fetcher of the list", func() error { return f.Run(s.ctx) })
	}
	way := &http.Transport{DialContext: s.dialOutside, DisableKeepAlives: true}
	page := http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		from, err := netip.ParseAddrPort(q.RemoteAddr)
		if err != nil || listed(filepath.Join(dir, "proxy-terminals.txt"), from.Addr().Unmap()) {
			http.Error(w, "The proxy lets nothing of you out: sekisho's list names you.", http.StatusForbidden)
			return
		}
		if to, err := netip.ParseAddr(q.URL.Hostname()); err != nil || listed(filepath.Join(dir, "proxy-destinations.txt"), to) {
			http.Error(w, "The proxy lets nobody reach that: sekisho's list names it.", http.StatusForbidden)
			return
		}
		out := q.Clone(q.Context())
		out.RequestURI = ""
		answer, err := way.RoundTrip(out)
		if err != nil {
			http.Error(w, "The outside does not answer.", http.StatusBadGateway)
			return
		}
		defer answer.Body.Close()
		w.WriteHeader(answer.StatusCode)
		io.Copy(w, answer.Body)
	})
	var l net.Listener
	var err error
	if s.net != nil {
		l, err = s.net.Servers.Listen(demo.InsideV4 + ":3128")
	} else {
		l, _, err = house.Listen("127.0.0.1:3128")
	}
	if err != nil {
		return fmt.Errorf("opening the demo's proxy: %w", err)
	}
	s.maps.Proxy = l.Addr().String()
	s.serve("proxy", l, page, "", "")
	return nil
}

// listed says whether a file of prefixes holds an address. What cannot be read
// lets nobody through.
func listed(file string, a netip.Addr) bool {
	text, err := os.ReadFile(file)
	if err != nil {
		return true
	}
	whole := false
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		whole = whole || line == contain.ListEnd
		p, err := netip.ParsePrefix(line)
		if err != nil {
			one, err := netip.ParseAddr(line)
			if err != nil {
				continue
			}
			p = netip.PrefixFrom(one, one.BitLen())
		}
		if p.Contains(a) {
			return true
		}
	}
	return !whole
}

// switches is a switch's controller that is told by webhook: it keeps what it was
// told in a file, and answers from it.
func (s *surroundings) switches(c house.Config) error {
	if len(c.Hands.Webhooks) == 0 {
		return nil
	}
	hook := c.Hands.Webhooks[0]
	at, err := url.Parse(hook.URL)
	if err != nil {
		return err
	}
	key, err := os.ReadFile(house.Against(s.dir, hook.SecretFile))
	if err != nil {
		return err
	}
	key = bytes.TrimSpace(key)
	file := filepath.Join(s.dir, "hands", "switch.json")
	l, err := net.Listen("tcp", at.Host)
	if err != nil {
		return fmt.Errorf("opening the demo's switch (hands.webhooks in the config): %w", err)
	}
	var mu sync.Mutex
	page := http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		body, err := io.ReadAll(io.LimitReader(q.Body, 32<<20))
		if err != nil || contain.Sign(key, q.Header.Get(contain.HeaderTime), body) != q.Header.Get(contain.HeaderSignature) {
			http.Error(w, "not signed", http.StatusUnauthorized)
			return
		}
		if q.Method == http.MethodPost {
			if err := errors.Join(os.WriteFile(file+".new", body, 0o600), os.Rename(file+".new", file)); err != nil {
				http.Error(w, "not kept", http.StatusInternalServerError)
			}
			return
		}
		var told struct {
			Egress []struct {
				Addresses []netip.Prefix `json:"addresses"`
			} `json:"egress"`
			Destinations []netip.Prefix `json:"destinations"`
		}
		if text, err := os.ReadFile(file); err == nil {
			json.Unmarshal(text, &told)
		}
		answer := map[string][]netip.Prefix{"egress": {}, "destinations": told.Destinations}
		for _, t := range told.Egress {
			answer["egress"] = append(answer["egress"], t.Addresses...)
		}
		json.NewEncoder(w).Encode(answer)
	})
	s.serve("switch", l, page, house.Against(s.dir, c.Hands.Cert), house.Against(s.dir, c.Hands.Key))
	return nil
}

// router starts the agent on the router, and the probe. Both run as they would on
// machines of their own.
func (s *surroundings) router(c house.Config, ca string) error {
	if s.net == nil || len(c.Hands.Routers) == 0 {
		return nil
	}
	own := house.Config{Data: house.Against(s.dir, c.Data)}
	if err := os.MkdirAll(own.Data, 0o700); err != nil {
		return err
	}
	key, err := contain.LoadOrMakeKey(own.HandsKey())
	if err != nil {
		return err
	}
	dir := filepath.Join(s.dir, "hands")
	write := func(name, text string) (string, error) {
		file := filepath.Join(dir, name)
		return file, os.WriteFile(file, []byte(text), 0o600)
	}
	r := c.Hands.Routers[0]
	agent, err := write("router.yaml", fmt.Sprintf(`# The agent's, on the demo's router: docs/hands.md.
name: %s
sekisho: https://%s
ca: %s
token_file: %s
keys: [%q]
state: %s
every: 1s
forward: true
router:
  inside: [10.77.0.0/16, "fd77::/16"]
  outside: [wan]
  relays: ["tcp/%s:3128"]
  direct: [lan1, lan2, canary]
`, r.Name, c.Hands.Listen, ca, house.Against(s.dir, r.TokenFile), contain.PublicKey(key), filepath.Join(dir, "router-state"), demo.InsideV4))
	if err != nil {
		return err
	}
	if err := s.start(s.net.Router, c.Hands.Listen, "hand", "nftables", "--config", agent); err != nil {
		return err
	}
	if len(c.Hands.Probes) == 0 {
		return nil
	}
	p := c.Hands.Probes[0]
	probe, err := write("canary.yaml", fmt.Sprintf(`# The probe's, at a terminal that nobody works at: docs/hands.md.
name: %s
sekisho: https://%s
ca: %s
token_file: %s
outside: ["tcp/%s:80", "tcp/[%s]:80"]
inside: ["tcp/%s:80"]
`, p.Name, c.Hands.Listen, ca, house.Against(s.dir, p.TokenFile), demo.OutsideV4, demo.OutsideV6, demo.InsideV4))
	if err != nil {
		return err
	}
	return s.start(s.net.Canary, c.Hands.Listen, "hand", "probe", "--config", probe)
}

// start runs this program on a machine of the network, with a lead to sekisho's
// door for hands: a network of its own that has no other way here.
func (s *surroundings) start(m *demo.Machine, door string, args ...string) error {
	l, err := m.Listen(door)
	if err != nil {
		return err
	}
	s.run("lead to "+m.Name, func() error {
		demo.Lead(s.ctx, l, func(ctx context.Context) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", door)
		})
		return nil
	})
	self, err := os.Executable()
	if err != nil {
		return err
	}
	log, err := os.OpenFile(filepath.Join(s.dir, "hands", m.Name+".log"), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	cmd := exec.Command(self, args...)
	cmd.Args[0] = "sekisho"
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	s.run(args[1]+" on "+m.Name, func() error {
		defer log.Close()
		return m.Serve(s.ctx, cmd)
	})
	return nil
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }
