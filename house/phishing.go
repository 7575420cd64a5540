package house

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sekisho"
	"sekisho/console"
	"sekisho/directory"
	"sekisho/disk"
	"sekisho/duty"
	"sekisho/sensor"
	"sekisho/tell"
)

// luresJournal is the journal of lures that are under way, in the data directory.
const luresJournal = "lures.journal"

// checkLures fills in the part of the config about drills by mail.
func (c *Config) checkLures(base string) error {
	l := &c.Lures
	if len(l.Domains) == 0 {
		return nil
	}
	for _, p := range []*string{&l.Relay.CA, &l.Relay.PasswordFile, &l.Cert, &l.Key, &l.Templates} {
		*p = Against(base, *p)
	}
	if l.Relay.Server == "" { // one company, one relay
		l.Relay = c.Tell.Mail.Relay
	}
	if err := l.Check(); err != nil {
		return fmt.Errorf("config: %w", err)
	}
	if _, err := sekisho.ParsePrefixes(l.Scanners.Networks); err != nil {
		return fmt.Errorf("config: lures: scanners: %w", err)
	}
	if (l.Replies != "" || l.Report != "") && c.Sensors.Mail.Listen == "" {
		return errors.New("config: lures: replies and report need sensors.mail.listen: where answers and reports are received")
	}
	return nil
}

// openLures makes what drills by mail are done with. key is the vault's.
func (h *House) openLures(key [32]byte) error {
	dirs := []string{}
	if d := h.Config.Lures.Templates; d != "" {
		dirs = append(dirs, d)
	}
	list, err := readLures(dirs)
	if err != nil {
		return err
	}
	l := &tell.Lures{Config: h.Config.Lures, Append: h.append, Last: h.Ledger.Last, Views: h.Views, Book: h.Told, Seen: h.LuresSeen, Vault: h.Vault,
		Lures: list, Now: h.now, Zone: h.Zone, Readers: h.readersOfMail, Destroy: h.destroyed, Contact: h.contactOf, Within: h.unitsWithin, Sent: h.senderOf, Log: h.Log.With("door", "lures")}
	if h.Config.Tell.Mail.Returns != "" {
		l.Returns = h.Office.ReturnAddress
	}
	m := hmac.New(sha256.New, key[:])
	m.Write([]byte("sekisho: tokens of lures"))
	m.Sum(l.Key[:0])
	if err := l.Open(); err != nil {
		return fmt.Errorf("config: %w", err)
	}
	h.Lures = l
	return nil
}

func readLures(dirs []string) ([]duty.Lure, error) {
	from := []fs.FS{duty.ShippedLures()}
	for _, d := range dirs {
		from = append(from, os.DirFS(d))
	}
	return duty.ReadLures(from...)
}

// readersOfMail are the people of the directory at a time.
func (h *House) readersOfMail(at sekisho.Time) (list []tell.Reader) {
	h.Views.Read(func() {
		for p := range h.Directory.PeopleAt(at) {
			r := tell.Reader{Staff: p.Staff, Executive: p.Executive, Away: p.Leave}
			if of := h.Directory.Companies(p, at); len(of) > 0 {
				r.Company = of[0]
			}
			if of := h.Directory.Departments(p, at); len(of) > 0 {
				r.Department = of[0]
			}
			list = append(list, r)
		}
	})
	return list
}

// contactOf is how somebody is written to now; not ok: they have left, or the
// directory does not know how.
func (h *House) contactOf(staff uint32) (c tell.Contact, ok bool) {
	var record uint32
	h.Views.Read(func() {
		if p := h.Directory.Person(staff, sekisho.At(h.now())); p != nil {
			record = p.Record
		}
	})
	key, found := h.Vault.Space("staff_record").Key(record)
	if record == 0 || !found {
		return c, false
	}
	a, err := directory.ReadAttributes(key)
	if err != nil || a.Staff != staff {
		return c, false
	}
	return tell.Contact{Address: a.Mail, Name: a.Name, Language: a.Language}, a.Mail != ""
}

func (h *House) unitsWithin(unit uint32, at sekisho.Time) (in map[uint32]bool) {
	h.Views.Read(func() { in = h.Directory.Within(unit, at) })
	return in
}

// destroyed takes one record out of the vault for ever.
func (h *House) destroyed(space string, ordinal uint32) error {
	_, err := h.Vault.Erase(space, []uint32{ordinal})
	return err
}

// SendLures sends the campaigns that were approved until ctx ends, and forgets
// the people of old ones. One at a time.
func (h *House) SendLures(ctx context.Context) error {
	if len(h.Config.Lures.Domains) == 0 || h.Config.Lures.Relay.Server == "" {
		return nil
	}
	j, err := tell.OpenJournal(disk.OS{}, filepath.Join(h.Config.Data, luresJournal))
	if err != nil {
		return err
	}
	defer j.Close()
	if err := h.Settle(ctx); err != nil {
		return err
	}
	return h.Lures.Sender(j).Run(ctx)
}

// KeepLures forgets who was who in old campaigns, once a day, until ctx ends.
func (h *House) KeepLures(ctx context.Context) {
	for {
		if n, err := h.Lures.Forget(ctx); err != nil && ctx.Err() == nil {
			h.Log.Error("forgetting the people of old drills by mail", "error", err)
		} else if n > 0 {
			h.Log.Info("forgot the people of old drills by mail", "campaigns", n)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(24 * time.Hour):
		}
	}
}

// ServeLures serves the pages to which lures lead on l, until ctx ends.
func (h *House) ServeLures(ctx context.Context, l net.Listener) error {
	door, err := console.NewLureDoor(h.Lures, h.Log.With("door", "lures"))
	if err != nil {
		return err
	}
	srv := door.Server()
	stop := context.AfterFunc(ctx, func() { srv.Close() })
	defer stop()
	l = console.Limited(l)
	if cert := h.Config.Lures.Cert; cert != "" {
		err = srv.ServeTLS(l, cert, h.Config.Lures.Key)
	} else {
		err = srv.Serve(l)
	}
	if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return fmt.Errorf("serving the pages of lures: %w", err)
}

// lureMailCame takes in an answer to a lure, or a report. A mail that cannot be
// read is taken and forgotten: its sender would only try again.
func (h *House) lureMailCame(ctx context.Context, m sensor.Mail) error {
	f, err := sensor.ReadForward(m.Text)
	if err != nil {
		h.Log.Warn("a mail to the mailboxes of drills cannot be read", "error", err)
		return nil
	}
	came := tell.Came{To: m.To, From: f.From, Automatic: f.Automatic, Texts: f.Texts, Mail: f.Inner}
	if came.Mail == nil {
		came.Mail = m.Text
	}
	return h.Lures.Come(ctx, came)
}

// senderOf is who of the directory has an address; 0: nobody.
func (h *House) senderOf(address string) (staff uint32) {
	now := sekisho.At(h.now())
	type one struct{ staff, record uint32 }
	var people []one
	h.Views.Read(func() {
		for p := range h.Directory.PeopleAt(now) {
			people = append(people, one{p.Staff, p.Record})
		}
	})
	for _, p := range people {
		if key, ok := h.Vault.Space("staff_record").Key(p.record); ok {
			if a, err := directory.ReadAttributes(key); err == nil && a.Staff == p.staff && strings.EqualFold(a.Mail, address) {
				return p.staff
			}
		}
	}
	return 0
}

// Phishing lists drills by mail and lures.
func (c *Caller) Phishing(ctx context.Context) (p console.PhishingPage, err error) {
	return p, c.tell(ctx, "/api/phishing", nil, &p)
}

// PlanPhishing says what a drill by mail would be: nothing happens.
func (c *Caller) PlanPhishing(ctx context.Context, ask console.PhishingAsk) (p console.PhishingPlanPage, err error) {
	ask.DryRun = true
	return p, c.tell(ctx, "/api/phishing", ask, &p)
}

// AskPhishing proposes one, which waits for a second person on return.
func (c *Caller) AskPhishing(ctx context.Context, ask console.PhishingAsk) (p console.PhishingCampaignPage, err error) {
	ask.DryRun = false
	return p, c.tell(ctx, "/api/phishing", ask, &p)
}

// PhishingCampaign shows one.
func (c *Caller) PhishingCampaign(ctx context.Context, number uint64) (p console.PhishingCampaignPage, err error) {
	return p, c.tell(ctx, fmt.Sprintf("/api/phishing/%d", number), nil, &p)
}

// ActOnPhishing does something with one.
func (c *Caller) ActOnPhishing(ctx context.Context, number uint64, act console.PhishingAct) (p console.PhishingCampaignPage, err error) {
	return p, c.tell(ctx, fmt.Sprintf("/api/phishing/%d", number), act, &p)
}
