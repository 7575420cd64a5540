package sensor

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"
)

// PostgreSQL's own log, as it writes it with log_destination csvlog or jsonlog,
// for what a login did that did not come through the gate.

// A Logged is one statement that the server has logged, before it ran it.
type Logged struct {
	Session string // the server's identifier of the session
	Line    uint64 // of the session's lines
	At      time.Time
	From    netip.Addr // not valid: a socket
	Text    string     // "" if the line is not understood
}

// LogRead is what came of a log.
type LogRead struct {
	Lines    uint64 // records
	Own      uint64 // of the login
	Rejected uint64 // could not be read: each may have been the login's
	From, To time.Time
}

const (
	maxLogLine   = 4 << 20
	maxLogRecord = 16 << 20
)

// ReadServerLog calls f with each statement of a login, in the order of the
// log. Of a record that cannot be read nobody knows whose it is. It ends with
// the log, or with the first error of f or of reading.
func ReadServerLog(r io.Reader, login string, f func(Logged) error) (read LogRead, err error) {
	in := bufio.NewReaderSize(r, 64<<10)
	var record []byte
	quotes := 0
	for {
		line, long, err := lineOf(in)
		if len(line) > 0 || long {
			if long {
				read.Lines, read.Rejected, record, quotes = read.Lines+1, read.Rejected+1, nil, 0
				continue
			}
			isJSON := len(record) == 0 && line[0] == '{'
			record = append(record, line...)
			quotes += bytes.Count(line, []byte{'"'})
			switch {
			case len(record) > maxLogRecord: // a quote that was never closed
				read.Lines, read.Rejected, record, quotes = read.Lines+1, read.Rejected+1, nil, 0
				continue
			case !isJSON && quotes%2 == 1:
				// A value of csvlog goes on in the next line.
			default:
				if err := read.take(record, isJSON, login, f); err != nil {
					return read, err
				}
				record, quotes = record[:0], 0
			}
		}
		if errors.Is(err, io.EOF) {
			if len(record) > 0 { // a torn end
				read.Lines, read.Rejected = read.Lines+1, read.Rejected+1
			}
			return read, nil
		}
		if err != nil {
			return read, fmt.Errorf("reading the server's log: %w", err)
		}
	}
}

// lineOf reads a line with its end, or drops one that is too long.
func lineOf(in *bufio.Reader) (line []byte, long bool, err error) {
	for {
		part, err := in.ReadSlice('\n')
		if !long {
			line = append(line, part...)
		}
		if len(line) > maxLogLine {
			line, long = nil, true
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, long, err
		}
	}
}

// take deals with one record.
func (l *LogRead) take(record []byte, isJSON bool, login string, f func(Logged) error) error {
	if len(bytes.TrimSpace(record)) == 0 {
		return nil
	}
	l.Lines++
	var line logLine
	var ok bool
	if isJSON {
		ok = line.fromJSON(record)
	} else {
		ok = line.fromCSV(record)
	}
	if !ok {
		l.Rejected++
		return nil
	}
	if line.user != login {
		return nil
	}
	l.Own++
	if l.From.IsZero() || line.at.Before(l.From) {
		l.From = line.at
	}
	if line.at.After(l.To) {
		l.To = line.at
	}
	text, ran := line.statement()
	if !ran {
		return nil
	}
	return f(Logged{Session: line.session, Line: line.number, At: line.at, From: line.from, Text: text})
}

type logLine struct {
	at                               time.Time
	user, session, severity, message string
	number                           uint64
	from                             netip.Addr
}

func (l *logLine) fromJSON(record []byte) bool {
	var j struct {
		Timestamp  string `json:"timestamp"`
		User       string `json:"user"`
		SessionID  string `json:"session_id"`
		LineNum    uint64 `json:"line_num"`
		RemoteHost string `json:"remote_host"`
		Severity   string `json:"error_severity"`
		Message    string `json:"message"`
	}
	if json.Unmarshal(record, &j) != nil || j.SessionID == "" || j.Severity == "" {
		return false
	}
	l.user, l.session, l.number, l.severity, l.message = j.User, j.SessionID, j.LineNum, j.Severity, j.Message
	l.from, _ = netip.ParseAddr(j.RemoteHost)
	return l.when(j.Timestamp)
}

func (l *logLine) fromCSV(record []byte) bool {
	r := csv.NewReader(bytes.NewReader(record))
	r.FieldsPerRecord = -1
	f, err := r.Read()
	if err != nil || len(f) < 23 {
		return false
	}
	if _, err := r.Read(); err != io.EOF {
		return false
	}
	l.user, l.session, l.severity, l.message = f[1], f[5], f[11], f[13]
	if _, err := fmt.Sscan(f[6], &l.number); err != nil || l.session == "" {
		return false
	}
	if at, err := netip.ParseAddrPort(f[4]); err == nil {
		l.from = at.Addr()
	} else if host, _, ok := cutLast(f[4], ':'); ok { // 10.1.2.3:4711, 2001:db8::1:4711
		l.from, _ = netip.ParseAddr(host)
	}
	return l.when(f[0])
}

func cutLast(s string, c byte) (before, after string, ok bool) {
	i := strings.LastIndexByte(s, c)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

// when reads "2026-01-02 03:04:05.678 JST". The server's names of zones are its
// own, so that only UTC and GMT are certain; another one is read as if it were
// UTC, which is good enough for a time that only the reader sees.
func (l *logLine) when(s string) bool {
	if len(s) < 19 {
		return false
	}
	stamp, _, _ := cutLast(s, ' ')
	at, err := time.Parse("2006-01-02 15:04:05.999", stamp)
	l.at = at
	return err == nil
}

// statement is the text that the server was about to run. log_statement = all
// gives each its line, in front of its effect; what else is logged of a session
// ran nothing by itself.
func (l *logLine) statement() (text string, ran bool) {
	if l.severity != "LOG" {
		return "", false
	}
	m := l.message
	if rest, ok := strings.CutPrefix(m, "duration: "); ok {
		if _, rest, ok = strings.Cut(rest, " ms  "); !ok {
			return "", false
		}
		m = rest
	}
	switch {
	case strings.HasPrefix(m, "statement: "):
		return m[len("statement: "):], true
	case strings.HasPrefix(m, "execute "):
		// execute NAME: TEXT, where the name is the client's and may hold anything: an
		// ambiguous one is not understood.
		if strings.Count(m, ": ") == 1 {
			_, text, _ = strings.Cut(m, ": ")
			return text, true
		}
		return "", true
	case strings.HasPrefix(m, "fastpath function call: "):
		return "", true
	}
	return "", false
}
