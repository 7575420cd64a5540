package incident_test

import (
	"testing"

	"sekisho/incident"
)

// What ships fits together, in both languages.
func TestTheShippedManualIsWhole(t *testing.T) {
	m, err := incident.Read(incident.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Roles) != 12 {
		t.Errorf("%d roles, want 12", len(m.Roles))
	}
}
