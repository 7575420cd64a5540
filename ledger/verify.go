package ledger

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sekisho"
	"sekisho/disk"
)

// A Report is what Verify found.
type Report struct {
	Segments int // that hold entries
	Groups   uint64
	Entries  uint64 // that are there and undamaged
	Epochs   uint64
	Gates    []uint32
	First    sekisho.ID
	Last     sekisho.ID
	From     sekisho.Time // of the first entry
	Until    sekisho.Time // of the last
	Chain    [32]byte     // the last chain hash: it stands for the whole ledger
	Torn     int64        // bytes of a torn write at the end, never acknowledged; the next Open cuts them
	Problems []Problem    // in the order of the file; at most 1,000
	More     int          // problems beyond those
	Notes    []Problem    // what is worth knowing and is no damage; at most 1,000
}

// OK says that nothing is wrong.
func (r *Report) OK() bool { return len(r.Problems) == 0 }

// What is wrong with an entry, a group or a segment.
const (
	Damaged   = "damaged"   // the bytes are not those that were written: a flipped bit
	Missing   = "missing"   // entries Entry to Through are not there
	Reordered = "reordered" // the entry is there in the wrong place, or twice
	Rewritten = "rewritten" // the chain hash does not fit the bytes: somebody wrote them again
	Backwards = "backwards" // its time is before that of the entry before it
	Unknown   = "unknown"   // a note: a kind that a newer sekisho wrote
)

// A Problem names one thing that is wrong, and where.
type Problem struct {
	What    string
	Entry   sekisho.ID // the first entry concerned; its epoch is that of the entry before if it cannot be read
	Through uint64     // the sequence number of the last entry concerned
	Segment string     // file name
	Offset  int64      // in the file
	Detail  string
}

func (p Problem) String() string {
	what := fmt.Sprintf("entry %v", p.Entry)
	if p.Through > p.Entry.Seq {
		what = fmt.Sprintf("entries %v to %d", p.Entry, p.Through)
	}
	return fmt.Sprintf("%s, byte %d: %s %s: %s", p.Segment, p.Offset, what, p.What, strings.TrimPrefix(p.Detail, fmt.Sprint(p.What)+": "))
}

const maxProblems = 1000

// Verify reads everything in dir, somebody may be writing to it, and checks
// every checksum, sequence number, time and link of the chain. After a problem
// it goes on where it can. progress, if not nil, is told the bytes looked at
// and their total. An error says that a file could not be read; a torn write
// at the end is neither error nor problem.
//
// Whoever can write the files and cuts the ledger short after some group, or
// hashes the chain again from there down to the last, is not found here but by
// comparing Report.Chain with one kept elsewhere.
func Verify(fsys disk.FS, dir string, progress func(done, total int64)) (Report, error) {
	v := verifier{fs: fsys, dir: dir, progress: progress, next: 1}
	if err := v.run(); err != nil {
		return v.Report, fmt.Errorf("verifying the ledger in %s: %w", dir, err)
	}
	return v.Report, nil
}

type verifier struct {
	Report
	fs       disk.FS
	dir      string
	progress func(done, total int64)
	before   int64 // bytes of the segments before this one
	total    int64

	name string // of the segment being read
	last bool   // no later segment was begun
	w    window

	next  uint64 // the entry expected next
	links []hash // the chain hashes that the next group may name; nil: any
	seen  sekisho.Entry
}

func (v *verifier) problem(p Problem) {
	p.Segment = v.name
	if p.Entry.Gate == 0 {
		p.Entry.Gate = v.seen.ID.Gate
	}
	if p.Entry.Epoch == 0 {
		p.Entry.Epoch = v.seen.ID.Epoch
	}
	p.Through = max(p.Through, p.Entry.Seq)
	switch list := &v.Problems; {
	case p.What == Unknown:
		if len(v.Notes) < maxProblems {
			v.Notes = append(v.Notes, p)
		}
	case len(*list) >= maxProblems:
		v.More++
	default:
		*list = append(*list, p)
	}
}

func (v *verifier) run() error {
	names, err := v.fs.List(v.dir)
	if err != nil {
		return err
	}
	var segments []int
	sizes := map[int]int64{}
	last := 0 // the last segment that holds anything
	for _, name := range names {
		n, ok := segmentNumber(name)
		if !ok {
			continue
		}
		f, err := v.fs.OpenFile(filepath.Join(v.dir, name), os.O_RDONLY, 0)
		if err != nil {
			return err
		}
		size, err := f.Size()
		var used int64
		if err == nil {
			used, err = firstUsed(f, size)
		}
		if err = errors.Join(err, f.Close()); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		segments = append(segments, n)
		sizes[n] = size
		v.total += size
		if used < size {
			last = n
		}
	}
	expected := 1
	for _, n := range segments {
		if n > expected {
			// Which entries it held shows at the next segment's first.
			v.name = segmentName(expected)
			if n > last {
				v.problem(Problem{What: Missing, Entry: sekisho.ID{Seq: v.next}, Detail: fmt.Sprintf("the segments before %s are not there", segmentName(n))})
			}
		}
		expected = n + 1
		v.name, v.last = segmentName(n), n >= last
		if n <= last {
			if err := v.segment(n, sizes[n], n == 1); err != nil {
				return fmt.Errorf("%s: %w", v.name, err)
			}
		}
		v.before += sizes[n]
		v.tell(0)
	}
	return nil
}

func (v *verifier) tell(off int64) {
	if v.progress != nil {
		v.progress(v.before+off, v.total)
	}
}

// firstUsed is the offset of the first piece that is not zeros, or size.
func firstUsed(f disk.File, size int64) (int64, error) {
	buf := make([]byte, 64<<10)
	for at := int64(0); at < size; {
		n, err := f.ReadAt(buf, at)
		if err != nil && err != io.EOF {
			return 0, err
		}
		if !allZero(buf[:n]) {
			return at, nil
		}
		if n == 0 {
			break
		}
		at += int64(n)
	}
	return size, nil
}

func (v *verifier) segment(n int, size int64, first bool) error {
	f, err := v.fs.OpenFile(filepath.Join(v.dir, v.name), os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	v.w = window{file: f, size: size}
	b, err := v.w.bytes(0, segmentHeader)
	if err != nil {
		return err
	}
	head, bad := parseSegmentHead(b)
	if bad != nil {
		if v.last {
			if torn, err := v.torn(0, size); torn || err != nil {
				return err
			}
		}
		v.problem(Problem{What: Damaged, Entry: sekisho.ID{Seq: v.next}, Detail: "the segment's header: " + bad.Error()})
	} else {
		if first && v.links == nil {
			v.links = []hash{{}}
		}
		ok := true
		if head.first != v.next {
			ok = false
			v.gap(head.first, 0)
		}
		if ok && v.links != nil && !slices.Contains(v.links, head.prev) {
			v.problem(Problem{What: Rewritten, Entry: sekisho.ID{Seq: v.next},
				Detail: "the segment does not continue the chain: what stands before it was removed or written again"})
		}
		v.links = []hash{head.prev}
	}
	v.Segments++
	off := int64(segmentHeader)
	for told := off; ; {
		next, more, err := v.group(off, size)
		if err != nil || !more {
			return err
		}
		off = next
		if off-told > 4<<20 {
			told = off
			v.tell(off)
		}
	}
}

// gap says that the entry found is not the one expected, and goes on from it.
func (v *verifier) gap(found uint64, off int64) {
	if found > v.next {
		v.problem(Problem{What: Missing, Entry: sekisho.ID{Seq: v.next}, Through: found - 1, Offset: off,
			Detail: fmt.Sprintf("entry %d follows", found)})
	} else {
		v.problem(Problem{What: Reordered, Entry: sekisho.ID{Seq: found}, Offset: off,
			Detail: fmt.Sprintf("entry %d was expected", v.next)})
	}
	v.next = found
	v.links = nil
}

// torn says whether what stands from off on is the torn end of the ledger. It
// looks again at the group at off, which somebody may have been writing.
func (v *verifier) torn(off, size int64) (bool, error) {
	rest, err := inspect(v.w.file, off, size, v.next)
	if err != nil || rest.damaged != nil {
		return false, err
	}
	v.Torn += rest.dirty
	return true, nil
}

// group checks the group at off and says where the next one begins.
func (v *verifier) group(off, size int64) (next int64, more bool, err error) {
	head, group, bad := v.w.group(off)
	known := errors.Is(bad, errUnused) || errors.Is(bad, errDamaged) || errors.Is(bad, errTooShort)
	if bad != nil && !known {
		return 0, false, bad
	}
	if bad == nil && v.last && whole(head, group) != nil || bad != nil {
		// Look again without the window: it may have been half written.
		v.w.buf = nil
		head, group, bad = v.w.group(off)
		if bad != nil || v.last && whole(head, group) != nil {
			if v.last {
				if torn, err := v.torn(off, size); torn || err != nil {
					return 0, false, err
				}
				v.w.buf = nil
				head, group, bad = v.w.group(off)
			} else if end, err := lastUsed(v.w.file, off, size); err != nil || end == off {
				return 0, false, err
			}
		}
	}
	v.Groups++
	if bad != nil {
		return v.beyond(off, size, bad)
	}

	if head.first != v.next {
		v.gap(head.first, off)
	} else if v.links != nil && !slices.Contains(v.links, head.prev) {
		v.problem(Problem{What: Rewritten, Entry: sekisho.ID{Seq: head.first}, Offset: off,
			Detail: "the group does not continue the chain: what stands before it was removed or written again"})
	}
	problems := len(v.Problems) + v.More
	v.entries(entriesOf(group), off+groupHeader, head.first, uint64(head.count))
	chain := hash(sha256.Sum256(group[:len(group)-trailer]))
	stated := chainOf(group)
	if chain != stated && len(v.Problems)+v.More == problems {
		v.problem(Problem{What: Rewritten, Entry: sekisho.ID{Seq: head.first}, Through: head.first + uint64(head.count) - 1,
			Offset: off + head.size() - trailer, Detail: "the chain hash after the group does not fit it"})
	}
	v.links = []hash{stated, chain}
	v.Chain = stated
	return off + head.size(), true, nil
}

// A found entry stands somewhere in a group. why is nil if its checksum
// matches; then b is its bytes and e their head. Else b is what stands there.
type found struct {
	at  int64
	b   []byte
	e   sekisho.Entry
	why error
}

// entries checks what stands between a group's header and its chain hash. off
// is where b begins in the file; first and count are what the header states.
func (v *verifier) entries(b []byte, off int64, first, count uint64) {
	var list []found
	for at := 0; at < len(b); {
		f := found{at: off + int64(at)}
		var rest []byte
		if f.b, rest, f.why = nextEntry(b[at:]); f.why == nil {
			f.e, _, _ = peek(f.b)
			at = len(b) - len(rest)
		} else {
			f.b = b[min(at+entryHeader, len(b)):]
			at = resync(b, at+1, first)
		}
		list = append(list, f)
	}
	v.order(list, first, min(count, uint64(len(b)/entryHeader))) // a count may lie
	for _, f := range list {
		if f.why == nil {
			v.entry(f)
		}
	}
}

// resync is where in b, from i on, the next sound entry with a number of at
// least first begins; len(b) if nowhere.
func resync(b []byte, i int, first uint64) int {
	for ; i+entryHeader < len(b); i++ {
		// The cheap look first: a checksum at every byte of a large group would
		// take for ever.
		if e, _, ok := peek(b[i+entryHeader:]); !ok || e.ID.Seq < first || e.ID.Seq-first > uint64(len(b)) {
			continue
		}
		if _, _, err := nextEntry(b[i:]); err == nil {
			return i
		}
	}
	return len(b)
}

// order compares the sequence numbers in a group with their places, and says
// which entries are damaged, missing, or in the wrong place.
func (v *verifier) order(list []found, first, count uint64) {
	next := first + count
	there := map[uint64]bool{}
	var epoch uint64 // of the group: it lies within one
	var sorted []uint64
	for _, f := range list {
		if f.why == nil {
			there[f.e.ID.Seq] = true
			sorted = append(sorted, f.e.ID.Seq)
			epoch = f.e.ID.Epoch
			if f.e.ID.Seq-first < uint64(len(list))+count { // else the number is no guide
				next = max(next, f.e.ID.Seq+1)
			}
		}
	}
	slices.Sort(sorted)
	var absent []uint64
	for seq := first; seq < next; seq++ {
		if !there[seq] {
			absent = append(absent, seq)
		}
	}

	// A damaged entry is the one after its neighbour, or else the first that is
	// nowhere.
	due := first
	for _, f := range list {
		if f.why == nil {
			due = f.e.ID.Seq + 1
			continue
		}
		i := max(slices.Index(absent, due), 0)
		if len(absent) > 0 {
			due = absent[i]
			absent = slices.Delete(absent, i, i+1)
		}
		id := sekisho.ID{Epoch: epoch, Seq: due}
		if e, kind, ok := peek(f.b); ok && epoch == 0 && kind == sekisho.KindLedgerOpened && e.ID.Seq == due && e.ID.Epoch == v.seen.ID.Epoch+1 {
			id = e.ID // alone in its group, and it says that an epoch begins
		}
		v.problem(Problem{What: Damaged, Entry: id, Offset: f.at, Detail: f.why.Error()})
		due++
	}
	for len(absent) > 0 {
		run := 1
		for run < len(absent) && absent[run] == absent[0]+uint64(run) {
			run++
		}
		p := Problem{What: Missing, Entry: sekisho.ID{Epoch: epoch, Seq: absent[0]}, Through: absent[run-1], Detail: "its group does not hold it"}
		for _, f := range list { // where it should have stood
			if p.Offset = f.at; f.why == nil && f.e.ID.Seq > absent[0] {
				break
			}
		}
		v.problem(p)
		absent = absent[run:]
	}
	i := 0
	for _, f := range list {
		if f.why != nil {
			continue
		}
		if f.e.ID.Seq != sorted[i] || i > 0 && sorted[i] == sorted[i-1] {
			v.problem(Problem{What: Reordered, Entry: f.e.ID, Offset: f.at, Detail: fmt.Sprintf("entry %d belongs there", sorted[i])})
		}
		i++
	}
	v.next = next
}

// entry checks one entry whose checksum matches, against the one before it.
func (v *verifier) entry(f found) {
	e, err := sekisho.Decode(f.b)
	if errors.Is(err, sekisho.ErrUnknownKind) {
		v.problem(Problem{What: Unknown, Entry: f.e.ID, Offset: f.at, Detail: err.Error()})
	} else if err != nil {
		v.problem(Problem{What: Rewritten, Entry: f.e.ID, Offset: f.at, Detail: "no sekisho wrote this: " + err.Error()})
		return
	}
	v.Entries++
	if v.Entries == 1 {
		v.First, v.From = e.ID, e.Time
	} else if e.Time < v.seen.Time {
		v.problem(Problem{What: Backwards, Entry: e.ID, Offset: f.at, Detail: fmt.Sprintf("%v, after %v in entry %v", e.Time, v.seen.Time, v.seen.ID)})
	}
	if !slices.Contains(v.Gates, e.ID.Gate) {
		v.Gates = append(v.Gates, e.ID.Gate)
	}
	if e.ID.Epoch != v.seen.ID.Epoch {
		v.Epochs++
		if _, opened := e.Body.(*sekisho.LedgerOpened); !opened || e.ID.Epoch < v.seen.ID.Epoch {
			if v.seen.ID.Seq+1 == e.ID.Seq {
				v.problem(Problem{What: Rewritten, Entry: e.ID, Offset: f.at, Detail: fmt.Sprintf("its epoch does not follow epoch %d", v.seen.ID.Epoch)})
			}
		}
	}
	if e.ID.Seq >= v.Last.Seq {
		v.Last, v.Until = e.ID, e.Time
	}
	v.seen = e
}

// beyond checks a group whose header cannot be believed: its entries stand for
// themselves, and it ends where the next one begins.
func (v *verifier) beyond(off, size int64, bad error) (next int64, more bool, err error) {
	end, err := lastUsed(v.w.file, off, size)
	if err != nil {
		return 0, false, err
	}
	b := make([]byte, end-off)
	if _, err := v.w.file.ReadAt(b, off); err != nil && err != io.EOF {
		return 0, false, fmt.Errorf("reading at %d: %w", off, err)
	}
	var head groupHead
	after := -1
	for i := 1; after < 0; i++ {
		if i = nextMagic(b, i); i < 0 {
			break
		}
		if h, err := parseGroupHead(b[i:]); err == nil && h.first > v.next {
			after, head = i, h
		}
	}
	body := b[min(groupHeader, len(b)):]
	if after >= 0 {
		body = b[min(groupHeader, after):max(min(groupHeader, after), after-trailer)]
	} else {
		// The last group of its segment: what follows its last sound entry is
		// the chain hash.
		n := 0
		for rest := body; ; {
			if _, r, err := nextEntry(rest); err != nil {
				break
			} else {
				n, rest = len(body)-len(r), r
			}
		}
		body = body[:n]
	}
	first, count := v.next, uint64(0)
	if after >= 0 {
		count = head.first - first
	}
	p := Problem{What: Damaged, Entry: sekisho.ID{Seq: first}, Through: first + max(count, 1) - 1, Offset: off,
		Detail: "the header of the group: " + bad.Error()}
	v.problem(p)
	v.entries(body, off+groupHeader, first, count)
	if after < 0 {
		v.links = nil
		return 0, false, nil
	}
	v.links = nil
	if after >= groupHeader+trailer {
		v.links = []hash{hash(b[after-trailer : after])}
	}
	return off + int64(after), true, nil
}
