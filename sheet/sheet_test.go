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
