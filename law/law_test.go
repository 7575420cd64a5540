package law_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"sekisho/law"
)

func shipped(t *testing.T) *law.Book {
	t.Helper()
	b, err := law.Load(law.Shipped())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func tokyo(t *testing.T, s string) time.Time {
	t.Helper()
	zone, err := time.LoadLocation("Asia/Tokyo")
	if err != nil {
		t.Fatal(err)
	}
	at, err := time.ParseInLocation("2006-01-02 15:04:05", s, zone)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// clock gives one clock of a regime, or fails.
func clock(t *testing.T, list []law.Finding, regime, step string) law.Clock {
	t.Helper()
	for _, f := range list {
		for _, c := range f.Clocks {
			if f.Regime == regime && c.Step == step {
				return c
			}
		}
	}
	t.Fatalf("no clock %s of %s in %+v", step, regime, list)
	return law.Clock{}
}

// leak is the facts of an event known at a time, in a company of Japan.
func leak(known time.Time, improper law.Answer) law.Facts {
	return law.Facts{
		Aware:       []law.Aware{{At: known, Basis: law.Told, State: law.Confirmed}},
		Answers:     map[string]law.Answer{law.ImproperPurpose: improper},
		Subjects:    law.Subjects{Upper: law.N(7_930_000), Residence: []law.Residence{{Place: "JP", Upper: 7_930_000}}},
		Established: []string{"JP"},
	}
}

// The days of real cases under the law of today.
func TestGoldenVectors(t *testing.T) {
	b := shipped(t)
	for _, c := range []struct{ name, known, from, until, days30, days60 string }{
		{"JTB, the provider's call", "2016-03-19 10:00:00", "2016-03-21", "2016-03-23", "2016-04-18", "2016-05-17"},
		{"JTB, content confirmed", "2016-05-13 00:00:00", "2016-05-15", "2016-05-17", "2016-06-13", "2016-07-11"},
		{"JAL, announcement", "2014-09-24 23:59:59", "2014-09-26", "2014-09-28", "2014-10-23", "2014-11-25"},
		{"ANA, complaints", "2014-03-09 12:00:00", "2014-03-11", "2014-03-13", "2014-04-07", "2014-05-07"},
	} {
		for improper, want := range map[law.Answer]string{law.No: c.days30, law.Unknown: c.days30, law.Yes: c.days60} {
			list := b.Judge(law.Question{Facts: leak(tokyo(t, c.known), improper), Now: tokyo(t, c.known), Replay: true})
			first, last := clock(t, list, "jp-appi", "preliminary"), clock(t, list, "jp-appi", "final")
			if first.From != c.from || first.DueDay != c.until || last.DueDay != want {
				t.Errorf("%s, improper purpose %v: %s to %s and %s, want %s to %s and %s", c.name, improper, first.From, first.DueDay, last.DueDay, c.from, c.until, want)
			}
		}
	}
}

// The table of the manual is what comes out: each row's known day, window and
// limits.
func TestTheManualsTableIsTrue(t *testing.T) {
	text, err := os.ReadFile("../docs/law.md")
	if err != nil {
		t.Fatal(err)
	}
	b, rows := shipped(t), 0
	days := regexp.MustCompile(`\d{4}-\d{2}-\d{2}`)
	_, table, _ := strings.Cut(string(text), "## Japan, to the day")
	for line := range strings.Lines(table) {
		cells := strings.Split(line, "|")
		if len(cells) != 7 {
			continue
		}
		known := days.FindString(cells[2])
		if known == "" {
			continue
		}
		rows++
		if day := tokyo(t, known+" 12:00:00"); day.Format("Mon") != strings.Fields(cells[2])[0] {
			t.Errorf("%s is a %s", strings.TrimSpace(cells[2]), day.Format("Mon"))
		}
		for i, improper := range map[int]law.Answer{4: law.No, 5: law.Yes} {
			list := b.Judge(law.Question{Facts: leak(tokyo(t, known+" 12:00:00"), improper), Now: tokyo(t, known+" 12:00:00"), Replay: true})
			first, last := clock(t, list, "jp-appi", "preliminary"), clock(t, list, "jp-appi", "final")
			if window := first.From[5:] + " to " + first.DueDay[5:]; window != strings.TrimSpace(cells[3]) || days.FindString(cells[i]) != last.DueDay {
				t.Errorf("%s: %s and %s, the manual says %s", strings.TrimSpace(cells[1]), window, last.DueDay, line)
			}
		}
	}
	if rows < 8 {
		t.Errorf("only %d rows were found", rows)
	}
}
