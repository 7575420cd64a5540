package tell

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"time"
	"unicode/utf8"

	"sekisho"
	"sekisho/sheet"
)

//go:embed words/*.yaml
var ownWords embed.FS

// Languages are those of every text.
var Languages = []string{"ja", "en"}

// A Document is a text as it is kept: field by field, sentence by sentence, each
// with what it rests on.
type Document struct {
	Form     string  `json:"form"`
	About    string  `json:"about,omitempty"`
	Language string  `json:"language"`
	Edition  string  `json:"edition"` // of the words it was filled from
	Title    string  `json:"title"`
	Fields   []Field `json:"fields"`
}

// A Field is one box of a form, or one paragraph of a letter.
type Field struct {
	Key       string     `json:"key"`
	Item      string     `json:"item,omitempty"` // its number in the law's list
	Title     string     `json:"title"`
	Sentences []Sentence `json:"sentences"`
}

// A Sentence is what is said, and why it may be.
type Sentence struct {
	Key     string   `json:"key"`
	Text    string   `json:"text"`             // empty: a person left it out
	Filled  string   `json:"filled"`           // as it came from the facts; empty for a sentence of a person's own
	State   string   `json:"state"`            // "known", "unknown" (under investigation), "given" (the config), "stated" (a person wrote the fact down), "fixed" (says nothing of the incident), "own"
	Entries []uint64 `json:"entries"`          // it rests on these
	Moved   string   `json:"moved,omitempty"`  // a person edited it, and its facts now say this
	Edited  bool     `json:"edited,omitempty"` // its text is a person's
}

// words is a file of forms.
type words struct {
	Edition string     `yaml:"edition"`
	Source  string     `yaml:"source"`
	From    string     `yaml:"from"`
	Forms   []formFile `yaml:"forms"`
}

type formFile struct {
	Key    string      `yaml:"key"`
	Like   string      `yaml:"like"` // takes the fields of another, but for those that stand here
	Ja     string      `yaml:"ja"`
	En     string      `yaml:"en"`
	To     string      `yaml:"to"` // "regulator", "authority", "police", "entruster", "partner", "people", "public"
	Fields []fieldFile `yaml:"fields"`
}

type fieldFile struct {
	Key       string         `yaml:"key"`
	Item      string         `yaml:"item"`
	Ja        string         `yaml:"ja"`
	En        string         `yaml:"en"`
	Sentences []sentenceFile `yaml:"sentences"`
}

type sentenceFile struct {
	Key       string   `yaml:"key"`
	If        []string `yaml:"if"`       // facts that must be known; with ! in front: must not
	Ja        string   `yaml:"ja"`       // text/template
	En        string   `yaml:"en"`       //
	Optional  bool     `yaml:"optional"` // left out where a fact is not known
	UnknownJa string   `yaml:"unknown_ja"`
	UnknownEn string   `yaml:"unknown_en"`

	texts map[string]*template.Template
}

// Forms are all texts that can be drafted. They do not change once read.
type Forms struct {
	Edition string
	Source  string
	list    []formFile
}

// A FormName is a form as it is listed.
type FormName struct {
	Key, Ja, En, To string
}

// ReadForms reads the house's own forms, or, from a directory, those that replace
// them: all *.yaml files in it.
func ReadForms(dir fs.FS) (*Forms, error) {
	if dir == nil {
		dir, _ = fs.Sub(ownWords, "words")
	}
	names, err := fs.Glob(dir, "*.yaml")
	if err != nil || len(names) == 0 {
		return nil, fmt.Errorf("reading the words of drafts: there are none (*.yaml)")
	}
	f := &Forms{}
	for _, name := range names {
		raw, err := fs.ReadFile(dir, name)
		if err != nil {
			return nil, fmt.Errorf("reading the words of drafts: %w", err)
		}
		var w words
		if err := sheet.Read(raw, &w); err != nil {
			return nil, fmt.Errorf("reading the words of drafts: %s: %w", name, err)
		}
		if w.Edition == "" || w.Source == "" {
			return nil, fmt.Errorf("reading the words of drafts: %s: edition and source are missing", name)
		}
		f.Edition, f.Source = max(f.Edition, w.Edition), w.Source
		f.list = append(f.list, w.Forms...)
	}
	return f, f.settle()
}

// settle finishes the forms, and tries every sentence with every fact.
func (f *Forms) settle() error {
	seen := map[string]bool{}
	for i := range f.list {
		form := &f.list[i]
		if form.Key == "" || seen[form.Key] || form.Ja == "" || form.En == "" {
			return fmt.Errorf("the words of drafts: the form %q: give it a key of its own and a name in both languages", form.Key)
		}
		seen[form.Key] = true
		if form.Like != "" {
			at := slices.IndexFunc(f.list, func(o formFile) bool { return o.Key == form.Like })
			if at < 0 || f.list[at].Like != "" {
				return fmt.Errorf("the words of drafts: %s is like %q, which is none with fields", form.Key, form.Like)
			}
			own := form.Fields
			form.Fields = slices.Clone(f.list[at].Fields)
			for _, field := range own {
				at := slices.IndexFunc(form.Fields, func(o fieldFile) bool { return o.Key == field.Key })
				if at < 0 {
					return fmt.Errorf("the words of drafts: %s: the field %q is none of %s", form.Key, field.Key, form.Like)
				}
				form.Fields[at] = field
			}
			for j := range form.Fields {
				form.Fields[j].Sentences = slices.Clone(form.Fields[j].Sentences)
			}
		}
		keys := map[string]bool{}
		for j := range form.Fields {
			field := &form.Fields[j]
			for k := range field.Sentences {
				s := &field.Sentences[k]
				if s.Key == "" || keys[s.Key] {
					return fmt.Errorf("the words of drafts: %s: the sentence %q: give it a key of its own", form.Key, s.Key)
				}
				keys[s.Key] = true
				if err := s.parse(); err != nil {
					return fmt.Errorf("the words of drafts: %s: %s: %w", form.Key, s.Key, err)
				}
			}
		}
	}
	return nil
}

func (s *sentenceFile) parse() error {
	for _, c := range s.If {
		if !slices.Contains(factNames, strings.TrimPrefix(c, "!")) {
			return fmt.Errorf("there is no fact %q; the facts are %s", c, strings.Join(factNames, ", "))
		}
	}
	s.texts = map[string]*template.Template{}
	for lang, text := range map[string]string{"ja": s.Ja, "en": s.En} {
		if text == "" {
			return fmt.Errorf("it has no text in %q", lang)
		}
		t, err := template.New(s.Key).Option("missingkey=error").Funcs((&telling{}).funcs()).Parse(text)
		if err != nil {
			return err
		}
		s.texts[lang] = t
		everything := map[string]*Fact{}
		for _, n := range factNames {
			everything[n] = &Fact{Known: true, Num: 1, List: []Item{{En: "x", Ja: "x"}}}
		}
		if _, _, err := s.tell(lang, everything, time.UTC); err != nil {
			return err
		}
	}
	return nil
}

// Names lists the forms.
func (f *Forms) Names() (list []FormName) {
	for _, x := range f.list {
		list = append(list, FormName{x.Key, x.Ja, x.En, x.To})
	}
	return list
}

// Name is one of them.
func (f *Forms) Name(key string) (FormName, bool) {
	for _, n := range f.Names() {
		if n.Key == key {
			return n, true
		}
	}
	return FormName{}, false
}

// telling is one sentence being told: which facts it used.
type telling struct {
	lang    string
	zone    *time.Location
	facts   map[string]*Fact
	used    []string
	unknown bool
}

func (t *telling) fact(name string) (*Fact, error) {
	f := t.facts[name]
	if f == nil {
		return nil, fmt.Errorf("there is no fact %q; the facts are %s", name, strings.Join(factNames, ", "))
	}
	t.used = append(t.used, name)
	t.unknown = t.unknown || !f.Known
	return f, nil
}

// unsaid: what is not known is what the config says of the company, and no matter of
// an investigation.
func (t *telling) unsaid() bool {
	return !slices.ContainsFunc(t.used, func(name string) bool {
		return !t.facts[name].Known && !slices.Contains([]string{"company", "address", "representative", "business", "officer", "contact"}, name)
	})
}

// funcs are what a sentence can say of a fact: num, when, day, text, list (with
// counts) and names (without).
func (t *telling) funcs() template.FuncMap {
	one := func(say func(*Fact) string) func(string) (string, error) {
		return func(name string) (string, error) {
			f, err := t.fact(name)
			if err != nil || !f.Known {
				return "", err
			}
			return say(f), nil
		}
	}
	items := func(f *Fact, counts bool) string {
		var list []string
		for _, i := range f.List {
			name := i.En
			if t.lang == "ja" {
				name = i.Ja
			}
			if counts && t.lang == "ja" {
				name += " " + thousands(i.Num) + "人"
			} else if counts {
				name += " (" + thousands(i.Num) + ")"
			}
			list = append(list, name)
		}
		if t.lang == "ja" {
			return strings.Join(list, "、")
		}
		return strings.Join(list, ", ")
	}
	return template.FuncMap{
		"num": one(func(f *Fact) string { return thousands(f.Num) }),
		"text": one(func(f *Fact) string {
			if t.lang == "ja" {
				return f.Ja
			}
			return f.En
		}),
		"when":  one(func(f *Fact) string { return When(f.At, t.lang, t.zone) }),
		"day":   one(func(f *Fact) string { return Day(f.At, t.lang, t.zone) }),
		"list":  one(func(f *Fact) string { return items(f, true) }),
		"names": one(func(f *Fact) string { return items(f, false) }),
	}
}

// Day is a date in a language.
func Day(at sekisho.Time, lang string, zone *time.Location) string {
	if lang == "ja" {
		return at.Go().In(zone).Format("2006年1月2日")
	}
	return at.Go().In(zone).Format("2 January 2006")
}

// When is a moment in a language.
func When(at sekisho.Time, lang string, zone *time.Location) string {
	if lang == "ja" {
		return at.Go().In(zone).Format("2006年1月2日15時04分")
	}
	return at.Go().In(zone).Format("2 January 2006, 15:04 (MST)")
}

func thousands(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// tell fills a sentence. present: its conditions hold.
func (s *sentenceFile) tell(lang string, facts map[string]*Fact, zone *time.Location) (out Sentence, present bool, err error) {
	t := &telling{lang: lang, zone: zone, facts: facts}
	for _, c := range s.If {
		name, not := strings.CutPrefix(c, "!")
		f := facts[name]
		if f.Known == not {
			return out, false, nil
		}
		if !not {
			t.used = append(t.used, name)
		}
	}
	tmpl, err := s.texts[lang].Clone()
	if err != nil {
		return out, false, err
	}
	var b bytes.Buffer
	if err := tmpl.Funcs(t.funcs()).Execute(&b, nil); err != nil {
		return out, false, err
	}
	out = Sentence{Key: s.Key, Text: strings.TrimSpace(b.String()), State: "fixed", Entries: []uint64{}}
	if t.unknown {
		if s.Optional {
			return out, false, nil
		}
		unknown := s.UnknownEn
		if lang == "ja" {
			unknown = s.UnknownJa
		}
		if unknown == "" && t.unsaid() {
			unknown = map[string]string{"ja": "（記入してください）", "en": "(to be filled in)"}[lang]
		}
		if unknown == "" {
			unknown = map[string]string{"ja": "調査中です。", "en": "Under investigation."}[lang]
		}
		out.Text, out.Filled, out.State = unknown, unknown, "unknown"
		return out, true, nil
	}
	for _, name := range t.used {
		f := facts[name]
		for _, e := range f.Entries {
			if !slices.Contains(out.Entries, e) && len(out.Entries) < maxEntries {
				out.Entries = append(out.Entries, e)
			}
		}
		switch {
		case f.Source == "stated" || out.State == "stated":
			out.State = "stated"
		case f.Source == "ledger" || out.State == "known":
			out.State = "known"
		case f.Source == "config":
			out.State = "given"
		}
	}
	slices.Sort(out.Entries)
	out.Filled = out.Text
	return out, true, nil
}

// Fill makes a draft from the facts.
func (f *Forms) Fill(form, lang string, g *Ground, zone *time.Location) (*Document, error) {
	at := slices.IndexFunc(f.list, func(x formFile) bool { return x.Key == form })
	if at < 0 {
		return nil, fmt.Errorf("there is no form %q", form)
	}
	if !slices.Contains(Languages, lang) {
		return nil, fmt.Errorf("there are no words in the language %q", lang)
	}
	x := &f.list[at]
	facts := g.Facts()
	d := &Document{Form: form, About: g.About, Language: lang, Edition: f.Edition, Title: x.En}
	if lang == "ja" {
		d.Title = x.Ja
	}
	for i := range x.Fields {
		field := Field{Key: x.Fields[i].Key, Item: x.Fields[i].Item, Title: x.Fields[i].En, Sentences: []Sentence{}}
		if lang == "ja" {
			field.Title = x.Fields[i].Ja
		}
		for j := range x.Fields[i].Sentences {
			s, present, err := x.Fields[i].Sentences[j].tell(lang, facts, zone)
			if err != nil {
				return nil, fmt.Errorf("filling %s: %s: %w", form, x.Fields[i].Sentences[j].Key, err)
			}
			if present {
				field.Sentences = append(field.Sentences, s)
			}
		}
		if len(field.Sentences) > 0 {
			d.Fields = append(d.Fields, field)
		}
	}
	return d, nil
}

// Bytes is how a document is kept, and what its hash is of.
func (d *Document) Bytes() ([]byte, [32]byte, error) {
	b, err := json.Marshal(d)
	if err != nil {
		return nil, [32]byte{}, fmt.Errorf("writing a document: %w", err)
	}
	return b, sha256.Sum256(b), nil
}

// ParseDocument reads a document that was kept.
func ParseDocument(b []byte) (*Document, error) {
	var d Document
	if err := json.Unmarshal(b, &d); err != nil {
		return nil, fmt.Errorf("reading a document: %w", err)
	}
	return &d, nil
}

// Text is a field as it is read, its sentences in a row. Short answers such as a
// day have no full stop of their own; another sentence after one would run into it.
func (f *Field) Text(lang string) string {
	var list []string
	for _, s := range f.Sentences {
		if s.Text != "" {
			list = append(list, s.Text)
		}
	}
	if lang == "ja" {
		for i := range len(list) - 1 {
			if !strings.ContainsAny(list[i][lastRune(list[i]):], "。！？!?：:、\n") && !strings.HasPrefix(list[i+1], "（") {
				list[i] += "。"
			}
		}
		return strings.Join(list, "")
	}
	return strings.Join(list, " ")
}

// lastRune is where the last letter of a text begins.
func lastRune(s string) int {
	_, size := utf8.DecodeLastRuneInString(s)
	return len(s) - size
}

// Text is the whole document without its headings, as it is published or mailed:
// one paragraph for each field.
func (d *Document) Text() string {
	var list []string
	for i := range d.Fields {
		if d.Fields[i].Key == "subject" {
			continue
		}
		if t := d.Fields[i].Text(d.Language); t != "" {
			list = append(list, t)
		}
	}
	return strings.Join(list, "\n\n") + "\n"
}

// Subject is that of a letter.
func (d *Document) Subject() string {
	for i := range d.Fields {
		if d.Fields[i].Key == "subject" {
			return d.Fields[i].Text(d.Language)
		}
	}
	return d.Title
}

// Unknown counts the sentences that are still under investigation.
func (d *Document) Unknown() (n int) {
	for _, f := range d.Fields {
		for _, s := range f.Sentences {
			if s.State == "unknown" && !s.Edited {
				n++
			}
		}
	}
	return n
}

// Merge is a draft that was filled anew, with what people had made of the one
// before: their sentences stay, and show what the facts say now where these have
// moved since.
func Merge(fresh, before *Document) *Document {
	if before == nil {
		return fresh
	}
	old := map[string]Sentence{}
	for _, f := range before.Fields {
		for _, s := range f.Sentences {
			old[s.Key] = s
		}
	}
	out := *fresh
	out.Fields = nil
	for _, f := range fresh.Fields {
		f.Sentences = slices.Clone(f.Sentences)
		for i, s := range f.Sentences {
			if o, ok := old[s.Key]; ok && o.Edited {
				s.Text, s.Edited = o.Text, true
				if s.Filled != o.Filled {
					s.Moved = s.Filled
				}
				f.Sentences[i] = s
			}
		}
		for _, of := range before.Fields {
			for _, s := range of.Sentences {
				if of.Key == f.Key && s.State == "own" {
					f.Sentences = append(f.Sentences, s)
				}
			}
		}
		out.Fields = append(out.Fields, f)
	}
	return &out
}

// Edit puts a person's words into a document: by sentence key; an empty text
// leaves the sentence out. added are sentences of their own, by field.
func Edit(d *Document, texts, added map[string]string) *Document {
	out := *d
	out.Fields = slices.Clone(d.Fields)
	for i := range out.Fields {
		f := &out.Fields[i]
		f.Sentences = slices.Clone(f.Sentences)
		for j := range f.Sentences {
			s := &f.Sentences[j]
			if t, ok := texts[s.Key]; ok {
				t = strings.TrimSpace(strings.ReplaceAll(t, "\r\n", "\n"))
				s.Text, s.Edited, s.Moved = t, t != s.Filled && s.State != "own", ""
			}
		}
		f.Sentences = slices.DeleteFunc(f.Sentences, func(s Sentence) bool { return s.State == "own" && s.Text == "" })
		if t := strings.TrimSpace(added[f.Key]); t != "" {
			f.Sentences = append(f.Sentences, Sentence{Key: fmt.Sprintf("%s.own%d", f.Key, len(f.Sentences)), Text: t, State: "own", Entries: []uint64{}})
		}
	}
	return &out
}

// A Change is a sentence that two versions say differently.
type Change struct {
	Field, Key  string
	Before, Now string // empty: it is not there
}

// Diff lists what changed from one version to another.
func Diff(before, now *Document) (list []Change) {
	was := map[string]string{}
	for _, f := range before.Fields {
		for _, s := range f.Sentences {
			was[s.Key] = s.Text
		}
	}
	for _, f := range now.Fields {
		for _, s := range f.Sentences {
			if was[s.Key] != s.Text {
				list = append(list, Change{f.Title, s.Key, was[s.Key], s.Text})
			}
			delete(was, s.Key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(was)) {
		if was[key] == "" {
			continue
		}
		for _, f := range before.Fields {
			if slices.ContainsFunc(f.Sentences, func(s Sentence) bool { return s.Key == key }) {
				list = append(list, Change{f.Title, key, was[key], ""})
			}
		}
	}
	return list
}
