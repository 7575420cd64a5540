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
