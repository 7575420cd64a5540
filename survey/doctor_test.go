package survey_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sekisho/catalog"
	"sekisho/demo"
	"sekisho/survey"
)

// sound is a sekisho in front of the demo's store in which nothing is wrong
// that a test could help.
func sound(t *testing.T) survey.Patient {
	t.Helper()
	data := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	p := survey.Patient{
		File: "sekisho.yaml", Data: data, Users: data, Catalog: config(t, []byte(demo.CatalogYAML)),
		Upstream: survey.Upstream{Host: cluster.SocketDir(), Port: uint16(cluster.Port()), Database: demo.Database},
		Reader:   survey.Login{User: demo.Reader, PasswordFile: filepath.Join(passwords, demo.Reader)},
		Roles:    map[string]survey.Login{},
		Gate:     survey.Door{Listen: "127.0.0.1:0"}, Console: survey.Door{Listen: "127.0.0.1:0"},
	}
	for _, r := range []string{demo.CallCentre, demo.Batch, demo.Analyst} {
		p.Roles[r] = survey.Login{User: r, PasswordFile: filepath.Join(passwords, r)}
	}
	authority, err := demo.OpenAuthority(filepath.Join(t.TempDir(), "certificates"))
	if err != nil {
		t.Fatal(err)
	}
	if p.Gate.Cert, p.Gate.Key, err = authority.Gate(); err != nil {
		t.Fatal(err)
	}
	p.Gate.ClientCA, p.Gate.Require = authority.CA(), true
	return p
}

// certificate makes one that ends so long from now.
func certificate(t *testing.T, left time.Duration) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	shape := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(left)}
	der, err := x509.CreateCertificate(rand.Reader, shape, shape, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	for name, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// sql runs a script in the demo's store as the owner of the cluster.
func sql(t *testing.T, script string) {
	t.Helper()
	if _, err := cluster.SQL(t.Context(), demo.Database, script); err != nil {
		t.Fatal(err)
	}
}

// examine gives the findings by check, and looks that each can be said in every
// language.
func examine(t *testing.T, p survey.Patient) map[string][]string {
	t.Helper()
	by := map[string][]string{}
	for _, f := range survey.Doctor(t.Context(), p) {
		for _, lang := range survey.Languages {
			w, err := survey.Speak(lang)
			if err != nil {
				t.Fatal(err)
			}
			text, hint := f.Text(w), f.Hint(w)
			if strings.Contains(text, "%!") || strings.HasPrefix(text, "[") || f.Level != survey.OK && hint == "" && f.Check != "settings" {
				t.Errorf("%s, %s in %s: %q, hint %q", f.Check, f.Level, lang, text, hint)
			}
			if lang == "en" {
				by[f.Check] = append(by[f.Check], fmt.Sprintf("%s: %s", f.Level, text))
			}
		}
	}
	return by
}

func (s *expectations) is(t *testing.T, check, level, part string) {
	t.Helper()
	if !slices.ContainsFunc(s.by[check], func(f string) bool { return strings.HasPrefix(f, level+": ") && strings.Contains(f, part) }) {
		t.Errorf("%s: want %s with %q, got %q", check, level, part, s.by[check])
	}
}

type expectations struct{ by map[string][]string }

func TestDoctorOnASoundHouse(t *testing.T) {
	by := expectations{examine(t, sound(t))}
	for _, check := range []string{"config", "data_mode", "sync", "secret", "gate_certificate", "client_ca", "gate_port", "console_port", "reader",
		"version", "server_clock", "catalog", "roster", "unclassified", "login", "password_encryption", "server_tls_socket", "others", "statements"} {
		if check == "statements" {
			continue // installed by another test
		}
		by.is(t, check, "ok", "")
	}
	for check, list := range by.by {
		for _, f := range list {
			if strings.HasPrefix(f, "failure") {
				t.Errorf("%s: %s", check, f)
			}
		}
	}
	// What cannot be known is said to be unknown.
	by.is(t, "hba", "unknown", "")
	by.is(t, "superusers", "warning", cluster.Superuser())
}

// Each thing that can be wrong, made wrong.
func TestDoctorFindsWhatIsWrong(t *testing.T) {
	sql(t, `create role dba login superuser; create role leaver login; grant connect on database `+demo.Database+` to leaver; grant usage on schema crm to leaver; grant select on crm.card to leaver;
		create role by_view login; grant connect on database `+demo.Database+` to by_view; grant usage on schema crm to by_view;
		create view crm.mail as select email from crm.member; alter view crm.mail owner to crm_owner; grant select on crm.mail to by_view;
		create view crm.airports as select code from crm.airport; grant select on crm.airports to by_view;
		create role keyless login; grant usage on schema crm to keyless; grant select (email) on crm.member to keyless;
		create role too_much login bypassrls in role pg_read_all_data; create role owns_it login in role crm_owner;
		create function crm.sums() returns bigint language sql as 'select count(*) from crm.member';
		create role writer login; grant usage on schema crm to writer; grant select, insert, truncate on crm.member to writer;`)
	out, err := cluster.SQL(t.Context(), demo.Database, "select encode(sha256(convert_to(pg_get_functiondef('crm.sums'::regproc), 'UTF8')), 'hex')")
	if err != nil {
		t.Fatal(err)
	}
	digest := strings.TrimSpace(out)
	reaching := func(p *survey.Patient, body ...string) {
		p.Catalog.Functions.Reaching = []catalog.Reaching{{Name: "crm.sums", Reads: []string{"crm.member"}, Body: body}}
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, c := range []struct {
		name               string
		spoil              func(p *survey.Patient)
		check, level, part string
	}{
		{"a config that cannot be read", func(p *survey.Patient) { p.Broken = errors.New("line 3: lisen") }, "config", "failure", "lisen"},
		{"others enter the data directory", func(p *survey.Patient) { os.Chmod(p.Data, 0o755) }, "data_mode", "failure", "rwxr-xr-x"},
		{"no such directory yet", func(p *survey.Patient) { p.Data += "/deep/below" }, "data_new", "ok", "below"},
		{"a file in the place of the directory", func(p *survey.Patient) { p.Data = p.Gate.Cert }, "data", "failure", "not a directory"},
		{"others read a password", func(p *survey.Patient) {
			name := filepath.Join(p.Data, "password")
			os.WriteFile(name, []byte("x"), 0o600)
			os.Chmod(name, 0o644)
			p.Reader.PasswordFile = name
		}, "secret_mode", "failure", "password"},
		{"no password file", func(p *survey.Patient) { p.Reader.PasswordFile = p.Data + "/none" }, "password_file", "failure", "none"},
		{"a wrong password", func(p *survey.Patient) { p.Reader.PasswordFile = filepath.Join(passwords, demo.Batch) }, "reader", "failure", demo.Reader},
		{"a role's wrong password", func(p *survey.Patient) {
			p.Roles["clerk"] = survey.Login{User: demo.Batch, PasswordFile: filepath.Join(passwords, demo.Analyst)}
		}, "login", "failure", "clerk"},
		{"a key that is not the certificate's", func(p *survey.Patient) { p.Gate.Key = p.Gate.Cert }, "gate_certificate", "failure", ""},
		{"a certificate that ends soon", func(p *survey.Patient) { p.Gate.Cert, p.Gate.Key = certificate(t, 5*24*time.Hour) }, "gate_certificate", "warning", ""},
		{"a certificate that has ended", func(p *survey.Patient) { p.Console.Cert, p.Console.Key = certificate(t, -time.Hour) }, "console_certificate", "failure", ""},
		{"no certificate", func(p *survey.Patient) { p.Gate = survey.Door{Listen: "127.0.0.1:0"} }, "gate_tls", "warning", ""},
		{"TLS for whoever likes", func(p *survey.Patient) { p.Gate.Require = false }, "tls_optional", "warning", ""},
		{"no certificates of terminals", func(p *survey.Patient) { p.Gate.ClientCA = "" }, "terminals", "warning", ""},
		{"an open console", func(p *survey.Patient) { p.Console.Listen = "0.0.0.0:0" }, "console_plain", "failure", "0.0.0.0"},
		{"a taken port", func(p *survey.Patient) { p.Gate.Listen = taken.Addr().String() }, "gate_port", "warning", taken.Addr().String()},
		{"a column that is not there", func(p *survey.Patient) { p.Catalog.Tables[0].Columns["emial"] = "contact" }, "catalog", "failure", "did you mean email"},
		{"a column that nobody classified", func(p *survey.Patient) { delete(p.Catalog.Tables[0].Columns, "email") }, "unclassified", "warning", "crm.member.email"},
		{"a superuser", func(p *survey.Patient) { p.Roles["clerk"] = survey.Login{User: "dba"} }, "powers", "failure", "SUPERUSER"},
		{"past row level security", func(p *survey.Patient) { p.Roles["clerk"] = survey.Login{User: "too_much"} }, "powers", "failure", "BYPASSRLS, pg_read_all_data"},
		{"an owner by membership", func(p *survey.Patient) { p.Roles["clerk"] = survey.Login{User: "owns_it"} }, "owner", "failure", "crm.member"},
		{"a login that may truncate", func(p *survey.Patient) { p.Roles["clerk"] = survey.Login{User: "writer"} }, "more", "warning", "TRUNCATE crm.member"},
		{"a login beside the gate", func(p *survey.Patient) {}, "others", "warning", "leaver (1)"},
		{"a login that reads by a view", func(p *survey.Patient) {}, "others", "warning", "by_view (1)"},
		{"a role outside of the config", func(p *survey.Patient) { delete(p.Roles, demo.Batch) }, "others", "warning", demo.Batch + " (5)"},
		{"values in the server's log", func(p *survey.Patient) {
			sql(t, "alter role "+demo.Reader+" set log_min_duration_statement = 100; alter role "+demo.Batch+" set log_statement = 'all'")
		}, "server_log", "warning", "log_min_duration_statement=100, log_statement=all"},
		{"no right to the key", func(p *survey.Patient) { p.Roles["clerk"] = survey.Login{User: "keyless"} }, "keys", "failure", "clerk: crm.member.member_no"},
		{"no right to the roster", func(p *survey.Patient) {
			p.Catalog.Subjects[0].Roster.Query = "select c.member_no, c.card_no as email, '' as partner, '' as residence, c.expires as passport_until, '' phone, '' name_kanji, '' name_latin, '' birth_date, '' passport_no from crm.card c"
		}, "roster", "failure", "permission denied"},
		{"any_row, and nobody is asked", func(p *survey.Patient) { p.AnyRow = map[string]bool{"clerk": false, "auditor": true} }, "any_row", "warning", "clerk"},
		{"any_row, and somebody is asked", func(p *survey.Patient) { p.AnyRow = map[string]bool{"auditor": true} }, "any_row", "ok", "auditor"},
		{"a function that is believed", func(p *survey.Patient) { reaching(p) }, "reaching", "warning", "crm.sums " + digest},
		{"a function as it was read", func(p *survey.Patient) { reaching(p, digest) }, "reaching", "ok", "1"},
		{"a function that was replaced", func(p *survey.Patient) { reaching(p, strings.Repeat("0", 64)) }, "reaching", "failure", "crm.sums " + digest},
		{"no roles", func(p *survey.Patient) { p.Roles = nil }, "roles", "warning", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := sound(t)
			c.spoil(&p)
			by := expectations{examine(t, p)}
			by.is(t, c.check, c.level, c.part)
		})
	}
	sql(t, "alter role "+demo.Reader+" reset all; alter role "+demo.Batch+" reset all")
	sql(t, "drop function crm.sums; drop view crm.mail, crm.airports; drop owned by leaver, writer, keyless, by_view; drop role by_view, keyless, dba, leaver, too_much, owns_it, writer")
}

// What passes the gate by shows: the session, and the rows.
func TestDoctorSeesWhoPassesTheGateBy(t *testing.T) {
	sql(t, "create schema watch; create extension pg_stat_statements schema watch; grant usage on schema watch to "+demo.Reader+"; select watch.pg_stat_statements_reset()")
	t.Cleanup(func() { cluster.SQL(t.Context(), demo.Database, "drop schema watch cascade") })
	p := sound(t)
	hidden := expectations{examine(t, p)}
	hidden.is(t, "statements_hidden", "unknown", "")
	sql(t, "alter role "+demo.Reader+" inherit; grant pg_read_all_stats to "+demo.Reader+"; select watch.pg_stat_statements_reset()")
	clean := expectations{examine(t, p)}
	clean.is(t, "sessions", "ok", "")
	clean.is(t, "statements", "ok", "")

	past := connect(t, "", demo.Database)
	if _, err := past.Query(t.Context(), "select email from crm.member"); err != nil {
		t.Fatal(err)
	}
	// What monitoring asks all the time.
	if _, err := past.Query(t.Context(), "select count(*) from watch.pg_stat_statements, pg_stat_activity"); err != nil {
		t.Fatal(err)
	}
	if _, err := past.Query(t.Context(), "select code from crm.airport"); err != nil { // nobody's
		t.Fatal(err)
	}
	by := expectations{examine(t, p)}
	by.is(t, "sessions", "warning", cluster.Superuser())
	by.is(t, "statements_outside", "warning", fmt.Sprintf("%s: %d (crm.member)", cluster.Superuser(), members))

	// The reader may look at pg_hba.conf if it is let.
	sql(t, "grant select on pg_hba_file_rules to "+demo.Reader+"; grant execute on function pg_hba_file_rules() to "+demo.Reader)
	hba := expectations{examine(t, p)}
	hba.is(t, "hba", "ok", "")
	// The view reads the file as it is now.
	file := filepath.Join(filepath.Dir(passwords), "data", "pg_hba.conf")
	was, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	rules := "host all all 10.0.0.0/8 trust\nhost all all 10.0.0.0/8 md5\nhost all " + demo.Batch + " 10.0.0.5/32 scram-sha-256\nhost other all 0.0.0.0/0 trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
	if err := os.WriteFile(file, append(was, rules...), 0o600); err != nil {
		t.Fatal(err)
	}
	defer os.WriteFile(file, was, 0o600)
	lines := strings.Count(string(was), "\n")
	hba = expectations{examine(t, p)}
	hba.is(t, "hba_trust", "failure", fmt.Sprintf("lines %d", lines+1))
	hba.is(t, "hba_weak", "warning", fmt.Sprintf("lines %d (md5)", lines+2))
	hba.is(t, "hba_plain", "warning", fmt.Sprintf("lines %d, %d, %d", lines+1, lines+2, lines+3))
	hba.is(t, "hba_wide", "warning", fmt.Sprintf("lines %d, %d", lines+1, lines+2))
}
