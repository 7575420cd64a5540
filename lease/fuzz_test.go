package lease

import (
	"bytes"
	"encoding/json"
	"testing"

	"sekisho/budget"
)

// Whatever comes at the door is a question within the limits, or an error.
func FuzzQuestion(f *testing.F) {
	good, _ := json.Marshal(Question{Gate: 2, Epoch: 5, Instance: "x", Number: 3, Asks: []budget.Ask{{Claim: budget.Claim{Budget: "month", Subject: "member", Customers: 139, Seconds: 2_592_000}, Used: 3, Holds: 4, Want: 9, Need: 1, Renew: true}}})
	f.Add(good)
	f.Add([]byte(`{"asks":[{"used":18446744073709551615}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		q, err := readQuestion(bytes.NewReader(text))
		if err != nil {
			return
		}
		if len(q.Asks) > mostAsks {
			t.Errorf("%d asks", len(q.Asks))
		}
		for _, a := range q.Asks {
			if max(a.Used, a.Holds, a.Want, a.Need) > most || max(len(a.Budget), len(a.Principal)) > mostName {
				t.Errorf("%+v", a)
			}
		}
	})
}

// And so is whatever the issuer says.
func FuzzAnswer(f *testing.F) {
	good, _ := json.Marshal(Answer{Issuer: 1, Number: 3, Seconds: 3600, Shares: []Share{{Share: 9, Counts: 12}}, Wanted: []budget.Claim{{Budget: "month"}}})
	f.Add(good)
	f.Fuzz(func(t *testing.T, text []byte) {
		a, err := readAnswer(bytes.NewReader(text))
		if err != nil {
			return
		}
		for _, s := range a.Shares {
			if s.Share > most {
				t.Errorf("%+v", s)
			}
		}
	})
}
