package main

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"sekisho/demo"
	"sekisho/gate"
	"sekisho/house"
)

// A login is how the demo's member of staff comes in.
type login struct {
	passfile, ca, cert, key string
}

const (
	demoUser     = "suzuki"
	demoEndpoint = "pc-0101"
)

func (l login) dsn(addr string) string {
	host, port, _ := strings.Cut(addr, ":")
	return fmt.Sprintf("host=%s port=%s dbname=%s user=%s sslmode=verify-full sslrootcert=%s sslcert=%s sslkey=%s",
		host, port, demo.Database, demoUser, l.ca, l.cert, l.key)
}

// config writes the live house's config, with certificates and passwords that
// stay the same from one run to the next.
func (d *demonstration) config(cluster *demo.Cluster) (l login, err error) {
	ca, err := demo.OpenAuthority(filepath.Join(d.dir, "certificates"))
	if err != nil {
		return l, err
	}
	l.ca = ca.CA()
	cert, key, err := ca.Gate()
	if err != nil {
		return l, err
	}
	if l.cert, l.key, err = ca.Endpoint(demoEndpoint); err != nil {
		return l, err
	}
	password, err := keptPassword(filepath.Join(d.dir, demoUser+".password"))
	if err != nil {
		return l, err
	}
	verifier, err := gate.MakeVerifier(password)
	if err != nil {
		return l, err
	}
	intruder, err := keptPassword(filepath.Join(d.dir, demoIntruder+".password"))
	if err != nil {
		return l, err
	}
	if _, _, err := ca.Endpoint(demoIntruderEndpoint); err != nil {
		return l, err
	}
	l.passfile = filepath.Join(d.dir, "pgpass")
	if err := os.WriteFile(l.passfile, fmt.Appendf(nil, "*:*:%s:%s:%s\n", demo.Database, demoUser, password), 0o600); err != nil {
		return l, fmt.Errorf("writing the password file for psql: %w", err)
	}
	for _, role := range demo.Roles {
		if _, err := cluster.Password(role); err != nil {
			return l, err
		}
	}
	if err := keepPolicy(filepath.Join(d.dir, "policy")); err != nil {
		return l, err
	}
	misused, err := gate.MakeVerifier(intruder)
	if err != nil {
		return l, err
	}
	settings, err := d.settings()
	if err != nil {
		return l, err
	}
	// What stands around speaks of the certificates, too.
	text := strings.NewReplacer(settings...).Replace(demoConfig)
	text = strings.NewReplacer("$INTRUDER_VERIFIER", misused, "$INTRUDER", demoIntruder,
		"$CERT", cert, "$KEY", key, "$SOCKET", cluster.SocketDir(), "$PORT", strconv.Itoa(cluster.Port()), "$DATABASE", demo.Database,
		"$READER", demo.Reader, "$CALL_CENTRE", demo.CallCentre, "$BATCH", demo.Batch, "$ANALYST", demo.Analyst,
		"$USER", demoUser, "$VERIFIER", verifier, "$CATALOG", indent(demo.CatalogYAML, "  "),
		"$CA", l.ca, // after the names that begin like it
	).Replace(text)
	d.kept, err = keepConfig(d.configFile(), []byte(text))
	return l, err
}

// keepConfig writes a config, unless a person changed the one that was written
// before: then that stays, and the new one is written beside it. It says so.
func keepConfig(file string, text []byte) (kept bool, err error) {
	mark := file + ".sha256" // of what was written last, beside it or in its place
	sum := func(b []byte) string { return fmt.Sprintf("%x\n", sha256.Sum256(b)) }
	have, err := os.ReadFile(file)
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return false, fmt.Errorf("reading the demo's config: %w", err)
	default:
		if was, err := os.ReadFile(mark); err != nil || string(was) != sum(have) {
			if err := errors.Join(os.WriteFile(mark, []byte(sum(text)), 0o600), os.WriteFile(file+".new", text, 0o600)); err != nil {
				return false, fmt.Errorf("writing the demo's config: %w", err)
			}
			return true, nil
		}
	}
	// The mark comes last: after a crash between the two the file counts as a
	// person's, and is kept.
	if err := errors.Join(os.WriteFile(file, text, 0o600), os.WriteFile(mark, []byte(sum(text)), 0o600)); err != nil {
		return false, fmt.Errorf("writing the demo's config: %w", err)
	}
	os.Remove(file + ".new")
	return false, nil
}

// settings are those of what stands around sekisho: free ports, words that hands
// are known by, who is where.
func (d *demonstration) settings() (settings []string, err error) {
	if !d.around {
		return []string{"$HOSTILE", "", "$SENSORS", "", "$AROUND", ""}, nil
	}
	dir := filepath.Join(d.dir, "hands")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	for _, name := range []string{"router.token", "proxy.password", "switch.secret", "canary.token"} {
		if _, err := keptPassword(filepath.Join(dir, name)); err != nil {
			return nil, err
		}
	}
	// Far from the gate's and the consoles' ports, which move to the next free one.
	for _, one := range []struct{ name, at string }{{"$DESK", "127.0.0.1:8300"}, {"$HANDS", "127.0.0.1:8400"}, {"$SWITCH", "127.0.0.1:8500"}, {"$RELAY", "127.0.0.1:2525"}, {"$BOUNCES", "127.0.0.1:2700"},
		{"$STAFF", "127.0.0.1:8600"}, {"$LURES", "127.0.0.1:8700"}, {"$POLICY", "127.0.0.1:8800"}} {
		l, _, err := house.Listen(one.at)
		if err != nil {
			return nil, err
		}
		settings = append(settings, one.name, l.Addr().String())
		defer l.Close() // all of them are held until each has its own
	}
	bindings, routers := "", ""
	for i, name := range demoTerminals {
		v4, v6 := demo.TerminalAt(i + 1)
		for _, at := range []string{v4, v6, loopbackOf(i + 1)} {
			if d.net != nil || at == loopbackOf(i+1) {
				bindings += fmt.Sprintf("    - {address: %q, endpoint: %s}\n", at, name)
			}
		}
	}
	if d.net != nil {
		routers = fmt.Sprintf(`  routers:
    - {name: router, token_file: hands/router.token}
  probes:
    - {name: canary, token_file: hands/canary.token, addresses: [%s, %q], hands: [router]}
`, demo.CanaryV4, demo.CanaryV6)
	}
	ports := strings.NewReplacer(settings...)
	return append(settings, "$HOSTILE", demo.OutsideV4, "$AROUND", ports.Replace(strings.ReplaceAll(demoAround, "$ROUTERS", routers))+"\n",
		"$SENSORS", "  # Which terminal an address is.\n  bindings:\n"+bindings+ports.Replace(`  # Mail to decoys, and notices that come back.
  mail:
    listen: $BOUNCES
    domains: [decoy.demo.example]
`)), nil
}

func indent(text, by string) string {
	return by + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n"+by)
}

// keptPassword reads a password from a file, and makes one if there is none.
func keptPassword(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err == nil {
		return strings.TrimSpace(string(b)), nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("reading a password: %w", err)
	}
	raw := make([]byte, 12)
	rand.Read(raw)
	password := hex.EncodeToString(raw)
	if err := os.WriteFile(path, []byte(password+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("keeping a password: %w", err)
	}
	return password, nil
}
