package act

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// A Set is what lies together in a directory: policies, and the tables of their
// tests.
type Set struct {
	Policies, Tables []File
	// Narrow is what is made of something else than the directory's files, such as
	// the handling rules: forbids alone. It decides like the others, and the tables
	// are not about it: what they expect holds without it.
	Narrow []File
}

// all are the files that decide.
func (s Set) all() []File { return append(slices.Clone(s.Policies), s.Narrow...) }

// Load reads what decides, without running the tests.
func (s Set) Load(conf Config) (*Policy, error) { return Load(conf, s.all()...) }

// Sum is the SHA-256 by which the ledger names a set of policies: for each file,
// in the order of their names, the name without its directory, the byte 0, the
// length in bytes in decimal, a line feed, and the text. Tests do not count.
func (s Set) Sum() (sum [32]byte) {
	files := s.all()
	for i := range files {
		files[i].Name = base(files[i].Name)
	}
	slices.SortFunc(files, func(a, b File) int { return cmp.Compare(a.Name, b.Name) })
	h := sha256.New()
	for _, f := range files {
		fmt.Fprintf(h, "%s\x00%d\n", f.Name, len(f.Text))
		h.Write(f.Text)
	}
	h.Sum(sum[:0])
	return sum
}

func base(name string) string {
	for i := len(name) - 1; i >= 0; i-- {
		if name[i] == '/' {
			return name[i+1:]
		}
	}
	return name
}

// A Report is what a check of a set found.
type Report struct {
	Policy   *Policy // nil if one of the policies has a mistake
	Mistakes Mistakes
	Failed   []Failure
	Tests    int
	Tested   map[string]bool // the rules that a test names
}

// A Failure is a test that does not come out as its table says.
type Failure struct {
	Case
	Got string
}

// Wrong is how much was found: what is not 0 must not come into force.
func (r *Report) Wrong() int { return len(r.Mistakes) + len(r.Failed) }

// Check reads the policies of a set and runs its tests. The error is of a set
// that cannot be checked at all.
func (s Set) Check(conf Config) (*Report, error) {
	r := &Report{Tested: map[string]bool{}}
	zone := conf.Zone
	if zone == nil {
		zone = time.UTC
	}
	own, err := Load(conf, s.Policies...)
	if err == nil {
		r.Policy = own
		if len(s.Narrow) > 0 {
			r.Policy, err = s.Load(conf)
		}
	}
	if mistakes, ok := err.(Mistakes); ok {
		r.Policy, r.Mistakes = nil, mistakes
		return r, nil
	}
	if err != nil {
		return nil, err
	}
	for _, rule := range r.Policy.rules[len(own.rules):] {
		if rule.permit {
			r.Mistakes = append(r.Mistakes, Mistake{rule.file, rule.line, "a permit in what may only narrow", "write a forbid"})
		}
	}
	for _, table := range s.Tables {
		cases, err := ReadTable(table, zone)
		if mistakes, ok := err.(Mistakes); ok {
			r.Mistakes = append(r.Mistakes, mistakes...)
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, c := range cases {
			r.Tests++
			for _, id := range c.By {
				r.Tested[id] = true
			}
			if got := c.Check(own); got != "" {
				r.Failed = append(r.Failed, Failure{c, got})
			}
		}
	}
	return r, nil
}

// PlaceOf says where an address is: by the longest prefix that holds it, and
// remote if two are equal. What no prefix holds is remote where only the
// office's are known, and unknown otherwise.
func PlaceOf(a netip.Addr, office, remote []netip.Prefix) Place {
	if !a.IsValid() || len(office) == 0 {
		return PlaceUnknown
	}
	longest := func(list []netip.Prefix) int {
		best := -1
		for _, p := range list {
			if p.Contains(a.Unmap()) {
				best = max(best, p.Bits())
			}
		}
		return best
	}
	in, out := longest(office), longest(remote)
	switch {
	case in > out:
		return Office
	case out >= 0 || len(remote) == 0:
		return Remote
	}
	return PlaceUnknown
}
