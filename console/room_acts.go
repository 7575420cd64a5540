package console

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"sekisho"
	"sekisho/incident"
)

// A RoomAct is one thing that a person does in an incident. Which fields count
// depends on the act; what is left away takes the default that the form shows.
type RoomAct struct {
	Code      string   `json:"code,omitempty"`      // fact, decide
	Happened  string   `json:"happened,omitempty"`  // fact
	Known     string   `json:"known,omitempty"`     // fact, raise; default now
	Source    string   `json:"source,omitempty"`    // fact, raise; default person
	Certainty string   `json:"certainty,omitempty"` // fact; default likely
	Corrects  uint64   `json:"corrects,omitempty"`  // fact: the entry that it replaces
	Text      string   `json:"text,omitempty"`      // what is said: the fact, the reason, the answer
	Role      string   `json:"role,omitempty"`
	Action    string   `json:"action,omitempty"` // role, task, answer, lesson
	Person    string   `json:"person,omitempty"` // an account
	Playbook  string   `json:"playbook,omitempty"`
	Task      string   `json:"task,omitempty"`
	Due       string   `json:"due,omitempty"`
	Title     string   `json:"title,omitempty"`   // decide, evidence
	Options   []string `json:"options,omitempty"` // decide
	Chosen    int      `json:"chosen,omitempty"`  // decide: from 1
	Two       bool     `json:"two,omitempty"`     // decide: a second person must approve
	About     uint64   `json:"about,omitempty"`   // ack, answer: the entry; ack: 0 is all that waits
	SHA256    string   `json:"sha256,omitempty"`
	Size      uint64   `json:"size,omitempty"`
	Kept      string   `json:"kept,omitempty"`
	Taken     string   `json:"taken,omitempty"` // evidence; default now
	Evidence  uint64   `json:"evidence,omitempty"`
	Checked   bool     `json:"checked,omitempty"` // custody
	What      string   `json:"what,omitempty"`    // raise
	Endpoint  string   `json:"endpoint,omitempty"`
	Lesson    uint64   `json:"lesson,omitempty"`
	Outcome   string   `json:"outcome,omitempty"` // close
}

// What may stand in the fields of an act.
var (
	roomSources    = []string{"person", "ledger", "sensor", "provider", "customer", "partner", "authority", "press", "attacker"}
	roomCertainty  = []string{"confirmed", "likely", "possible", "withdrawn"}
	roomRaised     = []string{"notice", "host_health", "question"}
	roomOutcomes   = []string{"resolved", "false_alarm", "not_reportable", "duplicate"}
	roomAfterwards = []string{"reopen", "lesson", "evidence", "custody", "fact"} // what may be done once it has ended
)

const (
	maxSaid    = 8000 // bytes of one text
	maxOptions = 8
	maxOpen    = 5000 // entries of one sort in one incident: nobody fills a room by a program
)

// roomForm reads an act from a page's form.
func roomForm(v *visit) (a RoomAct, err error) {
	if err := v.r.ParseForm(); err != nil {
		return a, tooLarge(err)
	}
	f := v.r.PostForm
	number := func(key string) (n uint64) {
		if s := strings.TrimSpace(f.Get(key)); s != "" && err == nil {
			if n, err = called(s); err != nil {
				err = fail(http.StatusBadRequest, "room_number")
			}
		}
		return n
	}
	a = RoomAct{Code: f.Get("code"), Happened: f.Get("happened"), Known: f.Get("known"), Source: f.Get("source"), Certainty: f.Get("certainty"), Text: f.Get("text"),
		Role: f.Get("role"), Action: f.Get("action"), Person: f.Get("person"), Playbook: f.Get("playbook"), Task: f.Get("task"), Due: f.Get("due"), Title: f.Get("title"),
		Two: f.Get("two") != "", SHA256: f.Get("sha256"), Kept: f.Get("kept"), Taken: f.Get("taken"), Checked: f.Get("checked") != "", What: f.Get("what"), Endpoint: f.Get("endpoint"), Outcome: f.Get("outcome")}
	a.Corrects, a.About, a.Size, a.Evidence, a.Lesson, a.Chosen = number("corrects"), number("about"), number("size"), number("evidence"), number("lesson"), int(number("chosen"))
	for line := range strings.Lines(f.Get("options")) {
		if line = strings.TrimSpace(line); line != "" {
			a.Options = append(a.Options, line)
		}
	}
	return a, err
}

// roomAct does what a form of the room asks for.
func (c *Console) roomAct(v *visit) (page, error) {
	number, err := v.pathNumber("id", "incident")
	if err != nil {
		return nil, err
	}
	a, err := roomForm(v)
	if err != nil {
		return nil, err
	}
	if err := c.act(v, number, v.r.PathValue("act"), a); err != nil {
		return nil, err
	}
	if wantsJSON(v.r) {
		return c.roomPage(v, number)
	}
	http.Redirect(v.w, v.r, fmt.Sprintf("/incidents/%d/room#%s", number, roomAnchor(v.r.PathValue("act"))), http.StatusSeeOther)
	return nil, errDone
}

// roomAnchor is the block of the page that an act changes.
func roomAnchor(act string) string {
	switch act {
	case "fact":
		return "known"
	case "role":
		return "who"
	case "playbook", "task":
		return "tasks"
	case "decide", "answer":
		return "decisions"
	case "evidence", "custody":
		return "evidence"
	case "raise":
		return "raised"
	case "lesson":
		return "lessons"
	case "close", "reopen":
		return "end"
	}
	return "ladder"
}

// act does one thing in an incident. It is durable, and the pages know it, when
// this returns.
func (c *Console) act(v *visit, which uint64, act string, a RoomAct) error {
	// One at a time: what is checked here still holds when it is written.
	c.deciding.Lock()
	defer c.deciding.Unlock()
	if err := c.cfg.Views.WaitFor(v.r.Context(), c.cfg.Ledger.Last()); err != nil {
		return fmt.Errorf("acting in an incident: %w", err)
	}
	one := c.caseByNumber(which)
	if one == nil {
		return fail(http.StatusNotFound, "incident")
	}
	if _, closed := one.Closed(); closed && !slices.Contains(roomAfterwards, act) {
		return fail(http.StatusConflict, "room_closed")
	}
	r := one.Room
	if len(r.Facts)+len(r.Roles)+len(r.Tasks)+len(r.Decisions)+len(r.Evidence)+len(r.Raised)+len(r.Lessons)+len(r.Seen) > maxOpen {
		return fail(http.StatusConflict, "room_full")
	}
	a.Text = strings.TrimSpace(a.Text)
	for _, s := range append([]string{a.Text, a.Title, a.Kept, a.Endpoint}, a.Options...) {
		if len(s) > maxSaid {
			return fail(http.StatusBadRequest, "room_text", number(maxSaid))
		}
	}
	do, ok := roomActs[act]
	if !ok {
		return fail(http.StatusNotFound, "room_act")
	}
	body, err := do(c, v, one, a)
	if err != nil {
		return err
	}
	id, err := c.cfg.Ledger.Append(v.r.Context(), body)
	if err != nil {
		return notRecorded(err)
	}
	return c.cfg.Views.WaitFor(v.r.Context(), id.Seq)
}

// roomActs make the entry of each act, or say why it may not be.
var roomActs = map[string]func(*Console, *visit, *incident.Incident, RoomAct) (sekisho.Body, error){
	"ack": (*Console).actAck, "fact": (*Console).actFact, "role": (*Console).actRole, "playbook": (*Console).actPlaybook, "task": (*Console).actTask,
	"decide": (*Console).actDecide, "answer": (*Console).actAnswer, "evidence": (*Console).actEvidence, "custody": (*Console).actCustody,
	"raise": (*Console).actRaise, "lesson": (*Console).actLesson, "close": (*Console).actClose, "reopen": (*Console).actReopen,
}

// write keeps a text that somebody typed in the vault.
func (c *Console) write(text string) (uint32, error) {
	if text = strings.TrimSpace(text); text == "" {
		return 0, nil
	}
	o := c.cfg.Vault.Space("said").OfText([]byte(text))
	if o == 0 {
		return 0, fmt.Errorf("keeping what was said: the vault takes no more")
	}
	return o, nil
}

// account is the ordinal of an account that the house knows.
func (c *Console) account(name string) (uint32, error) {
	if name = strings.TrimSpace(name); name == "" {
		return 0, nil
	}
	staff := c.cfg.Vault.Space("staff")
	if o, known := staff.Find(name); known {
		return o, nil
	}
	if c.users.exists(name) || c.cfg.Manual.Named(name) {
		if o := staff.OfText([]byte(name)); o != 0 {
			return o, nil
		}
	}
	return 0, fail(http.StatusNotFound, "room_person", name)
}

// moment reads a time as a person types it, in the zone of the pages; empty is 0.
func (c *Console) moment(v *visit, s string) (sekisho.Time, error) {
	if s = strings.TrimSpace(s); s == "" {
		return 0, nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04", "2006-01-02T15:04:05", "2006-01-02 15:04", "2006-01-02 15:04:05", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, s, v.zone); err == nil && t.Unix() > 0 {
			return sekisho.At(t), nil
		}
	}
	return 0, fail(http.StatusBadRequest, "room_time", s)
}

// past is a moment that lies behind us: default, if s is empty.
func (c *Console) past(v *visit, s string, otherwise sekisho.Time) (sekisho.Time, error) {
	t, err := c.moment(v, s)
	if err != nil {
		return 0, err
	}
	if t == 0 {
		t = otherwise
	}
	if t > sekisho.At(c.cfg.Now().Add(5*time.Minute)) {
		return 0, fail(http.StatusBadRequest, "room_future")
	}
	return t, nil
}

func (c *Console) actAck(v *visit, one *incident.Incident, a RoomAct) (sekisho.Body, error) {
	if a.About == 0 {
		for _, w := range one.Waits() {
			if w.Stage == "acknowledge" {
				a.About = w.About
				break
			}
		}
		if a.About == 0 {
			return nil, fail(http.StatusConflict, "room_nothing_waits")
		}
	}
	known := a.About == one.Number || slices.ContainsFunc(one.Alerts, func(x incident.Alert) bool { return x.Seq == a.About }) ||
		slices.ContainsFunc(one.Room.Raised, func(q incident.Question) bool { return q.Seq == a.About })
	if !known {
		return nil, fail(http.StatusNotFound, "room_about")
	}
	said, err := c.write(a.Text)
	return &sekisho.Acknowledged{Incident: one.Number, About: a.About, Said: said, By: v.who.staff}, err
}

func (c *Console) actFact(v *visit, one *incident.Incident, a RoomAct) (sekisho.Body, error) {
	b := &sekisho.FactStated{Incident: one.Number, Code: a.Code, Source: a.Source, Certainty: a.Certainty, Corrects: a.Corrects, By: v.who.staff}
	if _, ok := c.cfg.Manual.Fact(b.Code); !ok && b.Code != "note" {
		return nil, fail(http.StatusBadRequest, "room_fact", b.Code)
	}
	if b.Source == "" {
		b.Source = "person"
	}
	if b.Certainty == "" {
		b.Certainty = "likely"
	}
	if !slices.Contains(roomSources, b.Source) || !slices.Contains(roomCertainty, b.Certainty) {
		return nil, fail(http.StatusBadRequest, "room_source")
	}
	if b.Corrects != 0 {
		n := slices.IndexFunc(one.Room.Facts, func(f incident.Stated) bool { return f.Seq == b.Corrects })
		if n < 0 || one.Room.Facts[n].Replaced != 0 || one.Room.Facts[n].Body.Code != b.Code {
			return nil, fail(http.StatusConflict, "room_corrects")
		}
	}
	if b.Certainty == "withdrawn" && (b.Corrects == 0 || a.Text == "") {
		return nil, fail(http.StatusBadRequest, "room_withdrawn")
	}
	if b.Code == "note" && a.Text == "" {
		return nil, fail(http.StatusBadRequest, "room_reason")
	}
	var err error
	if b.Known, err = c.past(v, a.Known, sekisho.At(c.cfg.Now())); err != nil {
		return nil, err
	}
	if b.Happened, err = c.past(v, a.Happened, 0); err != nil {
		return nil, err
	}
	if b.Happened > b.Known {
		return nil, fail(http.StatusBadRequest, "room_order")
	}
	b.Said, err = c.write(a.Text)
	return b, err
}

func (c *Console) actRole(v *visit, one *incident.Incident, a RoomAct) (sekisho.Body, error) {
	if _, ok := c.cfg.Manual.Role(a.Role); !ok {
		return nil, fail(http.StatusBadRequest, "room_role", a.Role)
	}
	holder := one.Holder(a.Role)
	b := &sekisho.RoleChanged{Incident: one.Number, Role: a.Role, Action: a.Action, By: v.who.staff}
	var err error
	if b.Person, err = c.account(a.Person); err != nil {
		return nil, err
	}
	switch b.Action {
	case "taken":
		if b.Person == 0 {
			b.Person = v.who.staff
		}
		if holder != 0 {
			return nil, fail(http.StatusConflict, "room_held", c.named("staff", holder))
		}
		// Else everybody could make themselves the second person.
		if slices.Contains(deciding, a.Role) && !c.mayDecideIn(v.who, one) && !c.rostered(a.Role, c.named("staff", b.Person)) {
			return nil, fail(http.StatusForbidden, "room_take")
		}
	case "handed_over":
		if holder == 0 || b.Person == 0 || a.Text == "" {
			return nil, fail(http.StatusBadRequest, "room_handover")
		}
	case "relinquished":
		if holder == 0 || a.Text == "" {
			return nil, fail(http.StatusBadRequest, "room_relinquish")
		}
		b.Person = holder
	default:
		return nil, fail(http.StatusBadRequest, "room_action")
	}
	// The role of another is taken away by whoever may decide.
	if b.Action != "taken" && !c.same(v, c.named("staff", holder)) && !c.mayDecideIn(v.who, one) {
		return nil, fail(http.StatusForbidden, "room_not_yours")
	}
	b.Said, err = c.write(a.Text)
	return b, err
}

// deciding are the roles whose holders approve what others decide, or judge for
// the company.
var deciding = []string{"incident_commander", "deputy", "executive", "privacy_officer", "legal"}

// rostered: the config names this person for a role.
func (c *Console) rostered(role, account string) bool {
	who := c.users.person(account)
	return slices.ContainsFunc(c.cfg.Manual.Roster(role), func(name string) bool { return c.users.person(name) == who })
}

func (c *Console) actPlaybook(v *visit, one *incident.Incident, a RoomAct) (sekisho.Body, error) {
	book, ok := c.cfg.Manual.Playbook(a.Playbook)
	if !ok {
		return nil, fail(http.StatusBadRequest, "room_playbook", a.Playbook)
	}
	for _, p := range one.Room.Playbooks {
		if p.Body.SHA256 == book.SHA256 {
			return nil, fail(http.StatusConflict, "room_playbook_again")
		}
	}
	doc := c.cfg.Vault.Space("document").OfText(book.Text)
	if doc == 0 {
		return nil, fmt.Errorf("keeping a playbook: the vault takes no more")
	}
	return &sekisho.PlaybookChosen{Incident: one.Number, Name: book.Name, Edition: book.Edition, SHA256: book.SHA256, Document: doc, By: v.who.staff}, nil
}

func (c *Console) actTask(v *visit, one *incident.Incident, a RoomAct) (sekisho.Body, error) {
	b := &sekisho.TaskChanged{Incident: one.Number, Task: a.Task, Action: a.Action, By: v.who.staff}
	var err error
	if b.Person, err = c.account(a.Person); err != nil {
		return nil, err
	}
	if b.Due, err = c.moment(v, a.Due); err != nil {
		return nil, err
	}
	if b.Action != "added" {
		list, _ := one.Tasks(sekisho.At(c.cfg.Now()), c.playbook)
		n := slices.IndexFunc(list, func(t incident.Task) bool { return t.ID == b.Task })
		if n < 0 {
			return nil, fail(http.StatusNotFound, "room_task", b.Task)
		}
		if left := list[n].Left(); left == (b.Action == "reopened") {
			return nil, fail(http.StatusConflict, "room_task_over")
		}
	} else {
		b.Task = ""
	}
	switch {
	case b.Action == "assigned" && b.Person == 0:
		return nil, fail(http.StatusBadRequest, "room_assign")
	case (b.Action == "skipped" || b.Action == "added" || b.Action == "reopened") && a.Text == "":
		return nil, fail(http.StatusBadRequest, "room_reason")
	case !slices.Contains([]string{"added", "assigned", "done", "skipped", "reopened"}, b.Action):
		return nil, fail(http.StatusBadRequest, "room_action")
	}
	b.Said, err = c.write(a.Text)
	return b, err
}

func (c *Console) actDecide(v *visit, one *incident.Incident, a RoomAct) (sekisho.Body, error) {
	b := &sekisho.DecisionMade{Incident: one.Number, Code: a.Code, Two: a.Two, By: v.who.staff}
	title := strings.TrimSpace(a.Title)
	if rule, ok := c.cfg.Manual.Decision(b.Code); ok {
		b.Two = b.Two || rule.Two
		if title == "" {
			title = rule.Say.In(v.Lang)
		}
		if len(a.Options) == 0 {
			for _, o := range rule.Options {
				a.Options = append(a.Options, o.In(v.Lang))
			}
		}
	} else if b.Code != "other" && b.Code != "" {
		return nil, fail(http.StatusBadRequest, "room_decision", b.Code)
	} else {
		b.Code = "other"
	}
	if title == "" || len(a.Options) < 2 || len(a.Options) > maxOptions || a.Chosen < 1 || a.Chosen > len(a.Options) || a.Text == "" {
		return nil, fail(http.StatusBadRequest, "room_decide")
	}
	if b.Code != "other" && slices.ContainsFunc(one.Room.Decisions, func(d incident.Decision) bool { return d.Body.Code == b.Code && d.Pending() }) {
		return nil, fail(http.StatusConflict, "room_pending")
	}
	b.Chosen = uint32(a.Chosen - 1)
	var err error
	if b.Title, err = c.write(title); err != nil {
		return nil, err
	}
	for _, o := range a.Options {
		ord, err := c.write(o)
		if err != nil {
			return nil, err
		}
		if ord == 0 || slices.Contains(b.Options, ord) {
			return nil, fail(http.StatusBadRequest, "room_decide")
		}
		b.Options = append(b.Options, ord)
	}
	b.Said, err = c.write(a.Text)
	return b, err
}

// actAnswer approves, rejects or withdraws a decision or an ending, or answers
// what was raised.
func (c *Console) actAnswer(v *visit, one *incident.Incident, a RoomAct) (sekisho.Body, error) {
	b := &sekisho.Answered{Incident: one.Number, About: a.About, Action: a.Action, By: v.who.staff}
	var err error
	if n := slices.IndexFunc(one.Room.Raised, func(q incident.Question) bool { return q.Seq == a.About }); n >= 0 {
		switch {
		case one.Room.Raised[n].Answer != nil:
			return nil, fail(http.StatusConflict, "room_answered")
		case b.Action != "answered" || a.Text == "":
			return nil, fail(http.StatusBadRequest, "room_answer")
		}
		b.Said, err = c.write(a.Text)
		return b, err
	}
	by, waits := uint32(0), false
	for _, d := range one.Room.Decisions {
		if d.Seq == a.About {
			by, waits = d.Body.By, d.Pending()
		}
	}
	if end, pending := one.Closing(); pending && end.Seq == a.About {
		by, waits = end.Body.By, true
		// What came up since the end was asked for is not forgotten by it either.
		if b.Action == "approved" {
			if err := c.owed(one, end.Body.Outcome); err != nil {
				return nil, err
			}
		}
	}
	switch {
	case by == 0:
		return nil, fail(http.StatusNotFound, "room_about")
	case !waits:
		return nil, fail(http.StatusConflict, "room_answered")
	case b.Action == "withdrawn":
		if !c.same(v, c.named("staff", by)) {
			return nil, fail(http.StatusForbidden, "room_withdraw")
		}
	case b.Action == "approved" || b.Action == "rejected":
		if !c.mayDecideIn(v.who, one) {
			return nil, fail(http.StatusForbidden, "room_second")
		}
		if c.same(v, c.named("staff", by)) {
			return nil, fail(http.StatusForbidden, "room_own")
		}
		if b.Action == "rejected" && a.Text == "" {
			return nil, fail(http.StatusBadRequest, "room_reason")
		}
	default:
		return nil, fail(http.StatusBadRequest, "room_action")
	}
	b.Said, err = c.write(a.Text)
	return b, err
}

func (c *Console) actEvidence(v *visit, one *incident.Incident, a RoomAct) (sekisho.Body, error) {
	b := &sekisho.EvidenceAdded{Incident: one.Number, Size: a.Size, By: v.who.staff}
	if s := strings.ToLower(strings.TrimSpace(a.SHA256)); s != "" {
		raw, err := hex.DecodeString(s)
		if err != nil || len(raw) != len(b.SHA256) {
			return nil, fail(http.StatusBadRequest, "room_hash")
		}
		copy(b.SHA256[:], raw)
	}
	if strings.TrimSpace(a.Title) == "" || strings.TrimSpace(a.Kept) == "" {
		return nil, fail(http.StatusBadRequest, "room_evidence")
	}
	var err error
	if b.Person, err = c.account(a.Person); err != nil {
		return nil, err
	}
	if b.Person == 0 {
		b.Person = v.who.staff
	}
	if b.Taken, err = c.past(v, a.Taken, sekisho.At(c.cfg.Now())); err != nil {
		return nil, err
	}
	if b.Title, err = c.write(a.Title); err != nil {
		return nil, err
	}
	b.Kept, err = c.write(a.Kept)
	return b, err
}

func (c *Console) actCustody(v *visit, one *incident.Incident, a RoomAct) (sekisho.Body, error) {
	b := &sekisho.CustodyMoved{Incident: one.Number, Evidence: a.Evidence, Checked: a.Checked, By: v.who.staff}
	n := slices.IndexFunc(one.Room.Evidence, func(e incident.Evidence) bool { return e.Seq == a.Evidence })
	if n < 0 {
		return nil, fail(http.StatusNotFound, "room_about")
	}
	if strings.TrimSpace(a.Kept) == "" || a.Text == "" {
		return nil, fail(http.StatusBadRequest, "room_custody")
	}
	// Whoever has the thing hashes it again: what they find must be what was registered.
	if s := strings.ToLower(strings.TrimSpace(a.SHA256)); s != "" {
		if s != hex.EncodeToString(one.Room.Evidence[n].Body.SHA256[:]) {
			return nil, fail(http.StatusConflict, "room_hash_differs")
		}
		b.Checked = true
	}
	var err error
	if b.Person, err = c.account(a.Person); err != nil {
		return nil, err
	}
	if b.Kept, err = c.write(a.Kept); err != nil {
		return nil, err
	}
	b.Said, err = c.write(a.Text)
	return b, err
}

func (c *Console) actRaise(v *visit, one *incident.Incident, a RoomAct) (sekisho.Body, error) {
	b := &sekisho.Raised{Incident: one.Number, What: a.What, Source: a.Source, Endpoint: strings.TrimSpace(a.Endpoint), By: v.who.staff}
	if b.Source == "" {
		b.Source = "person"
	}
	if !slices.Contains(roomRaised, b.What) || !slices.Contains(roomSources, b.Source) || a.Text == "" || len(b.Endpoint) > 255 {
		return nil, fail(http.StatusBadRequest, "room_raise")
	}
	var err error
	if b.Known, err = c.past(v, a.Known, sekisho.At(c.cfg.Now())); err != nil {
		return nil, err
	}
	if b.Person, err = c.account(a.Person); err != nil {
		return nil, err
	}
	b.Said, err = c.write(a.Text)
	return b, err
}

func (c *Console) actLesson(v *visit, one *incident.Incident, a RoomAct) (sekisho.Body, error) {
	b := &sekisho.LessonNoted{Incident: one.Number, Lesson: a.Lesson, Action: a.Action, By: v.who.staff}
	if b.Action == "" {
		b.Action = "learned"
	}
	var err error
	if b.Person, err = c.account(a.Person); err != nil {
		return nil, err
	}
	if b.Due, err = c.moment(v, a.Due); err != nil {
		return nil, err
	}
	n := slices.IndexFunc(one.Room.Lessons, func(l incident.Lesson) bool { return l.Seq == a.Lesson })
	switch b.Action {
	case "learned":
		if b.Lesson = 0; a.Text == "" || b.Person == 0 || b.Due == 0 {
			return nil, fail(http.StatusBadRequest, "room_lesson")
		}
	case "changed":
		if n < 0 || b.Person == 0 || b.Due == 0 || a.Text == "" {
			return nil, fail(http.StatusBadRequest, "room_lesson_changed")
		}
	case "done", "dropped":
		if n < 0 || !one.Room.Lessons[n].Open() || a.Text == "" {
			return nil, fail(http.StatusBadRequest, "room_lesson_over")
		}
	default:
		return nil, fail(http.StatusBadRequest, "room_action")
	}
	b.Said, err = c.write(a.Text)
	return b, err
}

// actClose asks for the end. What was raised must have been answered, and what
// is owed be done or have a reason: nothing is closed by forgetting it.
func (c *Console) actClose(v *visit, one *incident.Incident, a RoomAct) (sekisho.Body, error) {
	if !slices.Contains(roomOutcomes, a.Outcome) || a.Text == "" {
		return nil, fail(http.StatusBadRequest, "room_close")
	}
	if _, waits := one.Closing(); waits {
		return nil, fail(http.StatusConflict, "room_pending")
	}
	if err := c.owed(one, a.Outcome); err != nil {
		return nil, err
	}
	said, err := c.write(a.Text)
	return &sekisho.IncidentEnding{Incident: one.Number, Action: "close", Outcome: a.Outcome, Said: said, By: v.who.staff}, err
}

// owed says what is still to be done before an incident may end so.
func (c *Console) owed(one *incident.Incident, outcome string) error {
	if slices.ContainsFunc(one.Room.Raised, func(q incident.Question) bool { return q.Answer == nil }) {
		return fail(http.StatusConflict, "room_raised_open")
	}
	if slices.ContainsFunc(one.Room.Decisions, incident.Decision.Pending) {
		return fail(http.StatusConflict, "room_decision_open")
	}
	list, _ := one.Tasks(sekisho.At(c.cfg.Now()), c.playbook)
	if slices.ContainsFunc(list, incident.Task.Left) {
		return fail(http.StatusConflict, "room_tasks_open")
	}
	if outcome == "resolved" && len(one.Room.Lessons) == 0 {
		return fail(http.StatusConflict, "room_no_lesson")
	}
	return nil
}

func (c *Console) actReopen(v *visit, one *incident.Incident, a RoomAct) (sekisho.Body, error) {
	if _, closed := one.Closed(); !closed {
		return nil, fail(http.StatusConflict, "room_not_closed")
	}
	if a.Text == "" {
		return nil, fail(http.StatusBadRequest, "room_reason")
	}
	said, err := c.write(a.Text)
	return &sekisho.IncidentEnding{Incident: one.Number, Action: "reopen", Said: said, By: v.who.staff}, err
}
