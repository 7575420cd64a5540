package catalog

import (
	"strings"
	"testing"
)

// Whatever is refused with a hint has one in Japanese, and says the same of what
// it names.
func TestRemediesAreInBothLanguages(t *testing.T) {
	for reason, text := range refusals {
		if text[1] != "" && RemedyJa(reason, text[1]) == "" {
			t.Errorf("%s has no hint in Japanese: catalog/remedies.go", reason)
		}
	}
	for reason := range remedies {
		if refusals[reason][1] == "" {
			t.Errorf("%s is refused without a hint, or not at all", reason)
		}
	}
	for _, one := range []struct{ reason, hint, says string }{
		{"tablesample", refusals["tablesample"][1] + boundHint, "any_row: true"},
		{"function", "Then add it to the gate's config, under catalog: functions: reviewed: [crm.f, crm.g].", "[crm.f, crm.g]"},
		{"function", refusals["function"][1], "functions.reviewed"},
	} {
		if got := RemedyJa(one.reason, one.hint); !strings.Contains(got, one.says) {
			t.Errorf("%s: %s", one.reason, got)
		}
	}
	if got := RemedyJa("tablesample", refusals["tablesample"][1]); strings.Contains(got, "any_row") {
		t.Errorf("without a login for it: %s", got)
	}
}
