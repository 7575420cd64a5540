package watch

import (
	"slices"

	"sekisho"
)

// Decoy is about records of nobody.
type Decoy struct {
	// Except lists roles whose work reads everybody, such as a nightly batch:
	// what they touch is no alert.
	Except []string `yaml:"except"`
}

// A Placed is a decoy that stands.
type Placed struct {
	Entry uint64 // its DecoyPlaced
	At    sekisho.Time
	Body  *sekisho.DecoyPlaced
}

// Decoys is the fold of the decoys that stand. It is a view, too.
type Decoys struct {
	by map[decoyKey]Placed
}

type decoyKey struct {
	space   string
	subject uint32
}

// NewDecoys knows of none.
func NewDecoys() *Decoys { return &Decoys{by: map[decoyKey]Placed{}} }

// Name is the view's.
func (*Decoys) Name() string { return "decoys" }

// Apply folds one entry.
func (d *Decoys) Apply(e *sekisho.Entry) {
	b, ok := e.Body.(*sekisho.DecoyPlaced)
	if !ok {
		return
	}
	k := decoyKey{b.Space, b.Subject}
	if b.Action == "placed" {
		d.by[k] = Placed{e.ID.Seq, e.Time, b}
	} else {
		delete(d.by, k)
	}
}

// List gives the decoys that stand, in the order in which they were placed.
func (d *Decoys) List() []Placed {
	list := make([]Placed, 0, len(d.by))
	for _, p := range d.by {
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b Placed) int { return int(int64(a.Entry) - int64(b.Entry)) })
	return list
}

// Has says whether somebody is a decoy.
func (d *Decoys) Has(space string, subject uint32) bool {
	_, ok := d.by[decoyKey{space, subject}]
	return ok
}

// At gives the decoys that have a mailbox.
func (d *Decoys) At(mailbox uint32) (list []Placed) {
	for _, p := range d.List() {
		if mailbox != 0 && p.Body.Mailbox == mailbox {
			list = append(list, p)
		}
	}
	return list
}

// decoys raises an alert when somebody touches a decoy at the gate: one for
// each principal, endpoint and hour, about all of that hour.
type decoys struct {
	Decoys
	cfg    Decoy
	raised map[decoyTouch]bool
}

type decoyTouch struct {
	principal uint32
	endpoint  string
	hour      sekisho.Time
}

func newDecoys(cfg Decoy) decoys {
	return decoys{Decoys: *NewDecoys(), cfg: cfg, raised: map[decoyTouch]bool{}}
}

// read asks of one access. One that could be any row touches nobody for
// certain.
func (d *decoys) read(e *sekisho.Entry, s *sekisho.SessionOpened, h *sekisho.Shape, b *sekisho.Access) []sekisho.Body {
	if len(d.by) == 0 || b.Class == sekisho.AnyRow || slices.Contains(d.cfg.Except, s.Role) {
		return nil
	}
	k := decoyTouch{s.Principal, s.Endpoint, e.Time / hour * hour}
	if d.raised[k] {
		return nil
	}
	touched := map[uint32]bool{}
	var first uint64
	for _, subject := range b.Subjects {
		if p, ok := d.by[decoyKey{h.Space, subject}]; ok {
			touched[subject] = true
			if first == 0 {
				first = p.Entry
			}
		}
	}
	if len(touched) == 0 {
		return nil
	}
	d.raised[k] = true
	return []sekisho.Body{&sekisho.Alert{Detector: "decoy", Principal: s.Principal, Endpoint: s.Endpoint, From: k.hour, Until: k.hour + hour,
		Observed: uint64(len(touched)), Basis: []uint64{first, e.ID.Seq}}}
}
