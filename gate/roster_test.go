package gate

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"sekisho"
	"sekisho/catalog"
	"sekisho/vault"
)

func TestRosterOfEverybody(t *testing.T) {
	h := newHouse(t, func(o *options) {
		o.catalog.Subjects[0].Roster = catalog.Roster{
			Query:  "select m.*, p.expires_on from crm.member m left join crm.passport p using (member_no)",
			Labels: map[string]string{"city": "city"}, Dates: map[string]string{"passport_until": "expires_on"}, Match: map[string]string{"email": "email"},
		}
	})
	told := 0
	read, err := h.gate.ReadRoster(context.Background(), "member", func(n int) { told = n })
	if err != nil {
		t.Fatal(err)
	}
	if read.Count != 1000 || read.Space != "member" || !slices.Equal(read.Dimensions, []string{"city", "passport_until", "email"}) {
		t.Errorf("%+v", *read)
	}
	if told != 1000 {
		t.Errorf("the last progress was %d rows", told)
	}
	r, err := h.vault.Roster("member")
	if err != nil {
		t.Fatal(err)
	}
	ord, _ := h.vault.Space("member").Find("1003")
	if got := r.FindBy(0, "M3@EXAMPLE.JP"); !slices.Equal(got, []uint32{ord}) {
		t.Errorf("member 1003 has ordinal %d, and by its e-mail %v", ord, got)
	}
	if r.Label(0, ord) != "Osaka" || r.Date(0, ord) != 18262+3 { // 2020-01-01 is day 18262
		t.Errorf("city %q, passport until day %d", r.Label(0, ord), r.Date(0, ord))
	}
	none, _ := h.vault.Space("member").Find("1004")
	if r.Date(0, none) != vault.NoDate {
		t.Errorf("a member without a passport has one until day %d", r.Date(0, none))
	}
	h.stop()
	n := 0
	for _, e := range h.entries() {
		if b, ok := e.Body.(*sekisho.RosterRead); ok {
			n++
			if b.SHA256 != read.SHA256 || b.Count != 1000 {
				t.Errorf("the ledger says %+v", *b)
			}
		}
	}
	if n != 1 {
		t.Errorf("%d RosterRead entries", n)
	}
}

func TestRosterThatCannotBeRead(t *testing.T) {
	h := newHouse(t, func(o *options) {
		o.catalog.Subjects[0].Roster = catalog.Roster{
			Query: "select member_no, name::date as d from crm.member", Dates: map[string]string{"d": "d"},
		}
	})
	if got := h.gate.Subjects(); !slices.Equal(got, []string{"member", "holder"}) {
		t.Errorf("subjects %v", got)
	}
	if _, err := h.gate.ReadRoster(context.Background(), "holder", nil); !errors.Is(err, ErrNoRoster) {
		t.Errorf("no roster: %v", err)
	}
	// The server's words for this one quote a name.
	_, err := h.gate.ReadRoster(context.Background(), "member", nil)
	if err == nil || strings.Contains(err.Error(), "name1") || !strings.Contains(err.Error(), "22007") {
		t.Errorf("a failing cast: %v", err)
	}
	if r, err := h.vault.Roster("member"); r != nil || err != nil {
		t.Errorf("a roster is there after the failure: %v, %v", r, err)
	}
}
