package console

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"sekisho"
)

// hands sends a file as a page's form does, with other fields.
func (b *browser) hands(path, file string, fields ...string) answer {
	b.h.t.Helper()
	var body strings.Builder
	const edge = "edge"
	for n := 0; n+1 < len(fields); n += 2 {
		fmt.Fprintf(&body, "--%s\r\nContent-Disposition: form-data; name=%q\r\n\r\n%s\r\n", edge, fields[n], fields[n+1])
	}
	fmt.Fprintf(&body, "--%s\r\nContent-Disposition: form-data; name=\"file\"; filename=\"file\"\r\n\r\n%s\r\n--%s--\r\n", edge, file, edge)
	r := b.request("POST", path, strings.NewReader(body.String()))
	r.Header.Set("Content-Type", "multipart/form-data; boundary="+edge)
	return b.do(r)
}

func (b *browser) shows(path string, want ...string) string {
	b.h.t.Helper()
	a := b.get(path)
	for _, w := range want {
		if a.status != http.StatusOK || !strings.Contains(a.body, w) {
			b.h.t.Errorf("%s: %d, does not say %q\n%s", path, a.status, w, a.body)
		}
	}
	return a.body
}

// A register is filled by a file, all of it or nothing; a supplier's reading at
// the gate is measured by its logins.
func TestRegisters(t *testing.T) {
	h := newHouse(t)
	boss, clerk := h.user("ueda", approver), h.user("abe", plainUser)
	h.staff("vendor1")
	h.lookup("vendor1", "pc-9001", sekisho.Identity, 11, 12, 13)

	clerk.want("/registers", http.StatusForbidden, "", "noun", "supplier", "name", "Aozora")
	csv := "name,owner,traits,members,until,data held\nAozora Systems,ueda,personal_data tier_1,vendor1,2016-03-31,会員の連絡先\nKumo KK,nobody.known,,,,\n"
	if a := boss.hands("/registers", csv, "noun", "supplier"); a.status != http.StatusNotFound || !strings.Contains(a.body, "Line 3") {
		t.Errorf("a line with an unknown owner: %d\n%s", a.status, a.body)
	}
	if body := boss.shows("/registers?noun=supplier", "Nothing is registered"); strings.Contains(body, "Aozora") {
		t.Error("half of a file was taken")
	}
	csv = strings.Replace(csv, "nobody.known", "abe", 1)
	if a := boss.hands("/registers", csv, "noun", "supplier"); a.status != went {
		t.Fatalf("the file: %d\n%s", a.status, a.body)
	}
	at := h.ledger.Last()
	if a := boss.hands("/registers", csv, "noun", "supplier"); a.status != went || strings.Contains(h.since(at), "Registered") {
		t.Errorf("the same file again: %d\n%s", a.status, h.since(at))
	}
	boss.shows("/registers?noun=supplier", "Aozora Systems", "not assessed", "1 accesses, 3 customers")
	given := boss.get("/registers?noun=supplier&form=csv")
	if !strings.Contains(given.body, "Aozora Systems,ueda,,,personal_data tier_1,vendor1,,2016-03-31,会員の連絡先") {
		t.Errorf("the register as CSV:\n%s", given.body)
	}
	var o uint32
	h.views.Read(func() { o = h.duties.Checks().Things("supplier")[0].Ordinal })
	boss.shows(fmt.Sprintf("/registers/%d", o), "会員の連絡先", "customers read within a year")

	// A membership counts once its paper is there.
	boss.want("/registers", went, "", "noun", "membership", "name", "T-ISAC", "from", "2014-04-01", "until", "2015-03-31")
	h.views.Read(func() { o = h.duties.Checks().Things("membership")[0].Ordinal })
	boss.shows("/registers?noun=membership", "no paper attached")
	if a := boss.attach(fmt.Sprintf("/registers/%d/paper", o), "certificate", "加盟証", []byte("%PDF-1.7 member")); a.status != went {
		t.Errorf("its certificate: %d", a.status)
	}
	boss.shows("/registers?noun=membership", "valid")

	// Posts: one holder, another deputy; nobody twice.
	boss.want("/posts", went, "", "post", "administrator", "space", "unit", "unit", "JTA", "person", "abe", "from", "2014-04-01")
	boss.want("/posts", http.StatusConflict, "two different people", "post", "administrator", "space", "unit", "unit", "JTA", "person", "abe", "deputy", "1")
	boss.want("/posts", went, "", "post", "responsible", "space", "duty", "unit", "M3a", "person", "ueda")
	boss.want("/posts", went, "", "year", "2014", "step", "planned", "amount", "120,000,000")
	boss.shows("/posts", "abe", "M3a", "120,000,000 JPY")
	for _, noun := range registerNouns {
		h.signedIn("ja").shows("/registers?noun="+noun, "<h1>")
	}
}

// What scanners found becomes findings with a day, each once; a server that
// nobody looked at is no scanned one.
func TestScans(t *testing.T) {
	h := newHouse(t)
	boss := h.user("ueda", approver)
	boss.want("/registers", went, "", "noun", "server", "name", "www", "traits", "public", "owner", "ueda", "fields", "address: 198.51.100.10 198.51.100.11")
	boss.want("/registers", went, "", "noun", "server", "name", "mail", "traits", "public", "fields", "address: 198.51.100.25")
	nmap := `<?xml version="1.0"?><nmaprun scanner="nmap" start="1411300000">
<host><status state="up"/><address addr="198.51.100.10" addrtype="ipv4"/><hostnames><hostname name="www.example.jp" type="PTR"/></hostnames>
<ports><port protocol="tcp" portid="443"><state state="open"/><script id="ssl-heartbleed" output="&#xa;  VULNERABLE:&#xa;  The Heartbleed Bug CVE-2014-0160 is a serious vulnerability"/></port></ports></host>
<host><status state="down"/><address addr="198.51.100.25" addrtype="ipv4"/></host>
<host><status state="up"/><address addr="198.51.100.99" addrtype="ipv4"/></host>
<runstats><finished time="1411300100" exit="success"/></runstats></nmaprun>`
	if a := boss.hands("/scans", strings.Replace(nmap, `<runstats><finished time="1411300100" exit="success"/></runstats>`, "", 1)); a.status != http.StatusBadRequest {
		t.Errorf("a run that was broken off: %d", a.status)
	}
	if a := boss.hands("/scans", nmap); a.status != went {
		t.Fatalf("the scan: %d\n%s", a.status, a.body)
	}
	boss.shows("/scans", "CVE-2014-0160", "did not answer", "1 unknown addresses", "no test within a year")
	if a := boss.hands("/scans", nmap); a.status != http.StatusConflict {
		t.Errorf("the same output again: %d", a.status)
	}
	// Found again by another scanner's file: the same kind of finding is another
	// one only if it is another weakness.
	csv := "host,code,severity,title,port\n198.51.100.11,CVE-2014-0160,10.0,Heartbleed,tcp/443\nmail,,none,,\n"
	if a := boss.hands("/scans", csv); a.status != went {
		t.Fatalf("the CSV: %d\n%s", a.status, a.body)
	}
	h.views.Read(func() {
		if n := len(h.duties.Checks().Found()); n != 1 {
			t.Errorf("%d findings, want one", n)
		}
	})
	if body := boss.shows("/scans", "mail"); strings.Contains(body, "no scan within 31 days") {
		t.Errorf("both were scanned now\n%s", body)
	}
}

// Terminals by an MDM's file, and leave to work outside.
func TestTerminals(t *testing.T) {
	h := newHouse(t)
	boss, clerk := h.user("ueda", approver), h.user("abe", plainUser)
	h.lookup("abe", "pc-0417", sekisho.Identity, 11)
	csv := "hostname,managed,encrypted,patched,offsite,os,user\npc-0417,true,yes,Compliant,yes,Windows 11,abe\npc-0533,true,no,yes,no,Windows 10,\n,,,,,,\n"
	clerk.want("/terminals", http.StatusConflict, "nothing is known", "action", "asked", "endpoint", "pc-0417", "categories", "contact", "until", "2014-12-01", "text", "在宅勤務")
	if a := boss.hands("/terminals", csv, "source", "intune"); a.status != went {
		t.Fatalf("the file: %d\n%s", a.status, a.body)
	}
	boss.shows("/terminals", "1 of 2 terminals", "not encrypted", "certificate ")
	clerk.want("/terminals", http.StatusConflict, "not encrypted", "action", "asked", "endpoint", "pc-0533", "categories", "contact", "until", "2014-12-01", "text", "在宅勤務")
	clerk.want("/terminals", went, "", "action", "asked", "endpoint", "pc-0417", "categories", "contact", "until", "2014-12-01", "text", "在宅勤務")
	n := fmt.Sprint(h.ledger.Last())
	clerk.want("/terminals", http.StatusForbidden, "", "permit", n, "action", "approved")
	boss.want("/terminals", went, "", "permit", n, "action", "approved")
	boss.shows("/terminals", "in force")
}

// The evaluation is for people of its role alone, every look is recorded, two
// decide, and like cases are compared.
func TestEvaluation(t *testing.T) {
	h := newHouse(t)
	one, two, clerk := h.user("hara", hr), h.user("hori", hr, "hori.os"), h.user("abe", plainUser)
	h.user("kato", plainUser)
	for _, b := range []*browser{clerk, h.signedIn("en"), h.user("ueda", approver)} {
		if a := b.get("/evaluation"); a.status != http.StatusForbidden {
			t.Errorf("somebody without the role: %d", a.status)
		}
	}
	if status, body := h.controlled("root")("GET", "/api/evaluation", "", ""); status != http.StatusForbidden {
		t.Errorf("a local administrator: %d %s", status, body)
	}
	if status, body := h.controlled("hori.os")("GET", "/api/evaluation", "", ""); status != http.StatusOK {
		t.Errorf("the role's own login at the control socket: %d %s", status, body)
	}
	// The role decides nothing else.
	one.want("/registers", http.StatusForbidden, "", "noun", "supplier", "name", "Aozora")
	one.want("/evaluation", http.StatusBadRequest, "", "person", "abe", "rule", "drill_clicked", "gravity", "slight", "intent", "mistake", "rank", "employee", "text", "訓練メールを開いた")

	decide := func(person, rank, measure string) string {
		one.want("/evaluation", went, "", "person", person, "rule", "password_shared", "gravity", "slight", "intent", "negligence", "rank", rank, "text", "付箋に書いて共用した")
		n := fmt.Sprint(h.ledger.Last())
		one.want("/evaluation", went, "", "case", n, "action", "proposed", "measure", measure, "text", "前例に倣う")
		two.want("/evaluation", http.StatusConflict, "heard first", "case", n, "action", "approved", "text", "同意")
		one.want("/evaluation", went, "", "case", n, "action", "heard", "text", "認めた")
		one.want("/evaluation", http.StatusForbidden, "Somebody else", "case", n, "action", "approved", "text", "同意")
		two.want("/evaluation", went, "", "case", n, "action", "approved", "text", "同意")
		return n
	}
	decide("abe", "employee", "warning")
	decide("abe", "employee", "warning")
	odd := decide("kato", "executive", "none")
	at := h.ledger.Last()
	body := two.shows("/evaluation", "measured otherwise", "of different ranks")
	if !strings.Contains(body, odd) || !strings.Contains(h.since(at), "Looked") {
		t.Errorf("the odd one, or the look, is missing: %s", h.since(at))
	}
	two.want("/evaluation", went, "", "case", odd, "action", "explained", "text", "代表取締役は株主総会で処分")
	if body := two.shows("/evaluation", "alike, or explained"); strings.Contains(body, "measured otherwise") {
		t.Error("what was explained is told as uneven")
	}
	// No page of an entry tells who it was.
	for n := uint64(1); n <= h.ledger.Last(); n++ {
		if a := clerk.get(fmt.Sprintf("/entries/%d", n)); strings.Contains(a.body, "付箋") || strings.Contains(a.body, "person/abe") {
			t.Errorf("entry %d tells of a case", n)
		}
	}
	if a := one.hands("/evaluation", "person\nabe\nkato\nnobody\n", "year", "2014"); a.status != went {
		t.Errorf("the evaluations: %d", a.status)
	}
	one.want("/evaluation", http.StatusConflict, "", "confirm", "2014")
	two.want("/evaluation", went, "", "confirm", "2014")
	two.shows("/evaluation", "2 recorded, 2 confirmed")
}
