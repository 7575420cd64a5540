package console

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"sekisho"
	"sekisho/incident"
	"sekisho/trace"
)

// A RoomPage is an incident's room: what is known and what is not, who does
// what, which clocks count, and what has to be decided next.
type RoomPage struct {
	ID        uint64             `json:"id"`
	Opened    sekisho.Time       `json:"opened"`
	By        string             `json:"by,omitempty"`
	Now       sekisho.Time       `json:"now"`
	Phase     RoomPhase          `json:"phase"`
	Severity  RoomSeverity       `json:"severity"`
	Ongoing   bool               `json:"ongoing"`
	Why       string             `json:"ongoing_why"` // a code: what says so
	Endpoints []string           `json:"endpoints"`
	Numbers   *revision          `json:"numbers,omitempty"` // nil: they cannot be asked for
	Revisions []*revision        `json:"revisions"`         // the newest first
	Unasked   string             `json:"unasked,omitempty"` // why there are none
	Notes     []string           `json:"not_observed,omitempty"`
	Facts     []RoomFact         `json:"facts"`
	Unknown   []RoomUnknown      `json:"unknown"`
	Roles     []RoomRole         `json:"roles"`
	Tasks     []RoomTask         `json:"tasks"`
	Missed    int                `json:"playbooks_missing,omitempty"` // whose text cannot be read any more
	Playbooks []RoomPlaybook     `json:"playbooks"`
	Decisions []RoomDecision     `json:"decisions"`
	Next      []RoomNext         `json:"next"`
	Evidence  []RoomEvidence     `json:"evidence"`
	Raised    []RoomRaised       `json:"raised"`
	Lessons   []RoomLesson       `json:"lessons"`
	Ladder    []RoomRung         `json:"ladder"`
	Sat       []RoomSat          `json:"sat"` // who had it, and for how long
	Waits     []RoomWait         `json:"waits"`
	Clocks    []RoomClock        `json:"clocks"`
	Endings   []RoomEnding       `json:"endings"`
	Cut       []RoomCut          `json:"cut"` // the orders of containment
	Closed    bool               `json:"closed"`
	Follows   uint64             `json:"follows,omitempty"`
	Parts     map[string]any     `json:"parts,omitempty"` // the blocks of other nouns, by name
	CanDecide bool               `json:"can_decide"`
	Manual    *incident.Manual   `json:"-"`
	Choices   roomChoices        `json:"-"`
	Brief     bool               `json:"-"` // the page for the president
	Answer    *trace.Answer      `json:"-"`
	one       *incident.Incident // as it was folded
}

func (p *RoomPage) file() string {
	if p.Brief {
		return "brief"
	}
	return "room"
}

// RoomPhase is a phase, with where two standards have it.
type RoomPhase struct {
	Key   string       `json:"key"`
	Name  string       `json:"name"`
	Why   string       `json:"why"` // the moment that it is derived from
	At    sekisho.Time `json:"at,omitempty"`
	Entry uint64       `json:"entry,omitempty"`
	ISO   string       `json:"iso_27035"`
	NIST  string       `json:"nist_800_61"`
	All   []roomStep   `json:"-"`
}

type roomStep struct {
	Key, Name string
	Here      bool
}

// RoomSeverity is the severity with the products that it is the greatest of.
type RoomSeverity struct {
	Level string     `json:"level"`
	Name  string     `json:"name"`
	Score float64    `json:"score"`
	Terms []roomTerm `json:"terms"`
	Next  float64    `json:"-"` // from which score the next level begins; 0: none
}

type roomTerm struct {
	incident.Term
	Formula string `json:"formula"`
}

type RoomFact struct {
	Entry     uint64       `json:"entry"`
	Code      string       `json:"code"`
	Name      string       `json:"name"`
	Happened  sekisho.Time `json:"happened,omitempty"`
	Known     sekisho.Time `json:"known"`
	Told      sekisho.Time `json:"stated"`
	Source    string       `json:"source"`
	Certainty string       `json:"certainty"`
	Text      string       `json:"text"`
	By        string       `json:"by"`
	Replaced  uint64       `json:"replaced,omitempty"`
	Stands    bool         `json:"stands"`
	Late      bool         `json:"-"` // known over a day after it happened
}

// RoomUnknown is a question of the manual that no fact answers.
type RoomUnknown struct {
	Code  string `json:"code"`
	Ask   string `json:"ask"`
	Owner string `json:"owner"`
	Who   string `json:"who,omitempty"`
}

type RoomRole struct {
	Key    string        `json:"key"`
	Name   string        `json:"name"`
	Duty   string        `json:"duty"`
	Person string        `json:"person,omitempty"` // who holds it here
	Since  sekisho.Time  `json:"since,omitempty"`
	Said   string        `json:"said,omitempty"` // at the hand-over
	Roster []string      `json:"roster"`         // who stands for it
	Reach  string        `json:"-"`
	Past   []RoomHolding `json:"past,omitempty"`
}

type RoomHolding struct {
	Person string       `json:"person"`
	From   sekisho.Time `json:"from"`
	Until  sekisho.Time `json:"until"`
	How    string       `json:"how"`
	Said   string       `json:"said,omitempty"`
}

type RoomTask struct {
	ID       string             `json:"id"`
	Playbook string             `json:"playbook,omitempty"`
	Say      string             `json:"say"`
	How      string             `json:"how,omitempty"`
	Role     string             `json:"role,omitempty"`
	Person   string             `json:"person,omitempty"` // assigned, or who holds the role
	Assigned bool               `json:"assigned"`
	After    string             `json:"after"`
	Due      sekisho.Time       `json:"due,omitempty"`
	Left     string             `json:"left,omitempty"`
	State    incident.TaskState `json:"state"`
	Over     sekisho.Time       `json:"over,omitempty"`
	By       string             `json:"by,omitempty"`
	Note     string             `json:"note,omitempty"`
	Entry    uint64             `json:"entry,omitempty"`
	Open     bool               `json:"-"`
}

type RoomPlaybook struct {
	Name    string       `json:"name"`
	Say     string       `json:"say"`
	When    string       `json:"when,omitempty"`
	Edition string       `json:"edition"`
	SHA256  string       `json:"sha256"`
	Chosen  sekisho.Time `json:"chosen,omitempty"`
	By      string       `json:"by,omitempty"`
	Entry   uint64       `json:"entry,omitempty"`
}

type RoomDecision struct {
	Entry   uint64       `json:"entry"`
	At      sekisho.Time `json:"at"`
	Code    string       `json:"code"`
	Title   string       `json:"title"`
	Options []string     `json:"options"`
	Chosen  int          `json:"chosen"`
	Why     string       `json:"why"`
	By      string       `json:"by"`
	Two     bool         `json:"two"`
	State   string       `json:"state"` // "stands", "pending", "rejected", "withdrawn"
	Second  *roomAnswer  `json:"second,omitempty"`
	Own     bool         `json:"own"`
}

type roomAnswer struct {
	Entry  uint64       `json:"entry"`
	At     sekisho.Time `json:"at"`
	Action string       `json:"action"`
	Text   string       `json:"text,omitempty"`
	By     string       `json:"by"`
}

// RoomNext is a decision that comes up now.
type RoomNext struct {
	Key     string   `json:"key"`
	Say     string   `json:"say"`
	Why     string   `json:"why"`
	Owner   string   `json:"owner"`
	Who     string   `json:"who,omitempty"`
	Options []string `json:"options"`
	Two     bool     `json:"two"`
}

type RoomEvidence struct {
	Entry  uint64       `json:"entry"`
	At     sekisho.Time `json:"at"`
	Title  string       `json:"title"`
	SHA256 string       `json:"sha256,omitempty"`
	Size   uint64       `json:"size"`
	Kept   string       `json:"kept"`
	Taken  sekisho.Time `json:"taken"`
	Person string       `json:"person"`
	By     string       `json:"by"`
	Chain  []roomMoved  `json:"chain,omitempty"`
}

type roomMoved struct {
	Entry   uint64       `json:"entry"`
	At      sekisho.Time `json:"at"`
	Person  string       `json:"person,omitempty"`
	Kept    string       `json:"kept"`
	Why     string       `json:"why"`
	Checked bool         `json:"hash_checked"`
	By      string       `json:"by"`
}

type RoomRaised struct {
	Entry    uint64       `json:"entry"`
	At       sekisho.Time `json:"at"`
	What     string       `json:"what"`
	Source   string       `json:"source"`
	Endpoint string       `json:"endpoint,omitempty"`
	Known    sekisho.Time `json:"known"`
	Text     string       `json:"text"`
	Person   string       `json:"asked,omitempty"`
	By       string       `json:"by"`
	Answer   *roomAnswer  `json:"answer,omitempty"`
	Open     string       `json:"open,omitempty"` // for how long
}

type RoomLesson struct {
	Entry  uint64       `json:"entry"`
	Text   string       `json:"text"`
	Person string       `json:"owner"`
	Due    sekisho.Time `json:"due"`
	State  string       `json:"state"` // "open", "overdue", "done", "dropped"
	Over   sekisho.Time `json:"over,omitempty"`
	Note   string       `json:"note,omitempty"`
	By     string       `json:"by"`
}

type RoomRung struct {
	Entry  uint64       `json:"entry"`
	About  uint64       `json:"about"`
	At     sekisho.Time `json:"at"`
	Due    sekisho.Time `json:"due"`
	Stage  string       `json:"stage"`
	Rung   uint32       `json:"rung"`
	Role   string       `json:"role"`
	Person string       `json:"person,omitempty"` // empty: nobody was named
}

type RoomEnding struct {
	Entry   uint64       `json:"entry"`
	At      sekisho.Time `json:"at"`
	Action  string       `json:"action"`
	Outcome string       `json:"outcome,omitempty"`
	Why     string       `json:"why"`
	By      string       `json:"by"`
	Answer  *roomAnswer  `json:"answer,omitempty"`
	Own     bool         `json:"own"`
	Waits   bool         `json:"waits"`
}

// roomChoices fill the selects of the forms.
type roomChoices struct {
	Facts, Roles, Books, Staff []roomChoice
}

type roomChoice struct{ Key, Name string }

// room shows the room of an incident.
func (c *Console) room(v *visit) (page, error) {
	number, err := strconv.ParseUint(v.r.PathValue("id"), 10, 64)
	if err != nil {
		return nil, fail(http.StatusNotFound, "incident")
	}
	return c.roomPage(v, number)
}

func (c *Console) roomPage(v *visit, number uint64) (*RoomPage, error) {
	one := c.caseByNumber(number)
	if one == nil {
		return nil, fail(http.StatusNotFound, "incident")
	}
	m := c.cfg.Manual
	p := &RoomPage{ID: one.Number, Opened: one.Opened, By: c.named("staff", one.By), Now: sekisho.At(c.cfg.Now()), Endpoints: one.Endpoints,
		Follows: one.Room.Follows, CanDecide: c.mayDecideIn(v.who, one), Manual: m, one: one}
	p.Ongoing, p.Why = one.Ongoing()
	_, p.Closed = one.Closed()
	c.roomNumbers(v, p)
	c.roomPhase(v, p)
	c.roomSeverity(v, p)
	c.roomFacts(v, p)
	c.roomPeople(v, p)
	c.roomTasks(v, p)
	c.roomDecisions(v, p)
	c.roomThings(v, p)
	c.roomLadder(v, p)
	c.roomCut(v, p)
	if err := c.roomTimes(v, p); err != nil {
		return nil, err
	}
	for _, e := range one.Room.Endings {
		line := RoomEnding{Entry: e.Seq, At: e.At, Action: e.Body.Action, Outcome: e.Body.Outcome, Why: c.said(e.Body.Said), By: c.named("staff", e.Body.By), Answer: c.answered(e.Answer)}
		line.Own = c.same(v, line.By)
		line.Waits = e.Body.Action == "close" && e.Answer == nil
		p.Endings = append(p.Endings, line)
	}
	var err error
	p.Parts, err = c.parts(v, one)
	return p, err
}

// said is what somebody typed.
func (c *Console) said(ordinal uint32) string { return c.named("said", ordinal) }

// same: the name is an account of the visitor's.
func (c *Console) same(v *visit, name string) bool {
	return v.who != nil && c.users.person(v.who.name) == c.users.person(name)
}

// mayDecideIn: the visitor may approve in this incident what others decided, by
// the role of the account or by one held here.
func (c *Console) mayDecideIn(who *session, one *incident.Incident) bool {
	if who == nil {
		return false
	}
	if c.mayDecide(who) {
		return true
	}
	for _, role := range []string{"incident_commander", "deputy", "executive"} {
		if holder := one.Holder(role); holder != 0 && holder == who.staff {
			return true
		}
	}
	return false
}

func (c *Console) answered(a *incident.Answer) *roomAnswer {
	if a == nil {
		return nil
	}
	return &roomAnswer{Entry: a.Seq, At: a.At, Action: a.Body.Action, Text: c.said(a.Body.Said), By: c.named("staff", a.Body.By)}
}

// roomNumbers takes the numbers of now, and how they moved.
func (c *Console) roomNumbers(v *visit, p *RoomPage) {
	for n := range p.one.Revisions {
		r := c.revision(&p.one.Revisions[n])
		if n > 0 {
			r.Prev = p.Revisions[n-1]
		}
		p.Revisions = append(p.Revisions, r)
	}
	slices.Reverse(p.Revisions)
	a, err := c.ask(v.r.Context(), c.questionOf(p.one))
	if err != nil {
		p.Unasked = v.say("room.unasked")
		if len(p.one.Endpoints) == 0 {
			p.Unasked = v.say("room.unasked.endpoints")
		}
		return
	}
	p.Answer = a
	p.Numbers = &revision{WorstCase: a.WorstCase, Suspected: a.Suspected, SentAtMost: a.SentAtMost, Confirmed: a.Confirmed, SentKnown: a.SentKnown, Through: a.Through, Endpoints: len(p.one.Endpoints)}
	if len(p.Revisions) > 0 {
		p.Numbers.Prev = p.Revisions[0]
	}
	for _, n := range a.NotObserved {
		p.Notes = append(p.Notes, v.note(n))
	}
	var known []string
	c.cfg.Views.Read(func() { known = c.cfg.Trace.Endpoints() })
	if _, unseen := incident.Asked(trace.Question{Endpoints: p.one.Endpoints}, known); len(unseen) > 0 {
		p.Notes = append(p.Notes, v.say("room.unseen", strings.Join(unseen, ", ")))
	}
}

func (c *Console) roomPhase(v *visit, p *RoomPage) {
	s := p.one.Phase()
	key := string(s.Phase)
	p.Phase = RoomPhase{Key: key, Name: v.say("phase." + key), Why: c.momentName(v, s.Why), At: s.Mark.At, Entry: s.Mark.Seq, ISO: v.say("phase.iso." + key), NIST: v.say("phase.nist." + key)}
	for _, one := range incident.Phases() {
		p.Phase.All = append(p.Phase.All, roomStep{string(one), v.say("phase." + string(one)), one == s.Phase})
	}
}

// momentName is what a mark is called: by the manual, or by the house.
func (c *Console) momentName(v *visit, code string) string {
	if f, ok := c.cfg.Manual.Fact(code); ok {
		return f.Say.In(v.Lang)
	}
	return v.code("moment", code)
}

// findings are the numbers as the formula of severity takes them.
func findings(a *trace.Answer) []incident.Finding {
	if a == nil {
		return []incident.Finding{{Certainty: "possible"}}
	}
	one := func(certainty string, value uint64, parts []trace.Part) incident.Finding {
		f := incident.Finding{Certainty: certainty, Subjects: value, Asked: true}
		seen := map[string]bool{}
		for _, part := range parts {
			switch part.Kind {
			case "category":
				f.Categories = append(f.Categories, part.Value)
			case "date":
				seen[part.Dimension] = true
				if f.Dated += part.Count; part.Value == "valid" {
					f.Valid += part.Count
				}
			}
		}
		return f
	}
	likely, parts := a.Suspected, a.Numbers.Suspected.Breakdown
	if a.SentKnown {
		likely = a.SentAtMost
	}
	return []incident.Finding{one("confirmed", a.Confirmed, a.Numbers.Confirmed.Breakdown), one("likely", likely, parts), one("possible", a.WorstCase, a.Numbers.WorstCase.Breakdown)}
}

func (c *Console) severityOf(v *visit, one *incident.Incident, a *trace.Answer) RoomSeverity {
	rule := &c.cfg.Manual.Severity
	ongoing, _ := one.Ongoing()
	j := rule.Judge(findings(a), ongoing)
	s := RoomSeverity{Level: j.Level, Name: j.Say.In(v.Lang), Score: j.Score}
	if j.Rank+1 < len(rule.Levels) {
		s.Next = rule.Levels[j.Rank+1].From
	}
	for _, t := range j.Terms {
		s.Terms = append(s.Terms, roomTerm{t, fmt.Sprintf("%g × %g × %.3g × %g × %g = %.3g", t.Points, t.Weight, t.Validity, t.Certain, t.Ongoing, t.Score)})
	}
	return s
}

func (c *Console) roomSeverity(v *visit, p *RoomPage) { p.Severity = c.severityOf(v, p.one, p.Answer) }

func (c *Console) roomFacts(v *visit, p *RoomPage) {
	for _, f := range p.one.Room.Facts {
		b := f.Body
		line := RoomFact{Entry: f.Seq, Code: b.Code, Name: c.momentName(v, b.Code), Happened: b.Happened, Known: b.Known, Told: f.At, Source: b.Source, Certainty: b.Certainty,
			Text: c.said(b.Said), By: c.named("staff", b.By), Replaced: f.Replaced, Stands: f.Stands()}
		line.Late = b.Happened != 0 && b.Known-b.Happened > oneDay
		p.Facts = append(p.Facts, line)
	}
	slices.SortStableFunc(p.Facts, func(a, b RoomFact) int {
		return cmp.Compare(cmp.Or(a.Happened, a.Known), cmp.Or(b.Happened, b.Known))
	})
	for _, k := range c.cfg.Manual.Facts {
		if _, known := p.one.Fact(k.Key); known || k.Ask.En == "" {
			continue
		}
		if k.Key == "stopped" && !p.Ongoing {
			continue
		}
		owner, who := c.roleName(v, k.Owner), c.holderOf(p.one, k.Owner)
		p.Unknown = append(p.Unknown, RoomUnknown{k.Key, k.Ask.In(v.Lang), owner, who})
	}
}

func (c *Console) roleName(v *visit, key string) string {
	if r, ok := c.cfg.Manual.Role(key); ok {
		return r.Say.In(v.Lang)
	}
	return key
}

// holderOf is who holds a role, or stands first for it.
func (c *Console) holderOf(one *incident.Incident, role string) string {
	if o := one.Holder(role); o != 0 {
		return c.named("staff", o)
	}
	if list := c.cfg.Manual.Roster(role); len(list) > 0 {
		return list[0]
	}
	return ""
}

func (c *Console) roomPeople(v *visit, p *RoomPage) {
	for _, r := range c.cfg.Manual.Roles {
		line := RoomRole{Key: r.Key, Name: r.Say.In(v.Lang), Duty: r.Duty.In(v.Lang), Roster: c.cfg.Manual.Roster(r.Key)}
		for _, h := range p.one.Room.Roles {
			switch {
			case h.Body.Role != r.Key:
			case h.Until == 0:
				line.Person, line.Since, line.Said = c.named("staff", h.Body.Person), h.At, c.said(h.Body.Said)
			default:
				line.Past = append(line.Past, RoomHolding{c.named("staff", h.Body.Person), h.At, h.Until, h.Over.Action, c.said(h.Over.Said)})
			}
		}
		reach := line.Person
		if reach == "" && len(line.Roster) > 0 {
			reach = line.Roster[0]
		}
		if contact := c.cfg.Manual.Contact(reach); contact.Name != "" || contact.Phone != "" {
			line.Reach = contact.Name + " " + contact.Phone
		}
		p.Roles = append(p.Roles, line)
		p.Choices.Roles = append(p.Choices.Roles, roomChoice{r.Key, line.Name})
		for _, name := range line.Roster {
			p.Choices.Staff = append(p.Choices.Staff, roomChoice{name, name})
		}
	}
	slices.SortFunc(p.Choices.Staff, func(a, b roomChoice) int { return cmp.Compare(a.Key, b.Key) })
	p.Choices.Staff = slices.Compact(p.Choices.Staff)
	for _, f := range c.cfg.Manual.Facts {
		p.Choices.Facts = append(p.Choices.Facts, roomChoice{f.Key, f.Say.In(v.Lang)})
	}
	for _, b := range c.cfg.Manual.Playbooks {
		p.Choices.Books = append(p.Choices.Books, roomChoice{b.Name, b.Say.In(v.Lang)})
	}
}

// playbook is the text that was in force when a playbook was chosen, by its hash.
func (c *Console) playbook(chosen *sekisho.PlaybookChosen) *incident.Playbook {
	if b, ok := c.cfg.Manual.Playbook(chosen.Name); ok && b.SHA256 == chosen.SHA256 {
		return b
	}
	text, ok := c.cfg.Vault.Space("document").Key(chosen.Document)
	if !ok {
		return nil
	}
	b, err := incident.ReadPlaybook([]byte(text))
	if err != nil || b.SHA256 != chosen.SHA256 {
		return nil
	}
	return b
}

func (c *Console) roomTasks(v *visit, p *RoomPage) {
	for n := len(p.one.Room.Playbooks) - 1; n >= 0; n-- {
		one := p.one.Room.Playbooks[n]
		line := RoomPlaybook{Name: one.Body.Name, Say: one.Body.Name, Edition: one.Body.Edition, SHA256: hex.EncodeToString(one.Body.SHA256[:]), Chosen: one.At, By: c.named("staff", one.Body.By), Entry: one.Seq}
		if b := c.playbook(one.Body); b != nil {
			line.Say, line.When = b.Say.In(v.Lang), b.When.In(v.Lang)
		}
		p.Playbooks = append(p.Playbooks, line)
	}
	slices.Reverse(p.Playbooks)
	list, missed := p.one.Tasks(p.Now, c.playbook)
	p.Missed = missed
	for _, t := range list {
		line := RoomTask{ID: t.ID, Say: t.Say.In(v.Lang), How: t.How.In(v.Lang), Role: c.roleName(v, t.Role), After: c.momentName(v, t.After), Due: t.Due, State: t.State,
			Over: t.Over, By: c.named("staff", t.By), Note: c.said(t.Note), Entry: t.Entry, Open: t.Left()}
		if t.Said != 0 {
			line.Say = c.said(t.Said)
		}
		if t.Person != 0 {
			line.Person, line.Assigned = c.named("staff", t.Person), true
		} else if t.Role != "" {
			line.Person = c.holderOf(p.one, t.Role)
		}
		if t.Due != 0 && t.Left() {
			line.Left = v.left(p.Now, t.Due)
		}
		p.Tasks = append(p.Tasks, line)
	}
}

func (c *Console) roomDecisions(v *visit, p *RoomPage) {
	for _, d := range p.one.Room.Decisions {
		b := d.Body
		line := RoomDecision{Entry: d.Seq, At: d.At, Code: b.Code, Title: c.said(b.Title), Chosen: int(b.Chosen), Why: c.said(b.Said), By: c.named("staff", b.By), Two: b.Two, Second: c.answered(d.Answer), State: "stands"}
		for _, o := range b.Options {
			line.Options = append(line.Options, c.said(o))
		}
		if rule, ok := c.cfg.Manual.Decision(b.Code); ok { // in the words of the manual it is said in the reader's language
			line.Title = inTongue(v, line.Title, []incident.Words{rule.Say})
			for n := range line.Options {
				line.Options[n] = inTongue(v, line.Options[n], rule.Options)
			}
		}
		switch {
		case d.Pending():
			line.State = "pending"
		case d.Answer != nil && d.Answer.Body.Action != "approved":
			line.State = d.Answer.Body.Action
		}
		line.Own = c.same(v, line.By)
		p.Decisions = append(p.Decisions, line)
	}
	s := incident.Situation{People: p.Numbers == nil && len(p.one.Endpoints) > 0}
	if n := p.Numbers; n != nil {
		s.People = n.WorstCase > 0 || n.Confirmed > 0
	}
	for _, t := range p.Tasks {
		s.Tasks = s.Tasks || t.Open
	}
	for _, d := range c.cfg.Manual.Next(p.one, s) {
		line := RoomNext{Key: d.Key, Say: d.Say.In(v.Lang), Why: d.Why.In(v.Lang), Owner: c.roleName(v, d.Owner), Who: c.holderOf(p.one, d.Owner), Two: d.Two}
		for _, o := range d.Options {
			line.Options = append(line.Options, o.In(v.Lang))
		}
		p.Next = append(p.Next, line)
	}
}

// inTongue is a text in the visitor's language, if it is one of the manual's.
func inTongue(v *visit, text string, words []incident.Words) string {
	for _, w := range words {
		if text == w.En || text == w.Ja {
			return w.In(v.Lang)
		}
	}
	return text
}

// roomThings are evidence, what was raised, and lessons.
func (c *Console) roomThings(v *visit, p *RoomPage) {
	for _, e := range p.one.Room.Evidence {
		line := RoomEvidence{Entry: e.Seq, At: e.At, Title: c.said(e.Body.Title), Size: e.Body.Size, Kept: c.said(e.Body.Kept), Taken: e.Body.Taken, Person: c.named("staff", e.Body.Person), By: c.named("staff", e.Body.By)}
		if e.Body.SHA256 != [32]byte{} {
			line.SHA256 = hex.EncodeToString(e.Body.SHA256[:])
		}
		for _, m := range e.Chain {
			line.Chain = append(line.Chain, roomMoved{m.Seq, m.At, c.named("staff", m.Body.Person), c.said(m.Body.Kept), c.said(m.Body.Said), m.Body.Checked, c.named("staff", m.Body.By)})
		}
		p.Evidence = append(p.Evidence, line)
	}
	for _, q := range p.one.Room.Raised {
		b := q.Body
		line := RoomRaised{Entry: q.Seq, At: q.At, What: b.What, Source: b.Source, Endpoint: b.Endpoint, Known: b.Known, Text: c.said(b.Said), Person: c.named("staff", b.Person), By: c.named("staff", b.By), Answer: c.answered(q.Answer)}
		if q.Answer == nil {
			line.Open = v.span(p.Now - b.Known)
		}
		p.Raised = append(p.Raised, line)
	}
	for _, l := range p.one.Room.Lessons {
		line := RoomLesson{Entry: l.Seq, Text: c.said(l.Body.Said), State: "open", By: c.named("staff", l.Body.By), Over: l.Over, Person: c.named("staff", l.Body.Person), Due: l.Body.Due}
		if l.Now != l.Body {
			line.Note = c.said(l.Now.Said)
			if l.Open() {
				line.Person, line.Due = c.named("staff", l.Now.Person), l.Now.Due
			}
		}
		switch {
		case !l.Open():
			line.State = l.Now.Action
		case line.Due <= p.Now:
			line.State = "overdue"
		}
		p.Lessons = append(p.Lessons, line)
	}
}

func (c *Console) roomTimes(v *visit, p *RoomPage) error {
	for _, k := range c.cfg.Manual.ClocksOf(p.one, p.Now) {
		line := RoomClock{Key: k.Rule.Key, Name: k.Rule.Say.In(v.Lang), State: k.State, From: k.From, Start: k.FromBy, Due: k.Due, Met: k.Met, End: k.MetBy,
			Owner: c.roleName(v, k.Rule.Owner), Rule: v.say("room.clock.rule", c.cfg.Manual.Edition)}
		switch {
		case k.Met != 0 && k.From != 0:
			line.Left = v.say("room.took", v.span(max(0, k.Met-k.From)))
		case k.Due != 0:
			line.Left = v.left(p.Now, k.Due)
		case k.From != 0:
			line.Left = v.say("room.since", v.span(p.Now-k.From))
		}
		if k.Paused > 0 {
			line.Paused = v.duration(k.Paused.Seconds())
		}
		p.Clocks = append(p.Clocks, line)
	}
	for _, more := range roomClocks {
		list, err := more(c, v, p.one)
		if err != nil {
			return fmt.Errorf("showing the clocks of an incident: %w", err)
		}
		p.Clocks = append(p.Clocks, list...)
	}
	return nil
}

// span is a length of time in words.
func (t *tongue) span(d sekisho.Time) string { return t.duration(float64(max(0, d)) / 1e6) }

// left is how long there still is, or by how much it is over.
func (t *tongue) left(now, due sekisho.Time) string {
	if now < due {
		return t.say("room.left", t.span(due-now))
	}
	return t.say("room.over", t.span(now-due))
}

// RoomWait is something that climbs a ladder.
type RoomWait struct {
	About  uint64       `json:"about"`
	What   string       `json:"what"`
	Stage  string       `json:"stage"`
	Since  sekisho.Time `json:"since"`
	For    string       `json:"for"`
	Role   string       `json:"next_role,omitempty"`
	Person string       `json:"next_person,omitempty"`
	At     sekisho.Time `json:"next_at,omitempty"`
	Top    bool         `json:"top"` // nobody is above who could be told
}

// RoomSat says before whom something lay, and for how long.
type RoomSat struct {
	About  uint64       `json:"about"`
	Stage  string       `json:"stage"`
	Role   string       `json:"role"`
	Person string       `json:"person,omitempty"` // empty: nobody was named for the role
	From   sekisho.Time `json:"from"`
	Until  sekisho.Time `json:"until"`
	Still  bool         `json:"still"`
	For    string       `json:"for"`
}

func (c *Console) roomLadder(v *visit, p *RoomPage) {
	m := c.cfg.Manual
	for _, x := range p.one.Room.Climbed {
		b := x.Body
		p.Ladder = append(p.Ladder, RoomRung{x.Seq, b.About, x.At, b.Due, b.Stage, b.Rung, c.roleName(v, b.Role), c.named("staff", b.Person)})
	}
	for _, s := range p.one.Sat(p.Now) {
		p.Sat = append(p.Sat, RoomSat{s.About, s.Stage, c.roleName(v, s.Role), c.named("staff", s.Person), s.From, s.Until, s.Still, v.span(s.Until - s.From)})
	}
	for _, w := range p.one.Waits() {
		line := RoomWait{About: w.About, What: w.What, Stage: w.Stage, Since: w.Since, For: v.span(p.Now - w.Since)}
		if rung, at, ok := m.Up(p.one, w); ok {
			line.Role, line.At = c.roleName(v, rung.Role), at
			list := m.Roster(rung.Role)
			switch {
			case rung.Deputy && len(list) > 1:
				line.Person = list[1]
			case !rung.Deputy:
				line.Person = c.holderOf(p.one, rung.Role)
			}
		} else {
			line.Top = true
		}
		p.Waits = append(p.Waits, line)
	}
}

// RoomCut is an order of containment for this incident, as far as a room must
// know of it.
type RoomCut struct {
	Order        uint64              `json:"order"`
	State        incident.OrderState `json:"state"`
	Endpoints    int                 `json:"endpoints"`
	Destinations int                 `json:"destinations"`
	Cuts         string              `json:"cuts"` // "egress", "gate", "egress and gate"
	Until        sekisho.Time        `json:"until,omitempty"`
	Owner        string              `json:"owner,omitempty"`
	Hands        []RoomHand          `json:"hands"`
	Leaks        int                 `json:"leaks,omitempty"` // connections that a sensor saw leave all the same
	Reason       string              `json:"reason,omitempty"`
}

// RoomHand is what a hand was last found to have in force of an order.
type RoomHand struct {
	Name     string       `json:"name"`
	State    string       `json:"state"` // empty: nothing is known of it yet
	Intended uint64       `json:"intended"`
	Enforced uint64       `json:"enforced"`
	At       sekisho.Time `json:"at,omitempty"`
}

func (c *Console) roomCut(v *visit, p *RoomPage) {
	var orders []*incident.Order
	c.cfg.Views.Read(func() { orders = c.cfg.Incidents.Orders() })
	for _, o := range orders {
		if o.Proposed.Incident != p.ID {
			continue
		}
		line := RoomCut{Order: o.Number, State: o.State(p.Now), Endpoints: len(o.Proposed.Endpoints), Destinations: len(o.Destinations()), Cuts: o.Proposed.Cuts.String(),
			Until: o.Until, Owner: c.named("staff", o.Owner), Leaks: len(o.Leaks), Reason: c.said(o.Proposed.Reason)}
		for _, name := range o.Proposed.Hands {
			hand := RoomHand{Name: name}
			for _, h := range o.Hands {
				if h.Body.Hand == name {
					hand.State, hand.Intended, hand.Enforced, hand.At = h.Body.State, h.Body.Intended, h.Body.Enforced, h.At
				}
			}
			line.Hands = append(line.Hands, hand)
		}
		p.Cut = append(p.Cut, line)
	}
}
