package house

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"sekisho"
	"sekisho/catalog"
	"sekisho/console"
	"sekisho/gate"
	"sekisho/survey"
)

// No way round: again and again the house asks the database who is connected
// and what was read, and raises an alert for what did not come through the gate.
// Nobody is prevented by it.

// Outside is the search for what passes the gate by.
type Outside struct {
	// Every is how often the database is asked: 1m (the default), or off.
	Every Every `yaml:"every"`
	// Gates are from where other gates of the company connect to the same database,
	// with the same logins: addresses and prefixes, and "local" for a socket on its
	// machine. Their sessions are no way round.
	Gates []string `yaml:"gates"`
}

const localGate = "local"

// peers are Gates as they are compared.
func (o Outside) peers() (list []netip.Prefix, local bool, err error) {
	names := slices.DeleteFunc(slices.Clone(o.Gates), func(s string) bool { return s == localGate })
	if list, err = sekisho.ParsePrefixes(names); err != nil {
		return nil, false, fmt.Errorf("config: outside: gates: %w", err)
	}
	return list, len(names) < len(o.Gates), nil
}

// Peers are from where other gates connect, for whoever checks the config.
func (o Outside) Peers() (list []netip.Prefix, local bool) {
	list, local, _ = o.peers()
	return list, local
}

// Every is a time between two looks; negative is never.
type Every time.Duration

// UnmarshalText reads "off", or a duration of a second or more.
func (e *Every) UnmarshalText(text []byte) error {
	if string(text) == "off" {
		*e = -1
		return nil
	}
	d, err := time.ParseDuration(string(text))
	if err != nil || d < time.Second {
		return fmt.Errorf("%q: use a duration from 1s, such as 1m, or off", text)
	}
	*e = Every(d)
	return nil
}

func (o Outside) every() time.Duration {
	if o.Every == 0 {
		return time.Minute
	}
	return time.Duration(o.Every)
}

const (
	// Endpoints of what has no address: rows in the statistics, and sessions
	// whose address the reader may not see.
	countedAt = "unverified@unknown"
	hiddenAt  = "unverified@hidden"

	// mostTold is how many sessions of one role at one address are told within
	// an hour; whoever connects anew for each statement is known by then.
	mostTold = 10

	lookTakes = 30 * time.Second // at most

	anHour = sekisho.Time(3600e6)
)

// told is the fold of the alerts that were raised: it keeps the same thing from
// being told twice, also after a restart.
type told struct {
	sessions map[passing]bool
	within   map[passing]int         // sessions by the hour of their start
	rows     map[uint32]sekisho.Time // of a role: until when they were last told
}

// passing is a session that did not come through the gate. Two of one role from
// one place that began in the same microsecond are one.
type passing struct {
	role     uint32 // ordinal in "staff"
	endpoint string
	since    sekisho.Time
}

func newTold() told {
	return told{map[passing]bool{}, map[passing]int{}, map[uint32]sekisho.Time{}}
}

func (t *told) apply(a *sekisho.Alert) {
	switch {
	case a.Detector != "outside":
	case a.Endpoint == countedAt:
		t.rows[a.Principal] = max(t.rows[a.Principal], a.Until)
	default:
		t.sessions[passing{a.Principal, a.Endpoint, a.From}] = true
		t.within[passing{a.Principal, a.Endpoint, a.From / anHour}]++
	}
}

// lookout is what lies between two looks.
type lookout struct {
	one      sync.Mutex // a look at a time
	catalog  *catalog.Catalog
	reaching []string
	counted  *counts // nil until the first look
	warned   string  // what was last said to be missing

	mu  sync.Mutex
	now console.Outside
}

// counts is what the statistics said, by role. A role whose rows were told
// within the hour keeps the older reading, so that the next hour tells the rest.
// It stands in a file of the data directory; without it, what was read while
// sekisho was down is not told. Roles are there by a hash only.
type counts struct {
	At    time.Time
	Roles map[string]reading
}

type reading struct {
	Since      time.Time
	Statements map[string]calls // by the server's identity of the statement
}

type calls struct{ Calls, Rows uint64 }

func readingOf(since time.Time, list []survey.Statement) reading {
	r := reading{since, map[string]calls{}}
	for _, s := range list {
		c := r.Statements[s.ID]
		r.Statements[s.ID] = calls{c.Calls + s.Calls, c.Rows + s.Rows}
	}
	return r
}

// of gives the reading back as what the server said of a role.
func (r reading) of(role string) (list []survey.Statement) {
	for id, c := range r.Statements {
		list = append(list, survey.Statement{Role: role, ID: id, Calls: c.Calls, Rows: c.Rows})
	}
	return list
}

func roleKey(role string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(role))) }

func (l *lookout) state() console.Outside {
	l.mu.Lock()
	defer l.mu.Unlock()
	o := l.now
	if o.Code == "" {
		o.Code = "waiting"
	}
	return o
}

// KeepOutside looks as often as the config says, until ctx ends.
func (h *House) KeepOutside(ctx context.Context) {
	every := h.Config.Outside.every()
	if every < 0 {
		h.outside.mu.Lock()
		h.outside.now.Code = "off"
		h.outside.mu.Unlock()
		return
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		look, stop := context.WithTimeout(ctx, lookTakes)
		err := h.LookOutside(look)
		stop()
		if err != nil && ctx.Err() == nil {
			h.Log.Error("looking for ways round the gate", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// LookOutside asks the database once what did not come through the gate. On
// return the alerts are in the ledger.
func (h *House) LookOutside(ctx context.Context) (err error) {
	l := &h.outside
	l.one.Lock()
	defer l.one.Unlock()
	var missing []string
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if err != nil {
			l.now.Code = "failed"
			return
		}
		l.now = console.Outside{At: sekisho.At(h.now()), Code: "looked", Missing: missing}
	}()
	// What the look before has told must have come to the fold.
	if err := h.Settle(ctx); err != nil {
		return err
	}
	if l.counted == nil {
		if l.counted, err = h.readCounts(); err != nil {
			return err
		}
	}
	return h.Gate.Read(ctx, func(db gate.Reading) error {
		if l.catalog != db.Catalog {
			if l.reaching, err = survey.Reaching(ctx, db.Query, db.Catalog); err != nil {
				return fmt.Errorf("reading which views show protected tables: %w", err)
			}
			l.catalog = db.Catalog
		}
		sessions, lack, err := h.passedNow(ctx, db)
		if err != nil {
			return err
		}
		missing = lack
		rows, of, next, lack, err := h.passedSince(ctx, db)
		if err != nil {
			return err
		}
		missing = append(missing, lack...)
		if said := fmt.Sprint(missing); said != l.warned {
			if l.warned = said; len(missing) > 0 {
				h.Log.Warn("ways round the gate cannot all be seen: sekisho doctor says what is missing", "not_observed", missing)
			}
		}
		if len(sessions) > 0 {
			if _, err := h.Ledger.Append(ctx, sessions...); err != nil {
				return fmt.Errorf("recording what passed the gate by: %w", err)
			}
		}
		// Which tables they were stands before each alert, which names that entry.
		for i, alert := range rows {
			first, err := h.Ledger.Append(ctx, of[i])
			if err == nil {
				alert.Basis = []uint64{first.Seq}
				_, err = h.Ledger.Append(ctx, alert)
			}
			if err != nil {
				return fmt.Errorf("recording what passed the gate by: %w", err)
			}
		}
		if len(sessions)+len(rows) > 0 {
			h.Log.Warn("something passed the gate by: see the incidents", "sessions", len(sessions), "roles_with_rows", len(rows))
		}
		// A crash here tells the rows of the last look again, in an hour.
		if next == nil {
			return nil
		}
		l.counted = next
		return h.writeCounts(next)
	})
}

// passedNow gives an alert for each session that is not the gate's and was not
// told yet.
func (h *House) passedNow(ctx context.Context, db gate.Reading) (alerts []sekisho.Body, missing []string, err error) {
	own := survey.Own{Logins: h.Gate.Logins()}
	own.Peers, own.PeersLocal = h.Config.Outside.Peers()
	var sessions []survey.Session
	own.Backends, err = h.Gate.Backends(ctx, func() (seen []int32, err error) {
		if sessions, err = survey.ReadSessions(ctx, db.Query, h.outside.reaching); err != nil {
			return nil, fmt.Errorf("reading who is connected to the database: %w", err)
		}
		for _, s := range sessions {
			seen = append(seen, s.Backend)
		}
		return seen, nil
	})
	if err != nil {
		return nil, nil, err
	}
	self, err := db.Query(ctx, "SELECT pg_catalog.pg_backend_pid()")
	if err != nil {
		return nil, nil, fmt.Errorf("reading who answers for the database: %w", err)
	}
	if *self[0][0] != strconv.Itoa(int(db.Backend)) {
		// A pooler gives numbers of its own: the logins alone must tell.
		own.Backends, missing = nil, append(missing, "logins")
	}
	if slices.ContainsFunc(sessions, func(s survey.Session) bool { return s.Hidden && len(s.Tables) > 0 && !own.Backends[s.Backend] }) {
		missing = append(missing, "sessions")
	}
	hidden := map[int32]bool{}
	for _, s := range sessions {
		hidden[s.Backend] = s.Hidden
	}
	now, held := sekisho.At(h.now()), 0
	fresh := newTold()
	for _, p := range survey.Outside(own, sessions, nil, nil, time.Time{}) {
		who := passing{h.Vault.Space("staff").OfText([]byte(p.Role)), endpointOf(p, hidden[p.Backend]), sekisho.At(p.Since)}
		if hidden[p.Backend] {
			if p.Stolen {
				continue // it may as well be a parallel worker of the gate's own
			}
			who.since = now / anHour * anHour
		}
		a := &sekisho.Alert{Detector: "outside", Principal: who.role, Endpoint: who.endpoint, From: who.since, Until: max(now, who.since) + 1}
		hour := passing{who.role, who.endpoint, who.since / anHour}
		var again, often bool
		h.Views.Read(func() {
			again = h.past.told.sessions[who] || fresh.sessions[who]
			often = h.past.told.within[hour]+fresh.within[hour] >= mostTold
		})
		switch {
		case again:
		case often:
			held++
		default:
			fresh.apply(a)
			alerts = append(alerts, a)
		}
	}
	if held > 0 {
		h.Log.Warn("more sessions pass the gate by from where many were told within the hour", "sessions", held)
	}
	return alerts, missing, nil
}

func endpointOf(p survey.Passage, hidden bool) string {
	switch {
	case hidden:
		return hiddenAt
	case !p.Address.IsValid():
		return "unverified@local" // a socket of the database's machine
	}
	return "unverified@" + p.Address.Unmap().String()
}

// passedSince gives an alert for each role that moved rows of protected tables
// since it was last told, with the tables that they were of, and what the next
// look is to be compared with. The first look of all only begins to count.
func (h *House) passedSince(ctx context.Context, db gate.Reading) (alerts []*sekisho.Alert, of []*sekisho.PassedBy, next *counts, missing []string, err error) {
	schema, err := survey.StatementsSchema(ctx, db.Query)
	if err != nil {
		return nil, nil, nil, nil, fmt.Errorf("looking for pg_stat_statements: %w", err)
	}
	if schema == "" {
		return nil, nil, nil, []string{"no_statistics"}, nil
	}
	at := h.now()
	list, hidden, err := survey.ReadStatements(ctx, db.Query, schema, db.Catalog)
	if err != nil {
		return nil, nil, nil, nil, fmt.Errorf("reading pg_stat_statements: %w", err)
	}
	if hidden > 0 {
		missing = append(missing, "statements")
	}
	own := survey.Own{Logins: h.Gate.Logins()}
	by := map[string][]survey.Statement{}
	for _, s := range list {
		if !slices.Contains(own.Logins, s.Role) {
			by[s.Role] = append(by[s.Role], s)
		}
	}
	before, now := h.outside.counted, sekisho.At(at)
	next = &counts{At: at, Roles: map[string]reading{}}
	for role, statements := range by {
		key := roleKey(role)
		then, known := before.Roles[key]
		if !known {
			then.Since = before.At // nothing of it was counted then
		}
		keep := false
		if !before.At.IsZero() {
			for _, p := range survey.Outside(own, nil, then.of(role), statements, then.Since) {
				who := h.Vault.Space("staff").OfText([]byte(role))
				var last sekisho.Time
				h.Views.Read(func() { last = h.past.told.rows[who] })
				if keep = last != 0 && last/anHour == now/anHour; keep {
					break
				}
				from := sekisho.At(p.Since)
				alerts = append(alerts, &sekisho.Alert{Detector: "outside", Principal: who, Endpoint: countedAt, From: from, Until: max(now, from) + 1, Observed: p.Rows})
				of = append(of, &sekisho.PassedBy{Principal: who, Tables: p.Tables, From: from, Until: max(now, from) + 1, Rows: p.Rows})
			}
		}
		if !keep {
			then = readingOf(at, statements)
		}
		next.Roles[key] = then
	}
	return alerts, of, next, missing, nil
}

func (h *House) countsFile() string { return filepath.Join(h.Config.Data, "outside.state") }

// readCounts reads what the statistics said when sekisho last looked. One that
// cannot be read is as none.
func (h *House) readCounts() (*counts, error) {
	c := &counts{}
	text, err := os.ReadFile(h.countsFile())
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("reading what was last counted past the gate: %w", err)
	default:
		if err := json.Unmarshal(text, c); err != nil {
			h.Log.Warn("what was last counted past the gate cannot be read: counting begins anew", "file", h.countsFile())
			c = &counts{}
		}
	}
	return c, nil
}

// writeCounts replaces the file.
func (h *House) writeCounts(c *counts) error {
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	err = replaceFile(h.countsFile(), text)
	if err != nil {
		return fmt.Errorf("keeping what was counted past the gate: %w", err)
	}
	return nil
}

// replaceFile writes a file of the house's own anew. A crash leaves the old one or the
// new one.
func replaceFile(name string, text []byte) error {
	next := name + ".next"
	w, err := os.OpenFile(next, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = w.Write(text)
	if err := errors.Join(err, w.Sync(), w.Close()); err != nil {
		return err
	}
	return os.Rename(next, name)
}
