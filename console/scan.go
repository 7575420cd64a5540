package console

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"sekisho"
	"sekisho/duty"
	"sekisho/vault"
)

// Scanners' output about the servers that the public reaches.

// A ScansPage says which servers were looked at when, those that nobody looked
// at first.
type ScansPage struct {
	Servers []ServerLine  `json:"servers"`
	Scans   []ScanLine    `json:"scans"`
	Open    []FindingLine `json:"open"`
	May     bool          `json:"-"`
	Days    []int         `json:"-"`
}

func (*ScansPage) file() string { return "scans" }

// A ServerLine is one public server.
type ServerLine struct {
	Name     string       `json:"name"`
	Ordinal  uint32       `json:"ordinal"`
	Scanned  sekisho.Time `json:"scanned,omitempty"`
	Tested   sekisho.Time `json:"tested,omitempty"` // by a penetration test that counts
	Silent   bool         `json:"silent,omitempty"` // the last scan got no answer
	Open     int          `json:"open"`
	Late     int          `json:"late"`
	Scan     uint64       `json:"scan,omitempty"`
	Stale    bool         `json:"stale"`    // no scan within 31 days
	Untested bool         `json:"untested"` // no test within a year
}

// A ScanLine is an output that was read.
type ScanLine struct {
	Entry   uint64       `json:"entry"`
	Time    sekisho.Time `json:"time"`
	Tool    string       `json:"tool"`
	At      sekisho.Time `json:"at"`
	Servers int          `json:"servers"`
	Silent  int          `json:"silent"`
	Strange uint64       `json:"strange"`
	Results uint64       `json:"results"`
	Fresh   uint64       `json:"fresh"`
	Whole   bool         `json:"whole"`
	By      string       `json:"by"`
}

func (c *Console) scansPage(v *visit) *ScansPage {
	now := sekisho.At(c.cfg.Now())
	p := &ScansPage{Servers: []ServerLine{}, Scans: []ScanLine{}, Open: []FindingLine{}, May: c.mayDecide(v.who)}
	ago := func(days int) sekisho.Time { return now - sekisho.Time(days)*24*3600e6 }
	c.cfg.Views.Read(func() {
		b := c.cfg.Checks
		lines := map[uint32]*ServerLine{}
		var order []uint32
		for _, t := range b.Things("server") {
			if !t.Retired() && t.Has("public") {
				lines[t.Ordinal] = &ServerLine{Name: strings.TrimPrefix(c.named("thing", t.Ordinal), "server/"), Ordinal: t.Ordinal}
				order = append(order, t.Ordinal)
			}
		}
		for _, s := range b.Scans() {
			x := s.Body
			p.Scans = append(p.Scans, ScanLine{s.Entry, s.At, x.Tool, x.At, len(x.Servers), len(x.Silent), x.Strange, x.Results, x.Fresh, s.Whole(), c.named("staff", x.By)})
			for _, o := range x.Servers {
				if l := lines[o]; l != nil && s.Whole() && x.At >= l.Scanned {
					l.Scanned, l.Scan, l.Silent = x.At, s.Entry, false
				}
			}
			for _, o := range x.Silent {
				if l := lines[o]; l != nil && x.At >= l.Scanned {
					l.Silent = true
				}
			}
		}
		for _, o := range order {
			if test := b.Assessed(o, "pentest", now); test != nil {
				lines[o].Tested = test.Held
			}
		}
		for _, f := range b.Found() {
			if f.Body == nil || f.Body.Space != "thing" || lines[f.Body.Unit] == nil {
				continue
			}
			l := c.findingLine(f, now)
			if l.State == "closed" || l.State == "dropped" {
				continue
			}
			lines[f.Body.Unit].Open++
			if l.State == "overdue" || l.State == "expired" {
				lines[f.Body.Unit].Late++
			}
			p.Open = append(p.Open, l)
		}
		for _, o := range order {
			l := lines[o]
			l.Stale, l.Untested = l.Scanned < ago(31), l.Tested < ago(366)
			p.Servers = append(p.Servers, *l)
		}
	})
	weight := func(l ServerLine) int {
		n := 0
		for _, bad := range []bool{l.Late > 0, l.Stale || l.Silent, l.Untested} {
			n *= 2
			if bad {
				n++
			}
		}
		return n
	}
	slices.SortStableFunc(p.Servers, func(a, b ServerLine) int { return cmp.Or(weight(b)-weight(a), strings.Compare(a.Name, b.Name)) })
	slices.SortStableFunc(p.Open, func(a, b FindingLine) int {
		return cmp.Or(checkRank(a.State)-checkRank(b.State), gradeRank(a.Grade)-gradeRank(b.Grade), cmp.Compare(a.Due, b.Due))
	})
	p.Open = p.Open[:min(len(p.Open), maxListed)]
	slices.Reverse(p.Scans)
	p.Scans = p.Scans[:min(len(p.Scans), 50)]
	return p
}

func (c *Console) scans(v *visit) (page, error) {
	if err := c.checksReady(); err != nil {
		return nil, err
	}
	return c.scansPage(v), nil
}

// fixWithin is until when a weakness shall be put right, by its grade, unless
// somebody sets another day: a week, a month, a quarter, a year.
var fixWithin = map[string]time.Duration{"critical": 7 * 24 * time.Hour, "high": 30 * 24 * time.Hour, "medium": 90 * 24 * time.Hour, "low": 365 * 24 * time.Hour}

// readScan takes a scanner's output in. What it found becomes findings with a
// day, each once: what an earlier scan found and is open stays the same finding;
// what was closed and is found again is opened again. With dry nothing is
// written.
func (c *Console) readScan(v *visit, text []byte, dry bool) (Taken, error) {
	t := Taken{Dry: dry}
	if err := c.checksReady(); err != nil {
		return t, err
	}
	if !c.mayDecide(v.who) {
		return t, fail(http.StatusForbidden, "export_role")
	}
	s, err := duty.ReadScan(text)
	if err != nil {
		return t, &failure{status: http.StatusBadRequest, key: "scan", cause: err}
	}
	c.deciding.Lock()
	defer c.deciding.Unlock()
	if err := c.cfg.Views.WaitFor(v.r.Context(), c.cfg.Ledger.Last()); err != nil {
		return t, fmt.Errorf("taking a scan in: %w", err)
	}
	now := sekisho.At(c.cfg.Now())
	read := &sekisho.ScanRead{Tool: s.Tool, SHA256: sha256.Sum256(text), At: now, Results: uint64(len(s.Results)), By: v.who.staff}
	if !s.At.IsZero() {
		if read.At = sekisho.At(s.At); read.At > now {
			return t, fail(http.StatusBadRequest, "room_future")
		}
	}
	type known struct {
		ordinal, owner uint32
		name           string
	}
	byName := map[string]known{}
	var list []*sekisho.FindingRaised
	var again []*sekisho.ActionChanged
	refs := map[[32]byte]bool{}
	twice := false
	c.cfg.Views.Read(func() {
		for _, one := range c.cfg.Checks.Scans() {
			twice = twice || one.Body.SHA256 == read.SHA256 && one.Whole()
		}
		for _, one := range c.cfg.Checks.Things("server") {
			if one.Retired() {
				continue
			}
			l := c.thingLine(one, now)
			k := known{one.Ordinal, one.Body.Owner, l.Name}
			byName[strings.ToLower(l.Name)] = k
			for _, field := range []string{"address", "addresses", "hostname", "host"} {
				for _, a := range strings.FieldsFunc(l.Fields[field], func(r rune) bool { return r == ' ' || r == ',' }) {
					byName[strings.ToLower(a)] = k
				}
			}
		}
		for _, h := range s.Hosts {
			k, found := known{}, false
			for _, name := range h.Names {
				if k, found = byName[strings.ToLower(name)]; found {
					for _, alias := range h.Names {
						byName[strings.ToLower(alias)] = k
					}
					break
				}
			}
			switch {
			case !found && h.Up:
				read.Strange++
			case !found:
			case h.Up:
				read.Servers = append(read.Servers, k.ordinal)
			default:
				read.Silent = append(read.Silent, k.ordinal)
			}
		}
		for _, r := range s.Results {
			k, found := byName[strings.ToLower(r.Host)]
			ref := r.Ref(k.name)
			if !found || r.Grade == "remark" || refs[ref] {
				continue
			}
			refs[ref] = true
			if f := c.cfg.Checks.Known(ref); f != nil {
				if state := f.State(now); (state == "closed" || state == "done") && f.Done < read.At {
					again = append(again, &sekisho.ActionChanged{Finding: f.Number, Action: "reopened", At: read.At, By: v.who.staff})
				}
				continue
			}
			list = append(list, &sekisho.FindingRaised{Space: "thing", Unit: k.ordinal, Grade: r.Grade, Code: r.Code, Ref: ref, Owner: k.owner, Due: read.At + sekisho.Time(fixWithin[r.Grade].Microseconds()), By: v.who.staff,
				Title: c.cfg.Vault.Space("said").OfText([]byte(cmp.Or(strings.TrimSpace(r.Code+" "+r.Port+" "+r.Title), r.Code)))})
		}
	})
	if twice {
		return t, fail(http.StatusConflict, "scan_again")
	}
	slices.Sort(read.Servers)
	slices.Sort(read.Silent)
	read.Servers, read.Silent = slices.Compact(read.Servers), slices.Compact(read.Silent)
	// Whoever answered once was there.
	read.Silent = slices.DeleteFunc(read.Silent, func(o uint32) bool { return slices.Contains(read.Servers, o) })
	read.Fresh = uint64(len(list))
	t.Lines, t.Fresh, t.Silent, t.Strange = len(s.Results), len(list), len(read.Silent), int(read.Strange)
	if dry {
		return t, nil
	}
	if len(text) <= vault.MaxKey {
		read.Document = c.cfg.Vault.Space("document").OfText(text)
	}
	// The scan first: it proves nothing until all its findings stand behind it. A
	// crash in between leaves it so, and the same output can be taken in again.
	if t.Entry, err = c.enter(v, read); err != nil {
		return t, err
	}
	var bodies []sekisho.Body
	for _, f := range list {
		f.Check = t.Entry
		bodies = append(bodies, f)
	}
	for _, a := range again {
		bodies = append(bodies, a)
	}
	for from := 0; from < len(bodies); from += 500 {
		if _, err := c.cfg.Ledger.Append(v.r.Context(), bodies[from:min(from+500, len(bodies))]...); err != nil {
			return t, notRecorded(err)
		}
	}
	return t, c.cfg.Views.WaitFor(v.r.Context(), c.cfg.Ledger.Last())
}

// fileOf is the file of a page's form.
func fileOf(v *visit, most int64) ([]byte, error) {
	if err := v.r.ParseMultipartForm(most); err != nil {
		return nil, tooLarge(err)
	}
	f, _, err := v.r.FormFile("file")
	if err != nil {
		return nil, fail(http.StatusBadRequest, "file")
	}
	defer f.Close()
	text, err := io.ReadAll(f)
	return text, tooLarge(err)
}

const maxScanUpload = 32 << 20

func (c *Console) scanForm(v *visit) (page, error) {
	text, err := fileOf(v, maxScanUpload)
	if err != nil {
		return nil, err
	}
	if _, err := c.readScan(v, text, false); err != nil {
		return nil, err
	}
	if wantsJSON(v.r) {
		return c.scansPage(v), nil
	}
	http.Redirect(v.w, v.r, "/scans", http.StatusSeeOther)
	return nil, errDone
}

func (c *Console) controlScans(handle func(pattern string, limit int64, do func(v *visit) (any, error))) {
	handle("GET /api/scans", maxForm, func(v *visit) (any, error) { return c.scans(v) })
	handle("POST /api/scans", maxScanUpload, func(v *visit) (any, error) {
		text, err := readAll(v)
		if err != nil {
			return nil, err
		}
		return c.readScan(v, text, v.r.URL.Query().Get("dry_run") != "")
	})
	handle("GET /api/terminals", maxForm, func(v *visit) (any, error) { return c.terminals(v) })
	handle("POST /api/terminals", maxScanUpload, func(v *visit) (any, error) {
		text, err := readAll(v)
		if err != nil {
			return nil, err
		}
		return c.readPostures(v, cmp.Or(v.r.URL.Query().Get("source"), "mdm"), text, v.r.URL.Query().Get("dry_run") != "")
	})
	handle("POST /api/services", maxScanUpload, func(v *visit) (any, error) {
		text, err := readAll(v)
		if err != nil {
			return nil, err
		}
		return c.readNames(v, cmp.Or(v.r.URL.Query().Get("sensor"), "zeek"), text, v.r.URL.Query().Get("dry_run") != "")
	})
}
