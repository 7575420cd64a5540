package sensor

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/bits"
	"slices"
	"strings"
	"unicode/utf8"

	"sekisho"
	"sekisho/trace"
	"sekisho/vault"
)

// FileOptions says how a recovered or captured file is read.
type FileOptions struct {
	Name     string // what errors call the file
	Encoding string // "shift_jis", "utf-16le", …; judged from the file if empty
	// KeyNames and Names are further headings, as they stand in the file: of the
	// column with the customer's key, and of the columns for each match field of
	// the roster.
	KeyNames []string
	Names    map[string][]string
	// AllowKeyOnly lets a key count by itself in a file in which no other column
	// can be compared. Damage to one character of a key can then name somebody
	// else.
	AllowKeyOnly bool
	Progress     func(bytes int64) // told how much of the file was read; may be nil
}

// FileReport says what a file was and what became of its rows. It holds no
// value of the file.
//
// Rows = Matched + the sum of Damaged.
type FileReport struct {
	Bytes     int64
	Encoding  string
	Delimiter string
	Header    bool
	Columns   []Column
	Rows      uint64 // the header not counted
	Matched   uint64
	ByKey     uint64   // of Matched: the key, and another field that agrees
	ByFields  uint64   // of Matched: no usable key, but two fields that each find this person and nobody else
	ByEMail   uint64   // of Matched: no usable key, but an e-mail address that finds this person and nobody else
	ByKeyOnly uint64   // of Matched: nothing but the key; see AllowKeyOnly
	People    int      // distinct customers
	Exports   []uint64 // requests of the exports whose own decoys stand in it: filled in by whoever knows them
	Damaged   map[string]uint64
	Samples   []Sample // the first few damaged rows
}

// Column is one column of a file.
type Column struct {
	Role  string // "key", "match", or empty if it was not used
	Field string // with "match": the roster's match field
}

// The reasons why a row counts as nobody's, besides damage to its form.
const (
	reasonNobody    = "nobody has these values"
	reasonKeyAlone  = "a key, and nothing that agrees with it"
	reasonConflict  = "its fields name different people"
	reasonUnsure    = "an e-mail address, and too little that agrees with it"
	reasonAmbiguous = "several people have these values"
)

// people is what MatchFile asks about customers: a vault's space and its
// roster.
type people interface {
	Find(key string) (uint32, bool)
	Key(ord uint32) (string, bool)
	FindBy(field int, value string) []uint32 // ascending
	Agrees(ord uint32, field int, value string) bool
}

// matcher compares one file.
type matcher struct {
	opt    FileOptions
	people people
	fields []string // the roster's match fields
	email  int      // among them, or -1
	roles  []int    // of the columns
	found  []uint64 // one bit for each ordinal
	report *FileReport
}

// witnesses is a space and its roster together.
type witnesses struct {
	*vault.Space
	*vault.Roster
}

// MatchFile compares a table, record by record, with the roster of a space: a
// CSV or TSV file in UTF-8, UTF-16, Shift_JIS (CP932), EUC-JP or ISO-2022-JP,
// with a header or none, whole or damaged. It streams r, and holds one row and
// one bit for each customer.
//
// A row is a customer's if it holds the customer's key, as an exact text, and
// another field that agrees with the roster; or, without a key that is known,
// if two match fields each find this customer and nobody else, or the e-mail
// address does. And what else the row says must not speak for somebody else: a
// value that only another customer has, or values that others have and this one
// has not, unless those that agree are more than all that do not. So an altered
// value does not make a row another customer's, except where it is all that the
// row says. Rows left without a customer are Damaged, by reason.
//
// The entry comes without Incident and By, which are the caller's to fill in,
// and is not yet recorded. An error is ErrNotText, a table in which nothing can
// be compared, what ctx said, or a failed read; it holds no value of the file.
func MatchFile(ctx context.Context, r io.Reader, opt FileOptions, roster *vault.Roster, space *vault.Space) (*sekisho.FileMatched, *FileReport, error) {
	if roster == nil {
		return nil, nil, fmt.Errorf("comparing a file: no roster of %q was read yet; read it from the database first", space.Name())
	}
	return matchFile(ctx, r, opt, roster.Schema().Match, space.Name(), witnesses{space, roster})
}

func matchFile(ctx context.Context, r io.Reader, opt FileOptions, fields []string, space string, who people) (*sekisho.FileMatched, *FileReport, error) {
	if opt.Name == "" {
		opt.Name = "the file"
	}
	fail := func(doing string, err error) (*sekisho.FileMatched, *FileReport, error) {
		return nil, nil, fmt.Errorf("%s %s: %w", doing, opt.Name, err)
	}
	sum := sha256.New()
	count := &counter{progress: opt.Progress}
	text, err := newTextReader(io.TeeReader(r, io.MultiWriter(sum, count)), opt.Encoding)
	if err != nil {
		return fail("reading", err)
	}
	m := &matcher{
		opt: opt, people: who, fields: fields,
		email:  slices.IndexFunc(fields, func(f string) bool { return thing(f) == "email" }),
		report: &FileReport{Damaged: map[string]uint64{}},
	}
	table := newTableReader(text)
	var sample []record
	for len(sample) < sampleRows {
		rec, err := table.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return fail("reading", err)
		}
		sample = append(sample, rec)
	}
	m.roles, m.report.Header = m.columnRoles(sample, table.columns)
	m.dropStrangeColumns(sample)
	if err := m.usable(); err != nil {
		return fail("comparing", err)
	}
	if m.report.Header {
		sample = sample[1:]
	}
	for _, rec := range sample {
		m.take(rec)
	}
	for {
		rec, err := table.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return fail("reading", err)
		}
		if rec.number%1024 == 0 && ctx.Err() != nil {
			return fail("comparing", ctx.Err())
		}
		m.take(rec)
	}

	rep := m.report
	rep.Bytes, rep.Encoding, rep.Delimiter = count.n, text.name, table.delimiter
	for _, role := range m.roles {
		switch {
		case role == roleKey:
			rep.Columns = append(rep.Columns, Column{Role: "key"})
		case role >= 0:
			rep.Columns = append(rep.Columns, Column{Role: "match", Field: fields[role]})
		default:
			rep.Columns = append(rep.Columns, Column{})
		}
	}
	b := &sekisho.FileMatched{Rows: rep.Rows, Damaged: rep.Rows - rep.Matched, Space: space}
	sum.Sum(b.SHA256[:0])
	for i, w := range m.found {
		for ; w != 0; w &= w - 1 {
			b.Subjects = append(b.Subjects, uint32(i*64+bits.TrailingZeros64(w)))
		}
	}
	rep.People = len(b.Subjects)
	return b, rep, nil
}

// counter counts what was read.
type counter struct {
	n        int64
	progress func(int64)
}

func (c *counter) Write(b []byte) (int, error) {
	c.n += int64(len(b))
	if c.progress != nil {
		c.progress(c.n)
	}
	return len(b), nil
}

// usable tells whether the columns can name anybody.
func (m *matcher) usable() error {
	key := slices.Contains(m.roles, roleKey)
	match := map[int]bool{}
	for _, r := range m.roles {
		if r >= 0 {
			match[r] = true
		}
	}
	switch {
	case !key && len(match) == 0:
		return fmt.Errorf("none of its %d columns was recognised, neither by its heading nor by what it holds; the roster can be compared by %s: name the headings, or give the encoding if it was misjudged",
			len(m.roles), strings.Join(append([]string{"key"}, m.fields...), ", "))
	case key && len(match) == 0 && !m.opt.AllowKeyOnly:
		return fmt.Errorf("only its key column was recognised, and a damaged key can name somebody else; name the headings of other columns (%s), or allow the key alone",
			strings.Join(m.fields, ", "))
	case !key && len(match) == 1 && !match[m.email]:
		return fmt.Errorf("of its columns only one was recognised, which is no proof of who somebody is; name the heading of the key or of another column (%s)",
			strings.Join(m.fields, ", "))
	}
	return nil
}

// take judges one row.
func (m *matcher) take(rec record) {
	m.report.Rows++
	ord, by, reason := m.judge(rec)
	if reason == "" {
		m.report.Matched++
		*by++
		for int(ord/64) >= len(m.found) {
			m.found = append(m.found, make([]uint64, 1+len(m.found)/2)...)
		}
		m.found[ord/64] |= 1 << (ord % 64)
		return
	}
	if rec.flaw != "" {
		reason = rec.flaw
	}
	m.report.Damaged[reason]++
	if len(m.report.Samples) < maxSamples {
		m.report.Samples = append(m.report.Samples, Sample{rec.number, reason})
	}
}

// A value of a row that can be compared.
type value struct {
	field int
	text  string
	found []uint32 // who has it
	asked bool
}

func (m *matcher) holders(v *value) []uint32 {
	if !v.asked {
		v.found, v.asked = m.people.FindBy(v.field, v.text), true
	}
	return v.found
}

// judge says whose row this is, and which counter of the report that adds to;
// reason is not empty if it is nobody's.
//
// A damaged row can look like another person's: the next number, the same
// family's telephone. So besides the witness that the rule asks for, no
// undamaged value may speak for somebody else.
func (m *matcher) judge(rec record) (ord uint32, by *uint64, reason string) {
	var values []value
	key := ""
	for i, role := range m.roles {
		if i >= len(rec.fields) {
			break
		}
		v := strings.TrimSpace(rec.fields[i])
		if v == "" || role == roleNone || strings.IndexByte(v, 0) >= 0 || strings.ContainsRune(v, utf8.RuneError) {
			continue
		}
		if role >= 0 {
			values = append(values, value{field: role, text: v})
		} else if key == "" {
			key = v
		}
	}
	if key != "" {
		if ord, ok := m.people.Find(key); ok {
			return m.judgeKey(ord, key, values)
		}
	}
	return m.judgeFields(key, values, rec.flaw != "")
}

func (m *matcher) judgeKey(ord uint32, key string, values []value) (uint32, *uint64, string) {
	if len(values) == 0 {
		if m.opt.AllowKeyOnly && !slices.ContainsFunc(m.roles, func(r int) bool { return r >= 0 }) {
			return ord, &m.report.ByKeyOnly, ""
		}
		return 0, nil, reasonKeyAlone
	}
	var agree []*value
	against := 0 // values that others have and this customer has not
	for i := range values {
		v := &values[i]
		if m.people.Agrees(ord, v.field, v.text) {
			agree = append(agree, v)
			continue
		}
		switch h := m.holders(v); len(h) {
		case 0: // damaged, or not up to date
		case 1:
			return 0, nil, reasonConflict
		default:
			against++
		}
	}
	switch {
	case len(agree) == 0:
		return 0, nil, reasonKeyAlone
	case against > 0 && len(values) >= 2*len(agree) || len(agree) == 1 && len(values) > 2:
		// Numbers and addresses are often given out side by side, so that the same
		// damage to both makes them another person's. Only the rest can tell.
		return 0, nil, reasonConflict
	}
	// Who else has all the values that agree? If one of them has a key that
	// damage could have turned into this one, the row may be theirs.
	slices.SortStableFunc(agree, func(a, b *value) int { return m.rank(a) - m.rank(b) })
	others := m.holders(agree[0])
	for _, v := range agree[1:] {
		if len(others) == 1 {
			break
		}
		these := m.holders(v)
		var both []uint32
		for _, o := range others {
			if _, ok := slices.BinarySearch(these, o); ok {
				both = append(both, o)
			}
		}
		others = both
	}
	for _, o := range others {
		if k, ok := m.people.Key(o); ok && o != ord && near(k, key) {
			return 0, nil, reasonAmbiguous
		}
	}
	return ord, &m.report.ByKey, ""
}

// rank puts first what most likely only one person has.
func (m *matcher) rank(v *value) int {
	if v.field == m.email {
		return 0
	}
	return 1
}

func (m *matcher) judgeFields(key string, values []value, flawed bool) (uint32, *uint64, string) {
	// Who is named by fields that nobody else shares?
	one, fields, mail := uint32(0), map[int]bool{}, false
	known := false
	for i := range values {
		v := &values[i]
		h := m.holders(v)
		known = known || len(h) > 0
		if len(h) != 1 {
			continue
		}
		if one != 0 && one != h[0] {
			return 0, nil, reasonConflict
		}
		one, fields[v.field], mail = h[0], true, mail || v.field == m.email
	}
	if one == 0 {
		if known {
			return 0, nil, reasonAmbiguous
		}
		return 0, nil, reasonNobody
	}
	support, silent := 0, 0
	for i := range values {
		v := &values[i]
		switch {
		case fields[v.field]:
		case m.people.Agrees(one, v.field, v.text):
			support++
		case len(m.holders(v)) > 0:
			return 0, nil, reasonConflict // somebody has this value, but not this person
		default:
			silent++
		}
	}
	if len(fields) >= 2 {
		return one, &m.report.ByFields, ""
	}
	if !mail {
		return 0, nil, reasonAmbiguous
	}
	// The address alone. Addresses are often one character apart, and so are
	// the keys of a family; so what else the row says must speak for this person
	// more than it says nothing.
	if key != "" {
		silent++
	}
	if support <= silent && (silent > 0 || flawed) {
		return 0, nil, reasonUnsure
	}
	return one, &m.report.ByEMail, ""
}

// near tells whether a little damage could turn one key into the other: up to
// two characters changed, lost or added, or an end cut off.
func near(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	if strings.HasPrefix(b, a) || strings.HasSuffix(b, a) {
		return true
	}
	if len(b)-len(a) > 2 || len(b) > 64 {
		return false
	}
	return trace.EditDistance(a, b) <= 2
}
