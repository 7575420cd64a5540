package act

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"sekisho"
)

// A Case is one line of a table of tests: a request, and the decision that is
// expected.
type Case struct {
	File    string
	Line    int
	Text    string // as it stands in the table
	Request Request
	Want    string   // as Decision.String writes it
	By      []string // the ids of the rules that should decide; nil if the table does not say
}

// ReadTable reads a table of tests. Each line is a request, an arrow, and what
// should come of it:
//
//	given role=call_centre place=office verified purpose=support
//	read identity contact -> cap 500 rows by call-centre-500, call-centre-reads
//	read credential       -> refuse
//
// A line that begins with given says what holds for the requests below it, up
// to the next such line. A request may say more, for itself alone. Times (at=)
// are in zone. What is wrong is Mistakes.
func ReadTable(f File, zone *time.Location) ([]Case, error) {
	if zone == nil {
		zone = time.UTC
	}
	var (
		cases    []Case
		mistakes Mistakes
		given    Request
	)
	if len(f.Text) > MaxFile {
		return nil, Mistakes{{f.Name, 1, fmt.Sprintf("%d bytes; the limit is %d", len(f.Text), MaxFile), "split the file"}}
	}
	for n, text := range strings.Split(string(f.Text), "\n") {
		text = strings.TrimSpace(text)
		wrong := func(err error, do string) {
			mistakes = append(mistakes, Mistake{f.Name, n + 1, err.Error(), do})
		}
		if text == "" || text[0] == '#' {
			continue
		}
		if rest, ok := strings.CutPrefix(text, "given"); ok && (rest == "" || rest[0] == ' ' || rest[0] == '\t') {
			given = Request{}
			for _, word := range strings.Fields(rest) {
				if err := given.Set(word, zone); err != nil {
					wrong(err, "write word=value, such as role=call_centre or place=office")
				}
			}
			continue
		}
		left, right, ok := strings.Cut(text, "->")
		if !ok {
			wrong(fmt.Errorf("no arrow in this line"), "write a request, ->, and what should come of it")
			continue
		}
		c := Case{File: f.Name, Line: n + 1, Text: text, Request: given}
		for _, word := range strings.Fields(left) {
			if err := c.Request.Set(word, zone); err != nil {
				wrong(err, "a request is a verb, categories, and word=value")
			}
		}
		if c.Request.Verb == 0 {
			wrong(fmt.Errorf("a request without its verb"), "begin with read, insert, update, delete, export or other")
		}
		want, by, says := strings.Cut(" "+strings.Join(strings.Fields(right), " "), " by ")
		c.Want = strings.TrimSpace(want)
		if says {
			c.By = strings.FieldsFunc(by, func(r rune) bool { return r == ',' || r == ' ' })
		}
		cases = append(cases, c)
	}
	if mistakes != nil {
		return nil, mistakes
	}
	return cases, nil
}

// Check runs a case. It gives nothing if the policy decides as the table says,
// and otherwise what it does.
func (c *Case) Check(p *Policy) string {
	d := p.Decide(c.Request)
	got := d.String()
	by := " by " + strings.Join(d.Policies, ", ")
	if len(d.Policies) == 0 {
		by = " by no rule"
	}
	if got != c.Want {
		return got + by
	}
	if c.By == nil {
		return ""
	}
	if slices.Equal(c.By, []string{"no", "rule"}) && len(d.Policies) == 0 {
		return ""
	}
	want, have := slices.Clone(c.By), slices.Clone(d.Policies)
	slices.Sort(want)
	slices.Sort(have)
	if !slices.Equal(want, have) {
		return got + by
	}
	return ""
}

// Set takes one word of a request as people write it: a verb, a category, or
// an attribute with its value.
func (r *Request) Set(word string, zone *time.Location) error {
	name, value, valued := strings.Cut(word, "=")
	if !valued {
		switch word {
		case "verified":
			r.Verified = true
			return nil
		case "unverified":
			r.Verified = false
			return nil
		case "offsite_ready":
			r.OffSiteReady = true
			return nil
		case "public":
			return nil
		}
		for v := sekisho.Read; v <= sekisho.Other; v++ {
			if v.String() == word {
				r.Verb = v
				return nil
			}
		}
		c, err := sekisho.ParseCategory(word)
		if err != nil {
			return fmt.Errorf("%q is neither a verb (read, insert, update, delete, export, other) nor a category (public, %s)", word, strings.ReplaceAll(allCategories().String(), ",", ", "))
		}
		r.Categories |= c
		return nil
	}
	switch name {
	case "principal":
		r.Principal = value
	case "role":
		r.Role = value
	case "post":
		r.Post = value
	case "company":
		r.Company = value
	case "endpoint":
		r.Endpoint = value
	case "purpose":
		r.Purpose = value
	case "tables":
		r.Tables = strings.Split(value, ",")
	case "place":
		switch value {
		case "office":
			r.Place = Office
		case "remote":
			r.Place = Remote
		case "unknown":
			r.Place = PlaceUnknown
		default:
			return fmt.Errorf("place=%s: use office, remote or unknown", value)
		}
	case "permits":
		r.Permits = 0
		for _, name := range strings.Split(value, ",") {
			c, err := sekisho.ParseCategory(name)
			if err != nil {
				return fmt.Errorf("permits=%s: %w", value, err)
			}
			r.Permits |= c
		}
	case "posture":
		switch value {
		case "good":
			r.Posture = PostureGood
		case "bad":
			r.Posture = PostureBad
		case "unknown":
			r.Posture = PostureUnknown
		default:
			return fmt.Errorf("posture=%s: use good, bad or unknown", value)
		}
	case "address":
		a, err := netip.ParseAddr(value)
		if err != nil {
			return fmt.Errorf("address=%s is no IP address", value)
		}
		r.Address = a
	case "rows":
		n, err := strconv.ParseUint(value, 10, 63)
		if err != nil {
			return fmt.Errorf("rows=%s is no whole number", value)
		}
		r.Rows = n
	case "at":
		t, err := time.ParseInLocation("2006-01-02T15:04", value, zone)
		if err != nil || t.Year() < 1970 || t.Year() > 9999 {
			return fmt.Errorf("at=%s is no time: write at=2026-04-06T09:30", value)
		}
		r.Time = sekisho.At(t)
	default:
		return fmt.Errorf("unknown word %s=", name)
	}
	return nil
}

func allCategories() (all sekisho.Categories) {
	for _, c := range sekisho.AllCategories() {
		all |= c
	}
	return all
}
