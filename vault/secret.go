package vault

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// LoadOrMakeKey reads the vault's key from a file of 64 hexadecimal digits,
// and makes the file, with a key just drawn, if there is none; the key is on
// the disk when it returns. A file that others may read is refused.
func LoadOrMakeKey(path string) (key [32]byte, err error) {
	key, err = loadKey(path)
	if errors.Is(err, fs.ErrNotExist) {
		if key, err = makeKey(path); errors.Is(err, fs.ErrExist) {
			key, err = loadKey(path) // somebody else made it meanwhile
		}
	}
	if err != nil {
		return [32]byte{}, fmt.Errorf("the vault key: %w", err)
	}
	return key, nil
}

func loadKey(path string) (key [32]byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return key, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return key, err
	}
	if !info.Mode().IsRegular() {
		return key, fmt.Errorf("%s is not a file", path)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return key, fmt.Errorf("%s may be read by others (mode %#o): run chmod 600 on it, and consider who has read it", path, info.Mode().Perm())
	}
	text, err := io.ReadAll(io.LimitReader(f, 128))
	if err != nil {
		return key, err
	}
	text = bytes.TrimSuffix(text, []byte("\n"))
	if n, err := hex.Decode(key[:], text[:min(len(text), 64)]); len(text) != 64 || err != nil || n != 32 {
		return [32]byte{}, fmt.Errorf("%s does not hold 64 hexadecimal digits: put back the key that the vault was made with; only if there is no vault yet, remove the file to have a new one made", path)
	}
	if key == [32]byte{} {
		return key, fmt.Errorf("%s holds only zeros", path)
	}
	return key, nil
}

// makeKey links the finished file into place: a file of that name is whole
// from the first moment, and one that exists is never replaced.
func makeKey(path string) (key [32]byte, err error) {
	rand.Read(key[:])
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".key-*") // O_EXCL, mode 0600
	if err != nil {
		return key, err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(hex.EncodeToString(key[:]) + "\n")
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return key, err
	}
	if err := os.Link(f.Name(), path); err != nil {
		return key, err
	}
	d, err := os.Open(dir)
	if err != nil {
		return key, err
	}
	return key, errors.Join(d.Sync(), d.Close())
}
