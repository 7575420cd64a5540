package drill

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"

	"sekisho/house"
	"sekisho/sensor"
)

// A network is what the tap at the way out sees of all terminals, written as
// Zeek writes its conn.log in JSON, one file an hour.
type network struct {
	dir     string
	random  *rand.Rand
	hosts   []string // address of each terminal
	of      map[string]int
	pending []flow
	line    int
	silent  bool // the tap is off: nothing is written
}

// rotated is how often a log is closed and read.
const rotated = time.Hour

type flow struct {
	at           time.Time
	from         int // terminal
	to           string
	port         int
	proto        string
	service      string
	out, in      int64
	lasts        time.Duration
	mustBeLogged bool // never among the broken lines
}

// outside is where everybody's ordinary traffic goes: RFC 5737.
var outside = [...]struct {
	to             string
	port           int
	proto, service string
	weight         int
	out, in        int // usual bytes
}{
	{"198.51.100.53", 53, "udp", "dns", 30, 45, 120},
	{"192.0.2.80", 443, "tcp", "ssl", 30, 2600, 48000},
	{"192.0.2.81", 443, "tcp", "ssl", 15, 1900, 160000},
	{"198.51.100.80", 80, "tcp", "http", 12, 900, 21000},
	{"198.51.100.25", 587, "tcp", "smtp", 8, 21000, 900},
	{"203.0.113.123", 123, "udp", "ntp", 5, 48, 48},
}

// ordinary adds what terminals do by themselves and for their users between
// two times.
func (n *network) ordinary(from, until time.Time) {
	// One terminal always has a line to the company's portal open; it shows that
	// the tap was watching.
	n.pending = append(n.pending, flow{at: from, to: "192.0.2.10", port: 443, proto: "tcp", service: "ssl", out: 5400, in: 5100, lasts: until.Sub(from), mustBeLogged: true})
	if h := from.Hour(); h < 6 {
		return
	}
	for host := range n.hosts {
		for range n.random.IntN(2) {
			pick := n.random.IntN(100)
			for _, o := range outside {
				if pick -= o.weight; pick < 0 {
					n.pending = append(n.pending, flow{
						at: from.Add(time.Duration(n.random.Int64N(int64(until.Sub(from))))), from: host, to: o.to, port: o.port,
						proto: o.proto, service: o.service, out: int64(o.out/2 + n.random.IntN(o.out+1)), in: int64(o.in/2 + n.random.IntN(o.in+1)),
						lasts: time.Duration(n.random.IntN(9000)) * time.Millisecond,
					})
					break
				}
			}
		}
	}
}

// beacons adds the small talk of infected terminals with the relay.
func (n *network) beacons(from, until time.Time) {
	if from.Before(beaconOn) {
		return
	}
	for _, name := range []string{firstPC, deskPC, marketingPC} {
		for at := from.Add(time.Duration(n.random.IntN(3600)) * time.Second); at.Before(until); at = at.Add(time.Hour + time.Duration(n.random.IntN(120)-60)*time.Second) {
			n.pending = append(n.pending, flow{at: at, from: n.of[name], to: relay, port: 443, proto: "tcp", service: "ssl",
				out: int64(310 + n.random.IntN(40)), in: int64(150 + n.random.IntN(30)), lasts: time.Second})
		}
	}
}

// sends adds one transfer of the attacker's.
func (n *network) sends(endpoint string, at time.Time, bytes int64) {
	n.pending = append(n.pending, flow{at: at, from: n.of[endpoint], to: dropSite, port: 443, proto: "tcp", service: "ssl",
		out: bytes, in: 1200, lasts: 4 * time.Second, mustBeLogged: true})
}

// rotate writes what was seen until now to a log, and has the sensor read it.
func (n *network) rotate(ctx context.Context, h *house.House, now time.Time) error {
	if n.silent {
		n.pending = nil
		return nil
	}
	slices.SortStableFunc(n.pending, func(a, b flow) int { return a.at.Compare(b.at) })
	var log bytes.Buffer
	for _, f := range n.pending {
		n.line++
		at := log.Len()
		fmt.Fprintf(&log, `{"ts":%d.%06d,"uid":"C%016x","id.orig_h":"%s","id.orig_p":%d,"id.resp_h":"%s","id.resp_p":%d,"proto":"%s","service":"%s","duration":%.3f,"orig_bytes":%d,"resp_bytes":%d,"conn_state":"SF","missed_bytes":0,"history":"ShADadFf"}`,
			f.at.Unix(), f.at.Nanosecond()/1000, n.random.Uint64(), n.hosts[f.from], 49152+n.random.IntN(16000), f.to, f.port, f.proto, f.service, f.lasts.Seconds(), f.out, f.in)
		// A full disk and a restart of the tap leave lines that end early.
		if n.line%977 == 0 && !f.mustBeLogged {
			log.Truncate(at + (log.Len()-at)/2)
		}
		log.WriteByte('\n')
	}
	n.pending = n.pending[:0]
	if log.Len() == 0 {
		return nil
	}
	path := filepath.Join(n.dir, "conn."+now.Add(-rotated).Format("2006-01-02-15")+".log")
	if err := os.WriteFile(path, log.Bytes(), 0o600); err != nil {
		return fmt.Errorf("writing a conn.log: %w", err)
	}
	_, err := sensor.ImportConn(ctx, path, sensor.ConnOptions{Bindings: h.Bindings, Seen: h.Seen}, h.Take)
	return err
}
