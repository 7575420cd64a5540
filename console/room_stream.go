package console

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"sekisho/incident"
)

// roomBlocks are the parts of the room that the stream brings up to date, by
// the end of their templates' names.
var roomBlocks = []string{"head", "next", "waits", "numbers", "known", "unknown", "clocks", "cut", "law", "contain", "tell", "who", "tasks", "decisions", "raised", "evidence", "ladder", "lessons", "end"}

// Between two looks at an incident; and how long nothing may change before the
// clocks are counted again.
const (
	roomBatch = 2 * time.Second
	roomTick  = 20 * time.Second
)

// roomEvents streams the blocks of a room that changed, in the visitor's
// language.
func (c *Console) roomEvents(v *visit) (page, error) {
	p, err := c.room(v)
	if err != nil {
		return nil, err
	}
	number := p.(*RoomPage).ID
	out, err := c.beginStream(v)
	if err != nil {
		return nil, err
	}
	defer c.streams.leave()
	send := func(event string, data any) error {
		raw, err := json.Marshal(data)
		if err != nil {
			return err
		}
		out.SetWriteDeadline(time.Now().Add(10 * time.Second))
		if _, err := fmt.Fprintf(v.w, "event: %s\ndata: %s\n\n", event, raw); err != nil {
			return err
		}
		return out.Flush()
	}
	if err := send("hello", nil); err != nil {
		return nil, errDone
	}
	shown, seen := map[string]string{}, uint64(0)
	for {
		c.cfg.Views.Read(func() { seen = c.cfg.Trace.Through() })
		fresh, err := c.roomPage(v, number)
		if err != nil {
			return nil, err
		}
		changed := map[string]string{}
		for _, name := range roomBlocks {
			var b bytes.Buffer
			if err := c.presses[v.Lang].pages["room"].ExecuteTemplate(&b, "room-"+name, blockOf(fresh, name)); err != nil {
				return nil, fmt.Errorf("writing a block of an incident's room: %w", err)
			}
			if html := b.String(); shown[name] != html {
				shown[name], changed[name] = html, html
			}
		}
		if len(changed) > 0 {
			if err := send("room", changed); err != nil {
				return nil, errDone
			}
		} else if err := send("beat", nil); err != nil {
			return nil, errDone
		}
		if !c.awaitChange(v, seen, roomTick, roomBatch) {
			select {
			case <-v.who.ended:
				send("ended", nil)
			default:
			}
			return nil, errDone
		}
		if v.who.over(c.cfg.Now()) {
			send("ended", nil)
			return nil, errDone
		}
	}
}

// awaitChange waits until the views have gone beyond seen, or a tick has passed,
// and then for a moment more, in which more may come. False: whoever looked has
// gone or been signed out, or the console closes.
func (c *Console) awaitChange(v *visit, seen uint64, tick, batch time.Duration) bool {
	soon, stop := context.WithTimeout(v.r.Context(), tick)
	go func() {
		select {
		case <-c.closing:
		case <-v.who.ended:
		case <-soon.Done():
		}
		stop()
	}()
	c.cfg.Views.WaitFor(soon, seen+1)
	stop()
	select {
	case <-v.r.Context().Done():
	case <-c.closing:
	case <-v.who.ended:
	case <-time.After(batch):
		return true
	}
	return false
}

// blockOf is what a block's template is given: the page, or of another noun's
// block what that noun made.
func blockOf(p *RoomPage, name string) any {
	for _, part := range roomParts {
		if part.name == name {
			return p.Parts[name]
		}
	}
	return p
}

// brief is the page for the president: one sheet of A4, whatever happened. It
// takes of each list what presses most, and says how much more the room holds.
func (c *Console) brief(v *visit) (page, error) {
	one, err := c.room(v)
	if err != nil {
		return nil, err
	}
	p := one.(*RoomPage)
	p.Brief = true
	p.Clocks = slices.DeleteFunc(p.Clocks, func(k RoomClock) bool { return k.State == incident.ClockWaits })
	urgent := []incident.ClockState{incident.ClockOverdue, incident.ClockWarns, incident.ClockRuns, incident.ClockPaused, incident.ClockLate, incident.ClockMet}
	slices.SortStableFunc(p.Clocks, func(a, b RoomClock) int {
		return cmp.Or(cmp.Compare(slices.Index(urgent, a.State), slices.Index(urgent, b.State)), cmp.Compare(whether(a.Conditional), whether(b.Conditional)), cmp.Compare(a.Due, b.Due))
	})
	p.Facts = slices.DeleteFunc(p.Facts, func(f RoomFact) bool { return !f.Stands })
	p.Decisions = slices.DeleteFunc(p.Decisions, func(d RoomDecision) bool { return d.State != "stands" && d.State != "pending" })
	p.Roles = slices.DeleteFunc(p.Roles, func(r RoomRole) bool { return r.Person == "" && len(r.Roster) == 0 })
	p.Clocks, p.More = first(p.Clocks, 12, p.More)
	p.Facts, p.More = last(p.Facts, 8, p.More)
	p.Decisions, p.More = last(p.Decisions, 5, p.More)
	p.Sat, p.More = last(p.Sat, 5, p.More)
	p.Waits, p.More = first(p.Waits, 3, p.More)
	p.Unknown, p.More = first(p.Unknown, 10, p.More)
	p.Cut, p.More = first(p.Cut, 3, p.More)
	for n := range p.Facts {
		p.Facts[n].Text = shorter(p.Facts[n].Text, 160)
	}
	return p, nil
}

func first[T any](list []T, most, left int) ([]T, int) {
	return list[:min(len(list), most)], left + max(0, len(list)-most)
}

func last[T any](list []T, most, left int) ([]T, int) {
	return list[max(0, len(list)-most):], left + max(0, len(list)-most)
}

// shorter cuts a text that is longer than so many letters.
func shorter(text string, most int) string {
	if letters := []rune(text); len(letters) > most {
		return string(letters[:most-1]) + "…"
	}
	return text
}

// whether puts what holds after what does not.
func whether(b bool) int {
	if b {
		return 1
	}
	return 0
}
