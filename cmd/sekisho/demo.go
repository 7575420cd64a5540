package main

import (
	"context"
	"crypto/rand"
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
	if d.once {
		tell()
		return nil
	}
	// The live house: what the psql line below comes through.
	login, err := d.config(cluster)
	if err != nil {
		return err
	}
	c, base, err := readConfig(filepath.Join(d.dir, "sekisho.yaml"))
	if err != nil {
		return err
	}
	live, err := stand(ctx, c, base, slog.LevelWarn, func(h *house.House) { h.Cases = shown(cases) })
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, live.close()) }()
	password, err := d.consolePassword(live)
	if err != nil {
		return err
	}
	// The drill's house stands beside it, without a gate, with the same users.
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
the incident   %s   (a drill: its ledger is %s)
the other one  %s   (a drill: its ledger is %s)
the console    %s   (live: who reads whose record, as it happens)
sign in        %s / %s   (for all three)

Read a customer as a member of the call centre, and watch the console:

  PGPASSFILE=%s psql %q

  select name_kanji, email, address from crm.member where member_no = %d;

Ask about it, here as of any sekisho (budget, export, decoy, readiness, doctor, ...):

  %s budget --config %s

Work on an incident of the drills, at the command line as in its room:

  %s incident show %s --ledger %s

Ctrl-C ends everything.
`, incident, played.dir, second, other.dir, live.console, live.user, password, login.passfile, login.dsn(live.gate), demo.MemberNo(d.seed, d.members/2), os.Args[0], filepath.Join(d.dir, "sekisho.yaml"),
		os.Args[0], path.Base(incident), played.dir)
	select {
	case err := <-live.failed:
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
	text := strings.NewReplacer(
		"$CERT", cert, "$KEY", key, "$SOCKET", cluster.SocketDir(), "$PORT", strconv.Itoa(cluster.Port()), "$DATABASE", demo.Database,
		"$READER", demo.Reader, "$CALL_CENTRE", demo.CallCentre, "$BATCH", demo.Batch, "$ANALYST", demo.Analyst,
		"$USER", demoUser, "$VERIFIER", verifier, "$CATALOG", indent(demo.CatalogYAML, "  "),
		"$CA", l.ca, // after the names that begin like it
	).Replace(demoConfig)
	if err := os.WriteFile(filepath.Join(d.dir, "sekisho.yaml"), []byte(text), 0o600); err != nil {
		return l, fmt.Errorf("writing the demo's config: %w", err)
	}
	return l, nil
}

func indent(text, by string) string {
	return by + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n"+by)
}

// consolePassword is the password of the console's administrator. Only a demo
// keeps it: somebody who comes back next week should not have to reset it.
func (d *demonstration) consolePassword(live *doors) (string, error) {
	path := filepath.Join(d.dir, "console.password")
	if live.password != "" {
		return live.password, os.WriteFile(path, []byte(live.password+"\n"), 0o600)
	}
	if b, err := os.ReadFile(path); err == nil {
		return strings.TrimSpace(string(b)), nil
	}
	password, err := live.house.Console.Reset(live.user)
	if err != nil {
		return "", err
	}
	return password, os.WriteFile(path, []byte(password+"\n"), 0o600)
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
	raw := make([]byte, 9)
	rand.Read(raw)
	password := hex.EncodeToString(raw)
	if err := os.WriteFile(path, []byte(password+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("keeping a password: %w", err)
	}
	return password, nil
}
