package vault_test

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"sekisho/vault"
)

func TestKeyFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "key")
	made, err := vault.LoadOrMakeKey(name)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(name)
	if err != nil || string(text) != hex.EncodeToString(made[:])+"\n" {
		t.Errorf("the file holds %d bytes: %v", len(text), err)
	}
	if info, _ := os.Stat(name); info.Mode() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	if again, err := vault.LoadOrMakeKey(name); again != made || err != nil {
		t.Errorf("another key the second time: %v", err)
	}
	if rest, _ := filepath.Glob(filepath.Join(filepath.Dir(name), "*")); len(rest) != 1 {
		t.Errorf("left behind: %v", rest)
	}
}

// Processes that start together get the same key.
func TestKeyFileMadeAtOnce(t *testing.T) {
	name := filepath.Join(t.TempDir(), "key")
	var keys [8][32]byte
	var wg sync.WaitGroup
	for i := range keys {
		wg.Go(func() {
			var err error
			if keys[i], err = vault.LoadOrMakeKey(name); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, k := range keys {
		if k != keys[0] {
			t.Fatal("two keys")
		}
	}
}

func TestKeyFileRefused(t *testing.T) {
	digits := strings.Repeat("5f", 32)
	for name, test := range map[string]struct {
		text string
		mode os.FileMode
		want string
	}{
		"readable by the group": {digits, 0o640, "chmod 600"},
		"readable by the world": {digits, 0o604, "chmod 600"},
		"empty":                 {"", 0o600, "64 hexadecimal digits"},
		"short":                 {digits[:62], 0o600, "64 hexadecimal digits"},
		"long":                  {digits + "5f", 0o600, "64 hexadecimal digits"},
		"very long":             {strings.Repeat(digits, 100), 0o600, "64 hexadecimal digits"},
		"no digits":             {strings.Repeat("zz", 32), 0o600, "64 hexadecimal digits"},
		"zeros":                 {strings.Repeat("00", 32), 0o600, "zeros"},
	} {
		path := filepath.Join(t.TempDir(), "key")
		if err := os.WriteFile(path, []byte(test.text), test.mode); err != nil {
			t.Fatal(err)
		}
		key, err := vault.LoadOrMakeKey(path)
		if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
		if key != [32]byte{} || err != nil && strings.Contains(err.Error(), "5f5f") {
			t.Errorf("%s: the key is given away", name)
		}
		if after, _ := os.ReadFile(path); string(after) != test.text {
			t.Errorf("%s: the file was changed", name)
		}
	}
	if _, err := vault.LoadOrMakeKey(t.TempDir()); err == nil {
		t.Error("a directory is no key")
	}
	if _, err := vault.LoadOrMakeKey(filepath.Join(t.TempDir(), "none", "key")); err == nil {
		t.Error("made a key in a directory that is not there")
	}
}
