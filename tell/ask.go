package tell

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"sekisho"
	"sekisho/trace"
	"sekisho/vault"
)

// Lists are the lists that a mailing can be for.
var Lists = []string{"suspected", "confirmed", "worst-case"}

// A Plan is what a mailing would be.
type Plan struct {
	Incident  uint64            `json:"incident"`
	Revision  uint64            `json:"revision"` // entry; 0: the numbers have moved, and it will be recorded first
	List      string            `json:"list"`
	Again     bool              `json:"again"`
	Space     string            `json:"space"`
	Listed    uint64            `json:"listed"`
	Decoys    uint64            `json:"decoys"`       // on the list who are nobody
	Told      uint64            `json:"already_told"` // or waiting, in another mailing
	People    uint64            `json:"people"`       // whom it would write to
	Languages map[string]uint64 `json:"languages"`
	Texts     map[string]uint64 `json:"texts"` // by language: the approved version; 0: none is
	Unlisted  uint64            `json:"not_listed"`
	Seconds   float64           `json:"seconds"` // that sending takes at the config's pace

	people []uint32
	answer *trace.Answer
}

// Plan says to how many a mailing would go. Nothing is recorded.
func (o *Office) Plan(ctx context.Context, number uint64, list string, again bool) (*Plan, error) {
	i, err := o.Incident(number)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(Lists, list) {
		return nil, wrong("list")
	}
	q := o.Question(i)
	q.Lists = true
	a, err := o.Ask(ctx, q)
	if err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		return nil, wrong("no_numbers")
	}
	p := &Plan{Incident: number, List: list, Again: again, Space: a.Space, Languages: map[string]uint64{}, Texts: map[string]uint64{}, answer: a}
	if n := len(i.Revisions); n > 0 && i.Revise(a, 0) == nil {
		p.Revision = i.Revisions[n-1].Seq
	}
	p.people = map[string][]uint32{"suspected": a.Lists.Suspected, "confirmed": a.Lists.Confirmed, "worst-case": a.Lists.WorstCase}[list]
	p.Listed = uint64(len(p.people))
	if list == "worst-case" {
		p.Unlisted = a.WorstCase - min(a.WorstCase, p.Listed) // whom only an any-row access may have reached
	}
	if p.Revision != 0 {
		o.reduce(p)
	}
	roster, err := o.Vault.Roster(p.Space)
	if err != nil {
		return nil, err
	}
	o.languages(p, roster)
	o.Views.Read(func() {
		for lang := range p.Languages {
			t, _ := o.Book.Approved(Key{number, "person", "", lang})
			p.Texts[lang] = t.Number
		}
	})
	p.People = uint64(len(p.people))
	p.Seconds = float64(p.People) / o.Config.Mail.PerSecond
	return p, nil
}

// reduce takes out who is nobody, and who is told already.
func (o *Office) reduce(p *Plan) {
	o.Views.Read(func() {
		if o.Decoys != nil {
			p.people = slices.DeleteFunc(p.people, func(s uint32) bool { return o.Decoys.Has(p.Space, s) })
		}
		p.Decoys = p.Listed - uint64(len(p.people))
		before := len(p.people)
		p.people = o.Book.ToTell(p.Incident, p.Revision, p.Space, p.Again, p.people)
		p.Told = uint64(before - len(p.people))
	})
}

func (o *Office) languages(p *Plan, roster *vault.Roster) {
	of := o.languageOf(roster)
	for _, s := range p.people {
		p.Languages[of(s)]++
	}
}

// listedAtOnce is how many people stand in one entry: their ordinals take at most
// 5 bytes each.
const listedAtOnce = 250_000

// AskMailing freezes a list and puts it before a second person. The list is
// durable on return; after a crash before that there is no mailing.
func (o *Office) AskMailing(ctx context.Context, number uint64, list string, again bool, reason string, by uint32) (uint64, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.Config.Mail.Relay.Server == "" {
		return 0, wrong("no_relay")
	}
	said, err := o.said(reason)
	if err != nil {
		return 0, err
	}
	p, err := o.Plan(ctx, number, list, again)
	if err != nil {
		return 0, err
	}
	if _, ok := o.Config.Addresses[p.Space]; !ok {
		return 0, wrong("no_addresses", p.Space)
	}
	if p.Revision == 0 {
		if err := o.revise(ctx, p); err != nil {
			return 0, err
		}
	}
	if p.People == 0 {
		return 0, wrong("nobody")
	}
	asked := &sekisho.MailingAsked{Incident: number, Revision: p.Revision, List: list, Again: again, Space: p.Space, Listed: p.Listed, People: p.People, Reason: said, By: by}
	for _, lang := range Languages {
		if p.Languages[lang] == 0 {
			continue
		}
		if p.Texts[lang] == 0 {
			return 0, wrong("no_text", lang)
		}
		asked.Texts = append(asked.Texts, p.Texts[lang])
	}
	id, err := o.Append(ctx, asked)
	if err != nil {
		return 0, &NotRecorded{err}
	}
	mailing := id.Seq
	for rest := p.people; len(rest) > 0; {
		n := min(len(rest), listedAtOnce)
		if id, err = o.Append(ctx, &sekisho.MailingListed{Mailing: mailing, More: n < len(rest), Subjects: rest[:n]}); err != nil {
			return 0, &NotRecorded{err}
		}
		rest = rest[n:]
	}
	return mailing, o.Views.WaitFor(ctx, id.Seq)
}

// revise records the numbers that a plan was made of, where they have moved.
func (o *Office) revise(ctx context.Context, p *Plan) error {
	i, err := o.Incident(p.Incident)
	if err != nil {
		return err
	}
	if r := i.Revise(p.answer, 0); r != nil {
		if p.Revision, err = o.append(ctx, r); err != nil {
			return err
		}
	} else {
		p.Revision = i.Revisions[len(i.Revisions)-1].Seq
	}
	o.reduce(p)
	clear(p.Languages)
	roster, err := o.Vault.Roster(p.Space)
	if err != nil {
		return err
	}
	o.languages(p, roster)
	p.People = uint64(len(p.people))
	return nil
}

// DecideMailing records what somebody says to a mailing. same says whether two
// members of staff are one person.
func (o *Office) DecideMailing(ctx context.Context, number uint64, action, reason string, by uint32, same func(a, b uint32) bool) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	s, err := o.Mailing(number)
	if err != nil {
		return err
	}
	said, err := o.said(reason)
	if err != nil {
		return err
	}
	if err := mayDecide(s, action, by, same); err != nil {
		return err
	}
	if action == "approved" {
		// What was agreed to since was agreed to for a reason: nobody sends the older
		// words.
		moved := uint64(0)
		o.Views.Read(func() {
			for _, n := range s.Asked.Texts {
				t, ok := o.Book.Text(n)
				if !ok {
					moved = n
				} else if now, _ := o.Book.Approved(keyOf(t.Body)); now.Number != n {
					moved = n
				}
			}
		})
		if moved != 0 {
			return wrong("text_moved", moved)
		}
	}
	_, err = o.append(ctx, &sekisho.MailingDecided{Mailing: number, Action: action, Reason: said, By: by})
	return err
}

// mayDecide says why somebody may not do this to a mailing, or to a campaign, as
// it stands.
func mayDecide(s Status, action string, by uint32, same func(a, b uint32) bool) error {
	allowed := map[string][]MailingState{"approved": {Asked}, "rejected": {Asked}, "withdrawn": {Asked}, "paused": {Sending}, "resumed": {Paused}, "ended": {Sending, Paused}}[action]
	switch {
	case allowed == nil:
		return wrong("action")
	case !slices.Contains(allowed, s.State):
		return wrong("mailing_state", string(s.State))
	case (action == "approved" || action == "rejected") && same(by, s.Asked.By):
		return wrong("own")
	case action == "withdrawn" && !same(by, s.Asked.By):
		return wrong("not_own")
	}
	return nil
}

// Mailing gives one.
func (o *Office) Mailing(number uint64) (s Status, err error) {
	ok := false
	o.Views.Read(func() { s, ok = o.Book.Status(number) })
	if !ok {
		return s, wrong("mailing")
	}
	return s, nil
}

// Settle records what is held of people who stand so: as "sent", "again" or
// "post".
func (o *Office) Settle(ctx context.Context, number uint64, as string, which []Fate, reason string, by uint32) (people int, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	s, err := o.Mailing(number)
	if err != nil {
		return 0, err
	}
	may := map[string][]Fate{"sent": {Unclear}, "again": {Unclear, Denied}, "post": {Unclear, Denied, Unsent, Bounced}}[as]
	if may == nil || len(which) == 0 {
		return 0, wrong("action")
	}
	for _, f := range which {
		if !slices.Contains(may, f) {
			return 0, wrong("action")
		}
	}
	if as == "again" && s.State != Sending && s.State != Paused && s.State != Done {
		return 0, wrong("mailing_state", string(s.State))
	}
	said, err := o.said(reason)
	if err != nil {
		return 0, err
	}
	if said == 0 {
		return 0, wrong("reason")
	}
	var list []uint32
	o.Views.Read(func() { list = o.Book.In(number, 0, which...) })
	if len(list) == 0 {
		return 0, wrong("nobody")
	}
	for rest := list; len(rest) > 0; {
		n := min(len(rest), listedAtOnce)
		if _, err := o.append(ctx, &sekisho.MailSettled{Mailing: number, As: as, Subjects: rest[:n], Reason: said, By: by}); err != nil {
			return 0, err
		}
		rest = rest[n:]
	}
	return len(list), nil
}

// readAddressFile reads the addresses of some people out of a CSV file (RFC 4180),
// which is read from its beginning for them: it may be larger than memory.
func readAddressFile(ctx context.Context, name string, of map[string]uint32) (map[string]string, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("reading addresses: %w", err)
	}
	defer f.Close()
	found, err := readAddresses(ctx, f, of)
	if err != nil {
		return nil, fmt.Errorf("reading addresses from %s: %w", name, err)
	}
	return found, nil
}

// readAddresses never repeats a value in an error.
func readAddresses(ctx context.Context, in io.Reader, of map[string]uint32) (map[string]string, error) {
	r := csv.NewReader(in)
	r.ReuseRecord, r.FieldsPerRecord = true, -1
	head, err := r.Read()
	if err != nil {
		return nil, errors.New("it has no header line")
	}
	key, email := -1, -1
	for i, h := range head {
		switch strings.ToLower(strings.TrimSpace(strings.TrimPrefix(h, "\ufeff"))) {
		case "key":
			key = i
		case "email":
			email = i
		}
	}
	if key < 0 || email < 0 {
		return nil, errors.New("its header line does not name the columns key and email")
	}
	found := map[string]string{}
	for n := 2; ; n++ {
		row, err := r.Read()
		if err == io.EOF {
			return found, nil
		}
		if err != nil || len(row) <= max(key, email) {
			return nil, fmt.Errorf("line %d cannot be read", n)
		}
		if _, ok := of[row[key]]; ok {
			found[strings.Clone(row[key])] = strings.Clone(row[email])
		}
		if n%10_000 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
}
