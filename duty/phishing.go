package duty

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"sekisho/sheet"
)

//go:embed lures/*.yaml
var shippedLures embed.FS

// ShippedLures are the templates that come with the program.
func ShippedLures() fs.FS {
	sub, err := fs.Sub(shippedLures, "lures")
	if err != nil {
		panic(err) // the directory is embedded under that name
	}
	return sub
}

// A Lure is the template of a mail for drills, in some languages. It claims to
// come from nobody who exists: the names of senders are made up, and the domains
// are the company's own, from its config.
type Lure struct {
	Name     string              `yaml:"name"`
	Edition  string              `yaml:"edition"` // such as 2026-11
	Source   string              `yaml:"source"`  // after what it is made
	Teaches  string              `yaml:"teaches"` // "virus" or "bec": the two kinds of which the policy page speaks
	Asks     string              `yaml:"asks"`    // what it wants of the reader: "link", "attachment", "form", "reply"
	Premise  Premise             `yaml:"premise"`
	Versions map[string]LureText `yaml:"languages"` // "ja", "en"
	File     []byte              `yaml:"-"`         // as it was read
}

// A LureText is a lure in one language. {name} becomes the reader's name, {date}
// the day on which it goes out, {link} where it leads; a lure that asks for a
// link, and no other, has {link} in its text.
type LureText struct {
	Sender     string         `yaml:"sender"`  // as people read it
	Mailbox    string         `yaml:"mailbox"` // the part before the @ of its address
	Subject    string         `yaml:"subject"`
	Text       string         `yaml:"text"`
	LinkText   string         `yaml:"link_text"` // what the link is written as in HTML; empty: the address itself
	Attachment LureAttachment `yaml:"attachment"`
	Form       LureForm       `yaml:"form"`
	Cues       []Cue          `yaml:"cues"`
}

// A LureAttachment is a harmless document that leads to the viewer page.
type LureAttachment struct {
	Name string `yaml:"name"` // with .html or .pdf
	Text string `yaml:"text"` // what stands in it
}

// A LureForm is a page with fields, of which nothing is ever sent.
type LureForm struct {
	Title  string   `yaml:"title"`
	Text   string   `yaml:"text"`
	Fields []string `yaml:"fields"` // their labels; one that begins with * hides what is typed
	Button string   `yaml:"button"`
}

// Rate is how hard the lure is to see through in a language.
func (l *Lure) Rate(lang string) Rating { return Rate(l.Versions[lang].Cues, l.Premise) }

// ID names a lure in one language for ever.
func (l *Lure) ID(lang string) string { return l.Name + " " + lang + " " + l.Edition }

// LureLanguages are those that a lure may be written in.
func LureLanguages() []string { return []string{"ja", "en"} }

// ReadLures reads templates from directories, usually ShippedLures and a
// company's own. One of the same name in a later directory takes the place of
// an earlier one. They are sorted by name.
func ReadLures(dirs ...fs.FS) (list []Lure, err error) {
	for _, dir := range dirs {
		names, err := fs.Glob(dir, "*.yaml")
		if err != nil {
			return nil, fmt.Errorf("reading lures: %w", err)
		}
		for _, file := range names {
			text, err := fs.ReadFile(dir, file)
			if err != nil {
				return nil, fmt.Errorf("reading lures: %w", err)
			}
			l, err := ParseLure(text)
			if err != nil {
				return nil, fmt.Errorf("reading lures: %s: %w", file, err)
			}
			list = slices.DeleteFunc(list, func(o Lure) bool { return o.Name == l.Name })
			list = append(list, *l)
		}
	}
	slices.SortFunc(list, func(a, b Lure) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// mostLure is the bytes of a template.
const mostLure = 64 << 10

// ParseLure reads one template.
func ParseLure(text []byte) (*Lure, error) {
	if len(text) > mostLure {
		return nil, fmt.Errorf("%d bytes, the limit is %d", len(text), mostLure)
	}
	l := &Lure{}
	if err := sheet.Read(text, l); err != nil {
		return nil, err
	}
	l.File = bytes.Clone(text)
	return l, l.check()
}

func (l *Lure) check() error {
	switch {
	case l.Name == "" || strings.Trim(l.Name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "":
		return fmt.Errorf("name %q: use small letters, digits and hyphens", l.Name)
	case l.Edition == "" || strings.Contains(l.Edition, " "):
		return errors.New("edition is missing: such as 2026-11")
	case l.Teaches != "virus" && l.Teaches != "bec":
		return fmt.Errorf("teaches %q: use virus or bec", l.Teaches)
	case !slices.Contains([]string{"link", "attachment", "form", "reply"}, l.Asks):
		return fmt.Errorf("asks %q: use link, attachment, form or reply", l.Asks)
	case len(l.Versions) == 0:
		return errors.New("languages is missing: ja, en or both")
	}
	if err := l.Premise.Check(); err != nil {
		return err
	}
	for lang, v := range l.Versions {
		if !slices.Contains(LureLanguages(), lang) {
			return fmt.Errorf("language %q: use %v", lang, LureLanguages())
		}
		if err := v.check(l.Asks); err != nil {
			return fmt.Errorf("language %s: %w", lang, err)
		}
	}
	return nil
}

func (v *LureText) check(asks string) error {
	links := strings.Contains(v.Text, "{link}")
	switch {
	case v.Sender == "" || v.Subject == "" || v.Text == "":
		return errors.New("sender, subject and text are needed")
	case strings.ContainsAny(v.Sender+v.Subject+v.Attachment.Name, "\r\n"):
		return errors.New("sender, subject and name of the attachment are one line each")
	case v.Mailbox == "" || strings.Trim(v.Mailbox, "abcdefghijklmnopqrstuvwxyz0123456789.-_") != "":
		return fmt.Errorf("mailbox %q: use small letters, digits, dots and hyphens", v.Mailbox)
	case links != (asks == "link" || asks == "form"):
		return fmt.Errorf("text: {link} stands in a lure that asks for a link or a form, and in no other; this one asks for: %s", asks)
	case (asks == "attachment") != (v.Attachment != LureAttachment{}):
		return errors.New("attachment: it comes with asks: attachment, and with nothing else")
	case asks == "attachment" && path.Ext(v.Attachment.Name) != ".html" && path.Ext(v.Attachment.Name) != ".pdf":
		return fmt.Errorf("attachment %q: give it a name that ends with .html or .pdf", v.Attachment.Name)
	case (asks == "form") != (len(v.Form.Fields) > 0):
		return errors.New("form: its fields come with asks: form, and with nothing else")
	case len(v.Cues) == 0:
		return errors.New("cues is missing: a lure without any teaches nothing, and cannot be rated")
	}
	for _, c := range v.Cues {
		if cues[c.Kind] == "" {
			return fmt.Errorf("cue %q is none of %s", c.Kind, strings.Join(CueKinds(), ", "))
		}
		if c.Count < 0 || c.Count > 50 || c.Where == "" {
			return fmt.Errorf("cue %s: count up to 50, and where it is to be seen", c.Kind)
		}
	}
	return nil
}
