package act

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"iter"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cedar-policy/cedar-go"
	publicast "github.com/cedar-policy/cedar-go/ast"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
	"github.com/cedar-policy/cedar-go/x/exp/schema"
	"github.com/cedar-policy/cedar-go/x/exp/schema/resolved"
	"github.com/cedar-policy/cedar-go/x/exp/schema/validate"

	"sekisho"
)

// Schema is the text of the words that a policy may use, for other Cedar tools.
//
//go:embed policy.cedarschema
var Schema string

// A File is the text of one file of policies.
type File struct {
	Name string // for messages
	Text []byte
}

// Names are the names that exist. A policy that speaks of another one would
// never match, so it is a mistake. A nil list is not checked.
type Names struct {
	Roles, Companies, Posts, Purposes, Tables, Endpoints []string
}

// Config is what a policy is read with.
type Config struct {
	Zone  *time.Location // in which hours and weekdays are told; nil is UTC
	Known Names
}

// MaxFile is the most bytes that one file may have.
const MaxFile = 256 << 10

// Limits of a policy. Parsing and type checking take memory that grows with
// depth.
const (
	maxRules = 512
	maxDepth = 100
)

// A Policy is what Load made of its files. It does not change, and may be used
// by many at once.
type Policy struct {
	zone  *time.Location
	rules []*rule // in the order of the files
	uses  uses
	index [verbs][slots]run // the rules that each question is for

	actions   [verbs]cedar.EntityUID
	resources [slots]cedar.EntityUID
}

// A rule is one Cedar policy.
type rule struct {
	n            int // in Policy.rules
	id           string
	file         string
	line         int
	permit       bool
	remedy       remedy
	reason, hint Text
	cedar        *cedar.Policy // as it stands in the file
	match        *cedar.Policy // the same as a permit: see run
	text         string
}

// A run is rules for Cedar to match. All of them go as permits, because Cedar
// names the permits that match only where no forbid does, and sekisho has to
// know both: what a forbid means is in its remedy.
type run []*rule

func (r run) All() iter.Seq2[cedar.PolicyID, *cedar.Policy] {
	return func(yield func(cedar.PolicyID, *cedar.Policy) bool) {
		for _, rule := range r {
			if !yield(cedar.PolicyID(rule.id), rule.match) {
				return
			}
		}
	}
}

// A Mistake is one thing that is wrong in a policy file, and what to do.
type Mistake struct {
	File string `json:"file"`
	Line int    `json:"line"`
	What string `json:"what"`
	Do   string `json:"do"`
}

func (m Mistake) String() string {
	s := fmt.Sprintf("%s:%d: %s", m.File, m.Line, m.What)
	if m.Do != "" {
		s += ": " + m.Do
	}
	return s
}

// Mistakes are all that Load found.
type Mistakes []Mistake

func (m Mistakes) Error() string {
	lines := make([]string, len(m))
	for i := range m {
		lines[i] = m[i].String()
	}
	return strings.Join(lines, "\n")
}

// Rules lists the ids of the rules, in the order of the files.
func (p *Policy) Rules() []string {
	ids := make([]string, len(p.rules))
	for i, r := range p.rules {
		ids[i] = r.id
	}
	return ids
}

// Budgets lists the budgets of the rules, each once.
func (p *Policy) Budgets() (list []Budget) {
	for _, r := range p.rules {
		if b := r.remedy.budget; b != (Budget{}) && !slices.Contains(list, b) {
			list = append(list, b)
		}
	}
	return list
}

// Load reads policies. It is strict: what it does not know is an error, which
// is Mistakes and names all that is wrong at once.
func Load(conf Config, files ...File) (*Policy, error) {
	types, err := readSchema()
	if err != nil {
		return nil, err
	}
	if conf.Zone == nil {
		conf.Zone = time.UTC
	}
	p := &Policy{zone: conf.Zone}
	c := checker{known: conf.Known, types: types, validator: validate.New(types), uses: &p.uses}
	ids := map[string]*rule{}
	for _, f := range files {
		for _, r := range c.file(f) {
			if before := ids[r.id]; before != nil && r.id != "" {
				c.wrong(r.line, fmt.Sprintf("the id %q stands at %s:%d too", r.id, before.file, before.line), "give each policy an id of its own")
			}
			ids[r.id] = r
			r.n = len(p.rules)
			p.rules = append(p.rules, r)
		}
	}
	if len(p.rules) > maxRules {
		c.wrong(1, fmt.Sprintf("%d policies; the limit is %d", len(p.rules), maxRules), "merge some, or remove those that nobody needs")
	}
	if len(c.mistakes) > 0 {
		return nil, c.mistakes
	}
	if len(p.rules) == 0 {
		return nil, errors.New("no policy in these files: without one everything is refused; begin with `sekisho policy init`")
	}
	for v := range verbs {
		p.actions[v] = actionOf(v)
	}
	for s := range slots {
		p.resources[s] = categoryOf(s)
	}
	for _, r := range p.rules {
		p.enter(r)
	}
	p.uses.settle()
	return p, nil
}

func readSchema() (*resolved.Schema, error) {
	var s schema.Schema
	s.SetFilename("policy.cedarschema")
	if err := s.UnmarshalCedar([]byte(Schema)); err != nil {
		return nil, fmt.Errorf("reading sekisho's own schema: %w", err)
	}
	types, err := s.Resolve()
	if err != nil {
		return nil, fmt.Errorf("reading sekisho's own schema: %w", err)
	}
	return types, nil
}

// A checker reads files one by one and gathers what is wrong.
type checker struct {
	known     Names
	types     *resolved.Schema
	validator *validate.Validator
	uses      *uses
	mistakes  Mistakes

	now  File // being read
	rule *rule
	base int // where the rule's text begins in the file
}

func (c *checker) wrong(line int, what, do string) {
	c.mistakes = append(c.mistakes, Mistake{c.now.Name, line, what, do})
}

var placeInText = regexp.MustCompile(`<input>:(\d+):\d+:? *`)

func (c *checker) file(f File) (rules []*rule) {
	c.now = f
	if len(f.Text) > MaxFile {
		c.wrong(1, fmt.Sprintf("%d bytes; the limit is %d", len(f.Text), MaxFile), "split the file")
		return nil
	}
	if at := notUTF8(f.Text); at >= 0 {
		c.wrong(1+bytes.Count(f.Text[:at], []byte("\n")), "a byte that is not UTF-8", "save the file as UTF-8")
		return nil
	}
	if line := tooDeep(f.Text); line > 0 {
		c.wrong(line, fmt.Sprintf("brackets and ifs nested deeper than %d", maxDepth), "write it in several policies")
		return nil
	}
	list, err := cedar.NewPolicyListFromBytes(f.Name, f.Text)
	if err != nil {
		line, what := 1, strings.TrimPrefix(err.Error(), "parser error: ")
		what = strings.TrimPrefix(what, "parse error at ")
		if m := placeInText.FindStringSubmatch(what); m != nil {
			line, _ = strconv.Atoi(m[1])
			what = strings.Replace(what, m[0], "", 1)
		}
		c.wrong(min(max(line, 1), 1+bytes.Count(f.Text, []byte("\n"))), "not Cedar, near "+strings.TrimPrefix(what, "near "), "a policy is @annotations, permit or forbid, (principal, action, resource), when { … } or unless { … }, and a semicolon")
		return nil
	}
	for i, p := range list {
		end := len(f.Text)
		if i+1 < len(list) {
			end = list[i+1].Position().Offset
		}
		at := p.Position()
		r := &rule{file: f.Name, line: at.Line, cedar: p, permit: p.Effect() == cedar.Permit, text: string(f.Text[at.Offset:end])}
		c.rule, c.base = r, at.Offset
		tree := (*ast.Policy)(p.AST())
		permit := *tree
		permit.Effect = ast.EffectPermit
		r.match = cedar.NewPolicyFromAST((*publicast.Policy)(&permit))
		c.annotations(tree.Annotations)
		c.remedyFits(tree)
		c.tree(tree)
		rules = append(rules, r)
	}
	return rules
}

// lineOf is the line of the first place in the rule that holds s, else the
// rule's own.
func (c *checker) lineOf(s string) int {
	if at := strings.Index(c.rule.text, s); at >= 0 {
		return 1 + bytes.Count(c.now.Text[:c.base+at], []byte("\n"))
	}
	return c.rule.line
}

func notUTF8(text []byte) int {
	for at := 0; at < len(text); {
		r, n := utf8.DecodeRune(text[at:])
		if r == utf8.RuneError && n == 1 {
			return at
		}
		at += n
	}
	return -1
}

// tooDeep gives the line on which one policy nests too deep, or 0.
func tooDeep(text []byte) int {
	depth, line := 0, 1
	for i := 0; i < len(text); i++ {
		switch b := text[i]; {
		case b == '\n':
			line++
		case b == '"':
			for i++; i < len(text) && text[i] != '"' && text[i] != '\n'; i++ {
				if text[i] == '\\' {
					i++
				}
			}
			if i < len(text) && text[i] == '\n' {
				line++
			}
		case b == '/' && i+1 < len(text) && text[i+1] == '/':
			for i+1 < len(text) && text[i+1] != '\n' {
				i++
			}
		case b == '(' || b == '[' || b == '{':
			depth++
		case b == ')' || b == ']' || b == '}':
			depth--
		case b == ';':
			depth = 0
		case letter(b):
			from := i
			for i+1 < len(text) && letter(text[i+1]) {
				i++
			}
			if string(text[from:i+1]) == "if" {
				depth++ // it ends where its policy does
			}
		}
		if depth > maxDepth {
			return line
		}
	}
	return 0
}

func letter(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || b == '_'
}

// enter puts a rule where requests will find it. A scope that does not match
// cannot fail either, so that leaving the rule out says the same.
func (p *Policy) enter(r *rule) {
	tree := (*ast.Policy)(r.cedar.AST())
	for v := range verbs {
		if !scopeHolds(tree.Action, actionOf(v)) {
			continue
		}
		for s := range slots {
			if !scopeHolds(tree.Resource, categoryOf(s)) {
				continue
			}
			p.index[v][s] = append(p.index[v][s], r)
		}
	}
}

// scopeHolds is what Cedar would say of a scope about an entity without
// parents.
func scopeHolds(scope ast.IsScopeNode, uid cedar.EntityUID) bool {
	switch s := scope.(type) {
	case ast.ScopeTypeEq:
		return s.Entity == uid
	case ast.ScopeTypeIn:
		return s.Entity == uid
	case ast.ScopeTypeInSet:
		for _, e := range s.Entities {
			if e == uid {
				return true
			}
		}
		return false
	case ast.ScopeTypeIs:
		return s.Type == uid.Type
	case ast.ScopeTypeIsIn:
		return s.Type == uid.Type && s.Entity == uid
	}
	return true
}

// The five actions, numbered from 0 as the ledger numbers its verbs from 1.
const verbs = 5

func actionOf(v int) cedar.EntityUID {
	return cedar.EntityUID{Type: "Action", ID: cedar.String(sekisho.Verb(v + 1).String())}
}

// The resources: the categories in the order of their bits, behind "public".
const slots = 12

func categoryOf(slot int) cedar.EntityUID {
	name := "public"
	if slot > 0 {
		name = sekisho.AllCategories()[slot-1].String()
	}
	return cedar.EntityUID{Type: "Category", ID: cedar.String(name)}
}
