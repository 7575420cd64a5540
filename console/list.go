package console

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"sekisho"
	"sekisho/trace"
	"sekisho/vault"
)

// listNames are the lists that the four numbers have. What was sent at most is
// a count, and has none.
var listNames = []string{"confirmed", "suspected", "worst-case"}

// list downloads the people behind a number. It is an access: whose names
// leave stands in the ledger, durable, before the first byte does.
func (c *Console) list(v *visit) (page, error) {
	one, err := c.caseOf(v)
	if err != nil {
		return nil, err
	}
	which := v.r.PostFormValue("list")
	q := c.questionOf(one)
	if q.Space = v.r.PostFormValue("space"); q.Space != "" && !slices.Contains(c.spaces(), q.Space) {
		return nil, &failure{status: http.StatusNotFound, key: "space", near: c.spaces()}
	}
	rows, err := c.exportList(v.r, v.who, q, which)
	if err != nil {
		return nil, err
	}
	http.NewResponseController(v.w).SetWriteDeadline(time.Now().Add(15 * time.Minute))
	if err := c.gives(v, fmt.Sprintf("incident-%d-%s%s.csv", one.Number, which, fileSuffix(q.Space)), csvMedia, "incident_list", "csv", one.Number, c.listOf(q.Space)); err != nil {
		return nil, err
	}
	counted := &counter{w: v.w}
	err = rows(counted)
	v.who.sent(counted.n)
	if err != nil {
		// The status is long gone: a broken connection is how the browser
		// learns that the list is not whole.
		panic(http.ErrAbortHandler)
	}
	return nil, errDone
}

// fileSuffix tells the lists of several subjects apart.
func fileSuffix(space string) string {
	if space == "" {
		return ""
	}
	return "-" + space
}

const csvMedia = "text/csv; charset=utf-8"

type counter struct {
	w io.Writer
	n int
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += n
	return n, err
}

// exportList answers the question, records that its list leaves, and only then
// gives the function that writes it.
func (c *Console) exportList(r *http.Request, who *session, q trace.Question, which string) (func(io.Writer) error, error) {
	if !slices.Contains(listNames, which) {
		return nil, fail(http.StatusBadRequest, "list")
	}
	q.Lists = true
	a, err := c.ask(r.Context(), q)
	if err != nil {
		return nil, err
	}
	subjects := map[string][]uint32{"confirmed": a.Lists.Confirmed, "suspected": a.Lists.Suspected, "worst-case": a.Lists.WorstCase}[which]
	space := a.Question.Space
	if space == "" {
		return nil, fail(http.StatusBadRequest, "list_space", strings.Join(c.spaces(), ", "))
	}
	roster, err := c.cfg.Vault.Roster(space)
	if err != nil {
		return nil, fmt.Errorf("reading the roster for a list: %w", err)
	}
	shape := c.ownShape(sekisho.Export, space, "list of an incident: "+which, sekisho.Relation)
	if err := c.recordAccess(r.Context(), who.entry, who.statement(), shape, subjects, 0); err != nil {
		return nil, err
	}
	return func(w io.Writer) error { return writeList(w, space, c.cfg.Vault.Space(space), roster, subjects) }, nil
}

// writeList writes RFC 4180 with the mark that tells Excel that it is UTF-8.
// A customer whose key was erased keeps a line, so that the count is right.
func writeList(w io.Writer, space string, keys *vault.Space, roster *vault.Roster, subjects []uint32) error {
	b := bufio.NewWriterSize(w, 64<<10)
	b.WriteString("\uFEFF" + cell(space))
	var schema vault.RosterSchema
	if roster != nil {
		schema = roster.Schema()
	}
	for _, name := range append(slices.Clone(schema.Labels), schema.Dates...) {
		b.WriteString("," + cell(name))
	}
	b.WriteString("\r\n")
	for _, ord := range subjects {
		key, ok := keys.Key(ord)
		if !ok {
			key = fmt.Sprintf("#%d", ord)
		}
		b.WriteString(cell(key))
		for dim := range schema.Labels {
			b.WriteString("," + cell(roster.Label(dim, ord)))
		}
		for dim := range schema.Dates {
			b.WriteByte(',')
			if day := roster.Date(dim, ord); day != vault.NoDate {
				b.WriteString(time.Unix(int64(day)*86400, 0).UTC().Format("2006-01-02"))
			}
		}
		if _, err := b.WriteString("\r\n"); err != nil {
			return err
		}
	}
	return b.Flush()
}

// listAsJSON writes the people of a list beside the answer that it belongs to, each
// with the list's columns.
func listAsJSON(w io.Writer, a *trace.Answer, which string, rows func(io.Writer) error) error {
	var text bytes.Buffer
	if err := rows(&text); err != nil {
		return err
	}
	read, err := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(text.Bytes(), []byte("\uFEFF")))).ReadAll()
	if err != nil || len(read) == 0 {
		return fmt.Errorf("reading a list of %d rows: %w", len(read), err)
	}
	people := make([]map[string]string, 0, len(read)-1)
	for _, row := range read[1:] {
		one := make(map[string]string, len(row))
		for i, name := range read[0] {
			one[name] = row[i]
		}
		people = append(people, one)
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(struct {
		*trace.Answer
		List   string              `json:"list"`
		People []map[string]string `json:"people"`
	}{a, which, people})
}

// cell quotes a value, and disarms one that a spreadsheet would run as a
// formula (OWASP, CSV injection).
func cell(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r＝＋－＠", []rune(s)[0]) {
		s = "'" + s
	}
	if strings.ContainsAny(s, ",\"\r\n'") || s != strings.TrimSpace(s) {
		return `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
	}
	return s
}
