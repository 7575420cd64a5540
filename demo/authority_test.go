package demo

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"testing"
)

func TestAuthority(t *testing.T) {
	dir := t.TempDir()
	a, err := OpenAuthority(dir)
	if err != nil {
		t.Fatal(err)
	}
	cert, key, err := a.Gate()
	if err != nil {
		t.Fatal(err)
	}
	again, err := OpenAuthority(dir) // as after a restart
	if err != nil {
		t.Fatal(err)
	}
	ecert, ekey, err := again.Endpoint("pc-0417")
	if err != nil {
		t.Fatal(err)
	}
	server, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	client, err := tls.LoadX509KeyPair(ecert, ekey)
	if err != nil {
		t.Fatal(err)
	}
	pem, _ := os.ReadFile(a.CA())
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{server}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	named := make(chan string, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			named <- err.Error()
			return
		}
		defer c.Close()
		tc := c.(*tls.Conn)
		if err := tc.Handshake(); err != nil {
			named <- err.Error()
			return
		}
		named <- tc.ConnectionState().PeerCertificates[0].Subject.CommonName
	}()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	c, err := tls.Dial("tcp", net.JoinHostPort("127.0.0.1", port), &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{client}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got := <-named; got != "pc-0417" {
		t.Errorf("the client was named %q", got)
	}
	if info, _ := os.Stat(key); info.Mode().Perm() != 0o600 {
		t.Errorf("the key has mode %v", info.Mode())
	}
}
