package incident

import (
	"errors"
	"fmt"

	"sekisho"
)

// Severity is the formula by which a severity is computed, as data. The score
// is the greatest product there is: for each number that the ledger can give
// (confirmed, likely, possible), and each category of data in it with the people
// whom that category concerns,
//
//	points(people) × weight(category) × validity × certainty × going on
//
// Validity is of travel documents alone: the dates of a roster are theirs.
type Severity struct {
	Subjects   []Band             `yaml:"subjects"`   // ascending
	Unasked    float64            `yaml:"unknown"`    // points while no number can be given
	Categories map[string]float64 `yaml:"categories"` // names as in the catalog; "unknown" where none is known
	Validity   Validity           `yaml:"validity"`
	Certainty  map[string]float64 `yaml:"certainty"` // "confirmed", "likely", "possible"
	Ongoing    Ongoing            `yaml:"ongoing"`
	Levels     []Level            `yaml:"levels"` // ascending; the first from 0
}

// Band: from so many people on, so many points.
type Band struct {
	From   uint64  `yaml:"from"`
	Points float64 `yaml:"points"`
}

// Validity weighs what still opens doors, such as passports that are not past.
type Validity struct {
	Expired float64 `yaml:"expired"` // nothing is valid any more
	Unknown float64 `yaml:"unknown"` // the list of everybody does not say
	Valid   float64 `yaml:"valid"`   // everything is
}

// Ongoing weighs whether it still goes on. What is not known counts as yes.
type Ongoing struct {
	Yes float64 `yaml:"yes"`
	No  float64 `yaml:"no"`
}

// Level is what a score is called.
type Level struct {
	Key  string  `yaml:"key"`
	From float64 `yaml:"from"`
	Say  Words   `yaml:"say"`
}

func (s *Severity) check() error {
	if len(s.Subjects) == 0 || len(s.Levels) == 0 || s.Levels[0].From != 0 {
		return errors.New("subjects or levels is missing, or the first level is not from 0")
	}
	for n, b := range s.Subjects[1:] {
		if b.From <= s.Subjects[n].From || b.Points < s.Subjects[n].Points {
			return fmt.Errorf("subjects from %d: the bands must ascend", b.From)
		}
	}
	for n, l := range s.Levels {
		if n > 0 && l.From <= s.Levels[n-1].From || !l.Say.both() || l.Key == "" {
			return fmt.Errorf("level %q: the levels must ascend, and be named in both languages", l.Key)
		}
	}
	for _, key := range []string{"confirmed", "likely", "possible"} {
		if s.Certainty[key] <= 0 {
			return fmt.Errorf("certainty: %s is missing", key)
		}
	}
	for _, c := range sekisho.AllCategories() {
		if s.Categories[c.String()] <= 0 {
			return fmt.Errorf("categories: %s is missing", c)
		}
	}
	if s.Categories["unknown"] <= 0 || s.Unasked <= 0 || s.Validity.Expired <= 0 || s.Validity.Unknown <= 0 || s.Validity.Valid <= 0 || s.Ongoing.Yes <= 0 || s.Ongoing.No <= 0 {
		return errors.New("every weight must be above 0")
	}
	return nil
}

// A Finding is one number with what is behind it.
type Finding struct {
	Certainty  string    // "confirmed", "likely", "possible"
	Subjects   uint64    // people
	Asked      bool      // false: the number cannot be given
	Categories []Counted // of data
	Dated      bool      // the list of everybody has a date, such as a passport's
	Valid      uint64    // how many of the people at most have a date that is not past
}

// Counted is a category of data with the people whom it concerns.
type Counted struct {
	Name   string
	People uint64
}

// A Term is one product, with its factors.
type Term struct {
	Finding
	Points    float64 `json:"points"`
	Category  string  `json:"category"` // that makes the greatest product
	People    uint64  `json:"people"`   // whom it concerns
	OfDated   uint64  `json:"of_dated"` // people whose documents are concerned; 0 if it is about none, or no dates are known
	StillGood uint64  `json:"valid"`    // how many of these at most are still valid
	Weight    float64 `json:"weight"`
	Validity  float64 `json:"validity"`
	Certain   float64 `json:"certain"`
	Ongoing   float64 `json:"ongoing"`
	Score     float64 `json:"score"`
	Strongest bool    `json:"strongest"`
}

// A Judgement is a severity with how it came about.
type Judgement struct {
	Level   string  `json:"level"`
	Rank    int     `json:"rank"` // from 0
	Say     Words   `json:"-"`
	Score   float64 `json:"score"`
	Ongoing bool    `json:"ongoing"`
	Terms   []Term  `json:"terms"`
}

// points of so many people.
func (s *Severity) points(f Finding, people uint64) (points float64) {
	if !f.Asked {
		return s.Unasked
	}
	for _, b := range s.Subjects {
		if people >= b.From {
			points = b.Points
		}
	}
	return points
}

func (t *Term) product() float64 { return t.Points * t.Weight * t.Validity * t.Certain * t.Ongoing }

// Judge computes the severity.
func (s *Severity) Judge(found []Finding, ongoing bool) Judgement {
	j := Judgement{Ongoing: ongoing}
	on := s.Ongoing.No
	if ongoing {
		on = s.Ongoing.Yes
	}
	best := -1
	for _, f := range found {
		t := Term{Finding: f, Category: "unknown", People: f.Subjects, Weight: s.Categories["unknown"], Validity: s.Validity.Unknown, Certain: s.Certainty[f.Certainty], Ongoing: on}
		t.Points = s.points(f, f.Subjects)
		t.Score = t.product()
		known, most := false, uint64(0)
		for _, c := range f.Categories {
			w, ok := s.Categories[c.Name]
			if !ok {
				continue
			}
			one := t
			one.Category, one.People, one.Weight, one.Validity, one.OfDated, one.StillGood = c.Name, min(c.People, f.Subjects), w, s.Validity.Unknown, 0, 0
			one.Points = s.points(f, one.People)
			if c.Name == sekisho.TravelDoc.String() && f.Dated && one.People > 0 {
				one.OfDated, one.StillGood = one.People, min(f.Valid, one.People)
				one.Validity = s.Validity.Expired + (s.Validity.Valid-s.Validity.Expired)*float64(one.StillGood)/float64(one.OfDated)
			}
			most = max(most, one.People)
			if one.Score = one.product(); !known || one.Score > t.Score {
				t, known = one, true
			}
		}
		if rest := f.Subjects - most; known && rest > 0 { // of whom no category is known
			one := Term{Finding: f, Category: "unknown", People: rest, Points: s.points(f, rest), Weight: s.Categories["unknown"], Validity: s.Validity.Unknown, Certain: t.Certain, Ongoing: on}
			if one.Score = one.product(); one.Score > t.Score {
				t = one
			}
		}
		j.Terms = append(j.Terms, t)
		if best < 0 || t.Score > j.Terms[best].Score {
			best = len(j.Terms) - 1
		}
	}
	if best >= 0 {
		j.Terms[best].Strongest, j.Score = true, j.Terms[best].Score
	}
	for n, l := range s.Levels {
		if j.Score >= l.From {
			j.Level, j.Rank, j.Say = l.Key, n, l.Say
		}
	}
	return j
}
