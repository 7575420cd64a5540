package console

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"sekisho"
	"sekisho/ledger"
)

// statusPage is what there is, and what was not observed.
type statusPage struct {
	Ledger   string       `json:"ledger"`
	Drill    string       `json:"drill,omitempty"`
	Software string       `json:"software"`
	Mode     string       `json:"gate_mode,omitempty"`
	Gate     uint32       `json:"gate"`
	Epoch    uint64       `json:"epoch"`
	Entries  uint64       `json:"entries"`
	Last     uint64       `json:"last"`
	Applied  uint64       `json:"applied"` // the views stand here
	LastAt   sekisho.Time `json:"last_at"`
	OpenedAt sekisho.Time `json:"opened_at"`
	Dropped  uint64       `json:"dropped_bytes"`
	Sessions uint64       `json:"gate_sessions_open"`
	Alerts   uint64       `json:"alerts"`
	AnyRow   uint64       `json:"any_row_accesses"`
	NoName   uint64       `json:"unverified_sessions"`
	Accesses uint64       `json:"accesses"`                  // through the gate
	Nowhere  uint64       `json:"accesses_terminal_unknown"` // those of them whose terminal is not known
	Kinds    []kindCount  `json:"kinds"`
	Sensors  []sensorLine `json:"sensors"`
	Rosters  []rosterLine `json:"rosters"`
	Outside  *Outside     `json:"outside,omitempty"`
	Observed *ObservedDay `json:"observed,omitempty"` // nil: no role is observed
	Trouble  string       `json:"trouble,omitempty"`  // a key of words: why something stands still
}

func (*statusPage) file() string { return "status" }

// Outside is how the search for what passes the gate by stands.
type Outside struct {
	At   sekisho.Time `json:"at"`   // of the last look that succeeded; 0 if none did
	Code string       `json:"code"` // "off", "waiting", "failed" or "looked"
	// Missing says what a look that succeeded could not see: "sessions" (some are
	// hidden from the reader), "statements" (some are), "no_statistics"
	// (pg_stat_statements is not there), "logins" (whose sessions with the gate's
	// logins are cannot be told).
	Missing []string `json:"not_observed"`
}

type kindCount struct {
	Kind  string `json:"kind"`
	Count uint64 `json:"count"`
}

type sensorLine struct {
	Name string `json:"name"`
	sensorFact
}

type rosterLine struct {
	Space string `json:"space"`
	rosterFact
}

func (c *Console) facts() *statusPage {
	trouble := ""
	if code := c.health(); code != "" {
		trouble = "status.trouble." + code
	}
	var outside *Outside
	if c.cfg.Outside != nil && c.cfg.Mode != "" {
		o := c.cfg.Outside()
		outside = &o
	}
	l := c.cfg.Live
	l.mu.Lock()
	defer l.mu.Unlock()
	f := &l.facts
	p := &statusPage{Ledger: c.cfg.Name, Drill: c.cfg.Drill, Software: c.cfg.Software, Mode: c.cfg.Mode, Gate: f.gate,
		Epoch: f.epoch, Entries: f.total, Last: c.cfg.Ledger.Last(), Applied: f.last, LastAt: f.lastAt, OpenedAt: f.openedAt,
		Dropped: f.opened.Dropped, Sessions: f.gateOpen, Alerts: f.alerts, AnyRow: f.anyRow, NoName: f.noName, Accesses: f.accesses, Nowhere: f.nowhere, Outside: outside, Trouble: trouble}
	for k, n := range f.kinds {
		p.Kinds = append(p.Kinds, kindCount{kindName(k), n})
	}
	slices.SortFunc(p.Kinds, func(a, b kindCount) int {
		return cmp.Or(-cmp.Compare(a.Count, b.Count), cmp.Compare(a.Kind, b.Kind))
	})
	for _, name := range slices.Sorted(maps.Keys(f.sensors)) {
		p.Sensors = append(p.Sensors, sensorLine{name, *f.sensors[name]})
	}
	for _, name := range slices.Sorted(maps.Keys(f.rosters)) {
		p.Rosters = append(p.Rosters, rosterLine{name, *f.rosters[name]})
	}
	return p
}

func (c *Console) status(v *visit) (page, error) { return c.stands(), nil }

// stands are the facts with what takes a file to know.
func (c *Console) stands() *statusPage {
	p := c.facts()
	if c.cfg.Observed != nil {
		p.Observed = c.cfg.Observed()
	}
	return p
}

// lastHealth is what was found a moment ago, so that strangers who ask often do
// not keep the ledger busy.
type lastHealth struct {
	mu   sync.Mutex
	at   time.Time
	code string
}

const (
	healthKept     = time.Second
	healthPatience = 2 * time.Second
)

// health is empty while entries can be written and the pages follow, as far as
// is known; else a code.
func (c *Console) health() string {
	h := &c.well
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.at.IsZero() || time.Since(h.at) > healthKept {
		h.code = c.lookAtHealth()
		h.at = time.Now()
	}
	return h.code
}

func (c *Console) lookAtHealth() string {
	ctx, stop := context.WithTimeout(context.Background(), healthPatience)
	defer stop()
	err := c.cfg.Ledger.Health(ctx)
	switch {
	case err == nil && c.cfg.Views.Err() != nil:
		return "views"
	case err == nil:
		return ""
	case errors.Is(err, ledger.ErrFull):
		return "ledger_full"
	case errors.Is(err, ledger.ErrBusy):
		return "ledger_busy"
	}
	return "ledger_failed"
}

// healthz answers 200 while entries can be written and the pages follow, else
// 503 with the reason. It tells strangers nothing more.
func (c *Console) healthz(v *visit) (page, error) {
	v.w.Header().Set("Content-Type", "application/json; charset=utf-8")
	v.w.Header().Set("Cache-Control", "no-store")
	code := c.health()
	if code == "" {
		fmt.Fprintln(v.w, `{"status":"ok"}`)
		return nil, errDone
	}
	v.w.WriteHeader(http.StatusServiceUnavailable)
	fmt.Fprintf(v.w, "{\"status\":\"unwell\",\"reason\":%q,\"what\":%q}\n", code, c.presses["en"].say("status.trouble."+code))
	return nil, errDone
}

// metrics is the state as numbers, in the Prometheus text format 0.0.4. It
// names no person, no endpoint and no table. But figures move as things happen:
// who asks the contact point and sees here that a code was mailed knows of a
// member. So strangers are told only whether the house is well, and the rest is
// for who has signed in, or shows the token.
func (c *Console) metrics(v *visit) (page, error) {
	all := v.who != nil
	if shown := v.r.Header.Get("Authorization"); shown != "" {
		word, ok := strings.CutPrefix(shown, "Bearer ")
		have, want := sha256.Sum256([]byte(word)), sha256.Sum256([]byte(c.cfg.MetricsToken))
		if subtle.ConstantTimeCompare(have[:], want[:]) != 1 || !ok || c.cfg.MetricsToken == "" {
			v.w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(v.w, "the token of console.metrics_token_file is another", http.StatusUnauthorized)
			return nil, errDone
		}
		all = true
	}
	v.w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	v.w.Header().Set("Cache-Control", "no-store")
	gauge := func(name, help string, n uint64) {
		fmt.Fprintf(v.w, "# HELP sekisho_%s %s\n# TYPE sekisho_%s gauge\nsekisho_%s %d\n", name, help, name, name, n)
	}
	accepts := uint64(1)
	if code := c.health(); code != "" && code != "views" {
		accepts = 0
	}
	gauge("ledger_accepts", "1 while the ledger takes entries; 0 when it is full, has failed or waits for its disk.", accepts)
	if !all {
		fmt.Fprintln(v.w, "# More for who has signed in, or shows the token of console.metrics_token_file.")
		return nil, errDone
	}
	p := c.facts()
	gauge("ledger_epoch", "How often the ledger was opened.", p.Epoch)
	gauge("ledger_last_entry", "Sequence number of the last durable entry.", p.Last)
	gauge("views_applied_entry", "Sequence number that the views stand at.", p.Applied)
	gauge("gate_sessions_open", "Client sessions open at the gate.", p.Sessions)
	gauge("alerts", "Alerts in the ledger.", p.Alerts)
	gauge("any_row_accesses", "Accesses that could be every customer of their tables.", p.AnyRow)
	if c.cfg.Budgets != nil {
		near, ended := c.tallied.now(c)
		gauge("budgets_near", "Holders of a budget of customers who have nearly used it.", near)
		gauge("budgets_ended", "Holders of a budget of customers who have used it up.", ended)
	}
	if o := p.Outside; o != nil {
		gauge("outside_looked_seconds", "Unix time of the last search for ways round the gate that succeeded.", uint64(max(0, o.At))/1e6)
		gauge("outside_not_observed", "Kinds of things that it could not see.", uint64(len(o.Missing)))
	}
	fmt.Fprint(v.w, "# HELP sekisho_entries Entries in the ledger.\n# TYPE sekisho_entries gauge\n")
	for _, k := range p.Kinds {
		fmt.Fprintf(v.w, "sekisho_entries{kind=%q} %d\n", k.Kind, k.Count)
	}
	return nil, errDone
}
