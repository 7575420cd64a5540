package gate

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"

	"sekisho"
)

// OFFSET is the gate's to do, not the server's (see stmt.Skip): the first rows
// come like all others, are named like all others, and go no further. In the
// ledger they are in the class exact: who is skipped is not told from who is
// shown.

var offsetRefusal = &refusal{code: "0A000", reason: "offset", text: "the gate cannot read the parameter of OFFSET", hint: "Give OFFSET as a parameter of type bigint."}

// offsetTypes says whether the parameter of OFFSET, if there is one, is a whole
// number by the types that a Parse states, or left to the server, which makes
// it one.
func (sp *stmtPlan) offsetTypes(types []byte) bool {
	if sp.skip == nil || sp.skip.Param == 0 || 4*sp.skip.Param > len(types) {
		return true
	}
	switch be.Uint32(types[4*(sp.skip.Param-1):]) {
	case 0, 20, 21, 23:
		return true
	}
	return false
}

// offset is how many rows to skip, by the values of a Bind. formats and values
// are as they stand in the message.
func (sp *stmtPlan) offset(formats []byte, values [][]byte) (int64, bool) {
	switch {
	case sp.skip == nil:
		return 0, true
	case sp.skip.Param == 0:
		return sp.skip.Rows, true
	case sp.skip.Param > len(values):
		return 0, true // the server has words for that
	}
	i := sp.skip.Param - 1
	v := values[i]
	n := int64(0)
	switch {
	case v == nil: // NULL: none
		return 0, true
	case !binaryAt(formats, i):
		var err error
		if n, err = strconv.ParseInt(string(bytes.TrimSpace(v)), 10, 64); err != nil {
			return 0, false
		}
	case len(v) == 8:
		n = int64(be.Uint64(v))
	case len(v) == 4:
		n = int64(int32(be.Uint32(v)))
	case len(v) == 2:
		n = int64(int16(be.Uint16(v)))
	default:
		return 0, false
	}
	return max(n, 0), true // less is an error of the server's
}

// asks gives an Execute that asks for so many rows, and for those that are
// skipped.
func (po *portal) asks(msg []byte) []byte {
	at := len(msg) - 4
	rows := int64(int32(be.Uint32(msg[at:])))
	if po.skip == 0 || po.asked || rows <= 0 {
		return msg
	}
	msg = bytes.Clone(msg)
	be.PutUint32(msg[at:], uint32(min(rows+po.skip, math.MaxInt32)))
	return msg
}

// skips is how many of the first rows of w's answer are to be skipped.
func (w *want) skips() int64 {
	if w.portal != nil {
		return w.portal.skip
	}
	if sp := w.statement(); sp != nil && sp.skip != nil {
		return sp.skip.Rows
	}
	return 0
}

// skipping is row, for a statement with OFFSET.
func (r *replies) skipping(w *want, sp *stmtPlan, from, to int) error {
	before := r.w
	if err := r.row(w, sp, from, to); err != nil || r.cutting {
		return err
	}
	u := r.runningFor(w)
	if u == nil || u.skip == 0 {
		return nil
	}
	u.skip--
	u.left++ // it is not shown
	w.skipped++
	for _, e := range r.entries(u) {
		e.(*sekisho.Access).Rows--
	}
	r.w = before
	return nil
}

// tagWithout is a CommandComplete for so many rows less.
func tagWithout(body []byte, skipped int64) ([]byte, error) {
	verb, count, ok := strings.Cut(strings.TrimSuffix(string(body), "\x00"), " ")
	n, err := strconv.ParseInt(count, 10, 64)
	if !ok || verb != "SELECT" && verb != "COPY" && verb != "FETCH" || err != nil || n < skipped {
		return nil, fmt.Errorf("%w: it has counted other rows than it sent", errServerProtocol)
	}
	return appendMessage(nil, 'C', verb+" "+strconv.FormatInt(n-skipped, 10)+"\x00"), nil
}
