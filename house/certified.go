package house

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"

	"sekisho/console"
)

// Certified has the house record what the authority did or is about to do. The
// entry is durable on return.
func (c *Caller) Certified(ctx context.Context, told console.Certificate) (entry uint64, err error) {
	text, err := json.Marshal(told)
	if err != nil {
		return 0, err
	}
	var answer struct{ Entry uint64 }
	err = c.post(ctx, "/api/certificates", "application/json", bytes.NewReader(text), func(r io.Reader) error { return json.NewDecoder(r).Decode(&answer) })
	if err != nil {
		return 0, fmt.Errorf("recording a certificate: %w", err)
	}
	return answer.Entry, nil
}
