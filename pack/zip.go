package pack

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Zip writes the pack in dir as one zip file. Its times are none, so that the
// same pack gives the same bytes.
func Zip(dir string, to io.Writer) error {
	z := zip.NewWriter(to)
	house := os.DirFS(dir)
	err := fs.WalkDir(house, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate})
		if err != nil {
			return err
		}
		f, err := house.Open(name)
		if err != nil {
			return err
		}
		_, err = io.Copy(w, f)
		return errors.Join(err, f.Close())
	})
	if err = errors.Join(err, z.Close()); err != nil {
		return fmt.Errorf("writing a pack as a zip file: %w", err)
	}
	return nil
}

// Open opens a pack: a directory, or a zip file with one.
func Open(name string) (fs.FS, io.Closer, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, nil, fmt.Errorf("opening a pack: %w", err)
	}
	if info.IsDir() {
		root, err := os.OpenRoot(name) // no link leads out of it
		if err != nil {
			return nil, nil, fmt.Errorf("opening a pack: %w", err)
		}
		return root.FS(), root, nil
	}
	z, err := zip.OpenReader(name)
	if err != nil {
		return nil, nil, fmt.Errorf("opening a pack: %s is neither a directory nor a zip file: %w", name, err)
	}
	return z, z, nil
}

// Unzip writes the files of a zip file of a pack into dir, which is made and must
// be empty.
func Unzip(name, dir string) error {
	z, err := zip.OpenReader(name)
	if err != nil {
		return fmt.Errorf("opening a pack: %w", err)
	}
	defer z.Close()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("writing a pack: %w", err)
	}
	if there, err := os.ReadDir(dir); err != nil || len(there) > 0 {
		return errors.Join(err, fmt.Errorf("writing a pack: %s is not empty", dir))
	}
	for _, f := range z.File {
		if !fs.ValidPath(f.Name) || path.Clean(f.Name) != f.Name || strings.HasSuffix(f.Name, "/") {
			return fmt.Errorf("writing a pack: the file's name %q cannot be", f.Name)
		}
		if err := unzip(f, filepath.Join(dir, filepath.FromSlash(f.Name))); err != nil {
			return fmt.Errorf("writing a pack: %s: %w", f.Name, err)
		}
	}
	return nil
}

func unzip(f *zip.File, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	in, err := f.Open()
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
