package duty

import "sekisho"

// An assessment of a cloud service: a questionnaire, its owner, what it holds,
// and until when the result is good.
var cloudAssessment = Noun{Name: "cloud", Evidence: "cloud_assessment", Space: "thing", Of: "cloud", Parties: [2]string{"owner", "assessor"}, Result: true}

// A Service is a cloud service that sensors saw, or that somebody registered.
type Service struct {
	Ordinal  uint32
	First    sekisho.Time // when it was seen first; 0: never
	Last     sekisho.Time
	Days     int
	Machines uint64 // on the day when there were most
	Times    uint64
	Bytes    uint64
	Where    []string // some machines of the last day
	Entry    uint64   // the last sight
}

// A Scan is what was read of a scanner's output.
type Scan struct {
	Entry uint64
	At    sekisho.Time
	Body  *sekisho.ScanRead
	Came  uint64 // of Body.Fresh: findings that stand in the ledger
}

// Whole: everything new in it stands in the ledger, so that it can prove
// anything. A crash in between leaves one that is not; reading it again helps.
func (s *Scan) Whole() bool { return s.Came >= s.Body.Fresh }

type cloud struct {
	services map[uint32]*Service
	seenIn   []*Service
	scans    []*Scan
	scanOf   map[uint64]*Scan
	askedFor map[uint32]*Asked
	heard    map[string]sekisho.Time // by sensor: the last moment that it told of
	asked    []*Asked
}

func (c *cloud) init() {
	c.services, c.scanOf, c.askedFor = map[uint32]*Service{}, map[uint64]*Scan{}, map[uint32]*Asked{}
	c.heard = map[string]sekisho.Time{}
}

// Services is every service that a sensor saw, in the order of their first
// sight.
func (b *Checks) Services() []*Service { return b.seenIn }

// Service is what sensors saw of a thing, or nil.
func (b *Checks) Service(ordinal uint32) *Service { return b.services[ordinal] }

// HeardUntil is the last moment of which a sensor of names told; 0: it told nothing.
func (b *Checks) HeardUntil(sensor string) sekisho.Time { return b.heard[sensor] }

// Scans is what was read of scanners.
func (b *Checks) Scans() []*Scan { return b.scans }

// An Asked is a name that sensors reported machines to have asked for.
type Asked struct {
	Domain      uint32 // ordinal in "domain"
	First, Last sekisho.Time
	Times       uint64
	Where       map[string]bool // at most 100 machines
}

// Asked is every name that was asked of DNS, by sensors' reports (OCSF 4003).
func (b *Checks) Asked() []*Asked { return b.asked }

func (b *Checks) seen(e *sekisho.Entry) {
	switch x := e.Body.(type) {
	case *sekisho.Observation:
		if x.Class != 4003 || x.Domain == 0 {
			return
		}
		a := b.askedFor[x.Domain]
		if a == nil {
			a = &Asked{Domain: x.Domain, First: x.At, Where: map[string]bool{}}
			b.askedFor[x.Domain] = a
			b.asked = append(b.asked, a)
		}
		a.First, a.Last = min(a.First, x.At), max(a.Last, x.At)
		a.Times++
		if len(a.Where) < 100 && x.Endpoint != "" {
			a.Where[x.Endpoint] = true
		}
	case *sekisho.ServiceSeen:
		b.heard[x.Sensor] = max(b.heard[x.Sensor], min(x.Last, e.Time)) // no line from the future silences it
		s := b.services[x.Thing]
		if s == nil {
			s = &Service{Ordinal: x.Thing, First: x.First}
			b.services[x.Thing] = s
			b.seenIn = append(b.seenIn, s)
			if b.things[x.Thing] == nil { // else the register says whether it counts
				b.enlist("cloud", Member{Unit: Unit{"thing", x.Thing}, From: int64(x.First)})
			}
		}
		if s.Days == 0 || int64(x.Last)/microsADay != int64(s.Last)/microsADay {
			s.Days++
		}
		s.First, s.Last = min(s.First, x.First), max(s.Last, x.Last)
		s.Machines = max(s.Machines, x.Machines)
		s.Times += x.Times
		s.Bytes += x.Bytes
		s.Where, s.Entry = x.Endpoints, e.ID.Seq
	case *sekisho.ScanRead:
		s := &Scan{Entry: e.ID.Seq, At: e.Time, Body: x}
		b.scans = append(b.scans, s)
		b.scanOf[s.Entry] = s
		b.proveScan(s, e.Time)
	}
}

// scanned counts a finding towards its scan.
func (b *Checks) scanned(e *sekisho.Entry, x *sekisho.FindingRaised) {
	if s := b.scanOf[x.Check]; s != nil {
		s.Came++
		b.proveScan(s, e.Time)
	}
}

// proveScan: the servers that a scan reached were scanned, once all that it
// found stands in the ledger.
func (b *Checks) proveScan(s *Scan, recorded sekisho.Time) {
	if s.Came > s.Body.Fresh {
		return // had its credits
	}
	if s.Came == s.Body.Fresh {
		b.withdraw(s.Entry)
		for _, u := range s.Body.Servers {
			b.credit(Credit{Seq: s.Entry, Kind: "vuln_scan", Unit: Unit{"thing", u}, From: int64(s.Body.At), Recorded: int64(recorded), Item: "scan"})
		}
		for _, u := range s.Body.Silent {
			b.credit(Credit{Seq: s.Entry, Kind: "vuln_scan", Unit: Unit{"thing", u}, From: int64(s.Body.At), Recorded: int64(recorded), Item: "scan", State: "silent"})
		}
	}
}

// Assessed is the assessment of a thing that counts at a moment, or nil.
func (b *Checks) Assessed(ordinal uint32, noun string, now sekisho.Time) *Check {
	for n := len(b.checks) - 1; n >= 0; n-- {
		c := b.checks[n]
		if c.Body.Noun != noun || c.Body.Space != "thing" || c.Held > now {
			continue
		}
		for _, u := range c.Body.Units {
			if u == ordinal && b.State(c, now) == "complete" {
				return c
			}
		}
	}
	return nil
}
