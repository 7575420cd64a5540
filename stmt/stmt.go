// Package stmt understands one text of SQL, with PostgreSQL's own grammar, and
// rewrites it where a rewriting is provably nothing but an addition. It knows
// no catalog: it reports names, and package catalog says what they are.
//
// It is pure, and it is the only room of the house in which the grammar
// library is used.
//
// Whoever adds a rule here should know how it may fail. A name that is missed
// is a hole in the account of customers' data; a name too many is only a
// statement refused. So the walk over the tree is generic, and visits what it
// does not know; and a plain statement is one that consists of known nodes
// only.
package stmt

// MaxBytes is the longest text that Analyse reads.
const MaxBytes = 1 << 20

// Kind is what sort of statement it is.
type Kind string

const (
	Select        Kind = "select" // also VALUES and TABLE
	Insert        Kind = "insert"
	Update        Kind = "update"
	Delete        Kind = "delete"
	Merge         Kind = "merge"
	Truncate      Kind = "truncate"
	Copy          Kind = "copy"
	Explain       Kind = "explain"
	Prepare       Kind = "prepare"
	Execute       Kind = "execute" // with constants; with more it is Unknown, and Runs says what it is
	Deallocate    Kind = "deallocate"
	Declare       Kind = "declare"
	Fetch         Kind = "fetch" // also MOVE
	CloseCursor   Kind = "close"
	CreateTableAs Kind = "create_table_as" // also CREATE MATERIALIZED VIEW and SELECT INTO
	CreateView    Kind = "create_view"
	Define        Kind = "define"      // DDL that makes, changes or drops relations and their like, but no code
	Code          Kind = "code"        // DDL that makes or changes what runs later: functions, operators, triggers, rules, casts, roles, extensions
	Maintain      Kind = "maintain"    // VACUUM, ANALYZE, CLUSTER, REINDEX, REFRESH MATERIALIZED VIEW
	Do            Kind = "do"          //
	Call          Kind = "call"        //
	Set           Kind = "set"         // also RESET, and ALTER SYSTEM, ROLE or DATABASE … SET
	Show          Kind = "show"        //
	Transaction   Kind = "transaction" // BEGIN, COMMIT, SAVEPOINT, …
	Discard       Kind = "discard"
	Listen        Kind = "listen" // also UNLISTEN
	Notify        Kind = "notify"
	Lock          Kind = "lock"
	Session       Kind = "session" // SET CONSTRAINTS, CHECKPOINT: reads and writes nothing
	Unknown       Kind = "unknown" // not understood
)

// Name is a name as written, folded as the server folds it. Schema is empty if
// none was written.
type Name struct {
	Schema, Name string
}

func (n Name) String() string {
	if n.Schema == "" {
		return n.Name
	}
	return n.Schema + "." + n.Name
}

// Relation is one mention of a relation, anywhere in the statement.
type Relation struct {
	Name
	Catalog string // the database, if one was written
	Alias   string // empty if none
	Renamed bool   // its alias renames its columns: t(a, b)
	Top     bool   // stands in the top level FROM of a plain SELECT, or is the relation of COPY
	Only    bool
	Written bool // target of INSERT, UPDATE, DELETE, MERGE, TRUNCATE or COPY FROM
	Added   bool // Written, and rows are only added: INSERT without ON CONFLICT DO UPDATE, or COPY FROM
	Maybe   bool // a name in DDL that may mean a relation, or something else

	Taken bool // CREATE TABLE takes over its columns, and may take over defaults, checks and indexes: LIKE, INHERITS, PARTITION OF

	// Tried: it stands on the side of an outer join that may be missing, and
	// is joined by more than equalities of a column with a column, a constant or
	// a parameter. A row in which it is
	// missing then tells what its rows do not hold, and names none of them.
	Tried bool

	Locked bool // Top, and FOR UPDATE or the like locks its rows

	// Missing: it stands on the side of an outer join that may be missing, and
	// is joined by such equalities only. On are the two columns of the equality
	// if there is but one and nothing else is joined on its side; of USING, the
	// one column. Else On is empty.
	Missing bool
	On      []Column

	CTE bool // a WITH query of the same statement has that name, so it may be that one
}

// Ref is how columns of this relation are qualified in the statement.
func (r Relation) Ref() string {
	if r.Alias != "" {
		return r.Alias
	}
	return r.Name.Name
}

// Column is a reference to a column, or to a whole row, in the fields as
// written: [email], [m email], [crm m email]. A star is the field "*".
type Column struct {
	Fields []string
	// Attribute: a field taken from an expression, (x).f. It may be a call of
	// the function f in disguise.
	Attribute bool
}

// TargetKind says what a target list item is.
type TargetKind byte

const (
	Expression TargetKind = iota
	Star                  // *
	TableStar             // t.*
	Reference             // a column reference, which may also mean a whole row
)

// Target is one item of the target list of a plain SELECT.
type Target struct {
	Kind TargetKind
	Refs []Column // every column reference in it, at least
}

// Function is a call of a function by name.
type Function struct {
	Name
	Aggregate bool // written as only an aggregate can be
	Window    bool // has an OVER clause
	Special   bool // syntax of its own, such as EXTRACT(year FROM x) or JSON_SCALAR(x)
	Args      int
}

// Setting is one setting given a value, or its default.
type Setting struct {
	Name    string
	Values  []string
	Default bool // reset, or set to its default
	Known   bool // the name and the values are constants
	Durable bool // by ALTER SYSTEM, ROLE, DATABASE or FUNCTION: it works on later sessions
	Local   bool // until the end of the transaction
	Param   int  // of set_config: the number of the parameter that holds the value; then it is not Known
}

// CopyTo is what is particular to COPY.
type CopyTo struct {
	From    bool     // COPY FROM: data goes in
	Program bool     // to or from a program on the server
	File    bool     // to or from a file on the server
	Columns []string // of a bare relation; empty for all
	Format  string   // "text", "csv" or "binary"
	Header  bool
	Match   bool            // HEADER MATCH
	Options map[string]bool // the names of all options given, in lower case
	Odd     bool            // an option has a value that is no word or number: HEADER (false), which the server takes for false

	// Values of options as written, empty if not given: then the server's
	// defaults hold, which depend on the format.
	Delimiter, Quote, Escape, Null, Encoding string

	Query *Statement // COPY (query)

	targetAt, targetEnd int // byte range, in the statement, of the relation with its columns or of the query without its parentheses
}

// Statement is what there is to know about one statement without a catalog.
// It may be shared and kept; nobody changes it.
type Statement struct {
	Text       string // of this statement alone
	Start, End int    // its byte range in the text given to Analyse
	Kind       Kind

	// Obstacle is empty for a plain statement: one SELECT of columns and
	// expressions from relations and joins, with WHERE, ORDER BY, LIMIT,
	// OFFSET and FOR UPDATE, which hidden keys can account exactly. Else it is
	// the reason code of the first thing that is more than that.
	//
	// It is empty for a Write, too.
	Obstacle string
	Write    *Write   // of an INSERT, UPDATE or DELETE that hidden keys can account
	Targets  []Target // of a plain SELECT
	Skip     *Skip    // of a plain SELECT, because of its OFFSET; nil if nothing is skipped
	Tested   []Column // column references outside its target list
	Asked    []Asked  // of a plain SELECT: what its WHERE says of every row that comes

	Relations  []Relation
	Schemas    []string // that DDL drops, renames or grants as a whole
	Functions  []Function
	Operators  []Name
	Types      []Name
	Collations []Name
	Columns    []Column // every column reference there is

	As        *Statement // what the client wrote, if this is that with functions written out
	Writes    bool       // holds INSERT, UPDATE, DELETE, MERGE or COPY FROM at any depth, or locks rows
	Settings  []Setting  // of SET and RESET, and of set_config()
	Copy      *CopyTo    // only for Copy
	Changes   []Change   // in its WITH
	Inner     *Statement // of EXPLAIN, PREPARE, DECLARE, CREATE TABLE AS, CREATE VIEW
	Runs      Kind       // Execute, Fetch, Call or Do if one stands in it at any depth, or is it: what runs cannot be read off this text
	Certain   bool       // its Settings all take effect, once, when it completes: SET and RESET, or a SELECT of nothing but set_config
	Savepoint string     // that a TRANSACTION command names
	Chain     bool       // COMMIT or ROLLBACK AND CHAIN
	Object    string     // name of the prepared statement, cursor, savepoint or channel; for TRANSACTION the command
	Absolute  bool       // FETCH and MOVE that count rows from an end of the result
	All       bool       // DEALLOCATE ALL, CLOSE ALL, DISCARD ALL, RESET ALL
	Cascade   bool       // TRUNCATE or DROP … CASCADE
	Fill      *Fill      // of CREATE TABLE AS, SELECT INTO and INSERT … SELECT
	Tends     bool       // DROP TABLE, CREATE INDEX, or Maintain
	Refreshes bool       // of Maintain: REFRESH MATERIALIZED VIEW
	Holds     bool       // LOCK in a mode that writes take, or a stronger one
	Analyze   bool       // EXPLAIN that runs what it explains, or may
}
