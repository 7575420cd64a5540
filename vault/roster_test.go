package vault_test

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"sekisho"
	"sekisho/disk"
	"sekisho/vault"
)

var schema = vault.RosterSchema{
	Labels: []string{"partner", "residence"},
	Dates:  []string{"passport_until"},
	Match:  []string{"email", "phone"},
}

func asAssigned(b sekisho.Body) *sekisho.Assigned { return b.(*sekisho.Assigned) }

// people is the members from..to-1, of whom every third has no passport,
// every fifth no telephone, and every two share one.
func people(from, to int) []vault.RosterRow {
	var rows []vault.RosterRow
	for i := from; i < to; i++ {
		row := vault.RosterRow{
			Key:    fmt.Sprint(100_000 + i),
			Labels: []string{fmt.Sprintf("partner %d", i%7), ""},
			Dates:  []int32{int32(20_000 + i)},
			Match:  []string{fmt.Sprintf("Member-%d@Example.jp", i), fmt.Sprintf("０９０-%04d-5678", i/2)},
		}
		if i%3 == 0 {
			row.Dates[0] = vault.NoDate
		}
		if i%5 == 0 {
			row.Match[1] = ""
		}
		if i%2 == 0 {
			row.Labels[1] = "JP"
		}
		rows = append(rows, row)
	}
	return rows
}

func each(rows []vault.RosterRow) iter.Seq2[vault.RosterRow, error] {
	return func(yield func(vault.RosterRow, error) bool) {
		for _, r := range rows {
			if !yield(r, nil) {
				return
			}
		}
	}
}

func writeRoster(t testing.TB, v *vault.Vault, rows []vault.RosterRow) *sekisho.RosterRead {
	t.Helper()
	read, err := v.WriteRoster("member", schema, each(rows), nil)
	if err != nil {
		t.Fatal(err)
	}
	return read
}

// same fails the test if the roster is not exactly rows.
func same(t *testing.T, v *vault.Vault, r *vault.Roster, rows []vault.RosterRow) {
	t.Helper()
	if int(r.Count()) != len(rows) {
		t.Fatalf("%d rows, want %d", r.Count(), len(rows))
	}
	for _, row := range rows {
		ord, ok := v.Space("member").Find(row.Key)
		if !ok || !r.Has(ord) {
			t.Fatalf("%s is not in the roster", row.Key)
		}
		for i := range row.Labels {
			if got := r.Label(i, ord); got != row.Labels[i] {
				t.Errorf("%s: label %d is %q, want %q", row.Key, i, got, row.Labels[i])
			}
			if got := r.LabelNames(i)[r.Labels(i)[ord]]; got != row.Labels[i] {
				t.Errorf("%s: label %d in the column is %q, want %q", row.Key, i, got, row.Labels[i])
			}
		}
		if got := r.Date(0, ord); got != row.Dates[0] || r.Dates(0)[ord] != got {
			t.Errorf("%s: date %d, want %d", row.Key, got, row.Dates[0])
		}
		for i, value := range row.Match {
			if got := r.Agrees(ord, i, value); got != (value != "") {
				t.Errorf("%s: agrees in field %d: %v", row.Key, i, got)
			}
			if got := slices.Contains(r.FindBy(i, strings.ToUpper(value)), ord); got != (value != "") {
				t.Errorf("%s: found by field %d: %v", row.Key, i, got)
			}
			if r.Agrees(ord, i, value+"x") {
				t.Errorf("%s: agrees with another value in field %d", row.Key, i)
			}
		}
	}
}

func TestRoster(t *testing.T) {
	c := config(t.TempDir(), disk.OS{})
	v := open(t, c)
	if r, err := v.Roster("member"); r != nil || err != nil {
		t.Fatalf("before one was written: %v, %v", r, err)
	}
	v.Space("member").OfText([]byte("not in the roster"))
	rows := people(0, 5000)
	var told []int
	read, err := v.WriteRoster("member", schema, each(rows), func(n int) { told = append(told, n) })
	if err != nil {
		t.Fatal(err)
	}
	if last := told[len(told)-1]; len(told) < 2 || last != 5000 {
		t.Errorf("progress: %v", told)
	}
	if got := (book(flush(t, v))).highest(t)["member"]; got != 5001 {
		t.Errorf("announced up to %d, want 5001", got)
	}
	v.Close()

	v = open(t, c)
	r, err := v.Roster("member")
	if err != nil {
		t.Fatal(err)
	}
	same(t, v, r, rows)
	if r.SHA256() != read.SHA256 || read.Count != 5000 || read.Space != "member" {
		t.Errorf("the entry is %+v, the file's hash %x", read, r.SHA256())
	}
	if want := "partner residence passport_until email phone"; strings.Join(read.Dimensions, " ") != want {
		t.Errorf("dimensions %q", read.Dimensions)
	}
	a, _ := v.Space("member").Find("100002")
	b, _ := v.Space("member").Find("100003")
	if got := r.FindBy(1, "090 0001 5678"); !slices.Equal(got, []uint32{a, b}) {
		t.Errorf("two share a telephone: %v, want %d and %d", got, a, b)
	}
	if r.Has(0) || r.Has(1) || r.Has(1<<31) || r.FindBy(0, "nobody@example.jp") != nil || r.FindBy(0, "--") != nil {
		t.Error("the roster knows somebody who is not in it")
	}
	if r.Label(0, 1) != "" || r.Date(0, 1) != vault.NoDate || r.Date(0, 1<<31) != vault.NoDate || r.Label(0, 1<<31) != "" || r.Agrees(1<<31, 0, "x") {
		t.Error("somebody outside the roster has dimensions")
	}
}

// An unusable list leaves the old roster standing, and says which row.
func TestRosterRefused(t *testing.T) {
	v := open(t, config(t.TempDir(), disk.OS{}))
	writeRoster(t, v, people(0, 10))
	many := people(0, 70_000)
	for i := range many {
		many[i].Labels[0] = fmt.Sprint(i)
	}
	broken := errors.New("the database went away")
	for name, test := range map[string]struct {
		rows iter.Seq2[vault.RosterRow, error]
		want string
	}{
		"a subject twice":  {each(append(people(0, 5), people(2, 3)...)), "row 6"},
		"a missing column": {each([]vault.RosterRow{{Key: "1", Labels: []string{""}}}), "row 1"},
		"no label":         {each(many), `"partner" is no label`},
		"a failed query": {func(yield func(vault.RosterRow, error) bool) {
			_ = yield(people(0, 1)[0], nil) && yield(vault.RosterRow{}, broken)
		}, broken.Error()},
	} {
		if _, err := v.WriteRoster("member", schema, test.rows, nil); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	r, err := v.Roster("member")
	if err != nil {
		t.Fatal(err)
	}
	same(t, v, r, people(0, 10))
}

func TestRosterDamage(t *testing.T) {
	c := config("/v", disk.NewForgetful(1))
	v := open(t, c)
	writeRoster(t, v, people(0, 3))
	whole := get(t, c.FS, "/v/roster-member")
	try := func(what string, b []byte) {
		put(t, c.FS, "/v/roster-member", b)
		if r, err := v.Roster("member"); !errors.Is(err, vault.ErrDamaged) {
			t.Errorf("%s: %v, %v", what, r != nil, err)
		}
	}
	for i := range whole {
		b := bytes.Clone(whole)
		b[i] ^= 1 << (i % 8)
		try(fmt.Sprintf("bit %d of byte %d", i%8, i), b)
	}
	for n := range len(whole) {
		try(fmt.Sprintf("cut to %d bytes", n), whole[:n])
	}
	try("one byte more", append(bytes.Clone(whole), 0))

	// Another space's roster in its place.
	put(t, c.FS, "/v/roster-agent", whole)
	if _, err := v.Roster("agent"); !errors.Is(err, vault.ErrDamaged) {
		t.Error("another space's roster:", err)
	}
}

func TestNormalise(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{"", ""},
		{"plain", "plain"},
		{" Sato Hanako ", "satohanako"},
		{"０９０－１２３４－５６７８", "09012345678"},
		{"090–1234—5678", "09012345678"},
		{"090−1234‐5678", "09012345678"},
		{"ﾃﾞｰﾀ", "データ"},
		{"サトー", "サトー"}, // the long vowel mark is a letter
		{"佐藤　花子", "佐藤花子"},
		{"ÅNGSTRÖM", "ångström"},
		{"A\u030angstro\u0308m", "ångström"},
		{"①㌔", "1キロ"},
		{"İ", "i"},
		{"- –\t\n", ""},
		{"Ab-C@Example.JP", "abc@example.jp"},
	} {
		if got := vault.Normalise(test.in); got != test.want {
			t.Errorf("Normalise(%q) = %q, want %q", test.in, got, test.want)
		}
	}
}

func FuzzNormalise(f *testing.F) {
	f.Add("０９０－１２３４")
	f.Add("e-\u0301")
	f.Add("\u00a8x")
	f.Fuzz(func(t *testing.T, s string) {
		once := vault.Normalise(s)
		if twice := vault.Normalise(once); twice != once {
			t.Errorf("Normalise(%q) = %q, and again %q", s, once, twice)
		}
	})
}
