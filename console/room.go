package console

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"sekisho"
	"sekisho/incident"
	"sekisho/trace"
)

// room shows the room of an incident.
func (c *Console) room(v *visit) (page, error) {
	number, err := v.pathNumber("id", "incident")
	if err != nil {
		return nil, err
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
	p.Numbers = &revision{WorstCase: a.WorstCase, Suspected: a.Suspected, SentAtMost: a.SentAtMost, Confirmed: a.Confirmed, SentKnown: a.SentKnown, Through: a.Through, Endpoints: len(p.one.Endpoints), Subjects: c.subjectLines(v, a)}
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
		for _, part := range parts {
			switch part.Kind {
			case "category":
				f.Categories = append(f.Categories, incident.Counted{Name: part.Value, People: part.Count})
			case "date":
				f.Dated, f.Valid = true, f.Valid+part.Count
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
			line.Reach = contact.In(v.Lang) + " " + contact.Phone
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
	p.Rules = rulesOf(p.Clocks)
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
