package sensor

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sekisho"
)

// FollowOptions says how a live log is followed.
type FollowOptions struct {
	ConnOptions `yaml:",inline"`
	// State is the file that keeps the position. It only saves reading again:
	// what was taken in is known from the ledger, by Seen. Without it, the log is
	// read from its beginning, and a log that was rotated away unread is missed
	// without a word.
	State string `yaml:"state"`
	// Archive is the pattern (path/filepath.Match) of rotated logs, which are
	// looked through after sekisho was away during a rotation. If empty, the
	// files beside the log whose names begin like it: conn-*, conn.*.
	Archive string `yaml:"archive"`
	// Poll is how often to look for new lines; half a second if 0.
	Poll time.Duration `yaml:"poll"`
	// Every is how often a SensorRead is written while lines come; ten minutes
	// if 0. One is also written at each rotation and at the end.
	Every time.Duration `yaml:"every"`
	// Read is told of each SensorRead that is in the ledger; may be nil.
	Read func(*Result) `yaml:"-"`
	Log  *slog.Logger  `yaml:"-"` // slog.Default() if nil
}

// Follow reads the conn.log at path and goes on reading it as Zeek writes and
// rotates it, until ctx ends; then it emits what it has and returns nil, so
// emit must still work after the end of ctx. The log need not exist yet.
// opt.Seen must be given, folded from the ledger that emit appends to.
//
// No connection is lost or doubled by a crash at any point: emit makes a batch
// durable before the position moves past it, and lines between the saved
// position and the crash are read again and found in Seen. A log that was
// rotated away in the meantime is found again by its first bytes among
// opt.Archive, and every archived log that could be newer is read too; if it is
// not found, that is one rejected line in the next SensorRead, and a warning.
//
// After an error Seen is spent: fold a new one and call Follow again.
func Follow(ctx context.Context, path string, opt FollowOptions, emit func([]sekisho.Body) error) error {
	if opt.Seen == nil {
		return fmt.Errorf("following %s: no Seen given, so connections could be counted twice", path)
	}
	if opt.Poll == 0 {
		opt.Poll = 500 * time.Millisecond
	}
	if opt.Every == 0 {
		opt.Every = 10 * time.Minute
	}
	if opt.Log == nil {
		opt.Log = slog.Default()
	}
	f := &follower{path: path, opt: opt, c: newConnReader(opt.ConnOptions, emit), reported: time.Now()}
	defer f.close()
	if err := f.resume(ctx); err != nil {
		return fmt.Errorf("following %s: %w", path, err)
	}
	tick := time.NewTicker(opt.Poll)
	defer tick.Stop()
	for {
		err := f.look(ctx)
		if err == nil && time.Since(f.reported) >= opt.Every {
			err = f.report()
		}
		if ctx.Err() != nil && (err == nil || errors.Is(err, ctx.Err())) {
			if err = f.report(); err == nil {
				err = f.save()
			}
			if err != nil {
				return fmt.Errorf("following %s: %w", path, err)
			}
			return nil
		}
		if err != nil {
			return fmt.Errorf("following %s: %w", path, err)
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// headBytes of a log tell it from every other: they hold the time at which it
// was opened, or the identifier of its first connection.
const headBytes = 1024

// position is the content of the state file.
type position struct {
	HeadBytes int       `json:"head_bytes"`
	Head      [32]byte  `json:"head_sha256"` // of the first HeadBytes bytes
	Offset    int64     `json:"offset"`      // every line before it is in the ledger
	Saved     time.Time `json:"saved"`
}

// saveEvery limits how often the state file is synced; reading a few seconds
// again costs less.
const saveEvery = 5 * time.Second

// archiveMargin is how much older than the saved position an archived log may
// look and still be read: clocks and copying tools shift times. Too much of it
// costs reading, never a double.
const archiveMargin = time.Hour

type follower struct {
	path string
	opt  FollowOptions
	c    *connReader

	file    *os.File // nil while there is none
	offset  int64    // every line before it was emitted
	lines   uint64   // before offset
	head    []byte   // the first bytes before offset, at most headBytes
	inLong  bool     // offset is within a line longer than maxLine, already rejected
	rotated bool     // path was found to be another file; one more look at this one, then leave it

	saved    time.Time // when the state file was written
	reported time.Time
}

func (f *follower) close() {
	if f.file != nil {
		f.file.Close()
		f.file = nil
	}
}

// open begins the file that is at path now. It is no error if there is none.
func (f *follower) open() error {
	file, err := os.Open(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	f.file = file
	f.restart()
	return nil
}

func (f *follower) restart() {
	f.offset, f.lines, f.head, f.inLong, f.rotated = 0, 0, nil, false, false
	f.c.fields, f.c.other, f.c.layout = nil, false, tsvLayout{}
}

// resume takes up where the state file says, and reads what was rotated away.
func (f *follower) resume(ctx context.Context) error {
	p, err := f.load()
	if err != nil {
		return err
	}
	if err := f.open(); err != nil || p == nil {
		return err
	}
	if f.file != nil {
		same, err := p.begins(f.file)
		if err != nil {
			return err
		}
		if info, err := f.file.Stat(); err != nil {
			return err
		} else if same && info.Size() >= p.Offset {
			return f.seek(p.Offset)
		}
	}
	return f.catchUp(ctx, p)
}

// begins tells whether r, plain or gzip, begins with the bytes that p is about.
func (p *position) begins(r io.ReaderAt) (bool, error) {
	plain, err := gunzip(io.NewSectionReader(r, 0, 1<<62))
	if err != nil {
		if brokenGzip(err) || err == io.EOF {
			return false, nil
		}
		return false, err
	}
	head := make([]byte, p.HeadBytes)
	if _, err := io.ReadFull(plain, head); err == io.EOF || brokenGzip(err) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	return sha256.Sum256(head) == p.Head, nil
}

// seek moves to an offset of the open file that begins a line. The header of
// a tab-separated log is read again.
func (f *follower) seek(offset int64) error {
	in := newLineReader(io.NewSectionReader(f.file, 0, offset))
	for {
		line, tooLong, err := in.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if !tooLong && len(line) > 0 && line[0] == '#' {
			f.c.header(string(line))
		}
	}
	f.offset, f.lines = offset, in.lines
	return f.readHead()
}

func (f *follower) readHead() error {
	want := int(min(f.offset, headBytes))
	if len(f.head) == want {
		return nil
	}
	f.head = make([]byte, want)
	_, err := f.file.ReadAt(f.head, 0)
	return err
}

// catchUp reads the archived logs that could hold lines which nobody has read.
func (f *follower) catchUp(ctx context.Context, p *position) error {
	pattern := f.opt.Archive
	if pattern == "" {
		dir, base := filepath.Split(f.path)
		stem := base[:len(base)-len(filepath.Ext(base))]
		pattern = filepath.Join(dir, stem+`[.\-]*`)
	}
	names, err := filepath.Glob(pattern)
	if err != nil {
		return fmt.Errorf("looking for archived logs by the pattern %q: %w", pattern, err)
	}
	type archived struct {
		name string
		at   time.Time
	}
	var read []archived
	found := p.Offset == 0
	for _, name := range names {
		if name = filepath.Clean(name); name == filepath.Clean(f.path) ||
			f.opt.State != "" && strings.HasPrefix(name, filepath.Clean(f.opt.State)) {
			continue
		}
		info, err := os.Stat(name)
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		file, err := os.Open(name)
		if err != nil {
			return err
		}
		same, err := p.begins(file)
		file.Close()
		if err != nil {
			return err
		}
		found = found || same
		if same || info.ModTime().After(p.Saved.Add(-archiveMargin)) {
			read = append(read, archived{name, info.ModTime()})
		}
	}
	slices.SortFunc(read, func(a, b archived) int { return a.at.Compare(b.at) })
	for _, a := range read {
		res, err := ImportConn(ctx, a.name, f.opt.ConnOptions, f.c.emit)
		switch {
		case errors.Is(err, ErrAlreadyRead):
		case errors.Is(err, ErrNotConn):
			f.opt.Log.Warn("an archived log is no conn.log and was left out", "file", a.name)
		case err != nil:
			return err
		default:
			f.told(res)
		}
	}
	if !found {
		f.c.reject("rotated away before it was read")
		f.opt.Log.Warn("the log that was being read is gone, and its end may not have been read", "log", f.path, "looked_in", pattern)
	}
	return nil
}

// look reads what is new, and follows a rotation.
func (f *follower) look(ctx context.Context) error {
	if f.file == nil {
		if err := f.open(); err != nil || f.file == nil {
			return err
		}
	}
	if err := f.checkTruncated(); err != nil {
		return err
	}
	grown, err := f.read(ctx, false)
	if err != nil {
		return err
	}
	now, err := os.Stat(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	mine, err := f.file.Stat()
	if err != nil {
		return err
	}
	if os.SameFile(now, mine) {
		return nil
	}
	if !f.rotated || grown {
		// Whoever rotated may still be writing its last lines.
		f.rotated = true
		return nil
	}
	if _, err := f.read(ctx, true); err != nil {
		return err
	}
	if err := f.report(); err != nil {
		return err
	}
	f.close()
	if err := f.open(); err != nil || f.file == nil {
		return err
	}
	if _, err := f.read(ctx, false); err != nil {
		return err
	}
	return f.save()
}

// checkTruncated begins again if the file was cut and refilled in place.
func (f *follower) checkTruncated() error {
	info, err := f.file.Stat()
	if err != nil {
		return err
	}
	if info.Size() >= f.offset {
		now := make([]byte, len(f.head))
		if _, err := f.file.ReadAt(now, 0); err != nil && err != io.EOF {
			return err
		}
		if string(now) == string(f.head) {
			return nil
		}
	}
	f.opt.Log.Warn("the log was cut in place; what was written just before may not have been read", "log", f.path)
	f.c.number = f.lines + 1
	f.c.reject("cut in place")
	if err := f.report(); err != nil {
		return err
	}
	f.restart()
	return nil
}

// read takes every line that is complete, and with last also the one that is
// not. On return they are durable, and offset is behind them.
func (f *follower) read(ctx context.Context, last bool) (grown bool, err error) {
	start := f.offset
	in := newLineReader(io.NewSectionReader(f.file, start, 1<<62))
	in.lines = f.lines
	end := start
	for {
		line, tooLong, err := in.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return false, err
		}
		if in.open > 0 && !last && !tooLong && !f.inLong {
			in.lines-- // Zeek is still writing it
			break
		}
		if !f.inLong {
			if err := f.c.take(context.Background(), line, tooLong, in); err != nil {
				return false, err
			}
		}
		f.inLong = in.open > 0 && (f.inLong || tooLong)
		if f.inLong {
			in.lines-- // its end is to come
		}
		end = start + in.bytes
		if in.lines%1024 == 0 && ctx.Err() != nil {
			break // what was taken so far is kept whole
		}
	}
	if end == start {
		return false, nil
	}
	if err := f.c.flush(); err != nil {
		return false, err
	}
	if _, err := io.Copy(f.c.sum, io.NewSectionReader(f.file, start, end-start)); err != nil {
		return false, err
	}
	f.offset, f.lines = end, in.lines
	if err := f.readHead(); err != nil {
		return false, err
	}
	if time.Since(f.saved) >= saveEvery {
		return true, f.save()
	}
	return true, nil
}

// report writes a SensorRead about the lines since the last one, if any.
func (f *follower) report() error {
	f.reported = time.Now()
	if f.c.res.Read.Lines == 0 && len(f.c.batch) == 0 {
		return nil
	}
	if err := f.c.finish(); err != nil {
		return err
	}
	res := f.c.res
	f.c.reset()
	f.told(&res)
	return nil
}

func (f *follower) told(res *Result) {
	if res.Read.Rejected > 0 {
		f.opt.Log.Warn("lines of a sensor could not be read", "rejected", res.Read.Rejected, "accepted", res.Read.Accepted)
	}
	if f.opt.Read != nil {
		f.opt.Read(res)
	}
}

// load reads the state file; nil if there is none, or none that can be read.
func (f *follower) load() (*position, error) {
	if f.opt.State == "" {
		return nil, nil
	}
	b, err := os.ReadFile(f.opt.State)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the position: %w", err)
	}
	var p position
	if err := json.Unmarshal(b, &p); err != nil || p.Offset < 0 || p.HeadBytes < 0 || p.HeadBytes > headBytes {
		f.opt.Log.Warn("the saved position cannot be read; the log is read from its beginning", "state", f.opt.State)
		return nil, nil
	}
	return &p, nil
}

// save replaces the state file. A crash leaves the old one or the new one.
func (f *follower) save() error {
	if f.opt.State == "" || f.file == nil || f.inLong {
		return nil
	}
	b, err := json.Marshal(position{len(f.head), sha256.Sum256(f.head), f.offset, time.Now()})
	if err != nil {
		return err
	}
	next := f.opt.State + ".next"
	err = func() error {
		w, err := os.OpenFile(next, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
		if err != nil {
			return err
		}
		_, err = w.Write(append(b, '\n'))
		return errors.Join(err, w.Sync(), w.Close())
	}()
	if err == nil {
		err = os.Rename(next, f.opt.State)
	}
	if err != nil {
		return fmt.Errorf("saving the position: %w", err)
	}
	f.saved = time.Now()
	return nil
}
