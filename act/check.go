package act

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
	"github.com/cedar-policy/cedar-go/x/exp/schema/resolved"

	"sekisho/sheet"
)

// uses is what the rules look at. Whatever they do not look at cannot change a
// decision.
type uses struct {
	principal, role, company, post               bool
	endpoint, verified, posture, place, address  bool
	ready, permits                               bool
	purpose, tables, rows, hour, minute, weekday bool
	rowCuts                                      []int64 // sorted; between two of them the number of rows does not matter
	rowsExact                                    bool    // it may always matter
}

func (u *uses) settle() {
	slices.Sort(u.rowCuts)
	u.rowCuts = slices.Compact(u.rowCuts)
}

// tree checks the names in a policy, and then its types. Names first: their
// messages are about words, the validator's about types.
func (c *checker) tree(p *ast.Policy) {
	before := len(c.mistakes)
	c.scope(p.Principal)
	c.scope(p.Action)
	c.scope(p.Resource)
	for _, condition := range p.Conditions {
		ast.Inspect(ast.NewNode(condition.Body), c.node)
	}
	if len(c.mistakes) > before {
		return
	}
	var seen []string
	for _, err := range flat(c.validator.Policy("", p)) {
		if what := err.Error(); !slices.Contains(seen, what) {
			seen = append(seen, what)
			c.wrong(c.rule.line, "this policy does not fit the schema: "+what, "see docs/policy.md for the types of the words")
		}
	}
}

func flat(err error) []error {
	if err == nil {
		return nil
	}
	var many interface{ Unwrap() []error }
	if !errors.As(err, &many) {
		return []error{err}
	}
	var list []error
	for _, e := range many.Unwrap() {
		list = append(list, flat(e)...)
	}
	return list
}

func (c *checker) scope(s ast.IsScopeNode) {
	switch s := s.(type) {
	case ast.ScopeTypeEq:
		c.entity(s.Entity)
	case ast.ScopeTypeIn:
		c.entity(s.Entity)
	case ast.ScopeTypeInSet:
		for _, e := range s.Entities {
			c.entity(e)
		}
	case ast.ScopeTypeIs:
		c.entityType(string(s.Type))
	case ast.ScopeTypeIsIn:
		c.entityType(string(s.Type))
		c.entity(s.Entity)
	}
}

// node checks one node of a condition, and notes what it looks at.
func (c *checker) node(n ast.IsNode) bool {
	switch n := n.(type) {
	case ast.NodeValue:
		if uid, ok := n.Value.(cedar.EntityUID); ok {
			c.entity(uid)
		}
	case ast.NodeTypeIs:
		c.entityType(string(n.EntityType))
	case ast.NodeTypeIsIn:
		c.entityType(string(n.EntityType))
	case ast.NodeTypeAccess:
		return c.attribute(n.Arg, string(n.Value))
	case ast.NodeTypeHas:
		return c.attribute(n.Arg, string(n.Value))
	case ast.NodeTypeVariable:
		if n.Name == "context" {
			c.wrong(c.lineOf("context"), "the whole context", "name what is meant, such as context.purpose")
		}
	case ast.NodeTypeLessThan:
		return !c.comparesRows(n.BinaryNode)
	case ast.NodeTypeLessThanOrEqual:
		return !c.comparesRows(n.BinaryNode)
	case ast.NodeTypeGreaterThan:
		return !c.comparesRows(n.BinaryNode)
	case ast.NodeTypeGreaterThanOrEqual:
		return !c.comparesRows(n.BinaryNode)
	}
	return true
}

// attribute checks a word behind a dot. goOn: what stands before the dot is
// still to be looked at.
func (c *checker) attribute(of ast.IsNode, name string) (goOn bool) {
	v, ok := of.(ast.NodeTypeVariable)
	if !ok {
		return true
	}
	if v.Name != "context" {
		c.wrong(c.lineOf(name), fmt.Sprintf("%s has no attribute %s", v.Name, name), `write principal in Role::"…", in Post::"…" or in Company::"…"; everything else is in the context`)
		return false
	}
	known := map[string]*bool{
		"endpoint": &c.uses.endpoint, "verified": &c.uses.verified, "posture": &c.uses.posture, "place": &c.uses.place,
		"offsite_ready": &c.uses.ready, "offsite_permits": &c.uses.permits,
		"address": &c.uses.address, "purpose": &c.uses.purpose, "tables": &c.uses.tables, "rows": &c.uses.rows,
		"hour": &c.uses.hour, "minute": &c.uses.minute, "weekday": &c.uses.weekday,
	}
	used, ok := known[name]
	if !ok {
		names := sortedKeys(known)
		c.wrong(c.lineOf(name), "unknown attribute context."+name, "use one of "+strings.Join(names, ", ")+sheet.Nearest(name, names))
		return false
	}
	*used = true
	if name == "rows" {
		c.uses.rowsExact = true // in another place than comparesRows knows
	}
	return false
}

// comparesRows takes a comparison of context.rows with a number, and notes where
// its answer changes.
func (c *checker) comparesRows(n ast.BinaryNode) bool {
	for _, sides := range [][2]ast.IsNode{{n.Left, n.Right}, {n.Right, n.Left}} {
		access, ok := sides[0].(ast.NodeTypeAccess)
		if !ok || access.Value != "rows" || access.Arg != ast.IsNode(ast.NodeTypeVariable{Name: "context"}) {
			continue
		}
		value, ok := sides[1].(ast.NodeValue)
		if !ok {
			continue
		}
		if limit, ok := value.Value.(cedar.Long); ok && limit < math.MaxInt64 {
			c.uses.rows = true
			c.uses.rowCuts = append(c.uses.rowCuts, int64(limit), int64(limit)+1)
			return true
		}
	}
	return false
}

func (c *checker) entityType(name string) bool {
	all := make([]string, 0, len(c.types.Entities)+len(c.types.Enums)+1)
	for t := range c.types.Entities {
		all = append(all, string(t))
	}
	for t := range c.types.Enums {
		all = append(all, string(t))
	}
	all = append(all, "Action")
	if slices.Contains(all, name) {
		return true
	}
	slices.Sort(all)
	c.wrong(c.lineOf(name+"::"), "unknown kind of name "+name, "use one of "+strings.Join(all, ", ")+sheet.Nearest(name, all))
	return false
}

// entity checks a name such as Role::"call_centre".
func (c *checker) entity(uid cedar.EntityUID) {
	if !c.entityType(string(uid.Type)) {
		return
	}
	known := (func() []string)(nil)
	list := func(names []string) func() []string {
		if names == nil {
			return nil
		}
		return func() []string { return names }
	}
	switch uid.Type {
	case "Principal":
		c.uses.principal = true
	case "Role":
		c.uses.role, known = true, list(c.known.Roles)
	case "Company":
		c.uses.company, known = true, list(c.known.Companies)
	case "Post":
		c.uses.post, known = true, list(c.known.Posts)
	case "Endpoint":
		known = list(c.known.Endpoints)
	case "Table":
		known = list(c.known.Tables)
	case "Purpose":
		if uid.ID != "" {
			known = list(c.known.Purposes)
		}
	case "Action":
		known = func() (names []string) {
			for v := range verbs {
				names = append(names, string(actionOf(v).ID))
			}
			return names
		}
	default:
		if enum, ok := c.types.Enums[uid.Type]; ok {
			known = func() []string { return idsOf(enum) }
		}
	}
	if known == nil || slices.Contains(known(), string(uid.ID)) {
		return
	}
	do := "there are none"
	if names := known(); len(names) > 0 {
		do = "use one of " + strings.Join(names, ", ") + sheet.Nearest(string(uid.ID), names)
	}
	c.wrong(c.lineOf(`"`+string(uid.ID)+`"`), "unknown "+strings.ToLower(string(uid.Type))+" "+uid.String(), do)
}

func idsOf(enum resolved.Enum) (names []string) {
	for _, v := range enum.Values {
		names = append(names, string(v.ID))
	}
	return names
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
