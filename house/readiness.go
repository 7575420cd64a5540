package house

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"sekisho"
	"sekisho/catalog"
	"sekisho/console"
	"sekisho/disk"
	"sekisho/gate"
	"sekisho/ledger"
	"sekisho/survey"
	"sekisho/vault"
)

// RoadReport says how ready each role is to be enforced.
type RoadReport struct {
	Since string             `json:"since"`           // as asked; empty: the ledger's beginning
	First string             `json:"first,omitempty"` // when the first statement was counted
	Last  string             `json:"last,omitempty"`
	Days  int                `json:"days"` // of a day each, from the first to the last
	Roles []survey.Readiness `json:"roles"`
}

// Ready reads the ledger of a data directory, which may be running, and judges
// what the roles did from since until until as the gate would enforce it. It
// reads the database's catalog with the gate's reader, and, if plans, asks each
// role's login for plans; nothing of the tables is read.
func Ready(ctx context.Context, c Config, base string, since, until sekisho.Time, plans bool) (*RoadReport, error) {
	if err := c.check(base); err != nil {
		return nil, err
	}
	key := keyFile(c.Data)
	if _, err := os.Stat(key); err != nil {
		return nil, fmt.Errorf("reading the vault, which holds the statements: %w", err)
	}
	secret, err := vault.LoadOrMakeKey(key)
	if err != nil {
		return nil, err
	}
	v, err := vault.Open(vault.Config{Dir: vaultDir(c.Data), FS: disk.OS{}, Key: secret, ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer v.Close()
	up := upstreamOf(c)
	db, err := up.As(ctx, survey.Login(c.Gate.Upstream.Reader), time.Minute)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	cat, err := catalog.Load(ctx, db.Query, c.Catalog)
	if err != nil {
		return nil, fmt.Errorf("reading the database's catalog: %w", err)
	}
	var connect func(context.Context, survey.Login) (*survey.Database, error)
	if plans {
		connect = func(ctx context.Context, l survey.Login) (*survey.Database, error) {
			return up.As(ctx, l, 5*time.Second)
		}
	}
	return road(ctx, c, v, cat, since, until, connect)
}

func road(ctx context.Context, c Config, v *vault.Vault, cat *catalog.Catalog, since, until sekisho.Time, connect func(context.Context, survey.Login) (*survey.Database, error)) (*RoadReport, error) {
	r := survey.NewRoad(since, until)
	for e, err := range ledger.Read(disk.OS{}, ledgerDir(c.Data), 1) {
		if errors.Is(err, sekisho.ErrUnknownKind) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading the ledger: %w", err)
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		r.Apply(&e)
	}
	var roles []survey.Traveller
	for _, name := range slices.Sorted(maps.Keys(c.Gate.Roles)) {
		role := c.Gate.Roles[name]
		who := survey.Traveller{Name: name, Login: survey.Login(role.Login), Observe: role.Mode == gate.Observe, Writes: role.Writes, AnyRow: role.AnyRow}
		for _, m := range role.Tables {
			who.Observe = who.Observe || m == gate.Observe
		}
		roles = append(roles, who)
	}
	text := func(ord uint32) (string, bool) { return v.Space("statement").Key(ord) }
	out := &RoadReport{Roles: r.Report(ctx, roles, cat, text, connect)}
	if since != 0 {
		out.Since = since.String()
	}
	if first, last := r.Span(); first != 0 {
		out.First, out.Last = first.String(), last.String()
		out.Days = int((last-first)/(24*anHour)) + 1
	}
	return out, nil
}

func upstreamOf(c Config) survey.Upstream {
	return survey.Upstream{Host: c.Gate.Upstream.Host, Port: c.Gate.Upstream.Port, Database: c.Gate.Upstream.Database, SSLMode: c.Gate.Upstream.SSLMode, SSLRootCert: c.Gate.Upstream.SSLRootCert}
}

// refusedBy is how many runs the policy would have refused, at most.
func refusedBy(list []survey.Ruling) (n uint64) {
	for _, p := range list {
		if p.Refuses {
			n += p.Runs
		}
	}
	return n
}

// KeepReadiness says in the log, once a day until ctx ends, how ready the roles
// are that are observed, by what they did on the day before. It does so when a
// day has ended, so that a house that is restarted daily says it, too.
func (h *House) KeepReadiness(ctx context.Context) {
	zone, err := time.LoadLocation(h.Config.TimeZone)
	if err != nil {
		zone = time.UTC // the config was checked
	}
	for {
		day := time.NewTimer(untilDayEnds(h.now(), zone))
		select {
		case <-ctx.Done():
			day.Stop()
			return
		case <-day.C:
		}
		if err := h.TellReadiness(ctx); err != nil && ctx.Err() == nil {
			h.Log.Error("looking how ready the roles are", "error", err)
		}
	}
}

// untilDayEnds is how long it is until a minute after the next midnight. A timer
// that fires a little early does not make that the same midnight again.
func untilDayEnds(now time.Time, zone *time.Location) time.Duration {
	y, m, d := now.In(zone).Date()
	next := time.Date(y, m, d, 0, 1, 0, 0, zone)
	for !next.After(now.Add(time.Minute)) {
		d++
		next = time.Date(y, m, d, 0, 1, 0, 0, zone)
	}
	return next.Sub(now)
}

// TellReadiness does it once, and keeps what it says for who asks later: the console,
// and `sekisho readiness --latest`.
func (h *House) TellReadiness(ctx context.Context) error {
	if !h.observes() {
		return nil
	}
	return h.Gate.Read(ctx, func(db gate.Reading) error {
		now := sekisho.At(h.now())
		up := upstreamOf(h.Config)
		connect := func(ctx context.Context, l survey.Login) (*survey.Database, error) {
			return up.As(ctx, l, 5*time.Second)
		}
		report, err := road(ctx, h.Config, h.Vault, db.Catalog, now-24*anHour, now+1, connect)
		if err != nil {
			return err
		}
		day := console.ObservedDay{Until: now, Roles: []console.ObservedRole{}}
		for _, r := range report.Roles {
			if r.Mode != "observe" {
				continue
			}
			one := console.ObservedRole{Role: r.Role, Verdict: r.Verdict, Statements: r.Statements, Runs: r.Runs, Exact: r.Exact, Other: r.Other, AnyRow: r.AnyRow, Refused: r.StopRuns,
				Unsure: r.Unsure, Policy: refusedBy(r.Policy), Budgets: len(r.Budgets), Keys: r.Keys, Compared: r.Compared, Worst: math.Round(r.Worst*100) / 100}
			day.Roles = append(day.Roles, one)
			h.Log.Info("readiness of an observed role, by its last day", "role", one.Role, "verdict", one.Verdict, "statements", one.Statements, "runs", one.Runs,
				"exact", one.Exact, "contributed", one.Other, "any_row", one.AnyRow, "would_be_refused", one.Refused, "cannot_tell", one.Unsure,
				"policy_would_refuse", one.Policy, "budgets_would_end", one.Budgets, "hidden_keys", one.Keys, "plans_compared", one.Compared, "costs_times_at_most", one.Worst)
		}
		text, err := json.Marshal(day)
		if err == nil {
			err = replaceFile(dayFile(h.Config.Data), text)
		}
		if err != nil {
			return fmt.Errorf("keeping the day's report: %w", err)
		}
		return nil
	})
}

// observes: some role is observed, at one table at least.
func (h *House) observes() bool {
	for _, role := range h.Config.Gate.Roles {
		if role.Mode == gate.Observe {
			return true
		}
		for _, m := range role.Tables {
			if m == gate.Observe {
				return true
			}
		}
	}
	return false
}

func dayFile(data string) string { return filepath.Join(data, "observed.json") }

// LastDay is the last day's report of the house that has this data directory; without
// a time if it has made none.
func LastDay(data string) (*console.ObservedDay, error) {
	day := &console.ObservedDay{Roles: []console.ObservedRole{}}
	text, err := os.ReadFile(dayFile(data))
	if errors.Is(err, os.ErrNotExist) {
		return day, nil
	}
	if err == nil {
		err = json.Unmarshal(text, day)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the day's report, which is written anew a minute after midnight: %w", err)
	}
	return day, nil
}

// observedDay is what the console shows of it.
func (h *House) observedDay() *console.ObservedDay {
	if !h.observes() {
		return nil
	}
	day, err := LastDay(h.Config.Data)
	if err != nil {
		h.Log.Error("showing how ready the roles are", "error", err)
		return &console.ObservedDay{}
	}
	return day
}
