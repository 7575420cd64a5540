package gate

import (
	"bytes"
	"maps"
	"slices"

	"sekisho"
	"sekisho/stmt"
)

// COPY … TO STDOUT of protected data. There is no RowDescription: the gate
// wrote the column list itself, so the hidden keys are the last fields of every
// line. PostgreSQL sends one line a CopyData message, which its manual does
// not promise: a message that is not exactly one line ends the statement.

// copyAllowed are the options of COPY that leave the form of a line as it is
// by default.
var copyAllowed = map[string]bool{"format": true, "header": true, "freeze": true}

// copyOptions notes the form of the lines, or refuses a form that the gate
// cannot read.
func (sp *stmtPlan) copyOptions(st *stmt.Statement) *refusal {
	for _, name := range slices.Sorted(maps.Keys(st.Copy.Options)) {
		if !copyAllowed[name] {
			return &refusal{code: "0A000", reason: "copy_option", text: "the gate does not pass COPY of protected data with the option " + name, hint: "Use FORMAT text or FORMAT csv with their usual delimiters, and convert in the client."}
		}
	}
	sp.header, sp.csv, sp.binary = st.Copy.Header, st.Copy.Format == "csv", st.Copy.Format == "binary"
	return nil
}

// copyOut passes a CopyOutResponse on, without its hidden columns.
func (r *replies) copyOut(w *want, sp *stmtPlan, from, to int) error {
	if r.cutting {
		return nil
	}
	if sp.kind != planFree {
		if why := r.copyLabel(w, sp); why != nil {
			return r.cut(w, why)
		}
	}
	if sp.kind != planExact {
		r.keep(from, to)
		return nil
	}
	if sp.blind {
		return r.anyRow(w, sp, &desc{anyRow: true}, from, to)
	}
	b := r.c.buf[from:to]
	if len(b) < 8 || len(b) != 8+2*int(be.Uint16(b[6:])) {
		return errServerProtocol
	}
	fields, hidden := int(be.Uint16(b[6:])), sp.hiddenFields()
	if (b[5] != 0) != sp.binary || hidden == 0 && !sp.told() || fields < hidden {
		return r.cut(w, &refusal{code: "0A000", reason: "copy_format", text: "the gate cannot read this form of COPY", hint: "Use FORMAT text or FORMAT csv."})
	}
	d := &desc{fields: fields, hidden: hidden, header: sp.header}
	for _, in := range sp.hidden {
		d.keys = append(d.keys, keyAt{of: r.s.g.vault.Space(in.Space), typ: keyTypes[in.TypeOID], null: in.KeyNullable})
	}
	columns, categories := sp.judgement.Static()
	var refused *refusal
	r.t.wait(func() {
		if sp.told() {
			refused = r.s.g.tellShapes(d, sp, columns, categories)
		} else {
			refused = r.s.g.addShapes(d, sp, columns, categories)
		}
	})
	if refused == nil && len(d.shapes) == 0 {
		refused = originRefusal // nothing says whose they are
	}
	if refused != nil {
		return r.cut(w, refused)
	}
	if w.portal != nil {
		w.portal.ps.desc.Store(d)
	} else {
		r.s.desc = d
	}
	b = b[:len(b)-2*hidden]
	be.PutUint16(b[6:], uint16(fields-hidden))
	be.PutUint32(b[1:], uint32(len(b)-1))
	r.keep(from, from+len(b))
	return nil
}

// copyRow takes the keys off the end of one line.
func (r *replies) copyRow(w *want, sp *stmtPlan, from, to int) error {
	if sp.kind != planExact || sp.blind {
		r.keep(from, to)
		return nil
	}
	d := r.descOf(w)
	if d == nil {
		return errServerProtocol
	}
	if sp.binary {
		return r.copyBinaryRow(w, sp, d, from, to)
	}
	b := r.c.buf[from:to]
	line := b[5:]
	n := len(line)
	odd := n == 0 || line[n-1] != '\n' || !sp.csv && bytes.IndexByte(line[:n-1], '\n') >= 0 || sp.csv && bytes.Count(line, quote)%2 != 0
	if odd {
		return r.cut(w, &refusal{code: "0A000", reason: "copy_line", text: "the server sent something else than one line a message, which the gate cannot account for"})
	}
	line = line[:n-1]
	var values [8][]byte
	keys := values[:0]
	for i := range d.hidden {
		if i == d.fields-1 { // SELECT FROM: nothing stands before the keys
			keys, line = append(keys, line), nil
			break
		}
		field, rest, ok := lastField(line, sp.csv)
		if !ok {
			return r.cut(w, changedRefusal)
		}
		keys, line = append(keys, field), rest
	}
	u := r.begin(w, d)
	var named []sekisho.Body // by this line
	if d.header && !u.header {
		u.header = true
	} else if d.head != nil {
		if done, err := r.behindHead(w, sp, u, headLine(keys, sp.csv), false); done || err != nil {
			return err
		}
		if why := r.behindRow(w, sp, u); why != nil {
			return r.cut(w, why)
		}
	} else {
		if why := r.comes(w, sp, u, d); why != nil {
			return r.cut(w, why)
		}
		entries := r.entries(u)
		seen := uint64(0) // of d.keys
		r.beforeRow(u, entries)
		for i := range d.keys {
			k := &d.keys[i]
			field := keys[len(keys)-1-i]
			if sp.csv && len(field) == 0 || !sp.csv && string(field) == `\N` {
				if k.null && !u.nobody {
					if err := r.nobody(w, sp, u); err != nil {
						return r.cut(w, refusalFor(err))
					}
				}
				continue
			}
			a := entries[k.space].(*sekisho.Access)
			ord, err := r.ordinal(k, unescape(field, sp.csv), false, a.Subjects)
			if err != nil {
				return r.cut(w, keyRefusal)
			}
			if over := r.within(w, u, d, entries, i, seen, ord); over != nil {
				return r.cut(w, over)
			}
			seen |= 1 << i
			a.Subjects = append(a.Subjects, ord)
		}
		least := uint32(max(len(line)-(d.fields-d.hidden-1), 1))
		if why := r.counted(w, sp, u, entries, seen, least); why != nil {
			return r.cut(w, why)
		}
		named = entries
	}
	end := 5 + len(line)
	b[end] = '\n'
	be.PutUint32(b[1:], uint32(end))
	r.keep(from, from+end+1)
	if u.marks != nil && named != nil {
		return u.follow(r, w, named, end+1, r.formOf(w))
	}
	return nil
}

// headLine are the hidden fields of a line, the last of which was taken off
// first; nil is NULL.
func headLine(keys [][]byte, csv bool) [][]byte {
	slices.Reverse(keys)
	for i, v := range keys {
		if csv && len(v) == 0 || !csv && string(v) == `\N` {
			keys[i] = nil
		} else {
			keys[i] = unescape(v, csv)
		}
	}
	return keys
}

var quote = []byte{'"'}

// lastField splits the last field off a line.
func lastField(line []byte, csv bool) (field, rest []byte, ok bool) {
	sep := byte('\t')
	if csv {
		sep = ','
		if n := len(line); n > 0 && line[n-1] == '"' {
			// A quoted field: its opening quote is the last one that an even number
			// of quotes precedes and that stands at the start of a field.
			inside, start := false, -1
			for i, c := range line {
				if c == '"' {
					if inside = !inside; inside && (i == 0 || line[i-1] == ',') {
						start = i
					}
				}
			}
			if start <= 0 {
				return nil, nil, false
			}
			return line[start:], line[:start-1], true
		}
	}
	i := bytes.LastIndexByte(line, sep)
	if i < 0 {
		return nil, nil, false
	}
	return line[i+1:], line[:i], true
}

// unescape is a field's value.
func unescape(field []byte, csv bool) []byte {
	if csv {
		if n := len(field); n >= 2 && field[0] == '"' {
			return bytes.ReplaceAll(field[1:n-1], []byte(`""`), quote)
		}
		return field
	}
	if bytes.IndexByte(field, '\\') < 0 {
		return field
	}
	out := make([]byte, 0, len(field))
	for i := 0; i < len(field); i++ {
		c := field[i]
		if c == '\\' && i+1 < len(field) {
			i++
			switch c = field[i]; c {
			case 'b':
				c = '\b'
			case 'f':
				c = '\f'
			case 'n':
				c = '\n'
			case 'r':
				c = '\r'
			case 't':
				c = '\t'
			case 'v':
				c = '\v'
			}
		}
		out = append(out, c)
	}
	return out
}
