package gate

import "errors"

// copyLines reads one field out of each line that a client sends to COPY FROM,
// in the formats text and csv with their usual delimiters, as the server does.
// The bytes come in pieces of any size. Where the server might read otherwise,
// it gives an error.
type copyLines struct {
	csv  bool
	skip bool // the line at hand is the header
	key  int  // the field to read, from 0

	at     int    // the field at hand
	length int    // bytes of the line so far
	dot    bool   // the line so far is the end marker
	raw    []byte // of the key's field: as sent in format text, the value in csv
	quoted bool   // in csv, a part of it stood in quotes
	state  lineState
	ended  bool // the end marker has come
}

type lineState byte

const (
	linePlain  lineState = iota
	lineEscape           // text: behind a backslash
	lineQuoted           // csv: in quotes
	lineQuote            // csv: behind a quote in quotes
	lineReturn           // behind a carriage return, which a newline must follow
)

var errLines = errors.New("lines of a COPY that cannot be read for certain")

// longestCopied is the longest key in a line, in bytes.
const longestCopied = 4 << 10

// read takes the next bytes, and calls each with the key of every line that
// ends in them. The field is only valid during the call.
func (l *copyLines) read(b []byte, each func(field []byte, null bool) error) error {
	for _, c := range b {
		if err := l.next(c, each); err != nil {
			return err
		}
	}
	return nil
}

func (l *copyLines) next(c byte, each func([]byte, bool) error) error {
	if l.ended {
		if c == '\n' || c == '\r' {
			return nil
		}
		return errLines // which the server ignores, or does not
	}
	switch l.state {
	case lineReturn:
		if c != '\n' {
			return errLines
		}
		l.state = linePlain
		return l.line(each)
	case lineEscape:
		l.state = linePlain
		if l.dot = c == '.' && l.length == 1; c == '.' && !l.dot {
			return errLines
		}
		if c >= '0' && c <= '9' || c == 'x' { // a byte by its number
			if l.at == l.key {
				return errLines
			}
		}
		return l.keep(c)
	case lineQuote:
		if c == '"' {
			l.state = lineQuoted
			return l.keep(c)
		}
		l.state = linePlain
	case lineQuoted:
		if c == '"' {
			l.state = lineQuote
			l.length++
			return nil
		}
		return l.keep(c)
	}
	switch {
	case c == '\n':
		return l.line(each)
	case c == '\r':
		l.state = lineReturn
		return nil
	case l.dot && !l.csv:
		return errLines
	case !l.csv && c == '\t', l.csv && c == ',':
		l.at++
		l.length++
		l.dot = false
		return nil
	case !l.csv && c == '\\':
		l.state = lineEscape
	case l.csv && c == '"':
		l.state = lineQuoted
		l.length++
		l.dot = false
		l.quoted = l.quoted || l.at == l.key
		return nil
	}
	if l.csv {
		l.dot = l.length == 1 && c == '.' && l.dot || l.length == 0 && c == '\\'
	}
	return l.keep(c)
}

// keep takes a byte of a field.
func (l *copyLines) keep(c byte) error {
	l.length++
	if l.at != l.key || l.skip {
		return nil
	}
	if len(l.raw) == longestCopied {
		return errLines
	}
	l.raw = append(l.raw, c)
	return nil
}

// line ends a line.
func (l *copyLines) line(each func([]byte, bool) error) error {
	raw, quoted, has, marker, header := l.raw, l.quoted, l.at >= l.key, l.dot && l.length == 2, l.skip
	l.at, l.length, l.dot, l.quoted, l.skip, l.raw = 0, 0, false, false, false, l.raw[:0]
	switch {
	case marker:
		l.ended = true
		return nil
	case header || !has: // too few fields: the server takes no such line
		return nil
	case l.csv:
		return each(raw, len(raw) == 0 && !quoted)
	case string(raw) == `\N`:
		return each(nil, true)
	}
	return each(unescape(raw, false), false)
}

// end is the end of the data: what stands behind the last newline is a line,
// too.
func (l *copyLines) end(each func(field []byte, null bool) error) error {
	switch {
	case l.ended || l.length == 0 && l.at == 0 && l.state == linePlain:
		return nil
	case l.state == linePlain || l.state == lineQuote:
		if l.dot {
			return errLines
		}
		return l.line(each)
	}
	return errLines
}
