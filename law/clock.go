package law

import (
	"strings"
	"time"
)

// warnAt is the share of a clock's time after which it is due soon, in
// hundredths.
const warnAt = 80

// clock computes one duty. False: it is not owed.
func (j *judge) clock(rule *ClockRule, holding map[string]Answer) (Clock, bool) {
	r := j.rule
	c := Clock{Regime: r.ID, Step: rule.Step, Article: rule.Article, Name: rule.Name, Text: rule.Text, Advice: rule.Advice,
		Zone: r.Zone, Status: rule.Status, State: Waiting, Recipients: j.recipients(rule.To)}
	switch j.all(rule.When) {
	case No:
		return c, false
	case Unknown:
		c.Conditional = true
	}
	c.Items = (&Finding{rule: r}).Items(rule.Step)

	start, provisional, ok := j.start(rule, holding)
	if ok {
		c.Start, c.Provisional, c.StartDay = start, provisional, dayOf(start, r.zone).Format(time.DateOnly)
		switch rule.Limit {
		case "fixed":
			c.State = Running
			j.limit(&c, rule, holding)
		case "prompt":
			c.State = Open
		case "unknown":
			c.State = LimitUnknown
		}
	}
	j.settle(&c, rule)
	return c, true
}

// start gives the moment that a rule counts from.
func (j *judge) start(rule *ClockRule, holding map[string]Answer) (at time.Time, provisional, ok bool) {
	f := j.facts
	kind, of, _ := strings.Cut(rule.Start, ":")
	switch kind {
	case "fact":
		at, ok = f.At[of]
		return at, false, ok
	case "sent":
		report, ok := f.sent(j.rule.ID, of)
		return report.At, false, ok
	}
	first, ok := f.Earliest()
	at = first.At
	certain, confirmed := f.certain()
	if f.Start != nil {
		at, ok = *f.Start, true
	}
	if kind == "certain" && confirmed && certain.After(at) {
		at = certain
	}
	if passed, late := j.passed(holding); late && passed.After(at) {
		at = passed
	}
	return at, !confirmed, ok
}

// passed gives the time at which the first trigger came to hold, if every
// trigger that holds, or may hold, does so only because a number of people was
// passed later.
func (j *judge) passed(holding map[string]Answer) (first time.Time, ok bool) {
	for _, t := range j.rule.Triggers {
		if holding[t.ID] == No {
			continue
		}
		var since time.Time
		for _, c := range t.When {
			if c.kind != "people" || c.negate {
				continue
			}
			if at, known := j.facts.passed(c.over); known && at.After(since) {
				since = at
			}
		}
		if since.IsZero() {
			return since, false
		}
		if !ok || since.Before(first) {
			first, ok = since, true
		}
	}
	return first, ok
}

// limit computes window and due day of a rule with a number.
func (j *judge) limit(c *Clock, rule *ClockRule, holding map[string]Answer) {
	c.Amount, c.Unit = rule.Amount, rule.Unit
	for _, x := range rule.Instead {
		if holding[x.Trigger] == Yes {
			c.Amount = x.Amount
		}
	}
	j.days(c, rule)
	for _, x := range rule.Instead {
		if holding[x.Trigger] == Unknown && c.Amount != x.Amount {
			other := *c
			other.Amount, other.Rolled, other.Computed, other.Error = x.Amount, nil, false, ""
			j.days(&other, rule)
			c.If = append(c.If, Alternative{Trigger: x.Trigger, Amount: x.Amount, Due: other.Due, DueDay: other.DueDay})
		}
	}
}

// days computes it for the amount that the clock has.
func (j *judge) days(c *Clock, rule *ClockRule) {
	r := j.rule
	c.Count = rule.Count
	if parameter, hangs := strings.CutPrefix(c.Count, "inclusive if "); hangs {
		if c.Count = "elapsed"; r.Parameters[parameter] {
			c.Count = "inclusive"
		}
	}
	first := dayOf(c.Start, r.zone) // day 0, or day 1 where it counts
	offset := 0
	if c.Count == "inclusive" {
		offset = 1
	}
	var due time.Time // a day
	var err error
	switch c.Unit {
	case "hours":
		c.Due = c.Start.Add(time.Duration(c.Amount) * time.Hour).In(r.zone)
		c.DueDay = c.Due.Format(time.DateOnly)
		return
	case "months":
		c.Due = addMonths(c.Start.In(r.zone), c.Amount)
		c.DueDay = c.Due.Format(time.DateOnly)
		return
	case "business_days":
		due, err = j.book.calendars[r.Calendar].businessDays(first, c.Amount)
	case "days":
		due = first.AddDate(0, 0, c.Amount-offset)
		if rule.Window > 0 {
			c.From = first.AddDate(0, 0, rule.Window-offset).Format(time.DateOnly)
		}
	}
	if rule.Roll && err == nil {
		due, c.Rolled, err = j.book.calendars[r.Calendar].Roll(due)
	}
	if err != nil {
		c.State, c.Error = LimitUnknown, err.Error()
		return
	}
	if cal := j.book.calendars[r.Calendar]; cal != nil && (rule.Roll || c.Unit == "business_days") {
		c.Computed = due.Year() > cal.Published
	}
	c.DueDay, c.Due = due.Format(time.DateOnly), endOf(due, r.zone)
}

// addMonths gives the same day and hour n months later, or the month's last day
// where it has no such day (Regulation 1182/71, art. 3(2)(c)).
func addMonths(t time.Time, n int) time.Time {
	later := t.AddDate(0, n, 0)
	if later.Day() != t.Day() {
		later = later.AddDate(0, 0, -later.Day())
	}
	return later
}

// settle says where the clock stands: what was sent, and what time it is.
func (j *judge) settle(c *Clock, rule *ClockRule) {
	for _, step := range append([]string{rule.Step}, rule.MetBy...) {
		if r, ok := j.facts.sent(j.rule.ID, step); ok && (c.Sent.IsZero() || r.At.Before(c.Sent)) {
			c.Sent, c.Entry = r.At, r.Entry
		}
	}
	if !c.Sent.IsZero() {
		if c.State = Met; !c.Due.IsZero() && c.Sent.After(c.Due) {
			c.State = MetLate
		}
		return
	}
	for _, step := range rule.Exempts {
		if r, ok := j.facts.sent(j.rule.ID, step); ok {
			c.State, c.Sent, c.Entry = Lifted, r.At, r.Entry
			return
		}
	}
	if c.Due.IsZero() {
		return
	}
	whole := c.Due.Sub(c.Start)
	switch gone := j.now.Sub(c.Start); {
	case j.now.After(c.Due):
		c.State = Overdue
	case gone >= whole/100*warnAt:
		c.State = DueSoon
	}
}

// recipients gives the rows for a duty: those of the industry, else those of
// any, in force on
// the day of the question.
func (j *judge) recipients(to string) (list []Recipient) {
	day := dayOf(j.now, j.rule.zone)
	if from, err := parseDay(j.rule.From); err == nil && day.Before(from) {
		day = from // a replay: the recipient of the rule that is applied
	}
	for _, industry := range []string{j.facts.Industry, ""} {
		for _, row := range j.rule.Recipients {
			if row.To == to && row.Industry == industry && inForce(row.From, row.Until, day) {
				list = append(list, Recipient{Name: row.Name, Via: row.Via, Status: row.Status, Note: row.Note})
			}
		}
		if len(list) > 0 {
			return list
		}
	}
	return list
}
