package survey

import (
	"cmp"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"sekisho"
)

const (
	// believe is the confidence from which a guess becomes a classification.
	// Below it the column stays unclassified, which protects it, and a person is
	// asked.
	believe = .5
	// mention is the confidence from which a guess is worth telling.
	mention = .15
	// enough different values to contradict a name.
	enough = 20
)

// guess fills in what each column of a sampled table seems to hold.
func (t *Table) guess() {
	for _, c := range t.Columns {
		c.Guesses = c.judge()
	}
}

// judge weighs values, name and comment of one column.
func (c *Column) judge() []Guess {
	distinct := slices.Clone(c.samples)
	slices.Sort(distinct)
	distinct = slices.Compact(distinct)

	found := map[Kind]*Guess{}
	add := func(k Kind, confidence float64, reason Reason) {
		g := found[k]
		if g == nil {
			g = &Guess{Kind: k, Category: kinds[Kind(strings.TrimPrefix(string(k), "text_with_"))].category}
			found[k] = g
		}
		g.Confidence = 1 - (1-g.Confidence)*(1-confidence)
		g.Reasons = append(g.Reasons, reason)
	}

	shares := map[Kind]float64{}
	for _, r := range recognisers() {
		if !slices.Contains(r.classes, c.class) || len(distinct) == 0 {
			continue
		}
		n := 0
		for _, v := range distinct {
			if r.match(v) {
				n++
			}
		}
		share := float64(n) / float64(len(distinct))
		shares[r.kind] = max(shares[r.kind], share)
		if n < 3 && len(distinct) > 3 || share < r.from || r.kind == "passport_no" && serial(distinct) {
			continue
		}
		sure := r.sure * between(.55, 1, (share-r.from)/(r.full-r.from)) * fewer(len(distinct))
		add(r.kind, sure, Reason{"values_" + string(r.kind), []any{percent(share)}})
	}
	c.judgeDates(distinct, shares, add)
	c.judgeCodes(distinct, shares, add)
	c.judgeText(distinct, add)

	for k, worth := range ofName(c.Name, c.class) {
		reason := Reason{"name", []any{string(k)}}
		if kinds[k].checkable && len(distinct) >= enough && shares[k] < .05 {
			worth *= .3
			reason = Reason{"name_against_values", []any{string(k)}}
		}
		add(k, worth, reason)
	}
	if c.comment != "" {
		for k, worth := range ofName(c.comment, c.class) {
			if kinds[k].checkable && len(distinct) >= enough && shares[k] < .05 {
				continue
			}
			// A comment speaks of other columns too.
			add(k, worth*.75, Reason{"comment", []any{string(k)}})
		}
	}
	list := make([]Guess, 0, len(found))
	for _, g := range found {
		if g.Confidence >= mention {
			list = append(list, *g)
		}
	}
	slices.SortFunc(list, func(a, b Guess) int {
		return cmp.Or(cmp.Compare(b.Confidence, a.Confidence), cmp.Compare(a.Kind, b.Kind))
	})
	return graveFirst(list)
}

// graveFirst puts what does the most harm before what is likelier: a number
// that may be a card's, and may be some code, is taken for the card's.
func graveFirst(list []Guess) []Guess {
	rank := func(g Guess) int {
		if g.Confidence >= believe && g.Category&(sekisho.Credential|sekisho.Payment|sekisho.TravelDoc) != 0 {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(list, func(a, b Guess) int { return rank(a) - rank(b) })
	return list
}

// best is the guess that classifies the column, if any does.
func (c *Column) best() (g Guess, ok bool) {
	if len(c.Guesses) == 0 {
		return g, false
	}
	return c.Guesses[0], c.Guesses[0].Confidence >= believe
}

// is says whether the column is believed to be of one of these kinds.
func (c *Column) is(of ...Kind) bool {
	g, ok := c.best()
	return ok && slices.Contains(of, g.Kind)
}

// serial: the values count up from one beginning, as codes of products do.
// Numbers of documents are spread.
func serial(sorted []string) bool {
	const same = 5
	if len(sorted) < 8 {
		return false
	}
	first, last := sorted[0], sorted[len(sorted)-1]
	return len(first) > same && len(last) > same && first[:same] == last[:same]
}

func between(low, high, at float64) float64 { return low + (high-low)*min(max(at, 0), 1) }

// fewer values say less: two say hardly anything.
func fewer(n int) float64 { return min(1, .4+.06*float64(n)) }

func percent(share float64) int { return int(math.Round(100 * share)) }

// Bounds of the ages that the people of a table can have.
const (
	oldest     = 112 // years
	middleFrom = 15  // the median person is at least so old
	middleTo   = 85
	spread     = 14 // years between the first and last tenth
)

// judgeDates tells dates of birth from other dates by the ages that they make:
// nobody is of the future, half are grown up, and they are decades apart.
func (c *Column) judgeDates(distinct []string, shares map[Kind]float64, add func(Kind, float64, Reason)) {
	if c.class != classDate && c.class != classText && c.class != classTime && c.class != classInteger || len(distinct) < 8 {
		return
	}
	today := time.Now()
	var ages []float64 // years; negative: in the future
	for _, v := range distinct {
		if d, ok := dateOf(v); ok {
			ages = append(ages, today.Sub(d).Hours()/24/365.25)
		}
	}
	if len(ages) < len(distinct)*8/10 || len(ages) < 8 {
		return
	}
	slices.Sort(ages)
	possible := 0
	for _, a := range ages {
		if a >= 0 && a <= oldest {
			possible++
		}
	}
	at := func(part float64) float64 { return ages[int(part*float64(len(ages)-1))] }
	median, wide := at(.5), at(.9)-at(.1)
	if possible < len(ages)*95/100 || c.class == classInteger && wide < spread {
		return
	}
	// Whatever passes for a date and has been does not contradict the name.
	shares["birth_date"] = .5
	if median >= middleFrom && median <= middleTo && wide >= spread {
		shares["birth_date"] = 1
		add("birth_date", between(.6, .8, (wide-spread)/20)*fewer(len(distinct)), Reason{"values_birth_date", []any{int(median), int(wide)}})
	}
}

// judgeCodes tells what has few different values.
func (c *Column) judgeCodes(distinct []string, shares map[Kind]float64, add func(Kind, float64, Reason)) {
	if c.class != classText || len(distinct) == 0 || len(c.samples) < 10 {
		return
	}
	all := func(f func(string) bool) bool {
		return !slices.ContainsFunc(distinct, func(v string) bool { return !f(v) })
	}
	if len(distinct) >= 2 && len(distinct) <= 5 && all(func(v string) bool { return sexes[strings.ToLower(v)] }) {
		add("sex", .7, Reason{"values_sex", []any{len(distinct)}})
	}
	if len(distinct) >= 2 && all(isCountry) {
		add("country", .65, Reason{"values_country", []any{len(distinct)}})
	}
	if n := len(distinct); n >= 8 && all(isKatakana) && shares["person_name_kana"] < .15 {
		add("person_name_kana", .3, Reason{"values_katakana", nil})
	}
}

var (
	inText = regexp.MustCompile(`[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}|\+?\(?\d[\d() -]{7,22}\d|[A-Z]{2}\d{7}`)
	// honorific: somebody is spoken of by name.
	honorific = regexp.MustCompile(`\p{Han}{1,4}(?:様|さん|殿|氏)|\b(?:Mr|Mrs|Ms)\.? [A-Z]`)
)

// judgeText looks for personal data inside of longer texts and documents.
func (c *Column) judgeText(distinct []string, add func(Kind, float64, Reason)) {
	if c.class != classText && c.class != classDocument || len(distinct) == 0 {
		return
	}
	hits := map[Kind]int{}
	for _, v := range distinct {
		if c.class != classDocument && utf8.RuneCountInString(v) < 12 {
			continue
		}
		seen := map[Kind]bool{}
		for _, part := range inText.FindAllString(v, 16) {
			if len(part) == len(v) {
				break // the whole value is of one kind, so it is no text
			}
			part = strings.TrimSpace(part)
			switch {
			case isEmail(part):
				seen["email"] = true
			case isCard(part):
				seen["card_no"] = true
			case isPhone(part):
				seen["phone"] = true
			case isPassport(part) && len(part) == 9:
				seen["passport_no"] = true
			}
		}
		if honorific.MatchString(v) {
			seen["person_name"] = true
		}
		for k := range seen {
			hits[k]++
		}
	}
	// The gravest first: the text is of that category as a whole.
	for _, k := range []Kind{"card_no", "passport_no", "phone", "email", "person_name"} {
		if share := float64(hits[k]) / float64(len(distinct)); hits[k] >= 2 && share >= .01 {
			add("text_with_"+k, between(.6, .9, share*5), Reason{"values_inside", []any{percentOf(share), string(k)}})
		}
	}
}

// percentOf keeps small shares visible.
func percentOf(share float64) string {
	if share >= .1 {
		return strconv.FormatFloat(100*share, 'f', 0, 64)
	}
	return strconv.FormatFloat(100*share, 'g', 2, 64)
}
