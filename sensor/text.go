package sensor

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/japanese"
)

// The encodings of text that are read. Shift_JIS is that of Windows (CP932).
const (
	ascii     = "us-ascii"
	utf_8     = "utf-8"
	utf16LE   = "utf-16le"
	utf16BE   = "utf-16be"
	shiftJIS  = "shift_jis"
	eucJP     = "euc-jp"
	iso2022JP = "iso-2022-jp"
)

// encodingNames maps what people call an encoding to what we call it.
var encodingNames = map[string]string{
	"utf-8": utf_8, "utf8": utf_8, "us-ascii": utf_8, "ascii": utf_8,
	"utf-16le": utf16LE, "utf-16be": utf16BE,
	"shift_jis": shiftJIS, "shift-jis": shiftJIS, "sjis": shiftJIS, "cp932": shiftJIS, "ms932": shiftJIS, "windows-31j": shiftJIS,
	"euc-jp": eucJP, "eucjp": eucJP, "iso-2022-jp": iso2022JP, "jis": iso2022JP,
}

// window is how far ahead the encoding is judged from.
const window = 256 << 10

// A textReader gives the lines of a file as UTF-8. Each line is decoded by
// itself, so that damage cannot spread from one to the next: not by a lost
// escape sequence of ISO-2022-JP, nor by a lost byte of UTF-16.
//
// The encoding is judged where the first byte that is not ASCII stands, from
// what follows there. While nothing that follows makes sense in any encoding,
// the bytes are damage, and judgement waits.
type textReader struct {
	in      *lineReader
	name    string // ascii until judged
	decoder *encoding.Decoder
}

// newTextReader looks at the beginning of r. name is the encoding if the
// caller knows it, else empty.
func newTextReader(r io.Reader, name string) (*textReader, error) {
	t := &textReader{in: newLineReaderSize(r, window), name: ascii}
	head, err := t.in.r.Peek(window)
	if err != nil && err != io.EOF {
		return nil, err
	}
	if name != "" {
		known, ok := encodingNames[strings.ToLower(name)]
		if !ok {
			return nil, fmt.Errorf("unknown encoding %q: use utf-8, utf-16le, utf-16be, shift_jis, euc-jp or iso-2022-jp", name)
		}
		t.set(known)
	} else if err := notText(head); err != nil {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(head, []byte("\xef\xbb\xbf")) && (name == "" || t.name == utf_8):
		t.in.r.Discard(3)
		t.set(utf_8)
	case bytes.HasPrefix(head, []byte("\xff\xfe")) && (name == "" || t.name == utf16LE):
		t.in.r.Discard(2)
		t.set(utf16LE)
	case bytes.HasPrefix(head, []byte("\xfe\xff")) && (name == "" || t.name == utf16BE):
		t.in.r.Discard(2)
		t.set(utf16BE)
	case name == "":
		if wide := judgeUTF16(head); wide != "" {
			t.set(wide)
		}
	}
	return t, nil
}

func (t *textReader) set(name string) {
	t.name = name
	switch name {
	case utf16LE:
		t.in.wide = littleEndian
	case utf16BE:
		t.in.wide = bigEndian
	}
	t.decoder = decoderOf(name)
}

func decoderOf(name string) *encoding.Decoder {
	switch name {
	case shiftJIS:
		return japanese.ShiftJIS.NewDecoder()
	case eucJP:
		return japanese.EUCJP.NewDecoder()
	case iso2022JP:
		return japanese.ISO2022JP.NewDecoder()
	}
	return nil
}

// A textLine is one line. Where flaw is not empty, text is what could be read
// of it, with U+FFFD in place of the rest.
type textLine struct {
	text   string
	number uint64
	flaw   string
}

func (t *textReader) next() (textLine, error) {
	raw, tooLong, err := t.in.next()
	if err != nil {
		return textLine{}, err
	}
	l := textLine{number: t.in.lines}
	if tooLong {
		l.flaw = "longer than 1 MiB"
		return l, nil
	}
	if t.name == ascii && bytes.ContainsFunc(raw, func(r rune) bool { return r >= 0x80 || r == 0x1b }) {
		ahead, _ := t.in.r.Peek(window) // a failed read comes back at the next line
		if name := judge(append(append(bytes.Clone(raw), '\n'), ahead...)); name != "" {
			t.set(name)
		}
	}
	l.text = decodeLine(t.name, t.decoder, raw)
	l.text = strings.TrimSuffix(l.text, "\r")
	switch {
	case strings.IndexByte(l.text, 0) >= 0:
		l.flaw = "NUL bytes"
	case strings.ContainsRune(l.text, utf8.RuneError):
		l.flaw = "bytes outside the encoding"
	}
	return l, nil
}

func decodeLine(name string, d *encoding.Decoder, raw []byte) string {
	switch name {
	case utf16LE, utf16BE:
		var order binary.ByteOrder = binary.LittleEndian
		if name == utf16BE {
			order = binary.BigEndian
		}
		units := make([]uint16, 0, len(raw)/2+1)
		for ; len(raw) > 1; raw = raw[2:] {
			units = append(units, order.Uint16(raw))
		}
		if len(raw) == 1 {
			units = append(units, utf8.RuneError)
		}
		return string(utf16.Decode(units))
	case ascii, utf_8:
		return strings.ToValidUTF8(string(raw), "\uFFFD")
	}
	b, err := d.Bytes(raw)
	if err != nil {
		return strings.ToValidUTF8(string(raw), "\uFFFD")
	}
	return string(b)
}

// judge names the encoding of a text that is not all ASCII; empty if it makes
// sense in none.
func judge(b []byte) string {
	if i := bytes.LastIndexByte(b, '\n'); i > 0 {
		b = b[:i+1] // the window may end within a character
	}
	in, out := bytes.Contains(b, []byte("\x1b$B")) || bytes.Contains(b, []byte("\x1b$@")),
		bytes.Contains(b, []byte("\x1b(B")) || bytes.Contains(b, []byte("\x1b(J"))
	if in && out {
		return iso2022JP
	}
	good, bad := 0, 0
	for rest := b; len(rest) > 0; {
		r, n := utf8.DecodeRune(rest)
		if n > 1 {
			good++
		} else if r == utf8.RuneError {
			bad++
		}
		rest = rest[n:]
	}
	// Text in another encoding hardly ever looks like UTF-8, even by chance.
	if good > 2*bad {
		return utf_8
	}
	best, least := "", 0.2
	for _, name := range []string{shiftJIS, eucJP} {
		good, bad, narrow := 0, 0, 0
		for line := range bytes.Lines(b) {
			for _, r := range decodeLine(name, decoderOf(name), line) {
				switch {
				case r == utf8.RuneError || r >= 0xe000 && r < 0xf900:
					bad++
				case r >= 0xff61 && r <= 0xff9f:
					// EUC-JP read as Shift_JIS is mostly these; so are the names in
					// an old bank file, but there EUC-JP fails on every second.
					narrow++
				case r >= 0x80:
					good++
				}
			}
		}
		all := float64(good + bad + narrow)
		if cost := (float64(bad) + 0.02*float64(narrow)) / all; all > 0 && cost < least {
			best, least = name, cost
		}
	}
	return best
}

// judgeUTF16 finds UTF-16 without a byte order mark by its ASCII letters.
func judgeUTF16(b []byte) string {
	b = b[:min(len(b), 4096)&^1]
	le, be := 0, 0
	for i := 0; i+1 < len(b); i += 2 {
		switch {
		case b[i+1] == 0 && b[i] >= ' ' && b[i] < 0x7f:
			le++
		case b[i] == 0 && b[i+1] >= ' ' && b[i+1] < 0x7f:
			be++
		}
	}
	switch pairs := len(b) / 2; {
	case pairs > 8 && le*5 > pairs && le > 10*be:
		return utf16LE
	case pairs > 8 && be*5 > pairs && be > 10*le:
		return utf16BE
	}
	return ""
}

// ErrNotText: the file is empty, or no text.
var ErrNotText = errors.New("no text")

// notText tells a file that cannot be a table by its beginning, and what to do.
func notText(head []byte) error {
	if len(head) == 0 {
		return fmt.Errorf("%w: the file is empty; check that it was copied whole", ErrNotText)
	}
	for _, m := range []struct{ magic, hint string }{
		{"PK\x03\x04", "a ZIP archive or an Excel workbook; unpack it, or save the sheet as CSV"},
		{"\xd0\xcf\x11\xe0", "an old Excel workbook; save the sheet as CSV"},
		{"\x1f\x8b", "compressed with gzip; uncompress it first"},
		{"\x28\xb5\x2f\xfd", "compressed with zstd; uncompress it first"},
		{"7z\xbc\xaf", "a 7-Zip archive; unpack it first"},
		{"Rar!", "a RAR archive; unpack it first"},
		{"%PDF", "a PDF; export its tables as CSV"},
		{"SQLite format 3", "an SQLite database; export its tables as CSV"},
		{"PAR1", "a Parquet file; export it as CSV"},
		{"PGDMP", "a PostgreSQL dump in custom format; restore it and COPY the table as CSV"},
		{"PGCOPY\n\xff", "a binary PostgreSQL COPY; COPY it as CSV"},
	} {
		if bytes.HasPrefix(head, []byte(m.magic)) {
			return fmt.Errorf("%w: this is %s", ErrNotText, m.hint)
		}
	}
	controls, nul := 0, 0
	for _, c := range head {
		switch {
		case c == 0:
			nul++
		case c < ' ' && c != '\t' && c != '\n' && c != '\r' && c != '\f' && c != 0x1b || c == 0x7f:
			controls++
		}
	}
	switch text := len(head) - nul; {
	case text == 0:
		return fmt.Errorf("%w: it begins with %d NUL bytes; if text follows, cut them off or give the encoding", ErrNotText, nul)
	case controls*20 > text && judgeUTF16(head) == "" && !bytes.HasPrefix(head, []byte("\xff\xfe")) && !bytes.HasPrefix(head, []byte("\xfe\xff")):
		return fmt.Errorf("%w: it looks binary; if it is encrypted or packed, undo that first, else give the encoding", ErrNotText)
	}
	return nil
}
