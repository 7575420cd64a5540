package house

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"sekisho/console"
	"sekisho/trace"
)

// The control socket is how the command line of the same machine reaches a
// house. The file's mode, 0600, is the authentication, and the kernel says who
// is at the other end; the console does the rest.

// controlName is the socket in a data directory.
const controlName = "control.sock"

// nearControl calls f with a name of the control socket that is short enough
// for a socket address, which holds 107 bytes, however deep the data directory
// lies: by way of an open descriptor of it.
func nearControl(data string, f func(name string) error) error {
	dir, err := os.Open(data)
	if err != nil {
		return err
	}
	defer dir.Close()
	return f(fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), controlName))
}

// dialControl connects to the control socket of a data directory.
func dialControl(ctx context.Context, data string) (conn net.Conn, err error) {
	var d net.Dialer
	err = nearControl(data, func(name string) error {
		conn, err = d.DialContext(ctx, "unix", name)
		return err
	})
	return conn, err
}

// ServeControl serves the control socket until ctx ends. ready, if not nil, is
// called when it can be reached. The console must have been made.
func (h *House) ServeControl(ctx context.Context, ready func()) error {
	path := filepath.Join(h.Config.Data, controlName)
	// The ledger's lock is ours, so a socket that is there is nobody's.
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("removing the control socket of an earlier run: %w", err)
	}
	// Its directory can be entered by us alone, so it never is open to others,
	// whatever the umask.
	var l net.Listener
	err := nearControl(h.Config.Data, func(name string) (err error) {
		l, err = net.Listen("unix", name)
		return err
	})
	if err != nil {
		return fmt.Errorf("listening on the control socket: %w", err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false) // by a name that is not valid any more
	defer os.Remove(path)
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return fmt.Errorf("closing the control socket to others: %w", err)
	}
	lim := controlLimits
	srv := &http.Server{
		Handler: h.Console.Control(), ReadHeaderTimeout: lim.header, ReadTimeout: lim.body, IdleTimeout: lim.idle, MaxHeaderBytes: 16 << 10,
		ErrorLog:    slog.NewLogLogger(h.Log.Handler(), slog.LevelDebug),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context { return console.WithPeer(ctx, peerName(c)) },
	}
	stop := context.AfterFunc(ctx, func() { srv.Close() })
	defer stop()
	if ready != nil {
		ready()
	}
	if err := srv.Serve(&controlDoor{UnixListener: l.(*net.UnixListener), slots: make(chan struct{}, lim.most), stalls: lim.stalls}); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving the control socket: %w", err)
	}
	return nil
}

// controlLimits bound what a command that hangs can hold. Whoever may open the
// socket may do everything, so they are for accidents more than for attackers.
var controlLimits = struct {
	header, body, idle time.Duration
	stalls             time.Duration // for so long somebody may read nothing of an answer
	most               int           // commands at once; others wait for their turn
}{header: 10 * time.Second, body: 10 * time.Minute, idle: time.Minute, stalls: 2 * time.Minute, most: 128}

// controlDoor lets so many in at a time.
type controlDoor struct {
	*net.UnixListener
	slots  chan struct{}
	stalls time.Duration
}

func (d *controlDoor) Accept() (net.Conn, error) {
	d.slots <- struct{}{}
	c, err := d.AcceptUnix()
	if err != nil {
		<-d.slots
		return nil, err
	}
	return &controlConn{UnixConn: c, stalls: d.stalls, free: sync.OnceFunc(func() { <-d.slots })}, nil
}

// controlConn ends when nobody reads what is written. How long an answer takes
// until it begins, and in all, is not bounded: a large ledger takes its time.
type controlConn struct {
	*net.UnixConn
	stalls time.Duration
	free   func()
}

func (c *controlConn) Write(b []byte) (n int, err error) {
	for len(b) > 0 && err == nil { // in pieces: each that somebody takes shows that they are there
		var some int
		c.SetWriteDeadline(time.Now().Add(c.stalls))
		some, err = c.UnixConn.Write(b[:min(len(b), 64<<10)])
		n, b = n+some, b[some:]
	}
	return n, err
}

func (c *controlConn) Close() error {
	defer c.free()
	return c.UnixConn.Close()
}

// peerName is the login of whoever is at the other end of a unix socket.
func peerName(c net.Conn) string {
	name := ""
	sc, ok := c.(syscall.Conn)
	if !ok {
		return name
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return name
	}
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

// A Question is what `sekisho impact` asks, as it is typed. Dates are in the
// time zone of the house.
type Question struct {
	Space       string   `json:"space,omitempty"`
	Endpoints   []string `json:"endpoints"`
	Since       string   `json:"since"`
	Until       string   `json:"until"` // exclusive
	Hostile     []string `json:"hostile,omitempty"`
	Compression float64  `json:"compression,omitempty"`
}

// ErrNotRunning: no house answers at the control socket.
var ErrNotRunning = errors.New("no sekisho is running on this data directory")

// A Caller reaches the house that runs on a data directory.
type Caller struct {
	http http.Client
	// Zone is the house's, in which it read dates; nil before its first answer.
	Zone *time.Location
	// Label is what the last answer bears that is a file.
	Label string
	// Lang is the language that the house is to answer in, en or ja; English without.
	Lang string
}

// Call finds the running house.
func Call(ctx context.Context, data string) (*Caller, error) {
	c := &Caller{http: http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dialControl(ctx, data)
	}}}}
	conn, err := dialControl(ctx, data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotRunning, err)
	}
	return c, conn.Close()
}

// Close lets go of the connection.
func (c *Caller) Close() { c.http.CloseIdleConnections() }

// Impact asks for the four numbers. file, if not nil, is compared first.
func (c *Caller) Impact(ctx context.Context, q Question, file io.Reader) (*trace.Answer, error) {
	a := &trace.Answer{}
	err := c.ask(ctx, "/api/impact", q, file, func(r io.Reader) error { return json.NewDecoder(r).Decode(a) })
	return a, err
}

// List writes the customers of one number to w, as CSV, or as JSON beside the
// answer: "confirmed", "suspected" or "worst-case". The ledger holds who asked before the first
// byte comes.
func (c *Caller) List(ctx context.Context, which string, asJSON bool, q Question, file io.Reader, w io.Writer) error {
	path := "/api/list?list=" + url.QueryEscape(which)
	if asJSON {
		path += "&as=json"
	}
	return c.ask(ctx, path, q, file, func(r io.Reader) error {
		_, err := io.Copy(w, r)
		return err
	})
}

// ResetUser gives a console user a new password.
func (c *Caller) ResetUser(ctx context.Context, name string) (password string, err error) {
	var answer struct{ Password string }
	err = c.post(ctx, "/api/users/"+url.PathEscape(name)+"/reset", "", nil, func(r io.Reader) error { return json.NewDecoder(r).Decode(&answer) })
	return answer.Password, err
}

func (c *Caller) ask(ctx context.Context, path string, q Question, file io.Reader, answer func(io.Reader) error) error {
	text, err := json.Marshal(q)
	if err != nil {
		return err
	}
	if file == nil {
		return c.post(ctx, path, "application/json", bytes.NewReader(text), answer)
	}
	return c.attach(ctx, path, text, file, answer)
}

// upload sends a command as JSON with a file behind it, and reads the answer.
func (c *Caller) upload(ctx context.Context, path string, command any, file io.Reader, answer any) error {
	text, err := json.Marshal(command)
	if err != nil {
		return err
	}
	return c.attach(ctx, path, text, file, func(r io.Reader) error { return json.NewDecoder(r).Decode(answer) })
}

func (c *Caller) attach(ctx context.Context, path string, text []byte, file io.Reader, answer func(io.Reader) error) error {
	r, w := io.Pipe()
	form := multipart.NewWriter(w)
	go func() {
		w.CloseWithError(func() error {
			if err := form.WriteField("question", string(text)); err != nil {
				return err
			}
			part, err := form.CreateFormFile("file", "file")
			if err != nil {
				return err
			}
			if _, err := io.Copy(part, file); err != nil {
				return err
			}
			return form.Close()
		}())
	}()
	defer r.Close()
	return c.post(ctx, path, form.FormDataContentType(), r, answer)
}

func (c *Caller) post(ctx context.Context, path, kind string, body io.Reader, answer func(io.Reader) error) error {
	return c.send(ctx, "POST", path, kind, body, answer)
}

// tell sends a command as JSON, or with nil asks for what is there, and reads
// the answer.
func (c *Caller) tell(ctx context.Context, path string, command, answer any) error {
	read := func(r io.Reader) error { return json.NewDecoder(r).Decode(answer) }
	if command == nil {
		return c.send(ctx, "GET", path, "", nil, read)
	}
	text, err := json.Marshal(command)
	if err != nil {
		return err
	}
	return c.post(ctx, path, "application/json", bytes.NewReader(text), read)
}

func (c *Caller) send(ctx context.Context, method, path, kind string, body io.Reader, answer func(io.Reader) error) error {
	req, err := http.NewRequestWithContext(ctx, method, "http://sekisho"+path, body)
	if err != nil {
		return err
	}
	req.Header.Set("Accept-Language", cmp.Or(c.Lang, "en"))
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("asking the running sekisho: %w", err)
	}
	defer resp.Body.Close()
	if name := resp.Header.Get("Sekisho-Time-Zone"); name != "" {
		if zone, err := time.LoadLocation(name); err == nil {
			c.Zone = zone
		}
	}
	if label := resp.Header.Get("Sekisho-Label"); label != "" {
		c.Label = label
	}
	if resp.StatusCode == http.StatusOK {
		return answer(resp.Body)
	}
	var t struct {
		Error, Hint string
		Code, About string
		Near        []string
	}
	if err := json.NewDecoder(resp.Body).Decode(&t); err != nil {
		return fmt.Errorf("asking the running sekisho: it answered %s", resp.Status)
	}
	if t.Code == console.UnknownEndpoint && c.Lang != "ja" {
		return &trace.UnknownEndpoint{Name: t.About, Nearest: t.Near}
	}
	text := strings.TrimSpace(t.Hint)
	if text == "" {
		text = t.Error
	}
	if len(t.Near) > 0 && c.Lang == "ja" {
		text += "近い名前は " + strings.Join(t.Near, "、") + "。"
	} else if len(t.Near) > 0 {
		text += " The nearest names are " + strings.Join(t.Near, ", ") + "."
	}
	return errors.New(text)
}

// WithControl serves the control socket for as long as f takes.
func (h *House) WithControl(ctx context.Context, f func() error) error {
	if _, err := h.NewConsole(); err != nil {
		return err
	}
	serving, stop := context.WithCancel(ctx)
	defer stop()
	ready, served := make(chan struct{}), make(chan error, 1)
	go func() { served <- h.ServeControl(serving, func() { close(ready) }) }()
	select {
	case <-ready:
	case err := <-served:
		return err
	}
	err := f()
	stop()
	return errors.Join(err, <-served)
}
