package sheet

import (
	"fmt"
	"strings"
)

// Few is a list of names on one line: the first six, and how many more there are.
func Few(names []string) string {
	const most = 6
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s … (+%d)", strings.Join(names[:most], ", "), len(names)-most)
}

// Of is so many of a thing, whose name takes an s: "1 row", "2 rows".
func Of[N int | int64 | uint32 | uint64](n N, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprint(n) + " " + thing
}
