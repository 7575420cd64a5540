// Package sheet reads YAML strictly: the config file, and the tables that the
// house ships as data, such as rules of law and playbooks. Whoever edits one
// gets told of a slip by its line.
package sheet

import (
	"bytes"
	"errors"
	"reflect"
	"sort"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/token"
)

// Read decodes one YAML document into what into points to, a struct with yaml
// tags. A key that the struct does not know, or one that stands there twice, is
// an error that shows the line, and says what may stand there instead. What is
// missing stays as it was.
func Read(text []byte, into any) error {
	err := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict()).Decode(into)
	var slip yaml.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &slip) && slip.GetToken() != nil:
		return errors.New(yaml.FormatErrorWithToken(told(slip, into), slip.GetToken(), false, true))
	}
	return errors.New(yaml.FormatError(err, false, true))
}

// told is what is wrong in the words of whoever writes the file, who knows
// nothing of Go.
func told(slip yaml.Error, into any) string {
	var (
		kind   *yaml.TypeError
		large  *yaml.OverflowError
		node   *yaml.UnexpectedNodeTypeError
		nobody *yaml.UnknownFieldError
	)
	at := slip.GetToken()
	switch {
	case errors.As(slip, &kind):
		return keyOf(at) + "takes " + wanted(kind.DstType)
	case errors.As(slip, &large):
		return keyOf(at) + "takes " + wanted(large.DstType) + ", and " + large.SrcNum + " is out of its range"
	case errors.As(slip, &node):
		switch node.Expected.YAMLName() {
		case "sequence":
			return keyOf(at) + "takes " + aList
		case "mapping":
			return keyOf(at) + "takes " + someKeys
		}
	case errors.As(slip, &nobody):
		known := map[string]bool{}
		keys(reflect.TypeOf(into), known, map[reflect.Type]bool{})
		list := make([]string, 0, len(known))
		for k := range known {
			list = append(list, k)
		}
		sort.Strings(list)
		return nobody.Message + Nearest(at.Value, list)
	}
	return slip.GetMessage()
}

// keyOf names the key whose value begins at a token, if it stands on the line
// before it.
func keyOf(at *token.Token) string {
	if colon := at.Prev; colon != nil && colon.Type == token.MappingValueType && colon.Prev != nil {
		return colon.Prev.Value + " "
	}
	return "this "
}

const (
	aList    = "a list: [a, b], or a line with a dash for each"
	someKeys = "keys with values, each on a line of its own below it, indented"
)

// wanted says what may stand where a value of this type belongs.
func wanted(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer:
		return wanted(t.Elem())
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return "a whole number, such as 3"
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "a whole number that is not below 0, such as 3"
	case reflect.Float32, reflect.Float64:
		return "a number, such as 0.5"
	case reflect.String:
		return "one text, in quotes if it has brackets or a colon in it"
	case reflect.Slice, reflect.Array:
		return aList
	}
	return someKeys
}

// keys gathers every key that a type knows, at any depth: which part of the
// file a slip was in is not told, and the nearest is right nearly always.
func keys(t reflect.Type, known map[string]bool, seen map[reflect.Type]bool) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		keys(t.Elem(), known, seen)
	case reflect.Struct:
		if seen[t] {
			return
		}
		seen[t] = true
		for i := range t.NumField() {
			f := t.Field(i)
			if name, _, _ := strings.Cut(f.Tag.Get("yaml"), ","); name != "" && name != "-" {
				known[name] = true
			}
			keys(f.Type, known, seen)
		}
	}
}

// Nearest ends an error about a name that nobody knows with the one that was
// probably meant, if any is near: "; did you mean listen?".
func Nearest(name string, known []string) string {
	if best := Near(name, known); best != "" {
		return "; did you mean " + best + "?"
	}
	return ""
}

// Near is the known name that was probably meant by one that nobody knows: "" if
// none is near.
func Near(name string, known []string) string {
	best, distance := "", len(name)/2+1
	for _, k := range known {
		if d := edits(name, k); d < distance || d == distance && best != "" && k < best {
			best, distance = k, d
		}
	}
	return best
}

// edits is how many single letter changes apart two names are; a swap of two
// neighbours counts as two.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			diagonal, row[j] = row[j], min(row[j]+1, row[j-1]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
