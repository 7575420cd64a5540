package law_test

import (
	"errors"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"sekisho/law"
)

// announced is the list of holidays that the test has from elsewhere.
func announced(t *testing.T) map[string]bool {
	t.Helper()
	text, err := os.ReadFile("testdata/holidays-jp.txt")
	if err != nil {
		t.Fatal(err)
	}
	list := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			list[line] = true
		}
	}
	return list
}

func date(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 0, 0, 0, 0, time.UTC) }

// The act's twenty lines give every day that was announced, and no other:
// substitutes, days between two holidays, the accession, the games.
func TestHolidaysAreThoseAnnounced(t *testing.T) {
	jp, want := shipped(t).Calendar("jp"), announced(t)
	if len(want) < 17*15 {
		t.Fatalf("only %d days to compare with", len(want))
	}
	for d := date(2014, 1, 1); d.Year() <= 2030; d = d.AddDate(0, 0, 1) {
		name, holiday, err := jp.Holiday(d)
		if err != nil || holiday != want[d.Format(time.DateOnly)] {
			t.Errorf("%s: holiday %v (%s, %v), announced %v", d.Format(time.DateOnly), holiday, name.JA, err, !holiday)
		}
		if holiday && (name.EN == "" || name.JA == "") {
			t.Errorf("%s has no name", d.Format(time.DateOnly))
		}
	}
}

// The days that other tables get wrong, by name.
func TestHolidaysByName(t *testing.T) {
	b := shipped(t)
	for _, c := range []struct{ calendar, day, name string }{
		{"jp", "2009-09-22", "国民の休日"},
		{"jp", "2014-11-24", "振替休日（勤労感謝の日）"},
		{"jp", "2016-05-04", "みどりの日"},
		{"jp", "2018-12-24", "振替休日（天皇誕生日）"},
		{"jp", "2019-04-30", "国民の休日"},
		{"jp", "2019-05-01", "天皇の即位の日"},
		{"jp", "2019-05-02", "国民の休日"},
		{"jp", "2019-05-06", "振替休日（こどもの日）"},
		{"jp", "2019-10-22", "即位礼正殿の儀の行われる日"},
		{"jp", "2019-12-23", ""},
		{"jp", "2019-02-23", ""},
		{"jp", "2020-02-24", "振替休日（天皇誕生日）"},
		{"jp", "2020-07-20", ""},
		{"jp", "2020-07-23", "海の日"},
		{"jp", "2020-07-24", "スポーツの日"},
		{"jp", "2020-08-10", "山の日"},
		{"jp", "2020-08-11", ""},
		{"jp", "2020-10-12", ""},
		{"jp", "2021-08-09", "振替休日（山の日）"},
		{"jp", "2026-05-06", "振替休日（憲法記念日）"}, // Sunday 3 May; 4 and 5 May are holidays themselves
		{"jp", "2026-09-22", "国民の休日"},
		{"jp", "2032-09-21", "国民の休日"},
		{"us", "2026-07-03", "独立記念日"}, // Saturday 4 July
		{"us", "2027-07-05", "独立記念日"}, // Sunday 4 July
		{"us", "2027-12-31", "元日"},    // Saturday 1 January 2028
		{"us", "2026-11-26", "感謝祭"},
		{"us", "2026-05-25", "戦没将兵追悼記念日"},
		{"us", "2020-06-19", ""},
	} {
		d, err := time.Parse(time.DateOnly, c.day)
		if err != nil {
			t.Fatal(err)
		}
		name, holiday, err := b.Calendar(c.calendar).Holiday(d)
		if got := strings.TrimPrefix(name.JA, ""); err != nil || holiday != (c.name != "") || !strings.Contains(got, c.name) {
			t.Errorf("%s: %q (%v), want %q", c.day, got, err, c.name)
		}
	}
}

// What a calendar does not know it does not guess.
func TestYearsOutOfRangeAreErrors(t *testing.T) {
	jp := shipped(t).Calendar("jp")
	for _, d := range []time.Time{date(2006, 12, 31), date(2051, 1, 1), date(1, 1, 1), date(9999, 12, 31)} {
		if _, _, err := jp.Roll(d); !errors.Is(err, law.ErrOutOfRange) {
			t.Errorf("%v: %v", d, err)
		}
	}
	if _, _, err := jp.Roll(date(2050, 12, 31)); !errors.Is(err, law.ErrOutOfRange) {
		t.Errorf("a limit that rolls out of the range: %v", err)
	}
}

// slow is the reading of Rule 8(2) that a clerk would do with a wall calendar:
// put a finger on the knowing day, say "one", and move on.
func slow(holidays map[string]bool, known time.Time, n int) time.Time {
	finger := known
	for said := 1; said < n; said++ {
		finger = finger.Add(24 * time.Hour)
	}
	for {
		_, m, d := finger.Date()
		turn := m == time.December && d >= 29 || m == time.January && d <= 3
		if !turn && finger.Weekday() != time.Saturday && finger.Weekday() != time.Sunday && !holidays[finger.Format(time.DateOnly)] {
			return finger
		}
		finger = finger.Add(24 * time.Hour)
	}
}

// Every day of 2014 to 2030, at a random moment of it, and at its first and
// last second in Tokyo: the engine and the clerk agree.
func TestEveryDayAgreesWithTheSlowWay(t *testing.T) {
	b, holidays := shipped(t), announced(t)
	random := rand.New(rand.NewPCG(7, 2016))
	tokyo, err := time.LoadLocation("Asia/Tokyo")
	if err != nil {
		t.Fatal(err)
	}
	zones := []*time.Location{time.UTC, tokyo, time.FixedZone("far west", -12*3600)}
	for d := date(2014, 1, 1); d.Before(date(2030, 11, 1)); d = d.AddDate(0, 0, 1) {
		midnight := time.Date(d.Year(), d.Month(), d.Day(), 0, 0, 0, 0, tokyo)
		for _, within := range []time.Duration{0, time.Duration(random.Int64N(int64(24 * time.Hour))), 24*time.Hour - time.Nanosecond} {
			known := midnight.Add(within).In(zones[random.IntN(3)])
			for n, improper := range map[int]law.Answer{30: law.No, 60: law.Yes} {
				c := clock(t, b.Judge(law.Question{Facts: leak(known, improper), Now: known, Replay: true}), "jp-appi", "final")
				want := slow(holidays, d, n)
				// The last moment is the one before the next midnight in Tokyo.
				next := time.Date(want.Year(), want.Month(), want.Day()+1, 0, 0, 0, 0, tokyo)
				if c.DueDay != want.Format(time.DateOnly) || !c.Due.Add(time.Microsecond).Equal(next) || c.Computed != (want.Year() > 2027) {
					t.Fatalf("known %v, %d days: %s (%v, computed %v), want %s", known, n, c.DueDay, c.Due, c.Computed, want.Format(time.DateOnly))
				}
			}
		}
	}
}
