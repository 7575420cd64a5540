package stmt

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// analyzes says whether an EXPLAIN runs what it explains: unless each ANALYZE
// among its options is certain to be off.
func analyzes(options []*pg.Node) (yes bool) {
	for _, o := range options {
		d := o.GetDefElem()
		if d == nil || strings.ToLower(d.Defname) != "analyze" {
			continue
		}
		off := false
		switch a := d.Arg.GetNode().(type) {
		case *pg.Node_String_:
			v := lower(a.String_.Sval)
			off = v == "off" || v == "false"
		case *pg.Node_Integer:
			off = a.Integer.Ival == 0
		case *pg.Node_Boolean:
			off = !a.Boolean.Boolval
		}
		yes = yes || !off
	}
	return yes
}
