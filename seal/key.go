package seal

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"
)

// A Key is one person's.
type Key struct{ identity age.Identity }

// workFactor is scrypt's: about a second, as the age command has it.
const workFactor = 18

// NewKey draws a key. The file holds it encrypted with the passphrase, in the
// form that the age command reads; recipient is what others seal with.
func NewKey(passphrase string) (file []byte, recipient string, err error) {
	return newKey(passphrase, workFactor)
}

func newKey(passphrase string, factor int) (file []byte, recipient string, err error) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return nil, "", fmt.Errorf("drawing a key: %w", err)
	}
	to, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return nil, "", fmt.Errorf("encrypting a key: %w", err)
	}
	to.SetWorkFactor(factor)
	if file, err = encrypt([]byte(id.String()+"\n"), to); err != nil {
		return nil, "", fmt.Errorf("encrypting a key: %w", err)
	}
	return file, id.Recipient().String(), nil
}

// ReadKey reads a person's key: an identity file of age, encrypted with a
// passphrase, which is asked for then, or not.
func ReadKey(file []byte, passphrase func() (string, error)) (*Key, error) {
	if len(file) > 64<<10 {
		return nil, errors.New("reading a key: the file is too large to be one")
	}
	if bytes.HasPrefix(file, []byte("age-encryption.org/")) {
		words, err := passphrase()
		if err != nil {
			return nil, fmt.Errorf("reading a key: %w", err)
		}
		id, err := age.NewScryptIdentity(words)
		if err != nil {
			return nil, fmt.Errorf("reading a key: %w", err)
		}
		id.SetMaxWorkFactor(22)
		r, err := age.Decrypt(bytes.NewReader(file), id)
		if err != nil {
			return nil, errors.New("reading a key: the passphrase is not this key's, or the file is damaged")
		}
		if file, err = io.ReadAll(io.LimitReader(r, 64<<10)); err != nil {
			return nil, fmt.Errorf("reading a key: %w", err)
		}
	}
	ids, err := age.ParseIdentities(bytes.NewReader(file))
	if err != nil || len(ids) != 1 {
		return nil, errors.New("reading a key: the file holds not one secret key of age (AGE-SECRET-KEY-…)") // the library's words may repeat a line
	}
	return &Key{ids[0]}, nil
}
