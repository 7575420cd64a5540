package survey

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"sekisho"
	"sekisho/catalog"
	"sekisho/stmt"
)

// Plan is what sekisho proposes to protect, for a person to read and correct.
type Plan struct {
	Subjects []Subject
	Tables   []Protected
	// Loose are tables that hold or may hold personal data and have no column
	// that could name whose: sekisho cannot protect them as they are.
	Loose  []Loose
	schema *Schema
}

// Subject is a kind of people.
type Subject struct {
	Name  string
	Table *Table
	Key   string
	Score float64
}

// Protected is one table under its subject.
type Protected struct {
	*Table
	Subject string
	Key     string
	Link    *Link // how it leads to the subject; nil for the subject's own table
	Alone   bool  // no way leads to another subject, so its rows stand for themselves
	Columns []Proposal
}

// Proposal is what a column is proposed to be: Unclassified where nothing is
// sure, which protects it until somebody answers.
type Proposal struct {
	Column     *Column
	Category   sekisho.Categories
	Confidence float64
	Kind       Kind
	Reasons    []Reason
}

// Loose is a table that cannot be protected as it is.
type Loose struct {
	Table  *Table
	Reason Reason
}

// personalKinds make a table one about people.
var personalKinds = map[Kind]string{
	"person_name": "name", "person_name_kana": "name", "person_name_latin": "name", "birth_date": "birth", "email": "email", "phone": "phone", "address": "address",
	"national_id": "id", "passport_no": "passport", "sex": "sex", "person_no": "number",
}

// weight is how much a table speaks of people: different kinds count once.
func (t *Table) weight() (w float64) {
	seen := map[string]bool{}
	for _, c := range t.Columns {
		if g, ok := c.best(); ok {
			if p := personalKinds[g.Kind]; p != "" && !seen[p] {
				seen[p] = true
				w += g.Confidence
			}
		}
	}
	return w
}

// grave: it holds something whose loss does harm by itself.
func (t *Table) grave() bool {
	return slices.ContainsFunc(t.Columns, func(c *Column) bool {
		g, ok := c.best()
		if g.Kind == "token" && g.Confidence < .7 {
			return false // by its looks alone it may be a checksum
		}
		return ok && (personalKinds[g.Kind] != "" && g.Kind != "sex" && g.Kind != "person_no" ||
			g.Category&(sekisho.Credential|sekisho.Payment|sekisho.TravelDoc|sekisho.SpecialCare) != 0)
	})
}

// clerical columns say who touched a row, not whom it is about.
func clerical(column string) bool {
	joined := " " + strings.Join(tokensOf(column), " ") + " "
	for _, w := range []string{" created ", " updated ", " modified ", " deleted ", " approved ", " registered by ", " operator ", " editor ", " author "} {
		if strings.Contains(joined, w) {
			return true
		}
	}
	for _, w := range []string{"作成者", "更新者", "登録者", "担当者", "承認者"} {
		if strings.Contains(column, w) {
			return true
		}
	}
	return false
}

// keyable: a catalog can have it as the key of a subject.
func (c *Column) keyable() bool {
	return c != nil && catalog.CanBeKey(c.Type)
}

// candidates are tables with one row for each person, as it seems: the
// weightiest first.
func (s *Schema) candidates() (list []*Subject) {
	incoming := map[*Table]map[string]int{}
	for _, t := range s.Tables {
		for _, l := range t.Links {
			if incoming[l.To] == nil {
				incoming[l.To] = map[string]int{}
			}
			if !clerical(l.Column) {
				incoming[l.To][l.ToColumn]++
			}
		}
	}
	for _, t := range s.Tables {
		w := t.weight()
		total, key, most := 0, "", 0
		for _, column := range t.Unique {
			if n := incoming[t][column]; t.column(column).keyable() {
				if key == "" || n > most {
					key, most = column, n
				}
				total += n
			}
		}
		if key == "" || w < 1.4 && (w < .5 || total == 0) {
			continue
		}
		list = append(list, &Subject{Table: t, Key: key, Score: w + .5*float64(total)})
	}
	slices.SortStableFunc(list, func(a, b *Subject) int { return cmp.Compare(b.Score, a.Score) })
	return list
}

// leads gives the links of a table that say whom its rows are about.
func (t *Table) leads() (list []Link) {
	for _, l := range t.Links {
		if !clerical(l.Column) {
			list = append(list, l)
		}
	}
	// A key of its own that is another's says it most surely.
	slices.SortStableFunc(list, func(a, b Link) int {
		rank := func(l Link) int {
			switch {
			case slices.Contains(t.Primary, l.Column):
				return 0
			case l.Implied:
				return 2
			}
			return 1
		}
		return rank(a) - rank(b)
	})
	return list
}

// Propose makes a plan of what a look has found. It decides nothing that would
// leave a column of a protected table unprotected: that is for people.
func (s *Schema) Propose() *Plan {
	p := &Plan{schema: s}
	at := map[*Table]*Protected{}
	candidates := s.candidates()
	is := map[*Table]*Subject{}
	for _, c := range candidates {
		is[c.Table] = c
	}
	put := func(t *Table, subject, key string, l *Link, alone bool) {
		at[t] = &Protected{Table: t, Subject: subject, Key: key, Link: l, Alone: alone}
	}
	names := map[string]bool{}
	name := func(t *Table) string {
		n := plainName(t.Name)
		for i := 2; names[n]; i++ {
			n = fmt.Sprintf("%s_%d", plainName(t.Name), i)
		}
		names[n] = true
		return n
	}
	// A candidate that leads to another is about that one's people, unless both
	// lead to each other: then the weightier is the person.
	for _, c := range candidates {
		if slices.ContainsFunc(c.Table.leads(), func(l Link) bool {
			other := is[l.To]
			back := other != nil && slices.ContainsFunc(l.To.leads(), func(b Link) bool { return b.To == c.Table })
			return other != nil && l.ToColumn == other.Key && (!back || other.Score > c.Score)
		}) {
			continue
		}
		c.Name = name(c.Table)
		p.Subjects = append(p.Subjects, *c)
		put(c.Table, c.Name, c.Key, nil, false)
	}
	follow := func() {
		for again := true; again; {
			again = false
			for _, t := range s.Tables {
				if at[t] != nil {
					continue
				}
				for _, l := range t.leads() {
					if to := at[l.To]; to != nil && l.ToColumn == to.Key && t.column(l.Column).keyable() {
						put(t, to.Subject, l.Column, &l, false)
						again = true
						break
					}
				}
			}
		}
	}
	follow()
	// What is about people and leads to none of them stands for itself.
	for _, t := range s.Tables {
		if at[t] != nil || !t.grave() {
			continue
		}
		i := slices.IndexFunc(t.Unique, func(c string) bool { return t.column(c).keyable() })
		if i < 0 {
			why := Reason{"loose_no_key", nil}
			if len(t.Unique) > 0 {
				why = Reason{"loose_key_type", []any{t.Unique[0], t.column(t.Unique[0]).Type}}
			}
			p.Loose = append(p.Loose, Loose{t, why})
			continue
		}
		n := name(t)
		p.Subjects = append(p.Subjects, Subject{Name: n, Table: t, Key: t.Unique[i]})
		put(t, n, t.Unique[i], nil, true)
	}
	follow()
	for _, t := range s.Tables {
		if at[t] == nil {
			for _, l := range t.leads() {
				if to := at[l.To]; to != nil {
					if !slices.ContainsFunc(p.Loose, func(o Loose) bool { return o.Table == t }) {
						p.Loose = append(p.Loose, Loose{t, Reason{"loose_leads", []any{l.To.Full(), l.Column}}})
					}
					break
				}
			}
			continue
		}
		at[t].classify()
		p.Tables = append(p.Tables, *at[t])
	}
	order := map[string]int{}
	for i, s := range p.Subjects {
		order[s.Name] = i
	}
	slices.SortStableFunc(p.Tables, func(a, b Protected) int {
		own := func(t Protected) int {
			if t.Link == nil {
				return 0
			}
			return 1
		}
		return cmp.Or(cmp.Compare(order[a.Subject], order[b.Subject]), cmp.Compare(own(a), own(b)))
	})
	return p
}

// plainName is a name as catalog takes it for a subject.
func plainName(table string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(table) {
		switch {
		case r >= 'a' && r <= 'z', r == '_', b.Len() > 0 && r >= '0' && r <= '9':
			b.WriteRune(r)
		case r == '-' || r == ' ':
			b.WriteByte('_')
		}
	}
	switch n := strings.Trim(b.String(), "_"); n {
	case "":
		return "person"
	case "staff", "application", "statement", "purpose": // the vault's own
		return n + "_person"
	default:
		return n
	}
}

// classify says for each column what it is proposed to be, seen beside the
// others of its table.
func (t *Protected) classify() {
	document := sekisho.Categories(0)
	if t.Link != nil || t.Alone {
		for _, c := range t.Table.Columns {
			if c.is("passport_no", "visa") {
				document = sekisho.TravelDoc
			} else if c.is("card_no") && document == 0 {
				document = sekisho.Payment
			}
		}
	}
	for _, c := range t.Table.Columns {
		p := Proposal{Column: c, Category: sekisho.Unclassified}
		if len(c.Guesses) > 0 {
			g := c.Guesses[0]
			p.Kind, p.Confidence, p.Reasons = g.Kind, g.Confidence, g.Reasons
			if g.Category != 0 && g.Confidence >= believe {
				p.Category = g.Category
			}
		}
		link := slices.IndexFunc(t.Table.Links, func(l Link) bool { return l.Column == c.Name })
		switch {
		case c.Name == t.Key:
			p.Category, p.Kind, p.Confidence = sekisho.Identity, "person_no", 1
			p.Reasons = []Reason{{"key", []any{t.Subject}}}
			if t.Link != nil {
				p.Reasons = []Reason{{"foreign_key", []any{t.Link.To.Full()}}}
				if t.Link.Implied {
					p.Confidence = .8
					p.Reasons = []Reason{{"implied_key", []any{t.Link.To.Full()}}}
				}
				if t.Link.Named {
					p.Confidence = .6
					p.Reasons = []Reason{{"named_key", []any{t.Link.To.Full()}}}
				}
			}
		case document != 0 && c.is("expiry", "issued", "country", "card_expiry"):
			p.Category = document
			p.Reasons = append(slices.Clone(p.Reasons), Reason{"beside_" + document.String(), nil})
		case document != 0 && p.Category == sekisho.Unclassified && c.class == classDate:
			p.Category, p.Kind, p.Confidence = document, "expiry", .6
			p.Reasons = append(slices.Clone(p.Reasons), Reason{"beside_" + document.String(), nil})
		case link >= 0 && p.Category == sekisho.Unclassified:
			p.Reasons = append(slices.Clone(p.Reasons), Reason{"points_to", []any{t.Table.Links[link].To.Full()}})
		}
		t.Columns = append(t.Columns, p)
	}
}

// Catalog is the plan as the config has it.
func (p *Plan) Catalog() (c catalog.Config) {
	for _, s := range p.Subjects {
		c.Subjects = append(c.Subjects, catalog.Subject{Name: s.Name, Table: s.Table.Full(), Key: s.Key, Roster: p.roster(s)})
	}
	for _, t := range p.Tables {
		columns := map[string]string{}
		for _, col := range t.Columns {
			columns[col.Column.Name] = col.Category.String()
		}
		c.Tables = append(c.Tables, catalog.Table{Name: t.Full(), Subject: t.Subject, Key: t.Key, Columns: columns, Masks: t.masks()})
	}
	return c
}

// masks says what may still be seen of the columns of which that is certain.
func (t *Protected) masks() (masks map[string]string) {
	for _, c := range t.Columns {
		form := map[Kind]string{"email": "email", "phone": "phone", "person_name": "name", "person_name_latin": "name", "person_name_kana": "name"}[c.Kind]
		if form == "" || c.Confidence < .8 || c.Category == sekisho.Unclassified {
			continue
		}
		if masks == nil {
			masks = map[string]string{}
		}
		masks[c.Column.Name] = form
	}
	return masks
}

// roster names columns of the subject's own table by which recovered files are
// recognised, and by which numbers are broken down.
func (p *Plan) roster(s Subject) (r catalog.Roster) {
	for _, c := range s.Table.Columns {
		g, ok := c.best()
		if !ok || c.class != classText {
			continue
		}
		field := map[Kind]string{"email": "email", "phone": "phone", "person_name": "name_kanji", "person_name_latin": "name_latin"}[g.Kind]
		if field != "" && r.Match[field] == "" && g.Confidence >= .8 {
			if r.Match == nil {
				r.Match = map[string]string{}
			}
			r.Match[field] = c.Name
		}
		if g.Kind == "country" && r.Labels == nil && g.Confidence >= .8 {
			r.Labels = map[string]string{"residence": c.Name}
		}
	}
	return r
}

const (
	probes    = 200 // tables' columns that are compared with a key, at most
	probeRows = 500
)

// implyLinks finds foreign keys that nobody declared: a column of a subject's
// key's type whose values are all such keys. It compares inside the database;
// no value travels.
func (s *Schema) implyLinks(ctx context.Context, query catalog.Query) {
	left := probes
	for _, subject := range s.candidates() {
		key := subject.Table.column(subject.Key)
		dense := key.class == classInteger && !sparse(key, subject.Table.Rows)
		for _, t := range s.Tables {
			if t == subject.Table || slices.ContainsFunc(t.Links, func(l Link) bool { return l.To == subject.Table }) {
				continue
			}
			for _, c := range t.Columns {
				if c.class != key.class || !c.readable || left == 0 || clerical(c.Name) {
					continue
				}
				// That a small number is somebody's key says nothing by itself.
				named := c.Name == key.Name && c.Name != "id" || refersTo(c.Name, subject.Table.Name)
				if t.Sampled == 0 && !named || dense && !named || !named && key.class == classText && c.is("email", "phone", "person_name", "address") {
					continue
				}
				left--
				if is, compared := s.allKeys(ctx, query, t, c, subject, named); is {
					t.Links = append(t.Links, Link{Column: c.Name, To: subject.Table, ToColumn: subject.Key, Implied: true, Named: !compared})
					break
				}
			}
		}
	}
}

// refersTo says whether a column's name is that of a reference to a table:
// member_id, memberNo, 顧客番号, or plainly member; but not member_count.
func refersTo(column, table string) bool {
	table = strings.TrimSuffix(strings.ToLower(table), "s")
	rest, ok := strings.CutPrefix(strings.ToLower(column), table)
	if !ok || len(table) < 3 {
		return false
	}
	switch strings.Trim(rest, "_- ") {
	case "", "s", "id", "no", "nr", "num", "number", "key", "cd", "code", "ref", "番号", "id番号", "コード", "ｺｰﾄﾞ":
		return true
	}
	return false
}

// sparse: a number taken at random from as far as the keys go is rarely one.
func sparse(key *Column, rows int64) bool {
	var top int64
	for _, v := range key.samples {
		top = max(top, number(v))
	}
	return top > 10*max(rows, int64(len(key.samples)), 1)
}

// allKeys: the column's values are all keys of the subject. Where there are hardly
// any to compare its name decides: a table that is empty today is filled tomorrow.
func (s *Schema) allKeys(ctx context.Context, query catalog.Query, t *Table, c *Column, subject *Subject, named bool) (is, compared bool) {
	sql := fmt.Sprintf(`SELECT pg_catalog.count(*), pg_catalog.count(*) FILTER (WHERE EXISTS (SELECT FROM %s.%s s WHERE s.%s = x.v))
		FROM (SELECT DISTINCT v FROM (SELECT %s AS v FROM %s.%s LIMIT %d) y WHERE v IS NOT NULL LIMIT 100) x`,
		stmt.Quote(subject.Table.Schema), stmt.Quote(subject.Table.Name), stmt.Quote(subject.Key),
		stmt.Quote(c.Name), stmt.Quote(t.Schema), stmt.Quote(t.Name), probeRows)
	var values, keys int64
	if err := each(ctx, query, sql, nil, func(v []string) { values, keys = number(v[0]), number(v[1]) }); err != nil {
		return false, false // a guess that cannot be checked is none
	}
	switch {
	case named && values < 5:
		return keys == values, false
	case named:
		return keys*10 >= values*9, true
	}
	return values >= 20 && keys*50 >= values*49, true
}
