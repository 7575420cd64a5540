package sensor

import (
	"bytes"
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"
)

const mark = "abcdefghij234567abcdefghij234567abcdef"

func inText(f Forward, what string) bool {
	for _, t := range f.Texts {
		if bytes.Contains(t, []byte(what)) {
			return true
		}
	}
	return false
}

// What was forwarded is found however the mail program wraps it.
func TestReadForward(t *testing.T) {
	inner := "From: a@example.com\r\nMessage-ID: <" + mark + "@drill.example.jp>\r\nSubject: x\r\n\r\nhello\r\n"
	b64 := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	head := "From: Sato <Sato@Example.jp>\r\nTo: report@drill.example.jp\r\n"
	multi := func(part string) string {
		return head + "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nplease look\r\n--b\r\n" + part + "\r\n--b--\r\n"
	}
	for what, text := range map[string]string{
		"quoted in the text":       head + "\r\n> https://x.example/p/" + mark + "\r\n",
		"quoted-printable":         head + "Content-Transfer-Encoding: quoted-printable\r\n\r\nhttps://x.example/p/" + mark[:20] + "=\r\n" + mark[20:] + "\r\n",
		"base64":                   head + "Content-Transfer-Encoding: base64\r\n\r\n" + b64("https://x.example/p/"+mark) + "\r\n",
		"a message as a part":      multi("Content-Type: message/rfc822\r\n\r\n" + inner),
		"an .eml in base64":        multi("Content-Type: application/octet-stream; name=\"mail.eml\"\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=\"mail.eml\"\r\n\r\n" + b64(inner)),
		"HTML":                     multi("Content-Type: text/html\r\n\r\n<a href=\"https://x.example/p/" + mark + "\">x</a>"),
		"a message within another": multi("Content-Type: message/rfc822\r\n\r\n" + multi("Content-Type: message/rfc822\r\n\r\n"+inner)),
	} {
		f, err := ReadForward([]byte(text))
		if err != nil || f.From != "sato@example.jp" || f.Automatic || !inText(f, mark) {
			t.Errorf("%s: %v, from %q, automatic %v, %d texts", what, err, f.From, f.Automatic, len(f.Texts))
		}
	}
	for _, auto := range []string{"Auto-Submitted: auto-replied", "Precedence: bulk", "X-Autoreply: yes", "Content-Type: multipart/report; report-type=delivery-status; boundary=b"} {
		if f, err := ReadForward([]byte(head + auto + "\r\n\r\nI am away\r\n")); err != nil || !f.Automatic {
			t.Errorf("%s: %v %v", auto, f.Automatic, err)
		}
	}
	if _, err := ReadForward([]byte("no headers at all")); err == nil {
		t.Error("a text without headers is a mail")
	}
}

// outlook is a message as Outlook saves it: the reader's own example, of its
// module, with a mark in the place of some of its text.
func outlook(t testing.TB) []byte {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/richardlehane/mscfb").Output()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "test", "test.msg"))
	if err != nil {
		t.Fatal(err)
	}
	var wide []byte
	for _, u := range utf16.Encode([]rune("p/" + mark + " ")) {
		wide = append(wide, byte(u), byte(u>>8))
	}
	done := false
	if err := eachStream(text, func(name string, b []byte) {
		if done || !strings.HasSuffix(name, "1000001F") || len(b) < 64 { // PidTagBody
			return
		}
		if at := bytes.Index(text, b[:64]); at >= 0 {
			copy(text[at:], wide[:min(len(wide), len(b))])
			done = true
		}
	}); err != nil {
		t.Fatal(err)
	}
	if !done {
		t.Fatal("the example has no text to mark")
	}
	return text
}

func TestReadForwardedOutlookFile(t *testing.T) {
	msg := outlook(t)
	head := "From: sato@example.jp\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: application/vnd.ms-outlook; name=\"mail.msg\"\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=\"mail.msg\"\r\n\r\n"
	wrap := func(b []byte) []byte { return []byte(head + base64.StdEncoding.EncodeToString(b) + "\r\n--b--\r\n") }
	f, err := ReadForward(wrap(msg))
	if err != nil || !inText(f, "p/"+mark) || !bytes.Equal(f.Inner, msg) {
		t.Errorf("the mark is not found in the file: %v, %d texts", err, len(f.Texts))
	}
	for _, damaged := range [][]byte{msg[:len(msg)/2], msg[:600], append(bytes.Clone(msg[:512]), make([]byte, 4000)...)} {
		if _, err := ReadForward(wrap(damaged)); err != nil {
			t.Errorf("a damaged file: %v", err)
		}
	}
}

// Whatever comes: it ends, and no more is kept than is allowed.
func FuzzReadForward(f *testing.F) {
	f.Add([]byte("From: a@example.jp\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nA: b\r\n\r\nc\r\n--b--\r\n"))
	f.Add([]byte("Content-Transfer-Encoding: base64\r\n\r\n" + base64.StdEncoding.EncodeToString(outlook(f)[:1536])))
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := ReadForward(text)
		if err != nil {
			return
		}
		all := 0
		for _, one := range got.Texts {
			all += len(one)
		}
		if all > mostDecoded {
			t.Errorf("%d bytes of texts", all)
		}
	})
}
