package handtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"sekisho/contain"
)

// File is a hand whose thing is a file: a list that a firewall of no particular
// make would read. It stands where a test needs a second hand that is quick,
// outlives the process, and can be tampered with.
type File struct {
	Called string
	Path   string
	Can    contain.Does
}

func (f *File) Name() string       { return f.Called }
func (f *File) Place() string      { return f.Path }
func (f *File) Does() contain.Does { return f.Can }

// Apply replaces the file: a crash leaves the old one or the new one.
func (f *File) Apply(ctx context.Context, d contain.Desired) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	text, err := json.Marshal(contain.Only(d, f.Can))
	if err != nil {
		return err
	}
	next, err := os.CreateTemp(filepath.Dir(f.Path), filepath.Base(f.Path)+".*")
	if err != nil {
		return fmt.Errorf("writing the list: %w", err)
	}
	_, err = next.Write(text)
	if err = errors.Join(err, next.Sync(), next.Close()); err == nil {
		err = os.Rename(next.Name(), f.Path)
	}
	if err != nil {
		os.Remove(next.Name())
		return fmt.Errorf("writing the list: %w", err)
	}
	return nil
}

func (f *File) Enforced(ctx context.Context) (o contain.Observed, err error) {
	if err := ctx.Err(); err != nil {
		return o, err
	}
	text, err := os.ReadFile(f.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return o, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &o)
	}
	if err != nil {
		return o, fmt.Errorf("reading the list back: %w", err)
	}
	return o, nil
}
