package house

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"time"

	"sekisho/console"
	"sekisho/duty"
)

// checkStaff fills in the parts of the config about the employees' door and
// training.
func (c *Config) checkStaff(base string) error {
	for _, p := range []*string{&c.Staff.Cert, &c.Staff.Key, &c.Staff.Mail.CA, &c.Staff.Mail.PasswordFile, &c.Training.Courses, &c.Training.Import.TokenFile} {
		*p = Against(base, *p)
	}
	if c.Staff.Mail.Server == "" { // one company, one relay
		c.Staff.Mail = c.Tell.Mail.Relay
	}
	if c.Staff.From == "" {
		c.Staff.From = c.Tell.Mail.From
	}
	if err := c.Staff.Check(); err != nil {
		return err
	}
	if err := c.Training.Check(); err != nil {
		return fmt.Errorf("config: %w", err)
	}
	return nil
}

// openSchool makes what plans training and keeps it going. The courses of the
// files become known to the ledger when training is kept, not before.
func (h *House) openSchool() error {
	s := &duty.School{Config: h.Config.Training, Append: h.append, Last: h.Ledger.Last, Vault: h.Vault, Views: h.Views, Training: h.Training,
		People: h.Directory, Now: h.now, Zone: h.Zone, Log: h.Log.With("part", "training")}
	courses, err := duty.ReadCourses(duty.ShippedCourses())
	if err != nil {
		return err
	}
	if dir := h.Config.Training.Courses; dir != "" {
		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("config: training: courses: there is no directory %s", dir)
		}
		own, err := duty.ReadCourses(os.DirFS(dir))
		if err != nil {
			return fmt.Errorf("config: training: courses: %w", err)
		}
		courses = append(courses, own...)
	}
	s.Courses = courses
	h.School = s
	if name := h.Config.Training.Import.TokenFile; name != "" {
		if h.importToken, err = readToken(name); err != nil {
			return fmt.Errorf("config: training: import: %w", err)
		}
	}
	return nil
}

// KeepTrained makes the courses of the files known, makes the plans of the
// programme, and assigns who comes later, until ctx ends.
func (h *House) KeepTrained(ctx context.Context) {
	if h.Config.Staff.Listen == "" && len(h.Config.Training.Programme) == 0 && h.Training.Plans() == nil {
		return // nobody is trained here: the ledger need not know courses
	}
	for {
		changed, err := h.School.ReadIn(ctx)
		if len(changed) > 0 {
			h.Log.Warn("courses were changed without another edition: what the ledger has stays in force", "courses", changed)
		}
		if err == nil {
			break
		}
		if ctx.Err() == nil {
			h.Log.Error("making courses known", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Minute):
		}
	}
	for {
		if err := h.School.Tend(ctx); err != nil && ctx.Err() == nil {
			h.Log.Error("keeping training up to date", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Minute):
		}
	}
}

// staffAddress is how people reach the employees' door; empty: there is none.
func (h *House) staffAddress() string {
	if h.Config.Staff.Listen == "" {
		return ""
	}
	return h.Config.Staff.Address
}

// NewStaffDoor makes the employees' door, if the config has one; else nil.
func (h *House) NewStaffDoor() (*console.StaffDoor, error) {
	if h.Config.Staff.Listen == "" {
		return nil, nil
	}
	s := console.StaffSources{Append: h.append, Last: h.Ledger.Last, Vault: h.Vault, Views: h.Views, Links: h.Links, People: h.Directory, School: h.School, Duty: h.Duty, Lures: h.Lures, Handling: h.handlingState,
		Name: h.Config.Name, Drill: h.drill, Zone: h.Zone, Now: h.now, Log: h.Log.With("door", "staff")}
	m := hmac.New(sha256.New, h.staffKey[:])
	m.Write([]byte("sekisho: links of the employees' door"))
	m.Sum(s.Secret[:0])
	return console.NewStaffDoor(h.Config.Staff, s)
}

// ServeStaff serves the employees' door on l, and does what it has to do by
// itself, until ctx ends.
func (h *House) ServeStaff(ctx context.Context, d *console.StaffDoor, l net.Listener) error {
	srv := d.Server()
	stop := context.AfterFunc(ctx, func() { srv.Close() })
	defer stop()
	working, rest := context.WithCancel(ctx)
	done := make(chan struct{}, 2)
	go func() { d.Run(working); done <- struct{}{} }()
	go func() {
		if err := d.Remind(working); err != nil {
			h.Log.Error("writing about training", "error", err)
		}
		done <- struct{}{}
	}()
	defer func() { rest(); <-done; <-done }()
	l = console.StaffLimited(l)
	var err error
	if cert := h.Config.Staff.Cert; cert != "" {
		err = srv.ServeTLS(l, cert, h.Config.Staff.Key)
	} else {
		err = srv.Serve(l)
	}
	if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return fmt.Errorf("serving the employees' door: %w", err)
}
