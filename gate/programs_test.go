package gate

import (
	_ "embed"
	"strings"
	"testing"
)

//go:embed testdata/programs.sql
var programs string

// Programs ask the server much that nobody of them sees. Where customers' data
// is protected the answers are what they would be without a gate.
func TestProgramsStart(t *testing.T) {
	h := newHouse(t)
	direct, through := h.rawDirect(), h.raw("sato")
	for text := range strings.SplitSeq(programs, "\n\n") {
		if text = strings.TrimSpace(text); text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		for _, script := range []string{"Q " + strings.ReplaceAll(text, "\n", " "), "P \"\" " + strings.ReplaceAll(text, "\n", " ") + "\nB \"\" \"\" - -\nD P \"\"\nE \"\" 0\nS"} {
			diff(t, script[:min(len(script), 120)], through.run(script), direct.run(script))
		}
	}
}
