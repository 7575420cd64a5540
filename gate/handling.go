package gate

import (
	"fmt"

	"sekisho"
	"sekisho/act"
	"sekisho/catalog"
)

// What the handling rules say of work outside the office: forbids beside those
// of the policy's directory, and who may do what there at all.

// OffSite says at which terminals, and who, may work outside the office now. It
// is never changed once it was given.
type OffSite struct {
	Ready   map[string]bool // terminals that the register lets be used outside
	Permits map[Permitted]sekisho.Categories
}

// Permitted is somebody at a terminal.
type Permitted struct{ Principal, Endpoint string }

func (g *Gate) readOffSite() {
	if of := g.conf.Policy.OffSite; of != nil {
		g.rules.offSite.Store(of())
	}
}

// narrowness is another text when what narrows the policy has changed.
func (g *Gate) narrowness() string {
	if g.conf.Policy.Narrow == nil {
		return ""
	}
	return fmt.Sprintf("%x", act.Set{Narrow: g.conf.Policy.Narrow()}.Sum())
}

// Stores are the protected tables as the database has them now.
func (g *Gate) Stores() []catalog.Store { return g.plans.cat.Load().Stores() }
