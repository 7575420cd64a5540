package survey

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"

	"sekisho/catalog"
	"sekisho/stmt"
)

// No way round: what reached the protected tables and did not come through the
// gate. Outside is pure, so that a house can ask again each minute, with what
// ReadSessions and ReadStatements bring; who is a superuser and hides it is not
// found, and nobody is prevented.

// Own says what of the database's sessions is the gate's.
type Own struct {
	// Logins are the database users of the gate's roles and of its reader.
	Logins []string
	// Backends are the process numbers of the connections that the gate holds
	// now. If it is not nil, a session with one of the logins that is not among
	// them is somebody else who knows the password. Read the sessions first and
	// take Backends after: a connection made in between is then not missed.
	Backends map[int32]bool
	// Addresses are where the gate connects from, for whoever does not know its
	// Backends. Empty: not known, and the login alone decides.
	Addresses []netip.Addr
	// Local: the gate connects through a socket on the database's machine.
	Local bool
	// Peers are from where other gates connect to the same database: with the
	// gate's logins, a session from there is theirs. PeersLocal: through a socket.
	Peers      []netip.Prefix
	PeersLocal bool
}

// Session is one connection to the database now.
type Session struct {
	Backend   int32
	Role      string
	Address   netip.Addr // not valid for a socket, or if hidden
	Hidden    bool       // the reader may not see where it comes from, nor since when
	Since     time.Time
	Superuser bool
	Tables    []string // protected tables, and views over them, that its role may read
}

// Statement is what pg_stat_statements has counted for one statement of one
// role.
type Statement struct {
	Role   string
	ID     string // of the statement, the same at the next reading
	Text   string
	Calls  uint64
	Rows   uint64
	Tables []string // protected tables that it names, views over them included
}

// Passage is something that did not come through the gate.
type Passage struct {
	Role      string     `json:"role"`
	Superuser bool       `json:"superuser,omitempty"`
	Tables    []string   `json:"tables"`
	Session   bool       `json:"session"` // a connection that may read them; else rows that were read or written
	Backend   int32      `json:"backend,omitempty"`
	Address   netip.Addr `json:"address,omitzero"`
	Stolen    bool       `json:"stolen,omitempty"` // it uses a login of the gate's
	Since     time.Time  `json:"since,omitzero"`
	Calls     uint64     `json:"calls,omitempty"`
	Rows      uint64     `json:"rows,omitempty"`
}

// Outside gives what passed the gate by: the sessions that are not the gate's
// and may read protected tables, and for each role that is not the gate's the
// rows that its statements over protected tables have moved since before. With
// no reading before, since the server began to count. since is when before was
// read.
//
// What the gate's own logins read is not told from the statistics, which know
// no connection: a thief of such a login shows as a session.
func Outside(own Own, sessions []Session, before, now []Statement, since time.Time) (found []Passage) {
	for _, s := range sessions {
		ours := slices.Contains(own.Logins, s.Role)
		if ours && own.holds(s) || len(s.Tables) == 0 {
			continue
		}
		found = append(found, Passage{Role: s.Role, Superuser: s.Superuser, Tables: s.Tables, Session: true, Backend: s.Backend, Address: s.Address, Stolen: ours, Since: s.Since})
	}
	type counted struct{ calls, rows uint64 }
	type key struct{ role, id string }
	then := map[key]counted{}
	for _, s := range before {
		c := then[key{s.Role, s.ID}]
		then[key{s.Role, s.ID}] = counted{c.calls + s.Calls, c.rows + s.Rows}
	}
	// The server may count one statement twice: called by itself, and from
	// within a function.
	merged := map[key]*Statement{}
	for _, s := range now {
		if slices.Contains(own.Logins, s.Role) || len(s.Tables) == 0 {
			continue
		}
		if m := merged[key{s.Role, s.ID}]; m != nil {
			m.Calls, m.Rows = m.Calls+s.Calls, m.Rows+s.Rows
			continue
		}
		merged[key{s.Role, s.ID}] = &s
	}
	by := map[string]*Passage{}
	for k, s := range merged {
		was := then[k]
		if was.calls > s.Calls || was.rows > s.Rows {
			was = counted{} // the counters were set back, and count anew
		}
		if s.Calls == was.calls && s.Rows == was.rows {
			continue
		}
		p := by[s.Role]
		if p == nil {
			p = &Passage{Role: s.Role, Since: since}
			by[s.Role] = p
		}
		p.Calls += s.Calls - was.calls
		p.Rows += s.Rows - was.rows
		p.Tables = append(p.Tables, s.Tables...)
	}
	for _, p := range by {
		slices.Sort(p.Tables)
		p.Tables = slices.Compact(p.Tables)
		found = append(found, *p)
	}
	slices.SortFunc(found, func(a, b Passage) int {
		return cmp.Or(cmp.Compare(b.Rows, a.Rows), cmp.Compare(a.Role, b.Role), cmp.Compare(a.Backend, b.Backend))
	})
	return found
}

// holds says whether a session with one of the gate's logins is the gate's.
func (own Own) holds(s Session) bool {
	switch {
	case own.peer(s):
		return true
	case own.Backends != nil:
		return own.Backends[s.Backend]
	case s.Hidden || len(own.Addresses) == 0 && !own.Local:
		return true // nothing to tell by
	case !s.Address.IsValid():
		return own.Local
	}
	return slices.Contains(own.Addresses, s.Address)
}

func (own Own) peer(s Session) bool {
	if !s.Address.IsValid() {
		return own.PeersLocal && !s.Hidden
	}
	return slices.ContainsFunc(own.Peers, func(p netip.Prefix) bool { return p.Contains(s.Address.Unmap()) })
}

// ReadSessions reads who is connected to this database now. protected is what
// Reaching gives.
func ReadSessions(ctx context.Context, query catalog.Query, protected []string) (list []Session, err error) {
	err = each(ctx, query, `
		SELECT a.pid, a.usename, pg_catalog.host(a.client_addr), a.backend_start IS NULL,
			(pg_catalog.date_part('epoch', a.backend_start) * 1000000)::pg_catalog.int8, r.rolsuper,
			`+readableBy("a.usesysid")+`
		FROM pg_catalog.pg_stat_activity a JOIN pg_catalog.pg_roles r ON r.oid = a.usesysid
		WHERE a.datname = pg_catalog.current_database() AND a.pid <> pg_catalog.pg_backend_pid()
			AND a.leader_pid IS NULL -- a parallel worker is its leader's session
		ORDER BY a.pid`, []string{arrayOf(protected)}, func(v []string) {
		s := Session{Backend: int32(number(v[0])), Role: v[1], Hidden: v[3] == "t", Superuser: v[5] == "t", Tables: lines(v[6])}
		s.Address, _ = netip.ParseAddr(v[2])
		if !s.Hidden {
			s.Since = time.UnixMicro(number(v[4]))
		}
		list = append(list, s)
	})
	return list, err
}

// readableBy is the list of what reaches protected data, given as $1, that a role may
// read, one a line.
func readableBy(role string) string {
	return `(SELECT pg_catalog.string_agg(t, pg_catalog.chr(10) ORDER BY t) FROM (
			SELECT n.nspname || '.' || c.relname AS t FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
			WHERE n.nspname || '.' || c.relname = ANY ($1::pg_catalog.text[])
				AND pg_catalog.has_schema_privilege(` + role + `, n.oid, 'usage') AND pg_catalog.has_any_column_privilege(` + role + `, c.oid, 'select')) x)`
}

// arrayOf writes names as a value of type text[].
func arrayOf(names []string) string {
	var b strings.Builder
	b.WriteByte('{')
	for i, n := range names {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(n) + `"`)
	}
	b.WriteByte('}')
	return b.String()
}

func lines(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, "\n")
}

// ReadStatements reads what pg_stat_statements has counted in this database,
// with the protected tables that each statement names. schema is where the
// extension is. hidden is how many statements of others the reader may not see
// into: grant it pg_read_all_stats, to inherit.
func ReadStatements(ctx context.Context, query catalog.Query, schema string, cat *catalog.Catalog) (list []Statement, hidden int, err error) {
	err = each(ctx, query, `
		SELECT r.rolname, s.queryid, s.query, s.calls, s.rows
		FROM `+stmt.Quote(schema)+`.pg_stat_statements s
			JOIN pg_catalog.pg_roles r ON r.oid = s.userid JOIN pg_catalog.pg_database d ON d.oid = s.dbid
		WHERE d.datname = pg_catalog.current_database()`, nil, func(v []string) {
		if v[1] == "" {
			hidden++ // the server gives neither text nor identity
			return
		}
		list = append(list, Statement{Role: v[0], ID: v[1], Text: v[2], Calls: uint64(number(v[3])), Rows: uint64(number(v[4]))})
	})
	for i := range list {
		list[i].Tables = touched(cat, list[i].Text)
		list[i].Text = "" // it can hold literals where the server could not take them out
	}
	return list, hidden, err
}

// touched gives the protected tables that a text names. One that cannot be
// parsed, because the server cut it off, is searched for the names.
func touched(cat *catalog.Catalog, text string) (tables []string) {
	parsed, err := stmt.Analyse(text)
	if err != nil {
		lower := strings.ToLower(text)
		for _, subject := range cat.Subjects() {
			for _, t := range cat.Tables(subject) {
				if _, name, _ := strings.Cut(t, "."); strings.Contains(lower, strings.ToLower(name)) {
					tables = append(tables, t)
				}
			}
		}
		return tables
	}
	for _, p := range parsed {
		for _, r := range p.Relations {
			tables = append(tables, behind(cat, r)...)
		}
	}
	slices.Sort(tables)
	return slices.Compact(tables)
}

// behind gives the protected tables that a relation is, or shows as a view.
// What a function reads is not in its name: the server counts it as a statement
// of its own if it tracks those too (pg_stat_statements.track = all).
func behind(cat *catalog.Catalog, r stmt.Relation) []string {
	j := cat.Judge(&stmt.Statement{Kind: stmt.Select, Obstacle: "survey", Relations: []stmt.Relation{r}})
	switch j.Reason {
	case "view_calls_function", "view_locked", "foreign_table":
		return nil // it may read anything, which the catalog takes for the worst
	case "statistics":
		if !strings.HasPrefix(r.Name.Name, "pg_stats") && !strings.HasPrefix(r.Name.Name, "pg_statistic") {
			return nil // holds what monitoring asks for
		}
	}
	return j.Tables
}

// Reaching lists what somebody who reads it reads protected data by, as
// schema.name and sorted: the protected tables with their partitions, and the
// views over them.
func Reaching(ctx context.Context, query catalog.Query, cat *catalog.Catalog) (names []string, err error) {
	for _, subject := range cat.Subjects() {
		names = append(names, cat.Tables(subject)...)
	}
	err = each(ctx, query, `
		SELECT n.nspname, c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind IN ('v', 'm') AND `+notSystem, nil, func(v []string) {
		if len(behind(cat, stmt.Relation{Name: stmt.Name{Schema: v[0], Name: v[1]}})) > 0 {
			names = append(names, v[0]+"."+v[1])
		}
	})
	slices.Sort(names)
	return slices.Compact(names), err
}

// StatementsSchema is where pg_stat_statements is installed; "" if it is not.
func StatementsSchema(ctx context.Context, query catalog.Query) (schema string, err error) {
	err = each(ctx, query, `SELECT n.nspname FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pg_stat_statements'`, nil,
		func(v []string) { schema = v[0] })
	return schema, err
}
