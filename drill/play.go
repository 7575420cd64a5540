package drill

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"sekisho/catalog"
	"sekisho/console"
	"sekisho/demo"
	"sekisho/house"
	"sekisho/sensor"
	"sekisho/tell"
)

// Jal2014 is the scenario's name.
const Jal2014 = "jal-2014"

// Scenarios are the cases that play to their end by themselves.
func Scenarios() []string { return []string{Jal2014, Jtb2016} }

// Size is how many customers a case is about.
func Size(scenario string) int {
	if scenario == Jtb2016 {
		return FullJtb
	}
	return 1_000_000
}

// ShippedSeed is that of a case's shipped plan.
func ShippedSeed(scenario string) uint64 {
	if scenario == Jtb2016 {
		return DefaultSeedJtb
	}
	return DefaultSeed
}

// DefaultSeed is that of the shipped plan.
const DefaultSeed = 2014

// Config of a drill.
type Config struct {
	Scenario  string        // Jal2014 or Jtb2016
	Cluster   *demo.Cluster // whose store is filled: demo.Database, or demo.Bookings by FillJtb with the same seed
	Seed      uint64        // of what the actors do
	StoreSeed uint64        // of the store: as it was filled
	Members   int           // of the store: as it was filled
	Catalog   catalog.Config
	// Dir is the directory of the drill's house. It must be empty or not there.
	Dir string
	// Progress may be nil. It is called from one goroutine.
	Progress func(step string, done, total int)
	Log      *slog.Logger // may be nil

	// noTraffic: the tap at the way out is off. For tests.
	noTraffic bool
}

// Played is a drill that was played: its house is open, its gate is shut, and
// its clock goes on from the drill's last day, so that it can be looked at.
type Played struct {
	House  *house.House
	Report *Report    // of jal-2014; else nil
	Jtb    *JtbReport // of jtb-2016; else nil
	// Recovered is the path of the file that was found.
	Recovered string

	events string // where events are posted; empty if nowhere

	stop    context.CancelFunc
	serving sync.WaitGroup
}

// A Told report can be told to people.
type Told interface {
	Text(out io.Writer, w *console.Teller)
}

// Told is the report of whichever case was played.
func (p *Played) Told() Told {
	if p.Jtb != nil {
		return p.Jtb
	}
	return p.Report
}

// Compared is what the case took then, and took here.
func (p *Played) Compared() *console.Compared {
	if p.Jtb != nil {
		return p.Jtb.Compared
	}
	return p.Report.Compared
}

// Incident is the number of the case's incident; 0 if none was opened.
func (p *Played) Incident() uint64 {
	if p.Jtb != nil {
		return p.Jtb.Incident
	}
	return p.Report.Incident
}

// Close ends the house. What it recorded stays.
func (p *Played) Close() error {
	p.shut()
	return p.House.Close()
}

// shut ends the gate, and waits for it.
func (p *Played) shut() {
	p.stop()
	if p.House.Gate != nil {
		p.House.Gate.Close()
	}
	p.serving.Wait()
}

// Run plays jal-2014 to its end and closes the house.
func Run(ctx context.Context, c Config) (*Report, error) {
	p, err := Play(ctx, c)
	if p == nil {
		return nil, err
	}
	return p.Report, errors.Join(err, p.Close())
}

// Play plays a case. If the truth contradicts an answer, the error says so and
// the Played is given all the same; after any other error it is nil.
func Play(ctx context.Context, c Config) (*Played, error) {
	if !slices.Contains(Scenarios(), c.Scenario) {
		return nil, fmt.Errorf("there is no drill called %q: there are %s", c.Scenario, strings.Join(Scenarios(), " and "))
	}
	if c.Members < 2000 {
		return nil, fmt.Errorf("drill %s: %d members are too few for it: fill the store with 2000 or more", c.Scenario, c.Members)
	}
	c.defaults()
	if c.Scenario == Jtb2016 {
		p, err := playJtb(ctx, c)
		if err != nil {
			err = fmt.Errorf("drill %s: %w", c.Scenario, err)
		}
		return p, err
	}
	began := time.Now()
	s := &stage{
		Config: c, clock: &clock{at: firstDay.Add(-4 * time.Hour)}, truth: &truth{}, stashes: map[string]*stash{},
		script: newScript(c.Seed, c.StoreSeed, c.Members),
	}
	p, err := s.open(ctx)
	if err != nil {
		return nil, fmt.Errorf("drill %s: %w", c.Scenario, err)
	}
	if err = s.play(ctx); err == nil {
		err = s.ask(ctx, p)
	}
	s.clients.close()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("drill %s: %w", c.Scenario, err), p.Close())
	}
	// A gate left open would keep its reader in the database, where another
	// house takes it for somebody who passed the gate by.
	p.shut()
	s.clock.run()
	p.Report.Elapsed = time.Since(began).Seconds()
	if len(p.Report.Violations) > 0 {
		return p, fmt.Errorf("drill %s: the truth contradicts the answer: %s", c.Scenario, p.Report.Violations[0])
	}
	return p, nil
}

func (c *Config) defaults() {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Progress == nil {
		c.Progress = func(string, int, int) {}
	}
}

// A stage is where a drill is played.
type stage struct {
	Config
	script  *script
	clock   *clock
	truth   *truth
	house   *house.House
	clients *clients
	network *network
	revised int // alerts of the incident at its latest revision

	mu      sync.Mutex
	stashes map[string]*stash // by burst and terminal
	loot    [][]string        // the records that were sent, in order
}

// open makes the house, its gate and its people.
func (s *stage) open(ctx context.Context) (p *Played, err error) {
	for _, d := range []string{"", "network", "staging"} {
		if err := os.MkdirAll(filepath.Join(s.Dir, d), 0o700); err != nil {
			return nil, err
		}
	}
	ca, err := demo.OpenAuthority(filepath.Join(s.Dir, "authority"))
	if err != nil {
		return nil, err
	}
	conf, err := s.config(ca)
	if err != nil {
		return nil, err
	}
	if p, s.clients.addr, err = raise(ctx, conf, s.Dir, s.Scenario, s.clock, s.Log); err != nil {
		return nil, err
	}
	s.house, s.clients.ca = p.House, ca
	return p, nil
}

// config is that of the drill's house.
func (s *stage) config(ca *demo.Authority) (conf house.Config, err error) {
	conf = house.Config{
		Name: s.Scenario, Data: s.Dir, Number: 1, TimeZone: "Asia/Tokyo", Catalog: s.Catalog, Hostile: []string{dropSite}, Tell: tell.Config{Company: company()},
	}
	if conf.Gate, err = gateOf(s.Dir, s.Cluster, demo.Database, ca, map[string][]string{demo.CallCentre: {enquiries}, demo.Batch: {mailings}}); err != nil {
		return conf, err
	}
	all := staff()
	s.clients = newClients(demo.Database)
	for _, one := range all {
		if err := s.clients.hire(&conf.Gate, one.account, one.role); err != nil {
			return conf, err
		}
	}
	s.network = &network{dir: filepath.Join(s.Dir, "network"), random: s.script.stream(streamNetwork), of: map[string]int{}, silent: s.noTraffic}
	for i, name := range terminals(all) {
		s.network.hosts = append(s.network.hosts, addressOf(i))
		s.network.of[name] = i
		conf.Sensors.Bindings = append(conf.Sensors.Bindings, sensor.Binding{Address: addressOf(i), Endpoint: name, Since: firstDay})
	}
	return conf, nil
}

// play does the script, moment by moment.
func (s *stage) play(ctx context.Context) error {
	if err := s.house.ReadRosters(ctx, func(_ string, done int) { s.Progress("reading the roster", done, s.Members) }); err != nil {
		return err
	}
	acts := s.script.acts
	rotate := firstDay.Add(rotated)
	for i := 0; i < len(acts); {
		at := acts[i].at
		if err := s.rotateUntil(ctx, &rotate, at); err != nil {
			return err
		}
		n := i
		for n < len(acts) && acts[n].at.Equal(at) {
			n++
		}
		s.clock.set(at)
		if err := s.moment(ctx, acts[i:n]); err != nil {
			return fmt.Errorf("on %s: %w", at.Format("2 January 15:04"), err)
		}
		i = n
		s.Progress("playing the case", int(at.Sub(firstDay)/time.Hour), int(askedAt.Sub(firstDay)/time.Hour))
	}
	if err := s.rotateUntil(ctx, &rotate, askedAt); err != nil {
		return err
	}
	s.clock.set(askedAt)
	return s.settle(ctx)
}

// moment does the acts of one moment: side by side those of different desks,
// one after the other those of one.
func (s *stage) moment(ctx context.Context, acts []act) error {
	const atOnce = 16
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	queue := make(chan []act)
	var wg sync.WaitGroup
	for range min(atOnce, len(acts)) {
		wg.Go(func() {
			for list := range queue {
				for i := range list {
					if err := s.do(ctx, &list[i]); err != nil {
						stop(err)
						break
					}
				}
			}
		})
	}
	var order []desk
	by := map[desk][]act{}
	stolen := false
	for _, a := range acts {
		if by[a.desk] == nil {
			order = append(order, a.desk)
		}
		by[a.desk] = append(by[a.desk], a)
		_, sweeps := a.work.(page)
		stolen = stolen || sweeps
	}
	for _, d := range order {
		select {
		case queue <- by[d]:
		case <-ctx.Done():
		}
	}
	close(queue)
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if stolen {
		return s.settle(ctx)
	}
	return nil
}

// do does one act and keeps what came back for the truth.
func (s *stage) do(ctx context.Context, a *act) error {
	c, err := s.clients.at(ctx, a.desk)
	if err != nil {
		return err
	}
	switch w := a.work.(type) {
	case look:
		came, err := c.look(ctx, w.sql, w.members)
		if err != nil {
			return fmt.Errorf("looking members up: %w", err)
		}
		s.truth.saw(a.desk.endpoint, a.at, came)
		if w.stolen {
			s.truth.stole(a.at, came, false)
		}
		return nil
	case slice:
		var came []int64
		keep := slices.Contains(infected[:], a.desk.endpoint)
		err := c.read(ctx, w.sql, [][]byte{number(w.from), number(w.to)}, func(m int64, _ [][]byte) {
			if keep {
				came = append(came, m)
			}
		})
		if err != nil {
			return fmt.Errorf("running a bulk job: %w", err)
		}
		s.truth.saw(a.desk.endpoint, a.at, came)
		return nil
	case page:
		return s.steal(ctx, c, a, w)
	}
	return fmt.Errorf("nobody knows how to do %T", a.work)
}

func number(n int64) []byte { return strconv.AppendInt(nil, n, 10) }

// steal reads one page of a sweep and stages it.
func (s *stage) steal(ctx context.Context, c *client, a *act, w page) error {
	st := s.stashOf(w)
	var came []int64
	var staging error
	err := c.read(ctx, sweep, [][]byte{number(w.after), number(int64(w.rows))}, func(m int64, row [][]byte) {
		came = append(came, m)
		if st != nil && staging == nil {
			staging = st.add(row)
		}
	})
	if err = errors.Join(err, staging); err != nil {
		return fmt.Errorf("sweeping: %w", err)
	}
	s.truth.saw(a.desk.endpoint, a.at, came)
	s.truth.stole(a.at, came, true)
	return nil
}

// stashOf is where a page's rows go; nil if they are only looked at.
func (s *stage) stashOf(w page) *stash {
	if w.stash == "" {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	key := fmt.Sprintf("%d %s", w.burst, w.stash)
	if s.stashes[key] == nil {
		s.stashes[key] = &stash{
			dir: filepath.Join(s.Dir, "staging"), name: fmt.Sprintf("%s-%s", w.stash, bursts[w.burst].from.Format("0102")),
			rows: max(leastVolume, int(volumeShare*float64(s.Members)+0.5)),
		}
	}
	return s.stashes[key]
}

// rotateUntil lets the network's time go on to t: what the attacker sends
// meanwhile is sent, and each log that is full is read by the sensor.
func (s *stage) rotateUntil(ctx context.Context, next *time.Time, t time.Time) error {
	for !next.After(t) {
		from := next.Add(-rotated)
		s.network.ordinary(from, *next)
		s.network.beacons(from, *next)
		if err := s.transfers(from, *next); err != nil {
			return err
		}
		s.clock.set(*next)
		if err := s.network.rotate(ctx, s.house, *next); err != nil {
			return err
		}
		if err := s.settle(ctx); err != nil {
			return err
		}
		if next.After(bursts[0].from) {
			if err := s.keepUp(ctx); err != nil {
				return err
			}
		}
		*next = next.Add(rotated)
	}
	return nil
}

// transfers sends the parcels that fall due between two times: the first
// volumes of a stash, each over a connection of its own.
func (s *stage) transfers(from, until time.Time) error {
	const transport = 690 // bytes that TLS and HTTP add to a volume
	for n := range bursts {
		for _, p := range bursts[n].send {
			if p.at.Before(from) || !p.at.Before(until) {
				continue
			}
			st := s.stashes[fmt.Sprintf("%d %s", n, p.endpoint)]
			if st == nil {
				continue
			}
			if len(st.volumes) < p.volumes {
				if err := st.close(); err != nil {
					return err
				}
			}
			for i, v := range st.volumes[:min(p.volumes, len(st.volumes))] {
				s.network.sends(p.endpoint, p.at.Add(time.Duration(i)*3*time.Minute), v.packed+transport)
				s.truth.sent += v.packed + transport
				for _, r := range v.records {
					m, err := strconv.ParseInt(r[0], 10, 64)
					if err != nil {
						return errors.New("a staged record has no member number")
					}
					s.truth.taken = append(s.truth.taken, m)
				}
				s.loot = append(s.loot, v.records...)
			}
		}
	}
	return nil
}

// settle waits until everything that was recorded was judged, and the
// judgements were recorded and judged themselves.
func (s *stage) settle(ctx context.Context) error { return s.house.Views.Quiet(ctx) }
