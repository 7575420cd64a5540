package stmt

import (
	"net/url"
	"strings"
	"unicode/utf8"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// Programs write into a comment at the end of a statement what it is for, each
// time something else. The statement means the same without it.

// CutComment takes a block comment off the end of a text, with the white space
// and semicolons behind it: bare + tail is the text. tail is empty if the text
// does not end so, or if it is not certain that it does.
//
// Where the grammar takes bare, the whole text means the same: bare then ends
// outside of everything that a comment could be a part of, and tail is one
// comment from its first byte on, by the server's rules for nesting.
func CutComment(text string) (bare, tail string) {
	end := len(text)
	for end > 0 && (text[end-1] == ';' || blank(text[end-1])) {
		end--
	}
	if end < 4 || text[end-1] != '/' || text[end-2] != '*' {
		return text, ""
	}
	at := strings.LastIndex(text[:end-1], "/*") // also one whose star is that of the end
	if at < 0 || at+4 > end {
		return text, ""
	}
	// The last beginning of a comment is that of the last comment, unless this
	// stands inside another one, which then does not end here.
	if strings.Contains(text[at+2:end-2], "*/") {
		return text, ""
	}
	if tail = text[at:]; strings.IndexByte(tail, 0) >= 0 || !utf8.ValidString(tail) {
		return text, ""
	}
	return text[:at], tail
}

func blank(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

// EndsOpen says whether a text that the grammar takes ends in a comment that
// goes on to the end of the line, so that what is put behind it is a part of
// that comment. It is true for a text that cannot be read.
func EndsOpen(text string) bool {
	if _, ok := ShapeKey(text); ok {
		return false // it has no comments
	}
	if line := text[strings.LastIndexAny(text, "\r\n")+1:]; !strings.Contains(line, "--") {
		return false
	}
	scan, err := pg.Scan(text)
	if err != nil {
		return true
	}
	if n := len(scan.Tokens); n > 0 {
		last := scan.Tokens[n-1]
		return last.Token == pg.Token_SQL_COMMENT && int(last.End) == len(text)
	}
	return false
}

// maxTags is how many pairs of a comment are read.
const maxTags = 64

// ParseTags reads the pairs of a comment in the form of sqlcommenter:
// /*key='value',key='value'*/, keys and values URL-encoded, with a backslash
// before what would end the value. tail is as CutComment gives it. It reports
// false for a comment of another form, or with a key twice.
func ParseTags(tail string) (tags map[string]string, ok bool) {
	body, found := strings.CutPrefix(tail, "/*")
	end := strings.LastIndex(body, "*/")
	if !found || end < 0 {
		return nil, false
	}
	body = strings.TrimFunc(body[:end], func(r rune) bool { return r < 0x80 && blank(byte(r)) })
	tags = map[string]string{}
	for {
		name, rest, found := strings.Cut(body, "='")
		if !found || len(tags) == maxTags {
			return nil, false
		}
		key, err := url.PathUnescape(name)
		if err != nil || key == "" || strings.ContainsAny(name, " ',") {
			return nil, false
		}
		var raw strings.Builder
		i := 0
		for ; i < len(rest) && rest[i] != '\''; i++ {
			if rest[i] == '\\' && i+1 < len(rest) {
				i++
			}
			raw.WriteByte(rest[i])
		}
		if i == len(rest) {
			return nil, false
		}
		value, err := url.PathUnescape(raw.String())
		if _, twice := tags[key]; err != nil || twice {
			return nil, false
		}
		tags[key] = value
		if body = rest[i+1:]; body == "" {
			return tags, true
		}
		if body, found = strings.CutPrefix(body, ","); !found {
			return nil, false
		}
		body = strings.TrimLeft(body, " ")
	}
}
