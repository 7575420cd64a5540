package house

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"sekisho"
	"sekisho/budget"
	"sekisho/disk"
	"sekisho/identity"
	"sekisho/lease"
	"sekisho/ledger"
)

// pair is a certificate of an authority with its key, in files.
func pair(t *testing.T, a *identity.Authority, dir, name string, hosts ...string) (cert, key string) {
	t.Helper()
	secret, err := identity.NewKey(identity.P256)
	must(t, err)
	c, err := a.Issue(secret.Public(), identity.Request{Name: name, From: time.Now(), Life: 48 * time.Hour, Hosts: hosts})
	must(t, err)
	chain, err := a.Keep(c)
	must(t, err)
	cert, key = filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")
	must(t, identity.WritePair(cert, key, chain, secret))
	return cert, key
}

// A pairOfGates are two houses in front of one database.
type pairOfGates struct {
	t             *testing.T
	issuer, other *site
	authority     *identity.Authority
	door          string       // where the other asks
	behind        atomic.Value // the address of the issuer's door, which changes
	shut          context.CancelFunc
}

func twoGates(t *testing.T, customers uint32) *pairOfGates {
	first := newSite(t)
	first.close()
	dir := t.TempDir()
	authority, err := identity.Make(filepath.Join(dir, "ca"), identity.Terms{Name: "crm", From: time.Now()})
	must(t, err)
	p := &pairOfGates{t: t, issuer: first, authority: authority}
	budgets := func() budget.Config {
		return budget.Config{{Name: "month", Customers: customers, Within: budget.Span(30 * 24 * time.Hour)}}
	}
	second := &site{t: t, cluster: first.cluster, config: first.config}
	second.clock.Store(first.clock.Load())
	second.config.Data, second.config.Number = filepath.Join(dir, "second"), 2
	p.other = second
	first.config.Budgets, second.config.Budgets = budgets(), budgets()
	front, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { front.Close() })
	go p.line(front)
	p.door = front.Addr().String()
	common := lease.Config{CA: authority.Root(), CRL: authority.Lists(), Every: 20 * time.Millisecond}
	first.config.Leases, second.config.Leases = common, common
	first.config.Leases.Cert, first.config.Leases.Key = pair(t, authority, dir, "gate-1", "127.0.0.1")
	first.config.Leases.Listen, first.config.Leases.Gates = p.door, []lease.Known{{Number: 2, Name: "gate-2"}}
	second.config.Leases.Cert, second.config.Leases.Key = pair(t, authority, dir, "gate-2")
	second.config.Leases.From = lease.From{Address: p.door, Name: "gate-1", Number: 1}
	first.open()
	p.serve()
	second.open()
	t.Cleanup(second.close)
	t.Cleanup(func() { p.shut() })
	return p
}

// line is the line between the gates: its end stays where it is, whatever becomes
// of the issuer behind it.
func (p *pairOfGates) line(front net.Listener) {
	for {
		from, err := front.Accept()
		if err != nil {
			return
		}
		go func() {
			defer from.Close()
			to, err := net.Dial("tcp", p.behind.Load().(string))
			if err != nil {
				return
			}
			defer to.Close()
			go func() { io.Copy(to, from); to.Close() }()
			io.Copy(from, to)
		}()
	}
}

// serve opens the issuer's door.
func (p *pairOfGates) serve() {
	p.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(p.t, err)
	p.behind.Store(l.Addr().String())
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan struct{})
	door := p.issuer.house
	go func() { door.ServeLeases(ctx, l); close(served) }()
	p.shut = func() { stop(); <-served; p.behind.Store("127.0.0.1:1") }
}

// named are the different customers that both ledgers name.
func (p *pairOfGates) named() map[uint32]map[string]bool {
	by := map[uint32]map[string]bool{}
	for _, s := range []*site{p.issuer, p.other} {
		for e, err := range ledger.Read(disk.OS{}, ledgerDir(s.config.Data), 1) {
			must(p.t, err)
			a, ok := e.Body.(*sekisho.Access)
			if !ok {
				continue
			}
			for _, ord := range a.Subjects {
				key, _ := s.house.Vault.Space("member").Key(ord)
				if by[e.ID.Gate] == nil {
					by[e.ID.Gate] = map[string]bool{}
				}
				by[e.ID.Gate][key] = true
			}
		}
	}
	return by
}

// refusal is what a client reads of a statement that is cut.
func refusal(t *testing.T, err error) *pgconn.PgError {
	t.Helper()
	var said *pgconn.PgError
	if !errors.As(err, &said) || said.Code != "53400" {
		t.Fatalf("not refused by a budget: %v", err)
	}
	return said
}

// Two gates in front of one database keep to 139 different customers in 30 days
// together, whichever of them is asked; what one of them does not use, the other
// can have; and the one that is cut off spends what it holds, and then refuses.
func TestTwoGatesShareABudget(t *testing.T) {
	p := twoGates(t, 139)
	at1, at2 := p.issuer.through(), p.other.through()
	p.issuer.ask(at1, "select name from crm.member where member_no <= 40")
	p.other.ask(at2, "select name from crm.member where member_no between 1001 and 1050")
	p.issuer.ask(at1, "select name from crm.member where member_no between 41 and 60")
	_, err := at2.Exec(t.Context(), "select name from crm.member where member_no between 1001 and 1400 order by member_no")
	if said := refusal(t, err); !strings.Contains(said.Message, `the budget "month" has ended: 139 different customers within 30d, over all gates together`) {
		t.Errorf("gate 2: %s", said.Message)
	}
	_, err = at1.Exec(t.Context(), "select name from crm.member where member_no = 2000")
	if said := refusal(t, err); !strings.Contains(said.Message, "139 different customers within 30d, of which 79 are leased to other gates") {
		t.Errorf("gate 1: %s", said.Message)
	}
	p.other.ask(at2, "select name from crm.member where member_no between 1001 and 1079") // they count already
	if by := p.named(); len(by[1]) != 60 || len(by[2]) != 79 {
		t.Errorf("gate 1 has named %d, gate 2 %d", len(by[1]), len(by[2]))
	}

	// It stands in the ledgers, and both start anew with it.
	at2.Close(t.Context())
	at1.Close(t.Context())
	p.other.close()
	p.other.open()
	at2 = p.other.through()
	_, err = at2.Exec(t.Context(), "select name from crm.member where member_no = 1300")
	refusal(t, err)
	p.shut()
	p.issuer.close()
	p.issuer.open()
	if u := p.issuer.house.Budgets.Uses(sekisho.At(p.issuer.now())); len(u) != 1 || u[0].Used != 60 || u[0].Overshoot != 79 || len(u[0].Lent) != 1 || u[0].Lent[0].Gate != 2 {
		t.Errorf("after its restart the issuer knows %+v", u)
	}

	// Nobody answers: those who count can be read, nobody else.
	p.other.ask(at2, "select name from crm.member where member_no = 1007")
	_, err = at2.Exec(t.Context(), "select name from crm.member where member_no = 1300")
	if said := refusal(t, err); !strings.Contains(said.Message, `share of the budget "month" is used up, 79 different customers, and the gate that grants more cannot be reached`) || !strings.Contains(said.Hint, "sekisho doctor") {
		t.Errorf("cut off: %s (%s)", said.Message, said.Hint)
	}
	// Its time is over: nobody at all.
	at2.Close(t.Context())
	p.other.close()
	p.other.later(2 * time.Hour)
	p.other.open()
	at2 = p.other.through()
	_, err = at2.Exec(t.Context(), "select name from crm.member where member_no = 1007")
	if said := refusal(t, err); !strings.Contains(said.Message, `share of the budget "month" has ended`) {
		t.Errorf("behind its time: %s", said.Message)
	}
	p.serve()
	must(t, p.other.house.Borrower.Look(t.Context()))
	p.other.ask(at2, "select name from crm.member where member_no = 1007")

	var kinds []string
	for e, err := range ledger.Read(disk.OS{}, ledgerDir(p.other.config.Data), 1) {
		must(t, err)
		if b, ok := e.Body.(*sekisho.LeaseTaken); ok {
			if b.Issuer != 1 || b.Whose.Budget != "month" || b.Share < 1 {
				t.Errorf("%+v", b)
			}
			kinds = append(kinds, "taken")
		}
	}
	if len(kinds) < 3 || slices.Contains(kinds, "") {
		t.Errorf("gate 2 has taken %d shares", len(kinds))
	}
}

// Who is not the other gate gets nothing: neither a terminal with a certificate
// of the same authority, nor a gate whose certificate was taken back, nor one
// that says another number; and a gate does not ask somebody else than the issuer.
func TestStrangersGetNoShares(t *testing.T) {
	p := twoGates(t, 10)
	dir := t.TempDir()
	knock := func(change func(*lease.Config), number uint32) error {
		c := p.other.config.Leases
		change(&c)
		return CheckLeases(t.Context(), c, number, p.other.config.Budgets)
	}
	same := func(*lease.Config) {}
	must(t, knock(same, 2))
	for _, one := range []struct {
		name   string
		change func(*lease.Config)
		number uint32
		says   string
	}{
		{"a terminal", func(c *lease.Config) { c.Cert, c.Key = pair(t, p.authority, dir, "pc-0417") }, 2, "knows no such gate"},
		{"another number", same, 3, "knows no such gate"},
		{"another authority", func(c *lease.Config) {
			other, err := identity.Make(filepath.Join(dir, "other"), identity.Terms{Name: "other", From: time.Now()})
			must(t, err)
			c.Cert, c.Key = pair(t, other, dir, "gate-2")
		}, 2, ""},
		{"another issuer", func(c *lease.Config) { c.From.Name = "gate-9" }, 2, "somebody else than gate-9"},
		{"a server that is none of ours", func(c *lease.Config) {
			other, err := identity.Make(filepath.Join(dir, "third"), identity.Terms{Name: "third", From: time.Now()})
			must(t, err)
			c.CA, c.CRL = other.Root(), other.Lists()
		}, 2, "certificate"},
	} {
		if err := knock(one.change, one.number); err == nil || !strings.Contains(err.Error(), one.says) {
			t.Errorf("%s: %v", one.name, err)
		}
	}
	taken, err := p.authority.Revoke("gate-2", time.Now())
	must(t, err)
	if len(taken) == 0 {
		t.Fatal("no certificate was taken back")
	}
	if err := knock(same, 2); err == nil {
		t.Error("a certificate that was taken back still asks for shares")
	}
}

// A house that grants no shares any more says what others hold of it, and keeps
// it out of its own budget; the budgets of both are compared by whoever asks.
func TestWhoGrantsNoMoreSaysWhatOthersHold(t *testing.T) {
	p := twoGates(t, 139)
	at2 := p.other.through()
	p.other.ask(at2, "select name from crm.member where member_no between 1001 and 1050")
	for _, one := range []struct {
		change func(*budget.Budget)
		says   string
	}{
		{func(b *budget.Budget) {}, ""},
		{func(b *budget.Budget) { b.Customers = 140 }, "another limit"},
		{func(b *budget.Budget) { b.Within = budget.Span(24 * time.Hour) }, "another limit"},
		{func(b *budget.Budget) { b.Per = []string{"role"} }, "another limit"},
		{func(b *budget.Budget) { b.Name = "moon" }, "no such budget"},
	} {
		budgets := slices.Clone(p.other.config.Budgets)
		one.change(&budgets[0])
		if err := CheckLeases(t.Context(), p.other.config.Leases, 2, budgets); (err == nil) != (one.says == "") || err != nil && !strings.Contains(err.Error(), one.says) {
			t.Errorf("%v: %v", budgets, err)
		}
	}
	if err := CheckLeases(t.Context(), p.other.config.Leases, 2, nil); err == nil || !strings.Contains(err.Error(), "does not keep to") {
		t.Errorf("a gate without budgets: %v", err)
	}

	lent := p.issuer.house.Budgets.LentOut()
	if len(lent) != 1 || lent[0].Share < 50 {
		t.Fatalf("lent out: %+v", lent)
	}
	share := lent[0].Share
	p.shut()
	p.issuer.close()
	p.issuer.config.Leases = lease.Config{}
	p.issuer.open()
	c := p.issuer.house.leases()
	if c.Left == nil || c.Left.Customers != share || c.Left.Frees <= sekisho.At(p.issuer.now().Add(30*24*time.Hour)) || len(c.Gates) != 0 {
		t.Errorf("it says %+v of what it has lent", c.Left)
	}
	if said := p.issuer.log.String(); !strings.Contains(said, "grants no shares of budgets any more") {
		t.Errorf("its log: %s", said)
	}
	at1 := p.issuer.through()
	p.issuer.ask(at1, fmt.Sprintf("select name from crm.member where member_no <= %d", 139-share))
	_, err := at1.Exec(t.Context(), "select name from crm.member where member_no = 500")
	refusal(t, err)
}
