package console

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"sekisho"
	"sekisho/trace"
)

// A Teller tells the four numbers outside of a page, on a terminal or in a
// report, in the words of the console.
type Teller struct{ t *tongue }

// NewTeller speaks a language ("en" or "ja"), with the times of a zone.
func NewTeller(lang string, zone *time.Location) (*Teller, error) {
	if !slices.Contains(languages, lang) {
		return nil, fmt.Errorf("there are no words in the language %q: use en or ja", lang)
	}
	t, err := readTongue(lang, zone)
	return &Teller{t}, err
}

// Lang is the language.
func (w *Teller) Lang() string { return w.t.Lang }

// Say is the text called key, with its arguments.
func (w *Teller) Say(key string, args ...any) string { return w.t.say(key, args...) }

// Code is the text of a machine's word, such as a detector's name.
func (w *Teller) Code(group, word string) string { return w.t.code(group, word) }

// Count is so many of something.
func (w *Teller) Count(noun string, n uint64) string { return w.t.count(noun, n) }

// Join joins a list with the words called key, in which _ is a space.
func (w *Teller) Join(list []string, key string) string {
	return strings.Join(list, strings.ReplaceAll(w.t.say(key), "_", " "))
}

// Duration is a length of time in seconds, with its two largest units.
func (w *Teller) Duration(seconds float64) string { return w.t.duration(seconds) }

// Formula says how a number came about.
func (w *Teller) Formula(f trace.Formula) string { return w.t.formula(f) }

// Note tells what was not observed.
func (w *Teller) Note(n trace.Note) string { return w.t.note(n) }

// When is a moment of an answer, as its JSON has it, in the zone.
func (w *Teller) When(rfc3339 string) string {
	at, err := time.Parse(time.RFC3339Nano, rfc3339)
	if err != nil {
		return rfc3339
	}
	return w.t.when(sekisho.At(at))
}

// Window is an answer's, as a person would have typed it, with the zone.
func (w *Teller) Window(a *trace.Answer) string {
	since, err := time.Parse(time.RFC3339Nano, a.Since)
	until, other := time.Parse(time.RFC3339Nano, a.Until)
	if err != nil || other != nil {
		return w.t.say("answer.window", a.Since, a.Until, "UTC")
	}
	return w.t.say("answer.window", w.typed(since), w.typed(until), w.t.zoneName(since))
}

func (w *Teller) typed(at time.Time) string {
	at = at.In(w.t.zone)
	for _, layout := range []string{"2006-01-02", "2006-01-02 15:04", "2006-01-02 15:04:05"} {
		if back, err := time.ParseInLocation(layout, at.Format(layout), w.t.zone); err == nil && back.Equal(at) {
			return at.Format(layout)
		}
	}
	return at.Format("2006-01-02 15:04:05.999999")
}

// Hostile lists destinations; a single address without its prefix length.
func (w *Teller) Hostile(list []netip.Prefix) string {
	var names []string
	for _, p := range list {
		names = append(names, prefixText(p))
	}
	return strings.Join(names, ", ")
}

// prefixText is a prefix as people write it.
func prefixText(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

// Parts writes a breakdown, one line for each dimension. In English the names
// are those of the JSON.
func (w *Teller) Parts(parts []trace.Part) (lines []string) {
	var order []string
	by := map[string][]string{}
	for _, p := range parts {
		if _, ok := by[p.Dimension]; !ok {
			order = append(order, p.Dimension)
		}
		v, group := p.Value, "datevalue"
		if p.Kind == "category" {
			group = "category"
		}
		switch {
		case v == "":
			v = strings.TrimSpace(w.t.beside("", strings.ToLower(w.t.say("none"))))
		case w.t.Lang != "en" && p.Kind != "label":
			v = w.t.code(group, v)
		}
		by[p.Dimension] = append(by[p.Dimension], v+" "+number(p.Count))
	}
	for _, d := range order {
		name := d
		if w.t.Lang != "en" {
			name = w.t.code("dimension", d)
		}
		lines = append(lines, w.t.say("answer.by", name, w.Join(by[d], "answer.comma")))
	}
	return lines
}

// Pad writes text in so many columns of a terminal, on which a Japanese
// character takes two; a negative width puts it to the right.
func Pad(text string, width int) string {
	taken := 0
	for _, r := range text {
		taken++
		if r >= 0x1100 && r <= 0x115f || r >= 0x2e80 && r <= 0xa4cf || r >= 0xac00 && r <= 0xd7a3 || r >= 0xf900 && r <= 0xfaff || r >= 0xfe30 && r <= 0xfe6f || r >= 0xff00 && r <= 0xff60 || r >= 0xffe0 && r <= 0xffe6 {
			taken++
		}
	}
	room := strings.Repeat(" ", max(0, max(width, -width)-taken))
	if width < 0 {
		return room + text
	}
	return text + room
}
