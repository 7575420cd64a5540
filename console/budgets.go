package console

import (
	"net/http"
	"sync"
	"time"

	"sekisho"
	"sekisho/budget"
)

// BudgetsPage is who has used how much of which budget.
type BudgetsPage struct {
	At      sekisho.Time   `json:"at"`
	Budgets []budgetLine   `json:"budgets"`
	Uses    []BudgetUse    `json:"uses"` // the largest shares first
	More    int            `json:"more"` // uses that are not listed
	Ended   int            `json:"ended"`
	Near    int            `json:"near"`
	Channel Channel        `json:"channel"`
	Shared  bool           `json:"shared"`             // by several gates
	Fault   uint64         `json:"overshoot_by_fault"` // the largest of the holders': see budget.Use
	budgets map[string]int // places in Budgets
}

func (*BudgetsPage) file() string { return "budgets" }

type budgetLine struct {
	Name      string     `json:"name"`
	Who       budget.Who `json:"who"`
	Per       []string   `json:"per"`
	Subject   string     `json:"subject,omitempty"`
	Customers uint32     `json:"customers"`
	Within    string     `json:"within"`
	AtEnd     string     `json:"at_end"`
	Holders   int        `json:"holders"` // who have used something
	Ended     int        `json:"ended"`   // of these
}

// A BudgetUse is one holder's, with names.
type BudgetUse struct {
	budget.Use
	Name    string       `json:"name,omitempty"`        // of the principal
	For     string       `json:"for_purpose,omitempty"` // the purpose
	Percent uint64       `json:"percent"`
	Lapses  sekisho.Time `json:"lapsed_counts_until,omitempty"` // of the lapsed shares the latest
}

// A Channel is how the gates that share the budgets reach one another. Without
// any it is empty.
type Channel struct {
	Gates  []ChannelGate `json:"gates,omitempty"` // this one grants them shares
	Lasts  budget.Span   `json:"lasts,omitempty"`
	Margin budget.Span   `json:"margin,omitempty"`
	From   *ChannelFrom  `json:"from,omitempty"` // this one has its shares from there
	Left   *ChannelLeft  `json:"left,omitempty"` // this one grants no shares any more, and others have some
}

// A ChannelLeft is what other gates hold of a house that grants no shares any
// more.
type ChannelLeft struct {
	Customers uint64       `json:"customers"`
	Frees     sekisho.Time `json:"frees"` // when the last of them counts no more, at the earliest
}

// A ChannelGate is a gate that may ask for shares.
type ChannelGate struct {
	Number uint32       `json:"gate"`
	Name   string       `json:"name"`
	Asked  sekisho.Time `json:"asked,omitempty"` // when it last did, since sekisho began
	// Claimed is the most customers of one share that it said to hold beyond what
	// the ledger has granted, since sekisho began.
	Claimed uint64 `json:"claimed_beyond_granted,omitempty"`
}

// A ChannelFrom is the gate that grants shares.
type ChannelFrom struct {
	Number  uint32       `json:"gate"`
	Name    string       `json:"name"`
	Address string       `json:"address"`
	Reached sekisho.Time `json:"reached,omitempty"`
	Error   string       `json:"error,omitempty"`
}

// mostUses is how many lines a page has.
const mostUses = 500

func (c *Console) budgets(v *visit) (page, error) {
	if c.cfg.Budgets == nil {
		return nil, fail(http.StatusNotFound, "")
	}
	return c.budgetsNow(), nil
}

func (c *Console) budgetsNow() *BudgetsPage {
	now := sekisho.At(c.cfg.Now())
	p := &BudgetsPage{At: now, Budgets: []budgetLine{}, Uses: []BudgetUse{}, budgets: map[string]int{}}
	if c.cfg.Budgets == nil {
		return p
	}
	if c.cfg.Leases != nil {
		p.Channel = c.cfg.Leases()
		p.Shared = p.Channel.From != nil || len(p.Channel.Gates) > 0 || p.Channel.Left != nil
	}
	for i, b := range c.cfg.Budgets.Budgets() {
		p.budgets[b.Name] = i
		p.Budgets = append(p.Budgets, budgetLine{Name: b.Name, Who: b.Who, Per: b.Per, Subject: b.Subject, Customers: b.Customers, Within: b.Within.String(), AtEnd: b.AtEnd})
	}
	for _, u := range c.cfg.Budgets.Uses(now) {
		of := &p.Budgets[p.budgets[u.Budget]]
		of.Holders++
		p.Fault = max(p.Fault, u.Overshoot)
		switch u.State {
		case "ended":
			of.Ended++
			p.Ended++
		case "near":
			p.Near++
		}
		if len(p.Uses) == mostUses {
			p.More++
			continue
		}
		one := BudgetUse{Use: u, Percent: 100 * u.Used / u.Customers}
		if u.Principal != 0 {
			one.Name = c.named("staff", u.Principal)
		}
		if u.Purpose != 0 {
			one.For = c.named("purpose", u.Purpose)
		}
		for _, l := range u.Lent {
			if l.Lapsed {
				one.Lapses = max(one.Lapses, l.Frees(time.Duration(p.Channel.Margin)))
			}
		}
		p.Uses = append(p.Uses, one)
	}
	return p
}

// lastTally is how many budgets were used a moment ago: strangers who ask often
// must not keep those waiting who spend.
type lastTally struct {
	mu          sync.Mutex
	at          time.Time
	near, ended uint64
}

const tallyKept = 5 * time.Second

func (t *lastTally) now(c *Console) (near, ended uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.at.IsZero() || time.Since(t.at) > tallyKept {
		p := c.budgetsNow()
		t.near, t.ended, t.at = uint64(p.Near), uint64(p.Ended), time.Now()
	}
	return t.near, t.ended
}
