package console

import (
	"net/http"
	"slices"
	"strings"

	"sekisho"
	"sekisho/trace"
)

// customerPage answers who has read one customer's record.
type customerPage struct {
	Key       string       `json:"key"`
	Space     string       `json:"space"`
	Through   uint64       `json:"through"`
	Accesses  []liveAccess `json:"accesses"` // the newest first
	Partial   bool         `json:"partial"`
	First     sekisho.Time `json:"first,omitempty"`
	Last      sekisho.Time `json:"last,omitempty"`
	People    []string     `json:"people"`
	Endpoints []string     `json:"endpoints"`
	AnyRow    uint64       `json:"any_row"` // accesses in the ledger that could be anybody's, and so this customer's
	Span      *span        `json:"span,omitempty"`
}

func (*customerPage) file() string { return "customer" }

const (
	mostAccesses = 500
	maxKey       = 256
)

// customer answers a question that is itself recorded: before the answer is
// given, the ledger holds who asked about whom. The key comes in the body of a
// POST, so that it stands in no address, history or log.
func (c *Console) customer(v *visit) (page, error) {
	key := strings.TrimSpace(v.r.PostFormValue("key"))
	if key == "" || len(key) > maxKey {
		return nil, fail(http.StatusBadRequest, "customer_key")
	}
	space, err := c.space(v)
	if err != nil {
		return nil, err
	}
	ord, ok := c.cfg.Vault.Space(space).Find(key)
	if !ok {
		return nil, fail(http.StatusNotFound, "customer")
	}
	shape := c.ownShape(sekisho.Read, space, "who has read this customer", 0)
	if err := c.recordAccess(v.r.Context(), v.who.entry, v.who.statement(), shape, []uint32{ord}, 0); err != nil {
		return nil, err
	}
	p := &customerPage{Key: key, Space: space}
	var found []trace.Access
	c.cfg.Views.Read(func() {
		found = c.cfg.Trace.WhoRead(space, ord, mostAccesses+1)
		p.Through = c.cfg.Trace.Through()
	})
	if p.Partial = len(found) > mostAccesses; p.Partial {
		found = found[:mostAccesses]
	}
	for i := range found {
		a := c.tracedAccess(&found[i])
		p.Accesses = append(p.Accesses, a)
		if a.Principal != "" && !slices.Contains(p.People, a.Principal) {
			p.People = append(p.People, a.Principal)
		}
		if a.Endpoint != "" && !slices.Contains(p.Endpoints, a.Endpoint) {
			p.Endpoints = append(p.Endpoints, a.Endpoint)
		}
	}
	p.AnyRow = c.facts().AnyRow
	if n := len(found); n > 0 {
		p.First, p.Last = found[n-1].At, found[0].At
		p.Span = spread(v.midnight(p.First), p.Last, oneDay, "n.accesses", func(add func(sekisho.Time, uint64)) {
			for i := range found {
				add(found[i].At, 1)
			}
		})
	}
	return p, nil
}

// ownShape is what an access at the console looks like: to a list, or to what
// the ledger knows.
func (c *Console) ownShape(verb sekisho.Verb, space, what string, categories sekisho.Categories) *sekisho.Shape {
	return &sekisho.Shape{Verb: verb, Space: space, Tables: []string{"sekisho.ledger"}, Columns: []string{"sekisho.ledger.customer"},
		Categories: sekisho.Identity | categories, Statement: c.cfg.Vault.Space("statement").OfText([]byte("sekisho: " + what))}
}

func (c *Console) tracedAccess(a *trace.Access) liveAccess {
	line := liveAccess{Session: a.Session, Number: a.Number, Entry: a.Seq, Time: a.At, Principal: c.named("staff", a.Principal),
		Endpoint: a.Endpoint, Verified: a.Verified, Application: c.named("application", a.Application),
		Purpose: c.named("purpose", a.Purpose), Verb: a.Verb.String(), Door: a.Door.String(), Categories: a.Categories.Names(),
		Customers: a.Customers, Rows: a.Rows, Reach: a.Reach, Class: a.Class.String(), Tables: a.Tables, Outcome: ""}
	if a.Through != "" {
		line.Through, line.Program, line.Lost = a.Through, c.named("staff", a.Program), a.Lost
		line.forget()
	}
	return line
}
