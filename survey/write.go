package survey

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"sekisho"
	"sekisho/act"
	"sekisho/sheet"
)

// PolicyDir is where the policy lies, beside the config.
const PolicyDir = "policy"

// Write writes the plan as a whole sekisho.yaml: every guess with its
// confidence and reasons as a comment, the gate in observe mode. It holds names
// of the schema, and no value and no password.
func (p *Plan) Write(out io.Writer, from Where, w *Words) error {
	y := &yamlWriter{}
	for _, line := range strings.Split(w.Say("file.head", oneLine(from.Database)), "|") {
		y.comment(0, line)
	}
	y.line(0, "")
	y.line(0, "name: %s", scalar(from.Database))
	y.line(0, "data: sekisho-data")
	y.line(0, "number: 1")
	y.line(0, "time_zone: Asia/Tokyo")
	y.line(0, "")
	p.writeGate(y, from, w)
	y.comment(0, w.Say("file.console"))
	y.line(0, "console:")
	y.line(1, "listen: 127.0.0.1:8090")
	y.line(0, "")
	writeBudgets(y, w)
	p.writeCatalog(y, w)
	_, err := io.WriteString(out, y.b.String())
	return err
}

// homes are the subjects' own tables, or their schemas, as SQL names them.
func (p *Plan) homes(schemas bool) string {
	var list []string
	for _, s := range p.Subjects {
		name := sqlName(s.Table.Schema)
		if !schemas {
			name += "." + sqlName(s.Table.Name)
		}
		if !slices.Contains(list, name) {
			list = append(list, name)
		}
	}
	if len(list) == 0 {
		return "…"
	}
	return oneLine(strings.Join(list, ", "))
}

var unquoted = regexp.MustCompile(`^[a-z_][a-z0-9_]*$`)

// sqlName quotes a name where it has to be.
func sqlName(s string) string {
	if unquoted.MatchString(s) {
		return s
	}
	return quoteName(s)
}

func (p *Plan) writeGate(y *yamlWriter, from Where, w *Words) {
	y.line(0, "gate:")
	y.comment(1, w.Say("file.listen"))
	y.line(1, "listen: 127.0.0.1:6543")
	y.line(1, "upstream:")
	y.line(2, "host: %s", scalar(from.Host))
	y.line(2, "port: %d", from.Port)
	y.line(2, "database: %s", scalar(from.Database))
	switch {
	case filepath.IsAbs(from.Host):
	case from.TLS && from.Verified:
		y.line(2, "sslmode: verify-full")
		if from.RootCert != "" {
			y.line(2, "sslrootcert: %s", scalar(from.RootCert))
		}
	case from.TLS:
		y.comment(2, w.Say("file.unverified"))
		y.line(2, "sslmode: require")
	default:
		y.comment(2, w.Say("file.no_tls"))
		y.line(2, "sslmode: disable")
	}
	for _, line := range strings.Split(w.Say("file.reader", p.homes(true), p.homes(false)), "|") {
		y.comment(2, line)
	}
	y.line(2, "reader:")
	y.line(3, "user: %s", scalar(from.User))
	if from.Password {
		y.line(3, "password_file: secrets/%s", fileName(from.User))
	}
	for _, line := range strings.Split(w.Say("file.roles"), "|") {
		y.comment(1, line)
	}
	logins := slices.DeleteFunc(slices.Clone(p.schema.Logins), func(l string) bool { return l == from.User })
	if len(logins) == 0 {
		y.line(1, "roles: {}")
	} else {
		y.line(1, "roles:")
	}
	for _, l := range logins {
		y.line(2, "%s:", scalar(l))
		y.line(3, "user: %s", scalar(l))
		y.line(3, "password_file: secrets/%s", fileName(l))
		y.line(3, "mode: observe")
		switch tables, known := p.writes(l); {
		case !known:
			y.comment(3, "writes: true  # "+w.Say("file.writes"))
		case len(tables) > 0:
			y.line(3, "writes: true  # %s", w.Say("file.writes_now", oneLine(sheet.Few(tables))))
		}
	}
	for _, line := range strings.Split(w.Say("file.principals"), "|") {
		y.comment(1, line)
	}
	y.line(1, "principals: []")
	for _, line := range strings.Split(w.Say("file.policy"), "|") {
		y.comment(1, line)
	}
	y.line(1, "policy:")
	y.line(2, "dir: %s", PolicyDir)
	y.comment(2, w.Say("file.office"))
	y.line(2, "office: []")
	y.comment(2, w.Say("file.known"))
	y.line(2, "known:")
	names := act.DefaultNames()
	y.line(3, "roles: [%s]", strings.Join(names.Roles, ", "))
	y.line(3, "purposes: [%s]", strings.Join(names.Purposes, ", "))
	y.line(3, "posts: [%s]", strings.Join(names.Posts, ", "))
	y.line(0, "")
}

// writes are the protected tables that a login may change today; not known where
// that could not be read.
func (p *Plan) writes(login string) (tables []string, known bool) {
	for _, t := range p.Tables {
		if slices.Contains(p.schema.Writers[login], t.Full()) {
			tables = append(tables, t.Full())
		}
	}
	return tables, p.schema.Writers != nil
}

// writeBudgets writes the shipped budgets. In observe mode they cut nothing, and
// say whom they would have.
func writeBudgets(y *yamlWriter, w *Words) {
	for _, line := range strings.Split(w.Say("file.budgets"), "|") {
		y.comment(0, line)
	}
	y.line(0, "budgets:")
	for _, b := range []struct {
		name, per string
		customers int
		within    string
	}{{"person-hour", "principal", 200, "1h"}, {"person-day", "principal", 500, "12h"}, {"terminal-month", "endpoint", 2000, "30d"}} {
		y.line(1, "- {name: %s, per: [%s], customers: %d, within: %s}", b.name, b.per, b.customers, b.within)
	}
	for _, line := range strings.Split(w.Say("file.budgets_quiet"), "|") {
		y.comment(1, line)
	}
	y.line(0, "")
}

func (p *Plan) writeCatalog(y *yamlWriter, w *Words) {
	for _, line := range strings.Split(w.Say("file.catalog"), "|") {
		y.comment(0, line)
	}
	y.line(0, "catalog:")
	if len(p.Subjects) == 0 {
		y.comment(1, w.Say("file.nobody"))
	}
	y.list(1, "subjects", len(p.Subjects))
	for _, s := range p.Subjects {
		r := p.roster(s)
		y.line(2, "- name: %s", s.Name)
		y.line(3, "table: %s", scalar(s.Table.Full()))
		y.line(3, "key: %s", scalar(s.Key))
		if len(r.Labels)+len(r.Match) == 0 {
			continue
		}
		y.comment(3, w.Say("file.roster"))
		y.line(3, "roster:")
		for _, part := range []struct {
			name string
			by   map[string]string
		}{{"labels", r.Labels}, {"match", r.Match}} {
			if len(part.by) > 0 {
				y.line(4, "%s:", part.name)
				for _, k := range slices.Sorted(maps.Keys(part.by)) {
					y.line(5, "%s: %s", k, scalar(part.by[k]))
				}
			}
		}
	}
	y.list(1, "tables", len(p.Tables))
	for _, t := range p.Tables {
		p.writeTable(y, &t, w)
	}
	for _, l := range p.Loose {
		y.comment(1, w.Say("file.loose", oneLine(l.Table.Full()), w.reason(l.Reason)))
	}
	for _, s := range p.schema.Skipped {
		y.comment(1, w.Say("file.skipped", oneLine(s.Table), w.Say("skip."+s.Reason)))
	}
}

func (p *Plan) writeTable(y *yamlWriter, t *Protected, w *Words) {
	switch {
	case t.Alone:
		y.comment(2, w.Say("file.alone"))
	case t.Link != nil && t.Link.Named:
		y.comment(2, w.Say("file.named", oneLine(t.Key), oneLine(t.Link.To.Full())))
	case t.Link != nil && t.Link.Implied:
		y.comment(2, w.Say("file.implied", oneLine(t.Key), oneLine(t.Link.To.Full())))
	case t.Link != nil:
		y.comment(2, w.Say("file.linked", oneLine(t.Key), oneLine(t.Link.To.Full())))
	default:
		y.comment(2, w.Say("file.subject"))
	}
	if t.Children > 0 {
		y.comment(2, w.Say("file.children", t.Children))
	}
	if len(t.SetsOff) > 0 {
		y.comment(2, w.Say("file.sets_off", oneLine(strings.Join(t.SetsOff, ", "))))
	}
	y.line(2, "- name: %s", scalar(t.Full()))
	y.line(3, "subject: %s", t.Subject)
	y.line(3, "key: %s", scalar(t.Key))
	y.line(3, "columns:")
	for _, c := range t.Columns {
		note := ""
		switch {
		case c.Category != sekisho.Unclassified:
			note = w.Say("file.sure", int(100*c.Confidence+.5), w.reasons(c.Reasons))
		case c.Kind != "" && c.Confidence >= mention:
			note = w.Say("file.maybe", w.kind(c.Kind), int(100*c.Confidence+.5), w.reasons(c.Reasons))
		case len(c.Reasons) > 0:
			note = w.Say("file.question_because", w.reasons(c.Reasons))
		default:
			note = w.Say("file.question")
		}
		y.line(4, "%s: %s  # %s", scalar(c.Column.Name), c.Category, note)
	}
	masks := t.masks()
	if len(masks) == 0 {
		return
	}
	y.comment(3, w.Say("file.masks"))
	y.line(3, "masks:")
	for _, col := range slices.Sorted(maps.Keys(masks)) {
		y.line(4, "%s: %s", scalar(col), masks[col])
	}
}

// yamlWriter writes lines; what comes from the database goes through scalar or
// oneLine.
type yamlWriter struct{ b strings.Builder }

func (y *yamlWriter) line(indent int, format string, args ...any) {
	y.b.WriteString(strings.TrimRight(strings.Repeat("  ", indent)+fmt.Sprintf(format, args...), " ") + "\n")
}

func (y *yamlWriter) comment(indent int, text string) {
	y.line(indent, "%s", strings.TrimRight("# "+text, " "))
}

func (y *yamlWriter) list(indent int, name string, n int) {
	if n == 0 {
		y.line(indent, "%s: []", name)
		return
	}
	y.line(indent, "%s:", name)
}

var plainScalar = regexp.MustCompile(`^[A-Za-z_\p{Han}\p{Hiragana}\p{Katakana}][A-Za-z0-9_.\p{Han}\p{Hiragana}\p{Katakana}ー々-]*$`)

// scalar writes a name so that YAML reads it back as the same string: a table
// may be called yes, null, or 2014-09-19.
func scalar(s string) string {
	switch strings.ToLower(s) {
	case "y", "n", "yes", "no", "on", "off", "true", "false", "null":
		return strconv.Quote(s)
	}
	if plainScalar.MatchString(s) {
		return s
	}
	if filepath.IsAbs(s) && regexp.MustCompile(`^[A-Za-z0-9/._-]+$`).MatchString(s) || net.ParseIP(s) != nil && strings.Contains(s, ".") {
		return s
	}
	b, _ := json.Marshal(s) // a JSON string is a YAML one; a string cannot fail
	return string(b)
}

// fileName is a role as the name of its password's file.
func fileName(role string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-' {
			return r
		}
		return '_'
	}, role)
}

// Report is a plan for machines.
type Report struct {
	Subjects []ReportSubject `json:"subjects"`
	Tables   []ReportTable   `json:"tables"`
	Loose    []ReportLoose   `json:"cannot_protect"`
	Skipped  []Skip          `json:"not_looked_into"`
	// Classified and Questions count columns of protected tables.
	Classified int `json:"classified"`
	Questions  int `json:"questions"`
	Looked     int `json:"tables_looked_at"`
	Sampled    int `json:"rows_sampled"`
}

// ReportSubject is one kind of people.
type ReportSubject struct {
	Name  string `json:"name"`
	Table string `json:"table"`
	Key   string `json:"key"`
}

// ReportTable is one table to protect.
type ReportTable struct {
	Name     string         `json:"name"`
	Subject  string         `json:"subject"`
	Key      string         `json:"key"`
	Via      string         `json:"via,omitempty"` // the table that its key leads to
	Implied  bool           `json:"implied,omitempty"`
	Children int            `json:"children,omitempty"`
	Sampled  int            `json:"rows_sampled"`
	Columns  []ReportColumn `json:"columns"`
}

// ReportColumn is one column with what it is proposed to be.
type ReportColumn struct {
	Name       string   `json:"name"`
	Type       string   `json:"type"`
	Category   string   `json:"category"`
	Kind       string   `json:"kind,omitempty"`
	Confidence float64  `json:"confidence"`
	Reasons    []string `json:"reasons"`
}

// ReportLoose is a table that cannot be protected as it is.
type ReportLoose struct {
	Table  string `json:"table"`
	Reason string `json:"reason"`
}

// Report gives the plan with its reasons in words.
func (p *Plan) Report(w *Words) Report {
	r := Report{Subjects: []ReportSubject{}, Tables: []ReportTable{}, Loose: []ReportLoose{}, Skipped: append([]Skip{}, p.schema.Skipped...), Looked: len(p.schema.Tables)}
	for _, t := range p.schema.Tables {
		r.Sampled += t.Sampled
	}
	for _, s := range p.Subjects {
		r.Subjects = append(r.Subjects, ReportSubject{s.Name, s.Table.Full(), s.Key})
	}
	for _, t := range p.Tables {
		one := ReportTable{Name: t.Full(), Subject: t.Subject, Key: t.Key, Children: t.Children, Sampled: t.Sampled}
		if t.Link != nil {
			one.Via, one.Implied = t.Link.To.Full(), t.Link.Implied
		}
		for _, c := range t.Columns {
			col := ReportColumn{Name: c.Column.Name, Type: c.Column.Type, Category: c.Category.String(), Kind: string(c.Kind), Confidence: float64(int(100*c.Confidence+.5)) / 100, Reasons: []string{}}
			for _, reason := range c.Reasons {
				col.Reasons = append(col.Reasons, w.reason(reason))
			}
			if c.Category == sekisho.Unclassified {
				r.Questions++
			} else {
				r.Classified++
			}
			one.Columns = append(one.Columns, col)
		}
		r.Tables = append(r.Tables, one)
	}
	for _, l := range p.Loose {
		r.Loose = append(r.Loose, ReportLoose{l.Table.Full(), w.reason(l.Reason)})
	}
	return r
}
