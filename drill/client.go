package drill

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"sekisho/demo"
)

// A desk is one program of one account at one terminal: it has one connection
// to the gate, opened when it is first used.
type desk struct{ account, endpoint, program string }

// clients hold the connections of everybody.
type clients struct {
	database  string
	addr      netip.AddrPort // of the gate
	ca        *demo.Authority
	passwords map[string]string // by account

	mu    sync.Mutex
	certs map[string]*tls.Config // by terminal
	open  map[desk]*client
}

// A client is used by one goroutine at a time.
type client struct {
	conn     *pgconn.PgConn
	prepared map[string]string // name by SQL
}

func newClients(database string) *clients {
	return &clients{database: database, passwords: map[string]string{}, certs: map[string]*tls.Config{}, open: map[desk]*client{}}
}

func newPassword() string {
	var b [18]byte
	rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// at is the connection of a desk.
func (c *clients) at(ctx context.Context, d desk) (*client, error) {
	c.mu.Lock()
	have := c.open[d]
	c.mu.Unlock()
	if have != nil {
		return have, nil
	}
	made, err := c.connect(ctx, d)
	if err != nil {
		return nil, fmt.Errorf("connecting from %s to the gate: %w", d.endpoint, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open[d] = made
	return made, nil
}

func (c *clients) connect(ctx context.Context, d desk) (*client, error) {
	conf, err := pgconn.ParseConfig("sslmode=disable")
	if err != nil {
		return nil, err
	}
	conf.Host, conf.Port = c.addr.Addr().String(), c.addr.Port()
	conf.Database, conf.User, conf.Password = c.database, d.account, c.passwords[d.account]
	conf.Fallbacks = nil
	conf.RuntimeParams = map[string]string{"application_name": d.program}
	if conf.TLSConfig, err = c.tlsOf(d.endpoint); err != nil {
		return nil, err
	}
	conn, err := pgconn.ConnectConfig(ctx, conf)
	if err != nil {
		return nil, err
	}
	return &client{conn: conn, prepared: map[string]string{}}, nil
}

// tlsOf is the terminal's certificate as its programs use it.
func (c *clients) tlsOf(endpoint string) (*tls.Config, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t := c.certs[endpoint]; t != nil {
		return t, nil
	}
	cert, key, err := c.ca.Endpoint(endpoint)
	if err != nil {
		return nil, err
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("reading the certificate of %s: %w", endpoint, err)
	}
	pem, err := os.ReadFile(c.ca.CA())
	if err != nil {
		return nil, fmt.Errorf("reading the authority: %w", err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	t := &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: pool, ServerName: c.addr.Addr().String(), MinVersion: tls.VersionTLS13}
	c.certs[endpoint] = t
	return t, nil
}

// close says goodbye on every connection, and waits until the gate has closed
// it too.
func (c *clients) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for d, one := range c.open {
		delete(c.open, d)
		h, err := one.conn.Hijack()
		if err != nil {
			continue // it broke before
		}
		h.Conn.SetDeadline(time.Now().Add(5 * time.Second))
		h.Frontend.Send(&pgproto3.Terminate{})
		if h.Frontend.Flush() == nil {
			io.Copy(io.Discard, h.Conn)
		}
		h.Conn.Close()
	}
}

// look shows the cards of members one after the other, as the application
// does, and gives their numbers as they came back. The statements go out
// together.
func (c *client) look(ctx context.Context, sql string, members []int64) ([]int64, error) {
	name := c.prepared[sql]
	if name == "" {
		name = "s" + strconv.Itoa(len(c.prepared)+1)
		if _, err := c.conn.Prepare(ctx, name, sql, nil); err != nil {
			return nil, fmt.Errorf("preparing a statement: %w", err)
		}
		c.prepared[sql] = name
	}
	var came []int64
	p := c.conn.StartPipeline(ctx)
	for _, m := range members {
		p.SendQueryPrepared(name, [][]byte{strconv.AppendInt(nil, m, 10)}, nil, nil)
	}
	err := p.Sync()
	for err == nil {
		var res any
		if res, err = p.GetResults(); err != nil {
			break
		}
		rr, ok := res.(*pgconn.ResultReader)
		if !ok {
			break // the sync: all have answered
		}
		for rr.NextRow() {
			var m int64
			if m, err = keyOf(rr.Values()); err != nil {
				break
			}
			came = append(came, m)
		}
		if _, e := rr.Close(); err == nil {
			err = e
		}
	}
	return came, errors.Join(err, p.Close())
}

// read runs one statement and hands each row to take, which must not keep it.
func (c *client) read(ctx context.Context, sql string, args [][]byte, take func(member int64, row [][]byte)) error {
	rr := c.conn.ExecParams(ctx, sql, args, nil, nil, nil)
	var wrong error
	for rr.NextRow() {
		m, err := keyOf(rr.Values())
		if err != nil {
			wrong = err
			break
		}
		take(m, rr.Values())
	}
	_, err := rr.Close()
	return errors.Join(wrong, err)
}

func keyOf(row [][]byte) (int64, error) {
	m, err := strconv.ParseInt(string(row[0]), 10, 64)
	if err != nil {
		return 0, errors.New("a row came back without its member number")
	}
	return m, nil
}
