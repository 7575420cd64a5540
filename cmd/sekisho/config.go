package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/goccy/go-yaml"

	"sekisho/catalog"
	"sekisho/house"
)

// readConfig reads the one config file, strictly: a key that nobody knows, or
// one that stands there twice, is an error that shows its line. base is the
// directory that paths in it count from.
func readConfig(path string) (c house.Config, base string, err error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return c, "", fmt.Errorf("there is no config %s: name one with --config; docs/sekisho.yaml is an example with every setting explained", path)
	}
	if err != nil {
		return c, "", fmt.Errorf("reading the config: %w", err)
	}
	if err := unmarshal(b, &c); err != nil {
		return c, "", fmt.Errorf("config %s: %w", path, err)
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return c, "", err
	}
	return c, filepath.Dir(abs), nil
}

func unmarshal(b []byte, into any) error {
	err := yaml.NewDecoder(bytes.NewReader(b), yaml.Strict()).Decode(into)
	if err != nil {
		return errors.New(yaml.FormatError(err, false, true))
	}
	return nil
}

func unmarshalCatalog(text string) (catalog.Config, error) {
	var c catalog.Config
	err := unmarshal([]byte(text), &c)
	return c, err
}
