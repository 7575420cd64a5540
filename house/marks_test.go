package house

import (
	"io"
	"net"
	"net/smtp"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sekisho"
	"sekisho/disk"
	"sekisho/ledger"
	"sekisho/sensor"
)

// A file that an approved export became says whose it is: by mail to an address
// that stood in it alone, and by the addresses when it turns up.
func TestAnExportIsKnownByItsDecoys(t *testing.T) {
	s := newSite(t)
	s.close()
	s.owner("alter table crm.member add email text; update crm.member set email = 'm'||member_no||'@example.jp'")
	s.config.Catalog.Tables[0].Columns["email"] = "contact"
	role := s.config.Gate.Roles["staff"]
	role.AskAbove = 10
	s.config.Gate.Roles["staff"] = role
	s.config.Sensors.Mail.Domains = []string{"decoy.example.jp"}
	s.config.Exports = Exports{Decoys: 2, Domain: "decoy.example.jp"}
	s.open()
	must(t, s.house.ReadRosters(t.Context(), nil))
	const sql = "select member_no, name, email from crm.member where member_no <= 300"
	read := func() (list []string, err error) {
		c := s.through()
		defer c.Close(t.Context())
		rows, err := c.Query(t.Context(), sql)
		if err != nil {
			return nil, err
		}
		return pgx.CollectRows(rows, func(row pgx.CollectableRow) (string, error) {
			var n int64
			var name, email string
			err := row.Scan(&n, &name, &email)
			return strings.Join([]string{name, email}, ","), err
		})
	}
	if _, err := read(); err == nil {
		t.Fatal("so many go without an approval")
	}
	turned := s.house.Gate.Turned()[0]
	exact := s.house.Vault.Space("export").OfText(turned.Statement.Key())
	asked, err := s.house.Ledger.Append(t.Context(), &sekisho.ExportMarked{Exact: exact, Decoys: 2},
		&sekisho.ExportAsked{Refused: turned.Number, Principal: turned.Statement.Principal, Role: "staff", Exact: exact, Tables: turned.Statement.Tables, Most: 1000, Lasts: 3600})
	must(t, err)
	request := asked.Seq + 1
	_, err = s.house.Ledger.Append(t.Context(), &sekisho.ExportDecided{Request: request, Action: "approved", Most: 1000, Until: sekisho.At(s.now().Add(time.Hour))})
	must(t, err)
	must(t, s.house.Settle(t.Context()))
	list, err := read()
	must(t, err)
	boxes := s.house.marks(request, 2)
	if len(list) != 302 || boxes[0] == boxes[1] {
		t.Fatalf("%d rows, %v", len(list), boxes)
	}
	for _, box := range boxes {
		if !slices.ContainsFunc(list, func(row string) bool { return strings.HasSuffix(row, ","+box) }) {
			t.Errorf("%s is not in the answer", box)
		}
	}
	must(t, s.house.Settle(t.Context()))

	// Somebody writes to one of them, and to one that is made up.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	served := make(chan error, 1)
	go func() { served <- s.house.ReceiveMail(t.Context(), l) }()
	for _, to := range []string{"misaki.aaaabbbbcccc@decoy.example.jp", boxes[1]} {
		must(t, smtp.SendMail(l.Addr().String(), nil, "somebody@example.net", []string{to}, []byte("Subject: miles\r\n\r\nYour miles expire!\r\n")))
	}
	// And the file turns up.
	path := filepath.Join(t.TempDir(), "found.csv")
	must(t, os.WriteFile(path, []byte("name,mail\n"+strings.Join(list, "\n")+"\n"), 0o600))
	f, err := os.Open(path)
	must(t, err)
	defer f.Close()
	looked := s.house.lookForMarks(f)
	for buf := make([]byte, 100); ; {
		if _, err := looked.Read(buf); err != nil {
			break
		}
	}
	if got := looked.requests(); !slices.Equal(got, []uint64{request}) {
		t.Errorf("the file is of %v, want %d", got, request)
	}
	for range 2 {
		must(t, s.house.foundMarks(t.Context(), &sekisho.FileMatched{}, &sensor.FileReport{Exports: looked.requests()}))
	}
	var alerts []string
	for e, err := range ledger.Read(disk.OS{}, ledgerDir(s.config.Data), 1) {
		must(t, err)
		if a, ok := e.Body.(*sekisho.Alert); ok && strings.HasPrefix(a.Detector, "decoy") {
			who, _ := s.house.Vault.Space("staff").Key(a.Principal)
			alerts = append(alerts, a.Detector+" "+who)
			r, _ := s.house.Permits.Get(request)
			if len(a.Basis) != 2 || a.Basis[1] != r.UseSeq || a.Endpoint != r.Taken.Endpoint || r.UseSeq == 0 {
				t.Errorf("%+v of %+v", a, r)
			}
		}
	}
	if !slices.Equal(alerts, []string{"decoy_mail sato", "decoy sato"}) {
		t.Errorf("alerts: %v", alerts)
	}

	// Whoever asks about the file is told so in the answer.
	must(t, s.house.WithControl(t.Context(), func() error {
		c, err := Call(t.Context(), s.config.Data)
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = f.Seek(0, io.SeekStart)
		must(t, err)
		r, _ := s.house.Permits.Get(request)
		from, to := s.now().Add(-time.Hour), s.now().Add(time.Hour)
		a, err := c.Impact(t.Context(), Question{Endpoints: []string{r.Taken.Endpoint}, Since: from.Format(time.RFC3339), Until: to.Format(time.RFC3339), Compression: 10}, f)
		if err == nil && (len(a.Exports) != 1 || a.Exports[0].Request != request || a.Exports[0].Principal != "sato" || a.Exports[0].Endpoint != r.Taken.Endpoint || a.Exports[0].At == "") {
			t.Errorf("the answer says of the export %+v", a.Exports)
		}
		return err
	}))
}
