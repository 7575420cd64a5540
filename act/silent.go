package act

import (
	"github.com/cedar-policy/cedar-go/x/exp/ast"
)

// Silent says that no rule permits anybody anything because of a role, nor to
// everybody: whoever acts in it may do nothing, whatever the circumstances. A rule
// about a principal, a post or a company may still be about somebody in it, and so
// counts as one that speaks of it.
func (p *Policy) Silent(role string) bool {
	for _, r := range p.rules {
		if !r.permit {
			continue
		}
		in, ok := (*ast.Policy)(r.cedar.AST()).Principal.(ast.ScopeTypeIn)
		if !ok || in.Entity.Type != "Role" || string(in.Entity.ID) == role {
			return false
		}
	}
	return true
}
