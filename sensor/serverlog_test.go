package sensor

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

const (
	jsonLine = `{"timestamp":"2026-01-02 03:04:05.678 UTC","user":"glass","dbname":"crm","pid":7,"remote_host":"10.1.2.3","remote_port":4711,"session_id":"69571f25.7","line_num":3,"ps":"SELECT","error_severity":"LOG","message":%q,"backend_type":"client backend"}` + "\n"
	csvLine  = `2026-01-02 03:04:05.678 UTC,"glass","crm",7,"10.1.2.3:4711",69571f25.7,3,"SELECT",2026-01-02 03:00:00 UTC,4/2,0,LOG,00000,"%s",,,,,,,,,"psql","client backend",,0` + "\n"
)

// told is what a log says of the login.
func told(t *testing.T, log string) string {
	t.Helper()
	var out []string
	read, err := ReadServerLog(strings.NewReader(log), "glass", func(l Logged) error {
		out = append(out, fmt.Sprintf("%s/%d %v %q", l.Session, l.Line, l.From, l.Text))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s; %d lines, %d own, %d rejected", strings.Join(out, " "), read.Lines, read.Own, read.Rejected)
}

func TestReadServerLog(t *testing.T) {
	json := func(message string) string { return fmt.Sprintf(jsonLine, message) }
	csv := func(message string) string {
		return fmt.Sprintf(csvLine, strings.ReplaceAll(message, `"`, `""`))
	}
	for name, c := range map[string]struct{ message, want string }{
		"a statement":                  {"statement: select 1", `69571f25.7/3 10.1.2.3 "select 1"; 1 lines, 1 own, 0 rejected`},
		"of several lines":             {"statement: select '\n{\"a\"}\n' -- x", `69571f25.7/3 10.1.2.3 "select '\n{\"a\"}\n' -- x"; 1 lines, 1 own, 0 rejected`},
		"with its duration":            {"duration: 0.12 ms  statement: select 1", `69571f25.7/3 10.1.2.3 "select 1"; 1 lines, 1 own, 0 rejected`},
		"executed":                     {"execute <unnamed>: select $1", `69571f25.7/3 10.1.2.3 "select $1"; 1 lines, 1 own, 0 rejected`},
		"a name that hides a text":     {"execute x: select 1 --: select 2", `69571f25.7/3 10.1.2.3 ""; 1 lines, 1 own, 0 rejected`},
		"no name that hides one":       {"execute <unnamed>: select 1 --: select 2", `69571f25.7/3 10.1.2.3 ""; 1 lines, 1 own, 0 rejected`},
		"a function call without text": {"fastpath function call: \"lo_open\" (OID 952)", `69571f25.7/3 10.1.2.3 ""; 1 lines, 1 own, 0 rejected`},
		"nothing that ran":             {"disconnection: session time: 0:00:01", `; 1 lines, 1 own, 0 rejected`},
	} {
		if got := told(t, json(c.message)); got != c.want {
			t.Errorf("%s, json: %s", name, got)
		}
		if got := told(t, csv(c.message)); got != c.want {
			t.Errorf("%s, csv: %s", name, got)
		}
	}
	other := strings.ReplaceAll(json("statement: select 1"), "glass", "sato")
	if got := told(t, other+json("statement: select 2")); got != `69571f25.7/3 10.1.2.3 "select 2"; 2 lines, 1 own, 0 rejected` {
		t.Errorf("another's: %s", got)
	}
	for name, torn := range map[string]string{"json": `{"timestamp":"2026`, "csv": `2026-01-02 03:04:05.678 UTC,"gla`, "a line of no form": "LOG: statement: select 1\n", "too long": strings.Repeat("x", maxLogLine+10) + "\n"} {
		if got := told(t, json("statement: select 1")+torn); !strings.HasSuffix(got, "2 lines, 1 own, 1 rejected") {
			t.Errorf("torn, %s: %s", name, got)
		}
	}
}

func FuzzReadServerLog(f *testing.F) {
	f.Add([]byte(fmt.Sprintf(jsonLine, "statement: select 1")))
	f.Add([]byte(fmt.Sprintf(csvLine, "execute x/y: select \"\"1\"\"\n")))
	f.Add([]byte(`{"` + "\n" + `",",`))
	f.Fuzz(func(t *testing.T, b []byte) {
		told := uint64(0)
		read, err := ReadServerLog(bytes.NewReader(b), "glass", func(Logged) error { told++; return nil })
		if err != nil {
			t.Fatal(err)
		}
		if told > read.Own || read.Own+read.Rejected > read.Lines || read.Lines > uint64(bytes.Count(b, []byte("\n"))+1) {
			t.Errorf("%d told, %+v", told, read)
		}
	})
}
