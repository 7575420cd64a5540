package tell

import (
	"cmp"
	"crypto/rand"
	"encoding/binary"
	randv2 "math/rand/v2"
	"slices"
	"strings"
	"time"

	"sekisho"
	"sekisho/duty"
)

// Who gets which lure when: worked out before anything goes out, and the same
// again from the same seed.

// LureAsk is what somebody wants to send.
type LureAsk struct {
	Title  string    `json:"title"`
	Lures  []string  `json:"lures"` // names of templates
	Units  []uint32  `json:"units,omitempty"`
	From   time.Time `json:"from"`
	Until  time.Time `json:"until"`
	Opens  string    `json:"opens"`  // "09:00"
	Closes string    `json:"closes"` // "18:00"
	Days   []int     `json:"days,omitempty"`
	Reason string    `json:"reason"`
	// Seed makes the random choices. A dry run gives it out, and the campaign that
	// is asked for with it is the one that was shown.
	Seed uint64 `json:"seed,omitempty"`
}

// A LureTurn is one person's part of a plan.
type LureTurn struct {
	Staff uint32
	Lure  int // in the plan's Lures
	At    sekisho.Time
}

// A LureVersion is one template in one language.
type LureVersion struct {
	Lure     *duty.Lure
	Language string
}

// A LurePlan is what a campaign would be. Nothing has happened.
type LurePlan struct {
	Ask      LureAsk
	Lures    []LureVersion
	Turns    []LureTurn     // by staff
	Excluded map[string]int // why nobody writes to so many: "no_address", "bad_address", "outside_domains", "away"
	Listed   int
	Takes    time.Duration // at the configured rate, at least
}

// Refuses says why no lure may go to an address; "" for one to which it may.
func (l *Lures) Refuses(address string) string {
	domain := address[strings.LastIndexByte(address, '@')+1:]
	if !slices.ContainsFunc(l.Config.Domains, func(d string) bool { return strings.EqualFold(d, domain) }) {
		return "outside_domains"
	}
	return ""
}

// hours are the times within a day, and the days, at which lures go out.
type hours struct {
	opens, closes uint64 // minutes of the day
	days          uint64 // bit 0 is Sunday
}

func (h hours) open(at time.Time) bool {
	m := uint64(at.Hour()*60 + at.Minute())
	return h.days&(1<<at.Weekday()) != 0 && m >= h.opens && m < h.closes
}

func minuteOf(s string) (uint64, bool) {
	t, err := time.Parse("15:04", s)
	if err != nil {
		return 1440, s == "24:00"
	}
	return uint64(t.Hour()*60 + t.Minute()), true
}

// spans are the open times of a window, in seconds since its start.
func (h hours) spans(from, until time.Time, zone *time.Location) (list [][2]int64, total int64) {
	day := from.In(zone)
	y, m, d := day.Date()
	for i := 0; ; i++ {
		midnight := time.Date(y, m, d+i, 0, 0, 0, 0, zone)
		if !midnight.Before(until) {
			return list, total
		}
		if h.days&(1<<midnight.Weekday()) == 0 {
			continue
		}
		a := time.Date(y, m, d+i, 0, int(h.opens), 0, 0, zone)
		b := time.Date(y, m, d+i, 0, int(h.closes), 0, 0, zone)
		if a.Before(from) {
			a = from
		}
		if b.After(until) {
			b = until
		}
		if s, e := int64(a.Sub(from)/time.Second), int64(b.Sub(from)/time.Second); e > s {
			list, total = append(list, [2]int64{s, e}), total+e-s
		}
	}
}

const (
	mostTitle  = 200
	mostDays   = 92 // of a campaign
	mostLures  = 20
	mostPeople = 1_000_000
)

func (l *Lures) hoursOf(ask *LureAsk) (h hours, err error) {
	if ask.Opens == "" && ask.Closes == "" {
		ask.Opens, ask.Closes = "09:00", "18:00"
	}
	if len(ask.Days) == 0 {
		ask.Days = []int{1, 2, 3, 4, 5}
	}
	a, ok1 := minuteOf(ask.Opens)
	b, ok2 := minuteOf(ask.Closes)
	if !ok1 || !ok2 || a >= b {
		return h, wrong("lure_hours")
	}
	h = hours{opens: a, closes: b}
	for _, d := range ask.Days {
		if d < 0 || d > 6 {
			return h, wrong("lure_hours")
		}
		h.days |= 1 << d
	}
	return h, nil
}

// Plan says whom a campaign would write to, with which lure, and when. Nothing
// happens.
func (l *Lures) Plan(ask LureAsk) (*LurePlan, error) {
	if len(l.Config.Domains) == 0 {
		return nil, wrong("lure_off")
	}
	h, err := l.hoursOf(&ask)
	if err != nil {
		return nil, err
	}
	ask.From, ask.Until = ask.From.Truncate(time.Second), ask.Until.Truncate(time.Second)
	ask.Title, ask.Reason = strings.TrimSpace(ask.Title), strings.TrimSpace(ask.Reason)
	switch {
	case ask.Title == "" || len(ask.Title) > mostTitle || strings.ContainsAny(ask.Title, "\r\n"):
		return nil, wrong("lure_title")
	case !ask.Until.After(ask.From) || ask.Until.Sub(ask.From) > mostDays*24*time.Hour || !ask.Until.After(l.Now()):
		return nil, wrong("lure_window")
	case len(ask.Lures) == 0 || len(ask.Lures) > mostLures:
		return nil, wrong("lure_none")
	}
	p := &LurePlan{Excluded: map[string]int{}}
	versions := map[string][]int{} // by language: which of p.Lures
	for _, name := range ask.Lures {
		i := slices.IndexFunc(l.Lures, func(t duty.Lure) bool { return t.Name == name })
		if i < 0 {
			return nil, wrong("lure_unknown", name)
		}
		t := &l.Lures[i]
		if t.Asks == "reply" && l.Config.Replies == "" {
			return nil, wrong("lure_replies", name)
		}
		for _, lang := range duty.LureLanguages() {
			if _, ok := t.Versions[lang]; ok {
				versions[lang] = append(versions[lang], len(p.Lures))
				p.Lures = append(p.Lures, LureVersion{t, lang})
			}
		}
	}
	spans, total := h.spans(ask.From, ask.Until, l.Zone)
	if total == 0 {
		return nil, wrong("lure_window")
	}
	if ask.Seed == 0 {
		var b [8]byte
		rand.Read(b[:])
		ask.Seed = binary.LittleEndian.Uint64(b[:])>>12 | 1 // whole in JSON's numbers
	}
	p.Ask = ask
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], ask.Seed)
	chance := randv2.New(randv2.NewChaCha8(seed))
	readers := l.readers(ask.Units, sekisho.At(ask.From))
	p.Listed = len(readers)
	if p.Listed > mostPeople {
		return nil, wrong("lure_many")
	}
	for _, r := range readers {
		c, ok := l.Contact(r.Staff)
		why := ""
		switch {
		case r.Away:
			why = "away"
		case !ok || c.Address == "":
			why = "no_address"
		case !GoodAddress(c.Address):
			why = "bad_address"
		default:
			why = l.Refuses(c.Address)
		}
		if why != "" {
			p.Excluded[why]++
			continue
		}
		of := versions[l.languageOf(c)]
		if len(of) == 0 {
			of = versions[l.Config.Language]
		}
		if len(of) == 0 {
			p.Excluded["no_language"]++
			continue
		}
		at := chance.Int64N(total)
		for _, s := range spans {
			if at < s[1]-s[0] {
				at += s[0]
				break
			}
			at -= s[1] - s[0]
		}
		p.Turns = append(p.Turns, LureTurn{Staff: r.Staff, Lure: of[chance.IntN(len(of))], At: sekisho.At(ask.From) + sekisho.Time(at)*1e6})
	}
	switch n := len(p.Turns); {
	case n == 0:
		return nil, wrong("lure_nobody")
	case n < l.Config.Least: // its figures would be those of persons
		return nil, wrong("lure_few", n, l.Config.Least)
	}
	p.Takes = time.Duration(float64(len(p.Turns)) / l.Config.Pace.PerSecond * float64(time.Second))
	if p.Takes > time.Duration(total)*time.Second {
		return nil, wrong("lure_pace", len(p.Turns), int(p.Takes.Hours())+1)
	}
	return p, nil
}

func (l *Lures) languageOf(c Contact) string {
	lang, _, _ := strings.Cut(c.Language, "-")
	if lang == "" {
		return l.Config.Language
	}
	return lang
}

// readers are the people of some units, or everybody, ascending, each once.
func (l *Lures) readers(units []uint32, at sekisho.Time) []Reader {
	list := l.Readers(at)
	if len(units) > 0 {
		in := map[uint32]bool{}
		for _, u := range units {
			in[u] = true
			if l.Within != nil {
				for below := range l.Within(u, at) {
					in[below] = true
				}
			}
		}
		list = slices.DeleteFunc(slices.Clone(list), func(r Reader) bool { return !in[r.Company] && !in[r.Department] })
	}
	slices.SortFunc(list, func(a, b Reader) int { return cmp.Compare(a.Staff, b.Staff) })
	return slices.CompactFunc(list, func(a, b Reader) bool { return a.Staff == b.Staff })
}
