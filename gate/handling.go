package gate

import (
	"fmt"

	"sekisho"
	"sekisho/act"
	"sekisho/catalog"
)

// What the handling rules say of work outside the office: forbids beside those
// of the policy's directory, and who may do what there at all.

// OffSite says at which terminals, and who, may work outside the office now. It
// is never changed once it was given.
type OffSite struct {
	Ready   map[string]bool // terminals that the register lets be used outside
	Permits map[Permitted]sekisho.Categories
}

// Permitted is somebody at a terminal.
type Permitted struct{ Principal, Endpoint string }

func (g *Gate) readOffSite() {
	if of := g.conf.Policy.OffSite; of != nil {
		g.rules.offSite.Store(of())
	}
}

// narrowness is another text when what narrows the policy has changed.
func (g *Gate) narrowness() string {
	if g.conf.Policy.Narrow == nil {
		return ""
	}
	return fmt.Sprintf("%x", act.Set{Narrow: g.conf.Policy.Narrow()}.Sum())
}

// Stores are the protected tables as the database has them now.
func (g *Gate) Stores() []catalog.Store { return g.plans.cat.Load().Stores() }

// labels makes the label of what a statement gives out; nil where nothing is
// labelled. Its entry is not written yet.
func (s *session) labels(what string, sp *stmtPlan, number uint64) *sekisho.Labelled {
	if s.g.conf.Label == nil {
		return nil
	}
	of := sp.shown
	if sp.kind != planExact {
		of |= sp.asked // what it shows cannot be told
	}
	l := s.g.conf.Label(of, sekisho.At(s.g.conf.Now()), s.principal)
	l.What, l.Form, l.About, l.Number = what, "rows", s.id.Load(), number
	return l
}

// bears notes that the answer to w bears a label: it goes behind the answer, as a
// notice. The entry is durable.
func (s *session) bears(w *want, l *sekisho.Labelled, number uint64) {
	if l == nil {
		return
	}
	at := sekisho.At(s.g.conf.Now())
	by, _ := s.g.vault.Space("staff").Key(s.principal)
	w.label = appendError(nil, "NOTICE", &refusal{code: "00000", text: "sekisho " + catalog.LabelLine(l, number, at, by),
		hint: fmt.Sprintf("What leaves bears this label: keep it with the file. sekisho handling label %d shows it.", number)})
	w.label[0] = 'N'
}

// copyLabel writes the label of a COPY before its first line.
func (r *replies) copyLabel(w *want, sp *stmtPlan) *refusal {
	l := r.s.labels("copy", sp, w.number+uint64(w.at))
	if l == nil {
		return nil
	}
	var why *refusal
	r.t.wait(func() {
		id, err := r.s.g.append(l)
		if err != nil {
			why = ledgerRefusal(fmt.Errorf("recording a label: %w", err))
			return
		}
		r.s.bears(w, l, id.Seq)
	})
	return why
}

// labelled puts the label behind an answer that has ended.
func (r *replies) labelled(w *want, err error) error {
	if err != nil || w.label == nil || r.cutting {
		return err
	}
	b := w.label
	w.label = nil
	return r.insert(b)
}
