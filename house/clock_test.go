package house

import (
	"path/filepath"
	"testing"
	"time"

	"sekisho"
	"sekisho/disk"
	"sekisho/ledger"
)

// What is recorded after a clock was set back does not come before the time up to
// which budgets have let customers leave their windows.
func TestTheLedgerIsNotBehindTheBudgets(t *testing.T) {
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	var c Config
	c.Name, c.Data = "crm", filepath.Join(t.TempDir(), "data")
	h, err := Open(t.Context(), c, "/", Options{Now: func() time.Time { return now }})
	must(t, err)
	defer h.Close()
	later := sekisho.At(now.Add(time.Hour))
	h.Budgets.Uses(later)
	id, err := h.Ledger.Append(t.Context(), &sekisho.SessionOpened{Door: sekisho.DoorGate})
	must(t, err)
	must(t, h.Settle(t.Context()))
	for e, err := range ledger.Read(disk.OS{}, ledgerDir(c.Data), id.Seq) {
		if must(t, err); e.Time < later {
			t.Errorf("recorded at %s, and budgets stand at %s", e.Time, later)
		}
	}
}
