package main

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"sekisho/console"
)

// Whatever a command lacks, it says so in both languages, with an example that it
// takes itself.
func TestEveryCommandSaysWhatIsMissing(t *testing.T) {
	en, err := console.NewTeller("en", nil)
	if err != nil {
		t.Fatal(err)
	}
	lacks, words := 0, regexp.MustCompile(`"[^"]*"|\S+`)
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		for _, under := range c.Commands() {
			walk(under)
		}
		if c.HasSubCommands() {
			return
		}
		path := strings.Fields(c.CommandPath())[1:]
		if c.ValidateArgs(nil) != nil {
			missing := lacking(c, nil, errors.New("nothing was given"))
			lacks++
			for lang, says := range map[string][]string{"en": {"missing: ", "usage: ", "for example: "}, "ja": {"足りないもの: ", "使い方: ", "例: "}} {
				r := root()
				r.SetArgs(append(slices.Clone(path), "--lang", lang))
				err := r.Execute()
				for _, want := range append(says, missing...) {
					if err == nil || !strings.Contains(err.Error(), want) {
						t.Errorf("%v --lang %s does not say %q: %v", path, lang, want, err)
					}
				}
				if exitCode(err) != 2 {
					t.Errorf("%v ends with %d", path, exitCode(err))
				}
			}
		}
		text := example(c, en)
		if text == "" {
			return
		}
		if strings.Contains(text, "?") {
			t.Errorf("%v: the example has a place that nothing fills: %s", path, text)
		}
		_, line, _ := strings.Cut(text, "sekisho ")
		args := words.FindAllString(line, -1)
		for i := range args {
			args[i] = strings.Trim(args[i], `"`)
		}
		ran, rest, err := root().Find(args)
		if err == nil {
			err = ran.ParseFlags(rest)
		}
		if err == nil {
			err = ran.ValidateArgs(ran.Flags().Args())
		}
		if err != nil || ran.CommandPath() != c.CommandPath() {
			t.Errorf("%v does not take its example: %s: %v", path, text, err)
		}
	}
	walk(root())
	if lacks < 60 {
		t.Errorf("only %d commands need anything", lacks)
	}
}

// What is mistyped is told in both languages, with what was probably meant.
func TestMistypedCommandsAndFlags(t *testing.T) {
	for _, one := range []struct{ line, en, ja string }{
		{"budgte", `there is no command "budgte" under "sekisho": is it budget?`, `"sekisho" の下にコマンド "budgte" はない（budget のことか）`},
		{"ca isue", `there is no command "isue" under "sekisho ca": is it issue?`, "issue のことか"},
		{"policy check --confg x", "there is no flag --confg: is it --config?", "オプション --confg はない（--config のことか）"},
		{"budget --top x", `the flag --top does not take "x": a whole number, such as 20`, "--top に \"x\" は使えない: 20 のような整数"},
		{"login sato --ttl 3x", "as in 12h or 30d", "12h や 30d のように書く"},
		{"budget --top", "the flag --top needs a value", "オプション --top には値が要る"},
		{"budget 3", "it takes no arguments but flags: 3", "引数はとらない（オプションのみ）: 3"},
		{"export show 3 4", "more than it takes: 4", "余分な引数: 4"},
		{"desk assign 3 --to a --incident 4", "do not go together", "同時に使えない"},
	} {
		for lang, want := range map[string]string{"en": one.en, "ja": one.ja} {
			t.Setenv("LC_ALL", lang+"_XX.UTF-8")
			r := root()
			r.SetArgs(strings.Fields(one.line))
			if err := r.Execute(); err == nil || exitCode(err) != 2 || !strings.Contains(err.Error(), want) {
				t.Errorf("%s in %s: %v, want %q", one.line, lang, err, want)
			}
		}
	}
}
