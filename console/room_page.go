package console

import (
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
	Rules     []string           `json:"-"` // that the clocks are of, each once
	Endings   []RoomEnding       `json:"endings"`
	Cut       []RoomCut          `json:"cut"` // the orders of containment
	Closed    bool               `json:"closed"`
	Follows   uint64             `json:"follows,omitempty"`
	Parts     map[string]any     `json:"parts,omitempty"` // the blocks of other nouns, by name
	CanDecide bool               `json:"can_decide"`
	Manual    *incident.Manual   `json:"-"`
	Choices   roomChoices        `json:"-"`
	Brief     bool               `json:"-"` // the page for the president
	More      int                `json:"-"` // what that page leaves to the room
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

// A RoomFact is a fact as it was stated.
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

// A RoomRole is a role, who holds it here, and who stands for it.
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

// A RoomHolding is a time in which somebody held a role.
type RoomHolding struct {
	Person string       `json:"person"`
	From   sekisho.Time `json:"from"`
	Until  sekisho.Time `json:"until"`
	How    string       `json:"how"`
	Said   string       `json:"said,omitempty"`
}

// A RoomTask is a task with what became of it.
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

// A RoomPlaybook is one that was chosen.
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

// A RoomDecision is a choice, with its second person.
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

// RoomEvidence is a piece of evidence with its chain of custody.
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

// RoomRaised is what somebody must look at, and the answer.
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

// A RoomLesson is an improvement that somebody owes.
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

// A RoomRung is a rung that was reached.
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

// A RoomEnding is a request to close, or a reopening.
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

// roomChoice is an option of a select.
type roomChoice struct{ Key, Name string }
