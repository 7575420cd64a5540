package duty

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"sekisho/law"
	"sekisho/sheet"
	"sekisho/vault"
)

//go:embed courses
var shippedCourses embed.FS

// ShippedCourses are the courses that come with the program.
func ShippedCourses() fs.FS {
	sub, err := fs.Sub(shippedCourses, "courses")
	if err != nil {
		panic(err) // the directory is in the program
	}
	return sub
}

// A Course is what is taught and asked, in one edition. An edition that was
// assigned to somebody never changes: what is new is another edition.
type Course struct {
	// Name is the course's, over all editions: two completions of one name are one
	// course to the rule of two distinct ones.
	Name    string `yaml:"course" json:"course"`
	Edition string `yaml:"edition" json:"edition"`
	// Effective is the first day of the edition, Source what it rests on.
	Effective string    `yaml:"effective" json:"effective"`
	Source    string    `yaml:"source" json:"source"`
	Title     law.Words `yaml:"title" json:"title"`
	About     law.Words `yaml:"about" json:"about"`

	// Seconds is the least time between beginning and answering.
	Seconds uint64 `yaml:"seconds" json:"seconds"`
	// Draw is how many questions of the bank one attempt has, Pass the least share
	// of right answers in percent, Attempts how often somebody may try.
	Draw     uint64 `yaml:"draw" json:"draw"`
	Pass     uint64 `yaml:"pass" json:"pass"`
	Attempts uint64 `yaml:"attempts" json:"attempts"`

	// Attestation is what whoever passes states with it.
	Attestation law.Words `yaml:"attestation" json:"attestation"`

	Pages     []CoursePage `yaml:"pages" json:"pages"`
	Questions []Question   `yaml:"questions" json:"questions"`
}

// A CoursePage is one page, in Markdown. Its text lies in the course's
// directory as NAME.en.md and NAME.ja.md.
type CoursePage struct {
	Name  string    `yaml:"page" json:"page"`
	Title law.Words `yaml:"title" json:"title"`
	Text  law.Words `yaml:"-" json:"text"`
}

// A Question is one of the bank. All right options have to be chosen, and no
// other.
type Question struct {
	Name    string    `yaml:"question" json:"question"`
	Page    string    `yaml:"page" json:"page"` // where the answer stands
	Ask     law.Words `yaml:"ask" json:"ask"`
	Options []Option  `yaml:"options" json:"options"`
	Why     law.Words `yaml:"why" json:"why"` // shown to whoever has passed
}

// An Option of a question.
type Option struct {
	Say   law.Words `yaml:"say" json:"say"`
	Right bool      `yaml:"right" json:"right,omitempty"`
}

// Right is the answer to a question: bit n is option n.
func (q *Question) Right() (set uint64) {
	for n, o := range q.Options {
		if o.Right {
			set |= 1 << n
		}
	}
	return set
}

// Many says that a question has more than one right option.
func (q *Question) Many() bool { s := q.Right(); return s&(s-1) != 0 }

// Limits on a course.
const (
	maxCoursePages     = 40
	maxCourseQuestions = 500
	maxCourseOptions   = 8
	maxCourseText      = 64 << 10 // bytes of one page in one language
	maxCourseSeconds   = 8 * 3600
	maxCourseAttempts  = 20
)

// ReadCourses reads every directory of courses, each with a course.yaml. It
// names the first mistake with its file.
func ReadCourses(dir fs.FS) (list []*Course, err error) {
	files, err := fs.Glob(dir, "*/course.yaml")
	if err != nil {
		return nil, fmt.Errorf("reading courses: %w", err)
	}
	for _, file := range files {
		c, err := readCourse(dir, path.Dir(file))
		if err != nil {
			return nil, fmt.Errorf("reading the course in %s: %w", path.Dir(file), err)
		}
		if slices.ContainsFunc(list, func(o *Course) bool { return o.Name == c.Name && o.Edition == c.Edition }) {
			return nil, fmt.Errorf("reading the course in %s: edition %s of %s is there twice", path.Dir(file), c.Edition, c.Name)
		}
		list = append(list, c)
	}
	return list, nil
}

func readCourse(dir fs.FS, name string) (*Course, error) {
	text, err := readLimited(dir, path.Join(name, "course.yaml"), vault.MaxKey)
	if err != nil {
		return nil, err
	}
	c := &Course{}
	if err := sheet.Read(text, c); err != nil {
		return nil, fmt.Errorf("course.yaml: %w", err)
	}
	for i := range c.Pages {
		p := &c.Pages[i]
		if !courseName(p.Name) {
			return nil, fmt.Errorf("course.yaml: page %q: a name has small letters, digits and hyphens", p.Name)
		}
		for _, one := range []struct {
			to   *string
			lang string
		}{{&p.Text.EN, "en"}, {&p.Text.JA, "ja"}} {
			b, err := readLimited(dir, path.Join(name, p.Name+"."+one.lang+".md"), maxCourseText)
			if err != nil {
				return nil, err
			}
			*one.to = string(b)
		}
	}
	return c, c.check()
}

func readLimited(dir fs.FS, name string, most int64) ([]byte, error) {
	f, err := dir.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", path.Base(name), err)
	case int64(len(b)) > most:
		return nil, fmt.Errorf("%s has more than %d bytes", path.Base(name), most)
	case !utf8.Valid(b):
		return nil, fmt.Errorf("%s is not in UTF-8", path.Base(name))
	}
	return b, nil
}

func courseName(s string) bool {
	return s != "" && len(s) <= 64 && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '.')
	}) && s[0] != '-' && s[0] != '.'
}

// check names the first mistake.
func (c *Course) check() error {
	said := func(what string, w law.Words) error {
		if strings.TrimSpace(w.EN) == "" || strings.TrimSpace(w.JA) == "" {
			return fmt.Errorf("%s is missing in English or Japanese", what)
		}
		return nil
	}
	switch {
	case !courseName(c.Name) || !courseName(c.Edition):
		return errors.New("course and edition: names with small letters, digits, hyphens and dots")
	case c.Seconds > maxCourseSeconds:
		return fmt.Errorf("seconds: at most %d", maxCourseSeconds)
	case c.Pass < 1 || c.Pass > 100:
		return errors.New("pass: a share of right answers from 1 to 100 percent")
	case c.Attempts < 1 || c.Attempts > maxCourseAttempts:
		return fmt.Errorf("attempts: from 1 to %d", maxCourseAttempts)
	case len(c.Pages) == 0 || len(c.Pages) > maxCoursePages:
		return fmt.Errorf("pages: from 1 to %d", maxCoursePages)
	case len(c.Questions) > maxCourseQuestions || c.Draw < 1 || c.Draw > uint64(len(c.Questions)):
		return fmt.Errorf("draw %d of %d questions: at least one, at most as many as there are, and at most %d", c.Draw, len(c.Questions), maxCourseQuestions)
	}
	if _, err := time.Parse(time.DateOnly, c.Effective); err != nil {
		return fmt.Errorf("effective: %q is no day such as 2026-11-01", c.Effective)
	}
	for what, w := range map[string]law.Words{"title": c.Title, "about": c.About, "attestation": c.Attestation} {
		if err := said(what, w); err != nil {
			return err
		}
	}
	pages := map[string]bool{}
	for _, p := range c.Pages {
		if pages[p.Name] {
			return fmt.Errorf("page %s is there twice", p.Name)
		}
		pages[p.Name] = true
		for what, w := range map[string]law.Words{"the title of page " + p.Name: p.Title, "the text of page " + p.Name: p.Text} {
			if err := said(what, w); err != nil {
				return err
			}
		}
	}
	names := map[string]bool{}
	for i := range c.Questions {
		q := &c.Questions[i]
		switch {
		case names[q.Name] || !courseName(q.Name):
			return fmt.Errorf("question %q: each has a name of its own, with small letters, digits and hyphens", q.Name)
		case !pages[q.Page]:
			return fmt.Errorf("question %s: there is no page %q", q.Name, q.Page)
		case len(q.Options) < 2 || len(q.Options) > maxCourseOptions:
			return fmt.Errorf("question %s: from 2 to %d options", q.Name, maxCourseOptions)
		case q.Right() == 0:
			return fmt.Errorf("question %s: no option is right", q.Name)
		}
		names[q.Name] = true
		for what, w := range map[string]law.Words{"ask": q.Ask, "why": q.Why} {
			if err := said("question "+q.Name+": "+what, w); err != nil {
				return err
			}
		}
		for _, o := range q.Options {
			if err := said("question "+q.Name+": an option", o.Say); err != nil {
				return err
			}
		}
	}
	if text, _ := c.document(); len(text) > vault.MaxKey {
		return fmt.Errorf("the course has %d bytes in all, at most %d", len(text), vault.MaxKey)
	}
	return nil
}

// document is the whole course in one form, and its hash.
func (c *Course) document() (text []byte, sum [32]byte) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(c); err != nil {
		panic(err) // strings and numbers can be written
	}
	return b.Bytes(), sha256.Sum256(b.Bytes())
}

// openDocument reads what document wrote.
func openDocument(text string) (*Course, error) {
	c := &Course{}
	if err := json.Unmarshal([]byte(text), c); err != nil {
		return nil, fmt.Errorf("reading a course of the vault: %w", err)
	}
	return c, c.check()
}
