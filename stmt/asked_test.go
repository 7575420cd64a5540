package stmt_test

import (
	"fmt"
	"testing"

	"sekisho/stmt"
)

// What a statement asks for, as whoever expects its rows reads it.
func TestAsked(t *testing.T) {
	for text, want := range map[string]string{
		"select * from m where k = 42":                                      "k=42",
		"select * from m where 42 = k;":                                     "k=42",
		" select a, 7 from m where m.k = 'x y' and b > 3":                   "m.k=x y",
		"select a from m where k = $1":                                      "k=$1",
		"select a from m where k = $2::bigint and (j = '7' and c like 'x')": "k=$2 j=7",
		"select a from m where k = '4''2'":                                  "",
		"select a from m where k = -42":                                     "",
		"select a from m where k = 1 or j = 2":                              "",
		"select a from m where not k = 1":                                   "",
		"select a from m where k <> 1 and k in (1) and k = j":               "",
		"select a from m where k = null":                                    "",
		"select a from m":                                                   "",
		"select a, 1, 2, 3, 4, 5, 6, 7, 8 from m where k = 42":              "",
	} {
		statements, err := stmt.Analyse(text)
		if err != nil || len(statements) != 1 {
			t.Fatalf("%s: %v", text, err)
		}
		_, literals, _ := stmt.Shape(text)
		got := ""
		for _, a := range statements[0].Asked {
			value := fmt.Sprintf("$%d", a.Param)
			if a.Param == 0 {
				turn, ok := literals.Which(a.At)
				if !ok {
					continue
				}
				if value, ok = literals.Value(text, turn); !ok {
					continue
				}
			}
			for i, f := range a.Column.Fields {
				if i > 0 {
					got += "."
				} else if got != "" {
					got += " "
				}
				got += f
			}
			got += "=" + value
		}
		if got != want {
			t.Errorf("%s: asks for %q, not %q", text, got, want)
		}
	}
}
