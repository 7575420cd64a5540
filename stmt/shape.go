package stmt

import (
	"strings"
	"unicode/utf8"
)

// Placeholders in a shape key. A key holds them for literals only, since a
// text with any control character of its own has no key.
const (
	aNumber = 0x01
	aString = 0x02
)

const maxShapeBytes = 64 << 10

// ShapeKey is the text with its literals taken out. Two texts with the same
// key have the same analysis but for what stands after their first literal and
// for the literals themselves. It reports false for every text whose meaning
// could depend on a literal, or that it does not know for certain to be one
// simple SELECT, INSERT, UPDATE or DELETE: comments, dollar quotes, escapes,
// several statements. Numbers behind ORDER or GROUP, where they may name a
// column, and behind OFFSET, which skips rows or does not, stay in the key. A semicolon at the end and white space before or
// behind it are not in the key.
func ShapeKey(text string) (key string, ok bool) {
	key, _, ok = shapeKey(text)
	return key, ok
}

// Literals are the places of the first literals of a text that has a ShapeKey.
// Two texts of one key have as many, each in its turn for the other's.
type Literals struct {
	places [8]struct{ at, end int }
	count  int // of all, also of those that have no place
}

func (l *Literals) add(at, end int) {
	if l.count < len(l.places) {
		l.places[l.count].at, l.places[l.count].end = at, end
	}
	l.count++
}

// behind: no literal begins before this byte.
func (l *Literals) behind(at int) bool { return l.count == 0 || at <= l.places[0].at }

// Which gives the turn of the literal that begins at this byte, from 0.
func (l *Literals) Which(at int) (turn int, ok bool) {
	for i := range min(l.count, len(l.places)) {
		if l.places[i].at == at {
			return i, true
		}
	}
	return 0, false
}

// Value is what the literal of this turn says in text, which is the one that
// the places were found in. It reports false for one that holds a quote.
func (l *Literals) Value(text string, turn int) (value string, ok bool) {
	if turn >= min(l.count, len(l.places)) {
		return "", false
	}
	value = text[l.places[turn].at:l.places[turn].end]
	if value[0] == '\'' {
		value = value[1 : len(value)-1]
		ok = !strings.Contains(value, "'")
		return value, ok
	}
	return value, true
}

// Shape is ShapeKey, and the places of the literals.
func Shape(text string) (key string, literals Literals, ok bool) { return shapeKey(text) }

func shapeKey(text string) (key string, literals Literals, ok bool) {
	if len(text) > maxShapeBytes {
		return "", Literals{}, false
	}
	var room [512]byte
	b := room[:0]
	positional, ascii := false, true
	words, done := 0, false
	for i := 0; i < len(text); {
		c := text[i]
		if done && c != ' ' && c != '\n' && c != '\t' && c != '\r' {
			return "", Literals{}, false // something behind the semicolon
		}
		switch {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			b = append(b, c)
			i++
		case c < ' ' || c == 0x7f:
			return "", Literals{}, false
		case wordStart(c):
			j := i + 1
			for j < len(text) && wordPart(text[j]) {
				ascii = ascii && text[j] < utf8.RuneSelf
				j++
			}
			ascii = ascii && c < utf8.RuneSelf
			if j < len(text) && (text[j] == '\'' || text[j] == '"' && (c|0x20) == 'u') {
				return "", Literals{}, false // E'', B'', X'', N'', U&"" and the like
			}
			word := text[i:j]
			words++
			if words == 1 && !isWord(word, "select") && !isWord(word, "insert") && !isWord(word, "update") && !isWord(word, "delete") {
				return "", Literals{}, false
			}
			switch {
			case isWord(word, "order"), isWord(word, "group"), isWord(word, "partition"), isWord(word, "over"), isWord(word, "distinct"), isWord(word, "offset"):
				positional = true
			case isWord(word, "set_config"), isWord(word, "into") && words > 2, isWord(word, "uescape"):
				return "", Literals{}, false
			}
			b = append(b, word...)
			i = j
		case c >= '0' && c <= '9' || c == '.' && i+1 < len(text) && text[i+1] >= '0' && text[i+1] <= '9':
			j := i
			dots := 0
			for j < len(text) && (text[j] >= '0' && text[j] <= '9' || text[j] == '.') {
				if text[j] == '.' {
					dots++
				}
				j++
			}
			if dots > 1 || j < len(text) && (wordPart(text[j]) || text[j] == '\'' || text[j] == '"') {
				return "", Literals{}, false // 1e5, 0x1F, 1_000, 1..2
			}
			literals.add(i, j)
			if positional {
				b = append(b, text[i:j]...)
			} else {
				b = append(b, aNumber)
			}
			i = j
		case c == '\'':
			j := i + 1
			for {
				if j >= len(text) {
					return "", Literals{}, false
				}
				if text[j] == '\\' {
					return "", Literals{}, false
				}
				ascii = ascii && text[j] < utf8.RuneSelf
				if text[j] == 0 {
					return "", Literals{}, false
				}
				if text[j] == '\'' {
					if j+1 < len(text) && text[j+1] == '\'' {
						j += 2
						continue
					}
					break
				}
				j++
			}
			b = append(b, aString)
			literals.add(i, j+1)
			i = j + 1
		case c == '"':
			j := i + 1
			for j < len(text) && text[j] != '"' {
				if text[j] < ' ' {
					return "", Literals{}, false
				}
				ascii = ascii && text[j] < utf8.RuneSelf
				j++
			}
			if j >= len(text) {
				return "", Literals{}, false
			}
			if strings.Contains(lower(text[i:j]), "set_config") {
				return "", Literals{}, false // what it does depends on its literals
			}
			b = append(b, text[i:j+1]...)
			i = j + 1
		case c == '$': // a parameter; a dollar quote has no digit here
			j := i + 1
			for j < len(text) && text[j] >= '0' && text[j] <= '9' {
				j++
			}
			if j == i+1 || j < len(text) && (wordPart(text[j]) || text[j] == '$') {
				return "", Literals{}, false
			}
			b = append(b, text[i:j]...)
			i = j
		case c == '-' && strings.HasPrefix(text[i:], "--"), c == '/' && strings.HasPrefix(text[i:], "/*"), c == '&', c == '\\':
			return "", Literals{}, false
		case c == ';':
			done = true
			i++
		default:
			b = append(b, c)
			i++
		}
	}
	if words == 0 || !ascii && !utf8.ValidString(text) {
		return "", Literals{}, false
	}
	return strings.TrimRight(string(b), " \t\n\r"), literals, true
}

func wordStart(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c >= utf8.RuneSelf
}

func wordPart(c byte) bool {
	return wordStart(c) || c >= '0' && c <= '9' || c == '$'
}

// isWord compares without regard to ASCII case; word is in lower case.
func isWord(s, word string) bool {
	if len(s) != len(word) {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != word[i] {
			return false
		}
	}
	return true
}
