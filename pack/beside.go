package pack

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"sekisho"
	"sekisho/ledger"
)

// What is beside a pack: hashes that somebody noted, files that were handed over,
// the ledger itself.

// NotedAt is a noted hash, with the entry behind which it stands; 0: it is not in
// the pack.
type NotedAt struct {
	Hash string `json:"hash"`
	Last uint64 `json:"last"`
}

// Matched is a document that was handed over, with the entries that name it.
type Matched struct {
	File    string         `json:"file"`
	SHA256  string         `json:"sha256"`
	Entries []DocumentLine `json:"entries"`
}

// A PastPack is an earlier pack of which the ledger tells.
type PastPack struct {
	Entry   uint64 `json:"entry"`
	Through uint64 `json:"through"`
	SHA256  string `json:"sha256"`
}

type place struct {
	first, last uint64
	whole       bool
	chain       [32]byte
}

// tie says which entries are proven by hashes that were noted elsewhere. Behind a
// noted hash stands every group before it, up to the first of which only the hash
// is here. An entry that is proven can state an earlier hash itself: whoever
// verified the ledger then wrote it down, and so did whoever made a pack.
func (v *verifier) tie() error {
	at := map[string]int{}
	last := map[uint64]int{}
	for n, g := range v.r.firstGroups {
		at[hex.EncodeToString(g.chain[:])] = n
		last[g.last] = n
	}
	tied := make([]bool, len(v.r.firstGroups))
	var queue []int
	for _, h := range v.check.Noted {
		h = strings.ToLower(strings.TrimSpace(h))
		n, ok := at[h]
		if !ok {
			return wrong("the noted hash %s is in no place of the ledger up to entry %d", h, v.m.Through)
		}
		v.r.Noted = append(v.r.Noted, NotedAt{h, v.r.firstGroups[n].last})
		queue = append(queue, n)
	}
	if len(queue) == 0 {
		return nil
	}
	states := map[uint64][]stating{}
	if err := v.states(states); err != nil {
		return err
	}
	for len(queue) > 0 {
		n := queue[0]
		queue = queue[1:]
		for ; n >= 0 && v.r.firstGroups[n].whole && !tied[n]; n-- {
			tied[n] = true
			g := v.r.firstGroups[n]
			v.r.Tied += g.last - g.first + 1
			for _, s := range states[g.first] {
				k, ok := last[s.through]
				if !ok || v.r.firstGroups[k].chain != s.chain {
					return wrong("entry %d states the chain hash %x behind entry %d, and the pack has another one there", s.entry, s.chain, s.through)
				}
				queue = append(queue, k)
			}
		}
	}
	return nil
}

// A stating is an entry that states an earlier chain hash.
type stating struct {
	entry, through uint64
	chain          [32]byte
}

// states are those entries, by the first entry of their group.
func (v *verifier) states(into map[uint64][]stating) error {
	f, err := v.pack.Open(GroupsFile)
	if err != nil {
		return err
	}
	defer f.Close()
	g, err := newGroupReader(f)
	if err != nil {
		return err
	}
	for {
		one, err := g.group()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if one.Raw == nil {
			continue
		}
		list, _, err := decode(&one)
		if err != nil {
			return err
		}
		for _, e := range list {
			switch b := e.Body.(type) {
			case *sekisho.LedgerVerified:
				if b.OK {
					into[one.First] = append(into[one.First], stating{e.ID.Seq, b.Through, b.Hash})
				}
			case *sekisho.PackMade:
				into[one.First] = append(into[one.First], stating{e.ID.Seq, b.Through, b.Chain})
			}
		}
	}
}

// documents finds files that were handed over among those that entries name.
func (v *verifier) documents() error {
	if len(v.check.Documents) == 0 {
		return nil
	}
	by := map[string][]DocumentLine{}
	f, err := v.pack.Open(DocumentsFile)
	if err != nil {
		return err
	}
	defer f.Close()
	lines := lineReader(f)
	for lines.Scan() {
		var d DocumentLine
		if err := json.Unmarshal(lines.Bytes(), &d); err != nil {
			return err
		}
		by[d.SHA256] = append(by[d.SHA256], d)
	}
	if err := lines.Err(); err != nil {
		return err
	}
	for _, name := range v.check.Documents {
		in, err := os.Open(name)
		if err != nil {
			return err
		}
		h := sha256.New()
		_, err = io.Copy(h, in)
		in.Close()
		if err != nil {
			return fmt.Errorf("reading %s: %w", name, err)
		}
		sum := hex.EncodeToString(h.Sum(nil))
		if len(by[sum]) == 0 {
			return wrong("%s has the SHA-256 %s, which no entry of the pack names", name, sum)
		}
		v.r.Documents = append(v.r.Documents, Matched{name, sum, by[sum]})
	}
	return nil
}

// beside compares the pack with the ledger itself: each group, and that what the
// pack leaves out is nothing on which figures rest.
func (v *verifier) beside(ctx context.Context) error {
	n := 0
	f, err := v.pack.Open(GroupsFile)
	if err != nil {
		return err
	}
	defer f.Close()
	g, err := newGroupReader(f)
	if err != nil {
		return err
	}
	for one, err := range ledger.Groups(v.check.FS, v.check.Ledger, v.m.Through) {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		here, err := g.group()
		if err != nil {
			return wrong("the ledger has a group that begins with entry %d, and the pack: %v", one.First, err)
		}
		n++
		switch {
		case here.First != one.First || here.Count != one.Count || here.Chain != one.Chain:
			return wrong("the group that begins with entry %d is another one in the ledger", one.First)
		case here.Raw != nil:
			if !bytes.Equal(here.Raw, one.Raw) {
				return wrong("the group that begins with entry %d has other bytes in the ledger", one.First)
			}
		default:
			list, take, err := decode(&one)
			if err != nil {
				return err
			}
			if take {
				for k := range list {
					if list[k].Body == nil || Needs(&list[k]) {
						return wrong("the pack leaves out entry %d of the ledger, on which figures rest", list[k].ID.Seq)
					}
				}
			}
		}
	}
	v.r.AtLedger = true
	return v.recorded(ctx)
}

// recorded: the ledger says that this pack was made.
func (v *verifier) recorded(context.Context) error {
	for e, err := range ledger.Read(v.check.FS, v.check.Ledger, v.m.Through) {
		if errors.Is(err, sekisho.ErrUnknownKind) {
			continue
		}
		if err != nil {
			return err
		}
		if b, ok := e.Body.(*sekisho.PackMade); ok && hex.EncodeToString(b.SHA256[:]) == v.r.SHA256 {
			return nil
		}
	}
	return wrong("no entry of the ledger says that this pack was made")
}
