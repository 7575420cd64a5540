package incident_test

import (
	"slices"
	"testing"

	"sekisho/incident"
)

// What ships fits together: every playbook that is promised is there, and every
// role has something to do.
func TestTheShippedManualIsWhole(t *testing.T) {
	m := shipped(t)
	busy := map[string]bool{}
	for _, name := range []string{"unauthorised_access", "malware", "phishing_bec", "lost_device", "insider", "contractor", "loyalty_fraud", "denial_of_service"} {
		p, ok := m.Playbook(name)
		if !ok || len(p.Tasks) < 8 {
			t.Errorf("playbook %s: %v", name, ok)
			continue
		}
		for _, task := range p.Tasks {
			busy[task.Role] = true
		}
	}
	for _, c := range m.Clocks {
		busy[c.Owner] = true
	}
	for _, f := range m.Facts {
		busy[f.Owner] = true
	}
	for _, r := range m.Roles {
		if !busy[r.Key] && r.Key != "deputy" && r.Key != "scribe" {
			t.Errorf("%s has nothing to do", r.Key)
		}
	}
	for _, key := range []string{"incident_commander", "deputy", "scribe", "system_owner", "privacy_officer", "legal", "communications", "executive", "partner_liaison", "isac_liaison", "point_of_contact", "response_lead"} {
		if !slices.ContainsFunc(m.Roles, func(r incident.RoleDuty) bool { return r.Key == key }) {
			t.Errorf("the manual has no %s", key)
		}
	}
}
