package duty

import (
	"fmt"
	"time"
)

// A Window is the time in which a duty must be done: from its beginning up to
// and without its end.
type Window struct {
	From, Until int64
	Name        string // such as "2026", "2026-H1", "2026-Q3", "2026-04": of years that begin where the company's do
}

const (
	microsADay    = 86_400_000_000
	microsAMinute = 60_000_000
)

// A calendar cuts time into windows. Days begin at midnight of its zone, so a
// day can have 23 or 25 hours; windows are made of months, so that neither
// month ends nor leap years move them.
type calendar struct {
	zone  *time.Location
	first time.Month // of the year
}

// at is the window of a kind in which t lies.
func (c calendar) at(kind string, t int64) Window {
	local := time.UnixMicro(t).In(c.zone)
	// months since the first month of year 0's duties
	n := local.Year()*12 + int(local.Month()) - int(c.first)
	return c.window(kind, n-mod(n, months(kind)))
}

func months(kind string) int {
	switch kind {
	case "year":
		return 12
	case "half":
		return 6
	case "quarter":
		return 3
	}
	return 1
}

func mod(a, b int) int { return ((a % b) + b) % b }

// window begins n months after the first month of year 0's duties.
func (c calendar) window(kind string, n int) Window {
	size := months(kind)
	begin := func(n int) time.Time { return time.Date(0, c.first+time.Month(n), 1, 0, 0, 0, 0, c.zone) }
	from := begin(n)
	year, part := (n-mod(n, 12))/12, mod(n, 12)/size+1
	w := Window{From: from.UnixMicro(), Until: begin(n + size).UnixMicro()}
	switch kind {
	case "year":
		w.Name = fmt.Sprintf("%d", year)
	case "half":
		w.Name = fmt.Sprintf("%d-H%d", year, part)
	case "quarter":
		w.Name = fmt.Sprintf("%d-Q%d", year, part)
	default:
		w.Name = from.Format("2006-01")
	}
	return w
}

// between are the windows of a kind from that in which since lies to that in
// which now lies.
func (c calendar) between(kind string, since, now int64) (list []Window) {
	if since > now {
		since = now
	}
	for w := c.at(kind, since); ; w = c.at(kind, w.Until) {
		list = append(list, w)
		if now < w.Until {
			return list
		}
	}
}

// days counts the days that begin within from and until.
func (w Window) days() int64 { return (w.Until - w.From + microsADay/2) / microsADay }

// dayOf is when the day of t began.
func (c calendar) dayOf(t int64) int64 {
	local := time.UnixMicro(t).In(c.zone)
	return time.Date(local.Year(), local.Month(), local.Day(), 0, 0, 0, 0, c.zone).UnixMicro()
}

// nextDay is when the day after t's begins.
func (c calendar) nextDay(t int64) int64 {
	local := time.UnixMicro(t).In(c.zone)
	return time.Date(local.Year(), local.Month(), local.Day()+1, 0, 0, 0, 0, c.zone).UnixMicro()
}

// plusDays is so many days later by the calendar, at the same time of the day.
func (c calendar) plusDays(t int64, days int) int64 {
	return time.UnixMicro(t).In(c.zone).AddDate(0, 0, days).UnixMicro()
}
