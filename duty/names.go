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

// ErrNames: the bytes are no log of names.
var ErrNames = errors.New("neither Zeek's dns.log nor its ssl.log, as JSON lines or tab-separated")

// ReadNames reads Zeek's dns.log (its query) or ssl.log (its server_name), as JSON
// lines or tab-separated. A line that cannot be read is counted. endpointAt tells
// the machine at an address at a time; nil, or "" from it, leaves the address.
func ReadNames(text []byte, endpointAt func(netip.Addr, sekisho.Time) string) (*Names, error) {
	n := &Names{}
	type place struct {
		domain string
		day    int64
	}
	type sight struct {
		Used
		who map[string]bool
	}
	by := map[place]*sight{}
	var columns []string
	known := false
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(make([]byte, 64<<10), 1<<20)
	for lines.Scan() {
		line := strings.TrimRight(lines.Text(), "\r")
		if rest, ok := strings.CutPrefix(line, "#fields\t"); ok {
			columns = strings.Split(rest, "\t")
			known = true
		}
		if line == "" || line[0] == '#' {
			continue
		}
		n.Lines++
		ts, from, name, ok := nameLine(line, columns)
		if name == "" && ok {
			continue // a session without a name
		}
		domain := Registrable(name)
		if !ok || domain == "" {
			n.Rejected++
			continue
		}
		known = true
		key := place{domain, int64(ts) / microsADay}
		s := by[key]
		if s == nil {
			s = &sight{Used: Used{Domain: domain, First: ts, Last: ts}, who: map[string]bool{}}
			by[key] = s
		}
		s.First, s.Last = min(s.First, ts), max(s.Last, ts)
		s.Times++
		who := from.String()
		if endpointAt != nil {
			who = cmp.Or(endpointAt(from, ts), who)
		}
		s.who[who] = true
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading names: %w", err)
	}
	if !known {
		return nil, fmt.Errorf("reading names: %w", ErrNames)
	}
	for _, s := range by {
		s.Machines = len(s.who)
		s.Endpoints = sortedKeys(s.who)
		s.Endpoints = s.Endpoints[:min(len(s.Endpoints), 20)]
		n.Services = append(n.Services, s.Used)
	}
	slices.SortFunc(n.Services, func(a, b Used) int {
		return cmp.Or(strings.Compare(a.Domain, b.Domain), cmp.Compare(a.First, b.First))
	})
	return n, nil
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
