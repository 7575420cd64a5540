package stmt

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	pg "github.com/pganalyze/pg_query_go/v6"
)

var (
	ErrTooLong = fmt.Errorf("the text is longer than %d bytes", MaxBytes)
	ErrTooDeep = errors.New("the text is nested too deeply")
	ErrNUL     = errors.New("the text holds a NUL byte")
	ErrUTF8    = errors.New("the text is not valid UTF-8")

	ErrLongName = fmt.Errorf("a name outside ASCII is longer than %d bytes", longestName)
)

// ErrSyntax is a text that the grammar does not take. The grammar's own words
// are left out on purpose: they quote the text, which may hold personal data.
var ErrSyntax = errors.New("the text is not understood as SQL")

// Analyse reads a text of any number of statements. An empty text has none.
func Analyse(text string) ([]Statement, error) {
	tree, err := parse(text)
	if err != nil {
		return nil, err
	}
	statements := make([]Statement, 0, len(tree.Stmts))
	for _, raw := range tree.Stmts {
		s := analyse(raw.Stmt)
		s.Start = int(raw.StmtLocation)
		s.End = s.Start + int(raw.StmtLen)
		if raw.StmtLen == 0 {
			s.End = len(text)
		}
		if s.Start < 0 || s.End > len(text) || s.Start > s.End {
			return nil, ErrSyntax
		}
		s.Text = text[s.Start:s.End]
		if s.Copy != nil {
			s.Copy.find(s.Text)
		}
		statements = append(statements, *s)
	}
	return statements, nil
}

func parse(text string) (*pg.ParseResult, error) {
	switch {
	case len(text) > MaxBytes:
		return nil, ErrTooLong
	case strings.IndexByte(text, 0) >= 0:
		return nil, ErrNUL
	case !utf8.ValidString(text):
		return nil, ErrUTF8
	}
	if err := checkDepth(text); err != nil {
		return nil, err
	}
	if err := checkNames(text); err != nil {
		return nil, err
	}
	tree, err := pg.Parse(text)
	if err != nil {
		return nil, ErrSyntax
	}
	return tree, nil
}

// longestName is how many bytes of a name count (NAMEDATALEN - 1).
const longestName = 63

// checkNames finds names that the server may cut at another place than the
// grammar does: the grammar counts bytes of UTF-8, the server those of the
// database's own encoding. ASCII is the same in all.
func checkNames(text string) error {
	if len(text) <= longestName || strings.IndexFunc(text, func(c rune) bool { return c >= utf8.RuneSelf }) < 0 {
		return nil
	}
	scan, err := pg.Scan(text)
	if err != nil {
		return ErrSyntax
	}
	for _, t := range scan.Tokens {
		if t.Token != pg.Token_IDENT && t.Token != pg.Token_UIDENT || t.End-t.Start <= longestName {
			continue
		}
		name := text[t.Start:t.End]
		if t.Token == pg.Token_UIDENT || strings.IndexFunc(name, func(c rune) bool { return c >= utf8.RuneSelf }) >= 0 {
			return ErrLongName
		}
	}
	return nil
}

// The grammar library walks a tree by recursion in C, where a tree too deep is
// not an error but a crash of the process. The grammar itself bounds what
// nests to the right (its stack holds 10,000 symbols), but not chains that
// nest to the left: 1+1+1+…. A tree cannot be deeper than its text has tokens,
// so a short text needs no look. In a longer one each token may add a level,
// but what a comma, AND, OR or semicolon separates stands side by side.
const (
	maxDepth   = 2000
	depthBytes = 2000
)

func checkDepth(text string) error {
	if len(text) <= depthBytes {
		return nil
	}
	scan, err := pg.Scan(text)
	if err != nil {
		return ErrSyntax
	}
	type level struct{ base, deepest int }
	var outer []level
	here := level{}
	depth, chained := 0, 0
	for _, t := range scan.Tokens {
		switch t.Token {
		case pg.Token_ASCII_40, pg.Token_ASCII_91, pg.Token_CASE: // ( [
			depth++
			outer = append(outer, here)
			here = level{depth, depth}
		case pg.Token_ASCII_41, pg.Token_ASCII_93, pg.Token_END_P: // ) ]
			// What was inside hangs below whatever this becomes part of.
			depth = here.deepest + 1
			if n := len(outer); n > 0 {
				here, outer = outer[n-1], outer[:n-1]
			}
		case pg.Token_ASCII_44, pg.Token_ASCII_59, pg.Token_AND, pg.Token_OR: // , ;
			depth = here.base
		case pg.Token_UNION, pg.Token_INTERSECT, pg.Token_EXCEPT, pg.Token_JOIN, pg.Token_BETWEEN:
			// Chains with commas and ANDs between their links.
			chained += 2
		case pg.Token_SQL_COMMENT, pg.Token_C_COMMENT:
		default:
			depth++
		}
		here.deepest = max(here.deepest, depth)
		if depth+chained > maxDepth {
			return ErrTooDeep
		}
	}
	return nil
}

func analyse(node *pg.Node) *Statement {
	s := &Statement{Kind: Unknown}
	w := walk{s: s}
	if sel := node.GetSelectStmt(); sel != nil {
		w.named, w.namedCall = settingNamed(sel)
	}
	s.describe(node, &w)
	s.Changes, s.Fill = changes(node), fill(node)
	w.message(node.ProtoReflect())
	w.finish()
	return s
}

// describe sets everything that is known by the topmost node alone.
func (s *Statement) describe(node *pg.Node, w *walk) {
	s.Obstacle = "not_a_select"
	switch n := node.GetNode().(type) {
	case *pg.Node_SelectStmt:
		s.Kind = Select
		if n.SelectStmt.IntoClause != nil {
			s.Kind = CreateTableAs
		}
		s.plain(n.SelectStmt, w)
		s.Certain = configures(n.SelectStmt)
	case *pg.Node_InsertStmt:
		s.Kind = Insert
		s.insert(n.InsertStmt, w)
	case *pg.Node_UpdateStmt:
		s.Kind = Update
		s.update(n.UpdateStmt, w)
	case *pg.Node_DeleteStmt:
		s.Kind = Delete
		s.delete(n.DeleteStmt, w)
	case *pg.Node_MergeStmt:
		s.Kind = Merge
		s.merge(n.MergeStmt, w)
	case *pg.Node_TruncateStmt:
		s.Kind = Truncate
		s.Cascade = n.TruncateStmt.Behavior == pg.DropBehavior_DROP_CASCADE
	case *pg.Node_CopyStmt:
		s.Kind = Copy
		s.Copy = copyTo(n.CopyStmt)
		w.top = append(w.top, n.CopyStmt.Relation)
	case *pg.Node_ExplainStmt:
		s.Kind, s.Inner = Explain, analyse(n.ExplainStmt.Query)
		s.Analyze = analyzes(n.ExplainStmt.Options)
	case *pg.Node_PrepareStmt:
		s.Kind, s.Object, s.Inner = Prepare, n.PrepareStmt.Name, analyse(n.PrepareStmt.Query)
	case *pg.Node_ExecuteStmt:
		s.Kind, s.Object = Execute, n.ExecuteStmt.Name
		if !constants(n.ExecuteStmt.Params) {
			s.Kind = Unknown
		}
	case *pg.Node_DeallocateStmt:
		s.Kind, s.Object, s.All = Deallocate, n.DeallocateStmt.Name, n.DeallocateStmt.Isall || n.DeallocateStmt.Name == ""
	case *pg.Node_DeclareCursorStmt:
		s.Kind, s.Object, s.Inner = Declare, n.DeclareCursorStmt.Portalname, analyse(n.DeclareCursorStmt.Query)
	case *pg.Node_FetchStmt:
		s.Kind, s.Object = Fetch, n.FetchStmt.Portalname
		s.Absolute = n.FetchStmt.Direction == pg.FetchDirection_FETCH_ABSOLUTE
	case *pg.Node_ClosePortalStmt:
		s.Kind, s.Object, s.All = CloseCursor, n.ClosePortalStmt.Portalname, n.ClosePortalStmt.Portalname == ""
	case *pg.Node_CreateTableAsStmt:
		s.Kind, s.Inner = CreateTableAs, analyse(n.CreateTableAsStmt.Query)
	case *pg.Node_ViewStmt:
		s.Kind, s.Inner = CreateView, analyse(n.ViewStmt.Query)
	case *pg.Node_DoStmt:
		s.Kind = Do
	case *pg.Node_CallStmt:
		s.Kind = Call
	case *pg.Node_VariableSetStmt:
		s.Kind, s.Certain = Set, true
		s.setting(n.VariableSetStmt, false)
	case *pg.Node_AlterRoleSetStmt:
		s.Kind = Set
		s.setting(n.AlterRoleSetStmt.Setstmt, true)
	case *pg.Node_AlterDatabaseSetStmt:
		s.Kind = Set
		s.setting(n.AlterDatabaseSetStmt.Setstmt, true)
	case *pg.Node_AlterSystemStmt:
		s.Kind = Set
		s.setting(n.AlterSystemStmt.Setstmt, true)
	case *pg.Node_VariableShowStmt:
		s.Kind, s.Object = Show, n.VariableShowStmt.Name
	case *pg.Node_TransactionStmt:
		s.Kind = Transaction
		s.Object = strings.ToLower(strings.TrimPrefix(n.TransactionStmt.Kind.String(), "TRANS_STMT_"))
		s.Savepoint, s.Chain = n.TransactionStmt.SavepointName, n.TransactionStmt.Chain
	case *pg.Node_DiscardStmt:
		s.Kind, s.All = Discard, n.DiscardStmt.Target == pg.DiscardMode_DISCARD_ALL
	case *pg.Node_ListenStmt:
		s.Kind, s.Object = Listen, n.ListenStmt.Conditionname
	case *pg.Node_UnlistenStmt:
		s.Kind, s.Object = Listen, n.UnlistenStmt.Conditionname
	case *pg.Node_NotifyStmt:
		s.Kind, s.Object = Notify, n.NotifyStmt.Conditionname
	case *pg.Node_LockStmt:
		const rowShare = 2 // of PostgreSQL's lockdefs.h: what SELECT FOR UPDATE takes
		s.Kind, s.Holds = Lock, n.LockStmt.Mode > rowShare
	case *pg.Node_ConstraintsSetStmt, *pg.Node_CheckPointStmt:
		s.Kind = Session
	case *pg.Node_VacuumStmt, *pg.Node_ClusterStmt, *pg.Node_ReindexStmt, *pg.Node_RefreshMatViewStmt:
		s.Kind, s.Tends = Maintain, true
		_, s.Refreshes = n.(*pg.Node_RefreshMatViewStmt)
	case *pg.Node_IndexStmt:
		s.Kind, s.Tends = Define, true
	case *pg.Node_AlterEnumStmt:
		if s.Kind = Define; n.AlterEnumStmt.OldVal != "" { // every value that says so says something else then
			w.names(n.AlterEnumStmt.TypeName)
		}
	case *pg.Node_CreateStmt, *pg.Node_CreateSeqStmt, *pg.Node_AlterSeqStmt,
		*pg.Node_AlterTableStmt, *pg.Node_CommentStmt, *pg.Node_CreateEnumStmt,
		*pg.Node_CompositeTypeStmt, *pg.Node_CreateStatsStmt:
		s.Kind = Define
	case *pg.Node_GrantStmt: // also on all tables in a schema
		s.Kind = Define
		for _, o := range n.GrantStmt.Objects {
			s.schema(o)
		}
	case *pg.Node_CreateSchemaStmt:
		s.Kind = Define
		for _, e := range n.CreateSchemaStmt.SchemaElts {
			if k := analyse(e).Kind; k != Define {
				s.Kind = Code
			}
		}
	case *pg.Node_DropStmt:
		s.Kind, s.Tends = defineOrCode(n.DropStmt.RemoveType), n.DropStmt.RemoveType == pg.ObjectType_OBJECT_TABLE
		s.Cascade = n.DropStmt.Behavior == pg.DropBehavior_DROP_CASCADE
		for _, o := range n.DropStmt.Objects {
			s.schema(o)
		}
	case *pg.Node_RenameStmt:
		s.Kind = defineOrCode(n.RenameStmt.RenameType)
		if n.RenameStmt.RenameType == pg.ObjectType_OBJECT_SCHEMA {
			s.Schemas = append(s.Schemas, n.RenameStmt.Subname)
		}
		switch n.RenameStmt.RenameType {
		case pg.ObjectType_OBJECT_COLUMN, pg.ObjectType_OBJECT_TABCONSTRAINT, pg.ObjectType_OBJECT_ATTRIBUTE:
		default:
			w.maybe(n.RenameStmt.Newname)
		}
	case *pg.Node_AlterObjectSchemaStmt:
		s.Kind = defineOrCode(n.AlterObjectSchemaStmt.ObjectType)
	case *pg.Node_AlterOwnerStmt:
		s.Kind = defineOrCode(n.AlterOwnerStmt.ObjectType)
		s.schema(n.AlterOwnerStmt.Object)
	case nil:
	default:
		s.Kind = Code
	}
}

// schema notes a lone name in DDL, which only a schema, a role or the like is
// written as.
func (s *Statement) schema(n *pg.Node) {
	if name := n.GetString_().GetSval(); name != "" {
		s.Schemas = append(s.Schemas, name)
	}
}

// defineOrCode: does an object of this type only hold data, or does it run?
func defineOrCode(t pg.ObjectType) Kind {
	switch t {
	case pg.ObjectType_OBJECT_TABLE, pg.ObjectType_OBJECT_VIEW, pg.ObjectType_OBJECT_MATVIEW, pg.ObjectType_OBJECT_INDEX,
		pg.ObjectType_OBJECT_SEQUENCE, pg.ObjectType_OBJECT_SCHEMA, pg.ObjectType_OBJECT_COLUMN,
		pg.ObjectType_OBJECT_TABCONSTRAINT, pg.ObjectType_OBJECT_STATISTIC_EXT, pg.ObjectType_OBJECT_ATTRIBUTE:
		return Define
	}
	return Code
}

func (s *Statement) setting(n *pg.VariableSetStmt, durable bool) {
	if n == nil {
		return
	}
	set := Setting{Name: strings.ToLower(n.Name), Known: true, Durable: durable, Local: n.IsLocal}
	switch n.Kind {
	case pg.VariableSetKind_VAR_SET_VALUE:
	case pg.VariableSetKind_VAR_SET_DEFAULT, pg.VariableSetKind_VAR_RESET:
		set.Default = true
	case pg.VariableSetKind_VAR_RESET_ALL:
		set.Default, s.All = true, true
	case pg.VariableSetKind_VAR_SET_CURRENT:
		set.Known = false
	case pg.VariableSetKind_VAR_SET_MULTI:
		// SET TRANSACTION and SET SESSION CHARACTERISTICS set what they name
		// in DefElems; SET TRANSACTION SNAPSHOT shares another session's view.
		for _, a := range n.Args {
			if d := a.GetDefElem(); d != nil {
				s.Settings = append(s.Settings, Setting{Name: strings.ToLower(d.Defname), Known: true, Durable: durable})
			}
		}
	default:
		set.Known = false
	}
	for _, a := range n.Args {
		if c := a.GetTypeCast(); c != nil && set.Name == "timezone" { // SET TIME ZONE INTERVAL '1'
			a = c.Arg
		}
		if v, ok := constant(a); ok {
			set.Values = append(set.Values, v)
		} else if a.GetDefElem() == nil {
			set.Known = false
		}
	}
	s.Settings = append(s.Settings, set)
}

// constants: each is a constant, or one cast to a type of PostgreSQL's own.
// What is more than that is evaluated, and the prepared statement that it is
// for says nothing of it.
func constants(list []*pg.Node) bool {
	return !slices.ContainsFunc(list, func(n *pg.Node) bool {
		if c := n.GetTypeCast(); c != nil {
			if names := nameOf(c.TypeName.GetNames()); names.Schema != "pg_catalog" && (names.Schema != "" || !basic[names.Name]) {
				return true
			}
			n = c.Arg
		}
		return n.GetAConst() == nil
	})
}

// basic are PostgreSQL's own types that the grammar does not name with their
// schema.
var basic = map[string]bool{"text": true, "date": true, "uuid": true, "json": true, "jsonb": true, "bytea": true, "timestamptz": true}

// constant is the value of a bare constant as the server would read it as
// text. A cast makes another value of it: 'offer'::varchar(3). The exception is
// how the grammar writes TRUE and FALSE.
func constant(n *pg.Node) (string, bool) {
	if c := n.GetTypeCast(); c != nil && nameOf(c.TypeName.GetNames()) == (Name{"pg_catalog", "bool"}) {
		if b := c.Arg.GetAConst(); b != nil && !b.Isnull {
			if v, ok := b.Val.(*pg.A_Const_Boolval); ok {
				return fmt.Sprint(v.Boolval.GetBoolval()), true
			}
		}
		return "", false
	}
	c := n.GetAConst()
	if c == nil || c.Isnull {
		return "", false
	}
	switch v := c.Val.(type) {
	case *pg.A_Const_Sval:
		return v.Sval.GetSval(), true
	case *pg.A_Const_Ival:
		return fmt.Sprint(v.Ival.GetIval()), true
	case *pg.A_Const_Fval:
		return v.Fval.GetFval(), true
	case *pg.A_Const_Boolval:
		return fmt.Sprint(v.Boolval.GetBoolval()), true
	}
	return "", false
}

func copyTo(n *pg.CopyStmt) *CopyTo {
	c := &CopyTo{From: n.IsFrom, Program: n.IsProgram, File: n.Filename != "" && !n.IsProgram, Format: "text", Options: map[string]bool{}}
	for _, a := range n.Attlist {
		c.Columns = append(c.Columns, a.GetString_().GetSval())
	}
	for _, o := range n.Options {
		d := o.GetDefElem()
		name := strings.ToLower(d.GetDefname())
		c.Options[name] = true
		value := ""
		known := d.GetArg() == nil
		switch a := d.GetArg().GetNode().(type) {
		case *pg.Node_String_:
			value, known = a.String_.Sval, true
			switch name {
			case "delimiter":
				c.Delimiter = value
			case "quote":
				c.Quote = value
			case "escape":
				c.Escape = value
			case "null":
				c.Null = value
			case "encoding":
				c.Encoding = value
			}
		case *pg.Node_Integer:
			value, known = fmt.Sprint(a.Integer.Ival), true
		case *pg.Node_Boolean:
			value, known = fmt.Sprint(a.Boolean.Boolval), true
		}
		c.Odd = c.Odd || !known && !strings.HasPrefix(name, "force_")
		value = strings.ToLower(value)
		switch name {
		case "format":
			c.Format = value
		case "header":
			c.Match = value == "match"
			c.Header = d.GetArg() == nil || c.Match || value == "1" || value == "true" || value == "on"
		}
	}
	if n.Query != nil {
		c.Query = analyse(n.Query)
	}
	return c
}
