// Package sheet reads YAML strictly: the config file, and the tables that the
// house ships as data, such as rules of law and playbooks. Whoever edits one
// gets told of a slip by its line.
package sheet

import (
	"bytes"
	"errors"

	"github.com/goccy/go-yaml"
)

// Read decodes one YAML document into what into points to, a struct with yaml
// tags. A key that the struct does not know, or one that stands there twice, is
// an error that shows the line. What is missing stays as it was.
func Read(text []byte, into any) error {
	err := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict()).Decode(into)
	if err != nil {
		return errors.New(yaml.FormatError(err, false, true))
	}
	return nil
}
