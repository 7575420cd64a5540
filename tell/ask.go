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
)

// Lists are the lists that a mailing can be for.
var Lists = []string{"suspected", "confirmed", "worst-case"}

// A Plan is what a mailing would be.
type Plan struct {
	Incident  uint64            `json:"incident"`
	Revision  uint64            `json:"revision"` // entry; 0: the numbers have moved, and it will be recorded first
	List      string            `json:"list"`
	Again     bool              `json:"again"`
	Listed    uint64            `json:"listed"`
	Decoys    uint64            `json:"decoys"`       // on the list who are nobody
	Told      uint64            `json:"already_told"` // or waiting, in another mailing
	People    uint64            `json:"people"`       // whom it would write to
	Languages map[string]uint64 `json:"languages"`
	Texts     map[string]uint64 `json:"texts"` // by language: the approved version; 0: none is
	Unlisted  uint64            `json:"not_listed"`
	Seconds   float64           `json:"seconds"` // that sending takes at the config's pace
	Spaces    []*PlanSpace      `json:"spaces"`  // the same by whose people they are

	answer *trace.Answer
}

// A PlanSpace is what a mailing would be to the people of one subject. Somebody
// who is in two subjects is two customers: nothing says that they are one.
type PlanSpace struct {
	Space    string `json:"space"`
	Listed   uint64 `json:"listed"`
	Decoys   uint64 `json:"decoys"`
	Told     uint64 `json:"already_told"`
	People   uint64 `json:"people"`
	Unlisted uint64 `json:"not_listed"`

	people    []uint32
	languages map[string]uint64
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
	p := &Plan{Incident: number, List: list, Again: again, Texts: map[string]uint64{}}
	if p.answer, err = o.Ask(ctx, q); err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		return nil, wrong("no_numbers")
	}
	for _, a := range p.answer.Parts() {
		s := &PlanSpace{Space: a.Space, people: map[string][]uint32{"suspected": a.Lists.Suspected, "confirmed": a.Lists.Confirmed, "worst-case": a.Lists.WorstCase}[list]}
		s.Listed = uint64(len(s.people))
		if list == "worst-case" {
			s.Unlisted = a.WorstCase - min(a.WorstCase, s.Listed) // whom only an any-row access may have reached
		}
		p.Spaces = append(p.Spaces, s)
	}
	if n := len(i.Revisions); n > 0 && i.Revise(p.answer, 0) == nil {
		p.Revision = i.Revisions[n-1].Seq
		o.reduce(p)
	}
	if err := o.sum(p); err != nil {
		return nil, err
	}
	o.Views.Read(func() {
		for lang := range p.Languages {
			t, _ := o.Book.Approved(Key{number, "person", "", lang})
			p.Texts[lang] = t.Number
		}
	})
	return p, nil
}

// reduce takes out who is nobody, and who is told already.
func (o *Office) reduce(p *Plan) {
	o.Views.Read(func() {
		for _, s := range p.Spaces {
			if o.Decoys != nil {
				s.people = slices.DeleteFunc(s.people, func(ord uint32) bool { return o.Decoys.Has(s.Space, ord) })
			}
			s.Decoys = s.Listed - uint64(len(s.people))
			before := len(s.people)
			s.people = o.Book.ToTell(p.Incident, p.Revision, s.Space, p.Again, s.people)
			s.Told = uint64(before - len(s.people))
		}
	})
}

// sum counts a plan, of all its spaces together.
func (o *Office) sum(p *Plan) error {
	p.Listed, p.Decoys, p.Told, p.People, p.Unlisted, p.Languages = 0, 0, 0, 0, 0, map[string]uint64{}
	for _, s := range p.Spaces {
		roster, err := o.Vault.Roster(s.Space)
		if err != nil {
			return err
		}
		of := o.languageOf(roster)
		s.People, s.languages = uint64(len(s.people)), map[string]uint64{}
		for _, ord := range s.people {
			s.languages[of(ord)]++
		}
		p.Listed, p.Decoys, p.Told, p.People, p.Unlisted = p.Listed+s.Listed, p.Decoys+s.Decoys, p.Told+s.Told, p.People+s.People, p.Unlisted+s.Unlisted
		for lang, n := range s.languages {
			p.Languages[lang] += n
		}
	}
	p.Seconds = float64(p.People) / o.Config.Mail.PerSecond
	return nil
}

// listedAtOnce is how many people stand in one entry: their ordinals take at most
// 5 bytes each.
const listedAtOnce = 250_000

// AskMailing freezes a list for each subject that has people to be told, and puts
// them before a second person, who decides on all of them at once. It gives the
// number of the first. The lists are durable on return; after a crash before that
// there is no mailing.
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
	if p.Revision == 0 {
		if err := o.revise(ctx, p); err != nil {
			return 0, err
		}
	}
	if p.People == 0 {
		return 0, wrong("nobody")
	}
	told := slices.DeleteFunc(slices.Clone(p.Spaces), func(s *PlanSpace) bool { return s.People == 0 })
	var bodies []sekisho.Body
	for _, s := range told {
		if _, ok := o.Config.Addresses[s.Space]; !ok {
			return 0, wrong("no_addresses", s.Space)
		}
		asked := &sekisho.MailingAsked{Incident: number, Revision: p.Revision, List: list, Again: again, Space: s.Space, Listed: s.Listed, People: s.People, Reason: said, By: by}
		for _, lang := range Languages {
			if s.languages[lang] == 0 {
				continue
			}
			if p.Texts[lang] == 0 {
				return 0, wrong("no_text", lang)
			}
			asked.Texts = append(asked.Texts, p.Texts[lang])
		}
		bodies = append(bodies, asked)
	}
	first, err := o.Append(ctx, bodies...) // side by side, by which the fold knows that they are one act
	if err != nil {
		return 0, &NotRecorded{err}
	}
	last := first
	for n, s := range told {
		for rest := s.people; len(rest) > 0; {
			most := min(len(rest), listedAtOnce)
			if last, err = o.Append(ctx, &sekisho.MailingListed{Mailing: first.Seq + uint64(n), More: most < len(rest), Subjects: rest[:most]}); err != nil {
				return 0, &NotRecorded{err}
			}
			rest = rest[most:]
		}
	}
	return first.Seq, o.Views.WaitFor(ctx, last.Seq)
}

// revise records the numbers that a plan was made of, where they have moved.
func (o *Office) revise(ctx context.Context, p *Plan) error {
	i, err := o.Incident(p.Incident)
	if err != nil {
		return err
	}
	if moved := i.Revise(p.answer, 0); moved != nil {
		if p.Revision, err = o.append(ctx, moved...); err != nil {
			return err
		}
	} else {
		p.Revision = i.Revisions[len(i.Revisions)-1].Seq
	}
	o.reduce(p)
	return o.sum(p)
}

// DecideMailing records what somebody says to a mailing; to approve, reject or
// withdraw it is said to every list that was asked for with it. same says whether
// two members of staff are one person.
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
			for _, n := range o.Book.TextsWith(number) {
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
