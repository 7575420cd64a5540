package duty

import (
	"cmp"
	"slices"
)

// A Unit is a person, a company, a department, a server, …: a vault space and
// an ordinal in it. Some spaces are this package's own and have no vault behind
// them: "group" (the company as a whole), "duty", "control/INSTRUMENT",
// "instrument", "milestone/DUTY": see own.
type Unit struct {
	Space   string `json:"space"`
	Ordinal uint32 `json:"ordinal"`
}

// Group is the unit of what is owed once, by everybody together.
var Group = Unit{"group", 1}

// A Credit is one piece of evidence: of one kind, about one unit, good for a
// period.
type Credit struct {
	Seq         uint64 // the entry that proves it; withdraw(Seq) takes all its credits back
	Kind        string // of the reference's evidence kinds: "training_completion", "minutes", …
	Unit        Unit   // whom or what it is about
	From, Until int64  // effective period, as the entries' times; Until 0: no end of its own (the duty's freshness decides)
	Recorded    int64  // when the entry was written: never the effective time
	Item        string // what distinguishes two of one kind: course, campaign, meeting; "" if nothing
	State       string // "" counts; else why it does not (yet): Unsigned, Declared, "failed", …
	Value       int64  // a score or measure, if the kind has one
}

// The states of a credit that may still come to count. All other states say
// that it does not.
const (
	Unsigned = "unsigned" // stated by one person: counts where no second one is needed, and is unknown elsewhere
	Declared = "declared" // somebody's word about themselves: unknown
)

// A fact is a credit as it is kept.
type fact struct {
	seq                   uint64
	from, until, recorded int64
	value                 int64
	item, state           uint32 // indexes into names
}

// A shelf holds the credits of one kind.
type shelf struct {
	spaces  map[string]*row
	changed uint64 // the entry that last changed it
	count   int
	first   int64 // the earliest effective time
	latest  int64 // the latest
}

// dense is how far ordinals stand in a slice; what lies beyond goes to a map, so
// that no entry can ask for much memory by a large ordinal.
const dense = 1 << 20

type row struct {
	near [][]fact
	far  map[uint32][]fact
}

func (r *row) of(ordinal uint32) []fact {
	if ordinal < dense {
		if int(ordinal) < len(r.near) {
			return r.near[ordinal]
		}
		return nil
	}
	return r.far[ordinal]
}

func (r *row) put(ordinal uint32, list []fact) {
	if ordinal < dense {
		for int(ordinal) >= len(r.near) {
			r.near = append(r.near, nil)
		}
		r.near[ordinal] = list
		return
	}
	if r.far == nil {
		r.far = map[uint32][]fact{}
	}
	r.far[ordinal] = list
}

// each gives every list that is not empty, in the order of ordinals.
func (r *row) each(f func(ordinal uint32, list []fact)) {
	for o, list := range r.near {
		if len(list) > 0 {
			f(uint32(o), list)
		}
	}
	rest := make([]uint32, 0, len(r.far))
	for o, list := range r.far {
		if len(list) > 0 {
			rest = append(rest, o)
		}
	}
	slices.Sort(rest)
	for _, o := range rest {
		f(o, r.far[o])
	}
}

// A where is the place of one credit, by which it is taken back.
type where struct {
	seq     uint64
	shelf   *shelf
	space   string
	ordinal uint32
}

// A store holds all credits.
type store struct {
	shelves map[string]*shelf
	names   []string
	index   map[string]uint32
	placed  []where // in the order of seq while sorted
	sorted  bool
}

func newStore() store {
	return store{shelves: map[string]*shelf{}, names: []string{""}, index: map[string]uint32{"": 0}, sorted: true}
}

func (s *store) intern(name string) uint32 {
	n, ok := s.index[name]
	if !ok {
		n = uint32(len(s.names))
		s.names, s.index[name] = append(s.names, name), n
	}
	return n
}

// shelf is that of a kind, made if it is not there.
func (s *store) shelf(kind string) *shelf {
	h := s.shelves[kind]
	if h == nil {
		h = &shelf{spaces: map[string]*row{}}
		s.shelves[kind] = h
	}
	return h
}

// add keeps a credit. A unit's credits stand in the order of their effective
// times, then of their entries.
func (s *store) add(c Credit, at uint64) {
	h := s.shelf(c.Kind)
	r := h.spaces[c.Unit.Space]
	if r == nil {
		r = &row{}
		h.spaces[c.Unit.Space] = r
	}
	f := fact{seq: c.Seq, from: c.From, until: c.Until, recorded: c.Recorded, value: c.Value, item: s.intern(c.Item), state: s.intern(c.State)}
	list := r.of(c.Unit.Ordinal)
	n := len(list)
	for n > 0 && less(f, list[n-1]) {
		n--
	}
	r.put(c.Unit.Ordinal, slices.Insert(list, n, f))
	if h.count == 0 || c.From < h.first {
		h.first = c.From
	}
	h.latest = max(h.latest, c.From)
	h.count++
	h.changed = max(h.changed, at)
	if k := len(s.placed); k > 0 && s.placed[k-1].seq > c.Seq {
		s.sorted = false
	}
	s.placed = append(s.placed, where{c.Seq, h, c.Unit.Space, c.Unit.Ordinal})
}

func compare(a, b fact) int { return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.seq, b.seq)) }

func less(a, b fact) bool { return compare(a, b) < 0 }

// remove takes back all credits of an entry.
func (s *store) remove(seq, at uint64) {
	if !s.sorted {
		slices.SortStableFunc(s.placed, func(a, b where) int { return cmp.Compare(a.seq, b.seq) })
		s.sorted = true
	}
	first, ok := slices.BinarySearchFunc(s.placed, seq, func(w where, seq uint64) int { return cmp.Compare(w.seq, seq) })
	if !ok {
		return
	}
	last := first
	for ; last < len(s.placed) && s.placed[last].seq == seq; last++ {
		w := s.placed[last]
		r := w.shelf.spaces[w.space]
		list := r.of(w.ordinal)
		was := len(list)
		list = slices.DeleteFunc(list, func(f fact) bool { return f.seq == seq })
		w.shelf.count -= was - len(list)
		w.shelf.changed = max(w.shelf.changed, at)
		r.put(w.ordinal, list)
	}
	s.placed = slices.Delete(s.placed, first, last)
}

// of are the credits of a kind about a unit, in their order.
func (s *store) of(kind string, u Unit) []fact {
	h := s.shelves[kind]
	if h == nil {
		return nil
	}
	r := h.spaces[u.Space]
	if r == nil {
		return nil
	}
	return r.of(u.Ordinal)
}

// kept is a fact as it came.
func (s *store) kept(kind string, u Unit, f fact) Credit {
	return Credit{Seq: f.seq, Kind: kind, Unit: u, From: f.from, Until: f.until, Recorded: f.recorded, Item: s.names[f.item], State: s.names[f.state], Value: f.value}
}

// Credits are the pieces of evidence of a kind about a unit, by effective time.
func (b *Book) Credits(kind string, u Unit) (list []Credit) {
	for _, f := range b.of(kind, u) {
		list = append(list, b.kept(kind, u, f))
	}
	return list
}
