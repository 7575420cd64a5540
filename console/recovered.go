package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	"sekisho"
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
	found, err := c.recordFile(v.r.Context(), file, c.questionOf(one).Space, one.Number, v.who.staff)
	if err != nil {
		return nil, err
	}
	q := c.questionOf(one)
	q.Space = found.Space
	a, err := c.ask(v.r.Context(), q)
	if err != nil {
		return nil, err
	}
	return c.record(v, one.Number, a)
}

// recordFile compares a file, and records whom it names before anybody is
// told.
func (c *Console) recordFile(ctx context.Context, file io.Reader, space string, number uint64, by uint32) (*sekisho.FileMatched, error) {
	found, err := c.cfg.MatchFile(ctx, file, space)
	if err != nil {
		if big := tooLarge(err); big != err {
			return nil, big
		}
		return nil, &failure{status: http.StatusUnprocessableEntity, key: "file_unread", cause: err}
	}
	found.Incident, found.By = number, by
	id, err := c.cfg.Ledger.Append(ctx, found)
	if err != nil {
		return nil, notRecorded(err)
	}
	if err := c.cfg.Views.WaitFor(ctx, id.Seq); err != nil {
		return nil, fmt.Errorf("showing a file's result: %w", err)
	}
	return found, nil
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
