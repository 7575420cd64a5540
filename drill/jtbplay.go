package drill

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"sekisho/demo"
	"sekisho/house"
	"sekisho/sensor"
	"sekisho/tell"
	"sekisho/watch"
)

// travel is where jtb-2016 is played.
type travel struct {
	Config
	figures  jtbFigures
	cast     jtbCast
	setting  setting
	clock    *clock
	house    *house.House
	clients  *clients
	reporter *reporter
	beats    []beat
	file     loadedFile
	truth    jtbTruth
	rate     float64 // rows a second of the copy through the gate, by the machine's clock
}

// setting is what the config of the house says of the case.
type setting struct {
	name            string
	hostile         []string
	servers         []watch.Server
	domains, shared []string
	sources         []string
}

// jtbTruth is what the actors know of their own doing.
type jtbTruth struct {
	terminal []int64 // read at a machine that was taken over, in the window, by anybody
	copied   []int64 // in the intruder's file
	left     bool    // the file was carried out, by a way that nobody watches
}

// loadedFile is the file that the intruder writes.
type loadedFile struct {
	path    string
	rows    uint64
	size    int64
	sum     string
	deleted bool
}

func (f *loadedFile) remove() error {
	f.deleted = true
	return os.Remove(f.path)
}

func newTravel(c Config) *travel {
	s := &travel{Config: c, figures: newJtbFigures(c.Seed, c.Members), cast: newJtbCast(c.Seed), clock: &clock{at: jtbFirst}}
	s.truth.left = c.Seed%2 == 1
	s.setting = setting{
		Jtb2016, []string{s.cast.destinations[s.cast.known]}, []watch.Server{{Endpoint: web, Holds: "none"}, {Endpoint: control, Holds: "none"}, {Endpoint: product, Holds: "personal"}},
		[]string{airline, "kaedehotels.example", "momiji-rail.example", "i-agency.example"}, []string{ourMailbox}, reporters[:],
	}
	s.everyday()
	s.attack()
	slices.SortStableFunc(s.beats, func(a, b beat) int { return a.at.Compare(b.at) })
	return s
}

func (s *travel) add(b beat) { s.beats = append(s.beats, b) }

// FillJtb makes the store that jtb-2016 with this seed and this many rows is
// about.
func FillJtb(ctx context.Context, c *demo.Cluster, seed uint64, rows int) error {
	f := newJtbFigures(seed, rows)
	return demo.FillBookings(ctx, c, demo.BookingsConfig{Rows: f.rows, Passports: f.passports, Valid: f.valid, Partner: f.partner, Seed: seed})
}

// playJtb plays the case to its end.
func playJtb(ctx context.Context, c Config) (*Played, error) {
	began := time.Now()
	s := newTravel(c)
	p, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	if err = s.play(ctx); err == nil {
		err = s.ask(ctx, p)
	}
	s.clients.close()
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	p.shut()
	s.clock.run()
	p.Jtb.Elapsed = time.Since(began).Seconds()
	if len(p.Jtb.Violations) > 0 {
		return p, fmt.Errorf("the truth contradicts the answer: %s", p.Jtb.Violations[0])
	}
	return p, nil
}

// open makes the house, its gate, its door for events and its people.
func (s *travel) open(ctx context.Context) (p *Played, err error) {
	if err := os.MkdirAll(filepath.Join(s.Dir, "staging"), 0o700); err != nil {
		return nil, err
	}
	ca, err := demo.OpenAuthority(filepath.Join(s.Dir, "authority"))
	if err != nil {
		return nil, err
	}
	conf := house.Config{
		Name: s.setting.name, Data: s.Dir, Number: 1, TimeZone: "Asia/Tokyo", Catalog: s.Catalog, Hostile: s.setting.hostile, Tell: tell.Config{Company: company()},
		Watch: watch.Config{Bulk: watch.Bulk{Roles: []string{demo.Batch}}, Servers: s.setting.servers},
	}
	if conf.Gate, err = gateOf(s.Dir, s.Cluster, demo.Bookings, ca, map[string][]string{demo.CallCentre: {service}, demo.Batch: {reports}}); err != nil {
		return nil, err
	}
	s.clients = newClients(demo.Bookings)
	if err := s.clients.hire(&conf.Gate, reporting, demo.Batch); err != nil {
		return nil, err
	}
	for i := range agencyPCs {
		if err := s.clients.hire(&conf.Gate, agent(i), demo.CallCentre); err != nil {
			return nil, err
		}
		conf.Sensors.Bindings = append(conf.Sensors.Bindings, sensor.Binding{Address: pcAddress(i), Endpoint: agencyPC(i)})
	}
	if s.reporter, conf.Sensors.Events, err = newReporter(filepath.Join(s.Dir, "tokens"), s.setting.sources); err != nil {
		return nil, err
	}
	conf.Sensors.Events.Domains, conf.Sensors.Events.SharedMailboxes = s.setting.domains, s.setting.shared
	if p, s.clients.addr, err = raise(ctx, conf, s.Dir, s.setting.name, s.clock, s.Log); err != nil {
		return nil, err
	}
	s.house, s.clients.ca, s.reporter.url = p.House, ca, p.events
	return p, nil
}

// play does the beats, one after the other.
func (s *travel) play(ctx context.Context) error {
	if err := s.house.ReadRosters(ctx, func(_ string, done int) { s.Progress("reading the roster", done, s.Members) }); err != nil {
		return err
	}
	for i := range s.beats {
		b := &s.beats[i]
		s.clock.set(b.at)
		if err := s.do(ctx, b); err != nil {
			return fmt.Errorf("on %s: %w", b.at.Format("2 January 15:04"), err)
		}
		if b.code != "" {
			if err := s.settle(ctx); err != nil {
				return err
			}
			if err := s.keepUp(ctx); err != nil {
				return err
			}
		}
		s.Progress("playing the case", int(b.at.Sub(jtbFirst)/time.Hour), int(jtbAsked.Sub(jtbFirst)/time.Hour))
	}
	s.clock.set(jtbAsked)
	return s.settle(ctx)
}

func (s *travel) do(ctx context.Context, b *beat) error {
	if b.source != "" {
		if err := s.reporter.post(ctx, b.source, b.events); err != nil {
			return err
		}
	}
	if b.do != nil {
		return b.do(ctx)
	}
	return nil
}

func (s *travel) settle(ctx context.Context) error { return s.house.Views.Quiet(ctx) }

// keepUp brings the incidents' numbers up to date, as a running house does all
// the time.
func (s *travel) keepUp(ctx context.Context) error {
	if err := s.house.Revise(ctx); err != nil {
		return err
	}
	return s.settle(ctx)
}

// look shows bookings at a desk.
func (s *travel) look(ctx context.Context, d desk, rows []int, at time.Time) error {
	c, err := s.clients.at(ctx, d)
	if err != nil {
		return err
	}
	// Numbers have gaps, so a row is found by the range that holds only it.
	const one = bookingOf + " where b.booking_no >= $1 and b.booking_no < $2"
	var came []int64
	for _, n := range rows {
		if err := c.read(ctx, one, [][]byte{number(bookingNo(n - 1)), number(bookingNo(n))}, func(no int64, _ [][]byte) { came = append(came, no) }); err != nil {
			return fmt.Errorf("looking bookings up: %w", err)
		}
	}
	if at.Before(jtbLure) {
		return nil
	}
	for _, i := range s.cast.infected {
		if agencyPC(i) == d.endpoint {
			s.truth.terminal = append(s.truth.terminal, came...)
		}
	}
	return nil
}

// copy runs one COPY and hands what comes to w, which may be nil.
func (s *travel) copy(ctx context.Context, d desk, from, to int64, w io.Writer) (rows int64, err error) {
	c, err := s.clients.at(ctx, d)
	if err != nil {
		return 0, err
	}
	if w == nil {
		w = io.Discard
	}
	tag, err := c.conn.CopyTo(ctx, w, copyOf(from, to))
	if err != nil {
		return 0, fmt.Errorf("copying bookings: %w", err)
	}
	return tag.RowsAffected(), nil
}

// steal is the intruder's copy, into a file on a server that should hold none.
func (s *travel) steal(ctx context.Context) error {
	s.file.path = filepath.Join(s.Dir, "staging", "out.csv")
	f, err := os.OpenFile(s.file.path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	k := &keysOf{into: bufio.NewWriterSize(f, 1<<20), sum: sha256.New()}
	began := time.Now()
	until := bookingNo(s.figures.exported)
	rows, err := s.copy(ctx, desk{reporting, control, "psql"}, 0, until, k)
	s.file.rows, s.file.size, s.file.sum = uint64(k.rows), k.bytes, hex.EncodeToString(k.sum.Sum(nil))
	s.truth.copied = append(s.truth.copied, k.keys...)
	if err = errors.Join(err, k.into.Flush(), f.Close()); err != nil {
		return err
	}
	if rows != k.rows {
		return fmt.Errorf("the server speaks of %d rows, and %d came", rows, k.rows)
	}
	s.rate = float64(rows) / max(time.Since(began).Seconds(), 1e-3)
	return nil
}

// keysOf passes CSV on, and keeps the first field of each line.
type keysOf struct {
	into  *bufio.Writer
	sum   hash.Hash
	keys  []int64
	rows  int64
	bytes int64
	head  []byte // of a line whose first field has not ended
	rest  bool   // within a line, behind its first field
}

func (k *keysOf) Write(b []byte) (int, error) {
	k.bytes += int64(len(b))
	k.sum.Write(b)
	for at := b; len(at) > 0; {
		if k.rest {
			i := bytes.IndexByte(at, '\n')
			if i < 0 {
				break
			}
			k.rest, at = false, at[i+1:]
			continue
		}
		i := bytes.IndexByte(at, ',')
		if i < 0 {
			k.head = append(k.head, at...)
			break
		}
		n, err := strconv.ParseInt(string(append(k.head, at[:i]...)), 10, 64)
		if err != nil {
			return 0, errors.New("a line came without its booking's number")
		}
		k.keys, k.rows = append(k.keys, n), k.rows+1
		k.head, k.rest, at = k.head[:0], true, at[i+1:]
	}
	return k.into.Write(b)
}
