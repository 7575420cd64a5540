package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestExercise: a case runs as an exercise, says that it is one, and leaves its
// evidence.
func TestExercise(t *testing.T) {
	dir := t.TempDir()
	os.Chmod(dir, 0o711)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	os.Symlink(self, filepath.Join(dir, "sekisho")) // the test program is the command when it is called by its name
	r := &running{t: t, dir: dir}
	said, err := r.sekisho("drill", "ana-2014", "--live", "--speed", "1000000", "--wait", "1h", "--members", "2000", "--listen", "127.0.0.1:0", "--lang", "en", "--dir", dir)
	if err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	for _, want := range []string{"EXERCISE ana-2014. None of this happened", "[DRILL] 2014-03-09 09:00", "A member calls", "Score: 0 of 5", "did not happen"} {
		if !strings.Contains(said, want) {
			t.Errorf("it does not say %q:\n%s", want, said)
		}
	}
	if reports, _ := filepath.Glob(filepath.Join(dir, "live-ana-2014-*", "exercise-ana-2014.json")); len(reports) != 1 {
		t.Errorf("reports: %v", reports)
	}
	for _, c := range []struct{ args, want string }{
		{"ana-2014", "add --live"}, {"nothing-2014", "there is no drill"}, {"nothing-2014 --live", "there is no case"}, {"jtb-2016 --live --speed 0", "--speed is above 0"},
	} {
		if said, err := r.sekisho(append([]string{"drill", "--dir", dir}, strings.Fields(c.args)...)...); err == nil || !strings.Contains(said, c.want) {
			t.Errorf("%s: %v: %s", c.args, err, said)
		}
	}
}
