package house

import (
	"context"
	"errors"
	"net"
	"net/smtp"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sekisho"
	"sekisho/disk"
	"sekisho/ledger"
)

// Mail to a decoy is an alert before its sender knows that it came; other mail
// is taken and forgotten, and mail for others is not taken.
func TestMailToADecoy(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var c Config
	c.Name, c.Data = "crm", filepath.Join(t.TempDir(), "data")
	c.Sensors.Mail.Domains = []string{"decoy.example.jp"}
	h, err := Open(t.Context(), c, "/", Options{Now: func() time.Time { return now }})
	must(t, err)
	defer h.Close()
	placed, err := h.Ledger.Append(t.Context(), &sekisho.DecoyPlaced{Action: "placed", Space: "member", Subject: h.Vault.Space("member").OfText([]byte("4711")),
		Mailbox: h.Vault.Space("mailbox").OfText([]byte("kasumi.ono@decoy.example.jp"))})
	must(t, err)
	must(t, h.Settle(t.Context()))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- h.ReceiveMail(ctx, l) }()
	send := func(text string, to ...string) int {
		err := smtp.SendMail(l.Addr().String(), nil, "somebody@example.net", to, []byte(text))
		var said *textproto.Error
		switch {
		case err == nil:
			return 250
		case errors.As(err, &said):
			return said.Code
		}
		t.Fatal(err)
		return 0
	}
	alerts := func() (n int) {
		for e, err := range ledger.Read(disk.OS{}, ledgerDir(c.Data), 1) {
			must(t, err)
			if a, ok := e.Body.(*sekisho.Alert); ok && a.Detector == "decoy_mail" {
				if n++; a.Basis[0] != placed.Seq || a.Endpoint != mailAt {
					t.Errorf("%+v", a)
				}
			}
		}
		return n
	}
	const text = "Subject: miles\r\n\r\nYour miles expire!\r\n"
	for _, one := range []struct {
		name   string
		text   string
		to     []string
		code   int
		alerts int
	}{
		{"somebody who is none", text, []string{"anybody@decoy.example.jp"}, 250, 0},
		{"another domain", text, []string{"kasumi.ono@example.com"}, 550, 0},
		{"no domain", text, []string{"kasumi.ono"}, 501, 0},
		{"the decoy", text, []string{"Kasumi.Ono@Decoy.Example.JP"}, 250, 1},
		{"the decoy again", text, []string{"anybody@decoy.example.jp", "kasumi.ono@decoy.example.jp"}, 250, 1},
		{"too large", strings.Repeat(strings.Repeat("x", 998)+"\r\n", 1050), []string{"kasumi.ono@decoy.example.jp"}, 552, 1},
	} {
		if got := send(one.text, one.to...); got != one.code {
			t.Errorf("%s: answered %d, want %d", one.name, got, one.code)
		}
		if got := alerts(); got != one.alerts {
			t.Errorf("%s: %d alerts, want %d", one.name, got, one.alerts)
		}
	}
	now = now.Add(time.Hour)
	send(text, "kasumi.ono@decoy.example.jp")
	if got := alerts(); got != 2 {
		t.Errorf("an hour later: %d alerts", got)
	}
	kept, err := os.ReadDir(filepath.Join(c.Data, mailDir))
	must(t, err)
	if len(kept) != 1 { // the same message each time
		t.Errorf("%d messages were kept", len(kept))
	}
	must(t, h.Ledger.Close())
	now = now.Add(time.Hour)
	if got := send(text, "kasumi.ono@decoy.example.jp"); got != 451 {
		t.Errorf("without the ledger the answer is %d", got)
	}
	stop()
	must(t, <-served)
}
