package catalog

import (
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"

	"sekisho"
)

// LabelLine is a label in one line of ASCII, for a header, a notice or a
// terminal. number is its entry's; by is who took what it is on.
func LabelLine(l *sekisho.Labelled, number uint64, taken sekisho.Time, by string) string {
	of := "none"
	if l.Categories != 0 {
		of = strings.Join(l.Categories.Names(), ",")
	}
	keep := "-"
	if l.Until != 0 {
		keep = l.Until.Go().Format("2006-01-02T15:04Z")
	}
	return fmt.Sprintf("label=%d class=%s categories=%s by=%s taken=%s keep-until=%s rules=%s/%s",
		number, l.Class, of, url.PathEscape(by), taken.Go().Format("2006-01-02T15:04:05Z"), keep, l.Edition, hex.EncodeToString(l.SHA256[:6]))
}

// LabelledName is a file's name with its label: list.csv becomes
// list.strict.812.csv.
func LabelledName(name string, l *sekisho.Labelled, number uint64) string {
	stem, ext := name, ""
	if i := strings.LastIndexByte(name, '.'); i > 0 {
		stem, ext = name[:i], name[i:]
	}
	return fmt.Sprintf("%s.%s.%d%s", stem, l.Class, number, ext)
}

// ListOf are the categories of what a list of a subject's people holds: the key,
// and the labels and dates of its roster. A column that the config does not know
// is unclassified.
func (c Config) ListOf(s Subject) (of sekisho.Categories) {
	add := func(column string) {
		known := false
		for _, t := range c.Tables {
			word, ok := t.Columns[column]
			if t.Subject != s.Name || !ok {
				continue
			}
			if cat, err := category(word); err == nil {
				of, known = of|cat, true
			}
		}
		if !known {
			of |= sekisho.Unclassified
		}
	}
	add(s.Key)
	for _, columns := range []map[string]string{s.Roster.Labels, s.Roster.Dates} {
		for _, column := range columns {
			add(column)
		}
	}
	return of
}
