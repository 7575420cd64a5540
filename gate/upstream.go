package gate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"sekisho/catalog"
)

// Connections to the server behind the gate.

// connect opens a connection upstream as one role's login.
func (g *Gate) connect(ctx context.Context, login Login, settings map[string]string) (_ *pgconn.HijackedConn, err error) {
	conf, err := g.upstreamConfig(login)
	if err != nil {
		return nil, err
	}
	for k, v := range settings {
		conf.RuntimeParams[k] = v
	}
	if !g.transparent() {
		// What the role or the database has for defaults must not decide how a
		// text is read.
		conf.RuntimeParams["standard_conforming_strings"] = "on"
		if conf.RuntimeParams["client_encoding"] == "" {
			conf.RuntimeParams["client_encoding"] = "UTF8"
		}
		for name := range ownSettings {
			if _, stated := conf.RuntimeParams[name]; !stated {
				conf.RuntimeParams[name] = "" // so that SHOW says that nothing is stated, instead of failing
			}
		}
	}
	var first opening
	conf.BuildFrontend = func(r io.Reader, w io.Writer) *pgproto3.Frontend {
		first = opening{r: r}
		return pgproto3.NewFrontend(&first, w)
	}
	conn, err := g.dial(ctx, conf)
	if err != nil {
		return nil, fmt.Errorf("connecting upstream as %s: %w", login.User, err)
	}
	defer func() {
		if err != nil {
			g.backends.over(conn.PID())
		}
	}()
	up, err := conn.Hijack()
	if err != nil {
		return nil, fmt.Errorf("connecting upstream as %s: %w", login.User, err)
	}
	if err := quiet(up); err != nil {
		up.Conn.Close()
		return nil, fmt.Errorf("connecting upstream as %s: %w", login.User, err)
	}
	up.Frontend = nil // and its buffer
	up.CustomData = map[string]any{openingKey: &first}
	for name, value := range up.ParameterStatuses {
		if !g.transparent() && !safeSetting(name, value) {
			up.Conn.Close()
			return nil, fmt.Errorf("connecting upstream as %s: %w: %s", login.User, errUnsafe, name)
		}
	}
	return up, nil
}

// safeSetting: with this value of a setting the server reads a text as the
// gate does.
func safeSetting(name, value string) bool {
	switch name {
	case "standard_conforming_strings":
		return value == "on"
	case "client_encoding":
		return catalog.SafeEncoding(value)
	}
	return true
}

// safe takes note of a setting that the server reports.
func (s *session) safe(name, value string) bool {
	if name == "client_encoding" {
		s.utf8.Store(isUTF8(value))
		if !isUTF8(value) {
			s.wants.encoding(false, false)
		}
	}
	return safeSetting(name, value)
}

func (g *Gate) upstreamConfig(login Login) (*pgconn.Config, error) {
	u := g.conf.Upstream
	mode := u.SSLMode
	if mode == "" {
		mode = "verify-full"
		if filepath.IsAbs(u.Host) {
			mode = "disable"
		}
	}
	quote := func(v string) string {
		return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(v) + "'"
	}
	dsn := "host=" + quote(u.Host) + " port=" + strconv.Itoa(int(u.Port)) + " dbname=" + quote(u.Database) + " user=" + quote(login.User) +
		" sslmode=" + quote(mode) + " connect_timeout=10"
	if u.SSLRootCert != "" {
		dsn += " sslrootcert=" + quote(u.SSLRootCert)
	}
	conf, err := pgconn.ParseConfig(dsn)
	if err != nil {
		return nil, errors.New("the upstream settings of the gate's config do not make a connection: check host, port, sslmode and sslrootcert")
	}
	conf.Password = "" // what the environment or a passfile would add is not the gate's
	if login.PasswordFile != "" {
		b, err := os.ReadFile(login.PasswordFile)
		if err != nil {
			return nil, fmt.Errorf("reading the password of %s: %w", login.User, err)
		}
		conf.Password = strings.TrimRight(string(b), "\r\n")
	}
	conf.RuntimeParams = map[string]string{}
	conf.Fallbacks = nil
	return conf, nil
}
