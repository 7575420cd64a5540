// Package seal keeps a database credential so that any two of some people open
// it together, and nobody alone: without sekisho, without its ledger or vault.
//
// For each ordered pair of people the credential is encrypted with age for the
// second, and that again for the first. Whoever is first takes the outer layer
// off on a machine of their own, and hands the rest to the second: the two keys
// never have to meet. There is no cryptography of our own here.
package seal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"filippo.io/age"
)

// Credential is what is sealed.
type Credential struct {
	Login    string    `json:"login"`
	Host     string    `json:"host"`
	Port     uint16    `json:"port"`
	Database string    `json:"database"`
	SSLMode  string    `json:"sslmode,omitempty"`
	Sealed   time.Time `json:"sealed"`
	Until    time.Time `json:"until"` // when the database stops taking the password
	Password string    `json:"password,omitempty"`
}

// same: all but the password.
func (c Credential) same(d Credential) bool {
	c.Password, d.Password = "", ""
	return c.Sealed.Equal(d.Sealed) && c.Until.Equal(d.Until) && func() bool {
		c.Sealed, c.Until, d.Sealed, d.Until = time.Time{}, time.Time{}, time.Time{}, time.Time{}
		return c == d
	}()
}

// A Person can open it with somebody else.
type Person struct {
	Name      string
	Recipient string // age1…, as `sekisho breakglass key` or age-keygen prints it
}

// An Envelope is a sealed credential. What stands outside, so that one can see
// what it is without opening it, is sealed too and compared when it is opened.
type Envelope struct {
	Format  string     `json:"format"`
	Outside Credential `json:"credential"` // without the password
	People  []string   `json:"people"`
	Boxes   []Box      `json:"boxes"`
}

// A Box is for one ordered pair.
type Box struct {
	First  string `json:"first,omitempty"` // empty once the outer layer is off
	Second string `json:"second"`
	Sealed []byte `json:"sealed"`
}

const (
	format = "sekisho-breakglass-1"
	half   = "sekisho-breakglass-1-half"

	// MostPeople is how many can be among whom two open it.
	MostPeople = 12
	// MaxFile is the most bytes that are read of a file.
	MaxFile  = 1 << 20
	maxInner = 8 << 10
)

// Seal encrypts a credential for any two of the people. All of them have names
// and keys of their own.
func Seal(c Credential, people []Person) ([]byte, error) {
	if len(people) < 2 || len(people) > MostPeople {
		return nil, fmt.Errorf("sealing a credential: it takes 2 to %d people, of whom any two open it", MostPeople)
	}
	recipients := make([]age.Recipient, len(people))
	e := Envelope{Format: format, Outside: c}
	e.Outside.Password = ""
	for i, p := range people {
		if p.Name == "" || strings.ContainsFunc(p.Name, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return nil, fmt.Errorf("sealing a credential: the name of number %d is none", i+1)
		}
		all, err := age.ParseRecipients(strings.NewReader(p.Recipient))
		if err != nil || len(all) != 1 {
			return nil, fmt.Errorf("sealing a credential: the key of %s is not one that age reads (age1…)", p.Name)
		}
		recipients[i] = all[0]
		for j, q := range people[:i] {
			// The key as it was read: a text may have a comment beside it.
			if strings.EqualFold(strings.TrimSpace(q.Name), strings.TrimSpace(p.Name)) || fmt.Sprint(recipients[j]) == fmt.Sprint(recipients[i]) {
				return nil, fmt.Errorf("sealing a credential: %s and %s are the same person, who could open it alone", q.Name, p.Name)
			}
		}
		e.People = append(e.People, p.Name)
	}
	inside, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("sealing a credential: %w", err)
	}
	if len(inside) > maxInner {
		return nil, fmt.Errorf("sealing a credential: it has %d bytes, at most %d can be sealed", len(inside), maxInner)
	}
	for i, first := range people {
		for j, second := range people {
			if i == j {
				continue
			}
			inner, err := encrypt(inside, recipients[j])
			if err != nil {
				return nil, fmt.Errorf("sealing a credential for %s: %w", second.Name, err)
			}
			outer, err := encrypt(inner, recipients[i])
			if err != nil {
				return nil, fmt.Errorf("sealing a credential for %s: %w", first.Name, err)
			}
			e.Boxes = append(e.Boxes, Box{first.Name, second.Name, outer})
		}
	}
	return e.text(), nil
}

func (e *Envelope) text() []byte {
	b, err := json.MarshalIndent(e, "", " ")
	if err != nil {
		panic(err) // strings, numbers, times and bytes only
	}
	return append(b, '\n')
}

func encrypt(b []byte, to age.Recipient) ([]byte, error) {
	var out bytes.Buffer
	w, err := age.Encrypt(&out, to)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(b); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil { // writes the last piece
		return nil, err
	}
	return out.Bytes(), nil
}

// ErrNotFor: the key opens none of the boxes.
var ErrNotFor = errors.New("this key opens nothing here")

func decrypt(b []byte, key *Key) ([]byte, error) {
	r, err := age.Decrypt(bytes.NewReader(b), key.identity)
	var none *age.NoIdentityMatchError
	if errors.As(err, &none) {
		return nil, ErrNotFor
	}
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(r, maxInner*4))
}

// Read reads an envelope, or one whose outer layer is off. Nothing in it is
// proven until it is opened.
func Read(b []byte) (*Envelope, error) {
	if len(b) > MaxFile {
		return nil, fmt.Errorf("reading a sealed credential: %d bytes, at most %d are read", len(b), MaxFile)
	}
	e := &Envelope{}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(e); err != nil {
		return nil, fmt.Errorf("reading a sealed credential: %w", err)
	}
	if d.More() || e.Format != format && e.Format != half || len(e.Boxes) == 0 || len(e.Boxes) > MostPeople*MostPeople {
		return nil, errors.New("reading a sealed credential: this is none, or a later sekisho has made it")
	}
	return e, nil
}

// Halved says that somebody has taken the outer layer off.
func (e *Envelope) Halved() bool { return e.Format == half }

// Half takes the outer layer off. What is left opens for any one of the others.
func (e *Envelope) Half(first *Key) ([]byte, error) {
	if e.Halved() {
		return nil, errors.New("opening a sealed credential: its outer layer is off already: the other person opens it")
	}
	h := Envelope{Format: half, Outside: e.Outside, People: e.People}
	for _, box := range e.Boxes {
		inner, err := decrypt(box.Sealed, first)
		if errors.Is(err, ErrNotFor) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("opening the box of %s and %s: %w", box.First, box.Second, err)
		}
		h.Boxes = append(h.Boxes, Box{Second: box.Second, Sealed: inner})
	}
	if len(h.Boxes) == 0 {
		return nil, fmt.Errorf("opening a sealed credential: %w: it is for two of %s", ErrNotFor, strings.Join(e.People, ", "))
	}
	return h.text(), nil
}

// Open opens what Half has left, and proves what stands outside.
func (e *Envelope) Open(second *Key) (Credential, error) {
	if !e.Halved() {
		return Credential{}, errors.New("opening a sealed credential: it takes two people: first one of them takes the outer layer off")
	}
	for _, box := range e.Boxes {
		inside, err := decrypt(box.Sealed, second)
		if errors.Is(err, ErrNotFor) {
			continue
		}
		if err != nil {
			return Credential{}, fmt.Errorf("opening the box of %s: %w", box.Second, err)
		}
		var c Credential
		if err := json.Unmarshal(inside, &c); err != nil {
			return Credential{}, fmt.Errorf("opening the box of %s: %w", box.Second, err)
		}
		if !c.same(e.Outside) {
			return Credential{}, errors.New("opening a sealed credential: what stands outside is not what was sealed: somebody has changed the file")
		}
		return c, nil
	}
	return Credential{}, fmt.Errorf("opening a sealed credential: %w: the second is another one of %s than the first", ErrNotFor, strings.Join(e.People, ", "))
}
