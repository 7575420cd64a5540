package house

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sekisho"
	"sekisho/console"
	"sekisho/disk"
	"sekisho/duty"
	"sekisho/ledger"
)

// A year passes for a company of two, through restarts: who counted is frozen
// once, each reminder is written once and to whom it goes, and the ledger is
// verified.
func TestTheRegisterIsTended(t *testing.T) {
	zone, err := time.LoadLocation("Asia/Tokyo")
	must(t, err)
	now := time.Date(2026, 4, 1, 9, 0, 0, 0, zone)
	var c Config
	c.Name, c.Data = "member-db", filepath.Join(t.TempDir(), "data")
	c.Duties.Owners = map[string][]string{"training_lead": {"suzuki"}, "ciso": {"sato"}}
	open := func() *House {
		h, err := Open(t.Context(), c, "/", Options{Now: func() time.Time { return now }})
		must(t, err)
		return h
	}
	h := open()
	must(t, h.RecordEditions(t.Context()))
	staff := h.Vault.Space("staff").OfText([]byte("ito"))
	_, err = h.Ledger.Append(t.Context(), &sekisho.PersonChanged{Staff: staff, Action: "joined", Effective: sekisho.At(now), Joined: sekisho.At(now), Employed: "employee"})
	must(t, err)
	must(t, h.VerifyLedger(t.Context()))
	for _, at := range []time.Time{now.AddDate(0, 6, 0), now.AddDate(0, 11, 1), now.AddDate(1, 0, 8), now.AddDate(1, 0, 9)} {
		now = at
		_, err := h.TendDuties(t.Context())
		must(t, err)
		must(t, h.Close()) // and again, after a restart
		h = open()
		must(t, h.RecordEditions(t.Context()))
		_, err = h.TendDuties(t.Context())
		must(t, err)
	}
	read, frozen, verified := 0, 0, 0
	var told []string
	for e, err := range ledger.Read(disk.OS{}, ledgerDir(c.Data), 1) {
		must(t, err)
		switch b := e.Body.(type) {
		case *sekisho.InstrumentRead:
			read++
		case *sekisho.LedgerVerified:
			if verified++; !b.OK {
				t.Error("the ledger does not hold")
			}
		case *sekisho.PopulationFrozen:
			if b.Population == "people" && len(b.Units) == 1 && b.Units[0] == staff && b.Present[0] == 365 {
				frozen++
			}
		case *sekisho.DutyReminded:
			if b.Duty == "policy/M3a" {
				told = append(told, fmt.Sprintf("%s %s %s %d", e.Time.Go().In(zone).Format("2006-01-02"), b.Role, h.nameOf("staff", b.Person), b.Open))
			}
		}
	}
	if read != 4 || frozen != 1 || verified != 1 {
		t.Errorf("%d editions, %d times frozen, %d times verified", read, frozen, verified)
	}
	if got, want := strings.Join(told, ", "), "2027-03-02 training_lead suzuki 1, 2027-04-09 ciso sato 1"; got != want {
		t.Errorf("reminded %s, want %s", got, want)
	}
	must(t, h.WithControl(t.Context(), func() error {
		caller, err := Call(t.Context(), c.Data)
		must(t, err)
		defer caller.Close()
		p, err := caller.DutyShow(t.Context(), "policy", "M3a", nil)
		must(t, err)
		if len(p.History) != 2 || !p.History[0].Frozen || p.History[0].Figure.Unknown != 1 || p.History[1].Figure.Open != 1 {
			t.Errorf("the history: %+v", p.History)
		}
		if len(p.Listed) != 1 || p.Listed[0].Unit != "ito" || p.Listed[0].Status != duty.Unknown {
			t.Errorf("who owes it: %+v", p.Listed)
		}
		done, err := caller.DutyAct(t.Context(), console.DutyAct{Do: "record", Duty: "M3a", Kind: "training_completion", Producer: "S", Units: []string{"ito"}, From: "2026-06-01", Item: "mail", Said: "from the other system", Dry: true})
		must(t, err)
		if !done.Dry || done.Entry != 0 || done.Units != 1 {
			t.Errorf("a dry run: %+v", done)
		}
		_, err = caller.DutyAct(t.Context(), console.DutyAct{Do: "record", Duty: "M3a", Kind: "training_completion", Producer: "S", Units: []string{"nobody"}, From: "2026-06-01", Item: "mail", Said: "x"})
		if err == nil || !strings.Contains(err.Error(), "nobody") {
			t.Errorf("a completion of nobody's: %v", err)
		}
		return nil
	}))
	must(t, h.Close())
}

// An incident's clocks are evidence: containment within four hours, and the
// notices that the law asks for.
func TestIncidentsAreEvents(t *testing.T) {
	now := time.Date(2026, 5, 11, 9, 0, 0, 0, time.UTC)
	var c Config
	c.Name, c.Data = "member-db", filepath.Join(t.TempDir(), "data")
	h, err := Open(t.Context(), c, "/", Options{Now: func() time.Time { return now }})
	must(t, err)
	defer h.Close()
	by := h.Vault.Space("staff").OfText([]byte("desk"))
	one, err := h.Ledger.Append(t.Context(), &sekisho.IncidentOpened{By: by, Endpoints: []string{"web-01"}})
	must(t, err)
	_, err = h.Ledger.Append(t.Context(), &sekisho.IncidentOpened{By: by, Endpoints: []string{"web-02"}})
	must(t, err)
	judge := func() (total duty.Tally) {
		must(t, h.Settle(t.Context()))
		h.Views.Read(func() {
			list := h.Duty.Judge(h.Duty.Register().Duty("P8b"), now.UnixMicro())
			total = list[len(list)-1].Total
		})
		return total
	}
	if got := judge(); got.Open != 2 || got.Met != 0 {
		t.Errorf("two fresh incidents: %+v", got)
	}
	now = now.Add(2 * time.Hour)
	_, err = h.Ledger.Append(t.Context(), &sekisho.FactStated{Incident: one.Seq, Code: "contained_verified", Happened: sekisho.At(now), Known: sekisho.At(now), Source: "own", Certainty: "confirmed", By: by})
	must(t, err)
	now = now.Add(3 * time.Hour)
	if got := judge(); got.Met != 1 || got.Missed != 1 {
		t.Errorf("five hours later one is contained: %+v", got)
	}
}
