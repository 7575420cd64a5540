package gate

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"

	"sekisho/catalog"
)

// The first bytes of a connection: protocol section 55.2.1 (Start-up) and
// 55.7 (Message Formats) of PostgreSQL's manual.

const (
	codeCancel   = 80877102
	codeSSL      = 80877103
	codeGSS      = 80877104
	maxStartup   = 10_000 // as the server's own limit, MAX_STARTUP_PACKET_LENGTH
	maxCancel    = 8 + 256
	tlsHandshake = 0x16
)

// hello is what a client said before authentication.
type hello struct {
	minor   uint16            // of protocol 3
	params  map[string]string // startup parameters; "user" and "database" are never empty
	unknown []string          // _pq_ options, none of which we know

	cancel    bool
	pid       uint32
	cancelKey []byte
}

// startupError is an error that a client gets to read, before authentication.
type startupError struct {
	code string // SQLSTATE
	text string
	hint string
}

func (e *startupError) Error() string { return e.text }

// greet carries a connection through TLS and reads the startup packet. The
// connection that it returns is the one to go on with.
func greet(conn net.Conn, conf *tls.Config, require bool) (net.Conn, *hello, error) {
	var seenSSL, seenGSS, secure bool
	for {
		// One byte first: a TLS handshake without SSLRequest (PostgreSQL 17's
		// sslnegotiation=direct) begins with 0x16, which no packet length can.
		var head [8]byte
		if _, err := io.ReadFull(conn, head[:1]); err != nil {
			return conn, nil, err
		}
		if head[0] == tlsHandshake && !secure && !seenSSL && !seenGSS {
			if conf == nil {
				return conn, nil, errors.New("a TLS handshake, and the gate has no certificate")
			}
			t := tls.Server(&unread{Conn: conn, first: head[:1]}, conf)
			if err := t.Handshake(); err != nil {
				return conn, nil, err
			}
			if t.ConnectionState().NegotiatedProtocol != "postgresql" {
				return conn, nil, errors.New("direct TLS without the ALPN protocol postgresql")
			}
			conn, secure = t, true
			continue
		}
		if _, err := io.ReadFull(conn, head[1:]); err != nil {
			return conn, nil, err
		}
		size := binary.BigEndian.Uint32(head[:4])
		code := binary.BigEndian.Uint32(head[4:])
		if size < 8 || size > maxStartup {
			return conn, nil, &startupError{"08P01", "invalid length of startup packet", ""}
		}
		switch code {
		case codeSSL:
			if size != 8 || seenSSL || secure {
				return conn, nil, &startupError{"08P01", "unexpected SSLRequest", ""}
			}
			seenSSL = true
			if conf == nil {
				if _, err := conn.Write([]byte{'N'}); err != nil {
					return conn, nil, err
				}
				continue
			}
			if _, err := conn.Write([]byte{'S'}); err != nil {
				return conn, nil, err
			}
			// Nothing was read ahead of the answer: greet reads exactly one packet,
			// so no plaintext can be taken for something said inside TLS
			// (CVE-2021-23222).
			t := tls.Server(conn, conf)
			if err := t.Handshake(); err != nil {
				return conn, nil, err
			}
			conn, secure = t, true
			continue
		case codeGSS:
			if size != 8 || seenGSS || secure {
				return conn, nil, &startupError{"08P01", "unexpected GSSENCRequest", ""}
			}
			seenGSS = true
			if _, err := conn.Write([]byte{'N'}); err != nil {
				return conn, nil, err
			}
			continue
		case codeCancel:
			if size < 8+4+4 || size > 8+4+maxCancel {
				return conn, nil, errors.New("malformed CancelRequest")
			}
			body := make([]byte, size-8)
			if _, err := io.ReadFull(conn, body); err != nil {
				return conn, nil, err
			}
			return conn, &hello{cancel: true, pid: binary.BigEndian.Uint32(body), cancelKey: body[4:]}, nil
		}
		body := make([]byte, size-8)
		if _, err := io.ReadFull(conn, body); err != nil {
			return conn, nil, err
		}
		h, err := parseStartup(code, body)
		if err == nil && require && !secure {
			err = &startupError{"28000", "the gate accepts encrypted connections only", "Connect with sslmode=verify-full."}
		}
		return conn, h, err
	}
}

// unread gives back the byte that told TLS from a packet.
type unread struct {
	net.Conn
	first []byte
}

func (u *unread) Read(p []byte) (int, error) {
	if len(u.first) > 0 {
		n := copy(p, u.first)
		u.first = u.first[n:]
		return n, nil
	}
	return u.Conn.Read(p)
}

// parseStartup reads the pairs of a StartupMessage. A pair that appears twice,
// or bytes after the end, are refused: what the gate believes and what the
// server believes must be the same.
func parseStartup(code uint32, body []byte) (*hello, error) {
	if code>>16 != 3 {
		return nil, &startupError{"0A000", fmt.Sprintf("unsupported frontend protocol %d.%d: the gate speaks 3.0 and 3.2", code>>16, code&0xffff), ""}
	}
	malformed := &startupError{"08P01", "invalid startup packet layout: expected terminator as last byte", ""}
	h := &hello{minor: uint16(code), params: map[string]string{}}
	for {
		name, rest, ok := bytes.Cut(body, []byte{0})
		if !ok {
			return nil, malformed
		}
		if len(name) == 0 {
			if len(rest) != 0 {
				return nil, malformed
			}
			break
		}
		value, rest, ok := bytes.Cut(rest, []byte{0})
		if !ok {
			return nil, malformed
		}
		body = rest
		key := strings.ToLower(string(name))
		if strings.HasPrefix(key, "_pq_.") {
			h.unknown = append(h.unknown, string(name))
			continue
		}
		if _, twice := h.params[key]; twice {
			return nil, &startupError{"08P01", "a startup parameter appears twice", "Name each parameter once."}
		}
		h.params[key] = string(value)
	}
	if h.params["user"] == "" {
		return nil, &startupError{"28000", "no PostgreSQL user name specified in startup packet", ""}
	}
	// As the server would, and before anything is decided by it.
	if h.params["database"] == "" {
		h.params["database"] = h.params["user"]
	}
	if v, ok := h.params["replication"]; ok {
		switch strings.ToLower(v) {
		case "false", "off", "no", "0", "f", "n", "of":
			delete(h.params, "replication")
		default:
			return nil, &startupError{"0A000", "replication connections do not pass the gate", "Replication takes whole tables past the accounting. Ask for a dedicated, reviewed path."}
		}
	}
	return h, nil
}

// startupSettings are the run-time parameters that a client may set while
// connecting. What is not here is refused by name.
var startupSettings = map[string]bool{
	"application_name": true, "client_encoding": true, "datestyle": true, "timezone": true, "intervalstyle": true,
	"extra_float_digits": true, "bytea_output": true, "search_path": true, "statement_timeout": true, "lock_timeout": true,
	"idle_in_transaction_session_timeout": true, "idle_session_timeout": true, "geqo": true, "jit": true, "work_mem": true,
	"default_transaction_read_only": true, "default_transaction_isolation": true, "lc_messages": true, "lc_monetary": true,
	"lc_numeric": true, "lc_time": true, "tcp_user_timeout": true, "fallback_application_name": true,
	"sekisho.purpose": true, "sekisho.user": true, "sekisho.terminal": true,
}

// ownSettings are the gate's own: what they are set to says what a session
// states.
var ownSettings = map[string]bool{"sekisho.purpose": true, "sekisho.user": true, "sekisho.terminal": true}

// newest is the latest minor version of protocol 3 that the gate speaks.
const newest = 2

// negotiate tells a client that asked for more than the gate knows, and leaves
// in h.minor what both speak.
func (h *hello) negotiate(conn net.Conn) error {
	ask := h.minor
	h.minor = min(h.minor, newest)
	if ask == h.minor && len(h.unknown) == 0 {
		return nil
	}
	msg, err := (&pgproto3.NegotiateProtocolVersion{NewestMinorProtocol: 3<<16 | uint32(h.minor), UnrecognizedOptions: h.unknown}).Encode(nil)
	if err != nil {
		return err
	}
	_, err = conn.Write(msg)
	return err
}

// settings are the run-time parameters to ask the server for, out of the
// startup packet's pairs and its "options". all: what they are is the server's
// business.
func (h *hello) settings(all bool) (map[string]string, error) {
	out := map[string]string{}
	for k, v := range h.params {
		if k != "user" && k != "database" && (all || k != "options") {
			out[k] = v
		}
	}
	if all {
		return out, nil
	}
	pairs, err := parseOptions(h.params["options"])
	if err != nil {
		return nil, err
	}
	given := maps.Clone(out) // what stands in the packet itself wins, as in the server
	for _, kv := range pairs {
		if _, ok := given[kv[0]]; !ok {
			out[kv[0]] = kv[1]
		}
	}
	for k := range out {
		if !startupSettings[k] {
			return nil, &startupError{"0A000", fmt.Sprintf("unsupported startup parameter: %q", clip(k)), "The gate passes on a short list of settings only; see the manual's page on the gate."}
		}
	}
	if enc := out["client_encoding"]; enc != "" && !catalog.SafeEncoding(enc) {
		return nil, &startupError{"0A000", fmt.Sprintf("client encoding %q is not safe to read SQL in", clip(enc)), "Use UTF8 or EUC_JP; the client can convert its own files."}
	}
	return out, nil
}

func clip(s string) string {
	if len(s) > 63 {
		return s[:63] + "…"
	}
	return s
}

// parseOptions reads the command-line switches of the startup parameter
// "options": only -c name=value and --name=value, with backslash escapes.
func parseOptions(s string) ([][2]string, error) {
	var words []string
	var word strings.Builder
	in := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\': // alone at the end, it is nothing
			if i++; i < len(s) {
				word.WriteByte(s[i])
			}
			in = true
		case strings.IndexByte(" \t\n\v\f\r", c) >= 0:
			if in {
				words = append(words, word.String())
				word.Reset()
				in = false
			}
		default:
			word.WriteByte(c)
			in = true
		}
	}
	if in {
		words = append(words, word.String())
	}
	var pairs [][2]string
	for i := 0; i < len(words); i++ {
		w, by := words[i], "-c "
		switch {
		case w == "-c" && i+1 < len(words):
			i++
			w = words[i]
		case strings.HasPrefix(w, "-c") && w != "-c":
			w = w[2:]
		case strings.HasPrefix(w, "--") && w != "--":
			w, by = w[2:], "--"
		default:
			return nil, &startupError{"0A000", "unsupported switch in the startup parameter \"options\"", "Use -c name=value."}
		}
		k, v, ok := strings.Cut(w, "=")
		if !ok {
			return nil, &startupError{"42601", by + clip(w) + " requires a value", "Use -c name=value."}
		}
		pairs = append(pairs, [2]string{strings.ReplaceAll(strings.ToLower(k), "-", "_"), v})
	}
	return pairs, nil
}
