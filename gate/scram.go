package gate

import (
	"bytes"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// The server side of SCRAM-SHA-256 and SCRAM-SHA-256-PLUS: RFC 5802, RFC
// 7677, and RFC 5929 section 4 for tls-server-end-point. PostgreSQL's own
// variations: the user name inside SCRAM is ignored (the startup packet's
// counts), and passwords that are not valid SASLprep are used as they are.

const (
	scramPlain = "SCRAM-SHA-256"
	scramPlus  = "SCRAM-SHA-256-PLUS"

	// maxSASL is the most bytes of one message from a client: a nonce and a
	// proof take some 200.
	maxSASL = 4096

	scramIterations    = 4096
	maxScramIterations = 10_000_000
)

// Verifier is what the gate keeps of a password, in PostgreSQL's own format
// (pg_authid.rolpassword): SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>.
type Verifier struct {
	iterations int
	salt       []byte
	storedKey  [32]byte
	serverKey  [32]byte
}

// ParseVerifier reads PostgreSQL's format. The error never repeats the text.
func ParseVerifier(s string) (Verifier, error) {
	bad := func(what string) (Verifier, error) {
		return Verifier{}, fmt.Errorf("not a SCRAM-SHA-256 verifier (%s): make one with `sekisho verifier`, or take it from pg_authid.rolpassword", what)
	}
	rest, ok := strings.CutPrefix(s, scramPlain+"$")
	if !ok {
		return bad("it does not begin with " + scramPlain + "$")
	}
	head, keys, ok := strings.Cut(rest, "$")
	iter, salt, ok2 := strings.Cut(head, ":")
	stored, server, ok3 := strings.Cut(keys, ":")
	if !ok || !ok2 || !ok3 {
		return bad("a part is missing")
	}
	var v Verifier
	var err error
	if v.iterations, err = strconv.Atoi(iter); err != nil || v.iterations < 1 || v.iterations > maxScramIterations {
		return bad("the iteration count is out of range")
	}
	if v.salt, err = base64.StdEncoding.DecodeString(salt); err != nil || len(v.salt) == 0 || len(v.salt) > 256 {
		return bad("the salt is not base64")
	}
	for dst, text := range map[*[32]byte]string{&v.storedKey: stored, &v.serverKey: server} {
		b, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(b) != len(dst) {
			return bad("a key is not 32 bytes of base64")
		}
		copy(dst[:], b)
	}
	return v, nil
}

// MakeVerifier makes the verifier of a password, with a fresh salt.
func MakeVerifier(password string) (string, error) {
	return makeVerifier(password, scramIterations)
}

func makeVerifier(password string, iterations int) (string, error) {
	salt := make([]byte, 16)
	rand.Read(salt)
	salted, err := pbkdf2.Key(sha256.New, password, salt, iterations, sha256.Size)
	if err != nil {
		return "", fmt.Errorf("making a verifier: %w", err)
	}
	stored := sha256.Sum256(mac(salted, "Client Key"))
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("%s$%d:%s$%s:%s", scramPlain, iterations, b64(salt), b64(stored[:]), b64(mac(salted, "Server Key"))), nil
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// A mock makes verifiers that stand in for names that nobody has, so that an
// outsider cannot tell from salt and iterations whether a name exists: the same
// name always gets the same salt, also after the gate was started again, of the
// length and with the iterations of somebody's, and no proof fits.
type mock struct {
	secret []byte
	like   []Verifier // of those who are there
}

func (m *mock) verifier(user string) Verifier {
	v := Verifier{iterations: scramIterations, salt: make([]byte, 16)}
	if len(m.like) > 0 {
		one := m.like[binary.BigEndian.Uint64(mac(m.secret, "like "+user))%uint64(len(m.like))]
		v.iterations, v.salt = one.iterations, make([]byte, len(one.salt))
	}
	for i := 0; i < len(v.salt); i += sha256.Size {
		copy(v.salt[i:], mac(m.secret, fmt.Sprint("salt ", i, " ", user)))
	}
	rand.Read(v.storedKey[:])
	rand.Read(v.serverKey[:])
	return v
}

// A scramServer carries one authentication from the client's first message to
// the server's last.
type scramServer struct {
	verifier Verifier
	binding  []byte // tls-server-end-point of our certificate; nil when PLUS is not offered
	nonce    string // a test may fix it

	plus            bool   // the mechanism that the client chose
	gs2             string // the client's GS2 header, as sent
	clientFirstBare string
	serverFirst     string
}

// Errors of an authentication. Only errProof is worth a client's knowing
// ("wrong password"); the others are protocol errors.
var (
	errProof = errors.New("the proof does not fit")
	errScram = errors.New("malformed SCRAM message")
)

// first takes the client's first message and gives the server's.
func (s *scramServer) first(mechanism string, msg []byte) ([]byte, error) {
	switch mechanism {
	case scramPlain:
	case scramPlus:
		if s.binding == nil {
			return nil, fmt.Errorf("%w: %s without TLS", errScram, scramPlus)
		}
		s.plus = true
	default:
		return nil, fmt.Errorf("%w: unknown mechanism", errScram)
	}
	text := string(msg)
	// gs2-header: gs2-cbind-flag "," [authzid] "," (RFC 5802 section 7)
	flag, rest, ok := strings.Cut(text, ",")
	authz, bare, ok2 := strings.Cut(rest, ",")
	if !ok || !ok2 {
		return nil, errScram
	}
	switch {
	case flag == "n" && !s.plus:
	case flag == "y" && !s.plus:
		// The client can do channel binding and believes that we cannot. If we
		// offered it, somebody between us took the offer away.
		if s.binding != nil {
			return nil, fmt.Errorf("%w: channel binding was offered and taken away on the way", errScram)
		}
	case flag == "p=tls-server-end-point" && s.plus:
	default:
		return nil, fmt.Errorf("%w: unsupported channel binding", errScram)
	}
	if authz != "" {
		return nil, fmt.Errorf("%w: authorization identity is not supported", errScram)
	}
	s.gs2 = flag + "," + authz + ","
	s.clientFirstBare = bare
	// client-first-message-bare: "n=" user "," "r=" nonce. An "m=" extension is
	// mandatory and unknown to us: it fails here, as the RFC asks.
	user, rest, ok := strings.Cut(bare, ",")
	if !ok || !strings.HasPrefix(user, "n=") {
		return nil, errScram
	}
	nonce, _, _ := strings.Cut(rest, ",")
	nonce, ok = strings.CutPrefix(nonce, "r=")
	if !ok || nonce == "" || !printable(nonce) {
		return nil, errScram
	}
	if s.nonce == "" {
		raw := make([]byte, 18)
		rand.Read(raw)
		s.nonce = base64.StdEncoding.EncodeToString(raw)
	}
	s.nonce = nonce + s.nonce
	s.serverFirst = fmt.Sprintf("r=%s,s=%s,i=%d", s.nonce, base64.StdEncoding.EncodeToString(s.verifier.salt), s.verifier.iterations)
	return []byte(s.serverFirst), nil
}

func printable(s string) bool {
	for i := range len(s) {
		if s[i] < 0x21 || s[i] > 0x7e || s[i] == ',' {
			return false
		}
	}
	return true
}

// final takes the client's last message, and gives the server's signature if
// the proof fits.
func (s *scramServer) final(msg []byte) ([]byte, error) {
	text := string(msg)
	at := strings.LastIndex(text, ",p=")
	if at < 0 {
		return nil, errScram
	}
	withoutProof := text[:at]
	proof, err := base64.StdEncoding.DecodeString(text[at+len(",p="):])
	if err != nil || len(proof) != sha256.Size {
		return nil, errScram
	}
	cbind, rest, ok := strings.Cut(withoutProof, ",")
	nonce, _, _ := strings.Cut(rest, ",")
	if !ok || !strings.HasPrefix(cbind, "c=") || !strings.HasPrefix(nonce, "r=") {
		return nil, errScram
	}
	if subtle.ConstantTimeCompare([]byte(nonce[2:]), []byte(s.nonce)) != 1 {
		return nil, errScram
	}
	got, err := base64.StdEncoding.DecodeString(cbind[2:])
	if err != nil {
		return nil, errScram
	}
	want := []byte(s.gs2)
	if s.plus {
		want = append(want, s.binding...)
	}
	if !bytes.Equal(got, want) {
		return nil, fmt.Errorf("%w: the channel binding is another connection's", errScram)
	}
	auth := s.clientFirstBare + "," + s.serverFirst + "," + withoutProof
	signature := mac(s.verifier.storedKey[:], auth)
	clientKey := make([]byte, sha256.Size)
	subtle.XORBytes(clientKey, proof, signature)
	stored := sha256.Sum256(clientKey)
	if subtle.ConstantTimeCompare(stored[:], s.verifier.storedKey[:]) != 1 {
		return nil, errProof
	}
	return []byte("v=" + base64.StdEncoding.EncodeToString(mac(s.verifier.serverKey[:], auth))), nil
}

// endPoint is RFC 5929's tls-server-end-point of a certificate: its hash by
// the hash of its own signature, SHA-256 where that is MD5 or SHA-1. nil when
// the signature names no hash (Ed25519): then PLUS is not offered.
func endPoint(cert *x509.Certificate) []byte {
	switch cert.SignatureAlgorithm {
	case x509.SHA384WithRSA, x509.ECDSAWithSHA384, x509.SHA384WithRSAPSS:
		h := sha512.Sum384(cert.Raw)
		return h[:]
	case x509.SHA512WithRSA, x509.ECDSAWithSHA512, x509.SHA512WithRSAPSS:
		h := sha512.Sum512(cert.Raw)
		return h[:]
	case x509.PureEd25519, x509.UnknownSignatureAlgorithm:
		return nil
	}
	h := sha256.Sum256(cert.Raw)
	return h[:]
}
