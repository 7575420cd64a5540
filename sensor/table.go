package sensor

import (
	"io"
	"strings"
)

// joinLines is how many lines one quoted field may go over. A quotation mark
// that damage made or took must not swallow the rest of the file.
const joinLines = 20

// sampleRows is how many rows the form of a table is judged from.
const sampleRows = 500

// A record is one row. Where flaw is not empty the row is damaged, and fields
// is what could be told apart.
type record struct {
	fields []string
	number uint64 // of the row, from 1, header included
	flaw   string
}

// A tableReader cuts lines into rows.
type tableReader struct {
	in        *textReader
	delimiter string
	columns   int // that a whole row has
	ahead     []textLine
	end       error // what in returned after ahead
	rows      uint64
}

// newTableReader judges the delimiter and the number of columns by the first
// lines: the delimiter that cuts most of them into the same number of fields.
func newTableReader(in *textReader) *tableReader {
	t := &tableReader{in: in, delimiter: ",", columns: 1}
	size := 0
	for i := 0; i < sampleRows && size < maxLine; i++ {
		if !t.fill(i) {
			break
		}
		size += len(t.ahead[i].text)
	}
	best := 0
	for _, d := range []string{",", "\t", ";", "|"} {
		counts := map[int]int{}
		for _, l := range t.ahead {
			if fields, closed := cut(l.text, d); closed && l.flaw == "" && len(fields) > 1 {
				counts[len(fields)]++
			}
		}
		for columns, lines := range counts {
			if lines > best || lines == best && d == t.delimiter && columns > t.columns {
				best, t.delimiter, t.columns = lines, d, columns
			}
		}
	}
	return t
}

// fill makes ahead longer than i; false at the end.
func (t *tableReader) fill(i int) bool {
	for len(t.ahead) <= i && t.end == nil {
		l, err := t.in.next()
		if err != nil {
			t.end = err
			break
		}
		t.ahead = append(t.ahead, l)
	}
	return len(t.ahead) > i
}

// next gives the next row that is not blank.
func (t *tableReader) next() (record, error) {
	for {
		if !t.fill(0) {
			if t.end == io.EOF {
				return record{}, io.EOF
			}
			return record{}, t.end
		}
		l := t.ahead[0]
		if strings.TrimSpace(l.text) == "" && l.flaw == "" {
			t.ahead = t.ahead[1:]
			continue
		}
		t.rows++
		r := record{number: t.rows, flaw: l.flaw}
		fields, closed := cut(l.text, t.delimiter)
		used := 1
		if !closed && l.flaw == "" {
			if whole, n := t.join(); n > 0 {
				fields, used, closed = whole, n, true
			}
		}
		r.fields = fields
		if !closed {
			r.fields = strings.Split(l.text, t.delimiter)
		}
		switch {
		case r.flaw != "":
		case !closed:
			r.flaw = "unclosed quotation"
		case len(fields) != t.columns:
			r.flaw = "wrong number of columns"
		}
		t.ahead = t.ahead[used:]
		return r, nil
	}
}

// join reads a quotation that goes over several lines. n is the number of
// lines; 0 if no whole row comes of it, and then each line stands for itself.
func (t *tableReader) join() (fields []string, n int) {
	text := t.ahead[0].text
	for i := 1; i < joinLines && t.fill(i); i++ {
		if t.ahead[i].flaw != "" || len(text) > maxLine {
			return nil, 0
		}
		text += "\n" + t.ahead[i].text
		if fields, closed := cut(text, t.delimiter); closed {
			if len(fields) != t.columns {
				return nil, 0
			}
			return fields, i + 1
		}
	}
	return nil, 0
}

// cut cuts a row into fields as RFC 4180 says, except that a quotation mark
// within an unquoted field stands for itself. closed is false if a quotation
// does not end, or goes on behind its end.
func cut(row, delimiter string) (fields []string, closed bool) {
	for {
		if !strings.HasPrefix(row, `"`) {
			field, rest, more := strings.Cut(row, delimiter)
			fields = append(fields, field)
			if !more {
				return fields, true
			}
			row = rest
			continue
		}
		var field strings.Builder
		row = row[1:]
		for {
			part, rest, found := strings.Cut(row, `"`)
			field.WriteString(part)
			if !found {
				return append(fields, field.String()), false
			}
			row = rest
			if !strings.HasPrefix(row, `"`) {
				break
			}
			field.WriteByte('"')
			row = row[1:]
		}
		fields = append(fields, field.String())
		if row == "" {
			return fields, true
		}
		if !strings.HasPrefix(row, delimiter) {
			return fields, false
		}
		row = row[len(delimiter):]
	}
}
