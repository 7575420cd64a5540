package sensor

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"path"
	"strings"
	"unicode/utf16"

	"github.com/richardlehane/mscfb"
)

// Mails that people forward because they look suspicious, in the forms in which
// mail programs do: quoted in the text, as an attached message (.eml,
// message/rfc822), or as Outlook's .msg, a compound file (MS-CFB, MS-OXMSG).

// A Forward is what such a mail holds. Its texts belong to whoever asked.
type Forward struct {
	From      string   // the address of who sent it, in small letters; "" if it has none
	Automatic bool     // a machine wrote it: an absence note, a report on delivery (RFC 3834, 3464)
	Texts     [][]byte // every header and text in it, decoded, messages within messages too
	Inner     []byte   // the message that was forwarded, if it came as a file; else nil
}

const (
	mostDepth   = 6       // parts within parts
	mostParts   = 200     // in all
	mostDecoded = 8 << 20 // bytes of texts in all
	mostStreams = 2000    // of a compound file
)

// ReadForward reads one mail. It reads what it can, and fails only where nothing
// of it is a mail.
func ReadForward(text []byte) (f Forward, err error) {
	m, err := mail.ReadMessage(bytes.NewReader(text))
	if err != nil {
		return f, errors.New("reading a forwarded mail: it has no headers")
	}
	if a, err := mail.ParseAddress(m.Header.Get("From")); err == nil {
		f.From = strings.ToLower(a.Address)
	}
	f.Automatic = automatic(m.Header)
	w := &unwrapping{f: &f}
	w.message(text, 0)
	return f, nil
}

// automatic: the message says of itself that nobody wrote it.
func automatic(h mail.Header) bool {
	if auto := strings.ToLower(strings.TrimSpace(h.Get("Auto-Submitted"))); auto != "" && auto != "no" {
		return true
	}
	for _, name := range []string{"X-Autoreply", "X-Autorespond", "X-Auto-Response-For"} {
		if h.Get(name) != "" {
			return true
		}
	}
	switch strings.ToLower(strings.TrimSpace(h.Get("Precedence"))) {
	case "bulk", "junk", "list", "auto_reply":
		return true
	}
	kind, _, _ := mime.ParseMediaType(h.Get("Content-Type"))
	return kind == "multipart/report"
}

// unwrapping bounds what one mail can cost.
type unwrapping struct {
	f     *Forward
	parts int
	bytes int
}

func (w *unwrapping) add(b []byte) {
	if room := mostDecoded - w.bytes; len(b) > room {
		b = b[:max(0, room)]
	}
	if len(b) > 0 {
		w.bytes += len(b)
		w.f.Texts = append(w.f.Texts, b)
	}
}

// message takes in a whole message: its headers as they stand, then its body.
func (w *unwrapping) message(text []byte, depth int) {
	if depth > mostDepth {
		return
	}
	m, err := mail.ReadMessage(bytes.NewReader(text))
	if err != nil {
		w.add(text)
		return
	}
	for name, values := range m.Header {
		w.add([]byte(name + ": " + strings.Join(values, "\n")))
	}
	w.body(m.Header.Get("Content-Type"), m.Header.Get("Content-Transfer-Encoding"), "", m.Body, depth)
}

func (w *unwrapping) body(kind, encoding, name string, r io.Reader, depth int) {
	if w.parts++; w.parts > mostParts || depth > mostDepth {
		return
	}
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "base64":
		r = base64.NewDecoder(base64.StdEncoding, r)
	case "quoted-printable":
		r = quotedprintable.NewReader(r)
	}
	media, params, err := mime.ParseMediaType(kind)
	if err != nil {
		media = "text/plain"
	}
	if strings.HasPrefix(media, "multipart/") && params["boundary"] != "" {
		for parts := multipart.NewReader(r, params["boundary"]); w.parts <= mostParts; {
			p, err := parts.NextRawPart()
			if err != nil {
				return
			}
			w.body(p.Header.Get("Content-Type"), p.Header.Get("Content-Transfer-Encoding"), fileName(p), p, depth+1)
		}
		return
	}
	text, _ := io.ReadAll(io.LimitReader(r, mostMail+1)) // as much as can be decoded
	if name == "" {
		name = params["name"]
	}
	switch ext := strings.ToLower(path.Ext(name)); {
	case media == "message/rfc822" || ext == ".eml":
		if w.f.Inner == nil {
			w.f.Inner = text
		}
		w.message(text, depth+1)
	case ext == ".msg" || media == "application/vnd.ms-outlook" || bytes.HasPrefix(text, []byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")):
		if w.f.Inner == nil {
			w.f.Inner = text
		}
		w.compound(text)
	default:
		w.add(text)
	}
}

func fileName(p *multipart.Part) string {
	_, params, err := mime.ParseMediaType(p.Header.Get("Content-Disposition"))
	if err != nil {
		return ""
	}
	return params["filename"]
}

// compound takes in the streams of a compound file: texts in it are UTF-16, or
// bytes.
func (w *unwrapping) compound(text []byte) {
	if err := eachStream(text, func(name string, b []byte) {
		if strings.HasSuffix(name, "001F") { // PtypString: MS-OXCDATA 2.11.1
			b = narrow(b)
		}
		w.add(b)
	}); err != nil { // damaged: what stands in it in the open, both ways
		w.add(text)
		w.add(narrow(text))
	}
}

// eachStream reads a compound file. The library may fail on what was made to
// harm: that is an error.
func eachStream(text []byte, do func(name string, b []byte)) (err error) {
	defer func() {
		if e := recover(); e != nil {
			err = fmt.Errorf("reading a compound file: %v", e)
		}
	}()
	doc, err := mscfb.New(bytes.NewReader(text))
	if err != nil {
		return err
	}
	for range mostStreams {
		f, err := doc.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if f.Size <= 0 || f.Size > mostMail {
			continue
		}
		b, err := io.ReadAll(io.LimitReader(f, f.Size))
		if err != nil {
			return err
		}
		do(strings.ToUpper(f.Name), b)
	}
	return nil
}

// narrow makes UTF-16 in little-endian order to UTF-8.
func narrow(b []byte) []byte {
	u := make([]uint16, 0, len(b)/2)
	for i := 0; i+1 < len(b); i += 2 {
		u = append(u, uint16(b[i])|uint16(b[i+1])<<8)
	}
	return []byte(string(utf16.Decode(u)))
}
