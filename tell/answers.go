package tell

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"time"

	"sekisho/law"
	"sekisho/sheet"
)

//go:embed answers/desk.yaml
var shippedAnswers []byte

// Answers is one edition of what the contact point says, and by when: a data
// file, tell/answers/desk.yaml or one of the company's own.
type Answers struct {
	Edition   string               `yaml:"edition"`
	Source    string               `yaml:"source"`
	Deadlines []deadline           `yaml:"deadlines"`
	Limits    []lawLimit           `yaml:"limits"`
	Words     map[string]law.Words `yaml:"words"`
	Letters   map[string]form      `yaml:"letters"`
	Templates []Template           `yaml:"answers"`

	parsed map[string]*template.Template
	within map[string]span
}

type deadline struct {
	Asked  []string `yaml:"asked"`
	Within string   `yaml:"within"`
	Source string   `yaml:"source"`
}

type lawLimit struct {
	Regimes  []string `yaml:"regimes"`
	Months   int      `yaml:"months"`
	Extended int      `yaml:"extended"`
	Source   string   `yaml:"source"`
}

type form struct {
	Subject law.Words `yaml:"subject"`
	Text    law.Words `yaml:"text"`
}

// A Template is one answer in both languages.
type Template struct {
	Name    string    `yaml:"name" json:"name"`
	Asked   []string  `yaml:"asked" json:"asked"`
	Machine bool      `yaml:"machine" json:"machine,omitempty"`
	Result  string    `yaml:"result" json:"result"`
	Title   law.Words `yaml:"title" json:"title"`
	En      string    `yaml:"en" json:"-"`
	Ja      string    `yaml:"ja" json:"-"`
}

// EnquiryKinds lists what can be asked, in the order of the page.
func EnquiryKinds() []string {
	return []string{"affected", "accesses", "disclosure", "correction", "stop", "complaint", "misuse"}
}

// Results lists how an answer can turn out.
func Results() []string { return []string{"informed", "granted", "partly", "refused", "extended"} }

// Means lists how staff can establish who somebody is.
func Means() []string {
	return []string{"licence", "passport", "my_number_card", "residence_card", "two_documents", "callback", "in_person", "agent"}
}

// Reasons lists why an enquiry can end.
func Reasons() []string { return []string{"answered", "withdrawn", "not_identified", "duplicate"} }

// A span is a number of days, or of working days.
type span struct {
	days    int
	working bool
}

var spanText = regexp.MustCompile(`^([1-9][0-9]{0,2})(d|wd)$`)

func parseSpan(s string) (span, error) {
	m := spanText.FindStringSubmatch(s)
	if m == nil {
		return span{}, fmt.Errorf("%q is no time to answer in: write 14d for days, 3wd for working days", s)
	}
	n, err := strconv.Atoi(m[1])
	return span{n, m[2] == "wd"}, err
}

// ReadAnswers reads an edition: the shipped one, or the file called name.
func ReadAnswers(name string) (*Answers, error) {
	text, what := shippedAnswers, "the shipped answers"
	if name != "" {
		var err error
		if text, err = os.ReadFile(name); err != nil {
			return nil, fmt.Errorf("reading the answers of the contact point: %w", err)
		}
		what = name
	}
	a := &Answers{parsed: map[string]*template.Template{}, within: map[string]span{}}
	if err := sheet.Read(text, a); err != nil {
		return nil, fmt.Errorf("reading %s: %w", what, err)
	}
	if err := a.check(); err != nil {
		return nil, fmt.Errorf("reading %s: %w", what, err)
	}
	return a, nil
}

func (a *Answers) check() error {
	if a.Edition == "" || len(a.Edition) > 40 {
		return errors.New("edition is missing")
	}
	for _, d := range a.Deadlines {
		s, err := parseSpan(d.Within)
		if err != nil {
			return fmt.Errorf("deadlines: %w", err)
		}
		for _, asked := range d.Asked {
			a.within[asked] = s
		}
	}
	for _, asked := range EnquiryKinds() {
		if _, ok := a.within[asked]; !ok {
			return fmt.Errorf("deadlines: none for %q", asked)
		}
	}
	parse := func(name, text string) error {
		if strings.TrimSpace(text) == "" {
			return fmt.Errorf("%s is empty", name)
		}
		t, err := template.New(name).Option("missingkey=error").Parse(text)
		a.parsed[name] = t
		return err
	}
	for _, name := range []string{"code", "answer"} {
		f := a.Letters[name]
		for part, text := range map[string]string{"subject.en": f.Subject.EN, "subject.ja": f.Subject.JA, "text.en": f.Text.EN, "text.ja": f.Text.JA} {
			if err := parse("letters."+name+"."+part, text); err != nil {
				return err
			}
		}
	}
	machine := map[string]bool{}
	for i := range a.Templates {
		t := &a.Templates[i]
		if t.Name == "" || t.Title.EN == "" || t.Title.JA == "" || !slices.Contains(Results(), t.Result) {
			return fmt.Errorf("answers: number %d lacks its name, a title or its result", i+1)
		}
		for lang, text := range map[string]string{"en": t.En, "ja": t.Ja} {
			if err := parse("answers."+t.Name+"."+lang, text); err != nil {
				return err
			}
		}
		machine[t.Name] = t.Machine
	}
	if !machine["affected"] || !machine["accesses"] {
		return errors.New("answers: affected and accesses, with machine, are missing")
	}
	return nil
}

// Find gives the template with a name.
func (a *Answers) Find(name string) (Template, bool) {
	i := slices.IndexFunc(a.Templates, func(t Template) bool { return t.Name == name })
	if i < 0 {
		return Template{}, false
	}
	return a.Templates[i], true
}

// word is a machine's word in a language: the company's own, or the edition's,
// or itself.
func (a *Answers) word(own map[string]law.Words, group, name, lang string) string {
	for _, w := range []law.Words{own[name], a.Words[group+"."+name]} {
		if text := w.In(lang); text != "" {
			return text
		}
	}
	return name
}

// mostAnswer bounds what a template makes.
const mostAnswer = 512 << 10

// fill makes the text of a template.
func (a *Answers) fill(name, lang string, facts any) (string, error) {
	t := a.parsed[name+"."+lang]
	if t == nil {
		return "", fmt.Errorf("filling %q: there is no such template in %q", name, lang)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, facts); err != nil {
		return "", fmt.Errorf("filling %q: %w", name, err)
	}
	if b.Len() > mostAnswer {
		return "", fmt.Errorf("filling %q: a text of %d bytes, the limit is %d", name, b.Len(), mostAnswer)
	}
	return tidy(b.String()), nil
}

// tidy leaves one empty line where templates leave many, and no space at the
// ends of lines.
func tidy(s string) string {
	var out []string
	for line := range strings.Lines(s) {
		line = strings.TrimRight(line, " \t\r\n")
		if line == "" && (len(out) == 0 || out[len(out)-1] == "") {
			continue
		}
		out = append(out, line)
	}
	return strings.TrimSpace(strings.Join(out, "\n")) + "\n"
}

// A Block is a piece of an answer, as a page shows it: a paragraph, a list or a
// table.
type Block struct {
	Text string     `json:"text,omitempty"`
	List []string   `json:"list,omitempty"`
	Head []string   `json:"head,omitempty"`
	Rows [][]string `json:"rows,omitempty"`
}

// Blocks splits an answer.
func Blocks(text string) (list []Block) {
	fresh := true
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if strings.TrimSpace(line) == "" {
			fresh = true
			continue
		}
		if fresh || len(list) == 0 {
			list = append(list, Block{})
			fresh = false
		}
		last := &list[len(list)-1]
		switch {
		case strings.Contains(line, "\t"):
			cells := strings.Split(line, "\t")
			if last.Head == nil {
				if last.Text != "" || last.List != nil {
					list = append(list, Block{})
					last = &list[len(list)-1]
				}
				last.Head = cells
				continue
			}
			for len(cells) < len(last.Head) {
				cells = append(cells, "")
			}
			last.Rows = append(last.Rows, cells[:len(last.Head)])
		case strings.HasPrefix(line, "- "):
			last.List = append(last.List, line[2:])
		default:
			if last.Text != "" {
				last.Text += "\n"
			}
			last.Text += line
		}
	}
	return list
}

// Due is when an enquiry that came at a moment is to be answered. A day ends at
// midnight in zone. calendar, which may be nil, knows holidays; without it, or
// in years that it does not know, weekends alone are no working days.
func (a *Answers) Due(asked string, came time.Time, zone *time.Location, calendar *law.Calendar, own map[string]span) time.Time {
	s, ok := own[asked]
	if !ok {
		s = a.within[asked]
	}
	y, m, d := came.In(zone).Date()
	day := time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
	for n := 0; n < s.days; {
		day = day.AddDate(0, 0, 1)
		if !s.working || !closedOn(calendar, day) {
			n++
		}
	}
	return time.Date(day.Year(), day.Month(), day.Day()+1, 0, 0, 0, 0, zone)
}

func closedOn(c *law.Calendar, day time.Time) bool {
	if c != nil {
		if _, closed, err := c.ClosedOn(day); err == nil {
			return closed
		}
	}
	return day.Weekday() == time.Saturday || day.Weekday() == time.Sunday
}

// monthsAfter is the same day n months later, or that month's last.
func monthsAfter(t time.Time, n int) time.Time {
	first := time.Date(t.Year(), t.Month()+time.Month(n), 1, t.Hour(), t.Minute(), t.Second(), 0, t.Location())
	last := first.AddDate(0, 1, -1).Day()
	return first.AddDate(0, 0, min(t.Day(), last)-1)
}
