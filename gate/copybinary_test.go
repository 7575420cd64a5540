package gate

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"sekisho/catalog"
)

// A binary COPY comes as it would without the gate, byte for byte, and names
// its customers.
func TestBinaryCopyOut(t *testing.T) {
	h := newHouse(t)
	ctx := context.Background()
	direct, err := pgconn.Connect(ctx, fmt.Sprintf("host=%s port=%d user=staff password=upstream dbname=%s", cluster.SocketDir(), cluster.Port(), h.dbname))
	if err != nil {
		t.Fatal(err)
	}
	defer direct.Close(ctx)
	conn := h.connect("sato").PgConn()
	for _, c := range []struct {
		sql   string
		names string
	}{
		{"copy (select name, joined from crm.member where member_no between 1003 and 1005) to stdout (format binary)", "1003 1004 1005"},
		{"copy (select name from crm.member where false) to stdout with binary", ""},
		{"copy (select city, count(*) from crm.member where member_no < 1005 group by city order by city) to stdout (format binary)", "1001 1002 1003 1004"},
		{"copy (select from crm.member where member_no = 1007) to stdout (format binary)", "1007"},
		{"copy (select distinct who from crm.textual where who like 'K-4%' order by who limit 2) to stdout (format binary)", "K-4 K-40 K-41 K-42 K-43 K-44 K-45 K-46 K-47 K-48 K-49"},
		{"copy crm.passport (passport_no) to stdout (format binary)", "all"},
	} {
		var want, got bytes.Buffer
		tag, err := direct.CopyTo(ctx, &want, c.sql)
		if err != nil {
			t.Fatal(err)
		}
		before := len(h.accounts())
		mine, err := conn.CopyTo(ctx, &got, c.sql)
		if err != nil || mine.String() != tag.String() || !bytes.Equal(got.Bytes(), want.Bytes()) {
			t.Errorf("%s: %q %v\n%q, and directly\n%q", c.sql, mine, err, got.Bytes(), want.Bytes())
		}
		var names []string
		for _, a := range h.accounts()[before:] {
			names = append(names, a.keys...)
		}
		slices.Sort(names)
		if c.names == "all" {
			if len(names) != 333 {
				t.Errorf("%s names %d", c.sql, len(names))
			}
		} else if strings.Join(names, " ") != c.names {
			t.Errorf("%s names %v", c.sql, names)
		}
	}
}

func TestBinaryCopyIn(t *testing.T) {
	h := newWritingHouse(t, "create table crm.handed (id uuid primary key, note text)", func(o *options) {
		o.catalog.Tables = append(o.catalog.Tables, catalog.Table{Name: "crm.handed", Subject: "member", Key: "id"})
	})
	conn := h.connect("sato")
	ctx := context.Background()
	n, err := conn.CopyFrom(ctx, pgx.Identifier{"crm", "member"}, []string{"name", "member_no"}, pgx.CopyFromRows([][]any{{"a", int64(6001)}, {nil, int64(6002)}, {strings.Repeat("long", 60000), int64(6003)}}))
	if err != nil || n != 3 {
		t.Fatalf("%d %v", n, err)
	}
	if _, err := conn.CopyFrom(ctx, pgx.Identifier{"crm", "handed"}, []string{"id"}, pgx.CopyFromRows([][]any{{"8c5e1c1e-8f0c-4f1e-9d65-0f4d4a6f2b11"}})); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string]string{
		"no signature": "1\t2\n",
		"cut in a row": string(copySignature) + "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x01x\x00\x00\x00\x08\x00\x00",
		"more behind":  string(copySignature) + "\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x00\x02",
	} {
		if _, err := conn.PgConn().CopyFrom(ctx, strings.NewReader(data), "copy crm.member (name, member_no) from stdin (format binary)"); sqlstate(err) != "0A000" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if out := h.direct("select count(*) from crm.member where member_no > 6000"); out != "3\n" {
		t.Errorf("%s are stored", out)
	}
	h.stop()
	got := h.wrote()
	if want := []string{"insert crm.member: 6001 6002 6003", "insert crm.handed: 8c5e1c1e-8f0c-4f1e-9d65-0f4d4a6f2b11"}; !slices.Equal(got, want) {
		t.Errorf("the ledger says %q", got)
	}
}

// The keys in a binary COPY are the same however its bytes come.
func FuzzCopyTuples(f *testing.F) {
	f.Add([]byte(string(copySignature)+"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x01x\x00\x00\x00\x04\x00\x00\x00\x07\xff\xff"), 3)
	f.Add([]byte(string(copySignature)+"\x00\x00\x00\x00\x00\x00\x00\x02ee\x00\x02\xff\xff\xff\xff\xff\xff\xff\xff"), 1)
	f.Fuzz(func(t *testing.T, data []byte, piece int) {
		piece = 1 + (piece&0xff)%40
		read := func(piece int) (keys []string, failed bool) {
			c := copyTuples{fields: 2, key: 1}
			each := func(field []byte, null bool) error {
				keys = append(keys, fmt.Sprintf("%q %v", field, null))
				return nil
			}
			for b := data; len(b) > 0; {
				n := min(piece, len(b))
				if c.read(b[:n], each) != nil {
					return keys, true
				}
				b = b[n:]
			}
			return keys, c.end(each) != nil
		}
		whole, failed := read(len(data) + 1)
		pieces, failed2 := read(piece)
		if failed != failed2 || !slices.Equal(whole, pieces) {
			t.Errorf("%q: %v %v, and in pieces of %d %v %v", data, whole, failed, piece, pieces, failed2)
		}
		if _, row, err := splitBinary(data, true); err == nil && row != nil {
			if values, ends, err := fieldsOfBinary(row, 2); err == nil && (len(values) != 2 || ends[1] != len(row)) {
				t.Errorf("%q: %q", row, values)
			}
		}
	})
}
