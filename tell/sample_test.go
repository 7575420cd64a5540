package tell

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// Anybody may write into a draft, so a sample of it goes to nobody outside.
func TestASampleStaysInTheHouse(t *testing.T) {
	o := &Office{}
	o.Config.Mail.Relay.Server, o.Config.Mail.From = "127.0.0.1:1", "notice@mail.example.jp"
	for _, to := range []string{"customer@example.com", "sato@evil-mail.example.jp.example.com", "sato@xmail.example.jp", "sato@ail.example.jp"} {
		var w *Wrong
		if err := o.Sample(t.Context(), 1, "ja", to); !errors.As(err, &w) || w.Code != "sample_ours" {
			t.Errorf("to %s: %v", to, err)
		}
	}
	for _, to := range []string{"sato@mail.example.jp", "sato@Example.JP"} {
		if !sameHouse(to, o.Config.Mail.From) {
			t.Errorf("%s is not ours", to)
		}
	}
}

// A subject that somebody has edited into two lines is one line of the letter:
// else no letter of the mailing could be sent.
func TestASubjectIsOneLine(t *testing.T) {
	o := &Office{Now: time.Now}
	o.Config.Mail.From = "notice@example.jp"
	d := &Document{Language: "ja", Fields: []Field{{Key: "subject", Sentences: []Sentence{{Key: "s", Text: "お知らせ\nBcc: everybody@example.com"}}}}}
	l := o.letter(d, Own{}, Status{}, 0)
	l.To = "sato@example.jp"
	if text, err := l.bytes(); err != nil || strings.Contains(string(text), "\nBcc:") {
		t.Errorf("%v\n%s", err, text)
	}
}
