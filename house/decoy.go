package house

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"sekisho/console"
	"sekisho/gate"
)

// tablesOf lists the protected tables of each subject.
func (h *House) tablesOf() map[string][]string {
	by := map[string][]string{}
	for _, t := range h.Config.Catalog.Tables {
		by[t.Subject] = append(by[t.Subject], t.Name)
	}
	for _, list := range by {
		slices.Sort(list)
	}
	return by
}

// countRows counts the rows of some people of a subject in each protected
// table, with sekisho's own login: -1 where it may not.
func (h *House) countRows(ctx context.Context, space string, keys []string) (rows []map[string]int, err error) {
	if h.Gate == nil {
		return nil, errors.New("counting the rows of decoys: there is no gate here")
	}
	for range keys {
		rows = append(rows, map[string]int{})
	}
	array, err := json.Marshal(keys)
	if err != nil {
		return nil, err
	}
	err = h.Gate.Read(ctx, func(db gate.Reading) error {
		for _, t := range h.Config.Catalog.Tables {
			if t.Subject != space {
				continue
			}
			sql, ok := db.Catalog.RowsOf(t.Name)
			if !ok {
				continue
			}
			found, err := db.Query(ctx, sql, string(array))
			for i, key := range keys {
				rows[i][t.Name] = 0
				if err != nil {
					rows[i][t.Name] = -1
					continue
				}
				for _, r := range found {
					if r[0] != nil && *r[0] == key {
						rows[i][t.Name], _ = strconv.Atoi(*r[1])
					}
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("counting the rows of decoys: %w", err)
	}
	return rows, nil
}

// Decoys lists the decoys that stand; check counts their rows, too.
func (c *Caller) Decoys(ctx context.Context, check bool) (list []console.DecoyLine, err error) {
	if check {
		return list, c.tell(ctx, "/api/decoys/check", struct{}{}, &list)
	}
	return list, c.tell(ctx, "/api/decoys", nil, &list)
}

// PlaceDecoys places decoys or takes them away: all of them, or none.
func (c *Caller) PlaceDecoys(ctx context.Context, order console.DecoyOrder) error {
	var answer struct{ Decoys int }
	return c.tell(ctx, "/api/decoys", order, &answer)
}
