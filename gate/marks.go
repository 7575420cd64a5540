package gate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"sekisho"
	"sekisho/catalog"
	"sekisho/stmt"
)

// The answer to an approved export can carry decoys that no other answer has: rows
// of people who do not exist, among the others, each with a key and a mailbox of
// its own. Nothing is written to the database: the gate makes each from the row
// before it, so the types and the form are those of the answer, whatever it is.
// Who they are is durable before the first of them goes.

// marks are the decoys of an answer that begins to need its approval.
type marks struct {
	request   uint64
	by        uint32   // who approved it
	mailboxes []string // of those that have not gone yet
	wait      int      // rows until the next
	model     []byte   // the row before, as the client gets it
	subject   uint32   // whose that is
	before    [8][]byte
	rows      int
}

// markable says why an answer cannot carry decoys, or nil.
func markable(w *want, u *run) *refusal {
	sp, d := w.statement(), u.d
	if d != nil && d.head == nil && len(d.shapes) == 1 && len(d.keys) == 1 && !d.whole && sp.written == nil && sp.skip == nil && sp.judgement.Verb != sekisho.Insert && w.rows == 0 {
		return nil
	}
	return &refusal{code: "0A000", reason: "export_decoys", tables: sp.judgement.Tables,
		text: "this answer cannot carry the decoys that it was approved with",
		hint: "Rows of one table with the customer's key can, read in one piece (no OFFSET, no row limit in Execute). Send such a statement, or ask again with --decoys 0."}
}

// follow looks at a row that has just been kept, size bytes up to r.w, and puts a
// decoy behind it when it is time.
func (u *run) follow(r *replies, w *want, entries []sekisho.Body, size int, form rowForm) error {
	m := u.marks
	if m == nil || len(m.mailboxes) == 0 {
		return nil
	}
	if named := entries[0].(*sekisho.Access).Subjects; len(named) > 0 {
		m.subject = named[len(named)-1]
	} else {
		return nil
	}
	m.model = append(m.model[:0], r.c.buf[r.w-size:r.w]...)
	at := &m.before[m.rows%len(m.before)]
	*at = append((*at)[:0], m.model...)
	m.rows++
	if m.wait--; m.wait > 0 {
		return nil
	}
	m.wait = 1 + rand.IntN(40)
	return r.placeDecoy(w, u, form)
}

// leftDecoys puts what has not gone yet behind the last row. again: the message
// that is at hand is to be looked at anew.
func (r *replies) leftDecoys(w *want, from int) (again bool, err error) {
	u := r.runningFor(w)
	if u == nil || u.marks == nil || len(u.marks.mailboxes) == 0 || u.marks.model == nil || r.cutting {
		return false, nil
	}
	r.scan = from
	for len(u.marks.mailboxes) > 0 {
		if err := r.placeDecoy(w, u, r.formOf(w)); err != nil || r.cutting {
			return true, err
		}
	}
	return true, nil
}

// rowForm says how an answer's rows look.
type rowForm struct {
	copies, csv, binary bool
	typ                 func(field int) uint32 // 0: unknown
	inBinary            func(field int) bool
}

func (r *replies) formOf(w *want) rowForm {
	sp, d := w.statement(), r.descOf(w)
	f := rowForm{copies: d.raw == nil, csv: sp.csv, binary: sp.binary, typ: func(int) uint32 { return 0 }, inBinary: func(int) bool { return false }}
	if f.copies {
		f.inBinary = func(int) bool { return sp.binary }
		return f
	}
	visible := d.fields - d.hidden
	if of, err := origins(d.raw[min(len(d.raw), rawHead(d.raw)):]); err == nil {
		f.typ = func(i int) uint32 {
			if i < len(of) {
				return of[i].typ
			}
			return 0
		}
	}
	f.inBinary = func(i int) bool { return w.binary(i, visible) }
	return f
}

// rawHead is how many bytes of a description stand before its fields' number.
func rawHead(raw []byte) int {
	if len(raw) > 0 && raw[0] == 'T' {
		return 5
	}
	return 0
}

var errNoDecoyKey = errors.New("no free key was found for a decoy")

// placeDecoy makes a decoy of the model, records who it is, and keeps its row.
func (r *replies) placeDecoy(w *want, u *run, form rowForm) error {
	m, s, k := u.marks, r.s, &u.d.keys[0]
	space := u.d.shapes[0].space
	mailbox := m.mailboxes[0]
	old, _ := s.g.vault.Space(space).Key(m.subject)
	row, key, failed := m.row(form, old, mailbox, k.typ, func(key string) (bool, error) {
		if _, known := k.of.Find(key); known {
			return false, nil
		}
		if n, ok := parseInt([]byte(key)); ok && k.of.FindInt(n) != 0 {
			return false, nil
		}
		// The vault knows whom it has seen. The database knows who is there.
		var taken bool
		var err error
		r.t.wait(func() { taken, err = s.g.isCustomer(space, key, k.typ) })
		return !taken, err
	})
	if failed != nil {
		// Not the value: an error of the database's could hold one.
		s.log.Warn("no decoy could be made for an export", "request", m.request, "error", upstreamReason(failed))
		return r.cut(w, &refusal{code: "53100", reason: "export_decoys", tables: w.statement().judgement.Tables,
			text: "a decoy that this answer was approved with could not be made, so it ends here",
			hint: "sekisho's own login has to be able to ask the subject's table for a key; the log says more. Ask again, with --decoys 0 if nothing else helps."})
	}
	ord, err := k.ordinal([]byte(key), false, 0)
	if err == nil && ord == 0 {
		err = errNoDecoyKey
	}
	if err == nil {
		r.t.wait(func() {
			_, err = s.g.append(&sekisho.DecoyPlaced{Action: "placed", Space: space, Subject: ord, Tables: w.statement().judgement.Tables,
				Mailbox: s.g.vault.Space("mailbox").OfText([]byte(mailbox)), Request: m.request, By: m.by})
		})
	}
	if err != nil {
		return r.cut(w, ledgerRefusal(fmt.Errorf("placing a decoy of an export: %w", err)))
	}
	m.mailboxes = m.mailboxes[1:]
	w.skipped-- // the client is given one more than the server has counted
	return r.insert(row)
}

// isCustomer asks the database whether somebody has this key now, also somebody
// who came after the roster was read and whom nobody has asked for since.
func (g *Gate) isCustomer(space, key string, typ keyType) (taken bool, err error) {
	i := slices.IndexFunc(g.catalog.Subjects, func(s catalog.Subject) bool { return s.Name == space })
	if i < 0 {
		return false, fmt.Errorf("the catalog has no %s", space)
	}
	ctx, stop := context.WithTimeout(context.Background(), g.conf.Limits.Startup)
	defer stop()
	rd, err := g.reader(ctx)
	if err != nil {
		return false, err
	}
	defer rd.close()
	of := g.catalog.Subjects[i]
	schema, table, _ := strings.Cut(of.Table, ".")
	// So that an index on the key serves, the value is cast, not the column.
	cast := map[keyType]string{keyInt2: "::int8", keyInt4: "::int8", keyInt8: "::int8", keyNumeric: "::numeric", keyUUID: "::uuid", keyChar: "::bpchar"}[typ]
	rows, err := rd.query(ctx, "SELECT 1 FROM "+stmt.Quote(schema)+"."+stmt.Quote(table)+" WHERE "+stmt.Quote(of.Key)+" = $1"+cast+" LIMIT 1", key)
	if err != nil {
		return false, fmt.Errorf("asking whether a key is somebody's: %w", err)
	}
	return len(rows) > 0, nil
}

// row is the model as somebody else.
func (m *marks) row(form rowForm, old, mailbox string, typ keyType, free func(string) (bool, error)) (row []byte, key string, err error) {
	for tries := 0; ; tries++ {
		key = otherKey(old, typ)
		if is, err := free(key); err != nil {
			return nil, "", err
		} else if is {
			break
		}
		if tries == 200 {
			return nil, "", errNoDecoyKey
		}
	}
	fields, err := form.split(m.model)
	if err != nil {
		return nil, "", err
	}
	var others [][][]byte
	for _, b := range m.before {
		if len(b) > 0 && !bytes.Equal(b, m.model) {
			if of, err := form.split(b); err == nil && len(of) == len(fields) {
				others = append(others, of)
			}
		}
	}
	for i, v := range fields {
		if v == nil {
			continue
		}
		number := form.typ(i) == 0 || form.typ(i) == 1700
		switch text := textual(form.typ(i), form.inBinary(i), v); {
		case string(v) == old || form.csv && string(unescape(v, true)) == old:
			fields[i] = []byte(key)
		case form.inBinary(i) && binaryInt(v, old):
			n, _ := parseInt([]byte(key))
			fields[i] = make([]byte, len(v))
			for at := range v {
				fields[i][len(v)-1-at] = byte(n >> (8 * at))
			}
		case number && !form.inBinary(i) && string(trimScale(v)) == old:
			fields[i] = []byte(key)
		case number && form.inBinary(i) && binaryNumeric(v, old):
			fields[i] = appendNumeric(nil, []byte(key))
		case text && bytes.IndexByte(v, '@') > 0:
			fields[i] = []byte(mailbox)
		case text && !common(v, i, others):
			fields[i] = scramble(v, form.copies && !form.csv && !form.binary)
		}
	}
	return form.join(fields), key, nil
}

// common: what others have too says nothing about anybody, and stays.
func common(v []byte, i int, others [][][]byte) bool {
	for _, of := range others {
		if bytes.Equal(of[i], v) {
			return true
		}
	}
	return false
}

// binaryInt: v is the integer in old, in two, four or eight bytes.
func binaryInt(v []byte, old string) bool {
	n, ok := parseInt([]byte(old))
	switch {
	case !ok:
		return false
	case len(v) == 2:
		return int64(int16(be.Uint16(v))) == n
	case len(v) == 4:
		return int64(int32(be.Uint32(v))) == n
	}
	return len(v) == 8 && int64(be.Uint64(v)) == n
}

// textual: it is a text that can be written otherwise without becoming something
// else. Where the type is not known it has letters, or is a long number.
func textual(typ uint32, binary bool, v []byte) bool {
	switch typ {
	case 25, 1043, 1042:
		return true
	case 0:
	default:
		return false
	}
	if !utf8.Valid(v) || len(v) > 0 && (v[0] == '{' || v[0] == '[') {
		return false
	}
	letters, digits, wide, marks := 0, 0, false, 0
	for _, c := range string(v) {
		switch {
		case !unicode.IsPrint(c):
			return false
		case unicode.IsLetter(c):
			letters, wide = letters+1, wide || c >= 0x80
		case unicode.IsDigit(c):
			digits++
		case c == '-' || c == ':' || c == '.':
			marks++
		}
	}
	if binary && (len(v) == 1 || len(v) == 2 || len(v) == 4 || len(v) == 8 || len(v) == 16) && !wide {
		return false // it may be a number
	}
	if letters > 1 {
		return !(digits >= 6 && marks >= 2) // not a moment with its zone, nor a UUID
	}
	return letters == 0 && digits >= 9 && marks == 0 || letters == 1 && digits >= 5 || letters == 0 && len(v) > 0 && (v[0] == '0' || v[0] == '+') && digits >= 9
}

// scramble writes something of the same length and kind. escapes: a letter behind a
// backslash means something.
func scramble(v []byte, escapes bool) []byte {
	pick := func(from string) rune { list := []rune(from); return list[rand.IntN(len(list))] }
	var out strings.Builder
	after := false
	for _, c := range string(v) {
		switch {
		case after:
			after = false
		case c == '\\' && escapes:
			after = true
		case strings.ContainsRune("aeiou", c):
			c = pick("aeiou")
		case strings.ContainsRune("AEIOU", c):
			c = pick("AEIOU")
		case c >= 'a' && c <= 'z':
			c = pick("bdghkmnrsty")
		case c >= 'A' && c <= 'Z':
			c = pick("BDGHKMNRSTY")
		case c >= '0' && c <= '9':
			c = pick("0123456789")
		case unicode.Is(unicode.Hiragana, c):
			c = pick("あいうかきくさしたちなにのはひまみやよらりわ")
		case unicode.Is(unicode.Katakana, c):
			c = pick("アイウカキクサシタチナニノハヒマミヤヨラリワ")
		case unicode.Is(unicode.Han, c):
			c = pick("山田川中村小林木原石井上野森藤松本高橋千春美幸子恵和真一")
		}
		out.WriteRune(c)
	}
	return []byte(out.String())
}

// otherKey looks like a key. An integer is one that is longer than those before it,
// as far as its type goes: shorter ones may be somebody's whom nobody has read yet.
func otherKey(old string, typ keyType) string {
	if typ == keyInt2 || typ == keyInt4 || typ == keyInt8 || typ == keyNumeric {
		length := min(max(len(old)+1, 7), map[keyType]int{keyInt2: 4, keyInt4: 9, keyInt8: 18, keyNumeric: 18}[typ])
		out := []byte{'9'}
		for len(out) < length {
			out = append(out, byte('0'+rand.IntN(10)))
		}
		return string(out)
	}
	out := []byte(old)
	for i, c := range out {
		switch {
		case c >= '0' && c <= '9':
			out[i] = byte('0' + rand.IntN(10))
		case c >= 'a' && c <= 'f':
			out[i] = byte('a' + rand.IntN(6))
		case c >= 'A' && c <= 'Z':
			out[i] = byte('A' + rand.IntN(26))
		}
	}
	return string(out)
}

// split takes a row apart as the client gets it; nil is NULL.
func (f rowForm) split(msg []byte) ([][]byte, error) {
	switch {
	case f.copies && f.csv:
		line := bytes.TrimSuffix(msg[5:], []byte{'\n'})
		var out [][]byte
		inside, from := false, 0
		for i, c := range line {
			if c == '"' {
				inside = !inside
			} else if c == ',' && !inside {
				out, from = append(out, line[from:i:i]), i+1
			}
		}
		out = append(out, line[from:])
		for i, v := range out {
			if len(v) == 0 {
				out[i] = nil
			}
		}
		return out, nil
	case f.copies && !f.binary:
		out := bytes.Split(bytes.TrimSuffix(msg[5:], []byte{'\n'}), []byte{'\t'})
		for i, v := range out {
			if string(v) == `\N` {
				out[i] = nil
			}
		}
		return out, nil
	}
	row := msg[5:]
	if f.binary && bytes.HasPrefix(row, copySignature) {
		row = row[copyHead:]
	}
	if len(row) < 2 {
		return nil, errBinaryRow
	}
	values, _, err := fieldsOfBinary(row, int(be.Uint16(row)))
	return values, err
}

func (f rowForm) join(fields [][]byte) []byte {
	typ := byte('D')
	var body []byte
	switch {
	case f.copies && !f.binary:
		typ = 'd'
		sep, null := "\t", `\N`
		if f.csv {
			sep, null = ",", ""
		}
		for i, v := range fields {
			if i > 0 {
				body = append(body, sep...)
			}
			if v == nil {
				body = append(body, null...)
			}
			body = append(body, v...)
		}
		body = append(body, '\n')
	default:
		if f.copies {
			typ = 'd'
		}
		body = be.AppendUint16(body, uint16(len(fields)))
		for _, v := range fields {
			if v == nil {
				body = be.AppendUint32(body, 0xffffffff)
				continue
			}
			body = append(be.AppendUint32(body, uint32(len(v))), v...)
		}
	}
	return appendMessage(nil, typ, string(body))
}
