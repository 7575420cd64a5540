package house

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"

	"sekisho"
	"sekisho/console"
	"sekisho/incident"
	"sekisho/law"
	"sekisho/tell"
	"sekisho/trace"
)

// Law says under which duties to report the company stands. What nobody has said
// is unknown, and duties that hang on it are shown as if they held.
type Law struct {
	// Industry of the company, such as aviation or travel. It chooses to whom
	// reports go.
	Industry string `yaml:"industry"`
	// Jurisdictions in which the company is established, as ISO 3166 codes such as
	// JP, DE or US-CA. Their law applies wherever the people live; that of other
	// places applies where people of the lists live there. Default [JP].
	Jurisdictions []string `yaml:"jurisdictions"`
	// Listed says whether the company is listed in the United States: yes, no or
	// unknown.
	Listed string `yaml:"listed"`
	// Facts are further answers that hold whatever happens, such as telecoms: no.
	// `sekisho law facts` lists the questions.
	Facts map[string]string `yaml:"facts"`
	// Rules is a directory with rules of your own beside those that are shipped, in
	// the same form: other countries, later editions, what a detector counts as.
	Rules string `yaml:"rules"`
	// Residence is the roster's name for where people live, with ISO 3166 codes in
	// it. Default residence.
	Residence string `yaml:"residence"`
	// PreliminaryFirstDay says whether the day of knowing is day 1 of the 3 to 5
	// days of Japan's preliminary report: inclusive (the strict reading, and the
	// default) or exclusive.
	PreliminaryFirstDay string `yaml:"preliminary_first_day"`
}

// read loads the rules, and what the company knows of itself.
func (l *Law) read() (*law.Book, law.Company, error) {
	if l.Jurisdictions == nil {
		l.Jurisdictions = []string{"JP"}
	}
	if l.Residence == "" {
		l.Residence = "residence"
	}
	c := law.Company{Industry: l.Industry, Established: l.Jurisdictions, Facts: map[string]law.Answer{}}
	dirs := []fs.FS{law.Shipped()}
	if l.Rules != "" {
		if _, err := os.Stat(l.Rules); err != nil {
			return nil, c, fmt.Errorf("config: law: rules: %w", err)
		}
		dirs = append(dirs, os.DirFS(l.Rules))
	}
	rules, err := law.Load(dirs...)
	if err != nil {
		return nil, c, fmt.Errorf("config: law: %w", err)
	}
	for i, place := range l.Jurisdictions {
		if law.Place(place) == "" {
			return nil, c, fmt.Errorf("config: law: jurisdictions: %q is no place: write an ISO 3166 code such as JP or US-CA", place)
		}
		c.Established[i] = law.Place(place)
	}
	answers := maps.Clone(l.Facts)
	if answers == nil {
		answers = map[string]string{}
	}
	if l.Listed != "" {
		answers[law.Listed] = l.Listed
	}
	for _, name := range slices.Sorted(maps.Keys(answers)) {
		if _, ok := rules.Fact(name); !ok {
			return nil, c, fmt.Errorf("config: law: facts: no rule asks about %q: sekisho law facts lists what is asked", name)
		}
		if c.Facts[name], err = law.ParseAnswer(answers[name]); err != nil {
			return nil, c, fmt.Errorf("config: law: %s: %w", name, err)
		}
	}
	switch l.PreliminaryFirstDay {
	case "", "inclusive":
	case "exclusive":
		if err := rules.Set("jp-appi", "prelim.first_day_inclusive", false); err != nil {
			return nil, c, fmt.Errorf("config: law: preliminary_first_day: %w", err)
		}
	default:
		return nil, c, fmt.Errorf("config: law: preliminary_first_day is %q: say inclusive or exclusive", l.PreliminaryFirstDay)
	}
	return rules, c, nil
}

// Duties says which duties of the law there are in an incident, and where their
// clocks stand now. In a drill, rules that came into force later count as well.
func (h *House) Duties(ctx context.Context, number uint64) ([]law.Finding, error) {
	if err := h.Settle(ctx); err != nil {
		return nil, err
	}
	var one *incident.Incident
	h.Views.Read(func() { one = h.Incidents.Get(number) })
	if one == nil {
		return nil, fmt.Errorf("there is no incident %d", number)
	}
	var people incident.Concerned
	if len(one.Endpoints) > 0 && len(h.subjects()) > 0 {
		var err error
		if people, err = h.concerned(ctx, one); err != nil {
			return nil, err
		}
	}
	return one.Clocks(h.Rules, h.company, people, h.now(), h.drill != ""), nil
}

// concerned are the people whom an incident concerns, of every subject.
func (h *House) concerned(ctx context.Context, one *incident.Incident) (incident.Concerned, error) {
	a, err := h.Impact(ctx, h.questionOf(one))
	var unseen *trace.UnknownEndpoint
	if errors.As(err, &unseen) { // whom it concerns is not known; the clocks run all the same
		return incident.Concerned{}, nil
	}
	if err != nil {
		return incident.Concerned{}, fmt.Errorf("asking whom incident %d concerns: %w", one.Number, err)
	}
	return incident.ConcernedBy(a, h.Config.Law.Residence), nil
}

// deadlines are the clocks of Japan's two reports, for the drafts of them.
func (h *House) deadlines(i *incident.Incident, g *tell.Ground) (list []tell.Deadline) {
	var people incident.Concerned
	if g.Answer != nil {
		people = incident.ConcernedBy(g.Answer, h.Config.Law.Residence)
	}
	for _, f := range i.Clocks(h.Rules, h.company, people, h.now(), h.drill != "") {
		for _, c := range f.Clocks {
			if f.Regime != "jp-appi" || c.Due.IsZero() || c.Step != "preliminary" && c.Step != "final" {
				continue
			}
			d := tell.Deadline{Key: "appi_" + c.Step, At: sekisho.At(c.Due)}
			for _, a := range i.Aware(h.Rules) {
				if a.At.Go().Equal(c.Start) {
					d.Entry = a.Seq // what started it
					break
				}
			}
			for _, r := range c.Recipients {
				d.En, d.Ja = r.Name.EN, r.Name.JA
			}
			list = append(list, d)
		}
	}
	return list
}

// Clocks shows what the law asks for in one incident, or in every open one (0).
func (c *Caller) Clocks(ctx context.Context, number uint64) (list []console.ClocksPage, err error) {
	if number == 0 {
		return list, c.tell(ctx, "/api/clocks", nil, &list)
	}
	list = make([]console.ClocksPage, 1)
	return list, c.tell(ctx, fmt.Sprintf("/api/incidents/%d/clocks", number), nil, &list[0])
}

// ActOnClock records what a person says or does about the clocks of an incident.
func (c *Caller) ActOnClock(ctx context.Context, number uint64, a console.ClockAct) (p console.ClocksPage, err error) {
	return p, c.tell(ctx, fmt.Sprintf("/api/incidents/%d/clocks", number), a, &p)
}

// RegisterNotice records that somebody told us something, and shows the incident
// that it belongs to.
func (c *Caller) RegisterNotice(ctx context.Context, a console.NoticeAct) (p console.ClocksPage, err error) {
	return p, c.tell(ctx, "/api/notices", a, &p)
}
