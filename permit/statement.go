package permit

import (
	"encoding/json"
	"fmt"

	"sekisho"
)

// A Statement is what a request is bound to: one text with its parameters, byte
// for byte, of one person in one role. Its Key stands in the vault; the ledger
// holds the ordinal, and with it a commitment to every byte.
//
// It is the text that is bound, not what it means: the time zone and what the
// tables hold may be others when it runs. The tables are those that the gate judged
// it by; of a name that search_path would have to decide there is no Statement.
type Statement struct {
	Principal uint32       `json:"principal"`        // ordinal in "staff"
	Person    uint32       `json:"person,omitempty"` // whom the principal, a program, worked for, as far as it said so
	Role      string       `json:"role"`
	Verb      sekisho.Verb `json:"verb"`
	Tables    []string     `json:"tables"`          // the protected ones, sorted
	Index     int          `json:"index,omitempty"` // of the statement in a text of several
	Text      []byte       `json:"text"`            // bytes: JSON would mend what is no UTF-8
	// Parameters are a Bind's formats and values as they were sent; Types are
	// the OIDs that its Parse stated.
	Parameters []byte `json:"parameters,omitempty"`
	Types      []byte `json:"types,omitempty"`
}

// MaxKey is the most bytes of text and parameters that can be asked for.
const MaxKey = 256 << 10

// Key is the statement as it stands in the vault. Two statements with the same
// key are the same.
func (s *Statement) Key() []byte {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // strings, numbers and bytes only
	}
	return b
}

// Whose is the person whose statement it is: nobody may approve their own.
func (s *Statement) Whose() uint32 {
	if s.Person != 0 {
		return s.Person
	}
	return s.Principal
}

// ParseStatement reads a key.
func ParseStatement(key string) (s Statement, err error) {
	if err := json.Unmarshal([]byte(key), &s); err != nil {
		return s, fmt.Errorf("reading a statement of the vault: %w", err)
	}
	return s, nil
}

// Turned is a statement that was turned away because it named too many
// customers, and that can be asked for by its number.
type Turned struct {
	Number    uint64       `json:"reference"` // sequence number of its Refused
	At        sekisho.Time `json:"time"`
	Plain     uint32       `json:"-"` // ordinal in "statement": the text without its literals
	Limit     uint64       `json:"limit"`
	EndsAt    uint64       `json:"ends_at,omitempty"` // so many rows, by the policy, also if it is approved; 0: by no rule
	Statement Statement    `json:"-"`
}
