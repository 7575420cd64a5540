package tell

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"html"
	"mime"
	"path"
	"strings"
	"sync"
	"unicode/utf16"

	"sekisho"
	"sekisho/duty"
)

// A lure's token is in its links, in its Message-ID and in the address for
// answers. It holds the campaign, the pseudonym and which lure it is, and a MAC:
// it says nothing of a person to who has no key, and nobody can make one up.

// A Token is one that was found good.
type Token struct {
	Campaign uint64
	Who      uint64
	Lure     uint32
}

func (l *Lures) mac(b []byte) []byte {
	h := hmac.New(sha256.New, l.Key[:])
	h.Write([]byte("lure\x00"))
	h.Write(b)
	return h.Sum(nil)[:macLen]
}

func (l *Lures) token(t Token) string {
	b := binary.AppendUvarint(nil, t.Campaign)
	b = binary.BigEndian.AppendUint64(b, t.Who)
	b = binary.AppendUvarint(b, uint64(t.Lure))
	return tokens.EncodeToString(append(b, l.mac(b)...))
}

// shortest and longest token: a campaign of 1 to 10 bytes, 8 of pseudonym, 1 or 2
// of lure, 10 of MAC.
const (
	shortestToken = 32
	longestToken  = 48
)

// Token reads one. ok: it is of our making.
func (l *Lures) Token(s string) (t Token, ok bool) {
	if len(s) < shortestToken || len(s) > longestToken {
		return t, false
	}
	b, err := tokens.DecodeString(s)
	if err != nil || len(b) <= macLen+8 {
		return t, false
	}
	body, mac := b[:len(b)-macLen], b[len(b)-macLen:]
	if subtle.ConstantTimeCompare(mac, l.mac(body)) != 1 {
		return t, false
	}
	campaign, n := binary.Uvarint(body)
	if n <= 0 || len(body) < n+9 {
		return t, false
	}
	which, n2 := binary.Uvarint(body[n+8:])
	return Token{campaign, binary.BigEndian.Uint64(body[n:]), uint32(which)}, n2 == len(body)-n-8
}

// pseudonym is who somebody is within a campaign whose key one has.
func pseudonym(key string, staff uint32) uint64 {
	h := hmac.New(sha256.New, []byte(key))
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], staff)
	h.Write(b[:])
	return binary.BigEndian.Uint64(h.Sum(nil))
}

// joins keeps, of the campaigns asked about last, which pseudonym is whose place
// in the list. It is made from the key in the vault, and goes with the process.
type joins struct {
	mu   sync.Mutex
	kept map[uint64]*join
}

type join struct {
	who   []uint64       // by place; 0: the person's secret is destroyed
	place map[uint64]int // by pseudonym
}

const mostJoins = 8

// join gives a campaign's, or nil if its key is gone.
func (l *Lures) join(c *campaign) *join {
	if c.forgot || !c.ready {
		return nil
	}
	l.joins.mu.Lock()
	defer l.joins.mu.Unlock()
	if j := l.joins.kept[c.number]; j != nil {
		return j
	}
	key, ok := l.Vault.Space("lure_key").Key(c.asked.Key)
	if !ok || key == "" {
		return nil
	}
	j := &join{make([]uint64, len(c.staff)), make(map[uint64]int, len(c.staff))}
	for i, o := range c.staff {
		link := ""
		if n := c.link[i]; n != 0 {
			if link, ok = l.Vault.Space("lure_link").Key(n); !ok {
				continue // destroyed: whose their deeds were cannot be told
			}
		}
		j.who[i] = pseudonym(key+link, o)
		j.place[j.who[i]] = i
	}
	if len(l.joins.kept) >= mostJoins || l.joins.kept == nil {
		l.joins.kept = map[uint64]*join{}
	}
	l.joins.kept[c.number] = j
	return j
}

// Unjoin forgets what was made of secrets in the vault, after some were
// destroyed.
func (l *Lures) Unjoin() {
	l.joins.mu.Lock()
	l.joins.kept = nil
	l.joins.mu.Unlock()
	l.added.mu.Lock()
	l.added.by = nil
	l.added.mu.Unlock()
}

// LinkOf is the ordinal in "lure_link" of the secret by which somebody's
// pseudonyms are made; 0: there is none.
func (l *Lures) LinkOf(staff uint32) (link uint32) {
	l.Views.Read(func() { link = l.Seen.links[staff] })
	return link
}

// link makes the secrets of those who have none. They are durable on return.
func (l *Lures) link(ctx context.Context, turns []LureTurn) error {
	var fresh []uint32
	l.Views.Read(func() {
		for _, t := range turns {
			if l.Seen.links[t.Staff] == 0 {
				fresh = append(fresh, t.Staff)
			}
		}
	})
	for len(fresh) > 0 {
		b := &sekisho.LureLinked{Staff: fresh[:min(len(fresh), listedAtOnce)]}
		for range b.Staff {
			var secret [16]byte
			rand.Read(secret[:])
			n := l.Vault.Space("lure_link").OfText(secret[:])
			if n == 0 {
				return errors.New("proposing a drill by mail: the vault takes no more")
			}
			b.Links = append(b.Links, n)
		}
		fresh = fresh[len(b.Staff):]
		if _, err := l.append(ctx, b); err != nil {
			return err
		}
	}
	return nil
}

// template is a campaign's lure as it was approved: the text in the vault, not
// the file.
func (l *Lures) template(a *sekisho.LureAsked, which uint32) (t *duty.Lure, lang string, err error) {
	if int(which) >= len(a.Lures) || int(which) >= len(a.Documents) {
		return nil, "", errors.New("writing a lure: the campaign has no such lure")
	}
	if kept, ok := l.parsed.Load(a.Documents[which]); ok {
		t = kept.(*duty.Lure)
	} else {
		text, ok := l.Vault.Space("document").Key(a.Documents[which])
		if !ok {
			return nil, "", errors.New("writing a lure: its template is not in the vault")
		}
		if t, err = duty.ParseLure([]byte(text)); err != nil {
			return nil, "", fmt.Errorf("writing a lure: %w", err)
		}
		l.parsed.Store(a.Documents[which], t)
	}
	parts := strings.Fields(a.Lures[which])
	if len(parts) != 3 {
		return nil, "", errors.New("writing a lure: its name cannot be read")
	}
	if _, ok := t.Versions[parts[1]]; !ok {
		return nil, "", fmt.Errorf("writing a lure: %s has no language %s", t.Name, parts[1])
	}
	return t, parts[1], nil
}

// Compose is the Sender's: one person's letter, all but To.
func (l *Lures) Compose(_ context.Context, m Status, staff uint32) (letter Letter, err error) {
	var token Token
	ok := false
	l.Views.Read(func() {
		c := l.Seen.find(m.Number)
		if c == nil {
			return
		}
		i := c.placeOf(staff)
		if j := l.join(c); i >= 0 && j != nil {
			token, ok = Token{m.Number, j.who[i], uint32(c.lure[i])}, true
		}
	})
	if !ok {
		return letter, errors.New("writing a lure: its campaign's key is not in the vault")
	}
	t, lang, err := l.template(m.Lures, token.Lure)
	if err != nil {
		return letter, err
	}
	to, _ := l.Contact(staff)
	letter = l.letter(t, lang, to.Name, token)
	if l.Returns != nil {
		letter.Return = l.Returns(m.Number, staff)
	}
	return letter, nil
}

// Preview is a lure as an example of a reader would get it. Its links lead
// nowhere.
func (l *Lures) Preview(t *duty.Lure, lang string) Letter {
	return l.letter(t, lang, map[string]string{"ja": "見本 太郎", "en": "Sam Sample"}[lang], Token{})
}

func (l *Lures) letter(t *duty.Lure, lang, name string, token Token) Letter {
	v := t.Versions[lang]
	now := l.Now().In(l.Zone)
	day := now.Format("2 January 2006")
	if lang == "ja" {
		day = fmt.Sprintf("%d年%d月%d日", now.Year(), now.Month(), now.Day())
	}
	id := l.token(token)
	link := l.Config.Base + "/p/" + id
	fill := func(s string) string {
		return strings.NewReplacer("{name}", name, "{date}", day, "{link}", link).Replace(s)
	}
	letter := Letter{From: v.Mailbox + "@" + l.Config.Sender, Name: v.Sender, Subject: oneLine(fill(v.Subject)), Text: fill(v.Text),
		ID: id + "@" + l.Config.Sender, Personal: true, Contact: l.Config.Contact, HTML: l.page(t, v, fill, link, id)}
	if t.Asks == "reply" {
		letter.ReplyTo = "r-" + id + "@" + l.Config.Replies
	}
	if t.Asks == "attachment" {
		letter.Attachment = attachment(v.Attachment, link)
	}
	return letter
}

// page is the lure in HTML: the text, a link that no human sees, and a picture
// of one point.
func (l *Lures) page(t *duty.Lure, v duty.LureText, fill func(string) string, link, id string) string {
	var b strings.Builder
	b.WriteString("<!doctype html><html><body><div style=\"font-family:sans-serif\">")
	words := v.LinkText
	if words == "" {
		words = link
	}
	const mark = "\x00"
	text := html.EscapeString(fill(strings.ReplaceAll(v.Text, "{link}", mark)))
	text = strings.ReplaceAll(text, mark, `<a href="`+html.EscapeString(link)+`">`+html.EscapeString(words)+`</a>`)
	b.WriteString(strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "<br>\r\n"))
	b.WriteString("</div>")
	fmt.Fprintf(&b, `<div style="display:none"><a href="%s/t/%s">.</a></div>`, html.EscapeString(l.Config.Base), id)
	fmt.Fprintf(&b, `<img src="%s/o/%s" width="1" height="1" alt="">`, html.EscapeString(l.Config.Base), id)
	b.WriteString("</body></html>\r\n")
	return b.String()
}

// An Attachment is a file in a letter.
type Attachment struct {
	Name  string
	Type  string // of the content, such as text/html; charset=utf-8
	Bytes []byte
}

// attachment makes the harmless document of one person: it holds nothing that
// runs, and leads to the viewer page.
func attachment(a duty.LureAttachment, link string) *Attachment {
	if path.Ext(a.Name) == ".pdf" {
		return &Attachment{a.Name, "application/pdf", onePagePDF(a.Text, link)}
	}
	e := html.EscapeString(link)
	page := `<!doctype html><html><head><meta charset="utf-8"><meta http-equiv="refresh" content="0; url=` + e + `"><title>` + html.EscapeString(strings.TrimSuffix(a.Name, path.Ext(a.Name))) +
		`</title></head><body><p>` + html.EscapeString(a.Text) + `</p><p><a href="` + e + `">` + e + `</a></p></body></html>` + "\r\n"
	return &Attachment{a.Name, "text/html; charset=utf-8", []byte(page)}
}

// onePagePDF is a page with a line of text, all of which is one link (ISO 32000-1,
// 12.5.6.5). Its font is one that readers have for Japanese (9.7.5.2).
func onePagePDF(text, link string) []byte {
	var hexa strings.Builder
	for _, u := range utf16.Encode([]rune(text)) {
		fmt.Fprintf(&hexa, "%04X", u)
	}
	content := "BT /F1 14 Tf 60 760 Td <" + hexa.String() + "> Tj ET"
	uri := strings.NewReplacer(`\`, `\\`, "(", `\(`, ")", `\)`).Replace(link)
	objects := []string{
		"<< /Type /Catalog /Pages 2 0 R >>",
		"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
		"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F1 5 0 R >> >> /Contents 4 0 R /Annots [7 0 R] >>",
		fmt.Sprintf("<< /Length %d >>\nstream\n%s\nendstream", len(content), content),
		"<< /Type /Font /Subtype /Type0 /BaseFont /HeiseiKakuGo-W5 /Encoding /UniJIS-UTF16-H /DescendantFonts [6 0 R] >>",
		"<< /Type /Font /Subtype /CIDFontType0 /BaseFont /HeiseiKakuGo-W5 /CIDSystemInfo << /Registry (Adobe) /Ordering (Japan1) /Supplement 2 >> /FontDescriptor 8 0 R >>",
		"<< /Type /Annot /Subtype /Link /Rect [0 0 595 842] /Border [0 0 0] /A << /S /URI /URI (" + uri + ") >> >>",
		"<< /Type /FontDescriptor /FontName /HeiseiKakuGo-W5 /Flags 4 /FontBBox [-92 -250 1010 922] /ItalicAngle 0 /Ascent 752 /Descent -221 /CapHeight 737 /StemV 114 >>",
	}
	var b bytes.Buffer
	b.WriteString("%PDF-1.4\n")
	var at []int
	for i, o := range objects {
		at = append(at, b.Len())
		fmt.Fprintf(&b, "%d 0 obj\n%s\nendobj\n", i+1, o)
	}
	xref := b.Len()
	fmt.Fprintf(&b, "xref\n0 %d\n0000000000 65535 f \n", len(objects)+1)
	for _, n := range at {
		fmt.Fprintf(&b, "%010d 00000 n \n", n)
	}
	fmt.Fprintf(&b, "trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n", len(objects)+1, xref)
	return b.Bytes()
}

// encodedName is a file's name as both old and new mail programs read it
// (RFC 2231; RFC 2047 within quotes is not allowed, and widely understood).
func encodedName(kind, name string) string {
	kind, params, err := mime.ParseMediaType(kind)
	if err != nil {
		params = map[string]string{}
	}
	params["name"] = name
	return mime.FormatMediaType(kind, params)
}
