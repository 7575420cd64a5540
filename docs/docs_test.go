// Package docs_test keeps the documents true: what they list is compared with
// the code that they speak of.
package docs_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"sekisho"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"sekisho/contain"
	"sekisho/house"
)

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// The example is a config that sekisho takes.
func TestExampleIsAConfig(t *testing.T) {
	var c house.Config
	if err := yaml.NewDecoder(bytes.NewReader([]byte(read(t, "sekisho.yaml"))), yaml.Strict()).Decode(&c); err != nil {
		t.Fatal(yaml.FormatError(err, false, true))
	}
	if err := c.Catalog.Check(); err != nil {
		t.Error(err)
	}
	if err := c.Gate.Check(); err != nil {
		t.Error(err)
	}
	if _, err := sekisho.ParsePrefixes(append(c.Hostile, c.Sensors.Inside...)); err != nil {
		t.Error(err)
	}
}

// Every key of the config stands in config.md and in the example.
func TestEveryKeyIsExplained(t *testing.T) {
	manual, example := read(t, "config.md"), read(t, "sekisho.yaml")
	for _, key := range keys(reflect.TypeFor[house.Config](), "") {
		if !strings.Contains(manual, "`"+key+"`") {
			t.Errorf("config.md does not explain `%s`", key)
		}
		last := strings.TrimSuffix(key[strings.LastIndexByte(key, '.')+1:], "[]")
		if last != "NAME" && !regexp.MustCompile(`(?m)^[ #-]*`+regexp.QuoteMeta(last)+`:`).MatchString(example) {
			t.Errorf("sekisho.yaml has no %s", key)
		}
	}
}

// Every key of what runs beside sekisho stands in hands.md.
func TestEveryKeyOfHandsIsExplained(t *testing.T) {
	page := read(t, "hands.md")
	for _, of := range []reflect.Type{reflect.TypeFor[contain.AgentConfig](), reflect.TypeFor[contain.FetchConfig](), reflect.TypeFor[contain.ProbeConfig]()} {
		for _, key := range keys(of, "") {
			if !strings.Contains(page, "`"+key+"`") && !strings.HasPrefix(key, "router.") {
				t.Errorf("hands.md does not explain `%s` of %s", key, of.Name())
			}
		}
	}
}

// keys lists the leaves of a config as gate.roles.NAME.mode and
// gate.principals[].name.
func keys(of reflect.Type, path string) (list []string) {
	switch {
	case of.Kind() == reflect.Map:
		return keys(of.Elem(), path+".NAME")
	case of.Kind() == reflect.Slice:
		return keys(of.Elem(), path+"[]")
	case of.Kind() != reflect.Struct || of.PkgPath() == "time" || of.PkgPath() == "net/netip":
		return []string{path}
	}
	for i := range of.NumField() {
		f := of.Field(i)
		name, option, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if name == "-" || !f.IsExported() {
			continue // not of the file
		}
		at := path
		if option != "inline" {
			at = strings.TrimPrefix(path+"."+name, ".")
		}
		list = append(list, keys(f.Type, at)...)
	}
	return list
}

// found gives what a pattern's first group matches in a file of the code.
func found(t *testing.T, file, from, pattern string) (list []string) {
	t.Helper()
	_, text, ok := strings.Cut(read(t, file), from)
	if !ok {
		t.Fatalf("%s has no %q any more", file, from)
	}
	text, _, _ = strings.Cut(text, "\n}")
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		list = append(list, m[1])
	}
	if len(list) == 0 {
		t.Fatalf("%s: nothing found behind %q", file, from)
	}
	return list
}

// gate.md lists every setting that a client may state at start-up, and every
// reason for which the catalog refuses a statement.
func TestGatePageIsComplete(t *testing.T) {
	page := read(t, "gate.md")
	for _, s := range found(t, "../gate/startup.go", "var startupSettings", `"([a-z_.]+)": true`) {
		if !strings.Contains(page, "`"+s+"`") {
			t.Errorf("gate.md does not list the setting %s", s)
		}
	}
	for _, r := range found(t, "../catalog/refusals.go", "var refusals", `(?m)^\t"([a-z_]+)":`) {
		if !strings.Contains(page, "`"+r+"`") {
			t.Errorf("gate.md does not list the reason %s", r)
		}
	}
}

// ARCHITECTURE.md lists every kind of entry by its number and name, and every
// package by its floor.
func TestArchitectureIsComplete(t *testing.T) {
	page := read(t, "../ARCHITECTURE.md")
	_, kinds, _ := strings.Cut(read(t, "../entry.go"), "// The kinds.")
	for _, m := range regexp.MustCompile(`Kind(\w+)\s+Kind = (\d+)`).FindAllStringSubmatch(kinds, -1) {
		if row := fmt.Sprintf("| %s | %s |", m[2], m[1]); !strings.Contains(page, row) {
			t.Errorf("ARCHITECTURE.md has no row %q", row)
		}
	}
	_, table, _ := strings.Cut(read(t, "../floors_test.go"), "var floors")
	table, _, _ = strings.Cut(table, "\n}")
	stand := regexp.MustCompile(`"([\w/-]+)":\s*(\d)`).FindAllStringSubmatch(table, -1)
	if len(stand) < 20 {
		t.Fatalf("floors_test.go has floors for %d packages only", len(stand))
	}
	for _, m := range stand {
		if _, err := os.Stat("../" + m[1]); err != nil {
			continue // does not exist yet
		}
		if row := fmt.Sprintf("\n| %s | `%s` |", m[2], m[1]); !strings.Contains(page, row) {
			t.Errorf("ARCHITECTURE.md's table of floors has no row %q", row[1:])
		}
	}
}

// console.md lists every page of the console.
func TestEveryPageIsListed(t *testing.T) {
	page := read(t, "console.md")
	for _, first := range found(t, "../console/console.go", "var routes", `"(?:GET|POST) (/\w+)`) {
		switch first {
		case "/signin", "/signout", "/language": // told in words
			continue
		}
		if !regexp.MustCompile("`(POST )?" + first + "\\b").MatchString(page) {
			t.Errorf("console.md does not list the page %s", first)
		}
	}
}

// anchors are what a link can lead to within a page, as forges make them of
// its headings.
func anchors(text string) map[string]bool {
	list := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
		list[strings.ReplaceAll(regexp.MustCompile(`[^\w\- ]`).ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-")] = true
	}
	return list
}

// A link to a file of this repository, or to a heading in it, leads somewhere.
func TestLinksLeadSomewhere(t *testing.T) {
	pages, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range append(pages, "../README.md", "../ARCHITECTURE.md", "../CONTRIBUTING.md", "../SECURITY.md") {
		for _, m := range regexp.MustCompile(`\]\(([^)#:]*)(?:#([^)]+))?\)`).FindAllStringSubmatch(read(t, page), -1) {
			to := page
			if m[1] != "" {
				to = filepath.Join(filepath.Dir(page), m[1])
			}
			if _, err := os.Stat(to); err != nil && filepath.Ext(m[1]) != ".png" {
				t.Errorf("%s: %v", page, err)
			} else if m[2] != "" && !anchors(read(t, to))[m[2]] {
				t.Errorf("%s: %s has no heading #%s", page, to, m[2])
			}
		}
	}
}
