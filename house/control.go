package house

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"sekisho/trace"
)

// The control socket is how the command line of the same machine reaches a
// running house. The file's mode, 0600, is the authentication, and the kernel
// says who is at the other end.

// ControlPath is the socket of a data directory.
func ControlPath(data string) string { return filepath.Join(data, "control.sock") }

// questionHeader carries the Question; the body is the recovered file, if
// there is one.
const questionHeader = "Sekisho-Question"

type peerKey struct{}

// ServeControl serves the control socket until ctx ends.
func (h *House) ServeControl(ctx context.Context) error {
	path := ControlPath(h.Config.Data)
	// The ledger's lock is ours, so a socket that is there is nobody's.
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("removing the control socket of an earlier run: %w", err)
	}
	old := syscall.Umask(0o177)
	l, err := net.Listen("unix", path)
	syscall.Umask(old)
	if err != nil {
		return fmt.Errorf("listening on the control socket: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /impact", h.controlImpact)
	mux.HandleFunc("POST /reset", h.controlReset)
	mux.HandleFunc("GET /ping", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, h.Config.Name) })
	srv := &http.Server{
		Handler: mux, ReadHeaderTimeout: 10 * time.Second,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, peerKey{}, peerName(c))
		},
	}
	stop := context.AfterFunc(ctx, func() { srv.Close() })
	defer stop()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// peerName is the login of whoever is at the other end of a unix socket.
func peerName(c net.Conn) string {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return "local"
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return "local"
	}
	name := "local"
	raw.Control(func(fd uintptr) {
		cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		if err != nil {
			return
		}
		name = "uid " + strconv.Itoa(int(cred.Uid))
		if u, err := user.LookupId(strconv.Itoa(int(cred.Uid))); err == nil {
			name = u.Username
		}
	})
	return name
}

// trouble is an error as the control socket tells it.
type trouble struct {
	Error   string   `json:"error"`
	Nearest []string `json:"nearest,omitempty"`
}

func (h *House) controlImpact(w http.ResponseWriter, r *http.Request) {
	who, _ := r.Context().Value(peerKey{}).(string)
	var q Question
	if err := json.Unmarshal([]byte(r.Header.Get(questionHeader)), &q); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		json.NewEncoder(w).Encode(trouble{Error: "the question is not JSON"})
		return
	}
	var file io.Reader
	if q.File != "" {
		file = r.Body
	}
	f, err := h.Impact(r.Context(), q, file, who)
	if err != nil {
		t := trouble{Error: err.Error()}
		var unknown *trace.UnknownEndpoint
		if errors.As(err, &unknown) {
			t.Nearest = unknown.Nearest
		}
		w.WriteHeader(http.StatusUnprocessableEntity)
		json.NewEncoder(w).Encode(t)
		return
	}
	if f.List != nil {
		w.Header().Set("Content-Type", "text/csv; charset=utf-8")
		f.List.WriteCSV(w)
		return
	}
	json.NewEncoder(w).Encode(f)
}

func (h *House) controlReset(w http.ResponseWriter, r *http.Request) {
	if h.Console == nil {
		w.WriteHeader(http.StatusUnprocessableEntity)
		json.NewEncoder(w).Encode(trouble{Error: "this house has no console"})
		return
	}
	password, err := h.Console.Reset(r.URL.Query().Get("user"))
	if err != nil {
		w.WriteHeader(http.StatusUnprocessableEntity)
		json.NewEncoder(w).Encode(trouble{Error: err.Error()})
		return
	}
	io.WriteString(w, password)
}

// ErrNotRunning: no house answers at the control socket.
var ErrNotRunning = errors.New("no sekisho is running on this data directory")

// AskRunning puts a question to the house that runs on a data directory. The
// list, if the question asks for one, goes to list as CSV, and the findings are
// nil.
func AskRunning(ctx context.Context, data string, q Question, file io.Reader, list io.Writer) (*Findings, error) {
	client, err := dial(data)
	if err != nil {
		return nil, err
	}
	defer client.CloseIdleConnections()
	text, err := json.Marshal(q)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, "POST", "http://sekisho/impact", file)
	if err != nil {
		return nil, err
	}
	req.Header.Set(questionHeader, string(text))
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("asking the running sekisho: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, told(resp)
	}
	if q.List != "" {
		_, err := io.Copy(list, resp.Body)
		return nil, err
	}
	f := &Findings{}
	if err := json.NewDecoder(resp.Body).Decode(f); err != nil {
		return nil, fmt.Errorf("reading the answer of the running sekisho: %w", err)
	}
	return f, nil
}

// ResetRunning gives a console user of the running house a new password.
func ResetRunning(ctx context.Context, data, name string) (password string, err error) {
	client, err := dial(data)
	if err != nil {
		return "", err
	}
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, "POST", "http://sekisho/reset?user="+url.QueryEscape(name), nil)
	if err != nil {
		return "", err
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", fmt.Errorf("asking the running sekisho: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", told(resp)
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1024))
	return string(b), err
}

// dial makes a client of a data directory's control socket, if somebody
// answers there.
func dial(data string) (*http.Client, error) {
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", ControlPath(data))
	}}}
	resp, err := client.Get("http://sekisho/ping")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotRunning, err)
	}
	return client, resp.Body.Close()
}

// told is the error that an answer tells.
func told(resp *http.Response) error {
	var t trouble
	if err := json.NewDecoder(resp.Body).Decode(&t); err != nil {
		return fmt.Errorf("asking the running sekisho: it answered %s", resp.Status)
	}
	return errors.New(t.Error)
}
