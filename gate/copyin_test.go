package gate

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sekisho"
)

func TestCopyFromNamesItsLines(t *testing.T) {
	h := newWritingHouse(t, "")
	file := filepath.Join(t.TempDir(), "new.csv")
	os.WriteFile(file, []byte("name,no\n\"a,\nb\",6001\nc,\"6002\"\n"), 0o600)
	if out := h.psql("sato", "\\copy crm.member (name, member_no) from '"+file+"' with (format csv, header)\n"); out != "" {
		t.Errorf("psql printed %q", out)
	}
	conn := h.connect("sato")
	ctx := context.Background()
	copyFrom := func(sql, data string) error {
		_, err := conn.PgConn().CopyFrom(ctx, strings.NewReader(data), sql)
		return err
	}
	if err := copyFrom("copy crm.member from stdin", "6003\tx\t\\N\t\\N\t2020-01-01\n6004\ty\\\\\t\\N\t\\N\t\\N\n\\.\n"); err != nil {
		t.Error(err)
	}
	if err := copyFrom("copy crm.textual (note, who) from stdin", "n\tK-99\n"); err != nil {
		t.Error(err)
	}
	for sql, data := range map[string]string{
		"copy crm.member (member_no) from stdin":                 "6005\n0x1777\n", // which a server may read as a number
		"copy crm.member (member_no, name) from stdin":           "6006\tx\n\\.\n6007\ty\n",
		"copy crm.member (name) from stdin":                      "x\n",
		"copy crm.member (member_no) from stdin (format binary)": "PGCOPY",
		"copy crm.textual (who) from stdin":                      "K-100 \n",
	} {
		if err := copyFrom(sql, data); sqlstate(err) != "0A000" {
			t.Errorf("%s: %v", sql, err)
		}
	}
	if err := copyFrom("copy crm.member (member_no) from stdin", "6008\n1001\n"); sqlstate(err) != "23505" {
		t.Errorf("a line whose key is there: %v", err)
	}
	if out := h.direct("select string_agg(member_no::text, ' ' order by member_no) from crm.member where member_no > 6000; select name from crm.member where member_no = 6001"); out != "6001 6002 6003 6004\na,\nb\n" {
		t.Errorf("the database holds %q", out)
	}
	if err := copyFrom("copy crm.airport from stdin", "KIX\tKansai\n"); err != nil {
		t.Errorf("what is about nobody: %v", err)
	}
	h.stop()
	var got []string
	for _, a := range h.accounts() {
		if a.verb == sekisho.Insert {
			got = append(got, a.tables+" "+strings.Join(a.keys, " "))
		}
	}
	for _, want := range []string{"crm.member 6001 6002", "crm.member 6003 6004", "crm.textual K-99", "crm.member 6008 1001"} {
		if !slices.Contains(got, want) {
			t.Errorf("no entry says %q: %q", want, got)
		}
	}
}

// Whatever the server takes out of lines, the gate has read too. The lines are
// random, of the characters that mean something.
func TestCopiedKeysAreTheServers(t *testing.T) {
	h := newWritingHouse(t, "create table crm.pairs (a text, who text)", func(o *options) {
		o.catalog.Tables = append(o.catalog.Tables, oddTable)
		o.catalog.Tables[len(o.catalog.Tables)-1].Name = "crm.pairs"
	})
	conn := h.connect("sato")
	ctx := context.Background()
	r := rand.New(rand.NewPCG(3, 3))
	alphabets := map[string][]string{"text": {"a", "b", "c", "d", "é", "\\t", "\\\n", "\\\\", "N", "\\N", ".", "\\.", "\r", "x", "1"}, "csv": {"a", "b", "c", "é", "\"\n\"", "\",\"", "\"", "\"\"", "\\", ".", " ", "\"\r\""}}
	taken := 0
	for i := range 500 {
		format := []string{"text", "csv"}[i%2]
		var b strings.Builder
		for range 1 + r.IntN(3) {
			sep := map[string]string{"text": "\t", "csv": ","}[format]
			for range r.IntN(4) {
				b.WriteString(alphabets[format][r.IntN(len(alphabets[format]))])
			}
			b.WriteString(sep)
			for range 1 + r.IntN(4) {
				b.WriteString(alphabets[format][r.IntN(len(alphabets[format]))])
			}
			b.WriteString("\n")
		}
		before := len(h.entries())
		_, err := conn.PgConn().CopyFrom(ctx, strings.NewReader(b.String()), fmt.Sprintf("copy crm.pairs (a, who) from stdin (format %s)", format))
		if err != nil {
			continue
		}
		taken++
		out, err := cluster.SQL(ctx, h.dbname, "select encode(convert_to(who, 'UTF8'), 'hex') from crm.pairs where who is not null; delete from crm.pairs")
		if err != nil {
			t.Fatal(err)
		}
		named := map[string]bool{}
		for _, e := range h.entries()[before:] {
			if a, ok := e.Body.(*sekisho.Access); ok {
				for _, o := range a.Subjects {
					k, _ := h.vault.Space("holder").Key(o)
					named[fmt.Sprintf("%x", k)] = true
				}
			}
		}
		for _, hex := range strings.Fields(out) {
			if !named[hex] {
				t.Errorf("%s %q: the server stored %s, the gate read %v", format, b.String(), hex, named)
			}
		}
	}
	t.Logf("%d of 500 were taken", taken)
	if taken < 100 {
		t.Errorf("only %d were taken", taken)
	}
}
