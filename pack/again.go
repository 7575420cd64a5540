package pack

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"sekisho"
	"sekisho/duty"
)

// What the entries say, worked out again and compared with what the pack says.

// fold reads the groups: the chain, each hash and each entry.
func (v *verifier) fold(ctx context.Context, e *engine, w *writer) error {
	f, err := v.pack.Open(GroupsFile)
	if err != nil {
		return err
	}
	defer f.Close()
	g, err := newGroupReader(f)
	if err != nil {
		return wrong("%v", err)
	}
	l, err := newListing(w.open)
	if err != nil {
		return err
	}
	var groups, skipped, entries uint64
	var before sekisho.Time
	var name string
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		one, err := g.group()
		if err == io.EOF {
			break
		}
		if err != nil {
			return wrong("%v", err)
		}
		groups++
		v.r.firstGroups = append(v.r.firstGroups, place{one.First, one.Last(), one.Raw != nil, one.Chain})
		if one.Raw == nil {
			skipped++
			continue
		}
		entries += one.Count
		list, _, err := decode(&one)
		if err != nil {
			return wrong("%s: %v", GroupsFile, err)
		}
		for n := range list {
			x := &list[n]
			if seq := one.First + uint64(n); x.ID.Seq != seq {
				return wrong("%s: entry %d stands where entry %d belongs", GroupsFile, x.ID.Seq, seq)
			}
			if x.Time < before {
				return wrong("%s: entry %d is of %v, and one before it of %v", GroupsFile, x.ID.Seq, x.Time, before)
			}
			before = x.Time
			if x.Body == nil {
				continue
			}
			switch b := x.Body.(type) {
			case *sekisho.LedgerOpened:
				if name == "" {
					name = b.Name
				}
			case *sekisho.PackMade:
				v.r.PackMade = append(v.r.PackMade, PastPack{x.ID.Seq, b.Through, hex.EncodeToString(b.SHA256[:])})
			}
			e.apply(x)
			l.apply(x, one.First)
		}
		if v.check.Progress != nil {
			v.check.Progress(one.Last(), v.m.Through)
		}
	}
	if err := l.close(); err != nil {
		return err
	}
	last := g.next - 1
	switch chain := hex.EncodeToString(g.prev[:]); {
	case last != v.m.Through:
		return wrong("%s ends with entry %d, and %s says %d", GroupsFile, last, ManifestFile, v.m.Through)
	case chain != v.m.Chain:
		return wrong("%s ends with the chain hash %s, and %s says %s", GroupsFile, chain, ManifestFile, v.m.Chain)
	case groups != v.m.Groups || skipped != v.m.Skipped || entries != v.m.Entries:
		return wrong("%s holds %d entries and %d groups, %d of them as hashes; %s says %d, %d and %d", GroupsFile, entries, groups, skipped, ManifestFile, v.m.Entries, v.m.Groups, v.m.Skipped)
	case v.m.Whole && skipped > 0:
		return wrong("%s says that every entry is in, and %d groups are not", ManifestFile, skipped)
	case name != v.m.Ledger:
		return wrong("the ledger's name is %q, and %s says %q", name, ManifestFile, v.m.Ledger)
	}
	return nil
}

// editions: the texts are those of which the ledger says that they were in force.
func (v *verifier) editions(e *engine, register *duty.Register) error {
	for _, i := range register.Instruments {
		said, ok := e.duty.Edition(i.ID)
		switch {
		case !ok:
			v.r.Editions = append(v.r.Editions, i.ID)
		case said.Body.SHA256 != i.SHA256:
			return wrong("the text of the instrument %s has the SHA-256 %x; entry %d says that %x was in force", i.ID, i.SHA256, said.Seq, said.Body.SHA256)
		}
	}
	return nil
}

// stated takes the figures that are only stated from the pack: there is nothing
// to compare them with.
func (v *verifier) stated(register *duty.Register) (map[string][]Figure, error) {
	list := map[string][]Figure{}
	for _, name := range v.m.Stated {
		if d := register.Duty(name); d == nil || d.Name() != name {
			return nil, wrong("%s: %q is no duty of its instruments", ManifestFile, name)
		}
		if v.m.Whole {
			return nil, wrong("%s: every entry is in, so the figures of %s must not be stated only", ManifestFile, name)
		}
		list[name] = nil
	}
	f, err := v.pack.Open(FiguresFile)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := lineReader(f)
	for n := 1; lines.Scan(); n++ {
		var one Figure
		d := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		d.DisallowUnknownFields()
		if err := d.Decode(&one); err != nil {
			return nil, wrong("%s, line %d: %v", FiguresFile, n, err)
		}
		v.r.Recomputed++
		if one.Proof != Stated {
			continue
		}
		v.r.Recomputed--
		if _, ok := list[one.Duty]; !ok {
			return nil, wrong("%s, line %d: the figure of %s is only stated, and %s does not say so", FiguresFile, n, one.Duty, ManifestFile)
		}
		list[one.Duty] = append(list[one.Duty], one)
	}
	v.r.Stated = v.m.Stated
	return list, lines.Err()
}

func lineReader(r io.Reader) *bufio.Scanner {
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 1<<16), 64<<20)
	return s
}

// compare names the first line of a file that is not the one that follows from
// the entries.
func (v *verifier) compare(name string, again fs.FS) error {
	a, err := v.pack.Open(name)
	if err != nil {
		return err
	}
	defer a.Close()
	b, err := again.Open(name)
	if err != nil {
		return err
	}
	defer b.Close()
	x, y := lineReader(a), lineReader(b)
	for n := 1; ; n++ {
		here, there := x.Scan(), y.Scan()
		switch {
		case x.Err() != nil || y.Err() != nil:
			return wrong("%s, line %d: %v", name, n, errors.Join(x.Err(), y.Err()))
		case !here && !there:
			return nil
		case !there:
			return wrong("%s, line %d: the pack says %s, and the entries give no such line", name, n, short(x.Bytes()))
		case !here:
			return wrong("%s, line %d: the entries give %s, and the pack ends before it", name, n, short(y.Bytes()))
		case !bytes.Equal(x.Bytes(), y.Bytes()):
			return wrong("%s, line %d: %s", name, n, difference(x.Bytes(), y.Bytes()))
		}
	}
}

// difference says what two lines differ in.
func difference(pack, entries []byte) string {
	var a, b map[string]any
	if json.Unmarshal(pack, &a) == nil && json.Unmarshal(entries, &b) == nil {
		var about []string
		for _, key := range []string{"duty", "instrument", "ref", "window", "of", "company", "unit", "seq", "entry"} {
			if v, ok := b[key]; ok {
				about = append(about, fmt.Sprintf("%s %v", key, v))
			}
		}
		var keys []string
		for key := range b {
			keys = append(keys, key)
		}
		for key := range a {
			if _, ok := b[key]; !ok {
				keys = append(keys, key)
			}
		}
		slices.Sort(keys)
		for _, key := range keys {
			if x, y := fmt.Sprint(a[key]), fmt.Sprint(b[key]); x != y {
				return fmt.Sprintf("%s: %s is %s in the pack, and %s by the entries", strings.Join(about, ", "), key, x, y)
			}
		}
	}
	return fmt.Sprintf("the pack says %s, and the entries give %s", short(pack), short(entries))
}

func short(b []byte) string {
	const most = 400
	if len(b) > most {
		return string(b[:most]) + "…"
	}
	return string(b)
}
