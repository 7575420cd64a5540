package main

import (
	"errors"
	"os"
	"path/filepath"

	"sekisho/catalog"
	"sekisho/house"
	"sekisho/sheet"
)

// readConfig reads the one config file, strictly: a key that nobody knows, or
// one that stands there twice, is an error that shows its line. base is the
// directory that paths in it count from.
func readConfig(path string) (c house.Config, base string, err error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return c, "", both("there is no config %s: name one with --config; docs/sekisho.yaml is an example with every setting explained",
			"設定ファイル %s がない: --config で指定する（docs/sekisho.yaml に全項目の説明つきの例がある）", path)
	}
	if err != nil {
		return c, "", both("reading the config: %v", "設定ファイルを読めない: %v", err)
	}
	if err := sheet.Read(b, &c); err != nil {
		return c, "", both("config %s: %v", "設定ファイル %s: %v", path, err)
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return c, "", err
	}
	c.Gate.File = abs
	return c, filepath.Dir(abs), nil
}

func unmarshalCatalog(text string) (catalog.Config, error) {
	var c catalog.Config
	err := sheet.Read([]byte(text), &c)
	return c, err
}
