package duty

import (
	"net/netip"
	"slices"

	"sekisho"
)

// A Terminal is a machine with what was last said and seen of it.
type Terminal struct {
	Endpoint string
	Ordinal  uint32 // in "thing"; 0: nobody's system knows it
	Posture  *sekisho.PostureSeen
	Entry    uint64       // of Posture
	Verified sekisho.Time // the last session that a certificate proved
	Plain    sekisho.Time // the last one without
	Malware  sekisho.Time // the last event of a sensor that tells of malware on it
	Reported uint64       // that event's entry
}

// A Permit is leave to work outside the house.
type Permit struct {
	Number  uint64
	At      sekisho.Time
	Body    *sekisho.OffsiteDecided
	Decided *sekisho.OffsiteDecided
	Entry   uint64       // of Decided
	Ended   sekisho.Time // before its end; 0: not
}

// State is the permit's at a moment: "asked", "approved", "rejected", "ended".
func (p *Permit) State(now sekisho.Time) string {
	switch {
	case p.Decided == nil && now >= p.Body.Until:
		return "ended"
	case p.Decided == nil:
		return "asked"
	case p.Decided.Action == "rejected":
		return "rejected"
	case p.Ended != 0 && now >= p.Ended || now >= p.Body.Until:
		return "ended"
	}
	return "approved"
}

type terminals struct {
	byEndpoint map[string]*Terminal
	machines   []*Terminal
	permits    []*Permit
}

func (t *terminals) init() { t.byEndpoint = map[string]*Terminal{} }

// Terminals is every machine, in the order in which they were seen.
func (b *Checks) Terminals() []*Terminal { return b.machines }

// Permits is every permit to work outside.
func (b *Checks) Permits() []*Permit { return b.permits }

func (b *Checks) terminal(name string) *Terminal {
	t := b.byEndpoint[name]
	if t == nil {
		t = &Terminal{Endpoint: name}
		b.byEndpoint[name] = t
		b.machines = append(b.machines, t)
	}
	return t
}

func (b *Checks) posture(e *sekisho.Entry) {
	switch x := e.Body.(type) {
	case *sekisho.PostureSeen:
		t := b.terminal(x.Endpoint)
		if t.Entry != 0 {
			if x.At < t.Posture.At {
				return // an older word that came later
			}
			b.withdraw(t.Entry)
		}
		t.Posture, t.Entry, t.Ordinal = x, e.ID.Seq, x.Thing
		b.posed(x.Endpoint, int64(max(x.At, t.Malware)), int64(x.At+postureFresh), PostureState(x) == "")
		b.credit(Credit{Seq: e.ID.Seq, Kind: "terminal_posture", Unit: Unit{"thing", x.Thing}, From: int64(x.At), Recorded: int64(e.Time), Item: x.Source, State: PostureState(x)})
	case *sekisho.SessionOpened:
		if x.Door != sekisho.DoorGate {
			return
		}
		b.session(e, x)
		t := b.terminal(x.Endpoint)
		if x.Verified {
			t.Verified = e.Time
		} else {
			t.Plain = e.Time
		}
	case *sekisho.Observation:
		if t := b.byEndpoint[x.Endpoint]; t != nil && slices.Contains(x.Traits, "malware") && !x.Blocked {
			t.Malware, t.Reported = e.Time, e.ID.Seq
			b.posed(x.Endpoint, int64(e.Time), int64(e.Time+postureFresh), false)
		}
	case *sekisho.OffsiteDecided:
		if x.Permit == 0 {
			b.permits = append(b.permits, &Permit{Number: e.ID.Seq, At: e.Time, Body: x})
			return
		}
		for _, p := range b.permits {
			switch {
			case p.Number != x.Permit:
			case x.Action == "ended" && p.Decided != nil && p.Ended == 0:
				p.Ended = e.Time
				b.withdraw(p.Number)
				b.provePermit(p, e)
			case p.Decided == nil && x.Action != "ended" && x.By != p.Body.By && x.By != p.Body.Person:
				p.Decided, p.Entry = x, e.ID.Seq
				b.provePermit(p, e)
			}
		}
	}
}

func (b *Checks) provePermit(p *Permit, e *sekisho.Entry) {
	if p.Decided.Action != "approved" {
		return
	}
	until := p.Body.Until
	if p.Ended != 0 {
		until = p.Ended
	}
	b.credit(Credit{Seq: p.Number, Kind: "offsite_permit", Unit: Unit{"staff", p.Body.Person}, From: int64(p.Body.From), Until: int64(until), Recorded: int64(e.Time), Item: p.Body.Endpoint})
}

// PostureState is what keeps a terminal from being trusted, as a code; "" for
// nothing.
func PostureState(x *sekisho.PostureSeen) string {
	for _, one := range []struct{ says, no, unknown string }{
		{x.Managed, "unmanaged", "managed_unknown"}, {x.Encrypted, "unencrypted", "encrypted_unknown"}, {x.Patched, "unpatched", "patched_unknown"}} {
		switch one.says {
		case "no":
			return one.no
		case "yes":
		default:
			return one.unknown
		}
	}
	return ""
}

// postureFresh is how old a word about a terminal may be.
const postureFresh = 30 * aDay

// State is "good", or why a terminal cannot be trusted at a moment: nothing is
// known of it, what is known is old, what was said of it, or what was seen.
func (t *Terminal) State(now sekisho.Time) string {
	switch {
	case t.Posture == nil:
		return "unknown"
	case PostureState(t.Posture) != "":
		return PostureState(t.Posture)
	case t.Malware > t.Posture.At:
		return "malware"
	case now > t.Posture.At+postureFresh:
		return "stale"
	}
	return "good"
}

// OffsiteReady is "" if a terminal may be used outside the house, or why not.
func (b *Checks) OffsiteReady(endpoint string, now sekisho.Time) string {
	t := b.byEndpoint[endpoint]
	if t == nil {
		return "unknown"
	}
	if s := t.State(now); s != "good" {
		return s
	}
	if t.Posture.Offsite != "yes" {
		return "not_offsite"
	}
	return ""
}

// session counts a session at the gate that came from outside the house: whether
// its person and terminal had a permit.
func (b *Checks) session(e *sekisho.Entry, x *sekisho.SessionOpened) {
	if !x.Address.IsValid() || b.Inside(x.Address) {
		return
	}
	permitted := false
	for _, p := range b.permits {
		permitted = permitted || p.State(e.Time) == "approved" && p.Body.From <= e.Time && p.Body.Endpoint == x.Endpoint && p.Body.Person == x.Principal
	}
	b.outside(permitted)
}

// inside are the addresses of the house, unless Inside is set: RFC 1918, RFC 4193,
// and the machine itself.
func inside(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast()
}
