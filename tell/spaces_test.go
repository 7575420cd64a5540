package tell

import (
	"context"
	"errors"
	"slices"
	"testing"

	"sekisho"
)

// An office whose company has members, and guests who are another subject: the
// incident's terminal has read 100 of the ones and 40 of the others.
func officeOfTwo(t *testing.T) (o *Office, incident uint64) {
	o, incident = openOffice(t, 100)
	ctx := t.Context()
	first, err := o.Append(ctx,
		&sekisho.SessionOpened{Door: sekisho.DoorGate, Principal: 1, Role: "service", Endpoint: "app-01", Verified: true},
		&sekisho.Shape{Verb: sekisho.Read, Space: "guest", Tables: []string{"guest"}, Categories: sekisho.Contact})
	if err != nil {
		t.Fatal(err)
	}
	guests := make([]uint32, 40)
	for i := range guests {
		guests[i] = uint32(i + 1)
	}
	if _, err := o.Append(ctx, &sekisho.Access{Session: first.Seq, Shape: first.Seq + 1, Number: 1, Class: sekisho.Exact, Rows: 40, Least: 40, Subjects: guests}); err != nil {
		t.Fatal(err)
	}
	if err := o.Views.WaitFor(ctx, o.Last()); err != nil {
		t.Fatal(err)
	}
	o.Config.Addresses["guest"] = Addresses{Email: "email"}
	return o, incident
}

// One act asks for a list of each subject, and one decision is about all of them;
// each subject's ordinals are its own, and everybody is in one list once.
func TestAMailingCoversEverySubject(t *testing.T) {
	o, number := officeOfTwo(t)
	ctx := t.Context()
	p, err := o.Plan(ctx, number, "worst-case", false)
	if err != nil {
		t.Fatal(err)
	}
	if p.People != 140 || len(p.Spaces) != 2 || p.Spaces[0].Space != "guest" || p.Spaces[0].People != 40 || p.Spaces[1].Space != "member" || p.Spaces[1].People != 100 {
		t.Fatalf("%+v, %+v", p, p.Spaces)
	}
	addresses := o.Config.Addresses["guest"]
	delete(o.Config.Addresses, "guest")
	_, err = o.AskMailing(ctx, number, "worst-case", false, "", 1)
	wantCode(t, "no_addresses", err) // rather than forget some of them
	o.Config.Addresses["guest"] = addresses

	first, err := o.AskMailing(ctx, number, "worst-case", false, "", 1)
	if err != nil {
		t.Fatal(err)
	}
	states := func() (list []MailingState) {
		for _, n := range []uint64{first, first + 1} {
			s, err := o.Mailing(n)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(s.With, []uint64{first, first + 1}) {
				t.Errorf("%d was asked for with %v", n, s.With)
			}
			list = append(list, s.State)
		}
		return list
	}
	if got := states(); !slices.Equal(got, []MailingState{Asked, Asked}) {
		t.Fatalf("%v", got)
	}
	_, err = o.AskMailing(ctx, number, "worst-case", false, "", 1)
	wantCode(t, "nobody", err)
	wantCode(t, "own", o.DecideMailing(ctx, first+1, "approved", "", 1, same))
	// The second one's number stands for both of them.
	if err := o.DecideMailing(ctx, first+1, "approved", "", 2, same); err != nil {
		t.Fatal(err)
	}
	if got := states(); !slices.Equal(got, []MailingState{Sending, Sending}) {
		t.Fatalf("%v", got)
	}
	wantCode(t, "mailing_state", o.DecideMailing(ctx, first, "approved", "", 2, same))
	// Which mails go out is each list's own.
	if err := o.DecideMailing(ctx, first, "paused", "", 2, same); err != nil {
		t.Fatal(err)
	}
	if got := states(); !slices.Equal(got, []MailingState{Paused, Sending}) {
		t.Fatalf("%v", got)
	}
	if err := o.DecideMailing(ctx, first, "ended", "", 2, same); err != nil {
		t.Fatal(err)
	}
	// The turn of the guests did not come, so they are free again; the members' is now.
	again, err := o.AskMailing(ctx, number, "worst-case", false, "", 1)
	if err != nil {
		t.Fatal(err)
	}
	s, err := o.Mailing(again)
	if err != nil || s.With != nil || s.Asked.Space != "guest" || s.Asked.People != 40 {
		t.Errorf("%+v, %v", s, err)
	}
	if err := o.DecideMailing(ctx, again, "rejected", "", 2, same); err != nil {
		t.Fatal(err)
	}
	one, two := Status{Asked: &sekisho.MailingAsked{Incident: 1, Revision: 7, Space: "member"}}, Status{Asked: &sekisho.MailingAsked{Incident: 1, Revision: 7, Space: "guest"}}
	if o.messageID(one, 5) == o.messageID(two, 5) {
		t.Error("a member and a guest of the same ordinal have one Message-ID")
	}
}

// A crash between the lists of one act leaves no mailing, so nobody of the other
// list is forgotten: the act is asked for anew.
func TestHalfAnActIsNoMailing(t *testing.T) {
	o, number := officeOfTwo(t)
	ctx, whole, broken := t.Context(), o.Append, errors.New("the disk is full")
	lists := 0
	o.Append = func(ctx context.Context, b ...sekisho.Body) (sekisho.ID, error) {
		if _, ok := b[0].(*sekisho.MailingListed); ok {
			if lists++; lists == 2 {
				return sekisho.ID{}, broken
			}
		}
		return whole(ctx, b...)
	}
	if _, err := o.AskMailing(ctx, number, "worst-case", false, "", 1); !errors.Is(err, broken) {
		t.Fatal(err)
	}
	o.Append = whole
	if err := o.Views.WaitFor(ctx, o.Last()); err != nil {
		t.Fatal(err)
	}
	var half []Status
	o.Views.Read(func() { half = o.Book.Mailings(number) })
	if len(half) != 2 || half[0].State != Unlisted || half[1].State != Unlisted {
		t.Fatalf("%+v", half)
	}
	wantCode(t, "mailing_state", o.DecideMailing(ctx, half[1].Number, "approved", "", 2, same))
	first, err := o.AskMailing(ctx, number, "worst-case", false, "", 1)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := o.Mailing(first); err != nil || s.State != Asked || s.Asked.People != 40 || len(s.With) != 2 {
		t.Errorf("%+v, %v", s, err)
	}
}
