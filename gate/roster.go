package gate

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"

	"github.com/jackc/pgx/v5/pgconn"

	"sekisho"
	"sekisho/vault"
)

// Subjects are the kinds of people whose data this gate protects, in the
// order of the catalog.
func (g *Gate) Subjects() []string { return g.plans.catalog().Subjects() }

// ErrNoRoster: the catalog says nothing of a subject's roster.
var ErrNoRoster = errors.New("the catalog gives this subject no roster")

// ReadRoster reads the list of everybody of a subject from the database into
// the vault, as one snapshot, and says so in the ledger. Both are durable on
// return; after an error the roster before stands. A crash between the two
// leaves a roster that the ledger does not name: read it again. progress, if
// not nil, is told now and then how many rows have been read.
func (g *Gate) ReadRoster(ctx context.Context, subject string, progress func(done int)) (*sekisho.RosterRead, error) {
	q, ok := g.plans.catalog().Roster(subject)
	if !ok {
		return nil, fmt.Errorf("reading the roster of %q: %w: name labels, dates or match fields under subjects: roster", subject, ErrNoRoster)
	}
	r, err := g.reader(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the roster of %q: %w", subject, err)
	}
	defer r.close()
	read, err := g.vault.WriteRoster(subject, vault.RosterSchema{Labels: q.Labels, Dates: q.Dates, Match: q.Match}, r.people(ctx, q.SQL, len(q.Labels), len(q.Dates), len(q.Match)), progress)
	if err != nil {
		return nil, fmt.Errorf("reading the roster of %q: %w", subject, err)
	}
	if _, err := g.ledger.Append(ctx, read); err != nil {
		return nil, fmt.Errorf("recording the roster of %q: %w", subject, err)
	}
	return read, nil
}

// people gives the rows of a roster query as they come. Its errors hold no
// value of a row.
func (r *reader) people(ctx context.Context, sql string, labels, dates, matches int) iter.Seq2[vault.RosterRow, error] {
	return func(yield func(vault.RosterRow, error) bool) {
		ctx, stop := context.WithCancel(ctx) // ends the query if the reading ends early
		defer stop()
		if _, err := r.conn.Exec(ctx, "begin transaction isolation level repeatable read, read only").ReadAll(); err != nil {
			yield(vault.RosterRow{}, fmt.Errorf("beginning: %w", WithoutValues(err)))
			return
		}
		row := vault.RosterRow{Labels: make([]string, labels), Dates: make([]int32, dates), Match: make([]string, matches)}
		res := r.conn.ExecParams(ctx, sql, nil, nil, nil, nil)
		for res.NextRow() {
			values := res.Values()
			if len(values) != 1+labels+dates+matches || values[0] == nil {
				yield(vault.RosterRow{}, errors.New("the roster query gives a row without a key"))
				return
			}
			row.Key, values = string(values[0]), values[1:]
			for i := range row.Labels {
				row.Labels[i] = string(values[i])
			}
			for i := range row.Dates {
				row.Dates[i] = vault.NoDate
				if v := values[labels+i]; v != nil {
					days, err := strconv.ParseInt(string(v), 10, 32)
					if err != nil {
						yield(vault.RosterRow{}, errors.New("the roster query gives a date that is no number of days"))
						return
					}
					row.Dates[i] = int32(days)
				}
			}
			for i := range row.Match {
				row.Match[i] = string(values[labels+dates+i])
			}
			if !yield(row, nil) {
				return
			}
		}
		if _, err := res.Close(); err != nil {
			yield(vault.RosterRow{}, WithoutValues(err))
		}
	}
}

// WithoutValues is an error of the server without what can hold a customer's
// data.
func WithoutValues(err error) error {
	var pe *pgconn.PgError
	if !errors.As(err, &pe) || speaksOfTheStatement(pe.Code, pe.Position > 0) {
		return err
	}
	return fmt.Errorf("the database answered %s (SQLSTATE %s)", conditionName(pe.Code), pe.Code)
}
