package tell

import (
	"errors"
	"testing"
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
