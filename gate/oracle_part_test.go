package gate

import (
	"slices"
	"strings"
)

// A part is a piece of a generated statement that knows how it can be made
// smaller, so that a failing statement can be shown without what does not
// matter.
type part struct {
	text string
	kids []*part
	sep  string
	// least is how many of kids must stay. Below len(kids), any of them may go.
	least int
	// instead are shorter texts that may stand in its place.
	instead []string
	gone    bool
}

func word(s string) *part { return &part{text: s} }

// run together: all must stay.
func seq(kids ...any) *part {
	p := &part{}
	for _, k := range kids {
		switch k := k.(type) {
		case string:
			p.kids = append(p.kids, word(k))
		case *part:
			if k != nil {
				p.kids = append(p.kids, k)
			}
		}
	}
	p.least = len(p.kids)
	return p
}

// maybe is a clause that may go.
func maybe(kids ...any) *part { return &part{kids: []*part{seq(kids...)}} }

func list(sep string, least int, kids ...*part) *part {
	return &part{kids: kids, sep: sep, least: min(least, len(kids))}
}

// or says what may stand in its place.
func (p *part) or(texts ...string) *part {
	p.instead = append(p.instead, texts...)
	return p
}

func (p *part) String() string {
	var b strings.Builder
	p.write(&b)
	return b.String()
}

func (p *part) write(b *strings.Builder) {
	b.WriteString(p.text)
	first := true
	for _, k := range p.kids {
		if k.gone {
			continue
		}
		if !first {
			b.WriteString(p.sep)
		}
		first = false
		k.write(b)
	}
}

// shrink makes p smaller for as long as it still fails, and at most so often.
func (p *part) shrink(tries int, fails func(sql string) bool) string {
	for again := true; again; {
		again = false
		p.visit(func(undo func()) bool {
			if tries--; tries < 0 {
				undo()
				return false
			}
			if fails(p.String()) {
				again = true
			} else {
				undo()
			}
			return true
		})
	}
	return p.String()
}

// visit makes each possible change, the largest first, and asks after each
// whether to go on.
func (p *part) visit(changed func(undo func()) bool) bool {
	if p.gone {
		return true
	}
	for _, text := range p.instead {
		was := *p
		if len(text) >= len(p.String()) {
			continue
		}
		*p = part{text: text}
		if !changed(func() { *p = was }) {
			return false
		}
	}
	for i := len(p.kids) - 1; i >= 0; i-- {
		left := 0
		for _, k := range p.kids {
			if !k.gone {
				left++
			}
		}
		if k := p.kids[i]; !k.gone && left > p.least {
			k.gone = true
			if !changed(func() { k.gone = false }) {
				return false
			}
		}
	}
	for _, k := range slices.Clone(p.kids) {
		if !k.visit(changed) {
			return false
		}
	}
	return true
}
