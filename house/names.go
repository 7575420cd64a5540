package house

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"sekisho"
	"sekisho/duty"
)

// Names is one of Zeek's logs of names.
type Names struct {
	Name string `yaml:"name"` // as the ledger calls this sensor; default zeek-names
	Path string `yaml:"path"` // of a dns.log or ssl.log, JSON or tab-separated
}

const (
	namesEvery = 10 * time.Second // between two looks
	namesChunk = 8 << 20          // bytes that are read at once
)

// FollowNames follows the logs of names of the config until ctx ends: which
// services outside the company's machines use.
func (h *House) FollowNames(ctx context.Context) {
	for _, n := range h.Config.Sensors.Names {
		h.running.Go(func() {
			f := follower{house: h, log: n}
			defer f.close()
			tick := time.NewTicker(namesEvery)
			defer tick.Stop()
			for {
				if err := f.look(ctx); err != nil {
					h.Log.Error("following a log of names", "sensor", n.Name, "error", err)
					f.close() // and from what the ledger knows again
				}
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
			}
		})
	}
}

// A follower reads a log of names as it grows. Where it stands is not kept: after a
// start the log is read again from its beginning, and what the ledger has of this
// sensor is passed over. A log that was rotated away while sekisho was down is not
// looked for, and what a day still had to tell when sekisho ended is not told: the
// sight of a service is what matters, and its counts are at least so many.
type follower struct {
	house *House
	log   Names
	file  *os.File
	heard *duty.Heard
	rest  []byte // of a line that is not whole
	long  bool   // rest was thrown away: skip to the line's end
}

func (f *follower) close() {
	if f.file != nil {
		f.file.Close()
	}
	*f = follower{house: f.house, log: f.log}
}

// look takes in what is new in the log, and makes durable what is due.
func (f *follower) look(ctx context.Context) error {
	h := f.house
	if f.heard == nil {
		var since sekisho.Time
		// Where the log was left for an error, the last of what was told may not be folded yet.
		if err := h.Views.WaitFor(ctx, h.Ledger.Last()); err != nil {
			return fmt.Errorf("finding what %s has told: %w", f.log.Name, err)
		}
		h.Views.Read(func() { since = h.Duty.Checks().HeardUntil(f.log.Name) })
		f.heard = duty.NewHeard(since)
	}
	if err := f.read(); err != nil {
		return err
	}
	// Another file under the name: the old one has been read to its end.
	if f.file != nil {
		mine, err := f.file.Stat()
		if err != nil {
			return fmt.Errorf("looking at %s: %w", f.log.Path, err)
		}
		at, err := f.file.Seek(0, io.SeekCurrent)
		if err != nil {
			return fmt.Errorf("looking at %s: %w", f.log.Path, err)
		}
		if now, err := os.Stat(f.log.Path); err == nil && (!os.SameFile(mine, now) || now.Size() < at) {
			f.file.Close()
			f.file, f.rest, f.long = nil, nil, false
			if err := f.read(); err != nil {
				return err
			}
		}
	}
	var bodies []sekisho.Body
	for _, one := range f.heard.Due(sekisho.At(h.now())) {
		if b := one.Seen(f.log.Name, h.Vault.Space("thing")); b != nil {
			bodies = append(bodies, b)
		}
	}
	for from := 0; from < len(bodies); from += 500 {
		if err := h.Take(bodies[from:min(from+500, len(bodies))]); err != nil {
			return fmt.Errorf("recording the services of %s: %w", f.log.Path, err)
		}
	}
	return nil
}

// read hears the whole lines that have come.
func (f *follower) read() error {
	if f.file == nil {
		file, err := os.Open(f.log.Path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // between two logs, or before the first
		}
		if err != nil {
			return fmt.Errorf("opening the log: %w", err)
		}
		f.file = file
	}
	chunk := make([]byte, namesChunk)
	for {
		n, err := f.file.Read(chunk)
		if n > 0 {
			text := append(f.rest, chunk[:n]...)
			end := bytes.LastIndexByte(text, '\n') + 1
			f.rest = bytes.Clone(text[end:])
			text = text[:end]
			switch {
			case f.long && end > 0:
				text, f.long = text[bytes.IndexByte(text, '\n')+1:], false
			case f.long:
				f.rest = nil
			}
			if len(f.rest) > 1<<20 { // no line of a log of names is so long
				f.rest, f.long = nil, true
			}
			if _, err := f.heard.Read(text, f.house.Bindings.Endpoint); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("reading %s: %w", f.log.Path, err)
		}
	}
}
