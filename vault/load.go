package vault

import (
	"crypto/cipher"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
)

// window is how much of the file is read at a time; any group fits.
const window = 8 << 20

// found is a group whose header is good, in the window.
type found struct {
	group
	at    int64
	bytes []byte
	runs  []run
	err   error
}

// load reads the groups from v.end on, up to the last good one. It is both
// the recovery after a crash and the daily start.
func (v *Vault) load() error {
	size, err := v.file.Size()
	if err != nil {
		return err
	}
	v.size = max(size, v.end)
	var buf []byte
	epochs := epochKeys{keys: v.keys}
	for {
		n := min(window, size-v.end)
		if n <= 0 {
			return nil
		}
		if int64(cap(buf)) < n {
			buf = make([]byte, n)
		}
		buf = buf[:n]
		if _, err := v.file.ReadAt(buf, v.end); err != nil && err != io.EOF {
			return err
		}
		groups, more := v.split(buf, v.end+n == size)
		v.openAll(groups, &epochs)
		bad := false
		for i := range groups {
			g := &groups[i]
			if errors.Is(g.err, errRecordKey) {
				return g.err
			}
			if g.err != nil {
				bad = true
				break
			}
			if err := v.apply(g); err != nil {
				return err
			}
		}
		if bad || !more {
			return v.tail(size)
		}
	}
}

// split finds the groups at the beginning of b. more says that the window
// ended before the groups did.
func (v *Vault) split(b []byte, toEnd bool) (groups []found, more bool) {
	at, seq := v.end, v.seq
	for {
		if len(b) < groupHeader {
			return groups, !toEnd
		}
		g, ok := readGroup(b)
		if !ok || g.seq != seq+1 {
			return groups, false
		}
		n := g.length()
		if n > int64(len(b)) {
			return groups, !toEnd
		}
		groups = append(groups, found{group: g, at: at, bytes: b[:n]})
		b, at, seq = b[n:], at+n, seq+1
	}
}

// epochKeys keeps the last epoch's cipher: most groups in a row share it.
type epochKeys struct {
	keys  keyring
	mu    sync.Mutex
	epoch [epochLen]byte
	aead  cipher.AEAD
}

func (e *epochKeys) of(epoch [epochLen]byte) (cipher.AEAD, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.aead == nil || e.epoch != epoch {
		aead, err := e.keys.rows(epoch)
		if err != nil {
			return nil, err
		}
		e.epoch, e.aead = epoch, aead
	}
	return e.aead, nil
}

// openAll decrypts the groups on all cores.
func (v *Vault) openAll(groups []found, epochs *epochKeys) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(groups)) {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(groups)); i = next.Add(1) - 1 {
				g := &groups[i]
				aead, err := epochs.of(g.epoch)
				if err == nil {
					g.runs, err = g.open(aead, g.bytes)
				}
				for i := 0; i < len(g.runs) && err == nil; i++ {
					err = g.runs[i].unmask(v.slots)
				}
				g.err = err
			}
		})
	}
	wg.Wait()
}

// apply takes the keys of a good group into memory.
func (v *Vault) apply(g *found) error {
	for _, r := range g.runs {
		s := v.Space(r.space)
		if r.first-1 != s.count.Load() {
			return fmt.Errorf("%w: group %d begins %q at %d, and %d was to follow", ErrDamaged, g.seq, r.space, r.first, s.count.Load()+1)
		}
		var twice uint32
		r.each(func(one *row) {
			if one.gone {
				s.restoreGone()
			} else if twice == 0 && !s.restore(one.key) {
				twice = one.ord
			}
		})
		if r.slot != 0 {
			v.records.next = max(v.records.next, r.slot+uint64(r.count))
		}
		if twice != 0 {
			return fmt.Errorf("%w: the key of %q %d in group %d has another ordinal already", ErrDamaged, r.space, twice, g.seq)
		}
		s.durable, s.recovered = s.count.Load(), s.count.Load()
		s.addRun(runAt{r.first, r.count, g.at})
	}
	v.seq = g.seq
	v.last, v.end = g.at, g.at+g.length()
	return nil
}

// tail judges what follows the last good group. Zeros are room allocated
// ahead. Anything else is the group that a crash left incomplete, unless
// something behind it shows that it was complete once.
func (v *Vault) tail(size int64) error {
	buf := make([]byte, 1<<20+maxGroup)
	lastByte := int64(-1)
	for at := v.end; at < size; at += 1 << 20 {
		// Windows overlap by a group, so that every header is seen whole.
		b := buf[:min(int64(len(buf)), size-at)]
		n, err := v.file.ReadAt(b, at)
		if err != nil && err != io.EOF {
			return err
		}
		b = b[:n]
		for i := 0; i < len(b) && i < 1<<20; i++ {
			if b[i] == 0 {
				continue
			}
			lastByte = at + int64(i)
			if i%alignment != 0 || lastByte == v.end {
				continue
			}
			if g, ok := readGroup(b[i:]); ok && g.seq > v.seq+1 {
				return v.damagedAt(g)
			}
		}
	}
	if lastByte >= v.end+maxGroup {
		return fmt.Errorf("%w: group %d at byte %d is unreadable, and more than one group can hold follows", ErrDamaged, v.seq+1, v.end)
	}
	v.torn = lastByte >= 0
	if v.torn && !v.cfg.ReadOnly {
		v.log.Warn("the vault file ends in an incomplete group, as after a crash: dropped",
			"group", v.seq+1, "bytes", lastByte+1-v.end)
	}
	return nil
}

// damagedAt is called when a group is no good and a later one was found. To a
// reader beside a writer this may only seem so: both were written since it
// read the first. As a group is begun after the one before it was synced,
// reading again decides.
func (v *Vault) damagedAt(later group) error {
	if v.cfg.ReadOnly {
		b := make([]byte, maxGroup)
		n, err := v.file.ReadAt(b, v.end)
		if err != nil && err != io.EOF {
			return err
		}
		groups, _ := v.split(b[:n], true)
		if len(groups) > 0 {
			groups = groups[:1]
			v.openAll(groups, &epochKeys{keys: v.keys})
			if groups[0].err == nil {
				return v.load()
			}
		}
	}
	return fmt.Errorf("%w: group %d at byte %d is unreadable, and group %d follows: put the file back from a copy",
		ErrDamaged, v.seq+1, v.end, later.seq)
}
