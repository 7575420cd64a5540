package watch

import (
	"fmt"
	"strings"
	"testing"

	"sekisho"
	"sekisho/sekishotest"
)

// raised plays a script, in which "decoy member 5" places one and "undecoy
// member 5" takes it away, and tells the alerts about decoys.
func raised(t *testing.T, cfg Config, script string) string {
	t.Helper()
	book, w := sekishotest.New(), New(cfg)
	var out []string
	seen := 0
	for line := range strings.Lines(script) {
		line = strings.TrimSpace(line)
		var space string
		var subject uint32
		if n, _ := fmt.Sscanf(line, "decoy %s %d", &space, &subject); n == 2 {
			book.Put(&sekisho.DecoyPlaced{Action: "placed", Space: space, Subject: subject})
		} else if n, _ := fmt.Sscanf(line, "undecoy %s %d", &space, &subject); n == 2 {
			book.Put(&sekisho.DecoyPlaced{Action: "removed", Space: space, Subject: subject})
		} else {
			book.Run(line)
		}
		for ; seen < len(book.Entries); seen++ {
			for _, b := range w.React(&book.Entries[seen]) {
				if a := b.(*sekisho.Alert); a.Detector == "decoy" {
					out = append(out, fmt.Sprintf("%d at %s touched %d", a.Principal, a.Endpoint, a.Observed))
				}
			}
		}
	}
	return strings.Join(out, "; ")
}

func TestDecoys(t *testing.T) {
	const people = "shape m member members identity\nshape h holder holders identity\nsession s1 7 clerk pc-0417\nsession s2 8 batch srv-1\nsession s3 9 console pc-0001 console\n"
	for name, c := range map[string]struct{ script, want string }{
		"a touch":                      {"decoy member 5\nread s1 m 4 5 6", "7 at pc-0417 touched 1"},
		"two of them":                  {"decoy member 5\ndecoy member 6\nread s1 m 4 5 6 5", "7 at pc-0417 touched 2"},
		"nobody near":                  {"decoy member 5\nread s1 m 1..4", ""},
		"before it was one":            {"read s1 m 5\ndecoy member 5", ""},
		"after it was one":             {"decoy member 5\nundecoy member 5\nread s1 m 5", ""},
		"somebody else of that number": {"decoy member 5\nread s1 h 5", ""},
		"once an hour":                 {"decoy member 5\nread s1 m 5\nwait 10m\nread s1 m 5\nwait 2h\nread s1 m 5", "7 at pc-0417 touched 1; 7 at pc-0417 touched 1"},
		"whose work it is":             {"decoy member 5\nread s2 m 1..9", ""},
		"a responder at the console":   {"decoy member 5\nread s3 m 5", ""},
		"could be any row":             {"decoy member 5\nany s1 m 1000", ""},
	} {
		if got := raised(t, Config{Decoy: Decoy{Except: []string{"batch"}}}, people+c.script); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
