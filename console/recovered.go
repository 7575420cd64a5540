package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"sync"
	"time"

	"sekisho"
	"sekisho/trace"
)

const maxUpload = 1 << 30

// matchFile compares a recovered file with the roster as it streams in; the
// file is kept nowhere.
func (c *Console) matchFile(v *visit) (page, error) {
	one, err := c.caseOf(v)
	if err != nil {
		return nil, err
	}
	if c.cfg.MatchFile == nil {
		return nil, fail(http.StatusConflict, "file_not_here")
	}
	out := http.NewResponseController(v.w)
	out.SetReadDeadline(time.Now().Add(10 * time.Minute))
	out.SetWriteDeadline(time.Now().Add(12 * time.Minute))
	file, err := uploaded(v.r, "file")
	if err != nil {
		return nil, err
	}
	if _, _, err := c.recordFile(v.r.Context(), file, "", one.Number, v.who.staff); err != nil {
		return nil, err
	}
	a, err := c.ask(v.r.Context(), c.questionOf(one))
	if err != nil {
		return nil, err
	}
	return c.record(v, one.Number, a)
}

// recordFile compares a file, with every subject where none is named, and records
// whom it names before anybody is told. exports are the requests of those exports
// whose own decoys it holds; also beside an error, if it names nobody.
func (c *Console) recordFile(ctx context.Context, file io.Reader, space string, number uint64, by uint32) (found []*sekisho.FileMatched, exports []uint64, err error) {
	spaces := []string{space}
	if space == "" {
		spaces = c.spaces()
	}
	found, exports, err = c.compareFile(ctx, file, spaces)
	if err != nil {
		if big := tooLarge(err); big != err {
			return nil, nil, big
		}
		return nil, exports, &failure{status: http.StatusUnprocessableEntity, key: "file_unread", cause: err}
	}
	var bodies []sekisho.Body
	for _, f := range found {
		f.Incident, f.By = number, by
		bodies = append(bodies, f)
	}
	id, err := c.cfg.Ledger.Append(ctx, bodies...)
	if err != nil {
		return nil, nil, notRecorded(err)
	}
	if err := c.cfg.Views.WaitFor(ctx, id.Seq+uint64(len(bodies))-1); err != nil {
		return nil, nil, fmt.Errorf("showing a file's result: %w", err)
	}
	return found, exports, nil
}

// compareFile reads a file once, for all subjects side by side: nobody knows whose
// records are in it.
func (c *Console) compareFile(ctx context.Context, file io.Reader, spaces []string) ([]*sekisho.FileMatched, []uint64, error) {
	if len(spaces) == 0 {
		return nil, nil, errors.New("no customer was ever seen, so there is nobody to compare it with")
	}
	found, failed, marks := make([]*sekisho.FileMatched, len(spaces)), make([]error, len(spaces)), make([][]uint64, len(spaces))
	var writers []io.Writer
	var pipes []*io.PipeWriter
	var reading sync.WaitGroup
	for n, space := range spaces {
		r, w := io.Pipe()
		writers, pipes = append(writers, w), append(pipes, w)
		reading.Go(func() {
			found[n], marks[n], failed[n] = c.cfg.MatchFile(ctx, r, space)
			io.Copy(io.Discard, r) // whoever has seen enough holds nobody up
		})
	}
	_, err := io.Copy(io.MultiWriter(writers...), file)
	for _, w := range pipes {
		w.CloseWithError(err) // nil: the file's end
	}
	reading.Wait()
	if err != nil {
		return nil, nil, err
	}
	exports := slices.Concat(marks...)
	slices.Sort(exports)
	exports = slices.Compact(exports)
	// A subject whose people nobody has listed, or of whom the file can hold nothing,
	// is no reason not to say whom of the others it holds.
	if found = slices.DeleteFunc(found, func(f *sekisho.FileMatched) bool { return f == nil }); len(found) == 0 {
		return nil, exports, errors.Join(failed...)
	}
	return found, exports, nil
}

// exportsFound says of exports whose own decoys a file holds who took them, when
// and where to.
func (c *Console) exportsFound(numbers []uint64) (list []trace.ExportFound) {
	for _, n := range numbers {
		one := trace.ExportFound{Request: n}
		c.cfg.Views.Read(func() {
			if r, known := c.cfg.Permits.Get(n); known && r.Taken != nil {
				one.At, one.Endpoint = r.UsedAt.Go().UTC().Format(time.RFC3339Nano), r.Taken.Endpoint
				one.Principal = c.named("staff", r.Taken.Principal)
			}
		})
		list = append(list, one)
	}
	return list
}

// uploaded is the stream of a form's file, nothing of which is kept.
func uploaded(r *http.Request, field string) (io.Reader, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/form-data" {
		return nil, fail(http.StatusBadRequest, "file_missing")
	}
	parts, err := r.MultipartReader()
	if err != nil {
		return nil, fail(http.StatusBadRequest, "file_missing")
	}
	for range 16 {
		part, err := parts.NextPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, tooLarge(err)
		}
		if part.FormName() == field && part.FileName() != "" {
			return part, nil
		}
	}
	return nil, fail(http.StatusBadRequest, "file_missing")
}

func tooLarge(err error) error {
	var big *http.MaxBytesError
	if errors.As(err, &big) {
		return fail(http.StatusRequestEntityTooLarge, "")
	}
	return err
}
