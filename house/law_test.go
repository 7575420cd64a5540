package house

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sekisho/law"
)

// Each slip in the config's section is named; what is left out has a default.
func TestLawOfTheConfig(t *testing.T) {
	var plain Law
	rules, company, err := plain.read()
	if err != nil || len(rules.Regimes()) < 10 || len(company.Established) != 1 || company.Established[0] != "JP" || plain.Residence != "residence" {
		t.Errorf("nothing said: %v, %+v", err, company)
	}
	said := Law{Jurisdictions: []string{"jp", "us-ca"}, Listed: "no", Facts: map[string]string{"telecoms": "yes"}, PreliminaryFirstDay: "exclusive"}
	if rules, company, err = said.read(); err != nil || company.Established[1] != "US-CA" || company.Facts[law.Listed] != law.No || company.Facts[law.Telecoms] != law.Yes {
		t.Errorf("all said: %v, %+v", err, company)
	}
	for _, r := range rules.Regimes() {
		if r.ID == "jp-appi" && r.Parameters["prelim.first_day_inclusive"] {
			t.Error("the parameter is not settled")
		}
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "x.yaml"), []byte("regime: x\nlimmit: 3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		law  Law
		want string
	}{
		{Law{Jurisdictions: []string{"Japan"}}, `"Japan" is no place`},
		{Law{Listed: "perhaps"}, `listed: "perhaps" is no answer`},
		{Law{Facts: map[string]string{"weather": "yes"}}, `no rule asks about "weather"`},
		{Law{PreliminaryFirstDay: "sunday"}, "say inclusive or exclusive"},
		{Law{Rules: filepath.Join(dir, "nowhere")}, "no such file"},
		{Law{Rules: dir}, "limmit"},
	} {
		if _, _, err := c.law.read(); err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "config: law:") {
			t.Errorf("%+v: %v, want %q", c.law, err, c.want)
		}
	}
}
