package law

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// ErrOutOfRange is wrapped by what is asked about a year that a calendar does
// not know.
var ErrOutOfRange = errors.New("no calendar for that year")

// A Calendar says which days are holidays, by the text of the act that makes
// them: a file of rules/calendars. Days are midnights in UTC that stand for a
// civil date.
type Calendar struct {
	ID     string `yaml:"calendar" json:"calendar"`
	Name   Words  `yaml:"name" json:"name"`
	Source string `yaml:"source" json:"source"`
	// From and Until are the years that it can answer for, both included. Until
	// Published the days are the government's own announcement; later ones are
	// computed, and can still change.
	From      int `yaml:"from" json:"from"`
	Published int `yaml:"published" json:"published"`
	Until     int `yaml:"until" json:"until"`
	// Substitute says what becomes of a holiday on a weekend: "after sunday", the
	// next day that is no holiday (Japan); "nearest", Friday or Monday (United
	// States).
	Substitute string `yaml:"substitute" json:"substitute"`
	// Between: a day between two holidays is one (Japan, art. 3(3)).
	Between bool `yaml:"between" json:"between"`
	// Closed are days on which an authority takes nothing in, beside weekends and
	// holidays: month and day, over the turn of a year too.
	Closed   []Closed  `yaml:"closed" json:"closed,omitempty"`
	Holidays []Holiday `yaml:"holidays" json:"holidays"`

	years map[int]map[time.Time]Words
	file  string
}

// Closed is a span of days in every year.
type Closed struct {
	From  string `yaml:"from" json:"from"` // 12-29
	To    string `yaml:"to" json:"to"`     // 01-03
	Name  Words  `yaml:"name" json:"name"`
	first monthDay
	last  monthDay
}

type monthDay struct {
	month time.Month
	day   int
}

func (a monthDay) before(b monthDay) bool {
	return a.month < b.month || a.month == b.month && a.day < b.day
}

// A Holiday recurs every year of its range.
type Holiday struct {
	Name Words `yaml:"name" json:"name"`
	// On is 05-03, "2nd monday of 01", "last monday of 05", "vernal equinox" or
	// "autumnal equinox".
	On     string `yaml:"on" json:"on"`
	From   int    `yaml:"from" json:"from,omitempty"`
	Until  int    `yaml:"until" json:"until,omitempty"`
	Except []int  `yaml:"except" json:"except,omitempty"`
}

func day(year int, month time.Month, d int) time.Time {
	return time.Date(year, month, d, 0, 0, 0, 0, time.UTC)
}

// dayOf is the civil date of an instant in a zone.
func dayOf(t time.Time, zone *time.Location) time.Time {
	return day(t.In(zone).Date())
}

// endOf is the last microsecond of a civil date in a zone.
func endOf(d time.Time, zone *time.Location) time.Time {
	y, m, dd := d.Date()
	return time.Date(y, m, dd+1, 0, 0, 0, 0, zone).Add(-time.Microsecond)
}

// equinox is the day of March or September on which the sun crosses the
// equator by Japanese time, for 1980 to 2099: the mean motion that almanacs
// use. It agrees with every day announced so far.
func equinox(year int, base int64) int {
	n := int64(year - 1980)
	return int((base+242_194*n)/1_000_000 - n/4)
}

// on is the day of the holiday in a year, without regard to its range.
func (h *Holiday) on(year int) (time.Time, error) {
	switch h.On {
	case "vernal equinox":
		return day(year, time.March, equinox(year, 20_843_100)), nil
	case "autumnal equinox":
		return day(year, time.September, equinox(year, 23_248_800)), nil
	}
	if md, err := parseMonthDay(h.On); err == nil {
		return day(year, md.month, md.day), nil
	}
	var which, weekday string
	var month int
	if n, err := fmt.Sscanf(h.On, "%s %s of %02d", &which, &weekday, &month); n != 3 || err != nil || month < 1 || month > 12 {
		return time.Time{}, fmt.Errorf("holiday on %q: write 05-03, 2nd monday of 01, last monday of 05, vernal equinox or autumnal equinox", h.On)
	}
	at := -1
	for d := time.Sunday; d <= time.Saturday; d++ {
		if strings.EqualFold(d.String(), weekday) {
			at = int(d)
		}
	}
	nth := map[string]int{"1st": 1, "2nd": 2, "3rd": 3, "4th": 4, "last": 5}[which]
	if at < 0 || nth == 0 {
		return time.Time{}, fmt.Errorf("holiday on %q: %q or %q is not understood", h.On, which, weekday)
	}
	d := day(year, time.Month(month), 1)
	d = d.AddDate(0, 0, (at-int(d.Weekday())+7)%7+7*(nth-1))
	if d.Month() != time.Month(month) {
		d = d.AddDate(0, 0, -7)
	}
	return d, nil
}

func parseMonthDay(s string) (monthDay, error) {
	t, err := time.Parse("2006-01-02", "2000-"+s)
	if err != nil {
		return monthDay{}, fmt.Errorf("%q is no month and day: write 12-29", s)
	}
	return monthDay{t.Month(), t.Day()}, nil
}

// build computes every year of the range, so that asking cannot fail later.
func (c *Calendar) build() error {
	if c.ID == "" || c.Source == "" || c.From < 1900 || c.Until > 2099 || c.Until < c.From {
		return fmt.Errorf("%s: calendar %q: calendar, source, from and until (1900 to 2099) must be there", c.file, c.ID)
	}
	if c.Substitute != "" && c.Substitute != "after sunday" && c.Substitute != "nearest" {
		return fmt.Errorf("%s: substitute %q: it is after sunday or nearest", c.file, c.Substitute)
	}
	for i := range c.Closed {
		x, err := &c.Closed[i], error(nil)
		if x.first, err = parseMonthDay(x.From); err == nil {
			x.last, err = parseMonthDay(x.To)
		}
		if err != nil {
			return fmt.Errorf("%s: closed: %w", c.file, err)
		}
	}
	// A year more on either side: a substitute can fall into the next one.
	national := map[time.Time]Words{}
	for year := c.From - 1; year <= c.Until+1; year++ {
		for i := range c.Holidays {
			h := &c.Holidays[i]
			if h.From != 0 && year < h.From || h.Until != 0 && year > h.Until || contains(h.Except, year) {
				continue
			}
			d, err := h.on(year)
			if err != nil {
				return fmt.Errorf("%s: %w", c.file, err)
			}
			national[d] = h.Name
		}
	}
	c.years = map[int]map[time.Time]Words{}
	for year := c.From; year <= c.Until; year++ {
		c.years[year] = map[time.Time]Words{}
	}
	put := func(d time.Time, name Words) {
		if y := c.years[d.Year()]; y != nil {
			if _, there := y[d]; !there {
				y[d] = name
			}
		}
	}
	for d, name := range national {
		put(d, name)
	}
	for d, name := range national {
		if s, moved := c.substitute(d, national); moved {
			put(s, Words{EN: name.EN + " (substitute)", JA: "振替休日（" + name.JA + "）"})
		}
	}
	for d := range national {
		between := d.AddDate(0, 0, 1)
		_, itself := national[between]
		_, next := national[d.AddDate(0, 0, 2)]
		if c.Between && !itself && next {
			put(between, Words{EN: "Citizens' holiday", JA: "国民の休日"})
		}
	}
	return nil
}

func contains(list []int, n int) bool {
	for _, x := range list {
		if x == n {
			return true
		}
	}
	return false
}

func (c *Calendar) substitute(d time.Time, national map[time.Time]Words) (time.Time, bool) {
	switch {
	case c.Substitute == "after sunday" && d.Weekday() == time.Sunday:
		for {
			d = d.AddDate(0, 0, 1)
			if _, holiday := national[d]; !holiday {
				return d, true
			}
		}
	case c.Substitute == "nearest" && d.Weekday() == time.Sunday:
		return d.AddDate(0, 0, 1), true
	case c.Substitute == "nearest" && d.Weekday() == time.Saturday:
		return d.AddDate(0, 0, -1), true
	}
	return d, false
}

// Holiday gives the name of a holiday, or false for any other day. The error
// wraps ErrOutOfRange for years that the calendar does not know.
func (c *Calendar) Holiday(d time.Time) (Words, bool, error) {
	y, ok := c.years[d.Year()]
	if !ok {
		return Words{}, false, fmt.Errorf("%w: %d; calendar %s knows %d to %d", ErrOutOfRange, d.Year(), c.ID, c.From, c.Until)
	}
	name, ok := y[day(d.Date())]
	return name, ok, nil
}

// ClosedOn says that nothing is taken in on a day, and why.
func (c *Calendar) ClosedOn(d time.Time) (why Words, closed bool, err error) {
	why, closed, err = c.Holiday(d)
	if err != nil || closed {
		return why, closed, err
	}
	switch d.Weekday() {
	case time.Saturday:
		return Words{EN: "Saturday", JA: "土曜日"}, true, nil
	case time.Sunday:
		return Words{EN: "Sunday", JA: "日曜日"}, true, nil
	}
	at := monthDay{d.Month(), d.Day()}
	for _, x := range c.Closed {
		in := !at.before(x.first) && !x.last.before(at)
		if x.last.before(x.first) { // over the turn of the year
			in = !at.before(x.first) || !x.last.before(at)
		}
		if in {
			return x.Name, true, nil
		}
	}
	return Words{}, false, nil
}

// Rolled is a day that a limit passed over, and why.
type Rolled struct {
	Day string `json:"day"`
	Why Words  `json:"why"`
}

// Roll gives the first day from d on that is not closed, and those passed over.
func (c *Calendar) Roll(d time.Time) (time.Time, []Rolled, error) {
	var over []Rolled
	for {
		why, closed, err := c.ClosedOn(d)
		if err != nil || !closed {
			return d, over, err
		}
		over = append(over, Rolled{Day: d.Format(time.DateOnly), Why: why})
		d = d.AddDate(0, 0, 1)
	}
}

// businessDays gives the n-th open day after d.
func (c *Calendar) businessDays(d time.Time, n int) (time.Time, error) {
	for n > 0 {
		d = d.AddDate(0, 0, 1)
		_, closed, err := c.ClosedOn(d)
		if err != nil {
			return d, err
		}
		if !closed {
			n--
		}
	}
	return d, nil
}
