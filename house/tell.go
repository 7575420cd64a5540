package house

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"

	"sekisho/catalog"
	"sekisho/console"
	"sekisho/disk"
	"sekisho/gate"
	"sekisho/incident"
	"sekisho/tell"
	"sekisho/trace"
)

// journalName is the journal of mails that are under way, in the data directory.
const journalName = "notices.journal"

// checkTell fills in the part of the config about telling people.
func (c *Config) checkTell(base string, subjects []string) error {
	t := &c.Tell
	for _, p := range []*string{&t.Words, &t.Mail.Relay.CA, &t.Mail.Relay.PasswordFile} {
		*p = Against(base, *p)
	}
	for s, a := range t.Addresses {
		a.PasswordFile, a.File = Against(base, a.PasswordFile), Against(base, a.File)
		t.Addresses[s] = a
	}
	if err := t.Check(subjects); err != nil {
		return fmt.Errorf("config: %w", err)
	}
	if t.Mail.Returns != "" && c.Sensors.Mail.Listen == "" {
		return errors.New("config: tell: mail: returns needs sensors.mail.listen: where the mail that comes back is received")
	}
	return nil
}

// mailDomains are those for which mail is received.
func (h *House) mailDomains() []string {
	domains := slices.Clone(h.Config.Sensors.Mail.Domains)
	if r := h.Config.Tell.Mail.Returns; r != "" {
		domains = append(domains, r)
	}
	domains = append(domains, h.Config.Lures.MailDomains()...)
	return domains
}

// openOffice makes what writes, approves and sends texts. key is the vault's.
func (h *House) openOffice(key [32]byte) error {
	o := &tell.Office{Config: h.Config.Tell, Append: h.append, Last: h.Ledger.Last, Views: h.Views, Book: h.Told, Incidents: h.Incidents, Trace: h.Trace,
		Decoys: h.Decoys, Vault: h.Vault, Ask: h.Impact, Question: h.questionOf, Read: h.readAddresses, More: h.more,
		Now: h.now, Zone: h.Zone, Drill: h.drill, Log: h.Log.With("door", "tell")}
	var err error
	if dir := h.Config.Tell.Words; dir != "" {
		o.Forms, err = tell.ReadForms(os.DirFS(dir))
	} else {
		o.Forms, err = tell.ReadForms(nil)
	}
	if err != nil {
		return err
	}
	m := hmac.New(sha256.New, key[:])
	m.Write([]byte("sekisho: return addresses and message ids of notices"))
	m.Sum(o.Key[:0])
	h.Office = o
	return nil
}

// questionOf is what an incident asks at present, about the people of every subject.
func (h *House) questionOf(i *incident.Incident) (q trace.Question) {
	h.Views.Read(func() { q, _ = incident.Asked(i.Question("", h.Trace.LastTime()), h.Trace.Endpoints()) })
	return q
}

// subjects are the catalog's subjects whose people were ever read, by name.
func (h *House) subjects() (list []string) {
	h.Views.Read(func() { list = h.Trace.Spaces() })
	if all := h.Config.Catalog.Subjects; len(all) > 0 {
		list = slices.DeleteFunc(list, func(s string) bool {
			return !slices.ContainsFunc(all, func(c catalog.Subject) bool { return c.Name == s })
		})
	}
	return list
}

// more are the facts that people stated in the incident's room, and what is cut
// off.
func (h *House) more(i *incident.Incident, g *tell.Ground) {
	for _, f := range i.Room.Facts {
		if key := tell.FactOf(f.Body.Code); key != "" && f.Stands() && f.Body.Certainty != "possible" {
			g.Stated = append(g.Stated, tell.Stated{Key: key, Text: h.nameOf("said", f.Body.Said), Entry: f.Seq})
		}
	}
	for _, l := range i.Room.Lessons { // what is owed is planned, what was done is done
		key := map[bool]string{true: "prevention_planned", false: "prevention"}[l.Open()]
		if l.Now.Action != "dropped" {
			g.Stated = append(g.Stated, tell.Stated{Key: key, Text: h.nameOf("said", l.Now.Said), Entry: l.Seq})
		}
	}
	g.Due = h.deadlines(i, g)
	h.Views.Read(func() {
		for _, q := range h.Enquiries.Misuse(i.Number) {
			g.Misuse = append(g.Misuse, q.Number)
		}
		for _, o := range h.Incidents.InForce() {
			// Only what a hand was found to have in force was done.
			at := slices.IndexFunc(o.Hands, func(s incident.HandState) bool { return s.Body.State == "applied" })
			if o.Proposed.Incident == i.Number && at >= 0 && len(o.Proposed.Endpoints) > 0 {
				g.Cut = append(g.Cut, o.Number, o.Hands[at].Entry)
				g.CutEndpoints += uint64(len(o.Proposed.Endpoints))
			}
		}
	})
}

// readAddresses reads the addresses of some people from the database, by key. The
// ledger holds that it does before it is called.
func (h *House) readAddresses(ctx context.Context, space string, keys []string) (map[string]string, error) {
	if h.Gate == nil {
		return nil, errors.New("reading addresses: there is no gate here")
	}
	from := h.Config.Tell.Addresses[space]
	login := h.Config.Gate.Upstream.Reader
	if from.User != "" {
		login = gate.Login{User: from.User, PasswordFile: from.PasswordFile}
	}
	array, err := json.Marshal(keys)
	if err != nil {
		return nil, err
	}
	found := make(map[string]string, len(keys))
	err = h.Gate.ReadAs(ctx, login, func(db gate.Reading) error {
		sql, ok := db.Catalog.ColumnOf(space, from.Email, from.Query)
		if !ok {
			return fmt.Errorf("there is no subject %q", space)
		}
		rows, err := db.Query(ctx, sql, string(array))
		if err != nil {
			return gate.WithoutValues(err)
		}
		for _, r := range rows {
			if r[0] != nil && r[1] != nil && found[*r[0]] == "" {
				found[*r[0]] = *r[1]
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading addresses of %s: %w", space, err)
	}
	return found, nil
}

// SendNotices sends what was approved until ctx ends. One at a time.
func (h *House) SendNotices(ctx context.Context) error {
	if h.Config.Tell.Mail.Relay.Server == "" {
		return nil
	}
	j, err := tell.OpenJournal(disk.OS{}, filepath.Join(h.Config.Data, journalName))
	if err != nil {
		return err
	}
	defer j.Close()
	if err := h.Settle(ctx); err != nil {
		return err
	}
	s := &tell.Sender{Append: h.append, Views: h.Views, Book: h.Told, Relay: h.Config.Tell.Mail.Relay, Pace: h.Config.Tell.Mail.Pace, Journal: j,
		Addresses: h.Office.Addresses, Compose: h.Office.Compose, Now: h.now, Log: h.Log.With("door", "tell")}
	return s.Run(ctx)
}

// Told says what can be said about an incident, and to whom it was.
func (c *Caller) Told(ctx context.Context, incident uint64) (p console.TellPage, err error) {
	return p, c.tell(ctx, fmt.Sprintf("/api/tell/%d?words=en", incident), nil, &p)
}

// Draft is one text as it stands.
func (c *Caller) Draft(ctx context.Context, incident uint64, form, lang, about string) (p console.DraftPage, err error) {
	return p, c.tell(ctx, fmt.Sprintf("/api/tell/%d/%s?%s", incident, url.PathEscape(form), url.Values{"words": {"en"}, "lang": {lang}, "about": {about}}.Encode()), nil, &p)
}

// ActOnText does something with a text.
func (c *Caller) ActOnText(ctx context.Context, incident uint64, form string, act console.TextAct) (p console.DraftPage, err error) {
	return p, c.tell(ctx, fmt.Sprintf("/api/tell/%d/%s?words=en", incident, url.PathEscape(form)), act, &p)
}

// PlanMailing says what a mailing would be.
func (c *Caller) PlanMailing(ctx context.Context, ask console.MailingAsk) (p console.PlanPage, err error) {
	ask.DryRun = true
	return p, c.tell(ctx, "/api/mailings", ask, &p)
}

// AskMailing freezes a list, which waits for a second person on return.
func (c *Caller) AskMailing(ctx context.Context, ask console.MailingAsk) (p console.MailingPage, err error) {
	ask.DryRun = false
	return p, c.tell(ctx, "/api/mailings", ask, &p)
}

// Mailings lists every mailing, the latest first.
func (c *Caller) Mailings(ctx context.Context) (list []console.MailingLine, err error) {
	return list, c.tell(ctx, "/api/mailings", nil, &list)
}

// Mailing shows one.
func (c *Caller) Mailing(ctx context.Context, number uint64) (p console.MailingPage, err error) {
	return p, c.tell(ctx, fmt.Sprintf("/api/mailings/%d", number), nil, &p)
}

// ActOnMailing does something with one.
func (c *Caller) ActOnMailing(ctx context.Context, number uint64, act console.MailingAct) (p console.MailingPage, err error) {
	return p, c.tell(ctx, fmt.Sprintf("/api/mailings/%d", number), act, &p)
}
