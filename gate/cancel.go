package gate

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// Cancelling: what a client asks of the gate, and what the gate asks of the
// server.

// A cancelKey is what a client shows to cancel its own statement.
type cancelKey struct {
	pid    uint32
	secret []byte
}

// Lengths of the secret. Protocol 3.2 lets a server choose up to 256 bytes.
const (
	shortSecret = 4
	longSecret  = 32
)

// aboveServers is set in the process ids that are the gate's own. No process of a
// server on Linux has so high a number (2^22 is the most), so that none of these
// is in the way of one.
const aboveServers = 1 << 30

// newCancelKey makes a key for a client that speaks this minor version of
// protocol 3. Its process id is that of the server's process for the session,
// so that what the client reads of it elsewhere (pg_backend_pid(),
// pg_stat_activity, a notification) is the same number; or, where that is not
// known yet (0) or another session still has it, a number of the gate's own. The
// secret is always the gate's. g.mu is held.
func (g *Gate) newCancelKey(minor uint16, server uint32) cancelKey {
	size := shortSecret
	if minor >= 2 {
		size = longSecret
	}
	b := make([]byte, 4+size)
	rand.Read(b)
	if server != 0 && g.sessions[server] == nil {
		return cancelKey{server, b[4:]}
	}
	for {
		if pid := binary.BigEndian.Uint32(b)&(aboveServers-1) | aboveServers; g.sessions[pid] == nil {
			return cancelKey{pid, b[4:]}
		}
		rand.Read(b)
	}
}

// cancelFor ends what another connection's session is doing, if the key fits
// and something is under way. There is no answer, whatever happens.
func (g *Gate) cancelFor(h *hello) {
	g.mu.Lock()
	s := g.sessions[h.pid]
	asleep := s != nil && s.asleep != nil
	g.mu.Unlock()
	want := make([]byte, longSecret)
	if s != nil {
		want = s.key.secret
	}
	if subtle.ConstantTimeCompare(want, h.cancelKey) != 1 || s == nil || asleep {
		return
	}
	if s.relays {
		s.tellCancel() // whether anything is under way, the server knows
		return
	}
	s.cancelUpstream()
}

// cancelServer sends a CancelRequest on a connection of its own, which is
// encrypted if the session's is: the key would let whoever reads it cancel.
func (g *Gate) cancelServer(ctx context.Context, up *pgconn.HijackedConn) error {
	addr := up.Conn.RemoteAddr()
	network, address := addr.Network(), addr.String()
	if network == "unix" {
		// A server names its socket as it was told to, which may be from its own
		// directory.
		network, address = pgconn.NetworkAddress(g.conf.Upstream.Host, g.conf.Upstream.Port)
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, address)
	if err != nil {
		return fmt.Errorf("connecting to cancel: %w", err)
	}
	defer func() { conn.Close() }()
	if deadline, ok := ctx.Deadline(); ok {
		conn.SetDeadline(deadline)
	}
	if up.Config != nil && up.Config.TLSConfig != nil {
		if conn, err = encrypted(ctx, conn, up.Config.TLSConfig); err != nil {
			return fmt.Errorf("connecting to cancel: %w", err)
		}
	}
	msg, err := (&pgproto3.CancelRequest{ProcessID: up.PID, SecretKey: up.SecretKey}).Encode(nil)
	if err != nil {
		return err
	}
	if _, err := conn.Write(msg); err != nil {
		return fmt.Errorf("sending the cancel: %w", err)
	}
	// The server closes when it has signalled: until then the cancel could still
	// hit a later query.
	conn.Read(make([]byte, 1))
	return nil
}

// encrypted carries a connection upstream into TLS.
func encrypted(ctx context.Context, conn net.Conn, conf *tls.Config) (net.Conn, error) {
	if _, err := conn.Write(binary.BigEndian.AppendUint32([]byte{0, 0, 0, 8}, codeSSL)); err != nil {
		return conn, fmt.Errorf("asking for TLS: %w", err)
	}
	var answer [1]byte
	if _, err := io.ReadFull(conn, answer[:]); err != nil {
		return conn, fmt.Errorf("asking for TLS: %w", err)
	}
	if answer[0] != 'S' {
		return conn, errors.New("the server declines TLS, which it accepted for the session")
	}
	t := tls.Client(conn, conf)
	return t, t.HandshakeContext(ctx)
}
