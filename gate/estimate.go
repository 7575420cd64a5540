package gate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"sekisho/permit"
)

// Estimate asks the database's planner how many rows it expects of a statement
// that was turned away, with the login of its role: an estimate, of rows and
// not of customers, for whoever has to decide. Nothing of the tables is read.
// A COPY, and a text of several statements, has none.
func (g *Gate) Estimate(ctx context.Context, st permit.Statement) (rows uint64, err error) {
	role, ok := g.conf.Roles[st.Role]
	if !ok {
		return 0, fmt.Errorf("estimating an export: there is no role %s any more", st.Role)
	}
	if len(st.Text) >= 4 && strings.EqualFold(string(st.Text[:4]), "copy") {
		return 0, nil
	}
	ctx, stop := context.WithTimeout(ctx, 10*time.Second)
	defer stop()
	up, err := g.connect(ctx, role.Login, map[string]string{"default_transaction_read_only": "on", "statement_timeout": "5s"})
	if err != nil {
		return 0, fmt.Errorf("estimating an export: %w", err)
	}
	defer g.backends.over(up.PID)
	conn, err := pgconn.Construct(up)
	if err != nil {
		up.Conn.Close()
		return 0, fmt.Errorf("estimating an export: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	formats, values, err := bound(st.Parameters)
	if err != nil {
		return 0, fmt.Errorf("estimating an export: %w", err)
	}
	types := make([]uint32, 0, len(st.Types)/4)
	for b := st.Types; len(b) >= 4; b = b[4:] {
		types = append(types, be.Uint32(b))
	}
	r := conn.ExecParams(ctx, "explain (format json) "+string(st.Text), values, types, formats, nil).Read()
	if r.Err != nil {
		var pe *pgconn.PgError
		if errors.As(r.Err, &pe) {
			return 0, fmt.Errorf("estimating an export: the database answers SQLSTATE %s", pe.Code) // its words may hold a literal
		}
		return 0, fmt.Errorf("estimating an export: %w", r.Err)
	}
	var plans []struct {
		Plan struct {
			Rows float64 `json:"Plan Rows"`
		}
	}
	if len(r.Rows) != 1 || len(r.Rows[0]) != 1 || json.Unmarshal(r.Rows[0][0], &plans) != nil || len(plans) != 1 || plans[0].Plan.Rows < 0 {
		return 0, errors.New("estimating an export: the database's plan is none that can be read")
	}
	return uint64(plans[0].Plan.Rows), nil
}

// bound reads a Bind's formats and values, as session.holds kept them.
func bound(b []byte) (formats []int16, values [][]byte, err error) {
	short := errors.New("the parameters end early")
	if len(b) == 0 {
		return nil, nil, nil
	}
	if len(b) < 2 || len(b) < 4+2*int(be.Uint16(b)) {
		return nil, nil, short
	}
	n := int(be.Uint16(b))
	for b = b[2:]; n > 0; n-- {
		formats, b = append(formats, int16(be.Uint16(b))), b[2:]
	}
	rest := b[2:]
	for range be.Uint16(b) {
		if len(rest) < 4 {
			return nil, nil, short
		}
		size := int(int32(be.Uint32(rest)))
		if rest = rest[4:]; size > len(rest) {
			return nil, nil, short
		}
		if size < 0 {
			values = append(values, nil)
			continue
		}
		values, rest = append(values, rest[:size:size]), rest[size:]
	}
	return formats, values, nil
}
