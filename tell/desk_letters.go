package tell

import (
	"context"
	"fmt"
	"sync"
	"time"

	"sekisho/incident"
)

// An errand is one letter on its way, and the entry that it tells of. It is
// written when it goes out: until then only a code is kept of it.
type errand struct {
	enquiry uint64
	basis   uint64
	letter  string    // "code", "answer"
	code    string    // of a code
	until   time.Time // of no use afterwards
}

// A mailbag holds the letters that wait for a postman, in the order in which
// they came. While the relay stands still it grows, some 100 bytes a letter: who
// fills it asks for room before.
type mailbag struct {
	mu   sync.Mutex
	list []errand
	some chan struct{} // has one element while a postman should look
}

func newMailbag() *mailbag { return &mailbag{some: make(chan struct{}, 1)} }

func (b *mailbag) put(list ...errand) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.list = append(b.list, list...)
	b.signal()
}

// signal is called with the lock held.
func (b *mailbag) signal() {
	if len(b.list) > 0 {
		select {
		case b.some <- struct{}{}:
		default:
		}
	}
}

func (b *mailbag) len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.list)
}

// take gives the oldest letter, if there is one.
func (b *mailbag) take() (e errand, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.list) == 0 {
		return e, false
	}
	e, b.list = b.list[0], b.list[1:]
	b.signal() // another postman may go, too
	return e, true
}

// mostLetters is how many may wait until comparing waits, too: half an hour of
// codes, after which they are of no use, at the default desk.in_all of 200 enquiries
// a second would be 360,000.
const mostLetters = 100_000

// room is how many enquiries may be compared now. It is asked before anybody is
// looked up, and whoever they are counts as much: so when there is none,
// strangers wait as members do, the oldest first, and their enquiries stand in
// the ledger until it is their turn.
func (d *Desk) room() int {
	waiting := d.bag.len()
	room := max(0, d.Config.mostLetters-waiting)
	if now := d.Now(); room == 0 && now.Sub(d.pushed) >= time.Minute {
		d.pushed = now
		d.Log.Warn("the relay does not take the contact point's letters: enquiries wait to be compared", "letters", waiting)
	}
	return min(room, matchBatch)
}

// write is the letter of an errand.
func (d *Desk) write(e *errand) (m Letter, err error) {
	var q incident.Enquiry
	ok := false
	d.Views.Read(func() { q, ok = d.Enquiries.Get(e.enquiry) })
	if !ok {
		return m, ErrNoEnquiry
	}
	asker, err := d.Asker(&q)
	if err != nil {
		return m, fmt.Errorf("reading who asks in enquiry %d: %w", q.Number, err)
	}
	lang := q.Body.Language
	facts := map[string]any{"Company": d.Config.Company.In(lang), "Contact": d.Config.Contact.In(lang)}
	if e.letter == "code" {
		facts["Code"], facts["Minutes"] = e.code[:4]+" "+e.code[4:], int(codeLasts.Minutes())
	} else {
		facts["Number"] = q.Nth
	}
	return d.letter(e.letter, lang, asker.Email, facts)
}

// next waits for a letter. idle is called before there is none to take.
func (b *mailbag) next(ctx context.Context, idle func()) (errand, bool) {
	for first := true; ; first = false {
		if e, ok := b.take(); ok {
			return e, true
		}
		if first {
			idle()
		}
		select {
		case <-b.some:
		case <-ctx.Done():
			return errand{}, false
		}
	}
}
