package console

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"sekisho"
	"sekisho/trace"
	"sekisho/vault"
)

// A question is what a form, or a program, asks the four numbers for.
type question struct {
	Space       string   `json:"space,omitempty"`
	Endpoints   []string `json:"endpoints"`
	Since       string   `json:"since"` // RFC 3339, or a date or a date and time in the console's zone
	Until       string   `json:"until"` // exclusive
	Hostile     []string `json:"hostile,omitempty"`
	Compression float64  `json:"compression,omitempty"`
	Incident    uint64   `json:"incident,omitempty"`
}

const (
	mostEndpoints = 10_000
	mostHostile   = 10_000
)

// splitList splits what people type into boxes: by white space and commas of both
// languages.
func splitList(s string) []string {
	list := strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(" \t\r\n\u3000,、;", r) })
	slices.Sort(list)
	return slices.Compact(list)
}

// parse turns it into what trace answers. Every error says which field to
// mend.
func (q *question) parse(zone *time.Location) (trace.Question, error) {
	out := trace.Question{Space: q.Space, Endpoints: q.Endpoints, Compression: q.Compression, Incident: q.Incident}
	if len(q.Endpoints) == 0 || len(q.Endpoints) > mostEndpoints {
		return out, fail(http.StatusBadRequest, "q_endpoints")
	}
	if len(q.Hostile) > mostHostile {
		return out, fail(http.StatusBadRequest, "q_hostile_many")
	}
	var ok bool
	if out.Since, ok = parseMoment(q.Since, zone); !ok {
		return out, fail(http.StatusBadRequest, "q_since")
	}
	if out.Until, ok = parseMoment(q.Until, zone); !ok || out.Until <= out.Since {
		return out, fail(http.StatusBadRequest, "q_until")
	}
	for _, text := range q.Hostile {
		p, err := sekisho.ParsePrefix(text)
		var not *sekisho.NotPrefix
		switch {
		case errors.As(err, &not) && not.Instead != "":
			return out, fail(http.StatusBadRequest, "q_hostile_instead", not.Text, not.Instead)
		case err != nil:
			return out, fail(http.StatusBadRequest, "q_hostile", text)
		}
		out.Hostile = append(out.Hostile, p)
	}
	if q.Compression != 0 && !(q.Compression >= 1 && q.Compression <= 10_000) {
		return out, fail(http.StatusBadRequest, "q_compression")
	}
	return out, nil
}

func parseMoment(s string, zone *time.Location) (sekisho.Time, bool) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, strings.TrimSpace(s), zone); err == nil && t.Unix() >= 0 && t.Year() < 10000 {
			return sekisho.At(t), true
		}
	}
	return 0, false
}

func formQuestion(form url.Values) question {
	q := question{Space: form.Get("space"), Endpoints: splitList(form.Get("endpoints")), Since: form.Get("since"), Until: form.Get("until"),
		Hostile: splitList(form.Get("hostile"))}
	if text := strings.TrimSpace(form.Get("compression")); text != "" {
		n, err := strconv.ParseFloat(text, 64)
		if q.Compression = n; err != nil || n == 0 {
			q.Compression = -1
		}
	}
	return q
}

// shown is the question as the form shows it.
func shownQuestion(q trace.Question, zone *time.Location) question {
	out := question{Space: q.Space, Endpoints: q.Endpoints, Since: q.Since.Go().In(zone).Format("2006-01-02T15:04:05"),
		Until: q.Until.Go().In(zone).Format("2006-01-02T15:04:05"), Compression: q.Compression, Incident: q.Incident}
	for _, p := range q.Hostile {
		out.Hostile = append(out.Hostile, prefixText(p))
	}
	return out
}

// UnknownEndpoint is the code of the failure that stands for
// *trace.UnknownEndpoint.
const UnknownEndpoint = "q_unknown"

// ask answers a question from the views; one that does not say whose data, over all
// subjects. It gives them a moment to catch up
// with the ledger; what the answer counts, its Through says.
func (c *Console) ask(ctx context.Context, q trace.Question) (*trace.Answer, error) {
	soon, stop := context.WithTimeout(ctx, 3*time.Second)
	c.cfg.Views.WaitFor(soon, c.cfg.Ledger.Last())
	stop()
	spaces := c.spaces()
	if q.Space != "" {
		if len(spaces) > 0 && !slices.Contains(spaces, q.Space) {
			return nil, &failure{status: http.StatusNotFound, key: "space", near: spaces}
		}
		spaces = []string{q.Space}
	}
	rosters := map[string]*vault.Roster{}
	for _, s := range spaces {
		r, err := c.cfg.Vault.Roster(s)
		if err != nil {
			return nil, err
		}
		rosters[s] = r
	}
	var a *trace.Answer
	var err error
	c.cfg.Views.Read(func() { a, err = c.cfg.Trace.Whole(q, rosters) })
	var unknown *trace.UnknownEndpoint
	switch {
	case errors.As(err, &unknown):
		return nil, &failure{status: http.StatusNotFound, key: UnknownEndpoint, args: []any{unknown.Name}, near: unknown.Nearest, nearPath: "/endpoints/"}
	case err != nil:
		return nil, &failure{status: http.StatusUnprocessableEntity, key: "q_asked", cause: err}
	}
	return a, nil
}
