package drill

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sekisho"
	"sekisho/console"
	"sekisho/house"
)

// An Exercise is a case that people work on while it happens. Its house is open
// until Close; whoever runs it opens the console.
type Exercise struct {
	House *house.House
	Case  *Case
	p     *Played
	s     *travel
	words *console.Teller
	score *Score
}

// OpenExercise makes the house of an exercise, with its past: whatever was
// usual before the case begins. c.Cluster has the store of bookings, filled by
// FillJtb.
func OpenExercise(ctx context.Context, c Config, one *Case, words *console.Teller) (*Exercise, error) {
	c.defaults()
	c.Scenario = one.Name
	s, err := one.stage(c)
	if err != nil {
		return nil, fmt.Errorf("exercise %s: %w", one.Name, err)
	}
	p, err := s.open(ctx)
	if err != nil {
		return nil, fmt.Errorf("exercise %s: %w", one.Name, err)
	}
	x := &Exercise{House: p.House, Case: one, p: p, s: s, words: words}
	if err := x.past(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("exercise %s: %w", one.Name, err), p.Close())
	}
	return x, nil
}

// past plays what was before the case, as fast as it goes.
func (x *Exercise) past(ctx context.Context) error {
	if err := x.House.ReadRosters(ctx, func(_ string, done int) { x.s.Progress("reading the roster", done, x.s.Members) }); err != nil {
		return err
	}
	n := 0
	for ; n < len(x.s.beats) && x.s.beats[n].at.Before(x.Case.begins); n++ {
		b := &x.s.beats[n]
		x.s.clock.set(b.at)
		if err := x.s.do(ctx, b); err != nil {
			return err
		}
		x.s.Progress("playing what was before", n, len(x.s.beats))
	}
	x.s.beats = x.s.beats[n:]
	x.s.clock.set(x.Case.begins)
	if err := x.s.settle(ctx); err != nil {
		return err
	}
	return x.House.OpenContain(ctx)
}

// Close ends the house.
func (x *Exercise) Close() error {
	x.s.clients.close()
	return x.p.Close()
}

// Going is how an exercise is run.
type Going struct {
	Speed float64       // seconds of the case in one of the machine's
	Wait  time.Duration // of the case, that people have after the last inject
	Notes <-chan string // of an observer at the terminal; "end" ends it; may be nil
	Say   func(at time.Time, text string)
}

// errEnd: somebody ends the exercise.
var errEnd = errors.New("the exercise was ended")

// Run puts the injects before the people, each at its time, until the last has
// been worked on, somebody ends it, or ctx does. Then it scores what the ledger
// shows, and writes the report beside the ledger, which has its hash.
func (x *Exercise) Run(ctx context.Context, g Going) (*Score, error) {
	after := context.WithoutCancel(ctx)
	began := sekisho.DrillStep{Action: "began", Case: x.Case.Name, SHA256: sha256.Sum256(x.Case.text)}
	id, err := x.House.Ledger.Append(after, &began)
	if err != nil {
		return nil, fmt.Errorf("beginning the exercise: %w", err)
	}
	x.score = &Score{Case: x.Case.Name, Drill: true, Speed: g.Speed, Began: x.Case.begins, Entry: id.Seq, Injects: []InjectMade{}, Notes: []Note{}}
	x.s.clock.pace(g.Speed)
	err = x.beats(ctx, g)
	if err != nil && !errors.Is(err, errEnd) && ctx.Err() == nil {
		return nil, fmt.Errorf("exercise %s: %w", x.Case.Name, err)
	}
	return x.finish(after)
}

func (x *Exercise) beats(ctx context.Context, g Going) error {
	step := uint32(0)
	for i := range x.s.beats {
		b := &x.s.beats[i]
		if err := x.until(ctx, g, b.at); err != nil {
			return err
		}
		if b.needsFile && x.s.file.rows == 0 {
			x.score.Injects = append(x.score.Injects, InjectMade{Due: b.at, Text: b.tell(x.words), Hidden: b.hidden(), Prevented: true})
			continue
		}
		text := b.tell(x.words)
		made := -1
		switch {
		case text == "":
		case b.hidden():
			made = len(x.score.Injects)
			x.score.Injects = append(x.score.Injects, InjectMade{Due: b.at, Text: text, Hidden: true})
		default:
			made = len(x.score.Injects)
			step++
			// The entry is first: whoever looks at the ledger sees that what follows
			// is the exercise's.
			if err := x.step(ctx, "injected", step, b.at, text); err != nil {
				return err
			}
			x.score.Injects = append(x.score.Injects, InjectMade{Step: step, Due: b.at, Text: text})
			g.Say(b.at, text)
		}
		if err := x.s.do(ctx, b); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			// What the people did stands in the way of the case: that is the point.
			if made >= 0 {
				x.score.Injects[made].Result = x.words.Say("exercise.refused")
			}
			x.s.Log.Info("an act of the exercise failed", "error", err)
		}
	}
	return x.until(ctx, g, x.s.clock.now().Add(g.Wait))
}

// until waits for a time of the case, and takes notes meanwhile.
func (x *Exercise) until(ctx context.Context, g Going, at time.Time) error {
	for {
		left := time.Duration(float64(at.Sub(x.s.clock.now())) / g.Speed)
		if left <= 0 {
			return nil
		}
		timer := time.NewTimer(left)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case note, open := <-g.Notes:
			timer.Stop()
			switch note = strings.TrimSpace(note); {
			case !open:
				g.Notes = nil
			case note == "end":
				return errEnd
			case note != "":
				if err := x.step(ctx, "noted", 0, x.s.clock.now(), note); err != nil {
					return err
				}
			}
		}
	}
}

func (x *Exercise) step(ctx context.Context, action string, n uint32, at time.Time, text string) error {
	b := &sekisho.DrillStep{Action: action, Case: x.Case.Name, Step: n, At: sekisho.At(at), Said: x.House.Vault.Space("said").OfText([]byte(text))}
	if _, err := x.House.Ledger.Append(ctx, b); err != nil {
		return fmt.Errorf("recording a step of the exercise: %w", err)
	}
	return nil
}

// finish scores, and keeps the evidence.
func (x *Exercise) finish(ctx context.Context) (*Score, error) {
	if err := x.s.settle(ctx); err != nil {
		return nil, err
	}
	if err := x.s.keepUp(ctx); err != nil {
		return nil, err
	}
	x.score.Ended = x.s.clock.now().In(japan)
	if err := x.score.read(x.House, x.Case); err != nil {
		return nil, err
	}
	raw, err := json.MarshalIndent(x.score, "", "  ")
	if err != nil {
		return nil, err
	}
	raw = append(raw, '\n')
	x.score.Report = filepath.Join(x.House.Config.Data, "exercise-"+x.Case.Name+".json")
	if err := os.WriteFile(x.score.Report, raw, 0o600); err != nil {
		return nil, fmt.Errorf("keeping the report of the exercise: %w", err)
	}
	end := &sekisho.DrillStep{Action: "ended", Case: x.Case.Name, At: sekisho.At(x.score.Ended), SHA256: sha256.Sum256(raw)}
	if _, err := x.House.Ledger.Append(ctx, end); err != nil {
		return nil, fmt.Errorf("ending the exercise: %w", err)
	}
	return x.score, nil
}
