package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestHouses runs the scripts of testdata/houses: several houses in front of the
// demo's store, each a process that a script starts and ends. A house NAME has the
// demo's config, and what the script's NAME/leases.yaml puts over it; its gate is at
// the connection string in $NAME. $DOOR is an address of its own, on $HOST.
func TestHouses(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/houses",
		Setup: func(e *testscript.Env) error {
			scriptEnv(e)
			door := doorOfItsOwn(t)
			host, _, _ := net.SplitHostPort(door)
			e.Setenv("DOOR", door)
			e.Setenv("HOST", host)
			for dir := e.WorkDir; len(dir) > len(os.TempDir()); dir = filepath.Dir(dir) {
				os.Chmod(dir, 0o711) // the server may run as another user
			}
			d, cluster := store(t, e.WorkDir)
			login, err := d.config(cluster)
			if err != nil {
				return err
			}
			e.Setenv("PGPASSFILE", login.passfile)
			b, err := os.ReadFile(filepath.Join(e.WorkDir, "sekisho.yaml"))
			if err != nil {
				return err
			}
			text := regexp.MustCompile(`(?m)^ *ask_above: .*\n|^budgets:\n(  .*\n)+|^  policy:\n(    .*\n)+|^console:\n(  .*\n)+`).ReplaceAllString(string(b), "")
			if err := os.Remove(filepath.Join(e.WorkDir, "sekisho.yaml")); err != nil {
				return err
			}
			houses, err := filepath.Glob(filepath.Join(e.WorkDir, "*", "leases.yaml"))
			if err != nil {
				return err
			}
			for _, file := range houses {
				dir := filepath.Dir(file)
				own, err := os.ReadFile(file)
				if err != nil {
					return err
				}
				for _, name := range []string{"postgres", "certificates"} {
					if err := os.Symlink(filepath.Join(e.WorkDir, name), filepath.Join(dir, name)); err != nil {
						return err
					}
				}
				gate := doorOfItsOwn(t)
				config := regexp.MustCompile(`listen: 127.0.0.1:\d+`).ReplaceAllString(text, "listen: "+gate)
				more := os.Expand(string(own), e.Getenv)
				if number := regexp.MustCompile(`(?m)^number: .*\n`); number.MatchString(more) {
					config = number.ReplaceAllString(config, number.FindString(more))
					more = number.ReplaceAllString(more, "")
				}
				if err := os.WriteFile(filepath.Join(dir, "sekisho.yaml"), []byte(config+"\n"+more), 0o600); err != nil {
					return err
				}
				// The gate's certificate is for 127.0.0.1.
				e.Setenv(strings.ToUpper(filepath.Base(dir)), strings.Replace(login.dsn(gate), "verify-full", "verify-ca", 1))
			}
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){"until": until},
	})
}

// until runs a command until its output has what is expected, for a minute.
func until(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) > 1 && args[1] == "exec" {
		args = append(args[:1:1], args[2:]...)
	}
	if neg || len(args) < 2 {
		ts.Fatalf("usage: until REGEXP command [args...]")
	}
	want, err := regexp.Compile(`(?m)` + args[0])
	ts.Check(err)
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		_ = ts.Exec(args[1], args[2:]...) // whether it succeeds is not asked, only what it prints
		if want.MatchString(ts.ReadFile("stdout")) {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("%v: no %q in\n%s", fmt.Sprint(args[1:]), args[0], ts.ReadFile("stdout")+ts.ReadFile("stderr"))
		}
	}
}
