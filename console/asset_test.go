package console

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// Paper in a cabinet, by the pages: registered, looked for, lost, found again,
// shredded before two witnesses.
func TestAssets(t *testing.T) {
	h := newHouse(t)
	boss, second, third := h.user("ueda", approver), h.user("sato", approver), h.user("ito", approver)
	if a := boss.hands("/registers", "name,owner,traits\nPassport copies,ueda,travel_document\n", "noun", "asset"); a.status != http.StatusBadRequest || !strings.Contains(a.body, "exactly one of these traits") {
		t.Errorf("an asset of no kind: %d\n%s", a.status, a.body)
	}
	csv := "name,owner,traits,place\nPassport copies,ueda,paper travel_document,room 12\nBackup tape,ueda,media,vault\n"
	if a := boss.hands("/registers", csv, "noun", "asset"); a.status != went {
		t.Fatalf("the file: %d\n%s", a.status, a.body)
	}
	boss.shows("/registers?noun=asset", "Passport copies", "not seen for a year")
	ordinals := map[string]uint32{}
	h.views.Read(func() {
		for _, thing := range h.duties.Checks().Things("asset") {
			name, _ := h.vault.Space("thing").Key(thing.Ordinal)
			ordinals[strings.TrimPrefix(name, "asset/")] = thing.Ordinal
		}
	})
	boss.want("/checks", went, "", "noun", "stocktake", "units", "*", "due", "2030-01-01", "lead", "ueda", "other", "sato")
	var check uint64
	h.views.Read(func() { all := h.duties.Checks().All(); check = all[len(all)-1].Number })
	page := fmt.Sprintf("/checks/%d", check)
	boss.shows(page, "Backup tape", "room 12", "Nobody has stood before all of the assets")
	third.want(page+"/seen", went, "", "seen.Backup tape", "seen")
	boss.want(page+"/seen", http.StatusBadRequest, "Say one of", "seen.Backup tape", "perhaps")
	at := h.ledger.Last()
	boss.want(page+"/seen", went, "", "seen.Passport copies", "missing", "note.Passport copies", "the cabinet is empty", "pieces.Backup tape", "3", "seen.Backup tape", "seen")
	if since := h.since(at); !strings.Contains(since, "AssetSeen") || !strings.Contains(since, "FindingRaised") {
		t.Errorf("a missing asset is no finding: %s", since)
	}
	boss.shows("/checks", "Missing at stock-taking: Passport copies")
	boss.shows(fmt.Sprintf("/registers/%d", ordinals["Passport copies"]), "missing", "the cabinet is empty")
	boss.want(page+"/seen", went, "", "seen.Passport copies", "elsewhere")

	thing := fmt.Sprintf("/registers/%d/asset", ordinals["Passport copies"])
	boss.want(thing, http.StatusBadRequest, "Say how", "action", "destroyed", "how", "lost")
	boss.want(thing, went, "", "action", "destroyed", "how", "shredded", "pieces", "40")
	boss.want(thing, http.StatusForbidden, "somebody else", "action", "witnessed")
	second.want(thing, went, "", "action", "witnessed")
	second.want(thing, http.StatusForbidden, "speaks once", "action", "witnessed")
	boss.shows(fmt.Sprintf("/registers/%d", ordinals["Passport copies"]), "waits for witnesses", "1 more must say")
	third.want(thing, went, "", "action", "witnessed")
	boss.shows("/registers?noun=asset", "destroyed")
	third.want(thing, http.StatusConflict, "destroyed already", "action", "disputed", "text", "I did not see it")
	if n := strings.Count(h.since(0), "AssetEnded"); n != 3 {
		t.Errorf("%d entries about the end, want who did it and two who saw it", n)
	}
}
