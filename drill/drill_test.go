package drill

import (
	"bytes"
	"context"
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"sekisho"
	"sekisho/catalog"
	"sekisho/demo"
	"sekisho/trace"
)

// The tests play the case on a small store, in a real cluster.

const (
	people  = 20140924 // seed of the store
	members = 6000
)

var cluster *demo.Cluster

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "drill-test")
	if err != nil {
		panic(err)
	}
	code := 1
	if cluster, err = demo.StartCluster(context.Background(), demo.ClusterConfig{Dir: dir}); err == nil {
		if err = demo.Fill(context.Background(), cluster, demo.FillConfig{Members: members, Seed: people}); err == nil {
			code = m.Run()
		}
		cluster.Stop()
	}
	if err != nil {
		os.Stderr.WriteString(err.Error() + "\n")
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

func demoCatalog(t testing.TB) (c catalog.Config) {
	t.Helper()
	if err := yaml.UnmarshalWithOptions([]byte(demo.CatalogYAML), &c, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	return c
}

func small(t testing.TB, seed uint64) Config {
	return Config{Scenario: Jal2014, Cluster: cluster, Seed: seed, StoreSeed: people, Members: members, Catalog: demoCatalog(t), Dir: filepath.Join(t.TempDir(), "drill")}
}

// figures are what must be the same when the same drill is played again.
type figures struct {
	worst, suspected, sent, confirmed uint64
	truth                             Truth
	lists                             Lists
}

func figuresOf(r *Report) figures {
	return figures{r.WorstCase, r.Suspected, r.SentAtMost, r.Confirmed, r.Truth, r.Lists}
}

func TestTheAnswersHoldAgainstTheTruth(t *testing.T) {
	p, err := Play(t.Context(), small(t, DefaultSeed))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	r := p.Report
	if r.Confirmed == 0 || r.Confirmed > r.Truth.Taken || r.Truth.Taken > r.SentAtMost || r.SentAtMost > r.WorstCase || r.Truth.Taken > r.WorstCase {
		t.Errorf("confirmed %d, taken %d, sent at most %d, worst case %d: out of order", r.Confirmed, r.Truth.Taken, r.SentAtMost, r.WorstCase)
	}
	if r.Lists.WorstCase.Recall != 1 || r.Lists.WorstCase.Precision != 1 {
		t.Errorf("the list of the worst case: %+v", r.Lists.WorstCase)
	}
	// The mailing's account at the mailing's own terminal is the detector's blind
	// spot; all else that the bursts read, it finds.
	if l := r.Lists.Suspected; l.Recall < 0.9 || l.Recall == 1 || l.Precision < 0.99 {
		t.Errorf("the list of the suspected: %+v", l)
	}
	if l := r.Lists.Confirmed; l.Precision != 1 || l.Both < r.Truth.Undamaged*9/10 {
		t.Errorf("the list of the confirmed: %+v, of %d undamaged rows", l, r.Truth.Undamaged)
	}
	if r.Truth.TrialRead != trialPeople {
		t.Errorf("the trial read %d people, want %d", r.Truth.TrialRead, trialPeople)
	}
	if !r.Spared.Credentials || !r.Spared.Payment {
		t.Errorf("spared: %+v", r.Spared)
	}
	for _, e := range r.Timeline {
		switch e.Code {
		case "burst":
			if e.Seen.IsZero() || e.Seen.Sub(e.At) > time.Hour {
				t.Errorf("the burst of %v was seen at %v", e.At, e.Seen)
			}
		case "sent":
			if e.Seen.IsZero() || e.Seen.Sub(e.At) > rotated {
				t.Errorf("what was sent at %v was seen at %v", e.At, e.Seen)
			}
		case "trial":
			if !e.Seen.IsZero() {
				t.Errorf("the trial was seen at %v: tell so in the report", e.Seen)
			}
		}
	}
	if r.Incident == 0 {
		t.Error("no incident was opened for the bursts")
	}
	if !strings.Contains(r.Answer.Numbers.SentAtMost.Formula.Text, "compression") {
		t.Errorf("sent at most: %s", r.Answer.Numbers.SentAtMost.Formula.Text)
	}

	t.Run("the incident shows how the numbers moved", func(t *testing.T) {
		p.House.Views.Read(func() {
			i := p.House.Incidents.Get(r.Incident)
			if i == nil || len(i.Revisions) < 3 {
				t.Fatalf("incident %d: %+v", r.Incident, i)
			}
			last := i.Revisions[len(i.Revisions)-1].Body
			if last.WorstCase != r.WorstCase || last.Suspected != r.Suspected || last.SentAtMost != r.SentAtMost || last.Confirmed != r.Confirmed {
				t.Errorf("the last revision is %+v", last)
			}
		})
	})
	t.Run("another file confirms others", func(t *testing.T) {
		b, err := os.ReadFile(p.Recovered)
		if err != nil {
			t.Fatal(err)
		}
		lines := bytes.SplitAfter(b, []byte("\r\n"))
		half := bytes.Join(lines[:1+len(lines)/2], nil)
		matched, _, err := p.House.MatchFile(t.Context(), bytes.NewReader(half), "member")
		if err != nil {
			t.Fatal(err)
		}
		a, err := p.House.Impact(t.Context(), trace.Question{
			Space: "member", Endpoints: infected[:], Since: sekisho.At(windowOn), Until: sekisho.At(windowOff), Files: []*sekisho.FileMatched{matched},
			Hostile: []netip.Prefix{netip.MustParsePrefix(dropSite + "/32")},
		})
		if err != nil {
			t.Fatal(err)
		}
		if a.Confirmed == 0 || a.Confirmed >= r.Confirmed {
			t.Errorf("half of the file confirms %d people, all of it %d", a.Confirmed, r.Confirmed)
		}
		if a.WorstCase != r.WorstCase || a.Suspected != r.Suspected || a.SentAtMost != r.SentAtMost {
			t.Errorf("another file moved other numbers: %d, %d, %d", a.WorstCase, a.Suspected, a.SentAtMost)
		}
	})
	t.Run("the alerts add up", func(t *testing.T) {
		a := r.Alerts
		inIncidents := 0
		for _, i := range a.Incidents {
			inIncidents += i.Alerts
		}
		if a.Before+a.Judging+a.Sent+a.Other != a.All || inIncidents != a.All-a.Before || a.Before != r.Learning {
			t.Errorf("%+v, %d while learning", a, r.Learning)
		}
		for _, term := range r.Answer.Numbers.Suspected.Formula.Terms {
			if term.Name == "alerts" && int(term.Value) != a.Judging {
				t.Errorf("the formula speaks of %v alerts, the report of %d", term.Value, a.Judging)
			}
		}
	})
	t.Run("the report", func(t *testing.T) {
		var text strings.Builder
		r.Text(&text, teller(t, "en"))
		for _, want := range []string{thousands(r.WorstCase), thousands(r.SentAtMost), "No credentials and no payment data", "precision"} {
			if !strings.Contains(text.String(), want) {
				t.Errorf("the report does not say %q:\n%s", want, text.String())
			}
		}
		b, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var back struct {
			WorstCase  uint64            `json:"worst_case"`
			Suspected  uint64            `json:"suspected"`
			SentAtMost uint64            `json:"sent_at_most"`
			Confirmed  uint64            `json:"confirmed"`
			Truth      map[string]uint64 `json:"truth"`
			Lists      map[string]struct{ Precision, Recall *float64 }
		}
		if err := json.Unmarshal(b, &back); err != nil {
			t.Fatal(err)
		}
		if back.WorstCase != r.WorstCase || back.Suspected != r.Suspected || back.SentAtMost != r.SentAtMost || back.Confirmed != r.Confirmed ||
			back.Truth["read"] != r.Truth.Read || back.Truth["taken"] != r.Truth.Taken {
			t.Errorf("as JSON: %+v", back)
		}
		for _, l := range []string{"worst_case", "suspected", "confirmed"} {
			if back.Lists[l].Precision == nil || back.Lists[l].Recall == nil {
				t.Errorf("list %s has no precision or recall", l)
			}
		}
	})
	t.Run("the same drill again", func(t *testing.T) {
		again, err := Run(t.Context(), small(t, DefaultSeed))
		if err != nil {
			t.Fatal(err)
		}
		if got, want := figuresOf(again), figuresOf(r); got != want {
			t.Errorf("the same seed gave\n%+v, then\n%+v", want, got)
		}
	})
	t.Run("another seed, and nobody watching the way out", func(t *testing.T) {
		c := small(t, 7)
		c.noTraffic = true
		other, err := Run(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		if other.WorstCase == r.WorstCase || other.Suspected == r.Suspected || other.Truth.SentBytes == r.Truth.SentBytes || other.Confirmed == r.Confirmed {
			t.Errorf("seed 7 gave a figure of seed %d: %+v", DefaultSeed, figuresOf(other))
		}
		if other.Answer.SentKnown || other.SentAtMost != other.WorstCase {
			t.Errorf("sent at most %d of a worst case of %d, known: %v", other.SentAtMost, other.WorstCase, other.Answer.SentKnown)
		}
		for _, e := range other.Timeline {
			if e.Code == "sent" && !e.Seen.IsZero() {
				t.Errorf("what nobody watched was seen at %v", e.Seen)
			}
		}
	})
}

// The sizes of the shipped plan follow from the script alone, except for what
// the detector and the damage make of it.
func TestThePlanOfAMillion(t *testing.T) {
	s := newScript(DefaultSeed, people, 1_000_000)
	index := make(map[int64]int, s.members)
	for i := range s.members {
		index[s.number(i)] = i
	}
	at := func(number int64) int {
		if i, ok := index[number]; ok {
			return i
		}
		return s.members
	}
	worst, swept := make([]bool, s.members), make([]bool, s.members)
	for _, a := range s.acts {
		if !slices.Contains(infected[:], a.desk.endpoint) || a.at.Before(windowOn) || !a.at.Before(windowOff) {
			continue
		}
		switch w := a.work.(type) {
		case look:
			for _, m := range w.members {
				worst[at(m)] = true
			}
		case slice:
			for i := at(w.from); i < at(w.to); i++ {
				worst[i] = true
			}
		case page:
			from := at(w.after + 1)
			for i := from; i < min(s.members, from+w.rows); i++ {
				worst[i] = true
				swept[i] = swept[i] || a.desk.account != mailing
			}
		}
	}
	count := func(set []bool) (n int) {
		for _, in := range set {
			if in {
				n++
			}
		}
		return n
	}
	if n := count(worst); n != 750_000 {
		t.Errorf("%d people are read at the infected terminals in the window", n)
	}
	if n := count(swept); n < 189_500 || n >= 190_500 {
		t.Errorf("%d people are read in the sweeps", n)
	}
}

// TestShippedPlan plays the plan in full. It takes a minute, and a store:
// SEKISHO_DRILL names a directory where one is made and kept.
func TestShippedPlan(t *testing.T) {
	dir := os.Getenv("SEKISHO_DRILL")
	if dir == "" {
		t.Skip("set SEKISHO_DRILL to a directory to play the case with a million members")
	}
	cl, err := demo.StartCluster(t.Context(), demo.ClusterConfig{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Stop()
	c := small(t, DefaultSeed)
	c.Cluster, c.Members = cl, 1_000_000
	if err := demo.Fill(t.Context(), cl, demo.FillConfig{Members: c.Members, Seed: people}); err != nil {
		t.Fatal(err)
	}
	r, err := Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	r.Text(t.Output(), teller(t, "en"))
	if r.WorstCase != 750_000 || r.Suspected < 189_500 || r.Suspected >= 190_500 || r.SentAtMost > 21_000 || r.SentAtMost < 20_500 || r.Confirmed != 4131 {
		t.Errorf("worst case %d, suspected %d, sent at most %d, confirmed %d", r.WorstCase, r.Suspected, r.SentAtMost, r.Confirmed)
	}
	if slices.Contains([]uint64{r.WorstCase, r.Suspected, r.SentAtMost, r.Confirmed}, r.Truth.Taken) {
		t.Errorf("taken %d is one of the four", r.Truth.Taken)
	}
}
