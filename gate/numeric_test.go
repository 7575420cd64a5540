package gate

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"sekisho/catalog"
)

// clients have numbers for keys, each table in its own way: the third and its rows
// are 3.0, 3.00 and 3.
const clients = `
create table crm.client (no numeric primary key, name text, email text);
insert into crm.client select case when i % 3 = 0 then i + 0.0 else i end, 'client '||i, 'c'||i||'@example.jp' from generate_series(1, 60) i;
insert into crm.client values (123456789012345678901234567890, 'long', 'long@example.jp'), (-4, 'minus', 'minus@example.jp'), (10.50, 'half', 'half@example.jp');
create table crm.bill (no numeric(20,2), amount numeric, email text);
insert into crm.bill select i, i * 100, 'b'||i||'@example.jp' from generate_series(1, 60) i;
create table crm.ticket (no bigint, note text);
insert into crm.ticket select i, 'ticket '||i from generate_series(1, 60) i;
create table crm.rounded (no numeric(5,0) primary key, note text);
create materialized view crm.bills as select c.no, c.name, b.amount from crm.client c join crm.bill b on b.no = c.no;
grant select on all tables in schema crm to reader, staff;
`

func listedClients(o *options) {
	o.catalog.Subjects = append(o.catalog.Subjects, catalog.Subject{Name: "client", Table: "crm.client", Key: "no"})
	for _, name := range []string{"crm.client", "crm.bill", "crm.ticket", "crm.rounded"} {
		o.catalog.Tables = append(o.catalog.Tables, catalog.Table{Name: name, Subject: "client", Key: "no"})
	}
}

// Whoever has a number for a key is one person, with as many zeros behind the point
// as a table may show, in text and in binary, and where the key is an integer.
func TestKeysThatAreNumbers(t *testing.T) {
	h := newWritingHouse(t, clients, listedClients)
	h.asOwner("grant temporary on database " + h.dbname + " to staff; insert into crm.rounded values (3, 'r'), (9, 'r')")
	for i, mode := range bothWays {
		conn := h.connect("sato")
		for _, c := range []struct {
			sql, tag string
			tells    []string
		}{
			{"select name from crm.client where no = 3", "SELECT 1", []string{"read crm.client: 3"}},
			{"select no, amount from crm.bill where no = 3", "SELECT 1", []string{"read crm.bill: 3"}},
			{"select note from crm.ticket where no = 3", "SELECT 1", []string{"read crm.ticket: 3"}},
			{"select name from crm.client where no > 1000 or no in (-4, 10.5)", "SELECT 3", []string{"read crm.client: 123456789012345678901234567890 -4 10.5"}},
			{"select count(*) from crm.client where name like 'client 3%'", "SELECT 1", []string{"read contributed crm.client: 3 30 31 32 33 34 35 36 37 38 39"}},
			{"select c.name, b.amount from crm.client c join crm.bill b using (no) where c.no = 6", "SELECT 1", []string{"read crm.bill,crm.client: 6 6"}},
			{"select sum(b.amount) from crm.bill b join crm.client c on c.no = b.no join crm.ticket t on t.no = c.no where t.note like 'ticket 3_' and c.no = 33", "SELECT 1", []string{"read contributed crm.bill,crm.client,crm.ticket: 33"}},
			{"select max(t.note) from crm.ticket t where t.no in (select no from crm.client where email = 'c9@example.jp')", "SELECT 1", []string{"read contributed crm.client,crm.ticket: 9"}},
			{"select name from crm.bills where no = 12", "SELECT 1", []string{"read crm.bill,crm.client: 12"}},
			{"create temp table held as select no, name from crm.client where no = 3", "SELECT 1", []string{"read crm.client: 3", "read crm.client: 3"}},
			{"select h.name, t.note from held h, crm.ticket t where t.no = h.no", "SELECT 1", []string{"read crm.client,crm.ticket: 3 3"}},
			{"select count(*) from held h join crm.ticket t on t.no = h.no", "SELECT 1", []string{"read contributed crm.client,crm.ticket: 3"}},
			{"drop table held", "DROP TABLE", nil},

			{fmt.Sprintf("insert into crm.client (no, name) values (%d.0, 'new')", 100+i), "INSERT 0 1", []string{fmt.Sprintf("insert crm.client: %d", 100+i)}},
			{fmt.Sprintf("insert into crm.client as c (no, name) values (%d, 'newer') on conflict (no) do update set name = excluded.name", 100+i), "INSERT 0 1", []string{fmt.Sprintf("insert crm.client: %d", 100+i)}},
			{"update crm.bill set amount = 0 where no = 3", "UPDATE 1", []string{"update crm.bill: 3"}},
			{"update crm.client set no = 7.00 where no = 7", "UPDATE 1", []string{"update crm.client: 7 7"}},
			{"insert into crm.rounded values (41.4, 'x')", "INSERT 0 1", []string{"insert crm.rounded: 41"}},
			{"delete from crm.rounded where no = 41", "DELETE 1", []string{"delete crm.rounded: 41"}},
		} {
			if got := h.tells(t, conn, mode, c.sql, c.tag); !slices.Equal(sorted(got), sorted(c.tells)) {
				t.Errorf("%v %s tells\n  %s\nand not\n  %s", mode, c.sql, strings.Join(got, "\n  "), strings.Join(c.tells, "\n  "))
			}
		}
		conn.Close(context.Background())
	}
}

// sorted are accesses with their keys in one order, whatever the plan was.
func sorted(accesses []string) (out []string) {
	for _, a := range accesses {
		what, keys, _ := strings.Cut(a, ": ")
		list := strings.Fields(keys)
		slices.Sort(list)
		out = append(out, what+": "+strings.Join(list, " "))
	}
	return out
}

// COPY brings the lines before the server has read them: a number that it would
// round, or reads otherwise than it looks, is not taken.
func TestCopyOfKeysThatAreNumbers(t *testing.T) {
	h := newWritingHouse(t, clients, listedClients)
	conn := h.connect("sato")
	ctx := context.Background()
	numeric := func(text string) (n pgtype.Numeric) {
		t.Helper()
		if err := n.Scan(text); err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := len(h.wrote())
	if _, err := conn.PgConn().CopyFrom(ctx, strings.NewReader("201\ta\n 202 \tb\n123456789012345678901\tc\n-7\td\n"), "copy crm.client (no, name) from stdin"); err != nil {
		t.Error(err)
	}
	if _, err := conn.CopyFrom(ctx, pgx.Identifier{"crm", "client"}, []string{"no", "name"}, pgx.CopyFromRows([][]any{
		{numeric("203"), "a"}, {numeric("20000"), "b"}, {numeric("100010000"), "c"}, {numeric("-8"), "d"}, {numeric("999999999999999999999"), "e"}})); err != nil {
		t.Error(err)
	}
	want := []string{"insert crm.client: 201 202 123456789012345678901 -7", "insert crm.client: 203 20000 100010000 -8 999999999999999999999"}
	if got := h.wrote()[before:]; !slices.Equal(got, want) {
		t.Errorf("the lines tell %q", got)
	}
	for _, line := range []string{"41.4", "42.0", "1e3", "+43", "044", "4_5", "0x2E", "", "NaN", ".5"} {
		if _, err := conn.PgConn().CopyFrom(ctx, strings.NewReader(line+"\tx\n"), "copy crm.rounded from stdin"); err == nil {
			t.Errorf("a line with %q is stored", line)
		}
	}
	for _, number := range []string{"41.4", "0.5"} {
		if _, err := conn.CopyFrom(ctx, pgx.Identifier{"crm", "rounded"}, []string{"no", "note"}, pgx.CopyFromRows([][]any{{numeric(number), "x"}})); err == nil {
			t.Errorf("%s is stored from binary", number)
		}
	}
	if got := h.direct("select count(*) from crm.rounded"); got != "0\n" {
		t.Errorf("there are %s", got)
	}
}

// An export's decoys have numbers of their own, however the answer shows them.
func TestDecoysWithKeysThatAreNumbers(t *testing.T) {
	var h *house
	h = newHouse(t, askAbove(10, &h), mailboxes, listedClients, func(o *options) {
		if _, err := cluster.SQL(context.Background(), o.gate.Upstream.Database, clients); err != nil {
			t.Fatal(err)
		}
	})
	for i, c := range []struct{ name, before, after string }{
		{"simple", "Q %s", ""},
		{"copy", "Q copy (%s) to stdout", ""},
		{"copy as csv", "Q copy (%s) to stdout (format csv, header)", ""},
		{"binary", "P a %s\nB \"\" a - 1\nE \"\" 0\nS", ""},
		{"copy in binary", "Q copy (%s) to stdout (format binary)", ""},
	} {
		script := fmt.Sprintf(c.before, fmt.Sprintf("select no, amount, email from crm.bill where amount <> %d", i))
		request := h.approveWithDecoys(reference(t, h.raw("sato").run(script)), 200, 2)
		got := h.raw("sato").run(script)
		placed := h.decoys(request)
		if len(placed) != 2 {
			t.Errorf("%s: the ledger has placed %v:\n%.300s", c.name, placed, got)
		}
		for _, d := range placed {
			shown := d[0]
			if strings.Contains(c.name, "binary") {
				shown = strings.Trim(fmt.Sprintf("%q", appendNumeric(nil, []byte(d[0]))), `"`)
			}
			if strings.Count(got, shown) != 1 || strings.Count(got, d[1]) != 1 {
				t.Errorf("%s: %v is not once in the answer", c.name, d)
			}
		}
	}
}

// What the server sends of a numeric in binary means what it shows.
func TestNumericsInBinary(t *testing.T) {
	rows, err := cluster.SQL(context.Background(), "postgres", `
		select encode(numeric_send(n), 'hex') || ' ' || trim_scale(n)::text from (
			select 'NaN'::numeric n
			union all select (sign || whole || fraction)::numeric
			from (values (''), ('-')) s (sign), (values ('0'), ('1'), ('9999'), ('10000'), ('10001'), ('100000000'), ('120034005600'), ('99999999999999999999999999'), ('1'||repeat('0', 80))) w (whole),
				(values (''), ('.0'), ('.000000'), ('.5'), ('.00001'), ('.12345678901'), ('.1000'), ('.00000000000001')) f (fraction)) x`)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Fields(rows)
	if len(lines) < 2*100 {
		t.Fatalf("%d fields", len(lines))
	}
	for i := 0; i < len(lines); i += 2 {
		b, err := hex.DecodeString(lines[i])
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := numericText(b); !ok || string(got) != lines[i+1] {
			t.Errorf("%s is %q, %t, and not %s", lines[i], got, ok, lines[i+1])
		}
	}
}

func FuzzNumericText(f *testing.F) {
	f.Add([]byte("\x00\x01\x00\x00\x00\x00\x00\x00\x04\x12"))
	f.Add([]byte("\x00\x00\x00\x00\xC0\x00\x00\x00"))
	f.Add([]byte("\x00\x02\xff\xff\x40\x00\x00\x05\x00\x01\x03\xe8"))
	f.Fuzz(func(t *testing.T, v []byte) {
		text, ok := numericText(v)
		if !ok || text[0] == '-' || !plainInteger(text) {
			return
		}
		if again, ok := numericText(appendNumeric(nil, text)); !ok || !bytes.Equal(again, text) {
			t.Errorf("%x is %s, and that again %s", v, text, again)
		}
	})
}
