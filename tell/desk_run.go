package tell

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/text/unicode/norm"

	"sekisho"
	"sekisho/incident"
	"sekisho/vault"
)

// What the contact point does by itself: compare what askers gave, send codes
// and notices, answer, and answer anew when the numbers have moved. What was
// begun stands in the ledger, so that after a crash nobody is forgotten: a code
// whose letter may be lost is followed by another code.

const (
	matchBatch = 256
	postmen    = 4
)

// Run works until ctx ends.
func (d *Desk) Run(ctx context.Context) {
	var all sync.WaitGroup
	all.Go(func() { d.each(ctx, "comparing enquiries with the roster", d.matchAll) })
	all.Go(func() { d.each(ctx, "answering enquiries", d.answerAll) })
	all.Go(func() { d.keepResults(ctx) })
	if d.Codes() {
		for range postmen {
			all.Go(func() { d.post(ctx) })
		}
	}
	all.Wait()
}

// each does something at once, and again whenever the ledger has moved.
func (d *Desk) each(ctx context.Context, what string, do func(context.Context) error) {
	for seen := uint64(0); ; {
		if err := d.Views.WaitFor(ctx, seen+1); err != nil {
			return
		}
		// What is done reads the views: they must hold what counts as seen.
		seen = d.Last()
		if err := d.Views.WaitFor(ctx, seen); err != nil {
			return
		}
		began := time.Now()
		if err := do(ctx); err != nil && ctx.Err() == nil {
			d.Log.Error(what, "error", err)
		}
		// What comes meanwhile is done together, and the work never takes more than
		// half of the time.
		select {
		case <-ctx.Done():
			return
		case <-time.After(max(20*time.Millisecond, time.Since(began))):
		}
	}
}

// matchAll compares what askers gave with the roster. An EnquiryMatched is
// durable for each, member or not, and only then a letter goes out.
func (d *Desk) matchAll(ctx context.Context) error {
	for {
		room := d.room()
		if room == 0 {
			return nil // they wait: that a letter has gone is an entry, which wakes us
		}
		var list []incident.Enquiry
		d.Views.Read(func() {
			list = d.Enquiries.Fresh(room)
			for _, q := range d.Enquiries.Unmailed() {
				if len(list) == room {
					break
				}
				if !d.underWay(q.Match) { // of an earlier life of this process
					list = append(list, q)
				}
			}
		})
		if len(list) == 0 {
			return nil
		}
		err := d.match(ctx, list)
		if err == errNoRoster {
			return nil // they wait for it: its entry wakes us
		}
		if err != nil {
			return err
		}
	}
}

// errNoRoster: the list of everybody was not read yet, and nobody shall be
// taken for a stranger.
var errNoRoster = errors.New("there is no roster yet")

func (d *Desk) underWay(basis uint64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.posting[basis]
}

func (d *Desk) match(ctx context.Context, list []incident.Enquiry) error {
	var rosters []*vault.Roster
	for _, space := range d.spaces() {
		roster, err := d.Vault.Roster(space)
		if err != nil {
			return fmt.Errorf("reading the roster of %s: %w", space, err)
		}
		if roster == nil {
			return errNoRoster
		}
		rosters = append(rosters, roster)
	}
	var err error
	bodies := make([]sekisho.Body, len(list))
	var hands []sekisho.Body // without codes staff check everybody
	codes := make([]string, len(list))
	askers := make([]Asker, len(list))
	spent := map[subjectOf]int{} // codes of this batch
	since := sekisho.At(d.Now().Add(-24 * time.Hour))
	for i := range list {
		q := &list[i]
		if askers[i], err = d.Asker(q); err != nil {
			return fmt.Errorf("reading who asks in enquiry %d: %w", q.Number, err)
		}
		m := &sekisho.EnquiryMatched{Enquiry: q.Number, Space: d.Config.Space}
		m.Space, m.Subject = d.matchesOne(rosters, &askers[i])
		who := subjectOf{m.Space, m.Subject}
		if m.Subject != 0 && d.Codes() && q.Standing() == incident.StandProof && q.Matches < codesEach {
			made := 0
			d.Views.Read(func() { made = d.Enquiries.CodesSince(m.Space, m.Subject, since) })
			if made+spent[who] < codesDaily {
				spent[who]++
				if codes[i], err = newCode(); err != nil {
					return err
				}
				m.Code = codeHash(&askers[i], codes[i])
			}
		}
		bodies[i] = m
		if !d.Codes() && q.Standing() == incident.StandProof {
			hands = append(hands, &sekisho.EnquiryRouted{Enquiry: q.Number, Action: "by_hand"})
		}
	}
	bodies = append(bodies, hands...)
	// On their way before the entry is seen, so that nobody takes them for lost.
	first, err := d.Append(ctx, bodies...)
	if err != nil {
		return fmt.Errorf("recording what was compared: %w", err)
	}
	d.mu.Lock()
	for i := range list {
		if codes[i] != "" {
			d.posting[first.Seq+uint64(i)] = true
		}
	}
	d.mu.Unlock()
	if err := d.Views.WaitFor(ctx, first.Seq+uint64(len(bodies))-1); err != nil {
		return err
	}
	for i := range list {
		if codes[i] != "" {
			d.bag.put(errand{enquiry: list[i].Number, basis: first.Seq + uint64(i), letter: "code", code: codes[i], until: d.Now().Add(codeLasts)})
		}
	}
	return nil
}

func newCode() (string, error) {
	n, err := rand.Int(rand.Reader, big.NewInt(100_000_000))
	if err != nil {
		return "", fmt.Errorf("making a code: %w", err)
	}
	return fmt.Sprintf("%0*d", codeDigits, n), nil
}

// subjectOf is one person of a subject.
type subjectOf struct {
	space   string
	subject uint32
}

// matchesOne finds the one person of all subjects who has all that was given; of two
// nobody, since what either is told would be half of it.
func (d *Desk) matchesOne(rosters []*vault.Roster, a *Asker) (space string, subject uint32) {
	var found []subjectOf
	for i, s := range d.spaces() { // all, so that it takes as long for whoever asks
		if ord := d.matches(rosters[i], s, a); ord != 0 {
			found = append(found, subjectOf{s, ord})
		}
	}
	if len(found) != 1 {
		return d.Config.Space, 0
	}
	return found[0].space, found[0].subject
}

// matches finds the one person who has all that was given; 0 for nobody.
func (d *Desk) matches(roster *vault.Roster, space string, a *Asker) uint32 {
	if a.Email == "" {
		return 0
	}
	field := slices.Index(roster.Schema().Match, d.Config.Email)
	if field < 0 {
		return 0
	}
	var found uint32
	if a.Number == "" {
		if all := roster.FindBy(field, a.Email); d.Config.WithoutNumber && len(all) == 1 {
			found = all[0]
		}
	} else {
		// As it stands in the database, or as people write it.
		wide := norm.NFKC.String(a.Number)
		for _, n := range []string{a.Number, wide, strings.ToUpper(vault.Normalise(a.Number)), vault.Normalise(a.Number)} {
			if ord, ok := d.Vault.Space(space).Find(n); ok && roster.Has(ord) {
				found = ord
				break
			}
		}
	}
	if found == 0 || !roster.Agrees(found, field, a.Email) {
		return 0
	}
	for _, name := range d.Config.Also {
		also := slices.Index(roster.Schema().Match, name)
		if also < 0 || !roster.Agrees(found, also, a.Also[name]) {
			return 0
		}
	}
	return found
}

// spaces are the subjects whose people ask here.
func (d *Desk) spaces() []string { return append([]string{d.Config.Space}, d.Config.Others...) }

// letter fills in one of the edition's letters.
func (d *Desk) letter(name, lang, to string, facts any) (m Letter, err error) {
	m = Letter{From: d.Config.From, Name: d.Config.Company.In(lang), To: to, Date: d.Now()}
	if m.Subject, err = d.Answers.fill("letters."+name+".subject", lang, facts); err != nil {
		return m, err
	}
	m.Subject = strings.TrimSpace(m.Subject)
	m.Text, err = d.Answers.fill("letters."+name+".text", lang, facts)
	return m, err
}

// post is one postman: a line to the relay for as long as it is good, one
// letter after another.
func (d *Desk) post(ctx context.Context) {
	var line *Line
	defer func() {
		if line != nil {
			line.Close()
		}
	}()
	for {
		e, ok := d.bag.next(ctx, func() {
			if line != nil { // a relay hangs up on who is silent
				line.Close()
				line = nil
			}
		})
		if !ok {
			return
		}
		outcome := d.deliver(ctx, &line, &e)
		if ctx.Err() != nil {
			return // nobody knows what became of it: the next life sees to that
		}
		select {
		case d.results <- &sekisho.EnquiryMailed{Enquiry: e.enquiry, Letter: e.letter, Basis: e.basis, Outcome: outcome}:
		case <-ctx.Done():
			return
		}
	}
}

// deliver tries until the relay has said yes or no, or the letter is of no use
// any more. A letter may be delivered twice: that is better than not at all.
func (d *Desk) deliver(ctx context.Context, line **Line, e *errand) (outcome string) {
	letter, err := d.write(e)
	if err != nil {
		d.Log.Error("writing a letter of the contact point", "enquiry", e.enquiry, "error", err)
		return "failed"
	}
	for wait := time.Second; ; wait = min(2*wait, time.Minute) {
		var err error
		if *line == nil {
			*line, err = Call(ctx, d.Config.Mail)
		}
		if err == nil {
			if err = (*line).Send(ctx, letter); err == nil {
				return "taken"
			}
			var no *Refusal
			if errors.As(err, &no) {
				if no.Permanent() {
					return "refused"
				}
			} else {
				(*line).Close()
				*line = nil
			}
		}
		if ctx.Err() != nil || d.Now().After(e.until) {
			return "failed"
		}
		d.Log.Warn("a letter of the contact point waits", "enquiry", e.enquiry, "error", err)
		select {
		case <-ctx.Done():
			return "failed"
		case <-time.After(wait):
		}
	}
}

// keepResults records what became of letters, as many at once as there are.
func (d *Desk) keepResults(ctx context.Context) {
	for {
		var bodies []sekisho.Body
		select {
		case b := <-d.results:
			bodies = append(bodies, b)
		case <-ctx.Done():
			return
		}
		for len(bodies) < matchBatch {
			select {
			case b := <-d.results:
				bodies = append(bodies, b)
				continue
			default:
			}
			break
		}
		id, err := d.Append(ctx, bodies...)
		if err != nil {
			d.Log.Error("recording what became of letters", "error", err)
			continue
		}
		// Until the views know, they are on their way: else they would be taken for
		// lost, and sent anew.
		if err := d.Views.WaitFor(ctx, id.Seq+uint64(len(bodies))-1); err != nil {
			return
		}
		d.mu.Lock()
		for _, b := range bodies {
			delete(d.posting, b.(*sekisho.EnquiryMailed).Basis)
		}
		d.mu.Unlock()
	}
}

// tellAnswered sends word of an answer, to an address that the roster has
// confirmed by a code.
func (d *Desk) tellAnswered(ctx context.Context, q *incident.Enquiry) error {
	if !d.Codes() || q.Checked == nil || q.Checked.Means != "code" || q.Checked.Result != "confirmed" {
		return nil
	}
	asker, err := d.Asker(q)
	if err != nil || asker.Email == "" {
		return err
	}
	d.bag.put(errand{enquiry: q.Number, basis: q.AnswerSeq, letter: "answer", until: d.Now().Add(24 * time.Hour)})
	return nil
}
