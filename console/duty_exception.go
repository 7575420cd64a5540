package console

import (
	"net/http"
	"strings"

	"sekisho"
	"sekisho/duty"
)

// Exceptions: a duty that is waived for some units and a time, asked for and
// decided on.

// longestException is how long a waiver may last: it ends and is asked for
// again, or it is no exception.
const longestException = 366 * 24 * 3600 * 1_000_000

func (c *Console) askException(v *visit, a *DutyAct) (sekisho.Body, DutyDone, error) {
	var done DutyDone
	d := c.cfg.Duty.Register().Duty(a.Duty)
	if d == nil {
		return nil, done, fail(http.StatusNotFound, "duty")
	}
	e := &sekisho.ExceptionAsked{Duty: d.Name(), What: a.What, By: v.who.staff}
	if a.What != "waived" && a.What != "na" {
		return nil, done, fail(http.StatusBadRequest, "duty_what")
	}
	if strings.TrimSpace(a.Said) == "" {
		return nil, done, fail(http.StatusBadRequest, "duty_why")
	}
	var err error
	if e.From, err = c.parseDay(a.From); err != nil {
		return nil, done, err
	}
	if e.Until, err = c.parseDay(a.Until); err != nil {
		return nil, done, err
	}
	if e.From == 0 {
		e.From = sekisho.At(c.cfg.Now())
	}
	if e.Until <= e.From || e.Until-e.From > longestException {
		return nil, done, fail(http.StatusBadRequest, "duty_end")
	}
	if e.Space, e.Units, err = c.dutyUnits(d, a.Units); err != nil {
		return nil, done, err
	}
	owner, ok := c.cfg.Vault.Space("staff").Find(strings.TrimSpace(a.Owner))
	if !ok {
		return nil, done, fail(http.StatusBadRequest, "duty_owner")
	}
	e.Owner, e.Said = owner, c.sayDuty(a.Said, a.Dry)
	done.Units = len(e.Units)
	return e, done, nil
}

func (c *Console) decideException(v *visit, a *DutyAct) (sekisho.Body, error) {
	var one *duty.Exception
	c.cfg.Views.Read(func() {
		for _, o := range c.cfg.Duty.Exceptions() {
			if o.Seq == a.Entry {
				one = &o
			}
		}
	})
	if one == nil {
		return nil, fail(http.StatusNotFound, "duty_exception")
	}
	mine := c.same(v, c.named("staff", one.Body.By))
	switch a.Action {
	case "approved", "rejected":
		switch {
		case one.Action != "":
			return nil, fail(http.StatusConflict, "duty_decided")
		case !c.mayDecide(v.who):
			return nil, fail(http.StatusForbidden, "duty_role")
		case mine || c.same(v, c.named("staff", one.Body.Owner)):
			return nil, fail(http.StatusForbidden, "duty_own")
		}
	case "withdrawn":
		if one.Action != "" || !mine {
			return nil, fail(http.StatusForbidden, "duty_withdraw")
		}
	case "ended":
		if one.Action != "approved" || one.Ended != 0 {
			return nil, fail(http.StatusConflict, "duty_decided")
		}
		if !mine && !c.mayDecide(v.who) {
			return nil, fail(http.StatusForbidden, "duty_role")
		}
	default:
		return nil, fail(http.StatusBadRequest, "duty_act")
	}
	return &sekisho.ExceptionDecided{Exception: a.Entry, Action: a.Action, Said: c.sayDuty(a.Said, a.Dry), By: v.who.staff}, nil
}

// An ExceptionLine is one exception with its answer.
type ExceptionLine struct {
	Entry  uint64       `json:"entry"`
	At     sekisho.Time `json:"at"`
	Duty   string       `json:"duty"`
	What   string       `json:"what"`
	Units  int          `json:"units"` // 0: all
	From   sekisho.Time `json:"from"`
	Until  sekisho.Time `json:"until"`
	Owner  string       `json:"owner"`
	Why    string       `json:"why"`
	By     string       `json:"by"`
	Action string       `json:"action"` // "" while it waits
	Judge  string       `json:"decided_by,omitempty"`
	Ended  sekisho.Time `json:"ended,omitempty"`
	Over   bool         `json:"over"`
	Own    bool         `json:"own"`
}

// exceptionLines are those of a duty, or all. The views stand still.
func (c *Console) exceptionLines(v *visit, name string) (list []ExceptionLine) {
	now := sekisho.At(c.cfg.Now())
	for _, o := range c.cfg.Duty.Exceptions() {
		if name != "" && o.Body.Duty != name {
			continue
		}
		line := ExceptionLine{Entry: o.Seq, At: sekisho.Time(o.At), Duty: o.Body.Duty, What: o.Body.What, Units: len(o.Body.Units), From: o.Body.From, Until: o.Body.Until,
			Owner: c.named("staff", o.Body.Owner), Why: c.said(o.Body.Said), By: c.named("staff", o.Body.By), Action: o.Action, Judge: c.named("staff", o.By), Ended: sekisho.Time(o.Ended)}
		line.Over = o.Ended != 0 || now >= o.Body.Until
		line.Own = c.same(v, line.By) || c.same(v, line.Owner)
		if list = append(list, line); len(list) == 100 {
			break
		}
	}
	return list
}
