package survey

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// Database is one connection that cannot write. It is used by one goroutine
// at a time.
type Database struct {
	conn *pgconn.PgConn
	conf *pgconn.Config
	root string // file of the authority, as it was given
}

// Where says how a connection was made, as far as a config may hold it.
type Where struct {
	Host     string // a name, an address, or the directory of a socket
	Port     uint16
	Database string
	User     string
	TLS      bool
	Verified bool   // the server's certificate was checked against an authority, and its name
	RootCert string // file of the authority; "" for the system's
	Password bool   // one was needed, or at least given
}

// Connect opens a connection to look at a database. dsn is a URL or a keyword
// string as libpq takes it; what it does not say comes from the environment
// (PGHOST, PGPASSWORD, PGSERVICE, …), the password file and the service file.
// No transaction of the connection can write, and each statement ends after
// timeout.
func Connect(ctx context.Context, dsn string, timeout time.Duration) (*Database, error) {
	conf, err := pgconn.ParseConfig(dsn)
	if err != nil {
		// The library's words hold the string, and the string may hold a password.
		return nil, errors.New("connecting to the database: the connection string is not understood: write postgres://user@host:5432/database, or host=… user=… dbname=…")
	}
	d, err := open(ctx, conf, timeout)
	if err == nil {
		d.root = rootCertificate(dsn)
	}
	return d, err
}

var rootCertPattern = regexp.MustCompile(`sslrootcert\s*=\s*(?:'([^']*)'|(\S+))`)

// rootCertificate is the file of the authority that a connection string or the
// environment names. The library reads it and keeps no name.
func rootCertificate(dsn string) (path string) {
	if u, err := url.Parse(dsn); err == nil && u.Scheme != "" {
		path = u.Query().Get("sslrootcert")
	} else if m := rootCertPattern.FindStringSubmatch(dsn); m != nil {
		path = m[1] + m[2]
	}
	if path == "" {
		path = os.Getenv("PGSSLROOTCERT")
	}
	if path == "system" || path == "" {
		return ""
	}
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

// HasPassword says whether a connection string itself holds a password, where
// everybody on the machine could read it.
func HasPassword(dsn string) bool {
	if u, err := url.Parse(dsn); err == nil && u.Scheme != "" {
		_, in := u.User.Password()
		return in || u.Query().Has("password")
	}
	return strings.Contains(dsn, "password=") || strings.Contains(dsn, "password =")
}

// Login is how the gate's config says to connect.
type Login struct {
	User         string
	PasswordFile string
}

// Upstream is the server of the gate's config.
type Upstream struct {
	Host              string
	Port              uint16
	Database, SSLMode string
	SSLRootCert       string
}

// As connects to the server of a config with one of its logins, as the gate
// does. The environment has no say.
func (u Upstream) As(ctx context.Context, login Login, timeout time.Duration) (*Database, error) {
	mode := u.SSLMode
	if mode == "" {
		if mode = "verify-full"; filepath.IsAbs(u.Host) {
			mode = "disable"
		}
	}
	quote := func(v string) string { return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(v) + "'" }
	dsn := "host=" + quote(u.Host) + " port=" + strconv.Itoa(int(u.Port)) + " dbname=" + quote(u.Database) + " user=" + quote(login.User) +
		" sslmode=" + quote(mode) + " connect_timeout=10"
	if u.SSLRootCert != "" {
		dsn += " sslrootcert=" + quote(u.SSLRootCert)
	}
	conf, err := pgconn.ParseConfig(dsn)
	if err != nil {
		return nil, errors.New("the upstream settings of the config do not make a connection: check host, port, sslmode and sslrootcert")
	}
	conf.Password, conf.Fallbacks, conf.RuntimeParams = "", nil, map[string]string{}
	if login.PasswordFile != "" {
		b, err := os.ReadFile(login.PasswordFile)
		if err != nil {
			return nil, fmt.Errorf("reading the password of %s: %w", login.User, err)
		}
		conf.Password = strings.TrimRight(string(b), "\r\n")
	}
	return open(ctx, conf, timeout)
}

func open(ctx context.Context, conf *pgconn.Config, timeout time.Duration) (*Database, error) {
	if conf.RuntimeParams == nil {
		conf.RuntimeParams = map[string]string{}
	}
	for k, v := range map[string]string{
		"application_name": "sekisho survey", "search_path": "pg_catalog", "default_transaction_read_only": "on",
		"client_encoding": "UTF8", "datestyle": "ISO, YMD", "intervalstyle": "postgres", "extra_float_digits": "1", "bytea_output": "hex",
		"statement_timeout": strconv.FormatInt(timeout.Milliseconds(), 10), "lock_timeout": "1000",
		"idle_in_transaction_session_timeout": "60000",
	} {
		conf.RuntimeParams[k] = v
	}
	if conf.ConnectTimeout == 0 {
		conf.ConnectTimeout = 10 * time.Second
	}
	conn, err := pgconn.ConnectConfig(ctx, conf)
	if err != nil {
		return nil, fmt.Errorf("connecting to the database as %s: %w", conf.User, plainly(err))
	}
	return &Database{conn: conn, conf: conf}, nil
}

// Close ends the connection.
func (d *Database) Close() {
	ctx, stop := context.WithTimeout(context.Background(), 2*time.Second)
	defer stop()
	d.conn.Close(ctx)
}

// Where says how the connection was made.
func (d *Database) Where() Where {
	w := Where{Host: d.conf.Host, Port: d.conf.Port, Database: d.conf.Database, User: d.conf.User, Password: d.conf.Password != ""}
	if w.Database == "" {
		w.Database = w.User
	}
	// What was really connected to, if several hosts or modes were tried.
	conn := d.conn.Conn()
	if a, ok := conn.RemoteAddr().(*net.TCPAddr); ok && filepath.IsAbs(w.Host) {
		w.Host, w.Port = a.IP.String(), uint16(a.Port)
	}
	if _, ok := conn.(interface{ VerifyHostname(string) error }); ok {
		w.TLS = true
		w.Verified = d.conf.TLSConfig != nil && !d.conf.TLSConfig.InsecureSkipVerify && d.conf.TLSConfig.ServerName != ""
		w.RootCert = d.root
	}
	return w
}

// Query is a catalog.Query. Its errors hold no value of a row.
func (d *Database) Query(ctx context.Context, sql string, args ...string) ([][]*string, error) {
	params := make([][]byte, len(args))
	types := make([]uint32, len(args))
	for i, a := range args {
		params[i], types[i] = []byte(a), 25
	}
	res := d.conn.ExecParams(ctx, sql, params, types, nil, nil)
	var out [][]*string
	for res.NextRow() {
		values := res.Values()
		row := make([]*string, len(values))
		for i, v := range values {
			if v != nil {
				s := string(v)
				row[i] = &s
			}
		}
		out = append(out, row)
	}
	if _, err := res.Close(); err != nil {
		return nil, plainly(err)
	}
	return out, nil
}

// Hindrance says what kept Connect from the database, as the end of a key of
// words; empty: something else than the usual.
func Hindrance(err error) string {
	var dns *net.DNSError
	var op *net.OpError
	var of interface{ SQLState() string }
	if errors.As(err, &of) {
		switch code := of.SQLState(); code {
		case "28P01":
			return "password"
		case "28000":
			return "hba"
		case "3D000":
			return "database"
		case "53300":
			return "full"
		case "57P03":
			return "starting"
		}
		return ""
	}
	switch {
	case errors.As(err, &dns):
		return "host"
	case errors.As(err, &op) && (errors.Is(op, syscall.ECONNREFUSED) || errors.Is(op, syscall.ENOENT)):
		return "port"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return "silent"
	case strings.Contains(err.Error(), "server refused TLS"):
		return "tls"
	}
	return ""
}

// refused is an error of the server without what can hold a value: its detail
// and context always, its message where the code says that it speaks of data.
type refused struct{ code, message string }

func (r *refused) Error() string    { return r.message + " (SQLSTATE " + r.code + ")" }
func (r *refused) SQLState() string { return r.code }

func plainly(err error) error {
	var pe *pgconn.PgError
	if !errors.As(err, &pe) {
		var ce *pgconn.ConnectError
		if !errors.As(err, &ce) {
			return err
		}
		if all, ok := ce.Unwrap().(interface{ Unwrap() []error }); ok {
			first := all.Unwrap()[0]
			if !slices.ContainsFunc(all.Unwrap(), func(e error) bool { return !strings.HasSuffix(first.Error(), e.Error()) }) {
				return first // with TLS and without, and it was the same
			}
		}
		return err
	}
	if strings.HasPrefix(pe.Code, "22") || strings.HasPrefix(pe.Code, "23") || strings.HasPrefix(pe.Code, "P0") || pe.Code == "XX000" {
		return &refused{pe.Code, "the database answered with an error about data"}
	}
	return &refused{pe.Code, pe.Message}
}
