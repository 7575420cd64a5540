package console

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

// controlled is a client on a real unix socket, as the command has one.
func (h *house) controlled(peer string) func(method, path, kind, body string) (int, string) {
	h.t.Helper()
	path := filepath.Join(h.t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	must(h.t, err)
	server := httptest.NewUnstartedServer(h.console.Control())
	server.Listener = l
	server.Config.ConnContext = func(ctx context.Context, _ net.Conn) context.Context {
		if peer == "" {
			return ctx
		}
		return WithPeer(ctx, peer)
	}
	server.Start()
	h.t.Cleanup(server.Close)
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}}}
	h.t.Cleanup(client.CloseIdleConnections)
	return func(method, path, kind, body string) (int, string) {
		h.t.Helper()
		r, err := http.NewRequest(method, "http://sekisho"+path, strings.NewReader(body))
		must(h.t, err)
		r.Header.Set("Content-Type", kind)
		res, err := client.Do(r)
		must(h.t, err)
		defer res.Body.Close()
		raw, err := io.ReadAll(res.Body)
		must(h.t, err)
		return res.StatusCode, string(raw)
	}
}

const impact = `{"endpoints":["pc-0417"],"since":"2014-09-22","until":"2014-09-23","hostile":["203.0.113.66"]}`

func TestControlAnswersImpact(t *testing.T) {
	h := newHouse(t)
	h.roster(3000)
	h.breach()
	do := h.controlled("root")
	at := h.ledger.Last()
	status, body := do("POST", "/api/impact", "application/json", impact)
	var a struct {
		WorstCase int `json:"worst_case"`
		Suspected int `json:"suspected"`
		Sent      int `json:"sent_at_most"`
		Confirmed int `json:"confirmed"`
	}
	must(t, json.Unmarshal([]byte(body), &a))
	if status != http.StatusOK || a.WorstCase != 903 || a.Suspected != 900 || a.Sent != 325 {
		t.Errorf("got %d %+v", status, a)
	}
	if got, want := h.since(at), "Assigned 1 of staff\nSessionOpened command by root\nSessionClosed terminate"; got != want {
		t.Errorf("the ledger says\n%s\nwant\n%s", got, want)
	}

	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	must(t, w.WriteField("question", impact))
	part, err := w.CreateFormFile("file", "recovered.csv")
	must(t, err)
	part.Write([]byte(recovered(1, 2, 3)))
	w.Close()
	at = h.ledger.Last()
	status, body = do("POST", "/api/impact", w.FormDataContentType(), form.String())
	must(t, json.Unmarshal([]byte(body), &a))
	if status != http.StatusOK || a.Confirmed != 3 {
		t.Errorf("with a file: %d %s", status, body)
	}
	if got, want := h.since(at), "SessionOpened command by root\nFileMatched by root: 5 rows, 3 found, 2 damaged\nSessionClosed terminate"; got != want {
		t.Errorf("the ledger says\n%s\nwant\n%s", got, want)
	}

	at = h.ledger.Last()
	status, body = do("POST", "/api/list?list=suspected", "application/json", impact)
	if status != http.StatusOK || strings.Count(body, "\r\n") != 901 {
		t.Errorf("the list got %d with %d lines", status, strings.Count(body, "\r\n"))
	}
	if got := h.since(at); !strings.Contains(got, "Shape export of member: sekisho: list of an incident: suspected\nAccess exact of 1 2 3") {
		t.Errorf("the ledger says\n%.200s", got)
	}
}

func TestControlRefuses(t *testing.T) {
	h := newHouse(t)
	h.lookup("sato", "pc-0417", 1, 7)
	do := h.controlled("root")
	for body, want := range map[string]string{
		`{"endpoints":["pc-0471"],"since":"2014-09-22","until":"2014-09-23"}`:                `"pc-0417"`,
		`{"endpoints":[],"since":"2014-09-22","until":"2014-09-23"}`:                         "at least one endpoint",
		`{"endpoint":["pc-0417"],"since":"2014-09-22","until":"2014-09-23"}`:                 "JSON object",
		`{"endpoints":["pc-0417"],"since":"2014-09-22","until":"2014-09-22"}`:                "after the start",
		`{"endpoints":["pc-0417"],"since":"2014-09-22","until":"2014-09-23"`:                 "JSON object",
		`{"endpoints":["pc-0417"],"since":"2014","until":"2014-09-23"}`:                      "not a date",
		`{"endpoints":["pc-0417"],"since":"2014-09-22","until":"2015","space":"pets"}`:       "not a date",
		`{"endpoints":["pc-0417"],"since":"2014-01-01","until":"2015-01-01","space":"pets"}`: `"member"`,
	} {
		status, got := do("POST", "/api/impact", "application/json", body)
		if status < 400 || status >= 500 || !strings.Contains(got, want) {
			t.Errorf("%s got %d %s", body, status, got)
		}
	}
	at := h.ledger.Last()
	if status, _ := h.controlled("")("POST", "/api/impact", "application/json", impact); status != http.StatusForbidden {
		t.Errorf("without a peer: %d", status)
	}
	if got := h.since(at); got != "" {
		t.Errorf("without a peer the ledger says %s", got)
	}
}

func TestControlResetsAPassword(t *testing.T) {
	h := newHouse(t)
	do := h.controlled("root")
	status, body := do("POST", "/api/users/admin/reset", "", "")
	var a struct{ Password string }
	must(t, json.Unmarshal([]byte(body), &a))
	if status != http.StatusOK || !h.console.users.check("admin", a.Password) {
		t.Errorf("got %d %s", status, body)
	}
	if status, _ := do("POST", "/api/users/nobody/reset", "", ""); status != http.StatusNotFound {
		t.Errorf("a stranger's reset got %d", status)
	}
}

// FuzzQuestion: whatever is asked, the answer is a question that holds
// together, or an error that a person can act on.
func FuzzQuestion(f *testing.F) {
	f.Add(impact)
	f.Add(`{"endpoints":["a"],"since":"1970-01-02","until":"9999-12-31T23:59:59Z","hostile":["2001:db8::/32","64:ff9b::198.51.100.0/120"],"compression":1e4}`)
	f.Fuzz(func(t *testing.T, body string) {
		var q question
		if json.Unmarshal([]byte(body), &q) != nil {
			return
		}
		out, err := q.parse(testZone)
		if err != nil {
			if _, ok := err.(*failure); !ok {
				t.Errorf("%q: %v", body, err)
			}
			return
		}
		if len(out.Endpoints) == 0 || out.Until <= out.Since || out.Since < 0 || len(out.Hostile) != len(q.Hostile) {
			t.Errorf("%q became %+v", body, out)
		}
		for _, p := range out.Hostile {
			if !p.IsValid() || p != p.Masked() {
				t.Errorf("%q: hostile %v", body, p)
			}
		}
	})
}
