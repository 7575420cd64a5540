package console

import (
	"fmt"
	"slices"

	"sekisho"
	"sekisho/incident"
)

// A roomPart is a block of the incident room that another noun owns. Its
// template is "room-NAME", in templates/room_NAME.html, and is given what make
// returns; nil leaves the block away.
type roomPart struct {
	name string
	make func(c *Console, v *visit, one *incident.Incident) (any, error)
}

// roomParts stand in the room in this order, below the clocks.
var roomParts = []roomPart{
	{"law", (*Console).roomLaw},
	{"contain", (*Console).roomContain},
	{"tell", (*Console).roomTell},
}

// roomClocks are further clocks, which stand among those of the manual.
var roomClocks = []func(c *Console, v *visit, one *incident.Incident) ([]RoomClock, error){(*Console).roomLegalClocks}

// A RoomClock is one that counts in the room.
type RoomClock struct {
	Key    string              `json:"key"`
	Name   string              `json:"name"` // in the visitor's language
	State  incident.ClockState `json:"state"`
	From   sekisho.Time        `json:"from,omitempty"`
	Start  uint64              `json:"from_entry,omitempty"`
	Due    sekisho.Time        `json:"due,omitempty"`
	Met    sekisho.Time        `json:"met,omitempty"`
	End    uint64              `json:"met_entry,omitempty"`
	Owner  string              `json:"owner,omitempty"` // in the visitor's language
	Rule   string              `json:"rule,omitempty"`  // which edition says so
	Note   int                 `json:"-"`               // which of the rules below the table it is, from 1
	Left   string              `json:"left,omitempty"`  // in words: "3 hours left", "2 days over"
	Paused string              `json:"paused,omitempty"`
	// Provisional: nobody has judged yet what it counts from. Conditional: facts
	// that decide whether it applies are not known.
	Provisional bool `json:"provisional,omitempty"`
	Conditional bool `json:"conditional,omitempty"`
}

// rulesOf numbers the rules of clocks in the order in which they come: a rule of
// the law has many clocks, and its source is read once.
func rulesOf(clocks []RoomClock) (rules []string) {
	for i := range clocks {
		at := slices.Index(rules, clocks[i].Rule)
		if at < 0 {
			at, rules = len(rules), append(rules, clocks[i].Rule)
		}
		clocks[i].Note = at + 1
	}
	return rules
}

// parts makes the blocks of others.
func (c *Console) parts(v *visit, one *incident.Incident) (map[string]any, error) {
	out := map[string]any{}
	for _, p := range roomParts {
		made, err := p.make(c, v, one)
		if err != nil {
			return nil, fmt.Errorf("showing the block %s of an incident's room: %w", p.name, err)
		}
		if made != nil {
			out[p.name] = made
		}
	}
	return out, nil
}
