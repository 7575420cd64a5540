package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"sekisho/console"
	"sekisho/demo"
	"sekisho/drill"
	"sekisho/house"
)

// demoConfig is the config that the demo writes beside its data. It doubles as
// the commented example.
//
//go:embed demo.yaml
var demoConfig string

// demoAround is what that config says of all that stands around the demo.
//
//go:embed demo_around.yaml
var demoAround string

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

	around bool          // the config speaks of all that stands around sekisho
	net    *demo.Network // nil: this process makes none
	kept   bool          // a person's config was left as it is
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
	words, err := reportWords(language(""))
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
	d.around = true
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
	if err := d.promise(ctx, live); err != nil {
		return err
	}
	number, err := d.misuse(ctx, live, cluster, login)
	if err != nil {
		return err
	}
	if d.once {
		tell()
		fmt.Fprintf(out, "\n%s\n%s\nEverything is ended. make run without ONCE=1 leaves it up.\n", d.tour(live, people, number, round, why), d.last(live, people, login))
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

%s
Ctrl-C ends everything.
`, d.tour(live, people, number, round, why),
		incident, os.Args[0], path.Base(incident), played.dir, second, os.Args[0], path.Base(second), other.dir,
		d.last(live, people, login))
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
