package house

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sekisho"
	"sekisho/console"
	"sekisho/disk"
	"sekisho/ledger"
	"sekisho/vault"
)

// Somebody who left is erased: asked for at the control socket, approved by
// another, gone from the vault, also after a restart and after an older copy
// was put back; the ledger's commitments hold.
func TestSomebodyIsErased(t *testing.T) {
	now := time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)
	var c Config
	c.Name, c.Data = "crm", filepath.Join(t.TempDir(), "data")
	open := func() *House {
		h, err := Open(t.Context(), c, "/", Options{Now: func() time.Time { return now }})
		must(t, err)
		return h
	}
	h := open()
	table := "user,name,mail\nsuzuki,Suzuki Ichiro,suzuki@jalx.example\nsato,Sato,sato@jalx.example\n"
	for _, text := range []string{table, strings.Replace(table, "Ichiro", "Jiro", 1)} {
		_, err := h.ImportDirectory(t.Context(), strings.NewReader(text), console.DirectoryImport{Source: "hr"}, 0)
		must(t, err)
	}
	var number uint64
	me := ""
	ask := func(f func(*Caller)) {
		must(t, h.WithControl(t.Context(), func() error {
			caller, err := Call(t.Context(), c.Data)
			must(t, err)
			defer caller.Close()
			f(caller)
			return nil
		}))
	}
	ask(func(caller *Caller) {
		_, err := caller.AskErasure(t.Context(), console.ErasureAsk{User: "suzuki", Reason: "retention is over"})
		if err == nil || !strings.Contains(err.Error(), "works here") {
			t.Errorf("somebody who works here: %v", err)
		}
	})
	now = now.AddDate(0, 1, 0)
	_, err := h.ImportDirectory(t.Context(), strings.NewReader("user,name,mail\nsato,Sato,sato@jalx.example\n"), console.DirectoryImport{Source: "hr"}, 0)
	must(t, err)
	staff, _ := h.Vault.Space("staff").Find("suzuki")
	ask(func(caller *Caller) {
		p, err := caller.AskErasure(t.Context(), console.ErasureAsk{User: "suzuki", DryRun: true})
		must(t, err)
		if p.Count != 3 || len(p.Hangs) != 1 || p.Hangs[0] != (console.ErasureHangs{Kind: "PersonChanged", Entries: 3}) {
			t.Errorf("a dry run: %+v", p)
		}
		p, err = caller.AskErasure(t.Context(), console.ErasureAsk{User: "suzuki", Reason: "retention is over"})
		must(t, err)
		number, me = p.Number, p.By
		if _, err = caller.DecideErasure(t.Context(), number, console.ErasureAnswer{Action: "approved"}); err == nil || !strings.Contains(err.Error(), "another person") {
			t.Errorf("who asked approves: %v", err)
		}
		if h.Vault.Space("staff").Erased(staff) {
			t.Error("it was destroyed before anybody approved it")
		}
	})
	director := h.Vault.Space("staff").OfText([]byte("director"))
	_, err = h.Ledger.Append(t.Context(), &sekisho.SignedIn{User: director, OK: true})
	must(t, err)
	copied := map[string][]byte{}
	must(t, h.Close())
	for _, name := range []string{"vault", "keys"} {
		copied[name], err = os.ReadFile(filepath.Join(vaultDir(c.Data), name))
		must(t, err)
	}
	h = open()
	// Another approves in the console. Power goes before it is carried out: the
	// next start does it.
	id, err := h.Ledger.Append(t.Context(), &sekisho.ErasureDecided{Erasure: number, Action: "approved", By: director})
	must(t, err)
	must(t, h.Close())
	check := func(what string) {
		t.Helper()
		for space, n := range map[string]int{"staff": 1, "staff_record": 2} {
			erased := 0
			for o := range uint32(h.Vault.Space(space).Len()) {
				if h.Vault.Space(space).Erased(o + 1) {
					erased++
				}
			}
			if erased != n {
				t.Errorf("%s: %d of %s are erased, want %d", what, erased, space, n)
			}
		}
		if e := h.Erasures.Get(number); e.State != "destroyed" || e.Entry != id.Seq {
			t.Errorf("%s: %+v", what, e)
		}
		if p := h.Directory.Past(staff); len(p) != 3 {
			t.Errorf("%s: the past of the person is %d entries", what, len(p))
		}
	}
	h = open()
	check("at the next start")
	ask(func(caller *Caller) {
		p, err := caller.Erasure(t.Context(), number)
		must(t, err)
		if p.State != "destroyed" || strings.Contains(p.Person, "suzuki") || p.By != me {
			t.Errorf("%+v", p)
		}
	})
	last := h.Ledger.Last()
	must(t, h.Close())
	h = open()
	check("again")
	must(t, h.Close())
	for name, b := range copied { // an older copy, of the file of keys too
		must(t, os.WriteFile(filepath.Join(vaultDir(c.Data), name), b, 0o600))
	}
	h = open()
	check("after an older copy was put back")
	if h.Ledger.Last() < last {
		t.Error("the ledger is shorter")
	}
	must(t, h.Close())

	key, err := vault.LoadOrMakeKey(keyFile(c.Data))
	must(t, err)
	v, err := vault.Open(vault.Config{Dir: vaultDir(c.Data), FS: disk.OS{}, Key: key, ReadOnly: true})
	must(t, err)
	defer v.Close()
	for e, err := range ledger.Read(disk.OS{}, ledgerDir(c.Data), 1) {
		must(t, err)
		if a, ok := e.Body.(*sekisho.Assigned); ok {
			must(t, v.Check(a.Space, a.First, a.Count, a.Root))
		}
	}
}
