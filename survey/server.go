package survey

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"sekisho/catalog"
	"sekisho/sheet"
	"sekisho/stmt"
)

// The server behind the gate, and the ways round.

const (
	oldestServer = 13 // PostgreSQL's own support ends with it
	newestServer = 17 // whose grammar package stmt speaks
	clockWarning = 2 * time.Second
	clockFailure = time.Minute
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func (d *doctor) server(ctx context.Context) {
	db, err := d.p.Upstream.As(ctx, d.p.Reader, d.p.Timeout)
	if err != nil {
		d.note(Failure, "reader", err)
		return
	}
	defer db.Close()
	d.note(OK, "reader", d.p.Reader.User)
	q := db.Query
	d.version(ctx, q)
	d.serverClock(ctx, q)
	d.catalogFits(ctx, q)
	d.logins(ctx, q)
	d.settings(ctx, q)
	if d.catalog == nil {
		return // whose tables are protected is not known
	}
	reaching, err := Reaching(ctx, q, d.catalog)
	if err != nil {
		d.note(Unknown, "others", err)
		return
	}
	d.others(ctx, q, reaching)
	d.hba(ctx, q)
	d.passages(ctx, q, reaching)
}

// reaching: who may run what could be about anybody, and whether functions that
// are believed in that are what somebody has read.
func (d *doctor) reaching(cat *catalog.Catalog) {
	var alone, asked []string
	for _, role := range sortedKeys(d.p.AnyRow) {
		if d.p.AnyRow[role] {
			asked = append(asked, role)
		} else {
			alone = append(alone, role)
		}
	}
	switch {
	case len(alone) > 0:
		d.note(Warning, "any_row", alone)
	case len(asked) > 0:
		d.note(OK, "any_row", asked)
	}
	var other, open []string
	for _, f := range cat.Defined() {
		switch one := f.Name + " " + f.Digest; {
		case f.Other:
			other = append(other, one)
		case !f.Pinned:
			open = append(open, one)
		}
	}
	switch {
	case len(other) > 0:
		d.note(Failure, "reaching", other)
	case len(open) > 0:
		d.note(Warning, "reaching", open)
	case len(cat.Defined()) > 0:
		d.note(OK, "reaching", len(cat.Defined()))
	}
}

func (d *doctor) version(ctx context.Context, q catalog.Query) {
	major := 0
	err := each(ctx, q, "SELECT pg_catalog.current_setting('server_version_num')", nil, func(v []string) { major = int(number(v[0])) / 10000 })
	switch {
	case err != nil:
		d.note(Unknown, "version", err)
	case major < oldestServer:
		d.note(Failure, "version", major)
	case major > newestServer:
		d.note(Warning, "version", major)
	default:
		d.note(OK, "version", major)
	}
}

func (d *doctor) serverClock(ctx context.Context, q catalog.Query) {
	var theirs time.Time
	before := time.Now()
	err := each(ctx, q, "SELECT pg_catalog.date_part('epoch', pg_catalog.clock_timestamp())::pg_catalog.text", nil, func(v []string) {
		if s, err := strconv.ParseFloat(v[0], 64); err == nil {
			theirs = time.UnixMicro(int64(s * 1e6))
		}
	})
	if err != nil || theirs.IsZero() {
		d.note(Unknown, "server_clock")
		return
	}
	// The middle of the round trip is when they looked, give or take half of it.
	round := time.Since(before)
	apart := theirs.Sub(before.Add(round / 2)).Abs()
	level := OK
	if apart > clockFailure {
		level = Failure
	} else if apart > clockWarning+round {
		level = Warning
	}
	d.note(level, "server_clock", apart)
}

func (d *doctor) catalogFits(ctx context.Context, q catalog.Query) {
	cat, err := catalog.Load(ctx, q, d.p.Catalog)
	if err != nil {
		d.note(Failure, "catalog", err)
		return
	}
	if len(d.p.Catalog.Tables) == 0 {
		d.note(Failure, "catalog_empty")
		return
	}
	d.catalog = cat
	d.note(OK, "catalog", len(d.p.Catalog.Tables))
	if unread := cat.UnreadKeys(); len(unread) > 0 {
		d.note(Failure, "key_types", unread)
	}
	if nullable := cat.NullableKeys(); len(nullable) > 0 {
		d.note(Warning, "nullable_keys", nullable)
	}
	d.reaching(cat)
	var open []string
	for _, t := range d.p.Catalog.Tables {
		schema, name, _ := strings.Cut(t.Name, ".")
		err := each(ctx, q, `SELECT a.attname FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
			JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
			WHERE n.nspname = $1 AND c.relname = $2 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`, []string{schema, name}, func(v []string) {
			if c := t.Columns[v[0]]; c == "" || c == "unclassified" {
				open = append(open, t.Name+"."+v[0])
			}
		})
		if err != nil {
			d.note(Unknown, "unclassified", err)
			return
		}
	}
	for _, subject := range cat.Subjects() {
		sql, _ := cat.Population(subject)
		if r, ok := cat.Roster(subject); ok {
			sql = r.SQL
		}
		if _, err := q(ctx, "SELECT FROM ("+sql+"\n) AS people LIMIT 0"); err != nil {
			d.note(Failure, "roster", subject, err)
		} else {
			d.note(OK, "roster", subject)
		}
	}
	if len(open) > 0 {
		d.note(Warning, "unclassified", len(open), open)
	} else {
		d.note(OK, "unclassified")
	}
}

// protected lists the protected tables: with their partitions, if the config
// fits the database.
func (d *doctor) protected() (names []string) {
	for _, t := range d.p.Catalog.Tables {
		names = append(names, t.Name)
	}
	if d.catalog != nil {
		for _, subject := range d.catalog.Subjects() {
			names = append(names, d.catalog.Tables(subject)...)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// logins: each can connect, and can do no more than it needs.
func (d *doctor) logins(ctx context.Context, q catalog.Query) {
	good := []string{}
	for _, role := range sortedKeys(d.p.Roles) {
		login := d.p.Roles[role]
		db, err := d.p.Upstream.As(ctx, login, d.p.Timeout)
		if err != nil {
			d.note(Failure, "login", role, err)
		} else {
			db.Close()
		}
		// Also of one that does not come in yet: it will.
		if d.login(ctx, q, login.User, false) && err == nil {
			if !slices.Contains(good, login.User) { // roles may share one
				good = append(good, login.User)
			}
		}
	}
	d.keys(ctx, q)
	if d.login(ctx, q, d.p.Reader.User, true) {
		good = append(good, d.p.Reader.User+" (reader)")
	}
	if len(d.p.Roles) == 0 {
		d.note(Warning, "roles")
	}
	if len(good) > 0 {
		d.note(OK, "login", good)
	}
}

// login says whether a database user has no more than the gate needs. What it
// can become with SET ROLE counts as its own.
func (d *doctor) login(ctx context.Context, q catalog.Query, user string, reader bool) bool {
	var powers, owns, more []string
	known := false
	err := each(ctx, q, `
		SELECT pg_catalog.bool_or(r.rolsuper), pg_catalog.bool_or(r.rolbypassrls), pg_catalog.bool_or(r.rolreplication),
			pg_catalog.bool_or(r.rolcreaterole), pg_catalog.bool_or(r.rolcreatedb),
			pg_catalog.string_agg(r.rolname, pg_catalog.chr(10)) FILTER (WHERE r.rolname IN
				('pg_read_all_data', 'pg_write_all_data', 'pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program', 'pg_maintain', 'pg_create_subscription')),
			pg_catalog.count(*)
		FROM pg_catalog.pg_roles me JOIN pg_catalog.pg_roles r ON pg_catalog.pg_has_role(me.oid, r.oid, 'member') AND (r.oid = me.oid OR NOT me.rolsuper)
		WHERE me.rolname = $1`, []string{user}, func(v []string) {
		known = number(v[6]) > 0
		for i, name := range []string{"SUPERUSER", "BYPASSRLS", "REPLICATION", "CREATEROLE", "CREATEDB"} {
			if v[i] == "t" {
				powers = append(powers, name)
			}
		}
		powers = append(powers, lines(v[5])...)
	})
	if err == nil && !slices.Contains(powers, "SUPERUSER") {
		err = each(ctx, q, `
			SELECT n.nspname || '.' || c.relname, pg_catalog.pg_has_role(me.oid, c.relowner, 'member'),
				pg_catalog.has_table_privilege(me.oid, c.oid, 'TRUNCATE'), pg_catalog.has_table_privilege(me.oid, c.oid, 'TRIGGER'),
				pg_catalog.has_table_privilege(me.oid, c.oid, 'INSERT, UPDATE, DELETE') OR pg_catalog.has_any_column_privilege(me.oid, c.oid, 'INSERT, UPDATE')
			FROM pg_catalog.pg_roles me, pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
			WHERE me.rolname = $1 AND n.nspname || '.' || c.relname = ANY ($2::pg_catalog.text[])
			ORDER BY 1`, []string{user, arrayOf(d.protected())}, func(v []string) {
			if v[1] == "t" {
				owns = append(owns, v[0])
				return
			}
			for i, what := range []string{"TRUNCATE", "TRIGGER"} {
				if v[2+i] == "t" {
					more = append(more, what+" "+v[0])
				}
			}
			if reader && v[4] == "t" {
				more = append(more, "INSERT/UPDATE/DELETE "+v[0])
			}
		})
	}
	if err != nil || !known {
		d.note(Unknown, "powers", user)
		return false
	}
	if len(powers) > 0 {
		d.note(Failure, "powers", user, powers)
	}
	if len(owns) > 0 {
		d.note(Failure, "owner", user, owns)
	}
	if len(more) > 0 {
		d.note(Warning, "more", user, more)
	}
	return len(powers)+len(owns)+len(more) == 0
}

// keys: the gate adds the key column to what a role reads, so the role has to
// be let to read it.
func (d *doctor) keys(ctx context.Context, q catalog.Query) {
	var without []string
	for _, role := range sortedKeys(d.p.Roles) {
		for _, t := range d.p.Catalog.Tables {
			schema, name, _ := strings.Cut(t.Name, ".")
			err := each(ctx, q, `SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
					JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attname = $4 JOIN pg_catalog.pg_roles r ON r.rolname = $1
				WHERE n.nspname = $2 AND c.relname = $3 AND pg_catalog.has_any_column_privilege(r.oid, c.oid, 'select')
					AND NOT pg_catalog.has_column_privilege(r.oid, c.oid, a.attnum, 'select')`, []string{d.p.Roles[role].User, schema, name, t.Key}, func([]string) {
				without = append(without, role+": "+t.Name+"."+t.Key)
			})
			if err != nil {
				return // logins says what is wrong with them
			}
		}
	}
	if len(without) > 0 {
		d.note(Failure, "keys", without)
	}
}

// settings of the server that decide over passwords, the wire, and whether
// values come to stand in its log.
func (d *doctor) settings(ctx context.Context, q catalog.Query) {
	set := map[string]string{}
	err := each(ctx, q, `SELECT name, setting FROM pg_catalog.pg_settings WHERE name IN
		('password_encryption', 'ssl', 'log_statement', 'log_min_duration_statement', 'log_min_duration_sample', 'log_min_error_statement',
		 'log_parameter_max_length', 'log_parameter_max_length_on_error', 'auto_explain.log_min_duration', 'pgaudit.log', 'fsync')`, nil,
		func(v []string) { set[v[0]] = v[1] })
	if err != nil {
		d.note(Unknown, "settings", err)
		return
	}
	if set["password_encryption"] == "scram-sha-256" {
		d.note(OK, "password_encryption")
	} else {
		d.note(Failure, "password_encryption", set["password_encryption"])
	}
	switch {
	case filepath.IsAbs(d.p.Upstream.Host):
		d.note(OK, "server_tls_socket")
	case set["ssl"] != "on" || d.p.Upstream.SSLMode == "disable":
		d.note(Failure, "server_tls")
	case d.p.Upstream.SSLMode == "require":
		d.note(Warning, "server_tls")
	default:
		d.note(OK, "server_tls")
	}
	if set["fsync"] == "off" {
		d.note(Warning, "server_fsync")
	}
	var tells []string
	for name, harmless := range map[string][]string{
		"log_statement": {"none", "ddl", ""}, "log_min_duration_statement": {"-1", ""}, "log_min_duration_sample": {"-1", ""},
		"log_min_error_statement": {"fatal", "panic", ""}, "log_parameter_max_length_on_error": {"0", ""},
		"auto_explain.log_min_duration": {"-1", ""}, "pgaudit.log": {"none", ""},
	} {
		if !slices.Contains(harmless, set[name]) {
			tells = append(tells, name+"="+set[name])
		}
	}
	// What is set for one role or database, the reader's own settings do not show.
	err = each(ctx, q, `SELECT c FROM pg_catalog.pg_db_role_setting s, pg_catalog.unnest(s.setconfig) c
		WHERE s.setdatabase IN (0, (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()))
			AND c ~ '^(log_statement=(mod|all)|log_min_duration_(statement|sample)=[0-9]|log_min_error_statement=(debug|info|notice|warning|error|log)|log_parameter_max_length_on_error=(-1|[1-9])|auto_explain.log_min_duration=[0-9])'
		ORDER BY 1`, nil, func(v []string) { tells = append(tells, v[0]) })
	if err != nil {
		d.note(Unknown, "settings", err)
	}
	slices.Sort(tells)
	tells = slices.Compact(tells)
	if len(tells) > 0 {
		d.note(Warning, "server_log", tells)
	} else {
		d.note(OK, "server_log")
	}
}

// own lists the database users that are the gate's.
func (d *doctor) own() []string {
	list := []string{d.p.Reader.User}
	for _, l := range d.p.Roles {
		list = append(list, l.User)
	}
	return list
}

// others: who else may log in and read protected tables, or views over them.
func (d *doctor) others(ctx context.Context, q catalog.Query, reaching []string) {
	var able, super []string
	err := each(ctx, q, `
		SELECT r.rolname, r.rolsuper, `+readableBy("r.oid")+`
		FROM pg_catalog.pg_roles r
		WHERE r.rolcanlogin AND (r.rolvaliduntil IS NULL OR r.rolvaliduntil > pg_catalog.now())
			AND pg_catalog.has_database_privilege(r.oid, pg_catalog.current_database(), 'connect')
		ORDER BY 1`, []string{arrayOf(reaching)}, func(v []string) {
		tables := lines(v[2])
		switch {
		case slices.Contains(d.own(), v[0]) || len(tables) == 0:
		case v[1] == "t":
			super = append(super, v[0])
		default:
			able = append(able, fmt.Sprintf("%s (%d)", v[0], len(tables)))
		}
	})
	if err != nil {
		d.note(Unknown, "others", err)
		return
	}
	if len(able) > 0 {
		d.note(Warning, "others", able)
	} else {
		d.note(OK, "others")
	}
	if len(super) > 0 {
		d.note(Warning, "superusers", super)
	}
}

// hba: which lines of pg_hba.conf let somebody reach the database otherwise
// than the gate does.
func (d *doctor) hba(ctx context.Context, q catalog.Query) {
	var trust, weak, plain, wide []string
	own := d.own()
	err := each(ctx, q, `
		SELECT line_number, type, pg_catalog.array_to_string(user_name, ' '), address, netmask, auth_method, error IS NOT NULL
		FROM pg_catalog.pg_hba_file_rules
		WHERE error IS NOT NULL OR database && ARRAY['all', 'sameuser', 'samerole', pg_catalog.current_database()::pg_catalog.text]
		ORDER BY line_number`, nil, func(v []string) {
		line := v[0]
		switch {
		case v[6] == "t" || v[5] == "reject":
			return
		case v[5] == "trust":
			trust = append(trust, line)
		case v[5] == "password" || v[5] == "md5" || v[5] == "ident":
			weak = append(weak, line+" ("+v[5]+")")
		}
		if v[1] == "local" {
			return
		}
		if loopback(v[3]) {
			return
		}
		if v[1] == "host" || v[1] == "hostnossl" {
			plain = append(plain, line)
		}
		users := strings.Fields(v[2])
		if !slices.ContainsFunc(users, func(u string) bool { return !slices.Contains(own, u) }) {
			return // the gate's own logins only
		}
		wide = append(wide, line)
	})
	if err != nil { // as a rule for want of a privilege
		d.note(Unknown, "hba")
		return
	}
	for _, found := range []struct {
		level Level
		check string
		list  []string
	}{{Failure, "hba_trust", trust}, {Warning, "hba_weak", weak}, {Warning, "hba_plain", plain}, {Warning, "hba_wide", wide}} {
		if len(found.list) > 0 {
			d.note(found.level, found.check, found.list)
		}
	}
	if len(trust)+len(weak)+len(plain)+len(wide) == 0 {
		d.note(OK, "hba")
	}
}

func loopback(address string) bool {
	a, err := netip.ParseAddr(address)
	return err == nil && a.IsLoopback() || address == "localhost"
}

// passages: what passes the gate by now, and what has.
func (d *doctor) passages(ctx context.Context, q catalog.Query, reaching []string) {
	own := Own{Logins: d.own(), Local: filepath.IsAbs(d.p.Upstream.Host), Peers: d.p.Peers, PeersLocal: d.p.PeersLocal}
	if err := each(ctx, q, "SELECT pg_catalog.host(pg_catalog.inet_client_addr())", nil, func(v []string) {
		if a, err := netip.ParseAddr(v[0]); err == nil {
			own.Addresses = append(own.Addresses, a)
		}
	}); err != nil {
		d.note(Unknown, "sessions", err)
		return
	}
	sessions, err := ReadSessions(ctx, q, reaching)
	if err != nil {
		d.note(Unknown, "sessions", err)
	} else {
		var who []string
		for _, p := range Outside(own, sessions, nil, nil, time.Time{}) {
			one := p.Role
			if p.Address.IsValid() {
				one += "@" + p.Address.String()
			}
			who = append(who, one+" ("+strconv.Itoa(int(p.Backend))+")")
		}
		switch {
		case len(who) > 0:
			d.note(Warning, "sessions", who)
		case slices.ContainsFunc(sessions, func(s Session) bool { return s.Hidden }):
			d.note(Unknown, "sessions_hidden")
		default:
			d.note(OK, "sessions")
		}
	}
	schema, err := StatementsSchema(ctx, q)
	if err == nil && schema == "" {
		d.note(Unknown, "statements")
		return
	}
	var since time.Time
	var now []Statement
	hidden := 0
	if err == nil {
		now, hidden, err = ReadStatements(ctx, q, schema, d.catalog)
	}
	if err != nil {
		d.note(Unknown, "statements_read", err)
		return
	}
	// Not there before PostgreSQL 14: then since the server began to count.
	each(ctx, q, "SELECT pg_catalog.date_part('epoch', stats_reset)::pg_catalog.int8 FROM "+stmt.Quote(schema)+".pg_stat_statements_info", nil, func(v []string) { since = time.Unix(number(v[0]), 0) })
	var who []string
	for _, p := range Outside(own, nil, nil, now, since) {
		who = append(who, fmt.Sprintf("%s: %d (%s)", p.Role, p.Rows, sheet.Few(p.Tables)))
	}
	if hidden > 0 {
		d.note(Unknown, "statements_hidden", hidden)
	}
	if len(who) > 0 {
		d.note(Warning, "statements_outside", since.Format(time.DateTime), who)
	} else if hidden == 0 {
		d.note(OK, "statements")
	}
}
