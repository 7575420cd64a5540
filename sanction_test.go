package sekisho_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"strings"
	"testing"
	"testing/fstest"
)

// A click in a drill by mail can never feed an evaluation or a sanction. What
// people did with lures is folded in tell, above the floor on which duties,
// evaluations and sanctions are kept, which therefore cannot import it. What
// stands above both, the pages and commands about evaluations and sanctions, may
// not speak of it either; and of the entries the book of duties reads nothing
// but that somebody reported.
func TestAClickFeedsNoSanction(t *testing.T) {
	if floors["duty"] >= floors["tell"] {
		t.Error("duty could import tell, where clicks are")
	}
	for _, broken := range clicksIn(t, os.DirFS(".")) {
		t.Error(broken)
	}
	made := fstest.MapFS{
		"duty/evaluation.go":    {Data: []byte("package duty\nvar _ sekisho.LureSeen\n")},
		"console/sanction.go":   {Data: []byte("package console\nfunc f(c *Console) { c.cfg.Lures.Own(1) }\n")},
		"house/evaluation_x.go": {Data: []byte("package house\ntype a struct{ p tell.Part }\n")},
		"console/phishing.go":   {Data: []byte("package console\nfunc g(c *Console) { c.cfg.Lures.Own(1) }\n")},
	}
	if found := clicksIn(t, made); len(found) != 4 {
		t.Errorf("of three files that break it in four ways, and one that does not, are found: %v", found)
	}
}

// clicks are the words by which code gets at what people did with lures.
var clicks = map[string]bool{"LureSeen": true, "LureNamed": true, "LureBook": true, "LuresSeen": true, "Lures": true, "Own": true, "Named": true, "Part": true, "Deed": true,
	"KindLureSeen": true, "PhishingPerson": true, "PhishingCampaignPage": true}

func clicksIn(t *testing.T, house fs.FS) (broken []string) {
	t.Helper()
	err := fs.WalkDir(house, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() {
			if name != "." && strings.HasPrefix(e.Name(), ".") {
				return fs.SkipDir
			}
			return nil
		}
		base := path.Base(name)
		about := strings.HasPrefix(base, "evaluation") || strings.HasPrefix(base, "sanction")
		inDuty := path.Dir(name) == "duty" && base != "phishing_credit.go"
		if !strings.HasSuffix(base, ".go") || strings.HasSuffix(base, "_test.go") || !about && !inDuty {
			return nil
		}
		text, err := fs.ReadFile(house, name)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, text, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		said := map[string]bool{}
		ast.Inspect(f, func(n ast.Node) bool {
			id, ok := n.(*ast.Ident)
			if ok && clicks[id.Name] && (about || strings.Contains(id.Name, "Lure") && id.Name != "Lures") && !said[id.Name] {
				said[id.Name] = true
				broken = append(broken, name+" speaks of "+id.Name+": what somebody did in a drill by mail is no ground for an evaluation or a sanction")
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
