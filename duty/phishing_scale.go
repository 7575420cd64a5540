package duty

import (
	"fmt"
	"maps"
	"slices"
)

// How hard a lure is to see through, by NIST's Phish Scale (TN 2276, "NIST Phish
// Scale User Guide", 2023): how many cues it holds, against how well its premise
// fits the people to whom it goes. A template states what was seen in it; the
// rating is always computed.

// cues are the kinds of cue that the guide knows, by the group in which it lists
// them.
var cues = map[string]string{
	"spelling_grammar": "error",
	"inconsistency":    "error",

	"attachment_type":   "technical",
	"sender_mismatch":   "technical",
	"url_hidden":        "technical",
	"domain_spoofing":   "technical",
	"no_branding":       "visual",
	"branding_imitated": "visual",
	"unprofessional":    "visual",
	"security_icons":    "visual",

	"legal_language":    "language",
	"distracting":       "language",
	"asks_sensitive":    "language",
	"urgency":           "language",
	"threat":            "language",
	"generic_greeting":  "language",
	"no_signer_details": "language",

	"humanitarian":     "tactic",
	"too_good":         "tactic",
	"youre_special":    "tactic",
	"limited_time":     "tactic",
	"business_process": "tactic",
	"poses_as_known":   "tactic",
}

// CueKinds are all kinds of cue, sorted.
func CueKinds() []string { return slices.Sorted(maps.Keys(cues)) }

// A Cue is something in a lure by which one can tell what it is.
type Cue struct {
	Kind  string `yaml:"cue"`
	Count int    `yaml:"count"` // how often; 0 is once
	Where string `yaml:"where"` // what to look at, in the lure's language: the learning page shows it
}

// Premise is how well a lure fits its readers, each element from 0 (does not
// apply) over 2, 4 and 6 to 8 (extremely).
type Premise struct {
	Process      int `yaml:"process"`      // mimics a workplace process or practice
	Relevance    int `yaml:"relevance"`    // has to do with the readers' work
	Events       int `yaml:"events"`       // goes with other situations or events
	Consequences int `yaml:"consequences"` // makes one fear what happens if one does nothing
	Warned       int `yaml:"warned"`       // the readers were trained or warned of such mails: taken away from the others
}

// Check names the first element that is none.
func (p Premise) Check() error {
	for name, v := range map[string]int{"process": p.Process, "relevance": p.Relevance, "events": p.Events, "consequences": p.Consequences, "warned": p.Warned} {
		if v < 0 || v > 8 || v%2 != 0 {
			return fmt.Errorf("premise: %s %d: give 0, 2, 4, 6 or 8", name, v)
		}
	}
	return nil
}

// A Rating is how hard a lure is to see through, and why.
type Rating struct {
	Cues       int    `json:"cues"`
	CueLevel   string `json:"cue_level"` // "few", "some", "many"
	Premise    int    `json:"premise"`
	Alignment  string `json:"premise_alignment"` // "low", "medium", "high"
	Difficulty string `json:"difficulty"`        // "least", "least_moderately", "moderately", "very"
}

// Difficulties are all of them, the hardest first.
func Difficulties() []string { return []string{"very", "moderately", "least_moderately", "least"} }

// Rate computes the rating of a lure.
func Rate(list []Cue, p Premise) Rating {
	r := Rating{Premise: p.Process + p.Relevance + p.Events + p.Consequences - p.Warned}
	for _, c := range list {
		r.Cues += max(1, c.Count)
	}
	switch {
	case r.Cues <= 8:
		r.CueLevel = "few"
	case r.Cues <= 14:
		r.CueLevel = "some"
	default:
		r.CueLevel = "many"
	}
	switch {
	case r.Premise <= 10:
		r.Alignment = "low"
	case r.Premise <= 17:
		r.Alignment = "medium"
	default:
		r.Alignment = "high"
	}
	r.Difficulty = map[[2]string]string{
		{"few", "high"}: "very", {"few", "medium"}: "very", {"few", "low"}: "moderately",
		{"some", "high"}: "very", {"some", "medium"}: "moderately", {"some", "low"}: "least_moderately",
		{"many", "high"}: "moderately", {"many", "medium"}: "moderately", {"many", "low"}: "least",
	}[[2]string{r.CueLevel, r.Alignment}]
	return r
}
