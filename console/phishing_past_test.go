package console

import (
	"strings"
	"testing"
	"time"
)

// The history by department goes over the drills, and shows apart only who is
// shown apart in each.
func TestDepartmentsOverTheDrills(t *testing.T) {
	h, l := withLures(t)
	h.play(l)
	h.clock.pass(30 * 24 * time.Hour)
	h.play(l)
	p, err := h.console.phishingPage()
	must(t, err)
	var names []string
	for _, row := range p.Past {
		names = append(names, row.Department)
		shown := 0
		for _, cell := range row.Drills {
			if cell != nil {
				if shown++; cell.People < l.Config.Least {
					t.Errorf("%s is shown with %d people", row.Department, cell.People)
				}
			}
		}
		if len(row.Drills) != 2 || shown != 2 {
			t.Errorf("%s stands in %d of %d drills", row.Department, shown, len(row.Drills))
		}
	}
	got := strings.Join(names, " ")
	if strings.Contains(got, "legal") || len(names) == 0 {
		t.Errorf("departments that are shown: %q", got)
	}
	if body := h.signedIn("en").get("/phishing").body; !strings.Contains(body, "Report rate by department, over time") || strings.Contains(body, "0001/legal") {
		t.Error("the page does not show it, or shows too much")
	}
}
