package trace

import (
	"cmp"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"sekisho"
)

// scope is what a question takes in, before customers are counted.
type scope struct {
	rangeBits  uint // how its rows were cut
	jobs       []*job
	worst      evidence // all accesses counted
	suspected  evidence
	unverified evidence // those of them whose endpoint is unknown
	least      uint32   // the smallest above 0 of those accesses; 0 if there is none
	alerts     int      // that judge accesses here

	anyRows      uint64
	anyRow       []*anyRow
	unknownReach bool // an any-row access that does not say how many it could reach

	egressRecords  uint64 // of the asked endpoints in the window
	silent         []string
	hostile        evidence
	hostileSeqs    []uint64
	hostileBytes   uint64
	partial        uint64 // records of the window that are lower bounds
	partialHostile uint64
	unnamed        uint64 // hostile connections of a source that has no name
	unnamedBytes   uint64
}

// job is one page that takes part. Either its set does, each slot with its
// value, or its rows do, which were laid into ranges.
type job struct {
	page       *page
	asked      bool // else it is of an unknown endpoint
	judged     *judge
	values     []verdict // by slot; nil if the rows were read
	ranges     map[uint32][]valued
	worst      evidence
	suspected  evidence
	unverified evidence
	least      uint32
}

// verdict says what a slot or row counts for.
type verdict struct {
	categories sekisho.Categories
	suspected  bool
}

// valued is an extent of a row, cut at the bounds of ranges.
type valued struct {
	extent
	verdict
}

// judge knows which accesses of an endpoint are judged extraction.
type judge struct {
	spans map[uint32][]span // by principal; 0 judges everybody
}

type span struct{ from, to sekisho.Time }

// judges tells whether an alert judges what was read here. An egress alert
// judges what was sent: everything that the endpoint did before would else be
// called extraction. What passed the gate by is in no access.
func judges(a *sekisho.Alert) bool {
	switch a.Detector {
	case "egress", "outside", "decoy_mail":
		return false
	}
	return !reported(a)
}

// reported says whether an alert rests on what another machine reported, and
// on no access.
func reported(a *sekisho.Alert) bool {
	switch a.Detector {
	case "lure", "opened", "contact", "half_blocked", "finding", "file_birth", "large_file", "disk_full", "no_boot":
		return true
	}
	return false
}

func (t *Trace) judgeOf(q Question, endpoint string) (*judge, int) {
	j := &judge{spans: map[uint32][]span{}}
	n := 0
	for _, a := range t.alerts {
		b := a.body
		if !judges(b) || b.Endpoint != endpoint || b.Until <= q.Since || b.From >= q.Until || b.Until <= b.From {
			continue
		}
		n++
		j.spans[b.Principal] = append(j.spans[b.Principal], span{b.From, b.Until})
	}
	for p, list := range j.spans {
		j.spans[p] = mergeSpans(list)
	}
	return j, n
}

// mergeSpans sorts spans in place and joins those that touch or overlap.
func mergeSpans(list []span) []span {
	if len(list) == 0 {
		return nil
	}
	slices.SortFunc(list, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	out := list[:1]
	for _, s := range list[1:] {
		if l := &out[len(out)-1]; s.from <= l.to {
			l.to = max(l.to, s.to)
		} else {
			out = append(out, s)
		}
	}
	return out
}

// covers tells whether all of [first, last] is judged, and whether any is. One
// span covers all of it or the answer is no: asking row by row is then right.
func (j *judge) covers(principal uint32, first, last sekisho.Time) (all, any bool) {
	if j == nil || len(j.spans) == 0 {
		return false, false
	}
	for _, p := range [2]uint32{0, principal} {
		list := j.spans[p]
		i, _ := slices.BinarySearchFunc(list, first, func(s span, at sekisho.Time) int {
			if s.to <= at {
				return -1
			}
			return 1
		})
		if i < len(list) && list[i].from <= last {
			any = true
			all = all || list[i].from <= first && last < list[i].to
		}
		if principal == 0 {
			break
		}
	}
	return all, any
}

// gather finds the pages, connections and any-row accesses in question.
func (t *Trace) gather(q Question) *scope {
	s := &scope{rangeBits: rangeBitsFor(t.known(q.Space).assigned)}
	isAsked := func(end *terminal) bool {
		_, asked := slices.BinarySearch(q.Endpoints, end.name)
		return asked
	}
	take := func(list []*page, asked bool, judge func(*page) *judge) {
		for _, p := range list {
			if p.space == q.Space && !p.writes && p.first < q.Until && p.last >= q.Since {
				s.jobs = append(s.jobs, &job{page: p, asked: asked, judged: judge(p)})
			}
		}
	}
	takeAny := func(a *anyRow) {
		if !a.gone && a.at >= q.Since && a.at < q.Until && t.shapes[a.shape].body.Space == q.Space {
			s.anyRows++
			s.anyRow = append(s.anyRow, a)
			s.unknownReach = s.unknownReach || a.reach == 0
		}
	}
	others := map[*terminal]*judge{} // of terminals behind a program that was asked about
	for _, name := range t.names {
		end := t.endpoints[name]
		asked := isAsked(end)
		if !asked && !end.unknown {
			continue
		}
		var j *judge
		if asked {
			var n int
			j, n = t.judgeOf(q, name)
			s.alerts += n
		}
		take(end.pages, asked, func(*page) *judge { return j })
		for i := range end.anyRow {
			takeAny(&end.anyRow[i])
		}
		// And what was done through it, for terminals that were not asked about. Of
		// a program whose own endpoint is unknown nobody knows who stated them.
		passed := slices.DeleteFunc(slices.Clone(end.passed), func(p *page) bool { return isAsked(p.end) })
		take(passed, asked, func(p *page) *judge {
			if !asked {
				return nil
			}
			o, ok := others[p.end]
			if !ok {
				var n int
				o, n = t.judgeOf(q, p.end.name)
				others[p.end] = o
				s.alerts += n
			}
			return o
		})
		for _, at := range end.passedAny {
			if !isAsked(at.end) {
				takeAny(&at.end.anyRow[at.n])
			}
		}
		if asked {
			before := s.egressRecords
			s.connections(q, end.egress)
			if s.egressRecords == before {
				s.silent = append(s.silent, name)
			}
		}
	}
	// Behind a program that does not say at which terminal may be any of them.
	counted := func(end *terminal) bool { return isAsked(end) || end.unknown }
	take(slices.DeleteFunc(slices.Clone(t.lost), func(p *page) bool { return counted(p.end) }), false, func(*page) *judge { return nil })
	for _, at := range t.lostAny {
		if !counted(at.end) {
			takeAny(&at.end.anyRow[at.n])
		}
	}
	// What a nameless source sent may have come from any of them.
	known, bytes, records := s.egressRecords, s.hostileBytes, s.hostile.count
	s.connections(q, t.unnamed)
	s.egressRecords = known
	s.unnamed, s.unnamedBytes = s.hostile.count-records, s.hostileBytes-bytes
	slices.Sort(s.hostileSeqs)
	s.hostileSeqs = s.hostileSeqs[:min(len(s.hostileSeqs), q.Evidence)]

	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(s.jobs)) {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(s.jobs) {
					return
				}
				s.jobs[i].prepare(t, q, s.rangeBits)
			}
		})
	}
	wg.Wait()
	for _, j := range s.jobs {
		s.worst.merge(j.worst)
		s.suspected.merge(j.suspected)
		s.unverified.merge(j.unverified)
		if j.least > 0 && (s.least == 0 || j.least < s.least) {
			s.least = j.least
		}
	}
	return s
}

func (s *scope) connections(q Question, list []egress) {
	for i := range list {
		g := &list[i]
		if g.start >= q.Until || max(g.start, g.end) < q.Since {
			continue
		}
		s.egressRecords++
		if g.partial {
			s.partial++
		}
		if !within(q.Hostile, g.target) {
			continue
		}
		s.hostile.add(g.seq)
		s.hostileSeqs = append(s.hostileSeqs, g.seq)
		if s.hostileBytes += g.out; s.hostileBytes < g.out {
			s.hostileBytes = 1<<64 - 1
		}
		if g.partial {
			s.partialHostile++
		}
	}
}

func within(list []netip.Prefix, a netip.Addr) bool {
	for _, p := range list {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// prepare decides what of the page counts, and reads its rows where its set is
// too coarse: where the window or a judgement cuts a slot, or on the day that
// is still being written.
func (j *job) prepare(t *Trace, q Question, rangeBits uint) {
	p := j.page
	if p.set != nil && p.first >= q.Since && p.last < q.Until && j.bySlot() {
		return
	}
	j.worst, j.suspected, j.unverified, j.least = evidence{}, evidence{}, evidence{}, 0
	j.values, j.ranges = nil, map[uint32][]valued{}
	p.each(func(r *row, customers []extent) bool {
		if r.at < q.Since {
			return true
		}
		if r.at >= q.Until {
			return false
		}
		v := verdict{categories: t.shapes[r.shape].body.Categories}
		v.suspected, _ = j.judged.covers(t.sessions[r.session].body.Principal, r.at, r.at)
		j.count(evidence{1, r.seq, r.seq}, r.least, v.suspected)
		for _, e := range customers {
			j.lay(e, v, rangeBits)
		}
		return true
	})
}

func (j *job) bySlot() bool {
	slots := j.page.set.slots
	j.values = make([]verdict, len(slots))
	for i := range slots {
		s := &slots[i]
		all, any := j.judged.covers(s.principal, s.first, s.last)
		if any && !all {
			return false
		}
		j.values[i] = verdict{s.categories, all}
		j.count(s.evidence, s.least, all)
	}
	return true
}

func (j *job) count(e evidence, least uint32, suspected bool) {
	j.worst.merge(e)
	if suspected {
		j.suspected.merge(e)
	}
	if !j.asked && !j.page.lost {
		j.unverified.merge(e)
	}
	if least > 0 && (j.least == 0 || least < j.least) {
		j.least = least
	}
}

func (j *job) lay(e extent, v verdict, rangeBits uint) {
	for e.n > 0 {
		r := e.start >> rangeBits
		n := uint32(min(uint64(e.n), uint64(r+1)<<rangeBits-uint64(e.start)))
		j.ranges[r] = append(j.ranges[r], valued{extent{e.start, n}, v})
		e.start, e.n = e.start+n, e.n-n
	}
}

// reach adds up, table set by table set, how many customers the any-row
// accesses could have read. Tables that are part of a larger set were reached
// with it.
func (s *scope) reach(t *Trace) uint64 {
	type set struct {
		tables []string
		reach  uint64
	}
	var sets []set
next:
	for _, a := range s.anyRow {
		tables := t.shapes[a.shape].body.Tables
		for i := range sets {
			if slices.Equal(sets[i].tables, tables) {
				sets[i].reach = max(sets[i].reach, a.reach)
				continue next
			}
		}
		sets = append(sets, set{tables, a.reach})
	}
	slices.SortStableFunc(sets, func(a, b set) int {
		return cmp.Or(cmp.Compare(len(b.tables), len(a.tables)), cmp.Compare(strings.Join(a.tables, ","), strings.Join(b.tables, ",")))
	})
	var sum uint64
	for i := range sets {
		inLarger := -1
		for k := range i {
			if !slices.ContainsFunc(sets[i].tables, func(n string) bool { return !slices.Contains(sets[k].tables, n) }) {
				inLarger = k
				break
			}
		}
		if inLarger < 0 {
			sum += sets[i].reach
		} else if more := sets[i].reach; more > sets[inLarger].reach {
			sum += more - sets[inLarger].reach
			sets[inLarger].reach = more
		}
	}
	return sum
}

// evidence names a number's entries, and the first few of them by reading the
// rows of its earliest pages.
func (t *Trace) evidence(q Question, e evidence, s *scope, suspected bool) Evidence {
	out := t.name(e)
	if e.count == 0 {
		return out
	}
	var jobs []*job
	first := func(j *job) uint64 {
		if suspected {
			return j.suspected.first
		}
		return j.worst.first
	}
	for _, j := range s.jobs {
		if first(j) != 0 {
			jobs = append(jobs, j)
		}
	}
	slices.SortFunc(jobs, func(a, b *job) int { return cmp.Compare(first(a), first(b)) })
	var seqs []uint64
	for _, j := range jobs {
		if len(seqs) >= q.Evidence && first(j) > seqs[q.Evidence-1] {
			break
		}
		n := 0
		j.page.each(func(r *row, _ []extent) bool {
			if r.at < q.Since {
				return true
			}
			if r.at >= q.Until {
				return false
			}
			if suspected {
				if all, _ := j.judged.covers(t.sessions[r.session].body.Principal, r.at, r.at); !all {
					return true
				}
			}
			seqs = append(seqs, r.seq)
			n++
			return n < q.Evidence
		})
		slices.Sort(seqs)
	}
	for _, seq := range seqs[:min(len(seqs), q.Evidence)] {
		out.Some = append(out.Some, t.id(seq).String())
	}
	return out
}

func (t *Trace) name(e evidence) Evidence {
	out := Evidence{Entries: e.count}
	if e.count > 0 {
		out.First, out.Last = t.id(e.first).String(), t.id(e.last).String()
	}
	return out
}
