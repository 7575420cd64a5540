package sensor

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"

	"sekisho/directory"
)

// LDAP says where a directory server is, and what its attributes mean.
type LDAP struct {
	// URL is ldaps://ldap.example.jp, ldap://… with starttls, or ldapi:///path.
	URL string `yaml:"url"`
	// StartTLS begins TLS on a plain connection.
	StartTLS bool `yaml:"starttls"`
	// CA is a PEM file with the authority of the server's certificate. Default: the
	// system's.
	CA string `yaml:"ca"`
	// BindDN and PasswordFile say who reads; without them, anonymously.
	BindDN       string `yaml:"bind_dn"`
	PasswordFile string `yaml:"password_file"`
	// Base is where people are, such as ou=people,dc=example,dc=jp.
	Base string `yaml:"base"`
	// Filter chooses people. Default (objectClass=inetOrgPerson); for Active
	// Directory (&(objectCategory=person)(objectClass=user)).
	Filter string `yaml:"filter"`
	// Attributes names the attribute of a field, where it is another than in
	// inetOrgPerson: user: sAMAccountName.
	Attributes map[string]string `yaml:"attributes"`
	// Company is the code of the company of people who have none.
	Company string `yaml:"company"`
}

// ldapAttributes is what the fields are called in inetOrgPerson.
var ldapAttributes = map[string]string{"user": "uid", "name": "displayName", "mail": "mail", "language": "preferredLanguage", "employed": "employeeType",
	"company": "o", "department": "ou", "post": "title"}

// disabled is the bit of Active Directory's userAccountControl that switches an
// account off ([MS-ADTS] 2.2.16).
const disabled = 2

// Check names the first mistake of the config.
func (l *LDAP) Check() error {
	u, err := url.Parse(l.URL)
	if err != nil || u.Scheme != "ldaps" && u.Scheme != "ldap" && u.Scheme != "ldapi" {
		return fmt.Errorf("url: %q is none such as ldaps://ldap.example.jp", l.URL)
	}
	if u.Scheme == "ldap" && !l.StartTLS {
		if ip := net.ParseIP(u.Hostname()); ip == nil || !ip.IsLoopback() {
			return errors.New("url: names and the password would cross the network in the clear: use ldaps://, or starttls")
		}
	}
	if l.Base == "" {
		return errors.New("base is missing: where people are, such as ou=people,dc=example,dc=jp")
	}
	if (l.BindDN == "") != (l.PasswordFile == "") {
		return errors.New("bind_dn and password_file come together")
	}
	if l.Filter == "" {
		l.Filter = "(objectClass=inetOrgPerson)"
	}
	if _, err := ldap.CompileFilter(l.Filter); err != nil {
		return fmt.Errorf("filter: %w", err)
	}
	for field := range l.Attributes {
		if staffHeadings[field] == nil {
			return fmt.Errorf("attributes: there is no field %q: the fields are %s", field, strings.Join(DirectoryFields(), ", "))
		}
	}
	return nil
}

// ReadLDAP reads everybody from a directory server, page by page. password is
// that of BindDN.
func ReadLDAP(ctx context.Context, l LDAP, password string, zone *time.Location) (*directory.Snapshot, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if u, err := url.Parse(l.URL); err == nil {
		conf.ServerName = u.Hostname()
	}
	if l.CA != "" {
		pem, err := os.ReadFile(l.CA)
		if err != nil {
			return nil, err
		}
		if conf.RootCAs = x509.NewCertPool(); !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate", l.CA)
		}
	}
	c, err := ldap.DialURL(l.URL, ldap.DialWithTLSConfig(conf), ldap.DialWithDialer(&net.Dialer{Timeout: 30 * time.Second}))
	if err != nil {
		return nil, err
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	c.SetTimeout(5 * time.Minute)
	if l.StartTLS {
		if err := c.StartTLS(conf); err != nil {
			return nil, fmt.Errorf("beginning TLS: %w", err)
		}
	}
	if l.BindDN != "" {
		if err := c.Bind(l.BindDN, password); err != nil {
			return nil, fmt.Errorf("signing in to the directory server as %s: %w", l.BindDN, err)
		}
	}
	at := map[string]string{}
	for field, name := range ldapAttributes {
		at[field] = name
	}
	for field, name := range l.Attributes {
		at[field] = name
	}
	wanted := []string{"userAccountControl"}
	for _, name := range at {
		wanted = append(wanted, name)
	}
	slices.Sort(wanted)
	found, err := c.SearchWithPaging(ldap.NewSearchRequest(l.Base, ldap.ScopeWholeSubtree, ldap.NeverDerefAliases, 0, 300, false, l.Filter, wanted, nil), 500)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", l.Base, err)
	}
	if len(found.Referrals) > 0 {
		return nil, fmt.Errorf("reading %s: the server has only a part, and names %d others: name one that has all", l.Base, len(found.Referrals))
	}
	t := &staffTable{how: DirectoryFile{Zone: zone}, s: &directory.Snapshot{Form: "ldap", Whole: true}, people: map[string]*staffRow{}, units: map[string]int{}}
	sum := sha256.New()
	for i, e := range found.Entries {
		where := "entry " + strconv.Itoa(i+1)
		if control, err := strconv.ParseUint(e.GetAttributeValue("userAccountControl"), 10, 64); err == nil && control&disabled != 0 {
			continue // switched off: has left
		}
		values := map[string]string{}
		for field, name := range at {
			values[field] = e.GetEqualFoldAttributeValue(name)
		}
		if values["company"] == "" {
			values["company"] = l.Company
		}
		if values["company"] == "" {
			values["department"] = ""
		}
		raw, _ := json.Marshal(values)
		sum.Write(raw)
		if _, known := employments[heading(values["employed"])]; !known {
			values["employed"] = "" // what a company writes there is its own
		}
		if err := t.takeValues(func(field string) string { return values[field] }, where); err != nil {
			t.refuse(where, err.Error())
		}
	}
	s := t.done()
	sum.Sum(s.SHA256[:0])
	return s, nil
}
