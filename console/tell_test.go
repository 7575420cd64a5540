package console

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"sekisho"
	"sekisho/tell"
)

func (b *browser) draftOf(number uint64, form, lang string) (p DraftPage) {
	b.h.t.Helper()
	a := b.json(fmt.Sprintf("/incidents/%d/tell/%s?lang=%s", number, form, lang))
	if a.status != http.StatusOK {
		b.h.t.Fatalf("the draft got %d: %s", a.status, a.body)
	}
	must(b.h.t, json.Unmarshal([]byte(a.body), &p))
	return p
}

// A text from the first draft to the note that it was handed over: nobody approves
// what they proposed, under whichever account, and an edit needs an approval of
// its own.
func TestATextNeedsTwoPeople(t *testing.T) {
	h := newHouse(t)
	number := h.breach()
	sato, suzuki, clerk := h.user("sato", approver, "sato.gate"), h.user("suzuki", approver), h.user("clerk", plainUser)
	at := fmt.Sprintf("/incidents/%d/tell/public", number)
	do := func(b *browser, status int, form ...string) {
		t.Helper()
		values := url.Values{"lang": {"ja"}, "about": {""}}
		for i := 0; i < len(form); i += 2 {
			values.Set(form[i], form[i+1])
		}
		if a := b.post(at, values); a.status != status {
			t.Errorf("%v got %d, want %d: %.300s", form, a.status, status, a.body)
		}
	}
	p := clerk.draftOf(number, "public", "ja")
	if p.State != "" || len(p.Fields) < 5 || p.Unknown == 0 || !strings.Contains(p.Plain, "日の丸航空") {
		t.Fatalf("%+v", p)
	}
	do(sato, http.StatusSeeOther, "action", "saved", "s.public_sorry", "深くお詫びします。", "add.public_done", "続報は3日後です。")
	do(sato, http.StatusSeeOther, "action", "proposed")
	text := sato.draftOf(number, "public", "ja").Text
	for _, b := range []*browser{sato, clerk} {
		do(b, http.StatusForbidden, "action", "approved", "text", fmt.Sprint(text))
	}
	// Who does not say which version was read approves none, and is told the number.
	before := h.ledger.Last()
	if a := suzuki.post(at, url.Values{"lang": {"ja"}, "action": {"approved"}}); a.status != http.StatusBadRequest || !strings.Contains(a.body, fmt.Sprintf("--text %d)", text)) || h.ledger.Last() != before {
		t.Errorf("an approval of no version got %d: %s\n%s", a.status, a.body, h.since(before))
	}
	do(suzuki, http.StatusSeeOther, "action", "approved", "text", fmt.Sprint(text), "reason", "法務確認済み")
	p = suzuki.draftOf(number, "public", "ja")
	if p.State != tell.Approved || p.Approved != text || !strings.Contains(p.Plain, "続報は3日後です。") || len(p.Moved) != 0 || p.Versions[0].SHA256 == "" {
		t.Errorf("%+v", p)
	}
	do(clerk, http.StatusBadRequest, "action", "handed_over")
	do(clerk, http.StatusSeeOther, "action", "handed_over", "reason", "記者会見、ウェブサイト")
	do(sato, http.StatusSeeOther, "action", "saved", "s.public_sorry", "お詫び申し上げます。")
	p = suzuki.draftOf(number, "public", "ja")
	if p.State != tell.Written || p.Approved != text || len(p.Moved) == 0 {
		t.Errorf("after an edit: %+v", p)
	}
	// Who proposed at the command line, under another name, is the same person.
	again := suzuki.draftOf(number, "public", "ja").Text
	h.append(&sekisho.TextDecided{Text: again, Action: "proposed", By: h.staff("sato.gate")})
	do(sato, http.StatusForbidden, "action", "approved", "text", fmt.Sprint(again))
	a := suzuki.get(at + "?lang=ja")
	for _, want := range []string{"The facts have moved since this was approved", "深くお詫びします。", "法務確認済み", "/entries/"} {
		if !strings.Contains(a.body, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	for _, page := range []string{fmt.Sprintf("/incidents/%d/tell", number), fmt.Sprintf("/incidents/%d/room", number), fmt.Sprintf("/incidents/%d/tell/person?lang=en", number)} {
		if a := clerk.get(page); a.status != http.StatusOK {
			t.Errorf("%s got %d", page, a.status)
		}
	}
	if a := clerk.get(fmt.Sprintf("/incidents/%d/tell/partner?about=nobody", number)); a.status != http.StatusNotFound {
		t.Errorf("a partner of nobody's got %d", a.status)
	}
}

// What became of a mailing, page and lists; whoever takes a list stands in the
// ledger.
func TestAMailingsPage(t *testing.T) {
	h := newHouse(t)
	number := h.breach()
	sato, suzuki := h.user("sato", approver), h.user("suzuki", approver)
	var people []uint32
	for n := int64(1); n <= 6; n++ {
		people = append(people, h.vault.Space("member").OfInt(n))
	}
	m := h.append(&sekisho.MailingAsked{Incident: number, Revision: 1, List: "suspected", Space: "member", Listed: 6, People: 6, By: h.staff("sato")})
	h.append(&sekisho.MailingListed{Mailing: m, Subjects: people})
	at := fmt.Sprintf("/incidents/%d/mailings/%d", number, m)
	decide := func(b *browser, status int, form url.Values) {
		t.Helper()
		if a := b.post(at, form); a.status != status {
			t.Errorf("%v got %d: %.300s", form, a.status, a.body)
		}
	}
	decide(sato, http.StatusForbidden, url.Values{"action": {"approved"}})
	decide(suzuki, http.StatusSeeOther, url.Values{"action": {"approved"}})
	w := h.append(&sekisho.MailStarted{Mailing: m, Subjects: people})
	h.append(&sekisho.MailEnded{Started: w, Taken: people[:2], Denied: people[2:3], Unclear: people[3:5]})
	h.append(&sekisho.MailUnsent{Mailing: m, Why: "no_address", Subjects: people[5:]})
	a := suzuki.get(at)
	for _, want := range []string{"6 of 6 settled", "Unclear: 2", "no address: 1", "Not reached by mail: 2"} {
		if !strings.Contains(a.body, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	before := h.ledger.Last()
	if a := suzuki.post(at+"/list", url.Values{"list": {"post"}}); a.status != http.StatusOK || strings.Count(a.body, "\n") != 3 {
		t.Errorf("the list for the post got %d: %s", a.status, a.body)
	}
	if said := h.since(before); !strings.Contains(said, "Access") {
		t.Errorf("the list left, and the ledger says %s", said)
	}
	decide(suzuki, http.StatusBadRequest, url.Values{"action": {"settled"}, "as": {"sent"}})
	decide(suzuki, http.StatusSeeOther, url.Values{"action": {"settled"}, "as": {"sent"}, "reason": {"the relay's log"}})
	var p MailingPage
	must(t, json.Unmarshal([]byte(suzuki.json(at).body), &p))
	if p.State != tell.Done || p.Unclear != 0 || p.ByPost != 2 {
		t.Errorf("%+v", p)
	}
	if a := suzuki.post(fmt.Sprintf("/incidents/%d/mailings", number), url.Values{"list": {"suspected"}, "action": {"plan"}}); a.status != http.StatusOK {
		t.Errorf("the dry run got %d: %.300s", a.status, a.body)
	}
}
