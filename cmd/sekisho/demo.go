package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"sekisho/console"
	"sekisho/demo"
	"sekisho/drill"
	"sekisho/gate"
	"sekisho/house"
)

// demoConfig is the config that the demo writes beside its data. It doubles as
// the commented example.
//
//go:embed demo.yaml
var demoConfig string

// storeSeed is the seed of the demo's customers. They are the same people on
// every machine.
const storeSeed = 20140924

func demoCommand() *cobra.Command {
	d := demonstration{seed: storeSeed}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Bring a customer database, stand in front of it, and play two real cases",
		Long: `Makes a private PostgreSQL cluster under DIR, reachable by a private socket
only, fills it with made-up members, puts a sekisho in front of it, plays the
cases of 2014 and 2016 into ledgers of their own, prints the reports, and stays
up.

A second run uses what the first one made.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if d.members < 2000 {
				return usage{fmt.Errorf("--members %d: the case needs at least 2,000", d.members)}
			}
			return d.run(cmd.Context(), cmd.OutOrStdout())
		},
	}
	cmd.AddCommand(demoReachCommand())
	cmd.Flags().StringVar(&d.dir, "dir", "var", "where everything is kept")
	cmd.Flags().IntVar(&d.members, "members", 1_000_000, "how many members the store has")
	cmd.Flags().BoolVar(&d.once, "once", false, "end after the report")
	return cmd
}

type demonstration struct {
	dir     string
	members int
	seed    uint64 // of the people
	once    bool

	net  *demo.Network // nil: this process makes none
	kept bool          // a person's config was left as it is
}

func (d *demonstration) run(ctx context.Context, out io.Writer) (err error) {
	if d.dir, err = filepath.Abs(d.dir); err != nil {
		return err
	}
	cluster, err := d.store(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cluster.Stop()) }()
	played, err := perform(ctx, drill.Jal2014, filepath.Join(d.dir, "drill-"+drill.Jal2014), cluster, d.seed, d.members)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, played.close()) }()
	// The other case, in a store of its own, a hundredth of its size.
	bookings := max(2000, d.members/1000*drill.Size(drill.Jtb2016)/100_000)
	if err := drill.FillJtb(ctx, cluster, drill.DefaultSeedJtb, bookings); err != nil {
		return err
	}
	other, err := perform(ctx, drill.Jtb2016, filepath.Join(d.dir, "drill-"+drill.Jtb2016), cluster, drill.DefaultSeedJtb, bookings)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, other.close()) }()
	cases := []*console.Compared{played.compared, other.compared}
	words, err := reportWords("")
	if err != nil {
		return err
	}
	tell := func() {
		fmt.Fprintf(out, "%s\n%s\n", played.text, other.text)
		drill.Table(out, words, cases)
		fmt.Fprintf(out, "\njtb-2016 was played with %s of its %s bookings; all of them: %s drill %s\n", thousands(uint64(bookings)), thousands(uint64(drill.Size(drill.Jtb2016))), os.Args[0], drill.Jtb2016)
	}
	// The live house: what the psql line below comes through, with all that stands
	// around it.
	var why error
	if d.net, why = network(); d.net != nil {
		defer d.net.Close()
	}
	login, err := d.config(cluster)
	if err != nil {
		return err
	}
	c, base, err := readConfig(d.configFile())
	if err != nil {
		return err
	}
	round, err := d.surround(ctx, c, login.ca)
	if err != nil {
		return err
	}
	defer round.close()
	live, err := stand(ctx, c, base, slog.LevelWarn, func(h *house.House) { h.Cases = shown(cases) })
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, live.close()) }()
	people, err := d.accounts(ctx, live)
	if err != nil {
		return err
	}
	number, err := d.misuse(ctx, live, cluster, login)
	if err != nil {
		return err
	}
	if d.once {
		tell()
		fmt.Fprintf(out, "\n%s\nEverything is ended. make run without ONCE=1 leaves it up.\n", d.tour(live, people, login, number, round, why))
		return nil
	}
	// The drills' houses stand beside it, without a gate, with the same users.
	played.house.Cases, other.house.Cases = shown(cases), shown(cases)
	incident, err := played.show(beside(live.console), live.house.Config.Data)
	if err != nil {
		return err
	}
	second, err := other.show(beside(played.console), live.house.Config.Data)
	if err != nil {
		return err
	}
	tell()
	fmt.Fprintf(out, `
%s
The incidents of the drills, which were played into ledgers of their own (no gate and no hand is at work there):

  %s   %s incident show %s --ledger %s
  %s   %s incident show %s --ledger %s

Ctrl-C ends everything.
`, d.tour(live, people, login, number, round, why),
		incident, os.Args[0], path.Base(incident), played.dir, second, os.Args[0], path.Base(second), other.dir)
	select {
	case err := <-live.failed:
		return err
	case err := <-round.failed:
		return err
	case err := <-played.failed:
		return fmt.Errorf("the drill: %w", err)
	case err := <-other.failed:
		return fmt.Errorf("the other drill: %w", err)
	case <-cluster.Done():
		return errors.New("the demo's PostgreSQL has ended; see its log under " + filepath.Join(d.dir, "postgres"))
	case <-ctx.Done():
		return nil
	}
}

func (d *demonstration) configFile() string { return filepath.Join(d.dir, "sekisho.yaml") }

// shown gives the cases to a page.
func shown(cases []*console.Compared) func() []*console.Compared {
	return func() []*console.Compared { return cases }
}

// beside is the address after a console's.
func beside(console string) string {
	at, err := netip.ParseAddrPort(strings.TrimPrefix(console, "http://"))
	if err != nil || at.Port() == math.MaxUint16 {
		return "127.0.0.1:0"
	}
	return netip.AddrPortFrom(at.Addr(), at.Port()+1).String()
}

// store starts the cluster and fills it if need be.
func (d *demonstration) store(ctx context.Context) (*demo.Cluster, error) {
	cluster, err := demo.StartCluster(ctx, demo.ClusterConfig{Dir: filepath.Join(d.dir, "postgres"), Log: logger(slog.LevelWarn)})
	if err != nil {
		return nil, err
	}
	bar := newBar(os.Stderr, "making members")
	err = demo.Fill(ctx, cluster, demo.FillConfig{Members: d.members, Seed: d.seed, Progress: func(done, total int) { bar.set(int64(done), int64(total)) }})
	bar.done()
	if err != nil {
		return nil, errors.Join(err, cluster.Stop())
	}
	return cluster, nil
}

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
	settings, err := d.around(intruder)
	if err != nil {
		return l, err
	}
	text := strings.NewReplacer(append(settings,
		"$CERT", cert, "$KEY", key, "$SOCKET", cluster.SocketDir(), "$PORT", strconv.Itoa(cluster.Port()), "$DATABASE", demo.Database,
		"$READER", demo.Reader, "$CALL_CENTRE", demo.CallCentre, "$BATCH", demo.Batch, "$ANALYST", demo.Analyst,
		"$USER", demoUser, "$VERIFIER", verifier, "$CATALOG", indent(demo.CatalogYAML, "  "),
		"$CA", l.ca, // after the names that begin like it
	)...).Replace(demoConfig)
	d.kept, err = keepConfig(filepath.Join(d.dir, "sekisho.yaml"), []byte(text))
	return l, err
}

// keepConfig writes a config, unless a person changed the one that was written
// before: then that stays, and the new one is written beside it. It says so.
func keepConfig(file string, text []byte) (kept bool, err error) {
	mark := file + ".sha256" // of what was written last
	sum := func(b []byte) string { return fmt.Sprintf("%x\n", sha256.Sum256(b)) }
	have, err := os.ReadFile(file)
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return false, fmt.Errorf("reading the demo's config: %w", err)
	default:
		if was, err := os.ReadFile(mark); err != nil || string(was) != sum(have) {
			if err := os.WriteFile(file+".new", text, 0o600); err != nil {
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

// around are the settings of what stands beside sekisho: free ports, words that
// hands are known by, who is where.
func (d *demonstration) around(intruder string) (settings []string, err error) {
	dir := filepath.Join(d.dir, "hands")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	for _, name := range []string{"router.token", "proxy.password", "switch.secret", "canary.token"} {
		if _, err := keptPassword(filepath.Join(dir, name)); err != nil {
			return nil, err
		}
	}
	verifier, err := gate.MakeVerifier(intruder)
	if err != nil {
		return nil, err
	}
	settings = []string{"$INTRUDER_VERIFIER", verifier, "$INTRUDER", demoIntruder, "$OUTSIDE", demo.OutsideV4}
	for _, one := range []struct{ name, at string }{{"$DESK", "127.0.0.1:8300"}, {"$HANDS", "127.0.0.1:8400"}, {"$SWITCH", "127.0.0.1:8500"}, {"$RELAY", "127.0.0.1:2525"}, {"$BOUNCES", "127.0.0.1:2700"}} {
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
			if d.net == nil && at != loopbackOf(i+1) {
				continue
			}
			bindings += fmt.Sprintf("    - {address: %q, endpoint: %s}\n", at, name)
		}
	}
	if d.net != nil {
		routers = fmt.Sprintf(`  routers:
    - {name: router, token_file: hands/router.token}
  probes:
    - {name: canary, token_file: hands/canary.token, addresses: [%s, %q], hands: [router]}
`, demo.CanaryV4, demo.CanaryV6)
	}
	return append(settings, "$BINDINGS\n", bindings, "$ROUTERS", routers), nil
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
