package watch

import (
	"net/netip"
	"slices"

	"sekisho"
)

// Server says what a machine is for, where that matters.
type Server struct {
	// Endpoint is its name, in small letters.
	Endpoint string `yaml:"endpoint"`
	// Holds is "none" if no personal data belong there, or "personal".
	Holds string `yaml:"holds"`
}

// Files is about files that appear on servers.
type Files struct {
	// Floor is the size in bytes below which no file is asked about. Default
	// 65536.
	Floor uint64 `yaml:"floor"`
}

// observed judges what other machines report.
type observed struct {
	servers map[string]string // what each holds
	floor   uint64

	hostile  []netip.Prefix                     // from the config
	learned  map[netip.Addr]uint64              // by a finding, or a person: the entry that said so
	contacts map[netip.Addr]map[string]*contact // by destination and endpoint
	blocked  map[netip.Addr]sekisho.Time        // since when attempts are prevented
	told     map[halfBlocked]bool
	pruned   int64 // the day

	domains map[uint32]sekisho.Time // when each sender's domain last wrote
	lures   map[[32]byte]uint64     // by the attachment: the mail's entry
	opened  map[openedAt]bool
	asked   map[openedAt]bool
}

// contact is an endpoint that spoke to a destination.
type contact struct {
	first, seq  uint64 // the first entry of those that are kept, and the last
	at, raised  sekisho.Time
	unprevented bool
}

type halfBlocked struct {
	target         netip.Addr
	blocked, known int
}

type openedAt struct {
	content  [32]byte
	endpoint string
}

// Classes and activities of OCSF, as in sensor.
const (
	classFile, classProcess, classFinding, classNetwork, classDNS, classMail, classDevice = 1001, 1007, 2004, 4001, 4003, 4009, 5001

	high = 4 // severity_id

	// quietFor is how long a contact is not told again; forget, how long it is
	// remembered; strange, after how long a sender is a stranger again.
	quietFor, forget, strange = 7 * day, 45 * day, 180 * day
)

func newObserved(cfg *Config) observed {
	d := observed{
		servers: map[string]string{}, floor: cfg.Files.Floor, hostile: cfg.Egress.Hostile, learned: map[netip.Addr]uint64{},
		contacts: map[netip.Addr]map[string]*contact{}, blocked: map[netip.Addr]sekisho.Time{}, told: map[halfBlocked]bool{},
		domains: map[uint32]sekisho.Time{}, lures: map[[32]byte]uint64{}, opened: map[openedAt]bool{}, asked: map[openedAt]bool{},
	}
	for _, s := range cfg.Servers {
		d.servers[s.Endpoint] = s.Holds
	}
	return d
}

// see takes in one observation.
func (d *observed) see(e *sekisho.Entry, b *sekisho.Observation) (out []sekisho.Body) {
	switch b.Class {
	case classMail:
		return d.mail(e, b)
	case classFile, classProcess:
		return append(d.open(e, b), d.file(e, b)...)
	case classNetwork, classDNS:
		if b.Target.IsValid() {
			return d.contact(e, b.Target, placeOf(b), b.At, b.Blocked)
		}
	case classFinding:
		return d.finding(e, b)
	case classDevice:
		return d.question(e, b)
	}
	return nil
}

// placeOf is where something happened: who reported it, if nobody knows.
func placeOf(b *sekisho.Observation) string {
	if b.Endpoint != "" {
		return b.Endpoint
	}
	return b.Sensor
}

func alertOf(detector string, b *sekisho.Observation, basis ...uint64) *sekisho.Alert {
	return &sekisho.Alert{Detector: detector, Principal: b.Actor, Endpoint: placeOf(b), From: b.At, Until: b.At + 1, Basis: basis}
}

func has(b *sekisho.Observation, trait string) bool { return slices.Contains(b.Traits, trait) }

// mail: an attachment from a stranger who looks like somebody we know.
func (d *observed) mail(e *sekisho.Entry, b *sekisho.Observation) []sekisho.Body {
	last, known := d.domains[b.Domain]
	first := !known || b.At-last > strange
	if b.Domain != 0 {
		d.domains[b.Domain] = max(last, b.At)
	}
	if !has(b, "attachment") || !has(b, "spoofed") && !(has(b, "lookalike") && first) {
		return nil
	}
	if b.Content != ([32]byte{}) {
		if _, ok := d.lures[b.Content]; ok {
			return nil // the same attachment to others
		}
		d.lures[b.Content] = e.ID.Seq
	}
	a := alertOf("lure", b, e.ID.Seq)
	a.Observed = uint64(len(b.To))
	return []sekisho.Body{a}
}

// open: somebody has a lure's attachment open, or runs it.
func (d *observed) open(e *sekisho.Entry, b *sekisho.Observation) []sekisho.Body {
	k := openedAt{b.Content, placeOf(b)}
	mail := d.lures[b.Content]
	if b.Content == ([32]byte{}) || mail == 0 || d.opened[k] || b.Class == classFile && b.Activity == 4 { // deleted
		return nil
	}
	d.opened[k] = true
	return []sekisho.Body{alertOf("opened", b, mail, e.ID.Seq)}
}

// file: one that should not be where it is, or of which nobody knows what it
// is.
func (d *observed) file(e *sekisho.Entry, b *sekisho.Observation) []sekisho.Body {
	holds, registered := d.servers[b.Endpoint]
	if b.Class != classFile || !registered || b.Activity != 1 && b.Activity != 3 && b.Activity != 5 { // created, changed, renamed
		return nil
	}
	detector := ""
	switch {
	case holds == "none" && (has(b, "personal_data") || b.Size >= d.floor && (has(b, "table") || has(b, "archive"))):
		detector = "file_birth"
	case b.Size >= d.floor && has(b, "no_extension"):
		detector = "large_file"
	default:
		return nil
	}
	a := alertOf(detector, b, e.ID.Seq)
	a.Observed, a.Limit = b.Size, d.floor
	return []sekisho.Body{a}
}

// question: a machine that is not well. Somebody has to say why.
func (d *observed) question(e *sekisho.Entry, b *sekisho.Observation) []sekisho.Body {
	detector := ""
	switch {
	case has(b, "disk_full"):
		detector = "disk_full"
	case has(b, "no_boot"):
		detector = "no_boot"
	default:
		return nil
	}
	k := openedAt{[32]byte{byte(len(detector)), byte(b.At / day), byte(b.At / day >> 8), byte(b.At / day >> 16)}, placeOf(b)}
	if d.asked[k] {
		return nil
	}
	d.asked[k] = true
	a := alertOf(detector, b, e.ID.Seq)
	a.Observed = b.Size
	return []sekisho.Body{a}
}

// finding: what another detector, or a provider, is sure enough of to call
// grave. It also teaches the destination that it names.
func (d *observed) finding(e *sekisho.Entry, b *sekisho.Observation) (out []sekisho.Body) {
	if b.Severity < high || b.Severity > 6 || b.Activity == 3 { // closed
		return nil
	}
	a := alertOf("finding", b, e.ID.Seq)
	a.Observed, a.Target = uint64(b.Severity), b.Target
	out = []sekisho.Body{a}
	if b.Target.IsValid() && !b.Target.IsPrivate() && !b.Target.IsLoopback() {
		out = append(out, d.contact(e, b.Target, placeOf(b), b.At, b.Blocked)...)
		out = append(out, d.learn(e, b.Target)...)
	}
	return out
}

func (d *observed) isHostile(t netip.Addr) bool {
	return d.learned[t] != 0 || slices.ContainsFunc(d.hostile, func(p netip.Prefix) bool { return p.Contains(t) })
}

// learn makes a destination hostile from here on, and looks back at who spoke
// to it.
func (d *observed) learn(e *sekisho.Entry, t netip.Addr) (out []sekisho.Body) {
	if d.isHostile(t) {
		return nil
	}
	d.learned[t] = e.ID.Seq
	by := d.contacts[t]
	names := make([]string, 0, len(by))
	for name := range by {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if c := by[name]; c.unprevented {
			c.raised = c.at
			out = append(out, &sekisho.Alert{Detector: "contact", Endpoint: name, From: c.at, Until: c.at + 1, Target: t, Basis: []uint64{c.first, e.ID.Seq}})
		}
	}
	return append(out, d.half(e, t)...)
}

// revised: a person named what is hostile.
func (d *observed) revised(e *sekisho.Entry, b *sekisho.IncidentRevised) (out []sekisho.Body) {
	if b.By == 0 {
		return nil
	}
	for _, p := range b.Hostile {
		if p.IsSingleIP() {
			out = append(out, d.learn(e, p.Addr())...)
		}
	}
	return out
}

// contact: an endpoint speaks to a destination, or tries to.
func (d *observed) contact(e *sekisho.Entry, t netip.Addr, endpoint string, at sekisho.Time, prevented bool) (out []sekisho.Body) {
	d.prune(int64(e.Time / day))
	by := d.contacts[t]
	if by == nil {
		by = map[string]*contact{}
		d.contacts[t] = by
	}
	c := by[endpoint]
	if c == nil {
		c = &contact{first: e.ID.Seq, raised: -quietFor - 1}
		by[endpoint] = c
	}
	c.seq = e.ID.Seq
	if prevented {
		if _, ok := d.blocked[t]; !ok && d.isHostile(t) {
			d.blocked[t] = at
		}
		return nil
	}
	c.at, c.unprevented = max(c.at, at), true
	if !d.isHostile(t) {
		return nil
	}
	if at-c.raised > quietFor {
		c.raised = at
		out = append(out, &sekisho.Alert{Detector: "contact", Endpoint: endpoint, From: at, Until: at + 1, Target: t, Basis: []uint64{c.first, e.ID.Seq}})
	}
	return append(out, d.half(e, t)...)
}

// half: some of the destinations are blocked, and this one is reached.
func (d *observed) half(e *sekisho.Entry, t netip.Addr) []sekisho.Body {
	known, blocked := d.Destinations()
	_, this := d.blocked[t]
	if blocked == 0 || blocked == known || this {
		return nil
	}
	first := sekisho.Time(1 << 62)
	for _, at := range d.blocked {
		first = min(first, at)
	}
	var at sekisho.Time
	endpoint := ""
	for name, c := range d.contacts[t] {
		if c.unprevented && (c.at > at || c.at == at && name < endpoint) {
			at, endpoint = c.at, name
		}
	}
	k := halfBlocked{t, blocked, known}
	if at <= first || d.told[k] {
		return nil
	}
	d.told[k] = true
	return []sekisho.Body{&sekisho.Alert{Detector: "half_blocked", Endpoint: endpoint, From: at, Until: at + 1, Target: t,
		Observed: uint64(blocked), Limit: uint64(known), Basis: []uint64{e.ID.Seq}}}
}

// Destinations is how many hostile destinations somebody here spoke to or
// tried to, and how many of them are blocked.
func (d *observed) Destinations() (known, blocked int) {
	for t := range d.contacts {
		if d.isHostile(t) {
			known++
			if _, ok := d.blocked[t]; ok {
				blocked++
			}
		}
	}
	return known, blocked
}

// prune forgets, once a day, who spoke to what nobody calls hostile.
func (d *observed) prune(today int64) {
	if today == d.pruned {
		return
	}
	d.pruned = today
	for t, by := range d.contacts {
		if d.isHostile(t) {
			continue
		}
		for name, c := range by {
			if c.at < sekisho.Time(today)*day-forget {
				delete(by, name)
			}
		}
		if len(by) == 0 {
			delete(d.contacts, t)
		}
	}
	for name, at := range d.domains {
		if at < sekisho.Time(today)*day-strange {
			delete(d.domains, name)
		}
	}
}
