package house

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"

	"sekisho"
	"sekisho/sensor"
	"sekisho/watch"
)

// Mail to a decoy is an alert: one for each decoy and hour. The messages are
// kept in the data directory, for whoever looks into it.

const (
	mailAt   = "unverified@mail" // the endpoint of such alerts: nobody knows where the address was read
	mailDir  = "decoy-mail"
	mostKept = 1000 // messages
)

type mail struct {
	mu   sync.Mutex
	told map[uint64]sekisho.Time // entry of a decoy → the hour of its last alert

	found map[string]bool // exports whose decoys stood in a file, with the file's hash
}

// ReceiveMail receives mail on l until ctx ends.
func (h *House) ReceiveMail(ctx context.Context, l net.Listener) error {
	return sensor.ReceiveMail(ctx, l, sensor.MailOptions{Domains: h.mailDomains(), Come: h.mailCame, Log: h.Log.With("sensor", "mail")})
}

// mailCame takes a message in: the alert is durable, and the message kept, when
// it returns. Mail to nobody's mailbox is forgotten.
func (h *House) mailCame(ctx context.Context, m sensor.Mail) error {
	if ours, err := h.Office.Bounce(ctx, m.To, m.Text); ours || err != nil {
		return err
	}
	if reply, report := h.Lures.Ours(m.To); reply || report {
		return h.lureMailCame(ctx, m)
	}
	var touched []watch.Placed
	for _, to := range m.To {
		mailbox, known := h.Vault.Space("mailbox").Find(to)
		if !known {
			continue
		}
		h.Views.Read(func() { touched = append(touched, h.Decoys.At(mailbox)...) })
	}
	if len(touched) == 0 {
		return nil
	}
	now := sekisho.At(h.now())
	h.mail.mu.Lock()
	defer h.mail.mu.Unlock()
	if h.mail.told == nil {
		h.mail.told = map[uint64]sekisho.Time{}
	}
	var alerts []sekisho.Body
	for _, p := range touched {
		if last, ok := h.mail.told[p.Entry]; ok && last == now/anHour {
			continue
		}
		alerts = append(alerts, h.mailedAlert(p, now))
	}
	if len(alerts) > 0 {
		if _, err := h.Ledger.Append(ctx, alerts...); err != nil {
			return fmt.Errorf("recording mail to a decoy: %w", err)
		}
		for _, p := range touched {
			h.mail.told[p.Entry] = now / anHour
		}
		h.Log.Warn("somebody wrote to a decoy: see the incidents", "alerts", len(alerts))
	}
	if err := h.keepMail(m); err != nil {
		h.Log.Error("keeping a mail to a decoy", "error", err) // the alert stands
	}
	return nil
}

// keepMail writes a message to a file of its own, unless there are too many.
func (h *House) keepMail(m sensor.Mail) error {
	dir := filepath.Join(h.Config.Data, mailDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	list, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	if len(list) >= mostKept {
		return fmt.Errorf("%s holds %d messages, and no more are kept: move them away", dir, len(list))
	}
	f, err := os.OpenFile(filepath.Join(dir, fmt.Sprintf("%x.eml", m.SHA256[:16])), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil // the same message
	}
	if err != nil {
		return err
	}
	_, err = f.Write(m.Text)
	return errors.Join(err, f.Close())
}
