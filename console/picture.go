package console

import (
	"fmt"
	"html/template"
	"strings"

	"sekisho"
)

// The pictures are SVG made of numbers and of this package's own words alone,
// without text inside: labels stand beside them as HTML, so that they keep
// their size on a telephone, can be read aloud, and can be copied.

// share is part/whole in thousandths, at least 3 for anything above nothing.
func share(part, whole uint64) uint64 {
	if part == 0 || whole == 0 {
		return 0
	}
	return min(1000, max(3, uint64(float64(part)/float64(whole)*1000)))
}

// nested is one bar of the four numbers on the scale that all four share: the
// pale ground is the worst case, which holds the others.
func nested(class string, n, worst any) template.HTML {
	return template.HTML(fmt.Sprintf(`<svg class="nested" viewBox="0 0 1000 24" preserveAspectRatio="none" aria-hidden="true">`+
		`<rect class="ground" width="1000" height="24"/><rect class="%s" y="3" width="%d" height="18"/>`+
		`<path class="ticks" d="M250 0V24M500 0V24M750 0V24"/></svg>`,
		template.HTMLEscapeString(class), share(toUint(n), toUint(worst))))
}

// columns draws one column for each value, with a title that a pointer shows.
func columns(values []uint64, alarm []bool, titles []string) template.HTML {
	var top uint64
	for _, n := range values {
		top = max(top, n)
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="columns" viewBox="0 0 %d 100" preserveAspectRatio="none" aria-hidden="true"><path class="floor" d="M0 99.5H%d"/>`,
		10*len(values), 10*len(values))
	for i, n := range values {
		if n == 0 {
			continue
		}
		h, class := max(2, float64(n)/float64(top)*98), "column"
		if alarm[i] {
			class = "column alarm"
		}
		fmt.Fprintf(&b, `<rect class="%s" x="%d" y="%.1f" width="8" height="%.1f"><title>%s</title></rect>`,
			class, 10*i+1, 99-h, h, template.HTMLEscapeString(titles[i]))
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String())
}

// perMinute draws customers named in each minute of the last hour.
func (t *tongue) perMinute(c *minuteChart) template.HTML {
	var values []uint64
	var alarm []bool
	var titles []string
	for _, m := range c.Minutes {
		values = append(values, max(m.Customers, min(m.Statements+m.Refused, 1)))
		alarm = append(alarm, m.AnyRow > 0 || m.Refused > 0)
		titles = append(titles, fmt.Sprintf("%s · %s · %s", m.Time.Go().In(t.zone).Format("15:04"),
			t.count("n.customers", m.Customers), t.count("n.statements", m.Statements)))
	}
	return columns(values, alarm, titles)
}

// Top is the most customers in one minute, the chart's scale.
func (c *minuteChart) Top() (top uint64) {
	for _, m := range c.Minutes {
		top = max(top, m.Customers)
	}
	return top
}

// From is the start of the chart's first minute.
func (c *minuteChart) From() sekisho.Time { return c.Minutes[0].Time }

// A span is a stretch of time cut into equal steps with a count each.
type span struct {
	From  sekisho.Time `json:"from"`
	Until sekisho.Time `json:"until"`
	Step  sekisho.Time `json:"step_us"`
	Steps []uint64     `json:"steps"`
	Noun  string       `json:"-"` // what is counted: a key of words
}

// spread counts moments into steps of a length that a person would choose, no
// shorter than least. There are at least 30, so that one lonely day does not
// fill the picture, and at most 120 as long as a step of 30 days is enough.
func spread(from, until, least sekisho.Time, noun string, each func(add func(at sekisho.Time, n uint64))) *span {
	const minute, fewest, most = sekisho.Time(60e6), 30, 120
	step := least
	for _, m := range []sekisho.Time{1, 5, 15, 60, 3 * 60, 6 * 60, 24 * 60, 7 * 24 * 60, 30 * 24 * 60} {
		if step = max(m*minute, least); (until-from)/step < most {
			break
		}
	}
	n := min((until-from)/step+1, 10*most)
	if n < fewest {
		from, n = from-(fewest-n)*step, fewest
	}
	s := &span{From: from, Until: from + n*step, Step: step, Steps: make([]uint64, n), Noun: noun}
	each(func(at sekisho.Time, n uint64) {
		if i := int((at - s.From) / step); at >= s.From && i < len(s.Steps) {
			s.Steps[i] += n
		}
	})
	return s
}

// Days says that the steps are whole days.
func (s *span) Days() bool { return s.Step >= oneDay }

// Last is the last moment of the span.
func (s *span) Last() sekisho.Time { return s.Until - 1 }

const oneDay = sekisho.Time(24 * 3600e6)

// strip draws a span.
func (t *tongue) strip(s *span) template.HTML {
	alarm := make([]bool, len(s.Steps))
	titles := make([]string, len(s.Steps))
	for i, n := range s.Steps {
		at := s.From + s.Step*sekisho.Time(i)
		title := t.when(at)
		if s.Days() {
			title = t.day(at)
		}
		titles[i] = title + " · " + t.count(s.Noun, n)
	}
	return columns(s.Steps, alarm, titles)
}

// Top is the highest step.
func (s *span) Top() (top uint64) {
	for _, n := range s.Steps {
		top = max(top, n)
	}
	return top
}

// triple is three bars on one scale, thinner the surer: worst case, suspected,
// confirmed.
func triple(worst, suspected, confirmed, top uint64) template.HTML {
	return template.HTML(fmt.Sprintf(`<svg class="triple" viewBox="0 0 1000 18" preserveAspectRatio="none" aria-hidden="true">`+
		`<rect class="worst_case" y="0" width="%d" height="18"/><rect class="suspected" y="4" width="%d" height="10"/>`+
		`<rect class="confirmed" y="7" width="%d" height="4"/></svg>`, share(worst, top), share(suspected, top), share(confirmed, top)))
}

// delta says how a number moved since the revision before.
func delta(before, after uint64) template.HTML {
	switch {
	case after > before:
		return template.HTML(`<span class="delta up">+` + number(after-before) + `</span>`)
	case after < before:
		return template.HTML(`<span class="delta down">−` + number(before-after) + `</span>`)
	}
	return ""
}
