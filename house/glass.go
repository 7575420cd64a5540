package house

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"

	"sekisho"
	"sekisho/console"
	"sekisho/sensor"
)

// What a login behind glass did, read back from the database's own log: each of
// its sessions is a session here, each statement over protected tables an
// any-row access. They stand in the ledger at the time of the import.

// glassRole is the role of such sessions.
const glassRole = "breakglass"

// imported folds how far each session of a log was taken over, by the ordinal
// in "application" that names it.
type imported struct {
	sessions map[uint64]uint32 // entry → ordinal
	lines    map[uint32]uint64 // ordinal → the last line
}

func newImported() imported { return imported{map[uint64]uint32{}, map[uint32]uint64{}} }

func (i *imported) apply(e *sekisho.Entry) {
	switch b := e.Body.(type) {
	case *sekisho.SessionOpened:
		if b.Door == sekisho.DoorLog {
			i.sessions[e.ID.Seq] = b.Application
			i.lines[b.Application] = max(i.lines[b.Application], 0)
		}
	case *sekisho.Access:
		if app, ok := i.sessions[b.Session]; ok {
			i.lines[app] = max(i.lines[app], b.Number)
		}
	}
}

// mostImported is how many statements one import takes over.
const mostImported = 1_000_000

// ImportLog takes over what a login did by the database's own log. What was
// taken over before is not taken twice. On return it is in the ledger; after a
// crash, import the log again.
func (h *House) ImportLog(ctx context.Context, login string, log io.Reader) (done console.Imported, err error) {
	if h.Gate == nil {
		return done, errors.New("importing a log: there is no gate here, which knows whose data is where")
	}
	if slices.Contains(h.Gate.Logins(), login) {
		return done, fmt.Errorf("importing a log: %s is a login of the gate's own, whose statements are in the ledger", login)
	}
	h.importing.Lock()
	defer h.importing.Unlock()
	if err := h.Settle(ctx); err != nil {
		return done, err
	}
	open := map[uint32]uint64{} // entry of each session of this import, by its name
	shapes := map[string]uint64{}
	// take records one statement of a session, and the session if that was not yet.
	take := func(name, endpoint string, l sensor.Logged) error {
		app := h.Vault.Space("application").OfText([]byte(name))
		var after uint64
		var known bool
		h.Views.Read(func() { after, known = h.past.imported.lines[app] })
		if l.Line <= after {
			return nil
		}
		var bodies []sekisho.Body
		for _, r := range h.Gate.Report(l.Text) {
			for _, space := range slices.Sorted(maps.Keys(r.Reach)) {
				key := fmt.Sprint(r.Statement, r.Verb, space, r.Tables)
				shape, ok := shapes[key]
				if !ok {
					id, err := h.Ledger.Append(ctx, &sekisho.Shape{Statement: r.Statement, Verb: r.Verb, Space: space, Tables: r.Tables, Categories: r.Categories})
					if err != nil {
						return fmt.Errorf("importing a log: %w", err)
					}
					shape, shapes[key] = id.Seq, id.Seq
				}
				bodies = append(bodies, &sekisho.Access{Shape: shape, Number: l.Line, Class: sekisho.AnyRow, Reach: r.Reach[space]})
			}
		}
		seq, here := open[app]
		if !here && (!known || len(bodies) > 0) {
			id, err := h.Ledger.Append(ctx, &sekisho.SessionOpened{Door: sekisho.DoorLog, Principal: h.Vault.Space("staff").OfText([]byte(login)),
				Role: glassRole, Endpoint: endpoint, Address: l.From, Application: app})
			if err != nil {
				return fmt.Errorf("importing a log: %w", err)
			}
			done.Sessions++
			seq, open[app] = id.Seq, id.Seq
		}
		if len(bodies) == 0 {
			return nil
		}
		for _, b := range bodies {
			b.(*sekisho.Access).Session = seq
		}
		done.Accesses += uint64(len(bodies))
		if _, err := h.Ledger.Append(ctx, bodies...); err != nil {
			return fmt.Errorf("importing a log: %w", err)
		}
		return nil
	}
	defer func() {
		for _, seq := range open {
			if _, closing := h.Ledger.Append(context.WithoutCancel(ctx), &sekisho.SessionClosed{Session: seq, Reason: "terminate"}); err == nil && closing != nil {
				err = fmt.Errorf("importing a log: %w", closing)
			}
		}
		if err == nil {
			err = h.Settle(ctx) // a second import finds what this one took over
		}
	}()
	read, err := sensor.ReadServerLog(log, login, func(l sensor.Logged) error {
		if done.Statements++; done.Statements > mostImported {
			return fmt.Errorf("importing a log: more than %d statements: import the log in parts", mostImported)
		}
		endpoint := "unverified@local"
		if l.From.IsValid() {
			endpoint = "unverified@" + l.From.Unmap().String()
		}
		return take("PostgreSQL session "+l.Session+" of a login behind glass", endpoint, l)
	})
	done.Lines, done.Own, done.Rejected = read.Lines, read.Own, read.Rejected
	if err != nil {
		return done, err
	}
	if read.Rejected > 0 {
		// Whose they are nobody knows, and what they were.
		err = take(fmt.Sprintf("%d of %d lines of a log that cannot be read", read.Rejected, read.Lines), countedAt, sensor.Logged{Line: 1})
	}
	return done, err
}

// ImportLog has the running house take over what a login did.
func (c *Caller) ImportLog(ctx context.Context, login string, log io.Reader) (done console.Imported, err error) {
	err = c.post(ctx, "/api/breakglass/import?login="+url.QueryEscape(login), "application/octet-stream", log, func(r io.Reader) error { return json.NewDecoder(r).Decode(&done) })
	if err != nil && !strings.Contains(err.Error(), "importing") {
		err = fmt.Errorf("importing a log: %w", err)
	}
	return done, err
}
