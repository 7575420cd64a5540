package console

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"sekisho"
	"sekisho/directory"
)

// The directory: companies, departments and posts with how many work there,
// and one person's page. Names come from the vault; whose page is looked at
// stands in the ledger before it is shown.

// A DirectoryImport says how a table of staff is compared.
type DirectoryImport struct {
	Source    string            `json:"source"`              // its name in the ledger
	Columns   map[string]string `json:"columns,omitempty"`   // field → column
	Encoding  string            `json:"encoding,omitempty"`  // empty: it is judged
	Effective string            `json:"effective,omitempty"` // the day from which changes hold; empty: now
	Part      bool              `json:"part,omitempty"`      // who is not in it has not left
	DryRun    bool              `json:"dry_run,omitempty"`
	Leavers   int               `json:"leavers,omitempty"` // so many may have left, however few are there
}

// A DirectoryPullAsk has a directory server of the config read now.
type DirectoryPullAsk struct {
	Source  string `json:"source"`
	DryRun  bool   `json:"dry_run,omitempty"`
	Leavers int    `json:"leavers,omitempty"`
}

// DirectoryRefused says that a source is not taken, and why.
type DirectoryRefused struct{ Why string }

func (e *DirectoryRefused) Error() string { return e.Why }

// A DirectoryPlan is what an import would change, or changed.
type DirectoryPlan struct {
	DryRun   bool                `json:"dry_run"`
	Recorded bool                `json:"recorded"`
	Refusal  string              `json:"refusal,omitempty"` // why nothing was recorded
	Read     int                 `json:"read"`              // people in the source
	Had      int                 `json:"had"`               // people of the source before
	Whole    bool                `json:"whole"`             // who is not in it has left
	Joined   int                 `json:"joined"`
	Changed  int                 `json:"changed"`
	Left     int                 `json:"left"`
	Units    []directory.Change  `json:"units"`
	People   []directory.Change  `json:"people"`
	Refused  []directory.Refusal `json:"refused"`
}

func planOf(p *directory.Plan, dry bool) *DirectoryPlan {
	return &DirectoryPlan{DryRun: dry, Read: len(p.Snapshot.People), Had: p.Had, Whole: p.Snapshot.Whole,
		Joined: p.Count("joined") + p.Count("returned"), Changed: p.Count("changed"), Left: p.Count("left"),
		Units: p.Units, People: p.People, Refused: p.Snapshot.Refused}
}

// A DirectoryUnit is a line of the tree.
type DirectoryUnit struct {
	Unit   uint32           `json:"unit"`
	Key    string           `json:"key"`
	Kind   string           `json:"kind"`
	Title  string           `json:"title"`
	People int              `json:"people"` // in it and below, each once
	Direct int              `json:"direct"` // in it itself
	Below  []*DirectoryUnit `json:"below,omitempty"`
	Day    string           `json:"-"` // for links
}

// Say is what people call it: its title, or else the end of its key, without the
// kind and, for what is part of a company, the company's code.
func (u *DirectoryUnit) Say() string {
	name := strings.TrimPrefix(u.Key, u.Kind+"/")
	if u.Kind == "department" {
		if _, path, ok := strings.Cut(name, "/"); ok {
			name = path
		}
	}
	return cmp.Or(u.Title, name)
}

// A DirectoryRead is the last comparison with a source.
type DirectoryRead struct {
	Source  string       `json:"source"`
	Form    string       `json:"form"`
	Time    sekisho.Time `json:"time"`
	Entry   uint64       `json:"entry"`
	People  uint64       `json:"people"`
	Refused uint64       `json:"refused"`
}

// A DirectoryPage is the group on a day.
type DirectoryPage struct {
	At         sekisho.Time     `json:"at"`
	Day        string           `json:"day"` // as the form asks for it
	People     int              `json:"people"`
	Executives int              `json:"executives"`
	Agency     int              `json:"agency"`
	Secondees  int              `json:"secondees"`
	Leave      int              `json:"leave"`
	Concurrent int              `json:"concurrent"` // people with more than one posting
	Joined     int              `json:"joined"`     // in the year before
	Left       int              `json:"left"`
	Companies  int              `json:"companies"`
	Tree       []*DirectoryUnit `json:"tree"`
	Posts      []*DirectoryUnit `json:"posts"`
	Reads      []DirectoryRead  `json:"reads"`
	Within     *DirectoryUnit   `json:"within,omitempty"` // whose people are listed
	Staff      []DirectoryLine  `json:"staff,omitempty"`
	More       int              `json:"more,omitempty"`
}

// A DirectoryLine is a person by user name.
type DirectoryLine struct {
	Staff uint32 `json:"staff"`
	User  string `json:"user"`
	Kind  string `json:"kind"`
	Post  string `json:"post,omitempty"`
	As    string `json:"as,omitempty"`
}

func (*DirectoryPage) file() string { return "directory" }

// mostListed are so many people of a unit on one page.
const mostListed = 500

func (c *Console) directory(v *visit) (page, error) {
	return c.directoryAt(v, v.r.FormValue("at"), v.r.FormValue("unit"))
}

func (c *Console) directoryAt(v *visit, day, unit string) (*DirectoryPage, error) {
	if c.cfg.Directory == nil {
		return nil, fail(http.StatusNotFound, "directory")
	}
	at := sekisho.At(c.cfg.Now())
	if day != "" {
		t, err := time.ParseInLocation("2006-01-02", day, v.zone)
		if err != nil || t.Unix() < 0 {
			return nil, fail(http.StatusBadRequest, "directory_day")
		}
		at = sekisho.At(t)
	}
	b := c.cfg.Directory
	p := &DirectoryPage{At: at, Day: at.Go().In(v.zone).Format("2006-01-02"), Tree: []*DirectoryUnit{}, Posts: []*DirectoryUnit{}, Reads: []DirectoryRead{}}
	for _, r := range b.Reads() {
		p.Reads = append(p.Reads, DirectoryRead{Source: r.Source, Form: r.Form, Time: r.Time, Entry: r.Seq, People: r.People, Refused: r.Refused})
	}
	joined, left := b.Moves(at-365*oneDay, at)
	p.Joined, p.Left = len(joined), len(left)

	lines, parents := map[uint32]*DirectoryUnit{}, map[uint32]uint32{}
	var order []uint32
	for u := range b.UnitsAt("", at) {
		lines[u.Unit] = &DirectoryUnit{Unit: u.Unit, Key: c.named("unit", u.Unit), Kind: u.Kind, Title: c.named("said", u.Title), Day: p.Day}
		parents[u.Unit] = u.Parent
		order = append(order, u.Unit)
		if u.Kind == "company" {
			p.Companies++
		}
	}
	var within map[uint32]bool
	if n, err := strconv.ParseUint(unit, 10, 32); err == nil && lines[uint32(n)] != nil {
		p.Within, within = lines[uint32(n)], b.Within(uint32(n), at)
	} else if unit != "" {
		return nil, fail(http.StatusNotFound, "directory_unit")
	}
	for one := range b.PeopleAt(at) {
		c.countPerson(p, one, lines, parents, within)
	}
	for _, o := range order {
		u := lines[o]
		switch above := lines[parents[o]]; {
		case u.Kind == "post":
			p.Posts = append(p.Posts, u)
		case above != nil && above != u && !rises(parents, parents[o], o):
			above.Below = append(above.Below, u)
		default:
			p.Tree = append(p.Tree, u)
		}
	}
	byKey := func(x, y *DirectoryUnit) int { return strings.Compare(x.Key, y.Key) }
	slices.SortFunc(p.Tree, byKey)
	slices.SortFunc(p.Posts, byKey)
	for _, u := range lines {
		slices.SortFunc(u.Below, byKey)
	}
	return p, nil
}

// rises says whether one comes to a unit by going up from another: a ring.
func rises(parents map[uint32]uint32, from, to uint32) bool {
	for range len(parents) {
		if from == to {
			return true
		}
		if from = parents[from]; from == 0 {
			return false
		}
	}
	return true
}

// countPerson adds somebody to the units of their postings and to all above.
func (c *Console) countPerson(p *DirectoryPage, one *directory.Person, lines map[uint32]*DirectoryUnit, parents map[uint32]uint32, within map[uint32]bool) {
	p.People++
	for _, is := range []struct {
		is bool
		n  *int
	}{{one.Executive, &p.Executives}, {one.Kind == "agency", &p.Agency}, {one.Kind == "secondee", &p.Secondees}, {one.Leave, &p.Leave}} {
		if is.is {
			*is.n++
		}
	}
	var direct, above []uint32
	inside, postings := false, 0
	line := DirectoryLine{Staff: one.Staff, Kind: one.Kind}
	for posting := range one.PostingsAt(p.At) {
		if posting.As != "group" {
			postings++
		}
		for _, u := range []uint32{posting.Unit, posting.Post} {
			if u == 0 || slices.Contains(direct, u) {
				continue
			}
			direct = append(direct, u)
			for range 64 { // a ring of parents ends it
				if slices.Contains(above, u) {
					break
				}
				above = append(above, u)
				if u = parents[u]; u == 0 {
					break
				}
			}
		}
		if within[posting.Unit] || within[posting.Post] {
			if !inside {
				line.Post, line.As = c.named("unit", posting.Post), posting.As
			}
			inside = true
		}
	}
	if postings > 1 {
		p.Concurrent++
	}
	for _, u := range direct {
		if l := lines[u]; l != nil {
			l.Direct++
		}
	}
	for _, u := range above {
		if l := lines[u]; l != nil {
			l.People++
		}
	}
	if !inside {
		return
	}
	if len(p.Staff) == mostListed {
		p.More++
		return
	}
	line.User = c.named("staff", one.Staff)
	p.Staff = append(p.Staff, line)
}

// A DirectoryPersonPage is one person, with what held when.
type DirectoryPersonPage struct {
	Staff  uint32               `json:"staff"`
	User   string               `json:"user"`
	About  directory.Attributes `json:"about"`
	Erased bool                 `json:"erased"` // the record was destroyed
	Past   []DirectoryVersion   `json:"past"`   // the latest first
	Here   bool                 `json:"here"`   // one of us today
}

// A DirectoryVersion is what held from a day on.
type DirectoryVersion struct {
	From      sekisho.Time       `json:"from"`
	Entry     uint64             `json:"entry"`
	Recorded  sekisho.Time       `json:"recorded"`
	Action    string             `json:"action"`
	Source    string             `json:"source"`
	Kind      string             `json:"kind"`
	Executive bool               `json:"executive"`
	Leave     bool               `json:"leave"`
	Joined    sekisho.Time       `json:"joined,omitempty"`
	Left      sekisho.Time       `json:"left,omitempty"`
	Postings  []DirectoryPosting `json:"postings"`
}

// A DirectoryPosting is a posting in words.
type DirectoryPosting struct {
	Unit  string       `json:"unit"`
	Title string       `json:"title,omitempty"`
	Post  string       `json:"post,omitempty"`
	As    string       `json:"as"`
	From  sekisho.Time `json:"from,omitempty"`
	Until sekisho.Time `json:"until,omitempty"`
}

func (*DirectoryPersonPage) file() string { return "directory_person" }

func (c *Console) directoryPerson(v *visit) (page, error) {
	n, err := strconv.ParseUint(v.r.PathValue("number"), 10, 32)
	if err != nil || c.cfg.Directory == nil {
		return nil, fail(http.StatusNotFound, "directory_person")
	}
	past := c.cfg.Directory.Past(uint32(n))
	if past == nil {
		return nil, fail(http.StatusNotFound, "directory_person")
	}
	shape := &sekisho.Shape{Verb: sekisho.Read, Space: "staff", Tables: []string{"sekisho.directory"}, Columns: []string{"sekisho.directory.record"},
		Categories: sekisho.Identity | sekisho.Contact, Statement: c.cfg.Vault.Space("statement").OfText([]byte("sekisho: one person's page in the directory"))}
	if err := c.recordAccess(v.r.Context(), v.who.entry, v.who.statement(), shape, []uint32{uint32(n)}, 0); err != nil {
		return nil, err
	}
	now := sekisho.At(c.cfg.Now())
	p := &DirectoryPersonPage{Staff: uint32(n), User: c.named("staff", uint32(n)), Here: c.cfg.Directory.Person(uint32(n), now) != nil}
	last := c.cfg.Directory.Last(uint32(n), now)
	if key, ok := c.cfg.Vault.Space("staff_record").Key(last.Record); ok {
		if p.About, err = directory.ReadAttributes(key); err != nil {
			return nil, err
		}
	} else {
		p.Erased = last.Record != 0
	}
	for _, one := range slices.Backward(past) {
		d := DirectoryVersion{From: one.From, Entry: one.Seq, Recorded: one.Recorded, Action: one.Action, Source: one.Source, Kind: one.Kind,
			Executive: one.Executive, Leave: one.Leave, Joined: one.Joined, Left: one.Left}
		for _, posting := range one.Postings {
			u := DirectoryPosting{Unit: c.named("unit", posting.Unit), Post: c.named("unit", posting.Post), As: posting.As, From: posting.From, Until: posting.Until}
			if unit := c.cfg.Directory.Unit(posting.Unit, one.From); unit != nil {
				u.Title = c.named("said", unit.Title)
			}
			d.Postings = append(d.Postings, u)
		}
		p.Past = append(p.Past, d)
	}
	return p, nil
}

func (c *Console) controlDirectory(handle func(pattern string, limit int64, do func(v *visit) (any, error))) {
	handle("GET /api/directory", maxForm, func(v *visit) (any, error) {
		if err := c.caughtUp(v); err != nil {
			return nil, err
		}
		return c.directoryAt(v, v.r.URL.Query().Get("at"), "")
	})
	handle("POST /api/directory/pull", maxForm, func(v *visit) (any, error) {
		ask, err := told[DirectoryPullAsk](v)
		if err != nil {
			return nil, err
		}
		if c.cfg.PullDirectory == nil {
			return nil, fail(http.StatusNotFound, "directory")
		}
		http.NewResponseController(v.w).SetWriteDeadline(time.Time{})
		plan, err := c.cfg.PullDirectory(v.r.Context(), ask, v.who.staff)
		return directoryAnswer(plan, err, ask.DryRun)
	})
	handle("POST /api/directory/import", maxUpload, func(v *visit) (any, error) { return c.importDirectory(v) })
}

// importDirectory reads how, then the file that comes after it.
func (c *Console) importDirectory(v *visit) (any, error) {
	http.NewResponseController(v.w).SetReadDeadline(time.Now().Add(10 * time.Minute))
	if c.cfg.ImportDirectory == nil {
		return nil, fail(http.StatusNotFound, "directory")
	}
	parts, err := v.r.MultipartReader()
	if err != nil {
		return nil, fail(http.StatusBadRequest, "file_missing")
	}
	part, err := parts.NextPart()
	if err != nil || part.FormName() != "question" {
		return nil, fail(http.StatusBadRequest, "file_missing")
	}
	var ask DirectoryImport
	d := json.NewDecoder(io.LimitReader(part, maxForm))
	d.DisallowUnknownFields()
	if err := d.Decode(&ask); err != nil {
		return nil, &failure{status: http.StatusBadRequest, key: "json", cause: fmt.Errorf("reading a command: %w", err)}
	}
	if ask.Source == "" || len(ask.Source) > 64 || strings.ContainsFunc(ask.Source, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, fail(http.StatusBadRequest, "directory_source")
	}
	if part, err = parts.NextPart(); err != nil || part.FormName() != "file" {
		return nil, fail(http.StatusBadRequest, "file_missing")
	}
	plan, err := c.cfg.ImportDirectory(v.r.Context(), part, ask, v.who.staff)
	return directoryAnswer(plan, err, ask.DryRun)
}

func directoryAnswer(plan *directory.Plan, err error, dry bool) (any, error) {
	refused, isRefusal := err.(*DirectoryRefused)
	switch {
	case isRefusal && plan == nil:
		return nil, fail(http.StatusBadRequest, "directory_file", refused.Why)
	case err != nil && !isRefusal:
		return nil, notRecorded(err)
	}
	answer := planOf(plan, dry)
	if isRefusal {
		answer.Refusal = refused.Why
	}
	answer.Recorded = !dry && !isRefusal
	return answer, nil
}
