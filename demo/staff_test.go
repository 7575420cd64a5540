package demo_test

import (
	"bytes"
	"encoding/csv"
	"testing"

	"sekisho/demo"
)

// The table of staff has so many people, each with a name of their own to sign in
// by, some in two places; the same seed gives the same people, and another others.
func TestStaff(t *testing.T) {
	table := demo.Staff(7, 300)
	rows, err := csv.NewReader(bytes.NewReader(table)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	people, concurrent := map[string]bool{}, 0
	for _, row := range rows[1:] {
		switch as := row[len(row)-1]; {
		case as == "兼務":
			concurrent++
			if !people[row[0]] {
				t.Errorf("%s has a second post and no first", row[0])
			}
		case people[row[0]]:
			t.Errorf("two people are %s", row[0])
		default:
			people[row[0]] = true
		}
	}
	if len(people) != 300 || concurrent == 0 || len(rows) != 1+300+concurrent || !people["suzuki"] {
		t.Errorf("%d people, %d concurrent posts, %d rows", len(people), concurrent, len(rows))
	}
	if !bytes.Equal(table, demo.Staff(7, 300)) {
		t.Error("the same seed gives other people")
	}
	if bytes.Equal(table, demo.Staff(8, 300)) {
		t.Error("another seed gives the same people")
	}
}
