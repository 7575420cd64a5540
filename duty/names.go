package duty

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"sekisho"
	"sekisho/vault"
)

// A Names is what a log of names says.
type Names struct {
	Lines, Rejected int
	Services        []Used // by domain, then day
}

// A Used is a service on one day (UTC).
type Used struct {
	Domain      string
	First, Last sekisho.Time
	Endpoints   []string // at most 20, sorted
	Machines    int
	Times       uint64
	Bytes       uint64
}

// Seen is the entry of a service that a sensor saw; nil if the vault has no room for
// its name.
func (u *Used) Seen(sensor string, things *vault.Space) *sekisho.ServiceSeen {
	thing := things.OfText([]byte("cloud/" + u.Domain))
	if thing == 0 {
		return nil
	}
	return &sekisho.ServiceSeen{Thing: thing, Sensor: sensor, First: u.First, Last: u.Last, Endpoints: u.Endpoints, Machines: uint64(u.Machines), Times: u.Times, Bytes: u.Bytes}
}

// ErrNames: the bytes are no log of names.
var ErrNames = errors.New("neither Zeek's dns.log nor its ssl.log, as JSON lines or tab-separated")

// ReadNames reads Zeek's dns.log (its query) or ssl.log (its server_name), as JSON
// lines or tab-separated. A line that cannot be read is counted. endpointAt tells
// the machine at an address at a time; nil, or "" from it, leaves the address.
func ReadNames(text []byte, endpointAt func(netip.Addr, sekisho.Time) string) (*Names, error) {
	h := NewHeard(0)
	n, err := h.Read(text, endpointAt)
	if err != nil {
		return nil, err
	}
	if !h.known {
		return nil, fmt.Errorf("reading names: %w", ErrNames)
	}
	n.Services = h.take(func(place, *sight) bool { return true })
	return n, nil
}

// Heard keeps what a log of names says while it grows, so that a service is told
// at its first sight of a day, and once more when the day is over.
type Heard struct {
	since   sekisho.Time // nothing up to here is heard again
	columns []string     // of a tab-separated log
	known   bool         // it is a log of names
	by      map[place]*sight
}

type place struct {
	domain string
	day    int64 // UTC
}

type sight struct {
	Used
	who  map[string]bool
	told bool
}

// mostHeard is how many services, and machines of each, are told apart at a time: a
// program that asks for made-up names all day fills no memory, and no ledger.
const mostHeard = 20_000

// NewHeard begins after a moment up to which everything is known.
func NewHeard(since sekisho.Time) *Heard { return &Heard{since: since, by: map[place]*sight{}} }

// Read hears whole lines that follow those before.
func (h *Heard) Read(text []byte, endpointAt func(netip.Addr, sekisho.Time) string) (*Names, error) {
	n := &Names{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, len(text)+1) // it is in memory as a whole
	for lines.Scan() {
		line := strings.TrimRight(lines.Text(), "\r")
		if rest, ok := strings.CutPrefix(line, "#fields\t"); ok {
			h.columns = strings.Split(rest, "\t")
			h.known = true
		}
		if line == "" || line[0] == '#' {
			continue
		}
		n.Lines++
		ts, from, name, ok := nameLine(line, h.columns)
		if name == "" && ok {
			continue // a session without a name
		}
		domain := Registrable(name)
		if !ok || domain == "" {
			n.Rejected++
			continue
		}
		h.known = true
		who := from.String()
		if endpointAt != nil {
			who = cmp.Or(endpointAt(from, ts), who)
		}
		if !h.hear(domain, ts, who) {
			n.Rejected++
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading names: %w", err)
	}
	return n, nil
}

// Hear hears that a machine asked for a name, or spoke to it; false if the name is
// no service's, or there are too many to tell apart. who may be empty.
func (h *Heard) Hear(name string, at sekisho.Time, who string) bool {
	domain := Registrable(name)
	return domain != "" && h.hear(domain, at, who)
}

func (h *Heard) hear(domain string, at sekisho.Time, who string) bool {
	if at <= h.since {
		return true
	}
	key := place{domain, int64(at) / microsADay}
	s := h.by[key]
	if s == nil {
		if len(h.by) >= mostHeard {
			return false
		}
		s = &sight{Used: Used{Domain: domain}, who: map[string]bool{}}
		h.by[key] = s
	}
	if s.Times == 0 {
		s.First, s.Last = at, at
	}
	s.First, s.Last = min(s.First, at), max(s.Last, at)
	s.Times++
	if who != "" && len(s.who) < mostHeard {
		s.who[who] = true
	}
	return true
}

// Due gives what is to be told now: services that were seen for the first time on
// a day, and what else was seen of them on days that are over. It is told once.
func (h *Heard) Due(now sekisho.Time) []Used {
	today := int64(now) / microsADay
	due := h.take(func(p place, s *sight) bool { return s.Times > 0 && (!s.told || p.day < today) })
	for p := range h.by {
		if p.day < today {
			delete(h.by, p)
		}
	}
	return due
}

func (h *Heard) take(which func(place, *sight) bool) (list []Used) {
	for p, s := range h.by {
		if !which(p, s) {
			continue
		}
		s.Machines = len(s.who)
		s.Endpoints = sortedKeys(s.who)
		s.Endpoints = s.Endpoints[:min(len(s.Endpoints), 20)]
		list = append(list, s.Used)
		s.Used, s.told = Used{Domain: p.domain}, true // who was there stays: the most machines of the day count
	}
	slices.SortFunc(list, func(a, b Used) int {
		return cmp.Or(strings.Compare(a.Domain, b.Domain), cmp.Compare(a.First, b.First))
	})
	return list
}

// nameLine is the time, the asking address and the name of one line.
func nameLine(line string, columns []string) (ts sekisho.Time, from netip.Addr, name string, ok bool) {
	var stamp, addr string
	if line[0] == '{' {
		var j struct {
			TS     json.RawMessage `json:"ts"`
			From   string          `json:"id.orig_h"`
			Query  string          `json:"query"`
			Server string          `json:"server_name"`
		}
		if json.Unmarshal([]byte(line), &j) != nil {
			return 0, from, "", false
		}
		stamp, addr, name = strings.Trim(string(j.TS), `"`), j.From, cmp.Or(j.Server, j.Query)
	} else {
		cells := strings.Split(line, "\t")
		if len(cells) != len(columns) {
			return 0, from, "", false
		}
		for i, c := range columns {
			switch v := cells[i]; {
			case v == "-" || v == "(empty)":
			case c == "ts":
				stamp = v
			case c == "id.orig_h":
				addr = v
			case c == "query" || c == "server_name":
				name = v
			}
		}
	}
	seconds, err := strconv.ParseFloat(stamp, 64)
	if err != nil || math.IsNaN(seconds) || seconds <= 0 || seconds > 1e11 {
		return 0, from, "", false
	}
	if from, err = netip.ParseAddr(addr); err != nil {
		return 0, from, "", false
	}
	return sekisho.Time(seconds * 1e6), from.Unmap(), strings.ToLower(strings.TrimSuffix(name, ".")), true
}

// second are labels under which a country's registry gives names out, so that
// the name that somebody registered has one label more. The public suffix list
// knows thousands more; whoever misses one here sees a service named too widely.
var second = map[string]string{
	"jp": "co ne or go ac ad ed gr lg", "uk": "co ac gov org net ltd plc", "kr": "co or go ac re", "tw": "com org gov edu net", "cn": "com org gov edu net", "hk": "com org gov edu net",
	"au": "com net org gov edu", "nz": "co net org govt ac", "in": "co net org gov ac", "br": "com net org gov", "sg": "com net org gov edu", "th": "co or go ac in", "id": "co or go ac",
}

// Registrable is the part of a name that somebody registered: what a service is
// called here. It is "" for what is no name of the internet.
func Registrable(name string) string {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	labels := strings.Split(name, ".")
	if len(name) > 253 || len(labels) < 2 {
		return ""
	}
	for _, l := range labels {
		if l == "" || len(l) > 63 || strings.ContainsFunc(l, func(r rune) bool { return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '_') }) {
			return ""
		}
	}
	top := labels[len(labels)-1]
	if strings.ContainsAny(top, "0123456789") && !strings.HasPrefix(top, "xn--") || top == "arpa" || top == "local" || top == "internal" || top == "lan" || top == "test" {
		return ""
	}
	keep := 2
	if slices.Contains(strings.Fields(second[top]), labels[len(labels)-2]) {
		keep = 3
	}
	if len(labels) < keep {
		return ""
	}
	return strings.Join(labels[len(labels)-keep:], ".")
}
