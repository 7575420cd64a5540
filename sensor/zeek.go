package sensor

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"math"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"sekisho"
)

// maxLine is the most bytes that one line of a log or of a file may have. A
// longer one is skipped and counted.
const maxLine = 1 << 20

// batchBodies is how many bodies go to emit at once, so that a group commit is
// shared by many lines.
const batchBodies = 512

// maxRef is longer than any identifier that Zeek makes (18 characters).
const maxRef = 64

// maxDuration is longer than any connection: ten years, in microseconds.
const maxDuration = 10 * 366 * 86400 * 1e6

// maxSamples is how many rejected lines a report names.
const maxSamples = 20

// ConnOptions says how connections are read. The zero value reads them as
// coming from a network of private addresses, with no endpoint known.
type ConnOptions struct {
	// Sensor is the name under which the ledger keeps what was read; "zeek-conn"
	// if empty.
	Sensor string `yaml:"name"`
	// Inside lists the addresses that are ours. DefaultInside if nil.
	Inside []netip.Prefix `yaml:"inside"`
	// Bindings tells the endpoint at an address; may be nil.
	Bindings *Bindings `yaml:"-"`
	// Seen is what the ledger holds already; may be nil. It is marked while
	// reading: after an error it is spent, and a new one must be folded.
	Seen *Seen `yaml:"-"`
	// Progress is told how many bytes of the log were read so far; may be nil.
	Progress func(bytes int64) `yaml:"-"`
}

// DefaultInside is the private networks: RFC 1918, and RFC 4193 for IPv6.
func DefaultInside() []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/8"),
		netip.MustParsePrefix("172.16.0.0/12"),
		netip.MustParsePrefix("192.168.0.0/16"),
		netip.MustParsePrefix("fc00::/7"),
	}
}

// Result is what became of the lines of one log.
//
// Read.Lines = Read.Accepted + Read.Rejected, headers and blank lines left out.
// Read.Accepted = Egress + Duplicates + Local + Foreign + Other.
// Read.SHA256 is of the log itself, after gzip was undone, so that a log and
// its compressed archive are one.
type Result struct {
	Read       sekisho.SensorRead
	Egress     uint64 // connections handed to emit
	Duplicates uint64 // connections that the ledger held already
	Local      uint64 // nothing left: both ends inside, or a peer without a global address, or unanswered from outside
	Foreign    uint64 // neither end inside
	Other      uint64 // lines of another Zeek log in the same stream
	Unbound    uint64 // of Egress, those whose endpoint nobody knows
	Truncated  bool   // the compressed stream broke off; counted as one rejected line
	Reasons    map[string]uint64
	Samples    []Sample // the first few rejected lines
}

// Sample names a rejected line or row, never its content.
type Sample struct {
	Number uint64 // from 1
	Reason string
}

// ErrNotConn: there were lines, and none was a record of a conn.log.
var ErrNotConn = errors.New("not a Zeek conn.log")

// ErrAlreadyRead: the ledger holds a SensorRead of these very bytes.
var ErrAlreadyRead = errors.New("already read into the ledger")

// ReadConn reads a Zeek conn.log from r to its end: JSON lines or Zeek's
// tab-separated form with its #fields header, plain or gzip. It hands emit one
// Egress for each connection over which an inside address could send to an
// outside one, in the order of the log, in batches; the last batch ends with
// the SensorRead. A batch belongs to emit; when emit returns nil, it must be
// durable.
//
// Out is payload from the inside end to the outside end, never both ways:
// orig_bytes where the inside end opened the connection, resp_bytes where it
// answered. Where Zeek left that unset, the IP bytes of the same direction
// bound it from above. Connections from outside that got no payload are left
// out, or every scan of the internet would be an entry.
//
// A line that cannot be read is counted in the Result and never stops the
// reading. An error is ErrNotConn, what emit or ctx said, or a failed read of r;
// then no SensorRead was written, and reading again with a newly folded Seen
// takes up where this ended. name says in errors what r is.
func ReadConn(ctx context.Context, r io.Reader, name string, opt ConnOptions, emit func([]sekisho.Body) error) (*Result, error) {
	c := newConnReader(opt, emit)
	plain, err := gunzip(r)
	if err != nil {
		return &c.res, fmt.Errorf("reading %s: %w", name, err)
	}
	in := newLineReader(io.TeeReader(plain, c.sum))
	for {
		line, tooLong, err := in.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			if !brokenGzip(err) {
				return &c.res, fmt.Errorf("reading %s after line %d: %w", name, in.lines, err)
			}
			c.res.Truncated = true
			c.number = in.lines + 1
			c.reject("gzip stream broken")
			break
		}
		if err := c.take(ctx, line, tooLong, in); err != nil {
			return &c.res, fmt.Errorf("reading %s at line %d: %w", name, in.lines, err)
		}
	}
	if r := &c.res; r.Read.Lines > 0 && r.Read.Accepted == r.Other {
		return r, fmt.Errorf("reading %s: %w: none of its %d lines is a connection in Zeek's JSON or tab-separated form; give the file that Zeek calls conn.log", name, ErrNotConn, r.Read.Lines)
	}
	if err := c.finish(); err != nil {
		return &c.res, fmt.Errorf("recording %s: %w", name, err)
	}
	return &c.res, nil
}

// ImportConn is ReadConn of a whole file. It reads the file twice: if its bytes
// were taken in before, by any sensor, it is ErrAlreadyRead and nothing is
// emitted. Without opt.Seen nothing is known to have been taken in.
func ImportConn(ctx context.Context, path string, opt ConnOptions, emit func([]sekisho.Body) error) (*Result, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening a conn.log: %w", err)
	}
	defer f.Close()
	sum := sha256.New()
	plain, err := gunzip(f)
	if err == nil {
		_, err = io.Copy(sum, plain)
	}
	if err != nil && !brokenGzip(err) {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	if id, ok := opt.Seen.File([32]byte(sum.Sum(nil))); ok {
		return nil, fmt.Errorf("reading %s: %w, by entry %v", path, ErrAlreadyRead, id)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("reading %s again: %w", path, err)
	}
	return ReadConn(ctx, f, path, opt, emit)
}

// A connReader turns lines into bodies. ReadConn and Follow share it.
type connReader struct {
	opt    ConnOptions
	emit   func([]sekisho.Body) error
	fields []int // of the TSV header in force: the connField of each column, -1 for others; nil before a header
	other  bool  // the TSV header in force is of another log
	layout tsvLayout
	sum    hash.Hash
	number uint64 // of the line at hand
	batch  []sekisho.Body
	res    Result
}

func newConnReader(opt ConnOptions, emit func([]sekisho.Body) error) *connReader {
	if opt.Sensor == "" {
		opt.Sensor = "zeek-conn"
	}
	if opt.Inside == nil {
		opt.Inside = DefaultInside()
	}
	c := &connReader{opt: opt, emit: emit}
	c.reset()
	return c
}

// reset begins another SensorRead.
func (c *connReader) reset() {
	c.sum = sha256.New()
	c.res = Result{Reasons: map[string]uint64{}}
	c.res.Read.Sensor = c.opt.Sensor
}

func (c *connReader) take(ctx context.Context, line []byte, tooLong bool, in *lineReader) error {
	c.number = in.lines
	if c.number%1024 == 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		if c.opt.Progress != nil {
			c.opt.Progress(in.bytes)
		}
	}
	if tooLong {
		c.reject("longer than 1 MiB")
		return nil
	}
	return c.line(line)
}

func (c *connReader) reject(reason string) {
	c.res.Read.Lines++
	c.res.Read.Rejected++
	c.res.Reasons[reason]++
	if len(c.res.Samples) < maxSamples {
		c.res.Samples = append(c.res.Samples, Sample{c.number, reason})
	}
}

// line takes one line without its line end. It keeps nothing of b.
func (c *connReader) line(b []byte) error {
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	b = bytes.TrimSuffix(b, []byte("\r"))
	var f connFields
	switch {
	case len(bytes.TrimSpace(b)) == 0:
		return nil
	case b[0] == '#':
		if reason := c.header(string(b)); reason != "" {
			c.reject(reason)
		}
		return nil
	case b[0] == '{':
		if err := f.fromJSON(b); err != nil {
			c.reject("broken JSON")
			return nil
		}
		if p := f[fPath]; p != "" && p != "conn" {
			c.accept(nil, &c.res.Other)
			return nil
		}
	case c.other:
		c.accept(nil, &c.res.Other)
		return nil
	case c.fields == nil:
		c.reject("no JSON, and no #fields line before it")
		return nil
	default:
		if !f.fromTSV(string(b), c.fields, c.layout) {
			c.reject("wrong number of columns")
			return nil
		}
	}
	e, count, reason := c.connection(&f)
	if reason != "" {
		c.reject(reason)
		return nil
	}
	if c.opt.Seen != nil && count == &c.res.Egress && !c.opt.Seen.take(e) {
		count = &c.res.Duplicates
	}
	c.accept(e, count)
	if count != &c.res.Egress {
		return nil
	}
	if e.Endpoint == "" {
		c.res.Unbound++
	}
	c.batch = append(c.batch, e)
	if len(c.batch) >= batchBodies {
		return c.flush()
	}
	return nil
}

// accept counts a line that was understood, and widens the time observed.
func (c *connReader) accept(e *sekisho.Egress, count *uint64) {
	r := &c.res.Read
	r.Lines++
	r.Accepted++
	*count++
	if e == nil {
		return
	}
	if r.From == 0 || e.Start < r.From {
		r.From = e.Start
	}
	r.Until = max(r.Until, e.End)
}

func (c *connReader) flush() error {
	if len(c.batch) == 0 {
		return nil
	}
	b := c.batch
	c.batch = make([]sekisho.Body, 0, batchBodies)
	return c.emit(b)
}

// finish emits what waits, with the SensorRead behind it.
func (c *connReader) finish() error {
	read := c.res.Read
	read.SHA256 = [32]byte(c.sum.Sum(nil))
	c.res.Read = read
	c.batch = append(c.batch, &read)
	return c.flush()
}

// connection judges one record. count is the counter of the Result that it
// belongs to. reason is not empty if the record cannot be relied on.
func (c *connReader) connection(f *connFields) (e *sekisho.Egress, count *uint64, reason string) {
	if f[fState] == "" && f[fOrigBytes] == "" && f[fOrigIP] == "" {
		return nil, nil, "not a connection"
	}
	start, ok := parseTime(f[fTS])
	if !ok {
		return nil, nil, "no usable ts"
	}
	end := start
	if f[fDuration] != "" {
		d, ok := micros(f[fDuration])
		if !ok {
			return nil, nil, "no usable duration"
		}
		if d > maxDuration {
			return nil, nil, "no usable duration"
		}
		// Packets out of order can make Zeek's duration negative.
		end += sekisho.Time(max(d, 0))
	}
	ref := f[fUID]
	if ref == "" || len(ref) > maxRef || strings.ContainsFunc(ref, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, nil, "no usable uid"
	}
	orig, err1 := netip.ParseAddr(f[fOrigH])
	resp, err2 := netip.ParseAddr(f[fRespH])
	if err1 != nil || err2 != nil {
		return nil, nil, "no usable address"
	}
	orig, resp = orig.WithZone("").Unmap(), resp.WithZone("").Unmap()
	var n [fields]uint64
	for _, i := range []int{fOrigP, fRespP, fOrigBytes, fRespBytes, fMissed, fOrigIP, fRespIP} {
		if f[i] == "" {
			continue
		}
		if n[i], err1 = strconv.ParseUint(f[i], 10, 64); err1 != nil || (i == fOrigP || i == fRespP) && n[i] > math.MaxUint16 {
			return nil, nil, "no usable " + [fields]string{fOrigP: "port", fRespP: "port", fOrigBytes: "orig_bytes",
				fRespBytes: "resp_bytes", fMissed: "missed_bytes", fOrigIP: "orig_ip_bytes", fRespIP: "resp_ip_bytes"}[i]
		}
	}
	if f[fOrigBytes] == "" {
		n[fOrigBytes] = n[fOrigIP]
	}
	if f[fRespBytes] == "" {
		n[fRespBytes] = n[fRespIP]
	}
	e = &sekisho.Egress{
		Sensor: c.opt.Sensor, Source: orig, Target: resp, Port: uint32(n[fRespP]), Protocol: "unknown",
		Start: start, End: end, Out: n[fOrigBytes], In: n[fRespBytes], Partial: n[fMissed] > 0, Ref: ref,
	}
	switch p := f[fProto]; p {
	case "tcp", "udp", "icmp":
		e.Protocol = p
	}
	switch origIn, respIn := c.inside(orig), c.inside(resp); {
	case origIn && respIn:
		return e, &c.res.Local, ""
	case origIn:
		if !global(resp) {
			return e, &c.res.Local, ""
		}
	case respIn:
		// Answering is a way out too: a shell that the attacker opened from
		// outside, the data connection of active FTP.
		if e.In == 0 && !e.Partial {
			return e, &c.res.Local, ""
		}
		e.Source, e.Target, e.Port = resp, orig, uint32(n[fOrigP])
		e.Out, e.In = e.In, e.Out
	default:
		return e, &c.res.Foreign, ""
	}
	if c.opt.Bindings != nil {
		e.Endpoint = c.opt.Bindings.Endpoint(e.Source, e.Start)
	}
	return e, &c.res.Egress, ""
}

func (c *connReader) inside(a netip.Addr) bool {
	for _, p := range c.opt.Inside {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// global tells whether a packet for a can leave the site at all.
func global(a netip.Addr) bool {
	return a.IsGlobalUnicast() && a != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// The fields of a connection that matter. Order fixed only within this file.
const (
	fPath = iota
	fTS
	fUID
	fOrigH
	fOrigP
	fRespH
	fRespP
	fProto
	fDuration
	fOrigBytes
	fRespBytes
	fState
	fMissed
	fOrigIP
	fRespIP
	fields
)

// connFieldNames are Zeek's, base/protocols/conn/main.zeek, record Conn::Info.
var connFieldNames = [fields]string{"_path", "ts", "uid", "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p", "proto",
	"duration", "orig_bytes", "resp_bytes", "conn_state", "missed_bytes", "orig_ip_bytes", "resp_ip_bytes"}

// connFields are the texts of one record; empty is unset.
type connFields [fields]string

// scalar is the text of a JSON string or number; empty for null.
type scalar string

func (s *scalar) UnmarshalJSON(b []byte) error {
	switch {
	case len(b) > 0 && b[0] == '"':
		var t string
		if err := json.Unmarshal(b, &t); err != nil {
			return err
		}
		*s = scalar(t)
	case len(b) > 0 && (b[0] == '-' || b[0] >= '0' && b[0] <= '9'):
		*s = scalar(b)
	case string(b) == "null":
		*s = ""
	default:
		return errors.New("neither a text nor a number")
	}
	return nil
}

func (f *connFields) fromJSON(b []byte) error {
	var r struct {
		Path      scalar `json:"_path"`
		TS        scalar `json:"ts"`
		UID       scalar `json:"uid"`
		OrigH     scalar `json:"id.orig_h"`
		OrigP     scalar `json:"id.orig_p"`
		RespH     scalar `json:"id.resp_h"`
		RespP     scalar `json:"id.resp_p"`
		Proto     scalar `json:"proto"`
		Duration  scalar `json:"duration"`
		OrigBytes scalar `json:"orig_bytes"`
		RespBytes scalar `json:"resp_bytes"`
		State     scalar `json:"conn_state"`
		Missed    scalar `json:"missed_bytes"`
		OrigIP    scalar `json:"orig_ip_bytes"`
		RespIP    scalar `json:"resp_ip_bytes"`
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return err
	}
	for i, v := range [fields]scalar{r.Path, r.TS, r.UID, r.OrigH, r.OrigP, r.RespH, r.RespP, r.Proto, r.Duration,
		r.OrigBytes, r.RespBytes, r.State, r.Missed, r.OrigIP, r.RespIP} {
		f[i] = string(v)
	}
	return nil
}

// tsvLayout is what the header of a tab-separated log says of its values.
type tsvLayout struct{ separator, unset, empty string }

// header takes one line that begins with '#'. A header may come again in the
// middle, where logs were put one behind the other.
func (c *connReader) header(line string) (reason string) {
	name, rest, _ := strings.Cut(line, " ")
	if name != "#separator" {
		sep := c.layout.separator
		if sep == "" {
			sep = "\t"
		}
		name, rest, _ = strings.Cut(line, sep)
	}
	switch name {
	case "#separator":
		sep, err := strconv.Unquote(`"` + rest + `"`)
		if err != nil || len(sep) != 1 || sep == "\n" {
			return "unreadable #separator"
		}
		c.layout = tsvLayout{separator: sep}
		c.fields, c.other = nil, false
	case "#unset_field":
		c.layout.unset = rest
	case "#empty_field":
		c.layout.empty = rest
	case "#path":
		c.other = rest != "conn"
	case "#fields":
		if c.layout.separator == "" {
			c.layout.separator = "\t"
		}
		c.fields = nil
		have := 0
		for col := range strings.SplitSeq(rest, c.layout.separator) {
			at := -1
			for i, n := range connFieldNames {
				if n == col && i != fPath {
					at = i
					have |= 1 << i
				}
			}
			c.fields = append(c.fields, at)
		}
		need := 1<<fTS | 1<<fUID | 1<<fOrigH | 1<<fRespH
		if !c.other && (have&need != need || have&(1<<fOrigBytes|1<<fOrigIP) == 0) {
			c.fields = nil
			return "#fields lacks ts, uid, an address or the bytes"
		}
	}
	return ""
}

func (f *connFields) fromTSV(line string, columns []int, l tsvLayout) bool {
	unset, empty := l.unset, l.empty
	if unset == "" {
		unset = "-"
	}
	if empty == "" {
		empty = "(empty)"
	}
	for i, at := range columns {
		v, rest, more := strings.Cut(line, l.separator)
		if more != (i < len(columns)-1) {
			return false
		}
		line = rest
		if at >= 0 && v != unset && v != empty {
			f[at] = v
		}
	}
	return true
}

// parseTime reads Zeek's times: seconds with a fraction, RFC 3339
// (json_timestamps = JSON::TS_ISO8601), or whole milliseconds (JSON::TS_MILLIS),
// which begin where seconds would be in the year 5138.
func parseTime(s string) (sekisho.Time, bool) {
	if strings.Contains(s, "T") {
		t, err := time.Parse(time.RFC3339Nano, s)
		if err != nil || t.Unix() < 0 {
			return 0, false
		}
		return sekisho.At(t), true
	}
	us, ok := micros(s)
	if us >= 1e17 {
		us /= 1000
	}
	return sekisho.Time(us), ok && us > 0
}

// micros reads decimal seconds as microseconds, exactly: a float64 would be off
// by one now and then.
func micros(s string) (int64, bool) {
	digits, negative := strings.CutPrefix(s, "-")
	if strings.ContainsAny(digits, "eE") {
		v, err := strconv.ParseFloat(digits, 64)
		if err != nil || !(v >= 0 && v < maxSeconds) {
			return 0, false
		}
		digits = strconv.FormatFloat(v, 'f', 6, 64)
	}
	whole, fraction, _ := strings.Cut(digits, ".")
	w, err1 := strconv.ParseUint(whole, 10, 64)
	us, err2 := strconv.ParseUint((fraction + "000000")[:6], 10, 64)
	if err1 != nil || err2 != nil || w >= maxSeconds || strings.Trim(fraction, "0123456789") != "" {
		return 0, false
	}
	v := int64(w)*1e6 + int64(us)
	if negative {
		v = -v
	}
	return v, true
}

// maxSeconds times a million fits an int64.
const maxSeconds = 9e12

// gunzip gives the plain bytes of r, compressed or not.
func gunzip(r io.Reader) (io.Reader, error) {
	b := bufio.NewReaderSize(r, 1<<16)
	magic, err := b.Peek(2)
	if err != nil && err != io.EOF {
		return nil, err
	}
	if !bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		return b, nil
	}
	return gzip.NewReader(b)
}

// brokenGzip tells a damaged archive from a disk that cannot be read.
func brokenGzip(err error) bool {
	var corrupt flate.CorruptInputError
	return errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &corrupt)
}
