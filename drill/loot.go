package drill

import (
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/text/encoding/japanese"
)

// A stash is where one terminal's loot of one day waits, in files: volumes of
// packed CSV in Shift_JIS, as a spreadsheet in Japan writes it.
type stash struct {
	dir, name string
	rows      int // of a volume
	volumes   []volume
	open      volume
}

type volume struct {
	records [][]string
	packed  int64 // bytes; 0 until it is closed
}

func (s *stash) add(row [][]byte) error {
	rec := make([]string, len(loot))
	for i, c := range loot {
		rec[i] = string(row[c.column])
	}
	s.open.records = append(s.open.records, rec)
	if len(s.open.records) < s.rows {
		return nil
	}
	return s.close()
}

// close packs what waits, however little.
func (s *stash) close() error {
	if len(s.open.records) == 0 {
		return nil
	}
	text, err := table(s.open.records, false)
	if err != nil {
		return err
	}
	var packed bytes.Buffer
	z, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return err
	}
	if _, err := z.Write(text); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	path := filepath.Join(s.dir, fmt.Sprintf("%s.part%03d.gz", s.name, len(s.volumes)+1))
	if err := os.WriteFile(path, packed.Bytes(), 0o600); err != nil {
		return fmt.Errorf("staging: %w", err)
	}
	s.open.packed = int64(packed.Len())
	s.volumes = append(s.volumes, s.open)
	s.open = volume{}
	return nil
}

// table is records as CSV in Shift_JIS.
func table(records [][]string, heading bool) ([]byte, error) {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	w.UseCRLF = true
	if heading {
		h := make([]string, len(loot))
		for i, c := range loot {
			h[i] = c.heading
		}
		w.Write(h)
	}
	if err := w.WriteAll(records); err != nil {
		return nil, err
	}
	return japanese.ShiftJIS.NewEncoder().Bytes(b.Bytes())
}

// recovered writes the file that is found later: the records that were sent, as
// far as they go, some of them damaged. It gives the number of
// undamaged ones.
func recovered(path string, records [][]string, random *rand.Rand) (whole uint64, err error) {
	text, err := table(records, true)
	if err != nil {
		return 0, err
	}
	lines := bytes.SplitAfter(text, []byte("\r\n"))
	var out bytes.Buffer
	out.Write(lines[0])
	for _, line := range lines[1:] {
		if len(line) == 0 {
			continue
		}
		switch n := random.Float64(); {
		case n < damaged/2: // the line ends early
			line = slices.Concat(line[:4+random.IntN(len(line)-6)], []byte("\r\n"))
		case n < damaged: // some bytes were flipped, never line ends
			line = slices.Clone(line)
			for range 4 + random.IntN(20) {
				at := random.IntN(len(line) - 2)
				if b := line[at] ^ byte(1+random.IntN(127)); b != '\r' && b != '\n' && b != '"' {
					line[at] = b
				}
			}
		default:
			whole++
		}
		out.Write(line)
	}
	if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
		return 0, fmt.Errorf("writing the recovered file: %w", err)
	}
	return whole, nil
}
