package sekisho_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

// The house: a package imports only floors strictly below its own. The root
// package is ".".
var floors = map[string]int{
	".": 0, "stmt": 0, "disk": 0, "identity": 0, "porter": 0, "seal": 0, "sheet": 0,
	"ledger": 1, "vault": 1, "catalog": 1,
	"view": 2, "act": 2, "law": 2,
	"trace": 3, "watch": 3, "permit": 3, "intel": 3, "budget": 3, "directory": 3,
	"incident": 4, "duty": 4,
	"gate": 5, "sensor": 5, "contain": 5, "tell": 5, "demo": 5, "survey": 5, "lease": 5, "pack": 5,
	"console":     6,
	"house":       7,
	"drill":       8,
	"cmd/sekisho": 9, "cmd/sekisho-verify": 9,
}

// One outside library, one room: an import that starts so stands in this
// package only. The client of PostgreSQL is also the drill's, whose actors come
// to the gate as everybody does, and the survey's, which looks where no gate
// stands yet.
var only = map[string]string{
	"github.com/pganalyze/pg_query_go": "stmt",
	"github.com/jackc/pgx":             "gate or drill or survey",
	"github.com/nyaruka/phonenumbers":  "survey",
	"github.com/RoaringBitmap/roaring": "trace",
	"github.com/goccy/go-yaml":         "sheet",
	"gopkg.in/yaml":                    "sheet",
	"github.com/spf13/cobra":           "cmd/sekisho",
	"github.com/cedar-policy/cedar-go": "act",
	"github.com/go-ldap/ldap":          "sensor",
	"github.com/emersion/go-smtp":      "sensor or tell",
	"filippo.io/age":                   "seal",
	"github.com/yuin/goldmark":         "console",
	"github.com/richardlehane/mscfb":   "sensor",
	"html/template":                    "console",
	"text/template":                    "tell",
}

const (
	module  = "sekisho"
	testKit = "sekishotest" // with what stands under it: imported by tests only, and beside the floors
)

func inTestKit(pkg string) bool { return pkg == testKit || strings.HasPrefix(pkg, testKit+"/") }

// The building rules hold for every Go file that is not a test.
func TestFloors(t *testing.T) {
	for _, broken := range brokenRules(t, os.DirFS(".")) {
		t.Error(broken)
	}
}

// brokenRules gives one line for each rule that a file breaks. It reads the
// files itself, so that the test cache knows on what the answer rests.
func brokenRules(t *testing.T, house fs.FS) (broken []string) {
	t.Helper()
	wrong := func(format string, args ...any) { broken = append(broken, fmt.Sprintf(format, args...)) }
	homeless := map[string]bool{}
	err := fs.WalkDir(house, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() {
			if name != "." && (strings.HasPrefix(e.Name(), ".") || slices.Contains([]string{"testdata", "var", "bin"}, e.Name())) {
				return fs.SkipDir
			}
			return nil
		}
		pkg := path.Dir(name)
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") || inTestKit(pkg) {
			return nil
		}
		floor, ok := floors[pkg]
		if !ok {
			if !homeless[pkg] {
				wrong("package %s stands on no floor: give it one in floors_test.go, or its code a package that has one", pkg)
			}
			homeless[pkg] = true
			return nil
		}
		text, err := fs.ReadFile(house, name)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, text, 0)
		if err != nil {
			return err
		}
		for _, spec := range file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			checkImport(wrong, name, pkg, floor, imported)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				if n.Recv == nil && n.Name.Name == "init" {
					wrong("%s has an init(): do it where main wires the house", name)
				}
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && floor >= 2 && floor <= 4 && x.Name == "time" && n.Sel.Name == "Now" {
					wrong("%s uses time.Now on floor %d: an entry carries its time, a question takes it as an argument", name, floor)
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return broken
}

func checkImport(wrong func(string, ...any), name, pkg string, floor int, imported string) {
	for start, room := range only {
		if strings.HasPrefix(imported, start) && !slices.Contains(strings.Split(room, " or "), pkg) {
			wrong("%s imports %s, which belongs in %s only", name, imported, room)
		}
	}
	if imported != module && !strings.HasPrefix(imported, module+"/") {
		return
	}
	below := "."
	if imported != module {
		below = strings.TrimPrefix(imported, module+"/")
	}
	its, ok := floors[below]
	switch {
	case inTestKit(below):
		wrong("%s imports %s, which is for tests only", name, imported)
	case !ok:
		wrong("%s imports %s, which stands on no floor", name, imported)
	case its >= floor:
		wrong("%s on floor %d imports %s on floor %d: only floors strictly below", name, floor, imported, its)
	case pkg == "cmd/sekisho-verify" && below != ".":
		wrong("%s imports %s: an outsider verifies with the root package alone", name, imported)
	}
}

// Each rule, broken once.
func TestFloorsSeeEachBrokenRule(t *testing.T) {
	for _, c := range []struct{ file, text, want string }{
		{"gate/a.go", `package gate; import _ "sekisho/ledger"`, ""},
		{"vault/a.go", `package vault; import _ "sekisho/ledger"`, "vault/a.go on floor 1 imports sekisho/ledger on floor 1: only floors strictly below"},
		{"ledger/a.go", `package ledger; import _ "sekisho/gate"`, "ledger/a.go on floor 1 imports sekisho/gate on floor 5: only floors strictly below"},
		{"a.go", `package sekisho; import _ "sekisho/disk"`, "a.go on floor 0 imports sekisho/disk on floor 0: only floors strictly below"},
		{"util/a.go", `package util`, "package util stands on no floor: give it one in floors_test.go, or its code a package that has one"},
		{"gate/a.go", `package gate; import _ "html/template"`, "gate/a.go imports html/template, which belongs in console only"},
		{"demo/a.go", `package demo; import _ "github.com/jackc/pgx/v5/pgconn"`, "demo/a.go imports github.com/jackc/pgx/v5/pgconn, which belongs in gate or drill or survey only"},
		{"gate/a.go", `package gate; import _ "sekisho/sekishotest"`, "gate/a.go imports sekisho/sekishotest, which is for tests only"},
		{"watch/a.go", `package watch; import "time"; var t = time.Now`, "watch/a.go uses time.Now on floor 3: an entry carries its time, a question takes it as an argument"},
		{"gate/a.go", `package gate; func init() {}`, "gate/a.go has an init(): do it where main wires the house"},
		{"cmd/sekisho-verify/a.go", `package main; import _ "sekisho/ledger"`, "cmd/sekisho-verify/a.go imports sekisho/ledger: an outsider verifies with the root package alone"},
		{"gate/a_test.go", `package gate; import _ "html/template"`, ""},
	} {
		got := strings.Join(brokenRules(t, fstest.MapFS{c.file: {Data: []byte(c.text)}}), "; ")
		if got != c.want {
			t.Errorf("%s in %s:\n got %q\nwant %q", c.text, c.file, got, c.want)
		}
	}
}
