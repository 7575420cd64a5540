package sheet_test

import (
	"strings"
	"testing"

	"sekisho/sheet"
)

func TestReadIsStrict(t *testing.T) {
	type row struct {
		Name string `yaml:"name"`
		Days int    `yaml:"days"`
	}
	for _, c := range []struct{ text, want string }{
		{"name: a\ndays: 3\n", ""},
		{"name: a\ndasy: 3\n", "dasy"},
		{"name: a\nname: b\n", "name"},
		{"name: a\ndays: three\n", "days: three"},
	} {
		var r row
		err := sheet.Read([]byte(c.text), &r)
		switch {
		case c.want == "" && (err != nil || r != row{"a", 3}):
			t.Errorf("%q: %+v, %v", c.text, r, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%q: error %v, want one that shows %q", c.text, err, c.want)
		}
	}
}

// Whoever writes a file knows nothing of Go: a slip is told by its key, with
// what may stand there, and by its line.
func TestReadSaysWhatMayStandThere(t *testing.T) {
	type gate struct {
		Number  uint32            `yaml:"number"`
		Observe bool              `yaml:"observe"`
		Share   float64           `yaml:"share"`
		Roles   []string          `yaml:"roles"`
		Name    string            `yaml:"name"`
		Colours map[string]string `yaml:"colours"`
	}
	for _, c := range []struct{ line, want string }{
		{"number: one", "number takes a whole number that is not below 0"},
		{"number: -1", "-1 is out of its range"},
		{"number: 99999999999", "99999999999 is out of its range"},
		{"observe: 5", "observe takes true or false"},
		{"share: much", "share takes a number"},
		{"roles: clerk", "roles takes a list: [a, b]"},
		{"roles: {a: b}", "roles takes a list: [a, b]"},
		{"name: [a]", "name takes one text"},
		{"colours: red", "colours takes keys with values"},
		{"numbre: 1", `unknown field "numbre"; did you mean number?`},
	} {
		var r struct {
			Gate gate `yaml:"gate"`
		}
		err := sheet.Read([]byte("gate:\n  "+c.line+"\n"), &r)
		if err == nil {
			t.Errorf("%q: no error", c.line)
			continue
		}
		said := err.Error()
		if !strings.Contains(said, c.want) || !strings.Contains(said, ">  2 |   "+c.line) || strings.Contains(said, "unmarshal") || strings.Contains(said, "Go ") {
			t.Errorf("%q: %s\nwant %q and the line", c.line, said, c.want)
		}
	}
}

func TestOneOfAThingIsOne(t *testing.T) {
	for n, want := range map[int]string{0: "0 rows", 1: "1 row", 2: "2 rows", 1200: "1200 rows"} {
		if got := sheet.Of(n, "row"); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}
