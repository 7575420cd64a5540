package console

import (
	"embed"
	"fmt"
	"io/fs"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"sekisho"
	"sekisho/sheet"
	"sekisho/tell"
)

//go:embed words/*.txt
var wordFiles embed.FS

// languages lists what the console speaks. The first is the one for a browser
// that asks for neither.
var languages = []string{"en", "ja"}

// A tongue is one language: its words, and how it writes numbers and times. It
// never changes after New.
type tongue struct {
	Lang  string // "en" or "ja"
	words map[string]string
	zone  *time.Location
	// names says what the company calls what its catalog names. nil: what the house
	// calls it.
	names func(name, lang string) string
}

// called is what people read for a name of the catalog.
func (t *tongue) called(name string) string {
	if t.names != nil {
		return t.names(name, t.Lang)
	}
	return (&tell.Config{}).Called(name, t.Lang)
}

// readTongue reads the catalogue of one language, which is LANG.txt and every
// NOUN.LANG.txt beside it: lines of "key = text", where the text is a format of
// package fmt.
func readTongue(lang string, zone *time.Location) (*tongue, error) {
	t := &tongue{Lang: lang, words: map[string]string{}, zone: zone}
	files, err := fs.Glob(wordFiles, "words/*"+lang+".txt")
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("reading the words of language %q: there are none (%v)", lang, err)
	}
	for _, file := range files {
		raw, err := wordFiles.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("reading the words of language %q: %w", lang, err)
		}
		for i, line := range strings.Split(string(raw), "\n") {
			line = strings.TrimSpace(line)
			if line == "" || line[0] == '#' {
				continue
			}
			key, text, ok := strings.Cut(line, " = ")
			if key = strings.TrimSpace(key); !ok || key == "" {
				return nil, fmt.Errorf("%s line %d: want \"key = text\"", file, i+1)
			}
			if _, twice := t.words[key]; twice {
				return nil, fmt.Errorf("%s line %d: %q stands there twice", file, i+1, key)
			}
			t.words[key] = strings.TrimSpace(text)
		}
	}
	return t, nil
}

// say is the text called key. A key that does not exist shows itself, and a
// test fails; a visitor would rather see it than an empty page.
func (t *tongue) say(key string, args ...any) string {
	text, ok := t.words[key]
	if !ok {
		return "[" + key + "]"
	}
	if len(args) == 0 {
		return text
	}
	if one, ok := t.words[key+".one"]; ok && isOne(args[0]) {
		if text = one; !strings.Contains(one, "%") {
			return one
		}
	}
	return fmt.Sprintf(text, args...)
}

// isOne: a sentence with this number first has another form where there is one,
// which stands beside it as KEY.one.
func isOne(n any) bool {
	s, written := n.(string)
	return written && s == "1" || !written && toUint(n) == 1
}

// has says whether there is a text called key.
func (t *tongue) has(key string) bool { _, ok := t.words[key]; return ok }

// code is the text of a machine's word, such as a reason or an outcome; a
// newer ledger may hold a word that this program has no text for, which then
// stands for itself.
func (t *tongue) code(group, word string) string {
	if word == "" {
		return ""
	}
	if key := group + "." + strings.ReplaceAll(word, " ", "_"); t.has(key) {
		return t.say(key)
	}
	return word
}

// item is what distinguishes two pieces of evidence of one kind: "bec/812" or
// "nda*" in words, and what people named themselves as it is.
func (t *tongue) item(item string) string {
	item = strings.TrimRight(item, "*-/")
	head, tail, _ := strings.Cut(item, "/")
	if whole := t.code("dutyitem", item); whole != item || tail == "" {
		return whole
	}
	return t.code("dutyitem", head) + " " + tail
}

// trait is what a rule of a register hangs on.
func (t *tongue) trait(code string) string {
	if n, ok := strings.CutPrefix(code, "quorum_"); ok {
		return t.say("trait.quorum", n)
	}
	return t.code("trait", code)
}

// fault is why a piece of evidence does not count.
func (t *tongue) fault(state string) string {
	if key := "check.missing." + state; t.has(key) {
		return strings.TrimRight(t.say(key), ".。")
	}
	return t.code("evstate", state)
}

// count is "1 customer" or "5 customers". Japanese has one form, and so one
// key.
func (t *tongue) count(noun string, n any) string {
	v := toUint(n)
	if v == 1 && t.has(noun+".one") {
		return t.say(noun + ".one")
	}
	return t.say(noun, number(v))
}

// open and shut are the brackets around what is added to a word.
func (t *tongue) open() string {
	open, _ := sheet.Brackets(t.Lang)
	return open
}

func (t *tongue) shut() string {
	_, shut := sheet.Brackets(t.Lang)
	return shut
}

// beside puts what is added to a word behind it, in brackets.
func (t *tongue) beside(word, added string) string { return word + sheet.Added(added, t.Lang) }

// number writes n with a comma every three digits, as both languages do.
func number(n any) string {
	s := strconv.FormatUint(toUint(n), 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// ordinal writes a number that something is called by, such as an incident's or
// an entry's: ungrouped, so that it can be copied into a command.
func ordinal(n any) string { return strconv.FormatUint(toUint(n), 10) }

// called reads such a number as somebody typed or copied it.
func called(s string) (uint64, error) {
	return strconv.ParseUint(strings.NewReplacer(",", "", "#", "").Replace(strings.TrimSpace(s)), 10, 64)
}

func toUint(n any) uint64 {
	switch v := n.(type) {
	case uint64:
		return v
	case uint32:
		return uint64(v)
	case int:
		return uint64(max(v, 0))
	case int64:
		return uint64(max(v, 0))
	}
	return 0
}

// when is a moment for tables: its zone stands once on the page.
func (t *tongue) when(at sekisho.Time) string {
	if at == 0 {
		return "–"
	}
	if t.Lang == "ja" {
		return at.Go().In(t.zone).Format("2006/01/02 15:04:05")
	}
	return at.Go().In(t.zone).Format("2 Jan 2006 15:04:05")
}

// day is a date in words.
func (t *tongue) day(at sekisho.Time) string {
	if at == 0 {
		return "–"
	}
	if t.Lang == "ja" {
		return at.Go().In(t.zone).Format("2006年1月2日")
	}
	return at.Go().In(t.zone).Format("2 January 2006")
}

// dateIn is midnight of a day.
func dateIn(y int, m time.Month, d int, zone *time.Location) time.Time {
	return time.Date(y, m, d, 0, 0, 0, 0, zone)
}

// clock is the time of day.
func (t *tongue) clock(at sekisho.Time) string {
	return at.Go().In(t.zone).Format("15:04:05")
}

// iso is a moment for machines, in the zone of the page.
func (t *tongue) iso(at sekisho.Time) string {
	return at.Go().In(t.zone).Format(time.RFC3339)
}

// zoneName is the zone of every time on the page, such as "JST, UTC+09:00".
func (t *tongue) zoneName(at time.Time) string {
	at = at.In(t.zone)
	name, _ := at.Zone()
	offset := "UTC" + at.Format("-07:00")
	if name == "" || name == "UTC" || strings.ContainsAny(name, "+-") {
		return offset
	}
	return name + ", " + offset
}

// duration writes a length of time with its two largest units.
func (t *tongue) duration(seconds float64) string {
	n := uint64(seconds)
	units := []struct {
		key  string
		size uint64
	}{{"unit.days", 86400}, {"unit.hours", 3600}, {"unit.minutes", 60}, {"unit.seconds", 1}}
	for i, u := range units {
		if n < u.size && u.size > 1 {
			continue
		}
		text := t.count(u.key, n/u.size)
		if rest := n % u.size; i+1 < len(units) && rest >= units[i+1].size {
			text += t.say("unit.gap") + t.count(units[i+1].key, rest/units[i+1].size)
		}
		return strings.ReplaceAll(text, "_", " ")
	}
	return ""
}

// within writes a length of time that a config states, such as 30d or 12h.
func (t *tongue) within(of any) string {
	s := fmt.Sprint(of)
	whole, unit := strings.CutSuffix(s, "d")
	if n, err := strconv.ParseUint(whole, 10, 32); err == nil && unit {
		return t.duration(float64(n) * 86400)
	}
	if d, err := time.ParseDuration(s); err == nil && d >= time.Second {
		return t.duration(d.Seconds())
	}
	return s
}

// cite names an article or edition; two words of the shipped rules say that there
// is none to name.
func (t *tongue) cite(s string) string {
	switch s {
	case "not confirmed":
		return t.say("edition.unconfirmed")
	case "none":
		return t.say("edition.none")
	}
	return s
}

// bytes writes an amount of data in decimal units.
func (t *tongue) bytes(n uint64) string {
	units := []string{"B", "kB", "MB", "GB", "TB", "PB"}
	v, u := float64(n), 0
	for v >= 1000 && u < len(units)-1 {
		v, u = v/1000, u+1
	}
	if u == 0 {
		return number(n) + " B"
	}
	return strconv.FormatFloat(v, 'f', 1, 64) + " " + units[u]
}

const languageCookie = "sekisho_language"

// language picks the visitor's: what the link in the page set, else what the
// browser asks for (RFC 9110 section 12.5.4; only the order of weights
// matters between two languages).
func language(r *http.Request) string {
	if c, err := r.Cookie(languageCookie); err == nil && slices.Contains(languages, c.Value) {
		return c.Value
	}
	best, weight := languages[0], 0.0
	for i, part := range strings.Split(r.Header.Get("Accept-Language"), ",") {
		if i == 16 {
			break
		}
		tag, rest, _ := strings.Cut(strings.TrimSpace(part), ";")
		primary, _, _ := strings.Cut(strings.ToLower(tag), "-")
		w := 1.0
		if q, ok := strings.CutPrefix(strings.TrimSpace(rest), "q="); ok {
			if v, err := strconv.ParseFloat(q, 64); err == nil {
				w = v
			}
		}
		if w > weight && slices.Contains(languages, primary) {
			best, weight = primary, w
		}
	}
	return best
}
