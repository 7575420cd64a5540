package trace

import (
	"cmp"
	"fmt"
	"math"
	"math/bits"
	"net/netip"
	"slices"
	"strings"

	"sekisho"
	"sekisho/vault"
)

// Question asks for the four numbers of some endpoints.
type Question struct {
	Space       string         // whose data; empty if the ledger knows one space only
	Endpoints   []string       // held to be compromised
	Since       sekisho.Time   // inclusive
	Until       sekisho.Time   // exclusive
	Hostile     []netip.Prefix // destinations held to be hostile
	Compression float64        // the most that a packer is held to squeeze; 0 means 10
	// Confirmed comes from Files, those of the subject; or, without any, from every
	// file that was matched for Incident, or, without one (0), for any incident about
	// one of these endpoints in this window. Of two matches of one file the later
	// counts.
	Files    []*sekisho.FileMatched
	Incident uint64
	Lists    bool // fill Answer.Lists
	Evidence int  // how many entries to name for each number; 0 means 20
}

// Answer is the four numbers with their proof. Its JSON names are stable.
type Answer struct {
	Question Question `json:"-"`

	Space       string         `json:"space"` // whose data; empty for the total of several subjects
	Endpoints   []string       `json:"endpoints"`
	Since       string         `json:"since"`
	Until       string         `json:"until"`
	Hostile     []netip.Prefix `json:"hostile"`
	Compression float64        `json:"compression"`
	Through     uint64         `json:"through"` // every entry up to this sequence number was counted

	WorstCase  uint64 `json:"worst_case"`
	Suspected  uint64 `json:"suspected"`
	SentAtMost uint64 `json:"sent_at_most"`
	Confirmed  uint64 `json:"confirmed"`
	SentKnown  bool   `json:"sent_known"` // false: nothing bounds it but the worst case

	Numbers     Numbers `json:"numbers"`
	Observed    []Span  `json:"observed"`
	NotObserved []Note  `json:"not_observed"`

	Exports []ExportFound `json:"exports,omitempty"` // of a file: whose answers it is made of

	Subjects []*Answer `json:"subjects,omitempty"` // of a total: the answers that it is made of

	Lists Lists `json:"-"`

	sent struct { // what bounds SentAtMost, where it is known
		bytes uint64
		least uint32
	}
}

// Numbers is how each of the four came about.
type Numbers struct {
	WorstCase  Number `json:"worst_case"`
	Suspected  Number `json:"suspected"`
	SentAtMost Number `json:"sent_at_most"`
	Confirmed  Number `json:"confirmed"`
}

// Number is one of the four.
type Number struct {
	Value     uint64   `json:"value"`
	Formula   Formula  `json:"formula"`
	Evidence  Evidence `json:"evidence"`
	Breakdown []Part   `json:"breakdown,omitempty"`
}

// Evidence is the entries that a number stands on.
type Evidence struct {
	Entries uint64   `json:"entries"`
	First   string   `json:"first,omitempty"` // as gate.epoch.sequence
	Last    string   `json:"last,omitempty"`
	Some    []string `json:"some,omitempty"` // the first of them
}

// Part is how many of a number's customers share something. A customer can be
// in several parts. Customers whom only an any-row access may have reached are
// in none.
type Part struct {
	Kind      string `json:"kind"`            // "category", "label" or "date"
	Dimension string `json:"dimension"`       // "category", or the roster's name for it
	Value     string `json:"value,omitempty"` // a category, a label, or "valid" for a date not past at the end of the window
	Count     uint64 `json:"count"`
}

// Lists are the customers of a number, as ordinals, ascending.
type Lists struct {
	WorstCase, Suspected, Confirmed []uint32
}

// UnknownEndpoint says that no entry names this endpoint, so that no number
// can be given: 0 would be read as innocence.
type UnknownEndpoint struct {
	Name    string
	Nearest []string // terminals that were seen, the most similar first
}

func (e *UnknownEndpoint) Error() string {
	text := fmt.Sprintf("endpoint %q was never seen in this ledger; that is not to say that nothing was read there", e.Name)
	if len(e.Nearest) == 0 {
		return text + "; no terminal was ever seen"
	}
	return text + "; the nearest names are " + strings.Join(e.Nearest, ", ")
}

// Impact answers q. Without a roster (nil) the numbers are not broken down by
// its dimensions. The error is *UnknownEndpoint, or says what is wrong with
// the question.
func (t *Trace) Impact(q Question, roster *vault.Roster) (*Answer, error) {
	if err := t.settle(&q); err != nil {
		return nil, err
	}
	a := &Answer{
		Question: q, Space: q.Space, Endpoints: q.Endpoints, Since: q.Since.String(), Until: q.Until.String(),
		Hostile: q.Hostile, Compression: q.Compression, Through: t.last,
	}
	s := t.gather(q)
	confirmed, files := t.confirmed(q)
	c := t.count(q, s, roster, confirmed)

	a.worstCase(t, q, s, c)
	a.Suspected = c.suspected.customers
	a.Numbers.Suspected = Number{Value: a.Suspected, Evidence: t.evidence(q, s.suspected, s, true),
		Formula: formula("suspected", a.Suspected, term("customers", a.Suspected), term("accesses", s.suspected.count), term("alerts", uint64(s.alerts)))}
	a.Numbers.Suspected.Breakdown = c.suspected.parts
	a.sentAtMost(t, q, s)

	a.Confirmed = uint64(len(confirmed))
	var matched evidence
	var rows, damaged uint64
	for _, f := range files {
		matched.add(f.seq)
		rows += f.body.Rows
		damaged += f.body.Damaged
	}
	a.Numbers.Confirmed = Number{Value: a.Confirmed, Evidence: t.name(matched), Breakdown: c.confirmed.parts,
		Formula: formula("confirmed", a.Confirmed, term("customers", a.Confirmed), term("files", uint64(len(files))), term("rows", rows), term("damaged", damaged))}
	if len(files) == 0 {
		a.Numbers.Confirmed.Formula = formula("no_file", 0)
	}
	for _, f := range files {
		if f.seq != 0 && len(a.Numbers.Confirmed.Evidence.Some) < q.Evidence {
			a.Numbers.Confirmed.Evidence.Some = append(a.Numbers.Confirmed.Evidence.Some, t.id(f.seq).String())
		}
	}
	a.Observed = t.observed(q)
	a.NotObserved = t.notObserved(q, a, s, c, roster != nil)
	if q.Lists {
		a.Lists = Lists{WorstCase: c.worst.list, Suspected: c.suspected.list, Confirmed: confirmed}
	}
	return a, nil
}

// settle checks the question and fills in what it leaves open.
func (t *Trace) settle(q *Question) error {
	if q.Space == "" {
		switch known := t.Spaces(); len(known) {
		case 0:
		case 1:
			q.Space = known[0]
		default:
			return fmt.Errorf("asking for the four numbers: say whose data; this ledger knows %s", strings.Join(known, ", "))
		}
	} else if t.spaces[q.Space] == nil {
		return fmt.Errorf("asking for the four numbers: no customer of %q was ever seen; this ledger knows %s", q.Space, strings.Join(t.Spaces(), ", "))
	}
	if q.Until <= q.Since {
		return fmt.Errorf("asking for the four numbers: the window ends at %v, not after its start at %v", q.Until, q.Since)
	}
	if q.Compression == 0 {
		q.Compression = 10
	}
	if !(q.Compression >= 1 && q.Compression <= 10_000) {
		return fmt.Errorf("asking for the four numbers: a compression of %v to 1; use a number from 1 to 10000", q.Compression)
	}
	if q.Evidence == 0 {
		q.Evidence = 20
	}
	if len(q.Endpoints) == 0 {
		return fmt.Errorf("asking for the four numbers: name at least one endpoint")
	}
	q.Endpoints = slices.Clone(q.Endpoints)
	slices.Sort(q.Endpoints)
	q.Endpoints = slices.Compact(q.Endpoints)
	for _, name := range q.Endpoints {
		if t.endpoints[name] == nil || name == "" {
			return &UnknownEndpoint{name, Nearest(name, t.Terminals(), 3)}
		}
	}
	return nil
}

// worstCase adds to the named customers those whom any-row accesses may have
// reached. Of two accesses to the same tables the reach counts once; the whole
// is never more than the population, if that is known.
func (a *Answer) worstCase(t *Trace, q Question, s *scope, c *counts) {
	named, reach := c.worst.customers, s.reach(t)
	population := c.population
	if s.unknownReach {
		reach = max(reach, population)
	}
	a.WorstCase = named
	terms := []Term{term("customers", named), term("accesses", s.worst.count), term("unverified", s.unverified.count)}
	code := "worst_case"
	if s.anyRows > 0 {
		code = "worst_case_any_row"
		a.WorstCase = named + reach
		terms = append(terms, term("any_row", s.anyRows), term("reach", reach))
		if population > 0 && a.WorstCase > max(population, named) {
			code = "worst_case_population"
			a.WorstCase = max(population, named)
			terms = append(terms, term("population", population))
		}
	}
	a.Numbers.WorstCase = Number{Value: a.WorstCase, Formula: formula(code, a.WorstCase, terms...),
		Evidence: t.evidence(q, s.worst, s, false), Breakdown: c.worst.parts}
}

// sentAtMost divides what left by the least that a record takes.
func (a *Answer) sentAtMost(t *Trace, q Question, s *scope) {
	n := &a.Numbers.SentAtMost
	n.Evidence = t.name(s.hostile)
	for _, seq := range s.hostileSeqs {
		n.Evidence.Some = append(n.Evidence.Some, t.id(seq).String())
	}
	unknown := ""
	switch {
	case len(q.Hostile) == 0:
		unknown = "sent_no_hostile"
	case s.egressRecords == 0:
		unknown = "sent_no_egress"
	case s.least == 0 && s.hostileBytes > 0:
		unknown = "sent_no_least"
	}
	if unknown != "" {
		a.SentAtMost = a.WorstCase
		n.Value, n.Formula = a.SentAtMost, formula(unknown, a.SentAtMost, term("worst_case", a.WorstCase))
		return
	}
	a.SentKnown, a.sent.bytes, a.sent.least = true, s.hostileBytes, s.least
	hundredths := uint64(math.Ceil(q.Compression * 100))
	bound := uint64(0)
	if s.hostileBytes > 0 {
		hi, lo := bits.Mul64(s.hostileBytes, hundredths)
		if d := uint64(s.least) * 100; hi < d {
			bound, _ = bits.Div64(hi, lo, d)
		} else {
			bound = math.MaxUint64
		}
	}
	a.SentAtMost = min(bound, a.WorstCase)
	code := "sent_at_most"
	if bound > a.WorstCase {
		code = "sent_worst_case"
	}
	n.Value = a.SentAtMost
	n.Formula = formula(code, a.SentAtMost, term("bytes", s.hostileBytes), Term{"compression", q.Compression},
		term("least", uint64(s.least)), term("bound", bound), term("worst_case", a.WorstCase), term("connections", s.hostile.count))
}

// confirmed gives the customers found in files, ascending, and the files.
func (t *Trace) confirmed(q Question) ([]uint32, []file) {
	var files []file
	switch {
	case len(q.Files) > 0:
		for _, named := range q.Files {
			if named.Space != q.Space {
				continue
			}
			seq := uint64(0)
			for _, f := range t.files {
				if f.body == named || f.body.SHA256 == named.SHA256 && f.body.Incident == named.Incident && f.body.Space == named.Space {
					seq = f.seq
				}
			}
			files = append(files, file{seq, named})
		}
	default:
		for _, f := range t.files {
			if f.body.Space != q.Space || !t.about(f.body.Incident, q) {
				continue
			}
			files = slices.DeleteFunc(files, func(g file) bool { return g.body.SHA256 == f.body.SHA256 })
			files = append(files, f)
		}
	}
	var all []uint32
	for _, f := range files {
		all = append(all, f.body.Subjects...)
	}
	slices.Sort(all)
	return slices.Compact(all), files
}

// filesElsewhere is how many files were matched that do not answer a question
// that names no file and no incident.
func (t *Trace) filesElsewhere(q Question) uint64 {
	if len(q.Files) > 0 || q.Incident != 0 {
		return 0
	}
	counted := map[[32]byte]bool{}
	for _, f := range t.files {
		if f.body.Space == q.Space {
			counted[f.body.SHA256] = counted[f.body.SHA256] || t.about(f.body.Incident, q)
		}
	}
	n := uint64(0)
	for _, here := range counted {
		if !here {
			n++
		}
	}
	return n
}

// about says whether a file that was matched for an incident answers q.
func (t *Trace) about(incident uint64, q Question) bool {
	if incident == 0 || q.Incident != 0 {
		return incident != 0 && incident == q.Incident
	}
	i := t.incidents[incident]
	return i != nil && i.Since < q.Until && q.Since < i.Until &&
		slices.ContainsFunc(i.Endpoints, func(name string) bool { return slices.Contains(q.Endpoints, name) })
}

// Nearest gives up to n of the names, the most like name first, whatever their
// capitals are. Nobody mistypes a name of hundreds of letters, and to compare those
// takes long.
func Nearest(name string, names []string, n int) []string {
	const longest = 200
	if len(name) > longest {
		return nil
	}
	name = strings.ToLower(name)
	var list []string
	distance := make(map[string]int, len(names))
	for _, s := range names {
		if len(s) > longest {
			continue
		}
		lower := strings.ToLower(s)
		if distance[s] = EditDistance(name, lower); exchanged(name, lower) {
			distance[s] = 0 // the same keys were pressed: pc-0471 is pc-0417 before it is pc-0421
		}
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b string) int { return cmp.Or(cmp.Compare(distance[a], distance[b]), cmp.Compare(a, b)) })
	return list[:min(n, len(list))]
}

// exchanged says whether a is b but for two neighbours that have changed places.
func exchanged(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	i := 0
	for i < len(a) && a[i] == b[i] {
		i++
	}
	return i+1 < len(a) && a[i] == b[i+1] && a[i+1] == b[i] && a[i+2:] == b[i+2:]
}

// EditDistance is Levenshtein's: how many bytes must be changed, added or left
// out.
func EditDistance(a, b string) int {
	prev := make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := range len(a) {
		diagonal := prev[0]
		prev[0] = i + 1
		for j := range len(b) {
			d := diagonal
			if a[i] != b[j] {
				d++
			}
			diagonal = prev[j+1]
			prev[j+1] = min(d, prev[j]+1, diagonal+1)
		}
	}
	return prev[len(b)]
}

// An ExportFound is an approved export whose own decoys stand in a recovered file,
// and who took it. Whoever asks fills it in: the index knows of no file's text.
type ExportFound struct {
	Request   uint64 `json:"request"`
	Principal string `json:"principal,omitempty"`
	Endpoint  string `json:"endpoint,omitempty"`
	At        string `json:"at,omitempty"` // RFC 3339
}
