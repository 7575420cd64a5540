package drill

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"sekisho/catalog"
	"sekisho/console"
	"sekisho/demo"
	"sekisho/trace"
)

const jtbRows = 4000

// smallJtb makes the store of the case in so many rows.
func smallJtb(t testing.TB, seed uint64, rows int) Config {
	t.Helper()
	if err := FillJtb(t.Context(), cluster, seed, rows); err != nil {
		t.Fatal(err)
	}
	var c catalog.Config
	if err := yaml.UnmarshalWithOptions([]byte(demo.BookingsYAML), &c, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	return Config{Scenario: Jtb2016, Cluster: cluster, Seed: seed, StoreSeed: seed, Members: rows, Catalog: c, Dir: filepath.Join(t.TempDir(), "drill")}
}

// What the machinery says of jtb-2016 is true, and says what it does not know.
func TestJtb2016(t *testing.T) {
	p, err := Play(t.Context(), smallJtb(t, DefaultSeedJtb, jtbRows))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	r := p.Jtb
	if r.Suspected != jtbRows || r.WorstCase != jtbRows || r.File.Rows != jtbRows || r.Truth.FileRows != jtbRows {
		t.Errorf("suspected %d, worst case %d, in the file %d, truly %d; of %d rows", r.Suspected, r.WorstCase, r.File.Rows, r.Truth.FileRows, jtbRows)
	}
	if r.Verdict != "suspected" || r.ExitObserved || r.SentKnown || r.SentAtMost != r.WorstCase || r.Confirmed != 0 {
		t.Errorf("verdict %q, exit observed %v, sent at most %d (known: %v), confirmed %d", r.Verdict, r.ExitObserved, r.SentAtMost, r.SentKnown, r.Confirmed)
	}
	// 9,154, 4,359 and 330,000 of 7,930,000.
	if r.Passports != (Passports{5, 2}) || r.PartnerRows != 166 {
		t.Errorf("passports %+v, rows of the partner %d", r.Passports, r.PartnerRows)
	}
	if !slices.ContainsFunc(r.Missing, func(n trace.Note) bool { return n.Code == "source_silent" && n.Name == proxy }) {
		t.Errorf("the proxy's lost records are not named: %+v", r.Missing)
	}
	if d := r.Destinations; d.Blocked != 1 || d.Known < 4 || d.First.Blocked != 1 || d.First.Known < 2 || d.First.At.Before(jtbBlocked) || !d.AllBlocked.Equal(jtbAll) {
		t.Errorf("destinations: %+v", d)
	}
	if l := r.Lists; l.WorstCase.Recall != 1 || l.Suspected.Recall != 1 || l.Suspected.Precision != 1 {
		t.Errorf("lists: %+v", l)
	}
	for _, e := range r.Timeline {
		if e.Unseen {
			t.Errorf("nobody saw %s", e.Code)
		}
	}
	// All that was taken over is in the incident, and the mail that began it.
	s := newTravel(Config{Seed: DefaultSeedJtb, Members: jtbRows})
	for _, name := range []string{mailServer, web, control, agencyPC(s.cast.infected[0]), agencyPC(s.cast.infected[infectedPCs-1])} {
		if !slices.Contains(r.Endpoints, name) {
			t.Errorf("%s is not in the incident: %v", name, r.Endpoints)
		}
	}
	if len(r.Readers) != len(s.cast.readers) {
		t.Errorf("the mail was opened at %v", r.Readers)
	}
	if _, err := os.Stat(filepath.Join(p.House.Config.Data, "staging", "out.csv")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the intruder's file is still there: %v", err)
	}

	t.Run("what it takes here is read from the ledger", func(t *testing.T) {
		for _, row := range r.Compared.Rows {
			if row.Here == nil || row.Here.Entry == 0 || row.ThenDays == 0 || row.Source == "" {
				t.Errorf("%s: %+v, here %+v", row.What, row, row.Here)
			}
		}
		for _, lang := range []string{"en", "ja"} {
			var text strings.Builder
			Table(&text, teller(t, lang), []*console.Compared{r.Compared})
			if strings.Contains(text.String(), "[then.") || strings.Contains(text.String(), "%!") || !strings.Contains(text.String(), "2016-06-10") {
				t.Errorf("in %s:\n%s", lang, text.String())
			}
			t.Log(text.String())
		}
	})
	t.Run("the report", func(t *testing.T) {
		for lang, want := range map[string][]string{"en": {"SUSPECTED", "EXIT NOT OBSERVED", "web-proxy", "4,000", "of which valid: 2"}, "ja": {"【疑い】", "流出は観測されていません", "web-proxy", "うち有効 2 件"}} {
			var text strings.Builder
			r.Text(&text, teller(t, lang))
			for _, w := range want {
				if !strings.Contains(text.String(), w) {
					t.Errorf("in %s the report does not say %q:\n%s", lang, w, text.String())
				}
			}
			if strings.Contains(text.String(), "[report.") || strings.Contains(text.String(), "%!") {
				t.Errorf("in %s words are missing:\n%s", lang, text.String())
			}
		}
		b, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var back map[string]any
		if err := json.Unmarshal(b, &back); err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"worst_case", "suspected", "sent_at_most", "confirmed", "exit_observed", "passports", "partner_rows", "missing_sources", "destinations", "truth", "lists"} {
			if _, ok := back[key]; !ok {
				t.Errorf("the JSON has no %s", key)
			}
		}
	})
	t.Run("another seed, a larger store, and the file is carried out", func(t *testing.T) {
		const rows = 9000
		q, err := Play(t.Context(), smallJtb(t, 7, rows))
		if err != nil {
			t.Fatal(err)
		}
		defer q.Close()
		o := q.Jtb
		if o.Suspected != o.Truth.FileRows || o.Suspected < rows*94/100 || o.Suspected >= rows || o.Truth.Taken != o.Truth.FileRows {
			t.Errorf("suspected %d, truth %+v", o.Suspected, o.Truth)
		}
		// Nobody watched, so the answer is the same.
		if o.Verdict != "suspected" || o.ExitObserved || o.SentAtMost != o.WorstCase {
			t.Errorf("%q, %v, %d", o.Verdict, o.ExitObserved, o.SentAtMost)
		}
		if slices.Equal(o.Endpoints, r.Endpoints) || o.Passports == r.Passports || o.PartnerRows < 330 || o.PartnerRows > 420 {
			t.Errorf("seed 7 gave %v, %+v, %d", o.Endpoints, o.Passports, o.PartnerRows)
		}
	})
}

// The shipped plan of the full size gives the case's figures.
func TestThePlanOfJtb(t *testing.T) {
	if f := newJtbFigures(DefaultSeedJtb, FullJtb); f != (jtbFigures{FullJtb, 9154, 4359, 330_000, FullJtb}) {
		t.Errorf("%+v", f)
	}
	if f := newJtbFigures(DefaultSeedJtb, FullJtb/10); f != (jtbFigures{FullJtb / 10, 915, 436, 33_000, FullJtb / 10}) {
		t.Errorf("a tenth: %+v", f)
	}
}
