package sensor

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"sekisho"
)

var update = flag.Bool("update", false, "write the golden files anew")

// collect is an emit that keeps everything.
func collect(to *[]sekisho.Body) func([]sekisho.Body) error {
	return func(b []sekisho.Body) error { *to = append(*to, b...); return nil }
}

func readConn(t *testing.T, r io.Reader, opt ConnOptions) ([]sekisho.Body, *Result) {
	t.Helper()
	var got []sekisho.Body
	res, err := ReadConn(context.Background(), r, "test", opt, collect(&got))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(got); n == 0 || *got[n-1].(*sekisho.SensorRead) != res.Read {
		t.Fatalf("the last body is no SensorRead of the result: %v", got)
	}
	check(t, res)
	return got[:len(got)-1], res
}

// check holds a Result to what its comment promises.
func check(t *testing.T, r *Result) {
	t.Helper()
	sum := uint64(0)
	for _, n := range r.Reasons {
		sum += n
	}
	if r.Read.Lines != r.Read.Accepted+r.Read.Rejected || r.Read.Accepted != r.Egress+r.Duplicates+r.Local+r.Foreign+r.Other || sum != r.Read.Rejected {
		t.Fatalf("the counts do not add up: %+v", r)
	}
}

func show(bodies []sekisho.Body) string {
	var b strings.Builder
	for _, x := range bodies {
		e := x.(*sekisho.Egress)
		partial := ""
		if e.Partial {
			partial = " partial"
		}
		fmt.Fprintf(&b, "%s %q %s > %s %s/%d %s..%s out=%d in=%d%s\n", e.Ref, e.Endpoint, e.Source, e.Target, e.Protocol, e.Port, e.Start, e.End, e.Out, e.In, partial)
	}
	return b.String()
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
	}
}

func testBindings(t testing.TB) *Bindings {
	b, err := NewBindings([]Binding{{Address: "10.1.4.17", Endpoint: "pc-0417"}, {Address: "10.1.4.0/24", Endpoint: "call-centre"}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func file(t testing.TB, name string) []byte {
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func zip(b []byte) []byte {
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	w.Write(b)
	w.Close()
	return z.Bytes()
}

// One log in each form that Zeek writes is the same connections.
func TestEveryForm(t *testing.T) {
	opt := ConnOptions{Bindings: testBindings(t)}
	for _, name := range []string{"conn.tsv", "conn.json", "conn-iso.json"} {
		for _, packed := range []bool{false, true} {
			b := file(t, name)
			if packed {
				b = zip(b)
			}
			got, res := readConn(t, bytes.NewReader(b), opt)
			golden(t, "conn.golden", show(got))
			if res.Read.Rejected != 0 || res.Local != 3 || res.Foreign != 1 || res.Unbound != 1 {
				t.Errorf("%s: %+v", name, res)
			}
			if from, until := res.Read.From.String(), res.Read.Until.String(); from != "2014-09-19T04:00:00.000001Z" || until != "2014-09-19T04:01:04.000000Z" {
				t.Errorf("%s: observed from %s until %s", name, from, until)
			}
		}
	}
}

// The archive of a log has the log's SHA-256.
func TestArchiveIsTheLog(t *testing.T) {
	_, a := readConn(t, bytes.NewReader(file(t, "conn.json")), ConnOptions{})
	_, b := readConn(t, bytes.NewReader(zip(file(t, "conn.json"))), ConnOptions{})
	if a.Read != b.Read {
		t.Errorf("%+v and %+v", a.Read, b.Read)
	}
}

func TestBrokenLines(t *testing.T) {
	good := strings.SplitAfter(string(file(t, "conn.json")), "\n")[0]
	with := func(old, new string) string {
		line := strings.Replace(good, old, new, 1)
		if line == good {
			t.Fatalf("%q is not in the sample", old)
		}
		return line
	}
	log := good + // 1
		"{\"ts\":1411099200.0,\"uid\":\n" + // 2
		with("1411099200.000001", "-5") +
		with("1411099200.000001", "\"yesterday\"") +
		with("10.1.4.17", "10.1.4.300") + // 5
		with("\"orig_bytes\":1200000", "\"orig_bytes\":-1") +
		with("\"orig_bytes\":1200000", "\"orig_bytes\":99999999999999999999") +
		with("\"id.resp_p\":443", "\"id.resp_p\":70000") +
		with("CoutA1", "") +
		with("CoutA1", strings.Repeat("C", 100)) + // 10
		with("\"duration\":12.5", "\"duration\":\"long\"") +
		with("\"missed_bytes\":0", "\"missed_bytes\":[0]") +
		"1411099200.0\tCtab\t10.1.4.17\t1\t203.0.113.66\t443\n" +
		"\x00\x00\x00\x00\n" +
		"{\"uid\":\"" + strings.Repeat("x", 2<<20) + "\"}\n" + // 15
		"\n\r\n" +
		"{\"_path\":\"dns\",\"ts\":1411099200.0}\n" +
		"{\"ts\":1411099200.0,\"uid\":\"Cdns\",\"id.orig_h\":\"10.0.0.1\",\"id.resp_h\":\"8.8.8.8\",\"query\":\"example.com\"}\n" + // 19
		strings.TrimSuffix(with("CoutA1", "CoutA2"), "\n")
	got, res := readConn(t, strings.NewReader(log), ConnOptions{})
	var b strings.Builder
	fmt.Fprintf(&b, "%s%d lines, %d accepted, %d rejected\n", show(got), res.Read.Lines, res.Read.Accepted, res.Read.Rejected)
	for _, s := range res.Samples {
		fmt.Fprintf(&b, "line %d: %s\n", s.Number, s.Reason)
	}
	golden(t, "broken.golden", b.String())
}

// However the bytes arrive, the result is the same.
func TestSplits(t *testing.T) {
	for _, name := range []string{"conn.tsv", "conn.json"} {
		b := file(t, name)
		want, _ := readConn(t, bytes.NewReader(b), ConnOptions{})
		got, _ := readConn(t, iotest.OneByteReader(bytes.NewReader(b)), ConnOptions{})
		if show(got) != show(want) {
			t.Errorf("%s: byte by byte gives another result", name)
		}
		for i := range b {
			got, _ := readConn(t, io.MultiReader(bytes.NewReader(b[:i]), bytes.NewReader(b[i:])), ConnOptions{})
			if len(got) != len(want) {
				t.Fatalf("%s cut at %d gives %d connections, want %d", name, i, len(got), len(want))
			}
		}
	}
}

func TestNotAConnLog(t *testing.T) {
	for name, b := range map[string]string{
		"a dns log": "{\"_path\":\"dns\",\"ts\":1.5}\n", "a poem": "furuike ya\nkawazu tobikomu\n",
		"a tsv of another kind": "#path\tdns\n#fields\tts\tuid\n1.5\tC1\n",
	} {
		var got []sekisho.Body
		if _, err := ReadConn(context.Background(), strings.NewReader(b), name, ConnOptions{}, collect(&got)); !errors.Is(err, ErrNotConn) || len(got) != 0 {
			t.Errorf("%s: %v, and %d bodies", name, err, len(got))
		}
	}
	if _, res := readConn(t, strings.NewReader(""), ConnOptions{}); res.Read.Lines != 0 {
		t.Errorf("an empty log: %+v", res)
	}
}

func TestBrokenArchive(t *testing.T) {
	var log bytes.Buffer
	for i := range 20000 {
		fmt.Fprintf(&log, "{\"ts\":%d.5,\"uid\":\"C%d\",\"id.orig_h\":\"10.0.0.1\",\"id.resp_h\":\"203.0.113.66\",\"orig_bytes\":%d}\n", 1411099200+i, i*7919, i)
	}
	z := zip(log.Bytes())
	got, res := readConn(t, bytes.NewReader(z[:len(z)/2]), ConnOptions{})
	if !res.Truncated || res.Read.Rejected == 0 || len(got) < 5000 {
		t.Errorf("half an archive gives %d connections: %+v", len(got), res)
	}
	z[len(z)/2] ^= 0x10
	if _, res := readConn(t, bytes.NewReader(z), ConnOptions{}); !res.Truncated {
		t.Errorf("a flipped bit in an archive was not seen: %+v", res)
	}
}

func TestErrorsEndTheReading(t *testing.T) {
	broken := errors.New("broken")
	log := file(t, "conn.json")
	if _, err := ReadConn(context.Background(), io.MultiReader(bytes.NewReader(log), iotest.ErrReader(broken)), "x", ConnOptions{}, collect(new([]sekisho.Body))); !errors.Is(err, broken) {
		t.Errorf("a failed read gives %v", err)
	}
	if _, err := ReadConn(context.Background(), bytes.NewReader(log), "x", ConnOptions{}, func([]sekisho.Body) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("a failed append gives %v", err)
	}
}

// seenBefore is what a ledger of these bodies leaves to be seen.
func seenBefore(bodies []sekisho.Body) *Seen {
	s := NewSeen(0)
	for i, b := range bodies {
		s.Apply(&sekisho.Entry{ID: sekisho.ID{Gate: 1, Epoch: 1, Seq: uint64(i + 1)}, Time: 1, Body: b})
	}
	return s
}

func TestTwice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "conn.log")
	if err := os.WriteFile(path, file(t, "conn.json"), 0o600); err != nil {
		t.Fatal(err)
	}
	var book []sekisho.Body
	seen := func() *Seen { return seenBefore(book) }
	// The process dies after two of the connections were durable.
	all, _ := readConn(t, bytes.NewReader(file(t, "conn.json")), ConnOptions{})
	book = slices.Clone(all[:2])
	res, err := ImportConn(context.Background(), path, ConnOptions{Seen: seen()}, collect(&book))
	if err != nil || res.Duplicates != 2 || int(res.Egress) != len(all)-2 {
		t.Fatalf("the second try gives %+v, %v", res, err)
	}
	// The whole file again, under another name and packed.
	before := len(book)
	if err := os.WriteFile(path, zip(file(t, "conn.json")), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = ImportConn(context.Background(), path, ConnOptions{Sensor: "other", Seen: seen()}, collect(&book))
	if !errors.Is(err, ErrAlreadyRead) || len(book) != before {
		t.Fatalf("the third try gives %v and %d more entries", err, len(book)-before)
	}
	// The same connections in the other form: nothing new but the SensorRead.
	got, res := readConn(t, bytes.NewReader(file(t, "conn.tsv")), ConnOptions{Seen: seen()})
	if len(got) != 0 || int(res.Duplicates) != len(all) {
		t.Fatalf("the other form gives %+v", res)
	}
	// A longer record of the same connection is not the same.
	longer := bytes.Replace(file(t, "conn.json"), []byte(":1200000"), []byte(":1300000"), 1)
	if got, _ := readConn(t, bytes.NewReader(longer), ConnOptions{Seen: seen()}); len(got) != 1 {
		t.Fatalf("a longer record gives %d connections", len(got))
	}
}

func TestBindings(t *testing.T) {
	day := func(d, h int) sekisho.Time { return sekisho.Time((d*24 + h) * 3600 * 1e6) }
	b, err := NewBindings([]Binding{
		{Address: "10.1.4.0/24", Endpoint: "floor-4"},
		{Address: "10.1.4.17", Endpoint: "pc-0417", Until: day(100, 0).Go()},
		{Address: "10.1.4.17", Endpoint: "pc-0533", Since: day(100, 0).Go()},
		{Address: "10.1.5.1", Endpoint: "jump"},
	})
	if err != nil {
		t.Fatal(err)
	}
	session := func(at sekisho.Time, addr, endpoint string, verified bool) {
		b.Apply(&sekisho.Entry{Time: at, Body: &sekisho.SessionOpened{Address: netip.MustParseAddr(addr), Endpoint: endpoint, Verified: verified}})
	}
	session(day(10, 9), "10.2.0.1", "pc-1", true)
	session(day(10, 17), "10.2.0.1", "pc-1", true)
	session(day(11, 9), "10.2.0.1", "pc-2", true)
	session(day(20, 9), "10.2.0.1", "pc-1", true)
	session(day(10, 9), "10.2.0.2", "unverified@10.2.0.2", false)
	session(day(10, 9), "10.1.4.9", "liar", true)
	for _, x := range []struct {
		addr string
		at   sekisho.Time
		want string
	}{
		{"10.1.4.17", day(99, 23), "pc-0417"},
		{"10.1.4.17", day(100, 0), "pc-0533"},
		{"10.1.4.9", day(10, 9), "floor-4"}, // the config is over a session
		{"10.1.5.1", day(1, 0), "jump"},
		{"::ffff:10.1.5.1", day(1, 0), "jump"}, // as a log may have it
		{"10.2.0.1", day(9, 8), ""},
		{"10.2.0.1", day(9, 10), "pc-1"}, // the first session is less than a day away
		{"10.2.0.1", day(10, 12), "pc-1"},
		{"10.2.0.1", day(10, 20), "pc-1"},
		{"10.2.0.1", day(11, 8), "pc-2"}, // nearer to the next than to the last
		{"10.2.0.1", day(12, 9), "pc-2"},
		{"10.2.0.1", day(12, 10), ""},
		{"10.2.0.1", day(19, 12), "pc-1"},
		{"10.2.0.2", day(10, 9), ""},
	} {
		if got := b.Endpoint(netip.MustParseAddr(x.addr), x.at); got != x.want {
			t.Errorf("%s at %s is %q, want %q", x.addr, x.at, got, x.want)
		}
	}
	for _, bad := range []Binding{{Address: "10.1.4", Endpoint: "x"}, {Address: "10.1.4.17/24", Endpoint: "x"}, {Address: "::ffff:10.1.5.1", Endpoint: "x"}, {Address: "fe80::1%eth0", Endpoint: "x"}, {Address: "10.1.4.1"}, {Address: "10.1.4.1", Endpoint: "x", Since: day(2, 0).Go(), Until: day(1, 0).Go()}} {
		if _, err := NewBindings([]Binding{bad}); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
}

func TestTimes(t *testing.T) {
	for s, want := range map[string]string{
		"1411099200.000001": "2014-09-19T04:00:00.000001Z", "1411099200": "2014-09-19T04:00:00.000000Z",
		"1411099200.123456789": "2014-09-19T04:00:00.123456Z", "1.4110992005e9": "2014-09-19T04:00:00.500000Z",
		"1411099200500": "2014-09-19T04:00:00.500000Z", "2014-09-19T13:00:00.5+09:00": "2014-09-19T04:00:00.500000Z",
		"": "", "-1": "", "0": "", "1.": "1970-01-01T00:00:01.000000Z", "1.2.3": "", "1e300": "", "NaN": "", "1960-01-01T00:00:00Z": "", "99999999999999999999": "", "+1": "",
	} {
		got, ok := parseTime(s)
		if ok != (want != "") || ok && got.String() != want {
			t.Errorf("%q is %s, %v", s, got, ok)
		}
	}
}

// samples is a directory of logs from real sensors.
func samples(t testing.TB) string {
	dir := os.Getenv("SEKISHO_SAMPLE_DATA")
	if dir == "" {
		t.Skip("SEKISHO_SAMPLE_DATA names no directory of sample logs")
	}
	return dir
}

func TestRealLogs(t *testing.T) {
	conns := 0
	filepath.WalkDir(samples(t), func(path string, d os.DirEntry, err error) error {
		base := filepath.Base(path)
		if err != nil || d.IsDir() || !strings.Contains(strings.ToLower(path), "zeek") || !strings.Contains(base, ".log") && !strings.Contains(base, ".json") {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		var got []sekisho.Body
		res, err := ReadConn(context.Background(), f, base, ConnOptions{}, collect(&got))
		check(t, res)
		if strings.HasPrefix(base, "conn.") {
			conns++
			t.Logf("%s: %+v", base, res)
			if err != nil || res.Read.Rejected > 0 || res.Egress == 0 {
				t.Errorf("%s: %v, %+v", base, err, res)
			}
		} else if !errors.Is(err, ErrNotConn) {
			t.Errorf("%s was taken for a conn.log: %+v", base, res)
		}
		return nil
	})
	if conns == 0 {
		t.Skip("no conn.log among the sample logs")
	}
}

func FuzzConn(f *testing.F) {
	for _, name := range []string{"conn.tsv", "conn.json", "conn-iso.json"} {
		b := file(f, name)
		f.Add(b, uint16(len(b)/2))
		f.Add(zip(b), uint16(20))
	}
	f.Fuzz(func(t *testing.T, b []byte, at uint16) {
		var whole, parts []sekisho.Body
		res, err := ReadConn(context.Background(), bytes.NewReader(b), "x", ConnOptions{}, collect(&whole))
		check(t, res)
		i := min(int(at), len(b))
		res2, err2 := ReadConn(context.Background(), io.MultiReader(bytes.NewReader(b[:i]), iotest.OneByteReader(bytes.NewReader(b[i:]))), "x", ConnOptions{}, collect(&parts))
		if res.Read != res2.Read || (err == nil) != (err2 == nil) || len(whole) != len(parts) {
			t.Fatalf("cut at %d: %+v, %v; whole: %+v, %v", i, res2, err2, res, err)
		}
		for _, x := range whole {
			e := sekisho.Entry{Body: x}
			if _, err := sekisho.Decode(e.AppendEncode(nil)); err != nil {
				t.Fatalf("the ledger cannot hold %+v: %v", x, err)
			}
		}
	})
}

func BenchmarkReadConn(b *testing.B) {
	for _, name := range []string{"conn.json", "conn.tsv"} {
		b.Run(name, func(b *testing.B) {
			log := bytes.Repeat(file(b, name), 2000)
			lines := 0
			b.SetBytes(int64(len(log)))
			for b.Loop() {
				res, err := ReadConn(context.Background(), bytes.NewReader(log), name, ConnOptions{Bindings: testBindings(b)}, func([]sekisho.Body) error { return nil })
				if err != nil {
					b.Fatal(err)
				}
				lines += int(res.Read.Lines)
			}
			b.ReportMetric(float64(lines)/b.Elapsed().Seconds(), "lines/s")
		})
	}
}
