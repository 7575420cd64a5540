// Package sekishotest writes ledgers as text, for the tests of folds. A script
// has one command a line; what follows # is a comment. Names of sessions and
// shapes are the script's own; people, customers and so on are ordinals.
//
//	time 2014-09-19T11:30:00Z           the time from here on
//	wait 1h30m                          later by that much
//	opened | stopped                    the ledger's epochs
//	shape m member members identity,contact
//	session s1 7 clerk pc-0417          principal 7 in the role clerk; "console" at the end for that door
//	behalf s1                           its program works for others
//	behalf s1 8 pc-0533                 its next statement is for principal 8 at that terminal; - for none
//	read s1 m 5 9 100..300 [least=90] [chunks=3]
//	any s1 m 1000                       an any-row access that reaches 1,000
//	close s1 0                          its last access: released only its first n chunks
//	egress pc-0417 203.0.113.66 5000 [for=10m] [partial]
//	sensor zeek rejected=3 for=24h      a file that ends now
//	alert sweep 7 pc-0417 for=1h        from now on
//	file 12 5 9 100                     for incident 12
//	incident 3 pc-0417 pc-0533          opened by principal 3
//	revise 12 by=3 worst=750000 suspected=190000 sent=21000 confirmed=0 hostile=203.0.113.66 pc-0417
package sekishotest

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"sekisho"
)

// Book is a ledger in memory that scripts are written into.
type Book struct {
	Entries []sekisho.Entry
	Now     sekisho.Time

	epoch    uint64
	sessions map[string]*access
	shapes   map[string]uint64
}

type access struct {
	session, number uint64
	chunks          []uint64
}

// New is a book with its LedgerOpened, at some time.
func New() *Book {
	b := &Book{Now: sekisho.At(time.Date(2014, 8, 1, 0, 0, 0, 0, time.UTC)), sessions: map[string]*access{}, shapes: map[string]uint64{}}
	b.Run("opened")
	return b
}

// Put appends a body and gives its sequence number.
func (b *Book) Put(body sekisho.Body) uint64 {
	seq := uint64(len(b.Entries) + 1)
	b.Entries = append(b.Entries, sekisho.Entry{ID: sekisho.ID{Gate: 1, Epoch: b.epoch, Seq: seq}, Time: b.Now, Body: body})
	return seq
}

// Run writes one command.
func (b *Book) Run(line string) (err error) {
	line, _, _ = strings.Cut(line, "#")
	args := strings.Fields(line)
	if len(args) == 0 {
		return nil
	}
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%q: %v", line, r)
		}
	}()
	options := map[string]string{}
	var words []string
	for _, a := range args[1:] {
		if k, v, ok := strings.Cut(a, "="); ok {
			options[k] = v
		} else {
			words = append(words, a)
		}
	}
	number := func(s string) uint64 {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			panic(err)
		}
		return n
	}
	option := func(name string) uint64 {
		if s := options[name]; s != "" {
			return number(s)
		}
		return 0
	}
	span := func(s string) sekisho.Time {
		if s == "" {
			return 0
		}
		d, err := time.ParseDuration(s)
		if err != nil {
			panic(err)
		}
		return sekisho.Time(d.Microseconds())
	}
	switch args[0] {
	case "time":
		t, err := time.Parse(time.RFC3339, words[0])
		if err != nil {
			return err
		}
		if sekisho.At(t) < b.Now {
			return fmt.Errorf("%q: time goes back", line)
		}
		b.Now = sekisho.At(t)
	case "wait":
		b.Now += span(words[0])
	case "opened":
		b.epoch++
		b.Put(&sekisho.LedgerOpened{Name: "script"})
	case "stopped":
		b.Put(&sekisho.LedgerClosed{})
	case "shape":
		var cats sekisho.Categories
		for _, n := range strings.Split(words[3], ",") {
			c, err := sekisho.ParseCategory(n)
			if err != nil {
				return err
			}
			cats |= c
		}
		b.shapes[words[0]] = b.Put(&sekisho.Shape{Verb: sekisho.Read, Space: words[1], Tables: strings.Split(words[2], ","), Categories: cats})
	case "session":
		door := sekisho.DoorGate
		if len(words) > 4 && words[4] == "console" {
			door = sekisho.DoorConsole
		}
		b.sessions[words[0]] = &access{session: b.Put(&sekisho.SessionOpened{Door: door, Principal: uint32(number(words[1])), Role: words[2],
			Endpoint: words[3], Verified: !strings.HasPrefix(words[3], "unverified@")})}
	case "behalf":
		a := b.sessions[words[0]]
		body := &sekisho.OnBehalf{Session: a.session}
		if len(words) > 1 {
			body.Number, body.Principal, body.Endpoint, body.Source = a.number+1, uint32(number(words[1])), strings.Trim(words[2], "-"), sekisho.SourceLocal
			if words[2] != "-" {
				body.Endpoint = words[2]
			}
		}
		b.Put(body)
	case "read":
		a := b.sessions[words[0]]
		a.number++
		a.chunks = nil
		subjects := ordinals(words[2:], number)
		chunks := int(max(1, option("chunks")))
		for i := range chunks {
			part := subjects[len(subjects)*i/chunks : len(subjects)*(i+1)/chunks]
			a.chunks = append(a.chunks, b.Put(&sekisho.Access{Session: a.session, Shape: b.shapes[words[1]], Number: a.number, Class: sekisho.Exact,
				More: i+1 < chunks, Rows: uint64(len(part)), Least: uint32(option("least")), Subjects: part}))
		}
	case "any":
		a := b.sessions[words[0]]
		a.number++
		a.chunks = []uint64{b.Put(&sekisho.Access{Session: a.session, Shape: b.shapes[words[1]], Number: a.number, Class: sekisho.AnyRow, Reach: number(words[2])})}
	case "close":
		a := b.sessions[words[0]]
		released := uint64(0)
		if n := number(words[1]); n > 0 {
			released = a.chunks[n-1]
		}
		b.Put(&sekisho.AccessClosed{Session: a.session, Number: a.number, Outcome: sekisho.ClientGone, Released: released})
	case "egress":
		b.Put(&sekisho.Egress{Sensor: "zeek", Endpoint: words[0], Target: netip.MustParseAddr(words[1]), Protocol: "tcp", Port: 443,
			Start: b.Now - span(options["for"]), End: b.Now, Out: number(words[2]), Partial: len(words) > 3 && words[3] == "partial"})
	case "budget":
		states := map[string]sekisho.BudgetState{"near": sekisho.BudgetNear, "observed": sekisho.BudgetObserved, "passed": sekisho.BudgetPassed, "ended": sekisho.BudgetEnded}
		b.Put(&sekisho.BudgetReached{Session: b.sessions[words[0]].session, Budget: words[1], Principal: uint32(number(words[2])),
			Endpoint: strings.Trim(words[3], "-"), State: states[words[4]], Used: number(words[5]), Limit: number(words[6]), Window: uint64(span(options["for"]) / 1e6), Space: "member"})
	case "sensor":
		b.Put(&sekisho.SensorRead{Sensor: words[0], Lines: 100, Accepted: 100 - option("rejected"), Rejected: option("rejected"),
			From: b.Now - span(options["for"]), Until: b.Now})
	case "alert":
		b.Put(&sekisho.Alert{Detector: words[0], Principal: uint32(number(words[1])), Endpoint: words[2], From: b.Now, Until: b.Now + span(options["for"])})
	case "file":
		list := ordinals(words[1:], number)
		b.Put(&sekisho.FileMatched{Incident: number(words[0]), Rows: uint64(len(list)), Space: "member", Subjects: list})
	case "incident":
		b.Put(&sekisho.IncidentOpened{By: uint32(number(words[0])), Endpoints: words[1:]})
	case "revise":
		r := &sekisho.IncidentRevised{Incident: number(words[0]), By: uint32(option("by")), Endpoints: words[1:], Since: 0, Until: b.Now, Compression: 1000,
			WorstCase: option("worst"), Suspected: option("suspected"), SentAtMost: option("sent"), Confirmed: option("confirmed"), Reason: "scope"}
		if h := options["hostile"]; h != "" {
			a := netip.MustParseAddr(h)
			r.Hostile = []netip.Prefix{netip.PrefixFrom(a, a.BitLen())}
		}
		b.Put(r)
	default:
		return fmt.Errorf("%q: no such command", line)
	}
	return nil
}

func ordinals(words []string, number func(string) uint64) []uint32 {
	var list []uint32
	for _, w := range words {
		from, to, ranged := strings.Cut(w, "..")
		if !ranged {
			to = from
		}
		for o := number(from); o <= number(to); o++ {
			list = append(list, uint32(o))
		}
	}
	return list
}

// A Section of a golden file: the text that is given, and after a line of four
// dashes what comes out. Sections are told apart by empty lines.
type Section struct{ In, Out string }

// Sections reads a golden file.
func Sections(text string) []Section {
	var list []Section
	for _, s := range strings.Split(strings.TrimSpace(text), "\n\n") {
		in, out, _ := strings.Cut(s+"\n", "----\n")
		list = append(list, Section{in, strings.TrimRight(out, "\n")})
	}
	return list
}

// Format is Sections the other way.
func Format(list []Section) string {
	var b strings.Builder
	for i, s := range list {
		if i > 0 {
			b.WriteString("\n")
		}
		b.WriteString(s.In + "----\n")
		if s.Out != "" {
			b.WriteString(s.Out + "\n")
		}
	}
	return b.String()
}
