package directory

import (
	"encoding/json"
	"fmt"
)

// Attributes are what the vault holds of a person, under an ordinal of "staff_record"
// of its own, which can be destroyed alone. Every other version of them is
// another ordinal.
type Attributes struct {
	Staff    uint32 `json:"staff"` // so that two people never share an ordinal
	Name     string `json:"name,omitempty"`
	Kana     string `json:"kana,omitempty"`
	Mail     string `json:"mail,omitempty"`
	Language string `json:"language,omitempty"` // "ja", "en"; a BCP 47 tag
	External string `json:"external,omitempty"` // how the source calls them
}

// Key is the vault's key that holds them.
func (a Attributes) Key() string {
	b, err := json.Marshal(a)
	if err != nil {
		panic(err) // strings and a number
	}
	return string(b)
}

// ReadAttributes reads a key of "staff_record".
func ReadAttributes(key string) (a Attributes, err error) {
	if err := json.Unmarshal([]byte(key), &a); err != nil {
		return Attributes{}, fmt.Errorf("reading a person's record: %w", err)
	}
	return a, nil
}
