package console

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"sekisho"
	"sekisho/duty"
	"sekisho/tell"
)

// Letters about training: to people who have something to do, and to whoever
// leads them. A window of people is durable before the first letter goes out,
// and what became of each after; whose letter's fate nobody knows is not written
// to again at that stage.

// Remind writes to whom it is due until ctx ends.
func (d *StaffDoor) Remind(ctx context.Context) error {
	if err := d.School.Recover(ctx); err != nil {
		return fmt.Errorf("recording letters that an earlier run left unclear: %w", err)
	}
	for ctx.Err() == nil {
		n, err := d.remindOnce(ctx)
		if err != nil && ctx.Err() == nil {
			d.Log.Error("writing about training; who was not written to is tried again", "error", err)
		}
		if n > 0 && err == nil {
			continue
		}
		select {
		case <-ctx.Done():
		case <-time.After(30 * time.Second):
		}
	}
	return nil
}

// remindOnce sends what is due now, and says how many letters that were.
func (d *StaffDoor) remindOnce(ctx context.Context) (sent int, err error) {
	const windows = 50
	due := d.School.Due(windows)
	if len(due) == 0 {
		return 0, nil
	}
	line, err := tell.Call(ctx, d.Mail) // first: nothing is begun that cannot be sent
	if err != nil {
		return 0, err
	}
	defer func() {
		if line != nil {
			line.Close()
		}
	}()
	pace := time.NewTicker(time.Duration(float64(time.Second) / d.School.Config.PerSecond))
	defer pace.Stop()
	for i := range due {
		if line == nil {
			if line, err = tell.Call(ctx, d.Mail); err != nil {
				return sent, err
			}
		}
		usable, n, err := d.window(ctx, line, pace.C, &due[i])
		sent += n
		if err != nil {
			return sent, err
		}
		if !usable {
			line.Close()
			line = nil
		}
	}
	return sent, nil
}

// window writes the letters of one window.
func (d *StaffDoor) window(ctx context.Context, line *tell.Line, pace <-chan time.Time, l *duty.Letters) (usable bool, sent int, err error) {
	seq, err := d.School.Writing(ctx, l)
	if err != nil {
		return false, 0, err
	}
	ended := &sekisho.MailEnded{Started: seq}
	usable = true
	give := func(letter tell.Letter, about ...uint32) {
		if ctx.Err() != nil || !usable {
			return // not written to, and tried again
		}
		select {
		case <-pace:
		case <-ctx.Done():
			return
		}
		if !tell.GoodAddress(letter.To) {
			ended.Denied = append(ended.Denied, about...)
			return
		}
		finishing, stop := context.WithTimeout(context.WithoutCancel(ctx), linkMailTakes)
		defer stop()
		err := line.Send(finishing, letter)
		no := (*tell.Refusal)(nil)
		switch {
		case err == nil:
			ended.Taken = append(ended.Taken, about...)
		case errors.As(err, &no) && no.OfSender:
			usable = false
		case errors.As(err, &no) && no.Permanent():
			ended.Denied = append(ended.Denied, about...)
		case errors.As(err, &no):
			ended.Later = append(ended.Later, about...)
		case errors.Is(err, tell.ErrNotTaken):
			usable = false
		default:
			ended.Unclear = append(ended.Unclear, about...)
			usable = false
		}
		sent++
	}
	c, err := d.School.Course(l.Course)
	if err == nil {
		if l.To != 0 {
			give(d.escalation(l, c), l.People...)
		} else {
			for _, o := range l.People {
				give(d.reminder(l, c, o), o)
			}
		}
	}
	return usable, sent, errors.Join(err, d.School.Written(context.WithoutCancel(ctx), ended))
}

// tongueFor is the language in which somebody is written to: the directory's,
// else Japanese.
func (d *StaffDoor) tongueFor(language string) *tongue {
	if p := d.presses[strings.ToLower(strings.SplitN(language, "-", 2)[0])]; p != nil {
		return p.tongue
	}
	return d.presses["ja"].tongue
}

func (d *StaffDoor) reminder(l *duty.Letters, c *duty.Course, staff uint32) tell.Letter {
	who := d.School.Attributes(staff)
	t := d.tongueFor(who.Language)
	due := l.Due
	if s, err := d.School.Share(l.Plan, staff); err == nil {
		due = s.Due
	}
	stage, _, _ := strings.Cut(l.Stage, "_") // remind_2 is a remind
	title := c.Title.In(t.Lang)
	return tell.Letter{From: d.From, Name: d.Company.In(t.Lang), To: who.Mail, Date: d.Now(), Subject: t.say("train.mail."+stage+".subject", title),
		Text: lines(t.say("train.mail."+stage, title, t.day(due-1), (c.Seconds+59)/60, fmt.Sprintf("%s/my/training/%d", d.Address, l.Plan), d.Contact.In(t.Lang)))}
}

// escalation is one letter to whoever leads the people of a window. It names
// them: somebody has to speak with them.
func (d *StaffDoor) escalation(l *duty.Letters, c *duty.Course) tell.Letter {
	who := d.School.Attributes(l.To)
	t := d.tongueFor(who.Language)
	const most = 200
	var names []string
	for _, o := range l.People[:min(most, len(l.People))] {
		names = append(names, "- "+d.nameOf(o))
	}
	if more := len(l.People) - most; more > 0 {
		names = append(names, t.say("train.mail.more", number(more)))
	}
	title := c.Title.In(t.Lang)
	return tell.Letter{From: d.From, Name: d.Company.In(t.Lang), To: who.Mail, Date: d.Now(), Subject: t.say("train.mail.escalated.subject", title, number(len(l.People))),
		Text: lines(t.say("train.mail.escalated", title, t.day(l.Due-1), number(len(l.People)), strings.Join(names, `\n`), d.Contact.In(t.Lang)))}
}

func lines(s string) string { return strings.ReplaceAll(s, `\n`, "\n") }
