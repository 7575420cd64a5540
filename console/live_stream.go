package console

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// liveEvents streams what changes on the live page: the rows in the visitor's
// language, ready to be put into the table, and the chart. A browser that
// cannot keep up gets fewer, larger events, and after ten seconds without
// reading none: it asks again by itself.
func (c *Console) liveEvents(v *visit) (page, error) {
	filter, err := readLiveFilter(v.r)
	if err != nil {
		return nil, err
	}
	var cursor uint64
	if _, err := fmt.Sscan(v.r.URL.Query().Get("cursor"), &cursor); err != nil {
		cursor = c.cfg.Live.cursor()
	}
	if last := v.r.Header.Get("Last-Event-ID"); last != "" {
		fmt.Sscan(last, &cursor)
	}
	if cursor > c.cfg.Live.cursor() { // of an earlier process
		cursor = 0
	}
	out, err := c.beginStream(v)
	if err != nil {
		return nil, err
	}
	defer c.streams.leave()
	send := func(event string, id uint64, data any) error {
		raw, err := json.Marshal(data)
		if err != nil {
			return err
		}
		out.SetWriteDeadline(time.Now().Add(10 * time.Second))
		if _, err := fmt.Fprintf(v.w, "event: %s\nid: %d\ndata: %s\n\n", event, id, raw); err != nil {
			return err
		}
		return out.Flush()
	}
	if err := send("hello", cursor, nil); err != nil {
		return nil, errDone
	}
	beat := time.NewTicker(15 * time.Second)
	defer beat.Stop()
	for {
		wait := c.cfg.Live.after(cursor)
		select {
		case <-v.r.Context().Done():
			return nil, errDone
		case <-c.closing:
			return nil, errDone
		case <-v.who.ended:
			send("ended", cursor, nil)
			return nil, errDone
		case <-beat.C:
			if v.who.over(c.cfg.Now()) {
				send("ended", cursor, nil)
				return nil, errDone
			}
			if err := send("beat", cursor, nil); err != nil {
				return nil, errDone
			}
			continue
		case <-wait:
		}
		p := c.liveSince(filter, cursor)
		cursor = p.Cursor
		data, err := c.liveFragment(v, p)
		if err != nil {
			return nil, err
		}
		if err := send("accesses", cursor, data); err != nil {
			return nil, errDone
		}
		// Bursts are one event: whatever comes within a batch waits for its end.
		select {
		case <-v.r.Context().Done():
			return nil, errDone
		case <-time.After(liveBatch):
		}
	}
}

// fragment is what the page's script puts into place.
type fragment struct {
	Rows  string `json:"rows"`
	Chart string `json:"chart"`
	Alarm string `json:"alert"`
	Badge string `json:"waiting"` // requests for an export; empty if there are none
}

func (c *Console) liveFragment(v *visit, p *livePage) (*fragment, error) {
	var rows, chart, alarm bytes.Buffer
	bits := c.presses[v.Lang].bits
	if err := bits.ExecuteTemplate(&rows, "access-rows", p.Accesses); err != nil {
		return nil, fmt.Errorf("writing the live page's rows: %w", err)
	}
	if err := bits.ExecuteTemplate(&chart, "minute-chart", p.Chart); err != nil {
		return nil, fmt.Errorf("writing the live page's chart: %w", err)
	}
	if err := bits.ExecuteTemplate(&alarm, "alarm", p.Alarm); err != nil {
		return nil, fmt.Errorf("writing the live page's alert: %w", err)
	}
	badge := ""
	if n := c.waiting(); n > 0 {
		badge = number(n)
	}
	return &fragment{Rows: rows.String(), Chart: chart.String(), Alarm: alarm.String(), Badge: badge}, nil
}

// turnstile bounds how many streams are open.
type turnstile struct {
	mu sync.Mutex
	in int
}

const maxStreams = 200

func (t *turnstile) enter() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.in >= maxStreams {
		return false
	}
	t.in++
	return true
}

func (t *turnstile) leave() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.in--
}

// beginStream begins an answer of server-sent events, if there is room for one
// more; whoever has it calls streams.leave at its end.
func (c *Console) beginStream(v *visit) (*http.ResponseController, error) {
	if !c.streams.enter() {
		return nil, fail(http.StatusServiceUnavailable, "streams")
	}
	v.w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	v.w.Header().Set("Cache-Control", "no-store")
	out := http.NewResponseController(v.w)
	out.SetReadDeadline(time.Time{})
	return out, nil
}
