package seal

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"
)

var sealed = Credential{Login: "glass", Host: "db.example.jp", Port: 5432, Database: "member", SSLMode: "verify-full",
	Sealed: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Until: time.Date(2026, 4, 2, 3, 4, 5, 0, time.UTC), Password: "swordfish-1234"}

// people draws keys for names.
func people(t testing.TB, names ...string) (list []Person, keys map[string]*Key) {
	t.Helper()
	keys = map[string]*Key{}
	for _, name := range names {
		file, recipient, err := newKey("of "+name, 10)
		if err != nil {
			t.Fatal(err)
		}
		key, err := ReadKey(file, func() (string, error) { return "of " + name, nil })
		if err != nil {
			t.Fatal(err)
		}
		list, keys[name] = append(list, Person{name, recipient}), key
		if _, err := ReadKey(file, func() (string, error) { return "of nobody", nil }); err == nil {
			t.Error("a wrong passphrase opens a key")
		}
	}
	return list, keys
}

func open(t *testing.T, file []byte, first, second *Key) (Credential, error) {
	t.Helper()
	e, err := Read(file)
	if err != nil {
		return Credential{}, err
	}
	rest, err := e.Half(first)
	if err != nil {
		return Credential{}, err
	}
	if e, err = Read(rest); err != nil {
		return Credential{}, err
	}
	return e.Open(second)
}

// Any two open it, in either order; nobody alone, and no stranger.
func TestTwoOfThree(t *testing.T) {
	list, keys := people(t, "ito", "sato", "kato", "stranger")
	file, err := Seal(sealed, list[:3])
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(file, []byte("swordfish")) {
		t.Error("the password stands in the file")
	}
	for first, a := range keys {
		for second, b := range keys {
			got, err := open(t, file, a, b)
			may := first != second && first != "stranger" && second != "stranger"
			if may && (err != nil || got != sealed) {
				t.Errorf("%s and %s: %+v, %v", first, second, got, err)
			}
			if !may && (!errors.Is(err, ErrNotFor) || got.Password != "") {
				t.Errorf("%s and %s: %v", first, second, err)
			}
		}
	}
	e, _ := Read(file)
	if _, err := e.Open(keys["ito"]); err == nil {
		t.Error("a whole envelope opens for one")
	}
}

// Whoever changes the outside, to send the password to another host, is found.
func TestChangedOutsideIsFound(t *testing.T) {
	list, keys := people(t, "ito", "sato")
	file, err := Seal(sealed, list)
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range [][2]string{{"db.example.jp", "db.example.cn"}, {"verify-full", "disable"}, {"2026-04-02", "2027-04-02"}} {
		if _, err := open(t, bytes.Replace(file, []byte(change[0]), []byte(change[1]), 1), keys["ito"], keys["sato"]); err == nil || !strings.Contains(err.Error(), "changed") {
			t.Errorf("%s for %s: %v", change[1], change[0], err)
		}
	}
}

func TestWhoCannotBeSealedFor(t *testing.T) {
	list, _ := people(t, "ito", "sato")
	for name, wrong := range map[string][]Person{
		"one person":         list[:1],
		"a name twice":       {list[0], {list[0].Name, list[1].Recipient}},
		"a key twice":        {list[0], {"another", " " + list[0].Recipient}},
		"a key and a note":   {list[0], {"another", "# a key of another's\n" + list[0].Recipient}},
		"a name in capitals": {list[0], {strings.ToUpper(list[0].Name) + " ", list[1].Recipient}},
		"a key that is no":   {list[0], {"another", "age1nonsense"}},
		"two keys in one":    {list[0], {"another", list[1].Recipient + "\n" + list[0].Recipient}},
	} {
		if _, err := Seal(sealed, wrong); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

func FuzzRead(f *testing.F) {
	list, keys := people(f, "ito", "sato")
	file, err := Seal(sealed, list)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(file)
	f.Add([]byte(`{"format":"sekisho-breakglass-1","boxes":[{}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := Read(b)
		if err != nil {
			return
		}
		rest, err := e.Half(keys["ito"])
		if err != nil {
			return
		}
		if e, err = Read(rest); err == nil {
			if got, err := e.Open(keys["sato"]); err == nil && got.Password != sealed.Password {
				t.Errorf("opened as %+v", got)
			}
		}
	})
}
