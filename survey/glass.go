package survey

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// A Glass is a login that stands behind glass: for the day on which sekisho is
// down and somebody has to reach the database all the same.
type Glass struct {
	Login    string
	Verifier string    // SCRAM-SHA-256 of its password, which the server never reads
	Until    time.Time // when the server stops taking it
	Grants   []string  // roles that it is a member of
}

// glassSettings are what the server logs of the login. None of them can be set
// back by the login itself: they are a superuser's.
var glassSettings = [][2]string{
	{"log_statement", "all"}, {"log_min_error_statement", "error"}, {"log_parameter_max_length", "-1"}, {"log_min_messages", "warning"},
	{"lc_messages", "C"}, // so that the log can be read back
}

// SetBehindGlass makes the login, or gives the one that is there a new password
// and end. dsn is a superuser's: nobody else can have the server log it. On
// return the server takes the password until then, in two sessions at once, and
// logs every statement; notes say what would make the log readable and is
// missing, and where.TLS whether the server speaks TLS. A superuser cannot be behind glass: it could stop the log.
func SetBehindGlass(ctx context.Context, dsn string, g Glass) (where Where, notes []string, err error) {
	conf, err := pgconn.ParseConfig(dsn)
	if err != nil {
		return where, nil, errors.New("connecting to the database: the connection string is not understood: write postgres://user@host:5432/database, or host=… user=… dbname=…")
	}
	conn, err := pgconn.ConnectConfig(ctx, conf)
	if err != nil {
		return where, nil, errors.New("connecting to the database as its superuser: " + reason(err))
	}
	defer conn.Close(context.WithoutCancel(ctx))
	where = Where{Host: conf.Host, Port: conf.Port, Database: conf.Database, User: g.Login}
	ask := func(sql string, args ...string) (string, error) {
		params := make([][]byte, len(args))
		for i, a := range args {
			params[i] = []byte(a)
		}
		r := conn.ExecParams(ctx, sql, params, nil, nil, nil).Read()
		if r.Err != nil || len(r.Rows) == 0 {
			return "", r.Err
		}
		return string(r.Rows[0][0]), nil
	}
	if super, err := ask("select rolsuper from pg_catalog.pg_roles where rolname = current_user"); err != nil || super != "t" {
		return where, nil, fmt.Errorf("setting a login behind glass: it takes a superuser of the database, who alone can have all that a login does logged (%v)", err)
	}
	exists, err := ask("select (rolsuper or rolcreaterole or rolbypassrls or rolreplication)::text from pg_catalog.pg_roles where rolname = $1", g.Login)
	switch {
	case err != nil:
		return where, nil, fmt.Errorf("setting a login behind glass: %w", err)
	case exists == "true":
		return where, nil, fmt.Errorf("setting a login behind glass: %s may do more than read and write (superuser, createrole, bypassrls or replication), and so could hide what it does: name another login", g.Login)
	}
	for _, role := range g.Grants {
		if power, err := ask(`with recursive up(oid) as (select oid from pg_catalog.pg_roles where rolname = $1
			union select m.roleid from pg_catalog.pg_auth_members m join up on m.member = up.oid)
			select bool_or(rolsuper or rolname in ('pg_execute_server_program', 'pg_write_server_files'))::text from pg_catalog.pg_roles join up using (oid)`, role); err != nil || power != "false" {
			return where, nil, fmt.Errorf("setting a login behind glass: the role %s is none, or is one that could stop the log (%v)", role, err)
		}
	}
	login := quoteName(g.Login)
	var sql strings.Builder
	sql.WriteString("begin; set local log_statement = 'none'; ") // the verifier is no business of the log's
	if exists == "" {
		sql.WriteString("create role " + login + "; ")
	}
	fmt.Fprintf(&sql, "alter role %s nosuperuser nocreatedb nocreaterole noreplication nobypassrls login connection limit 2 password %s valid until %s; ",
		login, quoteText(g.Verifier), quoteText(g.Until.UTC().Format(time.RFC3339)))
	for _, role := range g.Grants {
		fmt.Fprintf(&sql, "grant %s to %s; ", quoteName(role), login)
	}
	for _, s := range glassSettings {
		fmt.Fprintf(&sql, "alter role %s set %s = %s; ", login, s[0], quoteText(s[1]))
	}
	if audit, err := ask("select count(*)::text from pg_catalog.pg_settings where name = 'pgaudit.log'"); err == nil && audit != "0" {
		fmt.Fprintf(&sql, "alter role %s set pgaudit.log = 'all'; ", login)
	}
	sql.WriteString("commit")
	if _, err := conn.Exec(ctx, sql.String()).ReadAll(); err != nil {
		var pe *pgconn.PgError
		if errors.As(err, &pe) {
			return where, nil, fmt.Errorf("setting a login behind glass: SQLSTATE %s: %s", pe.Code, pe.Message)
		}
		return where, nil, fmt.Errorf("setting a login behind glass: %w", err)
	}
	for _, s := range []struct{ name, want, note string }{
		{"logging_collector", "on", "logging_collector is off: the server keeps no log file of its own to read back"},
		{"log_destination", "csvlog jsonlog", "log_destination has neither csvlog nor jsonlog: what the login does could not be read back"},
		{"ssl", "on", "ssl is off: the server speaks no TLS, so what is read on the day can be read on the wire"},
	} {
		is, err := ask("select current_setting($1)", s.name)
		if err != nil {
			return where, nil, fmt.Errorf("reading the server's settings: %w", err)
		}
		if s.name == "ssl" {
			where.TLS = is == "on"
		}
		if !containsAny(is, strings.Fields(s.want)) && (s.name != "ssl" || !filepath.IsAbs(where.Host)) {
			notes = append(notes, s.note)
		}
	}
	return where, notes, nil
}

func containsAny(s string, words []string) bool {
	for _, w := range words {
		if strings.Contains(s, w) {
			return true
		}
	}
	return false
}

// reason is what a failed connection may say: the server's code, or the
// library's words without the connection string.
func reason(err error) string {
	var pe *pgconn.PgError
	if errors.As(err, &pe) {
		return "SQLSTATE " + pe.Code
	}
	var ce *pgconn.ConnectError
	if errors.As(err, &ce) && errors.Unwrap(ce) != nil {
		return errors.Unwrap(ce).Error()
	}
	return strconv.Quote(err.Error())
}

func quoteName(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }
func quoteText(s string) string { return `'` + strings.ReplaceAll(s, `'`, `''`) + `'` }
