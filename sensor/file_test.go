package sensor

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf16"

	"golang.org/x/text/encoding/japanese"

	"sekisho/disk"
	"sekisho/vault"
)

// The members of these tests are as hard to tell apart as real ones: numbers in
// a row, addresses one digit apart, families with one telephone and
// neighbouring numbers, and many namesakes.

type member struct{ key, name, email, phone, birth string }

func members(n int) []member {
	surnames := strings.Fields("佐藤 鈴木 高橋 田中 伊藤 渡辺 山本 中村 小林 加藤 吉田 山田 佐々木 山口 松本 井上 木村 林 斎藤 清水 﨑山 髙木")
	given := strings.Fields("蓮 陽葵 湊 凛 樹 紬 大翔 結菜 悠真 葵 朝陽 芽依 太郎 花子 一郎 美咲 さくら ソフィー 健太 直子")
	rnd := rand.New(rand.NewPCG(3, 4))
	all := make([]member, n)
	for i := range all {
		all[i] = member{
			key:   fmt.Sprint(100000001 + i),
			name:  surnames[i/3%len(surnames)] + " " + given[rnd.IntN(len(given))],
			email: fmt.Sprintf("member%d@example.jp", 10000+i),
			phone: fmt.Sprintf("090-%04d-%04d", i/3/10000, i/3%10000), // a family of three
			birth: fmt.Sprintf("%d-%02d-%02d", 1940+rnd.IntN(70), 1+rnd.IntN(12), 1+rnd.IntN(28)),
		}
	}
	return all
}

// town is a real vault that holds the members.
func town(t testing.TB, all []member) (*vault.Roster, *vault.Space) {
	t.Helper()
	v, err := vault.Open(vault.Config{Dir: t.TempDir(), FS: disk.OS{}, Key: [32]byte{1}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.Close() })
	if err := v.Reconcile(nil); err != nil {
		t.Fatal(err)
	}
	_, err = v.WriteRoster("member", vault.RosterSchema{Match: []string{"name_kanji", "email", "phone", "birth_date"}},
		func(yield func(vault.RosterRow, error) bool) {
			for _, m := range all {
				if !yield(vault.RosterRow{Key: m.key, Match: []string{m.name, m.email, m.phone, m.birth}}, nil) {
					return
				}
			}
		}, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := v.Roster("member")
	if err != nil {
		t.Fatal(err)
	}
	return r, v.Space("member")
}

func csvOf(rows []member, header string) string {
	var b strings.Builder
	b.WriteString(header)
	for _, m := range rows {
		fmt.Fprintf(&b, "%s,%s,\"%s\",%s,%s\r\n", m.key, m.name, m.email, m.phone, m.birth)
	}
	return b.String()
}

const japaneseHeader = "会員番号,氏名,メールアドレス,電話番号,生年月日\r\n"

func encodeAs(t testing.TB, name, s string) []byte {
	t.Helper()
	var b string
	var err error
	switch name {
	case utf_8:
		return []byte(s)
	case "utf-8 with a mark":
		return []byte("\ufeff" + s)
	case shiftJIS:
		b, err = japanese.ShiftJIS.NewEncoder().String(s)
	case eucJP:
		b, err = japanese.EUCJP.NewEncoder().String(s)
	case iso2022JP:
		// The codes of JIS X 0208 only; the encoder closes each line in ASCII.
		for line := range strings.Lines(strings.NewReplacer("﨑", "崎", "髙", "高").Replace(s)) {
			l, e := japanese.ISO2022JP.NewEncoder().String(line)
			b, err = b+l, errors.Join(err, e)
		}
	case utf16LE, utf16BE:
		var order binary.ByteOrder = binary.LittleEndian
		if name == utf16BE {
			order = binary.BigEndian
		}
		out := order.(binary.AppendByteOrder).AppendUint16(nil, 0xfeff)
		for _, u := range utf16.Encode([]rune(s)) {
			out = order.(binary.AppendByteOrder).AppendUint16(out, u)
		}
		return out
	}
	if err != nil {
		t.Fatal(err)
	}
	return []byte(b)
}

var allEncodings = []string{utf_8, "utf-8 with a mark", shiftJIS, eucJP, iso2022JP, utf16LE, utf16BE}

// found gives the keys of the customers that a file was found to hold.
func found(t testing.TB, file []byte, opt FileOptions, roster *vault.Roster, space *vault.Space) (map[string]bool, *FileReport) {
	t.Helper()
	b, rep, err := MatchFile(context.Background(), bytes.NewReader(file), opt, roster, space)
	if err != nil {
		t.Fatal(err)
	}
	damaged := uint64(0)
	for _, n := range rep.Damaged {
		damaged += n
	}
	if rep.Rows != rep.Matched+damaged || b.Rows != rep.Rows || b.Damaged != damaged || len(b.Subjects) != rep.People ||
		rep.Matched != rep.ByKey+rep.ByFields+rep.ByEMail+rep.ByKeyOnly || !slices.IsSorted(b.Subjects) || b.SHA256 != sha256.Sum256(file) || rep.Bytes != int64(len(file)) {
		t.Fatalf("the counts do not add up: %+v, %d subjects", rep, len(b.Subjects))
	}
	keys := map[string]bool{}
	for _, o := range b.Subjects {
		k, ok := space.Key(o)
		if !ok {
			t.Fatalf("ordinal %d is nobody", o)
		}
		keys[k] = true
	}
	return keys, rep
}

// some picks members, so that most neighbours of a picked one are not picked.
func some(all []member, n int, rnd *rand.Rand) (rows []member, truth map[string]bool) {
	truth = map[string]bool{}
	for _, i := range rnd.Perm(len(all))[:n] {
		rows = append(rows, all[i])
		truth[all[i].key] = true
	}
	return rows, truth
}

func TestWholeFiles(t *testing.T) {
	all := members(3000)
	roster, space := town(t, all)
	rows, truth := some(all, 300, rand.New(rand.NewPCG(1, 1)))
	for _, enc := range allEncodings {
		for _, header := range []string{japaneseHeader, "", "Member_No,Name,E-Mail,Tel.,Date of Birth\r\n", "kaiin,shimei,meru,denwa,seinen\r\n"} {
			keys, rep := found(t, encodeAs(t, enc, csvOf(rows, header)), FileOptions{}, roster, space)
			want := strings.TrimSuffix(enc, " with a mark")
			if len(keys) != len(truth) || rep.Matched != 300 || rep.Rows != 300 || rep.Encoding != want || rep.Header != (header != "") || rep.Delimiter != "," {
				t.Errorf("%s under the header %q: %d found, %+v", enc, header, len(keys), rep)
			}
		}
	}
}

func TestDelimiters(t *testing.T) {
	all := members(300)
	roster, space := town(t, all)
	for _, d := range []string{",", "\t", ";", "|"} {
		text := strings.ReplaceAll(csvOf(all[:50], japaneseHeader), ",", d)
		if keys, rep := found(t, []byte(text), FileOptions{}, roster, space); len(keys) != 50 || rep.Delimiter != d {
			t.Errorf("%q: %d found, %+v", d, len(keys), rep)
		}
	}
}

// What a row needs to be somebody's.
func TestRule(t *testing.T) {
	all := members(3000)
	roster, space := town(t, all)
	a, b, family := all[30], all[2000], all[31]
	if a.phone != family.phone {
		t.Fatal("not one family")
	}
	row := func(m member) string { return strings.Join([]string{m.key, m.name, m.email, m.phone, m.birth}, ",") }
	for _, x := range []struct{ what, row, want string }{
		{"whole", row(a), a.key},
		{"the key and one field", a.key + ",," + a.email + ",,", a.key},
		{"the key and a field in another script form", a.key + ",,ＭＥＭＢＥＲ10030＠example.jp,,", a.key},
		{"the key and a changed address", strings.Replace(row(a), a.email, "new@example.com", 1), a.key},
		{"the key and the address, all else damaged", a.key + ",x," + a.email + ",y,z", reasonConflict},
		{"the key alone", a.key + ",,,,", reasonKeyAlone},
		{"the key, and nothing agrees", a.key + ",x,y,z,0", reasonKeyAlone},
		{"another's key", strings.Replace(row(a), a.key, b.key, 1), reasonConflict},
		{"a relative's key", strings.Replace(row(a), a.key, family.key, 1), reasonConflict},
		{"the key and the family's telephone", a.key + ",,," + a.phone + ",", reasonAmbiguous},
		{"no such key", strings.Replace(row(a), a.key, "999", 1), a.key},
		{"no such key, and the address", "999,," + a.email + ",,", reasonUnsure},
		{"a damaged address, and the rest", a.name + strings.Replace(row(a), a.email, b.email, 1), reasonConflict},
		{"a damaged key", strings.Replace(row(a), a.key, a.key[:8]+"x", 1), a.key},
		{"no key", strings.TrimPrefix(row(a), a.key), a.key},
		{"the address", ",," + a.email + ",,", a.key},
		{"the address, the rest damaged", ",x," + a.email + ",y,z", reasonUnsure},
		{"the address, another's birth date", ",," + a.email + ",," + b.birth, reasonConflict},
		{"the telephone", ",,," + a.phone + ",", reasonAmbiguous},
		{"nothing", ",x,y,z,0", reasonNobody},
		{"cut off after the address", a.key + "," + a.name + "," + a.email, a.key},
		{"cut off in the address", a.key + ",," + a.email[:5], "wrong number of columns"},
		{"a cut address alone", ",," + a.email + ",", "wrong number of columns"},
		{"one column too many", row(a) + ",x", a.key},
		{"an open quotation", "\"" + a.key + ",,,,", "unclosed quotation"},
		{"an open quotation before a whole row", "\"x,y\n" + row(a), a.key},
		{"a quoted line feed", a.key + ",\"" + strings.Replace(a.name, " ", "\n", 1) + "\",,,", a.key},
		{"NUL bytes", a.key + ",\x00\x00\x00,,,", "NUL bytes"},
	} {
		text := japaneseHeader + row(b) + "\n" + x.row + "\n" + row(b) + "\n"
		keys, rep := found(t, []byte(text), FileOptions{}, roster, space)
		delete(keys, b.key)
		switch _, who := space.Find(x.want); {
		case who && !(len(keys) == 1 && keys[x.want]):
			t.Errorf("%s: not found; %v", x.what, rep.Damaged)
		case !who && (len(keys) != 0 || rep.Damaged[x.want] != 1):
			t.Errorf("%s: found %d; %v, want %q", x.what, len(keys), rep.Damaged, x.want)
		}
	}
}

func TestKeyOnly(t *testing.T) {
	all := members(300)
	roster, space := town(t, all)
	text := all[0].key + "\n" + all[1].key + "\nx\n"
	if _, _, err := MatchFile(context.Background(), strings.NewReader(text), FileOptions{}, roster, space); err == nil || !strings.Contains(err.Error(), "allow") {
		t.Errorf("keys alone give %v", err)
	}
	keys, rep := found(t, []byte(text), FileOptions{AllowKeyOnly: true}, roster, space)
	if len(keys) != 2 || rep.ByKeyOnly != 2 || rep.Damaged[reasonNobody] != 1 {
		t.Errorf("%d found, %+v", len(keys), rep)
	}
}

// Telephones and dates in a form that the roster does not have are no reason to
// find nobody.
func TestOtherForms(t *testing.T) {
	all := members(3000)
	roster, space := town(t, all)
	text := japaneseHeader
	for _, m := range all[:100] {
		text += fmt.Sprintf("%s,%s様,%s,+81 %s,%s頃\n", m.key, m.name, m.email, m.phone[1:], m.birth)
	}
	keys, rep := found(t, []byte(text), FileOptions{}, roster, space)
	if len(keys) != 100 || rep.Columns[1].Role != "" || rep.Columns[2].Role != "match" {
		t.Errorf("%d found, %+v", len(keys), rep)
	}
}

func TestOwnHeadings(t *testing.T) {
	all := members(300)
	roster, space := town(t, all)
	text := "x1,x2\n"
	for _, m := range all[:9] {
		text += m.key + "," + m.birth + "\n"
	}
	keys, rep := found(t, []byte(text), FileOptions{KeyNames: []string{"X1"}, Names: map[string][]string{"birth_date": {"Ｘ2"}}}, roster, space)
	if len(keys) != 9 || !rep.Header || rep.Columns[1] != (Column{"match", "birth_date"}) {
		t.Errorf("%d found, %+v", len(keys), rep)
	}
}

// damage is what happens to files that somebody tried to wipe, or that were cut
// out of memory or of a broken disk.
var damage = []struct {
	what string
	do   func(b []byte, rnd *rand.Rand) []byte
}{
	{"flipped bits", func(b []byte, rnd *rand.Rand) []byte {
		for range len(b) / 60 {
			b[rnd.IntN(len(b))] ^= 1 << rnd.IntN(8)
		}
		return b
	}},
	{"digits changed", func(b []byte, rnd *rand.Rand) []byte {
		for range len(b) / 20 {
			if i := rnd.IntN(len(b)); b[i] >= '0' && b[i] <= '9' {
				b[i] = '0' + byte(rnd.IntN(10))
			}
		}
		return b
	}},
	{"random bytes", func(b []byte, rnd *rand.Rand) []byte {
		for range len(b) / 60 {
			b[rnd.IntN(len(b))] = byte(rnd.Uint32())
		}
		return b
	}},
	{"lost bytes", func(b []byte, rnd *rand.Rand) []byte {
		var out []byte
		for _, c := range b {
			if rnd.IntN(80) > 0 {
				out = append(out, c)
			}
		}
		return out
	}},
	{"NUL blocks", func(b []byte, rnd *rand.Rand) []byte {
		for range len(b) / 2000 {
			i := rnd.IntN(len(b))
			clear(b[i:min(len(b), i+rnd.IntN(512))])
		}
		return b
	}},
	{"lost blocks", func(b []byte, rnd *rand.Rand) []byte {
		var out []byte
		for len(b) > 0 {
			n := min(len(b), 1+rnd.IntN(400))
			if rnd.IntN(4) > 0 {
				out = append(out, b[:n]...)
			}
			b = b[n:]
		}
		return out
	}},
	{"blocks in another order", func(b []byte, rnd *rand.Rand) []byte {
		var out []byte
		for _, i := range rnd.Perm((len(b) + 511) / 512) {
			out = append(out, b[i*512:min(len(b), i*512+512)]...)
		}
		return out
	}},
	{"quotation marks", func(b []byte, rnd *rand.Rand) []byte {
		for range len(b) / 300 {
			b[rnd.IntN(len(b))] = "\",\n"[rnd.IntN(3)]
		}
		return b
	}},
}

// seed can be changed from outside, to look further than a test run does.
func seed(t *testing.T) uint64 {
	n, err := strconv.ParseUint(cmp.Or(os.Getenv("SEKISHO_TEST_SEED"), "5"), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Whatever happens to a file, nobody is named whose data it did not hold.
func TestDamageNamesNobodyElse(t *testing.T) {
	all := members(20000)
	roster, space := town(t, all)
	rnd := rand.New(rand.NewPCG(seed(t), 6))
	rows, matched := uint64(0), uint64(0)
	for _, enc := range allEncodings {
		for _, d := range damage {
			for _, header := range []string{japaneseHeader, ""} {
				picked, truth := some(all, 500, rnd)
				head := encodeAs(t, enc, header)
				b := encodeAs(t, enc, csvOf(picked, header))
				b = append(slices.Clone(head), d.do(b[len(head):], rnd)...)
				keys, rep := found(t, b, FileOptions{}, roster, space)
				for k := range keys {
					if !truth[k] {
						t.Errorf("%s, %s: %s is named and was not in the file; %+v", enc, d.what, k, rep)
					}
				}
				if rep.Matched == 0 {
					t.Errorf("%s, %s: nobody was found at all: %+v", enc, d.what, rep)
				}
				rows, matched = rows+rep.Rows, matched+rep.Matched
			}
		}
	}
	t.Logf("%d rows, %d matched", rows, matched)
}

// The same where the file holds less: no key, or no address, or little else.
func TestDamageToPoorFiles(t *testing.T) {
	all := members(20000)
	roster, space := town(t, all)
	rnd := rand.New(rand.NewPCG(seed(t), 8))
	for what, row := range map[string]func(m member) string{
		"会員番号,電話番号\n":    func(m member) string { return m.key + "," + m.phone + "\n" },
		"会員番号,氏名,電話番号\n": func(m member) string { return m.key + "," + m.name + "," + m.phone + "\n" },
		"会員番号,生年月日,氏名\n": func(m member) string { return m.key + "," + m.birth + "," + m.name + "\n" },
		"氏名,メール,生年月日\n":  func(m member) string { return m.name + "," + m.email + "," + m.birth + "\n" },
		"氏名,メール,電話番号,生年月日,会員番号\n": func(m member) string {
			return m.name + "," + m.email + "," + m.phone + "," + m.birth + "," + m.key + "\n"
		},
	} {
		for _, d := range damage {
			picked, truth := some(all, 1000, rnd)
			var body []byte
			for _, m := range picked {
				body = append(body, row(m)...)
			}
			keys, rep := found(t, append([]byte(what), d.do(body, rnd)...), FileOptions{}, roster, space)
			for k := range keys {
				if !truth[k] {
					t.Errorf("%q, %s: %s is named and was not in the file; %+v", what, d.what, k, rep)
				}
			}
		}
	}
}

func TestNoTable(t *testing.T) {
	roster, space := town(t, members(10))
	for what, x := range map[string]struct{ b, hint string }{
		"empty":       {"", "empty"},
		"a workbook":  {"PK\x03\x04\x14\x00\x06\x00", "Excel"},
		"gzip":        {string(zip([]byte("a,b"))), "gzip"},
		"binary":      {strings.Repeat("\x01\x02\x03\x04\xff\xfe\x90", 400), "binary"},
		"only zeroes": {strings.Repeat("\x00", 5000), "NUL"},
	} {
		_, _, err := MatchFile(context.Background(), strings.NewReader(x.b), FileOptions{Name: "found.csv"}, roster, space)
		if !errors.Is(err, ErrNotText) || !strings.Contains(err.Error(), x.hint) || !strings.Contains(err.Error(), "found.csv") {
			t.Errorf("%s: %v", what, err)
		}
	}
	for what, text := range map[string]string{"a poem": "furuike ya\nkawazu tobikomu\n", "blank": "\n\n \n", "one weak column": "生年月日\n1980-01-01\n"} {
		if _, _, err := MatchFile(context.Background(), strings.NewReader(text), FileOptions{}, roster, space); err == nil || errors.Is(err, ErrNotText) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, _, err := MatchFile(context.Background(), strings.NewReader("a"), FileOptions{Encoding: "ebcdic"}, roster, space); err == nil || !strings.Contains(err.Error(), "shift_jis") {
		t.Errorf("an unknown encoding: %v", err)
	}
	broken := errors.New("broken")
	if _, _, err := MatchFile(context.Background(), io.MultiReader(strings.NewReader(japaneseHeader), iotest.ErrReader(broken)), FileOptions{}, roster, space); !errors.Is(err, broken) {
		t.Errorf("a failed read: %v", err)
	}
}

func TestHugeLine(t *testing.T) {
	all := members(30)
	roster, space := town(t, all)
	for _, enc := range []string{utf_8, utf16LE, utf16BE} {
		text := csvOf(all[:5], japaneseHeader) + strings.Repeat("x", 3<<20) + "\r\n" + csvOf(all[5:9], "")
		if keys, rep := found(t, encodeAs(t, enc, text), FileOptions{}, roster, space); len(keys) != 9 || rep.Damaged["longer than 1 MiB"] != 1 {
			t.Errorf("%s: %d found, %+v", enc, len(keys), rep)
		}
	}
}

func FuzzMatchFile(f *testing.F) {
	all := members(300)
	roster, space := town(f, all)
	for _, enc := range allEncodings {
		f.Add(encodeAs(f, enc, csvOf(all[:4], japaneseHeader)), uint16(40))
		f.Add(encodeAs(f, enc, csvOf(all[:4], "")), uint16(41))
	}
	f.Fuzz(func(t *testing.T, b []byte, at uint16) {
		whole, rep, err := MatchFile(context.Background(), bytes.NewReader(b), FileOptions{AllowKeyOnly: true}, roster, space)
		i := min(int(at), len(b))
		parts, rep2, err2 := MatchFile(context.Background(), io.MultiReader(bytes.NewReader(b[:i]), iotest.OneByteReader(bytes.NewReader(b[i:]))), FileOptions{AllowKeyOnly: true}, roster, space)
		if (err == nil) != (err2 == nil) {
			t.Fatalf("cut at %d: %v; whole: %v", i, err2, err)
		}
		if err == nil && (fmt.Sprint(*whole) != fmt.Sprint(*parts) || fmt.Sprint(*rep) != fmt.Sprint(*rep2)) {
			t.Fatalf("cut at %d: %+v; whole: %+v", i, rep2, rep)
		}
	})
}

func BenchmarkMatchFile(b *testing.B) {
	all := members(20000)
	roster, space := town(b, all)
	for _, enc := range []string{utf_8, shiftJIS} {
		b.Run(enc, func(b *testing.B) {
			text := encodeAs(b, enc, csvOf(all, japaneseHeader))
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				found(b, text, FileOptions{}, roster, space)
			}
			b.ReportMetric(float64(b.N*len(all))/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
