package act

import (
	"math"
	"math/bits"
	"net/netip"
	"slices"

	"github.com/cedar-policy/cedar-go"

	"sekisho"
)

// Place is where a session comes from.
type Place byte

const (
	PlaceUnknown Place = 0
	Office       Place = 1
	Remote       Place = 2
)

func (p Place) String() string { return [...]string{"unknown", "office", "remote", "unknown"}[p&3] }

// Posture is whether an endpoint is kept in order: patched, encrypted, watched.
type Posture byte

const (
	PostureUnknown Posture = 0
	PostureGood    Posture = 1
	PostureBad     Posture = 2
)

func (p Posture) String() string { return [...]string{"unknown", "good", "bad", "unknown"}[p&3] }

// A Request is one kind of statement of one session. What is left empty is
// unknown, and counts as the worst that it could be.
type Request struct {
	// Of the session: they do not change while it lasts.
	Principal string
	Role      string
	Post      string // what the principal is there: agent, contractor, service, …
	Company   string
	Endpoint  string
	Verified  bool // a certificate proved the endpoint
	Posture   Posture
	Address   netip.Addr
	Place     Place
	// OffSiteReady: the register lets this terminal be used outside the office.
	OffSiteReady bool
	// Permits are the categories for which the principal has leave to work outside
	// the office at this terminal now.
	Permits sekisho.Categories

	// Of the statement. Categories are those of all columns whose values go out
	// or are tested or written; none stands for columns that are not personal.
	Verb       sekisho.Verb
	Tables     []string
	Categories sekisho.Categories

	// Of the moment.
	Purpose string
	Time    sekisho.Time
	Rows    uint64 // an estimate; 0 if there is none
}

// A Key is equal for two requests only if their decisions are, given that they
// are for the same Tables: keep one cache for each statement. It holds nothing
// that no rule looks at, so a policy that does not speak of the hour has the
// same key all day.
type Key struct {
	principal, role, post, company, endpoint, purpose string
	address                                           netip.Addr
	categories                                        sekisho.Categories
	rows                                              uint64
	verb                                              sekisho.Verb
	verified, ready                                   bool
	permits                                           sekisho.Categories
	posture                                           Posture
	place                                             Place
	hour, minute, weekday                             int8
}

// Key allocates nothing.
func (p *Policy) Key(r *Request) Key {
	u := &p.uses
	k := Key{verb: r.Verb, categories: r.Categories}
	if u.principal {
		k.principal = r.Principal
	}
	if u.role {
		k.role = r.Role
	}
	if u.post {
		k.post = r.Post
	}
	if u.company {
		k.company = r.Company
	}
	if u.endpoint {
		k.endpoint = r.Endpoint
	}
	if u.purpose {
		k.purpose = r.Purpose
	}
	if u.address {
		k.address = r.Address
	}
	k.verified = u.verified && r.Verified
	k.ready = u.ready && r.OffSiteReady
	if u.permits {
		k.permits = r.Permits
	}
	if u.posture {
		k.posture = r.Posture
	}
	if u.place {
		k.place = r.Place
	}
	if u.rowsExact {
		k.rows = r.Rows
	} else if u.rows {
		at, _ := slices.BinarySearch(u.rowCuts, rowsOf(r)+1) // how many cuts are at or below
		k.rows = uint64(at)
	}
	if u.hour || u.minute || u.weekday {
		t := r.Time.Go().In(p.zone)
		if u.hour {
			k.hour = int8(t.Hour())
		}
		if u.minute {
			k.minute = int8(t.Minute())
		}
		if u.weekday {
			k.weekday = int8(t.Weekday())
		}
	}
	return k
}

// rowsOf: an unknown number is more than any; one less than the greatest, so
// that a number after it exists.
func rowsOf(r *Request) int64 {
	if r.Rows == 0 || r.Rows >= math.MaxInt64 {
		return math.MaxInt64 - 1
	}
	return int64(r.Rows)
}

// A world is a request in Cedar's words.
type world struct {
	principal cedar.Entity
	request   cedar.Request
	policy    *Policy
}

// Get is how Cedar asks for an entity: only the principal has parents.
func (w *world) Get(uid cedar.EntityUID) (cedar.Entity, bool) {
	if uid == w.principal.UID {
		return w.principal, true
	}
	return cedar.Entity{}, false
}

var weekdays = [...]cedar.String{"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"}

// world holds only what some rule looks at; nothing can ask for the rest.
func (p *Policy) world(r *Request) *world {
	u := &p.uses
	w := &world{policy: p}
	w.principal.UID = cedar.EntityUID{Type: "Principal", ID: cedar.String(r.Principal)}
	parents := make([]cedar.EntityUID, 0, 3)
	parent := func(used bool, kind cedar.EntityType, name string) {
		if used && name != "" {
			parents = append(parents, cedar.EntityUID{Type: kind, ID: cedar.String(name)})
		}
	}
	parent(u.role, "Role", r.Role)
	parent(u.company, "Company", r.Company)
	parent(u.post, "Post", r.Post)
	w.principal.Parents = cedar.NewEntityUIDSet(parents...)

	context := make(cedar.RecordMap, 11)
	entity := func(used bool, attribute cedar.String, kind cedar.EntityType, name string) {
		if used {
			context[attribute] = cedar.EntityUID{Type: kind, ID: cedar.String(name)}
		}
	}
	entity(u.endpoint, "endpoint", "Endpoint", r.Endpoint)
	entity(u.posture, "posture", "Posture", r.Posture.String())
	entity(u.place, "place", "Place", r.Place.String())
	entity(u.purpose, "purpose", "Purpose", r.Purpose)
	if u.verified {
		context["verified"] = cedar.Boolean(r.Verified)
	}
	if u.ready {
		context["offsite_ready"] = cedar.Boolean(r.OffSiteReady)
	}
	if u.permits {
		var permits []cedar.Value
		for _, name := range r.Permits.Names() {
			permits = append(permits, cedar.EntityUID{Type: "Category", ID: cedar.String(name)})
		}
		context["offsite_permits"] = cedar.NewSet(permits...)
	}
	if u.address && r.Address.IsValid() {
		a := r.Address.Unmap().WithZone("")
		context["address"] = cedar.IPAddr(netip.PrefixFrom(a, a.BitLen()))
	}
	if u.tables {
		tables := make([]cedar.Value, len(r.Tables))
		for i, t := range r.Tables {
			tables[i] = cedar.EntityUID{Type: "Table", ID: cedar.String(t)}
		}
		context["tables"] = cedar.NewSet(tables...)
	}
	if u.rows || u.rowsExact {
		context["rows"] = cedar.Long(rowsOf(r))
	}
	if u.hour || u.minute || u.weekday {
		t := r.Time.Go().In(p.zone)
		context["hour"], context["minute"] = cedar.Long(t.Hour()), cedar.Long(t.Minute())
		context["weekday"] = cedar.EntityUID{Type: "Weekday", ID: weekdays[t.Weekday()]}
	}
	w.request = cedar.Request{Principal: w.principal.UID, Context: cedar.NewRecord(context)}
	return w
}

// each calls f for every question that a request is: its verb, or all of them
// if it is not known, with each of its categories. A slot of -1 is a category
// that this program does not know.
func (r *Request) each(f func(verb, slot int)) {
	from, to := int(r.Verb)-1, int(r.Verb)
	if r.Verb < sekisho.Read || r.Verb > sekisho.Export {
		from, to = 0, verbs
	}
	for v := from; v < to; v++ {
		if r.Categories == 0 {
			f(v, 0)
		}
		for rest := uint32(r.Categories); rest != 0; rest &= rest - 1 {
			f(v, slotOf(bits.TrailingZeros32(rest)))
		}
	}
}

// slotOf is the slot of the category with this bit.
func slotOf(bit int) int {
	switch last := slots - 2; {
	case bit < last:
		return bit + 1
	case sekisho.Categories(1)<<bit == sekisho.Unclassified:
		return slots - 1
	}
	return -1
}

// bitOf is the category of a slot; none for "public".
func bitOf(slot int) sekisho.Categories {
	switch {
	case slot < 1:
		return 0
	case slot == slots-1:
		return sekisho.Unclassified
	}
	return 1 << (slot - 1)
}
