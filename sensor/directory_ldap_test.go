package sensor_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sekisho/directory"
	"sekisho/sensor"
)

// aSlapd is a real directory server on ldaps with the people of an LDIF. It
// gives an anonymous reader nothing, and nobody more than 500 at once.
func aSlapd(t *testing.T, ldif string) (url, ca string) {
	t.Helper()
	slapd, err := exec.LookPath("slapd")
	if err != nil {
		slapd = "/usr/sbin/slapd" // is not in everybody's PATH
	}
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	certificateFor127(t, cert, key)
	db := filepath.Join(dir, "db")
	if err := os.Mkdir(db, 0o700); err != nil {
		t.Fatal(err)
	}
	conf := filepath.Join(dir, "slapd.conf")
	text := fmt.Sprintf(`include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile %[1]s/pid
TLSCertificateFile %[2]s
TLSCertificateKeyFile %[3]s
TLSCACertificateFile %[2]s
database mdb
suffix "dc=jalx,dc=example"
rootdn "cn=admin,dc=jalx,dc=example"
rootpw secret-of-the-test
directory %[4]s
limits users size.soft=500 size.hard=500 size.prtotal=unlimited
access to attrs=userPassword by anonymous auth by * none
access to * by users read by * none
`, dir, cert, key, db)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	add := exec.Command(slapd, "-T", "add", "-q", "-f", conf)
	add.Stdin = strings.NewReader(ldif)
	if out, err := add.CombinedOutput(); err != nil {
		t.Fatalf("slapadd: %v: %s", err, out)
	}
	for range 20 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addr := l.Addr().String()
		l.Close()
		var said bytes.Buffer
		cmd := exec.Command(slapd, "-h", "ldaps://"+addr+"/", "-f", conf, "-d", "0")
		cmd.Stderr = &said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() { cmd.Wait(); close(ended) }()
		t.Cleanup(func() { cmd.Process.Kill(); <-ended })
		for until := time.Now().Add(time.Minute); time.Now().Before(until); time.Sleep(10 * time.Millisecond) {
			if c, err := net.Dial("tcp", addr); err == nil {
				c.Close()
				return "ldaps://" + addr, cert
			}
			select {
			case <-ended: // somebody else had the port
			default:
				continue
			}
			break
		}
	}
	t.Fatal("slapd does not listen")
	return "", ""
}

func certificateFor127(t *testing.T, cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "slapd"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: raw}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func peopleAsLDIF(n int) string {
	var b strings.Builder
	b.WriteString("dn: dc=jalx,dc=example\nobjectClass: dcObject\nobjectClass: organization\no: jalx\ndc: jalx\n\ndn: ou=people,dc=jalx,dc=example\nobjectClass: organizationalUnit\nou: people\n\n")
	b.WriteString("dn: cn=reader,dc=jalx,dc=example\nobjectClass: person\ncn: reader\nsn: reader\nuserPassword: reads-people\n\n")
	for i := range n {
		fmt.Fprintf(&b, "dn: uid=u%04[1]d,ou=people,dc=jalx,dc=example\nobjectClass: inetOrgPerson\nuid: u%04[1]d\ncn: 名前 %[1]d\nsn: 名前\ndisplayName: 名前 %[1]d\nmail: u%04[1]d@jalx.example\no: 0001\nou: d%02[2]d\ntitle: 係員\nemployeeType: Full-time\npreferredLanguage: ja\n\n", i, i%30)
	}
	return b.String()
}

// 1,200 people come from a real server that gives 500 at a time, over TLS; what
// they become is what a table would have made of them.
func TestLDAP(t *testing.T) {
	const n = 1200
	url, ca := aSlapd(t, peopleAsLDIF(n))
	conf := sensor.LDAP{URL: url, CA: ca, BindDN: "cn=reader,dc=jalx,dc=example", PasswordFile: "given below", Base: "ou=people,dc=jalx,dc=example"}
	if err := conf.Check(); err != nil {
		t.Fatal(err)
	}
	s, err := sensor.ReadLDAP(t.Context(), conf, "reads-people", time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	s.Source = "ldap"
	m := newMemory()
	if err := m.compare(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	table.WriteString("user,name,mail,language,company,department,post\n")
	for i := range n {
		fmt.Fprintf(&table, "u%04[1]d,名前 %[1]d,u%04[1]d@jalx.example,ja,0001,d%02[2]d,係員\n", i, i%30)
	}
	same, err := sensor.ReadDirectory(strings.NewReader(table.String()), sensor.DirectoryFile{})
	if err != nil {
		t.Fatal(err)
	}
	same.Source, same.Whole = "ldap", true
	if plan := m.book.Plan(same, m.names()); !plan.Empty() || plan.Had != n || len(s.Refused) != 0 {
		t.Errorf("the table differs from the server: %d people, %d units, had %d, refused %v", len(plan.People), len(plan.Units), plan.Had, s.Refused)
	}

	for what, change := range map[string]func(*sensor.LDAP){
		"nobody's certificate": func(c *sensor.LDAP) { c.CA = "" },
		"a wrong name":         func(c *sensor.LDAP) { c.URL = strings.Replace(c.URL, "127.0.0.1", "localhost", 1) },
		"another base":         func(c *sensor.LDAP) { c.Base = "ou=pets,dc=jalx,dc=example" },
	} {
		bad := conf
		change(&bad)
		if _, err := sensor.ReadLDAP(t.Context(), bad, "reads-people", time.UTC); err == nil {
			t.Errorf("%s is taken", what)
		}
	}
	if _, err := sensor.ReadLDAP(t.Context(), conf, "wrong", time.UTC); err == nil || strings.Contains(err.Error(), "wrong\"") {
		t.Errorf("a wrong password: %v", err)
	}
	for _, bad := range []sensor.LDAP{{URL: "ldap://ldap.example.jp", Base: "x"}, {URL: "https://x", Base: "x"}, {URL: url}, {URL: url, Base: "x", Filter: "(uid="}, {URL: url, Base: "x", BindDN: "y"}, {URL: url, Base: "x", Attributes: map[string]string{"shoe": "size"}}} {
		if bad.Check() == nil {
			t.Errorf("the config %+v is taken", bad)
		}
	}
}

// What is read from one sekisho's SCIM is what it has: page by page, and who is
// switched off and unknown stays unknown.
func TestSCIMPull(t *testing.T) {
	there := newMemory()
	c := scimDoor(t, there)
	for i := range 450 {
		if err := there.compare(t.Context(), &directory.Snapshot{Source: "entra", People: []directory.Record{{User: fmt.Sprint("u", i),
			Attributes: directory.Attributes{Name: fmt.Sprint("Name ", i), Mail: fmt.Sprintf("u%d@jalx.example", i)}, Places: []directory.Place{{Unit: "department/0001/sales", As: "main"}}}}, Effective: 1}); err != nil {
			t.Fatal(err)
		}
	}
	id, _ := there.names().Find("staff", "u7")
	c.want(200, "PATCH", fmt.Sprint("/Users/", id), `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"active","value":false}]}`)
	here := newMemory()
	opt := sensor.SCIMOptions{Source: "group", Book: here.book, Names: here.names(), Now: func() time.Time { return here.now }}
	from := sensor.SCIMServer{URL: c.url, TokenFile: "given below"}
	if err := from.Check(); err != nil {
		t.Fatal(err)
	}
	pull := func() *directory.Plan {
		s, err := sensor.ReadSCIM(t.Context(), from, "a-token-of-the-test", opt)
		if err != nil {
			t.Fatal(err)
		}
		plan := here.book.Plan(s, here.names())
		if err := here.compare(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		return plan
	}
	if p := pull(); p.Count("joined") != 449 || len(p.People) != 449 {
		t.Errorf("%d joined of %d", p.Count("joined"), len(p.People))
	}
	if p := pull(); !p.Empty() {
		t.Errorf("again: %+v", p.People)
	}
	id, _ = there.names().Find("staff", "u8")
	c.want(204, "DELETE", fmt.Sprint("/Users/", id), "")
	if p := pull(); p.Count("left") != 1 || len(p.People) != 1 || p.People[0].User != "u8" {
		t.Errorf("one is deleted: %+v", p.People)
	}
	if _, err := sensor.ReadSCIM(t.Context(), from, "another token of it", opt); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("another token: %v", err)
	}
	if (&sensor.SCIMServer{URL: "http://idp.example.jp/scim", TokenFile: "x"}).Check() == nil {
		t.Error("a token may cross the network in the clear")
	}
}
