package act

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
)

// How the names of files of policies and of tables of tests end.
const (
	PolicyExt = ".cedar"
	TableExt  = ".tests"
)

//go:embed default
var defaults embed.FS

// DefaultNames are the roles, purposes and posts of which the shipped policies
// speak.
func DefaultNames() Names {
	return Names{
		Roles:    []string{"airport", "analyst", "application", "batch", "call_centre", "dba", "travel_consultant"},
		Purposes: []string{"booking", "mailing", "maintenance", "statement", "statistics", "support", "travel_document_check"},
		Posts:    []string{"contractor", "service"},
	}
}

// Default gives the policies that sekisho ships, for an airline or a travel
// agency, and the tables of their tests.
func Default() (policies, tables []File, err error) {
	err = fs.WalkDir(defaults, "default", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := defaults.ReadFile(name)
		if err != nil {
			return fmt.Errorf("reading a shipped policy: %w", err)
		}
		switch f := (File{Name: name, Text: text}); path.Ext(name) {
		case PolicyExt:
			policies = append(policies, f)
		case TableExt:
			tables = append(tables, f)
		}
		return nil
	})
	return policies, tables, err
}
