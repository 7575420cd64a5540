package gate

import (
	_ "embed"
	"fmt"
	"strings"
	"testing"
)

//go:embed testdata/programs.sql
var programs string

// Programs ask the server much that nobody of them sees. Where customers' data
// is protected, and where nothing is, the answers are what they would be without
// a gate: by one Query, as the drivers of Java and .NET ask, with what comes as
// text and in binary, and behind what a pool says first in the same breath.
func TestProgramsStart(t *testing.T) {
	for i, h := range []*house{newHouse(t), openHouse(t)} {
		direct, through := h.rawDirect(), h.raw("sato")
		asked := 0
		for text := range strings.SplitSeq(programs, "\n\n") {
			if text = strings.TrimSpace(text); text == "" || strings.HasPrefix(text, "#") {
				continue
			}
			asked++
			text = strings.ReplaceAll(text, "\n", `\n`)
			extended := "P \"\" " + text + "\nB \"\" \"\" - %s\nD P \"\"\nE \"\" 0\nS"
			scripts := []string{"Q " + text, fmt.Sprintf(extended, "-"), fmt.Sprintf(extended, "1")}
			if strings.HasPrefix(text, "SELECT ") {
				scripts = append(scripts, "Q DISCARD ALL\n"+fmt.Sprintf(extended, "1"))
			}
			for _, script := range scripts {
				diff(t, script[:min(len(script), 120)], through.run(script), direct.run(script))
			}
		}
		// pgAdmin's dashboard, which opens by itself, counts others' sessions.
		dashboard := `Q SELECT 'session_stats' AS chart_name, pg_catalog.row_to_json(t) AS chart_data FROM (SELECT (SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE pid = pg_backend_pid()) AS "Total") t`
		if got, want := through.run(dashboard), direct.run(dashboard); i == 0 && !strings.Contains(got, "C0A000") || i == 1 && got != want {
			t.Errorf("the dashboard: %s\ndirectly %s", got, want)
		}
		if asked < 100 {
			t.Errorf("%d statements of programs", asked)
		}
	}
}
