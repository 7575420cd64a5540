package house_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sekisho/contain"
	"sekisho/house"
)

// A house with a list: what a hand publishes is what a firewall fetches, and the
// next life of the house publishes it before it is told again.
func TestHandsOfAHouse(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, text []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	terms := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, terms, terms, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write("cert.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}))
	write("key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
	write("password", []byte("a-password-of-thirty-characters\n"))
	conf := house.Config{Name: "member-db", Data: "data", Hands: contain.Hands{Listen: "127.0.0.1:0", Cert: "cert.pem", Key: "key.pem",
		Lists: []contain.ListHand{{Name: "proxy", Readers: []contain.Reader{{Name: "squid", PasswordFile: "password"}}}}}}

	life := func(f func(h *house.House, fetch func() (int, string))) {
		t.Helper()
		h, err := house.Open(t.Context(), conf, dir, house.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close()
		if err := h.OpenHands(); err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("tcp", h.Config.Hands.Listen)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- h.ServeHands(ctx, l) }()
		defer func() {
			stop()
			if err := <-done; err != nil {
				t.Error(err)
			}
		}()
		c := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
		f(h, func() (int, string) {
			q, err := http.NewRequest("GET", "https://"+l.Addr().String()+"/lists/proxy/terminals.txt", nil)
			if err != nil {
				t.Fatal(err)
			}
			q.SetBasicAuth("squid", "a-password-of-thirty-characters")
			res, err := c.Do(q)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			text, err := io.ReadAll(res.Body)
			if err != nil {
				t.Fatal(err)
			}
			return res.StatusCode, string(text)
		})
	}
	life(func(h *house.House, fetch func() (int, string)) {
		if status, _ := fetch(); status != http.StatusServiceUnavailable {
			t.Errorf("before anything was ordered: %d", status)
		}
		d := contain.Desired{Through: 1, Orders: []uint64{1}, Targets: []contain.Target{{Endpoint: "pc-1", Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/32")}, Cuts: 1}}}
		if err := h.Hands.Hands[0].Apply(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	})
	life(func(_ *house.House, fetch func() (int, string)) {
		if status, text := fetch(); status != 200 || text != "10.0.0.1\n192.0.2.255\n" {
			t.Errorf("after a restart: %d %q", status, text)
		}
	})
}
