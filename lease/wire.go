package lease

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"sekisho/budget"
)

// The path of the one thing that can be asked, and the most bytes that a question
// or an answer has.
const (
	path      = "/v1/shares"
	mostBytes = 1 << 20
	mostAsks  = 1000
	mostName  = 1000 // bytes of a name in a claim
)

// A Question is what a gate asks the issuer.
type Question struct {
	Gate     uint32       `json:"gate"`
	Epoch    uint64       `json:"epoch"`    // of its ledger
	Instance string       `json:"instance"` // of its process: two with one directory differ in it
	Number   uint64       `json:"number"`   // within the epoch, from 1
	Asks     []budget.Ask `json:"asks"`
}

// An Answer is the issuer's. Epoch, instance and number are the question's:
// numbers begin anew with each epoch. Shares are in the order of the asks.
type Answer struct {
	Issuer   uint32         `json:"issuer"`
	Epoch    uint64         `json:"epoch"`
	Instance string         `json:"instance"`
	Number   uint64         `json:"number"`
	Seconds  uint64         `json:"lasts_seconds"`
	Shares   []Share        `json:"shares"`
	Wanted   []budget.Claim `json:"wanted,omitempty"` // what others lack
	Budgets  []Terms        `json:"budgets"`          // the issuer's, if the question was only whether somebody is there
}

// Terms are what both sides of a budget must agree on.
type Terms struct {
	Name      string   `json:"name"`
	Subject   string   `json:"subject,omitempty"`
	Per       []string `json:"per"`
	Customers uint32   `json:"customers"`
	Seconds   uint64   `json:"within_seconds"`
}

func termsOf(c budget.Config) []Terms {
	list := []Terms{}
	for _, b := range c {
		list = append(list, Terms{b.Name, b.Subject, b.Per, b.Customers, uint64(b.Within / 1e9)})
	}
	return list
}

// differ says which budget of a gate's config the issuer does not share, or the
// other way round. A policy's are not in the config, and not compared.
func differ(own, issuers []Terms) error {
	same := func(a, b Terms) bool {
		per := func(t Terms) []string { return slices.Sorted(slices.Values(t.Per)) }
		return a.Subject == b.Subject && a.Customers == b.Customers && a.Seconds == b.Seconds && slices.Equal(per(a), per(b))
	}
	for _, t := range own {
		i := slices.IndexFunc(issuers, func(o Terms) bool { return o.Name == t.Name })
		if i < 0 {
			return fmt.Errorf("%w: %q", budget.ErrNoBudget, t.Name)
		}
		if !same(t, issuers[i]) {
			return fmt.Errorf("%w: %q", budget.ErrDiffers, t.Name)
		}
	}
	for _, t := range issuers {
		if !strings.HasPrefix(t.Name, "policy: ") && !slices.ContainsFunc(own, func(o Terms) bool { return o.Name == t.Name }) {
			return fmt.Errorf("the issuer has a budget that this gate does not keep to: %q", t.Name)
		}
	}
	return nil
}

// A Share is what a gate may have from now on.
type Share struct {
	Share   uint64 `json:"share"`
	Counts  uint64 `json:"counts"`            // of the budget, at all gates
	Idle    uint64 `json:"idle,omitempty"`    // of that, what other gates have and do not use
	Refused string `json:"refused,omitempty"` // why nothing was granted or changed
}

// readQuestion reads a question, strictly.
func readQuestion(r io.Reader) (*Question, error) {
	q := new(Question)
	if err := read(r, q); err != nil {
		return nil, fmt.Errorf("reading a question for shares: %w", err)
	}
	if len(q.Asks) > mostAsks {
		return nil, fmt.Errorf("reading a question for shares: %d asks, the most is %d", len(q.Asks), mostAsks)
	}
	for _, a := range q.Asks {
		for _, s := range []string{a.Budget, a.Subject, a.Principal, a.Role, a.Endpoint, a.Purpose} {
			if len(s) > mostName {
				return nil, errors.New("reading a question for shares: a name is too long")
			}
		}
		if a.Used > most || a.Holds > most || a.Want > most || a.Need > most {
			return nil, errors.New("reading a question for shares: a number is too large")
		}
	}
	return q, nil
}

// most is more than any budget has.
const most = 1 << 40

func readAnswer(r io.Reader) (*Answer, error) {
	a := new(Answer)
	if err := read(r, a); err != nil {
		return nil, fmt.Errorf("reading the issuer's answer: %w", err)
	}
	for _, s := range a.Shares {
		if s.Share > most {
			return nil, errors.New("reading the issuer's answer: a number is too large")
		}
	}
	return a, nil
}

func read(r io.Reader, into any) error {
	in := io.LimitReader(r, mostBytes+1)
	text, err := io.ReadAll(in)
	if err != nil {
		return err
	}
	if len(text) > mostBytes {
		return fmt.Errorf("it has more than %d bytes", mostBytes)
	}
	return json.Unmarshal(text, into)
}
