package contain_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sekisho/contain"
	"sekisho/sekishotest/handtest"
)

// fetch gets a list as a firewall does.
func (q *headquarters) fetch(file, name, password, tag string) (status int, header http.Header, body string) {
	q.t.Helper()
	c := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true,
		DialContext: func(_ context.Context, network, address string) (c net.Conn, err error) {
			q.at.Do(func() { c, err = net.Dial(network, address) })
			return c, err
		}}}
	req, err := http.NewRequest("GET", q.url()+"/lists/proxies/"+file, nil)
	if err != nil {
		q.t.Fatal(err)
	}
	req.SetBasicAuth(name, password)
	if tag != "" {
		req.Header.Set("If-None-Match", tag)
	}
	res, err := c.Do(req)
	if err != nil {
		q.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		q.t.Fatal(err)
	}
	return res.StatusCode, res.Header, string(text)
}

// The suite, and what the published file says.
func TestListKeepsTheContract(t *testing.T) {
	o := newOffice(t)
	q := newHeadquarters(t, o.inside, o.inside4)
	handtest.Run(t, handtest.Case{
		Open:  func(*testing.T) contain.Hand { q.stop(); q.start(); return q.hand("proxies") },
		Break: func(t *testing.T) { q.write("published/list-proxies.json", `{"egress":["10.1.4.1/32"]}`) },
	})
}

// What firewalls get: one address or prefix a line, only if it changed, only
// with a password, and never an empty answer.
func TestListAsFirewallsReadIt(t *testing.T) {
	o := newOffice(t)
	q := newHeadquarters(t, o.inside, o.inside4)
	q.start()
	const password = "squid-password-of-thirty-chars"
	if status, _, body := q.fetch("terminals.txt", "squid", password, ""); status != http.StatusServiceUnavailable {
		t.Errorf("before anything was published: %d %q", status, body)
	}
	h := q.hand("proxies")
	d := o.desired(o.a4, o.a6)
	d.Targets[0].Addresses = append(d.Targets[0].Addresses, prefixes("10.1.8.0/22")...)
	d.Destinations = prefixes("198.51.100.7/32", "2001:db8:66::/48")
	o.apply(h, d)
	for file, want := range map[string]string{
		"terminals.txt":    "10.1.1.2\n10.1.8.0/22\nfd00:1:1::2\n192.0.2.255\n",
		"destinations.txt": "198.51.100.7\n2001:db8:66::/48\n192.0.2.255\n",
	} {
		status, header, body := q.fetch(file, "squid", password, "")
		if status != 200 || body != want || header.Get("Content-Type") != "text/plain; charset=utf-8" || header.Get("ETag") == "" {
			t.Errorf("%s: %d %v\n%s", file, status, header, body)
		}
		if status, _, body := q.fetch(file, "squid", password, header.Get("ETag")); status != http.StatusNotModified || body != "" {
			t.Errorf("%s, again: %d %q", file, status, body)
		}
		for _, who := range [][2]string{{"squid", "wrong"}, {"other", password}, {"", ""}} {
			if status, _, _ := q.fetch(file, who[0], who[1], ""); status != http.StatusUnauthorized {
				t.Errorf("%s with %q: %d", file, who, status)
			}
		}
	}
	o.apply(h, contain.Desired{})
	if _, _, body := q.fetch("terminals.txt", "squid", password, ""); body != "192.0.2.255\n" {
		t.Errorf("an empty list is %q", body)
	}
	// A start publishes what was published.
	o.apply(h, d)
	q.stop()
	q.start()
	if status, _, body := q.fetch("terminals.txt", "squid", password, ""); status != 200 || !strings.HasPrefix(body, "10.1.1.2\n") {
		t.Errorf("after a start: %d %q", status, body)
	}
}

// A reader that does not come for a change is a fault of the hand's.
func TestListSeesWhoDoesNotFetch(t *testing.T) {
	o := newOffice(t)
	q := newHeadquarters(t, o.inside, o.inside4)
	q.conf.Lists[0].Readers[0].Within = time.Nanosecond
	q.start()
	h, d := q.hand("proxies"), o.desired(o.a4)
	if err := h.Apply(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if diff := o.compare(h, d); !slices.Equal(diff.Faults, []string{contain.FaultNotFetched}) {
		t.Errorf("nobody has fetched: %+v", diff)
	}
	for _, file := range []string{"terminals.txt", "destinations.txt"} {
		q.fetch(file, "squid", "squid-password-of-thirty-chars", "")
	}
	if diff := o.compare(h, d); !diff.None() {
		t.Errorf("fetched: %+v", diff)
	}
}

// A real Squid: the contained terminal is cut off, its neighbour is not, and it
// is given back.
func TestListCutsAtSquid(t *testing.T) {
	o := newOffice(t)
	q := newHeadquarters(t, o.inside, o.inside4)
	q.start()
	h := q.hand("proxies")
	d := o.desired(o.a4, o.a6)
	o.apply(h, contain.Desired{})
	proxy := o.squid()
	dir, proxied := proxy.dir, proxy.get
	outside, other := o.out4.String(), "203.0.113.3"
	proxy.fetch(q)

	tunnels := map[netip.Addr]net.Conn{o.a4: nil, o.b4: nil}
	for from := range tunnels {
		m := o.a
		if from == o.b4 {
			m = o.b
		}
		c, err := dial(m, "tcp", from, netip.AddrPortFrom(o.inside4, 3128))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprintf(c, "CONNECT %s:7 HTTP/1.1\r\nHost: %s:7\r\n\r\n", outside, outside)
		r := bufio.NewReader(c)
		if res, err := http.ReadResponse(r, nil); err != nil || res.StatusCode != 200 {
			t.Fatalf("a tunnel: %v, %v", res, err)
		}
		if got, err := said(c, []byte("through")); err != nil || string(got) != "through" {
			t.Fatalf("a tunnel gives %q, %v", got, err)
		}
		tunnels[from] = c
	}
	d.Destinations = prefixes(other + "/32")
	o.apply(h, d)
	wait(t, "squid to turn a away", func() bool { return proxied(o.a4, outside) == 403 })
	wait(t, "squid to close the destination", func() bool { return proxied(o.b4, other) == 403 })
	wait(t, "a's tunnel to end", func() bool { _, err := said(tunnels[o.a4], []byte("more")); return err != nil })
	if got, err := said(tunnels[o.b4], []byte("more")); err != nil || string(got) != "more" {
		t.Errorf("b's tunnel gives %q, %v", got, err)
	}
	if got := proxied(o.b4, outside); got != 200 {
		t.Errorf("b gets %d", got)
	}
	// A download that fails changes nothing: sekisho away, and a list cut off.
	q.stop()
	before, err := os.ReadFile(filepath.Join(dir, "terminals"))
	if err != nil {
		t.Fatal(err)
	}
	if got := proxied(o.a4, outside); got != 403 {
		t.Errorf("sekisho is away, and a gets %d", got)
	}
	q.start()
	if after, err := os.ReadFile(filepath.Join(dir, "terminals")); err != nil || string(after) != string(before) {
		t.Errorf("the file became %q, %v", after, err)
	}
	o.apply(q.hand("proxies"), contain.Desired{})
	wait(t, "squid to let a in again", func() bool { return proxied(o.a4, outside) == 200 })
	wait(t, "squid to open the destination again", func() bool { return proxied(o.b4, other) == 200 })
}

// proxy is a real Squid on the inside server, which denies what stands in two
// files.
type proxy struct {
	o            *office
	dir, program string
}

func (o *office) squid() *proxy {
	o.t.Helper()
	squid, err := exec.LookPath("squid")
	if err != nil {
		if squid = "/usr/sbin/squid"; !isFile(squid) {
			o.t.Fatal("squid is missing: make setup installs it")
		}
	}
	o.web(":8080")
	dir := o.t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil { // Squid gives root up
		o.t.Fatal(err)
	}
	conf := filepath.Join(dir, "squid.conf")
	text := fmt.Sprintf(`http_port 3128
acl contained src "%[1]s/terminals"
acl hostile dst "%[1]s/destinations"
http_access deny contained
http_access deny hostile
http_access allow all
cache deny all
pid_filename %[1]s/squid.pid
cache_log %[1]s/cache.log
access_log none
coredump_dir %[1]s
pinger_enable off
shutdown_lifetime 0 seconds
visible_hostname proxy
max_filedescriptors 1024
workers 1
dns_nameservers 127.0.0.1
`, dir)
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		o.t.Fatal(err)
	}
	for _, name := range []string{"terminals", "destinations"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(contain.ListEnd+"\n"), 0o644); err != nil {
			o.t.Fatal(err)
		}
	}
	o.inside.Start(context.Background(), nil, squid, "-N", "-f", conf)
	o.t.Cleanup(func() {
		if o.t.Failed() {
			log, _ := os.ReadFile(filepath.Join(dir, "cache.log"))
			o.t.Logf("%s", log)
		}
	})
	p := &proxy{o, dir, squid}
	wait(o.t, "squid", func() bool { return p.get(o.a4, o.out4.String()) == 200 })
	return p
}

// get asks the proxy for a page outside, from a terminal; 0 if it does not answer.
func (p *proxy) get(from netip.Addr, to string) int {
	m := p.o.a
	if from == p.o.b4 {
		m = p.o.b
	}
	c, err := dial(m, "tcp", from, netip.AddrPortFrom(p.o.inside4, 3128))
	if err != nil {
		return 0
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	fmt.Fprintf(c, "GET http://%s:8080/ HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", to, to)
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	io.Copy(io.Discard, res.Body)
	return res.StatusCode
}

// fetch starts two fetchers beside it, which read the lists of the hand proxies.
func (p *proxy) fetch(q *headquarters) {
	for _, name := range []string{"terminals", "destinations"} {
		q.beside(p.o.inside, "fetcher", contain.FetchConfig{List: q.url() + "/lists/proxies/" + name + ".txt", Name: "squid", PasswordFile: "squid.password", CA: "cert.pem",
			Into: filepath.Join(p.dir, name), Every: 100 * time.Millisecond, Run: []string{p.program, "-f", filepath.Join(p.dir, "squid.conf"), "-k", "reconfigure"}, End: true})
	}
}

func isFile(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.Mode().IsRegular()
}

// web serves a page outside.
func (o *office) web(at string) {
	var l net.Listener
	var err error
	o.outside.Do(func() { l, err = net.Listen("tcp", at) })
	if err != nil {
		o.t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "page") })}
	go srv.Serve(l)
	o.t.Cleanup(func() { srv.Close() })
}

// A list is read whole or not at all.
func TestListReadsWholeOnesOnly(t *testing.T) {
	for text, want := range map[string]int{
		"192.0.2.255\n":                     0,
		"10.0.0.1\nfd00::/8\n192.0.2.255\n": 2,
		"":                                  -1,
		"10.0.0.1\n":                        -1,
		"10.0.0.1\n192.0.2.255":             -1,
		"<html>sign in to the network</html>\n192.0.2.255\n": -1,
		"0.0.0.0/0\n192.0.2.255\n":                           -1,
		"10.0.0.192.0.2.255\n":                               -1,
		"\n192.0.2.255\n":                                    -1,
	} {
		got, err := contain.ReadList([]byte(text))
		if (err == nil) != (want >= 0) || err == nil && len(got) != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}
