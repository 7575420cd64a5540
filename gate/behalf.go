package gate

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"sekisho"
	"sekisho/identity"
	"sekisho/stmt"
)

// Who is behind a program. In front of the gate often stands an application,
// and the gate sees that and its server. If the config trusts its principal
// with it (speaks_for), it says for each transaction, session or statement
// which person at which terminal it works for. The gate writes down what was
// said when the statement was sent, as the server's own settings stood then;
// what a function inside the database sets does not count.

// said is what a session has stated for one statement. Immutable, and shared
// by all statements that it holds for.
type said struct {
	purpose uint32 // ordinal in "purpose"; 0 for none
	what    string // the purpose
	// behalf is the OnBehalf entry of such a statement, but for its session and
	// number; nil if nobody was named.
	behalf *sekisho.OnBehalf
}

// unsaid is of what no statement of the client's caused.
var unsaid = &said{}

// explain puts in front of a statement's entries who is behind it.
func (s *session) explain(by *said, number uint64, bodies ...sekisho.Body) []sekisho.Body {
	if by == nil || by.behalf == nil {
		return bodies
	}
	return append([]sekisho.Body{s.behalf(by, number)}, bodies...)
}

func (s *session) behalf(by *said, number uint64) *sekisho.OnBehalf {
	b := *by.behalf
	b.Session, b.Number = s.id.Load(), number
	return &b
}

// tags is what the comment at the end of a text says. nil: nothing.
type tags struct {
	purpose, user, terminal *string
	damaged                 bool // it speaks of a user or terminal, and cannot be read
}

// readTags reads a comment that CutComment has cut off.
func readTags(tail string) *tags {
	pairs, ok := stmt.ParseTags(tail)
	if !ok {
		if strings.Contains(tail, "user=") || strings.Contains(tail, "terminal=") {
			return &tags{damaged: true}
		}
		return nil
	}
	get := func(key string) *string {
		if v, ok := pairs[key]; ok {
			return &v
		}
		return nil
	}
	t := &tags{purpose: get("purpose"), user: get("user"), terminal: get("terminal")}
	if t.purpose == nil && t.user == nil && t.terminal == nil {
		return nil
	}
	return t
}

// cutTags takes the comment off the end of a text. Texts that differ only there
// share a plan.
func cutTags(text string) (bare, tail string, t *tags) {
	bare, tail = stmt.CutComment(text)
	if tail == "" || stmt.EndsOpen(bare) {
		return text, "", nil
	}
	return bare, tail, readTags(tail)
}

// longestName is that of a person, in bytes.
const longestPerson = 256

// checkPerson says what is wrong with the name of a person.
func checkPerson(name string) error {
	switch {
	case len(name) > longestPerson:
		return fmt.Errorf("it has more than %d bytes", longestPerson)
	case !utf8.ValidString(name):
		return errors.New("it is not UTF-8")
	case strings.TrimSpace(name) != name:
		return errors.New("it begins or ends with a space")
	case strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsGraphic(r) }):
		return errors.New("it holds a character that cannot be seen")
	}
	return nil
}

// checkTerminal says what is wrong with the name of a terminal: it must be one
// that a certificate could hold, and none that the house gives by itself.
func checkTerminal(name string) error {
	if name == "" {
		return nil
	}
	if name == "sekisho" || strings.HasPrefix(name, "console@") {
		return errors.New("it is one of sekisho's own")
	}
	return identity.CheckName(name)
}

func statedRefusal(setting int, why error) *refusal {
	return &refusal{code: "22023", reason: "stated", text: fmt.Sprintf("%s cannot be taken: %v", settingNames[setting], why),
		hint: "State a name as people read it: a person of at most 256 bytes, a terminal as its certificate would name it. The empty text states nothing."}
}

// silentRefusal is of one who speaks for others and may not.
func silentRefusal(setting int) *refusal {
	return &refusal{code: "42501", reason: "speaks_for", text: "this principal may not state " + settingNames[setting],
		hint: "Only a program that the gate's config trusts with it speaks for others (principals: speaks_for)."}
}

// mayState says why the session may not give a setting this value.
func (s *session) mayState(setting int, text string) *refusal {
	switch setting {
	case forWhat:
		_, err := s.role.purpose(text)
		var se *startupError
		if errors.As(err, &se) {
			return &refusal{code: se.code, reason: "purpose", text: se.text, hint: se.hint}
		}
	case forWhom:
		if !s.speaks.User {
			return silentRefusal(setting)
		}
		if err := checkPerson(text); err != nil {
			return statedRefusal(setting, err)
		}
	case fromWhere:
		if !s.speaks.Terminal {
			return silentRefusal(setting)
		}
		if err := checkTerminal(text); err != nil {
			return statedRefusal(setting, err)
		}
	}
	return nil
}

// mayDo is mayState for all that a statement sets.
func (s *session) mayDo(e *effect, values [][]byte) *refusal {
	if e == nil {
		return nil
	}
	for _, a := range e.set {
		text := a.text
		if a.param > 0 {
			if a.param > len(values) {
				continue // the server has words for that
			}
			if text = string(values[a.param-1]); values[a.param-1] == nil || !utf8.ValidString(text) {
				return statedRefusal(a.setting, errors.New("it is NULL, or not UTF-8"))
			}
		}
		if a.reset {
			continue
		}
		if why := s.mayState(a.setting, text); why != nil {
			return why
		}
	}
	return nil
}

// started notes what the client stated while connecting, which RESET goes back
// to.
func (s *session) started(settings map[string]string) *refusal {
	for i, name := range settingNames {
		text, stated := settings[name]
		delete(settings, name)
		if stated {
			if why := s.mayState(i, text); why != nil {
				return why
			}
		}
		if i == forWhat {
			text, _ = s.role.purpose(text)
		}
		if text != "" {
			s.first.reset[i] = value{text, sekisho.SourceConnection}
		}
	}
	s.first.now = s.first.reset
	s.tracks = s.speaks.any() || len(s.role.Purposes) > 0
	begun := s.first.clone()
	s.settled.Store(&begun)
	return nil
}

// says gives what a statement is made for, by the settings at that point and by
// its own comment. The refusal is for a statement over protected data.
func (s *session) says(now *[settings]value, t *tags) (*said, *refusal) {
	if t == nil && s.latest != nil && *now == s.latestOf {
		return s.latest, nil
	}
	v := *now
	if t != nil {
		if t.purpose != nil && len(s.role.Purposes) > 0 {
			if why := s.mayState(forWhat, *t.purpose); why != nil {
				return nil, why
			}
			v[forWhat] = value{*t.purpose, sekisho.SourceTag}
		}
		if t.user != nil || t.terminal != nil || t.damaged && s.speaks.any() {
			// Of a person and a terminal that were said in different places, nobody
			// knows whether they belong together.
			v[forWhom], v[fromWhere] = value{}, value{}
		}
		for i, p := range map[int]*string{forWhom: t.user, fromWhere: t.terminal} {
			if p == nil {
				continue
			}
			if why := s.mayState(i, *p); why != nil {
				return nil, why
			}
			v[i] = value{*p, sekisho.SourceTag}
		}
	}
	by := &said{}
	if by.what, _ = s.role.purpose(v[forWhat].text); by.what != "" {
		by.purpose = s.g.vault.Space("purpose").OfText([]byte(by.what))
	}
	if v[forWhom].text != "" || v[fromWhere].text != "" {
		b := &sekisho.OnBehalf{Endpoint: v[fromWhere].text, Verified: s.speaks.Verified && v[fromWhere].text != ""}
		if v[forWhom].text != "" {
			b.Principal, b.Source = s.g.vault.Space("staff").OfText([]byte(v[forWhom].text)), v[forWhom].source
		}
		if b.Endpoint != "" {
			b.Source = max(b.Source, v[fromWhere].source)
		}
		by.behalf = b
	}
	if t == nil {
		s.latest, s.latestOf = by, *now
	}
	return by, nil
}

// keepUp is called before each message. Where a cycle of messages begins, the
// client side goes by what the server has made of the settings. It waits for
// that if something that is still under way changes them.
func (q *requests) keepUp(typ byte) {
	s := q.s
	if !s.tracks || q.open {
		return
	}
	switch typ {
	case 'Q', 'P', 'B', 'E':
	default:
		return
	}
	if q.unsettled && !s.wants.idle() {
		q.settle()
	}
	if !s.wants.idle() {
		return
	}
	q.unsettled = false
	if now := s.settled.Load(); now != q.taken {
		q.taken, q.stating = now, now.clone()
	}
}

// cycleSent: the server ends a transaction that no BEGIN has begun.
func (q *requests) cycleSent() {
	if q.s.tracks && !q.stating.block {
		q.stating.over(true)
	}
}

// does applies a statement that was sent, for what follows in the same cycle:
// if it fails, that is not run.
func (q *requests) does(e *effect, values [][]byte) {
	if e != nil && q.s.tracks {
		q.stating.do(e, values)
		q.unsettled = true
	}
}

// saysOf gives, for each statement of a text, what it is made for; one for all
// if that is the same. The plan that it gives is refused if something of it may
// not be stated.
func (q *requests) saysOf(p *plan, t *tags) (by []*said, _ *plan) {
	s := q.s
	if !s.tracks && t == nil && !p.states {
		return s.listed(s.latest), p
	}
	if t == nil && len(p.stmts) == 1 && p.stmts[0].effect == nil { // nearly always
		by, _ := s.says(&q.stating.now, nil)
		s.serves(by)
		return s.listed(by), p
	}
	for _, sp := range p.stmts {
		if p.refuse == nil && sp.effect != nil && len(sp.effect.params()) == 0 {
			if why := s.mayDo(sp.effect, nil); why != nil {
				p = p.refusedWith(why)
			}
		}
	}
	now := &q.stating
	first := true
	for _, sp := range p.stmts {
		if first || sp.effect != nil || len(by) == 0 {
			one, why := s.says(&now.now, t)
			if why != nil {
				if p.refuse == nil && p.protected && !s.role.observes() {
					p = p.refusedWith(why)
				}
				one, _ = s.says(&now.now, nil)
				if one.behalf != nil && s.tracks { // what it would say instead is not known
					one = &said{purpose: one.purpose, what: one.what}
				}
			}
			by = append(by, one)
		} else {
			by = append(by, by[len(by)-1])
		}
		if first = sp.effect != nil; first && len(p.stmts) > 1 {
			if now == &q.stating {
				c := now.clone()
				now = &c
			}
			now.do(sp.effect, nil)
		}
	}
	if len(by) == 0 {
		one, _ := s.says(&now.now, nil)
		by = append(by, one)
	}
	var over *said
	for i, sp := range p.stmts {
		if sp.kind == planFree || sp.kind == 0 {
			continue
		}
		if over != nil && over.purpose != by[i].purpose && p.refuse == nil {
			p = p.refusedWith(&refusal{code: "22023", reason: "purpose", text: "the statements of one text that read protected data must have one purpose", hint: "Send them in two."})
		}
		over = by[i]
	}
	if over == nil {
		over = by[0]
	}
	s.serves(over)
	return by, p
}

// listed is a list of one, the same as long as that is the same.
func (s *session) listed(by *said) []*said {
	if len(s.list) != 1 || s.list[0] != by {
		s.list = []*said{by}
	}
	return s.list
}

// params lists the parameters that values are taken from.
func (e *effect) params() (list []int) {
	if e != nil {
		for _, a := range e.set {
			if a.param > 0 {
				list = append(list, a.param)
			}
		}
	}
	return list
}

// asText: the parameters that a statement states something by are text to the
// server, by the types of a Parse.
func (e *effect) asText(types []byte) bool {
	for _, n := range e.params() {
		if 4*n > len(types) {
			continue // left to the server, which makes it text
		}
		switch be.Uint32(types[4*(n-1):]) {
		case 0, 25, 1043, 705:
		default:
			return false
		}
	}
	return true
}

var statedTypes = &refusal{code: "22023", reason: "stated", text: "what is stated by a parameter must be text", hint: "Give the parameter no type, or text."}

// at is what the statement whose reply is being read was made for.
func (w *want) by() *said {
	switch {
	case len(w.said) == 0:
		return unsaid
	case w.at < len(w.said):
		return w.said[w.at]
	}
	return w.said[len(w.said)-1]
}

// states follows, on the server side, a statement that has succeeded. What it
// made of the settings is there for the client side before it can see that the
// statement is over.
func (r *replies) states(w *want, sp *stmtPlan) {
	if sp == nil || sp.effect == nil || !r.s.tracks {
		return
	}
	var values [][]byte
	if w.portal != nil {
		if w.portal.stated {
			return // it runs once, in however many pieces
		}
		w.portal.stated = true
		values = w.portal.texts
	}
	r.stating.do(sp.effect, values)
	r.settled()
}

func (r *replies) settled() {
	c := r.stating.clone()
	r.s.settled.Store(&c)
}

// statesReady and statesFail follow the transaction.
func (r *replies) statesReady(status byte) {
	if r.s.tracks && r.stating.ready(status) {
		r.settled()
	}
}

func (r *replies) statesFail() {
	if r.s.tracks {
		r.stating.fail()
		r.settled()
	}
}
