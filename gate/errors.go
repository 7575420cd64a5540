package gate

import (
	"bytes"
	"encoding/binary"
	"math"
	"strconv"
	"strings"

	"sekisho"
)

// A refusal is what a client reads when the gate turns something away: the
// fields of an ErrorResponse (protocol section 55.8).
type refusal struct {
	code string // SQLSTATE
	text string
	hint string

	// For the Refused entry.
	reason string
	tables []string
	ruled  *sekisho.Ruled // by the policy: what it said, without the session

	recorded bool // the Refused entry is in the ledger
}

// appendError appends an ErrorResponse.
func appendError(dst []byte, severity string, r *refusal) []byte {
	at := len(dst)
	dst = append(dst, 'E', 0, 0, 0, 0)
	field := func(t byte, v string) {
		if v != "" {
			dst = append(dst, t)
			dst = append(dst, v...)
			dst = append(dst, 0)
		}
	}
	field('S', severity)
	field('V', severity)
	field('C', r.code)
	field('M', r.text)
	field('H', r.hint)
	dst = append(dst, 0)
	binary.BigEndian.PutUint32(dst[at+1:], uint32(len(dst)-at-1))
	return dst
}

// errorField is the value of one field of an ErrorResponse or NoticeResponse,
// or "" if it is not there. A malformed message has no fields.
func errorField(body []byte, field byte) string {
	for len(body) > 0 && body[0] != 0 {
		end := bytes.IndexByte(body[1:], 0)
		if end < 0 {
			return ""
		}
		if body[0] == field {
			return string(body[1 : 1+end])
		}
		body = body[end+2:]
	}
	return ""
}

// redact rebuilds an ErrorResponse or NoticeResponse of a statement over
// protected data without the fields that can carry customers' values: the
// message (a failed cast quotes what it could not cast), detail, hint, context
// and internal query. What stays: severity, SQLSTATE, position, the place in
// the server's source, the names of the schema's objects, and the message
// where it can speak only of the statement's own text or of the server. shift
// is how far the gate's insertion moved what stands behind byte offset at.
func redact(dst []byte, typ byte, body []byte, at, shift int) []byte {
	start := len(dst)
	dst = append(dst, typ, 0, 0, 0, 0)
	code, pointed := errorField(body, 'C'), pointsAtTheText(body)
	speaks := typ == 'E' && errorField(body, 'R') != "exec_stmt_raise" && speaksOfTheStatement(code, pointed)
	for len(body) > 0 && body[0] != 0 {
		end := bytes.IndexByte(body[1:], 0)
		if end < 0 {
			break
		}
		field, value := body[0], body[1:1+end]
		body = body[end+2:]
		switch field {
		case 'S', 'V', 'C', 's', 't', 'c', 'd', 'n', 'F', 'L', 'R':
		case 'P':
			if shift == noPosition || !pointed {
				continue
			}
			value = shiftPosition(value, at, shift)
		case 'M':
			if !speaks {
				value = []byte(conditionName(code) + " (text withheld by sekisho: it can hold a customer's data)")
			}
		default:
			continue
		}
		dst = append(dst, field)
		dst = append(dst, value...)
		dst = append(dst, 0)
	}
	dst = append(dst, 0)
	binary.BigEndian.PutUint32(dst[start+1:], uint32(len(dst)-start-1))
	return dst
}

// noPosition: where the gate's own text stands is all over the statement.
const noPosition = math.MaxInt

// shiftPosition moves a character position back by what the gate inserted.
// Positions count characters, the insertion is ASCII and stands at byte at;
// text before it is nearly always ASCII too, and a position is a courtesy.
func shiftPosition(value []byte, at, shift int) []byte {
	pos := 0
	for _, c := range value {
		if c < '0' || c > '9' || pos > 1<<30 {
			return value
		}
		pos = pos*10 + int(c-'0')
	}
	if shift == 0 || pos <= at {
		return value
	}
	return appendInt(nil, max(pos-shift, 1))
}

func appendInt(dst []byte, n int) []byte {
	if n >= 10 {
		dst = appendInt(dst, n/10)
	}
	return append(dst, byte('0'+n%10))
}

// pointsAtTheText: the position in an error is one of the statement's own text.
// The server's grammar is also asked about values at run time, by casts to
// regtype and the like, and then it points into the value and quotes it. What it
// says of the statement itself comes in reply to Parse, or never: the gate has
// read the text by the same grammar before.
func pointsAtTheText(body []byte) bool {
	if errorField(body, 'P') == "" {
		return false
	}
	file := errorField(body, 'F')
	file = file[strings.LastIndexAny(file, `/\`)+1:]
	return !strings.HasPrefix(file, "scan.") && !strings.HasPrefix(file, "gram.") && !strings.HasPrefix(file, "parser.")
}

// tests: an error of this code may depend on customers' values, so that it
// tells something of them by coming or not. What the server finds wrong with
// the text itself, and its own state, do not.
func tests(code string, pointed bool) bool {
	if len(code) != 5 {
		return true
	}
	switch code[:2] {
	case "08", "25", "26", "34", "53", "57":
		return false // locks (55P03) and conflicts (40001) are met only on rows that a condition lets through
	case "42":
		return !pointed
	}
	return true
}

// mistyped: an error is of the server's grammar, about a text that the gate's
// grammar does not take either, and quotes what stands there at the place that it
// points at.
func (w *want) mistyped(body []byte) bool {
	if w.plan == nil || !w.plan.unread || errorField(body, 'C') != "42601" {
		return false
	}
	at, err := strconv.Atoi(errorField(body, 'P'))
	if text := []rune(w.plan.text); err == nil && at > 0 && at <= len(text)+1 {
		rest := string(text[at-1:])
		_, quoted, ok := strings.Cut(errorField(body, 'M'), ` at or near "`)
		quoted, whole := strings.CutSuffix(quoted, `"`)
		return ok && whole && strings.HasPrefix(rest, quoted) || !ok && strings.TrimSpace(rest) == "" && strings.HasSuffix(errorField(body, 'M'), " at end of input")
	}
	return false
}

// speaksOfTheStatement: the message of such an error is made of the
// statement's own words or of the server's state. Class 42 is so only where
// the server points at a place in the text: without one, it may come from a
// value that was taken for a name at run time (name::regclass). Classes 0A and
// 54 quote values too ("word is too long").
func speaksOfTheStatement(code string, pointed bool) bool {
	if len(code) != 5 {
		return false
	}
	switch code[:2] {
	case "25", "26", "34", "40", "53", "57":
		return true
	case "42":
		return pointed || code == "42501"
	}
	return code == "08P01" || code == "55P03"
}

// shifted is an error about the statement's text alone, as Parse gives it:
// whole, with the positions of the client's own text.
func shifted(dst []byte, body []byte, at, shift int) []byte {
	start := len(dst)
	dst = append(dst, 'E', 0, 0, 0, 0)
	for len(body) > 0 && body[0] != 0 {
		end := bytes.IndexByte(body[1:], 0)
		if end < 0 {
			break
		}
		value := body[1 : 1+end]
		if body[0] == 'P' {
			if shift == noPosition {
				body = body[end+2:]
				continue
			}
			value = shiftPosition(value, at, shift)
		}
		dst = append(append(append(dst, body[0]), value...), 0)
		body = body[end+2:]
	}
	dst = append(dst, 0)
	binary.BigEndian.PutUint32(dst[start+1:], uint32(len(dst)-start-1))
	return dst
}

// isFatal: the server ends the session with this error.
func isFatal(body []byte) bool {
	v := errorField(body, 'V')
	return v == "FATAL" || v == "PANIC"
}

// conditionName is PostgreSQL's name of the conditions that statements over
// customers' data meet most (appendix A of its manual).
func conditionName(code string) string {
	switch code {
	case "22001":
		return "string data right truncation"
	case "22003":
		return "numeric value out of range"
	case "22007":
		return "invalid datetime format"
	case "22008":
		return "datetime field overflow"
	case "22012":
		return "division by zero"
	case "22021":
		return "character not in repertoire"
	case "22023":
		return "invalid parameter value"
	case "22P02":
		return "invalid text representation"
	case "22P03":
		return "invalid binary representation"
	case "23502":
		return "not null violation"
	case "23503":
		return "foreign key violation"
	case "23505":
		return "unique violation"
	case "23514":
		return "check violation"
	case "P0001":
		return "raised exception"
	case "", "00000":
		return "notice"
	case "01000":
		return "warning"
	case "42P01", "42704", "42883", "3F000", "3D000":
		return "a name that does not exist"
	}
	return "error " + code
}
