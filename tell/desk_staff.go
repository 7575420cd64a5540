package tell

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"sekisho"
	"sekisho/incident"
)

// What staff do with enquiries. Each is an entry first, and whoever did it is
// in it. Who may do what is the console's to say.

// Errors of what staff ask for; the console has words for each.
var (
	ErrNoEnquiry = errors.New("there is no such enquiry")
	ErrClosed    = errors.New("the enquiry is closed")
	ErrIdentity  = errors.New("it is not established who asks")
	ErrSeveral   = errors.New("people of several subjects have this number")
	ErrUnknown   = errors.New("nobody in the roster has this number")
	ErrMeans     = errors.New("that is no way to establish who somebody is")
	ErrResult    = errors.New("that is no result of an answer")
	ErrText      = errors.New("the text is missing, too long, or has a gap that is still to be filled in")
	ErrReason    = errors.New("that is no reason to close an enquiry")
	ErrPromise   = errors.New("a delay needs the day on which the answer is promised")
)

func (d *Desk) enquiry(number uint64) (q incident.Enquiry, err error) {
	ok := false
	d.Views.Read(func() { q, ok = d.Enquiries.Get(number) })
	switch {
	case !ok:
		return q, ErrNoEnquiry
	case q.Closed != 0:
		return q, ErrClosed
	}
	return q, nil
}

// whoHas finds the person with a key; of several subjects with that key the one that
// stands in front of it, as in guest/123.
func (d *Desk) whoHas(key string) (one subjectOf, err error) {
	var found []subjectOf
	for _, space := range d.spaces() {
		roster, err := d.Vault.Roster(space)
		if err != nil {
			return one, fmt.Errorf("reading the roster of %s: %w", space, err)
		}
		named, said := strings.CutPrefix(key, space+"/")
		for _, k := range []string{key, named} {
			if ord, ok := d.Vault.Space(space).Find(k); ok && (roster == nil || roster.Has(ord)) {
				if found = append(found, subjectOf{space, ord}); said {
					return found[len(found)-1], nil
				}
				break
			}
		}
	}
	switch len(found) {
	case 0:
		return one, ErrUnknown
	case 1:
		return found[0], nil
	}
	return one, ErrSeveral
}

// Identify records that staff have established who asks, or that they could
// not. key is the person's; where it may be one of two subjects, with the subject in front,
// as in guest/123. The documents are not kept.
func (d *Desk) Identify(ctx context.Context, number uint64, key, means string, confirmed bool, by uint32) (q incident.Enquiry, err error) {
	if q, err = d.enquiry(number); err != nil {
		return q, err
	}
	b := &sekisho.IdentityChecked{Enquiry: number, Space: d.Config.Space, Means: means, Result: "refused", By: by}
	if !slices.Contains(Means(), means) {
		return q, ErrMeans
	}
	if confirmed {
		b.Result = "confirmed"
		one, err := d.whoHas(strings.TrimSpace(key))
		if err != nil {
			return q, err
		}
		b.Space, b.Subject = one.space, one.subject
	}
	id, err := d.Append(ctx, b)
	if err != nil {
		return q, fmt.Errorf("recording who asks: %w", err)
	}
	return d.settled(ctx, number, id.Seq)
}

// Assign gives an enquiry to a member of staff; 0 gives it back.
func (d *Desk) Assign(ctx context.Context, number uint64, to, by uint32) (incident.Enquiry, error) {
	q, err := d.enquiry(number)
	if err != nil {
		return q, err
	}
	return d.record(ctx, number, &sekisho.EnquiryRouted{Enquiry: number, Action: "assigned", To: to, By: by})
}

// Lay says to which incident an enquiry belongs; 0 takes it back. A closed one
// can be laid too: what misuse was about is often learned later.
func (d *Desk) Lay(ctx context.Context, number, to uint64, by uint32) (incident.Enquiry, error) {
	q, err := d.enquiry(number)
	if err != nil && err != ErrClosed {
		return q, err
	}
	return d.record(ctx, number, &sekisho.EnquiryRouted{Enquiry: number, Action: "incident", Incident: to, By: by})
}

// A Reply is what staff answer.
type Reply struct {
	Template string // from which it was made; empty for none
	Text     string
	Result   string
	Until    time.Time // extended: when the answer is promised
	Close    bool
	By       uint32
}

// Reply records an answer, and sends word of it if the asker's address is
// known to be theirs. They can read it when it returns.
func (d *Desk) Reply(ctx context.Context, number uint64, r Reply) (q incident.Enquiry, err error) {
	if q, err = d.enquiry(number); err != nil {
		return q, err
	}
	_, _, known := q.Known()
	text := strings.TrimSpace(strings.ReplaceAll(r.Text, "\r\n", "\n"))
	switch {
	case !slices.Contains(Results(), r.Result):
		return q, ErrResult
	// What does not tell of anybody can be told to whoever asks.
	case !known && incident.NeedsIdentity(q.Body.Asked) && r.Result != "refused" && r.Result != "extended":
		return q, ErrIdentity
	case text == "" || len(text) > mostAnswer || !utf8.ValidString(text) || strings.ContainsRune(text, 0) || strings.Contains(text, "…"):
		return q, ErrText
	case r.Result == "extended" && !r.Until.After(d.Now()):
		return q, ErrPromise
	}
	text += "\n"
	b := &sekisho.EnquiryAnswered{Enquiry: number, Document: d.Vault.Space("document").OfText([]byte(text)), SHA256: hashOf(text), Result: r.Result, Through: d.Last(), By: r.By}
	if b.Document == 0 {
		return q, errors.New("recording an answer: the vault takes no more")
	}
	if _, ok := d.Answers.Find(r.Template); ok {
		b.Template = r.Template + " " + d.Answers.Edition
	}
	bodies := []sekisho.Body{b}
	if r.Result == "extended" {
		b.Until = sekisho.At(r.Until)
	} else if r.Close {
		bodies = append(bodies, &sekisho.EnquiryClosed{Enquiry: number, Reason: "answered", By: r.By})
	}
	if q, err = d.record(ctx, number, bodies...); err != nil {
		return q, err
	}
	return q, d.tellAnswered(ctx, &q)
}

// Close ends an enquiry.
func (d *Desk) Close(ctx context.Context, number uint64, reason string, by uint32) (incident.Enquiry, error) {
	q, err := d.enquiry(number)
	if err != nil {
		return q, err
	}
	if !slices.Contains(Reasons(), reason) || reason == "answered" && q.AnsweredAt == 0 {
		return q, ErrReason
	}
	return d.record(ctx, number, &sekisho.EnquiryClosed{Enquiry: number, Reason: reason, By: by})
}

// Draft fills a template for an enquiry, in its language. A gap that staff have
// to fill in is "…".
func (d *Desk) Draft(q *incident.Enquiry, name string) (string, error) {
	t, ok := d.Answers.Find(name)
	if !ok {
		return "", ErrText
	}
	lang := q.Body.Language
	if t.Machine {
		space, subject, known := q.Known()
		if !known || name != "affected" {
			return "", ErrIdentity
		}
		text, _, err := d.Affected(space, subject, lang)
		return text, err
	}
	target, _ := d.Due(q)
	return d.Answers.fill("answers."+name, lang, map[string]any{"Received": d.day(q.At, lang), "Until": d.day(sekisho.At(target.Add(-time.Second)), lang),
		"Number": q.Nth, "Company": d.Config.Company.In(lang), "Contact": d.Config.Contact.In(lang)})
}

// Allow asks for people to be told by sekisho itself what an incident means for
// them, in these words about it.
func (d *Desk) Allow(ctx context.Context, number uint64, en, ja string, by uint32) (request uint64, err error) {
	en, ja = strings.TrimSpace(en), strings.TrimSpace(ja)
	for _, text := range []string{en, ja} {
		if text == "" || len(text) > mostAnswer || !utf8.ValidString(text) || strings.ContainsAny(text, "\x00\t") {
			return 0, ErrText
		}
	}
	known := false
	d.Views.Read(func() { known = d.Incidents.Get(number) != nil })
	if !known {
		return 0, ErrNoIncident
	}
	b := &sekisho.AnswersAllowed{Incident: number, Action: "asked", TextEn: d.Vault.Space("document").OfText([]byte(en)), TextJa: d.Vault.Space("document").OfText([]byte(ja)), By: by}
	id, err := d.Append(ctx, b)
	if err != nil {
		return 0, fmt.Errorf("asking for answers to be allowed: %w", err)
	}
	return id.Seq, d.Views.WaitFor(ctx, id.Seq)
}

// Errors of allowances.
var (
	ErrNoIncident  = errors.New("there is no such incident")
	ErrNoAllowance = errors.New("there is no such request")
	ErrDecided     = errors.New("it has been decided")
)

// Allowance gives a request.
func (d *Desk) Allowance(request uint64) (a incident.Allowance, ok bool) {
	d.Views.Read(func() {
		all := d.Enquiries.Allowances()
		if i := slices.IndexFunc(all, func(a incident.Allowance) bool { return a.Request == request }); i >= 0 {
			a, ok = all[i], true
		}
	})
	return a, ok
}

// Decide records "approved", "rejected" or "ended". That it is another person
// who approves is the console's to see to.
func (d *Desk) Decide(ctx context.Context, request uint64, action, reason string, by uint32) error {
	a, ok := d.Allowance(request)
	switch {
	case !ok:
		return ErrNoAllowance
	case action == "ended" && !a.Holds(), action != "ended" && a.Decided != nil:
		return ErrDecided
	}
	b := &sekisho.AnswersAllowed{Incident: a.Incident, Action: action, Request: request, By: by}
	if reason = strings.TrimSpace(reason); reason != "" {
		b.Reason = d.Vault.Space("said").OfText([]byte(reason))
	}
	id, err := d.Append(ctx, b)
	if err != nil {
		return fmt.Errorf("deciding on answers: %w", err)
	}
	return d.Views.WaitFor(ctx, id.Seq)
}
