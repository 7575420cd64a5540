package duty

import (
	"crypto/sha256"
	"embed"
	"fmt"
	"io/fs"
	"regexp"
	"slices"

	"sekisho/sheet"
)

//go:embed checklists/*.yaml
var shippedChecklists embed.FS

// A Checklist is what a check asks, in one edition. It is data: a company can
// put its own in its place, and a check that was planned keeps the text that it
// was planned with.
type Checklist struct {
	Name     string    `yaml:"name" json:"name"`
	Noun     string    `yaml:"noun" json:"noun"`       // of the checks that it is for
	Edition  string    `yaml:"edition" json:"edition"` //
	Source   string    `yaml:"source" json:"source"`   // on what it rests
	From     string    `yaml:"from" json:"from"`       // the day from which it is in force
	Title    Words     `yaml:"title" json:"title"`
	Sections []Section `yaml:"sections" json:"sections"`

	Text   []byte   `yaml:"-" json:"-"`
	SHA256 [32]byte `yaml:"-" json:"-"`
}

// A Section is some items under a head.
type Section struct {
	Title Words  `yaml:"title" json:"title"`
	Items []Item `yaml:"items" json:"items"`
}

// An Item is one thing to look at.
type Item struct {
	ID   string `yaml:"id" json:"id"`
	Must bool   `yaml:"must" json:"must,omitempty"` // it has to be met
	Maps string `yaml:"maps" json:"maps,omitempty"` // clauses of law and standards
	Say  Words  `yaml:"say" json:"say"`
}

const (
	maxChecklist = 256 << 10
	maxItems     = 500
)

var checklistID = regexp.MustCompile(`^[a-z][a-z0-9_]{0,40}$`)

// ReadChecklist reads one, and refuses what could not be asked.
func ReadChecklist(text []byte) (*Checklist, error) {
	if len(text) > maxChecklist {
		return nil, fmt.Errorf("reading a checklist: %d bytes; the limit is %d", len(text), maxChecklist)
	}
	l := &Checklist{Text: text, SHA256: sha256.Sum256(text)}
	if err := sheet.Read(text, l); err != nil {
		return nil, fmt.Errorf("reading a checklist: %w", err)
	}
	if _, ok := NounOf(l.Noun); !ok {
		return nil, fmt.Errorf("reading the checklist %q: there are no checks called %q", l.Name, l.Noun)
	}
	if !checklistID.MatchString(l.Name) || l.Edition == "" || !l.Title.both() {
		return nil, fmt.Errorf("reading the checklist %q: it needs a name of small letters, an edition, and a title in both languages", l.Name)
	}
	seen := map[string]bool{}
	for _, s := range l.Sections {
		for _, i := range s.Items {
			switch {
			case !checklistID.MatchString(i.ID) || seen[i.ID]:
				return nil, fmt.Errorf("reading the checklist %q: the item %q is no word of small letters, or stands there twice", l.Name, i.ID)
			case !i.Say.both():
				return nil, fmt.Errorf("reading the checklist %q: the item %q has no text in one of the languages", l.Name, i.ID)
			}
			seen[i.ID] = true
		}
	}
	if len(seen) == 0 || len(seen) > maxItems {
		return nil, fmt.Errorf("reading the checklist %q: it has %d items; give 1 to %d", l.Name, len(seen), maxItems)
	}
	return l, nil
}

// Items are the names of all items, and of those that must be met.
func (l *Checklist) Items() (all, must []string) {
	for _, s := range l.Sections {
		for _, i := range s.Items {
			all = append(all, i.ID)
			if i.Must {
				must = append(must, i.ID)
			}
		}
	}
	return all, must
}

// Checklists are those that can be planned with.
type Checklists []*Checklist

// ReadChecklists reads what the house ships, and the texts of a company's own: one
// of the same name takes the place of the shipped one.
func ReadChecklists(own ...[]byte) (list Checklists, err error) {
	names, err := fs.Glob(shippedChecklists, "checklists/*.yaml")
	if err != nil {
		return nil, err
	}
	var texts [][]byte
	for _, name := range names {
		text, err := shippedChecklists.ReadFile(name)
		if err != nil {
			return nil, err
		}
		texts = append(texts, text)
	}
	for _, text := range append(texts, own...) {
		l, err := ReadChecklist(text)
		if err != nil {
			return nil, err
		}
		list = slices.DeleteFunc(list, func(old *Checklist) bool { return old.Name == l.Name })
		list = append(list, l)
	}
	return list, nil
}

// Of is those for checks of a noun.
func (list Checklists) Of(noun string) (some Checklists) {
	for _, l := range list {
		if l.Noun == noun {
			some = append(some, l)
		}
	}
	return some
}

// Named is the one of that name, or nil.
func (list Checklists) Named(name string) *Checklist {
	for _, l := range list {
		if l.Name == name {
			return l
		}
	}
	return nil
}
