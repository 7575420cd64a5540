package console

import (
	"maps"
	"net/http"
	"slices"

	"sekisho/duty"
	"sekisho/tell"
)

// One lure as it would come.

// A LureLine is one template in one language.
type LureLine struct {
	Name     string      `json:"name"`
	Language string      `json:"language"`
	Edition  string      `json:"edition"`
	Teaches  string      `json:"teaches"`
	Asks     string      `json:"asks"`
	Subject  string      `json:"subject"`
	Rating   duty.Rating `json:"rating"`
}

func lureLine(l *duty.Lure, lang string) LureLine {
	return LureLine{Name: l.Name, Language: lang, Edition: l.Edition, Teaches: l.Teaches, Asks: l.Asks, Subject: l.Versions[lang].Subject, Rating: l.Rate(lang)}
}

// A LurePage shows a lure as it would come, and how its rating came about.
type LurePage struct {
	LureLine
	Source  string       `json:"source"`
	Premise duty.Premise `json:"premise"`
	Cues    []duty.Cue   `json:"cues"`
	Letter  tell.Letter  `json:"-"`
	Other   string       `json:"-"` // language
}

func (*LurePage) file() string { return "lure" }

func (c *Console) lure(v *visit) (page, error) {
	l, err := c.lures()
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(l.Lures, func(t duty.Lure) bool { return t.Name == v.r.PathValue("name") })
	if i < 0 {
		return nil, fail(http.StatusNotFound, "tell_lure_unknown", v.r.PathValue("name"))
	}
	t := &l.Lures[i]
	lang := v.r.URL.Query().Get("in")
	if _, ok := t.Versions[lang]; !ok {
		lang = v.Lang
	}
	if _, ok := t.Versions[lang]; !ok {
		lang = slices.Sorted(maps.Keys(t.Versions))[0]
	}
	p := &LurePage{LureLine: lureLine(t, lang), Source: t.Source, Premise: t.Premise, Cues: t.Versions[lang].Cues, Letter: l.Preview(t, lang)}
	for other := range t.Versions {
		if other != lang {
			p.Other = other
		}
	}
	return p, nil
}
