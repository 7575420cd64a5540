package gate

import (
	"sekisho"
	"sekisho/catalog"
	"sekisho/stmt"
)

// A Reported is what one statement that did not pass the gate may have touched:
// customers whom nobody can name, since a log holds no results.
type Reported struct {
	Statement  uint32 // ordinal in "statement"; 0 if the text cannot be read
	Verb       sekisho.Verb
	Tables     []string
	Categories sekisho.Categories
	Reach      map[string]uint64 // by subject: how many customers those tables hold, as far as known
}

// Report judges a text that ran elsewhere by the catalog of today, and leaves
// out what touches nothing protected. A text that is not understood, such as ""
// or one of a newer server, may have touched anything.
func (g *Gate) Report(text string) (list []Reported) {
	cat := g.plans.catalog()
	anything := func() []Reported {
		return []Reported{{Verb: sekisho.Other, Reach: g.reach(cat.Subjects())}}
	}
	if text == "" || len(text) > stmt.MaxBytes {
		return anything()
	}
	defer g.reading.enter(len(text))()
	statements, err := stmt.Analyse(text)
	if err != nil {
		return anything()
	}
	for i := range statements {
		st := &statements[i]
		j := cat.Judge(st)
		if j.Kind == catalog.Free && !j.Unknown {
			continue
		}
		spaces := j.Spaces
		if len(spaces) == 0 {
			spaces = cat.Subjects()
		}
		list = append(list, Reported{Statement: g.statementOrdinal(st.Text), Verb: j.Verb, Tables: j.Tables, Categories: j.Categories, Reach: g.reach(spaces)})
	}
	return list
}

func (g *Gate) reach(spaces []string) map[string]uint64 {
	by := map[string]uint64{}
	for _, s := range spaces {
		by[s] = g.populationOf(s)
	}
	return by
}
