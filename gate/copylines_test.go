package gate

import (
	"bytes"
	"errors"
	"slices"
	"testing"
)

func readLines(l copyLines, data string, piece int) (keys []string, err error) {
	each := func(field []byte, null bool) error {
		if null {
			keys = append(keys, "NULL")
		} else {
			keys = append(keys, string(field))
		}
		return nil
	}
	b := []byte(data)
	for len(b) > 0 && err == nil {
		n := min(piece, len(b))
		err = l.read(b[:n], each)
		b = b[n:]
	}
	if err == nil {
		err = l.end(each)
	}
	return keys, err
}

func TestKeysOfCopiedLines(t *testing.T) {
	text := copyLines{key: 1}
	csv := copyLines{csv: true, key: 1}
	header := copyLines{csv: true, skip: true, key: 0}
	for _, c := range []struct {
		of   copyLines
		data string
		keys []string
		fail bool
	}{
		{text, "a\t1\tx\nb\t2\ty\n", []string{"1", "2"}, false},
		{text, "a\t1\r\nb\t2\r\n", []string{"1", "2"}, false},
		{text, "a\t1\nb\t2", []string{"1", "2"}, false},
		{text, "a\\\tb\t1\n", []string{"1"}, false},
		{text, "a\\\nb\t1\n", []string{"1"}, false},
		{text, "a\t\\N\n", []string{"NULL"}, false},
		{text, "a\tx\\ty\\\\\n", []string{"x\ty\\"}, false},
		{text, "a\t\\061\n", nil, true},
		{text, "a\t1\rb\t2\r", nil, true},
		{text, "a\t1\n\\.\n", []string{"1"}, false},
		{text, "a\t1\n\\.\nb\t2\n", []string{"1"}, true},
		{text, "a\t1\\.\n", nil, true},
		{text, "a\t1\n\\.", []string{"1"}, true},
		{text, "a\n", nil, false}, // the server refuses it
		{text, "", nil, false},
		{csv, "a,1,x\n\"b,b\",2\n", []string{"1", "2"}, false},
		{csv, "\"a\nb\",\"1\"\n", []string{"1"}, false},
		{csv, "\"a\"\"b\",\"x\"\"y\"\n", []string{`x"y`}, false},
		{csv, "a,x\"1,2\"y\n", []string{"x1,2y"}, false},
		{csv, "a,\n", []string{"NULL"}, false},
		{csv, "a,\"\"\n", []string{""}, false},
		{csv, "a,1\n\\.\n", []string{"1"}, false},
		{csv, "a,\"1\n", nil, true},
		{csv, "a,1\rb,2\n", nil, true},
		{header, "no,\"a\nname\"\n7,x\n", []string{"7"}, false},
	} {
		for _, piece := range []int{1, 3, 1000} {
			keys, err := readLines(c.of, c.data, piece)
			if (err != nil) != c.fail || !slices.Equal(keys, c.keys) {
				t.Errorf("%q in pieces of %d: %q, %v", c.data, piece, keys, err)
			}
		}
	}
}

// However the data is cut into messages, the keys are the same.
func FuzzCopiedLines(f *testing.F) {
	f.Add([]byte("a\t1\\\tx\r\n\\.\n"), false, 1, 2)
	f.Add([]byte("\"a\"\"\n\",1\n\\.x,2"), true, 1, 3)
	f.Fuzz(func(t *testing.T, data []byte, csv bool, key, piece int) {
		if piece < 1 || key < 0 {
			return
		}
		l := copyLines{csv: csv, key: key}
		a, errA := readLines(l, string(data), piece)
		b, errB := readLines(copyLines{csv: csv, key: key}, string(data), len(data)+1)
		if !slices.Equal(a, b) || errors.Is(errA, errLines) != errors.Is(errB, errLines) {
			t.Errorf("in pieces of %d: %q, %v; whole: %q, %v", piece, a, errA, b, errB)
		}
		if n := bytes.Count(data, []byte{'\n'}) + 1; len(b) > n {
			t.Errorf("%d keys in %d lines", len(b), n)
		}
	})
}
