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
	return fmt.Sprint(n) + " " + Noun(n, thing)
}

// Noun is the name of so many things: "row", "rows".
func Noun[N int | int64 | uint32 | uint64](n N, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return thing
}

// Brackets are those around what is added to a word. Those of Japanese are as wide
// as its letters, and have no space before them.
func Brackets(lang string) (open, shut string) {
	if lang == "ja" {
		return "（", "）"
	}
	return " (", ")"
}

// Added puts what is added to a word in brackets.
func Added(text, lang string) string {
	open, shut := Brackets(lang)
	return open + text + shut
}
