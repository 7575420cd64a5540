package contain

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"sekisho"
	"slices"
	"strings"
)

// A listing is a table as nft -j list shows it.
type listing struct {
	// frame is everything that does not change with who is contained, piece by
	// piece in nft's order: the table, its sets without elements, its chains, its
	// rules without numbers and counts. Each is one line of JSON.
	frame []string
	sets  map[string]elements
	// refused is how many packets the rules have turned away, since they were
	// made or put back.
	refused uint64
}

// mostListed is how much nft may say about one table, in bytes: ours with its
// 200,000 members, several times over.
const mostListed = 64 << 20

// errNoTable: there is no table of ours.
var errNoTable = errors.New("the table is not there")

// readListing reads the answer to "nft -j list table". It takes whatever stands
// there: others with rights over the firewall may have changed it.
func readListing(text []byte) (*listing, error) {
	var all struct {
		Objects []map[string]json.RawMessage `json:"nftables"`
	}
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("reading nft's answer: %w", err)
	}
	l := &listing{sets: map[string]elements{}}
	for _, object := range all.Objects {
		for what, raw := range object {
			if what == "metainfo" {
				continue
			}
			var of any
			d := json.NewDecoder(bytes.NewReader(raw))
			d.UseNumber()
			if err := d.Decode(&of); err != nil {
				return nil, fmt.Errorf("reading nft's answer: %w", err)
			}
			if m, ok := of.(map[string]any); ok && (what == "set" || what == "map") {
				name, _ := m["name"].(string)
				set, err := readElements(m["elem"])
				if err != nil {
					return nil, fmt.Errorf("reading the set %.40q: %w", name, err)
				}
				l.sets[name] = set
				delete(m, "elem")
			}
			l.refused += bare(of)
			line, err := json.Marshal(map[string]any{what: of})
			if err != nil {
				return nil, fmt.Errorf("reading nft's answer: %w", err)
			}
			l.frame = append(l.frame, string(line))
		}
	}
	return l, nil
}

// bare takes out what differs between two tables that do the same: handles and
// what was counted. It gives the packets counted.
func bare(of any) (packets uint64) {
	switch of := of.(type) {
	case map[string]any:
		delete(of, "handle")
		if c, ok := of["counter"].(map[string]any); ok {
			if n, ok := c["packets"].(json.Number); ok {
				if v, err := n.Int64(); err == nil && v > 0 {
					packets += uint64(v)
				}
			}
			delete(c, "packets")
			delete(c, "bytes")
		}
		for _, v := range of {
			packets += bare(v)
		}
	case []any:
		for _, v := range of {
			packets += bare(v)
		}
	}
	return packets
}

// readElements reads a set's elements. What it gives can be written to nft as it
// is, to delete it.
func readElements(of any) (elements, error) {
	out := elements{}
	list, ok := of.([]any)
	if of != nil && !ok {
		return nil, errors.New("its elements are no list")
	}
	for _, one := range list {
		text, err := canonical(one, 0)
		if err != nil {
			return nil, err
		}
		if m, ok := one.(map[string]any); ok && m["elem"] != nil {
			one = m["elem"].(map[string]any)["val"] // by which it can be taken out
		}
		out[text] = one
	}
	return out, nil
}

// canonical is an element's text, as elements has it.
func canonical(of any, depth int) (string, error) {
	if depth > 4 {
		return "", errors.New("an element is nested too deeply")
	}
	var m map[string]any
	switch of := of.(type) {
	case string:
		return of, nil
	case json.Number:
		return of.String(), nil
	case map[string]any:
		m = of
	}
	part := func(v any) string { s, _ := canonical(v, depth+1); return s }
	switch {
	case len(m) == 1 && m["prefix"] != nil:
		p, _ := m["prefix"].(map[string]any)
		if text, err := netip.ParsePrefix(part(p["addr"]) + "/" + part(p["len"])); err == nil {
			return text.String(), nil
		}
	case len(m) == 1 && m["range"] != nil:
		if r, _ := m["range"].([]any); len(r) == 2 {
			return part(r[0]) + "-" + part(r[1]), nil
		}
	case len(m) == 1 && m["concat"] != nil:
		list, _ := m["concat"].([]any)
		var parts []string
		for _, v := range list {
			parts = append(parts, part(v))
		}
		return strings.Join(parts, " . "), nil
	case len(m) == 1 && m["elem"] != nil: // with a comment, a time, a counter
		e, _ := m["elem"].(map[string]any)
		inner, err := canonical(e["val"], depth+1)
		if err != nil {
			return "", err
		}
		rest, err := json.Marshal(without(e, "val"))
		return inner + " with " + string(rest), err
	}
	return "", errors.New("an element is of no kind that we write")
}

func without(m map[string]any, key string) map[string]any {
	m = maps.Clone(m)
	delete(m, key)
	return m
}

// prefixesOf are the addresses and prefixes of some sets. Anything else in them
// is not ours, and is counted in strange.
func (l *listing) prefixesOf(names ...string) (out []netip.Prefix, strange int) {
	for _, name := range names {
		for text := range l.sets[name] {
			p, err := sekisho.ParsePrefix(text)
			if err != nil {
				strange++
				continue
			}
			out = append(out, p)
		}
	}
	slices.SortFunc(out, comparePrefixes)
	return out, strange
}

// otherwise names the sets whose elements are not what they should be.
func otherwise(have, want map[string]elements) (names []string) {
	for _, s := range shapes() {
		if !sameElements(have[s.name], want[s.name]) {
			names = append(names, s.name)
		}
	}
	return names
}

func sameElements(a, b elements) bool {
	if len(a) != len(b) {
		return false
	}
	for text := range a {
		if _, ok := b[text]; !ok {
			return false
		}
	}
	return true
}

// sameBut says whether two frames differ in rules only: then the rules can be
// put back where the chains stand.
func sameBut(a, b []string, rules bool) bool {
	if !rules {
		return slices.Equal(a, b)
	}
	others := func(list []string) (out []string) {
		for _, line := range list {
			if !strings.HasPrefix(line, `{"rule":`) {
				out = append(out, line)
			}
		}
		return out
	}
	return slices.Equal(others(a), others(b))
}

// A limited writer keeps the first n bytes that come and fails at more.
type limited struct {
	bytes.Buffer
	n int
}

func (l *limited) Write(b []byte) (int, error) {
	if l.Len()+len(b) > l.n {
		return 0, io.ErrShortBuffer
	}
	return l.Buffer.Write(b)
}
